//! Where a path leads, as far as its text tells: the one answer that grants, the list of secret paths and the table of commands go by.
//!
//! Owns `.`, `..`, `~`, and the directories that are a root or lead nobody knows where. **Text never proves where a file is**, for
//! links lead elsewhere. The host of a file is asked where that truly lies, so that its text is only held first, and `..` taken as it
//! is written. Nobody is asked about a command's paths: there a `..` leads nowhere, be it the last name, and so does a glob that could
//! match one. Knows no list and no root.

use super::secret::{ELSEWHERE, Name, PROCESS_ROOTS, PathPattern, ROOTS};
use super::{PathOperand, Refusal, home_relative, quoted};

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

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// `/`.
    Root,
    /// The home directory.
    Home,
    /// Another account's home.
    OtherHome,
    /// Somewhere above the home directory.
    AboveHome,
}

/// A path, resolved.
pub(crate) struct Resolved<'a> {
    start: Start,
    pub(super) names: Vec<Name<'a>>,
    /// How many of the first names could lead to a root; in order, 0 among them.
    roots: Vec<usize>,
}

impl<'a> Resolved<'a> {
    /// A path as files and directories are named.
    ///
    /// # Errors
    /// What leads nobody knows where, whatever its host says, and a NUL byte.
    pub(crate) fn file(path: &'a [u8]) -> Result<Self, Refusal> {
        resolve(Some(path), b"", false, Parents::Textual).map_err(|refusal| named(path, refusal))
    }

    /// The directory in which a command runs.
    ///
    /// # Errors
    /// As [`operand`](Self::operand).
    pub(super) fn directory(path: &'a [u8]) -> Result<Self, Refusal> {
        resolve(Some(path), b"", false, Parents::Refused).map_err(|refusal| named(path, refusal))
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
        split(path).for_each(|name| resolved.push(Name::new(name, false)));
        resolved
    }

    fn new(start: Start) -> Self {
        Self { start, names: Vec::new(), roots: vec![0] }
    }

    fn push(&mut self, name: Name<'a>) {
        self.names.push(name);
        if PROCESS_ROOTS.iter().chain(ROOTS).any(|root| self.ends_with(root)) {
            self.roots.push(self.names.len());
        }
    }

    /// Whether it lies in this directory, whose names are literal.
    pub(crate) fn lies_in(&self, start: Start, directory: &[Vec<u8>]) -> bool {
        let is_same = |(name, expected): (&Name<'_>, &Vec<u8>)| !name.is_wild() && name.text() == expected.as_slice();
        self.start == start
            && self.names.get(..directory.len()).is_some_and(|names| names.iter().zip(directory).all(is_same))
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
        let is_below_home = matches!(self.start, Start::Home | Start::OtherHome);
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
            (true, Start::Root) => return true,
            (true, _) => self.start = Start::AboveHome,
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
            Start::Home if names.is_empty() => "~",
            Start::Home => "",
            Start::Root | Start::OtherHome | Start::AboveHome => "/",
        };
        format!(
            "the path without `..`: {} if no name before it is a link",
            quoted(&(start.to_owned() + &names.join("/")))
        )
    }
}

/// A path, seen from a directory; without one, from the home directory.
fn resolve<'a>(
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
    let (start, base) = match (path.starts_with(b"/") || base.starts_with(b"/"), home_relative(base)) {
        (true, _) => (Start::Root, base),
        (_, Some(below)) => (Start::Home, below),
        (_, None) if !base.starts_with(b"~") => (Start::Home, base),
        (_, None) if parents == Parents::Refused => {
            let instead = "its absolute path; a directory that is called so is ./~…".into();
            return Err(refuse("another account's home is not known here", instead));
        }
        (_, None) => {
            let end = base.iter().position(|byte| *byte == b'/').unwrap_or(base.len());
            (Start::OtherHome, base.get(end..).unwrap_or_default())
        }
    };
    let mut resolved = Resolved::new(start);
    let base = split(base).map(|name| (name, false));
    let mut rest = base.chain(split(path).map(|name| (name, is_glob))).peekable();
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

fn named(path: &[u8], refusal: Refusal) -> Refusal {
    Refusal { what: quoted(&String::from_utf8_lossy(path)), ..refusal }
}

