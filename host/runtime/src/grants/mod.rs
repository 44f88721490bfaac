//! Who may do what on which host: what one source of rights allows, and where that is written.
//!
//! A call's right is the intersection of four sources: what the plugin declares (its imports, its tool's effect), what
//! the operator grants the plugin, what the operator lets the principal do, and what the host lets anybody do. One pure
//! function, [`decide`], judges every operation; the imports ask it, and so does `scout policy explain`. A limit that a
//! source does not set lets everything through, and every limit that can be set is enforced: a test has a case for each.
//!
//! Does no I/O: where a path truly leads only its host knows, and [`Permit::within`] says what is to hold there.

mod argv;
mod decide;
mod host;
mod path;
mod wild;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use scout_machine::Principal;

pub use argv::Argv;
pub use decide::{Action, CallRights, DeclaredEffect, Denial, Permit, Reason, Source, Target, decide};
pub(crate) use host::HOST_NAMES;
pub use host::HostPattern;
pub use path::Root;

use crate::Grants;
use crate::policy::SecretPaths;

/// Where a rule is written, for people: `scout.toml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Arc<str>);

impl Place {
    /// A place of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One rule of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    /// What it lets through.
    pub value: T,
    /// As it is written.
    pub text: Arc<str>,
    /// Where.
    pub place: Place,
}

/// What one key lets through: what any of its rules does. Without rules: nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit<T> {
    /// The rules, in the order in which they are written.
    pub rules: Vec<Rule<T>>,
    /// Where the key is.
    pub place: Place,
}

/// What one source allows. A limit that is absent lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The interfaces, and where they are granted.
    pub grants: Option<(Grants, Place)>,
    /// The hosts.
    pub hosts: Option<Limit<HostPattern>>,
    /// The directories in which paths must lie.
    pub paths: Option<Limit<Root>>,
    /// The commands, each a stage of a pipeline.
    pub commands: Option<Limit<Argv>>,
    /// Whether a link may lead out of `paths`.
    pub follow_links_out: bool,
    /// Whether it is told where hosts are, and as whom they are used there: address, port, account.
    pub addresses: Option<(bool, Place)>,
}

impl Rights {
    /// Nothing at all, for the reason that stands there.
    pub fn none(place: Place) -> Self {
        let hosts = Some(Limit { rules: Vec::new(), place: place.clone() });
        Self { grants: Some((Grants::NONE, place)), hosts, ..Self::default() }
    }
}

/// What the operator says of a host beside its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules {
    /// Its tags.
    pub tags: Vec<Arc<str>>,
    /// The groups that it is in.
    pub groups: Vec<Arc<str>>,
    /// Where its command policy is written; absent: it is the default.
    pub commands: Option<Place>,
    /// What may be run there as root, with `sudo`; absent: nothing.
    pub sudo: Option<Limit<Argv>>,
    /// Whether each of its commands has a session of its own, also one that could share a shell that stays.
    pub own_sessions: bool,
    /// The directories below which transfers may write; absent: none.
    pub writable: Option<Limit<Root>>,
    /// Whether it is the machine that Scout runs on as transfers see it, where they read and write below `writable` alone.
    pub is_exchange: bool,
}

/// All that the operator has said. The default limits nothing beyond what is linked.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// By plugin.
    pub plugins: BTreeMap<String, Arc<Rights>>,
    /// By the name of a principal.
    pub principals: BTreeMap<String, Arc<Rights>>,
    /// What a principal has whom they do not name.
    pub others: Arc<Rights>,
    /// What nobody reads on any of them.
    pub secrets: Arc<SecretPaths>,
}

impl Access {
    /// What the operator grants a plugin.
    pub fn plugin(&self, name: &str) -> Arc<Rights> {
        self.plugins.get(name).cloned().unwrap_or_default()
    }

    /// What the operator lets a principal do.
    pub fn principal(&self, principal: &Principal) -> Arc<Rights> {
        Arc::clone(self.principals.get(principal.name()).unwrap_or(&self.others))
    }

    /// Whether a principal may name a host of this name and with these rules.
    pub fn shows(&self, principal: &Principal, host: &str, rules: impl FnOnce() -> Arc<HostRules>) -> bool {
        let limits = self.principals.get(principal.name()).unwrap_or(&self.others).hosts.as_ref();
        limits.is_none_or(|limit| {
            let rules = rules();
            limit.rules.iter().any(|rule| rule.value.matches(host, &rules))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests;
