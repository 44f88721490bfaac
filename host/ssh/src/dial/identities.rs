//! What can be offered as a public key: the agent's keys, key files and certificates, in OpenSSH's order.
//!
//! Owns how they are found, read and unlocked, and who signs for each. A locked key is unlocked only to sign with, or to
//! learn its public half. Does not know the server.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, signature::Signer as _};
use zeroize::Zeroizing;

use crate::dial::agent::AgentKeys;
use crate::dial::key_file::{self, Content, Failure, Why};
use crate::dial::secrets::{Kind, Secrets};
use crate::local_file::{self, FileError};
use crate::sshsig::{Signing, private_of};
use crate::{HostSpec, trust};

/// Identity and certificate files that are read at most: OpenSSH's bound.
const MAX_FILES: usize = 100;
/// The largest file that is read; an RSA key of 16384 bits takes 13 KB.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// What the name of a key's certificate has besides.
pub(crate) const CERTIFICATE_SUFFIX: &str = "-cert.pub";

/// Why an RSA key is left out.
const TOO_SHORT: &str = "RSA of fewer bits than RequiredRSASize";

/// A configured key file.
pub(crate) struct KeyFile {
    path: PathBuf,
    /// What it is to the server, known even if the private key is locked, or not there.
    shown: Option<Shown>,
    private: Private,
}

enum Private {
    Ready(Arc<PrivateKey>),
    Locked,
    /// Cannot sign, and why.
    Unusable(Why),
}

/// What the server is shown.
#[derive(Clone)]
pub(crate) enum Shown {
    Key(PublicKey),
    Certificate(Box<Certificate>),
    /// Known once the key file is unlocked.
    Later,
}

impl Shown {
    /// The public key; of a certificate, the one in it.
    pub(crate) fn key_data(&self) -> Option<&KeyData> {
        match self {
            Self::Key(key) => Some(key.key_data()),
            Self::Certificate(certificate) => Some(certificate.public_key()),
            Self::Later => None,
        }
    }

    /// Refuses RSA of fewer bits than the host's configuration wants; of a certificate, the key in it.
    ///
    /// # Errors
    /// That it is so.
    pub(crate) fn long_enough(&self, required_bits: u32) -> Result<(), &'static str> {
        match self.key_data() {
            Some(key) if trust::is_too_short(key, required_bits) => Err(TOO_SHORT),
            _ => Ok(()),
        }
    }
}

/// Who signs for an identity.
#[derive(Clone)]
pub(crate) enum Signatory {
    /// The agent, with this of its identities.
    Agent(Box<AgentIdentity>),
    /// The key file at this place.
    File(usize),
    /// Nobody holds the private key.
    Nobody,
}

/// One thing to offer.
pub(crate) struct Identity {
    pub(crate) name: String,
    /// The configured file that it comes from; absent: the agent alone has it.
    pub(crate) file: Option<PathBuf>,
    /// The file that it stands in: the same, or the certificate beside it.
    pub(crate) stands_in: Option<PathBuf>,
    pub(crate) shown: Shown,
    pub(crate) signatory: Signatory,
    pub(crate) is_tried: bool,
}

/// A key, public key or certificate to sign files with, and its private key if that is at hand and not locked.
///
/// # Errors
/// What is no key at all.
pub(crate) fn read_signing_key(path: &Path) -> Result<Signing, String> {
    let told = |why: &str| format!("{}: {why}", path.display());
    let text = read_text(path).map_err(told)?;
    let shown = match Certificate::from_openssh(&text) {
        Ok(certificate) => Some(KeyData::Certificate(Box::new(certificate))),
        Err(_) => PublicKey::from_openssh(&text).ok().map(|key| key.key_data().clone()),
    };
    let (private, shown) = match (shown, private_of(path)) {
        (Some(shown), Some(private)) if private.exists() => (read_private(&private), Some(shown)),
        (Some(shown), _) => return Ok(Signing { shown, own: None }),
        (None, _) => (read_private(path), None),
    };
    let (private, public) = private.map_err(|why| told(&why))?;
    let shown = shown.or_else(|| public.map(|key| key.key_data().clone()));
    let shown = shown.ok_or_else(|| told("is locked and does not say its public half; name the .pub file"))?;
    let own = match private {
        Private::Ready(key) => Some(Arc::unwrap_or_clone(key)),
        Private::Locked | Private::Unusable(_) => None,
    };
    let plain = shown.certificate().map_or(&shown, Certificate::public_key);
    match own {
        Some(own) if own.public_key().key_data() != plain => Err(told("is the public half of another key")),
        own => Ok(Signing { shown, own }),
    }
}

