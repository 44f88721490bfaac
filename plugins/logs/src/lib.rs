//! The tool `logs` and the resource `syslog://`: entries of systemd's journal, or of log files.

mod entry;
mod files;
mod journal;
mod query;
mod said;
mod schema;
mod syslog;
mod time;

use scout_plugin::exec::{self, Output, Ran, RanAs};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{Asked, Page};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Resources, Template, Tool, Tools, register, text};

use crate::entry::{BEGINNING, Entry};
use crate::files::Tail;
use crate::query::{Journalctl, Query, Source, Stages};
use crate::said::{Said, complaints, one_line};
use crate::time::Clock;

struct Logs;
register!(Logs: tools, resources);

/// The most bytes of messages in an answer: what a model reads at once.
const MAX_MESSAGES: usize = 128 * 1024;

/// The same where they are asked for whole: an answer holds them twice.
const MAX_WHOLE: usize = 512 * 1024;

impl Tools for Logs {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("logs", schema::DESCRIPTION, &schema::shape(0).input(schema::INPUT))
                .title("Logs")
                .output_schema(&schema::shape(0).output(schema::OUTPUT))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let arguments = Value::parse(arguments)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the arguments of `logs` are not JSON"))?;
        let mut query = Query::read(&arguments)?;
        let asked = schema::shape(query.lines).ask(&arguments)?;
        query.is_picky = asked.is_picky();
        let found = look(&query)?;
        Ok(answer(&query, asked, found))
    }
}

impl Resources for Logs {
    fn describe() -> Vec<Template> {
        let log = Template::new("log", "syslog://{host}", "The newest 100 entries of the journal, or of a log file");
        vec![log.title("System log").effect(Effect::Exec).each_host()]
    }

    fn read(template: &str, values: &[&str]) -> Result<Answer, Error> {
        match (template, values) {
            ("log", [host]) => {
                let fields = vec![("host".to_owned(), Value::Text((*host).to_owned()))];
                let query = Query::read(&Value::Object(fields))?;
                let asked = schema::shape(query.lines).of(host, query.lines)?;
                let found = look(&query)?;
                Ok(answer(&query, asked, found))
            }
            _ => Err(Error::new(ErrorKind::NotFound, "there is no such resource")),
        }
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
    /// Whether the account is known not to see all entries that there are.
    is_partial: bool,
    notes: Vec<String>,
}

/// One command where there is a current journal, or where files are asked for; two or three elsewhere, and one more for long messages.
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
    exec::output(&query.host, &stages).map_err(in_time)
}

/// The same, where journalctl runs as root if the operator lets it.
fn run_journalctl(query: &Query, stages: &Stages) -> Result<Ran, Error> {
    let stages: Vec<&[String]> = stages.iter().map(Vec::as_slice).collect();
    exec::output_as_root(&query.host, &stages, "journalctl").map_err(in_time)
}

fn in_time(error: Error) -> Error {
    match error.kind {
        ErrorKind::Timeout => error.hint("ask for less: a shorter time with `since` and `until`, or a `unit`"),
        _ => error,
    }
}

/// The journal's entries, or why there is no journal.
fn journal(query: &Query) -> Result<Result<Found, String>, Error> {
    let mut journalctl = Journalctl::Current;
    loop {
        let stages = query.journal(journalctl);
        let Ran { output, by } = run_journalctl(query, &stages)?;
        let mut said = Said::parse(&output.stderr);
        let advice = said.unseen.as_ref().and_then(|_| by.advice(&query::row(&stages)?));
        if by == RanAs::Root {
            // That is said by the first of the two, which is the account's.
            said.unseen = None;
        }
        if output.stdout.is_empty() {
            match said {
                Said { old: Some(_), .. } if journalctl == Journalctl::Current => {
                    journalctl = Journalctl::Old;
                    continue;
                }
                Said { old: Some(why), .. } | Said { no_journal: Some(why), .. } => return Ok(Err(why)),
                Said { other, .. } if !other.is_empty() => return Err(journal_error(query, &one_line(&other))),
                _ => {}
            }
        }
        let beginnings = |cursor: &str, entries| {
            Ok(run_journalctl(query, &query.beginnings(journalctl, cursor, entries))?.output.stdout)
        };
        let mut found = from_journal(query, journalctl, &output, &said, beginnings)?;
        found.notes.extend(by.note("journalctl").into_iter().chain(advice));
        return Ok(Ok(found));
    }
}

