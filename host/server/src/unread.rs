//! The transport to one client, held to what the client takes.
//!
//! Owns one rule: of a client that does not read its answers, no further requests are read until it does. Else each
//! request of a client that only writes would leave an answer in memory.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ContentBlock, JsonRpcMessage, ResourceContents, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes of messages that may wait for a client to read them, as they are counted here, before no more is read from it.
const UNREAD: usize = 64 << 20;
/// How long a client that is left may take to read what is being written to it.
const CLOSING: Duration = Duration::from_secs(1);
/// What any message takes at least, what a value in one, and what a tool of a list does about, in bytes.
const LEAST: usize = 1 << 10;
const LEAST_VALUE: usize = 16;
const TOOL: usize = 4 << 10;

/// A transport that reads no further while too much is unread, and ends when it is told to.
pub(crate) struct Attentive<T> {
    inner: T,
    unread: Arc<watch::Sender<usize>>,
    /// Fires when the client is to be taken for one that has hung up.
    hang_up: CancellationToken,
}

impl<T> Attentive<T> {
    pub(crate) fn new(inner: T, hang_up: CancellationToken) -> Self {
        Self { inner, unread: Arc::new(watch::Sender::new(0)), hang_up }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Attentive<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let unread = Unread::new(&self.unread, weight(&message));
        let sending = self.inner.send(message);
        async {
            let _until_sent = unread;
            sending.await
        }
    }

    /// # Cancel safety
    /// That of the inner transport: waiting for the client takes nothing.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let mut unread = self.unread.subscribe();
        let received = async {
            // Its sender is in `self`.
            drop(unread.wait_for(|bytes| *bytes < UNREAD).await);
            self.inner.receive().await
        };
        tokio::select! {
            biased;
            () = self.hang_up.cancelled() => None,
            message = received => message,
        }
    }

    /// A message that is being written would keep the transport open until the client reads it.
    async fn close(&mut self) -> Result<(), Self::Error> {
        tokio::time::timeout(CLOSING, self.inner.close()).await.unwrap_or(Ok(()))
    }
}

/// A message on its way, counted until it is written or given up.
struct Unread {
    all: Arc<watch::Sender<usize>>,
    bytes: usize,
}

impl Unread {
    fn new(all: &Arc<watch::Sender<usize>>, bytes: usize) -> Self {
        all.send_modify(|unread| *unread += bytes);
        Self { all: Arc::clone(all), bytes }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.all.send_modify(|unread| *unread -= self.bytes);
    }
}

/// What a message takes, in bytes, about.
fn weight(message: &TxJsonRpcMessage<RoleServer>) -> usize {
    let JsonRpcMessage::Response(response) = message else { return LEAST };
    let told = match &response.result {
        ServerResult::CallToolResult(result) => {
            let texts = result.content.iter().filter_map(ContentBlock::as_text).map(|text| text.text.len());
            texts.sum::<usize>() + result.structured_content.as_ref().map_or(0, size)
        }
        ServerResult::ReadResourceResult(result) => {
            let contents = result.contents.iter().map(|content| match content {
                ResourceContents::TextResourceContents { text, .. } => text.len(),
                ResourceContents::BlobResourceContents { blob, .. } => blob.len(),
                _ => 0,
            });
            contents.sum()
        }
        ServerResult::ListToolsResult(result) => result.tools.len() * TOOL,
        _ => 0,
    };
    LEAST + told
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| LEAST_VALUE + size(value)).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| LEAST_VALUE + name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt as _;
    use rmcp::model::{CallToolResult, RequestId};
    use serde_json::json;

    use super::*;

    /// A client that asks without end.
    struct Asks {
        /// Whether what is sent to it is taken.
        reads: watch::Receiver<bool>,
    }

    impl Transport<RoleServer> for Asks {
        type Error = Infallible;

        fn send(
            &mut self,
            _message: TxJsonRpcMessage<RoleServer>,
        ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
            let mut reads = self.reads.clone();
            async move {
                drop(reads.wait_for(|reads| *reads).await);
                Ok(())
            }
        }

        async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
            serde_json::from_value(json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).ok()
        }

        async fn close(&mut self) -> Result<(), Infallible> {
            drop(self.reads.wait_for(|reads| *reads).await);
            Ok(())
        }
    }

    fn answer(text: &str) -> TxJsonRpcMessage<RoleServer> {
        let result = CallToolResult::structured(json!({"text": text, "lines": [text]}));
        JsonRpcMessage::response(ServerResult::CallToolResult(result), RequestId::Number(1))
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_not_read_from_until_it_does() {
        let (reads, told) = watch::channel(false);
        let mut transport = Attentive::new(Asks { reads: told }, CancellationToken::new());
        let text = "x".repeat(1 << 20);
        let mut sending = Vec::new();
        while transport.receive().now_or_never().is_some() {
            sending.push(tokio::spawn(transport.send(answer(&text))));
        }
        // Each has it four times: in two fields, and in the text that tells them.
        assert_eq!(sending.len(), 16);
        reads.send_replace(true);
        for sent in sending {
            sent.await.unwrap().unwrap();
        }
        assert_eq!(*transport.unread.borrow(), 0);
        assert!(transport.receive().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_keeps_nothing_from_ending() {
        let (_reads, told) = watch::channel(false);
        let hang_up = CancellationToken::new();
        let mut transport = Attentive::new(Asks { reads: told }, hang_up.clone());
        let _unread = Unread::new(&transport.unread, UNREAD);
        assert!(transport.receive().now_or_never().is_none());
        hang_up.cancel();
        assert!(transport.receive().now_or_never().unwrap().is_none());
        transport.close().await.unwrap();
    }

    #[test]
    fn small_messages_count_too() {
        assert!(weight(&answer("")) >= LEAST);
    }
}
