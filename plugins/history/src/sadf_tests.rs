//! Records of several versions, and lines that were made to mislead.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use super::Records;
use crate::What;
use crate::span::Span;
use mutants::mutant;
use scout_plugin::rows::{Cell, Row};

const MACHINE: &[u8] = include_bytes!("../tests/fixtures/sysstat12.6-machine.txt");
const MACHINE_13: &[u8] = include_bytes!("../tests/fixtures/sysstat12.7-machine.txt");
const RESTART: &[u8] = include_bytes!("../tests/fixtures/sysstat12.6-restart.txt");
const DISKS: &[u8] = include_bytes!("../tests/fixtures/sysstat12.6-disks.txt");
const DISKS_13: &[u8] = include_bytes!("../tests/fixtures/sysstat12.7-disks.txt");
const DISKS_OLD: &[u8] = include_bytes!("../tests/fixtures/sysstat11.7-disks-written.txt");
const NETWORK: &[u8] = include_bytes!("../tests/fixtures/sysstat12.6-network.txt");
const NETWORK_13: &[u8] = include_bytes!("../tests/fixtures/sysstat12.7-network.txt");

const ALWAYS: Span = Span { since: 0, until: u64::MAX };

fn rows(what: What, output: &[u8]) -> Vec<Row> {
    let mut records = Records::default();
    records.add(what, ALWAYS, output);
    assert_eq!(records.unread, 0);
    records.into_rows()
}

#[test]
fn tables_of_one_time_become_one_row() {
    let all = rows(What::Machine, MACHINE);
    assert_eq!(all.len(), 8);
    // Of 1.50 % idle, a load of 0.00 as it was, and amounts in KiB.
    let first = &all[0];
    assert_eq!((&first[0], &first[1]), (&Cell::text("2026-12-01T00:27:00Z"), &Cell::Number(985)));
    assert_eq!((&first[12], &first[16]), (&Cell::Number(4_900_526), &Cell::Number(60)));
    assert!(matches!(first[9], Cell::Number(bytes) if bytes > 1 << 30), "{first:?}");
    assert!(all.iter().all(|row| row.iter().all(|cell| *cell != Cell::None)), "{all:?}");
    let newer = rows(What::Machine, MACHINE_13);
    assert_eq!((newer.len(), &newer[0][1], &newer[0][6]), (2, &Cell::Number(1000), &Cell::Number(40)));
}

#[test]
fn disks_and_interfaces_have_rows_of_their_own() {
    let all = rows(What::Disks, DISKS);
    assert_eq!((all.len(), &all[0][1], &all[0][3]), (8, &Cell::text("vda"), &Cell::Number(4_900_526)));
    assert_eq!((&all[0][5], &all[0][6]), (&Cell::Number(28), &Cell::Number(17)));
    assert_eq!(rows(What::Disks, DISKS_13)[1][1], Cell::text("vda"));
    let old = rows(What::Disks, DISKS_OLD);
    assert_eq!((&old[0][3], &old[0][4]), (&Cell::Number(1024), &Cell::Number(524_288)));
    for output in [NETWORK, NETWORK_13] {
        let all = rows(What::Network, output);
        assert_eq!((all.len(), &all[3][1], &all[3][2]), (8, &Cell::text("eth0"), &Cell::Number(0)));
    }
}

#[test]
fn only_what_was_asked_for_is_taken_and_restarts_are_told() {
    let mut records = Records::default();
    records.add(What::Machine, Span { since: 1_796_084_880, until: 1_796_084_940 }, MACHINE);
    assert_eq!(records.into_rows().len(), 2);
    let mut records = Records::default();
    records.add(What::Machine, ALWAYS, RESTART);
    records.add(What::Machine, ALWAYS, RESTART);
    assert_eq!((records.restarts.as_slice(), records.unread), (&[1_796_087_359][..], 0));
    // The same time out of two files is one row.
    assert_eq!(records.machine.len(), 1);
    let mut records = Records::default();
    records.add(What::Machine, Span { since: 0, until: 5 }, RESTART);
    assert!(records.restarts.is_empty());
}

#[test]
fn what_is_no_record_is_counted() {
    let odd = b"a;b\n# hostname;interval;timestamp;CPU;%idle\nvm;1;5;-1\nvm;1;x;-1;5\nvm;1;5;-1;nan\nvm;1;6;-1;-5\nvm;1;7;-1;101\n\
                vm;1;8;-1;1e300\n\x1b[2J\xff\nvm;1;18446744073709551615;-1;50\n";
    let mut records = Records::default();
    records.add(What::Machine, ALWAYS, odd);
    assert_eq!(records.unread, 4);
    let rows = records.into_rows();
    assert_eq!(rows.len(), 5);
    assert!(rows[..4].iter().all(|row| row[1] == Cell::None), "{rows:?}");
    // A time that no calendar has.
    assert_eq!((&rows[4][0], &rows[4][1]), (&Cell::None, &Cell::Number(500)));
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 10] =
    [b";", b"\n", b"# ", b"LINUX-RESTART", b"-1", b"99999999999999999999", b"1e999", b"\0", b"\xff", b"\x1b[2J"];

#[test]
fn any_answer_makes_rows_of_what_it_holds() {
    for seed in 0..500 {
        for (what, captured) in [(What::Machine, MACHINE), (What::Disks, DISKS_13), (What::Network, NETWORK)] {
            let output = mutant(captured, &PIECES, seed);
            let lines = output.split(|byte| *byte == b'\n').count();
            let mut records = Records::default();
            records.add(what, ALWAYS, &output);
            let told = records.restarts.len() + records.unread;
            assert!(records.into_rows().len() + told <= lines, "seed {seed}");
        }
    }
    for end in 0..MACHINE.len() {
        let mut records = Records::default();
        records.add(What::Machine, ALWAYS, &MACHINE[..end]);
        assert!(records.unread <= 1);
    }
}
