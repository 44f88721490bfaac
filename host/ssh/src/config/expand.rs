//! `~`, `%` tokens and `${VARIABLE}` in file names.

use std::path::{Path, PathBuf};

use uzers::os::unix::UserExt;

/// What the tokens stand for.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    /// `%d`
    pub(super) home: &'a Path,
    /// `%h`: the name that is dialled.
    pub(super) host_name: &'a str,
    /// `%n` and, as `HostKeyAlias` is not evaluated, `%k`.
    pub(super) alias: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) remote_user: &'a str,
    /// `%u`
    pub(super) local_user: &'a str,
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

/// A file name with all three kinds replaced.
///
/// # Errors
/// Why it cannot be done.
pub(super) fn file_name(text: &str, tokens: &Tokens<'_>) -> Result<PathBuf, String> {
    let text = tilde(text, tokens.home).ok_or_else(|| format!("{text}: there is no such account"))?;
    let text = text.to_str().ok_or("the home directory's name is not UTF-8")?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '$' if rest.as_str().starts_with('{') => {
                let (name, after) =
                    rest.as_str().strip_prefix('{').and_then(|s| s.split_once('}')).ok_or("${ is not closed by }")?;
                out.push_str(&variable(name)?);
                rest = after.chars();
            }
            '%' => match rest.next() {
                Some('%') => out.push('%'),
                Some('d') => out.push_str(&tokens.home.to_string_lossy()),
                Some('h') => out.push_str(tokens.host_name),
                Some('i') => out.push_str(&rustix::process::getuid().as_raw().to_string()),
                Some('k' | 'n') => out.push_str(tokens.alias),
                Some('p') => out.push_str(&tokens.port.to_string()),
                Some('r') => out.push_str(tokens.remote_user),
                Some('u') => out.push_str(tokens.local_user),
                Some(other) => return Err(format!("the token %{other} is not evaluated")),
                None => return Err("ends with %".to_owned()),
            },
            other => out.push(other),
        }
    }
    Ok(PathBuf::from(out))
}

/// The value of an environment variable.
///
/// # Errors
/// If it is not set: OpenSSH too refuses that.
pub(super) fn variable(name: &str) -> Result<String, String> {
    if !is_variable_name(name) {
        return Err(format!("{name:?} is not the name of an environment variable"));
    }
    std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))
}

/// As OpenSSH checks it: ASCII letters, digits and underscores.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
