//! Tables of several systems, and lines that were made to mislead.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use super::{Process, elapsed, memory, parse, tenths};
use mutants::mutant;

const DEBIAN_13: &[u8] = include_bytes!("../tests/fixtures/debian13.txt");
const DEBIAN_11: &[u8] = include_bytes!("../tests/fixtures/debian11.txt");
const BUSYBOX_135: &[u8] = include_bytes!("../tests/fixtures/busybox1.35.txt");
const BUSYBOX_SMALL: &[u8] = include_bytes!("../tests/fixtures/busybox1.35-plain.txt");
const ALPINE: &[u8] = include_bytes!("../tests/fixtures/busybox-written.txt");
const FREEBSD: &[u8] = include_bytes!("../tests/fixtures/freebsd-written.txt");

fn read(output: &[u8]) -> Vec<Process> {
    let table = parse(output);
    assert_eq!(table.unread, 0);
    table.processes
}

fn found<'a>(processes: &'a [Process], command: &str) -> &'a Process {
    let mut found = processes.iter().filter(|process| process.command.contains(command));
    found.next().unwrap_or_else(|| panic!("{command}: {processes:?}"))
}

#[test]
fn procps_tells_everything() {
    for output in [DEBIAN_13, DEBIAN_11] {
        let processes = read(output);
        let init = &processes[0];
        assert_eq!((init.pid, init.parent, init.user.as_deref()), (1, Some(0), Some("root")));
        assert!(init.cpu.is_some() && init.memory > Some(1 << 20) && init.elapsed > Some(0), "{init:?}");
        let named = found(&processes, "sleep 4711");
        assert_eq!(named.user.as_deref(), Some("an-account-of-a-long-name"), "{named:?}");
        assert_eq!((named.state.as_deref(), named.threads), (Some("S"), Some(1)));
        let odd = found(&processes, "odd");
        assert!(odd.command.contains("two  blanks"), "{odd:?}");
    }
}

#[test]
fn busybox_tells_what_is_built_in() {
    let processes = read(BUSYBOX_135);
    let named = found(&processes, "sleep 4711");
    assert_eq!((named.user.as_deref(), named.cpu, named.elapsed, named.threads), (Some("an-accou"), None, None, None));
    assert!(named.parent.is_some() && named.memory > Some(0), "{named:?}");
    let plain = read(BUSYBOX_SMALL);
    let named = found(&plain, "sleep 4711");
    assert!(named.parent.is_none() && named.user.is_some(), "{named:?}");
}

#[test]
fn states_of_busybox_may_hold_a_blank() {
    let processes = read(ALPINE);
    let nice = found(&processes, "/usr/bin/indexer");
    assert_eq!(
        (nice.state.as_deref(), nice.memory, nice.elapsed),
        (Some("SN"), Some(97 << 20), Some(3 * 86_400 + 4 * 3600))
    );
    let kernel = found(&processes, "[kworker/0:0H]");
    assert_eq!((kernel.state.as_deref(), kernel.memory), (Some("IW<"), Some(0)));
}

#[test]
fn a_bsd_tells_the_same_under_other_headings() {
    let processes = read(FREEBSD);
    let nginx = found(&processes, "nginx: worker");
    assert_eq!(
        (nginx.state.as_deref(), nginx.cpu, nginx.elapsed),
        (Some("S"), Some(13), Some(86_400 + 2 * 3600 + 3 * 60 + 4))
    );
}

#[test]
fn figures_are_read_as_each_program_writes_them() {
    for (word, expected) in [
        ("00:07", Some(7)),
        ("01:02:03", Some(3723)),
        ("2-03:04:05", Some(183_845)),
        ("5h07", Some(18_420)),
        ("3d04", Some(273_600)),
        ("120d", Some(10_368_000)),
        ("7", None),
        ("-1:00", None),
        ("1:2:3:4", None),
        ("99999999999999999999:00", None),
        ("99999999999999999d", None),
        ("", None),
        ("-", None),
    ] {
        assert_eq!(elapsed(word), expected, "{word}");
    }
    for (word, expected) in
        [("0", Some(0)), ("4", Some(4096)), ("97m", Some(97 << 20)), ("1.5g", Some(3 << 29)), ("9q", None), ("-", None)]
    {
        assert_eq!(memory(word), expected, "{word}");
    }
    for (word, expected) in
        [("0.4", Some(4)), ("100", Some(1000)), ("1234", Some(12_340)), ("-", None), (".5", None), ("0.ü", None)]
    {
        assert_eq!(tenths(word), expected, "{word}");
    }
}

#[test]
fn what_is_no_table_has_no_processes() {
    for output in
        [&b""[..], b"\n", b"ps: bad -o argument 'etime'\n", b"PID\n", b"COMMAND\n1\n", b"USER COMMAND\nroot x\n"]
    {
        assert!(parse(output).processes.is_empty(), "{}", output.escape_ascii());
    }
    let table = parse(b"PID USER COMMAND\n1 root init\nx root y\n\n2\n3 www a  b \x1b[2J\n-4 root z\n");
    assert_eq!((table.processes.len(), table.unread), (2, 4));
    assert_eq!(table.processes[1].command, "a  b \u{1b}[2J");
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 14] = [
    b"18446744073709551616",
    b"-1",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"\x1b[2J",
    b" ",
    b"\t",
    b"PID",
    b"COMMAND",
    b"\r\n",
    b"<",
    b"1-",
    b"e\xcc\x81",
];

#[test]
fn any_table_makes_processes_of_what_it_holds() {
    for seed in 0..2000 {
        for captured in [DEBIAN_13, BUSYBOX_135, ALPINE, FREEBSD] {
            let output = mutant(captured, &PIECES, seed);
            let table = parse(&output);
            let lines = output.split(|byte| *byte == b'\n').count();
            assert!(table.processes.len() + table.unread <= lines, "seed {seed}");
        }
    }
    let long = [b"PID COMMAND\n1 ".as_slice(), &b"x ".repeat(1 << 19)].concat();
    assert_eq!(read(&long)[0].command.len(), (1 << 20) - 1);
}
