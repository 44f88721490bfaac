//! The hosts a server looks at: their resolved settings, the pool that reaches them, who may do what with
//! them.

use std::sync::Arc;

use scout_ssh::{CommandLimits, HostSpec, Pool, SshError};

use crate::grants::{Access, Target};
use crate::policy::CommandPolicy;

/// One host of the inventory.
#[derive(Clone, Debug)]
pub struct HostRecord {
    /// Its name, as clients say it.
    pub name: String,
    /// Its settings, or why they cannot be evaluated.
    pub spec: Result<Arc<HostSpec>, SshError>,
    /// What commands may run there.
    pub commands: CommandPolicy,
    /// What processes of commands may take there.
    pub limits: CommandLimits,
}

impl HostRecord {
    /// The host as [`crate::grants::decide`] sees it.
    pub fn target<'a>(&'a self, access: &'a Access) -> Target<'a> {
        let (rules, secrets) = (access.host(&self.name), &*access.secrets);
        Target { name: &self.name, commands: self.commands, rules, secrets }
    }
}

/// All hosts. Immutable; a changed configuration makes a new one.
#[derive(Debug)]
pub struct Fleet {
    hosts: Vec<HostRecord>,
    pool: Pool,
    access: Access,
}

impl Fleet {
    /// A fleet with these hosts, in this order, whose access nothing limits. A name that comes twice: the first wins.
    pub fn new(hosts: Vec<HostRecord>, pool: Pool) -> Self {
        Self { hosts, pool, access: Access::default() }
    }

    /// With what the operator has said of who may do what.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// All hosts, in order.
    pub fn hosts(&self) -> &[HostRecord] {
        &self.hosts
    }

    /// The host with this name.
    pub fn get(&self, name: &str) -> Option<&HostRecord> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The pool that reaches them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
