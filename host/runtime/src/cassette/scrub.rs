//! Takes out of a recorded call what nobody else should read: secrets, and what tells where and as whom a team logs in.
//!
//! What is replaced is replaced everywhere, in questions and answers alike, so that a plugin that uses what it read still
//! asks for what was recorded. Names of hosts stay, for arguments hold them. No list of patterns finds every secret: whoever
//! shares a cassette reads it first, and `--redact` takes out what was left.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::Regex;
use scout_machine::RemotePath;
use serde_json::{Number, Value};

use super::CassetteError;
use super::format::{self, Attributes, Capture, Failure, File, RecordedOperation, Request, Response, Text};
use crate::policy::{SecretPaths, quote};
use crate::redaction::{self, NUMBER, REDACTED, is_secret_name, replaced};
use crate::uri_template::with_values_changed;
use crate::{Fleet, HostRecord, Location};

/// Shorter values of settings and arguments are replaced where they stand, not wherever the same characters are.
const MIN_SECRET: usize = 6;
/// Shorter account names are replaced where they stand alone as a host's user.
const MIN_USER: usize = 3;
/// Secrets of texts that are looked for in other texts.
const MAX_FOUND: usize = 10_000;
/// An account that says nothing about anybody.
const PUBLIC_USER: &str = "root";

/// What only the text of an error is searched for: it was written here, not on the host.
static PLACES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    redaction::compiled([
        (r"[^\s`'\x22(]*/\.ssh/[^\s`'\x22),;:]+", "~/.ssh/redacted"),
        (r"/(?:home|Users)/[^/\s`'\x22]+", "/home/user"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}\b", "192.0.2.1"),
        (r"\[[0-9a-fA-F:]*:[0-9a-fA-F:.%\w]*\]", "[2001:db8::1]"),
    ])
});

/// Takes everything out of a cassette that has just been recorded; its expectation is still to be made.
///
/// # Errors
/// More texts to be taken out than can be looked for at once.
pub(super) fn scrub(file: &mut File, fleet: &Fleet, redact: &[String]) -> Result<(), CassetteError> {
    let mut literals = Literals::default();
    for (at, text) in redact.iter().enumerate() {
        literals.add(text.as_bytes(), format!("{REDACTED}-{}", at + 1), Edges::Any);
    }
    file.arguments.iter().chain(&file.settings).for_each(|(name, value)| literals.learn(name, value, false));
    for (at, host) in fleet.hosts().enumerate() {
        literals.learn_host(at, &host);
    }
    let secrets = &fleet.access().secrets;
    // What a host gave under a secret's name may be in another answer without it, and in what was asked next.
    let first = Scrubber::new(literals.clone())?;
    file.operations.clone().iter_mut().for_each(|operation| first.operation(operation, secrets));
    first.found.into_inner().iter().for_each(|text| literals.learn_text(text));
    let scrubber = Scrubber::new(literals)?;
    scrubber.fields(&mut file.arguments);
    if let Some(uri) = &mut file.uri {
        *uri = with_values_changed(uri, |said| {
            let mut said = said.to_owned();
            scrubber.string(&mut said);
            said
        });
        // What a part said may also lie over several.
        scrubber.string(uri);
    }
    scrubber.fields(&mut file.settings);
    for host in &mut file.hosts {
        let at = fleet.names().position(&host.name).unwrap_or_default();
        if host.address != host.name {
            host.address = if host.trouble.is_some() { String::new() } else { address(at, &host.address) };
        }
        host.user = if host.user == PUBLIC_USER { PUBLIC_USER.to_owned() } else { "user".to_owned() };
        host.trouble = host.trouble.as_deref().map(|text| scrubber.error(text));
        host.tags.iter_mut().chain(&mut host.groups).for_each(|label| scrubber.string(label));
        host.writable.iter_mut().flatten().for_each(|path| scrubber.string(path));
        host.sudo.iter_mut().flatten().flatten().for_each(|word| scrubber.string(word));
        scrubber.string(&mut host.name);
        scrubber.string(&mut host.address);
    }
    for rights in [&mut file.plugin_rights, &mut file.caller_rights] {
        let format::Rights { hosts, paths, commands, .. } = rights;
        let words = commands.iter_mut().flatten().flatten();
        hosts
            .iter_mut()
            .flatten()
            .chain(paths.iter_mut().flatten())
            .chain(words)
            .for_each(|text| scrubber.string(text));
    }
    file.secret_paths.iter_mut().chain(&mut file.readable_paths).for_each(|text| scrubber.string(text));
    file.operations.iter_mut().for_each(|operation| scrubber.operation(operation, secrets));
    Ok(())
}

