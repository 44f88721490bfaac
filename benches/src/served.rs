//! Scout as clients meet it: `scout serve` over stdio, beside `ssh` with a warm ControlMaster.
//!
//! Both sides ask the same sshd for the same things in turn, so that what slows the machine down slows both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use scout_tests::{DelayLink, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::machine;
use crate::openssh::ControlMaster;
use crate::samples::{Samples, milliseconds};
use crate::world::{ENTRIES, KIBIBYTE, MEBIBYTE, ONE_WAY, World};

/// Rounds that count. Even, so that neither side has one more.
const ROUNDS: usize = 30;
/// Rounds before them, which connect and fill caches.
const WARM_UP: usize = 3;
/// Starts that count.
const STARTS: usize = 10;

/// One question, as both sides ask it.
struct Case {
    name: &'static str,
    /// Arguments of the `scout` tool.
    arguments: Value,
    /// Where the structured answer holds text or a list of `length`.
    pointer: &'static str,
    length: usize,
    /// What `ssh` runs.
    remote: String,
    /// The least that it must print, in bytes.
    printed: usize,
}

struct Row {
    name: &'static str,
    scout: Samples,
    openssh: Samples,
}

struct Run {
    rows: Vec<Row>,
    memory: machine::Memory,
}

pub(crate) async fn measure() -> Result<String> {
    let binary = binary()?;
    let world = World::start()?;
    let cases = cases(&world);
    let direct = compare(&binary, &world.sshd, world.sshd.address(), &cases).await.context("without delay")?;
    let link = DelayLink::start(world.sshd.address(), ONE_WAY).await;
    let delayed = compare(&binary, &world.sshd, link.address(), &cases).await.context("through the delay link")?;
    let starts = starts(&binary, &world.sshd).await.context("starting")?;
    Ok(report(&direct, &delayed, &starts))
}

/// The program that is measured.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe().context("where this program is")?.with_file_name("scout");
    ensure!(path.exists(), "{} is missing: build it with `cargo build --release`", path.display());
    Ok(path)
}

fn cases(world: &World) -> Vec<Case> {
    let (dir, small, large, many) = (world.sshd.dir(), &world.small, &world.large, &world.many);
    let target = |path: &Path| json!({"target": format!("box:{}", path.display())});
    let cat = |path: &Path| format!("cat {}", path.display());
    vec![
        Case {
            name: "read 1 KiB",
            arguments: target(small),
            pointer: "/content",
            length: KIBIBYTE,
            remote: cat(small),
            printed: KIBIBYTE,
        },
        Case {
            name: "read 1 MiB",
            arguments: target(large),
            pointer: "/content",
            length: MEBIBYTE,
            remote: cat(large),
            printed: MEBIBYTE,
        },
        Case {
            name: "list 100 entries",
            arguments: target(many),
            pointer: "/entries",
            length: ENTRIES,
            remote: format!("ls -la {}", many.display()),
            printed: ENTRIES * "file-000.log\n".len(),
        },
        Case {
            name: "command: `cat` of 1 KiB",
            arguments: json!({"target": format!("box:{}", dir.display()), "query": "cat small.txt"}),
            pointer: "/stdout",
            length: KIBIBYTE,
            remote: cat(small),
            printed: KIBIBYTE,
        },
        Case {
            name: "hosts, one of them (`ssh`: `true`)",
            arguments: json!({"target": "hosts"}),
            pointer: "/hosts",
            length: 1,
            remote: "true".to_owned(),
            printed: 0,
        },
    ]
}

