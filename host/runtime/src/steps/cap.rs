//! Step 7: what an answer holds of what was found; and before, how much a host is asked for.

use std::sync::Arc;

use scout_machine::{ExecRequest, Operation};

use super::{Found, HostAccess, HostRequest, Task};
use crate::Limits;
use crate::written::{fitting, fitting_both};

/// What the machine is asked, within the limits of the call. `script`: what was made of a command, and whether it only reads.
pub(super) fn operation(
    request: &HostRequest,
    (script, only_reads): (Option<Vec<u8>>, bool),
    access: &HostAccess,
) -> Operation {
    let Limits { file_bytes, dir_entries, output_bytes, command_timeout, .. } = *access.context.limits;
    match request {
        HostRequest::Open { path, most } => {
            Operation::Open { path: path.clone(), cap: file_bytes.min(*most), max_entries: dir_entries }
        }
        HostRequest::Read { path, offset, length } => {
            let length = usize::try_from(*length).unwrap_or(usize::MAX).min(file_bytes);
            Operation::Read { path: path.clone(), offset: *offset, length }
        }
        HostRequest::Stat { path } => Operation::Stat { path: path.clone() },
        HostRequest::Run(_) | HostRequest::Script { .. } => Operation::Exec(Arc::new(ExecRequest {
            script: script.unwrap_or_default(),
            stdout_cap: output_bytes,
            stderr_cap: output_bytes,
            timeout: command_timeout,
            limits: access.host.limits,
            only_reads,
        })),
        HostRequest::Transfer(part) => match &part.task {
            Task::List { truly } => Operation::Open { path: truly.clone(), cap: 0, max_entries: dir_entries },
            Task::Do(errand) => Operation::Transfer(errand.clone()),
        },
        HostRequest::Handshake => Operation::Handshake,
        HostRequest::Probe { timeout, anew } => Operation::Probe { timeout: *timeout, anew: *anew },
    }
}

/// What of it an answer can hold.
pub(super) fn cut(found: Found) -> Found {
    match found {
        Found::Opened(scout_machine::Opened::File { attributes, content }) => {
            Found::Opened(scout_machine::Opened::File { attributes, content: fitting(content) })
        }
        Found::Content(content) => Found::Content(fitting(content)),
        Found::Ran(mut outcome) => {
            (outcome.stdout, outcome.stderr) = fitting_both(outcome.stdout, outcome.stderr);
            Found::Ran(outcome)
        }
        Found::Opened(_) | Found::Attributes(_) | Found::Probed(_) | Found::Shaken(_) | Found::Done(_) => found,
    }
}
