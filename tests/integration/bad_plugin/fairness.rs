//! Guests that take all they can get leave enough for the others.

use std::sync::Arc;
use std::time::Duration;

use scout_runtime::{Limits, Runtime, RuntimeConfig};
use scout_tests::Guest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{ALL, PATIENCE, World, good_plugin, load, load_into};

/// How often a guest that runs is looked at, and gives way.
const TICK: Duration = Duration::from_millis(10);
/// How often a good call waits for the network: a command over SSH does about as often.
const WAITS: usize = 8;
/// Longer than the good calls take together, however busy the machine is.
const ENDLESS: Duration = Duration::from_secs(600);

/// Bytes go through the network one by one, then a call is made in a task of its own: what a good call waits for, as far as
/// this process is concerned. 50 ms are counted in the CPU that the loops have meanwhile, of which one at a time
/// computes: when the machine is busy with something else they stand still as the good call does. Another process on
/// the way (a server of SSH) would have to wait for a processor without them. A machine that leaves one thread of this
/// process standing while the other runs adds to the count, and nothing takes from it: the best round counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_good_calls_beside_eight_loops_on_two_threads_99_in_100_take_five_ticks_at_most() {
    // On one of the two threads.
    let rounds = tokio::spawn(beside_loops(8)).await.unwrap();
    assert!(rounds.last().is_some_and(|round| round.percentile_99() <= 5 * TICK), "{rounds:?}");
    // Else nothing was in their way.
    assert!(rounds.iter().all(|round| round.0.iter().sum::<Duration>() > TICK), "{rounds:?}");
}

/// The CPU that the loops had during each good call, in order.
#[derive(Debug)]
struct Round([Duration; 200]);

impl Round {
    fn percentile_99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100 - 1]
    }
}

/// Good calls beside so many loops, until a round is as it should be.
async fn beside_loops(loops: u32) -> Vec<Round> {
    const ROUNDS: usize = 8;
    let mut world = World::start();
    world.limits = Arc::new(Limits { cpu: ENDLESS, ..Limits::default() });
    let world = Arc::new(world);
    // An engine of its own, whose guests are counted.
    let runtime = Runtime::new(RuntimeConfig { max_instances: 64, memory: 4 << 30, cache_dir: None }).unwrap();
    let looping = load_into(&runtime, "loops", Guest::Loops.bytes(), ALL).await.unwrap();
    let good = load_into(&runtime, "good", Guest::AnswersNothing.bytes(), ALL).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let mut hostile = tokio::task::JoinSet::new();
    for _ in 0..loops {
        let (world, looping) = (Arc::clone(&world), looping.clone());
        hostile.spawn(async move { world.ask(&looping, "mallory", "box", ENDLESS).await });
    }
    // Until all of them have had their first tick, and take turns.
    let begun = runtime.guest_cpu();
    while runtime.guest_cpu() < begun + TICK * 2 * loops {
        tokio::task::yield_now().await;
    }
    // Keeps the thread awake that the loops leave: how long the system takes to wake one is not what is counted.
    let mut awake = tokio::task::JoinSet::new();
    awake.spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let mut rounds: Vec<Round> = Vec::new();
    while rounds.len() < ROUNDS && rounds.last().is_none_or(|round| round.percentile_99() > 5 * TICK) {
        let mut round = Round([Duration::ZERO; 200]);
        for taken in &mut round.0 {
            let before = runtime.guest_cpu();
            for _ in 0..WAITS {
                near.write_all(b"x").await.unwrap();
                // More than there is: so it waits anew each time, instead of knowing that there is something.
                assert_eq!(far.read(&mut [0; 16]).await.unwrap(), 1);
            }
            let (world, good) = (Arc::clone(&world), good.clone());
            let called = tokio::spawn(async move { world.ask(&good, "alice", "box", PATIENCE).await });
            called.await.unwrap().unwrap();
            *taken = runtime.guest_cpu() - before;
        }
        round.0.sort_unstable();
        rounds.push(round);
    }
    assert!(hostile.try_join_next().is_none(), "one of the loops has ended");
    rounds
}

/// More hanging calls of one plugin than there are instances at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_hang_leave_instances_for_other_plugins() {
    let (world, good) = (Arc::new(World::start()), good_plugin().await);
    let sleeps = load("sleeps", Guest::Sleeps.bytes(), ALL).await.unwrap();
    let mut hanging = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (world, sleeps) = (Arc::clone(&world), sleeps.clone());
        hanging.spawn(async move { world.ask(&sleeps, "mallory", "box", PATIENCE).await });
    }
    for _ in 0..10 {
        world.good_call(&good).await;
    }
    assert_eq!(hanging.len(), 100);
    assert!(hanging.try_join_next().is_none(), "one of the sleepers has ended");
}
