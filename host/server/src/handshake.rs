//! How far a client and Scout have agreed on a revision of the protocol, and what of a client's messages belongs to it.
//!
//! Owns what rmcp leaves open: it ends a connection that begins with a notification, and answers a `ping` of 2026-07-28
//! that comes before anything else.

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, GetMeta as _, JsonRpcMessage, ProtocolVersion, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};

use crate::message::Refusal;

/// What is agreed.
#[derive(Debug, Default)]
pub(crate) enum Handshake {
    /// Nothing yet.
    #[default]
    Open,
    /// `initialize` was answered with this revision.
    Shaken(ProtocolVersion),
    /// Each request names its revision, as from 2026-07-28 on.
    PerRequest,
}

/// What becomes of a message.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is handled.
    Taken,
    /// Nobody waits for an answer to it.
    Ignored,
    /// It is answered with this.
    Refused(Refusal),
}

impl Handshake {
    /// Whether a line may hold several messages.
    pub(crate) fn has_batches(&self) -> bool {
        matches!(self, Self::Shaken(revision) if *revision == ProtocolVersion::V_2025_03_26)
    }

    /// Looks at a message of the client's.
    pub(crate) fn receive(&mut self, message: &RxJsonRpcMessage<RoleServer>) -> Verdict {
        let JsonRpcMessage::Request(request) = message else {
            // Before anything is agreed there is nothing that it could be about.
            return if matches!(self, Self::Open) { Verdict::Ignored } else { Verdict::Taken };
        };
        let named = request.request.get_meta().protocol_version();
        match &request.request {
            ClientRequest::PingRequest(_) => {
                let is_gone = match &named {
                    Some(revision) => !revision.has_initialize(),
                    None => matches!(self, Self::PerRequest),
                };
                if is_gone {
                    let why = format!("Method not found: `ping` is gone since {}", ProtocolVersion::NO_INITIALIZE);
                    return Verdict::Refused(Refusal::method(request.id.clone(), why));
                }
            }
            ClientRequest::InitializeRequest(_) | ClientRequest::DiscoverRequest(_) => {}
            _ if matches!(self, Self::Open) && named.is_some() => *self = Self::PerRequest,
            _ => {}
        }
        Verdict::Taken
    }

    /// Looks at a message to the client.
    pub(crate) fn send(&mut self, message: &TxJsonRpcMessage<RoleServer>) {
        if let JsonRpcMessage::Response(response) = message
            && let ServerResult::InitializeResult(agreed) = &response.result
        {
            *self = Self::Shaken(agreed.protocol_version.clone());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use rmcp::model::{RequestId, ServerConfig};
    use serde_json::{Value, json};

    use super::*;

    fn message(value: Value) -> RxJsonRpcMessage<RoleServer> {
        serde_json::from_value(value).unwrap()
    }

    fn request(method: &str, revision: Option<&str>) -> RxJsonRpcMessage<RoleServer> {
        let named = revision.map(|revision| {
            json!({"_meta": {
                "io.modelcontextprotocol/protocolVersion": revision,
                "io.modelcontextprotocol/clientCapabilities": {},
            }})
        });
        let mut message = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        if let (Some(named), Value::Object(fields)) = (named, &mut message) {
            fields.insert("params".to_owned(), named);
        }
        self::message(message)
    }

    fn shaken(revision: ProtocolVersion) -> Handshake {
        let mut handshake = Handshake::default();
        let agreed = ServerConfig::default().with_protocol_version(revision);
        handshake.send(&JsonRpcMessage::response(ServerResult::InitializeResult(agreed), RequestId::Number(1)));
        handshake
    }

    #[test]
    fn what_needs_no_answer_is_ignored_until_something_is_agreed() {
        let initialized = message(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        let response = message(json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
        for message in [initialized, response] {
            assert!(matches!(Handshake::Open.receive(&message), Verdict::Ignored));
            for mut agreed in [Handshake::PerRequest, shaken(ProtocolVersion::V_2025_03_26)] {
                assert!(matches!(agreed.receive(&message), Verdict::Taken));
            }
        }
    }

    #[test]
    fn ping_is_gone_where_each_request_names_its_revision() {
        let is_gone = |mut handshake: Handshake, revision| {
            matches!(handshake.receive(&request("ping", revision)), Verdict::Refused(_))
        };
        assert!(is_gone(Handshake::Open, Some("2026-07-28")) && is_gone(Handshake::PerRequest, None));
        assert!(is_gone(shaken(ProtocolVersion::V_2025_03_26), Some("2026-07-28")));
        assert!(!is_gone(Handshake::Open, None) && !is_gone(shaken(ProtocolVersion::V_2025_03_26), None));
        let mut handshake = Handshake::Open;
        handshake.receive(&request("server/discover", Some("2026-07-28")));
        assert!(matches!(handshake, Handshake::Open), "a client that only asks may shake hands next");
        handshake.receive(&request("tools/list", Some("2026-07-28")));
        assert!(is_gone(handshake, None));
    }

    #[test]
    fn only_one_revision_has_batches() {
        assert!(shaken(ProtocolVersion::V_2025_03_26).has_batches());
        assert!(!Handshake::Open.has_batches() && !Handshake::PerRequest.has_batches());
        assert!(!shaken(ProtocolVersion::V_2024_11_05).has_batches());
    }
}
