//! `log`: a plugin's own lines, into Scout's log.

use super::wit::log;
use crate::state::CallState;

/// The longest line, in bytes.
const MAX_LINE: usize = 4096;

impl log::Host for CallState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.budget.host_call()?;
        let wanted = message.floor_char_boundary(MAX_LINE);
        let granted = message.floor_char_boundary(self.budget.log(wanted));
        if let Some(message) = message.get(..granted).filter(|message| !message.is_empty()) {
            let plugin = self.plugin.as_str();
            // As a debug value: a plugin cannot write a line that looks like another's.
            match level {
                log::Level::Debug => tracing::debug!(plugin, ?message),
                log::Level::Info => tracing::info!(plugin, ?message),
                log::Level::Warn => tracing::warn!(plugin, ?message),
                log::Level::Error => {
                    tracing::error!(plugin, ?message);
                    self.complaint = Some(message.to_owned());
                }
            }
        }
        Ok(())
    }
}
