//! What the calls of one client may hold: what hosts send for them while they run, and their answers until the client has
//! read them. Both are reserved before the memory is taken, and waited for.
//!
//! Owns five bounds and their order: copies, the calls to one host, all calls, what they have beyond what was expected, answers. Who waits for one of them holds
//! none that comes later, so none waits for another in a circle. Room for answers comes back as the client reads, so a client
//! that reads goes on, however many calls it has begun; of one that does not read, calls wait until they are cancelled or
//! too late.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use scout_runtime::{Answer, Content, Structured};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::render::{Reply, Text};

/// Bytes that all calls under way are expected to have from hosts: at the default limits 46 commands or 90 reads at once. A
/// call that may have more than all runs alone.
const RUNNING: usize = 96 << 20;
/// The same of the calls to one host, of which so many are more than it answers at once: calls that wait for a slow host leave
/// room for those to others.
const OF_HOST: usize = RUNNING / 3;
/// What a copy of files holds at most of what is on its way: the windows of both sides, and what waits in between.
const OF_COPY: usize = 16 << 20;
/// Copies under way at once. They may take an hour, so they take nothing from other calls.
const COPIES_AT_ONCE: usize = 2;
/// Bytes that they have beyond that, together.
const BEYOND: usize = 16 << 20;
/// Bytes of answers that the client has not read.
const ANSWERS: usize = 48 << 20;
/// What a value in an answer takes beside its text, in bytes: its place in the tree of an object, half full.
const VALUE: usize = 128;
/// What any message takes at least, in bytes: it, its id, and the task that writes it.
pub(crate) const LEAST: usize = 2 << 10;
/// Copies of an answer: the bytes themselves, the text that they become, and that as it is written.
const COPIES: usize = 3;
/// How much longer a text may become until it can be shown: U+0080 is two bytes, `<U+0080>` eight.
const SHOWN: usize = 4;

/// What the calls of one client hold. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientMemory {
    copies: MemoryPool,
    running: MemoryPool,
    /// For each host that calls go to.
    hosts: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
    beyond: MemoryPool,
    answers: MemoryPool,
}

#[derive(Clone, Debug)]
struct MemoryPool {
    free: Arc<Semaphore>,
    bytes: usize,
}

/// Room that a call or an answer has. Given back when it is dropped.
#[derive(Debug)]
pub struct Reservation(Option<OwnedSemaphorePermit>);

/// Room of a call: of what calls to its host may have, and of what all may.
#[derive(Debug)]
pub struct CallReservation {
    room: Reservation,
    _of_host: Option<Reservation>,
}

impl Default for ClientMemory {
    fn default() -> Self {
        Self {
            copies: MemoryPool::new(COPIES_AT_ONCE * OF_COPY),
            running: MemoryPool::new(RUNNING),
            hosts: Arc::default(),
            beyond: MemoryPool::new(BEYOND),
            answers: MemoryPool::new(ANSWERS),
        }
    }
}

