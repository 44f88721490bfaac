//! Files of this machine: read within bounds, written whole or not at all.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use scout_ssh::local_file;
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

/// The bytes of a file of the operator's own, such as a cassette: where a link leads is the operator's choice.
///
/// # Errors
/// A file that cannot be read, or is larger than `max` bytes.
pub(crate) fn read_own(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    Ok(local_file::read(path, max)?)
}

/// The bytes of a file that says what Scout does, such as `scout.toml`: of the operator's own, and nobody but root and this
/// account can change it.
///
/// # Errors
/// As [`read_own`], and a file that others can change.
pub(crate) fn read_trusted(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    local_file::check(path)?;
    read_own(path, max)
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

/// The bytes of a component that serves: nobody but root and this account can change it. Links as in [`read_component`].
///
/// # Errors
/// As [`read_component`], and a file that others can change.
pub(crate) fn read_serving_component(path: &Path) -> io::Result<Vec<u8>> {
    local_file::check(path)?;
    read_component(path)
}

/// The components of a directory that serve, by their names without `.wasm`, in the order of the directory.
///
/// # Errors
/// A directory or a component that cannot be read, or that others can change.
pub(crate) fn read_components(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    let mut found = Vec::new();
    for entry in dir.entries()? {
        let file_name = entry?.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".wasm")) else { continue };
        local_file::check(&path.join(&file_name))?;
        found.push((name.to_owned(), read_in(&dir, Path::new(&file_name), MAX_COMPONENT)?));
    }
    Ok(found)
}

fn read_in(dir: &Dir, name: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    cap_std::fs::OpenOptionsExt::custom_flags(options.read(true), local_file::AT_ONCE);
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
    let named = |error: local_file::FileError| io::Error::other(format!("{}: {error}", name.display()));
    local_file::check_kind(&file.metadata()?).map_err(named)?;
    local_file::read_to_end(file, max).map_err(named)
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
        let refused = read_own(&fifo, 9).unwrap_err().to_string();
        assert_eq!(refused, "it is a pipe, not a regular file");
        for refused in [read(&fifo, 9), read_components(dir.path()).map(|_| Vec::new())] {
            assert_eq!(refused.unwrap_err().to_string(), "fifo.wasm: it is a pipe, not a regular file");
        }
    }

    #[test]
    fn what_serves_can_be_changed_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.wasm");
        std::fs::write(&file, "bytes").unwrap();
        let read_all =
            || read_components(dir.path()).map(|found| found.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>());
        assert_eq!(read_all().unwrap(), [b"bytes"]);
        for (path, mode) in [(file.as_path(), 0o646), (dir.path(), 0o757)] {
            let before = path.metadata().unwrap().permissions();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = [
                read_trusted(&file, 9).unwrap_err(),
                read_serving_component(&file).unwrap_err(),
                read_all().unwrap_err(),
            ];
            for refused in refused {
                let says = format!("(mode {mode:04o}); run `chmod go-w {}`", path.display());
                assert!(refused.to_string().ends_with(&says), "{refused}");
            }
            assert_eq!(read_component(&file).unwrap(), b"bytes", "what is only looked at");
            std::fs::set_permissions(path, before).unwrap();
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
