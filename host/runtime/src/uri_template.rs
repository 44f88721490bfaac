//! Templates of resource URIs: the part of RFC 6570 that a plugin's resources need, read both ways.
//!
//! Owns which URIs belong to a template, and that what a plugin is handed of one is text and nothing else: no userinfo, no port, no
//! query, no byte that is not UTF-8, no character that hides. Knows no plugin and no host. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use scout_machine::hidden;

use crate::state::shown;

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 256;
/// Parts of a template.
const MAX_PARTS: usize = 16;
/// The longest scheme and the longest name of a variable, in bytes.
const MAX_WORD: usize = 32;
/// Schemes that mean something to clients, to Scout or to others: a resource below one would be taken for what it is not.
const RESERVED: [&str; 30] = [
    "about",
    "app",
    "blob",
    "chrome",
    "content",
    "data",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "git",
    "hosts",
    "http",
    "https",
    "intent",
    "jar",
    "javascript",
    "mailto",
    "mcp",
    "scout",
    "scp",
    "sftp",
    "ssh",
    "tel",
    "ui",
    "urn",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];
/// What of a value is not encoded: RFC 3986's `unreserved`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same of what stands for several parts.
const VALUES: &AsciiSet = &VALUE.remove(b'/');

/// A template of URIs: `docker://{host}/{container}/logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate {
    text: String,
    scheme: String,
    parts: Vec<Part>,
}

/// What stands between two `/`. In the order in which they go before each other where several templates fit.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// This.
    Word(String),
    /// One part, of which a plugin is told.
    Variable(String),
    /// All the parts that follow.
    Rest(String),
}

impl Part {
    fn rank(&self) -> u8 {
        match self {
            Self::Word(_) => 0,
            Self::Variable(_) => 1,
            Self::Rest(_) => 2,
        }
    }

    fn variable(&self) -> Option<&str> {
        match self {
            Self::Word(_) => None,
            Self::Variable(name) | Self::Rest(name) => Some(name),
        }
    }
}

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence that begins with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str =
            "write `scheme://{host}/word`, with `{+rest}` as the last part where one is to stand for several";
        if text.len() > MAX_TEMPLATE {
            return Err(format!("is longer than {MAX_TEMPLATE} bytes"));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(format!("has no scheme: {SHAPE}")) };
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte);
        if !(2..=MAX_WORD).contains(&scheme.len())
            || !scheme.starts_with(|first: char| first.is_ascii_lowercase())
            || !scheme.bytes().all(known)
        {
            return Err(format!("has a scheme that is not 2 to {MAX_WORD} of a-z 0-9 + . -, beginning with a letter"));
        }
        if RESERVED.contains(&scheme) {
            return Err(format!("has the scheme `{scheme}`, which no plugin may have: it means something else"));
        }
        let parts = rest
            .split('/')
            .map(part)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| format!("has a part that is neither a word nor a variable: {SHAPE}"))?;
        let ends = parts.iter().rev().skip(1).all(|part| !matches!(part, Part::Rest(_)));
        let mut names: Vec<&str> = parts.iter().filter_map(Part::variable).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        if parts.len() > MAX_PARTS || !ends || names.len() != count {
            return Err(format!(
                "has more than {MAX_PARTS} parts, a variable twice, or parts behind the last: {SHAPE}"
            ));
        }
        Ok(Self { text: text.to_owned(), scheme: scheme.to_owned(), parts })
    }

    /// As its plugin wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its scheme.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The names of its variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(Part::variable)
    }

    /// Whether it stands for one resource.
    pub fn is_fixed(&self) -> bool {
        self.variables().next().is_none()
    }

    /// Whether whatever fits the one fits the other.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let alike = |(one, other): (&Part, &Part)| match (one, other) {
            (Part::Word(one), Part::Word(other)) => one == other,
            (one, other) => one.rank() == other.rank(),
        };
        self.scheme == other.scheme
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(alike)
    }

    /// In which order templates that fit the same URI go before each other: words first.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        self.parts.iter().map(Part::rank).collect::<Vec<_>>()
    }

    /// What a URI has in the place of each variable. None: it does not fit.
    pub fn values(&self, uri: &str) -> Option<Vec<String>> {
        let mut rest = uri.strip_prefix(self.scheme.as_str())?.strip_prefix("://")?;
        if !matches!(self.parts.last(), Some(Part::Rest(_))) {
            // As some libraries write a URI without a path.
            rest = rest.strip_suffix('/').unwrap_or(rest);
        }
        let (mut values, mut rest) = (Vec::new(), Some(rest));
        for (at, part) in self.parts.iter().enumerate() {
            let left = rest?;
            let (given, behind) = match part {
                Part::Rest(_) => (left, None),
                _ => left.split_once('/').map_or((left, None), |(given, behind)| (given, Some(behind))),
            };
            match part {
                Part::Word(word) if word == given => {}
                Part::Word(_) => return None,
                Part::Variable(_) | Part::Rest(_) => values.push(value(given, at == 0)?),
            }
            rest = behind;
        }
        rest.is_none().then_some(values)
    }

    /// The URI that has these values. None: there is no such URI.
    pub fn uri(&self, values: &[String]) -> Option<String> {
        let (mut uri, mut left) = (format!("{}://", self.scheme), values.iter());
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                uri.push('/');
            }
            match part {
                Part::Word(word) => uri.push_str(word),
                Part::Variable(_) => uri.extend(utf8_percent_encode(left.next()?, VALUE)),
                Part::Rest(_) => uri.extend(utf8_percent_encode(left.next()?, VALUES)),
            }
        }
        // Whoever reads it gets what it was made of.
        (self.values(&uri).as_deref() == Some(values)).then_some(uri)
    }
}

