//! Clients that write more than they read.

use std::process::Stdio;

use scout_tests::Sshd;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::limits::until;
use crate::world::options;

const MEBIBYTE: u64 = 1 << 20;

/// `scout serve` and both its streams, with a file of 1 MiB on the host `box`.
struct Client {
    scout: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    target: String,
    _dir: TempDir,
    _sshd: Sshd,
}

impl Client {
    /// One that has shaken hands and been answered once.
    async fn start() -> Self {
        let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
        let file = sshd.dir().join("large");
        std::fs::write(&file, "x".repeat(1 << 20)).unwrap();
        let target = format!("box:{}", file.display());
        let mut scout = options(&sshd)
            .command(dir.path())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = scout.stdin.take().unwrap();
        let stdout = BufReader::new(scout.stdout.take().unwrap()).lines();
        let mut client = Self { scout, stdin, stdout, target, _dir: dir, _sshd: sshd };
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
        client.write(&json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello})).await;
        assert_eq!(client.read().await["id"], "hello");
        client.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client.call(0).await;
        assert_eq!(client.read().await["result"]["structuredContent"]["size"], 1 << 20);
        client
    }

    async fn write(&mut self, message: &Value) {
        self.stdin.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn call(&mut self, id: usize) {
        let call = json!({"name": "scout", "arguments": {"target": self.target}});
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call})).await;
    }

    async fn read(&mut self) -> Value {
        serde_json::from_str(&self.stdout.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// A line of its /proc/PID/status, in bytes; nothing once it has ended.
    fn memory(&self, line: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.scout.id()?)).ok()?;
        let value = status.lines().find_map(|found| found.strip_prefix(line)?.trim().strip_suffix(" kB"))?;
        Some(value.parse::<u64>().unwrap() << 10)
    }
}

#[tokio::test]
async fn the_calls_of_a_client_that_does_not_read_hold_a_bounded_sum_and_end_with_its_input() {
    let mut client = Client::start().await;
    let idle = client.memory("VmRSS:").unwrap();
    for id in 1..900 {
        client.call(id).await;
    }
    until(|| client.memory("VmRSS:").unwrap() > idle + 64 * MEBIBYTE).await;
    // What it has asked for, it does not want any more; its end for answers stays open.
    let Client { mut scout, stdin, stdout, .. } = client;
    let pid = scout.id().unwrap();
    drop(stdin);
    let mut peak = 0;
    until(|| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let held = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = held.map_or(peak, |held| held.parse::<u64>().unwrap() << 10);
        scout.try_wait().unwrap().is_some()
    })
    .await;
    assert!(scout.wait().await.unwrap().success());
    assert!(peak < idle + 256 * MEBIBYTE, "{} MiB above idle", (peak - idle) / MEBIBYTE);
    drop(stdout);
}

#[tokio::test]
async fn a_client_that_writes_all_its_requests_before_it_reads_gets_all_its_answers() {
    // More than there is room for, of answers that hold 3 MiB each.
    const CALLS: usize = 32;
    let mut client = Client::start().await;
    for id in 0..CALLS {
        client.call(id).await;
    }
    let mut answered = Vec::new();
    for _ in 0..CALLS {
        let answer = client.read().await;
        assert_eq!(answer["result"]["structuredContent"]["size"], 1 << 20, "{answer:.300}");
        answered.push(answer["id"].as_u64().unwrap() as usize);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..CALLS).collect::<Vec<_>>());
}

#[tokio::test]
async fn that_a_client_hangs_up_is_seen_although_nothing_more_is_read_from_it() {
    let mut client = Client::start().await;
    // Each is answered, so most of them are not read any more; a pipe has room for those.
    client.stdin.write_all("x\n".repeat(40_000).as_bytes()).await.unwrap();
    let Client { mut scout, stdin, stdout, .. } = client;
    drop(stdin);
    until(|| scout.try_wait().unwrap().is_some()).await;
    assert!(scout.wait().await.unwrap().success());
    drop(stdout);
}
