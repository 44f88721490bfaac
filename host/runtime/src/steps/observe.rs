//! Step 4, around all that follows: what others are told of an operation. The client hears of the wait, the audit trail of each command
//! before it is sent and when it has ended, and of each look at a path that may not be, and the tape of what was asked and found.

use std::sync::atomic::Ordering;
use std::time::Instant;

use scout_machine::transfer::{Done, Received, hex};
use scout_machine::{Call, Ending, Errand, ErrorKind, HostError, Operation, RemotePath, RemoteState};
use tokio::time::sleep_until;
use tracing::Instrument as _;

use super::{Found, HostAccess, HostRequest, Task};
use crate::cassette::{self, Request};
use crate::policy::{Pipeline, Refusal, Word};
use crate::{AccessEvent, AccessRecord, Audit, AuditRecord, CommandEnd, CommandEvent, CommandRecord, Recorded};

/// Waits for the operation, which the client hears of, and passes it by the tape: what does not pass here cannot be recorded.
pub(super) async fn watch(
    access: &HostAccess,
    operation: &Operation,
    live: impl Future<Output = Result<Found, HostError>>,
) -> Result<Found, HostError> {
    let (context, host) = (&access.context, &access.host.name);
    let span = tracing::debug_span!("operation", operation = %name(operation), %host);
    // Every hand that a future passes through makes a copy of it, or two.
    let live = context.while_waiting(host, Box::pin(live));
    cassette::pass(context.tape.as_ref(), host, access.call(), || request(operation), live).instrument(span).await
}

/// As spans have it.
fn name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Open { .. } => "open",
        Operation::Read { .. } => "read",
        Operation::Stat { .. } => "stat",
        Operation::Exec(_) => "exec",
        Operation::Probe { .. } => "probe",
        Operation::Handshake => "handshake",
        Operation::Transfer(errand) => errand.name(),
    }
}

/// As the tape has it.
fn request(operation: &Operation) -> Request {
    match operation {
        Operation::Open { path, .. } => Request::Open(path.bytes().into()),
        Operation::Read { path, offset, length } => {
            Request::Read { path: path.bytes().into(), offset: *offset, length: *length as u64 }
        }
        Operation::Stat { path } => Request::Stat(path.bytes().into()),
        Operation::Exec(request) => Request::Exec(request.script.as_slice().into()),
        Operation::Probe { timeout, anew: _ } => {
            Request::Probe { timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) }
        }
        Operation::Handshake => Request::Handshake,
        Operation::Transfer(errand) => {
            let path = errand.path().bytes().into();
            match errand {
                Errand::Locate { .. } => Request::Locate(path),
                Errand::Send { .. } => Request::Send(path),
                Errand::Receive { file, .. } => Request::Receive { path, size: file.size, replace: file.replace },
                Errand::MakeDirectory { .. } => Request::MakeDirectory(path),
                Errand::Digest { .. } => Request::Digest(path),
            }
        }
    }
}

/// Records that a command is sent next. Of a look nothing is recorded before.
///
/// # Errors
/// That it cannot be recorded in time, and so must not be sent.
pub(super) async fn begin(record: &mut Option<Record>, access: &HostAccess) -> Result<(), HostError> {
    match record {
        Some(Record::Command(command)) => command.begin(access.call()).await,
        Some(Record::Look(_)) | None => Ok(()),
    }
}

/// Records what became of it, before anybody hears of it.
pub(super) async fn end(
    record: Option<Record>,
    access: &HostAccess,
    operation: &Operation,
    found: &Result<Found, HostError>,
) {
    match record {
        Some(Record::Command(command)) => command.end(ending(found)).await,
        Some(Record::Look(look)) => look.end(access, operation, found),
        None => {}
    }
}

fn ending(found: &Result<Found, HostError>) -> String {
    let outcome = match found {
        Ok(Found::Ran(outcome)) => outcome,
        Ok(Found::Done(done)) => {
            return match done {
                Done::Sent(sent, _) => format!("sent {} bytes", sent.bytes),
                Done::Received(Received { digest: Some(digest), .. }) => {
                    format!("written, sha256 {}", hex(digest))
                }
                Done::Received(_) => "written".to_owned(),
                Done::Made(is_new) => if *is_new { "made" } else { "was there" }.to_owned(),
                Done::Located(..) | Done::Digest(_) => "found".to_owned(),
            };
        }
        Ok(Found::Opened(_) | Found::Content(_) | Found::Attributes(_) | Found::Probed(_) | Found::Shaken(_)) => {
            return "failed: it was not a command".to_owned();
        }
        Err(error) => return format!("failed: {}", error.message()),
    };
    match &outcome.ending {
        Ending::Exited(status) => format!("exited {status}"),
        Ending::Signaled(signal) => format!("signaled {signal}"),
        Ending::TimedOut(state) => format!("timed out ({})", told(*state)),
        Ending::Cancelled(state) => format!("cancelled ({})", told(*state)),
        Ending::OutputLimit(state) => format!("output limit ({})", told(*state)),
        Ending::NoStatus => "no status".to_owned(),
    }
}

