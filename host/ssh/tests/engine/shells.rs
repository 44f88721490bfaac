//! Commands through each login shell, with each shell as `/bin/sh`: they are read alike, and what ends them does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use scout_ssh::{CommandLimits, Ending, ExecOutcome, ExecRequest, Lease, RemoteState};
use scout_tests::SshdOptions;

use crate::world::{World, call, eventually, marker, request, runs};

/// Login shells: the program and its first arguments.
const LOGIN_SHELLS: [&str; 6] = ["bash", "dash", "zsh", "fish", "tcsh", "busybox ash"];
/// Servers at once, for each of the three tests.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_runs_commands_alike_where_sh_is_dash() {
    try_all("dash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_runs_commands_alike_where_sh_is_bash() {
    try_all("bash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_runs_commands_alike_where_sh_is_busybox() {
    try_all("busybox").await;
}

/// Each login shell, with this program as `/bin/sh`.
async fn try_all(sh: &str) {
    // Copies: what `/bin/sh` leads to on this machine is another program for the servers.
    let dir = tempfile::tempdir().unwrap();
    for shell in LOGIN_SHELLS {
        let program = program_of(shell);
        std::fs::copy(found(program), dir.path().join(program)).unwrap();
    }
    let trials = LOGIN_SHELLS.map(|shell| {
        let (sh, shell) = (dir.path().join(sh), format!("{}/{shell}", dir.path().display()));
        tokio::spawn(async move { try_one(sh, shell).await })
    });
    let mut trials = stream::iter(trials).buffer_unordered(AT_ONCE);
    while let Some(trial) = trials.next().await {
        trial.unwrap();
    }
}

fn program_of(shell: &str) -> &str {
    shell.split(' ').next().unwrap()
}

fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places
        .find(|place| place.exists())
        .unwrap_or_else(|| panic!("the shell {program} is missing: apt-get install {program}"))
}

