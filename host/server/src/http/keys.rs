//! API keys: how one is written, where they are kept, and how one that a client brings is found.
//!
//! Owns the directory of keys, a file each: of a key only its SHA-256 is there, so whoever reads the directory has none. A key is found by
//! that digest among those that were read, and they are read again when the directory has changed: one that is revoked serves nobody from
//! the next request on, without a restart. When a key was used last is the time of its file, at most a minute old.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files;

/// How every key begins.
const PREFIX: &str = "scoutkey_";
/// Bytes of a key's name.
const ID: usize = 6;
/// Bytes of a key that nobody can guess.
const SECRET: usize = 32;
/// The longest file of a key, in bytes.
const MAX_FILE: u64 = 4 << 10;
/// The most keys.
const MAX_KEYS: usize = 10_000;
/// How old the time of a key's last use may be, in seconds.
const USED: i64 = 60;
/// The time of a directory that has just changed may be that of a later change, too: systems count in steps of up to 10 ms.
const SETTLED: Duration = Duration::from_millis(100);
/// The same of a file system whose times have no fractions: some count in steps of two seconds.
const COARSE: Duration = Duration::from_secs(3);

/// One key, without what makes it one.
#[derive(Debug)]
pub struct Key {
    /// Its name: what it is revoked by.
    pub id: String,
    /// On whose behalf whoever brings it asks.
    pub principal: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; absent: never.
    pub expires: Option<Timestamp>,
    /// When it was used last, in seconds since 1970; 0: never.
    used: AtomicI64,
}

impl Key {
    /// When it was used last, at most a minute old; absent: never.
    pub fn used(&self) -> Option<Timestamp> {
        let used = self.used.load(Ordering::Relaxed);
        if used == 0 { None } else { Timestamp::from_second(used).ok() }
    }

    /// Whether it serves no longer.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Why a key serves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// There is none like it.
    Unknown,
    /// It served until a while ago.
    Expired,
}

/// A key as its file has it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    principal: String,
    sha256: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

type Digest = [u8; 32];

/// The keys that are kept.
#[derive(Debug)]
pub struct Keys {
    directory: PathBuf,
    read: RwLock<Arc<Read>>,
    reading: Mutex<()>,
}

/// What was read of the directory.
#[derive(Debug, Default)]
struct Read {
    keys: HashMap<Digest, Arc<Key>>,
    /// What the directory was then; absent: it has to be read again.
    of: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(directory: &Path) -> Option<Self> {
        let found = directory.metadata().ok()?;
        // Not the time of its content, which anybody who may write it can set, also to one to come.
        Some(Self { file: (found.dev(), found.ino()), changed: (found.ctime(), found.ctime_nsec()) })
    }

    /// Whether no change after `now` can have the same time.
    fn is_settled(self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let since = || Some(Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?));
        since()
            .and_then(|since| now.duration_since(SystemTime::UNIX_EPOCH + since).ok())
            .is_some_and(|age| age > if nanoseconds == 0 { COARSE } else { SETTLED })
    }
}

impl Keys {
    /// Those below a state directory. Nothing is read yet.
    pub fn below(state_dir: &Path) -> Self {
        Self { directory: state_dir.join("keys"), read: RwLock::default(), reading: Mutex::default() }
    }

