//! What a dial will make of the host's key, told without a dial: for each key that known_hosts has for the host, and for
//! any other.
//!
//! The files are read and the decisions made as [`super::host_key`] does it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use scout_machine::HostError;

use crate::config::Proxy;
use crate::dial::host_key::Check;
use crate::trust::{Decision, Entry, MayShow, Verdict};
use crate::{DialConfig, HostSpec};

/// What known_hosts holds about one host, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAhead {
    /// The name by which known_hosts knows the host.
    pub name: String,
    /// The port that belongs to the name.
    pub port: u16,
    /// The lines about it, in the files' order.
    pub entries: Vec<Entry>,
    /// What a dial makes of each thing that the host may show; [`MayShow::OtherKey`] comes last.
    pub decisions: Vec<(MayShow, Ahead)>,
    /// Where a key is added that is learned; absent: nowhere, and none is.
    pub learn_into: Option<PathBuf>,
}

/// What a dial makes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// As known_hosts and `StrictHostKeyChecking` have it.
    Decided(Decision),
    /// Refused, whatever known_hosts says: RSA of fewer bits than `RequiredRSASize`.
    TooShort,
}

/// Reads the known_hosts files that count for the host; learns nothing.
///
/// # Errors
/// [`scout_machine::ErrorKind::Config`] if a file cannot be read.
pub async fn trust_ahead(spec: &HostSpec, config: &DialConfig) -> Result<TrustAhead, HostError> {
    let check = Check::load(&Arc::new(spec.clone()), config).await?;
    let ahead = |(shown, decision): (MayShow, Decision)| match &shown {
        MayShow::Key(key) if check.is_too_short(key) => (shown, Ahead::TooShort),
        MayShow::Key(key) if let Some(line) = check.revoked(&key.clone().into()) => {
            (shown, Ahead::Decided(Decision::Refused(Verdict::Revoked(line))))
        }
        _ if is_localhost(spec) => (shown, Ahead::Decided(Decision::Localhost)),
        _ => (shown, Ahead::Decided(check.settle(decision))),
    };
    let decisions = check.known.decide_ahead(&check.spec).into_iter().map(ahead).collect();
    let entries = check.known.entries(&check.name, check.port);
    let Check { name, port, learn_into, .. } = check;
    Ok(TrustAhead { name, port, entries, decisions, learn_into })
}

/// Whether nobody asks for the host's key, as far as its name tells: other names too may lead to this machine.
fn is_localhost(spec: &HostSpec) -> bool {
    let is_named = match spec.host_name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => spec.host_name == "localhost",
    };
    spec.trusts_localhost && spec.host_key_alias.is_none() && spec.proxy == Proxy::Direct && is_named
}
