//! What has become of a tenant's calls, in numbers: for `scout plugin list`, and for whatever else reads numbers.
//!
//! Owns the counters of each plugin and tool, and how many there may be. Who counts takes no lock and waits for nobody; who
//! reads gets the numbers of about one moment. What is counted apart is what an operator has named, never who asked or
//! which host: of those there may be any number.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scout_machine::Principal;
use scout_runtime::Receipt;
use serde::{Deserialize, Serialize};

use crate::render::Reply;

/// Plugins and tools that are counted by name: more than most have. Those beyond are counted together.
const NAMED: usize = 128;
/// The upper ends of the classes of how long calls took, in milliseconds; the last class has none.
pub(crate) const WALL_MS: [u64; 9] = [1, 4, 16, 64, 256, 1_000, 4_000, 16_000, 64_000];

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// What was asked for failed, or is not there.
    Failed,
    /// Rights or a policy did not allow it.
    Refused,
    /// There was no room for it, or its plugin is in quarantine.
    Busy,
    /// Its deadline passed.
    Timeout,
    /// The client did not want it any more.
    Cancelled,
    /// Its plugin crashed or used up a budget.
    Plugin,
}

impl Outcome {
    const ALL: [Self; 7] =
        [Self::Answered, Self::Failed, Self::Refused, Self::Busy, Self::Timeout, Self::Cancelled, Self::Plugin];

    /// Its name, as files have it too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Plugin => "plugin",
        }
    }

    /// What a reply tells.
    pub(crate) fn of(reply: &Reply) -> Self {
        match reply.reason.as_deref() {
            _ if !reply.is_error => Self::Answered,
            Some("refused") => Self::Refused,
            Some("busy") => Self::Busy,
            Some("timeout") => Self::Timeout,
            Some("cancelled") => Self::Cancelled,
            Some("plugin") => Self::Plugin,
            Some(_) | None => Self::Failed,
        }
    }
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    /// On whose behalf it was made.
    pub(crate) principal: &'a Principal,
    /// The plugin that answered it, as far as it came to one.
    pub(crate) plugin: Option<&'a str>,
    /// The plugin's tool, under its own name; a handler has none.
    pub(crate) tool: Option<&'a str>,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// What it cost.
    pub(crate) receipt: &'a Receipt,
}

/// The counters of a tenant's calls.
#[derive(Debug)]
pub struct Tally {
    /// Taken from the first on, each for good.
    named: Vec<OnceLock<Box<Named>>>,
    /// Calls that came to no plugin, and those beyond [`NAMED`].
    others: Counters,
}

#[derive(Debug)]
struct Named {
    plugin: String,
    tool: Option<String>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    round_trips: AtomicU64,
    remote_bytes: AtomicU64,
    execs: AtomicU64,
    shell_execs: AtomicU64,
    wall: [AtomicU64; WALL_MS.len() + 1],
    wall_us: AtomicU64,
    cpu_us: AtomicU64,
}

/// The counters of one plugin or tool at one moment, since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallCounts {
    /// The plugin. Absent: of calls that came to none, and of more plugins and tools than are counted by name.
    pub plugin: Option<String>,
    /// Its tool, under its own name; a handler has none.
    pub tool: Option<String>,
    /// What became of the calls.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Waits for remote hosts that followed one upon another.
    pub round_trips: u64,
    /// Payload bytes that remote hosts sent.
    pub remote_bytes: u64,
    /// Commands started.
    pub execs: u64,
    /// Those of them that were sent to a shell that stays.
    #[serde(default)]
    pub shell_execs: u64,
    /// How long they took together, in microseconds.
    #[serde(default)]
    pub wall_us: u64,
    /// CPU that plugins used for them, in microseconds.
    #[serde(default)]
    pub cpu_us: u64,
    /// How long calls took: the longest time of each class in milliseconds, of the last one none, and how many are in it.
    pub wall_ms: Vec<(Option<u64>, u64)>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { named: (0..NAMED).map(|_| OnceLock::new()).collect(), others: Counters::default() }
    }
}

