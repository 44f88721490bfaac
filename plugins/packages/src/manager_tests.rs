//! Answers of several managers, and lines that were made to mislead.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use super::{Listing, Manager, Package, named};
use mutants::mutant;
use scout_plugin::exec::Output;

const DEBIAN_13: &[u8] = include_bytes!("../tests/fixtures/debian13.txt");
const DEBIAN_11: &[u8] = include_bytes!("../tests/fixtures/debian11.txt");
const DEBIAN_UPDATES: [(&[u8], usize); 3] = [
    (include_bytes!("../tests/fixtures/debian13-updates.txt"), 7),
    (include_bytes!("../tests/fixtures/debian12-updates.txt"), 124),
    (include_bytes!("../tests/fixtures/debian11-updates.txt"), 31),
];
const UBUNTU_UPDATES: &[u8] = include_bytes!("../tests/fixtures/ubuntu-updates-written.txt");
const ALPINE: &[u8] = include_bytes!("../tests/fixtures/alpine-written.txt");
const ALPINE_UPDATES: &[u8] = include_bytes!("../tests/fixtures/alpine-updates-written.txt");
const ARCH: &[u8] = include_bytes!("../tests/fixtures/arch-written.txt");
const ARCH_UPDATES: &[u8] = include_bytes!("../tests/fixtures/arch-updates-written.txt");
const RHEL: &[u8] = include_bytes!("../tests/fixtures/rhel9-written.txt");

fn read(manager: Manager, updates: bool, output: &[u8]) -> Vec<Package> {
    let listing = manager.parse(updates, output);
    assert_eq!(listing.unread, 0);
    listing.packages
}

fn named_one<'a>(packages: &'a [Package], name: &str) -> &'a Package {
    packages.iter().find(|package| package.name == name).unwrap_or_else(|| panic!("{name}: {packages:?}"))
}

/// Name, version and version that is available.
fn versions(packages: &[Package]) -> Vec<(&str, &str, &str)> {
    let fields = |package| {
        let Package { name, version, available, .. }: &Package = package;
        (name.as_str(), version.as_deref().unwrap_or_default(), available.as_deref().unwrap_or_default())
    };
    packages.iter().map(fields).collect()
}

#[test]
fn dpkg_tells_packages_and_their_states() {
    for (output, count, version, bytes) in
        [(DEBIAN_13, 102, "5.2.37-2+b10", 7196 << 10), (DEBIAN_11, 110, "5.1-2+deb11u1", 6469 << 10)]
    {
        let listing = Manager::Dpkg.parse(false, output);
        assert_eq!((listing.packages.len(), listing.unread, listing.removed), (count, 0, 1));
        let bash = named_one(&listing.packages, "bash");
        assert_eq!((bash.version.as_deref(), bash.arch.as_deref()), (Some(version), Some("amd64")));
        assert_eq!((bash.size, bash.state.as_deref()), (Some(bytes), Some("installed, held")));
        assert_eq!(bash.summary.as_deref(), Some("GNU Bourne Again SHell"));
    }
}

#[test]
fn apt_tells_what_can_be_updated_and_what_of_it_mends_security() {
    for (output, count) in DEBIAN_UPDATES {
        let packages = read(Manager::Dpkg, true, output);
        assert_eq!(packages.len(), count);
        assert!(packages.iter().all(|package| package.version.is_some() && package.available.is_some()));
        assert!(packages.iter().any(|package| package.security == Some(true)));
    }
    let packages = read(Manager::Dpkg, true, DEBIAN_UPDATES[0].0);
    let expected = Package {
        name: "libkrb5-3".to_owned(),
        version: Some("1.21.3-5+deb13u1".to_owned()),
        available: Some("1.21.3-5+deb13u2".to_owned()),
        security: Some(true),
        arch: Some("amd64".to_owned()),
        repository: Some("stable-security".to_owned()),
        ..Package::default()
    };
    assert_eq!(*named_one(&packages, "libkrb5-3"), expected);
    let secure: Vec<_> = read(Manager::Dpkg, true, UBUNTU_UPDATES).iter().map(|package| package.security).collect();
    assert_eq!(secure, [Some(true), Some(false), Some(true)]);
}

