//! Authentication by public key: agent and key files, in OpenSSH's order.
//!
//! Never the `none` probe (a round trip), never SHA-1, never a password.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use crate::config::AgentSocket;
use crate::dial::{Client, place};
use crate::{ErrorKind, HostSpec, SshError};

/// How long the agent may take to list its keys. Signing may ask a person: the dial's limit bounds it.
const AGENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Logs in, or says what was tried.
pub(crate) async fn authenticate(handle: &mut Handle<Client>, spec: &HostSpec) -> Result<(), SshError> {
    let mut tried: Vec<String> = Vec::new();
    let paths = spec.identity_files.clone();
    let files = tokio::task::spawn_blocking(move || paths.into_iter().map(KeyFile::read).collect::<Vec<_>>());
    let files = files.await.unwrap_or_default();
    let (mut agent, held) = match agent(spec).await {
        Ok(Some((agent, held))) => (Some(agent), held),
        Ok(None) => (None, Vec::new()),
        Err(why) => {
            tried.push(format!("the agent ({why})"));
            (None, Vec::new())
        }
    };
    let names_file = |key: &PublicKey| {
        files.iter().any(|file| file.public.as_ref().is_some_and(|public| public.key_data() == key.key_data()))
    };
    // As OpenSSH: keys of the agent that a file names, then its others, then files that the agent does not hold.
    let (named, others): (Vec<_>, Vec<_>) = held.into_iter().partition(names_file);
    let others = if spec.identities_only { Vec::new() } else { others };
    for key in named.iter().chain(&others) {
        let Some(agent) = agent.as_mut() else { break };
        let label = format!("{} {} of the agent", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let hash = match rsa_hash(handle, &key.algorithm()).await {
            Ok(hash) => hash,
            Err(why) => {
                tried.push(format!("{label} ({why})"));
                continue;
            }
        };
        match handle.authenticate_publickey_with(&spec.user, key.clone(), hash, agent).await {
            Ok(result) if result.success() => return Ok(()),
            Ok(_) => tried.push(label),
            Err(error) => tried.push(format!("{label} ({error})")),
        }
        if handle.is_closed() {
            return Err(refused(spec, &tried, true));
        }
    }
    for file in files {
        let name = file.path.display().to_string();
        let key = match file.private {
            Ok(key) => key,
            // A default file that is not there was never promised.
            Err(why) if why.kind() == io::ErrorKind::NotFound && spec.identity_files_are_default => continue,
            Err(why) => {
                tried.push(format!("{name} ({why})"));
                continue;
            }
        };
        if named.iter().any(|held| held.key_data() == key.public_key().key_data()) {
            continue;
        }
        let hash = match rsa_hash(handle, &key.algorithm()).await {
            Ok(hash) => hash,
            Err(why) => {
                tried.push(format!("{name} ({why})"));
                continue;
            }
        };
        match handle.authenticate_publickey(&spec.user, PrivateKeyWithHashAlg::new(key, hash)).await {
            Ok(result) if result.success() => return Ok(()),
            Ok(_) => tried.push(name),
            Err(error) => tried.push(format!("{name} ({error})")),
        }
        if handle.is_closed() {
            return Err(refused(spec, &tried, true));
        }
    }
    Err(refused(spec, &tried, handle.is_closed()))
}

fn refused(spec: &HostSpec, tried: &[String], closed: bool) -> SshError {
    let tried =
        if tried.is_empty() { "there is no key to try".to_owned() } else { format!("tried {}", tried.join(", ")) };
    let closed = if closed { "; the host then closed the connection" } else { "" };
    let message =
        format!("{} accepts no key for the account `{}` (publickey): {tried}{closed}", place(spec), spec.user);
    let hint = if closed.is_empty() {
        "name the right key with `IdentityFile` in ssh_config, or add the public key to the host's authorized_keys"
    } else {
        "hosts close after a few keys: name the right one with `IdentityFile` and set `IdentitiesOnly yes`"
    };
    SshError::new(ErrorKind::Auth, message).with_hint(hint)
}

/// The hash to sign with: for RSA the best of SHA-2 that the server names, for others none.
async fn rsa_hash(handle: &Handle<Client>, algorithm: &Algorithm) -> Result<Option<HashAlg>, &'static str> {
    if !matches!(algorithm, Algorithm::Rsa { .. }) {
        return Ok(None);
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Ok(Some(hash)),
        Ok(Some(None)) => Err("the host knows RSA with SHA-1 only"),
        // It did not say: every server of the last ten years knows this one.
        Ok(None) => Ok(Some(HashAlg::Sha256)),
        Err(_) => Err("the connection was lost"),
    }
}

/// The agent and the plain keys that it holds; none if there is no agent.
async fn agent(spec: &HostSpec) -> Result<Option<(AgentClient<UnixStream>, Vec<PublicKey>)>, String> {
    let path = match &spec.agent {
        AgentSocket::None => return Ok(None),
        AgentSocket::Path(path) => path.clone(),
        AgentSocket::Environment => match std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => return Ok(None),
        },
    };
    let asked = async {
        let mut agent = AgentClient::connect_uds(&path).await?;
        let held = agent.request_identities().await?;
        Ok::<_, russh::keys::Error>((agent, held))
    };
    match tokio::time::timeout(AGENT_TIMEOUT, asked).await {
        Ok(Ok((agent, held))) => {
            let plain = held.into_iter().filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(key),
                AgentIdentity::Certificate { .. } => None,
            });
            Ok(Some((agent, plain.collect())))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", AGENT_TIMEOUT.as_secs())),
    }
}

/// A key file and what could be read of it.
struct KeyFile {
    path: PathBuf,
    private: Result<Arc<PrivateKey>, io::Error>,
    /// Known for an encrypted key too, from the file beside it.
    public: Option<PublicKey>,
}

impl KeyFile {
    fn read(path: PathBuf) -> Self {
        let private = read_private(&path).map(Arc::new);
        let beside = || {
            let mut name = path.clone().into_os_string();
            name.push(".pub");
            russh::keys::load_public_key(name).ok()
        };
        let public = match &private {
            Ok(key) => Some(key.public_key().clone()),
            Err(_) => beside(),
        };
        Self { path, private, public }
    }
}

fn read_private(path: &Path) -> io::Result<PrivateKey> {
    let metadata = std::fs::metadata(path)?;
    // OpenSSH's rule: a key of one's own that others may read is no secret any more.
    if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "others may read it, mode {:04o}; run chmod 600 on it",
            metadata.mode() & 0o7777
        )));
    }
    russh::keys::load_secret_key(path, None).map_err(|error| match error {
        russh::keys::Error::IO(error) => error,
        russh::keys::Error::KeyIsEncrypted => io::Error::other("it is encrypted; add it to the agent with ssh-add"),
        other => io::Error::other(other.to_string()),
    })
}
