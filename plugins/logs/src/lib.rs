//! The tool `logs`: entries of systemd's journal, or of log files.

mod entry;
mod files;
mod journal;
mod query;
mod schema;
mod syslog;
mod time;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::Object;
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::entry::Entry;
use crate::files::Tail;
use crate::query::{Journalctl, Query, Source, Stages};
use crate::time::Clock;

struct Logs;
register!(Logs: tools);

/// The most bytes of messages in an answer: what a model reads at once.
const MAX_MESSAGES: usize = 128 * 1024;

/// The most characters of what a program complained about.
const MAX_COMPLAINT: usize = 500;

impl Tools for Logs {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("logs", schema::DESCRIPTION, schema::INPUT)
                .title("Logs")
                .output_schema(schema::OUTPUT)
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let query = Query::read(arguments)?;
        Ok(answer(&query, look(&query)?))
    }
}

/// What was found, the oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// The file. Absent for the journal, and where no file has an entry.
    path: Option<String>,
    /// Whether it is from files.
    of_files: bool,
    entries: Vec<Entry>,
    /// Whether older entries may fit as well.
    truncated: bool,
    notes: Vec<String>,
}

/// One command where a current journal has entries, or where files are asked for; two or three elsewhere.
fn look(query: &Query) -> Result<Found, Error> {
    if query.wants_files() {
        return tail(query);
    }
    let why = match journal(query)? {
        Ok(found) => return Ok(found),
        Err(why) => why,
    };
    if query.source == Source::Journal {
        return Err(no_journal(query, &why));
    }
    match tail(query) {
        Ok(mut found) => {
            found.notes.push(format!("from a file, for there is no journal: {why}"));
            Ok(found)
        }
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Permission) => {
            let both = format!("{}; and of the journal: {why}", error.message);
            Err(Error { message: both, ..no_journal(query, &why) })
        }
        Err(error) => Err(error),
    }
}

fn run(query: &Query, stages: &Stages) -> Result<Output, Error> {
    let stages: Vec<&[String]> = stages.iter().map(Vec::as_slice).collect();
    exec::output(&query.host, &stages).map_err(|error| match error.kind {
        ErrorKind::Timeout => error.hint("ask for less: a shorter time with `since` and `until`, or a `unit`"),
        _ => error,
    })
}

/// What a journalctl without entries meant.
#[derive(Debug, PartialEq, Eq)]
enum Silence {
    /// Nothing fits.
    Empty,
    /// It does not know one of our flags.
    Old,
    /// There is no journal that the account may read; why.
    NoJournal(String),
    /// It could not do what was asked; why.
    Failed(String),
}

fn silence(stderr: &str) -> Silence {
    let said = complaint(stderr);
    let says = |known: &[&str]| known.iter().any(|known| said.contains(known));
    if says(&["unrecognized option", "invalid option", "ompiled without pattern matching"]) {
        Silence::Old
    } else if says(&["not found", "No journal files were", "Failed to open journal"]) {
        Silence::NoJournal(said)
    } else if says(&["Failed to", "Bad pattern", "grep:"]) {
        Silence::Failed(said)
    } else {
        Silence::Empty
    }
}

/// The journal's entries, or why there is no journal.
fn journal(query: &Query) -> Result<Result<Found, String>, Error> {
    let mut journalctl = Journalctl::Current;
    loop {
        let output = run(query, &query.journal(journalctl))?;
        if output.stdout.is_empty() {
            match silence(&output.stderr) {
                Silence::Old if journalctl == Journalctl::Current => {
                    journalctl = Journalctl::Old;
                    continue;
                }
                Silence::Empty => {
                    // Asked for JSON, it does not say that there is no journal.
                    if let Silence::NoJournal(why) = silence(&run(query, &query::any_entry())?.stderr) {
                        return Ok(Err(why));
                    }
                }
                Silence::NoJournal(why) => return Ok(Err(why)),
                Silence::Old => return Ok(Err(complaint(&output.stderr))),
                Silence::Failed(why) => {
                    return Err(Error::new(ErrorKind::Invalid, format!("journalctl on {} said: {why}", query.host))
                        .hint("`grep` is a regular expression; a `unit` is a name as the tool `services` shows it"));
                }
            }
        }
        return Ok(Ok(from_journal(query, journalctl, &output)));
    }
}

fn from_journal(query: &Query, journalctl: Journalctl, output: &Output) -> Found {
    let mut found = Found { truncated: output.truncated, ..Found::default() };
    if journalctl == Journalctl::Old && query.grep.is_some() {
        // These lines have their zone with them.
        let clock = Clock { now: 0, offset: 0 };
        found.entries = syslog::parse(files::lines(output.whole_lines()), clock);
        if output.truncated {
            // The last may have further lines.
            found.entries.pop();
        }
        found
            .notes
            .push("this journalctl is old: `grep` was matched to whole lines, and priorities are not known".to_owned());
    } else {
        let journal = journal::parse(output.whole_lines());
        if journal.unread > 0 {
            let lines = text::count(journal.unread as u64, "line", "lines");
            found.notes.push(format!("{lines} of journalctl could not be read"));
        }
        if let (Some(user), None, None) = (journal.only_user, &query.unit, &query.grep) {
            found.notes.push(format!(
                "all of these are of the user {user}: the account may see no others unless it is in the group systemd-journal"
            ));
        }
        found.entries = journal.entries;
    }
    found.truncated |= found.entries.len() >= query.lines;
    found.entries.reverse();
    found
}

