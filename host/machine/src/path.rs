//! Paths on a machine, as bytes, and the words of what can be wrong with them.
//!
//! A path that does not begin with `/` is below the home directory, as is `~`; `~name` is another account's home.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::{ErrorKind, HostError};

/// Longer than any system's PATH_MAX.
const MAX_PATH: usize = 4096;
/// How much of a path an error message shows.
const SHOWN: usize = 200;
/// What the kernel puts behind the name of a file that has none any more.
pub const DELETED: &[u8] = b" (deleted)";

/// That the machine failed with a path, `what` in its own words.
pub fn remote_error(what: &str, path: &[u8]) -> HostError {
    HostError::new(ErrorKind::Remote, format!("{what}: `{}`", shown(path)))
}

/// That only a regular file would have done.
pub fn not_a_file(path: &[u8]) -> HostError {
    HostError::new(ErrorKind::NotReadable, format!("not a regular file: `{}`", shown(path)))
}

/// Foreign bytes for a message: control and formatting characters escaped, the length bounded.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes));
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => out.push(character),
            // Escapes what does not print, bidi and zero-width characters included.
            other => write!(out, "{}", other.escape_debug()).unwrap_or_default(),
        }
    }
    if bytes.len() > SHOWN {
        out.push('…');
    }
    out
}

/// That a path is one.
pub fn check(path: &[u8]) -> Result<(), HostError> {
    if path.contains(&0) {
        return Err(HostError::new(ErrorKind::Invalid, "a path holds a NUL byte"));
    }
    if path.len() > MAX_PATH {
        return Err(HostError::new(ErrorKind::Invalid, format!("a path is longer than {MAX_PATH} bytes")));
    }
    Ok(())
}

/// `~user` and what follows it, if the path begins so.
pub fn other_home(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let (home, rest) = path.split_at_checked(end)?;
    (home.len() > 1 && home.starts_with(b"~")).then_some((home, rest))
}

/// The path as SFTP has it: relative to the home directory, since SFTP knows no `~`.
pub fn remote_path(path: &[u8]) -> Result<Cow<'_, [u8]>, HostError> {
    check(path)?;
    if other_home(path).is_some() {
        let message = format!("another account's home cannot be looked up over SFTP: `{}`", shown(path));
        return Err(HostError::new(ErrorKind::Unsupported, message).with_hint("give the absolute path"));
    }
    let relative = match path.strip_prefix(b"~") {
        Some(rest) => {
            rest.iter().position(|byte| *byte != b'/').and_then(|start| rest.get(start..)).unwrap_or_default()
        }
        None => path,
    };
    Ok(if relative.is_empty() { b"."[..].into() } else { relative.into() })
}

/// Whether the path may name a device or a file that blocks: lexically under /dev, /proc or /sys, or above home.
pub fn is_guarded(path: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = Vec::new();
    let absolute = path.starts_with(b"/");
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_none() && !absolute => return true,
            b".." => {}
            part => parts.push(part),
        }
    }
    absolute && matches!(parts.first(), Some(&(b"dev" | b"proc" | b"sys")))
}

/// That what is open is not what was looked at.
pub fn swapped(path: &[u8]) -> HostError {
    remote_error("something else took its place while it was opened", path).with_hint("try again")
}

/// That what is open has no name any more.
pub fn deleted(path: &[u8]) -> HostError {
    let what = "it was removed or replaced while it was opened, or has a name that looks like that";
    remote_error(what, path).with_hint("try again")
}

/// A link, and nobody who says truly where it leads.
pub fn untold(who: &str, path: &[u8]) -> HostError {
    let message = format!("leads through a link, and {who} does not tell truly where to: `{}`", shown(path));
    HostError::new(ErrorKind::Unsupported, message).with_hint("name what it leads to, by a path without links")
}
