//! What one call may use up, and the account of it.
//!
//! Invariant: every refusal is remembered, so that the trap it ends in can be told in the user's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::Limits;
use crate::cpu_slices::{CpuSlice, CpuSlices};
use crate::engine::{
    CORE_INSTANCES_PER_COMPONENT, MEMORIES_PER_COMPONENT, TABLE_ELEMENTS, TABLES_PER_COMPONENT, out_of_memory,
};
use crate::shares::MemoryReservation;

/// How often guests are looked at, all at the same time.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// What a guest may compute until it needs a slice, and with one: less than a tick, so that one that began just after a tick
/// and computed to the next has used it up.
const SLICE: Duration = Duration::from_millis(5);
/// Commands that one call may ask for, refused ones included: each is a channel on a host and a line of the audit trail.
pub(crate) const COMMANDS: u32 = 1000;
/// Hosts that one call may probe, all its probes together: each is a TCP connect.
pub(crate) const PROBES: usize = 2000;
/// Baselines that one call may load or store: each is a file of this machine, and each that is stored waits for its disk.
pub(crate) const BASELINES: u32 = 100;
/// Payload bytes that hosts may send for one call.
pub(crate) const REMOTE_BYTES: u64 = 256 << 20;
/// Log bytes of one call.
const LOG_BYTES: usize = 64 * 1024;

/// Which budget a call has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    Cpu,
    Memory,
    HostCalls,
    Handles,
    /// Not its own: that of all calls together.
    SharedMemory,
}

/// The account of one call.
#[derive(Debug)]
pub(crate) struct Budget {
    cpu_limit: Duration,
    memory_limit: usize,
    memory: usize,
    memory_peak: usize,
    host_call_limit: u64,
    host_calls: u64,
    copied: u64,
    log_left: usize,
    commands: u32,
    probes: usize,
    baselines: u32,
    held_limit: usize,
    held: Arc<AtomicUsize>,
    spent: Option<Spent>,
    slice: CpuSlice,
    /// The CPU it had when it last had to wait for a slice.
    waited_at: Duration,
    room: MemoryReservation,
}

/// Ends a guest; the account says why.
#[derive(Debug, thiserror::Error)]
#[error("a budget is used up")]
pub(crate) struct BudgetSpent;

impl Budget {
    pub(crate) fn new(limits: &Limits, slices: CpuSlices, room: MemoryReservation) -> Self {
        Self {
            cpu_limit: limits.cpu,
            memory_limit: limits.memory,
            memory: 0,
            memory_peak: 0,
            host_call_limit: limits.host_calls,
            host_calls: 0,
            copied: 0,
            log_left: LOG_BYTES,
            commands: 0,
            probes: 0,
            baselines: 0,
            // An answer may hold what two commands gave, or a file beside one.
            held_limit: limits.memory.max(4 * limits.file_bytes.max(limits.output_bytes)),
            held: Arc::default(),
            spent: None,
            slice: CpuSlice::new(slices),
            waited_at: Duration::ZERO,
            room,
        }
    }

    /// Waits for a host on behalf of the guest: that time is not the guest's.
    ///
    /// # Cancel safety
    /// That of `work`; the guest must be dropped with it.
    pub(crate) async fn away<T>(&self, work: impl Future<Output = T>) -> T {
        self.slice.leave_guest();
        let done = work.await;
        self.slice.enter_guest();
        done
    }

    /// An import begins. What Scout does in it by itself is the guest's time, which could else have Scout work for it.
    pub(crate) fn host_call(&mut self) -> Result<(), BudgetSpent> {
        self.host_calls += 1;
        if self.host_calls > self.host_call_limit {
            self.spent = Some(Spent::HostCalls);
            return Err(BudgetSpent);
        }
        Ok(())
    }

    /// Looks at a running guest. One that has had its slice gives it back, if it has one, and goes on with the next.
    pub(crate) fn tick(&mut self) -> Result<Option<CpuSlice>, BudgetSpent> {
        let cpu = self.cpu();
        if cpu > self.cpu_limit {
            self.spent = Some(Spent::Cpu);
            return Err(BudgetSpent);
        }
        Ok(self.slice_is_over(cpu).then(|| self.slice()))
    }

    /// Whether a guest that has had so much CPU has had a slice since this was last true.
    fn slice_is_over(&mut self, cpu: Duration) -> bool {
        let is_over = cpu.saturating_sub(self.waited_at) >= SLICE;
        if is_over {
            self.waited_at = cpu;
        }
        is_over
    }

