//! A pipelined SFTP version 3 client: bytes for names, whole operations in one flight.
//!
//! Owns the protocol over one stream: packets (`wire`), flights and the stall watchdog (`channel`), what is read with
//! them in a flight or a few (`operations`), large files (`download`), writing (`upload`) and where what is opened truly lies
//! (`confine`). Does not know where the
//! stream comes from, nor how to free a server that hangs. Whatever only reads may be repeated on another channel.

mod channel;
mod confine;
mod download;
mod guess;
mod listing;
mod operations;
#[cfg(test)]
mod swaps;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

pub(crate) use channel::SftpChannel;
pub use confine::TruePath;
pub(crate) use confine::{DELETED, deleted, swapped, untold};
pub use download::{Change, Part, Transfer};
pub(crate) use download::{Download, receiver_failed};
pub(crate) use operations::{check, is_guarded, not_a_file, other_home, remote_path, shown};
pub(crate) use upload::{Plan, WriteError};
pub use upload::{WriteOptions, Written};
pub(crate) use wire::decode_all;

use crate::{Capture, SshError};

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
    Ssh(SshError),
}

impl From<SshError> for SftpError {
    fn from(error: SshError) -> Self {
        Self::Ssh(error)
    }
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device; or the server did not say, and it was not opened.
    Other,
}

/// What the server says of a path (draft-ietf-secsh-filexfer-02 §5). Absent fields were not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes.
    pub size: Option<u64>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// `st_mode`: type and permission bits.
    pub permissions: Option<u32>,
    /// Names that it has on its file system. Version 3 of SFTP does not tell.
    pub links: Option<u64>,
    /// Seconds since 1970.
    pub atime: Option<u32>,
    /// Seconds since 1970.
    pub mtime: Option<u32>,
    /// What it was found to be where `permissions` are absent: what OPEN opens is a file, what OPENDIR opens a directory.
    pub found_to_be: Option<FileKind>,
}

impl Attributes {
    /// The kind that the type bits of `permissions` name, else what it was found to be.
    pub fn kind(&self) -> FileKind {
        match self.permissions.map(|mode| mode & 0o170_000) {
            Some(0o100_000) => FileKind::File,
            Some(0o040_000) => FileKind::Directory,
            Some(0o120_000) => FileKind::Symlink,
            Some(_) => FileKind::Other,
            None => self.found_to_be.unwrap_or(FileKind::Other),
        }
    }

    /// Whether the server says what it is.
    pub(crate) fn has_kind(&self) -> bool {
        self.permissions.is_some()
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Bytes: file systems know no encoding.
    pub name: Vec<u8>,
    /// Of the entry itself, not of a link's target.
    pub attributes: Attributes,
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

/// What was found at a path.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A regular file and its first bytes.
    File {
        /// Of the file.
        attributes: Attributes,
        /// Up to the cap asked for.
        content: Capture,
    },
    /// A directory and its entries, without `.` and `..`.
    Directory {
        /// Of the directory.
        attributes: Attributes,
        /// In the server's order.
        entries: Vec<DirEntry>,
        /// Whether there are more.
        truncated: bool,
    },
    /// Neither: it was not opened.
    Other {
        /// Of what it is.
        attributes: Attributes,
    },
}
