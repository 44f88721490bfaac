//! The names on `Host` lines.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use indexmap::IndexSet;

use super::body::{Body, Included};
use super::parse::Item;
use super::pattern;

/// Names of hosts in order, each once.
#[derive(Clone, Debug, Default)]
pub struct HostNames(IndexSet<Arc<str>, BuildHasherDefault<DefaultHasher>>);

impl HostNames {
    /// Adds a name behind the others; whether it was not there.
    pub fn add(&mut self, name: &str) -> bool {
        !self.0.contains(name) && self.0.insert(name.into())
    }

    /// The name itself, if it is among them.
    pub fn find(&self, name: &str) -> Option<&Arc<str>> {
        self.0.get(name)
    }

    /// How many names are before this one, if it is among them.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.get_index_of(name)
    }

    /// The names from the one with so many before it, in order.
    pub fn from(&self, position: usize) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.iter().skip(position)
    }

    /// All names, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a block's names are no hosts here.
const FDPASS: &str = "ProxyUseFdpass: its program hands an open socket over, which Scout does not take";
const UNWRITABLE: &str = "no target can name it: it holds `/`, blanks or control characters";

/// Whether a name on a `Host` line stands for itself.
pub(super) fn is_literal(name: &str) -> bool {
    !name.contains(['*', '?']) && !name.starts_with('!')
}

fn matches(name: &str, patterns: &[String]) -> bool {
    pattern::matches_list(name, patterns.iter().map(String::as_str))
}

/// Visits the literal names of a file that can match, each with why it is left out, if so: inside an `Include` in a `Host`
/// block, only those of that block.
pub(super) fn literal(body: &Body, around: &[&[String]], visit: &mut impl FnMut(&str, Option<&'static str>)) {
    for block in body.blocks() {
        let fdpass = block.uses_fdpass().then_some(FDPASS);
        let mut found = |name: &str| {
            if around.iter().all(|patterns| matches(name, patterns)) {
                let is_odd = name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
                visit(name, fdpass.or(is_odd.then_some(UNWRITABLE)));
            }
        };
        let mut includes = block.includes().peekable();
        if let (Some(names), None) = (block.plain_names(), includes.peek()) {
            names.for_each(found);
            continue;
        }
        let patterns = block.patterns();
        let patterns = patterns.as_deref();
        // A name matches itself: only what is excluded is asked.
        let excluded = || patterns.unwrap_or_default().iter().filter_map(|pattern| pattern.strip_prefix('!'));
        for name in patterns.unwrap_or_default().iter().filter(|name| is_literal(name)) {
            if !excluded().any(|pattern| pattern::matches(name, pattern)) {
                found(name);
            }
        }
        let around: Vec<&[String]> = around.iter().copied().chain(patterns).collect();
        for file in includes.flat_map(Included::files) {
            literal(file, &around, visit);
        }
    }
}

/// Whether it is a pattern that some names do not fall under.
fn says_something(pattern: &str) -> bool {
    !is_literal(pattern) && !pattern.starts_with('!') && pattern.contains(|c| c != '*' && c != '?')
}

/// Collects the patterns of all blocks.
pub(super) fn patterns(body: &Body, into: &mut Vec<String>) {
    for item in body.items() {
        match item {
            Item::Host(patterns) => into.extend(patterns.iter().filter(|pattern| says_something(pattern)).cloned()),
            Item::Include(included) => included.files().iter().for_each(|file| self::patterns(file, into)),
            Item::Match(..) | Item::BadBlock(..) | Item::Bad(..) => {}
        }
    }
}

/// The pattern that `name` falls under; one that is nothing but `*` and `?` is none.
pub(super) fn pattern_of<'a>(body: &'a Body, name: &str) -> Option<&'a str> {
    body.items().find_map(|item| match item {
        Item::Host(patterns) if matches(name, patterns) => {
            let own = patterns
                .iter()
                .filter(|pattern| says_something(pattern))
                .find(|pattern| pattern::matches(name, pattern));
            own.map(String::as_str)
        }
        Item::Include(included) => included.files().iter().find_map(|file| pattern_of(file, name)),
        _ => None,
    })
}
