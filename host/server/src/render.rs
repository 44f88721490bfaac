//! From a plugin's answer to what a client may see: decoded, secrets masked where that is asked for, hidden characters made visible.
//!
//! Invariant: nothing that came from a plugin or a remote host leaves this process without passing here.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use scout_machine::hidden;
use scout_machine::visible;
use scout_runtime::{Answer, AnswerFailure, AnswerMemory, CallError, Content, Encoding, Receipt, Structured};
use serde_json::{Map, Value, json};

use crate::client_memory::Reservation;
use crate::exit::{Exit, Secrets};

/// An answer as clients see it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Parts of text, in order.
    pub text: Vec<Text>,
    /// Pictures, behind all text: in base64, with their media types.
    pub images: Vec<(String, &'static str)>,
    /// The structured answer.
    pub structured: Option<Structured>,
    /// Whether the operation failed.
    pub is_error: bool,
    /// Why it failed, in a word for programs, where Scout tells that.
    pub reason: Option<Cow<'static, str>>,
    /// What there is not, if that is why.
    pub missing: Option<Missing>,
    /// Whether what was asked is of a wrong kind, for which the protocol has an error of its own.
    pub is_misasked: bool,
    /// What it cost.
    pub receipt: Receipt,
    /// How many secrets were masked in it; absent: it has not been looked at.
    pub redacted: Option<usize>,
    /// The bytes of a file, as they are, for resources.
    pub raw: Option<Bytes>,
    /// Of a plugin's resource: the media type of what was read.
    pub media_type: Option<String>,
    /// The memory that the answer took, for as long as this is there.
    pub held: AnswerMemory,
    /// What is reserved for it, where that is counted: to be kept until it is written.
    pub room: Option<Arc<Reservation>>,
}

/// A part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// This.
    Said(String),
    /// What this field of the structured answer is, a string: a file's content is both, and here once.
    Field(String),
}

/// What was asked for and is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A host, or a file or directory on it.
    Target,
    /// A tool.
    Tool,
}

/// The field of a failure that says nothing but why.
const ERROR: &str = "error";

/// What becomes of bytes that are no text, which a plugin has answered with as base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64 {
    /// They are answered.
    Given,
    /// They are left out: nobody asked for them.
    LeftOut,
}

impl Reply {
    /// A failure told in one sentence, and what to do instead. `reason` is a word for programs.
    pub fn failure(reason: impl Into<Cow<'static, str>>, message: &str, hint: Option<&str>, receipt: Receipt) -> Self {
        let reason = reason.into();
        let fields = Map::from_iter([(ERROR.to_owned(), why(&reason, message, hint))]);
        let structured = Some(Structured::Fields(fields));
        let text = vec![Text::Said(shown(in_words(message, hint)))];
        Self { text, structured, is_error: true, reason: Some(reason), receipt, ..Self::default() }
    }

    /// Whether it is a failure that says nothing but why.
    pub fn is_only_why(&self) -> bool {
        let has_others = match &self.structured {
            Some(Structured::Fields(fields)) => fields.keys().any(|field| field != ERROR),
            Some(Structured::Text(_)) => true,
            None => false,
        };
        self.is_error && !has_others
    }

    /// The same without its fields but why it failed: its text says what there is to say.
    #[must_use]
    pub(crate) fn without_fields(mut self) -> Self {
        self.text = self.texts().map(|text| Text::Said(text.to_owned())).collect();
        self.structured = self.take_why().map(|why| Structured::Fields(Map::from_iter([why])));
        if self.says_nothing() {
            self.text = vec![Text::Said("the plugin says that it failed, but not why".to_owned())];
        }
        self
    }