/// A URI with what its parts say changed by this, where it changes anything. A part stays as it is written else.
pub(crate) fn with_values_changed(uri: &str, change: impl Fn(&str) -> String) -> String {
    let changed = |part: &str| {
        let said = percent_decode_str(part).decode_utf8_lossy();
        let changed = change(&said);
        if changed == said { part.to_owned() } else { utf8_percent_encode(&changed, VALUE).to_string() }
    };
    uri.split('/').map(changed).collect::<Vec<_>>().join("/")
}

fn part(text: &str) -> Option<Part> {
    if let Some(name) = text.strip_prefix('{') {
        let name = name.strip_suffix('}')?;
        let (name, is_rest) = name.strip_prefix('+').map_or((name, false), |name| (name, true));
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = (1..=MAX_WORD).contains(&name.len()) && name.bytes().all(known);
        let name = is_name.then(|| name.to_owned())?;
        return Some(if is_rest { Part::Rest(name) } else { Part::Variable(name) });
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    (!text.is_empty() && text.bytes().all(known)).then(|| Part::Word(text.to_owned()))
}

/// What a part of a URI says, if it is text.
fn value(given: &str, is_authority: bool) -> Option<String> {
    // Before an `@` would stand who, behind a `:` a port.
    let is_odd = |byte: u8| {
        byte.is_ascii_control() || b" \"#<>?\\^`{|}".contains(&byte) || is_authority && b"@:[]".contains(&byte)
    };
    if given.bytes().any(is_odd) || !given.split('%').skip(1).all(begins_with_hexadecimal) {
        return None;
    }
    let value = percent_decode_str(given).decode_utf8().ok()?;
    let is_text = !value.is_empty() && !value.contains(char::is_control) && hidden(&value).next().is_none();
    is_text.then(|| value.into_owned())
}

fn begins_with_hexadecimal(text: &str) -> bool {
    text.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// What is wrong with a template, with its beginning.
pub(crate) fn wrong(text: &str, why: &str) -> String {
    format!("the template `{}` {why}", shown(text))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn template(text: &str) -> UriTemplate {
        UriTemplate::parse(text).unwrap()
    }

    #[test]
    fn what_a_uri_has_in_the_place_of_variables_is_told_in_their_order() {
        for (text, uri, values) in [
            ("docker://{host}", "docker://web1", Some(vec!["web1"])),
            ("docker://{host}", "docker://web1/", Some(vec!["web1"])),
            ("docker://{host}", "docker://web1//", None),
            ("docker://{host}", "docker://web1/x", None),
            ("docker://{host}", "docker://", None),
            ("docker://{host}", "dockers://web1", None),
            ("docker://{host}", "Docker://web1", None),
            ("docker://{host}/{container}/logs", "docker://web1/a%20b%2Fc/logs", Some(vec!["web1", "a b/c"])),
            ("docker://{host}/{container}/logs", "docker://web1//logs", None),
            ("docker://{host}/{container}/logs", "docker://web1/a/log", None),
            ("docker://{host}/{container}/logs", "docker://web1/a", None),
            ("notes://all", "notes://all", Some(vec![])),
            ("notes://{name}/{+path}", "notes://a/b/c%2Fd/", Some(vec!["a", "b/c/d/"])),
            ("notes://{name}/{+path}", "notes://a/", None),
            ("notes://{name}/{+path}", "notes://a", None),
        ] {
            let values = values.map(|values| values.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(template(text).values(uri), values, "{text} {uri}");
        }
    }

    #[test]
    fn what_is_not_text_or_names_more_than_a_host_is_no_value() {
        let host = template("docker://{host}");
        for given in [
            "me@web1",
            "web1:22",
            "[::1]",
            "web1?x",
            "web1#x",
            "web1%00",
            "web1%0a",
            "web1%0D%0A",
            "web1%1b[2J",
            "web1%C2%9B",
            "web1%E2%80%AE",
            "web1%ff",
            "web1%",
            "web1%4",
            "web1%zz",
            "a b",
            "a\tb",
            "a\u{7f}",
            "a{b}",
            "a\\b",
            "%",
        ] {
            assert_eq!(host.values(&format!("docker://{given}")), None, "{given:?}");
        }
        // What is encoded is a name as any other, and no host has it.
        for (given, value) in
            [("me%40web1", "me@web1"), ("web1%2F..%2Fdb1", "web1/../db1"), ("..", ".."), ("wéb", "wéb")]
        {
            assert_eq!(host.values(&format!("docker://{given}")), Some(vec![value.to_owned()]), "{given:?}");
        }
    }

    #[test]
    fn a_uri_that_is_made_is_read_as_what_it_was_made_of() {
        let logs = template("docker://{host}/{container}/logs");
        let texts = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        for values in [["web1", "a"], ["a@b:1", "x/y?z#%41 é\u{1F600}"], ["..", "."]] {
            let uri = logs.uri(&texts(&values)).unwrap();
            assert_eq!(logs.values(&uri), Some(texts(&values)), "{uri}");
            assert!(uri.starts_with("docker://") && uri.is_ascii(), "{uri}");
        }
        assert_eq!(logs.uri(&texts(&["a@b", "x/y"])).as_deref(), Some("docker://a%40b/x%2Fy/logs"));
        let path = template("notes://{+path}");
        assert_eq!(path.uri(&texts(&["a/b c"])).as_deref(), Some("notes://a/b%20c"));
        for values in [&["web1"][..], &["web1", ""], &["web1", "a", "b"], &["web1", "\n"], &["web1", "\u{202e}"]] {
            assert_eq!(logs.uri(&texts(values)), None, "{values:?}");
        }
    }

    #[test]
    fn what_is_no_template_or_has_a_scheme_of_others_is_refused() {
        for (text, says) in [
            ("docker", "has no scheme"),
            ("d://{host}", "has a scheme that is not"),
            ("Docker://{host}", "has a scheme that is not"),
            ("1d://{host}", "has a scheme that is not"),
            ("d d://{host}", "has a scheme that is not"),
            ("{scheme}://{host}", "has a scheme that is not"),
            ("docker://", "has a part that is neither"),
            ("docker://{host}/", "has a part that is neither"),
            ("docker://{host}x", "has a part that is neither"),
            ("docker://{host", "has a part that is neither"),
            ("docker://{}", "has a part that is neither"),
            ("docker://{a,b}", "has a part that is neither"),
            ("docker://{?q}", "has a part that is neither"),
            ("docker://{path*}", "has a part that is neither"),
            ("docker://me@web1", "has a part that is neither"),
            ("docker://%41", "has a part that is neither"),
            ("docker://{host}/{host}", "a variable twice"),
            ("docker://{+path}/logs", "parts behind the last"),
            ("docker://a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "more than 16 parts"),
        ] {
            assert!(UriTemplate::parse(text).is_err_and(|why| why.contains(says)), "{text}");
        }
        for scheme in RESERVED {
            let refused = UriTemplate::parse(&format!("{scheme}://{{host}}"));
            assert!(refused.is_err_and(|why| why.contains("which no plugin may have")), "{scheme}");
        }
        assert!(UriTemplate::parse(&format!("docker://{}", "a".repeat(300))).is_err_and(|why| why.contains("longer")));
    }

    #[test]
    fn templates_are_alike_whose_variables_have_other_names() {
        let alike = |one: &str, other: &str| template(one).is_alike(&template(other));
        assert!(alike("a1://{x}/b", "a1://{y}/b") && alike("a1://{+x}", "a1://{+y}"));
        assert!(
            !alike("a1://{x}/b", "a1://{x}/c") && !alike("a1://{x}", "a2://{x}") && !alike("a1://{x}", "a1://{+x}")
        );
        assert!(template("zfs://{host}/snapshots").rank() < template("zfs://{host}/{pool}").rank());
    }
}
