//! Many callers on one host.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use scout_ssh::{Pool, PoolConfig};
use scout_tests::{DelayLink, Scout, ScoutOptions};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::engine::wrapper_text;
use crate::machine;
use crate::served::binary;
use crate::world::{Client, KIBIBYTE, ONE_WAY, World};

/// Runs of each pair of commands' sides, in turn.
const RUNS: usize = 3;
/// What sshd's `MaxSessions` leaves to a bare client.
const BARE_CHANNELS: usize = 8;

pub(crate) async fn measure() -> Result<String> {
    machine::adopt_orphans()?;
    let world = World::start()?;
    let address = world.sshd.address();
    let link = DelayLink::start(address, ONE_WAY).await;
    let mut text = String::from(
        "## Load: many callers on one stock sshd (`MaxSessions 10`)\n\n| | callers | operations | per second |\n|---|---:|---:|---:|\n",
    );
    let mut row = |name: &str, callers: usize, count: usize, rate: f64| {
        text.push_str(&format!("| {name} | {callers} | {count} | {rate:.0} |\n"));
    };

    let near = world.client(address)?;
    row("read 1 KiB, engine", 50, 20_000, reads(&near, &world, 50, 20_000).await?);
    row("read 1 KiB, engine", 1_000, 20_000, reads(&near, &world, 1_000, 20_000).await?);
    let far = world.client(link.address())?;
    row("read 1 KiB, engine, 50 ms", 100, 5_000, reads(&far, &world, 100, 5_000).await?);
    row("read 1 KiB, `scout serve`", 50, 5_000, served(&world, 50, 5_000).await?);
    text.push('\n');
    text.push_str(&all_commands(&world, &near, &link).await?);
    Ok(text)
}

/// Commands per second, and what each costs the host: the work of sshd and all that it has started.
async fn all_commands(world: &World, near: &Client, link: &DelayLink) -> Result<String> {
    let address = world.sshd.address();
    let wrapper: Arc<[u8]> = wrapper_text().await?.into();
    let bare = Arc::new(Bare::connect(&world.sshd, address).await?);
    // Six channels for commands: no second connection.
    let one = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let far = Client { pool: Pool::new(one), spec: world.spec(link.address())? };
    let mut sides = [
        Side::new("command `true` in shells that stay, engine", 5_000),
        Side::new("each on a channel of its own, engine", 1_000),
        Side::new("the text of the latter, bare client", 1_000),
        Side::new("`exec true`, bare client", 1_000),
        Side::new("in shells that stay, engine, 50 ms, one connection", 3_000),
    ];
    for _ in 0..RUNS {
        for (at, side) in sides.iter_mut().enumerate() {
            let (before, count) = (machine::work_of_others()?, side.count);
            let rate = match at {
                0 => commands(near, true, count).await?,
                1 => commands(near, false, count).await?,
                2 => execs(&bare, &wrapper, count).await?,
                3 => execs(&bare, &b"exec true"[..].into(), count).await?,
                _ => commands(&far, true, count).await?,
            };
            side.rates.push(rate);
            let worked = machine::work_of_others()?.checked_sub(before).context("work that was counted is gone")?;
            side.costs.push(worked.as_secs_f64() * 1e3 / count as f64);
        }
    }
    let mut text =
        String::from("| 100 callers | operations | per second | CPU of the host, each |\n|---|---:|---:|---:|\n");
    for side in &mut sides {
        let (rate, cost) = (median(&mut side.rates), median(&mut side.costs));
        text.push_str(&format!("| {} | {} | {rate:.0} | {cost:.2} ms |\n", side.name, side.count));
    }
    Ok(text)
}

/// One way to run commands.
struct Side {
    name: &'static str,
    count: usize,
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Side {
    fn new(name: &'static str, count: usize) -> Self {
        Self { name, count, rates: Vec::new(), costs: Vec::new() }
    }
}

async fn reads(client: &Client, world: &World, callers: usize, count: usize) -> Result<f64> {
    let (client, path) = (client.clone(), world.small.clone());
    client.read(&path, KIBIBYTE).await?;
    rate(callers, count, move || {
        let (client, path) = (client.clone(), path.clone());
        async move { client.read(&path, KIBIBYTE).await }
    })
    .await
}

async fn commands(client: &Client, only_reads: bool, count: usize) -> Result<f64> {
    let client = client.clone();
    rate(100, count, move || {
        let client = client.clone();
        async move { client.run("exec true", only_reads).await }
    })
    .await
}

async fn served(world: &World, callers: usize, count: usize) -> Result<f64> {
    let address = world.sshd.address();
    let options =
        ScoutOptions::new(binary()?, world.sshd.config_block("box", address), world.sshd.known_hosts_line(address));
    let scout = Scout::start(&options).await;
    let target = format!("box:{}", world.small.display());
    ensure!(!scout.call(&target).await.is_error(), "the first read failed");
    let reader = Arc::clone(&scout);
    let rate = rate(callers, count, move || {
        let (scout, target) = (Arc::clone(&reader), target.clone());
        async move {
            let answer = scout.call_with(json!({"target": target})).await;
            ensure!(!answer.is_error(), "{}", answer.text());
            Ok(())
        }
    })
    .await?;
    ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    Ok(rate)
}

async fn execs(bare: &Arc<Bare>, command: &Arc<[u8]>, count: usize) -> Result<f64> {
    let places = Arc::new(Semaphore::new(BARE_CHANNELS));
    let (bare, command) = (Arc::clone(bare), Arc::clone(command));
    rate(100, count, move || {
        let (bare, command, places) = (Arc::clone(&bare), Arc::clone(&command), Arc::clone(&places));
        async move {
            let _place = places.acquire_owned().await?;
            bare.exec(&command).await
        }
    })
    .await
}

/// Operations per second, when so many callers do so many in all. None may fail.
async fn rate<F>(callers: usize, count: usize, work: impl Fn() -> F + Clone + Send + 'static) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let left = Arc::new(AtomicUsize::new(count));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (left, work) = (Arc::clone(&left), work.clone());
        tasks.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                work().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let taken: Duration = begun.elapsed();
    Ok(count as f64 / taken.as_secs_f64())
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
