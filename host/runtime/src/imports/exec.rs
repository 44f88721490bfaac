//! `exec`: commands, checked by the host's policy and rendered here, so that what was checked is what is sent.

use std::sync::Arc;
use std::time::Instant;

use scout_ssh::{Ending, ExecOutcome, ExecRequest, RemoteState};

use super::wit::exec;
use super::wit::types::{Error, ErrorKind};
use super::{in_task, types};
use crate::budget::COMMANDS;
use crate::grants::Operation;
use crate::policy::{self, Pipeline, Refusal, Stage, StderrTo, Word};
use crate::state::{CallState, Reach};
use crate::{CommandRecord, PluginId};

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
        let begun = Instant::now();
        let (asked, script) = prepare(&reach);
        let record = Record { plugin: self.plugin.clone(), command: asked, begun };
        match script {
            Ok(script) => {
                // In a task: a command that outlives its guest is recorded all the same.
                self.budget.away(in_task(|| async move { run(&reach, script, record).await })).await
            }
            Err(refusal) => {
                record.write(&reach, format!("refused: {refusal}"));
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
        Ok(exec::Outcome {
            ending,
            stdout: self.blob(outcome.stdout)?,
            stderr: self.blob(outcome.stderr)?,
            duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

async fn run(reach: &Reach, script: Vec<u8>, mut record: Record) -> Result<ExecOutcome, Error> {
    // What is recorded of a command that ran is what was sent.
    record.command = String::from_utf8_lossy(&script).into_owned();
    let limits = reach.limits();
    let request = ExecRequest {
        script,
        stdout_cap: limits.output_bytes,
        stderr_cap: limits.output_bytes,
        timeout: limits.command_timeout,
        limits: reach.host.limits,
    };
    let ran = reach.exec(&request).await;
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
    record.write(reach, ending);
    ran.map_err(|error| types::from_ssh(&error))
}

struct Record {
    plugin: PluginId,
    command: String,
    begun: Instant,
}

impl Record {
    fn write(self, reach: &Reach, ending: String) {
        if let Some(audit) = &reach.context().audit {
            audit(CommandRecord {
                plugin: self.plugin.as_str().to_owned(),
                host: reach.host.name.clone(),
                command: self.command,
                ending,
                duration: self.begun.elapsed(),
            });
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
