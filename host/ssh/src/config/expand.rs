//! `~`, `%` tokens and `${VARIABLE}`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};
use uzers::os::unix::UserExt as _;

const OPEN: &str = "${ is not closed by }";

/// What the tokens stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    /// `%d`
    pub(super) home: &'a Path,
    /// `%h`: the name that is dialled.
    pub(super) host_name: &'a str,
    /// `%n`
    pub(super) alias: &'a str,
    /// `%k`: `HostKeyAlias`, else what stands in for it.
    pub(super) key_alias: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) remote_user: &'a str,
    /// `%u`
    pub(super) local_user: &'a str,
    /// `%j`: the last host of `ProxyJump`, as it is written; empty if there is none. `%C` is made of it too, since
    /// OpenSSH 9.6.
    pub(super) jump: &'a str,
}

/// Which tokens a keyword knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Those of most keywords.
    All,
    /// Those of `User`, which others are made of.
    User,
    /// Those of `ProxyCommand`.
    Proxy,
    /// Those that are the same for all hosts.
    Machine,
    /// `%h` alone.
    Host,
}

impl Known {
    fn letters(self) -> &'static str {
        match self {
            Self::All => "CLdhijklnpru",
            Self::User => "Ldhijklnpu",
            Self::Proxy => "hknpr",
            Self::Machine => "Ldilu",
            Self::Host => "h",
        }
    }
}

impl<'a> Tokens<'a> {
    /// Those of no host.
    fn of_nothing(home: &'a Path) -> Self {
        Self { home, host_name: "", alias: "", key_alias: "", port: 0, remote_user: "", local_user: "", jump: "" }
    }

    fn value(&self, token: char) -> Option<Cow<'_, str>> {
        Some(match token {
            'C' => connection_hash(&machine(), self.host_name, self.port, self.remote_user, self.jump).into(),
            'L' => machine().split('.').next().unwrap_or_default().to_owned().into(),
            'd' => self.home.to_string_lossy(),
            'h' => self.host_name.into(),
            'i' => rustix::process::getuid().as_raw().to_string().into(),
            'j' => self.jump.into(),
            'k' => self.key_alias.into(),
            'l' => machine().into(),
            'n' => self.alias.into(),
            'p' => self.port.to_string().into(),
            'r' => self.remote_user.into(),
            'u' => self.local_user.into(),
            _ => return None,
        })
    }

    /// `text` with `%` tokens replaced.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) fn percent(&self, text: &str, known: Known) -> Result<String, String> {
        self.expand(text, known, false)
    }

    /// `text` with `%` tokens and variables replaced.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) fn value_of(&self, text: &str, known: Known) -> Result<String, String> {
        self.expand(text, known, true)
    }

    /// A file name with `~`, tokens and variables replaced.
    ///
    /// # Errors
    /// Why it cannot be done.
    pub(super) fn file_name(&self, text: &str) -> Result<PathBuf, String> {
        let text = tilde(text, self.home).ok_or_else(|| format!("{text}: there is no such account"))?;
        let text = text.to_str().ok_or("the home directory's name is not UTF-8")?;
        self.expand(text, Known::All, true).map(PathBuf::from)
    }

    fn expand(&self, text: &str, known: Known, variables: bool) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '$' if variables && rest.as_str().starts_with('{') => {
                    let (name, after) = rest.as_str().strip_prefix('{').and_then(|s| s.split_once('}')).ok_or(OPEN)?;
                    out.push_str(&variable(name)?);
                    rest = after.chars();
                }
                '%' => match rest.next() {
                    Some('%') => out.push('%'),
                    Some(token) => {
                        let value = known.letters().contains(token).then(|| self.value(token)).flatten();
                        out.push_str(&value.ok_or_else(|| format!("the token %{token} is not evaluated here"))?);
                    }
                    None => return Err("ends with %; %% is a percent sign".to_owned()),
                },
                other => out.push(other),
            }
        }
        Ok(out)
    }
}

/// Why the name in an `Include` line comes to no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unexpanded {
    /// This token is something else for each host.
    OfHosts(char),
    /// A variable is not set.
    NotSet,
    Bad(String),
}

/// The name in an `Include` line with the tokens replaced that are the same for all hosts, and the variables.
///
/// # Errors
/// Why there is none.
pub(super) fn include(text: &str, home: &Path) -> Result<String, Unexpanded> {
    let mut percent = text.split('%').skip(1);
    while let Some(after) = percent.next() {
        match after.chars().next() {
            // Of `%%` the second one begins the next part.
            None => drop(percent.next()),
            Some(token) if Known::All.letters().contains(token) && !Known::Machine.letters().contains(token) => {
                return Err(Unexpanded::OfHosts(token));
            }
            Some(_) => {}
        }
    }
    if let Some((_, after)) = text.split_once("${")
        && after.split_once('}').is_some_and(|(name, _)| variable(name).is_err())
    {
        return Err(Unexpanded::NotSet);
    }
    let local_user = uzers::get_current_username().unwrap_or_default();
    let local_user = local_user.to_string_lossy();
    let tokens = Tokens { home, local_user: &local_user, ..Tokens::of_nothing(home) };
    tokens.value_of(text, Known::Machine).map_err(Unexpanded::Bad)
}

/// `HostName` with `%h` and `%%` replaced.
///
/// # Errors
/// Why it cannot be done.
pub(super) fn host_name(text: &str, alias: &str) -> Result<String, String> {
    Tokens { host_name: alias, ..Tokens::of_nothing(Path::new("")) }.percent(text, Known::Host)
}

/// Replaces a leading `~` or `~account`; `None` if there is no such account.
pub(super) fn tilde(text: &str, home: &Path) -> Option<PathBuf> {
    let Some(rest) = text.strip_prefix('~') else { return Some(PathBuf::from(text)) };
    let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let base = match account {
        "" => home.to_path_buf(),
        account => uzers::get_user_by_name(account)?.home_dir().to_path_buf(),
    };
    let rest = rest.trim_start_matches('/');
    Some(if rest.is_empty() { base } else { base.join(rest) })
}

/// The value of an environment variable.
///
/// # Errors
/// If it is not set: OpenSSH too refuses that.
pub(super) fn variable(name: &str) -> Result<String, String> {
    // The standard library panics on neither, but has no value for them.
    if name.is_empty() || name.contains('=') {
        return Err(format!("{name:?} is not the name of an environment variable"));
    }
    std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))
}

/// Looks at the variables of an `IdentityAgent` as OpenSSH looks at them in every line: `${NAME}` must be set, and `$NAME`
/// must be a name.
///
/// # Errors
/// Why that is not so.
pub(super) fn check_variables(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or(OPEN)?;
        variable(name)?;
        rest = after;
    }
    match text.strip_prefix('$') {
        Some(name) if !name.starts_with('{') && !is_variable_name(name) => {
            Err(format!("{name:?} is not the name of an environment variable"))
        }
        _ => Ok(()),
    }
}

/// ASCII letters, digits and underscores.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// This machine's name.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// `%C` in lower-case hexadecimal digits.
fn connection_hash(machine: &str, host_name: &str, port: u16, user: &str, jump: &str) -> String {
    let port = port.to_string();
    let hash =
        [machine, host_name, &port, user, jump].into_iter().fold(Sha1::new(), |hash, part| hash.chain_update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
