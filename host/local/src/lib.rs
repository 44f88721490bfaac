//! The machine that Scout runs on, as one of those that it looks at: without SSH, and with the same answers.
//!
//! Owns files and directories by descriptors (`files`, and `transfer`, which writes) and commands by `/bin/sh` (`commands`). What is opened and what is told of it is
//! one descriptor, so nobody can exchange it in between. Knows no policy and no secrets: whoever asks may ask.

mod account;
mod commands;
mod files;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Call, ErrorKind, FairSemaphore, HostError, Machine, Operation, Outcome, Principal, Probe, Within};
use tokio::time::sleep_until;

pub use account::Account;

/// Commands that run at once.
const COMMANDS: usize = 10;
/// Looks at files that are under way at once. One that hangs on a dead file system keeps its place, and its thread.
const LOOKS: usize = 64;

/// This machine, as the account sees it that Scout runs as. Cheap to clone; clones share the bounds.
#[derive(Clone, Debug)]
pub struct Local {
    account: Arc<Account>,
    commands: FairSemaphore,
    looks: FairSemaphore,
    /// Who asks.
    who: Principal,
}

impl Local {
    /// This machine for this account. Where many ask, one principal has three quarters of each bound at most.
    pub fn new(account: Account, serves_many: bool) -> Self {
        let places = |all: usize| FairSemaphore::new(all, if serves_many { (all * 3).div_ceil(4) } else { all });
        let (commands, looks) = (places(COMMANDS), places(LOOKS));
        Self { account: Arc::new(account), commands, looks, who: Principal::own("this machine") }
    }

    /// The same machine, for this principal.
    #[must_use]
    pub fn on_behalf_of(&self, who: &Principal) -> Self {
        Self { who: who.clone(), ..self.clone() }
    }

    /// Whose files and commands they are.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl Machine for Local {
    async fn perform(
        &self,
        operation: &Operation,
        within: &Within,
        call: &Call,
        ready: impl Future<Output = Result<(), HostError>> + Send,
    ) -> Result<Outcome, HostError> {
        match operation {
            Operation::Open { .. } | Operation::Read { .. } | Operation::Stat { .. } => {
                ready.await?;
                files::look(self, operation, within, call).await
            }
            Operation::Exec(request) => {
                let place = within_call(call, async { Ok(self.commands.acquire(&self.who, 1).await) }).await?;
                ready.await?;
                commands::run(&self.account, place, request, call).await.map(Outcome::Exec)
            }
            Operation::Transfer(errand) => {
                ready.await?;
                transfer::run(self, errand, within, call).await.map(Outcome::Transfer)
            }
            Operation::Handshake => {
                let message = "this is the machine that Scout runs on: nobody shakes hands with it";
                Err(HostError::new(ErrorKind::Unsupported, message))
            }
            Operation::Probe { .. } => {
                Ok(Outcome::Probe(Probe { connected: true, latency: Ok(Duration::ZERO), refused: None }))
            }
        }
    }
}

/// Runs the work until the call's deadline or its cancellation.
async fn within_call<T>(call: &Call, work: impl Future<Output = Result<T, HostError>>) -> Result<T, HostError> {
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => Err(HostError::new(ErrorKind::Cancelled, "the request was cancelled")),
        result = work => result,
        () = sleep_until(call.deadline) => {
            Err(HostError::new(ErrorKind::Timeout, "this machine did not answer before the deadline"))
        }
    }
}
