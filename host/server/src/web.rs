//! One GET after another: https only, bounded in bytes, time and redirects. Credentials go to the origin they are for.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use crate::config::{check_url, is_loopback};

/// Redirects of one request.
const MAX_REDIRECTS: usize = 5;

/// Bytes of an answer's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(super) u64);

impl Limit {
    /// That many.
    pub(crate) fn of(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}

/// Asks servers until a moment that all requests share.
pub(crate) struct Client {
    agent: ureq::Agent,
    deadline: Instant,
}

/// What a server answered, after redirects.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// How to log in, from `WWW-Authenticate`.
    pub(crate) challenge: Option<String>,
    body: Vec<u8>,
    url: Url,
}

impl Answer {
    /// The body of a 200.
    ///
    /// # Errors
    /// Any other status.
    pub(crate) fn success(self) -> Result<Vec<u8>, String> {
        match self.status {
            200 => Ok(self.body),
            status => Err(format!("{} answered with status {status}", self.url)),
        }
    }
}

impl Client {
    /// A client that trusts whom the system trusts (and `SSL_CERT_FILE`), and takes proxies from the usual variables.
    ///
    /// # Errors
    /// No trusted certificates at all.
    pub(crate) fn new(deadline: Instant) -> Result<Self, String> {
        let roots = rustls_native_certs::load_native_certs();
        for error in &roots.errors {
            tracing::debug!(%error, "a trusted certificate cannot be read");
        }
        let roots: Vec<_> = roots.certs.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // Followed here, where it is decided what goes along.
            .max_redirects(0)
            .user_agent(concat!("scout/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), deadline })
    }

    /// Asks for a URL. `authorization` is sent to its origin and nobody else.
    ///
    /// # Errors
    /// A connection that fails, too many bytes or redirects, the deadline, a redirect that leaves https.
    pub(crate) fn get(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&str>,
        limit: Limit,
    ) -> Result<Answer, String> {
        check_url(url)?;
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let authorization = authorization.filter(|_| at.origin() == url.origin());
            let mut answer = self.ask(&at, accept, authorization)?;
            let header =
                |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            if matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                let location = header("location").ok_or_else(|| format!("{at} redirects to nowhere"))?;
                let next = at
                    .join(&location)
                    .map_err(|error| format!("{at} redirects to something that is not a URL: {error}"))?;
                check_url(&next).map_err(|why| format!("{at} redirects, and {why}"))?;
                if is_loopback(&next) && !is_loopback(&at) {
                    return Err(format!("{at} redirects to this machine ({next})"));
                }
                at = next;
                continue;
            }
            let (status, challenge) = (answer.status().as_u16(), header("www-authenticate"));
            // Of a failure nobody reads the body.
            let body = match status {
                200 => {
                    // ureq takes a body of exactly its limit for one that is too long.
                    let bounded = answer.body_mut().with_config().limit(limit.0.saturating_add(1));
                    bounded.read_to_vec().map_err(|error| told(&at, error, limit))?
                }
                _ => Vec::new(),
            };
            return Ok(Answer { status, challenge, body, url: at });
        }
        Err(format!("{url} redirects more than {MAX_REDIRECTS} times"))
    }

    fn ask(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<ureq::http::Response<ureq::Body>, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("{url}: no time is left to ask"));
        }
        let mut request = self.agent.get(url.as_str()).config().timeout_global(Some(left)).build();
        request = request.header("accept", accept);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.call().map_err(|error| told(url, error, Limit(0)))
    }
}

fn told(url: &Url, error: ureq::Error, limit: Limit) -> String {
    match error {
        ureq::Error::BodyExceedsLimit(_) => format!("{url} has more than {} bytes", limit.0),
        ureq::Error::Timeout(_) => format!("{url} did not answer in time"),
        // A timeout while the body is read comes wrapped.
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => format!("{url} did not answer in time"),
        error => format!("{url} cannot be reached: {error}"),
    }
}
