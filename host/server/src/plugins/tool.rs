//! A plugin's tool as clients meet it: under its name here, its arguments and answers checked against its schemas.

use std::fmt;
use std::sync::Arc;

use scout_machine::{Call, Principal};
use scout_runtime::{CallContext, CallError, CallErrorKind, LoadError, Meter, Plugin, Receipt, Stopped, WORK_STEPS};
use serde_json::{Map, Value};

use super::names::alike;
use super::schemas::Schemas;
use super::{Loaded, Resources, Shown};
use crate::call_memory::{CallMemory, Expected};
use crate::client_memory::ClientMemory;
use crate::exit::Secrets;
use crate::render::{Base64, Reply};

/// The longest name of a tool with its prefix, in bytes: some clients take no more.
const MAX_NAME: usize = 64;
/// Names that no plugin's tool may have, nor one that is [`alike`].
const RESERVED: [&str; 1] = ["scout"];
/// Steps that a check may take where the call is: some hundred microseconds. What takes more is done on a thread for it.
const IN_PLACE: u64 = 5_000;

/// A tool that is offered.
pub struct Tool {
    /// Its name for clients: the plugin's prefix and its own.
    pub name: String,
    /// What is shown of it.
    pub shown: Arc<Shown>,
    plugin: Arc<Loaded>,
    schemas: Arc<Schemas>,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tool {
    /// All tools of a plugin, or none of them: half a plugin would be a riddle.
    ///
    /// # Errors
    /// Why they cannot be offered, whatever other plugins offer.
    pub(super) fn all_of(loaded: &Arc<Loaded>, prefix: &str) -> Result<Vec<Arc<Self>>, String> {
        let plugin = loaded.plugin();
        if plugin.tools().is_empty() && plugin.templates().is_empty() {
            return Err(
                "offers no tools and no resources; a handler has the name of the one that it replaces".to_owned()
            );
        }
        let mut tools = Vec::new();
        for (shown, schemas) in loaded.shown().iter().zip(loaded.schemas()) {
            let (name, id) = (format!("{prefix}{}", shown.name), plugin.id().as_str());
            check_name(&name, id)?;
            let (plugin, schemas, shown) = (Arc::clone(loaded), Arc::clone(schemas), Arc::clone(shown));
            tools.push(Arc::new(Self { name, shown, plugin, schemas }));
        }
        Ok(tools)
    }

    /// The plugin whose tool this is.
    pub fn plugin(&self) -> &Plugin {
        self.plugin.plugin()
    }

    /// Calls the tool: with arguments that fit, and an answer that fits, within what the client may hold.
    ///
    /// # Cancel safety
    /// As [`Plugin::handle`]; what is checked is given up.
    ///
    /// # Errors
    /// As [`Loaded::call_tool`], [`Tool::check_arguments`] and [`Tool::reply`].
    pub(crate) async fn call(
        &self,
        context: CallContext,
        memory: Option<ClientMemory>,
        arguments: Map<String, Value>,
        secrets: Secrets,
    ) -> Result<Reply, CallError> {
        if let Some(what) = self.schemas.wrong_kind(&arguments) {
            let why = format!("the arguments do not fit the tool `{}`: {what}", self.name);
            return Ok(Reply::failure("invalid", &why, None, Receipt::default()).misasked());
        }
        let (principal, call, limits) = (context.principal.clone(), context.call.clone(), Arc::clone(&context.limits));
        // What most tools call the host that they ask.
        let host = arguments.get("host").and_then(Value::as_str).map(str::to_owned);
        let host = host.unwrap_or_else(|| self.plugin().id().as_str().to_owned());
        let arguments = self.check_arguments(arguments, &principal, &call).await?;
        // What it answers with beyond that waits for room of its own.
        let expected = limits.file_bytes.max(2 * limits.output_bytes);
        let call_memory = CallMemory::wait(&call, memory, Expected::Bytes(Some(&host), expected)).await?;
        let (answer, receipt) = self.plugin.call_tool(context, &self.shown.name, &arguments).await?;
        drop(arguments);
        let reserved = call_memory.reserve(&call, &answer).await?;
        Ok(reserved.keep(self.reply((answer, secrets), receipt, &principal, &call).await?))
    }

    /// Checks arguments against the input schema, and gives them as the plugin gets them. In place if that takes few steps,
    /// else on a thread for it.
    ///
    /// # Cancel safety
    /// Dropping the future ends the check.
    ///
    /// # Errors
    /// What does not fit and where, for whoever called; a check that takes too long; the deadline, the cancellation.
    pub(crate) async fn check_arguments(
        &self,
        arguments: Map<String, Value>,
        principal: &Principal,
        call: &Call,
    ) -> Result<String, CallError> {
        let arguments = Value::Object(arguments);
        let checked = match self.schemas.checked_arguments(&arguments, &mut Meter::new(IN_PLACE)) {
            Ok(checked) => Ok(checked),
            Err(_beyond) => {
                let schemas = Arc::clone(&self.schemas);
                let work = move |meter: &mut Meter| schemas.checked_arguments(&arguments, meter);
                self.plugin().work(principal, call, "its arguments were checked", work).await?
            }
        };
        let tool = &self.name;
        let failed = |message| failed("invalid", message);
        match checked {
            Ok(Ok(arguments)) => Ok(arguments),
            Ok(Err(what)) => Err(failed(format!("the arguments do not fit the tool `{tool}`: {what}"))),
            Err(_) => Err(failed(format!(
                "the arguments of the tool `{tool}` take too long to be checked against its input schema: make them smaller"
            ))),
        }
    }

    /// A failure as a reply. Its fields stay only where the output schema lets them: older clients hold those of a failure
    /// against it, too.
    pub(crate) fn failure(&self, error: CallError) -> Reply {
        // What is told of a failure is small, whatever the schema is.
        match self.schemas.checked(Reply::from(error), &mut Meter::new(WORK_STEPS)) {
            (reply, Ok(_)) => reply,
            (reply, Err(_)) => reply.without_fields(),
        }
    }

    /// Makes an answer fit to be seen and checks it against the output schema, if the tool has one: a client may rely on it.
    /// A small one in place, if that takes few steps, else on a thread for it.
    ///
    /// # Cancel safety
    /// Dropping the future ends the check.
    ///
    /// # Errors
    /// An answer that does not fit, and where; a check that takes too long; the deadline, the cancellation.
    pub(crate) async fn reply(
        &self,
        (answer, secrets): (scout_runtime::Answer, Secrets),
        receipt: Receipt,
        principal: &Principal,
        call: &Call,
    ) -> Result<Reply, CallError> {
        const DOING: &str = "its answer was checked";
        let reply = self.plugin.render(answer, (Base64::Given, secrets), receipt, principal, call).await?;
        let (reply, checked) = match self.schemas.checked(reply, &mut Meter::new(IN_PLACE)) {
            (reply, Err(_beyond)) => {
                let schemas = Arc::clone(&self.schemas);
                let work = move |meter: &mut Meter| schemas.checked(reply, meter);
                self.plugin()
                    .work(principal, call, DOING, work)
                    .await
                    .map_err(|error| CallError { receipt, ..error })?
            }
            checked => checked,
        };
        let (plugin, tool) = (self.plugin().id().as_str(), &self.name);
        let why = match checked {
            Ok(None) => return Ok(reply),
            Err(_) if reply.is_error => return Ok(reply.without_fields()),
            Ok(Some(what)) => format!("plugin `{plugin}` broke its own output schema in `{tool}`: {what}"),
            Err(Stopped::Spent | Stopped::Abandoned) => format!(
                "the answer of plugin `{plugin}` takes too long to be checked against the output schema of `{tool}`: \
                 a smaller answer or a simpler schema takes less"
            ),
        };
        Err(CallError { receipt, ..failed("plugin", why) })
    }
}

/// Whether a plugin may have a tool of this name, whatever other plugins have.
///
/// # Errors
/// Why not, and what the operator can do.
fn check_name(name: &str, plugin: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        return Err(format!("the name `{name}` is longer than {MAX_NAME} bytes: shorten the prefix"));
    }
    let Some(reserved) = RESERVED.into_iter().find(|reserved| alike(reserved, name)) else { return Ok(()) };
    let how = if name == reserved {
        "and so has Scout itself".to_owned()
    } else {
        format!("which is too much like Scout's own `{reserved}`")
    };
    Err(format!("it has a tool `{name}`, {how}; set `prefix` in [plugins.{plugin}], such as \"{plugin}_\""))
}

