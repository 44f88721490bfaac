//! Scout in a process whose address space is bounded, as by `ulimit -v`, by a container or by a batch system.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use scout_tests::{Scout, Sshd};
use serde_json::json;
use tempfile::TempDir;

use crate::world::{binary, options};

/// A Scout that starts with so much address space, in KiB, and with nothing compiled. The directory keeps its program.
async fn bounded(sshd: &Sshd, kibibytes: u64) -> (Arc<Scout>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(sshd);
    options.binary = dir.path().join("scout");
    let script = format!("#!/bin/sh\nulimit -v {kibibytes} || exit 1\nexec '{}' \"$@\"\n", binary().display());
    std::fs::write(&options.binary, script).unwrap();
    std::fs::set_permissions(&options.binary, Permissions::from_mode(0o755)).unwrap();
    (Scout::start(&options).await, dir)
}

/// What it uses of it, in bytes.
fn address_space(scout: &Scout) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scout.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// The answers to reads, listings and commands, `count` of each, all at once.
async fn at_once(scout: &Arc<Scout>, count: usize) -> Vec<scout_tests::Answer> {
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        for arguments in [
            json!({"target": "box:/etc/hostname"}),
            json!({"target": "box:/etc"}),
            json!({"target": "box", "query": "cat /etc/hostname"}),
        ] {
            let scout = Arc::clone(scout);
            calls.spawn(async move { scout.call_with(arguments).await });
        }
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_gigabytes_of_address_space_sixty_calls_at_once_are_answered() {
    let sshd = Sshd::start();
    let (scout, _program) = bounded(&sshd, 2_000_000).await;
    for answer in at_once(&scout, 20).await {
        assert!(!answer.is_error(), "{}\n{}", answer.text(), scout.stderr());
    }
    // Else the bound was none.
    assert!(address_space(&scout) < 2_000_000 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_address_space_are_told_to_come_again_and_are_no_crashes_of_the_plugin() {
    const MEBIBYTE: u64 = 1 << 20;
    let sshd = Sshd::start();
    let (scout, _program) = bounded(&sshd, 4_000_000).await;
    assert!(!scout.call("box:/etc/hostname").await.is_error());
    // From here on there is room for small things; a guest's memory takes more than 16 MiB.
    let pid = Pid::from_raw(scout.pid().cast_signed());
    let bound =
        |bytes| prlimit(pid, Resource::As, Rlimit { current: Some(bytes), maximum: Some(4_096_000_000) }).unwrap();
    let before = bound(address_space(&scout) + 8 * MEBIBYTE);
    assert_eq!(before.current, Some(4_096_000_000));
    // What the call before has held may still have been there when it was measured: then there is room for one more.
    for _ in 0..20 {
        if scout.call("box:/etc/hostname").await.is_error() {
            break;
        }
        bound(address_space(&scout) + 8 * MEBIBYTE);
    }
    // More than it takes for a quarantine.
    for _ in 0..8 {
        let answer = scout.call("box:/etc/hostname").await;
        assert!(answer.is_error() && answer.text().contains("try again later"), "{}", answer.text());
    }
    bound(4_096_000_000);
    let answer = scout.call("box:/etc/hostname").await;
    assert!(!answer.is_error(), "{}", answer.text());
}
