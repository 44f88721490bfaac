//! What is read over a channel: a path of unknown kind, a part of a file, attributes.
//!
//! A short operation is one flight. What one flight cannot hold is read by further flights that open the path again
//! (guessed handles live for one flight only), or, where handles cannot be guessed, with a real handle that closes
//! itself. No more than the cap is ever asked for, so a cap bounds the wire as well as the memory.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};

use super::channel::{GUESS, RealHandle, Reply};
use super::upload::real_path;
use super::wire::{self, Extension, Request, Status};
use super::{Attributes, DirEntry, FileKind, FileSystem, Opened, SftpChannel, SftpError, TruePath};
use crate::{Call, Capture, ErrorKind, SshError};

/// Longer than any system's PATH_MAX.
const MAX_PATH: usize = 4096;
/// How much of a path an error message shows.
const SHOWN: usize = 200;
/// Bytes asked for in one flight: one round trip for most files, and neighbours do not wait for long.
pub(super) const FLIGHT_BYTES: usize = 2 * 1024 * 1024;
/// READs in one flight at most.
const MAX_READS: usize = 512;
/// No READ is made shorter than this because of a short answer.
pub(super) const MIN_READ: u32 = 1024;
/// READDIRs behind a path of unknown kind: on OpenSSH 200 names and the end.
const FIRST_LISTING: usize = 3;
/// READDIRs of one flight at most.
const MAX_LISTING: usize = 1024;
/// READDIRs at a time with a real handle.
const HANDLE_LISTING: usize = 8;

/// How handles are had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handles {
    Guessed,
    Real,
}

/// Why an operation stopped.
enum Halt {
    /// This server's handles cannot be guessed: start again with real ones.
    NoGuessing,
    Failed(SftpError),
}

impl From<SftpError> for Halt {
    fn from(error: SftpError) -> Self {
        Self::Failed(error)
    }
}

impl From<SshError> for Halt {
    fn from(error: SshError) -> Self {
        Self::Failed(error.into())
    }
}

/// Where the rest of a file or listing comes from.
enum Source {
    /// The path, opened again in each flight.
    Path,
    /// A handle that stays open.
    Handle(RealHandle),
}

/// The answers to a path's first flight.
struct Found {
    place: Option<TruePath>,
    attributes: Result<Attributes, Status>,
    /// `Err`: what OPEN or OPENDIR answered.
    file: Result<Source, Status>,
    directory: Result<Source, Status>,
    reads: Vec<Reply>,
    listing: Vec<Reply>,
}

/// A part of a file, as far as it has come.
pub(super) struct Reading {
    start: u64,
    /// How many bytes are wanted.
    wanted: usize,
    length: usize,
    chunks: Vec<Bytes>,
    /// What the server answers to one READ of this file.
    read_length: u32,
    pub(super) ended: bool,
}

/// A directory's names, as far as they have come.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<DirEntry>,
    pub(super) ended: bool,
    pub(super) truncated: bool,
}

impl SftpChannel {
    /// Reads whatever the path names: a file's first `cap` bytes, a directory's first `max_entries` names. Nothing
    /// else is opened under /dev, /proc and /sys; elsewhere the OPEN goes out with the STAT, and the watchdog ends a
    /// channel that hangs on it. Before them goes the question where the path truly leads, if the server tells.
    ///
    /// Dropping the future leaves the channel usable.
    pub(crate) async fn open(
        &self,
        path: &[u8],
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, Option<TruePath>), SftpError> {
        let path = self.resolve(path, call).await?;
        if is_guarded(&path) {
            let (attributes, place) = self.stat_placed(&path, call).await?;
            if attributes.kind() == FileKind::Other {
                return Ok((Opened::Other { attributes }, place));
            }
        }
        match self.open_with(Handles::Guessed, &path, cap, max_entries, call).await {
            Err(Halt::NoGuessing) => self.open_with(Handles::Real, &path, cap, max_entries, call).await,
            result => result,
        }
        .map_err(Halt::into_error)
    }

