//! The audit trail of a Scout that is killed, whose disk is full, or that may not write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_tests::{Answer, Scout, ScoutOptions, Sshd, with_read_only, with_small_disk};
use serde_json::{Value, json};

use crate::limits::until;
use crate::world::options;

/// The lines of an audit log, each of which is JSON.
fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// Whether an end is one that a command may have whose client has left: Scout waits less than a second for word of it, and a busy
/// machine may take longer.
pub(crate) fn tells_of_a_client_that_left(end: &Value) -> bool {
    let ending = end["ending"].as_str().unwrap_or_default();
    ending == "cancelled (stopped)" || ending == "unknown: Scout gave it up, and it may still run"
}

/// A configuration in a directory of its own whose audit log lies in another one below it.
struct Place {
    sshd: Sshd,
    dir: tempfile::TempDir,
}

impl Place {
    fn new(settings: &str) -> Self {
        let place = Self { sshd: Sshd::start(), dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.disk()).unwrap();
        let options = options(&place.sshd);
        let write = |name: &str, text: &str| std::fs::write(place.dir.path().join(name), text).unwrap();
        write("ssh_config", &options.ssh_config);
        write("known_hosts", &options.known_hosts);
        let toml = format!(
            "ssh_config = \"ssh_config\"\nknown_hosts = \"known_hosts\"\naudit_log = \"disk/audit.jsonl\"\n{settings}\n"
        );
        write("scout.toml", &toml);
        place
    }

    fn options(&self) -> ScoutOptions {
        options(&self.sshd)
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Scout with this configuration.
    async fn start(&self, options: &ScoutOptions) -> Arc<Scout> {
        let scout = Scout::spawn_at(options, &self.dir.path().join("scout.toml"));
        scout.initialize().await;
        scout
    }
}

/// Begins a command that ends never, and waits until it runs.
async fn endless(sshd: &Sshd, scout: &Scout) {
    let begun = sshd.dir().join("begun");
    let query = format!("touch {}; sleep 1000", begun.display());
    scout.begin("tools/call", json!({"name": "scout", "arguments": {"target": "box", "query": query}})).await;
    until(|| begun.exists()).await;
}

#[tokio::test]
async fn a_command_under_which_scout_is_killed_has_a_line() {
    let sshd = Sshd::start();
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"")).await;
    endless(&sshd, &scout).await;
    scout.signal("KILL");
    scout.wait().await;
    let lines = lines(&scout.dir().join("audit.jsonl"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["event"], &lines[0]["host"]), (&"begin".into(), &"box".into()));
    assert!(lines[0]["command"].as_str().unwrap().contains("sleep 1000"), "{lines:?}");
}