async fn try_one(sh: PathBuf, shell: String) {
    // The account's login shell cannot be changed here, so each shell is asked to read what sshd would hand it.
    let extra = vec![format!("ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"")];
    let options = SshdOptions { shell: Some(sh.clone()), extra, ..SshdOptions::default() };
    let world = tokio::task::spawn_blocking(move || World::with(&options)).await.unwrap();
    let trial = Trial { what: format!("{shell} with {} as sh", sh.display()), lease: Arc::new(world.lease().await) };
    trial.is_that_sh(&sh).await;
    tokio::join!(
        trial.reads_alike(),
        trial.is_limited(),
        trial.ends_alike(),
        trial.is_stopped(),
        trial.is_stopped_though_it_ignores_term()
    );
    tokio::join!(trial.ends_with_its_caller(), trial.leaves_no_child());
    assert_eq!(world.pool.snapshot().dials, 1, "{}", trial.what);
    trial.ends_with_its_connection().await;
}

struct Trial {
    what: String,
    lease: Arc<Lease>,
}

impl Trial {
    async fn exec(&self, script: &str) -> ExecOutcome {
        self.lease.exec(&request(script), &call()).await.unwrap_or_else(|error| panic!("{}: {error}", self.what))
    }

    async fn gives(&self, script: &str, ending: Ending, stdout: &str) {
        let outcome = self.exec(script).await;
        let head: String = script.chars().take(80).collect();
        let got = (outcome.ending, String::from_utf8_lossy(&outcome.stdout.data).into_owned());
        assert_eq!(got, (ending, stdout.to_owned()), "{}: {head}", self.what);
    }

    /// The shell that evaluates is the one that was wanted.
    async fn is_that_sh(&self, sh: &Path) {
        let wanted = std::fs::metadata(sh).unwrap().len();
        self.gives("wc -c </proc/$$/exe", Ending::Exited(0), &format!("{wanted}\n")).await;
    }

    /// As text that every shell takes as it is, encoded in the request, and as a line behind it.
    async fn reads_alike(&self) {
        let plain = r#"x="a  b" y=$(echo `echo c`); echo "$x$y" "^{1,2}#" % ; true >/dev/null & exit 3"#;
        self.gives(plain, Ending::Exited(3), "a  bc ^{1,2}# %\n").await;
        let odd = "printf '%s\\n' \"it's\" '!x' '$HOME' 'a\nb' '\\n' 'ü'; exit 3";
        self.gives(odd, Ending::Exited(3), "it's\n!x\n$HOME\na\nb\n\\n\nü\n").await;
        let long = format!("printf %s \"{}\" | wc -c | tr -d ' '", "x'y\n".repeat(5_000));
        self.gives(&long, Ending::Exited(0), "20000\n").await;
        let streams = self.exec("echo out; echo err >&2").await;
        assert_eq!((&*streams.stdout.data, &*streams.stderr.data), (&b"out\n"[..], &b"err\n"[..]), "{}", self.what);
    }

    /// Within its limits, as text that every shell takes as it is, encoded, and as a line behind the request.
    async fn is_limited(&self) {
        let limits =
            CommandLimits { memory: Some(2 << 30), cpu: Some(77), file_size: Some(1 << 20), processes: Some(9999) };
        let long = format!("cat /proc/$$/limits # {}", "x".repeat(20_000));
        for script in ["cat /proc/$$/limits", "cat /proc/$$/limits # '", &long] {
            let outcome = self.lease.exec(&ExecRequest { limits, ..request(script) }, &call()).await.unwrap();
            let told = String::from_utf8_lossy(&outcome.stdout.data).into_owned();
            for bound in ["2147483648", "77", "1048576", "9999"] {
                let both = told.lines().any(|line| line.split_whitespace().filter(|word| *word == bound).count() == 2);
                assert!(both, "{}: {bound} in {told} {outcome:?}", self.what);
            }
        }
    }

    async fn ends_alike(&self) {
        self.gives("kill -TERM $$", Ending::Signaled("TERM".into()), "").await;
        self.gives("exec sh -c 'kill -KILL $$'", Ending::Signaled("KILL".into()), "").await;
        self.gives("sh -c 'kill -KILL $$' | cat; exit 4", Ending::Exited(4), "").await;
        self.gives("(sleep 0.1; echo child) & wait; echo $?\nexit 9", Ending::Exited(9), "child\n0\n").await;
    }

    /// A child in the background neither holds the command nor outlives it.
    async fn leaves_no_child(&self) {
        let word = marker();
        self.gives(&format!("sleep {word} & echo done"), Ending::Exited(0), "done\n").await;
        eventually(&format!("{}: the child is gone", self.what), || !runs(&word)).await;
    }

    async fn is_stopped(&self) {
        let word = marker();
        self.cancelled(&word, &format!("exec sleep {word}")).await;
    }

    async fn is_stopped_though_it_ignores_term(&self) {
        let word = marker();
        let script = format!("trap '' TERM HUP; sh -c 'trap \"\" TERM HUP; sleep {word}; :'; sleep {word}");
        self.cancelled(&word, &script).await;
    }

    async fn cancelled(&self, word: &str, script: &str) {
        let (call, request) = (call(), request(script));
        let cancel = async {
            eventually(&format!("{}: it runs", self.what), || runs(word)).await;
            call.cancel.cancel();
        };
        let (outcome, ()) = tokio::join!(self.lease.exec(&request, &call), cancel);
        assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Stopped), "{}: {script}", self.what);
        assert!(!runs(word), "{}: {script}", self.what);
    }

    async fn ends_with_its_caller(&self) {
        let word = marker();
        let running = self.spawned(&word).await;
        running.abort();
        eventually(&format!("{}: it is gone with its caller", self.what), || !runs(&word)).await;
    }

    async fn ends_with_its_connection(&self) {
        let word = marker();
        let running = self.spawned(&word).await;
        // The shell's parent is the connection's sshd.
        let _ = self.lease.exec(&request("kill -KILL $PPID"), &call()).await;
        eventually(&format!("{}: it is gone with its connection", self.what), || !runs(&word)).await;
        running.await.unwrap();
    }

    /// A command that runs, whatever comes of it.
    async fn spawned(&self, word: &str) -> tokio::task::JoinHandle<()> {
        let (lease, request) = (Arc::clone(&self.lease), request(&format!("exec sleep {word}")));
        let request = ExecRequest { timeout: Duration::from_secs(60), ..request };
        let running = tokio::spawn(async move { drop(lease.exec(&request, &call()).await) });
        eventually(&format!("{}: it runs", self.what), || runs(word)).await;
        running
    }
}
