//! Reading only what truly lies in certain directories, whatever links lead to.
//!
//! Owns the comparison of true paths on the host with the true paths of the directories. A path that leads out of them
//! and a path whose target nobody may know of get the same answer. Does not know who is confined, nor why.

use std::sync::Arc;

use futures_util::future::{join, join_all};

use crate::sftp::shown;
use crate::{Attributes, Call, ErrorKind, Lease, Opened, SshError, TruePath};

/// How many of a path's parents are asked about when it cannot be opened: deeper ones tell enough.
const PARENTS: usize = 64;

/// Directories that a path must truly lie in: in one of each list. Without a list every path lies within.
///
/// A directory is a path as [`Lease::open`] takes it; it may itself be behind a link. One that is not there holds
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// The lists.
    pub roots: Vec<Vec<Vec<u8>>>,
}

/// The same, as the host knows them.
struct TrueRoots(Vec<Vec<Vec<u8>>>);

impl Within {
    /// Whether it lets every path through.
    pub fn is_everything(&self) -> bool {
        self.roots.is_empty()
    }
}

impl TrueRoots {
    fn hold(&self, path: &[u8]) -> bool {
        let below = |root: &Vec<u8>| match path.strip_prefix(root.as_slice()) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"/") || root.ends_with(b"/"),
            None => false,
        };
        self.0.iter().all(|list| list.iter().any(below))
    }
}

impl Lease {
    /// As [`Lease::open_placed`], a file from `offset` on, if what was opened truly lies within. The directories are asked about in
    /// the same round trip.
    ///
    /// # Errors
    /// As [`Lease::open_placed`], Unsupported also without SFTP; Outside if it lies elsewhere, also if it could not be opened there.
    pub async fn open_within(
        &self,
        within: &Within,
        path: &[u8],
        offset: u64,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, TruePath), SshError> {
        let (opened, roots) =
            join(self.open_over_sftp(path, offset, cap, max_entries, call), self.true_roots(within, call)).await;
        self.held(opened, &roots?, path, call).await
    }

    /// As [`Lease::stat_placed`], if it truly lies within.
    ///
    /// # Errors
    /// As [`Lease::open_within`].
    pub async fn stat_within(
        &self,
        within: &Within,
        path: &[u8],
        call: &Call,
    ) -> Result<(Attributes, TruePath), SshError> {
        let (found, roots) = join(self.stat_placed(path, call), self.true_roots(within, call)).await;
        self.held(found, &roots?, path, call).await
    }

    /// What was found, if it lies in the directories.
    async fn held<T>(
        &self,
        found: Result<(T, TruePath), SshError>,
        roots: &TrueRoots,
        path: &[u8],
        call: &Call,
    ) -> Result<(T, TruePath), SshError> {
        match found {
            Ok((_, place)) if !roots.hold(&place.path) => Err(outside(path)),
            Ok(found) => Ok(found),
            Err(error) => Err(self.blame(error, roots, path, call).await),
        }
    }

    /// Where the directories truly lie.
    async fn true_roots(&self, within: &Within, call: &Call) -> Result<TrueRoots, SshError> {
        let aside = aside(call);
        let lists = within.roots.iter().map(|list| join_all(list.iter().map(|root| self.real_path(root, &aside))));
        let mut roots = Vec::new();
        for list in join_all(lists).await {
            let mut there = Vec::new();
            for root in list {
                match root {
                    Ok(root) => there.push(root),
                    Err(error) if is_about_the_path(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            roots.push(there);
        }
        Ok(TrueRoots(roots))
    }

    /// What may be told of a path that could not be opened: an error from elsewhere would tell what is there.
    async fn blame(&self, error: SshError, roots: &TrueRoots, path: &[u8], call: &Call) -> SshError {
        if !is_about_the_path(&error) {
            return error;
        }
        let aside = aside(call);
        let places = join_all(parents(path).map(|parent| self.real_path(parent, &aside))).await;
        call.cost.add_round_trips(1);
        match places.into_iter().flatten().next() {
            Some(deepest) if roots.hold(&deepest) => error,
            Some(_) | None => outside(path),
        }
    }
}

/// The path itself, then its parents, the deepest first.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| parent(path)).take(PARENTS)
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte != b'/')?;
    match path.get(..end)?.iter().rposition(|byte| *byte == b'/') {
        Some(0) => Some(b"/"),
        Some(slash) => path.get(..slash),
        // Relative paths are below the home directory, and above that is nothing that is asked about.
        None => (!path.starts_with(b"~")).then_some(b"~"),
    }
}

/// Whether it says something of the path, which may lie elsewhere, and not of the host or the request.
fn is_about_the_path(error: &SshError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Permission | ErrorKind::NotReadable | ErrorKind::Remote | ErrorKind::Outside
    )
}

fn outside(path: &[u8]) -> SshError {
    let message = format!("`{}` does not lie in the directories that are granted, or leads out of them", shown(path));
    SshError::new(ErrorKind::Outside, message)
}

/// For requests that travel beside others, in the same round trip: it is counted once.
fn aside(call: &Call) -> Call {
    Call { cost: Arc::default(), ..call.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_holds_itself_and_what_is_below_and_nothing_whose_name_only_begins_so() {
        let roots = TrueRoots(vec![vec![b"/var/log".to_vec(), b"/srv".to_vec()], vec![b"/var".to_vec()]]);
        for (path, held) in [
            (&b"/var/log"[..], true),
            (b"/var/log/a/b", true),
            (b"/var/logs", false),
            (b"/var", false),
            (b"/srv/a", false),
            (b"/", false),
        ] {
            assert_eq!(roots.hold(path), held, "{}", String::from_utf8_lossy(path));
        }
        assert!(TrueRoots(vec![vec![b"/".to_vec()]]).hold(b"/etc"));
        assert!(!TrueRoots(vec![vec![]]).hold(b"/etc"), "a list of directories that are not there holds nothing");
        assert!(TrueRoots(Vec::new()).hold(b"/etc"));
    }

    #[test]
    fn the_parents_of_a_path_end_at_the_root_or_the_home_directory() {
        let all = |path: &'static [u8]| {
            parents(path).map(|parent| String::from_utf8_lossy(parent).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(all(b"/a//b/c"), ["/a//b/c", "/a//b", "/a/", "/"]);
        assert_eq!(all(b"/"), ["/"]);
        assert_eq!(all(b"~/a"), ["~/a", "~"]);
        assert_eq!(all(b"~"), ["~"]);
        assert_eq!(all(b"a/b"), ["a/b", "a", "~"]);
        assert_eq!(all(b""), [""]);
        assert_eq!(parents(&b"/x".repeat(1000)).count(), PARENTS);
    }
}
