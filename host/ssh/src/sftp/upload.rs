//! A file written as a whole: to a temporary name beside it, then renamed.
//!
//! **The target is either what it was or all of the new content, never a part**, whatever fails and whenever. Owns the
//! steps; removing the temporary file when they do not all succeed is the caller's, who knows other channels.
//!
//! A symbolic link is followed and stays: what it leads to is replaced. Owner and permission bits are those of the file
//! that is replaced; its ACLs, extended attributes and further hard links are not carried over, as version 3 of SFTP
//! knows none of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use scout_machine::path::{remote_error, shown};
use scout_machine::transfer::{NewFile, random_name};
use scout_machine::{Attributes, Call, ErrorKind, FileKind, HostError, RemotePath};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::channel::{Flight, RealHandle, Reply, within};
use super::operations::{attributes, handle, status_error};
use super::wire::{self, Extension, Request, Status};
use super::{SftpChannel, SftpError};

/// Bytes of one WRITE at most: its answer is the only sign of progress on a slow line.
const PIECE: usize = 64 * 1024;
/// Bytes without an answer at most.
const WINDOW: usize = 2 * 1024 * 1024;
/// Of a file whose mode is set when it is complete: until then it is its owner's.
const PRIVATE: u32 = 0o600;
/// That the group or everybody may write.
const OTHERS_WRITE: u32 = 0o022;
/// Of a new file without a mode of its own; the account's umask takes bits away.
const ORDINARY: u32 = 0o666;
/// What can be set of a mode.
const MODE_BITS: u32 = 0o7777;
/// Less room than this on a file system explains a WRITE that failed.
const NO_SPACE: u64 = 1024 * 1024;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Permission bits; absent: those of the file that is replaced, or what the account's umask leaves of 0666.
    pub mode: Option<u32>,
    /// Whether a file that exists may be replaced.
    pub replace: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { mode: None, replace: true }
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is, links followed.
    pub path: Vec<u8>,
    /// Its bytes.
    pub bytes: u64,
    /// Whether it replaced another one.
    pub replaced: bool,
    /// Whether the server wrote it through to the disk before it got its name.
    pub synced: bool,
}

/// What is to be written where.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The final name, links followed.
    target: Vec<u8>,
    /// The name until then.
    temporary: Vec<u8>,
    /// What has the final name now.
    old: Option<Attributes>,
    mode: Option<u32>,
    /// How many bytes it will have, if that is known.
    size: Option<u64>,
    /// Bytes that are there of an earlier try; absent: there was none.
    resumed: Option<u64>,
    /// Whether what is there of this one may be gone on with.
    is_resumable: bool,
    /// Bytes that are there by now.
    landed: Arc<AtomicU64>,
    /// Whether the temporary file was opened: until then one that is there is somebody else's.
    is_open: Arc<AtomicBool>,
}

impl Plan {
    /// The name of the temporary file.
    pub(crate) fn temporary(&self) -> &[u8] {
        &self.temporary
    }

    /// The name in the end.
    pub(crate) fn target(&self) -> &[u8] {
        &self.target
    }

    /// How many bytes are there of an earlier try: the file is written from there on.
    pub(crate) fn resumed(&self) -> u64 {
        self.resumed.unwrap_or_default()
    }

    /// Whether a later try may go on with what this one leaves: nobody else could exchange it.
    pub(crate) fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// How many bytes of the temporary file are there by now.
    pub(crate) fn landed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.landed)
    }

    /// Whether the temporary file is this plan's own by now. One that has a random name is nobody else's from the beginning.
    pub(crate) fn is_open(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_open)
    }

    /// The same from the first byte on: what was there of an earlier try is not there any more.
    pub(crate) fn afresh(self) -> Self {
        Self { resumed: None, landed: Arc::default(), ..self }
    }

    /// Whether it takes the place of a file.
    pub(crate) fn replaces(&self) -> bool {
        self.old.is_some()
    }

    fn directory(&self) -> &[u8] {
        parent(&self.target)
    }
}

