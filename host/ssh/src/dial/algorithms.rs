//! What may be negotiated: what OpenSSH offers, or the configured names, as far as russh has them, in that order.
//!
//! Owns what is said when two sides have nothing in common, and which line of ssh_config mends it. No signature with SHA-1
//! unless the configuration names it. Knows no connection.

use std::borrow::Cow;
use std::str::FromStr as _;

use russh::keys::{Algorithm, HashAlg};
use russh::{AlgorithmKind, Preferred, cipher, kex, mac};
use scout_machine::{ErrorKind, HostError, line};

use crate::HostSpec;
use crate::config::algorithms::{self as openssh, Kind};
use crate::config::pattern;

/// Kept of the algorithms that a server offers: OpenSSH's longest list has 500.
const OFFER_BYTES: usize = 1000;
/// Names that are announced with the key exchanges and are none themselves.
const KEX_EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
/// Every key exchange that russh has, the best first; `none` is not one.
const ALL_KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
    kex::DH_G1_SHA1,
];
/// Every cipher that russh has, the best first; none at all is not one.
const ALL_CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
    cipher::TRIPLE_DES_CBC,
];
/// Every MAC that russh has, the best first.
const ALL_MACS: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
    mac::HMAC_SHA1,
];

/// What is offered to the host; `known`: the algorithms of the keys that known_hosts holds for it, preferred;
/// `certificates`: those to ask for before any key.
///
/// # Errors
/// [`ErrorKind::Config`] if nothing that is configured exists here, naming both sides.
pub(crate) fn preferred(
    spec: &HostSpec,
    known: &[Algorithm],
    certificates: Vec<Algorithm>,
) -> Result<Preferred, HostError> {
    let lists = &spec.algorithms;
    let mut kex = choose(spec, "KexAlgorithms", lists.kex.as_deref(), openssh::DEFAULT_KEX, ALL_KEX)?;
    kex.extend_from_slice(KEX_EXTENSIONS);
    let cipher = choose(spec, "Ciphers", lists.ciphers.as_deref(), openssh::DEFAULT_CIPHERS, ALL_CIPHERS)?;
    let mac = choose(spec, "MACs", lists.macs.as_deref(), openssh::DEFAULT_MACS, ALL_MACS)?;
    let key = Cow::Owned(host_keys(spec, known, !certificates.is_empty())?);
    Ok(Preferred {
        kex: Cow::Owned(kex),
        cipher: Cow::Owned(cipher),
        mac: Cow::Owned(mac),
        key,
        host_key_certificates: Cow::Owned(certificates),
        ..Preferred::DEFAULT
    })
}

/// That the two sides have no algorithm of a kind in common, in words.
pub(crate) fn nothing_common(kind: &AlgorithmKind, ours: &[String], theirs: &[String]) -> String {
    // What is announced with the key exchanges is none.
    let is_one = |name: &&String| !name.starts_with("ext-info-") && !name.starts_with("kex-strict-");
    let theirs: Vec<&str> = theirs.iter().filter(is_one).map(String::as_str).collect();
    let theirs = line(theirs.join(",").as_bytes(), OFFER_BYTES);
    let theirs = if theirs.is_empty() { "nothing" } else { &theirs };
    format!("no {} in common: Scout offers {}; it offers {theirs}", list_of(kind).1, ours.join(","))
}

