//! What is read over a channel: a path of unknown kind, a part of a file, attributes.
//!
//! A short operation is one flight. What one flight cannot hold is read by further flights that open the path again
//! (guessed handles live for one flight only), or, where handles cannot be guessed, with a real handle that closes
//! itself. No more than the cap is ever asked for, so a cap bounds the wire as well as the memory.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use scout_machine::path::{not_a_file, shown, swapped};
use scout_machine::{Attributes, Call, Capture, ErrorKind, FileKind, HostError, Opened, RemotePath, TruePath};

use super::channel::{FilePart, RealHandle, Reply};
use super::confine::{Proof, named_path, split};
use super::guess::GUESS;
use super::kinds::Kind;
use super::listing::{FIRST_LISTING, lists};
use super::upload::real_path;
use super::wire::{self, Extension, Request, Status};
use super::{FileSystem, SftpChannel, SftpError};

/// Bytes asked for in one flight: one round trip for most files, and neighbours do not wait for long.
const FLIGHT_BYTES: usize = 2 * 1024 * 1024;
/// Entries of one listing whose kinds are kept.
const MAX_NOTED: usize = 256;
/// READs in one flight at most.
const MAX_READS: usize = 512;
/// No READ is made shorter than this because of a short answer.
pub(super) const MIN_READ: u32 = 1024;

/// How handles are had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handles {
    Guessed,
    Real,
}

/// Why an operation stopped.
pub(super) enum Halt {
    /// This server's handles cannot be guessed: start again with real ones.
    NoGuessing,
    /// Nothing tells where what was opened lies: start again in another way.
    NoProof,
    /// The path has a link, and this is where the server says that it leads.
    Link(Result<Vec<u8>, Status>),
    /// It is there and cannot be opened, perhaps because it is no file.
    NotOpened(Status),
    /// What used a guessed handle was refused so: start again with a real one, which tells whether it was the guess.
    Doubtful(Status),
    Failed(SftpError),
}

/// What is wanted of a path.
#[derive(Clone, Copy)]
struct Wanted {
    /// Where in a file.
    offset: u64,
    /// How many bytes of a file.
    cap: usize,
    /// How many entries of a directory; `None`: only a file will do.
    max_entries: Option<usize>,
}

impl From<SftpError> for Halt {
    fn from(error: SftpError) -> Self {
        Self::Failed(error)
    }
}

impl From<HostError> for Halt {
    fn from(error: HostError) -> Self {
        Self::Failed(error.into())
    }
}

/// Where the rest of a file or listing comes from.
pub(super) enum Source {
    /// The path, opened again in each flight.
    Path,
    /// A handle that stays open.
    Handle(RealHandle),
}

/// What the first flight opened.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) proof: &'a Proof<'a>,
    pub(super) source: &'a Source,
    place: &'a TruePath,
}

/// The answers to a path's first flight.
struct Found {
    attributes: Attributes,
    /// `Err`: what OPEN or OPENDIR answered.
    file: Result<Source, Status>,
    directory: Result<Source, Status>,
    place: TruePath,
    reads: Vec<Reply>,
    listing: Vec<Reply>,
}

/// A part of a file, as far as it has come.
struct Reading {
    start: u64,
    /// How many bytes are wanted.
    wanted: usize,
    length: usize,
    chunks: Vec<Bytes>,
    /// What the server answers to one READ of this file.
    read_length: u32,
    ended: bool,
}

impl SftpChannel {
    /// Reads whatever the path names: of a file `cap` bytes from `offset` on, a directory's first `max_entries` names; and tells
    /// where that truly lies. Nothing else is opened under /dev, /proc and /sys; elsewhere the OPEN goes out at once, and the watchdog
    /// ends a channel that hangs on it.
    ///
    /// Dropping the future leaves the channel usable.
    pub(crate) async fn open(
        &self,
        path: &RemotePath,
        offset: u64,
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, TruePath), SftpError> {
        let path = self.resolve(path, call).await?;
        if path.is_guarded() {
            let (attributes, place) = self.stat_resolved(path.plain(), call).await?;
            if attributes.kind() == FileKind::Other {
                return Ok((Opened::Other { attributes }, place));
            }
        }
        self.open_resolved(path.plain(), Wanted { offset, cap, max_entries: Some(max_entries) }, call).await
    }

