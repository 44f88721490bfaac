//! Commands in shells that stay: what one does reaches no other, and each ends as it would on a channel of its own.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use scout_machine::{Call, CommandLimits, CostSnapshot, Ending, ErrorKind, ExecOutcome, ExecRequest, RemoteState};
use scout_ssh::{HostSpec, Lease, Pool, PoolConfig};
use scout_tests::{DelayLink, Sftp, Sshd, SshdOptions};

use crate::world::{World, call, eventually, marker, me, remote, request, runs, sleeps, spec};

/// A command that says of itself that it only reads.
fn reading(script: &str) -> ExecRequest {
    ExecRequest { only_reads: true, ..request(script) }
}

/// A server that tells of each session.
fn telling() -> SshdOptions {
    SshdOptions { is_verbose: true, ..SshdOptions::default() }
}

/// How many commands the server was asked for.
fn sessions(sshd: &Sshd) -> usize {
    sshd.log().iter().filter(|line| line.contains("Starting session: ") && line.contains("command")).count()
}

async fn run(lease: &Lease, script: &str) -> ExecOutcome {
    lease.exec(&reading(script), &call()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
}

async fn said(lease: &Lease, script: &str) -> String {
    String::from_utf8(run(lease, script).await.stdout.data.to_vec()).unwrap()
}

async fn costs(lease: &Lease, script: &str) -> CostSnapshot {
    let call = call();
    lease.exec(&reading(script), &call).await.unwrap();
    call.cost.snapshot()
}

#[tokio::test]
async fn command_after_command_runs_in_one_shell() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    for number in 0..50 {
        let outcome = run(&lease, &format!("echo {number}; echo it\\'s {number} >&2; exit {number}")).await;
        assert_eq!(outcome.ending, Ending::Exited(number));
        let streams = (String::from_utf8_lossy(&outcome.stdout.data), String::from_utf8_lossy(&outcome.stderr.data));
        assert_eq!(streams, (format!("{number}\n").into(), format!("it's {number}\n").into()));
    }
    assert_eq!(sessions(&world.sshd), 1);
    let cost = costs(&lease, "exec true").await;
    assert_eq!((cost.execs, cost.shell_execs, cost.round_trips), (1, 1, 1));
    // What may write has a channel of its own.
    let call = call();
    lease.exec(&request("true"), &call).await.unwrap();
    assert_eq!((call.cost.snapshot().execs, call.cost.snapshot().shell_execs), (1, 0));
    assert_eq!(sessions(&world.sshd), 2);
}

#[tokio::test]
async fn the_first_command_and_each_after_it_take_one_round_trip() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let (pool, spec) = (Pool::new(PoolConfig::default()), Arc::new(spec(&sshd, link.address())));
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    eventually("a channel is open ahead", || pool.snapshot().channels == 1).await;
    for what in ["the first", "the second", "the third"] {
        link.settle().await;
        let mark = link.mark();
        let cost = costs(&lease, "exec echo").await;
        assert_eq!((link.round_trips_since(&mark), cost.round_trips), (1, 1), "{what}");
    }
}

