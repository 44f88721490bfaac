//! Directories in which paths must lie, and what the text of a path tells of that.
//!
//! Text alone never proves where a file is: links lead elsewhere. For files the host is asked ([`scout_ssh::Within`]);
//! for commands there is nothing but the text, and a `..` lies nowhere.

/// The longest root, in bytes: longer than any system's PATH_MAX.
const MAX_ROOT: usize = 4096;

/// A directory: absolute, `~`, or below `~`. Without `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    path: Vec<u8>,
    start: Start,
    names: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Root,
    Home,
}

/// A path as far as its text tells: `.` and `..` resolved, as if there were no links.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lexical<'a> {
    /// `None`: another account's home, somewhere above the own one, what a glob may climb to, or what only links tell.
    start: Option<Start>,
    names: Vec<&'a [u8]>,
}

/// What a `..` tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parents {
    /// The directory that the text names, as long as the host is asked where that truly is.
    Textual,
    /// Nothing: a name before it may be a link.
    Unknown,
}

impl Root {
    /// A root, if it is one.
    ///
    /// # Errors
    /// What a root looks like.
    pub fn parse(path: &[u8]) -> Result<Self, String> {
        let (start, below) = match path {
            b"~" => (Start::Home, &[][..]),
            _ => match (path.strip_prefix(b"~/"), path.strip_prefix(b"/")) {
                (Some(below), _) => (Start::Home, below),
                (None, Some(below)) => (Start::Root, below),
                (None, None) => return Err("not a directory: absolute, `~`, or `~/` and a path below it".to_owned()),
            },
        };
        let names: Vec<Vec<u8>> = names(below).map(<[u8]>::to_vec).collect();
        if names.iter().any(|name| name == b"..") {
            return Err("`..` stands in no root: write where it leads".to_owned());
        }
        if path.contains(&0) || path.len() > MAX_ROOT {
            return Err(format!("a root has at most {MAX_ROOT} bytes, and no NUL"));
        }
        Ok(Self { path: path.to_vec(), start, names })
    }

    /// The path as it is written.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    fn is_everything(&self) -> bool {
        self.start == Start::Root && self.names.is_empty()
    }
}

impl<'a> Lexical<'a> {
    /// A path as `files` takes it.
    pub(crate) fn file(path: &'a [u8]) -> Self {
        Self::begin(path, Parents::Textual)
    }

    fn begin(path: &'a [u8], parents: Parents) -> Self {
        let (start, below) = match (path, path.first()) {
            (b"~", _) => (Some(Start::Home), &[][..]),
            (_, Some(b'/')) => (Some(Start::Root), path),
            (_, Some(b'~')) => match path.strip_prefix(b"~/") {
                Some(below) => (Some(Start::Home), below),
                None => (None, path),
            },
            _ => (Some(Start::Home), path),
        };
        let mut lexical = Self { start, names: Vec::new() };
        lexical.enter(below, false, parents);
        lexical
    }

    /// An operand of a command that runs in this directory. Quoted as it is, a `~` in it is a name.
    pub(crate) fn operand(directory: Option<&'a [u8]>, path: &'a [u8], is_glob: bool) -> Self {
        let mut lexical = if path.starts_with(b"/") {
            Self { start: Some(Start::Root), names: Vec::new() }
        } else {
            Self::begin(directory.unwrap_or(b"~"), Parents::Unknown)
        };
        lexical.enter(path, is_glob, Parents::Unknown);
        lexical
    }

    fn enter(&mut self, path: &'a [u8], is_glob: bool, parents: Parents) {
        for name in names(path) {
            // In some shells `.*` matches `..` too.
            let may_climb = is_glob && name.starts_with(b".") && name.iter().any(|byte| b"*?[".contains(byte));
            if name != b".." && !may_climb {
                self.names.push(name);
            } else if may_climb
                || parents == Parents::Unknown
                || self.names.pop().is_none() && self.start != Some(Start::Root)
            {
                self.start = None;
            }
        }
    }