/// Asks both sides everything, in turn.
async fn compare(binary: &Path, sshd: &Sshd, address: SocketAddr, cases: &[Case]) -> Result<Run> {
    let options = ScoutOptions::new(binary, sshd.config_block("box", address), sshd.known_hosts_line(address));
    let scout = Scout::start(&options).await;
    let openssh = ControlMaster::start(&sshd.config_block("box", address), &sshd.known_hosts_line(address)).await?;
    let mut rows = Vec::new();
    for case in cases {
        let mut row = Row { name: case.name, scout: Samples::default(), openssh: Samples::default() };
        for round in 0..WARM_UP + ROUNDS {
            let ours = ask_scout(&scout, case).await.with_context(|| format!("{}: scout", case.name))?;
            let theirs = ask_openssh(&openssh, case).await.with_context(|| format!("{}: ssh", case.name))?;
            if round >= WARM_UP {
                row.scout.push(ours);
                row.openssh.push(theirs);
            }
        }
        rows.push(row);
    }
    let memory = machine::memory(scout.pid())?;
    ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    Ok(Run { rows, memory })
}

async fn ask_scout(scout: &Scout, case: &Case) -> Result<Duration> {
    let arguments = case.arguments.clone();
    let begun = Instant::now();
    let answer = scout.call_with(arguments).await;
    let taken = begun.elapsed();
    ensure!(!answer.is_error(), "{}", answer.text());
    let structured = answer.structured();
    let length = match structured.pointer(case.pointer) {
        Some(Value::String(text)) => text.len(),
        Some(Value::Array(list)) => list.len(),
        _ => 0,
    };
    ensure!(length == case.length, "`{}` is {length} long, not {}", case.pointer, case.length);
    Ok(taken)
}

async fn ask_openssh(openssh: &ControlMaster, case: &Case) -> Result<Duration> {
    let begun = Instant::now();
    let output = openssh.run(&case.remote).await?;
    let taken = begun.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.stdout.len() >= case.printed, "only {} bytes came", output.stdout.len());
    Ok(taken)
}

/// From starting the process to the answer of the first tools/list, compiled plugins being cached.
async fn starts(binary: &Path, sshd: &Sshd) -> Result<Samples> {
    let options =
        ScoutOptions::new(binary, sshd.config_block("box", sshd.address()), sshd.known_hosts_line(sshd.address()));
    let mut samples = Samples::default();
    // The runs before this one have filled the cache.
    for _ in 0..STARTS {
        let begun = Instant::now();
        let scout = Scout::start(&options).await;
        let tools = scout.request("tools/list", json!({})).await;
        samples.push(begun.elapsed());
        ensure!(tools.pointer("/result/tools/0/name") == Some(&json!("scout")), "no tool: {tools}");
        ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    }
    Ok(samples)
}

fn report(direct: &Run, delayed: &Run, starts: &Samples) -> String {
    let round_trip = milliseconds(ONE_WAY * 2);
    format!(
        "## Scout as clients meet it\n\n`scout serve` over stdio, and `ssh` through a warm ControlMaster (a process for each \
         question, its start included), {ROUNDS} of each. Scout's time runs from the written request to the parsed answer. The \
         last column is Scout's median through `ssh`'s: below 1, Scout is faster.\n\n\
         No link between:\n\n{}\n\
         A link that delays each way by {}. It accepts a TCP connection at once, so the probe of `hosts` does not wait for it; \
         `ssh` has no such question, and runs `true`:\n\n{}\n\
         | the process | |\n|---|---|\n\
         | start to the first answered `tools/list`, plugins compiled before ({STARTS} starts) | median {}, minimum {} |\n\
         | memory after the run at 0 ms | {} |\n| memory after the run at {round_trip} | {} |\n",
        table(&direct.rows),
        milliseconds(ONE_WAY),
        table(&delayed.rows),
        milliseconds(starts.median()),
        milliseconds(starts.minimum()),
        direct.memory,
        delayed.memory,
    )
}

fn table(rows: &[Row]) -> String {
    let mut text =
        String::from("| | Scout | minimum | `ssh` | minimum | Scout / `ssh` |\n|---|---:|---:|---:|---:|---:|\n");
    for Row { name, scout, openssh } in rows {
        text.push_str(&format!(
            "| {name} | {} | {} | {} | {} | {:.2} |\n",
            milliseconds(scout.median()),
            milliseconds(scout.minimum()),
            milliseconds(openssh.median()),
            milliseconds(openssh.minimum()),
            scout.median().as_secs_f64() / openssh.median().as_secs_f64()
        ));
    }
    text
}
