//! Real tables of several systems, and lines that were made to mislead.

#[path = "../../mutants.rs"]
mod mutants;

use super::{Figures, Row, mounted, parse};
use mutants::mutant;

fn typed(output: &[u8]) -> Vec<Row> {
    let table = parse(output, true);
    assert_eq!(table.unread, 0);
    table.rows
}

fn figures(total: u64, used: u64, available: u64) -> Figures {
    Figures { total: Some(total), used: Some(used), available: Some(available) }
}

/// Name, type and mount point of each row.
fn names(rows: &[Row]) -> Vec<(String, &str, String)> {
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    rows.iter()
        .map(|row| (shown(&row.filesystem), row.kind.as_deref().unwrap_or("-"), shown(&row.mount_point)))
        .collect()
}

fn same(rows: &[Row], expected: &[(&str, &str, &str)]) {
    let names = names(rows);
    let found: Vec<_> = names.iter().map(|(name, kind, point)| (name.as_str(), *kind, point.as_str())).collect();
    assert_eq!(found, expected);
}

const LINUX: [(&str, &str, &str); 10] = [
    ("/dev/vda", "ext4", "/"),
    ("tmpfs", "tmpfs", "/run"),
    ("tmpfs", "tmpfs", "/dev/shm"),
    ("//server/share name", "tmpfs", "/srv/with blank"),
    // GNU's df writes `?` for a control character.
    ("tmpfs", "tmpfs", "/srv/line?end"),
    ("tmpfs", "tmpfs", "/srv/k\\xc3\\xa4se"),
    ("tmpfs", "tmpfs", "/srv/latin\\xe9"),
    ("tmpfs", "tmpfs", "/srv/ 1 2 3 4% /fake"),
    ("/dev/loop0", "ext4", "/srv/data"),
    ("overlay", "overlay", "/srv/merged"),
];

#[test]
fn gnu_tables_are_read() {
    let new = typed(include_bytes!("../tests/fixtures/debian13-typed.txt"));
    same(&new, &LINUX);
    assert_eq!(new.first().map(|row| row.figures), Some(figures(264_212_084, 39_492_660, 55_793_228)));
    assert_eq!(new.get(8).map(|row| row.figures), Some(figures(14_073, 12_711, 0)));
    same(&typed(include_bytes!("../tests/fixtures/debian11-typed.txt")), &LINUX);
    same(&typed(include_bytes!("../tests/fixtures/debian13-path.txt")), &[("/dev/loop0", "ext4", "/srv/data")]);
}

#[test]
fn a_busybox_table_is_read_and_keeps_the_line_end_of_a_name() {
    let mut expected = LINUX;
    expected[4].2 = "/srv/line\\nend";
    same(&typed(include_bytes!("../tests/fixtures/busybox-typed.txt")), &expected);
}

#[test]
fn inodes_are_read_as_a_table_without_types() {
    for output in [
        include_bytes!("../tests/fixtures/debian13-inodes.txt").as_slice(),
        include_bytes!("../tests/fixtures/busybox-inodes.txt"),
    ] {
        let table = parse(output, false);
        assert_eq!((table.rows.len(), table.unread), (LINUX.len(), 0));
        let full = table.rows.iter().find(|row| row.mount_point == b"/srv/with blank").expect("is there");
        assert_eq!((full.filesystem.as_slice(), full.figures), (b"//server/share name".as_slice(), figures(20, 20, 0)));
    }
}

#[test]
fn the_language_of_the_heading_does_not_matter_and_a_dash_is_no_figure() {
    let rows = typed(include_bytes!("../tests/fixtures/german-typed.txt"));
    same(&rows, &[("/dev/sda1", "ext4", "/"), ("none", "fuse", "/run/user/1000/doc")]);
    assert_eq!(rows.get(1).map(|row| row.figures), Some(Figures::default()));
}

#[test]
fn blocks_and_inodes_of_macos_stand_in_one_line() {
    let table = parse(include_bytes!("../tests/fixtures/macos-inodes.txt"), false);
    assert_eq!((table.rows.len(), table.unread), (5, 0));
    let row = table.rows.first().expect("is there");
    assert_eq!(row.figures, figures(488_245_288, 151_098_964, 330_155_176));
    assert_eq!(row.inodes, Some(figures(9_223_372_036_854_775_807, 1_507_695, 9_223_372_036_853_268_112)));
    assert_eq!(table.rows.get(2).map(|row| row.filesystem.as_slice()), Some(b"map -hosts".as_slice()));
    let points = mounted(include_bytes!("../tests/fixtures/macos-mount.txt"));
    let kind = |row: &Row| points.iter().find(|(point, _)| *point == row.mount_point).map(|(_, kind)| kind.as_str());
    let kinds: Vec<_> = table.rows.iter().map(kind).collect();
    assert_eq!(kinds, ["apfs", "devfs", "autofs", "afpfs", "apfs"].map(Some));
}

#[test]
fn mounts_of_openbsd_name_their_type_in_a_word() {
    let points = mounted(include_bytes!("../tests/fixtures/openbsd-mount.txt"));
    let expected = [("/", "ffs"), ("/home", "ffs"), ("/mnt/a (b)", "nfs")];
    assert_eq!(points, expected.map(|(point, kind)| (point.as_bytes().to_vec(), kind.to_owned())));
}

#[test]
fn more_in_use_than_there_is_leaves_nothing() {
    let rows = typed(include_bytes!("../tests/fixtures/freebsd-typed.txt"));
    assert_eq!(rows.get(2).map(|row| row.figures), Some(figures(1_015_324, 981_004, 0)));
}