    /// The first of these directories in which it lies. `~` and an absolute path have nothing in common here: whether the
    /// one is below the other only the host knows.
    pub(crate) fn among<'r>(&self, mut roots: impl Iterator<Item = &'r Root>) -> Option<usize> {
        roots.position(|root| {
            let below = || self.names.get(..root.names.len()).is_some_and(|names| names == root.names);
            root.is_everything() || self.start == Some(root.start) && below()
        })
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn roots(roots: &[&str]) -> Vec<Root> {
        roots.iter().map(|root| Root::parse(root.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn a_path_lies_where_its_text_leads() {
        let roots = roots(&["/var/log", "/srv/app/"]);
        for (path, lies) in [
            ("/var/log", Some(0)),
            ("/var/log/a", Some(0)),
            ("//var/./log//a", Some(0)),
            ("/srv/app/x/..", Some(1)),
            ("/nowhere/../var/log", Some(0)),
            ("/../var/log", Some(0)),
            ("/var/logs", None),
            ("/var", None),
            ("/var/log/../x", None),
            ("/var/log/../../etc/passwd", None),
            ("/srv/log", None),
            ("x", None),
            ("~/x", None),
            ("~root/x", None),
            ("", None),
        ] {
            assert_eq!(Lexical::file(path.as_bytes()).among(roots.iter()), lies, "{path}");
        }
    }

    #[test]
    fn the_home_directory_is_a_start_of_its_own() {
        let roots = roots(&["~/app"]);
        for (path, lies) in [
            ("~/app/x", Some(0)),
            ("app/x", Some(0)),
            ("./app", Some(0)),
            ("~/x/../app", Some(0)),
            ("~", None),
            ("~/appendix", None),
            ("~/app/..", None),
            ("../me/app", None),
            ("~/../me/app", None),
            ("~me/app", None),
            ("/home/me/app", None),
        ] {
            assert_eq!(Lexical::file(path.as_bytes()).among(roots.iter()), lies, "{path}");
        }
        assert_eq!(Lexical::file(b"~/x").among(self::roots(&["/"]).iter()), Some(0), "everything is below /");
    }

    #[test]
    fn an_operand_is_seen_from_the_commands_directory() {
        let roots = roots(&["/var/log", "~/app"]);
        let lies = |directory: Option<&str>, path: &str, glob| {
            Lexical::operand(directory.map(str::as_bytes), path.as_bytes(), glob).among(roots.iter())
        };
        assert_eq!(lies(Some("/var/log"), "a", false), Some(0));
        assert_eq!(lies(Some("/var/log"), "../a", false), None);
        // Behind a link `..` leads elsewhere: /var/log/x/.. need not be /var/log.
        for path in ["/var/log/x/../a", "/var/log/..", "/var/log/x/.."] {
            assert_eq!(lies(None, path, false), None, "{path}");
        }
        assert_eq!(lies(Some("/var/log/x/.."), "a", false), None);
        assert_eq!(lies(Some("/var/log/x"), "../a", false), None);
        assert_eq!(lies(Some("/var"), "log/a", false), Some(0));
        assert_eq!(lies(Some("~/app"), "a", false), Some(1));
        assert_eq!(lies(None, "app", false), Some(1));
        // No shell expands it: it is a directory of this name.
        assert_eq!(lies(None, "~/app", false), None);
        assert_eq!(lies(Some("/var/log"), "~/app", false), Some(0));
        assert_eq!(lies(Some("/"), "/var/log/*", true), Some(0));
        assert_eq!(lies(Some("/"), "/var/log/.*", true), None);
        assert_eq!(lies(Some("/"), "/var/*/a", true), None);
    }

    #[test]
    fn what_is_no_root_is_refused() {
        for root in ["", "var/log", "~root", "~root/x", "/var/../etc", "/a\0"] {
            assert!(Root::parse(root.as_bytes()).is_err(), "{root}");
        }
    }
}
