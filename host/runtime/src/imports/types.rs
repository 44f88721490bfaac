//! `types`: errors and attributes across the boundary.

use std::borrow::Cow;

use scout_machine::{Attributes, ErrorKind, FileKind, HostError, RemotePath};

use super::wit::types;
use crate::budget::BudgetSpent;
use crate::policy::Refusal;
use crate::state::CallState;
use crate::{CallError, CallErrorKind, Receipt};

/// The longest message or hint, in bytes.
const MAX_TEXT: usize = 4096;

/// Why an import gives nothing.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub enum Failure {
    /// The guest is told.
    Told(types::Error),
    /// The guest is ended.
    End(wasmtime::Error),
}

impl From<types::Error> for Failure {
    fn from(error: types::Error) -> Self {
        Self::Told(error)
    }
}

impl From<BudgetSpent> for Failure {
    fn from(spent: BudgetSpent) -> Self {
        Self::End(spent.into())
    }
}

impl types::Host for CallState {
    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<types::Error> {
        match failure {
            Failure::Told(error) => Ok(error),
            Failure::End(error) => Err(error),
        }
    }
}

/// The kinds of trouble that Scout tells guests of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    UnknownHost,
    Unreachable,
    Untrusted,
    Unauthenticated,
    NotFound,
    Permission,
    Refused,
    Timeout,
    Exhausted,
    Cancelled,
    Invalid,
    Unsupported,
    Remote,
    Internal,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::UnknownHost,
        Self::Unreachable,
        Self::Untrusted,
        Self::Unauthenticated,
        Self::NotFound,
        Self::Permission,
        Self::Refused,
        Self::Timeout,
        Self::Exhausted,
        Self::Cancelled,
        Self::Invalid,
        Self::Unsupported,
        Self::Remote,
        Self::Internal,
    ];

    /// As the contract calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown-host",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not-found",
            Self::Permission => "permission",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Remote => "remote",
            Self::Internal => "internal",
        }
    }
}

/// An error for a guest, its text bounded and without control characters.
pub(super) fn error(kind: Kind, message: &str, hint: Option<&str>) -> types::Error {
    types::Error { kind: kind.word().to_owned(), message: bounded(message), hint: hint.map(bounded) }
}

/// That no host is called so, in the words of this error.
pub(crate) fn unknown_host(error: &HostError) -> types::Error {
    self::error(Kind::UnknownHost, error.message(), error.hint())
}

pub(crate) fn from_ssh(error: &HostError) -> types::Error {
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

/// A kind as a guest names it: one of Scout's, or a word of its own; what is no word is as good as `remote`.
pub(super) fn word(kind: String) -> Cow<'static, str> {
    /// The longest word, in bytes.
    const MAX_WORD: usize = 64;
    if let Some(known) = Kind::ALL.into_iter().find(|known| known.word() == kind) {
        return Cow::Borrowed(known.word());
    }
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !kind.is_empty() && kind.len() <= MAX_WORD && kind.bytes().all(is_word) {
        true => Cow::Owned(kind),
        false => Cow::Borrowed(Kind::Remote.word()),
    }
}

fn kind_of(error: &HostError) -> Kind {
    match error.kind() {
        ErrorKind::Config | ErrorKind::Unreachable | ErrorKind::ConnectionLost => Kind::Unreachable,
        ErrorKind::UnknownHostKey | ErrorKind::HostKeyRejected => Kind::Untrusted,
        ErrorKind::Auth => Kind::Unauthenticated,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Permission => Kind::Permission,
        ErrorKind::Outside => Kind::Refused,
        ErrorKind::Timeout => Kind::Timeout,
        ErrorKind::Cancelled => Kind::Cancelled,
        ErrorKind::Exhausted => Kind::Exhausted,
        ErrorKind::Invalid => Kind::Invalid,
        ErrorKind::Unsupported => Kind::Unsupported,
        ErrorKind::NotReadable | ErrorKind::Remote => Kind::Remote,
    }
}

pub(crate) fn from_refusal(refusal: &Refusal) -> types::Error {
    error(Kind::Refused, &refusal.to_string(), refusal.instead.as_deref())
}

/// A guest's error as the caller sees it.
pub(crate) fn failed(error: types::Error) -> CallError {
    let reason = word(error.kind);
    let is = |kind: Kind| reason == kind.word();
    let kind = match () {
        () if is(Kind::Timeout) => CallErrorKind::Timeout,
        () if is(Kind::Cancelled) => CallErrorKind::Cancelled,
        () if is(Kind::Internal) => CallErrorKind::Internal,
        () => CallErrorKind::Failed,
    };
    CallError {
        kind,
        is_missing: is(Kind::NotFound) || is(Kind::UnknownHost),
        message: bounded(&error.message),
        hint: error.hint.as_deref().map(bounded),
        receipt: Receipt::default(),
        reason,
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
pub(super) fn bounded(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_one_of_scouts_or_a_word_or_remote() {
        for kind in Kind::ALL {
            assert!(matches!(word(kind.word().to_owned()), Cow::Borrowed(told) if told == kind.word()));
        }
        for (said, told) in
            [("license-expired", "license-expired"), ("Not A Word", "remote"), ("", "remote"), ("a\n", "remote")]
        {
            assert_eq!(word(said.to_owned()), told, "{said:?}");
        }
        assert_eq!(word("a".repeat(65)), "remote");
    }

    /// What the text of the contract names is what there is.
    #[test]
    fn the_kinds_are_those_of_the_contract() {
        let wit = include_str!("../../../../wit/types.wit");
        let named = wit.lines().filter_map(|line| line.trim().strip_prefix("/// - `")?.split('`').next());
        assert_eq!(named.collect::<Vec<_>>(), Kind::ALL.map(Kind::word));
    }
}
