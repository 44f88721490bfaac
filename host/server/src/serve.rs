//! `scout serve`: MCP over stdin and stdout until the client leaves, a script has its answers, or the process is told to end.

use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::live::Renewal;
use crate::mcp::McpServer;
use crate::process::{Drain, GRACE, Process, STOPPING, Signals};
use crate::router::{Caller, Router};
use crate::transport::{ClientTransport, Ends, Signs};

/// How long calls may go on whose client has left. Client libraries send SIGTERM two seconds after they have closed stdin,
/// and SIGKILL two seconds after that: all that follows here fits before the first of them.
const LEAVING: Duration = Duration::from_millis(100);
/// How long their commands may take to be stopped: a round trip or two, and up to a third of a second that a process has
/// between TERM and KILL.
const STOPPING_BRIEFLY: Duration = Duration::from_millis(900);
/// How long the last answers may take to be written to a client that has left.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// Serves one client over stdin and stdout; each of its requests is this caller's. Returns
/// - when stdin has ended and a client has left that was in a dialogue: calls that still run are stopped on their hosts, and
///   it takes less than a second and a half in all;
/// - when stdin has ended and a script has all its answers;
/// - after SIGTERM or SIGINT, once running calls have ended or been stopped: at most 15 s later, and as soon as for a client
///   that has left if stdin has ended.
///
/// # Errors
/// A handshake that fails, and signals that cannot be caught.
pub async fn stdio(router: Arc<Router>, caller: Caller, renewal: Renewal) -> io::Result<()> {
    let process = Process::begin(caller.tenant(), renewal);
    let ending = Ending { drain: router.drain().clone(), ends: Ends::default(), over: CancellationToken::new() };
    let call_timeout = caller.tenant().revision().call_timeout;
    let ended = AbortOnDropHandle::new(tokio::spawn(ending.clone().run(Signals::catch()?, call_timeout)));
    let (stdin, stdout) = rmcp::transport::stdio_pipes();
    let transport = ClientTransport::new(stdin, stdout, signs(), ending.ends.clone());
    let server = McpServer::new(router, caller, transport.answers());
    let served = async {
        match server.clone().serve(transport).await {
            Ok(running) => {
                let _telling = AbortOnDropHandle::new(tokio::spawn(server.tell_changes(running.peer().clone())));
                running.waiting().await.map(drop).map_err(io::Error::other)
            }
            // A client that leaves before it has said anything is no failure.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    };
    let served = tokio::select! {
        served = served => {
            // Nobody can hear an answer any more: what still runs is stopped on its host.
            ending.drain.stop(if ending.ends.left.is_cancelled() { STOPPING_BRIEFLY } else { STOPPING }).await;
            served
        }
        () = ending.over.cancelled() => Ok(()),
    };
    drop(ended);
    process.end().await;
    served
}

/// How serving one client comes to its end.
#[derive(Clone)]
struct Ending {
    drain: Drain,
    ends: Ends,
    /// Fires when nothing is waited for any more.
    over: CancellationToken,
}

impl Ending {
    async fn run(self, mut signals: Signals, call_timeout: Duration) {
        let Self { drain, ends, over } = self;
        // A script that does not read its answers.
        let script_is_late = async {
            ends.input_ended.cancelled().await;
            tokio::time::sleep(call_timeout + GRACE).await;
        };
        let may_go_on = tokio::select! {
            () = signals.any() => GRACE,
            () = ends.left.cancelled() => LEAVING,
            () = script_is_late => LEAVING,
        };
        let grace = async {
            tokio::select! {
                () = tokio::time::sleep(may_go_on) => {}
                // Told to end, by a client that has closed its end: it waits for nothing but the end.
                () = ends.input_ended.cancelled(), if may_go_on > LEAVING => {}
            }
        };
        drain.end(grace, || if ends.input_ended.is_cancelled() { STOPPING_BRIEFLY } else { STOPPING }).await;
        ends.hang_up.cancel();
        if ends.input_ended.is_cancelled() {
            tokio::time::sleep(LAST_ANSWERS).await;
            over.cancel();
        }
    }
}

/// What stdin tells of the client beside its bytes.
fn signs() -> Signs {
    Signs {
        hung_up: hung_up(),
        is_idle: Box::new(|| rustix::io::ioctl_fionread(io::stdin()).is_ok_and(|bytes| bytes == 0)),
    }
}

/// Fires when whoever writes stdin has closed it, however much of it is still to be read. Not told of a file, which is read
/// to its end at once.
fn hung_up() -> Pin<Box<dyn Future<Output = ()> + Send>> {
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
