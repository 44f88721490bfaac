//! A large file, or a part of one, as a stream.
//!
//! Many READs are on the wire at once. Their number grows while the receiver waits for the server and never exceeds
//! [`MAX_WINDOW`]; a READ is asked for only when there is room for its answer, so a slow receiver slows the server down
//! and not the connection. Runs on the lane for bulk, with a handle of its own. **What is delivered has no gap and is
//! never delivered twice**; a transfer whose channel dies goes on with another one if the file is still the same.

use std::collections::VecDeque;

use scout_machine::path::{not_a_file, shown, swapped};
use scout_machine::{Attributes, Call, ErrorKind, FileKind, HostError, RemotePath, TruePath};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::channel::{Flight, RealHandle, Reply, within};
use super::confine::Proof;
use super::operations::{Halt, MIN_READ, attributes, handle, read, status_error};
use super::wire::{self, Request, Status};
use super::{SftpChannel, SftpError};

/// Bytes under way at first: a few READs of OpenSSH.
const FIRST_WINDOW: usize = 1024 * 1024;
/// Bytes under way or waiting for the receiver at most: 100 ms of 80 MB/s.
const MAX_WINDOW: usize = 8 * 1024 * 1024;
/// READs under way at most; the rest of a channel's flights are for its neighbours.
const MAX_READS: usize = 48;

/// Which bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The whole file, up to where it ends when it is opened.
    Whole,
    /// At most `length` bytes from `offset` on.
    Range {
        /// Where the first byte is.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// From `offset` on, up to where the file ends when it is opened.
    From(u64),
    /// The last bytes, at most this many. Of a file whose size is not told, as under /proc, all of them.
    Last(u64),
}

impl Part {
    /// Where it begins and, as far as is known, ends.
    pub(crate) fn of(self, attributes: Attributes) -> (u64, Option<u64>) {
        // A size of nothing is believed of no file: those of /proc have content all the same.
        let size = attributes.size.filter(|size| *size > 0);
        match self {
            Self::Whole => (0, size),
            Self::From(offset) => (offset, size),
            Self::Range { offset, length } => {
                let end = offset.saturating_add(length);
                (offset, Some(size.map_or(end, |size| end.min(size))))
            }
            Self::Last(count) => (size.map_or(0, |size| size.saturating_sub(count)), size),
        }
    }
}

/// What became of a file while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Size and modification time are as they were.
    None,
    /// It is longer than it was; what was delivered ends where it ended before.
    Grew,
    /// It is shorter than it was.
    Shrank,
    /// It was written to: what was delivered may mix old and new content.
    Rewritten,
    /// The server does not tell its size or time.
    Unknown,
}

/// A file's transfer that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Of the file when it was opened.
    pub before: Attributes,
    /// Of the same file after the last byte.
    pub after: Attributes,
    /// Where the first delivered byte was.
    pub offset: u64,
    /// How many bytes were delivered.
    pub bytes: u64,
    /// Whether the file ended before all the bytes of the part had come.
    pub is_short: bool,
}

impl Transfer {
    /// What became of the file meanwhile.
    pub fn change(&self) -> Change {
        let (Some(before), Some(after)) = (self.before.size, self.after.size) else { return Change::Unknown };
        match (before, after) {
            _ if after < before => Change::Shrank,
            _ if after > before => Change::Grew,
            // Files of /proc have no size; that it is nothing says nothing.
            (0, 0) if self.bytes > 0 => Change::Unknown,
            _ if self.is_short => Change::Shrank,
            _ if self.before.mtime.is_none() => Change::Unknown,
            _ if self.before.mtime != self.after.mtime => Change::Rewritten,
            _ => Change::None,
        }
    }
}

/// A transfer as far as it has come; [`run`](Self::run) it on one channel after another until it is through.
pub(crate) struct Download<'a, W> {
    path: &'a RemotePath,
    part: Part,
    sink: &'a mut W,
    /// What was found at the path, which truly lies there.
    seen: Option<Attributes>,
    begun: Option<Begun>,
    delivered: u64,
}

