//! `inventory`: the hosts that a call may name.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::poll_immediate;
use futures_util::stream::FuturesUnordered;
use scout_machine::{Handshake, HostError, Probe};
use tokio::sync::Semaphore;
use tokio::task::unconstrained;

use super::types::Kind;
use super::wit::inventory::{self, Machine, Page, Property, Reachability};
use super::wit::types::Error;
use super::{Failure, in_task, types};
use crate::fleet::{Known, Status};
use crate::grants::{Action, CallRights, HOST_NAMES, decide};
use crate::state::{CallState, shown};
use crate::steps::{Admitted, Found, HostRequest, amiss, hide};
use crate::{CallContext, HostRecord, Location};

/// The longest that a probe may wait.
const MAX_PROBE: Duration = Duration::from_secs(5);
/// Listings at once: one may wait for commands of `Match exec` on a thread that others want too.
static LISTINGS: Semaphore = Semaphore::const_new(4);
/// Names that one call may probe.
const MAX_NAMES: usize = 1000;
/// Hosts of one page: as many as one call may probe.
const MAX_PAGE: u32 = 1000;
/// Words of one selection, and their bytes together: each is held against each name.
const MAX_WORDS: usize = 100;
const MAX_WORD_BYTES: usize = 1 << 10;

impl inventory::Host for CallState {
    async fn hosts(&mut self) -> wasmtime::Result<Vec<Machine>> {
        self.budget.host_call()?;
        Ok(self.list(all).await.ok().flatten().unwrap_or_default())
    }

    async fn select(&mut self, words: Vec<String>, start: Option<String>, most: u32) -> Result<Page, Failure> {
        self.budget.host_call()?;
        Ok(self.page(Selection::read(&words, &[], start, most)?).await?)
    }

    async fn ordered(
        &mut self,
        words: Vec<String>,
        order: Vec<String>,
        start: Option<String>,
        most: u32,
    ) -> Result<Page, Failure> {
        self.budget.host_call()?;
        Ok(self.page(Selection::read(&words, &order, start, most)?).await?)
    }

    fn properties(&mut self, names: Vec<String>) -> Result<Vec<Vec<Property>>, Failure> {
        self.budget.host_call()?;
        check_count(&names)?;
        let names = names.iter().map(|name| self.access(name)).collect::<Result<Vec<_>, Error>>()?;
        let Some(context) = &self.context else { return Ok(Vec::new()) };
        Ok(names.iter().map(|access| properties(context, &self.rights, &access.host)).collect())
    }

    async fn handshake(&mut self, host: String) -> Result<Vec<Property>, Failure> {
        self.budget.host_call()?;
        let handshake = match self.ask(&host, HostRequest::Handshake).await? {
            Found::Shaken(handshake) => handshake,
            _ => return Err(types::amiss().into()),
        };
        Ok(facts(&handshake, self.rights.sees_addresses()))
    }

    async fn probe(&mut self, names: Vec<String>, timeout_ms: u32) -> Result<Vec<Reachability>, Failure> {
        self.budget.host_call()?;
        Ok(self.probe_all(names, timeout_ms, false).await?)
    }

    async fn probe_anew(&mut self, names: Vec<String>, timeout_ms: u32) -> Result<Vec<Reachability>, Failure> {
        self.budget.host_call()?;
        Ok(self.probe_all(names, timeout_ms, true).await?)
    }
}

/// What a handshake agreed on. Whose a host's certificate is says where it is, as its address does.
fn facts(handshake: &Handshake, sees_addresses: bool) -> Vec<Property> {
    let shown = handshake.facts.iter().filter(|(name, _)| sees_addresses || *name != "certificate-id");
    shown.map(|(name, value)| Property { name: name.to_string(), value: types::bounded(value) }).collect()
}

/// Names at once that one call may ask about.
fn check_count(names: &[String]) -> Result<(), Error> {
    if names.len() <= MAX_NAMES {
        return Ok(());
    }
    let message = format!("{} names at once; {MAX_NAMES} are allowed", names.len());
    Err(types::error(Kind::Invalid, &message, None))
}

/// What a page is to show.
struct Selection {
    /// Patterns of names and parts of them.
    names: Vec<String>,
    tags: Vec<String>,
    groups: Vec<String>,
    statuses: Vec<Status>,
    /// By what they are ordered, and whether the other way round.
    order: Vec<(By, bool)>,
    start: Option<String>,
    most: u32,
}

