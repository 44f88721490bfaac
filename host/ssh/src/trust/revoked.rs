//! `RevokedHostKeys`: files of keys that no host is accepted with, as `ssh-keygen -k` makes them or as public keys, one a
//! line.
//!
//! Owns both forms (OpenSSH's PROTOCOL.krl). As for OpenSSH, a file that cannot be read or understood revokes every key:
//! whoever writes one must not believe that keys are refused that are not.

use std::path::{Path, PathBuf};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};
use sha1::{Digest as _, Sha1};

use crate::config::Source;

const MAGIC: &[u8] = b"SSHKRL\n\0";
const FORMAT_VERSION: u32 = 1;

/// Files, read.
#[derive(Debug, Default)]
pub(crate) struct RevokedKeys(Vec<(PathBuf, Result<Content, String>)>);

#[derive(Debug)]
enum Content {
    /// With the number of the line.
    Lines(Vec<(u32, KeyData)>),
    List(List),
}

/// What a key revocation list says.
#[derive(Debug, Default)]
struct List {
    keys: Vec<Vec<u8>>,
    sha1: Vec<Vec<u8>>,
    sha256: Vec<Vec<u8>>,
    certificates: Vec<Certificates>,
}

/// Certificates of one authority.
#[derive(Debug, Default)]
struct Certificates {
    /// Empty: of any.
    authority: Vec<u8>,
    /// First and last.
    serials: Vec<(u64, u64)>,
    ids: Vec<Vec<u8>>,
}

/// Why a host's key is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revoked {
    /// The line; of a list that has none, the first.
    pub(crate) source: Source,
    /// Why the file revokes everything, if it does.
    pub(crate) flaw: Option<String>,
}

impl RevokedKeys {
    /// Reads the files. Blocks on the disk.
    pub(crate) fn load(files: &[PathBuf]) -> Self {
        let read = |file: &PathBuf| {
            let bytes = match super::contents(file) {
                Ok(Ok(bytes)) if bytes.is_empty() && !file.exists() => Err("it is not there".to_owned()),
                Ok(read) => read,
                Err(error) => Err(error.message().to_owned()),
            };
            (file.clone(), bytes.and_then(|bytes| Content::parse(&bytes)))
        };
        Self(files.iter().map(read).collect())
    }

    /// What revokes the key or the certificate that a host shows.
    pub(crate) fn find(&self, presented: &PublicKeyOrCertificate) -> Option<Revoked> {
        self.0.iter().find_map(|(file, content)| {
            let revoked = |line, flaw| Some(Revoked { source: Source { file: file.clone(), line }, flaw });
            match content {
                Err(why) => revoked(1, Some(why.clone())),
                Ok(Content::Lines(lines)) => {
                    let key = presented.public_key();
                    let authority = presented.certificate().map(Certificate::signature_key);
                    let is_meant = |known: &KeyData| known == key.key_data() || Some(known) == authority;
                    lines.iter().find(|(_, known)| is_meant(known)).and_then(|(line, _)| revoked(*line, None))
                }
                Ok(Content::List(list)) if list.revokes(presented) => revoked(1, None),
                Ok(Content::List(_)) => None,
            }
        })
    }
}

impl Content {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        match bytes.strip_prefix(MAGIC) {
            Some(list) => List::parse(list)
                .map(Self::List)
                .ok_or_else(|| "it is not a key revocation list of version 1".to_owned()),
            None => lines(bytes).map(Self::Lines),
        }
    }
}

/// Public keys, one a line.
fn lines(bytes: &[u8]) -> Result<Vec<(u32, KeyData)>, String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            let key =
                PublicKey::from_openssh(line).map_err(|error| format!("line {number} is not a public key: {error}"))?;
            Ok((number, key.key_data().clone()))
        })
        .collect()
}

