//! One SSH connection and what it is divided into: an SFTP channel, a spare session, channels for commands.
//!
//! A server allows so many sessions on a connection (`MaxSessions`, 10 by default) and does not say how many. Every
//! session holds a permit; a refusal takes a permit away for good. Opening is never cancelled: an open that nobody
//! waits for would lose a session of the server.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::dial::{Client, place};
use crate::sftp::{SftpChannel, SftpError};
use crate::{Call, ErrorKind, HostSpec, SshError, exec};

/// Sessions at once to begin with: OpenSSH's default of 10, less slack for those that are being closed.
const SESSIONS: usize = 8;
/// The longest that an SFTP server may keep silent before its channel is given up.
const STALL: Duration = Duration::from_secs(2);
/// How long opening a session may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before an open that was refused is tried again: a session that was just closed is not free at once.
const RETRY_PAUSES: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(300)];
/// Sessions after which a connection is replaced: those that the client closes first leave 3 KiB behind in russh.
const MAX_OPENED: u32 = 20_000;

/// A connection that is logged in. Shared by all leases of one host.
pub(crate) struct Connection {
    handle: Handle<Client>,
    spec: Arc<HostSpec>,
    sessions: Arc<Semaphore>,
    /// Permits that exist: how many sessions the server is believed to allow.
    allowed: AtomicUsize,
    opened: AtomicU32,
    spare: Mutex<Option<Session>>,
    refilling: AtomicBool,
    /// Held while the SFTP channel is opened or given up.
    sftp: tokio::sync::Mutex<Option<Sftp>>,
    sftp_ready: Mutex<Option<SftpChannel>>,
    waiting: AtomicUsize,
    max_waiting: usize,
    stalls: Arc<std::sync::atomic::AtomicU64>,
}

/// A session channel and the right to hold it.
pub(crate) struct Session {
    pub(crate) channel: Channel<Msg>,
    pub(crate) permit: OwnedSemaphorePermit,
}

struct Sftp {
    channel: SftpChannel,
    _permit: OwnedSemaphorePermit,
}

