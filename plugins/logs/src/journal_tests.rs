//! Journals as several versions of journalctl print them.

#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use super::{LEFT_OUT, parse};
use crate::entry::Entry;
use mutants::mutant;

const DEBIAN_13: &[u8] = include_bytes!("../tests/fixtures/debian13-journal.txt");
const DEBIAN_11: &[u8] = include_bytes!("../tests/fixtures/debian11-journal.txt");

fn by_program(output: &[u8], program: &str) -> Entry {
    let journal = parse(output);
    let found = journal.entries.into_iter().find(|entry| entry.program.as_deref() == Some(program));
    found.unwrap_or_else(|| panic!("no {program}"))
}

#[test]
fn every_line_is_an_entry() {
    for (output, count) in [(DEBIAN_13, 22), (DEBIAN_11, 20)] {
        let journal = parse(output);
        assert_eq!((journal.entries.len(), journal.unread), (count, 0));
        assert!(journal.entries.iter().all(|entry| entry.time.is_some() && entry.host.as_deref() == Some("vm")));
    }
}

#[test]
fn fields_become_those_of_the_entry() {
    let expected = Entry {
        time: Some(1_795_260_015_136_629),
        host: Some("vm".to_owned()),
        unit: Some("ssh.service".to_owned()),
        program: Some("sshd".to_owned()),
        pid: Some(107),
        priority: Some(6),
        message: b"Server listening on :: port 22.".to_vec(),
        is_cut: false,
    };
    assert!(parse(DEBIAN_13).entries.contains(&expected));
    // Who speaks counts, not who hands it on.
    assert_eq!(by_program(DEBIAN_13, "cron").pid, Some(815));
}

#[test]
fn messages_of_any_kind_are_read() {
    for output in [DEBIAN_13, DEBIAN_11] {
        let message = |program: &str| by_program(output, program).message;
        assert_eq!(
            message("app"),
            "Traceback (most recent call last):\n  File \"app.py\", line 1, in <module>\nValueError: käse".as_bytes()
        );
        assert_eq!(message("bin"), b"caf\xe9 \x01\x02 binary");
        assert_eq!(message("huge"), LEFT_OUT.as_bytes());
        assert_eq!(message("twice"), b"first\nsecond");
        assert_eq!(message("colour"), b"\x1b[31mred\x1b[0m \ttab");
        assert_eq!((message("empty"), message("nomessage")), (vec![], vec![]));
        assert_eq!(message("escapes"), "a \"quoted\" \\ back/slash 😀".as_bytes());
        assert_eq!(by_program(output, "nomessage").priority, None);
    }
}

#[test]
fn a_journalctl_that_cannot_leave_out_fields_gives_the_same_entries() {
    let entries = parse(DEBIAN_13).entries;
    let all = parse(include_bytes!("../tests/fixtures/debian13-journal-all-fields.txt")).entries;
    assert_eq!(Some(all.as_slice()), entries.get(..3));
}

#[test]
fn units_of_users_are_told_by_their_own_names() {
    let unit = |fields: &str| parse(fields.as_bytes()).entries.first().and_then(|entry| entry.unit.clone());
    let system = r#""_SYSTEMD_UNIT":"user@1000.service""#;
    assert_eq!(unit(&format!("{{{system},\"_SYSTEMD_USER_UNIT\":\"app.service\"}}")).as_deref(), Some("app.service"));
    assert_eq!(unit(&format!("{{{system},\"USER_UNIT\":\"of.timer\"}}")).as_deref(), Some("of.timer"));
    assert_eq!(unit(&format!("{{{system}}}")).as_deref(), Some("user@1000.service"));
}

#[test]
fn a_beginning_that_is_cut_anywhere_is_the_beginning_of_its_message() {
    let message = "a \"quoted\" \\ line\nkäse 😀 {[,:]}";
    for value in [
        r#""a \"quoted\" \\ line\nkäse \ud83d\ude00 {[,:]}""#.to_owned(),
        format!("{:?}", message.as_bytes()).replace(' ', ""),
    ] {
        for whole in [
            format!("{{\"__CURSOR\":\"c,]}}\",\"MESSAGE\":{value},\"_BOOT_ID\":\"b\"}}"),
            format!("{{\"MESSAGE\":{value},\"__CURSOR\":\"c,]}}\"}}"),
        ] {
            for end in 1..=whole.len() {
                let mut journal = parse(b"{\"MESSAGE\":null,\"__CURSOR\":\"c,]}\"}\n");
                journal.add_beginnings(&String::from_utf8_lossy(&whole.as_bytes()[..end]));
                let told = &journal.entries[0].message;
                let known = String::from_utf8_lossy(told).trim_end_matches('\u{fffd}').to_owned();
                assert!(told == LEFT_OUT.as_bytes() || message.starts_with(&known), "{end}: {known}");
                assert!(end < whole.len() || known == message, "{whole}");
            }
        }
    }
    let mut journal = parse(b"{\"MESSAGE\":null,\"__CURSOR\":\"mine\"}\n");
    journal.add_beginnings("{\"MESSAGE\":\"another's\",\"__CURSOR\":\"other\"}");
    assert_eq!(journal.entries[0].message, LEFT_OUT.as_bytes());
}

#[test]
fn what_is_no_entry_is_counted_and_odd_values_are_none() {
    let journal = parse(b"\n[]\n{\"MESSAGE\":\n\xff\n\x1b[2J\nnull\n");
    assert_eq!((journal.entries.len(), journal.unread), (0, 5));
    let odd = br#"{"__REALTIME_TIMESTAMP":"99999999999999999999","PRIORITY":"9","_PID":"-1","MESSAGE":{"a":1},"SYSLOG_IDENTIFIER":["a","b"],"_HOSTNAME":true}"#;
    let expected = Entry { program: Some("a\nb".to_owned()), ..Entry::default() };
    assert_eq!(parse(odd).entries, [expected]);
    assert_eq!(
        parse(br#"{"MESSAGE":[1,256]}"#).entries.first().map(|entry| entry.message.clone()),
        Some(b"1\n256".to_vec())
    );
    assert_eq!(parse(br#"{"MESSAGE":[]}"#).entries.first().map(|entry| entry.message.clone()), Some(vec![]));
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 16] = [
    b"18446744073709551616",
    b"-1",
    b"NaN",
    b"\"",
    b"\\",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"\\u001b",
    b"{",
    b"}",
    b"[",
    b"null",
    b"\r\n",
    b":",
    b"\"MESSAGE\":",
];

#[test]
fn any_output_makes_entries_of_what_it_holds() {
    for seed in 0..300 {
        for captured in [DEBIAN_13, DEBIAN_11] {
            let output = mutant(captured, &PIECES, seed);
            let journal = parse(&output);
            let lines = output.split(|byte| *byte == b'\n').count();
            let bytes: usize = journal.entries.iter().map(|entry| entry.message.len()).sum();
            // An invalid byte becomes a character of three, and a message that was left out a note.
            assert!(
                journal.entries.len() + journal.unread <= lines && bytes <= 3 * output.len() + 100 * lines,
                "seed {seed}"
            );
            assert!(
                journal.entries.iter().all(|entry| entry.priority.is_none_or(|priority| priority < 8)),
                "seed {seed}"
            );
        }
    }
}
