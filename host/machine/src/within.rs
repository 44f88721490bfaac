//! What truly lies in certain directories, whatever links lead to.
//!
//! Owns the comparison of true paths on a machine with the true paths of the directories, and what may be told of a path that lies
//! elsewhere: a path that leads out of them and a path whose target nobody may know of get the same answer. Does not know who is
//! confined, nor why.

use crate::path::shown;
use crate::{ErrorKind, HostError, RemotePath};

/// Directories that a path must truly lie in: in one of each list. Without a list every path lies within.
///
/// A directory may itself be behind a link. One that is not there holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// The lists.
    pub roots: Vec<Vec<RemotePath>>,
}

/// The same, as the machine knows them: absolute, without links, and only those that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrueRoots(pub Vec<Vec<Vec<u8>>>);

impl Within {
    /// Whether it lets every path through.
    pub fn is_everything(&self) -> bool {
        self.roots.is_empty()
    }
}

impl TrueRoots {
    /// Whether this absolute path without links lies in one directory of each list.
    pub fn hold(&self, path: &[u8]) -> bool {
        let below = |root: &Vec<u8>| match path.strip_prefix(root.as_slice()) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"/") || root.ends_with(b"/"),
            None => false,
        };
        self.0.iter().all(|list| list.iter().any(below))
    }
}

/// Whether it says something of the path, which may lie elsewhere, and not of the host or the request.
pub fn is_about_the_path(error: &HostError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::Permission | ErrorKind::NotReadable | ErrorKind::Remote | ErrorKind::Outside
    )
}

/// That a path does not lie in them.
pub fn outside(path: &RemotePath) -> HostError {
    let path = shown(path.bytes());
    let message = format!("`{path}` does not lie in the directories that are granted, or leads out of them");
    HostError::new(ErrorKind::Outside, message)
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
}
