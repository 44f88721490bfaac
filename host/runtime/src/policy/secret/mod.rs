//! The paths that nobody reads through Scout, whatever the remote account may do.
//!
//! Owns the list, what the operator adds to it and takes away, and what of a path could be on it: a glob that could match, roots
//! other than `/`, names of copies. What the text of a path tells is resolved elsewhere (`policy/resolve`), and proves nothing: for
//! files the host is asked where one truly lies ([`SecretPaths::check_true_path`]), and what it holds is looked at
//! ([`SecretPaths::check_content`]). A program that searches directories (`grep -r`, `rg`, `diff`) is not let into those that hold
//! little but secrets; in one above them it still meets the secret file: no rule about texts can bind it.

mod content;
mod devices;
mod index;
mod list;
mod name;
mod pattern;

use scout_machine::RemotePath;

pub(crate) use self::content::LEAD;
use self::content::held_by_content;
pub(super) use self::devices::{ELSEWHERE, PROCESS_ROOTS, ROOTS};
use self::index::{Entry, Form, Found, Index, LISTED, NAMED, UNOPENED, UNREAD, UNSEARCHED};
pub(super) use self::name::Name;
pub use self::pattern::PathPattern;
use super::resolve::{Home, Resolved};
use super::{PathOperand, PathUse, Refusal, quoted};

/// The secret paths: Scout's own list and what the operator has said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretPaths {
    added: Index,
    readable: Vec<PathPattern>,
}

impl SecretPaths {
    /// Scout's own list, with what is `added`, each with where that is written, and without what is `readable`.
    pub fn new(added: Vec<(PathPattern, String)>, readable: Vec<PathPattern>) -> Self {
        let entry = |(pattern, place)| {
            let why = format!("stands in {place}");
            Entry { pattern, why, but: Vec::new(), form: Form::Copies }
        };
        Self { added: Index::new(added.into_iter().map(entry).collect()), readable }
    }

    /// What was added, as it is written.
    pub(crate) fn added(&self) -> Vec<String> {
        self.added.entries().iter().map(|entry| entry.pattern.to_string()).collect()
    }

    /// What may be read all the same, as it is written.
    pub(crate) fn readable(&self) -> Vec<String> {
        self.readable.iter().map(PathPattern::to_string).collect()
    }

    /// Whether the list forbids to look at a path, as files and directories are named.
    ///
    /// # Errors
    /// Why.
    pub fn check_path(&self, path: &RemotePath) -> Result<(), Refusal> {
        self.check(&Resolved::file(path)?, path.bytes(), false, true)
    }

    /// The same of the place, absolute and without links, to which a path has led.
    pub(crate) fn check_true_path(&self, path: &RemotePath, place: &[u8]) -> Result<(), Refusal> {
        match self.find_secret(&Resolved::place(place), true) {
            Some(found) => Err(refuse(path.bytes(), format!("leads to what is on the list of secret paths: {found}"))),
            None => Ok(()),
        }
    }

    /// The same of the directory in which a command runs.
    pub(super) fn check_directory(&self, path: &RemotePath) -> Result<(), Refusal> {
        self.check(&Resolved::directory(path)?, path.bytes(), false, true)
    }

    /// Whether what a file holds forbids to answer with it, at the place to which its path has led. These are all of its
    /// bytes that are answered, with at least [`LEAD`] of those before them.
    pub(crate) fn check_content(&self, path: &RemotePath, place: &[u8], bytes: &[u8]) -> Result<(), Refusal> {
        let Some(holds) = held_by_content(bytes) else { return Ok(()) };
        if self.is_readable(&Resolved::place(place)) {
            return Ok(());
        }
        Err(refuse(path.bytes(), format!("holds {holds}: its content shows that, not its name")))
    }

    /// Whether a path is on the list, whatever may be read of it.
    pub(crate) fn has(&self, path: &RemotePath) -> bool {
        Resolved::file(path).map_or(true, |resolved| self.listed(&resolved, true).is_some())
    }

    /// Whether the list forbids a command this operand.
    pub(super) fn check_operand(&self, operand: PathOperand<'_>) -> Result<(), Refusal> {
        let resolved = Resolved::operand(&operand)?;
        self.check(&resolved, operand.path, operand.is_glob, operand.look != PathUse::Tells)?;
        let could = if operand.is_glob { "could match: " } else { "" };
        let refuse = |found: &Found<'_>, what: &str, instead: &str| Refusal {
            what: quoted(&String::from_utf8_lossy(operand.path)),
            why: format!("{could}{found}, and is not {what} here"),
            instead: Some(instead.into()),
        };
        if operand.look == PathUse::Tells {
            return Ok(());
        }
        if let Some(found) = self.find(&UNOPENED, &resolved, Home::IsElsewhere) {
            let instead =
                "ls, stat, find, readlink or lsblk, which only tell of it; /dev/null and /dev/stdin may be read";
            return Err(refuse(&found, "opened", instead));
        }
        if let Some(found) = self.find(&UNREAD, &resolved, Home::MayBeRoot) {
            let instead = "the file itself by its path, without a command: then what it holds decides, and no key is \
                           answered; ls or stat, which only tell of it";
            return Err(refuse(&found, "opened by commands", instead));
        }
        if operand.look == PathUse::Searches
            && let Some(found) = self.find(&UNSEARCHED, &resolved, Home::IsElsewhere)
        {
            return Err(refuse(&found, "searched", "the single files that are meant"));
        }
        Ok(())
    }

    fn check(&self, resolved: &Resolved<'_>, path: &[u8], is_glob: bool, opens: bool) -> Result<(), Refusal> {
        match self.find_secret(resolved, opens) {
            Some(found) => Err(refuse(path, format!("{} the list of secret paths: {found}", verb(is_glob)))),
            None => Ok(()),
        }
    }

    /// The first secret that the path could be, unless it may be read; of those that are known by their name alone, if it
    /// is opened.
    fn find_secret(&self, path: &Resolved<'_>, opens: bool) -> Option<Found<'_>> {
        self.listed(path, opens).filter(|_| !self.is_readable(path))
    }

    fn listed(&self, path: &Resolved<'_>, opens: bool) -> Option<Found<'_>> {
        let named = || NAMED.find(path, Home::MayBeRoot).filter(|_| opens);
        let listed = LISTED.find(path, Home::MayBeRoot).or_else(named);
        listed.or_else(|| self.added.find(path, Home::MayBeRoot))
    }

    fn find<'e>(&self, index: &'e Index, path: &Resolved<'_>, home: Home) -> Option<Found<'e>> {
        index.find(path, home).filter(|_| !self.is_readable(path))
    }

    /// Whether the operator says that all that the path could be may be read.
    fn is_readable(&self, path: &Resolved<'_>) -> bool {
        self.readable.iter().any(|pattern| {
            pattern.is_everything() || path.starts(pattern, Home::IsElsewhere).any(|at| pattern.covers(&path.names, at))
        })
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
