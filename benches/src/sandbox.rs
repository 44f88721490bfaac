//! What the sandbox costs: a handler as a component beside the same one in Rust, calls that do nothing, many plugins.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use scout_machine::{Call, Opened, Principal, RemotePath};
use scout_runtime::policy::SecretPaths;
use scout_runtime::{
    Answer, CallContext, Content, Encoding, Fleet, Grants, Limits, Plugin, PluginId, Query, Readers, Receipt, Runtime,
    RuntimeConfig, Structured, Subject,
};
use scout_server::config::{Config, Flags};
use scout_server::exit::Secrets;
use scout_server::render::{Base64, Reply, render};
use scout_server::router::{Caller, Router};
use scout_server::target::Request;
use scout_server::tenant::Tenant;
use scout_ssh::{Pool, PoolConfig};
use scout_tests::{Guest, Scout, ScoutOptions};
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::machine;
use crate::samples::{Samples, milliseconds};
use crate::served::binary;
use crate::world::{KIBIBYTE, MEBIBYTE, World};

const ROUNDS: usize = 2_000;
const WARM_UP: usize = 50;
/// Calls that do nothing: one after the other, and on two threads.
const CALLS: usize = 20_000;
const THREADS: usize = 2;
/// Guests that never end beside the reads of somebody else, and those reads.
const LOOPS: usize = 8;
const READS: usize = 1_000;
/// Paths that are held against the list of secret paths, in turn: files, what is secret, what is nearly so.
const PATHS: [&str; 8] = [
    "/var/log/nginx/access.log",
    "/srv/app/current/src/server/handlers/files/mod.rs",
    "/etc/ssh/sshd_config",
    "~/.config/containers/registries.conf",
    "/var/lib/docker/overlay2/0a/merged/etc/hostname",
    "/home/me/.ssh/known_hosts",
    "/mnt/backup/etc/shadow.bak",
    "/proc/self/status",
];
const HOLDS: usize = 1_000;
/// Plugins of the server that has many.
const PLUGINS: usize = 100;
const STARTS: usize = 10;

pub(crate) async fn measure() -> Result<String> {
    let world = Arc::new(World::start()?);
    // In a task, as the server's calls are.
    let tax = tokio::spawn(tax(Arc::clone(&world))).await?.context("the same handler three times")?;
    let by_server = served(&world, "box").await.context("reads through `scout serve`")?;
    let local = served(&world, "here").await.context("reads of this machine through `scout serve`")?;
    let copied = copied(&world).await.context("1 MiB handed through")?;
    let beside = beside_loops(&world).await.context("reads beside guests that loop")?;
    let held = secret_paths();
    let nothing = tokio::task::spawn_blocking(nothing).await?.context("calls that do nothing")?;
    let many = many(&world).await.context("many plugins")?;
    let difference = tax.component.median().saturating_sub(tax.native.median());
    let beneath = tax.component.median().saturating_sub(tax.pool.median());
    Ok(format!(
        "## The sandbox\n\n\
         One read of 1 KiB from a real sshd at 0 ms, from the parsed request to the rendered reply, {ROUNDS} of each in turn: by the \
         handler `file` as a component, by the same steps in Rust behind the same checks of rights and secret paths, and by those \
         steps on the pool, without any check. All give the same reply.\n\n\
         | | median |\n|---|---:|\n| the component | {} |\n| the same in Rust | {} |\n| the difference: the sandbox | {} |\n\
         | on the pool, without checks | {} |\n| the difference from the component: sandbox and checks | {} |\n\
         | a read of 1 KiB through `scout serve` | {} |\n| the sandbox, of that | {:.1} % |\n\
         | a read of 1 KiB of this machine, without SSH, through `scout serve` | {} |\n\n\
         | | |\n|---|---:|\n\
         | a path held against the list of secret paths, mean of {} paths, median of {HOLDS} | {:.2} µs |\n\
         | remote bytes copied into the guest by a read of 1 MiB | {copied} |\n\
         | a call in a fresh instance that does nothing, median of {CALLS} | {} |\n\
         | such calls, {THREADS} threads | {:.0} per second |\n\
         | a read of 1 KiB beside {LOOPS} guests that loop, median of {READS} | {} |\n\
         | the same, 99th percentile | {} |\n\
         | {PLUGINS} plugins: start to the first answered `tools/list`, compiled before ({STARTS} starts) | {} |\n\
         | {PLUGINS} plugins: memory then | {} |\n",
        microseconds(tax.component.median()),
        microseconds(tax.native.median()),
        microseconds(difference),
        microseconds(tax.pool.median()),
        microseconds(beneath),
        microseconds(by_server.median()),
        100.0 * difference.as_secs_f64() / by_server.median().as_secs_f64(),
        microseconds(local.median()),
        PATHS.len(),
        held.median().as_secs_f64() * 1e6 / PATHS.len() as f64,
        microseconds(nothing.alone.median()),
        nothing.per_second,
        milliseconds(beside.median()),
        milliseconds(beside.percentile(99)),
        milliseconds(many.starts.median()),
        many.memory,
    ))
}

