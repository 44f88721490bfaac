//! A path as whoever asks has spelled it, parsed once.
//!
//! Owns what a spelling tells by itself: where it begins, its names, how it reads without `~`, whether it may lead to a device. Does not
//! know what the names are: only the machine tells which of them is a link, so `..` stays, and no text proves where a file lies.

use std::fmt;
use std::sync::Arc;

use crate::path::{names, shown};
use crate::{ErrorKind, HostError};

/// The longest path, in bytes: longer than any system's PATH_MAX.
const MAX_PATH: usize = 4096;
/// How many of a path's parents are asked about when it cannot be opened: deeper ones tell enough.
const PARENTS: usize = 64;

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `/`.
    Root,
    /// The home directory: `~`, `~/x`, and what does not begin with `/`.
    Home,
    /// Another account's home: `~name`, `~name/x`.
    OtherHome,
}

/// A path on a machine, as it was asked for. Bytes, since file systems know no encoding. Cheap to clone; two are equal if they are
/// spelled equally.
///
/// ```
/// use scout_machine::{RemotePath, Start};
///
/// let path = RemotePath::parse("~/log//../app/x")?;
/// assert_eq!(path.start(), Start::Home);
/// assert!(path.names().eq([&b"log"[..], b"..", b"app", b"x"]));
/// assert_eq!(path.plain(), b"log//../app/x");
/// # Ok::<(), scout_machine::HostError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RemotePath {
    bytes: Arc<[u8]>,
    start: Start,
    /// Where what is below the start begins.
    below: usize,
    is_guarded: bool,
}

impl RemotePath {
    /// Reads a path.
    ///
    /// # Errors
    /// Invalid for one with a NUL byte or of more than 4096 bytes. No retry helps.
    pub fn parse(path: impl AsRef<[u8]>) -> Result<Self, HostError> {
        let path = path.as_ref();
        if path.contains(&0) {
            return Err(HostError::new(ErrorKind::Invalid, "a path holds a NUL byte"));
        }
        if path.len() > MAX_PATH {
            return Err(HostError::new(ErrorKind::Invalid, format!("a path is longer than {MAX_PATH} bytes")));
        }
        Ok(Self::of(path))
    }

    /// The home directory.
    pub fn home() -> Self {
        Self::of(b"~")
    }

    fn of(path: &[u8]) -> Self {
        let end_of_first = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
        let (start, below) = match path.first() {
            Some(b'/') => (Start::Root, 0),
            Some(b'~') if end_of_first > 1 => (Start::OtherHome, end_of_first),
            Some(b'~') => {
                let slashes = path.iter().skip(1).take_while(|byte| **byte == b'/').count();
                (Start::Home, 1 + slashes)
            }
            _ => (Start::Home, 0),
        };
        let is_guarded = is_guarded(start, path.get(below..).unwrap_or_default());
        Self { bytes: path.into(), start, below, is_guarded }
    }

    /// The path as it was given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where it begins.
    pub fn start(&self) -> Start {
        self.start
    }

    /// Its names below the start, without `.` and what is empty; each `..` is one of them.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        names(self.below())
    }

    /// The path for whoever knows no `~`, as SFTP does not: absolute, or relative to the home directory, which is `.` itself. Another
    /// account's home cannot be said so, and stays as it is written.
    pub fn plain(&self) -> &[u8] {
        match self.start {
            Start::Root | Start::OtherHome => &self.bytes,
            Start::Home if self.below().is_empty() => b".",
            Start::Home => self.below(),
        }
    }

    /// `~name` and what follows it, if it begins at another account's home.
    pub fn other_home(&self) -> Option<(&[u8], &[u8])> {
        self.bytes.split_at_checked(self.below).filter(|_| self.start == Start::OtherHome)
    }

    /// Whether it may name a device or a file that blocks: as it is spelled, it lies below /dev, /proc or /sys, or leads above a home
    /// directory.
    pub fn is_guarded(&self) -> bool {
        self.is_guarded
    }

    /// The path itself, then its parents as they are spelled, the deepest first, as far as where it begins; 64 of them at most.
    pub fn parents(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(Some(self.clone()), Self::parent).take(PARENTS)
    }

    fn parent(&self) -> Option<Self> {
        let end = self.bytes.iter().rposition(|byte| *byte != b'/')?;
        match self.bytes.get(..end)?.iter().rposition(|byte| *byte == b'/') {
            Some(0) => Some(Self::of(b"/")),
            Some(slash) => self.bytes.get(..slash).map(Self::of),
            // Above where it begins is nothing that is asked about.
            None => (!self.bytes.starts_with(b"~")).then(Self::home),
        }
    }

    fn below(&self) -> &[u8] {
        self.bytes.get(self.below..).unwrap_or_default()
    }
}

