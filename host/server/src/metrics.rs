//! The numbers of a process in the words of Prometheus, for whoever watches it.
//!
//! Owns their names and labels. Nothing is counted here but what happens at the door of HTTP: each page tells what the counters of others
//! say at that moment. What is told apart is what an operator has named, plugins, tools and keys of `scout.toml`; never a host or who
//! asked, of which there may be any number.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::tally::{CallCounts, WALL_MS};
use crate::tenant::Tenant;

/// What a page is.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What happens at the door of HTTP.
#[derive(Debug, Default)]
pub(crate) struct HttpCounts {
    /// Connections that are there.
    connections: AtomicU64,
    /// Connections that were closed at once.
    refused_connections: AtomicU64,
    /// Requests whose credentials were none.
    failed_logins: AtomicU64,
    /// Answers, by the first digit of their status.
    answers: [AtomicU64; 5],
}

/// A connection while it is counted.
#[derive(Debug)]
pub(crate) struct CountedConnection(Arc<HttpCounts>);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpCounts {
    pub(crate) fn connection(self: &Arc<Self>) -> CountedConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        CountedConnection(Arc::clone(self))
    }

    pub(crate) fn refused_connection(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed_login(&self) {
        self.failed_logins.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer of this status has begun.
    pub(crate) fn answer(&self, status: u16) {
        if let Some(count) = usize::from(status / 100).checked_sub(1).and_then(|class| self.answers.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// All numbers of a process that serves.
#[derive(Debug)]
pub(crate) struct Metrics(Registry);

impl Metrics {
    /// Those of a tenant, and of HTTP.
    pub(crate) fn new(tenant: &Arc<Tenant>, http: &Arc<HttpCounts>) -> Self {
        let mut registry = Registry::default();
        let now = Now { tenant: Arc::clone(tenant), http: Arc::clone(http), since: Timestamp::now() };
        registry.register_collector(Box::new(now));
        Self(registry)
    }

    /// A page of them. Reads files of `/proc`.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _written = text::encode(&mut page, &self.0);
        page
    }
}

/// What is read when a page is asked for.
struct Now {
    tenant: Arc<Tenant>,
    http: Arc<HttpCounts>,
    since: Timestamp,
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Now").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Collector for Now {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let version = (vec![("version", env!("CARGO_PKG_VERSION"))], 1.0);
        page.gauges(("scout_build_info", None, "Which Scout it is"), [version])?;
        let revision = whole(self.tenant.revision().number);
        page.gauges(("scout_revision", None, "How many configurations have served, this one included"), [revision])?;
        page.calls(&self.tenant.tally().counts())?;
        let refused = self.tenant.quotas().refused();
        page.counters(
            ("scout_over_quota", None, "Calls that were not taken, by the key of [access.NAME] that limits them"),
            refused.map(|(key, count)| (vec![("limit", key)], float(count))),
        )?;
        page.pool(&self.tenant)?;
        page.http(&self.http)?;
        page.process(self.since)
    }
}

/// Labels with their values.
type Labels<'a> = Vec<(&'static str, &'a str)>;
/// The name of a family without its unit and its `_total`, the unit, and what it is.
type Family<'a> = (&'a str, Option<Unit>, &'a str);

/// Writes families of numbers.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn counters<'a>(
        &mut self,
        (name, unit, help): Family<'_>,
        values: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges<'a>(
        &mut self,
        (name, unit, help): Family<'_>,
        values: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn calls(&mut self, all: &[CallCounts]) -> fmt::Result {
        let outcomes = all.iter().flat_map(|counts| {
            counts.outcomes.iter().map(|(outcome, calls)| {
                let mut labels = labels(counts);
                labels.push(("outcome", outcome.name()));
                (labels, float(*calls))
            })
        });
        self.counters(("scout_calls", None, "Calls that have ended, by what became of them"), outcomes)?;
        self.took(all)?;
        let each = |value: fn(&CallCounts) -> f64| all.iter().map(move |counts| (labels(counts), value(counts)));
        let cpu = each(|counts| float(counts.cpu_us) / 1e6);
        self.counters(("scout_plugin_cpu", Some(Unit::Seconds), "CPU that plugins used"), cpu)?;
        let round_trips = each(|counts| float(counts.round_trips));
        self.counters(("scout_round_trips", None, "Waits for hosts that followed one upon another"), round_trips)?;
        let bytes = each(|counts| float(counts.remote_bytes));
        self.counters(("scout_remote", Some(Unit::Bytes), "Payload that hosts have sent"), bytes)?;
        let commands = each(|counts| float(counts.execs));
        self.counters(("scout_commands", None, "Commands that were started"), commands)?;
        let by_shells = each(|counts| float(counts.shell_execs));
        self.counters(("scout_shell_commands", None, "Commands that a shell ran that stays"), by_shells)
    }

    fn took(&mut self, all: &[CallCounts]) -> fmt::Result {
        let (help, unit) = ("How long calls took", Unit::Seconds);
        let mut family = self.0.encode_descriptor("scout_call", help, Some(&unit), MetricType::Histogram)?;
        for counts in all {
            let of = |end: Option<u64>| {
                let class = counts.wall_ms.iter().find(|(of, _)| *of == end);
                class.map_or(0, |(_, calls)| *calls)
            };
            let ends = WALL_MS.iter().map(|end| (float(*end) / 1e3, of(Some(*end))));
            let buckets: Vec<_> = ends.chain([(f64::INFINITY, of(None))]).collect();
            let count = buckets.iter().map(|(_, calls)| calls).sum();
            let labels = labels(counts);
            let mut histogram = family.encode_family(&labels)?;
            histogram.encode_histogram::<NoLabelSet>(float(counts.wall_us) / 1e6, count, &buckets, None)?;
        }
        Ok(())
    }

    fn pool(&mut self, tenant: &Tenant) -> fmt::Result {
        let pool = tenant.pool().snapshot();
        let states = [("ready", pool.ready), ("dialing", pool.dialing), ("backing_off", pool.backing_off)];
        let states = states.map(|(state, count)| (vec![("state", state)], float(count)));
        self.gauges(("scout_pool_connections", None, "Connections to hosts, by their state"), states)?;
        for (name, help, value) in [
            ("scout_pool_channels", "Session channels that are open", pool.channels),
            ("scout_pool_limited", "Connections whose server allows fewer channels than are usual", pool.limited),
            ("scout_pool_waiters", "Requests that wait for a channel or a connection", pool.waiters),
            ("scout_pool_in_flight", "Requests on the wire", pool.in_flight),
        ] {
            self.gauges((name, None, help), [whole(value)])?;
        }
        for (name, help, value) in [
            ("scout_pool_dials", "Dials that were begun", pool.dials),
            ("scout_pool_hits", "Requests served by a connection that was ready", pool.hits),
            ("scout_pool_misses", "Requests that had to wait for a dial", pool.misses),
            ("scout_pool_evictions", "Connections closed to make room", pool.evictions),
            ("scout_pool_idle_closed", "Connections closed because nobody used them", pool.idle_closed),
            ("scout_pool_stalls", "SFTP channels given up because a request hung", pool.stalls),
            ("scout_pool_probes", "TCP connections made to see whether a host answers", pool.probes),
        ] {
            self.counters((name, None, help), [whole(value)])?;
        }
        Ok(())
    }

    fn http(&mut self, http: &HttpCounts) -> fmt::Result {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let connections = whole(now(&http.connections));
        self.gauges(("scout_http_connections", None, "Connections of clients"), [connections])?;
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&http.answers);
        let answers = classes.map(|(class, count)| (vec![("status", class)], float(now(count))));
        self.counters(("scout_http_answers", None, "Answers that were begun, by the class of their status"), answers)?;
        let refused = whole(now(&http.refused_connections));
        let help = "Connections that were closed at once, since there was no room";
        self.counters(("scout_http_refused_connections", None, help), [refused])?;
        let failed = whole(now(&http.failed_logins));
        self.counters(("scout_http_failed_logins", None, "Requests whose credentials were none"), [failed])
    }

    /// Under the names that every client of Prometheus has for them.
    fn process(&mut self, since: Timestamp) -> fmt::Result {
        let help = "When the process began to serve, since 1970";
        let begun = (Labels::new(), since.as_duration().as_secs_f64());
        self.gauges(("process_start_time", Some(Unit::Seconds), help), [begun])?;
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = float(cpu.tv_sec.unsigned_abs()) + float(cpu.tv_nsec.unsigned_abs()) / 1e9;
        self.counters(("process_cpu", Some(Unit::Seconds), "CPU that the process has used"), [(Labels::new(), cpu)])?;
        let resident = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
        let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
        let resident = resident.map(|pages| whole(pages.saturating_mul(page)));
        self.gauges(("process_resident_memory", Some(Unit::Bytes), "Memory of the process"), resident)?;
        // Without the one of the directory itself.
        let open = std::fs::read_dir("/proc/self/fd").ok().map(|all| all.count().saturating_sub(1));
        let open = open.map(|open| whole(u64::try_from(open).unwrap_or(u64::MAX)));
        self.gauges(("process_open_fds", None, "Descriptors that are open"), open)?;
        let most = getrlimit(Resource::Nofile).current.map(whole);
        self.gauges(("process_max_fds", None, "Descriptors that may be open"), most)
    }
}

fn labels(counts: &CallCounts) -> Labels<'_> {
    let [plugin, tool] = [&counts.plugin, &counts.tool].map(|name| name.as_deref().unwrap_or_default());
    vec![("plugin", plugin), ("tool", tool)]
}

/// A count without labels.
fn whole(count: u64) -> (Labels<'static>, f64) {
    (Labels::new(), float(count))
}

/// Beyond 2^53 it is told in steps, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "what is lost is told above")]
fn float(count: u64) -> f64 {
    count as f64
}
