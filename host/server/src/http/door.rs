//! The door: each request is looked at from the outside in, and goes on to the protocol once it is known whose it is and what it may take.
//!
//! Owns that order: where it goes and from which site it comes; who asks; which session it is of; how much of it there is; what it says.
//! What is refused has cost no more than what was looked at until then, and a body is read from nobody who is not known.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, AUTHORIZATION,
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use scout_machine::{Principal, visible};
use scout_runtime::MAX_MESSAGE;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::answers::{
    self, Answer, Body, EVENTS, JSON, empty, in_words, later, method_not_allowed, refusal, refused, with_header,
};
use super::clients::{Client, Clients, UnderWay};
use super::identity::{Overtime, Peer, Stranger, principal};
use super::keys::Keys;
use super::label::{Labels, SessionId};
use super::oauth::OAuth;
use super::shares::{Place, Shares};
use super::throttle::Throttle;
use crate::config::Config;
use crate::lines::{Line, Lines, MAX_LINE};
use crate::mcp::streamable::{self, Asks};
use crate::metrics::HttpCounts;
use crate::router::Router;
use crate::tenant::Tenant;
use crate::transport::Answers;

/// Where MCP is.
pub(super) const PATH: &str = "/mcp";
/// The session of a client of before 2026-07-28.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision that a request is of; absent: it may be one with batches.
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Members of a batch that are answered at once.
const BATCH: usize = 16;
/// What a client may ask for here.
const METHODS: &str = "POST, GET, DELETE";
/// What a page of another site may send, beside what begins with `mcp-`.
const HEADERS: [&str; 4] = ["accept", "authorization", "content-type", "last-event-id"];
/// How long a site may keep what it was told of that, in seconds.
const PREFLIGHT: &str = "600";
/// How long a body may take.
const BODY: Duration = Duration::from_secs(30);
/// A body that takes no more is taken in any case, in bytes.
const SMALL: usize = 16 << 10;
/// How often a stream without news says that it is there.
const STILL_HERE: Duration = Duration::from_secs(15);
/// How often it is looked whether who asks still may, while an answer or a stream goes on.
const STILL_MAY: Duration = Duration::from_secs(5);
/// How much of a `Host` or `Origin` is repeated, in bytes.
const SHOWN: usize = 128;

/// What all requests of a server share.
pub(super) struct Door {
    pub(super) tenant: Arc<Tenant>,
    pub(super) keys: Keys,
    pub(super) oauth: OAuth,
    pub(super) labels: Labels,
    clients: Clients,
    throttle: Throttle,
    /// Fires when no request is to follow on the same connection.
    closing: CancellationToken,
    /// Addresses that only pass on what others ask.
    proxies: Vec<IpAddr>,
    /// Connections of each principal.
    connections: Shares<Arc<str>>,
    pub(super) counts: Arc<HttpCounts>,
}

/// A connection, as its requests know it.
pub(super) struct Arrival {
    pub(super) peer: Peer,
    /// Whether it came over a network: a browser can be made to send there what its user never saw.
    pub(super) is_network: bool,
    /// Fires when it was known for the first time who asks.
    pub(super) known: CancellationToken,
    /// That of the principal who asked first.
    place: OnceLock<Place<Arc<str>>>,
}

impl Arrival {
    pub(super) fn new(peer: Peer, is_network: bool) -> Self {
        Self { peer, is_network, known: CancellationToken::new(), place: OnceLock::new() }
    }
}

/// An answer instead of what was to come.
type Instead = Box<Answer>;

