//! The engine alone, without plugins and MCP: what one warm operation costs.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use scout_tests::{DelayLink, SshdOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bare::{self, Bare};
use crate::openssh::ControlMaster;
use crate::samples::{Samples, milliseconds};
use crate::world::{KIBIBYTE, ONE_WAY, World};

const ROUNDS: usize = 100;
const WARM_UP: usize = 5;

struct Row {
    name: &'static str,
    direct: Samples,
    delayed: Samples,
}

pub(crate) async fn measure() -> Result<String> {
    let world = World::start()?;
    let link = DelayLink::start(world.sshd.address(), ONE_WAY).await;
    let rows = operations(&world, &link).await?;
    let commands = commands(&world).await?;
    let round_trip = round_trip().await?;
    let mut text = format!(
        "## The engine: one warm operation\n\n{ROUNDS} of each, `ssh` with a ControlMaster and a bare client beside it. \
         Round trips are the median at {}, divided by what a single byte takes through the same link and back: {:.1} ms.\n\n\
         | | 0 ms | {} | round trips |\n|---|---:|---:|---:|\n",
        milliseconds(ONE_WAY * 2),
        round_trip.as_secs_f64() * 1e3,
        milliseconds(ONE_WAY * 2)
    );
    for Row { name, direct, delayed } in &rows {
        let trips = delayed.median().as_secs_f64() / round_trip.as_secs_f64();
        text.push_str(&format!(
            "| {name} | {} | {} | {trips:.2} |\n",
            milliseconds(direct.median()),
            milliseconds(delayed.median())
        ));
    }
    text.push_str(&format!("\n| a command (`true`) at 0 ms | median |\n|---|---:|\n{commands}"));
    Ok(text)
}

async fn operations(world: &World, link: &DelayLink) -> Result<Vec<Row>> {
    let (near, far) = (world.client(world.sshd.address())?, world.client(link.address())?);
    let known = |address| (world.sshd.config_block("box", address), world.sshd.known_hosts_line(address));
    let (block, hosts) = known(world.sshd.address());
    let near_ssh = ControlMaster::start(&block, &hosts).await?;
    let (block, hosts) = known(link.address());
    let far_ssh = ControlMaster::start(&block, &hosts).await?;
    let cat = format!("cat {}", world.small.display());
    Ok(vec![
        row("read 1 KiB", || near.read(&world.small, KIBIBYTE), || far.read(&world.small, KIBIBYTE)).await?,
        row("`ssh … cat` of 1 KiB", || near_ssh.succeed(&cat), || far_ssh.succeed(&cat)).await?,
        row("stat", || near.stat(&world.small), || far.stat(&world.small)).await?,
        row("list 100 entries", || near.list(&world.many), || far.list(&world.many)).await?,
        row("command: `true`", || near.exec("exec true"), || far.exec("exec true")).await?,
        row("`ssh … true`", || near_ssh.succeed("true"), || far_ssh.succeed("true")).await?,
    ])
}

async fn row<N, F>(name: &'static str, near: impl Fn() -> N, far: impl Fn() -> F) -> Result<Row>
where
    N: Future<Output = Result<()>>,
    F: Future<Output = Result<()>>,
{
    eprintln!("  {name}");
    let mut row = Row { name, direct: Samples::default(), delayed: Samples::default() };
    // One after the other: a processor that has waited for the link is slow to wake.
    for round in 0..WARM_UP + ROUNDS {
        let direct = time(near()).await.context(name)?;
        if round >= WARM_UP {
            row.direct.push(direct);
        }
    }
    for round in 0..WARM_UP + ROUNDS {
        let delayed = time(far()).await.context(name)?;
        if round >= WARM_UP {
            row.delayed.push(delayed);
        }
    }
    Ok(row)
}

/// What a byte takes through the link and back: its timers add to what it was told.
async fn round_trip() -> Result<Duration> {
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    let link = DelayLink::start(echo.local_addr()?, ONE_WAY).await;
    tokio::spawn(async move {
        let (mut stream, _) = echo.accept().await?;
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    });
    let mut stream = TcpStream::connect(link.address()).await?;
    stream.set_nodelay(true)?;
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        stream.write_all(b"x").await?;
        stream.read_exact(&mut [0]).await?;
        samples.push(begun.elapsed());
    }
    Ok(samples.median())
}

/// A command through the engine beside a bare exec on a channel that is open already.
async fn commands(world: &World) -> Result<String> {
    eprintln!("  commands beside a bare client");
    let client = world.client(world.sshd.address())?;
    let bare = Bare::connect(&world.sshd, world.sshd.address()).await?;
    let wrapped = wrapper_text().await?;
    let [mut shell, mut engine, mut plain, mut same] = std::array::from_fn(|_| Samples::default());
    for round in 0..WARM_UP + ROUNDS {
        let stays = time(client.run("exec true", true)).await?;
        let ours = time(client.run("exec true", false)).await?;
        let channel = bare.open().await?;
        let exec = time(bare::run(channel, b"exec true")).await?;
        let channel = bare.open().await?;
        let wrapper = time(bare::run(channel, &wrapped)).await?;
        if round >= WARM_UP {
            shell.push(stays);
            engine.push(ours);
            plain.push(exec);
            same.push(wrapper);
        }
    }
    Ok(format!(
        "| the engine, in a shell that stays | {} |\n| the engine, on a channel of its own | {} |\n\
         | a bare client, the same text, on a channel opened ahead | {} |\n\
         | a bare client, `exec true`, on a channel opened ahead | {} |\n",
        milliseconds(shell.median()),
        milliseconds(engine.median()),
        milliseconds(same.median()),
        milliseconds(plain.median())
    ))
}

/// What the engine asks a server to run for `exec true` on a channel of its own, as the server sees it. What starts a shell that stays
/// would wait for more, and a bare client for its end.
pub(crate) async fn wrapper_text() -> Result<Vec<u8>> {
    let dir = tempfile::tempdir()?;
    let seen = dir.path().join("seen");
    let record = format!(
        "ForceCommand printf %s \"$SSH_ORIGINAL_COMMAND\" >{}; sh -c \"$SSH_ORIGINAL_COMMAND\"",
        seen.display()
    );
    let world = World::with(&SshdOptions { extra: vec![record], ..SshdOptions::default() })?;
    world.client(world.sshd.address())?.run("exec true", false).await?;
    std::fs::read(&seen).context("what the server saw")
}

pub(crate) async fn time(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed())
}
