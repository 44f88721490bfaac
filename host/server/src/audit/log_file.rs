//! The file of the audit log: nobody else's, the one at its path, a whole line at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use scout_ssh::local_file;

use crate::files;

/// Others hold the lock as long as a line takes; together with `LOCK_PAUSE` this is two seconds.
const LOCK_ATTEMPTS: u32 = 1000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// What the mode of a log may not let others do: write it, or, if they are not of its group, read it.
const FORBIDDEN: u32 = 0o026;

/// The log. It is opened again when another file, or none, is at its path: whoever rotates or removes it loses no line.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Absent until it could be opened.
    file: Option<File>,
}

impl LogFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }

    /// Appends a line, which ends with a line feed: all of it, or nothing. What somebody who died left of a line is ended
    /// first.
    ///
    /// # Errors
    /// A file that cannot be opened, is not this account's own, or has no room. What had been written is taken back.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let file = self.at_its_path()?;
        lock(file)?;
        let appended = append(file, line);
        // It also ends with the file.
        file.unlock().ok();
        appended
    }

    /// The file, open: the one that is at its path now.
    fn at_its_path(&mut self) -> io::Result<&File> {
        let id = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        let is_there = |file: &File| {
            let (there, own) = (std::fs::metadata(&self.path), file.metadata());
            there.is_ok_and(|there| own.is_ok_and(|own| id(&own) == id(&there)))
        };
        match self.file.take().filter(is_there) {
            Some(file) => Ok(self.file.insert(file)),
            None => Ok(self.file.insert(open(&self.path)?)),
        }
    }

    /// Opens it now, if it is not open.
    ///
    /// # Errors
    /// As [`LogFile::append`].
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.at_its_path().map(drop)
    }
}

/// Makes sure that a log can be written.
///
/// # Errors
/// Why not, and what to do.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let mut log = LogFile::new(path);
    log.at_its_path().and_then(has_room).map_err(|error| unwritable(path, &error))
}

/// Makes sure that a line has room now. Nothing is written: only a command that ran leaves a line.
fn has_room(file: &File) -> io::Result<()> {
    let space = rustix::fs::fstatvfs(file)?;
    // Some blocks are the superuser's alone. A file system that counts none tells nothing.
    let free = if rustix::process::geteuid().is_root() { space.f_bfree } else { space.f_bavail };
    if space.f_blocks > 0 && free == 0 {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    Ok(())
}

/// What is said of a log that cannot be opened.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> String {
    format!(
        "the audit log {} cannot be written: {error}; fix that, or set `audit_log` in scout.toml to another file",
        path.display()
    )
}

/// Opens the file for appending, creating it (0600) and its directory (0700).
fn open(path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(files::directory_of(path))?;
    local_file::check(path)?;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(files::PRIVATE).custom_flags(local_file::AT_ONCE);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    local_file::check_kind(&metadata)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is a device, not a regular file"));
    }
    if metadata.mode() & FORBIDDEN != 0 {
        let mode = metadata.mode() & 0o7777;
        let why = format!("other accounts may read or write it (mode {mode:04o}); run `chmod 600 {}`", path.display());
        return Err(io::Error::other(why));
    }
    Ok(file)
}

/// Keeps other Scouts from writing meanwhile: the end of the file is looked at before it is written.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another process keeps it locked"))
}

fn append(file: &File, line: &[u8]) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if let Some(at) = length.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    let text = if last == [b'\n'] { line.to_owned() } else { [b"\n", line].concat() };
    let written = (&*file).write_all(&text);
    if written.is_err() {
        // Where that is forbidden too (`chattr +a`), the next line ends what is left here.
        file.set_len(length).ok();
    }
    written
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/audit.jsonl");
        let mut log = LogFile::new(&path);
        log.append(b"one\n").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        // Another process dies in the middle of its line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"torn").unwrap();
        log.append(b"two\n").unwrap();
        LogFile::new(&path).append(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n{\"torn\ntwo\nthree\n");
    }

    #[test]
    fn lines_of_many_who_write_at_once_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let mut log = LogFile::new(&path);
                scope.spawn(move || {
                    for _ in 0..50 {
                        log.append(&[&[b'a' + writer; 9000][..], b"\n"].concat()).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 200);
        assert!(
            text.lines().all(|line| line.len() == 9000 && line.bytes().all(|b| line.as_bytes().first() == Some(&b)))
        );
    }

    #[test]
    fn a_log_that_was_moved_or_removed_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("audit.jsonl"), dir.path().join("audit.jsonl.1"));
        let mut log = LogFile::new(&path);
        log.append(b"one\n").unwrap();
        std::fs::rename(&path, &old).unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!((std::fs::read(&old).unwrap(), std::fs::read(&path).unwrap()), (b"one\n".into(), b"two\n".into()));
        std::fs::remove_file(&path).unwrap();
        log.append(b"three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
    }

    #[test]
    fn a_log_that_is_not_this_accounts_alone_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let refusal = |name: &str| LogFile::new(&at(name)).append(b"x\n").unwrap_err().to_string();
        std::fs::write(at("log"), "").unwrap();
        for mode in [0o604, 0o620, 0o602] {
            chmod(&at("log"), mode);
            let refusal = refusal("log");
            assert!(refusal.contains(&format!("(mode {mode:04o}); run `chmod ")), "{refusal}");
        }
        // A group may be let read it, as that of a collector of logs.
        chmod(&at("log"), 0o640);
        LogFile::new(&at("log")).append(b"x\n").unwrap();
        std::fs::create_dir(at("open")).unwrap();
        symlink("../log", at("open/link")).unwrap();
        LogFile::new(&at("open/link")).append(b"x\n").unwrap();
        chmod(&at("open"), 0o777);
        assert!(refusal("open/link").contains("run `chmod go-w "), "{}", refusal("open/link"));
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        for (name, what) in [("fifo", "a pipe"), ("/dev/null", "a device"), ("/dev/full", "write /dev/full")] {
            assert!(refusal(name).contains(what), "{name}: {}", refusal(name));
        }
        assert!(check(Path::new("/proc/nowhere/audit.jsonl")).unwrap_err().contains("`audit_log`"));
        assert_eq!(std::fs::read(at("log")).unwrap(), b"x\nx\n");
    }

    #[test]
    fn a_log_without_room_tells_so() {
        let full = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
        assert_eq!(append(&full, b"x\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
