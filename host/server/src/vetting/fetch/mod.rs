//! Components from elsewhere: asked for over https, bounded in size and time, kept by their digest.
//!
//! Blocks: to be called off the async threads. Nothing that is fetched is looked into here but the documents of a
//! registry; whoever asks compares the digest before anything parses the bytes.

mod docker;
mod oci;
mod store;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scout_runtime::MAX_COMPONENT;
use url::Url;

use crate::config::{Digest, OciReference, Source};
use crate::web::{Client, Limit};
use store::Store;

pub(super) use oci::SIGNATURE;

/// The largest signature, in bytes.
pub(super) const MAX_SIGNATURE: u64 = 64 << 10;
/// How long all requests for one plugin may take together.
const PATIENCE: Duration = Duration::from_secs(120);

/// A component and what lies beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// The component's bytes.
    pub(super) bytes: Vec<u8>,
    /// A detached signature, if there is one.
    pub(super) signature: Option<Vec<u8>>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FetchRequest<'a> {
    /// Only this one.
    pub(super) pinned: Option<&'a Digest>,
    /// With its signature, if there is one.
    pub(super) signed: bool,
    /// From its source, not from what was kept: a signature may be a newer one.
    pub(super) fresh: bool,
}

/// Why there is no component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FetchError {
    /// There is one, of this digest: not the pinned one.
    OtherBytes(Digest),
    /// In a sentence.
    Failed(String),
}

impl From<String> for FetchError {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Where components are fetched from and kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetcher {
    /// Absent: nothing is kept.
    pub(super) cache_dir: Option<PathBuf>,
    /// docker's `config.json`.
    pub(super) docker_config: PathBuf,
    /// For one plugin.
    pub(super) patience: Duration,
}

impl Fetcher {
    /// A fetcher that keeps what it fetched in `cache_dir`.
    pub(super) fn new(cache_dir: Option<PathBuf>, docker_config: PathBuf) -> Self {
        Self { cache_dir, docker_config, patience: PATIENCE }
    }

    /// The component at `source`, as it is asked for.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn fetch(&self, source: &Source, asked: FetchRequest<'_>) -> Result<Fetched, FetchError> {
        let FetchRequest { pinned, signed, fresh } = asked;
        // A store that is not safe is told before anything is asked for.
        let store = self.store()?;
        if let (Some(pinned), false) = (pinned, fresh)
            && let Some(kept) = self.kept(pinned, signed)?
        {
            return Ok(kept);
        }
        let client = Client::new(Instant::now() + self.patience)?;
        let fetched = match source {
            Source::Https(url) => from_web(&client, url, signed)?,
            Source::Oci(reference) => from_registry(&client, reference, pinned, &self.docker_config)?,
            Source::Bundled | Source::File(_) => {
                return Err(FetchError::Failed("it is not something to fetch".to_owned()));
            }
        };
        let digest = Digest::of(&fetched.bytes);
        if let Some(pinned) = pinned
            && *pinned != digest
        {
            return Err(FetchError::OtherBytes(digest));
        }
        if let Some(store) = &store {
            store.keep(&digest, &fetched);
        }
        Ok(fetched)
    }

    /// A component that was fetched before, with its signature if that is wanted. Asks no network.
    ///
    /// # Errors
    /// A cache directory that another account could write.
    pub(super) fn kept(&self, digest: &Digest, signed: bool) -> Result<Option<Fetched>, String> {
        let Some(store) = self.store()? else { return Ok(None) };
        let Some(bytes) = store.component(digest) else { return Ok(None) };
        let signature = store.signature(digest);
        let is_enough = signature.is_some() || !signed;
        Ok(is_enough.then_some(Fetched { bytes, signature }))
    }

    fn store(&self) -> Result<Option<Store>, String> {
        self.cache_dir.as_deref().map(Store::open).transpose()
    }
}

fn from_web(client: &Client, url: &Url, signed: bool) -> Result<Fetched, String> {
    let bytes = client.get(url, "application/wasm, */*", None, Limit::of(MAX_COMPONENT))?.success()?;
    if !signed {
        return Ok(Fetched { bytes, signature: None });
    }
    let mut beside = url.clone();
    beside.set_path(&format!("{}.sig", url.path()));
    let answer = client.get(&beside, "*/*", None, Limit(MAX_SIGNATURE))?;
    // A server without that file is a plugin without a signature; any other trouble is trouble.
    let signature = if matches!(answer.status, 403 | 404 | 410) { None } else { Some(answer.success()?) };
    Ok(Fetched { bytes, signature })
}

fn from_registry(
    client: &Client,
    reference: &OciReference,
    pinned: Option<&Digest>,
    docker_config: &Path,
) -> Result<Fetched, FetchError> {
    let mut registry = oci::Registry::new(client, reference, docker_config)?;
    let manifest = registry.manifest()?;
    if let Some(pinned) = pinned
        && manifest.component.digest != *pinned
    {
        // Known before the layer is fetched.
        return Err(FetchError::OtherBytes(manifest.component.digest));
    }
    let bytes = registry.blob(&manifest.component)?;
    let signature = manifest.signature.as_ref().map(|layer| registry.blob(layer)).transpose()?;
    Ok(Fetched { bytes, signature })
}
