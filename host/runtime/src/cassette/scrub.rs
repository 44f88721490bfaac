//! Takes out of a recorded call what nobody else should read: secrets, and what tells where and as whom a team logs in.
//!
//! What is replaced is replaced everywhere, in questions and answers alike, so that a plugin that uses what it read still
//! asks for what was recorded. Names of hosts stay, for arguments hold them. No list of patterns finds every secret: whoever
//! shares a cassette reads it first, and `--redact` takes out what was left.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Captures, Regex};
use serde_json::Value;

use super::CassetteError;
use super::format::{self, Attributes, Capture, Failure, File, Given, Request, Text};
use crate::{Fleet, HostRecord};

/// What stands in the place of a secret.
const REDACTED: &str = "redacted";
/// Shorter values of settings and arguments are replaced where they stand, not wherever the same characters are.
const MIN_SECRET: usize = 6;
/// Shorter account names are replaced where they stand alone as a host's user.
const MIN_USER: usize = 3;
/// An account that says nothing about anybody.
const PUBLIC_USER: &str = "root";

/// Names of fields and variables that hold secrets.
const NAMES: &str =
    r"[\w.-]*(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*";

/// Patterns of secrets and what is put in their place; `$1` and so on is what stays.
static SECRETS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let named = |rest: &str| format!(r"(?i)\b({NAMES}){rest}");
    let patterns: [(String, &str); 11] = [
        // PEM and OpenSSH private keys, whole or cut.
        (
            r"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY([A-Z ]*)-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)".into(),
            "-----BEGIN ${1}PRIVATE KEY${2}-----\nredacted\n-----END ${1}PRIVATE KEY${2}-----",
        ),
        (r"(?i)\b((?:proxy-)?authorization\s*[:=]\s*)[^\r\n]+".into(), "${1}redacted"),
        (r"(?i)\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}".into(), "${1}redacted"),
        // Of `https://user:password@host` both.
        (r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/:@]+:[^\s/@]+@".into(), "${1}redacted:redacted@"),
        // `name = value`, `"name": "value"`, `--name=value`.
        (named(r#"(["']?\s*[:=]\s*)"[^"\n]*""#), "${1}${2}\"redacted\""),
        (named(r#"(["']?\s*[:=]\s*)'[^'\n]*'"#), "${1}${2}'redacted'"),
        (named(r#"(["']?\s*[:=]\s*)[^\s,;&"'{}\[\]]+"#), "${1}${2}redacted"),
        // `--password value`.
        (format!(r"(?i)(--{NAMES}\s+)[^\s-][^\s]*"), "${1}redacted"),
        // JSON web tokens.
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*".into(), REDACTED),
        // Tokens that well-known services mark as theirs.
        (
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abeoprs]-[\w-]{10,}|\bsk-[\w-]{20,}|\bnpm_[A-Za-z0-9]{20,}|\bAIza[\w-]{30,}".into(),
            REDACTED,
        ),
        // Password hashes (crypt(5)).
        (r"\$(?:1|2[abxy]|5|6|7|y|gy|md5|sha1|argon2\w*|scrypt)\$[^\s:]{8,}".into(), REDACTED),
    ];
    compiled(patterns)
});

/// What only the text of an error is searched for: it was written here, not on the host.
static PLACES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns: [(String, &str); 4] = [
        (r"[^\s`'\x22(]*/\.ssh/[^\s`'\x22),;:]+".into(), "~/.ssh/redacted"),
        (r"/(?:home|Users)/[^/\s`'\x22]+".into(), "/home/user"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}\b".into(), "192.0.2.1"),
        (r"\[[0-9a-fA-F:]*:[0-9a-fA-F:.%\w]*\]".into(), "[2001:db8::1]"),
    ];
    compiled(patterns)
});

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
fn compiled<const N: usize>(patterns: [(String, &'static str); N]) -> Vec<(Regex, &'static str)> {
    patterns.into_iter().map(|(pattern, instead)| (Regex::new(&pattern).expect("a pattern"), instead)).collect()
}

static SECRET_NAME: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled([(format!("(?i)^{NAMES}$"), "")]));

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
    for (at, host) in fleet.hosts().iter().enumerate() {
        literals.learn_host(at, host);
    }
    let scrubber = Scrubber::new(literals)?;
    scrubber.fields(&mut file.arguments);
    scrubber.fields(&mut file.settings);
    for host in &mut file.hosts {
        let at = fleet.hosts().iter().position(|record| record.name == host.name).unwrap_or_default();
        if host.address != host.name {
            host.address = if host.trouble.is_some() { String::new() } else { address(at, &host.address) };
        }
        host.user = if host.user == PUBLIC_USER { PUBLIC_USER.to_owned() } else { "user".to_owned() };
        host.trouble = host.trouble.as_deref().map(|text| scrubber.error(text));
        host.tags.iter_mut().for_each(|tag| scrubber.string(tag));
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
    for operation in &mut file.operations {
        scrubber.string(&mut operation.host);
        let secret = match &mut operation.asked {
            Request::Open(path) | Request::Read { path, .. } | Request::Stat(path) => {
                let secret = fleet.access().secrets.has(&path.0);
                scrubber.text(path);
                secret
            }
            Request::Exec(script) => {
                scrubber.text(script);
                false
            }
            Request::Probe { .. } => false,
        };
        scrubber.given(&mut operation.given, secret);
    }
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
#[derive(Default)]
struct Literals(BTreeMap<Vec<u8>, (String, Edges)>);

impl Literals {
    fn add(&mut self, text: &[u8], instead: String, edges: Edges) {
        if !text.is_empty() && text != instead.as_bytes() {
            self.0.entry(text.to_vec()).or_insert((instead, edges));
        }
    }

    /// Secrets among settings and arguments, which may come again anywhere.
    fn learn(&mut self, name: &str, value: &Value, secret: bool) {
        let secret = secret || is_secret_name(name);
        match value {
            Value::String(text) if secret && text.len() >= MIN_SECRET => {
                self.add(text.as_bytes(), REDACTED.to_owned(), Edges::Any);
            }
            Value::Array(values) => values.iter().for_each(|value| self.learn(name, value, secret)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.learn(name, value, secret)),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn learn_host(&mut self, at: usize, host: &HostRecord) {
        let Ok(spec) = &host.spec else { return };
        if spec.host_name != host.name && !is_loopback(&spec.host_name) {
            self.add(spec.host_name.as_bytes(), address(at, &spec.host_name), Edges::Word);
        }
        if spec.user != PUBLIC_USER && spec.user.len() >= MIN_USER {
            self.add(spec.user.as_bytes(), "user".to_owned(), Edges::Word);
        }
    }
}

struct Scrubber {
    /// Finds the longest of the texts: `db.example.org` and not `example.org`.
    finder: AhoCorasick,
    /// In the order of the finder's.
    instead: Vec<(String, Edges)>,
}

impl Scrubber {
    fn new(literals: Literals) -> Result<Self, CassetteError> {
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(literals.0.keys());
        let finder = finder.map_err(|error| CassetteError::new(format!("cannot be scrubbed: {error}")))?;
        Ok(Self { finder, instead: literals.0.into_values().collect() })
    }

    fn given(&self, given: &mut Given, secret: bool) {
        match given {
            Given::File { attributes, content } => self.content(content, Some(attributes), secret),
            Given::Content(content) => self.content(content, None, secret),
            Given::Directory { entries, .. } => entries.iter_mut().for_each(|entry| self.text(&mut entry.name)),
            Given::Outcome { stdout, stderr, .. } => {
                self.content(stdout, None, false);
                self.content(stderr, None, false);
            }
            Given::Probe { error: Some(failure), .. } | Given::Error(failure) => self.failure(failure),
            Given::Probe { error: None, .. } | Given::Other { .. } | Given::Attributes(_) => {}
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
            self.value(value, is_secret_name(name));
        }
    }

    fn value(&self, value: &mut Value, secret: bool) {
        match value {
            Value::String(text) if secret => *text = REDACTED.to_owned(),
            Value::String(text) => self.string(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value, secret)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.value(value, secret || is_secret_name(name));
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
        replaced(&SECRETS, Cow::Owned(new)).into_owned()
    }
}

/// Whether a byte beside a word makes it a part of a longer one.
fn joins(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
}

fn replaced<'a>(patterns: &[(Regex, &str)], bytes: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
    patterns.iter().fold(bytes, |bytes, (pattern, instead)| {
        if !pattern.is_match(&bytes) {
            return bytes;
        }
        let expanded = |found: &Captures<'_>| {
            let mut out = Vec::new();
            found.expand(instead.as_bytes(), &mut out);
            out
        };
        Cow::Owned(pattern.replace_all(&bytes, expanded).into_owned())
    })
}

fn is_secret_name(name: &str) -> bool {
    SECRET_NAME.iter().any(|(pattern, _)| pattern.is_match(name.as_bytes()))
}
