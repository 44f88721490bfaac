//! A message on its way to the client, as the line that it becomes.
//!
//! Owns how long a line may be: official TypeScript clients give up a connection, and all calls on it, at 10 MiB that hold
//! no end of a line. An answer that would be longer becomes an error that says so. Owns too that a text which an answer says twice, as
//! content and as a field, is in memory once: it is escaped once, and both places are written from there.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::io::{self, IoSlice};

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use memchr::memmem;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, ContentBlock, ErrorData, JsonRpcMessage, MetaObject, RequestId, ServerResult, TextContent,
};
use rmcp::service::TxJsonRpcMessage;
use scout_runtime::MAX_MESSAGE;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::json_text::escape;
use crate::message::Refusal;

/// Where messages are written to is not kept for the next one if it has become longer.
const KEPT: usize = 1 << 20;
/// A text that is no longer is written twice: that is less than what it takes to keep it apart, in bytes.
const COPIED: usize = 4 << 10;
/// How a result begins whose content is written apart.
const CONTENT: &[u8] = br#""content":["#;
/// What is round the text of a block that has nothing else.
const TEXT: &[u8] = br#"{"type":"text","text":""#;
const TEXT_END: &[u8] = br#""}"#;
/// The name, in a block's `_meta`, of the field that holds its text. It is never written.
const FIELD: &str = "dev.scout/field";

/// The name of the only field of a structured answer that is written already. No answer has it otherwise: `render` leaves no control
/// character in a name.
const WRITTEN: &str = "\u{1}";

/// What is written.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Outgoing {
    Message(Box<TxJsonRpcMessage<RoleServer>>),
    Refusal(Refusal),
}

/// A block of content whose text is this field of the structured answer, a string.
pub(crate) fn text_of_field(name: String) -> ContentBlock {
    let mut text = TextContent::new(String::new());
    let mut meta = MetaObject::new();
    meta.insert(FIELD.to_owned(), Value::String(name));
    text.meta = Some(meta);
    ContentBlock::Text(text)
}

/// A structured answer that is written already, as JSON that goes on the line as it is.
pub(crate) fn written_fields(text: String) -> Value {
    Value::Object(Map::from_iter([(WRITTEN.to_owned(), Value::String(text))]))
}

fn take_written(fields: &mut Value) -> Option<String> {
    match fields.as_object_mut()?.get_mut(WRITTEN)? {
        Value::String(text) => Some(std::mem::take(text)),
        _ => None,
    }
}

fn field_of(block: &ContentBlock) -> Option<&str> {
    block.as_text()?.meta.as_ref()?.get(FIELD)?.as_str()
}

/// Writes each message as a line.
#[derive(Debug)]
pub(crate) struct LineWriter<W> {
    output: W,
    unsent: Unsent,
    /// Where the next message is put together.
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, unsent: Unsent::default(), buffer: BytesMut::new() }
    }

    /// Writes a message, behind what is left of those before.
    ///
    /// # Cancel safety
    /// What has not been written is written ahead of the next message.
    pub(crate) async fn send(&mut self, message: Outgoing) -> io::Result<()> {
        let line = Line::of(message, &mut self.buffer)?;
        let is_large = line.buffer.len() > KEPT;
        self.unsent.add(line);
        if is_large {
            self.buffer = BytesMut::new();
        }
        self.output.write_all_buf(&mut self.unsent).await?;
        self.output.flush().await
    }
}

/// Lines in pieces, as far as they have not been written.
#[derive(Debug, Default)]
struct Unsent(VecDeque<Bytes>);

impl Unsent {
    fn add(&mut self, line: Line<'_>) {
        let Line { buffer, shared } = line;
        let mut done = 0;
        for (at, text) in shared {
            self.0.extend([buffer.split_to(at - done).freeze(), text]);
            done = at;
        }
        self.0.push_back(buffer.split().freeze());
        self.0.retain(|piece| !piece.is_empty());
    }
}

impl Buf for Unsent {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |piece| piece.as_ref())
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.0.front_mut() {
            if count < piece.len() {
                return piece.advance(count);
            }
            count -= piece.len();
            self.0.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        for (slice, piece) in slices.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(piece);
        }
        slices.len().min(self.0.len())
    }
}

