//! The SSH engine: OpenSSH's configuration and trust, a pool of connections, SFTP and commands.
//!
//! Owns everything between a host's name and its wire. Knows no WebAssembly, no MCP and no tenant: whoever asks
//! is a [`Principal`](scout_machine::Principal), and connections of two principals are never shared.

pub mod config;
mod dial;
mod exec;
#[doc(hidden)]
pub mod fuzz;
mod host;
mod jitter;
mod lease;
pub mod local_file;
mod pool;
mod quirks;
mod script;
pub mod sftp;
mod sftp_lanes;
pub mod sshsig;
mod subsystem;
mod transfer;
pub mod trust;
mod within;

pub use config::{HostNames, HostSpec, SshConfig};
pub use dial::authority::Authority;
pub use dial::host_key::HostKey;
pub use dial::offers::{Offer, OfferSigner, Offers, offers};
pub use dial::trust_ahead::{Ahead, TrustAhead, trust_ahead};
pub use host::Host;
pub use lease::Lease;
pub use pool::{DialConfig, KnownHostsFiles, Pool, PoolConfig, PoolSnapshot};
pub use sftp::{Change, FileSystem, Part, Transfer, WriteOptions, Written};
