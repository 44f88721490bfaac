//! One dial: the way to the host, handshake, the host key's verdict, authentication; and the same at each jump host.
//!
//! Owns the order of these steps, the one limit over all of them, and the words for their failures. Does not know the
//! pool. **Nothing of authentication leaves for a host before [`HostKeyVerifier`] has accepted that host's key**, and a dial ends by
//! its own limit whoever waits for it. A jump host's connection serves one target and ends with it.

pub(crate) mod agent;
pub(crate) mod agreed;
mod algorithms;
mod auth;
pub(crate) mod authority;
pub(crate) mod host_key;
pub(crate) mod identities;
mod key_file;
pub(crate) mod offers;
pub(crate) mod penalties;
pub(crate) mod process;
mod proxy_command;
mod secrets;
pub(crate) mod tcp;
pub(crate) mod transport;
pub(crate) mod trust_ahead;

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use russh::ChannelOpenFailure;
use russh::client::{self, Handle};
use russh::keys::Algorithm;
use scout_machine::{ErrorKind, Handshake, HostError, Principal};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{Proxy, user_shell};
use crate::dial::host_key::{
    Check, HandshakeError, HostKey, HostKeyVerifier, Purpose, RekeyRefusal, SecretPermission, ServerMessages,
};
use crate::dial::penalties::{Contact, Penalties, Place};
use crate::dial::proxy_command::ProxyDiagnostics;
use crate::dial::transport::{FirstWords, SessionGuard, Transport};
use crate::jitter::jittered;
use crate::{DialConfig, HostSpec};

/// What a channel may receive before it is granted more. A default answer (1 MiB) fits, so that its reads take one round
/// trip; whatever arrives is drained at once and kept up to its cap. russh grants more only when half is used up, so that
/// half of it is all that a round trip is sure to bring of a large file: as much as `ssh` lets come.
const WINDOW: u32 = 4 * 1024 * 1024;
/// Waits for the remote host before the first attempt to authenticate: TCP (or a channel through a jump host),
/// identification with algorithms, keys, service.
const HANDSHAKE_ROUND_TRIPS: u64 = 4;
/// The first and the longest pause before a host that turned the connection away is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How often a host is asked again that closes without a word. One that says it is too busy is asked as long as there is
/// time.
const SILENT_RETRIES: u32 = 4;
/// Bits of the groups that are asked for where the server chooses one: at least, best and at most. Less than the first is
/// refused, as by OpenSSH; the second is as strong as the keys that are made of it.
const GROUP_BITS: (usize, usize, usize) = (2048, 3072, 8192);
/// How sshd turns away what exceeds `MaxStartups`, since OpenSSH 8.5.
const TOO_BUSY: &str = "Exceeded MaxStartups";
/// Why a dial waits.
const WAITING: &str = "waiting so that the server does not lock this machine's address out (PerSourcePenalties)";
/// The same since OpenSSH 9.8, and so it turns away an address that owes it penalties too: it does not tell which.
const NOT_NOW: &str = "Not allowed at this time";
/// The first pause before such a server is asked again, and how often. That is not fast, and only where nothing is known that
/// it could hold against this machine.
const AFTER_NOT_NOW: (Duration, u32) = (Duration::from_secs(2), 3);
/// How long a host that has locked this address out is left alone: no penalty that counts is shorter.
const LOCK: Duration = Duration::from_secs(16);
/// How long a host that refused the login is left alone.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// An authenticated connection and what it took.
pub(crate) struct Dialled {
    pub(crate) handle: Handle<HostKeyVerifier>,
    pub(crate) round_trips: u64,
    /// The connection ends with this.
    pub(crate) guard: SessionGuard,
    pub(crate) refusals: Refusals,
    pub(crate) messages: ServerMessages,
    /// What it was agreed on with the host itself.
    pub(crate) handshake: Arc<Handshake>,
}

/// The keys that were refused in later exchanges: the host's, and those of the jump hosts that carry its connection.
#[derive(Clone)]
pub(crate) struct Refusals {
    alias: String,
    own: RekeyRefusal,
    /// Of the jump hosts.
    way: Vec<RekeyRefusal>,
}

impl Refusals {
    /// Why the connection has ended, if that is why.
    pub(crate) fn error(&self) -> Option<HostError> {
        let on_the_way = |refusal: &RekeyRefusal| {
            let error = on_the_way(&self.alias, &refusal.error()?);
            Some(error.with_hint(host_key::changed_hint(&self.alias)))
        };
        self.own.error().or_else(|| self.way.iter().find_map(on_the_way))
    }
}

