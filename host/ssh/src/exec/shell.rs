//! Commands in a shell that stays: one channel, command after command.
//!
//! Owns the conversation with such a shell: its start with its first command, the lines of the others, which output is whose, and its
//! end. A task that no caller can drop runs it. **A shell lives only as long as its commands end cleanly**: one that times out, is
//! cancelled, floods or is cut off takes its shell with it, and what stood behind it goes to another. What may run here only reads, so
//! it may be sent again where nobody knows whether it began. The text is that of `scout_machine::command::persistent`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use scout_machine::command::persistent::{self, Output, Sent};
use scout_machine::command::shell::{RemoteProcess, Stream};
use scout_machine::{Call, Capture, Ending, ErrorKind, ExecOutcome, ExecRequest, HostError, RemoteState};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::command::{CLOSE_LIMIT, FIRST_LINE, LAST_OUTPUT, RunError, channel, kill};
use super::turns::{Open, Place, Seat, Turn};
use crate::pool::InUse;
use crate::pool::connection::{Connection, Session};
use crate::quirks::NoShell;

/// A shell that had nothing to do for so long ends: it holds a channel, some memory of its host, and its home directory.
const IDLE: Duration = Duration::from_secs(30);
/// A shell ends after so many commands: ksh93 keeps a hundred bytes of each.
const MOST_COMMANDS: u64 = 5_000;

/// A command waits for its turn in the line.
const WAITING: u8 = 0;
/// It runs.
const BEGUN: u8 = 1;
/// Nobody waits for it any more.
const GIVEN_UP: u8 = 2;

/// A command on its way through a shell: always in a box, for it is large, and the queue to a shell has 32 places from the start.
pub(crate) struct Job {
    text: Bytes,
    stdout: Output,
    stderr: Output,
    timeout: Duration,
    deadline: Instant,
    cancel: CancellationToken,
    state: Arc<AtomicU8>,
    /// When it was sent to a shell that had nothing else to do.
    sent_alone: Option<Instant>,
    /// When it had its turn.
    started: Instant,
    answer: oneshot::Sender<Result<ExecOutcome, RunError>>,
    place: Option<Place>,
    _seat: Seat,
    /// Its connection is in use as long as it is under way.
    _connection: Arc<InUse>,
}

/// What is waited for by whoever asked.
struct Answer {
    answer: oneshot::Receiver<Result<ExecOutcome, RunError>>,
    state: Arc<AtomicU8>,
}

/// Runs a command in a shell of the connection, whose turn it is.
///
/// # Errors
/// NotSent if it is to be tried again; NoShell if it is to be sent in another way.
pub(crate) async fn run(
    connection: &Arc<InUse>,
    turn: Turn,
    request: &ExecRequest,
    call: &Call,
) -> Result<ExecOutcome, RunError> {
    let (seat, place) = match turn {
        Turn::Line(seat) => (seat, None),
        Turn::Place(place) => match connection.turns.shell(&request.limits) {
            Some(seat) => (seat, Some(place)),
            None => match channel(connection, call, connection.session_for_shell(&request.limits, call)).await? {
                Ok(session) => return start(connection, (session, place), request, call).await,
                Err(seat) => (seat, Some(place)),
            },
        },
    };
    let sent = persistent::line(&request.script).map_err(RunError::Failed)?.ok_or(RunError::NoShell)?;
    let jobs = seat.jobs();
    let (job, answer) = Job::new(connection, sent, (seat, place), request, call);
    jobs.send(job).map_err(|_| RunError::NotSent)?;
    count(call);
    answer.wait(call).await
}

/// Starts a shell with this command.
async fn start(
    connection: &Arc<InUse>,
    (session, place): (Session, Place),
    request: &ExecRequest,
    call: &Call,
) -> Result<ExecOutcome, RunError> {
    let sent = persistent::start(&request.script, &request.limits).map_err(RunError::Failed)?;
    let sent = sent.ok_or(RunError::NoShell)?;
    let Some((channel, slot)) = session.into_parts() else { return Err(RunError::NotSent) };
    let (sender, jobs) = mpsc::unbounded_channel();
    let (open, living, seat) = connection.turns.open(request.limits, sender);
    let head = (Stream::stdout(&sent.marker, usize::MAX), Stream::stderr(&sent.marker, usize::MAX));
    let environment = connection.key().spec().set_env.clone();
    let (job, answer) = Job::new(connection, sent, (seat, Some(place)), request, call);
    let shell = Shell {
        connection: Arc::clone(connection),
        open: Some(open),
        jobs,
        head,
        line: VecDeque::new(),
        at: (0, 0),
        place: None,
        answered: 0,
        idle_since: Instant::now(),
        heard: Instant::now(),
        gone: None,
        is_left: false,
    };
    count(call);
    let span = tracing::debug_span!("shell", host = %connection.alias);
    tokio::spawn(
        async move {
            let connection = Arc::clone(&shell.connection);
            shell.serve(channel, job, environment).await;
            drop((slot, living));
            connection.refill();
        }
        .instrument(span),
    );
    answer.wait(call).await
}

