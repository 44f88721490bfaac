//! Nothing grows past its cap.

use std::time::Duration;

use scout_tests::{DelayLink, Scout, Sshd};
use serde_json::json;

use crate::world::{options, options_at, world};

#[tokio::test]
async fn a_large_file_gives_its_first_bytes_its_size_and_how_to_go_on() {
    let sshd = Sshd::start();
    let content: String = (0..400_000).map(|n| format!("{n:07}\n")).collect();
    let path = sshd.dir().join("large log");
    std::fs::write(&path, &content).unwrap();
    let link = DelayLink::start(sshd.address(), Duration::ZERO).await;
    let cap = 100_000;
    let scout = Scout::start(&options_at(&sshd, link.address()).setting(&format!("max_file_size = {cap}"))).await;
    scout.call("box:/etc/hostname").await;
    link.settle().await;
    let mark = link.mark();
    let answer = scout.call(&format!("box:{}", path.display())).await;
    let wire = link.bytes_to_client_since(&mark);
    assert!(!answer.is_error(), "{}", answer.text());
    let structured = answer.structured();
    assert_eq!(structured["content"], content[..cap]);
    assert_eq!(structured["truncated"], true);
    assert_eq!(structured["size"], content.len());
    assert!(wire <= cap as u64 + 256 * 1024, "{wire} bytes crossed the wire");
    // The answer names a command that reads on; it is run as it stands there.
    let text = answer.text();
    let query = text.split('`').find(|part| part.starts_with("tail -c")).unwrap_or_else(|| panic!("{}", &text[cap..]));
    let rest = scout.command("box", query).await;
    let rest = rest.structured()["stdout"].as_str().unwrap_or_else(|| panic!("{}", rest.text())).to_owned();
    assert!(!rest.is_empty() && content[cap..].starts_with(&rest), "{}", &rest[..80]);
}

#[tokio::test]
async fn a_flood_is_cut_and_stopped() {
    let (sshd, _) = world().await;
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"").setting("max_output_size = 50000")).await;
    let answer = scout.command("box", "yes scout-flood-marker").await;
    let structured = answer.structured();
    assert_eq!(structured["truncated"], true, "{}", answer.text());
    assert_eq!(structured["stdout"].as_str().unwrap().len(), 50_000);
    assert!(running("yes scout-flood-marker").is_empty());
}

#[tokio::test]
async fn a_command_runs_within_the_limits_of_its_host_and_takes_no_round_trip_for_them() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::ZERO).await;
    let limits = "command_limits = { memory = \"1 GiB\", cpu = \"77s\" }\n[hosts.box]\ncommand_limits = { cpu = 99, file_size = \"none\" }";
    let scout = Scout::start(&options_at(&sshd, link.address()).setting(limits)).await;
    scout.command("box", "cat /proc/self/limits").await;
    link.settle().await;
    let mark = link.mark();
    let answer = scout.command("box", "cat /proc/self/limits").await;
    assert_eq!(link.round_trips_since(&mark), 1);
    let told = answer.structured()["stdout"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
    let bounds = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {told}"));
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(bounds("Max address space"), "1073741824 1073741824");
    assert_eq!(bounds("Max cpu time"), "99 99");
    assert_ne!(bounds("Max file size"), "1073741824 1073741824", "the host's own");
    assert_eq!(bounds("Max processes"), "4096 4096", "the default");
}

#[tokio::test]
async fn a_script_that_asks_for_more_than_it_may_ends_and_its_neighbour_goes_on() {
    let sshd = Sshd::start();
    let shell = "commands = \"shell\"\ncommand_limits = { memory = \"256 MiB\", cpu = 1 }";
    let scout = Scout::start(&options(&sshd).setting(shell)).await;
    let (greedy, busy, neighbour) = tokio::join!(
        scout.command("box", "python3 -c 'bytearray(512 << 20)'"),
        scout.command("box", "while :; do :; done"),
        scout.command("box", "python3 -c 'print(len(bytearray(16 << 20)))'"),
    );
    assert!(greedy.text().contains("MemoryError"), "{}", greedy.text());
    assert!(busy.text().contains("KILL"), "{}", busy.text());
    assert_eq!(neighbour.structured()["stdout"], "16777216\n", "{}", neighbour.text());
}

#[tokio::test]
async fn a_command_past_its_timeout_is_stopped_on_the_host_and_its_output_kept() {
    let (sshd, _) = world().await;
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"").setting("command_timeout = \"1s\"")).await;
    let marker = format!("scout-sleeper-{}", sshd.address().port());
    let answer =
        scout.command("box", &format!("echo begun; sh -c 'sleep 1000; : {marker}' & sleep 1001; : {marker}")).await;
    let structured = answer.structured();
    assert_eq!(
        (&structured["timed_out"], &structured["error"]["kind"]),
        (&json!(true), &json!("timeout")),
        "{structured}"
    );
    assert_eq!(structured["stdout"], "begun\n");
    assert!(answer.is_error() && answer.text().contains("stopped"), "{}", answer.text());
    assert!(running(&marker).is_empty(), "{:?}", running(&marker));
}

#[tokio::test]
async fn a_cancelled_command_is_stopped_on_the_host() {
    let (sshd, _) = world().await;
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"")).await;
    let marker = format!("scout-cancelled-{}", sshd.address().port());
    let begun = sshd.dir().join("begun");
    let query = format!("touch {}; sleep 1000; : {marker}", begun.display());
    let (id, _wait) = scout
        .begin("tools/call", serde_json::json!({"name": "scout", "arguments": {"target": "box", "query": query}}))
        .await;
    until(|| begun.exists()).await;
    scout
        .send_line(
            &serde_json::json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
                .to_string(),
        )
        .await;
    until(|| running(&marker).is_empty()).await;
    assert!(!scout.call("hosts").await.is_error());
}

/// Waits, bounded, until something is true that another process brings about.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come true within a minute");
}

/// Command lines of running processes that hold `marker`, the test's own excepted.
pub(crate) fn running(marker: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy() == own {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(marker) {
            found.push(line);
        }
    }
    found
}
