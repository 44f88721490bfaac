//! Where a path leads, as far as its text tells: the one answer that grants, the list of secret paths and the table of commands go by.
//!
//! Owns `.`, `..`, `~`, and the directories that are a root or lead nobody knows where. **Text never proves where a file is**, for
//! links lead elsewhere. The host of a file is asked where that truly lies, so that its text is only held first, and `..` taken as it
//! is written. Nobody is asked about a command's paths: there a `..` leads nowhere, be it the last name, and so does a glob that could
//! match one. Knows no list and no root.

use scout_machine::path::names;
use scout_machine::{RemotePath, Start};

use super::secret::{ELSEWHERE, Name, PROCESS_ROOTS, PathPattern, ROOTS};
use super::{PathOperand, Refusal, quoted};

/// What a `..` behind a name is taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parents {
    /// The directory that the text names: the host is asked whether that is right.
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
pub(crate) struct Resolved<'a> {
    /// Absent: somewhere above a home directory.
    start: Option<Start>,
    pub(super) names: Vec<Name<'a>>,
    /// How many of the first names could lead to a root; in order, 0 among them.
    roots: Vec<usize>,
}

impl<'a> Resolved<'a> {
    /// A path as files and directories are named.
    ///
    /// # Errors
    /// What leads nobody knows where, whatever its host says.
    pub(crate) fn file(path: &'a RemotePath) -> Result<Self, Refusal> {
        resolve(Some(path), b"", false, Parents::Textual)
    }

    /// The directory in which a command runs.
    ///
    /// # Errors
    /// As [`operand`](Self::operand).
    pub(super) fn directory(path: &'a RemotePath) -> Result<Self, Refusal> {
        resolve(Some(path), b"", false, Parents::Refused)
    }

    /// A path that a command names. Quoted as it is, a `~` in it is a name.
    ///
    /// # Errors
    /// What leads nobody knows where, a `..` among that, and a NUL byte.
    pub(crate) fn operand(operand: &PathOperand<'a>) -> Result<Self, Refusal> {
        resolve(operand.directory, operand.path, operand.is_glob, Parents::Refused)
    }

    /// The place, absolute and without links, to which a path has led.
    pub(super) fn place(path: &'a [u8]) -> Self {
        let mut resolved = Self::new(Start::Root);
        names(path).for_each(|name| resolved.push(Name::new(name, false)));
        resolved
    }

    fn new(start: Start) -> Self {
        Self { start: Some(start), names: Vec::new(), roots: vec![0] }
    }

    fn push(&mut self, name: Name<'a>) {
        self.names.push(name);
        if PROCESS_ROOTS.iter().chain(ROOTS).any(|root| self.ends_with(root)) {
            self.roots.push(self.names.len());
        }
    }

    /// Whether it lies in this directory, in whose path is no `..`.
    pub(crate) fn lies_in(&self, directory: &RemotePath) -> bool {
        let mut names = self.names.iter();
        let is_next = |expected| names.next().is_some_and(|name| !name.is_wild() && name.text() == expected);
        self.start == Some(directory.start()) && directory.names().all(is_next)
    }

    /// Where a pattern may begin.
    pub(super) fn starts(&self, pattern: &PathPattern, home: Home) -> impl Iterator<Item = usize> {
        let (roots, others) = match pattern.is_rooted() {
            true => (&self.roots[..], 0..0),
            false => (&[][..], 0..self.names.len()),
        };
        roots.iter().copied().filter(move |at| self.is_root(*at, home)).chain(others)
    }

    /// Whether what is below so many names could be below a root.
    pub(super) fn is_root(&self, at: usize, home: Home) -> bool {
        let is_below_home = matches!(self.start, Some(Start::Home | Start::OtherHome));
        let is_unknown = is_below_home && home == Home::IsElsewhere;
        self.roots.binary_search(&at).is_ok() && (at > 0 || !is_unknown)
    }

    /// Whether the path could end with these names, the first of them in a root.
    fn ends_with(&self, path: &[&str]) -> bool {
        let Some(start) = self.names.len().checked_sub(path.len()) else { return false };
        let names = self.names.get(start..).unwrap_or_default();
        self.roots.binary_search(&start).is_ok()
            && names.iter().zip(path).all(|(name, expected)| name.meets(expected.as_bytes()))
    }

