//! Why a line is not followed, and where it stands.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use scout_machine::{ErrorKind, HostError};

use super::Source;

/// A file and a line.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) file: Arc<Path>,
    pub(super) line: u32,
}

impl At {
    /// For messages.
    pub(super) fn source(&self) -> Source {
        Source { file: self.file.to_path_buf(), line: self.line }
    }

    /// The error that says why this line is not followed.
    pub(super) fn refuse(&self, refusal: Refusal) -> HostError {
        let Refusal { why, hint } = refusal;
        HostError::new(ErrorKind::Config, format!("{}:{}: {why}", self.file.display(), self.line)).with_hint(hint)
    }
}

/// Why a line is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    why: String,
    hint: Cow<'static, str>,
}

impl Refusal {
    /// OpenSSH refuses it too.
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::hinted(why, "correct this line; ssh refuses it too")
    }

    /// OpenSSH knows what it means, or some of its versions do.
    pub(super) fn unsupported(why: impl Into<String>) -> Self {
        Self::hinted(
            why,
            "ignoring it could reach another machine or trust another key than ssh would; remove it, or move it into \
             a Host block that does not match this host",
        )
    }

    /// Anything else.
    pub(super) fn hinted(why: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }

    /// The same, said of `subject`.
    #[must_use]
    pub(super) fn of(mut self, subject: &str) -> Self {
        self.why = format!("{subject} {}", self.why);
        self
    }
}
