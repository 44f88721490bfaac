//! Whether the handlers that Scout brings along were compiled here before. wasmtime's cache tells nobody what is in it, so it is
//! written beside it once they serve. Who relies on it in vain waits some tenths of a second at the first call.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::arrange::LoadState;
use super::{Engine, Reading};
use crate::config::Config;
use crate::files;

/// In the directory of the cache.
const FILE: &str = "handlers";
/// Bytes of a digest in hexadecimal.
const DIGEST: u64 = 64;

/// What tells that they were.
pub(super) struct Compiled {
    file: PathBuf,
    digest: String,
}

impl Compiled {
    /// Of the plugins of a configuration. `None` where nothing is kept, or others are asked for, which are loaded at once.
    pub(super) fn new(config: &Config, reading: &Reading) -> Option<Self> {
        let dir = config.cache_dir.as_ref().filter(|_| reading.is_brought_along())?;
        let mut hasher = Sha256::new_with_prefix(env!("CARGO_PKG_VERSION"));
        for digest in reading.digests().flatten() {
            hasher.update(digest);
        }
        let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self { file: dir.join(FILE), digest })
    }

    /// Whether an earlier process has loaded them.
    pub(super) fn is_known(&self) -> bool {
        files::read_own(&self.file, DIGEST).is_ok_and(|known| known == self.digest.as_bytes())
    }

    /// Remembers that they are compiled, once all of them serve.
    pub(super) async fn remember(self, engine: Engine, mut state: watch::Receiver<Arc<LoadState>>) {
        let serve = state.wait_for(|state| state.is_decided()).await.is_ok_and(|state| state.errors().is_empty());
        let is_kept = matches!(&*engine.borrow(), Some(Ok(runtime)) if runtime.keeps_compiled());
        if serve
            && is_kept
            && let Ok(Err(error)) = tokio::task::spawn_blocking(move || self.write()).await
        {
            tracing::debug!(%error, "that the handlers are compiled is not remembered");
        }
    }

    fn write(&self) -> io::Result<()> {
        let mut new = files::beside(&self.file, files::PRIVATE)?;
        new.write_all(self.digest.as_bytes())?;
        new.persist(&self.file)?;
        Ok(())
    }
}
