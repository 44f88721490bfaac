//! Step 3: whether the call has that much left. What handles to the answer hold is taken where they are made.

use super::{Asked, Reach};
use crate::budget::{Budget, COMMANDS, PROBES, REMOTE_BYTES};

/// Takes what is asked from the budget of the call.
///
/// # Errors
/// What is used up.
pub(super) fn take(budget: &mut Budget, reach: &Reach, asked: &Asked) -> Result<(), String> {
    let limit = REMOTE_BYTES.max(4 * reach.context.limits.file_bytes as u64);
    if reach.call().cost.snapshot().remote_bytes > limit {
        return Err(format!("a call may take {} MiB from hosts, and this one has", limit >> 20));
    }
    match asked {
        Asked::Open { .. } | Asked::Read { .. } | Asked::Stat { .. } => Ok(()),
        Asked::Run(_) | Asked::Script { .. } => match budget.command() {
            true => Ok(()),
            false => Err(format!("a call may ask for {COMMANDS} commands, and this one has")),
        },
        Asked::Probe { .. } => match budget.probe() {
            true => Ok(()),
            false => Err(format!("a call may probe {PROBES} hosts, and these would be more")),
        },
    }
}
