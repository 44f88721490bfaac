//! The demo host: an SSH server on loopback with a directory to look at and everything that a client needs to reach it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use russh::MethodKind;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::server::{Config, run_stream};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::session::{Connection, Premises, USER};
use super::{DemoError, content};

/// The name on the `Host` line.
const ALIAS: &str = "demo";
/// Connections at a time; the next one waits in the listener's queue.
const MAX_CONNECTIONS: usize = 32;
/// A client that does not introduce itself in this time is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries when the system has no descriptor for the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running demo host. Dropping it ends its connections and commands and removes its files.
#[derive(Debug)]
pub struct DemoHost {
    address: SocketAddr,
    home: PathBuf,
    config: PathBuf,
    ssh_config: PathBuf,
    // In this order: the connections end before the files vanish.
    _end: DropGuard,
    _files: TempDir,
}

impl DemoHost {
    /// Generates keys and content and listens on a free loopback port.
    ///
    /// # Errors
    /// The system refuses a file, a port or random bytes. A retry helps only when that changes.
    pub async fn start() -> Result<Self, DemoError> {
        let (host_key, client_key) = (generate_key()?, generate_key()?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(DemoError::system("listen on a loopback port"))?;
        let address = listener.local_addr().map_err(DemoError::system("learn its port"))?;

        let files = tempfile::Builder::new()
            .prefix("scout-demo-")
            .tempdir()
            .map_err(DemoError::system("make a temporary directory"))?;
        // Without links (macOS: /var is one), so that SFTP and commands name files alike.
        let base = files.path().canonicalize().map_err(DemoError::system("find its temporary directory"))?;
        // Two directories: the keys lie outside of what is shown.
        let (home, client) = (base.join("home"), base.join("client"));
        let ssh_config = client.join("ssh_config");
        let config = client.join("scout.toml");
        let root = (|| {
            fs::create_dir(&home)?;
            fs::create_dir(&client)?;
            content::write(&home)?;
            Dir::open_ambient_dir(&home, ambient_authority())
        })()
        .map_err(DemoError::system("write its files"))?;

        let identity = client.join("id_ed25519");
        let known_hosts = client.join("known_hosts");
        let secret = client_key.to_openssh(LineEnding::LF).map_err(|error| DemoError::Key(error.to_string()))?;
        let public = host_key.public_key().to_openssh().map_err(|error| DemoError::Key(error.to_string()))?;
        let port = address.port();
        (|| {
            write_private(&identity, &secret)?;
            write_private(&known_hosts, &format!("[127.0.0.1]:{port} {public}\n"))?;
            write_private(&ssh_config, &ssh_config_text(port, &identity, &known_hosts))?;
            write_private(&config, &scout_toml(&ssh_config, &known_hosts, &client.join("audit.jsonl")))
        })()
        .map_err(DemoError::system("write its client's files"))?;

        let closed = CancellationToken::new();
        let premises = Premises { home: home.clone(), root, key: client_key.public_key().clone() };
        let end = closed.clone().drop_guard();
        // Ends when the guard is dropped.
        tokio::spawn(listen(listener, server_config(host_key), Arc::new(premises), closed));
        Ok(Self { address, home, config, ssh_config, _end: end, _files: files })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory that it shows; home of its only account.
    pub fn dir(&self) -> &Path {
        &self.home
    }

    /// A `scout.toml` with which Scout reaches this host and no other.
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// An `ssh_config` with which OpenSSH reaches this host (`ssh -F`).
    pub fn ssh_config_path(&self) -> &Path {
        &self.ssh_config
    }

    /// The text of that `ssh_config`.
    ///
    /// # Errors
    /// The file is gone.
    pub fn ssh_config(&self) -> io::Result<String> {
        fs::read_to_string(&self.ssh_config)
    }
}

fn generate_key() -> Result<PrivateKey, DemoError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| DemoError::Key(error.to_string()))?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "scout-demo").map_err(|error| DemoError::Key(error.to_string()))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

fn ssh_config_text(port: u16, identity: &Path, known_hosts: &Path) -> String {
    format!(
        "Host {ALIAS}\n    HostName 127.0.0.1\n    Port {port}\n    User {USER}\n    IdentityFile \"{}\"\n    \
         IdentitiesOnly yes\n    IdentityAgent none\n    UserKnownHostsFile \"{}\"\n    GlobalKnownHostsFile /dev/null\n    \
         StrictHostKeyChecking yes\n",
        identity.display(),
        known_hosts.display(),
    )
}

fn scout_toml(ssh_config: &Path, known_hosts: &Path, audit_log: &Path) -> String {
    let mut table = toml::Table::new();
    for (key, path) in [("ssh_config", ssh_config), ("known_hosts", known_hosts), ("audit_log", audit_log)] {
        table.insert(key.to_owned(), path.display().to_string().into());
    }
    table.to_string()
}

fn server_config(host_key: PrivateKey) -> Arc<Config> {
    Arc::new(Config {
        methods: [MethodKind::PublicKey].as_slice().into(),
        keys: vec![host_key],
        // Nobody guesses passwords here: a refusal need not be slowed down, and clients first ask for "none".
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        // A client may stay quiet as long as it likes, as with sshd.
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

/// Takes connections until the host is dropped.
async fn listen(listener: TcpListener, config: Arc<Config>, premises: Arc<Premises>, closed: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = Connection::new(Arc::clone(&premises), &closed);
                    let (config, closed) = (Arc::clone(&config), closed.clone());
                    // Ends with the client or with the host.
                    tokio::spawn(async move {
                        converse(stream, config, connection, closed).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "demo host: a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    closed.run_until_cancelled(accept).await;
}

/// One connection from greeting to end.
async fn converse(stream: TcpStream, config: Arc<Config>, connection: Connection, closed: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "demo host: replies may be delayed");
    }
    let greeting = tokio::time::timeout(HANDSHAKE_TIMEOUT, run_stream(config, stream, connection));
    let mut running = match closed.run_until_cancelled(greeting).await {
        Some(Ok(Ok(running))) => running,
        Some(Ok(Err(error))) => return tracing::debug!(%error, "demo host: a client did not speak SSH"),
        Some(Err(_)) => return tracing::debug!("demo host: a client did not introduce itself in time"),
        None => return,
    };
    let handle = running.handle();
    tokio::select! {
        result = &mut running => {
            if let Err(error) = result {
                tracing::debug!(%error, "demo host: a connection was lost");
            }
        }
        () = closed.cancelled() => {
            handle.disconnect(russh::Disconnect::ByApplication, String::new(), String::new()).await.ok();
        }
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
