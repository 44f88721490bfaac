//! One connection from nothing: TCP, handshake, the host's key, authentication.
//!
//! Invariant: no byte of authentication is sent before the host's key is accepted.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::{Preferred, cipher};
use tokio::net::TcpStream;

use crate::config::StrictHostKeyChecking;
use crate::trust::{KnownHosts, Verdict, learn};
use crate::{ErrorKind, HostSpec, PoolConfig, SshError, auth};

/// The window of a channel, in bytes: enough that a command's output flows at 50 ms and 40 Mbit/s.
const WINDOW: u32 = 512 * 1024;
/// Keepalive where ssh_config says nothing, so that a silent host is noticed: every 5 s, two may be lost.
const KEEPALIVE: (Duration, u32) = (Duration::from_secs(5), 2);

/// A connection, authenticated.
pub(crate) async fn dial(spec: &Arc<HostSpec>, config: &PoolConfig) -> Result<Handle<Client>, SshError> {
    let limit = limit(spec, config);
    let dialed = async {
        let mut handle = handshake(spec, config, Purpose::Use).await?.0;
        auth::authenticate(&mut handle, spec).await?;
        Ok(handle)
    };
    tokio::time::timeout(limit, dialed).await.unwrap_or_else(|_| Err(too_slow(spec, limit)))
}

/// The key that the host shows, without a word said to it after.
pub(crate) async fn host_key(spec: &Arc<HostSpec>, config: &PoolConfig) -> Result<PublicKey, SshError> {
    let limit = limit(spec, config);
    let shown = async { handshake(spec, config, Purpose::Look).await.map(|(_, key)| key) };
    match tokio::time::timeout(limit, shown).await {
        Ok(Ok(Some(key))) => Ok(key),
        Ok(Ok(None)) => Err(SshError::new(ErrorKind::Unreachable, format!("{} showed no host key", place(spec)))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(too_slow(spec, limit)),
    }
}

/// How long connecting and authenticating may take together.
fn limit(spec: &HostSpec, config: &PoolConfig) -> Duration {
    spec.connect_timeout.unwrap_or(config.connect_timeout).min(config.connect_timeout)
}

/// The host as messages name it.
pub(crate) fn place(spec: &HostSpec) -> String {
    format!("`{}` ({}:{})", spec.alias, spec.host_name, spec.port)
}

fn too_slow(spec: &HostSpec, limit: Duration) -> SshError {
    let message = format!("{} did not let Scout in within {} s", place(spec), limit.as_secs_f64());
    SshError::new(ErrorKind::Unreachable, message)
        .with_hint("check that the host is up; `ConnectTimeout` and SCOUT_CONNECTION_TIMEOUT bound this wait")
}

/// A TCP connection to the first address that answers.
pub(crate) async fn connect(spec: &HostSpec) -> Result<TcpStream, SshError> {
    let unreachable =
        |why: String| SshError::new(ErrorKind::Unreachable, format!("{} cannot be reached: {why}", place(spec)));
    let addresses = tokio::net::lookup_host((spec.host_name.as_str(), spec.port))
        .await
        .map_err(|error| unreachable(format!("its name is not resolved: {error}")))?;
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it every small packet waits for the acknowledgement of the one before.
                stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
                return Ok(stream);
            }
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(unreachable(last))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To log in.
    Use,
    /// To see the key.
    Look,
}

async fn handshake(
    spec: &Arc<HostSpec>,
    config: &PoolConfig,
    purpose: Purpose,
) -> Result<(Handle<Client>, Option<PublicKey>), SshError> {
    let files: Vec<_> = match &config.known_hosts {
        Some(files) => files.clone(),
        None => spec.user_known_hosts_files.iter().chain(&spec.global_known_hosts_files).cloned().collect(),
    };
    let own = config.known_hosts.as_ref().unwrap_or(&spec.user_known_hosts_files).first().cloned();
    let known = tokio::task::spawn_blocking(move || KnownHosts::load(&files)).await.map_err(|_| internal(spec))??;
    for warning in known.warnings() {
        tracing::debug!(%warning, "a line of known_hosts is left out");
    }
    let client_config = Arc::new(client_config(spec, &known));
    let stream = connect(spec).await?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let client = Client { spec: Arc::clone(spec), known, learn_to: own, purpose, seen: Arc::clone(&seen) };
    let connected = client::connect_stream(client_config, stream, client).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    match (connected, seen.refusal) {
        (_, Some(refusal)) => Err(refusal),
        (Ok(handle), None) => Ok((handle, seen.key)),
        (Err(error), None) => {
            Err(SshError::new(ErrorKind::Unreachable, format!("{} broke the SSH handshake off: {error}", place(spec))))
        }
    }
}

