//! Secrets that are known by their form.
//!
//! Owns the first pass, which looks for the literals of all rules at once at the speed of memory, and what is asked at each place that it
//! finds. What is asked looks at so many bytes at most, or goes on behind them: a text takes time by its length.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind, packed};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use regex::bytes::Regex;

use super::likely::{is_likely_key, is_placeholder};
use super::rules::{ANY, Alphabet, Checksum, Form, RULES, Rule};
use super::text::{Text, is_word};

/// Gives the secret of which a literal was found at a place, if there is one.
pub(super) type Find = fn(&Text<'_>, usize) -> Option<Range<usize>>;

/// How far an expression looks, in bytes.
const EXPRESSION: usize = 512;
/// How many literals are looked for at once: more are no longer compared in registers.
const AT_ONCE: usize = 64;
/// The longest user and password of a URL, each.
const MAX_USER: usize = 256;
/// The longest line of cookies.
const MAX_COOKIES: usize = 2048;
/// The longest header of a key, and how many there are, with the quotes in them.
const MAX_HEADER: usize = 256;
const MAX_HEADERS: usize = 8;
/// The longest head of a JSON web token.
const MAX_HEAD: usize = 512;
/// The shortest piece of a token that the end of a text has cut.
const MIN_CUT: usize = 8;

/// How strict a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// What is no secret stays as it is.
    Exact,
    /// More is taken rather than less: checksums do not count, and tokens may be cut.
    Loose,
}

/// Looks for literals.
pub(super) struct Literals(Vec<(Searcher, Vec<usize>)>);

enum Searcher {
    Packed(packed::Searcher),
    /// On processors for which there is no quicker one.
    Plain(AhoCorasick),
}

impl Literals {
    /// Of those that begin at a place one counts: none may be the beginning of another.
    #[expect(clippy::expect_used, reason = "the literals are constants, and a test compiles them")]
    pub(super) fn new(literals: &[&str]) -> Self {
        let mut numbered: Vec<_> = literals.iter().copied().enumerate().collect();
        // The shortest of those that are looked for at once decides how much of each is compared.
        numbered.sort_by_key(|(_, literal)| Reverse(literal.len()));
        let searchers = numbered.chunks(AT_ONCE).map(|group| {
            let group = spread(group);
            let literals = || group.iter().map(|(_, literal)| literal);
            let packed = packed::Config::new().builder().extend(literals()).build();
            let plain =
                || AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(literals()).expect("literals");
            let numbers = group.iter().map(|(number, _)| *number).collect();
            (packed.map_or_else(|| Searcher::Plain(plain()), Searcher::Packed), numbers)
        });
        Self(searchers.collect())
    }

    /// Gives the places of all of them with their numbers, those of each group in order.
    pub(super) fn each(&self, text: &[u8], found: &mut dyn FnMut(usize, usize)) {
        for (searcher, numbers) in &self.0 {
            let mut each =
                |at: usize, number: usize| numbers.get(number).into_iter().for_each(|number| found(at, *number));
            match searcher {
                Searcher::Packed(searcher) => {
                    searcher.find_iter(text).for_each(|it| each(it.start(), it.pattern().as_usize()));
                }
                Searcher::Plain(searcher) => {
                    searcher.find_iter(text).for_each(|it| each(it.start(), it.pattern().as_usize()));
                }
            }
        }
    }
}

/// In the order in which the packed searcher puts those that begin alike together: it deals them out in turn to 8 sets, or 16 of more
/// than 32, and what meets all sets is compared with all of one. So a text has fewer places that are looked at twice.
fn spread<'l>(group: &[(usize, &'l str)]) -> Vec<(usize, &'l str)> {
    let mut sorted = group.to_vec();
    sorted.sort_by_key(|(_, literal)| *literal);
    let sets = if group.len() > 32 { 16 } else { 8 };
    let in_each = group.len().div_ceil(sets);
    let dealt = (0..in_each).flat_map(|row| (0..sets).map(move |set| set * in_each + row));
    dealt.filter_map(|at| sorted.get(at).copied()).collect()
}

/// The literals of all forms, and whose each is.
struct Index {
    literals: Literals,
    rules: Vec<&'static Compiled>,
}

struct Compiled {
    rule: &'static Rule,
    expression: Option<Regex>,
}

