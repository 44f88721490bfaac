//! One authenticated connection: its channels, counted and reused.
//!
//! Owns the budget of session channels (one for SFTP, some for commands, one open ahead) and what the server taught
//! about its size. Does not know the pool. Opens run in tasks of their own: an open that is given up half-way would
//! lose a place on the server. A channel closes when its [`Session`] is dropped.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, Disconnect};
use scout_machine::{Call, CommandLimits, ErrorKind, FairPermit, Handshake, HostError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use crate::dial::host_key::{HostKeyVerifier, ServerMessages};
use crate::dial::transport::SessionGuard;
use crate::dial::{Dialled, Refusals};
use crate::exec::turns::{Seat, Turns};
use crate::pool::slots::{Slot, Slots};
use crate::pool::{Counter, Gauge, PoolConfig, Stats};
use crate::quirks::{NoShell, Quirks};
use crate::sftp_lanes::SftpLanes;

/// Channels at once: one for SFTP, [`EXECS`], one ahead. OpenSSH's `MaxSessions` is 10; the rest is slack for the
/// commands that end others, and for channels that the server has not yet given up.
const CHANNELS: usize = 8;
/// Commands at once.
const EXECS: usize = 6;
/// Between two tries to open a channel for ending a command.
const CONTROL_PAUSE: Duration = Duration::from_millis(20);
/// How long a server may take to give up the place of a channel that has closed.
const LINGER: Duration = Duration::from_secs(3);
/// How long a request may stay unanswered once the server has said anything behind it, before it is taken to be passed over: tinyssh
/// answers no ping, and others no request for a second channel.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// Between two looks whether the server has said anything.
const LOOK: Duration = Duration::from_millis(20);
/// How long the last words may take when a connection is closed.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session channel; closes when dropped.
pub(crate) struct Session {
    channel: Option<Channel<Msg>>,
    slot: Option<Slot>,
}

impl Session {
    /// The channel itself and its place, for whoever closes it.
    pub(crate) fn into_parts(mut self) -> Option<(Channel<Msg>, Option<Slot>)> {
        self.channel.take().map(|channel| (channel, self.slot.take()))
    }

    /// Whether the server has closed it meanwhile.
    fn is_gone(&mut self) -> bool {
        use futures_util::FutureExt as _;
        let Some(channel) = &mut self.channel else { return true };
        while let Some(message) = channel.wait().now_or_never() {
            if matches!(message, None | Some(ChannelMsg::Close | ChannelMsg::Eof)) {
                return true;
            }
        }
        false
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (channel, slot) = (self.channel.take(), self.slot.take());
        if let (Some(channel), Ok(runtime)) = (channel, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = timeout(GOODBYE, channel.close()).await;
                drop(slot);
            });
        }
    }
}

/// Why a channel did not open.
enum OpenError {
    /// The server has no place for it; ours is given back.
    Refused(Option<Slot>),
    /// The same, while so many others were open.
    RefusedBeside(Option<Slot>, usize),
    /// The connection is gone, or opens no more.
    Lost,
    /// This connection has had the one channel that the server opens.
    UsedUp,
}

/// One connection, shared by all who talk to the host.
pub(crate) struct Connection {
    /// For the pool: no two connections have the same.
    pub(crate) id: u64,
    pub(crate) alias: String,
    pub(crate) stats: Arc<Stats>,
    /// Requests that wait for this host.
    pub(crate) queue: Arc<Gauge>,
    pub(crate) sftp: SftpLanes,
    /// What the host was found to do otherwise than others.
    pub(crate) quirks: Arc<Quirks>,
    /// Kept by the pool, under its lock.
    pub(crate) users: Counter,
    handle: Handle<HostKeyVerifier>,
    /// Ends the session with this value.
    guard: SessionGuard,
    /// What it was agreed on.
    pub(crate) handshake: Arc<Handshake>,
    refusals: Refusals,
    messages: ServerMessages,
    answer_timeout: Duration,
    channels_per_life: u64,
    channels: Arc<Slots>,
    /// Whose turn it is to run a command.
    pub(crate) turns: Arc<Turns>,
    spare: Mutex<Option<Session>>,
    spare_ready: Notify,
    refilling: AtomicBool,
    /// Whether the first open was answered, whatever the answer.
    first_answer: watch::Sender<bool>,
    opened: AtomicU64,
    /// It no longer opens channels; those that are open may go on.
    retired: AtomicBool,
    closed: AtomicBool,
    room: Mutex<Option<FairPermit>>,
}

