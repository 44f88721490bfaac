//! The host-key check of a connection: the verdict about the key, before anything of authentication leaves.
//!
//! Owns the words for a refused key and what is learned. Which key is trusted is [`crate::trust`]'s; who dials, and how,
//! is [`crate::dial`]'s.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use scout_machine::{ErrorKind, HostError, line};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::{MIN_RSA_BITS, Source, StrictHostKeyChecking};
use crate::dial::agreed::Agreed;
use crate::trust::revoked::RevokedKeys;
use crate::trust::{self, Decision, KnownHosts, Verdict};
use crate::{DialConfig, HostSpec};

/// OpenSSH learns nothing under a dialled name with one of these, whatever `HostKeyAlias` says.
const NEVER_LEARNED: &str = "@?*#[]|'\"\\";

/// Why a handshake ended early.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The protocol or the transport failed.
    Ssh(russh::Error),
    /// The host's key was not accepted.
    Refused(HostError),
    /// The host's key is all that was wanted.
    Captured(Box<HostKey>),
    /// The host may have a certificate that OpenSSH would ask for before this key, and that was not asked for: to be
    /// dialled once more, insisting.
    MayBeCertified,
}

impl From<russh::Error> for HandshakeError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// Kept of each thing that a server says to people.
const WORDS_BYTES: usize = 400;
/// How long the words to a channel that was refused may take: they come in the same packet.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// What a server says to people, made harmless; shared with the verifier that hears it.
#[derive(Clone, Default)]
pub(crate) struct ServerMessages {
    banner: Arc<Mutex<Option<String>>>,
    farewell: Arc<Mutex<Option<String>>>,
    /// Why the last channel was not opened, and how many were not.
    refusals: Arc<watch::Sender<(u64, String)>>,
}

impl ServerMessages {
    /// What it says to whoever wants to log in.
    pub(crate) fn banner(&self) -> Option<String> {
        self.banner.lock().clone()
    }

    /// Why it ended the connection.
    pub(crate) fn farewell(&self) -> Option<String> {
        self.farewell.lock().clone()
    }

    /// Why it opened the last channel not that was asked for.
    pub(crate) fn refusal(&self) -> Option<String> {
        Some(self.refusals.borrow().1.clone()).filter(|words| !words.is_empty())
    }

    /// Runs an open, and if it is refused waits for the server's words to it.
    pub(crate) async fn while_opening<T>(
        &self,
        opening: impl Future<Output = Result<T, russh::Error>>,
    ) -> Result<T, (russh::Error, Option<String>)> {
        let mut refusals = self.refusals.subscribe();
        match opening.await {
            Ok(opened) => Ok(opened),
            Err(error @ russh::Error::ChannelOpenFailure(_)) => {
                // The verifier hears them a moment after the channel is told.
                let _ = timeout(REFUSAL_LIMIT, refusals.changed()).await;
                Err((error, self.refusal()))
            }
            Err(error) => Err((error, None)),
        }
    }

    /// Adds to what was heard there: some say it a line at a time.
    fn hear(place: &Mutex<Option<String>>, words: &str) {
        let words = line(words.as_bytes(), WORDS_BYTES);
        let mut heard = place.lock();
        match &mut *heard {
            _ if words.is_empty() => {}
            Some(heard) if heard.len() < WORDS_BYTES => {
                *heard = line(format!("{heard} {words}").as_bytes(), WORDS_BYTES)
            }
            Some(_) => {}
            none => *none = Some(words),
        }
    }
}

/// The error of a host whose key was refused in a later exchange of keys; shared with the verifier that refuses. It is there
/// before anybody notices that the connection has ended.
#[derive(Clone, Default)]
pub(crate) struct RekeyRefusal(Arc<OnceLock<HostError>>);

impl RekeyRefusal {
    /// The error, if there was one.
    pub(crate) fn error(&self) -> Option<HostError> {
        self.0.get().cloned()
    }
}

/// What a host showed, and what a dial makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// The key; of a certificate, the one in it.
    pub key: PublicKey,
    /// Whether a dial accepts the host with it.
    pub decision: Decision,
}

/// What is done with the host's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Accept it if the files say so.
    LogIn,
    /// Hand it out, with the decision about it, and stop.
    Capture,
}

