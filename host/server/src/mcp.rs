//! MCP on top of the router: the tool `scout`, the tools of plugins, the resources.
//!
//! The only module that translates between rmcp's types and ours; rmcp speaks every revision from 2024-11-05 to
//! 2026-07-28 for it.

mod reporter;
mod scout_tool;
mod tool_list;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, ServerCapabilities,
    ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use scout_machine::Principal;
use scout_runtime::Receipt;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::held::Held;
use crate::render::{Base64, Missing, Reply};
use crate::router::{Caller, Router};
use crate::target::{HOSTS_URI, PATH_URI_TEMPLATE, Request};
use crate::transport::Answers;
use reporter::Reporter;
use scout_machine::visible;
use scout_tool::Mistake;
use tool_list::{Fingerprint, ToolList, ToolWatch};

/// The receipt's key in a result's `_meta`.
const RECEIPT: &str = "dev.scout/receipt";
/// Subscriptions that one client may hold at once.
const SUBSCRIPTIONS: usize = 16;
/// Requests of one client that may be under way at once: each takes some 16 KiB while it waits.
const REQUESTS: usize = 1024;
/// The longest URI of a resource, in bytes: the longest path of Linux with each of its bytes encoded, and a host.
const MAX_URI: usize = 16 << 10;

const INSTRUCTIONS: &str = "Scout looks at machines over SSH. Call the tool `scout` with target `hosts` to see what there is, `host:/path` \
to read a file or list a directory, and a `query` to run a command there. Large files are cut; the answer says how to read on.";

/// The MCP server: a handle that is cloned into every session.
#[derive(Clone)]
pub struct McpServer {
    router: Arc<Router>,
    principal: Principal,
    /// Counts the calls under way; closed when no new ones are taken.
    calls: TaskTracker,
    /// Fires when running calls are to be stopped.
    stop: CancellationToken,
    /// Fires when a client that shakes hands has done so; a client of 2026-07-28 never does.
    greeted: CancellationToken,
    subscriptions: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    held: Held,
    /// Where the room of finished answers goes.
    answers: Answers,
    /// The list of tools that the client was given last.
    listed: watch::Sender<Option<Fingerprint>>,
    tool: Arc<Tool>,
}

impl McpServer {
    /// A server for one client, which has a principal's rights.
    pub(crate) fn new(
        router: Arc<Router>,
        principal: Principal,
        calls: TaskTracker,
        stop: CancellationToken,
        answers: Answers,
    ) -> Self {
        Self {
            router,
            principal,
            calls,
            stop,
            greeted: CancellationToken::new(),
            subscriptions: Arc::new(Semaphore::new(SUBSCRIPTIONS)),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            held: Held::default(),
            answers,
            listed: watch::Sender::new(None),
            tool: Arc::new(scout_tool::tool()),
        }
    }

    /// Tells a client that has shaken hands of each change of the list of tools, until the client is gone. One of
    /// 2026-07-28 is told what it subscribes to, in [`ServerHandler::listen`].
    pub async fn tell_changes(self, client: Peer<RoleServer>) {
        self.greeted.cancelled().await;
        let mut watch = self.watch();
        loop {
            watch.changed().await;
            if client.notify_tool_list_changed().await.is_err() {
                return;
            }
        }
    }

    fn watch(&self) -> ToolWatch {
        ToolWatch::new(&self.tool, self.router.live().revisions(), self.listed.subscribe())
    }

    async fn answer(&self, request: Request, base64: Base64, context: &RequestContext<RoleServer>) -> Reply {
        self.run(context, |caller| self.router.answer(request, Caller { base64, ..caller })).await
    }

    /// Runs one call until its end, its cancellation, or the server's.
    async fn run<F: Future<Output = Reply>>(
        &self,
        context: &RequestContext<RoleServer>,
        begin: impl FnOnce(Caller) -> F,
    ) -> Reply {
        if self.calls.is_closed() {
            let why = "Scout is shutting down and takes no new calls";
            return Reply::failure("busy", why, None, Receipt::default());
        }
        let _permit = match self.admit() {
            Ok(permit) => permit,
            Err(why) => return Reply::failure("busy", &why, None, Receipt::default()),
        };
        let cancel = context.ct.child_token();
        let reporter = Reporter::start(context);
        let progress = reporter.as_ref().map(Reporter::progress);
        let held = Some(self.held.clone());
        let caller = Caller { progress, held, ..Caller::alone(self.principal.clone(), cancel.clone()) };
        let (tenant, principal) = (self.principal.tenant(), self.principal.name());
        let span = tracing::debug_span!("request", id = %context.id, %tenant, %principal);
        let answer = self.calls.track_future(begin(caller).instrument(span));
        tokio::pin!(answer);
        let reply = tokio::select! {
            reply = &mut answer => reply,
            () = self.stop.cancelled() => {
                cancel.cancel();
                // Cancelled, not dropped: the answer comes when remote work has been stopped.
                answer.await
            }
        };
        if let Some(reporter) = reporter {
            reporter.end().await;
        }
        reply
    }

    /// The answer to this request goes to the transport, and what is reserved for it goes with it.
    fn finish(&self, reply: &mut Reply, context: RequestContext<RoleServer>) {
        if let Some(room) = reply.room.take() {
            self.answers.finish(context.id, context.ct, room);
        }
    }

