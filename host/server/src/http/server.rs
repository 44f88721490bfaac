//! Connections: taken within bounds, served, and ended so that no answer is lost.
//!
//! Owns these rules. Nothing listens unless somebody has a way to say who they are, and nothing is spoken in clear to another machine unless
//! a proxy is there to encrypt it. Who is not known has little: few connections at once, each for ten seconds. Who reads nothing loses
//! the connection. The end is in this order: no more connections, streams that wait for news, calls, connections, hosts.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::address::{Address, Listener, Taken};
use super::client_certificate::ClientCertificate;
use super::door::{Arrival, Door, PATH};
use super::health;
use super::identity::{Account, Peer};
use super::keys::Keys;
use super::label::Labels;
use super::shares::{Place, Shares};
use super::throttle::network;
use super::tls::{Tls, TlsFiles};
use crate::config::{Config, ConfigError};
use crate::live::Renewal;
use crate::metrics::Metrics;
use crate::process::{GRACE, Process, STOPPING, Signals};
use crate::router::Router;
use crate::tenant::Tenant;

/// Connections at once of which nobody knows yet whose they are.
const STRANGERS: usize = 1024;
/// As many of them may be of one address of another machine.
const STRANGERS_OF_ADDRESS: usize = 64;
/// Descriptors that connections of clients leave to everything else, and how many connections there are in any case.
const RESERVED: usize = 512;
const LEAST: usize = 16;
/// How long one may stay that.
const STRANGER: Duration = Duration::from_secs(10);
/// How long a connection may be idle, or take for the head of a request.
const IDLE: Duration = Duration::from_secs(120);
/// How long a client may read nothing of what is written to it.
const UNREAD: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes.
const HEAD: usize = 64 << 10;
/// How long clients have, once the end has begun, to hear with an answer that they have to connect anew.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the last answers may take to be written.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How long it is waited when the system has no more descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// How it is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where MCP is.
    pub address: Address,
    /// Where is told how the process is.
    pub health: Option<Address>,
    /// The addresses that connections come from, if a proxy stands before it: no others are served.
    pub proxies: Vec<IpAddr>,
}

