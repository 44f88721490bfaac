//! The seam between imports and hosts: where a call is recorded, or answered from what was recorded.
//!
//! Beneath grants, budgets and the command policy, so that a replay passes through all of them. A call that is neither
//! recorded nor replayed pays nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use scout_machine as machine;
use scout_machine::transfer::{Done, Received, Sent};
use scout_machine::{ErrorKind, HostError, TruePath};

use super::CassetteError;
use super::format::{
    Attributes, Capture, Ending, Entry, Failure, KeptBaseline, Kind, RecordedOperation, Request, Response, Sum, Text,
};
use super::wasi::Surroundings;
use crate::baselines::Baseline;
use crate::steps::Found;

/// What a call is recorded on, or played from.
#[derive(Clone)]
pub(crate) enum Tape {
    Recording(Arc<Recording>),
    Playing(Arc<Playing>),
}

impl Tape {
    /// Clock and randomness of a guest. The same when it is recorded and when it is played: what it asks depends on them.
    pub(crate) fn surroundings(&self) -> Surroundings {
        match self {
            Self::Recording(recording) => recording.surroundings,
            Self::Playing(playing) => playing.surroundings,
        }
    }

    /// The guest has named a host.
    pub(crate) fn named(&self, host: &str) {
        if let Self::Recording(recording) = self {
            recording.state().named.insert(host.to_owned());
        }
    }

    /// Whether it is played: then no machine is asked.
    pub(crate) fn is_played(&self) -> bool {
        matches!(self, Self::Playing(_))
    }

    /// The guest was told all hosts.
    pub(crate) fn listed(&self) {
        if let Self::Recording(recording) = self {
            recording.state().listed = true;
        }
    }
}

/// Passes an operation by the tape: asks the host, or the cassette in its place.
pub(crate) async fn pass<T: OnTape>(
    tape: Option<&Tape>,
    host: &str,
    call: &machine::Call,
    request: impl FnOnce() -> Request,
    live: impl Future<Output = T>,
) -> T {
    match tape {
        None => live.await,
        Some(Tape::Recording(recording)) => {
            // Its place is taken now: several may be under way at once.
            let place = recording.begin(host, request());
            let given = live.await;
            recording.end(place, given.given());
            given
        }
        Some(Tape::Playing(playing)) => {
            let request = request();
            let given = playing.answer(host, &request);
            if let Ok(given) = &given {
                call.cost.add_round_trips(u64::from(request.asks_a_host()));
                call.cost.add_remote_bytes(given.weight() as u64);
                if matches!(request, Request::Exec(_)) {
                    call.cost.add_exec();
                }
            }
            T::from_given(given)
        }
    }
}

/// A call that is being recorded.
pub(crate) struct Recording {
    pub(super) surroundings: Surroundings,
    state: Mutex<RecordingState>,
}

#[derive(Default)]
pub(super) struct RecordingState {
    /// In the order in which they were begun. Without an answer: it was still under way when the call ended.
    pub(super) operations: Vec<(String, Request, Option<Response>)>,
    /// Hosts that the guest named.
    pub(super) named: BTreeSet<String>,
    /// Whether it was told all of them.
    pub(super) listed: bool,
}

impl Recording {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self { surroundings, state: Mutex::default() }
    }

    fn begin(&self, host: &str, request: Request) -> usize {
        let mut state = self.state();
        state.operations.push((host.to_owned(), request, None));
        state.operations.len() - 1
    }

    fn end(&self, place: usize, given: Response) {
        if let Some((.., answer)) = self.state().operations.get_mut(place) {
            *answer = Some(given);
        }
    }

    /// What was recorded, once the call has ended.
    ///
    /// # Errors
    /// An operation without an answer.
    pub(super) fn operations(&self) -> Result<Vec<RecordedOperation>, CassetteError> {
        let state = self.state();
        let operations = state.operations.iter().map(|(host, asked, given)| {
            let given = given.clone().ok_or_else(|| {
                let under_way = describe(host, asked);
                CassetteError::new(format!(
                    "the call ended while a host was still asked, which cannot be played: {under_way}"
                ))
            })?;
            Ok(RecordedOperation { host: host.clone(), asked: asked.clone(), given })
        });
        operations.collect()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, RecordingState> {
        self.state.lock()
    }
}

/// A cassette that is being played.
pub(crate) struct Playing {
    surroundings: Surroundings,
    operations: Vec<RecordedOperation>,
    played: Mutex<Played>,
}

#[derive(Clone, Default)]
pub(super) struct Played {
    /// Of each operation.
    used: Vec<bool>,
    /// What was asked for and is not there, told for people.
    pub(super) missing: Vec<String>,
}

/// Misses that are told.
const MAX_MISSING: usize = 5;
/// Operations among which the nearest is looked for.
const MAX_COMPARED: usize = 1000;

