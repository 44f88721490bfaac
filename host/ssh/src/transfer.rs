//! Large files, writing, and what a host tells of its paths and file systems.
//!
//! Owns what these need beside a single read: going on with a transfer on another channel, and removing what a failed
//! or abandoned write leaves behind. Transfers run on a channel of their own; short reads never wait behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use scout_machine::command::shell::encoded;
use scout_machine::path::{not_a_file, remote_error, shown, swapped};
use scout_machine::transfer::{Digest, End, Inlet, NewFile, Outlet, Received, Sent, digest, split};
use scout_machine::within::outside;
use scout_machine::{
    Attributes, Call, CommandLimits, Ending, ErrorKind, ExecRequest, FileKind, HostError, RemotePath, TruePath,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::Lease;
use crate::lease::{OnLane, TRIES, Tally, within};
use crate::sftp::{
    Download, FileSystem, Part, Plan, SftpChannel, SftpError, Transfer, WriteError, WriteOptions, Written,
    receiver_failed,
};
use crate::sftp_lanes::Lane;

/// How long removing a temporary file may take.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

/// What is left of an interrupted transfer is kept from this many bytes on.
const KEPT: u64 = 1 << 20;
/// What a tool may say of a file's SHA-256, in bytes.
const DIGEST_OUTPUT: usize = 4096;
/// A tool that says it of what is open, once that was asked where it lies. First the one that knows the processor's own way (a seventh of
/// the time of coreutils'), then those of GNU and busybox, of Perl, of the BSDs.
const DIGEST_SCRIPT: &str = "h(){ command -v $1 >/dev/null 2>&1;};[ -p \"$p\" ]&&exit 93;\
    { t=$(exec 2>/dev/null;readlink /proc/self/fd/0;echo .);t=${t%??};\
    case $t in /*)[ \"$t\" = \"$p\" ]||exit 93;;esac;\
    h openssl&&openssl dgst -sha256 -r </dev/null >/dev/null 2>&1&&{ openssl dgst -sha256 -r;exit;};\
    if h sha256sum;then sha256sum;elif h shasum;then shasum -a 256;elif h sha256;then sha256 -q;else exit 127;fi;}<\"$p\"";
/// How the script ends that finds another file open.
const ELSEWHERE: u32 = 93;
/// The call's deadline binds it.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What one command brings of a file, where there is no SFTP.
const PIECE: u64 = 4 * 1024 * 1024;

impl Lease {
    /// Streams a regular file, or a part of one, into `sink`. At most 8 MiB are under way or in memory; no more is asked
    /// for than `sink` takes. If the channel dies, the transfer goes on where it was, unless the file has changed.
    ///
    /// Where it truly lies is not told: this is not for paths that somebody else may choose.
    ///
    /// The end is where the file ended when it was opened; [`Transfer::change`] tells whether that is still true.
    ///
    /// # Errors
    /// As [`Lease::open`]. What `sink` has received by then is right and without a gap.
    /// # Cancel safety
    /// The file is closed on the host. What `sink` received stays there.
    pub async fn read_to<W>(
        &self,
        path: &RemotePath,
        part: Part,
        sink: &mut W,
        call: &Call,
    ) -> Result<Transfer, HostError>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        self.read_of(path, part, sink, None, call).await
    }

    /// The same of the file alone that was `seen` at the path.
    async fn read_of<W>(
        &self,
        path: &RemotePath,
        part: Part,
        sink: &mut W,
        seen: Option<Attributes>,
        call: &Call,
    ) -> Result<Transfer, HostError>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let tally = self.tally(call);
        let mut sink = sink;
        let mut download = Download::new(path, part, &mut sink).of(seen);
        for _ in 0..TRIES {
            let on = match self.lane(Lane::Bulk, &tally).await {
                Ok(Some(on)) => on,
                Ok(None) => continue,
                Err(_) if self.has_no_sftp() => return self.read_in_pieces(path, part, sink, seen, call).await,
                Err(error) => return Err(error),
            };
            match download.run(&on.channel, &tally.call).await {
                Ok(transfer) => return Ok(transfer),
                Err(error) => self.give_up_or_repeat(on, error, path.bytes(), &tally).await?,
            }
        }
        Err(self.no_answer_from_sftp())
    }

    /// The same where there is no SFTP: a command for each piece.
    async fn read_in_pieces<W>(
        &self,
        path: &RemotePath,
        part: Part,
        sink: &mut W,
        proven: Option<Attributes>,
        call: &Call,
    ) -> Result<Transfer, HostError>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let seen = self.stat(path, call).await?;
        let (offset, end) = part.of(seen);
        let (mut before, mut after, mut bytes) = (proven, seen, 0_u64);
        let mut ended = false;
        while !ended {
            let at = offset.saturating_add(bytes);
            let left = end.map_or(PIECE, |end| end.saturating_sub(at).min(PIECE));
            let length = usize::try_from(left).unwrap_or(usize::MAX);
            let (attributes, piece, place) = self.read_placed(path, at, length, call).await?;
            if proven.is_some() && place.path != path.bytes() {
                return Err(swapped(path.bytes()));
            }
            let first = *before.get_or_insert(attributes);
            // Each piece opens the path again: it must not be another file by now.
            if (first.uid, first.permissions) != (attributes.uid, attributes.permissions) {
                let message = format!("another file took its place after {bytes} bytes: `{}`", shown(path.bytes()));
                return Err(HostError::new(ErrorKind::Remote, message).with_hint("begin again"));
            }
            within(&self.spec().alias, call, async {
                sink.write_all(&piece.data).await.map_err(|error| receiver_failed(&error))
            })
            .await?;
            (after, bytes) = (attributes, bytes.saturating_add(piece.data.len() as u64));
            let arrived = offset.saturating_add(bytes);
            ended = !piece.truncated || piece.data.is_empty() || end.is_some_and(|end| arrived >= end);
        }
        within(&self.spec().alias, call, async { sink.flush().await.map_err(|error| receiver_failed(&error)) }).await?;
        let is_short = end.is_some_and(|end| offset.saturating_add(bytes) < end);
        Ok(Transfer { before: before.unwrap_or(seen), after, offset, bytes, is_short })
    }

    /// Writes a regular file as a whole: all that `source` gives goes to a temporary file in the same directory, which
    /// then takes the name. Whoever opens the path meanwhile sees the old file or the new one, never a part.
    ///
    /// A symbolic link is followed and stays. Owner and permissions of a file that is replaced are kept, or nothing is
    /// written; ACLs, extended attributes and further hard links are lost. A file is replaced only where the server can
    /// do so in one step (`posix-rename@openssh.com`). The content is on the disk before the name is, if
    /// [`Written::synced`] says so; the directory is not synchronized.
    ///
    /// # Errors
    /// As [`Lease::open`]; Invalid for a directory, or a file that exists and may not be replaced; Unsupported where the
    /// host has no SFTP or cannot replace a file. The target is untouched, except with ConnectionLost, whose message
    /// says that it may be written, whole. A retry is safe.
    /// # Cancel safety
    /// The target is untouched unless the rename was sent already. The temporary file (`.scout-…`) is removed in the
    /// background; it stays if the host cannot be reached any more.
    pub async fn write<R>(
        &self,
        path: &RemotePath,
        source: &mut R,
        options: &WriteOptions,
        call: &Call,
    ) -> Result<Written, HostError>
    where
        R: AsyncRead + Unpin + ?Sized,
    {
        let tally = self.tally(call);
        let mut source = source;
        for _ in 0..TRIES {
            let Some(on) = self.lane(Lane::Bulk, &tally).await? else { continue };
            let plan = match on.channel.plan_write(path, options, &tally.call).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.give_up_or_repeat(on, error, path.bytes(), &tally).await?;
                    continue;
                }
            };
            let mut temporary = Temporary::new(self, on, &plan);
            let Some(on) = &temporary.on else { continue };
            let (error, is_known) = match on.channel.write_planned(&plan, &mut source, &tally.call).await {
                Ok(written) => {
                    temporary.on = None;
                    return Ok(written);
                }
                Err(WriteError::Untouched(error)) => (error, true),
                Err(WriteError::Unknown(error)) => (error, false),
            };
            let refused = on.refused();
            let left = temporary.remove().await.err();
            let error = match error {
                SftpError::Ssh(error) => error,
                SftpError::Stalled { .. } | SftpError::Closed if let Some(error) = refused => error,
                SftpError::Closed => HostError::new(ErrorKind::Unreachable, "SFTP ended while the file was written"),
                SftpError::Stalled { .. } => {
                    HostError::new(ErrorKind::NotReadable, "the file system or the server hangs")
                }
            };
            let state = match (is_known, left) {
                (true, None) => return Err(error),
                (true, Some(left)) => format!("the temporary file `{left}` may remain"),
                (false, _) => "whether it has its new content is unknown; it is whole in any case".to_owned(),
            };
            let kind = if is_known { error.kind() } else { ErrorKind::ConnectionLost };
            return Err(HostError::new(kind, format!("{}; {state}", error.message())));
        }
        Err(self.no_answer_from_sftp())
    }

    /// The absolute path without links of what the path names.
    ///
    /// Another process may put something else there right after: to read a file only if it truly lies in a certain
    /// directory, use [`Lease::open_placed`].
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn real_path(&self, path: &RemotePath, call: &Call) -> Result<Vec<u8>, HostError> {
        let read = move |channel: SftpChannel, path: RemotePath, call: Call| async move {
            channel.real_path(&path, &call).await
        };
        self.sftp(Lane::Short, path.clone(), call, read).await
    }

    /// The file system that holds the path.
    ///
    /// # Errors
    /// As [`Lease::open`]; Unsupported where the server does not announce `statvfs@openssh.com`.
    pub async fn file_system(&self, path: &RemotePath, call: &Call) -> Result<FileSystem, HostError> {
        let read = move |channel: SftpChannel, path: RemotePath, call: Call| async move {
            channel.file_system(&path, &call).await
        };
        self.sftp(Lane::Short, path.clone(), call, read).await
    }
}