/// What hosts are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Name,
    Status,
    Latency,
}

impl Selection {
    /// What these words mean.
    fn read(words: &[String], order: &[String], start: Option<String>, most: u32) -> Result<Self, Error> {
        let bytes: usize = words.iter().chain(order).map(String::len).sum();
        let count = words.len() + order.len();
        if most > MAX_PAGE {
            let why = format!("{most} hosts at once; {MAX_PAGE} are allowed");
            return Err(types::error(Kind::Invalid, &why, None));
        }
        if count > MAX_WORDS || bytes > MAX_WORD_BYTES {
            let why = format!("{count} words of {bytes} bytes; {MAX_WORDS} of {MAX_WORD_BYTES} are allowed");
            return Err(types::error(Kind::Invalid, &why, None));
        }
        let mut selection = Self {
            names: Vec::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            statuses: Vec::new(),
            order: Vec::new(),
            start,
            most,
        };
        for word in words {
            if let Some(tag) = word.strip_prefix("tag:") {
                selection.tags.push(tag.to_owned());
            } else if let Some(group) = word.strip_prefix('@') {
                selection.groups.push(group.to_owned());
            } else if let Some(status) = word.strip_prefix("status:") {
                selection.statuses.push(Status::named(status).ok_or_else(|| {
                    let why = format!("no status is named `{}`; there are {}", shown(status), Status::names());
                    types::error(Kind::Invalid, &why, None)
                })?);
            } else {
                selection.names.push(word.clone());
            }
        }
        for word in order {
            let name = word.strip_prefix('-').unwrap_or(word);
            let by = match name {
                "name" => By::Name,
                "status" => By::Status,
                "latency" => By::Latency,
                _ => {
                    let why = format!("hosts are ordered by name, status or latency, not by `{}`", shown(name));
                    return Err(types::error(Kind::Invalid, &why, None));
                }
            };
            selection.order.push((by, name != word));
        }
        Ok(selection)
    }

    /// Whether it means all hosts.
    fn is_all(&self) -> bool {
        self.names.is_empty() && self.tags.is_empty() && self.groups.is_empty() && self.statuses.is_empty()
    }

    /// Whether it means a host. What the name says comes first: what is said of a host is asked of those that it leaves.
    fn fits(&self, context: &CallContext, name: &str) -> bool {
        let named = |word: &String| match word.contains(['*', '?']) {
            true => HOST_NAMES.matches(word.as_bytes(), name.as_bytes()),
            false => name.contains(word.as_str()),
        };
        let all = |wanted: &[String], labels: &[Arc<str>]| {
            wanted.iter().all(|wanted| labels.iter().any(|label| **label == **wanted))
        };
        let is_labelled = || {
            (self.tags.is_empty() && self.groups.is_empty())
                || context.fleet.with_target(name, |target| {
                    all(&self.tags, &target.rules.tags) && all(&self.groups, &target.rules.groups)
                })
        };
        let has_status = || {
            self.statuses.is_empty() || {
                let status = known(context, name).status;
                self.statuses.iter().all(|wanted| *wanted == status)
            }
        };
        self.names.iter().all(named) && is_labelled() && has_status()
    }

    /// Hosts in the order that is wanted.
    fn sort<'a>(&self, context: &CallContext, chosen: Vec<&'a Arc<str>>) -> Vec<&'a Arc<str>> {
        let needs_known = self.order.iter().any(|(by, _)| *by != By::Name);
        let of = |name: &str| if needs_known { known(context, name) } else { Known::default() };
        let mut keyed: Vec<_> = chosen.into_iter().map(|name| (of(name), name)).collect();
        keyed.sort_by(|(one, one_name), (other, other_name)| {
            let orders = self.order.iter().map(|(by, is_reversed)| {
                let order = match by {
                    By::Name => one_name.cmp(other_name),
                    By::Status => one.status.cmp(&other.status),
                    By::Latency => match (one.latency, other.latency) {
                        (Some(one), Some(other)) => one.cmp(&other),
                        // Last, whichever way round.
                        (one, other) => return other.is_some().cmp(&one.is_some()),
                    },
                };
                if *is_reversed { order.reverse() } else { order }
            });
            orders.fold(Ordering::Equal, Ordering::then)
        });
        keyed.into_iter().map(|(_, name)| name).collect()
    }
}

/// What is known of a host without asking it; nothing where a call is recorded or played, which would not be the same again.
fn known(context: &CallContext, name: &str) -> Known {
    match context.tape {
        Some(_) => Known::default(),
        None => context.fleet.known(&context.principal, name),
    }
}

