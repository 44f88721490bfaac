//! The transport to one client: lines in, messages out, and no more of either than there is room for.
//!
//! Owns these rules. A line that is over a bound, or that is no message, is answered and the next one serves. What the
//! client's requests under way take is bounded: one beyond that is answered as busy. Of a client that does not read what is
//! written to it, nothing more is read once too much is unread; that it has hung up is seen even then. No line that is
//! written is longer than clients take (`outgoing`). What the revision that is spoken does not have is answered here
//! where rmcp would end instead (`handshake`). A client whose input ends before it has heard anything is a script, and gets its
//! answers; another one has left (`conversation`).

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ContentBlock, GetExtensions as _, JsonRpcMessage, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::client_memory::{self, LEAST, Reservation};
use crate::conversation::Conversation;
use crate::handshake::{Handshake, Verdict};
use crate::lines::{Line, Lines};
use crate::message::{Parsed, Refusal, parse};
use crate::outgoing::{LineWriter, Outgoing};

/// What is read from the client at once, in bytes: what a pipe holds.
const PIECE: usize = 64 << 10;
/// A longer line is parsed on a thread that may block: this much takes about a millisecond.
const PARSED_HERE: usize = 64 << 10;
/// Bytes that the requests under way may take together, as lines and as what they were parsed to.
const REQUESTS: usize = 64 << 20;
/// A line that takes no more is taken in any case, or else none could say that a call is to be cancelled: requests are
/// counted, too (`mcp`).
const SMALL: usize = 16 << 10;
/// Bytes of messages that wait for the client to read them and for which no room was reserved, as they are counted here:
/// beyond that no more is read from it.
const UNREAD: usize = 16 << 20;
/// How long a client that is left may take to read what is being written to it.
const CLOSING: Duration = Duration::from_secs(1);

/// What a stream tells of a client beside its bytes.
pub(crate) struct Signs {
    /// Fires when the client has closed its end, even if there is still something to be read.
    pub(crate) hung_up: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether nothing is there to be read now.
    pub(crate) is_idle: Box<dyn Fn() -> bool + Send + Sync>,
}

/// A transport over two streams.
pub(crate) struct ClientTransport<R, W> {
    input: BufReader<R>,
    lines: Lines,
    /// Whether all of the input was read.
    is_over: bool,
    /// The line that is being parsed elsewhere, with what it takes.
    parsing: Option<(JoinHandle<Vec<Parsed>>, Memory)>,
    /// What the last line was that is not handled yet.
    parsed: VecDeque<(Parsed, Memory)>,
    handshake: Handshake,
    conversation: Arc<Conversation>,
    requests: Arc<Semaphore>,
    output: Output<W>,
    /// Refusals that are being written.
    refusals: JoinSet<()>,
    answers: Answers,
    unread: Arc<watch::Sender<usize>>,
    signs: Signs,
    ends: Ends,
}

/// When a transport ends.
#[derive(Clone, Default)]
pub(crate) struct Ends {
    /// Fires when the client is to be taken for one that has hung up.
    pub(crate) hang_up: CancellationToken,
    /// Fired when the client's input has ended.
    pub(crate) input_ended: CancellationToken,
    /// Fired when that means that the client has left, and waits for no answer.
    pub(crate) left: CancellationToken,
}

/// What a request takes as long as it is handled.
type Memory = Option<Arc<OwnedSemaphorePermit>>;
type Output<W> = Arc<tokio::sync::Mutex<Option<LineWriter<W>>>>;

/// Answers that are finished, between the call and the transport: the room of each goes with it until it is written.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<Vec<Finished>>>);

struct Finished {
    id: RequestId,
    /// Fires when rmcp lets go of the request: right before it sends the answer, or instead.
    dropped: CancellationToken,
    room: Arc<Reservation>,
}