    /// Goes up; whether the text tells where that is.
    fn pop(&mut self) -> bool {
        // Above the root of a process is that root; above a home directory, nobody knows what.
        match (self.names.is_empty(), self.start) {
            (true, Some(Start::Root)) => return true,
            (true, _) => self.start = None,
            (false, _) if PROCESS_ROOTS.iter().any(|root| self.ends_with(root)) => {}
            (false, _) => {
                self.names.pop();
                self.roots.truncate(self.roots.partition_point(|root| *root <= self.names.len()));
            }
        }
        false
    }

    /// What to write in place of a path that this is, if no name is a link.
    fn instead(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| String::from_utf8_lossy(name.text())).collect();
        let start = match self.start {
            Some(Start::Home) if names.is_empty() => "~",
            Some(Start::Home) => "",
            Some(Start::Root | Start::OtherHome) | None => "/",
        };
        format!(
            "the path without `..`: {} if no name before it is a link",
            quoted(&(start.to_owned() + &names.join("/")))
        )
    }
}

/// A path, seen from a directory; without one, from the home directory. An empty one is the directory itself.
fn resolve<'a>(
    directory: Option<&'a RemotePath>,
    path: &'a [u8],
    is_glob: bool,
    parents: Parents,
) -> Result<Resolved<'a>, Refusal> {
    let shown = if path.is_empty() { directory.map_or(path, RemotePath::bytes) } else { path };
    let refuse = |why: &str, instead: String| Refusal {
        what: quoted(&String::from_utf8_lossy(shown)),
        why: why.to_owned(),
        instead: Some(instead),
    };
    if path.contains(&0) {
        return Err(refuse("a path cannot hold a NUL byte", "the path without it".into()));
    }
    let base = directory.filter(|_| !path.starts_with(b"/"));
    let start = match base.map(RemotePath::start) {
        None if path.starts_with(b"/") => Start::Root,
        None => Start::Home,
        Some(Start::OtherHome) if parents == Parents::Refused => return Err(unknown_home(shown)),
        Some(start) => start,
    };
    let mut resolved = Resolved::new(start);
    let base = base.into_iter().flat_map(RemotePath::names).map(|name| (name, false));
    let mut rest = base.chain(names(path).map(|name| (name, is_glob))).peekable();
    // Whether a `..` has led where only a link could tell.
    let mut is_unknown = false;
    while let Some((name, is_glob)) = rest.next() {
        if name == b".." {
            is_unknown |= !resolved.pop() && parents == Parents::Refused;
            continue;
        }
        let name = Name::new(name, is_glob);
        if name.is_wild() && name.meets(b"..") {
            return Err(refuse(
                "the glob could match .. and climb out of its directory",
                "a glob that does not begin with a dot".into(),
            ));
        }
        resolved.push(name);
        if !is_unknown && rest.peek().is_some() && ELSEWHERE.iter().any(|link| resolved.ends_with(link)) {
            return Err(refuse(
                "what a process has open, or works in, is not known from the path",
                "the path itself, which readlink or ls -l of the link tells".into(),
            ));
        }
    }
    if is_unknown {
        let why =
            "`..` leads to where the directory before it truly is, which the text does not tell where that is a link";
        return Err(refuse(why, resolved.instead()));
    }
    Ok(resolved)
}

/// That a command cannot be told where another account's home is.
pub(super) fn unknown_home(path: &[u8]) -> Refusal {
    Refusal {
        what: quoted(&String::from_utf8_lossy(path)),
        why: "another account's home is not known here".to_owned(),
        instead: Some("its absolute path; a directory that is called so is ./~…".to_owned()),
    }
}