    /// Reads `length` bytes of a regular file from `offset` on, and tells where that lies. Dropping the future leaves the
    /// channel usable.
    pub(crate) async fn read(
        &self,
        path: &RemotePath,
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture, TruePath), SftpError> {
        let path = self.resolve(path, call).await?;
        let is_guarded = path.is_guarded();
        let path = path.plain();
        if is_guarded && self.stat_remote(path, call).await?.kind() != FileKind::File {
            return Err(not_a_file(path).into());
        }
        match self.open_resolved(path, Wanted { offset, cap: length, max_entries: None }, call).await? {
            (Opened::File { attributes, content }, place) => Ok((attributes, content, place)),
            (Opened::Directory { .. } | Opened::Other { .. }, _) => Err(not_a_file(path).into()),
        }
    }

    /// The attributes of what the path names, links followed, and where that lies. Only the directory is opened. A link takes a round
    /// trip of its own.
    pub(crate) async fn stat(&self, path: &RemotePath, call: &Call) -> Result<(Attributes, TruePath), SftpError> {
        let path = self.resolve(path, call).await?;
        self.stat_resolved(path.plain(), call).await
    }

    /// The absolute path without links, of what the path names.
    pub(crate) async fn real_path(&self, path: &RemotePath, call: &Call) -> Result<Vec<u8>, SftpError> {
        let path = self.resolve(path, call).await?;
        let path = path.plain();
        // Some servers answer for what does not exist, OpenSSH for a last name that does not.
        let requests = [Request::RealPath(path), Request::Stat(path)];
        let mut replies = self.ask(&requests, 0, call).await?.into_iter();
        let real = real_path(replies.next(), path);
        attributes(replies.next()).map_err(|status| status_error(&status, path))?;
        Ok(real?)
    }

    /// The file system that holds the path.
    pub(crate) async fn file_system(&self, path: &RemotePath, call: &Call) -> Result<FileSystem, SftpError> {
        if !self.has(Extension::StatVfs) {
            let message = "the SFTP server does not tell about file systems (statvfs@openssh.com)";
            return Err(HostError::new(ErrorKind::Unsupported, message).into());
        }
        let path = self.resolve(path, call).await?;
        let path = path.plain();
        match self.ask(&[Request::StatVfs(path)], 0, call).await?.into_iter().next() {
            Some(Reply::FileSystem(file_system)) => Ok(file_system),
            Some(Reply::Status(status)) => Err(status_error(&status, path).into()),
            _ => Err(status_error(&Status::default(), path).into()),
        }
    }

