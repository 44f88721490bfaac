//! The file of the audit log: nobody else's, the one at its path, a whole line at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use scout_ssh::local_file;

use super::chain::{Digest, end_of, linked, of_line};
use crate::files;

/// Others hold the lock as long as some lines take; together with `LOCK_PAUSE` this is two seconds.
const LOCK_ATTEMPTS: u32 = 1000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// What the mode of a log may not let others do: write it, or, if they are not of its group, read it.
const FORBIDDEN: u32 = 0o026;

/// The log. It is opened again when another file, or none, is at its path: whoever rotates or removes it loses no line, and the chain
/// goes on in the next file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    /// Absent until it could be opened.
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// How long it was when this process had written its last line, and what the next one has as `previous` if it is as long still.
    end: Option<(u64, Digest)>,
    /// The same of the file that was at the path before.
    before: Option<Digest>,
}

impl LogFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: None }
    }

    /// Appends lines, each a JSON object that ends with a line feed, and links them: all of them, or nothing. What somebody who died left
    /// of a line is ended first.
    ///
    /// # Errors
    /// A file that cannot be opened, is not this account's own, or has no room. What had been written is taken back.
    pub(crate) fn append(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        let opened = self.locked()?;
        let appended = opened.append(lines);
        // It also ends with the file.
        opened.file.unlock().ok();
        appended
    }

    /// What the next line will have as `previous`; absent: there is no chain yet.
    ///
    /// # Errors
    /// As [`LogFile::append`].
    pub(crate) fn end(&mut self) -> io::Result<Option<Digest>> {
        let opened = self.locked()?;
        let end = opened.previous().map(|(previous, ..)| previous);
        opened.file.unlock().ok();
        end
    }

    /// The file that is at its path now, locked.
    fn locked(&mut self) -> io::Result<&mut Opened> {
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => Opened { file: open(&self.path)?, end: None, before: None },
        };
        let is_locked = lock(&opened.file);
        if self.is_there(&opened.file) {
            is_locked?;
            return Ok(self.opened.insert(opened));
        }
        // Whoever writes looks at the path under the lock, so nothing is added to the old one any more.
        let before = if is_locked.is_ok() { opened.previous().ok().and_then(|(previous, ..)| previous) } else { None };
        match open(&self.path) {
            Ok(file) => opened = Opened { file, end: None, before },
            Err(error) => {
                opened.file.unlock().ok();
                // Its end is to be known as soon as there is a file.
                self.opened = Some(opened);
                return Err(error);
            }
        }
        lock(&opened.file)?;
        Ok(self.opened.insert(opened))
    }

    fn is_there(&self, file: &File) -> bool {
        let id = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        let (there, own) = (std::fs::metadata(&self.path), file.metadata());
        there.is_ok_and(|there| own.is_ok_and(|own| id(&own) == id(&there)))
    }

    /// Opens it now, if it is not open.
    ///
    /// # Errors
    /// As [`LogFile::append`].
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.opened.is_none() {
            self.opened = Some(Opened { file: open(&self.path)?, end: None, before: None });
        }
        Ok(())
    }
}

impl Opened {
    /// What the next line has as `previous`, how long the file is, and whether it ends within a line.
    fn previous(&self) -> io::Result<(Option<Digest>, u64, bool)> {
        let length = self.file.metadata()?.len();
        match &self.end {
            Some((end, digest)) if *end == length => Ok((Some(*digest), length, false)),
            _ if length == 0 => Ok((self.before, length, false)),
            _ => end_of(&self.file, length).map(|(previous, is_torn)| (previous, length, is_torn)),
        }
    }

    fn append(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        let (mut previous, length, is_torn) = self.previous()?;
        let mut text = if is_torn { b"\n".to_vec() } else { Vec::new() };
        for line in lines {
            let line = linked(previous.as_ref(), line);
            previous = Some(of_line(&line));
            text.extend_from_slice(&line);
        }
        match (&self.file).write_all(&text) {
            Ok(()) => {
                self.end = previous.map(|previous| (length + text.len() as u64, previous));
                Ok(())
            }
            Err(error) => {
                // Where that is forbidden too (`chattr +a`), the next line ends what is left here.
                self.file.set_len(length).ok();
                Err(error)
            }
        }
    }
}