#[expect(clippy::expect_used, reason = "the expressions are constants, and a test compiles them")]
static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let compiled = RULES.iter().map(|rule| {
        let expression = match rule.form {
            Form::Expression { pattern, .. } => Some(Regex::new(&format!("(?-u){pattern}")).expect("an expression")),
            _ => None,
        };
        Compiled { rule, expression }
    });
    compiled.collect()
});

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let pairs =
        COMPILED.iter().flat_map(|compiled| compiled.rule.form.literals().iter().map(move |it| (*it, compiled)));
    let (literals, rules): (Vec<&str>, Vec<_>) = pairs.unzip();
    Index { literals: Literals::new(&literals), rules }
});

impl Form {
    fn literals(&self) -> &'static [&'static str] {
        match self {
            Self::Token { prefixes: literals, .. }
            | Self::Expression { literals, .. }
            | Self::Found { literals, .. } => literals,
            Self::Named => &[],
        }
    }
}

/// The secrets of a text that have a form, each with its rule; those of one literal in order.
pub(super) fn find(text: &Text<'_>, strictness: Strictness, found: &mut Vec<(Range<usize>, &'static Rule)>) {
    let index = &*INDEX;
    // Behind what was found last of the same group: nothing in it is looked at twice.
    let mut behind = 0;
    index.literals.each(text.bytes, &mut |at, literal| {
        let Some(compiled) = index.rules.get(literal) else { return };
        if at < behind && found.last().is_some_and(|(last, _)| last.contains(&at)) {
            return;
        }
        if let Some(range) = compiled.find(text, at, strictness).filter(|range| !range.is_empty()) {
            behind = range.end;
            found.push((range, compiled.rule));
        }
    });
}

impl Compiled {
    fn find(&self, text: &Text<'_>, at: usize, strictness: Strictness) -> Option<Range<usize>> {
        match &self.rule.form {
            Form::Token { prefixes, alphabet, length, checksum } => {
                let prefix = prefixes.iter().find(|prefix| text.starts_with(at, prefix.as_bytes()))?;
                let start = at + prefix.len();
                if !text.begins(at) {
                    return None;
                }
                let mut end = text.until_or(start, length.end().saturating_add(1), |byte| !alphabet.has(byte));
                while end > start && b".-".contains(&text.byte(end - 1)) {
                    end -= 1;
                }
                let (long, next) = (end - start, text.byte(end));
                let is_cut = long >= MIN_CUT && long < *length.start() && text.is_cut(end);
                // Without a longest length it ends where its letters do: what was looked at is never looked at again.
                let is_whole = length.contains(&long) && (*length.end() == ANY || !is_word(next));
                let is_loose = strictness == Strictness::Loose && long >= 16.min(*length.start());
                let exact = is_whole && checksum.holds(text.span(start..end));
                (exact || is_cut || is_loose).then_some(at..end)
            }
            Form::Expression { literals, .. } => {
                let is_bounded =
                    literals.iter().all(|literal| is_word(literal.as_bytes().first().copied().unwrap_or_default()));
                if is_bounded && !text.begins(at) {
                    return None;
                }
                let near = text.span(at..(at + EXPRESSION).min(text.bytes.len()));
                text.count(near.len());
                let captures = self.expression.as_ref()?.captures(near)?;
                let groups = ["secret", "a", "b", "c", "d"];
                let secret = groups.iter().find_map(|group| captures.name(group));
                let range = match secret {
                    Some(secret) if !is_secret(secret.as_bytes(), self.rule) => return None,
                    Some(secret) => secret.range(),
                    None => captures.get(0)?.range(),
                };
                let range = at + range.start..at + range.end;
                // What was needed to see where it ends.
                let last = text.byte(range.end - 1);
                let is_end = secret.is_none() && !is_word(last) && !b"=/+.-".contains(&last) && range.len() > 1;
                Some(if is_end { range.start..range.end - 1 } else { range })
            }
            Form::Found { find, .. } => find(text, at),
            Form::Named => None,
        }
    }
}

/// Whether what an expression found could be a secret.
fn is_secret(value: &[u8], rule: &Rule) -> bool {
    match rule.name {
        "bearer-token" => is_likely_key(value),
        _ => !is_placeholder(value),
    }
}

