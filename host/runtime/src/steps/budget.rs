//! Step 3: whether the call has that much left. What handles to the answer hold is taken where they are made.

use super::{HostAccess, HostRequest};
use crate::budget::{Budget, COMMANDS, PROBES, REMOTE_BYTES};

/// Takes what is asked from the budget of the call.
///
/// # Errors
/// What is used up.
pub(super) fn take(budget: &mut Budget, access: &HostAccess, request: &HostRequest) -> Result<(), String> {
    let limit = REMOTE_BYTES.max(4 * access.context.limits.file_bytes as u64);
    if access.call().cost.snapshot().remote_bytes > limit {
        return Err(format!("a call may take {} MiB from hosts, and this one has", limit >> 20));
    }
    match request {
        // What a transfer may take is bounded where it is made.
        HostRequest::Open { .. }
        | HostRequest::Read { .. }
        | HostRequest::Stat { .. }
        | HostRequest::Handshake
        | HostRequest::Transfer(_) => Ok(()),
        HostRequest::Run(_) | HostRequest::Script { .. } => match budget.command() {
            true => Ok(()),
            false => Err(format!("a call may ask for {COMMANDS} commands, and this one has")),
        },
        HostRequest::Probe { .. } => match budget.probe() {
            true => Ok(()),
            false => Err(format!("a call may probe {PROBES} hosts, and these would be more")),
        },
    }
}
