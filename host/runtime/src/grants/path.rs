//! Directories in which paths must lie.
//!
//! What the text of a path tells is resolved elsewhere (`policy/resolve`), and never proves where a file is: links lead elsewhere. For
//! files the host is asked ([`scout_machine::Within`]); for commands there is nothing but the text.

use scout_machine::{RemotePath, Start};

use crate::policy::resolve::Resolved;

/// A directory: absolute, `~`, or below `~`. Without `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(RemotePath);

impl Root {
    /// A root, if it is one.
    ///
    /// # Errors
    /// What a root looks like.
    pub fn parse(path: &[u8]) -> Result<Self, String> {
        let parsed = RemotePath::parse(path).map_err(|error| error.message().to_owned())?;
        // What is relative reads as if it were relative to something of Scout's.
        if parsed.start() == Start::OtherHome || !path.starts_with(b"/") && !path.starts_with(b"~") {
            return Err("not a directory: absolute, `~`, or `~/` and a path below it".to_owned());
        }
        if parsed.names().any(|name| name == b"..") {
            return Err("a root cannot contain `..`: write where it leads".to_owned());
        }
        Ok(Self(parsed))
    }

    /// The path as it is written.
    pub fn path(&self) -> &RemotePath {
        &self.0
    }

    fn is_everything(&self) -> bool {
        self.0.start() == Start::Root && self.0.names().next().is_none()
    }
}

/// The first of these directories in which a path lies, as far as its text tells. `~` and an absolute path have nothing in common
/// here: whether the one is below the other only the host knows.
pub(super) fn among<'r>(path: &Resolved<'_>, mut roots: impl Iterator<Item = &'r Root>) -> Option<usize> {
    roots.position(|root| root.is_everything() || path.lies_in(&root.0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;
    use crate::policy::{PathOperand, PathUse};

    fn file(path: &str, roots: &[Root]) -> Option<usize> {
        Resolved::file(&RemotePath::parse(path).unwrap()).ok().and_then(|path| among(&path, roots.iter()))
    }

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
            assert_eq!(file(path, &roots), lies, "{path}");
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
            assert_eq!(file(path, &roots), lies, "{path}");
        }
        assert_eq!(file("~/x", &self::roots(&["/"])), Some(0), "everything is below /");
    }

    #[test]
    fn an_operand_is_seen_from_the_commands_directory() {
        let roots = roots(&["/var/log", "~/app"]);
        let lies = |directory: Option<&str>, path: &str, glob| {
            let directory = directory.map(|directory| RemotePath::parse(directory).unwrap());
            let operand = PathOperand {
                directory: directory.as_ref(),
                path: path.as_bytes(),
                is_glob: glob,
                look: PathUse::Tells,
            };
            Resolved::operand(&operand).ok().and_then(|path| among(&path, roots.iter()))
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
        assert_eq!(lies(Some("/"), "/s*v/a", true), None);
    }

    #[test]
    fn what_is_no_root_is_refused() {
        for root in ["", "var/log", "~root", "~root/x", "/var/../etc", "/a\0"] {
            assert!(Root::parse(root.as_bytes()).is_err(), "{root}");
        }
    }
}
