//! The hosts a server looks at: their resolved settings, the pool that reaches them, the policy that binds them.

use std::sync::Arc;

use scout_ssh::{HostSpec, Pool, SshError};

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
}

/// All hosts. Immutable; a changed configuration makes a new one.
#[derive(Debug)]
pub struct Fleet {
    hosts: Vec<HostRecord>,
    pool: Pool,
}

impl Fleet {
    /// A fleet with these hosts, in this order. A name that comes twice: the first wins.
    pub fn new(hosts: Vec<HostRecord>, pool: Pool) -> Self {
        Self { hosts, pool }
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
