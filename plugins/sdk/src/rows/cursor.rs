//! Where a page ended, as a text that the client brings back.
//!
//! Scout seals it, so that nobody can write one, and binds it to the tool, the host and every argument but `limit` and `cursor`. It is
//! not bound to what the host said: rows may have come and gone since.

use crate::{Error, ErrorKind, cursors};

/// The cursor of the rows behind so many. Absent: Scout can seal none, for want of random numbers.
pub(super) fn write(offset: usize) -> Option<String> {
    cursors::seal(&format!("{offset:x}")).ok()
}

/// How many rows stand before those that a cursor asks for.
///
/// # Errors
/// It is none of this call.
pub(super) fn read(cursor: &str) -> Result<usize, Error> {
    let state = cursors::open(cursor)?;
    let other = |_| {
        Error::new(ErrorKind::Invalid, "`cursor` is of another version of this tool").hint("leave it out to begin anew")
    };
    usize::from_str_radix(&state, 16).map_err(other)
}
