//! `allowed_signers`: who may sign what, until when. The questions are those of `sshsig_check_allowed_keys` in
//! OpenSSH's sshsig.c. Stricter in one thing: a line that cannot be read is an error of the whole file.

use std::path::{Path, PathBuf};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use russh::keys::ssh_key::SshSig;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use crate::config::MIN_RSA_BITS;
use crate::config::pattern::matches_list;
use crate::local_file;
use crate::trust::{intact, is_too_short};

/// The largest file of signers, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The largest signature, in bytes: an RSA certificate of 16384 bits takes less.
const MAX_SIGNATURE: usize = 64 << 10;

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The name that was asked for; if none was, that of the line, or of the certificate.
    pub principal: String,
    /// SHA-256 of the key.
    pub fingerprint: String,
}

/// The lines of an allowed_signers file.
#[derive(Clone, Debug)]
pub struct AllowedSigners {
    file: PathBuf,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    number: usize,
    principals: String,
    key: KeyData,
    options: Options,
}

#[derive(Clone, Debug, Default)]
struct Options {
    is_authority: bool,
    namespaces: Option<String>,
    /// Seconds since 1970.
    valid_after: Option<u64>,
    valid_before: Option<u64>,
}

impl AllowedSigners {
    /// Reads a file that only root and this account can change: who may write there says who may sign.
    ///
    /// # Errors
    /// A file that cannot be read or that others can change, or the line that cannot be read.
    pub fn load(file: &Path) -> Result<Self, String> {
        let told = |why: String| format!("{} cannot be read: {why}", file.display());
        let read = local_file::check(file).and_then(|()| local_file::read(file, MAX_FILE));
        let bytes = read.map_err(|error| told(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| told("it is not UTF-8".to_owned()))?;
        Self::parse(file, &text)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            lines.push(Line::parse(number, line).map_err(|why| format!("{}:{number}: {why}", file.display()))?);
        }
        Ok(Self { file: file.to_owned(), lines })
    }

    /// Checks a detached signature of `message`. `among` are the principals of which one must have signed; empty: any.
    /// `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Why it does not count, as the rest of a sentence that begins with what is signed.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        namespace: &str,
        among: &[String],
        now: u64,
    ) -> Result<Signer, String> {
        if signature.len() > MAX_SIGNATURE {
            return Err(format!("has a signature of more than {} KiB", MAX_SIGNATURE >> 10));
        }
        let unreadable =
            |error| format!("has a signature that cannot be read ({error}); `ssh-keygen -Y sign` makes one");
        let signature = SshSig::from_pem(signature).map_err(unreadable)?;
        let key = signature.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if signature.namespace() != namespace {
            return Err(format!(
                "is signed for another purpose ({:?}); sign it for {namespace:?}",
                shortened(signature.namespace())
            ));
        }
        let plain = key.certificate().map_or(key, Certificate::public_key);
        if is_too_short(plain, MIN_RSA_BITS) {
            return Err("is signed with an RSA key that is too short".to_owned());
        }
        if matches!(signature.algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
            return Err("is signed with SHA-1".to_owned());
        }
        if let Some(certificate) = key.certificate() {
            intact(certificate).map_err(|why| format!("has a signature that does not count: {why}"))?;
        }
        // The library compares the key with the signature's own: who may sign is decided below.
        if !holds(plain, &signature, message) {
            return Err("has a signature of other bytes, or a forged one".to_owned());
        }
        let signer = self.signer(key, namespace, among, now);
        let told = |why: String| {
            let whom = if among.is_empty() { String::new() } else { format!(" as {}", among.join(" or ")) };
            format!("is signed with the key {fingerprint}, which {} does not allow{whom}{why}", self.file.display())
        };
        match signer {
            Ok(principal) => Ok(Signer { principal, fingerprint }),
            Err(None) => Err(told(String::new())),
            Err(Some((line, why))) => Err(told(format!(": line {line} {why}"))),
        }
    }

    /// The principal of the first line that allows this key; else the last line about it, and why it does not.
    fn signer(
        &self,
        key: &KeyData,
        namespace: &str,
        among: &[String],
        now: u64,
    ) -> Result<String, Option<(usize, String)>> {
        let mut last = None;
        for line in &self.lines {
            let allowed = match key.certificate() {
                None => line.principal_of_key(key, among),
                Some(certificate) => line.principal_of_certificate(certificate, among, now),
            };
            let allowed =
                allowed.map(|found| found.and_then(|principal| line.options.check(namespace, now).map(|()| principal)));
            match allowed {
                None => {}
                Some(Ok(principal)) => return Ok(principal),
                Some(Err(why)) => last = Some((line.number, why)),
            }
        }
        Err(last)
    }
}