impl Playing {
    pub(super) fn new(surroundings: Surroundings, operations: Vec<RecordedOperation>) -> Self {
        let played = Played { used: vec![false; operations.len()], ..Played::default() };
        Self { surroundings, operations, played: Mutex::new(played) }
    }

    /// The answer of the first equal operation that was not played yet.
    fn answer(&self, host: &str, request: &Request) -> Result<Response, HostError> {
        let mut played = self.played();
        let equal = |operation: &RecordedOperation| operation.host == host && operation.asked == *request;
        let found =
            self.operations.iter().zip(played.used.iter_mut()).find(|(operation, used)| equal(operation) && !**used);
        if let Some((operation, used)) = found {
            *used = true;
            return Ok(operation.given.clone());
        }
        let asked = describe(host, request);
        let unfit = HostError::new(ErrorKind::Unsupported, format!("not in the cassette: {asked}"));
        if played.missing.len() >= MAX_MISSING {
            return Err(unfit);
        }
        let recorded = self.operations.iter().filter(|operation| equal(operation)).count();
        let why = match (recorded, self.nearest(host, request)) {
            (0, Some(nearest)) => format!("{asked}\n  was not recorded; the nearest that was:\n  {nearest}"),
            (0, None) => format!("{asked}\n  was not recorded; nothing was"),
            (times, _) => format!("{asked}\n  was recorded {times} times, and is asked for once more"),
        };
        played.missing.push(why);
        Err(unfit)
    }

    fn nearest(&self, host: &str, request: &Request) -> Option<String> {
        let asked = describe(host, request);
        let likeness = |operation: &RecordedOperation| {
            let same_kind = std::mem::discriminant(&operation.asked) == std::mem::discriminant(request);
            let said = describe(&operation.host, &operation.asked);
            (f64::from(u8::from(same_kind)) + strsim::jaro_winkler(&asked, &said), said)
        };
        let likest = self.operations.iter().take(MAX_COMPARED).map(likeness).max_by(|a, b| a.0.total_cmp(&b.0));
        likest.map(|(_, said)| said)
    }

    /// What happened.
    pub(super) fn played(&self) -> MutexGuard<'_, Played> {
        self.played.lock()
    }

    /// The operations that nothing asked for.
    pub(super) fn unused(&self) -> Vec<String> {
        let played = self.played();
        let unused = self.operations.iter().zip(&played.used).filter(|(_, used)| !**used);
        unused.map(|(operation, _)| describe(&operation.host, &operation.asked)).collect()
    }
}

/// An operation for people, on one line, bounded.
fn describe(host: &str, request: &Request) -> String {
    const SHOWN: usize = 300;
    let shown = |text: &Text| {
        let text = String::from_utf8_lossy(&text.0);
        let cut = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
        format!("{}{cut}", text.chars().take(SHOWN).flat_map(char::escape_debug).collect::<String>())
    };
    let host = shown(&Text::from(host));
    match request {
        Request::Open(path) => format!("open {host}:{}", shown(path)),
        Request::Read { path, offset, length } => {
            format!("read {host}:{} ({length} bytes from {offset} on)", shown(path))
        }
        Request::Stat(path) => format!("stat {host}:{}", shown(path)),
        Request::Exec(script) => format!("exec on {host}: {}", shown(script)),
        Request::Probe { timeout_ms } => format!("probe {host} (within {timeout_ms} ms)"),
        Request::Handshake => format!("handshake with {host}"),
        Request::LoadBaseline(name) => format!("load the baseline {host}:{}", shown(&name.as_str().into())),
        Request::StoreBaseline(name) => format!("store the baseline {host}:{}", shown(&name.as_str().into())),
        Request::Locate(path) => format!("locate {host}:{}", shown(path)),
        Request::Send(path) => format!("send {host}:{}", shown(path)),
        Request::Receive { path, size, replace } => {
            format!("receive {host}:{} ({size} bytes, replace: {replace})", shown(path))
        }
        Request::MakeDirectory(path) => format!("make the directory {host}:{}", shown(path)),
        Request::Digest(path) => format!("digest of {host}:{}", shown(path)),
    }
}

/// What operations give, as it is recorded.
pub(crate) trait OnTape {
    /// As it is written.
    fn given(&self) -> Response;
    /// As it was; a fault of the cassette is a host's.
    fn from_given(given: Result<Response, HostError>) -> Self;
}

/// A result on tape: all but the failures.
trait Value: Sized {
    fn given(&self) -> Response;
    fn from_given(given: Response) -> Option<Self>;
}

impl<T: Value> OnTape for Result<T, HostError> {
    fn given(&self) -> Response {
        match self {
            Ok(value) => value.given(),
            Err(error) => Response::Error(error.into()),
        }
    }

