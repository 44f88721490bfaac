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

use scout_machine::{Call, ErrorKind, HostError, Machine, Operation, Outcome, Probe, Within};
use tokio::sync::Semaphore;
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
    commands: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

impl Local {
    /// This machine for this account.
    pub fn new(account: Account) -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Self { account: Arc::new(account), commands: semaphore(COMMANDS), looks: semaphore(LOOKS) }
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
                let place =
                    within_call(call, async { Arc::clone(&self.commands).acquire_owned().await.map_err(|_| closed()) });
                let place = place.await?;
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

fn closed() -> HostError {
    HostError::new(ErrorKind::Unreachable, "Scout is ending")
}
