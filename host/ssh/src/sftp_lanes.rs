//! The SFTP channels that a connection keeps, and what happens when a server hangs.
//!
//! Owns opening them (one start for all who need one), replacing one when it ends, and killing a server that hangs: closing
//! its channel frees neither the place nor the process. There are two [`Lane`]s: short reads never wait behind a large
//! file. Each life of a channel is a [`Generation`]; whoever finds it dead removes that one and no later one. Whether
//! the host offers SFTP at all is remembered for the connection. Does not know what is read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use russh::ChannelMsg;
use scout_machine::{Call, ErrorKind, HostError};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::exec::command::kill_sftp_servers;
use crate::pool::connection::{Connection, Session};
use crate::sftp::{SftpChannel, SftpError};
use crate::subsystem::{SubsystemDiagnostics, SubsystemStream};

/// A short read that has not been answered for so long hangs.
const STALL: Duration = Duration::from_secs(2);
/// A transfer whose server says nothing for so long hangs: one piece of it takes this time on a line of 17 KB/s.
const BULK_STALL: Duration = Duration::from_secs(15);
/// A server that is silent for so long may hang.
const SUSPICIOUS: Duration = Duration::from_millis(500);
/// The server's answer to the subsystem request; its process starts meanwhile.
const SUBSYSTEM_LIMIT: Duration = Duration::from_secs(10);

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Whole operations in a flight or a few. Stays open while the connection lives.
    Short,
    /// Large files, with handles that stay open. Ends with its last user: its place is one of a few.
    Bulk,
}

/// A connection's SFTP channels.
#[derive(Default)]
pub(crate) struct SftpLanes {
    short: Mutex<Current>,
    bulk: Mutex<Current>,
    /// Set once a server has greeted: then an end before the greeting is no sign that there is no SFTP.
    greeted: AtomicBool,
    noise_told: AtomicBool,
    absent: OnceLock<HostError>,
}

/// The current channel of a lane.
#[derive(Default)]
struct Current {
    generation: Arc<Generation>,
    users: usize,
}

/// One life of an SFTP channel.
#[derive(Default)]
pub(crate) struct Generation {
    channel: OnceCell<Result<SftpChannel, HostError>>,
    /// The start that makes it: in a task of its own, so that it serves those who come when those who asked have gone.
    starting: tokio::sync::Mutex<Option<JoinHandle<Result<SftpChannel, HostError>>>>,
    /// Whether the server that hung was killed.
    killed: Arc<OnceCell<bool>>,
}

impl Generation {
    fn close(&self) {
        if let Some(Ok(channel)) = self.channel.get() {
            channel.close();
        }
    }

    /// Closes it when nobody uses it any more. A server that may hang is left to the watchdog first: to close its channel
    /// would not end it, and nobody would know.
    fn leave(&self) {
        match (self.channel.get(), tokio::runtime::Handle::try_current()) {
            (Some(Ok(channel)), Ok(runtime)) if channel.is_silent_for(SUSPICIOUS) => {
                let channel = channel.clone();
                runtime.spawn(async move {
                    let ended = channel.ended();
                    let mut ended = std::pin::pin!(ended);
                    while channel.is_silent_for(SUSPICIOUS) {
                        if timeout(SUSPICIOUS, &mut ended).await.is_ok() {
                            return;
                        }
                    }
                    channel.close();
                });
            }
            _ => self.close(),
        }
    }
}

/// The use of a lane, as long as this lives.
pub(crate) struct LaneUse {
    connection: Arc<Connection>,
    lane: Lane,
}

impl Drop for LaneUse {
    fn drop(&mut self) {
        let given_up = {
            let mut current = self.connection.sftp.lane(self.lane).lock();
            current.users -= 1;
            let keeps = self.lane == Lane::Short && !self.connection.has_single_channel();
            (current.users == 0 && !keeps).then(|| std::mem::take(&mut current.generation))
        };
        if let Some(generation) = given_up {
            generation.leave();
        }
    }
}

impl SftpLanes {
    /// Whether the host offers no SFTP, as far as is known.
    pub(crate) fn is_absent(&self) -> bool {
        self.absent.get().is_some()
    }