    /// Its parts of text, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.text.iter().map(|text| text.within(self.structured.as_ref()))
    }

    /// Whether there is not a word in it.
    pub(crate) fn says_nothing(&self) -> bool {
        self.texts().all(str::is_empty)
    }

    /// Takes the field out that says why it failed.
    pub(crate) fn take_why(&mut self) -> Option<(String, Value)> {
        match self.structured.as_mut()? {
            Structured::Fields(fields) => fields.remove_entry(ERROR),
            // There is none in the text of a success.
            Structured::Text(_) => None,
        }
    }

    /// The failure that what was asked is of a wrong kind.
    #[must_use]
    pub fn misasked(self) -> Self {
        Self { is_misasked: true, ..self }
    }

    /// The failure that this is not there.
    #[must_use]
    pub fn missing(self, what: Missing) -> Self {
        Self { missing: Some(what), ..self }
    }

    /// The same with its secrets masked, if they are to be and it has not been looked at: a failure, whose words come from anywhere.
    #[must_use]
    pub fn leaving(mut self, secrets: Secrets) -> Self {
        if secrets == Secrets::Shown || self.redacted.is_some() {
            return self;
        }
        let mut exit = Exit::new(secrets);
        for text in &mut self.text {
            if let Text::Said(said) = text {
                *said = exit.text(std::mem::take(said));
            }
        }
        self.structured = self.structured.take().map(|structured| {
            let mut fields = structured.into_fields();
            exit.fields(&mut fields);
            Structured::Fields(fields)
        });
        self.raw = self.raw.take().map(|raw| exit.bytes(&raw));
        self.redacted = Some(exit.masked);
        self
    }

    /// All text of it.
    pub fn joined(&self) -> String {
        self.texts().collect::<Vec<_>>().join("\n")
    }

    /// The receipt as it goes into `_meta`.
    pub fn receipt_json(&self) -> Value {
        let receipt = &self.receipt;
        json!({
            "wall_ms": milliseconds(receipt.wall),
            "cpu_ms": milliseconds(receipt.cpu),
            "host_calls": receipt.host_calls,
            "memory_peak": receipt.memory_peak,
            "round_trips": receipt.round_trips,
            "remote_bytes": receipt.remote_bytes,
            "copied_bytes": receipt.copied_bytes,
            "execs": receipt.execs,
            "shell_execs": receipt.shell_execs,
            "redacted": self.redacted.unwrap_or_default(),
        })
    }
}

impl Text {
    fn within<'a>(&'a self, structured: Option<&'a Structured>) -> &'a str {
        match (self, structured) {
            (Self::Said(text), _) => text,
            (Self::Field(name), Some(Structured::Fields(fields))) => {
                fields.get(name).and_then(Value::as_str).unwrap_or_default()
            }
            (Self::Field(_), Some(Structured::Text(_)) | None) => "",
        }
    }
}

/// A failure in words.
fn in_words(message: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| message.to_owned(), |hint| format!("{message}\n{hint}"))
}

/// A failure in fields.
fn why(reason: &str, message: &str, hint: Option<&str>) -> Value {
    let mut error =
        Map::from_iter([("kind".to_owned(), reason.into()), ("message".to_owned(), visible(message).into())]);
    error.extend(hint.map(|hint| ("hint".to_owned(), visible(hint).into())));
    Value::Object(error)
}

impl From<CallError> for Reply {
    fn from(error: CallError) -> Self {
        let reply = Self::failure(error.reason, &error.message, error.hint.as_deref(), error.receipt);
        if error.is_missing { reply.missing(Missing::Target) } else { reply }
    }
}

