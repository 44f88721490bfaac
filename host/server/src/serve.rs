//! `scout serve`: MCP over stdin and stdout until the client hangs up or the process is told to end.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::transport::async_rw::AsyncRwTransport;
use scout_ssh::Principal;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::live::Renewal;
use crate::mcp::McpServer;
use crate::router::Router;
use crate::serving::Notice;
use crate::unread::Attentive;

/// How long running calls may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How long the commands of cancelled calls may take to be stopped on their hosts.
const STOPPING: Duration = Duration::from_secs(5);

/// Serves one client over stdin and stdout. Returns when stdin has ended, or after SIGTERM or SIGINT once running
/// calls have ended or been stopped, at most 15 s later.
///
/// # Errors
/// A handshake that fails, and signals that cannot be caught.
pub async fn stdio(router: Arc<Router>, renewal: Renewal, principal: Principal) -> io::Result<()> {
    let _renewing = AbortOnDropHandle::new(tokio::spawn(renewal.run()));
    let notice = notice(&router.revision().config().serving_dir());
    let _noticing =
        notice.clone().map(|notice| AbortOnDropHandle::new(tokio::spawn(notice.keep(Arc::clone(router.live())))));
    let calls = TaskTracker::new();
    let (stop, hang_up) = (CancellationToken::new(), CancellationToken::new());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ending = {
        let (calls, stop, hang_up) = (calls.clone(), stop.clone(), hang_up.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("told to end: no new calls");
            calls.close();
            if tokio::time::timeout(GRACE, calls.wait()).await.is_err() {
                tracing::warn!(calls = calls.len(), "stopping the calls that still run");
                stop.cancel();
                drop(tokio::time::timeout(STOPPING, calls.wait()).await);
            }
            hang_up.cancel();
        })
    };
    let (stdin, stdout) = rmcp::transport::stdio_pipes();
    let transport = Attentive::new(AsyncRwTransport::new_server(stdin, stdout), hang_up);
    let server = McpServer::new(Arc::clone(&router), principal, calls.clone(), stop.clone());
    let served = match server.clone().serve(transport).await {
        Ok(running) => {
            let _telling = AbortOnDropHandle::new(tokio::spawn(server.tell_changes(running.peer().clone())));
            running.waiting().await.map(drop).map_err(io::Error::other)
        }
        // A client that leaves before it has said anything is no failure.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    };
    // Nobody can hear an answer any more: what still runs is stopped on its host.
    ending.abort();
    stop.cancel();
    calls.close();
    drop(tokio::time::timeout(STOPPING, calls.wait()).await);
    router.fleet().pool().shutdown().await;
    served
}

/// Where other processes find how this one is. Without it Scout serves all the same.
fn notice(dir: &Path) -> Option<Arc<Notice>> {
    Notice::new(dir)
        .inspect_err(
            |error| tracing::warn!(dir = %dir.display(), %error, "`scout plugin list` does not see this process"),
        )
        .ok()
        .map(Arc::new)
}
