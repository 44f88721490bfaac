//! One SFTP channel: flights of requests out, answers in, and the watchdog over both.
//!
//! Three tasks own the stream: a writer, a reader that never waits for a consumer, and the watchdog. A flight is
//! registered and queued under one lock, so flights reach the server whole and in order. **While handles are guessed
//! no handle outlives its flight**, so the guess is right for every flight; a server that hands out another one, or with which a
//! guess fails otherwise ([`guess`](super::guess)), switches guessing off, before anything that uses real handles is queued. A
//! real handle closes itself when dropped, wherever that happens: in an operation, in an answer that nobody took or that came too
//! late, or in the reader.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};
use scout_machine::{Attributes, Call, DirEntry, ErrorKind, FileKind, HostError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use super::confine::TruePathSupport;
use super::guess::{GUESS, Guess};
use super::kinds::Kinds;
use super::wire::{self, Answer, Expected, Extension, MAX_NOISE, Request, Status, Violation};
use super::{FileSystem, SftpError};
use crate::quirks::Quirks;

/// Flights on the wire at once, per channel: more than a page of tool calls, bounded memory.
const MAX_FLIGHTS: usize = 128;
/// What OpenSSH answers to one READ at most, and takes in one WRITE: its packets hold 256 KiB.
const LONG: u32 = 255 * 1024;
/// What every server must answer or take in one piece (§3).
const SHORT: u32 = 32 * 1024;
/// What is read off the stream at once, of an answer that has begun.
const CHUNK: usize = 64 * 1024;
/// What is kept for the beginning of the next answer: most connections of a fleet have nothing to do.
const BEGINNING: usize = 4 * 1024;
/// Smaller data is copied out, so that a few bytes do not keep a whole chunk alive.
const COPY_BELOW: usize = 32 * 1024;
/// The server's process and the shell's rc files start before the greeting: that takes longer than an answer.
const GREETING_STALLS: u32 = 5;

/// An SFTP session over one stream. Cheap to clone; the session ends with the last clone or at [`close`](Self::close).
#[derive(Clone)]
pub(crate) struct SftpChannel {
    pub(super) shared: Arc<Shared>,
    _end: Arc<DropGuard>,
}

/// What the tasks and all clones share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Real handles to be closed. A lock of its own: a handle may be dropped while the state is locked.
    orphans: Mutex<Vec<Bytes>>,
    /// Something is queued, for the writer.
    queued: Notify,
    /// A flight is waiting, for the watchdog.
    waiting: Notify,
    /// Guessing was decided, for those who wait for the probe.
    decided: watch::Sender<()>,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    /// Whether the watchdog ended it.
    stalled: AtomicBool,
    stall: Duration,
    read_length: AtomicU32,
    write_length: AtomicU32,
    greeting: wire::Greeting,
    /// What the server was found to tell of true paths.
    pub(super) true_paths: TruePathSupport,
    /// What paths were.
    pub(super) kinds: Kinds,
    quirks: Arc<Quirks>,
}

/// Whether handles are guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guessing {
    /// No handle has been seen.
    Untried,
    /// The first flight is on its way, alone.
    Probing,
    /// The guess was right.
    On,
    /// A guess failed, and none will be made.
    Off,
}

struct State {
    next_id: u32,
    next_flight: u64,
    guessing: Guessing,
    closed: bool,
    /// Unanswered ones; also of flights that were given up.
    requests: HashMap<u32, Pending>,
    /// Unanswered flights, the oldest first.
    flights: BTreeMap<u64, PendingFlight>,
    outbox: VecDeque<Bytes>,
    progress: Instant,
}

struct Pending {
    flight: u64,
    index: usize,
    expected: Expected,
}

