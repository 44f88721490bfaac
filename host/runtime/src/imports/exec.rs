//! `exec`: commands, checked by the host's policy and rendered here, so that what was checked is what is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use scout_machine::{Call, Ending, ErrorKind as SshErrorKind, ExecOutcome, ExecRequest, HostError, RemoteState};
use tokio::time::sleep_until;

use super::wit::exec;
use super::wit::types::{Error, ErrorKind};
use super::{in_task, types};
use crate::budget::COMMANDS;
use crate::grants::Operation;
use crate::policy::{self, Pipeline, Refusal, Stage, StderrTo, Word};
use crate::state::{CallState, Reach};
use crate::written::fitting_both;
use crate::{Audit, CommandEnd, CommandEvent, CommandRecord, PluginId, Recorded};

impl exec::Host for CallState {
    async fn run(&mut self, host: String, pipeline: exec::Pipeline) -> wasmtime::Result<Result<exec::Outcome, Error>> {
        self.budget.host_call()?;
        let pipeline = from_guest(pipeline);
        let rights = Arc::clone(&self.rights);
        let ran = self
            .command(&host, move |reach| {
                let asked = asked(&pipeline);
                let judged = reach.decide(&rights, Operation::Run(&pipeline)).map_err(|denial| denial.refusal);
                (asked, judged.and_then(|_| policy::render(&pipeline)))
            })
            .await;
        Ok(self.outcome(ran))
    }

    async fn shell(
        &mut self,
        host: String,
        directory: Option<Vec<u8>>,
        script: String,
    ) -> wasmtime::Result<Result<exec::Outcome, Error>> {
        self.budget.host_call()?;
        let rights = Arc::clone(&self.rights);
        let ran = self
            .command(&host, move |reach| {
                let judged = reach.decide(&rights, Operation::Shell).map_err(|denial| denial.refusal);
                let rendered = judged.and_then(|_| policy::render_script(directory.as_deref(), &script));
                (script, rendered)
            })
            .await;
        Ok(self.outcome(ran))
    }
}

impl CallState {
    /// Checks, runs and records one command. `prepare` gives what was asked and the script, or why not.
    async fn command(
        &mut self,
        host: &str,
        prepare: impl FnOnce(&Reach) -> (String, Result<Vec<u8>, Refusal>),
    ) -> Result<ExecOutcome, Error> {
        if !self.budget.command() {
            let message = format!("a call may ask for {COMMANDS} commands, and this one has");
            return Err(types::error(ErrorKind::Exhausted, &message, None));
        }
        let reach = self.reach(host)?;
        let entered = Instant::now();
        let (asked, script) = prepare(&reach);
        match script {
            Ok(script) => {
                // What is recorded of a command that runs is what is sent.
                let record = Record::new(&reach, &self.plugin, &String::from_utf8_lossy(&script), entered);
                // In a task: a command that outlives its guest is recorded all the same.
                self.budget.away(in_task(|| async move { run(&reach, script, record).await })).await
            }
            Err(refusal) => {
                let record = Record::new(&reach, &self.plugin, &asked, entered);
                self.budget.away(record.end(format!("refused: {refusal}"))).await;
                Err(types::from_refusal(&refusal))
            }
        }
    }