/// What it takes to hold all of [`PATHS`] against Scout's own list.
fn secret_paths() -> Samples {
    let (secrets, mut samples) = (SecretPaths::default(), Samples::default());
    for round in 0..WARM_UP + HOLDS {
        let begun = Instant::now();
        for path in PATHS {
            let path = std::hint::black_box(RemotePath::parse(path));
            std::hint::black_box(path.is_ok_and(|path| secrets.check_path(&path).is_ok()));
        }
        if round >= WARM_UP {
            samples.push(begun.elapsed());
        }
    }
    samples
}

fn microseconds(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}

struct Tax {
    component: Samples,
    native: Samples,
    pool: Samples,
}

/// The same read by the component, in Rust behind the same checks, and without them, over one pool and one connection.
async fn tax(world: Arc<World>) -> Result<Tax> {
    let config = config(&world)?;
    let (tenant, router) = (Tenant::local(&config)?, Router::default());
    let (fleet, limits) = (Arc::clone(&tenant.revision().fleet), Arc::new(config.limits.clone()));
    let caller = Caller::alone(&tenant, "local", CancellationToken::new());
    let target = format!("box:{}", world.small.display());
    let mut tax = Tax { component: Samples::default(), native: Samples::default(), pool: Samples::default() };
    for round in 0..WARM_UP + ROUNDS {
        let begun = Instant::now();
        let by_component = router.answer(request(&target)?, caller.clone()).await;
        let component = begun.elapsed();
        let begun = Instant::now();
        let by_rust = checked(&fleet, &limits, caller.principal(), request(&target)?).await?;
        let native = begun.elapsed();
        let begun = Instant::now();
        let by_pool = unchecked(&fleet, &limits, caller.principal(), request(&target)?).await?;
        let pool = begun.elapsed();
        ensure!(!by_component.is_error, "{}", by_component.joined());
        for other in [by_rust, by_pool] {
            ensure!(
                (&by_component.text, &by_component.structured) == (&other.text, &other.structured),
                "the replies differ: {by_component:?} {other:?}"
            );
        }
        if round >= WARM_UP {
            tax.component.push(component);
            tax.native.push(native);
            tax.pool.push(pool);
        }
    }
    fleet.pool().shutdown().await;
    Ok(tax)
}

fn config(world: &World) -> Result<Config> {
    let dir = world.sshd.dir();
    world.client(world.sshd.address())?;
    let (ssh_config, settings) = (dir.join(format!("config.{}", world.sshd.address().port())), dir.join("scout.toml"));
    std::fs::write(&settings, format!("audit_log = {:?}\n", dir.join("audit.jsonl").display().to_string()))?;
    Ok(Config::load(&Flags { config: Some(settings), ssh_config: Some(ssh_config), ..Flags::default() })?)
}

fn request(target: &str) -> Result<Request> {
    Ok(Request::parse(target, None, None)?)
}

/// What the router and the handler `file` do for a text that is read in full, without a component.
async fn checked(fleet: &Arc<Fleet>, limits: &Arc<Limits>, principal: &Principal, request: Request) -> Result<Reply> {
    let begun = Instant::now();
    let Request::Path { host, path: Some(path) } = request else { return Err(anyhow!("a path is read")) };
    let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
    let context = CallContext::new(principal.clone(), Arc::clone(fleet), Arc::clone(limits), call);
    let looked = context.look(&host, &path, Readers { file: "file", directory: "dir" }).await?;
    told(begun, &host, path.bytes(), looked.opened)
}

/// The same, if nobody had to be kept from anything.
async fn unchecked(fleet: &Fleet, limits: &Limits, principal: &Principal, request: Request) -> Result<Reply> {
    let begun = Instant::now();
    let Request::Path { host, path: Some(path) } = request else { return Err(anyhow!("a path is read")) };
    let record = fleet.get(&host).context("a host of the fleet")?;
    let spec = record.looked_up().await.context("a host over SSH")??;
    let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
    let lease = fleet.pool().lease(principal, &spec, &call).await?;
    let opened = lease.open(&path, limits.file_bytes, limits.dir_entries, &call).await?;
    told(begun, &host, path.bytes(), opened)
}

