//! A pipelined SFTP version 3 client: bytes for names, whole operations in one flight.
//!
//! Owns the protocol over one stream: packets (`wire`), flights and the stall watchdog (`channel`), what is read with
//! them in a flight or a few (`operations`), large files (`download`), writing (`upload`) and where what is opened truly lies
//! (`confine`). Does not know where the
//! stream comes from, nor how to free a server that hangs. Whatever only reads may be repeated on another channel.

use scout_machine::HostError;

mod channel;
mod confine;
mod download;
mod guess;
mod kinds;
mod listing;
mod operations;
#[cfg(test)]
mod swaps;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

pub(crate) use channel::SftpChannel;
pub use download::{Change, Part, Transfer};
pub(crate) use download::{Download, receiver_failed};
pub(crate) use upload::{Plan, WriteError};
pub use upload::{WriteOptions, Written};
pub(crate) use wire::decode_all;

/// Why an SFTP operation has no result.
#[derive(Clone, Debug)]
pub(crate) enum SftpError {
    /// The server answered nothing for the watchdog's time, and the channel is dead for all.
    Stalled {
        /// Whether this operation holds the oldest unanswered request. Others may be repeated elsewhere.
        culprit: bool,
    },
    /// The channel ended before the answer; the operation may be repeated.
    Closed,
    /// A real answer: not found, permission, timeout, cancelled, a server that breaks the protocol.
    Ssh(HostError),
}

impl From<HostError> for SftpError {
    fn from(error: HostError) -> Self {
        Self::Ssh(error)
    }
}

/// The file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Bytes.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that an ordinary account may still use.
    pub available: u64,
    /// Files that it can hold.
    pub inodes: u64,
    /// Files that may still be made.
    pub inodes_free: u64,
    /// Whether nothing on it can be changed.
    pub read_only: bool,
}
