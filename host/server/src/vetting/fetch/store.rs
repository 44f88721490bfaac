//! Fetched components by their digest, in a directory of this account's own. Checked again whenever they are read.

use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Fetched, MAX_SIGNATURE};
use crate::config::Digest;
use crate::files;

/// Files that are kept; the oldest go first.
const MAX_FILES: usize = 200;

/// The directory.
pub(super) struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens the store in the cache directory; makes it if it is missing.
    ///
    /// # Errors
    /// A directory that another account could write.
    pub(super) fn open(cache_dir: &Path) -> Result<Self, String> {
        let dir = cache_dir.join("fetched");
        let told = |error: std::io::Error| format!("{} cannot hold fetched plugins: {error}", dir.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(told)?;
        let metadata = fs::symlink_metadata(&dir).map_err(told)?;
        let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !is_own || metadata.mode() & 0o022 != 0 {
            return Err(format!(
                "{} must be a directory that only this account can write; remove it or run chmod 700 on it",
                dir.display()
            ));
        }
        Ok(Self { dir })
    }

    /// The component of this digest, if its bytes are still that.
    pub(super) fn component(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest, "wasm");
        let bytes = files::read_component(&path).ok()?;
        if Digest::of(&bytes) != *digest {
            tracing::warn!(path = %path.display(), "a kept plugin has changed on disk and is fetched again");
            return None;
        }
        Some(bytes)
    }

    /// The signature that was fetched with a component. Nothing is known of it.
    pub(super) fn signature(&self, digest: &Digest) -> Option<Vec<u8>> {
        files::read(&self.path(digest, "sig"), MAX_SIGNATURE).ok()
    }

    /// Keeps what was fetched. That it cannot be kept is no failure: it is fetched again.
    pub(super) fn keep(&self, digest: &Digest, fetched: &Fetched) {
        let kept = self.write(&self.path(digest, "wasm"), &fetched.bytes).and_then(|()| match &fetched.signature {
            Some(signature) => self.write(&self.path(digest, "sig"), signature),
            None => Ok(()),
        });
        if let Err(error) = kept.and_then(|()| self.prune()) {
            tracing::warn!(%error, dir = %self.dir.display(), "a fetched plugin cannot be kept");
        }
    }

    fn path(&self, digest: &Digest, extension: &str) -> PathBuf {
        self.dir.join(format!("{digest}.{extension}"))
    }

    /// At once: another process never reads half a file.
    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = files::beside(path, files::PRIVATE)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    fn prune(&self) -> std::io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let excess = files.len().saturating_sub(MAX_FILES);
        files.iter().take(excess).try_for_each(|(_, path)| fs::remove_file(path))
    }
}