/// What the handler tells of a text.
fn told(begun: Instant, host: &str, path: &[u8], opened: Opened) -> Result<Reply> {
    let Opened::File { attributes, content } = opened else { return Err(anyhow!("a file is read")) };
    let modified = attributes.mtime.map(i64::from);
    let modified = modified.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let fields = json!({
        "host": host,
        "path": String::from_utf8_lossy(path),
        "kind": "file",
        "size": content.data.len(),
        "mode": attributes.permissions.map(|mode| format!("{:04o}", mode & 0o7777)),
        "modified": modified.map(|time| time.to_string()),
        "truncated": content.truncated,
        "encoding": "utf-8",
        "note": null,
        "read_on": null,
    });
    let answer = Answer {
        content: vec![Content::Bytes(content.data.clone())],
        structured: fields.as_object().cloned().map(Structured::Fields),
        attachments: vec![("content".to_owned(), content.data, Encoding::Text)],
        ..Answer::default()
    };
    Ok(render(answer, Base64::LeftOut, Secrets::Shown, Receipt { wall: begun.elapsed(), ..Receipt::default() }))
}

fn options(world: &World) -> Result<ScoutOptions> {
    let (sshd, address) = (&world.sshd, world.sshd.address());
    Ok(ScoutOptions::new(binary()?, sshd.config_block("box", address), sshd.known_hosts_line(address)))
}

/// Reads of 1 KiB of a host as a client meets them.
async fn served(world: &World, host: &str) -> Result<Samples> {
    let scout = Scout::start(&options(world)?.setting("[hosts.here]\ntransport = \"local\"")).await;
    let target = format!("{host}:{}", world.small.display());
    let mut samples = Samples::default();
    for round in 0..WARM_UP + ROUNDS {
        let begun = Instant::now();
        let answer = scout.call(&target).await;
        let taken = begun.elapsed();
        ensure!(answer.structured().pointer("/size") == Some(&json!(KIBIBYTE)), "{}", answer.text());
        if round >= WARM_UP {
            samples.push(taken);
        }
    }
    ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    Ok(samples)
}

/// How many bytes of a file of 1 MiB go through the guest that answers with it.
async fn copied(world: &World) -> Result<u64> {
    let scout = Scout::start(&options(world)?).await;
    let answer = scout.call(&format!("box:{}", world.large.display())).await;
    ensure!(answer.structured().pointer("/size") == Some(&json!(MEBIBYTE)), "{}", answer.text());
    ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    answer
        .receipt()
        .pointer("/copied_bytes")
        .and_then(serde_json::Value::as_u64)
        .context("a receipt that counts copies")
}

/// Reads by one principal while guests of another use all the CPU they get.
async fn beside_loops(world: &World) -> Result<Samples> {
    let config = config(world)?;
    let fleet = Arc::clone(&Tenant::local(&config)?.revision().fleet);
    let runtime = Runtime::new(RuntimeConfig { max_instances: 256, memory: 1 << 30, cache_dir: None })?;
    let load = async |name: &str, guest: Guest| {
        let id = PluginId::new(name).context("a plugin's name")?;
        anyhow::Ok(runtime.load(id, guest.bytes(), Grants::ALL, Map::new()).await?)
    };
    let (good, loops) = (load("good", Guest::Good).await?, load("loops", Guest::Loops).await?);
    // More than the reads take.
    let patience = Duration::from_secs(600);
    let limits = Arc::new(Limits { cpu: patience, ..Limits::default() });
    let path = world.small.as_os_str().as_bytes().to_vec();
    let (pool, ask) = (Arc::clone(&fleet), move |plugin: Plugin, principal: &str| {
        let call = Call::until(tokio::time::Instant::now() + patience);
        let context =
            CallContext::new(Principal::new("bench", principal), Arc::clone(&fleet), Arc::clone(&limits), call);
        let (host, path) = (Some("box".to_owned()), Some(path.clone()));
        async move {
            plugin
                .handle(
                    context,
                    Query {
                        subject: Subject::File,
                        host,
                        path,
                        command: None,
                        arguments: serde_json::Map::new(),
                        found: None,
                    },
                )
                .await
        }
    });
    let mut hostile = tokio::task::JoinSet::new();
    for _ in 0..LOOPS {
        hostile.spawn(ask(loops.clone(), "mallory"));
    }
    let reads = tokio::spawn(async move {
        let mut samples = Samples::default();
        for round in 0..WARM_UP + READS {
            let begun = Instant::now();
            ask(good.clone(), "bench").await?;
            if round >= WARM_UP {
                samples.push(begun.elapsed());
            }
        }
        anyhow::Ok(samples)
    });
    let samples = reads.await??;
    ensure!(hostile.try_join_next().is_none(), "a guest that loops has ended");
    hostile.shutdown().await;
    pool.pool().shutdown().await;
    Ok(samples)
}

