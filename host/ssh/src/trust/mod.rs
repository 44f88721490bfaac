//! known_hosts, read as OpenSSH reads it, and what it says of the key or the certificate that a host presents.
//!
//! Owns which key is trusted for which host. Knows no connection: whoever dials asks before a byte of
//! authentication leaves. A line that OpenSSH skips trusts nobody and is told in a warning, one of a kind of key that is not
//! had here in a note. The order of the questions
//! in [`KnownHosts::decide`] is that of `check_host_key` in OpenSSH's sshconnect.c.

mod certificate;
mod learn;
mod line;
mod name;
pub(crate) mod revoked;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::Path;
use std::time::SystemTime;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use scout_machine::{ErrorKind, HostError};

pub(crate) use certificate::intact;
pub use learn::learn;
use line::{Line, Marker, Skipped};
pub(crate) use line::{is_nested_too_deep, is_too_short};
use name::Name;
pub use name::known_as;

use crate::HostSpec;
use crate::config::{AlgorithmLists, Source, StrictHostKeyChecking};
use crate::local_file::{self, FileError};

/// What the known_hosts files say of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This line holds the key, or the authority that signed the host's certificate.
    Known(Source),
    /// No line names the host with a key.
    Unknown,
    /// Lines name the host with other keys, of whatever type; this is the last of them.
    Changed(Source),
    /// A line revokes the key, or the authority that signed the host's certificate.
    Revoked(Source),
}

/// A line that is about a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub source: Source,
    /// What it says of the key.
    pub meaning: Meaning,
    /// The line names the host without its port, which is not 22: it counts where those with the port settle nothing.
    pub is_without_port: bool,
    /// The type of the key, as `ssh-ed25519`.
    pub key_type: String,
    /// SHA-256 of the key.
    pub fingerprint: String,
}

/// What a line says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is the host's.
    HostKey,
    /// It signs certificates of the host.
    Authority,
    /// It is never to be accepted.
    Revoked,
}

/// What is to be done with a host that presents a key or a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This line vouches for the host.
    Trusted(Source),
    /// The key is new; it is learned and accepted.
    Learn,
    /// `StrictHostKeyChecking no` accepts the host against this verdict, and then nothing may be sent to it that
    /// somebody in between could use: no password, no answer to a question.
    Unsafe(Verdict),
    /// `NoHostAuthenticationForLocalhost`: the host is this machine, and nobody asks.
    Localhost,
    /// The host is not accepted.
    Refused(Verdict),
}

impl Decision {
    /// What the files say, whatever is made of it.
    pub fn into_verdict(self) -> Verdict {
        match self {
            Self::Trusted(source) => Verdict::Known(source),
            Self::Learn | Self::Localhost => Verdict::Unknown,
            Self::Unsafe(verdict) | Self::Refused(verdict) => verdict,
        }
    }
}

/// What a host may show, as far as the lines about it tell such things apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MayShow {
    /// This key of a line.
    Key(PublicKey),
    /// A certificate that this authority of a line signed and that is valid for the host, of a key that no line has.
    CertifiedBy(PublicKey),
    /// Any other key, and a certificate of any other authority.
    OtherKey,
}

/// Far above the known_hosts of a fleet of 100000 machines; a file without an end is refused.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// More say nothing new.
const MAX_WARNINGS: usize = 100;

/// The types of host keys in the order in which OpenSSH asks for them, RSA never with SHA-1.
pub(crate) const HOST_KEY_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Several known_hosts files, parsed.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: Vec<(Source, Line)>,
    warnings: Vec<String>,
    /// Kinds of keys that are not had here, and how many lines hold such keys.
    other_kinds: BTreeMap<String, usize>,
}

/// The host that is asked about.
#[derive(Clone, Copy)]
struct HostQuery<'a> {
    /// Name and port as [`known_as`] gives them.
    host: &'a str,
    port: u16,
    /// How its certificates may be signed.
    algorithms: &'a AlgorithmLists,
}

/// What a host shows.
#[derive(Clone, Copy)]
enum Presented<'a> {
    Certificate(&'a Certificate),
    Key(&'a KeyData),
    /// A valid certificate of this authority, of a key that no line has.
    CertifiedBy(&'a KeyData),
    /// A key that no line has.
    NewKey,
}

/// What the lines for one name say of what a host shows.
enum Finding {
    Is(Verdict),
    /// The authority is trusted, and its certificate does not prove this host.
    Flawed,
}

impl HostQuery<'_> {
    /// Why the certificate does not count, its authority being trusted.
    fn flaw(&self, certificate: &Certificate) -> Option<&'static str> {
        certificate::flaw(certificate, self.host, self.algorithms, SystemTime::now())
    }

    /// Whether an authority with this key can sign in a way that counts.
    fn may_certify(&self, authority: &KeyData) -> bool {
        match authority.algorithm() {
            Algorithm::Rsa { .. } => [None, Some(HashAlg::Sha256), Some(HashAlg::Sha512)]
                .into_iter()
                .any(|hash| self.algorithms.may_certify(Algorithm::Rsa { hash }.as_str())),
            other => self.algorithms.may_certify(other.as_str()),
        }
    }
}