#[tokio::test]
async fn nothing_of_one_command_reaches_the_next() {
    let world = World::new();
    let lease = world.lease().await;
    let state = "ulimit -a; umask; pwd; trap; set +o; env | sort; ls -l /proc/self/fd | wc -l; \
                 grep -E '^(SigIgn|SigBlk)' /proc/self/status; type cat; echo \"$-\" \"$#\" \"$x\"; alias";
    let before = run(&lease, state).await;
    for change in [
        "ulimit -n 10; ulimit -v 1000000; ulimit -c 0",
        "trap '' TERM HUP INT; trap 'echo trapped' EXIT; kill -TERM $$",
        "umask 077; cd /; set -f; set -u; set -x; set -- a b",
        "export x=1; LC_ALL=de_DE; IFS=x; PATH=/nowhere",
        "exec 7>&1 8>&2 9</dev/null",
        "exec >&- 2>&- <&-",
        "cat() { echo mine; }; alias ls=false; unset HOME",
        "m=1 c=2 s=3 l='exit 9;' n=4 h=5 p=6 g=7",
        "exec 6>&1; exec 5>&1; echo forged >&6",
        "shopt -s failglob; set -o pipefail; set -e; false; echo not here",
        "kill -STOP $(sh -c 'echo $$') 2>/dev/null",
        "wait; jobs; exec false",
    ] {
        run(&lease, change).await;
        let after = run(&lease, state).await;
        let shown = |outcome: &ExecOutcome| String::from_utf8_lossy(&outcome.stdout.data).into_owned();
        assert_eq!(shown(&after), shown(&before), "{change}");
        assert!(after.stderr.data.is_empty(), "{change}: {after:?}");
    }
}

#[tokio::test]
async fn what_looks_like_a_marker_is_output() {
    let world = World::new();
    let lease = world.lease().await;
    let forged = format!("scout-{} 0\n", "0123456789abcdef".repeat(2));
    for script in [
        format!("printf '{forged}'"),
        format!("printf '{forged}' >&2; printf 'scout-'"),
        // Begun and never ended, again and again.
        "i=0; while [ $i -lt 3000 ]; do printf scout-0123; i=$((i+1)); done".to_owned(),
    ] {
        let shared = run(&lease, &script).await;
        let own = lease.exec(&request(&script), &call()).await.unwrap();
        assert_eq!(
            (shared.ending, shared.stdout.data, shared.stderr.data),
            (own.ending, own.stdout.data, own.stderr.data)
        );
    }
    // The marker is in no environment, no variable that is exported, and no list of processes.
    let seen = said(&lease, "env; tr '\\0' '\\n' </proc/$$/cmdline; ps -eo args | grep scout-; echo .").await;
    assert!(!seen.contains("scout-0") && !seen.lines().any(|line| line.starts_with("scout-")), "{seen}");
}

#[tokio::test]
async fn a_command_that_closes_its_streams_is_told_as_it_ended() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    for script in ["exec >&- 2>&-; exit 3", "exec sh -c 'exec >&- 2>&-; sleep 0.1; exit 3'"] {
        assert_eq!(run(&lease, script).await.ending, Ending::Exited(3), "{script}");
    }
    assert_eq!((said(&lease, "echo next").await.as_str(), sessions(&world.sshd)), ("next\n", 1));
}

#[tokio::test]
async fn a_process_that_is_left_behind_ends_with_its_shell() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    let word = marker();
    assert_eq!(said(&lease, &format!("env sleep {word} & echo done")).await, "done\n");
    eventually("it runs", || runs(&word)).await;
    world.pool.shutdown().await;
    eventually("it is gone with its shell", || !runs(&word)).await;
}

#[tokio::test]
async fn what_a_process_that_is_left_behind_writes_is_no_answer() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    let (gate, late) = (world.sshd.dir().join("gate"), world.sshd.dir().join("late"));
    let left = format!(
        "(until [ -e '{}' ]; do sleep 0.01; done; touch '{}'; echo late; echo late >&2) & exec echo done",
        gate.display(),
        late.display()
    );
    assert_eq!(said(&lease, &left).await, "done\n");
    std::fs::write(gate, "").unwrap();
    eventually("it has written, and its shell has ended", || late.exists() && world.pool.snapshot().channels == 1)
        .await;
    let outcome = run(&lease, "echo next").await;
    assert_eq!((&*outcome.stdout.data, &*outcome.stderr.data), (&b"next\n"[..], &b""[..]));
    assert_eq!(sessions(&world.sshd), 2, "another shell");
}

