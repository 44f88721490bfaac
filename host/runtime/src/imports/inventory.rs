//! `inventory`: the hosts that a call may name.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::poll_immediate;
use futures_util::stream::FuturesUnordered;
use scout_machine::{HostError, Probe};
use tokio::sync::Semaphore;
use tokio::task::unconstrained;

use super::types::Kind;
use super::wit::inventory::{self, Machine, Page, Reachability};
use super::wit::types::Error;
use super::{Failure, in_task, types};
use crate::grants::{Action, CallRights, HOST_NAMES, decide};
use crate::state::{CallState, shown};
use crate::steps::{Admitted, Found, HostRequest, amiss};
use crate::{CallContext, Location};

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
        Ok(self.page(Selection { words, start, most }).await?)
    }

    async fn probe(&mut self, names: Vec<String>, timeout_ms: u32) -> Result<Vec<Reachability>, Failure> {
        self.budget.host_call()?;
        Ok(self.probe_all(names, timeout_ms).await?)
    }
}

/// What a page is to show.
struct Selection {
    words: Vec<String>,
    start: Option<String>,
    most: u32,
}

impl Selection {
    /// Why it cannot be made, if so.
    fn check(&self) -> Result<(), Error> {
        let bytes: usize = self.words.iter().map(String::len).sum();
        let why = if self.most > MAX_PAGE {
            format!("{} hosts at once; {MAX_PAGE} are allowed", self.most)
        } else if self.words.len() > MAX_WORDS || bytes > MAX_WORD_BYTES {
            format!("{} words of {bytes} bytes; {MAX_WORDS} of {MAX_WORD_BYTES} are allowed", self.words.len())
        } else {
            return Ok(());
        };
        Err(types::error(Kind::Invalid, &why, None))
    }

    fn fits(&self, context: &CallContext, name: &str) -> bool {
        let has =
            |tag: &str| context.fleet.with_target(name, |target| target.rules.tags.iter().any(|one| **one == *tag));
        let fits = |word: &str| match word.strip_prefix("tag:") {
            Some(tag) => has(tag),
            None if word.contains(['*', '?']) => HOST_NAMES.matches(word.as_bytes(), name.as_bytes()),
            None => name.contains(word),
        };
        self.words.iter().all(|word| fits(word))
    }
}

/// Whether a call may see a host that is listed.
fn sees(context: &CallContext, rights: &CallRights, name: &str) -> bool {
    context.fleet.with_target(name, |target| decide(rights, target, Action::See).is_ok())
}

/// All hosts that a call may see.
fn all(context: &CallContext, rights: &CallRights) -> Vec<Machine> {
    let names = context.fleet.names().iter().filter(|name| sees(context, rights, name));
    names.filter_map(|name| machine(context, name)).collect()
}

/// Those of a page. Only their settings are looked up.
fn page(context: &CallContext, rights: &CallRights, selection: &Selection) -> Result<Page, Error> {
    let (names, sees_all) = (context.fleet.names(), rights.sees_all());
    let sees = |name: &str| sees_all || sees(context, rights, name);
    let first = match &selection.start {
        None => 0,
        Some(start) => names.position(start).filter(|_| sees(start)).ok_or_else(|| {
            let message = format!("no host that may be used here is named `{}`", shown(start));
            types::error(Kind::NotFound, &message, None)
        })?,
    };
    let granted = if sees_all { names.len() } else { names.iter().filter(|name| sees(name)).count() };
    let mut selected = names.from(first).filter(|name| selection.fits(context, name) && sees(name)).peekable();
    let most = selection.most as usize;
    let chosen: Vec<_> = selected.by_ref().take(most).collect();
    let next = selected.peek().map(|name| name.to_string());
    // Without words and limits they need not be looked at.
    let behind = if sees_all && selection.words.is_empty() {
        names.len().saturating_sub(first + chosen.len())
    } else {
        selected.count()
    };
    Ok(Page {
        selected: u32::try_from(chosen.len() + behind).unwrap_or(u32::MAX),
        machines: chosen.into_iter().filter_map(|name| machine(context, name)).collect(),
        next,
        granted: u32::try_from(granted).unwrap_or(u32::MAX),
    })
}

