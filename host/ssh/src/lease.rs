//! What a request does with a host: read over SFTP, run a command.
//!
//! Owns the repeats that are safe and the words of failures. **A read may be repeated, for it changes nothing; a command
//! only if it provably was not begun.** Does not know how connections are chosen.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use scout_machine::command::persistent;
use scout_machine::command::shell::{Prepared, Way};
use scout_machine::path::{not_a_file, shown};
use scout_machine::{
    Attributes, Call, Capture, CommandLimits, Cost, Ending, ErrorKind, ExecOutcome, ExecRequest, Handshake, HostError,
    Opened, RemotePath, TruePath,
};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use crate::HostSpec;
use crate::exec::command::{self, RunError};
use crate::exec::shell;
use crate::exec::turns::{Place, Turn};
use crate::pool::{InUse, Inner, Key, Role};
use crate::quirks::OtherWay;
use crate::script::Question;
use crate::sftp::{SftpChannel, SftpError};
use crate::sftp_lanes::{Generation, Lane, LaneUse};

/// How often an operation is begun: a stale channel or connection, or a neighbour's stall, costs one.
pub(crate) const TRIES: usize = 3;

/// The right to use one host's connections. Dropping it ends the use.
pub struct Lease {
    pool: Arc<Inner>,
    key: Key,
    connection: Mutex<Arc<InUse>>,
    own_sessions: bool,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("host", &self.spec().alias).finish_non_exhaustive()
    }
}

impl Lease {
    pub(crate) fn new(pool: Arc<Inner>, key: Key, connection: Arc<InUse>) -> Self {
        Self { pool, key, connection: Mutex::new(connection), own_sessions: false }
    }

    /// With a session of its own for each command, also for one that could share a shell that stays.
    #[must_use]
    pub fn with_own_sessions(self, own_sessions: bool) -> Self {
        Self { own_sessions, ..self }
    }

    /// What the connection was agreed on: no round trip.
    pub fn handshake(&self) -> Arc<Handshake> {
        Arc::clone(&self.connection.lock().handshake)
    }

    /// Looks at a path in one round trip: attributes, and a file's first `cap` bytes or a directory's first
    /// `max_entries` entries. `~`, `~/x` and relative paths are below the home directory. A host without SFTP is asked
    /// by a command, in one round trip as well. Beyond 2 MiB of a file and some 300 entries each further part takes one more.
    ///
    /// # Errors
    /// NotFound, Permission, NotReadable, Timeout, Cancelled, Unreachable, Remote, Invalid; Unsupported also for a path with a link of
    /// which the host does not tell truly where it leads.
    pub async fn open(
        &self,
        path: &RemotePath,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<Opened, HostError> {
        self.open_placed(path, cap, max_entries, call).await.map(|(opened, _)| opened)
    }

    /// As [`Lease::open`], and where what was opened truly lies, learned in the same round trip: whoever serves only some
    /// places compares [`TruePath::path`], then uses the content.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn open_placed(
        &self,
        path: &RemotePath,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, TruePath), HostError> {
        match self.open_over_sftp(path, 0, cap, max_entries, call).await {
            Err(error) if self.has_no_sftp() => {
                self.by_script(Question::Open { cap, max_entries }, path, call, error).await
            }
            result => result,
        }
    }

    /// The same over SFTP or not at all, a file from `offset` on.
    pub(crate) async fn open_over_sftp(
        &self,
        path: &RemotePath,
        offset: u64,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, TruePath), HostError> {
        self.sftp(Lane::Short, path.clone(), call, move |channel: SftpChannel, path: RemotePath, call| async move {
            channel.open(&path, offset, cap, max_entries, &call).await
        })
        .await
    }

