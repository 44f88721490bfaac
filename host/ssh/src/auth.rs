//! Public-key authentication in OpenSSH's order: the agent's keys first, then key files.
//!
//! Owns which identities are offered and the list of what was tried. Never asks with the method `none`, never signs
//! with SHA-1, never unlocks a key. Does not know the pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{self, Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use crate::gate::Gate;
use crate::{ErrorKind, HostSpec, SshError};

/// Identities offered at most: servers end the connection after `MaxAuthTries`, 6 by default.
const MAX_ATTEMPTS: usize = 32;

/// A configured identity, read from its files.
struct KeyFile {
    path: PathBuf,
    /// Known even if the private key is locked.
    public: Option<PublicKey>,
    certificate: Option<Certificate>,
    private: Result<Arc<PrivateKey>, &'static str>,
}

/// What one offer came to.
enum Offer {
    Accepted,
    Refused,
    /// The server wants no more public keys, or is gone.
    Over(&'static str),
}

/// Authenticates the spec's user and returns how many times the server had to be asked.
///
/// # Errors
/// [`ErrorKind::Auth`], listing what was tried and what was left out.
pub(crate) async fn authenticate(handle: &mut Handle<Gate>, spec: &HostSpec) -> Result<u64, SshError> {
    let paths = spec.identity_files.clone();
    let files = tokio::task::spawn_blocking(move || paths.into_iter().filter_map(read_key).collect::<Vec<_>>())
        .await
        .unwrap_or_default();
    let mut attempt = Attempt { handle, user: &spec.user, trips: 0, offers: 0, log: Vec::new(), rsa: None };
    if attempt.run(spec, files).await {
        return Ok(attempt.trips);
    }
    let log = attempt.log;
    let what = if log.is_empty() { "there is no key to try".to_owned() } else { log.join(", ") };
    let message = format!("{}: no identity was accepted for {} (publickey): {what}", spec.alias, spec.user);
    Err(SshError::new(ErrorKind::Auth, message)
        .with_hint("load the key into the ssh agent, or name its file as IdentityFile in ssh_config"))
}

struct Attempt<'a> {
    handle: &'a mut Handle<Gate>,
    user: &'a str,
    trips: u64,
    offers: usize,
    log: Vec<String>,
    /// The server's best hash for RSA, once asked; `Some(None)`: none but SHA-1.
    rsa: Option<Option<HashAlg>>,
}