/// The same for a guest.
fn properties(context: &CallContext, rights: &CallRights, host: &HostRecord) -> Vec<Property> {
    let property = |name: &str, value: &str| Property { name: name.to_owned(), value: value.to_owned() };
    let rules = host.target(context.fleet.access()).rules;
    let tags = rules.tags.iter().map(|tag| property("tag", tag));
    let groups = rules.groups.iter().map(|group| property("group", group));
    let mut properties: Vec<Property> = tags.chain(groups).collect();
    let Known { status, latency, failure } = known(context, &host.name);
    if status != Status::Unknown {
        properties.push(property("status", status.name()));
    }
    if let Some(latency) = latency {
        // As milliseconds with three decimals.
        let microseconds = (latency.as_nanos() + 500) / 1_000;
        properties.push(property("latency-ms", &format!("{}.{:03}", microseconds / 1_000, microseconds % 1_000)));
    }
    if let Some(failure) = failure {
        let failure = if rights.sees_addresses() { failure } else { hide::of(&host.name, failure) };
        properties.push(property("failure", &types::from_ssh(&failure).message));
    }
    if !rights.sees_addresses() {
        properties.push(property("hidden", "address"));
    }
    properties
}

/// Whether a call may see a host that is listed.
fn sees(context: &CallContext, rights: &CallRights, name: &str) -> bool {
    context.fleet.with_target(name, |target| decide(rights, target, Action::See).is_ok())
}

/// All hosts that a call may see.
fn all(context: &CallContext, rights: &CallRights) -> Vec<Machine> {
    let names = context.fleet.names().iter().filter(|name| sees(context, rights, name));
    names.filter_map(|name| machine(context, rights, name)).collect()
}

/// Those of a page. Only their settings are looked up.
fn page(context: &CallContext, rights: &CallRights, selection: &Selection) -> Result<Page, Error> {
    let (names, sees_all) = (context.fleet.names(), rights.sees_all());
    let sees = |name: &str| sees_all || sees(context, rights, name);
    let absent = |start: &str| {
        let message = format!("no host that may be used here is named `{}`", shown(start));
        types::error(Kind::NotFound, &message, None)
    };
    let machines = |chosen: &[&Arc<str>]| chosen.iter().filter_map(|name| machine(context, rights, name)).collect();
    let granted = if sees_all { names.len() } else { names.iter().filter(|name| sees(name)).count() };
    let granted = u32::try_from(granted).unwrap_or(u32::MAX);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    if !selection.order.is_empty() {
        let chosen = names.iter().filter(|name| selection.fits(context, name) && sees(name)).collect();
        let chosen = selection.sort(context, chosen);
        let first = match &selection.start {
            None => 0,
            Some(start) => chosen.iter().position(|name| ***name == **start).ok_or_else(|| absent(start))?,
        };
        let chosen = chosen.get(first..).unwrap_or_default();
        let shown = chosen.get(..(selection.most as usize).min(chosen.len())).unwrap_or_default();
        let next = chosen.get(shown.len()).map(|name| name.to_string());
        return Ok(Page { selected: count(chosen.len()), machines: machines(shown), next, granted });
    }
    let first = match &selection.start {
        None => 0,
        Some(start) => names.position(start).filter(|_| sees(start)).ok_or_else(|| absent(start))?,
    };
    let mut selected = names.from(first).filter(|name| selection.fits(context, name) && sees(name)).peekable();
    let most = selection.most as usize;
    let chosen: Vec<_> = selected.by_ref().take(most).collect();
    let next = selected.peek().map(|name| name.to_string());
    // Without words and limits they need not be looked at.
    let behind = if sees_all && selection.is_all() {
        names.len().saturating_sub(first + chosen.len())
    } else {
        selected.count()
    };
    Ok(Page { selected: count(chosen.len() + behind), machines: machines(&chosen), next, granted })
}

/// A host as a guest has it.
fn machine(context: &CallContext, rights: &CallRights, name: &str) -> Option<Machine> {
    let host = context.fleet.get(name)?;
    let (location, sees_address) = (host.location(), rights.sees_addresses());
    Some(match location.map_err(|error| if sees_address { error } else { hide::of(name, error) }) {
        Ok(_) if !sees_address => {
            Machine { name: name.to_owned(), address: String::new(), port: 0, user: String::new(), trouble: None }
        }
        Ok(Location { address, port, user }) => Machine { name: name.to_owned(), address, port, user, trouble: None },
        Err(error) => Machine {
            name: name.to_owned(),
            address: String::new(),
            port: 0,
            user: String::new(),
            trouble: Some(types::from_ssh(&error).message),
        },
    })
}

