//! Start and end.

use scout_tests::Scout;
use serde_json::json;

use crate::limits::{running, until};
use crate::world::{options, world};

#[tokio::test]
async fn the_end_of_stdin_is_a_clean_exit() {
    let (_sshd, scout) = world().await;
    assert!(!scout.call("box:/etc").await.is_error());
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn sigterm_without_calls_is_a_clean_exit() {
    let (_sshd, scout) = world().await;
    scout.signal("TERM");
    assert_eq!(scout.wait().await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_lets_a_running_command_finish() {
    let (sshd, _) = world().await;
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"")).await;
    let (begun, go) = (sshd.dir().join("begun"), sshd.dir().join("go"));
    let query =
        format!("touch {}; while [ ! -e {} ]; do sleep 0.02; done; echo finished", begun.display(), go.display());
    let (_, wait) =
        scout.begin("tools/call", json!({"name": "scout", "arguments": {"target": "box", "query": query}})).await;
    until(|| begun.exists()).await;
    scout.signal("TERM");
    std::fs::write(&go, "").unwrap();
    let answer = scout_tests::Answer { message: wait.await.unwrap() };
    assert_eq!(answer.structured()["stdout"], "finished\n", "{}", answer.text());
    assert_eq!(scout.wait().await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_stops_a_command_that_does_not_end_and_leaves_nothing_on_the_host() {
    let (sshd, _) = world().await;
    let scout =
        Scout::start(&options(&sshd).setting("commands = \"shell\"").setting("command_timeout = \"60s\"")).await;
    let begun = sshd.dir().join("begun");
    let marker = format!("scout-terminated-{}", sshd.address().port());
    let query = format!("touch {}; sleep 1000; : {marker}", begun.display());
    let (_, _wait) =
        scout.begin("tools/call", json!({"name": "scout", "arguments": {"target": "box", "query": query}})).await;
    until(|| begun.exists()).await;
    scout.signal("TERM");
    assert_eq!(scout.wait().await.code(), Some(0));
    until(|| running(&marker).is_empty()).await;
}
