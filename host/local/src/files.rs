//! Files and directories of this machine, by descriptors.
//!
//! A path is opened once, as a place and without any effect (`O_PATH`); what it is, where it truly lies and what is read of it is asked
//! of that descriptor. A FIFO or a device is never opened. Blocking work runs on threads for it, and nobody waits for one that hangs.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat};
use rustix::io::Errno;
use scout_machine::path::{DELETED, deleted, not_a_file, remote_error, shown};
use scout_machine::within::{TrueRoots, is_about_the_path, outside};
use scout_machine::{
    Attributes, Call, Capture, DirEntry, ErrorKind, FileKind, HostError, Opened, Operation, Outcome, RemotePath,
    TruePath, Within,
};
use tokio::time::timeout;

use crate::{Account, Local, within_call};

/// How long one look may take: a file system that is slower than that hangs.
const STALL: Duration = Duration::from_secs(10);
/// Room for what a file holds beyond what it is said to, in bytes: those of /proc say nothing.
const BEYOND: usize = 4 << 10;

/// Looks at a path, on a thread for it.
pub(crate) async fn look(
    local: &Local,
    operation: &Operation,
    within: &Within,
    call: &Call,
) -> Result<Outcome, HostError> {
    let Some(path) = operation.path() else { return Err(pathless()) };
    let hangs = || {
        let message = format!("`{}`: not a regular file, or its file system hangs", shown(path.bytes()));
        HostError::new(ErrorKind::NotReadable, message)
    };
    let looking = async {
        let place = local.looks.acquire(&local.who, 1).await;
        let (account, operation, within) = (Arc::clone(&local.account), operation.clone(), within.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            found(&account, &operation, &within)
        });
        match timeout(STALL, looked).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(remote_error("the look was given up", path.bytes())),
            Err(_elapsed) => Err(hangs()),
        }
    };
    let outcome = within_call(call, looking).await?;
    call.cost.add_remote_bytes(match &outcome {
        Outcome::Open(Opened::File { content, .. }, _) | Outcome::Read(content, _) => content.data.len() as u64,
        Outcome::Open(Opened::Directory { entries, .. }, _) => {
            entries.iter().map(|entry| entry.name.len() as u64).sum()
        }
        _ => 0,
    });
    Ok(outcome)
}

fn found(account: &Account, operation: &Operation, within: &Within) -> Result<Outcome, HostError> {
    let Some(asked) = operation.path() else { return Err(pathless()) };
    // As over SFTP, which knows no `~`.
    let named = asked.plain();
    let there = account.absolute(asked).and_then(|path| Place::open(&path, named));
    let place = confined(account, within, there, asked)?;
    let (attributes, path) = (place.attributes, || place.true_path.clone());
    match operation {
        Operation::Open { cap, max_entries, .. } => Ok(Outcome::Open(
            match attributes.kind() {
                FileKind::File => Opened::File { attributes, content: place.content(0, *cap)? },
                FileKind::Directory => {
                    let (entries, truncated) = place.entries(*max_entries)?;
                    Opened::Directory { attributes, entries, truncated }
                }
                FileKind::Symlink | FileKind::Other => Opened::Other { attributes },
            },
            path(),
        )),
        Operation::Read { offset, length, .. } => match attributes.kind() {
            FileKind::File => Ok(Outcome::Read(place.content(*offset, *length)?, path())),
            FileKind::Directory | FileKind::Symlink | FileKind::Other => Err(not_a_file(named)),
        },
        Operation::Stat { .. } => Ok(Outcome::Stat(attributes, path())),
        Operation::Exec(_) | Operation::Probe { .. } | Operation::Handshake | Operation::Transfer(_) => Err(pathless()),
    }
}

fn pathless() -> HostError {
    HostError::new(ErrorKind::Invalid, "it has no path")
}

/// What was found, if it lies in the directories; of what lies elsewhere an error tells nothing.
fn confined<'a>(
    account: &Account,
    within: &Within,
    found: Result<Place<'a>, HostError>,
    asked: &RemotePath,
) -> Result<Place<'a>, HostError> {
    if within.is_everything() {
        return found;
    }
    let truly = |path: &RemotePath| {
        let path = account.absolute(path)?;
        Place::open(&path, asked.bytes()).map(|place| place.true_path.path)
    };
    let mut roots = TrueRoots::default();
    for list in &within.roots {
        let mut there = Vec::new();
        for root in list {
            match truly(root) {
                Ok(root) => there.push(root),
                Err(error) if is_about_the_path(&error) => {}
                Err(error) => return Err(error),
            }
        }
        roots.0.push(there);
    }
    match found {
        Ok(place) if roots.hold(&place.true_path.path) => Ok(place),
        Ok(_) => Err(outside(asked)),
        Err(error) if !is_about_the_path(&error) => Err(error),
        Err(error) => match asked.parents().find_map(|parent| truly(&parent).ok()) {
            Some(deepest) if roots.hold(&deepest) => Err(error),
            Some(_) | None => Err(outside(asked)),
        },
    }
}