    fn from_given(given: Result<Response, HostError>) -> Self {
        match given? {
            Response::Error(failure) => Err(failure.into()),
            given => T::from_given(given).ok_or_else(unfit),
        }
    }
}

/// Never seen: a cassette is checked when it is read.
fn unfit() -> HostError {
    HostError::new(ErrorKind::Remote, "the cassette's answer does not fit what was asked")
}

impl Value for Found {
    fn given(&self) -> Response {
        match self {
            Self::Opened(opened) => opened.given(),
            Self::Content(content) => content.given(),
            Self::Attributes(attributes) => attributes.given(),
            Self::Ran(outcome) => outcome.given(),
            Self::Probed(probe) => OnTape::given(probe),
            Self::Shaken(handshake) => Response::Handshake(
                handshake.facts.iter().map(|(word, value)| (word.to_string(), value.clone())).collect(),
            ),
            Self::Done(done) => done.given(),
        }
    }

    fn from_given(given: Response) -> Option<Self> {
        match given {
            Response::File { .. } | Response::Directory { .. } | Response::Other { .. } => {
                Value::from_given(given).map(Self::Opened)
            }
            Response::Content(_) => Value::from_given(given).map(Self::Content),
            Response::Attributes(_) => Value::from_given(given).map(Self::Attributes),
            Response::Outcome { .. } => Value::from_given(given).map(Self::Ran),
            Response::Probe { .. } => Some(Self::Probed(OnTape::from_given(Ok(given)))),
            Response::Handshake(facts) => {
                let facts = facts.into_iter().map(|(word, value)| (word.into(), value)).collect();
                Some(Self::Shaken(Arc::new(machine::Handshake { facts })))
            }
            Response::Located { .. }
            | Response::Sent { .. }
            | Response::Received { .. }
            | Response::Made(_)
            | Response::Digest(_) => Value::from_given(given).map(Self::Done),
            Response::Baseline(_) | Response::Stored(_) | Response::Error(_) => None,
        }
    }
}

impl Value for Option<Baseline> {
    fn given(&self) -> Response {
        Response::Baseline(
            self.as_ref().map(|kept| KeptBaseline { content: kept.content.as_slice().into(), taken: kept.taken }),
        )
    }

    fn from_given(given: Response) -> Option<Self> {
        let Response::Baseline(kept) = given else { return None };
        Some(kept.map(|kept| Baseline { content: kept.content.0, taken: kept.taken }))
    }
}

/// When something was kept.
impl Value for u64 {
    fn given(&self) -> Response {
        Response::Stored(*self)
    }

    fn from_given(given: Response) -> Option<Self> {
        if let Response::Stored(taken) = given { Some(taken) } else { None }
    }
}

impl Value for machine::Opened {
    fn given(&self) -> Response {
        match self {
            Self::File { attributes, content } => {
                Response::File { attributes: attributes.into(), content: content.into() }
            }
            Self::Directory { attributes, entries, truncated } => Response::Directory {
                attributes: attributes.into(),
                entries: entries
                    .iter()
                    .map(|entry| Entry { name: entry.name.as_slice().into(), attributes: (&entry.attributes).into() })
                    .collect(),
                truncated: *truncated,
            },
            Self::Other { attributes } => Response::Other { attributes: attributes.into() },
        }
    }

    fn from_given(given: Response) -> Option<Self> {
        Some(match given {
            Response::File { attributes, content } => {
                Self::File { attributes: attributes.into(), content: content.into() }
            }
            Response::Directory { attributes, entries, truncated } => Self::Directory {
                attributes: attributes.into(),
                entries: entries
                    .into_iter()
                    .map(|entry| machine::DirEntry { name: entry.name.0, attributes: entry.attributes.into() })
                    .collect(),
                truncated,
            },
            Response::Other { attributes } => Self::Other { attributes: attributes.into() },
            _ => return None,
        })
    }
}

impl Value for Done {
    fn given(&self) -> Response {
        match self {
            Self::Located(attributes, place) => {
                Response::Located { attributes: attributes.into(), place: place.path.as_slice().into() }
            }
            Self::Sent(Sent { before, after, bytes }, _) => {
                Response::Sent { before: before.into(), after: after.into(), bytes: *bytes }
            }
            Self::Received(Received { resumed, replaced, synced, digest, verified }) => Response::Received {
                resumed: *resumed,
                replaced: *replaced,
                synced: *synced,
                verified: *verified,
                digest: digest.map(Sum),
            },
            Self::Made(is_new) => Response::Made(*is_new),
            Self::Digest(digest) => Response::Digest(digest.map(Sum)),
        }
    }