impl AsRef<[u8]> for RemotePath {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", shown(&self.bytes))
    }
}

/// Counts names instead of keeping them: every operation parses a path.
fn is_guarded(start: Start, below: &[u8]) -> bool {
    let (mut depth, mut is_device) = (0_usize, false);
    for name in names(below) {
        match (name, depth) {
            (b"..", 0) if start != Start::Root => return true,
            (b"..", _) => depth = depth.saturating_sub(1),
            (name, _) => {
                if depth == 0 {
                    is_device = matches!(name, b"dev" | b"proc" | b"sys");
                }
                depth += 1;
            }
        }
    }
    start == Start::Root && depth > 0 && is_device
}

#[cfg(test)]
mod spellings;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::spellings::{NO_PATHS, SPELLINGS};
    use super::*;

    #[test]
    fn a_spelling_tells_where_it_begins_its_names_how_it_reads_without_a_tilde_and_whether_it_may_be_a_device() {
        for (path, start, plain, names, is_guarded, _, _) in SPELLINGS {
            let parsed = RemotePath::parse(path).unwrap();
            assert_eq!(parsed.bytes(), *path, "as it was given");
            assert_eq!((parsed.start(), parsed.plain()), (*start, *plain), "{parsed:?}");
            assert_eq!(parsed.names().collect::<Vec<_>>().join(&b'/'), *names, "{parsed:?}");
            assert_eq!(parsed.is_guarded(), *is_guarded, "{parsed:?}");
            let other_home = parsed.other_home().map(|(home, rest)| [home, rest].concat());
            assert_eq!(other_home, (*start == Start::OtherHome).then(|| path.to_vec()), "{parsed:?}");
        }
    }

    #[test]
    fn what_reads_without_a_tilde_is_the_same_path() {
        for (path, ..) in SPELLINGS {
            let parsed = RemotePath::parse(path).unwrap();
            // What begins with `~` there is a name, which SFTP takes as it is.
            let prefix: &[u8] = if parsed.start() == Start::Home { b"./" } else { b"" };
            let again = RemotePath::parse([prefix, parsed.plain()].concat()).unwrap();
            assert!(again.names().eq(parsed.names()) && again.start() == parsed.start(), "{parsed:?} {again:?}");
            assert_eq!(again.is_guarded(), parsed.is_guarded(), "{parsed:?} {again:?}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (path, message) in NO_PATHS {
            let error = RemotePath::parse(path).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, *message));
        }
        assert!(RemotePath::parse([b'x'; MAX_PATH]).is_ok());
    }

    #[test]
    fn the_parents_of_a_path_end_where_it_begins() {
        let all = |path: &str| {
            let parents = RemotePath::parse(path).unwrap().parents();
            parents.map(|parent| String::from_utf8_lossy(parent.bytes()).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(all("/a//b/c"), ["/a//b/c", "/a//b", "/a/", "/"]);
        assert_eq!(all("/"), ["/"]);
        assert_eq!(all("~/a"), ["~/a", "~"]);
        assert_eq!(all("~"), ["~"]);
        assert_eq!(all("~root/a"), ["~root/a", "~root"]);
        assert_eq!(all("a/b"), ["a/b", "a", "~"]);
        assert_eq!(all("./~a"), ["./~a", ".", "~"]);
        assert_eq!(all(""), [""]);
        assert_eq!(RemotePath::parse("/x".repeat(1000)).unwrap().parents().count(), PARENTS);
        for (path, start, ..) in SPELLINGS {
            let parents = RemotePath::parse(path).unwrap().parents();
            assert!(parents.map(|parent| parent.start()).all(|at| at == *start), "{path:?}");
        }
    }
}