    /// Reads `length` bytes of a regular file from `offset` on, and tells where that lies. Dropping the future leaves the
    /// channel usable.
    pub(crate) async fn read(
        &self,
        path: &[u8],
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture, Option<TruePath>), SftpError> {
        let path = self.resolve(path, call).await?;
        if is_guarded(&path) && self.stat_remote(&path, call).await?.kind() != FileKind::File {
            return Err(not_a_file(&path).into());
        }
        match self.read_with(Handles::Guessed, &path, offset, length, call).await {
            Err(Halt::NoGuessing) => self.read_with(Handles::Real, &path, offset, length, call).await,
            result => result,
        }
        .map_err(Halt::into_error)
    }

    /// The attributes of what the path names, links followed, and where that lies.
    pub(crate) async fn stat(&self, path: &[u8], call: &Call) -> Result<(Attributes, Option<TruePath>), SftpError> {
        let path = self.resolve(path, call).await?;
        self.stat_placed(&path, call).await
    }

    /// The absolute path without links, of what the path names.
    pub(crate) async fn real_path(&self, path: &[u8], call: &Call) -> Result<Vec<u8>, SftpError> {
        let path = self.resolve(path, call).await?;
        // Some servers answer for what does not exist, OpenSSH for a last name that does not.
        let requests = [Request::RealPath(&path), Request::Stat(&path)];
        let mut replies = self.ask(&requests, 0, call).await?.into_iter();
        let real = real_path(replies.next(), &path);
        attributes(replies.next()).map_err(|status| status_error(&status, &path))?;
        Ok(real?)
    }

    /// The file system that holds the path.
    pub(crate) async fn file_system(&self, path: &[u8], call: &Call) -> Result<FileSystem, SftpError> {
        if !self.has(Extension::StatVfs) {
            let message = "the SFTP server does not tell about file systems (statvfs@openssh.com)";
            return Err(SshError::new(ErrorKind::Unsupported, message).into());
        }
        let path = self.resolve(path, call).await?;
        match self.ask(&[Request::StatVfs(&path)], 0, call).await?.into_iter().next() {
            Some(Reply::FileSystem(file_system)) => Ok(file_system),
            Some(Reply::Status(status)) => Err(status_error(&status, &path).into()),
            _ => Err(status_error(&Status::default(), &path).into()),
        }
    }

