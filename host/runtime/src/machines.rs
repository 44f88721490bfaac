//! The machines that a call may ask, as one: an enum, so that nothing on the way of a read is looked up at run time.

use scout_local::Local;
use scout_machine::{Call, ErrorKind, HostError, Machine, Operation, Outcome, Within};
use scout_ssh::Host;

/// One of them.
#[derive(Clone, Debug)]
pub(crate) enum AnyMachine {
    /// A host over SSH.
    Ssh(Host),
    /// The machine that Scout runs on.
    Local(Local),
    /// None: what is not on the tape is not there.
    Absent,
}

impl Machine for AnyMachine {
    async fn perform(
        &self,
        operation: &Operation,
        within: &Within,
        call: &Call,
        ready: impl Future<Output = Result<(), HostError>> + Send,
    ) -> Result<Outcome, HostError> {
        match self {
            Self::Ssh(host) => host.perform(operation, within, call, ready).await,
            Self::Local(local) => local.perform(operation, within, call, ready).await,
            Self::Absent => {
                Err(HostError::new(ErrorKind::Unsupported, "this host is a recording, which does not hold that"))
            }
        }
    }
}