/// A host as a guest has it.
fn machine(context: &CallContext, name: &str) -> Option<Machine> {
    let host = context.fleet.get(name)?;
    Some(match host.location() {
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
        selection.check()?;
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

    async fn probe_all(&mut self, names: Vec<String>, timeout_ms: u32) -> Result<Vec<Reachability>, Error> {
        if names.len() > MAX_NAMES {
            let message = format!("{} names at once; {MAX_NAMES} are allowed", names.len());
            return Err(types::error(Kind::Invalid, &message, None));
        }
        let timeout = Duration::from_millis(u64::from(timeout_ms)).min(MAX_PROBE);
        let mut hosts = Vec::with_capacity(names.len());
        for name in names {
            hosts.push(self.admit(&name, HostRequest::Probe { timeout }).await?);
        }
        let call = self.context.as_ref().map(|context| context.call.clone());
        let probing = in_task(move || async move {
            let mut probes = Vec::with_capacity(hosts.len());
            let mut waits = FuturesUnordered::new();
            for (at, admitted) in hosts.into_iter().enumerate() {
                // Of most hosts the answer is known: it takes no place beside those that are waited for. Each is looked at, however
                // many there are, which a task's budget in tokio would not allow.
                let mut asked = Box::pin(probe(admitted));
                let known = unconstrained(poll_immediate(&mut asked)).await;
                if known.is_none() {
                    waits.push(async move { (at, asked.await) });
                }
                probes.push(known);
            }
            while let Some((at, seen)) = waits.next().await {
                if let Some(place) = probes.get_mut(at) {
                    *place = Some(seen);
                }
            }
            // All at once: one wait for all of them.
            if let Some(call) = call.filter(|_| !probes.is_empty()) {
                call.cost.add_round_trips(1);
            }
            Ok(probes.into_iter().flatten().collect())
        });
        self.budget.away(probing).await
    }
}

/// Whether a host answers, and what stands against using it.
async fn probe(admitted: Admitted) -> Reachability {
    let name = admitted.access().host.name.to_string();
    let seen = |connected, latency_ms, failure| Reachability { name, connected, latency_ms, failure };
    let failed = |error: &HostError| Some(types::from_ssh(error).message);
    // Not longer than the probe itself may take.
    match tokio::time::timeout(MAX_PROBE, admitted.access().machine()).await {
        Ok(Ok(_)) => {}
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
        Ok(latency) => seen(probe.connected, Some(latency.as_secs_f64() * 1e3), refused),
        Err(error) if error.kind() == scout_machine::ErrorKind::Unsupported => seen(probe.connected, None, refused),
        Err(error) => seen(probe.connected, None, failed(&error)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use scout_machine::{Call, Principal};
    use scout_ssh::{Pool, PoolConfig};

    use super::*;
    use crate::grants::{HostPattern, HostRules, Limit, Place, Rights, Rule};
    use crate::policy::CommandPolicy;
    use crate::{Fleet, Grants, HostRecord, Interface, Limits};

    const NAMES: [&str; 6] = ["web1", "web2", "db1", "web-3.corp", "from", "w\u{e9}b"];

    fn context() -> CallContext {
        let record = |name: &str| {
            let location = Location { address: format!("{name}.example"), port: 22, user: "ann".to_owned() };
            let tags = if name.starts_with("web") { vec!["front".into()] } else { Vec::new() };
            HostRecord::recorded(name, Ok(location), CommandPolicy::None)
                .with_rules(Arc::new(HostRules { tags, ..HostRules::default() }))
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

    fn select(words: &[&str], start: Option<&str>, most: u32) -> Selection {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Selection { words, start: start.map(str::to_owned), most }
    }

    #[tokio::test]
    async fn a_page_is_selected_by_words_place_and_rights() {
        let context = context();
        type Names = &'static [&'static str];
        type Asked = (Option<&'static str>, Names, Option<&'static str>, u32);
        type Told = (Names, u32, Option<&'static str>, u32);
        let table: [(Asked, Told); 15] = [
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

    #[test]
    fn a_selection_has_bounds() {
        assert!(select(&["a"; 100], None, 1000).check().is_ok());
        for selection in [select(&[], None, 1001), select(&["a"; 101], None, 1), select(&[&"a".repeat(1025)], None, 1)]
        {
            assert_eq!(selection.check().unwrap_err().kind, "invalid");
        }
    }
}
