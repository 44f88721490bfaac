//! From a line of a client to the messages that it is, or to what is answered to one that is none.
//!
//! Owns the answers that JSON-RPC has for those: -32700 for what is not JSON, -32600 for JSON that is no message, -32602 for
//! parameters of a wrong kind. Knows no streams; a line is bytes that anybody wrote.

use rmcp::RoleServer;
use rmcp::model::{
    ClientRequest, ErrorCode, ErrorData, GetMeta as _, JsonRpcMessage, JsonRpcVersion2_0, ProgressToken, RequestId,
};
use rmcp::service::RxJsonRpcMessage;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::params::{self, MAX_TOKEN};

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

/// Parses a line. A batch is one where they are `allowed`, in the order of its members; elsewhere it is no message.
pub fn parse(line: &[u8], batches_allowed: bool) -> Vec<Parsed> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    if batches_allowed
        && line.trim_ascii_start().starts_with(b"[")
        && let Ok(members) = serde_json::from_slice::<Vec<Value>>(line)
        && !members.is_empty()
    {
        return members.iter().map(member).collect();
    }
    vec![message(line)]
}

/// A member of a batch.
fn member(member: &Value) -> Parsed {
    let line = member.to_string();
    match message(line.as_bytes()) {
        Parsed::Message(message) if is_initialize(&message) => {
            let why = "`initialize` is not part of a batch: write it on a line of its own";
            Parsed::Refused(Envelope::of(line.as_bytes()).refuse(why.to_owned()))
        }
        parsed => parsed,
    }
}

fn is_initialize(message: &RxJsonRpcMessage<RoleServer>) -> bool {
    let JsonRpcMessage::Request(request) = message else { return false };
    matches!(request.request, ClientRequest::InitializeRequest(_))
}

/// Parses one message.
fn message(line: &[u8]) -> Parsed {
    let error = match serde_json::from_slice::<RxJsonRpcMessage<RoleServer>>(line) {
        Ok(message) => {
            return match refusal(&message, line) {
                Some(refusal) => Parsed::Refused(refusal),
                None => Parsed::Message(Box::new(message)),
            };
        }
        Err(error) => error,
    };
    // What is of a wrong kind may be followed by what is not JSON.
    let not_json = if error.is_data() { serde_json::from_slice::<IgnoredAny>(line).err() } else { Some(error) };
    if let Some(error) = not_json {
        return Parsed::Refused(Refusal::new(None, ErrorCode::PARSE_ERROR, format!("Parse error: {error}")));
    }
    if let Some(refusal) = wrong_params(line) {
        return Parsed::Refused(refusal);
    }
    let envelope = Envelope::of(line);
    if envelope.is_notification() {
        return Parsed::Ignored;
    }
    let why = if envelope.is_batch {
        "only the revision 2025-03-26 of MCP has batches, and a batch cannot be empty; write each message on a line of its own"
    } else {
        "a request has `jsonrpc`: \"2.0\", an `id` that is a string or a whole number, and a `method`"
    };
    Parsed::Refused(envelope.refuse(why.to_owned()))
}

/// Why a message that the protocol knows is not taken all the same.
fn refusal(message: &RxJsonRpcMessage<RoleServer>, line: &[u8]) -> Option<Refusal> {
    let JsonRpcMessage::Request(request) = message else { return None };
    let id = match &request.id {
        RequestId::String(id) => id.len(),
        RequestId::Number(_) => 0,
    };
    if id.max(request.request.method().len()) > MAX_NAME {
        let why = format!("the id and the name of the method are at most {MAX_NAME} bytes long");
        return Some(Envelope::of(line).refuse(why));
    }
    let token = request.request.get_meta().get_progress_token();
    let mistake = match (&request.request, token) {
        (_, Some(ProgressToken(RequestId::String(token)))) if token.len() > MAX_TOKEN => {
            Some(format!("`_meta.progressToken` is at most {MAX_TOKEN} bytes long"))
        }
        (ClientRequest::CustomRequest(custom), _) => params::mistake(&custom.method, custom.params.as_ref()),
        _ => None,
    };
    mistake.map(|why| Refusal::params(request.id.clone(), &why))
}

/// The answer to what is a request in all but its parameters.
fn wrong_params(line: &[u8]) -> Option<Refusal> {
    let request: Value = serde_json::from_slice(line).ok()?;
    let id = Envelope::of(line).id()?;
    let is_request = request.get("jsonrpc")? == "2.0";
    let why = params::mistake(request.get("method")?.as_str()?, request.get("params"))?;
    is_request.then(|| Refusal::params(id, &why))
}

impl Refusal {
    fn new(id: Option<RequestId>, code: ErrorCode, message: String) -> Self {
        Self { jsonrpc: JsonRpcVersion2_0, id, error: ErrorData::new(code, message, None) }
    }

