//! The text of a private key's file: which form it has, and the key in it.
//!
//! Owns the words for what cannot be read: the form by its name, and the command that rewrites it. That a passphrase is wrong
//! is said only where the form tells so. Does not know where the file lies, or who asks for a passphrase.

use std::borrow::Cow;
use std::path::Path;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{self, Algorithm, Certificate, PrivateKey, PublicKey, ssh_key};
use zeroize::Zeroizing;

/// Why a file gives no key to sign with.
pub(crate) type Why = Cow<'static, str>;

/// What a file holds.
#[derive(Debug)]
pub(crate) enum Content {
    Key(Box<PrivateKey>),
    /// Encrypted; the public half, if the file tells it.
    Locked(Option<PublicKey>),
    /// No private key, but its public half, or a certificate of it.
    Public,
}

/// Why a passphrase brought no key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It is another one.
    WrongPassphrase,
    /// Whether it is the right one or not: this is not read.
    Unread(Why),
}

/// What PEM has in front of what it holds.
const BEGIN: &str = "-----BEGIN ";
/// Of a public key in the format of RFC 4716, and of a private key of the first SSH products.
const SSH2_PUBLIC: &str = "---- BEGIN SSH2 PUBLIC KEY ----";
const SSH2_PRIVATE: &str = "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----";
const PUTTY: &str = "PuTTY-User-Key-File-";
const SSH1: &[u8] = b"SSH PRIVATE KEY FILE FORMAT 1.1";
/// What a file of OpenSSH's own form holds first (PROTOCOL.key).
const OPENSSH: &[u8] = b"openssh-key-v1\0";
/// The ciphers of that form that are read. OpenSSH makes the first unless it is told (`ssh-keygen -Z`), and has 3des-cbc besides.
const OPENSSH_CIPHERS: [&str; 10] = [
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "aes256-cbc",
    "aes192-cbc",
    "aes128-cbc",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "none",
];
/// Those of PEM.
const PEM_CIPHERS: [&str; 4] = ["AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC"];
/// The object identifiers of PBES2, of the MACs that its keys are made with, and of its ciphers, as far as they are read.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const HMAC_SHA2: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b],
];
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
const AES_CBC: [&[u8]; 3] = [
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a],
];
/// As OpenSSH from 10.0 on.
const DSA: &str = "a DSA key, which ssh no longer logs in with; make another one: `ssh-keygen -t ed25519`";

/// Looks at a file without a passphrase; `path` is for the advice.
///
/// # Errors
/// What it is instead, and what to do.
pub(crate) fn look_at(path: &Path, bytes: &[u8]) -> Result<Content, Why> {
    let text = text_of(path, bytes)?;
    if PublicKey::from_openssh(text.trim()).is_ok() || Certificate::from_openssh(text.trim()).is_ok() {
        return Ok(Content::Public);
    }
    let form = Form::of(path, &text)?;
    if form.is_encrypted() {
        return Ok(Content::Locked(form.public_half()));
    }
    match form.open(path, &text, None) {
        Ok(key) => Ok(Content::Key(Box::new(key))),
        Err(Failure::Unread(why)) => Err(why),
        Err(Failure::WrongPassphrase) => Err("not a private key that can be read".into()),
    }
}

/// The key of an encrypted file. Slow on purpose, where a form is.
///
/// # Errors
/// Why there is none.
pub(crate) fn unlock(path: &Path, bytes: &[u8], passphrase: &str) -> Result<PrivateKey, Failure> {
    let text = text_of(path, bytes).map_err(Failure::Unread)?;
    Form::of(path, &text).map_err(Failure::Unread)?.open(path, &text, Some(passphrase))
}