impl CallState {
    async fn page(&mut self, selection: Selection) -> Result<Page, Error> {
        let listed = self.list(move |context, rights| page(context, rights, &selection)).await?;
        listed.unwrap_or_else(|| Err(types::error(Kind::Timeout, "the hosts were not listed in time", None)))
    }

    /// Lists hosts on a thread that may block: settings that nobody has asked for yet are looked up now. Absent where there are none
    /// to a guest, and where the call ended before its turn.
    async fn list<T: Send + 'static>(
        &mut self,
        list: impl FnOnce(&CallContext, &CallRights) -> T + Send + 'static,
    ) -> Result<Option<T>, Error> {
        if let Some(tape) = self.context.as_ref().and_then(|context| context.tape.as_ref()) {
            tape.listed();
        }
        let Some(context) = self.context.clone() else { return Ok(None) };
        let rights = Arc::clone(&self.rights);
        let listing = in_task(move || async move {
            let call = context.call.clone();
            let place = tokio::select! {
                place = LISTINGS.acquire() => place,
                () = call.cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep_until(call.deadline) => return Ok(None),
            };
            let listed = tokio::task::spawn_blocking(move || {
                let _place = place;
                list(&context, &rights)
            });
            Ok(listed.await.ok())
        });
        self.budget.away(listing).await
    }

    async fn probe_all(&mut self, names: Vec<String>, timeout_ms: u32, anew: bool) -> Result<Vec<Reachability>, Error> {
        check_count(&names)?;
        let timeout = Duration::from_millis(u64::from(timeout_ms)).min(MAX_PROBE);
        let mut hosts = Vec::with_capacity(names.len());
        for name in names {
            hosts.push(self.admit(&name, HostRequest::Probe { timeout, anew }).await?);
        }
        let Some(context) = self.context.clone() else { return Ok(Vec::new()) };
        if !hosts.is_empty() {
            // All at once: one wait for all of them.
            context.call.cost.add_round_trips(1);
        }
        // Of most hosts the answer is known: it takes no place beside those that are waited for.
        let told = |admitted: &Admitted| if anew { None } else { told(&context, admitted) };
        let mut probes: Vec<_> = hosts.iter().map(told).collect();
        let asked = hosts.into_iter().enumerate().filter(|(at, _)| probes.get(*at).is_some_and(Option::is_none));
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            return Ok(probes.into_iter().flatten().collect());
        }
        let probing = in_task(move || async move {
            let mut waits = FuturesUnordered::new();
            for (at, admitted) in asked {
                // Each is looked at, however many there are, which a task's budget in tokio would not allow.
                let mut asked = Box::pin(probe(admitted));
                match unconstrained(poll_immediate(&mut asked)).await {
                    Some(seen) => put(&mut probes, at, seen),
                    None => waits.push(async move { (at, asked.await) }),
                }
            }
            while let Some((at, seen)) = waits.next().await {
                put(&mut probes, at, seen);
            }
            Ok(probes.into_iter().flatten().collect())
        });
        self.budget.away(probing).await
    }
}

fn put(probes: &mut [Option<Reachability>], at: usize, seen: Reachability) {
    if let Some(place) = probes.get_mut(at) {
        *place = Some(seen);
    }
}

/// What a probe would tell of what is known, so that nobody need be asked; absent: nothing is.
fn told(context: &CallContext, admitted: &Admitted) -> Option<Reachability> {
    let name = &admitted.access().host.name;
    let Known { status, latency, failure } = known(context, name);
    if status == Status::Unknown {
        return None;
    }
    let failure = failure.map(|error| if admitted.permit().hides_address { hide::of(name, error) } else { error });
    Some(Reachability {
        name: name.to_string(),
        connected: status == Status::Connected,
        latency_ms: latency.map(milliseconds),
        failure: failure.map(|error| types::from_ssh(&error).message),
    })
}

fn milliseconds(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1e3
}

