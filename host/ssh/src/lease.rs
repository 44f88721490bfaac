//! What a request does with a host: read over SFTP, run a command.
//!
//! Owns the repeats that are safe and the words of failures. **A read may be repeated, for it changes nothing; a command
//! only if it provably was not begun.** Does not know how connections are chosen.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::command::{self, RunError};
use crate::connection::lock;
use crate::pool::{InUse, Inner, Key};
use crate::sftp::{SftpChannel, SftpError};
use crate::shell::Prepared;
use crate::slots::Slot;
use crate::{Attributes, Call, Capture, Cost, Ending, ErrorKind, ExecOutcome, ExecRequest, Opened, SshError};

/// How often an operation is begun: a stale channel or connection, or a neighbour's stall, costs one.
const TRIES: usize = 3;
/// How much of a path an error shows.
const SHOWN: usize = 200;

/// The right to use one host's connections. Dropping it ends the use.
pub struct Lease {
    pool: Arc<Inner>,
    key: Key,
    connection: Mutex<Arc<InUse>>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("host", &self.key.spec().alias).finish_non_exhaustive()
    }
}

impl Lease {
    pub(crate) fn new(pool: Arc<Inner>, key: Key, connection: Arc<InUse>) -> Self {
        Self { pool, key, connection: Mutex::new(connection) }
    }

    /// Looks at a path in one round trip: attributes, and a file's first `cap` bytes or a directory's first
    /// `max_entries` entries. `~`, `~/x` and relative paths are below the home directory.
    ///
    /// # Errors
    /// NotFound, Permission, NotReadable, Timeout, Cancelled, Unsupported, Unreachable, Remote, Invalid.
    pub async fn open(&self, path: &[u8], cap: usize, max_entries: usize, call: &Call) -> Result<Opened, SshError> {
        self.sftp(
            path,
            call,
            move |channel, path, call| async move { channel.open(&path, cap, max_entries, &call).await },
        )
        .await
    }

