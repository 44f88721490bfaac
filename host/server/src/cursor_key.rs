//! The key that seals a tenant's cursors: a file of its own in the state directory, so that the next `scout call` opens what the last
//! one told. Whoever may read it could write cursors, and would gain nothing by them but confusion: what a cursor asks for is judged as
//! everything that is asked for.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use scout_runtime::CursorKey;

use crate::files;

const FILE: &str = "cursor.key";

/// The key that is kept in this directory, read or made when it is first needed. Where none can be kept, one of this process.
pub(crate) fn kept_in(directory: &Path) -> CursorKey {
    let path = directory.join(FILE);
    CursorKey::from_fn(move || {
        read_or_make(&path).unwrap_or_else(|error| {
            tracing::warn!(%error, file = %path.display(), "cursors can be brought back to this process only");
            CursorKey::random()
        })
    })
}

fn read_or_make(path: &Path) -> io::Result<Option<[u8; CursorKey::BYTES]>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map(Some),
    }
    DirBuilder::new().recursive(true).mode(0o700).create(files::directory_of(path))?;
    let Some(key) = CursorKey::random() else { return Ok(None) };
    let file = files::beside(path, files::PRIVATE)?;
    io::Write::write_all(&mut file.as_file(), &key)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(Some(key)),
        // Another process was faster: there is one key.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => read(path).map(Some),
        Err(error) => Err(error.error),
    }
}

fn read(path: &Path) -> io::Result<[u8; CursorKey::BYTES]> {
    if path.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("other accounts may read it; run `chmod 600 {}`", path.display())));
    }
    let bytes = files::read_trusted(path, CursorKey::BYTES as u64)?;
    bytes.try_into().map_err(|_| io::Error::other("it is no key; remove it, and another is made"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_account_alone_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout").join(FILE);
        let key = read_or_make(&path).unwrap().unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path).unwrap(), Some(key));
        let other = dir.path().join(FILE);
        assert_ne!(read_or_make(&other).unwrap(), Some(key));
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        read_or_make(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make(&path).unwrap_err().to_string().contains("chmod 600"));
        std::fs::write(&path, "short").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read_or_make(&path).unwrap_err().to_string().contains("it is no key"));
        std::fs::write(&path, [1; CursorKey::BYTES + 1]).unwrap();
        assert!(read_or_make(&path).is_err());
    }
}
