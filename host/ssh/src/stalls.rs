//! The SFTP channel that a connection keeps, and what happens when its server hangs.
//!
//! Owns opening it (once for all who need it), replacing it when it ends, and killing a server that hangs: closing
//! its channel frees neither the place nor the process. Each life of the channel is a [`Generation`]; whoever finds
//! it dead removes that one and no later one. Does not know what is read.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use russh::ChannelMsg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::command::kill_sftp_servers;
use crate::connection::{Connection, lock};
use crate::sftp::{SftpChannel, SftpError};
use crate::slots::Slot;
use crate::{Call, ErrorKind, SshError};

/// A request that has not been answered for so long hangs.
const STALL: Duration = Duration::from_secs(2);
/// The server's answer to the subsystem request; its process starts meanwhile.
const SUBSYSTEM_LIMIT: Duration = Duration::from_secs(10);

/// The current SFTP channel of a connection.
#[derive(Default)]
pub(crate) struct SftpHolder {
    current: Mutex<Arc<Generation>>,
    users: AtomicUsize,
}

/// A read in flight.
pub(crate) struct Reader<'a>(&'a SftpHolder);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One life of the SFTP channel.
#[derive(Default)]
pub(crate) struct Generation {
    channel: OnceCell<Result<SftpChannel, SshError>>,
    /// Whether the server that hung was killed.
    killed: OnceCell<bool>,
}

impl SftpHolder {
    /// Counts a read.
    pub(crate) fn reader(&self) -> Reader<'_> {
        self.users.fetch_add(1, Ordering::AcqRel);
        Reader(self)
    }

    /// Ends the channel if nobody reads.
    pub(crate) fn close_if_unused(&self) {
        if self.users.load(Ordering::Acquire) == 0 {
            self.close();
        }
    }

    /// Ends the channel.
    pub(crate) fn close(&self) {
        let generation = std::mem::take(&mut *lock(&self.current));
        if let Some(Ok(channel)) = generation.channel.get() {
            channel.close();
        }
    }

    fn replace(&self, dead: &Arc<Generation>) {
        let mut current = lock(&self.current);
        if Arc::ptr_eq(&current, dead) {
            *current = Arc::default();
        }
    }
}

impl Connection {
    /// The SFTP channel, opened if there is none.
    pub(crate) async fn sftp_channel(
        self: &Arc<Self>,
        call: &Call,
    ) -> Result<(SftpChannel, Arc<Generation>), SftpError> {
        let generation = Arc::clone(&lock(&self.sftp.current));
        let opened = generation
            .channel
            .get_or_init(|| async {
                let (connection, call) = (Arc::clone(self), call.clone());
                // A task of its own: a caller that goes does not leave a half-open channel to those who wait.
                let opening = tokio::spawn(async move { connection.start_sftp(&call).await });
                opening.await.unwrap_or_else(|_| Err(self.lost()))
            })
            .await
            .clone();
        match opened {
            Ok(channel) if channel.is_closed() => {
                self.sftp.replace(&generation);
                Err(self.died(&generation))
            }
            Ok(channel) => Ok((channel, generation)),
            Err(error) => {
                self.sftp.replace(&generation);
                Err(SftpError::Ssh(error))
            }
        }
    }

    /// A channel found dead by someone who sent nothing on it.
    fn died(&self, generation: &Generation) -> SftpError {
        if generation.killed.initialized() { SftpError::Stalled { culprit: false } } else { SftpError::Closed }
    }

    /// The channel ended: the next request opens another one.
    pub(crate) fn sftp_ended(&self, generation: &Arc<Generation>) {
        self.sftp.replace(generation);
    }

    /// The channel's server hangs: kills it, once for all who noticed. `false`: it could not be killed, and the
    /// connection was given up.
    pub(crate) async fn sftp_stalled(self: &Arc<Self>, generation: &Arc<Generation>) -> bool {
        self.sftp.replace(generation);
        *generation
            .killed
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

    async fn start_sftp(self: &Arc<Self>, call: &Call) -> Result<SftpChannel, SshError> {
        let session = self.session(call).await?;
        self.refill();
        let (mut channel, slot) = session.into_parts().ok_or_else(|| self.lost())?;
        // The request and its answer, then the greeting.
        call.cost.add_round_trips(2);
        let accepted = timeout(SUBSYSTEM_LIMIT, async {
            channel.request_subsystem(true, "sftp").await.ok()?;
            loop {
                match channel.wait().await? {
                    ChannelMsg::Success => return Some(true),
                    ChannelMsg::Failure => return Some(false),
                    ChannelMsg::Close | ChannelMsg::Eof => return None,
                    _ => {}
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
                    Ok(None) if self.is_alive() => self.no_sftp("the server ended the SFTP channel"),
                    Ok(None) => self.lost(),
                    Err(_) => SshError::new(
                        ErrorKind::Timeout,
                        format!("{}: SFTP did not start within {} s", self.alias, SUBSYSTEM_LIMIT.as_secs()),
                    ),
                });
            }
        }
        let stream = Held { stream: channel.into_stream(), _slot: slot };
        SftpChannel::start(stream, STALL).await.map_err(|error| match error {
            SftpError::Ssh(error) => SshError::new(error.kind(), format!("{}: {}", self.alias, error.message())),
            SftpError::Closed if self.is_alive() => self.no_sftp("the server ended the SFTP channel"),
            SftpError::Closed => self.lost(),
            SftpError::Stalled { .. } => {
                SshError::new(ErrorKind::Timeout, format!("{}: the SFTP server did not greet", self.alias))
            }
        })
    }

    fn no_sftp(&self, what: &str) -> SshError {
        SshError::new(ErrorKind::Unsupported, format!("{}: {what}", self.alias))
            .with_hint("switch on `Subsystem sftp` in its sshd_config")
    }
}

/// A stream that keeps its place among the connection's channels.
struct Held<S> {
    stream: S,
    _slot: Option<Slot>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
