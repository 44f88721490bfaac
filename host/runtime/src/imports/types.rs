//! `types`: errors and attributes across the boundary.

use scout_machine::{Attributes, ErrorKind, FileKind, HostError, RemotePath};

use super::wit::types;
use crate::policy::Refusal;
use crate::state::CallState;
use crate::{CallError, CallErrorKind, Receipt};

/// The longest message or hint, in bytes.
const MAX_TEXT: usize = 4096;

impl types::Host for CallState {}

/// An error for a guest, its text bounded and without control characters.
pub(super) fn error(kind: types::ErrorKind, message: &str, hint: Option<&str>) -> types::Error {
    types::Error { kind, message: bounded(message), hint: hint.map(bounded) }
}

pub(super) fn from_ssh(error: &HostError) -> types::Error {
    self::error(kind_of(error), error.message(), error.hint())
}

/// A path that a guest names.
pub(super) fn path(bytes: &[u8]) -> Result<RemotePath, types::Error> {
    RemotePath::parse(bytes).map_err(|error| from_ssh(&error))
}

/// An answer to another question.
pub(super) fn amiss() -> types::Error {
    from_ssh(&crate::steps::amiss())
}

/// Why an operation on a host failed, in a word for programs.
pub fn reason(error: &HostError) -> &'static str {
    name(kind_of(error))
}

/// As the contract calls it.
fn name(kind: types::ErrorKind) -> &'static str {
    match kind {
        types::ErrorKind::UnknownHost => "unknown-host",
        types::ErrorKind::Unreachable => "unreachable",
        types::ErrorKind::Untrusted => "untrusted",
        types::ErrorKind::Unauthenticated => "unauthenticated",
        types::ErrorKind::NotFound => "not-found",
        types::ErrorKind::Permission => "permission",
        types::ErrorKind::Refused => "refused",
        types::ErrorKind::Timeout => "timeout",
        types::ErrorKind::Exhausted => "exhausted",
        types::ErrorKind::Cancelled => "cancelled",
        types::ErrorKind::Invalid => "invalid",
        types::ErrorKind::Unsupported => "unsupported",
        types::ErrorKind::Remote => "remote",
        types::ErrorKind::Internal => "internal",
    }
}

fn kind_of(error: &HostError) -> types::ErrorKind {
    match error.kind() {
        ErrorKind::Config | ErrorKind::Unreachable | ErrorKind::ConnectionLost => types::ErrorKind::Unreachable,
        ErrorKind::UnknownHostKey | ErrorKind::HostKeyRejected => types::ErrorKind::Untrusted,
        ErrorKind::Auth => types::ErrorKind::Unauthenticated,
        ErrorKind::NotFound => types::ErrorKind::NotFound,
        ErrorKind::Permission => types::ErrorKind::Permission,
        ErrorKind::Outside => types::ErrorKind::Refused,
        ErrorKind::Timeout => types::ErrorKind::Timeout,
        ErrorKind::Cancelled => types::ErrorKind::Cancelled,
        ErrorKind::Exhausted => types::ErrorKind::Exhausted,
        ErrorKind::Invalid => types::ErrorKind::Invalid,
        ErrorKind::Unsupported => types::ErrorKind::Unsupported,
        ErrorKind::NotReadable | ErrorKind::Remote => types::ErrorKind::Remote,
    }
}

pub(super) fn from_refusal(refusal: &Refusal) -> types::Error {
    error(types::ErrorKind::Refused, &refusal.to_string(), refusal.instead.as_deref())
}

/// A guest's error as the caller sees it.
pub(crate) fn failed(error: types::Error) -> CallError {
    let kind = match error.kind {
        types::ErrorKind::Timeout => CallErrorKind::Timeout,
        types::ErrorKind::Cancelled => CallErrorKind::Cancelled,
        types::ErrorKind::Internal => CallErrorKind::Internal,
        _ => CallErrorKind::Failed,
    };
    CallError {
        kind,
        reason: name(error.kind),
        is_missing: matches!(error.kind, types::ErrorKind::NotFound | types::ErrorKind::UnknownHost),
        message: bounded(&error.message),
        hint: error.hint.as_deref().map(bounded),
        receipt: Receipt::default(),
    }
}

pub(super) fn attributes(attributes: &Attributes) -> types::Attributes {
    types::Attributes {
        kind: match attributes.kind() {
            FileKind::File => types::FileKind::File,
            FileKind::Directory => types::FileKind::Directory,
            FileKind::Symlink => types::FileKind::Symlink,
            FileKind::Other => types::FileKind::Other,
        },
        size: attributes.size,
        mode: attributes.permissions,
        uid: attributes.uid,
        gid: attributes.gid,
        links: attributes.links,
        modified: attributes.mtime.map(u64::from),
    }
}

/// Text of at most [`MAX_TEXT`] bytes; control characters but line feeds become spaces.
fn bounded(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}
