//! What OpenZFS tells of its pools, datasets and snapshots. Pure.

use scout_plugin::rows::{Cell, Row};
use scout_plugin::text;

use crate::part::{Health, Part, Told};

pub(crate) const LIST: &[&str] = &["zpool", "list", "-H", "-p", "-o", "name,size,alloc,free,frag,health"];
pub(crate) const STATUS: &[&str] = &["zpool", "status", "-p"];
pub(crate) const DATASETS: &[&str] =
    &["zfs", "list", "-H", "-p", "-t", "filesystem,volume", "-o", "name,type,used,avail,refer,mountpoint"];
pub(crate) const SNAPSHOTS: &[&str] =
    &["zfs", "list", "-H", "-p", "-t", "snapshot", "-S", "creation", "-o", "name,used,refer,creation"];

/// What is said where the kernel lacks the module (OpenZFS 2.1 to 2.3).
pub(crate) const NO_MODULE: [&str; 3] =
    ["modules cannot be auto-loaded", "modules are not loaded", "/dev/zfs and /proc/self/mounts are required"];

/// Of a pool that is as full, writing becomes slow.
const FULL_PERCENT: u64 = 90;

/// The most characters that are repeated of what a pool says of itself.
const MAX_DETAIL: usize = 300;

/// The pools of [`LIST`].
pub(crate) fn pools(output: &[u8]) -> Told {
    let output = String::from_utf8_lossy(output);
    let mut told = Told::default();
    for line in output.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, size, used, free, fragmented, state] = fields.as_slice() else {
            told.unread += 1;
            continue;
        };
        let mut pool = Part {
            kind: "zpool",
            name: (*name).to_owned(),
            health: health(state),
            state: Some((*state).to_owned()),
            size: size.parse().ok(),
            used: used.parse().ok(),
            free: free.parse().ok(),
            details: Vec::new(),
        };
        if let (Some(size), Some(used)) = (pool.size.filter(|size| *size > 0), pool.used) {
            let percent = u128::from(used) * 100 / u128::from(size);
            if percent >= u128::from(FULL_PERCENT) {
                pool.details.push(format!("{percent}% full"));
                pool.at_best(Health::Warning);
            }
        }
        if let Some(percent) = fragmented.trim_end_matches('%').parse::<u64>().ok().filter(|percent| *percent > 50) {
            pool.details.push(format!("{percent}% fragmented"));
        }
        told.parts.push(pool);
    }
    told
}

/// States of pools and of what they are made of, as zpoolconcepts(7) has them.
fn health(state: &str) -> Health {
    match state {
        "ONLINE" => Health::Ok,
        "DEGRADED" | "OFFLINE" => Health::Warning,
        "FAULTED" | "UNAVAIL" | "REMOVED" | "SUSPENDED" => Health::Failed,
        _ => Health::Unknown,
    }
}

/// What [`STATUS`] says of the pools: what is amiss, when they were last scrubbed, errors of devices and of data.
pub(crate) fn add_status(output: &[u8], pools: &mut [Part]) {
    let output = String::from_utf8_lossy(output);
    let mut current: Option<&mut Part> = None;
    let mut heading = "";
    let mut is_device = false;
    for line in output.lines() {
        let (name, rest) = match line.trim_start().split_once(": ") {
            Some((name, rest)) if HEADINGS.contains(&name) => (name, rest),
            _ => ("", line),
        };
        if name == "pool" {
            current = pools.iter_mut().find(|pool| pool.name == rest.trim());
            (heading, is_device) = ("pool", false);
            continue;
        }
        if line.trim() == "config:" {
            heading = "config";
            continue;
        }
        if !name.is_empty() {
            heading = name;
        }
        let Some(pool) = current.as_deref_mut() else { continue };
        match heading {
            "status" | "scan" if !rest.trim().is_empty() => {
                // It goes on over several lines.
                let goes_on = name.is_empty();
                let heading = if name == "scan" { "scan: " } else { "" };
                let said = text::clipped(&format!("{heading}{}", rest.trim()), MAX_DETAIL);
                match pool.details.last_mut().filter(|_| goes_on) {
                    Some(last) if last.chars().count() < MAX_DETAIL => *last = format!("{last} {said}"),
                    Some(_) => {}
                    None => pool.details.push(said),
                }
                if name == "status" {
                    pool.at_best(Health::Warning);
                }
            }
            "errors" if !name.is_empty() && !rest.contains("No known data errors") => {
                pool.details.push(text::clipped(rest.trim(), MAX_DETAIL));
                pool.at_best(Health::Failed);
            }
            "config" => {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                match words.as_slice() {
                    ["NAME", "STATE", "READ", "WRITE", "CKSUM"] => is_device = true,
                    [device, state, read, write, checksum, ..] if is_device && *device != pool.name => {
                        let counts = [("read", read), ("write", write), ("checksum", checksum)];
                        let wrong = counts.iter().filter(|(_, count)| **count != "0");
                        let wrong: Vec<String> = wrong.map(|(what, count)| format!("{count} {what}")).collect();
                        if !matches!(health(state), Health::Ok | Health::Unknown) {
                            pool.details.push(format!("{device} is {state}"));
                        }
                        if !wrong.is_empty() && read.bytes().all(|byte| byte.is_ascii_digit()) {
                            pool.details.push(format!("{device} has errors: {}", wrong.join(", ")));
                            pool.at_best(Health::Warning);
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Names before a colon in `zpool status`.
const HEADINGS: [&str; 10] =
    ["pool", "state", "status", "action", "see", "scan", "scrub", "remove", "checkpoint", "errors"];

/// The datasets of [`DATASETS`], and lines that are none.
pub(crate) fn datasets(output: &[u8]) -> (Vec<Row>, usize) {
    rows(output, |fields| {
        let [name, kind, used, available, referenced, mounted] = fields else { return None };
        Some(vec![
            Cell::text(*name),
            Cell::text(*kind),
            Cell::number(used.parse().ok()),
            Cell::number(available.parse().ok()),
            Cell::number(referenced.parse().ok()),
            Cell::text(Some(*mounted).filter(|mounted| !matches!(*mounted, "-" | "none" | "legacy"))),
        ])
    })
}

/// The snapshots of [`SNAPSHOTS`], the newest first, and lines that are none.
pub(crate) fn snapshots(output: &[u8]) -> (Vec<Row>, usize) {
    rows(output, |fields| {
        let [name, used, referenced, created] = fields else { return None };
        Some(vec![
            Cell::text(Some(*name).filter(|name| name.contains('@'))?),
            Cell::number(used.parse().ok()),
            Cell::number(referenced.parse().ok()),
            Cell::text(created.parse().ok().and_then(text::rfc3339).as_deref()),
        ])
    })
}

fn rows(output: &[u8], row: impl Fn(&[&str]) -> Option<Row>) -> (Vec<Row>, usize) {
    let output = String::from_utf8_lossy(output);
    let (mut rows, mut unread) = (Vec::new(), 0);
    for line in output.lines().filter(|line| !line.is_empty()) {
        match row(&line.split('\t').collect::<Vec<_>>()) {
            Some(row) => rows.push(row),
            None => unread += 1,
        }
    }
    (rows, unread)
}

#[cfg(test)]
#[path = "zfs_tests.rs"]
mod tests;
