//! The byte stream under one SSH session: TCP, a channel through a jump host, or a command's standard streams.
//!
//! Owns that a stream ends: russh's session task keeps its stream until it notices that nobody wants it, and a peer that
//! says nothing can put that off for ever. A [`SessionGuard`] in the hands of whoever wants the session ends the stream.
//! **What carries a stream (a jump host's connection, a process) lives exactly as long as the stream.** Knows no SSH but
//! the first line of a server.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use scout_machine::line;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a session that was in use may take for its last words.
const GOODBYE: Duration = Duration::from_secs(1);
/// A peer that takes nothing for so long is gone: while russh waits to write it reads nothing, so that its keepalive
/// cannot notice.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// Kept of each line that a server says first: the longest that RFC 4253 §4.2 allows.
const FIRST_WORDS_BYTES: usize = 255;
/// Read at once, if that much is there: the answers of a flight that reads a small file, in as many packets as there were requests.
const READ_AHEAD: usize = 8 << 10;

/// Bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What every identification begins with, and what one of a version that is spoken here.
const NAMES: &[u8] = b"SSH-";
const SPOKEN: [&[u8]; 2] = [b"SSH-2.0-", b"SSH-1.99-"];

/// What a server said up to its identification, for messages; shared with the stream that fills it.
#[derive(Clone, Default)]
pub(crate) struct FirstWords(Arc<Mutex<FirstLines>>);

#[derive(Default)]
struct FirstLines {
    /// The first line, as far as it is kept.
    first: Vec<u8>,
    has_first: bool,
    /// The line that is coming, as far as it is kept: of the first the same.
    line: Vec<u8>,
    /// The line that names an SSH server of whatever version.
    identification: Option<Vec<u8>>,
}

impl FirstWords {
    fn hear(&self, bytes: &[u8]) {
        let mut heard = self.0.lock();
        for byte in bytes {
            if heard.identification.is_some() {
                return;
            }
            if *byte == b'\n' {
                let line = std::mem::take(&mut heard.line);
                heard.has_first = true;
                if line.starts_with(NAMES) {
                    heard.identification = Some(line);
                }
                continue;
            }
            if heard.line.len() < FIRST_WORDS_BYTES {
                heard.line.push(*byte);
            }
            if !heard.has_first && heard.first.len() < FIRST_WORDS_BYTES {
                heard.first.push(*byte);
            }
        }
    }

    /// Whether an SSH server has named itself.
    pub(crate) fn has_identification(&self) -> bool {
        self.0.lock().identification.is_some()
    }

    /// How it named itself, made harmless, if it is of a version that is not spoken here.
    pub(crate) fn other_version(&self) -> Option<String> {
        let heard = self.0.lock();
        let name = heard.identification.as_ref().filter(|name| !SPOKEN.iter().any(|own| name.starts_with(own)))?;
        Some(line(name, FIRST_WORDS_BYTES))
    }

    /// How an SSH server has named itself, made harmless.
    pub(crate) fn identification(&self) -> Option<String> {
        self.0.lock().identification.as_ref().map(|own| line(own, FIRST_WORDS_BYTES))
    }

    /// The first line, made harmless; empty if nothing was said.
    pub(crate) fn line(&self) -> String {
        line(&self.0.lock().first, FIRST_WORDS_BYTES)
    }
}

/// Ends a stream when dropped: at once while its session is being made, after its last words later.
pub(crate) struct SessionGuard {
    drop: CancellationToken,
    is_established: Arc<AtomicBool>,
    bytes_heard: Arc<AtomicU64>,
}

impl SessionGuard {
    /// The session is in use: from now on its end is a goodbye.
    pub(crate) fn establish(&self) {
        self.is_established.store(true, Ordering::Release);
    }

    /// How many bytes the peer has sent so far: whether it lives, for whoever waits for it.
    pub(crate) fn bytes_heard(&self) -> u64 {
        self.bytes_heard.load(Ordering::Acquire)
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.drop.cancel();
    }
}

