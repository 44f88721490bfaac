//! Watches files for changes of any kind: written in place, renamed into place, or reached through a link or a directory that
//! was exchanged, as Kubernetes does it with configuration.
//!
//! Not the files are watched but every directory on the way to them, for the names that lead on: a path means another file
//! whenever one of its steps does. Knows nothing of what the files are for.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long the files must have rested before they are looked at: what comes together is one change.
const QUIET: Duration = Duration::from_millis(100);
/// The same while a file is being written and was not closed, as far as the system tells.
const WRITING: Duration = Duration::from_secs(2);
/// When they are looked at all the same.
const LONGEST: Duration = Duration::from_secs(10);
/// Links that are followed on the way to a file, as Linux does.
const MAX_LINKS: usize = 40;

/// Files that are watched.
pub(crate) struct Files {
    /// Absent if the system cannot watch.
    watcher: Option<Mutex<Watching>>,
    seen: Arc<Seen>,
}

struct Watching {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
}

/// What the watcher's thread has seen.
#[derive(Default)]
struct Seen {
    /// The steps on the ways to the files: a directory without links, and a name in it.
    steps: Mutex<HashSet<PathBuf>>,
    /// Whether the last event left a file open for writing.
    writing: AtomicBool,
    /// One wake-up for any number of events.
    changed: Notify,
}

impl Files {
    /// None yet. Where the system cannot watch, that is logged and nothing is ever seen.
    pub(crate) fn new() -> Self {
        let seen = Arc::<Seen>::default();
        let told = Arc::clone(&seen);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| told.take(event));
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "files cannot be watched: after a change, send SIGHUP"))
            .ok()
            .map(|watcher| Mutex::new(Watching { watcher, directories: BTreeSet::new() }));
        Self { watcher, seen }
    }

    /// Watches these files from now on, and no others; `DIRECTORY/*` is whatever lies in that directory. Blocks for a few system
    /// calls.
    pub(crate) fn track(&self, files: &[PathBuf]) {
        let Some(watching) = &self.watcher else { return };
        let steps: HashSet<PathBuf> = files.iter().flat_map(|file| steps(file)).collect();
        let directories: BTreeSet<PathBuf> = steps.iter().filter_map(|step| Some(step.parent()?.to_owned())).collect();
        *self.seen.steps.lock() = steps;
        let mut watching = watching.lock();
        let before = std::mem::take(&mut watching.directories);
        for directory in before.difference(&directories) {
            // One that was removed is not watched any more anyway.
            drop(watching.watcher.unwatch(directory));
        }
        for directory in &directories {
            // Also those that were watched before: another directory may have taken the place of one.
            if let Err(error) = watching.watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::warn!(directory = %directory.display(), %error, "cannot be watched: after a change, send SIGHUP");
            }
        }
        watching.directories = directories;
    }

    /// Waits until a file has changed and all have come to rest.
    ///
    /// # Cancel safety
    /// A change that was being waited out is forgotten; who drops the future looks at the files anyway.
    pub(crate) async fn changed(&self) {
        self.seen.changed.notified().await;
        let latest = Instant::now() + LONGEST;
        loop {
            let rest = if self.seen.writing.load(Ordering::Relaxed) { WRITING } else { QUIET };
            tokio::select! {
                () = self.seen.changed.notified() => {}
                () = sleep_until(latest.min(Instant::now() + rest)) => return,
            }
            if Instant::now() >= latest {
                return;
            }
        }
    }
}

impl Seen {
    fn take(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => return tracing::warn!(%error, "watching files"),
        };
        let writing = match event.kind {
            // To read a file is no change.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => return,
            EventKind::Modify(ModifyKind::Data(_)) => true,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
                false
            }
        };
        let concerns = {
            let steps = self.steps.lock();
            // Events were lost: any file may have changed.
            event.need_rescan()
                || event.paths.iter().any(|path| steps.contains(path) || steps.contains(&path.with_file_name("*")))
        };
        if concerns {
            self.writing.store(writing, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }
}