impl ClientMemory {
    /// Waits for room for what a call to this host, if it is to one, has while it runs: first among the calls to that host,
    /// which holds up nobody else, then among all.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub async fn call(&self, host: Option<&str>, bytes: usize) -> CallReservation {
        let of_host = match host {
            Some(host) => Some(self.of_host(host).take(bytes).await),
            None => None,
        };
        CallReservation { room: self.running.take(bytes).await, _of_host: of_host }
    }

    /// Waits for room for a copy of files, among all of them.
    ///
    /// # Cancel safety
    /// As [`ClientMemory::call`].
    pub async fn copy(&self) -> CallReservation {
        CallReservation { room: self.copies.take(OF_COPY).await, _of_host: None }
    }

    fn of_host(&self, host: &str) -> MemoryPool {
        let mut hosts = self.hosts.lock();
        let known = hosts.get(host).and_then(Weak::upgrade);
        let free = known.unwrap_or_else(|| {
            hosts.retain(|_, free| free.strong_count() > 0);
            let free = Arc::new(Semaphore::new(OF_HOST));
            hosts.insert(host.to_owned(), Arc::downgrade(&free));
            free
        });
        MemoryPool { free, bytes: OF_HOST }
    }

    /// Waits for room for what a call has in all, `bytes`, beyond the room that it has.
    ///
    /// # Cancel safety
    /// As [`ClientMemory::call`].
    pub async fn beyond(&self, room: &CallReservation, bytes: usize) -> Option<Reservation> {
        let more = bytes.saturating_sub(room.room.bytes());
        if more == 0 { None } else { Some(self.beyond.take(more).await) }
    }

    /// Waits for room for an answer that is made from this one.
    ///
    /// # Cancel safety
    /// As [`ClientMemory::call`].
    pub async fn answer(&self, answer: &Answer) -> Reservation {
        self.message(SHOWN * COPIES * weight(answer)).await
    }

    /// Waits for room for a message of so many bytes.
    ///
    /// # Cancel safety
    /// As [`ClientMemory::call`].
    pub async fn message(&self, bytes: usize) -> Reservation {
        self.answers.take(LEAST.saturating_add(bytes)).await
    }
}

impl MemoryPool {
    fn new(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes)), bytes }
    }

    async fn take(&self, bytes: usize) -> Reservation {
        // It is never closed.
        Reservation(Arc::clone(&self.free).acquire_many_owned(self.permits(bytes)).await.ok())
    }

    /// Who may take more than there is takes all.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.bytes)).unwrap_or(u32::MAX)
    }
}

impl Reservation {
    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives back what is beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            drop(held.split(held.num_permits().saturating_sub(LEAST.saturating_add(bytes))));
        }
    }
}

/// What an answer takes as it comes from a plugin, in bytes, about. Its blobs are the host's bytes, each counted once: as
/// part of the text and as a field they are the same.
pub fn weight(answer: &Answer) -> usize {
    let parts = |is_blob: bool| {
        let lengths = answer.content.iter().map(move |content| match content {
            Content::Text(text) if !is_blob => text.len(),
            Content::Bytes(bytes) | Content::Image(bytes, _) if is_blob => bytes.len(),
            Content::Text(_) | Content::Bytes(_) | Content::Image(..) => 0,
        });
        lengths.sum::<usize>()
    };
    let fields: usize = answer.attachments.iter().map(|(name, bytes, _)| name.len() + bytes.len()).sum();
    let structured = answer.structured.as_ref().map_or(0, structured_size);
    parts(false) + parts(true).max(fields) + structured
}

/// What a reply takes until it is written, in bytes, about.
pub fn reply_weight(reply: &Reply) -> usize {
    let text = |text: &Text| match text {
        Text::Said(text) => text.len(),
        // It is one of the fields.
        Text::Field(name) => name.len(),
    };
    let text: usize = reply.text.iter().map(|part| VALUE + text(part)).sum();
    let images: usize = reply.images.iter().map(|(data, _)| VALUE + data.len()).sum();
    text + images
        + reply.structured.as_ref().map_or(0, structured_size)
        + reply.raw.as_ref().map_or(0, bytes::Bytes::len)
}

fn structured_size(structured: &Structured) -> usize {
    match structured {
        Structured::Fields(fields) => fields_size(fields),
        Structured::Text(text) => text.len(),
    }
}

/// What the fields of a JSON object take, in bytes, about.
pub fn fields_size(fields: &serde_json::Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| VALUE + name.len() + size(value)).sum()
}

