//! A file sent or received by this machine, and a directory made for it: by descriptors.
//!
//! The directory is opened once and must truly lie where it is said to; everything below is done by names in what is open. A link is
//! neither read nor written through. What is received stands beside its place until all of it is there and on the disk.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, flock, fstat, fsync};
use rustix::fs::{mkdirat, openat, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use scout_machine::path::{not_a_file, remote_error, shown};
use scout_machine::transfer::{Digest, Done, End, Inlet, NewFile, Outlet, Received, Sent, random_name, split};
use scout_machine::within::outside;
use scout_machine::{
    Attributes, Call, Errand, ErrorKind, FairSemaphore, FileKind, HostError, Operation, Outcome, Principal, RemotePath,
    TruePath, Within,
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
/// That the group or everybody may write.
const OTHERS_WRITE: u32 = 0o022;

/// Does it. Blocking work runs on threads for it.
pub(crate) async fn run(local: &Local, errand: &Errand, within: &Within, call: &Call) -> Result<Done, HostError> {
    if let Errand::Locate { path } = errand {
        return match files::look(local, &Operation::Stat { path: path.clone() }, within, call).await? {
            Outcome::Stat(attributes, place) => Ok(Done::Located(attributes, place)),
            _ => Err(outside(path)),
        };
    }
    let absolute = local.account.absolute(errand.path())?;
    let asker = Asker::new(local);
    match errand {
        Errand::Locate { path } => Err(outside(path)),
        Errand::Send { path, offset, outlet } => within_call(call, send(path, absolute, *offset, outlet, asker)).await,
        Errand::Receive { path, file, inlet } => {
            within_call(call, receive(path, absolute, *file, inlet, asker)).await.map(Done::Received)
        }
        Errand::MakeDirectory { path, mode } => {
            let (path, mode) = (path.clone(), *mode);
            let make = asker.aside(move |_| Parent::open(&path, &absolute)?.make_directory(mode));
            within_call(call, make).await.map(Done::Made)
        }
        Errand::Digest { path } => {
            let path = path.clone();
            let digest = asker.aside(move |wanted| {
                let (file, _) = source(&path, &absolute)?;
                digest(&file, path.bytes(), wanted)
            });
            within_call(call, digest).await.map(|digest| Done::Digest(Some(digest)))
        }
    }
}

/// Who waits for what blocks. Where it has gone, what goes on on a thread comes to nothing.
struct Asker {
    looks: FairSemaphore,
    who: Principal,
    wanted: Wanted,
}

/// Whether what is done on a thread is still waited for.
#[derive(Clone, Default)]
struct Wanted(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    has_gone: AtomicBool,
    /// Held while a file gets its name.
    naming: Mutex<()>,
}

/// How long who goes waits for a file that gets its name just then: what happens in a moment is known then. A file system that hangs holds
/// up nobody.
const NAMING: Duration = Duration::from_millis(200);

impl Asker {
    fn new(local: &Local) -> Self {
        Self { looks: local.looks.clone(), who: local.who.clone(), wanted: Wanted::default() }
    }

    /// Runs what blocks, in a place among those of all looks at this machine.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Wanted) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let place = self.looks.acquire(&self.who, 1).await;
        let wanted = self.wanted.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&wanted)
        });
        work.await.map_err(|_| HostError::new(ErrorKind::Cancelled, "the work on this machine was given up"))?
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.wanted.0.has_gone.store(true, Ordering::SeqCst);
        drop(self.wanted.0.naming.try_lock_for(NAMING));
    }
}

impl Wanted {
    fn still(&self) -> Result<(), HostError> {
        match self.0.has_gone.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(HostError::new(ErrorKind::Cancelled, "nobody waits for it any more")),
        }
    }

    /// The same, and who waits for it does not go as long as this is held, or not for long.
    fn while_named(&self) -> Result<MutexGuard<'_, ()>, HostError> {
        let naming = self.0.naming.lock();
        self.still().map(|()| naming)
    }
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