#[tokio::test]
async fn a_command_whose_client_leaves_has_a_beginning_and_an_end() {
    let sshd = Sshd::start();
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"")).await;
    endless(&sshd, &scout).await;
    assert!(scout.close().await.success());
    let lines = lines(&scout.dir().join("audit.jsonl"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((&lines[1]["event"], &lines[1]["id"]), (&"end".into(), &lines[0]["id"]));
    assert!(tells_of_a_client_that_left(&lines[1]), "{lines:?}");
}

#[tokio::test]
async fn a_look_that_may_not_be_has_a_line_and_another_one_only_where_reads_are_asked_for() {
    let sshd = Sshd::start();
    let (plain, link) = (sshd.dir().join("plain"), sshd.dir().join("link"));
    std::fs::write(&plain, "plain").unwrap();
    // Kept secret by a pattern of the operator's, behind a link that does not match it.
    std::fs::write(sshd.dir().join("kept.mine"), "kept").unwrap();
    std::os::unix::fs::symlink("kept.mine", &link).unwrap();
    for reads in [false, true] {
        let options = options(&sshd).setting("secret_paths = [\"**/*.mine\"]");
        let scout = Scout::start(&options.setting(&format!("audit_reads = {reads}"))).await;
        assert!(!scout.call(&format!("box:{}", plain.display())).await.is_error());
        assert!(scout.call("box:/etc/shadow").await.is_error());
        assert!(scout.call(&format!("box:{}", link.display())).await.is_error());
        assert!(scout.close().await.success());
        let lines = lines(&scout.dir().join("audit.jsonl"));
        let told = |event: &str| -> Vec<String> {
            of(&lines, event).iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect()
        };
        let denied = told("denied");
        assert!(
            denied.contains(&"/etc/shadow".to_owned()) && denied.contains(&link.display().to_string()),
            "{lines:?}"
        );
        assert!(!denied.contains(&plain.display().to_string()), "{lines:?}");
        assert_eq!(told("read").contains(&plain.display().to_string()), reads, "{lines:?}");
        let one = *of(&lines, "denied").first().unwrap();
        assert_eq!(
            (&one["host"], &one["tenant"], &one["principal"], &one["operation"]),
            (&"box".into(), &"local".into(), &"local".into(), &"open".into())
        );
        assert!(one["why"].as_str().unwrap().contains("secret paths"), "{one}");
    }
}

/// Runs commands that each leave a line on the host until one fails, at most so many; what that one answered.
async fn run_until_one_fails(sshd: &Sshd, scout: &Scout, most: usize) -> Option<Answer> {
    for _ in 0..most {
        let answer = scout.command("box", &format!("echo ran >> {}", sshd.dir().join("ran").display())).await;
        if answer.is_error() {
            return Some(answer);
        }
    }
    None
}

fn runs(sshd: &Sshd) -> usize {
    std::fs::read_to_string(sshd.dir().join("ran")).unwrap().lines().count()
}

#[tokio::test]
async fn on_a_full_disk_no_command_runs_that_has_no_line() {
    let place = Place::new("commands = \"shell\"");
    let options = place.options().launched_by(&with_small_disk(16 << 10, &place.disk()));
    let scout = place.start(&options).await;
    let disk = PathBuf::from(format!("/proc/{}/root{}", scout.pid(), place.disk().display()));
    assert!(run_until_one_fails(&place.sshd, &scout, 2).await.is_none(), "{}", scout.stderr());
    // All but what is left of the log's last page.
    let filled = std::fs::write(disk.join("fill"), vec![0; 16 << 10]).unwrap_err();
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
    let refused = run_until_one_fails(&place.sshd, &scout, 40).await.expect("the disk is full");
    assert!(refused.text().contains("No space left on device"), "{}", refused.text());
    assert!(refused.text().contains("the command was not sent"), "{}", refused.text());
    let ran = runs(&place.sshd);
    let log = disk.join("audit.jsonl");
    assert_eq!(of(&lines(&log), "begin").len(), ran);
    // Reading leaves no line, and goes on.
    assert!(!scout.call("box:/etc/hostname").await.is_error());
    std::fs::remove_file(disk.join("fill")).unwrap();
    assert!(run_until_one_fails(&place.sshd, &scout, 1).await.is_none(), "{}", scout.stderr());
    let lines = lines(&log);
    assert_eq!((of(&lines, "begin").len(), runs(&place.sshd)), (ran + 1, ran + 1));
    assert!(of(&lines, "omitted")[0]["unwritten"].as_u64().unwrap() > 0, "{lines:?}");
    assert!(scout.stderr().contains("the audit log cannot be written"), "{}", scout.stderr());
}

#[tokio::test]
async fn best_effort_runs_commands_where_nothing_can_be_written_and_doctor_tells() {
    for (settings, serves) in [("", false), ("audit = \"best-effort\"", true)] {
        let place = Place::new(settings);
        let options = place.options().launched_by(&with_read_only(&place.disk()));
        if serves {
            let scout = place.start(&options).await;
            assert!(!scout.command("box", "uname").await.is_error());
            assert!(scout.stderr().contains("Read-only file system"), "{}", scout.stderr());
        } else {
            let scout = Scout::spawn_at(&options, &place.dir.path().join("scout.toml"));
            assert_eq!(scout.wait().await.code(), Some(2));
            assert!(scout.stderr().contains("audit.jsonl cannot be written: Read-only"), "{}", scout.stderr());
        }
        let mut doctor = options.bare_command(place.dir.path());
        doctor.arg("--config").arg(place.dir.path().join("scout.toml")).arg("doctor");
        let doctor = doctor.output().await.unwrap();
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(said.contains("audit.jsonl cannot be written: Read-only"), "{said}");
        assert_eq!(said.contains("best-effort: a command that cannot be recorded runs all the same"), serves, "{said}");
    }
}

#[tokio::test]
async fn doctor_tells_of_a_log_that_has_no_room() {
    let place = Place::new("");
    let fill = format!("cat /dev/zero >{}/fill 2>/dev/null; exec \"$@\"", place.disk().display());
    for (script, has_room) in [("exec \"$@\"", true), (&*fill, false)] {
        let mut launcher = with_small_disk(16 << 10, &place.disk());
        launcher.args(["sh", "-c", script, "sh"]);
        let mut doctor = place.options().launched_by(&launcher).bare_command(place.dir.path());
        doctor.arg("--config").arg(place.dir.path().join("scout.toml")).arg("doctor");
        let doctor = doctor.output().await.unwrap();
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert_eq!(!said.contains("audit.jsonl cannot be written: No space left on device"), has_room, "{said}");
        assert!(said.contains("audit.jsonl"), "{said}");
    }
}

#[tokio::test]
async fn what_an_agent_is_refused_without_end_is_bounded_in_the_log() {
    let sshd = Sshd::start();
    let scout = Scout::start(&options(&sshd)).await;
    let long = "x".repeat(10_000);
    for _ in 0..150 {
        assert!(scout.command("box", &format!("rm {long}")).await.is_error());
    }
    assert!(scout.close().await.success());
    let lines = lines(&scout.dir().join("audit.jsonl"));
    let (unsent, omitted) = (of(&lines, "unsent"), of(&lines, "omitted"));
    let told: u64 = omitted.iter().map(|line| line["unsent"].as_u64().unwrap()).sum();
    assert_eq!(unsent.len() as u64 + told, 150);
    assert!(told > 0 && unsent.iter().all(|line| line["command"].as_str().unwrap().len() <= 512));
}

/// The proof of a log that a Scout has written, its checkpoints by the real ssh-keygen, and how it is told.
#[tokio::test]
async fn a_log_is_proven_signed_shown_and_exported() {
    let sshd = Sshd::start();
    let options = options(&sshd);
    let scout = Scout::start(&options).await;
    for query in ["uname", "echo =1+1", "rm -rf /"] {
        scout.command("box", query).await;
    }
    let dir = scout.dir();
    let run = async |arguments: &[&str]| {
        let output = options.command(dir).args(arguments).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told, why) = run(&["audit", "verify"]).await;
    assert_eq!(code, Some(0), "{told}{why}");
    assert!(told.contains("whole: 5 lines, 5 linked"), "{told}");

    let keygen = async |script: &str| {
        let mut command = tokio::process::Command::new("sh");
        let output = command.args(["-ec", script]).current_dir(dir).output().await.unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    keygen("ssh-keygen -q -t ed25519 -N '' -f key; echo \"auditor $(cat key.pub)\" >signers").await;
    let key = dir.join("key");
    let (code, told, why) = run(&["audit", "checkpoint", "--key", key.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{told}{why}");
    let log = dir.join("audit.jsonl");
    let checkpoint = lines(&log).pop().unwrap();
    assert!(told.contains(checkpoint["of"].as_str().unwrap()), "{told}");
    std::fs::write(dir.join("of"), checkpoint["of"].as_str().unwrap()).unwrap();
    std::fs::write(dir.join("of.sig"), checkpoint["signature"].as_str().unwrap()).unwrap();
    keygen("ssh-keygen -Y verify -f signers -I auditor -n scout-audit -s of.sig <of").await;
    let signers = dir.join("signers");
    let with_signers = ["audit", "verify", "--allowed-signers", signers.to_str().unwrap()];
    let (code, told, why) = run(&with_signers).await;
    assert_eq!(code, Some(0), "{told}{why}");
    assert!(told.contains("1 of 1 checkpoints signed well"), "{told}");
    // Of somebody else.
    keygen("ssh-keygen -q -t ed25519 -N '' -f other; echo \"auditor $(cat other.pub)\" >signers").await;
    let (code, told, _) = run(&with_signers).await;
    assert!(code == Some(1) && told.contains(":6: is a checkpoint that is signed with the key"), "{told}");

    let (_, told, _) = run(&["audit", "show", "--host", "box"]).await;
    let shown: Vec<_> = told.lines().collect();
    assert_eq!(shown.len(), 3, "{told}");
    assert!(shown[0].contains("end  local  box  ") && shown[0].contains("[exited 0, "), "{told}");
    assert!(shown[2].contains("unsent  local  box  rm -rf /  [refused"), "{told}");
    let (_, told, _) = run(&["audit", "show", "--event", "begin", "--limit", "1", "--since", "1h"]).await;
    assert!(told.lines().count() == 1 && told.contains("begin"), "{told}");
    let (_, table, _) = run(&["audit", "export", "--format", "csv", "--principal", "local"]).await;
    assert!(table.starts_with("time,event,tenant,principal,plugin,host,operation,path,command,"), "{table}");
    assert_eq!(table.matches("\r\n").count(), 4, "{table}");
    let (_, exported, _) = run(&["audit", "export", "--event", "unsent"]).await;
    assert_eq!(exported.trim(), std::fs::read_to_string(&log).unwrap().lines().nth(4).unwrap());

    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("rm -rf /", "ls -la /", 1)).unwrap();
    let (code, told, _) = run(&["audit", "verify"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(":6: does not follow from what stands above it") && told.contains("NOT whole"), "{told}");
}
