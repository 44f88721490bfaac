//! Threads for work that computes or blocks: compiling plugins, and checking what they and clients wrote. Those that answer
//! calls stay free for it.
//!
//! Owns how many there are at once, and whose work is next: each lane has its turn, and no lane has more threads than its
//! share. A thread that is done goes on with the next work, for each thread has a heap of its own that keeps what the work
//! took: a hundred plugins that are compiled on ten threads take three times what they take on two.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// A place for work of several lanes `L`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workers<L>(Arc<Mutex<State<L>>>);

struct State<L> {
    /// Those that have work; the next in turn first.
    lanes: VecDeque<Queue<L>>,
    /// How many more threads may begin.
    free: usize,
    /// Threads that one lane may have.
    share: usize,
}

struct Queue<L> {
    of: L,
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
}

impl<L: Clone + PartialEq + Send + 'static> Workers<L> {
    /// So many threads at most, which begin when there is work, and so many of them for one lane.
    pub(crate) fn new(threads: usize, share: usize) -> Self {
        Self(Arc::new(Mutex::new(State { lanes: VecDeque::new(), free: threads, share: share.max(1) })))
    }

    /// Does this work in its lane's turn. Must be called inside a tokio runtime; if that ends before, never returns.
    ///
    /// # Cancel safety
    /// Dropping the future gives the work up if it has not begun; else it goes on to its end.
    ///
    /// # Errors
    /// What the work panicked with.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lane: L,
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
            state.put(lane, work);
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

impl<L: Clone + PartialEq> State<L> {
    fn put(&mut self, of: L, work: Box<dyn FnOnce() + Send>) {
        match self.lanes.iter_mut().find(|lane| lane.of == of) {
            Some(lane) => lane.waiting.push_back(work),
            None => self.lanes.push_back(Queue { of, waiting: VecDeque::from([work]), threads: 0 }),
        }
    }

    /// The next work in turn, and the lane that has one thread more with it.
    fn next(&mut self) -> Option<(L, Box<dyn FnOnce() + Send>)> {
        let share = self.share;
        let place = self.lanes.iter().position(|lane| lane.threads < share && !lane.waiting.is_empty())?;
        let mut lane = self.lanes.remove(place)?;
        let work = lane.waiting.pop_front()?;
        lane.threads += 1;
        let of = lane.of.clone();
        self.lanes.push_back(lane);
        Some((of, work))
    }

    fn done(&mut self, of: &L) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.of == *of) {
            lane.threads -= 1;
        }
        self.lanes.retain(|lane| lane.threads > 0 || !lane.waiting.is_empty());
    }
}

/// Works until there is nothing left that this thread may do.
fn work_off<L: Clone + PartialEq>(state: &Mutex<State<L>>) {
    loop {
        let next = {
            let mut state = state.lock();
            let next = state.next();
            state.free += usize::from(next.is_none());
            next
        };
        let Some((lane, work)) = next else { return };
        work();
        state.lock().done(&lane);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn no_more_threads_work_than_there_may_be_and_all_work_is_done() {
        let workers = Workers::new(2, 2);
        let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..3 {
            let works = (0..50).map(|number| {
                let (busy, most) = (Arc::clone(&busy), Arc::clone(&most));
                workers.run((), move || {
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
        // A thread that has told its last result is not done yet.
        while workers.0.lock().free < 2 {
            tokio::task::yield_now().await;
        }
        assert!(workers.0.lock().lanes.is_empty(), "nothing is kept of what is done");
    }

    #[tokio::test]
    async fn a_panic_is_told_to_who_asked_and_the_thread_goes_on() {
        let workers = Workers::new(1, 1);
        let bad = workers.run((), || panic!("a fault that a test makes"));
        let (bad, good) = tokio::join!(bad, workers.run((), || 7));
        let told: Result<(), _> = bad;
        assert_eq!(told.unwrap_err().downcast_ref(), Some(&"a fault that a test makes"));
        assert_eq!(good.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let workers = Workers::new(1, 1);
        let (go, wait) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run((), move || wait.recv().is_ok()).await }
        });
        while workers.0.lock().free == 1 {
            tokio::task::yield_now().await;
        }
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        {
            let mut given_up = std::pin::pin!(workers.run((), move || counted.fetch_add(1, Ordering::SeqCst)));
            assert!(futures_util::poll!(given_up.as_mut()).is_pending());
        }
        go.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        workers.run((), || ()).await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_lane_whose_work_hangs_leaves_a_thread_to_the_others() {
        let workers = Workers::new(2, 1);
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let hangs = (0..16).map(|_| {
            let (workers, wait) = (workers.clone(), Arc::clone(&wait));
            async move { workers.run("hangs", move || wait.lock().unwrap().recv().is_ok()).await }
        });
        let hanging = tokio::spawn(join_all(hangs.collect::<Vec<_>>()));
        while workers.0.lock().lanes.is_empty() {
            tokio::task::yield_now().await;
        }
        for number in 0..100 {
            assert_eq!(workers.run("other", move || number).await.unwrap(), number);
        }
        for _ in 0..16 {
            go.send(()).unwrap();
        }
        assert!(hanging.await.unwrap().into_iter().all(Result::unwrap));
    }

    #[test]
    fn lanes_take_turns_however_much_one_of_them_has() {
        let mut state = State { lanes: VecDeque::new(), free: 0, share: 1 };
        for lane in ["a", "a", "a", "b", "b", "c"] {
            state.put(lane, Box::new(|| ()));
        }
        let mut order = Vec::new();
        while let Some((lane, _)) = state.next() {
            order.push(lane);
            state.done(&lane);
        }
        assert_eq!(order, ["a", "b", "c", "a", "b", "a"]);
    }
}