/// A line that is put together.
struct Line<'b> {
    buffer: &'b mut BytesMut,
    /// Texts that are kept apart, each with its place in the buffer.
    shared: Vec<(usize, Bytes)>,
}

impl<'b> Line<'b> {
    fn of(message: Outgoing, buffer: &'b mut BytesMut) -> io::Result<Self> {
        buffer.clear();
        let mut line = Self { buffer, shared: Vec::new() };
        match message {
            Outgoing::Message(mut message) => {
                line.message(&mut message)?;
                let length = line.length() + 1;
                if length > MAX_MESSAGE
                    && let Some(shorter) = too_long(&message, length)
                {
                    line.buffer.clear();
                    line.shared.clear();
                    line.json(&shorter)?;
                }
            }
            Outgoing::Refusal(refusal) => line.json(&refusal)?,
        }
        line.buffer.put_u8(b'\n');
        Ok(line)
    }

    fn length(&self) -> usize {
        self.buffer.len() + self.shared.iter().map(|(_, text)| text.len()).sum::<usize>()
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        Ok(serde_json::to_writer(self.buffer.writer(), value)?)
    }

    /// A message. The content and the fields of an answer are taken out of it: what rmcp has in their places is written round them.
    fn message(&mut self, message: &mut TxJsonRpcMessage<RoleServer>) -> io::Result<()> {
        let JsonRpcMessage::Response(response) = message else { return self.json(message) };
        let ServerResult::CallToolResult(result) = &mut response.result else { return self.json(message) };
        let (content, mut fields) = (std::mem::take(&mut result.content), result.structured_content.take());
        let frame = serde_json::to_vec(message)?;
        // In an id, the only text before it that others choose, its quotes would be escaped.
        let at = memmem::find(&frame, CONTENT).map(|at| at + CONTENT.len());
        let (before, behind) = at.and_then(|at| frame.split_at_checked(at)).ok_or(io::ErrorKind::InvalidData)?;
        self.buffer.put_slice(before);
        let written = fields.as_mut().and_then(take_written);
        let texts = self.content(&content, fields.as_ref())?;
        self.buffer.put_slice(b"]");
        if fields.is_some() {
            self.buffer.put_slice(br#","structuredContent":"#);
        }
        match (written, &fields) {
            (Some(written), _) => self.shared.push((self.buffer.len(), written.into())),
            (None, Some(fields)) => self.fields(fields, &texts)?,
            (None, None) => {}
        }
        self.buffer.put_slice(behind.strip_prefix(b"]").unwrap_or(behind));
        Ok(())
    }

    /// The blocks. Gives the long texts of those that are fields, escaped, by the names of these.
    fn content<'f>(
        &mut self,
        blocks: &[ContentBlock],
        fields: Option<&'f Value>,
    ) -> io::Result<HashMap<&'f str, Bytes>> {
        let mut texts = HashMap::new();
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 {
                self.buffer.put_u8(b',');
            }
            let field = field_of(block).and_then(|name| fields?.as_object()?.get_key_value(name));
            match (block, field) {
                (_, Some((name, Value::String(text)))) if text.len() > COPIED => {
                    self.buffer.put_slice(TEXT);
                    let escaped = match texts.entry(name.as_str()) {
                        Entry::Occupied(there) => there.into_mut(),
                        Entry::Vacant(place) => {
                            let mut escaped = Vec::with_capacity(room(text));
                            escape(text, &mut escaped)?;
                            place.insert(Bytes::from(escaped))
                        }
                    };
                    self.shared.push((self.buffer.len(), escaped.clone()));
                    self.buffer.put_slice(TEXT_END);
                }
                (_, Some((_, Value::String(text))))
                | (ContentBlock::Text(TextContent { text, meta: None, annotations: None, .. }), None) => {
                    self.buffer.put_slice(TEXT);
                    self.buffer.reserve(room(text));
                    escape(text, self.buffer)?;
                    self.buffer.put_slice(TEXT_END);
                }
                _ => self.json(block)?,
            }
        }
        Ok(texts)
    }

    /// The fields, of which these texts are written already.
    fn fields(&mut self, fields: &Value, texts: &HashMap<&str, Bytes>) -> io::Result<()> {
        let Value::Object(fields) = fields else { return self.json(fields) };
        self.buffer.put_u8(b'{');
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                self.buffer.put_u8(b',');
            }
            self.json(name)?;
            self.buffer.put_u8(b':');
            match texts.get(name.as_str()) {
                Some(escaped) => {
                    self.buffer.put_u8(b'"');
                    self.shared.push((self.buffer.len(), escaped.clone()));
                    self.buffer.put_u8(b'"');
                }
                None => self.json(value)?,
            }
        }
        self.buffer.put_u8(b'}');
        Ok(())
    }
}

