//! How fast large files come and go, beside OpenSSH's own `sftp` and `ssh`: `cargo run --release --example transfer`.
//!
//! Needs the harness's sshd. Each figure is the best of three, the file in the page cache; each tool's time includes its
//! own dial, Scout's connection is up already, as in use.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints and may stop")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scout_ssh::{Call, Lease, Part, Pool, PoolConfig, Principal, SshConfig, WriteOptions};
use scout_tests::{DelayLink, Sshd};

const MIB: usize = 1024 * 1024;
const RUNS: usize = 3;

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let sshd = Sshd::start();
    let slow = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let path = sshd.dir().join("large");
    for (what, address, size) in [("loopback", sshd.address(), 256 * MIB), ("50 ms", slow.address(), 256 * MIB)] {
        std::fs::write(&path, vec![b'x'; size]).unwrap();
        let lease = lease(&sshd, address).await;
        println!("{what}, {} MiB", size / MIB);
        report("  scout read_to", size, best(async || read(&lease, &path).await).await);
        report("  scout write", size, best(async || write(&lease, sshd.dir(), size).await).await);
        report("  sftp get", size, best(async || blocking(|| sftp(&sshd, address, &path)).await).await);
        report("  ssh cat", size, best(async || blocking(|| ssh(&sshd, address, &path)).await).await);
    }
}

fn report(what: &str, size: usize, time: Duration) {
    println!("{what:16} {:7.0} ms {:6.0} MiB/s", time.as_secs_f64() * 1e3, (size / MIB) as f64 / time.as_secs_f64());
}

async fn best(run: impl AsyncFn()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let begun = Instant::now();
        run().await;
        best = best.min(begun.elapsed());
    }
    best
}

async fn blocking(run: impl FnOnce() + Send) {
    tokio::task::block_in_place(run);
}

async fn lease(sshd: &Sshd, address: SocketAddr) -> Lease {
    let known = sshd.dir().join("known_hosts");
    std::fs::write(&known, sshd.known_hosts_line(address)).unwrap();
    let config = sshd.dir().join("config");
    std::fs::write(&config, sshd.config_block("box", address)).unwrap();
    let spec = Arc::new(SshConfig::load(&config, None, sshd.dir()).unwrap().resolve("box").unwrap());
    let pool = Pool::new(PoolConfig { known_hosts: Some(vec![known]), ..PoolConfig::default() });
    let lease = pool.lease(&Principal::new("me"), &spec, &call()).await.unwrap();
    // Keeps the pool alive for the run.
    std::mem::forget(pool);
    lease
}

fn call() -> Call {
    Call::until(tokio::time::Instant::now() + Duration::from_secs(600))
}

async fn read(lease: &Lease, path: &Path) {
    let path = path.display().to_string();
    lease.read_to(path.as_bytes(), Part::Whole, &mut tokio::io::sink(), &call()).await.unwrap();
}

async fn write(lease: &Lease, dir: &Path, size: usize) {
    let path = dir.join("written").display().to_string();
    let mut source = tokio::io::AsyncReadExt::take(tokio::io::repeat(b'x'), size as u64);
    lease.write(path.as_bytes(), &mut source, &WriteOptions::default(), &call()).await.unwrap();
}

fn openssh(sshd: &Sshd, address: SocketAddr, program: &str) -> Command {
    let known = sshd.dir().join("known_hosts");
    std::fs::write(&known, sshd.known_hosts_line(address)).unwrap();
    let mut command = Command::new(program);
    command
        .args(["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-c", "aes128-gcm@openssh.com"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(&sshd.user_key().private)
        .arg(if program == "ssh" { "-p" } else { "-P" })
        .arg(address.port().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn sftp(sshd: &Sshd, address: SocketAddr, path: &Path) {
    let from = format!("{}@{}:{}", scout_tests::login_name(), address.ip(), path.display());
    assert!(openssh(sshd, address, "sftp").arg(from).arg("/dev/null").status().unwrap().success());
}

fn ssh(sshd: &Sshd, address: SocketAddr, path: &Path) {
    let mut command = openssh(sshd, address, "ssh");
    command.arg("-l").arg(scout_tests::login_name()).arg(address.ip().to_string()).arg("cat").arg(path);
    assert!(command.status().unwrap().success());
}