impl KnownHosts {
    /// Reads files in order. An absent one is empty; one that this account may not open is too, as for OpenSSH, with a
    /// warning. Blocks on the disk.
    ///
    /// OpenSSH passes over every file that does not open. Here any other reason (no descriptor left, a disk that
    /// fails) is an error: it may pass, and a changed key must not look like a new one meanwhile.
    ///
    /// # Errors
    /// [`scout_machine::ErrorKind::Config`] when a file cannot be opened for such a reason, cannot be read to its end or is
    /// larger than 64 MiB.
    pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Self, HostError> {
        let mut known = Self::default();
        for file in files {
            known.read(file.as_ref())?;
        }
        Ok(known)
    }

    fn read(&mut self, file: &Path) -> Result<(), HostError> {
        let bytes = match contents(file)? {
            Ok(bytes) => bytes,
            Err(why) => {
                self.warn(|| format!("{}: not read: {why}", file.display()));
                return Ok(());
            }
        };
        self.parse(file, &bytes);
        Ok(())
    }

    /// Adds the lines of one file.
    pub(crate) fn parse(&mut self, file: &Path, bytes: &[u8]) {
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            match Line::parse(line) {
                Ok(None) => {}
                Ok(Some(line)) => self.lines.push((Source { file: file.to_path_buf(), line: number }, line)),
                Err(Skipped::Bad(why)) => self.warn(|| format!("{}:{number}: {why}", file.display())),
                Err(Skipped::OtherKind(kind)) => {
                    // More kinds than there are warnings nobody has.
                    if self.other_kinds.len() < MAX_WARNINGS || self.other_kinds.contains_key(&kind) {
                        *self.other_kinds.entry(kind).or_default() += 1;
                    }
                }
            }
        }
    }

    fn warn(&mut self, warning: impl FnOnce() -> String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning());
        }
    }

    /// What the files say of `key` for this host and port, as [`known_as`] gives them.
    ///
    /// With a port other than 22 that is what lines for `[host]:port` say. If there are none, a line for the bare
    /// `host` makes the key known, and never changed or revoked.
    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let asked = HostQuery { host, port, algorithms: &AlgorithmLists::default() };
        self.decide_for(asked, None, Presented::Key(key.key_data()), StrictHostKeyChecking::Yes).into_verdict()
    }

    /// Whether this host is accepted with what it presents.
    ///
    /// A certificate that no trusted authority signed, or that is not valid for the host, counts as the plain key in it.
    /// Whether a key is long enough is not asked here: no line says so.
    pub fn decide(&self, spec: &HostSpec, presented: &PublicKeyOrCertificate) -> Decision {
        let ((host, port), key) = (known_as(spec), presented.public_key());
        let asked = HostQuery { host: &host, port, algorithms: &spec.algorithms };
        let certificate = presented.certificate().map(Presented::Certificate);
        self.decide_for(asked, certificate, Presented::Key(key.key_data()), spec.strict_host_key_checking)
    }

    /// Whether this host would be accepted, for each thing that it may show; [`MayShow::OtherKey`] comes last.
    pub fn decide_ahead(&self, spec: &HostSpec) -> Vec<(MayShow, Decision)> {
        let (host, port) = known_as(spec);
        let (names, strict) = (names(&host, port), spec.strict_host_key_checking);
        let asked = HostQuery { host: &host, port, algorithms: &spec.algorithms };
        let mut ahead = Vec::new();
        let mut tell = |shown, certificate, key| {
            if ahead.iter().all(|(known, _)| *known != shown) {
                ahead.push((shown, self.decide_for(asked, certificate, key, strict)));
            }
        };
        for (_, line) in self.lines.iter().filter(|(_, line)| names.iter().any(|name| line.names(name))) {
            let key = || PublicKey::from(line.key.clone());
            // An authority is trusted for what it signs only; what is revoked is so for both.
            if line.marker != Marker::CertAuthority {
                tell(MayShow::Key(key()), None, Presented::Key(&line.key));
            }
            if line.marker != Marker::None {
                tell(MayShow::CertifiedBy(key()), Some(Presented::CertifiedBy(&line.key)), Presented::NewKey);
            }
        }
        ahead.push((MayShow::OtherKey, self.decide_for(asked, None, Presented::NewKey, strict)));
        ahead
    }

    /// `key`: the plain key, of `certificate` the one in it.
    fn decide_for(
        &self,
        asked: HostQuery<'_>,
        certificate: Option<Presented<'_>>,
        key: Presented<'_>,
        strict: StrictHostKeyChecking,
    ) -> Decision {
        let lax = strict == StrictHostKeyChecking::No;
        let name = Name::new(asked.host, asked.port);
        for presented in certificate.into_iter().chain([key]) {
            match self.find(&name, asked, presented) {
                Finding::Is(Verdict::Known(source)) => return Decision::Trusted(source),
                Finding::Is(Verdict::Unknown) => {
                    if let Some(decision) = self.decide_without_port(asked, presented, key, lax) {
                        return decision;
                    }
                }
                Finding::Is(bad) if lax => return Decision::Unsafe(bad),
                Finding::Is(bad) => return Decision::Refused(bad),
                Finding::Flawed => {}
            }
        }
        match strict {
            StrictHostKeyChecking::Yes => Decision::Refused(Verdict::Unknown),
            StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No => Decision::Learn,
        }
    }

    /// OpenSSH's second look for a host that is not known with its port. A key that is known there by another is just
    /// not known, and so is a revoked one unless nothing is checked.
    fn decide_without_port(
        &self,
        asked: HostQuery<'_>,
        presented: Presented<'_>,
        key: Presented<'_>,
        lax: bool,
    ) -> Option<Decision> {
        let name = Name::without_port(asked.host, asked.port)?;
        let is_certificate = matches!(presented, Presented::Certificate(_) | Presented::CertifiedBy(_));
        let plain = is_certificate.then_some(key);
        for presented in [presented].into_iter().chain(plain) {
            match self.find(&name, asked, presented) {
                Finding::Is(Verdict::Known(source)) => return Some(Decision::Trusted(source)),
                Finding::Is(revoked @ Verdict::Revoked(_)) => return lax.then_some(Decision::Unsafe(revoked)),
                Finding::Is(Verdict::Changed(_)) => return None,
                Finding::Is(Verdict::Unknown) | Finding::Flawed => {}
            }
        }
        None
    }

    fn find(&self, name: &Name, asked: HostQuery<'_>, presented: Presented<'_>) -> Finding {
        if let Some(source) = self.revoked(name, presented) {
            return Finding::Is(Verdict::Revoked(source.clone()));
        }
        let (authority, is_good) = match presented {
            Presented::Certificate(certificate) => (certificate.signature_key(), asked.flaw(certificate).is_none()),
            Presented::CertifiedBy(authority) => (authority, asked.may_certify(authority)),
            Presented::Key(key) => return Finding::Is(self.find_key(name, Some(key))),
            Presented::NewKey => return Finding::Is(self.find_key(name, None)),
        };
        match self.authority(name, authority) {
            None => Finding::Is(Verdict::Unknown),
            Some(_) if !is_good => Finding::Flawed,
            Some(source) => Finding::Is(Verdict::Known(source.clone())),
        }
    }

    /// `key`: absent if no line has it.
    fn find_key(&self, name: &Name, key: Option<&KeyData>) -> Verdict {
        let mut verdict = Verdict::Unknown;
        for (source, line) in self.marked(name, Marker::None) {
            if Some(&line.key) == key && !line.is_certificate {
                return Verdict::Known(source.clone());
            }
            verdict = Verdict::Changed(source.clone());
        }
        verdict
    }

    /// The line that revokes the key, or of a certificate its key or its authority.
    fn revoked(&self, name: &Name, presented: Presented<'_>) -> Option<&Source> {
        let is_meant = |key: &KeyData| match presented {
            Presented::Key(own) => own == key,
            Presented::Certificate(own) => own.public_key() == key || own.signature_key() == key,
            Presented::CertifiedBy(authority) => authority == key,
            Presented::NewKey => false,
        };
        self.marked(name, Marker::Revoked).find(|(_, line)| is_meant(&line.key)).map(|(source, _)| source)
    }

    /// The line that trusts the authority with this key.
    fn authority(&self, name: &Name, key: &KeyData) -> Option<&Source> {
        self.marked(name, Marker::CertAuthority).find(|(_, line)| line.key == *key).map(|(source, _)| source)
    }

    /// Why this certificate of a trusted authority does not count for the host, for messages.
    pub(crate) fn flaw(&self, spec: &HostSpec, certificate: &Certificate) -> Option<&'static str> {
        let (host, port) = known_as(spec);
        let authority = certificate.signature_key();
        let is_trusted = names(&host, port).iter().any(|name| self.authority(name, authority).is_some());
        HostQuery { host: &host, port, algorithms: &spec.algorithms }.flaw(certificate).filter(|_| is_trusted)
    }

    /// The lines about this host and port, as [`known_as`] gives them, in the files' order; with a port other than 22
    /// those without a port too.
    pub fn entries(&self, host: &str, port: u16) -> Vec<Entry> {
        let with_port = Name::new(host, port);
        let about = |line: &Line| names(host, port).iter().any(|name| line.names(name));
        let lines = self.lines.iter().filter(|(_, line)| about(line));
        lines.map(|(source, line)| entry(source, line, !line.names(&with_port))).collect()
    }

    /// The algorithms to ask for before all others, because the files hold such keys for this host; in OpenSSH's order.
    /// Empty if its usual order is right: if they hold no key for the host, or one of the type that comes first.
    ///
    /// An RSA key stands for `rsa-sha2-512` and `rsa-sha2-256`, never for `ssh-rsa`, which is SHA-1.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let name = Name::new(host, port);
        match HOST_KEY_ALGORITHMS.first() {
            Some(first) if self.has_key_of(&name, first) => Vec::new(),
            _ => HOST_KEY_ALGORITHMS.into_iter().filter(|algorithm| self.has_key_of(&name, algorithm)).collect(),
        }
    }

    /// The certificates to ask for before any plain key, each by the algorithm of the key in it.
    ///
    /// OpenSSH asks for certificates always. If the files hold keys of the host and no authority, it asks for
    /// certificates of other types after those keys; that order cannot be asked for here, and they are left out.
    pub fn certificate_algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let has_authority = self.marked(&Name::new(host, port), Marker::CertAuthority).next().is_some();
        match self.algorithms(host, port) {
            known if !known.is_empty() && !has_authority => known,
            _ => HOST_KEY_ALGORITHMS.to_vec(),
        }
    }

    /// As OpenSSH, judges by the first key of the type: if that one is revoked, the host has none.
    fn has_key_of(&self, name: &Name, algorithm: &Algorithm) -> bool {
        let mut lines = self
            .marked(name, Marker::None)
            .filter(|(_, line)| !line.is_certificate && is_same_type(&line.key.algorithm(), algorithm));
        lines.next().is_some_and(|(_, line)| self.revoked(name, Presented::Key(&line.key)).is_none())
    }

    /// Files that were not read, as `file: why`, and lines that could not be read, as `file:line: why`; the first
    /// hundred.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The kinds of keys that Scout does not have, and how many lines hold such keys: they trust nobody, and are no trouble.
    pub fn other_kinds(&self) -> impl Iterator<Item = (&str, usize)> {
        self.other_kinds.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    fn marked(&self, name: &Name, marker: Marker) -> impl Iterator<Item = &(Source, Line)> {
        self.lines.iter().filter(move |(_, line)| line.marker == marker && line.names(name))
    }
}

