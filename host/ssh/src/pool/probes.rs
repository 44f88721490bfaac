//! Whether hosts answer: what was seen of their addresses a moment ago, and questions under way.
//!
//! A question is a TCP connection that is closed at once, which sshd counts against this machine's address. So there is one
//! for all who ask about an address within [`Pool::FRESH`], so many at once, and none that [`Penalties`] advises against.
//! **A question belongs to nobody**: it goes on when whoever asked goes, and its answer is kept.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use scout_machine::{ErrorKind, HostError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::HostSpec;
use crate::config::{AddressFamily, Proxy};
use crate::dial::penalties::{Penalties, Place};
use crate::dial::tcp::{self, Addresses};
use crate::pool::{Pool, seen};

/// Names of which something is kept: 1 MiB or so.
const MAX_NAMES: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
/// Questions at once: each has a socket.
const AT_ONCE: usize = 128;
/// How long one question may take, whoever waits for it.
const LONGEST: Duration = Duration::from_secs(5);

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named {
    host: String,
    port: u16,
    family: AddressFamily,
    from: Option<String>,
}

impl Named {
    fn of(spec: &HostSpec) -> Self {
        let from = spec.bind_address.clone().or_else(|| spec.bind_interface.clone());
        Self { host: spec.host_name.clone(), port: spec.port, family: spec.address_family, from }
    }
}

/// What has become of a question.
#[derive(Clone, Debug)]
enum ProbeState {
    /// It waits for its turn.
    Waiting,
    Asking,
    Seen(Result<Duration, String>, Instant),
    /// It would do harm.
    Refrained,
}

impl ProbeState {
    /// What is seen now.
    fn seen(what: Result<Duration, String>) -> Self {
        Self::Seen(what, Instant::now())
    }
}

/// A question that was put.
struct SharedProbe(watch::Receiver<ProbeState>);

impl SharedProbe {
    /// Whether it is under way, or was answered within this time.
    fn is_fresh(&self, age: Duration) -> bool {
        match &*self.0.borrow() {
            // Whoever answers it may have ended without a word.
            ProbeState::Waiting | ProbeState::Asking => self.0.has_changed().is_ok(),
            ProbeState::Seen(_, at) => at.elapsed() < age,
            ProbeState::Refrained => false,
        }
    }
}

/// Questions, each put once.
struct Board<K>(Mutex<LruCache<K, SharedProbe>>);

impl<K: std::hash::Hash + Eq> Board<K> {
    fn new() -> Self {
        Self(Mutex::new(LruCache::new(MAX_NAMES)))
    }

    /// The answer to a question that is put now if there is none within this time.
    fn put(
        &self,
        what: K,
        age: Duration,
        answering: impl FnOnce(watch::Sender<ProbeState>),
    ) -> watch::Receiver<ProbeState> {
        let mut board = self.0.lock();
        if let Some(question) = board.get(&what)
            && question.is_fresh(age)
        {
            return question.0.clone();
        }
        let (sender, answer) = watch::channel(ProbeState::Waiting);
        board.put(what, SharedProbe(answer.clone()));
        drop(board);
        answering(sender);
        answer
    }
}

/// The questions of one pool. By name, and below it by address: several names may lead to one server.
pub(super) struct Probes {
    names: Board<Named>,
    shared: Arc<Shared>,
}

struct Shared {
    addresses: Board<SocketAddr>,
    turns: Semaphore,
    asked: AtomicU64,
    seen: Option<PathBuf>,
}

impl Probes {
    /// No question yet. `seen`: where processes share what they have seen.
    pub(super) fn new(seen: Option<PathBuf>) -> Self {
        let (turns, asked) = (Semaphore::new(AT_ONCE), AtomicU64::new(0));
        Self { names: Board::new(), shared: Arc::new(Shared { addresses: Board::new(), turns, asked, seen }) }
    }

    /// How many connections were made.
    pub(super) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// What was seen within [`Pool::FRESH`].
    pub(super) fn seen(&self, spec: &HostSpec) -> Option<Result<Duration, HostError>> {
        let names = self.names.0.lock();
        let question = names.peek(&Named::of(spec)).filter(|question| question.is_fresh(Pool::FRESH))?;
        let answer = question.0.borrow();
        if let ProbeState::Seen(seen, _) = &*answer { Some(told(spec, seen)) } else { None }
    }