fn count(call: &Call) {
    call.cost.add_exec();
    call.cost.add_shell_exec();
    call.cost.add_round_trips(1);
}

impl Job {
    fn new(
        connection: &Arc<InUse>,
        sent: Sent,
        (seat, place): (Seat, Option<Place>),
        request: &ExecRequest,
        call: &Call,
    ) -> (Box<Self>, Answer) {
        let (answer, waiting) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(WAITING));
        let job = Box::new(Self {
            text: sent.text,
            stdout: Output::new(&sent.marker, request.stdout_cap),
            stderr: Output::new(&sent.marker, request.stderr_cap),
            timeout: request.timeout,
            deadline: call.deadline,
            cancel: call.cancel.clone(),
            state: Arc::clone(&state),
            sent_alone: None,
            started: Instant::now(),
            answer,
            place,
            _seat: seat.taken(),
            _connection: Arc::clone(connection),
        });
        (job, Answer { answer: waiting, state })
    }

    /// Until when it may run.
    fn until(&self) -> Instant {
        self.deadline.min(self.started + self.timeout)
    }

    fn is_over(&self) -> bool {
        self.stdout.is_over() || self.stderr.is_over()
    }

    /// Ends when nobody wants its answer any more.
    async fn is_given_up(&mut self) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = self.answer.closed() => {}
        }
    }

    /// Tells that it is to be tried again.
    fn go_elsewhere(self: Box<Self>) {
        let _ = self.answer.send(Err(RunError::NotSent));
    }

    /// Tells how it ended.
    fn ended(self, ending: Ending) {
        let outcome = ExecOutcome {
            ending,
            stdout: self.stdout.into_capture(),
            stderr: self.stderr.into_capture(),
            duration: self.started.elapsed(),
        };
        let _ = self.answer.send(Ok(outcome));
    }
}

impl Answer {
    async fn wait(mut self, call: &Call) -> Result<ExecOutcome, RunError> {
        let ending = tokio::select! {
            biased;
            answer = &mut self.answer => return told(answer),
            () = call.cancel.cancelled() => Ending::Cancelled(RemoteState::Unknown),
            () = sleep_until(call.deadline) => Ending::TimedOut(RemoteState::Unknown),
        };
        // Of one that runs, its shell tells what has become of it.
        if self.state.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return told(self.answer.await);
        }
        let nothing = Capture { total: Some(0), ..Capture::default() };
        Ok(ExecOutcome { ending, stdout: nothing.clone(), stderr: nothing, duration: Duration::ZERO })
    }
}

fn told(answer: Result<Result<ExecOutcome, RunError>, oneshot::error::RecvError>) -> Result<ExecOutcome, RunError> {
    answer.unwrap_or_else(|_| {
        let message = "the command was given up; it may have run";
        Err(RunError::Failed(HostError::new(ErrorKind::ConnectionLost, message)))
    })
}

/// How a shell comes to its end.
#[derive(Debug)]
enum End {
    /// It has nothing to do.
    Retired,
    /// Nobody waits any more for the command whose turn it is.
    GivenUp,
    Cancelled,
    TimedOut,
    OutputLimit,
    /// It has gone, or the connection.
    Closed,
    /// The server takes no commands.
    Refused,
    /// Commands are to be sent in another way.
    Unfit(NoShell),
}

struct Shell {
    connection: Arc<Connection>,
    /// As long as it takes commands.
    open: Option<Open>,
    jobs: mpsc::UnboundedReceiver<Box<Job>>,
    /// What begins its streams.
    head: (Stream, Stream),
    /// The first one runs.
    line: VecDeque<Box<Job>>,
    /// Whose output the next bytes of each stream are, by place in the line: one stream may be ahead of the other.
    at: (usize, usize),
    place: Option<Place>,
    answered: u64,
    idle_since: Instant,
    /// When it was heard last.
    heard: Instant,
    /// When it was told to have ended.
    gone: Option<Instant>,
    /// Whether those behind its first command went elsewhere, though their lines were sent.
    is_left: bool,
}

