//! The gate of a connection: the verdict about the host's key, before anything of authentication leaves.
//!
//! Owns the words for a refused key and what is learned. Which key is trusted is [`crate::trust`]'s; who dials, and how,
//! is [`crate::dial`]'s.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::Channel;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::config::{Source, StrictHostKeyChecking};
use crate::transport::harmless;
use crate::trust::{self, KnownHosts, Verdict};
use crate::{ErrorKind, HostSpec, PoolConfig, SshError};

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

/// Kept of what a server says when it ends the connection.
const FAREWELL_BYTES: usize = 200;

/// What a gate saw, for whoever dials.
#[derive(Clone, Default)]
pub(crate) struct Observed(Arc<Sight>);

#[derive(Default)]
struct Sight {
    is_key_changed: AtomicBool,
    farewell: Mutex<Option<String>>,
}

impl Observed {
    /// Whether a changed key was accepted: then the host gets no password.
    pub(crate) fn is_key_changed(&self) -> bool {
        self.0.is_key_changed.load(Ordering::Acquire)
    }

    /// Why the server ended the connection, in its own words.
    pub(crate) fn farewell(&self) -> Option<String> {
        self.0.farewell.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Decides about the host's key, called again with each rekeying, and refuses what a server opens by itself: nothing is
/// forwarded to here.
pub(crate) struct Gate {
    purpose: Purpose,
    observed: Observed,
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
    observed: Observed,
}

impl Gate {
    /// Hands the host's key out and stops.
    pub(crate) fn capture() -> Self {
        Self { purpose: Purpose::Capture, observed: Observed::default() }
    }

    /// Accepts the host's key if the files say so.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a file cannot be read.
    pub(crate) async fn check(spec: &Arc<HostSpec>, config: &PoolConfig) -> Result<Self, SshError> {
        let files = match &config.known_hosts {
            Some(files) => files.clone(),
            None => spec.user_known_hosts_files.iter().chain(&spec.global_known_hosts_files).cloned().collect(),
        };
        let learn_into = match &config.known_hosts {
            Some(files) => files.first().cloned(),
            None => spec.user_known_hosts_files.first().cloned(),
        };
        let known = tokio::task::spawn_blocking(move || KnownHosts::load(&files))
            .await
            .map_err(|_| SshError::new(ErrorKind::Config, "known_hosts could not be read"))??;
        for warning in known.warnings() {
            tracing::warn!(host = %spec.alias, "{warning}");
        }
        let observed = Observed::default();
        let check = Check { spec: Arc::clone(spec), known, learn_into, learned: None, observed: observed.clone() };
        Ok(Self { purpose: Purpose::Check(Box::new(check)), observed })
    }

    /// What this gate sees from now on.
    pub(crate) fn observed(&self) -> Observed {
        self.observed.clone()
    }

    /// The algorithms of the keys that are known for the host, in the files' order.
    pub(crate) fn known_algorithms(&self) -> Vec<Algorithm> {
        match &self.purpose {
            Purpose::Capture => Vec::new(),
            Purpose::Check(check) => check.known.algorithms(&check.spec.host_name, check.spec.port),
        }
    }
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

    async fn disconnected(&mut self, reason: DisconnectReason<Halt>) -> Result<(), Halt> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let message = info.message.as_bytes();
                let message = harmless(message.get(..message.len().min(FAREWELL_BYTES)).unwrap_or_default());
                let farewell = (!message.is_empty()).then_some(message);
                *self.observed.0.farewell.lock().unwrap_or_else(PoisonError::into_inner) = farewell;
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }

    // russh accepts these unless told otherwise; a `ChannelOpenHandle` that is dropped refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Halt> {
        Ok(())
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
                self.observed.0.is_key_changed.store(true, Ordering::Release);
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
