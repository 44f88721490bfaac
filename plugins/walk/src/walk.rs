//! A walk below a directory, level by level: all directories of a level are listed at once, so that a level costs a round trip.
//!
//! Symbolic links are told and not followed, so that no walk is endless.

use std::cmp::Ordering;

use scout_plugin::files::{self, Place};
use scout_plugin::{Attributes, DirEntry, Error, ErrorKind, FileKind};

/// What lists directories.
pub(crate) trait Directories {
    /// Lists them all, in the order given.
    fn list(&self, paths: &[Vec<u8>]) -> Result<Vec<Result<Listed, Error>>, Error>;
}

/// A directory's entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) entries: Vec<DirEntry>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
}

/// The directories of a host.
pub(crate) struct OnHost<'a>(pub(crate) &'a str);

impl Directories for OnHost<'_> {
    fn list(&self, paths: &[Vec<u8>]) -> Result<Vec<Result<Listed, Error>>, Error> {
        let places: Vec<Place> =
            paths.iter().map(|path| Place { host: self.0.to_owned(), path: path.clone() }).collect();
        let listed = files::open_each(&places, 0)?.into_iter().zip(paths).map(|(opened, path)| {
            let entry = opened?;
            match entry.attributes().kind {
                FileKind::Directory => Ok(Listed { entries: entry.entries(), is_cut: entry.truncated() }),
                _ => {
                    let message = format!("`{}` on {} is not a directory", String::from_utf8_lossy(path), self.0);
                    Err(Error::new(ErrorKind::Invalid, message))
                }
            }
        });
        Ok(listed.collect())
    }
}

/// Something below the directory.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Below the directory, without a slash at either end.
    pub(crate) path: Vec<u8>,
    /// How many directories lie between, and one.
    pub(crate) depth: u64,
    pub(crate) attributes: Attributes,
}

impl Node {
    /// The last part of its path.
    pub(crate) fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }
}

/// What a walk saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    /// In the order of their paths, part by part: what lies in a directory follows it.
    pub(crate) nodes: Vec<Node>,
    /// Directories that could not be listed, and why.
    pub(crate) unseen: Vec<(Vec<u8>, Error)>,
    /// Why there may be more than was seen, in words; empty if all was.
    pub(crate) left_out: Vec<String>,
    /// Whether a listing, or the walk, ended before all was seen at the levels that were asked for.
    pub(crate) is_cut: bool,
}

/// Directories that are listed at once.
const AT_ONCE: usize = 500;
/// Directories of one walk: each takes some of the calls that a plugin may make.
const DIRECTORIES: usize = 2_000;

/// Sees what lies below a directory, so many levels and so many entries at most.
///
/// # Errors
/// Why the directory itself cannot be listed.
pub(crate) fn walk(directories: &impl Directories, root: &[u8], depth: u64, most: usize) -> Result<Walk, Error> {
    let mut walk = Walk::default();
    let (mut level, mut listed_so_far) = (vec![Vec::new()], 0);
    for number in 1..=depth {
        let mut next = Vec::new();
        let room = DIRECTORIES.saturating_sub(listed_so_far);
        if level.len() > room {
            walk.is_cut = true;
            walk.left_out.push(format!("more than {DIRECTORIES} directories: level {number} was not seen to its end"));
            level.truncate(room);
        }
        listed_so_far += level.len();
        for paths in level.chunks(AT_ONCE) {
            let asked: Vec<Vec<u8>> = paths.iter().map(|path| below(root, path)).collect();
            for (path, listed) in paths.iter().zip(directories.list(&asked)?) {
                match listed {
                    Ok(listed) => walk.take(path, number, listed, &mut next),
                    Err(error) if path.is_empty() => return Err(error),
                    Err(error) => walk.unseen.push((path.clone(), error)),
                }
            }
            if walk.nodes.len() > most {
                walk.is_cut = true;
                walk.left_out.push(format!("more than {most} entries: level {number} was not seen to its end"));
                walk.nodes.truncate(most);
                next.clear();
                break;
            }
        }
        level = next;
        if level.is_empty() {
            break;
        }
    }
    if !level.is_empty() {
        let directories = scout_plugin::text::count(level.len() as u64, "directory", "directories");
        walk.left_out.push(format!("{directories} below level {depth} not looked into"));
    }
    walk.sort();
    Ok(walk)
}

