//! How commands and connections end, and what is told of it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Ending, ErrorKind, ExecRequest, RemoteState};
use scout_ssh::{HostSpec, Pool, PoolConfig};
use scout_tests::{DelayLink, Sshd, generate_key};

use crate::fake::{FakeSshd, Then, Wants};
use crate::world::{World, call, eventually, marker, me, request, runs, sleeps, spec};

/// Ends what a test has left running on purpose.
struct Leftover(String);

impl Drop for Leftover {
    fn drop(&mut self) {
        let _ = Command::new("pkill").args(["-KILL", "-f", &format!("^sleep {}$", self.0)]).status();
    }
}

#[tokio::test]
async fn a_process_that_left_its_group_is_told_to_run_on() {
    let world = World::new();
    let word = marker();
    let _leftover = Leftover(word.clone());
    // A script that stays and one that has gone: then nobody knows any more whose child it was.
    for script in [format!("setsid sleep {word} & sleep 60"), format!("(setsid sleep {word} &); sleep 60")] {
        let (lease, call) = (world.lease().await, call());
        let long = request(&script);
        let cancel = async {
            eventually("it has left the group", || sleeps(&word)).await;
            call.cancel.cancel();
        };
        let (outcome, ()) = tokio::join!(lease.exec(&long, &call), cancel);
        assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Running), "{script}");
        assert!(runs(&word), "it is not ended");
        drop(Leftover(word.clone()));
        eventually("it is gone", || !runs(&word)).await;
    }
}

#[tokio::test]
async fn a_command_that_is_cancelled_before_it_was_sent_is_told_not_to_have_begun() {
    let world = World::new();
    let lease = world.lease().await;
    eventually("a channel is open ahead", || world.pool.snapshot().channels == 1).await;
    let begun = world.sshd.dir().join("begun");
    let (call, touch) = (call(), request(&format!("touch '{}'", begun.display())));
    // The channel is at hand: the first poll hands the command to its task, which runs after the cancellation.
    let (outcome, ()) = tokio::join!(biased; lease.exec(&touch, &call), async { call.cancel.cancel() });
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.message(), "box: the request was cancelled before the command was sent");
    assert_eq!(world.exec("exit 3").await.ending, Ending::Exited(3));
    assert!(!begun.exists());
}

#[tokio::test]
async fn what_a_command_wrote_before_it_was_stopped_is_counted() {
    let world = World::new();
    let flood = ExecRequest { stdout_cap: 1000, ..request("echo error >&2; exec yes") };
    let outcome = world.lease().await.exec(&flood, &call()).await.unwrap();
    assert_eq!(outcome.ending, Ending::OutputLimit(RemoteState::Stopped));
    assert!(outcome.stdout.total.unwrap() > 1000 && outcome.stdout.truncated, "{:?}", outcome.stdout.total);
    let slow = ExecRequest { timeout: Duration::from_secs(3), ..request("echo four; exec sleep 60") };
    let outcome = world.lease().await.exec(&slow, &call()).await.unwrap();
    assert_eq!((outcome.stdout.total, outcome.stdout.truncated), (Some(5), false));
}

#[tokio::test]
async fn a_connection_that_does_not_answer_the_end_of_a_command_is_dropped() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::ZERO).await;
    let mut spec = spec(&sshd, link.address());
    spec.server_alive_interval = Some(Duration::ZERO);
    // Nothing else may notice.
    let config = PoolConfig { answer_timeout: Duration::from_secs(600), ..PoolConfig::default() };
    let (spec, pool) = (Arc::new(spec), Pool::new(config));
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    let (word, other) = (marker(), marker());
    let (long, cancelled) = (request(&format!("echo begun; exec sleep {word}")), call());
    let beside = request(&format!("echo beside; exec sleep {other}"));
    let patient = call();
    let silence = async {
        eventually("both run", || runs(&word) && runs(&other)).await;
        link.settle().await;
        link.forget_connections();
        cancelled.cancel.cancel();
    };
    let (outcome, neighbour, ()) = tokio::join!(lease.exec(&long, &cancelled), lease.exec(&beside, &patient), silence);
    assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Unknown));
    assert_eq!(neighbour.unwrap().ending, Ending::NoStatus, "it is told at once");
    assert_eq!(lease.exec(&request("exit 6"), &call()).await.unwrap().ending, Ending::Exited(6));
    assert_eq!(pool.snapshot().dials, 2);
}

#[tokio::test]
async fn with_a_count_of_zero_a_silent_host_is_given_up_without_being_asked() {
    let sshd = Sshd::start();
    let mut spec = spec(&sshd, sshd.address());
    spec.server_alive_interval = Some(Duration::from_secs(1));
    spec.server_alive_count_max = 0;
    let pool = Pool::new(PoolConfig::default());
    let lease = pool.lease(&me(), &Arc::new(spec), &call()).await.unwrap();
    // As with OpenSSH's client: a host that would answer is not asked.
    let outcome = lease.exec(&request("echo begun; sleep 30"), &call()).await.unwrap();
    assert_eq!((outcome.ending, &*outcome.stdout.data), (Ending::NoStatus, &b"begun\n"[..]));
    assert_eq!(lease.exec(&request("exit 6"), &call()).await.unwrap().ending, Ending::Exited(6));
    assert_eq!(pool.snapshot().dials, 2);
}

/// What a server hears of a command that is cancelled, if it closes the channels of the first and the third one unanswered.
async fn heard_of_a_cancelled_command() -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::PublicKey], Then::ClosesEveryOther).await;
    let known = dir.path().join("known_hosts");
    std::fs::write(&known, server.known_hosts_line()).unwrap();
    let spec = Arc::new(HostSpec {
        user_known_hosts_files: vec![known],
        identity_files: vec![generate_key(dir.path(), "id").private],
        ..HostSpec::new("box", server.address.ip().to_string(), server.address.port(), "me")
    });
    let lease = Pool::new(PoolConfig::default()).lease(&me(), &spec, &call()).await.unwrap();
    let (call, request) = (call(), request("exec sleep 60"));
    let cancel = async {
        eventually("it is sent again", || runs_of(&server.heard()).len() == 2).await;
        call.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(lease.exec(&request, &call), cancel);
    assert_eq!(outcome.unwrap().ending, Ending::Cancelled(RemoteState::Stopped));
    server.heard()
}

/// The channels and markers of the commands, in order.
fn runs_of(heard: &[String]) -> Vec<(&str, &str)> {
    heard.iter().filter_map(|heard| heard.split_once(" runs ")).collect()
}

#[tokio::test]
async fn what_is_sent_again_has_a_marker_of_its_own() {
    let heard = heard_of_a_cancelled_command().await;
    let markers: Vec<_> = runs_of(&heard).into_iter().map(|(_, marker)| marker).collect();
    // The command and what ends it, each twice.
    assert_eq!((markers.len(), markers.iter().collect::<BTreeSet<_>>().len()), (4, 4), "{heard:?}");
}

#[tokio::test]
async fn what_ends_a_command_is_sent_before_its_channel_is_closed() {
    let heard = heard_of_a_cancelled_command().await;
    let runs = runs_of(&heard);
    let at = |what: String| heard.iter().position(|heard| *heard == what).unwrap();
    let (ends, closes) = (at(format!("{} runs {}", runs[2].0, runs[2].1)), at(format!("{} closes", runs[1].0)));
    assert!(ends < closes, "{heard:?}");
}