/// The names of a path.
pub(crate) fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::Grants;
    use crate::grants::{CallRights, HostRules, Limit, Operation, Place, Rights, Root, Rule, Target, decide};
    use crate::policy::{CommandPolicy, Pipeline, SecretPaths, Stage, StderrTo, Word};

    /// What a spelling names: a file of `/srv/app` or `~/app` that anybody may read, one that is on the list of secret paths, one
    /// that lies elsewhere, or what nobody can tell.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Names {
        Plain,
        Secret,
        Elsewhere,
        Nobody,
    }
    use Names::{Elsewhere, Nobody, Plain, Secret};

    /// A spelling, what it names as a file, whose host is asked where it truly is, and what as a command's path.
    const SPELLINGS: &[(&[u8], Names, Names)] = &[
        (b"/srv/app", Plain, Plain),
        (b"/srv/app/x", Plain, Plain),
        (b"//srv//app///x", Plain, Plain),
        (b"/srv/app/", Plain, Plain),
        (b"/srv/app/.", Plain, Plain),
        (b"/./srv/./app/./x/.", Plain, Plain),
        (b"/../srv/app/x", Plain, Plain),
        (b"/srv/app/x\xff\xfe", Plain, Plain),
        (b"/srv/app/\xe4 \n x", Plain, Plain),
        (b"/srv/app/..x/x..", Plain, Plain),
        // Behind a name that may be a link.
        (b"/srv/app/x/..", Plain, Nobody),
        (b"/srv/app/x/../", Plain, Nobody),
        (b"/srv/app/x/../.", Plain, Nobody),
        (b"/srv/app/x/../y", Plain, Nobody),
        (b"/srv/app/x/../../app", Plain, Nobody),
        (b"/srv/app/..", Elsewhere, Nobody),
        (b"/srv/app/../x", Elsewhere, Nobody),
        (b"/srv/app/../../etc/shadow", Secret, Nobody),
        (b"/srv/app/.netrc/../.netrc", Secret, Nobody),
        (b"/srv/app/.netrc", Secret, Secret),
        (b"/srv/app/.netrc/", Secret, Secret),
        (b"/srv/app/.netrc/.", Secret, Secret),
        (b"/srv/app//.netrc", Secret, Secret),
        (b"/srv/app/.NETRC", Secret, Secret),
        (b"/srv/app/.netrc\xff", Plain, Plain),
        (b"/srv/app/x\0", Nobody, Nobody),
        (b"/srv/app\0/../../etc/shadow", Nobody, Nobody),
        (b"/srv", Elsewhere, Elsewhere),
        (b"/srv/apple", Elsewhere, Elsewhere),
        (b"/", Elsewhere, Elsewhere),
        (b"/..", Elsewhere, Elsewhere),
        (b"/proc/self/cwd/x", Nobody, Nobody),
        (b"/proc/self/root/srv/app", Elsewhere, Elsewhere),
        (b"/proc/self/root/etc/shadow", Secret, Secret),
        // Below the home directory.
        (b"app/x", Plain, Plain),
        (b"./app/x", Plain, Plain),
        (b"app//x/.", Plain, Plain),
        (b"app/\xff", Plain, Plain),
        (b"app/x/..", Plain, Nobody),
        (b"x/../app", Plain, Nobody),
        (b"..", Elsewhere, Nobody),
        (b"../", Elsewhere, Nobody),
        (b"../app", Elsewhere, Nobody),
        (b"app/../..", Elsewhere, Nobody),
        (b"../etc/shadow", Secret, Nobody),
        (b"", Elsewhere, Elsewhere),
        (b".", Elsewhere, Elsewhere),
        (b".ssh/id_rsa", Secret, Secret),
        (b"app/x\0", Nobody, Nobody),
    ];

    /// The same where `~` is the home directory: of files and of the directory of a command, not of an operand, which is quoted.
    const HOMES: &[(&[u8], Names, Names)] = &[
        (b"~", Elsewhere, Elsewhere),
        (b"~/", Elsewhere, Elsewhere),
        (b"~/app/x", Plain, Plain),
        (b"~//app/./x/", Plain, Plain),
        (b"~/app/\xff", Plain, Plain),
        (b"~/app/x/..", Plain, Nobody),
        (b"~/x/../app", Plain, Nobody),
        (b"~/..", Elsewhere, Nobody),
        (b"~/../app", Elsewhere, Nobody),
        (b"~/../etc/shadow", Secret, Nobody),
        (b"~/.ssh/id_rsa", Secret, Secret),
        (b"~/app\0", Nobody, Nobody),
        (b"~root", Elsewhere, Nobody),
        (b"~root/app/x", Elsewhere, Nobody),
        (b"~root/.netrc", Secret, Nobody),
        (b"~root/../etc/shadow", Secret, Nobody),
        (b"~root/etc/shadow", Secret, Nobody),
    ];

    /// The host's word on an operation, with all paths or only those below the roots.
    fn is_allowed(operation: Operation<'_>, is_confined: bool) -> bool {
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
    fn expect(names: Names, operation: Operation<'_>, what: &str) {
        assert_eq!(is_allowed(operation, false), matches!(names, Plain | Elsewhere), "{what}: the list");
        assert_eq!(is_allowed(operation, true), names == Plain, "{what}: the list and the roots");
    }

    fn pipeline(directory: Option<&[u8]>, words: &[&str]) -> Pipeline {
        let words = words.iter().map(|word| Word::Literal((*word).to_owned())).collect();
        let stages = vec![Stage { words, stderr: StderrTo::Capture }];
        Pipeline { stages, directory: directory.map(<[u8]>::to_vec) }
    }

    #[test]
    fn every_spelling_of_a_path_is_judged_alike_by_grants_and_secrets_for_files_and_for_commands() {
        for (path, as_file, as_operand) in SPELLINGS {
            let shown = String::from_utf8_lossy(path);
            expect(*as_file, Operation::Read(path), &format!("{shown:?} as a file"));
            for directory in [&b""[..], b"~", b"/srv/app"] {
                // An operand is seen from the directory; an empty one names nothing.
                if (directory == b"/srv/app" && !path.starts_with(b"/")) || path.is_empty() {
                    continue;
                }
                let Ok(word) = std::str::from_utf8(path) else { continue };
                for words in [["cat", word], ["ls", word], ["stat", word]] {
                    let pipeline = pipeline(Some(directory), &words);
                    expect(*as_operand, Operation::Run(&pipeline), &format!("{words:?} in {directory:?}"));
                }
            }
        }
        for (path, as_file, as_directory) in SPELLINGS.iter().chain(HOMES) {
            let shown = String::from_utf8_lossy(path);
            expect(*as_file, Operation::Read(path), &format!("{shown:?} as a file"));
            let pipeline = pipeline(Some(path), &["ls"]);
            expect(*as_directory, Operation::Run(&pipeline), &format!("`ls` in {shown:?}"));
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
            expect(names, Operation::Run(&pipeline), glob);
        }
    }
}