impl Attempt<'_> {
    async fn run(&mut self, spec: &HostSpec, files: Vec<KeyFile>) -> bool {
        let mut agent = self.agent(spec.agent.as_deref()).await;
        let mut held = Vec::new();
        if let Some(agent) = &mut agent {
            match agent.request_identities().await {
                Ok(identities) => held = identities,
                Err(error) => self.log.push(format!("the agent did not list its keys ({error})")),
            }
        }
        // A stable sort keeps the agent's order within the two groups, as OpenSSH does.
        let configured =
            |identity: &AgentIdentity| files.iter().any(|f| f.public.as_ref().is_some_and(|p| same_key(p, identity)));
        if spec.identities_only {
            held.retain(&configured);
        }
        held.sort_by_key(|identity| !configured(identity));
        if let Some(agent) = &mut agent {
            for identity in &held {
                match self.offer_agent(agent, identity).await {
                    Offer::Accepted => return true,
                    Offer::Refused => {}
                    Offer::Over(why) => return self.over(why),
                }
            }
        }
        for file in files {
            if file.public.as_ref().is_some_and(|public| held.iter().any(|identity| same_key(public, identity))) {
                continue;
            }
            match self.offer_file(file).await {
                Offer::Accepted => return true,
                Offer::Refused => {}
                Offer::Over(why) => return self.over(why),
            }
        }
        false
    }

    fn over(&mut self, why: &'static str) -> bool {
        self.log.push(why.to_owned());
        false
    }

    async fn agent(&mut self, path: Option<&Path>) -> Option<AgentClient<UnixStream>> {
        let path = path?;
        let mut client = match AgentClient::connect_uds(path).await {
            Ok(client) => client,
            Err(error) => {
                self.log.push(format!("the agent at {} does not answer ({error})", path.display()));
                return None;
            }
        };
        if let Some(binding) = self.handle.agent_session_binding() {
            // Agents older than OpenSSH 8.9 do not know it, and need it not.
            if let Err(error) = client.bind_session(binding, false).await {
                tracing::debug!(%error, "the agent does not bind sessions");
            }
        }
        Some(client)
    }

    async fn offer_agent(&mut self, agent: &mut AgentClient<UnixStream>, identity: &AgentIdentity) -> Offer {
        let key = public_of(identity);
        let name = format!("agent key {}", key.fingerprint(HashAlg::Sha256));
        let Ok(hash) = self.hash_for(&key.algorithm()).await else {
            self.log.push(format!("{name} skipped (the server takes RSA with SHA-1 only)"));
            return Offer::Refused;
        };
        // The key is offered first, and signed with when the server wants it.
        self.trips += 2;
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle.authenticate_publickey_with(self.user, key.clone(), hash, agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle.authenticate_certificate_with(self.user, certificate.clone(), hash, agent).await
            }
        };
        self.judge(name, result.map_err(|error| error.to_string()))
    }

    async fn offer_file(&mut self, file: KeyFile) -> Offer {
        let name = file.path.display().to_string();
        let private = match file.private {
            Ok(private) => private,
            Err(why) => {
                self.log.push(format!("{name} skipped ({why})"));
                return Offer::Refused;
            }
        };
        let name = format!("{name} {}", private.fingerprint(HashAlg::Sha256));
        let Ok(hash) = self.hash_for(&private.algorithm()).await else {
            self.log.push(format!("{name} skipped (the server takes RSA with SHA-1 only)"));
            return Offer::Refused;
        };
        if let Some(certificate) = file.certificate.filter(|_| hash.is_none()) {
            self.trips += 1;
            let result = self.handle.authenticate_openssh_cert(self.user, Arc::clone(&private), certificate).await;
            match self.judge(format!("{name} with its certificate"), result.map_err(|error| error.to_string())) {
                Offer::Refused => {}
                decided => return decided,
            }
        }
        self.trips += 1;
        let result = self.handle.authenticate_publickey(self.user, PrivateKeyWithHashAlg::new(private, hash)).await;
        self.judge(name, result.map_err(|error| error.to_string()))
    }

    /// The hash to sign with; `Err` if the server leaves nothing but SHA-1.
    async fn hash_for(&mut self, algorithm: &Algorithm) -> Result<Option<HashAlg>, ()> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        if self.rsa.is_none() {
            self.rsa = Some(match self.handle.best_supported_rsa_hash().await {
                Ok(Some(best)) => best,
                // No list from the server: any since 2016 knows SHA-2.
                Ok(None) | Err(_) => Some(HashAlg::Sha512),
            });
        }
        match self.rsa.flatten() {
            Some(hash) => Ok(Some(hash)),
            None => Err(()),
        }
    }

    fn judge(&mut self, name: String, result: Result<AuthResult, String>) -> Offer {
        self.offers += 1;
        match result {
            Ok(AuthResult::Success) => return Offer::Accepted,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.log.push(name);
                if self.handle.is_closed() {
                    return Offer::Over("then the server closed the connection");
                }
                if partial_success {
                    return Offer::Over("it was accepted, and the server wants another method besides");
                }
                if !remaining_methods.contains(&MethodKind::PublicKey) {
                    return Offer::Over("the server takes no public keys");
                }
            }
            Err(error) => {
                self.log.push(format!("{name} ({error})"));
                if self.handle.is_closed() {
                    return Offer::Over("then the connection was lost");
                }
            }
        }
        if self.offers < MAX_ATTEMPTS { Offer::Refused } else { Offer::Over("and there are more keys than are tried") }
    }
}

fn public_of(identity: &AgentIdentity) -> PublicKey {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.clone(),
        AgentIdentity::Certificate { certificate, .. } => PublicKey::new(certificate.public_key().clone(), ""),
    }
}

fn same_key(public: &PublicKey, identity: &AgentIdentity) -> bool {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.key_data() == public.key_data(),
        AgentIdentity::Certificate { certificate, .. } => certificate.public_key() == public.key_data(),
    }
}

/// `None` if there is neither the file nor its public half.
fn read_key(path: PathBuf) -> Option<KeyFile> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let public = keys::load_public_key(beside(".pub")).ok();
    if !path.exists() && public.is_none() {
        return None;
    }
    let private = read_private(&path);
    let public = match &private {
        Ok(key) => Some(key.public_key().clone()),
        // IdentityFile may name the public half of a key that the agent holds.
        Err(_) => public.or_else(|| keys::load_public_key(&path).ok()),
    };
    let certificate = keys::load_openssh_certificate(beside("-cert.pub")).ok();
    Some(KeyFile { path, public, certificate, private })
}

fn read_private(path: &Path) -> Result<Arc<PrivateKey>, &'static str> {
    match keys::load_secret_key(path, None) {
        Ok(key) if key.is_encrypted() => Err("encrypted; load it into the agent"),
        Ok(key) => Ok(Arc::new(key)),
        Err(keys::Error::KeyIsEncrypted) => Err("encrypted; load it into the agent"),
        Err(keys::Error::IO(error)) if error.kind() == std::io::ErrorKind::NotFound => Err("no such file"),
        Err(keys::Error::IO(_)) => Err("not readable"),
        Err(_) => Err("not a private key that can be read"),
    }
}
