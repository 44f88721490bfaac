//! A budget for work of Scout's own whose size a plugin or a client chooses.
//!
//! The work counts its own steps, a few tens of nanoseconds each, and ends when it has taken too many, or when nobody waits
//! for it any more. Knows neither what the work is nor where it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

/// Steps between two looks at whether anybody still waits.
const LOOK: u64 = 4096;

/// What one piece of work may allocate for itself, in bytes. What it is about and what it makes are bounded elsewhere.
const MEMORY: usize = 32 << 20;

/// Steps that one piece of work may take, and memory for itself.
#[derive(Debug)]
pub struct Meter {
    left: u64,
    memory: usize,
    /// Of what is left, where the next look is due.
    look: u64,
    abandoned: Arc<AtomicBool>,
}

/// Why work ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// All its steps, or all its memory, were taken.
    #[error("it takes more steps or memory than it may")]
    Spent,
    /// Nobody waits for it any more.
    #[error("nobody waits for it any more")]
    Abandoned,
}

impl Meter {
    /// So many steps, for work that is waited for to its end.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self::watching(steps, Arc::default())
    }

    /// So many steps, until this is set.
    pub(crate) fn watching(steps: u64, abandoned: Arc<AtomicBool>) -> Self {
        Self { left: steps, memory: MEMORY, look: steps.saturating_sub(LOOK), abandoned }
    }

    /// Takes steps, before they are done.
    ///
    /// # Errors
    /// The work must end here.
    pub fn take(&mut self, steps: u64) -> Result<(), Stopped> {
        self.left = self.left.checked_sub(steps).ok_or(Stopped::Spent)?;
        if self.left > self.look {
            return Ok(());
        }
        self.look = self.left.saturating_sub(LOOK);
        if self.abandoned.load(Ordering::Relaxed) { Err(Stopped::Abandoned) } else { Ok(()) }
    }

    /// Takes memory for what the work keeps beside what it is about, before it is there. It is not given back: a few steps of work
    /// that is about something else are no reason to count it so exactly.
    ///
    /// # Errors
    /// As [`Meter::take`].
    pub fn take_memory(&mut self, bytes: usize) -> Result<(), Stopped> {
        self.memory = self.memory.checked_sub(bytes).ok_or(Stopped::Spent)?;
        Ok(())
    }

    /// Takes steps for a text of so many bytes that is gone through once.
    ///
    /// # Errors
    /// As [`Meter::take`].
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), Stopped> {
        /// A processor compares or copies some dozens of bytes in the time of a step.
        const BYTES: u64 = 32;
        self.take(bytes as u64 / BYTES)
    }

    /// Takes steps for all of a value that is gone through once.
    ///
    /// # Errors
    /// As [`Meter::take`].
    pub fn take_value(&mut self, value: &Value) -> Result<(), Stopped> {
        self.take(1)?;
        match value {
            Value::String(text) => self.take_bytes(text.len()),
            Value::Array(values) => values.iter().try_for_each(|value| self.take_value(value)),
            Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
                self.take_bytes(name.len())?;
                self.take_value(value)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_to_the_last() {
        let mut meter = Meter::new(3);
        assert_eq!([meter.take(2), meter.take(1), meter.take(1)], [Ok(()), Ok(()), Err(Stopped::Spent)]);
        assert_eq!(Meter::new(u64::MAX).take(u64::MAX), Ok(()));
    }

    #[test]
    fn memory_is_counted_to_the_last_byte() {
        let mut meter = Meter::new(3);
        assert_eq!([meter.take_memory(MEMORY), meter.take_memory(1)], [Ok(()), Err(Stopped::Spent)]);
    }

    #[test]
    fn work_that_nobody_waits_for_ends_within_a_few_thousand_steps() {
        let abandoned = Arc::new(AtomicBool::new(false));
        let mut meter = Meter::watching(1_000_000, Arc::clone(&abandoned));
        for _ in 0..10_000 {
            assert_eq!(meter.take(1), Ok(()));
        }
        abandoned.store(true, Ordering::Relaxed);
        let ended = (1..).find(|_| meter.take(1).is_err());
        assert!(ended.is_some_and(|steps| steps <= LOOK), "{ended:?}");
    }
}
