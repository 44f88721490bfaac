//! `scout explain`: what it says beside what a dial then does.

use std::path::Path;

use scout_tests::{Agent, Scout, ScoutOptions, Sshd, SshdOptions, generate_key};
use serde_json::Value;

use crate::cli::run;
use crate::limits::until;
use crate::world::{binary, options};

/// `explain HOST --json`.
async fn explained(options: &ScoutOptions, host: &str) -> Value {
    let (output, stdout, stderr) = run(options, &["explain", host, "--json"]).await;
    assert!(output.status.success(), "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[tokio::test]
async fn explain_names_the_line_of_each_setting_and_what_is_known_of_the_host() {
    let sshd = Sshd::start();
    let (output, stdout, stderr) = run(&options(&sshd), &["explain", "box"]).await;
    assert!(output.status.success(), "{stdout}{stderr}");
    let key = sshd.user_key().private.display().to_string();
    for part in [
        "/ssh_config:2)",
        "(default)",
        &key,
        "readable",
        "key ssh-ed25519 SHA256:",
        "/known_hosts:1)",
        "RequiredRSASize",
    ] {
        assert!(stdout.contains(part), "{part} in {stdout}{stderr}");
    }
}

#[tokio::test]
async fn explain_tells_what_limits_commands_and_what_says_so() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting("[hosts.box]\ncommand_limits = { memory = \"2 GiB\", processes = \"none\" }");
    let (output, stdout, stderr) = run(&options, &["explain", "box"]).await;
    assert!(output.status.success(), "{stdout}{stderr}");
    let line = |key: &str| stdout.lines().find(|line| line.trim().starts_with(key)).unwrap_or(&stdout).to_owned();
    assert!(line("memory").contains("2 GiB  (scout.toml:"), "{}", line("memory"));
    assert!(line("cpu").contains("480 s  (default)"), "{}", line("cpu"));
    assert!(line("processes").contains("none  (scout.toml:"), "{}", line("processes"));
    let limits = explained(&options, "box").await["command_limits"].clone();
    assert_eq!((&limits[0]["key"], &limits[0]["bound"]), (&"memory".into(), &(2_u64 << 30).into()), "{limits}");
    assert_eq!((&limits[2]["place"], &limits[3]["bound"]), (&Value::Null, &Value::Null), "{limits}");
}

#[tokio::test]
async fn whether_commands_share_a_shell_is_in_the_receipt_and_explained_with_what_was_found_out() {
    for (forced, setting, stays, says) in [
        (None, "", 1, "Commands that only read share shells that stay there, where that can be (default)\n"),
        (None, "[hosts.box]\npersistent_shells = false", 0, "Each command has a session of its own there (scout.toml:"),
        (
            Some("ForceCommand /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"; exit $?"),
            "",
            0,
            "has found: its server runs commands in a process group of its own\n",
        ),
    ] {
        let sshd = Sshd::start_with(&SshdOptions {
            extra: forced.map(str::to_owned).into_iter().collect(),
            ..SshdOptions::default()
        });
        let scout = Scout::start(&options(&sshd).setting(setting)).await;
        for round in 0..2 {
            let answer = scout.call_with(serde_json::json!({"target": "box:/", "query": "uname"})).await;
            assert!(!answer.is_error(), "{}", answer.text());
            let receipt = answer.receipt();
            // What no shell can stay for is found out by the first.
            let shells = if round == 0 && forced.is_some() { 1 } else { stays };
            assert_eq!(receipt["shell_execs"], shells, "{receipt}");
        }
        let explained = || {
            let mut command = std::process::Command::new(binary());
            command.env("XDG_STATE_HOME", scout.dir().join("state"));
            command.arg("--config").arg(scout.dir().join("scout.toml")).args(["explain", "box"]);
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        until(|| explained().contains(says)).await;
        assert!(scout.close().await.success());
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
    assert_eq!(answer["hops"][0]["known_hosts"]["decisions"][0]["decision"], "accept", "{stdout}");
    assert_eq!(answer["known_hosts"]["decisions"][0]["decision"], "refuse", "{stdout}");
    assert_eq!(answer["unread"][0]["hindrance"], "no such file", "{stdout}");
    let jump = answer["settings"].as_array().unwrap().iter().find(|setting| setting["keyword"] == "ProxyJump").unwrap();
    assert_eq!((&jump["value"], &jump["source"]["line"]), (&"box".into(), &line.into()), "{stdout}");
    let (output, stdout, _) = run(&options, &["explain", "inner"]).await;
    assert!(output.status.success() && stdout.contains("Hop 1: box is "), "{stdout}");
    assert!(
        stdout.contains("any other key: refused, unknown; after checking its fingerprint, `scout trust inner`"),
        "{stdout}"
    );
}

#[tokio::test]
async fn explain_tells_why_a_host_has_no_settings() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    options.ssh_config = "Host box\n  CanonicalizeHostname yes\n  CanonicalDomains example.org\n".to_owned();
    let (output, stdout, stderr) = run(&options, &["explain", "box"]).await;
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("/ssh_config:2: CanonicalizeHostname"), "{stderr}");
}

/// What explain says of a host that shows this key.
fn foretold(known_hosts: &Value, fingerprint: &str) -> String {
    let decisions = known_hosts["decisions"].as_array().unwrap();
    let listed = decisions.iter().find(|one| one["shows"] == "key" && one["fingerprint"] == fingerprint);
    let decided = listed.unwrap_or_else(|| decisions.last().unwrap());
    format!("{}: {}", decided["decision"].as_str().unwrap(), decided["because"].as_str().unwrap())
}

/// What a dial did, in the same words.
fn done(said: &str, learned: bool) -> &'static str {
    let refusals = [
        ("the host's key is not known yet", "refuse: unknown"),
        ("is not the one known from", "refuse: changed"),
        ("is revoked by", "refuse: revoked"),
        ("the host's key cannot be used: an RSA key of fewer than", "refuse: too short"),
        ("the host is accepted, and passwords are off", "accept without passwords: changed"),
        // Accepted: the dial has come to logging in, with a key that the server does not take.
        ("no identity was accepted", if learned { "learn: unknown" } else { "accept: known" }),
    ];
    refusals.into_iter().find(|(words, _)| said.contains(words)).unwrap_or_else(|| panic!("{said}")).1
}

fn print_of(public: &str, dir: &Path) -> String {
    let file = dir.join("to_print");
    std::fs::write(&file, public).unwrap();
    let output = std::process::Command::new("ssh-keygen").arg("-lf").arg(&file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn explain_decides_about_the_hosts_key_as_a_dial_then_does() {
    let sshd = Sshd::start();
    let (own, other) = (sshd.host_key().public.clone(), generate_key(sshd.dir(), "other").public);
    let stranger = generate_key(sshd.dir(), "stranger").private;
    let shown = print_of(&own, sshd.dir());
    let full = format!("[127.0.0.1]:{}", sshd.address().port());
    for (strict, lines, wanted) in [
        ("yes", String::new(), "refuse: unknown"),
        ("accept-new", String::new(), "learn: unknown"),
        ("no", String::new(), "learn: unknown"),
        ("yes", format!("{full} {own}"), "accept: known"),
        ("yes", format!("127.0.0.1 {own}"), "accept: known"),
        // A line that names the port does not settle what it is not about.
        ("yes", format!("@revoked {full} {other}\n127.0.0.1 {own}"), "accept: known"),
        ("accept-new", format!("@cert-authority {full} {other}\n127.0.0.1 {own}"), "accept: known"),
        ("yes", format!("{full} {other}\n127.0.0.1 {own}"), "refuse: changed"),
        ("yes", format!("127.0.0.1 {other}"), "refuse: unknown"),
        ("accept-new", format!("127.0.0.1 {other}"), "learn: unknown"),
        ("accept-new", format!("{full} {other}"), "refuse: changed"),
        ("no", format!("{full} {other}"), "accept without passwords: changed"),
        ("accept-new", format!("@revoked * {own}"), "refuse: revoked"),
        ("yes", format!("@revoked 127.0.0.1 {own}"), "refuse: unknown"),
        ("yes", format!("{full} {own}\n@revoked * {own}"), "refuse: revoked"),
        ("yes", format!("{full} {own}\n@revoked * {other}"), "accept: known"),
    ] {
        let mut options = options(&sshd);
        let key = sshd.user_key().private.display().to_string();
        options.ssh_config = options.ssh_config.replace(&key, &stranger.display().to_string());
        options.ssh_config.push_str(&format!("  StrictHostKeyChecking {strict}\n"));
        options.known_hosts = lines.clone();
        let before = explained(&options, "box").await;
        assert_eq!(foretold(&before["known_hosts"], &shown), wanted, "{strict} {lines}: {before:#}");
        // On the way to another host it is the same.
        let mut behind = options.clone();
        behind.ssh_config.push_str("Host inner\n  ProxyJump box\n");
        let before = explained(&behind, "inner").await;
        assert_eq!(foretold(&before["hops"][0]["known_hosts"], &shown), wanted, "{strict} {lines}: {before:#}");

        let dir = tempfile::tempdir().unwrap();
        let output = options.command(dir.path()).args(["call", "box:/etc/hostname"]).output().await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let learned = std::fs::read_to_string(dir.path().join("known_hosts")).unwrap() != lines;
        assert_eq!(done(&said, learned), wanted, "{strict} {lines}: {said}");
    }
}

#[tokio::test]
async fn explain_says_in_words_what_becomes_of_the_hosts_key() {
    let sshd = Sshd::start();
    let (own, other) = (sshd.host_key().public.clone(), generate_key(sshd.dir(), "other").public);
    let full = format!("[127.0.0.1]:{}", sshd.address().port());
    for (more, lines, words) in [
        ("  StrictHostKeyChecking accept-new\n", String::new(), "any other key: accepted, and learned into /"),
        (
            "  StrictHostKeyChecking no\n",
            format!("{full} {other}"),
            "/known_hosts:1 holds another key; it gets no password",
        ),
        ("", format!("@revoked {full} {other}\n127.0.0.1 {own}"), ": refused, "),
        ("", format!("@revoked {full} {other}\n127.0.0.1 {own}"), "/known_hosts:2, without the port)"),
        ("", format!("@revoked {full} {other}"), "/known_hosts:1 revokes it"),
        ("", format!("@cert-authority * {other}"), "a certificate of ssh-ed25519 SHA256:"),
    ] {
        let mut options = options(&sshd);
        options.ssh_config.push_str(more);
        options.known_hosts = lines;
        let (_, stdout, stderr) = run(&options, &["explain", "box"]).await;
        assert!(stdout.contains(words), "{words} in {stdout}{stderr}");
    }
}

/// The keys that were offered, as sshd logs them: `SHA256:…`, and for a certificate `certificate SHA256:…`.
fn offered(sshd: &Sshd) -> Vec<String> {
    let of_line = |line: &String| {
        let (_, key) = line.split_once("Failed publickey for ")?.1.split_once(" ssh2: ")?;
        let mut words = key.split(' ');
        let what = if words.next()?.ends_with("-CERT") { "certificate " } else { "" };
        Some(format!("{what}{}", words.next()?))
    };
    sshd.log().iter().filter_map(of_line).collect()
}

#[tokio::test]
async fn explain_lists_keys_and_certificates_in_the_order_in_which_a_dial_offers_them() {
    let extra = vec!["MaxAuthTries 20".to_owned()];
    let sshd = Sshd::start_with(&SshdOptions { extra, ..SshdOptions::default() });
    let dir = sshd.dir();
    let [one, certified, two, three] = ["k1", "kc", "k2", "k3"].map(|name| generate_key(dir, name));
    let authority = generate_key(dir, "authority");
    let sign = ["-q", "-s", authority.private.to_str().unwrap(), "-I", "id", "-n", "somebody"];
    let public = certified.private.with_extension("pub");
    assert!(std::process::Command::new("ssh-keygen").args(sign).arg(&public).status().unwrap().success());
    let agent = Agent::start(&dir.join("agent"), &[&three.private, &two.private]);

    let [f1, fc, f2, f3] = [&one, &certified, &two, &three].map(|key| print_of(&key.public, dir));
    let beside = dir.join("kc-cert.pub").display().to_string();
    let certificate = format!("certificate {fc}");
    let mut options = options(&sshd);
    let block = |more: &str| {
        let files = [&one, &certified, &two].map(|key| format!("  IdentityFile {}\n", key.private.display())).concat();
        let (address, agent) = (sshd.address(), agent.socket().display());
        let way = format!("  HostName {}\n  Port {}\n", address.ip(), address.port());
        format!("Host box\n{way}  IdentityAgent {agent}\n{files}  IdentityFile {}/absent\n{more}", dir.display())
    };
    let elsewhere = format!("  CertificateFile {beside}\n");
    for (more, wanted) in [
        ("", vec![&f2, &f3, &f1, &fc, &certificate]),
        ("  IdentitiesOnly yes\n", vec![&f2, &f1, &fc, &certificate]),
        // A configured certificate comes first of all.
        (elsewhere.as_str(), vec![&certificate, &f2, &f3, &f1, &fc]),
        ("  PubkeyAuthentication no\n", vec![]),
        ("  PubkeyAcceptedAlgorithms *-cert-*\n", vec![&certificate]),
    ] {
        options.ssh_config = block(more);
        let seen = offered(&sshd).len();
        let (_, stdout, stderr) = run(&options, &["call", "box:/etc/hostname"]).await;
        let (said, done) = (format!("{more}{stdout}{stderr}"), offered(&sshd));
        assert_eq!(done[seen..].iter().collect::<Vec<_>>(), wanted, "{said}");
        let answer = explained(&options, "box").await;
        let listed = answer["identities"].as_array().unwrap().iter().filter(|one| one["hindrance"].is_null());
        let print = |one: &Value| {
            let what = if one["certificate"] == true { "certificate " } else { "" };
            format!("{what}{}", one["fingerprint"].as_str().unwrap())
        };
        assert_eq!(
            listed.map(print).collect::<Vec<_>>(),
            wanted.into_iter().cloned().collect::<Vec<_>>(),
            "{answer:#}"
        );
        assert_eq!(answer["unread"][0]["file"], dir.join("absent").display().to_string(), "{answer:#}");
        let (_, text, _) = run(&options, &["explain", "box"]).await;
        assert!(text.contains(&format!("{beside}  certificate of ssh-ed25519 {fc}")), "{text}");
    }
}

/// Value and note of a setting, and whether a line of ssh_config set it.
fn setting(answer: &Value, keyword: &str) -> (String, String, bool) {
    let mut found = answer["settings"].as_array().unwrap().iter().filter(|setting| setting["keyword"] == keyword);
    let setting = found.next().unwrap_or_else(|| panic!("{keyword} in {answer:#}"));
    assert!(found.next().is_none(), "{keyword} is told once: {answer:#}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&setting["value"]), text(&setting["note"]), setting["source"]["line"].is_u64())
}

#[tokio::test]
async fn explain_shows_the_limits_and_files_that_a_dial_heeds() {
    let host = |more: &str| ScoutOptions::new(binary(), format!("Host box\n  HostName 192.0.2.1\n{more}"), "");
    let own = "Scout's own without ServerAliveInterval";
    for (more, keyword, value, note, by_line) in [
        ("", "ConnectTimeout", "10", "Scout's connection_timeout", false),
        ("  ConnectTimeout 0\n", "ConnectTimeout", "10", "Scout's connection_timeout", false),
        ("  ConnectTimeout 3\n", "ConnectTimeout", "3", "", true),
        ("  ConnectTimeout 60\n", "ConnectTimeout", "60", "", true),
        ("  ConnectTimeout 80\n", "ConnectTimeout", "80", "a call waits 70 s at most", true),
        ("  ConnectTimeout 1h\n", "ConnectTimeout", "600", "not the 3600 s that stand there", true),
        ("", "ServerAliveInterval", "5", own, false),
        ("  ServerAliveCountMax 9\n", "ServerAliveCountMax", "2", own, false),
        ("  ServerAliveInterval 20\n", "ServerAliveInterval", "20", "", true),
        ("  ServerAliveInterval 20\n", "ServerAliveCountMax", "3", "", false),
        ("  ServerAliveInterval 0\n", "ServerAliveInterval", "0", "", true),
        ("  GlobalKnownHostsFile /kh\n", "GlobalKnownHostsFile", "none", "Scout's, by --known-hosts", false),
    ] {
        let answer = explained(&host(more), "box").await;
        let (got, said, is_of_line) = setting(&answer, keyword);
        assert_eq!((got.as_str(), is_of_line), (value, by_line), "{more}{keyword}: {answer:#}");
        assert!(said.starts_with(note) && note.is_empty() == said.is_empty(), "{more}{keyword}: {said}");
    }
    let without = explained(&host("  ServerAliveInterval 0\n"), "box").await;
    assert!(without["settings"].as_array().unwrap().iter().all(|one| one["keyword"] != "ServerAliveCountMax"));

    let options = host("  UserKnownHostsFile /kh\n");
    let dir = tempfile::tempdir().unwrap();
    let known_hosts = dir.path().join("known_hosts").display().to_string();
    let output = options.command(dir.path()).args(["explain", "box", "--json"]).output().await.unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (files, note, is_of_line) = setting(&answer, "UserKnownHostsFile");
    assert!(files == known_hosts && note.starts_with("Scout's, by --known-hosts") && !is_of_line, "{answer:#}");
    assert_eq!(answer["known_hosts"]["learn_into"], known_hosts.as_str());

    // One limit holds for the whole way.
    let mut options = host("  ConnectTimeout 60\n");
    options.ssh_config.push_str("Host inner\n  ProxyJump box\n  ConnectTimeout 20\n");
    let answer = explained(&options, "inner").await;
    assert_eq!(setting(&answer, "ConnectTimeout"), ("20".to_owned(), String::new(), true));
    let hop = setting(&answer["hops"][0], "ConnectTimeout");
    assert_eq!(hop, ("20".to_owned(), "of the whole way to inner".to_owned(), false));
}
