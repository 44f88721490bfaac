//! Entries out of what `journalctl -o json` prints: an object in each line. Pure.

use scout_plugin::json::Value;

use crate::entry::Entry;

/// What stands for a message that no command told: `journalctl` leaves those of 4,088 bytes and more out of its JSON, and was asked
/// again for their beginnings.
pub(crate) const LEFT_OUT: &str = "(a message of 4 KiB or more, which journalctl left out)";

/// Fields of the journal that become an entry. Older versions of journalctl cannot leave the others out.
pub(crate) const FIELDS: &str = "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,SYSLOG_PID,_COMM,_HOSTNAME,_PID,_SYSTEMD_UNIT,\
_SYSTEMD_USER_UNIT,UNIT,USER_UNIT";

/// Entries in the order of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    /// The entries whose messages were left out: their places, and the journal's names for them.
    pub(crate) left_out: Vec<(usize, String)>,
    /// Lines that are no entry.
    pub(crate) unread: usize,
}

/// Reads a journal as JSON. Any bytes make some.
pub(crate) fn parse(output: &[u8]) -> Journal {
    let mut journal = Journal::default();
    for line in lines(&String::from_utf8_lossy(output)) {
        match Value::parse(line).filter(|value| matches!(value, Value::Object(_))) {
            Some(fields) => {
                let cursor = fields.get("__CURSOR").and_then(Value::as_text);
                if let (Some(Value::Null), Some(cursor)) = (fields.get("MESSAGE"), cursor) {
                    journal.left_out.push((journal.entries.len(), cursor.to_owned()));
                }
                journal.entries.push(entry(&fields));
            }
            None => journal.unread += 1,
        }
    }
    journal
}

impl Journal {
    /// The first entry whose message was left out, and how many there are from it to the last of them.
    pub(crate) fn span(&self) -> Option<(String, usize)> {
        let ((first, cursor), (last, _)) = (self.left_out.first()?, self.left_out.last()?);
        Some((cursor.clone(), last - first + 1))
    }

    /// Adds the beginnings of messages that were left out, from lines that begin with the first of them. They may be cut anywhere, and
    /// their fields stand in any order: systemd 257 gives each line another. So it is the order of lines that tells whose each is, and
    /// where a line tells its cursor, that.
    pub(crate) fn add_beginnings(&mut self, output: &str) {
        let Some((first, _)) = self.left_out.first() else { return };
        let told: Vec<&str> = lines(output).collect();
        for (at, cursor) in &self.left_out {
            let Some(line) = told.get(at - first) else { return };
            let Some(fields) = Value::parse(line).or_else(|| Value::parse(&closed(line))) else { continue };
            let is_other = fields.get("__CURSOR").is_some_and(|told| {
                // What is cut is the beginning of it.
                told.as_text().is_none_or(|told| !cursor.starts_with(told))
            });
            if let (Some(entry), Some(message), false) = (self.entries.get_mut(*at), fields.get("MESSAGE"), is_other) {
                entry.message = bytes(message);
            }
        }
    }
}

fn lines(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter(|line| !line.trim().is_empty())
}

/// JSON of which only the beginning is there, as JSON: what is open is closed behind the last value that is whole, and a string keeps what
/// there is of it.
fn closed(line: &str) -> String {
    let bytes = line.as_bytes();
    let mut open = Vec::new();
    // Where the string begins that the text is in, and where the colon of its field is.
    let (mut string, mut colon) = (None, None);
    // Behind the last value that is whole.
    let mut whole = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (string, byte) {
            (Some(_), b'\\') => {
                let length = if bytes.get(at + 1) == Some(&b'u') { 6 } else { 2 };
                if at + length > bytes.len() {
                    break;
                }
                at += length - 1;
            }
            (Some(_), b'"') => string = None,
            (Some(_), _) => {}
            (None, b'"') => string = Some(at),
            (None, b':') => colon = Some(at),
            (None, b'{') => open.push('}'),
            (None, b'[') => open.push(']'),
            (None, b'}' | b']') => drop(open.pop()),
            (None, b',') => {
                whole = at;
                colon = None;
            }
            (None, _) => {}
        }
        if matches!(byte, b'{' | b'[') && string.is_none() {
            whole = at + 1;
        }
        at += 1;
    }
    // The name of a field is no value.
    let is_value = open.last() == Some(&']') || colon.is_some();
    let mut text = match string {
        Some(_) if is_value => format!("{}\"", line.get(..at).unwrap_or_default()),
        _ => line.get(..whole).unwrap_or_default().to_owned(),
    };
    text.extend(open.into_iter().rev());
    text
}

fn entry(fields: &Value) -> Entry {
    let text = |name: &str| {
        let bytes = fields.get(name).map(bytes)?;
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty())
    };
    let microseconds = number(fields, "__REALTIME_TIMESTAMP").and_then(|time| i64::try_from(time).ok());
    Entry {
        time: microseconds,
        host: text("_HOSTNAME"),
        // What a manager says of a unit belongs to that unit. Units of a user's manager are below a unit of the system's.
        unit: ["UNIT", "USER_UNIT", "_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT"].into_iter().find_map(text),
        program: text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM")),
        pid: number(fields, "SYSLOG_PID").or_else(|| number(fields, "_PID")),
        priority: number(fields, "PRIORITY")
            .filter(|priority| *priority < 8)
            .and_then(|priority| priority.try_into().ok()),
        message: match fields.get("MESSAGE") {
            Some(Value::Null) => LEFT_OUT.as_bytes().to_vec(),
            Some(value) => bytes(value),
            None => Vec::new(),
        },
        is_cut: fields.get("MESSAGE") == Some(&Value::Null),
    }
}

/// A field's value: a string, an array of bytes where it is not printable, or an array of such values where a field is there twice.
fn bytes(value: &Value) -> Vec<u8> {
    let byte = |item: &Value| item.as_integer().and_then(|byte| u8::try_from(byte).ok());
    match value {
        Value::Text(text) | Value::Number(text) => text.as_bytes().to_vec(),
        Value::Array(items) => match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
            Some(bytes) => bytes,
            None => items.iter().map(bytes).collect::<Vec<_>>().join(&b'\n'),
        },
        Value::Null | Value::Boolean(_) | Value::Object(_) => Vec::new(),
    }
}

fn number(fields: &Value, name: &str) -> Option<u64> {
    match fields.get(name)? {
        Value::Array(items) => items.first()?.as_text()?.parse().ok(),
        Value::Text(text) => text.parse().ok(),
        value => value.as_integer(),
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
