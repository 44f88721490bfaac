//! Copies files and directories from one machine to another.
//!
//! Owns what a copy is: what goes where, what is left out, and the bytes between the two machines, which pass here. Each part of it goes
//! the way of everything that is asked of a machine (`steps`). Two machines are told where a path truly lies before anything is read or
//! written there, and take no other place for it; what passes is held against the forms of keys, piece by piece, before it goes on.
//! Nothing is held in memory but a piece and what waits between two machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use scout_machine::transfer::{Digest, Done, End, Feed, Inlet, NewFile, Outlet, Received, Sent};
use scout_machine::within::TrueRoots;
use scout_machine::{Attributes, Call, DirEntry, Errand, ErrorKind, FileKind, HostError, Opened, RemotePath};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::grants::CallRights;
use crate::policy::{LEAD, Refusal, SecretPaths};
use crate::state::shown;
use crate::steps::{Found, HostAccess, Part, Side, Task, amiss};
use crate::{CallContext, PluginId};

/// Bytes that pass at once.
const PIECE: usize = 256 * 1024;
/// Files and directories of one copy.
const MOST: u64 = 10_000;
/// Levels below a directory that is copied.
const MAX_DEPTH: usize = 64;
/// Files that are on their way at once.
const AT_ONCE: usize = 8;
/// Of them one may be larger than this: it may hold some ten MiB of what is on its way.
const LARGE: u64 = 256 * 1024;
/// Failures that are told one by one.
const TOLD: usize = 100;
/// What others may do with what is new.
const ORDINARY: u32 = 0o755;
/// What the account itself may do with a directory, as long as it is filled at least.
const OWN: u32 = 0o700;

/// The partial files of all copies that are under way.
static UNDER_WAY: Mutex<BTreeSet<[u8; 12]>> = Mutex::new(BTreeSet::new());

/// That nobody else writes a partial file.
struct Turn([u8; 12]);

impl Turn {
    fn take(partial: [u8; 12]) -> Option<Self> {
        let is_free = UNDER_WAY.lock().insert(partial);
        // Not made where it is not free: what is dropped frees it.
        is_free.then(|| Self(partial))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        UNDER_WAY.lock().remove(&self.0);
    }
}

/// One end of a copy.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Absent: the machine that Scout runs on.
    pub(crate) host: Option<String>,
    pub(crate) path: RemotePath,
}

/// What a copy has done.
#[derive(Debug, Default)]
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Report {
    pub(crate) path: Vec<u8>,
    pub(crate) files: u64,
    pub(crate) unchanged: u64,
    pub(crate) directories: u64,
    pub(crate) bytes: u64,
    pub(crate) resumed: u64,
    pub(crate) verified: u64,
    pub(crate) digest: Option<Digest>,
    /// What was left out, by its path below what was copied.
    pub(crate) failures: Vec<(Vec<u8>, HostError)>,
    pub(crate) failed: u64,
}

/// A copy that is made for a call.
pub(crate) struct Copy {
    context: CallContext,
    rights: Arc<CallRights>,
    plugin: PluginId,
    source: Place,
    target: Place,
    replace: bool,
    /// Bytes that may still be sent.
    left: AtomicU64,
    /// Who may send a large file.
    large: tokio::sync::Mutex<()>,
    /// Bytes that were sent, and how many there will be, if that is known.
    sent: AtomicU64,
    total: AtomicU64,
}

/// Something on one of the machines.
#[derive(Clone, Debug)]
struct Item {
    /// As it was asked for.
    asked: RemotePath,
    /// Where it truly lies.
    truly: RemotePath,
    /// What it is; absent: it is not there.
    attributes: Option<Attributes>,
}

/// A directory that is copied.
struct Directory {
    /// Its names below the one that was asked for.
    below: Vec<u8>,
    source: RemotePath,
    target: RemotePath,
    is_new: bool,
    depth: usize,
}

/// What became of a file.
enum Copied {
    Written(Received, u64),
    Unchanged(Option<Digest>),
}

impl Copy {
    pub(crate) fn new(
        context: CallContext,
        rights: Arc<CallRights>,
        plugin: PluginId,
        (source, target): (Place, Place),
        replace: bool,
    ) -> Self {
        let left = AtomicU64::new(context.limits.transfer_bytes);
        let (sent, total) = (AtomicU64::new(0), AtomicU64::new(0));
        let large = tokio::sync::Mutex::default();
        Self { context, rights, plugin, source, target, replace, left, large, sent, total }
    }

