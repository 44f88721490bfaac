//! A file sent or received by this machine, and a directory made for it: by descriptors.
//!
//! The directory is opened once and must truly lie where it is said to; everything below is done by names in what is open. A link is
//! neither read nor written through. What is received stands beside its place until all of it is there and on the disk.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, fsync, mkdirat, openat, statat};
use rustix::fs::{renameat, renameat_with, unlinkat};
use rustix::io::Errno;
use scout_machine::path::{not_a_file, remote_error, shown};
use scout_machine::transfer::{Digest, Done, Inlet, NewFile, Outlet, Received, Sent, split};
use scout_machine::within::outside;
use scout_machine::{
    Attributes, Call, Errand, ErrorKind, FileKind, HostError, Operation, Outcome, RemotePath, TruePath, Within,
};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::files::{self, Place, attributes, failure};
use crate::{Local, within_call};

/// Bytes that are read or written at once.
const PIECE: usize = 256 * 1024;
/// What is left of an interrupted transfer is kept from this many bytes on.
const KEPT: u64 = 1 << 20;
/// Of a file until it is complete: its owner's.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
/// What can be set of a mode.
const MODE_BITS: u32 = 0o7777;

/// Does it. Blocking work runs on threads for it.
pub(crate) async fn run(local: &Local, errand: &Errand, within: &Within, call: &Call) -> Result<Done, HostError> {
    if let Errand::Locate { path } = errand {
        return match files::look(local, &Operation::Stat { path: path.clone() }, within, call).await? {
            Outcome::Stat(attributes, place) => Ok(Done::Located(attributes, place)),
            _ => Err(outside(path)),
        };
    }
    let account = Arc::clone(&local.account);
    let absolute = account.absolute(errand.path())?;
    match errand {
        Errand::Locate { path } => Err(outside(path)),
        Errand::Send { path, offset, outlet } => within_call(call, send(path, absolute, *offset, outlet)).await,
        Errand::Receive { path, file, inlet } => {
            within_call(call, receive(path, absolute, *file, inlet)).await.map(Done::Received)
        }
        Errand::MakeDirectory { path } => {
            let path = path.clone();
            within_call(call, aside(move || Parent::open(&path, &absolute)?.make_directory())).await.map(Done::Made)
        }
        Errand::Digest { path } => {
            let path = path.clone();
            let digest = move || {
                let (file, _) = source(&path, &absolute)?;
                digest(&file, u64::MAX, path.bytes())
            };
            within_call(call, aside(digest)).await.map(|digest| Done::Digest(Some(digest)))
        }
    }
}

/// Runs what blocks.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    let given_up = |_| HostError::new(ErrorKind::Cancelled, "the work on this machine was given up");
    tokio::task::spawn_blocking(work).await.map_err(given_up)?
}

/// A regular file that truly lies there, opened to be read.
fn source(path: &RemotePath, absolute: &[u8]) -> Result<(File, Attributes), HostError> {
    let place = Place::open(absolute, path.bytes())?;
    if place.true_path.path != absolute {
        return Err(outside(path));
    }
    if place.attributes.kind() != FileKind::File {
        return Err(not_a_file(path.bytes()));
    }
    Ok((File::from(place.readable(OFlags::empty())?), place.attributes))
}

async fn send(path: &RemotePath, absolute: Vec<u8>, offset: u64, outlet: &Outlet) -> Result<Done, HostError> {
    let (asked, place) = (path.clone(), absolute.clone());
    let (file, before) = aside(move || source(&asked, &place)).await?;
    let mut writer = outlet.writer().await;
    let (mut file, mut buffer, mut bytes) = (file, vec![0; PIECE], 0_u64);
    // As long as it was when it was opened: what grows is sent as far as it was there.
    let end = before.size.unwrap_or(u64::MAX);
    loop {
        let at = offset.saturating_add(bytes);
        let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE);
        let shown = path.clone();
        let (read, count);
        (read, buffer, count) = aside(move || {
            let count =
                if wanted == 0 { Ok(0) } else { file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), at) };
            let count = count.map_err(|error| remote_error(&format!("this machine says `{error}`"), shown.bytes()))?;
            Ok((file, buffer, count))
        })
        .await?;
        file = read;
        if count == 0 {
            break;
        }
        writer.write_all(buffer.get(..count).unwrap_or_default()).await.map_err(|error| {
            HostError::new(ErrorKind::Cancelled, format!("the receiver of the file takes no more: {error}"))
        })?;
        bytes += count as u64;
    }
    writer.shutdown().await.ok();
    let asked = path.clone();
    let after = aside(move || {
        let stat = rustix::fs::fstat(&file).map_err(|error| failure(error, asked.bytes()))?;
        Ok(attributes(&stat))
    })
    .await?;
    let place = TruePath { path: absolute, is_proven: true };
    Ok(Done::Sent(Sent { before, after, bytes }, place))
}