    /// Bytes of a regular file from `offset` on, at most `length`.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn read(
        &self,
        path: &[u8],
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture), SshError> {
        self.sftp(
            path,
            call,
            move |channel, path, call| async move { channel.read(&path, offset, length, &call).await },
        )
        .await
    }

    /// A path's attributes, following links.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn stat(&self, path: &[u8], call: &Call) -> Result<Attributes, SshError> {
        self.sftp(path, call, move |channel, path, call| async move { channel.stat(&path, &call).await }).await
    }

    /// Runs a command.
    ///
    /// # Errors
    /// Only if it provably did not run; otherwise the outcome tells how it ended.
    /// # Cancel safety
    /// A command whose future is dropped is ended on the remote host.
    pub async fn exec(&self, request: &ExecRequest, call: &Call) -> Result<ExecOutcome, SshError> {
        let prepared = Prepared::new(&request.script)?;
        let tally = Tally::begin(&self.pool, call);
        for _ in 0..TRIES {
            let run = async {
                let (connection, place) = self.exec_place(&tally).await.map_err(RunError::Failed)?;
                command::run(&connection, place, &prepared, request, &tally.call).await
            };
            match run.await {
                Ok(outcome) => {
                    tally.call.cost.add_remote_bytes((outcome.stdout.data.len() + outcome.stderr.data.len()) as u64);
                    if outcome.ending == Ending::NoStatus {
                        tracing::warn!(host = %self.key.spec().alias, "a command ended without a status");
                    }
                    return Ok(outcome);
                }
                Err(RunError::Failed(error)) => return Err(error),
                Err(RunError::NotSent) => {}
            }
        }
        Err(SshError::new(
            ErrorKind::Unreachable,
            format!("{}: the connection was lost before the command was sent", self.key.spec().alias),
        ))
    }

    /// Runs a read, on another channel if the first one dies of something else.
    ///
    /// The operation owns what it works on: an async closure over references would not be `Send` for every lifetime.
    async fn sftp<T, F>(
        &self,
        path: &[u8],
        call: &Call,
        operation: impl Fn(SftpChannel, Arc<[u8]>, Call) -> F,
    ) -> Result<T, SshError>
    where
        F: Future<Output = Result<T, SftpError>>,
    {
        let path: Arc<[u8]> = path.into();
        let tally = Tally::begin(&self.pool, call);
        let call = &tally.call;
        for _ in 0..TRIES {
            let connection = self.connection(&tally).await?;
            let reader = connection.sftp.reader();
            let opened =
                within(&self.key.spec().alias, call, async { Ok(connection.sftp_channel(call).await) }).await?;
            let (channel, generation) = match opened {
                Ok(opened) => opened,
                Err(SftpError::Ssh(error)) if error.kind() == ErrorKind::ConnectionLost => continue,
                Err(SftpError::Ssh(error)) => return Err(error),
                Err(SftpError::Closed | SftpError::Stalled { .. }) => continue,
            };
            let result = operation(channel, Arc::clone(&path), call.clone()).await;
            drop(reader);
            if connection.has_single_channel() {
                connection.sftp.close_if_unused();
            }
            match result {
                Err(SftpError::Stalled { culprit }) => {
                    let killed = connection.sftp_stalled(&generation).await;
                    if culprit {
                        return Err(self.hangs(&path, killed));
                    }
                }
                Err(SftpError::Closed) => connection.sftp_ended(&generation),
                Err(SftpError::Ssh(error)) => return Err(self.named(error, tally.begun.elapsed())),
                Ok(value) => return Ok(value),
            }
        }
        Err(SshError::new(
            ErrorKind::Unreachable,
            format!("{}: SFTP ended {TRIES} times before an answer came", self.key.spec().alias),
        ))
    }

    fn hangs(&self, path: &[u8], killed: bool) -> SshError {
        let shown: String = String::from_utf8_lossy(path).chars().take(SHOWN).collect();
        let mut message = format!("`{shown}`: not a regular file, or its file system hangs");
        if !killed {
            message.push_str("; the server's process could not be ended and may remain on the host");
        }
        SshError::new(ErrorKind::NotReadable, message)
    }

    /// A deadline names the host and the time.
    fn named(&self, error: SshError, elapsed: Duration) -> SshError {
        match error.kind() {
            ErrorKind::Timeout => no_answer(&self.key.spec().alias, elapsed),
            _ => error,
        }
    }

    /// A place for a command, on the host's first connection or on a second one if that is quicker.
    async fn exec_place(&self, tally: &Tally) -> Result<(Arc<InUse>, Slot), SshError> {
        let first = self.connection(tally).await?;
        if let Some(place) = first.try_exec_place() {
            return Ok((first, place));
        }
        let _waiting = first.queue.enter(&first.alias)?;
        let second = async {
            match self.pool.second(&self.key).await {
                Some(second) => second.exec_place().await.map(|place| (second, place)),
                None => std::future::pending().await,
            }
        };
        within(&first.alias, &tally.call, async {
            tokio::select! {
                biased;
                place = first.exec_place() => place.map(|place| (Arc::clone(&first), place)),
                found = second => found,
            }
        })
        .await
    }

    /// The lease's connection, or a fresh one if that has died or is worn.
    async fn connection(&self, tally: &Tally) -> Result<Arc<InUse>, SshError> {
        let current = Arc::clone(&lock(&self.connection));
        if current.is_usable() {
            return Ok(current);
        }
        drop(current);
        // The pool counts a dial itself, once: it goes to the request's cost and past the tally.
        let call = Call { cost: Arc::clone(&tally.request), ..tally.call.clone() };
        let fresh = self.pool.connect(&self.key, &call).await?;
        let old = std::mem::replace(&mut *lock(&self.connection), Arc::clone(&fresh));
        drop(old);
        Ok(fresh)
    }
}

/// One operation's own cost, booked to the request and the pool when it ends, however it ends.
struct Tally {
    call: Call,
    request: Arc<Cost>,
    pool: Arc<Inner>,
    begun: Instant,
}

impl Tally {
    fn begin(pool: &Arc<Inner>, call: &Call) -> Self {
        pool.stats().in_flight.add();
        let own = Call { deadline: call.deadline, cancel: call.cancel.clone(), cost: Arc::default() };
        Self { call: own, request: Arc::clone(&call.cost), pool: Arc::clone(pool), begun: Instant::now() }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let spent = self.call.cost.snapshot();
        self.request.add_round_trips(spent.round_trips);
        self.request.add_remote_bytes(spent.remote_bytes);
        for _ in 0..spent.execs {
            self.request.add_exec();
        }
        for _ in 0..spent.dials {
            self.request.add_dial();
        }
        self.pool.stats().round_trips.add_all(spent.round_trips);
        self.pool.stats().in_flight.sub();
    }
}

/// Runs the work until the call's deadline or its cancellation.
pub(crate) async fn within<T>(
    alias: &str,
    call: &Call,
    work: impl Future<Output = Result<T, SshError>>,
) -> Result<T, SshError> {
    let begun = Instant::now();
    tokio::select! {
        biased;
        () = call.cancel.cancelled() => {
            Err(SshError::new(ErrorKind::Cancelled, format!("{alias}: the request was cancelled")))
        }
        result = work => result,
        () = sleep_until(call.deadline) => Err(no_answer(alias, begun.elapsed())),
    }
}

fn no_answer(alias: &str, elapsed: Duration) -> SshError {
    let message = format!("{alias}: no answer within {:.1} s", elapsed.as_secs_f32());
    SshError::new(ErrorKind::Timeout, message)
}
