//! What most tests start from: one sshd under the name `box`, and a Scout that knows it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use scout_tests::{Scout, ScoutOptions, Sshd, SshdOptions};

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_scout"))
}

/// Options for a Scout that reaches `sshd` at `address` under the name `box`.
pub(crate) fn options_at(sshd: &Sshd, address: SocketAddr) -> ScoutOptions {
    ScoutOptions::new(binary(), sshd.config_block("box", address), sshd.known_hosts_line(address))
}

/// Options for a Scout that reaches `sshd` directly.
pub(crate) fn options(sshd: &Sshd) -> ScoutOptions {
    options_at(sshd, sshd.address())
}

/// A stock sshd and a Scout that has shaken hands.
pub(crate) async fn world() -> (Sshd, Arc<Scout>) {
    world_with(&SshdOptions::default()).await
}

/// As [`world`], with another sshd.
pub(crate) async fn world_with(sshd: &SshdOptions) -> (Sshd, Arc<Scout>) {
    let sshd = Sshd::start_with(sshd);
    let scout = Scout::start(&options(&sshd)).await;
    (sshd, scout)
}
