//! The audit trail: what was asked of each host, in lines of JSON.
//!
//! A command that runs has two lines with the same `id`: `begin` before it is sent, `end` before its outcome is answered. One
//! that does not run has one, `unsent`. What is left out, because there is too much of it or because it could not be
//! written, is counted in a line `omitted`. The fields of a line, but for `begin`, are those of the command as a whole.
//!
//! Each line is linked to the one before it (`chain`), so that what was changed or removed shows.
//!
//! Invariants: a command whose `begin` has not reached the system is not sent, unless the operator chose `best-effort`. Each
//! line is parsed by itself, whoever else writes to the file and whatever died there. No worker of the reactor waits for the
//! disk.

mod allowance;
mod chain;
mod line;
mod log_file;
mod trail;

pub use trail::{Audit, AuditMode};

pub(crate) use chain::{Found, GoesOn, NAMESPACE, Proof, hex};
pub(crate) use line::checkpoint;
pub(crate) use log_file::{LogFile, check};