/// All that can be offered, in order.
pub(crate) struct Identities {
    pub(crate) list: Vec<Identity>,
    /// Configured files that give nothing to offer, and why.
    pub(crate) unread: Vec<(PathBuf, Why)>,
    files: Vec<KeyFile>,
}

impl Identities {
    /// Reads the configured files and puts them in order with the agent's keys, as OpenSSH's `pubkey_prepare` does:
    /// configured certificates, configured keys that the agent holds, its other keys, the files' keys. Next to a key file
    /// its `-cert.pub` is looked for unless certificates are configured.
    ///
    /// `notes` gets the certificates that are left out, and why.
    pub(crate) async fn gather(spec: &HostSpec, held: AgentKeys, notes: &mut Vec<String>) -> Self {
        notes.extend(held.unread);
        let (paths, certificate_paths) = (spec.identity_files.clone(), spec.certificate_files.clone());
        let read = move || {
            let mut unread = Vec::new();
            let mut files = Vec::new();
            for path in paths.into_iter().take(MAX_FILES) {
                match read_key(&path) {
                    Some(file) => files.push(file),
                    None => unread.push((path, Why::from("no such file"))),
                }
            }
            let configured = certificate_paths.into_iter().take(MAX_FILES);
            let configured: Vec<_> = configured.map(|path| (read_certificate(&path), path)).collect();
            let beside_of: Vec<_> = if configured.is_empty() {
                files.iter().map(|file| read_certificate(&beside(&file.path, CERTIFICATE_SUFFIX)).ok()).collect()
            } else {
                Vec::new()
            };
            (files, unread, configured, beside_of)
        };
        let (files, mut unread, configured, beside_of) = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        let mut of_files = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let shown = file.shown.clone().unwrap_or(Shown::Later);
            let (signatory, path) = (Signatory::File(index), Some(file.path.clone()));
            let name = file.path.display().to_string();
            let own = Identity { name, file: path.clone(), stands_in: path, shown, signatory, is_tried: false };
            if let Some(Some(certificate)) = beside_of.get(index) {
                let name = format!("{} with its certificate", file.path.display());
                let stands_in = Some(beside(&file.path, CERTIFICATE_SUFFIX));
                let shown = Shown::Certificate(Box::new(certificate.clone()));
                let (file, signatory) = (own.file.clone(), Signatory::File(index));
                of_files.extend([own, Identity { name, file, stands_in, shown, signatory, is_tried: false }]);
            } else {
                of_files.push(own);
            }
        }
        let mut list = Vec::new();
        for (certificate, path) in configured {
            match certificate {
                Ok(certificate) => {
                    let (name, shown) = (path.display().to_string(), Shown::Certificate(Box::new(certificate)));
                    list.push(Identity {
                        name,
                        file: Some(path.clone()),
                        stands_in: Some(path),
                        shown,
                        signatory: Signatory::Nobody,
                        is_tried: false,
                    });
                }
                Err(why) => {
                    notes.push(format!("{} ({why})", path.display()));
                    unread.push((path, why.into()));
                }
            }
        }
        let mut others = Vec::new();
        for identity in held.identities {
            let signatory = Signatory::Agent(Box::new(identity.clone()));
            match of_files.iter().position(|own| is_same(&own.shown, &identity)) {
                Some(place) => {
                    let own = of_files.remove(place);
                    list.push(Identity { name: format!("{} (agent)", own.name), signatory, ..own });
                }
                None if !spec.identities_only => others.push(from_agent(identity, signatory)),
                None => {}
            }
        }
        list.extend(others);
        list.extend(of_files);
        let mut identities = Self { list, unread, files };
        identities.find_signatories();
        identities
    }

    /// A key of this login's own and its certificate, and nothing else: whoever is to be told by name is told by no other key.
    pub(crate) fn issued(key: Arc<PrivateKey>, certificate: Certificate) -> Self {
        let name = "Scout's certificate".to_owned();
        let (shown, signatory) = (Shown::Certificate(Box::new(certificate)), Signatory::File(0));
        let own = KeyFile { path: PathBuf::new(), shown: None, private: Private::Ready(key) };
        let identity = Identity { name, file: None, stands_in: None, shown, signatory, is_tried: false };
        Self { list: vec![identity], unread: Vec::new(), files: vec![own] }
    }

    /// None, and why.
    pub(crate) fn none() -> Self {
        Self { list: Vec::new(), unread: Vec::new(), files: Vec::new() }
    }

    /// A certificate is signed for by whoever holds its key: as OpenSSH, the agent rather than a file.
    fn find_signatories(&mut self) {
        let rank = |signatory: &Signatory| match signatory {
            Signatory::Agent(_) => Some(0),
            Signatory::File(index) => match self.files.get(*index)?.private {
                Private::Ready(_) => Some(1),
                Private::Locked => Some(2),
                Private::Unusable(_) => None,
            },
            Signatory::Nobody => None,
        };
        let best = |wanted: &Identity| {
            let holds = |other: &&Identity| {
                matches!(other.shown, Shown::Key(_)) && other.shown.key_data() == wanted.shown.key_data()
            };
            let holders = self.list.iter().filter(holds).chain([wanted]).map(|holder| &holder.signatory);
            holders.filter(|holder| rank(holder).is_some()).min_by_key(|holder| rank(holder)).cloned()
        };
        let found: Vec<_> = self
            .list
            .iter()
            .map(|one| if matches!(one.shown, Shown::Certificate(_)) { best(one) } else { None })
            .collect();
        for (identity, signatory) in self.list.iter_mut().zip(found) {
            if let Some(signatory) = signatory {
                identity.signatory = signatory;
            }
        }
    }

    /// Why this identity cannot be used, if so.
    pub(crate) fn hindrance(&self, signatory: &Signatory, secrets: &Secrets<'_>) -> Option<Why> {
        match signatory {
            Signatory::Agent(_) => None,
            Signatory::Nobody => Some("its private key is not at hand".into()),
            Signatory::File(index) => match &self.files.get(*index)?.private {
                Private::Ready(_) => None,
                Private::Locked if secrets.can_be_asked() => None,
                Private::Locked => Some("encrypted; load it into the agent, or configure a secret command".into()),
                Private::Unusable(why) => Some(why.clone()),
            },
        }
    }

    /// Whether signing takes a passphrase.
    pub(crate) fn is_locked(&self, signatory: &Signatory) -> bool {
        match signatory {
            Signatory::File(index) => {
                self.files.get(*index).is_some_and(|file| matches!(file.private, Private::Locked))
            }
            Signatory::Agent(_) | Signatory::Nobody => false,
        }
    }

    /// The key of a file, unlocked if it has to be. A wrong passphrase is asked for again, as often as a password is.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) async fn unlock(&mut self, index: usize, secrets: &Secrets<'_>) -> Result<Arc<PrivateKey>, Why> {
        let file = self.files.get_mut(index).ok_or("no such file")?;
        match &file.private {
            Private::Ready(key) => return Ok(Arc::clone(key)),
            Private::Unusable(why) => return Err(why.clone()),
            Private::Locked => {}
        }
        let unlocked = unlock(&file.path, secrets).await;
        match &unlocked {
            Ok(key) => {
                file.shown.get_or_insert_with(|| Shown::Key(key.public_key().clone()));
                file.private = Private::Ready(Arc::clone(key));
            }
            // Whoever was asked once in vain is not asked again in this dial.
            Err(why) => file.private = Private::Unusable(why.clone()),
        }
        unlocked
    }
}

