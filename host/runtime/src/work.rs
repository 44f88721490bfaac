//! Work of Scout's own for a call whose size a plugin or a client chose: reading, checking and rendering what they wrote.
//!
//! Owns its budget in steps, its place beside the threads that answer calls, its turn, and that it ends with its call: with the
//! deadline and the cancellation at once for who waits, at its next steps for the thread. Knows neither schemas nor clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scout_machine::{Call, Principal};
use serde_json::{Map, Value};

use crate::fault::panicked;
use crate::imports::GuestAnswer;
use crate::json::Weight;
use crate::meter::Meter;
use crate::plain::is_plain;
use crate::shares::{MAX_PARSED, Shares};
use crate::workers::Workers;
use crate::{Answer, CallError, CallErrorKind, PluginId, Receipt, Structured};

/// Threads for such work: two, for one lane may have all but one.
const THREADS: usize = 2;
/// Steps that one piece of work may take: some hundred milliseconds.
pub const STEPS: u64 = 5_000_000;
/// JSON that is read where the call is, in bytes: a tenth of a millisecond.
const IN_PLACE: usize = 16 << 10;

/// The work of all calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Work(Workers<Lane>);

/// Whose turn it is: each plugin's for each principal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lane {
    pub(crate) plugin: PluginId,
    pub(crate) principal: Principal,
}

/// Tells work that nobody waits for it.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Work {
    pub(crate) fn new() -> Self {
        Self(Workers::new(THREADS, THREADS - 1))
    }

    /// Does work for a call, in its lane's turn. `doing` says what, behind "while".
    ///
    /// # Cancel safety
    /// Dropping the future ends the work at its next steps, or before it has begun.
    ///
    /// # Errors
    /// The deadline, the cancellation, and a fault of the work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        call: &Call,
        doing: &str,
        work: impl FnOnce(&mut Meter) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let abandon = Abandon(Arc::default());
        let mut meter = Meter::watching(STEPS, Arc::clone(&abandon.0));
        let plugin = lane.plugin.clone();
        let done = while_wanted(&plugin, call, doing, self.0.run(lane, move || work(&mut meter))).await?;
        done.map_err(|panic| ended(CallErrorKind::Internal, panicked("work for a call was done", &*panic)))
    }

    /// An answer with its JSON read, once there is memory for that; or a large one as it was written, where that comes to the same
    /// and nobody but the client asks for its fields: `may_pass_on`.
    ///
    /// # Cancel safety
    /// As [`Work::run`].
    ///
    /// # Errors
    /// JSON that is none or takes too much; and as [`Work::run`].
    pub(crate) async fn read(
        &self,
        given: GuestAnswer,
        lane: Lane,
        call: &Call,
        shares: &Shares,
        may_pass_on: bool,
    ) -> Result<Answer, CallError> {
        const DOING: &str = "the JSON of its answer was read";
        let GuestAnswer { mut answer, structured } = given;
        let Some(text) = structured else { return Ok(answer) };
        let may_pass_on = may_pass_on && answer.attachments.is_empty() && answer.failure.is_none();
        let (plugin, principal) = (lane.plugin.clone(), lane.principal.clone());
        let wrong = |why: String| ended(CallErrorKind::Plugin, format!("plugin `{}` {why}", plugin.as_str()));
        let weight = |text: &str| Weight::of(text.as_bytes()).memory();
        let in_place = text.len() <= IN_PLACE;
        let (memory, is_plain, text) = match in_place {
            true => (weight(&text), false, text),
            false => {
                let weighed = move |_: &mut Meter| (weight(&text), may_pass_on && is_plain(&text), text);
                self.run(lane.clone(), call, DOING, weighed).await?
            }
        };
        if memory > MAX_PARSED {
            return Err(wrong(format!(
                "answered with JSON that takes {} MiB once it is read; {} are allowed: fewer and larger values take less",
                memory >> 20,
                MAX_PARSED >> 20
            )));
        }
        if is_plain {
            answer.structured = Some(Structured::Text(text));
            return Ok(answer);
        }
        let room = while_wanted(&plugin, call, DOING, shares.parse(&principal, memory)).await?;
        let read = match in_place {
            true => fields(&text),
            false => self.run(lane, call, DOING, move |_| fields(&text)).await?,
        };
        answer.structured = Some(Structured::Fields(read.map_err(wrong)?));
        answer.held.parsed = Some(Arc::new(room));
        Ok(answer)
    }
}

