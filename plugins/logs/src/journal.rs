//! Entries out of what `journalctl -o json` prints: an object in each line. Pure.

use scout_plugin::json::Value;

use crate::entry::Entry;

/// What stands for a message that journalctl leaves out: those of 4 KiB and more are `null` in its JSON.
const LEFT_OUT: &str = "(a message of 4 KiB or more, which journalctl leaves out)";

/// Fields of the journal that become an entry. Older versions of journalctl cannot leave the others out.
pub(crate) const FIELDS: &str =
    "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,SYSLOG_PID,_COMM,_HOSTNAME,_PID,_SYSTEMD_UNIT,_UID,UNIT";

/// Entries in the order of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<Entry>,
    /// Lines that are no entry.
    pub(crate) unread: usize,
    /// The user of all of them, if it is one, and not root.
    pub(crate) only_user: Option<u64>,
}

/// Reads a journal as JSON. Any bytes make some.
pub(crate) fn parse(output: &[u8]) -> Journal {
    let mut journal = Journal::default();
    let mut users: Vec<Option<u64>> = Vec::new();
    for line in String::from_utf8_lossy(output).lines().filter(|line| !line.trim().is_empty()) {
        match Value::parse(line).filter(|value| matches!(value, Value::Object(_))) {
            Some(fields) => {
                journal.entries.push(entry(&fields));
                let user = number(&fields, "_UID");
                // Two are as good as many.
                if users.len() < 2 && !users.contains(&user) {
                    users.push(user);
                }
            }
            None => journal.unread += 1,
        }
    }
    if let [Some(user)] = users.as_slice()
        && *user != 0
    {
        journal.only_user = Some(*user);
    }
    journal
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
        // What the manager says of a unit belongs to that unit.
        unit: text("UNIT").or_else(|| text("_SYSTEMD_UNIT")),
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
