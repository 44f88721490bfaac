//! What may be negotiated: the configured names that russh has, in the configured order.
//!
//! Owns the engine's own choice where nothing is configured: no SHA-1, AES-GCM before ChaCha20. Knows no connection.

use std::borrow::Cow;
use std::str::FromStr as _;

use russh::keys::{Algorithm, HashAlg};
use russh::{Preferred, cipher, kex, mac};

use crate::config::pattern;
use crate::{ErrorKind, HostSpec, SshError};

const CIPHERS: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
/// Names that are announced with the key exchanges and are none themselves.
const KEX_EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
/// Every key exchange that russh has; `none` is not one.
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

/// What is offered to the host; `known`: the algorithms of the keys that known_hosts holds for it, preferred;
/// `certificates`: those to ask for before any key.
///
/// # Errors
/// [`ErrorKind::Config`] if nothing that is configured exists here, naming both sides.
pub(crate) fn preferred(
    spec: &HostSpec,
    known: &[Algorithm],
    certificates: Vec<Algorithm>,
) -> Result<Preferred, SshError> {
    let lists = &spec.algorithms;
    let defaults = Preferred::DEFAULT;
    let ciphers = cipher::ALL_CIPHERS.iter().map(|name| **name).filter(|name| *name != cipher::CLEAR);
    let macs = mac::ALL_MAC_ALGORITHMS.iter().map(|name| **name);
    let kex = match &lists.kex {
        None => defaults.kex,
        Some(names) => {
            let mut chosen = choose(spec, "KexAlgorithms", names, ALL_KEX.to_vec())?;
            chosen.extend_from_slice(KEX_EXTENSIONS);
            Cow::Owned(chosen)
        }
    };
    let cipher = match &lists.ciphers {
        None => Cow::Borrowed(CIPHERS),
        Some(names) => Cow::Owned(choose(spec, "Ciphers", names, without_none(ciphers))?),
    };
    let mac = match &lists.macs {
        None => defaults.mac,
        Some(names) => Cow::Owned(choose(spec, "MACs", names, without_none(macs))?),
    };
    let key = Cow::Owned(host_keys(spec, known, !certificates.is_empty())?);
    Ok(Preferred { kex, cipher, mac, key, host_key_certificates: Cow::Owned(certificates), ..Preferred::DEFAULT })
}

/// Whether a key of this algorithm may be offered for authentication: `PubkeyAcceptedAlgorithms`. RSA with SHA-1 is no
/// default: it has to be named.
pub(crate) fn may_authenticate(spec: &HostSpec, algorithm: &Algorithm, is_certificate: bool) -> bool {
    let name = if is_certificate { algorithm.to_certificate_type() } else { algorithm.to_string() };
    match &spec.algorithms.public_keys {
        Some(allowed) => is_listed(allowed, &name),
        None => *algorithm != Algorithm::Rsa { hash: None },
    }
}

fn is_listed(names: &[String], name: &str) -> bool {
    pattern::matches_list(name, names.iter().map(String::as_str))
}

fn without_none<N: AsRef<str>>(names: impl Iterator<Item = N>) -> Vec<N> {
    names.filter(|name| name.as_ref() != "none").collect()
}

/// The configured names that exist, in their order.
fn choose<N: AsRef<str> + Copy>(
    spec: &HostSpec,
    keyword: &str,
    names: &[String],
    have: Vec<N>,
) -> Result<Vec<N>, SshError> {
    let mut chosen: Vec<N> = Vec::new();
    for name in names {
        let fresh = |own: &&N| !chosen.iter().any(|one| one.as_ref() == own.as_ref());
        if let Some(own) = have.iter().filter(fresh).find(|own| own.as_ref() == name) {
            chosen.push(*own);
        }
    }
    if chosen.is_empty() {
        return Err(nothing_left(spec, keyword, names, have.iter().map(|name| name.as_ref().to_owned()).collect()));
    }
    Ok(chosen)
}

fn nothing_left(spec: &HostSpec, keyword: &str, names: &[String], have: Vec<String>) -> SshError {
    let (alias, names, have) = (&spec.alias, names.join(","), have.join(","));
    let message = format!("{alias}: none of its {keyword} exists here: ssh_config names {names}; Scout has {have}");
    SshError::new(ErrorKind::Config, message).with_hint(format!("add one of these to {keyword} for this host"))
}

/// Host key algorithms: those of keys that known_hosts holds, then the others, each group in order; as they stand if the
/// user ranked them.
///
/// RSA with SHA-1 only if `HostKeyAlgorithms` names it. None at all only if there are certificates to ask for.
fn host_keys(spec: &HostSpec, known: &[Algorithm], may_be_none: bool) -> Result<Vec<Algorithm>, SshError> {
    let sha1 = Algorithm::Rsa { hash: None };
    let all = Preferred::DEFAULT.key;
    let allowed: Vec<Algorithm> = match &spec.algorithms.host_keys {
        None => all.iter().filter(|own| **own != sha1).cloned().collect(),
        Some(names) => {
            let named = |name: &String| Algorithm::from_str(name).ok().filter(|algorithm| all.contains(algorithm));
            let chosen: Vec<_> = names.iter().filter_map(named).collect();
            if chosen.is_empty() && !may_be_none {
                let have = all.iter().map(ToString::to_string).collect();
                return Err(nothing_left(spec, "HostKeyAlgorithms", names, have));
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
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::SshConfig;

    fn spec() -> HostSpec {
        SshConfig::default().resolve("box").unwrap()
    }

    fn names(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|name| (*name).to_owned()).collect())
    }

    fn texts<N: AsRef<str>>(list: &[N]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
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
        spec.algorithms.ciphers = names(&["aes256-ctr", "3des-cbc", "none", "aes128-gcm@openssh.com", "aes256-ctr"]);
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
        spec.algorithms.ciphers = names(&["3des-cbc", "none"]);
        let error = preferred(&spec, &[], Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("Ciphers") && error.message().contains("names 3des-cbc,none"), "{error}");
        assert!(error.message().contains("Scout has aes128-ctr"), "{error}");
    }

    #[test]
    fn without_configuration_the_defaults_hold() {
        let preferred = preferred(&spec(), &[], Vec::new()).unwrap();
        assert_eq!(preferred.cipher, CIPHERS);
        assert_eq!(preferred.kex, Preferred::DEFAULT.kex);
        assert_eq!(preferred.mac, Preferred::DEFAULT.mac);
    }
}
