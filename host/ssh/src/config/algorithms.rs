//! Lists of algorithms: OpenSSH's own, and what `+`, `-` and `^` make of them.
//!
//! Owns the names that OpenSSH knows, and which of them it offers by default: those of 10.6 in its order (`ssh -Q`,
//! `ssh -G`), and what older versions knew besides. Does not know which of them this engine has.

use super::pattern;
use super::refusal::Refusal;

/// Which list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `KexAlgorithms`
    Kex,
    /// `Ciphers`
    Cipher,
    /// `MACs`
    Mac,
    /// `HostKeyAlgorithms` and `PubkeyAcceptedAlgorithms`
    Key,
    /// `CASignatureAlgorithms`
    CaSignature,
}

/// OpenSSH 10.6's, as all lists here; what only older versions have is in the lists of others.
pub(crate) const DEFAULT_KEX: &[&str] = &[
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
];
const MORE_KEX: &[&str] = &[
    "diffie-hellman-group1-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha1",
    "mlkem768nistp256-sha256",
    // Of Red Hat's: its policies name it.
    "mlkem1024nistp384-sha384",
];
/// AES-CTR stood before AES-GCM until 10.0.
pub(crate) const DEFAULT_CIPHERS: &[&str] = &[
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];
const MORE_CIPHERS: &[&str] = &["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"];
pub(crate) const DEFAULT_MACS: &[&str] = &[
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
];
const MORE_MACS: &[&str] = &[
    "hmac-sha1-96",
    "hmac-md5",
    "hmac-md5-96",
    "hmac-sha1-96-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-md5-96-etm@openssh.com",
];
pub(crate) const DEFAULT_KEYS: &[&str] = &[
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-mldsa44-ed25519-cert",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-mldsa44-ed25519",
];
/// No SHA-1 among them.
pub(super) const DEFAULT_CA_SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
/// In the order in which a pattern finds them, which is that of OpenSSH's own table.
const ALL_KEYS: &[&str] = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ssh-mldsa44-ed25519",
    "ssh-mldsa44-ed25519-cert",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
];

/// Whether some version of OpenSSH takes the name as one of this list.
pub(crate) fn is_known(kind: Kind, name: &str) -> bool {
    kind.all().contains(&name)
}

impl Kind {
    fn defaults(self) -> &'static [&'static str] {
        match self {
            Self::Kex => DEFAULT_KEX,
            Self::Cipher => DEFAULT_CIPHERS,
            Self::Mac => DEFAULT_MACS,
            Self::Key => DEFAULT_KEYS,
            Self::CaSignature => DEFAULT_CA_SIGNATURES,
        }
    }

    fn all(self) -> Vec<&'static str> {
        match self {
            Self::Kex => [DEFAULT_KEX, MORE_KEX].concat(),
            Self::Cipher => [DEFAULT_CIPHERS, MORE_CIPHERS].concat(),
            Self::Mac => [DEFAULT_MACS, MORE_MACS].concat(),
            Self::Key | Self::CaSignature => ALL_KEYS.to_vec(),
        }
    }

    /// Whether names may be patterns outside a list with `-` too.
    fn has_patterns(self) -> bool {
        matches!(self, Self::Key | Self::CaSignature)
    }
}

/// Looks at a list as OpenSSH looks at every one, also at those that do not count.
///
/// # Errors
/// For a name that no version of OpenSSH has.
pub(super) fn check(kind: Kind, text: &str) -> Result<(), Refusal> {
    if text.starts_with('-') {
        return Ok(());
    }
    let all = kind.all();
    let is_known = |name: &str| match name.strip_prefix('!') {
        _ if !kind.has_patterns() => all.contains(&name),
        Some(negated) => all.iter().any(|known| pattern::matches(known, negated)),
        None => all.iter().any(|known| pattern::matches(known, name)),
    };
    let mut named = names(text.strip_prefix(['+', '^']).unwrap_or(text)).peekable();
    if named.peek().is_none() {
        return Err(Refusal::bad(format!("{text} names no algorithm")));
    }
    match named.find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal::hinted(
            format!("{name} is not an algorithm that OpenSSH has"),
            "correct this line, or take the name out; ssh refuses what it does not know",
        )),
    }
}

