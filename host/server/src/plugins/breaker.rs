//! The breaker of one plugin: whoever has seen it crash too often is not served by it for a while, so that a broken plugin
//! costs neither its CPU nor a client's patience again and again.
//!
//! Counts each principal for itself: what one of them makes a plugin do is no reason to keep it from another. A new version
//! of a plugin has a new breaker. Knows no clock: whoever asks says what time it is.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use scout_machine::Principal;
use tokio::sync::Notify;
use tokio::time::Instant;

/// So many crashes …
const CRASHES: usize = 5;
/// … within this time open the breaker …
const WINDOW: Duration = Duration::from_secs(60);
/// … for so long; twice as long after each trial that fails, up to the longest.
const COOL_DOWN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// Principals that are remembered. Of more, the one that was not heard of for longest is forgotten.
const PRINCIPALS: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// One plugin's breaker, for all principals.
pub(super) struct Breaker {
    /// Those with crashes; nothing is kept of the others.
    states: Mutex<LruCache<Principal, State>>,
    /// Told when a breaker opens or closes.
    changed: Arc<Notify>,
}

/// Where one principal stands.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It is called. When it crashed of late. To `Open` with one crash too many.
    Closed { crashes: VecDeque<Instant> },
    /// It is not called before `until`. To `Trying` with the first call after that.
    Open { until: Instant, cool_down: Duration, why: String },
    /// One call tries it, all others are refused. To `Closed` if it answers, to `Open` if it crashes; back to `Open`, with
    /// nothing left to wait for, if the call ends without a word about the plugin.
    Trying { cool_down: Duration, why: String },
}

/// What a call said about its plugin.
pub(super) enum CallResult {
    /// It answered, be it with an error of its own.
    Answered,
    /// It crashed or used up a budget: why, as a sentence.
    Crashed(String),
    /// Nothing: the call was cancelled, or its deadline passed.
    Nothing,
}

/// That a plugin is not called for somebody now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quarantine {
    /// How much longer. Zero: another call is just trying it.
    pub(super) left: Duration,
    /// Its last crash, as a sentence.
    pub(super) why: String,
}

impl Quarantine {
    /// What a client is told of this plugin.
    pub(super) fn message(&self, plugin: &str) -> String {
        let tried = match self.left.as_secs() {
            0 => "it is just being tried again".to_owned(),
            seconds => format!("it is tried again in {seconds} s"),
        };
        let why = &self.why;
        format!("plugin `{plugin}` is in quarantine for you, {tried}: it crashed again and again; the last time: {why}")
    }
}

impl State {
    fn admit(&mut self, now: Instant) -> Result<bool, Quarantine> {
        match self {
            Self::Closed { .. } => Ok(false),
            Self::Open { until, cool_down, why } if *until <= now => {
                *self = Self::Trying { cool_down: *cool_down, why: std::mem::take(why) };
                Ok(true)
            }
            Self::Open { until, why, .. } => {
                // Rounded up: whoever waits for so many seconds is served.
                let left = Duration::from_secs((*until - now).as_millis().div_ceil(1000) as u64);
                Err(Quarantine { left, why: why.clone() })
            }
            Self::Trying { why, .. } => Err(Quarantine { left: Duration::ZERO, why: why.clone() }),
        }
    }

    /// What a call says that was admitted, as the trial or not. Gives whether the breaker has opened or closed.
    fn judge(&mut self, trial: bool, verdict: CallResult, now: Instant) -> bool {
        match (&mut *self, verdict) {
            (Self::Closed { crashes }, CallResult::Crashed(why)) => {
                crashes.push_back(now);
                while crashes.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
                    crashes.pop_front();
                }
                if crashes.len() < CRASHES {
                    return false;
                }
                *self = Self::Open { until: now + COOL_DOWN.0, cool_down: COOL_DOWN.0, why };
            }
            (Self::Trying { .. }, CallResult::Answered) if trial => *self = Self::Closed { crashes: VecDeque::new() },
            (Self::Trying { cool_down, .. }, CallResult::Crashed(why)) if trial => {
                let cool_down = (*cool_down * 2).min(COOL_DOWN.1);
                *self = Self::Open { until: now + cool_down, cool_down, why };
            }
            (Self::Trying { cool_down, why }, CallResult::Nothing) if trial => {
                *self = Self::Open { until: now, cool_down: *cool_down, why: std::mem::take(why) };
            }
            // Calls that began before the breaker opened say nothing new.
            (Self::Closed { .. } | Self::Open { .. } | Self::Trying { .. }, _) => return false,
        }
        true
    }
}

