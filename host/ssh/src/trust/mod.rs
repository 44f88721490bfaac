//! known_hosts, read strictly as OpenSSH reads it.

use std::path::Path;

use russh::keys::{Algorithm, PublicKey};

use crate::SshError;
use crate::config::Source;

/// What the known_hosts files say of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This line holds the key.
    Known(Source),
    /// No line names the host.
    Unknown,
    /// A line names the host with another key, of whatever type.
    Changed(Source),
    /// A line revokes the key.
    Revoked(Source),
}

/// Several known_hosts files, parsed.
#[derive(Debug, Default)]
pub struct KnownHosts {}

impl KnownHosts {
    /// Reads files in order; an absent one is empty.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when a file exists and cannot be read.
    pub fn load<P: AsRef<Path>>(_files: &[P]) -> Result<Self, SshError> {
        todo!()
    }

    /// What the files say of `key` for this host and port.
    pub fn check(&self, _host: &str, _port: u16, _key: &PublicKey) -> Verdict {
        todo!()
    }

    /// The key algorithms that the files hold for this host, so that they can be asked for first.
    pub fn algorithms(&self, _host: &str, _port: u16) -> Vec<Algorithm> {
        todo!()
    }

    /// Lines that could not be read, as `file:line: why`.
    pub fn warnings(&self) -> &[String] {
        todo!()
    }
}

/// Adds a plain line for this host to a known_hosts file, creating it 0600, under a lock.
///
/// # Errors
/// [`crate::ErrorKind::Config`] when the file cannot be written.
pub fn learn(_file: &Path, _host: &str, _port: u16, _key: &PublicKey, _hashed: bool) -> Result<(), SshError> {
    todo!()
}
