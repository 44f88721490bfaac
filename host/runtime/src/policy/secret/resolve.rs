//! Where a path leads, as far as its text tells.
//!
//! Owns `.`, `..`, `~`, and the directories that are a root or lead nobody knows where. Knows no list.

use super::list::{ELSEWHERE, ROOTS};
use super::name::Name;
use super::pattern::PathPattern;
use crate::policy::{Refusal, home_relative, quoted};

/// What a `..` behind a name is taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parents {
    /// The directory that the text names: right if no name before it is a link.
    Textual,
    /// Nobody knows.
    Refused,
}

/// Where a home directory may lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// It may be `/`: what is below it counts as below the root too.
    MayBeRoot,
    /// Not there.
    IsElsewhere,
}

/// A path, resolved.
pub(super) struct Resolved<'a> {
    pub(super) names: Vec<Name<'a>>,
    /// How many of the first names could lead to a root; in order, 0 among them.
    roots: Vec<usize>,
    is_below_home: bool,
}

impl<'a> Resolved<'a> {
    pub(super) fn new(is_below_home: bool) -> Self {
        Self { names: Vec::new(), roots: vec![0], is_below_home }
    }

    pub(super) fn push(&mut self, name: Name<'a>) {
        self.names.push(name);
        if ROOTS.iter().any(|root| self.ends_with(root)) {
            self.roots.push(self.names.len());
        }
    }

    /// Where a pattern may begin.
    pub(super) fn starts(&self, pattern: &PathPattern, home: Home) -> impl Iterator<Item = usize> {
        let (roots, others) = match pattern.is_rooted() {
            true => (&self.roots[..], 0..0),
            false => (&[][..], 0..self.names.len()),
        };
        let is_unknown = self.is_below_home && home == Home::IsElsewhere;
        roots.iter().copied().filter(move |at| *at > 0 || !is_unknown).chain(others)
    }

    /// Whether the path could end with these names, the first of them in a root.
    fn ends_with(&self, path: &[&str]) -> bool {
        let Some(start) = self.names.len().checked_sub(path.len()) else { return false };
        let names = self.names.get(start..).unwrap_or_default();
        self.roots.binary_search(&start).is_ok()
            && names.iter().zip(path).all(|(name, expected)| name.meets(expected.as_bytes()))
    }

    fn pop(&mut self) {
        // Above a root is that root; above a home directory, nobody knows what.
        if self.names.is_empty() {
            self.is_below_home = false;
        } else if self.roots.last() != Some(&self.names.len()) {
            self.names.pop();
        }
    }

    /// What to write in place of a path that this is, if no name is a link.
    fn instead(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| String::from_utf8_lossy(name.text())).collect();
        let start = if self.is_below_home { "" } else { "/" };
        format!(
            "the path without `..`: {} if no name before it is a link",
            quoted(&(start.to_owned() + &names.join("/")))
        )
    }
}

/// A path, seen from a directory; without one, from the home directory.
///
/// # Errors
/// What leads nobody knows where, and a NUL byte.
pub(super) fn resolve<'a>(
    directory: Option<&'a [u8]>,
    path: &'a [u8],
    is_glob: bool,
    parents: Parents,
) -> Result<Resolved<'a>, Refusal> {
    let refuse = |why: &str, instead: String| Refusal {
        what: quoted(&String::from_utf8_lossy(path)),
        why: why.to_owned(),
        instead: Some(instead),
    };
    if [directory.unwrap_or_default(), path].iter().any(|bytes| bytes.contains(&0)) {
        return Err(refuse("a path cannot hold a NUL byte", "the path without it".into()));
    }
    let base = directory.filter(|_| !path.starts_with(b"/")).unwrap_or_default();
    let mut resolved = Resolved::new(!path.starts_with(b"/") && !base.starts_with(b"/"));
    let base = split(home_relative(base).unwrap_or(base)).map(|name| (name, false));
    let mut rest = base.chain(split(path).map(|name| (name, is_glob))).peekable();
    // Whether a `..` has led where only a link could tell.
    let mut is_unknown = false;
    while let Some((name, is_glob)) = rest.next() {
        if name == b".." {
            is_unknown |= parents == Parents::Refused;
            resolved.pop();
            continue;
        }
        let name = Name::new(name, is_glob);
        if name.is_wild() && rest.peek().is_some() && name.meets(b"..") {
            return Err(refuse(
                "the glob could match .. and climb out of its directory",
                "a glob that does not begin with a dot".into(),
            ));
        }
        resolved.push(name);
        if is_unknown {
            for (name, is_glob) in rest {
                if name == b".." { resolved.pop() } else { resolved.push(Name::new(name, is_glob)) }
            }
            let why = "`..` leads to where the directory before it truly is, which the text does not tell where that is a link";
            return Err(refuse(why, resolved.instead()));
        }
        if rest.peek().is_some() && ELSEWHERE.iter().any(|link| resolved.ends_with(link)) {
            return Err(refuse(
                "what a process has open, or works in, is not known from the path",
                "the path itself, which readlink or ls -l of the link tells".into(),
            ));
        }
    }
    Ok(resolved)
}

/// The names of a path.
pub(super) fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}