    /// The path as SFTP can have it. Another account's home costs a round trip.
    pub(super) async fn resolve<'a>(
        &self,
        path: &'a RemotePath,
        call: &Call,
    ) -> Result<Cow<'a, RemotePath>, SftpError> {
        let Some((home, rest)) = path.other_home() else { return Ok(Cow::Borrowed(path)) };
        if !self.has(Extension::ExpandPath) {
            let path = shown(path.bytes());
            let message = format!("another account's home cannot be looked up over SFTP: `{path}`");
            return Err(HostError::new(ErrorKind::Unsupported, message).with_hint("give the absolute path").into());
        }
        match self.ask(&[Request::ExpandPath(home)], 0, call).await?.into_iter().next() {
            Some(Reply::Path(expanded)) if expanded.starts_with(b"/") => {
                Ok(Cow::Owned(RemotePath::parse([&expanded, rest].concat())?))
            }
            Some(Reply::Status(_)) => {
                let message = format!("no such account, or it has no home: `{}`", shown(home));
                Err(HostError::new(ErrorKind::NotFound, message).into())
            }
            _ => Err(status_error(&Status::default(), path.bytes()).into()),
        }
    }

    pub(super) async fn stat_remote(&self, path: &[u8], call: &Call) -> Result<Attributes, SftpError> {
        let mut replies = self.ask(&[Request::Stat(path)], 0, call).await?.into_iter();
        attributes(replies.next()).map_err(|status| status_error(&status, path).into())
    }

    /// What a path names, by opening it: for servers that do not send permissions. Nothing but a directory is opened where
    /// opening may hang.
    pub(super) async fn kind_by_opening(&self, path: &[u8], call: &Call) -> Result<Option<FileKind>, SftpError> {
        let mut requests = vec![Request::OpenDir(path)];
        let may_hang = RemotePath::parse(path).map_or(true, |path| path.is_guarded());
        requests.extend((!may_hang).then_some(Request::Open(path)));
        let mut replies = self.ask(&requests, 0, call).await?.into_iter();
        let (directory, file) = (handle(replies.next()), handle(replies.next()));
        if let Ok(directory) = directory {
            // There are servers that open any path as a directory, and find out when they are asked for names.
            let names = self.ask(&[Request::ReadDir(directory.as_bytes())], 0, call).await?;
            if lists(names.first()) {
                return Ok(Some(FileKind::Directory));
            }
        }
        Ok(file.is_ok().then_some(FileKind::File))
    }

    async fn stat_resolved(&self, path: &[u8], call: &Call) -> Result<(Attributes, TruePath), SftpError> {
        let mut proof = self.proof(path, call).await?;
        loop {
            let found = match proof.is_by_names() {
                true => self.stat_by_names(&proof, call).await,
                false => self.stat_in_directory(&proof, call).await,
            };
            match found {
                Ok((mut attributes, place)) => {
                    if !attributes.has_kind() {
                        attributes.found_to_be = self.kind_by_opening(&place.path, call).await?;
                    }
                    return Ok((attributes, place));
                }
                Err(halt) => proof = self.otherwise(proof, halt, call).await?,
            }
        }
    }

    /// Its directory is opened, and the name asked for in what is open.
    async fn stat_in_directory(&self, proof: &Proof<'_>, call: &Call) -> Result<(Attributes, TruePath), Halt> {
        let (directory, name) = split(proof.path());
        let questions = self.questions(proof);
        let below = questions.below_descriptors(name);
        let mut requests = Vec::new();
        questions.before(&mut requests);
        requests.push(Request::OpenDir(directory));
        questions.after(&mut requests);
        requests.extend(below.iter().map(|name| Request::Lstat(name)));
        requests.extend([Request::Close(GUESS), Request::RealPath(proof.path())]);
        let mut replies = self.guess(&requests, 0, None, call).await?.ok_or(Halt::NoGuessing)?.into_iter();
        let before = questions.take_before(&mut replies)?;
        let opened = source(replies.next());
        let place = questions.take_after(&before, &mut replies);
        let found = questions.take_attributes(&before, &mut replies);
        replies.next();
        let real = named_path(replies.next());
        match opened {
            Ok(_) => {}
            Err(status) if status.code == wire::STATUS_NO_SUCH_FILE => return Err(Halt::NotOpened(status)),
            // A directory that may be passed and not listed.
            Err(_) => return Err(Halt::NoProof),
        }
        let TruePath { mut path, is_proven } = place?;
        let attributes = found.map_err(|status| status_error(&status, proof.asked()))?;
        if attributes.kind() == FileKind::Symlink {
            return Err(Halt::Link(real));
        }
        if name != b"." {
            if !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        Ok((attributes, TruePath { path, is_proven }))
    }

    async fn stat_by_names(&self, proof: &Proof<'_>, call: &Call) -> Result<(Attributes, TruePath), Halt> {
        let questions = self.questions(proof);
        let mut requests = Vec::new();
        questions.before(&mut requests);
        requests.push(Request::Stat(proof.path()));
        questions.after(&mut requests);
        let mut replies = self.ask(&requests, 0, call).await?.into_iter();
        let before = questions.take_before(&mut replies)?;
        let found = attributes(replies.next());
        let place = questions.take_after(&before, &mut replies);
        let found = match (found, place) {
            (_, Err(Halt::Link(to))) => return Err(Halt::Link(to)),
            (found, place) => found.map(|found| (found, place)),
        };
        let (found, place) = found.map_err(|status| status_error(&status, proof.asked()))?;
        Ok((found, place?))
    }

    async fn open_resolved(&self, path: &[u8], wanted: Wanted, call: &Call) -> Result<(Opened, TruePath), SftpError> {
        let mut handles = Handles::Guessed;
        let mut is_doubtful = false;
        let mut proof = self.proof(path, call).await?;
        loop {
            let halt = match self.open_with(handles, &proof, wanted, call).await {
                Ok(opened) => {
                    if is_doubtful {
                        self.stop_guessing();
                    }
                    return Ok(opened);
                }
                Err(Halt::Doubtful(_)) => {
                    is_doubtful = true;
                    Halt::NoGuessing
                }
                Err(halt) => halt,
            };
            match halt {
                Halt::NoGuessing if handles == Handles::Real => return Err(SftpError::Closed),
                Halt::NoGuessing => handles = Handles::Real,
                Halt::NotOpened(status) => {
                    let (attributes, place) = self.stat_resolved(path, call).await?;
                    return match attributes.kind() {
                        FileKind::Other => Ok((Opened::Other { attributes }, place)),
                        _ => Err(status_error(&status, path).into()),
                    };
                }
                Halt::NoProof | Halt::Link(_) | Halt::Doubtful(_) | Halt::Failed(_) => {}
            }
            proof = self.otherwise(proof, halt, call).await?;
        }
    }

    async fn open_with(
        &self,
        handles: Handles,
        proof: &Proof<'_>,
        wanted: Wanted,
        call: &Call,
    ) -> Result<(Opened, TruePath), Halt> {
        let Wanted { offset, cap, max_entries } = wanted;
        // A cap of nothing still asks for one byte, to know whether there is any.
        let mut reading = Reading::new(offset, cap.max(1), self.read_length());
        let plan = reading.plan();
        let path = proof.asked();
        let remembers = handles == Handles::Guessed && !proof.is_by_names();
        let known = if remembers { self.find_again(proof, &plan, max_entries, call).await? } else { None };
        let mut found = match known {
            Some(found) => found,
            None => self.find(handles, proof, &plan, max_entries, call).await?,
        };
        if !found.attributes.has_kind() {
            self.find_kind(&mut found, proof, max_entries, call).await?;
        }
        let attributes = found.attributes;
        let opened = match (attributes.kind(), max_entries) {
            (FileKind::Directory, Some(max_entries)) => {
                let source = found.directory.map_err(|status| status_error(&status, path))?;
                let first = Opening { proof, source: &source, place: &found.place };
                let (entries, truncated) = self.list(first, found.listing, max_entries, call).await?;
                Opened::Directory { attributes, entries, truncated }
            }
            (FileKind::File, _) => {
                let source = found.file.map_err(|status| status_error(&status, path))?;
                let first = Opening { proof, source: &source, place: &found.place };
                reading.take(&plan, found.reads, self).map_err(|status| refused(first, &status))?;
                let content = self.finish(reading, first, attributes.size, cap, call).await?;
                Opened::File { attributes, content: Capture { modified: attributes.mtime, ..content } }
            }
            (FileKind::Directory | FileKind::Symlink | FileKind::Other, _) => Opened::Other { attributes },
        };
        if remembers {
            self.note_kinds(proof.path(), &opened);
        }
        Ok((opened, found.place))
    }

    /// The first flight to a path whose kind is known, which asks for that alone; `None` if it is not known, or no longer right.
    async fn find_again(
        &self,
        proof: &Proof<'_>,
        plan: &[(u64, u32)],
        max_entries: Option<usize>,
        call: &Call,
    ) -> Result<Option<Found>, Halt> {
        let kinds = &self.shared.kinds;
        let (kind, plan, entries) = match kinds.get(proof.path()) {
            Some(Kind::Directory) if max_entries.is_some() => (FileKind::Directory, &[][..], max_entries),
            // Those of its length, and one more for what it has grown by.
            Some(Kind::File { pieces }) => {
                let begin = plan.first().map_or(0, |(offset, _)| offset / u64::from(self.read_length()));
                let reads = u64::from(pieces).saturating_sub(begin).saturating_add(1);
                (FileKind::File, usize::try_from(reads).ok().and_then(|reads| plan.get(..reads)).unwrap_or(plan), None)
            }
            Some(Kind::Directory) | None => return Ok(None),
        };
        match self.find(Handles::Guessed, proof, plan, entries, call).await {
            Ok(found) if found.attributes.kind() == kind => Ok(Some(found)),
            Err(halt @ (Halt::Failed(_) | Halt::NoGuessing | Halt::NoProof)) => Err(halt),
            Ok(_) | Err(Halt::Link(_) | Halt::NotOpened(_) | Halt::Doubtful(_)) => {
                kinds.note(proof.path(), None);
                Ok(None)
            }
        }
    }

    /// Keeps what a path was found to be, and what its entries are: those are asked for next.
    fn note_kinds(&self, path: &[u8], opened: &Opened) {
        let (kinds, piece) = (&self.shared.kinds, self.read_length());
        match opened {
            Opened::File { attributes, .. } => kinds.note(path, Kind::of(attributes, piece)),
            Opened::Directory { attributes, entries, .. } => {
                kinds.note(path, Kind::of(attributes, piece));
                let directory = path.strip_suffix(b"/").unwrap_or(path);
                for entry in entries.iter().take(MAX_NOTED) {
                    let entry_path = [directory, b"/", &entry.name].concat();
                    kinds.note(&entry_path, Kind::of(&entry.attributes, piece));
                }
            }
            Opened::Other { .. } => {}
        }
    }

    /// What was opened, where the server does not say: what READDIR lists is a directory, what else OPEN opened is a file.
    async fn find_kind(
        &self,
        found: &mut Found,
        proof: &Proof<'_>,
        max_entries: Option<usize>,
        call: &Call,
    ) -> Result<(), Halt> {
        let is_directory = match (&found.file, &found.directory, max_entries) {
            (Err(status), _, None) if !is_settled(status) => {
                self.kind_by_opening(proof.path(), call).await? == Some(FileKind::Directory)
            }
            (_, Err(_), _) => false,
            (Err(_), Ok(_), _) => true,
            (Ok(_), Ok(Source::Path), _) => lists(found.listing.first()),
            (Ok(_), Ok(Source::Handle(handle)), _) => {
                let request = [Request::ReadDir(handle.as_bytes())];
                found.listing = self.ask(&request, max_entries.unwrap_or_default(), call).await?;
                lists(found.listing.first())
            }
        };
        found.attributes.found_to_be = Some(if is_directory { FileKind::Directory } else { FileKind::File });
        Ok(())
    }

    /// The first flight: what is it, where does it lie, and as much of it as fits. With real handles: the handles and no content.
    async fn find(
        &self,
        handles: Handles,
        proof: &Proof<'_>,
        plan: &[(u64, u32)],
        max_entries: Option<usize>,
        call: &Call,
    ) -> Result<Found, Halt> {
        let guessed = handles == Handles::Guessed;
        let (reads, listing) = if guessed { (plan, FIRST_LISTING) } else { (&[][..], 0) };
        let (path, questions) = (proof.path(), self.questions(proof));
        let mut requests = Vec::new();
        questions.before(&mut requests);
        if proof.is_by_names() {
            requests.push(Request::Stat(path));
        }
        requests.push(Request::Open(path));
        questions.after(&mut requests);
        let asks_attributes = requests.len();
        if !proof.is_by_names() {
            requests.push(Request::Fstat(GUESS));
        }
        requests.extend(reads.iter().map(|(offset, length)| read(GUESS, *offset, *length)));
        if guessed {
            requests.push(Request::Close(GUESS));
        }
        // By names, what is behind the opening says whether the path had a link then.
        let file = (guessed && !proof.is_by_names())
            .then_some(FilePart { requests: requests.len(), attributes: asks_attributes });
        if max_entries.is_some() {
            requests.push(Request::OpenDir(path));
            questions.after(&mut requests);
            requests.extend((0..listing).map(|_| Request::ReadDir(GUESS)));
            if guessed {
                requests.push(Request::Close(GUESS));
            }
        }
        let max_entries = max_entries.unwrap_or_default();
        let replies = match guessed {
            true => self.guess(&requests, max_entries, file, call).await?.ok_or(Halt::NoGuessing)?,
            false => self.ask(&requests, max_entries, call).await?,
        };
        let mut replies = replies.into_iter();
        let before = questions.take_before(&mut replies)?;
        let named = proof.is_by_names().then(|| attributes(replies.next()));
        let file = source(replies.next());
        let file_place = questions.take_after(&before, &mut replies);
        let attributes = named.unwrap_or_else(|| attributes(replies.next()));
        let reads = replies.by_ref().take(reads.len()).collect();
        if guessed {
            replies.next();
        }
        let directory = source(replies.next());
        let directory_place = questions.take_after(&before, &mut replies);
        let listing = replies.take(listing).collect();
        if proof.is_by_names() {
            // A link comes first: what is behind it is nobody's business yet.
            let place = match (file_place, directory_place) {
                (Err(Halt::Link(to)), _) | (_, Err(Halt::Link(to))) => return Err(Halt::Link(to)),
                (place, also) => also.and(place),
            };
            let attributes = attributes.map_err(|status| status_error(&status, proof.asked()))?;
            return Ok(Found { attributes, file, directory, place: place?, reads, listing });
        }
        let attributes = match (&file, attributes) {
            (Ok(_), Ok(attributes)) => attributes,
            (Ok(_), Err(_)) => return Err(Halt::NoProof),
            (Err(status), _) if is_settled(status) => return Err(status_error(status, proof.asked()).into()),
            (Err(status), _) => return Err(Halt::NotOpened(status.clone())),
        };
        let place = file_place?;
        // A directory is opened twice; what is told of it was asked the first time.
        if attributes.kind() == FileKind::Directory && directory.is_ok() && directory_place? != place {
            return Err(swapped(proof.asked()).into());
        }
        Ok(Found { attributes, file, directory, place, reads, listing })
    }

    /// Reads on until the file ends, enough has come, or its size has come.
    async fn finish(
        &self,
        mut reading: Reading,
        first: Opening<'_>,
        size: Option<u64>,
        cap: usize,
        call: &Call,
    ) -> Result<Capture, Halt> {
        let path = first.proof.asked();
        // Sizes of 0 are a lie in /proc, and a file may have grown: then only its end is believed.
        while !reading.ended && reading.length < reading.wanted && size.is_none_or(|size| reading.end() != size) {
            let plan = reading.plan();
            let before = reading.length;
            let replies = self.read_more(first, &plan, call).await?;
            reading.take(&plan, replies, self).map_err(|status| refused(first, &status))?;
            if reading.length == before && !reading.ended {
                return Err(status_error(&Status::default(), path).into());
            }
        }
        let end = reading.end();
        let mut more = !reading.ended && size.is_some_and(|size| size > end);
        if !reading.ended && size.is_none_or(|size| end > size) {
            let replies = self.read_more(first, &[(end, 1)], call).await?;
            more = matches!(replies.first(), Some(Reply::Data(data)) if !data.is_empty());
            reading.ended = !more;
        }
        let total = match size {
            _ if reading.ended && reading.length > 0 => Some(end),
            size => size.filter(|size| reading.ended || *size >= end),
        };
        let mut data = reading.into_bytes();
        if data.len() > cap {
            data.truncate(cap);
            more = true;
        }
        Ok(Capture { data, truncated: more, total, modified: None })
    }

    async fn read_more(&self, first: Opening<'_>, plan: &[(u64, u32)], call: &Call) -> Result<Vec<Reply>, Halt> {
        let reads = |handle| plan.iter().map(move |(offset, length)| read(handle, *offset, *length));
        match first.source {
            Source::Handle(handle) => Ok(self.ask(&reads(handle.as_bytes()).collect::<Vec<_>>(), 0, call).await?),
            Source::Path => self.again(first, Request::Open(first.proof.path()), reads(GUESS), 0, call).await,
        }
    }

    /// Opens what was opened before again, with guessed handles: the answers to `then`.
    pub(super) async fn again<'a>(
        &'a self,
        first: Opening<'a>,
        open: Request<'a>,
        then: impl Iterator<Item = Request<'a>>,
        max_entries: usize,
        call: &Call,
    ) -> Result<Vec<Reply>, Halt> {
        let path = first.proof.asked();
        let questions = self.questions(first.proof);
        let mut requests = Vec::new();
        questions.before(&mut requests);
        requests.push(open);
        questions.after(&mut requests);
        requests.extend(then);
        requests.push(Request::Close(GUESS));
        let mut replies = self.guess(&requests, max_entries, None, call).await?.ok_or(Halt::NoGuessing)?.into_iter();
        let before = questions.take_before(&mut replies)?;
        let opened = source(replies.next());
        let place = questions.take_after(&before, &mut replies);
        opened.map_err(|status| status_error(&status, path))?;
        if place.ok().as_ref() != Some(first.place) {
            return Err(swapped(path).into());
        }
        replies.next_back();
        Ok(replies.collect())
    }
}

