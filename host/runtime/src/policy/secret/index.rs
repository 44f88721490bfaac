//! Entries of the list, found by the names of a path.
//!
//! Owns which entries a path is held against: each entry is looked up by the one name of its pattern that tells most, so that
//! a path costs a look-up for each of its names, however long the list is. Only a name that could be several (a glob) is
//! held against all of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::devices::{DEVICES, DIRECTORIES};
use super::list::{NAMES, Row, SECRETS, UNPROVEN};
use super::name::{Name, at_star};
use super::pattern::PathPattern;
use crate::policy::resolve::{Home, Resolved};

/// Names that are in so many patterns that they tell nothing.
const COMMON: [&str; 14] = [
    "etc", "var", "lib", "usr", "run", "proc", "sys", "kernel", "share", "cache", ".config", ".local", "private",
    "conf",
];

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pattern: PathPattern,
    /// What is said of the pattern: what it holds, or where it is written.
    pub(super) why: String,
    /// What of it may be read all the same, from the same directory on.
    pub(super) but: Vec<PathPattern>,
    pub(super) form: Form,
}

/// What beside the pattern itself an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing.
    Exact,
    /// What is called like a copy of it.
    Copies,
    /// The same, and both below any directory if the first name is written out: what begins with a wildcard could be
    /// anything.
    Anywhere,
    /// A name and what is called like a copy of it, in any directory, and of globs those that are meant for it: every `*`
    /// could match it.
    Named,
}

/// How a path is on the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Likeness {
    is_copy: bool,
    is_elsewhere: bool,
}

/// An entry that a path could be on.
pub(super) struct Found<'e> {
    pub(super) entry: &'e Entry,
    likeness: Likeness,
}

impl Entry {
    /// Whether the path from this name on could be on it.
    fn meets(&self, path: &Resolved<'_>, at: usize, home: Home) -> Option<Likeness> {
        let names = path.names.get(at..).filter(|names| self.pattern.fits_in(names.len()))?;
        let is_at_root = path.is_root(at, home);
        let pairs = || self.pattern.names().iter().zip(names);
        let is_first_written =
            pairs().next().is_some_and(|(pattern, name)| !name.is_wild() || pattern.starts_with('.'));
        let may_begin = match (self.form, self.pattern.is_rooted()) {
            (Form::Exact | Form::Copies, is_rooted) => is_at_root || !is_rooted,
            (Form::Anywhere, true) => is_at_root || is_first_written,
            (Form::Anywhere, false) => is_first_written,
            (Form::Named, _) => pairs().all(|(pattern, name)| name.is_aimed_at(pattern.as_bytes())),
        };
        if !may_begin {
            return None;
        }
        let mut is_copy = false;
        // What is one name is compared in no time, and most paths differ in one.
        for wild in [false, true] {
            for (pattern, name) in pairs().filter(|(_, name)| name.plain().is_none() == wild) {
                if !name.meets(pattern.as_bytes()) {
                    is_copy = self.form != Form::Exact && name.copies(pattern.as_bytes());
                    if !is_copy {
                        return None;
                    }
                }
            }
        }
        let is_elsewhere = self.pattern.is_rooted() && !is_at_root;
        (!self.but.iter().any(|but| but.covers(&path.names, at))).then_some(Likeness { is_copy, is_elsewhere })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pattern, self.why)
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Likeness { is_copy, is_elsewhere } = self.likeness;
        match (is_copy, is_elsewhere) {
            (false, false) => return self.entry.fmt(f),
            (true, false) => write!(f, "a copy of {}", self.entry.pattern)?,
            (false, true) => write!(f, "{} below another root", self.entry.pattern)?,
            (true, true) => write!(f, "a copy of {} below another root", self.entry.pattern)?,
        }
        write!(f, ", which {}", self.entry.why)
    }
}

/// Entries in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    keys: Vec<Key>,
    /// Places in `keys`, by a name without a wildcard, in lower case.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
    /// By the first byte before the star of a name, in lower case.
    by_start: HashMap<u8, Vec<usize>>,
    /// By the last byte behind it.
    by_end: HashMap<u8, Vec<usize>>,
    /// What every path is held against.
    everything: Vec<usize>,
}

