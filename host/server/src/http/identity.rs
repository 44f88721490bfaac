//! Who asks: told by each request for itself, never by the connection that it comes on.
//!
//! Owns the order: a key or an access token that a request brings says who asks; without one the certificate that the client has shown, by the
//! table `[http.certificates]`, and over a socket of this machine the account at its other end, by the table `[http.accounts]`. Whoever is known and has no `[access.NAME]` may do nothing: a name that is
//! misspelt there opens nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, RETRY_AFTER};
use scout_machine::visible;
use tokio::time::Instant;

use super::answers::{Answer, refused, unauthorized, with_header};
use super::client_certificate::ClientCertificate;
use super::keys::{Keys, NoKey, is_key};
use super::oauth::{BadToken, MAX_TOKEN, Resource};
use crate::config::Config;
use crate::tenant::LOCAL;

/// Headers of a request that a proxy has passed on.
const PASSED_ON: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
/// The longest `Authorization` that is looked at, in bytes.
const MAX_CREDENTIALS: usize = MAX_TOKEN + 64;
/// When somebody is to ask again whose issuer is away, in seconds.
const AWAY: u16 = 10;
/// How long a call or a stream goes on whose token has ended: as long as most calls may take, and no stream for ever.
const OVERTIME: Duration = Duration::from_mins(10);

/// The other end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Its address; behind a proxy the proxy's.
    pub(super) address: Option<IpAddr>,
    /// Over a socket of this machine: the account there.
    pub(super) account: Option<Account>,
    /// Over TLS: what it has shown.
    pub(super) certificate: Option<ClientCertificate>,
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
    /// Its access token serves nobody.
    Token(BadToken),
    /// The certificate is good no longer.
    Certificate,
    /// The certificate stands for nobody, or for several: these are its names.
    Named(String),
    /// The account stands for nobody.
    Account(String),
    /// There are no rights for this principal.
    NoRights(Arc<str>),
}

impl Stranger {
    /// Whether a login has failed.
    pub(super) fn is_failed_login(&self) -> bool {
        matches!(self, Self::Certificate | Self::Key(_) | Self::Token(BadToken::Invalid(_)))
    }

    /// Whether nobody has tried anything: a client does not know yet that it has to say who asks, or that its token has ended. One that
    /// was made to wait for that would not hear that it has to fetch another.
    pub(super) fn is_harmless(&self) -> bool {
        matches!(self, Self::Silent | Self::Token(BadToken::Expired | BadToken::Unverified))
    }

    /// What the client is told, with how to log in where tokens are taken.
    pub(super) fn answer(&self, resource: Option<&Resource>) -> Answer {
        let answer = self.refusal();
        let Some(resource) = resource else { return answer };
        match self {
            Self::Silent => resource.challenging(answer, None, None),
            Self::Certificate | Self::Key(_) | Self::Token(BadToken::Invalid(_) | BadToken::Expired) => {
                resource.challenging(answer, Some("invalid_token"), None)
            }
            Self::Token(BadToken::Scope(scopes)) => {
                resource.challenging(answer, Some("insufficient_scope"), Some(scopes))
            }
            _ => answer,
        }
    }

