//! Measures Scout beside OpenSSH and prints the tables of `RESULTS.md`.
//!
//! Owns what is measured and how it is shown; sshd, the delay link and the client are those of the tests. Both sides
//! ask the same sshd for the same things in turn, so that what slows the machine down slows both.

mod machine;
mod openssh;
mod samples;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use scout_tests::{DelayLink, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use openssh::ControlMaster;
use samples::{Samples, milliseconds};

/// Rounds that count. Even, so that neither side has one more.
const ROUNDS: usize = 30;
/// Rounds before them, which connect and fill caches.
const WARM_UP: usize = 3;
/// Starts that count.
const STARTS: usize = 10;
/// What the link adds in each direction: two of them are a distant region's round trip.
const ONE_WAY: Duration = Duration::from_millis(25);
/// The small file.
const KIBIBYTE: usize = 1024;
/// The large one: the most that Scout answers by default.
const MEBIBYTE: usize = 1024 * 1024;
/// Files in the directory that is listed.
const ENTRIES: usize = 100;

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

#[tokio::main]
async fn main() -> Result<()> {
    let binary = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe().context("where this program is")?.with_file_name("scout"),
    };
    ensure!(binary.exists(), "{} is missing: build it with `cargo build --release`", binary.display());
    let sshd = Sshd::start();
    let cases = cases(sshd.dir())?;

    let direct = compare(&binary, &sshd, sshd.address(), &cases).await.context("without delay")?;
    let link = DelayLink::start(sshd.address(), ONE_WAY).await;
    let delayed = compare(&binary, &sshd, link.address(), &cases).await.context("through the delay link")?;
    let starts = starts(&binary, &sshd).await.context("starting")?;
    report(&direct, &delayed, &starts);
    Ok(())
}

/// Writes what is asked for into `dir`.
fn cases(dir: &Path) -> Result<Vec<Case>> {
    let small = dir.join("small.txt");
    let large = dir.join("large.txt");
    let many = dir.join("many");
    std::fs::write(&small, text(KIBIBYTE))?;
    std::fs::write(&large, text(MEBIBYTE))?;
    std::fs::create_dir(&many)?;
    for number in 0..ENTRIES {
        std::fs::write(many.join(format!("file-{number:03}.log")), "x")?;
    }
    let target = |path: &Path| json!({"target": format!("box:{}", path.display())});
    let cat = |path: &Path| format!("cat {}", path.display());
    Ok(vec![
        Case {
            name: "read 1 KiB",
            arguments: target(&small),
            pointer: "/content",
            length: KIBIBYTE,
            remote: cat(&small),
            printed: KIBIBYTE,
        },
        Case {
            name: "read 1 MiB",
            arguments: target(&large),
            pointer: "/content",
            length: MEBIBYTE,
            remote: cat(&large),
            printed: MEBIBYTE,
        },
        Case {
            name: "list 100 entries",
            arguments: target(&many),
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
            remote: cat(&small),
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
    ])
}

/// Lines of text, `bytes` long in all.
fn text(bytes: usize) -> String {
    "2026-01-01T00:00:00Z web1 nginx[812]: GET /health 200 1.2ms\n".chars().cycle().take(bytes).collect()
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

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn report(direct: &Run, delayed: &Run, starts: &Samples) {
    println!("# Results\n");
    println!("Scout beside OpenSSH, printed by `benches/` and made again with:\n");
    println!("    cargo build --release && cargo run --release -p scout-benches > benches/RESULTS.md\n");
    println!(
        "One real sshd on loopback; `scout serve` over stdio, and `ssh` through a warm ControlMaster (a process for each \
         question, its start included). Both are asked in turn, {WARM_UP} rounds to warm up and {ROUNDS} that count. \
         Scout's time runs from the written request to the parsed answer. The last column is Scout's median through \
         `ssh`'s: below 1, Scout is faster.\n"
    );
    println!("{}", machine::facts());
    println!("\n## 0 ms: no link between\n");
    table(&direct.rows);
    println!(
        "\n## {} round trip: a link that delays each way by {}\n",
        milliseconds(ONE_WAY * 2),
        milliseconds(ONE_WAY)
    );
    table(&delayed.rows);
    println!(
        "\nThe link accepts a TCP connection at once, so the probe of `hosts` does not wait for it; `ssh` has no such question, \
         and runs `true`."
    );
    println!("\n## Process\n");
    println!("| | |\n|---|---|");
    println!(
        "| start to the first answered `tools/list`, plugins compiled before ({STARTS} starts) | median {}, minimum {} |",
        milliseconds(starts.median()),
        milliseconds(starts.minimum())
    );
    println!("| memory after the run at 0 ms | {} |", direct.memory);
    println!("| memory after the run at {} | {} |", milliseconds(ONE_WAY * 2), delayed.memory);
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn table(rows: &[Row]) {
    println!("| | Scout, median | minimum | `ssh`, median | minimum | Scout / `ssh` |");
    println!("|---|---:|---:|---:|---:|---:|");
    for Row { name, scout, openssh } in rows {
        println!(
            "| {name} | {} | {} | {} | {} | {:.2} |",
            milliseconds(scout.median()),
            milliseconds(scout.minimum()),
            milliseconds(openssh.median()),
            milliseconds(openssh.minimum()),
            scout.median().as_secs_f64() / openssh.median().as_secs_f64()
        );
    }
}
