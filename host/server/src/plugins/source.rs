//! Where components come from: their bytes, bounded, before anything looks into them.

use std::io::{self, Read as _};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

const MAX_COMPONENT: u64 = scout_runtime::MAX_COMPONENT as u64;

/// The bytes of a component's file. Links out of its directory are not followed.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(path, MAX_COMPONENT)
}

/// The same for any file beside one.
///
/// # Errors
/// A file that cannot be read, or is larger than `max` bytes.
pub(crate) fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let dir = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    read(&Dir::open_ambient_dir(dir, ambient_authority())?, Path::new(name), max)
}

/// The components of a directory by their names without `.wasm`, in the order of the directory.
///
/// # Errors
/// A directory or a component that cannot be read.
pub(super) fn read_dir(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let file_name = entry?.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".wasm")) else { continue };
        found.push((name.to_owned(), read(&dir, Path::new(&file_name), MAX_COMPONENT)?));
    }
    Ok(found)
}

fn read(dir: &Dir, name: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    dir.open(name)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("{} is larger than {} KiB", name.display(), max >> 10)));
    }
    Ok(bytes)
}