enum StreamState {
    Open(Pin<Box<WaitForCancellationFutureOwned>>),
    /// Nobody holds the guard any more; what is on the way may still leave.
    Draining(Pin<Box<Sleep>>),
    Closed,
}

/// A stream on a [`SessionGuard`].
pub(crate) struct Transport {
    // Dropped in this order: what carries the stream goes last.
    stream: Box<dyn Duplex>,
    _carrier: Option<Box<dyn Send>>,
    state: StreamState,
    is_established: Arc<AtomicBool>,
    first_words: FirstWords,
    is_hearing: bool,
    bytes_heard: Arc<AtomicU64>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// How long the peer of a session in use may be silent, and when that is over.
    silence: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Transport {
    /// A stream and what carries it, if anything has to live as long.
    pub(crate) fn new(stream: impl Duplex + 'static, carrier: Option<Box<dyn Send>>) -> (Self, SessionGuard) {
        let drop = CancellationToken::new();
        let is_established = Arc::new(AtomicBool::new(false));
        let bytes_heard = Arc::<AtomicU64>::default();
        let transport = Self {
            stream: Box::new(stream),
            _carrier: carrier,
            state: StreamState::Open(Box::pin(drop.clone().cancelled_owned())),
            is_established: Arc::clone(&is_established),
            first_words: FirstWords::default(),
            is_hearing: true,
            bytes_heard: Arc::clone(&bytes_heard),
            stalled: None,
            silence: None,
        };
        (transport, SessionGuard { drop, is_established, bytes_heard })
    }

    /// The same stream; once its session is in use it ends when the peer says nothing for so long.
    pub(crate) fn with_silence_limit(self, limit: Option<Duration>) -> Self {
        let silence = limit.map(|limit| (limit, Box::pin(sleep_until(Instant::now() + limit))));
        Self { silence, ..self }
    }

    /// The same stream, read in large pieces: russh reads each packet in two, its length first.
    pub(crate) fn read_ahead(self) -> BufReader<Self> {
        BufReader::with_capacity(READ_AHEAD, self)
    }

    /// What the server says first.
    pub(crate) fn first_words(&self) -> FirstWords {
        self.first_words.clone()
    }

    /// Whether the stream has to end.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.state = match &mut self.state {
                StreamState::Open(dropped) => {
                    ready!(dropped.as_mut().poll(context));
                    if self.is_established.load(Ordering::Acquire) {
                        StreamState::Draining(Box::pin(sleep_until(Instant::now() + GOODBYE)))
                    } else {
                        StreamState::Closed
                    }
                }
                StreamState::Draining(until) => {
                    ready!(until.as_mut().poll(context));
                    StreamState::Closed
                }
                StreamState::Closed => return Poll::Ready(()),
            };
        }
    }

    /// Whether the peer has been silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((limit, over)) = &mut self.silence else { return Poll::Pending };
        loop {
            ready!(over.as_mut().poll(context));
            if self.is_established.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            over.as_mut().reset(Instant::now() + *limit);
        }
    }

    /// Takes note of what was read.
    fn hear(&mut self, bytes: &[u8]) {
        self.bytes_heard.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        if let Some((limit, over)) = &mut self.silence {
            over.as_mut().reset(Instant::now() + *limit);
        }
        if self.is_hearing {
            self.first_words.hear(bytes);
            self.is_hearing = !self.first_words.has_identification();
        }
    }

    /// Watches a write or flush that makes no progress.
    fn watch<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + WRITE_STALL)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_cut(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        if Pin::new(&mut this.stream).poll_read(context, buffer)?.is_pending() {
            ready!(this.poll_silence(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        this.hear(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.poll_cut(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch(context, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_cut(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.watch(context, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_cut(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
        this.watch(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Counts the reads of a stream.
    struct Counted<S> {
        stream: S,
        reads: Arc<AtomicU64>,
    }

    impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
        fn poll_read(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.reads.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut this.stream).poll_read(context, buffer)
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().stream).poll_flush(context)
        }

        fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_once_while_its_session_is_being_made_and_later_after_a_goodbye() {
        for established in [false, true] {
            let (near, mut far) = tokio::io::duplex(64);
            let (mut transport, guard) = Transport::new(near, None);
            if established {
                guard.establish();
            }
            drop(guard);
            let started = Instant::now();
            far.write_all(b"x").await.unwrap();
            assert_eq!(transport.read_u8().await.is_ok(), established);
            assert_eq!(transport.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
            assert_eq!(started.elapsed() >= GOODBYE, established);
        }
    }

    #[test]
    fn an_identification_is_found_wherever_it_comes_and_however_it_is_cut() {
        let before = "x".repeat(9000);
        for (said, named, other, first) in [
            ("SSH-2.0-x\r\nSSH-1.5-y\r\n".to_owned(), true, None, "SSH-2.0-x"),
            (format!("\n{before}\nhello SSH-\nSSH-1.99-x\r\n"), true, None, ""),
            ("hello\nSSH-1.5-Cisco\n".to_owned(), true, Some("SSH-1.5-Cisco"), "hello"),
            ("SSH-2.0-x".to_owned(), false, None, "SSH-2.0-x"),
            ("HTTP/1.1 400\r\n".to_owned(), false, None, "HTTP/1.1 400"),
        ] {
            for piece in [1, 7, usize::MAX] {
                let words = FirstWords::default();
                said.as_bytes().chunks(piece.min(said.len())).for_each(|bytes| words.hear(bytes));
                let heard = (words.has_identification(), words.other_version(), words.line());
                assert_eq!(heard, (named, other.map(str::to_owned), first.to_owned()), "{said}");
            }
        }
    }

    #[tokio::test]
    async fn packets_that_came_together_are_read_at_once() {
        let reads = Arc::<AtomicU64>::default();
        let (near, mut far) = tokio::io::duplex(READ_AHEAD);
        let counted = Counted { stream: near, reads: Arc::clone(&reads) };
        let (transport, _leash) = Transport::new(counted, None);
        let mut ahead = transport.read_ahead();
        far.write_all(&[7; 300]).await.unwrap();
        for _ in 0..10 {
            ahead.read_exact(&mut [0; 4]).await.unwrap();
            ahead.read_exact(&mut [0; 26]).await.unwrap();
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_ends_the_stream() {
        let (near, _far) = tokio::io::duplex(1);
        let (mut transport, _leash) = Transport::new(near, None);
        assert_eq!(transport.write_all(b"xyz").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_silent_for_too_long_ends_a_session_in_use_and_no_other() {
        let limit = Duration::from_secs(3);
        for established in [false, true] {
            let (near, mut far) = tokio::io::duplex(64);
            let (transport, guard) = Transport::new(near, None);
            let mut transport = transport.with_silence_limit(Some(limit));
            if established {
                guard.establish();
            }
            let started = Instant::now();
            let speaking = async {
                // Never silent for as long as the limit.
                for _ in 0..3 {
                    tokio::time::sleep(limit * 2 / 3).await;
                    far.write_all(b"x").await.unwrap();
                }
            };
            let mut four = [0; 4];
            let hearing = tokio::time::timeout(limit * 9, transport.read_exact(&mut four));
            let (heard, ()) = tokio::join!(hearing, speaking);
            assert_eq!(guard.bytes_heard(), 3);
            match heard {
                Ok(ended) => assert_eq!((ended.unwrap_err().kind(), established), (io::ErrorKind::TimedOut, true)),
                Err(_) => assert!(!established, "it goes on"),
            }
            assert_eq!(started.elapsed(), if established { limit * 3 } else { limit * 9 });
        }
    }
}