#[cfg(test)]
#[path = "../../../machine/src/remote_path/spellings.rs"]
mod spellings;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scout_machine::RemotePath;

    use super::spellings::Names::{self, Elsewhere, Nobody, Plain};
    use super::spellings::{NO_PATHS, SPELLINGS};
    use crate::Grants;
    use crate::grants::{Action, CallRights, HostRules, Limit, Place, Rights, Root, Rule, Target, decide};
    use crate::policy::{CommandPolicy, Pipeline, SecretPaths, Stage, StderrTo, Word};

    /// The host's word on an operation, with all paths or only those below the roots.
    fn is_allowed(operation: Action<'_>, is_confined: bool) -> bool {
        let place = Place::new("scout.toml:1");
        let roots = ["/srv/app", "~/app"].map(|root| Rule {
            value: Root::parse(root.as_bytes()).expect("a root"),
            text: root.into(),
            place: place.clone(),
        });
        let paths = is_confined.then(|| Limit { rules: roots.to_vec(), place });
        let rights = CallRights {
            operator: Arc::new(Rights { paths, ..Rights::default() }),
            ..CallRights::unlimited(Grants::ALL)
        };
        let (rules, secrets) = (HostRules::default(), SecretPaths::default());
        let target = Target { name: "box", commands: CommandPolicy::ReadOnly, rules: &rules, secrets: &secrets };
        decide(&rights, target, operation).is_ok()
    }

    /// Equal answers: the grants let through what is plain, the list what is no secret, and neither what nobody can tell.
    fn expect(names: Names, operation: Action<'_>, what: &str) {
        assert_eq!(is_allowed(operation, false), matches!(names, Plain | Elsewhere), "{what}: the list");
        assert_eq!(is_allowed(operation, true), names == Plain, "{what}: the list and the roots");
    }

    fn pipeline(directory: Option<RemotePath>, words: &[&str]) -> Pipeline {
        let words = words.iter().map(|word| Word::Literal((*word).to_owned())).collect();
        let stages = vec![Stage { words, stderr: StderrTo::Capture }];
        Pipeline { stages, directory }
    }

    fn remote(path: impl AsRef<[u8]>) -> RemotePath {
        RemotePath::parse(path).expect("a path")
    }

    #[test]
    fn every_spelling_of_a_path_is_judged_alike_by_grants_and_secrets_for_files_and_for_commands() {
        for (path, .., as_file, in_command) in SPELLINGS {
            let spelled = remote(path);
            expect(*as_file, Action::Read(&spelled), &format!("{spelled:?} as a file"));
            let pipeline = pipeline(Some(spelled.clone()), &["ls"]);
            expect(*in_command, Action::Run(&pipeline), &format!("`ls` in {spelled:?}"));
        }
    }

    #[test]
    fn every_spelling_of_a_path_is_judged_alike_as_a_word_of_a_command() {
        let words = SPELLINGS.iter().map(|(path, .., in_command)| (*path, *in_command));
        let no_paths = NO_PATHS.iter().map(|(path, _)| (*path, Nobody)).filter(|(path, _)| path.contains(&0));
        for (path, names) in words.chain(no_paths) {
            let Ok(word) = std::str::from_utf8(path) else { continue };
            // There `~` is a name, and an empty word names nothing.
            if path.is_empty() || path.starts_with(b"~") {
                continue;
            }
            for directory in ["", "~", "/srv/app"] {
                // An operand is seen from the directory.
                if directory == "/srv/app" && !path.starts_with(b"/") {
                    continue;
                }
                for words in [["cat", word], ["ls", word], ["stat", word]] {
                    let pipeline = pipeline(Some(remote(directory)), &words);
                    expect(names, Action::Run(&pipeline), &format!("{words:?} in {directory:?}"));
                }
            }
        }
    }

    #[test]
    fn a_glob_that_could_climb_leads_nowhere_be_it_the_last_name() {
        for (glob, names) in [
            ("/srv/app/*", Plain),
            ("/srv/app/*.log", Plain),
            ("/srv/app/.*", Nobody),
            ("/srv/app/.?", Nobody),
            ("/srv/app/.*/x", Nobody),
            ("/srv/app/x/../*.log", Nobody),
            ("/srv/*/../x.log", Nobody),
            ("/srv/a*/x.log", Elsewhere),
        ] {
            let words = vec![Word::Literal("ls".into()), Word::Glob(glob.into())];
            let pipeline = Pipeline { stages: vec![Stage { words, stderr: StderrTo::Capture }], directory: None };
            expect(names, Action::Run(&pipeline), glob);
        }
    }
}
