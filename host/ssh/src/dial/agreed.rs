//! What a handshake came to, in the words of the contract (`inventory.handshake`).
//!
//! Owns the words. What a server chose of it is made harmless here, and bounded. The first exchange of keys counts: only it tells whether it was
//! strict, and later ones agree on the same.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use russh::compression::Compression;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use scout_machine::{Handshake, line};

/// Kept of each thing that a server says: an identification has 255 bytes (RFC 4253 §4.2).
const MAX_VALUE: usize = 255;
/// What begins the name of a key exchange that a quantum computer does not break: hybrids of ML-KEM (FIPS 203) or Streamlined NTRU Prime.
const POST_QUANTUM: [&str; 2] = ["mlkem", "sntrup"];

/// In the names of ciphers that authenticate what they encrypt.
const AUTHENTICATED: [&str; 2] = ["-gcm", "poly1305"];

type Facts = Vec<(&'static str, String)>;

/// What was agreed on so far; shared with the verifier that sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agreed {
    shown: Arc<OnceLock<Facts>>,
    names: Arc<OnceLock<Facts>>,
}

impl Agreed {
    /// The host has shown this key or certificate, which was accepted.
    pub(super) fn show(&self, presented: &PublicKeyOrCertificate) {
        let key = presented.public_key();
        let mut facts = vec![("host-key-fingerprint", key.fingerprint(HashAlg::Sha256).to_string())];
        facts.extend(bits(&key).map(|bits| ("host-key-bits", bits.to_string())));
        facts.extend(presented.certificate().into_iter().flat_map(certified));
        // The first one counts.
        let _ = self.shown.set(facts);
    }

    /// Keys were exchanged.
    pub(super) fn agree(&self, names: &russh::Names) {
        let said = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let exchange = names.kex.as_ref().to_owned();
        let is_plain = matches!(names.server_compression, Compression::None);
        let compression = if is_plain { "none" } else { "zlib" };
        let mut facts = vec![
            ("post-quantum", said(POST_QUANTUM.iter().any(|known| exchange.starts_with(known)))),
            ("key-exchange", exchange),
            ("strict-key-exchange", said(names.strict_kex())),
            ("host-key", names.key.to_string()),
            ("cipher", names.cipher.as_ref().to_owned()),
            ("compression", compression.to_owned()),
        ];
        // One is agreed on beside ciphers that have their own, and used by none of them.
        let cipher = names.cipher.as_ref();
        let is_used = !AUTHENTICATED.iter().any(|known| cipher.contains(known));
        facts.extend(is_used.then(|| ("mac", names.server_mac.as_ref().to_owned())));
        let _ = self.names.set(facts);
    }

    /// All of it, with how the server named itself.
    pub(super) fn handshake(&self, identification: Option<String>) -> Handshake {
        let identification = identification.map(|name| ("identification", name));
        let facts = [&self.shown, &self.names].into_iter().filter_map(|facts| facts.get()).flatten().cloned();
        let facts = facts.chain(identification);
        Handshake {
            facts: facts.map(|(word, value)| (Cow::Borrowed(word), line(value.as_bytes(), MAX_VALUE))).collect(),
        }
    }
}

/// How long a key is, where keys of its type differ in that.
fn bits(key: &PublicKey) -> Option<u32> {
    match (key.key_data(), key.algorithm()) {
        (KeyData::Rsa(rsa), _) => Some(integer_bits(rsa.n().as_positive_bytes()?)),
        (KeyData::Dsa(dsa), _) => Some(integer_bits(dsa.p().as_positive_bytes()?)),
        (_, Algorithm::Ecdsa { curve }) => curve.as_str().strip_prefix("nistp")?.parse().ok(),
        _ => None,
    }
}

/// Bits of a number that is written without zeros in front.
fn integer_bits(bytes: &[u8]) -> u32 {
    let first = bytes.first().map_or(0, |first| first.leading_zeros());
    u32::try_from(bytes.len() * 8).unwrap_or(u32::MAX).saturating_sub(first)
}

fn certified(certificate: &Certificate) -> Facts {
    let mut facts = vec![
        ("certificate-id", certificate.key_id().to_owned()),
        ("certificate-authority", certificate.signature_key().fingerprint(HashAlg::Sha256).to_string()),
    ];
    let (after, before) = (certificate.valid_after(), certificate.valid_before());
    facts.extend((after > 0).then(|| ("certificate-valid-after", after.to_string())));
    // Without end: what `ssh-keygen` calls `forever`.
    facts.extend((before < i64::MAX.unsigned_abs()).then(|| ("certificate-valid-before", before.to_string())));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_number() {
        for (bytes, bits) in [(&[][..], 0), (&[1], 1), (&[0x80, 0], 16), (&[0x7f, 0xff], 15)] {
            assert_eq!(integer_bits(bytes), bits, "{bytes:?}");
        }
    }

    #[test]
    fn what_a_server_says_is_bounded_and_visible() {
        let agreed = Agreed::default();
        let hostile = format!("SSH-2.0-\u{1b}[2J\u{202e}{}", "x".repeat(5000));
        let _ = agreed.shown.set(vec![("certificate-id", hostile.clone())]);
        let told = agreed.handshake(Some(hostile));
        for value in told.facts.values() {
            assert!(value.len() < 300 && !value.contains(['\u{1b}', '\u{202e}']), "{value}");
        }
    }
}