/// Whether the signature is of these bytes, by the key that is in it.
fn holds(plain: &KeyData, signature: &SshSig, message: &[u8]) -> bool {
    let own = PublicKey::new(signature.public_key().clone(), "");
    match signature.public_key() {
        KeyData::Certificate(_) => {
            let stripped =
                SshSig::new(plain.clone(), signature.namespace(), signature.hash_alg(), signature.signature().clone());
            let plain = PublicKey::new(plain.clone(), "");
            stripped.is_ok_and(|stripped| plain.verify(signature.namespace(), message, &stripped).is_ok())
        }
        _ => own.verify(signature.namespace(), message, signature).is_ok(),
    }
}

impl Line {
    fn parse(number: usize, line: &str) -> Result<Self, String> {
        let (principals, rest) = principals(line)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let (options, key) = match PublicKey::from_openssh(rest.trim_end()) {
            Ok(key) => (Options::default(), key),
            Err(_) => {
                let (options, rest) = rest.split_at(end_of_options(rest)?);
                let key = PublicKey::from_openssh(rest.trim());
                let key =
                    key.map_err(|_| "a line is `NAME[,NAME] [OPTIONS] KEYTYPE KEY [COMMENT]`; this one has no key")?;
                (Options::parse(options)?, key)
            }
        };
        Ok(Self { number, principals: principals.to_owned(), key: key.key_data().clone(), options })
    }

    fn names(&self, principal: &str) -> bool {
        matches_list(principal, self.principals.split(','))
    }

    /// Under which principal this line allows the key, or why not; `None` if it is not about it.
    fn principal_of_key(&self, key: &KeyData, among: &[String]) -> Option<Result<String, String>> {
        if self.options.is_authority || self.key != *key {
            return None;
        }
        if among.is_empty() {
            return Some(Ok(self.principals.clone()));
        }
        let found = among.iter().find(|principal| self.names(principal));
        Some(found.cloned().ok_or_else(|| format!("is for {}", shortened(&self.principals))))
    }

    /// The same for a certificate of the authority that this line names.
    fn principal_of_certificate(
        &self,
        certificate: &Certificate,
        among: &[String],
        now: u64,
    ) -> Option<Result<String, String>> {
        if !self.options.is_authority || self.key != *certificate.signature_key() {
            return None;
        }
        let flaw = if certificate.cert_type() != CertType::User {
            Some("allows users' certificates, and this is a host's")
        } else if now < certificate.valid_after() {
            Some("signed a certificate that is not valid yet")
        } else if now >= certificate.valid_before() {
            Some("signed a certificate that has expired")
        } else if certificate.valid_principals().is_empty() {
            Some("signed a certificate without principals")
        } else if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
            Some("signed a certificate with SHA-1")
        } else {
            None
        };
        if let Some(flaw) = flaw {
            return Some(Err(flaw.to_owned()));
        }
        let own = certificate.valid_principals().iter();
        let mut possible = own.filter(|principal| among.is_empty() || among.contains(principal));
        let found = possible.find(|principal| self.names(principal));
        Some(found.cloned().ok_or_else(|| "signed a certificate for other principals".to_owned()))
    }
}

