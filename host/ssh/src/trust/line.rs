//! One line of known_hosts.
//!
//! Owns the format: markers, names plain and hashed, the key. Does not know which lines win.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use crate::config::pattern;

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
    /// Lowercased patterns, some with a `!`.
    Patterns(Vec<String>),
    /// HMAC-SHA1 of one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// A line with a key.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) marker: Marker,
    names: Names,
    pub(super) key: PublicKey,
}

/// What stands in front of a hashed name; `1` is HMAC-SHA1.
const HASH_MAGIC: &str = "|1|";
/// Of a SHA-1 digest, and of the salt that OpenSSH makes.
const HASH_BYTES: usize = 20;

const BLANKS: [char; 2] = [' ', '\t'];

impl Line {
    /// Reads one line; `None` for an empty line and a comment.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        let mut rest = text.trim_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(None);
        }
        let mut marker = Marker::None;
        while rest.starts_with('@') {
            let (word, after) = word(rest);
            marker = match (marker, word) {
                (Marker::None, "@revoked") => Marker::Revoked,
                (Marker::None, "@cert-authority") => Marker::CertAuthority,
                (Marker::None, _) => return Err("unknown marker"),
                _ => return Err("more than one marker"),
            };
            rest = after;
        }
        let (names, rest) = word(rest);
        let names = Names::parse(names)?;
        let (algorithm, rest) = word(rest);
        if algorithm.is_empty() || algorithm.starts_with('#') {
            return Err("has no key");
        }
        let (blob, _comment) = word(rest);
        if blob.is_empty() {
            return Err("has no key");
        }
        let blob = STANDARD.decode(blob).map_err(|_| "the key is not base64")?;
        let key = PublicKey::from_bytes(&blob).map_err(|_| "the key cannot be read")?;
        match key.algorithm() {
            Algorithm::Other(_) => Err("unknown key type"),
            known if known.as_str() != algorithm => Err("the key is not of the type that the line says"),
            _ => Ok(Some(Self { marker, names, key })),
        }
    }

    /// Whether the line names this host, as [`name`] writes it.
    pub(super) fn names(&self, name: &str) -> bool {
        match &self.names {
            Names::Patterns(patterns) => pattern::matches_list(name, patterns.iter().map(String::as_str)),
            Names::Hashed { salt, hash } => digest(salt, name).is_some_and(|d| d == *hash),
        }
    }
}

impl Names {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('|') {
            return Ok(Self::Patterns(text.to_ascii_lowercase().split(',').map(str::to_owned).collect()));
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

/// A host as known_hosts names it: lowercase, with the port if that is not 22.
pub(super) fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// A name hashed with a fresh salt.
///
/// # Errors
/// If there are no random bytes.
pub(super) fn hashed(name: &str) -> Result<String, &'static str> {
    let mut salt = [0; HASH_BYTES];
    getrandom::fill(&mut salt).map_err(|_| "there are no random bytes")?;
    let hash = digest(&salt, name).ok_or("the name cannot be hashed")?;
    Ok(format!("{HASH_MAGIC}{}|{}", STANDARD.encode(salt), STANDARD.encode(hash)))
}

fn digest(salt: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}