/// What a path leads to, held by a descriptor that opens nothing.
pub(crate) struct Place<'a> {
    descriptor: OwnedFd,
    pub(crate) attributes: Attributes,
    pub(crate) true_path: TruePath,
    /// As it was asked for, for messages.
    asked: &'a [u8],
}

impl<'a> Place<'a> {
    pub(crate) fn open(path: &[u8], asked: &'a [u8]) -> Result<Self, HostError> {
        let failed = |error| failure(error, asked);
        let descriptor =
            rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        let attributes = attributes(&rustix::fs::fstat(&descriptor).map_err(failed)?);
        let link = rustix::fs::readlinkat(CWD, by_descriptor(&descriptor), Vec::new()).map_err(failed)?;
        let path = link.into_bytes();
        if path.ends_with(DELETED) {
            return Err(deleted(asked));
        }
        if !path.starts_with(b"/") {
            return Err(remote_error("this machine does not tell where it lies", asked));
        }
        Ok(Self { descriptor, attributes, true_path: TruePath { path, is_proven: true }, asked })
    }

    /// The same file or directory, to be read.
    pub(crate) fn readable(&self, flags: OFlags) -> Result<OwnedFd, HostError> {
        // Nothing of it may block: there are files of /proc that are regular and do.
        let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, by_descriptor(&self.descriptor), flags, Mode::empty())
            .map_err(|error| failure(error, self.asked))
    }

    /// The file's bytes from `offset` on, at most `cap`, and whether there are more.
    fn content(&self, offset: u64, cap: usize) -> Result<Capture, HostError> {
        let file = self.readable(OFlags::empty())?;
        // One more than asked for tells whether there is more.
        let wanted = cap.saturating_add(1);
        let said = self.attributes.size.unwrap_or(0).saturating_sub(offset);
        let said = usize::try_from(said).unwrap_or(usize::MAX).saturating_add(1);
        // A small file takes no room for a large one, and nobody clears what is written next.
        let mut data = Vec::with_capacity(said.max(BEYOND).min(wanted));
        let mut is_over = false;
        while data.len() < wanted && !is_over {
            if data.len() == data.capacity() {
                data.reserve(BEYOND);
            }
            let from = offset.saturating_add(data.len() as u64);
            is_over = match rustix::io::pread(&file, spare_capacity(&mut data), from) {
                Ok(read) => read == 0,
                Err(Errno::INTR) => false,
                Err(Errno::AGAIN) => return Err(not_a_file(self.asked)),
                Err(error) => return Err(failure(error, self.asked)),
            };
        }
        let truncated = data.len() > cap;
        let end = offset.saturating_add(data.len().min(cap) as u64);
        // Sizes of 0 are a lie in /proc, and a file may have grown: then only its end is believed.
        let total = match self.attributes.size {
            _ if is_over && !data.is_empty() => Some(end),
            size => size.filter(|size| is_over || *size >= end),
        };
        data.truncate(cap);
        Ok(Capture { data: Bytes::from(data), truncated, total, modified: self.attributes.mtime })
    }

    /// The directory's entries, at most so many, and whether there are more.
    fn entries(&self, most: usize) -> Result<(Vec<DirEntry>, bool), HostError> {
        let failed = |error| failure(error, self.asked);
        let directory = self.readable(OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if entries.len() >= most {
                return Ok((entries, true));
            }
            // What is removed meanwhile is not there.
            if let Ok(found) = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                entries.push(DirEntry { name: name.to_vec(), attributes: attributes(&found) });
            }
        }
        Ok((entries, false))
    }
}

fn by_descriptor(descriptor: &OwnedFd) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    Path::new("/proc/self/fd").join(descriptor.as_raw_fd().to_string())
}

pub(crate) fn attributes(found: &Stat) -> Attributes {
    // Times before 1970 and after 2106 have no place in SFTP's answer either.
    let time = |seconds: i64| u32::try_from(seconds).ok();
    Attributes {
        size: u64::try_from(found.st_size).ok(),
        uid: Some(found.st_uid),
        gid: Some(found.st_gid),
        permissions: Some(found.st_mode),
        links: Some(wide(found.st_nlink)),
        atime: time(found.st_atime),
        mtime: time(found.st_mtime),
        found_to_be: None,
    }
}

/// A number that is of another width on another processor.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// The words of an error as SFTP's codes have them: ENOENT, ENOTDIR and ELOOP are one, EACCES and EPERM another.
pub(crate) fn failure(error: Errno, path: &[u8]) -> HostError {
    let at = shown(path);
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
            HostError::new(ErrorKind::NotFound, format!("no such file or directory: `{at}`"))
        }
        Errno::ACCESS | Errno::PERM => HostError::new(ErrorKind::Permission, format!("permission denied: `{at}`")),
        error => remote_error(&format!("this machine says `{}`", io::Error::from(error)), path),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests;
