//! The progress of a call, on its way to the client that asked for it.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use scout_runtime::Progress;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use scout_machine::visible;

use crate::exit::{Exit, Secrets};

/// Progress notifications that may wait for a slow client; later ones are dropped.
const PROGRESS_QUEUE: usize = 16;
/// How long an answer waits for the report in front of it to be written.
const REPORT_PATIENCE: Duration = Duration::from_secs(5);

/// Forwards a call's progress to the client, until the call has ended: no report follows the answer.
pub(super) struct Reporter {
    token: ProgressToken,
    reports: mpsc::Sender<ProgressNotificationParam>,
    ended: CancellationToken,
    forwarding: JoinHandle<()>,
}

impl Reporter {
    /// One for this request, if the client gave a token for it.
    pub(super) fn start(context: &RequestContext<RoleServer>) -> Option<Self> {
        let token = context.meta.get_progress_token()?;
        let (reports, mut waiting) = mpsc::channel::<ProgressNotificationParam>(PROGRESS_QUEUE);
        let (peer, ended) = (context.peer.clone(), CancellationToken::new());
        let stop = ended.clone();
        // Ends with the call: `end` is called, or this is dropped with it and so are all senders.
        let forwarding = tokio::spawn(async move {
            loop {
                let report = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    report = waiting.recv() => report,
                };
                let Some(report) = report else { return };
                // Waits until it is written: an answer that is sent meanwhile could overtake it.
                if peer.notify_progress(report).await.is_err() {
                    return;
                }
            }
        });
        Some(Self { token, reports, ended, forwarding })
    }

    pub(super) fn progress(&self, secrets: Secrets) -> Progress {
        let (token, reports) = (self.token.clone(), self.reports.clone());
        Arc::new(move |done, total, message: Option<&str>| {
            let mut report = ProgressNotificationParam::new(token.clone(), done);
            report.total = total;
            report.message = message.map(|message| visible(&Exit::new(secrets).text(message.to_owned())).into_owned());
            // A full queue drops the report: a later one says more.
            drop(reports.try_send(report));
        })
    }

    /// Waits for the report that is being written; those behind it are dropped. Not for ever: a client that does not read
    /// gets no answer either.
    pub(super) async fn end(mut self) {
        self.ended.cancel();
        if tokio::time::timeout(REPORT_PATIENCE, &mut self.forwarding).await.is_err() {
            self.forwarding.abort();
        }
    }
}