/// The part of a host in a transfer. Paths are absolute and without links.
impl Lease {
    /// Sends a regular file, from `offset` on, if it truly lies there.
    ///
    /// # Errors
    /// As [`Lease::read_to`]; Outside: the path, which has no links, has one by now.
    /// # Cancel safety
    /// As [`Lease::read_to`].
    pub(crate) async fn send(
        &self,
        path: &RemotePath,
        offset: u64,
        outlet: &Outlet,
        call: &Call,
    ) -> Result<(Sent, TruePath), HostError> {
        let (seen, place) = self.stat_placed(path, call).await?;
        if place.path != path.bytes() {
            return Err(outside(path));
        }
        if seen.has_kind() && seen.kind() != FileKind::File {
            return Err(not_a_file(path.bytes()));
        }
        let mut writer = outlet.writer().await;
        let Transfer { before, after, bytes, .. } =
            self.read_of(path, Part::From(offset), &mut writer, Some(seen), call).await?;
        // Who takes it may have gone.
        writer.shutdown().await.ok();
        Ok((Sent { before, after, bytes }, place))
    }

    /// Writes a file that is sent, in a directory that truly lies there, as [`Lease::write`] does. What an interrupted try has left
    /// is gone on with, where nobody else can have exchanged it.
    ///
    /// # Errors
    /// As [`Lease::write`]; Outside: the path, which has no links, has one by now; Remote: what is there is not what was sent.
    /// # Cancel safety
    /// As [`Lease::write`], but from 1 MiB on what has come stays for a later try.
    pub(crate) async fn receive(
        &self,
        path: &RemotePath,
        new: &NewFile,
        inlet: &Inlet,
        call: &Call,
    ) -> Result<Received, HostError> {
        let tally = self.tally(call);
        let (directory, parent) = self.parent(path, call).await?;
        for _ in 0..TRIES {
            let Some(on) = self.lane(Lane::Bulk, &tally).await? else { continue };
            let plan = match on.channel.plan_receive(path, (&directory, parent), new, &tally.call).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.give_up_or_repeat(on, error, path.bytes(), &tally).await?;
                    continue;
                }
            };
            // Nothing is gone on with that could not be proven in the end.
            let plan = match plan.resumed() {
                0 => plan,
                _ if self.digest_of(b"/dev/null", &tally.call).await?.is_some() => plan,
                _ => {
                    let (partial, call) = (plan.temporary().to_vec(), &tally.call);
                    self.sftp(Lane::Short, Arc::from(partial), call, remove).await?;
                    plan.afresh()
                }
            };
            let mut temporary = Temporary::new(self, on, &plan);
            temporary.kept = plan.is_resumable().then(|| plan.landed());
            let received = self.receive_planned(&mut temporary, &plan, new, inlet, &tally).await;
            let error = match received {
                Ok(received) => {
                    temporary.on = None;
                    return Ok(received);
                }
                Err(error) => error,
            };
            if !is_interruption(&error) {
                temporary.kept = None;
            }
            if let Some(kept) = temporary.kept() {
                let there = format!("; {kept} of {} bytes are there, and the same copy may go on from there", new.size);
                return Err(error.with_addition(&there));
            }
            return Err(match temporary.remove().await {
                Ok(()) => error,
                Err(left) => error.with_addition(&format!("; the temporary file `{left}` may remain")),
            });
        }
        Err(self.no_answer_from_sftp())
    }

    /// From the first byte to the name. The caller removes what is left, unless it is kept.
    async fn receive_planned(
        &self,
        temporary: &mut Temporary,
        plan: &Plan,
        new: &NewFile,
        inlet: &Inlet,
        tally: &Tally,
    ) -> Result<Received, HostError> {
        let (alias, call) = (&self.spec().alias, &tally.call);
        let Some(channel) = temporary.on.as_ref().map(|on| on.channel.clone()) else {
            return Err(self.no_answer_from_sftp());
        };
        let interrupted = |error: SftpError| match error {
            SftpError::Ssh(error) => error,
            SftpError::Closed => HostError::new(ErrorKind::Unreachable, "SFTP ended while the file was written"),
            SftpError::Stalled { .. } => HostError::new(ErrorKind::NotReadable, "the file system or the server hangs"),
        };
        let mut source = within(alias, call, async { Ok(inlet.begin(plan.resumed()).await) }).await?;
        let (bytes, synced) = channel.fill(plan, &mut source, call).await.map_err(interrupted)?;
        let end = within(alias, call, async { Ok(inlet.end().await) }).await?;
        if end == End::Worthless {
            temporary.kept = None;
        }
        let expected = end.whole()?;
        if bytes != new.size {
            return Err(remote_error("the file did not keep what was written", plan.target()));
        }
        let found = match expected {
            Some(_) => self.digest_of(plan.temporary(), call).await?,
            None => None,
        };
        let verified = found.is_some() && found == expected;
        if !verified && (found.is_some() || plan.resumed() > 0) {
            let message = match found {
                Some(_) => "what the host has is not what was sent (their SHA-256 differ)",
                None => "what was there of an earlier try is not proven to be what was sent: no SHA-256 is told of it",
            };
            return Err(remote_error(message, plan.target()).with_hint("copy it again"));
        }
        // What was written lies where it was meant to, and not behind a link that came meanwhile.
        let written = RemotePath::parse(plan.temporary())?;
        let (there, place) = self.stat_placed(&written, call).await?;
        if place.path != plan.temporary() {
            return Err(outside(&written));
        }
        if there.size.is_some_and(|size| size != new.size) {
            return Err(remote_error("something else took the place of what was written", plan.target()));
        }
        match channel.name(plan, call).await {
            Ok(()) => {}
            Err(WriteError::Untouched(error)) => return Err(interrupted(error)),
            Err(WriteError::Unknown(error)) => {
                let message = format!(
                    "{}; whether it has its new content is unknown; it is whole in any case",
                    interrupted(error).message()
                );
                return Err(HostError::new(ErrorKind::ConnectionLost, message));
            }
        }
        Ok(Received { resumed: plan.resumed(), replaced: plan.replaces(), synced, digest: expected, verified })
    }

    /// Makes a directory in one that truly lies there: whether it was not there before.
    ///
    /// # Errors
    /// As [`Lease::open`]; Invalid: something else has the name; Outside: the path, which has no links, has one by now.
    pub(crate) async fn make_directory(&self, path: &RemotePath, mode: u32, call: &Call) -> Result<bool, HostError> {
        self.parent(path, call).await?;
        let make = move |channel: SftpChannel, path: RemotePath, call: Call| async move {
            channel.make_directory(path.bytes(), mode, &call).await
        };
        self.sftp(Lane::Short, path.clone(), call, make).await
    }

    /// The SHA-256 of a regular file that truly lies there; absent: the host has no tool that tells it.
    ///
    /// # Errors
    /// As [`Lease::open`]; Outside: the path, which has no links, has one by now.
    pub(crate) async fn digest(&self, path: &RemotePath, call: &Call) -> Result<Option<Digest>, HostError> {
        let (seen, place) = self.stat_placed(path, call).await?;
        if place.path != path.bytes() {
            return Err(outside(path));
        }
        if seen.has_kind() && seen.kind() != FileKind::File {
            return Err(not_a_file(path.bytes()));
        }
        self.digest_of(path.bytes(), call).await
    }

    async fn digest_of(&self, path: &[u8], call: &Call) -> Result<Option<Digest>, HostError> {
        let script = format!("p=$(printf %b \"{}.\");p=${{p%.}};{DIGEST_SCRIPT}", encoded(path));
        let request = ExecRequest {
            script: script.into_bytes(),
            stdout_cap: DIGEST_OUTPUT,
            stderr_cap: DIGEST_OUTPUT,
            timeout: NO_LIMIT,
            limits: CommandLimits::NONE,
            only_reads: true,
        };
        let outcome = match self.exec(&request, call).await {
            Ok(outcome) => outcome,
            // A host that only takes SFTP.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Remote) => return Ok(None),
            Err(error) => return Err(error),
        };
        match outcome.ending {
            Ending::Exited(0) => Ok(printed(&outcome.stdout.data)),
            Ending::Exited(ELSEWHERE) => Err(swapped(path)),
            Ending::TimedOut(_) => Err(HostError::new(
                ErrorKind::Timeout,
                format!("{}: the SHA-256 was not told before the deadline", self.spec().alias),
            )),
            Ending::Cancelled(_) => Err(HostError::new(ErrorKind::Cancelled, "the request was cancelled")),
            _ => Ok(None),
        }
    }

    /// The directory that holds a path, which must truly lie there.
    async fn parent(&self, path: &RemotePath, call: &Call) -> Result<(Vec<u8>, Attributes), HostError> {
        let (directory, _name) = split(path, path.bytes())?;
        let directory = RemotePath::parse(directory)?;
        let (attributes, place) = self.stat_placed(&directory, call).await?;
        if place.path != directory.bytes() {
            return Err(outside(path));
        }
        Ok((place.path, attributes))
    }
}