/// The steps on the way to a file: each a directory, reached without links, and a name in it that leads on. Ends where
/// nothing is found.
fn steps(file: &Path) -> Vec<PathBuf> {
    let Ok(file) = std::path::absolute(file) else { return Vec::new() };
    let mut left: Vec<OsString> = Vec::new();
    let push = |left: &mut Vec<OsString>, path: &Path| {
        left.extend(path.components().rev().map(|component| component.as_os_str().to_owned()));
    };
    push(&mut left, &file);
    let (mut at, mut steps, mut links) = (PathBuf::new(), Vec::new(), 0);
    while let Some(name) = left.pop() {
        match Path::new(&name).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            Some(Component::RootDir | Component::Prefix(_)) => {
                at = PathBuf::from(&name);
                continue;
            }
        }
        let step = at.join(&name);
        let link = std::fs::read_link(&step);
        let there = step.symlink_metadata().is_ok();
        steps.push(step.clone());
        match link {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                push(&mut left, &target);
            }
            _ if there => at = step,
            _ => return steps,
        }
    }
    steps
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory without links on the way to it.
    fn directory() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        (dir, path)
    }

    #[test]
    fn every_step_to_a_file_is_found_through_links_and_up_again() {
        let (_kept, dir) = directory();
        std::fs::create_dir(dir.join("2024")).unwrap();
        std::fs::write(dir.join("2024/file"), "").unwrap();
        symlink("2024", dir.join("data")).unwrap();
        symlink("./data/../data/file", dir.join("file")).unwrap();
        let steps: HashSet<_> = steps(&dir.join("file")).into_iter().collect();
        for step in ["file", "data", "2024", "2024/file"] {
            assert!(steps.contains(&dir.join(step)), "{step}: {steps:?}");
        }
        assert!(steps.contains(&dir));
    }

    #[test]
    fn the_way_to_a_file_that_is_not_there_ends_where_it_is_lost() {
        let (_kept, dir) = directory();
        assert_eq!(steps(&dir.join("absent/file")).last(), Some(&dir.join("absent")));
    }

    #[test]
    fn a_link_to_itself_ends() {
        let (_kept, dir) = directory();
        symlink("loop", dir.join("loop")).unwrap();
        assert!(steps(&dir.join("loop")).len() <= 2 * MAX_LINKS);
    }

    /// Waits for a change that must come; another test bounds how long.
    async fn comes(files: &Files) {
        tokio::time::timeout(Duration::from_secs(60), files.changed()).await.unwrap();
    }

    #[tokio::test]
    async fn each_way_to_change_a_file_is_seen() {
        let (_kept, dir) = directory();
        let file = dir.join("there/file");
        let files = Files::new();
        files.track(std::slice::from_ref(&file));
        std::fs::create_dir(dir.join("there")).unwrap();
        comes(&files).await;
        files.track(std::slice::from_ref(&file));
        std::fs::write(&file, "in place").unwrap();
        comes(&files).await;
        std::fs::write(dir.join("there/new"), "renamed").unwrap();
        std::fs::rename(dir.join("there/new"), &file).unwrap();
        comes(&files).await;
        std::fs::create_dir(dir.join("other")).unwrap();
        std::fs::rename(dir.join("there"), dir.join("old")).unwrap();
        std::fs::rename(dir.join("other"), dir.join("there")).unwrap();
        comes(&files).await;
        files.track(std::slice::from_ref(&file));
        std::fs::write(&file, "in the directory that took its place").unwrap();
        comes(&files).await;
    }

    #[tokio::test]
    async fn any_name_in_a_directory_is_seen_through_links_and_once_the_directory_is_there() {
        let (_kept, dir) = directory();
        symlink("there", dir.join("link")).unwrap();
        let (files, any) = (Files::new(), dir.join("link/*"));
        files.track(std::slice::from_ref(&any));
        std::fs::create_dir(dir.join("there")).unwrap();
        comes(&files).await;
        files.track(std::slice::from_ref(&any));
        std::fs::write(dir.join("there/new"), "").unwrap();
        comes(&files).await;
        std::fs::remove_file(dir.join("there/new")).unwrap();
        comes(&files).await;
    }

    #[tokio::test]
    async fn another_file_beside_it_is_none_of_its_business() {
        let (_kept, dir) = directory();
        let files = Files::new();
        files.track(&[dir.join("file")]);
        std::fs::write(dir.join("beside"), "").unwrap();
        std::fs::write(dir.join("file"), "").unwrap();
        // Events come in order: had the first one counted, it would be seen here.
        comes(&files).await;
        std::fs::write(dir.join("beside"), "again").unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, files.seen.changed.notified()).await.is_err());
    }
}
