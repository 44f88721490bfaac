//! One SSH connection to the demo host: who may come in, and what each channel runs.
//!
//! Owns the table of channels. Knows neither SFTP nor processes. Each channel's work is a task that ends when the
//! channel closes, the connection is lost or the host stops. No terminal, shell, environment or forwarding.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cap_std::fs::Dir;
use russh::keys::PublicKey;
use russh::server::{Auth, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::backlog::{self, Input, Receiver};
use super::exec::{self, Conversation};
use super::sftp_server::{SftpServer, Violation};

/// Sessions at a time on one connection: sshd's default `MaxSessions`.
pub(super) const MAX_SESSIONS: usize = 10;

/// The account that the demo host has.
pub(super) const USER: &str = "demo";

/// What all connections share.
#[derive(Debug)]
pub(super) struct Premises {
    /// The directory that is shown, and where commands run: absolute, without links.
    pub(super) home: PathBuf,
    /// The same directory, opened.
    pub(super) root: Dir,
    /// The only key that is let in.
    pub(super) key: PublicKey,
}

/// One connection.
pub(super) struct Connection {
    premises: Arc<Premises>,
    channels: HashMap<ChannelId, Slot>,
    closed: CancellationToken,
    _end: DropGuard,
}

/// One channel.
enum Slot {
    /// Open, nothing was asked of it yet.
    Open(ChannelWriteHalf<Msg>),
    /// Its task runs, or has ended and the client has not confirmed the close. Dropping it ends the task.
    Busy { input: backlog::Sender, _end: DropGuard },
}

impl Connection {
    /// A connection that ends with `closed`.
    pub(super) fn new(premises: Arc<Premises>, closed: &CancellationToken) -> Self {
        let closed = closed.child_token();
        Self { premises, channels: HashMap::new(), _end: closed.clone().drop_guard(), closed }
    }

    fn admits(&self, user: &str, key: &PublicKey) -> Auth {
        if user == USER && key.key_data() == self.premises.key.key_data() { Auth::Accept } else { Auth::reject() }
    }

    /// Turns an open channel into a busy one; `None` if it is not open.
    fn occupy(&mut self, channel: ChannelId, session: &Session) -> Option<Conversation> {
        let slot = self.channels.remove(&channel)?;
        let Slot::Open(write) = slot else {
            self.channels.insert(channel, slot);
            return None;
        };
        let (sender, input) = backlog::backlog();
        let closed = self.closed.child_token();
        self.channels.insert(channel, Slot::Busy { input: sender, _end: closed.clone().drop_guard() });
        Some(Conversation { write, session: session.handle(), input, closed })
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.admits(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.admits(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // russh says nothing when the client confirms a close that this side began.
        self.channels.retain(|_, slot| !matches!(slot, Slot::Busy { input, .. } if input.is_closed()));
        if self.channels.len() >= MAX_SESSIONS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        // Input comes through `data` below: a reading half that nobody drains would stall the whole connection.
        let (_, write) = channel.split();
        self.channels.insert(id, Slot::Open(write));
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(conversation) = self.occupy(channel, session) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let (command, premises) = (command.to_vec(), Arc::clone(&self.premises));
        // Ends with the conversation's token, which the slot holds.
        tokio::spawn(async move { exec::run(&command, &premises.home, conversation).await });
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name != "sftp" {
            return session.channel_failure(channel);
        }
        let Ok(root) = self.premises.root.try_clone() else { return session.channel_failure(channel) };
        let Some(conversation) = self.occupy(channel, session) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let server = SftpServer::new(root, self.premises.home.clone());
        // Ends with the conversation's token, which the slot holds.
        tokio::spawn(serve_files(server, conversation));
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        if let Some(Slot::Busy { input, .. }) = self.channels.get(&channel)
            && input.push(data).is_err()
        {
            tracing::warn!("demo host: a channel was closed because its program does not read its input");
            self.channels.remove(&channel);
            session.close(channel)?;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(Slot::Busy { input, .. }) = self.channels.get_mut(&channel) {
            input.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }
}

/// The SFTP subsystem on one channel, until the client ends it.
async fn serve_files(server: SftpServer, conversation: Conversation) {
    let Conversation { write, session: _, input, closed } = conversation;
    tokio::select! {
        biased;
        () = closed.cancelled() => {}
        () = answer_all(server, input, &write) => {}
    }
    write.close().await.ok();
}

async fn answer_all(mut server: SftpServer, mut input: Receiver, write: &ChannelWriteHalf<Msg>) {
    while let Some(Input::Data(data)) = input.recv().await {
        server.feed(&data);
        loop {
            // File systems block. The server moves there and back, so no lock is needed.
            let turn = tokio::task::spawn_blocking(move || {
                let replies: Result<Bytes, Violation> = server.turn();
                (server, replies)
            });
            let Ok((returned, replies)) = turn.await else { return };
            server = returned;
            match replies {
                Ok(replies) if replies.is_empty() => break,
                Ok(replies) => {
                    if write.data_bytes(replies).await.is_err() {
                        return;
                    }
                }
                Err(violation) => {
                    tracing::warn!(%violation, "demo host: an SFTP channel was closed");
                    return;
                }
            }
        }
    }
    // What sshd reports for an sftp-server that ended well; OpenSSH's client takes its own status from it.
    write.exit_status(0).await.ok();
    write.eof().await.ok();
}
