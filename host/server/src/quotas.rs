//! How often and how much a principal may ask, as `[access.NAME]` says.
//!
//! Owns what each has used: within a minute in all and of each tool that has a limit, at once, and in a day (of UTC), which is kept in a
//! file across restarts. What may be used comes with each question, so a change of `scout.toml` counts from the next call on and ends none
//! that runs. Whoever has no limits is not counted.
//!
//! Invariant: a call that was refused has used nothing.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::files;

const MINUTE: Duration = Duration::from_secs(60);
/// How often what was used in a day is written down, at most.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// The longest file of what was used, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a principal may use; nothing is limited that is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Calls in a minute: so many at once, and then one in each part of a minute.
    pub calls_per_minute: Option<NonZeroU32>,
    /// The same of a tool, by the name that clients know.
    pub tool_calls_per_minute: BTreeMap<String, NonZeroU32>,
    /// Calls that run at the same time.
    pub concurrent_calls: Option<NonZeroU32>,
    /// Calls in a day of UTC.
    pub calls_per_day: Option<NonZeroU32>,
    /// Bytes that hosts send for them in a day of UTC: a call that begins below it is answered whole.
    pub bytes_per_day: Option<u64>,
}

impl Quota {
    fn is_daily(&self) -> bool {
        self.calls_per_day.is_some() || self.bytes_per_day.is_some()
    }
}

/// Why a call is not taken, and when it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverQuota {
    /// Whose limit, which and how much it is.
    pub(crate) message: String,
    /// After how long it is worth to ask again. Absent: when a call of theirs has ended.
    pub(crate) retry_after: Option<Duration>,
}

/// What the principals of a tenant have used.
#[derive(Debug)]
pub(crate) struct Quotas {
    file: PathBuf,
    used: Mutex<HashMap<Box<str>, Used>>,
    keeping: Mutex<Keeping>,
    /// Calls that were not taken, by the key that limits them.
    refused: [AtomicU64; KEYS.len()],
}

/// The keys that limit, in the order in which they are looked at.
const KEYS: [&str; 5] =
    ["concurrent_calls", "calls_per_day", "bytes_per_day", "tool_calls_per_minute", "calls_per_minute"];

#[derive(Debug, Default)]
struct Used {
    minute: Pace,
    tools: BTreeMap<String, Pace>,
    under_way: u32,
    /// In the day that `Keeping` is of.
    today: Amount,
    /// Of that, what the file does not have yet.
    unkept: Amount,
}

/// Calls that count against those of a minute: each is forgotten bit by bit, as many in a minute as may be made in one.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// In parts of a call, of which each has [`CALL`].
    level: u128,
    at: Option<Instant>,
}

/// Parts of a call: of so many calls a minute, as many parts are forgotten in a nanosecond.
const CALL: u128 = MINUTE.as_nanos();

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Amount {
    calls: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Keeping {
    day: Date,
    /// When the file was written last.
    at: Option<Instant>,
}

/// What was used on one day.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    day: String,
    #[serde(default)]
    principals: BTreeMap<String, Amount>,
}

/// A call that is taken. What it has used at once is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    quotas: Option<(Arc<Quotas>, Box<str>)>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((quotas, who)) = &self.quotas
            && let Some(used) = quotas.used.lock().get_mut(who)
        {
            used.under_way = used.under_way.saturating_sub(1);
        }
    }
}

impl Pace {
    /// One more, of so many in a minute. Else how long until there may be.
    fn take(&self, most: NonZeroU32, now: Instant) -> Result<Self, Duration> {
        let most = u128::from(most.get());
        let since = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        // What was counted under a higher limit is not held against a lower one.
        let level = self.level.min(most * CALL).saturating_sub(since.as_nanos() * most) + CALL;
        match level.saturating_sub(most * CALL).div_ceil(most) {
            0 => Ok(Self { level, at: Some(now) }),
            wait => Err(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))),
        }
    }
}

