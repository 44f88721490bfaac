//! Reads, listings and commands for a long time, beside a neighbour that floods.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use scout_machine::{Ending, ExecRequest};
use tokio::task::JoinSet;

use crate::machine;
use crate::samples::{Samples, milliseconds};
use crate::world::{Client, KIBIBYTE, MEBIBYTE, World, call, principal};

const OPERATIONS: usize = 20_000;
const CALLERS: usize = 4;
/// One operation in so many is a command, one a listing, one a stat; the others are reads.
const EVERY: usize = 50;

pub(crate) async fn measure() -> Result<String> {
    let world = Arc::new(World::start()?);
    let client = world.client(world.sshd.address())?;
    let quiet = operations(&world, &client, OPERATIONS / 4).await?;
    let before = machine::memory(std::process::id())?;
    let over = Arc::new(AtomicBool::new(false));
    let flood = tokio::spawn(flood(client.clone(), Arc::clone(&over)));
    let first = operations(&world, &client, OPERATIONS / 2).await?;
    let half = machine::memory(std::process::id())?;
    let second = operations(&world, &client, OPERATIONS / 2).await?;
    let end = machine::memory(std::process::id())?;
    over.store(true, Ordering::Relaxed);
    let floods = flood.await??;
    let snapshot = client.pool.snapshot();
    ensure!(snapshot.in_flight == 0, "{snapshot:?}");
    let mut loud = first;
    loud.extend(second);
    let ratio = loud.percentile(99).as_secs_f64() / quiet.percentile(99).as_secs_f64();
    Ok(format!(
        "## A long run beside a flood\n\n{OPERATIONS} operations by {CALLERS} callers on one sshd: reads of 1 KiB, and each \
         {EVERY}th a listing, a stat or a command. Meanwhile a neighbour runs `cat /dev/zero`, cut at 1 MiB, again and \
         again ({floods} times). No operation failed.\n\n\
         | small reads | median | 99th percentile |\n|---|---:|---:|\n| alone | {} | {} |\n| beside the flood | {} | {} |\n\n\
         The 99th percentile grows by {ratio:.2}. Resident memory: {before} before, {half} half-way, {end} at the end.\n",
        milliseconds(quiet.median()),
        milliseconds(quiet.percentile(99)),
        milliseconds(loud.median()),
        milliseconds(loud.percentile(99)),
    ))
}

/// The times of the small reads among them.
async fn operations(world: &Arc<World>, client: &Client, count: usize) -> Result<Samples> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (world, client, next) = (Arc::clone(world), client.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut reads = Samples::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(reads);
                }
                match number % EVERY {
                    0 => client.exec("exec true").await?,
                    1 => client.list(&world.many).await?,
                    2 => client.stat(&world.small).await?,
                    _ => {
                        let begun = Instant::now();
                        client.read(&world.small, KIBIBYTE).await?;
                        reads.push(begun.elapsed());
                    }
                }
            }
        });
    }
    let mut reads = Samples::default();
    while let Some(done) = tasks.join_next().await {
        reads.extend(done??);
    }
    Ok(reads)
}

async fn flood(client: Client, over: Arc<AtomicBool>) -> Result<usize> {
    let request = ExecRequest {
        script: b"exec cat /dev/zero".to_vec(),
        stdout_cap: MEBIBYTE,
        stderr_cap: KIBIBYTE,
        timeout: std::time::Duration::from_secs(60),
        limits: scout_machine::CommandLimits::NONE,
        only_reads: true,
    };
    let mut times = 0;
    while !over.load(Ordering::Relaxed) {
        let call = call();
        let lease = client.pool.lease(&principal(), &client.spec, &call).await?;
        let outcome = lease.exec(&request, &call).await?;
        ensure!(matches!(outcome.ending, Ending::OutputLimit(_)), "{:?}", outcome.ending);
        times += 1;
    }
    Ok(times)
}