/// What to do at a moment unless something is heard before.
enum Then {
    End(End),
    /// Those behind the first go elsewhere.
    Move,
    /// End if nobody has just come.
    Idle,
}

impl Shell {
    async fn serve(mut self, channel: Channel<Msg>, first: Box<Job>, environment: Vec<(String, String)>) {
        let (mut read, write) = channel.split();
        let is_asked = AtomicBool::new(false);
        let (end, is_taken) = self.converse(&mut read, &write, (first, &environment), &is_asked).await;
        tracing::debug!(?end, answered = self.answered, "a shell ends");
        drop(self.open.take());
        self.jobs.close();
        let front = self.line.pop_front();
        // Its channel is not theirs any more.
        self.line.drain(..).for_each(|job| job.go_elsewhere());
        // With those that are just being sent.
        while let Some(job) = self.jobs.recv().await {
            job.go_elsewhere();
        }
        match end {
            End::Cancelled | End::TimedOut | End::OutputLimit => {
                // Most shells never do so, and all would have the room for it.
                Box::pin(self.stop(front, end, read, write, is_asked.into_inner())).await;
            }
            End::Closed => {
                if self.answered == 1 && self.connection.is_alive() {
                    self.connection.quirks.note_no_shell(NoShell::Ends);
                }
                if let Some(front) = front {
                    self.lost(front, is_taken);
                }
                closed(&mut read, &write).await;
            }
            End::Refused => {
                let message = format!("{}: the server runs no commands", self.connection.alias);
                let refused = RunError::Failed(HostError::new(ErrorKind::Unsupported, message));
                if let Some(front) = front {
                    let _ = front.answer.send(Err(refused));
                }
                closed(&mut read, &write).await;
            }
            End::Unfit(why) => {
                self.connection.quirks.note_no_shell(why);
                if let Some(front) = front {
                    let _ = front.answer.send(Err(RunError::NoShell));
                }
                closed(&mut read, &write).await;
            }
            End::Retired => {
                front.into_iter().for_each(|job| job.go_elsewhere());
                closed(&mut read, &write).await;
            }
            // Its channel's end ends it.
            End::GivenUp => closed(&mut read, &write).await,
        }
    }

