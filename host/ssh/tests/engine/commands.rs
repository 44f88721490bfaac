//! Leases, commands and the pool against a real sshd.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Call, Ending, ErrorKind, ExecRequest, Opened, Principal, RemoteState};
use scout_ssh::config::StrictHostKeyChecking;
use scout_ssh::trust::{Decision, Verdict};
use scout_ssh::{DialConfig, HostKey, Pool, PoolConfig};
use scout_tests::{Agent, DelayLink, German, Sftp, Sshd, SshdOptions, generate_key};

use crate::world::{World, call, dialling_with, eventually, marker, me, remote, request, runs, spec};

#[tokio::test]
async fn a_command_gives_its_streams_and_its_status() {
    let world = World::new();
    let outcome = world.exec("echo out; echo err >&2; exit 3").await;
    assert_eq!(outcome.ending, Ending::Exited(3));
    assert_eq!((&*outcome.stdout.data, &*outcome.stderr.data), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(outcome.stdout.total, Some(4));
}

#[tokio::test]
async fn quotes_newlines_and_bytes_reach_the_shell_as_they_are() {
    let world = World::new();
    let outcome = world.exec("printf '%s|' 'it'\\''s' \"a\nb\" '\\n' '$HOME' '!x' 'ü'\necho end").await;
    assert_eq!(String::from_utf8_lossy(&outcome.stdout.data), "it's|a\nb|\\n|$HOME|!x|ü|end\n");
}

#[tokio::test]
async fn a_script_too_long_for_the_request_runs_all_the_same() {
    let world = World::new();
    let text = "x'y".repeat(20_000);
    let outcome = world.exec(&format!("printf %s \"{text}\" | wc -c")).await;
    assert_eq!(String::from_utf8_lossy(&outcome.stdout.data).trim(), "60000");
}

#[tokio::test]
async fn a_command_may_wait_for_its_children() {
    let world = World::new();
    let outcome = world.exec("(sleep 0.1; echo 'a child') & wait; echo $?\nexit 9").await;
    assert_eq!((&*outcome.stdout.data, outcome.ending), (&b"a child\n0\n"[..], Ending::Exited(9)));
}

#[tokio::test]
async fn a_death_by_signal_is_told_as_one() {
    let world = World::new();
    assert_eq!(world.exec("kill -TERM $$").await.ending, Ending::Signaled("TERM".into()));
}

#[tokio::test]
async fn a_background_child_does_not_hold_a_finished_command() {
    let world = World::new();
    let word = marker();
    let outcome = world.exec(&format!("sleep {word} & echo done")).await;
    assert_eq!(outcome.ending, Ending::Exited(0));
    assert_eq!(&*outcome.stdout.data, b"done\n");
    eventually("the child is gone", || !runs(&word)).await;
}

#[tokio::test]
async fn a_flood_is_cut_at_the_cap_and_ended() {
    let world = World::new();
    let request = ExecRequest { stdout_cap: 10_000, ..request("exec yes") };
    let outcome = world.lease().await.exec(&request, &call()).await.unwrap();
    assert_eq!(outcome.ending, Ending::OutputLimit(RemoteState::Stopped));
    assert_eq!(outcome.stdout.data.len(), 10_000);
    assert!(outcome.stdout.truncated);
}

#[tokio::test]
async fn a_timed_out_command_leaves_nothing_running() {
    let world = World::new();
    let word = marker();
    let script = format!("trap '' TERM; echo first; sh -c 'trap \"\" TERM; sleep {word}; :'; sleep {word}");
    // Long enough for the first line on a busy machine.
    let request = ExecRequest { timeout: Duration::from_secs(3), ..request(&script) };
    let outcome = world.lease().await.exec(&request, &call()).await.unwrap();
    assert_eq!(outcome.ending, Ending::TimedOut(RemoteState::Stopped));
    assert_eq!(&*outcome.stdout.data, b"first\n");
    assert!(!runs(&word));
}

#[tokio::test]
async fn a_cancelled_command_leaves_nothing_running() {
    let world = World::new();
    let word = marker();
    let (lease, call) = (world.lease().await, call());
    let request = request(&format!("exec sleep {word}"));
    let running = lease.exec(&request, &call);
    let cancel = async {
        eventually("it runs", || runs(&word)).await;
        call.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(running, cancel);
    assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Stopped));
    assert!(!runs(&word));
}