/// The SHA-256 of a file's first bytes.
fn digest(file: &File, most: u64, asked: &[u8]) -> Result<Digest, HostError> {
    let (mut sum, mut buffer, mut at) = (Sha256::new(), vec![0; PIECE], 0_u64);
    loop {
        let wanted = usize::try_from(most - at).unwrap_or(usize::MAX).min(PIECE);
        let count = file
            .read_at(buffer.get_mut(..wanted).unwrap_or_default(), at)
            .map_err(|error| remote_error(&format!("this machine says `{error}`"), asked))?;
        if count == 0 {
            return Ok(sum.finalize().into());
        }
        sum.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
}

/// A directory that is open, and a name in it.
struct Parent {
    directory: OwnedFd,
    name: Vec<u8>,
    asked: RemotePath,
}

/// A file that is being received. What is not finished is removed, unless there is much of it.
struct Partial {
    parent: Parent,
    name: String,
    file: File,
    /// How many bytes of it are there.
    length: u64,
    is_named: bool,
    keeps: bool,
}

impl Parent {
    fn open(path: &RemotePath, absolute: &[u8]) -> Result<Self, HostError> {
        let (directory, name) = split(path, absolute)?;
        let place = Place::open(directory, directory)?;
        if place.true_path.path != directory {
            return Err(outside(path));
        }
        Ok(Self { directory: place.readable(OFlags::DIRECTORY)?, name: name.to_vec(), asked: path.clone() })
    }

    fn failed(&self) -> impl Fn(Errno) -> HostError + use<> {
        let asked = self.asked.clone();
        move |error| match error {
            Errno::NOSPC | Errno::DQUOT => remote_error("no space is left on the file system", asked.bytes()),
            Errno::ROFS => remote_error("the file system is mounted read-only", asked.bytes()),
            error => failure(error, asked.bytes()),
        }
    }

    /// Whether it is new.
    fn make_directory(self) -> Result<bool, HostError> {
        match mkdirat(&self.directory, &*self.name, Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => match self.old()? {
                Some(old) if old.kind() == FileKind::Directory => Ok(false),
                _ => {
                    let message = format!("exists and is no directory: `{}`", shown(self.asked.bytes()));
                    Err(HostError::new(ErrorKind::Invalid, message))
                }
            },
            Err(error) => Err(self.failed()(error)),
        }
    }

    /// What has the name now.
    fn old(&self) -> Result<Option<Attributes>, HostError> {
        match statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(attributes(&found))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed()(error)),
        }
    }

    /// The file that may be replaced.
    fn replaceable(&self, new: NewFile) -> Result<Option<Attributes>, HostError> {
        let refuse = |kind, what: &str| Err(HostError::new(kind, format!("{what}: `{}`", shown(self.asked.bytes()))));
        match self.old()? {
            None => Ok(None),
            Some(old) => match old.kind() {
                FileKind::File if new.replace => Ok(Some(old)),
                FileKind::File => refuse(ErrorKind::Invalid, "exists already"),
                FileKind::Directory => refuse(ErrorKind::Invalid, "is a directory"),
                FileKind::Symlink => refuse(ErrorKind::Invalid, "is a symbolic link, which is not written through"),
                FileKind::Other => refuse(ErrorKind::NotReadable, "not a regular file"),
            },
        }
    }

    /// The partial file: that of an earlier try, or a new one.
    fn partial(self, new: NewFile) -> Result<Partial, HostError> {
        let name = new.partial_name();
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(file) = openat(&self.directory, &*name, flags, Mode::empty()).map(File::from) {
            let own = rustix::process::geteuid().as_raw();
            let is_ours = |found: &std::fs::Metadata| {
                found.is_file() && found.nlink() == 1 && found.uid() == own && found.len() <= new.size
            };
            if let Ok(found) = file.metadata()
                && is_ours(&found)
            {
                let length = found.len();
                return Ok(Partial { parent: self, name, file, length, is_named: false, keeps: true });
            }
            drop(file);
        }
        let made = match openat(&self.directory, &*name, flags | OFlags::CREATE | OFlags::EXCL, PRIVATE) {
            Err(Errno::EXIST) => {
                unlinkat(&self.directory, &*name, AtFlags::empty()).map_err(self.failed())?;
                openat(&self.directory, &*name, flags | OFlags::CREATE | OFlags::EXCL, PRIVATE)
            }
            made => made,
        };
        let file = File::from(made.map_err(self.failed())?);
        Ok(Partial { parent: self, name, file, length: 0, is_named: false, keeps: true })
    }
}