fn entry(source: &Source, line: &Line, is_without_port: bool) -> Entry {
    Entry {
        source: source.clone(),
        meaning: match line.marker {
            Marker::None => Meaning::HostKey,
            Marker::CertAuthority => Meaning::Authority,
            Marker::Revoked => Meaning::Revoked,
        },
        is_without_port,
        key_type: line.key.algorithm().to_string(),
        fingerprint: line.key.fingerprint(HashAlg::Sha256).to_string(),
    }
}

/// The names by which a host is looked for, in order.
fn names(host: &str, port: u16) -> Vec<Name> {
    [Some(Name::new(host, port)), Name::without_port(host, port)].into_iter().flatten().collect()
}

/// Whether both are of the same type of key; how RSA signs does not count.
pub(crate) fn is_same_type(one: &Algorithm, other: &Algorithm) -> bool {
    matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || one == other
}

/// A file's bytes, empty if it is absent; `Ok(Err)` says why it was passed over. `/dev/null` is a customary name for "no
/// file".
fn contents(path: &Path) -> Result<Result<Vec<u8>, String>, HostError> {
    let error = match local_file::open(path) {
        Ok(file) => return bytes_of(file, path).map(Ok),
        Err(FileError::Io(error)) => error,
        Err(special @ (FileError::Special(_) | FileError::Exposed { .. })) => return Ok(Err(special.to_string())),
    };
    match error.kind() {
        IoErrorKind::NotFound | IoErrorKind::NotADirectory => Ok(Ok(Vec::new())),
        IoErrorKind::PermissionDenied => Ok(Err(error.to_string())),
        _ => Err(unreadable(path, &error.to_string())),
    }
}

/// What is left of an open file; `path` is for the message.
fn bytes_of(file: impl Read, path: &Path) -> Result<Vec<u8>, HostError> {
    local_file::read_to_end(file, MAX_FILE_BYTES).map_err(|error| unreadable(path, &error.to_string()))
}

fn unreadable(path: &Path, why: &str) -> HostError {
    HostError::new(ErrorKind::Config, format!("cannot read {}: {why}", path.display()))
}
