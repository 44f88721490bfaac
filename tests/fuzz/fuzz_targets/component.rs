//! Whatever the bytes are: loading them and calling what was loaded neither crashes nor hangs.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use scout_runtime::{CallContext, Fleet, Grants, Limits, PluginId, Query, Runtime, RuntimeConfig, Subject};
use scout_ssh::{Call, Pool, PoolConfig, Principal};

struct World {
    threads: tokio::runtime::Runtime,
    runtime: Runtime,
    fleet: Arc<Fleet>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("threads");
    let guard = threads.enter();
    let runtime = Runtime::new(RuntimeConfig { max_instances: 2, cache_dir: None }).expect("an engine");
    let fleet = Arc::new(Fleet::new(Vec::new(), Pool::new(PoolConfig::default())));
    drop(guard);
    World { threads, runtime, fleet }
});

fuzz_target!(|component: &[u8]| {
    let World { threads, runtime, fleet } = &*WORLD;
    let _inside = threads.enter();
    let id = PluginId::new("fuzzed").expect("a name");
    let grants = Grants { inventory: true, files: true, exec: true, shell: true };
    let Ok(plugin) = runtime.load(id, component, grants, serde_json::Map::new()) else { return };
    let limits = Arc::new(Limits { cpu: Duration::from_millis(50), ..Limits::default() });
    threads.block_on(async {
        let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(1));
        let context = CallContext::new(Principal::new("fuzz"), Arc::clone(fleet), limits, call);
        let query = Query {
            subject: Subject::File,
            host: Some("box".to_owned()),
            path: Some(b"/etc/hostname".to_vec()),
            command: None,
        };
        drop(plugin.handle(context, query).await);
    });
});