/// An address of those that are kept for examples (RFC 5737, RFC 2606), in the place of this one.
fn address(at: usize, real: &str) -> String {
    if is_loopback(real) {
        return real.to_owned();
    }
    if real.parse::<std::net::IpAddr>().is_ok() {
        format!("192.0.2.{}", 1 + at % 254)
    } else {
        format!("host{}.example", at + 1)
    }
}

fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What may stand beside a text that is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edges {
    Any,
    /// Nothing that would make it a part of a longer word.
    Word,
}

/// Texts that are replaced, the first of equal ones as it was first told.
#[derive(Clone, Default)]
struct Literals(BTreeMap<Vec<u8>, (String, Edges)>);

impl Literals {
    fn add(&mut self, text: &[u8], instead: String, edges: Edges) {
        if !text.is_empty() && text != instead.as_bytes() {
            self.0.entry(text.to_vec()).or_insert((instead, edges));
        }
    }

    /// Secrets among settings and arguments, which may come again anywhere.
    fn learn(&mut self, name: &str, value: &Value, secret: bool) {
        let secret = secret || is_secret_name(name.as_bytes());
        match value {
            Value::String(text) if secret => self.learn_text(text.as_bytes()),
            Value::Number(number) if secret => {
                let digits = number.to_string();
                if digits.len() >= MIN_SECRET {
                    self.add(digits.as_bytes(), NUMBER.to_owned(), Edges::Any);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.learn(name, value, secret)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.learn(name, value, secret)),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A secret as it is, as a word of a command, and as a string of JSON.
    fn learn_text(&mut self, text: &[u8]) {
        if text.len() < MIN_SECRET {
            return;
        }
        self.add(text, REDACTED.to_owned(), Edges::Any);
        let mut word = Vec::new();
        quote(&mut word, text);
        self.add(&word, REDACTED.to_owned(), Edges::Any);
        let json = Value::from(String::from_utf8_lossy(text)).to_string();
        self.add(json.trim_matches('"').as_bytes(), REDACTED.to_owned(), Edges::Any);
    }

    fn learn_host(&mut self, at: usize, host: &HostRecord) {
        let Ok(Location { address: dialled, port, user }) = host.location() else { return };
        // This machine has none that is dialled.
        if port != 0 && dialled != *host.name && !is_loopback(&dialled) {
            self.add(dialled.as_bytes(), address(at, &dialled), Edges::Word);
        }
        if user != PUBLIC_USER && user.len() >= MIN_USER {
            self.add(user.as_bytes(), "user".to_owned(), Edges::Word);
        }
    }
}

struct Scrubber {
    /// Finds the longest of the texts: `db.example.org` and not `example.org`.
    finder: AhoCorasick,
    /// In the order of the finder's.
    instead: Vec<(String, Edges)>,
    /// Secrets in texts that are likely to be none elsewhere.
    found: RefCell<BTreeSet<Vec<u8>>>,
}

impl Scrubber {
    fn new(literals: Literals) -> Result<Self, CassetteError> {
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(literals.0.keys());
        let finder = finder.map_err(|error| CassetteError::new(format!("cannot be scrubbed: {error}")))?;
        Ok(Self { finder, instead: literals.0.into_values().collect(), found: RefCell::default() })
    }

    fn operation(&self, operation: &mut RecordedOperation, secrets: &SecretPaths) {
        self.string(&mut operation.host);
        let secret = match &mut operation.asked {
            Request::Open(path)
            | Request::Read { path, .. }
            | Request::Stat(path)
            | Request::Locate(path)
            | Request::Send(path)
            | Request::Receive { path, .. }
            | Request::MakeDirectory(path)
            | Request::Digest(path) => {
                let secret = RemotePath::parse(&path.0).map_or(true, |path| secrets.has(&path));
                self.text(path);
                secret
            }
            Request::Exec(script) => {
                self.text(script);
                false
            }
            Request::Probe { .. } | Request::Handshake | Request::LoadBaseline(_) | Request::StoreBaseline(_) => false,
        };
        self.given(&mut operation.given, secret);
    }

    fn given(&self, given: &mut Response, secret: bool) {
        match given {
            Response::File { attributes, content } => self.content(content, Some(attributes), secret),
            Response::Content(content) => self.content(content, None, secret),
            Response::Directory { entries, .. } => entries.iter_mut().for_each(|entry| self.text(&mut entry.name)),
            Response::Outcome { stdout, stderr, .. } => {
                self.content(stdout, None, false);
                self.content(stderr, None, false);
            }
            Response::Probe { error: Some(failure), .. } | Response::Error(failure) => self.failure(failure),
            Response::Baseline(Some(kept)) => self.text(&mut kept.content),
            Response::Handshake(facts) => facts.values_mut().for_each(|value| self.string(value)),
            Response::Located { place, .. } => self.text(place),
            Response::Probe { error: None, .. }
            | Response::Other { .. }
            | Response::Baseline(None)
            | Response::Stored(_)
            | Response::Attributes(_)
            | Response::Sent { .. }
            | Response::Received { .. }
            | Response::Made(_)
            | Response::Digest(_) => {}
        }
    }

    /// Sizes that told of all the bytes still do.
    fn content(&self, content: &mut Capture, attributes: Option<&mut Attributes>, secret: bool) {
        let before = Some(content.bytes.0.len() as u64);
        if secret {
            content.bytes = REDACTED.into();
        } else {
            self.text(&mut content.bytes);
        }
        let after = Some(content.bytes.0.len() as u64);
        if content.total == before {
            content.total = after;
        }
        if let Some(attributes) = attributes.filter(|attributes| attributes.size == before) {
            attributes.size = after;
        }
    }

    fn failure(&self, failure: &mut Failure) {
        failure.message = self.error(&failure.message);
        failure.hint = failure.hint.as_deref().map(|hint| self.error(hint));
    }

    /// An error's text: without the paths and addresses of whoever recorded it.
    fn error(&self, text: &str) -> String {
        let text = self.bytes(text.as_bytes());
        String::from_utf8_lossy(&replaced(&PLACES, Cow::Owned(text))).into_owned()
    }

    fn fields(&self, fields: &mut serde_json::Map<String, Value>) {
        for (name, value) in fields {
            self.value(value, is_secret_name(name.as_bytes()));
        }
    }

    fn value(&self, value: &mut Value, secret: bool) {
        match value {
            Value::String(text) if secret => *text = REDACTED.to_owned(),
            Value::Number(number) if secret => *number = zero(number),
            Value::String(text) => self.string(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value, secret)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.value(value, secret || is_secret_name(name.as_bytes()));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn string(&self, text: &mut String) {
        *text = String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned();
    }

    fn text(&self, text: &mut Text) {
        text.0 = self.bytes(&text.0);
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut new = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for found in self.finder.find_iter(bytes) {
            let Some((instead, edges)) = self.instead.get(found.pattern().as_usize()) else { continue };
            let before = found.start().checked_sub(1).and_then(|before| bytes.get(before));
            if *edges == Edges::Any || !(joins(before) || joins(bytes.get(found.end()))) {
                new.extend_from_slice(bytes.get(at..found.start()).unwrap_or_default());
                new.extend_from_slice(instead.as_bytes());
                at = found.end();
            }
        }
        new.extend_from_slice(bytes.get(at..).unwrap_or_default());
        redaction::without(&new, &mut |secret| {
            let mut found = self.found.borrow_mut();
            if found.len() < MAX_FOUND && is_distinctive(secret) {
                found.insert(secret.to_vec());
            }
        })
    }
}

/// Whether a secret of a text is so unlike a word that it is the same secret wherever it stands.
fn is_distinctive(secret: &[u8]) -> bool {
    /// Shorter ones may be a part of anything.
    const MIN: usize = 8;
    secret.len() >= MIN
        && secret.iter().any(u8::is_ascii_digit)
        && secret.iter().any(u8::is_ascii_alphabetic)
        && !secret.iter().any(u8::is_ascii_whitespace)
}

/// A number of the same kind that says nothing.
fn zero(number: &Number) -> Number {
    if number.is_f64() { Number::from_f64(0.0).unwrap_or_else(|| 0.into()) } else { 0.into() }
}

/// Whether a byte beside a word makes it a part of a longer one.
fn joins(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
}