async fn unlock(path: &Path, secrets: &Secrets<'_>) -> Result<Arc<PrivateKey>, Why> {
    let mut last = Zeroizing::new(String::new());
    for _ in 0..secrets.spec.methods.password_prompts.max(1) {
        let passphrase =
            secrets.ask(Kind::Passphrase, &format!("Enter passphrase for key '{}'", path.display())).await?;
        if passphrase == last {
            break;
        }
        last = passphrase.clone();
        let path = path.to_path_buf();
        // Slow on purpose: bcrypt.
        let unlocking = tokio::task::spawn_blocking(move || {
            let bytes = read_bytes(&path).map_err(|why| Failure::Unread(why.into()))?;
            key_file::unlock(&path, &bytes, &passphrase).map(Arc::new)
        });
        match unlocking.await.map_err(|_| "it could not be unlocked")? {
            Ok(key) => return Ok(key),
            Err(Failure::WrongPassphrase) => {}
            Err(Failure::Unread(why)) => return Err(why),
        }
    }
    Err("the passphrase is wrong".into())
}

/// Appends the signature to `data`, as an SSH string.
///
/// # Errors
/// That the key cannot sign.
pub(crate) async fn sign(
    key: Arc<PrivateKey>,
    hash: Option<HashAlg>,
    mut data: Vec<u8>,
) -> Result<Vec<u8>, &'static str> {
    // RSA takes milliseconds.
    let signing = tokio::task::spawn_blocking(move || {
        let signature = match key.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
            pair => pair.try_sign(&data),
        };
        let mut bytes = Vec::new();
        signature.ok()?.encode(&mut bytes).ok()?;
        bytes.encode(&mut data).ok()?;
        Some(data)
    });
    signing.await.ok().flatten().ok_or("the key cannot sign")
}