impl Tally {
    /// Counts a call that has ended.
    pub(crate) fn take(&self, ended: &Ended<'_>) {
        let Ended { principal, plugin, tool, outcome, receipt } = *ended;
        let (tenant, principal, round_trips) = (principal.tenant(), principal.name(), receipt.round_trips);
        tracing::debug!(%tenant, principal, plugin, tool, outcome = outcome.name(), round_trips, "a call has ended");
        let named = plugin.and_then(|plugin| self.named(plugin, tool));
        named.map_or(&self.others, |named| &named.counters).take(outcome, receipt);
    }

    /// The place of a plugin or tool; none if all places are others'.
    fn named(&self, plugin: &str, tool: Option<&str>) -> Option<&Named> {
        let new = || {
            let (plugin, tool) = (plugin.to_owned(), tool.map(str::to_owned));
            Box::new(Named { plugin, tool, counters: Counters::default() })
        };
        let mut places = self.named.iter().map(|place| &**place.get_or_init(new));
        places.find(|named| named.plugin == plugin && named.tool.as_deref() == tool)
    }

    /// The counters now, of each plugin and tool that was called, in the order of their first calls; of all others last.
    pub fn counts(&self) -> Vec<CallCounts> {
        let named = self.named.iter().map_while(OnceLock::get).map(|named| CallCounts {
            plugin: Some(named.plugin.clone()),
            tool: named.tool.clone(),
            ..named.counters.counts()
        });
        named.chain([self.others.counts()]).filter(|counts| counts.calls() > 0).collect()
    }
}

impl Counters {
    fn take(&self, outcome: Outcome, receipt: &Receipt) {
        let add = |counter: &AtomicU64, n| {
            counter.fetch_add(n, Ordering::Relaxed);
        };
        let class = WALL_MS.iter().position(|most| receipt.wall <= Duration::from_millis(*most));
        let counted =
            Outcome::ALL.iter().zip(&self.outcomes).find(|(of, _)| **of == outcome).map(|(_, counter)| counter);
        for counter in counted.into_iter().chain(self.wall.get(class.unwrap_or(WALL_MS.len()))) {
            add(counter, 1);
        }
        add(&self.round_trips, receipt.round_trips);
        add(&self.remote_bytes, receipt.remote_bytes);
        add(&self.execs, receipt.execs);
        add(&self.shell_execs, receipt.shell_execs);
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        add(&self.wall_us, microseconds(receipt.wall));
        add(&self.cpu_us, microseconds(receipt.cpu));
    }

    fn counts(&self) -> CallCounts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outcomes = Outcome::ALL.into_iter().zip(self.outcomes.iter().map(now)).filter(|(_, calls)| *calls > 0);
        let ends = WALL_MS.into_iter().map(Some).chain([None]);
        CallCounts {
            plugin: None,
            tool: None,
            outcomes: outcomes.collect(),
            round_trips: now(&self.round_trips),
            remote_bytes: now(&self.remote_bytes),
            execs: now(&self.execs),
            shell_execs: now(&self.shell_execs),
            wall_us: now(&self.wall_us),
            cpu_us: now(&self.cpu_us),
            wall_ms: ends.zip(self.wall.iter().map(now)).filter(|(_, calls)| *calls > 0).collect(),
        }
    }
}

impl CallCounts {
    /// Those of all together.
    pub(crate) fn total(all: &[Self]) -> Self {
        let mut total = Self::default();
        let mut wall: BTreeMap<(bool, Option<u64>), u64> = BTreeMap::new();
        for counts in all {
            for (outcome, calls) in &counts.outcomes {
                *total.outcomes.entry(*outcome).or_default() += calls;
            }
            for (most, calls) in &counts.wall_ms {
                // The class without an end is the last.
                *wall.entry((most.is_none(), *most)).or_default() += calls;
            }
            total.round_trips += counts.round_trips;
            total.remote_bytes += counts.remote_bytes;
            total.execs += counts.execs;
            total.shell_execs += counts.shell_execs;
            total.wall_us += counts.wall_us;
            total.cpu_us += counts.cpu_us;
        }
        total.wall_ms = wall.into_iter().map(|((_, most), calls)| (most, calls)).collect();
        total
    }

