//! Reading small files of the user's, with bounds.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::{ErrorKind, SshError};

/// Who may have written a file that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Not asked.
    Any,
    /// The user or root owns it, and nobody else may write it, as OpenSSH demands of configuration.
    Private,
}

/// The file's bytes, decoded lossily; `None` if there is none.
///
/// # Errors
/// `Config` if the file is no file, is larger than `limit` bytes, cannot be read or belongs to somebody else.
pub(crate) fn text(path: &Path, limit: u64, ownership: Ownership) -> Result<Option<String>, SshError> {
    let fail = |why: String| SshError::new(ErrorKind::Config, format!("cannot read {}: {why}", path.display()));
    // Asked before opening: opening a FIFO waits for its writer.
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(fail(e.to_string())),
    };
    // /dev/null is a customary name for "no file".
    if !metadata.is_file() && !metadata.file_type().is_char_device() {
        return Err(fail("it is not a regular file".to_owned()));
    }
    let user = rustix::process::getuid().as_raw();
    if ownership == Ownership::Private
        && ((metadata.uid() != 0 && metadata.uid() != user) || metadata.mode() & 0o022 != 0)
    {
        return Err(fail("others may change it".to_owned()).with_hint(
            "as for ssh itself, you or root must own it, and group and others may not write it: chmod go-w",
        ));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(n) if n as u64 > limit => Err(fail(format!("it is larger than {limit} bytes"))),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) => Err(fail(e.to_string())),
    }
}
