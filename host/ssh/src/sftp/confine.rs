//! Where what was opened truly lies, learned in the flight that opens it.
//!
//! A path can be made to lead elsewhere between a look at it and its opening. So the question is asked about what is open: on Linux
//! the link `/proc/self/fd/N` of the server's own process holds the kernel's name for it, and READLINK gives that as it is. `N` is
//! the lowest number that is free: a channel's first flight finds it by opening `/`, and each flight makes sure that it is free
//! before its OPEN. This holds for servers that work in order, hand out guessed handles and announce OpenSSH's extensions; there is
//! no race then. Attributes come from the handle, or are those of a name in a directory that is held open in the same way.
//!
//! Elsewhere (no /proc, as in a chroot or on the BSDs; other servers) nothing proves it. What REALPATH says is no proof: there are
//! servers that only tidy the text. So every name of the path is asked for with LSTAT before and after the opening, and **a path is
//! answered only if none of its names is a link then**. One that has a link is asked for again by what REALPATH makes of it; if that
//! has a link too, the server does not tell, and the path is refused. Who puts a link in the place of a name and takes it
//! away again **between those two** is not noticed: [`TruePath::is_proven`] tells which it was. A server whose LSTAT tells no
//! types is believed if its REALPATH agrees with the text.
//!
//! A hard link and a bind mount are names of their own: neither way tells that a file has another one.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::vec;

use scout_machine::path::{DELETED, deleted, shown, swapped, untold};
use scout_machine::{Attributes, Call, ErrorKind, FileKind, HostError, TruePath};

use super::SftpChannel;
use super::SftpError;
use super::channel::Reply;
use super::guess::GUESS;
use super::operations::{Halt, attributes, status_error};
use super::upload::real_path;
use super::wire::{self, Extension, Request, Status};

/// File descriptors of the server that may be the next one: 0 to 2 are its own, a log or sshd's sockets take some, and files that are
/// sent or received stay open.
const DESCRIPTORS: [&[u8]; 32] = [
    b"/proc/self/fd/3",
    b"/proc/self/fd/4",
    b"/proc/self/fd/5",
    b"/proc/self/fd/6",
    b"/proc/self/fd/7",
    b"/proc/self/fd/8",
    b"/proc/self/fd/9",
    b"/proc/self/fd/10",
    b"/proc/self/fd/11",
    b"/proc/self/fd/12",
    b"/proc/self/fd/13",
    b"/proc/self/fd/14",
    b"/proc/self/fd/15",
    b"/proc/self/fd/16",
    b"/proc/self/fd/17",
    b"/proc/self/fd/18",
    b"/proc/self/fd/19",
    b"/proc/self/fd/20",
    b"/proc/self/fd/21",
    b"/proc/self/fd/22",
    b"/proc/self/fd/23",
    b"/proc/self/fd/24",
    b"/proc/self/fd/25",
    b"/proc/self/fd/26",
    b"/proc/self/fd/27",
    b"/proc/self/fd/28",
    b"/proc/self/fd/29",
    b"/proc/self/fd/30",
    b"/proc/self/fd/31",
    b"/proc/self/fd/32",
    b"/proc/self/fd/33",
    b"/proc/self/fd/34",
];
/// Of them, those that may be where nothing stays open.
const FIRST_DESCRIPTORS: usize = 6;
/// Who does not tell.
const WHO: &str = "this SFTP server";
/// Names of a path at most that are asked for one by one.
const MAX_NAMES: usize = 128;

/// What a server was found to tell of true paths.
#[derive(Default)]
pub(super) struct TruePathSupport {
    /// Which of [`DESCRIPTORS`] names what it opens next; `None`: none of them does.
    descriptor: OnceLock<Option<usize>>,
    /// Where relative paths begin.
    home: OnceLock<Vec<u8>>,
}

/// How it is learned where a path leads.
pub(super) struct Proof<'a> {
    /// As it was asked for.
    asked: &'a [u8],
    path: Cow<'a, [u8]>,
    /// Absent: the server's descriptors tell.
    names: Option<Names>,
    /// Whether the path is what a link was found to lead to.
    is_resolved: bool,
}

/// The names of an absolute path.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    /// Where they end in it.
    ends: Vec<usize>,
    /// The path if none of them is a link.
    plain: Vec<u8>,
}

