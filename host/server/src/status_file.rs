//! What a running `scout serve` tells other processes of itself: a small file in the state directory, made anew at each
//! change of its plugins, and a few seconds after its numbers have changed. `scout plugin list` reads those of all.
//!
//! Invariant: a file counts only as long as its process holds the lock beside it, so what a killed process left behind, or
//! one in another container with the same number, misleads nobody. Nothing is ever read back by the process that serves.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scout_ssh::local_file;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::files;
use crate::plugins::PluginStatus;
use crate::tally::CallCounts;
use crate::tenant::Tenant;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Processes that are told of.
const MAX_PROCESSES: usize = 100;

/// Hosts that are named.
const MAX_HOSTS: usize = 1000;

/// How old the numbers in the file may be.
const NUMBERS: Duration = Duration::from_secs(5);

/// A running `scout serve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its process id.
    pub pid: u32,
    /// When it started, RFC 3339.
    pub since: String,
    /// Its `scout.toml`, if it has one.
    pub config: Option<PathBuf>,
    /// How many configurations have served, this one included.
    pub revision: u64,
    /// Why the configuration on disk does not serve, if so.
    pub refused: Option<String>,
    /// Its plugins.
    pub plugins: Vec<PluginStatus>,
    /// What it has done so far.
    #[serde(default)]
    pub numbers: Numbers,
}

/// What a process has done since its start, and its connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Calls by plugin and tool.
    pub calls: Vec<CallCounts>,
    /// Connections that are there now.
    pub connections: u64,
    /// Connections that are being made now.
    pub dialing: u64,
    /// Requests that wait now for a connection, or for their turn on one.
    pub waiting: u64,
    /// Connections that were begun.
    pub dials: u64,
    /// Hosts where commands that only read were found to run in no shell that stays, and why, behind "because"; so many at most.
    #[serde(default)]
    pub hosts_without_shells: BTreeMap<String, String>,
}

impl Numbers {
    /// Those of now.
    fn of(tenant: &Tenant) -> Self {
        let pool = tenant.pool().snapshot();
        let (connections, dialing, waiting, dials) = (pool.ready, pool.dialing, pool.waiters, pool.dials);
        let without_shells = tenant.pool().hosts_without_shells(tenant.id()).into_iter();
        Self {
            calls: tenant.tally().counts(),
            connections,
            dialing,
            waiting,
            dials,
            hosts_without_shells: without_shells.map(|(host, why)| (host, why.to_owned())).take(MAX_HOSTS).collect(),
        }
    }

    /// Waits until there are others.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    async fn changed(&self, tenant: &Tenant) {
        loop {
            tokio::time::sleep(NUMBERS).await;
            if Self::of(tenant) != *self {
                return;
            }
        }
    }
}

/// The place of this process's file. Dropping it removes the file.
pub(crate) struct StatusFile {
    file: PathBuf,
    since: String,
    /// Held as long as the process lives.
    _lock: NamedTempFile,
}

impl StatusFile {
    /// Makes a place in `dir`, and removes what processes that have ended left there.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        for (file, lock) in left_behind(dir)? {
            drop((std::fs::remove_file(file), std::fs::remove_file(lock)));
        }
        let prefix = format!("{}-", std::process::id());
        let lock = tempfile::Builder::new().prefix(&prefix).suffix(".lock").tempfile_in(dir)?;
        lock.as_file().try_lock()?;
        let since = format!("{:.0}", jiff::Timestamp::now());
        Ok(Self { file: lock.path().with_extension("json"), since, _lock: lock })
    }

    fn write(&self, tenant: &Tenant, numbers: Numbers) -> io::Result<()> {
        let revision = tenant.revision();
        let serving = ProcessStatus {
            pid: std::process::id(),
            since: self.since.clone(),
            config: revision.config().file.clone(),
            revision: revision.number,
            refused: tenant.live().refused(),
            plugins: revision.plugins.status(),
            numbers,
        };
        let mut new = files::beside(&self.file, files::PRIVATE)?;
        new.write_all(&serde_json::to_vec(&serving)?)?;
        new.persist(&self.file)?;
        Ok(())
    }

    /// Keeps the file true until it is dropped.
    pub(crate) async fn keep(self: Arc<Self>, tenant: Arc<Tenant>) {
        let mut revisions = tenant.live().revisions();
        loop {
            let revision = Arc::clone(&revisions.borrow_and_update());
            let numbers = Numbers::of(&tenant);
            let written = {
                let (status_file, tenant, numbers) = (Arc::clone(&self), Arc::clone(&tenant), numbers.clone());
                tokio::task::spawn_blocking(move || status_file.write(&tenant, numbers)).await
            };
            match written {
                Ok(Ok(())) => tracing::debug!(file = %self.file.display(), "how this process is, is written"),
                Ok(Err(error)) => {
                    tracing::warn!(file = %self.file.display(), %error, "`scout plugin list` does not see this process");
                }
                Err(_panicked_or_ending) => return,
            }
            let changed = revision.plugins.changed();
            tokio::select! {
                () = changed.notified() => {}
                () = numbers.changed(&tenant) => {}
                changed = revisions.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.file));
    }
}

/// All processes that serve now, by their start.
///
/// # Errors
/// A directory that cannot be read. One that is not there is empty; a file that cannot be understood is passed over.
pub fn serving(dir: &Path) -> io::Result<Vec<ProcessStatus>> {
    let mut found: Vec<ProcessStatus> = files(dir)?
        .into_iter()
        .filter(|(_, lock)| is_held(lock))
        .filter_map(|(file, _)| {
            let bytes = files::read_own(&file, MAX_FILE).ok()?;
            serde_json::from_slice(&bytes).ok()
        })
        .take(MAX_PROCESSES)
        .collect();
    found.sort_by(|a, b| (&a.since, a.pid).cmp(&(&b.since, b.pid)));
    Ok(found)
}

fn left_behind(dir: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    Ok(files(dir)?.into_iter().filter(|(_, lock)| !is_held(lock)).collect())
}

/// The files in the directory, each with its lock.
fn files(dir: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(files.map(|file| (file.clone(), file.with_extension("lock"))).collect())
}

fn is_held(lock: &Path) -> bool {
    local_file::open(lock).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn some() -> ProcessStatus {
        let (since, plugins, numbers) = (String::new(), Vec::new(), Numbers::default());
        ProcessStatus { pid: 7, since, config: None, revision: 1, refused: None, plugins, numbers }
    }

    #[test]
    fn what_a_process_that_has_ended_left_behind_does_not_count_and_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("serving");
        assert_eq!(serving(&at).unwrap(), []);
        let status_file = StatusFile::new(&at).unwrap();
        std::fs::write(&status_file.file, serde_json::to_vec(&some()).unwrap()).unwrap();
        let stale = at.join("8-x.json");
        std::fs::write(&stale, serde_json::to_vec(&some()).unwrap()).unwrap();
        std::fs::write(stale.with_extension("lock"), "").unwrap();
        assert_eq!(serving(&at).unwrap(), [some()]);
        let other = StatusFile::new(&at).unwrap();
        assert!(!stale.exists() && status_file.file.exists());
        drop((status_file, other));
        assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let status_file = StatusFile::new(dir.path()).unwrap();
        std::fs::write(&status_file.file, "{").unwrap();
        assert_eq!(serving(dir.path()).unwrap(), []);
    }
}
