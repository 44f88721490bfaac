//! Lines of the audit log.

use std::sync::Arc;

use scout_machine::Principal;
use scout_machine::hidden;
use scout_runtime::{AccessEvent, AccessRecord, CommandEnd, CommandEvent, CommandRecord};
use serde::{Serialize, Serializer};

/// The longest command that a line holds in full, in bytes; a longer one is cut and its length told.
const MAX_COMMAND: usize = 64 * 1024;
/// The same of a command that is not sent: whoever asks for it pays nothing.
const MAX_UNSENT: usize = 512;
/// The longest text of an ending, in bytes; a host or a client chose some of it.
const MAX_ENDING: usize = 512;
/// The same of a path: none that exists is longer.
const MAX_PATH: usize = 4096;

/// What is written of an event of a command.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) event: Event,
    id: String,
    time: String,
    tenant: String,
    principal: String,
    plugin: String,
    host: String,
    #[serde(serialize_with = "bounded")]
    command: (Arc<str>, usize),
    #[serde(skip_serializing_if = "Option::is_none")]
    command_bytes: Option<usize>,
    #[serde(flatten)]
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    Begin,
    End,
    Unsent,
    /// Of a look at a path that may not be.
    Denied,
    /// Of any other.
    Read,
}

#[derive(Debug, Serialize)]
struct End {
    ending: String,
    duration_ms: u64,
}

impl End {
    fn of(end: CommandEnd) -> Self {
        let duration_ms = u64::try_from(end.duration.as_millis()).unwrap_or(u64::MAX);
        Self { ending: short(end.ending), duration_ms }
    }
}

/// As much of it as a line holds.
fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_ENDING));
    text
}

impl Line {
    /// The line of a record that comes now, in the process `run`.
    pub(super) fn new(run: &str, principal: &Principal, record: CommandRecord) -> Self {
        let (event, end) = match record.event {
            CommandEvent::Begin => (Event::Begin, None),
            CommandEvent::End(end) => (Event::End, Some(end)),
            CommandEvent::Unsent(end) => (Event::Unsent, Some(end)),
        };
        let most = if event == Event::Unsent { MAX_UNSENT } else { MAX_COMMAND };
        let kept = record.command.floor_char_boundary(most);
        Self {
            event,
            id: format!("{run}-{}", record.number),
            time: now(),
            tenant: principal.tenant().to_string(),
            principal: principal.name().to_owned(),
            plugin: record.plugin,
            host: record.host,
            command_bytes: (kept < record.command.len()).then_some(record.command.len()),
            command: (record.command, kept),
            end: end.map(End::of),
        }
    }

    /// What it keeps in memory, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.command.0.len()
    }
}

fn bounded<S: Serializer>((command, kept): &(Arc<str>, usize), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(command.get(..*kept).unwrap_or_default())
}

/// What is written of a look at a path.
#[derive(Debug, Serialize)]
pub(super) struct AccessLine {
    pub(super) event: Event,
    time: String,
    tenant: String,
    principal: String,
    plugin: String,
    host: String,
    operation: &'static str,
    /// What is no UTF-8 is replaced.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(flatten)]
    end: Option<End>,
}

impl AccessLine {
    /// The line of a record that comes now.
    pub(super) fn new(principal: &Principal, record: AccessRecord) -> Self {
        let (event, why, end) = match record.event {
            AccessEvent::Denied(why) => (Event::Denied, Some(short(why)), None),
            AccessEvent::Ended(end) => (Event::Read, None, Some(End::of(end))),
        };
        let path = record.path.get(..MAX_PATH).unwrap_or(&record.path);
        Self {
            event,
            time: now(),
            tenant: principal.tenant().to_string(),
            principal: principal.name().to_owned(),
            plugin: record.plugin,
            host: record.host,
            operation: record.operation,
            path: String::from_utf8_lossy(path).into_owned(),
            why,
            end,
        }
    }

    /// What it keeps in memory, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.len()
    }
}

/// What the lines before do not tell of.
#[derive(Debug, Serialize)]
pub(super) struct Omitted {
    event: &'static str,
    time: String,
    /// When the first of it was left out.
    since: String,
    /// Lines of commands that were not sent, of which there were too many.
    pub(super) unsent: u64,
    /// The same of looks that may not be.
    pub(super) denied: u64,
    /// Lines that could not be written.
    pub(super) unwritten: u64,
}

impl Omitted {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { event: "omitted", time: String::new(), since: now(), unsent: 0, denied: 0, unwritten: 0 }
    }

    /// The line, as of now.
    pub(super) fn told(&mut self) -> &Self {
        self.time = now();
        self
    }
}

/// The line of a checkpoint: a place in the log, signed.
pub(crate) fn checkpoint(of: &str, signature: &str) -> std::io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Signed<'a> {
        event: &'static str,
        time: String,
        of: &'a str,
        signature: &'a str,
    }
    text(&Signed { event: "checkpoint", time: now(), of, signature })
}

/// The text of a line, with its end. What hides or steers a terminal is written as JSON's escapes: whoever parses the line gets it
/// as it was, and whoever only looks at it sees it.
pub(super) fn text(line: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let text = serde_json::to_string(line)?;
    let (mut told, mut done) = (String::with_capacity(text.len() + 1), 0);
    for (at, hidden) in hidden(&text) {
        told.push_str(text.get(done..at).unwrap_or_default());
        for unit in hidden.encode_utf16(&mut [0; 2]) {
            told.push_str(&format!("\\u{unit:04x}"));
        }
        done = at + hidden.len_utf8();
    }
    told.push_str(text.get(done..).unwrap_or_default());
    told.push('\n');
    Ok(told.into_bytes())
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::{Value, json};

    use super::text;

    #[test]
    fn a_line_hides_nothing_and_says_what_was_there() {
        let said = json!({"command": "a\u{202e}b\u{1b}[2J\u{9b}\u{e0041}\tü"});
        let line = String::from_utf8(text(&said).unwrap()).unwrap();
        assert_eq!(line, "{\"command\":\"a\\u202eb\\u001b[2J\\u009b\\udb40\\udc41\\tü\"}\n");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), said);
    }
}
