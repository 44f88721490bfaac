//! SSH servers that cost next to nothing, in a process of their own: what is measured is the client.
//!
//! The process is this program, started again with `--embedded`. It accepts any login, opens any session channel and
//! does nothing on it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use russh::keys::load_secret_key;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, MethodKind, MethodSet};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The argument that makes this program the server.
pub(crate) const ARGUMENT: &str = "--embedded";

/// A running server process; killed with this value.
#[derive(Debug)]
pub(crate) struct Embedded {
    _child: Child,
    pub(crate) address: SocketAddr,
}

impl Embedded {
    /// Starts it with this host key.
    pub(crate) async fn start(host_key: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(host_key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("its standard output")?;
        let line = BufReader::new(output).lines().next_line().await?.context("the server said no address")?;
        Ok(Self { _child: child, address: line.parse()? })
    }
}

/// The server process: prints its address and serves until it is killed.
#[expect(clippy::print_stdout, reason = "the address is this process's answer")]
pub(crate) async fn serve(host_key: &Path) -> Result<()> {
    let config = Arc::new(Config {
        keys: vec![load_secret_key(host_key, None)?],
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::ZERO,
        nodelay: true,
        inactivity_timeout: None,
        ..Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = run_stream(config, stream, Welcoming).await {
                // However it ends, the client says what it thinks of it.
                drop(session.await);
            }
        });
    }
}

struct Welcoming;

impl Handler for Welcoming {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _user: &str, _key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }
}
