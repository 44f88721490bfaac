//! A message on its way to the client, as the line that it becomes.
//!
//! Owns how long a line may be: official TypeScript clients give up a connection, and all calls on it, at 10 MiB that hold
//! no end of a line. An answer that would be longer becomes an error that says so.

use std::io;

use bytes::{BufMut as _, BytesMut};
use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, ErrorData, JsonRpcMessage, RequestId, ServerResult};
use rmcp::service::TxJsonRpcMessage;
use scout_runtime::MAX_MESSAGE;
use serde::Serialize;
use serde_json::json;
use tokio_util::codec::Encoder;

use crate::message::Refusal;

/// What is written.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Outgoing {
    Message(Box<TxJsonRpcMessage<RoleServer>>),
    Refusal(Refusal),
}

/// Writes each message as a line.
#[derive(Debug, Default)]
pub(crate) struct LineEncoder;

impl Encoder<Outgoing> for LineEncoder {
    type Error = io::Error;

    fn encode(&mut self, message: Outgoing, buffer: &mut BytesMut) -> io::Result<()> {
        let begin = buffer.len();
        write(&message, buffer)?;
        let length = buffer.len() - begin;
        if length > MAX_MESSAGE
            && let Outgoing::Message(message) = message
            && let Some(shorter) = too_long(&message, length)
        {
            buffer.truncate(begin);
            write(&shorter, buffer)?;
        }
        Ok(())
    }
}

fn write(message: &impl Serialize, buffer: &mut BytesMut) -> io::Result<()> {
    serde_json::to_writer(buffer.writer(), message)?;
    buffer.put_u8(b'\n');
    Ok(())
}

/// What is said instead of an answer that would be so long.
fn too_long(message: &TxJsonRpcMessage<RoleServer>, length: usize) -> Option<TxJsonRpcMessage<RoleServer>> {
    let why =
        format!("the answer is {length} bytes long as it is written, and clients take {MAX_MESSAGE}: ask for less");
    match message {
        JsonRpcMessage::Response(response) => {
            let id: RequestId = response.id.clone();
            Some(match &response.result {
                ServerResult::CallToolResult(result) => {
                    let mut shorter = CallToolResult::error(vec![ContentBlock::text(&why)]);
                    shorter.meta.clone_from(&result.meta);
                    JsonRpcMessage::response(ServerResult::CallToolResult(shorter), id)
                }
                _ => JsonRpcMessage::error(ErrorData::internal_error(why, None), Some(id)),
            })
        }
        JsonRpcMessage::Error(error) => {
            let error_data = ErrorData::new(error.error.code, why, Some(json!({"length": length})));
            Some(JsonRpcMessage::error(error_data, error.id.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use serde_json::Value;

    use super::*;

    fn line(text: &str) -> Vec<u8> {
        let result = ServerResult::CallToolResult(CallToolResult::success(vec![ContentBlock::text(text)]));
        let mut buffer = BytesMut::from(&b"before\n"[..]);
        let message = JsonRpcMessage::response(result, RequestId::Number(7));
        LineEncoder.encode(Outgoing::Message(Box::new(message)), &mut buffer).unwrap();
        assert!(buffer.starts_with(b"before\n") && buffer.ends_with(b"\n"));
        buffer[7..].to_vec()
    }

    #[test]
    fn an_answer_is_counted_as_it_is_written_and_one_that_is_too_long_says_so() {
        let rest = line("").len();
        for (text, fits) in [
            ("x".repeat(MAX_MESSAGE - rest), true),
            ("\"".repeat((MAX_MESSAGE - rest) / 2), true),
            ("x".repeat(MAX_MESSAGE - rest + 1), false),
            ("\"".repeat((MAX_MESSAGE - rest) / 2 + 1), false),
        ] {
            let line = line(&text);
            assert!(line.len() <= MAX_MESSAGE);
            let message: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!((&message["id"], message["result"]["isError"] == json!(true)), (&json!(7), !fits));
        }
    }
}
