//! The attempts on the command policy again, as a client makes them: through MCP, the plugin, the policy, one SSH connection and a login shell.

use scout_tests::{Scout, Sshd, SshdOptions};

use crate::world::options;

#[path = "../../host/runtime/tests/policy/home.rs"]
mod home;

use home::{SECRET, cases, home, snapshot};

#[tokio::test]
async fn no_attempt_changes_the_host_or_shows_a_secret() {
    let home = home();
    let at = home.path().display();
    // Logins begin in this home, whatever the account's own is.
    let login =
        format!(r#"ForceCommand cd {at} && HOME={at} SCOUT_SECRET={SECRET} exec sh -c "$SSH_ORIGINAL_COMMAND""#);
    let sshd = Sshd::start_with(&SshdOptions { extra: vec![login], ..SshdOptions::default() });
    let scout = Scout::start(&options(&sshd)).await;
    let before = snapshot(home.path());
    let listed = scout.command("box", "ls script").await;
    assert_eq!(listed.structured()["exit"], 0, "commands run in this home: {}", listed.text());
    let mut ran = 0;
    for attempt in cases(include_str!("../../host/runtime/tests/policy/bypasses.txt")) {
        let answer = scout.command("box", &attempt).await;
        assert!(!answer.text().contains(SECRET), "{attempt:?} shows a secret: {}", answer.text());
        assert_ne!(answer.structured()["timed_out"], true, "{attempt:?} did not end");
        assert_eq!(snapshot(home.path()), before, "{attempt:?} changed a file");
        ran += usize::from(answer.structured()["exit"].is_i64());
    }
    assert!(ran >= 20, "the list has attempts that run as nothing but text: {ran}");
    let accepted = sshd.log().iter().filter(|line| line.contains("Accepted publickey")).count();
    assert_eq!(accepted, 1, "one connection carries them all");
}