fn fields(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("answered with JSON that is not an object".to_owned()),
        Err(error) => Err(format!("answered with something that is not JSON: {error}")),
    }
}

/// Waits as long as a call may take and is wanted.
async fn while_wanted<T>(
    plugin: &PluginId,
    call: &Call,
    doing: &str,
    awaited: impl Future<Output = T>,
) -> Result<T, CallError> {
    tokio::select! {
        // What nobody wants any more is not begun.
        biased;
        () = call.cancel.cancelled() => Err(ended(CallErrorKind::Cancelled, "the request was cancelled".to_owned())),
        done = awaited => Ok(done),
        () = tokio::time::sleep_until(call.deadline) => {
            let message = format!("the deadline passed for plugin `{}` while {doing}", plugin.as_str());
            Err(ended(CallErrorKind::Timeout, message))
        }
    }
}

/// The end of a call without an answer, with a receipt of nothing.
pub(crate) fn ended(kind: CallErrorKind, message: String) -> CallError {
    CallError { kind, reason: kind.name().into(), is_missing: false, message, hint: None, receipt: Receipt::default() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;
    use crate::Stopped;

    fn lane() -> Lane {
        Lane { plugin: PluginId::new("slow").unwrap(), principal: Principal::new("test", "alice") }
    }

    /// Work that goes on until it is stopped. Tells when it has begun, and what stopped it.
    fn endless() -> (impl FnOnce(&mut Meter) + Send + 'static, oneshot::Receiver<()>, oneshot::Receiver<Stopped>) {
        let ((begun, begins), (ended, ends)) = (oneshot::channel(), oneshot::channel());
        let work = move |meter: &mut Meter| {
            begun.send(()).unwrap();
            let stopped = loop {
                match meter.take(1) {
                    Ok(()) => std::thread::yield_now(),
                    Err(stopped) => break stopped,
                }
            };
            ended.send(stopped).unwrap();
        };
        (work, begins, ends)
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_with_the_deadline_of_its_call() {
        let (work, call) = (Work::new(), Call::until(Instant::now() + Duration::from_secs(45)));
        let (endless, begins, ends) = endless();
        let waits = tokio::spawn(async move { work.run(lane(), &call, "a test ran", endless).await });
        begins.await.unwrap();
        assert!(!waits.is_finished());
        tokio::time::advance(Duration::from_secs(45)).await;
        let error = waits.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (CallErrorKind::Timeout, "the deadline passed for plugin `slow` while a test ran")
        );
        assert_eq!(ends.await.unwrap(), Stopped::Abandoned);
    }

    #[tokio::test]
    async fn work_ends_with_the_cancellation_of_its_call_and_with_who_waits() {
        for cancels in [true, false] {
            let (work, call) = (Work::new(), Call::until(Instant::now() + Duration::from_secs(600)));
            let (endless, begins, ends) = endless();
            let cancel = call.cancel.clone();
            let waits = tokio::spawn(async move { work.run(lane(), &call, "a test ran", endless).await });
            begins.await.unwrap();
            if cancels {
                cancel.cancel();
                assert_eq!(waits.await.unwrap().unwrap_err().kind, CallErrorKind::Cancelled);
            } else {
                waits.abort();
            }
            assert_eq!(ends.await.unwrap(), Stopped::Abandoned);
        }
    }

    #[tokio::test]
    async fn work_that_nobody_stops_ends_with_its_steps() {
        let (work, call) = (Work::new(), Call::until(Instant::now() + Duration::from_secs(600)));
        let count = |meter: &mut Meter| (0_u64..).find(|_| meter.take(1).is_err());
        assert_eq!(work.run(lane(), &call, "a test ran", count).await.unwrap(), Some(STEPS));
    }

    #[tokio::test]
    async fn a_fault_in_work_is_an_internal_error_with_an_id() {
        let (work, call) = (Work::new(), Call::until(Instant::now() + Duration::from_secs(600)));
        let told: Result<(), _> = work.run(lane(), &call, "a test ran", |_| panic!("a fault that a test makes")).await;
        let error = told.unwrap_err();
        assert!(error.kind == CallErrorKind::Internal && error.message.contains("under the id"), "{error}");
    }
}
