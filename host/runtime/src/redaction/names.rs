//! Secrets that are known by the name in front of them, and a text without any.
//!
//! Names count in whatever notation they stand: JSON (also inside a string of JSON), YAML, INI, variables, headers, flags, queries, XML.
//! Who takes everything out takes more than less where a value's end is not certain, and leaves booleans; who takes what is likely to be
//! secret leaves all else as it is. Any bytes are read, in linear time.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::forms::{self, Literals, Strictness};
use super::likely::{Kind, is_likely};
use super::rules::NAMED;
use super::text::Text;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "redacted";
/// What stands in the place of a number, where another type would not fit.
pub(crate) const NUMBER: &str = "0";

/// Words of names that say it by themselves.
const WORDS: [&str; 10] = ["authorization", "bearer", "cookie", "cookies", "cred", "creds", "jwt", "otp", "psk", "pw"];
/// What says it wherever it stands in a word, as in `PGPASSWORD` and `clientsecret`.
const STEMS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passkey",
    "secret",
    "token",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "sharedkey",
];
/// Ends of words that say it, as in `dbpass` and `PHPSESSID`.
const ENDS: [&str; 4] = ["pass", "pwd", "sessid", "sessionid"];
/// Words that say something else.
const ORDINARY: [&str; 18] = [
    "bypass",
    "compass",
    "surpass",
    "trespass",
    "overpass",
    "underpass",
    "encompass",
    "impass",
    "lowpass",
    "highpass",
    "bandpass",
    "multipass",
    "nopass",
    "nopasswd",
    "secretary",
    "tokenize",
    "tokenizer",
    "passwordless",
];
/// Before `key`.
const KEYS: [&str; 14] = [
    "access",
    "account",
    "api",
    "auth",
    "encryption",
    "license",
    "master",
    "preshared",
    "private",
    "secret",
    "session",
    "shared",
    "signing",
    "storage",
];
/// The longest text of an element of XML, which ends on its line.
const MAX_ELEMENT: usize = 256;
/// Schemes of HTTP's authentication, in front of the secret.
const SCHEMES: [&str; 6] = ["bearer", "basic", "digest", "negotiate", "token", "apikey"];
/// Values that are none, or say only whether there is one.
const HARMLESS: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined", REDACTED];

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
pub(crate) fn compiled<const N: usize>(patterns: [(&str, &'static str); N]) -> Vec<(Regex, &'static str)> {
    patterns.into_iter().map(|(pattern, instead)| (Regex::new(pattern).expect("a pattern"), instead)).collect()
}

/// Forms of which a recorded call keeps a part, and what is put in the place of the rest; `$1` and so on is what stays. The others are
/// those of [`super::RULES`].
static FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    compiled([
        // PEM, OpenSSH and OpenPGP private keys, whole or cut.
        (
            r"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY([A-Z ]*)-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)",
            "-----BEGIN ${1}PRIVATE KEY${2}-----\nredacted\n-----END ${1}PRIVATE KEY${2}-----",
        ),
        (r"(?i)\b((?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}", "${1}redacted"),
        // Of `https://user:password@host` both. `https://host:80/@scope` has none.
        (
            r#"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/:@\["'<>]*:(?:[^\s/"'<>]*|\d*[^\d\s/"'<>][^\s"'<>]*)@"#,
            "${1}redacted:redacted@",
        ),
        (r"(?i)\b([a-z][a-z0-9+.-]*://)[\w.~-]{20,}@", "${1}redacted@"),
        // Of `curl -u user:password` the second.
        (r#"(\bcurl\b[^\n|;&]*?\s(?:-\w*[uU]|--user|--proxy-user)[\s=]*["']?[^\s:"']+:)[^\s"']+"#, "${1}redacted"),
        (r"(?i)(\bsshpass\s+-p\s*)\S+", "${1}redacted"),
        // .netrc, redis.conf.
        (r"(\bmachine\s+\S+\s+login\s+\S+\s+password\s+)\S+", "${1}redacted"),
        (r"(?im)^(\s*(?:requirepass|masterauth)[ \t]+)\S.*$", "${1}redacted"),
        (r"(?i)(\bMIT-MAGIC-COOKIE-1\s+)[0-9a-f]+", "${1}redacted"),
    ])
});

/// What may be a secret's name.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    let first = KEYS.join("|");
    let pattern = format!(
        r"(?i-u)(?:\b(?:{first}) )?[a-z0-9_.-]*(?:pass|pwd|pw|secret|token|cred|cookie|key|auth|jwt|otp|psk|sess|bearer)[a-z0-9_.-]*"
    );
    Regex::new(&pattern).expect("a pattern")
});

