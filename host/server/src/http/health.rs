//! How this process is, for whatever supervises it: on a listener of its own, where nothing else is answered and nobody is asked who asks.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::address::{Listener, Taken};
use super::answers::{Answer, method_not_allowed, with};

/// Connections at once. One beyond that is closed.
const CONNECTIONS: usize = 64;
/// How long one may take, all its requests together.
const CONNECTION: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers `/health` as long as the process lives, and `/ready` with 200 as long as it takes new calls.
///
/// # Cancel safety
/// Dropping the future closes its connections.
pub(super) async fn serve(listener: Listener, closing: CancellationToken) {
    let (room, mut connections) = (Semaphore::new(CONNECTIONS), JoinSet::new());
    let room = std::sync::Arc::new(room);
    loop {
        while connections.try_join_next().is_some() {}
        let taken = match listener.accept().await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken for now");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = std::sync::Arc::clone(&room).try_acquire_owned() else { continue };
        let closing = closing.clone();
        connections.spawn(async move {
            let _permit = permit;
            let served = async {
                match taken {
                    Taken::Tcp(stream, _) => connection(stream, closing).await,
                    Taken::Unix(stream, _) => connection(stream, closing).await,
                }
            };
            drop(tokio::time::timeout(CONNECTION, served).await);
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, closing: CancellationToken) {
    let service = service_fn(|request| {
        let answer = answer(&request, closing.is_cancelled());
        async { Ok::<_, Infallible>(answer) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(8 << 10)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection of the health listener ended early");
    }
}

fn answer(request: &Request<Incoming>, is_closing: bool) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return method_not_allowed("GET");
    }
    match (request.uri().path(), is_closing) {
        ("/health", _) => with(StatusCode::OK, TEXT, Bytes::from_static(b"alive\n")),
        ("/ready", false) => with(StatusCode::OK, TEXT, Bytes::from_static(b"ready\n")),
        ("/ready", true) => with(StatusCode::SERVICE_UNAVAILABLE, TEXT, Bytes::from_static(b"ending\n")),
        _ => with(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"there are /health and /ready\n")),
    }
}
