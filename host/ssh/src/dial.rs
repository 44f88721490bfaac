//! One dial: name resolution, TCP, handshake, the host key's verdict, authentication.
//!
//! Owns the order of these steps and the words for their failures. Does not know the pool. **Nothing of authentication
//! leaves before [`Gate`] has accepted the host's key**, and a dial ends by its own timeout whoever waits for it.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle, Handler};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, cipher};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::{Source, StrictHostKeyChecking};
use crate::trust::{self, KnownHosts, Verdict};
use crate::{ErrorKind, HostSpec, PoolConfig, SshError, auth};

/// What a channel may receive before it is granted more. A default answer (1 MiB) fits, so that its reads take one round
/// trip; whatever arrives is drained at once and kept up to its cap.
const WINDOW: u32 = 2 * 1024 * 1024;
/// Without `ServerAliveInterval`: a silent host is noticed after this times (`KEEPALIVE_MAX` + 1).
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Keepalives without an answer.
const KEEPALIVE_MAX: usize = 2;
/// Waits for the remote host before the first attempt to authenticate: TCP, identification, algorithms, keys, service.
pub(crate) const HANDSHAKE_ROUND_TRIPS: u64 = 5;

/// An authenticated connection and what it took.
pub(crate) struct Dialled {
    pub(crate) handle: Handle<Gate>,
    pub(crate) round_trips: u64,
}

/// Why a handshake ended early.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The protocol or the transport failed.
    Ssh(russh::Error),
    /// The host's key was not accepted.
    Refused(SshError),
    /// The host's key is all that was wanted.
    Captured(Box<PublicKey>),
}

impl From<russh::Error> for Halt {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// Decides about the host's key. Called again with each rekeying.
pub(crate) struct Gate {
    purpose: Purpose,
}

enum Purpose {
    /// Hand the key out and stop.
    Capture,
    /// Accept the key if the files say so.
    Check(Box<Check>),
}

struct Check {
    spec: Arc<HostSpec>,
    known: KnownHosts,
    learn_into: Option<PathBuf>,
    learned: Option<PublicKey>,
}

impl Handler for Gate {
    type Error = Halt;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Halt> {
        let key = presented.public_key();
        match &mut self.purpose {
            Purpose::Capture => Err(Halt::Captured(Box::new(key))),
            Purpose::Check(check) => check.verdict(key).await.map(|()| true).map_err(Halt::Refused),
        }
    }
}

impl Check {
    async fn verdict(&mut self, key: PublicKey) -> Result<(), SshError> {
        let HostSpec { alias, host_name, port, .. } = &*self.spec;
        let print = key.fingerprint(HashAlg::Sha256);
        let rejected = |what: &str, at: &Source| {
            let message = format!("{alias}: the host's key {print} is {what} {}:{}", at.file.display(), at.line);
            SshError::new(ErrorKind::HostKeyRejected, message)
                .with_hint("find out why the key differs before that line is changed: somebody may be in between")
        };
        match self.known.check(host_name, *port, &key) {
            Verdict::Known(_) => Ok(()),
            Verdict::Revoked(at) => Err(rejected("revoked by", &at)),
            Verdict::Changed(at) if self.spec.strict_host_key_checking == StrictHostKeyChecking::No => {
                tracing::warn!(host = %alias, known = %at.file.display(), line = at.line, "changed host key accepted: StrictHostKeyChecking no");
                Ok(())
            }
            Verdict::Changed(at) => Err(rejected("not the one known from", &at)),
            Verdict::Unknown if self.learned.as_ref() == Some(&key) => Ok(()),
            Verdict::Unknown if self.spec.strict_host_key_checking == StrictHostKeyChecking::Yes => {
                let message = format!("{alias}: the host's key is not known yet: {} {print}", key.algorithm());
                Err(SshError::new(ErrorKind::UnknownHostKey, message)
                    .with_hint(format!("run `scout trust {alias}` after checking the fingerprint out of band")))
            }
            Verdict::Unknown => {
                self.learn(&key).await;
                self.learned = Some(key);
                Ok(())
            }
        }
    }