impl Door {
    pub(super) fn new(
        router: &Arc<Router>,
        tenant: &Arc<Tenant>,
        keys: Keys,
        labels: Labels,
        (proxies, connections): (Vec<IpAddr>, usize),
    ) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            keys,
            oauth: OAuth::default(),
            labels,
            clients: Clients::new(Arc::clone(router), Arc::clone(tenant)),
            throttle: Throttle::default(),
            closing: router.drain().closing().clone(),
            proxies,
            // Nobody takes all.
            connections: Shares::new(connections / 2),
            counts: Arc::default(),
        }
    }

    /// Answers a request.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call, down to the remote process.
    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>, arrival: &Arrival) -> Answer {
        let revision = self.tenant.revision();
        let config = revision.config();
        let origin = request.headers().get(ORIGIN).cloned();
        let mut answer = match checked_origin(request.headers(), config) {
            Ok(()) => Box::pin(self.within(request, arrival, config)).await.unwrap_or_else(|instead| *instead),
            Err(instead) => {
                self.counts.answer(instead.status().as_u16());
                return *instead;
            }
        };
        self.counts.answer(answer.status().as_u16());
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("mcp-session-id, www-authenticate"));
            headers.insert(VARY, HeaderValue::from_static("origin"));
        }
        if self.closing.is_cancelled() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    async fn within(
        self: &Arc<Self>,
        request: Request<Incoming>,
        arrival: &Arrival,
        config: &Config,
    ) -> Result<Answer, Instead> {
        if arrival.is_network {
            checked_host(request.headers(), config)?;
        }
        let resource = self.oauth.of(config.http.oauth.as_ref());
        if let Some(metadata) = resource.as_ref().and_then(|resource| resource.metadata(request.uri().path())) {
            return Ok(match *request.method() {
                Method::GET => metadata,
                Method::OPTIONS => preflight(request.headers()),
                _ => method_not_allowed("GET"),
            });
        }
        if request.uri().path() != PATH {
            let why = format!("there is nothing here: MCP is at `{PATH}`");
            return Err(Box::new(refused(StatusCode::NOT_FOUND, why)));
        }
        if request.method() == Method::OPTIONS {
            return Ok(preflight(request.headers()));
        }
        if request.uri().query().is_some() {
            let why = "nothing stands behind `?` here, and no key does: addresses are written into logs. Send it as \
                       `Authorization: Bearer KEY`";
            return Err(Box::new(refused(StatusCode::BAD_REQUEST, why.to_owned())));
        }
        let ways = (&self.keys, resource.as_deref());
        let name = principal(&arrival.peer, request.headers(), ways, config).await.map_err(|stranger| {
            if stranger.is_failed_login() {
                self.counts.failed_login();
            }
            let address = self.address(arrival, request.headers());
            let is_harmless = stranger.is_harmless();
            let wait = address.filter(|_| !is_harmless).and_then(|address| self.throttle.fails(address));
            // A client that does not know yet that it needs a key is no news, and who fails all the time is none any more.
            if wait.is_some() || is_harmless {
                tracing::debug!(?address, ?stranger, "a request was refused");
            } else {
                tracing::warn!(?address, ?stranger, "a request was refused");
            }
            let answer = match wait {
                Some(wait) if stranger.is_failed_login() => {
                    later(wait, "too many keys or tokens that are none came from your address".to_owned())
                }
                Some(_) | None => stranger.answer(resource.as_deref()),
            };
            // Who has a key no longer has no connection either.
            Box::new(match stranger.is_failed_login() {
                true => with_header(answer, CONNECTION, HeaderValue::from_static("close")),
                false => answer,
            })
        })?;
        // A connection is counted as whose it was first: what it may hold is not a question of rights.
        if arrival.place.get().is_none() && !self.is_proxy(arrival) {
            let place = self.connections.take(&name).ok_or_else(|| {
                let why = "half of all connections are yours: end those that you do not need".to_owned();
                let answer = later(Duration::ZERO, why);
                Box::new(with_header(answer, CONNECTION, HeaderValue::from_static("close")))
            })?;
            drop(arrival.place.set(place));
        }
        arrival.known.cancel();
        let (principal, client) = (self.tenant.principal(&name), self.clients.of(&name));
        let session = self.session(request.headers(), &principal)?;
        let standing = Standing::of(self, name, arrival, request.headers());
        let answering = async {
            match (request.method(), session) {
                (&Method::POST, session) => self.post(request, client, &principal, session).await,
                (&Method::GET, Some(session)) => self.changes(&client, session),
                (&Method::DELETE, Some(session)) => {
                    self.labels.end(session);
                    client.end(session);
                    Ok(empty(StatusCode::NO_CONTENT))
                }
                (&Method::GET | &Method::DELETE, None) => Ok(method_not_allowed("POST")),
                _ => Ok(method_not_allowed(METHODS)),
            }
        };
        let answer = tokio::select! {
            biased;
            answer = answering => answer?,
            stranger = standing.ends() => return Err(Box::new(stranger.answer(resource.as_deref()))),
        };
        Ok(match is_events(&answer) {
            true => answer.map(|inner| {
                let until = async move { drop(standing.ends().await) };
                Held { inner, until: Some(Box::pin(until)), _held: () }.boxed()
            }),
            false => answer,
        })
    }

    /// Whether a connection is a proxy's, who brings what many ask.
    fn is_proxy(&self, arrival: &Arrival) -> bool {
        arrival.peer.address.is_some_and(|address| self.proxies.contains(&address.to_canonical()))
    }

    /// Whose login it is that fails: behind a proxy what the proxy says, which stands last.
    fn address(&self, arrival: &Arrival, headers: &HeaderMap) -> Option<IpAddr> {
        let address = arrival.peer.address?;
        if !self.is_proxy(arrival) {
            return Some(address);
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
        last.and_then(|addresses| addresses.rsplit(',').next()?.trim().parse().ok()).or(Some(address))
    }

    /// The session that a request says it is of.
    fn session(&self, headers: &HeaderMap, principal: &Principal) -> Result<Option<SessionId>, Instead> {
        let Some(label) = only(headers, &SESSION)? else { return Ok(None) };
        let session = self.labels.open(label.as_bytes(), principal, Timestamp::now());
        session.map(Some).ok_or_else(|| {
            let why = "there is no such session, or it has ended: begin one with `initialize`".to_owned();
            Box::new(refused(StatusCode::NOT_FOUND, why))
        })
    }

    async fn post(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
        principal: &Principal,
        session: Option<SessionId>,
    ) -> Result<Answer, Instead> {
        let (mut head, body) = request.into_parts();
        checked_media_types(&head)?;
        let (body, memory) = read(body, &client.requests).await?;
        // What comes next neither needs to know it nor is to write it anywhere.
        head.headers.remove(AUTHORIZATION);
        head.headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let has_batches = head.headers.get(VERSION).is_none_or(|version| version == streamable::WITH_BATCHES);
        let Some(members) = streamable::members(&body).filter(|_| has_batches) else {
            return self.one(head, body, (client, memory), principal, session).await;
        };
        let memory = Arc::new(memory);
        let answering = members.into_iter().map(|member| {
            let (head, held) = (head.clone(), (Arc::clone(&client), Arc::clone(&memory)));
            async move {
                let asks = streamable::asks(&member);
                let answer = if matches!(asks, Ok(Asks::Begins)) {
                    let why = "`initialize` is not part of a batch: send it on its own".to_owned();
                    refused(StatusCode::BAD_REQUEST, why)
                } else {
                    self.one(head, member, held, principal, session).await.unwrap_or_else(|instead| *instead)
                };
                (asks.ok(), answers::messages(answer).await)
            }
        });
        let (mut answering, mut told) = (futures_util::stream::iter(answering).buffer_unordered(BATCH), Vec::new());
        let mut length = 0;
        while let Some((asks, messages)) = answering.next().await {
            length += messages.iter().map(String::len).sum::<usize>();
            match asks {
                Some(Asks::Request(id)) if length > MAX_MESSAGE => {
                    length -= messages.iter().map(String::len).sum::<usize>();
                    let why = format!(
                        "the answers to this batch are more than {} MB together: ask for this one on its own",
                        MAX_MESSAGE / 1_000_000
                    );
                    told.push(streamable::too_long(&id, why));
                }
                _ => told.extend(messages),
            }
        }
        Ok(answers::batch(&told))
    }

    /// Answers one message of a client, of which all that is held is kept until the answer was sent.
    async fn one<M: Send + Sync + Unpin + 'static>(
        &self,
        head: Parts,
        body: Bytes,
        (client, memory): (Arc<Client>, M),
        principal: &Principal,
        session: Option<SessionId>,
    ) -> Result<Answer, Instead> {
        let asks = match streamable::asks(&body) {
            Ok(asks) => asks,
            Err(why) => return Err(Box::new(refusal(StatusCode::BAD_REQUEST, &why))),
        };
        let id = if let Asks::Request(id) = &asks { Some(id.clone()) } else { None };
        let (under_way, begins) = match (asks, session) {
            (Asks::Cancels(id), Some(session)) => {
                client.cancel(session, id);
                return Ok(empty(StatusCode::ACCEPTED));
            }
            (Asks::Cancels(_) | Asks::Tells, _) => (None, false),
            (Asks::Begins, _) => (None, true),
            (Asks::Request(_), None) => (None, false),
            (Asks::Request(id), Some(session)) => match client.begin(session, id) {
                Some(under_way) => (Some(under_way), false),
                None => {
                    let why = "a request of this session with the same id is under way: give each its own".to_owned();
                    return Err(Box::new(refused(StatusCode::BAD_REQUEST, why)));
                }
            },
        };
        let answers = Answers::default();
        let of = (&client.server, Arc::clone(&client) as _);
        let answering = Box::pin(streamable::answer(of, answers.clone(), head, body));
        let cancelled = under_way.as_ref().map(|under_way: &UnderWay| under_way.cancelled.clone());
        let mut answer = match &cancelled {
            Some(cancelled) => tokio::select! {
                biased;
                () = cancelled.cancelled() => events(futures_util::stream::empty()),
                answer = answering => answer,
            },
            None => answering.await,
        };
        answer = in_words(answer).await;
        if begins
            && answer.status() == StatusCode::OK
            && let Some(label) = self.labels.begin(principal, Timestamp::now())
            && let Ok(label) = HeaderValue::from_str(&label)
        {
            answer.headers_mut().insert(SESSION, label);
        }
        if is_events(&answer) {
            let until = cancelled.map(|cancelled| Box::pin(cancelled.cancelled_owned()) as Until);
            let held = (under_way, client, answers, memory);
            return Ok(answer.map(|inner| Held { inner, until, _held: held }.boxed()));
        }
        // Until the bytes are written, and not only until they wait for that.
        let (head, body) = answer.into_parts();
        let mut bytes = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        if bytes.len() > MAX_MESSAGE
            && let Some(id) = &id
        {
            let length = bytes.len();
            let why = format!(
                "the answer is {length} bytes long as it is written, and clients take {MAX_MESSAGE}: ask for less"
            );
            bytes = streamable::too_long(id, why).into();
        }
        let owned = Owned { bytes, _held: (under_way, client, answers, memory) };
        Ok(Answer::from_parts(head, Full::new(Bytes::from_owner(owned)).boxed()))
    }

    /// What a session is told without having asked: that a list is another one now. It ends with the session.
    fn changes(&self, client: &Arc<Client>, session: SessionId) -> Result<Answer, Instead> {
        let changes =
            streamable::changes(&client.server).map_err(|why| Box::new(refused(StatusCode::TOO_MANY_REQUESTS, why)))?;
        let stream = client.stream(session);
        let over = stream.cancelled.clone();
        let told = futures_util::stream::unfold((changes, stream), async |(mut changes, stream)| {
            let event = match tokio::time::timeout(STILL_HERE, changes.next()).await {
                Ok(change) => format!("data: {change}\n\n"),
                Err(_) => ": still here\n\n".to_owned(),
            };
            Some((event, (changes, stream)))
        });
        let told = told.take_until(over.cancelled_owned());
        Ok(events(told.take_until(self.closing.clone().cancelled_owned())))
    }
}

