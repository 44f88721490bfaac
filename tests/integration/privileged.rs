//! Commands that run as root, where scout.toml has a row for them: what is sent, what is refused, how they end. `sudo` is a program of the
//! test's own, for no test has an account that sudo would ask.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use scout_tests::{Scout, Sshd, SshdOptions};
use serde_json::json;

use crate::cli::run;
use crate::world::options;

/// Runs what it is given, and writes down what that was.
const RUNS: &str = "#!/bin/sh\nprintf '%s\\n' \"$*\" >>\"$(dirname \"$0\")/asked\"\n[ \"$1 $2\" = '-n --' ] || exit 99\nshift 2\nexec 3<&0\n\"$@\" <&3 &\ntrap 'kill $!; exit 143' TERM HUP\nwait\n";
const REFUSES: &str = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n";

fn server(sudo: &str) -> (Sshd, tempfile::TempDir) {
    let programs = tempfile::tempdir().unwrap();
    let path = programs.path().join("sudo");
    std::fs::write(&path, sudo).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let options = SshdOptions { programs: Some(programs.path().to_owned()), ..SshdOptions::default() };
    (Sshd::start_with(&options), programs)
}

fn rows(dir: &Path) -> String {
    let dir = dir.display();
    format!("[hosts.box]\nsudo = [[\"cat\", \"{dir}/*.log\"], [\"wc\", \"-c\"]]\n")
}

#[tokio::test]
async fn a_row_runs_as_root_on_a_channel_of_its_own_and_nothing_else_does() {
    let (sshd, programs) = server(RUNS);
    let dir = sshd.dir().display().to_string();
    std::fs::write(sshd.dir().join("a.log"), "five\n").unwrap();
    let scout = Scout::start(&options(&sshd).setting(&rows(sshd.dir()))).await;
    let ran = scout.command("box", &format!("sudo cat {dir}/a.log | sudo wc -c")).await;
    assert_eq!(
        (ran.structured()["stdout"].as_str().map(str::trim), ran.is_error()),
        (Some("5"), false),
        "{}",
        ran.message
    );
    assert_eq!(ran.receipt()["shell_execs"], json!(0));
    let asked = std::fs::read_to_string(programs.path().join("asked")).unwrap();
    let mut asked: Vec<&str> = asked.lines().collect();
    asked.sort_unstable();
    assert_eq!(asked, [format!("-n -- cat {dir}/a.log"), "-n -- wc -c".to_owned()]);
    for (query, says) in [
        (format!("sudo cat {dir}/a.txt"), "is not among what runs as root there (scout.toml:"),
        (format!("sudo cat {dir}/*.log"), "has no globs"),
        (format!("sudo grep -r x {dir}"), "does not run as root"),
        ("sudo -u ann cat /x.log".to_owned(), "not one of the programs"),
        ("sudo rm /x.log".to_owned(), "not one of the programs"),
    ] {
        let refused = scout.command("box", &query).await;
        assert!(refused.is_error() && refused.text().contains(says), "{query}: {}", refused.text());
    }
    let other = Scout::start(&options(&sshd)).await.command("box", &format!("sudo cat {dir}/a.log")).await;
    assert!(other.is_error() && other.text().contains("nothing runs as root on `box`"), "{}", other.text());
    assert_eq!(std::fs::read_to_string(programs.path().join("asked")).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn secrets_stay_secret_to_root_too() {
    let (sshd, programs) = server(RUNS);
    let scout = Scout::start(&options(&sshd).setting("[hosts.box]\nsudo = [[\"cat\", \"*\"]]\n")).await;
    let refused = scout.command("box", "sudo cat /etc/shadow").await;
    assert!(refused.is_error() && refused.text().contains("list of secret paths"), "{}", refused.text());
    assert!(!programs.path().join("asked").exists());
}

#[tokio::test]
async fn what_sudo_does_not_run_is_told_with_the_line_that_lets_it_and_doctor_prints_it() {
    let (sshd, _programs) = server(REFUSES);
    let dir = sshd.dir().display().to_string();
    let options = options(&sshd).setting("[hosts.box]\nsudo = [[\"cat\", \"/var/log/*.log\"], [\"wc\", \"-c\"]]\n");
    let scout = Scout::start(&options).await;
    let refused = scout.command("box", "sudo cat /var/log/dpkg.log").await;
    let error = &refused.structured()["error"];
    let line = "ALL=(root) NOPASSWD: /usr/bin/cat ^/var/log/[^/[:space:]]*[.]log$";
    assert_eq!((&error["kind"], refused.is_error()), (&json!("permission"), true), "{}", refused.message);
    assert!(
        error["message"].as_str().unwrap().ends_with("sudo did not run it: sudo: a password is required"),
        "{error}"
    );
    assert!(error["hint"].as_str().unwrap().contains(line), "{error}");
    // Behind a pipe it is not taken for an empty file.
    let piped = scout.command("box", "sudo cat /var/log/dpkg.log | wc -l").await;
    assert_eq!(
        (&piped.structured()["error"]["kind"], piped.is_error()),
        (&json!("permission"), true),
        "{}",
        piped.message
    );
    let (_, stdout, stderr) = run(&options, &["explain", "box"]).await;
    assert!(stdout.contains("sudo cat /var/log/*.log  (scout.toml:"), "{stdout}{stderr}");
    let (_, stdout, stderr) = run(&options, &["doctor"]).await;
    assert!(stdout.contains(line) && stdout.contains("/usr/bin/wc -c"), "{dir} {stdout}{stderr}");
}

#[tokio::test]
async fn what_runs_as_root_ends_with_its_timeout() {
    let (sshd, _programs) = server(RUNS);
    let pipe = sshd.dir().join("pipe.log");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("`mkfifo`: install coreutils").success());
    let setting = format!("command_timeout = \"1s\"\n{}", rows(sshd.dir()));
    let scout = Scout::start(&options(&sshd).setting(&setting)).await;
    let late = scout.command("box", &format!("sudo cat {}", pipe.display())).await;
    assert_eq!(late.structured()["remote"], json!("stopped"), "{}", late.message);
}
