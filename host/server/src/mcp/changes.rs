//! What a client was told of a list, of tools or of resources, and how that becomes old.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::resource_list;
use super::tool_list::{Fingerprint, ToolList};
use crate::revision::Revision;

/// What a client was told. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ClientState {
    /// Fires when a client that shakes hands has done so; a client of 2026-07-28 never does.
    greeted: CancellationToken,
    /// The list of tools that it was given last.
    tools: watch::Sender<Option<Fingerprint>>,
    /// That of resources and their templates.
    resources: watch::Sender<Option<Fingerprint>>,
}

/// What there are lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    Tools,
    Resources,
}

impl ListKind {
    /// What the list is now.
    pub(super) fn now(self, revision: &Revision) -> Fingerprint {
        match self {
            Self::Tools => ToolList::of(revision).fingerprint(),
            Self::Resources => resource_list::fingerprint(&revision.plugins.catalog_now(), revision.number),
        }
    }
}

impl Default for ClientState {
    fn default() -> Self {
        let (tools, resources) = (watch::Sender::new(None), watch::Sender::new(None));
        Self { greeted: CancellationToken::new(), tools, resources }
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
    pub(super) fn lists(&self, kind: ListKind, list: Fingerprint) {
        self.listed(kind).send_replace(Some(list));
    }

    /// What tells when it has to be told more.
    pub(super) fn watch(&self, kind: ListKind, revisions: watch::Receiver<Arc<Revision>>) -> ListWatch {
        ListWatch::new(kind, revisions, self.listed(kind).subscribe())
    }

    fn listed(&self, kind: ListKind) -> &watch::Sender<Option<Fingerprint>> {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Resources => &self.resources,
        }
    }
}

/// What a client knows of a list, and how that becomes old.
pub(super) struct ListWatch {
    kind: ListKind,
    revisions: watch::Receiver<Arc<Revision>>,
    listed: watch::Receiver<Option<Fingerprint>>,
    /// The list that the client was given, or was told of.
    known: Option<Fingerprint>,
}

impl ListWatch {
    fn new(
        kind: ListKind,
        revisions: watch::Receiver<Arc<Revision>>,
        mut listed: watch::Receiver<Option<Fingerprint>>,
    ) -> Self {
        let known = *listed.borrow_and_update();
        Self { kind, revisions, listed, known }
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
            let now = self.kind.now(&revision);
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
