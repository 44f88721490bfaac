//! What was found out about a host's server or login shell by what it did, so that it costs once and not on each connection.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::exec::shell::Way;

/// What one host does otherwise than OpenSSH behind an ordinary shell. Nothing is known at first, and what is found stays for the
/// pool's life.
#[derive(Debug, Default)]
pub(crate) struct Quirks {
    guesses_fail: AtomicBool,
    opens_several: AtomicBool,
    opens_one: AtomicBool,
    way: AtomicU8,
}

/// Nothing was sent yet.
const UNKNOWN: u8 = 0;
/// Arguments arrive as they were sent.
const ARGUMENT: u8 = 1;
/// They do not, but data does.
const DATA: u8 = 2;
/// The login shell runs no command in either way.
const NEITHER: u8 = 3;

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

    /// How a command is sent.
    pub(crate) fn way(&self) -> Way {
        if self.way.load(Ordering::Relaxed) == DATA { Way::Data } else { Way::Argument }
    }

    /// Whether a command that did not arrive may in another way.
    pub(crate) fn has_other_way(&self) -> bool {
        self.way.load(Ordering::Relaxed) == UNKNOWN
    }

    /// A command arrived so.
    pub(crate) fn note_way(&self, way: Way) {
        let known = match way {
            Way::Argument => ARGUMENT,
            Way::Data => DATA,
        };
        self.way.store(known, Ordering::Relaxed);
    }

    /// A command arrived in neither way.
    pub(crate) fn note_no_way(&self) {
        self.way.store(NEITHER, Ordering::Relaxed);
    }
}
