//! A server that is not this machine's sshd, for one test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scout_machine::{Call, Capture, CommandLimits, ExecRequest, HostError, Principal, RemotePath};
use scout_ssh::{HostSpec, Lease, Pool, PoolConfig};
use scout_tests::{Key, Sshd, SshdOptions, generate_key, login_name, newer_openssh, with_mounts};

/// How long a server may take to listen.
const STARTING: Duration = Duration::from_secs(30);

/// The servers that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of a newer Debian.
    NewerOpenSsh,
    OpenSsh,
    Dropbear,
    AsyncSsh,
    /// The same, sending none of the attributes that the protocol makes optional.
    BareAsyncSsh,
    Paramiko,
    Conch,
    /// The same with the SFTP server that it comes with.
    ConchAsItIs,
    Ssh2,
    /// The same, answering no request with a handle that it has not given.
    SilentSsh2,
    ProFtpd,
    Gesftpserver,
    TinySsh,
}

/// What runs in the background for a server.
enum Running {
    Sshd {
        _ends_with_this: Box<Sshd>,
    },
    Child(Child),
    /// A process for each connection, started by this thread's listener.
    Each(Arc<Mutex<Vec<Child>>>),
}

/// A running server and the engine's way to it; ends with this value.
pub(crate) struct Server {
    pub(crate) pool: Pool,
    pub(crate) spec: Arc<HostSpec>,
    running: Running,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.running {
            Running::Sshd { .. } => {}
            Running::Child(child) => end(child),
            Running::Each(children) => children.lock().unwrap().iter_mut().for_each(end),
        }
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Kind {
    /// The name in the table, and who says which version it is.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewerOpenSsh | Self::OpenSsh => "OpenSSH",
            Self::Dropbear => "Dropbear",
            Self::AsyncSsh => "AsyncSSH",
            Self::BareAsyncSsh => "AsyncSSH without attributes",
            Self::Paramiko => "paramiko",
            Self::Conch | Self::ConchAsItIs => "Twisted Conch",
            Self::Ssh2 => "ssh2 (npm)",
            Self::SilentSsh2 => "ssh2 that ignores unknown handles",
            Self::ProFtpd => "ProFTPD mod_sftp",
            Self::Gesftpserver => "gesftpserver behind OpenSSH",
            Self::TinySsh => "tinyssh",
        }
    }

    /// What a Python server's package is called.
    fn script(self) -> Option<(&'static str, &'static str, &'static [&'static str])> {
        match self {
            Self::AsyncSsh => Some(("asyncssh", "asyncssh_server.py", &[])),
            Self::BareAsyncSsh => Some(("asyncssh", "asyncssh_server.py", &["no-permissions"])),
            Self::Paramiko => Some(("paramiko", "paramiko_server.py", &[])),
            Self::Conch => Some(("twisted", "conch_server.py", &[])),
            Self::ConchAsItIs => Some(("twisted", "conch_server.py", &["as-it-is"])),
            _ => None,
        }
    }

    /// The version that runs, as far as it decides what is seen.
    pub(crate) fn version(self) -> String {
        let repository = repository();
        match self {
            Self::NewerOpenSsh | Self::OpenSsh => {
                let ssh = if self == Self::OpenSsh { PathBuf::from("ssh") } else { newer_openssh().join("ssh") };
                said(Command::new(ssh).arg("-V")).split([' ', ',']).next().unwrap()[8..].to_owned()
            }
            Self::Dropbear => said(Command::new("dropbear").arg("-V")).trim().rsplit_once('v').unwrap().1.to_owned(),
            Self::Ssh2 | Self::SilentSsh2 => {
                let package = repository.join("tests/servers/node_modules/ssh2/package.json");
                let package = fs::read_to_string(package).expect("npm ci --prefix tests/servers: tests/ci.sh does it");
                package.split("\"version\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
            }
            Self::ProFtpd => said(Command::new("proftpd").arg("-v")).trim().rsplit_once(' ').unwrap().1.to_owned(),
            Self::Gesftpserver | Self::TinySsh => {
                let package = if self == Self::TinySsh { "tinysshd" } else { "gesftpserver" };
                let version = said(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]));
                version.split(['-', '~']).next().unwrap().to_owned()
            }
            _ => {
                let package = self.script().unwrap().0;
                let code = format!("import importlib.metadata; print(importlib.metadata.version('{package}'))");
                said(python().args(["-c", &code])).trim().to_owned()
            }
        }
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn python() -> Command {
    let python = repository().join("tests/.venv/bin/python");
    assert!(python.exists(), "{} is missing: tests/ci.sh makes it", python.display());
    Command::new(python)
}

