//! docker's `config.json`: the credentials of a registry, as `docker login` keeps them. Helper programs are not run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::files;

/// The largest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A login.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// `Basic …`.
    pub(super) basic: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// docker writes more than this; what is not about logins is not looked at.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "lowercase")]
struct Auth {
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials for a registry; `None` if the file has none, or is not there.
///
/// # Errors
/// A file that cannot be read, and credentials of a kind that Scout does not use, with what to do.
pub(super) fn credentials(file: &Path, registry: &str) -> Result<Option<Credentials>, String> {
    let shown = file.display();
    let bytes = match files::read_own(file, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    // serde's message may quote a secret.
    let parsed: File = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{shown}:{}: not docker's config.json", error.line()))?;
    let is_it = |key: &str| {
        let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let host = key.split('/').next().unwrap_or_default();
        host == registry || (is_docker_hub(registry) && is_docker_hub(host))
    };
    let helper = parsed.cred_helpers.iter().find(|(key, _)| is_it(key)).map(|(_, helper)| helper);
    if let Some((_, auth)) = parsed.auths.iter().find(|(key, _)| is_it(key)) {
        if auth.identitytoken.is_some() {
            return Err(format!(
                "{shown} has an identity token for {registry}, which Scout cannot use; log in with a password or an access token"
            ));
        }
        if let Some(auth) = auth.auth.as_deref().filter(|auth| !auth.is_empty()) {
            let decoded = BASE64_STANDARD.decode(auth).ok();
            let is_login =
                decoded.is_some_and(|bytes| bytes.contains(&b':') && !bytes.iter().any(u8::is_ascii_control));
            return match is_login {
                true => Ok(Some(Credentials { basic: format!("Basic {auth}") })),
                false => Err(format!("{shown}: `auth` of {registry} is not base64 of `user:password`")),
            };
        }
    }
    match helper.or(parsed.creds_store.as_ref()) {
        Some(helper) => Err(format!(
            "{shown} keeps the login of {registry} with the helper `{}`, and Scout runs no helpers; set DOCKER_CONFIG to a directory whose config.json has it under `auths`",
            helper.chars().filter(|c| !c.is_control()).take(64).collect::<String>()
        )),
        None => Ok(None),
    }
}

/// Whether a registry is docker's own, which has several names.
pub(super) fn is_docker_hub(host: &str) -> bool {
    ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&host)
}
