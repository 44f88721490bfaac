//! What Scout asks of a machine, and what it is told: the ground that every way to a machine stands on.
//!
//! Owns the words: a request's [`Call`], whoever asks ([`Principal`]), paths, what is found at them, commands and how they end, and
//! the one error. Knows no machine: not SSH, not this computer, no recording.

mod call;
mod capture;
pub mod command;
mod error;
mod fair;
mod file;
mod handshake;
mod interface;
mod machine;
pub mod path;
mod probe;
mod remote_path;
mod text;
pub mod transfer;
pub mod within;

pub use call::{Call, Cost, CostSnapshot, Principal, TenantId};
pub use capture::Capture;
pub use command::{CommandLimits, Ending, ExecOutcome, ExecRequest, RemoteState};
pub use error::{ErrorKind, HostError};
pub use fair::{FairPermit, FairSemaphore};
pub use file::{Attributes, DirEntry, FileKind, Opened, TruePath};
pub use handshake::Handshake;
pub use interface::{Grants, Interface};
pub use machine::{Machine, Operation, Outcome};
pub use probe::Probe;
pub use remote_path::{RemotePath, Start};
pub use text::{hidden, line, visible};
pub use transfer::Errand;
pub use within::Within;