/// A path below another.
pub(crate) fn below(root: &[u8], path: &[u8]) -> Vec<u8> {
    match path {
        [] => root.to_vec(),
        _ if root.ends_with(b"/") => [root, path].concat(),
        _ => [root, b"/", path].concat(),
    }
}

/// Paths are compared part by part, so that what lies in a directory follows it at once.
pub(crate) fn order(one: &[u8], other: &[u8]) -> Ordering {
    let slash = |byte: &u8| *byte == b'/';
    one.split(slash).cmp(other.split(slash))
}

impl Walk {
    /// Leaves out what takes more than so many bytes to be written, from the end.
    pub(crate) fn fit(&mut self, most: usize) {
        let mut written = 0;
        let fits = self.nodes.iter().take_while(|node| {
            written += 2 * scout_plugin::text::written(&node.path);
            written <= most
        });
        let fits = fits.count();
        if fits < self.nodes.len() {
            self.left_out.push(format!("the first {fits} of {} entries: their names are long", self.nodes.len()));
            self.nodes.truncate(fits);
        }
    }

    /// Puts the nodes in the order of their paths.
    pub(crate) fn sort(&mut self) {
        self.nodes.sort_unstable_by(|one, other| order(&one.path, &other.path));
    }

    fn take(&mut self, directory: &[u8], depth: u64, mut listed: Listed, next: &mut Vec<Vec<u8>>) {
        // Of what is cut the first ones stay.
        listed.entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for entry in listed.entries {
            // A server that is hostile could name a place elsewhere.
            if entry.name.is_empty() || entry.name.contains(&b'/') || entry.name == b"." || entry.name == b".." {
                continue;
            }
            let path = if directory.is_empty() { entry.name } else { below(directory, &entry.name) };
            if entry.attributes.kind == FileKind::Directory {
                next.push(path.clone());
            }
            self.nodes.push(Node { path, depth, attributes: entry.attributes });
        }
        if listed.is_cut {
            self.is_cut = true;
            let shown = String::from_utf8_lossy(directory).into_owned();
            self.left_out
                .push(format!("`{}` holds more than were asked for", if shown.is_empty() { "." } else { &shown }));
        }
    }

