//! Whether a flight that used a guessed handle got what it asked for.
//!
//! A guess fails in one of three ways. The server hands out another handle (value). It answers out of order, and so may have worked
//! out of order (order): a READ that overtook its OPEN found no handle, and a CLOSE that did leaves one open. Or it refuses, or never
//! answers, what used the handle (status). **Whichever it was, nothing of the flight counts**, and what it left open is named, to be
//! closed. Does not know what follows from that.

use super::channel::Reply;
use super::wire::{self, Expected, Request, Status};

/// OpenSSH's sftp-server hands out the lowest free index, four bytes big-endian.
pub(super) const GUESS: &[u8] = &[0; 4];

/// What a request does with a handle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Nothing,
    Opens,
    /// With the guessed one.
    Uses,
    /// The guessed one.
    Closes,
}

/// How the guess of one flight fares.
pub(super) struct Guess {
    uses: Vec<Use>,
    /// Which answer comes next if they come in order.
    next: usize,
    came_in_order: bool,
    was_right: bool,
    was_wrong: bool,
}

impl Guess {
    /// The guess of these requests.
    pub(super) fn of(requests: &[Request<'_>]) -> Self {
        let uses = requests
            .iter()
            .map(|request| match request {
                Request::Close(handle) if *handle == GUESS => Use::Closes,
                Request::Read { handle, .. } | Request::ReadDir(handle) | Request::Fstat(handle)
                    if *handle == GUESS =>
                {
                    Use::Uses
                }
                request if request.expected() == Expected::Handle => Use::Opens,
                _ => Use::Nothing,
            })
            .collect();
        Self { uses, next: 0, came_in_order: true, was_right: false, was_wrong: false }
    }

    /// The answer to this request came.
    pub(super) fn answered(&mut self, index: usize) {
        self.came_in_order &= index >= self.next;
        self.next = self.next.max(index + 1);
    }

    /// The server handed out this; whether it is the guessed one.
    pub(super) fn compare(&mut self, handle: &[u8]) -> bool {
        let is_right = handle == GUESS;
        self.was_right |= is_right;
        self.was_wrong |= !is_right;
        is_right
    }

    /// Whether a handle was as guessed.
    pub(super) fn was_right(&self) -> bool {
        self.was_right
    }

    /// Whether the server handed out another one.
    pub(super) fn was_wrong(&self) -> bool {
        self.was_wrong
    }

    /// Whether the guess failed, once all is answered that will be.
    pub(super) fn has_failed(&self, replies: &[Option<Reply>]) -> bool {
        self.was_wrong
            || !self.came_in_order
            || replies.iter().any(Option::is_none)
            || !self.left_open(replies).is_empty()
    }

    /// Which requests opened a guessed handle that the flight did not close.
    pub(super) fn left_open(&self, replies: &[Option<Reply>]) -> Vec<usize> {
        let mut left = Vec::new();
        let mut opened = None;
        for (index, (what, reply)) in self.uses.iter().zip(replies).enumerate() {
            match what {
                Use::Opens if matches!(reply, Some(Reply::Guessed)) => opened = Some(index),
                Use::Closes => {
                    let opened = opened.take();
                    let is_closed = matches!(reply, Some(Reply::Status(Status { code: wire::STATUS_OK, .. })));
                    left.extend(opened.filter(|_| !is_closed));
                }
                Use::Opens | Use::Uses | Use::Nothing => {}
            }
        }
        left
    }

    /// Whether something behind a request was answered, but not that: then the server does not hang on it.
    pub(super) fn is_passed_over(&self, replies: &[Option<Reply>]) -> bool {
        replies.iter().skip_while(|reply| reply.is_some()).any(Option::is_some)
    }

    /// Whether all that is unanswered is what used the handle that the server had handed out or not yet handed out: a server may
    /// hang on a handle that it does not know.
    pub(super) fn may_be_to_blame(&self, replies: &[Option<Reply>]) -> bool {
        let waits_for = |what: Use| self.uses.iter().zip(replies).any(|(is, reply)| *is == what && reply.is_none());
        (self.was_right || self.was_wrong) && !waits_for(Use::Nothing) && !waits_for(Use::Opens)
    }
}
