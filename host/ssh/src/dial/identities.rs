//! What can be offered as a public key: the agent's keys, key files and certificates, in OpenSSH's order.
//!
//! Owns how they are found, read and unlocked, and who signs for each. A locked key is unlocked only to sign with, or to
//! learn its public half. Does not know the server.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{self, Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, signature::Signer as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

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
    /// Known even if the private key is locked, or not there.
    public: Option<PublicKey>,
    private: Private,
}

enum Private {
    Ready(Arc<PrivateKey>),
    Locked,
    /// Cannot sign, and why.
    Unusable(&'static str),
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
    let shown = match Certificate::from_openssh(text.trim()) {
        Ok(certificate) => Some(KeyData::Certificate(Box::new(certificate))),
        Err(_) => PublicKey::from_openssh(text.trim()).ok().map(|key| key.key_data().clone()),
    };
    let (private, shown) = match (shown, private_of(path)) {
        (Some(shown), Some(private)) if private.exists() => (read_private(&private), Some(shown)),
        (Some(shown), _) => return Ok(Signing { shown, own: None }),
        (None, _) => (read_private(path), None),
    };
    let (private, public) = private.map_err(told)?;
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
    pub(crate) unread: Vec<(PathBuf, &'static str)>,
    files: Vec<KeyFile>,
}

impl Identities {
    /// Reads the configured files and puts them in order with the agent's keys, as OpenSSH's `pubkey_prepare` does:
    /// configured certificates, configured keys that the agent holds, its other keys, the files' keys. Next to a key file
    /// its `-cert.pub` is looked for unless certificates are configured.
    ///
    /// `notes` gets the certificates that are left out, and why.
    pub(crate) async fn gather(spec: &HostSpec, held: Vec<AgentIdentity>, notes: &mut Vec<String>) -> Self {
        let (paths, certificate_paths) = (spec.identity_files.clone(), spec.certificate_files.clone());
        let read = move || {
            let mut unread = Vec::new();
            let mut files = Vec::new();
            for path in paths.into_iter().take(MAX_FILES) {
                match read_key(&path) {
                    Some(file) => files.push(file),
                    None => unread.push((path, "no such file")),
                }
            }
            let configured = certificate_paths.into_iter().take(MAX_FILES);
            let configured: Vec<_> = configured.map(|path| (read_certificate(&path), path)).collect();
            let beside: Vec<_> = if configured.is_empty() {
                files.iter().map(|file| read_certificate(&beside(&file.path, CERTIFICATE_SUFFIX)).ok()).collect()
            } else {
                Vec::new()
            };
            (files, unread, configured, beside)
        };
        let (files, mut unread, configured, beside) = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        let mut of_files = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let shown = file.public.clone().map_or(Shown::Later, Shown::Key);
            let (signatory, path) = (Signatory::File(index), Some(file.path.clone()));
            let name = file.path.display().to_string();
            of_files.push(Identity { name, file: path.clone(), shown, signatory, is_tried: false });
            if let Some(Some(certificate)) = beside.get(index) {
                let name = format!("{} with its certificate", file.path.display());
                let shown = Shown::Certificate(Box::new(certificate.clone()));
                of_files.push(Identity { name, file: path, shown, signatory: Signatory::File(index), is_tried: false });
            }
        }
        let mut list = Vec::new();
        for (certificate, path) in configured {
            match certificate {
                Ok(certificate) => {
                    let (name, shown) = (path.display().to_string(), Shown::Certificate(Box::new(certificate)));
                    list.push(Identity {
                        name,
                        file: Some(path),
                        shown,
                        signatory: Signatory::Nobody,
                        is_tried: false,
                    });
                }
                Err(why) => {
                    notes.push(format!("{} ({why})", path.display()));
                    unread.push((path, why));
                }
            }
        }
        let mut others = Vec::new();
        for identity in held {
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
    pub(crate) fn hindrance(&self, signatory: &Signatory, secrets: &Secrets<'_>) -> Option<&'static str> {
        match signatory {
            Signatory::Agent(_) => None,
            Signatory::Nobody => Some("its private key is not at hand"),
            Signatory::File(index) => match &self.files.get(*index)?.private {
                Private::Ready(_) => None,
                Private::Locked if secrets.can_be_asked() => None,
                Private::Locked => Some("encrypted; load it into the agent, or configure a secret command"),
                Private::Unusable(why) => Some(why),
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
    pub(crate) async fn unlock(
        &mut self,
        index: usize,
        secrets: &Secrets<'_>,
    ) -> Result<Arc<PrivateKey>, &'static str> {
        let file = self.files.get_mut(index).ok_or("no such file")?;
        match &file.private {
            Private::Ready(key) => return Ok(Arc::clone(key)),
            Private::Unusable(why) => return Err(why),
            Private::Locked => {}
        }
        let unlocked = unlock(&file.path, secrets).await;
        match &unlocked {
            Ok(key) => {
                file.public.get_or_insert_with(|| key.public_key().clone());
                file.private = Private::Ready(Arc::clone(key));
            }
            // Whoever was asked once in vain is not asked again in this dial.
            Err(why) => file.private = Private::Unusable(why),
        }
        unlocked
    }
}

async fn unlock(path: &Path, secrets: &Secrets<'_>) -> Result<Arc<PrivateKey>, &'static str> {
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
        let unlocking = tokio::task::spawn_blocking(move || -> Result<_, &'static str> {
            let text = read_text(&path)?;
            match keys::decode_secret_key(&text, Some(&passphrase)) {
                Ok(key) if !key.is_encrypted() => Ok(Some(Arc::new(key))),
                _ => Ok(None),
            }
        });
        if let Some(key) = unlocking.await.map_err(|_| "it could not be unlocked")?? {
            return Ok(key);
        }
    }
    Err("the passphrase is wrong")
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

/// Asks the agent for its identities.
///
/// # Errors
/// Why they are not to be had, in a few words.
pub(crate) async fn connect_agent(
    path: &Path,
    binding: Option<&keys::agent::AgentSessionBinding>,
    until: Instant,
) -> Result<(AgentClient<UnixStream>, Vec<AgentIdentity>), String> {
    let asking = async {
        let stream = UnixStream::connect(path).await.map_err(|error| format!("does not answer ({error})"))?;
        let mut client = AgentClient::connect(stream);
        if let Some(binding) = binding {
            // Agents older than OpenSSH 8.9 do not know it, and need it not.
            if let Err(error) = client.bind_session(binding, false).await {
                tracing::debug!(%error, "the agent does not bind sessions");
            }
        }
        let held = client.request_identities().await.map_err(|error| format!("did not list its keys ({error})"))?;
        Ok((client, held))
    };
    timeout_at(until, asking).await.unwrap_or_else(|_| Err("does not answer in time".to_owned()))
}

fn from_agent(identity: AgentIdentity, signatory: Signatory) -> Identity {
    let (shown, what) = match identity {
        AgentIdentity::PublicKey { key, .. } => (Shown::Key(key), "key"),
        AgentIdentity::Certificate { certificate, .. } => (Shown::Certificate(Box::new(certificate)), "certificate"),
    };
    let print = shown.key_data().map(|data| data.fingerprint(HashAlg::Sha256).to_string()).unwrap_or_default();
    Identity { name: format!("agent {what} {print}"), file: None, shown, signatory, is_tried: false }
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

/// A file's text: regular and not too large. Wiped when dropped.
fn read_text(path: &Path) -> Result<Zeroizing<String>, &'static str> {
    let file = local_file::open(path).map_err(|error| match error {
        FileError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => "no such file",
        FileError::Io(_) => "not readable",
        FileError::Special(_) | FileError::Exposed { .. } => "not a key file",
    })?;
    let size = file.metadata().map_err(|_| "not readable")?.len();
    if size > MAX_FILE_BYTES {
        return Err("not a key file");
    }
    let mut text = Zeroizing::new(String::with_capacity(size as usize + 1));
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|_| "not a key file")?;
    Ok(text)
}

fn read_certificate(path: &Path) -> Result<Certificate, &'static str> {
    let text = read_text(path)?;
    let certificate = Certificate::from_openssh(text.trim()).map_err(|_| "not a certificate")?;
    match certificate.cert_type() {
        CertType::User => Ok(certificate),
        CertType::Host => Err("a host's certificate"),
    }
}

fn read_public(path: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(read_text(path).ok()?.trim()).ok()
}

/// `None` if there is neither the file nor its public half.
fn read_key(path: &Path) -> Option<KeyFile> {
    let mut public = read_public(&beside(path, ".pub"));
    if !path.exists() && public.is_none() {
        return None;
    }
    let private = match read_private(path) {
        Ok((private, own)) => {
            public = own.or(public);
            private
        }
        Err(why) => {
            // IdentityFile may name the public half of a key that the agent holds.
            public = public.or_else(|| read_public(path));
            Private::Unusable(why)
        }
    };
    Some(KeyFile { path: path.to_path_buf(), public, private })
}

fn read_private(path: &Path) -> Result<(Private, Option<PublicKey>), &'static str> {
    let text = read_text(path)?;
    // As OpenSSH: a key that others may read is no key.
    let metadata = std::fs::metadata(path).map_err(|_| "not readable")?;
    if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 != 0 {
        return Err(match PublicKey::from_openssh(text.trim()) {
            Ok(_) => "only a public key; the agent does not hold it",
            Err(_) => "other accounts may read it; chmod 600",
        });
    }
    match keys::decode_secret_key(&text, None) {
        Ok(key) if !key.is_encrypted() => {
            let public = Some(key.public_key().clone());
            if matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) {
                return Ok((Private::Unusable("a security key; load it into the agent"), public));
            }
            Ok((Private::Ready(Arc::new(key)), public))
        }
        Ok(key) => Ok((Private::Locked, Some(key.public_key().clone()))),
        Err(keys::Error::KeyIsEncrypted) => {
            // OpenSSH's own format keeps the public half in the clear.
            Ok((Private::Locked, PrivateKey::from_openssh(text.as_bytes()).ok().map(|key| key.public_key().clone())))
        }
        // PKCS#8 and PEM, which say so in a line of text.
        Err(_) if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("4,ENCRYPTED") => {
            Ok((Private::Locked, None))
        }
        Err(_) if PublicKey::from_openssh(text.trim()).is_ok() => Err("only a public key; the agent does not hold it"),
        Err(_) => Err("not a private key that can be read"),
    }
}
