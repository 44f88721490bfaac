//! Failures, told for people and, by their kind, for programs.

use std::fmt;

use crate::bindings::imports::scout::plugin::types;

/// What kind of trouble there was. A later Scout may know more kinds: one that is not here is taken for [`ErrorKind::Remote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The call names a host that is not in the inventory, or not granted to this call.
    UnknownHost,
    /// The host could not be reached, or the connection was lost.
    Unreachable,
    /// The host's key is unknown, changed or revoked.
    Untrusted,
    /// The host accepted no identity that was offered.
    Unauthenticated,
    /// No such file or directory.
    NotFound,
    /// The remote account may not do this.
    Permission,
    /// The operator's grants or command policy refuse this.
    Refused,
    /// The request's deadline passed.
    Timeout,
    /// A budget of this call or a queue of the host is used up.
    Exhausted,
    /// The request was cancelled by the client.
    Cancelled,
    /// The arguments make no sense.
    Invalid,
    /// The remote host cannot do this.
    Unsupported,
    /// Any other failure that the remote host reported.
    Remote,
    /// A fault of Scout itself.
    Internal,
    /// A word of the plugin's own, of lower-case letters, digits and `-`, at most 64.
    Other(&'static str),
}

/// The kinds by the words that the contract has for them.
const KINDS: [(&str, ErrorKind); 14] = [
    ("unknown-host", ErrorKind::UnknownHost),
    ("unreachable", ErrorKind::Unreachable),
    ("untrusted", ErrorKind::Untrusted),
    ("unauthenticated", ErrorKind::Unauthenticated),
    ("not-found", ErrorKind::NotFound),
    ("permission", ErrorKind::Permission),
    ("refused", ErrorKind::Refused),
    ("timeout", ErrorKind::Timeout),
    ("exhausted", ErrorKind::Exhausted),
    ("cancelled", ErrorKind::Cancelled),
    ("invalid", ErrorKind::Invalid),
    ("unsupported", ErrorKind::Unsupported),
    ("remote", ErrorKind::Remote),
    ("internal", ErrorKind::Internal),
];

impl ErrorKind {
    fn named(word: &str) -> Self {
        KINDS.iter().find(|(known, _)| *known == word).map_or(Self::Remote, |(_, kind)| *kind)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Other(word) => word,
            known => KINDS.iter().find(|(_, kind)| *kind == known).map_or("remote", |(word, _)| *word),
        }
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// For programs.
    pub kind: ErrorKind,
    /// One sentence: what failed and where.
    pub message: String,
    /// What to do instead, if that is known.
    pub hint: Option<String>,
}

impl Error {
    /// A failure in one sentence: what failed and where.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// With what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Its kind as the contract calls it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind.word()
    }

    pub(crate) fn into_wit(self) -> types::Error {
        types::Error { kind: self.kind.word().to_owned(), message: self.message, hint: self.hint }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self { kind: ErrorKind::named(&error.kind), message: error.message, hint: error.hint }
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, KINDS};

    #[test]
    fn a_kind_has_one_word_and_what_is_unknown_is_remote() {
        for (word, kind) in KINDS {
            assert_eq!((ErrorKind::named(word), kind.word()), (kind, word));
        }
        assert_eq!(ErrorKind::named("license-expired"), ErrorKind::Remote);
        assert_eq!(ErrorKind::Other("license-expired").word(), "license-expired");
    }
}
