//! Files of this machine: read within bounds, written whole or not at all.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tempfile::NamedTempFile;

const MAX_COMPONENT: u64 = scout_runtime::MAX_COMPONENT as u64;

/// The mode of what anybody may read; the umask takes from it.
pub(crate) const READABLE: u32 = 0o644;
/// The mode of what is for this account alone.
pub(crate) const PRIVATE: u32 = 0o600;

/// The directory that a path lies in, by its text.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file that is to take the place of `path`, in the same directory: nobody ever reads half of it.
///
/// # Errors
/// A directory in which no file can be made.
pub(crate) fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let permissions = std::fs::Permissions::from_mode(mode);
    tempfile::Builder::new().permissions(permissions).tempfile_in(directory_of(path))
}

/// The bytes of a file. Links out of its directory are not followed.
///
/// # Errors
/// A file that cannot be read, or is larger than `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    read_in(&Dir::open_ambient_dir(directory_of(path), ambient_authority())?, Path::new(name), max)
}

/// The bytes of a component. Links out of its directory are not followed.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub(crate) fn read_component(path: &Path) -> io::Result<Vec<u8>> {
    read(path, MAX_COMPONENT)
}

/// The components of a directory by their names without `.wasm`, in the order of the directory.
///
/// # Errors
/// A directory or a component that cannot be read.
pub(crate) fn read_components(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let file_name = entry?.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".wasm")) else { continue };
        found.push((name.to_owned(), read_in(&dir, Path::new(&file_name), MAX_COMPONENT)?));
    }
    Ok(found)
}

fn read_in(dir: &Dir, name: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    dir.open(name)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("{} is larger than {} KiB", name.display(), max >> 10)));
    }
    Ok(bytes)
}