impl Answers {
    /// The answer to this request is about to be sent.
    pub(crate) fn finish(&self, id: RequestId, dropped: CancellationToken, room: Arc<Reservation>) {
        let mut finished = self.0.lock();
        // Of a cancelled request rmcp sends no answer.
        if !dropped.is_cancelled() {
            // Of requests with the same id rmcp answers one: room for the others would never be given back.
            finished.retain(|other| other.id != id);
            finished.push(Finished { id, dropped, room });
        }
    }

    fn take(&self, id: &RequestId) -> Option<Arc<Reservation>> {
        let mut finished = self.0.lock();
        let at = finished.iter().position(|finished| finished.id == *id)?;
        Some(finished.swap_remove(at).room)
    }

    /// Forgets answers that are never sent. Only between two messages: rmcp lets go of a request and sends its answer in
    /// one go.
    fn forget_dropped(&self) {
        self.0.lock().retain(|finished| !finished.dropped.is_cancelled());
    }
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> ClientTransport<R, W> {
    pub(crate) fn new(input: R, output: W, signs: Signs, ends: Ends) -> Self {
        Self {
            input: BufReader::with_capacity(PIECE, input),
            lines: Lines::default(),
            is_over: false,
            parsing: None,
            parsed: VecDeque::new(),
            handshake: Handshake::default(),
            conversation: Arc::default(),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            output: Arc::new(tokio::sync::Mutex::new(Some(LineWriter::new(output)))),
            refusals: JoinSet::new(),
            answers: Answers::default(),
            unread: Arc::new(watch::Sender::new(0)),
            signs,
            ends,
        }
    }

    /// Where calls leave the room of their answers.
    pub(crate) fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// The next message.
    ///
    /// # Cancel safety
    /// What has been read of a line stays here.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            while self.refusals.try_join_next().is_some() {}
            if *self.unread.borrow() >= UNREAD {
                let mut unread = self.unread.subscribe();
                tokio::select! {
                    // Its sender is in `self`.
                    _ = unread.wait_for(|bytes| *bytes < UNREAD) => {}
                    () = &mut self.signs.hung_up => {
                        tracing::warn!("the client has hung up and left what was written to it: its calls are stopped");
                        self.ends.left.cancel();
                        return None;
                    }
                }
            }
            match self.parsed.pop_front() {
                Some((Parsed::Message(message), memory)) => match self.handshake.receive(&message) {
                    Verdict::Taken => return Some(self.taken(*message, memory)),
                    Verdict::Ignored => {}
                    Verdict::Refused(refusal) => self.refuse(refusal),
                },
                Some((Parsed::Ignored, _)) => {}
                Some((Parsed::Refused(refusal), _)) => self.refuse(refusal),
                None => self.parse_line().await?,
            }
        }
    }

    /// Reads and parses the next line.
    async fn parse_line(&mut self) -> Option<()> {
        let (parsed, memory) = match &mut self.parsing {
            Some((parsing, _)) => {
                let parsed = parsing.await;
                let (_, memory) = self.parsing.take()?;
                (parsed.ok()?, memory)
            }
            None => match self.line().await? {
                Line::Refused(refusal) => {
                    self.refuse(refusal);
                    return Some(());
                }
                Line::Whole { text, memory } => {
                    let Some(memory) = self.admit(memory) else {
                        let why = "busy: your requests that are under way take all the memory that they may; ask again \
                                   when some of them are answered, or cancel some";
                        self.refuse(Refusal::busy(&text, why.to_owned()));
                        return Some(());
                    };
                    let has_batches = self.handshake.has_batches();
                    if text.len() > PARSED_HERE {
                        self.parsing = Some((tokio::task::spawn_blocking(move || parse(&text, has_batches)), memory));
                        return Some(());
                    }
                    (parse(&text, has_batches), memory)
                }
            },
        };
        self.parsed.extend(parsed.into_iter().map(|parsed| (parsed, memory.clone())));
        Some(())
    }

    /// The message with what it takes: rmcp keeps it with the request until that is handled.
    fn taken(&self, mut message: RxJsonRpcMessage<RoleServer>, memory: Memory) -> RxJsonRpcMessage<RoleServer> {
        match &mut message {
            JsonRpcMessage::Request(request) => {
                if let Some(memory) = memory {
                    request.request.extensions_mut().insert(memory);
                }
                // Nobody waits for the end of a subscription.
                if !matches!(request.request, ClientRequest::SubscriptionsListenRequest(_)) {
                    self.conversation.asks(&request.id);
                }
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.conversation.settles(id);
                }
            }
            _ => {}
        }
        message
    }

    /// The next line, or nothing once the input has ended.
    async fn line(&mut self) -> Option<Line> {
        while !self.is_over {
            // What was read and is not taken yet was written before.
            let is_read = self.input.buffer().is_empty();
            if is_read {
                self.conversation.listens(&self.signs.is_idle);
            }
            let piece = match self.input.fill_buf().await {
                Ok(piece) => piece,
                Err(error) => {
                    tracing::error!(%error, "cannot read from the client");
                    return None;
                }
            };
            if piece.is_empty() {
                self.is_over = true;
                return self.lines.end();
            }
            if is_read {
                self.conversation.goes_on();
            }
            let (read, line) = self.lines.read(piece);
            self.input.consume(read);
            if line.is_some() {
                return line;
            }
        }
        None
    }

    /// Waits for what a client whose input has ended is still to get: a script all its answers, whoever has left what is
    /// written already.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    async fn finish(&mut self) {
        self.ends.input_ended.cancel();
        if self.conversation.is_dialogue() {
            self.ends.left.cancel();
        }
        let hang_up = self.ends.hang_up.clone();
        let finished = async {
            if !self.ends.left.is_cancelled() {
                self.conversation.all_answered().await;
            }
            while self.refusals.join_next().await.is_some() {}
        };
        tokio::select! {
            () = finished => {}
            () = hang_up.cancelled() => {}
        }
    }

    /// Takes so many bytes for one more request. Nothing if there are not so many.
    fn admit(&self, bytes: usize) -> Option<Memory> {
        if bytes <= SMALL {
            return Some(None);
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.requests).try_acquire_many_owned(bytes).ok().map(|taken| Some(Arc::new(taken)))
    }

    fn refuse(&mut self, refusal: Refusal) {
        let unread = Unread::new(&self.unread, LEAST);
        let sending = write(Arc::clone(&self.output), Outgoing::Refusal(refusal), self.ends.hang_up.clone());
        let conversation = Arc::clone(&self.conversation);
        self.answers_now();
        self.refusals.spawn(async move {
            let _until_sent = unread;
            match sending.await {
                Ok(()) => conversation.is_heard(),
                Err(error) => tracing::debug!(%error, "a refusal was not written"),
            }
        });
    }

    /// An answer is about to be written.
    fn answers_now(&self) {
        let has_taken_all = self.input.buffer().is_empty() && self.parsed.is_empty() && self.parsing.is_none();
        self.conversation.answers(|| has_taken_all && (self.signs.is_idle)());
    }
}

