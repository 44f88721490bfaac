//! The engine against real servers, and against servers that misbehave.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod commands;
mod dial;
mod fake;
mod faults;
mod order;
mod sftp;
mod shells;
mod world;
