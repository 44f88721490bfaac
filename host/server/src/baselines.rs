//! Where a tenant's baselines are kept: files below its state directory, which no other account reads.
//!
//! A baseline is `baselines/DIGEST`, where the digest is of whose it is, of which host and under which name; its time is the file's. Bounds
//! how many there are and how much they take. What is written has its name when it is whole. Two processes that store at once may
//! go beyond a bound by what each writes.

use std::fs::{DirBuilder, ReadDir};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use scout_machine::transfer::{Digest, hex};
use scout_machine::{ErrorKind, HostError};
use scout_runtime::{Baseline, BaselineKey, Baselines, MAX_BASELINE};
use sha2::{Digest as _, Sha256};

use crate::files;

/// The most baselines of one tenant.
const MAX_COUNT: usize = 1000;
/// The most bytes of them together.
const MAX_BYTES: u64 = 64 << 20;
/// What a file begins with: whoever reads another kind of file says so.
const MAGIC: &[u8] = b"scout baseline 1\n";

/// The baselines that are kept in a directory, made when the first one is stored.
#[derive(Debug)]
pub(crate) struct KeptBaselines {
    directory: PathBuf,
    /// One is stored at a time.
    storing: Mutex<()>,
}

impl KeptBaselines {
    /// Those of whoever has this state directory.
    pub(crate) fn below(state_directory: &Path) -> Self {
        Self { directory: state_directory.join("baselines"), storing: Mutex::default() }
    }

    /// Where one lies. Each part is told with its length: no two have the same text.
    fn path(&self, key: &BaselineKey) -> PathBuf {
        let BaselineKey { principal, plugin, host, name } = key;
        let tenant = principal.tenant().to_string();
        let mut digest = Sha256::new();
        for part in [tenant.as_str(), principal.name(), plugin.as_str(), host, name] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let digest: Digest = digest.finalize().into();
        self.directory.join(hex(&digest))
    }

    fn amiss(&self, what: &str, error: &io::Error) -> HostError {
        tracing::warn!(%error, directory = %self.directory.display(), "a baseline cannot be {what}");
        HostError::new(ErrorKind::Remote, format!("the baseline cannot be {what} on the machine that Scout runs on"))
            .with_hint("Scout's log says why; the operator sees to the state directory")
    }

    /// Whether one of so many bytes has room in the place of what is at its path.
    fn has_room(&self, path: &Path, bytes: u64, listed: ReadDir) -> io::Result<Result<(), HostError>> {
        let (mut count, mut total) = (1, bytes);
        for entry in listed {
            let entry = entry?;
            if entry.path() != path {
                (count, total) = (count + 1, total + entry.metadata()?.len());
            }
        }
        if count <= MAX_COUNT && total <= MAX_BYTES {
            return Ok(Ok(()));
        }
        let message = format!("{MAX_COUNT} baselines, or {} MiB of them, are kept already", MAX_BYTES >> 20);
        let hint = format!("the operator removes those that nobody needs in {}", self.directory.display());
        Ok(Err(HostError::new(ErrorKind::Exhausted, message).with_hint(hint)))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<Result<u64, HostError>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let _one = self.storing.lock();
        let bytes = (MAGIC.len() + content.len()) as u64;
        if let Err(full) = self.has_room(path, bytes, std::fs::read_dir(&self.directory)?)? {
            return Ok(Err(full));
        }
        let mut file = files::beside(path, files::PRIVATE)?;
        file.write_all(MAGIC)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())))
    }

    fn read(path: &Path) -> io::Result<Baseline> {
        let taken = u64::try_from(path.metadata()?.mtime()).unwrap_or(0);
        let bytes = files::read_trusted(path, (MAGIC.len() + MAX_BASELINE) as u64)?;
        let content = bytes.strip_prefix(MAGIC).ok_or_else(|| io::Error::other("it is no baseline of this Scout"))?;
        Ok(Baseline { content: content.to_vec(), taken })
    }
}

impl Baselines for KeptBaselines {
    fn load(&self, key: &BaselineKey) -> Result<Option<Baseline>, HostError> {
        match Self::read(&self.path(key)) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.amiss("read", &error)),
        }
    }

    fn store(&self, key: &BaselineKey, content: &[u8]) -> Result<u64, HostError> {
        self.write(&self.path(key), content).map_err(|error| self.amiss("written", &error))?
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::Principal;
    use scout_runtime::PluginId;

    use super::*;

    fn key(tenant: &str, principal: &str, plugin: &str, host: &str, name: &str) -> BaselineKey {
        let (principal, plugin) = (Principal::new(tenant, principal), PluginId::new(plugin).unwrap());
        BaselineKey { principal, plugin, host: host.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn what_is_kept_is_found_by_whoever_kept_it_and_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptBaselines::below(directory.path());
        let own = key("a", "ann", "changes", "web1", "all");
        assert_eq!(kept.load(&own).unwrap(), None);
        let taken = kept.store(&own, b"one").unwrap();
        assert!(taken > 1_700_000_000);
        kept.store(&own, b"two").unwrap();
        assert_eq!(KeptBaselines::below(directory.path()).load(&own).unwrap().unwrap().content, b"two");
        for other in [
            key("b", "ann", "changes", "web1", "all"),
            key("a", "bob", "changes", "web1", "all"),
            key("a", "ann", "other", "web1", "all"),
            key("a", "ann", "changes", "web2", "all"),
            key("a", "ann", "changes", "web1", "al"),
            key("a", "ann", "changes", "web1a", "ll"),
        ] {
            assert_eq!(kept.load(&other).unwrap(), None, "{other:?}");
        }
    }

    #[test]
    fn no_other_account_reads_them_and_a_file_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptBaselines::below(&directory.path().join("scout"));
        let own = key("a", "ann", "changes", "web1", "all");
        kept.store(&own, b"one").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        let path = kept.path(&own);
        assert_eq!((mode(&kept.directory), mode(&path)), (0o700, 0o600));
        std::fs::write(&path, "other").unwrap();
        assert_eq!(kept.load(&own).unwrap_err().kind(), ErrorKind::Remote);
        kept.store(&own, b"").unwrap();
        assert_eq!(kept.load(&own).unwrap().unwrap().content, b"");
    }

    #[test]
    fn how_many_there_are_and_how_much_they_take_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptBaselines::below(directory.path());
        let own = key("a", "ann", "changes", "web1", "all");
        kept.store(&own, b"one").unwrap();
        let fill = kept.directory.join("large");
        std::fs::File::create(&fill).unwrap().set_len(MAX_BYTES - 39).unwrap();
        kept.store(&own, b"two").unwrap();
        let full = kept.store(&key("a", "ann", "changes", "web2", "all"), b"one").unwrap_err();
        assert!(full.kind() == ErrorKind::Exhausted && full.message().contains("64 MiB"), "{full}");
        std::fs::remove_file(fill).unwrap();
        for at in 0..MAX_COUNT {
            std::fs::write(kept.directory.join(at.to_string()), "").unwrap();
        }
        assert_eq!(kept.store(&own, b"three").unwrap_err().kind(), ErrorKind::Exhausted, "more than there may be");
        std::fs::remove_file(kept.directory.join("1")).unwrap();
        kept.store(&own, b"three").unwrap();
        assert_eq!(kept.load(&own).unwrap().unwrap().content, b"three");
    }
}
