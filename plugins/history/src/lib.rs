//! The tool `history`: what a host was doing at a time, as sysstat has recorded it. It reads no archives of PCP.

mod sadf;
mod schema;
mod span;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::Asked;
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::sadf::Records;
use crate::span::{File, Span, Time};

struct History;
register!(History: tools);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Machine,
    Disks,
    Network,
}

/// Where sysstat keeps its files: Debian and its kin, then Red Hat and SUSE.
const PLACES: [&str; 2] = ["/var/log/sysstat", "/var/log/sa"];

/// Files that are read for one answer, the newest of those that may hold the time: each is of a day.
const MAX_FILES: usize = 8;

/// The most restarts that are told one by one.
const MAX_RESTARTS: usize = 5;

impl Tools for History {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("history", schema::DESCRIPTION, &schema::shape(What::Machine).input(schema::INPUT))
                .title("History")
                .output_schema(&schema::all())
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the arguments of `history` {what}"));
        let arguments = Value::parse(arguments).ok_or_else(|| invalid("are not JSON"))?;
        let text = |name: &str| arguments.get(name).and_then(Value::as_text).filter(|text| !text.trim().is_empty());
        let what = match text("what") {
            None | Some("machine") => What::Machine,
            Some("disks") => What::Disks,
            Some("network") => What::Network,
            Some(_) => return Err(invalid("have a `what` that is none of: machine disks network")),
        };
        let time = |name: &str| {
            let expected =
                format!("have a `{name}` that is none of 15m, 2h, 7d or a time such as 2026-12-01T03:00:00Z");
            text(name).map(|text| Time::parse(text).ok_or_else(|| invalid(&expected))).transpose()
        };
        let (since, until) = (time("since")?, time("until")?);
        let asked = schema::shape(what).ask(&arguments)?;
        let found = look(asked.host(), what, since, until)?;
        Ok(answer(asked, found))
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    records: Records,
    files: Vec<String>,
    notes: Vec<String>,
}

/// One command for the names of the files, one for each that may hold the time, and one for the host's clock where a time is told from now.
fn look(host: &str, what: What, since: Option<Time>, until: Option<Time>) -> Result<Found, Error> {
    let mut words = vec!["find"];
    words.extend(PLACES);
    words.extend(["-maxdepth", "1", "-type", "f", "-name", "sa[0-9.]*", "-printf", "%T@ %p\\n"]);
    let output = exec::output(host, &[&words])?;
    let (files, packed) = span::files(output.whole_lines());
    let Some(newest) = files.last() else { return Err(none(host, &output, packed)) };
    let is_relative = [since, until].iter().any(|time| matches!(time, Some(Time::Ago(_))));
    let now = if is_relative { now(host)? } else { newest.written };
    let resolve = |time: Option<Time>| time.map(|time| time.resolve(now));
    let span = Span::new(resolve(since), resolve(until), newest.written);
    if span.since > span.until {
        return Err(Error::new(ErrorKind::Invalid, "`since` of `history` is later than its `until`"));
    }
    let mut found = Found::default();
    let wanted: Vec<&File> = files.iter().filter(|file| span.may_be_in(file.written)).collect();
    let left = wanted.len().saturating_sub(MAX_FILES);
    if left > 0 {
        found.notes.push(format!("only the last {MAX_FILES} days of that time were read: name a shorter one"));
    }
    if packed > 0 {
        let files = text::count(packed as u64, "file of older days is", "files of older days are");
        found.notes.push(format!("{files} compressed, and not read"));
    }
    let mut failure = None;
    for file in wanted.into_iter().skip(left) {
        let output = exec::output(host, &[&sadf::words(what, &file.path)])?;
        if output.is_missing() {
            let message = format!("{host} has records of sysstat, and no program `sadf` to read them");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if output.stdout.is_empty() && output.exit != Some(0) {
            let error = output.failure(host, "sadf");
            found.notes.push(format!("{} could not be read: {}", file.path, error.message));
            failure.get_or_insert(error);
            continue;
        }
        found.records.add(what, span, output.whole_lines());
        found.files.push(file.path.clone());
        if output.truncated {
            found
                .notes
                .push(format!("{} holds more than Scout accepts from a command: name a shorter time", file.path));
        }
    }
    match failure {
        Some(failure) if found.files.is_empty() => Err(failure),
        _ => Ok(found.with_notes(span)),
    }
}

/// The host's clock.
fn now(host: &str) -> Result<u64, Error> {
    let output = exec::output(host, &[&["date", "+%s"]])?;
    let seconds = std::str::from_utf8(&output.stdout).ok().and_then(|seconds| seconds.trim().parse().ok());
    seconds.ok_or_else(|| output.failure(host, "date"))
}

/// Why there are no files.
fn none(host: &str, output: &Output, packed: usize) -> Error {
    let said = &output.stderr;
    if said.contains("ermission denied") {
        let message = format!("the account may not read the records of sysstat on {host}");
        return Error::new(ErrorKind::Permission, message);
    }
    let absent = PLACES.iter().all(|place| said.contains(place) && said.contains("o such file"));
    if !absent && !said.is_empty() && PLACES.iter().all(|place| !said.contains(place)) {
        return output.failure(host, "find");
    }
    let (kind, message) = if absent {
        (ErrorKind::Unsupported, format!("{host} records no history: neither {} nor {} is there", PLACES[0], PLACES[1]))
    } else if packed > 0 {
        (ErrorKind::NotFound, format!("all records of sysstat on {host} are compressed: it records nothing now"))
    } else {
        (ErrorKind::NotFound, format!("sysstat is installed on {host}, and has recorded nothing"))
    };
    Error::new(kind, message).hint(
        "the operator installs sysstat and switches its recording on (ENABLED in /etc/default/sysstat, or sysstat-collect.timer); archives of \
         PCP are not read; `logs` tells what was written at a time",
    )
}

impl Found {
    fn with_notes(mut self, span: Span) -> Self {
        let time = |seconds: u64| text::rfc3339(seconds).unwrap_or_default();
        let mut restarts: Vec<String> = self.records.restarts.iter().map(|seconds| time(*seconds)).collect();
        if !restarts.is_empty() {
            let more = restarts.len().saturating_sub(MAX_RESTARTS);
            restarts.truncate(MAX_RESTARTS);
            let more = if more > 0 { format!(" and {more} times more") } else { String::new() };
            self.notes.push(format!("the machine was started at {}{more}", restarts.join(", ")));
        }
        if self.records.unread > 0 {
            let lines = text::count(self.records.unread as u64, "line", "lines");
            self.notes.push(format!("{lines} of sadf could not be read"));
        }
        if self.records.machine.is_empty() && self.records.rows.is_empty() {
            self.notes.insert(0, format!("nothing was recorded from {} until {}", time(span.since), time(span.until)));
        }
        self
    }
}

/// A page of the newest intervals that fit, the oldest of them first.
fn answer(asked: Asked, found: Found) -> Answer {
    let Found { records, files, notes } = found;
    let mut rows = records.into_rows();
    let is_sorted = asked.is_sorted();
    if !is_sorted {
        rows.reverse();
    }
    let page = asked.page(rows);
    let page = if is_sorted { page } else { page.reversed() }.notes(notes);
    let object = Object::new().text("host", page.asked().host()).texts("files", &files);
    Answer::new().text(page.text().trim_end()).structured(page.json(object))
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