/// The file as it was found.
#[derive(Clone, Copy)]
struct Begun {
    attributes: Attributes,
    offset: u64,
    /// Where the part ends, as far as is known.
    end: Option<u64>,
}

/// A READ under way.
struct Ahead {
    offset: u64,
    length: u32,
    flight: Flight,
    /// How many answers one upon another it waits for.
    round: u64,
}

impl<'a, W: AsyncWrite + Unpin> Download<'a, W> {
    /// Nothing yet of this part of the file.
    pub(crate) fn new(path: &'a RemotePath, part: Part, sink: &'a mut W) -> Self {
        Self { path, part, sink, seen: None, begun: None, delivered: 0 }
    }

    /// Of the file alone that was found there: what is opened must truly lie there, and have its owner, group and mode.
    pub(crate) fn of(self, seen: Option<Attributes>) -> Self {
        Self { seen, ..self }
    }

    /// Delivers what is missing.
    ///
    /// # Cancel safety
    /// The file is closed; what was delivered stays delivered.
    pub(crate) async fn run(&mut self, channel: &SftpChannel, call: &Call) -> Result<Transfer, SftpError> {
        let path = channel.resolve(self.path, call).await?;
        let path = path.plain();
        // Never opened unless regular: an OPEN of a FIFO would hang the server and all that share it.
        let seen = channel.stat_remote(path, call).await?;
        if seen.has_kind() && seen.kind() != FileKind::File {
            return Err(not_a_file(path).into());
        }
        let opened = match self.seen {
            Some(_) => Ok(open_there(channel, path, call).await?),
            None => handle(channel.ask(&[Request::Open(path)], 0, call).await?.into_iter().next()),
        };
        let handle = match opened {
            Ok(handle) => handle,
            Err(_) if !seen.has_kind() && channel.kind_by_opening(path, call).await? == Some(FileKind::Directory) => {
                return Err(not_a_file(path).into());
            }
            Err(status) => return Err(status_error(&status, path).into()),
        };
        let begun = self.begin(channel, &handle, seen, call).await?;
        self.pump(channel, &handle, begun, path, call).await?;
        within(call, async { Ok(self.sink.flush().await.map_err(|error| receiver_failed(&error))?) }).await?;
        let replies = channel.ask_and_close(handle, |handle| vec![Request::Fstat(handle)], call).await?;
        let after = attributes(replies.into_iter().next()).unwrap_or_default();
        let arrived = begun.offset.saturating_add(self.delivered);
        Ok(Transfer {
            before: begun.attributes,
            after,
            offset: begun.offset,
            bytes: self.delivered,
            is_short: begun.end.is_some_and(|end| arrived < end),
        })
    }

    /// Settles where the part lies, or that the file is still the one that was begun.
    async fn begin(
        &mut self,
        channel: &SftpChannel,
        handle: &RealHandle,
        seen: Attributes,
        call: &Call,
    ) -> Result<Begun, SftpError> {
        // What is open may be another file than the one that was looked at.
        let mut replies = channel.ask(&[Request::Fstat(handle.as_bytes())], 0, call).await?.into_iter();
        let attributes = attributes(replies.next()).unwrap_or(seen);
        if attributes.has_kind() && attributes.kind() != FileKind::File {
            return Err(not_a_file(self.path.bytes()).into());
        }
        let identity = |of: Attributes| (of.uid, of.gid, of.permissions);
        if self.seen.is_some_and(|seen| identity(seen) != identity(attributes)) {
            return Err(swapped(self.path.bytes()).into());
        }
        if let Some(begun) = self.begun {
            let timeless = |of: Attributes| Attributes { atime: None, ..of };
            if self.delivered > 0 && timeless(begun.attributes) != timeless(attributes) {
                let (path, bytes) = (shown(self.path.bytes()), self.delivered);
                let message = format!("`{path}` changed while its transfer was interrupted, after {bytes} bytes");
                return Err(HostError::new(ErrorKind::Remote, message).with_hint("begin again").into());
            }
            return Ok(begun);
        }
        let (offset, end) = self.part.of(attributes);
        let begun = Begun { attributes, offset, end };
        self.begun = Some(begun);
        Ok(begun)
    }

