//! The SSH engine: OpenSSH's configuration and trust, a pool of connections, SFTP and commands.
//!
//! Owns everything between a host's name and its wire. Knows no WebAssembly, no MCP and no tenant: whoever asks
//! is a [`Principal`], and connections of two principals are never shared.

mod algorithms;
mod auth;
mod call;
mod capture;
mod command;
pub mod config;
mod connection;
mod dial;
mod error;
mod exec;
mod gate;
mod identities;
mod lease;
mod pool;
mod process;
mod proxy_command;
mod script;
mod secrets;
pub mod sftp;
mod shell;
mod slots;
mod stalls;
mod tcp;
mod transfer;
mod transport;
pub mod trust;

pub use call::{Call, Cost, CostSnapshot, Principal};
pub use capture::Capture;
pub use config::{HostSpec, SshConfig};
pub use error::{ErrorKind, SshError};
pub use exec::{Ending, ExecOutcome, ExecRequest, RemoteState};
pub use identities::{KeyFileState, agent_keys, inspect_key_file};
pub use lease::Lease;
pub use pool::{Pool, PoolConfig, PoolSnapshot, Probe};
pub use sftp::{
    Attributes, Change, DirEntry, FileKind, FileSystem, Opened, Part, Transfer, TruePath, WriteOptions, Written,
};
