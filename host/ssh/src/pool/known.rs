//! What known_hosts was like when a host's key was not accepted.
//!
//! As long as that is so, the host is not asked again: it would say the same, and sshd counts each question against this
//! machine's address.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::{DialConfig, HostSpec};

/// The files that decide about the keys of a host and of those on the way to it, as they were at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, Option<State>)>);

/// Inode, bytes, and the times of the last change of content and of attributes, in seconds and nanoseconds.
type State = (u64, u64, [i64; 4]);

impl Stamp {
    /// As they are now.
    pub(super) async fn of(spec: &HostSpec, config: &DialConfig) -> Self {
        let mut files: Vec<PathBuf> = Vec::new();
        for stop in spec.way() {
            let known = config.known_hosts_of(&stop).all().map(Path::to_path_buf);
            let named: Vec<PathBuf> = known.chain(stop.revoked_host_keys.iter().cloned()).collect();
            files.extend(named);
        }
        files.sort_unstable();
        files.dedup();
        Self::taken(files).await
    }

    /// Whether they are so still.
    pub(super) async fn is_current(&self) -> bool {
        Self::taken(self.0.iter().map(|(file, _)| file.clone()).collect()).await == *self
    }

    async fn taken(files: Vec<PathBuf>) -> Self {
        let unknown: Vec<_> = files.iter().map(|file| (file.clone(), None)).collect();
        let look =
            move || files.into_iter().map(|file| (state(&file), file)).map(|(state, file)| (file, state)).collect();
        // A task that panics or is not run has seen nothing.
        Self(tokio::task::spawn_blocking(look).await.unwrap_or(unknown))
    }
}

fn state(file: &Path) -> Option<State> {
    let found = file.metadata().ok()?;
    Some((found.ino(), found.len(), [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()]))
}