/// Dials the host until authentication has succeeded. `is_proven`: it has before, in the same way.
///
/// # Errors
/// Every kind that a step can meet. One of a jump host names it, and whose way it is on.
/// # Cancel safety
/// Nothing is left over: connections to jump hosts and processes end.
pub(crate) async fn dial(
    spec: &Arc<HostSpec>,
    config: &DialConfig,
    penalties: &Arc<Penalties>,
    (who, is_proven): (&Principal, bool),
) -> Result<Dialled, HostError> {
    let trip = Trip::new(spec, config, penalties, (who, is_proven));
    trip.limited(log_in(spec, None, &trip)).await
}

/// The host's key and what a dial would make of it, from a handshake that ends before authentication. Jump hosts on the
/// way are logged in to.
///
/// # Errors
/// As [`dial`].
pub(crate) async fn host_key(
    spec: &HostSpec,
    config: &DialConfig,
    penalties: &Arc<Penalties>,
) -> Result<HostKey, HostError> {
    let spec = Arc::new(spec.clone());
    let who = Principal::own("a look at a host's key");
    let trip = Trip::new(&spec, config, penalties, (&who, false));
    trip.limited(async {
        match meet(&spec, None, &trip, Purpose::Capture).await {
            Err(Break::Captured(key)) => Ok(*key),
            Err(Break::Failed(error) | Break::NotNow(error) | Break::TurnedAway { error, .. }) => Err(error),
            Ok(_) | Err(Break::MayBeCertified) => {
                Err(HostError::new(ErrorKind::Unreachable, format!("{}: the host showed no key", spec.alias)))
            }
        }
    })
    .await
}

/// The host that a dial calls first: whose handshakes at once have to be bounded.
pub(crate) fn first_contact(spec: &HostSpec) -> (String, u16) {
    match &spec.proxy {
        Proxy::Jump(hops) if let Some(first) = hops.first() => first_contact(first),
        _ => (spec.host_name.clone(), spec.port),
    }
}

/// What all steps of one dial share.
struct Trip<'a> {
    target: &'a str,
    config: &'a DialConfig,
    penalties: &'a Arc<Penalties>,
    /// On whose behalf.
    who: &'a Principal,
    is_proven: bool,
    limit: Duration,
    until: Instant,
    stage: Mutex<Stage>,
}

/// Where a dial is, for the message when its time is over.
#[derive(Default)]
struct Stage {
    text: Cow<'static, str>,
    diagnostics: Option<ProxyDiagnostics>,
    first_words: FirstWords,
}

