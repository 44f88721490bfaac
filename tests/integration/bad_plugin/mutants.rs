//! Components with wrong bytes: loading and calling them neither crashes nor hangs.

use std::time::Duration;

use scout_runtime::{PluginId, Runtime, RuntimeConfig};
use scout_tests::{Guest, Numbers};

use super::{ALL, PATIENCE, World, good_plugin};

#[path = "../../fuzz/src/component.rs"]
mod fuzz_target;

/// The same component with one to four wrongs in it; every other one with a single wrong byte, with which it may still load.
fn mutant(component: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = component.to_vec();
    let (wrongs, kinds) = if seed.is_multiple_of(2) { (1, 3) } else { (1 + numbers.below(4), 6) };
    for _ in 0..wrongs {
        // Behind the preamble, which is checked first of all.
        let at = 8 + numbers.below(bytes.len() - 8);
        let length = (1 + numbers.below(16)).min(bytes.len() - at);
        match numbers.below(kinds) {
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes[at] = [0, 1, 0x0b, 0x7f, 0x80, 0xff][numbers.below(6)],
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let from = 8 + numbers.below(bytes.len() - 8 - length.min(bytes.len() - 9));
                let part: Vec<u8> = bytes[from..].iter().copied().take(length).collect();
                bytes.splice(at..at + length, part);
            }
        }
    }
    bytes
}

/// Loads and calls `count` mutants of a guest. The one at work lies in a file: a crash of the whole process leaves it there.
async fn survive(guest: Guest, count: u64) {
    let (world, good) = (World::start(), good_plugin().await);
    let runtime = Runtime::new(RuntimeConfig { max_instances: 4, memory: 1 << 30, cache_dir: None }).unwrap();
    let component = guest.bytes();
    let at_work = crate::world::binary().with_file_name(format!("mutant-of-{guest:?}.wasm"));
    let (mut loaded, mut refused) = (0, 0);
    for seed in 0..count {
        let bytes = mutant(&component, seed);
        std::fs::write(&at_work, &bytes).unwrap();
        let loading = runtime.load(PluginId::new("mutant").unwrap(), bytes, ALL, serde_json::Map::new());
        match tokio::time::timeout(PATIENCE, loading).await.expect("loading ends") {
            Ok(plugin) => {
                loaded += 1;
                let called = world.ask(&plugin, "mallory", "box", Duration::from_secs(10));
                // Whatever it says: that it ends is the fact.
                drop(tokio::time::timeout(PATIENCE, called).await.expect("a call ends"));
            }
            Err(error) => {
                refused += 1;
                let why = error.to_string();
                assert!(why.len() < 1000 && !why.contains("a fault inside Scout"), "{why}");
            }
        }
    }
    std::fs::remove_file(at_work).unwrap();
    world.good_call(&good).await;
    // Else the wrongs are too coarse, or too fine, to try anything.
    assert!(loaded > 0 && refused > 0, "{loaded} mutants were loaded, {refused} refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutants_of_a_small_component_neither_crash_nor_hang() {
    survive(Guest::UsesAfterDrop, 400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutants_of_a_plugin_neither_crash_nor_hang() {
    survive(Guest::Good, 40).await;
}

/// That what is run by hand compiles, loads and calls.
#[test]
fn the_fuzz_target_loads_and_calls_components_and_nothing_else() {
    for (guest, loads) in [
        (Guest::EmptyFile, false),
        (Guest::HalfAComponent, false),
        (Guest::AnswersNothing, true),
        (Guest::Good, true),
        (Guest::Loops, true),
    ] {
        assert_eq!(fuzz_target::load_and_call(&guest.bytes()), loads, "{guest:?}");
    }
}
