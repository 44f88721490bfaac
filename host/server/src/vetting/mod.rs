//! Which components may be compiled: those of the digest, the signer and the description that were vetted.
//!
//! Owns the order of the questions: the bytes, their digest, who signed them, what `scout.lock` says; then, once the plugin
//! is compiled and has described itself, whether it describes itself as it did when it was vetted. Knows no MCP and
//! compiles nothing; `examine` does, in a process of its own.

mod arguments;
pub(crate) mod examine;
mod fetch;
mod lock;
mod pattern;
mod smoke;
mod surface;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use scout_runtime::{Grants, Plugin};
use scout_ssh::local_file;
use scout_ssh::sshsig::{AllowedSigners, Signer};

use crate::config::{Config, Digest, Source, Vetting, signature_file};
use crate::files;
use fetch::{FetchError, FetchRequest, Fetched, Fetcher, MAX_SIGNATURE};

pub use lock::{Entry, Lock, grant_names};
pub use surface::{Changes, Surface};

/// What a signature of a plugin is for: one made for anything else does not count.
pub const NAMESPACE: &str = "scout-plugin";

/// What one plugin must be before it is compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    name: String,
    source: Source,
    /// The `sha256` of `scout.toml`.
    pin: Option<Digest>,
    /// Who must have signed it; empty: any allowed signer. Absent: nobody.
    signed_by: Option<Vec<String>>,
    allowed_signers: Option<PathBuf>,
    grants: Grants,
    locked: Option<Entry>,
    lock_file: PathBuf,
    fetcher: Fetcher,
}

/// A component that may be compiled.
#[derive(Debug)]
pub struct Admitted {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Who signed it, if it was asked.
    pub signer: Option<Signer>,
}

impl Admission {
    /// What binds the plugin `name` that comes from `source` and is granted `grants`.
    pub fn new(config: &Config, lock: &Lock, name: &str, source: Source, grants: Grants) -> Self {
        let Vetting { lock_file, allowed_signers, require_signature, docker_config, agent: _ } = &config.vetting;
        let configured = config.plugins.get(name);
        let named = configured.map(|plugin| plugin.signed_by.clone()).unwrap_or_default();
        Self {
            name: name.to_owned(),
            source,
            pin: configured.and_then(|plugin| plugin.sha256.clone()),
            signed_by: (*require_signature || !named.is_empty()).then_some(named),
            allowed_signers: allowed_signers.clone(),
            grants,
            locked: lock.entry(name).cloned(),
            lock_file: lock_file.clone(),
            fetcher: Fetcher::new(config.cache_dir.clone(), docker_config.clone()),
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What `scout.lock` says of it.
    pub fn locked(&self) -> Option<&Entry> {
        self.locked.as_ref()
    }

    /// Which bytes it must be, by `scout.toml` or else by `scout.lock`.
    pub fn pinned(&self) -> Option<&Digest> {
        self.pin.as_ref().or(self.locked.as_ref().map(|entry| &entry.sha256))
    }

    /// The plugin's bytes, if they are what they must be. Blocks for the file or the network, at most two minutes.
    ///
    /// # Errors
    /// What is not as it must be, and what to do, as the rest of a sentence that begins with the plugin's name.
    pub fn admit(&self) -> Result<Admitted, String> {
        self.check_before()?;
        self.check(self.obtain(FetchRequest {
            pinned: self.pinned(),
            signed: self.signed_by.is_some(),
            fresh: false,
        })?)
    }

    /// The same for what comes over a network, without asking it: `None` if it was not kept from an earlier time.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub fn admit_kept(&self) -> Result<Option<Admitted>, String> {
        self.check_before()?;
        let kept = self.pinned().map(|pinned| self.fetcher.kept(pinned, self.signed_by.is_some()));
        let kept = kept.transpose().map_err(|why| format!("cannot be fetched: {why}"))?.flatten();
        kept.map(|kept| self.check(kept)).transpose()
    }

    fn check_before(&self) -> Result<(), String> {
        if self.source.is_remote() && self.pinned().is_none() {
            return Err(format!(
                "comes from {} and nothing says which bytes it must be: run `scout plugin vet {}`, which shows it and writes {}",
                self.source,
                self.name,
                self.lock_file.display()
            ));
        }
        self.check_lock()
    }

    /// The same for bytes that were read already, from [`Admission::source`].
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub fn admit_read(&self, bytes: Vec<u8>) -> Result<Admitted, String> {
        self.check_lock()?;
        let signature = match (&self.signed_by, &self.source) {
            (Some(_), Source::File(path)) => signature_beside(path)?,
            _ => None,
        };
        self.check(Fetched { bytes, signature })
    }

    /// The bytes as they are now, whatever was vetted before; with who signed them, if anybody can tell.
    ///
    /// # Errors
    /// Bytes that are not to be had, those that `scout.toml` does not mean, and a signature that does not count.
    pub fn look(&self) -> Result<Admitted, String> {
        let signed = self.allowed_signers.is_some();
        let fetched = self.obtain(FetchRequest { pinned: self.pin.as_ref(), signed, fresh: true })?;
        self.check_pin(&fetched.bytes)?;
        // A signature that is there and does not count is told, also if none is asked for.
        let wanted = self
            .signed_by
            .clone()
            .or_else(|| (self.allowed_signers.is_some() && fetched.signature.is_some()).then(Vec::new));
        self.with_signer(fetched, wanted.as_deref())
    }

    /// How far it is vetted: `vetted`, `pinned` or `unvetted`.
    pub fn standing(&self) -> &'static str {
        match (&self.locked, &self.pin) {
            (Some(_), _) => "vetted",
            (None, Some(_)) => "pinned",
            (None, None) => "unvetted",
        }
    }

