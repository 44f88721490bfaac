//! Bytes taken from a remote stream up to a cap.

use bytes::Bytes;

/// The first bytes of a stream or file, and what is known of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// At most the cap's number of bytes.
    pub data: Bytes,
    /// Whether the source held more than `data`.
    pub truncated: bool,
    /// How many bytes the source holds: a file's size, or what a stream has sent. A stream that did not end by itself
    /// (a command that was stopped or lost) would have sent more: then it is a lower bound. Absent if unknown.
    pub total: Option<u64>,
    /// When a file was changed last, in seconds since 1970-01-01 UTC, as it was when it was opened. Absent of streams, and if unknown.
    pub modified: Option<u32>,
}
