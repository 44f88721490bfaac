//! Trust in hosts' keys, case by case against the real `ssh` at real servers.
//!
//! A generator makes known_hosts files and settings; `ssh` and the engine then meet the same server with copies of the
//! same files, and must say the same: accepted, unknown, changed or revoked, by which line, with passwords or without,
//! and with what learned. The seed is printed; `SCOUT_TRUST_SEED` and `SCOUT_TRUST_CASES` repeat or prolong a run. A
//! case that differs is told with no line that it does not need.
//!
//! Besides: nothing leaves before the verdict, and what is learned can be read by everybody.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod before;
mod cases;
mod learned;
mod servers;
mod verdicts;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use scout_tests::{is_with_newer_openssh, with_newer_openssh};

use crate::cases::{Case, Random};
use crate::servers::World;
use crate::verdicts::run;

const CASES: usize = 600;
const SEED: u64 = 20_260_817;
/// Each case is an `ssh`, two children of sshd and the engine: more at once only wait for processors.
const WORKERS: usize = 4;

/// The smallest case that still differs, found by leaving out lines.
fn shrink(case: &Case, world: &World, directory: &Path, runtime: &tokio::runtime::Handle) -> String {
    let mut case = case.clone();
    let mut told = run(&case, world, directory, runtime).1.expect("a difference that happens once more");
    let mut shrunk = true;
    while shrunk {
        shrunk = false;
        for file in 0..case.files.len() {
            for line in (0..case.files[file].as_ref().map_or(0, Vec::len)).rev() {
                let mut smaller = case.clone();
                smaller.files[file].as_mut().unwrap().remove(line);
                if let Some(text) = run(&smaller, world, directory, runtime).1 {
                    (case, told, shrunk) = (smaller, text, true);
                }
            }
        }
    }
    told
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_newer_openssh_comes_to_the_same() {
    if !is_with_newer_openssh() {
        with_newer_openssh("a_newer_openssh_comes_to_the_same", &[]);
    }
}

#[test]
fn every_verdict_is_that_of_ssh() {
    let seed = number("SCOUT_TRUST_SEED", SEED);
    let count = usize::try_from(number("SCOUT_TRUST_CASES", CASES as u64)).unwrap();
    eprintln!("SCOUT_TRUST_SEED={seed} SCOUT_TRUST_CASES={count}");
    let world = World::new();
    let mut random = Random(seed);
    let cases: Vec<Case> = (0..count).map(|_| Case::generate(&mut random, &world)).collect();
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let next = AtomicUsize::new(0);
    let kinds = Mutex::new(BTreeMap::<&str, usize>::new());
    let differing = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let directory = directory.path().join(worker.to_string());
            let (world, cases, next, runtime) = (&world, &cases, &next, runtime.handle());
            let (kinds, differing) = (&kinds, &differing);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (kind, told) = run(case, world, &directory, runtime);
                    *kinds.lock().unwrap().entry(kind).or_default() += 1;
                    if told.is_some() {
                        differing.lock().unwrap().push(case.clone());
                    }
                }
            });
        }
    });
    let (kinds, differing) = (kinds.into_inner().unwrap(), differing.into_inner().unwrap());
    eprintln!("{kinds:?}");
    if let Some(case) = differing.first() {
        let told = shrink(case, &world, directory.path(), runtime.handle());
        panic!("{} of {count} cases differ (SCOUT_TRUST_SEED={seed}); the first, shrunk:\n{told}", differing.len());
    }
    if count >= CASES {
        assert!(kinds.len() == 11 && kinds.values().all(|n| *n >= 8), "the generator misses a kind of case: {kinds:?}");
    }
}
