//! The command line.

use std::path::Path;
use std::process::{Output, Stdio};

use scout_tests::recording::{self, PICTURE};
use scout_tests::{ScoutOptions, Sshd, login_name};
use tokio::io::AsyncWriteExt as _;

use crate::world::{binary, options};

pub(crate) async fn run(options: &ScoutOptions, arguments: &[&str]) -> (Output, String, String) {
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

/// Runs `scout trust` at a terminal where somebody says yes so many times.
async fn trust_at_a_terminal(options: &ScoutOptions, dir: &Path, host: &str, yes: usize) -> (bool, String) {
    let scout = options.command(dir);
    let words = scout.as_std().get_args().map(|word| format!(" '{}'", word.display()));
    let line = format!("'{}'{} trust {host}", options.binary.display(), words.collect::<String>());
    // It gives the command a terminal; what is piped to it is typed there, and then the end of the file.
    let mut command = tokio::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env_clear();
    command.envs(scout.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().expect("`script` is missing: sudo apt-get install bsdutils");
    let typed = "yes\n".repeat(yes);
    child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn trust_settles_the_jump_hosts_as_they_are_dialled_and_then_the_host() {
    let (one, two, target) = (Sshd::start(), Sshd::start(), Sshd::start());
    // `hop` is somebody else on port 22; only the jump says how it is dialled.
    let user = login_name();
    let (first, second) = (one.address().port(), two.address().port());
    let jump = format!("  ProxyJump {user}@hop:{first},{user}@127.0.0.1:{second}\n");
    let block = format!("{}{jump}", target.config_block("box", target.address()));
    let keys = [&one, &two].map(|sshd| format!("  IdentityFile {}\n", sshd.user_key().private.display())).concat();
    let hop =
        format!("Host hop\n  HostName 127.0.0.1\n  User nobody-here\nHost hop 127.0.0.1\n  IdentitiesOnly yes\n{keys}");
    let mut options = ScoutOptions::new(binary(), format!("{block}{hop}"), "");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");

    // What the error says is what helps.
    let output = options.command(dir.path()).args(["call", "box:/etc/hostname"]).output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("jump host hop: the host's key is not known yet") && error.contains("`scout trust box`"),
        "{error}"
    );
    let (agreed, text) = trust_at_a_terminal(&options, dir.path(), "box", 0).await;
    assert!(!agreed && std::fs::read_to_string(&file).unwrap().is_empty(), "{text}");
    let (agreed, text) = trust_at_a_terminal(&options, dir.path(), "box", 3).await;
    assert!(agreed, "{text}");
    let asked =
        [format!("The jump host hop (127.0.0.1:{first})"), format!("The jump host 127.0.0.1 (127.0.0.1:{second})")];
    assert!(asked.iter().all(|host| text.contains(host)), "{text}");
    let wanted = [&one, &two, &target].map(|sshd| sshd.known_hosts_line(sshd.address())).concat();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), wanted, "{text}");
    options.known_hosts = wanted.clone();
    let output = options.command(dir.path()).args(["call", "box:/etc/hostname"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Those that are trusted are not asked for again.
    options.known_hosts = [&one, &two].map(|sshd| sshd.known_hosts_line(sshd.address())).concat();
    let (agreed, text) = trust_at_a_terminal(&options, dir.path(), "box", 1).await;
    assert!(agreed && !text.contains("jump host"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), wanted, "{text}");
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
async fn the_demo_shows_what_its_recording_shows() {
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
    let recording = std::fs::read_to_string(crate::plugin_projects::repository().join(PICTURE)).unwrap();
    let steady = |lines: &[String]| lines.iter().map(|line| recording::steady(line)).collect::<Vec<_>>();
    let (now, then) = (recording::recorded(&stdout), recording::shown(&recording));
    let how = "cargo run --release -- demo && cargo run -p scout-tests --bin record_demo";
    assert_eq!(steady(&now), steady(&then), "{how}");
    assert!(recording::picture(&then) == recording, "{PICTURE} is drawn in another way: {how}");
}
