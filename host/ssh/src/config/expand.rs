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
    /// Whether the host is reached through others: then versions of OpenSSH differ about `%C`.
    pub(super) jumps: bool,
}

/// Which tokens a keyword knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Those of most keywords.
    All,
    /// Those of `ProxyCommand`.
    Proxy,
    /// `%h` alone.
    Host,
}

impl Known {
    fn letters(self) -> &'static str {
        match self {
            Self::All => "CLdhiklnpru",
            Self::Proxy => "hknpr",
            Self::Host => "h",
        }
    }
}

impl Tokens<'_> {
    fn value(&self, token: char) -> Option<Cow<'_, str>> {
        Some(match token {
            'C' if self.jumps => return None,
            'C' => connection_hash(&machine(), self.host_name, self.port, self.remote_user).into(),
            'L' => machine().split('.').next().unwrap_or_default().to_owned().into(),
            'd' => self.home.to_string_lossy(),
            'h' => self.host_name.into(),
            'i' => rustix::process::getuid().as_raw().to_string().into(),
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

/// `HostName` with `%h` and `%%` replaced.
///
/// # Errors
/// Why it cannot be done.
pub(super) fn host_name(text: &str, alias: &str) -> Result<String, String> {
    let tokens = Tokens {
        home: Path::new(""),
        host_name: alias,
        alias,
        key_alias: alias,
        port: 0,
        remote_user: "",
        local_user: "",
        jumps: false,
    };
    tokens.percent(text, Known::Host)
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
fn connection_hash(machine: &str, host_name: &str, port: u16, user: &str) -> String {
    let hash =
        Sha1::new().chain_update(machine).chain_update(host_name).chain_update(port.to_string()).chain_update(user);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
