//! What plugins keep of hosts from one call to the next: whose it is and how much it may be. Where it lies is for whoever serves.

use std::fmt;

use scout_machine::{ErrorKind, HostError, Principal};

use crate::PluginId;

/// The most bytes of one baseline.
pub const MAX_BASELINE: usize = 1 << 20;
/// The longest name of one.
const MAX_NAME: usize = 64;

/// Whose baseline it is, of which host, and under which name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaselineKey {
    /// On whose behalf it is kept: who else asks may have other rights.
    pub principal: Principal,
    /// By which plugin.
    pub plugin: PluginId,
    /// Of which host.
    pub host: String,
    /// `a-z`, `0-9` and `-`.
    pub name: String,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// As the plugin gave it.
    pub content: Vec<u8>,
    /// When, in seconds since 1970.
    pub taken: u64,
}

/// Where a tenant's baselines are kept. Its functions may block.
pub trait Baselines: fmt::Debug + Send + Sync {
    /// What is kept there.
    ///
    /// # Errors
    /// Remote: it cannot be read.
    fn load(&self, key: &BaselineKey) -> Result<Option<Baseline>, HostError>;

    /// Keeps it in the place of what was there, whole or not at all; when.
    ///
    /// # Errors
    /// Exhausted: too much is kept. Remote: it cannot be written.
    fn store(&self, key: &BaselineKey, content: &[u8]) -> Result<u64, HostError>;
}

/// Whether a name is one.
///
/// # Errors
/// Invalid: it is none.
pub(crate) fn check_name(name: &str) -> Result<(), HostError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(HostError::new(
            ErrorKind::Invalid,
            format!("the name of a baseline has 1 to {MAX_NAME} of a-z, 0-9 and `-`"),
        )),
    }
}

/// Whether so much may be kept.
///
/// # Errors
/// Exhausted: it may not.
pub(crate) fn check_size(bytes: usize) -> Result<(), HostError> {
    match bytes <= MAX_BASELINE {
        true => Ok(()),
        false => {
            let message = format!("a baseline of {bytes} bytes is to be kept; {MAX_BASELINE} are allowed");
            Err(HostError::new(ErrorKind::Exhausted, message).with_hint("keep less of the host"))
        }
    }
}