/// Decides about the host's key, in the first exchange of keys and in every later one. Refuses what a server opens by
/// itself: nothing is forwarded to here.
///
/// russh as published asks about the first key only; `host/vendor/README.md` has the change that makes it ask always. An
/// exchange that it did not ask about ends the connection.
pub(crate) struct HostKeyVerifier {
    check: Arc<Check>,
    purpose: Purpose,
    /// All certificates are asked for, before any key.
    insists: bool,
    /// The host was dialled directly, at an address of this machine's own.
    is_localhost: bool,
    secrets: SecretPermission,
    messages: ServerMessages,
    /// The type of the presented key, until it is compared with what was negotiated.
    presented: Option<Algorithm>,
    /// The key that the host was accepted with; of a certificate, the one in it.
    accepted: Option<PublicKey>,
    refusal: RekeyRefusal,
    agreed: Agreed,
}

/// What the decision about a host's key rests on: read once for all handshakes of a dial.
pub(crate) struct Check {
    pub(super) spec: Arc<HostSpec>,
    /// As known_hosts knows the host.
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) known: KnownHosts,
    revoked: RevokedKeys,
    pub(super) learn_into: Option<PathBuf>,
}

/// Whether the host may be sent a secret that somebody in between could use. Taken before the handshake, asked after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretPermission {
    forbidden: Arc<AtomicBool>,
}

impl SecretPermission {
    /// False if `StrictHostKeyChecking no` accepted a changed or revoked key: then, as in OpenSSH, neither `password`
    /// nor `keyboard-interactive` may be used. Public keys may: a signature is worth nothing to another host.
    pub(crate) fn allowed(&self) -> bool {
        !self.forbidden.load(Ordering::Acquire)
    }

    fn forbid(&self) {
        self.forbidden.store(true, Ordering::Release);
    }
}

impl HostKeyVerifier {
    /// A verifier for one handshake. `insists`: certificates of all types are asked for before any key, after
    /// [`HandshakeError::MayBeCertified`].
    ///
    /// OpenSSH asks for keys of the known types before certificates of other types. russh's lists cannot say so: the
    /// first handshake leaves those certificates out, and a host that has no key of a known type is asked again.
    pub(crate) fn new(check: &Arc<Check>, purpose: Purpose, insists: bool) -> Self {
        Self {
            check: Arc::clone(check),
            purpose,
            insists,
            is_localhost: false,
            secrets: SecretPermission::default(),
            messages: ServerMessages::default(),
            presented: None,
            accepted: None,
            refusal: RekeyRefusal::default(),
            agreed: Agreed::default(),
        }
    }

    /// Tells it that the host answers at a loopback address, which nobody on the way stands behind.
    #[must_use]
    pub(crate) fn at_localhost(self, is_localhost: bool) -> Self {
        Self { is_localhost, ..self }
    }

    /// The algorithms to ask for before all others, because such keys are known for the host.
    pub(crate) fn known_algorithms(&self) -> Vec<Algorithm> {
        self.check.known.algorithms(&self.check.name, self.check.port)
    }

    /// The host certificates to ask for, each by the algorithm of the key in it; they go before all plain keys.
    pub(crate) fn certificate_algorithms(&self) -> Vec<Algorithm> {
        self.check.certificate_algorithms(self.insists)
    }

    /// Where what the server says will be.
    pub(crate) fn messages(&self) -> ServerMessages {
        self.messages.clone()
    }

    /// Where the error will be if a later key is refused.
    pub(crate) fn refusal(&self) -> RekeyRefusal {
        self.refusal.clone()
    }

    /// Where what was agreed on will be.
    pub(crate) fn agreed(&self) -> Agreed {
        self.agreed.clone()
    }

    /// What authentication asks before it sends a password.
    pub(crate) fn secrets(&self) -> SecretPermission {
        self.secrets.clone()
    }

    /// Acts on the decision about what the host presents.
    async fn verdict(&self, presented: &PublicKeyOrCertificate) -> Result<(), HostError> {
        let (check, alias) = (&self.check, &self.check.spec.alias);
        match check.decide(presented, self.is_localhost)? {
            Decision::Trusted(_) | Decision::Localhost => Ok(()),
            Decision::Unsafe(verdict) => {
                tracing::warn!(host = %alias, ?verdict, "StrictHostKeyChecking no: the host is accepted, and passwords are off");
                self.secrets.forbid();
                Ok(())
            }
            Decision::Learn => self.learn(&presented.public_key()).await,
            Decision::Refused(verdict) => Err(check.refused(&verdict, presented)),
        }
    }

    /// A host that shows another key than the one it was accepted with is another host: with `ssh` too that ends the
    /// connection, even if known_hosts has both keys (seen with OpenSSH 9.2).
    fn changed(&self, accepted: &PublicKey, now: &PublicKey) -> HandshakeError {
        let alias = &self.check.spec.alias;
        let shown = |key: &PublicKey| format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let (before, now) = (shown(accepted), shown(now));
        let message =
            format!("{alias}: the host's key changed while it was connected, from {before} to {now}: connection ended");
        self.refuse(HostError::new(ErrorKind::HostKeyRejected, message).with_hint(changed_hint(alias)))
    }