/// Why a file was not written.
pub(crate) enum WriteError {
    /// The target is untouched.
    Untouched(SftpError),
    /// The rename was sent and not answered: the target is the old file or the new one, whole.
    Unknown(SftpError),
}

impl SftpChannel {
    /// Looks at the target and decides how it is written. Changes nothing.
    pub(crate) async fn plan_write(
        &self,
        path: &RemotePath,
        options: &WriteOptions,
        call: &Call,
    ) -> Result<Plan, SftpError> {
        let path = self.resolve(path, call).await?;
        let path = path.plain();
        let requests = [Request::Lstat(path), Request::Stat(path), Request::RealPath(path)];
        let mut replies = self.ask(&requests, 0, call).await?.into_iter();
        let (own, followed) = (attributes(replies.next()), attributes(replies.next()));
        let real = real_path(replies.next(), path);
        let refuse = |kind, what: &str| Err(HostError::new(kind, format!("{what}: `{}`", shown(path))).into());
        let old = match (own, followed) {
            (Err(status), _) if status.code == wire::STATUS_NO_SUCH_FILE => None,
            (Ok(_), Err(status)) if status.code == wire::STATUS_NO_SUCH_FILE => {
                return refuse(ErrorKind::NotFound, "a symbolic link that leads nowhere");
            }
            (Err(status), _) | (_, Err(status)) => return Err(status_error(&status, path).into()),
            (Ok(_), Ok(followed)) => Some(followed),
        };
        let kind = match old {
            Some(old) if !old.has_kind() => Some(self.kind_by_opening(path, call).await?.unwrap_or(FileKind::Other)),
            old => old.map(|old| old.kind()),
        };
        match kind {
            None | Some(FileKind::File) => {}
            Some(FileKind::Directory) => return refuse(ErrorKind::Invalid, "is a directory"),
            Some(FileKind::Symlink | FileKind::Other) => {
                return refuse(ErrorKind::NotReadable, "not a regular file");
            }
        }
        if old.is_some() && !options.replace {
            return refuse(ErrorKind::Invalid, "exists already");
        }
        if old.is_some() && !self.has(Extension::PosixRename) {
            return refuse(ErrorKind::Unsupported, "exists, and the SFTP server cannot replace a file in one step");
        }
        // A server that gives no true path for what does not exist yet: the name is taken as it is.
        let target = match real {
            Ok(real) => real,
            Err(_) if old.is_none() => path.to_vec(),
            Err(error) => return Err(error.into()),
        };
        if !target.rsplit(|byte| *byte == b'/').next().is_some_and(is_file_name) {
            return refuse(ErrorKind::Invalid, "not the name of a file");
        }
        let mut temporary = parent(&target).to_vec();
        temporary.extend_from_slice(random_name()?.as_bytes());
        let mode = options.mode.or(old.and_then(|old| old.permissions)).map(|mode| mode & MODE_BITS);
        Ok(Plan {
            target,
            temporary,
            old,
            mode,
            size: None,
            resumed: None,
            is_resumable: false,
            landed: Arc::default(),
            is_open: Arc::new(AtomicBool::new(true)),
        })
    }