fn from_journal(
    query: &Query,
    journalctl: Journalctl,
    output: &Output,
    said: &Said,
    beginnings: impl FnOnce(&str, usize) -> Result<Vec<u8>, Error>,
) -> Result<Found, Error> {
    let mut found = Found { truncated: output.truncated, is_partial: said.unseen.is_some(), ..Found::default() };
    if journalctl == Journalctl::Old && query.grep.is_some() {
        // These lines have their zone with them.
        let clock = Clock { now: 0, offset: 0, zone: None };
        found.entries = syslog::parse(files::lines(output.whole_lines()), &clock);
        if output.truncated {
            // The last may have further lines.
            found.entries.pop();
        }
        found
            .notes
            .push("this journalctl is old: `grep` was matched to whole lines, and priorities are not known".to_owned());
    } else {
        let mut journal = journal::parse(output.whole_lines());
        if journal.unread > 0 {
            let lines = text::count(journal.unread as u64, "line", "lines");
            found.notes.push(format!("{lines} of journalctl could not be read"));
        }
        if let Some((cursor, entries)) = journal.span() {
            let told = beginnings(&cursor, entries)?;
            journal.add_beginnings(&String::from_utf8_lossy(&told));
        }
        found.entries = journal.entries;
    }
    if found.entries.is_empty() && output.truncated {
        let message =
            format!("the newest entry of the journal on {} is more than Scout accepts from a command", query.host);
        return Err(Error::new(ErrorKind::Exhausted, message).hint(
            "leave `whole` out, or read a part: `journalctl -o cat --all -n 1 | head -c 500000` with the tool `scout`",
        ));
    }
    found.truncated |= found.entries.len() >= query.wanted();
    found.entries.reverse();
    if found.entries.is_empty() && query.unit.is_some() {
        found.notes.push("`unit` names a unit of the system; name one of a user with `user_unit`".to_owned());
    }
    found.notes.extend(said.notes());
    Ok(found)
}

fn journal_error(query: &Query, said: &str) -> Error {
    let (kind, hint) = if ["Bad pattern", "grep:"].iter().any(|known| said.contains(known)) {
        (ErrorKind::Invalid, "`grep` is a regular expression")
    } else if said.contains("ermission denied") {
        (ErrorKind::Permission, PERMISSION)
    } else {
        (ErrorKind::Remote, "read it with the tool `scout`, as `journalctl --no-pager -n 100`; or name a `path`")
    };
    Error::new(kind, format!("journalctl on {} said: {said}", query.host)).hint(hint)
}

/// What lets an account read a journal.
const PERMISSION: &str =
    "the operator adds the account to the group systemd-journal or adm; or name a `path` that it may read";

fn no_journal(query: &Query, why: &str) -> Error {
    let kind = if why.contains("permission") { ErrorKind::Permission } else { ErrorKind::NotFound };
    Error::new(kind, format!("no journal on {}: {why}", query.host)).hint(match kind {
        ErrorKind::Permission => PERMISSION,
        _ => "name the file with `path`; list /var/log with the tool `scout`",
    })
}

