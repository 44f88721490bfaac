//! Turns: how many guests may compute for long at the same time.
//!
//! A thread that runs a guest looks after nothing else for a tick: not even after the network, which tokio polls only
//! between dozens of polls of busy tasks. So one thread is always left for everything else: a guest that has computed for a
//! whole tick goes on only with a turn, and gives it back at the next tick. Turns are given in the order in which they
//! were asked for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All turns of a runtime.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// Turns for a machine with so many processors.
    pub(crate) fn new(processors: usize) -> Self {
        Self(Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))))
    }
}

/// One call's place among the turns.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    turns: Turns,
    /// The turn, and since when.
    held: Arc<Mutex<Option<(OwnedSemaphorePermit, Instant)>>>,
}

impl Turn {
    pub(crate) fn new(turns: Turns) -> Self {
        Self { turns, held: Arc::default() }
    }

    /// Gives the turn back, if the call has one; gives the time since when it had it.
    pub(crate) fn give_back(&self) -> Option<Instant> {
        self.held.lock().take().map(|(_, since)| since)
    }

    /// Runs a guest. Whatever it waits for, be it an import or a turn, it waits without a turn.
    pub(crate) async fn around<F: Future>(self, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        poll_fn(|context| {
            let polled = guest.as_mut().poll(context);
            if polled.is_pending() {
                self.give_back();
            }
            polled
        })
        .await
    }

    /// Lets others go first, then waits for a turn.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn wait(self) {
        // Also when a turn is free: tasks of this thread wait behind the guest.
        tokio::task::yield_now().await;
        // It is never closed.
        if let Ok(permit) = Arc::clone(&self.turns.0).acquire_owned().await {
            *self.held.lock() = Some((permit, Instant::now()));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_guest_that_waits_leaves_its_turn_to_others() {
        let turns = Turns::new(1);
        let (first, second) = (Turn::new(turns.clone()), Turn::new(turns));
        let (has_turn, told) = tokio::sync::oneshot::channel();
        let guest = first.clone();
        tokio::spawn(first.around(async move {
            guest.clone().wait().await;
            has_turn.send(guest.turns.0.available_permits()).unwrap();
            std::future::pending::<()>().await;
        }));
        assert_eq!(told.await.unwrap(), 0);
        // A bound against hanging.
        tokio::time::timeout(Duration::from_secs(60), second.clone().wait()).await.unwrap();
        assert!(second.give_back().is_some());
    }

    #[test]
    fn one_processor_is_left_for_everything_else() {
        for (processors, turns) in [(0, 1), (1, 1), (2, 1), (8, 7)] {
            assert_eq!(Turns::new(processors).0.available_permits(), turns);
        }
    }
}
