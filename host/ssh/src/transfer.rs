//! Large files, writing, and what a host tells of its paths and file systems.
//!
//! Owns what these need beside a single read: going on with a transfer on another channel, and removing what a failed
//! or abandoned write leaves behind. Transfers run on a channel of their own; short reads never wait behind them.

use std::sync::Arc;
use std::time::Duration;

use scout_machine::path::shown;
use scout_machine::{Call, ErrorKind, HostError, RemotePath};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::Lease;
use crate::lease::{OnLane, TRIES, within};
use crate::sftp::{
    Download, FileSystem, Part, Plan, SftpChannel, SftpError, Transfer, WriteError, WriteOptions, Written,
    receiver_failed,
};
use crate::sftp_lanes::Lane;

/// How long removing a temporary file may take.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

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
        let tally = self.tally(call);
        let mut sink = sink;
        let mut download = Download::new(path, part, &mut sink);
        for _ in 0..TRIES {
            let on = match self.lane(Lane::Bulk, &tally).await {
                Ok(Some(on)) => on,
                Ok(None) => continue,
                Err(_) if self.has_no_sftp() => return self.read_in_pieces(path, part, sink, call).await,
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
        call: &Call,
    ) -> Result<Transfer, HostError>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let seen = self.stat(path, call).await?;
        let (offset, end) = part.of(seen);
        let (mut before, mut after, mut bytes) = (None, seen, 0_u64);
        let mut ended = false;
        while !ended {
            let at = offset.saturating_add(bytes);
            let left = end.map_or(PIECE, |end| end.saturating_sub(at).min(PIECE));
            let (attributes, piece) = self.read(path, at, usize::try_from(left).unwrap_or(usize::MAX), call).await?;
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

/// A file that is removed when this is dropped, unless it got its final name.
struct Temporary {
    /// For a channel of its own, should this one be dead.
    lease: Lease,
    path: Vec<u8>,
    /// The channel that made it: its server works in order, so that the removal cannot overtake the making. `None`:
    /// there is nothing to remove.
    on: Option<OnLane>,
}

impl Temporary {
    fn new(lease: &Lease, on: OnLane, plan: &Plan) -> Self {
        Self { lease: lease.another(), path: plan.temporary().to_vec(), on: Some(on) }
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

    fn removal(&mut self) -> Option<impl Future<Output = bool> + Send + 'static> {
        let (on, lease, path) = (self.on.take()?, self.lease.another(), std::mem::take(&mut self.path));
        Some(async move {
            let call = Call::until(Instant::now() + REMOVAL_LIMIT);
            match on.channel.remove(&path, &call).await {
                Ok(()) => return true,
                Err(error) => on.settle(&error).await,
            };
            let remove = move |channel: SftpChannel, path: Arc<[u8]>, call: Call| async move {
                channel.remove(&path, &call).await
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