    /// The same for a file that is sent, in a directory that was looked at: `path` has no links, and what has its name is none.
    pub(crate) async fn plan_receive(
        &self,
        path: &RemotePath,
        (directory, parent): (&[u8], Attributes),
        new: &NewFile,
        call: &Call,
    ) -> Result<Plan, SftpError> {
        let target = path.plain();
        let refuse = |kind, what: &str| Err(HostError::new(kind, format!("{what}: `{}`", shown(target))).into());
        let beside =
            |name: &str| [directory, if directory.ends_with(b"/") { b"" } else { b"/" }, name.as_bytes()].concat();
        let partial = beside(&new.partial_name());
        // Of the process that serves, its owner is the account: on Linux.
        let requests = [Request::Lstat(target), Request::Lstat(&partial), Request::Stat(b"/proc/self")];
        let mut replies = self.ask(&requests, 0, call).await?.into_iter();
        let (old, found, own) = (attributes(replies.next()), attributes(replies.next()), attributes(replies.next()));
        let old = match old {
            Ok(old) => Some(old),
            Err(status) if status.code == wire::STATUS_NO_SUCH_FILE => None,
            Err(status) => return Err(status_error(&status, target).into()),
        };
        let kind = match old {
            Some(old) if !old.has_kind() => Some(self.kind_by_opening(target, call).await?.unwrap_or(FileKind::Other)),
            old => old.map(|old| old.kind()),
        };
        match kind {
            None => {}
            Some(FileKind::File) if !new.replace => return refuse(ErrorKind::Invalid, "exists already"),
            Some(FileKind::File) if !self.has(Extension::PosixRename) => {
                return refuse(ErrorKind::Unsupported, "exists, and the SFTP server cannot replace a file in one step");
            }
            Some(FileKind::File) => {}
            Some(FileKind::Directory) => return refuse(ErrorKind::Invalid, "is a directory"),
            Some(FileKind::Symlink) => {
                return refuse(ErrorKind::Invalid, "is a symbolic link, which is not written through");
            }
            Some(FileKind::Other) => return refuse(ErrorKind::NotReadable, "not a regular file"),
        }
        let own = own.ok().and_then(|own| own.uid);
        // Whoever may write in the directory could exchange the file between two tries.
        let is_resumable =
            own.is_some() && parent.uid == own && parent.permissions.is_some_and(|mode| mode & OTHERS_WRITE == 0);
        let is_ours = |found: &Attributes| {
            found.kind() == FileKind::File
                && found.uid == own
                && found.permissions.is_some_and(|mode| mode & OTHERS_WRITE == 0)
                && found.size.is_some_and(|size| size <= new.size)
        };
        let (temporary, resumed) = match found {
            Ok(found) if is_resumable && is_ours(&found) => (partial, found.size),
            Err(status) if status.code == wire::STATUS_NO_SUCH_FILE => (partial, None),
            Ok(_) | Err(_) => (beside(&random_name()?), None),
        };
        let mode = old.and_then(|old| old.permissions).or(new.mode).map(|mode| mode & MODE_BITS);
        let landed = Arc::new(AtomicU64::new(resumed.unwrap_or_default()));
        let is_open = Arc::new(AtomicBool::new(!temporary.ends_with(new.partial_name().as_bytes())));
        let size = Some(new.size);
        Ok(Plan { target: target.to_vec(), temporary, old, mode, size, resumed, is_resumable, landed, is_open })
    }

    /// Writes all that `source` gives to the temporary file, then renames it. The caller removes the temporary file
    /// unless this succeeds.
    pub(crate) async fn write_planned<R: AsyncRead + Unpin>(
        &self,
        plan: &Plan,
        source: &mut R,
        call: &Call,
    ) -> Result<Written, WriteError> {
        let (bytes, synced) = self.fill(plan, source, call).await.map_err(WriteError::Untouched)?;
        self.name(plan, call).await?;
        Ok(Written { path: plan.target.clone(), bytes, replaced: plan.replaces(), synced })
    }

    /// Gives the temporary file, which is complete, its name.
    pub(crate) async fn name(&self, plan: &Plan, call: &Call) -> Result<(), WriteError> {
        let (from, to) = (&plan.temporary[..], &plan.target[..]);
        let replaced = plan.old.is_some();
        // The plain rename fails if the name is taken meanwhile (§6.5): nobody's file is replaced unseen.
        let rename = if replaced { Request::PosixRename { from, to } } else { Request::Rename { from, to } };
        let mut flight = self.launch(&[rename], call).await.map_err(WriteError::Untouched)?;
        call.cost.add_round_trips(1);
        let reply = flight.land(call).await.map_err(WriteError::Unknown)?.into_iter().next();
        match expect_ok(reply) {
            Ok(()) => Ok(()),
            Err(status) if !replaced && status.code == wire::STATUS_FAILURE => {
                let message = format!("could not be given its name; it may exist by now: `{}`", shown(to));
                Err(WriteError::Untouched(HostError::new(ErrorKind::Remote, message).into()))
            }
            Err(status) => Err(WriteError::Untouched(status_error(&status, to).into())),
        }
    }

