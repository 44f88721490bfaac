//! From a line of a client to the message that it is, or to what is answered to one that is none.
//!
//! Owns the answers that JSON-RPC has for those: -32700 for what is not JSON, -32600 for JSON that is no message. Knows no
//! streams; a line is bytes that anybody wrote.

use rmcp::RoleServer;
use rmcp::model::{ErrorCode, ErrorData, JsonRpcMessage, JsonRpcVersion2_0, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde::Serialize;
use serde::de::IgnoredAny;

/// RFC 8259 lets a parser pass over it.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The longest id and the longest name of a method, in bytes: answers repeat them. Clients count, or use UUIDs.
const MAX_NAME: usize = 1 << 10;

/// What a line is.
#[derive(Debug)]
pub enum Parsed {
    /// A message that the protocol knows.
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// A notification that it does not know. Nobody waits for an answer.
    Ignored,
    /// No message.
    Refused(Refusal),
}

/// The answer to a line that is no message, or that is over a bound.
///
/// The id of one that has none is null, as JSON-RPC 2.0 has it (§5). MCP has no null there: up to 2025-06-18 an error without
/// an id does not exist, from 2025-11-25 on the field is left out. Clients that know only one of the forms log the other, so
/// the one that every JSON-RPC peer knows is as good as any.
#[derive(Debug, Serialize)]
pub struct Refusal {
    jsonrpc: JsonRpcVersion2_0,
    id: Option<RequestId>,
    error: ErrorData,
}

/// Parses a line.
pub fn parse(line: &[u8]) -> Parsed {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let error = match serde_json::from_slice::<RxJsonRpcMessage<RoleServer>>(line) {
        Ok(message) if names_are_short(&message) => return Parsed::Message(Box::new(message)),
        Ok(_) => {
            let why = format!("the id and the name of the method are at most {MAX_NAME} bytes long");
            return Parsed::Refused(Envelope::of(line).refuse(why));
        }
        Err(error) => error,
    };
    // What is of a wrong kind may be followed by what is not JSON.
    let not_json = if error.is_data() { serde_json::from_slice::<IgnoredAny>(line).err() } else { Some(error) };
    if let Some(error) = not_json {
        return Parsed::Refused(Refusal::new(None, ErrorCode::PARSE_ERROR, format!("Parse error: {error}")));
    }
    let envelope = Envelope::of(line);
    if envelope.is_notification() {
        return Parsed::Ignored;
    }
    let why = if envelope.is_batch {
        "MCP has no batches; write each message on a line of its own"
    } else {
        "a request has `jsonrpc`: \"2.0\", an `id` that is a string or a whole number, and a `method`"
    };
    Parsed::Refused(envelope.refuse(why.to_owned()))
}

fn names_are_short(message: &RxJsonRpcMessage<RoleServer>) -> bool {
    let JsonRpcMessage::Request(request) = message else { return true };
    let id = match &request.id {
        RequestId::String(id) => id.len(),
        RequestId::Number(_) => 0,
    };
    id.max(request.request.method().len()) <= MAX_NAME
}

impl Refusal {
    fn new(id: Option<RequestId>, code: ErrorCode, message: String) -> Self {
        Self { jsonrpc: JsonRpcVersion2_0, id, error: ErrorData::new(code, message, None) }
    }

    /// The answer to a line for which there is no room now.
    pub(crate) fn busy(line: &[u8], message: String) -> Self {
        Self::new(Envelope::of(line).id(), ErrorCode::INTERNAL_ERROR, message)
    }
}

/// What the outermost object of a message says of it, read piece by piece. Of the pieces nothing is kept but an id.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    depth: usize,
    in_string: bool,
    escaped: bool,
    is_batch: bool,
    /// A name or a value of the outermost object, as far as it was read; none that is longer than [`MAX_NAME`].
    token: Vec<u8>,
    /// Where a token belongs.
    place: Place,
    has_method: bool,
    ids: usize,
    id: Option<RequestId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Name,
    Id,
    Other,
}

impl Envelope {
    /// That of a whole message.
    fn of(message: &[u8]) -> Self {
        let mut envelope = Self::default();
        envelope.read(message);
        envelope
    }

    /// Goes on with the next piece, wherever it was cut.
    pub(crate) fn read(&mut self, piece: &[u8]) {
        for byte in piece {
            self.take(*byte);
        }
    }

    /// The answer that the message cannot be taken.
    pub(crate) fn refuse(self, why: String) -> Refusal {
        Refusal::new(self.id(), ErrorCode::INVALID_REQUEST, format!("Invalid Request: {why}"))
    }

    /// The id, if it is sure that the client waits for an answer with it: that of an answer would be one of Scout's.
    fn id(&self) -> Option<RequestId> {
        if self.has_method && self.ids == 1 { self.id.clone() } else { None }
    }