    /// Ends both channels.
    pub(crate) fn close(&self) {
        for lane in [Lane::Short, Lane::Bulk] {
            let generation = std::mem::take(&mut self.lane(lane).lock().generation);
            generation.close();
        }
    }

    /// Ends the channel for short reads, for others who need its place: reads that are on it are repeated on the next.
    pub(crate) fn yield_place(&self) {
        let generation = std::mem::take(&mut self.short.lock().generation);
        generation.close();
    }

    fn lane(&self, lane: Lane) -> &Mutex<Current> {
        match lane {
            Lane::Short => &self.short,
            Lane::Bulk => &self.bulk,
        }
    }

    fn replace(&self, lane: Lane, dead: &Arc<Generation>) {
        let mut current = self.lane(lane).lock();
        if Arc::ptr_eq(&current.generation, dead) {
            current.generation = Arc::default();
        }
    }
}

impl Connection {
    /// Begins to use a lane.
    pub(crate) fn use_lane(self: &Arc<Self>, lane: Lane) -> LaneUse {
        self.sftp.lane(lane).lock().users += 1;
        LaneUse { connection: Arc::clone(self), lane }
    }

    /// The lane's channel, opened if there is none.
    pub(crate) async fn sftp_channel(
        self: &Arc<Self>,
        lane: Lane,
        call: &Call,
    ) -> Result<(SftpChannel, Arc<Generation>), SftpError> {
        if let Some(absent) = self.sftp.absent.get() {
            return Err(SftpError::Ssh(absent.clone()));
        }
        let generation = Arc::clone(&self.sftp.lane(lane).lock().generation);
        let opened = generation
            .channel
            .get_or_init(|| async {
                let mut starting = generation.starting.lock().await;
                let start = match &mut *starting {
                    Some(start) => start,
                    none => {
                        // The place is waited for here: whoever goes leaves the queue, and starts nothing.
                        let session = self.session(call).await?;
                        let (connection, call) = (Arc::clone(self), call.clone());
                        none.insert(tokio::spawn(async move { connection.start_sftp(session, lane, &call).await }))
                    }
                };
                let opened = start.await.unwrap_or_else(|_| Err(self.lost()));
                if let Ok(channel) = &opened {
                    self.watch(channel, &generation);
                }
                opened
            })
            .await
            .clone();
        match opened {
            Ok(channel) if channel.is_closed() => {
                self.sftp.replace(lane, &generation);
                Err(self.died(&generation))
            }
            Ok(channel) => Ok((channel, generation)),
            Err(error) => {
                self.sftp.replace(lane, &generation);
                if error.kind() != ErrorKind::Unsupported {
                    return Err(SftpError::Ssh(error));
                }
                if self.sftp.greeted.load(Ordering::Acquire) {
                    // A server that was killed while it started, beside one that hung.
                    return Err(SftpError::Closed);
                }
                Err(SftpError::Ssh(self.sftp.absent.get_or_init(|| error).clone()))
            }
        }
    }

    /// Kills the channel's server if it hangs, even if all who asked have gone meanwhile.
    fn watch(self: &Arc<Self>, channel: &SftpChannel, generation: &Arc<Generation>) {
        let (ended, connection, killed) = (channel.ended(), Arc::downgrade(self), Arc::clone(&generation.killed));
        tokio::spawn(async move {
            if ended.await
                && let Some(connection) = connection.upgrade()
            {
                connection.kill_hanging(&killed).await;
            }
        });
    }

    /// A channel found dead by someone who sent nothing on it.
    fn died(&self, generation: &Generation) -> SftpError {
        if generation.killed.initialized() { SftpError::Stalled { culprit: false } } else { SftpError::Closed }
    }

    /// The channel ended: the next request opens another one.
    pub(crate) fn sftp_ended(&self, lane: Lane, generation: &Arc<Generation>) {
        self.sftp.replace(lane, generation);
    }

