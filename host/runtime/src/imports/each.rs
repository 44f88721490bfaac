//! Many operations of one import, done at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use scout_machine::{Capture, Opened};
use tokio::time::Instant;

use super::types::Kind;
use super::wit::types::Error;
use super::{entries, in_task, types};
use crate::state::CallState;
use crate::steps::{Admitted, Found, HostRequest};

/// Operations of one import.
const MOST: usize = 1000;
/// Those of them that are under way at once.
const AT_ONCE: usize = 64;
/// What a guest needs to make an answer of what it was told: a tenth of the time that its call has left, and no more than this.
const LAST: Duration = Duration::from_secs(3);

impl CallState {
    /// Asks all of them at once. Each has its own error, as one that this call may not ask has; what was found is kept as far as a call
    /// may hold it, of each stream and each file the first `most` bytes.
    ///
    /// # Errors
    /// Too many.
    pub(super) async fn ask_each(
        &mut self,
        asked: Vec<(String, HostRequest)>,
        most: u64,
    ) -> Result<Vec<Result<Found, Error>>, Error> {
        if asked.len() > MOST {
            let message = format!("{} at once; {MOST} are allowed", asked.len());
            return Err(types::error(Kind::Invalid, &message, None));
        }
        let until = self.context.as_ref().map(|context| ending(Instant::now(), context.call.deadline));
        let mut admitted: Vec<Result<Admitted, Error>> = Vec::with_capacity(asked.len());
        for (host, request) in asked {
            admitted.push(self.admit_until(&host, request, until).await);
        }
        let (most, limit) = (usize::try_from(most).unwrap_or(usize::MAX), self.budget.held_limit());
        let (context, total) = (self.context.clone(), admitted.len());
        let asking = in_task(move || async move {
            let (held, mut done) = (AtomicUsize::new(0), 0);
            let mut found: Vec<Option<Result<Found, Error>>> = Vec::new();
            found.resize_with(total, || None);
            let mut under_way = stream::iter(admitted.into_iter().enumerate())
                .map(|(at, admitted)| {
                    let held = &held;
                    async move { (at, one(admitted, most, held, limit).await) }
                })
                .buffer_unordered(AT_ONCE);
            while let Some((at, one)) = under_way.next().await {
                done += 1;
                if let Some(context) = context.as_ref().filter(|_| total > 1) {
                    context.report(f64::from(done), Some(total as f64), None);
                }
                if let Some(place) = found.get_mut(at) {
                    *place = Some(one);
                }
            }
            Ok(found.into_iter().flatten().collect())
        });
        self.budget.away(asking).await
    }
}

/// When operations end of a call that begins now and must end then.
pub(super) fn ending(now: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    now + left - (left / 10).min(LAST)
}

/// One of them, which is dropped if a call may not hold so much.
async fn one(admitted: Result<Admitted, Error>, most: usize, held: &AtomicUsize, limit: usize) -> Result<Found, Error> {
    let found = match admitted?.go().await {
        Ok(Found::Ran(mut outcome)) => {
            (outcome.stdout, outcome.stderr) = (first(outcome.stdout, most), first(outcome.stderr, most));
            Found::Ran(outcome)
        }
        Ok(Found::Opened(Opened::File { attributes, content })) => {
            Found::Opened(Opened::File { attributes, content: first(content, most) })
        }
        Ok(found) => found,
        Err(error) => return Err(types::from_ssh(&error)),
    };
    let bytes = match &found {
        Found::Opened(opened) => entries::weight(opened),
        Found::Content(content) => content.data.len(),
        Found::Ran(outcome) => outcome.stdout.data.len() + outcome.stderr.data.len(),
        Found::Attributes(_) | Found::Probed(_) | Found::Shaken(_) | Found::Done(_) => 0,
    };
    if held.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
        held.fetch_sub(bytes, Ordering::Relaxed);
        let message = format!("all that was asked at once would be more than {} MiB", limit >> 20);
        return Err(types::error(Kind::Exhausted, &message, Some("ask for less of each, or for fewer")));
    }
    Ok(found)
}

/// The first bytes of what was captured, so that the others are not held.
fn first(capture: Capture, most: usize) -> Capture {
    match capture.data.get(..most) {
        Some(first) if first.len() < capture.data.len() => {
            // What holds the end of a character is no text.
            let end = match std::str::from_utf8(first) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => first.len(),
            };
            let data = Bytes::copy_from_slice(first.get(..end).unwrap_or_default());
            Capture { truncated: true, total: capture.total.or(Some(capture.data.len() as u64)), data, ..capture }
        }
        _ => capture,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_whole_character_and_keeps_its_size() {
        let cut = |text: &'static str, most| {
            let data = Bytes::from_static(text.as_bytes());
            let capture = first(Capture { data, ..Capture::default() }, most);
            (capture.data.to_vec(), capture.truncated, capture.total)
        };
        assert_eq!(cut("abc", 3), (b"abc".to_vec(), false, None));
        assert_eq!(cut("abc", 2), (b"ab".to_vec(), true, Some(3)));
        assert_eq!(cut("a\u{fc}b", 2), (b"a".to_vec(), true, Some(4)));
        assert_eq!(cut("", 0), (vec![], false, None));
    }

    #[test]
    fn a_tenth_of_the_time_is_left_for_the_answer_and_three_seconds_at_most() {
        let now = Instant::now();
        for (left, until) in [(10, 9), (60, 57), (0, 0)] {
            assert_eq!(ending(now, now + Duration::from_secs(left)), now + Duration::from_secs(until));
        }
        assert_eq!(ending(now, now - Duration::from_secs(1)), now);
    }
}