/// Whether what has come stays for a later try. A full disk, say, is not gone on with.
fn is_interruption(error: &HostError) -> bool {
    use ErrorKind::{Cancelled, ConnectionLost, NotReadable, Timeout, Unreachable};
    matches!(error.kind(), Timeout | Cancelled | Unreachable | ConnectionLost | NotReadable)
}

async fn remove(channel: SftpChannel, path: Arc<[u8]>, call: Call) -> Result<(), SftpError> {
    channel.remove(&path, &call).await
}

/// The SHA-256 that a tool prints first.
fn printed(output: &[u8]) -> Option<Digest> {
    let ends = output.get(64).is_none_or(u8::is_ascii_whitespace);
    output.get(..64).filter(|_| ends).and_then(digest)
}

/// A file that is removed when this is dropped, unless it got its final name.
struct Temporary {
    /// How much of it there is, if a later try may go on with it.
    kept: Option<Arc<AtomicU64>>,
    /// For a channel of its own, should this one be dead.
    lease: Lease,
    path: Vec<u8>,
    /// Whether it is there and nobody else's.
    is_open: Arc<AtomicBool>,
    /// The channel that made it: its server works in order, so that the removal cannot overtake the making. `None`:
    /// there is nothing to remove.
    on: Option<OnLane>,
}

