//! What can be asked of a machine, as a value, and whoever answers it.

use std::sync::Arc;
use std::time::Duration;

use crate::transfer::{Done, Errand};
use crate::{
    Attributes, Call, Capture, ExecOutcome, ExecRequest, Handshake, HostError, Opened, Probe, RemotePath, TruePath,
    Within,
};

/// What is asked of a machine. Links are followed.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Looks at whatever a path names.
    Open {
        /// The path.
        path: RemotePath,
        /// How many of a file's first bytes are wanted.
        cap: usize,
        /// How many of a directory's entries are wanted.
        max_entries: usize,
    },
    /// Reads a part of a regular file.
    Read {
        /// The file.
        path: RemotePath,
        /// Where the part begins, in bytes.
        offset: u64,
        /// How many bytes are wanted.
        length: usize,
    },
    /// Asks for a path's attributes.
    Stat {
        /// The path.
        path: RemotePath,
    },
    /// Runs a command.
    Exec(Arc<ExecRequest>),
    /// Asks whether the machine answers. Nobody logs in for it.
    Probe {
        /// How long the answer may take.
        timeout: Duration,
        /// Whether what was seen a moment ago does not count.
        anew: bool,
    },
    /// Asks what its connection was agreed on. Where there is none, one is made.
    Handshake,
    /// Does its part of a transfer.
    Transfer(Errand),
}

impl Operation {
    /// The path that it is about.
    pub fn path(&self) -> Option<&RemotePath> {
        match self {
            Self::Open { path, .. } | Self::Read { path, .. } | Self::Stat { path } => Some(path),
            Self::Transfer(errand) => Some(errand.path()),
            Self::Exec(_) | Self::Probe { .. } | Self::Handshake => None,
        }
    }
}

/// What a machine answers to an [`Operation`], the variant of the same name.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What was found at the path, and where that truly lies.
    Open(Opened, TruePath),
    /// The part of the file, and where the file truly lies.
    Read(Capture, TruePath),
    /// The attributes of what the path names, and where that truly lies.
    Stat(Attributes, TruePath),
    /// How the command ended, and what it wrote.
    Exec(ExecOutcome),
    /// Whether the machine answers.
    Probe(Probe),
    /// What the connection was agreed on.
    Handshake(Arc<Handshake>),
    /// What became of a part of a transfer.
    Transfer(Done),
}

/// A machine that one principal may use: over SSH, this one, or a recording of one.
pub trait Machine: Send + Sync {
    /// Does what is asked, once `ready` says that it may be sent; that is asked when the machine has been reached, and not at all if it
    /// cannot be. A path is answered only if what was opened truly lies within.
    ///
    /// # Errors
    /// NotFound, Permission, NotReadable, Outside, Timeout, Cancelled, Unreachable, Remote, Invalid, Unsupported; what `ready` gives.
    /// Of a command: it provably did not run. Of a file that is received: its place is untouched, except with ConnectionLost.
    /// # Cancel safety
    /// A command whose future is dropped is ended on the machine. Of a file that is received what has come stays under another name.
    fn perform(
        &self,
        operation: &Operation,
        within: &Within,
        call: &Call,
        ready: impl Future<Output = Result<(), HostError>> + Send,
    ) -> impl Future<Output = Result<Outcome, HostError>> + Send;
}
