//! `exec`: commands, word by word or as a shell reads them.

use std::collections::HashSet;

use scout_machine::{Ending, ExecOutcome, RemoteState};

use super::types::Kind;
use super::wit::exec;
use super::wit::types::Error;
use super::{Failure, types};
use crate::policy::{Pipeline, Stage, StderrTo, Word};
use crate::state::CallState;
use crate::steps::{Found, HostRequest, told};

impl exec::Host for CallState {
    async fn run(&mut self, host: String, pipeline: exec::Pipeline) -> Result<exec::Outcome, Failure> {
        self.budget.host_call()?;
        Ok(self.command(&host, HostRequest::Run(from_guest(pipeline)?)).await?)
    }

    async fn shell(
        &mut self,
        host: String,
        directory: Option<Vec<u8>>,
        script: String,
    ) -> Result<exec::Outcome, Failure> {
        self.budget.host_call()?;
        let directory = directory.as_deref().map(types::path).transpose()?;
        Ok(self.command(&host, HostRequest::Script { directory, script }).await?)
    }

    fn as_root(&mut self, host: String, words: Vec<String>) -> Result<bool, Failure> {
        self.budget.host_call()?;
        Ok(self.access(&host)?.runs_as_root(&self.rights, words))
    }

    async fn run_each(
        &mut self,
        hosts: Vec<String>,
        pipeline: exec::Pipeline,
        most: u64,
    ) -> Result<Vec<Result<exec::Outcome, Error>>, Failure> {
        self.budget.host_call()?;
        let pipeline = from_guest(pipeline)?;
        Ok(self.commands(hosts, most, || HostRequest::Run(pipeline.clone())).await?)
    }

    async fn shell_each(
        &mut self,
        hosts: Vec<String>,
        directory: Option<Vec<u8>>,
        script: String,
        most: u64,
    ) -> Result<Vec<Result<exec::Outcome, Error>>, Failure> {
        self.budget.host_call()?;
        let directory = directory.as_deref().map(types::path).transpose()?;
        let request = || HostRequest::Script { directory: directory.clone(), script: script.clone() };
        Ok(self.commands(hosts, most, request).await?)
    }
}

impl CallState {
    async fn command(&mut self, host: &str, request: HostRequest) -> Result<exec::Outcome, Error> {
        match self.ask(host, request).await? {
            Found::Ran(outcome) => self.outcome(outcome),
            _ => Err(types::amiss()),
        }
    }

    async fn commands(
        &mut self,
        hosts: Vec<String>,
        most: u64,
        request: impl Fn() -> HostRequest,
    ) -> Result<Vec<Result<exec::Outcome, Error>>, Error> {
        let names: HashSet<&String> = hosts.iter().collect();
        if names.len() < hosts.len() {
            return Err(types::error(
                Kind::Invalid,
                "a host is named twice, and a command would run there twice",
                None,
            ));
        }
        let asked = hosts.into_iter().map(|host| (host, request())).collect();
        let found = self.ask_each(asked, most).await?;
        let outcome = |found| match found? {
            Found::Ran(outcome) => self.outcome(outcome),
            _ => Err(types::amiss()),
        };
        Ok(found.into_iter().map(outcome).collect())
    }

    fn outcome(&mut self, outcome: ExecOutcome) -> Result<exec::Outcome, Error> {
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
                return Err(types::error(Kind::Cancelled, &message, None));
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

fn from_guest(pipeline: exec::Pipeline) -> Result<Pipeline, Error> {
    let directory = pipeline.directory.as_deref().map(types::path).transpose()?;
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
    Ok(Pipeline { stages: stages.collect(), directory })
}