fn from_agent(identity: AgentIdentity, signatory: Signatory) -> Identity {
    let (shown, what) = match identity {
        AgentIdentity::PublicKey { key, .. } => (Shown::Key(key), "key"),
        AgentIdentity::Certificate { certificate, .. } => (Shown::Certificate(Box::new(certificate)), "certificate"),
    };
    let print = shown.key_data().map(|data| data.fingerprint(HashAlg::Sha256).to_string()).unwrap_or_default();
    let name = format!("agent {what} {print}");
    Identity { name, file: None, stands_in: None, shown, signatory, is_tried: false }
}

fn is_same(shown: &Shown, identity: &AgentIdentity) -> bool {
    match (shown, identity) {
        (Shown::Key(own), AgentIdentity::PublicKey { key, .. }) => own.key_data() == key.key_data(),
        // Byte by byte: a file's has a comment, an agent's has none.
        (Shown::Certificate(own), AgentIdentity::Certificate { certificate, .. }) => {
            matches!((own.to_bytes(), certificate.to_bytes()), (Ok(own), Ok(other)) if own == other)
        }
        _ => false,
    }
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A file's bytes: regular and not too large. Wiped when dropped.
fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let file = local_file::open(path).map_err(|error| match error {
        FileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => "no such file",
        FileError::Io(_) => "not readable",
        FileError::Special(_) | FileError::Exposed { .. } => "not a key file",
    })?;
    let size = file.metadata().map_err(|_| "not readable")?.len();
    if size > MAX_FILE_BYTES {
        return Err("not a key file");
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|_| "not readable")?;
    Ok(bytes)
}

/// A file of text, of which comments may be of any encoding.
fn read_text(path: &Path) -> Result<Zeroizing<String>, &'static str> {
    read_bytes(path).map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).trim().to_owned()))
}

fn read_certificate(path: &Path) -> Result<Certificate, &'static str> {
    user_certificate(&read_text(path)?).unwrap_or(Err("not a certificate"))
}

/// A certificate in the form of OpenSSH, and whether a user may show it; `None` for another text.
fn user_certificate(text: &str) -> Option<Result<Certificate, &'static str>> {
    let certificate = Certificate::from_openssh(text).ok()?;
    Some(match certificate.cert_type() {
        CertType::User => Ok(certificate),
        CertType::Host => Err("a host's certificate"),
    })
}

/// What a public file shows the server: a key or a certificate.
fn read_public(path: &Path) -> Option<Shown> {
    let text = read_text(path).ok()?;
    match user_certificate(&text) {
        Some(certificate) => Some(Shown::Certificate(Box::new(certificate.ok()?))),
        None => PublicKey::from_openssh(&text).ok().map(Shown::Key),
    }
}

/// `None` if there is neither the file nor its public half.
fn read_key(path: &Path) -> Option<KeyFile> {
    let mut shown = read_public(&beside(path, ".pub"));
    if !path.exists() && shown.is_none() {
        return None;
    }
    let private = match read_private(path) {
        Ok((private, own)) => {
            shown = own.map(Shown::Key).or(shown);
            private
        }
        Err(why) => {
            // IdentityFile may name the public half of a key that the agent holds, or its certificate.
            shown = shown.or_else(|| read_public(path));
            Private::Unusable(why)
        }
    };
    Some(KeyFile { path: path.to_path_buf(), shown, private })
}

fn read_private(path: &Path) -> Result<(Private, Option<PublicKey>), Why> {
    const PUBLIC: &str = "only a public key; the agent does not hold it";
    const CERTIFICATE: &str = "only a certificate; neither the agent nor another IdentityFile has its key";
    let bytes = read_bytes(path)?;
    let content = key_file::look_at(path, &bytes);
    if matches!(content, Ok(Content::Public)) {
        return match user_certificate(String::from_utf8_lossy(&bytes).trim()) {
            Some(Ok(_)) => Err(CERTIFICATE.into()),
            Some(Err(why)) => Err(why.into()),
            None => Err(PUBLIC.into()),
        };
    }
    // As OpenSSH: a key that others may read is no key.
    let metadata = std::fs::metadata(path).map_err(|_| "not readable")?;
    if content.is_ok() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 != 0 {
        return Err(format!("other accounts may read it; `chmod 600 {}`", key_file::quoted(path)).into());
    }
    match content? {
        Content::Key(key) => {
            let public = Some(key.public_key().clone());
            if matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) {
                return Ok((Private::Unusable("a security key; load it into the agent".into()), public));
            }
            Ok((Private::Ready(Arc::from(key)), public))
        }
        Content::Locked(public) => Ok((Private::Locked, public)),
        Content::Public => Err(PUBLIC.into()),
    }
}
