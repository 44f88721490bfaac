//! Fleets by their size: what a start and a listing take where ssh_config names few hosts, and many.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use scout_tests::{Scout, ScoutOptions};
use serde_json::json;

use crate::samples::{Samples, milliseconds};
use crate::served::binary;
use crate::world::World;

const SIZES: [usize; 3] = [4, 1_000, 10_000];
const STARTS: usize = 10;
/// Listings behind the first one.
const LISTINGS: usize = 20;

pub(crate) async fn measure() -> Result<String> {
    let world = World::start()?;
    let (address, sshd) = (world.sshd.address(), &world.sshd);
    let mut rows = String::new();
    for size in SIZES {
        // One machine under many names: what is measured is Scout, not the network.
        let block = |number: usize| sshd.config_block(&format!("host-{number:05}"), address);
        let ssh_config = (0..size).map(block).collect::<String>();
        let bytes = ssh_config.len();
        let options = ScoutOptions::new(binary()?, ssh_config, sshd.known_hosts_line(address));
        let (mut starts, mut first, mut again) = (Samples::default(), Samples::default(), Samples::default());
        for start in 0..=STARTS {
            let begun = Instant::now();
            let scout = Scout::start(&options).await;
            scout.request("tools/list", json!({})).await;
            // The first start compiles.
            if start > 0 {
                starts.push(begun.elapsed());
            }
            for listing in 0..=LISTINGS {
                let begun = Instant::now();
                let answer = scout.call_with(json!({"target": "hosts"})).await;
                let taken = begun.elapsed();
                ensure!(!answer.is_error(), "{}", answer.text());
                if listing == 0 { first.push(taken) } else { again.push(taken) }
            }
            ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
        }
        let [start, first, again] = [&starts, &first, &again].map(|samples| milliseconds(samples.median()));
        writeln!(rows, "| {size} | {bytes} | {start} | {first} | {again} |")?;
    }
    Ok(format!(
        "## Fleets by their size\n\nOne sshd under many names in ssh_config; `scout serve` over stdio. A start ends with the first answered `tools/list`, plugins compiled \
         before. Medians of {STARTS} starts and of {LISTINGS} listings in each.\n\n\
         | hosts | bytes of ssh_config | start | `hosts`, first | `hosts` again |\n|---:|---:|---:|---:|---:|\n{rows}"
    ))
}
