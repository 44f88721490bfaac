//! Step 6: the list of secret paths, held against where a path has truly led and against what was read. Its text was held before, and
//! proves nothing.

use scout_machine::transfer::Done;
use scout_machine::{Capture, ErrorKind, HostError, Opened, Operation, Outcome, RemotePath, TruePath};

use super::machine::lead;
use super::{Found, HostAccess, amiss};
use crate::grants::Permit;
use crate::policy::Refusal;

/// What of the outcome may be told.
///
/// # Errors
/// Outside for a secret.
pub(super) fn hold(
    access: &HostAccess,
    operation: &Operation,
    permit: &Permit,
    outcome: Outcome,
) -> Result<Found, HostError> {
    let keeper = Keeper { access, keeps: permit.keeps_secrets };
    match (operation, outcome) {
        (Operation::Open { path, .. }, Outcome::Open(opened, place)) => {
            if let Opened::File { content, .. } = &opened {
                keeper.content(path, &place, content)?;
            }
            keeper.place(path, &place)?;
            Ok(Found::Opened(opened))
        }
        (Operation::Read { path, offset, .. }, Outcome::Read(content, place)) => {
            keeper.content(path, &place, &content)?;
            keeper.place(path, &place)?;
            let data = content.data.slice(content.data.len().min(lead(*offset) as usize)..);
            Ok(Found::Content(Capture { data, ..content }))
        }
        (Operation::Stat { path }, Outcome::Stat(attributes, place)) => {
            keeper.place(path, &place)?;
            Ok(Found::Attributes(attributes))
        }
        (Operation::Transfer(errand), Outcome::Transfer(done)) => {
            // Other paths were held against the list before, and nothing else was opened; what a file holds is, while it passes.
            if let Done::Located(_, place) = &done {
                keeper.place(errand.path(), place)?;
            }
            Ok(Found::Done(done))
        }
        (Operation::Exec(_), Outcome::Exec(outcome)) => Ok(Found::Ran(outcome)),
        (Operation::Probe { .. }, Outcome::Probe(probe)) => Ok(Found::Probed(probe)),
        (Operation::Handshake, Outcome::Handshake(handshake)) => Ok(Found::Shaken(handshake)),
        (
            Operation::Open { .. }
            | Operation::Read { .. }
            | Operation::Stat { .. }
            | Operation::Exec(_)
            | Operation::Transfer(_)
            | Operation::Probe { .. }
            | Operation::Handshake,
            _,
        ) => Err(amiss()),
    }
}

struct Keeper<'a> {
    access: &'a HostAccess,
    keeps: bool,
}

impl Keeper<'_> {
    /// Holds the secret paths against where a path has truly led.
    fn place(&self, path: &RemotePath, place: &TruePath) -> Result<(), HostError> {
        match self.keeps {
            true => self.access.context.fleet.access().secrets.check_true_path(path, &place.path).map_err(refused),
            false => Ok(()),
        }
    }

    /// Holds what a file holds against what no file is answered with, whatever its name.
    fn content(&self, path: &RemotePath, place: &TruePath, content: &Capture) -> Result<(), HostError> {
        match self.keeps {
            true => self
                .access
                .context
                .fleet
                .access()
                .secrets
                .check_content(path, &place.path, &content.data)
                .map_err(refused),
            false => Ok(()),
        }
    }
}

fn refused(refusal: Refusal) -> HostError {
    HostError::new(ErrorKind::Outside, refusal.to_string()).with_hint(refusal.instead.unwrap_or_default())
}