/// What mends that: the line of ssh_config, if one does.
pub(crate) fn mending(spec: &HostSpec, kind: &AlgorithmKind, theirs: &[String]) -> String {
    let (list, what) = list_of(kind);
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let lists = &spec.algorithms;
    let (list, keyword, configured, have) = match list {
        Some(list @ Kind::Kex) => (list, "KexAlgorithms", &lists.kex, names(texts(ALL_KEX))),
        Some(list @ Kind::Cipher) => (list, "Ciphers", &lists.ciphers, names(texts(ALL_CIPHERS))),
        Some(list @ Kind::Mac) => (list, "MACs", &lists.macs, names(texts(ALL_MACS))),
        Some(list) => {
            let have = Preferred::DEFAULT.key.iter().map(ToString::to_string).collect();
            (list, "HostKeyAlgorithms", &lists.host_keys, have)
        }
        None => return format!("no line of ssh_config can fix it: Scout has no {what} of these"),
    };
    let alias = &spec.alias;
    let Some(name) = have.iter().find(|name| theirs.contains(name) && openssh::is_known(list, name)) else {
        return format!(
            "no line of ssh_config can fix it: Scout has no {what} of these; it is the server's to offer more"
        );
    };
    if configured.is_some() {
        return format!(
            "add {name} to the line {keyword} that counts for {alias}; `scout explain {alias}` shows which"
        );
    }
    format!(
        "if the host cannot be brought up to date, this line in ssh_config allows it, under `Host {alias}`: \
         `{keyword} +{name}`"
    )
}

/// The list of ssh_config that a kind of algorithm stands in, and what people call it.
fn list_of(kind: &AlgorithmKind) -> (Option<Kind>, &'static str) {
    match kind {
        AlgorithmKind::Kex => (Some(Kind::Kex), "key exchange"),
        AlgorithmKind::Key => (Some(Kind::Key), "kind of host key"),
        AlgorithmKind::Cipher => (Some(Kind::Cipher), "cipher"),
        AlgorithmKind::Mac => (Some(Kind::Mac), "MAC"),
        AlgorithmKind::Compression => (None, "compression"),
    }
}

fn texts<N: AsRef<str>>(list: &[N]) -> Vec<&str> {
    list.iter().map(AsRef::as_ref).collect()
}

/// Whether a key of this algorithm may be offered for authentication: `PubkeyAcceptedAlgorithms`. RSA with SHA-1 and DSA
/// are no default: they have to be named.
pub(crate) fn may_authenticate(spec: &HostSpec, algorithm: &Algorithm, is_certificate: bool) -> bool {
    let name = if is_certificate { algorithm.to_certificate_type() } else { algorithm.to_string() };
    match &spec.algorithms.public_keys {
        Some(allowed) => is_listed(allowed, &name),
        None => openssh::DEFAULT_KEYS.contains(&name.as_str()),
    }
}

fn is_listed(names: &[String], name: &str) -> bool {
    pattern::matches_list(name, names.iter().map(String::as_str))
}

/// The configured names that exist, in their order; without any, those of OpenSSH.
fn choose<N: AsRef<str> + Copy>(
    spec: &HostSpec,
    keyword: &str,
    configured: Option<&[String]>,
    defaults: &[&str],
    have: &[N],
) -> Result<Vec<N>, HostError> {
    let mut chosen: Vec<N> = Vec::new();
    let mut take = |name: &str| {
        let is_fresh = !chosen.iter().any(|one| one.as_ref() == name);
        chosen.extend(have.iter().find(|own| is_fresh && own.as_ref() == name));
    };
    match configured {
        Some(names) => names.iter().for_each(|name| take(name)),
        None => defaults.iter().for_each(|name| take(name)),
    }
    if chosen.is_empty() {
        let have = texts(have).join(",");
        return Err(nothing_left(spec, keyword, configured.unwrap_or_default(), &have));
    }
    Ok(chosen)
}

fn nothing_left(spec: &HostSpec, keyword: &str, names: &[String], have: &str) -> HostError {
    let (alias, names) = (&spec.alias, names.join(","));
    let message = format!("{alias}: none of its {keyword} exists here: ssh_config names {names}; Scout has {have}");
    HostError::new(ErrorKind::Config, message).with_hint(format!("add one of these to {keyword} for this host"))
}

