//! Disks, and answers that were made to mislead.

use super::{disk, disks};
use crate::mutants::mutant;
use crate::part::Health;

const SCAN: &[u8] = include_bytes!("../tests/fixtures/smart-scan-written.txt");
const ATA: &[u8] = include_bytes!("../tests/fixtures/smart-ata-written.txt");
const NVME: &[u8] = include_bytes!("../tests/fixtures/smart-nvme-written.txt");
const STANDBY: &[u8] = include_bytes!("../tests/fixtures/smart-standby-written.txt");
const VIRTUAL: &[u8] = include_bytes!("../tests/fixtures/smart7.3-virtual.txt");
const NOT_ROOT: &[u8] = include_bytes!("../tests/fixtures/smart7.3-not-root.txt");

#[test]
fn only_disks_that_a_name_tells_are_asked() {
    let (named, behind) = disks(SCAN).expect("a list");
    assert_eq!((named, behind), (vec!["/dev/sda".to_owned(), "/dev/sdb".to_owned(), "/dev/nvme0".to_owned()], 3));
    assert_eq!(disks(include_bytes!("../tests/fixtures/smart7.3-scan-none.txt")), Some((Vec::new(), 0)));
    for odd in ["", "{}", "[]", "smartctl: not found"] {
        assert_eq!(disks(odd.as_bytes()), None, "{odd}");
    }
}

#[test]
fn a_disk_is_as_well_as_it_says_and_as_its_counts_say() {
    for (output, health, state, details) in [
        (
            ATA,
            Health::Warning,
            "passed",
            "WDC WD40EFRX-68N32N0; 8 reallocated sectors; 2 pending sectors; 38 °C; 33210 hours on",
        ),
        (
            NVME,
            Health::Failed,
            "failing",
            "Samsung SSD 970 EVO Plus 1TB; critical warning: 1; 104% of its life used; 3% spare, less than 10%; 44 °C; 12045 hours on",
        ),
        (STANDBY, Health::Unknown, "asleep", "it was not woken to be asked"),
    ] {
        let disk = disk("/dev/sdx", output).expect("a disk");
        assert_eq!((disk.health, disk.state.as_deref()), (health, Some(state)));
        assert_eq!(disk.details.join("; "), details);
    }
    let ata = disk("/dev/sdb", ATA).expect("a disk");
    assert_eq!((ata.name.as_str(), ata.size), ("/dev/sdb", Some(4_000_787_030_016)));
}

#[test]
fn a_disk_that_told_nothing_is_none_that_is_well() {
    assert_eq!(disk("/dev/vda", VIRTUAL), Err("/dev/vda: Unable to detect device type".to_owned()));
    assert!(disk("/dev/vda", NOT_ROOT).is_err());
    for odd in ["", "{", "[]", "{\"smart_status\":{\"passed\":\"yes\"}}", "{\"smartctl\":{\"messages\":[1,{}]}}"] {
        assert_eq!(disk("/dev/sda", odd.as_bytes()), Err("nothing that can be read".to_owned()), "{odd}");
    }
    let nested = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert!(disk("/dev/sda", nested.as_bytes()).is_err());
}

#[test]
fn any_answer_is_a_disk_or_says_why_not() {
    let pieces: [&[u8]; 8] = [b"\"", b"{", b"}", b":", b"null", b"-1", b"\x1b[2J\xff", b"99999999999999999999"];
    for seed in 0..500 {
        for captured in [ATA, NVME, STANDBY, SCAN] {
            let output = mutant(captured, &pieces, seed);
            if let Ok(disk) = disk("/dev/sda", &output) {
                assert!(disk.details.len() < 20, "seed {seed}");
            }
            let _ = disks(&output);
        }
    }
}