impl Quotas {
    /// Those kept in a state directory, with what was used on the day that its file is of.
    pub(crate) fn below(state_dir: &Path) -> Self {
        let file = state_dir.join("usage.toml");
        let kept = files::read_own(&file, MAX_FILE).ok().and_then(|bytes| toml::from_slice::<Kept>(&bytes).ok());
        let day = kept.as_ref().and_then(|kept| kept.day.parse().ok()).unwrap_or(Date::MIN);
        let principals = kept.map(|kept| kept.principals).unwrap_or_default();
        let used = |(who, today): (String, Amount)| (who.into(), Used { today, ..Used::default() });
        let used = Mutex::new(principals.into_iter().map(used).collect());
        Self { file, used, keeping: Mutex::new(Keeping { day, at: None }), refused: Default::default() }
    }

    /// How many calls each key has kept from being taken, since the process began.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KEYS.into_iter().zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Takes a call of this principal, if it may have one more.
    ///
    /// # Errors
    /// Which limit it is.
    pub(crate) fn admit(self: &Arc<Self>, who: &str, tool: &str, quota: Option<&Quota>) -> Result<Admitted, OverQuota> {
        self.admit_at(who, tool, quota, (Instant::now(), Timestamp::now()))
    }

    fn admit_at(
        self: &Arc<Self>,
        who: &str,
        tool: &str,
        quota: Option<&Quota>,
        (now, time): (Instant, Timestamp),
    ) -> Result<Admitted, OverQuota> {
        let Some(quota) = quota.filter(|quota| **quota != Quota::default()) else {
            return Ok(Admitted { quotas: None });
        };
        if quota.is_daily() {
            self.begin_day(time);
        }
        let over = |key: &str, why: String, retry_after| {
            for (_, count) in KEYS.iter().zip(&self.refused).filter(|(of, _)| **of == key) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            OverQuota { message: format!("{why}: `{key}` of [access.{who}] in scout.toml"), retry_after }
        };
        let mut all = self.used.lock();
        let used = all.entry(who.into()).or_default();
        if let Some(most) = quota.concurrent_calls
            && used.under_way >= most.get()
        {
            let why = format!("`{who}` has {most} calls under way, and may have no more at once");
            return Err(over("concurrent_calls", why, None));
        }
        let until_tomorrow = || Some(until_tomorrow(time));
        if let Some(most) = quota.calls_per_day
            && used.today.calls >= u64::from(most.get())
        {
            let why = format!("`{who}` has made the {most} calls of today (UTC)");
            return Err(over("calls_per_day", why, until_tomorrow()));
        }
        if let Some(most) = quota.bytes_per_day
            && used.today.bytes >= most
        {
            let why = format!("`{who}` has had the {most} bytes of today (UTC)");
            return Err(over("bytes_per_day", why, until_tomorrow()));
        }
        let of_tool = quota.tool_calls_per_minute.get(tool).copied();
        let paced = match of_tool {
            Some(most) => {
                let pace = used.tools.get(tool).copied().unwrap_or_default().take(most, now);
                Some(pace.map_err(|wait| {
                    let why = format!("`{who}` may call `{tool}` {most} times a minute");
                    over("tool_calls_per_minute", why, Some(wait))
                })?)
            }
            None => None,
        };
        if let Some(most) = quota.calls_per_minute {
            used.minute = used.minute.take(most, now).map_err(|wait| {
                let why = format!("`{who}` may make {most} calls a minute");
                over("calls_per_minute", why, Some(wait))
            })?;
        }
        used.tools.retain(|name, _| quota.tool_calls_per_minute.contains_key(name));
        if let Some(paced) = paced {
            used.tools.insert(tool.to_owned(), paced);
        }
        used.under_way += 1;
        used.today.calls += 1;
        used.unkept.calls += 1;
        Ok(Admitted { quotas: Some((Arc::clone(self), who.into())) })
    }

    /// Counts what hosts have sent for a call that was taken.
    pub(crate) fn charge(self: &Arc<Self>, who: &str, bytes: u64) {
        let is_counted = {
            let mut all = self.used.lock();
            let Some(used) = all.get_mut(who) else { return };
            used.today.bytes = used.today.bytes.saturating_add(bytes);
            used.unkept.bytes = used.unkept.bytes.saturating_add(bytes);
            // Without a day nobody has a limit of one.
            self.keeping.lock().day != Date::MIN
        };
        let is_due = is_counted && self.keeping.lock().at.is_none_or(|at| at.elapsed() >= KEEP_EVERY);
        if is_due && tokio::runtime::Handle::try_current().is_ok() {
            self.keeping.lock().at = Some(Instant::now());
            let quotas = Arc::clone(self);
            drop(tokio::task::spawn_blocking(move || quotas.keep()));
        }
    }