/// A file as text. What stands beside a key may be of any encoding.
fn text_of(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, Why> {
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    if bytes.starts_with(SSH1) {
        return Err(
            "a key of SSH version 1, which nobody speaks any more; make another one: `ssh-keygen -t ed25519`".into()
        );
    }
    if is_sequence(bytes) {
        return Err(format!(
            "DER, without the text of PEM around it; `openssl pkey -inform DER -in {0} -out {0}.pem` rewrites a private key",
            quoted(path)
        )
        .into());
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("empty".into());
    }
    if text.contains('\0') {
        return Err("not a key file".into());
    }
    Ok(text)
}

/// The form of a private key, by its first line.
enum Form {
    /// OpenSSH's own.
    OpenSsh {
        cipher: String,
        kind: String,
        public: Option<PublicKey>,
    },
    /// Of one kind of key, and perhaps encrypted as OpenSSL did before there was PKCS #8.
    Pem {
        label: String,
        der: Zeroizing<Vec<u8>>,
        encryption: Option<(String, String)>,
    },
    Pkcs8,
    /// Encrypted in a way that is read.
    EncryptedPkcs8,
    Putty {
        is_encrypted: bool,
        public: Option<PublicKey>,
    },
}

impl Form {
    /// # Errors
    /// What is no private key, or one of a form that is not read.
    fn of(path: &Path, text: &str) -> Result<Self, Why> {
        let import = || format!("`ssh-keygen -i -f {0} > {0}.openssh` rewrites it", quoted(path));
        if text.trim_start().starts_with(PUTTY) {
            let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let is_encrypted = value("Encryption:").is_some_and(|how| how != "none");
            return Ok(Self::Putty { is_encrypted, public: putty_public(text) });
        }
        if text.contains(SSH2_PUBLIC) {
            return Err(format!(
                "a public key in the form of RFC 4716; {}, and IdentityFile has to name the private key",
                import()
            )
            .into());
        }
        if text.contains(SSH2_PRIVATE) {
            return Err(format!("a private key in the form of SSH2; once it has no passphrase {}", import()).into());
        }
        let Some(label) = text.lines().map(str::trim).find_map(private_label) else {
            return Err(not_private(path, text));
        };
        let (headers, der) = pem(text, &label).ok_or_else(|| {
            Why::from(format!("cut off or damaged: what stands between its lines BEGIN {label} and END cannot be read"))
        })?;
        let unread = |what: &str| Err(format!("{what}, which is not read; {}", rewrites(path)).into());
        match label.as_str() {
            "OPENSSH PRIVATE KEY" => match Self::of_openssh(&der)? {
                Self::OpenSsh { cipher, .. } if !OPENSSH_CIPHERS.contains(&cipher.as_str()) => {
                    unread(&format!("encrypted with {cipher}"))
                }
                form => Ok(form),
            },
            "PRIVATE KEY" => Ok(Self::Pkcs8),
            "ENCRYPTED PRIVATE KEY" if is_read_pkcs8(&der) => Ok(Self::EncryptedPkcs8),
            "ENCRYPTED PRIVATE KEY" => unread("PKCS #8, encrypted in another way than with PBES2, AES and SHA-2"),
            "DSA PRIVATE KEY" => Err(DSA.into()),
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                let is_encrypted =
                    headers.iter().any(|(name, value)| name == "Proc-Type" && value.ends_with("ENCRYPTED"));
                let how = headers.into_iter().find(|(name, _)| name == "DEK-Info").map(|(_, value)| value);
                let how = how.as_deref().and_then(|how| how.split_once(','));
                let encryption = match (is_encrypted, how) {
                    (false, _) => None,
                    (true, Some((cipher, iv))) if PEM_CIPHERS.contains(&cipher) => {
                        Some((cipher.to_owned(), iv.to_owned()))
                    }
                    (true, how) => {
                        let how = how
                            .map_or_else(|| "something unsaid".to_owned(), |(cipher, _)| readable(cipher.as_bytes()));
                        return unread(&format!("PEM that is encrypted with {how}"));
                    }
                };
                Ok(Self::Pem { label, der, encryption })
            }
            "PGP PRIVATE KEY BLOCK" => {
                Err("an OpenPGP key; gpg-agent holds such keys for ssh: name its socket as IdentityAgent".into())
            }
            other => unread(&format!("`{}`, a form of private key", readable(other.as_bytes()))),
        }
    }

    fn of_openssh(blob: &[u8]) -> Result<Self, Why> {
        let damaged = || Why::from("cut off or damaged: it is not a private key of OpenSSH");
        let mut rest = blob.strip_prefix(OPENSSH).ok_or_else(damaged)?;
        let mut next = || take_string(&mut rest);
        let cipher = next().map(readable).ok_or_else(damaged)?;
        let (_kdf, _options) = (next().ok_or_else(damaged)?, next().ok_or_else(damaged)?);
        // The number of keys stands in front of the first.
        let public = rest.get(4..).and_then(|mut rest| take_string(&mut rest)).ok_or_else(damaged)?;
        let kind = take_string(&mut &*public).map(readable).ok_or_else(damaged)?;
        let is_known =
            |name: &str| Algorithm::new(name).is_ok_and(|algorithm| !matches!(algorithm, Algorithm::Other(_)));
        match kind.as_str() {
            "ssh-dss" => Err(DSA.into()),
            name if !is_known(name) => {
                Err(format!("a key of the kind {kind}, which Scout does not have; use one of another kind").into())
            }
            _ => Ok(Self::OpenSsh { cipher, kind, public: PublicKey::from_bytes(public).ok() }),
        }
    }

    fn is_encrypted(&self) -> bool {
        match self {
            Self::OpenSsh { cipher, .. } => cipher != "none",
            Self::Pem { encryption, .. } => encryption.is_some(),
            Self::Pkcs8 => false,
            Self::EncryptedPkcs8 => true,
            Self::Putty { is_encrypted, .. } => *is_encrypted,
        }
    }

    /// The public half, where a form has it in the clear.
    fn public_half(self) -> Option<PublicKey> {
        match self {
            Self::OpenSsh { public, .. } | Self::Putty { public, .. } => public,
            Self::Pem { .. } | Self::Pkcs8 | Self::EncryptedPkcs8 => None,
        }
    }

    fn open(self, path: &Path, text: &str, passphrase: Option<&str>) -> Result<PrivateKey, Failure> {
        match self {
            Self::OpenSsh { cipher, kind, .. } => {
                keys::decode_secret_key(text, passphrase).or_else(|error| match error {
                    // The key itself tells whether it was decrypted well.
                    keys::Error::SshKey(ssh_key::Error::Crypto) if cipher != "none" => Err(Failure::WrongPassphrase),
                    _ => pem(text, "OPENSSH PRIVATE KEY")
                        .and_then(|(_, blob)| with_whole_number(&blob, passphrase.unwrap_or_default()))
                        .ok_or_else(|| Failure::Unread(format!("an {kind} key that is damaged").into())),
                })
            }
            Self::Pem { label, der, encryption: None } => {
                decode_pem(&label, &der).map_err(|error| of_kind(path, &error))
            }
            Self::Pem { label, der, encryption: Some((cipher, iv)) } => {
                let opened = decrypt_pem(&cipher, &iv, &der, passphrase.unwrap_or_default());
                // The padding is right by chance for one wrong passphrase in 256, a sequence of just that length is not.
                let opened = opened.filter(|der| is_sequence(der)).ok_or(Failure::WrongPassphrase)?;
                decode_pem(&label, &opened).map_err(|error| of_kind(path, &error))
            }
            Self::Pkcs8 => keys::decode_secret_key(text, None).map_err(|error| of_kind(path, &error)),
            Self::EncryptedPkcs8 => keys::decode_secret_key(text, passphrase).map_err(|error| match error {
                keys::Error::UnknownAlgorithm(_) | keys::Error::UnsupportedKeyType { .. } => of_kind(path, &error),
                // All else would come of a key that was decrypted well.
                _ => Failure::WrongPassphrase,
            }),
            Self::Putty { .. } => keys::decode_secret_key(text, passphrase).map_err(|error| match error {
                // Its type has no name outside of its crate.
                keys::Error::SshKey(ssh_key::Error::Ppk(why))
                    if passphrase.is_some() && why.to_string() == "incorrect MAC" =>
                {
                    Failure::WrongPassphrase
                }
                _ => Failure::Unread(
                    format!(
                        "a key of PuTTY that is not read; `puttygen {0} -O private-openssh -o {0}.openssh` rewrites it",
                        quoted(path)
                    )
                    .into(),
                ),
            }),
        }
    }
}