impl<'a> Trip<'a> {
    fn new(
        spec: &'a HostSpec,
        config: &'a DialConfig,
        penalties: &'a Arc<Penalties>,
        (who, is_proven): (&'a Principal, bool),
    ) -> Self {
        let limit = config.connect_limit(spec);
        Self {
            target: &spec.alias,
            config,
            penalties,
            who,
            is_proven,
            limit,
            until: Instant::now() + limit,
            stage: Mutex::default(),
        }
    }

    fn enter(&self, spec: &HostSpec, stage: impl Into<Cow<'static, str>>) {
        let stage = stage.into();
        let is_target = spec.alias == self.target;
        let text = if is_target { stage } else { format!("at the jump host {}: {stage}", spec.alias).into() };
        tracing::debug!(host = %spec.alias, "{text}");
        self.stage.lock().text = text;
    }

    /// Waits until a contact may fail without harm.
    async fn contact(&self, spec: &HostSpec, place: Place) -> Contact {
        self.enter(spec, WAITING);
        self.penalties.admit(place, self.is_proven).await
    }

    fn heed(&self, diagnostics: Option<&ProxyDiagnostics>, first_words: &FirstWords) {
        let mut stage = self.stage.lock();
        stage.diagnostics = diagnostics.cloned().or_else(|| stage.diagnostics.take());
        stage.first_words = first_words.clone();
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, HostError>>) -> Result<T, HostError> {
        if let Ok(outcome) = timeout_at(self.until, work).await {
            return outcome;
        }
        let stage = self.stage.lock();
        let said = stage.diagnostics.as_ref().map(ProxyDiagnostics::so_far).filter(|said| !said.is_empty());
        let said = said.map_or_else(String::new, |said| format!("; the proxy command said: {said}"));
        let said = unnamed(&stage.first_words) + &said;
        let (target, seconds, text) = (self.target, self.limit.as_secs_f32(), &stage.text);
        let message = format!("{target}: not connected within {seconds} s, still {text}{said}");
        Err(HostError::new(ErrorKind::Timeout, message))
    }
}

type LogIn<'a> = Pin<Box<dyn Future<Output = Result<Dialled, HostError>> + Send + 'a>>;

/// One host's whole way in; `way`: how it is reached, if not as it says itself. Boxed: the way leads through other hosts'
/// ways in.
fn log_in<'a>(spec: &'a Arc<HostSpec>, way: Option<Way<'a>>, trip: &'a Trip<'a>) -> LogIn<'a> {
    Box::pin(async move {
        let mut met = match meet(spec, way, trip, Purpose::LogIn).await {
            Ok(met) => met,
            Err(Break::Failed(error) | Break::NotNow(error) | Break::TurnedAway { error, .. }) => return Err(error),
            Err(Break::Captured(_) | Break::MayBeCertified) => {
                return Err(HostError::new(ErrorKind::Unreachable, format!("{}: nobody logs in", spec.alias)));
            }
        };
        trip.enter(spec, WAITING);
        met.contact.before_login().await;
        trip.enter(spec, "authenticating");
        let login = auth::Login {
            spec,
            secret_command: trip.config.secret_command.as_deref(),
            authority: trip.config.authority.as_ref().map(|authority| (authority, trip.who)),
            is_hop: spec.alias != trip.target,
            may_have_secrets: met.secrets.allowed(),
            messages: met.messages.clone(),
            until: trip.until,
        };
        let attempts = auth::authenticate(&mut met.handle, &login).await;
        let attempts = match attempts {
            Ok(attempts) => attempts,
            Err(error) if error.kind() == ErrorKind::Auth => {
                met.contact.is_refused();
                met.contact.because(error.message());
                let pause = if met.contact.is_lenient() { Duration::ZERO } else { AFTER_REFUSAL };
                return Err(met.refusals.error().unwrap_or_else(|| error.retried_after(pause)));
            }
            Err(error) => return Err(met.refusals.error().unwrap_or(error)),
        };
        met.contact.is_free();
        met.guard.establish();
        let round_trips = met.way_round_trips + HANDSHAKE_ROUND_TRIPS * met.handshakes + attempts;
        Ok(Dialled {
            handle: met.handle,
            round_trips,
            guard: met.guard,
            refusals: met.refusals,
            messages: met.messages,
            handshake: met.handshake,
        })
    })
}

/// A handshake's outcome: the host's key was accepted.
struct Met {
    handle: Handle<HostKeyVerifier>,
    contact: Contact,
    guard: SessionGuard,
    secrets: SecretPermission,
    messages: ServerMessages,
    refusals: Refusals,
    handshake: Arc<Handshake>,
    /// What the way there took.
    way_round_trips: u64,
    /// How many it took to learn what key the host has.
    handshakes: u64,
}

/// Why a handshake did not succeed.
enum Break {
    Failed(HostError),
    /// The host closed the connection before it named itself, and so before anything was asked of it.
    TurnedAway {
        error: HostError,
        is_too_busy: bool,
    },
    /// The same, by a server that is too busy or holds something against this machine.
    NotNow(HostError),
    Captured(Box<HostKey>),
    /// To be asked once more, for certificates.
    MayBeCertified,
}

/// Reaches a host and shakes hands; a host that turns us away unheard is asked again after a pause.
async fn meet(spec: &Arc<HostSpec>, way: Option<Way<'_>>, trip: &Trip<'_>, purpose: Purpose) -> Result<Met, Break> {
    let way = match way {
        Some(way) => way,
        None => Way::find(spec, trip).await.map_err(Break::Failed)?,
    };
    trip.enter(spec, "reading known_hosts");
    let check = Arc::new(Check::load(spec, trip.config).await.map_err(Break::Failed)?);
    let (mut pause, longest) = PAUSE;
    let (mut silent, mut handshakes, mut not_now) = (0, 1, 0);
    loop {
        let verifier = HostKeyVerifier::new(&check, purpose, handshakes > 1);
        let refusals = Refusals { alias: spec.alias.clone(), own: verifier.refusal(), way: way.refusals() };
        let (error, is_too_busy) = match shake_hands(spec, &way, trip, verifier, &refusals).await {
            Err(_) if let Some(error) = refusals.error() => return Err(Break::Failed(error)),
            Err(Break::TurnedAway { error, is_too_busy }) => (error, is_too_busy),
            Err(Break::NotNow(error)) => {
                let (first, most) = AFTER_NOT_NOW;
                let pause = jittered(first.saturating_mul(1 << not_now));
                not_now += 1;
                if not_now > most || Instant::now() + pause >= trip.until {
                    return Err(Break::Failed(error));
                }
                trip.enter(spec, "waiting to ask again a server that is busy or has locked this machine's address out");
                sleep(pause).await;
                continue;
            }
            Err(Break::MayBeCertified) if handshakes == 1 => {
                handshakes = 2;
                continue;
            }
            outcome => return outcome.map(|met| Met { handshakes, ..met }),
        };
        silent += u32::from(!is_too_busy);
        let jittered = jittered(pause);
        if silent > SILENT_RETRIES || Instant::now() + jittered >= trip.until {
            return Err(Break::TurnedAway { error, is_too_busy });
        }
        trip.enter(spec, "waiting to ask again a server that closed the connection at once");
        sleep(jittered).await;
        pause = (pause * 2).min(longest);
    }
}

async fn shake_hands(
    spec: &HostSpec,
    way: &Way<'_>,
    trip: &Trip<'_>,
    verifier: HostKeyVerifier,
    refusals: &Refusals,
) -> Result<Met, Break> {
    let (known, certificates) = (verifier.known_algorithms(), verifier.certificate_algorithms());
    let config = client_config(spec, &known, certificates).map_err(Break::Failed)?;
    let (secrets, messages, agreed) = (verifier.secrets(), verifier.messages(), verifier.agreed());
    let opened = way.open(spec, trip).await.map_err(Break::Failed)?;
    let Opened { transport, guard, diagnostics, is_localhost, mut contact } = opened;
    let verifier = verifier.at_localhost(is_localhost);
    let first_words = transport.first_words();
    trip.heed(diagnostics.as_ref(), &first_words);
    let transport = transport.with_silence_limit(Alive::of(spec).silence);
    trip.enter(spec, "in the handshake");
    let outcome = client::connect_stream(config, transport.read_ahead(), verifier).await;
    if let Some(identification) = first_words.identification() {
        contact.is_with(&identification);
    }
    match outcome {
        Ok(handle) => {
            let (way_round_trips, refusals) = (way.round_trips(), refusals.clone());
            let handshake = Arc::new(agreed.handshake(first_words.identification()));
            Ok(Met { handle, contact, guard, secrets, messages, refusals, handshake, way_round_trips, handshakes: 1 })
        }
        Err(HandshakeError::MayBeCertified) => Err(Break::MayBeCertified),
        Err(HandshakeError::Refused(error)) => {
            contact.because(error.message());
            Err(Break::Failed(error))
        }
        Err(HandshakeError::Captured(key)) => Err(Break::Captured(key)),
        Err(HandshakeError::Ssh(error)) => {
            let mut what = explain(&error, &first_words, messages.farewell().as_deref());
            let is_turned_away = is_closed(&error) && !first_words.has_identification();
            let is_too_busy = is_turned_away && first_words.line().starts_with(TOO_BUSY);
            if is_turned_away {
                contact.is_free();
            }
            if is_turned_away && first_words.line().starts_with(NOT_NOW) {
                let (is_guilty, error) = (contact.owes(), not_now(spec, contact.reason()));
                return Err(if is_guilty { Break::Failed(error) } else { Break::NotNow(error) });
            }
            // A command that ends without a word has failed: that is no answer of the host.
            let is_command = diagnostics.is_some();
            if let Some(diagnostics) = diagnostics {
                what = format!("{what}; {}", diagnostics.last().await);
            }
            let told = handshake_error(spec, &what);
            let told = match &error {
                russh::Error::NoCommonAlgo { kind, theirs, .. } => {
                    told.with_hint(algorithms::mending(spec, kind, theirs))
                }
                _ => told,
            };
            if is_too_busy || (is_turned_away && !is_command) {
                return Err(Break::TurnedAway { error: told, is_too_busy });
            }
            Err(Break::Failed(told))
        }
    }
}

/// How a handshake fails with a server that says this and no more, in words. For tests that choose all the bytes.
pub(crate) async fn handshake_with(server: Vec<u8>) -> String {
    let spec = HostSpec::new("host", "host", 22, "user");
    let check = Arc::new(Check::of_nothing(&spec));
    let config = match client_config(&spec, &[], Vec::new()) {
        Ok(config) => config,
        Err(error) => return error.message().to_owned(),
    };
    let stream = tokio::io::join(std::io::Cursor::new(server), tokio::io::sink());
    let (transport, _leash) = Transport::new(stream, None);
    let first_words = transport.first_words();
    match client::connect_stream(config, transport, HostKeyVerifier::new(&check, Purpose::LogIn, false)).await {
        Err(HandshakeError::Ssh(error)) => explain(&error, &first_words, None),
        Err(HandshakeError::Refused(error)) => error.message().to_owned(),
        Ok(_) | Err(HandshakeError::Captured(_) | HandshakeError::MayBeCertified) => String::new(),
    }
}

/// The way to a host, as far as it is the same for each attempt.
enum Way<'a> {
    Direct,
    Command(&'a str),
    /// Through the last of the jump hosts, whose connection ends with whatever is opened through it.
    Through(Arc<Dialled>, &'a str),
}

/// A stream to a host.
struct Opened {
    transport: Transport,
    guard: SessionGuard,
    /// What the command that carries it says.
    diagnostics: Option<ProxyDiagnostics>,
    /// It is a direct one to a loopback address.
    is_localhost: bool,
    contact: Contact,
}

impl<'a> Way<'a> {
    /// Logs in to the jump hosts, if there are any.
    async fn find(spec: &'a HostSpec, trip: &'a Trip<'_>) -> Result<Self, HostError> {
        let hops = match &spec.proxy {
            Proxy::Direct => return Ok(Self::Direct),
            Proxy::Command(command) => return Ok(Self::Command(command)),
            Proxy::Jump(hops) => hops,
        };
        // The first host's own configuration says how it is reached.
        let mut way = None;
        for hop in hops {
            let dialled = log_in(hop, way.take(), trip).await.map_err(|error| on_the_way(&spec.alias, &error))?;
            way = Some(Self::Through(Arc::new(dialled), &hop.alias));
        }
        Ok(way.unwrap_or(Self::Direct))
    }

    /// Where the jump hosts' refused keys are told.
    fn refusals(&self) -> Vec<RekeyRefusal> {
        match self {
            Self::Direct | Self::Command(_) => Vec::new(),
            Self::Through(hop, _) => hop.refusals.way.iter().chain([&hop.refusals.own]).cloned().collect(),
        }
    }

    /// What it took to log in to the jump hosts.
    fn round_trips(&self) -> u64 {
        match self {
            Self::Direct | Self::Command(_) => 0,
            Self::Through(hop, _) => hop.round_trips,
        }
    }

    /// Opens a stream to the host.
    async fn open(&self, spec: &HostSpec, trip: &Trip<'_>) -> Result<Opened, HostError> {
        match self {
            Self::Direct => {
                let found = tcp::find(spec, |stage| trip.enter(spec, stage)).await?;
                let mut contact = trip.contact(spec, Place::Address(found.first())).await;
                let connected = tcp::connect(spec, found, |stage| trip.enter(spec, stage)).await;
                let stream = connected.inspect_err(|_| contact.is_free())?;
                let is_localhost = stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
                let (transport, guard) = Transport::new(stream, None);
                Ok(Opened { transport, guard, diagnostics: None, is_localhost, contact })
            }
            Self::Command(text) => {
                let contact = trip.contact(spec, Place::Behind((*text).to_owned())).await;
                trip.enter(spec, "starting the proxy command");
                let shell = user_shell();
                let (streams, process, diagnostics) = proxy_command::spawn(&shell, text).map_err(|error| {
                    let (alias, shell) = (&spec.alias, shell.display());
                    let message = format!("{alias}: the shell {shell} of the proxy command cannot be run: {error}");
                    HostError::new(ErrorKind::Unreachable, message)
                })?;
                let (transport, guard) = Transport::new(streams, Some(Box::new(process)));
                Ok(Opened { transport, guard, diagnostics: Some(diagnostics), is_localhost: false, contact })
            }
            Self::Through(hop, name) => {
                let HostSpec { alias, host_name, port, .. } = spec;
                let mut contact = trip.contact(spec, Place::Behind(format!("{name} {host_name} {port}"))).await;
                trip.enter(spec, format!("connecting to {host_name}:{port} from the jump host {name}"));
                // As OpenSSH: where the request came from is nobody's business.
                let opening = hop.handle.channel_open_direct_tcpip(host_name, u32::from(*port), "127.0.0.1", 65535);
                let channel = hop.messages.while_opening(opening).await.map_err(|(error, words)| {
                    contact.is_free();
                    let what = match error {
                        russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => "cannot connect to",
                        russh::Error::ChannelOpenFailure(_) => "does not forward to",
                        _ => "was lost before it connected to",
                    };
                    let words = words.map_or_else(String::new, |words| format!(" ({words})"));
                    let message = format!("{alias}: the jump host {name} {what} {host_name}:{port}{words}");
                    HostError::new(ErrorKind::Unreachable, message)
                })?;
                let (transport, guard) = Transport::new(channel.into_stream(), Some(Box::new(Arc::clone(hop))));
                Ok(Opened { transport, guard, diagnostics: None, is_localhost: false, contact })
            }
        }
    }
}

/// A jump host's failure, told to whoever asked for the target: that is the name to act on.
fn on_the_way(alias: &str, error: &HostError) -> HostError {
    let told = HostError::new(error.kind(), format!("{alias}: jump host {}", error.message()));
    let told = told.retried_after(error.pause());
    match error.hint() {
        Some(_) if error.kind() == ErrorKind::UnknownHostKey => told.with_hint(host_key::trust_hint(alias)),
        Some(hint) => told.with_hint(hint.to_owned()),
        None => told,
    }
}

/// Whether the other side closed the connection.
fn is_closed(error: &russh::Error) -> bool {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => true,
        russh::Error::IO(error) => {
            use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        _ => false,
    }
}

/// What somebody said who did not name itself as an SSH server.
fn unnamed(first_words: &FirstWords) -> String {
    match first_words.line() {
        words if words.is_empty() || first_words.has_identification() => String::new(),
        words => format!("; it said \"{words}\""),
    }
}

/// What went wrong in a handshake.
fn explain(error: &russh::Error, first_words: &FirstWords, farewell: Option<&str>) -> String {
    let said = unnamed(first_words);
    match error {
        closed if is_closed(closed) => match (farewell, first_words.other_version()) {
            (Some(farewell), _) => format!("the server closed the connection ({farewell})"),
            (None, Some(name)) => format!("it speaks another version of SSH: it names itself \"{name}\""),
            (None, None) => format!("the server closed the connection{said}"),
        },
        russh::Error::NoCommonAlgo { kind, ours, theirs } => algorithms::nothing_common(kind, ours, theirs),
        russh::Error::Version => format!("it does not name itself as an SSH server{said}"),
        other => format!("{other}{said}"),
    }
}

fn handshake_error(spec: &HostSpec, what: &str) -> HostError {
    let HostSpec { alias, host_name, port, .. } = spec;
    HostError::new(ErrorKind::Unreachable, format!("{alias}: the handshake with {host_name}:{port} failed: {what}"))
}

/// The server turns this machine's address away. `reason`: what came of the contact before.
fn not_now(spec: &HostSpec, reason: Option<String>) -> HostError {
    let HostSpec { alias, host_name, port, .. } = spec;
    let before = reason.map(|reason| format!("; what came before: {reason}")).unwrap_or_default();
    let message = format!(
        "{alias}: {host_name}:{port} turns this machine's address away for now (\"{NOT_NOW}\"): its sshd has locked it out, \
         for 16 s to 10 min, after several connections that ended without a login (PerSourcePenalties), or it has as many \
         connections without a login as it takes (MaxStartups){before}"
    );
    HostError::new(ErrorKind::Unreachable, message)
        .with_hint(
            "fix what came before, then wait; on the host, `PerSourcePenaltyExemptList` in sshd_config exempts an address",
        )
        .retried_after(LOCK)
}

/// How a host that has fallen silent is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alive {
    /// How long nothing may come before it is asked.
    interval: Option<Duration>,
    /// How often it is asked in vain. russh takes 0 for "for ever".
    count_max: usize,
    /// How long nothing may come at all.
    silence: Option<Duration>,
}

impl Alive {
    /// `ServerAliveInterval` and `ServerAliveCountMax`. As for OpenSSH, a count of 0 asks never: the host is given up
    /// once it has said nothing for the interval.
    fn of(spec: &HostSpec) -> Self {
        let (interval, count_max, silence) = match spec.keepalive() {
            None => (None, 0, None),
            Some((interval, 0)) => (None, 0, Some(interval)),
            Some((interval, count)) => (Some(interval), usize::try_from(count).unwrap_or(usize::MAX), None),
        };
        Self { interval, count_max, silence }
    }
}

fn client_config(
    spec: &HostSpec,
    known: &[Algorithm],
    certificates: Vec<Algorithm>,
) -> Result<Arc<client::Config>, HostError> {
    let alive = Alive::of(spec);
    let (least, best, most) = GROUP_BITS;
    let gex = client::GexParams::new(least, best, most)
        .map_err(|error| HostError::new(ErrorKind::Config, format!("{}: {error}", spec.alias)))?;
    Ok(Arc::new(client::Config {
        gex,
        window_size: WINDOW,
        keepalive_interval: alive.interval,
        keepalive_max: alive.count_max,
        nodelay: true,
        preferred: algorithms::preferred(spec, known, certificates)?,
        ..client::Config::default()
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use scout_tests::{Sshd, SshdOptions, login_name};

    use super::*;

    #[tokio::test]
    async fn an_exchange_of_keys_that_we_begin_is_nothing_that_a_channel_notices() {
        let sshd = Sshd::start_with(&SshdOptions { is_verbose: true, ..SshdOptions::default() });
        let known_hosts = sshd.dir().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts_line(sshd.address())).unwrap();
        let spec = HostSpec {
            identity_files: vec![sshd.user_key().private.clone()],
            user_known_hosts_files: vec![known_hosts],
            ..HostSpec::new("box", "127.0.0.1", sshd.address().port(), login_name())
        };
        let dialled =
            dial(&Arc::new(spec), &DialConfig::default(), &Arc::default(), (&Principal::own("a test"), false))
                .await
                .unwrap();
        for _ in 0..3 {
            dialled.handle.rekey_soon().await.unwrap();
            dialled.handle.channel_open_session().await.unwrap();
        }
        let exchanges = || sshd.log().iter().filter(|line| line.contains("SSH2_MSG_NEWKEYS received")).count();
        // The open of a channel is answered after the exchange; the log comes by another way.
        while exchanges() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(dialled.refusals.error().is_none() && !dialled.handle.is_closed());
    }

    #[tokio::test]
    async fn what_was_agreed_on_is_told_in_the_words_of_the_contract() {
        let contract = include_str!("../../../../wit/inventory.wit");
        let sshd = Sshd::start();
        let known_hosts = sshd.dir().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts_line(sshd.address())).unwrap();
        let spec = HostSpec {
            identity_files: vec![sshd.user_key().private.clone()],
            user_known_hosts_files: vec![known_hosts],
            ..HostSpec::new("box", "127.0.0.1", sshd.address().port(), login_name())
        };
        let dialled =
            dial(&Arc::new(spec), &DialConfig::default(), &Arc::default(), (&Principal::own("a test"), false))
                .await
                .unwrap();
        let told = &dialled.handshake;
        for (word, value) in &told.facts {
            assert!(contract.contains(&format!("`{word}`")) && !value.is_empty(), "{word}: {value}");
        }
        let fact = |word| told.fact(word).unwrap_or_else(|| panic!("{word}: {told:?}"));
        assert!(fact("identification").starts_with("SSH-2.0-OpenSSH_"), "{told:?}");
        assert!(fact("host-key-fingerprint").starts_with("SHA256:"), "{told:?}");
        let is_hybrid = fact("key-exchange").starts_with("mlkem") || fact("key-exchange").starts_with("sntrup");
        assert_eq!(fact("post-quantum"), if is_hybrid { "yes" } else { "no" });
        assert_eq!((fact("strict-key-exchange"), fact("compression")), ("yes", "none"));
        let is_authenticated = fact("cipher").contains("-gcm") || fact("cipher").contains("poly1305");
        assert_eq!(told.fact("mac").is_none(), is_authenticated, "{told:?}");
        assert!(!fact("host-key").is_empty(), "{told:?}");
    }
}