    fn is_notification(&self) -> bool {
        self.has_method && self.ids == 0
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.is_batch |= self.depth == 0 && byte == b'[';
                // The value of a field is no token.
                self.keep(byte);
                self.depth += 1;
            }
            b'}' | b']' => {
                if self.depth == 1 {
                    self.end_value();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => self.end_name(),
            b',' if self.depth == 1 => self.end_value(),
            _ if byte.is_ascii_whitespace() => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        // One byte more than is told shows that there was more.
        if self.depth == 1 && self.place != Place::Other && self.token.len() <= MAX_NAME {
            self.token.push(byte);
        }
    }

    fn end_name(&mut self) {
        self.place = if self.token == b"\"id\"" { Place::Id } else { Place::Other };
        self.ids += usize::from(self.place == Place::Id);
        self.has_method |= self.token == b"\"method\"";
        self.token.clear();
    }

    fn end_value(&mut self) {
        if self.place == Place::Id && self.token.len() <= MAX_NAME {
            self.id = serde_json::from_slice(&self.token).ok();
        }
        self.place = Place::Name;
        self.token.clear();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is answered to a line.
    fn answer(line: &[u8]) -> Option<Value> {
        match parse(line) {
            Parsed::Refused(refusal) => Some(serde_json::to_value(refusal).unwrap()),
            Parsed::Message(_) | Parsed::Ignored => None,
        }
    }

    #[test]
    fn what_is_not_json_is_a_parse_error_without_an_id() {
        for line in [
            &b"{"[..],
            b"not json at all",
            b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"} {}",
            b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"pi\xff\"}",
            b"7 8",
            b"{\"id\": 1,}",
            b"\0",
        ] {
            let answer = answer(line).unwrap();
            assert_eq!(
                (&answer["jsonrpc"], answer.get("id"), &answer["error"]["code"]),
                (&json!("2.0"), Some(&Value::Null), &json!(-32700)),
                "{answer}"
            );
        }
    }

    #[test]
    fn json_that_is_no_message_is_an_invalid_request_with_its_id_if_it_is_one_of_the_clients() {
        for (line, id) in [
            ("null", json!(null)),
            ("[]", json!(null)),
            (r#"[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]"#, json!(null)),
            (r#"{"jsonrpc": "2.0"}"#, json!(null)),
            (r#"{"jsonrpc": "2.0", "id": 7}"#, json!(null)),
            (r#"{"jsonrpc": "1.0", "id": 7, "method": "ping"}"#, json!(7)),
            (r#"{"id": "x\u0041\"}", "method": "ping", "jsonrpc": 2}"#, json!("xA\"}")),
            (r#"{"jsonrpc": "2.0", "id": null, "method": "ping"}"#, json!(null)),
            (r#"{"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"}"#, json!(null)),
            (r#"{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}"#, json!(null)),
            (r#"{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "ping"}"#, json!(null)),
            (r#"{"jsonrpc": "2.0", "id": 3, "result": {}, "error": {}}"#, json!(null)),
            (r#"{"jsonrpc": "3", "params": {"id": 1, "method": "x"}, "method": "y", "id": -4 }"#, json!(-4)),
        ] {
            let answer = answer(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(-32600)), "{line}: {answer}");
        }
    }

    #[test]
    fn what_answers_repeat_is_short() {
        let request = |id: usize, method: usize| {
            format!(r#"{{"jsonrpc": "2.0", "id": "{}", "method": "{}"}}"#, "x".repeat(id), "y".repeat(method))
        };
        assert!(matches!(parse(request(MAX_NAME, MAX_NAME).as_bytes()), Parsed::Message(_)));
        for (line, tells_id) in [(request(MAX_NAME + 1, 1), false), (request(10, MAX_NAME + 1), true)] {
            let answer = answer(line.as_bytes()).unwrap();
            assert_eq!((answer["id"].is_string(), &answer["error"]["code"]), (tells_id, &json!(-32600)), "{answer}");
        }
    }

    #[test]
    fn messages_are_taken_and_notifications_never_answered() {
        for line in [
            &br#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#[..],
            b"\xEF\xBB\xBF{\"jsonrpc\": \"2.0\", \"id\": \"x\", \"method\": \"nonsense/list\"}\r",
            br#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#,
            br#"{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}"#,
        ] {
            assert!(matches!(parse(line), Parsed::Message(_)), "{}", String::from_utf8_lossy(line));
        }
        let odd = br#"{"jsonrpc": "1", "method": "textDocument/didOpen", "params": {"id": 7}}"#;
        assert!(matches!(parse(odd), Parsed::Ignored));
    }

    #[test]
    fn it_does_not_matter_where_a_message_is_cut() {
        let line = br#"{ "a": [{"id": 9}, "\"}"], "id" : "1,2" , "method": "x"}"#;
        for at in 0..=line.len() {
            let mut envelope = Envelope::default();
            let (first, second) = line.split_at(at);
            envelope.read(first);
            envelope.read(second);
            assert_eq!(envelope.id(), Some(RequestId::String("1,2".into())), "{at}");
        }
    }
}