    /// Ends the connection, and tells everybody on it why.
    fn refuse(&self, error: HostError) -> HandshakeError {
        tracing::warn!(host = %self.check.spec.alias, %error, "the connection is ended");
        // Nothing follows the first refusal.
        let _ = self.refusal.0.set(error.clone());
        HandshakeError::Refused(error)
    }

    /// As OpenSSH, a file that cannot be written is a warning. A host that somebody else has just learned with another
    /// key is a changed one.
    async fn learn(&self, key: &PublicKey) -> Result<(), HostError> {
        let Check { spec, name, port, learn_into, .. } = &*self.check;
        let Some(file) = learn_into.clone() else { return Ok(()) };
        let (name, port, key, hashed) = (name.clone(), *port, key.clone(), spec.hash_known_hosts);
        let learned = tokio::task::spawn_blocking(move || trust::learn(&file, &name, port, &key, hashed)).await;
        let Ok(Err(error)) = learned else { return Ok(()) };
        if error.kind() == ErrorKind::HostKeyRejected {
            if spec.strict_host_key_checking != StrictHostKeyChecking::No {
                return Err(error);
            }
            self.secrets.forbid();
        }
        tracing::warn!(host = %spec.alias, %error, "the host's key was accepted and could not be remembered");
        Ok(())
    }
}

impl Handler for HostKeyVerifier {
    type Error = HandshakeError;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, HandshakeError> {
        let key = presented.public_key();
        self.presented = Some(key.algorithm());
        if let Some(accepted) = &self.accepted {
            return if *accepted.key_data() == *key.key_data() { Ok(true) } else { Err(self.changed(accepted, &key)) };
        }
        if !self.insists && self.check.may_be_certified(presented) {
            return Err(HandshakeError::MayBeCertified);
        }
        match self.purpose {
            Purpose::LogIn => {
                self.verdict(presented).await.map_err(HandshakeError::Refused)?;
                self.agreed.show(presented);
                self.accepted = Some(key);
                Ok(true)
            }
            Purpose::Capture => {
                let decision = self.check.decide(presented, self.is_localhost).map_err(HandshakeError::Refused)?;
                Err(HandshakeError::Captured(Box::new(HostKey { key: presented.public_key(), decision })))
            }
        }
    }

    /// Refuses a key of another type than the one that was negotiated, as OpenSSH does; russh leaves that open.
    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &russh::Names,
        _: &mut Session,
    ) -> Result<(), HandshakeError> {
        match (self.presented.take(), &names.key) {
            (None, _) => {
                let alias = &self.check.spec.alias;
                let message =
                    format!("{alias}: keys were exchanged and the host's key was not shown: connection ended");
                Err(self.refuse(HostError::new(ErrorKind::HostKeyRejected, message)))
            }
            (Some(presented), negotiated) if trust::is_same_type(&presented, negotiated) => {
                self.agreed.agree(names);
                Ok(())
            }
            (Some(_), _) => Err(HandshakeError::Ssh(russh::Error::WrongServerSig)),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<HandshakeError>) -> Result<(), HandshakeError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                ServerMessages::hear(&self.messages.farewell, &info.message);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), HandshakeError> {
        ServerMessages::hear(&self.messages.banner, banner);
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), HandshakeError> {
        let words = line(description.as_bytes(), WORDS_BYTES);
        self.messages.refusals.send_modify(|(count, last)| {
            *count += 1;
            *last = words;
        });
        Ok(())
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
    ) -> Result<(), HandshakeError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandshakeError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandshakeError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandshakeError> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandshakeError> {
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
    ) -> Result<(), HandshakeError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandshakeError> {
        Ok(())
    }
}

impl Check {
    /// Reads the files. A dial that learns a key reads them again, under their lock.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a file cannot be read.
    pub(crate) async fn load(spec: &Arc<HostSpec>, config: &DialConfig) -> Result<Self, HostError> {
        let files = config.known_hosts_of(spec);
        let learn_into = files.learn_into().map(Path::to_path_buf);
        let files: Vec<PathBuf> = files.all().map(Path::to_path_buf).collect();
        let revoked = spec.revoked_host_keys.clone();
        let load = move || Ok((KnownHosts::load(&files)?, RevokedKeys::load(&revoked)));
        let (known, revoked) = tokio::task::spawn_blocking(load)
            .await
            .map_err(|_| HostError::new(ErrorKind::Config, "known_hosts could not be read"))
            .flatten()
            .map_err(|error: HostError| HostError::new(error.kind(), format!("{}: {}", spec.alias, error.message())))?;
        for warning in known.warnings() {
            tracing::warn!(host = %spec.alias, "{warning}");
        }
        let (name, port) = trust::known_as(spec);
        Ok(Self { spec: Arc::clone(spec), name, port, known, revoked, learn_into })
    }

