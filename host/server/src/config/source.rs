//! Where a component comes from, and which bytes it must be.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

/// The longest source, in bytes.
const MAX_SOURCE: usize = 2048;

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Scout brings it along.
    Bundled,
    /// A file.
    File(PathBuf),
    /// A web server.
    Https(Url),
    /// A registry of container images.
    Oci(OciReference),
}

impl Source {
    /// Whether its bytes come over a network.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Https(_) | Self::Oci(_))
    }

    /// The same, with the file's place made clear.
    #[must_use]
    pub fn relative_to(self, place: impl Fn(&Path) -> PathBuf) -> Self {
        match self {
            Self::File(path) => Self::File(place(&path)),
            other => other,
        }
    }
}

/// `bundled`, `https://…`, `oci://…`, else a file.
impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_SOURCE || text.chars().any(char::is_control) {
            return Err(format!("a source is 1 to {MAX_SOURCE} bytes without control characters"));
        }
        if text == "bundled" {
            return Ok(Self::Bundled);
        }
        match text.split_once("://") {
            None => Ok(Self::File(PathBuf::from(text))),
            Some(("https" | "http", _)) => {
                let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
                check_url(&url)?;
                if url.query().is_some() || url.fragment().is_some() {
                    return Err(format!(
                        "{text:?}: a source cannot have `?` or `#`: its signature is at the same URL with .sig"
                    ));
                }
                Ok(Self::Https(url))
            }
            Some(("oci", reference)) => reference.parse().map(Self::Oci),
            Some((scheme, _)) => Err(format!("{scheme:?} is not a kind of source: give a file, https:// or oci://")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Https(url) => write!(f, "{url}"),
            Self::Oci(reference) => write!(f, "oci://{reference}"),
        }
    }
}

/// Whether Scout may ask this URL for anything.
///
/// # Errors
/// Why not.
pub(crate) fn check_url(url: &Url) -> Result<(), String> {
    let is_good = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    };
    if !is_good {
        return Err(format!("{url} is not https (http is for loopback addresses only)"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL cannot have a user or a password in it: every log would show them".to_owned());
    }
    Ok(())
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `REGISTRY/REPOSITORY:TAG`, `REGISTRY/REPOSITORY@sha256:…`, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciReference {
    /// Host and perhaps port, as written.
    pub registry: String,
    /// The path in it.
    pub repository: String,
    /// A name that may move.
    pub tag: Option<String>,
    /// The manifest's digest.
    pub digest: Option<Digest>,
}

impl FromStr for OciReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            |why: &str| format!("oci://{text}: {why}; it is written oci://REGISTRY/REPOSITORY:TAG or …@sha256:DIGEST");
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let hex = digest.strip_prefix("sha256:").ok_or_else(|| refused("the digest is not sha256"))?;
                (name, Some(hex.parse().map_err(|why: String| refused(&why))?))
            }
            None => (text, None),
        };
        let (registry, path) = name.split_once('/').ok_or_else(|| refused("the repository is missing"))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        let url = Url::parse(&format!("https://{registry}/")).ok();
        let is_host = url.is_some_and(|url| url.path() == "/" && url.username().is_empty() && url.password().is_none())
            && registry.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        if !is_host {
            return Err(refused("the registry is not a host"));
        }
        // The grammar of the distribution specification.
        let is_part = |part: &str| {
            part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        };
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(refused("the repository has characters that are not allowed"));
        }
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len())
                && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !tag.starts_with(['.', '-'])
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refused("the tag has characters that are not allowed"));
        }
        if tag.is_none() && digest.is_none() {
            return Err(refused("it has neither tag nor digest"));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@sha256:{digest}"),
            None => Ok(()),
        }
    }
}

/// The SHA-256 of some bytes, in small hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// It as bytes.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (pairs, _) = self.0.as_bytes().as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
            *byte = digit(high) << 4 | digit(low);
        }
        bytes
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err("a sha256 is 64 digits of 0-9 a-f, as `sha256sum FILE` prints".to_owned());
        }
        Ok(Self(hex.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_source_is_told_apart_and_written_as_it_was() {
        let hex = "0".repeat(64);
        for text in [
            "bundled",
            "plugins/mine.wasm",
            "https://example.org/mine.wasm",
            "http://127.0.0.1:8080/mine.wasm",
            "oci://ghcr.io/team/mine:1.2",
            &format!("oci://localhost:5000/mine@sha256:{hex}"),
            &format!("oci://[::1]:5000/a/b/c:latest@sha256:{hex}"),
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_source_that_is_not_safe_or_makes_no_sense_is_refused() {
        for (text, says) in [
            ("http://example.org/mine.wasm", "not https"),
            ("http://127.0.0.1.example.org/mine.wasm", "not https"),
            ("https://user:secret@example.org/mine.wasm", "user or a password"),
            ("https://example.org/mine.wasm?token=x", "cannot have `?`"),
            ("ftp://example.org/mine.wasm", "not a kind of source"),
            ("oci://ghcr.io", "repository is missing"),
            ("oci://ghcr.io/mine", "neither tag nor digest"),
            ("oci://ghcr.io/../mine:1", "repository has characters"),
            ("oci://ghcr.io/mine:a b", "tag has characters"),
            ("oci://user@ghcr.io/mine:1", "not sha256"),
            ("oci://ghcr.io/mine@sha256:abc", "64 digits"),
            ("oci://gh?cr.io/mine:1", "not a host"),
            ("", "1 to 2048"),
        ] {
            let refusal = text.parse::<Source>().unwrap_err();
            assert!(refusal.contains(says), "{text}: {refusal}");
        }
    }
}