    /// What was not seen, in words: at most a few of the directories by name.
    pub(crate) fn notes(&self) -> Vec<String> {
        const NAMED: usize = 5;
        let mut notes = self.left_out.clone();
        let named = self.unseen.iter().take(NAMED).map(|(path, error)| {
            format!("`{}` not seen: {}", scout_plugin::text::one_line(&String::from_utf8_lossy(path)), error.message)
        });
        notes.extend(named);
        if self.unseen.len() > NAMED {
            notes.push(format!("and {} more directories not seen", self.unseen.len() - NAMED));
        }
        notes
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use scout_plugin::{Attributes, DirEntry, Error, ErrorKind, FileKind};

    use super::{DIRECTORIES, Directories, Listed, walk};

    /// Directories by path, and how often they were asked.
    #[derive(Default)]
    pub(crate) struct Faked {
        pub(crate) directories: BTreeMap<Vec<u8>, Listed>,
        pub(crate) rounds: Cell<usize>,
    }

    pub(crate) fn entry(name: &[u8], kind: FileKind, size: u64) -> DirEntry {
        let attributes = Attributes {
            kind,
            size: Some(size),
            mode: None,
            uid: Some(0),
            gid: Some(0),
            links: None,
            modified: Some(1_700_000_000),
        };
        DirEntry { name: name.to_vec(), attributes }
    }

    impl Faked {
        /// Of paths: those that end in a slash are directories, those that end in `@` links.
        pub(crate) fn new(root: &str, paths: &[&str]) -> Self {
            let mut faked = Self::default();
            faked.directories.insert(root.into(), Listed::default());
            for path in paths {
                let (path, kind) = match (path.strip_suffix('/'), path.strip_suffix('@')) {
                    (Some(path), _) => (path, FileKind::Directory),
                    (None, Some(path)) => (path, FileKind::Symlink),
                    (None, None) => (*path, FileKind::File),
                };
                let (directory, name) = path
                    .rsplit_once('/')
                    .map_or((root.to_owned(), path), |(directory, name)| (format!("{root}/{directory}"), name));
                let size = path.len() as u64;
                faked.directories.entry(directory.into_bytes()).or_default().entries.push(entry(
                    name.as_bytes(),
                    kind,
                    size,
                ));
                if kind == FileKind::Directory {
                    faked.directories.entry(format!("{root}/{path}").into_bytes()).or_default();
                }
            }
            faked
        }
    }

    impl Directories for Faked {
        fn list(&self, paths: &[Vec<u8>]) -> Result<Vec<Result<Listed, Error>>, Error> {
            self.rounds.set(self.rounds.get() + 1);
            let none = || Error::new(ErrorKind::Permission, "not yours");
            Ok(paths.iter().map(|path| self.directories.get(path).cloned().ok_or_else(none)).collect())
        }
    }

    fn paths(faked: &Faked, depth: u64, most: usize) -> (Vec<String>, Vec<String>, usize) {
        faked.rounds.set(0);
        let walk = walk(faked, b"/srv", depth, most).expect("the root is there");
        let paths = walk.nodes.iter().map(|node| String::from_utf8_lossy(&node.path).into_owned());
        (paths.collect(), walk.notes(), faked.rounds.get())
    }

    #[test]
    fn a_level_is_a_round_and_links_are_not_followed() {
        let faked = Faked::new("/srv", &["b/", "b/x", "a/", "a-b", "a/z/", "a/z/deep", "loop@"]);
        let (all, notes, rounds) = paths(&faked, 9, 99);
        assert_eq!(all, ["a", "a/z", "a/z/deep", "a-b", "b", "b/x", "loop"]);
        assert_eq!((notes.len(), rounds), (0, 3));
        let (two, notes, rounds) = paths(&faked, 2, 99);
        assert_eq!((two.len(), rounds), (6, 2));
        assert_eq!(notes, ["1 directory below level 2 not looked into"]);
    }

    #[test]
    fn what_is_not_seen_is_told() {
        let mut faked = Faked::new("/srv", &["a/", "b/", "c"]);
        faked.directories.remove(&b"/srv/b"[..]);
        if let Some(listed) = faked.directories.get_mut(&b"/srv/a"[..]) {
            listed.is_cut = true;
        }
        let (_, notes, _) = paths(&faked, 9, 99);
        assert_eq!(notes, ["`a` holds more than were asked for", "`b` not seen: not yours"]);
        let (some, notes, _) = paths(&faked, 9, 2);
        assert_eq!((some.len(), notes.len()), (2, 1), "{notes:?}");
        assert!(walk(&faked, b"/none", 9, 9).is_err());
    }

    #[test]
    fn a_walk_lists_a_bounded_number_of_directories() {
        let names: Vec<String> = (0..DIRECTORIES + 9).map(|n| format!("d{n}/")).collect();
        let faked = Faked::new("/srv", &names.iter().map(String::as_str).collect::<Vec<_>>());
        let walk = walk(&faked, b"/srv", 9, 99_999).expect("the root is there");
        assert!(walk.is_cut && walk.nodes.len() == DIRECTORIES + 9);
        assert_eq!(walk.left_out, ["more than 2000 directories: level 2 was not seen to its end"]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_left_out() {
        let mut faked = Faked::new("/srv", &["a"]);
        if let Some(listed) = faked.directories.get_mut(&b"/srv"[..]) {
            let names: [&[u8]; 5] = [b"..", b".", b"", b"../etc", b"x/y"];
            listed.entries.extend(names.map(|name| entry(name, FileKind::Directory, 0)));
        }
        assert_eq!(paths(&faked, 9, 99).0, ["a"]);
    }
}
