//! Names of hosts that begin as somebody has written.

use std::sync::Arc;

use scout_machine::Principal;

use crate::grants::{Action, CallRights, decide};
use crate::{Fleet, Grants, Interface};

/// What may follow what is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The first names, in the order of their letters.
    pub names: Vec<Arc<str>>,
    /// How many there are, if that is known without judging each.
    pub total: Option<usize>,
    /// Whether there are others.
    pub has_more: bool,
}

/// Some of the hosts, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPage {
    /// Their names.
    pub names: Vec<Arc<str>>,
    /// The one behind them, if there is one.
    pub next: Option<Arc<str>>,
}

impl Fleet {
    /// Hosts that begin so, `most` at most, as far as this plugin would list them for this principal. Who may see all is not judged host
    /// by host, and of those who may not so many are judged as are needed for an answer. The first time all names are put in order,
    /// which takes some milliseconds for a hundred thousand.
    pub fn complete(&self, principal: &Principal, lister: &str, beginning: &str, most: usize) -> Completion {
        let rights = self.rights_of_lister(principal, lister);
        let sees_all = rights.sees_all();
        let sees =
            |name: &str| sees_all || self.with_target(name, |target| decide(&rights, target, Action::See).is_ok());
        let mut names: Vec<Arc<str>> =
            self.beginning_with(beginning).filter(|name| sees(name)).take(most + 1).cloned().collect();
        let has_more = names.len() > most;
        names.truncate(most);
        let total = match has_more {
            false => Some(names.len()),
            true => sees_all.then(|| self.beginning_with(beginning).count()),
        };
        Completion { names, total, has_more }
    }

    /// Hosts in their order, `most` at most, from the first or from `start` on, as far as this plugin would list them for this principal and
    /// a call with these rights may name them. None: there is no such `start`.
    pub fn listed(
        &self,
        principal: &Principal,
        lister: &str,
        rights: &CallRights,
        start: Option<&str>,
        most: usize,
    ) -> Option<HostPage> {
        let lists = self.rights_of_lister(principal, lister);
        let sees = |name: &str| {
            self.with_target(name, |target| decide(&lists, target, Action::See).is_ok() && rights.names(target).is_ok())
        };
        let from = match start {
            None => 0,
            // One that is not seen is not told from one that there is not.
            Some(start) => self.names().position(start).filter(|_| sees(start))?,
        };
        let mut names: Vec<Arc<str>> =
            self.names().iter().skip(from).filter(|name| sees(name)).take(most + 1).cloned().collect();
        let next = if names.len() > most { names.pop() } else { None };
        Some(HostPage { names, next })
    }

    fn rights_of_lister(&self, principal: &Principal, lister: &str) -> CallRights {
        let access = self.access();
        let (operator, tenant) = (access.plugin(lister), access.principal(principal));
        CallRights { operator, tenant, ..CallRights::unlimited(Grants::only(Interface::Inventory)) }
    }
}