/// What says who asks, for as long as an answer or a stream goes on: a key may be revoked and a principal lose its table meanwhile.
struct Standing {
    door: Arc<Door>,
    name: Arc<str>,
    peer: Peer,
    /// `Authorization` alone.
    headers: HeaderMap,
}

impl Standing {
    fn of(door: &Arc<Door>, name: Arc<str>, arrival: &Arrival, headers: &HeaderMap) -> Self {
        let credentials = headers.get(AUTHORIZATION).map(|value| (AUTHORIZATION, value.clone()));
        Self { door: Arc::clone(door), name, peer: arrival.peer.clone(), headers: credentials.into_iter().collect() }
    }

    /// Waits until who asks no longer may.
    async fn ends(&self) -> Stranger {
        let mut overtime = Overtime::default();
        loop {
            tokio::time::sleep(STILL_MAY).await;
            let revision = self.door.tenant.revision();
            let resource = self.door.oauth.of(revision.config().http.oauth.as_ref());
            let ways = (&self.door.keys, resource.as_deref());
            match principal(&self.peer, &self.headers, ways, revision.config()).await {
                Ok(name) if name == self.name => {}
                Ok(_) => break Stranger::NoRights(Arc::clone(&self.name)),
                Err(stranger) if overtime.covers(&stranger) => {}
                Err(stranger) => break stranger,
            }
        }
    }
}

