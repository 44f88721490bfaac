//! Bytes that a client sent on one channel and that its program has not read yet.
//!
//! The session loop hands a channel's bytes over and must never wait for the channel's program: that would stall every
//! other channel of the connection. So the queue is bounded by bytes and refuses instead of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes that may wait for one program. Twice the channel's window, so a client that respects it never gets here
/// unless the program stopped reading.
const MAX_WAITING: usize = 4 << 20;

/// What one message costs beside its bytes, so that a flood of tiny messages is bounded too.
const MESSAGE_OVERHEAD: usize = 64;

/// What a client sent on a channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Bytes.
    Data(Bytes),
    /// It will send no more bytes.
    Eof,
}

/// More bytes wait than [`MAX_WAITING`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// The session loop's end.
#[derive(Debug)]
pub(super) struct Sender {
    queue: mpsc::UnboundedSender<Input>,
    waiting: Arc<AtomicUsize>,
    ended: bool,
}

/// The program's end.
#[derive(Debug)]
pub(super) struct Receiver {
    queue: mpsc::UnboundedReceiver<Input>,
    waiting: Arc<AtomicUsize>,
}

/// An empty backlog.
pub(super) fn backlog() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Sender { queue: sender, waiting: Arc::clone(&waiting), ended: false }, Receiver { queue: receiver, waiting })
}

impl Sender {
    /// Queues bytes, without waiting. Bytes after the end of input are dropped.
    pub(super) fn push(&self, data: &[u8]) -> Result<(), Overflow> {
        if data.is_empty() || self.ended {
            return Ok(());
        }
        let cost = data.len().saturating_add(MESSAGE_OVERHEAD);
        if self.waiting.fetch_add(cost, Ordering::Relaxed).saturating_add(cost) > MAX_WAITING {
            return Err(Overflow);
        }
        // A program that ended reads no more, which is no error.
        self.queue.send(Input::Data(Bytes::copy_from_slice(data))).ok();
        Ok(())
    }

    /// Marks the end of input. Further calls do nothing.
    pub(super) fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.queue.send(Input::Eof).ok();
        }
    }

    /// Whether the program has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Receiver {
    /// The next input; `None` once the channel is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn recv(&mut self) -> Option<Input> {
        let input = self.queue.recv().await?;
        if let Input::Data(data) = &input {
            self.waiting.fetch_sub(data.len().saturating_add(MESSAGE_OVERHEAD), Ordering::Relaxed);
        }
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn input_arrives_in_order() {
        let (mut sender, mut receiver) = backlog();
        sender.push(b"one").expect("room");
        sender.end();
        sender.push(b"late").expect("dropped, not refused");
        drop(sender);
        assert_eq!(receiver.recv().await, Some(Input::Data(Bytes::from_static(b"one"))));
        assert_eq!(receiver.recv().await, Some(Input::Eof));
        assert_eq!(receiver.recv().await, None);
    }

    #[test]
    fn a_full_backlog_refuses() {
        let (sender, _receiver) = backlog();
        let chunk = vec![0; 1 << 20];
        for _ in 0..3 {
            sender.push(&chunk).expect("room");
        }
        assert_eq!(sender.push(&chunk), Err(Overflow));
    }

    #[test]
    fn tiny_messages_are_bounded_too() {
        let (sender, _receiver) = backlog();
        let accepted = (0..MAX_WAITING).take_while(|_| sender.push(b"x").is_ok()).count();
        assert!(accepted <= MAX_WAITING / MESSAGE_OVERHEAD, "{accepted} messages");
    }
}
