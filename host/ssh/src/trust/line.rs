//! One line of known_hosts.
//!
//! Owns the format: markers, names plain and hashed, the key. Does not know which lines win. Whatever OpenSSH skips is
//! skipped, with the reason.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use super::name::Name;
use super::{certificate, is_same_type};
use crate::config::{MIN_RSA_BITS, pattern};

/// What an `@` word in front of the names says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// There is none: the key is a host's.
    None,
    /// The key is never to be accepted.
    Revoked,
    /// The key signs hosts' certificates and is no host's itself.
    CertAuthority,
}

/// Whom a line is about.
#[derive(Clone, Debug)]
enum Names {
    /// Lowercased patterns, some with a `!`, a character for each byte.
    Patterns(Vec<String>),
    /// HMAC-SHA1 of one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// Why a line trusts nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// It cannot be read: whoever wrote it meant something else.
    Bad(&'static str),
    /// It is in order, and holds a key of a kind that is not had here. OpenSSH skips those that it does not have without
    /// a word, and newer versions write lines that older ones do not know.
    OtherKind(String),
}

impl From<&'static str> for Skipped {
    fn from(why: &'static str) -> Self {
        Self::Bad(why)
    }
}

/// A line with a key.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) marker: Marker,
    names: Names,
    /// Of a certificate, the key in it.
    pub(super) key: KeyData,
    /// The line holds a certificate: no plain key equals it.
    pub(super) is_certificate: bool,
}

/// What stands in front of a hashed name; `1` is HMAC-SHA1.
const HASH_MAGIC: &str = "|1|";
/// Of a SHA-1 digest, and of the salt that OpenSSH makes.
const HASH_BYTES: usize = 20;
/// OpenSSH's buffer for one pattern: one that does not fit makes its whole line match nothing.
const MAX_PATTERN_BYTES: usize = 1022;
/// A certificate has one; each that is nested in another has one more. Decoding recurses, so their number is bounded.
const CERTIFICATE_NAME: &[u8] = b"-cert-v01@";
const MAX_CERTIFICATE_NAMES: usize = 8;

const BLANKS: [char; 2] = [' ', '\t'];

impl Line {
    /// Reads one line, without its newline; `None` for an empty line and a comment.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn parse(line: &[u8]) -> Result<Option<Self>, Skipped> {
        // As C does: a NUL ends the line, and all the rest is bytes without an encoding.
        let text: String = line.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        let mut rest = text.trim_start_matches(BLANKS);
        // A lone \r is what Windows leaves of an empty line.
        if rest.is_empty() || rest == "\r" || rest.starts_with('#') {
            return Ok(None);
        }
        let mut marker = Marker::None;
        while rest.starts_with('@') {
            if marker != Marker::None {
                return Err("more than one marker".into());
            }
            (marker, rest) = Marker::parse(rest)?;
        }
        let (names, rest) = word(rest);
        let names = Names::parse(names)?;
        let (key_type, rest) = word(rest);
        let (blob, _comment) = word(rest);
        if key_type.is_empty() || key_type.starts_with('#') || blob.is_empty() {
            return Err("has no key".into());
        }
        if is_of_other_kind(key_type, blob) {
            return Err(Skipped::OtherKind(key_type.to_owned()));
        }
        let (key, is_certificate) = key(key_type, blob)?;
        Ok(Some(Self { marker, names, key, is_certificate }))
    }

    /// Whether the line names this host.
    pub(super) fn names(&self, name: &Name) -> bool {
        match &self.names {
            Names::Patterns(patterns) => {
                pattern::matches_bytewise_list(name.bytewise(), patterns.iter().map(String::as_str))
            }
            Names::Hashed { salt, hash } => digest(salt, name.text()).is_some_and(|d| d == *hash),
        }
    }
}

impl Marker {
    /// A marker ends at the first space of the whole line, and at a tab only if there is no space at all: so OpenSSH
    /// reads it, and so `@revoked<tab>host ssh-rsa …` revokes nothing.
    fn parse(text: &str) -> Result<(Self, &str), &'static str> {
        let end = text.find(' ').or_else(|| text.find('\t')).ok_or("has no key")?;
        let (word, rest) = text.split_at(end);
        let marker = match word {
            "@revoked" => Self::Revoked,
            "@cert-authority" => Self::CertAuthority,
            _ if word.contains('\t') => return Err("OpenSSH ignores a marker that a tab ends; put a space behind it"),
            _ => return Err("unknown marker"),
        };
        Ok((marker, rest.trim_start_matches(BLANKS)))
    }
}