/// What a JSON value takes beside its place, in bytes, about.
pub fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| VALUE + size(value)).sum(),
        Value::Object(fields) => fields_size(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use scout_runtime::{Encoding, Receipt};
    use serde_json::json;

    use super::*;
    use crate::exit::Secrets;
    use crate::render::{Base64, render};

    /// What the plugin `file` answers with.
    fn file(content: &'static [u8]) -> Answer {
        let bytes = Bytes::from_static(content);
        Answer {
            content: vec![Content::Bytes(bytes.clone())],
            structured: json!({"path": "/f", "size": 1}).as_object().cloned().map(Structured::Fields),
            attachments: vec![("content".to_owned(), bytes, Encoding::Text)],
            ..Answer::default()
        }
    }

    #[test]
    fn calls_wait_for_each_other_and_one_that_may_have_more_than_all_runs_alone() {
        let held = ClientMemory::default();
        let running: Vec<CallReservation> = std::iter::from_fn(|| held.call(None, 2 << 20).now_or_never()).collect();
        assert_eq!(running.len(), 48);
        assert!(held.call(None, 1).now_or_never().is_none());
        drop(running);
        let alone = held.call(None, usize::MAX).now_or_never().unwrap();
        assert!(held.call(None, 1).now_or_never().is_none());
        drop(alone);
        assert_eq!(held.running.free.available_permits(), RUNNING);
    }

    #[test]
    fn calls_that_wait_for_a_host_leave_room_for_those_to_others() {
        let held = ClientMemory::default();
        let slow: Vec<CallReservation> =
            std::iter::from_fn(|| held.call(Some("slow"), 2 << 20).now_or_never()).take(100).collect();
        assert_eq!(slow.len(), 16);
        let mut waits = Box::pin(held.call(Some("slow"), 2 << 20));
        assert!(waits.as_mut().now_or_never().is_none());
        assert!(held.call(Some("quick"), 2 << 20).now_or_never().is_some());
        assert!(held.call(None, 2 << 20).now_or_never().is_some());
        drop(slow);
        assert!(waits.now_or_never().is_some());
        drop(held.call(Some("next"), 1).now_or_never());
        assert_eq!(held.hosts.lock().len(), 1, "nothing is kept of hosts that nobody asks");
    }

    #[test]
    fn what_a_call_has_beyond_what_was_expected_takes_nothing_from_calls() {
        let held = ClientMemory::default();
        let beyond = |room: &CallReservation, bytes| held.beyond(room, bytes).now_or_never();
        let calls: Vec<CallReservation> = std::iter::from_fn(|| held.call(None, 2 << 20).now_or_never()).collect();
        let [first, second, ..] = calls.as_slice() else { panic!("no calls") };
        assert!(beyond(first, 2 << 20).unwrap().is_none(), "as expected");
        let all = beyond(first, usize::MAX).unwrap().unwrap();
        assert_eq!(all.bytes(), BEYOND);
        assert!(beyond(second, (2 << 20) + 1).is_none());
        drop(all);
        assert!(beyond(second, (2 << 20) + 1).unwrap().is_some());
    }

    #[test]
    fn room_for_an_answer_is_for_all_that_it_may_become_and_then_for_what_it_is() {
        for content in [&b"plain"[..], &[0x1b; 1000], "\u{80}".repeat(1000).leak().as_bytes(), &[0xff; 1000]] {
            let held = ClientMemory::default();
            let mut room = held.answer(&file(content)).now_or_never().unwrap();
            let reserved = ANSWERS - held.answers.free.available_permits();
            let reply = render(file(content), Base64::Given, Secrets::Shown, Receipt::default());
            assert!(reply_weight(&reply) <= reserved, "{} of {reserved}", reply_weight(&reply));
            room.shrink_to(reply_weight(&reply));
            assert_eq!(ANSWERS - held.answers.free.available_permits(), LEAST + reply_weight(&reply));
            // The bytes, and the text that is content and field.
            assert!(reply_weight(&reply) >= 2 * content.len());
            assert!(reply_weight(&reply) < (1 + SHOWN) * content.len() + 10 * VALUE);
        }
    }

    #[test]
    fn answers_take_nothing_from_calls() {
        let held = ClientMemory::default();
        let answers = held.message(usize::MAX).now_or_never().unwrap();
        assert!(held.answer(&file(b"")).now_or_never().is_none() && held.call(None, RUNNING).now_or_never().is_some());
        drop(answers);
        assert_eq!(held.answers.free.available_permits(), ANSWERS);
    }
}