/// Both streams of a program that ends.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: tests/ci.sh installs it"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

impl Server {
    /// Starts one.
    pub(crate) fn start(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if matches!(kind, Kind::NewerOpenSsh | Kind::OpenSsh | Kind::Gesftpserver) {
            let openssh = (kind == Kind::NewerOpenSsh).then(newer_openssh);
            let mut options = SshdOptions { openssh, ..SshdOptions::default() };
            if kind == Kind::Gesftpserver {
                options.sftp = scout_tests::Sftp::Absent;
                options.extra = vec!["Subsystem sftp /usr/libexec/gesftpserver".into()];
            }
            let sshd = Sshd::start_with(&options);
            let line = sshd.known_hosts_line(sshd.address());
            let (address, key) = (sshd.address(), sshd.user_key().clone());
            return Self::reached(dir, address, &line, &key, Running::Sshd { _ends_with_this: Box::new(sshd) });
        }
        let (host, user) = (generate_key(dir.path(), "host"), generate_key(dir.path(), "user"));
        fs::create_dir(dir.path().join(".ssh")).unwrap();
        let keys = dir.path().join(".ssh/authorized_keys");
        fs::write(&keys, format!("{}\n", user.public)).unwrap();
        let (address, public, running) = match kind {
            Kind::Dropbear => dropbear(dir.path(), &host),
            Kind::ProFtpd => proftpd(dir.path(), &host, &user),
            Kind::TinySsh => tinyssh(dir.path()),
            _ => {
                let scripts = repository().join("tests/servers");
                let mut command = match kind.script() {
                    Some((_, script, more)) => {
                        let mut command = python();
                        command.arg(scripts.join(script)).arg(&host.private).arg(&keys).args(more);
                        command
                    }
                    None => {
                        let mut command = Command::new("node");
                        command.arg(scripts.join("ssh2_server.js")).arg(&host.private).arg(&keys);
                        command.args((kind == Kind::SilentSsh2).then_some("silent"));
                        command
                    }
                };
                let (child, port) = listening(&mut command);
                (SocketAddr::from(([127, 0, 0, 1], port)), host.public.clone(), Running::Child(child))
            }
        };
        let line = format!("[{}]:{} {public}\n", address.ip(), address.port());
        Self::reached(dir, address, &line, &user, running)
    }

    fn reached(dir: tempfile::TempDir, address: SocketAddr, line: &str, user: &Key, running: Running) -> Self {
        let known = dir.path().join("known_hosts");
        fs::write(&known, line).unwrap();
        let spec = HostSpec {
            identity_files: vec![user.private.clone()],
            identities_only: true,
            user_known_hosts_files: vec![known],
            ..HostSpec::new("box", address.ip().to_string(), address.port(), login_name())
        };
        Self { pool: Pool::new(PoolConfig::default()), spec: Arc::new(spec), running, dir }
    }

    pub(crate) async fn lease(&self) -> Result<Lease, HostError> {
        self.pool.lease(&Principal::new("test", "me"), &self.spec, &call()).await
    }

    /// A directory for files that are looked at through it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

pub(crate) fn remote(path: impl AsRef<[u8]>) -> RemotePath {
    RemotePath::parse(path).unwrap()
}

pub(crate) fn call() -> Call {
    Call::until(tokio::time::Instant::now() + Duration::from_secs(60))
}

pub(crate) fn request(script: &str) -> ExecRequest {
    let (timeout, limits) = (Duration::from_secs(40), CommandLimits::NONE);
    ExecRequest { script: script.into(), stdout_cap: 1 << 20, stderr_cap: 1 << 20, timeout, limits, only_reads: false }
}

pub(crate) fn text(capture: &Capture) -> String {
    String::from_utf8_lossy(&capture.data).into_owned()
}

/// A program that says `listening on PORT`.
fn listening(command: &mut Command) -> (Child, u16) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: tests/ci.sh installs it"));
    let output = child.stdout.take().unwrap();
    let (say, said) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = say.send(line);
        }
    });
    let port = awaited(&said, "listening on ").and_then(|rest| rest.parse().ok());
    let port = port.unwrap_or_else(|| panic!("{command:?} does not listen"));
    (child, port)
}

/// What follows these words in a line that comes in good time.
fn awaited(said: &Receiver<String>, words: &str) -> Option<String> {
    loop {
        let line = said.recv_timeout(STARTING).ok()?;
        if let Some((_, rest)) = line.split_once(words) {
            return Some(rest.trim().to_owned());
        }
    }
}