    /// Whether the loaded plugin describes itself as it did when it was vetted.
    ///
    /// # Errors
    /// That it does not, as the rest of a sentence that begins with its name.
    pub fn check_described(&self, plugin: &Plugin) -> Result<(), String> {
        match &self.locked {
            Some(entry) if !entry.surface.describes(plugin) => Err(format!(
                "describes itself otherwise than {} says, as with other settings: run `scout plugin vet {}`",
                self.lock_file.display(),
                self.name
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn obtain(&self, asked: FetchRequest<'_>) -> Result<Fetched, String> {
        match &self.source {
            Source::File(path) => Ok(Fetched {
                bytes: files::read_serving_component(path)
                    .map_err(|error| format!("cannot be read from {}: {error}", path.display()))?,
                signature: if asked.signed { signature_beside(path)? } else { None },
            }),
            Source::Https(_) | Source::Oci(_) => self.fetcher.fetch(&self.source, asked).map_err(|error| match error {
                FetchError::OtherBytes(seen) => self.differs(&seen),
                FetchError::Failed(why) => format!("cannot be fetched: {why}"),
            }),
            Source::Bundled => Err("is a part of Scout and needs no vetting".to_owned()),
        }
    }

    /// What can be said before there are bytes: whether `scout.lock` is about this plugin as `scout.toml` has it.
    fn check_lock(&self) -> Result<(), String> {
        let Some(entry) = &self.locked else { return Ok(()) };
        let (lock, name) = (self.lock_file.display(), &self.name);
        let again = format!("run `scout plugin vet {name}`");
        if let Some(pin) = &self.pin
            && *pin != entry.sha256
        {
            return Err(format!("has the sha256 {pin} in scout.toml and {} in {lock}: {again}", entry.sha256));
        }
        let granted = grant_names(self.grants);
        let more: Vec<&str> =
            granted.iter().filter(|grant| !entry.grants.contains(grant)).map(String::as_str).collect();
        if !more.is_empty() {
            return Err(format!(
                "is granted {}, which it was not when it was vetted ({lock}): {again}",
                more.join(", ")
            ));
        }
        if entry.source != shown(&self.source, &self.lock_file) {
            return Err(format!("comes from {} now, and {lock} is about {}: {again}", self.source, entry.source));
        }
        Ok(())
    }

    fn check(&self, fetched: Fetched) -> Result<Admitted, String> {
        self.check_pin(&fetched.bytes)?;
        if let Some(entry) = &self.locked {
            let seen = Digest::of(&fetched.bytes);
            if seen != entry.sha256 {
                return Err(self.differs(&seen));
            }
        }
        self.with_signer(fetched, self.signed_by.as_deref())
    }

    fn check_pin(&self, bytes: &[u8]) -> Result<(), String> {
        match &self.pin {
            Some(pin) if Digest::of(bytes) != *pin => Err(self.differs(&Digest::of(bytes))),
            Some(_) | None => Ok(()),
        }
    }

    /// What is said of bytes that are not those that are pinned, by `scout.toml` or else by `scout.lock`.
    fn differs(&self, seen: &Digest) -> String {
        let name = &self.name;
        match (&self.pin, &self.locked) {
            (Some(_), _) => format!(
                "is not what scout.toml pins: its sha256 is {seen}; if these are the right bytes, write sha256 = \"{seen}\" into [plugins.{name}]"
            ),
            (None, Some(entry)) => format!(
                "has changed since it was vetted (sha256 {seen} instead of {} in {}): `scout plugin vet {name}` shows what is new",
                entry.sha256,
                self.lock_file.display(),
            ),
            (None, None) => format!("has the sha256 {seen}"),
        }
    }

    fn with_signer(&self, fetched: Fetched, wanted: Option<&[String]>) -> Result<Admitted, String> {
        let Some(among) = wanted else { return Ok(Admitted { bytes: fetched.bytes, signer: None }) };
        let file = self.allowed_signers.as_ref().ok_or("must be signed, and `allowed_signers` is not set")?;
        let Some(signature) = &fetched.signature else {
            return Err(format!("must be signed and is not: {}", how_to_sign(&self.source)));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let signer = AllowedSigners::load(file)
            .map_err(|why| format!("cannot be checked: allowed_signers {why}"))?
            .verify(&fetched.bytes, signature, NAMESPACE, among, now)?;
        Ok(Admitted { bytes: fetched.bytes, signer: Some(signer) })
    }
}

/// A source as `scout.lock` has it: files relative to its directory, so that the pair can be moved, and the same however
/// `--config` and the source are spelt. Links are not followed.
pub fn shown(source: &Source, lock_file: &Path) -> String {
    let Source::File(path) = source else { return source.to_string() };
    // From the root, and without `.`.
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = whole(path);
    path.strip_prefix(whole(files::directory_of(lock_file))).unwrap_or(&path).display().to_string()
}

fn signature_beside(component: &Path) -> Result<Option<Vec<u8>>, String> {
    let path = signature_file(component);
    let read = local_file::check(&path).map_err(Into::into).and_then(|()| files::read(&path, MAX_SIGNATURE));
    match read {
        Ok(signature) => Ok(Some(signature)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("has a signature that cannot be read: {}: {error}", path.display())),
    }
}

fn how_to_sign(source: &Source) -> String {
    match source {
        Source::File(path) => format!("there is no {}; `scout plugin sign` makes it", signature_file(path).display()),
        Source::Https(url) => format!("there is no {url}.sig; `scout plugin sign` makes it"),
        Source::Oci(_) => format!(
            "its manifest has no layer of the type {}; `scout plugin sign` makes the signature for it",
            fetch::SIGNATURE
        ),
        Source::Bundled => "Scout brings it along".to_owned(),
    }
}