/// Entries of files.
///
/// One command, and one more for a compressed file.
fn tail(query: &Query) -> Result<Found, Error> {
    let output = match query.unpacker() {
        None => run(query, &query.tail())?,
        Some(unpacker) => {
            let lines = run(query, &query.unpacked(unpacker))?;
            if lines.stdout.is_empty() && lines.stderr.contains(unpacker) && lines.stderr.contains("not found") {
                let message = format!("{} has no program `{unpacker}` to read {}", query.host, query.named());
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            files::with_clock(lines, run(query, &query::clock())?)
        }
    };
    from_files(query, &output, || run(query, &vec![query::date()]))
}

/// What `tail` told. `date` asks for the host's clock where that is not in it.
fn from_files(query: &Query, output: &Output, date: impl FnOnce() -> Result<Output, Error>) -> Result<Found, Error> {
    if output.truncated {
        // What is missing is the newest, and the host's clock behind it.
        let message = format!("{} on {} is more than Scout accepts from a command", query.named(), query.host);
        return Err(Error::new(ErrorKind::Exhausted, message).hint("ask for fewer `lines`, or name a `grep`"));
    }
    let complaints = complaints(&output.stderr);
    let said = one_line(&complaints);
    let mut tail = Tail::parse(query, &output.stdout);
    let clock = match tail.clock.take() {
        Some(clock) => clock,
        // A BSD's `tail` takes `-` for a file.
        None if output.stderr.contains("tail: -") => {
            let date = date()?;
            files::clock(&date.stdout).ok_or_else(|| tail_error(query, &date.stderr))?
        }
        None => return Err(tail_error(query, &said)),
    };
    // Of a BSD's `tail`, of the file that no `-` is; of several files most hosts have one, and some have no file of their zone.
    let is_expected = |complaint: &String| {
        complaint.contains("tail: -")
            || complaint.contains("No such file") && (query.path.is_none() || complaint.contains(query::ZONE))
    };
    let Some((path, lines)) = tail.preferred() else {
        let all_missing = query.path.is_none()
            && query.files().iter().all(|file| complaints.iter().any(|complaint| complaint.contains(file)));
        if all_missing || !complaints.iter().all(is_expected) {
            return Err(tail_error(query, &said));
        }
        return Ok(Found { path: query.path.clone(), of_files: true, ..Found::default() });
    };
    let full = lines.len() >= query.scanned() || tail.cut;
    // As it was asked for: the command has another way to write one below the home directory.
    let path = query.path.clone().unwrap_or(path);
    let mut found =
        Found { path: Some(path), of_files: true, entries: syslog::parse(lines, &clock), ..Found::default() };
    files::keep_wanted(query, &clock, &mut found.entries, &mut found.notes);
    let unexpected: Vec<String> = complaints.into_iter().filter(|complaint| !is_expected(complaint)).collect();
    if !unexpected.is_empty() {
        found.notes.push(format!("the host said: {}", one_line(&unexpected)));
    }
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

fn tail_error(query: &Query, said: &str) -> Error {
    let said = said.trim();
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
    let said = if said.is_empty() { "nothing" } else { said };
    Error::new(kind, format!("reading {} on {}: {said}", query.named(), query.host)).hint(hint)
}

fn answer(query: &Query, asked: Asked, mut found: Found) -> Answer {
    keep_newest(query, &mut found);
    let page = page(asked, &mut found);
    Answer::new().text(as_text(&page, &found)).structured(as_json(&page, &found))
}

/// The page that was asked for; of the entries those that are on it are left, in its order. Without `sort` a page is of the newest, and shows the
/// oldest of them first.
fn page(asked: Asked, found: &mut Found) -> Page {
    let is_sorted = asked.is_sorted();
    if !is_sorted {
        found.entries.reverse();
    }
    let mut page = asked.page(found.entries.iter().map(Entry::row).collect());
    if !is_sorted {
        page = page.reversed();
    }
    found.entries = page.places().iter().filter_map(|at| found.entries.get_mut(*at).map(std::mem::take)).collect();
    found.truncated |= page.is_cut();
    page.notes(found.notes.iter().cloned())
}

/// Leaves the newest entries, as many as are asked for and a model can read, and of their messages as much.
fn keep_newest(query: &Query, found: &mut Found) {
    let (most, message) = if query.whole { (MAX_WHOLE, MAX_WHOLE) } else { (MAX_MESSAGES, BEGINNING) };
    found.entries.iter_mut().for_each(|entry| entry.cut(message));
    let mut bytes = 0;
    let fits = found.entries.iter().rev().take(query.lines).take_while(|entry| {
        bytes += entry.message.len();
        bytes <= most
    });
    // Which of them are shown is not known before they were chosen.
    let kept = if query.is_picky { found.entries.len() } else { fits.count() };
    let dropped = found.entries.len() - kept;
    found.truncated |= dropped > 0;
    if kept < query.lines && dropped > 0 {
        found.notes.push(format!("the messages are long: only the newest {kept} entries are shown"));
    }
    found.entries.drain(..dropped);
    let cut = found.entries.iter().filter(|entry| entry.is_cut).count();
    if cut > 0 && !query.whole {
        let messages = text::count(cut as u64, "message is", "messages are");
        found
            .notes
            .push(format!("{messages} cut; `whole` shows all of it, with `since` and `until` both the entry's time"));
    }
}

fn as_json(page: &Page, found: &Found) -> Object {
    let object = Object::new()
        .text("host", page.asked().host())
        .text("source", if found.of_files { "file" } else { "journal" })
        .text("path", found.path.as_deref());
    page.json(object).boolean("truncated", found.truncated)
}

/// A line for each entry, or where columns were asked for a table.
fn as_text(page: &Page, found: &Found) -> String {
    if page.asked().is_narrowed() {
        return page.text().trim_end().to_owned();
    }
    let mut hosts: Vec<&Option<String>> = found.entries.iter().map(|entry| &entry.host).collect();
    hosts.dedup();
    let with_host = hosts.len() > 1;
    let mut lines: Vec<String> = found.entries.iter().map(|entry| entry.text(with_host)).collect();
    if lines.is_empty() {
        lines.push(format!(
            "no entry of {} {}fits",
            found.path.as_deref().unwrap_or(if found.of_files { "the files" } else { "the journal" }),
            if found.is_partial { "that the account may see " } else { "" }
        ));
    } else if found.truncated && !page.is_cut() {
        lines.push(format!(
            "(the newest {}; older ones may fit too: name a time, or more `lines`)",
            text::count(found.entries.len() as u64, "entry", "entries")
        ));
    }
    let remarks = page.remarks();
    // That there are none stands there already.
    let remarks = remarks.strip_prefix("(0 of 0 rows)\n").unwrap_or(&remarks);
    lines.extend(remarks.lines().map(str::to_owned));
    lines.join("\n")
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
