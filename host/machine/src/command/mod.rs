//! Commands: what is asked for, and what became of it.

mod limits;
pub mod persistent;
pub mod shell;

use std::time::Duration;

pub use self::limits::CommandLimits;
use crate::Capture;

/// A command to run.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    /// What `/bin/sh` evaluates. May hold newlines, never NUL.
    pub script: Vec<u8>,
    /// Bytes of standard output to keep.
    pub stdout_cap: usize,
    /// Bytes of standard error to keep.
    pub stderr_cap: usize,
    /// How long the command may run once it was sent; the call's deadline binds as well.
    pub timeout: Duration,
    /// What its processes may take on the host.
    pub limits: CommandLimits,
    /// Whether it only reads and leaves nothing behind: then it may run in a shell that others have used and will use, and may be run
    /// again if that ends.
    pub only_reads: bool,
}

/// Whether a command that was stopped still runs on the remote host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// Its process group is gone, and nobody else is seen to belong to it: the remote host said so. On a host without
    /// `/proc`, and with another account's environment, a process that left the group (`setsid`) is not seen.
    Stopped,
    /// It still runs, or a process that it started and that has left its group.
    Running,
    /// Scout could not find out.
    Unknown,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself with this status.
    Exited(u32),
    /// By this signal (a name as `TERM`).
    Signaled(String),
    /// It ran past its timeout.
    TimedOut(RemoteState),
    /// The client cancelled the request.
    Cancelled(RemoteState),
    /// It wrote more than the caps.
    OutputLimit(RemoteState),
    /// The channel closed, or the connection was lost, without a status.
    NoStatus,
}

/// What a command did. A partial output is kept however it ended.
#[derive(Clone, Debug)]
pub struct ExecOutcome {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output.
    pub stdout: Capture,
    /// What it wrote to standard error.
    pub stderr: Capture,
    /// From the moment it was sent.
    pub duration: Duration,
}
