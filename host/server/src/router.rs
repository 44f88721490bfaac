//! From a request to the plugin that answers it.
//!
//! Owns the way each request takes: find the host, look at the path, choose the plugin, call it, render, count it. A request
//! is its [`Caller`]'s: it takes the revision that serves the caller's tenant when it begins, and keeps it. The same way serves
//! MCP, resources and the command line. Knows no protocol.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use scout_machine::{Call, Principal, RemotePath};
use scout_runtime::{CallContext, CallError, Fleet, Looked, Plugin, Progress, Query, Readers, Receipt, Subject};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::call_memory::{CallMemory, in_time, receipt};
use crate::client_memory::ClientMemory;
use crate::config::{did_you_mean, near};
use crate::exit::Secrets;
use crate::plugins::{Catalog, Loaded, Tool};
use crate::process::Drain;
use crate::render::{Base64, Missing, Reply};
use crate::revision::Revision;
use crate::tally::{Ended, Outcome};
use crate::target::Request;
use crate::tenant::{LOCAL, Tenant};

/// The plugins of which one is handed what lies at a path, by what it is.
const READERS: Readers<'_> = Readers { file: "file", directory: "dir" };

/// More of a name than this tells nobody anything, in bytes.
const SHOWN: usize = 64;
/// What to do about a plugin that is not there yet.
const LATER: &str = "try again later; `scout plugin list` tells the operator how it is";

/// Who asks, and how to reach them while they wait. Made for each request by whoever knows who sent it.
#[derive(Clone)]
pub struct Caller {
    /// Whose they are: what answers them.
    tenant: Arc<Tenant>,
    /// On whose behalf; one of the tenant's.
    principal: Principal,
    /// Fires when they no longer want the answer.
    cancel: CancellationToken,
    /// Where progress goes, if they asked for it.
    progress: Option<Progress>,
    /// What their calls may hold together; nothing is counted where there is one call only.
    memory: Option<ClientMemory>,
    /// Whether they want the bytes of a file that is no text.
    base64: Base64,
}

impl Caller {
    /// Somebody of a tenant whose call is the only one, and who hears of no progress.
    pub fn alone(tenant: &Arc<Tenant>, principal: &str, cancel: CancellationToken) -> Self {
        let principal = tenant.principal(principal);
        Self { tenant: Arc::clone(tenant), principal, cancel, progress: None, memory: None, base64: Base64::LeftOut }
    }

    /// Whoever has started the process, of the tenant `local`.
    pub(crate) fn local(tenant: &Arc<Tenant>, cancel: CancellationToken) -> Self {
        Self::alone(tenant, LOCAL, cancel)
    }

    /// The same for one request of theirs: fires when they no longer want its answer, where its progress goes, and what it shares
    /// with the others.
    pub(crate) fn asking(&self, cancel: CancellationToken, progress: Option<Progress>, memory: ClientMemory) -> Self {
        Self { cancel, progress, memory: Some(memory), ..self.clone() }
    }

    /// The same, who want the bytes of a file that is no text, or do not.
    #[must_use]
    pub fn wanting(self, base64: Base64) -> Self {
        Self { base64, ..self }
    }

    /// Whose they are.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// On whose behalf they ask.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What a call for them may touch, from now until the deadline of every call.
    pub(crate) fn context(self, revision: &Revision) -> CallContext {
        self.context_until(deadline(revision), revision)
    }

    fn context_until(self, deadline: tokio::time::Instant, revision: &Revision) -> CallContext {
        let call = Call { deadline, cancel: self.cancel, cost: Arc::default() };
        let (fleet, limits) = (Arc::clone(&revision.fleet), Arc::clone(&revision.limits));
        let mut context = CallContext::new(self.principal.clone(), fleet, limits, call);
        context.progress = self.progress;
        context.cursors = Arc::clone(self.tenant.cursors());
        context.baselines = Some(Arc::clone(self.tenant.baselines()) as _);
        let (audit, principal) = (Arc::clone(self.tenant.audit()), self.principal);
        let commands = Arc::clone(audit.commands());
        let write = Arc::new(move |record| audit.record(&principal, record));
        context.audit = Some(scout_runtime::Audit { write, reads: revision.config().audit_reads, commands });
        context
    }
}

/// Routes requests to the plugins of whoever asks. Shared by all calls of a process; begins none once that drains.
#[derive(Debug, Default)]
pub struct Router {
    drain: Drain,
}

impl Router {
    /// How the calls end when the process does.
    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Answers a request. A failure is an answer too.
    ///
    /// # Cancel safety
    /// Dropping the future stops remote work, as the caller's token does; only the token waits for it to be stopped. The
    /// future that is dropped is not counted.
    pub async fn answer(&self, request: Request, caller: Caller) -> Reply {
        let (begun, mut answering) = (Begun::now(&caller), Answering::default());
        let reply = {
            let call = pin!(self.answer_now(request, caller, &mut answering));
            self.drain.run(&begun.cancel, call).await
        };
        begun.end(&answering, reply)
    }