    /// The path as SFTP has it. Another account's home costs a round trip.
    pub(super) async fn resolve<'a>(&self, path: &'a [u8], call: &Call) -> Result<Cow<'a, [u8]>, SftpError> {
        let Some((home, rest)) = other_home(path).filter(|_| self.has(Extension::ExpandPath)) else {
            return Ok(remote_path(path)?);
        };
        check(path)?;
        match self.ask(&[Request::ExpandPath(home)], 0, call).await?.into_iter().next() {
            Some(Reply::Path(expanded)) if expanded.starts_with(b"/") => Ok([&expanded, rest].concat().into()),
            Some(Reply::Status(_)) => {
                let message = format!("no such account, or it has no home: `{}`", shown(home));
                Err(SshError::new(ErrorKind::NotFound, message).into())
            }
            _ => Err(status_error(&Status::default(), path).into()),
        }
    }

    pub(super) async fn stat_remote(&self, path: &[u8], call: &Call) -> Result<Attributes, SftpError> {
        let mut replies = self.ask(&[Request::Stat(path)], 0, call).await?.into_iter();
        attributes(replies.next()).map_err(|status| status_error(&status, path).into())
    }

    async fn stat_placed(&self, path: &[u8], call: &Call) -> Result<(Attributes, Option<TruePath>), SftpError> {
        let mut replies = self.ask(&[Request::RealPath(path), Request::Stat(path)], 0, call).await?.into_iter();
        let place = place(replies.next());
        Ok((attributes(replies.next()).map_err(|status| status_error(&status, path))?, place))
    }

    async fn open_with(
        &self,
        handles: Handles,
        path: &[u8],
        cap: usize,
        max_entries: usize,
        call: &Call,
    ) -> Result<(Opened, Option<TruePath>), Halt> {
        // A cap of nothing still asks for one byte, to know whether there is any.
        let mut reading = Reading::new(0, cap.max(1), self.read_length());
        let plan = reading.plan();
        let found = self.find(handles, path, &plan, true, max_entries, call).await?;
        let attributes = found.attributes.map_err(|status| status_error(&status, path))?;
        let kind = match attributes.permissions {
            Some(_) => attributes.kind(),
            None if found.directory.is_ok() => FileKind::Directory,
            None => FileKind::File,
        };
        let opened = match kind {
            FileKind::Directory => {
                let source = found.directory.map_err(|status| status_error(&status, path))?;
                let (entries, truncated) = self.list(&source, found.listing, path, max_entries, call).await?;
                Opened::Directory { attributes, entries, truncated }
            }
            FileKind::File => {
                let source = found.file.map_err(|status| status_error(&status, path))?;
                reading.take(&plan, found.reads, self, path)?;
                let content = self.finish(reading, &source, attributes.size, cap, path, call).await?;
                Opened::File { attributes, content }
            }
            FileKind::Symlink | FileKind::Other => Opened::Other { attributes },
        };
        Ok((opened, found.place))
    }

    async fn read_with(
        &self,
        handles: Handles,
        path: &[u8],
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture, Option<TruePath>), Halt> {
        let mut reading = Reading::new(offset, length.max(1), self.read_length());
        let plan = reading.plan();
        let found = self.find(handles, path, &plan, false, 0, call).await?;
        let attributes = found.attributes.map_err(|status| status_error(&status, path))?;
        if attributes.permissions.is_some() && attributes.kind() != FileKind::File {
            return Err(not_a_file(path).into());
        }
        let source = found.file.map_err(|status| status_error(&status, path))?;
        reading.take(&plan, found.reads, self, path)?;
        let content = self.finish(reading, &source, attributes.size, length, path, call).await?;
        Ok((attributes, content, found.place))
    }

    /// The first flight: what is it, and as much of it as fits. With real handles: the handles and nothing else.
    async fn find(
        &self,
        handles: Handles,
        path: &[u8],
        plan: &[(u64, u32)],
        list: bool,
        max_entries: usize,
        call: &Call,
    ) -> Result<Found, Halt> {
        let guessed = handles == Handles::Guessed;
        let (reads, listing) = if guessed { (plan, FIRST_LISTING) } else { (&[][..], 0) };
        let mut requests = vec![Request::RealPath(path), Request::Stat(path), Request::Open(path)];
        requests.extend(reads.iter().map(|(offset, length)| read(GUESS, *offset, *length)));
        if guessed {
            requests.push(Request::Close(GUESS));
        }
        if list {
            requests.push(Request::OpenDir(path));
            requests.extend((0..listing).map(|_| Request::ReadDir(GUESS)));
            if guessed {
                requests.push(Request::Close(GUESS));
            }
        }
        let replies = if guessed {
            self.guess(&requests, max_entries, call).await?.ok_or(Halt::NoGuessing)?
        } else {
            self.ask(&requests, max_entries, call).await?
        };
        let mut replies = replies.into_iter();
        let place = place(replies.next());
        let attributes = attributes(replies.next());
        let file = source(replies.next());
        let reads = replies.by_ref().take(reads.len()).collect();
        if guessed {
            replies.next();
        }
        let directory = source(replies.next());
        let listing = replies.take(listing).collect();
        Ok(Found { place, attributes, file, directory, reads, listing })
    }

    /// Reads on until the file ends, enough has come, or its size has come.
    async fn finish(
        &self,
        mut reading: Reading,
        source: &Source,
        size: Option<u64>,
        cap: usize,
        path: &[u8],
        call: &Call,
    ) -> Result<Capture, Halt> {
        // Sizes of 0 are a lie in /proc, and a file may have grown: then only its end is believed.
        while !reading.ended && reading.length < reading.wanted && size.is_none_or(|size| reading.end() != size) {
            let plan = reading.plan();
            let before = reading.length;
            let replies = self.read_more(source, &plan, path, call).await?;
            reading.take(&plan, replies, self, path)?;
            if reading.length == before && !reading.ended {
                return Err(status_error(&Status::default(), path).into());
            }
        }
        let end = reading.end();
        let mut more = !reading.ended && size.is_some_and(|size| size > end);
        if !reading.ended && size.is_none_or(|size| end > size) {
            let replies = self.read_more(source, &[(end, 1)], path, call).await?;
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
        Ok(Capture { data, truncated: more, total })
    }

    async fn read_more(
        &self,
        source: &Source,
        plan: &[(u64, u32)],
        path: &[u8],
        call: &Call,
    ) -> Result<Vec<Reply>, Halt> {
        match source {
            Source::Handle(handle) => {
                let requests: Vec<_> =
                    plan.iter().map(|(offset, length)| read(handle.as_bytes(), *offset, *length)).collect();
                Ok(self.ask(&requests, 0, call).await?)
            }
            Source::Path => {
                let mut requests = vec![Request::Open(path)];
                requests.extend(plan.iter().map(|(offset, length)| read(GUESS, *offset, *length)));
                requests.push(Request::Close(GUESS));
                self.again(&requests, 0, path, call).await
            }
        }
    }

    /// The rest of a directory: listed again in one long flight, or read on with a real handle.
    async fn list(
        &self,
        source: &Source,
        first: Vec<Reply>,
        path: &[u8],
        max_entries: usize,
        call: &Call,
    ) -> Result<(Vec<DirEntry>, bool), Halt> {
        let answered = first.len();
        let mut listing = Listing::default();
        listing.take(first, path)?;
        match source {
            Source::Handle(handle) => {
                while !listing.is_done(max_entries) {
                    let left = max_entries - listing.entries.len();
                    let requests = [Request::ReadDir(handle.as_bytes()); HANDLE_LISTING];
                    listing.take(self.ask(&requests, left, call).await?, path)?;
                }
            }
            Source::Path => {
                let mut answered = answered.max(1);
                while !listing.is_done(max_entries) && answered < MAX_LISTING {
                    let per_answer = (listing.entries.len() / answered).max(1);
                    let needed = (max_entries / per_answer).saturating_add(2);
                    let batch = needed.clamp(answered * 2, (answered * 16).max(128)).min(MAX_LISTING);
                    let mut requests = vec![Request::OpenDir(path)];
                    requests.extend((0..batch).map(|_| Request::ReadDir(GUESS)));
                    requests.push(Request::Close(GUESS));
                    listing = Listing::default();
                    listing.take(self.again(&requests, max_entries, path, call).await?, path)?;
                    answered = batch;
                }
            }
        }
        let more = listing.truncated || !listing.ended;
        Ok((listing.entries, more))
    }

    /// Opens the path again, with guessed handles: the replies between the OPEN and the CLOSE.
    async fn again(
        &self,
        requests: &[Request<'_>],
        max_entries: usize,
        path: &[u8],
        call: &Call,
    ) -> Result<Vec<Reply>, Halt> {
        let mut replies = self.guess(requests, max_entries, call).await?.ok_or(Halt::NoGuessing)?.into_iter();
        source(replies.next()).map_err(|status| status_error(&status, path))?;
        replies.next_back();
        Ok(replies.collect())
    }
}

impl Halt {
    fn into_error(self) -> SftpError {
        match self {
            Self::Failed(error) => error,
            // Real handles do not guess.
            Self::NoGuessing => SftpError::Closed,
        }
    }
}

impl Reading {
    pub(super) fn new(start: u64, wanted: usize, read_length: u32) -> Self {
        Self { start, wanted, length: 0, chunks: Vec::new(), read_length, ended: false }
    }

    pub(super) fn into_bytes(mut self) -> Bytes {
        if let [_] = &self.chunks[..] {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        for chunk in self.chunks {
            whole.extend_from_slice(&chunk);
        }
        whole.freeze()
    }

    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.length as u64)
    }

    /// The next flight's READs, each of an offset and a length.
    pub(super) fn plan(&self) -> Vec<(u64, u32)> {
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
    pub(super) fn take(
        &mut self,
        plan: &[(u64, u32)],
        replies: Vec<Reply>,
        channel: &SftpChannel,
        path: &[u8],
    ) -> Result<(), SshError> {
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
                Reply::Status(status) => return Err(status_error(&status, path)),
                _ => break,
            }
        }
        Ok(())
    }
}

