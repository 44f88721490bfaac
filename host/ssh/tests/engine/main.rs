//! The engine against real servers, and against servers that misbehave.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod auth;
mod authority;
mod bytes;
mod commands;
mod complaints;
mod dial;
mod doors;
mod endings;
mod fake;
mod faults;
mod limits;
mod odd;
mod offers;
mod order;
mod penalties;
mod persistent;
mod pool;
mod rekey;
mod sftp;
mod shells;
mod text;
mod transfers;
mod world;
