//! Files of this machine: read within bounds, written whole or not at all.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use tempfile::NamedTempFile;

const MAX_COMPONENT: u64 = scout_runtime::MAX_COMPONENT as u64;

/// A FIFO is opened without its writer, so that it can be refused instead of waited for.
const AT_ONCE: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

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

/// The bytes of a file of the operator's own, such as `scout.lock`: where a link leads is the operator's choice.
///
/// # Errors
/// A file that cannot be read, or is larger than `max` bytes.
pub(crate) fn read_own(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    bounded(File::options().read(true).custom_flags(AT_ONCE).open(path)?, path, max)
}

/// The file that is to be replaced when something is written to `path`: the one behind its links, so that they stay.
///
/// # Errors
/// More links than any path has.
pub(crate) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    /// As Linux does.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match path.read_link() {
            Ok(target) => path = directory_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("it is a link that leads through too many links"))
}

/// The bytes of a file that came from somebody else. Links out of its directory are not followed: who may write there could
/// have any file read.
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
    let mut options = OpenOptions::new();
    cap_std::fs::OpenOptionsExt::custom_flags(options.read(true), AT_ONCE);
    let file = dir.open_with(name, &options).map_err(|error| match (error.kind(), error.raw_os_error()) {
        // That is how cap-std tells of a way out; the system's own refusals have a number.
        (io::ErrorKind::PermissionDenied, None) => io::Error::other(format!(
            "{} is a link out of its directory, and such links are not followed: put the file itself there, or name the one that it leads to",
            name.display()
        )),
        _ => error,
    })?;
    bounded(file.into_std(), name, max)
}

fn bounded(file: File, name: &Path, max: u64) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no regular file", name.display())));
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("{} is larger than {} KiB", name.display(), max >> 10)));
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo.wasm");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for refused in [read_own(&fifo, 9), read(&fifo, 9), read_components(dir.path()).map(|_| Vec::new())] {
            assert_eq!(refused.unwrap_err().to_string().rsplit('/').next(), Some("fifo.wasm is no regular file"));
        }
    }

    #[test]
    fn a_link_is_followed_within_its_directory_and_out_of_it_only_for_the_operators_own() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("in/data")).unwrap();
        for (target, link) in [("data/file", "in/near.wasm"), ("../out", "in/far.wasm"), ("far.wasm", "in/twice.wasm")]
        {
            symlink(target, at(link)).unwrap();
        }
        std::fs::write(at("in/data/file"), "near").unwrap();
        std::fs::write(at("out"), "far").unwrap();
        assert_eq!(read(&at("in/near.wasm"), 9).unwrap(), b"near");
        for link in ["in/far.wasm", "in/twice.wasm"] {
            let refusal = read(&at(link), 9).unwrap_err().to_string();
            assert!(refusal.contains("is a link out of its directory"), "{refusal}");
            assert_eq!(read_own(&at(link), 9).unwrap(), b"far");
            assert_eq!(behind_links(&at(link)).unwrap().canonicalize().unwrap(), at("out").canonicalize().unwrap());
        }
        assert!(read_components(&at("in")).unwrap_err().to_string().contains("is a link out of its directory"));
        assert!(read_own(&at("out"), 2).is_err() && read(&at("out"), 2).is_err());
        std::fs::remove_file(at("out")).unwrap();
        assert_eq!(read_own(&at("in/far.wasm"), 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(behind_links(&at("in/far.wasm")).unwrap(), at("in/../out"));
        assert_eq!(behind_links(&at("absent")).unwrap(), at("absent"));
        symlink("loop", at("loop")).unwrap();
        assert!(behind_links(&at("loop")).is_err());
    }
}