    fn from_given(given: Response) -> Option<Self> {
        let place = |path: Vec<u8>| TruePath { path, is_proven: true };
        Some(match given {
            Response::Located { attributes, place: path } => Self::Located(attributes.into(), place(path.0)),
            Response::Sent { before, after, bytes } => {
                Self::Sent(Sent { before: before.into(), after: after.into(), bytes }, place(Vec::new()))
            }
            Response::Received { resumed, replaced, synced, verified, digest } => {
                let digest = digest.map(|sum| sum.0);
                Self::Received(Received { resumed, replaced, synced, digest, verified })
            }
            Response::Made(is_new) => Self::Made(is_new),
            Response::Digest(digest) => Self::Digest(digest.map(|sum| sum.0)),
            _ => return None,
        })
    }
}

impl Value for machine::Capture {
    fn given(&self) -> Response {
        Response::Content(self.into())
    }

    fn from_given(given: Response) -> Option<Self> {
        if let Response::Content(content) = given { Some(content.into()) } else { None }
    }
}

impl Value for machine::Attributes {
    fn given(&self) -> Response {
        Response::Attributes(self.into())
    }

    fn from_given(given: Response) -> Option<Self> {
        if let Response::Attributes(attributes) = given { Some(attributes.into()) } else { None }
    }
}

impl Value for machine::ExecOutcome {
    fn given(&self) -> Response {
        Response::Outcome {
            ending: match &self.ending {
                machine::Ending::Exited(status) => Ending::Exited(*status),
                machine::Ending::Signaled(signal) => Ending::Signaled(signal.clone()),
                machine::Ending::TimedOut(state) => Ending::TimedOut(*state),
                machine::Ending::Cancelled(state) => Ending::Cancelled(*state),
                machine::Ending::OutputLimit(state) => Ending::OutputLimit(*state),
                machine::Ending::NoStatus => Ending::NoStatus,
            },
            stdout: (&self.stdout).into(),
            stderr: (&self.stderr).into(),
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn from_given(given: Response) -> Option<Self> {
        let Response::Outcome { ending, stdout, stderr, duration_ms } = given else { return None };
        Some(Self {
            ending: match ending {
                Ending::Exited(status) => machine::Ending::Exited(status),
                Ending::Signaled(signal) => machine::Ending::Signaled(signal),
                Ending::TimedOut(state) => machine::Ending::TimedOut(state),
                Ending::Cancelled(state) => machine::Ending::Cancelled(state),
                Ending::OutputLimit(state) => machine::Ending::OutputLimit(state),
                Ending::NoStatus => machine::Ending::NoStatus,
            },
            stdout: stdout.into(),
            stderr: stderr.into(),
            duration: Duration::from_millis(duration_ms),
        })
    }
}

impl OnTape for machine::Probe {
    fn given(&self) -> Response {
        let micros = |latency: &Duration| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        Response::Probe {
            connected: self.connected,
            latency_us: self.latency.as_ref().ok().map(micros),
            error: self.latency.as_ref().err().map(Failure::from),
        }
    }

    fn from_given(given: Result<Response, HostError>) -> Self {
        match given {
            Ok(Response::Probe { connected, latency_us, error }) => Self {
                connected,
                latency: latency_us.map(Duration::from_micros).ok_or_else(|| error.map_or_else(unfit, HostError::from)),
                // Of a host that answers it is not kept.
                refused: None,
            },
            Ok(_) => Self { connected: false, latency: Err(unfit()), refused: None },
            Err(error) => Self { connected: false, latency: Err(error), refused: None },
        }
    }
}

impl From<&machine::Capture> for Capture {
    fn from(capture: &machine::Capture) -> Self {
        let machine::Capture { data, truncated, total, modified } = capture;
        Self { bytes: data.as_ref().into(), truncated: *truncated, total: *total, modified: *modified }
    }
}

impl From<Capture> for machine::Capture {
    fn from(capture: Capture) -> Self {
        let Capture { bytes, truncated, total, modified } = capture;
        Self { data: Bytes::from(bytes.0), truncated, total, modified }
    }
}

impl From<&machine::Attributes> for Attributes {
    fn from(attributes: &machine::Attributes) -> Self {
        let machine::Attributes { size, uid, gid, permissions, links, atime: _, mtime, found_to_be } = *attributes;
        Self { size, mode: permissions, uid, gid, links, modified: mtime, kind: found_to_be.map(Kind::from) }
    }
}

impl From<Attributes> for machine::Attributes {
    fn from(attributes: Attributes) -> Self {
        let Attributes { size, mode, uid, gid, links, modified, kind } = attributes;
        let found_to_be = kind.map(machine::FileKind::from);
        Self { size, uid, gid, permissions: mode, links, atime: None, mtime: modified, found_to_be }
    }
}

impl From<&HostError> for Failure {
    fn from(error: &HostError) -> Self {
        Self { kind: error.kind(), message: error.message().to_owned(), hint: error.hint().map(str::to_owned) }
    }
}

impl From<Failure> for HostError {
    fn from(failure: Failure) -> Self {
        let error = Self::new(failure.kind, failure.message);
        match failure.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