    /// The call's place among the guests that compute.
    pub(crate) fn slice(&self) -> CpuSlice {
        self.slice.clone()
    }

    /// How many of `bytes` may still be logged.
    pub(crate) fn log(&mut self, bytes: usize) -> usize {
        let granted = bytes.min(self.log_left);
        self.log_left -= granted;
        granted
    }

    /// Whether one more command may be asked for.
    pub(crate) fn command(&mut self) -> bool {
        let granted = self.commands < COMMANDS;
        self.commands += u32::from(granted);
        granted
    }

    /// Whether one more host may be probed.
    pub(crate) fn probe(&mut self) -> bool {
        let granted = self.probes < PROBES;
        self.probes += usize::from(granted);
        granted
    }

    /// Whether one more baseline may be loaded or stored.
    pub(crate) fn baseline(&mut self) -> bool {
        let granted = self.baselines < BASELINES;
        self.baselines += u32::from(granted);
        granted
    }

    /// Takes room for remote bytes that a guest's handle keeps in the host.
    ///
    /// # Errors
    /// Which budget has none left.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Arc<HostMemory>, Spent> {
        // Only this store's thread adds; others may subtract meanwhile.
        if self.held.load(Ordering::Relaxed).saturating_add(bytes) > self.held_limit {
            return Err(Spent::Memory);
        }
        let room = self.room.beside(bytes).ok_or(Spent::SharedMemory)?;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(Arc::new(HostMemory { bytes, held: Arc::clone(&self.held), _room: room }))
    }

    /// Takes room for what a guest says of itself.
    ///
    /// # Errors
    /// There is none left, which ends the guest.
    pub(crate) fn keep(&mut self, bytes: usize) -> Result<Arc<HostMemory>, BudgetSpent> {
        self.hold(bytes).map_err(|spent| {
            self.spent = Some(spent);
            BudgetSpent
        })
    }

    /// Takes memory for what a guest answers with. It is bounded by itself, so that a guest that holds all it may still answers.
    pub(crate) fn hold_answer(&self, bytes: usize) -> Option<Arc<HostMemory>> {
        let room = self.room.beside(bytes)?;
        Some(Arc::new(HostMemory { bytes: 0, held: Arc::clone(&self.held), _room: room }))
    }

    pub(crate) fn held_limit(&self) -> usize {
        self.held_limit
    }

    /// A guest has as many handles as it may have.
    pub(crate) fn handles_spent(&mut self) {
        self.spent = Some(Spent::Handles);
    }

    pub(crate) fn spent(&self) -> Option<Spent> {
        self.spent
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.slice.used()
    }

    pub(crate) fn host_calls(&self) -> u64 {
        self.host_calls
    }

    /// Remote bytes went into the guest.
    pub(crate) fn copy(&mut self, bytes: usize) {
        self.copied = self.copied.saturating_add(bytes as u64);
    }

    /// How many of them.
    pub(crate) fn copied(&self) -> u64 {
        self.copied
    }

    pub(crate) fn memory_peak(&self) -> u64 {
        self.memory_peak as u64
    }
}

