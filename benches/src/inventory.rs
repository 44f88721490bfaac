//! Fleets by their size: what a start and a listing take where the configuration names few hosts, and many.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use scout_tests::{Scout, ScoutOptions, Sshd};
use serde_json::json;

use crate::machine;
use crate::samples::{Samples, milliseconds};
use crate::served::binary;
use crate::world::World;

const SIZES: [usize; 4] = [4, 1_000, 10_000, 100_000];
const STARTS: usize = 10;
/// Listings behind the first one.
const LISTINGS: usize = 20;
/// Hosts that are read page by page.
const ALL: usize = 1_000;

/// Where the hosts stand.
#[derive(Clone, Copy)]
enum Source {
    /// `Host` blocks, one after another.
    SshConfig,
    /// The same in a hundred included files, a quarter of them behind a jump host, with `Match` and patterns beside them.
    Mixed,
    /// `Host` lines, and a `[hosts.NAME]` for each.
    ScoutToml,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::SshConfig => "ssh_config",
            Self::Mixed => "ssh_config with includes, jumps, `Match` and patterns",
            Self::ScoutToml => "ssh_config, and a `[hosts.NAME]` for each",
        }
    }

    /// One machine under many names: what is measured is Scout, not the network. Files are kept in `dir`.
    fn options(self, dir: &std::path::Path, sshd: &Sshd, hosts: usize) -> Result<ScoutOptions> {
        let (address, mut ssh_config) = (sshd.address(), String::new());
        let block = |number: usize| sshd.config_block(&format!("host-{number:06}"), address);
        match self {
            Self::SshConfig | Self::ScoutToml => ssh_config.extend((0..hosts).map(block)),
            Self::Mixed => {
                for file in 0..100 {
                    let numbers =
                        (0..hosts).skip(file * hosts / 100).take((file + 1) * hosts / 100 - file * hosts / 100);
                    let jump = |number: usize| if number.is_multiple_of(4) { "  ProxyJump bastion\n" } else { "" };
                    let text: String = numbers.map(|number| block(number) + jump(number)).collect();
                    let path = dir.join(format!("{file:03}.conf"));
                    std::fs::write(&path, text)?;
                }
                write!(
                    ssh_config,
                    "Include {}/*.conf\n{}Match originalhost host-0001*\n  ServerAliveInterval 7\nHost *.corp !host-*\n  User corp\nHost *\n  ConnectTimeout 5\n",
                    dir.display(),
                    sshd.config_block("bastion", address)
                )?;
            }
        }
        let options = ScoutOptions::new(binary()?, ssh_config, sshd.known_hosts_line(address));
        Ok(match self {
            Self::ScoutToml => (0..hosts).fold(options, |options, number| {
                options
                    .setting(&format!("[hosts.host-{number:06}]\ncommands = \"none\"\ntags = [\"t{}\"]", number % 10))
            }),
            Self::SshConfig | Self::Mixed => options,
        })
    }
}

pub(crate) async fn measure() -> Result<String> {
    let world = World::start()?;
    let mut rows = String::new();
    for source in [Source::SshConfig, Source::Mixed, Source::ScoutToml] {
        for size in SIZES {
            let dir = tempfile::tempdir()?;
            let options = source.options(dir.path(), &world.sshd, size)?;
            writeln!(rows, "| {} | {size} | {} |", source.name(), row(&options, size).await?)?;
        }
    }
    Ok(format!(
        "## Fleets by their size\n\nOne sshd under many names; `scout serve` over stdio. A start ends with the first answered `tools/list`, plugins compiled \
         before. Medians of {STARTS} starts, of {LISTINGS} pages of `hosts` (200 hosts) in each, and of as many readings of {ALL} hosts page by page.\n\n\
         | hosts in | hosts | start | resident then | `hosts`, first page | a page again | {ALL} hosts |\n|---|---:|---:|---:|---:|---:|---:|\n{rows}"
    ))
}

async fn row(options: &ScoutOptions, size: usize) -> Result<String> {
    let [mut starts, mut first, mut again, mut all] = std::array::from_fn(|_| Samples::default());
    let mut resident = 0;
    for start in 0..=STARTS {
        let begun = Instant::now();
        let scout = Scout::start(options).await;
        scout.request("tools/list", json!({})).await;
        // The first start compiles.
        if start > 0 {
            starts.push(begun.elapsed());
        }
        resident = machine::memory(scout.pid())?.resident;
        for listing in 0..=LISTINGS {
            let taken = page(&scout, None).await?.0;
            if listing == 0 { first.push(taken) } else { again.push(taken) }
        }
        for _ in 0..LISTINGS {
            let (mut taken, mut read, mut query) = (Duration::ZERO, 0, None);
            while read < ALL.min(size) {
                let (page, hosts, next) = page(&scout, query.as_deref()).await?;
                (taken, read, query) = (taken + page, read + hosts, next);
            }
            all.push(taken);
        }
        ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    }
    let [start, first, again, all] = [&starts, &first, &again, &all].map(|samples| milliseconds(samples.median()));
    let all = if size < ALL { "" } else { &all };
    Ok(format!("{start} | {:.1} MiB | {first} | {again} | {all}", resident as f64 / 1024.0))
}

/// How long a page takes, how many hosts are on it, and the query for the next one.
async fn page(scout: &Scout, query: Option<&str>) -> Result<(Duration, usize, Option<String>)> {
    let arguments = match query {
        Some(query) => json!({"target": "hosts", "query": query}),
        None => json!({"target": "hosts"}),
    };
    let begun = Instant::now();
    let answer = scout.call_with(arguments).await;
    let taken = begun.elapsed();
    ensure!(!answer.is_error(), "{}", answer.text());
    let fields = answer.structured();
    let hosts = fields.get("hosts").and_then(|hosts| hosts.as_array()).context("hosts")?.len();
    Ok((taken, hosts, fields.get("read_on").and_then(|query| query.as_str()).map(str::to_owned)))
}
