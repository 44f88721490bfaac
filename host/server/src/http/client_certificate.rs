//! The certificate of a client: whom it names, looked at anew for each request.
//!
//! Owns that a certificate is never good because it was: with each request its chain, its times and the list of those that were revoked are
//! held against the files as they are now. What it names is its alternative names (RFC 5280 §4.2.1.6), written as openssl does; its subject
//! is for people.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::tls::Tls;

/// A certificate whose key the other end of a connection has.
#[derive(Clone)]
pub(super) struct ClientCertificate {
    tls: Arc<Tls>,
    chain: Arc<[CertificateDer<'static>]>,
    names: Arc<[String]>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ClientCertificate {
    /// What a client has shown in its handshake: its own first.
    pub(super) fn new(tls: &Arc<Tls>, chain: &[CertificateDer<'_>]) -> Option<Self> {
        let names = names(chain.first()?).unwrap_or_default();
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Self { tls: Arc::clone(tls), chain, names: names.into() })
    }

    /// Whether it is good now.
    pub(super) fn is_good(&self) -> bool {
        self.tls.verifies(&self.chain)
    }

    /// Whom it names: `URI:…`, `DNS:…`, `email:…`.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

/// One element of DER: its tag, what is in it, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

/// The elements one after the other.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, value, rest) = element(bytes)?;
        bytes = rest;
        Some((tag, value))
    })
}

/// The first element, if it has this tag.
fn inside(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    element(bytes).filter(|(found, ..)| *found == tag).map(|(_, value, _)| value)
}

/// The alternative names of a certificate that was verified.
fn names(certificate: &[u8]) -> Option<Vec<String>> {
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    const EXTENSIONS: u8 = 0xa3;
    const ALTERNATIVE_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x11];
    let signed = inside(inside(certificate, SEQUENCE)?, SEQUENCE)?;
    let (_, extensions) = elements(signed).find(|(tag, _)| *tag == EXTENSIONS)?;
    let (_, extension) =
        elements(inside(extensions, SEQUENCE)?).find(|(_, extension)| extension.starts_with(ALTERNATIVE_NAME))?;
    let (_, octets) = elements(extension).find(|(tag, _)| *tag == OCTETS)?;
    let named = elements(inside(octets, SEQUENCE)?).filter_map(|(tag, name)| {
        let kind = match tag {
            0x81 => "email",
            0x82 => "DNS",
            0x86 => "URI",
            _ => return None,
        };
        let name = name.iter().all(u8::is_ascii_graphic).then(|| String::from_utf8_lossy(name))?;
        Some(format!("{kind}:{name}"))
    });
    Some(named.collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn of_alternative_names_those_of_three_kinds_are_read_and_nothing_that_is_cut_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("certificate.pem");
        let long = format!("URI:spiffe://example.org/{}", "x".repeat(300));
        let all = format!("DNS:agent.example.org,IP:192.0.2.1,email:ann@example.org,{long}");
        let mut openssl = std::process::Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "-",
        ]);
        openssl.args(["-subj", "/CN=local", "-addext", &format!("subjectAltName=critical,{all}"), "-out"]).arg(&path);
        assert!(openssl.output().unwrap().status.success());
        let certificate = CertificateDer::from_pem_file(&path).unwrap();
        assert_eq!(names(&certificate).unwrap(), ["DNS:agent.example.org", "email:ann@example.org", &long]);
        for length in 0..certificate.len() {
            let cut = certificate.get(..length).unwrap();
            assert!(names(cut).is_none_or(|names| names.is_empty()), "{length}");
        }
        // A byte that nobody would compare as it is shown.
        let mut odd = certificate.to_vec();
        let at = odd.windows(3).position(|bytes| bytes == b"ann").unwrap();
        *odd.get_mut(at).unwrap() = 0;
        assert_eq!(names(&odd).unwrap(), ["DNS:agent.example.org", &long]);
    }
}