async fn send(
    path: &RemotePath,
    absolute: Vec<u8>,
    offset: u64,
    outlet: &Outlet,
    asker: Asker,
) -> Result<Done, HostError> {
    let (asked, place) = (path.clone(), absolute.clone());
    let (file, before) = asker.aside(move |_| source(&asked, &place)).await?;
    let mut writer = outlet.writer().await;
    let (mut file, mut buffer, mut bytes) = (file, vec![0; PIECE], 0_u64);
    // As long as it was when it was opened: what grows is sent as far as it was there.
    let end = before.size.unwrap_or(u64::MAX);
    loop {
        let at = offset.saturating_add(bytes);
        let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE);
        let shown = path.clone();
        let (read, count);
        let reading = asker.aside(move |_| {
            let count =
                if wanted == 0 { Ok(0) } else { file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), at) };
            let count = count.map_err(|error| remote_error(&format!("this machine says `{error}`"), shown.bytes()))?;
            Ok((file, buffer, count))
        });
        (read, buffer, count) = reading.await?;
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
    let after = asker.aside(move |_| {
        let stat = fstat(&file).map_err(|error| failure(error, asked.bytes()))?;
        Ok(attributes(&stat))
    });
    let after = after.await?;
    let place = TruePath { path: absolute, is_proven: true };
    Ok(Done::Sent(Sent { before, after, bytes }, place))
}