impl Names {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('|') {
            let patterns: Vec<String> = text.to_ascii_lowercase().split(',').map(str::to_owned).collect();
            // A character is a byte here; `!` takes no room in OpenSSH's buffer.
            let length = |pattern: &String| pattern.strip_prefix('!').unwrap_or(pattern).chars().count();
            return match patterns.iter().any(|pattern| length(pattern) > MAX_PATTERN_BYTES) {
                true => Err("a name is too long"),
                false => Ok(Self::Patterns(patterns)),
            };
        }
        let (salt, hash) =
            text.strip_prefix(HASH_MAGIC).and_then(|s| s.split_once('|')).ok_or("the hashed name cannot be read")?;
        let decode = |text| STANDARD.decode(text).ok().filter(|bytes| bytes.len() == HASH_BYTES);
        match (decode(salt), decode(hash)) {
            (Some(salt), Some(hash)) => Ok(Self::Hashed { salt, hash }),
            _ => Err("the hashed name cannot be read"),
        }
    }
}

/// The next word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_at(text.find(BLANKS).unwrap_or(text.len()));
    (word, rest.trim_start_matches(BLANKS))
}

/// The algorithm of a type of key that is had here, and whether the type is a certificate's.
fn algorithm(key_type: &str) -> Option<(Algorithm, bool)> {
    let known = |algorithm: Algorithm| (!matches!(algorithm, Algorithm::Other(_))).then_some(algorithm);
    let plain = Algorithm::new(key_type).ok().and_then(known);
    let certified = || Algorithm::new_certificate(key_type).ok().and_then(known);
    plain.map(|algorithm| (algorithm, false)).or_else(|| certified().map(|algorithm| (algorithm, true)))
}

/// The bytes of a key. White space other than blanks, as the \r of a line from Windows, is no part of base64 and is passed
/// over.
fn decoded(blob: &str) -> Option<Vec<u8>> {
    let digits: String = blob.chars().filter(|c| !matches!(c, '\r' | '\x0b' | '\x0c')).collect();
    STANDARD.decode(digits).ok()
}

/// Whether it is a key that says of itself that it is of this type, and the type is not had here.
fn is_of_other_kind(key_type: &str, blob: &str) -> bool {
    let says_so = |blob: Vec<u8>| {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        Some(name == key_type.as_bytes() && rest.len() > name.len())
    };
    algorithm(key_type).is_none() && decoded(blob).and_then(says_so).unwrap_or(false)
}

/// The key of a type and its base64, and whether it is a certificate's.
fn key(key_type: &str, blob: &str) -> Result<(KeyData, bool), &'static str> {
    let (algorithm, is_certificate) = algorithm(key_type).ok_or("unknown key type")?;
    let blob = decoded(blob).ok_or("the key is not base64")?;
    if is_nested_too_deep(&blob) {
        return Err("the key cannot be read");
    }
    let key = KeyData::from(PublicKey::from_bytes(&blob).map_err(|_| "the key cannot be read")?);
    // The type's name may say how an RSA key signs (rsa-sha2-512); the key itself does not.
    if !is_same_type(&key.algorithm(), &algorithm) || key.is_certificate() != is_certificate {
        return Err("the key is not of the type that the line says");
    }
    let key = match key {
        KeyData::Certificate(certificate) => {
            certificate::intact(&certificate)?;
            certificate.public_key().clone()
        }
        plain => plain,
    };
    if is_too_short(&key, MIN_RSA_BITS) {
        return Err("the RSA key is too short");
    }
    Ok((key, is_certificate))
}

/// Whether decoding a key or certificate would recurse too deep: it is not to be tried.
pub(crate) fn is_nested_too_deep(blob: &[u8]) -> bool {
    blob.windows(CERTIFICATE_NAME.len()).filter(|bytes| *bytes == CERTIFICATE_NAME).count() > MAX_CERTIFICATE_NAMES
}

/// Whether it is an RSA key of fewer bits than are required, or than OpenSSH takes at all.
pub(crate) fn is_too_short(key: &KeyData, required_bits: u32) -> bool {
    let required = usize::try_from(required_bits.max(MIN_RSA_BITS)).unwrap_or(usize::MAX);
    let bits = |bytes: &[u8]| match bytes.first() {
        Some(first) => bytes.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0),
        None => 0,
    };
    key.rsa().is_some_and(|rsa| rsa.n().as_positive_bytes().map_or(0, bits) < required)
}

/// A name hashed with a fresh salt.
///
/// # Errors
/// If no random numbers are available.
pub(super) fn hashed(name: &str) -> Result<String, &'static str> {
    let mut salt = [0; HASH_BYTES];
    getrandom::fill(&mut salt).map_err(|_| "no random numbers are available")?;
    let hash = digest(&salt, name).ok_or("the name cannot be hashed")?;
    Ok(format!("{HASH_MAGIC}{}|{}", STANDARD.encode(salt), STANDARD.encode(hash)))
}

fn digest(salt: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}