    /// As OpenSSH: a file that cannot be written is a warning.
    async fn learn(&self, key: &PublicKey) {
        let Some(file) = self.learn_into.clone() else { return };
        let (host, port, key) = (self.spec.host_name.clone(), self.spec.port, key.clone());
        let learned = tokio::task::spawn_blocking(move || trust::learn(&file, &host, port, &key, false)).await;
        if let Ok(Err(error)) = learned {
            tracing::warn!(host = %self.spec.alias, %error, "the host's key was accepted and could not be remembered");
        }
    }
}

/// Where a dial is, for the message when its time is over.
#[derive(Clone, Default)]
struct Stage(Arc<Mutex<Cow<'static, str>>>);

impl Stage {
    fn enter(&self, stage: impl Into<Cow<'static, str>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage.into();
    }

    fn name(&self) -> Cow<'static, str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Dials the host until authentication has succeeded.
pub(crate) async fn dial(spec: &Arc<HostSpec>, config: &PoolConfig) -> Result<Dialled, SshError> {
    let stage = Stage::default();
    limited(spec, connect_limit(spec, config), &stage, async {
        let files = match &config.known_hosts {
            Some(files) => files.clone(),
            None => spec.user_known_hosts_files.iter().chain(&spec.global_known_hosts_files).cloned().collect(),
        };
        let learn_into = match &config.known_hosts {
            Some(files) => files.first().cloned(),
            None => spec.user_known_hosts_files.first().cloned(),
        };
        stage.enter("reading known_hosts");
        let known = tokio::task::spawn_blocking(move || KnownHosts::load(&files))
            .await
            .map_err(|_| SshError::new(ErrorKind::Config, "known_hosts could not be read"))??;
        for warning in known.warnings() {
            tracing::warn!(host = %spec.alias, "{warning}");
        }
        let algorithms = known.algorithms(&spec.host_name, spec.port);
        let check = Check { spec: Arc::clone(spec), known, learn_into, learned: None };
        let gate = Gate { purpose: Purpose::Check(Box::new(check)) };
        let stream = connect(spec, &stage).await?;
        stage.enter("in the handshake");
        let mut handle = client::connect_stream(client_config(spec, &algorithms), stream, gate).await.map_err(
            |halt| match halt {
                Halt::Refused(error) => error,
                Halt::Ssh(error) => handshake_error(spec, &error),
                Halt::Captured(_) => handshake_error(spec, &russh::Error::Disconnect),
            },
        )?;
        stage.enter("authenticating");
        let attempts = auth::authenticate(&mut handle, spec).await?;
        Ok(Dialled { handle, round_trips: HANDSHAKE_ROUND_TRIPS + attempts })
    })
    .await
}

/// The host's key, from a handshake that ends before authentication.
pub(crate) async fn host_key(spec: &HostSpec, limit: Duration) -> Result<PublicKey, SshError> {
    let stage = Stage::default();
    limited(spec, limit, &stage, async {
        let stream = connect(spec, &stage).await?;
        stage.enter("in the handshake");
        let gate = Gate { purpose: Purpose::Capture };
        match client::connect_stream(client_config(spec, &[]), stream, gate).await {
            Err(Halt::Captured(key)) => Ok(*key),
            Err(Halt::Refused(error)) => Err(error),
            Err(Halt::Ssh(error)) => Err(handshake_error(spec, &error)),
            Ok(_) => Err(handshake_error(spec, &russh::Error::Disconnect)),
        }
    })
    .await
}

/// How long a dial may take.
pub(crate) fn connect_limit(spec: &HostSpec, config: &PoolConfig) -> Duration {
    spec.connect_timeout.map_or(config.connect_timeout, |own| own.min(config.connect_timeout))
}

/// Opens TCP to the first address that answers.
///
/// # Errors
/// [`ErrorKind::Unreachable`], naming host and address.
pub(crate) async fn tcp(spec: &HostSpec) -> Result<TcpStream, SshError> {
    connect(spec, &Stage::default()).await
}

async fn limited<T>(
    spec: &HostSpec,
    limit: Duration,
    stage: &Stage,
    work: impl Future<Output = Result<T, SshError>>,
) -> Result<T, SshError> {
    timeout_at(Instant::now() + limit, work).await.unwrap_or_else(|_| {
        let (alias, seconds, stage) = (&spec.alias, limit.as_secs_f32(), stage.name());
        Err(SshError::new(ErrorKind::Timeout, format!("{alias}: not connected within {seconds} s, still {stage}")))
    })
}

async fn connect(spec: &HostSpec, stage: &Stage) -> Result<TcpStream, SshError> {
    let HostSpec { alias, host_name, port, .. } = spec;
    stage.enter(format!("looking up {host_name}"));
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host_name.as_str(), *port))
        .await
        .map_err(|error| {
            SshError::new(ErrorKind::Unreachable, format!("{alias}: the name {host_name} was not resolved: {error}"))
        })?
        .collect();
    let mut failure = format!("{alias}: {host_name} has no address");
    for address in addresses {
        stage.enter(format!("connecting to {address}"));
        match TcpStream::connect(address).await {
            Ok(stream) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(host = %alias, %error, "TCP_NODELAY was refused");
                }
                return Ok(stream);
            }
            Err(error) => failure = format!("{alias}: no connection to {address}: {}", reason(&error)),
        }
    }
    Err(SshError::new(ErrorKind::Unreachable, failure))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