/// The label of a line that begins a private key.
fn private_label(line: &str) -> Option<String> {
    let label = line.strip_prefix(BEGIN)?.strip_suffix("-----")?;
    label.contains("PRIVATE KEY").then(|| label.to_owned())
}

/// What a file is in which no private key begins.
fn not_private(path: &Path, text: &str) -> Why {
    let label = text.lines().map(str::trim).find_map(|line| line.strip_prefix(BEGIN)?.strip_suffix("-----"));
    match label {
        Some(label) if label.contains("PUBLIC KEY") => {
            "only a public key, in the form of PEM; IdentityFile has to name the private key".into()
        }
        Some(label) => format!("`{}`, which is not a private key", readable(label.as_bytes())).into(),
        None => format!(
            "not a private key in a form that is known; `ssh-keygen -y -f {}` tells whether ssh reads it",
            quoted(path)
        )
        .into(),
    }
}

type Headers = Vec<(String, String)>;

/// The headers and the bytes of the part of a PEM file with this label; `None` if it has no end, or is no base64.
fn pem(text: &str, label: &str) -> Option<(Headers, Zeroizing<Vec<u8>>)> {
    let (begin, end) = (format!("{BEGIN}{label}-----"), format!("-----END {label}-----"));
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != begin).skip(1);
    let (mut headers, mut digits) = (Vec::new(), Zeroizing::new(String::with_capacity(text.len())));
    loop {
        match lines.next()? {
            line if line == end => break,
            line => match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => digits.push_str(line),
            },
        }
    }
    let bytes = STANDARD.decode(digits.as_bytes()).ok().filter(|bytes| !bytes.is_empty())?;
    Some((headers, Zeroizing::new(bytes)))
}