    /// Makes a key. Gives its text, which nobody can have again.
    ///
    /// # Errors
    /// A directory that cannot be written, or in which there are as many keys as there may be.
    pub fn add(&self, principal: &str, expires: Option<Timestamp>) -> io::Result<String> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        if self.all()?.len() >= MAX_KEYS {
            return Err(io::Error::other(format!("there are {MAX_KEYS} keys already: revoke those that nobody needs")));
        }
        let (mut id, mut secret) = ([0; ID], [0; SECRET]);
        getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut secret)).map_err(io::Error::other)?;
        let id = hex(&id);
        let text = format!("{PREFIX}{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
        let file = KeyFile {
            principal: principal.to_owned(),
            sha256: hex(&Sha256::digest(&text)),
            created: Timestamp::now().to_string(),
            expires: expires.map(|expires| expires.to_string()),
        };
        let path = self.file(&id);
        let made = files::beside(&path, files::PRIVATE)?;
        io::Write::write_all(&mut made.as_file(), toml::to_string(&file).map_err(io::Error::other)?.as_bytes())?;
        // Never used.
        made.as_file().set_modified(SystemTime::UNIX_EPOCH)?;
        made.as_file().sync_all()?;
        made.persist_noclobber(&path)?;
        Ok(text)
    }

    /// All of them, by their names.
    ///
    /// # Errors
    /// A directory that cannot be read. A file that cannot is logged, and its key serves nobody.
    pub fn all(&self) -> io::Result<Vec<Arc<Key>>> {
        let mut keys: Vec<_> = self.read_all()?.into_values().collect();
        keys.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(keys)
    }

    /// Ends a key.
    ///
    /// # Errors
    /// That there is none of this name, or that its file cannot be removed.
    pub fn revoke(&self, id: &str) -> io::Result<()> {
        if !is_id(id) {
            return Err(io::Error::other(format!(
                "a key's name has {} digits, as `scout key list` shows them",
                2 * ID
            )));
        }
        std::fs::remove_file(self.file(id)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                io::Error::other(format!("there is no key `{id}`: `scout key list` has all of them"))
            }
            _ => error,
        })
    }

    /// Ends a key that nobody was told.
    ///
    /// # Errors
    /// As [`Keys::revoke`].
    pub fn forget(&self, text: &str) -> io::Result<()> {
        let id = text.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()).unwrap_or_default();
        self.revoke(id)
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// [`NoKey`].
    pub(super) fn find(&self, text: &str) -> Result<Arc<Key>, NoKey> {
        let digest: Digest = Sha256::digest(text).into();
        let found = self.now().keys.get(&digest).cloned().ok_or(NoKey::Unknown)?;
        let now = Timestamp::now();
        if found.has_expired(now) {
            return Err(NoKey::Expired);
        }
        let used = found.used.load(Ordering::Relaxed);
        if now.as_second() - used >= USED
            && found.used.compare_exchange(used, now.as_second(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let touched = File::open(self.file(&found.id)).and_then(|file| file.set_modified(now.into()));
            if let Err(error) = touched {
                tracing::debug!(key = found.id, %error, "the time of a key's last use is not kept");
            }
        }
        Ok(found)
    }

    /// Those that serve now.
    fn now(&self) -> Arc<Read> {
        self.at(SystemTime::now())
    }

    fn at(&self, at: SystemTime) -> Arc<Read> {
        let now = Stamp::of(&self.directory);
        let is_current = |read: &Read| read.of.is_some() && read.of == now;
        let read = Arc::clone(&self.read.read());
        if is_current(&read) {
            return read;
        }
        let _reading = self.reading.lock();
        let read = Arc::clone(&self.read.read());
        if is_current(&read) {
            return read;
        }
        // Looked at before it is read: what changes meanwhile is read next time.
        let stamp = Stamp::of(&self.directory);
        match self.read_all() {
            Ok(keys) => {
                let read = Arc::new(Read { keys, of: stamp.filter(|stamp| stamp.is_settled(at)) });
                self.read.write().clone_from(&read);
                read
            }
            // Those of before serve, and it is tried again with the next request.
            Err(error) => {
                tracing::warn!(directory = %self.directory.display(), %error, "the API keys cannot be read again");
                read
            }
        }
    }

    fn read_all(&self) -> io::Result<HashMap<Digest, Arc<Key>>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
            entries => entries?,
        };
        let mut keys = HashMap::new();
        for entry in entries {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".toml")).filter(|id| is_id(id)) else {
                continue;
            };
            if keys.len() >= MAX_KEYS {
                return Err(io::Error::other(format!("there are more than {MAX_KEYS} keys")));
            }
            match read(id, &self.file(id)) {
                Ok((digest, key)) => drop(keys.insert(digest, Arc::new(key))),
                // Revoked meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(key = id, %error, "an API key cannot be read, and serves nobody"),
            }
        }
        Ok(keys)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.toml"))
    }
}

/// Whether a text is written as keys are. What is not may be a token.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

