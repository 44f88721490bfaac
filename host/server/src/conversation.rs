//! Whether a client that writes no more still waits for its answers.
//!
//! A client library closes Scout's input when it goes away, and so does a shell at the end of `printf … | scout serve`. What
//! tells them apart is what came before: a library waits for an answer before it goes on, a script has written all of it by
//! then. Owns that, and which requests are still without an answer. Knows no streams.

use std::collections::HashSet;

use parking_lot::Mutex;
use rmcp::model::RequestId;
use tokio::sync::Notify;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    state: Mutex<ConversationState>,
    answered: Notify,
}

#[derive(Debug, Default)]
struct ConversationState {
    /// The requests without an answer.
    open: HashSet<RequestId>,
    /// Whether an answer was written.
    is_heard: bool,
    /// Whether nothing was there to be read when an answer began to be written, or had been written.
    is_waiting: bool,
    /// Whether the client went on after that.
    is_dialogue: bool,
}

impl Conversation {
    /// The client waits for an answer to this request.
    pub(crate) fn asks(&self, id: &RequestId) {
        self.state.lock().open.insert(id.clone());
    }

    /// It does no longer: it was answered, cancelled or cannot be answered.
    pub(crate) fn settles(&self, id: &RequestId) {
        self.state.lock().open.remove(id);
        self.answered.notify_waiters();
    }

    /// An answer is about to be written, with nothing there to be read as long as `is_idle`. Looked at before: as soon as the answer is
    /// written, a client that waits for it may have gone on.
    pub(crate) fn answers(&self, is_idle: impl FnOnce() -> bool) {
        let mut said = self.state.lock();
        if !said.is_waiting {
            said.is_waiting = is_idle();
        }
    }

    /// An answer was written.
    pub(crate) fn is_heard(&self) {
        self.state.lock().is_heard = true;
    }

    /// More is read from the client, of which nothing was there as long as `is_idle`.
    pub(crate) fn listens(&self, is_idle: impl FnOnce() -> bool) {
        let mut said = self.state.lock();
        if said.is_heard && !said.is_waiting {
            said.is_waiting = is_idle();
        }
    }

    /// Something was read.
    pub(crate) fn goes_on(&self) {
        let mut said = self.state.lock();
        said.is_dialogue |= said.is_waiting;
    }

    /// Whether the client ever waited for an answer before it wrote on.
    pub(crate) fn is_dialogue(&self) -> bool {
        self.state.lock().is_dialogue
    }

    /// Waits until no request is without an answer.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub(crate) async fn all_answered(&self) {
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            answered.as_mut().enable();
            if self.state.lock().open.is_empty() {
                return;
            }
            answered.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn only_who_has_written_no_more_before_an_answer_and_then_goes_on_is_in_a_dialogue() {
        let script = Conversation::default();
        script.goes_on();
        // The rest of what it wrote at once is still there; behind it is the end.
        script.answers(|| false);
        script.is_heard();
        script.listens(|| false);
        script.goes_on();
        script.answers(|| true);
        assert!(!script.is_dialogue());
        script.goes_on();
        assert!(script.is_dialogue());
    }

    #[test]
    fn who_is_answered_before_all_was_read_and_goes_on_later_is_in_a_dialogue_too() {
        let client = Conversation::default();
        client.answers(|| false);
        client.is_heard();
        client.listens(|| true);
        client.goes_on();
        assert!(client.is_dialogue());
    }

    #[test]
    fn all_is_answered_when_each_request_is_settled() {
        let conversation = Conversation::default();
        let ids = [RequestId::Number(1), RequestId::String("a".into())];
        ids.iter().for_each(|id| conversation.asks(id));
        let mut all = Box::pin(conversation.all_answered());
        for id in &ids {
            assert!(all.as_mut().now_or_never().is_none());
            conversation.settles(id);
        }
        assert!(all.now_or_never().is_some());
    }
}
