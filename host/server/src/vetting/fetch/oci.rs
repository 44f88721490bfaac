//! The half of the OCI distribution specification that pulls: a manifest, its layers, and the login that a registry asks
//! for. A component is the one layer of the type `application/wasm`; its signature may be a layer beside it.

use std::path::Path;

use serde::Deserialize;
use url::Url;

use super::{MAX_SIGNATURE, docker};
use crate::config::{Digest, OciReference, is_loopback};
use crate::web::{Answer, Client, Limit};

/// The type of a component's layer, as `oras`, `wkg` and others push it.
const WASM: &str = "application/wasm";
/// The type of the layer that signs it.
pub(in crate::vetting) const SIGNATURE: &str = "application/vnd.dev.scout.sshsig";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The largest manifest, in bytes; one of two layers has about 1000.
const MAX_MANIFEST: Limit = Limit(1 << 20);
/// The largest answer with a token, in bytes.
const MAX_TOKEN: Limit = Limit(64 << 10);

/// One repository of a registry.
pub(super) struct Registry<'a> {
    client: &'a Client,
    reference: &'a OciReference,
    docker_config: &'a Path,
    base: Url,
    /// Sent along once the registry has asked for it.
    authorization: Option<String>,
}

/// What a manifest names.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The component.
    pub(super) component: Layer,
    /// Its signature.
    pub(super) signature: Option<Layer>,
}

