//! One client: whose its requests are, what it was told, what it has under way and what that may hold.
//!
//! Owns the bounds of one client, and that each of its requests has a caller of its own. Knows of the protocol what a request
//! carries, and not what it asks for.

use std::any::Any;
use std::sync::Arc;

use rmcp::model::{ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, Tool};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer};
use scout_runtime::{Completion, Receipt, Subject, fault};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tracing::Instrument as _;

use super::changes::{ClientState, ListKind, ListWatch};
use super::progress::Reporter;
use super::tool_list::ToolList;
use super::{resource_list, scout_tool};
use crate::client_memory::ClientMemory;
use crate::render::{Base64, Reply};
use crate::router::{Caller, Router, deadline};
use crate::target::Request;
use crate::transport::Answers;

/// Subscriptions that one client may hold at once.
const SUBSCRIPTIONS: usize = 16;
/// Requests of one client that may be under way at once: each takes some 16 KiB while it waits.
const REQUESTS: usize = 1024;

fn too_many_subscriptions() -> String {
    format!("a client has at most {SUBSCRIPTIONS} subscriptions: cancel one that is not needed")
}

/// What becomes of the lists, for a client that hears of it without having asked.
pub(crate) struct Changes {
    tools: ListWatch,
    resources: ListWatch,
    _permit: OwnedSemaphorePermit,
}

impl Changes {
    /// The next change, as a message.
    ///
    /// # Cancel safety
    /// None is lost.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            () = self.tools.changed() => r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            () = self.resources.changed() => r#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}"#,
        }
    }
}

/// What Scout has of one client. Clones share it.
#[derive(Clone)]
pub(super) struct Session {
    router: Arc<Router>,
    /// On whose behalf it asks.
    caller: Caller,
    subscriptions: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    memory: ClientMemory,
    /// Where the room of finished answers goes.
    answers: Answers,
    state: ClientState,
    _client: Option<Arc<dyn Any + Send + Sync>>,
}

impl Session {
    pub(super) fn new(router: Arc<Router>, caller: Caller, answers: Answers) -> Self {
        Self {
            router,
            caller,
            subscriptions: Arc::new(Semaphore::new(SUBSCRIPTIONS)),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            memory: ClientMemory::default(),
            answers,
            state: ClientState::default(),
            _client: None,
        }
    }

    /// The same client for one request that comes on its own: what the client holds is shared, what it was told is nobody's, and the
    /// room of the answer goes there. As long as it runs, `client` is there, whoever still waits for it.
    pub(super) fn of_request(&self, answers: Answers, client: Arc<dyn Any + Send + Sync>) -> Self {
        Self { answers, state: ClientState::default(), _client: Some(client), ..self.clone() }
    }

    /// The changes of the lists from now on.
    ///
    /// # Errors
    /// That the client has as many subscriptions as it may.
    pub(super) fn changes(&self) -> Result<Changes, String> {
        let permit = Arc::clone(&self.subscriptions).try_acquire_owned().map_err(|_| too_many_subscriptions())?;
        let (tools, resources) = (self.watch(ListKind::Tools), self.watch(ListKind::Resources));
        Ok(Changes { tools, resources, _permit: permit })
    }

    /// The client has shaken hands.
    pub(super) fn greet(&self) {
        self.state.greet();
    }

