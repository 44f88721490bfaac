//! A large file, beside `sftp` and `ssh … cat`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use scout_ssh::{Part, WriteOptions};
use scout_tests::{DelayLink, Sshd, login_name};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::samples::{Samples, milliseconds};
use crate::world::{MEBIBYTE, ONE_WAY, World, call, principal, remote};

const MEBIBYTES: usize = 256;
const SIZE: usize = MEBIBYTES * MEBIBYTE;
const ROUNDS: usize = 3;

pub(crate) async fn measure() -> Result<String> {
    let world = World::start()?;
    let link = DelayLink::start(world.sshd.address(), ONE_WAY).await;
    let path = world.sshd.dir().join("bulk");
    std::fs::write(&path, vec![b'x'; SIZE])?;
    let near = Side::measure(&world, world.sshd.address(), &path).await.context("without delay")?;
    let far = Side::measure(&world, link.address(), &path).await.context("through the delay link")?;
    let row = |name: &str, near: &Samples, far: &Samples| {
        format!("| {name} | {} | {} |\n", milliseconds(near.median()), milliseconds(far.median()))
    };
    Ok(format!(
        "## A large file\n\n{MEBIBYTES} MiB in the page cache, {ROUNDS} times, each with its own login (Scout: two, for bulk has a \
         connection apart).\n\n| | 0 ms | {} |\n|---|---:|---:|\n{}{}{}{}",
        milliseconds(ONE_WAY * 2),
        row("Scout reads", &near.read, &far.read),
        row("`sftp` gets", &near.sftp, &far.sftp),
        row("`ssh … cat`", &near.cat, &far.cat),
        row("Scout writes, with fsync and rename", &near.write, &far.write),
    ))
}

#[derive(Default)]
struct Side {
    read: Samples,
    sftp: Samples,
    cat: Samples,
    write: Samples,
}

impl Side {
    async fn measure(world: &World, address: SocketAddr, path: &Path) -> Result<Self> {
        let mut side = Self::default();
        for _ in 0..ROUNDS {
            side.read.push(crate::engine::time(read(world, address, path)).await?);
            let from = format!("{}@{}:{}", login_name(), address.ip(), path.display());
            side.sftp.push(crate::engine::time(openssh(world, address, "sftp", &[&from, "/dev/null"])).await?);
            let (host, cat) = (format!("{}@{}", login_name(), address.ip()), format!("cat {}", path.display()));
            side.cat.push(crate::engine::time(openssh(world, address, "ssh", &[&host, &cat])).await?);
            side.write.push(crate::engine::time(write(world, address)).await?);
        }
        Ok(side)
    }
}

async fn read(world: &World, address: SocketAddr, path: &Path) -> Result<()> {
    let client = world.client(address)?;
    let call = call();
    let lease = client.pool.lease(&principal(), &client.spec, &call).await?;
    let done = lease.read_to(&remote(path)?, Part::Whole, &mut tokio::io::sink(), &call).await?;
    ensure!(done.bytes == SIZE as u64, "{} bytes came", done.bytes);
    Ok(())
}

async fn write(world: &World, address: SocketAddr) -> Result<()> {
    let client = world.client(address)?;
    let call = call();
    let lease = client.pool.lease(&principal(), &client.spec, &call).await?;
    let mut source = tokio::io::repeat(b'x').take(SIZE as u64);
    let path = world.sshd.dir().join("written");
    lease.write(&remote(&path)?, &mut source, &WriteOptions::default(), &call).await?;
    Ok(())
}

async fn openssh(world: &World, address: SocketAddr, program: &str, arguments: &[&str]) -> Result<()> {
    openssh_at(&world.sshd, address, program, arguments).await
}

/// Runs `sftp` or `ssh`, its output discarded.
pub(crate) async fn openssh_at(sshd: &Sshd, address: SocketAddr, program: &str, arguments: &[&str]) -> Result<()> {
    let known = sshd.dir().join("known_hosts");
    std::fs::write(&known, sshd.known_hosts_line(address))?;
    let begun = Instant::now();
    let output = Command::new(program)
        .args(["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-c", "aes128-gcm@openssh.com"])
        .args([
            "-o",
            &format!("UserKnownHostsFile={}", known.display()),
            "-o",
            &format!("Port={}", address.port()),
            "-i",
        ])
        .arg(&sshd.user_key().private)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "{program} after {:?}: {}",
        begun.elapsed(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