/// One flight's questions about where something lies.
pub(super) struct Questions<'a> {
    path: &'a [u8],
    names: Option<&'a Names>,
    descriptors: &'static [&'static [u8]],
    /// Whether it has to be found out which of them tells.
    probes: bool,
    true_paths: &'a TruePathSupport,
}

/// The answers from before anything was opened.
pub(super) enum Before {
    /// Which of the descriptors was free.
    Descriptor(usize),
    /// Of the names, and what REALPATH makes of them.
    Names(Seen, Result<Vec<u8>, Status>),
}

/// What LSTAT says of a path's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    has_link: bool,
    is_untold: bool,
    is_typeless: bool,
}

impl SftpChannel {
    /// How to begin with a path.
    pub(super) async fn proof<'a>(&self, path: &'a [u8], call: &Call) -> Result<Proof<'a>, SftpError> {
        let proof = Proof { asked: path, path: path.into(), names: None, is_resolved: false };
        let may_tell = self.has(Extension::PosixRename) && self.shared.true_paths.descriptor.get() != Some(&None);
        if may_tell { Ok(proof) } else { self.by_names(proof, call).await }
    }

    /// How to go on where one way has failed; the error, if there is no other.
    pub(super) async fn otherwise<'a>(
        &self,
        proof: Proof<'a>,
        halt: Halt,
        call: &Call,
    ) -> Result<Proof<'a>, SftpError> {
        match halt {
            Halt::Failed(error) => Err(error),
            Halt::NoGuessing if proof.names.is_some() => Ok(proof),
            Halt::NoGuessing | Halt::NoProof if proof.names.is_none() => self.by_names(proof, call).await,
            Halt::NoGuessing | Halt::NoProof => Err(untold(WHO, proof.asked).into()),
            Halt::NotOpened(status) | Halt::Doubtful(status) => Err(status_error(&status, proof.asked).into()),
            Halt::Link(Err(status)) => Err(status_error(&status, proof.asked).into()),
            Halt::Link(Ok(path)) => {
                let (asked, is_by_names) = (proof.asked, proof.names.is_some());
                // A text that is only tidied leads elsewhere where a `..` is behind a link; and what a link leads to was asked for a
                // moment ago: if that has a link too, the server does not resolve links, or somebody is changing them.
                let is_tidied =
                    proof.names.is_some_and(|names| Names::of(&path).is_none_or(|real| real.plain == names.plain));
                if is_tidied || proof.is_resolved || path == *proof.path {
                    return Err(if is_by_names { untold(WHO, asked) } else { swapped(asked) }.into());
                }
                let resolved = Proof { asked, path: path.into(), names: None, is_resolved: true };
                if is_by_names { self.by_names(resolved, call).await } else { Ok(resolved) }
            }
        }
    }

    async fn by_names<'a>(&self, proof: Proof<'a>, call: &Call) -> Result<Proof<'a>, SftpError> {
        let path: Cow<'_, [u8]> = match proof.path.starts_with(b"/") {
            true => proof.path,
            false => [self.home(call).await?, b"/", &proof.path].concat().into(),
        };
        let names = Names::of(&path).ok_or_else(|| {
            let message = format!("has more than {MAX_NAMES} names: `{}`", shown(proof.asked));
            HostError::new(ErrorKind::Unsupported, message)
        })?;
        Ok(Proof { path, names: Some(names), ..proof })
    }

    async fn home(&self, call: &Call) -> Result<&[u8], SftpError> {
        let home = &self.shared.true_paths.home;
        if let Some(known) = home.get() {
            return Ok(known);
        }
        let reply = self.ask(&[Request::RealPath(b".")], 0, call).await?.into_iter().next();
        let found = real_path(reply, b"~")?;
        Ok(home.get_or_init(|| found))
    }

    /// The next flight's questions.
    pub(super) fn questions<'a>(&'a self, proof: &'a Proof<'_>) -> Questions<'a> {
        let true_paths = &self.shared.true_paths;
        let known = true_paths.descriptor.get().copied().flatten();
        let range = known.map_or(0..FIRST_DESCRIPTORS, |known| known..known + 1);
        let descriptors = DESCRIPTORS.get(range).unwrap_or_default();
        Questions { path: &proof.path, names: proof.names.as_ref(), descriptors, probes: known.is_none(), true_paths }
    }

    /// The same for a flight whose handle stays open, as others do: any descriptor may be the next one.
    pub(super) fn questions_beside_others<'a>(&'a self, proof: &'a Proof<'_>) -> Questions<'a> {
        Questions { descriptors: &DESCRIPTORS, probes: false, ..self.questions(proof) }
    }
}