fn decode_pem(label: &str, der: &[u8]) -> Result<PrivateKey, keys::Error> {
    let digits = Zeroizing::new(STANDARD.encode(der));
    let text = Zeroizing::new(format!("{BEGIN}{label}-----\n{}\n-----END {label}-----\n", *digits));
    keys::decode_secret_key(&text, None)
}

/// A P-256 key in OpenSSH's own form whose private number has fewer than 32 bytes; `None` for all else.
///
/// One key in 512 is one: the number is an mpint (RFC 4251 §5), which begins with no zeros, and ssh-key 0.7.0-rc.11 takes none
/// that is shorter, though it does for the longer curves. It gets the key again, with those zeros and in the clear.
fn with_whole_number(blob: &[u8], passphrase: &str) -> Option<PrivateKey> {
    const NUMBER: usize = 32;
    let mut rest = blob.strip_prefix(OPENSSH)?;
    let [cipher, _kdf, _options] = [take_string(&mut rest)?, take_string(&mut rest)?, take_string(&mut rest)?];
    let (_count, mut rest) = rest.split_first_chunk::<4>()?;
    let public = take_string(&mut rest)?;
    let mut section = Zeroizing::new(take_string(&mut rest)?.to_vec());
    if cipher != b"none" {
        let locked = PrivateKey::from_bytes(blob).ok()?;
        let (key, iv) = locked.kdf().derive_key_and_iv(locked.cipher(), passphrase).ok()?;
        let tag = if locked.cipher().has_tag() { Some(rest.try_into().ok()?) } else { None };
        locked.cipher().decrypt(&key, &iv, &mut section, tag).ok()?;
    }
    let (checks, mut fields) = section.split_first_chunk::<8>()?;
    let kind = take_string(&mut fields).filter(|kind| *kind == b"ecdsa-sha2-nistp256")?;
    let [curve, point] = [take_string(&mut fields)?, take_string(&mut fields)?];
    let number = take_string(&mut fields)?;
    let zeros = NUMBER.checked_sub(number.len()).filter(|zeros| *zeros > 0)?;
    let comment = take_string(&mut fields)?;

    // Each has room for all, so that no growing leaves a copy.
    let mut whole = Zeroizing::new(Vec::with_capacity(NUMBER));
    whole.resize(zeros, 0);
    whole.extend_from_slice(number);
    let room = blob.len() + 2 * NUMBER;
    let mut clear = Zeroizing::new(Vec::with_capacity(room));
    clear.extend_from_slice(checks);
    for field in [kind, curve, point, whole.as_slice(), comment] {
        put_string(&mut clear, field);
    }
    let padding = clear.len().next_multiple_of(8) - clear.len();
    clear.extend((1..=8).take(padding));
    let mut again = Zeroizing::new(Vec::with_capacity(2 * room));
    again.extend_from_slice(OPENSSH);
    for field in [b"none".as_slice(), b"none", b""] {
        put_string(&mut again, field);
    }
    again.extend_from_slice(&1_u32.to_be_bytes());
    put_string(&mut again, public);
    put_string(&mut again, &clear);
    PrivateKey::from_bytes(&again).ok()
}

