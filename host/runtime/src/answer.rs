//! What a plugin answered, in host types.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::budget::Hold;
use crate::shares::Room;

/// A part of an answer, not yet made safe to show.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text that the plugin wrote.
    Text(String),
    /// Remote bytes that never were in the guest.
    Bytes(Bytes),
}

/// How an attachment becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A JSON string; bytes that are not UTF-8 are replaced.
    Text,
    /// Base64.
    Base64,
}

/// A plugin's answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// In order.
    pub content: Vec<Content>,
    /// A JSON object, if the plugin gave one.
    pub structured: Option<serde_json::Map<String, serde_json::Value>>,
    /// Top-level fields of `structured` whose value are remote bytes.
    pub attachments: Vec<(String, Bytes, Encoding)>,
    /// Whether the operation itself failed.
    pub is_error: bool,
    /// Bytes of all of it as it came: text, JSON, and blobs wherever they are.
    pub size: usize,
    /// What it takes.
    pub held: Held,
}

/// The memory that an answer takes in Scout, given back when the last copy of this is dropped.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub(crate) bytes: Vec<Arc<Hold>>,
    pub(crate) parsed: Option<Arc<Room>>,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipt {
    /// From entry to answer.
    pub wall: Duration,
    /// CPU of the guest, as [`crate::Limits::cpu`] counts it.
    pub cpu: Duration,
    /// Imports called.
    pub host_calls: u64,
    /// The most linear memory the call held, in bytes.
    pub memory_peak: u64,
    /// Waits for remote hosts that followed one upon another.
    pub round_trips: u64,
    /// Payload bytes that remote hosts sent.
    pub remote_bytes: u64,
    /// Remote bytes copied into the guest: what it only hands through is not.
    pub copied_bytes: u64,
    /// Commands started.
    pub execs: u64,
}