impl Breaker {
    /// A closed one. `changed` is told when it opens or closes for somebody.
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        Self { states: Mutex::new(LruCache::new(PRINCIPALS)), changed }
    }

    /// Lets a call of this principal begin. What the admission is told when it is dropped counts.
    ///
    /// # Errors
    /// That the plugin is not called for this principal now.
    pub(super) fn admit(&self, principal: &Principal, now: Instant) -> Result<CallPermit<'_>, Quarantine> {
        let mut states = self.states.lock();
        let trial = states.get_mut(principal).map_or(Ok(false), |state| state.admit(now))?;
        Ok(CallPermit { breaker: self, principal: principal.clone(), trial, verdict: CallResult::Nothing })
    }

    /// All quarantines, in no order.
    pub(super) fn quarantines(&self, now: Instant) -> Vec<(Principal, Quarantine)> {
        let states = self.states.lock();
        let quarantined = states.iter().filter_map(|(principal, state)| {
            let (left, why) = match state {
                State::Closed { .. } => return None,
                State::Open { until, why, .. } => (until.saturating_duration_since(now), why.clone()),
                State::Trying { why, .. } => (Duration::ZERO, why.clone()),
            };
            Some((principal.clone(), Quarantine { left, why }))
        });
        quarantined.collect()
    }

    fn judge(&self, principal: &Principal, trial: bool, verdict: CallResult, now: Instant) {
        let mut states = self.states.lock();
        let changed = match (states.get_mut(principal), &verdict) {
            (Some(state), _) => state.judge(trial, verdict, now),
            (None, CallResult::Crashed(_)) => {
                let state = states.get_or_insert_mut(principal.clone(), || State::Closed { crashes: VecDeque::new() });
                state.judge(trial, verdict, now)
            }
            (None, CallResult::Answered | CallResult::Nothing) => false,
        };
        if changed {
            self.changed.notify_one();
        }
    }
}

/// One call that a breaker let begin.
pub(super) struct CallPermit<'a> {
    breaker: &'a Breaker,
    principal: Principal,
    trial: bool,
    verdict: CallResult,
}

