//! Round trips, counted at a link that delays.

use std::time::Duration;

use scout_tests::{DelayLink, Scout, Sshd};

use crate::world::options_at;

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
