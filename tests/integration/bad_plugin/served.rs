//! Plugins that misbehave inside a server, as a client sees it.

use std::path::Path;
use std::sync::Arc;

use scout_tests::{Guest, Scout, Sshd};

use crate::world::options;

/// A Scout whose `file` handler is this guest.
async fn scout_with(guest: Guest, sshd: &Sshd, plugins: &Path) -> Arc<Scout> {
    std::fs::write(plugins.join("file.wasm"), guest.bytes()).unwrap();
    Scout::start(&options(sshd).setting(&format!("plugins_dir = {:?}", plugins.display().to_string()))).await
}

/// Asks this guest for a file: what the client reads must hold `says`, with a receipt beside it; then asks for the hosts.
async fn ends_with_a_receipt(guest: Guest, says: &str) {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(guest, &sshd, plugins.path()).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("`file`") && answer.text().contains(says), "{}", answer.text());
    let receipt = answer.receipt();
    assert!(receipt["wall_ms"].as_f64().unwrap() > 0.0, "{receipt}");
    assert!(receipt["cpu_ms"].as_f64().unwrap() <= 540.0, "{receipt}");
    assert!(receipt["memory_peak"].as_u64().unwrap() > 0, "{receipt}");
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn a_loop_is_stopped_with_a_receipt_and_the_next_call_answers() {
    ends_with_a_receipt(Guest::Loops, "used up its 500 ms of CPU").await;
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_with_a_receipt_and_the_next_call_answers() {
    ends_with_a_receipt(Guest::EatsMemory, "needs more than its 64 MiB of memory").await;
}

#[tokio::test]
async fn a_trap_leaves_a_receipt_and_the_next_call_answers() {
    ends_with_a_receipt(Guest::Traps, "crashed").await;
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_says_why_and_the_other_handlers_answer() {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(Guest::ManyFunctions, &sshd, plugins.path()).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error() && answer.text().contains("600000 functions"), "{}", answer.text());
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn what_a_wasi_component_prints_goes_to_the_log_alone() {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(Guest::LooksRound, &sshd, plugins.path()).await;
    // The client panics at a line on stdout that is no JSON.
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.text().contains("args 0, env 0"), "{}", answer.text());
    assert!(!answer.message.to_string().contains("must never reach"), "{}", answer.message);
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn a_crash_writes_no_line_of_its_own_into_the_log() {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(Guest::FloodsLog, &sshd, plugins.path()).await;
    assert!(scout.call("box:/etc/hostname").await.is_error());
    assert!(scout.close().await.success());
    let log = scout.stderr();
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR forged")));
    // 64 KiB of the guest's, and what each line is introduced with.
    assert!(log.len() < 200_000, "{} bytes of log", log.len());
}
