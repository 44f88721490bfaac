//! Takes apart what a Linux kernel tells of its sockets in `/proc/net`. Pure.
//!
//! It tells the account of a socket and no process. Addresses are words of the processor, the lowest byte first: so they are on every machine
//! of today that is not an IBM Z.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::socket::{Found, Socket};

/// The tables; a kernel without IPv6 lacks two.
pub(crate) const TABLES: [&str; 4] = ["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"];

/// States (`include/net/tcp_states.h`): TCP listens, and UDP is connected to nobody.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

/// The sockets that wait, of lines with the name of their table before them.
pub(crate) fn parse(output: &[u8]) -> Found {
    let output = String::from_utf8_lossy(output);
    let mut found = Found::default();
    for line in output.lines() {
        match socket(line) {
            Some(Some(socket)) => found.sockets.push(socket),
            Some(None) => {}
            None => found.unread += 1,
        }
    }
    found
}

/// A socket, if the line is one of a socket that waits.
fn socket(line: &str) -> Option<Option<Socket>> {
    let (table, line) = line.split_once(':')?;
    let proto = table.strip_prefix("/proc/net/")?.trim_end_matches('6');
    // sl, local, remote, state, queues, timer, retransmits, account, …
    let mut words = line.split_ascii_whitespace();
    let (_number, local, _remote, state) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (queues, _timer, _retransmits, uid) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if state != if proto == "tcp" { LISTEN } else { UNCONNECTED } {
        return Some(None);
    }
    let (address, port) = local.split_once(':')?;
    let (_, waiting) = queues.split_once(':')?;
    Some(Some(Socket {
        proto: proto.to_owned(),
        address: self::address(address)?.to_string(),
        port: Some(u64::from_str_radix(port, 16).ok()?),
        uid: Some(uid.parse().ok()?),
        waiting: Some(u64::from_str_radix(waiting, 16).ok()?),
        ..Socket::default()
    }))
}

/// `0100007F`, or four such words.
fn address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        let word = hex.get(at..at + 8).filter(|word| word.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.extend(u32::from_str_radix(word, 16).ok()?.to_le_bytes());
    }
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use super::{address, parse};
    use crate::socket::Socket;

    const CAPTURED: &[u8] = include_bytes!("../tests/fixtures/proc-net.txt");

    #[test]
    fn sockets_that_wait_are_read_and_no_others() {
        const CONNECTED: &[u8] =
            b"/proc/net/tcp:   3: 0100007F:1F92 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000 0 1 1 0 20 4 0 10 -1\n";
        let found = parse(&[CAPTURED, CONNECTED].concat());
        assert_eq!(found.unread, 0);
        let places: Vec<_> = found
            .sockets
            .iter()
            .map(|socket| (socket.proto.as_str(), socket.address.as_str(), socket.port, socket.uid))
            .collect();
        assert_eq!(
            places,
            [
                ("tcp", "127.0.0.1", Some(8082), Some(0)),
                ("tcp", "127.0.0.1", Some(8080), Some(4711)),
                ("tcp", "0.0.0.0", Some(2222), Some(0)),
                ("tcp", "::1", Some(8081), Some(0)),
                ("udp", "0.0.0.0", Some(5353), Some(0)),
            ]
        );
    }

    #[test]
    fn addresses_are_words_of_the_processor() {
        for (hex, expected) in [
            ("0100007F", Some("127.0.0.1")),
            ("00000000", Some("0.0.0.0")),
            ("000080FE00000000FF4B21023D0112FE", Some("fe80::221:4bff:fe12:13d")),
            ("00000000000000000000000001000000", Some("::1")),
            ("0000000000000000FFFF00000100007F", Some("::ffff:127.0.0.1")),
            ("", None),
            ("0100007", None),
            ("+100007F", None),
            ("0100007F0100007F", None),
            ("0100007Fü", None),
        ] {
            assert_eq!(address(hex).map(|address| address.to_string()).as_deref(), expected, "{hex}");
        }
    }

    #[test]
    fn what_is_no_socket_is_counted() {
        for odd in [
            "x",
            "/proc/net/tcp: 0: 0100007F:zz 0:0 0A 0:0 0:0 0 0 0",
            "/proc/net/tcp: 0: 0100007F 0:0 0A 0:0 0:0 0 0 0",
            "/proc/net/tcp: 0:",
            "/etc/passwd:root:x",
            "\u{1b}[2J:",
        ] {
            let found = parse(odd.as_bytes());
            assert_eq!((found.sockets, found.unread), (Vec::<Socket>::new(), 1), "{odd}");
        }
        for end in 0..CAPTURED.len() {
            let lines = CAPTURED[..end].split(|byte| *byte == b'\n').count();
            let found = parse(&CAPTURED[..end]);
            assert!(found.sockets.len() + found.unread <= lines);
        }
    }
}
