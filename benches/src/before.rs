//! Scout beside an earlier build of itself: what a change costs the path that everybody takes.
//!
//! Both ask the same sshd for the same file in turn, each first as often as the other, so that what slows the machine down
//! slows both.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use scout_tests::{Scout, ScoutOptions};
use serde_json::{Value, json};

use crate::samples::{Samples, milliseconds};
use crate::served::binary;
use crate::world::{KIBIBYTE, World};

/// Names the program of the earlier build.
const VARIABLE: &str = "SCOUT_BEFORE";
/// Reads of each that count. Even, so that each is first as often.
const ROUNDS: usize = 2000;
/// Reads before them.
const WARM_UP: usize = 100;

pub(crate) async fn measure() -> Result<String> {
    let Some(before) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return Ok(format!(
            "## Beside an earlier build\n\nNot measured: `{VARIABLE}` names the program of one, built with the same profile.\n"
        ));
    };
    let world = World::start()?;
    let (address, sshd) = (world.sshd.address(), &world.sshd);
    let start = async |binary: &Path| {
        let options = ScoutOptions::new(binary, sshd.config_block("box", address), sshd.known_hosts_line(address));
        Scout::start(&options).await
    };
    ensure!(before.exists(), "{VARIABLE} names {}, which does not exist", before.display());
    let sides = [start(&before).await, start(&binary()?).await];
    let mut samples = [Samples::default(), Samples::default()];
    for round in 0..WARM_UP + ROUNDS {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let (Some(scout), Some(samples)) = (sides.get(which), samples.get_mut(which)) else { continue };
            let taken = read(scout, &world.small).await.context("read 1 KiB")?;
            if round >= WARM_UP {
                samples.push(taken);
            }
        }
    }
    for scout in sides {
        ensure!(scout.close().await.success(), "scout did not end well: {}", scout.stderr());
    }
    let [before, now] = samples;
    Ok(format!(
        "## Beside an earlier build\n\nOne read of 1 KiB through `scout serve` at 0 ms, {ROUNDS} of each build in turn.\n\n\
         | | median | minimum | 90th percentile |\n|---|---:|---:|---:|\n{}{}| now / before | {:.3} | {:.3} | {:.3} |\n",
        row("before", &before),
        row("now", &now),
        ratio(now.median(), before.median()),
        ratio(now.minimum(), before.minimum()),
        ratio(now.percentile(90), before.percentile(90)),
    ))
}

async fn read(scout: &Scout, path: &Path) -> Result<Duration> {
    let target = json!({"target": format!("box:{}", path.display())});
    let begun = Instant::now();
    let answer = scout.call_with(target).await;
    let taken = begun.elapsed();
    ensure!(!answer.is_error(), "{}", answer.text());
    let length = answer.structured().get("content").and_then(Value::as_str).map(str::len);
    ensure!(length == Some(KIBIBYTE), "the content is {length:?} bytes long");
    Ok(taken)
}

fn row(name: &str, samples: &Samples) -> String {
    let [median, minimum, most] = [samples.median(), samples.minimum(), samples.percentile(90)].map(milliseconds);
    format!("| {name} | {median} | {minimum} | {most} |\n")
}

fn ratio(now: Duration, before: Duration) -> f64 {
    now.as_secs_f64() / before.as_secs_f64()
}
