//! Guests that take all they can get leave enough for the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use scout_runtime::{CallErrorKind, Limits};
use scout_tests::Guest;

use super::{ALL, PATIENCE, World, good_plugin, load};

/// How often a guest that runs is looked at, and gives way.
const TICK: Duration = Duration::from_millis(10);

/// Eight loops on two threads. Each is charged at most two ticks for a look, after which it gives way: with a budget of
/// 100 ticks it gives way 50 times before its end. A good call waits a few times until it is its turn (for an instance,
/// for the host, for its guest); served in turn, it is over long before any loop is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_calls_go_on_between_the_ticks_of_eight_loops_on_two_threads() {
    const LOOPS: usize = 8;
    const TICKS: u32 = 100;
    const GOOD_CALLS: usize = 3;
    let mut world = World::start();
    world.limits = Arc::new(Limits { cpu: TICK * TICKS, ..Limits::default() });
    let (world, good) = (Arc::new(world), good_plugin().await);
    let loops = load("loops", Guest::Loops.bytes(), ALL).await.unwrap();
    world.good_call(&good).await;
    let ended = Arc::new(AtomicUsize::new(0));
    let mut hostile = tokio::task::JoinSet::new();
    for _ in 0..LOOPS {
        let (world, loops, ended) = (Arc::clone(&world), loops.clone(), Arc::clone(&ended));
        hostile.spawn(async move {
            let error = world.ask(&loops, "mallory", "box", PATIENCE).await.unwrap_err();
            ended.fetch_add(1, Ordering::SeqCst);
            error
        });
    }
    let served = tokio::spawn({
        let (world, ended) = (Arc::clone(&world), Arc::clone(&ended));
        async move {
            let mut served = 0;
            while ended.load(Ordering::SeqCst) == 0 {
                world.good_call(&good).await;
                served += 1;
            }
            served
        }
    });
    // The last of them may have ended after the first loop.
    let served: usize = served.await.unwrap() - 1;
    for error in hostile.join_all().await {
        assert_eq!(error.kind, CallErrorKind::Plugin, "{error}");
        assert!(error.message.contains("CPU"), "{error}");
        assert!(error.receipt.cpu >= TICK * TICKS, "{:?}", error.receipt.cpu);
    }
    assert!(served >= GOOD_CALLS, "{served} good calls while {LOOPS} loops used {TICKS} ticks each");
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
