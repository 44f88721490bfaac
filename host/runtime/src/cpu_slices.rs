//! CPU slices: how many guests may compute for long at the same time, and how much CPU each has had.
//!
//! A thread that runs a guest looks after nothing else for a tick: not even after the network, which tokio polls only
//! between dozens of polls of busy tasks. So one thread is always left for everything else: a guest that has computed for
//! about a tick goes on only with a slice, and gives it back when that is over. One that computes less, as most do,
//! never waits behind those. A slice goes to whoever has fewest, and among those in the order in which they were asked for.
//!
//! CPU is what the thread's own clock says: time in which the thread was not run, or the guest was not polled, is not the
//! guest's. The clock is read where a guest goes on or stops, a handful of times in a call, at half a microsecond each.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use scout_machine::{FairPermit, FairSemaphore, Principal};

/// All slices of a runtime.
#[derive(Clone, Debug)]
pub(crate) struct CpuSlices {
    free: FairSemaphore,
    /// On whose behalf guests compute.
    who: Principal,
    /// CPU that guests have had, in nanoseconds.
    used: Arc<AtomicU64>,
}

impl CpuSlices {
    /// Slices for so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        let slices = threads.saturating_sub(1).max(1);
        Self { free: FairSemaphore::new(slices, slices), who: Principal::own("plugins"), used: Arc::default() }
    }

    /// The same slices, for guests of this principal.
    pub(crate) fn on_behalf_of(&self, who: &Principal) -> Self {
        Self { who: who.clone(), ..self.clone() }
    }

    /// CPU that all guests have had, those that run as far as they were looked at.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }
}

/// One call's place among those that want a slice, and its CPU.
#[derive(Clone, Debug)]
pub(crate) struct CpuSlice {
    slices: CpuSlices,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// The slice, if the call has one.
    held: Option<FairPermit>,
    /// Whether the guest goes on when the call is polled; else an import does, whose time is not the guest's.
    in_guest: bool,
    /// While the guest runs: what the clock of its thread said when it began to.
    since: Option<Duration>,
    used: Duration,
}

impl CpuSlice {
    pub(crate) fn new(slices: CpuSlices) -> Self {
        let state = State { held: None, in_guest: true, since: None, used: Duration::ZERO };
        Self { slices, state: Arc::new(Mutex::new(state)) }
    }

    /// The guest goes on after an import.
    pub(crate) fn enter_guest(&self) {
        let mut state = self.state.lock();
        (state.in_guest, state.since) = (true, Some(thread_cpu()));
    }

    /// The guest calls an import: it needs no slice meanwhile.
    pub(crate) fn leave_guest(&self) {
        let mut state = self.state.lock();
        self.stop(&mut state);
        state.in_guest = false;
    }

    /// CPU that the guest has had up to now.
    pub(crate) fn used(&self) -> Duration {
        let mut state = self.state.lock();
        if let Some(since) = state.since {
            let now = thread_cpu();
            self.charge(&mut state, since, now);
            state.since = Some(now);
        }
        state.used
    }

    fn stop(&self, state: &mut State) {
        if let Some(since) = state.since.take() {
            self.charge(state, since, thread_cpu());
        }
        state.held = None;
    }

    fn charge(&self, state: &mut State, since: Duration, now: Duration) {
        let used = now.saturating_sub(since);
        state.used += used;
        self.slices.used.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Runs a guest. Whatever it waits for, be it an import or a slice, it waits without a slice, and for nothing.
    ///
    /// # Cancel safety
    /// Dropping the future drops the guest; a slice is never held between two polls.
    pub(crate) async fn around<F: Future>(self, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        poll_fn(|context| {
            {
                let mut state = self.state.lock();
                state.since = state.in_guest.then(thread_cpu);
            }
            let polled = guest.as_mut().poll(context);
            self.stop(&mut self.state.lock());
            polled
        })
        .await
    }

    /// Lets others go first, then waits for a slice.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn wait(self) {
        // Also when a slice is free: tasks of this thread wait behind the guest.
        tokio::task::yield_now().await;
        let slice = self.slices.free.acquire(&self.slices.who, 1).await;
        self.state.lock().held = Some(slice);
    }
}

/// CPU that this thread has had.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It counts up from zero.
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    /// Keeps the thread busy for so much CPU of its own.
    fn compute(cpu: Duration) {
        let begun = thread_cpu();
        while thread_cpu() - begun < cpu {}
    }

    const WORK: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn a_guest_that_waits_leaves_its_slice_to_others() {
        let slices = CpuSlices::new(1);
        let (first, second) = (CpuSlice::new(slices.clone()), CpuSlice::new(slices));
        let (has_slice, told) = tokio::sync::oneshot::channel();
        let guest = first.clone();
        tokio::spawn(first.around(async move {
            guest.clone().wait().await;
            has_slice.send(guest.slices.free.free()).unwrap();
            std::future::pending::<()>().await;
        }));
        assert_eq!(told.await.unwrap(), 0);
        // A bound against hanging.
        tokio::time::timeout(Duration::from_secs(60), second.clone().wait()).await.unwrap();
        assert!(second.state.lock().held.is_some());
    }

    #[tokio::test]
    async fn what_a_guest_computes_is_its_cpu_to_the_end() {
        let slices = CpuSlices::new(2);
        for work in [WORK, 2 * WORK] {
            let slice = CpuSlice::new(slices.clone());
            slice.clone().around(async { compute(work) }).await;
            assert!(slice.used() >= work);
        }
        assert!(slices.used() >= 3 * WORK);
    }

    #[tokio::test]
    async fn time_in_which_it_does_not_run_is_not_its_cpu() {
        let slice = CpuSlice::new(CpuSlices::new(2));
        let guest = slice.clone();
        slice
            .clone()
            .around(async {
                // Another thread has the processor, then another task has the thread, then an import runs.
                std::thread::spawn(|| compute(WORK)).join().unwrap();
                tokio::spawn(async { compute(WORK) }).await.unwrap();
                guest.leave_guest();
                compute(WORK);
                tokio::task::yield_now().await;
                compute(WORK);
                guest.enter_guest();
            })
            .await;
        assert!(slice.used() < WORK, "{:?}", slice.used());
        compute(WORK);
        assert!(slice.used() < WORK, "{:?}", slice.used());
    }

    #[test]
    fn one_thread_is_left_for_everything_else() {
        for (threads, slices) in [(0, 1), (1, 1), (2, 1), (8, 7)] {
            assert_eq!(CpuSlices::new(threads).free.free(), slices);
        }
    }
}