impl<R, W> Transport<RoleServer> for ClientTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        self.handshake.send(&message);
        if answered.is_some() {
            self.answers_now();
        }
        let room = answered.as_ref().and_then(|id| self.answers.take(id));
        let unread = room.is_none().then(|| Unread::new(&self.unread, weight(&message)));
        let sending = write(Arc::clone(&self.output), Outgoing::Message(Box::new(message)), self.ends.hang_up.clone());
        let conversation = Arc::clone(&self.conversation);
        async move {
            let _until_sent = (room, unread);
            let sent = sending.await;
            if let Some(id) = answered {
                if sent.is_ok() {
                    conversation.is_heard();
                }
                conversation.settles(&id);
            }
            match sent {
                // Whoever has gone away hears nothing: that is no fault to be told of.
                Err(error) if is_gone(&error) => {
                    tracing::debug!(%error, "the client has gone away before it was answered");
                    Ok(())
                }
                sent => sent,
            }
        }
    }

    /// # Cancel safety
    /// Nothing is lost: what has been read stays in the transport.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.answers.forget_dropped();
        let hang_up = self.ends.hang_up.clone();
        let received = tokio::select! {
            biased;
            () = hang_up.cancelled() => return None,
            message = self.next() => message,
        };
        if received.is_none() {
            self.finish().await;
        }
        received
    }

    /// A message that is being written would keep the transport open until the client reads it.
    async fn close(&mut self) -> io::Result<()> {
        let closing = async {
            while self.refusals.join_next().await.is_some() {}
            drop(self.output.lock().await.take());
        };
        drop(tokio::time::timeout(CLOSING, closing).await);
        Ok(())
    }
}