/// Stems of [`NAME`] with which a name that counts is looked for: each as it is written in small letters, in capitals and with one. They
/// have three letters at least: shorter ones would be in everything.
const SOUGHT: [&str; 12] =
    ["pass", "pwd", "secret", "token", "cred", "cookie", "key", "auth", "jwt", "otp", "psk", "sess"];

/// The last words of names that speak of a secret and have none, in the order of their letters.
#[rustfmt::skip]
const ABOUT: [&str; 66] = [
    "age", "algo", "algorithm", "arn", "at", "audience", "backend", "changed", "count", "date", "description", "dir",
    "directory", "enabled", "endpoint", "expiration", "expires", "expiry", "field", "file", "files", "fingerprint",
    "format", "header", "hint", "host", "id", "ids", "issuer", "label", "len", "length", "lifetime", "limit", "max",
    "method", "methods", "min", "mode", "name", "names", "path", "paths", "policy", "port", "prompt", "provider",
    "ref", "required", "rotation", "scope", "scopes", "size", "status", "store", "time", "timeout", "ttl", "type",
    "types", "uri", "url", "usage", "used", "user", "version",
];
/// Words of names of passwords.
const PASSWORDS: [&str; 4] = ["pwd", "pw", "psk", "passcode"];
/// The longest value that is likely to be a secret, in bytes.
pub(super) const MAX_VALUE: usize = 1024;
/// How far a block or a list is looked at for values that are likely to be secret, in bytes.
const MAX_BLOCK: usize = 4 << 10;
/// The longest name, and what may stand between it and its separator.
const MAX_NAME: usize = 256;

static STEMS_SOUGHT: LazyLock<Literals> = LazyLock::new(|| {
    let forms = |stem: &str| {
        let (first, rest) = stem.split_at(1);
        [stem.to_owned(), stem.to_uppercase(), first.to_uppercase() + rest]
    };
    let written: Vec<_> = SOUGHT.iter().flat_map(|stem| forms(stem)).collect();
    Literals::new(&written.iter().map(String::as_str).collect::<Vec<_>>())
});

/// What kind of secret a value with this name is likely to be, if any.
pub(super) fn kind_of(name: &[u8]) -> Option<Kind> {
    if name.len() > MAX_NAME || !is_secret_name(name) {
        return None;
    }
    // Of `session_id` the whole is the secret.
    let speaks_of_session = |word: &[u8]| word.get(..4).is_some_and(|first| first.eq_ignore_ascii_case(b"sess"));
    let last = words(name).last()?;
    let is_about = ABOUT.binary_search_by(|about| about.bytes().cmp(last.iter().map(u8::to_ascii_lowercase))).is_ok();
    if is_about && !words(name).any(speaks_of_session) {
        return None;
    }
    let is_password = |word: &[u8]| {
        ["password", "passwd", "passphrase"].iter().any(|part| contains(word, part))
            || ends_with(word, "pass")
            || is_one_of(word, &PASSWORDS)
    };
    Some(if words(name).any(is_password) { Kind::Password } else { Kind::Key })
}

/// The values of a text that are likely to be secret by the names in front of them.
pub(super) fn find(text: &Text<'_>, found: &mut Vec<(Range<usize>, &'static str)>) {
    let mut pass = Pass { text, found: Vec::new(), quotes: Quotes::default(), taking: Taking::Likely(Kind::Key) };
    let mut from = 0;
    STEMS_SOUGHT.each(text.bytes, &mut |at, _| {
        if at >= from {
            from = pass.look(at, from);
        }
    });
    found.append(&mut pass.found);
}