/// Serves all who may ask until SIGTERM or SIGINT, and then until running calls have ended or been stopped, at most some 20 s.
///
/// # Errors
/// A sentence: an address at which nobody can listen, or at which Scout would be open.
pub async fn serve(
    router: Arc<Router>,
    tenant: Arc<Tenant>,
    renewal: Renewal,
    options: Options,
) -> Result<(), ConfigError> {
    let mut signals =
        Signals::catch().map_err(|error| ConfigError::new(format!("signals cannot be caught: {error}")))?;
    let revision = tenant.revision();
    let keys = Keys::below(&revision.config().state_dir);
    let server = Server::new(&router, &tenant, revision.config(), keys, &options).await.map_err(ConfigError::new)?;
    drop(revision);
    let health = match &options.health {
        Some(address) => Some(Listener::bind(address, None).await.map_err(ConfigError::new)?),
        None => None,
    };
    let process = Process::begin(&tenant, renewal);
    let place = server.listener.place();
    tracing::info!(%place, path = PATH, tls = server.tls.is_some(), "serving");
    // Whoever waits for it reads it here, whatever is logged.
    eprintln!("scout serves MCP at {}{PATH}", server.url());
    let drain = router.drain().clone();
    let metrics = Arc::new(Metrics::new(&tenant, &server.door.counts));
    let _health = health.map(|listener| {
        AbortOnDropHandle::new(tokio::spawn(health::serve(listener, drain.closing().clone(), metrics)))
    });
    notify(&[sd_notify::NotifyState::Ready]);
    let _watchdog = AbortOnDropHandle::new(tokio::spawn(keep_watchdog()));
    let connections = Connections::default();
    tokio::select! {
        () = signals.any() => {}
        () = server.take(&connections) => {}
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    drop(server.listener);
    drain.closing().cancel();
    connections.tracker.close();
    drop(tokio::time::timeout(FAREWELL, connections.tracker.wait()).await);
    drain.end(tokio::time::sleep(GRACE), || STOPPING).await;
    connections.last_answer.cancel();
    drop(tokio::time::timeout(LAST_ANSWERS, connections.tracker.wait()).await);
    connections.over.cancel();
    process.end().await;
    Ok(())
}

/// Those that are there.
#[derive(Clone, Default)]
struct Connections {
    tracker: TaskTracker,
    /// Fires when each is to end with the answer that it is giving, if it is.
    last_answer: CancellationToken,
    /// Fires when each is to end.
    over: CancellationToken,
}

struct Server {
    listener: Listener,
    door: Arc<Door>,
    tls: Option<Arc<Tls>>,
    proxies: Vec<IpAddr>,
    all: Arc<Semaphore>,
    strangers: Strangers,
}

impl Server {
    async fn new(
        router: &Arc<Router>,
        tenant: &Arc<Tenant>,
        config: &Config,
        keys: Keys,
        options: &Options,
    ) -> Result<Self, String> {
        let http = &config.http;
        let tls = match (&http.certificate, &http.private_key) {
            (Some(certificate), Some(private_key)) => Some(Arc::new(Tls::new(TlsFiles {
                certificate: certificate.clone(),
                private_key: private_key.clone(),
                client_ca: http.client_ca.clone(),
                client_crl: http.client_crl.clone(),
            })?)),
            (None, None) if http.client_ca.is_some() => {
                return Err(
                    "[http] of scout.toml has `client_ca`, which needs `certificate` and `private_key`".to_owned()
                );
            }
            (None, None) => None,
            _ => return Err("[http] of scout.toml needs both `certificate` and `private_key`, or neither".to_owned()),
        };
        let listener = Listener::bind(&options.address, http.socket_group.as_deref()).await?;
        never_open(
            &listener,
            tls.is_some(),
            &options.proxies,
            (&keys, http.oauth.is_some() || !http.certificates.is_empty()),
        )?;
        for key in keys.all().map_err(|error| format!("the API keys cannot be read: {error}"))? {
            if &*key.principal != crate::tenant::LOCAL && !config.principals.contains_key(&*key.principal) {
                tracing::warn!(key = key.id, principal = %key.principal, "the key may do nothing: scout.toml has no [access.NAME] for it");
            }
        }
        let secret = tenant.cursors().derived("sessions").ok_or("there are no random numbers on this machine")?;
        // A host, a file, a log need one, too.
        let most = http.max_connections.min(descriptors().saturating_sub(RESERVED).max(LEAST));
        if most < http.max_connections {
            tracing::warn!(
                connections = most,
                "this account may have too few descriptors for `max_connections` of [http]: raise `LimitNOFILE`"
            );
        }
        let proxies: Vec<_> = options.proxies.iter().map(IpAddr::to_canonical).collect();
        let tls = tls.filter(|_| listener.tcp().is_some());
        let door = Door::new(router, tenant, keys, Labels::new(secret), (proxies.clone(), most));
        // Their keys are there before the first token is, if they can be had.
        drop(door.oauth.of(http.oauth.as_ref()));
        Ok(Self {
            listener,
            door: Arc::new(door),
            tls,
            proxies,
            all: Arc::new(Semaphore::new(most)),
            strangers: Strangers::new(most),
        })
    }

    fn url(&self) -> String {
        match (self.listener.tcp(), &self.tls) {
            (Some(address), Some(_)) => format!("https://{address}"),
            (Some(address), None) => format!("http://{address}"),
            (None, _) => format!("{} ", self.listener.place()),
        }
    }

    /// Takes connections.
    async fn take(&self, connections: &Connections) {
        loop {
            let taken = match self.listener.accept().await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken for now");
                    tokio::time::sleep(EXHAUSTED).await;
                    continue;
                }
            };
            // Closed at once: a client that waits would not know for what.
            let Ok(place) = Arc::clone(&self.all).try_acquire_owned() else {
                self.door.counts.refused_connection();
                tracing::warn!(
                    "there are as many connections as `max_connections` of [http] allows: one more was closed"
                );
                continue;
            };
            let address = match &taken {
                Taken::Tcp(_, peer) => Some(peer.ip().to_canonical()),
                Taken::Unix(..) => None,
            };
            if address.is_some_and(|address| !self.proxies.is_empty() && !self.proxies.contains(&address)) {
                tracing::warn!(?address, "a connection that came from no proxy was closed");
                continue;
            }
            let counted = address.filter(|address| !address.is_loopback() && self.proxies.is_empty()).map(network);
            let Some(stranger) = self.strangers.admit(counted) else {
                self.door.counts.refused_connection();
                tracing::warn!(?address, "too many connections say nothing of who asks: one more was closed");
                continue;
            };
            let is_proxied = !self.proxies.is_empty();
            let (door, tls, connections_) = (Arc::clone(&self.door), self.tls.clone(), connections.clone());
            connections.tracker.spawn(async move {
                let _place = (place, door.counts.connection());
                match (taken, tls) {
                    (Taken::Tcp(stream, _), Some(tls)) => match tls.accept(stream).await {
                        Ok(stream) => {
                            // Behind a proxy the certificate is the proxy's.
                            let shown = stream.get_ref().1.peer_certificates().filter(|_| !is_proxied);
                            let certificate = shown.and_then(|chain| ClientCertificate::new(&tls, chain));
                            let peer = Peer { certificate, ..peer(address) };
                            serve_connection(stream, peer, door, stranger, connections_).await;
                        }
                        Err(error) => tracing::debug!(?address, %error, "no TLS was agreed on"),
                    },
                    (Taken::Tcp(stream, _), None) => {
                        serve_connection(stream, peer(address), door, stranger, connections_).await;
                    }
                    (Taken::Unix(stream, number), _) => {
                        // Behind a proxy the account is the proxy's.
                        let account = match is_proxied {
                            true => None,
                            false => tokio::task::spawn_blocking(move || Account::new(number)).await.ok(),
                        };
                        let peer = Peer { account, ..Peer::default() };
                        serve_connection(stream, peer, door, stranger, connections_).await;
                    }
                }
            });
        }
    }
}