struct PendingFlight {
    replies: Vec<Option<Reply>>,
    missing: usize,
    /// Absent: it uses no guessed handle.
    guess: Option<Guess>,
    entries_left: usize,
    /// Whose answers are enough if a file was opened.
    file: Option<FilePart>,
    payload: u64,
    sent: Instant,
    /// `None` for a CLOSE that nobody waits for.
    waiter: Option<oneshot::Sender<Result<Landed, SftpError>>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// What is to be known of a flight, besides its requests.
#[derive(Clone, Copy, Default)]
struct FlightOptions {
    /// Whether its requests use [`GUESS`].
    guesses: bool,
    /// How many names are kept.
    max_entries: usize,
    file: Option<FilePart>,
}

/// The first part of a flight that asks for a file and then for a directory at the same path: where it turns out to be a file,
/// nobody waits for the answers about a directory.
#[derive(Clone, Copy)]
pub(super) struct FilePart {
    /// How many requests there are in it.
    pub(super) requests: usize,
    /// Which of them asks for the attributes of what was opened.
    pub(super) attributes: usize,
}

/// A flight that is answered as far as somebody waits for it.
struct Landed {
    replies: Vec<Reply>,
    payload: u64,
    /// Its guess failed: nothing of it counts.
    is_void: bool,
}

/// The answer to one request of a flight.
pub(super) enum Reply {
    /// A status.
    Status(Status),
    /// The handle that was guessed; the flight itself closes it.
    Guessed,
    /// A real handle.
    Handle(RealHandle),
    /// Bytes of a file.
    Data(Bytes),
    /// Names of a directory and whether some were left out.
    Names(Vec<DirEntry>, bool),
    /// A path.
    Path(Bytes),
    /// Attributes.
    Attributes(Attributes),
    /// A file system.
    FileSystem(FileSystem),
    /// Something that the channel keeps for itself.
    Noted,
}

/// A flight under way. Dropping it leaves it on the wire; its answers are discarded.
pub(super) struct Flight(oneshot::Receiver<Result<Landed, SftpError>>);

impl Flight {
    /// Whether the answers are here.
    pub(super) fn has_landed(&self) -> bool {
        !self.0.is_empty() || self.0.is_terminated()
    }

    /// Waits for all answers, one for each request.
    pub(super) async fn land(&mut self, call: &Call) -> Result<Vec<Reply>, SftpError> {
        let landed = within(call, async { (&mut self.0).await.unwrap_or(Err(SftpError::Closed)) }).await?;
        call.cost.add_remote_bytes(landed.payload);
        Ok(landed.replies)
    }
}

/// A handle that the server handed out. Closes it when dropped.
pub(super) struct RealHandle {
    bytes: Bytes,
    shared: Arc<Shared>,
    is_closed: bool,
}

impl RealHandle {
    /// As the server wrote it.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for RealHandle {
    fn drop(&mut self) {
        if !self.is_closed {
            self.shared.orphans.lock().push(std::mem::take(&mut self.bytes));
            self.shared.queued.notify_one();
        }
    }
}

/// Why the channel ends.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Stalled,
    Broken(Violation),
}

/// What became of a flight that was to be queued.
enum Queued {
    Sent(oneshot::Receiver<Result<Landed, SftpError>>),
    Probing(OwnedSemaphorePermit),
    GuessingIsOff,
    Closed,
}