#[test]
fn other_managers_tell_versions() {
    assert_eq!(
        versions(&read(Manager::Apk, false, ALPINE)),
        [
            ("alpine-baselayout", "3.7.0-r0", ""),
            ("busybox", "1.37.0-r18", ""),
            ("libcrypto3", "3.5.1-r0", ""),
            ("py3-ruamel.yaml", "0.18.10-r0", ""),
            ("gtk+3.0", "3.24.49-r0", ""),
            (".build-deps", "20250801.120000", ""),
        ]
    );
    assert_eq!(
        versions(&read(Manager::Apk, true, ALPINE_UPDATES)),
        [("busybox", "1.37.0-r18", "1.37.0-r19"), ("libcrypto3", "3.5.1-r0", "3.5.4-r0")]
    );
    assert_eq!(versions(&read(Manager::Pacman, false, ARCH))[0], ("bash", "5.2.037-5", ""));
    let updates = read(Manager::Pacman, true, ARCH_UPDATES);
    assert_eq!(versions(&updates)[1], ("linux", "6.15.9.arch1-1", "6.16.0.arch1-1"));
    assert_eq!((updates[0].state.as_deref(), updates[1].state.as_deref()), (None, Some("ignored")));
    let rhel = read(Manager::Rpm, false, RHEL);
    assert_eq!(versions(&rhel)[0], ("openssl", "1:3.2.2-6.el9_5", ""));
    assert_eq!((rhel[1].size, rhel[2].arch.as_deref(), rhel[3].size), (Some(7_740_191), None, None));
}

#[test]
fn a_name_ends_where_its_version_begins() {
    for (word, expected) in [
        ("a-1-r0", Some(("a", "1-r0"))),
        ("lib-r2-1.0-r10", Some(("lib-r2", "1.0-r10"))),
        ("v-20250101.1", Some(("v", "20250101.1"))),
        ("x-release-1.0", Some(("x-release", "1.0"))),
        ("a", None),
        ("-1-r0", None),
        ("a-", None),
    ] {
        let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
        assert_eq!(named(word), expected, "{word}");
    }
}

#[test]
fn that_there_is_nothing_to_update_is_an_answer_and_that_it_was_not_told_is_none() {
    let output = |exit: u32, stdout: &str, stderr: &str| Output {
        exit: Some(exit),
        stdout: stdout.as_bytes().to_vec(),
        stderr: stderr.to_owned(),
        truncated: false,
    };
    for (manager, exit, stdout, stderr, expected) in [
        (Manager::Dpkg, 0, "Listing...\n", "\nWARNING: apt does not have a stable CLI interface.\n", true),
        (Manager::Dpkg, 100, "", "E: The package lists or status file could not be parsed or opened.\n", false),
        (Manager::Apk, 0, "", "", true),
        (Manager::Apk, 1, "", "ERROR: Unable to read database: Permission denied\n", false),
        (Manager::Pacman, 1, "", "", true),
        (Manager::Pacman, 1, "", "error: failed to initialize alpm library\n", false),
    ] {
        assert_eq!(manager.knows(&output(exit, stdout, stderr)), expected, "{manager:?} {stderr}");
    }
}

#[test]
fn what_is_no_package_is_counted() {
    let Listing { packages, unread, .. } =
        Manager::Dpkg.parse(false, b"x\n\na\t1\tamd64\t\tinstall ok installed\t\n\t1\ta\t1\ti o i\ts\n\x1b[2J\xff\n");
    assert_eq!((packages.len(), unread, packages[0].size), (1, 4, None));
    let listing = Manager::Dpkg
        .parse(true, b"Auflistung...\na/b 1 c [upgradable from: 0\na/b\nN: There is 1 additional version.\n");
    assert_eq!((listing.packages.len(), listing.unread), (0, 2));
    assert_eq!(Manager::Apk.parse(false, b"a\n\n-\n").unread, 3);
    assert_eq!(Manager::Apk.parse(true, ALPINE).unread, 6);
    assert_eq!(Manager::Pacman.parse(true, b"a\na 1 x 2\na 1 ->\n").unread, 3);
    assert_eq!(Manager::Rpm.parse(false, b"a\t1\t2\n").unread, 1);
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 12] = [
    b"\t",
    b"\n",
    b" ",
    b"/",
    b"[upgradable from: ",
    b"]",
    b"-r",
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b"->",
    b"99999999999999999999",
];

#[test]
fn any_answer_makes_packages_of_what_it_holds() {
    for seed in 0..500 {
        for (manager, updates, captured) in [
            (Manager::Dpkg, false, DEBIAN_13),
            (Manager::Dpkg, true, UBUNTU_UPDATES),
            (Manager::Apk, true, ALPINE_UPDATES),
            (Manager::Pacman, true, ARCH_UPDATES),
            (Manager::Rpm, false, RHEL),
        ] {
            let output = mutant(captured, &PIECES, seed);
            let listing = manager.parse(updates, &output);
            let lines = output.split(|byte| *byte == b'\n').count();
            assert!(listing.packages.len() + listing.unread + listing.removed <= lines, "seed {seed}");
        }
    }
    let long = [b"a\t1\tamd64\t1\tinstall ok installed\t".as_slice(), &b"x".repeat(1 << 20)].concat();
    assert_eq!(read(Manager::Dpkg, false, &long).len(), 1);
}