fn internal(spec: &HostSpec) -> SshError {
    SshError::new(ErrorKind::Unreachable, format!("dialling {} failed inside Scout; the log says why", place(spec)))
}

fn client_config(spec: &HostSpec, known: &KnownHosts) -> client::Config {
    // Algorithms whose keys are known come first: otherwise a host with several keys would show another one.
    let mut keys = known.algorithms(&spec.host_name, spec.port);
    let mut preferred: Vec<Algorithm> = Vec::new();
    for known in &mut keys {
        match known {
            // A known RSA key is proven with SHA-2; SHA-1 is not offered.
            Algorithm::Rsa { .. } => {
                preferred.extend([HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }))
            }
            other => preferred.push(other.clone()),
        }
    }
    let defaults = Preferred::DEFAULT;
    for algorithm in defaults.key.iter() {
        if !preferred.contains(algorithm) && !matches!(algorithm, Algorithm::Rsa { hash: None }) {
            preferred.push(algorithm.clone());
        }
    }
    let (interval, lost) = match spec.server_alive_interval {
        None => (Some(KEEPALIVE.0), KEEPALIVE.1),
        Some(Duration::ZERO) => (None, 0),
        Some(interval) => (Some(interval), spec.server_alive_count_max),
    };
    client::Config {
        window_size: WINDOW,
        keepalive_interval: interval,
        keepalive_max: usize::try_from(lost).unwrap_or(usize::MAX),
        preferred: Preferred {
            key: Cow::Owned(preferred),
            cipher: Cow::Borrowed(&[
                cipher::AES_128_GCM,
                cipher::AES_256_GCM,
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_CTR,
            ]),
            ..defaults
        },
        nodelay: true,
        ..client::Config::default()
    }
}

#[derive(Default)]
struct Seen {
    key: Option<PublicKey>,
    refusal: Option<SshError>,
}

/// What russh asks while it connects.
pub(crate) struct Client {
    spec: Arc<HostSpec>,
    known: KnownHosts,
    learn_to: Option<std::path::PathBuf>,
    purpose: Purpose,
    seen: Arc<Mutex<Seen>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let verdict = match self.purpose {
                    Purpose::Look => Ok(()),
                    Purpose::Use => self.judge(key).await,
                };
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).key = Some(key.clone());
                verdict
            }
            // Never asked for; a server that shows one all the same is not understood.
            PublicKeyOrCertificate::Certificate(_) => Err(SshError::new(
                ErrorKind::HostKeyRejected,
                format!("{} shows a host certificate, which was not asked for", place(&self.spec)),
            )),
        };
        match verdict {
            Ok(()) => Ok(true),
            Err(refusal) => {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).refusal = Some(refusal);
                Ok(false)
            }
        }
    }
}

impl Client {
    async fn judge(&self, key: &PublicKey) -> Result<(), SshError> {
        let spec = &self.spec;
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        match (self.known.check(&spec.host_name, spec.port, key), spec.strict_host_key_checking) {
            (Verdict::Known(_), _) => Ok(()),
            (Verdict::Unknown, StrictHostKeyChecking::Yes) => Err(SshError::new(
                ErrorKind::UnknownHostKey,
                format!("the host key of {} is not known: it is {} {fingerprint}", place(spec), key.algorithm()),
            )
            .with_hint(format!(
                "if that is the host's real key, somebody at a terminal trusts it with: scout trust {}",
                spec.alias
            ))),
            (Verdict::Unknown, StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No) => {
                let (Some(file), spec, key) = (self.learn_to.clone(), Arc::clone(spec), key.clone()) else {
                    return Ok(());
                };
                let learned = tokio::task::spawn_blocking(move || learn(&file, &spec.host_name, spec.port, &key, false));
                learned.await.unwrap_or(Ok(()))
            }
            // As OpenSSH: let in, without a password; Scout never sends one.
            (Verdict::Changed(_), StrictHostKeyChecking::No) => Ok(()),
            (Verdict::Changed(source), _) => Err(SshError::new(
                ErrorKind::HostKeyRejected,
                format!(
                    "the host key of {} is not the one that is trusted: it is {} {fingerprint}, and {}:{} holds another; somebody may stand in between",
                    place(spec),
                    key.algorithm(),
                    source.file.display(),
                    source.line
                ),
            )
            .with_hint("if the host was really set up anew, a person removes that line from the file")),
            (Verdict::Revoked(source), _) => Err(SshError::new(
                ErrorKind::HostKeyRejected,
                format!("the host key of {} is revoked by {}:{}", place(spec), source.file.display(), source.line),
            )),
        }
    }
}
