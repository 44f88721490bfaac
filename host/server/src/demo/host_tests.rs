//! OpenSSH's own clients against the demo host.

use std::process::{Output, Stdio};

use rustix::process::{Pid, test_kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::super::session;
use super::*;

/// `ssh` and `sftp` must be installed: `apt-get install openssh-client`.
fn client(program: &str, host: &DemoHost) -> Command {
    let mut command = Command::new(program);
    command.arg("-F").arg(host.ssh_config_path()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn ssh(host: &DemoHost, command: &str) -> Output {
    client("ssh", host).args([ALIAS, command]).output().await.expect("install openssh-client")
}

async fn sftp(host: &DemoHost, batch: &str) -> Output {
    let mut child = client("sftp", host)
        .args(["-b", "-", ALIAS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("install openssh-client");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(batch.as_bytes()).await.expect("sftp reads its batch");
    drop(stdin);
    child.wait_with_output().await.expect("sftp ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A command that tells its process id and that of a child in the background, and stays.
async fn staying(host: &DemoHost) -> (Child, Vec<Pid>) {
    let mut child = client("ssh", host)
        .args([ALIAS, "sleep 1000 & echo $$; echo $!; wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install openssh-client");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut pids = Vec::new();
    for _ in 0..2 {
        let line = lines.next_line().await.expect("readable").expect("a process id");
        pids.push(Pid::from_raw(line.parse().expect("a number")).expect("not zero"));
    }
    (child, pids)
}

/// Returns when none of them runs. A child of a killed shell may stay as a zombie where init does not reap.
async fn gone(pids: &[Pid]) {
    let runs = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        test_kill_process(*pid).is_ok() && !stat.is_ok_and(|stat| stat.contains(") Z "))
    };
    let all_gone = async {
        while pids.iter().any(runs) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_gone).await.expect("the group is killed");
}

#[tokio::test]
async fn openssh_runs_a_command_in_the_shown_directory() {
    let host = DemoHost::start().await.expect("started");
    let output = ssh(&host, "pwd; echo $HOME; grep -c ERROR log/app.log").await;
    let dir = host.dir().display();
    assert_eq!(stdout(&output), format!("{dir}\n{dir}\n7\n"), "{output:?}");
}

#[tokio::test]
async fn a_command_gets_nothing_of_the_environment() {
    let host = DemoHost::start().await.expect("started");
    let output = ssh(&host, "env").await;
    let names: Vec<String> =
        stdout(&output).lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect();
    // The shell itself sets the rest.
    let known = ["HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
}

#[tokio::test]
async fn the_exit_status_and_both_streams_arrive() {
    let host = DemoHost::start().await.expect("started");
    let output = ssh(&host, "echo out; echo err >&2; exit 3").await;
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((stdout(&output).as_str(), output.stderr.as_slice()), ("out\n", b"err\n".as_slice()));
}

#[tokio::test]
async fn a_death_by_signal_is_no_success() {
    let host = DemoHost::start().await.expect("started");
    let output = ssh(&host, "kill -TERM $$").await;
    // OpenSSH's client has no words for exit-signal and ends with -1.
    assert_eq!(output.status.code(), Some(255), "{output:?}");
}

#[tokio::test]
async fn input_reaches_the_command() {
    let host = DemoHost::start().await.expect("started");
    let mut child = client("ssh", &host)
        .args([ALIAS, "tr a-z A-Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install openssh-client");
    child.stdin.take().expect("piped").write_all(b"shout").await.expect("written");
    assert_eq!(stdout(&child.wait_with_output().await.expect("ends")), "SHOUT");
}

#[tokio::test]
async fn a_large_output_arrives_whole() {
    let host = DemoHost::start().await.expect("started");
    let output = ssh(&host, "head -c 5000000 /dev/zero").await;
    assert_eq!(output.stdout.len(), 5_000_000);
}

#[tokio::test]
async fn sftp_lists_and_reads() {
    let host = DemoHost::start().await.expect("started");
    let copy = host.dir().join("../client/copy");
    let output = sftp(&host, &format!("ls -l\ncd notes\nls\nget /etc/app.conf {}\n", copy.display())).await;
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert!(["etc", "log", "notes", "README.md"].iter().all(|name| text.contains(name)), "{text}");
    assert_eq!(fs::read(copy).expect("copied"), fs::read(host.dir().join("etc/app.conf")).expect("there"));
}

#[tokio::test]
async fn sftp_reads_nothing_outside() {
    let host = DemoHost::start().await.expect("started");
    let copy = host.dir().join("copy");
    for path in ["../client/id_ed25519", "/etc/passwd"] {
        let output = sftp(&host, &format!("get {path} {}\n", copy.display())).await;
        assert!(!output.status.success(), "{path}: {output:?}");
    }
    assert!(!copy.exists());
}

#[tokio::test]
async fn ten_sessions_share_one_connection() {
    let host = DemoHost::start().await.expect("started");
    // Seen from there: a socket's path is short, whatever TMPDIR is.
    let (control, beside) = ("ControlPath=control", host.dir().join("../client"));
    let mut master = client("ssh", &host)
        .current_dir(&beside)
        .args(["-M", "-o", control, ALIAS, "echo ready; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install openssh-client");
    let mut lines = BufReader::new(master.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next_line().await.expect("readable").as_deref(), Some("ready"));

    let mut held = Vec::new();
    for _ in 1..session::MAX_SESSIONS {
        let mut child = client("ssh", &host)
            .current_dir(&beside)
            .args(["-o", control, ALIAS, "echo ready; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("install openssh-client");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert_eq!(lines.next_line().await.expect("readable").as_deref(), Some("ready"));
        held.push((child, lines));
    }
    // The next one is refused, and there is room again once one has ended.
    let once = async |command: &str| {
        let mut ssh = client("ssh", &host);
        // Without a connection of its own as a way out.
        ssh.current_dir(&beside).args(["-o", control, "-o", "ProxyCommand=false", ALIAS, command]);
        ssh.output().await.expect("install openssh-client")
    };
    assert!(!once("true").await.status.success());
    let (mut first, _lines) = held.pop().expect("held");
    drop(first.stdin.take());
    assert!(first.wait().await.expect("ends").success());
    assert_eq!(stdout(&once("echo again").await), "again\n");
}

#[tokio::test]
async fn another_key_is_refused() {
    let (host, other) = (DemoHost::start().await.expect("started"), DemoHost::start().await.expect("started"));
    let port = host.address().port();
    let identity = other.dir().join("../client/id_ed25519");
    let output = Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i"])
        .arg(identity)
        .args(["-p", &port.to_string(), "demo@127.0.0.1", "true"])
        .output()
        .await
        .expect("install openssh-client");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied (publickey)"), "{output:?}");
}

#[tokio::test]
async fn the_group_is_killed_when_the_connection_drops() {
    let host = DemoHost::start().await.expect("started");
    let (mut child, pids) = staying(&host).await;
    child.kill().await.expect("killed");
    gone(&pids).await;
}

#[tokio::test]
async fn the_group_is_killed_when_the_host_ends() {
    let host = DemoHost::start().await.expect("started");
    let (_child, pids) = staying(&host).await;
    drop(host);
    gone(&pids).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_killed() {
    let host = DemoHost::start().await.expect("started");
    let output = ssh(&host, "sleep 1000 >/dev/null 2>&1 & echo $!").await;
    let pid = Pid::from_raw(stdout(&output).trim().parse().expect("a number")).expect("not zero");
    gone(&[pid]).await;
}

#[tokio::test]
async fn the_files_vanish_with_the_host() {
    let host = DemoHost::start().await.expect("started");
    let base = host.dir().parent().expect("it has one").to_owned();
    assert!(base.exists());
    drop(host);
    assert!(!base.exists());
}

#[tokio::test]
async fn the_key_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let host = DemoHost::start().await.expect("started");
    let key = fs::metadata(host.dir().join("../client/id_ed25519")).expect("there");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}
