//! The WebAssembly engine: what guests may be compiled to, where they live, how they are interrupted.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use rustix::io::Errno;
use scout_ssh::local_file;
use wasmtime::{Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::budget::TICK;
use crate::features::OFFERED;
use crate::{LoadError, RuntimeConfig};

/// A guest's stack, in bytes. Imports run on what is left of the fiber's: they do their SSH work in tasks.
const WASM_STACK: usize = 1 << 20;
const FIBER_STACK: usize = 2 << 20;
/// Memories, tables and core instances of one component, wherever they are allocated. Components of the usual tools have
/// three or four of each.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 8;
pub(crate) const TABLES_PER_COMPONENT: u32 = 32;
pub(crate) const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Elements of a table: function pointers of a 32 MiB component fit ten times. Each takes 8 bytes of address space in every
/// slot of the pool.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;
/// Memory and table that a slot of the pool keeps between two calls, in bytes.
const KEPT_MEMORY: usize = 256 << 10;
const KEPT_TABLE: usize = 16 << 10;
/// Bytes of a component's own bookkeeping.
const COMPONENT_SIZE: usize = 4 << 20;

/// Of a memory in a process with a bounded address space: bytes behind it, and bytes that it may grow without a move.
const SMALL_GUARD: u64 = 64 << 10;
const SMALL_GROWTH: u64 = 16 << 20;

/// The engine and the thread that ticks it.
pub(crate) struct TickingEngine {
    pub(crate) engine: Engine,
    /// Whether what it compiles is kept.
    pub(crate) has_cache: bool,
    /// Dropping it ends the thread.
    ticking: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl TickingEngine {
    pub(crate) fn new(config: &RuntimeConfig) -> Result<Arc<Self>, LoadError> {
        let cache = config.cache_dir.as_ref().and_then(|dir| {
            // Slower at each start, and nothing else: a home that cannot be written, or has a umask of 002, is no reason to end.
            let told = |why: &String| {
                tracing::warn!(dir = %dir.display(), why, "compiled plugins are not kept: each start compiles them anew");
            };
            open_cache(dir).inspect_err(told).ok()
        });
        let has_cache = cache.is_some();
        let engine = match Engine::new(&settings(Some(pool(config.max_instances)), cache.clone())) {
            Ok(engine) => engine,
            Err(error) => {
                // A container with a bounded address space: slower, not impossible.
                tracing::info!(%error, "instances are allocated on demand");
                on_demand(settings(None, cache))?
            }
        };
        Self::ticking(engine, has_cache)
    }

    /// An engine for a process that looks at one plugin: no pool, no cache.
    pub(crate) fn small() -> Result<Arc<Self>, LoadError> {
        let mut settings = settings(None, None);
        // Copies of memories would lie in files, of which such a process may write none.
        settings.memory_init_cow(false);
        Self::ticking(on_demand(settings)?, false)
    }

    fn ticking(engine: Engine, has_cache: bool) -> Result<Arc<Self>, LoadError> {
        let (ticking, ended) = channel::<()>();
        let ticked = engine.clone();
        let ticker = std::thread::Builder::new().name("scout-epoch".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
                ticked.increment_epoch();
            }
        });
        let ticker = ticker.map_err(|error| refused(format!("no thread can be started: {error}")))?;
        Ok(Arc::new(Self { engine, has_cache, ticking: Some(ticking), ticker: Some(ticker) }))
    }
}

impl Drop for TickingEngine {
    fn drop(&mut self) {
        drop(self.ticking.take());
        if let Some(ticker) = self.ticker.take() {
            // It only ever sleeps and ticks.
            drop(ticker.join());
        }
    }
}

/// An engine for a bounded address space: a memory takes little more of it than the guest uses, where the default is 4 GiB.
fn on_demand(mut settings: Config) -> Result<Engine, LoadError> {
    settings.memory_reservation(0).memory_guard_size(SMALL_GUARD).memory_reservation_for_growth(SMALL_GROWTH);
    Engine::new(&settings).map_err(|error| refused(format!("WebAssembly cannot run on this machine: {error}")))
}