impl List {
    /// What follows the magic bytes; `None` for what is not understood.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        if rest.u32()? != FORMAT_VERSION {
            return None;
        }
        // Version, date and flags.
        let _ = (rest.u64()?, rest.u64()?, rest.u64()?);
        // Reserved, and a comment.
        let _ = (rest.string()?, rest.string()?);
        let mut list = Self::default();
        while !rest.is_empty() {
            let (kind, mut section) = (rest.u8()?, Reader(rest.string()?));
            match kind {
                1 => list.certificates.push(Certificates::parse(section)?),
                2 => list.keys.extend(section.strings(None)?),
                3 => list.sha1.extend(section.strings(Some(20))?),
                // A signature, which nobody verifies: its key was the section, itself follows.
                4 => drop(rest.string()?),
                5 => list.sha256.extend(section.strings(Some(32))?),
                255 => extension(&mut section)?,
                _ => return None,
            }
        }
        Some(list)
    }

    fn revokes(&self, presented: &PublicKeyOrCertificate) -> bool {
        let Some(certificate) = presented.certificate() else {
            return self.has(presented.public_key().key_data());
        };
        self.certificates.iter().any(|some| some.has(certificate))
            || self.has(certificate.public_key())
            || self.has(certificate.signature_key())
    }

    fn has(&self, key: &KeyData) -> bool {
        let Some(blob) = blob(key) else { return true };
        self.keys.contains(&blob)
            || self.sha1.iter().any(|hash| hash.as_slice() == Sha1::digest(&blob).as_slice())
            || self
                .sha256
                .iter()
                .any(|hash| key.fingerprint(russh::keys::HashAlg::Sha256).as_bytes() == hash.as_slice())
    }
}

impl Certificates {
    fn parse(mut rest: Reader<'_>) -> Option<Self> {
        let mut some = Self { authority: rest.string()?.to_vec(), ..Self::default() };
        rest.string()?;
        while !rest.is_empty() {
            let (kind, mut section) = (rest.u8()?, Reader(rest.string()?));
            match kind {
                0x20 => {
                    while !section.is_empty() {
                        let serial = section.u64()?;
                        some.serials.push((serial, serial));
                    }
                }
                0x21 => some.serials.push((section.u64()?, section.u64()?)),
                0x22 => {
                    let (first, bits) = (section.u64()?, section.string()?);
                    // The last bit of the last byte is the first serial.
                    for (byte, above) in bits.iter().rev().zip((0_u64..).step_by(8)) {
                        for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                            let serial = first.checked_add(above)?.checked_add(bit)?;
                            some.serials.push((serial, serial));
                        }
                    }
                }
                0x23 => some.ids.extend(section.strings(None)?),
                0x39 => extension(&mut section)?,
                _ => return None,
            }
            if !section.is_empty() {
                return None;
            }
        }
        Some(some)
    }

    /// A serial of 0 is what an authority gives that counts none.
    fn has(&self, certificate: &Certificate) -> bool {
        let serial = certificate.serial();
        let is_own =
            self.authority.is_empty() || blob(certificate.signature_key()).is_none_or(|own| own == self.authority);
        is_own
            && (self.ids.iter().any(|id| id == certificate.key_id().as_bytes())
                || serial != 0 && self.serials.iter().any(|(first, last)| (*first..=*last).contains(&serial)))
    }
}

/// One that is not critical is passed over.
fn extension(section: &mut Reader<'_>) -> Option<()> {
    let (_name, is_critical, _content) = (section.string()?, section.u8()?, section.string()?);
    (is_critical == 0).then_some(())
}

fn blob(key: &KeyData) -> Option<Vec<u8>> {
    PublicKey::from(key.clone()).to_bytes().ok()
}

/// Bytes of the SSH wire.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()?;
        self.take(usize::try_from(count).ok()?)
    }

    /// All that is left, as strings of this length.
    fn strings(&mut self, length: Option<usize>) -> Option<Vec<Vec<u8>>> {
        let mut strings = Vec::new();
        while !self.is_empty() {
            let one = self.string()?;
            if length.is_some_and(|length| one.len() != length) {
                return None;
            }
            strings.push(one.to_vec());
        }
        Some(strings)
    }
}

/// For messages.
pub(crate) fn why(file: &Path, revoked: &Revoked) -> String {
    match &revoked.flaw {
        None => format!("revoked by {}:{}", file.display(), revoked.source.line),
        Some(flaw) => format!("refused as every key is: RevokedHostKeys names {}, and {flaw}", file.display()),
    }
}
