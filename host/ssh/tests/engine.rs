//! The engine against a real sshd.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use scout_ssh::{
    Call, Ending, ErrorKind, ExecOutcome, ExecRequest, HostSpec, Opened, Pool, PoolConfig, Principal, RemoteState,
    SshConfig, SshError,
};
use scout_tests::{DelayLink, Sshd, SshdOptions};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// An sshd, a pool that knows its key, and how to ask.
struct World {
    sshd: Sshd,
    pool: Pool,
    spec: Arc<HostSpec>,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(&SshdOptions::default(), PoolConfig::default())
    }

    fn with(options: &SshdOptions, config: PoolConfig) -> Self {
        let sshd = Sshd::start_with(options);
        let address = sshd.address();
        Self::at(sshd, address, config)
    }

    fn at(sshd: Sshd, address: SocketAddr, config: PoolConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| -> PathBuf {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ssh_config = file("config", sshd.config_block("box", address));
        let known_hosts = file("known_hosts", sshd.known_hosts_line(address));
        let spec = SshConfig::load(&ssh_config, None, dir.path()).unwrap().resolve("box").unwrap();
        let pool = Pool::new(PoolConfig { known_hosts: Some(vec![known_hosts]), ..config });
        Self { sshd, pool, spec: Arc::new(spec), dir }
    }

    fn path(&self, name: &str) -> Vec<u8> {
        self.sshd.dir().join(name).display().to_string().into_bytes()
    }

    async fn run(&self, script: &str) -> ExecOutcome {
        self.run_within(script, Duration::from_secs(60), 1 << 20).await
    }

    async fn run_within(&self, script: &str, timeout: Duration, cap: usize) -> ExecOutcome {
        exec(&self.pool, &self.spec, script, timeout, cap, &call()).await.unwrap()
    }
}

fn call() -> Call {
    Call::until(Instant::now() + Duration::from_secs(60))
}

fn principal() -> Principal {
    Principal::new("test")
}

async fn exec(
    pool: &Pool,
    spec: &Arc<HostSpec>,
    script: &str,
    timeout: Duration,
    cap: usize,
    call: &Call,
) -> Result<ExecOutcome, SshError> {
    let request = ExecRequest { script: script.as_bytes().to_vec(), stdout_cap: cap, stderr_cap: cap, timeout };
    pool.lease(&principal(), spec, call).await?.exec(&request, call).await
}

async fn read(world: &World, path: &[u8]) -> Result<Vec<u8>, SshError> {
    let call = call();
    let lease = world.pool.lease(&principal(), &world.spec, &call).await?;
    match lease.open(path, 1 << 20, 100, &call).await? {
        Opened::File { content, .. } => Ok(content.data.to_vec()),
        other => panic!("{other:?}"),
    }
}

/// Whether a running process holds `marker` in its command line.
fn running(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        entry.file_name().to_string_lossy() != std::process::id().to_string()
            && String::from_utf8_lossy(&line).replace('\0', " ").contains(marker)
    })
}

/// Waits, bounded, for what another process brings about.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within a minute");
}

