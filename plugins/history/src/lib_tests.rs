//! The answer, and why there is none.

use scout_plugin::ErrorKind;
use scout_plugin::exec::Output;
use scout_plugin::json::Value;

use super::{Found, What, answer, none, schema};
use crate::span::Span;

fn found(what: What, span: Span, outputs: &[&[u8]]) -> Found {
    let mut found = Found { files: vec!["/var/log/sysstat/sa01".to_owned()], ..Found::default() };
    for output in outputs {
        found.records.add(what, span, output);
    }
    found.with_notes(span)
}

fn answered(what: What, fields: &str, found: Found) -> (String, String) {
    let arguments = Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON");
    let answer = answer(schema::shape(what).ask(&arguments).expect("is asked"), found);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

const ALWAYS: Span = Span { since: 0, until: 4_000_000_000 };

#[test]
fn a_page_is_of_the_newest_and_the_oldest_of_them_stands_first() {
    let outputs: [&[u8]; 2] = [
        include_bytes!("../tests/fixtures/sysstat12.6-machine.txt"),
        include_bytes!("../tests/fixtures/sysstat12.6-restart.txt"),
    ];
    let columns = r#","columns":"time,cpu_percent","limit":2"#;
    let (text, json) = answered(What::Machine, columns, found(What::Machine, ALWAYS, &outputs));
    assert!(
        text.starts_with(
            "time                  cpu_percent\n\
             2026-12-01T00:34:00Z        100.0\n\
             2026-12-01T01:09:21Z        100.0\n\
             (2 of 9 rows; 7 to come, cursor: "
        ),
        "{text}"
    );
    assert!(text.ends_with("(the machine was started at 2026-12-01T01:09:19Z)"), "{text}");
    assert!(json.starts_with(r#"{"host":"box","files":["/var/log/sysstat/sa01"],"rows":[{"time":"#), "{json}");
    let (text, _) = answered(
        What::Machine,
        r#","columns":"time,cpu_percent","sort":"cpu_percent","limit":1"#,
        found(What::Machine, ALWAYS, &outputs),
    );
    assert!(text.contains("2026-12-01T00:29:00Z         29.3"), "{text}");
}

#[test]
fn that_nothing_was_recorded_is_told_with_its_time() {
    let span = Span { since: 1_796_000_000, until: 1_796_003_600 };
    let (text, _) = answered(What::Disks, "", found(What::Disks, span, &[b"odd\n"]));
    assert_eq!(
        text,
        "(0 of 0 rows)\n(nothing was recorded from 2026-11-30T00:53:20Z until 2026-11-30T01:53:20Z)\n(1 line of sadf could not be read)"
    );
}

#[test]
fn not_installed_not_permitted_nothing_there_and_no_answer_are_four_answers() {
    let output = |exit: u32, stderr: &str| Output {
        exit: Some(exit),
        stdout: Vec::new(),
        stderr: stderr.to_owned(),
        truncated: false,
    };
    let absent =
        "find: '/var/log/sysstat': No such file or directory\nfind: '/var/log/sa': No such file or directory\n";
    let denied = "find: '/var/log/sysstat': Permission denied\nfind: '/var/log/sa': No such file or directory\n";
    for (output, packed, kind, says) in [
        (output(1, absent), 0, ErrorKind::Unsupported, "box records no history"),
        (output(1, denied), 0, ErrorKind::Permission, "may not read the records"),
        (output(1, "find: '/var/log/sa': No such file or directory\n"), 0, ErrorKind::NotFound, "has recorded nothing"),
        (output(0, ""), 3, ErrorKind::NotFound, "are compressed"),
        (output(127, "sh: find: not found\n"), 0, ErrorKind::Unsupported, "box has no program `find`"),
        (output(1, "find: unrecognized: -printf\n"), 0, ErrorKind::Remote, "`find` on box said"),
    ] {
        let error = none("box", &output, packed);
        assert_eq!(error.kind, kind, "{}", error.message);
        assert!(error.message.contains(says), "{}", error.message);
    }
}