/// A text without its secrets. Those that were found by a name are given to `learn` as they were.
pub(crate) fn without(text: &[u8], learn: &mut dyn FnMut(&[u8])) -> Vec<u8> {
    let formless = replaced(&FORMS, Cow::Borrowed(text));
    let formless = without_forms(&formless);
    let text = Text::new(&formless);
    let mut pass = Pass { text: &text, found: Vec::new(), quotes: Quotes::default(), taking: Taking::All };
    pass.run();
    let found = pass.found;
    found.iter().for_each(|(span, _)| learn(text.span(span.clone()).trim_ascii()));
    rebuilt(text.bytes, &found)
}

/// A text without what has a form of its own.
fn without_forms(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut found = Vec::new();
    forms::find(&Text::new(bytes), Strictness::Loose, &mut found);
    if found.is_empty() {
        return Cow::Borrowed(bytes);
    }
    found.sort_by_key(|(span, _)| span.start);
    let found: Vec<_> = found.into_iter().map(|(span, _)| (span, REDACTED)).collect();
    Cow::Owned(rebuilt(bytes, &found))
}

/// A text with other texts in some places of it, which stand in order.
fn rebuilt(bytes: &[u8], found: &[(Range<usize>, &str)]) -> Vec<u8> {
    let (mut out, mut done) = (Vec::with_capacity(bytes.len()), 0);
    for (span, instead) in found.iter().filter(|(span, _)| !span.is_empty()) {
        if span.start >= done {
            out.extend_from_slice(bytes.get(done..span.start).unwrap_or_default());
            out.extend_from_slice(instead.as_bytes());
        }
        done = done.max(span.end);
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out
}

/// Replaces what these patterns match.
pub(crate) fn replaced<'a>(patterns: &[(Regex, &str)], bytes: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
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

/// Whether what has this name is secret.
pub(crate) fn is_secret_name(name: &[u8]) -> bool {
    let secret = |word: &[u8]| {
        is_one_of(word, &WORDS)
            || ENDS.iter().any(|end| ends_with(word, end))
            || STEMS.iter().any(|stem| contains(word, stem))
    };
    let mut before: &[u8] = b"";
    let (mut last_but_one, mut count) = (before, 0);
    for word in words(name) {
        // As `by-pass`.
        let is_ordinary = || is_one_of(word, &ORDINARY) || ORDINARY.iter().any(|whole| is_of_two(before, word, whole));
        if secret(word) && !is_ordinary() || is_one_of(word, &["key", "keys"]) && is_one_of(before, &KEYS) {
            return true;
        }
        (last_but_one, before, count) = (before, word, count + 1);
    }
    match before.to_ascii_lowercase().as_slice() {
        // What else has the word `session` speaks of one: `session-4.scope`.
        b"session" => count == 1 || count == 2 && is_one_of(last_but_one, &["x"]),
        b"id" => ends_with(last_but_one, "session"),
        last => last == b"auth",
    }
}

/// The words of a name, without figures at their ends: `DBPass2` is `DB` and `Pass`.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let begins = |at: usize| {
        let [before, byte, after] = [at.wrapping_sub(1), at, at + 1].map(|at| byte(name, at));
        byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || before.is_ascii_uppercase() && after.is_ascii_lowercase())
    };
    let mut at = 0;
    let pieces = std::iter::from_fn(move || {
        let start = (at..name.len()).find(|at| byte(name, *at).is_ascii_alphanumeric())?;
        at = (start + 1..name.len())
            .find(|at| !byte(name, *at).is_ascii_alphanumeric() || begins(*at))
            .unwrap_or(name.len());
        name.get(start..at)
    });
    let without_figures = |word: &'_ [u8]| {
        let figures = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        word.len() - figures
    };
    pieces.filter_map(move |word| word.get(..without_figures(word))).filter(|word| !word.is_empty())
}

/// Whether a word is one of these, in letters of any size.
fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

/// Whether two words are this one together.
fn is_of_two(one: &[u8], other: &[u8], whole: &str) -> bool {
    let parts = whole.as_bytes().split_at_checked(one.len());
    parts.is_some_and(|(begin, end)| one.eq_ignore_ascii_case(begin) && other.eq_ignore_ascii_case(end))
}