#[tokio::test]
async fn streams_and_status_come_back_apart() {
    let world = World::new();
    let outcome = world.run("echo out; echo err >&2; exit 3").await;
    assert_eq!(outcome.ending, Ending::Exited(3));
    assert_eq!((&outcome.stdout.data[..], &outcome.stderr.data[..]), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn a_command_is_run_as_it_is_whatever_its_characters() {
    let world = World::new();
    let odd = "printf '%s|' 'a  b' \"c\\\\\" 'd\ne' '$HOME' '`id`' '!x' '%s' 'ü' '\t'";
    assert_eq!(&world.run(odd).await.stdout.data[..], "a  b|c\\|d\ne|$HOME|`id`|!x|%s|ü|\t|".as_bytes());
}

#[tokio::test]
async fn a_long_command_is_run_too() {
    let world = World::new();
    let text = "x'\"\n".repeat(10_000).replace('\'', "'\\''");
    let outcome = world.run(&format!("printf %s '{text}' | wc -c")).await;
    assert_eq!(String::from_utf8_lossy(&outcome.stdout.data).trim(), "40000");
}

#[tokio::test]
async fn a_signal_is_told_by_its_name() {
    let world = World::new();
    assert_eq!(world.run("kill -TERM $$").await.ending, Ending::Signaled("TERM".to_owned()));
}

#[tokio::test]
async fn a_flood_is_cut_and_its_source_stopped() {
    let world = World::new();
    let marker = format!("scout-flood-{}", world.sshd.address().port());
    let outcome = world.run_within(&format!("yes {marker}"), Duration::from_secs(60), 5000).await;
    assert_eq!(outcome.ending, Ending::OutputLimit(RemoteState::Stopped));
    assert_eq!((outcome.stdout.data.len(), outcome.stdout.truncated), (5000, true));
    assert!(!running(&marker));
}

#[tokio::test]
async fn a_command_past_its_timeout_is_stopped_with_all_it_began_and_its_output_kept() {
    let world = World::new();
    let marker = format!("scout-late-{}", world.sshd.address().port());
    let script = format!("echo begun; trap '' TERM; sh -c 'sleep 1000; : {marker}' & sleep 1001; : {marker}");
    let outcome = world.run_within(&script, Duration::from_millis(500), 1000).await;
    assert_eq!(outcome.ending, Ending::TimedOut(RemoteState::Stopped));
    assert_eq!(&outcome.stdout.data[..], b"begun\n");
    assert!(!running(&marker));
}

#[tokio::test]
async fn a_command_whose_caller_is_gone_is_stopped() {
    let world = World::new();
    let marker = format!("scout-dropped-{}", world.sshd.address().port());
    let script = format!("sleep 1000; : {marker}");
    let (pool, spec) = (world.pool.clone(), Arc::clone(&world.spec));
    let task = tokio::spawn(async move { exec(&pool, &spec, &script, Duration::from_secs(60), 1000, &call()).await });
    until(|| running(&marker)).await;
    task.abort();
    until(|| !running(&marker)).await;
}

#[tokio::test]
async fn a_cancelled_command_says_that_it_is_stopped() {
    let world = World::new();
    let marker = format!("scout-cancelled-{}", world.sshd.address().port());
    let call = call();
    let script = format!("sleep 1000; : {marker}");
    let running_exec = exec(&world.pool, &world.spec, &script, Duration::from_secs(60), 1000, &call);
    let cancelling = async {
        until(|| running(&marker)).await;
        call.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(running_exec, cancelling);
    assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Stopped));
    assert!(!running(&marker));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_commands_and_fifty_reads_share_one_connection_of_two_sessions() {
    let world = World::with(&SshdOptions { max_sessions: Some(2), ..SshdOptions::default() }, PoolConfig::default());
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let mut tasks = JoinSet::new();
    let world = Arc::new(world);
    for n in 0..50 {
        let asked = Arc::clone(&world);
        tasks.spawn(async move {
            let outcome = asked.run(&format!("echo {n}")).await;
            assert_eq!(&outcome.stdout.data[..], format!("{n}\n").as_bytes());
        });
        let asked = Arc::clone(&world);
        tasks.spawn(async move {
            assert_eq!(read(&asked, &asked.path("f")).await.unwrap(), b"text");
        });
    }
    tasks.join_all().await;
    let snapshot = world.pool.snapshot();
    assert_eq!((snapshot.dials, snapshot.ready, snapshot.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn a_waiter_that_goes_does_not_take_the_dial_with_it() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(5)).await;
    let world = World::at(sshd, link.address(), PoolConfig::default());
    let (pool, spec) = (world.pool.clone(), Arc::clone(&world.spec));
    let gone = tokio::spawn(async move { pool.lease(&principal(), &spec, &call()).await.map(drop) });
    until(|| world.pool.snapshot().dialing == 1).await;
    gone.abort();
    world.pool.lease(&principal(), &world.spec, &call()).await.unwrap();
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn two_principals_never_share_a_connection() {
    let world = World::new();
    let call = call();
    let one = world.pool.lease(&Principal::new("one"), &world.spec, &call).await.unwrap();
    let two = world.pool.lease(&Principal::new("two"), &world.spec, &call).await.unwrap();
    assert_eq!(world.pool.snapshot().ready, 2);
    drop((one, two));
}

#[tokio::test]
async fn a_full_pool_evicts_the_idle_and_waits_for_the_busy() {
    let world = World::with(&SshdOptions::default(), PoolConfig { max_connections: 1, ..PoolConfig::default() });
    let call = call();
    let one = world.pool.lease(&Principal::new("one"), &world.spec, &call).await.unwrap();
    let (pool, spec) = (world.pool.clone(), Arc::clone(&world.spec));
    let waiting = tokio::spawn(async move {
        let call = Call::until(Instant::now() + Duration::from_secs(60));
        pool.lease(&Principal::new("two"), &spec, &call).await.map(drop)
    });
    until(|| world.pool.snapshot().waiters == 1).await;
    drop(one);
    waiting.await.unwrap().unwrap();
    assert_eq!(world.pool.snapshot().evictions, 1);
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let config = PoolConfig { idle_timeout: Duration::from_millis(50), ..PoolConfig::default() };
    let world = World::with(&SshdOptions::default(), config);
    drop(world.pool.lease(&principal(), &world.spec, &call()).await.unwrap());
    until(|| world.pool.snapshot().ready == 0).await;
    assert_eq!(world.pool.snapshot().idle_closed, 1);
}

#[tokio::test]
async fn a_connection_that_was_lost_is_dialled_anew() {
    let world = World::new();
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    assert_eq!(read(&world, &world.path("f")).await.unwrap(), b"text");
    // Its own server process goes, sshd stays.
    drop(exec(&world.pool, &world.spec, "kill -KILL $PPID", Duration::from_secs(60), 100, &call()).await);
    assert_eq!(read(&world, &world.path("f")).await.unwrap(), b"text");
    assert_eq!(world.pool.snapshot().dials, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifo_fails_alone_and_leaves_no_server_process() {
    let world = World::new();
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let fifo = world.sshd.dir().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    read(&world, &world.path("f")).await.unwrap();
    let world = Arc::new(world);
    let mut neighbours = JoinSet::new();
    let culprit = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let call = call();
            let lease = world.pool.lease(&principal(), &world.spec, &call).await.unwrap();
            lease.open(&world.path("fifo"), 100, 100, &call).await.unwrap_err()
        })
    };
    for _ in 0..50 {
        let world = Arc::clone(&world);
        neighbours.spawn(async move { assert_eq!(read(&world, &world.path("f")).await.unwrap(), b"text") });
    }
    neighbours.join_all().await;
    let error = culprit.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::NotReadable, "{error}");
    assert!(error.message().contains("fifo") && !error.message().contains("may remain"), "{error}");
    let snapshot = world.pool.snapshot();
    assert_eq!((snapshot.stalls, snapshot.dials), (1, 1));
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_fingerprint_and_nothing_was_said() {
    let world = World::new();
    let empty = world.dir.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let pool = Pool::new(PoolConfig { known_hosts: Some(vec![empty]), ..PoolConfig::default() });
    let error = pool.lease(&principal(), &world.spec, &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownHostKey, "{error}");
    assert!(error.message().contains("SHA256:") && error.hint().unwrap().contains("scout trust box"), "{error}");
    assert!(!world.sshd.log().iter().any(|line| line.contains("Accepted") || line.contains("userauth")));
}

#[tokio::test]
async fn the_key_of_a_host_can_be_looked_at_without_trust() {
    let world = World::new();
    let pool = Pool::new(PoolConfig { known_hosts: Some(Vec::new()), ..PoolConfig::default() });
    let key = pool.host_key(&world.spec, &call()).await.unwrap();
    assert!(world.sshd.host_key().public.contains(&key.to_openssh().unwrap().split(' ').nth(1).unwrap().to_owned()));
}
