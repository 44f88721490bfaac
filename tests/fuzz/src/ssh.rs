//! What hosts send, and what the files of OpenSSH say.

use std::sync::LazyLock;

use scout_ssh::fuzz;
use tokio::runtime::{Builder, Runtime};

pub(crate) fn known_hosts(bytes: &[u8]) {
    fuzz::known_hosts(bytes);
}

pub(crate) fn ssh_config(bytes: &[u8]) {
    fuzz::ssh_config(bytes);
}

pub(crate) fn sftp_reply(bytes: &[u8]) {
    fuzz::sftp_reply(bytes);
}

/// With what follows the identification in the clear: the first packets of the key exchange.
pub(crate) fn identification(bytes: &[u8]) {
    static THREAD: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime of this thread"));
    let failure = THREAD.block_on(fuzz::identification(bytes.to_vec()));
    assert!(failure.len() < 10_000, "a failure is told in {} bytes", failure.len());
}
