//! `command_limits`: what processes of commands may take of a host.
//!
//! Owns the defaults and which table decides. Does not know how a host is held to them.

use std::time::Duration;

use scout_machine::CommandLimits;
use scout_runtime::grants::Place;
use toml::Spanned;

use super::file::LimitsTable;
use super::rights::Lines;

/// Address space, where nothing else is said. journalctl maps its files in windows and rg whole ones, and both go on with less; threads reserve
/// 64 MiB each. Less than 4 GiB: that is 0 to a shell that counts in 32 bits, and 0 lets nothing start.
const MEMORY: u64 = 3 << 30;
/// Bytes of a file. Of the table's programs only tac writes one, of what it was piped.
const FILE_SIZE: u64 = 1 << 30;
/// Processes of the account. All it runs counts, so this leaves room for a service beside the command; RHEL 7 allowed each account as many.
const PROCESSES: u64 = 4096;
/// No program of the table computes on more processors: it may do that until the command's time is over.
const THREADS: u64 = 16;

/// The keys of one table, and where it is written. Of each: whether it is given, and if so the bound, or none.
#[derive(Clone, Debug)]
pub(super) struct LimitKeys {
    memory: Option<Option<u64>>,
    cpu: Option<Option<u64>>,
    file_size: Option<Option<u64>>,
    processes: Option<Option<u64>>,
    place: Place,
}

impl LimitKeys {
    pub(super) fn new(table: &Spanned<LimitsTable>, lines: &Lines) -> Self {
        let LimitsTable { memory, cpu, file_size, processes } = table.get_ref();
        Self {
            memory: memory.map(|bound| bound.0),
            cpu: cpu.map(|bound| bound.0),
            file_size: file_size.map(|bound| bound.0),
            processes: processes.map(|bound| bound.0),
            place: lines.place(table),
        }
    }
}

/// A bound of a host, and what sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLimit {
    /// The key of `command_limits`.
    pub key: &'static str,
    /// In bytes, seconds or processes.
    pub bound: Option<u64>,
    /// Where it is written; absent for a default.
    pub place: Option<Place>,
}

/// The bounds of a host, each decided by the first of these that has its key: the host's own table, the strictest of the other tables that are about
/// it, the one for all hosts, the default.
pub(super) fn of_host(
    own: Option<&LimitKeys>,
    others: &[&LimitKeys],
    all: Option<&LimitKeys>,
    command_timeout: Duration,
) -> [HostLimit; 4] {
    let decide = |key, get: fn(&LimitKeys) -> Option<Option<u64>>, default| {
        let said = |keys: &LimitKeys| get(keys).map(|bound| (bound, Some(keys.place.clone())));
        let strictest =
            || others.iter().filter_map(|keys| said(keys)).min_by_key(|(bound, _)| bound.unwrap_or(u64::MAX));
        let decided = own.and_then(said).or_else(strictest).or_else(|| all.and_then(said));
        let (bound, place) = decided.unwrap_or((Some(default), None));
        HostLimit { key, bound, place }
    };
    let seconds = u64::try_from(command_timeout.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    let cpu = seconds.saturating_mul(THREADS);
    [
        decide("memory", |keys| keys.memory, MEMORY),
        decide("cpu", |keys| keys.cpu, cpu),
        decide("file_size", |keys| keys.file_size, FILE_SIZE),
        decide("processes", |keys| keys.processes, PROCESSES),
    ]
}

/// The same as the engine takes them.
pub(super) fn as_limits([memory, cpu, file_size, processes]: &[HostLimit; 4]) -> CommandLimits {
    CommandLimits { memory: memory.bound, cpu: cpu.bound, file_size: file_size.bound, processes: processes.bound }
}

impl std::fmt::Display for HostLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(bound) = self.bound else { return f.write_str("none") };
        match self.key {
            "cpu" => write!(f, "{bound} s"),
            "processes" => write!(f, "{bound}"),
            _ => match [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
                .into_iter()
                .find(|(unit, _)| bound % unit == 0)
            {
                Some((unit, name)) => write!(f, "{} {name}", bound / unit),
                None => write!(f, "{bound} bytes"),
            },
        }
    }
}
