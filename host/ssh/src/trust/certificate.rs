//! Hosts' certificates: whether one counts for a host.
//!
//! Owns what a certificate itself says. Which authorities are trusted, and what is revoked, the lines of known_hosts say.

use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;

use super::line::is_too_short;
use crate::config::{AlgorithmLists, MIN_RSA_BITS, pattern};

/// OpenSSH reads no certificate with more.
const MAX_PRINCIPALS: usize = 256;

/// Checks what OpenSSH checks of any certificate that it reads: the authority's signature and the sizes.
///
/// # Errors
/// What is wrong: such a certificate is no certificate, and the key in it is not to be looked at.
pub(crate) fn intact(certificate: &Certificate) -> Result<(), &'static str> {
    if [certificate.public_key(), certificate.signature_key()].iter().any(|key| is_too_short(key, MIN_RSA_BITS)) {
        return Err("the certificate has an RSA key that is too short");
    }
    if certificate.valid_principals().len() > MAX_PRINCIPALS {
        return Err("the certificate has too many principals");
    }
    // Says nothing about whether the authority is trusted.
    certificate.verify_signature().map_err(|_| "the certificate's signature is wrong")
}

/// Why the certificate does not prove to be `host`, its authority being trusted; `None` if it does.
///
/// `algorithms` say how it may be signed. As OpenSSH since 10.3: a principal may be a pattern, and a certificate without
/// principals is good for no host.
pub(super) fn flaw(
    certificate: &Certificate,
    host: &str,
    algorithms: &AlgorithmLists,
    now: SystemTime,
) -> Option<&'static str> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let principals = certificate.valid_principals();
    if certificate.cert_type() != CertType::Host {
        Some("it is not a host's")
    } else if now < certificate.valid_after() {
        Some("it is not valid yet")
    } else if now >= certificate.valid_before() {
        Some("it has expired")
    } else if principals.is_empty() {
        Some("it names no host")
    } else if !principals.iter().any(|principal| pattern::matches(host, principal)) {
        Some("it is for another host")
    } else if !certificate.critical_options().is_empty() {
        Some("it has critical options")
    } else if !algorithms.may_certify(certificate.signature().algorithm().as_str()) {
        Some("CASignatureAlgorithms does not name how it is signed")
    } else {
        None
    }
}