/// What is known of what a command has left on its host.
pub(crate) fn told(state: RemoteState) -> &'static str {
    match state {
        RemoteState::Stopped => "stopped",
        RemoteState::Running => "still running",
        RemoteState::Unknown => "may still run",
    }
}

/// A refused pipeline as the audit trail shows it: what was asked, not what a shell would be told.
fn in_words(pipeline: &Pipeline) -> String {
    let stages = pipeline.stages.iter().map(|stage| {
        let words = stage.words.iter().map(|word| match word {
            Word::Literal(text) | Word::Glob(text) => text.as_str(),
        });
        words.collect::<Vec<_>>().join(" ")
    });
    stages.collect::<Vec<_>>().join(" | ")
}

/// What the audit trail calls a part of a transfer by which a file leaves its machine, or one is changed: it is recorded as commands are.
fn changes(request: &HostRequest) -> Option<String> {
    let HostRequest::Transfer(part) = request else { return None };
    let Task::Do(errand) = &part.task else { return None };
    let path = String::from_utf8_lossy(errand.path().bytes());
    match errand {
        Errand::Send { .. } => Some(format!("(transfer) send {path}")),
        Errand::Receive { file, .. } => Some(format!("(transfer) write {path}, {} bytes", file.size)),
        Errand::MakeDirectory { .. } => Some(format!("(transfer) make the directory {path}")),
        Errand::Locate { .. } | Errand::Digest { .. } => None,
    }
}

/// An operation's part of the audit trail.
pub(super) enum Record {
    Command(Command),
    Look(Look),
}

impl Record {
    /// Of a command, which is recorded as it is `sent`, or as it was asked for if it is not; or of a look at a path.
    pub(super) fn of(
        access: &HostAccess,
        plugin: &str,
        request: &HostRequest,
        sent: Option<&[u8]>,
        entered: Instant,
    ) -> Option<Self> {
        let audit = &access.context.audit;
        let changes = changes(request);
        if let Some((operation, _)) = request.look().filter(|_| changes.is_none()) {
            let audit = audit.clone()?;
            return Some(Self::Look(Look { audit, plugin: plugin.to_owned(), operation, entered }));
        }
        let command = match (request, sent) {
            (HostRequest::Transfer(_), _) => changes?.into(),
            (HostRequest::Run(_) | HostRequest::Script { .. }, Some(sent)) => String::from_utf8_lossy(sent).into(),
            (HostRequest::Run(pipeline), None) => in_words(pipeline).into(),
            (HostRequest::Script { script, .. }, None) => script.as_str().into(),
            (
                HostRequest::Open { .. }
                | HostRequest::Read { .. }
                | HostRequest::Stat { .. }
                | HostRequest::Handshake
                | HostRequest::Probe { .. },
                _,
            ) => return None,
        };
        let record = CommandRecord {
            number: audit.as_ref().map_or(0, |audit| audit.commands.fetch_add(1, Ordering::Relaxed) + 1),
            plugin: plugin.to_owned(),
            host: access.host.name.to_string(),
            command,
            event: CommandEvent::Begin,
        };
        Some(Self::Command(Command { audit: audit.clone(), record, entered, is_begun: false }))
    }

    /// Records that it was refused.
    pub(super) async fn refused(self, access: &HostAccess, request: &HostRequest, refusal: &Refusal) {
        match self {
            Self::Command(command) => command.end(format!("refused: {refusal}")).await,
            Self::Look(look) => {
                if let Some((_, path)) = request.look() {
                    look.write(access, path, AccessEvent::Denied(refusal.to_string()));
                }
            }
        }
    }
}

/// That of a look at a path. Nobody waits for it to be written.
pub(super) struct Look {
    audit: Audit,
    plugin: String,
    operation: &'static str,
    entered: Instant,
}

impl Look {
    fn end(self, access: &HostAccess, operation: &Operation, found: &Result<Found, HostError>) {
        let Some(path) = operation.path() else { return };
        let ended = |ending| AccessEvent::Ended(CommandEnd { ending, duration: self.entered.elapsed() });
        let event = match found {
            Err(error) if error.kind() == ErrorKind::Outside => AccessEvent::Denied(error.message().to_owned()),
            _ if !self.audit.reads => return,
            Ok(_) => ended("found".to_owned()),
            Err(error) => ended(format!("failed: {}", error.message())),
        };
        self.write(access, path, event);
    }

    fn write(self, access: &HostAccess, path: &RemotePath, event: AccessEvent) {
        let Self { audit, plugin, operation, .. } = self;
        let host = access.host.name.to_string();
        let path = path.bytes().to_vec();
        drop((audit.write)(AuditRecord::Access(AccessRecord { plugin, host, operation, path, event })));
    }
}

/// That of a command. Dropped before the end, as when Scout ends, it says that the end is not known.
pub(super) struct Command {
    audit: Option<Audit>,
    /// As it is so far.
    record: CommandRecord,
    entered: Instant,
    /// Whether an end is owed.
    is_begun: bool,
}