impl Listing {
    fn is_done(&self, max_entries: usize) -> bool {
        self.ended || self.truncated || self.entries.len() >= max_entries
    }

    pub(super) fn take(&mut self, replies: Vec<Reply>, path: &[u8]) -> Result<(), SshError> {
        for reply in replies {
            match reply {
                Reply::Names(entries, left_out) => {
                    self.entries.extend(entries);
                    self.truncated |= left_out;
                }
                Reply::Status(Status { code: wire::STATUS_EOF, .. }) => {
                    self.ended = true;
                    break;
                }
                Reply::Status(status) => return Err(status_error(&status, path)),
                _ => break,
            }
        }
        Ok(())
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

/// Where a path leads, asked of its name; nothing if the server does not tell.
fn place(reply: Option<Reply>) -> Option<TruePath> {
    let path = real_path(reply, b"").ok()?;
    Some(TruePath { path, is_proven: false })
}

fn source(reply: Option<Reply>) -> Result<Source, Status> {
    match reply {
        Some(Reply::Guessed) => Ok(Source::Path),
        Some(Reply::Handle(handle)) => Ok(Source::Handle(handle)),
        Some(Reply::Status(status)) => Err(status),
        _ => Err(Status::default()),
    }
}

pub(super) fn status_error(status: &Status, path: &[u8]) -> SshError {
    let path = shown(path);
    match status.code {
        wire::STATUS_NO_SUCH_FILE => SshError::new(ErrorKind::NotFound, format!("no such file or directory: `{path}`")),
        wire::STATUS_PERMISSION_DENIED => SshError::new(ErrorKind::Permission, format!("permission denied: `{path}`")),
        wire::STATUS_UNSUPPORTED => {
            SshError::new(ErrorKind::Unsupported, format!("the SFTP server cannot do this: `{path}`"))
        }
        code if status.text.is_empty() => {
            SshError::new(ErrorKind::Remote, format!("the SFTP server failed with status {code}: `{path}`"))
        }
        _ => SshError::new(ErrorKind::Remote, format!("the SFTP server says `{}`: `{path}`", shown(&status.text))),
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

pub(super) fn remote_error(what: &str, path: &[u8]) -> SshError {
    SshError::new(ErrorKind::Remote, format!("{what}: `{}`", shown(path)))
}

pub(crate) fn not_a_file(path: &[u8]) -> SshError {
    SshError::new(ErrorKind::NotReadable, format!("not a regular file: `{}`", shown(path)))
}

/// Foreign bytes for a message: control and formatting characters escaped, the length bounded.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes));
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\'' | '"' | '\\' => out.push(character),
            // Escapes what does not print, bidi and zero-width characters included.
            other => write!(out, "{}", other.escape_debug()).unwrap_or_default(),
        }
    }
    if bytes.len() > SHOWN {
        out.push('…');
    }
    out
}

/// That a path is one.
pub(crate) fn check(path: &[u8]) -> Result<(), SshError> {
    if path.contains(&0) {
        return Err(SshError::new(ErrorKind::Invalid, "a path holds a NUL byte"));
    }
    if path.len() > MAX_PATH {
        return Err(SshError::new(ErrorKind::Invalid, format!("a path is longer than {MAX_PATH} bytes")));
    }
    Ok(())
}

/// `~user` and what follows it, if the path begins so.
pub(crate) fn other_home(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let (home, rest) = path.split_at_checked(end)?;
    (home.len() > 1 && home.starts_with(b"~")).then_some((home, rest))
}

/// The path as SFTP has it: relative to the home directory, since SFTP knows no `~`.
pub(crate) fn remote_path(path: &[u8]) -> Result<Cow<'_, [u8]>, SshError> {
    check(path)?;
    if other_home(path).is_some() {
        let message = format!("another account's home cannot be looked up over SFTP: `{}`", shown(path));
        return Err(SshError::new(ErrorKind::Unsupported, message).with_hint("give the absolute path"));
    }
    let relative = match path.strip_prefix(b"~") {
        Some(rest) => {
            rest.iter().position(|byte| *byte != b'/').and_then(|start| rest.get(start..)).unwrap_or_default()
        }
        None => path,
    };
    Ok(if relative.is_empty() { b"."[..].into() } else { relative.into() })
}

/// Whether the path may name a device or a file that blocks: lexically under /dev, /proc or /sys, or above home.
pub(crate) fn is_guarded(path: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = Vec::new();
    let absolute = path.starts_with(b"/");
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_none() && !absolute => return true,
            b".." => {}
            part => parts.push(part),
        }
    }
    absolute && matches!(parts.first(), Some(&(b"dev" | b"proc" | b"sys")))
}
