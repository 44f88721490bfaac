//! A directory's names: what the first flight brought, and the rest.
//!
//! With guessed handles a long directory is listed again in one longer flight; with a real one it is read on, each flight with
//! twice as many READDIRs as the one before, so that servers that answer a few names at a time need few round trips.

use scout_machine::{Call, DirEntry};

use super::SftpChannel;
use super::channel::Reply;
use super::guess::GUESS;
use super::operations::{Halt, Opening, Source, refused};
use super::wire::{self, Request, Status};

/// READDIRs behind a path of unknown kind: on OpenSSH 200 names and the end.
pub(super) const FIRST_LISTING: usize = 3;
/// READDIRs of the first flight with a real handle.
const FIRST_WITH_HANDLE: usize = 16;
/// READDIRs of one flight at most.
const MAX_LISTING: usize = 1024;

/// A directory's names, as far as they have come.
#[derive(Default)]
struct Listing {
    entries: Vec<DirEntry>,
    ended: bool,
    truncated: bool,
}

/// Whether an answer to READDIR is that of a directory.
pub(super) fn lists(reply: Option<&Reply>) -> bool {
    matches!(reply, Some(Reply::Names(..) | Reply::Status(Status { code: wire::STATUS_EOF, .. })))
}

impl SftpChannel {
    /// The names of a directory, the first `max_entries` of them, and whether there are more. `replies` answers its first READDIRs.
    pub(super) async fn list(
        &self,
        first: Opening<'_>,
        replies: Vec<Reply>,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Vec<DirEntry>, bool), Halt> {
        let answered = replies.len();
        let mut listing = Listing::default();
        listing.take(replies).map_err(|status| refused(first, &status))?;
        match first.source {
            Source::Handle(handle) => {
                let (mut batch, mut answered) = (FIRST_WITH_HANDLE, answered);
                while !listing.is_done(max_entries) {
                    let left = max_entries - listing.entries.len();
                    let needed = match listing.entries.len().checked_div(answered) {
                        Some(per_answer) => (left / per_answer.max(1)).saturating_add(2),
                        None => batch,
                    };
                    let requests = vec![Request::ReadDir(handle.as_bytes()); batch.min(needed)];
                    let replies = self.ask(&requests, left, call).await?;
                    answered += replies.len();
                    listing.take(replies).map_err(|status| refused(first, &status))?;
                    batch = (batch * 2).min(MAX_LISTING);
                }
            }
            Source::Path => {
                let mut answered = answered.max(1);
                while !listing.is_done(max_entries) && answered < MAX_LISTING {
                    let per_answer = (listing.entries.len() / answered).max(1);
                    let needed = (max_entries / per_answer).saturating_add(2);
                    let batch = needed.clamp(answered * 2, (answered * 16).max(128)).min(MAX_LISTING);
                    let (open, reads) =
                        (Request::OpenDir(first.proof.path()), (0..batch).map(|_| Request::ReadDir(GUESS)));
                    listing = Listing::default();
                    let replies = self.again(first, open, reads, max_entries, call).await?;
                    listing.take(replies).map_err(|status| refused(first, &status))?;
                    answered = batch;
                }
            }
        }
        let more = listing.truncated || !listing.ended;
        Ok((listing.entries, more))
    }
}

impl Listing {
    fn is_done(&self, max_entries: usize) -> bool {
        self.ended || self.truncated || self.entries.len() >= max_entries
    }

    fn take(&mut self, replies: Vec<Reply>) -> Result<(), Status> {
        for reply in replies {
            match reply {
                Reply::Names(entries, left_out) => {
                    self.entries.extend(entries);
                    self.truncated |= left_out;
                }
                Reply::Status(Status { code: wire::STATUS_EOF, .. }) => {
                    self.ended = true;
                    break;
                }
                Reply::Status(status) => return Err(status),
                _ => break,
            }
        }
        Ok(())
    }
}
