//! A plugin that serves: what it was made of, and the breaker round its calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Call, Principal};
use scout_runtime::{
    Answer, CallContext, CallError, CallErrorKind, Grants, LoadError, Plugin, PluginMemory, Query, Receipt,
    ResourcePage, ResourceRequest,
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Breaker, CallResult, Quarantine};
use super::schemas::Schemas;
use super::shown::Shown;
use crate::exit::Secrets;
use crate::render::{Base64, Reply, render};

/// On whose behalf schemas are compiled: nobody's who calls.
const LOADING: &str = "loading";
/// How long compiling all schemas of a plugin may take, its turn among other work included.
const COMPILING: Duration = Duration::from_secs(10);
/// Bytes of an answer that is made fit to be seen where the call is: some tens of microseconds.
const IN_PLACE: usize = 16 << 10;

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
    /// Those of its tools, in their order; of a handler none.
    schemas: Vec<Arc<Schemas>>,
    shown: Vec<Arc<Shown>>,
    _kept: PluginMemory,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("plugin", self.plugin.id()).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Compiles the schemas of its tools, on a thread for such work. `changed` is told when the plugin is quarantined for
    /// somebody, or no longer.
    ///
    /// # Cancel safety
    /// Dropping the future ends the work.
    ///
    /// # Errors
    /// A schema that cannot be used, and schemas for which there is no memory.
    pub(super) async fn new(plugin: Plugin, identity: Identity, changed: Arc<Notify>) -> Result<Self, LoadError> {
        let refused = |message| LoadError { plugin: plugin.id().as_str().to_owned(), message };
        let call = Call::until(Instant::now() + COMPILING);
        let tools = plugin.tools().to_vec();
        let compiled = plugin
            .work(&Principal::own(LOADING), &call, "its schemas were compiled", move |meter| {
                let (schemas, memory) = Schemas::of(&tools, meter)?;
                let shown: Vec<Arc<Shown>> = tools.iter().map(Shown::new).collect();
                let memory = memory + shown.iter().zip(&tools).map(|(shown, said)| shown.kept(said)).sum::<usize>();
                Ok((schemas, shown, memory))
            })
            .await;
        let (schemas, shown, memory) = compiled.map_err(|error| refused(error.message))?.map_err(refused)?;
        let kept = plugin.keep(memory).ok_or_else(|| {
            refused(
                "there is no memory for its schemas: what all plugins may say of themselves is used up; \
                 raise `max_plugin_memory` or configure fewer plugins"
                    .to_owned(),
            )
        })?;
        Ok(Self { plugin, identity, breaker: Breaker::new(changed), schemas, shown, _kept: kept })
    }

    /// What is shown of its tools, in their order.
    pub(super) fn shown(&self) -> &[Arc<Shown>] {
        &self.shown
    }

    /// The schemas of its tools, in their order.
    pub(super) fn schemas(&self) -> &[Arc<Schemas>] {
        &self.schemas
    }

    /// Makes an answer fit to be seen: a small one in place, a larger one on a thread for it.
    ///
    /// # Cancel safety
    /// Dropping the future gives it up.
    ///
    /// # Errors
    /// The deadline, the cancellation.
    pub(crate) async fn render(
        &self,
        answer: Answer,
        (base64, secrets): (Base64, Secrets),
        receipt: Receipt,
        principal: &Principal,
        call: &Call,
    ) -> Result<Reply, CallError> {
        const DOING: &str = "its answer was made fit to be seen";
        if answer.size <= IN_PLACE {
            return Ok(render(answer, base64, secrets, receipt));
        }
        let rendered = self.plugin.work(principal, call, DOING, move |_| render(answer, base64, secrets, receipt));
        rendered.await.map_err(|error| CallError { receipt, ..error })
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

    /// Reads a resource of one of its templates.
    ///
    /// # Errors
    /// As [`Loaded::handle`].
    pub async fn read_resource(
        &self,
        context: CallContext,
        request: ResourceRequest,
    ) -> Result<(Answer, Receipt), CallError> {
        self.guard(context.principal.clone(), self.plugin.read_resource(context, request)).await
    }

    /// A page of its resources.
    ///
    /// # Errors
    /// As [`Loaded::handle`], and a cursor that is none of its own.
    pub async fn list_resources(
        &self,
        context: CallContext,
        cursor: Option<&str>,
    ) -> Result<(ResourcePage, Receipt), CallError> {
        // What a client brings says nothing of how the plugin is.
        let place = self.plugin.listing_place(&context, cursor).map_err(|error| *error)?;
        self.guard(context.principal.clone(), self.plugin.list_resources(context, place)).await
    }

    /// Runs a call, if the breaker lets it begin, and tells the breaker how it ended.
    async fn guard<T>(
        &self,
        principal: Principal,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let admission =
            self.breaker.admit(&principal, Instant::now()).map_err(|quarantine| self.refused(&quarantine))?;
        let result = call.await;
        let verdict = match &result {
            Ok(_) => CallResult::Answered,
            Err(error) => match error.kind {
                CallErrorKind::Failed => CallResult::Answered,
                CallErrorKind::Plugin => CallResult::Crashed(error.message.clone()),
                CallErrorKind::Timeout | CallErrorKind::Cancelled | CallErrorKind::Busy | CallErrorKind::Internal => {
                    CallResult::Nothing
                }
            },
        };
        admission.end(verdict);
        result
    }

    fn refused(&self, quarantine: &Quarantine) -> CallError {
        CallError {
            kind: CallErrorKind::Busy,
            reason: CallErrorKind::Busy.name().into(),
            is_missing: false,
            message: quarantine.message(self.plugin.id().as_str()),
            hint: Some("other plugins answer; `scout plugin list` tells the operator".to_owned()),
            receipt: Receipt::default(),
        }
    }
}
