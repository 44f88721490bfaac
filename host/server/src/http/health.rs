//! How this process is, and its numbers, for whatever supervises it: on a listener of its own, where nothing else is answered and nobody is asked who asks.

use std::convert::Infallible;
use std::sync::Arc;
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
use crate::metrics::{MEDIA_TYPE, Metrics};

/// Connections at once. One beyond that is closed.
const CONNECTIONS: usize = 64;
/// How long one may take, all its requests together.
const CONNECTION: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers `/health` as long as the process lives, `/ready` with 200 as long as it takes new calls, and `/metrics` with its numbers.
///
/// # Cancel safety
/// Dropping the future closes its connections.
pub(super) async fn serve(listener: Listener, closing: CancellationToken, metrics: Arc<Metrics>) {
    let (room, mut connections) = (Arc::new(Semaphore::new(CONNECTIONS)), JoinSet::new());
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
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (closing, metrics) = (closing.clone(), Arc::clone(&metrics));
        connections.spawn(async move {
            let _permit = permit;
            let served = async {
                match taken {
                    Taken::Tcp(stream, _) => connection(stream, closing, metrics).await,
                    Taken::Unix(stream, _) => connection(stream, closing, metrics).await,
                }
            };
            drop(tokio::time::timeout(CONNECTION, served).await);
        });
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    closing: CancellationToken,
    metrics: Arc<Metrics>,
) {
    let service = service_fn(|request| {
        let (is_closing, metrics) = (closing.is_cancelled(), Arc::clone(&metrics));
        async move { Ok::<_, Infallible>(answer(&request, is_closing, metrics).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(8 << 10)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection of the health listener ended early");
    }
}

async fn answer(request: &Request<Incoming>, is_closing: bool, metrics: Arc<Metrics>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return method_not_allowed("GET");
    }
    match (request.uri().path(), is_closing) {
        ("/health", _) => with(StatusCode::OK, TEXT, Bytes::from_static(b"alive\n")),
        ("/ready", false) => with(StatusCode::OK, TEXT, Bytes::from_static(b"ready\n")),
        ("/ready", true) => with(StatusCode::SERVICE_UNAVAILABLE, TEXT, Bytes::from_static(b"ending\n")),
        // Files are read for it.
        ("/metrics", _) => match tokio::task::spawn_blocking(move || metrics.page()).await {
            Ok(page) => with(StatusCode::OK, MEDIA_TYPE, page.into()),
            Err(_) => with(StatusCode::INTERNAL_SERVER_ERROR, TEXT, Bytes::from_static(b"the log says why\n")),
        },
        _ => with(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"there are /health, /ready and /metrics\n")),
    }
}
