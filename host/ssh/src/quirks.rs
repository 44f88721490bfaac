//! What was found out about a host's server by what it did, so that it costs once and not on each connection.

use std::sync::atomic::{AtomicBool, Ordering};

/// What one host does otherwise than OpenSSH. Nothing is known at first, and what is found stays for the
/// pool's life.
#[derive(Debug, Default)]
pub(crate) struct Quirks {
    guesses_fail: AtomicBool,
    opens_several: AtomicBool,
    opens_one: AtomicBool,
}

impl Quirks {
    /// Whether a guessed SFTP handle was found to be wrong or to come too early.
    pub(crate) fn guesses_fail(&self) -> bool {
        self.guesses_fail.load(Ordering::Relaxed)
    }

    /// A guessed handle failed on a server where none had been right.
    pub(crate) fn note_failed_guess(&self) {
        self.guesses_fail.store(true, Ordering::Relaxed);
    }

    /// Whether the server was seen to open a channel beside another.
    pub(crate) fn opens_several(&self) -> bool {
        self.opens_several.load(Ordering::Relaxed)
    }

    /// A channel was opened beside another.
    pub(crate) fn note_several(&self) {
        self.opens_several.store(true, Ordering::Relaxed);
    }

    /// Whether the server passes over a request for a channel beside another: each connection has one, then.
    pub(crate) fn opens_one(&self) -> bool {
        self.opens_one.load(Ordering::Relaxed)
    }

    /// A request for a channel was passed over.
    pub(crate) fn note_one(&self) {
        self.opens_one.store(true, Ordering::Relaxed);
    }
}
