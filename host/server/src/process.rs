//! The life of a process that serves, whatever it serves over: it follows its configuration, tells other processes how it is,
//! is told to end by a signal, lets calls end or stops them on their hosts, and says goodbye to hosts.
//!
//! Owns the order of the end. When it begins is told by a signal, or by a transport, which alone knows whether anybody still
//! waits for an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::live::Renewal;
use crate::status_file::StatusFile;
use crate::tenant::Tenant;

/// How long running calls may go on after SIGTERM, while there is a client.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long the commands of cancelled calls may take to be stopped on their hosts, while there is a client.
pub(crate) const STOPPING: Duration = Duration::from_secs(5);
/// How long telling hosts goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// A process that serves.
pub(crate) struct Process {
    tenant: Arc<Tenant>,
    _renewing: AbortOnDropHandle<()>,
    /// Without it Scout serves all the same.
    _status_file: Option<AbortOnDropHandle<()>>,
}

impl Process {
    /// Begins to follow the configuration and to tell other processes how this one is.
    pub(crate) fn begin(tenant: &Arc<Tenant>, renewal: Renewal) -> Self {
        let dir = tenant.revision().config().serving_dir();
        let status_file = StatusFile::new(&dir).inspect_err(
            |error| tracing::warn!(dir = %dir.display(), %error, "`scout plugin list` does not see this process"),
        );
        let keep = |file: StatusFile| AbortOnDropHandle::new(tokio::spawn(Arc::new(file).keep(Arc::clone(tenant))));
        Self {
            tenant: Arc::clone(tenant),
            _renewing: AbortOnDropHandle::new(tokio::spawn(renewal.run())),
            _status_file: status_file.ok().map(keep),
        }
    }

    /// Says goodbye to hosts, once no call runs any more.
    pub(crate) async fn end(self) {
        let quotas = Arc::clone(self.tenant.quotas());
        drop(tokio::time::timeout(GOODBYE, tokio::task::spawn_blocking(move || quotas.keep())).await);
        drop(tokio::time::timeout(GOODBYE, self.tenant.pool().shutdown()).await);
    }
}

/// The signals that tell a process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// A signal that cannot be caught.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    ///
    /// # Cancel safety
    /// Dropping the future loses none.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The end, as calls meet it: no new ones begin, and those that run are stopped. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain {
    /// Those under way; closed when no new ones are taken.
    calls: TaskTracker,
    /// Fires when the end begins.
    closing: CancellationToken,
    /// Fires when running calls are to be stopped.
    stop: CancellationToken,
}

impl Drain {
    /// Runs a call to its end. When calls are stopped it is cancelled, and ends when its remote work has been stopped.
    /// None: no new ones are taken.
    ///
    /// # Cancel safety
    /// That of `call`.
    pub(crate) async fn run<T>(
        &self,
        cancel: &CancellationToken,
        mut call: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        // Held before it is asked: an end that begins in between waits for it.
        let _under_way = self.hold();
        if self.calls.is_closed() {
            return None;
        }
        Some(tokio::select! {
            ended = &mut call => ended,
            () = self.stopped() => {
                cancel.cancel();
                call.await
            }
        })
    }

    /// Something that an end waits for as it does for a call, until it is dropped.
    pub(crate) fn hold(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Fires when the end begins: what only waits for news ends then, while calls still go on and are taken.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Waits until running calls are to be stopped.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Takes no new calls, and waits for those that run until `grace` is over; then stops them, and waits no longer than
    /// `patience` tells then.
    ///
    /// # Cancel safety
    /// Nothing is taken back.
    pub(crate) async fn end(&self, grace: impl Future<Output = ()>, patience: impl FnOnce() -> Duration) {
        tracing::info!("ending: no new calls");
        self.closing.cancel();
        self.calls.close();
        tokio::select! {
            biased;
            () = self.calls.wait() => {}
            () = grace => {
                tracing::info!(calls = self.calls.len(), "stopping the calls that still run");
                self.stop(patience()).await;
            }
        }
    }

    /// Takes no new calls, stops those that run, and waits for their end no longer than this.
    ///
    /// # Cancel safety
    /// Nothing is taken back.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.closing.cancel();
        self.stop.cancel();
        self.calls.close();
        drop(tokio::time::timeout(patience, self.calls.wait()).await);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_ends_within_the_grace_ends_the_draining_and_none_begins_after() {
        let (drain, cancel, go) = (Drain::default(), CancellationToken::new(), CancellationToken::new());
        let waits = std::pin::pin!(go.cancelled());
        let call = drain.run(&cancel, waits);
        let mut ending = Box::pin(drain.end(tokio::time::sleep(MINUTE), || MINUTE));
        let mut call = Box::pin(call);
        assert!(call.as_mut().now_or_never().is_none() && ending.as_mut().now_or_never().is_none());
        assert_eq!(drain.run(&cancel, Pin::new(&mut std::future::ready(()))).await, None);
        go.cancel();
        assert_eq!((call.await, ending.await), (Some(()), ()));
        assert!(!cancel.is_cancelled() && drain.stopped().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_goes_on_is_cancelled_after_the_grace_and_waited_for_until_patience_ends() {
        for stops in [true, false] {
            let (drain, cancel) = (Drain::default(), CancellationToken::new());
            let stopped = cancel.clone();
            let call = std::pin::pin!(async move {
                stopped.cancelled().await;
                if !stops {
                    std::future::pending::<()>().await;
                }
            });
            let mut call = Box::pin(drain.run(&cancel, call));
            assert!(call.as_mut().now_or_never().is_none());
            let begun = tokio::time::Instant::now();
            let ending = drain.end(tokio::time::sleep(MINUTE), || MINUTE);
            tokio::select! {
                biased;
                () = ending => {}
                // It is polled as its own task would be; the draining ends with it or without it.
                _ = async { call.as_mut().await; std::future::pending::<()>().await } => {}
            }
            assert!(cancel.is_cancelled());
            assert_eq!(begun.elapsed(), if stops { MINUTE } else { 2 * MINUTE });
        }
    }
}
