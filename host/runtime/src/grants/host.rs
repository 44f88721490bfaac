//! Which hosts a rule names.

use std::sync::Arc;

use super::wild::Wild;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 256;

/// Patterns of names of hosts.
pub(crate) const HOST_NAMES: Wild = Wild { one: true, never: None };

/// `web1`, `web*`, `db?`, or `tag:NAME` for all hosts with that tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    is_tag: bool,
}

impl HostPattern {
    /// A pattern, if it is one.
    ///
    /// # Errors
    /// What a pattern looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, is_tag) = match text.strip_prefix("tag:") {
            Some(tag) => (tag, true),
            None => (text, false),
        };
        if is_tag && !is_tag_name(text) {
            return Err("not a tag: 1 to 64 of A-Z a-z 0-9 _ - . behind `tag:`".to_owned());
        }
        if text.is_empty() || text.len() > MAX_PATTERN || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("not a host, a pattern such as `web*`, or a tag such as `tag:prod`".to_owned());
        }
        Ok(Self { text: text.to_owned(), is_tag })
    }

    /// Whether it names a host with these tags.
    pub fn matches(&self, host: &str, tags: &[Arc<str>]) -> bool {
        if self.is_tag {
            return tags.iter().any(|tag| **tag == *self.text);
        }
        HOST_NAMES.matches(self.text.as_bytes(), host.as_bytes())
    }

    /// What every host's name begins with that it matches; nothing for a tag.
    pub fn beginning(&self) -> &str {
        let literal = if self.is_tag { "" } else { &self.text };
        literal.split(['*', '?']).next().unwrap_or_default()
    }

    /// The tag that it names, if it names one.
    pub fn tag(&self) -> Option<&str> {
        self.is_tag.then_some(&self.text)
    }

    /// The host that it names, if it names exactly one.
    pub fn host(&self) -> Option<&str> {
        (!self.is_tag && !self.text.contains(['*', '?'])).then_some(&self.text)
    }
}

/// Whether a host can have this tag: 1 to 64 of `A-Z a-z 0-9 _ - .`.
pub(super) fn is_tag_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_hosts_by_name_by_glob_or_by_tag() {
        let tags: [Arc<str>; 1] = ["prod".into()];
        for (pattern, matches) in [
            ("web1", true),
            ("web*", true),
            ("web?", true),
            ("*", true),
            ("tag:prod", true),
            ("tag:pro", false),
            ("web", false),
            ("WEB1", false),
            ("prod", false),
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().matches("web1", &tags), matches, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "tag:", "tag:a*", "tag:a b", "web 1", "web\n", &"x".repeat(300)] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