    /// How many calls they are of.
    pub fn calls(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// The end of the class in which so many of a hundred calls are, or in one before it. None: it has no end, or there
    /// are no calls.
    pub(crate) fn took(&self, of_hundred: u64) -> Option<Duration> {
        let wanted = (self.wall_ms.iter().map(|(_, calls)| calls).sum::<u64>() * of_hundred).div_ceil(100);
        let mut seen = 0;
        let class = self.wall_ms.iter().find(|(_, calls)| {
            seen += calls;
            seen >= wanted
        });
        class.and_then(|(most, _)| most.map(Duration::from_millis))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn take(tally: &Tally, plugin: Option<&str>, tool: Option<&str>, outcome: Outcome, wall_ms: u64) {
        let wall = Duration::from_millis(wall_ms);
        let receipt =
            Receipt { wall, round_trips: 2, remote_bytes: 10, execs: 2, shell_execs: 1, ..Receipt::default() };
        let principal = Principal::new("test", "me");
        tally.take(&Ended { principal: &principal, plugin, tool, outcome, receipt: &receipt });
    }

    #[test]
    fn each_plugin_and_tool_is_counted_for_itself_and_what_came_to_none_last() {
        let tally = Tally::default();
        assert_eq!(tally.counts(), []);
        take(&tally, None, None, Outcome::Failed, 0);
        for (tool, outcome) in [(None, Outcome::Answered), (Some("a"), Outcome::Refused), (None, Outcome::Busy)] {
            take(&tally, Some("mine"), tool, outcome, 5);
        }
        let counts = tally.counts();
        let names: Vec<_> = counts.iter().map(|counts| (counts.plugin.as_deref(), counts.tool.as_deref())).collect();
        assert_eq!(names, [(Some("mine"), None), (Some("mine"), Some("a")), (None, None)]);
        let first = counts.first().unwrap();
        assert_eq!(first.outcomes, [(Outcome::Answered, 1), (Outcome::Busy, 1)].into());
        assert_eq!((first.round_trips, first.remote_bytes, first.execs, first.shell_execs), (4, 20, 4, 2));
        assert_eq!(first.wall_ms, [(Some(16), 2)]);
        let total = CallCounts::total(&counts);
        assert_eq!((total.calls(), total.round_trips, total.outcomes.len()), (4, 8, 4));
        let json = serde_json::to_value(&counts).unwrap();
        assert_eq!(json.pointer("/1/outcomes"), Some(&serde_json::json!({"refused": 1})));
        assert_eq!(serde_json::from_value::<Vec<CallCounts>>(json).unwrap(), counts);
    }

    #[test]
    fn more_plugins_and_tools_than_have_a_place_are_counted_together() {
        let tally = Tally::default();
        for round in 0..2 {
            for n in 0..NAMED + 10 {
                take(&tally, Some("much"), Some(&format!("t{n}")), Outcome::Answered, round);
            }
        }
        let counts = tally.counts();
        assert_eq!(counts.len(), NAMED + 1);
        assert!(counts.iter().take(NAMED).all(|counts| counts.calls() == 2));
        let others = counts.last().unwrap();
        assert_eq!((&others.plugin, others.calls()), (&None, 20));
    }

    #[test]
    fn those_who_count_at_once_lose_nothing() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let tally = &tally;
                scope.spawn(move || {
                    for n in 0..1000 {
                        take(tally, Some(&format!("p{}", (n + thread) % 7)), None, Outcome::Answered, 0);
                    }
                });
            }
        });
        let counts = tally.counts();
        assert_eq!((counts.len(), CallCounts::total(&counts).calls()), (7, 4000));
    }

    #[test]
    fn how_long_calls_took_is_told_by_the_end_of_a_class() {
        let tally = Tally::default();
        assert_eq!(CallCounts::total(&tally.counts()).took(50), None);
        for wall_ms in [0, 1, 3, 100_000] {
            take(&tally, Some("mine"), None, Outcome::Answered, wall_ms);
        }
        let total = CallCounts::total(&tally.counts());
        assert_eq!(total.wall_ms, [(Some(1), 2), (Some(4), 1), (None, 1)]);
        let took = [50, 75, 76].map(|part| total.took(part).map(|took| took.as_millis()));
        assert_eq!(took, [Some(1), Some(4), None]);
    }
}
