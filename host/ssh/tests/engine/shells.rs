//! Commands through each login shell, with each shell as `/bin/sh`: they are read alike, and what ends them does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use scout_machine::{CommandLimits, Ending, ExecOutcome, ExecRequest, RemoteState};
use scout_ssh::Lease;
use scout_tests::{SshdOptions, newer_fish};

use crate::world::{World, call, eventually, marker, request, runs};

/// Login shells that are tried with each `/bin/sh`: the program and its first arguments.
const LOGIN_SHELLS: [&str; 6] = ["bash", "dash", "zsh", "fish", "tcsh", "busybox ash"];
/// Those that differ more from what a Bourne shell is, and are tried with one.
const MORE_LOGIN_SHELLS: [&str; 7] = ["mksh", "ksh93", "yash", "posh", "elvish", "nu", "fish 4"];
/// Those that hand on something else than they were given between single quotes.
const GARBLING_SHELLS: [&str; 2] = ["xonsh", "sash"];
/// Servers at once, for each of the tests.
const AT_ONCE: usize = 3;

/// What hardening guides, rc files of distributions and scripts export and what changes `/bin/sh`, some of it in a way that ends a
/// command or hides its output.
const EXPORTS: &str = "TMOUT=1 POSIXLY_CORRECT=1 IFS=x CDPATH=/usr ENV=/etc/passwd BASH_ENV=/etc/passwd \
     SHELLOPTS=allexport:errexit:noglob:nounset:verbose:xtrace:noclobber:keyword:monitor:onecmd:pipefail \
     BASHOPTS=failglob:nocasematch:nullglob:xpg_echo:lastpipe:execfail \
     BASH_FUNC_read%%=\"() { false; }\" BASH_FUNC_kill%%=\"() { false; }\" BASH_FUNC_command%%=\"() { false; }\"";

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_runs_commands_alike_where_sh_is_dash() {
    try_all("dash", &[&LOGIN_SHELLS[..], &MORE_LOGIN_SHELLS].concat(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_runs_commands_alike_where_sh_is_bash() {
    try_all("bash", &LOGIN_SHELLS, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_shell_runs_commands_alike_where_sh_is_busybox() {
    try_all("busybox", &LOGIN_SHELLS, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_alike_where_sh_is_another_shell() {
    for sh in ["ksh93", "mksh"] {
        try_all(sh, &["bash"], "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_changes_no_command() {
    for sh in ["dash", "bash", "busybox", "ksh93", "mksh"] {
        try_all(sh, &["bash"], EXPORTS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_garbles_what_it_is_given_never_sees_the_command() {
    try_all("dash", &GARBLING_SHELLS, "").await;
    try_all("bash", &GARBLING_SHELLS, "").await;
}

#[tokio::test]
async fn that_a_shell_garbles_commands_is_found_out_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let shell = command_of("sash", dir.path());
    let extra = format!("ForceCommand echo x >>{}; exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"", log.display());
    let world = World::with(&SshdOptions { extra: vec![extra], ..SshdOptions::default() });
    for _ in 0..3 {
        assert_eq!(&*world.exec("echo $((1+1)) \"$(echo \"it's\")\"").await.stdout.data, b"2 it's\n");
    }
    let sent = std::fs::read_to_string(log).unwrap().lines().count();
    assert_eq!(sent, 5, "the first was sent twice, and between the two what does nothing");
}

#[tokio::test]
async fn a_command_whose_output_is_hidden_runs_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let extra = vec!["ForceCommand exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\" >/dev/null 2>&1".to_owned()];
    let world = World::with(&SshdOptions { extra, ..SshdOptions::default() });
    let lease = world.lease().await;
    for runs in 1..3 {
        let error = lease.exec(&request(&format!("echo x >>{}", log.display())), &call()).await.unwrap_err();
        assert!(error.message().contains("did not run the command, or hides what it prints"), "{error}");
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), runs);
    }
}

/// Each login shell, with this program as `/bin/sh`, where this is exported.
async fn try_all(sh: &str, shells: &[&'static str], exports: &'static str) {
    // Copies: what `/bin/sh` leads to on this machine is another program for the servers.
    let dir = tempfile::tempdir().unwrap();
    let sh = copied(sh, dir.path());
    let shells: Vec<_> = shells.iter().map(|shell| command_of(shell, dir.path())).collect();
    let trials = shells.into_iter().map(|shell| {
        let sh = sh.clone();
        tokio::spawn(async move { try_one(sh, shell, exports).await })
    });
    let mut trials = stream::iter(trials).buffer_unordered(AT_ONCE);
    while let Some(trial) = trials.next().await {
        trial.unwrap();
    }
}

/// The beginning of a command line that runs this shell, from a copy of it.
fn command_of(shell: &str, dir: &Path) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // These are more than one file.
    let place = match shell {
        "nu" => repository.join("tests/servers/node_modules/@nushell/linux-x64/bin/nu"),
        "xonsh" => repository.join("tests/.venv/bin/xonsh"),
        "fish 4" => newer_fish(),
        _ => {
            let (program, arguments) = shell.split_once(' ').unwrap_or((shell, ""));
            return format!("{} {arguments}", copied(program, dir).display()).trim_end().to_owned();
        }
    };
    let place =
        place.canonicalize().unwrap_or_else(|_| panic!("{} is missing: tests/ci.sh brings it", place.display()));
    match shell {
        // Its script names the interpreter of where it was installed first.
        "xonsh" => format!("{} -m xonsh --no-rc", place.with_file_name("python").display()),
        _ => place.display().to_string(),
    }
}

fn copied(program: &str, dir: &Path) -> PathBuf {
    let copy = dir.join(program);
    std::fs::copy(found(program), &copy).unwrap();
    copy
}

fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places
        .find(|place| place.exists())
        .unwrap_or_else(|| panic!("the shell {program} is missing: tests/ci.sh installs it"))
}

async fn try_one(sh: PathBuf, shell: String, exports: &str) {
    // The account's login shell cannot be changed here, so each shell is asked to read what sshd would hand it.
    let extra = vec![format!("ForceCommand exec env {exports} {shell} -c \"$SSH_ORIGINAL_COMMAND\"")];
    let options = SshdOptions { shell: Some(sh.clone()), extra, ..SshdOptions::default() };
    let world = tokio::task::spawn_blocking(move || World::with(&options)).await.unwrap();
    let what = format!("{shell} with {} as sh and exported: {exports:.9}", sh.display());
    let trial = Trial { what, lease: Arc::new(world.lease().await) };
    trial.is_that_sh(&sh).await;
    tokio::join!(
        trial.reads_alike(),
        trial.is_limited(),
        trial.ends_alike(),
        trial.goes_on(),
        trial.is_stopped(),
        trial.is_stopped_though_it_ignores_term()
    );
    tokio::join!(trial.ends_with_its_caller(), trial.leaves_no_child(), trial.stays());
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

    /// What only reads runs in a shell that stays, with each text and each ending; where a login shell does not start one, on channels
    /// of its own.
    async fn stays(&self) {
        let odd = "printf '%s\\n' \"it's\" '!x' '$HOME' 'a\nb' '\\n' 'ü' '\t' ' '; exit 3";
        let long = format!("printf %s '{}' | wc -c | tr -d ' '", "x".repeat(3_000));
        let globs = "for f in x*y; do echo \"$f\"; done; false; sleep 1.2; echo end";
        for _ in 0..2 {
            self.reads(odd, Ending::Exited(3), "it's\n!x\n$HOME\na\nb\n\\n\nü\n\t\n \n").await;
            self.reads(&long, Ending::Exited(0), "3000\n").await;
            self.reads(globs, Ending::Exited(0), "x*y\nend\n").await;
            self.reads("exec sh -c 'echo; kill -KILL $$'", Ending::Signaled("KILL".into()), "\n").await;
            self.reads("exec sh -c 'exit 137'", Ending::Exited(137), "").await;
            // mksh would exit with 143.
            let terminated = "exec python3 -c 'import os; os.kill(os.getpid(), 15)'";
            self.reads(terminated, Ending::Signaled("TERM".into()), "").await;
        }
    }

    async fn reads(&self, script: &str, ending: Ending, stdout: &str) {
        let reading = ExecRequest { only_reads: true, ..request(script) };
        let outcome = self.lease.exec(&reading, &call()).await.unwrap_or_else(|error| panic!("{}: {error}", self.what));
        let got = (outcome.ending, String::from_utf8_lossy(&outcome.stdout.data).into_owned());
        assert_eq!(got, (ending, stdout.to_owned()), "{}: {script:.80}", self.what);
        assert!(outcome.stderr.data.is_empty(), "{}: {script:.80}: {:?}", self.what, outcome.stderr.data);
    }

    /// Longer than the `TMOUT` that may be exported, and its output is whole.
    async fn goes_on(&self) {
        let script =
            "for f in x*y; do echo \"$f\"; done; case A in a) echo folded; esac; a=b; false; sleep 1.5; echo end";
        let outcome = self.exec(script).await;
        let streams = (&*outcome.stdout.data, &*outcome.stderr.data);
        assert_eq!((outcome.ending, streams), (Ending::Exited(0), (&b"x*y\nend\n"[..], &b""[..])), "{}", self.what);
    }

    /// A child in the background neither holds the command nor outlives it. `sleep` is a part of ksh93, so that it would be no word of
    /// a command line.
    async fn leaves_no_child(&self) {
        let word = marker();
        self.gives(&format!("env sleep {word} & echo done"), Ending::Exited(0), "done\n").await;
        eventually(&format!("{}: the child is gone", self.what), || !runs(&word)).await;
    }

    async fn is_stopped(&self) {
        let word = marker();
        self.cancelled(&word, &format!("exec sleep {word}")).await;
    }

    async fn is_stopped_though_it_ignores_term(&self) {
        let word = marker();
        let script = format!("trap '' TERM HUP; sh -c 'trap \"\" TERM HUP; env sleep {word}; :'; env sleep {word}");
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
