//! What processes of one account have seen of an address: a small file for each, locked while somebody asks.
//!
//! A command line that is called again and again is a new process each time; sshd counts them all as one source. A file
//! that cannot be made, read or locked is none: then each process asks for itself.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep};

/// How long another process is waited for: a probe takes as long as a machine takes to answer, and a process may be stopped.
const LOCK: Duration = Duration::from_secs(3);
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// How long a file that nobody writes to is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Of one answer.
const MAX_BYTES: u64 = 1024;

/// The file about one address, locked.
pub(super) struct Page {
    file: File,
    text: String,
}

impl Page {
    /// Waits until no other process asks about the address, but not for ever.
    pub(super) async fn open(directory: &Path, address: SocketAddr) -> Option<Self> {
        let file = Self::file(directory, address)?;
        let end = Instant::now() + LOCK;
        while let Err(error) = file.try_lock() {
            if !matches!(error, TryLockError::WouldBlock) || Instant::now() >= end {
                return None;
            }
            sleep(LOCK_PAUSE).await;
        }
        let mut text = String::new();
        (&file).take(MAX_BYTES).read_to_string(&mut text).ok()?;
        Some(Self { file, text })
    }

    fn file(directory: &Path, address: SocketAddr) -> Option<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).ok()?;
        let path = directory.join(address.to_string());
        if !path.exists() {
            sweep(directory);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).ok()?);
        options.open(path).ok().filter(|file| file.metadata().is_ok_and(|what| what.is_file()))
    }

    /// What was seen within this time.
    pub(super) fn known(&self, fresh: Duration) -> Option<Result<Duration, String>> {
        let (at, rest) = self.text.trim_end().split_once(' ')?;
        let at = UNIX_EPOCH + Duration::from_millis(at.parse().ok()?);
        // One of the future is of another clock.
        let is_fresh = SystemTime::now().duration_since(at).is_ok_and(|age| age < fresh);
        is_fresh.then(|| match rest.strip_prefix("- ") {
            Some(why) => Some(Err(why.to_owned())),
            None => Some(Ok(Duration::from_micros(rest.parse().ok()?))),
        })?
    }

    /// Keeps what was seen.
    pub(super) fn write(&mut self, seen: &Result<Duration, String>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let text = match seen {
            Ok(latency) => format!("{now} {}\n", latency.as_micros()),
            Err(why) => format!("{now} - {}\n", why.replace('\n', " ")),
        };
        let written =
            self.file.rewind().and_then(|()| self.file.set_len(0)).and_then(|()| self.file.write_all(text.as_bytes()));
        if let Err(error) = written {
            tracing::debug!(%error, "what was seen of an address is not kept");
        }
    }
}

/// Removes what nobody has asked after for long, whenever an address is new: there are as many files as addresses of a day.
fn sweep(directory: &Path) {
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|what| what.modified());
        if changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_that_never_ends_its_question_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 22));
        let mut held = Page::open(directory.path(), address).await.unwrap();
        assert!(Page::open(directory.path(), address).await.is_none());
        held.write(&Ok(Duration::from_millis(3)));
        drop(held);
        let page = Page::open(directory.path(), address).await.unwrap();
        assert_eq!(page.known(Duration::from_secs(30)), Some(Ok(Duration::from_millis(3))));
    }

    #[tokio::test]
    async fn what_nobody_asks_after_is_removed_and_what_is_no_file_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let [old, new, odd] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        drop(Page::open(directory.path(), old).await.unwrap());
        let file = File::options().write(true).open(directory.path().join(old.to_string())).unwrap();
        file.set_modified(SystemTime::now() - 2 * KEPT).unwrap();
        drop(Page::open(directory.path(), new).await.unwrap());
        let names: Vec<_> = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["127.0.0.1:2"]);
        let fifo = directory.path().join(odd.to_string());
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        assert!(Page::open(directory.path(), odd).await.is_none());
    }
}
