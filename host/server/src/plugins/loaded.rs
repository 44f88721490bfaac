//! A plugin that serves: what it was made of, and the breaker round its calls.

use std::fmt;
use std::sync::Arc;

use scout_runtime::{Answer, CallContext, CallError, CallErrorKind, Grants, Plugin, Query, Receipt};
use scout_ssh::Principal;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Breaker, Quarantine, Verdict};

/// What a plugin is made of. Of two that are equal here, one is as good as the other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    /// SHA-256 of its component.
    pub(super) digest: [u8; 32],
    /// What it may import.
    pub(super) grants: Grants,
    /// What it reads of itself.
    pub(super) settings: Map<String, Value>,
}

impl Identity {
    pub(super) fn new(component: &[u8], grants: Grants, settings: Map<String, Value>) -> Self {
        Self { digest: Sha256::digest(component).into(), grants, settings }
    }

    /// The digest as people write it.
    pub(super) fn digest_text(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A plugin that serves. Its breaker goes with it: another version begins anew.
pub struct Loaded {
    plugin: Plugin,
    pub(super) identity: Identity,
    pub(super) breaker: Breaker,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("plugin", self.plugin.id()).finish_non_exhaustive()
    }
}

impl Loaded {
    /// `changed` is told when the plugin is quarantined for somebody, or no longer.
    pub(super) fn new(plugin: Plugin, identity: Identity, changed: Arc<Notify>) -> Self {
        Self { plugin, identity, breaker: Breaker::new(changed) }
    }

    /// The plugin as it describes itself.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Answers a query.
    ///
    /// # Cancel safety
    /// As [`Plugin::handle`].
    ///
    /// # Errors
    /// As [`Plugin::handle`], and a quarantine.
    pub async fn handle(&self, context: CallContext, query: Query) -> Result<(Answer, Receipt), CallError> {
        self.guard(context.principal.clone(), self.plugin.handle(context, query)).await
    }

    /// Calls a tool with a JSON object of arguments, already validated.
    ///
    /// # Errors
    /// As [`Loaded::handle`].
    pub async fn call_tool(
        &self,
        context: CallContext,
        name: &str,
        arguments: &str,
    ) -> Result<(Answer, Receipt), CallError> {
        self.guard(context.principal.clone(), self.plugin.call_tool(context, name, arguments)).await
    }

    /// Runs a call, if the breaker lets it begin, and tells the breaker how it ended.
    async fn guard(
        &self,
        principal: Principal,
        call: impl Future<Output = Result<(Answer, Receipt), CallError>>,
    ) -> Result<(Answer, Receipt), CallError> {
        let admission =
            self.breaker.admit(&principal, Instant::now()).map_err(|quarantine| self.refused(&quarantine))?;
        let result = call.await;
        let verdict = match &result {
            Ok(_) => Verdict::Answered,
            Err(error) => match error.kind {
                CallErrorKind::Failed => Verdict::Answered,
                CallErrorKind::Plugin => Verdict::Crashed(error.message.clone()),
                CallErrorKind::Timeout | CallErrorKind::Cancelled | CallErrorKind::Busy | CallErrorKind::Internal => {
                    Verdict::Nothing
                }
            },
        };
        admission.end(verdict);
        result
    }

    fn refused(&self, quarantine: &Quarantine) -> CallError {
        CallError {
            kind: CallErrorKind::Busy,
            is_missing: false,
            message: quarantine.message(self.plugin.id().as_str()),
            hint: Some("other plugins answer; `scout plugin list` tells the operator".to_owned()),
            receipt: Receipt::default(),
        }
    }
}
