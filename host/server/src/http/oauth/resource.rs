//! This server as tokens know it: what they are for, who issues them, and which were verified a while ago.

use std::num::NonZeroUsize;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::issuer::Issuer;
use super::token::{BadToken, Proven, Token};
use crate::config;
use crate::http::answers::{Answer, JSON, with, with_header};
use crate::http::door::PATH;
use crate::tenant::LOCAL;

/// Where the metadata of a resource is (RFC 9728).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// Tokens that are remembered: of more, those that were brought longest ago are verified anew.
pub(super) const TOKENS: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// How much of a claim that names nobody is repeated, in bytes.
const MAX_SHOWN: usize = 128;

/// What the configuration says of tokens, and what was made of it.
#[derive(Debug, Default)]
pub(in crate::http) struct OAuth(Mutex<Option<Arc<Resource>>>);

impl OAuth {
    /// What serves a request of this configuration. Another one has other issuers, and remembers nothing; an issuer that is the same
    /// keeps its keys. Must be called inside a tokio runtime.
    pub(in crate::http) fn of(&self, config: Option<&Arc<config::OAuth>>) -> Option<Arc<Resource>> {
        let mut current = self.0.lock();
        let is_current = match (current.as_ref(), config) {
            (Some(current), Some(config)) => Arc::ptr_eq(&current.config, config),
            (None, None) => true,
            _ => false,
        };
        if !is_current {
            let known = current.as_ref().map(|current| current.issuers.clone()).unwrap_or_default();
            *current = config.map(|config| Arc::new(Resource::new(config, &known)));
        }
        current.clone()
    }
}

/// This server as tokens know it.
#[derive(Debug)]
pub(in crate::http) struct Resource {
    config: Arc<config::OAuth>,
    issuers: Vec<Arc<Issuer>>,
    tokens: Mutex<LruCache<[u8; 32], Known>>,
    metadata_path: String,
    metadata_url: String,
    scopes: Vec<String>,
}

/// A token that was verified.
#[derive(Clone, Debug)]
struct Known {
    principal: Arc<str>,
    until: f64,
    issuer: Arc<Issuer>,
    /// The keys that it was held against.
    generation: u64,
}

impl Resource {
    fn new(config: &Arc<config::OAuth>, known: &[Arc<Issuer>]) -> Self {
        let issuers = config.issuers.iter().map(|table| match known.iter().find(|known| known.config == *table) {
            Some(known) => Arc::clone(known),
            None => Arc::new(Issuer::new(table.clone())),
        });
        Self::of_issuers(config, issuers.collect())
    }

    pub(super) fn of_issuers(config: &Arc<config::OAuth>, issuers: Vec<Arc<Issuer>>) -> Self {
        let path = |url: &Url| format!("{WELL_KNOWN}{}", url.path().trim_end_matches('/'));
        // It was parsed when it was read.
        let (metadata_path, metadata_url) = match Url::parse(&config.resource) {
            Ok(mut url) => {
                let path = path(&url);
                url.set_path(&path);
                (path, url.into())
            }
            Err(_) => (WELL_KNOWN.to_owned(), WELL_KNOWN.to_owned()),
        };
        let mut scopes: Vec<String> = config.issuers.iter().flat_map(|issuer| issuer.scopes.clone()).collect();
        scopes.sort();
        scopes.dedup();
        let tokens = Mutex::new(LruCache::new(TOKENS));
        Self { config: Arc::clone(config), issuers, tokens, metadata_path, metadata_url, scopes }
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// [`BadToken`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(in crate::http) async fn principal(&self, text: &str) -> Result<Arc<str>, BadToken> {
        self.principal_at(text, Timestamp::now().as_duration().as_secs_f64()).await
    }

    pub(super) async fn principal_at(&self, text: &str, now: f64) -> Result<Arc<str>, BadToken> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let known = self.tokens.lock().get(&digest).cloned();
        if let Some(known) = known
            && known.until > now
            && known.issuer.generation() == known.generation
        {
            return Ok(known.principal);
        }
        let token = Token::read(text)?;
        let issuer = self.issuers.iter().find(|issuer| token.issuer() == Some(&issuer.config.issuer));
        let issuer = issuer.ok_or(BadToken::Invalid("it is of no issuer that is known here"))?;
        let generation = issuer.verified(&token).await?;
        let Proven { until, claim } = token.proves(&issuer.config, &self.config.resource, now)?;
        let principal = named(&issuer.config, &claim)?;
        let known = Known { principal: Arc::clone(&principal), until, issuer: Arc::clone(issuer), generation };
        self.tokens.lock().put(digest, known);
        Ok(principal)
    }

    /// The metadata of this server, if it is asked for.
    pub(in crate::http) fn metadata(&self, path: &str) -> Option<Answer> {
        let inserted = path.strip_prefix(WELL_KNOWN)?;
        if !(inserted.is_empty() || inserted == PATH || path == self.metadata_path) {
            return None;
        }
        let issuers: Vec<_> = self.config.issuers.iter().map(|issuer| &issuer.issuer).collect();
        let mut metadata = json!({
            "resource": self.config.resource,
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
        });
        // What is empty is left out (RFC 9728 §3.2).
        if let Some(members) = metadata.as_object_mut().filter(|_| !self.scopes.is_empty()) {
            members.insert("scopes_supported".to_owned(), json!(self.scopes));
        }
        Some(with(StatusCode::OK, JSON, metadata.to_string().into()))
    }

    /// An answer with the challenge that tells a client where to log in (RFC 6750 §3, RFC 9728 §5.1).
    pub(in crate::http) fn challenging(&self, answer: Answer, error: Option<&str>, scopes: Option<&str>) -> Answer {
        let scopes = scopes.map_or_else(|| self.scopes.join(" "), str::to_owned);
        let mut challenge = format!("Bearer realm=\"scout\", resource_metadata=\"{}\"", self.metadata_url);
        for (name, value) in [("scope", scopes.as_str()), ("error", error.unwrap_or_default())] {
            if !value.is_empty() {
                challenge.push_str(&format!(", {name}=\"{value}\""));
            }
        }
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => with_header(answer, WWW_AUTHENTICATE, challenge),
            Err(_) => answer,
        }
    }
}

#[cfg(test)]
impl Resource {
    pub(super) fn remembered(&self) -> usize {
        self.tokens.lock().len()
    }

    /// Remembers so many tokens that nobody has.
    pub(super) fn remembers(&self, count: usize) {
        let known = Known { principal: LOCAL.into(), until: 0.0, issuer: Arc::clone(self.first()), generation: 0 };
        let mut tokens = self.tokens.lock();
        for n in 0..count {
            tokens.put(Sha256::digest(n.to_le_bytes()).into(), known.clone());
        }
    }

    pub(super) fn first(&self) -> &Arc<Issuer> {
        self.issuers.first().expect("there is one")
    }
}

/// The principal of a claim. Without a table that says so nobody becomes whoever has started Scout, for whom there are no bounds.
fn named(issuer: &config::Issuer, claim: &str) -> Result<Arc<str>, BadToken> {
    let principal = match &issuer.principals {
        Some(principals) => principals.get(claim).cloned(),
        None => (claim != LOCAL && config::is_principal(claim).is_ok()).then(|| claim.into()),
    };
    let shown = claim.get(..claim.floor_char_boundary(MAX_SHOWN)).unwrap_or_default();
    principal.ok_or_else(|| BadToken::Nobody(issuer.claim.clone(), shown.to_owned()))
}
