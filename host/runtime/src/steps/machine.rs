//! Step 5: the host does it, where it may lie.

use scout_machine::{ErrorKind, HostError, Machine as _, Operation, Outcome, Probe};
use tokio::time::sleep_until;

use super::HostAccess;
use crate::grants::Permit;
use crate::machines::AnyMachine;
use crate::policy::LEAD;

/// Asks the machine, where the permit lets it be asked, once `recorded` says so.
pub(super) async fn perform(
    access: &HostAccess,
    operation: &Operation,
    permit: &Permit,
    recorded: impl Future<Output = Result<(), HostError>> + Send,
) -> Result<Outcome, HostError> {
    let asked = with_lead(operation);
    let machine = match access.machine().await {
        Ok(machine) => machine,
        Err(error) => return failed(operation, error),
    };
    match machine.perform(asked.as_ref().unwrap_or(operation), &permit.within, access.call(), recorded).await {
        Ok(outcome) => Ok(outcome),
        // What is granted instead, if it was the confinement that refused.
        Err(error) if error.kind() == ErrorKind::Outside => failed(operation, error.with_hint(permit.granted_paths())),
        Err(error) => failed(operation, error),
    }
}

/// A host that cannot be asked whether it answers has answered that.
fn failed(operation: &Operation, error: HostError) -> Result<Outcome, HostError> {
    match operation {
        Operation::Probe { .. } => Ok(Outcome::Probe(Probe { connected: false, latency: Err(error), refused: None })),
        Operation::Open { .. }
        | Operation::Read { .. }
        | Operation::Stat { .. }
        | Operation::Exec(_)
        | Operation::Handshake
        | Operation::Transfer(_) => Err(error),
    }
}

/// A part of a file is read with what is before it: a key that begins there would not be seen in its second half.
fn with_lead(operation: &Operation) -> Option<Operation> {
    let Operation::Read { path, offset, length } = operation else { return None };
    let lead = lead(*offset);
    Some(Operation::Read { path: path.clone(), offset: offset - lead, length: length.saturating_add(lead as usize) })
}

/// How many bytes before an offset are read with what is behind it.
pub(super) fn lead(offset: u64) -> u64 {
    offset.min(LEAD)
}

impl HostAccess {
    /// The machine, once its settings are looked up, as long as the call waits for them.
    pub(crate) async fn machine(&self) -> Result<AnyMachine, HostError> {
        let (name, call) = (&self.host.name, self.call());
        tokio::select! {
            biased;
            machine = self.context.fleet.machine(&self.host, &self.context.principal) => machine,
            () = call.cancel.cancelled() => {
                Err(HostError::new(ErrorKind::Cancelled, format!("{name}: the request was cancelled")))
            }
            () = sleep_until(call.deadline) => {
                let message = format!("{name}: its settings were not looked up in the time that the call had left");
                Err(HostError::new(ErrorKind::Timeout, message).with_hint("a command of `Match exec` may hang"))
            }
        }
    }
}
