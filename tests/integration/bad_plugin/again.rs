//! What one call leaves, no later one finds: neither of the same plugin and principal, nor of others. All calls of a test run
//! one after the other in the same slot of the pool.

use scout_runtime::{CallErrorKind, Runtime, RuntimeConfig};
use scout_tests::Guest;

use super::{ALL, PATIENCE, World, load_into, text};

/// So often each is asked.
const TIMES: usize = 3;

fn runtime_with_one_slot() -> Runtime {
    Runtime::new(RuntimeConfig { max_instances: 1, memory: 1 << 30, cache_dir: None }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_keeps_is_gone_in_the_next() {
    let (world, runtime) = (World::start(), runtime_with_one_slot());
    let keeps = load_into(&runtime, "keeps", Guest::KeepsWhatItHad.bytes(), ALL).await.unwrap();
    for _ in 0..TIMES {
        let (answer, receipt) = world.ask(&keeps, "mallory", "box", PATIENCE).await.unwrap();
        assert_eq!(text(&answer), "call 1");
        assert_eq!(receipt.host_calls, 9, "five of the query, the file, its content, an answer, its text");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_end_that_was_none_of_its_choice_it_begins_anew() {
    let (world, runtime) = (World::start(), runtime_with_one_slot());
    let good = load_into(&runtime, "good", Guest::Good.bytes(), ALL).await.unwrap();
    for (guest, says) in [
        (Guest::Traps, "crashed: it panicked or gave up"),
        (Guest::Panics, "crashed: it panicked or gave up"),
        (Guest::Exits, "exited instead of answering (status 0)"),
        (Guest::UsesAfterDrop, "unknown handle index"),
        (Guest::EatsMemory, "needs more than its 64 MiB of memory"),
    ] {
        let ends = load_into(&runtime, "ends", guest.bytes(), ALL).await.unwrap();
        for _ in 0..TIMES {
            let error = world.ask(&ends, "mallory", "box", PATIENCE).await.unwrap_err();
            assert_eq!(error.kind, CallErrorKind::Plugin, "{guest:?}: {error}");
            assert!(error.message.contains(says), "{guest:?}: {error}");
        }
        world.good_call(&good).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_tables_hold_nothing_of_another_call() {
    let (world, runtime) = (World::start(), runtime_with_one_slot());
    let component = Guest::LeavesMarks.bytes();
    // Another component for wasmtime: it ends in a section that means nothing.
    let another = [component.as_slice(), &[0, 5, 4, b'm', b'a', b'r', b'k']].concat();
    let one = load_into(&runtime, "one", component, ALL).await.unwrap();
    let other = load_into(&runtime, "other", another, ALL).await.unwrap();
    for (plugin, principal) in
        [(&one, "mallory"), (&one, "mallory"), (&one, "alice"), (&other, "alice"), (&other, "bob"), (&one, "mallory")]
    {
        let (answer, _) = world.ask(plugin, principal, "box", PATIENCE).await.unwrap();
        assert_eq!(text(&answer), "00 then 11");
    }
}
