//! What was found out about a host's server or login shell by what it did, so that it costs once and not on each connection.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use scout_machine::command::shell::Way;

/// Another way for a command that did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherWay {
    /// Nobody knows whether it works.
    Untried,
    /// It was seen to work.
    Works,
}

/// What one host does otherwise than OpenSSH behind an ordinary shell. Nothing is known at first, and what is found stays for the
/// pool's life.
#[derive(Debug, Default)]
pub(crate) struct Quirks {
    guesses_fail: AtomicBool,
    channels: AtomicU8,
    way: AtomicU8,
    shells: AtomicU8,
    stumbles: AtomicU8,
}

/// Why a host's commands run in no shell that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoShell {
    /// The server runs commands in its own process group (Dropbear): what ends a shell would end it.
    Group = 3,
    /// The login shell, or a forced command, did not start it.
    LoginShell = 4,
    /// Both streams arrive as one.
    Merged = 5,
    /// It ends with its first command: a forced command gives it no input.
    Ends = 6,
    /// The server opens one channel at a time.
    OneChannel = 7,
}

impl NoShell {
    /// In words, behind "because".
    fn why(self) -> &'static str {
        match self {
            Self::Group => "its server runs commands in a process group of its own",
            Self::LoginShell => "its login shell, or a forced command, does not start one",
            Self::Merged => "both streams of a command come as one",
            Self::Ends => "a forced command gives a shell no input",
            Self::OneChannel => "its server opens one channel at a time",
        }
    }
}

/// Two commands were answered by one shell.
const SHELLS_STAY: u8 = 1;
/// So many shells that could not be started, or ended early, are no chance.
const STUMBLES: u8 = 2;
/// Nothing was asked or sent yet.
const UNKNOWN: u8 = 0;
/// A channel was seen open beside another.
const SEVERAL: u8 = 1;
/// A request for a channel beside another was passed over.
const ONE: u8 = 2;
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
        self.channels.load(Ordering::Relaxed) == SEVERAL
    }

    /// A channel was opened beside another. That is never doubted again, whatever was thought before: the answer may only have been
    /// late.
    pub(crate) fn note_several(&self) {
        self.channels.store(SEVERAL, Ordering::Relaxed);
    }

    /// Whether the server passes over a request for a channel beside another: each connection has one, then.
    pub(crate) fn opens_one(&self) -> bool {
        self.channels.load(Ordering::Relaxed) == ONE
    }

    /// A request for a channel was passed over. Says nothing of a server that was seen to open several.
    pub(crate) fn note_one(&self) {
        let _ = self.channels.compare_exchange(UNKNOWN, ONE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether commands that only read may run in a shell that stays, as far as is known.
    pub(crate) fn has_shells(&self) -> bool {
        matches!(self.shells.load(Ordering::Relaxed), UNKNOWN | SHELLS_STAY)
    }

    /// Why none can stay, if that was found out, behind "because".
    pub(crate) fn why_no_shell(&self) -> Option<&'static str> {
        let kinds = [NoShell::Group, NoShell::LoginShell, NoShell::Merged, NoShell::Ends, NoShell::OneChannel];
        let found = self.shells.load(Ordering::Relaxed);
        let one = self.opens_one().then_some(NoShell::OneChannel);
        kinds.into_iter().find(|kind| *kind as u8 == found).or(one).map(NoShell::why)
    }

    /// A shell has answered a second command.
    pub(crate) fn note_shell(&self) {
        let _ = self.shells.compare_exchange(UNKNOWN, SHELLS_STAY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// None could stay. Says nothing of a host where one did; what may be chance has to be seen twice.
    pub(crate) fn note_no_shell(&self, why: NoShell) {
        let is_sure = matches!(why, NoShell::Group | NoShell::OneChannel);
        if !is_sure && self.stumbles.fetch_add(1, Ordering::Relaxed) + 1 < STUMBLES {
            return;
        }
        let _ = self.shells.compare_exchange(UNKNOWN, why as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How a command is sent.
    pub(crate) fn way(&self) -> Way {
        if self.way.load(Ordering::Relaxed) == DATA { Way::Data } else { Way::Argument }
    }

    /// Whether a command that did not arrive in this way may in another, and whether that is known.
    pub(crate) fn other_way(&self, tried: Way) -> Option<OtherWay> {
        match (tried, self.way.load(Ordering::Relaxed)) {
            (Way::Argument, UNKNOWN) => Some(OtherWay::Untried),
            (Way::Argument, DATA) => Some(OtherWay::Works),
            _ => None,
        }
    }

    /// A command was seen to arrive so. One that arrived as an argument where others did not says nothing: it may be older.
    pub(crate) fn note_way(&self, way: Way) {
        match way {
            Way::Argument => {
                let _ = self.way.compare_exchange(UNKNOWN, ARGUMENT, Ordering::Relaxed, Ordering::Relaxed);
            }
            Way::Data => self.way.store(DATA, Ordering::Relaxed),
        }
    }

    /// A command arrived in neither way.
    pub(crate) fn note_no_way(&self) {
        self.way.store(NEITHER, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_to_work_is_not_forgotten_for_what_came_late() {
        let quirks = Quirks::default();
        assert_eq!(quirks.other_way(Way::Argument), Some(OtherWay::Untried));
        quirks.note_way(Way::Data);
        quirks.note_way(Way::Argument);
        assert_eq!((quirks.way(), quirks.other_way(Way::Argument)), (Way::Data, Some(OtherWay::Works)));
        assert_eq!(quirks.other_way(Way::Data), None);
        let quirks = Quirks::default();
        quirks.note_way(Way::Argument);
        assert_eq!(quirks.other_way(Way::Argument), None);
    }

    #[test]
    fn a_late_answer_takes_back_that_a_server_opens_one_channel() {
        let quirks = Quirks::default();
        quirks.note_one();
        assert!(quirks.opens_one());
        quirks.note_several();
        quirks.note_one();
        assert!(quirks.opens_several() && !quirks.opens_one());
    }
}