fn is_events(answer: &Answer) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|media_type| media_type == EVENTS)
}

/// Events, one after the other.
fn events(events: impl Stream<Item = String> + Send + Sync + 'static) -> Answer {
    let frames = events.map(|event| Ok::<_, Infallible>(Frame::data(Bytes::from(event))));
    let mut answer = Answer::new(BodyExt::boxed(StreamBody::new(frames)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    answer
}

/// The only value of a header.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Instead> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Box::new(refused(StatusCode::BAD_REQUEST, format!("the header `{name}` is there twice")))),
    }
}

/// A page that a browser shows may not ask here, unless its site is named.
fn checked_origin(headers: &HeaderMap, config: &Config) -> Result<(), Instead> {
    let Some(origin) = only(headers, &ORIGIN)? else { return Ok(()) };
    if config.http.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
        return Ok(());
    }
    let why = format!(
        "the site {} may not ask here: `allowed_origins` of [http] in scout.toml does not name it",
        shown(origin.as_bytes())
    );
    Err(Box::new(refused(StatusCode::FORBIDDEN, why)))
}

/// A name that anybody may give to this machine's address is no name of it.
fn checked_host(headers: &HeaderMap, config: &Config) -> Result<(), Instead> {
    let host = only(headers, &HOST)?
        .ok_or_else(|| Box::new(refused(StatusCode::BAD_REQUEST, "the header `Host` is missing".to_owned())))?;
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let is_ours = authority.is_some_and(|authority| {
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_named = || config.http.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
        // Whoever writes an address has looked nothing up.
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok() || is_named()
    });
    if is_ours {
        return Ok(());
    }
    let why = format!(
        "this server is not {}: `allowed_hosts` of [http] in scout.toml does not name it",
        shown(host.as_bytes())
    );
    Err(Box::new(refused(StatusCode::FORBIDDEN, why)))
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes));
    format!("`{}`", visible(&text))
}