impl Command {
    /// Records that the command is sent next.
    ///
    /// # Errors
    /// That it cannot be recorded in time, and so must not be sent.
    async fn begin(&mut self, call: &Call) -> Result<(), HostError> {
        let Some(audit) = &self.audit else { return Ok(()) };
        let written = (audit.write)(AuditRecord::Command(self.record.clone()));
        self.is_begun = true;
        let unsent = |kind, why: &str| HostError::new(kind, format!("{why}, and the command was not sent"));
        let why = tokio::select! {
            biased;
            written = written => match written {
                Ok(()) => return Ok(()),
                Err(why) => why,
            },
            () = call.cancel.cancelled() => return Err(unsent(ErrorKind::Cancelled, "the request was cancelled")),
            () = sleep_until(call.deadline) => return Err(unsent(ErrorKind::Timeout, "the audit log hangs")),
        };
        self.is_begun = false;
        Err(unsent(ErrorKind::Exhausted, &why)
            .with_hint("only what can be recorded runs; `scout doctor` tells the operator more"))
    }

    /// Records how the command ended, before anybody hears of it.
    async fn end(mut self, ending: String) {
        if let Some(written) = self.ended(ending) {
            // Who writes it logs what becomes of it. The command has ended whether or not.
            written.await.ok();
        }
    }

    /// Hands over how the command ended, once.
    fn ended(&mut self, ending: String) -> Option<Recorded> {
        let audit = self.audit.take()?;
        let end = CommandEnd { ending, duration: self.entered.elapsed() };
        let event = if self.is_begun { CommandEvent::End(end) } else { CommandEvent::Unsent(end) };
        Some((audit.write)(AuditRecord::Command(CommandRecord { event, ..self.record.clone() })))
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.is_begun {
            drop(self.ended("unknown: Scout gave it up, and it may still run".to_owned()));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A record that goes to `log`, whose beginnings are written as `written` says.
    fn record(log: &Arc<Mutex<Vec<String>>>, written: impl Fn() -> Recorded + Send + Sync + 'static) -> Command {
        let log = Arc::clone(log);
        let write = move |record| {
            let AuditRecord::Command(record) = record else { panic!("no command") };
            let (said, written) = match record.event {
                CommandEvent::Begin => ("begin".to_owned(), written()),
                CommandEvent::End(end) => (format!("end {}", end.ending), ready(Ok(()))),
                CommandEvent::Unsent(end) => (format!("unsent {}", end.ending), ready(Ok(()))),
            };
            log.lock().push(said);
            written
        };
        let audit = Audit { write: Arc::new(write), reads: false, commands: Arc::default() };
        let record = CommandRecord {
            number: 1,
            plugin: "command".to_owned(),
            host: "box".to_owned(),
            command: "uname".into(),
            event: CommandEvent::Begin,
        };
        Command { audit: Some(audit), record, entered: Instant::now(), is_begun: false }
    }

    fn ready(written: Result<(), String>) -> Recorded {
        Box::pin(std::future::ready(written))
    }

    fn never() -> Recorded {
        Box::pin(std::future::pending())
    }

    fn a_minute() -> Call {
        Call::until(tokio::time::Instant::now() + Duration::from_secs(60))
    }

    #[tokio::test]
    async fn what_was_begun_ends_once_also_if_nobody_waits_for_it() {
        let log = Arc::<Mutex<Vec<String>>>::default();
        let mut one = record(&log, || ready(Ok(())));
        one.begin(&a_minute()).await.unwrap();
        one.end("exited 0".to_owned()).await;
        let mut given_up = record(&log, || ready(Ok(())));
        given_up.begin(&a_minute()).await.unwrap();
        drop(given_up);
        drop(record(&log, never));
        let unknown = "end unknown: Scout gave it up, and it may still run";
        assert_eq!(*log.lock(), ["begin", "end exited 0", "begin", unknown]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_recorded_in_time_is_not_sent() {
        let log = Arc::<Mutex<Vec<String>>>::default();
        let mut full = record(&log, || ready(Err("no space".to_owned())));
        let error = full.begin(&a_minute()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Exhausted, "no space, and the command was not sent"));
        full.end("failed: no space".to_owned()).await;
        let mut hanging = record(&log, never);
        assert_eq!(hanging.begin(&a_minute()).await.unwrap_err().kind(), ErrorKind::Timeout);
        // It may have been written all the same, and then is owed its end.
        hanging.end("failed: late".to_owned()).await;
        let cancel = CancellationToken::new();
        cancel.cancel();
        let call = Call { cancel, ..a_minute() };
        let mut cancelled = record(&log, never);
        assert_eq!(cancelled.begin(&call).await.unwrap_err().kind(), ErrorKind::Cancelled);
        drop(cancelled);
        let log = log.lock();
        assert_eq!(log.get(..4).unwrap(), ["begin", "unsent failed: no space", "begin", "end failed: late"]);
        assert!(log.last().unwrap().starts_with("end unknown"), "{log:?}");
    }
}