    async fn answer_now(&self, request: Request, caller: Caller, answering: &mut Answering) -> Reply {
        let revision = caller.tenant.revision();
        let secrets = answering.serving(&revision);
        let mut arguments = Map::new();
        let (subject, host, path, command) = match request {
            Request::Hosts { query, arguments: given } => {
                arguments = given;
                (Some(Subject::Hosts), None, None, query)
            }
            Request::Path { host, path } => (None, Some(host), path, None),
            Request::Command { host, path, command } => (Some(Subject::Command), Some(host), path, Some(command)),
            Request::About { subject, host, path, command, arguments: given } => {
                arguments = given;
                (Some(subject), host, path, command)
            }
        };
        if let Some(host) = &host
            && !is_known_to(&revision.fleet, &caller.principal, host)
        {
            return unknown_host(&revision.fleet, host, &caller.principal);
        }
        let (memory, base64) = (caller.memory.clone(), caller.base64);
        let context = match subject {
            // A transfer has a time of its own.
            Some(Subject::Transfer) => {
                let deadline = tokio::time::Instant::now() + revision.config().transfers.timeout;
                caller.context_until(deadline, &revision)
            }
            _ => caller.context(&revision),
        };
        let (call, cost) = (context.call.clone(), Arc::clone(&context.call.cost));
        let expected = match (&host, &command) {
            (None, _) if subject != Some(Subject::Targets) => 0,
            _ if subject == Some(Subject::Transfer) => 0,
            (_, None) => revision.limits.file_bytes,
            (_, Some(_)) => 2 * revision.limits.output_bytes,
        };
        let call_memory = match CallMemory::wait(&call, memory, host.as_deref(), expected).await {
            Ok(call_memory) => call_memory,
            Err(error) => return error.into(),
        };
        let (subject, found) = match (subject, &host) {
            (Some(subject), _) => (subject, None),
            (None, None) => (Subject::Hosts, None),
            // Whether `host:/path` is a file or a directory only the host knows.
            (None, Some(host)) => {
                match context.look(host, &path.clone().unwrap_or_else(RemotePath::home), READERS).await {
                    Ok(Looked { subject, opened }) => (subject, Some(opened)),
                    Err(error) => return CallError { receipt: receipt(&cost), ..error }.into(),
                }
            }
        };
        let plugin = match in_time(&context.call, revision.plugins.for_subject(subject)).await {
            Ok(Ok(plugin)) => answering.handler(plugin),
            Ok(Err(error)) => return Reply::failure("plugin", &error.to_string(), None, receipt(&cost)),
            Err(why) => {
                let message = format!("{why}: the plugin that answers this is still being loaded");
                return Reply::failure("busy", &message, Some(LATER), receipt(&cost));
            }
        };
        let (principal, call) = (context.principal.clone(), context.call.clone());
        let path = path.map(|path| path.bytes().to_vec());
        match plugin.handle(context, Query { subject, host, path, command, arguments, found }).await {
            Ok((answer, receipt)) => match call_memory.reserve(&call, &answer).await {
                Ok(reserved) => {
                    let reply = plugin.render(answer, (base64, secrets), receipt, &principal, &call).await;
                    reserved.keep(reply.unwrap_or_else(Reply::from))
                }
                Err(error) => error.into(),
            },
            Err(error) => error.into(),
        }
    }

    /// Calls the tool of a plugin. A failure is an answer too.
    ///
    /// # Cancel safety
    /// As [`Router::answer`].
    pub async fn call_tool(&self, name: &str, arguments: Map<String, Value>, caller: Caller) -> Reply {
        let (begun, mut answering) = (Begun::now(&caller), Answering::default());
        let reply = {
            let call = pin!(call_tool_now(name, arguments, caller, &mut answering));
            self.drain.run(&begun.cancel, call).await
        };
        begun.end(&answering, reply)
    }
}

/// A request that is under way, and whose it is.
struct Begun {
    at: Instant,
    tenant: Arc<Tenant>,
    principal: Principal,
    cancel: CancellationToken,
}

/// Who answers a request, once that is known.
#[derive(Default)]
struct Answering {
    handler: Option<Arc<Loaded>>,
    tool: Option<Arc<Tool>>,
    secrets: Secrets,
}

impl Begun {
    fn now(caller: &Caller) -> Self {
        let (tenant, principal) = (Arc::clone(&caller.tenant), caller.principal.clone());
        Self { at: Instant::now(), tenant, principal, cancel: caller.cancel.clone() }
    }

