//! Commands that run as root, where scout.toml has a row for them: what is sent, what is refused, how they end. `sudo` is a program of the
//! test's own, for no test has an account that sudo would ask.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use scout_tests::{Scout, Sshd, SshdOptions};
use serde_json::json;

use crate::bundled_tools::{World, cat};
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

/// Runs what it is given, which can tell that it is root.
const RAISES: &str = "[ \"$1 $2\" = '-n --' ] || exit 99; shift 2; AS_ROOT=1 exec \"$@\"";
/// Tells root whose a socket is.
const SS: &str = "o=; [ \"$AS_ROOT\" ] && o='users:((\"sshd\",pid=7,fd=3)) '\nprintf 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* %suid:0 ino:1 sk:1\\n' \"$o\"";
/// Tells anybody but root that it is not seen.
const JOURNALCTL: &str = "[ \"$AS_ROOT\" ] && m=all || m=own\ncase $* in *-n\\ 0*) echo 'Hint: You are currently not seeing messages from other users and the system.' >&2;; *) printf '{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"%s\",\"SYSLOG_IDENTIFIER\":\"a\"}\\n' $m;; esac";
const MISSING: &str = "echo \"sh: 1: x: not found\" >&2; exit 127";

fn notes(answer: &serde_json::Value) -> String {
    answer["notes"].to_string()
}

#[tokio::test]
async fn typed_tools_tell_the_row_that_would_show_more_and_run_as_root_what_a_row_lets_run_so() {
    let volumes = |program: &str, file: &str| {
        let denied = "echo '  WARNING: Running as a non-root user. Functionality may be unavailable.' >&2; exit 5";
        format!("[ \"$AS_ROOT\" ] || {{ {denied}; }}; {} # {program}", cat("storage", file))
    };
    let (vgs, lvs) = (volumes("vgs", "lvm2.03.16-vgs.txt"), volumes("lvs", "lvs-written.txt"));
    let programs = [
        ("sudo", RAISES),
        ("ss", SS),
        ("vgs", &*vgs),
        ("lvs", &*lvs),
        ("journalctl", JOURNALCTL),
        ("smartctl", MISSING),
        ("zpool", MISSING),
        ("findmnt", "true"),
    ];
    let world = World::with(&programs).await;
    let answer = world.answer("listeners", json!({"host": "box"}), 1).await;
    assert!(answer["listeners"][0]["process"].is_null(), "{answer}");
    let advice = r#"`sudo = [[\"ss\", \"-tulpne\"]]` below [hosts.NAME]"#;
    assert!(notes(&answer).contains(advice) && !notes(&answer).contains("ran as root"), "{answer}");
    let answer = world.answer("logs", json!({"host": "box", "unit": "nginx"}), 1).await;
    assert_eq!(answer["entries"][0]["message"], "own", "{answer}");
    assert!(notes(&answer).contains(r#"\"--unit=*\"]]` below"#), "{answer}");
    let failed = world.failure("storage", json!({"host": "box"})).await;
    let advice =
        failed.split('`').find(|text| text.starts_with("sudo = [[\"vgs\"")).unwrap_or_else(|| panic!("{failed}"));
    assert!(!world.arguments().contains(&"sudo".to_owned()));

    let rows = format!("[hosts.box]\n{}, [\"ss\", \"-tulpne\"]]\n", advice.strip_suffix(']').unwrap());
    let world = World::on(SshdOptions::default(), &programs, &rows).await;
    let answer = world.answer("listeners", json!({"host": "box"}), 1).await;
    assert_eq!(answer["listeners"][0]["process"], "sshd", "{answer}");
    assert_eq!(answer["notes"], json!(["`ss` ran as root"]), "{answer}");
    assert_eq!(world.arguments(), ["sudo", "-n", "--", "ss", "-tulpne", "ss", "-tulpne"]);
    let answer = world.call("storage", json!({"host": "box"})).await.structured();
    assert_eq!(answer["rows"][0]["kind"], "lv", "{answer}");
    assert!(notes(&answer).contains("`vgs` ran as root") && notes(&answer).contains("`lvs` ran as root"), "{answer}");
}

#[tokio::test]
async fn a_pipeline_of_a_typed_tool_runs_its_part_as_root() {
    let fields = World::with(&[("journalctl", JOURNALCTL)]).await;
    fields.answer("logs", json!({"host": "box"}), 1).await;
    // The row that it would have, of what it sent.
    let sent = fields.arguments();
    let reads = sent.split(|word| word == "journalctl").find(|words| words.contains(&"json".to_owned())).unwrap();
    let row: Vec<&str> = ["journalctl"].into_iter().chain(reads.iter().map(String::as_str)).collect();
    let rows = format!("[hosts.box]\nsudo = [{row:?}]\n");
    let programs = [("sudo", RAISES), ("journalctl", JOURNALCTL)];
    let world = World::on(SshdOptions::default(), &programs, &rows).await;
    let answer = world.answer("logs", json!({"host": "box"}), 1).await;
    assert_eq!(answer["entries"][0]["message"], "all", "{rows} {answer}");
    assert_eq!(answer["notes"], json!(["`journalctl` ran as root"]), "{answer}");
    let refuses = [("sudo", "echo 'sudo: a password is required' >&2; exit 1"), ("journalctl", JOURNALCTL)];
    let world = World::on(SshdOptions::default(), &refuses, &rows).await;
    let answer = world.answer("logs", json!({"host": "box"}), 2).await;
    assert_eq!(answer["entries"][0]["message"], "own", "{answer}");
    let why = "`journalctl` did not run as root: box: sudo did not run it: sudo: a password is required";
    assert!(notes(&answer).contains(why), "{answer}");
}

#[tokio::test]
async fn where_sudo_refuses_a_typed_tool_asks_as_the_account_and_says_so() {
    let rows = "[hosts.box]\nsudo = [[\"ss\", \"-tulpne\"]]\n";
    let programs = [("sudo", "echo 'sudo: a password is required' >&2; exit 1"), ("ss", SS)];
    let world = World::on(SshdOptions::default(), &programs, rows).await;
    let answer = world.answer("listeners", json!({"host": "box"}), 2).await;
    assert!(answer["listeners"][0]["port"] == 22 && answer["listeners"][0]["process"].is_null(), "{answer}");
    assert!(notes(&answer).contains("`ss` did not run as root: box: sudo did not run it"), "{answer}");
    // Who runs anything has no rows: then nobody is asked for a password either.
    let anything = "[hosts.box]\ncommands = \"shell\"\n";
    let world = World::on(SshdOptions::default(), &programs, anything).await;
    world.answer("listeners", json!({"host": "box"}), 1).await;
    assert!(!world.arguments().contains(&"sudo".to_owned()));
}
