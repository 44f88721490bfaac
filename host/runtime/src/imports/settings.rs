//! `settings`: the plugin's own configuration.

use super::wit::settings;
use crate::state::CallState;

impl settings::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.budget.host_call()?;
        Ok(self.settings.get(&key).map(ToString::to_string))
    }
}