/// The name of a pattern by which its entry is looked up.
#[derive(Clone, Debug)]
struct Key {
    entry: usize,
    /// Its place in the pattern.
    at: usize,
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Index {}

impl Index {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let mut index = Self::default();
        for (place, entry) in entries.iter().enumerate() {
            let names = entry.pattern.names().iter().enumerate();
            let Some((at, name)) = names.max_by_key(|(_, name)| weight(name)).filter(|(_, name)| *name != "*") else {
                index.everything.push(place);
                continue;
            };
            let (key, name) = (index.keys.len(), name.to_ascii_lowercase().into_bytes());
            index.keys.push(Key { entry: place, at });
            match at_star(&name).map(|(before, behind)| (before.first(), behind.last())) {
                None => index.by_name.entry(name).or_default().push(key),
                Some((Some(first), _)) => index.by_start.entry(*first).or_default().push(key),
                Some((None, Some(last))) => index.by_end.entry(*last).or_default().push(key),
                Some((None, None)) => index.everything.push(place),
            }
        }
        Self { entries, ..index }
    }

    /// In their order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first entry that the path could be on.
    pub(super) fn find(&self, path: &Resolved<'_>, home: Home) -> Option<Found<'_>> {
        let mut first: Option<(usize, Likeness)> = None;
        let mut look = |place: usize, at: usize| {
            let is_earlier = first.is_none_or(|(found, _)| place < found);
            let entry = self.entries.get(place).filter(|_| is_earlier);
            if let Some(likeness) = entry.and_then(|entry| entry.meets(path, at, home)) {
                first = Some((place, likeness));
            }
        };
        for (at, name) in path.names.iter().enumerate() {
            for key in self.keys(name) {
                if let Some(start) = at.checked_sub(key.at) {
                    look(key.entry, start);
                }
            }
        }
        for place in &self.everything {
            (0..path.names.len().max(1)).for_each(|at| look(*place, at));
        }
        let (place, likeness) = first?;
        self.entries.get(place).map(|entry| Found { entry, likeness })
    }

    /// What a name could be the key of.
    fn keys(&self, name: &Name<'_>) -> impl Iterator<Item = &Key> {
        let places = name.plain().into_iter().flatten().flat_map(|text| self.near(text));
        let all = if name.plain().is_none() { &self.keys[..] } else { &[] };
        places.filter_map(|place| self.keys.get(*place)).chain(all)
    }

    fn near(&self, text: &[u8]) -> impl Iterator<Item = &usize> {
        let named = self.by_name.get(text);
        let starting = text.first().and_then(|first| self.by_start.get(first));
        let ending = text.last().and_then(|last| self.by_end.get(last));
        [named, starting, ending].into_iter().flatten().flatten()
    }

    /// How many entries the path is held against.
    #[cfg(test)]
    pub(super) fn cost(&self, path: &Resolved<'_>) -> usize {
        path.names.iter().map(|name| self.keys(name).count()).sum::<usize>() + self.everything.len()
    }
}

/// How much a name of a pattern tells of a path.
fn weight(name: &str) -> usize {
    let literal = name.len() - name.matches('*').count();
    match name.contains('*') {
        _ if COMMON.contains(&name) => 1,
        true => literal,
        // Looked up at once.
        false => 100 + literal,
    }
}

/// [`SECRETS`].
pub(super) static LISTED: LazyLock<Index> = LazyLock::new(|| index(SECRETS, Form::Anywhere));

/// [`NAMES`].
pub(super) static NAMED: LazyLock<Index> = LazyLock::new(|| index(NAMES, Form::Named));

/// [`UNPROVEN`].
pub(super) static UNREAD: LazyLock<Index> = LazyLock::new(|| index(UNPROVEN, Form::Named));

/// [`DEVICES`].
pub(super) static UNOPENED: LazyLock<Index> = LazyLock::new(|| index(DEVICES, Form::Exact));

/// [`DIRECTORIES`], and those of which everything is on the list.
pub(super) static UNSEARCHED: LazyLock<Index> = LazyLock::new(|| {
    let above = SECRETS.iter().flat_map(|(holds, patterns, _)| {
        patterns.iter().filter_map(|pattern| Some(entry(holds, pattern.strip_suffix("/*/**")?, &[], Form::Anywhere)))
    });
    Index::new(entries(DIRECTORIES, Form::Exact).chain(above).collect())
});

fn index(rows: &'static [Row], form: Form) -> Index {
    Index::new(entries(rows, form).collect())
}

fn entries(rows: &'static [Row], form: Form) -> impl Iterator<Item = Entry> {
    rows.iter()
        .flat_map(move |(holds, patterns, but)| patterns.iter().map(move |pattern| entry(holds, pattern, but, form)))
}

fn entry(holds: &str, pattern: &str, but: &[&str], form: Form) -> Entry {
    let but = but.iter().map(|pattern| parsed(pattern)).collect();
    Entry { pattern: parsed(pattern), why: format!("holds {holds}"), but, form }
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test parses them")]
fn parsed(pattern: &str) -> PathPattern {
    PathPattern::parse(pattern).expect("a pattern")
}