impl Proof<'_> {
    /// What is to be opened.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// What was asked for, which is what messages name.
    pub(super) fn asked(&self) -> &[u8] {
        self.asked
    }

    /// Whether only names are asked about.
    pub(super) fn is_by_names(&self) -> bool {
        self.names.is_some()
    }
}

impl<'a> Questions<'a> {
    /// What goes before the first OPEN.
    pub(super) fn before(&self, requests: &mut Vec<Request<'a>>) {
        self.after(requests);
        if self.names.is_some() {
            requests.push(Request::RealPath(self.path));
        } else if self.probes {
            requests.push(Request::OpenDir(b"/"));
            self.after(requests);
            requests.push(Request::Close(GUESS));
        }
    }

    /// What goes right behind an OPEN or OPENDIR.
    pub(super) fn after(&self, requests: &mut Vec<Request<'a>>) {
        match self.names {
            Some(names) => requests.extend(names.lstats(self.path)),
            None => requests.extend(self.descriptors.iter().map(|descriptor| Request::ReadLink(descriptor))),
        }
    }

    /// The names by which to ask for `name` in a directory that is open; one of them is right.
    pub(super) fn below_descriptors(&self, name: &[u8]) -> Vec<Vec<u8>> {
        self.descriptors.iter().map(|descriptor| [descriptor, &b"/"[..], name].concat()).collect()
    }

    /// Takes what answers [`before`](Self::before).
    pub(super) fn take_before(&self, replies: &mut vec::IntoIter<Reply>) -> Result<Before, Halt> {
        if let Some(names) = self.names {
            let seen = names.take(replies);
            return Ok(Before::Names(seen, named_path(replies.next())));
        }
        let count = self.descriptors.len();
        let free = first(replies, count, is_missing);
        if !self.probes {
            return free.map(Before::Descriptor).ok_or(Halt::NoProof);
        }
        replies.next();
        let opened = free.and_then(|free| nth(replies, count, free));
        replies.next();
        let tells = free.filter(|_| matches!(opened, Some(Reply::Path(path)) if path == b"/"[..]));
        let known = *self.true_paths.descriptor.get_or_init(|| tells);
        tells.filter(|tells| known == Some(*tells)).map(Before::Descriptor).ok_or(Halt::NoProof)
    }

    /// Takes what answers [`after`](Self::after): where it lies.
    pub(super) fn take_after(&self, before: &Before, replies: &mut vec::IntoIter<Reply>) -> Result<TruePath, Halt> {
        match (before, self.names) {
            (Before::Descriptor(free), None) => match nth(replies, self.descriptors.len(), *free) {
                Some(Reply::Path(path)) if path.ends_with(DELETED) => Err(deleted(self.path).into()),
                Some(Reply::Path(path)) if path.starts_with(b"/") => {
                    Ok(TruePath { path: path.to_vec(), is_proven: true })
                }
                _ => Err(Halt::NoProof),
            },
            (Before::Names(first, real), Some(names)) => {
                let seen = first.and(names.take(replies));
                let differs = real.as_ref().is_ok_and(|real| *real != names.plain);
                if seen.has_link || seen.is_typeless && differs {
                    return Err(Halt::Link(real.clone()));
                }
                if seen.is_untold {
                    return Err(Halt::NoProof);
                }
                Ok(TruePath { path: names.plain.clone(), is_proven: false })
            }
            (Before::Descriptor(_), Some(_)) | (Before::Names(..), None) => Err(Halt::NoProof),
        }
    }

    /// The right one among as many replies as there are descriptors.
    pub(super) fn take_attributes(
        &self,
        before: &Before,
        replies: &mut vec::IntoIter<Reply>,
    ) -> Result<Attributes, Status> {
        match before {
            Before::Descriptor(free) => attributes(nth(replies, self.descriptors.len(), *free)),
            Before::Names(..) => Err(Status::default()),
        }
    }
}

