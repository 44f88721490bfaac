//! MCP over HTTP, one request at a time: rmcp's Streamable HTTP without sessions, for every revision that it speaks.
//!
//! Owns what a body asks for, as far as the way over HTTP has to know it. Which request is whose is `http`'s.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::http::request::Parts;
use rmcp::model::{ClientNotification, ClientRequest, ErrorData, JsonRpcError, JsonRpcMessage, RequestId};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::value::RawValue;

use super::McpServer;
use super::session::Changes;
use crate::http::Answer;
use crate::lines::MAX_LINE;
use crate::message::{Parsed, Refusal, parse};
use crate::transport::Answers;

/// The revision whose clients may send several messages as one.
pub(crate) const WITH_BATCHES: &str = "2025-03-26";

/// The members of a batch. None: it is none, or has none.
pub(crate) fn members(body: &[u8]) -> Option<Vec<Bytes>> {
    if !body.trim_ascii_start().starts_with(b"[") {
        return None;
    }
    let members: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let members: Vec<_> = members.into_iter().map(|member| Bytes::copy_from_slice(member.get().as_bytes())).collect();
    (!members.is_empty()).then_some(members)
}

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// The handshake of before 2026-07-28.
    Begins,
    /// An answer, with this id as JSON has it.
    Request(String),
    /// That the request with this id is cancelled.
    Cancels(String),
    /// Nothing.
    Tells,
}

/// What the body of a request asks for.
///
/// # Errors
/// It is no message.
pub(crate) fn asks(body: &[u8]) -> Result<Asks, Refusal> {
    let Some(parsed) = parse(body, false).pop() else { return Ok(Asks::Tells) };
    let message = match parsed {
        Parsed::Message(message) => message,
        Parsed::Ignored => return Ok(Asks::Tells),
        Parsed::Refused(refusal) => return Err(refusal),
    };
    Ok(match *message {
        JsonRpcMessage::Request(request) => match request.request {
            ClientRequest::InitializeRequest(_) => Asks::Begins,
            _ => Asks::Request(as_json(&request.id)),
        },
        JsonRpcMessage::Notification(notification) => match notification.notification {
            ClientNotification::CancelledNotification(cancelled) => {
                cancelled.params.request_id.as_ref().map_or(Asks::Tells, |id| Asks::Cancels(as_json(id)))
            }
            _ => Asks::Tells,
        },
        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => Asks::Tells,
    })
}

fn as_json(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_default()
}

/// What is answered instead of what clients would not take, with this id as JSON has it.
pub(crate) fn too_long(id: &str, why: String) -> String {
    let error = ErrorData::internal_error(why, None);
    serde_json::to_string(&JsonRpcError::new(serde_json::from_str(id).ok(), error)).unwrap_or_default()
}

/// Answers one request of a principal. What is reserved for the answer goes there, and is to be kept until it was sent.
///
/// # Cancel safety
/// Dropping the future, or the body that it has given, cancels the call.
pub(crate) async fn answer(
    (of, client): (&McpServer, Arc<dyn Any + Send + Sync>),
    answers: Answers,
    head: Parts,
    body: Bytes,
) -> Answer {
    static CONFIG: LazyLock<StreamableHttpServerConfig> = LazyLock::new(|| {
        // Hosts and origins are looked at before, with names that may change while Scout runs.
        StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_LINE)
    });
    static NO_SESSIONS: LazyLock<Arc<NeverSessionManager>> = LazyLock::new(Arc::default);
    let server = of.of_request(answers, client);
    let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::clone(&NO_SESSIONS), CONFIG.clone());
    service.handle(Request::from_parts(head, Full::new(body))).await
}

/// What a session is told without having asked.
///
/// # Errors
/// The principal has as many streams and subscriptions as it may.
pub(crate) fn changes(of: &McpServer) -> Result<Changes, String> {
    of.changes()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_told_by_what_it_asks_for() {
        let told = |json: &str| asks(json.as_bytes()).map_err(|refusal| serde_json::to_value(refusal).unwrap());
        let request = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        assert_ne!(told(&request("1")).unwrap(), told(&request("\"1\"")).unwrap());
        assert_eq!(told(&request("7")).unwrap(), Asks::Request("7".to_owned()));
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
        assert_eq!(told(cancel).unwrap(), Asks::Cancels("7".to_owned()));
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",
            "capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
        assert_eq!(told(initialize).unwrap(), Asks::Begins);
        assert_eq!(told(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap(), Asks::Tells);
        for (body, code) in [("{", -32700), ("[]", -32600), (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600)]
        {
            assert_eq!(told(body).unwrap_err().pointer("/error/code").unwrap(), code, "{body}");
        }
    }
}