fn read(id: &str, path: &Path) -> io::Result<(Digest, Key)> {
    let bytes = files::read_trusted(path, MAX_FILE)?;
    let modified = path.metadata()?.mtime();
    let file: KeyFile = toml::from_slice(&bytes).map_err(io::Error::other)?;
    let time = |text: &str| text.parse::<Timestamp>().map_err(io::Error::other);
    let digest = unhex(&file.sha256).ok_or_else(|| io::Error::other("`sha256` is no SHA-256"))?;
    let key = Key {
        id: id.to_owned(),
        principal: file.principal.into(),
        created: time(&file.created)?,
        expires: file.expires.as_deref().map(time).transpose()?,
        used: AtomicI64::new(modified),
    };
    Ok((digest, key))
}

fn is_id(text: &str) -> bool {
    text.len() == 2 * ID && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Digest> {
    let bytes: Vec<u8> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_serves_until_it_is_revoked_and_is_kept_as_its_digest_only() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        assert_eq!(keys.find("scoutkey_").unwrap_err(), NoKey::Unknown);
        assert_eq!(keys.all().unwrap().len(), 0);
        let text = keys.add("alice", None).unwrap();
        let other = keys.add("bob", None).unwrap();
        assert!(text.starts_with(PREFIX) && text.len() == PREFIX.len() + 12 + 1 + 43, "{text}");
        let key = keys.find(&text).unwrap();
        assert_eq!((&*key.principal, &*keys.find(&other).unwrap().principal), ("alice", "bob"));
        let file = keys.file(&key.id);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&file).unwrap().contains(text.splitn(3, '_').nth(2).unwrap()));
        for near in [&text[..text.len() - 1], &format!("{text}A"), &text.to_uppercase(), &format!("{text} "), ""] {
            assert_eq!(keys.find(near).unwrap_err(), NoKey::Unknown, "{near}");
        }
        // Another process revokes it.
        Keys::below(dir.path()).revoke(&key.id).unwrap();
        assert_eq!(keys.find(&text).unwrap_err(), NoKey::Unknown);
        assert!(keys.find(&other).is_ok());
        assert!(keys.revoke(&key.id).unwrap_err().to_string().contains("there is no key"));
        assert!(keys.revoke("../../etc/x").unwrap_err().to_string().contains("12 digits"));
    }

    #[test]
    fn a_key_ends_when_it_was_to_and_its_last_use_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        let ended = keys.add("alice", Some(Timestamp::now() - Duration::from_secs(1))).unwrap();
        let serves = keys.add("alice", Some(Timestamp::now() + Duration::from_secs(3600))).unwrap();
        assert_eq!(keys.find(&ended).unwrap_err(), NoKey::Expired);
        let all = || keys.all().unwrap();
        assert!(all().iter().all(|key| key.used().is_none()));
        keys.find(&serves).unwrap();
        let used: Vec<_> =
            all().iter().map(|key| (key.expires > Some(Timestamp::now()), key.used().is_some())).collect();
        assert!(used.contains(&(true, true)) && used.contains(&(false, false)), "{used:?}");
    }

    #[test]
    fn a_file_that_others_may_write_or_that_is_no_key_serves_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        let (one, other) = (keys.add("alice", None).unwrap(), keys.add("bob", None).unwrap());
        let (exposed, broken) = (keys.find(&one).unwrap(), keys.find(&other).unwrap());
        std::fs::set_permissions(keys.file(&exposed.id), std::fs::Permissions::from_mode(0o606)).unwrap();
        std::fs::write(keys.file(&broken.id), "principal = \"root\"").unwrap();
        let keys = Keys::below(dir.path());
        assert_eq!((keys.find(&one).unwrap_err(), keys.find(&other).unwrap_err()), (NoKey::Unknown, NoKey::Unknown));
    }

    #[test]
    fn the_directory_is_read_once_while_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        let text = keys.add("alice", None).unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        let read = keys.at(later);
        assert!(Arc::ptr_eq(&read, &keys.at(later)) && keys.find(&text).is_ok());
        // What somebody says of the time of its content is not asked.
        File::open(&keys.directory).unwrap().set_modified(later + Duration::from_secs(3600)).unwrap();
        let read = keys.at(later);
        assert!(Arc::ptr_eq(&read, &keys.at(later)));
        // It has changed a moment ago: another key may be made in the same one.
        let more = keys.add("bob", None).unwrap();
        assert!(!Arc::ptr_eq(&keys.now(), &keys.now()));
        assert!(keys.find(&more).is_ok());
    }
}