    /// What is at the source, if anything is.
    ///
    /// # Errors
    /// Those of [`Copy::run`].
    pub(crate) async fn look(&self) -> Result<Option<Attributes>, HostError> {
        match self.locate(Side::Source, &self.source.path).await {
            Ok((attributes, _)) => Ok(Some(attributes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes it.
    ///
    /// # Errors
    /// Those of [`Machine::perform`](scout_machine::Machine::perform), and that one of the two sides may not, or what is copied cannot
    /// be copied there. Of a directory what is below it fails by itself.
    /// # Cancel safety
    /// What has its name stays; what has come of a large file stays for another copy.
    pub(crate) async fn run(&self) -> Result<Report, HostError> {
        self.report(None);
        let (attributes, truly) = self.locate(Side::Source, &self.source.path).await?;
        let source = Item { asked: self.source.path.clone(), truly, attributes: Some(attributes) };
        let mut report = Report::default();
        match attributes.kind() {
            FileKind::File => {
                let target = self.place_of_file(&source).await?;
                report.path = target.truly.bytes().to_vec();
                self.total.store(attributes.size.unwrap_or_default(), Ordering::Relaxed);
                let copied = self.file(&source, &target).await?;
                report.take(&copied);
            }
            FileKind::Directory => self.directory(&source, &mut report).await?,
            FileKind::Symlink | FileKind::Other => {
                let message = format!("neither a file nor a directory: `{}`", self.name(Side::Source, &source.asked));
                return Err(HostError::new(ErrorKind::Invalid, message));
            }
        }
        Ok(report)
    }

    /// Asks a machine for its part.
    async fn ask(&self, side: Side, asked: RemotePath, task: Task) -> Result<Found, HostError> {
        let access = match &self.place(side).host {
            Some(host) => HostAccess::new(&self.context, host, &self.rights)?,
            None => HostAccess::exchange(&self.context)?,
        };
        let admitted = access.admit_part(&self.plugin, &self.rights, Part { asked, side, task }).await;
        let found = admitted.map_err(refused)?.go().await;
        found.map_err(|error| self.named(side, error))
    }

    async fn locate(&self, side: Side, path: &RemotePath) -> Result<(Attributes, RemotePath), HostError> {
        match self.ask(side, path.clone(), Task::Do(Errand::Locate { path: path.clone() })).await? {
            Found::Done(Done::Located(attributes, place)) => Ok((attributes, RemotePath::parse(&place.path)?)),
            _ => Err(amiss()),
        }
    }

    async fn list(&self, side: Side, item: &Item) -> Result<(Vec<DirEntry>, bool), HostError> {
        match self.ask(side, item.asked.clone(), Task::List { truly: item.truly.clone() }).await? {
            Found::Opened(Opened::Directory { entries, truncated, .. }) => Ok((entries, truncated)),
            Found::Opened(_) => {
                let message = format!("is no directory any more: `{}`", self.name(side, &item.asked));
                Err(HostError::new(ErrorKind::Remote, message))
            }
            _ => Err(amiss()),
        }
    }

    async fn digest(&self, side: Side, item: &Item) -> Result<Option<Digest>, HostError> {
        let errand = Errand::Digest { path: item.truly.clone() };
        match self.ask(side, item.asked.clone(), Task::Do(errand)).await? {
            Found::Done(Done::Digest(digest)) => Ok(digest),
            _ => Err(amiss()),
        }
    }

    /// Makes it as the source's is, but for what others may write.
    async fn make_directory(&self, item: &Item, source: Option<Attributes>) -> Result<bool, HostError> {
        let mode = source.and_then(|source| source.permissions).unwrap_or(ORDINARY) & ORDINARY | OWN;
        let errand = Errand::MakeDirectory { path: item.truly.clone(), mode };
        match self.ask(Side::Target, item.asked.clone(), Task::Do(errand)).await? {
            Found::Done(Done::Made(is_new)) => Ok(is_new),
            _ => Err(amiss()),
        }
    }

    /// Where a file goes: into a directory that is there, or to what the target names.
    async fn place_of_file(&self, source: &Item) -> Result<Item, HostError> {
        let target = self.item(Side::Target, &self.target.path).await?;
        match target.attributes.map(|attributes| attributes.kind()) {
            Some(FileKind::Directory) => {
                let name = source.truly.names().last().unwrap_or_default();
                self.item(Side::Target, &joined(&target.asked, name)?).await
            }
            None if target.asked.bytes().ends_with(b"/") => {
                let message = format!("no such directory: `{}`", self.name(Side::Target, &target.asked));
                Err(HostError::new(ErrorKind::NotFound, message))
            }
            _ => Ok(target),
        }
    }

    /// What a path names, or would name if it were there: then its directory is.
    async fn item(&self, side: Side, path: &RemotePath) -> Result<Item, HostError> {
        let missing = match self.locate(side, path).await {
            Ok((attributes, truly)) => return Ok(Item { asked: path.clone(), truly, attributes: Some(attributes) }),
            Err(error) if error.kind() == ErrorKind::NotFound => error,
            Err(error) => return Err(error),
        };
        let name = path.names().last().filter(|name| !matches!(*name, b"." | b"..")).map(<[u8]>::to_vec);
        let (Some(name), Some(parent)) = (name, path.parents().nth(1)) else { return Err(missing) };
        let (attributes, parent) = self.locate(side, &parent).await?;
        if attributes.kind() != FileKind::Directory {
            return Err(missing);
        }
        Ok(Item { asked: path.clone(), truly: joined(&parent, &name)?, attributes: None })
    }

    /// Copies a regular file.
    async fn file(&self, source: &Item, target: &Item) -> Result<Copied, HostError> {
        let Some(attributes) = source.attributes else { return Err(amiss()) };
        let size = attributes.size.unwrap_or_default();
        if self.is_one_machine() && source.truly == target.truly {
            let message = format!("is the same file: `{}`", self.name(Side::Target, &target.asked));
            return Err(HostError::new(ErrorKind::Invalid, message));
        }
        if let Some(old) = target.attributes {
            if old.kind() == FileKind::File && old.size == attributes.size {
                let (ours, theirs) =
                    futures_util::join!(self.digest(Side::Source, source), self.digest(Side::Target, target));
                if let (Some(ours), Some(theirs)) = (ours?, theirs?)
                    && ours == theirs
                {
                    return Ok(Copied::Unchanged(Some(ours)));
                }
            }
            if old.kind() != FileKind::File || !self.replace {
                let (what, hint) = match old.kind() {
                    FileKind::File => {
                        ("exists, and holds something else", "ask for it to be replaced, or name another")
                    }
                    FileKind::Directory => ("is a directory", "name the file in it"),
                    _ => ("is neither a file nor a directory", "name another"),
                };
                let message = format!("{what}: `{}`", self.name(Side::Target, &target.asked));
                return Err(HostError::new(ErrorKind::Invalid, message).with_hint(hint));
            }
        }
        let take = |left: u64| left.checked_sub(size);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            let most = self.context.limits.transfer_bytes;
            let message = format!("more than {most} bytes may not be copied at once");
            return Err(HostError::new(ErrorKind::Exhausted, message)
                .with_hint("copy less at once; the operator sets `max_size` below [transfers] in scout.toml"));
        }
        let file = NewFile {
            size,
            mode: attributes.permissions.map(|mode| mode & ORDINARY),
            replace: target.attributes.is_some(),
            partial: self.partial(source, attributes, target),
        };
        let turn = Turn::take(file.partial);
        if turn.is_none() && !self.is_played() {
            let message = format!("the same copy is under way: `{}`", self.name(Side::Target, &target.asked));
            return Err(HostError::new(ErrorKind::Exhausted, message).with_hint("wait for its end"));
        }
        let _place = match size > LARGE {
            true => Some(self.large.lock().await),
            false => None,
        };
        let (feed, inlet) = Inlet::new();
        let receive = Errand::Receive { path: target.truly.clone(), file, inlet };
        let receiving = self.ask(Side::Target, target.asked.clone(), Task::Do(receive));
        let (received, sent) = futures_util::join!(receiving, self.feed(source, size, feed));
        match (received, sent) {
            (Ok(Found::Done(Done::Received(received))), Ok(())) => Ok(Copied::Written(received, size)),
            (Ok(_), Ok(())) => Err(amiss()),
            // What was sent last has arrived all the same.
            (Ok(_), Err(error)) => Err(error),
            (Err(error), Ok(())) => Err(error),
            // The receiver tells how much is there, and whether it stays.
            (Err(left), Err(error)) => Err(error.with_addition(&format!("; {}", left.message()))),
        }
    }

    /// The source's part, once the target has said from where on it wants the file. `Ok` if the target tells what became of it.
    async fn feed(&self, source: &Item, size: u64, mut feed: Feed) -> Result<(), HostError> {
        let wanted = feed.wanted().await;
        let Some(offset) = wanted.or(self.is_played().then_some(0)) else { return Ok(()) };
        match self.pass(source, size, offset, &mut feed).await {
            Ok(Some(digest)) => feed.finish(End::Whole(Some(digest))),
            Ok(None) => {}
            Err(error) => {
                // What the source does not give for good, no later try goes on with.
                feed.finish(if is_for_now(error.kind()) { End::BrokenOff } else { End::Worthless });
                return Err(error);
            }
        }
        Ok(())
    }

    /// Passes the file on from `offset` on: the SHA-256 of all of it. Absent: the target takes no more, and tells why.
    async fn pass(&self, source: &Item, size: u64, offset: u64, feed: &mut Feed) -> Result<Option<Digest>, HostError> {
        // Of what was there already the source has to be asked.
        let whole = match offset {
            0 => None,
            _ => match self.digest(Side::Source, source).await? {
                Some(digest) => Some(digest),
                None => {
                    let message =
                        "its host tells no SHA-256, so that what was there of an earlier try is not gone on with";
                    let message = format!("{message}: `{}`", self.name(Side::Source, &source.asked));
                    return Err(HostError::new(ErrorKind::Unsupported, message).with_hint("copy it again"));
                }
            },
        };
        let (outlet, from) = Outlet::new();
        // A key that began in what is there already ends in what comes.
        let lead = offset.min(LEAD);
        let (begin, left) = (offset - lead, size.saturating_sub(offset));
        let errand = Errand::Send { path: source.truly.clone(), offset: begin, outlet };
        let sending = self.ask(Side::Source, source.asked.clone(), Task::Do(errand));
        self.sent.fetch_add(offset, Ordering::Relaxed);
        let relaying = self.relay(source, from, feed, (usize::try_from(lead).unwrap_or(usize::MAX), left));
        let (sent, relayed) = futures_util::join!(sending, relaying);
        let digest = match relayed {
            Ok(digest) => digest,
            Err(None) => return Ok(None),
            Err(Some(error)) => return Err(error),
        };
        let Found::Done(Done::Sent(sent @ Sent { bytes, .. }, _)) = sent? else { return Err(amiss()) };
        if !self.is_played() && (!sent.is_whole(begin) || bytes != left.saturating_add(lead)) {
            return Err(self.changed(source));
        }
        Ok(Some(whole.unwrap_or(digest)))
    }

    fn changed(&self, source: &Item) -> HostError {
        let name = self.name(Side::Source, &source.asked);
        let message = format!("changed while it was copied, or does not tell its size: `{name}`");
        HostError::new(ErrorKind::Remote, message).with_hint("copy it again")
    }

    /// Passes bytes on until the source has sent all it has, `left` of them behind those that are `known` to the target already; their
    /// SHA-256. `Err` without an error: the target takes no more.
    async fn relay(
        &self,
        source: &Item,
        mut from: DuplexStream,
        feed: &mut Feed,
        (known, mut left): (usize, u64),
    ) -> Result<Digest, Option<HostError>> {
        let lead = usize::try_from(LEAD).unwrap_or(usize::MAX);
        let (mut sum, mut piece, mut kept) = (Sha256::new(), vec![0; lead + PIECE], known);
        // Where it breaks off here the source tells why.
        if from.read_exact(piece.get_mut(..known).unwrap_or_default()).await.is_err() {
            return Ok(sum.finalize().into());
        }
        loop {
            let mut filled = kept;
            while let Some(room) = piece.get_mut(filled..kept + PIECE).filter(|room| !room.is_empty()) {
                // It breaks off where the source does, which tells why.
                match from.read(room).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => filled += count,
                }
            }
            let fresh = piece.get(kept..filled).unwrap_or_default();
            if fresh.is_empty() {
                return Ok(sum.finalize().into());
            }
            // No more than was counted: a host may say one size and send for ever.
            left = left.checked_sub(fresh.len() as u64).ok_or_else(|| Some(self.changed(source)))?;
            // A key that began in the piece before ends in this one.
            let seen = piece.get(..filled).unwrap_or_default();
            let secrets: &SecretPaths = &self.context.fleet.access().secrets;
            secrets
                .check_content(&source.asked, source.truly.bytes(), seen)
                .map_err(|refusal| Some(refused(refusal)))?;
            sum.update(fresh);
            feed.writer().write_all(fresh).await.map_err(|_gone| None)?;
            self.sent.fetch_add(fresh.len() as u64, Ordering::Relaxed);
            self.report(None);
            let tail = filled.saturating_sub(lead);
            piece.copy_within(tail..filled, 0);
            kept = filled - tail;
        }
    }

    /// Copies a directory with what is below it.
    async fn directory(&self, source: &Item, report: &mut Report) -> Result<(), HostError> {
        let target = self.item(Side::Target, &self.target.path).await?;
        let copied = TrueRoots(vec![vec![source.truly.bytes().to_vec()]]);
        if self.is_one_machine() && copied.hold(target.truly.bytes()) {
            let message = format!("lies below what is copied: `{}`", self.name(Side::Target, &target.asked));
            return Err(HostError::new(ErrorKind::Invalid, message));
        }
        report.path = target.truly.bytes().to_vec();
        let is_new = match target.attributes.map(|attributes| attributes.kind()) {
            None => self.make_directory(&target, source.attributes).await?,
            Some(FileKind::Directory) => false,
            Some(_) => {
                let message = format!("exists and is no directory: `{}`", self.name(Side::Target, &target.asked));
                return Err(HostError::new(ErrorKind::Invalid, message));
            }
        };
        report.directories += u64::from(is_new);
        let first =
            Directory { below: Vec::new(), source: source.truly.clone(), target: target.truly, is_new, depth: 0 };
        let (mut waiting, mut seen) = (vec![first], 0_u64);
        while let Some(directory) = waiting.pop() {
            let files = match self.plan(&directory, &mut waiting, &mut seen, report).await {
                Ok(files) => files,
                // The whole of it, where it is the first.
                Err(error) if directory.depth == 0 => return Err(error),
                Err(error) => {
                    report.fail(directory.below, error);
                    continue;
                }
            };
            let copies =
                files.into_iter().map(async |(below, source, target)| (below, self.file(&source, &target).await));
            let mut copies = std::pin::pin!(stream::iter(copies).buffer_unordered(AT_ONCE));
            while let Some((below, copied)) = copies.next().await {
                match copied {
                    Ok(copied) => report.take(&copied),
                    Err(error) if ends(&self.context.call, &error) => return Err(self.so_far(error, report)),
                    Err(error) => report.fail(below, error),
                }
                self.report(Some(report.files + report.unchanged));
            }
        }
        // One of many says nothing of the others.
        report.digest = None;
        Ok(())
    }

    /// What of a directory is copied, in the order of its names: directories are made, files are given back.
    async fn plan(
        &self,
        directory: &Directory,
        waiting: &mut Vec<Directory>,
        seen: &mut u64,
        report: &mut Report,
    ) -> Result<Vec<(Vec<u8>, Item, Item)>, HostError> {
        let asked = |side: Side, below: &[u8]| match below {
            b"" => Ok(self.place(side).path.clone()),
            below => joined(&self.place(side).path, below),
        };
        let item = |side, truly: &RemotePath| -> Result<Item, HostError> {
            Ok(Item { asked: asked(side, &directory.below)?, truly: truly.clone(), attributes: None })
        };
        let (mut entries, is_cut) = self.list(Side::Source, &item(Side::Source, &directory.source)?).await?;
        let old: BTreeMap<Vec<u8>, Attributes> = match directory.is_new {
            true => BTreeMap::new(),
            false => {
                let (old, is_cut) = self.list(Side::Target, &item(Side::Target, &directory.target)?).await?;
                if is_cut {
                    let message = "holds more names than are listed, so that it is not known what would be replaced";
                    return Err(HostError::new(ErrorKind::Exhausted, message));
                }
                old.into_iter().map(|entry| (entry.name, entry.attributes)).collect()
            }
        };
        if is_cut {
            let message = format!("holds more than {} names; the others are left out", entries.len());
            report.fail(directory.below.clone(), HostError::new(ErrorKind::Exhausted, message));
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for DirEntry { name, attributes } in entries {
            let below =
                if directory.below.is_empty() { name.clone() } else { [&directory.below, &b"/"[..], &name].concat() };
            // A host says what it likes.
            if !is_name(&name) {
                let shown = scout_machine::path::shown(&name);
                report.fail(below, HostError::new(ErrorKind::Remote, format!("`{shown}` is no name of a file")));
                continue;
            }
            *seen += 1;
            if *seen > MOST {
                let message = format!("{MOST} files and directories are copied at once; the others are left out");
                report.fail(below, HostError::new(ErrorKind::Exhausted, message));
                break;
            }
            let here = |side, truly: &RemotePath, attributes| -> Result<Item, HostError> {
                Ok(Item { asked: asked(side, &below)?, truly: joined(truly, &name)?, attributes })
            };
            let both = here(Side::Source, &directory.source, Some(attributes))
                .and_then(|source| Ok((source, here(Side::Target, &directory.target, old.get(&name).copied())?)));
            let (source, target) = match both {
                Ok(both) => both,
                Err(error) => {
                    report.fail(below, error);
                    continue;
                }
            };
            let left_out = |what: &str| HostError::new(ErrorKind::Unsupported, format!("{what}, which is not copied"));
            match attributes.kind() {
                FileKind::File => files.push((below, source, target)),
                FileKind::Directory if directory.depth >= MAX_DEPTH => {
                    let message = format!("lies deeper than {MAX_DEPTH} levels");
                    report.fail(below, HostError::new(ErrorKind::Exhausted, message));
                }
                FileKind::Directory => {
                    let is_new = match target.attributes.map(|attributes| attributes.kind()) {
                        Some(FileKind::Directory) => Ok(false),
                        _ => self.make_directory(&target, source.attributes).await,
                    };
                    match is_new {
                        Ok(is_new) => {
                            report.directories += u64::from(is_new);
                            let depth = directory.depth + 1;
                            directories.push(Directory {
                                below,
                                source: source.truly,
                                target: target.truly,
                                is_new,
                                depth,
                            });
                        }
                        Err(error) if ends(&self.context.call, &error) => return Err(error),
                        Err(error) => report.fail(below, error),
                    }
                }
                FileKind::Symlink => report.fail(below, left_out("is a symbolic link")),
                FileKind::Other => report.fail(below, left_out("is neither a file nor a directory")),
            }
        }
        // The last one is taken first.
        waiting.extend(directories.into_iter().rev());
        Ok(files)
    }

    /// What a directory's copy has come to when its call ends.
    fn so_far(&self, error: HostError, report: &Report) -> HostError {
        let done = report.files + report.unchanged;
        error.with_addition(&format!("; {done} files are there, and the same copy goes on from there"))
    }

    fn place(&self, side: Side) -> &Place {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// What is played asks no machine, and is asked for what was recorded.
    fn is_played(&self) -> bool {
        self.context.tape.as_ref().is_some_and(|tape| tape.is_played())
    }

    fn is_one_machine(&self) -> bool {
        self.source.host == self.target.host
    }

    /// A path with its host, for people.
    fn name(&self, side: Side, path: &RemotePath) -> String {
        let path = scout_machine::path::shown(path.bytes());
        match &self.place(side).host {
            Some(host) => format!("{}:{path}", shown(host)),
            None => path,
        }
    }

    /// An error that says whose it is.
    fn named(&self, side: Side, error: HostError) -> HostError {
        match &self.place(side).host {
            Some(host) if !error.message().contains(host.as_str()) => {
                let named = HostError::new(error.kind(), format!("{}: {}", shown(host), error.message()));
                match error.hint() {
                    Some(hint) => named.with_hint(hint.to_owned()),
                    None => named,
                }
            }
            _ => error,
        }
    }

    /// The name of a partial file: of this source as it is now, for this place and this principal.
    fn partial(&self, source: &Item, attributes: Attributes, target: &Item) -> [u8; 12] {
        let mut sum = Sha256::new();
        let host = |side| self.place(side).host.as_deref().unwrap_or_default().as_bytes();
        let principal = &self.context.principal;
        let parts = [
            host(Side::Source),
            source.truly.bytes(),
            host(Side::Target),
            target.truly.bytes(),
            principal.tenant().as_str().as_bytes(),
            principal.name().as_bytes(),
        ];
        for part in parts {
            sum.update((part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        sum.update(attributes.size.unwrap_or_default().to_be_bytes());
        sum.update(attributes.mtime.unwrap_or_default().to_be_bytes());
        let sum: Digest = sum.finalize().into();
        let mut name = [0; 12];
        name.iter_mut().zip(sum).for_each(|(byte, of)| *byte = of);
        name
    }

    /// Tells the client how far it is.
    fn report(&self, files: Option<u64>) {
        let total = self.total.load(Ordering::Relaxed);
        let message = match files {
            Some(files) => format!("{files} files"),
            None => "bytes".to_owned(),
        };
        let sent = self.sent.load(Ordering::Relaxed);
        self.context.report(sent as f64, (total > 0).then_some(total as f64), Some(&message));
    }
}

impl Report {
    fn take(&mut self, copied: &Copied) {
        match copied {
            Copied::Written(received, size) => {
                self.files += 1;
                self.bytes += size - received.resumed.min(*size);
                self.resumed += received.resumed;
                self.verified += u64::from(received.verified);
                self.digest = received.digest;
            }
            Copied::Unchanged(digest) => {
                self.unchanged += 1;
                self.digest = *digest;
            }
        }
    }

    fn fail(&mut self, below: Vec<u8>, error: HostError) {
        self.failed += 1;
        if self.failures.len() < TOLD {
            self.failures.push((below, error));
        }
    }
}

/// Whether it names something in a directory, and nothing elsewhere.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// A path below another one.
fn joined(path: &RemotePath, name: &[u8]) -> Result<RemotePath, HostError> {
    let slash = if path.bytes().ends_with(b"/") || path.bytes().is_empty() { &b""[..] } else { b"/" };
    RemotePath::parse([path.bytes(), slash, name].concat())
}

/// Whether nothing more can be done for this call.
fn ends(call: &Call, error: &HostError) -> bool {
    call.cancel.is_cancelled() || matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Cancelled)
}

/// Whether another try may find the source as it was.
fn is_for_now(kind: ErrorKind) -> bool {
    use ErrorKind::{Auth, Cancelled, ConnectionLost, Exhausted, NotReadable, Timeout, Unreachable};
    matches!(kind, Timeout | Cancelled | Unreachable | ConnectionLost | Exhausted | NotReadable | Auth)
}

fn refused(refusal: Refusal) -> HostError {
    let error = HostError::new(ErrorKind::Outside, refusal.to_string());
    match refusal.instead {
        Some(instead) => error.with_hint(instead),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        for name in ["a", "...", "a\\b", " ", "~", "-x"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in ["", ".", "..", "/", "a/b", "../a", "a\0"] {
            assert!(!is_name(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn a_partial_file_has_one_writer_until_it_has_gone() {
        let turn = Turn::take(*b"one partial!");
        assert!(turn.is_some() && Turn::take(*b"one partial!").is_none());
        assert!(Turn::take(*b"another one!").is_some());
        drop(turn);
        assert!(Turn::take(*b"one partial!").is_some());
    }

    #[test]
    fn a_path_is_joined_with_one_slash() {
        for (path, joined_with) in [("/a", "/a/b"), ("/a/", "/a/b"), ("/", "/b"), ("~", "~/b")] {
            let path = RemotePath::parse(path).expect("a path");
            assert_eq!(joined(&path, b"b").expect("a path").bytes(), joined_with.as_bytes());
        }
    }

    #[test]
    fn what_is_counted_once_is_told_for_a_hundred() {
        let mut report = Report::default();
        for _ in 0..150 {
            report.fail(b"x".to_vec(), amiss());
        }
        assert_eq!((report.failed, report.failures.len()), (150, TOLD));
    }
}
