//! What silence means, both answers, and errors that say what to do.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use scout_plugin::ErrorKind;
use scout_plugin::exec::Output;
use scout_plugin::json::Value;

use super::{
    Error, Found, Journalctl, Query, Said, answer, journal_error, keep_newest, no_journal, schema, tail_error,
};
use crate::entry::Entry;

fn query(more: &str) -> Query {
    Query::read(&arguments(more)).expect("is a query")
}

fn arguments(more: &str) -> Value {
    Value::parse(&format!(r#"{{"host":"box"{more}}}"#)).expect("is JSON")
}

/// Both answers of what was found.
fn answers(more: &str, found: Found) -> (String, String) {
    let mut query = query(more);
    let asked = schema::shape(query.lines).ask(&arguments(more)).expect("is asked");
    query.is_picky = asked.is_picky();
    let answer = answer(&query, asked, found);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

fn output(stdout: &[u8], truncated: bool) -> Output {
    Output { exit: Some(0), stdout: stdout.to_vec(), stderr: String::new(), truncated }
}

#[test]
fn the_schemas_are_json() {
    let shape = schema::shape(1);
    assert!(
        Value::parse(&shape.input(schema::INPUT)).is_some() && Value::parse(&shape.output(schema::OUTPUT)).is_some()
    );
}

/// What is found where nobody asks for beginnings.
fn from_journal(query: &Query, journalctl: Journalctl, output: &Output) -> Found {
    try_from_journal(query, journalctl, output, "").unwrap_or_else(|error| panic!("{}", error.message))
}

fn try_from_journal(query: &Query, journalctl: Journalctl, output: &Output, beginnings: &str) -> Result<Found, Error> {
    let beginnings = beginnings.as_bytes().to_vec();
    super::from_journal(query, journalctl, output, &Said::parse(&output.stderr), |_, _| Ok(beginnings))
}

#[test]
fn entries_that_the_account_does_not_see_are_told() {
    let hint = "Hint: You are currently not seeing messages from other users and the system.\n      \
                Users in the 'systemd-journal' group can see all messages. Pass -q to\n      turn off this notice.\n";
    let found =
        from_journal(&query(""), Journalctl::Current, &Output { stderr: hint.to_owned(), ..output(b"", false) });
    let (text, _) = answers("", found);
    assert!(
        text.starts_with("no entry of the journal that the account may see fits\n(the account does not see"),
        "{text}"
    );
    let units = from_journal(&query(r#","unit":"nginx""#), Journalctl::Current, &output(b"", false));
    assert!(units.notes.iter().any(|note| note.contains("`user_unit`")), "{:?}", units.notes);
}

#[test]
fn messages_that_journalctl_leaves_out_are_told_from_their_beginnings() {
    let line = |cursor: &str, message: &str| format!("{{\"__CURSOR\":\"{cursor}\",\"MESSAGE\":{message}}}\n");
    let stdout = [line("c", "null"), line("b", "\"short\""), line("a", "null")].concat();
    // Each line cut, its fields in any order: one in a string, one in an array of bytes.
    let told = "{\"__CURSOR\":\"c\",\"MESSAGE\":\"line one\\nline t\n{\"MESSAGE\":\"short\",\"__CURSOR\":\"b\"}\n{\"MESSAGE\":[27,91,51,4\n";
    let (asked, output) = (query(""), output(stdout.as_bytes(), false));
    let mut span = None;
    let found = super::from_journal(&asked, Journalctl::Current, &output, &Said::default(), |cursor, entries| {
        span = Some((cursor.to_owned(), entries));
        Ok(told.as_bytes().to_vec())
    });
    assert_eq!(span, Some(("c".to_owned(), 3)));
    let mut found = found.unwrap_or_else(|error| panic!("{}", error.message));
    let messages: Vec<_> = found.entries.iter().map(|entry| (entry.message.as_slice(), entry.is_cut)).collect();
    assert_eq!(messages, [(&b"\x1b[3"[..], true), (b"short", false), (b"line one\nline t", true)]);
    keep_newest(&asked, &mut found);
    assert!(found.notes.iter().any(|note| note.starts_with("2 messages are cut; `whole`")), "{:?}", found.notes);
}

#[test]
fn an_entry_that_no_command_may_print_is_no_empty_journal() {
    let error =
        try_from_journal(&query(r#","whole":true"#), Journalctl::Current, &output(b"{\"MESSAGE\":\"xxx", true), "");
    let error = error.expect_err("nothing is whole");
    assert_eq!((error.kind, error.hint.is_some()), (ErrorKind::Exhausted, true));
}

#[test]
fn a_journal_is_answered_with_its_oldest_entry_first() {
    let stdout = include_bytes!("../tests/fixtures/debian13-journal.txt");
    let found = from_journal(&query(""), Journalctl::Current, &output(stdout, false));
    assert_eq!((found.entries.len(), found.truncated, found.notes.len()), (22, false, 0));
    assert!(found.entries.is_sorted_by_key(|entry| entry.time));
    let full = from_journal(&query(r#","lines":22"#), Journalctl::Current, &output(stdout, false));
    assert!(full.truncated);
    let cut = from_journal(&query(""), Journalctl::Current, &output(&stdout[..1500], true));
    assert_eq!((cut.entries.len(), cut.truncated, cut.notes.len()), (3, true, 0));
    let odd = from_journal(&query(""), Journalctl::Current, &output(b"x\ny\n", false));
    assert_eq!(odd.notes, ["2 lines of journalctl could not be read"]);
}

#[test]
fn a_journal_that_was_cut_anywhere_gives_whole_entries_only_and_tells_it() {
    let json = include_bytes!("../tests/fixtures/debian13-journal.txt").as_slice();
    let lines = include_bytes!("../tests/fixtures/debian13-short-iso.txt").as_slice();
    for (journalctl, asked, stdout) in
        [(Journalctl::Current, query(""), json), (Journalctl::Old, query(r#","grep":"x""#), lines)]
    {
        // Some entries are as good as all.
        let stdout = &stdout[..stdout.len().min(4000)];
        let stdout = &stdout[..=stdout.iter().rposition(|byte| *byte == b'\n').unwrap_or_default()];
        let all = from_journal(&asked, journalctl, &output(stdout, false)).entries;
        assert!(all.len() > 5, "{}", all.len());
        for end in 0..stdout.len() {
            let found = match try_from_journal(&asked, journalctl, &output(&stdout[..end], true), "") {
                Ok(found) => found,
                // Not even the newest is whole.
                Err(error) => {
                    assert_eq!(error.kind, ErrorKind::Exhausted, "{end}");
                    continue;
                }
            };
            // The oldest is first, and the newest was written first.
            assert_eq!(found.entries, all[all.len() - found.entries.len()..], "{end}");
            assert!(found.truncated && !found.notes.iter().any(|note| note.contains("could not be read")), "{end}");
        }
    }
}

#[test]
fn an_old_journal_that_was_searched_says_what_is_missing() {
    let stdout = include_bytes!("../tests/fixtures/rhel7-short-iso.txt");
    let found = from_journal(&query(r#","grep":"x""#), Journalctl::Old, &output(stdout, false));
    assert_eq!(found.entries.first().and_then(|entry| entry.program.as_deref()), Some("sshd"));
    assert!(found.notes.iter().any(|note| note.contains("priorities are not known")));
}

#[test]
fn a_path_is_told_as_it_was_asked_for() {
    let clock = "==> standard input <==\nscout-clock 1795260015 +0000\n";
    for (grep, told) in [
        ("", format!("==> ./app.log <==\nNov 21 11:20:15 web1 a: one\n\n{clock}")),
        (
            r#","grep":"one""#,
            "./app.log:Nov 21 11:20:15 web1 a: one\n(standard input):scout-clock 1795260015 +0000\n".to_owned(),
        ),
        // Without entries.
        ("", clock.to_owned()),
    ] {
        let query = query(&format!(r#","path":"~/app.log"{grep}"#));
        let found = super::from_files(&query, &output(told.as_bytes(), false), || panic!("the clock is there"));
        let found = found.unwrap_or_else(|error| panic!("{}", error.message));
        assert_eq!(found.path.as_deref(), Some("~/app.log"), "{told}");
        assert_eq!(found.entries.len(), usize::from(told.contains("one")), "{told}");
    }
    let asked = query(r#","path":"~/app.log""#);
    let cut = super::from_files(&asked, &output(b"", true), || panic!("nothing is asked"));
    for error in [cut.expect_err("nothing is whole"), tail_error(&asked, "tail: ./app.log: Permission denied")] {
        assert!(error.message.contains("~/app.log on box"), "{}", error.message);
    }
}

fn entry(program: &str, message: &str) -> Entry {
    let text = |text: &str| Some(text.to_owned());
    Entry {
        time: Some(1_795_260_015_000_000),
        host: text("web1"),
        program: text(program),
        message: message.into(),
        ..Entry::default()
    }
}

#[test]
fn both_answers_hold_the_entries_and_notes() {
    let found = || Found {
        path: Some("/var/log/syslog".to_owned()),
        of_files: true,
        entries: vec![entry("a", "one"), entry("b", "two\nlines")],
        truncated: true,
        is_partial: false,
        notes: vec!["a note".to_owned()],
    };
    let (text, json) = answers("", found());
    assert_eq!(
        text,
        "2026-11-21T11:20:15Z a: one\n2026-11-21T11:20:15Z b: two\n    lines\n\
         (the newest 2 entries; older ones may fit too: name a time, or more `lines`)\n(a note)"
    );
    assert!(json.starts_with(r#"{"host":"box","source":"file","path":"/var/log/syslog","entries":[{"time":"2026-11-21T11:20:15Z","host":"web1","#), "{json}");
    assert!(
        json.ends_with(r#""message":"two\nlines"}],"total":2,"left_out":{},"notes":["a note"],"truncated":true}"#),
        "{json}"
    );
    assert_eq!(answers("", Found::default()).0, "no entry of the journal fits");
    let mut other = found();
    other.entries[0].host = Some("web2".to_owned());
    assert!(answers("", other).0.starts_with("2026-11-21T11:20:15Z web2 a: one\n"));
}

#[test]
fn entries_are_chosen_before_the_newest_of_them_are_shown() {
    let found = || Found {
        entries: (0..2000).map(|at| entry(if at % 2 == 0 { "a" } else { "b" }, &at.to_string())).collect(),
        ..Found::default()
    };
    let (text, json) = answers(r#","where":"program = a","lines":2"#, found());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..2], ["2026-11-21T11:20:15Z a: 1996", "2026-11-21T11:20:15Z a: 1998"]);
    assert!(lines[2].starts_with("(2 of 2000 rows; 1000 not in `where`; 998 to come, cursor: 2-"), "{text}");
    assert!(
        json.contains(r#""left_out":{"where":1000,"later":998}"#) && json.contains(r#""truncated":true"#),
        "{json}"
    );
    let cursor = text.split("cursor: ").nth(1).and_then(|rest| rest.split(')').next()).expect("there is more");
    let (text, _) = answers(&format!(r#","where":"program = a","lines":2,"cursor":"{cursor}""#), found());
    assert!(text.starts_with("2026-11-21T11:20:15Z a: 1992\n2026-11-21T11:20:15Z a: 1994\n"), "{text}");
    let (text, json) = answers(r#","sort":"-program,message","columns":"message program","limit":1"#, found());
    assert!(text.starts_with("message  program\n1        b\n(1 of 2000 rows; 1999 to come"), "{text}");
    assert!(json.contains(r#""entries":[{"message":"1","program":"b"}]"#), "{json}");
    assert_eq!(
        answers(r#","where":"program = c""#, found()).0,
        "no entry of the journal fits\n(0 of 2000 rows; 2000 not in `where`)"
    );
}

#[test]
fn the_newest_entries_are_kept_as_many_as_can_be_read() {
    let long = "x".repeat(100_000);
    let mut found =
        Found { entries: (0..200).map(|number| entry(&number.to_string(), &long)).collect(), ..Found::default() };
    keep_newest(&query(""), &mut found);
    assert_eq!((found.entries.len(), found.truncated), (65, true));
    assert_eq!(found.entries.last().and_then(|entry| entry.program.as_deref()), Some("199"));
    assert_eq!(found.notes[0], "the messages are long: only the newest 65 entries are shown");
    assert!(found.notes[1].starts_with("65 messages are cut"), "{:?}", found.notes);
    let mut whole = Found { entries: (0..9).map(|_| entry("a", &long)).collect(), ..Found::default() };
    keep_newest(&query(r#","whole":true"#), &mut whole);
    assert_eq!((whole.entries.len(), whole.entries[0].message.len(), whole.entries[0].is_cut), (5, 100_000, false));
    let mut few = Found { entries: (0..5).map(|_| entry("a", "x")).collect(), ..Found::default() };
    keep_newest(&query(r#","lines":2"#), &mut few);
    assert_eq!((few.entries.len(), few.truncated, few.notes.len()), (2, true, 0));
}

#[test]
fn errors_say_what_where_and_what_instead() {
    for (stderr, kind) in [
        ("tail: cannot open '/x' for reading: No such file or directory\n", ErrorKind::NotFound),
        ("tail: can't open '/x': No such file or directory\n", ErrorKind::NotFound),
        ("grep: /x: Permission denied\n", ErrorKind::Permission),
        ("tail: error reading '/x': Is a directory\n", ErrorKind::Invalid),
        ("grep: Unmatched ( or \\(\n", ErrorKind::Invalid),
        ("grep: bad regex '('\n", ErrorKind::Invalid),
        ("", ErrorKind::Remote),
    ] {
        let error = tail_error(&query(r#","path":"/x""#), stderr);
        assert_eq!(error.kind, kind, "{stderr}");
        assert!(error.message.starts_with("reading /x on box: ") && error.hint.is_some(), "{}", error.message);
    }
    for (said, kind) in [
        ("Bad pattern \"(\": missing closing parenthesis", ErrorKind::Invalid),
        ("Failed to open files: Permission denied", ErrorKind::Permission),
        ("the moon is full", ErrorKind::Remote),
    ] {
        let error = journal_error(&query(""), said);
        assert_eq!((error.kind, error.message.ends_with(said), error.hint.is_some()), (kind, true, true), "{said}");
    }
    let error = no_journal(&query(""), "No journal files were opened due to insufficient permissions.");
    assert_eq!(error.kind, ErrorKind::Permission);
    assert!(error.hint.is_some_and(|hint| hint.contains("systemd-journal")));
    assert_eq!(no_journal(&query(""), "sh: 1: journalctl: not found").kind, ErrorKind::NotFound);
}