/// What a page of a site that may ask is told before it does.
fn preflight(headers: &HeaderMap) -> Answer {
    let mut answer = empty(StatusCode::NO_CONTENT);
    let asked = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let allowed = asked
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| HEADERS.contains(&name.as_str()) || name.starts_with("mcp-"));
    let allowed = HeaderValue::from_str(&allowed.collect::<Vec<_>>().join(", "));
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT));
    if let Ok(allowed) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    answer
}

/// What is sent is JSON, and what is taken JSON or events.
fn checked_media_types(head: &Parts) -> Result<(), Instead> {
    let sent = only(&head.headers, &CONTENT_TYPE)?.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !sent.split(';').next().is_some_and(|sent| sent.trim().eq_ignore_ascii_case(JSON)) {
        let why = format!("send `Content-Type: {JSON}`");
        return Err(Box::new(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)));
    }
    let taken: Vec<_> = head.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let takes = |media_type: &str| {
        let (kind, _) = media_type.split_once('/').unwrap_or_default();
        taken.iter().flat_map(|value| value.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let is_it = name == "*/*"
                || name.eq_ignore_ascii_case(media_type)
                || name.eq_ignore_ascii_case(&format!("{kind}/*"));
            is_it && !parts.any(|part| matches!(part.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    };
    if taken.is_empty() || (takes(JSON) && takes(EVENTS)) {
        return Ok(());
    }
    let why = format!("an answer may be either, so send `Accept: {JSON}, {EVENTS}`");
    Err(Box::new(refused(StatusCode::NOT_ACCEPTABLE, why)))
}

/// The message that a request brings, and what it takes of its principal's share as long as it is handled.
async fn read(body: Incoming, share: &Arc<Semaphore>) -> Result<(Bytes, Taken), Instead> {
    let too_large = || {
        let why = format!("a message has at most {} MiB", MAX_LINE >> 20);
        Box::new(refused(StatusCode::PAYLOAD_TOO_LARGE, why))
    };
    if body.size_hint().lower() > MAX_LINE as u64 {
        return Err(too_large());
    }
    let reading = async {
        let (mut body, mut lines, mut length, mut taken) = (body, Lines::default(), 0, Taken::default());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                tracing::debug!(%error, "a body ended early");
                Box::new(refused(StatusCode::BAD_REQUEST, "the body is not whole".to_owned()))
            })?;
            let Ok(piece) = frame.into_data() else { continue };
            length += piece.remaining();
            if length > MAX_LINE {
                return Err(too_large());
            }
            if length > SMALL {
                taken.add(take(share, piece.remaining())?);
            }
            lines.whole(&piece);
        }
        match lines.end() {
            Some(Line::Whole { text, memory }) => {
                if memory > SMALL {
                    taken.add(take(share, memory.saturating_sub(text.len()))?);
                }
                Ok((Bytes::from(text), taken))
            }
            Some(Line::Refused(why)) => Err(Box::new(refusal(StatusCode::BAD_REQUEST, &why))),
            None => Err(Box::new(refused(
                StatusCode::BAD_REQUEST,
                "the body is empty: send one JSON-RPC message".to_owned(),
            ))),
        }
    };
    tokio::time::timeout(BODY, reading).await.unwrap_or_else(|_| {
        let why = format!("the body did not come within {} seconds", BODY.as_secs());
        Err(Box::new(refused(StatusCode::REQUEST_TIMEOUT, why)))
    })
}

/// What a request takes of its principal's share: one permit, in however many pieces it came.
#[derive(Debug, Default)]
struct Taken(Option<OwnedSemaphorePermit>);

impl Taken {
    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.0 {
            Some(taken) => taken.merge(more),
            None => self.0 = Some(more),
        }
    }
}

fn take(share: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Instead> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    Arc::clone(share).try_acquire_many_owned(bytes).map_err(|_| {
        let why = "busy: your requests that are under way take all the memory that they may; ask again when some of them are \
                   answered, or cancel some";
        Box::new(later(Duration::ZERO, why.to_owned()))
    })
}

/// Bytes with what is held until they are gone.
struct Owned<H> {
    bytes: Bytes,
    _held: H,
}

impl<H> AsRef<[u8]> for Owned<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What ends a body before its own end.
type Until = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A body with what is held until it was sent, or nobody waits for it any more.
struct Held<H> {
    inner: Body,
    /// Ends the body.
    until: Option<Until>,
    _held: H,
}

impl<H: Unpin> hyper::body::Body for Held<H> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