impl Names {
    /// `None` if they are too many.
    fn of(path: &[u8]) -> Option<Self> {
        let (mut names, mut start) = (Self::default(), 0);
        let mut plain: Vec<&[u8]> = Vec::new();
        for name in path.split(|byte| *byte == b'/') {
            let end = start + name.len();
            match name {
                b"" | b"." => {}
                b".." => drop(plain.pop()),
                name => {
                    plain.push(name);
                    names.ends.push(end);
                }
            }
            start = end + 1;
        }
        names.plain = plain.iter().flat_map(|name| [&b"/"[..], name]).flatten().copied().collect();
        if plain.is_empty() {
            names.plain.push(b'/');
        }
        (names.ends.len() <= MAX_NAMES).then_some(names)
    }

    fn lstats<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = Request<'a>> {
        self.ends.iter().filter_map(|end| path.get(..*end)).map(Request::Lstat)
    }

    fn take(&self, replies: &mut vec::IntoIter<Reply>) -> Seen {
        replies.by_ref().take(self.ends.len()).map(Seen::of).fold(Seen::default(), Seen::and)
    }
}

impl Seen {
    fn of(reply: Reply) -> Self {
        match reply {
            Reply::Attributes(Attributes { permissions: None, .. }) => Self { is_typeless: true, ..Self::default() },
            Reply::Attributes(attributes) => {
                Self { has_link: attributes.kind() == FileKind::Symlink, ..Self::default() }
            }
            // What is not there is no link.
            reply => Self { is_untold: !is_missing(&reply), ..Self::default() },
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            has_link: self.has_link || other.has_link,
            is_untold: self.is_untold || other.is_untold,
            is_typeless: self.is_typeless || other.is_typeless,
        }
    }
}

/// What REALPATH says.
pub(super) fn named_path(reply: Option<Reply>) -> Result<Vec<u8>, Status> {
    match reply {
        Some(Reply::Path(path)) if path.starts_with(b"/") => Ok(path.to_vec()),
        Some(Reply::Status(status)) => Err(status),
        _ => Err(Status::default()),
    }
}

/// Takes `count` replies; the one with this number.
fn nth(replies: &mut vec::IntoIter<Reply>, count: usize, number: usize) -> Option<Reply> {
    replies
        .by_ref()
        .take(count)
        .enumerate()
        .fold(None, |found, (at, reply)| if at == number { Some(reply) } else { found })
}

/// Takes `count` replies; the number of the first of these.
fn first(replies: &mut vec::IntoIter<Reply>, count: usize, is_one: impl Fn(&Reply) -> bool) -> Option<usize> {
    replies.by_ref().take(count).enumerate().fold(None, |found, (at, reply)| found.or(is_one(&reply).then_some(at)))
}

fn is_missing(reply: &Reply) -> bool {
    matches!(reply, Reply::Status(Status { code: wire::STATUS_NO_SUCH_FILE, .. }))
}

/// A path's directory and its name there; `.` is the directory itself.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    match path.split_at_checked(start) {
        Some((_, b"" | b"." | b"..")) | None => (path, b"."),
        Some((b"", name)) => (b".", name),
        Some((directory, name)) => (directory, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_path_are_asked_for_as_they_are_spelled_and_lie_where_they_lead_without_links() {
        for (path, asked, plain) in [
            ("/a/b", &["/a", "/a/b"][..], "/a/b"),
            ("//a/./b//", &["//a", "//a/./b"], "/a/b"),
            ("/a/../b", &["/a", "/a/../b"], "/b"),
            ("/a/b/..", &["/a", "/a/b"], "/a"),
            ("/../a", &["/../a"], "/a"),
            ("/", &[], "/"),
            ("/..", &[], "/"),
        ] {
            let names = Names::of(path.as_bytes()).expect("few");
            let spelled: Vec<_> = names.ends.iter().map(|end| &path[..*end]).collect();
            assert_eq!((&spelled[..], &names.plain[..]), (asked, plain.as_bytes()), "{path}");
        }
        assert!(Names::of(&b"/x".repeat(MAX_NAMES)).is_some());
        assert_eq!(Names::of(&b"/x".repeat(MAX_NAMES + 1)), None);
    }

    #[test]
    fn a_path_is_its_name_in_a_directory() {
        for (path, directory, name) in [
            ("/a/b", "/a/", "b"),
            ("/a", "/", "a"),
            ("a", ".", "a"),
            ("a/b", "a/", "b"),
            ("/", "/", "."),
            (".", ".", "."),
            ("a/", "a/", "."),
            ("a/..", "a/..", "."),
            ("a/.", "a/.", "."),
        ] {
            assert_eq!(split(path.as_bytes()), (directory.as_bytes(), name.as_bytes()), "{path}");
        }
    }
}
