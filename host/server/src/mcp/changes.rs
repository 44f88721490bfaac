//! What a client was told of the list of tools, and how that becomes old.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::tool_list::{Fingerprint, ToolList};
use crate::revision::Revision;

/// What a client was told. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ClientState {
    /// Fires when a client that shakes hands has done so; a client of 2026-07-28 never does.
    greeted: CancellationToken,
    /// The list of tools that it was given last.
    listed: watch::Sender<Option<Fingerprint>>,
}

impl Default for ClientState {
    fn default() -> Self {
        Self { greeted: CancellationToken::new(), listed: watch::Sender::new(None) }
    }
}

impl ClientState {
    /// The client has shaken hands.
    pub(super) fn greet(&self) {
        self.greeted.cancel();
    }

    /// Waits until it has.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub(super) async fn greeted(&self) {
        self.greeted.cancelled().await;
    }

    /// It is given this list.
    pub(super) fn lists(&self, list: Fingerprint) {
        self.listed.send_replace(Some(list));
    }

    /// What tells when it has to be told more.
    pub(super) fn watch(&self, revisions: watch::Receiver<Arc<Revision>>) -> ToolWatch {
        ToolWatch::new(revisions, self.listed.subscribe())
    }
}

/// What a client knows of the list of tools, and how that becomes old.
pub(super) struct ToolWatch {
    revisions: watch::Receiver<Arc<Revision>>,
    listed: watch::Receiver<Option<Fingerprint>>,
    /// The list that the client was given, or was told of.
    known: Option<Fingerprint>,
}

impl ToolWatch {
    pub(super) fn new(
        revisions: watch::Receiver<Arc<Revision>>,
        mut listed: watch::Receiver<Option<Fingerprint>>,
    ) -> Self {
        let known = *listed.borrow_and_update();
        Self { revisions, listed, known }
    }

    /// Waits until the list is another than the client knows.
    pub(super) async fn changed(&mut self) {
        loop {
            let revision = Arc::clone(&self.revisions.borrow_and_update());
            let mut changes = revision.plugins.changes();
            if self.listed.has_changed().unwrap_or(false) {
                self.take_given();
            }
            // Asked before the list is made: what is decided between the two would make a list that is not whole the known one.
            let is_whole = revision.plugins.is_decided();
            let now = ToolList::of(&revision).fingerprint();
            match self.known {
                Some(known) if known != now => {
                    self.known = Some(now);
                    return;
                }
                // For who was not given any list the first one that is whole is no change.
                None if is_whole => self.known = Some(now),
                Some(_) | None => {}
            }
            tokio::select! {
                // Neither sender goes before the server does.
                _ = self.revisions.changed() => {}
                _ = self.listed.changed() => self.take_given(),
                () = changes.next() => {}
            }
        }
    }

    fn take_given(&mut self) {
        self.known = *self.listed.borrow_and_update();
    }
}
