//! What runs as root: whether a row lets it, and what is told where sudo ran nothing, with the lines of sudoers that would let it.

use scout_machine::{Ending, ErrorKind, HostError};

use super::{Found, HostAccess, HostRequest, decide};
use crate::grants::{Argv, CallRights, Limit};
use crate::policy::{Pipeline, Stage, StderrTo, Word, sudo};

/// What of a command runs as root.
#[derive(Default)]
pub(super) struct AsRoot {
    /// The rows that let it.
    rows: Vec<Vec<String>>,
    /// Whether what the command prints and ends with may be another program's.
    is_piped: bool,
}

impl AsRoot {
    pub(super) fn of(request: &HostRequest, access: &HostAccess) -> Self {
        let HostRequest::Run(pipeline) = request else { return Self::default() };
        let Some(limit) = access.host.as_root() else { return Self::default() };
        let commands = pipeline.stages.iter().filter_map(sudo::command);
        let rows = commands.filter_map(|command| limit.rules.iter().find(|rule| rule.value.matches(&command)));
        Self { rows: rows.map(|rule| rule.value.words()).collect(), is_piped: pipeline.stages.len() > 1 }
    }
}

/// What was found, or that sudo ran nothing.
///
/// # Errors
/// Permission: sudo is not there, or does not let the account.
pub(super) async fn told(
    access: &HostAccess,
    AsRoot { rows, is_piped }: AsRoot,
    hides_address: bool,
    found: Result<Found, HostError>,
) -> Result<Found, HostError> {
    let outcome = match found {
        Ok(Found::Ran(outcome)) => outcome,
        found => return found,
    };
    let Ending::Exited(status) = outcome.ending else { return Ok(Found::Ran(outcome)) };
    let Some(said) = sudo::refusal(is_piped, status, &outcome.stdout.data, &outcome.stderr.data) else {
        return Ok(Found::Ran(outcome));
    };
    if hides_address {
        // What sudo says has the account in it, and so has the line.
        let message = format!("{}: sudo did not run it", access.host.name);
        let hint = "`scout doctor` prints the lines of sudoers that let it";
        return Err(HostError::new(ErrorKind::Permission, message).with_hint(hint));
    }
    let message = format!("{}: sudo did not run it: {said}", access.host.name);
    let mut lines = Vec::new();
    for row in &rows {
        lines.extend(access.sudoers(row).await);
    }
    let hint = match lines.is_empty() {
        true => "`scout doctor` prints the lines of sudoers that let it".to_owned(),
        false => format!("with this in a file of /etc/sudoers.d, by `visudo`, it would: {}", lines.join(" and ")),
    };
    Err(HostError::new(ErrorKind::Permission, message).with_hint(hint))
}

impl HostAccess {
    /// Whether a call with these rights may run these words as root, for there is a row that lets them. Nobody is asked.
    pub(crate) fn runs_as_root(&self, rights: &CallRights, words: Vec<String>) -> bool {
        let words: Vec<Word> = words.into_iter().map(Word::Literal).collect();
        let command = Stage { words, stderr: StderrTo::Capture };
        let is_row = |limit: &Limit<Argv>| limit.rules.iter().any(|rule| rule.value.matches(&command));
        // A host that runs anything runs `sudo` too, and has no row for it.
        if !self.host.as_root().is_some_and(is_row) {
            return false;
        }
        let pipeline = Pipeline { stages: vec![sudo::in_front(command)], directory: None };
        decide::decide(self, rights, &HostRequest::Run(pipeline)).is_ok_and(|decided| decided.as_root)
    }

    /// The line of sudoers that allows a row, with the path that its program has there.
    async fn sudoers(&self, row: &[String]) -> Option<String> {
        let (fleet, program) = (&self.context.fleet, row.first()?);
        let path = fleet.find_program(&self.host, &self.context.principal, self.call(), program).await.ok()??;
        sudo::sudoers(&self.host.location().ok()?.user, &path, row)
    }
}
