//! The threads that compile plugins.
//!
//! Owns how many there are at once: as many as processors, for more would not be faster. A thread that is done goes on with the
//! next plugin, for each thread has a heap of its own that keeps what compiling took: a hundred plugins on ten threads take
//! three times what they take on two.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// A place for work that blocks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Compilers(Arc<Mutex<State>>);

struct State {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    /// How many more threads may begin.
    free: usize,
}

impl Compilers {
    /// So many threads at most, which begin when there is work.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Mutex::new(State { waiting: VecDeque::new(), free: threads })))
    }

    /// Does this work in its turn. Must be called inside a tokio runtime; if that ends before, never returns.
    ///
    /// # Cancel safety
    /// Dropping the future gives the work up if it has not begun; else it goes on to its end.
    ///
    /// # Errors
    /// What the work panicked with.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<dyn Any + Send>> {
        let (done, result) = oneshot::channel();
        let work = Box::new(move || {
            if !done.is_closed() {
                // Nothing of what it may leave half done is seen again.
                drop(done.send(catch_unwind(AssertUnwindSafe(work))));
            }
        });
        let begins = {
            let mut state = self.0.lock();
            state.waiting.push_back(work);
            let begins = state.free > 0;
            state.free -= usize::from(begins);
            begins
        };
        if begins {
            let state = Arc::clone(&self.0);
            drop(spawn_blocking(move || work_off(&state)));
        }
        match result.await {
            Ok(done) => done,
            // The runtime ends.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Works until there is nothing left to do.
fn work_off(state: &Mutex<State>) {
    loop {
        let next = {
            let mut state = state.lock();
            let next = state.waiting.pop_front();
            state.free += usize::from(next.is_none());
            next
        };
        let Some(work) = next else { return };
        work();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn no_more_threads_work_than_there_may_be_and_all_work_is_done() {
        let compilers = Compilers::new(2);
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..3 {
            let works = (0..50).map(|number| {
                let (busy, most) = (Arc::clone(&busy), Arc::clone(&most));
                compilers.run(move || {
                    most.fetch_max(1 + busy.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                    std::thread::yield_now();
                    busy.fetch_sub(1, Ordering::SeqCst);
                    number
                })
            });
            let done: Vec<i32> = join_all(works).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(done, (0..50).collect::<Vec<_>>());
            assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_told_to_who_asked_and_the_thread_goes_on() {
        let compilers = Compilers::new(1);
        let bad = compilers.run(|| panic!("a fault that a test makes"));
        let (bad, good) = tokio::join!(bad, compilers.run(|| 7));
        let told: Result<(), _> = bad;
        assert_eq!(told.unwrap_err().downcast_ref(), Some(&"a fault that a test makes"));
        assert_eq!(good.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let compilers = Compilers::new(1);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn({
            let compilers = compilers.clone();
            async move { compilers.run(move || wait.recv().is_ok()).await }
        });
        while compilers.0.lock().free == 1 {
            tokio::task::yield_now().await;
        }
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        {
            let mut given_up = std::pin::pin!(compilers.run(move || counted.fetch_add(1, Ordering::SeqCst)));
            assert!(futures_util::poll!(given_up.as_mut()).is_pending());
        }
        go.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        compilers.run(|| ()).await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
