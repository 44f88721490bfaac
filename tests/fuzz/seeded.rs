//! A short run of each fuzz target, the same every time: mutants of real inputs, and real ones as they are.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use scout_tests::Numbers;

#[path = "src/lib.rs"]
#[expect(unreachable_pub, reason = "the library of a crate of its own")]
mod targets;

/// The longest mutant, in bytes.
const LONGEST: usize = 64 << 10;
/// What parsers are often wrong about.
const TOKENS: [&[u8]; 18] = [
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\0",
    b"\r\n",
    b"\n",
    b"\"",
    b"\\",
    b"#",
    b"%",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"\xc3",
    b"\xe2\x80\x8b",
    b"[[[[[[[[[[[[[[[[",
];

/// Real inputs: what lies in `seeds`, and recordings of the bundled tools.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dirs = match target {
        "cassette" => [
            "changes",
            "containers",
            "disk",
            "history",
            "listeners",
            "logs",
            "packages",
            "posture",
            "processes",
            "services",
            "storage",
        ]
        .map(|tool| root.join("plugins").join(tool).join("cassettes"))
        .into(),
        _ => vec![root.join("tests/fuzz/seeds").join(target)],
    };
    let mut files: Vec<_> = dirs
        .iter()
        .flat_map(|dir| fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())))
        .map(|file| file.expect("an entry").path())
        .collect();
    files.sort();
    let seeds: Vec<_> = files.iter().map(|file| fs::read(file).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "no seeds for {target}");
    seeds
}

/// One of the seeds with one to six wrongs in it.
fn mutant(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(bytes.len() + 1);
        let length = numbers.below(1 + 32.min(bytes.len() - at));
        match numbers.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            1 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
            2 => drop(bytes.drain(at..at + length)),
            3 => bytes.truncate(at),
            4 => {
                let part = bytes[at..at + length].repeat(1 + numbers.below(64));
                bytes.splice(at..at, part);
            }
            5 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                let to = from + numbers.below(1 + 256.min(other.len() - from));
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => drop(bytes.splice(at..at + length, numbers.one_of(&TOKENS).iter().copied())),
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Has a target read all seeds, and so many mutants. Alone in this process, for the memory of all is counted together.
fn survives(target: &str, mutants: u64) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seeds = seeds(target);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mutants = (0..mutants).map(|_| mutant(&seeds, &mut numbers)).collect::<Vec<_>>();
    for (number, input) in seeds.iter().chain(&mutants).enumerate() {
        if catch_unwind(AssertUnwindSafe(|| targets::read(target, input))).is_err() {
            panic!("{target} does not survive input {number}: \"{}\"", input.escape_ascii());
        }
    }
}

#[test]
fn cassettes_are_read_whatever_they_hold() {
    survives("cassette", 1_000);
}

#[test]
fn a_configuration_is_read_whatever_it_holds() {
    survives("config", 2_000);
}

#[test]
fn a_server_may_say_anything_before_and_in_its_key_exchange() {
    survives("identification", 1_000);
}

#[test]
fn known_hosts_are_read_whatever_they_hold() {
    survives("known_hosts", 5_000);
}

#[test]
fn a_client_may_write_anything() {
    survives("request", 10_000);
}

#[test]
fn a_schema_may_be_anything_and_so_may_a_value() {
    survives("schema", 5_000);
}

#[test]
fn an_sftp_server_may_answer_anything() {
    survives("sftp_reply", 20_000);
}

#[test]
fn ssh_config_is_read_whatever_it_holds() {
    survives("ssh_config", 5_000);
}

#[test]
fn a_template_and_a_uri_may_be_anything() {
    survives("uri", 20_000);
}

/// Components have their own mutants, in `bad_plugin/mutants.rs`.
#[test]
fn every_target_has_seeds_or_guests() {
    for (target, _) in targets::TARGETS {
        assert!(target == "component" || !seeds(target).is_empty(), "{target}");
    }
}
