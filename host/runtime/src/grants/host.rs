//! Which hosts a rule names.

use std::sync::Arc;

use super::HostRules;
use super::wild::Wild;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 256;

/// Patterns of names of hosts.
pub(crate) const HOST_NAMES: Wild = Wild { one: true, never: None };

/// `web1`, `web*`, `db?`, `tag:NAME` for all hosts with that tag, or `@NAME` for those of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    of: Of,
}

/// What a pattern is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Name,
    Tag,
    Group,
}

impl HostPattern {
    /// A pattern, if it is one.
    ///
    /// # Errors
    /// What a pattern looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, of) = match (text.strip_prefix("tag:"), text.strip_prefix('@')) {
            (Some(tag), _) => (tag, Of::Tag),
            (None, Some(group)) => (group, Of::Group),
            (None, None) => (text, Of::Name),
        };
        match of {
            Of::Tag if !is_tag_name(text) => {
                return Err("not a tag: 1 to 64 of A-Z a-z 0-9 _ - . behind `tag:`".to_owned());
            }
            Of::Group if !is_tag_name(text) => {
                return Err("not a group: 1 to 64 of A-Z a-z 0-9 _ - . behind `@`".to_owned());
            }
            Of::Tag | Of::Group | Of::Name => {}
        }
        if text.is_empty() || text.len() > MAX_PATTERN || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("not a host, a pattern such as `web*`, a tag such as `tag:prod`, or a group such as `@front`"
                .to_owned());
        }
        Ok(Self { text: text.to_owned(), of })
    }

    /// Whether it names a host of which this is said.
    pub fn matches(&self, host: &str, rules: &HostRules) -> bool {
        let among = |labels: &[Arc<str>]| labels.iter().any(|label| **label == *self.text);
        match self.of {
            Of::Name => self.names(host),
            Of::Tag => among(&rules.tags),
            Of::Group => among(&rules.groups),
        }
    }

    /// Whether it names a host, whatever is said of that: no tag and no group does.
    pub fn names(&self, host: &str) -> bool {
        self.of == Of::Name && HOST_NAMES.matches(self.text.as_bytes(), host.as_bytes())
    }

    /// What every host's name begins with that it matches; nothing for a tag or a group.
    pub fn beginning(&self) -> &str {
        let literal = if self.of == Of::Name { &self.text } else { "" };
        literal.split(['*', '?']).next().unwrap_or_default()
    }

    /// The tag that it names, if it names one.
    pub fn tag(&self) -> Option<&str> {
        (self.of == Of::Tag).then_some(&self.text)
    }

    /// The group that it names, if it names one.
    pub fn group(&self) -> Option<&str> {
        (self.of == Of::Group).then_some(&self.text)
    }

    /// The host that it names, if it names exactly one.
    pub fn host(&self) -> Option<&str> {
        (self.of == Of::Name && !self.text.contains(['*', '?'])).then_some(&self.text)
    }
}

/// Whether a host can have this tag or be in this group: 1 to 64 of `A-Z a-z 0-9 _ - .`.
pub(super) fn is_tag_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_hosts_by_name_by_glob_by_tag_or_by_group() {
        let rules = HostRules { tags: vec!["prod".into()], groups: vec!["front".into()], ..HostRules::default() };
        for (pattern, matches) in [
            ("web1", true),
            ("web*", true),
            ("web?", true),
            ("*", true),
            ("tag:prod", true),
            ("tag:pro", false),
            ("tag:front", false),
            ("@front", true),
            ("@prod", false),
            ("@fron", false),
            ("web", false),
            ("WEB1", false),
            ("prod", false),
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().matches("web1", &rules), matches, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "@", "@a*", "@@a", "tag:", "tag:a*", "tag:a b", "web 1", "web\n", &"x".repeat(300)] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