fn failed(reason: &'static str, message: String) -> CallError {
    let kind = CallErrorKind::Failed;
    CallError { kind, reason: reason.into(), is_missing: false, message, hint: None, receipt: Receipt::default() }
}

/// The tools and resources of several plugins, under names that are each one's alone.
#[derive(Debug, Default)]
pub struct Catalog {
    tools: Vec<Arc<Tool>>,
    resources: Vec<Arc<Resources>>,
    refused: Vec<LoadError>,
}

impl Catalog {
    /// With these tools and resources, and the plugins that do not bring theirs.
    pub(super) fn new(mut tools: Vec<Arc<Tool>>, mut resources: Vec<Arc<Resources>>, refused: Vec<LoadError>) -> Self {
        tools.sort_by(|a, b| a.plugin().id().as_str().cmp(b.plugin().id().as_str()));
        resources.sort_by(|a, b| a.plugin().id().as_str().cmp(b.plugin().id().as_str()));
        Self { tools, resources, refused }
    }

    /// The plugins that do not bring the tools they should, with why.
    pub fn refused(&self) -> &[LoadError] {
        &self.refused
    }

    /// All tools in the order of their plugins' names, then in that of the plugin.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The resources of each plugin that has some, in the order of their plugins' names.
    pub fn resources(&self) -> &[Arc<Resources>] {
        &self.resources
    }

    /// Those of the plugin that has this scheme.
    pub fn scheme(&self, scheme: &str) -> Option<&Arc<Resources>> {
        let has = |resources: &&Arc<Resources>| {
            resources.plugin().templates().iter().any(|template| template.uri.scheme() == scheme)
        };
        self.resources.iter().find(has)
    }

    /// The tool of this name.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

#[cfg(test)]
mod tests;
