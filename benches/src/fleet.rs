//! Many hosts: cold at once, and held idle.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scout_ssh::{HostSpec, Lease, Pool, PoolConfig};
use scout_tests::{DelayLink, Key, SshdOptions, generate_key, login_name};
use tokio::task::JoinSet;

use crate::embedded::Embedded;
use crate::machine;
use crate::samples::{Samples, milliseconds};
use crate::world::{ONE_WAY, World, call, principal, resolve};

/// Hosts that are dialled at once.
const HOSTS: usize = 50;
/// Connections that are held.
const HELD: usize = 1_000;
const ROUNDS: usize = 5;

pub(crate) async fn measure() -> Result<String> {
    // Each connection is a descriptor, and each link two more.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let dir = tempfile::tempdir()?;
    let (host_key, user_key) = (generate_key(dir.path(), "host"), generate_key(dir.path(), "user"));
    let embedded = Embedded::start(&host_key.private).await?;
    let cold = cold_embedded(dir.path(), embedded.address, &host_key, &user_key).await.context("embedded hosts")?;
    let real = cold_sshd().await.context("a real sshd")?;
    let idle = idle(dir.path(), embedded.address, &host_key, &user_key).await.context("idle connections")?;
    Ok(format!(
        "## A fleet\n\n{HOSTS} hosts dialled and logged in at once, {ROUNDS} times, at a round trip of {}:\n\n\
         | | one host | {HOSTS} hosts | ratio |\n|---|---:|---:|---:|\n{cold}\n{real}\n{idle}",
        milliseconds(ONE_WAY * 2)
    ))
}

/// Settings for `count` hosts that differ in name alone.
fn specs(dir: &Path, addresses: &[SocketAddr], host_key: &Key, user_key: &Key) -> Result<Vec<Arc<HostSpec>>> {
    let (mut config, mut known) = (String::new(), String::new());
    for (number, address) in addresses.iter().enumerate() {
        config.push_str(&format!(
            "Host host{number}\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
            address.ip(),
            address.port(),
            login_name(),
            user_key.private.display(),
            dir.join("known_hosts").display()
        ));
        let line = format!("[{}]:{} {}\n", address.ip(), address.port(), host_key.public);
        if !known.contains(&line) {
            known.push_str(&line);
        }
    }
    std::fs::write(dir.join("config"), config)?;
    std::fs::write(dir.join("known_hosts"), known)?;
    (0..addresses.len()).map(|number| resolve(&dir.join("config"), dir, &format!("host{number}"))).collect()
}

async fn links(server: SocketAddr) -> Vec<DelayLink> {
    let mut links = Vec::new();
    for _ in 0..HOSTS {
        links.push(DelayLink::start(server, ONE_WAY).await);
    }
    links
}

/// One host alone, and all at once, each time with a pool that knows nobody.
async fn cold(specs: &[Arc<HostSpec>]) -> Result<(Samples, Samples)> {
    let (mut one, mut all) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        one.push(dial(specs.get(..1).unwrap_or_default()).await?);
        all.push(dial(specs).await?);
    }
    Ok((one, all))
}

async fn dial(specs: &[Arc<HostSpec>]) -> Result<Duration> {
    let pool = Pool::new(PoolConfig::default());
    let begun = Instant::now();
    let leases = lease_all(&pool, specs).await?;
    let taken = begun.elapsed();
    drop(leases);
    pool.shutdown().await;
    Ok(taken)
}

async fn lease_all(pool: &Pool, specs: &[Arc<HostSpec>]) -> Result<Vec<Lease>> {
    let mut tasks = JoinSet::new();
    for spec in specs {
        let (pool, spec) = (pool.clone(), Arc::clone(spec));
        tasks.spawn(async move { pool.lease(&principal(), &spec, &call()).await });
    }
    let mut leases = Vec::new();
    while let Some(lease) = tasks.join_next().await {
        leases.push(lease??);
    }
    Ok(leases)
}

async fn cold_embedded(dir: &Path, server: SocketAddr, host_key: &Key, user_key: &Key) -> Result<String> {
    let links = links(server).await;
    let addresses: Vec<_> = links.iter().map(DelayLink::address).collect();
    let (one, all) = cold(&specs(dir, &addresses, host_key, user_key)?).await?;
    Ok(row("embedded hosts, one process", &one, &all))
}

async fn cold_sshd() -> Result<String> {
    let options = SshdOptions { extra: vec!["MaxStartups 200".to_owned()], ..SshdOptions::default() };
    let world = World::with(&options)?;
    let links = links(world.sshd.address()).await;
    let addresses: Vec<_> = links.iter().map(DelayLink::address).collect();
    let dir = tempfile::tempdir()?;
    let specs = specs(dir.path(), &addresses, world.sshd.host_key(), world.sshd.user_key())?;
    let (one, all) = cold(&specs).await?;
    let (mut walls, mut floors) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        let busy = machine::busy()?;
        walls.push(dial(&specs).await?);
        floors.push((machine::busy()? - busy) / machine::cores());
    }
    let ratio = walls.median().as_secs_f64() / floors.median().as_secs_f64();
    Ok(format!(
        "{}\n\nThe real sshd's {HOSTS} logins keep the processors busy for {} (all processes' time, divided by the cores): the \
         wall takes {ratio:.2} times that.\n",
        row("a real sshd", &one, &all),
        milliseconds(floors.median())
    ))
}

fn row(name: &str, one: &Samples, all: &Samples) -> String {
    let ratio = all.median().as_secs_f64() / one.median().as_secs_f64();
    format!("| {name} | {} | {} | {ratio:.2} |", milliseconds(one.median()), milliseconds(all.median()))
}

async fn idle(dir: &Path, server: SocketAddr, host_key: &Key, user_key: &Key) -> Result<String> {
    let specs = specs(dir, &vec![server; HELD], host_key, user_key)?;
    let pool = Pool::new(PoolConfig { max_connections: HELD, ..PoolConfig::default() });
    // The first ones pay for what all share.
    drop(lease_all(&pool, specs.get(..10).unwrap_or_default()).await?);
    let before = machine::memory(std::process::id())?;
    drop(lease_all(&pool, &specs).await?);
    let after = machine::memory(std::process::id())?;
    let ready = pool.snapshot().ready;
    pool.shutdown().await;
    let grown = after.resident.saturating_sub(before.resident);
    Ok(format!(
        "{ready} idle connections, a channel open ahead on each: {:.1} MiB more resident memory, {} KiB for each.\n",
        grown as f64 / 1024.0,
        grown / (HELD as u64 - 10)
    ))
}
