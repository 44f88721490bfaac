//! The principals that ask now: what all requests of one hold together, and which of them can be cancelled by a message.
//!
//! Nothing is kept of a principal none of whose requests is under way and none of whose answers is unread.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::label::SessionId;
use crate::mcp::McpServer;
use crate::router::{Caller, Router};
use crate::tenant::Tenant;
use crate::transport::Answers;

/// Bytes that the requests of one principal may take together while they are under way.
const REQUESTS: usize = 64 << 20;

/// The id of a request as JSON has it: `1` is another one than `"1"`.
pub(super) type CallId = String;

/// What all requests of one principal share.
pub(super) struct Client {
    /// Of which each request has one of its own.
    pub(super) server: McpServer,
    /// Bytes of requests.
    pub(super) requests: Arc<Semaphore>,
    /// Those under way of sessions, by their session and id.
    calls: Mutex<HashMap<(SessionId, CallId), CancellationToken>>,
}

/// A request of a session while it is under way.
pub(super) struct UnderWay {
    client: Arc<Client>,
    call: (SessionId, CallId),
    /// Fires when it is cancelled by a message, or its session is ended.
    pub(super) cancelled: CancellationToken,
}

impl Client {
    /// A request of a session begins. None: one with the same id is under way.
    pub(super) fn begin(self: &Arc<Self>, session: SessionId, id: CallId) -> Option<UnderWay> {
        let mut calls = self.calls.lock();
        let call = (session, id);
        if calls.contains_key(&call) {
            return None;
        }
        let cancelled = CancellationToken::new();
        calls.insert(call.clone(), cancelled.clone());
        Some(UnderWay { client: Arc::clone(self), call, cancelled })
    }

    /// A stream of a session begins, which ends with the session.
    pub(super) fn stream(self: &Arc<Self>, session: SessionId) -> UnderWay {
        let mut calls = self.calls.lock();
        // No id of a request is written like this.
        let free = (0_u64..).map(|number| (session, format!("stream {number}"))).find(|call| !calls.contains_key(call));
        let call = free.unwrap_or_else(|| (session, "stream".to_owned()));
        let cancelled = CancellationToken::new();
        calls.insert(call.clone(), cancelled.clone());
        UnderWay { client: Arc::clone(self), call, cancelled }
    }

    /// Cancels a request, if it is under way.
    pub(super) fn cancel(&self, session: SessionId, id: CallId) {
        if let Some(call) = self.calls.lock().get(&(session, id)) {
            call.cancel();
        }
    }

    /// Cancels all requests of a session.
    pub(super) fn end(&self, session: SessionId) {
        for (_, call) in self.calls.lock().iter().filter(|((of, _), _)| *of == session) {
            call.cancel();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.client.calls.lock().remove(&self.call);
    }
}

/// Those that ask now.
pub(super) struct Clients {
    router: Arc<Router>,
    tenant: Arc<Tenant>,
    known: Mutex<HashMap<Arc<str>, Weak<Client>>>,
}

impl Clients {
    pub(super) fn new(router: Arc<Router>, tenant: Arc<Tenant>) -> Self {
        Self { router, tenant, known: Mutex::default() }
    }

    /// What this principal has.
    pub(super) fn of(&self, principal: &Arc<str>) -> Arc<Client> {
        let mut known = self.known.lock();
        if let Some(client) = known.get(principal).and_then(Weak::upgrade) {
            return client;
        }
        known.retain(|_, client| client.strong_count() > 0);
        let caller = Caller::alone(&self.tenant, principal, CancellationToken::new());
        let client = Arc::new(Client {
            server: McpServer::new(Arc::clone(&self.router), caller, Answers::default()),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            calls: Mutex::default(),
        });
        known.insert(Arc::clone(principal), Arc::downgrade(&client));
        client
    }
}
