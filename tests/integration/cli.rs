//! The command line.

use std::process::{Output, Stdio};

use scout_tests::{ScoutOptions, Sshd};

use crate::world::{binary, options};

async fn run(options: &ScoutOptions, arguments: &[&str]) -> (Output, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = options.command(dir.path()).args(arguments).stdin(Stdio::null()).output().await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stdout, stderr)
}

#[tokio::test]
async fn call_prints_the_answer_and_tells_by_its_exit_code() {
    let sshd = Sshd::start();
    std::fs::write(sshd.dir().join("f"), "text\n").unwrap();
    let path = format!("box:{}/f", sshd.dir().display());
    let (good, stdout, stderr) = run(&options(&sshd), &["call", &path]).await;
    assert!(good.status.success() && stdout.contains("text\n"), "{stdout}{stderr}");
    let (missing, stdout, stderr) = run(&options(&sshd), &["call", &format!("{path}-missing")]).await;
    assert_eq!(missing.status.code(), Some(1), "{stdout}{stderr}");
    let (usage, ..) = run(&options(&sshd), &["call"]).await;
    assert_eq!(usage.status.code(), Some(2));
}

#[tokio::test]
async fn hosts_prints_the_listing() {
    let sshd = Sshd::start();
    let (output, stdout, stderr) = run(&options(&sshd), &["hosts"]).await;
    assert!(output.status.success() && stdout.contains("box"), "{stdout}{stderr}");
}

#[tokio::test]
async fn trust_without_a_terminal_shows_the_fingerprint_and_adds_nothing() {
    let sshd = Sshd::start();
    let unknowing = ScoutOptions::new(binary(), sshd.config_block("box", sshd.address()), "");
    let dir = tempfile::tempdir().unwrap();
    let output = unknowing.command(dir.path()).args(["trust", "box"]).stdin(Stdio::null()).output().await.unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{all}");
    assert!(all.contains("SHA256:"), "{all}");
    assert_eq!(std::fs::read_to_string(dir.path().join("known_hosts")).unwrap(), "");
}

#[tokio::test]
async fn doctor_names_each_hosts_first_trouble() {
    let sshd = Sshd::start();
    let good = options(&sshd);
    let (output, stdout, stderr) = run(&good, &["doctor"]).await;
    assert!(output.status.success(), "{stdout}{stderr}");
    let unknowing = ScoutOptions::new(binary(), sshd.config_block("box", sshd.address()), "");
    let (output, stdout, stderr) = run(&unknowing, &["doctor"]).await;
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("scout trust box"), "{stdout}{stderr}");
}

#[tokio::test]
async fn explain_names_the_line_of_each_setting_and_what_is_known_of_the_host() {
    let sshd = Sshd::start();
    let (output, stdout, stderr) = run(&options(&sshd), &["explain", "box"]).await;
    assert!(output.status.success(), "{stdout}{stderr}");
    let key = sshd.user_key().private.display().to_string();
    for part in ["/ssh_config:2)", "(default)", &key, "readable", "key ssh-ed25519 SHA256:", "/known_hosts:1)"] {
        assert!(stdout.contains(part), "{part} in {stdout}{stderr}");
    }
}

#[tokio::test]
async fn explain_follows_jumps_and_is_json_if_asked() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    options.ssh_config.push_str("\nHost inner\n  HostName 192.0.2.9\n  IdentityFile /absent\n  ProxyJump box\n");
    let line = options.ssh_config.lines().count();
    let (output, stdout, stderr) = run(&options, &["explain", "inner", "--json"]).await;
    assert!(output.status.success(), "{stdout}{stderr}");
    let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["hops"][0]["host"], "box", "{stdout}");
    assert_eq!(answer["hops"][0]["known_hosts"]["known"], true, "{stdout}");
    assert_eq!(answer["known_hosts"]["known"], false, "{stdout}");
    assert_eq!(answer["identities"][0]["exists"], false, "{stdout}");
    let jump = answer["settings"].as_array().unwrap().iter().find(|setting| setting["keyword"] == "ProxyJump").unwrap();
    assert_eq!((&jump["value"], &jump["source"]["line"]), (&"box".into(), &line.into()), "{stdout}");
    let (output, stdout, _) = run(&options, &["explain", "inner"]).await;
    assert!(output.status.success() && stdout.contains("Hop 1: box is "), "{stdout}");
}

#[tokio::test]
async fn explain_tells_why_a_host_has_no_settings() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    options.ssh_config = "Host box\n  CanonicalizeHostname yes\n".to_owned();
    let (output, stdout, stderr) = run(&options, &["explain", "box"]).await;
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("/ssh_config:2: CanonicalizeHostname"), "{stderr}");
}

#[tokio::test]
async fn an_unknown_key_in_scout_toml_is_an_error_with_its_line_and_a_near_name() {
    let sshd = Sshd::start();
    let (output, _, stderr) = run(&options(&sshd).setting("max_file_sise = 10"), &["hosts"]).await;
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("scout.toml:4") && stderr.contains("max_file_size"), "{stderr}");
}

#[tokio::test]
async fn an_unknown_variable_warns() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    options.env.push(("SCOUT_COMAND_TIMEOUT".to_owned(), "5".to_owned()));
    let (output, _, stderr) = run(&options, &["hosts"]).await;
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("SCOUT_COMAND_TIMEOUT") && stderr.contains("SCOUT_COMMAND_TIMEOUT"), "{stderr}");
}

#[tokio::test]
async fn the_demo_shows_five_answers() {
    let dir = tempfile::tempdir().unwrap();
    let output = tokio::process::Command::new(binary())
        .arg("demo")
        .env("XDG_CACHE_HOME", binary().with_file_name("scout-test-cache"))
        .env("XDG_CONFIG_HOME", dir.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("mcpServers"), "{stdout}");
}
