//! Step 1: whether the call may. Rights and policies are those of [`grants`]; here they meet what is asked.

use super::{HostAccess, HostRequest, Side};
use crate::grants::{self, Action, CallRights, Permit};
use crate::policy::{self, CommandPolicy, Refusal, sudo, unwritable};

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
        HostRequest::Transfer(part) => {
            let permit = judge(match part.side {
                Side::Source => Action::Copy(&part.asked),
                Side::Target => Action::Write(&part.asked),
            })?;
            if part.side == Side::Target {
                let why =
                    std::iter::once(&part.asked).chain(part.truly()).find_map(|path| unwritable::why(path.bytes()));
                if let Some(why) = why {
                    let what = policy::quoted(&String::from_utf8_lossy(part.asked.bytes()));
                    let why = format!("is never written by a transfer: it {why}");
                    return Err(Refusal { what, why, instead: Some("a directory for what is exchanged".to_owned()) });
                }
            }
            if let Some(truly) = part.truly().filter(|_| permit.keeps_secrets) {
                target.secrets.check_true_path(&part.asked, truly.bytes())?;
            }
            (permit, None)
        }
        HostRequest::Probe { .. } | HostRequest::Handshake => (judge(Action::See)?, None),
    };
    Ok(Decided { permit, script, only_reads, as_root })
}
