//! What goes wrong between the engine and a host, one test each.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Call, Ending, ErrorKind, Opened, RemoteState};
use scout_ssh::{Pool, PoolConfig, PoolSnapshot};
use scout_tests::{DelayLink, Sshd};
use tokio::task::JoinSet;

use crate::world::{World, call, eventually, marker, me, remote, request, runs, spec};

/// Requests that are cancelled.
const CANCELLED: u32 = 1_000;
/// The first of them, which meet the dial however long it takes; all others meet a connection.
const DURING_THE_DIAL: u32 = 100;
/// Those of them that are under way at once.
const AT_ONCE: usize = 50;

/// Some may be gone already: the end of one ends others.
fn signal(name: &str, pids: &[u32]) {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    Command::new("kill").arg(format!("-{name}")).args(pids).status().unwrap();
}

/// The process and all that it started.
fn tree(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut all = vec![pid];
    all.extend(children.split_whitespace().flat_map(|child| tree(child.parse().unwrap())));
    all
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_an_answer_is_told_and_dialled_again() {
    let mut world = World::new();
    let lease = world.lease().await;
    let running = world.path("running");
    let script = format!("echo first; touch '{}'; sleep 60", String::from_utf8(running.clone()).unwrap());
    let long = request(&script);
    let patient = call();
    let command = lease.exec(&long, &patient);
    let pid = world.sshd.pid();
    let killed = async {
        let running = PathBuf::from(String::from_utf8(running).unwrap());
        eventually("the command runs", || running.exists()).await;
        // The server has sent on what it had read before this: its answer comes behind it.
        assert_eq!(world.exec("exit 0").await.ending, Ending::Exited(0));
        let sessions: Vec<u32> = tree(pid).into_iter().filter(|child| *child != pid).collect();
        signal("KILL", &sessions);
    };
    let (outcome, ()) = tokio::join!(command, killed);
    let outcome = outcome.unwrap();
    assert_eq!((&outcome.ending, &*outcome.stdout.data), (&Ending::NoStatus, &b"first\n"[..]));
    assert_eq!(world.exec("exit 5").await.ending, Ending::Exited(5));
    world.sshd.kill();
    assert_eq!(world.lease().await.stat(&remote(b"/"), &call()).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_stopped_server_costs_a_request_its_deadline_and_serves_again() {
    let world = World::new();
    std::fs::write(world.sshd.dir().join("f"), "text").unwrap();
    let lease = world.lease().await;
    lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap();
    let all = tree(world.sshd.pid());
    signal("STOP", &all);
    let short = Call::until(tokio::time::Instant::now() + Duration::from_millis(300));
    let read = lease.open(&remote(world.path("f")), 100, 100, &short).await.unwrap_err();
    let exec = lease.exec(&request("exit 0"), &short).await;
    signal("CONT", &all);
    assert_eq!(read.kind(), ErrorKind::Timeout);
    match exec {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
        Ok(outcome) => assert!(matches!(outcome.ending, Ending::TimedOut(_)), "{:?}", outcome.ending),
    }
    let opened = lease.open(&remote(world.path("f")), 100, 100, &call()).await.unwrap();
    assert!(matches!(opened, Opened::File { content, .. } if &*content.data == b"text"));
    eventually("nothing is in flight", || world.pool.snapshot().in_flight == 0).await;
}

#[tokio::test]
async fn a_link_that_falls_silent_is_noticed_by_keepalive() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::ZERO).await;
    let mut spec = spec(&sshd, link.address());
    spec.server_alive_interval = Some(Duration::from_secs(1));
    spec.server_alive_count_max = 1;
    let spec = Arc::new(spec);
    let pool = Pool::new(PoolConfig::default());
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    let word = marker();
    let script = format!("echo begun; sleep {word}");
    let long = request(&script);
    let patient = call();
    let silence = async {
        eventually("the command runs", || runs(&word)).await;
        link.settle().await;
        link.fall_silent();
    };
    let (outcome, ()) = tokio::join!(lease.exec(&long, &patient), silence);
    assert_eq!(outcome.unwrap().ending, Ending::NoStatus);
    link.recover();
    assert_eq!(lease.exec(&request("exit 6"), &call()).await.unwrap().ending, Ending::Exited(6));
    assert_eq!(pool.snapshot().dials, 2);
}

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cancelled_requests_leave_nothing_behind() {
    let world = World::new();
    let dir = world.sshd.dir();
    std::fs::write(dir.join("f"), vec![b'x'; 300_000]).unwrap();
    std::fs::create_dir(dir.join("d")).unwrap();
    for number in 0..200 {
        std::fs::write(dir.join("d").join(number.to_string()), "").unwrap();
    }
    let (file, folder, word) = (remote(world.path("f")), remote(world.path("d")), marker());
    let mut dice = Dice(1);
    let mut tasks = JoinSet::new();
    for number in 0..CANCELLED {
        if number == DURING_THE_DIAL {
            world.lease().await;
        }
        if tasks.len() == AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
        let (pool, spec, file, folder) = (world.pool.clone(), Arc::clone(&world.spec), file.clone(), folder.clone());
        let (what, delay) = (dice.below(4), Duration::from_micros(dice.below(8_000)));
        let command = request(&format!("sleep {word}"));
        let is_dropped = number % 2 == 0;
        tasks.spawn(async move {
            let call = call();
            let work = async {
                let lease = pool.lease(&me(), &spec, &call).await?;
                match what {
                    0 => lease.open(&file, 300_000, 10, &call).await.map(|_| ()),
                    1 => lease.open(&folder, 10, 1_000, &call).await.map(|_| ()),
                    2 => lease.read(&file, 1_000, 200_000, &call).await.map(|_| ()),
                    _ => lease.exec(&command, &call).await.map(|outcome| {
                        assert!(matches!(outcome.ending, Ending::Cancelled(_)), "{:?}", outcome.ending);
                        assert_ne!(outcome.ending, Ending::Cancelled(RemoteState::Running));
                    }),
                }
            };
            let mut work = std::pin::pin!(work);
            tokio::select! {
                result = &mut work => result.unwrap(),
                () = tokio::time::sleep(delay) => {
                    if !is_dropped {
                        call.cancel.cancel();
                        if let Err(error) = work.await {
                            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                        }
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let quiet = |snapshot: PoolSnapshot| {
        // An SFTP channel and a spare on each connection. A second one may be on its way when nobody needs it any more.
        let PoolSnapshot { in_flight, waiters, dialing, channels, ready, .. } = snapshot;
        in_flight == 0 && waiters == 0 && dialing == 0 && channels <= 2 * ready
    };
    eventually("the counters are back", || quiet(world.pool.snapshot())).await;
    eventually("no command is left on the host", || !runs(&word)).await;
    assert_eq!(world.exec("exit 7").await.ending, Ending::Exited(7));
    let seen = world.pool.snapshot();
    assert_eq!(seen.dials, seen.ready, "no connection was lost: {seen:?}");
}