#[tokio::test]
async fn a_command_whose_caller_has_gone_is_ended() {
    let world = World::new();
    let word = marker();
    let lease = world.lease().await;
    let request = request(&format!("exec sleep {word}"));
    let running = tokio::spawn(async move { lease.exec(&request, &call()).await });
    eventually("it runs", || runs(&word)).await;
    running.abort();
    eventually("it is gone", || !runs(&word)).await;
}

#[tokio::test]
async fn fifty_commands_pass_through_a_server_with_two_sessions() {
    let world = World::with(&SshdOptions { max_sessions: Some(2), ..SshdOptions::default() });
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await;
    let request = request("echo ok");
    let commands = (0..50).map(|_| async { lease.exec(&request, &call()).await.unwrap() });
    let read = async { lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap() };
    let (outcomes, _) = tokio::join!(futures_util::future::join_all(commands), read);
    assert!(outcomes.iter().all(|outcome| &*outcome.stdout.data == b"ok\n"));
    assert!(world.pool.snapshot().dials <= 2, "{:?}", world.pool);
}

#[tokio::test]
async fn a_command_does_not_wait_for_those_that_take_long() {
    let world = World::new();
    let lease = world.lease().await;
    let release = world.path("release");
    let wait = format!("until [ -e '{}' ]; do sleep 0.05; done", String::from_utf8(release.clone()).unwrap());
    let request_long = request(&wait);
    let long = (0..6).map(|_| async { lease.exec(&request_long, &call()).await.unwrap() });
    let short = async {
        eventually("the places are taken", || world.pool.snapshot().channels >= 6).await;
        let outcome = lease.exec(&request("echo ok"), &call()).await.unwrap();
        std::fs::write(std::path::PathBuf::from(String::from_utf8(release).unwrap()), "").unwrap();
        outcome
    };
    let (long, short) = tokio::join!(futures_util::future::join_all(long), short);
    assert_eq!(&*short.stdout.data, b"ok\n");
    assert!(long.iter().all(|outcome| outcome.ending == Ending::Exited(0)));
    assert_eq!(world.pool.snapshot().dials, 2);
}

#[tokio::test]
async fn a_second_connection_is_not_made_where_there_is_no_room() {
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let lease = world.lease().await;
    let request = request("echo ok");
    let commands = (0..20).map(|_| async { lease.exec(&request, &call()).await.unwrap() });
    let outcomes = futures_util::future::join_all(commands).await;
    assert!(outcomes.iter().all(|outcome| &*outcome.stdout.data == b"ok\n"));
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn a_server_with_one_session_serves_files_and_commands_in_turn() {
    let world = World::with(&SshdOptions { max_sessions: Some(1), ..SshdOptions::default() });
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await;
    for _ in 0..3 {
        lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap();
        assert_eq!(lease.exec(&request("exit 0"), &call()).await.unwrap().ending, Ending::Exited(0));
    }
}

#[tokio::test]
async fn fifty_leases_share_one_dial() {
    let world = World::new();
    let leases = futures_util::future::join_all((0..50).map(|_| world.try_lease())).await;
    assert!(leases.iter().all(Result::is_ok));
    let seen = world.pool.snapshot();
    assert_eq!((seen.dials, seen.ready, seen.misses), (1, 1, 50));
}

#[tokio::test]
async fn two_principals_never_share_a_connection() {
    let world = World::new();
    let _mine = world.lease().await;
    let _yours = world.pool.lease(&Principal::new("test", "you"), &world.spec, &call()).await.unwrap();
    assert_eq!(world.pool.snapshot().ready, 2);
}

#[tokio::test]
async fn principals_of_two_tenants_never_share_a_connection_whatever_their_names() {
    let world = World::new();
    let [red, blue] = ["red", "blue"].map(|tenant| Principal::new(tenant, "admin"));
    let _reds = world.pool.lease(&red, &world.spec, &call()).await.unwrap();
    assert!(!world.pool.probe(&blue, &world.spec, Duration::ZERO).await.connected);
    let _blues = world.pool.lease(&blue, &world.spec, &call()).await.unwrap();
    let _reds_again = world.pool.lease(&red, &world.spec, &call()).await.unwrap();
    let seen = world.pool.snapshot();
    assert_eq!((seen.ready, seen.dials, seen.hits), (2, 2, 1));
}

#[tokio::test]
async fn a_cancelled_dial_does_not_fail_other_waiters() {
    let world = World::new();
    let (first, principal) = (call(), me());
    let (cancelled, other, ()) = tokio::join!(
        biased;
        world.pool.lease(&principal, &world.spec, &first),
        world.try_lease(),
        async { first.cancel.cancel() }
    );
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Cancelled);
    other.unwrap();
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_with_its_fingerprint() {
    let mut world = World::new();
    let mut spec = (*world.spec).clone();
    spec.user_known_hosts_files = vec![world.sshd.dir().join("absent")];
    world.spec = Arc::new(spec);
    let error = world.try_lease().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownHostKey);
    let HostKey { key, decision } = world.pool.host_key(&world.spec, &call()).await.unwrap();
    assert_eq!(decision, Decision::Refused(Verdict::Unknown));
    let print = key.fingerprint(russh::keys::HashAlg::Sha256).to_string();
    assert!(error.message().contains(&print), "{error}");
    assert!(error.hint().unwrap().contains("run `scout trust box`"));
    assert!(!world.sshd.log().join("\n").contains("publickey"), "nothing of authentication was sent");
}