/// Counts one who waits, while it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(crate) fn new(
        handle: Handle<Client>,
        spec: Arc<HostSpec>,
        max_waiting: usize,
        stalls: Arc<std::sync::atomic::AtomicU64>,
    ) -> Arc<Self> {
        let connection = Arc::new(Self {
            handle,
            spec,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            allowed: AtomicUsize::new(SESSIONS),
            opened: AtomicU32::new(0),
            spare: Mutex::default(),
            refilling: AtomicBool::new(false),
            sftp: tokio::sync::Mutex::default(),
            sftp_ready: Mutex::default(),
            waiting: AtomicUsize::new(0),
            max_waiting,
            stalls,
        });
        connection.refill();
        connection
    }

    pub(crate) fn spec(&self) -> &HostSpec {
        &self.spec
    }

    /// Whether it may serve new requests.
    pub(crate) fn usable(&self) -> bool {
        !self.handle.is_closed() && self.opened.load(Ordering::Relaxed) < MAX_OPENED
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Says goodbye, bounded.
    pub(crate) async fn close(&self) {
        if let Some(sftp) = self.sftp_ready.lock().unwrap_or_else(PoisonError::into_inner).take() {
            sftp.close();
        }
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "en");
        drop(tokio::time::timeout(Duration::from_secs(1), goodbye).await);
    }

    /// A session channel for a command: the spare one if it is there, and whether it was; else a new one, as soon as
    /// the server has room.
    pub(crate) async fn session(self: &Arc<Self>, call: &Call) -> Result<(Session, bool), SshError> {
        if let Some(spare) = self.take_spare() {
            self.refill();
            return Ok((spare, true));
        }
        let permit = self.permit(call).await?;
        let connection = Arc::clone(self);
        let opening = tokio::spawn(async move { connection.open(permit).await });
        let session = bounded(call, &self.spec, opening).await?.map_err(|_| self.lost())??;
        self.refill();
        Ok((session, false))
    }

    async fn permit(&self, call: &Call) -> Result<OwnedSemaphorePermit, SshError> {
        if let Ok(permit) = Arc::clone(&self.sessions).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.max_waiting {
            let message = format!("{} requests wait for {} already", self.max_waiting, place(&self.spec));
            return Err(SshError::new(ErrorKind::Exhausted, message).with_hint("ask again later"));
        }
        let permit = bounded(call, &self.spec, Arc::clone(&self.sessions).acquire_owned()).await?;
        drop(waiting);
        permit.map_err(|_| self.lost())
    }

    /// Opens a session. A server that has no room is believed: its cap is remembered, and the open waits for another
    /// session to end.
    async fn open(self: &Arc<Self>, mut permit: OwnedSemaphorePermit) -> Result<Session, SshError> {
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            self.opened.fetch_add(1, Ordering::Relaxed);
            match tokio::time::timeout(OPEN_TIMEOUT, self.handle.channel_open_session()).await {
                Ok(Ok(channel)) => return Ok(Session { channel, permit }),
                Ok(Err(russh::Error::ChannelOpenFailure(_))) => {}
                Ok(Err(_)) | Err(_) => return Err(self.lost()),
            }
            if let Some(pause) = pauses.next() {
                tokio::time::sleep(*pause).await;
                continue;
            }
            if let Some(spare) = self.take_spare() {
                return Ok(spare);
            }
            if self.allowed.fetch_sub(1, Ordering::AcqRel) <= 1 {
                self.allowed.fetch_add(1, Ordering::AcqRel);
                return Err(SshError::new(
                    ErrorKind::Exhausted,
                    format!("{} opens no session at all", place(&self.spec)),
                )
                .with_hint("`MaxSessions` in its sshd_config must be at least 2"));
            }
            tracing::debug!(host = %self.spec.alias, allowed = self.allowed.load(Ordering::Relaxed), "the server has fewer sessions");
            permit.forget();
            permit = Arc::clone(&self.sessions).acquire_owned().await.map_err(|_| self.lost())?;
            pauses = RETRY_PAUSES.iter();
        }
    }

    /// The spare session, if it is still alive.
    fn take_spare(&self) -> Option<Session> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // Newer servers close sessions that nobody uses; what they said waits in the channel.
        match spare.channel.wait().now_or_never() {
            None => Some(spare),
            Some(Some(russh::ChannelMsg::WindowAdjusted { .. })) => Some(spare),
            Some(_) => None,
        }
    }

    /// Opens a spare session in the background, unless there is one or there is no room.
    fn refill(self: &Arc<Self>) {
        if self.refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        let permit = match Arc::clone(&self.sessions).try_acquire_owned() {
            Ok(permit) if self.spare.lock().unwrap_or_else(PoisonError::into_inner).is_none() => permit,
            Ok(_) | Err(_) => return self.refilling.store(false, Ordering::Release),
        };
        let connection = Arc::clone(self);
        tokio::spawn(async move {
            // One try: whoever needs a session asks for it in earnest.
            let opening = tokio::time::timeout(OPEN_TIMEOUT, connection.handle.channel_open_session());
            if let Ok(Ok(channel)) = opening.await {
                connection.opened.fetch_add(1, Ordering::Relaxed);
                let mut spare = connection.spare.lock().unwrap_or_else(PoisonError::into_inner);
                *spare = Some(Session { channel, permit });
            }
            connection.refilling.store(false, Ordering::Release);
        });
    }

    /// Gives a session back once the server has closed it too; its room is not free before.
    pub(crate) fn retire(self: &Arc<Self>, session: Session) {
        let connection = Arc::clone(self);
        tokio::spawn(async move {
            let Session { mut channel, permit } = session;
            drop(channel.close().await);
            let drained = async { while channel.wait().await.is_some() {} };
            drop(tokio::time::timeout(Duration::from_secs(2), drained).await);
            drop(permit);
            connection.refill();
        });
    }

    /// The SFTP channel; opens it if there is none.
    pub(crate) async fn sftp(self: &Arc<Self>, call: &Call) -> Result<SftpChannel, SshError> {
        let ready = self.sftp_ready.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(ready) = ready.filter(|ready| !ready.is_closed()) {
            return Ok(ready);
        }
        let connection = Arc::clone(self);
        let opening = tokio::spawn(async move { connection.open_sftp().await });
        let channel = bounded(call, &self.spec, opening).await?.map_err(|_| self.lost())??;
        // Channel, subsystem and greeting: each waits for the one before.
        call.cost.add_round_trips(3);
        Ok(channel)
    }

    async fn open_sftp(self: &Arc<Self>) -> Result<SftpChannel, SshError> {
        let mut slot = self.sftp.lock().await;
        if let Some(sftp) = slot.as_ref().filter(|sftp| !sftp.channel.is_closed()) {
            return Ok(sftp.channel.clone());
        }
        *slot = None;
        let session = match self.take_spare() {
            Some(spare) => spare,
            None => {
                let permit = Arc::clone(&self.sessions).acquire_owned().await.map_err(|_| self.lost())?;
                self.open(permit).await?
            }
        };
        self.refill();
        let Session { channel, permit } = session;
        let unsupported = |why: String| {
            SshError::new(ErrorKind::Unsupported, format!("{} offers no SFTP: {why}", place(&self.spec)))
                .with_hint("add `Subsystem sftp internal-sftp` to its sshd_config")
        };
        channel.request_subsystem(true, "sftp").await.map_err(|_| self.lost())?;
        match SftpChannel::start(channel.into_stream(), STALL).await {
            Ok(channel) => {
                *slot = Some(Sftp { channel: channel.clone(), _permit: permit });
                *self.sftp_ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel.clone());
                Ok(channel)
            }
            Err(SftpError::Ssh(error)) => Err(error),
            Err(SftpError::Closed) if self.is_closed() => Err(self.lost()),
            Err(SftpError::Closed) => Err(unsupported("the subsystem ends at once".to_owned())),
            Err(SftpError::Stalled { .. }) => Err(unsupported("the subsystem says nothing".to_owned())),
        }
    }

    /// Gives up an SFTP channel that hangs: its server process is killed, since closing the channel ends neither it
    /// nor the session that it holds. Says whether that worked; if not, the connection is dropped.
    pub(crate) async fn give_up(self: &Arc<Self>, stalled: &SftpChannel) -> bool {
        let connection = Arc::clone(self);
        let stalled = stalled.clone();
        // A task of its own: whoever waits may go, the process must.
        let killing = tokio::spawn(async move {
            let mut slot = connection.sftp.lock().await;
            let current = slot.as_ref().is_some_and(|sftp| sftp.channel.is_closed());
            stalled.close();
            if !current {
                // Another request of the same channel has seen to it.
                return true;
            }
            connection.stalls.fetch_add(1, Ordering::Relaxed);
            let killed = exec::kill_sftp_server(&connection).await;
            *slot = None;
            if !killed {
                tracing::warn!(host = %connection.spec.alias, "an SFTP server hangs and cannot be killed: dropping the connection");
                connection.close().await;
            }
            killed
        });
        killing.await.unwrap_or(false)
    }

    /// The connection is gone.
    pub(crate) fn lost(&self) -> SshError {
        SshError::new(ErrorKind::Unreachable, format!("the connection to {} was lost", place(&self.spec)))
            .with_hint("ask again: Scout then dials anew")
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connection").field("host", &self.spec.alias).finish_non_exhaustive()
    }
}

/// Waits within the call's deadline and cancellation.
pub(crate) async fn bounded<T>(call: &Call, spec: &HostSpec, work: impl Future<Output = T>) -> Result<T, SshError> {
    let begun = Instant::now();
    tokio::select! {
        done = work => Ok(done),
        () = call.cancel.cancelled() => {
            Err(SshError::new(ErrorKind::Cancelled, format!("the request to {} was cancelled", place(spec))))
        }
        () = tokio::time::sleep_until(call.deadline) => {
            let waited = begun.elapsed().as_secs_f64();
            Err(SshError::new(ErrorKind::Timeout, format!("{} did not answer within {waited:.1} s", place(spec))))
        }
    }
}
