//! Step 1: whether the call may. Rights and policies are those of [`grants`]; here they meet what is asked.

use super::{HostAccess, HostRequest};
use crate::grants::{self, Action, CallRights, Permit};
use crate::policy::{self, CommandPolicy, Refusal, sudo};

/// What was decided.
pub(super) struct Decided {
    /// What it was allowed by.
    pub(super) permit: Permit,
    /// What runs, of a command.
    pub(super) script: Option<Vec<u8>>,
    /// Whether a command only reads and leaves nothing behind, for the table knows all of it.
    pub(super) only_reads: bool,
    /// Whether a part of it runs as root.
    pub(super) as_root: bool,
}

/// Judges what is asked.
///
/// # Errors
/// Why it may not, and what may be done instead.
pub(super) fn decide(access: &HostAccess, rights: &CallRights, request: &HostRequest) -> Result<Decided, Refusal> {
    let target = access.host.target(access.context.fleet.access());
    let judge = |operation| grants::decide(rights, target, operation).map_err(|denial| denial.refusal);
    let (mut only_reads, mut as_root) = (false, false);
    let (permit, script) = match request {
        HostRequest::Open { path, .. } | HostRequest::Read { path, .. } | HostRequest::Stat { path } => {
            (judge(Action::Read(path))?, None)
        }
        HostRequest::Run(pipeline) => {
            let permit = judge(Action::Run(pipeline))?;
            // What runs as root has a channel of its own: of its processes not all can be ended by the account.
            as_root = sudo::is_in(pipeline);
            only_reads = !as_root && target.commands == CommandPolicy::ReadOnly
                || policy::check_with(target.secrets, CommandPolicy::ReadOnly, pipeline).is_ok();
            (permit, Some(policy::render(pipeline)?))
        }
        HostRequest::Script { directory, script } => {
            (judge(Action::Shell)?, Some(policy::render_script(directory.as_ref(), script)?))
        }
        HostRequest::Probe { .. } => (judge(Action::See)?, None),
    };
    Ok(Decided { permit, script, only_reads, as_root })
}