/// Where the account's home is for a server: tinyssh takes no keys from below a directory that everybody may write to,
/// as `/tmp` is.
const HOME: &str = "/mnt";

/// The account's home is this directory, and its shell this one, for what is run.
fn at_home(dir: &Path, shell: &str) -> Command {
    let name = login_name();
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let accounts: Vec<_> = accounts
        .lines()
        .map(|line| match line.split(':').collect::<Vec<_>>()[..] {
            [account, password, user, group, words, ..] if account == name => {
                format!("{account}:{password}:{user}:{group}:{words}:{HOME}:{shell}")
            }
            _ => line.to_owned(),
        })
        .collect();
    let file = dir.join("passwd");
    fs::write(&file, accounts.join("\n") + "\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    with_mounts(&[(file.as_path(), Path::new("/etc/passwd")), (dir, Path::new(HOME))])
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts what listens on a port that it is told, and says so in a line.
fn on_a_free_port(words: &str, mut command: impl FnMut(u16) -> Command) -> (SocketAddr, Child) {
    for _ in 0..20 {
        let port = free_port();
        let mut command = command(port);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}: tests/ci.sh installs it"));
        let output = child.stderr.take().unwrap();
        let (say, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        if awaited(&said, words).is_some() {
            return (SocketAddr::from(([127, 0, 0, 1], port)), child);
        }
        end(&mut child);
    }
    panic!("it did not listen on any of 20 ports");
}

fn dropbear(dir: &Path, host: &Key) -> (SocketAddr, String, Running) {
    let key = dir.join("dropbear_host");
    said(Command::new("dropbearconvert").args(["openssh", "dropbear"]).arg(&host.private).arg(&key));
    let (address, child) = on_a_free_port("Not backgrounding", |port| {
        let mut command = at_home(dir, "/bin/sh");
        command.args(["/usr/sbin/dropbear", "-F", "-E", "-p", &format!("127.0.0.1:{port}")]);
        command.arg("-P").arg(dir.join("pid")).arg("-r").arg(&key);
        command
    });
    (address, host.public.clone(), Running::Child(child))
}

fn proftpd(dir: &Path, host: &Key, user: &Key) -> (SocketAddr, String, Running) {
    let keys = dir.join("keys");
    fs::write(&keys, said(Command::new("ssh-keygen").args(["-e", "-f"]).arg(&user.private))).unwrap();
    let (address, child) = on_a_free_port("mode STARTUP", |port| {
        let config = dir.join("proftpd.conf");
        let at = dir.display();
        let text = format!(
            "ModulePath /usr/lib/proftpd\nLoadModule mod_sftp.c\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {port}\n\
             UseReverseDNS off\nUseFtpUsers off\nScoreboardFile {at}/scoreboard\nPidFile {at}/pid\nDelayTable {at}/delay\n\
             RequireValidShell off\nRootLogin on\nWtmpLog off\nTransferLog none\nAuthOrder mod_auth_unix.c\n\
             SFTPEngine on\nSFTPLog {at}/sftp.log\nSFTPHostKey {}\nSFTPAuthMethods publickey\n\
             SFTPAuthorizedUserKeys file:{}\n",
            host.private.display(),
            keys.display(),
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("/usr/sbin/proftpd");
        command.args(["-n", "-c"]).arg(config);
        command
    });
    (address, host.public.clone(), Running::Child(child))
}

fn tinyssh(dir: &Path) -> (SocketAddr, String, Running) {
    let keys = dir.join("tinyssh_keys");
    said(Command::new("tinysshd-makekey").arg(&keys));
    let public = said(Command::new("tinysshd-printkey").arg(&keys)).trim().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let children = Arc::<Mutex<Vec<Child>>>::default();
    let (started, home) = (Arc::downgrade(&children), dir.to_owned());
    std::thread::spawn(move || {
        // Ends with the first connection that comes when the server is no more.
        while let Ok((stream, _)) = listener.accept() {
            let Some(children) = started.upgrade() else { return };
            let (input, output) = (OwnedFd::from(stream.try_clone().unwrap()), OwnedFd::from(stream));
            let mut command = at_home(&home, "/bin/sh");
            command.args(["/usr/sbin/tinysshd", "-x", "sftp=/usr/lib/openssh/sftp-server"]).arg(&keys);
            let child = command.stdin(input).stdout(output).stderr(Stdio::null()).spawn();
            children.lock().unwrap().push(child.expect("tinysshd starts"));
        }
    });
    (address, public, Running::Each(children))
}