#[tokio::test]
async fn each_signal_that_ends_a_command_is_told() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    for (number, name) in [
        (1, "HUP"),
        (3, "QUIT"),
        (4, "ILL"),
        (6, "ABRT"),
        (8, "FPE"),
        (9, "KILL"),
        (10, "USR1"),
        (11, "SEGV"),
        (12, "USR2"),
        (14, "ALRM"),
        (15, "TERM"),
    ] {
        let outcome = run(&lease, &format!("exec sh -c 'echo before; kill -{number} $$'")).await;
        assert_eq!(outcome.ending, Ending::Signaled(name.into()), "{outcome:?}");
        assert_eq!((&*outcome.stdout.data, &*outcome.stderr.data), (&b"before\n"[..], &b""[..]), "{name}");
        // A program that ends so by itself was not killed.
        let by_itself = run(&lease, &format!("exec sh -c 'exit {}'", 128 + number)).await;
        assert_eq!(by_itself.ending, Ending::Exited(128 + number));
    }
    // dash says nothing of these, and what it does not say nobody knows.
    for number in [2, 13] {
        let outcome = run(&lease, &format!("exec sh -c 'kill -{number} $$'")).await;
        assert_eq!(outcome.ending, Ending::Exited(128 + number));
    }
    assert_eq!(sessions(&world.sshd), 1);
}

#[tokio::test]
async fn a_gibibyte_goes_through_a_pipe_and_is_cut_where_it_is_shown() {
    let world = World::new();
    let lease = world.lease().await;
    assert_eq!(said(&lease, "head -c 1073741824 /dev/zero | wc -c").await.trim(), "1073741824");
    let flood = ExecRequest { stdout_cap: 100_000, ..reading("exec head -c 1073741824 /dev/zero") };
    let outcome = lease.exec(&flood, &call()).await.unwrap();
    assert_eq!((outcome.ending, outcome.stdout.data.len()), (Ending::OutputLimit(RemoteState::Stopped), 100_000));
    assert!(outcome.stdout.truncated && outcome.stdout.total.unwrap() > 100_000);
    // As much as may be is no flood, on either stream.
    let exact = ExecRequest {
        stdout_cap: 100_000,
        stderr_cap: 7,
        ..reading("printf 1234567 >&2; exec head -c 100000 /dev/zero")
    };
    let outcome = lease.exec(&exact, &call()).await.unwrap();
    assert_eq!(
        (outcome.ending, outcome.stdout.data.len(), outcome.stdout.truncated),
        (Ending::Exited(0), 100_000, false)
    );
    assert_eq!(&*outcome.stderr.data, b"1234567");
    let more = ExecRequest { stderr_cap: 7, ..reading("printf 12345678 >&2") };
    assert!(matches!(lease.exec(&more, &call()).await.unwrap().ending, Ending::OutputLimit(_)));
}