    fn outcome(&mut self, ran: Result<ExecOutcome, Error>) -> Result<exec::Outcome, Error> {
        let outcome = ran?;
        let remote = |state| match state {
            RemoteState::Stopped => exec::RemoteState::Stopped,
            RemoteState::Running => exec::RemoteState::Running,
            RemoteState::Unknown => exec::RemoteState::Unknown,
        };
        let ending = match outcome.ending {
            Ending::Exited(status) => exec::Ending::Exited(status),
            Ending::Signaled(signal) => exec::Ending::Signaled(signal),
            Ending::TimedOut(state) => exec::Ending::TimedOut(remote(state)),
            Ending::OutputLimit(state) => exec::Ending::OutputLimit(remote(state)),
            Ending::NoStatus => exec::Ending::NoStatus,
            Ending::Cancelled(state) => {
                let message = format!("the request was cancelled; the command {}", told(state));
                return Err(types::error(ErrorKind::Cancelled, &message, None));
            }
        };
        let (stdout, stderr) = fitting_both(outcome.stdout, outcome.stderr);
        Ok(exec::Outcome {
            ending,
            stdout: self.blob(stdout)?,
            stderr: self.blob(stderr)?,
            duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

async fn run(reach: &Reach, script: Vec<u8>, mut record: Record) -> Result<ExecOutcome, Error> {
    let limits = reach.limits();
    let request = Arc::new(ExecRequest {
        script,
        stdout_cap: limits.output_bytes,
        stderr_cap: limits.output_bytes,
        timeout: limits.command_timeout,
        limits: reach.host.limits,
    });
    let ran = reach.exec(&request, record.begin(reach.call())).await;
    let ending = match &ran {
        Ok(outcome) => match &outcome.ending {
            Ending::Exited(status) => format!("exited {status}"),
            Ending::Signaled(signal) => format!("signaled {signal}"),
            Ending::TimedOut(state) => format!("timed out ({})", told(*state)),
            Ending::Cancelled(state) => format!("cancelled ({})", told(*state)),
            Ending::OutputLimit(state) => format!("output limit ({})", told(*state)),
            Ending::NoStatus => "no status".to_owned(),
        },
        Err(error) => format!("failed: {}", error.message()),
    };
    record.end(ending).await;
    ran.map_err(|error| types::from_ssh(&error))
}

/// A command's part of the audit trail. Dropped before the end, as when Scout ends, it says that the end is not known.
struct Record {
    audit: Option<Audit>,
    /// As it is so far.
    record: CommandRecord,
    entered: Instant,
    /// Whether an end is owed.
    is_begun: bool,
}

impl Record {
    fn new(reach: &Reach, plugin: &PluginId, command: &str, entered: Instant) -> Self {
        static COMMANDS: AtomicU64 = AtomicU64::new(1);
        let record = CommandRecord {
            number: COMMANDS.fetch_add(1, Ordering::Relaxed),
            plugin: plugin.as_str().to_owned(),
            host: reach.host.name.clone(),
            command: command.into(),
            event: CommandEvent::Begin,
        };
        Self { audit: reach.context().audit.clone(), record, entered, is_begun: false }
    }

    /// Records that the command is sent next.
    ///
    /// # Errors
    /// That it cannot be recorded in time, and so must not be sent.
    async fn begin(&mut self, call: &Call) -> Result<(), HostError> {
        let Some(audit) = &self.audit else { return Ok(()) };
        let written = audit(self.record.clone());
        self.is_begun = true;
        let unsent = |kind, why: &str| HostError::new(kind, format!("{why}, and the command was not sent"));
        let why = tokio::select! {
            biased;
            written = written => match written {
                Ok(()) => return Ok(()),
                Err(why) => why,
            },
            () = call.cancel.cancelled() => return Err(unsent(SshErrorKind::Cancelled, "the request was cancelled")),
            () = sleep_until(call.deadline) => return Err(unsent(SshErrorKind::Timeout, "the audit log hangs")),
        };
        self.is_begun = false;
        Err(unsent(SshErrorKind::Exhausted, &why)
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
        Some(audit(CommandRecord { event, ..self.record.clone() }))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.is_begun {
            drop(self.ended("unknown: Scout gave it up, and it may still run".to_owned()));
        }
    }
}

fn told(state: RemoteState) -> &'static str {
    match state {
        RemoteState::Stopped => "stopped",
        RemoteState::Running => "still running",
        RemoteState::Unknown => "may still run",
    }
}

/// A refused pipeline as the audit trail shows it: what was asked, not what a shell would be told.
fn asked(pipeline: &Pipeline) -> String {
    let stages = pipeline.stages.iter().map(|stage| {
        let words = stage.words.iter().map(|word| match word {
            Word::Literal(text) | Word::Glob(text) => text.as_str(),
        });
        words.collect::<Vec<_>>().join(" ")
    });
    stages.collect::<Vec<_>>().join(" | ")
}

fn from_guest(pipeline: exec::Pipeline) -> Pipeline {
    let stages = pipeline.stages.into_iter().map(|stage| Stage {
        words: stage
            .words
            .into_iter()
            .map(|word| match word {
                exec::Word::Literal(text) => Word::Literal(text),
                exec::Word::Glob(text) => Word::Glob(text),
            })
            .collect(),
        stderr: match stage.stderr {
            exec::StderrTo::Capture => StderrTo::Capture,
            exec::StderrTo::Discard => StderrTo::Discard,
            exec::StderrTo::Stdout => StderrTo::Stdout,
        },
    });
    Pipeline { stages: stages.collect(), directory: pipeline.directory }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use parking_lot::Mutex;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A record that goes to `log`, whose beginnings are written as `written` says.
    fn record(log: &Arc<Mutex<Vec<String>>>, written: impl Fn() -> Recorded + Send + Sync + 'static) -> Record {
        let log = Arc::clone(log);
        let audit: Audit = Arc::new(move |record| {
            let (said, written) = match record.event {
                CommandEvent::Begin => ("begin".to_owned(), written()),
                CommandEvent::End(end) => (format!("end {}", end.ending), ready(Ok(()))),
                CommandEvent::Unsent(end) => (format!("unsent {}", end.ending), ready(Ok(()))),
            };
            log.lock().push(said);
            written
        });
        let record = CommandRecord {
            number: 1,
            plugin: "command".to_owned(),
            host: "box".to_owned(),
            command: "uname".into(),
            event: CommandEvent::Begin,
        };
        Record { audit: Some(audit), record, entered: Instant::now(), is_begun: false }
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
        assert_eq!(
            (error.kind(), error.message()),
            (SshErrorKind::Exhausted, "no space, and the command was not sent")
        );
        full.end("failed: no space".to_owned()).await;
        let mut hanging = record(&log, never);
        assert_eq!(hanging.begin(&a_minute()).await.unwrap_err().kind(), SshErrorKind::Timeout);
        // It may have been written all the same, and then is owed its end.
        hanging.end("failed: late".to_owned()).await;
        let cancel = CancellationToken::new();
        cancel.cancel();
        let call = Call { cancel, ..a_minute() };
        let mut cancelled = record(&log, never);
        assert_eq!(cancelled.begin(&call).await.unwrap_err().kind(), SshErrorKind::Cancelled);
        drop(cancelled);
        let log = log.lock();
        assert_eq!(log.get(..4).unwrap(), ["begin", "unsent failed: no space", "begin", "end failed: late"]);
        assert!(log.last().unwrap().starts_with("end unknown"), "{log:?}");
    }
}