/// Whether the operating system had no memory for wasmtime, or no address space: the fault of no guest.
pub(crate) fn out_of_memory(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<wasmtime::OutOfMemory>()
            || cause.downcast_ref() == Some(&Errno::NOMEM)
            || cause.downcast_ref().and_then(Errno::from_io_error) == Some(Errno::NOMEM)
    })
}

fn refused(message: String) -> LoadError {
    LoadError { plugin: "runtime".to_owned(), message }
}

fn settings(pool: Option<PoolingAllocationConfig>, cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Known to this wasmtime or not.
        .wasm_features(OFFERED.complement(), false)
        .epoch_interruption(true)
        // Offsets in a crash's backtrace for memory: 100 plugins take 10 MiB less. The names of functions stay.
        .generate_address_map(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .cache(cache);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        // As many as all instances can have together: no plugin can take from another's.
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(instances.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_component_instance_size(COMPONENT_SIZE)
        .table_elements(TABLE_ELEMENTS)
        // What a call wrote is cleared in place as far as this goes: giving pages back to the kernel, and taking them again,
        // costs more than a small guest's whole call. The kernel is asked which pages those are, where it can tell.
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// wasmtime's own cache in a directory that nobody else can write, nor exchange for another: what is in there is run as
/// native code.
fn open_cache(dir: &Path) -> Result<Cache, String> {
    let told = |error: std::io::Error| error.to_string();
    let create = |dir: &Path| DirBuilder::new().recursive(true).mode(0o700).create(dir);
    create(dir).map_err(told)?;
    // What is checked from here on is what wasmtime opens: behind no link.
    let dir = dir.canonicalize().map_err(told)?;
    let account = rustix::process::geteuid().as_raw();
    for above in dir.ancestors() {
        let metadata = std::fs::symlink_metadata(above).map_err(told)?;
        if let Err(fault) = local_file::check_file(&metadata, above) {
            return Err(format!(
                "what is compiled is run, and {fault}; or set XDG_CACHE_HOME to a directory that is yours alone"
            ));
        }
    }
    let dir = dir.join("compiled");
    create(&dir).map_err(told)?;
    let metadata = std::fs::symlink_metadata(&dir).map_err(told)?;
    if !metadata.is_dir() || metadata.uid() != account || metadata.mode() & 0o077 != 0 {
        return Err(format!(
            "{} must be a directory of this account's own with mode 0700, for what is in it is run; remove it or run chmod 700 on it",
            dir.display()
        ));
    }
    let mut config = CacheConfig::new();
    // The lowest level, and none higher later, as is the default: what a level buys on disk it takes in memory at each start,
    // 2 MiB for each thread that loads plugins, and 32 MiB once wasmtime has compressed them anew.
    config.with_directory(dir).with_baseline_compression_level(1).with_optimized_compression_level(1);
    Cache::new(config).map_err(|error| error.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn machine(cache_dir: &Path) -> Result<Arc<TickingEngine>, LoadError> {
        TickingEngine::new(&RuntimeConfig { max_instances: 2, memory: 1 << 30, cache_dir: Some(cache_dir.to_owned()) })
    }

    #[test]
    fn a_cache_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("compiled");
        std::fs::create_dir(&cache).unwrap();
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o770)).unwrap();
        let refusal = open_cache(dir.path()).err().unwrap();
        assert!(refusal.contains("0700"), "{refusal}");
    }

    #[test]
    fn a_cache_behind_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join("compiled")).unwrap();
        assert!(open_cache(dir.path()).is_err());
        // It only costs time.
        machine(dir.path()).unwrap();
    }

    #[test]
    fn a_cache_that_others_could_exchange_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, cache) = (dir.path().join("shared"), dir.path().join("shared/mine/cache"));
        std::fs::create_dir(&shared).unwrap();
        for mode in [0o777, 0o757] {
            std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(mode)).unwrap();
            let refusal = open_cache(&cache).err().unwrap();
            let says = format!("shared (mode {mode:04o}); run `chmod go-w ");
            assert!(refusal.contains(&says), "{refusal}");
        }
        for mode in [0o755, 0o1777] {
            std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(open_cache(&cache).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn the_ticker_ends_with_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        drop(machine(dir.path()).unwrap());
    }
}
