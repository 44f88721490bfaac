//! What is answered over HTTP where no call is: refusals, and answers without a body.
//!
//! A refusal is JSON that a client of MCP knows, an error without an id. None says anything of another principal.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use scout_machine::visible;

use crate::message::Refusal;

/// A body that is answered.
pub(crate) type Body = BoxBody<Bytes, Infallible>;
/// An answer.
pub(crate) type Answer = Response<Body>;

/// The media type of one message.
pub(super) const JSON: &str = "application/json";
/// That of several, one after the other.
pub(super) const EVENTS: &str = "text/event-stream";

/// A status without anything else.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().boxed());
    *answer.status_mut() = status;
    answer
}

/// A refusal in words.
pub(super) fn refused(status: StatusCode, why: String) -> Answer {
    refusal(status, &Refusal::invalid(why))
}

/// A refusal of a message.
pub(super) fn refusal(status: StatusCode, refusal: &Refusal) -> Answer {
    let json = serde_json::to_vec(refusal).unwrap_or_default();
    with(status, JSON, json.into())
}

/// A body whole.
pub(super) fn with(status: StatusCode, media_type: &'static str, body: Bytes) -> Answer {
    with_header(
        {
            let mut answer = Response::new(Full::new(body).boxed());
            *answer.status_mut() = status;
            answer
        },
        CONTENT_TYPE,
        HeaderValue::from_static(media_type),
    )
}

/// 401: who asks is not known.
pub(super) fn unauthorized(why: String) -> Answer {
    let challenge = HeaderValue::from_static("Bearer realm=\"scout\"");
    with_header(refused(StatusCode::UNAUTHORIZED, why), WWW_AUTHENTICATE, challenge)
}

/// 429: too often.
pub(super) fn later(wait: Duration, why: String) -> Answer {
    let seconds = wait.as_secs().saturating_add(1);
    with_header(refused(StatusCode::TOO_MANY_REQUESTS, why), RETRY_AFTER, seconds.into())
}

/// 405: with what there is instead.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let why = format!("this method is not for this address; there is: {allowed}");
    with_header(refused(StatusCode::METHOD_NOT_ALLOWED, why), ALLOW, HeaderValue::from_static(allowed))
}

/// A refusal that is plain text as one that a client of MCP knows; any other answer as it is.
pub(super) async fn in_words(answer: Answer) -> Answer {
    let (status, media_type) = (answer.status(), answer.headers().get(CONTENT_TYPE));
    if !(status.is_client_error() || status.is_server_error()) || media_type.is_some_and(|of| of == JSON) {
        return answer;
    }
    let why = match answer.into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(never) => match never {},
    };
    refused(status, visible(&why).into_owned())
}

/// The messages of an answer, each as JSON: one, or those of its events.
pub(super) async fn messages(answer: Answer) -> Vec<String> {
    let is_events = answer.headers().get(CONTENT_TYPE).is_some_and(|media_type| media_type == EVENTS);
    let body = match answer.into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(never) => match never {},
    };
    let messages: Vec<&str> = match is_events {
        true => body.lines().filter_map(|line| line.strip_prefix("data:")).collect(),
        false => vec![&body],
    };
    messages.into_iter().map(str::trim).filter(|message| !message.is_empty()).map(str::to_owned).collect()
}

/// The answer to a batch: all that its members were answered.
pub(super) fn batch(messages: &[String]) -> Answer {
    if messages.is_empty() {
        return empty(StatusCode::ACCEPTED);
    }
    with(StatusCode::OK, JSON, format!("[{}]", messages.join(",")).into())
}

/// The same with a header more.
pub(super) fn with_header(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}