/// Makes sure that a log can be written.
///
/// # Errors
/// Why not, and what to do.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    open(path).and_then(|file| has_room(&file)).map_err(|error| unwritable(path, &error))
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn line(said: &str) -> Vec<Vec<u8>> {
        vec![format!("{{\"said\":\"{said}\"}}\n").into_bytes()]
    }

    /// What the lines say, and what is no line as it is.
    fn said(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let said = |line: &str| {
            let parsed = serde_json::from_str::<serde_json::Value>(line).ok();
            parsed.and_then(|line| Some(line.get("said")?.as_str()?.to_owned())).unwrap_or_else(|| line.to_owned())
        };
        text.lines().map(said).collect()
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/audit.jsonl");
        let mut log = LogFile::new(&path);
        log.append(&line("one")).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        // Another process dies in the middle of its line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"torn").unwrap();
        log.append(&line("two")).unwrap();
        LogFile::new(&path).append(&line("three")).unwrap();
        assert_eq!(said(&path), ["one", "{\"torn", "two", "three"]);
    }

    #[test]
    fn lines_of_many_who_write_at_once_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::thread::scope(|scope| {
            for writer in ["a", "b", "c", "d"] {
                let mut log = LogFile::new(&path);
                scope.spawn(move || {
                    for _ in 0..50 {
                        log.append(&line(&writer.repeat(9000))).unwrap();
                    }
                });
            }
        });
        let said = said(&path);
        assert_eq!(said.len(), 200);
        assert!(said.iter().all(|said| said.len() == 9000 && said.chars().all(|c| said.starts_with(c))));
    }

    #[test]
    fn a_log_that_was_moved_or_removed_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("audit.jsonl"), dir.path().join("audit.jsonl.1"));
        let mut log = LogFile::new(&path);
        log.append(&line("one")).unwrap();
        std::fs::rename(&path, &old).unwrap();
        log.append(&line("two")).unwrap();
        assert_eq!((said(&old), said(&path)), (vec!["one".to_owned()], vec!["two".to_owned()]));
        std::fs::remove_file(&path).unwrap();
        log.append(&line("three")).unwrap();
        assert_eq!(said(&path), ["three"]);
    }

    #[test]
    fn a_log_that_is_not_this_accounts_alone_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let refusal = |name: &str| LogFile::new(&at(name)).append(&line("x")).unwrap_err().to_string();
        std::fs::write(at("log"), "").unwrap();
        for mode in [0o604, 0o620, 0o602] {
            chmod(&at("log"), mode);
            let refusal = refusal("log");
            assert!(refusal.contains(&format!("(mode {mode:04o}); run `chmod ")), "{refusal}");
        }
        // A group may be let read it, as that of a collector of logs.
        chmod(&at("log"), 0o640);
        LogFile::new(&at("log")).append(&line("x")).unwrap();
        std::fs::create_dir(at("open")).unwrap();
        symlink("../log", at("open/link")).unwrap();
        LogFile::new(&at("open/link")).append(&line("x")).unwrap();
        chmod(&at("open"), 0o777);
        assert!(refusal("open/link").contains("run `chmod go-w "), "{}", refusal("open/link"));
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        for (name, what) in [("fifo", "a pipe"), ("/dev/null", "a device"), ("/dev/full", "write /dev/full")] {
            assert!(refusal(name).contains(what), "{name}: {}", refusal(name));
        }
        assert!(check(Path::new("/proc/nowhere/audit.jsonl")).unwrap_err().contains("`audit_log`"));
        assert_eq!(said(&at("log")), ["x", "x"]);
    }

    #[test]
    fn a_log_without_room_tells_so() {
        let file = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
        let mut full = Opened { file, end: None, before: None };
        assert_eq!(full.append(&line("x")).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