    /// The channel's server hangs: kills it, once for all who noticed. `false`: it could not be killed, and the
    /// connection was given up.
    pub(crate) async fn sftp_stalled(self: &Arc<Self>, lane: Lane, generation: &Arc<Generation>) -> bool {
        self.sftp.replace(lane, generation);
        self.kill_hanging(&generation.killed).await
    }

    async fn kill_hanging(self: &Arc<Self>, killed: &OnceCell<bool>) -> bool {
        *killed
            .get_or_init(|| async {
                let connection = Arc::clone(self);
                let killing = tokio::spawn(async move {
                    connection.stats.stalls.add();
                    let killed = kill_sftp_servers(&connection).await;
                    if !killed {
                        tracing::warn!(host = %connection.alias, "an SFTP server hangs and could not be killed; connection dropped");
                        connection.close();
                    }
                    killed
                });
                killing.await.unwrap_or(false)
            })
            .await
    }

    async fn start_sftp(self: &Arc<Self>, session: Session, lane: Lane, call: &Call) -> Result<SftpChannel, HostError> {
        self.refill();
        let (mut channel, slot) = session.into_parts().ok_or_else(|| self.lost())?;
        // The request and its answer, then the greeting.
        call.cost.add_round_trips(2);
        let diagnostics = SubsystemDiagnostics::default();
        let accepted = timeout(SUBSYSTEM_LIMIT, async {
            channel.request_subsystem(true, "sftp").await.ok()?;
            loop {
                match channel.wait().await? {
                    ChannelMsg::Success => return Some(true),
                    ChannelMsg::Failure => return Some(false),
                    ChannelMsg::Close | ChannelMsg::Eof => return None,
                    // A server may pass on what the program says before it has answered.
                    early => diagnostics.hear(&early),
                }
            }
        })
        .await;
        match accepted {
            Ok(Some(true)) => {}
            refused => {
                let _ = timeout(SUBSYSTEM_LIMIT, channel.close()).await;
                return Err(match refused {
                    Ok(Some(_)) => self.no_sftp("the server offers no SFTP"),
                    Ok(None) if self.is_alive() => self.ended_sftp(&diagnostics),
                    Ok(None) => self.lost(),
                    Err(_) => HostError::new(
                        ErrorKind::Timeout,
                        format!("{}: SFTP did not start within {} s", self.alias, SUBSYSTEM_LIMIT.as_secs()),
                    ),
                });
            }
        }
        let stream = SubsystemStream::new(channel, slot, &diagnostics);
        let stall = match lane {
            Lane::Short => STALL,
            Lane::Bulk => BULK_STALL,
        };
        let channel =
            SftpChannel::start(stream, stall, Arc::clone(&self.quirks)).await.map_err(|error| match error {
                SftpError::Ssh(error) => HostError::new(error.kind(), format!("{}: {}", self.alias, error.message())),
                SftpError::Closed if self.is_alive() => self.ended_sftp(&diagnostics),
                SftpError::Closed => self.lost(),
                SftpError::Stalled { .. } => {
                    let told = diagnostics.told().unwrap_or_default();
                    HostError::new(ErrorKind::Timeout, format!("{}: the SFTP server did not greet{told}", self.alias))
                }
            })?;
        self.sftp.greeted.store(true, Ordering::Release);
        let bytes = channel.noise();
        if bytes > 0 && !self.sftp.noise_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(host = %self.alias, bytes, "the login shell prints before the SFTP server speaks; skipped");
        }
        Ok(channel)
    }

    fn ended_sftp(&self, diagnostics: &SubsystemDiagnostics) -> HostError {
        match diagnostics.told() {
            Some(told) => self
                .no_sftp(&format!("the server ended the SFTP channel{told}"))
                .with_hint("see what it said; `Subsystem sftp internal-sftp` in its sshd_config needs no login shell"),
            None => self.no_sftp("the server ended the SFTP channel"),
        }
    }

    fn no_sftp(&self, what: &str) -> HostError {
        HostError::new(ErrorKind::Unsupported, format!("{}: {what}", self.alias))
            .with_hint("switch on `Subsystem sftp` in its sshd_config")
    }
}
