//! An issuer, and its keys: fetched by one task, kept until newer ones are there.
//!
//! Owns when they are fetched: at once, every ten minutes, sooner after a failure, and when a token names a key that is not among them, at most
//! once a minute. Whoever waits for that waits for the one request that is under way.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::key_set::KeySet;
use super::token::{BadToken, Token};
use crate::config::{self, check_url, is_loopback};
use crate::web::{Client, Limit};

/// How old keys may become before they are fetched again.
pub(super) const RENEWAL: Duration = Duration::from_mins(10);
/// How soon it is tried again where that failed.
pub(super) const AGAIN: Duration = Duration::from_secs(10);
/// How soon a key that is not there may have them fetched again.
pub(super) const UNKNOWN: Duration = Duration::from_mins(1);
/// How long all requests for them may take together.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a request of a client waits for them: until they are there, and not until its connection is closed as nobody's.
const WAIT: Duration = Duration::from_secs(6);
/// The largest set of keys, and the largest metadata, in bytes.
const LARGEST: Limit = Limit(64 << 10);

/// One issuer, and the task that keeps its keys new.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) config: config::Issuer,
    state: watch::Sender<State>,
    _keeper: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Counted whenever the keys are others.
    generation: u64,
    /// Whether they are being fetched, or are to be.
    is_awaited: bool,
    /// When an unknown key had them fetched.
    asked: Option<Instant>,
}

impl Issuer {
    /// An issuer whose keys are fetched from now on. Must be called inside a tokio runtime.
    pub(super) fn new(config: config::Issuer) -> Self {
        let of = config.clone();
        Self::fetching(config, move || fetch(&of))
    }

    /// The same, with another way to fetch them, which may block.
    pub(super) fn fetching(
        config: config::Issuer,
        fetch: impl Fn() -> Result<KeySet, String> + Send + Sync + 'static,
    ) -> Self {
        let state = watch::Sender::new(State { is_awaited: true, ..State::default() });
        let keeper = tokio::spawn(keep(Arc::clone(&config.name), state.clone(), Arc::new(fetch)));
        Self { config, state, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// Which keys it has now.
    pub(super) fn generation(&self) -> u64 {
        self.state.borrow().generation
    }

    /// Verifies who has signed a token. Gives which keys it was held against.
    ///
    /// # Cancel safety
    /// Nothing is lost: the keys are fetched by another task.
    pub(super) async fn verified(&self, token: &Token<'_>) -> Result<u64, BadToken> {
        let (algorithm, kid) = token.signed_by(&self.config)?;
        let mut state = self.state.subscribe();
        for is_last in [false, false, true] {
            {
                let state = state.borrow_and_update();
                if let Some(key) = state.keys.as_ref().and_then(|keys| keys.find(kid, algorithm)) {
                    let (message, signed) = token.signature();
                    return match key.has_signed(algorithm, message, signed) {
                        true => Ok(state.generation),
                        false => Err(BadToken::Invalid("its signature is not its issuer's")),
                    };
                }
            }
            if is_last || !self.asks() {
                break;
            }
            drop(tokio::time::timeout(WAIT, state.wait_for(|state| !state.is_awaited)).await);
        }
        let has_keys = state.borrow().keys.is_some();
        Err(if has_keys { BadToken::Invalid("its issuer has no such key") } else { BadToken::Unverified })
    }

    /// Has the keys fetched, if that was not too short a while ago. Gives whether they are awaited.
    fn asks(&self) -> bool {
        let mut is_awaited = true;
        self.state.send_if_modified(|state| {
            let now = Instant::now();
            if state.is_awaited {
                return false;
            }
            if state.asked.is_some_and(|asked| now - asked < UNKNOWN) {
                is_awaited = false;
                return false;
            }
            (state.is_awaited, state.asked) = (true, Some(now));
            true
        });
        is_awaited
    }
}

/// Fetches keys whenever it is time.
async fn keep(
    name: Arc<str>,
    state: watch::Sender<State>,
    fetch: Arc<impl Fn() -> Result<KeySet, String> + Send + Sync + 'static>,
) {
    let (mut asked, mut was_away) = (state.subscribe(), false);
    loop {
        let fetch = Arc::clone(&fetch);
        let fetched = tokio::task::spawn_blocking(move || fetch()).await;
        let fetched = fetched.unwrap_or_else(|error| Err(format!("they were not fetched: {error}")));
        let wait = match &fetched {
            Ok(keys) => {
                if was_away || state.borrow().keys.is_none() {
                    tracing::info!(issuer = %name, keys = keys.len(), "the keys of the issuer are there");
                }
                RENEWAL
            }
            Err(error) => {
                let has_others = state.borrow().keys.is_some();
                if was_away {
                    tracing::debug!(issuer = %name, %error, "the keys of the issuer still cannot be fetched");
                } else if has_others {
                    tracing::warn!(issuer = %name, %error, "the keys of the issuer cannot be fetched again: those of before serve");
                } else {
                    tracing::warn!(issuer = %name, %error, "the keys of the issuer cannot be fetched: its tokens serve nobody until then");
                }
                AGAIN
            }
        };
        was_away = fetched.is_err();
        state.send_modify(|state| {
            state.is_awaited = false;
            if let Ok(keys) = fetched
                && state.keys.as_deref() != Some(&keys)
            {
                state.keys = Some(Arc::new(keys));
                state.generation += 1;
            }
        });
        drop(tokio::time::timeout(wait, asked.wait_for(|state| state.is_awaited)).await);
    }
}

/// The keys of an issuer, from where its table or its metadata says. Blocks.
pub(super) fn fetch(config: &config::Issuer) -> Result<KeySet, String> {
    let client = Client::new(std::time::Instant::now() + PATIENCE)?;
    let at = match &config.jwks_uri {
        Some(url) => url.clone(),
        None => discovered(&client, &config.issuer)?,
    };
    let bytes = client.get(&at, "application/jwk-set+json, application/json", None, LARGEST)?.success()?;
    KeySet::parse(&bytes).map_err(|why| format!("{at}: {why}"))
}

/// Where the metadata of an issuer says that its keys are.
fn discovered(client: &Client, issuer: &str) -> Result<Url, String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let of = Url::parse(issuer).map_err(|error| error.to_string())?;
    let mut failures = Vec::new();
    for at in places(&of) {
        let found = client.get(&at, "application/json", None, LARGEST).and_then(crate::web::Answer::success);
        let found = found.and_then(|bytes| {
            let metadata: Metadata = serde_json::from_slice(&bytes)
                .map_err(|error| format!("{at} is not the metadata of an issuer: {error}"))?;
            if metadata.issuer != issuer {
                return Err(format!(
                    "{at} is the metadata of another issuer, `{}`",
                    scout_machine::visible(&metadata.issuer)
                ));
            }
            let keys = Url::parse(&metadata.jwks_uri)
                .map_err(|error| format!("{at} says that the keys are nowhere: {error}"))?;
            check_url(&keys)?;
            if is_loopback(&keys) && !is_loopback(&of) {
                return Err(format!("{at} says that the keys are on this machine"));
            }
            Ok(keys)
        });
        match found {
            Ok(url) => return Ok(url),
            Err(why) => failures.push(why),
        }
    }
    Err(failures.join("; "))
}

/// Where metadata may be: RFC 8414 §3.1, then OpenID Connect, of which some issuers have the path before and some behind.
pub(super) fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    paths.dedup();
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    paths.into_iter().map(at).collect()
}