fn no_journal(query: &Query, why: &str) -> Error {
    let kind = if why.contains("permission") { ErrorKind::Permission } else { ErrorKind::NotFound };
    Error::new(kind, format!("no journal on {}: {why}", query.host)).hint(match kind {
        ErrorKind::Permission => {
            "the operator adds the account to the group systemd-journal or adm; or name a `path` that it may read"
        }
        _ => "name the file with `path`; list /var/log with the tool `scout`",
    })
}

/// Entries of files.
fn tail(query: &Query) -> Result<Found, Error> {
    let output = run(query, &query.tail())?;
    if output.truncated {
        // What is missing is the newest, and the host's clock behind it.
        let message =
            format!("{} on {} is more than Scout takes of a command", query.files().join(" and "), query.host);
        return Err(Error::new(ErrorKind::Exhausted, message).hint("ask for fewer `lines`, or name a `grep`"));
    }
    let mut tail = Tail::parse(query, &output.stdout);
    let clock = match tail.clock {
        Some(clock) => clock,
        // A BSD's `tail` takes `-` for a file.
        None if output.stderr.contains("tail: -") => {
            let date = run(query, &vec![query::clock()])?;
            files::clock(&date.stdout).ok_or_else(|| tail_error(query, &date.stderr))?
        }
        None => return Err(tail_error(query, &output.stderr)),
    };
    let Some((path, lines)) = tail.preferred() else {
        if ["o such file", "ermission denied", "s a directory"].iter().any(|known| output.stderr.contains(known)) {
            return Err(tail_error(query, &output.stderr));
        }
        return Ok(Found { path: query.path.clone(), of_files: true, ..Found::default() });
    };
    let full = lines.len() >= query.scanned() || tail.cut;
    let mut found =
        Found { path: Some(path), of_files: true, entries: syslog::parse(lines, clock), ..Found::default() };
    files::keep_wanted(query, clock, &mut found.entries, &mut found.notes);
    if full && query.scanned() > query.lines {
        let lines = if query.grep.is_some() { "matching lines" } else { "lines" };
        found.notes.push(format!(
            "only the last {} {lines} of the file were looked at, or its last {} KiB",
            query.scanned(),
            query::SCANNED_BYTES / 1024
        ));
    }
    found.truncated = full || output.truncated;
    Ok(found)
}

fn tail_error(query: &Query, stderr: &str) -> Error {
    let said = complaint(stderr);
    let (kind, hint) = if said.contains("o such file") {
        (ErrorKind::NotFound, "name a file that exists; list /var/log with the tool `scout`")
    } else if said.contains("ermission denied") {
        (ErrorKind::Permission, "name a file that the account may read; the operator may add it to the group adm")
    } else if said.contains("s a directory") {
        (ErrorKind::Invalid, "name a file in it")
    } else if said.contains("grep:") {
        (
            ErrorKind::Invalid,
            "`grep` is an extended regular expression: write a backslash before ( [ { * + ? that mean themselves",
        )
    } else {
        (ErrorKind::Remote, "read the file with the tool `scout`, as `tail -n 100 FILE`")
    };
    let said = if said.is_empty() { "nothing" } else { said.as_str() };
    Error::new(kind, format!("reading {} on {}: {said}", query.files().join(" and "), query.host)).hint(hint)
}

/// Standard error in one line, without the colours that some versions write.
fn complaint(stderr: &str) -> String {
    let mut plain = String::new();
    let mut rest = stderr.trim();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.strip_prefix('[').unwrap_or(after).trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = rest.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest);
    }
    plain.push_str(rest);
    text::clipped(&plain.trim().replace('\n', "; "), MAX_COMPLAINT)
}

fn answer(query: &Query, mut found: Found) -> Answer {
    keep_newest(query, &mut found);
    Answer::new().text(as_text(&found)).structured(as_json(query, &found))
}

/// Leaves the newest entries, as many as are asked for and a model can read.
fn keep_newest(query: &Query, found: &mut Found) {
    let mut bytes = 0;
    let fits = found.entries.iter().rev().take(query.lines).take_while(|entry| {
        bytes += entry.weight();
        bytes <= MAX_MESSAGES
    });
    let kept = fits.count();
    let dropped = found.entries.len() - kept;
    found.truncated |= dropped > 0;
    if kept < query.lines && dropped > 0 {
        found.notes.push(format!("the messages are long: only the newest {kept} entries are shown"));
    }
    found.entries.drain(..dropped);
}

fn as_json(query: &Query, found: &Found) -> Object {
    Object::new()
        .text("host", query.host.as_str())
        .text("source", if found.of_files { "file" } else { "journal" })
        .text("path", found.path.as_deref())
        .objects("entries", found.entries.iter().map(Entry::json))
        .boolean("truncated", found.truncated)
        .texts("notes", &found.notes)
}

fn as_text(found: &Found) -> String {
    let mut hosts: Vec<&Option<String>> = found.entries.iter().map(|entry| &entry.host).collect();
    hosts.dedup();
    let with_host = hosts.len() > 1;
    let mut lines: Vec<String> = found.entries.iter().map(|entry| entry.text(with_host)).collect();
    if lines.is_empty() {
        lines.push(format!(
            "no entry of {} fits",
            found.path.as_deref().unwrap_or(if found.of_files { "the files" } else { "the journal" })
        ));
    } else if found.truncated {
        lines.push(format!(
            "(the newest {}; older ones may fit too: name a time, or more `lines`)",
            text::count(found.entries.len() as u64, "entry", "entries")
        ));
    }
    lines.extend(found.notes.iter().map(|note| format!("({note})")));
    lines.join("\n")
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
