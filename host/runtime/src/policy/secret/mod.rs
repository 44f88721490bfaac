//! The paths that nobody reads through Scout, whatever the remote account may do.
//!
//! Owns the list, what the operator adds to it and takes away, and what of a path could be on it: a glob that could match, roots other
//! than `/`. What the text of a path tells is resolved elsewhere (`policy/resolve`), and proves nothing: for files the host is asked
//! where one truly lies ([`SecretPaths::check_true_path`]). A program that searches directories (`grep -r`, `rg`, `diff`)
//! is not let into those that hold little but secrets; in one above them it still meets the secret file: no rule about texts can bind it.

mod list;
mod name;
mod pattern;

pub(super) use self::list::{ELSEWHERE, ROOTS};
use self::list::{LISTED, UNOPENED, UNSEARCHED};
pub(super) use self::name::Name;
pub use self::pattern::PathPattern;
use super::resolve::{Home, Resolved};
use super::{Look, PathOperand, Refusal, quoted};

/// The secret paths: Scout's own list and what the operator has said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretPaths {
    added: Vec<Entry>,
    readable: Vec<PathPattern>,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pattern: PathPattern,
    /// What is said of the pattern: what it holds, or where it is written.
    why: String,
    /// What of it may be read all the same, from the same directory on.
    but: Vec<PathPattern>,
}

impl SecretPaths {
    /// Scout's own list, with what is `added`, each with where that is written, and without what is `readable`.
    pub fn new(added: Vec<(PathPattern, String)>, readable: Vec<PathPattern>) -> Self {
        let entry = |(pattern, place)| Entry { pattern, why: format!("stands in {place}"), but: Vec::new() };
        Self { added: added.into_iter().map(entry).collect(), readable }
    }

    /// What was added, as it is written.
    pub(crate) fn added(&self) -> Vec<String> {
        self.added.iter().map(|entry| entry.pattern.to_string()).collect()
    }

    /// What may be read all the same, as it is written.
    pub(crate) fn readable(&self) -> Vec<String> {
        self.readable.iter().map(PathPattern::to_string).collect()
    }

    /// Whether the list forbids to look at a path, as files and directories are named.
    ///
    /// # Errors
    /// Why.
    pub fn check_path(&self, path: &[u8]) -> Result<(), Refusal> {
        self.check(&Resolved::file(path)?, path, false)
    }

    /// The same of the place, absolute and without links, to which a path has led.
    pub(crate) fn check_true_path(&self, path: &[u8], place: &[u8]) -> Result<(), Refusal> {
        match self.find(self.entries(), &Resolved::place(place), Home::MayBeRoot) {
            Some(entry) => Err(refuse(path, format!("leads to what is on the list of secret paths: {entry}"))),
            None => Ok(()),
        }
    }

    /// The same of the directory in which a command runs.
    pub(super) fn check_directory(&self, path: &[u8]) -> Result<(), Refusal> {
        self.check(&Resolved::directory(path)?, path, false)
    }

    /// Whether a path is on the list, whatever may be read of it.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        let all = Self { added: self.added.clone(), readable: Vec::new() };
        all.check_path(path).is_err()
    }

    /// Whether the list forbids a command this operand.
    pub(super) fn check_operand(&self, operand: PathOperand<'_>) -> Result<(), Refusal> {
        let resolved = Resolved::operand(&operand)?;
        self.check(&resolved, operand.path, operand.is_glob)?;
        let could = if operand.is_glob { "could match: " } else { "" };
        let refuse = |entry: &Entry, what: &str, instead: &str| Refusal {
            what: quoted(&String::from_utf8_lossy(operand.path)),
            why: format!("{could}{} {}, and is not {what} here", entry.pattern, entry.why),
            instead: Some(instead.into()),
        };
        if operand.look != Look::Tells
            && let Some(entry) = self.find(UNOPENED.iter(), &resolved, Home::IsElsewhere)
        {
            let instead =
                "ls, stat, find, readlink or lsblk, which only tell of it; /dev/null and /dev/stdin may be read";
            return Err(refuse(entry, "opened", instead));
        }
        if operand.look == Look::Searches
            && let Some(entry) = self.find(UNSEARCHED.iter(), &resolved, Home::IsElsewhere)
        {
            return Err(refuse(entry, "searched", "the single files that are meant"));
        }
        Ok(())
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        LISTED.iter().chain(&self.added)
    }

    fn check(&self, resolved: &Resolved<'_>, path: &[u8], is_glob: bool) -> Result<(), Refusal> {
        match self.find(self.entries(), resolved, Home::MayBeRoot) {
            Some(entry) => Err(refuse(path, format!("{} the list of secret paths: {entry}", verb(is_glob)))),
            None => Ok(()),
        }
    }

    /// The first entry that the path could be on.
    fn find<'e>(
        &self,
        mut entries: impl Iterator<Item = &'e Entry>,
        path: &Resolved<'_>,
        home: Home,
    ) -> Option<&'e Entry> {
        let found = entries.find(|entry| {
            path.starts(&entry.pattern, home).any(|at| {
                entry.pattern.meets(&path.names, at) && !entry.but.iter().any(|but| but.covers(&path.names, at))
            })
        })?;
        let is_readable = |pattern: &PathPattern| {
            let covers = |at| pattern.covers(&path.names, at);
            pattern.is_everything() || path.starts(pattern, Home::IsElsewhere).any(covers)
        };
        (!self.readable.iter().any(is_readable)).then_some(found)
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pattern, self.why)
    }
}

fn verb(is_glob: bool) -> &'static str {
    if is_glob { "could match" } else { "is on" }
}

fn refuse(path: &[u8], why: String) -> Refusal {
    Refusal {
        what: quoted(&String::from_utf8_lossy(path)),
        why,
        instead: Some(
            "another path, or a glob that cannot match it; of a key, the .pub beside it; the operator allows more with \
             `readable_paths` in scout.toml"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests;
