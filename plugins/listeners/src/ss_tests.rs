//! Tables of several versions, as root and as somebody else, and names that were made to mislead.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use super::{parse, place};
use crate::socket::Socket;
use mutants::mutant;

const DEBIAN_13: &[u8] = include_bytes!("../tests/fixtures/debian13.txt");
const DEBIAN_11: &[u8] = include_bytes!("../tests/fixtures/debian11.txt");
const NOT_ROOT: &[u8] = include_bytes!("../tests/fixtures/debian13-not-root.txt");
const UNITS: &[u8] = include_bytes!("../tests/fixtures/units-written.txt");

fn read(output: &[u8]) -> Vec<Socket> {
    let found = parse(output);
    assert_eq!(found.unread, 0);
    found.sockets
}

fn on(sockets: &[Socket], port: u64) -> &Socket {
    sockets.iter().find(|socket| socket.port == Some(port)).unwrap_or_else(|| panic!("{port}: {sockets:?}"))
}

#[test]
fn root_sees_whose_each_socket_is() {
    for output in [DEBIAN_13, DEBIAN_11] {
        let sockets = read(output);
        assert_eq!(sockets.len(), 5, "{sockets:?}");
        let web = on(&sockets, 8080);
        assert_eq!(
            (web.proto.as_str(), web.address.as_str(), web.uid, web.backlog),
            ("tcp", "127.0.0.1", Some(4711), Some(5))
        );
        assert_eq!(web.owners.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["python3"]);
        let shared = on(&sockets, 2222);
        let ids: Vec<u64> = shared.owners.iter().map(|(_, pid)| *pid).collect();
        assert!(ids.len() == 2 && ids.is_sorted() && shared.uid == Some(0), "{shared:?}");
        assert_eq!(on(&sockets, 8081).address, "::1");
        let odd = on(&sockets, 8082);
        assert_eq!(odd.owners[0].0, "a\"b", "{odd:?}");
        let udp = on(&sockets, 5353);
        assert_eq!((udp.proto.as_str(), udp.backlog), ("udp", None));
    }
}

#[test]
fn who_is_not_root_sees_accounts() {
    let sockets = read(NOT_ROOT);
    assert!(sockets.iter().all(|socket| socket.owners.is_empty()), "{sockets:?}");
    assert_eq!((on(&sockets, 8080).uid, on(&sockets, 2222).uid), (Some(4711), Some(0)));
}

#[test]
fn a_control_group_tells_the_unit() {
    let sockets = read(UNITS);
    let units: Vec<_> = sockets.iter().map(|socket| (socket.address.as_str(), socket.unit.as_deref())).collect();
    assert_eq!(
        units,
        [
            ("127.0.0.53%lo", Some("systemd-resolved.service")),
            ("*", Some("app.service")),
            ("fe80::1%eth0", None),
            ("0.0.0.0", Some("docker-0123.scope")),
        ]
    );
}

#[test]
fn places_are_an_address_and_a_port() {
    for (word, expected) in [
        ("0.0.0.0:22", Some(("0.0.0.0", Some(22)))),
        ("[::]:22", Some(("::", Some(22)))),
        ("*:*", Some(("*", None))),
        ("[fe80::1]%eth0:546", Some(("fe80::1%eth0", Some(546)))),
        ("22", None),
        ("a:b", None),
        (":", None),
    ] {
        let expected = expected.map(|(address, port): (&str, Option<u64>)| (address.to_owned(), port));
        assert_eq!(place(word), expected, "{word}");
    }
}

#[test]
fn what_is_no_socket_is_counted() {
    let odd = b"Netid State\n\ntcp\ntcp LISTEN x 0 a:1 *:*\nraw UNCONN 0 0 a:1 *:*\n\x1b[2J\xff\ntcp LISTEN 0 5 a:1 *:* users:((\n";
    let found = parse(odd);
    assert_eq!((found.sockets.len(), found.unread), (1, 4));
    assert!(found.sockets[0].owners.is_empty());
    let long = format!("tcp LISTEN 0 5 a:1 *:* users:(({}))\n", "\"x\",pid=1,fd=2),(".repeat(50_000));
    assert_eq!(read(long.as_bytes())[0].owners.len(), 1);
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 12] = [
    b"users:((",
    b"))",
    b"),(",
    b",pid=",
    b"\"",
    b"\n",
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b" ",
    b"uid:99999999999999999999",
    b":",
];

#[test]
fn any_table_makes_sockets_of_what_it_holds() {
    for seed in 0..2000 {
        for captured in [DEBIAN_13, DEBIAN_11, UNITS] {
            let output = mutant(captured, &PIECES, seed);
            let found = parse(&output);
            let lines = output.split(|byte| *byte == b'\n').count();
            assert!(found.sockets.len() + found.unread <= lines, "seed {seed}");
        }
    }
}
