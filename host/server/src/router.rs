//! From a request to the plugin that answers it.
//!
//! Owns the way each request takes: find the host, look at the path, choose the plugin, call it, render, count it. A request
//! is its [`Caller`]'s: it takes the revision that serves the caller's tenant when it begins, and keeps it. The same way serves
//! MCP, resources and the command line. Knows no protocol.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scout_machine::{Call, Principal, RemotePath};
use scout_runtime::redaction::mask;
use scout_runtime::{
    CallContext, CallError, Content, Fleet, ListedResource, Looked, Plugin, Progress, Query, Readers, Receipt,
    ResourcePage, ResourceRequest, Structured, Subject, fault,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::call_memory::{CallMemory, Expected, in_time, receipt};
use crate::client_memory::ClientMemory;
use crate::config::{did_you_mean, near};
use crate::exit::Secrets;
use crate::plugins::{Catalog, Loaded, Resources, TemplateShown, Tool};
use crate::process::Drain;
use crate::quotas::Admitted;
use crate::render::{Base64, Missing, Reply, Text};
use crate::revision::Revision;
use crate::tally::{Ended, Outcome};
use crate::target::{Request, former_uri, is_former_scheme, is_own_uri};
use crate::tenant::{LOCAL, Tenant};

/// The plugins of which one is handed what lies at a path, by what it is.
const READERS: Readers<'_> = Readers { file: "file", directory: "dir" };

/// More of a name than this tells nobody anything, in bytes.
const SHOWN: usize = 64;
/// What to do about a plugin that is not there yet.
const LATER: &str = "try again later; `scout plugin list` tells the operator how it is";

/// Resources of a page, as far as no plugin lists more at once.
const LISTED: usize = 100;
/// How long one plugin may take to list some: a list is asked for by a client that shows it, and others have to come to it too.
const LISTING: Duration = Duration::from_secs(3);

/// A page of the plugins' resources.
#[derive(Debug, Default)]
pub struct ResourceList {
    /// Each with what is shown of its template, in the order of the plugins' names.
    pub resources: Vec<(ListedResource, TemplateShown)>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
    /// Of which plugins, and the number of the revision.
    pub(crate) of: Option<(Arc<Catalog>, u64)>,
}

/// Where in what one plugin has a page begins.
enum ListPlace<'a> {
    /// What it always has is first.
    Begin,
    /// What it lists itself, from where this cursor of its says.
    Plugin(&'a str),
    /// What there is for each host, which is last, from this one on.
    Hosts(Option<&'a str>),
}

impl<'a> ListPlace<'a> {
    /// The plugin of a cursor, and the place. A plugin's name has neither of the marks.
    fn read(cursor: &'a str) -> (&'a str, Self) {
        let Some(at) = cursor.find(['.', '~']) else { return (cursor, Self::Begin) };
        let (name, behind) = cursor.split_at(at);
        match behind.strip_prefix('.') {
            Some(cursor) => (name, Self::Plugin(cursor)),
            None => (name, Self::Hosts(behind.strip_prefix('~'))),
        }
    }

    fn write(&self, plugin: &str) -> String {
        match self {
            Self::Begin | Self::Hosts(None) => plugin.to_owned(),
            Self::Plugin(cursor) => format!("{plugin}.{cursor}"),
            Self::Hosts(Some(host)) => format!("{plugin}~{host}"),
        }
    }
}

impl ResourceList {
    fn add(&mut self, of: &Resources, listed: impl Iterator<Item = ListedResource>) {
        self.resources.extend(listed.filter_map(|resource| {
            let template = of.template(&resource.template)?.clone();
            Some((resource, template))
        }));
    }
}

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
        let reply = match begun.admit("scout") {
            Ok(_admitted) => {
                let call = pin!(self.answer_now(request, caller, &mut answering));
                self.drain.run(&begun.cancel, call).await
            }
            Err(over) => Some(*over),
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
            _ if subject == Some(Subject::Transfer) => Expected::Copy,
            (None, _) if subject != Some(Subject::Targets) => Expected::Bytes(None, 0),
            (host, None) => Expected::Bytes(host.as_deref(), revision.limits.file_bytes),
            (host, Some(_)) => Expected::Bytes(host.as_deref(), 2 * revision.limits.output_bytes),
        };
        let call_memory = match CallMemory::wait(&call, memory, expected).await {
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

    /// Reads a resource: Scout's own, or a plugin's. A failure is an answer too.
    ///
    /// # Cancel safety
    /// As [`Router::answer`].
    pub async fn read(&self, uri: &str, caller: Caller) -> Reply {
        let (begun, mut answering) = (Begun::now(&caller), Answering::default());
        let reply = match begun.admit("resources/read") {
            Ok(_admitted) => {
                let call = pin!(self.read_now(uri, caller, &mut answering));
                self.drain.run(&begun.cancel, call).await
            }
            Err(over) => Some(*over),
        };
        begun.end(&answering, reply)
    }

    async fn read_now(&self, uri: &str, caller: Caller, answering: &mut Answering) -> Reply {
        let no_resource = |why: &str| {
            let hint = "`resources/list` and `resources/templates/list` have what there is";
            Reply::failure("not-found", why, Some(hint), Receipt::default()).missing(Missing::Target)
        };
        let revision = caller.tenant.revision();
        let deadline = deadline(&revision);
        let secrets = answering.serving(&revision);
        let mut uri = Cow::Borrowed(uri);
        let known = |host: &str| is_known_to(&revision.fleet, &caller.principal, host);
        let former = |uri: &str| former_uri(uri, known, |scheme| revision.plugins.has_scheme(scheme));
        // No plugin's scheme stands before a host's name, but for those whose URIs are older.
        if !is_own_uri(&uri)
            && !is_former_scheme(&uri)
            && let Some(former) = former(&uri)
        {
            uri = former.into();
        }
        let mut found = None;
        if !is_own_uri(&uri) {
            found = match self.scheme_of(&uri, &caller, &revision, deadline).await {
                Ok(found) => found,
                Err(busy) => return busy.leaving(secrets),
            };
            if let (None, Some(former)) = (&found, former(&uri)) {
                uri = former.into();
            }
        }
        if is_own_uri(&uri) {
            return match Request::parse_uri(&uri) {
                Ok(request) => self.answer_now(request, caller, answering).await,
                Err(error) => no_resource(&error.to_string()),
            };
        }
        let Some(resources) = found else { return no_resource("no resource has this URI") };
        let Some(request) = resources.plugin().resource(&uri) else {
            let templates = resources.templates.iter().map(|template| format!("`{}`", template.uri));
            let templates = templates.collect::<Vec<_>>().join(", ");
            return no_resource(&format!("no resource has this URI; those of the scheme are {templates}"));
        };
        let (memory, secrets) = (caller.memory.clone(), revision.config().redact.into());
        read_in(caller.context_until(deadline, &revision), memory, answering.resources(resources), request, secrets)
            .await
    }

    /// The resources of the plugin that has the scheme of a URI, if there is one.
    ///
    /// # Errors
    /// The time is over, or the caller does not want to know any more.
    async fn scheme_of(
        &self,
        uri: &str,
        caller: &Caller,
        revision: &Revision,
        deadline: tokio::time::Instant,
    ) -> Result<Option<Arc<Resources>>, Reply> {
        let Some((scheme, _)) = uri.split_once("://") else { return Ok(None) };
        let call = Call { deadline, cancel: caller.cancel.clone(), cost: Arc::default() };
        in_time(&call, revision.plugins.scheme(scheme)).await.map_err(|why| {
            let message = format!("{why}: the plugin that may have this resource is still being loaded");
            Reply::failure("busy", &message, Some(LATER), Receipt::default())
        })
    }

    /// A page of the resources of plugins, from the first on or from where a page before said. A plugin that cannot say what it has is left
    /// out: the log says why.
    ///
    /// # Cancel safety
    /// As [`Router::answer`].
    ///
    /// # Errors
    /// What is not a cursor of this list.
    pub(crate) async fn resources(&self, cursor: Option<&str>, caller: Caller) -> Result<ResourceList, String> {
        const OLD: &str = "`cursor` is not one of this list: it may have changed; ask without one";
        let revision = caller.tenant.revision();
        let deadline = deadline(&revision);
        let catalog = revision.plugins.with_resources(deadline).await;
        let mut from = ListPlace::Begin;
        let first = match cursor {
            None => 0,
            Some(cursor) => {
                let (name, place) = ListPlace::read(cursor);
                from = place;
                let at = catalog.resources().iter().position(|all| all.plugin().id().as_str() == name);
                at.ok_or(OLD)?
            }
        };
        let mut list = ResourceList { of: Some((Arc::clone(&catalog), revision.number)), ..ResourceList::default() };
        let secrets = Secrets::from(revision.config().redact);
        for resources in catalog.resources().iter().skip(first) {
            let name = resources.plugin().id().as_str();
            let from = std::mem::replace(&mut from, ListPlace::Begin);
            if list.resources.len() >= LISTED {
                list.next = Some(name.to_owned());
                break;
            }
            if matches!(from, ListPlace::Begin) {
                list.add(resources, resources.fixed());
            }
            let of_hosts = match from {
                ListPlace::Hosts(start) => Some(start),
                ListPlace::Begin | ListPlace::Plugin(_) => {
                    let cursor = if let ListPlace::Plugin(cursor) = from { Some(cursor) } else { None };
                    let until = deadline.min(tokio::time::Instant::now() + LISTING);
                    let context = caller.clone().context_until(until, &revision);
                    match self.list_of(resources, cursor, &caller, context).await {
                        Ok(page) => {
                            // What is masked could not be read by its URI.
                            let is_shown = |resource: &ListedResource| {
                                secrets == Secrets::Shown
                                    || resource.values.iter().all(|value| mask(value.as_bytes()).is_none())
                            };
                            list.add(resources, page.resources.into_iter().filter(is_shown));
                            list.next = page.next.map(|next| ListPlace::Plugin(&next).write(name));
                        }
                        Err(error) if cursor.is_some() && error.reason == "invalid" => return Err(OLD.to_owned()),
                        Err(error) => {
                            tracing::warn!(plugin = name, %error, "a plugin does not say which resources it has");
                        }
                    }
                    list.next.is_none().then_some(None)
                }
            };
            if let Some(start) = of_hosts {
                // Of a hundred thousand hosts it takes some milliseconds to find those that somebody may see.
                let (of, revision) = (Arc::clone(resources), Arc::clone(&revision));
                let (principal, start) = (caller.principal.clone(), start.map(str::to_owned));
                let found = tokio::task::spawn_blocking(move || {
                    of.of_hosts(&revision.fleet, &principal, start.as_deref(), LISTED)
                });
                let found = found.await.unwrap_or_else(|error| {
                    // It is in the log.
                    drop(fault("resources of hosts were listed", error));
                    Some((Vec::new(), None))
                });
                let (hosts, next) = found.ok_or(OLD)?;
                list.add(resources, hosts.into_iter());
                list.next = next.map(|next| ListPlace::Hosts(Some(&next)).write(name));
            }
            if list.next.is_some() {
                break;
            }
        }
        Ok(list)
    }

    /// A page of what a plugin says that it has, counted as any call.
    async fn list_of(
        &self,
        resources: &Arc<Resources>,
        cursor: Option<&str>,
        caller: &Caller,
        context: CallContext,
    ) -> Result<ResourcePage, CallError> {
        let (begun, mut answering) = (Begun::now(caller), Answering::default());
        let listed = {
            let call = pin!(answering.resources(Arc::clone(resources)).list(context, cursor));
            self.drain.run(&begun.cancel, call).await
        };
        let (listed, reply) = match listed {
            Some(Ok((page, receipt))) => (Ok(page), Some(Reply { receipt, ..Reply::default() })),
            Some(Err(error)) => (Err(error.clone()), Some(Reply::from(error))),
            None => (Ok(ResourcePage::default()), None),
        };
        begun.end(&answering, reply);
        listed
    }

    /// Calls the tool of a plugin. A failure is an answer too.
    ///
    /// # Cancel safety
    /// As [`Router::answer`].
    pub async fn call_tool(&self, name: &str, arguments: Map<String, Value>, caller: Caller) -> Reply {
        let (begun, mut answering) = (Begun::now(&caller), Answering::default());
        let reply = match begun.admit(name) {
            Ok(_admitted) => {
                let call = pin!(call_tool_now(name, arguments, caller, &mut answering));
                self.drain.run(&begun.cancel, call).await
            }
            Err(over) => Some(*over),
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
    resources: Option<Arc<Resources>>,
    secrets: Secrets,
}

impl Begun {
    fn now(caller: &Caller) -> Self {
        let (tenant, principal) = (Arc::clone(&caller.tenant), caller.principal.clone());
        Self { at: Instant::now(), tenant, principal, cancel: caller.cancel.clone() }
    }

    /// Takes it, if its principal may have one more of this tool.
    ///
    /// # Errors
    /// What is answered instead.
    fn admit(&self, tool: &str) -> Result<Admitted, Box<Reply>> {
        let (revision, who) = (self.tenant.revision(), self.principal.name());
        let quota = revision.config().quotas.get(who);
        self.tenant.quotas().admit(who, tool, quota).map_err(|over| {
            let hint = match over.retry_after {
                Some(wait) => format!("ask again in {}", in_words(wait)),
                None => "ask again when one of them has ended".to_owned(),
            };
            Box::new(Reply::failure("busy", &over.message, Some(&hint), Receipt::default()))
        })
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
        self.tenant.quotas().charge(principal.name(), reply.receipt.remote_bytes);
        self.tenant.tally().take(&Ended { principal, plugin, tool, outcome, receipt: &reply.receipt });
        reply
    }
}

/// As people say it, rounded up.
fn in_words(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
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

    fn resources(&mut self, resources: Arc<Resources>) -> &Resources {
        self.resources.insert(resources)
    }

    fn plugin(&self) -> Option<&Plugin> {
        let of_resource = self.resources.as_deref().map(Resources::plugin);
        let of_tool = of_resource.or_else(|| self.tool.as_deref().map(Tool::plugin));
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

/// Reads a plugin's resource in a context of a caller's. A failure is an answer too.
///
/// # Cancel safety
/// As [`Router::answer`].
pub(crate) async fn read_in(
    context: CallContext,
    memory: Option<ClientMemory>,
    resources: &Resources,
    request: ResourceRequest,
    secrets: Secrets,
) -> Reply {
    let media_type = resources.template(&request.template).map(|template| template.media_type.clone());
    let reply = read(context, memory, resources, request, secrets).await.unwrap_or_else(Reply::from);
    let mut reply = reply.leaving(secrets);
    let is_json = media_type.as_deref().is_some_and(|of| of == JSON || of.starts_with("application/json;"));
    if is_json
        && !reply.is_error
        && let Some(structured) = &reply.structured
    {
        let text = match structured {
            Structured::Fields(fields) => serde_json::to_string(fields).unwrap_or_default(),
            Structured::Text(text) => text.clone(),
        };
        (reply.text, reply.raw) = (vec![Text::Said(text)], None);
    }
    reply.media_type = media_type;
    reply
}

/// What is read of it is the structured answer (RFC 8259).
const JSON: &str = "application/json";

async fn read(
    context: CallContext,
    memory: Option<ClientMemory>,
    resources: &Resources,
    request: ResourceRequest,
    secrets: Secrets,
) -> Result<Reply, CallError> {
    let (principal, call, limits) = (context.principal.clone(), context.call.clone(), Arc::clone(&context.limits));
    let expected = limits.file_bytes.max(2 * limits.output_bytes);
    let call_memory =
        CallMemory::wait(&call, memory, Expected::Bytes(Some(resources.plugin().id().as_str()), expected)).await?;
    let (answer, receipt) = resources.read(context, request).await?;
    let reserved = call_memory.reserve(&call, &answer).await?;
    // Bytes are read as they are where nothing is said beside them.
    let is_raw = matches!(answer.content.as_slice(), [Content::Bytes(_)]);
    let mut reply = resources.loaded().render(answer, (Base64::LeftOut, secrets), receipt, &principal, &call).await?;
    if !is_raw {
        reply.raw = None;
    }
    Ok(reserved.keep(reply))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_list_goes_on_is_read_as_it_is_written() {
        for (place, written) in [
            (ListPlace::Begin, "notes-1"),
            (ListPlace::Plugin("aB_-9"), "notes-1.aB_-9"),
            (ListPlace::Hosts(Some("web.1~x")), "notes-1~web.1~x"),
            (ListPlace::Plugin(""), "notes-1."),
            (ListPlace::Hosts(Some("")), "notes-1~"),
        ] {
            assert_eq!(place.write("notes-1"), written);
            let (name, read) = ListPlace::read(written);
            assert_eq!((name, read.write(name).as_str()), ("notes-1", written));
        }
    }
}