    /// Tells a client that has shaken hands of each change of the lists of tools and of resources, until the client is gone.
    pub(super) async fn tell_changes(self, client: Peer<RoleServer>) {
        self.state.greeted().await;
        let (mut tools, mut resources) = (self.watch(ListKind::Tools), self.watch(ListKind::Resources));
        loop {
            let told = tokio::select! {
                () = tools.changed() => client.notify_tool_list_changed().await,
                () = resources.changed() => client.notify_resource_list_changed().await,
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Tells of each change of the lists that are subscribed to, until the subscription ends.
    ///
    /// # Errors
    /// That the client has as many subscriptions as it may.
    pub(super) async fn subscribed(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let Ok(_permit) = self.subscriptions.try_acquire() else {
            return Err(ErrorData::invalid_request(too_many_subscriptions(), None));
        };
        let (mut tools, mut resources) = (self.watch(ListKind::Tools), self.watch(ListKind::Resources));
        let accepted = subscription.sink().accepted();
        let wants_tools = accepted.tools_list_changed == Some(true);
        let wants_resources = accepted.resources_list_changed == Some(true);
        loop {
            let sink = subscription.sink();
            let told = tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = self.router.drain().closing().cancelled() => return Ok(()),
                () = tools.changed(), if wants_tools => sink.notify_tool_list_changed().await,
                () = resources.changed(), if wants_resources => sink.notify_resource_list_changed().await,
            };
            if told.is_err() {
                return Ok(());
            }
        }
    }

    fn watch(&self, kind: ListKind) -> ListWatch {
        self.state.watch(kind, self.caller.tenant().live().revisions())
    }

    /// Whether this is the name of the tool that every Scout has.
    pub(super) fn is_scout(&self, tool: &str) -> bool {
        tool == scout_tool::NAME
    }

    /// The tool of this name, as the client is shown it.
    pub(super) fn tool(&self, name: &str) -> Option<Tool> {
        ToolList::of(&self.caller.tenant().revision()).tool(name)
    }

    /// A page of the list of tools, which the client knows then.
    ///
    /// # Errors
    /// What the client is told instead.
    pub(super) async fn tools(
        &self,
        cursor: Option<&str>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let _permit = self.admit().map_err(|why| ErrorData::internal_error(why, None))?;
        let revision = self.caller.tenant().revision();
        let deadline = deadline(&revision);
        tokio::select! {
            () = revision.plugins.known(deadline) => {}
            () = context.ct.cancelled() => {}
            () = self.router.drain().stopped() => {}
        }
        let list = ToolList::of(&revision);
        let room = tokio::select! {
            biased;
            room = self.memory.message(list.weight()) => room,
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("the request was cancelled", None)),
            () = self.router.drain().stopped() => return Err(ErrorData::internal_error("Scout is shutting down", None)),
            () = tokio::time::sleep_until(deadline) => {
                let message = "the answers to your earlier requests hold all the memory that they may: read them";
                return Err(ErrorData::internal_error(message, None));
            }
        };
        let page = list.page(cursor)?;
        self.state.lists(ListKind::Tools, list.fingerprint());
        self.answers.finish(context.id, context.ct, Arc::new(room));
        Ok(page)
    }

    /// A page of the resources that there are now, which the client knows then.
    ///
    /// # Errors
    /// What the client is told instead.
    pub(super) async fn resources(
        &self,
        cursor: Option<&str>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let _permit = self.admit().map_err(|why| ErrorData::internal_error(why, None))?;
        let revision = self.caller.tenant().revision();
        revision.plugins.need();
        let deadline = deadline(&revision);
        drop(revision);
        let _under_way = self.router.drain().hold();
        let caller = self.caller.asking(context.ct.child_token(), None, self.memory.clone());
        let listing = async {
            let mut room = self.memory.message(resource_list::PAGE_BYTES).await;
            let listed = self.router.resources(cursor, caller).await;
            let mut list = listed.map_err(|why| ErrorData::invalid_params(why, None))?;
            let (next, of) = (list.next.take(), list.of.take());
            let (page, weight) = resource_list::page(list, cursor.is_none());
            room.shrink_to(weight);
            Ok((page, next, of, room))
        };
        let (page, next, of, room) = tokio::select! {
            biased;
            listed = listing => listed?,
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("the request was cancelled", None)),
            () = self.router.drain().stopped() => return Err(ErrorData::internal_error("Scout is shutting down", None)),
            () = tokio::time::sleep_until(deadline) => {
                let message = "the resources were not listed in time, or your earlier requests hold all the memory that they \
                               may: read the answers to them, and ask again";
                return Err(ErrorData::internal_error(message, None));
            }
        };
        if let Some((catalog, revision)) = of {
            self.state.lists(ListKind::Resources, resource_list::fingerprint(&catalog, revision));
        }
        self.answers.finish(context.id, context.ct, Arc::new(room));
        let mut page = ListResourcesResult::with_all_items(page);
        page.next_cursor = next;
        Ok(page)
    }