    /// Takes commands until the shell's end; also whether the server has taken the request for it.
    async fn converse(
        &mut self,
        read: &mut ChannelReadHalf,
        write: &ChannelWriteHalf<Msg>,
        (first, environment): (Box<Job>, &[(String, String)]),
        is_asked: &AtomicBool,
    ) -> (End, bool) {
        let (lines, mut to_write) = mpsc::unbounded_channel::<Bytes>();
        let (start, connection) = (first.text.clone(), Arc::clone(&self.connection));
        let writing = async {
            // Without an answer, as OpenSSH asks: servers refuse most names.
            for (name, value) in environment {
                write.set_env(false, name, value).await?;
            }
            write.exec(true, &*start).await?;
            is_asked.store(true, Ordering::Relaxed);
            connection.refill();
            while let Some(line) = to_write.recv().await {
                write.data_bytes(line).await?;
            }
            Ok::<(), russh::Error>(())
        };
        let mut writing = std::pin::pin!(writing);
        let (mut is_writing, mut is_taken) = (true, false);
        if let Some(end) = self.take(first) {
            return (end, is_taken);
        }
        loop {
            let (at, then) = self.next();
            let front = self.line.front_mut();
            let given_up = async {
                match front {
                    Some(front) => front.is_given_up().await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                biased;
                () = given_up => return (End::Cancelled, is_taken),
                message = read.wait() => message,
                job = self.jobs.recv() => {
                    let Some(job) = job else { return (End::Retired, is_taken) };
                    if self.is_left {
                        // Whose seat is older than that. What comes now is output of lines that nobody waits for.
                        job.go_elsewhere();
                        continue;
                    }
                    // If it cannot be sent, the channel's end tells.
                    let _ = lines.send(job.text.clone());
                    match self.take(job) {
                        Some(end) => return (end, is_taken),
                        None => continue,
                    }
                }
                written = &mut writing, if is_writing => {
                    is_writing = false;
                    if written.is_err() {
                        return (End::Closed, is_taken);
                    }
                    continue;
                }
                () = sleep_until(at) => match then {
                    Then::End(end) => return (end, is_taken),
                    Then::Move => {
                        self.leave_alone();
                        continue;
                    }
                    Then::Idle if self.open.as_ref().is_none_or(Open::ends_if_idle) => return (End::Retired, is_taken),
                    Then::Idle => {
                        self.idle_since = Instant::now();
                        continue;
                    }
                },
            };
            self.heard = Instant::now();
            let end = match message {
                Some(ChannelMsg::Success) => {
                    is_taken = true;
                    None
                }
                Some(ChannelMsg::Failure) => Some(End::Refused),
                Some(ChannelMsg::Data { data }) => self.heard(data),
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.complained(data),
                Some(ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) => {
                    // What it has left behind may hold its streams, and would take a command.
                    self.open = None;
                    self.gone = self.gone.or(Some(Instant::now()));
                    self.line.is_empty().then_some(End::Closed)
                }
                Some(ChannelMsg::Close) | None => Some(End::Closed),
                Some(_) => None,
            };
            if let Some(end) = end.or_else(|| self.settle()) {
                return (end, is_taken);
            }
        }
    }

    /// What to do when, if nothing is heard.
    fn next(&self) -> (Instant, Then) {
        if let Some(gone) = self.gone {
            return (gone + LAST_OUTPUT, Then::End(End::Closed));
        }
        let Some(front) = self.line.front() else { return (self.idle_since + IDLE, Then::Idle) };
        let until = front.until();
        if front.stdout.end().is_some() {
            // The end of the other stream follows at once, unless it does not arrive there.
            return (until.min(self.heard + LAST_OUTPUT), Then::End(End::Unfit(NoShell::Merged)));
        }
        if !self.is_left && self.line.len() > 1 {
            let patience = front.started + self.connection.turns.patience();
            if patience < until {
                return (patience, Then::Move);
            }
        }
        (until, Then::End(End::TimedOut))
    }

    /// Takes a command into the line.
    fn take(&mut self, mut job: Box<Job>) -> Option<End> {
        self.place = job.place.take().or(self.place.take());
        let is_alone = self.line.is_empty();
        if is_alone && self.answered > 0 {
            job.sent_alone = Some(Instant::now());
        }
        self.line.push_back(job);
        if is_alone { self.begin() } else { None }
    }

    /// It is the first one's turn.
    fn begin(&mut self) -> Option<End> {
        let front = self.line.front_mut()?;
        front.started = Instant::now();
        let begun = front.state.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire);
        begun.is_err().then_some(End::GivenUp)
    }

    /// Those behind the first command go elsewhere: it may run for long. The shell ends with it.
    fn leave_alone(&mut self) {
        self.is_left = true;
        self.open = None;
        self.line.drain(1..).for_each(|job| job.go_elsewhere());
        self.at = (self.at.0.min(1), self.at.1.min(1));
    }

    /// Takes what came on standard output.
    fn heard(&mut self, mut data: Bytes) -> Option<End> {
        let head = &mut self.head.0;
        if head.head().is_none() {
            head.push(&data);
            if head.is_over() {
                return Some(End::OutputLimit);
            }
            let process = head.process()?;
            if !process.leads_its_group() {
                return Some(End::Unfit(NoShell::Group));
            }
            data = head.take();
        }
        self.hand_out(data, |at| &mut at.0, |job| &mut job.stdout)
    }

    /// Takes what came on standard error.
    fn complained(&mut self, mut data: Bytes) -> Option<End> {
        let head = &mut self.head.1;
        if head.head().is_none() {
            head.push(&data);
            if head.is_over() {
                return Some(End::OutputLimit);
            }
            head.head()?;
            data = head.take();
        }
        self.hand_out(data, |at| &mut at.1, |job| &mut job.stderr)
    }

    /// Gives each command its part of what came on one stream.
    fn hand_out(
        &mut self,
        mut data: Bytes,
        at: fn(&mut (usize, usize)) -> &mut usize,
        stream: fn(&mut Job) -> &mut Output,
    ) -> Option<End> {
        while !data.is_empty() {
            let at = at(&mut self.at);
            let Some(job) = self.line.get_mut(*at) else { return self.stray() };
            let output = stream(job);
            output.push(&mut data);
            if output.end().is_some() {
                *at += 1;
            }
        }
        None
    }

    /// Bytes that are no command's: what one has left behind still writes. What comes next would not be the next one's alone.
    fn stray(&mut self) -> Option<End> {
        // What is complete is answered before; the first answer is not, if both streams come as one.
        let end = if self.answered == 0 { End::Unfit(NoShell::Merged) } else { End::Retired };
        self.settle().or((!self.line.is_empty()).then_some(end)).or(Some(End::Retired))
    }