fn peer(address: Option<IpAddr>) -> Peer {
    Peer { address, ..Peer::default() }
}

/// Refuses what would be open to anybody, or in clear to other machines.
fn never_open(
    listener: &Listener,
    has_tls: bool,
    proxies: &[IpAddr],
    (keys, has_another_way): (&Keys, bool),
) -> Result<(), String> {
    let Some(address) = listener.tcp() else { return Ok(()) };
    let keys = keys.all().map_err(|error| format!("the API keys cannot be read: {error}"))?;
    let now = jiff::Timestamp::now();
    if !has_another_way && !keys.iter().any(|key| !key.has_expired(now)) {
        return Err(format!(
            "there is no API key, no issuer of tokens and no `client_ca`, so nobody could ask at {address}: make a key with `scout key add --principal \
             local`, name an issuer in [http.issuers] of scout.toml, or serve accounts of this machine with `--http unix:/PATH`"
        ));
    }
    if !address.ip().is_loopback() && !has_tls && proxies.is_empty() {
        return Err(format!(
            "other machines would send their keys to {address} in clear: name `certificate` and `private_key` in [http] of \
             scout.toml, or the proxy that encrypts with `--behind-proxy ADDRESS`, or listen on 127.0.0.1"
        ));
    }
    Ok(())
}

