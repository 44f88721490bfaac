//! Round trips, counted at a link that delays.

use std::time::Duration;

use scout_tests::{DelayLink, Guest, Scout, Sshd};
use serde_json::json;

use crate::world::{options, options_at};

#[tokio::test]
async fn a_warm_read_list_and_command_take_one_round_trip_each() {
    let sshd = Sshd::start();
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    std::fs::create_dir(sshd.dir().join("d")).unwrap();
    for n in 0..100 {
        std::fs::write(sshd.dir().join("d").join(format!("entry-{n}")), "").unwrap();
    }
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let scout = Scout::start(&options_at(&sshd, link.address())).await;
    let base = format!("box:{}", sshd.dir().display());
    // Warm: connected, the SFTP channel probed, a channel for commands open.
    scout.call(&format!("{base}/f")).await;
    scout.command(&base, "cat f").await;
    for (target, query) in [(format!("{base}/f"), None), (format!("{base}/d"), None), (base.clone(), Some("cat f"))] {
        link.settle().await;
        let mark = link.mark();
        let answer = match query {
            None => scout.call(&target).await,
            Some(query) => scout.command(&target, query).await,
        };
        let counted = link.round_trips_since(&mark);
        assert!(!answer.is_error(), "{}", answer.text());
        assert_eq!(counted, 1, "{target} {query:?}");
        assert_eq!(answer.receipt()["round_trips"], 1, "the receipt and the link agree for {target} {query:?}");
    }
    assert_eq!(link.connections(), 1);
}

#[tokio::test]
async fn a_large_file_is_handed_through_and_never_copied_into_the_guest() {
    let sshd = Sshd::start();
    let (path, bytes) = (sshd.dir().join("large"), 1 << 20);
    std::fs::write(&path, "x".repeat(bytes)).unwrap();
    let scout = Scout::start(&options(&sshd)).await;
    let answer = scout.call(&format!("box:{}", path.display())).await;
    assert_eq!(answer.structured()["content"].as_str().unwrap().len(), bytes);
    let receipt = answer.receipt();
    assert_eq!((&receipt["copied_bytes"], &receipt["remote_bytes"]), (&json!(0), &json!(bytes)), "{receipt}");
    // The guest's memory has no room for it.
    let held = receipt["memory_peak"].as_u64().unwrap();
    assert!(usize::try_from(held).unwrap() <= bytes + 128 * 1024, "{receipt}");
}

#[tokio::test]
async fn the_receipt_counts_the_time_from_the_request_on_however_it_ends() {
    const ONE_WAY: Duration = Duration::from_millis(25);
    let sshd = Sshd::start();
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    std::fs::create_dir(sshd.dir().join("d")).unwrap();
    let link = DelayLink::start(sshd.address(), ONE_WAY).await;
    let plugin = sshd.dir().join("traps.wasm");
    std::fs::write(&plugin, Guest::Traps.bytes()).unwrap();
    let file = format!("[plugins.file]\nsource = {:?}\n", plugin.display().to_string());
    let scout = Scout::start(&options_at(&sshd, link.address()).setting(&file)).await;
    let base = format!("box:{}", sshd.dir().display());
    scout.call(&format!("{base}/d")).await;
    for (path, is_error, says) in [("d", false, ""), ("f", true, "crashed"), ("absent", true, "absent")] {
        let answer = scout.call(&format!("{base}/{path}")).await;
        assert!(answer.is_error() == is_error && answer.text().contains(says), "{path}: {}", answer.message);
        let receipt = answer.receipt();
        let trips = receipt["round_trips"].as_f64().unwrap();
        assert!(trips >= 1.0, "{path}: {receipt}");
        // What the link makes of each round trip at least.
        let least = trips * 2.0 * ONE_WAY.as_secs_f64() * 1e3;
        assert!(receipt["wall_ms"].as_f64().unwrap() >= least, "{path}: {receipt}");
    }
}
