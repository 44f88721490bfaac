//! The memory that Scout takes for work whose size a client, a plugin or a file chooses.
//!
//! Each case is one process, `scout serve` that has answered a call, whose peak is then counted anew by the kernel; the
//! cassette is read by this one.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use scout_runtime::cassette::Cassette;
use scout_tests::{Guest, Scout, ScoutOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::machine::{self, Memory};
use crate::samples::milliseconds;
use crate::served::binary;
use crate::world::World;

/// Calls at once of a plugin that answers much.
const CALLS: usize = 12;
/// The same, whose answers are held against a large schema.
const CHECKED: usize = 16;
/// Reads of 1 MiB of a client that does not read.
const UNREAD: usize = 899;
/// The length of a request line and of a cassette that are too full of values, in bytes.
const LINE: usize = 14 << 20;
const CASSETTE: usize = 12 << 20;
/// A client that does not read is looked at until its peak has rested for so long.
const REST: Duration = Duration::from_secs(3);

pub(crate) async fn measure() -> Result<String> {
    let world = World::start()?;
    let rows = [
        ("a request line of 14 MiB of small arrays (refused)", line(&world).await.context("request line")?),
        ("899 reads of 1 MiB by a client that reads no answer", unread(&world).await.context("unread answers")?),
        (
            "a plugin of 28,500 patterns that is loaded (refused)",
            plugin(&world, Guest::DescribesManyPatterns, 1, &json!({})).await.context("many patterns")?,
        ),
        (
            "12 answers at once of 4 MiB of small values",
            plugin(&world, Guest::AnswersSmallValues, CALLS, &json!({"value": "1"})).await.context("small values")?,
        ),
        (
            "12 answers at once of 4 MiB of objects with one field",
            plugin(&world, Guest::AnswersSmallValues, CALLS, &json!({"value": "{\"a\":1}"}))
                .await
                .context("objects")?,
        ),
        (
            "16 answers at once of 4 MiB, each held against a schema of 4,000 parts",
            plugin(&world, Guest::AnswersMuchToALargeSchema, CHECKED, &json!({})).await.context("large schema")?,
        ),
        ("a cassette of 12 MiB of small values (refused)", cassette()?),
    ];
    let mut text = String::from(
        "## What others may cost\n\nResident memory at its peak above what was resident before, as the kernel counts it; 256 MiB are asked \
         for.\n\n| | before | above it |\n|---|---:|---:|\n",
    );
    for (name, Taken { before, above }) in rows {
        text.push_str(&format!("| {name} | {before:.1} MiB | {above:.1} MiB |\n"));
    }
    Ok(text)
}

/// In MiB.
struct Taken {
    before: f64,
    above: f64,
}

/// What a process has, its peak being counted anew from here on.
fn begin(pid: u32) -> Result<Memory> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("counting a peak anew")?;
    machine::memory(pid)
}

fn taken(before: Memory, now: Memory) -> Taken {
    let mebibytes = |kib: u64| kib as f64 / 1024.0;
    Taken { before: mebibytes(before.resident), above: mebibytes(now.peak.saturating_sub(before.resident)) }
}

fn options(world: &World) -> Result<ScoutOptions> {
    let (sshd, address) = (&world.sshd, world.sshd.address());
    Ok(ScoutOptions::new(binary()?, sshd.config_block("box", address), sshd.known_hosts_line(address)))
}