    /// A page of the templates of resources, which the client knows then.
    ///
    /// # Errors
    /// What the client is told instead.
    pub(super) async fn templates(
        &self,
        cursor: Option<&str>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let _permit = self.admit().map_err(|why| ErrorData::internal_error(why, None))?;
        let revision = self.caller.tenant().revision();
        revision.plugins.need();
        let catalog = tokio::select! {
            catalog = revision.plugins.with_resources(deadline(&revision)) => catalog,
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("the request was cancelled", None)),
            () = self.router.drain().stopped() => return Err(ErrorData::internal_error("Scout is shutting down", None)),
        };
        let page = resource_list::templates(&catalog, cursor)?;
        self.state.lists(ListKind::Resources, resource_list::fingerprint(&catalog, revision.number));
        Ok(page)
    }

    /// Hosts whose names begin so, as the target `hosts` would list them.
    ///
    /// # Errors
    /// Too much is under way.
    pub(super) async fn complete(&self, beginning: String, most: usize) -> Result<Completion, ErrorData> {
        let _permit = self.admit().map_err(|why| ErrorData::internal_error(why, None))?;
        let (revision, principal) = (self.caller.tenant().revision(), self.caller.principal().clone());
        // A hundred thousand names take some milliseconds to be put in order, the first time.
        let found = tokio::task::spawn_blocking(move || {
            revision.fleet.complete(&principal, Subject::Hosts.name(), &beginning, most)
        });
        found.await.map_err(|error| ErrorData::internal_error(fault("hosts were completed", error), None))
    }

    /// Answers a request for a target.
    pub(super) async fn answer(&self, request: Request, base64: Base64, context: &RequestContext<RoleServer>) -> Reply {
        self.run(context, |caller| self.router.answer(request, caller.wanting(base64))).await
    }

    /// Reads a resource.
    pub(super) async fn read(&self, uri: &str, context: &RequestContext<RoleServer>) -> Reply {
        self.run(context, |caller| self.router.read(uri, caller)).await
    }

    /// Calls the tool of a plugin.
    pub(super) async fn call_tool(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Reply {
        self.run(context, |caller| self.router.call_tool(name, arguments, caller)).await
    }

    /// Runs one call until its end, its cancellation, or the process's.
    async fn run<F: Future<Output = Reply>>(
        &self,
        context: &RequestContext<RoleServer>,
        begin: impl FnOnce(Caller) -> F,
    ) -> Reply {
        let _permit = match self.admit() {
            Ok(permit) => permit,
            Err(why) => return Reply::failure("busy", &why, None, Receipt::default()),
        };
        // What answers is loaded while its host is dialled.
        let revision = self.caller.tenant().revision();
        revision.plugins.need();
        let secrets = revision.config().redact.into();
        drop(revision);
        // The process waits for the last report, too.
        let _under_way = self.router.drain().hold();
        let reporter = Reporter::start(context);
        let progress = reporter.as_ref().map(|reporter| reporter.progress(secrets));
        let caller = self.caller.asking(context.ct.child_token(), progress, self.memory.clone());
        let (tenant, principal) = (caller.principal().tenant(), caller.principal().name());
        let span = tracing::debug_span!("request", id = %context.id, %tenant, %principal);
        let reply = begin(caller).instrument(span).await;
        if let Some(reporter) = reporter {
            reporter.end().await;
        }
        reply
    }

    /// The answer to this request goes to the transport, and what is reserved for it goes with it.
    pub(super) fn finish(&self, reply: &mut Reply, context: RequestContext<RoleServer>) {
        if let Some(room) = reply.room.take() {
            self.answers.finish(context.id, context.ct, room);
        }
    }

    /// Takes one more request of this client, until the permit is dropped.
    fn admit(&self) -> Result<SemaphorePermit<'_>, String> {
        self.requests.try_acquire().map_err(|_| {
            format!("busy: {REQUESTS} of your requests are under way; ask again when some of them are answered, or cancel some")
        })
    }
}