    async fn pump(
        &mut self,
        channel: &SftpChannel,
        handle: &RealHandle,
        begun: Begun,
        path: &[u8],
        call: &Call,
    ) -> Result<(), SftpError> {
        let mut ahead: VecDeque<Ahead> = VecDeque::new();
        let mut next = begun.offset.saturating_add(self.delivered);
        let (mut under_way, mut window) = (0, FIRST_WINDOW);
        let mut read_length = channel.read_length();
        let (mut round, mut counted) = (0, 0);
        loop {
            while ahead.len() < MAX_READS && under_way < window && begun.end.is_none_or(|end| next < end) {
                let left = begun.end.map_or(u64::MAX, |end| end - next);
                let length = u32::try_from(left).unwrap_or(u32::MAX).min(read_length);
                let flight = channel.launch(&[read(handle.as_bytes(), next, length)], call).await?;
                ahead.push_back(Ahead { offset: next, length, flight, round: round + 1 });
                next = next.saturating_add(u64::from(length));
                under_way += length as usize;
            }
            let Some(mut first) = ahead.pop_front() else { return Ok(()) };
            let waits = !first.flight.has_landed();
            let reply = first.flight.land(call).await?.into_iter().next();
            under_way -= first.length as usize;
            round = round.max(first.round);
            call.cost.add_round_trips(round - counted);
            counted = round;
            if waits {
                window = (window + first.length as usize).min(MAX_WINDOW);
            }
            let data = match reply {
                Some(Reply::Data(data)) if !data.is_empty() => data,
                Some(Reply::Data(_) | Reply::Status(Status { code: wire::STATUS_EOF, .. })) => return Ok(()),
                Some(Reply::Status(status)) => return Err(status_error(&status, path).into()),
                _ => return Err(status_error(&Status::default(), path).into()),
            };
            within(call, async { Ok(self.sink.write_all(&data).await.map_err(|error| receiver_failed(&error))?) })
                .await?;
            let length = u32::try_from(data.len()).unwrap_or(first.length);
            self.delivered += u64::from(length);
            if length < first.length {
                // Files of /proc answer in pieces, and a server may have a lower limit: what follows is asked for again.
                ahead.clear();
                under_way = 0;
                read_length = length.max(MIN_READ);
                next = first.offset.saturating_add(u64::from(length));
            }
        }
    }
}

/// Opens a file that truly lies where its path says: that is asked in the flight that opens it.
async fn open_there(channel: &SftpChannel, path: &[u8], call: &Call) -> Result<RealHandle, SftpError> {
    let mut proof = channel.proof(path, call).await?;
    loop {
        match open_placed(channel, &proof, call).await {
            Ok((handle, place)) if place.path == path => return Ok(handle),
            Ok(_) => return Err(swapped(path).into()),
            Err(halt) => proof = channel.otherwise(proof, halt, call).await?,
        }
    }
}

async fn open_placed(channel: &SftpChannel, proof: &Proof<'_>, call: &Call) -> Result<(RealHandle, TruePath), Halt> {
    let questions = channel.questions_beside_others(proof);
    let mut requests = Vec::new();
    questions.before(&mut requests);
    requests.push(Request::Open(proof.path()));
    questions.after(&mut requests);
    let mut replies = channel.ask(&requests, 0, call).await?.into_iter();
    let before = questions.take_before(&mut replies)?;
    let opened = handle(replies.next());
    match (opened, questions.take_after(&before, &mut replies)) {
        (_, Err(Halt::Link(to))) => Err(Halt::Link(to)),
        (Err(status), _) => Err(Halt::NotOpened(status)),
        (Ok(handle), place) => Ok((handle, place?)),
    }
}

pub(crate) fn receiver_failed(error: &std::io::Error) -> HostError {
    HostError::new(ErrorKind::Cancelled, format!("the receiver of the file takes no more: {error}"))
}
