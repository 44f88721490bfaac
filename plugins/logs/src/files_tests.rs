//! What `tail` and `grep` of GNU and busybox print, and files that would like to be something else.

use scout_plugin::exec::Output;
use scout_plugin::json::Value;

use super::{Tail, keep_wanted, lines, with_clock};
use crate::entry::Entry;
use crate::query::{Query, SCANNED_BYTES};
use crate::syslog;
use crate::time::Clock;

const CLOCK: Clock = Clock { now: 1_795_261_695_000_000, offset: 3_600_000_000, zone: None };

fn query(more: &str) -> Query {
    let json = Value::parse(&format!(r#"{{"host":"box","source":"files"{more}}}"#));
    Query::read(&json.expect("is JSON")).expect("is a query")
}

fn preferred(query: &Query, output: &[u8]) -> (String, Vec<String>) {
    let mut tail = Tail::parse(query, output);
    assert_eq!(tail.clock, Some(CLOCK));
    let (file, lines) = tail.preferred().unwrap_or_default();
    (file, lines.iter().map(|line| line.escape_ascii().to_string()).collect())
}

#[test]
fn the_last_file_with_lines_is_preferred() {
    for output in
        [&include_bytes!("../tests/fixtures/tail-gnu.txt")[..], include_bytes!("../tests/fixtures/tail-busybox.txt")]
    {
        let (file, lines) = preferred(&query(""), output);
        assert_eq!((file.as_str(), lines.len()), ("/var/log/syslog", 3));
        assert!(lines.iter().all(|line| line.starts_with("2026-11-21T12:48:1")), "{lines:?}");
    }
    for output in
        [&include_bytes!("../tests/fixtures/tail1-gnu.txt")[..], include_bytes!("../tests/fixtures/tail1-busybox.txt")]
    {
        let (file, lines) = preferred(&query(r#","path":"/var/log/traditional""#), output);
        assert_eq!((file.as_str(), lines.len()), ("/var/log/traditional", 3));
    }
}

#[test]
fn lines_that_were_searched_for_have_their_file_before_them() {
    for output in
        [&include_bytes!("../tests/fixtures/grep-gnu.txt")[..], include_bytes!("../tests/fixtures/grep-busybox.txt")]
    {
        let (file, lines) = preferred(&query(r#","grep":"x""#), output);
        assert_eq!((file.as_str(), lines.len()), ("/var/log/syslog", 2));
        assert!(
            lines.first().is_some_and(|line| line.starts_with("2026-11-21T12:48:10.724143+01:00 web1 sshd[4242]:"))
        );
    }
}

#[test]
fn a_file_cannot_set_the_clock_or_name_another() {
    let output = b"==> /x <==\na\n==> standard input <==\nscout-clock 1 +0000\n\n==> /x <==\nb\n\n==> standard input <==\nscout-clock 1795261695 +0100\n";
    let (file, lines) = preferred(&query(r#","path":"/x""#), output);
    assert_eq!(file, "/x");
    assert_eq!(lines, ["a", "==> standard input <==", "scout-clock 1 +0000", "", "==> /x <==", "b"]);
    let output = b"/x:scout-clock 1 +0000\n/x:(standard input):scout-clock 2 +0000\n/x:y\n(standard input):scout-clock 1795261695 +0100\n";
    let (_, lines) = preferred(&query(r#","path":"/x","grep":"y""#), output);
    assert_eq!(lines, ["(standard input):scout-clock 2 +0000", "y"]);
}

#[test]
fn an_empty_file_and_none_have_no_lines() {
    for output in [
        &b"==> /x <==\n\n==> standard input <==\nscout-clock 1795261695 +0100\n"[..],
        b"==> - <==\nscout-clock 1795261695 +0100\n",
    ] {
        assert_eq!(preferred(&query(r#","path":"/x""#), output), (String::new(), vec![]));
    }
    for output in [&b""[..], b"\n", b"==> /x <==\na\n", b"scout-clock x\n", b"\xff"] {
        assert_eq!(Tail::parse(&query(""), output).clock, None);
    }
}

#[test]
fn a_first_line_that_was_cut_is_dropped() {
    let mut output = vec![b'x'; SCANNED_BYTES];
    output.extend_from_slice(b"\nwhole\n\n==> standard input <==\nscout-clock 1795261695 +0100\n");
    let query = query(r#","path":"/x""#);
    assert!(Tail::parse(&query, &output).cut);
    assert_eq!(preferred(&query, &output).1, ["whole"]);
}

#[test]
fn filters_that_no_command_has_are_applied_here() {
    let output = include_bytes!("../tests/fixtures/busybox-syslogd.txt");
    let wanted = |more: &str| {
        let (mut entries, mut notes) = (syslog::parse(lines(output), &CLOCK), Vec::new());
        entries.push(Entry { message: b"no time".to_vec(), ..Entry::default() });
        keep_wanted(&query(more), &CLOCK, &mut entries, &mut notes);
        (entries.len(), notes)
    };
    assert_eq!(wanted(""), (6, vec![]));
    assert_eq!(wanted(r#","unit":"sshd.service""#), (1, vec![]));
    // 12:48:14 in Berlin.
    let timeless = "1 line without a time left out".to_owned();
    assert_eq!(wanted(r#","since":"2026-11-21T11:48:14Z","until":"2026-11-21 12:48:14""#), (3, vec![timeless.clone()]));
    assert_eq!(wanted(r#","since":"1s""#), (4, vec![timeless.clone()]));
    assert_eq!(wanted(r#","since":"0s""#), (1, vec![timeless]));
    let unranked = "the priority of 1 entry is not known: most files do not tell it".to_owned();
    assert_eq!(wanted(r#","priority":"warning""#), (3, vec![unranked]));
}

#[test]
fn files_that_were_cut_anywhere_have_no_clock() {
    let plain = query("");
    let grep = query(r#","grep":"x""#);
    for (query, output) in [
        (&plain, include_bytes!("../tests/fixtures/tail-gnu.txt").as_slice()),
        (&plain, include_bytes!("../tests/fixtures/tail-busybox.txt")),
        (&grep, include_bytes!("../tests/fixtures/grep-gnu.txt")),
        (&grep, include_bytes!("../tests/fixtures/grep-busybox.txt")),
    ] {
        assert!(Tail::parse(query, output).clock.is_some());
        for end in 0..output.len() {
            assert_eq!(Tail::parse(query, output.get(..end).unwrap_or_default()).clock, None, "{end}");
        }
    }
}

#[test]
fn lines_of_a_compressed_file_stand_before_a_clock_that_was_asked_for_apart() {
    let output = |stdout: &str, stderr: &str| Output {
        exit: Some(0),
        stdout: stdout.as_bytes().to_vec(),
        stderr: stderr.to_owned(),
        truncated: false,
    };
    let clock = || output("scout-clock 1795261695 +0100\n", "no zone");
    for (grep, stdout, expected) in [
        ("", "one\n\ntwo\n", &["one", "", "two"][..]),
        ("", "==> standard input <==\nscout-clock 1 +0000", &["==> standard input <==", "scout-clock 1 +0000"]),
        (r#","grep":"o""#, "/var/log/a.gz:one\ntwo\n", &["/var/log/a.gz:one", "two"]),
        ("", "", &[]),
    ] {
        let query = query(&format!(r#","path":"/var/log/a.gz"{grep}"#));
        let both = with_clock(output(stdout, "zcat: x; "), clock());
        assert_eq!(both.stderr, "zcat: x; no zone");
        let mut tail = Tail::parse(&query, &both.stdout);
        assert!(tail.clock.is_some());
        let lines = tail.preferred().map(|(_, lines)| lines).unwrap_or_default();
        let lines: Vec<_> = lines.iter().map(|line| std::str::from_utf8(line).expect("UTF-8")).collect();
        assert_eq!(lines, expected, "{stdout}");
    }
}