impl Alphabet {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Base32 => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => is_word(byte),
            Self::Base64Url => is_word(byte) || byte == b'-',
            Self::Dotted => is_word(byte) || matches!(byte, b'-' | b'.'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
        }
    }
}

impl Checksum {
    fn holds(self, token: &[u8]) -> bool {
        match (self, token.split_at_checked(30)) {
            (Self::None, _) => true,
            (Self::Crc32Base62, Some((random, checksum))) if checksum.len() == 6 => {
                checksum == base62(crc32(random)).as_slice()
            }
            // A JSON web token is in it.
            (Self::Crc32Base62, _) => token.iter().filter(|byte| **byte == b'.').count() == 2,
        }
    }
}

/// CRC-32 as ISO 3309 has it.
fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    });
    !crc
}

fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get(number as usize % 62).copied().unwrap_or_default();
        number /= 62;
    }
    digits
}

/// `-BEGIN ` or `- BEGIN ` of a key with a body. Where its end is not there, to that of its body.
pub(super) fn private_key(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let dashes = text.span(at.saturating_sub(4)..at + 1);
    let spaced = usize::from(text.byte(at + 1) == b' ');
    let dashed = dashes.iter().rev().take_while(|byte| **byte == b'-').count();
    let label = at + spaced + 7;
    let label_end =
        text.until_or(label, 48, |byte| !(byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '));
    let named = text.span(label..label_end);
    if dashed < 4 || !named.windows(11).any(|part| part == b"PRIVATE KEY") || !text.starts_with(label_end, b"----") {
        return None;
    }
    let start = at + 1 - dashed;
    let header_end = text.until_or(label_end, 8, |byte| byte != b'-');
    let body_end = body(text, header_end)?;
    let end = line_start(text, body_end);
    let closing = text.until_or(end, 8, |byte| byte != b'-');
    if closing > end && text.span(closing..closing + 5).trim_ascii_start().starts_with(b"END") {
        let named = text.until_or(closing, 64, |byte| byte == b'-');
        return Some(start..text.until_or(named, 8, |byte| byte != b'-'));
    }
    Some(start..body_end)
}

/// The lines behind `Private-Lines: N`.
pub(super) fn putty_key(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let number = at + b"Private-Lines: ".len();
    let start = text.until_or(number, 6, |byte| !byte.is_ascii_digit());
    Some(start..body(text, start)?).filter(|_| start > number && is_break(text.byte(start)))
}

/// Line breaks, also as strings write them, and what strings, lists and comments put before a line.
fn is_break(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\\\"'+,#>|*".contains(&byte)
}

/// Where the next line of a key begins.
fn line_start(text: &Text<'_>, mut at: usize) -> usize {
    let limit = at + 80;
    while at < limit {
        let byte = text.byte(at);
        // The letter of a line end in a string.
        let is_escaped = b"nrt".contains(&byte) && at > 0 && text.byte(at - 1) == b'\\';
        if !(byte != 0 && is_break(byte) || is_escaped) {
            break;
        }
        at += 1;
    }
    at
}

/// Where the lines of a key end that begin here, with the headers before them: the first has 16 characters at least.
fn body(text: &Text<'_>, start: usize) -> Option<usize> {
    let (mut end, mut headers) = (None, 0);
    let mut at = start;
    loop {
        let line = line_start(text, at);
        let behind = text.until(line, |byte| !Alphabet::Base64.has(byte));
        let name = text.until_or(line, 40, |byte| !(byte.is_ascii_alphabetic() || byte == b'-'));
        if line == at && at > start {
            return end;
        }
        if name > line && text.starts_with(name, b": ") && headers < MAX_HEADERS {
            headers += 1;
            at = text.until_or(name, MAX_HEADER, |byte| byte == b'\n' || byte == b'\\');
            while text.byte(at) == b'\\' && text.byte(at + 1) == b'"' && headers <= MAX_HEADERS {
                headers += 1;
                at = text.until_or(at + 1, MAX_HEADER, |byte| byte == b'\n' || byte == b'\\');
            }
        } else if behind - line >= 16 || behind > line && end.is_some() {
            end = Some(behind);
            at = behind;
        } else {
            return end;
        }
    }
}

/// Digits before `:AA`, and 33 characters behind it.
pub(super) fn telegram_token(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let digits = (0..at + 1).rev().take(13).take_while(|at| text.byte(*at).is_ascii_digit()).count();
    let (start, secret) = (at + 1 - digits, at + 4);
    let end = text.until_or(secret, 34, |byte| !Alphabet::Base64Url.has(byte));
    // As `/bot1029384756:…` has it.
    let begins = text.begins(start) || text.span(start.saturating_sub(3)..start) == b"bot";
    ((8..=12).contains(&digits) && begins && end - secret == 33).then_some(start..end)
}

/// `.atlasv1.` with a part before and one behind.
pub(super) fn terraform_token(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let before = (0..at).rev().take(14).take_while(|at| text.byte(*at).is_ascii_alphanumeric()).count();
    let secret = at + b".atlasv1.".len();
    let end = text.until_or(secret, 100, |byte| !Alphabet::Base64Url.has(byte));
    (before == 14 && text.begins(at - before) && end - secret >= 40).then_some(at - before..end)
}

/// A head and a body, both objects of JSON in base64, and what signs them.
pub(super) fn json_web_token(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let part = |at: usize, most| text.until_or(at, most, |byte| !Alphabet::Base64Url.has(byte));
    if !text.begins(at) {
        return None;
    }
    let head = part(at, MAX_HEAD);
    if head - at < 12 || !text.starts_with(head, b".eyJ") {
        return None;
    }
    let claims = text.until(head + 1, |byte| !Alphabet::Base64Url.has(byte));
    if claims - head < 12 {
        return None;
    }
    let is_signed = text.byte(claims) == b'.';
    Some(at..if is_signed { text.until(claims + 1, |byte| !Alphabet::Base64Url.has(byte)) } else { claims })
}

/// The password behind `://user:`, or a token in the place of both.
pub(super) fn url_password(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    if !text.byte(at.checked_sub(1)?).is_ascii_alphanumeric() {
        return None;
    }
    let ends = |byte: u8| byte.is_ascii_whitespace() || byte == 0 || b"\"'<>`/\\@".contains(&byte);
    // As some write it in strings: `:\/\/`.
    let user = at + if text.byte(at + 1) == b'\\' { 5 } else { 3 };
    let user_end = text.until_or(user, MAX_USER, |byte| byte == b':' || ends(byte));
    match text.byte(user_end) {
        b'@' => {
            let token = text.span(user..user_end);
            (token.len() >= 20 && is_likely_key(token)).then_some(user..user_end)
        }
        b':' => {
            let password = user_end + 1;
            let mut end = text.until_or(password, MAX_USER, ends);
            // A port is none, and neither is what follows it.
            if text.byte(end) == b'/' && text.span(password..end).iter().any(|byte| !byte.is_ascii_digit()) {
                end = text.until_or(end, MAX_USER, |byte| byte != b'/' && ends(byte));
            }
            let is_secret = end > password && text.byte(end) == b'@' && !is_placeholder(text.span(password..end));
            is_secret.then_some(password..end)
        }
        _ => None,
    }
}

/// A user and a password in base64 behind `Basic `.
pub(super) fn basic_credentials(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at + b"Basic ".len();
    let end = text.until_or(start, MAX_USER * 2, |byte| !Alphabet::Base64.has(byte));
    let value = text.span(start..end);
    if !text.begins(at) || value.len() < 8 {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(value).or_else(|_| BASE64_STANDARD_NO_PAD.decode(value)).ok()?;
    let is_text = decoded.iter().all(|byte| (b' '..=b'~').contains(byte));
    (is_text && decoded.contains(&b':')).then_some(start..end)
}

/// All that is behind `Cookie: ` on its line, if one of the cookies could be a secret.
pub(super) fn cookies(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at + b"ookie: ".len();
    let end = text.until_or(start, MAX_COOKIES, |byte| matches!(byte, b'\r' | b'\n' | b'"' | b'\'' | b'\\' | 0));
    let secret = |pair: &[u8]| {
        let value = pair.iter().position(|byte| *byte == b'=').and_then(|at| pair.get(at + 1..));
        value.is_some_and(|value| is_likely_key(value.trim_ascii()))
    };
    text.span(start..end).split(|byte| *byte == b';').any(secret).then_some(start..end)
}