async fn line(world: &World) -> Result<Taken> {
    let scout = Scout::start(&options(world)?).await;
    ensure!(!scout.call(&format!("box:{}", world.small.display())).await.is_error(), "a read");
    let before = begin(scout.pid())?;
    let values = "[],".repeat(LINE / 3);
    let answer = scout.request("tools/call", json!({"name": "scout", "arguments": {"target": "hosts"}})).await;
    ensure!(answer.get("result").is_some(), "{answer}");
    scout.send_line(&format!(r#"{{"jsonrpc":"2.0","id":99999,"method":"tools/call","params":[{values}0]}}"#)).await;
    let after = scout.request("tools/call", json!({"name": "scout", "arguments": {"target": "hosts"}})).await;
    ensure!(after.get("result").is_some(), "the next line is not served: {after}");
    let now = machine::memory(scout.pid())?;
    ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    Ok(taken(before, now))
}

async fn unread(world: &World) -> Result<Taken> {
    let dir = tempfile::tempdir()?;
    let mut command = options(world)?.command(dir.path());
    let mut scout = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (stdin, stdout) = (scout.stdin.take(), scout.stdout.take());
    let (mut stdin, mut stdout) = (stdin.context("its input")?, stdout.context("its output")?);
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "b", "version": "0"}});
    let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello});
    let call = |id: usize| {
        let arguments = json!({"target": format!("box:{}", world.large.display())});
        let params = json!({"name": "scout", "arguments": arguments});
        format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
    };
    let begun = format!("{hello}\n{}\n", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    stdin.write_all(begun.as_bytes()).await?;
    stdout.read_u8().await?;
    let pid = scout.id().context("its process")?;
    let before = begin(pid)?;
    for id in 0..UNREAD {
        stdin.write_all(call(id).as_bytes()).await?;
    }
    let mut now = machine::memory(pid)?;
    loop {
        tokio::time::sleep(REST).await;
        let later = machine::memory(pid)?;
        if later.peak == now.peak {
            break;
        }
        now = later;
    }
    drop((stdin, stdout));
    ensure!(scout.wait().await?.success(), "scout did not end well within {}", milliseconds(REST));
    Ok(taken(before, now))
}

/// A plugin that comes while Scout serves, and calls of its tool, if it has one then.
async fn plugin(world: &World, guest: Guest, calls: usize, arguments: &Value) -> Result<Taken> {
    let dir = tempfile::tempdir()?;
    let (wasm, toml) = (dir.path().join("guest.wasm"), dir.path().join("scout.toml"));
    std::fs::write(&wasm, Guest::BringsTools.bytes())?;
    let mut base = options(world)?;
    base.env.push(("SCOUT_LOG".to_owned(), "info".to_owned()));
    let (ssh_config, known_hosts) = (dir.path().join("ssh_config"), dir.path().join("known_hosts"));
    std::fs::write(&ssh_config, &base.ssh_config)?;
    std::fs::write(&known_hosts, &base.known_hosts)?;
    let shown = |path: &Path| format!("{:?}", path.display().to_string());
    std::fs::write(
        &toml,
        format!(
            "ssh_config = {}\nknown_hosts = {}\naudit_log = {}\n[plugins.mallory]\nsource = {}\n",
            shown(&ssh_config),
            shown(&known_hosts),
            shown(&dir.path().join("audit.jsonl")),
            shown(&wasm)
        ),
    )?;
    let scout = Scout::spawn_at(&base, &toml);
    scout.initialize().await;
    ensure!(!scout.call(&format!("box:{}", world.small.display())).await.is_error(), "a read");
    let before = begin(scout.pid())?;
    let replacement = dir.path().join("new.wasm");
    std::fs::write(&replacement, guest.bytes())?;
    std::fs::rename(&replacement, &wasm)?;
    // Loaded or refused, the next revision serves then.
    scout.logs("revision=2", 1).await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let (scout, params) = (Arc::clone(&scout), json!({"name": "answer", "arguments": arguments}));
        asked.spawn(async move { scout.request("tools/call", params).await });
    }
    asked.join_all().await;
    let now = machine::memory(scout.pid())?;
    ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    Ok(taken(before, now))
}

fn cassette() -> Result<Taken> {
    let lines = vec!["\"\""; CASSETTE / 3].join(",");
    let text = format!(r#"{{"cassette": 1, "plugin": "mine", "tool": "look", "secret_paths": [{lines}]}}"#);
    let pid = std::process::id();
    let before = begin(pid)?;
    ensure!(Cassette::parse(text.as_bytes()).is_err(), "it is read");
    Ok(taken(before, machine::memory(pid)?))
}
