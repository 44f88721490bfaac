//! Plugins that take long to be compiled, and who does not wait for them.

use std::collections::BTreeSet;
use std::path::Path;

use scout_runtime::{Grants, PluginId, Runtime, RuntimeConfig};
use scout_tests::{Guest, Scout, Sshd};
use serde_json::json;
use tokio::sync::mpsc;

use crate::limits::until;
use crate::world::options;

/// One that takes as long and is as large as the interpreter of a language.
fn large() -> Vec<u8> {
    const BYTES: u32 = 2 << 20;
    let mut component = Guest::SlowToCompile.bytes();
    // A section of nobody's: its kind, its length in LEB128 and a name.
    component.push(0);
    let length = BYTES + 2;
    component.extend([
        length as u8 & 0x7f | 0x80,
        (length >> 7) as u8 & 0x7f | 0x80,
        (length >> 14) as u8 & 0x7f | 0x80,
        (length >> 21) as u8,
    ]);
    component.extend([1, b'x']);
    component.resize(component.len() + BYTES as usize, 0);
    component
}

#[test]
fn what_scout_brings_along_and_what_is_small_is_compiled_before_what_came_first_and_takes_long() {
    let threads = tokio::runtime::Runtime::new().unwrap();
    threads.block_on(compile_in_order());
    // What is being compiled goes on to its end: for nobody.
    threads.shutdown_background();
}

async fn compile_in_order() {
    let runtime = Runtime::new(RuntimeConfig { max_instances: 8, memory: 1 << 30, cache_dir: None }).unwrap();
    let (done, mut order) = mpsc::unbounded_channel();
    let load = |name: &'static str, component: Vec<u8>, is_own: bool| {
        let (runtime, done, id) = (runtime.clone(), done.clone(), PluginId::new(name).unwrap());
        tokio::spawn(async move {
            let settings = serde_json::Map::new();
            let loaded = match is_own {
                true => runtime.load_own(id, component, Grants::ALL, settings).await,
                false => runtime.load(id, component, Grants::ALL, settings).await,
            };
            // Those that take long are no plugins at all.
            done.send((name, loaded.is_ok())).unwrap();
        });
    };
    // As many as may be compiled at once, and more.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (0..=processors).for_each(|_| load("large", large(), false));
    load("slow", Guest::SlowToCompile.bytes(), false);
    tokio::task::yield_now().await;
    load("own", Guest::Good.bytes(), true);
    load("small", Guest::BringsTools.bytes(), false);
    let first = BTreeSet::from([order.recv().await.unwrap(), order.recv().await.unwrap()]);
    assert_eq!(first, BTreeSet::from([("own", true), ("small", true)]));
}

/// The compiled components of a cache.
fn compiled(cache: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    let mut to_do = vec![cache.join("scout/compiled")];
    while let Some(dir) = to_do.pop() {
        for entry in dir.read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => to_do.push(path),
                // What wasmtime counts beside each lies in a file of its own.
                false if path.extension().is_none() => drop(found.insert(path)),
                false => {}
            }
        }
    }
    found
}

#[tokio::test]
async fn what_is_vetted_is_compiled_for_those_who_serve_it() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let (cache, mine) = (dir.path().join("cache"), dir.path().join("mine.wasm"));
    std::fs::write(&mine, Guest::BringsTools.bytes()).unwrap();
    let table = format!("[plugins.mine]\nsource = {:?}\ngrants = [\"files\", \"exec\"]", mine.display().to_string());
    let mut options = options(&sshd).setting(&table);
    options.env.push(("XDG_CACHE_HOME".to_owned(), cache.display().to_string()));
    let vetted = options.command(dir.path()).args(["plugin", "vet", "mine", "--accept"]).output().await.unwrap();
    assert!(vetted.status.success(), "{}", String::from_utf8_lossy(&vetted.stderr));
    let before = compiled(&cache);
    assert_eq!(before.len(), 1, "{before:?}");
    let scout = Scout::start_at(&options, &dir.path().join("scout.toml")).await;
    let tools = scout.request("tools/list", json!({})).await;
    assert!(tools.to_string().contains("answer"), "{tools}");
    assert!(!scout.call("hosts").await.is_error() && !scout.call("box:/etc/hostname").await.is_error());
    assert!(!scout.call("box:/etc").await.is_error() && !scout.command("box", "df").await.is_error());
    for arguments in
        [json!({"target": "box:/etc", "tree": true, "depth": 1}), json!({"targets": ["box"], "query": "df"})]
    {
        assert!(!scout.call_with(arguments).await.is_error());
    }
    // Nothing is open to copies, but who copies is there to say so.
    let copy = json!({"beam_source": "box:/etc/hostname", "beam_target": "box:/tmp/x"});
    assert!(scout.call_with(copy).await.text().contains("nothing may be written"));
    // The seven handlers.
    assert_eq!(compiled(&cache).len(), 1 + 7);
    assert!(compiled(&cache).is_superset(&before));
}

/// The names of a process's threads.
fn threads(scout: &Scout) -> Vec<String> {
    let tasks = Path::new("/proc").join(scout.pid().to_string()).join("task");
    // One may end meanwhile.
    let names =
        tasks.read_dir().unwrap().filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).collect()
}

#[tokio::test]
async fn handlers_that_were_compiled_before_are_loaded_at_the_first_call_and_count_as_good_until_then() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let mut options = options(&sshd);
    options.env.push(("XDG_CACHE_HOME".to_owned(), dir.path().display().to_string()));
    // Nobody has compiled them yet: the first process does, whether it is asked or not.
    let scout = Scout::start(&options).await;
    until(|| dir.path().join("scout/handlers").exists()).await;
    assert_eq!(compiled(dir.path()).len(), 7);
    assert!(scout.close().await.success());

    let scout = Scout::start(&options).await;
    scout.request("tools/list", serde_json::json!({})).await;
    // The thread that ticks belongs to the engine.
    let has_engine = || threads(&scout).iter().any(|name| name == "scout-epoch");
    assert!(!has_engine(), "{:?}", threads(&scout));
    let list = || {
        let listed = options.command(scout.dir()).args(["plugin", "list", "--json"]).as_std_mut().output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&listed.stdout).unwrap()
    };
    until(|| list()["serving"][0]["plugins"].is_array()).await;
    let list = list();
    // As they are where they are loaded.
    assert_eq!((list["plugins"].as_array().unwrap().len(), &list["plugins"]), (7, &list["serving"][0]["plugins"]));
    assert!(!has_engine());

    assert!(!scout.call("hosts").await.is_error());
    assert!(has_engine());
}

#[tokio::test]
async fn a_plugin_with_tools_is_loaded_at_the_start() {
    let sshd = Sshd::start();
    let scout = Scout::start(&options(&sshd).setting("[plugins.disk]\nsource = \"bundled\"")).await;
    let tools = scout.request("tools/list", serde_json::json!({})).await;
    assert!(tools.to_string().contains("\"disk\""), "{tools}");
    assert!(threads(&scout).iter().any(|name| name == "scout-epoch"));
}