    /// Answers those that have ended.
    fn settle(&mut self) -> Option<End> {
        while let Some(front) = self.line.front() {
            if front.is_over() {
                return Some(End::OutputLimit);
            }
            let told = front.stdout.end()?;
            let Some(ending) = persistent::ending(told) else { return Some(End::Unfit(NoShell::Merged)) };
            front.stderr.end()?;
            let front = self.line.pop_front()?;
            self.at = (self.at.0 - 1, self.at.1 - 1);
            self.note(&front);
            match ending {
                // What ends the shell ends its command.
                Ending::Signaled(_) if self.gone.is_some() => front.go_elsewhere(),
                ending => front.ended(ending),
            }
            if self.line.is_empty() {
                self.place = None;
                self.idle_since = Instant::now();
            } else if let Some(end) = self.begin() {
                return Some(end);
            }
        }
        None
    }

    /// What an answer teaches.
    fn note(&mut self, answered: &Job) {
        self.answered += 1;
        match self.answered {
            1 => self.open.iter().for_each(Open::has_answered),
            2 => self.connection.quirks.note_shell(),
            MOST_COMMANDS => self.open = None,
            _ => {}
        }
        if let Some(sent) = answered.sent_alone {
            self.connection.turns.note_way(sent.elapsed());
        }
    }

    /// The shell has gone, with the command that it ran.
    fn lost(&mut self, front: Box<Job>, is_taken: bool) {
        let connection = &self.connection;
        if let Some(error) = connection.refused() {
            let error = error.with_addition("; the command may have run");
            let _ = front.answer.send(Err(RunError::Failed(error)));
            return;
        }
        let (is_begun, nothing) = (self.head.0.head().is_some(), front.stdout.is_empty() && front.stderr.is_empty());
        if !is_begun && is_taken && connection.is_alive() {
            connection.quirks.note_no_shell(NoShell::LoginShell);
            let _ = front.answer.send(Err(RunError::NoShell));
        } else if nothing {
            front.go_elsewhere();
        } else {
            front.ended(Ending::NoStatus);
        }
    }

    /// Ends the command that runs, with its shell, and tells what is true of it.
    async fn stop(
        &mut self,
        front: Option<Box<Job>>,
        end: End,
        mut read: ChannelReadHalf,
        write: ChannelWriteHalf<Msg>,
        is_asked: bool,
    ) {
        let Some(front) = front else { return };
        if !is_asked {
            let (kind, what) = match end {
                End::Cancelled => (ErrorKind::Cancelled, "the request was cancelled"),
                _ => (ErrorKind::Timeout, "the deadline passed"),
            };
            let message = format!("{}: {what} before the command was sent", self.connection.alias);
            let _ = front.answer.send(Err(RunError::Failed(HostError::new(kind, message))));
            return closed(&mut read, &write).await;
        }
        let process = self.process(&mut read).await;
        drop(read);
        let closing = async {
            let _ = timeout(CLOSE_LIMIT, write.close()).await;
        };
        let left = match process {
            Some(process) => kill(&self.connection, &process, self.connection.quirks.way(), closing).await,
            None => {
                closing.await;
                RemoteState::Unknown
            }
        };
        front.ended(match end {
            End::Cancelled => Ending::Cancelled(left),
            End::OutputLimit => Ending::OutputLimit(left),
            _ => Ending::TimedOut(left),
        });
    }

    /// Which process it is: without its first line nobody knows what to end.
    async fn process(&mut self, read: &mut ChannelReadHalf) -> Option<RemoteProcess> {
        let until = Instant::now() + FIRST_LINE;
        while self.head.0.head().is_none() {
            match timeout_at(until, read.wait()).await {
                Ok(Some(ChannelMsg::Data { data })) => self.head.0.push(&data),
                Ok(Some(ChannelMsg::Close) | None) | Err(_) => break,
                Ok(Some(_)) => {}
            }
        }
        self.head.0.process()
    }
}

/// Closes the channel and hears the server do so: before, its place there is not free.
async fn closed(read: &mut ChannelReadHalf, write: &ChannelWriteHalf<Msg>) {
    let closing = async {
        let _ = write.close().await;
        while !matches!(read.wait().await, Some(ChannelMsg::Close) | None) {}
    };
    let _ = timeout(CLOSE_LIMIT, closing).await;
}