#[tokio::test]
async fn a_new_host_key_is_learned_if_so_configured() {
    let mut world = World::new();
    let file = world.sshd.dir().join("learned");
    let mut spec = (*world.spec).clone();
    spec.user_known_hosts_files = vec![file.clone()];
    spec.strict_host_key_checking = StrictHostKeyChecking::AcceptNew;
    world.spec = Arc::new(spec);
    world.lease().await;
    assert!(std::fs::read_to_string(file).unwrap().contains(&world.sshd.host_key().public));
}

#[tokio::test]
async fn a_changed_host_key_is_refused_with_file_and_line() {
    let world = World::new();
    let other = generate_key(world.sshd.dir(), "other");
    let known = world.sshd.dir().join("known_hosts");
    let address = world.sshd.address();
    std::fs::write(&known, format!("# first\n[{}]:{} {}\n", address.ip(), address.port(), other.public)).unwrap();
    let error = world.try_lease().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyRejected);
    assert!(error.message().contains(&format!("{}:2", known.display())), "{error}");
    assert!(error.message().contains("SHA256:"), "{error}");
}

#[tokio::test]
async fn a_refused_identity_is_named() {
    let mut world = World::new();
    let stranger = generate_key(world.sshd.dir(), "stranger");
    let mut spec = (*world.spec).clone();
    spec.identity_files = vec![stranger.private.clone()];
    world.spec = Arc::new(spec);
    let error = world.try_lease().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().contains("publickey") && error.message().contains("stranger"), "{error}");
    assert_eq!(world.pool.snapshot().dials, 1, "it is not tried again");
}