    /// Writes down what was used today, together with what other processes have written.
    pub(crate) fn keep(&self) {
        let day = self.keeping.lock().day;
        if day == Date::MIN {
            return;
        }
        if let Err(error) = self.exchange(day) {
            tracing::warn!(file = %self.file.display(), %error, "what was used today is not kept: after a restart it counts anew");
        }
    }

    /// Forgets what was used on another day.
    fn begin_day(&self, time: Timestamp) {
        let day = TimeZone::UTC.to_datetime(time).date();
        let mut all = self.used.lock();
        let mut keeping = self.keeping.lock();
        if keeping.day != day {
            keeping.day = day;
            for used in all.values_mut() {
                (used.today, used.unkept) = Default::default();
            }
        }
    }

    /// Adds to the file what it does not have, and takes from it what others have added.
    fn exchange(&self, day: Date) -> io::Result<()> {
        let lock = File::options().create(true).append(true).open(self.file.with_extension("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let mut kept = match files::read_own(&self.file, MAX_FILE) {
            Ok(bytes) => toml::from_slice::<Kept>(&bytes).ok().filter(|kept| kept.day == day.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        }
        .unwrap_or_else(|| Kept { day: day.to_string(), principals: BTreeMap::new() });
        let mut added = Vec::new();
        {
            let all = self.used.lock();
            for (who, used) in all.iter() {
                let amount = kept.principals.entry(who.to_string()).or_default();
                amount.calls = amount.calls.saturating_add(used.unkept.calls);
                amount.bytes = amount.bytes.saturating_add(used.unkept.bytes);
                added.push((who.clone(), used.unkept));
            }
        }
        let text = toml::to_string(&kept).map_err(io::Error::other)?;
        let made = files::beside(&self.file, files::PRIVATE)?;
        io::Write::write_all(&mut made.as_file(), text.as_bytes())?;
        made.persist(&self.file)?;
        let mut all = self.used.lock();
        for (who, amount) in added {
            let used = all.entry(who).or_default();
            used.unkept.calls = used.unkept.calls.saturating_sub(amount.calls);
            used.unkept.bytes = used.unkept.bytes.saturating_sub(amount.bytes);
        }
        for (who, amount) in kept.principals {
            let used = all.entry(who.into()).or_default();
            used.today = Amount {
                calls: amount.calls.saturating_add(used.unkept.calls),
                bytes: amount.bytes.saturating_add(used.unkept.bytes),
            };
        }
        Ok(())
    }
}

fn until_tomorrow(time: Timestamp) -> Duration {
    let today = TimeZone::UTC.to_datetime(time).date();
    let tomorrow = today.tomorrow().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    let left = tomorrow.map(|tomorrow| tomorrow.timestamp().duration_since(time));
    left.and_then(|left| left.try_into().ok()).unwrap_or(MINUTE)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn some(count: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(count)
    }

    fn quotas() -> (tempfile::TempDir, Arc<Quotas>) {
        let dir = tempfile::tempdir().unwrap();
        let quotas = Arc::new(Quotas::below(dir.path()));
        (dir, quotas)
    }

    fn noon() -> Timestamp {
        "2026-12-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn who_has_no_limits_is_not_counted() {
        let (dir, quotas) = quotas();
        for quota in [None, Some(&Quota::default())] {
            assert!(quotas.admit("alice", "scout", quota).is_ok());
        }
        quotas.charge("alice", 10);
        quotas.keep();
        assert!(quotas.used.lock().is_empty() && std::fs::read_dir(dir.path()).unwrap().count() == 0);
    }

    #[test]
    fn so_many_calls_a_minute_are_taken_and_the_next_is_told_when() {
        let (_dir, quotas) = quotas();
        let quota = Quota { calls_per_minute: some(3), ..Quota::default() };
        let begun = Instant::now();
        let after = |seconds| (begun + Duration::from_secs(seconds), noon());
        let take = |at| quotas.admit_at("alice", "scout", Some(&quota), at);
        for _ in 0..3 {
            drop(take(after(0)).unwrap());
        }
        let over = take(after(0)).unwrap_err();
        assert_eq!(over.retry_after, Some(Duration::from_secs(20)));
        assert_eq!(quotas.refused().map(|(_, count)| count).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
        assert_eq!(
            over.message,
            "`alice` may make 3 calls a minute: `calls_per_minute` of [access.alice] in scout.toml"
        );
        // A refusal has used nothing, and nobody else is held up.
        assert_eq!(take(after(19)).unwrap_err().retry_after, Some(Duration::from_secs(1)));
        assert!(quotas.admit_at("bob", "scout", Some(&quota), after(0)).is_ok());
        assert!(take(after(20)).is_ok() && take(after(20)).is_err());
        // A higher limit counts at once.
        let more = Quota { calls_per_minute: some(60), ..Quota::default() };
        assert!(quotas.admit_at("alice", "scout", Some(&more), after(20)).is_ok());
        for _ in 0..3 {
            assert!(take(after(200)).is_ok());
        }
        assert!(take(after(200)).is_err());
    }

    #[test]
    fn a_tool_has_a_pace_of_its_own_and_uses_nothing_where_it_is_refused() {
        let (_dir, quotas) = quotas();
        let tool_calls_per_minute = BTreeMap::from([("containers".to_owned(), NonZeroU32::MIN)]);
        let quota = Quota { calls_per_minute: some(2), tool_calls_per_minute, ..Quota::default() };
        let at = (Instant::now(), noon());
        assert!(quotas.admit_at("alice", "containers", Some(&quota), at).is_ok());
        let over = quotas.admit_at("alice", "containers", Some(&quota), at).unwrap_err();
        assert!(over.message.contains("`containers` 1 times a minute"), "{over:?}");
        assert!(quotas.admit_at("alice", "scout", Some(&quota), at).is_ok());
        assert!(quotas.admit_at("alice", "scout", Some(&quota), at).is_err());
    }

    #[test]
    fn so_many_calls_run_at_once_however_they_end() {
        let (_dir, quotas) = quotas();
        let quota = Quota { concurrent_calls: some(2), ..Quota::default() };
        let take = || quotas.admit("alice", "scout", Some(&quota));
        let (one, _other) = (take().unwrap(), take().unwrap());
        let over = take().unwrap_err();
        assert!(
            over.retry_after.is_none() && over.message.contains("`concurrent_calls` of [access.alice]"),
            "{over:?}"
        );
        drop(one);
        assert!(take().is_ok());
    }

    #[test]
    fn a_day_ends_at_midnight_of_utc_and_outlives_the_process() {
        let (dir, quotas) = quotas();
        let quota = Quota { calls_per_day: some(3), bytes_per_day: Some(100), ..Quota::default() };
        let at = |time: &str| (Instant::now(), time.parse().unwrap());
        let take =
            |quotas: &Arc<Quotas>, time: &str| quotas.admit_at("alice", "scout", Some(&quota), at(time)).map(drop);
        take(&quotas, "2026-12-01T22:59:00Z").unwrap();
        take(&quotas, "2026-12-01T22:59:00Z").unwrap();
        quotas.charge("alice", 99);
        quotas.keep();
        // Another process has its own part of the day.
        let second = Arc::new(Quotas::below(dir.path()));
        take(&second, "2026-12-01T23:00:00Z").unwrap();
        second.charge("alice", 5);
        let over = take(&second, "2026-12-01T23:00:00Z").unwrap_err();
        assert_eq!(over.retry_after, Some(Duration::from_secs(3600)));
        assert!(over.message.contains("3 calls of today"), "{over:?}");
        second.keep();
        quotas.keep();
        assert!(take(&quotas, "2026-12-01T23:30:00Z").is_err());
        assert_eq!(quotas.used.lock().get("alice").unwrap().today, Amount { calls: 3, bytes: 104 });
        take(&quotas, "2026-12-02T00:00:00Z").unwrap();
        quotas.charge("alice", 100);
        assert!(take(&quotas, "2026-12-02T00:00:01Z").unwrap_err().message.contains("100 bytes of today"));
        // What is kept there and makes no sense is nothing.
        quotas.keep();
        std::fs::write(dir.path().join("usage.toml"), "day = 7").unwrap();
        let third = Arc::new(Quotas::below(dir.path()));
        take(&third, "2026-12-02T01:00:00Z").unwrap();
    }
}
