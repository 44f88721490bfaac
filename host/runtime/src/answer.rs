//! What a plugin answered, in host types.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::budget::HostMemory;
use crate::shares::MemoryReservation;

/// A part of an answer, not yet made safe to show.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text that the plugin wrote.
    Text(String),
    /// Remote bytes that never were in the guest.
    Bytes(Bytes),
    /// A picture, whole.
    Image(Bytes, ImageFormat),
}

/// The formats of pictures that clients show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
}

impl ImageFormat {
    const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Gif, Self::WebP];

    /// Its media type (RFC 6838).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
        }
    }

    /// The one of this media type.
    pub fn named(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.media_type() == media_type)
    }

    /// The one that these bytes begin as.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }
}

/// Why the operation failed that an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerFailure {
    /// A word for programs: a kind of the contract's errors, or the plugin's own.
    pub kind: Cow<'static, str>,
    /// One sentence for people.
    pub message: String,
    /// What to do instead, if known.
    pub hint: Option<String>,
}

/// How an attachment becomes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A JSON string; bytes that are not UTF-8 are replaced.
    Text,
    /// Base64.
    Base64,
}

/// A structured answer: a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub enum Structured {
    /// Its fields.
    Fields(Map<String, Value>),
    /// As it was written, a large one that can be passed on so: on one line, nothing in it is hidden, and no object has a name twice.
    Text(String),
}

impl Structured {
    /// Its fields. A text is read for them.
    #[must_use]
    pub fn into_fields(self) -> Map<String, Value> {
        match self {
            Self::Fields(fields) => fields,
            // It was checked.
            Self::Text(text) => serde_json::from_str(&text).unwrap_or_default(),
        }
    }
}

/// A plugin's answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// In order.
    pub content: Vec<Content>,
    /// A JSON object, if the plugin gave one.
    pub structured: Option<Structured>,
    /// Top-level fields of `structured` whose value are remote bytes.
    pub attachments: Vec<(String, Bytes, Encoding)>,
    /// Why the operation itself failed, if it did.
    pub failure: Option<AnswerFailure>,
    /// Bytes of all of it as it came: text, JSON, and blobs wherever they are.
    pub size: usize,
    /// What it takes.
    pub held: AnswerMemory,
}

/// The memory that an answer takes in Scout, given back when the last copy of this is dropped.
#[derive(Clone, Debug, Default)]
pub struct AnswerMemory {
    pub(crate) bytes: Vec<Arc<HostMemory>>,
    pub(crate) parsed: Option<Arc<MemoryReservation>>,
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
    /// Those of them that were sent to a shell that stays, and not on a channel of their own.
    pub shell_execs: u64,
}
