//! The engine's one error: a kind to branch on and a sentence for people.

use std::borrow::Cow;
use std::time::Duration;

use crate::text::visible;

/// What kind of trouble it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Configuration that cannot be evaluated for this host; the message names file:line.
    Config,
    /// Name resolution, TCP connect or handshake failed, or the connection was lost before an answer.
    Unreachable,
    /// The host's key is unknown: nobody has said yet that it is trusted.
    UnknownHostKey,
    /// The host's key is changed or revoked.
    HostKeyRejected,
    /// No identity was accepted.
    Auth,
    /// No such file or directory.
    NotFound,
    /// The remote account may not do this.
    Permission,
    /// The path leads out of the directories that the request is confined to, or to what nobody reads.
    Outside,
    /// Not a thing that can be read: a FIFO, a device, or a file system that hangs.
    NotReadable,
    /// The deadline passed.
    Timeout,
    /// The request was cancelled.
    Cancelled,
    /// A queue or a budget is full.
    Exhausted,
    /// The arguments make no sense (NUL in a path, a name too long).
    Invalid,
    /// The remote host cannot do this (no SFTP, no such extension).
    Unsupported,
    /// Any other failure that the remote host reported.
    Remote,
    /// The connection broke while a command ran: it may have run.
    ConnectionLost,
}

/// A failure of the engine. Never holds a secret or the raw command, nor a hidden character of anybody's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    kind: ErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    /// How long the host is left alone at least.
    retried_after: Option<Duration>,
}

impl HostError {
    /// An error of this kind. `message` is one sentence: what failed and where.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: seen(message.into()), hint: None, retried_after: None }
    }

    /// Adds what to do instead.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(seen(hint.into()));
        self
    }

    /// Adds to the message.
    #[must_use]
    pub fn with_addition(mut self, addition: &str) -> Self {
        self.message.to_mut().push_str(&visible(addition));
        self
    }

    /// Says that trying again sooner would meet the same, or make it worse.
    #[must_use]
    pub fn retried_after(mut self, pause: Duration) -> Self {
        self.retried_after = Some(pause);
        self
    }

    /// How long the host is to be left alone at least.
    pub fn pause(&self) -> Duration {
        self.retried_after.unwrap_or_default()
    }

    /// What kind of trouble it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// One sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do instead, if known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// The text, its hidden characters made visible: whoever made it may have forgotten that a part is somebody else's.
fn seen(text: Cow<'static, str>) -> Cow<'static, str> {
    match visible(&text) {
        Cow::Owned(visible) => Cow::Owned(visible),
        Cow::Borrowed(_) => text,
    }
}
