//! A part of a host's storage, and how well it is.

use scout_plugin::rows::{Cell, Row};

/// How well a part is; the worst is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// It does not serve, or says that it will not.
    Failed,
    /// It serves without its spare, or has begun to fail.
    Warning,
    /// It was not told, or in words that are not known.
    #[default]
    Unknown,
    Ok,
}

impl Health {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

/// A pool, an array, a volume, a group of them, a file system or a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// `zpool`, `md`, `vg`, `lv`, `btrfs` or `disk`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) health: Health,
    /// In the words of who told it.
    pub(crate) state: Option<String>,
    /// Bytes.
    pub(crate) size: Option<u64>,
    pub(crate) used: Option<u64>,
    pub(crate) free: Option<u64>,
    /// Each something that a reader must know.
    pub(crate) details: Vec<String>,
}

impl Part {
    /// Makes the health worse, if it was better.
    pub(crate) fn at_best(&mut self, health: Health) {
        self.health = self.health.min(health);
    }

    /// The part in the columns of [`crate::schema::shape`].
    pub(crate) fn row(&self) -> Row {
        vec![
            Cell::text(self.kind),
            Cell::text(self.name.as_str()),
            Cell::text(self.health.name()),
            Cell::text(self.state.as_deref()),
            Cell::number(self.size),
            Cell::number(self.used),
            Cell::number(self.free),
            Cell::text(Some(self.details.join("; ")).filter(|details| !details.is_empty()).as_deref()),
        ]
    }
}

/// What a source told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) parts: Vec<Part>,
    /// Lines or values that could not be read.
    pub(crate) unread: usize,
}
