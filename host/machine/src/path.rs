//! The names in the text of a path, and the words of what can be wrong with one. What a spelling tells is
//! [`RemotePath`](crate::RemotePath)'s.

use std::fmt::Write as _;

use crate::{ErrorKind, HostError};

/// How much of a path an error message shows.
const SHOWN: usize = 200;
/// What the kernel puts behind the name of a file that has none any more.
pub const DELETED: &[u8] = b" (deleted)";

/// The names in a text with slashes, without `.` and what is empty; each `..` is one of them.
pub fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

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
    let message = format!("leads through a link, and {who} does not tell where that truly leads: `{}`", shown(path));
    HostError::new(ErrorKind::Unsupported, message).with_hint("name what it leads to, by a path without links")
}