struct Nothing {
    alone: Samples,
    per_second: f64,
}

/// Calls of the smallest guest, on threads of their own: what else this program does is not in them.
fn nothing() -> Result<Nothing> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let runtime = Runtime::new(RuntimeConfig { max_instances: 256, memory: 1 << 30, cache_dir: None })?;
    let id = PluginId::new("nothing").context("a plugin's name")?;
    let component = Guest::AnswersNothing.bytes();
    let plugin = threads.block_on(runtime.load(id, component, Grants::default(), Map::new()))?;
    let fleet = Arc::new(Fleet::new(Vec::new(), Pool::new(PoolConfig::default())));
    let limits = Arc::new(Limits::default());
    let call = move |plugin: Plugin| {
        let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
        let context = CallContext::new(Principal::new("bench", "bench"), Arc::clone(&fleet), Arc::clone(&limits), call);
        let nothing = Query {
            subject: Subject::File,
            host: None,
            path: None,
            command: None,
            arguments: serde_json::Map::new(),
            found: None,
        };
        async move { plugin.handle(context, nothing).await }
    };
    let alone = threads.block_on(threads.spawn({
        let (plugin, call) = (plugin.clone(), call.clone());
        async move {
            let mut samples = Samples::default();
            for round in 0..WARM_UP + CALLS {
                let begun = Instant::now();
                call(plugin.clone()).await?;
                if round >= WARM_UP {
                    samples.push(begun.elapsed());
                }
            }
            anyhow::Ok(samples)
        }
    }))??;
    let begun = Instant::now();
    let workers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (plugin, call) = (plugin.clone(), call.clone());
            threads.spawn(async move {
                for _ in 0..CALLS {
                    call(plugin.clone()).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for worker in workers {
        threads.block_on(worker)??;
    }
    let per_second = (THREADS * CALLS) as f64 / begun.elapsed().as_secs_f64();
    threads.shutdown_background();
    Ok(Nothing { alone, per_second })
}

struct Many {
    starts: Samples,
    memory: machine::Memory,
}

/// Servers with a hundred plugins, each another component, once all of them have been compiled.
async fn many(world: &World) -> Result<Many> {
    let dir = tempfile::tempdir()?;
    let component = Guest::BringsTools.bytes();
    let mut options = options(world)?;
    for number in 0..PLUGINS {
        let path = dir.path().join(format!("p{number}.wasm"));
        std::fs::write(&path, marked(&component, number)?)?;
        options = options.setting(&table(number, &path));
    }
    let mut many = Many { starts: Samples::default(), memory: machine::memory(std::process::id())? };
    // The first one fills the cache.
    for round in 0..=STARTS {
        let begun = Instant::now();
        let scout = Scout::start(&options).await;
        let listed = scout.request("tools/list", json!({})).await;
        let taken = begun.elapsed();
        let tools = listed.pointer("/result/tools").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        ensure!(tools == 1 + 3 * PLUGINS, "{tools} tools are listed");
        let last = format!("p{}_read_text", PLUGINS - 1);
        let arguments = json!({"host": "box", "path": world.small});
        let answer = scout.request("tools/call", json!({"name": last, "arguments": arguments})).await;
        ensure!(answer.pointer("/result/isError") != Some(&json!(true)), "{answer}");
        if round > 0 {
            many.starts.push(taken);
            many.memory = machine::memory(scout.pid())?;
        }
        ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    }
    Ok(many)
}

fn table(number: usize, path: &Path) -> String {
    let path = path.display().to_string();
    format!("[plugins.p{number}]\nsource = {path:?}\ngrants = [\"files\", \"exec\"]\nprefix = \"p{number}_\"")
}

/// The component with a custom section that makes it another one for a cache.
fn marked(component: &[u8], number: usize) -> Result<Vec<u8>> {
    let content = format!("\u{4}mark{number}");
    let mut bytes = component.to_vec();
    bytes.extend([0, u8::try_from(content.len())?]);
    bytes.extend(content.as_bytes());
    Ok(bytes)
}
