//! known_hosts, read strictly as OpenSSH reads it.
//!
//! Owns which key is trusted for which host. Knows no connection: whoever dials asks before a byte of
//! authentication leaves. A line that cannot be read trusts nobody and is told in a warning.

mod learn;
mod line;
#[cfg(test)]
mod tests;

use std::path::Path;

use russh::keys::{Algorithm, HashAlg, PublicKey};

pub use learn::learn;
use line::{Line, Marker};

use crate::SshError;
use crate::config::Source;
use crate::config::read::{self, Ownership};

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

/// Far above the known_hosts of a fleet of 100000 machines; a file without an end is refused.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// More say nothing new.
const MAX_WARNINGS: usize = 100;

/// Several known_hosts files, parsed.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: Vec<(Source, Line)>,
    warnings: Vec<String>,
}

impl KnownHosts {
    /// Reads files in order; an absent one is empty.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when a file exists and cannot be read.
    pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Self, SshError> {
        let mut known = Self::default();
        for file in files {
            known.read(file.as_ref())?;
        }
        Ok(known)
    }

    fn read(&mut self, file: &Path) -> Result<(), SshError> {
        let Some(text) = read::text(file, MAX_FILE_BYTES, Ownership::Any)? else { return Ok(()) };
        for (line, number) in text.split('\n').zip(1..) {
            match Line::parse(line) {
                Ok(None) => {}
                Ok(Some(line)) => self.lines.push((Source { file: file.to_path_buf(), line: number }, line)),
                Err(why) if self.warnings.len() < MAX_WARNINGS => {
                    self.warnings.push(format!("{}:{number}: {why}", file.display()));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// What the files say of `key` for this host and port.
    ///
    /// `host` is the name or address that is dialled. With a port other than 22 only lines for `[host]:port` count.
    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        // Comments are part of a PublicKey's equality, so the key's data is compared.
        let mut verdict = Verdict::Unknown;
        for (source, line) in self.named(host, port) {
            let is_equal = line.key.key_data() == key.key_data();
            match (line.marker, &verdict) {
                // Wins over all that other lines say, wherever it stands.
                (Marker::Revoked, _) if is_equal => return Verdict::Revoked(source.clone()),
                (Marker::Revoked | Marker::CertAuthority, _) => {}
                (Marker::None, Verdict::Unknown | Verdict::Changed(_)) if is_equal => {
                    verdict = Verdict::Known(source.clone());
                }
                (Marker::None, Verdict::Unknown) => verdict = Verdict::Changed(source.clone()),
                (Marker::None, _) => {}
            }
        }
        verdict
    }

    /// The key algorithms that the files hold for this host, so that they can be asked for first.
    ///
    /// An RSA key stands for `rsa-sha2-512` and `rsa-sha2-256`, never for `ssh-rsa`, which is SHA-1.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for (_, line) in self.named(host, port).filter(|(_, line)| line.marker == Marker::None) {
            let of_line = match line.key.algorithm() {
                Algorithm::Rsa { .. } => {
                    vec![Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }]
                }
                other => vec![other],
            };
            for algorithm in of_line {
                if !algorithms.contains(&algorithm) {
                    algorithms.push(algorithm);
                }
            }
        }
        algorithms
    }

    /// Lines that could not be read, as `file:line: why`; the first hundred.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn named(&self, host: &str, port: u16) -> impl Iterator<Item = &(Source, Line)> {
        let name = line::name(host, port);
        self.lines.iter().filter(move |(_, line)| line.names(&name))
    }
}