fn ends_with(word: &[u8], end: &str) -> bool {
    let start = word.len().checked_sub(end.len());
    start.and_then(|start| word.get(start..)).is_some_and(|last| last.eq_ignore_ascii_case(end.as_bytes()))
}

fn contains(word: &[u8], part: &str) -> bool {
    let first = byte(part.as_bytes(), 0);
    // Most places have another letter.
    let may_begin = |some: &[u8]| byte(some, 0).to_ascii_lowercase() == first;
    word.windows(part.len()).any(|some| may_begin(some) && some.eq_ignore_ascii_case(part.as_bytes()))
}

/// A quote, with the backslashes in front of it: none, one in a string of JSON, three in a string of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quote {
    mark: u8,
    escapes: usize,
}

impl Quote {
    fn len(self) -> usize {
        self.escapes + 1
    }

    /// Whether a mark behind so many backslashes ends what this began.
    fn ends_at(self, backslashes: usize) -> bool {
        backslashes < self.escapes || (backslashes - self.escapes).is_multiple_of(2 * (self.escapes + 1))
    }
}

/// Which quote is open at a place, of the line that it is on. Goes forwards only.
#[derive(Default)]
struct Quotes {
    at: usize,
    line: usize,
    /// With the place behind it.
    open: Option<(Quote, usize)>,
}

impl Quotes {
    fn go_to(&mut self, text: &[u8], place: usize) {
        // What is before the line tells nothing of it.
        let between = text.get(self.at..place).unwrap_or_default();
        if let Some(end) = memchr::memrchr2(b'\n', b'\0', between) {
            self.at += end;
        }
        let mut backslashes = 0;
        while self.at < place {
            let byte = byte(text, self.at);
            match byte {
                b'\n' | b'\0' => (self.open, self.line) = (None, self.at + 1),
                b'"' | b'\'' => self.mark(text, byte, backslashes),
                _ => {}
            }
            backslashes = if byte == b'\\' { backslashes + 1 } else { 0 };
            self.at += 1;
        }
    }

    fn mark(&mut self, text: &[u8], mark: u8, backslashes: usize) {
        match self.open {
            Some((open, _)) if open.mark != mark => {}
            Some((open, _)) => self.open = self.open.filter(|_| !open.ends_at(backslashes)),
            // An apostrophe inside a word opens nothing.
            None if (self.at - backslashes)
                .checked_sub(1)
                .is_none_or(|before| !byte(text, before).is_ascii_alphanumeric()) =>
            {
                self.open = Some((Quote { mark, escapes: backslashes }, self.at + 1));
            }
            None => {}
        }
    }
}

/// A byte; behind the end, 0, which ends a line as well.
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or_default()
}

/// A name, and how it stands there.
struct Name {
    span: Range<usize>,
    /// The quote that it stands in, with the place behind it.
    open: Option<(Quote, usize)>,
    /// The quote that ends behind it: it is a key of JSON.
    closed: Option<Quote>,
    /// Whether nothing but marks of a list, a comment and the like is before it on its line.
    first: bool,
    line: usize,
}

/// Which values are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    /// All but those that say nothing.
    All,
    /// Those that are likely to be a secret of this kind.
    Likely(Kind),
}

/// One way through a text.
struct Pass<'a> {
    text: &'a Text<'a>,
    /// What was taken, in order, and what is put in its place.
    found: Vec<(Range<usize>, &'static str)>,
    quotes: Quotes,
    taking: Taking,
}