    /// Fills the temporary file and closes it; its length and whether it is on the disk.
    pub(crate) async fn fill<R: AsyncRead + Unpin>(
        &self,
        plan: &Plan,
        source: &mut R,
        call: &Call,
    ) -> Result<(u64, bool), SftpError> {
        let permissions = if plan.mode.is_some() { PRIVATE } else { ORDINARY };
        let open = match plan.resumed {
            None => Request::Create { path: &plan.temporary, permissions },
            Some(_) => Request::Reopen(&plan.temporary),
        };
        let reply = self.ask(&[open], 0, call).await?.into_iter().next();
        let handle = match handle(reply) {
            Ok(handle) => handle,
            Err(status) => return Err(self.explain(&status, plan, call).await),
        };
        plan.is_open.store(true, Ordering::Relaxed);
        let bytes = self.pump(plan, &handle, source, call).await?;
        if plan.size.is_some_and(|size| size != bytes) {
            // A source that broke off: it stays its owner's, for a later try.
            self.ask_and_close(handle, |_handle| Vec::new(), call).await?;
            return Ok((bytes, false));
        }
        let sync = self.has(Extension::Fsync);
        let (owner, mode) = (plan.old.and_then(|old| old.uid.zip(old.gid)), plan.mode);
        let replies = self.ask_and_close(handle, |handle| last_requests(handle, owner, mode, sync), call).await?;
        let mut replies = replies.into_iter();
        if owner.is_some() {
            // What counts is who owns it: an account may not be allowed to give a file to itself.
            replies.next();
        }
        if mode.is_some() {
            expect_ok(replies.next()).map_err(|status| status_error(&status, &plan.target))?;
        }
        let made = attributes(replies.next()).map_err(|status| status_error(&status, &plan.target))?;
        for reply in replies {
            if let Err(status) = expect_ok(Some(reply)) {
                return Err(self.explain(&status, plan, call).await);
            }
        }
        if made.size.is_some_and(|size| size != bytes) {
            return Err(remote_error("the file did not keep what was written", &plan.target).into());
        }
        if owner.is_some_and(|owner| made.uid.zip(made.gid) != Some(owner)) {
            let message = format!("its owner and group could not be kept: `{}`", shown(&plan.target));
            return Err(HostError::new(ErrorKind::Permission, message)
                .with_hint("write as the account that owns the file")
                .into());
        }
        Ok((bytes, sync))
    }

    async fn pump<R: AsyncRead + Unpin>(
        &self,
        plan: &Plan,
        handle: &RealHandle,
        source: &mut R,
        call: &Call,
    ) -> Result<u64, SftpError> {
        let mut piece = vec![0; PIECE.min(self.write_length() as usize)];
        let mut ahead: VecDeque<(usize, u64, Flight)> = VecDeque::new();
        let (mut bytes, mut under_way, mut ended) = (plan.resumed(), 0, false);
        let (mut round, mut counted) = (0, 0);
        loop {
            while !ended && under_way < WINDOW {
                let filled = within(call, fill_piece(source, &mut piece)).await?;
                ended = filled < piece.len();
                let data = piece.get(..filled).unwrap_or_default();
                if !data.is_empty() {
                    let write = Request::Write { handle: handle.as_bytes(), offset: bytes, data };
                    ahead.push_back((filled, round + 1, self.launch(&[write], call).await?));
                    bytes += filled as u64;
                    under_way += filled;
                }
                // Answers that are here already are looked at: a full disk ends the reading of the source.
                if ahead.front().is_some_and(|(.., flight)| flight.has_landed()) {
                    break;
                }
            }
            let Some((filled, of_round, mut flight)) = ahead.pop_front() else { return Ok(bytes) };
            let reply = flight.land(call).await?.into_iter().next();
            under_way -= filled;
            round = round.max(of_round);
            call.cost.add_round_trips(round - counted);
            counted = round;
            if let Err(status) = expect_ok(reply) {
                return Err(self.explain(&status, plan, call).await);
            }
            plan.landed.fetch_add(filled as u64, Ordering::Relaxed);
        }
    }