#[test]
fn a_long_name_on_a_line_of_its_own_belongs_to_the_next() {
    let rows = typed(
        b"Filesystem Type 1K-blocks Used Available Use% Mounted on\n\
          /dev/sda1 ext4 10 5 5 50% /\n\
          nas.example.org:/export/a/very/long/name\n                nfs4 10 5 5 50% /mnt\n",
    );
    same(&rows, &[("/dev/sda1", "ext4", "/"), ("nas.example.org:/export/a/very/long/name", "nfs4", "/mnt")]);
    let alone = typed(b"Filesystem Type 1K-blocks Used Available Use% Mounted on\nnas:/a\n   nfs4 10 5 5 50% /mnt\n");
    same(&alone, &[("nas:/a", "nfs4", "/mnt")]);
}

#[test]
fn figures_in_a_name_do_not_become_the_figures() {
    let rows = typed(b"head\n/dev/a 1 2 3 4% ext4 10 5 5 50% /a b\n");
    same(&rows, &[("/dev/a 1 2 3 4%", "ext4", "/a b")]);
    assert_eq!(rows.first().map(|row| row.figures), Some(figures(10, 5, 5)));
}

#[test]
fn what_is_no_table_has_no_rows() {
    for output in [
        b"".as_slice(),
        b"\n",
        b"head",
        b"head\n",
        b"usage: df [-b | -h | -H | -k | -m | -g | -P] [-ailn]\n",
        b"head\n/dev/a ext4 1 2 3 / \n",
        b"head\n1 2 3 4% /x\n",
        b"head\n/dev/a ext4 NaN 2 3 4% /\n",
        b"head\n/dev/a ext4 1e9 2 3 4% /\n",
        b"head\n/dev/a ext4 0x1 2 3 4% /\n",
        b"head\n/dev/a ext4 -- 2 3 4% /\n",
        b"head\n/dev/a ext4 +1 2 3 4% /\n",
        b"head\n/dev/a ext4 1 2 3 4% relative\n",
        b"\xff\xfe\0\n\x1b[2J\n",
    ] {
        assert_eq!(parse(output, true).rows, [], "{}", output.escape_ascii());
    }
    assert_eq!(parse(b"head\nx\ny\n", true).unread, 2);
}

#[test]
fn a_figure_that_is_too_large_is_not_known_and_one_below_zero_is_zero() {
    let output = b"head\n/dev/a ext4 1 2 3 4% /\n/dev/b ext4 18446744073709551616 18446744073709551615 -5 999999999999999999999% /b\n";
    let rows = typed(output);
    same(&rows, &[("/dev/a", "ext4", "/"), ("/dev/b", "ext4", "/b")]);
    let expected = Figures { total: None, used: Some(u64::MAX), available: Some(0) };
    assert_eq!(rows.get(1).map(|row| row.figures), Some(expected));
}

#[test]
fn a_heading_that_comes_again_is_part_of_no_name() {
    let output = b"Filesystem Type Blocks Used Free Use Mounted on\n/dev/a ext4 1 2 3 4% /\n\
                   Filesystem Type Blocks Used Free Use Mounted on\n/dev/b ext4 1 2 3 4% /b\n";
    same(&typed(output), &[("/dev/a", "ext4", "/"), ("/dev/b", "ext4", "/b")]);
}

const TYPED: [&[u8]; 4] = [
    include_bytes!("../tests/fixtures/debian13-typed.txt"),
    include_bytes!("../tests/fixtures/debian11-typed.txt"),
    include_bytes!("../tests/fixtures/busybox-typed.txt"),
    include_bytes!("../tests/fixtures/freebsd-typed.txt"),
];

#[test]
fn a_table_that_was_cut_anywhere_gives_whole_rows_only() {
    for output in TYPED {
        let all = typed(output);
        for end in 0..output.len() {
            let mut table = parse(output.get(..end).unwrap_or_default(), true);
            table.cut();
            assert_eq!(Some(table.rows.as_slice()), all.get(..table.rows.len()), "{end}");
            // No more is left out than the row in front of the cut and the one at it.
            let lines = output.get(..end).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
            assert!(table.rows.len() + 4 > lines.min(all.len()), "{end}: {}", table.rows.len());
        }
    }
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 16] = [
    b"18446744073709551616",
    b"-1",
    b"NaN",
    b"%",
    b"100%",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"\x1b[2J",
    b" ",
    b"\t",
    b"/",
    b"-",
    b"\r\n",
    b"Filesystem",
    b"e\xcc\x81",
];

#[test]
fn any_table_makes_rows_of_what_it_holds() {
    for seed in 0..4000 {
        for captured in TYPED {
            let output = mutant(captured, &PIECES, seed);
            let table = parse(&output, true);
            let lines = output.split(|byte| *byte == b'\n').count();
            let names: usize = table.rows.iter().map(|row| row.filesystem.len() + row.mount_point.len()).sum();
            assert!(table.rows.len() < lines && names <= output.len(), "seed {seed}");
            mounted(&output);
        }
    }
}

#[test]
fn a_line_of_a_mebibyte_is_read() {
    let line = format!("head\n{} ext4 1 2 3 4% /{}\n", "a 1 ".repeat(1 << 17), "b ".repeat(1 << 18));
    let rows = typed(line.as_bytes());
    assert_eq!(rows.first().map(|row| row.mount_point.len()), Some(1 + (1 << 19)));
}
