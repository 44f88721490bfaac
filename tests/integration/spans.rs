//! What the log tells of where the time of a request goes.

use scout_tests::{Scout, Sshd};

use crate::world::options;

#[tokio::test]
async fn at_debug_each_step_of_a_request_is_a_span_with_its_time() {
    let sshd = Sshd::start();
    let mut env = std::process::Command::new("env");
    env.arg("SCOUT_LOG=debug");
    let scout = Scout::start(&options(&sshd).launched_by(&env)).await;
    assert!(!scout.call("box:/etc/hostname").await.is_error());
    assert!(!scout.command("box", "uname").await.is_error());
    assert!(scout.close().await.success());
    let log = scout.stderr();
    let has = |parts: &[&str]| log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    for span in [
        &["request{id=", "tenant=local principal=local}"][..],
        &["plugin{plugin=file", "tenant=local principal=local}"],
        &["operation{operation=open host=box}"],
        &["lease{host=box tenant=local principal=local}"],
        &["dial{host=box tenant=local principal=local}"],
        &["flight{requests="],
        &["operation{operation=exec host=box}"],
        &["exec{host=box}"],
    ] {
        assert!(has(&[span, &["close", "time.busy=", "time.idle="]].concat()), "{span:?}\n{log}");
    }
    let ended = ["a call has ended", "tenant=local", "principal=\"local\"", "plugin=\"file\"", "outcome=\"answered\""];
    assert!(has(&ended), "{log}");
    // What is done for a request stands in it, and the phases of a dial in the dial.
    assert!(has(&["request{", "operation{", "lease{"]), "{log}");
    assert!(has(&["dial{host=box", "in the handshake"]), "{log}");
}

#[tokio::test]
async fn by_itself_nothing_of_it_is_told() {
    let sshd = Sshd::start();
    let scout = Scout::start(&options(&sshd)).await;
    assert!(!scout.call("box:/etc/hostname").await.is_error());
    assert!(scout.close().await.success());
    assert_eq!(scout.stderr(), "");
}
