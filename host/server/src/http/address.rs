//! Where Scout listens for HTTP, and the streams that come in there.
//!
//! Owns how an address is written, how a socket of this machine is made and to whom it belongs, and the socket that systemd
//! hands over.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use listenfd::ListenFd;
use scout_ssh::local_file;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::files;

/// After how long without a byte the system asks whether the other machine is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and a port; the port 0 is a free one.
    Tcp(SocketAddr),
    /// A socket of this machine.
    Unix(PathBuf),
    /// The socket that systemd hands over.
    Systemd,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "systemd" {
            return Ok(Self::Systemd);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return match Path::new(path) {
                path if path.is_absolute() => Ok(Self::Unix(path.to_owned())),
                _ => Err("the path behind `unix:` begins with `/`".to_owned()),
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            "it is neither an address with a port, such as `127.0.0.1:8750` or `[::1]:8750`, nor `unix:/PATH`, nor `systemd`"
                .to_owned()
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd => f.write_str("systemd"),
        }
    }
}

/// What listens.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, Option<Socket>),
}

/// A connection that was taken.
pub(super) enum Taken {
    Tcp(TcpStream, SocketAddr),
    /// With the number of the account that opened it.
    Unix(UnixStream, u32),
}

/// A socket's file. Removed when it is dropped, if it is still this one.
pub(super) struct Socket {
    path: PathBuf,
    id: (u64, u64),
}

impl Drop for Socket {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

impl Listener {
    /// Begins to listen. A socket of this machine is this account's alone (0600), or a group's too (0660).
    ///
    /// # Errors
    /// A sentence with what to do instead.
    pub(super) async fn bind(address: &Address, group: Option<&str>) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot listen on {address}: {error}");
        match address {
            Address::Tcp(at) => TcpListener::bind(at).await.map(Self::Tcp).map_err(failed),
            Address::Unix(path) => {
                let listener = unix(path, group).map_err(failed)?;
                let socket = id(path).map(|id| Socket { path: path.clone(), id }).map_err(failed)?;
                Ok(Self::Unix(listener, Some(socket)))
            }
            Address::Systemd => handed_over().map_err(failed),
        }
    }

    /// The next connection.
    ///
    /// # Errors
    /// What the system says, such as that there are no descriptors left.
    ///
    /// # Cancel safety
    /// None is lost.
    pub(super) async fn accept(&self) -> io::Result<Taken> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // An event is several small writes: the last would wait for the client's delayed acknowledgement.
                stream.set_nodelay(true)?;
                keep_alive(&stream);
                Ok(Taken::Tcp(stream, peer))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let account = stream.peer_cred()?.uid();
                Ok(Taken::Unix(stream, account))
            }
        }
    }

    /// Where it listens, as a person writes it.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| "TCP".to_owned(), |at| at.to_string()),
            Self::Unix(_, Some(socket)) => format!("unix:{}", socket.path.display()),
            Self::Unix(_, None) => "the socket of systemd".to_owned(),
        }
    }

    /// Its address, if it is reached over a network.
    pub(super) fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

/// Has the system ask whether the client's machine is still there, so that one that has vanished ends a call within some two minutes also
/// while nothing is written to it.
fn keep_alive(stream: &TcpStream) {
    use rustix::net::sockopt::{
        set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
    };
    let set = set_socket_keepalive(stream, true)
        .and_then(|()| set_tcp_keepidle(stream, KEEP_ALIVE))
        .and_then(|()| set_tcp_keepintvl(stream, KEEP_ALIVE / 4))
        .and_then(|()| set_tcp_keepcnt(stream, 4))
        .and_then(|()| set_tcp_user_timeout(stream, 2 * u32::try_from(KEEP_ALIVE.as_millis()).unwrap_or(u32::MAX)));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection is not looked after by the system");
    }
}

/// Listens on a socket of this machine, in the place of one that nobody listens on any more.
fn unix(path: &Path, group: Option<&str>) -> io::Result<UnixListener> {
    // Who may change what lies in the directory could put a socket of their own there.
    let directory = files::directory_of(path);
    local_file::check_directory(directory)?;
    // In a sticky directory each may still be the first to have the name.
    if directory.metadata()?.permissions().mode() & 0o002 != 0 {
        let why = format!("everybody may write {}: name a directory that is this account's alone", directory.display());
        return Err(io::Error::other(why));
    }
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::Error::other("another process listens there")),
        },
        Ok(_) => {
            return Err(io::Error::other("something lies there that is no socket: remove it, or name another path"));
        }
        Err(_) => {}
    }
    // Bound where nobody else gets before its mode is right, and put in its place then.
    let made = tempfile::Builder::new()
        .prefix(".scout-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(files::directory_of(path))?;
    let hidden = made.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&hidden)?;
    let mode = match group {
        Some(name) => {
            let group = uzers::get_group_by_name(name)
                .ok_or_else(|| io::Error::other(format!("there is no group `{name}`")))?;
            std::os::unix::fs::chown(&hidden, None, Some(group.gid()))?;
            0o660
        }
        None => files::PRIVATE,
    };
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(mode))?;
    rustix::net::listen(&listener, BACKLOG)?;
    std::fs::rename(&hidden, path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// The first socket that systemd hands over.
fn handed_over() -> io::Result<Listener> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() != 1 {
        return Err(io::Error::other(format!(
            "systemd hands over {} sockets, and it has to be one: start it with a unit of type socket, `Accept=no`",
            sockets.len()
        )));
    }
    if let Ok(Some(listener)) = sockets.take_tcp_listener(0) {
        listener.set_nonblocking(true)?;
        return Ok(Listener::Tcp(TcpListener::from_std(listener)?));
    }
    let listener = sockets.take_unix_listener(0)?;
    let listener = listener.ok_or_else(|| io::Error::other("the socket of systemd is no stream"))?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(UnixListener::from_std(listener)?, None))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_what_is_none_is_told() {
        for text in ["127.0.0.1:8750", "[::1]:0", "unix:/run/scout/mcp.sock", "systemd"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for (text, why) in
            [("localhost", "127.0.0.1:8750"), ("8750", "unix:/PATH"), ("unix:mcp.sock", "begins with `/`")]
        {
            assert!(text.parse::<Address>().unwrap_err().contains(why), "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_is_for_this_account_alone_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.sock");
        let address = Address::Unix(path.clone());
        let listener = Listener::bind(&address, None).await.unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let taken = Listener::bind(&address, None).await.err().unwrap();
        assert!(taken.contains("another process listens"), "{taken}");
        drop(UnixStream::connect(&path).await.unwrap());
        drop(listener);
        assert!(!path.exists());
        // One that a killed process has left is replaced.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Listener::bind(&address, None).await.unwrap());
        std::fs::write(&path, "").unwrap();
        assert!(Listener::bind(&address, None).await.err().unwrap().contains("no socket"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let why = Listener::bind(&Address::Unix(dir.path().join("other")), Some("no-such-group")).await.err().unwrap();
        assert!(why.contains("no group `no-such-group`"), "{why}");
    }

    #[tokio::test]
    async fn a_socket_is_not_made_where_others_could_replace_it() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o1777] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let why = Listener::bind(&Address::Unix(dir.path().join("mcp.sock")), None).await.err().unwrap();
            assert!(why.contains("cannot listen on unix:"), "{why}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
