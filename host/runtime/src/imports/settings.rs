//! `settings`: the plugin's own configuration.

use super::wit::settings;
use crate::state::CallState;

impl settings::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.budget.host_call()?;
        let value = self.settings.get(&key).map(ToString::to_string);
        self.budget.enter_guest();
        Ok(value)
    }
}
