//! The revision that serves now, and how another takes its place: at SIGHUP, or when a file that it was made of changes.
//!
//! Invariant: there is always one that serves. A configuration that cannot be used changes nothing and is told once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use scout_runtime::fault;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::{Config, ConfigError, Flags};
use crate::plugins::replacement_files;
use crate::revision::{Draft, Revision};
use crate::watch::Files;

/// The revision that serves.
pub struct Live {
    current: watch::Sender<Arc<Revision>>,
    /// Why the configuration on disk does not serve.
    refused: Mutex<Option<String>>,
}

impl Live {
    /// With this revision, for as long as nobody runs [`Renewal::run`].
    pub fn new(first: Revision) -> Self {
        Self { current: watch::Sender::new(Arc::new(first)), refused: Mutex::default() }
    }

    /// The revision for a call that begins now.
    pub fn revision(&self) -> Arc<Revision> {
        Arc::clone(&self.current.borrow())
    }

    /// Changes with each revision.
    pub(crate) fn revisions(&self) -> watch::Receiver<Arc<Revision>> {
        self.current.subscribe()
    }

    /// Why the configuration on disk does not serve, if so.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.lock().clone()
    }

    fn serve(&self, next: Revision) {
        let (revision, tools_changed) = (next.number, !next.lists_the_same(&self.revision()));
        self.current.send_replace(Arc::new(next));
        tracing::info!(revision, tools_changed, "a changed configuration serves");
    }
}

/// What makes a [`Live`] follow its configuration.
pub struct Renewal {
    live: Arc<Live>,
    flags: Flags,
    files: Arc<Files>,
    hangup: Signal,
}

/// What asks for a look at the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    File,
    Signal,
}

impl Renewal {
    /// Begins to catch SIGHUP and to watch the files of `config`, which `flags` came to. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// A signal that cannot be caught. Files that cannot be watched are no error: SIGHUP does the same.
    pub fn new(live: Arc<Live>, flags: Flags, config: &Config) -> io::Result<Self> {
        let files = Arc::new(Files::new());
        files.track(&files_of(config, live.revision().included()));
        Ok(Self { live, flags, files, hangup: signal(SignalKind::hangup())? })
    }

    /// Follows the configuration until it is dropped.
    pub async fn run(mut self) {
        // What changed between the first look and the watch.
        let mut cause = Cause::File;
        loop {
            self.renew(cause).await;
            cause = tokio::select! {
                _ = self.hangup.recv() => Cause::Signal,
                () = self.files.changed() => Cause::File,
            };
        }
    }

    /// Looks at the configuration; a changed one serves when all of it is loaded that needs no network.
    async fn renew(&self, cause: Cause) {
        let current = self.live.revision();
        // The first one may still be compiled, and only what serves is taken over. What is fetched is not waited for: another
        // configuration may be what ends that.
        current.plugins.at_hand().await;
        let read = {
            let (flags, files, current) = (self.flags.clone(), Arc::clone(&self.files), Arc::clone(&current));
            tokio::task::spawn_blocking(move || {
                let draft = read(&flags, &files, &current)?;
                if cause == Cause::File && current.is_of(&draft) {
                    return Ok(None);
                }
                let hosts = draft.hosts()?;
                Ok::<_, ConfigError>(Some((draft, hosts)))
            })
        };
        let changed = match read.await {
            Ok(Ok(changed)) => changed,
            Ok(Err(error)) => return self.refuse(&error, cause),
            Err(error) => {
                return self.refuse(&ConfigError::new(fault("a configuration was being read", error)), cause);
            }
        };
        self.accept();
        let Some((draft, hosts)) = changed else { return };
        let (next, errors) = current.next(draft, hosts).await;
        if !errors.is_empty() {
            tracing::warn!(plugins = errors.len(), "some plugins are not as the configuration has them");
        }
        self.live.serve(next);
    }

    fn accept(&self) {
        *self.live.refused.lock() = None;
    }

    /// Tells why a configuration does not serve; the same again only to who asks.
    fn refuse(&self, error: &ConfigError, cause: Cause) {
        let mut refused = self.live.refused.lock();
        let why = error.to_string();
        if cause == Cause::Signal || refused.as_ref() != Some(&why) {
            tracing::error!(%error, "the changed configuration cannot be used, the one before goes on");
        }
        *refused = Some(why);
        drop(refused);
        self.live.revision().plugins.changed().notify_one();
    }
}

/// Reads the configuration of now, whose files are watched from before that on: a change since then is another look.
fn read(flags: &Flags, files: &Files, current: &Revision) -> Result<Draft, ConfigError> {
    let read = |included: &[PathBuf]| {
        let config = Config::load(flags)?;
        files.track(&files_of(&config, included));
        current.check(&config)?;
        let draft = Draft::read(config.clone());
        let found = match &draft {
            Ok(draft) => draft.included().to_vec(),
            // Of a file that cannot be read nothing is known but itself.
            Err(_) => config.ssh().map(|ssh| ssh.included().to_vec()).unwrap_or_default(),
        };
        Ok((draft, found))
    };
    let (draft, found) = read(current.included())?;
    if found == current.included() {
        return draft;
    }
    // Those that are new were read before they were watched. Once more is enough: if there are others again, a file that is watched
    // has changed.
    read(&found)?.0
}

fn files_of(config: &Config, included: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = config.watched(included);
    files.extend(replacement_files(config));
    files
}