    /// Bytes of a regular file from `offset` on, at most `length`.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn read(
        &self,
        path: &RemotePath,
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture), HostError> {
        self.read_placed(path, offset, length, call).await.map(|(attributes, capture, _)| (attributes, capture))
    }

    /// As [`Lease::read`], and where the file truly lies, as with [`Lease::open_placed`].
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn read_placed(
        &self,
        path: &RemotePath,
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture, TruePath), HostError> {
        let read = self
            .sftp(Lane::Short, path.clone(), call, move |channel, path, call| async move {
                channel.read(&path, offset, length, &call).await
            })
            .await;
        match read {
            Err(error) if self.has_no_sftp() => {
                match self.by_script(Question::Read { offset, length }, path, call, error).await? {
                    (Opened::File { attributes, content }, place) => Ok((attributes, content, place)),
                    (Opened::Directory { .. } | Opened::Other { .. }, _) => Err(not_a_file(path.bytes())),
                }
            }
            result => result,
        }
    }

    /// A path's attributes, following links.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn stat(&self, path: &RemotePath, call: &Call) -> Result<Attributes, HostError> {
        self.stat_placed(path, call).await.map(|(attributes, _)| attributes)
    }

    /// As [`Lease::stat`], and where that truly lies, as with [`Lease::open_placed`].
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn stat_placed(&self, path: &RemotePath, call: &Call) -> Result<(Attributes, TruePath), HostError> {
        let stat = self
            .sftp(Lane::Short, path.clone(), call, move |channel, path, call| async move {
                channel.stat(&path, &call).await
            })
            .await;
        match stat {
            Err(error) if self.has_no_sftp() => {
                let (opened, place) = self.by_script(Question::Stat, path, call, error).await?;
                let (Opened::File { attributes, .. }
                | Opened::Directory { attributes, .. }
                | Opened::Other { attributes }) = opened;
                Ok((attributes, place))
            }
            result => result,
        }
    }

    /// Whether the connection's host was found to offer no SFTP.
    pub(crate) fn has_no_sftp(&self) -> bool {
        self.connection.lock().sftp.is_absent()
    }

    /// Asks by a command. `no_sftp` is the answer of a host that takes no commands either.
    async fn by_script(
        &self,
        question: Question,
        path: &RemotePath,
        call: &Call,
        no_sftp: HostError,
    ) -> Result<(Opened, TruePath), HostError> {
        let request = question.request(path)?;
        let mut asked = self.exec(&request, call).await;
        for _ in 1..TRIES {
            // It only reads: where the connection went away, another one may answer.
            let is_lost = matches!(&asked, Ok(outcome) if outcome.ending == Ending::NoStatus)
                && !self.connection.lock().is_usable();
            if !is_lost {
                break;
            }
            asked = self.exec(&request, call).await;
        }
        match asked {
            Ok(outcome) => question.answer(path, &outcome),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                // sshd throws away what the shell says to a subsystem: to a command it says the same.
                let alias = format!("{}: ", self.spec().alias);
                let why = error.message();
                Err(no_sftp.with_addition(&format!("; {}", why.strip_prefix(&alias).unwrap_or(why))))
            }
            Err(error) => Err(error),
        }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// If it provably did not run; otherwise the outcome tells how it ended. HostKeyRejected too if the host's key
    /// changed in the meantime: then the message says whether it may have run.
    /// # Cancel safety
    /// A command whose future is dropped is ended on the remote host.
    pub async fn exec(&self, request: &ExecRequest, call: &Call) -> Result<ExecOutcome, HostError> {
        let tally = self.tally(call);
        if request.only_reads
            && !self.own_sessions
            && persistent::fits(&request.script)
            && let Some(outcome) = self.exec_in_shell(request, &tally).await?
        {
            return Ok(outcome);
        }
        let quirks = Arc::clone(&self.connection.lock().quirks);
        let mut way = quirks.way();
        let mut prepared = Prepared::new(&request.script, &request.limits, way)?;
        let mut garbled = None;
        for _ in 0..=TRIES {
            let run = async {
                let (connection, place) = self.exec_place(&tally).await.map_err(RunError::Failed)?;
                command::run(&connection, place, &prepared, request, &tally.call).await
            };
            match run.await {
                Ok((outcome, is_heard)) => {
                    if is_heard {
                        quirks.note_way(way);
                    }
                    return Ok(self.ran(outcome, &tally));
                }
                Err(RunError::Failed(error)) => return Err(error),
                Err(RunError::Garbled(error))
                    if garbled.is_none()
                        && let Some(other) = quirks.other_way(way) =>
                {
                    // It may be that it ran and what it printed was hidden: what is sent again is seen to be heard first.
                    let is_heard = match other {
                        OtherWay::Works => Some(true),
                        OtherWay::Untried => self.hears(Way::Data, request, &tally).await,
                    };
                    if is_heard == Some(false) {
                        quirks.note_no_way();
                    }
                    if is_heard != Some(true) {
                        return Err(error);
                    }
                    way = Way::Data;
                    prepared = Prepared::new(&request.script, &request.limits, way)?;
                    garbled = Some(error);
                }
                Err(RunError::Garbled(error)) => return Err(garbled.unwrap_or(error)),
                // With a marker of its own: what is left of a try ends all that has its marker.
                Err(RunError::NotSent | RunError::NoShell) => {
                    prepared = Prepared::new(&request.script, &request.limits, way)?;
                }
            }
        }
        Err(HostError::new(
            ErrorKind::Unreachable,
            format!("{}: the connection was lost before the command was sent", self.spec().alias),
        ))
    }

    /// Runs a command that only reads in a shell that stays; absent: it is to be sent in the other way.
    async fn exec_in_shell(&self, request: &ExecRequest, tally: &Tally) -> Result<Option<ExecOutcome>, HostError> {
        for tried in 0..TRIES {
            if !self.connection.lock().has_shells() {
                break;
            }
            // A line may have to be left again and again; a place does not.
            let joins = (tried + 1 < TRIES).then_some(request.limits);
            let (connection, turn) = self.turn(joins, tally).await?;
            if !connection.has_shells() {
                break;
            }
            let span = tracing::debug_span!("exec", host = %connection.alias);
            match shell::run(&connection, turn, request, &tally.call).instrument(span).await {
                Ok(outcome) => return Ok(Some(self.ran(outcome, tally))),
                Err(RunError::Failed(error)) => return Err(error),
                Err(RunError::NoShell | RunError::Garbled(_)) => return Ok(None),
                Err(RunError::NotSent) => {}
            }
        }
        Ok(None)
    }

    fn ran(&self, outcome: ExecOutcome, tally: &Tally) -> ExecOutcome {
        tally.call.cost.add_remote_bytes((outcome.stdout.data.len() + outcome.stderr.data.len()) as u64);
        if outcome.ending == Ending::NoStatus {
            tracing::warn!(host = %self.spec().alias, "a command ended without a status");
        }
        outcome
    }

    /// Whether a command that does nothing is heard, sent in this way; absent: nobody knows.
    async fn hears(&self, way: Way, request: &ExecRequest, tally: &Tally) -> Option<bool> {
        let nothing = ExecRequest { script: b":".into(), ..request.clone() };
        for _ in 0..TRIES {
            let prepared = Prepared::new(&nothing.script, &nothing.limits, way).ok()?;
            let (connection, place) = self.exec_place(tally).await.ok()?;
            match command::run(&connection, place, &prepared, &nothing, &tally.call).await {
                Ok((_, is_heard)) => return is_heard.then_some(true),
                Err(RunError::Garbled(_)) => return Some(false),
                Err(RunError::Failed(_) | RunError::NoShell) => return None,
                Err(RunError::NotSent) => {}
            }
        }
        None
    }

    /// Runs a read, on another channel if the first one dies of something else.
    ///
    /// The operation owns what it works on: an async closure over references would not be `Send` for every lifetime.
    pub(crate) async fn sftp<P, T, F>(
        &self,
        lane: Lane,
        path: P,
        call: &Call,
        operation: impl Fn(SftpChannel, P, Call) -> F,
    ) -> Result<T, HostError>
    where
        P: AsRef<[u8]> + Clone,
        F: Future<Output = Result<T, SftpError>>,
    {
        let tally = self.tally(call);
        for _ in 0..TRIES {
            let Some(on) = self.lane(lane, &tally).await? else { continue };
            match operation(on.channel.clone(), path.clone(), tally.call.clone()).await {
                Ok(value) => return Ok(value),
                Err(error) => self.give_up_or_repeat(on, error, path.as_ref(), &tally).await?,
            }
        }
        Err(self.no_answer_from_sftp())
    }

    /// The lane's channel. `None`: it ended at once, and the next one may not.
    pub(crate) async fn lane(&self, lane: Lane, tally: &Tally) -> Result<Option<OnLane>, HostError> {
        let connection = match lane {
            Lane::Short => self.connection(tally).await?,
            Lane::Bulk => self.bulk_connection(tally).await?,
        };
        let using = connection.use_lane(lane);
        let opening = async { Ok(connection.sftp_channel(lane, &tally.call).await) };
        match within(&self.spec().alias, &tally.call, opening).await? {
            Ok((channel, generation)) => Ok(Some(OnLane { channel, lane, generation, using, connection })),
            Err(SftpError::Ssh(error)) if error.kind() != ErrorKind::ConnectionLost => Err(error),
            Err(_) => connection.refused().map_or(Ok(None), Err),
        }
    }

    /// What an operation's failure means: `Ok` if it may be repeated on another channel.
    pub(crate) async fn give_up_or_repeat(
        &self,
        on: OnLane,
        error: SftpError,
        path: &[u8],
        tally: &Tally,
    ) -> Result<(), HostError> {
        let connection = Arc::clone(&on.connection);
        let killed = on.settle(&error).await;
        match error {
            SftpError::Stalled { .. } | SftpError::Closed if let Some(error) = connection.refused() => Err(error),
            SftpError::Stalled { culprit: true } => Err(self.hangs(path, killed)),
            SftpError::Stalled { culprit: false } | SftpError::Closed => Ok(()),
            SftpError::Ssh(error) => Err(self.named(error, tally.begun.elapsed())),
        }
    }

    pub(crate) fn no_answer_from_sftp(&self) -> HostError {
        let message = format!("{}: SFTP ended {TRIES} times before an answer came", self.spec().alias);
        HostError::new(ErrorKind::Unreachable, message)
    }

    /// The host.
    pub(crate) fn spec(&self) -> &HostSpec {
        self.key.spec()
    }

    /// Begins to count what an operation costs.
    pub(crate) fn tally(&self, call: &Call) -> Tally {
        Tally::begin(&self.pool, call)
    }

    /// Another lease of the same host, for work that goes on when this one has ended.
    pub(crate) fn another(&self) -> Self {
        let connection = Arc::clone(&self.connection.lock());
        Self::new(Arc::clone(&self.pool), self.key.clone(), connection).with_own_sessions(self.own_sessions)
    }

    fn hangs(&self, path: &[u8], killed: bool) -> HostError {
        let mut message = format!("`{}`: not a regular file, or its file system hangs", shown(path));
        if !killed {
            message.push_str("; the server's process could not be ended and may remain on the host");
        }
        HostError::new(ErrorKind::NotReadable, message)
    }

    /// A deadline names the host and the time.
    fn named(&self, error: HostError, elapsed: Duration) -> HostError {
        match error.kind() {
            ErrorKind::Timeout => no_answer(&self.spec().alias, elapsed),
            _ => error,
        }
    }

    /// A place for a command, on the host's first connection or on a second one if that is quicker.
    async fn exec_place(&self, tally: &Tally) -> Result<(Arc<InUse>, Place), HostError> {
        match self.turn(None, tally).await? {
            (connection, Turn::Place(place)) => Ok((connection, place)),
            (connection, Turn::Line(_)) => Err(connection.lost()),
        }
    }

    /// A turn to run a command, in the same way. `joins`: the limits of one that may stand in the line of a shell.
    async fn turn(&self, joins: Option<CommandLimits>, tally: &Tally) -> Result<(Arc<InUse>, Turn), HostError> {
        let first = self.connection(tally).await?;
        if let Some(turn) = first.turns.try_acquire(joins) {
            return Ok((first, turn));
        }
        let _waiting = first.queue.enter(&first.alias)?;
        let second = async {
            match self.pool.extra(&self.key, Role::Second).await {
                Some(second) => second.turns.acquire(joins).await.map(|turn| (second, turn)),
                None => std::future::pending().await,
            }
        };
        within(&first.alias, &tally.call, async {
            let turn = tokio::select! {
                biased;
                turn = first.turns.acquire(joins) => turn.map(|turn| (Arc::clone(&first), turn)),
                found = second => found,
            };
            turn.ok_or_else(|| first.lost())
        })
        .await
    }

    /// A connection for bulk transfers alone, so that they do not stand before small answers; the first one where there
    /// is no room for it.
    async fn bulk_connection(&self, tally: &Tally) -> Result<Arc<InUse>, HostError> {
        let apart = async { Ok(self.pool.extra(&self.key, Role::Bulk).await) };
        match within(&self.spec().alias, &tally.call, apart).await? {
            Some(apart) => Ok(apart),
            None => self.connection(tally).await,
        }
    }

    /// The lease's connection, or a fresh one if that has died or is worn.
    async fn connection(&self, tally: &Tally) -> Result<Arc<InUse>, HostError> {
        let current = Arc::clone(&self.connection.lock());
        if current.is_usable() {
            return Ok(current);
        }
        drop(current);
        // The pool counts a dial itself, once: it goes to the request's cost and past the tally.
        let call = Call { cost: Arc::clone(&tally.request), ..tally.call.clone() };
        let fresh = self.pool.connect(&self.key, &call).await?;
        let old = std::mem::replace(&mut *self.connection.lock(), Arc::clone(&fresh));
        drop(old);
        Ok(fresh)
    }
}