impl CallPermit<'_> {
    /// What the call said about its plugin.
    pub(super) fn end(mut self, verdict: CallResult) {
        self.verdict = verdict;
    }
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        let verdict = std::mem::replace(&mut self.verdict, CallResult::Nothing);
        self.breaker.judge(&self.principal, self.trial, verdict, Instant::now());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn closed() -> State {
        State::Closed { crashes: VecDeque::new() }
    }

    fn crash() -> CallResult {
        CallResult::Crashed("it traps".to_owned())
    }

    /// A breaker that has opened at `now`.
    fn open(now: Instant) -> State {
        let mut state = closed();
        let edges: Vec<bool> = (0..CRASHES).map(|_| state.judge(false, crash(), now)).collect();
        assert_eq!(edges.iter().filter(|edge| **edge).count(), 1);
        state
    }

    #[test]
    fn crashes_within_the_window_open_it_and_a_call_is_answered_at_once() {
        let now = Instant::now();
        let mut state = closed();
        for _ in 1..CRASHES {
            assert!(!state.judge(false, crash(), now));
            assert_eq!(state.admit(now), Ok(false));
        }
        assert!(state.judge(false, crash(), now));
        let quarantine = state.admit(now + SECOND).unwrap_err();
        assert_eq!(quarantine, Quarantine { left: 29 * SECOND, why: "it traps".to_owned() });
        let message = quarantine.message("mine");
        assert!(message.contains("`mine`") && message.contains("in 29 s") && message.contains("it traps"), "{message}");
    }

    #[test]
    fn crashes_far_apart_never_open_it() {
        let (now, mut state) = (Instant::now(), closed());
        for n in 0..100 {
            assert!(!state.judge(false, crash(), now + n * WINDOW / (CRASHES as u32 - 1)));
        }
        assert!(matches!(&state, State::Closed { crashes } if crashes.len() < CRASHES), "{state:?}");
    }

    #[test]
    fn after_the_cool_down_one_call_tries_it_and_the_others_wait() {
        let now = Instant::now();
        let mut state = open(now);
        assert!(state.admit(now + COOL_DOWN.0 - SECOND).is_err());
        let later = now + COOL_DOWN.0;
        assert_eq!(state.admit(later), Ok(true));
        assert_eq!(state.admit(later).unwrap_err().left, Duration::ZERO);
        assert!(state.judge(true, CallResult::Answered, later));
        assert_eq!(state, closed());
    }

    #[test]
    fn each_trial_that_fails_doubles_the_cool_down_up_to_the_longest() {
        let mut now = Instant::now();
        let mut state = open(now);
        for cool_down in [60, 120, 240, 480, 600, 600] {
            now += COOL_DOWN.1;
            assert_eq!(state.admit(now), Ok(true));
            assert!(state.judge(true, crash(), now));
            assert_eq!(state.admit(now).unwrap_err().left, cool_down * SECOND);
        }
    }

    #[test]
    fn a_trial_that_says_nothing_leaves_the_next_call_to_try() {
        let now = Instant::now();
        let mut state = open(now);
        let later = now + COOL_DOWN.0;
        assert_eq!(state.admit(later), Ok(true));
        assert!(state.judge(true, CallResult::Nothing, later));
        assert_eq!(state.admit(later), Ok(true));
    }

    #[test]
    fn calls_that_began_before_it_opened_do_not_touch_it() {
        let now = Instant::now();
        let mut state = open(now);
        for verdict in [CallResult::Answered, crash(), CallResult::Nothing] {
            assert!(!state.judge(false, verdict, now));
            assert!(matches!(&state, State::Open { until, .. } if *until == now + COOL_DOWN.0));
        }
        assert_eq!(state.admit(now + COOL_DOWN.0), Ok(true));
        for verdict in [CallResult::Answered, crash(), CallResult::Nothing] {
            assert!(!state.judge(false, verdict, now));
            assert!(matches!(state, State::Trying { .. }));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_principals_crashes_keep_nobody_else_from_the_plugin() {
        let changed = Arc::new(Notify::new());
        let breaker = Breaker::new(Arc::clone(&changed));
        let (mallory, alice) = (Principal::new("test", "mallory"), Principal::new("test", "alice"));
        for _ in 0..CRASHES {
            breaker.admit(&mallory, Instant::now()).ok().unwrap().end(crash());
        }
        changed.notified().await;
        assert!(breaker.admit(&mallory, Instant::now()).is_err());
        assert!(breaker.admit(&alice, Instant::now()).is_ok());
        assert!(breaker.admit(&Principal::new("other", "mallory"), Instant::now()).is_ok(), "of another tenant");
        let quarantines = breaker.quarantines(Instant::now());
        assert_eq!(quarantines.len(), 1);
        assert!(
            quarantines.iter().all(|(principal, quarantine)| *principal == mallory && quarantine.left == COOL_DOWN.0)
        );
        tokio::time::advance(COOL_DOWN.0).await;
        // Dropped without a word: the next one may try.
        drop(breaker.admit(&mallory, Instant::now()).ok().unwrap());
        breaker.admit(&mallory, Instant::now()).ok().unwrap().end(CallResult::Answered);
        assert!(breaker.quarantines(Instant::now()).is_empty());
    }

    #[test]
    fn more_principals_than_are_remembered_are_no_trouble() {
        let breaker = Breaker::new(Arc::default());
        for n in 0..2 * PRINCIPALS.get() {
            let principal = Principal::new("test", &format!("tenant-{n}"));
            breaker.judge(&principal, false, crash(), Instant::now());
        }
        assert_eq!(breaker.states.lock().len(), PRINCIPALS.get());
    }
}