/// Makes an answer fit to be seen.
pub fn render(answer: Answer, base64: Base64, secrets: Secrets, receipt: Receipt) -> Reply {
    let mut exit = Exit::new(secrets);
    let raw = answer
        .content
        .iter()
        .find_map(|content| match content {
            Content::Bytes(bytes) => Some(bytes.clone()),
            Content::Text(_) | Content::Image(..) => None,
        })
        .or_else(|| answer.attachments.iter().find(|(field, ..)| field == "content").map(|(_, bytes, _)| bytes.clone()))
        .map(|raw| exit.bytes(&raw));
    let is_error = answer.failure.is_some();
    // Which bytes each field of a blob is.
    let mut shared: Vec<(String, Bytes)> = Vec::new();
    let structured = answer.structured.map(|structured| {
        if matches!(structured, Structured::Text(_)) && answer.attachments.is_empty() && !is_error && exit.is_open() {
            return structured;
        }
        let mut fields = structured.into_fields();
        exit.fields(&mut fields);
        make_fields_visible(&mut fields);
        for (field, bytes, encoding) in answer.attachments {
            let bytes = exit.bytes(&bytes);
            let field = visible(&field).into_owned();
            let value = match (encoding, base64) {
                (Encoding::Text, _) => shown_bytes(&bytes),
                (Encoding::Base64, Base64::Given) => BASE64_STANDARD.encode(&bytes),
                (Encoding::Base64, Base64::LeftOut) => continue,
            };
            // The last one of a name is the field.
            shared.retain(|(other, _)| *other != field);
            if encoding == Encoding::Text && field != ERROR {
                shared.push((field.clone(), bytes));
            }
            fields.insert(field, Value::String(value));
        }
        Structured::Fields(fields)
    });
    let field_of = |bytes: &Bytes| {
        let is_same = |other: &Bytes| (other.as_ptr(), other.len()) == (bytes.as_ptr(), bytes.len());
        shared.iter().find(|(_, other)| is_same(other)).map(|(field, _)| Text::Field(field.clone()))
    };
    let (mut text, mut images) = (Vec::new(), Vec::new());
    for content in answer.content {
        match content {
            Content::Text(said) => text.push(Text::Said(shown(exit.text(said)))),
            Content::Bytes(bytes) => {
                let bytes = exit.bytes(&bytes);
                text.push(field_of(&bytes).unwrap_or_else(|| Text::Said(shown_bytes(&bytes))));
            }
            Content::Image(bytes, format) => images.push((BASE64_STANDARD.encode(&bytes), format.media_type())),
        }
    }
    let mut reply = Reply { text, images, structured, is_error, receipt, raw, held: answer.held, ..Reply::default() };
    if let Some(AnswerFailure { kind, message, hint }) = answer.failure {
        let (message, hint) = (exit.text(message), hint.map(|hint| exit.text(hint)));
        if reply.says_nothing() {
            reply.text = vec![Text::Said(shown(in_words(&message, hint.as_deref())))];
        }
        let mut fields = reply.structured.take().map(Structured::into_fields).unwrap_or_default();
        fields.insert(ERROR.to_owned(), why(&kind, &message, hint.as_deref()));
        reply.structured = Some(Structured::Fields(fields));
        reply.reason = Some(kind);
    }
    reply.redacted = (secrets == Secrets::Masked).then_some(exit.masked);
    reply
}

/// A text with what is hidden in it made visible; it itself where nothing is.
fn shown(text: String) -> String {
    match visible(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => shown,
    }
}

/// The same of bytes.
fn shown_bytes(bytes: &[u8]) -> String {
    match decoded(bytes) {
        Cow::Borrowed(text) => visible(text).into_owned(),
        Cow::Owned(text) => shown(text),
    }
}