/// Serves a connection until its client leaves it, or it is to end.
async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    peer: Peer,
    door: Arc<Door>,
    stranger: Stranger,
    connections: Connections,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let is_network = peer.account.is_none();
    let arrival = Arc::new(Arrival::new(peer, is_network));
    let known = arrival.known.clone();
    let service = service_fn(move |request| {
        let (door, arrival) = (Arc::clone(&door), Arc::clone(&arrival));
        async move { Ok::<_, Infallible>(door.answer(request, &arrival).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD).max_header_size(HEAD);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
    let mut stranger = Some(stranger);
    let mut late = pin!(tokio::time::sleep(STRANGER));
    let mut is_last = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => break ended,
            () = known.cancelled(), if stranger.is_some() => stranger = None,
            () = late.as_mut(), if stranger.is_some() => return,
            () = connections.last_answer.cancelled(), if !is_last => {
                is_last = true;
                serving.as_mut().graceful_shutdown();
            }
            () = connections.over.cancelled() => return,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Connections of which nobody knows yet whose they are.
struct Strangers {
    all: Arc<Semaphore>,
    of: Shares<IpAddr>,
}

/// One of them, until it is dropped.
struct Stranger {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<Place<IpAddr>>,
}

impl Strangers {
    /// Of so many connections in all.
    fn new(connections: usize) -> Self {
        // Whoever is known has a place, however many come who are not.
        let all = STRANGERS.min(connections / 4);
        Self { all: Arc::new(Semaphore::new(all)), of: Shares::new(STRANGERS_OF_ADDRESS.min(all)) }
    }

    /// One more, of an address whose connections are counted, if there is room.
    fn admit(&self, address: Option<IpAddr>) -> Option<Stranger> {
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let of_address = match address {
            Some(address) => Some(self.of.take(&address)?),
            None => None,
        };
        Some(Stranger { _of_all: of_all, _of_address: of_address })
    }
}

/// How many descriptors this process may have, from now on as many as its account may: each connection is one.
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the number of descriptors stays as it is");
            current
        }
    };
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Tells systemd, if that has started this process.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Tells systemd that the process lives, as often as it wants to hear it.
async fn keep_watchdog() {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    loop {
        tokio::time::sleep(within / 2).await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_bounded_by_their_address_and_together() {
        let strangers = Strangers::new(10_000);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mut there: Vec<_> = (0..STRANGERS_OF_ADDRESS).map(|_| strangers.admit(Some(address)).unwrap()).collect();
        assert!(strangers.admit(Some(address)).is_none());
        there.extend((STRANGERS_OF_ADDRESS..STRANGERS).map(|_| strangers.admit(None).unwrap()));
        assert!(strangers.admit(None).is_none());
        there.clear();
        assert!(strangers.admit(Some(address)).is_some());
    }

    #[tokio::test]
    async fn nothing_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::below(dir.path());
        let at = |text: &str| text.parse::<Address>().unwrap();
        let loopback = Listener::bind(&at("127.0.0.1:0"), None).await.unwrap();
        let unix = Listener::bind(&at(&format!("unix:{}/sock", dir.path().display())), None).await.unwrap();
        let anywhere = Listener::bind(&at("0.0.0.0:0"), None).await.unwrap();
        let proxy: [IpAddr; 1] = ["192.0.2.1".parse().unwrap()];
        let why = |listener: &Listener, tls, proxies: &[IpAddr]| {
            never_open(listener, tls, proxies, (&keys, false)).unwrap_err()
        };
        assert!(why(&loopback, true, &[]).contains("scout key add"));
        never_open(&unix, false, &[], (&keys, false)).unwrap();
        // An issuer is a way to say who one is, and is no reason to send tokens in clear.
        never_open(&loopback, false, &[], (&keys, true)).unwrap();
        assert!(never_open(&anywhere, false, &[], (&keys, true)).unwrap_err().contains("in clear"));
        keys.add("alice", Some(jiff::Timestamp::now())).unwrap();
        assert!(why(&loopback, true, &[]).contains("there is no API key"));
        keys.add("alice", None).unwrap();
        never_open(&loopback, false, &[], (&keys, false)).unwrap();
        assert!(why(&anywhere, false, &[]).contains("in clear"));
        never_open(&anywhere, true, &[], (&keys, false)).unwrap();
        never_open(&anywhere, false, &proxy, (&keys, false)).unwrap();
    }
}