    /// The answer to what is no request that could be handled.
    pub(crate) fn invalid(why: String) -> Self {
        Self::new(None, ErrorCode::INVALID_REQUEST, why)
    }

    /// The answer to a request whose parameters are not those of its method.
    fn params(id: RequestId, why: &str) -> Self {
        Self::new(Some(id), ErrorCode::INVALID_PARAMS, format!("Invalid params: {why}"))
    }

    /// The answer to a request of a method that the revision it speaks does not have.
    pub(crate) fn method(id: RequestId, why: String) -> Self {
        Self::new(Some(id), ErrorCode::METHOD_NOT_FOUND, why)
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
        // A letter of a name may be written as an escape. One that is longer than is kept is no JSON here, and neither of them.
        let name = serde_json::from_slice::<String>(&self.token).unwrap_or_default();
        self.place = if name == "id" { Place::Id } else { Place::Other };
        self.ids += usize::from(self.place == Place::Id);
        self.has_method |= name == "method";
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
    use serde_json::json;

    use super::*;

    fn one(line: &[u8]) -> Parsed {
        let [parsed] = <[Parsed; 1]>::try_from(parse(line, false)).unwrap();
        parsed
    }

    fn told(parsed: Parsed) -> Option<Value> {
        match parsed {
            Parsed::Refused(refusal) => Some(serde_json::to_value(refusal).unwrap()),
            Parsed::Message(_) | Parsed::Ignored => None,
        }
    }

    /// What is answered to a line.
    fn answer(line: &[u8]) -> Option<Value> {
        told(one(line))
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
            (r#"{"jsonrpc": "1.0", "\u0069d": 7, "m\u0065thod": "ping"}"#, json!(7)),
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
    fn parameters_of_a_wrong_kind_are_refused_with_the_id_of_their_request() {
        for (params, says) in [
            (r#"{"name": 5}"#, "`name` is a number"),
            (r#"{"name": "scout", "arguments": "hosts"}"#, "`arguments` is a string"),
            (r#"{"arguments": {}}"#, "`name` is missing"),
            ("[]", "`params` is an array"),
            (r#"{"name": "scout", "_meta": 7}"#, "`_meta` is a number"),
        ] {
            let line = format!(r#"{{"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {params}}}"#);
            let answer = answer(line.as_bytes()).unwrap();
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("a"), &json!(-32602)), "{answer}");
            assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
        }
        let token = |length: usize| {
            let params = json!({"name": "scout", "_meta": {"progressToken": "x".repeat(length)}});
            answer(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string().as_bytes())
        };
        assert_eq!(token(MAX_TOKEN), None);
        assert_eq!(token(MAX_TOKEN + 1).unwrap()["error"]["code"], json!(-32602));
    }

    #[test]
    fn each_member_of_a_batch_is_a_message_of_its_own_where_there_are_batches() {
        let batch = br#" [{"jsonrpc": "2.0", "id": 1, "method": "ping"}, 7, {"jsonrpc": "2.0", "method": "x"},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}, {"jsonrpc": "2.0", "id": 3, "method": "initialize",
            "params": {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "", "version": ""}}}]"#;
        let members = parse(batch, true);
        assert!(matches!(members.as_slice(), [Parsed::Message(_), _, Parsed::Message(_), _, _]), "{members:?}");
        let told: Vec<Value> = members.into_iter().filter_map(told).collect();
        let codes: Vec<_> = told.iter().map(|told| (&told["id"], &told["error"]["code"])).collect();
        let expected = [(json!(null), json!(-32600)), (json!(2), json!(-32602)), (json!(3), json!(-32600))];
        assert_eq!(codes, expected.iter().map(|(id, code)| (id, code)).collect::<Vec<_>>());
        for (line, allowed, code) in [(&b"[]"[..], true, -32600), (batch, false, -32600), (b"[1,", true, -32700)] {
            let [refused] = <[Parsed; 1]>::try_from(parse(line, allowed)).unwrap();
            assert_eq!(super::tests::told(refused).unwrap()["error"]["code"], json!(code));
        }
    }

    #[test]
    fn what_answers_repeat_is_short() {
        let request = |id: usize, method: usize| {
            format!(r#"{{"jsonrpc": "2.0", "id": "{}", "method": "{}"}}"#, "x".repeat(id), "y".repeat(method))
        };
        assert!(matches!(one(request(MAX_NAME, MAX_NAME).as_bytes()), Parsed::Message(_)));
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
            assert!(matches!(one(line), Parsed::Message(_)), "{}", String::from_utf8_lossy(line));
        }
        let odd = br#"{"jsonrpc": "1", "method": "textDocument/didOpen", "params": {"id": 7}}"#;
        assert!(matches!(one(odd), Parsed::Ignored));
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
