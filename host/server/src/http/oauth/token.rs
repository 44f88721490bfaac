//! One token: a JWT (RFC 7519) that is an access token (RFC 9068), read strictly.
//!
//! Three parts, each whole; no member twice; nothing critical, since nothing critical is known here; times as numbers.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::config::{Algorithm, Issuer};

/// The longest token, in bytes.
pub(in crate::http) const MAX_TOKEN: usize = 16 << 10;
/// How far the clocks of an issuer and of this machine may be apart, in seconds.
const LEEWAY: f64 = 30.0;
/// The last second of the year 9999: a later time is a mistake.
const LAST: f64 = 253_402_300_799.0;

/// Why a token serves nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum BadToken {
    /// It is none, or not for this server.
    Invalid(&'static str),
    /// It served until a while ago.
    Expired,
    /// The keys of its issuer could not be had yet.
    Unverified,
    /// It is good, and not for all that is needed here: these scopes.
    Scope(String),
    /// It is good, and whom it names is nobody here: the claim that does, and what it says.
    Nobody(String, String),
}

/// A token as it is written. Nothing of it is believed.
#[derive(Debug)]
pub(super) struct Token<'t> {
    header: Members,
    claims: Members,
    signed: &'t [u8],
    signature: Vec<u8>,
}

/// What a token proves: until when, in seconds since 1970, and for whom.
#[derive(Debug, PartialEq)]
pub(super) struct Proven {
    pub(super) until: f64,
    pub(super) claim: String,
}

impl<'t> Token<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, BadToken> {
        if text.len() > MAX_TOKEN {
            return Err(BadToken::Invalid("it is too long"));
        }
        let malformed = BadToken::Invalid("it is not a signed JWT");
        let (signed, signature) = text.rsplit_once('.').ok_or(malformed.clone())?;
        let (header, claims) = signed.split_once('.').ok_or(malformed.clone())?;
        // A part more would be in the claims.
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed.clone());
        let members = |text: &str| {
            let bytes = part(text)?;
            serde_json::from_slice::<Members>(&bytes).map_err(|_| malformed.clone())
        };
        Ok(Self {
            header: members(header)?,
            claims: members(claims)?,
            signed: signed.as_bytes(),
            signature: part(signature)?,
        })
    }

    /// Who says to have issued it.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.text("iss")
    }

    /// How it is signed and by which key, if an issuer may sign so.
    pub(super) fn signed_by(&self, issuer: &Issuer) -> Result<(Algorithm, &str), BadToken> {
        if self.header.0.contains_key("crit") {
            return Err(BadToken::Invalid("it has a header that has to be understood, and is not"));
        }
        self.checked_type(issuer)?;
        let algorithm = self.header.0.get("alg").and_then(|name| Algorithm::deserialize(name).ok());
        let algorithm = algorithm.filter(|algorithm| issuer.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(BadToken::Invalid("it is not signed as its issuer signs"))?;
        let kid = self.header.text("kid").ok_or(BadToken::Invalid("it does not name the key that signed it"))?;
        Ok((algorithm, kid))
    }

    /// What is signed, and the signature.
    pub(super) fn signature(&self) -> (&[u8], &[u8]) {
        (self.signed, &self.signature)
    }

    /// What it proves at a time, once its signature is this issuer's, whom it names itself.
    pub(super) fn proves(&self, issuer: &Issuer, resource: &str, now: f64) -> Result<Proven, BadToken> {
        let claims = &self.claims;
        let is_for_us = match claims.0.get("aud") {
            Some(Value::String(audience)) => audience == resource,
            Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience.as_str() == Some(resource)),
            _ => false,
        };
        if !is_for_us {
            return Err(BadToken::Invalid("it is not for this server: its audience is another"));
        }
        let until = claims.time("exp")?.ok_or(BadToken::Invalid("it does not say when it ends"))? + LEEWAY;
        if until <= now {
            return Err(BadToken::Expired);
        }
        if claims.time("nbf")?.is_some_and(|from| from - LEEWAY > now) {
            return Err(BadToken::Invalid("it is not valid yet"));
        }
        if claims.time("iat")?.is_some_and(|issued| issued - LEEWAY > now) {
            return Err(BadToken::Invalid("it was issued in the future"));
        }
        let has = self.scopes();
        if issuer.scopes.iter().any(|scope| !has.contains(&scope.as_str())) {
            return Err(BadToken::Scope(issuer.scopes.join(" ")));
        }
        let claim = claims.text(&issuer.claim).filter(|claim| !claim.is_empty());
        let claim = claim.ok_or(BadToken::Invalid("it does not have the claim that names the principal"))?;
        Ok(Proven { until, claim: claim.to_owned() })
    }

    /// What says that it is an access token, or at least that it is nothing else.
    fn checked_type(&self, issuer: &Issuer) -> Result<(), BadToken> {
        let named = match self.header.0.get("typ") {
            None => None,
            Some(Value::String(name)) => Some(name.to_ascii_lowercase()),
            Some(_) => return Err(BadToken::Invalid("it is not an access token")),
        };
        // Tokens of the other kinds, as issuers make them that write `JWT` for all: an ID token has a digest of what it came with, a logout
        // token has events, and Keycloak has the kind among the claims.
        let is_another =
            ["at_hash", "c_hash", "s_hash", "events"].iter().any(|claim| self.claims.0.contains_key(*claim))
                || self.claims.0.get("typ").is_some_and(|kind| kind.as_str() != Some("Bearer"));
        let is_access = match named.as_deref() {
            Some("at+jwt" | "application/at+jwt") => true,
            None | Some("jwt" | "application/jwt") => issuer.any_type,
            Some(_) => false,
        };
        if is_access && !is_another {
            return Ok(());
        }
        Err(BadToken::Invalid("it is not an access token (`typ` is to be `at+jwt`)"))
    }

    /// As OAuth writes them, or as Entra and Okta do.
    fn scopes(&self) -> Vec<&str> {
        let mut scopes = Vec::new();
        for value in ["scope", "scp"].iter().filter_map(|claim| self.claims.0.get(*claim)) {
            match value {
                Value::String(words) => scopes.extend(words.split(' ')),
                Value::Array(words) => scopes.extend(words.iter().filter_map(Value::as_str)),
                _ => {}
            }
        }
        scopes
    }
}

/// A JSON object, no member of which is there twice.
#[derive(Debug)]
struct Members(BTreeMap<String, Value>);

impl Members {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn time(&self, name: &str) -> Result<Option<f64>, BadToken> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let time = value.as_f64().filter(|time| (0.0..=LAST).contains(time));
        time.map(Some).ok_or(BadToken::Invalid("one of its times is not a number of seconds"))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strict;
        impl<'de> Visitor<'de> for Strict {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Strict)
    }
}