/// The SHA-256 of a file.
fn digest(file: &File, asked: &[u8], wanted: &Wanted) -> Result<Digest, HostError> {
    let (mut sum, mut buffer, mut at) = (Sha256::new(), vec![0; PIECE], 0_u64);
    loop {
        wanted.still()?;
        let count = file
            .read_at(&mut buffer, at)
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
    fn make_directory(self, mode: u32) -> Result<bool, HostError> {
        match mkdirat(&self.directory, &*self.name, Mode::from_raw_mode(mode & MODE_BITS)) {
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

    /// Whether nobody else can exchange a file in it between two tries.
    fn is_own(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        fstat(&self.directory).is_ok_and(|found| found.st_uid == own && found.st_mode & OTHERS_WRITE == 0)
    }

    /// The partial file: that of an earlier try, or a new one.
    fn partial(self, new: NewFile) -> Result<Partial, HostError> {
        let is_resumable = self.is_own();
        let name = if is_resumable { new.partial_name() } else { random_name()? };
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let there = openat(&self.directory, &*name, flags, Mode::empty()).map(File::from);
        let is_absent = there.as_ref().is_err_and(|error| *error == Errno::NOENT);
        if let Ok(file) = there {
            self.lock(&file)?;
            let own = rustix::process::geteuid().as_raw();
            let is_ours = |found: &std::fs::Metadata| {
                let is_private = found.uid() == own && found.mode() & OTHERS_WRITE == 0;
                found.is_file() && found.nlink() == 1 && is_private && found.len() <= new.size
            };
            if let Ok(found) = file.metadata()
                && is_ours(&found)
            {
                let length = found.len();
                return Ok(Partial { parent: self, name, file, length, is_named: false, keeps: true });
            }
        }
        let made = match openat(&self.directory, &*name, flags | OFlags::CREATE | OFlags::EXCL, PRIVATE) {
            // It was not there a moment ago.
            Err(Errno::EXIST) if is_absent => return Err(self.is_under_way()),
            Err(Errno::EXIST) => {
                unlinkat(&self.directory, &*name, AtFlags::empty()).map_err(self.failed())?;
                openat(&self.directory, &*name, flags | OFlags::CREATE | OFlags::EXCL, PRIVATE)
            }
            made => made,
        };
        let file = File::from(made.map_err(self.failed())?);
        self.lock(&file)?;
        Ok(Partial { parent: self, name, file, length: 0, is_named: false, keeps: is_resumable })
    }

    /// Keeps another process from the partial file.
    fn lock(&self, file: &File) -> Result<(), HostError> {
        // There are file systems that know no locks.
        if flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(self.is_under_way());
        }
        Ok(())
    }

    fn is_under_way(&self) -> HostError {
        let message = format!("the same copy is under way: `{}`", shown(self.asked.bytes()));
        HostError::new(ErrorKind::Exhausted, message).with_hint("wait for its end")
    }
}

impl Partial {
    /// Leaves nothing of it for a later try.
    fn discard(&mut self) {
        self.keeps = false;
    }

    /// Whether what has its name until now is this file.
    fn check_name(&self) -> Result<(), HostError> {
        let failed = self.parent.failed();
        let (own, named) = (
            fstat(&self.file).map_err(&failed)?,
            statat(&self.parent.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW).map_err(&failed)?,
        );
        if (own.st_dev, own.st_ino) != (named.st_dev, named.st_ino) {
            return Err(remote_error("something else took the place of what was written", self.parent.asked.bytes()));
        }
        Ok(())
    }

    /// Gives the file its name. What could not be proven in time stays for a later try, anything else does not.
    fn finish(
        mut self,
        new: NewFile,
        expected: Option<Digest>,
        resumed: u64,
        wanted: &Wanted,
    ) -> Result<Received, HostError> {
        let finished = self.name_it(new, expected, resumed, wanted);
        self.keeps &= finished.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled);
        finished
    }

    fn name_it(
        &mut self,
        new: NewFile,
        expected: Option<Digest>,
        resumed: u64,
        wanted: &Wanted,
    ) -> Result<Received, HostError> {
        let failed = self.parent.failed();
        let io = |error: std::io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        if self.file.metadata().map_err(&io)?.len() != new.size {
            return Err(remote_error("the file did not keep what was written", self.parent.asked.bytes()));
        }
        // What was written now was counted and is known; what was there before has to be read.
        let mut verified = expected.is_some();
        if resumed > 0 {
            let found = digest(&self.file, self.parent.asked.bytes(), wanted)?;
            verified = expected == Some(found);
            if !verified {
                let message =
                    "what was there of an earlier try is not proven to be what the source holds; it is removed";
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
        // Who was told that there was no time for it finds nothing new there later.
        let naming = wanted.while_named()?;
        self.check_name()?;
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
        drop(naming);
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

async fn receive(
    path: &RemotePath,
    absolute: Vec<u8>,
    new: NewFile,
    inlet: &Inlet,
    asker: Asker,
) -> Result<Received, HostError> {
    let asked = path.clone();
    let partial = asker.aside(move |_| {
        let parent = Parent::open(&asked, &absolute)?;
        parent.replaceable(new)?;
        let mut partial = parent.partial(new)?;
        partial
            .file
            .seek(SeekFrom::Start(partial.length))
            .map_err(|error| remote_error(&format!("this machine says `{error}`"), asked.bytes()))?;
        Ok(partial)
    });
    let mut partial = partial.await?;
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
        let writing = asker.aside(move |_| {
            let failed = partial.parent.failed();
            let written = partial.file.write_all(&buffer);
            if let Err(error) = written {
                // A full disk is not gone on with.
                partial.discard();
                return Err(failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)));
            }
            partial.length = partial.length.saturating_add(buffer.len() as u64);
            Ok((partial, buffer))
        });
        (partial, buffer) = writing.await?;
    }
    let end = inlet.end().await;
    partial.keeps &= end != End::Worthless;
    let expected = end.whole()?;
    asker.aside(move |wanted| partial.finish(new, expected, resumed, wanted)).await
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use scout_machine::transfer::Feed;
    use tempfile::TempDir;
    use tokio::time::Instant;

    use super::*;
    use crate::Account;

    const SIZE: usize = 2 << 20;

    struct World {
        _dir: TempDir,
        dir: PathBuf,
        local: Local,
        content: Vec<u8>,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let real = fs::canonicalize(dir.path()).unwrap();
            let local = Local::new(Account::current(dir.path(), |_| None), false);
            let content = (0..SIZE).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            Self { _dir: dir, dir: real, local, content }
        }

        fn digest(&self) -> Option<Digest> {
            Some(Sha256::digest(&self.content).into())
        }

        async fn ask(&self, errand: Errand) -> Result<Done, HostError> {
            let call = Call::until(Instant::now() + Duration::from_secs(60));
            run(&self.local, &errand, &Within::default(), &call).await
        }

        /// Receives the file `a` from what gives it.
        async fn receive(&self, give: impl AsyncFnOnce(Feed)) -> Result<Received, HostError> {
            let (feed, inlet) = Inlet::new();
            let errand = Errand::Receive { path: remote(&self.dir.join("a")), file: file(), inlet };
            match tokio::join!(self.ask(errand), give(feed)).0? {
                Done::Received(received) => Ok(received),
                other => panic!("{other:?}"),
            }
        }

        /// Leaves a partial file of so many bytes.
        async fn break_off(&self, length: usize) -> HostError {
            let given = self.receive(async |mut feed| {
                let offset = feed.wanted().await.unwrap() as usize;
                feed.writer().write_all(&self.content[offset..length]).await.unwrap();
            });
            given.await.unwrap_err()
        }

        async fn give(&self, end: End) -> Result<Received, HostError> {
            let given = self.receive(async |mut feed| {
                let Some(offset) = feed.wanted().await else { return };
                feed.writer().write_all(&self.content[offset as usize..]).await.unwrap();
                feed.finish(end);
            });
            given.await
        }

        fn hidden(&self) -> Vec<PathBuf> {
            let names = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
            names.filter(|path| path.file_name().unwrap().as_bytes().starts_with(b".scout-")).collect()
        }
    }

    fn remote(path: &Path) -> RemotePath {
        RemotePath::parse(path.as_os_str().as_bytes()).unwrap()
    }

    fn file() -> NewFile {
        NewFile { size: SIZE as u64, mode: None, replace: false, partial: *b"one source's" }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn what_an_interrupted_copy_has_left_is_gone_on_with_where_nobody_else_may_write() {
        let world = World::new();
        world.break_off(SIZE / 2 + 1).await;
        assert_eq!(world.hidden().len(), 1);
        let received = world.give(End::Whole(world.digest())).await.unwrap();
        assert_eq!((received.resumed, received.verified), (SIZE as u64 / 2 + 1, true));
        assert!(fs::read(world.dir.join("a")).unwrap() == world.content && world.hidden().is_empty());
        fs::remove_file(world.dir.join("a")).unwrap();
        // A partial file that others may write.
        world.break_off(SIZE / 2 + 1).await;
        set_mode(&world.hidden()[0], 0o660);
        assert_eq!(world.give(End::Whole(world.digest())).await.unwrap().resumed, 0);
        fs::remove_file(world.dir.join("a")).unwrap();
        // A directory that others may write: nothing stays, and what is there is left alone.
        world.break_off(SIZE / 2 + 1).await;
        set_mode(&world.dir, 0o777);
        let theirs = world.hidden();
        assert_eq!(world.give(End::Whole(world.digest())).await.unwrap().resumed, 0);
        assert_eq!(world.hidden(), theirs);
        fs::remove_file(world.dir.join("a")).unwrap();
        world.break_off(SIZE / 2 + 1).await;
        assert_eq!(world.hidden(), theirs);
    }

    #[tokio::test]
    async fn nothing_is_kept_of_what_is_worthless_or_not_proven() {
        let world = World::new();
        for end in [End::Worthless, End::Whole(None), End::Whole(Some([0; 32]))] {
            world.break_off(SIZE / 2 + 1).await;
            assert_eq!(world.hidden().len(), 1);
            assert!(world.give(end).await.is_err(), "{end:?}");
            assert!(world.hidden().is_empty() && !world.dir.join("a").exists(), "{end:?}");
        }
    }

    #[tokio::test]
    async fn a_partial_file_has_one_writer() {
        let world = World::new();
        world.break_off(SIZE / 2 + 1).await;
        let held = File::open(&world.hidden()[0]).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        let error = world.give(End::Whole(world.digest())).await.unwrap_err();
        assert!(error.message().contains("the same copy is under way"), "{error}");
        assert_eq!(world.hidden().len(), 1);
        drop(held);
        assert!(world.give(End::Whole(world.digest())).await.is_ok());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_gets_no_name() {
        let world = World::new();
        let asker = Asker::new(&world.local);
        let wanted = asker.wanted.clone();
        let path = world.dir.join("a");
        let parent = Parent::open(&remote(&path), path.as_os_str().as_bytes()).unwrap();
        let new = NewFile { size: 4, ..file() };
        let mut partial = parent.partial(new).unwrap();
        partial.file.write_all(b"text").unwrap();
        fs::write(world.dir.join("whole"), "text").unwrap();
        let whole = File::open(world.dir.join("whole")).unwrap();
        assert!(digest(&whole, b"whole", &wanted).is_ok());
        drop(asker);
        assert_eq!(digest(&whole, b"whole", &wanted).unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(partial.finish(new, None, 0, &wanted).unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(!path.exists() && world.hidden().is_empty());
    }

    #[tokio::test]
    async fn a_directory_is_made_with_the_mode_that_is_asked_for() {
        let world = World::new();
        let path = world.dir.join("d");
        let made = world.ask(Errand::MakeDirectory { path: remote(&path), mode: 0o700 }).await.unwrap();
        assert!(matches!(made, Done::Made(true)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
    }
}