    /// Takes one more request of this client, until the permit is dropped.
    fn admit(&self) -> Result<SemaphorePermit<'_>, String> {
        self.requests.try_acquire().map_err(|_| {
            format!("busy: {REQUESTS} requests of yours are under way; ask again when some of them are answered, or cancel some")
        })
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().enable_resources().build();
        let mut implementation = Implementation::default();
        implementation.name = "scout".to_owned();
        implementation.title = Some("Scout".to_owned());
        implementation.version = env!("CARGO_PKG_VERSION").to_owned();
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(INSTRUCTIONS)
    }

    async fn on_initialized(&self, _context: NotificationContext<RoleServer>) {
        self.greeted.cancel();
    }

    fn accepted_subscription_filter(&self, _requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let Ok(_permit) = self.subscriptions.try_acquire() else {
            let message = format!("a client has at most {SUBSCRIPTIONS} subscriptions: cancel one that is not needed");
            return Err(ErrorData::invalid_request(message, None));
        };
        let mut watch = self.watch();
        loop {
            tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = self.stop.cancelled() => return Ok(()),
                () = watch.changed() => {}
            }
            if subscription.sink().notify_tool_list_changed().await.is_err() {
                return Ok(());
            }
        }
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let _permit = self.admit().map_err(|why| ErrorData::internal_error(why, None))?;
        let revision = self.router.revision();
        let deadline = self.router.deadline(&revision);
        tokio::select! {
            () = self.router.knows_tools(&revision, deadline) => {}
            () = context.ct.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
        let list = ToolList::of(&self.tool, &revision);
        let room = tokio::select! {
            biased;
            room = self.held.message(list.weight()) => room,
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("the request was cancelled", None)),
            () = self.stop.cancelled() => return Err(ErrorData::internal_error("Scout is shutting down", None)),
            () = tokio::time::sleep_until(deadline) => {
                let message = "answers to earlier requests of yours hold all the memory that they may: read them";
                return Err(ErrorData::internal_error(message, None));
            }
        };
        let page = list.page(request.and_then(|request| request.cursor).as_deref())?;
        self.listed.send_replace(Some(list.fingerprint()));
        self.answers.finish(context.id, context.ct, Arc::new(room));
        Ok(page)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        ToolList::of(&self.tool, &self.router.revision()).tool(name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = request.arguments.unwrap_or_default();
        let mut reply = if request.name == self.tool.name {
            match scout_tool::arguments(given) {
                Ok((request, base64)) => self.answer(request, base64, &context).await,
                Err(Mistake::WrongKind(why)) => {
                    return Err(ErrorData::invalid_params(visible(&why).into_owned(), None));
                }
                Err(Mistake::Senseless(why)) => Reply::failure("invalid", &why, None, Receipt::default()),
            }
        } else {
            self.run(&context, |caller| self.router.call_tool(&request.name, given, caller)).await
        };
        if reply.missing == Some(Missing::Tool) {
            let message = format!("{}; `tools/list` has all of them", reply.joined());
            return Err(ErrorData::invalid_params(message, None));
        }
        if reply.is_misasked {
            return Err(ErrorData::invalid_params(reply.joined(), None));
        }
        self.finish(&mut reply, context);
        Ok(CallToolResponse::Complete(call_result(reply)))
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let hosts = Resource::new(HOSTS_URI, "hosts")
            .with_title("Hosts")
            .with_description("The hosts, at most the first 200, and whether they answer");
        Ok(ListResourcesResult::with_all_items(vec![hosts.with_mime_type("text/plain")]))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let paths = ResourceTemplate::new(PATH_URI_TEMPLATE, "path").with_title("File or directory").with_description(
            "A file's content or a directory's listing; bytes that are not UTF-8 are percent-encoded; `~/` begins a path below the home directory",
        );
        Ok(ListResourceTemplatesResult::with_all_items(vec![paths]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        // The answer repeats it.
        if uri.len() > MAX_URI {
            return Err(ErrorData::resource_not_found(format!("the URI is longer than {MAX_URI} bytes"), None));
        }
        let wanted = Request::parse_uri(&uri)
            .map_err(|error| ErrorData::resource_not_found(visible(&error.to_string()).into_owned(), None))?;
        let mut reply = self.answer(wanted, Base64::LeftOut, &context).await;
        if reply.is_error {
            let (message, data) = (reply.joined(), Some(json!({"uri": visible(&uri)})));
            return Err(match reply.missing {
                Some(_) => ErrorData::resource_not_found(message, data),
                // It may well be there: whoever asks can ask again.
                None => ErrorData::internal_error(message, data),
            });
        }
        self.finish(&mut reply, context);
        Ok(ReadResourceResponse::Complete(ReadResourceResult::new(vec![contents(uri, &reply)])))
    }
}

fn call_result(reply: Reply) -> CallToolResult {
    let mut meta = MetaObject::new();
    meta.insert(RECEIPT.to_owned(), reply.receipt_json());
    let content = reply.text.into_iter().map(ContentBlock::text).collect();
    let mut result = if reply.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = reply.structured.map(Value::Object);
    result.with_meta(Some(meta))
}

/// A file's own bytes if they can be shown unchanged, else as base64; a listing as text.
fn contents(uri: String, reply: &Reply) -> ResourceContents {
    let Some(raw) = &reply.raw else { return ResourceContents::text(reply.joined(), uri) };
    match std::str::from_utf8(raw) {
        Ok(text) if matches!(visible(text), Cow::Borrowed(_)) => ResourceContents::text(text, uri),
        Ok(_) | Err(_) => ResourceContents::blob(BASE64_STANDARD.encode(raw), uri),
    }
}
