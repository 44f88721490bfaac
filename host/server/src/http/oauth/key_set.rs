//! The public keys of an issuer: a JWK set (RFC 7517), of which only is taken what verifies signatures and is nobody's secret.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use crate::config::Algorithm;

/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 64;
/// Bytes of a modulus: 2048 bits at least, and no more than verify in a millisecond.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Keys by their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Key>);

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    kid: String,
    /// The only algorithm that it is for; absent: each that it fits.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// A key as it is written.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    for_what: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// What nobody else may have. A key that is published with it is everybody's.
    d: Option<serde::de::IgnoredAny>,
}

impl KeySet {
    /// Reads a set. Keys of another kind are left out.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(bytes).map_err(|error| format!("this is not a set of keys: {error}"))?;
        let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| Jwk::deserialize(key).ok()?.key());
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() {
            return Err("there is no key in the set that verifies signatures and has a `kid`".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key of this name, if it signs so.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&Key> {
        self.0.iter().find(|key| key.kid == kid && key.signs(algorithm))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Jwk {
    fn key(self) -> Option<Key> {
        let verifies = self.for_what.as_ref().is_none_or(|what| what == "sig")
            && self.key_ops.as_ref().is_none_or(|what| what.iter().any(|what| what == "verify"))
            && self.d.is_none();
        if !verifies {
            return None;
        }
        let bytes = |text: &Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
            (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
        };
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&self.x).filter(|x| x.len() == 32)?),
            ("RSA", _) => {
                // Some write a zero before it.
                let short = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
                let (n, e) = (short(bytes(&self.n)?), short(bytes(&self.e)?));
                if !MODULUS.contains(&n.len()) {
                    return None;
                }
                Material::Rsa { n, e }
            }
            _ => return None,
        };
        Some(Key { kid: self.kid, algorithm: self.alg, material })
    }
}

impl Key {
    fn signs(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let is_for_it = self.algorithm.as_ref().is_none_or(|name| match algorithm {
            // RFC 9864 has a name of its own for it.
            A::EdDSA => name == "EdDSA" || name == "Ed25519",
            algorithm => *name == format!("{algorithm:?}"),
        });
        is_for_it
            && match &self.material {
                Material::P256(_) => algorithm == A::ES256,
                Material::P384(_) => algorithm == A::ES384,
                Material::Ed25519(_) => algorithm == A::EdDSA,
                Material::Rsa { .. } => !matches!(algorithm, A::ES256 | A::ES384 | A::EdDSA),
            }
    }

    /// Whether this key has signed it so.
    pub(super) fn has_signed(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        use Algorithm as A;
        let rsa = match algorithm {
            A::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            A::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            A::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            A::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
            A::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
            A::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
            A::ES256 | A::ES384 | A::EdDSA => {
                let is_good = match &self.material {
                    Material::P256(point) => {
                        UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signed)
                    }
                    Material::P384(point) => {
                        UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signed)
                    }
                    Material::Ed25519(point) => {
                        UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signed)
                    }
                    Material::Rsa { .. } => return false,
                };
                return self.signs(algorithm) && is_good.is_ok();
            }
        };
        match &self.material {
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(rsa, message, signed).is_ok(),
            _ => false,
        }
    }
}