impl Partial {
    /// Leaves nothing of it for a later try.
    fn discard(&mut self) {
        self.keeps = false;
    }

    /// Gives the file its name.
    fn finish(mut self, new: NewFile, expected: Option<Digest>, resumed: u64) -> Result<Received, HostError> {
        let failed = self.parent.failed();
        let io = |error: std::io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        // From here on it is a whole file or worth nothing.
        self.keeps = false;
        if self.file.metadata().map_err(&io)?.len() != new.size {
            return Err(remote_error("the file did not keep what was written", self.parent.asked.bytes()));
        }
        // What was written now was counted and is known; what was there before has to be read.
        let mut verified = expected.is_some();
        if resumed > 0 {
            let found = digest(&self.file, u64::MAX, self.parent.asked.bytes())?;
            verified = expected == Some(found);
            if expected.is_some() && !verified {
                let message = "what was there of an earlier try is not what the source holds; it is removed";
                return Err(remote_error(message, self.parent.asked.bytes()).with_hint("copy it again"));
            }
        }
        let old = self.parent.replaceable(new)?;
        let owner = old.and_then(|old| old.uid.zip(old.gid));
        if let Some((uid, gid)) = owner {
            let made = self.file.metadata().map_err(&io)?;
            if (made.uid(), made.gid()) != (uid, gid)
                && fchown(&self.file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).is_err()
            {
                let message = format!("its owner and group could not be kept: `{}`", shown(self.parent.asked.bytes()));
                return Err(
                    HostError::new(ErrorKind::Permission, message).with_hint("write as the account that owns the file")
                );
            }
        }
        if let Some(mode) = old.and_then(|old| old.permissions).or(new.mode) {
            fchmod(&self.file, Mode::from_raw_mode(mode & MODE_BITS)).map_err(&failed)?;
        }
        fsync(&self.file).map_err(&failed)?;
        let (directory, from, to) = (&self.parent.directory, &*self.name, &*self.parent.name);
        match old {
            Some(_) => renameat(directory, from, directory, to).map_err(&failed)?,
            None => match renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
                // An old file system, which cannot be asked not to.
                Err(Errno::INVAL) if self.parent.old()?.is_none() => {
                    renameat(directory, from, directory, to).map_err(&failed)?;
                }
                Err(Errno::EXIST) => {
                    let message = format!("exists by now: `{}`", shown(self.parent.asked.bytes()));
                    return Err(HostError::new(ErrorKind::Invalid, message));
                }
                renamed => renamed.map_err(&failed)?,
            },
        }
        self.is_named = true;
        let synced = fsync(&self.parent.directory).is_ok();
        Ok(Received { resumed, replaced: old.is_some(), synced, digest: expected, verified })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_named && (!self.keeps || self.length < KEPT) {
            unlinkat(&self.parent.directory, &*self.name, AtFlags::empty()).ok();
        }
    }
}

async fn receive(path: &RemotePath, absolute: Vec<u8>, new: NewFile, inlet: &Inlet) -> Result<Received, HostError> {
    let asked = path.clone();
    let mut partial = aside(move || {
        let parent = Parent::open(&asked, &absolute)?;
        parent.replaceable(new)?;
        let mut partial = parent.partial(new)?;
        partial
            .file
            .seek(SeekFrom::Start(partial.length))
            .map_err(|error| remote_error(&format!("this machine says `{error}`"), asked.bytes()))?;
        Ok(partial)
    })
    .await?;
    let resumed = partial.length;
    let mut reader = inlet.begin(resumed).await;
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        buffer.clear();
        (&mut reader).take(PIECE as u64).read_to_end(&mut buffer).await.map_err(|error| {
            HostError::new(ErrorKind::Cancelled, format!("what is to be written cannot be read: {error}"))
        })?;
        if buffer.is_empty() {
            break;
        }
        (partial, buffer) = aside(move || {
            let failed = partial.parent.failed();
            let written = partial.file.write_all(&buffer);
            if let Err(error) = written {
                // A full disk is not gone on with.
                partial.discard();
                return Err(failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
            }
            partial.length = partial.length.saturating_add(buffer.len() as u64);
            Ok((partial, buffer))
        })
        .await?;
    }
    // All has come, and is not what it was to be: no later try goes on with it.
    partial.keeps = partial.length < new.size;
    let expected = inlet.end().await?;
    aside(move || partial.finish(new, expected, resumed)).await
}