impl Connection {
    /// Takes over a dialled connection; `room` is its place among the pool's.
    pub(crate) fn new(
        id: u64,
        alias: &str,
        dialled: Dialled,
        config: &PoolConfig,
        (stats, queue, quirks): (Arc<Stats>, Arc<Gauge>, Arc<Quirks>),
        room: FairPermit,
    ) -> Arc<Self> {
        let connection = Arc::new(Self {
            id,
            alias: alias.to_owned(),
            stats,
            queue,
            sftp: SftpLanes::default(),
            quirks,
            users: Counter::default(),
            handle: dialled.handle,
            guard: dialled.guard,
            handshake: dialled.handshake,
            refusals: dialled.refusals,
            messages: dialled.messages,
            answer_timeout: config.answer_timeout,
            channels_per_life: config.channels_per_connection,
            channels: Slots::new(CHANNELS),
            turns: Turns::new(EXECS),
            spare: Mutex::new(None),
            spare_ready: Notify::new(),
            refilling: AtomicBool::new(false),
            first_answer: watch::Sender::new(false),
            opened: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            room: Mutex::new(Some(room)),
        });
        connection.refill();
        connection
    }

    /// Whether new requests may use it.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_alive() && !self.is_retired() && self.opened.load(Ordering::Relaxed) < self.channels_per_life
    }

    /// Whether it is connected, as far as is known.
    pub(crate) fn is_alive(&self) -> bool {
        !self.closed.load(Ordering::Acquire) && !self.handle.is_closed()
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// How much the host has said so far, for [`Self::unanswered`].
    pub(crate) fn bytes_heard(&self) -> u64 {
        self.guard.bytes_heard()
    }

    /// Something was not answered in good time, and `heard` is what the host had said when it was asked. A host that
    /// has said nothing since is gone, and so is the connection: whoever waits on it is told at once. If it has, the
    /// connection lives: what is under way goes on, and new requests get another one.
    pub(crate) fn unanswered(self: &Arc<Self>, heard: u64) {
        if self.bytes_heard() == heard {
            tracing::debug!(host = %self.alias, "the host has fallen silent: connection closed");
            self.close();
        } else {
            self.replace();
        }
    }

    /// New requests get another connection; what is under way on this one goes on.
    pub(crate) fn replace(&self) {
        tracing::debug!(host = %self.alias, "the connection answers no more requests: it is replaced");
        self.retired.store(true, Ordering::Release);
    }

    /// Says goodbye in the background; whoever still uses it gets errors.
    pub(crate) fn close(self: &Arc<Self>) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let connection = Arc::clone(self);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { connection.say_goodbye().await });
        }
    }

    /// Says goodbye and waits for it to be sent.
    pub(crate) async fn say_goodbye(&self) {
        self.closed.store(true, Ordering::Release);
        self.sftp.close();
        let _ = timeout(GOODBYE, self.handle.disconnect(Disconnect::ByApplication, "", "")).await;
        drop(self.spare.lock().take());
        drop(self.room.lock().take());
    }

    /// A session channel: the one that is open ahead, or a new one.
    ///
    /// # Cancel safety
    /// A channel that is being opened is closed again.
    pub(crate) async fn session(self: &Arc<Self>, call: &Call) -> Result<Session, HostError> {
        match self.session_unless(call, true, std::future::pending::<Infallible>).await? {
            Ok(session) => Ok(session),
            Err(never) => match never {},
        }
    }

    /// The same for a shell, unless another one takes the command before there is a place for the channel.
    ///
    /// # Cancel safety
    /// As [`Connection::session`].
    pub(crate) async fn session_for_shell(
        self: &Arc<Self>,
        limits: &CommandLimits,
        call: &Call,
    ) -> Result<Result<Session, Seat>, HostError> {
        self.session_unless(call, false, || self.turns.some_shell(limits)).await
    }

    /// A channel, or what comes before there is a place for one. A shell that is idle makes room, and one that is not if `ends_busy`: it
    /// may always have something to do.
    async fn session_unless<T, F: Future<Output = T>>(
        self: &Arc<Self>,
        call: &Call,
        ends_busy: bool,
        unless: impl Fn() -> F,
    ) -> Result<Result<Session, T>, HostError> {
        loop {
            let mut spare_ready = std::pin::pin!(self.spare_ready.notified());
            spare_ready.as_mut().enable();
            if let Some(spare) = self.take_spare() {
                return Ok(Ok(spare));
            }
            // There are servers that fall silent when a second channel is asked for before the first is open.
            if !self.quirks.opens_several() && !*self.first_answer.borrow() {
                let mut answered = self.first_answer.subscribe();
                call.cost.add_round_trips(1);
                answered.wait_for(|is_answered| *is_answered).await.map_err(|_| self.lost())?;
                continue;
            }
            let slot = match self.channels.try_acquire() {
                Some(slot) => slot,
                None => tokio::select! {
                    biased;
                    slot = self.channels.acquire() => slot.ok_or_else(|| self.lost())?,
                    () = spare_ready => continue,
                    instead = unless() => return Ok(Err(instead)),
                    never = self.turns.make_room(ends_busy) => match never {},
                },
            };
            if self.is_used_up() {
                self.retired.store(true, Ordering::Release);
            }
            if self.is_retired() {
                return Err(self.lost());
            }
            call.cost.add_round_trips(1);
            match self.open(slot).await {
                Ok(session) => return Ok(Ok(session)),
                Err(OpenError::Lost) => return Err(self.lost()),
                // Now it is known to be used up.
                Err(OpenError::UsedUp) => {}
                Err(OpenError::Refused(slot)) => drop(slot),
                Err(OpenError::RefusedBeside(slot, places)) => {
                    self.learn(places)?;
                    drop(slot);
                }
            }
        }
    }

    /// A channel outside the budget, for ending what others left behind. `refused` is called whenever the server has no place for it.
    pub(crate) async fn control_session(
        self: &Arc<Self>,
        until: Instant,
        mut refused: impl FnMut(),
    ) -> Option<Session> {
        loop {
            if let Some(spare) = self.take_spare() {
                return Some(spare);
            }
            let connection = Arc::clone(self);
            let opening = tokio::spawn(async move { connection.open_once(None).await });
            match timeout_at(until, opening).await {
                Ok(Ok(Ok(session))) => return Some(session),
                Ok(Ok(Err(OpenError::Refused(_) | OpenError::RefusedBeside(..)))) => {
                    refused();
                    self.turns.end_an_idle_shell();
                    timeout_at(until, tokio::time::sleep(CONTROL_PAUSE)).await.ok()?;
                }
                _ => return None,
            }
        }
    }

    /// Whether commands that only read may run in shells that stay. Where there is one channel, no shell may keep it.
    pub(crate) fn has_shells(&self) -> bool {
        self.quirks.has_shells() && !self.has_single_channel() && !self.quirks.opens_one()
    }

    /// Opens the next channel ahead, if there is none and a place is free.
    pub(crate) fn refill(self: &Arc<Self>) {
        let is_first = !*self.first_answer.borrow();
        let needs_none = !self.is_usable() || self.is_used_up() || self.spare.lock().is_some();
        if needs_none || self.refilling.swap(true, Ordering::AcqRel) {
            if is_first && !self.is_usable() {
                self.first_answer.send_replace(true);
            }
            return;
        }
        let Some(slot) = self.channels.try_acquire() else {
            self.refilling.store(false, Ordering::Release);
            // Where there are few, a shell that is at hand is worth more than a channel.
            if !self.is_limited() {
                self.turns.end_an_idle_shell();
            }
            return;
        };
        let connection = Arc::clone(self);
        tokio::spawn(async move {
            let opened = connection.open_once(Some(slot)).await;
            connection.refilling.store(false, Ordering::Release);
            match opened {
                Ok(session) if connection.is_alive() => {
                    *connection.spare.lock() = Some(session);
                    connection.spare_ready.notify_one();
                }
                Ok(_) | Err(OpenError::Lost | OpenError::UsedUp) => {}
                // Not worth learning from: it is only ahead, and a channel may just be closing.
                Err(OpenError::Refused(_) | OpenError::RefusedBeside(..)) => {
                    tracing::debug!(host = %connection.alias, "no channel ahead")
                }
            }
            if is_first {
                connection.first_answer.send_replace(true);
            }
        });
    }

    /// How many session channels are open.
    pub(crate) fn open_channels(&self) -> usize {
        self.channels.open()
    }

    /// Whether the server allows fewer channels than are usual.
    pub(crate) fn is_limited(&self) -> bool {
        self.channels.places() < CHANNELS
    }

    /// Whether the server allows a single channel: then SFTP may not keep one.
    pub(crate) fn has_single_channel(&self) -> bool {
        self.channels.places() == 1
    }

    /// That the connection is gone. With [`ErrorKind::ConnectionLost`] another one may serve.
    pub(crate) fn lost(&self) -> HostError {
        let lost = || HostError::new(ErrorKind::ConnectionLost, format!("{}: the connection was lost", self.alias));
        self.refused().unwrap_or_else(lost)
    }

    /// Why the connection was ended, if a host's key changed: then nothing that was under way is repeated on another.
    pub(crate) fn refused(&self) -> Option<HostError> {
        self.refusals.error()
    }

    /// Whether it has had the one channel that the server opens on a connection.
    fn is_used_up(&self) -> bool {
        self.quirks.opens_one() && self.opened.load(Ordering::Relaxed) > 0
    }

    fn take_spare(&self) -> Option<Session> {
        let mut spare = self.spare.lock().take()?;
        (!spare.is_gone()).then_some(spare)
    }

    async fn open(self: &Arc<Self>, slot: Slot) -> Result<Session, OpenError> {
        let connection = Arc::clone(self);
        let opening = tokio::spawn(async move {
            let patience = Instant::now() + LINGER;
            let mut slot = match connection.open_once(Some(slot)).await {
                Err(OpenError::Refused(slot)) => slot,
                result => return result,
            };
            // A place that was just given up is free a moment later: ask again behind a round trip.
            connection.round_trip().await;
            loop {
                let before = connection.channels.open();
                slot = match connection.open_once(slot).await {
                    Err(OpenError::Refused(slot)) => slot,
                    result => return result,
                };
                let beside = before.max(connection.channels.open());
                if beside == 0 && Instant::now() >= patience && connection.opened.load(Ordering::Relaxed) > 0 {
                    if connection.quirks.opens_several() {
                        // What we have closed holds its places there still: a connection of its own has all of them.
                        connection.replace();
                        return Err(OpenError::Lost);
                    }
                    connection.quirks.note_one();
                    return Err(OpenError::UsedUp);
                }
                if beside > 0 || Instant::now() >= patience {
                    return Err(OpenError::RefusedBeside(slot, beside));
                }
                // None of ours is open: the last one's process still has to go.
                tokio::time::sleep(CONTROL_PAUSE).await;
            }
        });
        opening.await.unwrap_or(Err(OpenError::Lost))
    }

    async fn open_once(self: &Arc<Self>, mut slot: Option<Slot>) -> Result<Session, OpenError> {
        if !self.is_alive() {
            return Err(OpenError::Lost);
        }
        let (heard, asked) = (self.bytes_heard(), Instant::now());
        let opening = {
            let connection = Arc::clone(self);
            tokio::spawn(
                async move { timeout(connection.answer_timeout, connection.handle.channel_open_session()).await },
            )
        };
        let mut opening = UnlessTaken { opening: Some(opening), quirks: Arc::clone(&self.quirks) };
        let answer = tokio::select! {
            answer = opening.answer() => answer,
            () = self.passes_over(heard) => {
                self.quirks.note_one();
                tracing::debug!(host = %self.alias, "the server opens one channel on a connection");
                return Err(OpenError::UsedUp);
            }
        };
        match answer {
            Ok(Ok(channel)) => {
                self.turns.note_way(asked.elapsed());
                self.opened.fetch_add(1, Ordering::Relaxed);
                if self.channels.open() > 0 {
                    self.quirks.note_several();
                }
                if let Some(slot) = &mut slot {
                    slot.mark_open();
                }
                Ok(Session { channel: Some(channel), slot })
            }
            Ok(Err(russh::Error::ChannelOpenFailure(_))) => Err(OpenError::Refused(slot)),
            Ok(Err(_)) => Err(OpenError::Lost),
            Err(_) => {
                self.unanswered(heard);
                Err(OpenError::Lost)
            }
        }
    }

    /// Ends if a server that was never seen to open a channel beside another goes on without answering a request for one.
    async fn passes_over(&self, heard: u64) {
        if self.quirks.opens_several() || self.opened.load(Ordering::Relaxed) == 0 {
            return std::future::pending().await;
        }
        // So that it has something to say, whatever it is.
        let ping = async {
            let _ = self.handle.send_ping().await;
            std::future::pending().await
        };
        tokio::select! {
            () = self.goes_on(heard) => {}
            () = ping => {}
        }
    }

    /// A ping and its answer, unless the server passes over it.
    pub(crate) async fn round_trip(&self) {
        let heard = self.bytes_heard();
        tokio::select! {
            _ = timeout(self.answer_timeout, self.handle.send_ping()) => {}
            () = self.goes_on(heard) => {}
        }
    }

    /// Ends when the server has long said something else.
    async fn goes_on(&self, heard: u64) {
        while self.bytes_heard() == heard {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(PASSED_OVER).await;
    }

    /// The server has fewer places than we thought.
    fn learn(&self, places: usize) -> Result<(), HostError> {
        if places == 0 {
            let words = self.messages.refusal().map_or_else(String::new, |words| format!("; it said \"{words}\""));
            let message = format!("{}: the server opens no session channel{words}", self.alias);
            return Err(HostError::new(ErrorKind::Unsupported, message)
                .with_hint("MaxSessions in its sshd_config may be 0, or the account may not log in"));
        }
        self.channels.lower_to(places);
        self.turns.lower_to(places.saturating_sub(1).clamp(1, EXECS));
        tracing::debug!(host = %self.alias, places, "the server allows fewer channels");
        if self.has_single_channel() {
            self.quirks.note_no_shell(NoShell::OneChannel);
            // A command waits for it.
            self.sftp.yield_place();
        }
        Ok(())
    }
}

/// A request for a channel. A channel that is opened when nobody waits any more is closed.
struct UnlessTaken {
    opening: Option<JoinHandle<OpenAnswer>>,
    quirks: Arc<Quirks>,
}

type OpenAnswer = Result<Result<Channel<Msg>, russh::Error>, Elapsed>;

impl UnlessTaken {
    async fn answer(&mut self) -> OpenAnswer {
        let Some(opening) = &mut self.opening else { return Ok(Err(russh::Error::Disconnect)) };
        let answer = opening.await.unwrap_or(Ok(Err(russh::Error::Disconnect)));
        self.opening = None;
        answer
    }
}

impl Drop for UnlessTaken {
    fn drop(&mut self) {
        if let (Some(opening), Ok(runtime)) = (self.opening.take(), tokio::runtime::Handle::try_current()) {
            let quirks = Arc::clone(&self.quirks);
            runtime.spawn(async move {
                if let Ok(Ok(Ok(channel))) = opening.await {
                    // It was late, and not passed over.
                    if quirks.opens_one() {
                        quirks.note_several();
                    }
                    let _ = timeout(GOODBYE, channel.close()).await;
                }
            });
        }
    }
}