impl Options {
    fn parse(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = text.trim();
        loop {
            let end = rest.find(['=', ',']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let (value, after) = match after.strip_prefix('=') {
                Some(quoted) => quoted_value(quoted).map(|(value, after)| (Some(value), after))?,
                None => (None, after),
            };
            options.set(name, value)?;
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None if after.is_empty() => return Ok(options),
                None => return Err("between two options stands a comma and nothing else".to_owned()),
            };
        }
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        let twice = || Err(format!("`{name}` stands twice"));
        match (name.as_str(), value) {
            ("cert-authority", None) => self.is_authority = true,
            ("namespaces", Some(value)) => {
                if self.namespaces.replace(value).is_some() {
                    return twice();
                }
            }
            ("valid-after", Some(value)) => {
                if self.valid_after.replace(seconds(&value)?).is_some() {
                    return twice();
                }
            }
            ("valid-before", Some(value)) => {
                if self.valid_before.replace(seconds(&value)?).is_some() {
                    return twice();
                }
            }
            ("cert-authority" | "namespaces" | "valid-after" | "valid-before", _) => {
                return Err(format!("`{name}` is written cert-authority or {name}=\"…\""));
            }
            _ => return Err(format!("`{}` is not an option", shortened(&name))),
        }
        match (self.valid_after, self.valid_before) {
            (Some(after), Some(before)) if before <= after => Err("valid-before is not after valid-after".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether a signature for this purpose, checked now, counts.
    fn check(&self, namespace: &str, now: u64) -> Result<(), String> {
        if let Some(namespaces) = &self.namespaces
            && !matches_list(namespace, namespaces.split(','))
        {
            return Err(format!("is for the namespaces {:?}, not {namespace:?}", shortened(namespaces)));
        }
        if self.valid_after.is_some_and(|after| now < after) {
            return Err("is not valid yet".to_owned());
        }
        if self.valid_before.is_some_and(|before| now > before) {
            return Err("is not valid any more".to_owned());
        }
        Ok(())
    }
}

/// The first word of a line, which may be quoted, and the rest.
fn principals(line: &str) -> Result<(&str, &str), String> {
    let (word, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote does not end")?,
        None => line.split_at(line.find([' ', '\t']).unwrap_or(line.len())),
    };
    if word.is_empty() || rest.is_empty() {
        return Err("a line is `NAME[,NAME] [OPTIONS] KEYTYPE KEY [COMMENT]`".to_owned());
    }
    Ok((word, rest))
}

/// Where the options end: at the first blank that is not quoted.
fn end_of_options(text: &str) -> Result<usize, String> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            ' ' | '\t' if !is_quoted => return Ok(at),
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    Err(if is_quoted { "a quote does not end" } else { "after the options stands no key" }.to_owned())
}

/// A value in quotes, in which `\"` is a quote, and what follows it.
fn quoted_value(text: &str) -> Result<(String, &str), String> {
    let inner = text.strip_prefix('"').ok_or("the value of an option stands in quotes")?;
    let mut value = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, inner.get(at + 1..).unwrap_or_default())),
            '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                value.push('"');
                chars.next();
            }
            c => value.push(c),
        }
    }
    Err("a quote does not end".to_owned())
}

/// `YYYYMMDD[HHMM[SS]][Z]` in seconds since 1970; without `Z` in the local time zone.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{:?} is not a time such as YYYYMMDD[HHMM[SS]][Z]", shortened(text));
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return Err(wrong());
    }
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
    let parsed = || {
        let date = Date::new(digits.get(..4)?.parse().ok()?, part(4, 6)?, part(6, 8)?).ok()?;
        let time = Time::new(part(8, 10)?, part(10, 12)?, part(12, 14)?, 0).ok()?;
        let second = zone.to_timestamp(DateTime::from_parts(date, time)).ok()?.as_second();
        u64::try_from(second).ok()
    };
    parsed().ok_or_else(wrong)
}

/// As much of a text from elsewhere as a message takes.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