    /// Whether the host answers, told within `limit`: by what was seen within `age`, else by a question that is put now.
    pub(super) async fn ask(
        &self,
        spec: &Arc<HostSpec>,
        penalties: &Arc<Penalties>,
        limit: Duration,
        age: Duration,
    ) -> Result<Duration, HostError> {
        if spec.proxy != Proxy::Direct {
            return Err(not_asked(spec, "it is behind a proxy: whether it answers shows when it is used"));
        }
        let mut answer = self.names.put(Named::of(spec), age, |answering| {
            let (spec, penalties, shared) = (Arc::clone(spec), Arc::clone(penalties), Arc::clone(&self.shared));
            tokio::spawn(async move { ask_name(&spec, penalties, shared, age, answering).await });
        });
        let answered = timeout(limit, answered(&mut answer)).await;
        match answered.unwrap_or_else(|_| answer.borrow().clone()) {
            ProbeState::Seen(seen, _) => told(spec, &seen),
            ProbeState::Refrained => {
                Err(not_asked(spec, "one more question could make its sshd lock this machine out (PerSourcePenalties)"))
            }
            ProbeState::Waiting => Err(not_asked(spec, "others are asked first")),
            ProbeState::Asking => {
                let HostSpec { alias, host_name, port, .. } = &**spec;
                let message = format!("{alias}: {host_name}:{port} did not answer within {} s", limit.as_secs_f32());
                Err(HostError::new(ErrorKind::Timeout, message))
            }
        }
    }
}

/// What was seen, in the words of this host.
fn told(spec: &HostSpec, seen: &Result<Duration, String>) -> Result<Duration, HostError> {
    let error = |why: &String| HostError::new(ErrorKind::Unreachable, format!("{}: {why}", spec.alias));
    seen.as_ref().copied().map_err(error)
}

/// Nobody has asked the host.
pub(super) fn not_asked(spec: &HostSpec, why: &str) -> HostError {
    HostError::new(ErrorKind::Unsupported, format!("{}: not asked whether it answers: {why}", spec.alias))
}

/// Waits for an answer that is one.
async fn answered(answer: &mut watch::Receiver<ProbeState>) -> ProbeState {
    let is_one = |answer: &ProbeState| matches!(answer, ProbeState::Seen(..) | ProbeState::Refrained);
    let answered = answer.wait_for(is_one).await.map(|answer| answer.clone());
    answered.unwrap_or_else(|_| ProbeState::seen(Err("the question was given up".to_owned())))
}

fn tell(answering: &watch::Sender<ProbeState>, answer: ProbeState) {
    answering.send_replace(answer);
}

async fn ask_name(
    spec: &Arc<HostSpec>,
    penalties: Arc<Penalties>,
    shared: Arc<Shared>,
    age: Duration,
    answering: watch::Sender<ProbeState>,
) {
    // Never closed.
    let Ok(_turn) = shared.turns.acquire().await else { return };
    tell(&answering, ProbeState::Asking);
    let found = match timeout(LONGEST, tcp::find(spec, |_| ())).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let own = format!("{}: ", spec.alias);
            let why = error.message().strip_prefix(&own).unwrap_or(error.message()).to_owned();
            return tell(&answering, ProbeState::seen(Err(why)));
        }
        Err(_) => {
            return tell(&answering, ProbeState::seen(Err(format!("{} was not looked up in time", spec.host_name))));
        }
    };
    let address = found.first();
    let mut answer = shared.addresses.put(address, age, |answering| {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { ask_address(&found, &penalties, &shared, age, &answering).await });
    });
    tell(&answering, answered(&mut answer).await);
}

async fn ask_address(
    found: &Addresses,
    penalties: &Arc<Penalties>,
    shared: &Shared,
    age: Duration,
    answering: &watch::Sender<ProbeState>,
) {
    let address = found.first();
    // Held until the answer is written: other processes wait for it.
    let mut page = match &shared.seen {
        Some(directory) => seen::Page::open(directory, address).await,
        None => None,
    };
    if let Some(known) = page.as_ref().and_then(|page| page.known(age)) {
        return tell(answering, ProbeState::seen(known));
    }
    let Some(mut contact) = penalties.try_look(Place::Address(address)) else {
        return tell(answering, ProbeState::Refrained);
    };
    tell(answering, ProbeState::Asking);
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let begun = Instant::now();
    let looked = timeout(LONGEST, tcp::look(found)).await;
    let seen = match looked {
        Ok(Ok(())) => Ok(begun.elapsed()),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("{address} did not answer within {} s", LONGEST.as_secs_f32())),
    };
    if seen.is_err() {
        contact.is_free();
    }
    if let Some(page) = &mut page {
        page.write(&seen);
    }
    tell(answering, ProbeState::seen(seen));
}