/// What most texts take once they are escaped, in bytes: one in eight is a quote or an end of a line.
fn room(text: &str) -> usize {
    text.len() + text.len() / 8
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
    use std::task::{Context, Poll, Waker};

    use futures_util::FutureExt as _;
    use rmcp::model::Annotations;

    use super::*;

    fn message(result: CallToolResult, id: RequestId) -> Outgoing {
        Outgoing::Message(Box::new(JsonRpcMessage::response(ServerResult::CallToolResult(result), id)))
    }

    fn fields(fields: Value) -> Option<Value> {
        assert!(fields.is_object());
        Some(fields)
    }

    /// What is written of messages.
    fn written(messages: impl IntoIterator<Item = Outgoing>) -> Vec<u8> {
        let mut writer = LineWriter::new(Vec::new());
        for message in messages {
            writer.send(message).now_or_never().unwrap().unwrap();
        }
        assert!(writer.unsent.0.is_empty());
        writer.output
    }

    fn line(text: &str) -> Vec<u8> {
        let line = written([message(CallToolResult::success(vec![ContentBlock::text(text)]), RequestId::Number(7))]);
        assert!(line.ends_with(b"\n"));
        line
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
        // A text that is in there twice counts twice.
        for (length, fits) in [(MAX_MESSAGE / 2 - 200, true), (MAX_MESSAGE / 2, false)] {
            let mut result = CallToolResult::success(vec![text_of_field("content".to_owned())]);
            result.structured_content = fields(json!({"content": "x".repeat(length)}));
            let line = written([message(result, RequestId::Number(7))]);
            let message: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!((line.len() <= MAX_MESSAGE, message["result"]["isError"] == json!(true)), (true, !fits));
        }
    }

    #[test]
    fn every_answer_is_written_as_rmcp_would_write_it_with_the_text_in_its_places() {
        for times in [0, 1, COPIED] {
            are_written_as_rmcp_would(&"a \"b\"\n\u{1}ä\\".repeat(times));
        }
    }

    fn are_written_as_rmcp_would(text: &str) {
        let odd = br#"","result":{"content":[],"a":"#;
        let mut noted = TextContent::new("noted \"");
        noted.annotations = Some(Annotations::default());
        let blocks = |shared: fn(&str, &str) -> ContentBlock| {
            let block = |name: &str| shared(name, text);
            vec![
                ContentBlock::text("first \n\"text\""),
                block("content"),
                ContentBlock::image("aGk=", "image/png"),
                ContentBlock::Text(noted.clone()),
                block("content"),
                block("a \"quoted\" name"),
            ]
        };
        for structured in [
            json!({"content": text, "a \"quoted\" name": text, "entries": [{"content": text}], "z": 1.5, "none": null}),
            json!({"content": text, "a \"quoted\" name": text}),
        ] {
            for is_error in [true, false] {
                for id in [RequestId::Number(-7), RequestId::String(String::from_utf8_lossy(odd).into())] {
                    let result = |content| {
                        let make = if is_error { CallToolResult::error } else { CallToolResult::success };
                        let mut result = make(content);
                        result.structured_content = fields(structured.clone());
                        result.with_meta(Some(MetaObject(Map::from_iter([("m".to_owned(), json!({"content": []}))]))))
                    };
                    let shared = result(blocks(|name, _| text_of_field(name.to_owned())));
                    let copied = result(blocks(|_, text| ContentBlock::text(text)));
                    let Outgoing::Message(expected) = message(copied, id.clone()) else { panic!("a message") };
                    let mut expected = serde_json::to_vec(&expected).unwrap();
                    expected.push(b'\n');
                    assert!(written([message(shared, id)]) == expected);
                }
            }
        }
        for result in [
            CallToolResult::success(Vec::new()),
            CallToolResult::success(vec![ContentBlock::text("")]),
            CallToolResult::structured(json!({"a": "b"})),
            CallToolResult::structured(json!([1])),
        ] {
            let Outgoing::Message(plain) = message(result.clone(), RequestId::Number(1)) else { panic!("a message") };
            let plain = [serde_json::to_vec(&plain).unwrap(), b"\n".to_vec()].concat();
            assert!(written([message(result, RequestId::Number(1))]) == plain);
        }
    }

    #[test]
    fn fields_that_are_written_already_are_not_written_anew() {
        let answer = |text: String| {
            let mut result = CallToolResult::success(vec![ContentBlock::text("said")]);
            result.structured_content = Some(written_fields(text));
            message(result, RequestId::Number(1))
        };
        let text = "{\"a\":[1, 2]}".to_owned();
        let (place, mut buffer) = (text.as_ptr(), BytesMut::new());
        let line = Line::of(answer(text), &mut buffer).unwrap();
        assert_eq!(line.shared.iter().map(|(_, text)| text.as_ptr()).collect::<Vec<_>>(), [place]);
        let line = String::from_utf8(written([answer("{\"a\":[1, 2]}".to_owned())])).unwrap();
        let expected = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"said"}],"structuredContent":{"a":[1, 2]},"isError":false}}"#;
        assert_eq!(line, format!("{expected}\n"));
    }

    /// A file of 1 MiB as an answer.
    fn file() -> Outgoing {
        let mut result = CallToolResult::success(vec![text_of_field("content".to_owned())]);
        result.structured_content = fields(json!({"content": "some line\n".repeat((1 << 20) / 10), "path": "/f"}));
        message(result, RequestId::Number(7))
    }

    #[test]
    fn a_text_that_is_said_twice_is_escaped_once_and_both_places_are_written_from_there() {
        let mut buffer = BytesMut::new();
        let line = Line::of(file(), &mut buffer).unwrap();
        let [(_, content), (_, field)] = &line.shared[..] else { panic!("{} texts", line.shared.len()) };
        assert_eq!((content.as_ptr(), content.len()), (field.as_ptr(), field.len()));
        assert!(content.len() > 1 << 20 && line.buffer.len() < 1 << 10, "{}", line.buffer.len());
    }

    /// Takes a byte at a time, and every other time nothing.
    #[derive(Debug, Default)]
    struct Slow(Vec<u8>, bool);

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1 = !self.1;
            if self.1 {
                return Poll::Pending;
            }
            self.0.extend(bytes.first());
            Poll::Ready(Ok(1))
        }
        fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_is_given_up_half_way_is_written_ahead_of_the_next_message_byte_for_byte() {
        let result = |text: &str| {
            let mut result = CallToolResult::success(vec![text_of_field("content".to_owned())]);
            result.structured_content = fields(json!({"content": text.repeat(COPIED)}));
            message(result, RequestId::Number(1))
        };
        let whole = written([result("one\n"), result(""), result("two")]);
        let mut writer = LineWriter::new(Slow::default());
        // Each is dropped after some bytes, wherever that is.
        for (message, polls) in [(result("one\n"), 40), (result(""), 300)] {
            let mut sending = Box::pin(writer.send(message));
            for _ in 0..polls {
                assert!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
        }
        let mut sending = Box::pin(writer.send(result("two")));
        while sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
        drop(sending);
        assert_eq!(writer.output.0, whole);
    }

    #[test]
    fn a_buffer_for_a_large_message_is_not_kept() {
        let mut writer = LineWriter::new(Vec::new());
        let large =
            message(CallToolResult::success(vec![ContentBlock::text("x".repeat(4 * KEPT))]), RequestId::Number(7));
        for message in [large, file()] {
            writer.send(message).now_or_never().unwrap().unwrap();
            writer.buffer.reserve(1);
            assert!(writer.buffer.capacity() <= KEPT && writer.unsent.0.is_empty());
        }
    }
}