/// Whether a host answers, and what stands against using it.
async fn probe(admitted: Admitted) -> Reachability {
    let name = admitted.access().host.name.to_string();
    let seen = |connected, latency_ms, failure| Reachability { name, connected, latency_ms, failure };
    let failed = |error: &HostError| Some(types::from_ssh(error).message);
    // Not longer than the probe itself may take.
    match tokio::time::timeout(MAX_PROBE, admitted.access().machine()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if admitted.permit().hides_address => {
            let host = &admitted.access().host.name;
            return seen(false, None, failed(&hide::of(host, error)));
        }
        Ok(Err(error)) => return seen(false, None, failed(&error)),
        Err(_elapsed) => {
            let why = "its settings take long to look up: `Match exec` may hang";
            return seen(false, None, Some(why.to_owned()));
        }
    }
    let cancel = admitted.access().call().cancel.clone();
    let probe = tokio::select! {
        biased;
        found = admitted.go() => match found {
            Ok(Found::Probed(probe)) => probe,
            Ok(_) => return seen(false, None, failed(&amiss())),
            Err(error) => Probe { connected: false, latency: Err(error), refused: None },
        },
        () = cancel.cancelled() => return seen(false, None, Some("the request was cancelled".to_owned())),
    };
    // Why nobody could log in a moment ago, though the host answers.
    let refused = probe.refused.as_ref().and_then(failed);
    match probe.latency {
        Ok(latency) => seen(probe.connected, Some(milliseconds(latency)), refused),
        Err(error) if error.kind() == scout_machine::ErrorKind::Unsupported => seen(probe.connected, None, refused),
        Err(error) => seen(probe.connected, None, failed(&error)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::{Call, Principal};
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use scout_local::{Account, Local};
    use scout_ssh::{HostNames, Pool, PoolConfig, SshConfig};

    use super::*;
    use crate::grants::{HostPattern, HostRules, Limit, Place, Rights, Rule};
    use crate::policy::CommandPolicy;
    use crate::steps::HostAccess;
    use crate::{Fleet, Grants, HostRecord, HostSource, Interface, Limits};

    #[test]
    fn whose_a_certificate_is_is_told_as_addresses_are() {
        let told = [("certificate-id", "web1.corp"), ("certificate-authority", "SHA256:x"), ("cipher", "aes256-ctr")];
        let handshake = Handshake { facts: told.map(|(name, value)| (name.into(), value.to_owned())).into() };
        let names =
            |sees_addresses| facts(&handshake, sees_addresses).into_iter().map(|fact| fact.name).collect::<Vec<_>>();
        assert_eq!(names(true), ["certificate-authority", "certificate-id", "cipher"]);
        assert_eq!(names(false), ["certificate-authority", "cipher"]);
    }

    const NAMES: [&str; 6] = ["web1", "web2", "db1", "web-3.corp", "from", "w\u{e9}b"];

    fn context() -> CallContext {
        let record = |name: &str| {
            let location = Location { address: format!("{name}.example"), port: 22, user: "ann".to_owned() };
            let tags = if name.starts_with("web") { vec!["front".into()] } else { Vec::new() };
            let groups = if name.contains('1') { vec!["first".into()] } else { Vec::new() };
            HostRecord::recorded(name, Ok(location), CommandPolicy::None).with_rules(Arc::new(HostRules {
                tags,
                groups,
                ..HostRules::default()
            }))
        };
        let fleet = Fleet::new(NAMES.map(record).into(), Pool::new(PoolConfig::default()));
        let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
        CallContext::new(Principal::new("test", "ann"), Arc::new(fleet), Arc::new(Limits::default()), call)
    }

    fn rights(hosts: Option<&str>) -> CallRights {
        let place = Place::new("scout.toml:1");
        let rule =
            |text: &str| Rule { value: HostPattern::parse(text).unwrap(), text: text.into(), place: place.clone() };
        let hosts = hosts.map(|text| Limit { rules: vec![rule(text)], place: place.clone() });
        let operator = Arc::new(Rights { hosts, ..Rights::default() });
        CallRights { operator, ..CallRights::unlimited(Grants::only(Interface::Inventory)) }
    }

    fn read(words: &[&str], order: &[&str], start: Option<&str>, most: u32) -> Result<Selection, Error> {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Selection::read(&texts(words), &texts(order), start.map(str::to_owned), most)
    }

    fn select(words: &[&str], start: Option<&str>, most: u32) -> Selection {
        read(words, &[], start, most).unwrap()
    }

    #[tokio::test]
    async fn a_page_is_selected_by_words_place_and_rights() {
        let context = context();
        type Names = &'static [&'static str];
        type Asked = (Option<&'static str>, Names, Option<&'static str>, u32);
        type Told = (Names, u32, Option<&'static str>, u32);
        let table: [(Asked, Told); 20] = [
            ((None, &[], None, 9), (&NAMES, 6, None, 6)),
            ((None, &[], None, 2), (&["web1", "web2"], 6, Some("db1"), 6)),
            ((None, &[], Some("db1"), 2), (&["db1", "web-3.corp"], 4, Some("from"), 6)),
            ((None, &[], Some("db1"), 0), (&[], 4, Some("db1"), 6)),
            ((None, &["web*"], None, 9), (&["web1", "web2", "web-3.corp"], 3, None, 6)),
            ((None, &["web?"], None, 1), (&["web1"], 2, Some("web2"), 6)),
            ((None, &["w??b"], None, 9), (&["w\u{e9}b"], 1, None, 6)),
            ((None, &["corp", "3"], None, 9), (&["web-3.corp"], 1, None, 6)),
            ((None, &["*b*"], Some("web2"), 9), (&["web2", "db1", "web-3.corp", "w\u{e9}b"], 4, None, 6)),
            ((None, &["*x*"], None, 9), (&[], 0, None, 6)),
            ((Some("tag:front"), &[], None, 2), (&["web1", "web2"], 3, Some("web-3.corp"), 3)),
            ((Some("tag:front"), &["1"], None, 9), (&["web1"], 1, None, 3)),
            ((Some("db*"), &[], None, 9), (&["db1"], 1, None, 1)),
            ((None, &["tag:front", "2"], None, 9), (&["web2"], 1, None, 6)),
            ((None, &["tag:fr"], None, 9), (&[], 0, None, 6)),
            ((None, &["@first"], None, 9), (&["web1", "db1"], 2, None, 6)),
            ((None, &["@first", "tag:front"], None, 9), (&["web1"], 1, None, 6)),
            ((Some("@first"), &[], None, 1), (&["web1"], 2, Some("db1"), 2)),
            ((None, &["@fir"], None, 9), (&[], 0, None, 6)),
            ((None, &["status:unknown", "web?"], None, 9), (&["web1", "web2"], 2, None, 6)),
        ];
        for ((hosts, words, start, most), told) in table {
            let page = page(&context, &rights(hosts), &select(words, start, most)).unwrap();
            let shown: Vec<&str> = page.machines.iter().map(|machine| machine.name.as_str()).collect();
            assert_eq!(
                (&*shown, page.selected, page.next.as_deref(), page.granted),
                told,
                "{hosts:?} {words:?} {start:?} {most}"
            );
        }
    }

    #[tokio::test]
    async fn a_page_begins_with_no_host_that_may_not_be_seen() {
        let context = context();
        for (hosts, start) in [(None, "web0"), (Some("db*"), "web1")] {
            let error = page(&context, &rights(hosts), &select(&[], Some(start), 9)).unwrap_err();
            assert_eq!(
                (error.kind.as_str(), error.message),
                ("not-found", format!("no host that may be used here is named `{start}`"))
            );
        }
    }

    #[tokio::test]
    async fn who_may_see_all_is_not_judged_host_by_host_and_sees_what_the_judge_lets_through() {
        let context = context();
        for hosts in [None, Some("*"), Some("web*"), Some("tag:front")] {
            let rights = rights(hosts);
            let judged: Vec<_> = NAMES.into_iter().filter(|name| sees(&context, &rights, name)).collect();
            assert_eq!(rights.sees_all(), hosts.is_none());
            assert!(!rights.sees_all() || judged == NAMES);
            let listed: Vec<_> = all(&context, &rights).into_iter().map(|machine| machine.name).collect();
            assert_eq!(listed, judged, "{hosts:?}");
        }
        assert!(!CallRights::unlimited(Grants::only(Interface::Files)).sees_all());
    }

    #[tokio::test]
    async fn hosts_are_ordered_and_pages_of_them_follow_each_other() {
        let context = context();
        let listed = |hosts, words: &[&str], order: &[&str], start: Option<&str>, most| {
            let selection = read(words, order, start, most).unwrap();
            let page = page(&context, &rights(hosts), &selection).map_err(|error| error.kind)?;
            let names: Vec<String> = page.machines.into_iter().map(|machine| machine.name).collect();
            Ok::<_, String>((names.join(" "), page.selected, page.next, page.granted))
        };
        let told = |names: &str, selected, next: Option<&str>, granted| {
            Ok((names.to_owned(), selected, next.map(str::to_owned), granted))
        };
        for order in [&["name"][..], &["status", "name"], &["latency", "name"], &["-status", "-latency", "name"]] {
            assert_eq!(listed(None, &[], order, None, 2), told("db1 from", 6, Some("web-3.corp"), 6), "{order:?}");
        }
        assert_eq!(listed(None, &["web?"], &["-name"], None, 9), told("web2 web1", 2, None, 6));
        assert_eq!(listed(None, &[], &["name"], Some("web1"), 1), told("web1", 3, Some("web2"), 6));
        assert_eq!(listed(None, &[], &["latency"], None, 2), told("web1 web2", 6, Some("db1"), 6));
        assert_eq!(listed(Some("web?"), &[], &["-name"], None, 9), told("web2 web1", 2, None, 2));
        for (hosts, start) in [(Some("web?"), "db1"), (None, "nobody")] {
            assert_eq!(listed(hosts, &[], &["name"], Some(start), 9), Err("not-found".to_owned()), "{start}");
        }
        assert_eq!(listed(None, &["web*"], &["name"], Some("db1"), 9), Err("not-found".to_owned()));
    }

    #[tokio::test]
    async fn who_may_not_see_addresses_is_shown_names() {
        let context = context();
        let hidden = Rights { addresses: Some((false, Place::new("scout.toml:1"))), ..Rights::default() };
        let own = rights(None);
        let hidden = CallRights { tenant: Arc::new(hidden), ..own.clone() };
        let host = context.fleet.get("web1").unwrap();
        for (rights, address, properties) in [
            (&own, "web1.example 22 ann", "tag=front group=first"),
            (&hidden, " 0 ", "tag=front group=first hidden=address"),
        ] {
            let machine = machine(&context, rights, "web1").unwrap();
            assert_eq!(format!("{} {} {}", machine.address, machine.port, machine.user), address);
            let told = super::properties(&context, rights, &host);
            let told: Vec<_> = told.iter().map(|property| format!("{}={}", property.name, property.value)).collect();
            assert_eq!(told.join(" "), properties);
        }
    }

    #[tokio::test]
    async fn of_a_host_that_was_asked_the_same_is_told_without_asking() {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().port();
        let shut = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let block = |name: &str, port| format!("Host {name}\n  HostName 127.0.0.1\n  Port {port}\n");
        let file = dir.path().join("ssh_config");
        let text = [block("open", open), block("shut", shut), "Host amiss\n  Port none\n".to_owned()].concat();
        std::fs::write(&file, text).unwrap();
        let config = Arc::new(SshConfig::load(&file, None, dir.path()).unwrap());
        let over_ssh =
            |name: &str| HostRecord::over_ssh(&config, name, CommandPolicy::None, scout_machine::CommandLimits::NONE);
        let local = Local::new(Account::current(dir.path(), |_| None), false);
        let mine = HostRecord::local(&local, "mine", CommandPolicy::None, scout_machine::CommandLimits::NONE);
        let hosts = ["open", "shut", "amiss"].map(over_ssh).into_iter().chain([mine]).collect();
        let mut context = context();
        context.fleet = Arc::new(Fleet::new(hosts, Pool::new(PoolConfig::default())));
        let hidden = Rights { addresses: Some((false, Place::new("scout.toml:1"))), ..Rights::default() };
        let hidden = CallRights { tenant: Arc::new(hidden), ..rights(None) };
        for (name, is_known, begins) in [
            ("open", false, "false true None"),
            ("shut", false, "false false Some(\""),
            ("amiss", false, "false false Some(\""),
            ("mine", true, "true true None"),
        ] {
            for (at, rights) in [rights(None), hidden.clone()].into_iter().enumerate() {
                let asked = async || {
                    let request = HostRequest::Probe { timeout: MAX_PROBE, anew: false };
                    HostAccess::new(&context, name, &rights).unwrap().admit("hosts", &rights, request).await.unwrap()
                };
                assert_eq!(told(&context, &asked().await).is_some(), is_known || at > 0, "{name}");
                let seen = probe(asked().await).await;
                let shown = format!("{} {} {:?}", seen.connected, seen.latency_ms.is_some(), seen.failure);
                assert!(shown.starts_with(begins), "{name}: {shown}");
                let of = |seen: &Reachability| {
                    let Reachability { name, connected, latency_ms, failure } = seen;
                    (name.clone(), *connected, latency_ms.map(f64::to_bits), failure.clone())
                };
                assert_eq!(told(&context, &asked().await).map(|told| of(&told)), Some(of(&seen)), "{name}");
            }
        }
    }

    /// Counts how often rules are asked for.
    struct Counting(Arc<AtomicUsize>);

    impl HostSource for Counting {
        fn host(&self, name: &Arc<str>, _is_listed: bool) -> Option<HostRecord> {
            let location = Location { address: String::new(), port: 22, user: String::new() };
            Some(HostRecord::recorded(name, Ok(location), CommandPolicy::None))
        }

        fn rules(&self, name: &str) -> (CommandPolicy, Arc<HostRules>) {
            self.0.fetch_add(1, Relaxed);
            let groups = if name.ends_with('7') { vec!["sevens".into()] } else { Vec::new() };
            (CommandPolicy::None, Arc::new(HostRules { groups, ..HostRules::default() }))
        }

        fn pattern_of(&self, _name: &str) -> Option<&str> {
            None
        }
    }

    /// Counts, and no times: a page of a hundred thousand hosts asks once of each what it must, and of none what it need not.
    #[tokio::test]
    async fn of_a_hundred_thousand_hosts_rules_are_asked_at_most_once_each() {
        let (count, mut names) = (Arc::new(AtomicUsize::new(0)), HostNames::default());
        for number in 0..100_000 {
            names.add(&format!("h{number:05}"));
        }
        let fleet = Fleet::of_names(names, Box::new(Counting(Arc::clone(&count))), Pool::new(PoolConfig::default()));
        let mut context = context();
        context.fleet = Arc::new(fleet);
        for (hosts, words, order, selected, asked) in [
            (None, &[][..], &[][..], 100_000, 0),
            (None, &["h0*"], &[], 10_000, 0),
            (None, &[], &["-name"], 100_000, 0),
            (None, &["status:unknown"], &["status", "latency"], 100_000, 0),
            (None, &["@sevens"], &[], 10_000, 100_000),
            (None, &["h99*", "@sevens"], &["name"], 100, 1_000),
            // Once to count those that are granted, and once of those that fit.
            (Some("@sevens"), &["h99*"], &[], 100, 101_000),
        ] {
            count.store(0, Relaxed);
            let page = page(&context, &rights(hosts), &read(words, order, None, 100).unwrap()).unwrap();
            assert_eq!((page.selected, count.load(Relaxed)), (selected, asked), "{hosts:?} {words:?} {order:?}");
        }
        let complete = |hosts: Option<&str>, beginning| {
            count.store(0, Relaxed);
            let mut access = crate::grants::Access::default();
            access.plugins.insert("hosts".to_owned(), rights(hosts).operator);
            let source = Box::new(Counting(Arc::clone(&count)));
            let fleet = Fleet::of_names(context.fleet.names().clone(), source, Pool::new(PoolConfig::default()));
            let found = fleet.with_access(access).complete(&context.principal, "hosts", beginning, 100);
            let first = found.names.first().map(ToString::to_string);
            (first, found.names.len(), found.total, found.has_more, count.load(Relaxed))
        };
        let some = |name: &str| Some(name.to_owned());
        for (hosts, beginning, told) in [
            (None, "", (some("h00000"), 100, Some(100_000), true, 0)),
            (None, "h999", (some("h99900"), 100, Some(100), false, 0)),
            (None, "H", (None, 0, Some(0), false, 0)),
            (Some("@sevens"), "h99", (some("h99007"), 100, Some(100), false, 1_000)),
            (Some("@sevens"), "", (some("h00007"), 100, None, true, 1_008)),
            (Some("h0*"), "h0", (some("h00000"), 100, None, true, 101)),
        ] {
            assert_eq!(complete(hosts, beginning), told, "{hosts:?} {beginning}");
        }
    }

    #[test]
    fn a_selection_has_bounds() {
        assert!(read(&["a"; 100], &[], None, 1000).is_ok());
        for refused in [
            read(&[], &[], None, 1001),
            read(&["a"; 101], &[], None, 1),
            read(&["a"; 99], &["name", "name"], None, 1),
            read(&[&"a".repeat(1025)], &[], None, 1),
            read(&["status:up"], &[], None, 1),
            read(&[], &["size"], None, 1),
            read(&[], &["--name"], None, 1),
        ] {
            assert_eq!(refused.map(|_| ()).unwrap_err().kind, "invalid");
        }
    }
}
