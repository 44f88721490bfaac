//! What a WASI guest prints.
//!
//! Owns the streams behind its stdout and stderr. Invariant: a stream holds nothing of its own. wasmtime's default,
//! `AsyncWriteStream`, queues each write for a task, and what it bounds is the sum of their bytes: writes of no bytes grow
//! the host's memory without end (GHSA-5m8g-xhq4-4h93).

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// What is kept of each stream that a foreign guest prints to, in bytes.
const STDIO_BYTES: usize = 64 * 1024;
/// The most that a guest may hand over at once, in bytes: so much is allocated when it asks for zeroes.
const AT_ONCE: usize = 8 * 1024;

/// What a guest printed to one stream: its first bytes. The rest is dropped as if it were printed, for a guest that only
/// talks much is no reason to end it.
#[derive(Clone, Default)]
pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.0.lock().clone()
    }
}

#[async_trait]
impl Pollable for Printed {
    /// Always.
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > AT_ONCE {
            return Err(StreamError::trap("a write of more bytes than `check-write` allowed"));
        }
        let mut kept = self.0.lock();
        let room = STDIO_BYTES.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(())
    }

    /// Nothing waits.
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    /// Of WASI 0.1 and 0.3, which are not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    /// A write that tells whether it is still held.
    struct Counted {
        bytes: &'static [u8],
        _held: Arc<()>,
    }

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            self.bytes
        }
    }

    /// Writes without a pause, as a guest does that holds its thread; gives how many of them are still held.
    fn held_after(writes: usize, bytes: &'static [u8]) -> usize {
        let (printed, count) = (Printed::default(), Arc::new(()));
        let mut stream = printed.p2_stream();
        for _ in 0..writes {
            stream.write(Bytes::from_owner(Counted { bytes, _held: Arc::clone(&count) })).unwrap();
        }
        Arc::strong_count(&count) - 1
    }

    #[tokio::test]
    async fn no_write_is_held_however_small() {
        assert_eq!(held_after(1000, b""), 0);
        assert_eq!(held_after(1000, b"x"), 0);
    }

    #[tokio::test]
    async fn only_the_first_bytes_are_kept_and_the_rest_is_no_error() {
        let printed = Printed::default();
        let (mut one, mut other) = (printed.p2_stream(), printed.p2_stream());
        let (x, y) = (Bytes::from(vec![b'x'; AT_ONCE]), Bytes::from(vec![b'y'; AT_ONCE]));
        for _ in 0..STDIO_BYTES / AT_ONCE {
            one.blocking_write_and_flush(x.clone()).await.unwrap();
            other.write(y.clone()).unwrap();
        }
        other.write_zeroes(AT_ONCE).unwrap();
        let kept = printed.kept();
        assert_eq!(kept.len(), STDIO_BYTES);
        assert_eq!(kept.iter().filter(|byte| **byte == b'x').count(), STDIO_BYTES / 2);
    }

    #[tokio::test]
    async fn more_than_was_allowed_at_once_ends_the_guest() {
        let mut stream = Printed::default().p2_stream();
        assert!(matches!(stream.write(Bytes::from(vec![0; AT_ONCE + 1])), Err(StreamError::Trap(_))));
        assert!(matches!(stream.write_zeroes(usize::MAX), Err(StreamError::Trap(_))));
    }
}
