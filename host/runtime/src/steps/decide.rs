//! Step 1: whether the call may. Rights and policies are those of [`grants`]; here they meet what is asked.

use super::{Asked, Reach};
use crate::grants::{self, CallRights, Operation, Permit};
use crate::policy::{self, Refusal};

/// What was decided.
pub(super) struct Decided {
    /// What it was allowed by.
    pub(super) permit: Permit,
    /// What runs, of a command.
    pub(super) script: Option<Vec<u8>>,
}

/// Judges what is asked.
///
/// # Errors
/// Why it may not, and what may be done instead.
pub(super) fn decide(reach: &Reach, rights: &CallRights, asked: &Asked) -> Result<Decided, Refusal> {
    let target = reach.host.target(reach.context.fleet.access());
    let judge = |operation| grants::decide(rights, target, operation).map_err(|denial| denial.refusal);
    let (permit, script) = match asked {
        Asked::Open { path } | Asked::Read { path, .. } | Asked::Stat { path } => (judge(Operation::Read(path))?, None),
        Asked::Run(pipeline) => (judge(Operation::Run(pipeline))?, Some(policy::render(pipeline)?)),
        Asked::Script { directory, script } => {
            (judge(Operation::Shell)?, Some(policy::render_script(directory.as_ref(), script)?))
        }
        Asked::Probe { .. } => (judge(Operation::See)?, None),
    };
    Ok(Decided { permit, script })
}