impl Reading {
    fn new(start: u64, wanted: usize, read_length: u32) -> Self {
        Self { start, wanted, length: 0, chunks: Vec::new(), read_length, ended: false }
    }

    fn into_bytes(mut self) -> Bytes {
        if let [_] = &self.chunks[..] {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        for chunk in self.chunks {
            whole.extend_from_slice(&chunk);
        }
        whole.freeze()
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.length as u64)
    }

    /// The next flight's READs, each of an offset and a length.
    fn plan(&self) -> Vec<(u64, u32)> {
        let mut left = (self.wanted - self.length).min(FLIGHT_BYTES);
        let mut offset = self.end();
        let mut plan = Vec::new();
        while left > 0 && plan.len() < MAX_READS {
            let length = u32::try_from(left).unwrap_or(u32::MAX).min(self.read_length);
            plan.push((offset, length));
            offset = offset.saturating_add(u64::from(length));
            left -= length as usize;
        }
        plan
    }

    /// Takes what follows without a gap. Behind a short answer the rest is left for the next flight.
    fn take(&mut self, plan: &[(u64, u32)], replies: Vec<Reply>, channel: &SftpChannel) -> Result<(), Status> {
        for ((offset, asked), reply) in plan.iter().zip(replies) {
            if *offset != self.end() || self.ended {
                // The file goes on behind a short answer: the server has a lower limit than was assumed.
                if matches!(&reply, Reply::Data(data) if !data.is_empty()) && !self.ended {
                    channel.shorten_reads(self.read_length);
                }
                break;
            }
            match reply {
                Reply::Data(data) if !data.is_empty() && data.len() <= *asked as usize => {
                    if data.len() < *asked as usize {
                        // A file of /proc comes in pieces of about this size: ask for the next ones all at once.
                        self.read_length = u32::try_from(data.len()).unwrap_or(u32::MAX).max(MIN_READ);
                    }
                    self.length += data.len();
                    self.chunks.push(data);
                }
                Reply::Data(_) | Reply::Status(Status { code: wire::STATUS_EOF, .. }) => self.ended = true,
                Reply::Status(status) => return Err(status),
                _ => break,
            }
        }
        Ok(())
    }
}

