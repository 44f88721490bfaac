//! What tells a client that a long call goes on: the plugin's own reports, or else how long the call has taken while it waits
//! for a host. Knows neither plugins nor hosts.
//!
//! Invariants: what is passed on increases from report to report, as MCP asks, and a plugin that reports is not spoken over.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Takes reports of progress: done, total, message. Must not block.
pub type Progress = Arc<dyn Fn(f64, Option<f64>, Option<&str>) + Send + Sync>;

/// Reports of a plugin that come closer together are dropped.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often a wait is told.
const WAIT: Duration = Duration::from_secs(1);
/// The longest message, in bytes.
const MAX_MESSAGE: usize = 512;

/// The reports of one call.
pub(crate) struct Reports {
    begun: Instant,
    sent: Mutex<Sent>,
}

#[derive(Default)]
struct Sent {
    /// The last that was passed on, and when.
    last: Option<(f64, Instant)>,
    /// Whether the plugin reports by itself.
    by_plugin: bool,
}

impl Reports {
    /// Those of a call that begins now.
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), sent: Mutex::default() }
    }

    /// Passes on what a plugin reports, unless it comes too soon or does not increase.
    pub(crate) fn report(&self, progress: &Progress, done: f64, total: Option<f64>, message: Option<&str>) {
        // JSON has no other numbers, and a client counts upwards.
        let number = |value: f64| value.is_finite() && value >= 0.0;
        if !number(done) || !total.is_none_or(number) {
            return;
        }
        let mut sent = self.sent.lock();
        sent.by_plugin = true;
        if sent.last.is_none_or(|(last, at)| done > last && at.elapsed() >= INTERVAL) {
            sent.last = Some((done, Instant::now()));
            progress(done, total, message.and_then(|text| text.get(..text.floor_char_boundary(MAX_MESSAGE))));
        }
    }

    /// Waits for a host, and each second tells for how long, in seconds since the call began, until `ended`.
    ///
    /// # Cancel safety
    /// That of `work`.
    pub(crate) async fn while_waiting<T>(
        &self,
        progress: Option<&Progress>,
        host: &str,
        ended: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(progress) = progress else { return work.await };
        let mut work = std::pin::pin!(work);
        while let Some(due) = self.due() {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = ended.cancelled() => break,
                () = tokio::time::sleep_until(due) => self.tell_wait(progress, host),
            }
        }
        work.await
    }

    /// When a wait is told next; never if the plugin tells more.
    fn due(&self) -> Option<Instant> {
        let sent = self.sent.lock();
        (!sent.by_plugin).then(|| sent.last.map_or(self.begun, |(_, at)| at) + WAIT)
    }

    /// Tells it once, however many waits of the call are due together.
    fn tell_wait(&self, progress: &Progress, host: &str) {
        let mut sent = self.sent.lock();
        let due = !sent.by_plugin && sent.last.map_or(self.begun, |(_, at)| at).elapsed() >= WAIT;
        let tenths = (self.begun.elapsed().as_secs_f64() * 10.0).floor() / 10.0;
        if due && sent.last.is_none_or(|(last, _)| tenths > last) {
            sent.last = Some((tenths, Instant::now()));
            progress(tenths, None, Some(&format!("{} s, waiting for {host}", tenths.floor())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = Arc<Mutex<Vec<(f64, Option<f64>, Option<String>)>>>;

    fn sink() -> (Progress, Told) {
        let told = Told::default();
        let kept = Arc::clone(&told);
        let progress: Progress =
            Arc::new(move |done, total, message| kept.lock().push((done, total, message.map(str::to_owned))));
        (progress, told)
    }

    fn numbers(told: &Told) -> Vec<f64> {
        told.lock().iter().map(|(done, ..)| *done).collect()
    }

    async fn waited(reports: &Reports, progress: &Progress, milliseconds: u64) {
        let work = tokio::time::sleep(Duration::from_millis(milliseconds));
        reports.while_waiting(Some(progress), "web1", &CancellationToken::new(), work).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_told_each_second_and_short_ones_are_summed() {
        let (progress, told) = sink();
        let reports = Reports::new();
        waited(&reports, &progress, 999).await;
        assert!(numbers(&told).is_empty());
        waited(&reports, &progress, 2500).await;
        assert_eq!(numbers(&told), [1.0, 2.0, 3.0]);
        assert_eq!(told.lock().last(), Some(&(3.0, None, Some("3 s, waiting for web1".to_owned()))));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_several_hosts_at_once_are_told_as_one() {
        let (progress, told) = sink();
        let reports = Reports::new();
        let waits = (0..50).map(|_| waited(&reports, &progress, 3500));
        futures_util::future::join_all(waits).await;
        assert_eq!(numbers(&told), [1.0, 2.0, 3.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_reports_is_not_spoken_over_and_only_what_increases_is_passed_on() {
        let (progress, told) = sink();
        let reports = Reports::new();
        for (done, total) in [(0.0, Some(9.0)), (1.0, Some(9.0)), (f64::NAN, None), (2.0, Some(-1.0))] {
            reports.report(&progress, done, total, None);
        }
        // The second came too soon, the others are no numbers of progress.
        assert_eq!(numbers(&told), [0.0]);
        waited(&reports, &progress, 5000).await;
        for done in [0.0, 3.0, 2.0] {
            reports.report(&progress, done, None, Some(&"ü".repeat(1000)));
            tokio::time::advance(INTERVAL).await;
        }
        assert_eq!(numbers(&told), [0.0, 3.0]);
        assert!(told.lock().iter().all(|(.., message)| message.as_ref().is_none_or(|text| text.len() <= MAX_MESSAGE)));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_once_the_call_has_ended() {
        let (progress, told) = sink();
        let (reports, ended) = (Reports::new(), CancellationToken::new());
        let work = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            ended.cancel();
            tokio::time::sleep(Duration::from_secs(9)).await;
        };
        reports.while_waiting(Some(&progress), "web1", &ended, work).await;
        assert_eq!(numbers(&told), [1.0]);
    }
}
