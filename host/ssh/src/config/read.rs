//! Reading small files of the user's, with bounds.

use std::path::Path;

use scout_machine::{ErrorKind, HostError};

use crate::local_file::{self, FileError};

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
/// `Config` if the file is no file, is larger than `limit` bytes, cannot be read or can be changed by somebody else.
pub(crate) fn text(path: &Path, limit: u64, ownership: Ownership) -> Result<Option<String>, HostError> {
    let fail = |error: FileError| {
        let failed = |why: &str| HostError::new(ErrorKind::Config, format!("cannot read {}: {why}", path.display()));
        match error {
            FileError::Exposed { why, mend } => failed(&why).with_hint(format!("as for ssh itself: {mend}")),
            FileError::Special(_) => failed(&error.to_string())
                .with_hint("it is read again whenever it may have changed: name a file, not a pipe to another program"),
            FileError::Io(_) => failed(&error.to_string()),
        }
    };
    let file = match local_file::open(path) {
        Ok(file) => file,
        Err(FileError::Io(error)) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if ownership == Ownership::Private {
        let metadata = file.metadata().map_err(|error| fail(error.into()))?;
        local_file::check_file(&metadata, path).map_err(fail)?;
    }
    let bytes = local_file::read_to_end(file, limit).map_err(fail)?;
    Ok(Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