    /// Makes a directory: whether it was not there before. What else has the name is an error.
    pub(crate) async fn make_directory(&self, path: &[u8], permissions: u32, call: &Call) -> Result<bool, SftpError> {
        let make = Request::MakeDirectory { path, permissions };
        let mut replies = self.ask(&[make, Request::Lstat(path)], 0, call).await?.into_iter();
        let (made, found) = (expect_ok(replies.next()), attributes(replies.next()));
        match (made, found) {
            (Ok(()), _) => Ok(true),
            (Err(_), Ok(found)) if found.kind() == FileKind::Directory => Ok(false),
            (Err(_), Ok(_)) => {
                let message = format!("exists and is no directory: `{}`", shown(path));
                Err(HostError::new(ErrorKind::Invalid, message).into())
            }
            (Err(status), Err(_)) => Err(status_error(&status, path).into()),
        }
    }

    /// Says why writing failed: version 3 has one code for a full disk and a hundred other things.
    async fn explain(&self, status: &Status, plan: &Plan, call: &Call) -> SftpError {
        if status.code == wire::STATUS_FAILURE && self.has(Extension::StatVfs) {
            let reply = self.ask(&[Request::StatVfs(plan.directory())], 0, call).await;
            if let Some(Reply::FileSystem(file_system)) = reply.ok().and_then(|replies| replies.into_iter().next()) {
                let what = if file_system.read_only {
                    "the file system is mounted read-only"
                } else if file_system.available < NO_SPACE {
                    "no space is left on the file system"
                } else if file_system.inodes > 0 && file_system.inodes_free == 0 {
                    "the file system holds no more files"
                } else {
                    return status_error(status, &plan.target).into();
                };
                return remote_error(what, &plan.target).into();
            }
        }
        status_error(status, &plan.target).into()
    }

    /// Removes a file; one that is not there is no error.
    pub(crate) async fn remove(&self, path: &[u8], call: &Call) -> Result<(), SftpError> {
        let reply = self.ask(&[Request::Remove(path)], 0, call).await?.into_iter().next();
        match expect_ok(reply) {
            Err(status) if status.code != wire::STATUS_NO_SUCH_FILE => Err(status_error(&status, path).into()),
            _ => Ok(()),
        }
    }
}

/// What makes a filled file ready for its name. The owner first: a change of it takes the set-user-ID bit away.
fn last_requests(handle: &[u8], owner: Option<(u32, u32)>, mode: Option<u32>, sync: bool) -> Vec<Request<'_>> {
    let mut requests = Vec::new();
    requests.extend(owner.map(|(uid, gid)| Request::SetOwner { handle, uid, gid }));
    requests.extend(mode.map(|permissions| Request::SetPermissions { handle, permissions }));
    requests.push(Request::Fstat(handle));
    if sync {
        requests.push(Request::Fsync(handle));
    }
    requests
}

async fn fill_piece<R: AsyncRead + Unpin>(source: &mut R, piece: &mut [u8]) -> Result<usize, SftpError> {
    let mut filled = 0;
    while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
        match source.read(room).await {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => {
                let message = format!("what is to be written cannot be read: {error}");
                return Err(HostError::new(ErrorKind::Cancelled, message).into());
            }
        }
    }
    Ok(filled)
}

fn expect_ok(reply: Option<Reply>) -> Result<(), Status> {
    match reply {
        Some(Reply::Status(Status { code: wire::STATUS_OK, .. })) => Ok(()),
        Some(Reply::Status(status)) => Err(status),
        _ => Err(Status { code: wire::STATUS_FAILURE, ..Status::default() }),
    }
}

pub(super) fn real_path(reply: Option<Reply>, path: &[u8]) -> Result<Vec<u8>, HostError> {
    match reply {
        Some(Reply::Path(real)) if real.starts_with(b"/") => Ok(real.to_vec()),
        Some(Reply::Status(status)) => Err(status_error(&status, path)),
        _ => Err(remote_error("the SFTP server gives no absolute path", path)),
    }
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.get(..end).unwrap_or_default()
}

fn is_file_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
}