/// UTF-8 as far as it goes; a character that a cap has split at the end is left out, not replaced.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default())
        }
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Makes every string of a value visible, and the names of its fields. Of names that look the same the first stays.
fn make_visible(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(shown) = visible(text) {
                *text = shown;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_visible),
        Value::Object(fields) => make_fields_visible(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same for the fields of an object.
fn make_fields_visible(fields: &mut Map<String, Value>) {
    fields.values_mut().for_each(make_visible);
    if fields.keys().any(|name| hidden(name).next().is_some()) {
        for (name, value) in std::mem::take(fields) {
            fields.entry(visible(&name)).or_insert(value);
        }
    }
}

fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(reply: Reply) -> Map<String, Value> {
        reply.structured.map(Structured::into_fields).unwrap_or_default()
    }

    #[test]
    fn a_character_split_by_the_cap_is_left_out_and_a_broken_one_replaced() {
        assert_eq!(decoded(b"w\xc3\xb6"), "wö");
        assert_eq!(decoded(b"w\xc3"), "w");
        assert_eq!(decoded(b"caf\xe9."), "caf\u{fffd}.");
    }

    #[test]
    fn bytes_that_are_no_text_are_given_to_who_asks_and_kept_for_resources() {
        let attachment = || ("content".to_owned(), Bytes::from_static(b"\xff\x00"), Encoding::Base64);
        for (base64, content) in [(Base64::Given, Some(json!("/wA="))), (Base64::LeftOut, None)] {
            let answer = Answer {
                structured: Some(Structured::Fields(Map::new())),
                attachments: vec![attachment()],
                ..Answer::default()
            };
            let reply = render(answer, base64, Secrets::Shown, Receipt::default());
            assert_eq!(reply.raw.as_deref(), Some(&b"\xff\x00"[..]));
            assert_eq!(fields(reply).get("content").cloned(), content);
        }
    }

    #[test]
    fn bytes_that_are_text_and_a_field_are_here_once() {
        let (one, other) = (Bytes::from_static(b"one \x1b\xff"), Bytes::from_static(b"other"));
        let field = |name: &str, bytes: &Bytes| (name.to_owned(), bytes.clone(), Encoding::Text);
        let said = |text: &str| Text::Said(text.to_owned());
        let shown = |name: &str| Text::Field(name.to_owned());
        for (attachments, texts) in [
            (vec![field("a", &one), field("b", &other)], [shown("a"), shown("b")]),
            (vec![field("a\u{1b}", &one), field("b", &one)], [shown("a␛"), said("other")]),
            // The last of a name is the field.
            (vec![field("a", &one), field("a", &other)], [said("one ␛\u{fffd}"), shown("a")]),
            (vec![("a".to_owned(), one.clone(), Encoding::Base64)], [said("one ␛\u{fffd}"), said("other")]),
            (
                vec![field("a", &one), ("a".to_owned(), one.clone(), Encoding::Base64)],
                [said("one ␛\u{fffd}"), said("other")],
            ),
            // Why it failed is there.
            (vec![field("error", &one)], [said("one ␛\u{fffd}"), said("other")]),
        ] {
            for failure in [None, Some(AnswerFailure { kind: "remote".into(), message: "m".to_owned(), hint: None })] {
                let answer = Answer {
                    content: vec![Content::Bytes(one.clone()), Content::Bytes(other.clone())],
                    structured: Some(Structured::Fields(Map::new())),
                    attachments: attachments.clone(),
                    failure,
                    ..Answer::default()
                };
                let reply = render(answer, Base64::Given, Secrets::Shown, Receipt::default());
                assert_eq!(reply.text, texts);
                assert_eq!(reply.joined(), "one ␛\u{fffd}\nother");
                if reply.is_error {
                    assert_eq!(reply.without_fields().joined(), "one ␛\u{fffd}\nother");
                }
            }
        }
        let equal = Bytes::copy_from_slice(b"other");
        let answer =
            Answer { content: vec![Content::Bytes(equal)], attachments: vec![field("a", &other)], ..Answer::default() };
        assert_eq!(
            render(answer, Base64::Given, Secrets::Shown, Receipt::default()).text,
            [said("other")],
            "there are no fields"
        );
    }

    #[test]
    fn a_failure_says_in_fields_what_it_says_in_words() {
        let reply = Reply::failure("not-found", "no \u{1b}", Some("ask \u{200b}"), Receipt::default());
        let told = json!({"error": {"kind": "not-found", "message": "no ␛", "hint": "ask <U+200B>"}});
        assert!(reply.is_only_why());
        assert_eq!((reply.joined().as_str(), Value::Object(fields(reply.clone()))), ("no ␛\nask <U+200B>", told));
    }

    #[test]
    fn structured_text_is_made_visible_at_every_depth_with_its_names() {
        let given = json!({"a": ["\u{1b}"], "b": {"c\u{200b}": "\u{1b}", "c<U+200B>": 1, "e": 2}}).as_object().cloned();
        let answer = Answer {
            structured: given.map(Structured::Fields),
            attachments: vec![("d\u{1b}".to_owned(), Bytes::from_static(b"\x1b"), Encoding::Text)],
            ..Answer::default()
        };
        let reply = render(answer, Base64::Given, Secrets::Shown, Receipt::default());
        let shown = json!({"a": ["␛"], "b": {"c<U+200B>": 1, "e": 2}, "d␛": "␛"});
        assert_eq!(Value::Object(fields(reply)), shown);
    }
}