/// What `PEM_do_header` of OpenSSL makes of it; `None` if it does not come out even.
fn decrypt_pem(cipher: &str, iv: &str, bytes: &[u8], passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
    fn open<C: KeyIvInit + BlockModeDecrypt>(key: &[u8], iv: &[u8], bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut buffer = Zeroizing::new(bytes.to_vec());
        let length = C::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }
    let iv = from_hex(iv)?;
    // The salt is the beginning of the vector, and the key MD5 of it all, once.
    let salt = iv.get(..8)?;
    let mut key = Zeroizing::new(Vec::new());
    while key.len() < 32 {
        let last = key.len().saturating_sub(16);
        let before = if key.is_empty() { &[][..] } else { key.get(last..)? };
        let block = md5::compute(Zeroizing::new([before, passphrase.as_bytes(), salt].concat()).as_slice());
        key.extend_from_slice(&block.0);
    }
    match cipher {
        "AES-128-CBC" => open::<cbc::Decryptor<aes::Aes128>>(key.get(..16)?, &iv, bytes),
        "AES-192-CBC" => open::<cbc::Decryptor<aes::Aes192>>(key.get(..24)?, &iv, bytes),
        "AES-256-CBC" => open::<cbc::Decryptor<aes::Aes256>>(key.get(..32)?, &iv, bytes),
        "DES-EDE3-CBC" => open::<cbc::Decryptor<des::TdesEde3>>(key.get(..24)?, &iv, bytes),
        _ => None,
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.trim().as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Whether it is one DER sequence, and nothing behind it.
fn is_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, length @ 0..=0x7f, rest @ ..] => usize::from(*length) == rest.len(),
        [0x30, 0x81, length, rest @ ..] => usize::from(*length) == rest.len(),
        [0x30, 0x82, high, low, rest @ ..] => usize::from(u16::from_be_bytes([*high, *low])) == rest.len(),
        _ => false,
    }
}

/// Whether an encrypted PKCS #8 file is of a form that is read, so that only the passphrase can be wrong.
fn is_read_pkcs8(der: &[u8]) -> bool {
    // The parameters stand in front of what is encrypted.
    let head = der.get(..der.len().min(200)).unwrap_or_default();
    let has = |oid: &[u8]| head.windows(oid.len()).any(|bytes| bytes == oid);
    has(PBES2) && (has(SCRYPT) || HMAC_SHA2.iter().any(|oid| has(oid))) && AES_CBC.iter().any(|oid| has(oid))
}

/// That a file was read well, and its key is of a kind that is not had.
fn of_kind(path: &Path, error: &keys::Error) -> Failure {
    Failure::Unread(match error {
        keys::Error::UnknownAlgorithm(oid) if oid.to_string() == "1.2.840.10040.4.1" => DSA.into(),
        keys::Error::UnknownAlgorithm(oid) => format!(
            "a kind of key that ssh does not have either (algorithm {oid}); make another one: `ssh-keygen -t ed25519`"
        )
        .into(),
        _ => format!("not a private key that can be read; {}", rewrites(path)).into(),
    })
}

/// What rewrites a key in OpenSSH's own form.
fn rewrites(path: &Path) -> String {
    format!("`ssh-keygen -p -f {}` rewrites it in OpenSSH's own form", quoted(path))
}

/// A path for a shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A name that a file has, harmless and short.
fn readable(bytes: &[u8]) -> String {
    scout_machine::line(bytes, 64)
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(string)
}

fn put_string(into: &mut Vec<u8>, string: &[u8]) {
    // No field of a file that was read has 4 GiB.
    into.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(string);
}

/// The public half that a file of PuTTY has in the clear.
fn putty_public(text: &str) -> Option<PublicKey> {
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("Public-Lines:"))?.trim().parse().ok()?;
    let digits: String = lines.take(count).map(str::trim).collect();
    PublicKey::from_bytes(&STANDARD.decode(digits).ok()?).ok()
}

#[cfg(test)]
mod tests;
