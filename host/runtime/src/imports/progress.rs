//! `progress`: reports of a long call, passed on to clients that asked for them.

use super::wit::progress;
use crate::state::CallState;

impl progress::Host for CallState {
    fn report(&mut self, done: f64, total: Option<f64>, message: Option<String>) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        if let Some(context) = &self.context {
            context.report(done, total, message.as_deref());
        }
        Ok(())
    }
}