#[tokio::test]
async fn a_command_that_runs_too_long_is_ended_with_its_shell_and_gives_what_it_wrote() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    said(&lease, "echo first").await;
    for script in ["exec sleep", "trap '' TERM HUP; sh -c 'trap \"\" TERM HUP; exec \"$@\"' sh sleep"] {
        let word = marker();
        let slow = reading(&format!("echo partial; echo error >&2; {script} {word}"));
        let outcome = lease.exec(&ExecRequest { timeout: Duration::from_secs(2), ..slow }, &call()).await.unwrap();
        assert_eq!(outcome.ending, Ending::TimedOut(RemoteState::Stopped), "{script}");
        assert_eq!((&*outcome.stdout.data, &*outcome.stderr.data), (&b"partial\n"[..], &b"error\n"[..]), "{script}");
        assert!(!runs(&word), "{script}");
        assert_eq!(said(&lease, "echo next").await, "next\n");
    }
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_ended_and_its_neighbours_go_on() {
    let world = World::with(&telling());
    let lease = Arc::new(world.lease().await);
    let (word, other) = (marker(), marker());
    let beside = tokio::spawn({
        let (lease, script) = (Arc::clone(&lease), format!("sleep 1; echo {other}"));
        async move { said(&lease, &script).await }
    });
    let (cancelled, long) = (call(), reading(&format!("exec sleep {word}")));
    let cancel = async {
        eventually("it runs", || runs(&word)).await;
        cancelled.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(lease.exec(&long, &cancelled), cancel);
    assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Stopped));
    assert!(!runs(&word));
    // Dropped.
    let dropped = tokio::spawn({
        let (lease, long) = (Arc::clone(&lease), reading(&format!("exec sleep {word}")));
        async move { lease.exec(&long, &call()).await.map(drop) }
    });
    eventually("it runs again", || runs(&word)).await;
    dropped.abort();
    eventually("it is gone with its caller", || !runs(&word)).await;
    assert_eq!(beside.await.unwrap(), format!("{other}\n"));
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn a_process_that_left_its_group_is_told_to_run_on() {
    let world = World::new();
    let word = marker();
    let (lease, call) = (world.lease().await, call());
    said(&lease, "echo first").await;
    let long = reading(&format!("setsid sleep {word} & sleep 60"));
    let cancel = async {
        eventually("it has left the group", || sleeps(&word)).await;
        call.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(lease.exec(&long, &call), cancel);
    assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Running));
    let killed = std::process::Command::new("pkill").args(["-KILL", "-f", &format!("^sleep {word}$")]).status();
    assert!(killed.unwrap().success());
}

/// What prints the process that runs commands, the one above it, and the one of the connection.
const THE_LOOP: &str = "echo $$";
const THE_GUARD: &str = "ps -o ppid= -p $$";
const THE_SERVER: &str = "ps -o ppid= -p $(ps -o ppid= -p $$)";

/// The process that a command prints, if this is how it was started.
async fn process(lease: &Lease, script: &str, begins: &str) -> Pid {
    let pid: i32 = said(lease, script).await.trim().parse().unwrap();
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(pid > 1 && line.starts_with(begins), "{pid} is {line}");
    Pid::from_raw(pid).unwrap()
}

