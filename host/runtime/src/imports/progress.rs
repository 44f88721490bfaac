//! `progress`: reports of a long call, passed on to clients that asked for them.

use std::time::{Duration, Instant};

use super::wit::progress;
use crate::state::CallState;

/// Reports that come closer together are dropped.
const INTERVAL: Duration = Duration::from_millis(100);
/// The longest message, in bytes.
const MAX_MESSAGE: usize = 512;

impl progress::Host for CallState {
    async fn report(&mut self, done: f64, total: Option<f64>, message: Option<String>) -> wasmtime::Result<()> {
        self.budget.local_call()?;
        // JSON has no other numbers, and a client counts upwards.
        let number = |value: f64| value.is_finite() && value >= 0.0;
        if !number(done) || !total.is_none_or(number) {
            return Ok(());
        }
        let due = self.progressed.is_none_or(|last| last.elapsed() >= INTERVAL);
        if let Some(report) = self.context.as_ref().and_then(|context| context.progress.as_ref()).filter(|_| due) {
            let message = message.as_deref().and_then(|text| text.get(..text.floor_char_boundary(MAX_MESSAGE)));
            report(done, total, message);
            self.progressed = Some(Instant::now());
        }
        Ok(())
    }
}
