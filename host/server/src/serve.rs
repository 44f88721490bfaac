//! `scout serve`: MCP over stdin and stdout until the client hangs up or the process is told to end.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use scout_ssh::Principal;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::live::Renewal;
use crate::mcp::McpServer;
use crate::router::Router;
use crate::serving::Notice;
use crate::transport::{ClientTransport, Ends, HungUp};

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
    let (stop, ends) = (CancellationToken::new(), Ends::default());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ending = {
        let (calls, stop, ends) = (calls.clone(), stop.clone(), ends.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("told to end: no new calls");
            calls.close();
            let may_go_on = async {
                tokio::select! {
                    () = tokio::time::sleep(GRACE) => {}
                    // A client that has closed its end, too, waits for nothing but the end.
                    () = ends.input_ended.cancelled() => {}
                }
            };
            tokio::select! {
                biased;
                () = calls.wait() => {}
                () = may_go_on => {
                    tracing::warn!(calls = calls.len(), "stopping the calls that still run");
                    stop.cancel();
                    drop(tokio::time::timeout(STOPPING, calls.wait()).await);
                }
            }
            ends.hang_up.cancel();
        })
    };
    let (stdin, stdout) = rmcp::transport::stdio_pipes();
    let transport = ClientTransport::new(stdin, stdout, hung_up(), ends);
    let server = McpServer::new(Arc::clone(&router), principal, calls.clone(), stop.clone(), transport.answers());
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

/// Fires when whoever writes stdin has closed it, however much of it is still to be read. Not told of a file, which is read
/// to its end at once.
fn hung_up() -> HungUp {
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    // A socket, too: it is never read here, only looked at.
    let stdin = stdin.and_then(pipe::Receiver::from_owned_fd_unchecked);
    Box::pin(async move {
        if let Ok(stdin) = stdin
            // Nothing that can be read makes it writable. That it is closed does: a hang-up ends both directions.
            && stdin.ready(Interest::WRITABLE).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    })
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