/// The resident bytes of a process.
fn resident(pid: Pid) -> u64 {
    let pid = pid.as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn descriptors(pid: Pid) -> usize {
    let pid = pid.as_raw_nonzero();
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[tokio::test]
async fn ten_thousand_commands_in_a_row_leave_nothing_on_their_host() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    let shell = process(&lease, THE_LOOP, "/bin/sh\0-s").await;
    let server = process(&lease, THE_SERVER, "sshd").await;
    let run_many = async |count| {
        for _ in 0..count {
            assert_eq!(run(&lease, "exec true").await.ending, Ending::Exited(0));
        }
    };
    run_many(500).await;
    let before = [shell, server].map(|pid| (resident(pid), descriptors(pid)));
    run_many(4_000).await;
    let after = [shell, server].map(|pid| (resident(pid), descriptors(pid)));
    for ((what, before), after) in ["the shell", "the server"].into_iter().zip(before).zip(after) {
        // A shell may just be at a redirection.
        assert!(after.0 <= before.0 + (512 << 10) && after.1 <= before.1 + 3, "{what}: {before:?}, then {after:?}");
    }
    // A shell ends after some thousands, and the next one takes over in the midst of them.
    run_many(5_500).await;
    assert_eq!(sessions(&world.sshd), 3);
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn a_shell_that_dies_between_two_commands_is_replaced() {
    for (which, script, command, is_group) in [
        ("the loop", THE_LOOP, "/bin/sh\0-s", false),
        ("the guard", THE_GUARD, "/bin/sh\0-c\0eval", false),
        ("all of it", THE_GUARD, "/bin/sh\0-c\0eval", true),
    ] {
        let world = World::with(&telling());
        let lease = world.lease().await;
        let pid = process(&lease, script, command).await;
        match is_group {
            true => kill_process_group(pid, Signal::KILL).unwrap(),
            false => kill_process(pid, Signal::KILL).unwrap(),
        }
        // A line that one of them has taken in the moment of its death is answered by nobody.
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        eventually("it is dead", || {
            state().rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
        })
        .await;
        let next = run(&lease, "echo next").await;
        assert_eq!((&next.ending, &*next.stdout.data), (&Ending::Exited(0), &b"next\n"[..]), "{which}: {next:?}");
        assert_eq!(world.pool.snapshot().dials, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_share_a_few_shells() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    let numbers = 0..200;
    let answers =
        join_all(numbers.clone().map(async |number| {
            said(&lease, &format!("printf '%s ' {number} | cat; exec echo it\\'s {number}")).await
        }));
    for (number, answer) in numbers.zip(answers.await) {
        assert_eq!(answer, format!("{number} it's {number}\n"));
    }
    // As many channels as each of two connections has.
    assert!(sessions(&world.sshd) <= 16, "{}", sessions(&world.sshd));
}

/// A hundred callers on one host, each with so many commands one after another.
async fn never_pause(pool: &Pool, spec: &Arc<HostSpec>, times: usize) {
    let callers = (0..100).map(|_| {
        let (pool, spec) = (pool.clone(), Arc::clone(spec));
        tokio::spawn(async move {
            for _ in 0..times {
                let call = call();
                let lease = pool.lease(&me(), &spec, &call).await.unwrap();
                let outcome = lease.exec(&reading("exec true"), &call).await.unwrap();
                assert_eq!(outcome.ending, Ending::Exited(0));
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_that_never_pause_are_all_served() {
    let world = World::new();
    never_pause(&world.pool, &world.spec, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_far_away_that_never_pause_are_all_served() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let pool = Pool::new(PoolConfig { max_connections: 1, ..PoolConfig::default() });
    never_pause(&pool, &Arc::new(spec(&sshd, link.address())), 30).await;
}

/// A lease over a link with a delay of 25 ms each way, whose shells are there.
async fn distant() -> (Sshd, DelayLink, Pool, Arc<Lease>) {
    let sshd = Sshd::start_with(&telling());
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    // No second connection.
    let pool = Pool::new(PoolConfig { max_connections: 1, ..PoolConfig::default() });
    let lease = pool.lease(&me(), &Arc::new(spec(&sshd, link.address())), &call()).await.unwrap();
    let warm = join_all((0..6).map(|_| run(&lease, "sleep 0.3")));
    warm.await;
    link.settle().await;
    (sshd, link, pool, Arc::new(lease))
}

#[tokio::test]
async fn lines_are_sent_ahead_over_a_long_way() {
    let (sshd, link, _pool, lease) = distant().await;
    let (before, mark) = (sessions(&sshd), link.mark());
    let answers = join_all((0..48).map(async |number| said(&lease, &format!("exec echo {number}")).await)).await;
    assert_eq!(answers, (0..48).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    assert_eq!(sessions(&sshd), before, "in the shells that were there");
    let trips = link.round_trips_since(&mark);
    assert!(trips <= 3, "48 commands by six shells: {trips} round trips");
}

#[tokio::test]
async fn whoever_stands_behind_a_long_command_goes_elsewhere() {
    let (_sshd, _link, _pool, lease) = distant().await;
    let words: Vec<_> = (0..6).map(|_| marker()).collect::<BTreeSet<_>>().into_iter().collect();
    let patient = call();
    let long: Vec<_> = words.iter().map(|word| reading(&format!("exec sleep {word}"))).collect();
    let long: Vec<_> = long.iter().take(5).map(|long| lease.exec(long, &patient)).collect();
    let short = join_all((0..30).map(async |number| said(&lease, &format!("exec echo {number}")).await));
    let quick = async {
        let answers = short.await;
        patient.cancel.cancel();
        answers
    };
    let (ended, answers) = tokio::join!(join_all(long), quick);
    assert_eq!(answers, (0..30).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    for outcome in ended {
        assert!(matches!(outcome.unwrap().ending, Ending::Cancelled(_)));
    }
    eventually("they are gone", || !words.iter().any(|word| runs(word))).await;
}

#[tokio::test]
async fn each_answer_is_its_own_where_lines_are_left_again_and_again() {
    let (_sshd, _link, _pool, lease) = distant().await;
    // Some run longer than those behind them wait.
    let callers = (0..48).map(async |caller| {
        for number in 0..6 {
            let pause = [0, 0, 1, 0, 2, 0][(caller + number) % 6];
            let outcome = run(&lease, &format!("sleep 0.{pause}; echo {caller} {number}; echo {number} >&2")).await;
            let streams = (&*outcome.stdout.data, &*outcome.stderr.data);
            let wanted = (format!("{caller} {number}\n"), format!("{number}\n"));
            assert_eq!(streams, (wanted.0.as_bytes(), wanted.1.as_bytes()), "{outcome:?}");
        }
    });
    join_all(callers).await;
}

#[tokio::test]
async fn who_gives_up_in_a_line_is_answered_at_once_and_others_lose_nothing() {
    let (_sshd, _link, _pool, lease) = distant().await;
    let impatient: Vec<Call> = (0..10).map(|_| call()).collect();
    let word = marker();
    let given_up = reading(&format!("exec sleep {word}"));
    let quiet: Vec<_> = (0..24).map(|number| format!("exec echo {number}")).collect();
    let first = join_all(quiet.iter().map(|script| said(&lease, script)));
    let cancelled = join_all(impatient.iter().map(|call| lease.exec(&given_up, call)));
    let cancels = async { impatient.iter().for_each(|call| call.cancel.cancel()) };
    let (answers, cancelled, ()) = tokio::join!(biased; first, cancelled, cancels);
    assert_eq!(answers, (0..24).map(|number| format!("{number}\n")).collect::<Vec<_>>());
    for outcome in cancelled {
        match outcome {
            Ok(outcome) => assert!(matches!(outcome.ending, Ending::Cancelled(_)), "{outcome:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
        }
    }
    eventually("none of them runs", || !runs(&word)).await;
    assert_eq!(said(&lease, "echo next").await, "next\n");
}

#[tokio::test]
async fn where_there_are_few_channels_a_shell_makes_room() {
    for sessions in [1, 2, 3] {
        let world = World::with(&SshdOptions { max_sessions: Some(sessions), ..SshdOptions::default() });
        std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
        let lease = world.lease().await;
        for round in 0..3 {
            assert_eq!(said(&lease, "echo read").await, "read\n", "{sessions}, {round}");
            lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap();
            let own = lease.exec(&request("echo own"), &call()).await.unwrap();
            assert_eq!(&*own.stdout.data, b"own\n", "{sessions}, {round}");
            let (one, other) = tokio::join!(said(&lease, "echo one"), said(&lease, "echo other"));
            assert_eq!((one.as_str(), other.as_str()), ("one\n", "other\n"), "{sessions}, {round}");
        }
        // Two at once may have a connection each.
        assert!(world.pool.snapshot().dials <= 2, "{sessions}");
    }
}

#[tokio::test]
async fn a_shell_that_always_has_something_to_do_gives_up_its_channel_when_another_needs_one() {
    let world = World::with(&SshdOptions { max_sessions: Some(2), ..SshdOptions::default() });
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await;
    let is_served = Cell::new(false);
    let busy = join_all((0..4).map(async |_| {
        while !is_served.get() {
            run(&lease, "exec true").await;
        }
    }));
    let served = async {
        // The place of SFTP stays taken then, and that of a script is needed beside it.
        lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap();
        lease.exec(&request("echo own"), &call()).await.unwrap();
        is_served.set(true);
    };
    tokio::join!(busy, served);
}

#[tokio::test]
async fn whoever_waits_for_a_channel_has_it_when_a_shell_has_nothing_more_to_do() {
    // Long before a shell that nobody uses ends by itself.
    let world = World::with(&SshdOptions { max_sessions: Some(2), ..SshdOptions::default() });
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await;
    let soon = Call::until(tokio::time::Instant::now() + Duration::from_secs(20));
    let commands = join_all((0..3).map(async |_| lease.exec(&reading("sleep 0.3"), &soon).await));
    let path = remote(world.path("f"));
    let (commands, read) = tokio::join!(commands, lease.open(&path, 100, 100, &soon));
    for outcome in commands {
        assert_eq!(outcome.unwrap().ending, Ending::Exited(0));
    }
    read.unwrap();
}

#[tokio::test]
async fn a_lease_that_keeps_to_own_sessions_starts_no_shell() {
    let world = World::with(&SshdOptions { sftp: Sftp::Absent, ..telling() });
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await.with_own_sessions(true);
    for _ in 0..3 {
        assert_eq!(costs(&lease, "exec true").await.shell_execs, 0);
        let call = call();
        lease.open(&remote(world.path("f")), 100, 100, &call).await.unwrap();
        assert_eq!(call.cost.snapshot().shell_execs, 0);
    }
}

#[tokio::test]
async fn what_is_exported_under_names_that_a_shell_uses_changes_nothing() {
    let names = ["cat", "[", "wait", "echo", "read", "kill"];
    let functions = names.map(|name| format!("'BASH_FUNC_{name}%%=() {{ echo forged; }}'")).join(" ");
    let variables = "h=1 l=2 m=3 c=4 n=5 p=6 s=7 t=8 g=9 k=10 e=11";
    let forced = format!("ForceCommand exec env {functions} {variables} bash -c \"$SSH_ORIGINAL_COMMAND\"");
    let bash = ["/bin/bash", "/usr/bin/bash"].into_iter().find(|bash| std::path::Path::new(bash).exists()).unwrap();
    let world = World::with(&SshdOptions { extra: vec![forced], shell: Some(bash.into()), ..telling() });
    let lease = world.lease().await;
    for number in 0..3 {
        let outcome = run(&lease, &format!("exec sh -c 'exit {number}'")).await;
        assert_eq!((outcome.ending, &*outcome.stdout.data), (Ending::Exited(number), &b""[..]));
    }
    assert_eq!(sessions(&world.sshd), 1);
}

#[tokio::test]
async fn shells_that_have_nothing_to_do_make_room_for_what_needs_a_channel() {
    let world = World::with(&telling());
    let lease = world.lease().await;
    join_all((0..6).map(|_| run(&lease, "sleep 0.3"))).await;
    let own: Vec<_> = (0..6).map(|number| request(&format!("sleep 0.2; echo {number}"))).collect();
    let calls = call();
    let own = join_all(own.iter().map(|request| lease.exec(request, &calls))).await;
    for (number, outcome) in own.into_iter().enumerate() {
        assert_eq!(&*outcome.unwrap().stdout.data, format!("{number}\n").as_bytes());
    }
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn where_a_shell_cannot_stay_commands_go_the_other_way() {
    let shell = "/bin/sh -c \"$SSH_ORIGINAL_COMMAND\"";
    for (what, forced, tries) in [
        // What may be chance has to be seen twice.
        ("both streams are one", format!("exec {shell} 2>&1"), 2),
        ("both streams are one pipe", format!("{shell} 2>&1 | cat"), 1),
        ("the group is another's", format!("{shell}; exit $?"), 1),
        (
            "a login shell that runs nothing of ours",
            format!("case \"$SSH_ORIGINAL_COMMAND\" in *SCOUT_LOOP*) echo no;; *) exec {shell};; esac"),
            2,
        ),
    ] {
        let options = SshdOptions { extra: vec![format!("ForceCommand {forced}")], ..telling() };
        let world = World::with(&options);
        let lease = world.lease().await;
        for round in 0..4 {
            let call = call();
            let outcome =
                lease.exec(&reading("echo out; exit 3"), &call).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(&*outcome.stdout.data, b"out\n", "{what}");
            let shells = call.cost.snapshot().shell_execs;
            assert_eq!(shells, u64::from(round < tries), "{what}, round {round}");
        }
    }
}

#[tokio::test]
async fn a_forced_command_that_does_something_else_is_told_as_it_is_for_other_commands() {
    let options = SshdOptions { extra: vec!["ForceCommand echo only this".into()], ..SshdOptions::default() };
    let world = World::with(&options);
    let lease = world.lease().await;
    let shared = lease.exec(&reading("echo"), &call()).await.unwrap_err();
    let own = lease.exec(&request("echo"), &call()).await.unwrap_err();
    assert_eq!((shared.kind(), shared.message()), (own.kind(), own.message()));
    assert!(own.message().contains("only this"), "{own}");
}

#[tokio::test]
async fn limits_are_each_commands_own() {
    let world = World::new();
    let lease = world.lease().await;
    let limits = CommandLimits { cpu: Some(77), processes: Some(4444), ..CommandLimits::NONE };
    for limits in [limits, CommandLimits { cpu: Some(66), ..limits }, CommandLimits::NONE, limits] {
        for _ in 0..2 {
            let limited = ExecRequest { limits, ..reading("exec cat /proc/self/limits") };
            let outcome = lease.exec(&limited, &call()).await.unwrap();
            let told = String::from_utf8_lossy(&outcome.stdout.data).into_owned();
            let line = told.lines().find(|line| line.starts_with("Max cpu time")).unwrap();
            let wanted = limits.cpu.map_or_else(|| "unlimited".to_owned(), |cpu| cpu.to_string());
            assert_eq!(line.split_whitespace().filter(|word| *word == wanted).count(), 2, "{line}");
        }
    }
    let loops =
        ExecRequest { limits: CommandLimits { cpu: Some(1), ..CommandLimits::NONE }, ..reading("exec yes >/dev/null") };
    assert_eq!(lease.exec(&loops, &call()).await.unwrap().ending, Ending::Signaled("KILL".into()));
}

#[tokio::test]
async fn what_ssh_config_sets_and_rc_files_print_is_as_for_other_commands() {
    let noisy = "echo welcome; echo beware >&2; /bin/bash -c \"$SSH_ORIGINAL_COMMAND\"";
    let extra = vec!["AcceptEnv SCOUT_TEST".into(), format!("ForceCommand {noisy}")];
    let mut world = World::with(&SshdOptions { extra, ..telling() });
    Arc::make_mut(&mut world.spec).set_env = vec![("SCOUT_TEST".into(), "it's set".into())];
    let lease = world.lease().await;
    for _ in 0..2 {
        let outcome = run(&lease, "echo \"$SCOUT_TEST\" \"$LC_ALL\"; echo err >&2").await;
        assert_eq!((&*outcome.stdout.data, &*outcome.stderr.data), (&b"it's set C.UTF-8\n"[..], &b"err\n"[..]));
    }
    assert_eq!(sessions(&world.sshd), 1);
}

#[tokio::test]
async fn a_command_survives_the_end_of_the_connection_that_it_was_sent_on() {
    let world = World::new();
    let lease = world.lease().await;
    said(&lease, "echo first").await;
    kill_process(process(&lease, THE_SERVER, "sshd").await, Signal::KILL).unwrap();
    assert_eq!(said(&lease, "echo next").await, "next\n");
    assert_eq!(world.pool.snapshot().dials, 2);
}

#[tokio::test]
async fn a_host_without_sftp_is_read_by_a_shell_that_stays() {
    let world = World::with(&SshdOptions { sftp: Sftp::Absent, ..telling() });
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await;
    for _ in 0..5 {
        lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap();
    }
    assert!(sessions(&world.sshd) <= 2, "{}", sessions(&world.sshd));
}