/// Whether nobody is there any more who could read what is written.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, TimedOut};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected | TimedOut)
}

/// Writes a message, behind those that are being written. One that was given up half-way is written out before the next.
async fn write<W: AsyncWrite + Unpin>(
    output: Output<W>,
    message: Outgoing,
    hang_up: CancellationToken,
) -> io::Result<()> {
    let writing = async {
        let mut output = output.lock().await;
        let Some(output) = output.as_mut() else { return Err(io::ErrorKind::NotConnected.into()) };
        output.send(message).await
    };
    let left = async {
        hang_up.cancelled().await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        biased;
        written = writing => written,
        () = left => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A message on its way for which no room was reserved, counted until it is written or given up.
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

/// What a message takes for which no room was reserved, in bytes, about. It may repeat what the client wrote.
fn weight(message: &TxJsonRpcMessage<RoleServer>) -> usize {
    let told = match message {
        JsonRpcMessage::Error(error) => {
            error.error.message.len() + error.error.data.as_ref().map_or(0, client_memory::size)
        }
        JsonRpcMessage::Response(response) => match &response.result {
            ServerResult::CallToolResult(result) => {
                let texts = result.content.iter().filter_map(ContentBlock::as_text);
                texts.map(|text| text.text.len()).sum()
            }
            _ => 0,
        },
        _ => 0,
    };
    LEAST + told
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use futures_util::FutureExt as _;
    use rmcp::model::CallToolResult;
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::oneshot;

    use super::*;
    use crate::client_memory::ClientMemory;

    /// A client: what it writes, what it reads, and a way to hang up.
    struct Client {
        writes: DuplexStream,
        reads: BufReader<DuplexStream>,
        hangs_up: oneshot::Sender<()>,
    }

    type Tested = ClientTransport<DuplexStream, DuplexStream>;

    /// A transport whose client takes so many bytes without reading them.
    fn client(taken: usize) -> (Client, Tested, Ends) {
        let ((writes, input), (output, reads)) = (duplex(PIECE), duplex(taken));
        let ((hangs_up, hung_up), ends) = (oneshot::channel(), Ends::default());
        let signs = Signs { hung_up: Box::pin(hung_up.map(drop)), is_idle: Box::new(|| true) };
        let transport = ClientTransport::new(input, output, signs, ends.clone());
        (Client { writes, reads: BufReader::new(reads), hangs_up }, transport, ends)
    }

    impl Client {
        async fn write(&mut self, lines: &str) {
            self.writes.write_all(lines.as_bytes()).await.unwrap();
        }

        async fn read(&mut self) -> Value {
            let mut line = String::new();
            self.reads.read_line(&mut line).await.unwrap();
            serde_json::from_str(&line).unwrap()
        }
    }

    fn request(id: usize, text: &str) -> String {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "scout", "arguments": {"target": text}
        }});
        format!("{message}\n")
    }

    fn id(message: &RxJsonRpcMessage<RoleServer>) -> RequestId {
        let JsonRpcMessage::Request(request) = message else { panic!("{message:?}") };
        request.id.clone()
    }

    fn answer(id: usize, text: &str) -> TxJsonRpcMessage<RoleServer> {
        let result = CallToolResult::success(vec![ContentBlock::text(text)]);
        JsonRpcMessage::response(ServerResult::CallToolResult(result), RequestId::Number(id.try_into().unwrap()))
    }

    #[tokio::test]
    async fn what_is_no_message_is_answered_and_the_next_line_serves() {
        let (mut client, mut transport, ends) = client(PIECE);
        client.write(&format!("{{\n[]\n\n{}", request(7, "hosts"))).await;
        assert_eq!(id(&transport.receive().await.unwrap()), RequestId::Number(7));
        for code in [-32700, -32600] {
            let refusal = client.read().await;
            assert_eq!((&refusal["error"]["code"], refusal.get("id")), (&json!(code), Some(&Value::Null)));
        }
        // The last line needs no newline, and behind it is the end.
        client.write(request(8, "hosts").trim_end()).await;
        drop(client.writes);
        assert_eq!(id(&transport.receive().await.unwrap()), RequestId::Number(8));
        assert!(transport.receive().await.is_none() && ends.input_ended.is_cancelled());
    }

    /// A busy machine lets a client go on before Scout has looked up from its answer.
    #[tokio::test]
    async fn a_client_that_goes_on_at_once_is_in_a_dialogue_and_one_that_had_written_all_is_not() {
        for goes_on in [true, false] {
            let (mut client, mut transport, ends) = client(PIECE);
            let (first, rest) = (request(1, "hosts"), [request(2, "hosts"), request(3, "hosts")].concat());
            if goes_on {
                client.write(&first).await;
                transport.receive().await.unwrap();
                let sending = transport.send(answer(1, "box"));
                client.write(&rest).await;
                sending.await.unwrap();
            } else {
                client.write(&[first, rest].concat()).await;
                transport.receive().await.unwrap();
                transport.send(answer(1, "box")).await.unwrap();
            }
            for _ in 0..2 {
                transport.receive().await.unwrap();
            }
            drop(client.writes);
            for id in [2, 3] {
                transport.send(answer(id, "box")).await.unwrap();
            }
            assert!(transport.receive().await.is_none());
            assert_eq!(ends.left.is_cancelled(), goes_on);
        }
    }

    #[tokio::test]
    async fn a_message_that_is_half_read_when_another_is_sent_is_not_lost() {
        let (mut client, mut transport, _) = client(PIECE);
        let line = request(7, &"x".repeat(2 * PARSED_HERE));
        let (half, rest) = line.split_at(1000);
        client.write(half).await;
        assert!(transport.receive().now_or_never().is_none());
        let writing = tokio::spawn({
            let rest = rest.to_owned();
            async move { client.write(&rest).await }
        });
        let received = loop {
            // Given up again and again, while the rest comes and while it is parsed elsewhere.
            match transport.receive().now_or_never() {
                Some(received) => break received,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(id(&received.unwrap()), RequestId::Number(7));
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn requests_hold_what_they_take_until_they_are_handled() {
        let (mut client, mut transport, _) = client(PIECE);
        let large = request(7, &"x".repeat(3 << 20));
        let (told, small) = (request(8, "hosts"), large.replace(":7,", ":9,"));
        let writing = tokio::spawn(async move {
            for _ in 0..REQUESTS / (3 << 20) {
                client.write(&large).await;
            }
            client.write(&told).await;
            let refused = client.read().await;
            client.write(&small).await;
            (client, refused)
        });
        let mut handled = Vec::new();
        // Small ones are taken in any case.
        while handled.last().map(id) != Some(RequestId::Number(8)) {
            handled.push(transport.receive().await.unwrap());
        }
        assert!((2..REQUESTS / (3 << 20)).contains(&handled.len()), "{}", handled.len());
        drop(handled);
        assert_eq!(id(&transport.receive().await.unwrap()), RequestId::Number(9));
        let (_client, refused) = writing.await.unwrap();
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32603)));
        assert!(refused["error"]["message"].as_str().unwrap().starts_with("busy"), "{refused}");
        assert_eq!(transport.requests.available_permits(), REQUESTS);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_not_read_from_until_it_does() {
        let (mut client, mut transport, _) = client(PIECE);
        let mut sending = Vec::new();
        let text = "x".repeat(1 << 20);
        for count in 0.. {
            // Else the task is made to wait once it has had its share.
            tokio::task::yield_now().await;
            client.write(&request(count, "hosts")).await;
            if transport.receive().now_or_never().is_none() {
                break;
            }
            sending.push(tokio::spawn(transport.send(answer(count, &text))));
        }
        assert_eq!(sending.len(), UNREAD.div_ceil(text.len() + LEAST));
        let mut reads = client.reads;
        let reading = tokio::spawn(async move { tokio::io::copy(&mut reads, &mut tokio::io::sink()).await });
        assert!(transport.receive().await.is_some());
        for sent in sending {
            sent.await.unwrap().unwrap();
        }
        assert_eq!(*transport.unread.borrow(), 0);
        reading.abort();
    }

    #[tokio::test]
    async fn answers_with_room_of_their_own_do_not_stop_the_reading_and_keep_it_until_they_are_written() {
        let (mut client, mut transport, _) = client(PIECE);
        let (held, text) = (ClientMemory::default(), "x".repeat(1 << 20));
        let mut sending = Vec::new();
        while let Some(room) = held.message(text.len()).now_or_never() {
            client.write(&request(sending.len(), "hosts")).await;
            assert!(transport.receive().await.is_some());
            let id = RequestId::Number(sending.len().try_into().unwrap());
            transport.answers().finish(id, CancellationToken::new(), Arc::new(room));
            sending.push(tokio::spawn(transport.send(answer(sending.len(), &text))));
            tokio::task::yield_now().await;
        }
        assert_eq!((sending.len(), *transport.unread.borrow()), (47, 0));
        let mut written = vec![0; text.len() + 1000];
        client.reads.read_exact(&mut written).await.unwrap();
        drop(held.message(text.len()).await);
        drop(client);
        for sent in sending {
            drop(sent.await.unwrap());
        }
        assert!(held.message(usize::MAX).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_room_of_an_answer_that_is_never_sent_is_given_back() {
        let (_client, mut transport, _) = client(PIECE);
        let (held, dropped) = (ClientMemory::default(), CancellationToken::new());
        let all = || async { Arc::new(held.message(usize::MAX).await) };
        transport.answers().finish(RequestId::Number(1), dropped.clone(), all().await);
        assert!(transport.receive().now_or_never().is_none());
        assert!(all().now_or_never().is_none());
        dropped.cancel();
        assert!(transport.receive().now_or_never().is_none());
        // Nor is one kept whose request is gone before it is finished.
        transport.answers().finish(RequestId::Number(1), dropped, all().await);
        assert!(all().now_or_never().is_some());
    }

    #[tokio::test]
    async fn that_a_client_has_hung_up_is_seen_although_it_does_not_read() {
        let (client, mut transport, ends) = client(1);
        let unread = Unread::new(&transport.unread, UNREAD);
        assert!(transport.receive().now_or_never().is_none());
        client.hangs_up.send(()).unwrap();
        assert!(transport.receive().now_or_never().unwrap().is_none() && ends.input_ended.is_cancelled());
        drop(unread);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_keeps_nothing_from_ending() {
        let (_client, mut transport, ends) = client(1);
        let sending = tokio::spawn(transport.send(answer(1, "text")));
        let _unread = Unread::new(&transport.unread, UNREAD);
        assert!(transport.receive().now_or_never().is_none());
        ends.hang_up.cancel();
        assert!(transport.receive().await.is_none() && !ends.input_ended.is_cancelled());
        sending.await.unwrap().unwrap();
        transport.close().await.unwrap();
    }
}
