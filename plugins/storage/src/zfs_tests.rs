//! Pools, datasets and snapshots, and lines that were made to mislead.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use super::{add_status, datasets, pools, snapshots};
use crate::mutants::mutant;
use crate::part::{Health, Part};
use scout_plugin::rows::Cell;

const LIST: &[u8] = include_bytes!("../tests/fixtures/zpool-list-written.txt");
const STATUS: &[u8] = include_bytes!("../tests/fixtures/zpool-status-written.txt");
const DATASETS: &[u8] = include_bytes!("../tests/fixtures/zfs-list-written.txt");
const SNAPSHOTS: &[u8] = include_bytes!("../tests/fixtures/zfs-snapshots-written.txt");

fn told() -> Vec<Part> {
    let mut told = pools(LIST);
    assert_eq!(told.unread, 0);
    add_status(STATUS, &mut told.parts);
    told.parts
}

#[test]
fn a_pool_is_as_well_as_its_devices_and_data() {
    let pools = told();
    let shown: Vec<_> = pools.iter().map(|pool| (pool.name.as_str(), pool.health, pool.details.join("; "))).collect();
    assert_eq!(
        shown,
        [
            (
                "tank",
                Health::Warning,
                "One or more devices could not be used because the label is missing or invalid.  Sufficient replicas exist for the pool to \
                 continue functioning in a degraded state.; scan: resilver in progress since Tue Dec  1 00:01:02 2026 1.2T / 7.6T scanned at \
                 1.1G/s, 400G / 7.6T issued at 380M/s 130G resilvered, 5.14% done, 05:31:10 to go; raidz1-0 is DEGRADED; sdb is FAULTED; \
                 sdb has errors: 12 read, 340 write"
                    .to_owned()
            ),
            (
                "rpool",
                Health::Failed,
                "95% full; 61% fragmented; One or more devices has experienced an unrecoverable error.  An attempt was made to correct the \
                 error.  Applications are unaffected.; scan: none requested; nvme0n1p3 has errors: 7 checksum; 2 data errors, use '-v' for a list"
                    .to_owned()
            ),
            ("backup", Health::Ok, "scan: scrub repaired 0B in 00:00:01 with 0 errors on Sun Nov 29 00:24:02 2026".to_owned()),
            (
                "lost",
                Health::Failed,
                "One or more devices could not be opened.  There are insufficient replicas for the pool to continue functioning.; \
                 sde is UNAVAIL"
                    .to_owned()
            ),
        ]
    );
    assert_eq!((pools[0].size, pools[0].free), (Some(11_991_548_690_432), Some(3_598_467_465_216)));
    assert_eq!((pools[3].size, pools[3].state.as_deref()), (None, Some("UNAVAIL")));
}

#[test]
fn datasets_and_snapshots_are_rows() {
    let (rows, unread) = datasets(DATASETS);
    assert_eq!((rows.len(), unread), (3, 0));
    assert_eq!(
        (&rows[0][5], &rows[2][0], &rows[2][5]),
        (&Cell::text("/tank"), &Cell::text("tank/data x"), &Cell::None)
    );
    let (rows, unread) = snapshots(SNAPSHOTS);
    assert_eq!((rows.len(), unread), (2, 0));
    assert_eq!((&rows[0][1], &rows[0][3]), (&Cell::Number(65_536), &Cell::text("2026-12-01T00:00:00Z")));
    assert_eq!(datasets(b"").0.len() + snapshots(b"").0.len(), 0);
}

#[test]
fn what_is_no_row_is_counted() {
    assert_eq!(pools(b"a\nb\t1\t2\n\x1b[2J\xff\n").unread, 3);
    assert_eq!(datasets(b"a\tb\n1\t2\t3\t4\t5\t6\t7\n").1, 2);
    assert_eq!(snapshots(b"tank\t1\t2\t3\ntank@a\t1\n").1, 2);
    let odd = pools(b"a\t99999999999999999999\t5\t5\t99999999999999999999\tNEW\n");
    assert_eq!((odd.parts[0].size, odd.parts[0].health), (None, Health::Unknown));
    let full = pools(format!("a\t{0}\t{0}\t0\t0\tONLINE\n", u64::MAX).as_bytes());
    assert_eq!(full.parts[0].details, ["100% full"]);
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 12] = [
    b"\t",
    b"\n",
    b": ",
    b"pool: ",
    b"config:\n",
    b"NAME STATE READ WRITE CKSUM\n",
    b"errors: ",
    b"99999999999999999999",
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b"-",
];

#[test]
fn any_answer_makes_rows_of_what_it_holds() {
    for seed in 0..500 {
        let list = mutant(LIST, &PIECES, seed);
        let mut told = pools(&list);
        assert!(told.parts.len() + told.unread <= list.split(|byte| *byte == b'\n').count(), "seed {seed}");
        add_status(&mutant(STATUS, &PIECES, seed), &mut told.parts);
        let (rows, unread) = datasets(&mutant(DATASETS, &PIECES, seed));
        assert!(rows.len() + unread <= 40, "seed {seed}");
        let (rows, unread) = snapshots(&mutant(SNAPSHOTS, &PIECES, seed));
        assert!(rows.len() + unread <= 40, "seed {seed}");
    }
    // A status of many lines is bounded.
    let mut told = pools(LIST);
    add_status(format!("  pool: tank\nstatus: {}\n", "x\n\ty ".repeat(1 << 18)).as_bytes(), &mut told.parts);
    assert!(told.parts[0].details.concat().chars().count() < 1000);
}