impl SftpChannel {
    /// Greets the server and starts the session's tasks. Up to 64 KiB that an rc file prints first are skipped.
    ///
    /// `stall` is the watchdog's time; the greeting may take five times that. A server that prints something else
    /// and ends is [`ErrorKind::Unsupported`]. Whether its handles can be guessed is learned and kept in `quirks`. Dropping the future
    /// drops the stream.
    pub(crate) async fn start<S>(mut stream: S, stall: Duration, quirks: Arc<Quirks>) -> Result<Self, SftpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut buffer = BytesMut::with_capacity(BEGINNING);
        let greeting = timeout(stall.saturating_mul(GREETING_STALLS), greet(&mut stream, &mut buffer))
            .await
            .map_err(|_| SftpError::Stalled { culprit: false })??;
        let has_limits = greeting.extensions.has(Extension::Limits);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                next_id: 0,
                next_flight: 0,
                guessing: if quirks.guesses_fail() { Guessing::Off } else { Guessing::Untried },
                closed: false,
                requests: HashMap::new(),
                flights: BTreeMap::new(),
                outbox: VecDeque::new(),
                progress: Instant::now(),
            }),
            orphans: Mutex::default(),
            queued: Notify::new(),
            waiting: Notify::new(),
            decided: watch::Sender::new(()),
            permits: Arc::new(Semaphore::new(MAX_FLIGHTS)),
            stop: stop.clone(),
            stalled: AtomicBool::new(false),
            stall,
            // What OpenSSH says; its answer to LIMITS, which nobody waits for, corrects it.
            read_length: AtomicU32::new(if has_limits { LONG } else { SHORT }),
            write_length: AtomicU32::new(SHORT),
            greeting,
            true_paths: TruePathSupport::default(),
            kinds: Kinds::default(),
            quirks,
        });
        if has_limits {
            shared.state.lock().push(&[Request::Limits], FlightOptions::default(), None, None);
        }
        let (reader, writer) = tokio::io::split(stream);
        tokio::spawn(Arc::clone(&shared).run(|shared| read_answers(shared, reader, buffer)));
        tokio::spawn(Arc::clone(&shared).run(|shared| write_flights(shared, writer)));
        tokio::spawn(Arc::clone(&shared).run(watch_for_stall));
        Ok(Self { shared, _end: Arc::new(stop.drop_guard()) })
    }

    /// Whether the session has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.state.lock().closed || self.shared.stop.is_cancelled()
    }

    /// Ends the session: whoever waits gets [`SftpError::Closed`], and the stream is dropped.
    pub(crate) fn close(&self) {
        self.shared.end(End::Closed);
    }

    /// Waits for the session's end; whether its server hangs. Does not keep the session alive.
    pub(crate) fn ended(&self) -> impl Future<Output = bool> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            shared.stop.cancelled().await;
            shared.stalled.load(Ordering::Acquire)
        }
    }

    /// Whether something was asked and nothing has come for so long.
    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        self.shared.stalls_at().is_some_and(|at| at <= Instant::now() + self.shared.stall.saturating_sub(time))
    }

    /// How many bytes came before the greeting.
    pub(crate) fn noise(&self) -> usize {
        self.shared.greeting.noise
    }

    /// Whether the server announces it.
    pub(super) fn has(&self, extension: Extension) -> bool {
        self.shared.greeting.extensions.has(extension)
    }

    /// The length of a WRITE that this server takes.
    pub(super) fn write_length(&self) -> u32 {
        self.shared.write_length.load(Ordering::Relaxed)
    }

    /// The length of a READ that this server answers in one piece.
    pub(super) fn read_length(&self) -> u32 {
        self.shared.read_length.load(Ordering::Relaxed)
    }

    /// Remembers that the server answers no more than `length` bytes to one READ.
    pub(super) fn shorten_reads(&self, length: u32) {
        // Below that it is the file that answers short, as in /proc, and not the server.
        self.shared.read_length.fetch_min(length.max(SHORT), Ordering::Relaxed);
    }

    /// Sends a flight whose requests use [`GUESS`] and waits for its answers: all of them, or those of its part for a file where
    /// that is what was opened. `Ok(None)`: this server's handles cannot be guessed, so the answers do not count.
    ///
    /// Dropping the future leaves the flight on the wire; its answers are discarded.
    pub(super) async fn guess(
        &self,
        requests: &[Request<'_>],
        max_entries: usize,
        file: Option<FilePart>,
        call: &Call,
    ) -> Result<Option<Vec<Reply>>, SftpError> {
        let span = tracing::debug_span!("flight", requests = requests.len());
        let flight = self.fly(requests, FlightOptions { guesses: true, max_entries, file }, call);
        within(call, flight).instrument(span).await
    }

    /// What a flight with a guessed handle was refused was given to one with a real handle: no more guesses.
    pub(super) fn stop_guessing(&self) {
        self.shared.state.lock().guessing = Guessing::Off;
        self.shared.quirks.note_failed_guess();
    }

    /// Sends a flight that guesses nothing and waits for all of its answers, one for each request.
    pub(super) async fn ask(
        &self,
        requests: &[Request<'_>],
        max_entries: usize,
        call: &Call,
    ) -> Result<Vec<Reply>, SftpError> {
        let span = tracing::debug_span!("flight", requests = requests.len());
        let flight = self.fly(requests, FlightOptions { max_entries, ..FlightOptions::default() }, call);
        within(call, flight).instrument(span).await?.ok_or(SftpError::Closed)
    }

    /// Sends a flight that guesses nothing, for whoever counts the round trips of several such.
    pub(super) async fn launch(&self, requests: &[Request<'_>], call: &Call) -> Result<Flight, SftpError> {
        within(call, async {
            let permit = self.permit().await?;
            match self.shared.queue(requests, FlightOptions::default(), permit) {
                Queued::Sent(answer) => Ok(Flight(answer)),
                _ => Err(SftpError::Closed),
            }
        })
        .await
    }

    /// Sends `requests` and the handle's CLOSE in one flight and waits for all answers. Until it is sent, the handle
    /// closes itself.
    pub(super) async fn ask_and_close(
        &self,
        mut handle: RealHandle,
        requests: impl FnOnce(&[u8]) -> Vec<Request<'_>>,
        call: &Call,
    ) -> Result<Vec<Reply>, SftpError> {
        let mut flight = within(call, async {
            let permit = self.permit().await?;
            let bytes = handle.bytes.clone();
            let mut requests = requests(&bytes);
            requests.push(Request::Close(&bytes));
            match self.shared.queue(&requests, FlightOptions::default(), permit) {
                Queued::Sent(answer) => {
                    // A second CLOSE would hit whoever is given the same handle next.
                    handle.is_closed = true;
                    Ok(Flight(answer))
                }
                _ => Err(SftpError::Closed),
            }
        })
        .await?;
        call.cost.add_round_trips(1);
        flight.land(call).await
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, SftpError> {
        Arc::clone(&self.shared.permits).acquire_owned().await.map_err(|_| SftpError::Closed)
    }

    async fn fly(
        &self,
        requests: &[Request<'_>],
        flight: FlightOptions,
        call: &Call,
    ) -> Result<Option<Vec<Reply>>, SftpError> {
        let mut decided = self.shared.decided.subscribe();
        let mut permit = self.permit().await?;
        let answer = loop {
            match self.shared.queue(requests, flight, permit) {
                Queued::Sent(answer) => break answer,
                Queued::Probing(unused) => permit = unused,
                Queued::GuessingIsOff => return Ok(None),
                Queued::Closed => return Err(SftpError::Closed),
            }
            decided.changed().await.map_err(|_| SftpError::Closed)?;
        };
        call.cost.add_round_trips(1);
        let landed = answer.await.map_err(|_| SftpError::Closed)??;
        call.cost.add_remote_bytes(landed.payload);
        Ok((!landed.is_void).then_some(landed.replies))
    }
}

/// Runs the work until the call's deadline or its cancellation.
pub(super) async fn within<T>(call: &Call, work: impl Future<Output = Result<T, SftpError>>) -> Result<T, SftpError> {
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => Err(HostError::new(ErrorKind::Cancelled, "the request was cancelled").into()),
        result = work => result,
        () = sleep_until(call.deadline) => {
            Err(HostError::new(ErrorKind::Timeout, "the SFTP server did not answer before the deadline").into())
        }
    }
}

impl Shared {
    /// Runs one of the session's tasks; whichever ends first ends the session.
    async fn run<F, W>(self: Arc<Self>, task: F)
    where
        F: FnOnce(Arc<Self>) -> W,
        W: Future<Output = End>,
    {
        let end = tokio::select! {
            biased;
            () = self.stop.cancelled() => End::Closed,
            end = task(Arc::clone(&self)) => end,
        };
        self.end(end);
    }

    fn end(&self, end: End) {
        let guess_hangs;
        let flights = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            state.closed = true;
            self.stalled.store(matches!(end, End::Stalled), Ordering::Release);
            state.requests.clear();
            state.outbox.clear();
            let flights = std::mem::take(&mut state.flights);
            // What hangs on a handle that may be unknown to it is asked for again with a real one.
            let is_blamed = |flight: &PendingFlight| {
                let guess = flight.guess.as_ref();
                guess.is_some_and(|guess| {
                    guess.was_wrong() || state.guessing == Guessing::Probing && guess.may_be_to_blame(&flight.replies)
                })
            };
            guess_hangs = matches!(end, End::Stalled) && flights.values().next().is_some_and(is_blamed);
            flights
        };
        if guess_hangs {
            self.quirks.note_failed_guess();
        }
        self.stop.cancel();
        self.permits.close();
        self.decided.send_replace(());
        let mut culprit = !guess_hangs;
        for waiter in flights.into_values().map(|flight| flight.waiter) {
            let error = match end {
                End::Closed => SftpError::Closed,
                End::Stalled => SftpError::Stalled { culprit },
                End::Broken(Violation(what)) => {
                    HostError::new(ErrorKind::Remote, format!("the SFTP server breaks the protocol: {what}")).into()
                }
            };
            culprit = false;
            if let Some(waiter) = waiter {
                // Whoever waited may be gone.
                waiter.send(Err(error)).ok();
            }
        }
    }

    /// Registers a flight and queues its packets, in one step.
    fn queue(&self, requests: &[Request<'_>], flight: FlightOptions, permit: OwnedSemaphorePermit) -> Queued {
        let mut state = self.state.lock();
        if state.closed {
            return Queued::Closed;
        }
        if flight.guesses {
            match state.guessing {
                Guessing::Probing => return Queued::Probing(permit),
                Guessing::Off => return Queued::GuessingIsOff,
                Guessing::Untried => state.guessing = Guessing::Probing,
                Guessing::On => {}
            }
        }
        let (waiter, answer) = oneshot::channel();
        state.push(requests, flight, Some(waiter), Some(permit));
        drop(state);
        self.queued.notify_one();
        self.waiting.notify_one();
        Queued::Sent(answer)
    }

    /// What the writer sends next: queued flights, then a CLOSE for each dropped handle.
    fn take_outbox(&self) -> VecDeque<Bytes> {
        let orphans = std::mem::take(&mut *self.orphans.lock());
        let mut state = self.state.lock();
        if state.closed {
            return VecDeque::new();
        }
        for handle in &orphans {
            state.push(&[Request::Close(handle)], FlightOptions::default(), None, None);
        }
        let outbox = std::mem::take(&mut state.outbox);
        drop(state);
        self.waiting.notify_one();
        outbox
    }

    /// Files one answer, and hands its flight over when that is complete.
    fn accept(self: &Arc<Self>, packet: Bytes) -> Result<(), Violation> {
        let (kind, id, rest) = wire::head(packet)?;
        let mut state = self.state.lock();
        let State { requests, flights, guessing, .. } = &mut *state;
        let pending = requests.remove(&id).ok_or(Violation("an answer to nothing"))?;
        let Some(flight) = flights.get_mut(&pending.flight) else {
            // Of a flight that was given up. A handle is closed.
            if let Answer::Handle(bytes) = wire::answer(kind, rest, pending.expected, 0)? {
                drop(RealHandle { bytes, shared: Arc::clone(self), is_closed: false });
            }
            return Ok(());
        };
        let abandoned = flight.waiter.as_ref().is_none_or(oneshot::Sender::is_closed);
        let keep = if abandoned { 0 } else { flight.entries_left };
        let size = rest.len() as u64;
        let reply = match wire::answer(kind, rest, pending.expected, keep)? {
            Answer::Status(status) => Reply::Status(status),
            Answer::Attributes(attributes) => Reply::Attributes(attributes),
            Answer::Path(path) => Reply::Path(path),
            Answer::FileSystem(file_system) => Reply::FileSystem(file_system),
            Answer::Limits(limits) => {
                self.read_length.store(piece(limits.read_length), Ordering::Relaxed);
                self.write_length.store(piece(limits.write_length), Ordering::Relaxed);
                Reply::Noted
            }
            Answer::Handle(bytes) => match flight.guess.as_mut().map(|guess| guess.compare(&bytes)) {
                Some(true) => Reply::Guessed,
                is_guessed => {
                    if is_guessed.is_some() {
                        self.note_failed_guess(guessing);
                    }
                    Reply::Handle(RealHandle { bytes, shared: Arc::clone(self), is_closed: false })
                }
            },
            Answer::Names(entries, more) => {
                flight.payload += size;
                flight.entries_left = flight.entries_left.saturating_sub(entries.len());
                Reply::Names(entries, more)
            }
            Answer::Data(data) => {
                flight.payload += data.len() as u64;
                Reply::Data(match data {
                    _ if abandoned => Bytes::new(),
                    data if data.len() < COPY_BELOW => Bytes::copy_from_slice(&data),
                    data => data,
                })
            }
        };
        if let Some(slot) = flight.replies.get_mut(pending.index) {
            *slot = Some(reply);
        }
        if let Some(guess) = &mut flight.guess {
            guess.answered(pending.index);
        }
        flight.missing -= 1;
        if flight.missing > 0 {
            let waiter = flight.file_is_read().then(|| flight.waiter.take()).flatten();
            let Some(waiter) = waiter else { return Ok(()) };
            let landed = flight.land(false);
            if *guessing == Guessing::Probing {
                *guessing = Guessing::On;
            }
            drop(state);
            self.decided.send_replace(());
            waiter.send(Ok(landed)).ok();
            return Ok(());
        }
        let Some(flight) = flights.remove(&pending.flight) else { return Ok(()) };
        self.land(state, flight);
        Ok(())
    }

    /// Hands a flight over, once all is answered that will be, and judges its guess.
    fn land(self: &Arc<Self>, mut state: MutexGuard<'_, State>, mut flight: PendingFlight) {
        let guesses = flight.guess.is_some();
        let mut is_void = false;
        if let Some(guess) = &flight.guess {
            is_void = guess.has_failed(&flight.replies);
            if is_void {
                for opened in guess.left_open(&flight.replies) {
                    if let Some(reply) = flight.replies.get_mut(opened) {
                        let bytes = Bytes::from_static(GUESS);
                        *reply = Some(Reply::Handle(RealHandle { bytes, shared: Arc::clone(self), is_closed: false }));
                    }
                }
                self.note_failed_guess(&mut state.guessing);
            } else if state.guessing == Guessing::Probing {
                state.guessing = if guess.was_right() { Guessing::On } else { Guessing::Untried };
            }
        }
        drop(state);
        if guesses {
            self.decided.send_replace(());
        }
        if let Some(waiter) = flight.waiter.take() {
            // Whoever waited may be gone; handles among the replies close themselves.
            waiter.send(Ok(flight.land(is_void))).ok();
        }
    }

    /// No more guesses on this channel, nor on another one to a server that was never guessed right.
    fn note_failed_guess(&self, guessing: &mut Guessing) {
        if *guessing == Guessing::Probing {
            self.quirks.note_failed_guess();
        }
        *guessing = Guessing::Off;
    }

    /// Gives up the oldest flight if the server has passed over what used a guessed handle: that does not hang, and never comes.
    fn give_up_guess(self: &Arc<Self>) -> bool {
        let mut state = self.state.lock();
        let Some(oldest) = state.flights.first_entry() else { return false };
        let flight = oldest.get();
        if !flight.guess.as_ref().is_some_and(|guess| guess.is_passed_over(&flight.replies)) {
            return false;
        }
        let flight = oldest.remove();
        self.land(state, flight);
        true
    }

    /// When the watchdog fires, if nothing arrives until then.
    fn stalls_at(&self) -> Option<Instant> {
        let state = self.state.lock();
        let oldest = state.flights.first_key_value()?.1.sent;
        Some(oldest.max(state.progress) + self.stall)
    }
}

impl PendingFlight {
    /// Whether what was asked for is a file, and all about it is here. Servers answer in the order that they like.
    fn file_is_read(&self) -> bool {
        let Some(part) = self.file.filter(|part| self.missing <= self.replies.len() - part.requests) else {
            return false;
        };
        let (Some(part_replies), Some(attributes)) =
            (self.replies.get(..part.requests), self.replies.get(part.attributes))
        else {
            return false;
        };
        let is_file = matches!(attributes, Some(Reply::Attributes(found)) if found.kind() == FileKind::File);
        is_file && self.guess.as_ref().is_some_and(|guess| guess.was_right() && !guess.has_failed(part_replies))
    }

    /// The answers so far. How those that follow fare is still judged.
    fn land(&mut self, is_void: bool) -> Landed {
        self.file = None;
        let replies = self
            .replies
            .iter_mut()
            .filter_map(|reply| reply.as_mut())
            .map(|reply| std::mem::replace(reply, Reply::Noted));
        Landed { replies: replies.collect(), payload: self.payload, is_void }
    }
}

impl State {
    fn push(
        &mut self,
        requests: &[Request<'_>],
        asked: FlightOptions,
        waiter: Option<oneshot::Sender<Result<Landed, SftpError>>>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let flight = self.next_flight;
        self.next_flight += 1;
        let mut packets = BytesMut::new();
        for (index, request) in requests.iter().enumerate() {
            // Ids wrap around; by then the old ones are long answered.
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            request.encode(id, &mut packets);
            self.requests.insert(id, Pending { flight, index, expected: request.expected() });
        }
        self.flights.insert(
            flight,
            PendingFlight {
                replies: requests.iter().map(|_| None).collect(),
                missing: requests.len(),
                guess: asked.guesses.then(|| Guess::of(requests)),
                entries_left: asked.max_entries,
                file: asked.file,
                payload: 0,
                sent: Instant::now(),
                waiter,
                _permit: permit,
            },
        );
        self.outbox.push_back(packets.freeze());
    }
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Result<wire::Greeting, SftpError> {
    stream.write_all(&wire::init()).await.map_err(|_| SftpError::Closed)?;
    stream.flush().await.map_err(|_| SftpError::Closed)?;
    let mut from = 0;
    loop {
        let ended = matches!(stream.read_buf(buffer).await, Ok(0) | Err(_));
        if let Some(greeting) = wire::take_greeting(buffer, &mut from) {
            return Ok(greeting);
        }
        if ended && buffer.is_empty() {
            return Err(SftpError::Closed);
        }
        // Twice the noise: the packet itself may be as long.
        if ended || buffer.len() > 2 * MAX_NOISE {
            let printed = scout_machine::path::shown(buffer);
            let message = format!("the host speaks no SFTP version 3: it printed `{printed}`");
            return Err(HostError::new(ErrorKind::Unsupported, message).into());
        }
    }
}

/// What is asked for or sent in one piece of a server with this limit; 0 is no limit.
fn piece(limit: u64) -> u32 {
    u32::try_from(limit).ok().filter(|limit| *limit > 0).map_or(LONG, |limit| limit.min(LONG))
}

async fn read_answers(shared: Arc<Shared>, mut stream: impl AsyncRead + Unpin, mut buffer: BytesMut) -> End {
    loop {
        loop {
            match wire::take_packet(&mut buffer) {
                Ok(Some(packet)) => {
                    if let Err(violation) = shared.accept(packet) {
                        return End::Broken(violation);
                    }
                }
                Ok(None) => break,
                Err(violation) => return End::Broken(violation),
            }
        }
        if buffer.is_empty() {
            buffer = BytesMut::with_capacity(BEGINNING);
        } else {
            // All that is missing of a packet at once: a buffer that grows with it is copied each time.
            buffer.reserve(wire::missing(&buffer).max(CHUNK));
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return End::Closed,
            Ok(_) => shared.state.lock().progress = Instant::now(),
        }
    }
}

async fn write_flights(shared: Arc<Shared>, mut stream: impl AsyncWrite + Unpin) -> End {
    loop {
        let outbox = shared.take_outbox();
        if outbox.is_empty() {
            shared.queued.notified().await;
            continue;
        }
        for packets in outbox {
            if stream.write_all(&packets).await.is_err() {
                return End::Closed;
            }
        }
        if stream.flush().await.is_err() {
            return End::Closed;
        }
    }
}

async fn watch_for_stall(shared: Arc<Shared>) -> End {
    loop {
        match shared.stalls_at() {
            None => shared.waiting.notified().await,
            Some(at) if at <= Instant::now() => {
                if !shared.give_up_guess() {
                    return End::Stalled;
                }
            }
            Some(at) => sleep_until(at).await,
        }
    }
}
