//! A bare SSH client: what the library does without an engine around it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use russh::client::{self, Handle, Handler, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{Channel, ChannelMsg, Preferred, cipher};
use scout_tests::{Sshd, login_name};
use std::borrow::Cow;

/// Trusts whoever answers: it talks to servers of this program only.
#[derive(Debug)]
struct Trusting;

impl Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A connection that is logged in.
pub(crate) struct Bare(Handle<Trusting>);

impl Bare {
    pub(crate) async fn connect(sshd: &Sshd, address: SocketAddr) -> Result<Self> {
        let config = client::Config {
            nodelay: true,
            window_size: 2 * 1024 * 1024,
            preferred: Preferred { cipher: Cow::Borrowed(&[cipher::AES_128_GCM]), ..Preferred::DEFAULT },
            ..client::Config::default()
        };
        let mut handle = client::connect(Arc::new(config), address, Trusting).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(&sshd.user_key().private, None)?), None);
        ensure!(handle.authenticate_publickey(login_name(), key).await?.success(), "the login failed");
        Ok(Self(handle))
    }

    /// A channel for one command. The server may not have given up the place of the last one yet: then again.
    pub(crate) async fn open(&self) -> Result<Channel<Msg>> {
        loop {
            match self.0.channel_open_session().await {
                Err(russh::Error::ChannelOpenFailure(_)) => tokio::task::yield_now().await,
                result => return Ok(result?),
            }
        }
    }

    /// Opens a channel and runs a command on it, to its close.
    pub(crate) async fn exec(&self, command: &[u8]) -> Result<()> {
        run(self.open().await?, command).await
    }
}

/// Runs a command that exits with 0 on a channel, to its close.
pub(crate) async fn run(mut channel: Channel<Msg>, command: &[u8]) -> Result<()> {
    channel.exec(true, command).await?;
    let mut status = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    channel.close().await?;
    ensure!(status.context("no status came")? == 0, "the command failed: {status:?}");
    Ok(())
}
