//! What Scout's integration tests and benches share: a real sshd with keys of its own, an ssh-agent, a loopback link that delays
//! and counts, and a client that speaks to `scout serve` over stdio.
//!
//! Everything listens on loopback at a free port, lives in a temporary directory and ends with its guard. A part that
//! is missing on the machine panics with the line that installs it: a test never skips.

mod agent;
mod fixture;
pub mod http;
pub mod issuer;
mod language;
mod link;
mod namespace;
mod numbers;
mod openssh;
pub mod recording;
#[cfg(test)]
mod repository;
mod scout;
mod sshd;

pub use agent::Agent;
pub use fixture::Guest;
pub use language::German;
pub use link::{DelayLink, Mark};
pub use namespace::{with_mounts, with_read_only, with_small_disk};
pub use numbers::Numbers;
pub use openssh::{is_with_newer_openssh, newer_fish, newer_openssh, with_newer_openssh};
pub use scout::{Answer, Scout, ScoutOptions};
pub use sshd::{Key, Sftp, Sshd, SshdOptions, generate_key, login_name};
