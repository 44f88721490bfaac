//! A call that runs, and what it takes of what its client may hold.
//!
//! Owns the order: room for the call before its plugin is asked, room for its answer before that is made fit to be seen, and
//! of the latter what the reply takes until it is written. Knows neither plugins nor the protocol.

use std::sync::Arc;

use scout_machine::{Call, Cost};
use scout_runtime::{Answer, CallError, CallErrorKind, Receipt};

use crate::client_memory::{self, CallReservation, ClientMemory, Reservation};
use crate::render::Reply;

/// What most answers say beside the bytes of a host, in bytes.
const FIELDS: usize = 64 << 10;
/// Why a call finds no room.
const CROWDED: &str = "your other calls hold all the memory that they may";
/// What to do about it.
const READ: &str = "read the answers to them, or ask for less at once";
const COPIES: &str = "wait until one of the copies that are under way has come to its end";

/// What a call is expected to have.
pub(crate) enum Expected<'a> {
    /// So many bytes of this host, if it is one.
    Bytes(Option<&'a str>, usize),
    /// What is on its way between two machines.
    Copy,
}

/// A call that has room for what it gets from hosts, as long as there is this.
pub(crate) struct CallMemory(Option<(ClientMemory, CallReservation)>);

/// Room for an answer until it is known what the reply takes.
pub(crate) struct AnswerReservation(Option<(Reservation, Option<Reservation>)>);

impl CallMemory {
    /// Waits until there is room for what a call is expected to have from hosts beside what an answer says of them.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// The deadline or the cancellation, before there was room.
    pub(crate) async fn wait(
        call: &Call,
        memory: Option<ClientMemory>,
        expected: Expected<'_>,
    ) -> Result<Self, CallError> {
        let Some(memory) = memory else { return Ok(Self(None)) };
        let is_copy = matches!(expected, Expected::Copy);
        let room = async {
            match expected {
                Expected::Bytes(host, bytes) => memory.call(host, FIELDS + bytes).await,
                Expected::Copy => memory.copy().await,
            }
        };
        match in_time(call, room).await {
            Ok(room) => Ok(Self(Some((memory.clone(), room)))),
            Err(why) => {
                let error = crowded(why, &call.cost);
                Err(if is_copy { CallError { hint: Some(COPIES.to_owned()), ..error } } else { error })
            }
        }
    }

    /// Waits until there is room for all that an answer may become.
    ///
    /// # Cancel safety
    /// As [`CallMemory::wait`].
    ///
    /// # Errors
    /// As [`CallMemory::wait`].
    pub(crate) async fn reserve(&self, call: &Call, answer: &Answer) -> Result<AnswerReservation, CallError> {
        let Some((memory, reserved)) = &self.0 else { return Ok(AnswerReservation(None)) };
        let crowded = |why| crowded(why, &call.cost);
        let beyond = in_time(call, memory.beyond(reserved, client_memory::weight(answer))).await.map_err(crowded)?;
        let room = in_time(call, memory.answer(answer)).await.map_err(crowded)?;
        Ok(AnswerReservation(Some((room, beyond))))
    }
}

impl AnswerReservation {
    /// The reply with what it takes of the room; the rest is given back.
    pub(crate) fn keep(self, mut reply: Reply) -> Reply {
        if let Some((mut room, _beyond)) = self.0 {
            room.shrink_to(client_memory::reply_weight(&reply));
            reply.room = Some(Arc::new(room));
        }
        reply
    }
}

fn crowded(why: &str, cost: &Cost) -> CallError {
    CallError {
        kind: CallErrorKind::Busy,
        reason: CallErrorKind::Busy.name().into(),
        is_missing: false,
        message: format!("{why}: {CROWDED}"),
        hint: Some(READ.to_owned()),
        receipt: receipt(cost),
    }
}

/// Waits for what a call needs, as long as the call may take.
///
/// # Errors
/// Why it waits no longer, as the beginning of a sentence.
pub(crate) async fn in_time<T>(call: &Call, awaited: impl Future<Output = T>) -> Result<T, &'static str> {
    tokio::select! {
        // What is there is there.
        biased;
        awaited = awaited => Ok(awaited),
        () = call.cancel.cancelled() => Err("the request was cancelled"),
        () = tokio::time::sleep_until(call.deadline) => Err("the deadline passed"),
    }
}

/// The receipt of a call that reached no plugin.
pub(crate) fn receipt(cost: &Cost) -> Receipt {
    let cost = cost.snapshot();
    Receipt {
        round_trips: cost.round_trips,
        remote_bytes: cost.remote_bytes,
        execs: cost.execs,
        shell_execs: cost.shell_execs,
        ..Receipt::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_no_longer_than_it_may_take_or_is_wanted() {
        let begun = tokio::time::Instant::now();
        let call = Call::until(begun + Duration::from_secs(45));
        assert_eq!(in_time(&call, std::future::pending::<()>()).await, Err("the deadline passed"));
        assert_eq!(begun.elapsed(), Duration::from_secs(45));
        assert_eq!(in_time(&call, async { 7 }).await, Ok(7), "what is there needs no time");
        let call = Call::until(begun + Duration::from_secs(100));
        call.cancel.cancel();
        assert_eq!(in_time(&call, std::future::pending::<()>()).await, Err("the request was cancelled"));
    }
}