/// What becomes of a path whose handle was refused so. A guess is to blame only where nothing else has shown that it was right: what a
/// descriptor proves is never given up for what names tell.
pub(super) fn refused(first: Opening<'_>, status: &Status) -> Halt {
    match first.source {
        Source::Path if first.proof.is_by_names() => Halt::Doubtful(status.clone()),
        Source::Path | Source::Handle(_) => status_error(status, first.proof.asked()).into(),
    }
}

pub(super) fn read(handle: &[u8], offset: u64, length: u32) -> Request<'_> {
    Request::Read { handle, offset, length }
}

pub(super) fn attributes(reply: Option<Reply>) -> Result<Attributes, Status> {
    match reply {
        Some(Reply::Attributes(attributes)) => Ok(attributes),
        Some(Reply::Status(status)) => Err(status),
        _ => Err(Status::default()),
    }
}

/// Whether an OPEN that failed so would say the same of a directory, and of what is neither file nor directory.
fn is_settled(status: &Status) -> bool {
    matches!(status.code, wire::STATUS_NO_SUCH_FILE | wire::STATUS_PERMISSION_DENIED)
}

fn source(reply: Option<Reply>) -> Result<Source, Status> {
    match reply {
        Some(Reply::Guessed) => Ok(Source::Path),
        Some(Reply::Handle(handle)) => Ok(Source::Handle(handle)),
        Some(Reply::Status(status)) => Err(status),
        _ => Err(Status::default()),
    }
}

pub(super) fn status_error(status: &Status, path: &[u8]) -> HostError {
    let path = shown(path);
    match status.code {
        wire::STATUS_NO_SUCH_FILE => {
            HostError::new(ErrorKind::NotFound, format!("no such file or directory: `{path}`"))
        }
        wire::STATUS_PERMISSION_DENIED => HostError::new(ErrorKind::Permission, format!("permission denied: `{path}`")),
        wire::STATUS_UNSUPPORTED => {
            HostError::new(ErrorKind::Unsupported, format!("the SFTP server cannot do this: `{path}`"))
        }
        code if status.text.is_empty() => {
            HostError::new(ErrorKind::Remote, format!("the SFTP server failed with status {code}: `{path}`"))
        }
        _ => HostError::new(ErrorKind::Remote, format!("the SFTP server says `{}`: `{path}`", shown(&status.text))),
    }
}

/// A handle that stays open.
pub(super) fn handle(reply: Option<Reply>) -> Result<RealHandle, Status> {
    match reply {
        Some(Reply::Handle(handle)) => Ok(handle),
        Some(Reply::Status(status)) => Err(status),
        _ => Err(Status::default()),
    }
}