fn handshake_error(spec: &HostSpec, error: &russh::Error) -> SshError {
    let HostSpec { alias, host_name, port, .. } = spec;
    let what = match error {
        russh::Error::Disconnect | russh::Error::HUP => "the server closed the connection".to_owned(),
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            format!("no common {kind:?} algorithm: we offer {}; it offers {}", ours.join(","), theirs.join(","))
        }
        other => other.to_string(),
    };
    SshError::new(ErrorKind::Unreachable, format!("{alias}: the handshake with {host_name}:{port} failed: {what}"))
}

fn client_config(spec: &HostSpec, known: &[Algorithm]) -> Arc<client::Config> {
    let (keepalive_interval, keepalive_max) = match spec.server_alive_interval {
        None => (Some(KEEPALIVE), KEEPALIVE_MAX),
        Some(Duration::ZERO) => (None, KEEPALIVE_MAX),
        Some(interval) => (Some(interval), usize::try_from(spec.server_alive_count_max).unwrap_or(KEEPALIVE_MAX)),
    };
    Arc::new(client::Config {
        window_size: WINDOW,
        keepalive_interval,
        keepalive_max,
        nodelay: true,
        preferred: Preferred {
            key: Cow::Owned(host_key_order(known)),
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305]),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    })
}

/// The algorithms of keys that known_hosts holds, then the others. Never RSA with SHA-1.
fn host_key_order(known: &[Algorithm]) -> Vec<Algorithm> {
    let strong_rsa = [Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }];
    let mut order: Vec<Algorithm> = Vec::new();
    for algorithm in known {
        match algorithm {
            Algorithm::Rsa { .. } => order.extend(strong_rsa.clone()),
            other if Preferred::DEFAULT.key.contains(other) => order.push(other.clone()),
            _ => {}
        }
    }
    order.extend(Preferred::DEFAULT.key.iter().filter(|own| **own != Algorithm::Rsa { hash: None }).cloned());
    let mut unique = Vec::with_capacity(order.len());
    for algorithm in order {
        if !unique.contains(&algorithm) {
            unique.push(algorithm);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_host_key_algorithms_are_offered_first_and_sha1_never() {
        let order = host_key_order(&[Algorithm::Rsa { hash: None }]);
        assert_eq!(order.first(), Some(&Algorithm::Rsa { hash: Some(HashAlg::Sha512) }));
        assert_eq!(order.get(2), Some(&Algorithm::Ed25519));
        assert!(!order.contains(&Algorithm::Rsa { hash: None }));
    }
}