/// Room that remote bytes take in the host as long as a guest has a handle to them.
#[derive(Debug)]
pub(crate) struct HostMemory {
    bytes: usize,
    held: Arc<AtomicUsize>,
    _room: MemoryReservation,
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_limit {
            self.spent = Some(Spent::Memory);
            return Ok(false);
        }
        if !self.room.grow_to(wanted) {
            self.spent = Some(Spent::SharedMemory);
            return Ok(false);
        }
        self.memory = wanted;
        self.memory_peak = self.memory_peak.max(wanted);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.spent = Some(if out_of_memory(&error) { Spent::SharedMemory } else { Spent::Memory });
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= TABLE_ELEMENTS;
        if !granted {
            self.spent = Some(Spent::Memory);
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_PER_COMPONENT as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_COMPONENT as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_COMPONENT as usize
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::shares::Shares;

    fn budget(limits: &Limits) -> Budget {
        Budget::new(limits, CpuSlices::new(2), MemoryReservation::endless())
    }

    #[test]
    fn memory_is_summed_over_all_memories_and_its_peak_kept() {
        let mut budget = budget(&Limits { memory: 100, ..Limits::default() });
        assert!(matches!(budget.memory_growing(0, 60, None), Ok(true)));
        assert!(matches!(budget.memory_growing(0, 40, None), Ok(true)));
        assert_eq!(budget.spent(), None);
        assert!(matches!(budget.memory_growing(60, 61, None), Ok(false)));
        assert_eq!(budget.spent(), Some(Spent::Memory));
        assert_eq!(budget.memory_peak(), 100);
    }

    #[test]
    fn memory_that_all_calls_share_can_be_used_up_by_others() {
        let limits = Limits { memory: 64 << 20, ..Limits::default() };
        let shares = Shares::new(1, 1 << 20);
        let room = || shares.take_for_nobody().now_or_never().map(|(_, room)| room);
        let (Some(mine), Some(others)) = (room(), room()) else { panic!("nothing is taken") };
        let mut others = Budget::new(&limits, CpuSlices::new(2), others);
        let mut mine = Budget::new(&limits, CpuSlices::new(2), mine);
        assert!(matches!(others.memory_growing(0, 512 << 10, None), Ok(true)));
        assert!(matches!(mine.memory_growing(0, 512 << 10, None), Ok(true)));
        assert!(matches!(mine.memory_growing(512 << 10, 513 << 10, None), Ok(false)));
        assert_eq!((mine.spent(), mine.hold(1).err()), (Some(Spent::SharedMemory), Some(Spent::SharedMemory)));
        drop(others);
        assert!(mine.hold(1).is_ok() && matches!(mine.memory_growing(512 << 10, 513 << 10, None), Ok(true)));
    }

    #[test]
    fn a_guest_that_never_calls_back_is_ended_by_its_ticks() {
        let mut budget = budget(&Limits { cpu: Duration::ZERO, ..Limits::default() });
        budget.slice.enter_guest();
        // Time passes between two looks, however little.
        while budget.tick().is_ok() {}
        assert_eq!(budget.spent(), Some(Spent::Cpu));
    }

    #[test]
    fn a_guest_waits_for_each_slice_and_for_nothing_less() {
        let mut budget = budget(&Limits::default());
        let at = |microseconds| Duration::from_micros(microseconds);
        let looks =
            [(0, false), (4999, false), (5000, true), (5001, false), (9999, false), (12_000, true), (16_999, false)];
        for (microseconds, is_over) in looks {
            assert_eq!(budget.slice_is_over(at(microseconds)), is_over, "{microseconds}");
        }
    }

    #[test]
    fn waiting_for_a_host_is_not_the_guests_time() {
        let budget = budget(&Limits::default());
        budget.slice.enter_guest();
        let waited = budget.away(async {
            let before = budget.cpu();
            (before, budget.cpu())
        });
        let (before, after) = waited.now_or_never().unwrap_or_default();
        assert!(before > Duration::ZERO && before == after);
        while budget.cpu() == after {}
    }

    #[test]
    fn host_calls_are_counted_to_their_limit() {
        let mut budget = budget(&Limits { host_calls: 2, ..Limits::default() });
        assert!(budget.host_call().is_ok() && budget.host_call().is_ok());
        assert!(budget.host_call().is_err());
        assert_eq!(budget.spent(), Some(Spent::HostCalls));
    }

    #[test]
    fn what_scout_does_by_itself_in_an_import_is_the_guests_time() {
        let mut budget = budget(&Limits { cpu: Duration::ZERO, ..Limits::default() });
        budget.slice.enter_guest();
        while budget.tick().is_ok() {
            assert!(budget.host_call().is_ok());
        }
        assert_eq!(budget.spent(), Some(Spent::Cpu));
    }

    #[test]
    fn what_handles_hold_is_bounded_and_given_back_with_the_last_of_them() {
        let budget = budget(&Limits { memory: 100, file_bytes: 10, output_bytes: 10, ..Limits::default() });
        let first = budget.hold(60);
        let shared = first.clone();
        assert!(first.is_ok() && budget.hold(41).is_err());
        drop(first);
        assert!(budget.hold(41).is_err());
        drop(shared);
        assert!(budget.hold(100).is_ok());
    }

    #[test]
    fn commands_probes_and_baselines_are_counted_to_their_limits() {
        let mut budget = budget(&Limits::default());
        assert_eq!((0..2 * COMMANDS).filter(|_| budget.command()).count(), COMMANDS as usize);
        assert!((0..PROBES).all(|_| budget.probe()) && !budget.probe() && !budget.probe());
        assert!((0..BASELINES).all(|_| budget.baseline()) && !budget.baseline() && !budget.baseline());
    }

    #[test]
    fn a_log_flood_is_cut() {
        let mut budget = budget(&Limits::default());
        assert_eq!(budget.log(LOG_BYTES - 1), LOG_BYTES - 1);
        assert_eq!(budget.log(10), 1);
        assert_eq!(budget.log(10), 0);
    }
}