/// The names that a list comes to, in order of preference.
///
/// # Errors
/// As [`check`], and for a list that comes to nothing or says what is not in it.
pub(super) fn assemble(kind: Kind, text: &str) -> Result<Vec<String>, Refusal> {
    check(kind, text)?;
    let mut all = kind.all();
    if kind == Kind::CaSignature {
        // Certificates' names may be written, and are no signatures.
        all.retain(|name| !name.contains("-cert-v01@") && !name.ends_with("-cert"));
    }
    let defaults = kind.defaults().iter().copied();
    if let Some(removed) = text.strip_prefix('-') {
        let kept = defaults.filter(|name| !pattern::matches_list(name, removed.split(',')));
        return nonempty(text, kept.map(str::to_owned).collect());
    }
    let (at_end, at_head) = (text.strip_prefix('+'), text.strip_prefix('^'));
    let named = names(at_end.or(at_head).unwrap_or(text));
    if let Some(negated) = named.clone().find(|name| name.starts_with('!')) {
        return Err(Refusal::bad(format!("{negated}: only a list that begins with - takes names away")));
    }
    let patterns: Vec<&str> = match (at_end, at_head) {
        (Some(_), _) => defaults.chain(named).collect(),
        (None, Some(_)) => named.chain(defaults).collect(),
        (None, None) => named.collect(),
    };
    let mut assembled: Vec<String> = Vec::new();
    for wanted in patterns {
        for name in all.iter().filter(|name| pattern::matches(name, wanted)) {
            if !assembled.iter().any(|known| known == name) {
                assembled.push((*name).to_owned());
            }
        }
    }
    nonempty(text, assembled)
}

/// The names up to an empty one, where OpenSSH stops too.
fn names(list: &str) -> impl Iterator<Item = &str> + Clone {
    list.split(',').take_while(|name| !name.is_empty())
}

fn nonempty(text: &str, names: Vec<String>) -> Result<Vec<String>, Refusal> {
    if names.is_empty() { Err(Refusal::bad(format!("{text} leaves no algorithm"))) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::{Kind, assemble};

    fn joined(kind: Kind, text: &str) -> String {
        assemble(kind, text).map(|names| names.join(" ")).unwrap_or_else(|_| "refused".to_owned())
    }

    #[test]
    fn lists_are_assembled_as_in_openssh() {
        assert_eq!(joined(Kind::Cipher, "aes256-ctr,aes128-ctr,aes256-ctr"), "aes256-ctr aes128-ctr");
        assert!(joined(Kind::Cipher, "+aes128-cbc").ends_with("aes256-ctr aes128-cbc"));
        assert!(joined(Kind::Cipher, "^aes256-ctr").starts_with("aes256-ctr chacha20-poly1305@openssh.com aes128-gcm"));
        assert_eq!(joined(Kind::Cipher, "-*gcm*,chacha*"), "aes128-ctr aes192-ctr aes256-ctr");
        assert_eq!(joined(Kind::Key, "ssh-ed25519*"), "ssh-ed25519 ssh-ed25519-cert-v01@openssh.com");
        assert!(joined(Kind::Key, "+ssh-rsa").ends_with("rsa-sha2-256 ssh-mldsa44-ed25519 ssh-rsa"));
        assert_eq!(joined(Kind::CaSignature, "ssh-rsa"), "ssh-rsa");
        assert_eq!(joined(Kind::CaSignature, "ssh-ed25519*"), "ssh-ed25519");
    }

    #[test]
    fn unknown_names_and_empty_lists_are_refused() {
        for (kind, text) in [
            (Kind::Cipher, "aes128-foo"),
            (Kind::Cipher, "aes*"),
            (Kind::Cipher, "+"),
            (Kind::Cipher, "-*"),
            (Kind::Key, "!ssh-rsa"),
            (Kind::Key, "foo*"),
            (Kind::Kex, "gss-gex-sha1-"),
        ] {
            assert_eq!(joined(kind, text), "refused", "{text}");
        }
    }
}