#[tokio::test]
async fn a_refused_connection_names_host_and_address() {
    let world = World::new();
    let address = world.sshd.address();
    let World { sshd, pool, spec } = world;
    drop(sshd);
    let error = pool.lease(&me(), &spec, &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().contains(&address.to_string()) && error.message().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_host_that_failed_is_left_alone_for_a_while_and_then_tried_again() {
    let World { sshd, pool, spec } = World::new();
    drop(sshd);
    let first = pool.lease(&me(), &spec, &call()).await.unwrap_err();
    let second = pool.lease(&me(), &spec, &call()).await.unwrap_err();
    assert_eq!((first.kind(), second.kind()), (ErrorKind::Unreachable, ErrorKind::Unreachable));
    assert!(second.message().contains("again in"), "{second}");
    assert_eq!((pool.snapshot().dials, pool.snapshot().backing_off), (1, 1));
    while pool.snapshot().dials < 2 {
        pool.lease(&me(), &spec, &call()).await.unwrap_err();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_host_that_was_not_trusted_is_tried_again_at_once() {
    let world = World::new();
    let known = world.spec.user_known_hosts_files.first().unwrap();
    let trusted = std::fs::read(known).unwrap();
    std::fs::write(known, "").unwrap();
    assert_eq!(world.try_lease().await.unwrap_err().kind(), ErrorKind::UnknownHostKey);
    std::fs::write(known, trusted).unwrap();
    world.lease().await;
}

#[tokio::test]
async fn a_fifo_fails_alone_among_fifty_readers() {
    let world = World::new();
    let dir = world.sshd.dir();
    std::fs::write(dir.join("f"), "text").unwrap();
    assert!(std::process::Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    let lease = world.lease().await;
    let readers = (0..50).map(|_| async { lease.open(&remote(world.path("f")), 100, 100, &call()).await });
    let pipe = async { lease.open(&remote(world.path("pipe")), 100, 100, &call()).await };
    let (pipe, files) = tokio::join!(pipe, futures_util::future::join_all(readers));
    let error = pipe.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReadable, "{error}");
    for file in files {
        assert!(matches!(file.unwrap(), Opened::File { content, .. } if &*content.data == b"text"));
    }
    let seen = world.pool.snapshot();
    assert_eq!((seen.stalls, seen.dials), (1, 1));
}

#[tokio::test]
async fn a_server_that_cannot_be_killed_costs_its_connection_and_is_told() {
    let world = World::with(&SshdOptions { sftp: Sftp::Internal, ..SshdOptions::default() });
    let pipe = world.sshd.dir().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let lease = world.lease().await;
    let error = lease.open(&remote(world.path("pipe")), 100, 100, &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReadable, "{error}");
    assert!(error.message().contains("may remain"), "{error}");
    lease.stat(&remote(world.path(".")), &call()).await.unwrap();
    assert_eq!(world.pool.snapshot().dials, 2);
    // What remains goes on, finds that nobody is there any more, and ends.
    drop(std::fs::File::options().write(true).open(pipe).unwrap());
}

#[tokio::test]
async fn a_server_without_sftp_and_commands_is_unsupported() {
    let extra = vec!["ForceCommand /bin/false".into()];
    let world = World::with(&SshdOptions { sftp: Sftp::Absent, extra, ..SshdOptions::default() });
    let error = world.lease().await.stat(&remote(b"/"), &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    let config = PoolConfig { idle_timeout: Duration::from_millis(40), ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let lease = world.lease().await;
    let mine = world.pool.lease(&Principal::new("test", "other"), &world.spec, &call()).await.unwrap();
    drop(mine);
    eventually("the idle one is closed", || world.pool.snapshot().idle_closed == 1).await;
    assert_eq!(world.pool.snapshot().ready, 1);
    drop(lease);
    eventually("the other one follows", || world.pool.snapshot().idle_closed == 2).await;
}

#[tokio::test]
async fn a_full_pool_evicts_what_is_idle_and_waits_for_what_is_not() {
    let world = World::pooled(&SshdOptions::default(), PoolConfig { max_connections: 1, ..PoolConfig::default() });
    let first = world.lease().await;
    let second = Principal::new("test", "second");
    let patient = call();
    let waiting = world.pool.lease(&second, &world.spec, &patient);
    let release = async {
        eventually("the other waits", || world.pool.snapshot().waiters == 1).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(waiting, release);
    second.unwrap();
    assert_eq!(world.pool.snapshot().evictions, 1);
}

#[tokio::test]
async fn too_many_waiters_are_turned_away() {
    let config = PoolConfig { max_waiters_per_host: 1, ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let (first, second) = tokio::join!(world.try_lease(), world.try_lease());
    first.unwrap();
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Exhausted);
}

#[tokio::test]
async fn a_lease_outlives_its_connection() {
    let world = World::new();
    let lease = world.lease().await;
    lease.exec(&request("kill -KILL $PPID"), &call()).await.unwrap();
    assert_eq!(lease.exec(&request("exit 4"), &call()).await.unwrap().ending, Ending::Exited(4));
    assert_eq!(world.pool.snapshot().dials, 2);
}

#[tokio::test]
async fn a_warm_command_and_a_warm_read_take_one_round_trip_each() {
    let sshd = Sshd::start();
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let spec = Arc::new(spec(&sshd, link.address()));
    let pool = Pool::new(PoolConfig::default());
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    let path = sshd.dir().join("f").display().to_string();
    let read = async |call: &Call| drop(lease.open(&remote(path.as_bytes()), 100, 100, call).await.unwrap());
    let exec = async |call: &Call| drop(lease.exec(&request("echo"), call).await.unwrap());
    read(&call()).await;
    exec(&call()).await;
    for what in ["read", "exec"] {
        link.settle().await;
        let (mark, call) = (link.mark(), call());
        if what == "read" {
            read(&call).await
        } else {
            exec(&call).await
        }
        assert_eq!(link.round_trips_since(&mark), 1, "{what}");
        assert_eq!(call.cost.snapshot().round_trips, 1, "{what}");
    }
}

#[tokio::test]
async fn a_probe_tells_how_fast_the_port_answers() {
    let world = World::new();
    let before = world.pool.probe(&me(), &world.spec, Duration::from_secs(10)).await;
    assert!(!before.connected && before.latency.is_ok());
    let _lease = world.lease().await;
    assert!(world.pool.probe(&me(), &world.spec, Duration::from_secs(10)).await.connected);
}

#[tokio::test]
async fn a_pool_that_is_shut_down_leases_no_more() {
    let world = World::new();
    let _lease = world.lease().await;
    world.pool.shutdown().await;
    assert_eq!(world.pool.snapshot().ready, 0);
    assert_eq!(world.try_lease().await.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn an_rc_file_that_prints_and_sleeps_is_no_part_of_a_commands_output() {
    let noisy = "echo welcome; echo beware >&2; sleep 0.3; /bin/bash -c \"$SSH_ORIGINAL_COMMAND\"";
    let forced = SshdOptions { extra: vec![format!("ForceCommand {noisy}")], ..SshdOptions::default() };
    let outcome = World::with(&forced).exec("echo out; echo err >&2; exit 3").await;
    assert_eq!(outcome.ending, Ending::Exited(3));
    assert_eq!((&*outcome.stdout.data, &*outcome.stderr.data), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn a_command_speaks_one_language_whatever_the_hosts_is() {
    let german = German::new();
    let world = World::with(&SshdOptions { extra: vec![german.login()], ..SshdOptions::default() });
    // As it is, as data of `printf`, and as a line of its own.
    for script in ["cat /no/such", "cat '/no/such'", &format!("cat /no/such # {}", "!".repeat(20_000))] {
        let outcome = world.exec(script).await;
        let said = String::from_utf8_lossy(&outcome.stderr.data);
        assert_eq!(said, "cat: /no/such: No such file or directory\n");
    }
    // Characters are those of UTF-8 all the same, and decimals have a point.
    let outcome = world.exec("printf käse | wc -m; printf '%.1f\\n' 1.5; date +%B --date=2026-12-01").await;
    assert_eq!(String::from_utf8_lossy(&outcome.stdout.data), "4\n1.5\nDecember\n");
}

#[tokio::test]
async fn the_environment_that_ssh_config_sets_reaches_a_command() {
    let options = SshdOptions { extra: vec!["AcceptEnv SCOUT_TEST".into()], ..SshdOptions::default() };
    let mut world = World::with(&options);
    Arc::make_mut(&mut world.spec).set_env =
        vec![("SCOUT_TEST".into(), "it's set".into()), ("OTHER".into(), "x".into())];
    assert_eq!(&*world.exec("echo \"$SCOUT_TEST$OTHER\"").await.stdout.data, b"it's set\n");
}

fn keygen(arguments: &[&str], file: &Path) {
    let status = std::process::Command::new("ssh-keygen").args(arguments).arg("-f").arg(file).output().unwrap().status;
    assert!(status.success());
}

#[tokio::test]
async fn a_key_in_the_agent_logs_in_where_its_file_is_locked() {
    let mut world = World::new();
    let socket = world.sshd.dir().join("agent");
    let key = world.sshd.user_key().private.clone();
    let _agent = Agent::start(&socket, &[&key]);
    keygen(&["-q", "-p", "-P", "", "-N", "secret"], &key);

    let error = world.try_lease().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().contains("encrypted"), "{error}");

    let mut spec = (*world.spec).clone();
    spec.agent = Some(socket);
    world.spec = Arc::new(spec);
    world.lease().await;
}

#[tokio::test]
async fn an_rsa_key_logs_in_with_sha2() {
    let mut world = World::new();
    let file = world.sshd.dir().join("id_rsa");
    keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", ""], &file);
    std::fs::copy(file.with_extension("pub"), world.sshd.dir().join("authorized_keys")).unwrap();
    let mut spec = (*world.spec).clone();
    spec.identity_files = vec![file];
    world.spec = Arc::new(spec);
    world.lease().await;
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_its_own_connect_timeout_shorter_or_longer_than_the_pools() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for pools in [Duration::from_millis(1), Duration::from_secs(60)] {
        let mut world = World::new();
        world.pool = dialling_with(DialConfig { connect_timeout: pools, ..DialConfig::default() });
        let mut spec = (*world.spec).clone();
        spec.port = listener.local_addr().unwrap().port();
        spec.connect_timeout = Some(Duration::from_millis(200));
        world.spec = Arc::new(spec);
        let error = world.try_lease().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.message().contains("box: not connected within 0.2 s"), "{error}");
    }
}