impl Temporary {
    fn new(lease: &Lease, on: OnLane, plan: &Plan) -> Self {
        let (path, is_open) = (plan.temporary().to_vec(), plan.is_open());
        Self { kept: None, lease: lease.another(), path, is_open, on: Some(on) }
    }

    /// Removes it now, whatever became of the request; `Err` is its path, if it may remain.
    async fn remove(mut self) -> Result<(), String> {
        let shown = shown(&self.path);
        let Some(removal) = self.removal() else { return Ok(()) };
        // A task: it goes on when whoever waits for it has gone.
        match tokio::spawn(removal).await {
            Ok(true) => Ok(()),
            _ => Err(shown),
        }
    }

    /// How many bytes of it stay for a later try.
    fn kept(&self) -> Option<u64> {
        let there = self.kept.as_ref()?.load(Ordering::Relaxed);
        (there >= KEPT).then_some(there)
    }

    fn removal(&mut self) -> Option<impl Future<Output = bool> + Send + 'static> {
        if self.kept().is_some() || !self.is_open.load(Ordering::Relaxed) {
            return None;
        }
        let (on, lease, path) = (self.on.take()?, self.lease.another(), std::mem::take(&mut self.path));
        Some(async move {
            let call = Call::until(Instant::now() + REMOVAL_LIMIT);
            match on.channel.remove(&path, &call).await {
                Ok(()) => return true,
                Err(error) => on.settle(&error).await,
            };
            lease.sftp(Lane::Short, Arc::from(path), &call, remove).await.is_ok()
        })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let (Ok(runtime), Some(removal)) = (tokio::runtime::Handle::try_current(), self.removal()) {
            runtime.spawn(removal);
        }
    }
}