/// A lane's channel in use.
pub(crate) struct OnLane {
    pub(crate) channel: SftpChannel,
    lane: Lane,
    generation: Arc<Generation>,
    using: LaneUse,
    connection: Arc<InUse>,
}

impl OnLane {
    /// Why the connection was ended, if a host's key changed.
    pub(crate) fn refused(&self) -> Option<HostError> {
        self.connection.refused()
    }

    /// Ends the use after a failure; whether a server that hangs was killed.
    pub(crate) async fn settle(self, error: &SftpError) -> bool {
        let Self { lane, generation, using, connection, .. } = self;
        drop(using);
        match error {
            SftpError::Stalled { .. } => return connection.sftp_stalled(lane, &generation).await,
            SftpError::Closed => connection.sftp_ended(lane, &generation),
            SftpError::Ssh(_) => {}
        }
        true
    }
}

/// One operation's own cost, booked to the request and the pool when it ends, however it ends.
pub(crate) struct Tally {
    pub(crate) call: Call,
    request: Arc<Cost>,
    pool: Arc<Inner>,
    begun: Instant,
}

impl Tally {
    fn begin(pool: &Arc<Inner>, call: &Call) -> Self {
        pool.stats().in_flight.add();
        let own = Call { deadline: call.deadline, cancel: call.cancel.clone(), cost: Arc::default() };
        Self { call: own, request: Arc::clone(&call.cost), pool: Arc::clone(pool), begun: Instant::now() }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let spent = self.call.cost.snapshot();
        self.request.add_round_trips(spent.round_trips);
        self.request.add_remote_bytes(spent.remote_bytes);
        for _ in 0..spent.execs {
            self.request.add_exec();
        }
        for _ in 0..spent.shell_execs {
            self.request.add_shell_exec();
        }
        for _ in 0..spent.dials {
            self.request.add_dial();
        }
        self.pool.stats().round_trips.add_all(spent.round_trips);
        self.pool.stats().in_flight.sub();
    }
}

/// Runs the work until the call's deadline or its cancellation.
pub(crate) async fn within<T>(
    alias: &str,
    call: &Call,
    work: impl Future<Output = Result<T, HostError>>,
) -> Result<T, HostError> {
    let begun = Instant::now();
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => {
            Err(HostError::new(ErrorKind::Cancelled, format!("{alias}: the request was cancelled")))
        }
        result = work => result,
        () = sleep_until(call.deadline) => Err(no_answer(alias, begun.elapsed())),
    }
}

fn no_answer(alias: &str, elapsed: Duration) -> HostError {
    // A call may have waited for something else before it asked.
    let message = format!("{alias}: no answer in the {:.1} s that the call had left", elapsed.as_secs_f32());
    HostError::new(ErrorKind::Timeout, message)
}
