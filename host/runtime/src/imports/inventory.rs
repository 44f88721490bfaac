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
use super::wit::inventory::{self, Machine, Reachability};
use super::wit::types::Error;
use super::{Failure, in_task, types};
use crate::grants::{Action, CallRights, decide};
use crate::state::CallState;
use crate::steps::{Admitted, Found, HostRequest, amiss};
use crate::{CallContext, HostRecord, Location};

/// The longest that a probe may wait.
const MAX_PROBE: Duration = Duration::from_secs(5);
/// Listings at once: one may wait for commands of `Match exec` on a thread that others want too.
static LISTINGS: Semaphore = Semaphore::const_new(4);
/// Names that one call may probe.
const MAX_NAMES: usize = 1000;

impl inventory::Host for CallState {
    async fn hosts(&mut self) -> wasmtime::Result<Vec<Machine>> {
        self.budget.host_call()?;
        if let Some(tape) = self.context.as_ref().and_then(|context| context.tape.as_ref()) {
            tape.listed();
        }
        let Some(context) = self.context.clone() else { return Ok(Vec::new()) };
        let rights = Arc::clone(&self.rights);
        // Settings that nobody has asked for yet are looked up now. Who waits for its turn gives up with its call.
        let listing = in_task(move || async move {
            let call = context.call.clone();
            let place = tokio::select! {
                place = LISTINGS.acquire() => place,
                () = call.cancel.cancelled() => return Ok(Vec::new()),
                () = tokio::time::sleep_until(call.deadline) => return Ok(Vec::new()),
            };
            let listed = tokio::task::spawn_blocking(move || {
                let _place = place;
                machines(&context, &rights)
            });
            Ok(listed.await.unwrap_or_default())
        });
        let listed: Result<Vec<Machine>, Error> = self.budget.away(listing).await;
        Ok(listed.unwrap_or_default())
    }

    async fn probe(&mut self, names: Vec<String>, timeout_ms: u32) -> Result<Vec<Reachability>, Failure> {
        self.budget.host_call()?;
        Ok(self.probe_all(names, timeout_ms).await?)
    }
}

/// The hosts that a call may see.
fn machines(context: &CallContext, rights: &CallRights) -> Vec<Machine> {
    let access = context.fleet.access();
    let sees = |host: &&HostRecord| decide(rights, host.target(access), Action::See).is_ok();
    let machine = |host: &HostRecord| match host.location() {
        Ok(Location { address, port, user }) => Machine { name: host.name.clone(), address, port, user, trouble: None },
        Err(error) => Machine {
            name: host.name.clone(),
            address: String::new(),
            port: 0,
            user: String::new(),
            trouble: Some(types::from_ssh(&error).message),
        },
    };
    context.fleet.hosts().iter().filter(sees).map(machine).collect()
}

impl CallState {
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
    let name = admitted.access().host.name.clone();
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