/// Host key algorithms: those of keys that known_hosts holds, then the others, each group in order; as they stand if the
/// user ranked them.
///
/// RSA with SHA-1 only if `HostKeyAlgorithms` names it. None at all only if there are certificates to ask for.
fn host_keys(spec: &HostSpec, known: &[Algorithm], may_be_none: bool) -> Result<Vec<Algorithm>, HostError> {
    let sha1 = Algorithm::Rsa { hash: None };
    let all = Preferred::DEFAULT.key;
    let allowed: Vec<Algorithm> = match &spec.algorithms.host_keys {
        None => all.iter().filter(|own| **own != sha1).cloned().collect(),
        Some(names) => {
            let named = |name: &String| Algorithm::from_str(name).ok().filter(|algorithm| all.contains(algorithm));
            let chosen: Vec<_> = names.iter().filter_map(named).collect();
            if chosen.is_empty() && !may_be_none {
                let have: Vec<String> = all.iter().map(ToString::to_string).collect();
                return Err(nothing_left(spec, "HostKeyAlgorithms", names, &have.join(",")));
            }
            chosen
        }
    };
    let strong = [Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }, sha1];
    let mut order: Vec<Algorithm> = Vec::with_capacity(allowed.len());
    let known = if spec.algorithms.host_keys_are_ranked { &[] } else { known };
    let known = known.iter().flat_map(|algorithm| match algorithm {
        Algorithm::Rsa { .. } => strong.to_vec(),
        other => vec![other.clone()],
    });
    for algorithm in known.filter(|algorithm| allowed.contains(algorithm)).chain(allowed.iter().cloned()) {
        if !order.contains(&algorithm) {
            order.push(algorithm);
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

    use super::*;
    use crate::SshConfig;

    fn spec() -> HostSpec {
        SshConfig::default().resolve("box").unwrap()
    }

    fn names(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn known_host_key_algorithms_are_offered_first_and_sha1_never() {
        let order = host_keys(&spec(), &[Algorithm::Rsa { hash: None }], false).unwrap();
        assert_eq!(order.first(), Some(&Algorithm::Rsa { hash: Some(HashAlg::Sha512) }));
        assert_eq!(order.get(2), Some(&Algorithm::Ed25519));
        assert!(!order.contains(&Algorithm::Rsa { hash: None }));
    }

    #[test]
    fn configured_host_key_algorithms_bound_what_is_known() {
        let mut spec = spec();
        spec.algorithms.host_keys = names(&["ssh-rsa", "ecdsa-sha2-nistp256", "sk-unknown@openssh.com"]);
        let order = host_keys(
            &spec,
            &[Algorithm::Ed25519, Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }],
            false,
        );
        let order: Vec<_> = order.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(order, ["ecdsa-sha2-nistp256", "ssh-rsa"]);
    }

    #[test]
    fn an_order_that_the_user_gave_stands() {
        let mut spec = spec();
        spec.algorithms.host_keys = names(&["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        for (ranked, first) in [(true, "ecdsa-sha2-nistp256"), (false, "ssh-ed25519")] {
            spec.algorithms.host_keys_are_ranked = ranked;
            let order = host_keys(&spec, &[Algorithm::Ed25519], false).unwrap();
            assert_eq!(order.first().unwrap().as_str(), first);
        }
    }

    #[test]
    fn configured_lists_keep_their_order_and_lose_what_does_not_exist() {
        let mut spec = spec();
        spec.algorithms.ciphers = names(&["aes256-ctr", "arcfour", "none", "aes128-gcm@openssh.com", "aes256-ctr"]);
        spec.algorithms.macs = names(&["umac-64-etm@openssh.com", "hmac-sha2-256"]);
        spec.algorithms.kex = names(&["sntrup761x25519-sha512@openssh.com", "ecdh-sha2-nistp256", "curve25519-sha256"]);
        let preferred = preferred(&spec, &[], Vec::new()).unwrap();
        assert_eq!(texts(&preferred.cipher), ["aes256-ctr", "aes128-gcm@openssh.com"]);
        assert_eq!(texts(&preferred.mac), ["hmac-sha2-256"]);
        assert!(texts(&preferred.kex).starts_with(&["ecdh-sha2-nistp256", "curve25519-sha256"]));
        assert!(preferred.kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT));
    }

    #[test]
    fn nothing_in_common_names_both_sides() {
        let mut spec = spec();
        spec.algorithms.ciphers = names(&["arcfour", "none"]);
        let error = preferred(&spec, &[], Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("Ciphers") && error.message().contains("names arcfour,none"), "{error}");
        assert!(error.message().contains("Scout has chacha20-poly1305@openssh.com,aes128-gcm"), "{error}");
    }

    /// OpenSSH 10.6's own (`ssh -G`), without what russh lacks: sntrup761, UMAC.
    #[test]
    fn without_configuration_what_openssh_offers_is_offered_in_its_order() {
        let preferred = preferred(&spec(), &[], Vec::new()).unwrap();
        assert_eq!(
            texts(&preferred.cipher).join(" "),
            "chacha20-poly1305@openssh.com aes128-gcm@openssh.com aes256-gcm@openssh.com aes128-ctr aes192-ctr aes256-ctr"
        );
        let kex = texts(&preferred.kex);
        assert_eq!(
            kex[..10].join(" "),
            "mlkem768x25519-sha256 curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 \
             ecdh-sha2-nistp384 ecdh-sha2-nistp521 diffie-hellman-group-exchange-sha256 \
             diffie-hellman-group16-sha512 diffie-hellman-group18-sha512 diffie-hellman-group14-sha256"
        );
        assert_eq!(&preferred.kex[10..], KEX_EXTENSIONS);
        assert_eq!(
            texts(&preferred.mac).join(" "),
            "hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-sha1-etm@openssh.com hmac-sha2-256 \
             hmac-sha2-512 hmac-sha1"
        );
    }

    #[test]
    fn all_that_russh_has_can_be_configured() {
        let without = |names: Vec<&'static str>| names.into_iter().filter(|name| !["none", "clear"].contains(name));
        let sorted = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<std::collections::BTreeSet<_>>();
        let kex = kex::ALL_KEX_ALGORITHMS.iter().map(|name| name.as_ref()).collect();
        let ciphers = cipher::ALL_CIPHERS.iter().map(|name| name.as_ref()).collect();
        let macs = mac::ALL_MAC_ALGORITHMS.iter().map(|name| name.as_ref()).collect();
        for (russh, ours) in [(kex, texts(ALL_KEX)), (ciphers, texts(ALL_CIPHERS)), (macs, texts(ALL_MACS))] {
            assert_eq!(sorted(&mut without(russh)), sorted(&mut ours.into_iter()));
        }
    }

    #[test]
    fn what_mends_it_is_a_line_that_can_be_written() {
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (kind, theirs, line) in [
            (AlgorithmKind::Cipher, &["3des-cbc", "aes128-cbc", "aes256-cbc"][..], "`Ciphers +aes256-cbc`"),
            (
                AlgorithmKind::Kex,
                &["diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1"],
                "`KexAlgorithms +diffie-hellman-group14-sha1`",
            ),
            (AlgorithmKind::Key, &["ssh-dss", "ssh-rsa"], "`HostKeyAlgorithms +ssh-rsa`"),
            (
                AlgorithmKind::Mac,
                &["umac-64@openssh.com", "hmac-md5"],
                "no line of ssh_config can fix it: Scout has no MAC",
            ),
            // OpenSSH has none of that name, and refuses a line with it.
            (AlgorithmKind::Kex, &["diffie-hellman-group15-sha512"], "no line of ssh_config can fix it"),
            (AlgorithmKind::Compression, &["zlib"], "no line of ssh_config can fix it: Scout has no compression"),
        ] {
            let hint = mending(&spec(), &kind, &owned(theirs));
            assert!(hint.contains(line), "{hint}");
        }
        let mut spec = spec();
        spec.algorithms.ciphers = names(&["aes128-gcm@openssh.com"]);
        let hint = mending(&spec, &AlgorithmKind::Cipher, &owned(&["aes256-ctr"]));
        assert_eq!(hint, "add aes256-ctr to the line Ciphers that counts for box; `scout explain box` shows which");
    }
}