impl Pass<'_> {
    fn run(&mut self) {
        let mut from = 0;
        while let Some(found) = NAME.find_at(self.text.bytes, from) {
            let name = self.name(found.range());
            let behind = name.and_then(|name| self.value(&name)).unwrap_or_default();
            from = behind.max(found.end());
        }
    }

    /// Looks at a name round a stem, of which nothing before `from` is a part, for a value that is likely to be secret. Gives the place
    /// from which on names are looked for.
    fn look(&mut self, stem: usize, from: usize) -> usize {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let lowest = from.max(stem.saturating_sub(MAX_NAME));
        let before = self.text.span(lowest..stem).iter().rev().take_while(|byte| in_name(**byte)).count();
        self.text.count(before);
        let end = self.text.until(stem, |byte| !in_name(byte));
        let start = stem - before;
        // Of the colour in front of it nothing is a part of the name.
        let colour = self.text.until_or(start, 6, |byte| !byte.is_ascii_digit());
        let is_coloured = colour < stem && self.byte(colour) == b'm' && self.text.begins(colour + 1);
        let span = if is_coloured { colour + 1 } else { start }..end;
        // Most names are words of a sentence.
        let separator = self.text.until_or(end, 16, |byte| !b" \t\\\"'".contains(&byte));
        let may_have_value =
            b":=>,".contains(&self.byte(separator)) || self.byte(span.start) == b'-' && separator > end;
        if !may_have_value || span.len() > MAX_NAME {
            return end;
        }
        let taken = self.found.len();
        let Some(name) = self.name(span) else { return end };
        let behind = self.value(&name).unwrap_or_default();
        if self.found.len() > taken { behind.max(end) } else { end }
    }

    /// The name that stands there, if it is one of a secret; then what is taken is of its kind.
    fn name(&mut self, mut span: Range<usize>) -> Option<Name> {
        let said = |span: &Range<usize>| {
            self.text.count(span.len());
            match self.taking {
                Taking::All => is_secret_name(self.span(span)).then_some(Taking::All),
                Taking::Likely(_) => kind_of(self.span(span)).map(Taking::Likely),
            }
        };
        // Behind a backslash, the first letter may be a line end in a string of JSON.
        let escape = span.start > 0 && self.byte(span.start - 1) == b'\\' && b"nrt".contains(&self.byte(span.start));
        let shorter = span.start + 1..span.end;
        let of_shorter = if escape { said(&shorter) } else { None };
        if of_shorter.is_some() {
            span = shorter;
        }
        self.taking = of_shorter.or_else(|| said(&span))?;
        self.quotes.go_to(self.text.bytes, span.start);
        let (open, line) = (self.quotes.open, self.quotes.line);
        let key = |quote: &Quote| b":=,".contains(&self.byte(self.blanks(span.end + quote.len())));
        let closed = self.quote(span.end).filter(key);
        let before = self.span(&(line..span.start));
        // Of a longer one nothing is asked: it is all looked at for each name.
        let before = if before.len() > MAX_NAME { b"." } else { before.trim_ascii() };
        let first = [&b""[..], b"-", b"*", b">", b"<", b"+", b"#", b";", b"//", b"export", b"set"].contains(&before);
        Some(Name { span, open, closed, first, line })
    }

    /// Takes out the value of a name. Gives the place behind it, if there is one.
    fn value(&mut self, name: &Name) -> Option<usize> {
        let mut at = name.span.end;
        at += name.closed.map_or(0, Quote::len);
        let blanks = self.blanks(at) - at;
        let separator = self.byte(at + blanks);
        let flag = self.byte(name.span.start) == b'-';
        let before = name.span.start.checked_sub(1).map(|before| self.byte(before)).unwrap_or_default();
        match separator {
            b':' if self.byte(at + blanks + 1) == b':' => return None,
            // The end of a path, as a program that complains has it.
            b':' if before == b'/' => return None,
            b':' if !name.first && name.closed.is_none() && self.span(&name.span) == b"pwd" => return None,
            b':' | b'=' => {
                at += blanks + 1;
                while matches!(self.byte(at), b'=' | b'>') {
                    at += 1;
                }
            }
            b'>' if before == b'<' => {
                let start = at + 1;
                let near = self.span(&(start..(start + MAX_ELEMENT).min(self.text.bytes.len())));
                let line = near.split(|byte| is_line_end(*byte)).next().unwrap_or_default();
                let end = line.windows(2).position(|two| two == b"</")?;
                return Some(self.take(start..start + end, REDACTED));
            }
            // `--password value`, and the same in an array.
            b',' if flag && name.closed.is_some() => at += blanks + 1,
            _ if flag && blanks > 0 && name.closed.is_none() && separator != b'-' => at += blanks,
            _ => return None,
        }
        let directory = separator == b'=' && blanks == 0 && before != b';' && self.byte(at) == b'/';
        if directory && [&b"PWD"[..], b"OLDPWD"].contains(&self.span(&name.span)) {
            return None;
        }
        at = self.blanks(at);
        // `|` and `>` with what YAML lets follow them.
        let header = self.until(at, |byte| !b"|>+-0123456789\r".contains(&byte));
        let block = b"|>".contains(&self.byte(at)) && is_line_end(self.byte(header));
        if is_line_end(self.byte(at)) || separator == b':' && block {
            return (separator == b':').then(|| self.block(name, at));
        }
        // As Python and shells write some strings: `b'…'`, `$'…'`.
        at += usize::from(b"bBuUrRfFL@$".contains(&self.byte(at)) && b"'\"".contains(&self.byte(at + 1)));
        let ends_text = |quote: &Quote| name.closed.is_none() && name.open.is_some_and(|(open, _)| open == *quote);
        if let Some(quote) = self.quote(at).filter(|quote| !ends_text(quote)) {
            return Some(self.quoted(at, quote));
        }
        if self.taking != Taking::All {
            return match self.byte(at) {
                // What is in it has names of its own.
                b'{' => None,
                b'[' => Some(self.composite(at, name.closed.is_some())),
                _ => self.likely_end(at, name).map(|end| self.take(at..end, NAMED)),
            };
        }
        if b"{[".contains(&self.byte(at)) {
            return Some(self.composite(at, name.closed.is_some()));
        }
        let end = self.bare_end(name, at, before);
        let number = name.closed.is_some() && is_number(self.span(&(at..end)));
        Some(self.take(at..end, if number { NUMBER } else { REDACTED }))
    }

    /// Where a value without quotes ends that is likely to be a secret, unless it is what makes one: a call, an element. Behind a mark
    /// that may be a part of it the next pair begins, or nothing more comes.
    fn likely_end(&self, mut at: usize, name: &Name) -> Option<usize> {
        let limit = (at + MAX_VALUE).min(self.text.bytes.len());
        // The scheme of a header.
        let word = self.text.until_or(at, 12, |byte| !byte.is_ascii_alphabetic());
        if self.byte(word) == b' '
            && SCHEMES.iter().any(|scheme| self.span(&(at..word)).eq_ignore_ascii_case(scheme.as_bytes()))
        {
            return None;
        }
        while at < limit {
            let byte = self.byte(at);
            match byte {
                0 | b'"' | b'\'' | b'`' | b'<' | b'>' | b'|' => break,
                b'(' | b'[' => return None,
                b'\\' if name.open.is_some() || b"nrt\"'".contains(&self.byte(at + 1)) => break,
                b')' | b'}' | b']' | b';' | b',' | b'&' if self.is_end_of_pair(at + 1) => break,
                _ if byte.is_ascii_whitespace() => break,
                _ => at += 1,
            }
        }
        (at < limit || limit == self.text.bytes.len()).then_some(at)
    }

    /// Whether nothing more follows, or a name and its separator.
    fn is_end_of_pair(&self, at: usize) -> bool {
        let next = self.byte(at);
        let name = self.text.until_or(at, 48, |byte| !(byte.is_ascii_alphanumeric() || b"_.- ".contains(&byte)));
        is_line_end(next)
            || next.is_ascii_whitespace()
            || b"\"'`)}];,\\".contains(&next)
            || name > at && b"=:".contains(&self.byte(name))
    }

    /// Where a value without quotes ends.
    fn bare_end(&self, name: &Name, at: usize, before: u8) -> usize {
        let flag = self.byte(name.span.start) == b'-';
        if name.closed.is_some() {
            return self.until(at, |byte| byte.is_ascii_whitespace() || b",}]\"'".contains(&byte));
        }
        let whole_line =
            { words(self.span(&name.span)).any(|word| is_one_of(word, &["authorization", "cookie", "cookies"])) };
        match name.open {
            Some((quote, behind)) if behind == name.span.start || whole_line => return self.closing(at, quote).0,
            None if b"?&".contains(&before) => {
                return self.until(at, |byte| byte.is_ascii_whitespace() || b"&#\"'<>".contains(&byte));
            }
            None if whole_line || name.first && !flag => return self.line_end(at),
            _ => {}
        }
        let word = |at| self.until(at, |byte| byte.is_ascii_whitespace());
        let mut end = word(at);
        let scheme = self.span(&(at..end)).to_ascii_lowercase();
        if SCHEMES.iter().any(|known| known.as_bytes() == scheme) {
            end = word(self.blanks(end));
        }
        if let Some((quote, _)) = name.open {
            end = self.closing_before(at, quote, end).0;
        }
        while end > at && b",;)]}".contains(&self.byte(end - 1)) {
            end -= 1;
        }
        end
    }

    /// Takes out a value in quotes: to its end, or that of the line.
    fn quoted(&mut self, at: usize, quote: Quote) -> usize {
        let start = at + quote.len();
        let (end, behind) = self.closing(start, quote);
        self.take(start..end, if self.taking == Taking::All { REDACTED } else { NAMED });
        behind
    }

    /// Where what a quote began ends, and the place behind its end. Without an end it is the line's.
    fn closing(&self, start: usize, quote: Quote) -> (usize, usize) {
        let limit = if self.taking == Taking::All { usize::MAX } else { start + MAX_VALUE };
        self.closing_before(start, quote, limit.min(self.text.bytes.len()))
    }

    /// The same, and no further than to a limit.
    fn closing_before(&self, start: usize, quote: Quote, limit: usize) -> (usize, usize) {
        let single = quote == Quote { mark: b'\'', escapes: 0 };
        let (mut at, mut backslashes) = (start, 0);
        while at < limit && !is_line_end(self.byte(at)) {
            let byte = self.byte(at);
            if byte == quote.mark && quote.ends_at(backslashes) {
                if backslashes < quote.escapes {
                    // The string round it ends first.
                    return (at - backslashes, at - backslashes);
                }
                // It stands for itself: twice in YAML, INI and SQL, so in a shell.
                let in_shell = single && self.span(&(at..at + 4)) == b"'\\''";
                // Of two behind a backslash the first is escaped in Python, and both are one in YAML: what follows tells.
                let doubtful = single && backslashes == 0 && at > start + 1 && self.span(&(at - 2..at)) == b"\\'";
                let next = self.byte(at + 1);
                match self.quote(at + 1) {
                    _ if in_shell => at += 3,
                    Some(again) if again == quote => at += quote.len(),
                    // A word that goes on is no end.
                    _ if next.is_ascii_alphanumeric()
                        || doubtful && !(is_line_end(next) || b",;:)]}\r".contains(&next)) => {}
                    _ => return (at - quote.escapes, at + 1),
                }
            }
            backslashes = if byte == b'\\' { backslashes + 1 } else { 0 };
            at += 1;
        }
        (at, at)
    }

    /// Takes out all values of an array or an object. Keys stay.
    fn composite(&mut self, mut at: usize, of_json: bool) -> usize {
        let on_one_line = !of_json && !is_line_end(self.byte(self.blanks(at + 1)));
        let mut nested: Vec<u8> = Vec::new();
        // Whether a value follows in an object: what stands before its `:` or `=` is a key.
        let mut valued = false;
        let limit = if self.taking == Taking::All { usize::MAX } else { at + MAX_BLOCK };
        while at < limit.min(self.text.bytes.len()) {
            let byte = self.byte(at);
            let of_object = nested.last() == Some(&b'{');
            let is_key = |pass: &Self, behind| of_object && !valued && b":=".contains(&pass.byte(pass.blanks(behind)));
            match byte {
                b'{' | b'[' if self.taking != Taking::All && !nested.is_empty() => return at,
                b'{' | b'[' => {
                    nested.push(byte);
                    valued = false;
                }
                b'}' | b']' => {
                    nested.pop();
                    valued = false;
                    if nested.is_empty() {
                        return at + 1;
                    }
                }
                b'\n' | b'\0' if on_one_line => return at,
                b',' => valued = false,
                b':' | b'=' if of_object && !valued => valued = true,
                _ if byte.is_ascii_whitespace() => {}
                _ => {
                    let behind = match self.quote(at) {
                        Some(quote) => {
                            let behind = self.closing(at + quote.len(), quote).1.max(at + quote.len());
                            if is_key(self, behind) { behind } else { self.quoted(at, quote).max(behind) }
                        }
                        None => {
                            let in_key = of_object && !valued;
                            let ends = |byte: u8| {
                                byte.is_ascii_whitespace() || b",}]".contains(&byte) || in_key && b":=".contains(&byte)
                            };
                            let behind = self.until(at, ends).max(at + 1);
                            let number = is_number(self.span(&(at..behind)));
                            if !is_key(self, behind) {
                                self.take(at..behind, if number { NUMBER } else { REDACTED });
                            }
                            behind
                        }
                    };
                    at = behind;
                    continue;
                }
            }
            at += 1;
        }
        at
    }

    /// Takes out what follows a name of YAML on lines of its own: a block, or the items of a list. A mapping has names of its own.
    fn block(&mut self, name: &Name, at: usize) -> usize {
        let indent = self.until(name.line, |byte| byte != b' ' && byte != b'-') - name.line;
        let scalar = b"|>".contains(&self.byte(at));
        let mut end = self.until(at, is_line_end);
        loop {
            let line = end + 1;
            let start = self.until(line, |byte| byte != b' ');
            if end >= self.text.bytes.len() || self.taking != Taking::All && end > at + MAX_BLOCK {
                return end;
            }
            let next = self.until(start, is_line_end);
            let line_end = self.line_end(start);
            let content = self.text.bytes.get(start..line_end).unwrap_or_default();
            let deeper = start - line > indent;
            if content.is_empty() {
                // An empty line inside it.
            } else if let (true, Some(item)) = (start - line >= indent && !scalar, content.strip_prefix(b"- ")) {
                let item = line_end - item.trim_ascii_start().len();
                if self.is_mapping(item..line_end) {
                    return end;
                }
                match self.quote(item) {
                    Some(quote) => drop(self.quoted(item, quote)),
                    None => drop(self.take(item..line_end, REDACTED)),
                }
            } else if deeper && (scalar || !self.is_mapping(start..line_end)) {
                self.take(start..line_end, REDACTED);
            } else {
                return end;
            }
            end = next;
        }
    }

    /// Whether a line of YAML has a key.
    fn is_mapping(&self, line: Range<usize>) -> bool {
        match self.quote(line.start) {
            Some(quote) => self.byte(self.closing(line.start + quote.len(), quote).1) == b':',
            None => self.span(&line).windows(2).any(|two| two == b": ") || self.span(&line).ends_with(b":"),
        }
    }

    /// Takes out a value, if it is one. Gives the place behind it.
    fn take(&mut self, span: Range<usize>, instead: &'static str) -> usize {
        let trimmed = self.span(&span).trim_ascii();
        let says_nothing = HARMLESS.iter().any(|word| trimmed.eq_ignore_ascii_case(word.as_bytes()))
            || trimmed.iter().all(|byte| *byte == b'*');
        let (is_taken, instead) = match self.taking {
            Taking::All => (!says_nothing, instead),
            Taking::Likely(kind) => (!says_nothing && is_likely(kind, trimmed), NAMED),
        };
        if is_taken {
            self.found.push((span.clone(), instead));
        }
        span.end
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.byte(at)
    }

    fn span(&self, span: &Range<usize>) -> &[u8] {
        self.text.span(span.clone())
    }

    /// The quote that stands at a place.
    fn quote(&self, at: usize) -> Option<Quote> {
        let mark = self.until(at, |byte| byte != b'\\');
        b"'\"".contains(&self.byte(mark)).then(|| Quote { mark: self.byte(mark), escapes: mark - at })
    }

    fn blanks(&self, at: usize) -> usize {
        self.until(at, |byte| byte != b' ' && byte != b'\t')
    }

    fn line_end(&self, at: usize) -> usize {
        let end = self.until(at, is_line_end);
        end - usize::from(end > at && self.byte(end - 1) == b'\r')
    }

    fn until(&self, at: usize, ends: impl Fn(u8) -> bool) -> usize {
        self.text.until(at, ends)
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\0')
}

/// Whether JSON has it for a number.
fn is_number(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