    /// No file says anything of the host.
    pub(super) fn of_nothing(spec: &HostSpec) -> Self {
        let (name, port) = trust::known_as(spec);
        Self {
            spec: Arc::new(spec.clone()),
            name,
            port,
            known: KnownHosts::default(),
            revoked: RevokedKeys::default(),
            learn_into: None,
        }
    }

    fn certificate_algorithms(&self, all: bool) -> Vec<Algorithm> {
        let mut algorithms = match all {
            true => trust::HOST_KEY_ALGORITHMS.to_vec(),
            false => self.known.certificate_algorithms(&self.name, self.port),
        };
        if let Some(configured) = &self.spec.algorithms.host_keys {
            algorithms.retain(|algorithm| configured.contains(&algorithm.to_certificate_type()));
        }
        algorithms
    }

    /// Whether a plain key came whose certificate is not asked for at first.
    fn may_be_certified(&self, presented: &PublicKeyOrCertificate) -> bool {
        let own = presented.public_key().algorithm();
        let has = |all| self.certificate_algorithms(all).iter().any(|other| trust::is_same_type(other, &own));
        presented.certificate().is_none() && has(true) && !has(false)
    }

    /// What is to be done with a host that presents this.
    ///
    /// # Errors
    /// [`ErrorKind::HostKeyRejected`] for what no line of any file could make good.
    fn decide(&self, presented: &PublicKeyOrCertificate, is_localhost: bool) -> Result<Decision, HostError> {
        let flawed = |what: &str| {
            let message = format!("{}: the host's key cannot be used: {what}", self.spec.alias);
            HostError::new(ErrorKind::HostKeyRejected, message)
        };
        if self.is_too_short(&presented.public_key()) {
            let required = self.spec.required_rsa_bits.max(MIN_RSA_BITS);
            return Err(flawed(&format!("an RSA key of fewer than {required} bits")).with_hint(
                "give the host a longer key, or one of another type; less than 1024 bits are never accepted, more if \
                 RequiredRSASize in ssh_config says so",
            ));
        }
        if let Some(certificate) = presented.certificate() {
            trust::intact(certificate).map_err(flawed)?;
        }
        if let Some(revoked) = self.revoked.find(presented) {
            let print = presented.public_key().fingerprint(HashAlg::Sha256);
            let why = trust::revoked::why(&revoked.source.file, &revoked);
            let message = format!("{}: the host's key {print} is {why}", self.spec.alias);
            return Err(HostError::new(ErrorKind::HostKeyRejected, message)
                .with_hint("ask whoever keeps that file; Scout connects to no host with such a key, nor does ssh"));
        }
        if is_localhost && self.spec.trusts_localhost && self.spec.host_key_alias.is_none() {
            return Ok(Decision::Localhost);
        }
        Ok(self.settle(self.known.decide(&self.spec, presented)))
    }

    /// The line of `RevokedHostKeys` that refuses this, whatever known_hosts says.
    pub(super) fn revoked(&self, presented: &PublicKeyOrCertificate) -> Option<Source> {
        self.revoked.find(presented).map(|revoked| revoked.source)
    }

    /// Whether it is refused for its length, whatever the files say.
    pub(super) fn is_too_short(&self, key: &PublicKey) -> bool {
        trust::is_too_short(key.key_data(), self.spec.required_rsa_bits)
    }

    /// What a dial makes of what the files say.
    pub(super) fn settle(&self, decision: Decision) -> Decision {
        match decision {
            Decision::Learn if !self.is_learnable() => Decision::Refused(Verdict::Unknown),
            decision => decision,
        }
    }

    /// As OpenSSH: a new key that cannot even be offered to a file is not accepted.
    fn is_learnable(&self) -> bool {
        self.learn_into.is_some() && !self.spec.host_name.contains(|c| NEVER_LEARNED.contains(c))
    }

