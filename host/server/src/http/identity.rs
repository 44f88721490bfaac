//! Who asks: told by each request for itself, never by the connection that it comes on.
//!
//! Owns the order: a key that a request brings says who asks; without one, over a socket of this machine, the account at its other end does,
//! by the table `[http.accounts]`. Whoever is known and has no `[access.NAME]` may do nothing: a name that is misspelt there opens nothing.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::answers::{Answer, refused, unauthorized};
use super::keys::{Keys, NoKey};
use crate::config::Config;
use crate::tenant::LOCAL;

/// Headers of a request that a proxy has passed on.
const PASSED_ON: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
/// The longest `Authorization` that is looked at, in bytes.
const MAX_CREDENTIALS: usize = 4 << 10;

/// The other end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Its address; behind a proxy the proxy's.
    pub(super) address: Option<IpAddr>,
    /// Over a socket of this machine: the account there.
    pub(super) account: Option<Account>,
}

/// An account of this machine.
#[derive(Clone, Debug)]
pub(super) struct Account {
    number: u32,
    name: Option<String>,
}

impl Account {
    /// The account of this number. May ask the system's directory, so it may block.
    pub(super) fn new(number: u32) -> Self {
        let user = uzers::get_user_by_uid(number);
        Self { number, name: user.and_then(|user| user.name().to_str().map(str::to_owned)) }
    }

    fn is_own(&self) -> bool {
        self.number == rustix::process::geteuid().as_raw()
    }
}

/// Why a request is nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// It says nothing of who asks.
    Silent,
    /// It says so in a way that there is none.
    Malformed(&'static str),
    /// Its key serves nobody.
    Key(NoKey),
    /// The account stands for nobody.
    Account(String),
    /// There are no rights for this principal.
    NoRights(Arc<str>),
}

impl Stranger {
    /// Whether a login has failed.
    pub(super) fn is_failed_login(&self) -> bool {
        matches!(self, Self::Key(_))
    }

    /// What the client is told.
    pub(super) fn answer(&self) -> Answer {
        use hyper::StatusCode as Status;
        match self {
            Self::Silent => unauthorized(
                "who asks? send `Authorization: Bearer KEY` with a key that `scout key add` has made".to_owned(),
            ),
            Self::Malformed(why) => refused(Status::BAD_REQUEST, (*why).to_owned()),
            Self::Key(NoKey::Unknown) => {
                unauthorized("this key is none of this server's, or it was revoked".to_owned())
            }
            Self::Key(NoKey::Expired) => unauthorized("this key has expired: ask the operator for another".to_owned()),
            Self::Account(account) => refused(
                Status::FORBIDDEN,
                format!(
                    "[http.accounts] of scout.toml has no principal for the account {account} that opened this socket"
                ),
            ),
            Self::NoRights(principal) => refused(
                Status::FORBIDDEN,
                format!("scout.toml has no [access.{principal}]: the operator has to say what `{principal}` may do"),
            ),
        }
    }
}

/// Whose a request is.
///
/// # Errors
/// [`Stranger`].
pub(super) fn principal(peer: &Peer, headers: &HeaderMap, keys: &Keys, config: &Config) -> Result<Arc<str>, Stranger> {
    let principal = match (bearer(headers)?, &peer.account) {
        (Some(key), _) => Arc::clone(&keys.find(key).map_err(Stranger::Key)?.principal),
        // Who passes on what others ask is not who asks.
        (None, Some(account)) if !PASSED_ON.iter().any(|name| headers.contains_key(*name)) => {
            of_account(account, config)?
        }
        (None, _) => return Err(Stranger::Silent),
    };
    if &*principal == LOCAL || config.principals.contains_key(&*principal) {
        Ok(principal)
    } else {
        Err(Stranger::NoRights(principal))
    }
}

fn of_account(account: &Account, config: &Config) -> Result<Arc<str>, Stranger> {
    let number = account.number.to_string();
    let named = account.name.as_ref().and_then(|name| config.http.accounts.get(name));
    match named.or_else(|| config.http.accounts.get(&number)) {
        Some(principal) => Ok(Arc::clone(principal)),
        None if account.is_own() => Ok(LOCAL.into()),
        None => Err(Stranger::Account(account.name.clone().unwrap_or(number))),
    }
}

/// The key that a request brings.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Stranger> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Stranger::Malformed("`Authorization` is there twice: send it once"));
    }
    let text = value.to_str().ok().filter(|text| text.len() <= MAX_CREDENTIALS);
    let (scheme, key) = text.and_then(|text| text.trim().split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Stranger::Malformed("`Authorization` is `Bearer KEY`, and nothing else is known here"));
    }
    Ok(Some(key.trim()))
}