    fn refusal(&self) -> Answer {
        use hyper::StatusCode as Status;
        match self {
            Self::Silent => unauthorized(
                "who asks? send `Authorization: Bearer KEY` with a key that `scout key add` has made, or with an access token of an issuer that \
                 [http.issuers] of scout.toml names"
                    .to_owned(),
            ),
            Self::Token(BadToken::Invalid(why)) => unauthorized(format!("this token is refused: {why}")),
            Self::Token(BadToken::Expired) => unauthorized("this token has expired: fetch another".to_owned()),
            Self::Token(BadToken::Unverified) => with_header(
                refused(
                    Status::SERVICE_UNAVAILABLE,
                    "the keys of the token's issuer cannot be fetched for now: ask again in a while".to_owned(),
                ),
                RETRY_AFTER,
                AWAY.into(),
            ),
            Self::Token(BadToken::Scope(scopes)) => refused(
                Status::FORBIDDEN,
                format!("this token is not for all that is needed here: fetch one with the scopes `{scopes}`"),
            ),
            Self::Token(BadToken::Nobody(claim, value)) => {
                refused(
                    Status::FORBIDDEN,
                    format!("[http.issuers] of scout.toml has no principal for `{}` as `{claim}` of a token", visible(value)),
                )
            }
            Self::Malformed(why) => refused(Status::BAD_REQUEST, (*why).to_owned()),
            Self::Key(NoKey::Unknown) => {
                unauthorized("this key is none of this server's, or it was revoked".to_owned())
            }
            Self::Key(NoKey::Expired) => unauthorized("this key has expired: ask the operator for another".to_owned()),
            Self::Certificate => unauthorized("your certificate has expired, or it was revoked".to_owned()),
            Self::Named(names) => refused(
                Status::FORBIDDEN,
                format!("[http.certificates] of scout.toml does not say of one principal that a certificate is its with {names}"),
            ),
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

/// How long what was begun with a token goes on once that has ended: tokens are short, and a call is not to be cut for that.
#[derive(Debug, Default)]
pub(super) struct Overtime(Option<Instant>);

impl Overtime {
    /// Whether what was begun goes on for now although its request would be nobody's.
    pub(super) fn covers(&mut self, stranger: &Stranger) -> bool {
        matches!(stranger, Stranger::Token(BadToken::Expired | BadToken::Unverified))
            && self.0.get_or_insert_with(Instant::now).elapsed() < OVERTIME
    }
}

/// Whose a request is.
///
/// # Errors
/// [`Stranger`].
///
/// # Cancel safety
/// Nothing is lost.
pub(super) async fn principal(
    peer: &Peer,
    headers: &HeaderMap,
    (keys, resource): (&Keys, Option<&Resource>),
    config: &Config,
) -> Result<Arc<str>, Stranger> {
    // Who passes on what others ask is not who asks.
    let is_passed_on = PASSED_ON.iter().any(|name| headers.contains_key(*name));
    let principal = match (bearer(headers)?, &peer.account) {
        (Some(token), _) if let Some(resource) = resource.filter(|_| !is_key(token)) => {
            resource.principal(token).await.map_err(Stranger::Token)?
        }
        (Some(key), _) => Arc::clone(&keys.find(key).map_err(Stranger::Key)?.principal),
        (None, Some(account)) if !is_passed_on => of_account(account, config)?,
        (None, _) => match &peer.certificate {
            Some(certificate) if !is_passed_on => of_certificate(certificate, config)?,
            _ => return Err(Stranger::Silent),
        },
    };
    if &*principal == LOCAL || config.principals.contains_key(&*principal) {
        Ok(principal)
    } else {
        Err(Stranger::NoRights(principal))
    }
}

fn of_certificate(certificate: &ClientCertificate, config: &Config) -> Result<Arc<str>, Stranger> {
    if !certificate.is_good() {
        return Err(Stranger::Certificate);
    }
    let names = certificate.names();
    let mut named = names.iter().filter_map(|name| config.http.certificates.get(name));
    let first = named.next();
    // Who has several names is not to choose.
    match first.filter(|first| named.all(|other| other == *first)) {
        Some(principal) => Ok(Arc::clone(principal)),
        None => Err(Stranger::Named(match names.is_empty() {
            true => "no alternative name".to_owned(),
            false => format!("the names {}", visible(&names.join(", "))),
        })),
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

/// The key or token that a request brings.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_goes_on_for_a_while_when_its_token_ends_and_for_no_other_reason() {
        let mut overtime = Overtime::default();
        for over in [
            Stranger::Silent,
            Stranger::Key(NoKey::Expired),
            Stranger::Token(BadToken::Invalid("its issuer has no such key")),
            Stranger::Token(BadToken::Nobody("sub".to_owned(), "alice".to_owned())),
            Stranger::NoRights("alice".into()),
        ] {
            assert!(!overtime.covers(&over), "{over:?}");
        }
        let expired = Stranger::Token(BadToken::Expired);
        assert!(overtime.covers(&expired));
        tokio::time::advance(OVERTIME - Duration::from_secs(1)).await;
        assert!(overtime.covers(&expired) && overtime.covers(&Stranger::Token(BadToken::Unverified)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!overtime.covers(&expired));
    }
}
