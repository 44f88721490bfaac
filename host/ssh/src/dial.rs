//! One dial: name resolution, TCP, handshake, the host key's verdict, authentication.
//!
//! Owns the order of these steps and the words for their failures. Does not know the pool. **Nothing of authentication
//! leaves before [`Gate`] has accepted the host's key**, and a dial ends by its own timeout whoever waits for it.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::{Preferred, cipher};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::gate::{Gate, Halt};
use crate::{ErrorKind, HostSpec, PoolConfig, SshError, auth};

/// What a channel may receive before it is granted more. A default answer (1 MiB) fits, so that its reads take one round
/// trip; whatever arrives is drained at once and kept up to its cap. russh grants more only when half is used up, so that
/// half of it is all that a round trip is sure to bring of a large file: as much as `ssh` lets come.
const WINDOW: u32 = 4 * 1024 * 1024;
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
        stage.enter("reading known_hosts");
        let gate = Gate::check(spec, config).await?;
        let algorithms = gate.known_algorithms();
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
        match client::connect_stream(client_config(spec, &[]), stream, Gate::capture()).await {
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