/// A blob that a manifest names.
#[derive(Debug, Deserialize)]
pub(super) struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    /// Of its bytes.
    pub(super) digest: Digest,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    #[serde(default)]
    layers: Vec<Layer>,
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    /// The registry of a reference. Asks nothing yet.
    ///
    /// # Errors
    /// A registry that is no host.
    pub(super) fn new(
        client: &'a Client,
        reference: &'a OciReference,
        docker_config: &'a Path,
    ) -> Result<Self, String> {
        let host =
            if docker::is_docker_hub(&reference.registry) { "registry-1.docker.io" } else { &reference.registry };
        let url = |scheme: &str| Url::parse(&format!("{scheme}://{host}/v2/{}/", reference.repository));
        let base = url("https").map_err(|error| format!("oci://{reference}: {error}"))?;
        // As docker: a registry on this machine needs no certificate.
        let base = if is_loopback(&base) { url("http").unwrap_or(base) } else { base };
        Ok(Self { client, reference, docker_config, base, authorization: None })
    }

    /// What the reference's manifest names; compared with the reference's digest, if it has one.
    ///
    /// # Errors
    /// A registry that does not answer so, and a manifest of something else.
    pub(super) fn manifest(&mut self) -> Result<Manifest, String> {
        let reference = self.reference;
        let name = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => format!("sha256:{digest}"),
            (None, tag) => tag.clone().unwrap_or_default(),
        };
        let bytes = self.get(&format!("manifests/{name}"), MANIFEST, MAX_MANIFEST)?.success()?;
        if let Some(wanted) = &reference.digest
            && *wanted != Digest::of(&bytes)
        {
            return Err(format!(
                "oci://{reference}: the registry gave another manifest (sha256:{})",
                Digest::of(&bytes)
            ));
        }
        let told = |why: &str| format!("oci://{reference}: {why}");
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|error| told(&format!("its manifest cannot be read: {}", shortened(&error.to_string()))))?;
        if document.manifests.is_some() {
            return Err(told("it is an index of several manifests; name one of them by its digest"));
        }
        if document.schema_version != 2 {
            return Err(told("its manifest is not of schema version 2"));
        }
        let count = |wanted: &str| document.layers.iter().filter(|layer| layer.media_type == wanted).count();
        if count(WASM) != 1 || count(SIGNATURE) > 1 {
            let types: Vec<String> = document.layers.iter().take(5).map(|layer| shortened(&layer.media_type)).collect();
            return Err(told(&format!(
                "it has layers of the types [{}]; a plugin has one of {WASM} and perhaps one of {SIGNATURE}",
                types.join(", ")
            )));
        }
        let (mut component, mut signature) = (None, None);
        for layer in document.layers {
            match layer.media_type.as_str() {
                WASM => component = Some(layer),
                SIGNATURE => signature = Some(layer),
                _ => {}
            }
        }
        let component = component.ok_or_else(|| told("it has no component"))?;
        let sized = |layer: &Layer, max: u64| layer.size <= max;
        if !sized(&component, scout_runtime::MAX_COMPONENT as u64) {
            return Err(told(&format!(
                "its component has {} bytes; {} are allowed",
                component.size,
                scout_runtime::MAX_COMPONENT
            )));
        }
        if signature.as_ref().is_some_and(|layer| !sized(layer, MAX_SIGNATURE)) {
            return Err(told("its signature is too large"));
        }
        Ok(Manifest { component, signature })
    }

    /// A layer's bytes, compared with its digest.
    ///
    /// # Errors
    /// A registry that does not have it, or gives other bytes.
    pub(super) fn blob(&mut self, layer: &Layer) -> Result<Vec<u8>, String> {
        let bytes = self.get(&format!("blobs/sha256:{}", layer.digest), "*/*", Limit(layer.size))?.success()?;
        if Digest::of(&bytes) != layer.digest {
            return Err(format!("oci://{}: the registry gave other bytes than its manifest says", self.reference));
        }
        Ok(bytes)
    }

    /// Asks, and once more with a login if the registry wants one.
    fn get(&mut self, path: &str, accept: &str, limit: Limit) -> Result<Answer, String> {
        let url = self.base.join(path).map_err(|error| format!("{}{path}: {error}", self.base))?;
        let answer = self.client.get(&url, accept, self.authorization.as_deref(), limit)?;
        if answer.status != 401 || self.authorization.is_some() {
            return Ok(answer);
        }
        let challenge = answer.challenge.unwrap_or_default();
        let found = docker::credentials(self.docker_config, &self.reference.registry);
        self.authorization = match &found {
            Ok(found) => self.log_in(&challenge, found.as_ref())?,
            // A registry may give to anybody what it asks a login for.
            Err(_) => self.log_in(&challenge, None).unwrap_or(None),
        };
        let hint = || match &found {
            Err(why) => why.clone(),
            Ok(None) => format!("{} has no login for it", self.docker_config.display()),
            Ok(Some(_)) => format!("it refuses the login of {}", self.docker_config.display()),
        };
        let refused = || format!("oci://{}: the registry asks for a login; {}", self.reference, hint());
        if self.authorization.is_none() {
            return Err(refused());
        }
        let answer = self.client.get(&url, accept, self.authorization.as_deref(), limit)?;
        if matches!(answer.status, 401 | 403) { Err(refused()) } else { Ok(answer) }
    }

    /// What to send as `Authorization`, as the registry's challenge asks; `None` if there is nothing to send.
    fn log_in(&self, challenge: &str, credentials: Option<&docker::Credentials>) -> Result<Option<String>, String> {
        let basic = credentials.map(|credentials| credentials.basic.clone());
        let Some(parameters) = strip_scheme(challenge, "bearer") else {
            return Ok(basic.filter(|_| strip_scheme(challenge, "basic").is_some()));
        };
        let parameter = |name: &str| parameter(parameters, name);
        let told = |why: &str| format!("oci://{}: the registry asks for a token {why}", self.reference);
        let realm = parameter("realm").ok_or_else(|| told("and does not say where"))?;
        let mut url = Url::parse(&realm).map_err(|_| told("from something that is not a URL"))?;
        if is_loopback(&url) && !is_loopback(&self.base) {
            return Err(told("from this machine"));
        }
        // The password goes to whoever gives the registry's tokens, not to whomever a registry names.
        let basic = match basic {
            Some(_) if !self.is_related(&url) => {
                return Err(told(&format!(
                    "from {}, which is not its own, so no password is sent there",
                    url.host_str().unwrap_or_default()
                )));
            }
            basic => basic,
        };
        let scope = format!("repository:{}:pull", self.reference.repository);
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = parameter("service") {
                query.append_pair("service", &service);
            }
            query.append_pair("scope", &scope);
        }
        let answer = self.client.get(&url, "application/json", basic.as_deref(), MAX_TOKEN)?;
        if matches!(answer.status, 401 | 403) {
            return Ok(None);
        }
        let token: Token = serde_json::from_slice(&answer.success()?).map_err(|_| told("and gives none"))?;
        let token = token.token.or(token.access_token).ok_or_else(|| told("and gives none"))?;
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(told("and gives one that cannot be sent"));
        }
        Ok(Some(format!("Bearer {token}")))
    }

    /// Whether the password for this registry may go to that host: the same origin, or a host above it
    /// (`gitlab.com` for `registry.gitlab.com`) over https, or docker's own pair.
    fn is_related(&self, realm: &Url) -> bool {
        let (Some(own), Some(other)) = (self.base.host_str(), realm.host_str()) else { return false };
        let is_above = own.strip_suffix(other).is_some_and(|rest| rest.ends_with('.')) && other.contains('.');
        let is_docker = own == "registry-1.docker.io" && other == "auth.docker.io";
        self.base.origin() == realm.origin() || (realm.scheme() == "https" && (own == other || is_above || is_docker))
    }
}

/// What follows the scheme of a challenge.
fn strip_scheme<'a>(challenge: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
    given.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// A parameter of a challenge: `name="value"` between commas.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_matches([' ', ',']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

/// As much of a text from elsewhere as a message takes.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
