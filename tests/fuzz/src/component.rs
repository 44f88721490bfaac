//! Components of random bytes: loading them and calling what was loaded neither crashes nor hangs.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use scout_machine::{Call, Principal};
use scout_runtime::{CallContext, Fleet, Grants, Limits, PluginId, Query, Runtime, RuntimeConfig, Subject};
use scout_ssh::{Pool, PoolConfig};

struct World {
    threads: tokio::runtime::Runtime,
    runtime: Runtime,
    fleet: Arc<Fleet>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("threads");
    let guard = threads.enter();
    let config = RuntimeConfig { max_instances: 2, memory: 128 << 20, cache_dir: None };
    let runtime = Runtime::new(config).expect("an engine");
    let fleet = Arc::new(Fleet::new(Vec::new(), Pool::new(PoolConfig::default())));
    drop(guard);
    World { threads, runtime, fleet }
});

/// Loads a component and calls it, if it is one. Gives whether it was.
pub(crate) fn load_and_call(component: &[u8]) -> bool {
    let World { threads, runtime, fleet } = &*WORLD;
    let id = PluginId::new("fuzzed").expect("a name");
    let limits = Arc::new(Limits { cpu: Duration::from_millis(50), ..Limits::default() });
    threads.block_on(async {
        let loaded = runtime.load(id, component.to_vec(), Grants::ALL, serde_json::Map::new()).await;
        let Ok(plugin) = loaded else { return false };
        let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(1));
        let context = CallContext::new(Principal::new("test", "fuzz"), Arc::clone(fleet), limits, call);
        let query = Query {
            subject: Subject::File,
            host: Some("box".to_owned()),
            path: Some(b"/etc/hostname".to_vec()),
            command: None,
            arguments: serde_json::Map::new(),
            found: None,
        };
        drop(plugin.handle(context, query).await);
        true
    })
}
