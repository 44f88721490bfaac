//! One call of a plugin: who asks, with which rights and limits, and how it can fail.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use scout_machine::{Call, Principal};

use crate::baselines::Baselines;
use crate::cassette::Tape;
use crate::cursor::CursorKey;
use crate::reports::{Progress, Reports};
use crate::{Fleet, Receipt};

/// The longest message that is written to a client, in bytes. Official TypeScript clients (`@modelcontextprotocol/sdk`
/// 1.32.2, `client` 2.4.0) end a connection, with all its calls, at 10 MiB without the end of a line, what came with it in
/// one piece included.
pub const MAX_MESSAGE: usize = 10_000_000;

/// Bounds of one call.
#[derive(Clone, Debug)]
pub struct Limits {
    /// CPU of the guest, and of Scout in its imports; not the time in which a host is waited for.
    pub cpu: Duration,
    /// Linear memory summed over all memories, in bytes.
    pub memory: usize,
    /// Imports called.
    pub host_calls: u64,
    /// A file's or blob's first bytes (`SCOUT_MAX_FILE_SIZE`).
    pub file_bytes: usize,
    /// Bytes of each of a command's two streams (`SCOUT_MAX_OUTPUT_SIZE`).
    pub output_bytes: usize,
    /// Entries of a directory.
    pub dir_entries: usize,
    /// How long a command may run (`SCOUT_COMMAND_TIMEOUT`).
    pub command_timeout: Duration,
    /// Text that a plugin may answer with, without blobs, in bytes.
    pub answer_bytes: usize,
    /// Bytes that one transfer may copy.
    pub transfer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(500),
            memory: 64 << 20,
            host_calls: 10_000,
            file_bytes: 1 << 20,
            output_bytes: 1 << 20,
            dir_entries: 10_000,
            command_timeout: Duration::from_secs(30),
            answer_bytes: 4 << 20,
            transfer_bytes: 16 << 30,
        }
    }
}

/// Everything a plugin call may touch. Cheap to make; one for each request.
#[derive(Clone)]
pub struct CallContext {
    /// Who asks.
    pub principal: Principal,
    /// The hosts.
    pub fleet: Arc<Fleet>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// Deadline, cancellation and cost.
    pub call: Call,
    /// Where progress goes, if the client asked for it.
    pub progress: Option<Progress>,
    /// The audit trail (runtime fills the records; server writes them).
    pub audit: Option<Audit>,
    /// What seals its cursors.
    pub cursors: Arc<CursorKey>,
    /// Where what plugins keep of hosts is kept; absent: nowhere.
    pub baselines: Option<Arc<dyn Baselines>>,
    /// Where the call is recorded, or played from.
    pub(crate) tape: Option<Tape>,
    reports: Arc<Reports>,
}

/// The audit trail, as a call knows it.
#[derive(Clone)]
pub struct Audit {
    /// Takes records. A record is handed over when the function is called, whatever becomes of the future; that tells when it has
    /// been written.
    pub write: Arc<dyn Fn(AuditRecord) -> Recorded + Send + Sync>,
    /// Whether it holds what was read too, and not only what might not be read.
    pub reads: bool,
    /// How many commands it has told of.
    pub commands: Arc<AtomicU64>,
}

/// What is recorded.
#[derive(Clone, Debug)]
pub enum AuditRecord {
    /// Of a command.
    Command(CommandRecord),
    /// Of a look at a path.
    Access(AccessRecord),
}

/// What the audit trail says of a look at a path.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// The plugin that asked.
    pub plugin: String,
    /// The host's name.
    pub host: String,
    /// `open`, `read` or `stat`.
    pub operation: &'static str,
    /// The path as it was asked for.
    pub path: Vec<u8>,
    /// What became of it.
    pub event: AccessEvent,
}

/// What becomes of a look at a path.
#[derive(Clone, Debug)]
pub enum AccessEvent {
    /// It may not be, for this reason.
    Denied(String),
    /// It is over: `found`, or `failed: …`.
    Ended(CommandEnd),
}

/// A record on its way. An error says why it is not written; a command whose beginning has one is not sent.
pub type Recorded = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What the audit trail says of a command.
#[derive(Clone, Debug)]
pub struct CommandRecord {
    /// Which command of this audit trail it is.
    pub number: u64,
    /// The plugin that asked.
    pub plugin: String,
    /// The host's name.
    pub host: String,
    /// The command as it is sent, or as it was asked for if it is not.
    pub command: Arc<str>,
    /// What has become of it.
    pub event: CommandEvent,
}

/// What becomes of a command.
#[derive(Clone, Debug)]
pub enum CommandEvent {
    /// It is sent next, unless that cannot be recorded. [`CommandEvent::End`] follows.
    Begin,
    /// It has ended, or nobody waits for it any more.
    End(CommandEnd),
    /// It was not sent, and nothing was recorded of it before.
    Unsent(CommandEnd),
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct CommandEnd {
    /// `exited 0`, `signaled TERM`, `timed out (stopped)`, `refused: …`, `failed: …`.
    pub ending: String,
    /// From entry to end.
    pub duration: Duration,
}

impl CallContext {
    /// A context without progress and audit, whose cursors are of this process.
    pub fn new(principal: Principal, fleet: Arc<Fleet>, limits: Arc<Limits>, call: Call) -> Self {
        let reports = Arc::new(Reports::new());
        let cursors = CursorKey::of_process();
        let (progress, audit, baselines, tape) = (None, None, None, None);
        Self { principal, fleet, limits, call, progress, audit, cursors, baselines, tape, reports }
    }

    /// Passes on what a plugin reports.
    pub(crate) fn report(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        if let Some(progress) = &self.progress {
            self.reports.report(progress, done, total, message);
        }
    }

    /// Waits for a host; the client is told how long.
    ///
    /// # Cancel safety
    /// That of `work`.
    pub(crate) async fn while_waiting<T>(&self, host: &str, work: impl Future<Output = T>) -> T {
        self.reports.while_waiting(self.progress.as_ref(), host, &self.call.cancel, work).await
    }
}

/// Why a call gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The plugin answered with an error: a host failed, a path is missing. The normal case.
    Failed,
    /// The plugin used up a budget or trapped.
    Plugin,
    /// The deadline passed.
    Timeout,
    /// The client cancelled.
    Cancelled,
    /// There is no room for it now, or the plugin is in quarantine: later there may be.
    Busy,
    /// A fault of the runtime.
    Internal,
}

impl CallErrorKind {
    /// Its name, for programs, where nothing closer is known.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Plugin => "plugin",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }
}

/// A call without an answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What kind.
    pub kind: CallErrorKind,
    /// Why, in a word for programs: a kind of the contract's errors, as `not-found`, or that of this one.
    pub reason: Cow<'static, str>,
    /// Whether a path that is not there or a host that nobody knows is why.
    pub is_missing: bool,
    /// One sentence for people.
    pub message: String,
    /// What to do instead, if known.
    pub hint: Option<String>,
    /// What it cost all the same.
    pub receipt: Receipt,
}