    fn refused(&self, verdict: &Verdict, presented: &PublicKeyOrCertificate) -> HostError {
        let alias = &self.spec.alias;
        let key = presented.public_key();
        let print = key.fingerprint(HashAlg::Sha256);
        let flaw = presented.certificate().and_then(|c| self.known.flaw(&self.spec, c));
        let certificate = flaw.map(|why| format!("; its certificate does not count: {why}")).unwrap_or_default();
        let rejected = |what: &str, at: &Source| {
            let place = format!("{}:{}", at.file.display(), at.line);
            let message = format!("{alias}: the host's key {print} is {what} {place}{certificate}");
            HostError::new(ErrorKind::HostKeyRejected, message)
                .with_hint("find out why the key differs before that line is changed: somebody may be in between")
        };
        match verdict {
            Verdict::Revoked(at) => rejected("revoked by", at),
            Verdict::Changed(at) => rejected("not the one known from", at),
            Verdict::Unknown | Verdict::Known(_) => {
                let kind = key.algorithm();
                let message = format!("{alias}: the host's key is not known yet: {kind} {print}{certificate}");
                HostError::new(ErrorKind::UnknownHostKey, message).with_hint(trust_hint(alias))
            }
        }
    }
}

/// What to do about an unknown key: `scout trust` asks for the keys of the jump hosts of `alias` and for its own.
pub(crate) fn trust_hint(alias: &str) -> String {
    format!("run `scout trust {alias}` after checking the fingerprint out of band")
}

/// What to do about a key that changed while the host was connected.
pub(crate) fn changed_hint(alias: &str) -> String {
    format!(
        "somebody may be in between: find out why the key changed; `scout trust {alias}` shows the one that a new \
         connection meets, to be compared out of band"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGKse3gVjY1LqE+OdqtdLyAXsxJKXCxP5X9j/cfn5BzN";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBdBhsjcqEPuZIYxQ8Q2Ars78OMpQfbBFvtQ2CuFAo1b";

    fn spec(known: PathBuf, strict: StrictHostKeyChecking) -> HostSpec {
        HostSpec {
            user_known_hosts_files: vec![known],
            strict_host_key_checking: strict,
            ..HostSpec::new("box", "Web", 2222, "me")
        }
    }

    /// Whether the key is accepted, and whether secrets may follow.
    async fn shown(spec: HostSpec) -> (bool, bool) {
        let check = Check::load(&Arc::new(spec), &DialConfig::default()).await.expect("known_hosts");
        let mut verifier = HostKeyVerifier::new(&Arc::new(check), Purpose::LogIn, false);
        let secrets = verifier.secrets();
        let key = PublicKey::from_openssh(KEY).expect("a key");
        (verifier.check_server_key(&key.into()).await.is_ok(), secrets.allowed())
    }

    #[tokio::test]
    async fn a_changed_or_revoked_key_that_is_accepted_gets_no_secrets() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("known_hosts");
        for (text, accepted, allowed) in [
            (format!("[web]:2222 {KEY}\n"), true, true),
            (String::new(), true, true),
            (format!("[web]:2222 {OTHER}\n"), true, false),
            (format!("@revoked * {KEY}\n"), true, false),
            // As in OpenSSH: this is the second look, without the port.
            (format!("@revoked web {KEY}\n"), true, false),
        ] {
            std::fs::write(&file, &text).expect("known_hosts");
            let shown = shown(spec(file.clone(), StrictHostKeyChecking::No)).await;
            assert_eq!(shown, (accepted, allowed), "{text}");
        }
    }

    #[tokio::test]
    async fn a_new_key_with_no_file_to_learn_it_into_is_refused() {
        let mut nowhere = spec(PathBuf::new(), StrictHostKeyChecking::AcceptNew);
        nowhere.user_known_hosts_files.clear();
        assert!(!shown(nowhere).await.0);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut odd = spec(directory.path().join("known_hosts"), StrictHostKeyChecking::No);
        odd.host_name = "a[b]".into();
        assert!(!shown(odd).await.0);
    }

    #[tokio::test]
    async fn a_key_is_learned_under_the_alias_or_the_name_and_hashed_if_wanted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("known_hosts");
        let mut alias = spec(file.clone(), StrictHostKeyChecking::AcceptNew);
        alias.host_key_alias = Some("Alias".into());
        let plain = spec(file.clone(), StrictHostKeyChecking::AcceptNew);
        let mut hashed = spec(directory.path().join("hashed"), StrictHostKeyChecking::AcceptNew);
        hashed.hash_known_hosts = true;
        for spec in [alias.clone(), plain.clone(), hashed.clone(), alias, plain, hashed] {
            assert_eq!(shown(spec).await, (true, true));
        }
        let text = std::fs::read_to_string(file).expect("known_hosts");
        assert_eq!(text, format!("alias {KEY}\n[web]:2222 {KEY}\n"));
        let text = std::fs::read_to_string(directory.path().join("hashed")).expect("known_hosts");
        assert!(text.starts_with("|1|") && text.lines().count() == 1, "{text}");
    }
}
