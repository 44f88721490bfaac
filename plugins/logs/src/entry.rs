//! One entry of a log. Pure.

use scout_plugin::rows::{Cell, Row};
use scout_plugin::text;

use crate::time;

/// The most bytes of a message that an answer repeats, unless all of it is asked for.
pub(crate) const BEGINNING: usize = 2000;

/// The most characters of a name.
const MAX_NAME: usize = 200;

/// Priorities of syslog and the journal, from 0 on.
pub(crate) const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Microseconds since 1970.
    pub(crate) time: Option<i64>,
    pub(crate) host: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) pid: Option<u64>,
    /// An index of [`PRIORITIES`].
    pub(crate) priority: Option<u8>,
    pub(crate) message: Vec<u8>,
    /// Whether the message is only a beginning.
    pub(crate) is_cut: bool,
}

impl Entry {
    pub(crate) fn priority_name(&self) -> Option<&'static str> {
        PRIORITIES.get(usize::from(self.priority?)).copied()
    }

    /// Leaves so many bytes of the message at most, and no part of a character.
    pub(crate) fn cut(&mut self, bytes: usize) {
        if self.message.len() <= bytes {
            return;
        }
        let cut = self.message.get(..bytes).unwrap_or_default();
        // The cut may have split a character.
        let whole = match std::str::from_utf8(cut) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => cut.len(),
        };
        self.message.truncate(whole);
        self.is_cut = true;
    }

    /// The message, with its bytes if it is not text.
    fn shown(&self) -> (String, Option<String>) {
        let (mut message, base64) = text::name(&self.message);
        if self.is_cut {
            message.push('…');
        }
        (message, base64)
    }

    /// In the columns of [`crate::schema::shape`].
    pub(crate) fn row(&self) -> Row {
        let name =
            |name: &Option<String>| Cell::text(name.as_deref().map(|name| text::clipped(name, MAX_NAME)).as_deref());
        let (message, base64) = self.shown();
        vec![
            Cell::text(self.time.and_then(time::rfc3339).as_deref()),
            name(&self.host),
            name(&self.unit),
            name(&self.program),
            Cell::number(self.pid),
            Cell::text(self.priority_name()),
            Cell::Text(message),
            Cell::text(base64.as_deref()),
            if self.is_cut { Cell::Bool(true) } else { Cell::None },
        ]
    }

    /// One line for people; further lines of the message are indented.
    pub(crate) fn text(&self, with_host: bool) -> String {
        let name = |name: &Option<String>| name.as_deref().map(|name| text::one_line(&text::clipped(name, MAX_NAME)));
        let mut words = vec![self.time.and_then(time::rfc3339).unwrap_or_else(|| "-".to_owned())];
        words.extend(name(&self.host).filter(|_| with_host));
        if let Some(program) = name(&self.program).or_else(|| name(&self.unit)) {
            words.push(match self.pid {
                Some(pid) => format!("{program}[{pid}]"),
                None => program,
            });
        }
        words.extend(self.priority_name().map(str::to_owned));
        format!("{}: {}", words.join(" "), self.shown().0.trim_end().replace('\n', "\n    "))
    }
}

#[cfg(test)]
mod tests {
    use scout_plugin::json::{Object, Value};

    use super::{BEGINNING, Entry};
    use crate::schema;

    /// As a structured answer has it.
    fn json(entry: &Entry) -> String {
        let asked = schema::shape(1).ask(&Value::parse(r#"{"host":"box"}"#).expect("is JSON")).expect("is asked");
        let json = asked.page(vec![entry.row()]).json(Object::new()).finish();
        let (_, rows) = json.split_once('[').expect("has rows");
        rows.split(r#"],"total""#).next().unwrap_or_default().to_owned()
    }

    fn entry(message: &[u8]) -> Entry {
        Entry {
            time: Some(1_795_260_015_613_062),
            host: Some("web1".to_owned()),
            program: Some("app".to_owned()),
            pid: Some(7),
            priority: Some(3),
            message: message.to_vec(),
            ..Entry::default()
        }
    }

    #[test]
    fn an_entry_is_one_line_and_an_object() {
        let entry = entry(b"one\ntwo\n");
        assert_eq!(entry.text(true), "2026-11-21T11:20:15.613062Z web1 app[7] err: one\n    two");
        assert_eq!(Entry { message: b"x".to_vec(), ..Entry::default() }.text(false), "-: x");
        assert_eq!(
            json(&entry),
            concat!(
                r#"{"time":"2026-11-21T11:20:15.613062Z","host":"web1","unit":null,"program":"app","pid":7,"priority":"err","#,
                r#""message":"one\ntwo\n"}"#
            )
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_one_that_is_not_text_keeps_its_bytes() {
        let mut long = entry(format!("x{}", "ü".repeat(4000)).as_bytes());
        long.cut(BEGINNING);
        assert_eq!((long.message.len(), long.is_cut), (1999, true));
        let json = json(&long);
        assert!(long.text(false).ends_with("üü…") && json.ends_with("…\",\"message_cut\":true}"), "{json}");
        let mut short = entry(b"caf\xe9");
        short.cut(4);
        assert_eq!(short, entry(b"caf\xe9"));
        let binary = self::json(&entry(b"caf\xe9"));
        assert!(binary.ends_with("\"message\":\"caf\u{fffd}\",\"message_base64\":\"Y2Fm6Q==\"}"), "{binary}");
    }
}