    /// Counts how it ended. Its time is that since it began: what a plugin tells of it leaves out what came before the plugin.
    fn end(self, answering: &Answering, reply: Option<Reply>) -> Reply {
        let mut reply = reply.unwrap_or_else(|| {
            let why = "Scout is shutting down and takes no new calls";
            Reply::failure("busy", why, None, Receipt::default())
        });
        reply = reply.leaving(answering.secrets);
        reply.receipt.wall = self.at.elapsed();
        let plugin = answering.plugin().map(|plugin| plugin.id().as_str());
        let tool = answering.tool.as_ref().map(|tool| tool.shown.name.as_str());
        let (principal, outcome) = (&self.principal, Outcome::of(&reply));
        self.tenant.tally().take(&Ended { principal, plugin, tool, outcome, receipt: &reply.receipt });
        reply
    }
}

impl Answering {
    /// This revision does. Gives what becomes of secrets in the answer.
    fn serving(&mut self, revision: &Revision) -> Secrets {
        self.secrets = revision.config().redact.into();
        self.secrets
    }

    fn handler(&mut self, handler: Arc<Loaded>) -> &Loaded {
        self.handler.insert(handler)
    }

    fn tool(&mut self, tool: Arc<Tool>) -> &Tool {
        self.tool.insert(tool)
    }

    fn plugin(&self) -> Option<&Plugin> {
        let of_tool = self.tool.as_deref().map(Tool::plugin);
        of_tool.or_else(|| self.handler.as_deref().map(Loaded::plugin))
    }
}

async fn call_tool_now(name: &str, arguments: Map<String, Value>, caller: Caller, answering: &mut Answering) -> Reply {
    let (revision, memory) = (caller.tenant.revision(), caller.memory.clone());
    let secrets = answering.serving(&revision);
    let context = caller.context(&revision);
    match in_time(&context.call, revision.plugins.tool(name)).await {
        Ok(Some(tool)) => call_tool_in(context, memory, answering.tool(tool), arguments, secrets).await,
        Ok(None) => no_tool(name, &revision.plugins.catalog_now()),
        Err(why) => {
            let plugins = revision.plugins.may_bring(name).join("`, `");
            let message = format!("{why}: what may bring a tool of this name is still being loaded (`{plugins}`)");
            Reply::failure("busy", &message, Some(LATER), Receipt::default())
        }
    }
}

/// Calls a tool in a context of a caller's. A failure is an answer too.
///
/// # Cancel safety
/// As [`Router::answer`].
pub(crate) async fn call_tool_in(
    context: CallContext,
    memory: Option<ClientMemory>,
    tool: &Tool,
    arguments: Map<String, Value>,
    secrets: Secrets,
) -> Reply {
    let reply = tool.call(context, memory, arguments, secrets).await.unwrap_or_else(|error| tool.failure(error));
    reply.leaving(secrets)
}

/// When a request that begins now must be answered.
pub(crate) fn deadline(revision: &Revision) -> tokio::time::Instant {
    tokio::time::Instant::now() + revision.call_timeout
}

/// The hosts that a principal may name.
fn known_to<'a>(fleet: &'a Fleet, principal: &'a Principal) -> impl Iterator<Item = &'a str> {
    fleet.names().iter().map(|name| &**name).filter(move |name| fleet.shows(principal, name))
}

/// Whether a principal may name a host that there is.
fn is_known_to(fleet: &Fleet, principal: &Principal, host: &str) -> bool {
    fleet.shows(principal, host) && fleet.get(host).is_some()
}

fn unknown_host(fleet: &Fleet, host: &str, principal: &Principal) -> Reply {
    let near = near(host, known_to(fleet, principal));
    let shown = host.get(..host.floor_char_boundary(SHOWN)).unwrap_or_default();
    let message = format!("no host is named `{shown}`{}", did_you_mean(&near));
    // Told of any name that a pattern covers, whether or not there is such a host.
    let hint = fleet.pattern_of(host).map(|pattern| {
        format!(
            "the target `hosts` lists all hosts; `Host {pattern}` of ssh_config covers such names, and the operator opens \
             them with `hosts = [\"{pattern}\"]` below [access.{}] in scout.toml",
            principal.name()
        )
    });
    let hint = hint.as_deref().unwrap_or("the target `hosts` lists all hosts");
    Reply::failure("unknown-host", &message, Some(hint), Receipt::default()).missing(Missing::Target)
}

fn no_tool(name: &str, catalog: &Catalog) -> Reply {
    let shown = name.get(..name.floor_char_boundary(SHOWN)).unwrap_or_default();
    let names = std::iter::once("scout").chain(catalog.tools().iter().map(|tool| tool.name.as_str()));
    let message = format!("no tool is named `{shown}`{}", did_you_mean(&near(name, names)));
    Reply::failure("invalid", &message, None, Receipt::default()).missing(Missing::Tool)
}
