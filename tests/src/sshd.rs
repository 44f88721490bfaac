//! A real OpenSSH server for one test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::openssh::program;
use crate::with_mounts;

/// How long an sshd may take to listen.
const STARTING: Duration = Duration::from_secs(20);

/// How the server offers SFTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sftp {
    /// The `sftp-server` program, a process for each channel.
    #[default]
    External,
    /// Inside sshd.
    Internal,
    /// Not at all.
    Absent,
}

/// What the server is like. The default is a stock server.
#[derive(Clone, Debug, Default)]
pub struct SshdOptions {
    /// How it offers SFTP.
    pub sftp: Sftp,
    /// `MaxSessions`; absent: the default of 10.
    pub max_sessions: Option<u32>,
    /// Whether permission bits bind the login even if it is root's (root otherwise reads everything).
    pub permissions_bind_root: bool,
    /// A directory whose programs come before all others of the login.
    pub programs: Option<PathBuf>,
    /// What the server's processes find as `/bin/sh`, in a mount namespace of the server's own; absent: the machine's.
    pub shell: Option<PathBuf>,
    /// The directory of the OpenSSH that it is, as [`crate::newer_openssh`] gives one; absent: the first in `PATH`.
    pub openssh: Option<PathBuf>,
    /// What the server's processes find in the place of files and directories of the machine's, which exist: what, and where.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Whether it asks PAM: then a password is asked for by keyboard-interactive.
    pub has_pam: bool,
    /// Whether it adds up what ends without a login, and turns an address away at last, as sshd does from 9.8 on if
    /// nothing else is said: here it is told not to, as tests come often from one address.
    pub counts_penalties: bool,
    /// Whether it logs each request.
    pub is_verbose: bool,
    /// Further lines of sshd_config.
    pub extra: Vec<String>,
}

/// A key pair in files.
#[derive(Clone, Debug)]
pub struct Key {
    /// The private key's file; the public one is beside it with `.pub`.
    pub private: PathBuf,
    /// Type and base64, as in authorized_keys.
    pub public: String,
}

/// Makes an ed25519 key without a passphrase.
///
/// # Panics
/// When `ssh-keygen` is missing or fails.
pub fn generate_key(dir: &Path, name: &str) -> Key {
    let private = dir.join(name);
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&private)
        .status()
        .expect("ssh-keygen is missing: sudo apt-get install openssh-client");
    assert!(status.success(), "ssh-keygen failed for {}", private.display());
    let line = fs::read_to_string(private.with_extension("pub")).expect("ssh-keygen wrote the public key");
    let public = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Key { private, public }
}

/// The account that runs the tests: the only one a server of this harness can log in.
///
/// # Panics
/// When `id` is missing.
pub fn login_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("`id` runs");
    String::from_utf8(output.stdout).expect("an account name is UTF-8").trim().to_owned()
}

/// A running sshd; ends with this value.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    address: SocketAddr,
    host_key: Key,
    user_key: Key,
    log: Arc<Mutex<Vec<String>>>,
    dir: tempfile::TempDir,
}

impl Sshd {
    /// A stock server.
    pub fn start() -> Self {
        Self::start_with(&SshdOptions::default())
    }

    /// A server with these options, accepting one fresh key.
    ///
    /// # Panics
    /// When sshd is missing or does not come up.
    pub fn start_with(options: &SshdOptions) -> Self {
        let program = program(options.openssh.as_deref(), "sshd");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let host_key = generate_key(dir.path(), "host_ed25519");
        let user_key = generate_key(dir.path(), "user_ed25519");
        fs::write(dir.path().join("authorized_keys"), format!("{}\n", user_key.public)).expect("authorized_keys");
        if login_name() == "root" {
            fs::create_dir_all("/run/sshd").expect("sshd's privilege separation directory");
        }
        // A port that was free a moment ago can be taken by another test: try again with another.
        for _ in 0..20 {
            let port = free_port();
            let config = dir.path().join("sshd_config");
            let mut text = config_text(options, dir.path(), port, &host_key.private);
            if !options.counts_penalties && knows_penalties(&program) {
                text.push_str("PerSourcePenalties no\n");
            }
            fs::write(&config, text).expect("sshd_config");
            let mut command = if options.permissions_bind_root && login_name() == "root" {
                let capabilities = "-dac_override,-dac_read_search";
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set", capabilities, "--inh-caps", capabilities, "--"]).arg(&program);
                command
            } else if options.shell.is_some() || !options.binds.is_empty() {
                // It is a link mostly, and what it leads to is bound over.
                let machines = fs::canonicalize("/bin/sh").expect("/bin/sh exists");
                let shell = options.shell.iter().map(|shell| (shell.as_path(), machines.as_path()));
                let binds = options.binds.iter().map(|(from, onto)| (from.as_path(), onto.as_path()));
                let mut command = with_mounts(&shell.chain(binds).collect::<Vec<_>>());
                command.arg(&program);
                command
            } else {
                Command::new(&program)
            };
            let mut child = command
                .args(["-D", "-e", "-f"])
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("sshd starts (as root without capabilities it takes `setpriv` of util-linux)");
            let log = Arc::new(Mutex::new(Vec::new()));
            let stderr = child.stderr.take().expect("stderr is piped");
            let lines = Arc::clone(&log);
            let (listening, listens) = channel();
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if line.starts_with("Server listening on ") {
                        // Nobody waits for it twice.
                        let _ = listening.send(());
                    }
                    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            // Its own word: who answers on the port may be another. An sshd that has ended says no more.
            if listens.recv_timeout(STARTING).is_ok() {
                return Self { child, address, host_key, user_key, log, dir };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd did not come up on any of 20 ports");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its host key.
    pub fn host_key(&self) -> &Key {
        &self.host_key
    }

    /// The key that it accepts.
    pub fn user_key(&self) -> &Key {
        &self.user_key
    }

    /// A directory of this server's own, for files that tests look at through it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The known_hosts line for this server when it is reached at `address`.
    pub fn known_hosts_line(&self, address: SocketAddr) -> String {
        format!("[{}]:{} {}\n", address.ip(), address.port(), self.host_key.public)
    }

    /// An ssh_config block for this server when it is reached at `address`.
    pub fn config_block(&self, alias: &str, address: SocketAddr) -> String {
        format!(
            "Host {alias}\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n",
            address.ip(),
            address.port(),
            login_name(),
            self.user_key.private.display()
        )
    }

    /// Kills it and the connections it serves at once.
    pub fn kill(&mut self) {
        kill_tree(self.child.id());
        let _ = self.child.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether this sshd has `PerSourcePenalties`.
fn knows_penalties(program: &Path) -> bool {
    static KNOWN: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, knows)) = known.iter().find(|(path, _)| path == program) {
        return *knows;
    }
    // One that does not know the flag is older.
    let output = Command::new(program).args(["-G", "-f", "/dev/null", "-o", "PerSourcePenalties=no"]).output();
    let knows = output.is_ok_and(|output| output.status.success());
    known.push((program.to_path_buf(), knows));
    knows
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .expect("a free loopback port")
}

/// What sshd is told. `SHLVL`: a bash that sshd starts reads the account's `.bashrc` unless it believes to be a shell
/// within a shell; what that file does on this machine is not what is tested or measured.
fn config_text(options: &SshdOptions, dir: &Path, port: u16, host_key: &Path) -> String {
    let mut text = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM {}\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel {}\nUseDNS no\n\
         SetEnv SHLVL=1",
        host_key.display(),
        dir.join("authorized_keys").display(),
        if options.has_pam { "yes" } else { "no" },
        if options.is_verbose { "DEBUG" } else { "VERBOSE" }
    );
    // sshd heeds one line of SetEnv only.
    if let Some(programs) = &options.programs {
        text.push_str(&format!(" PATH={}:/usr/local/bin:/usr/bin:/bin", programs.display()));
    }
    text.push('\n');
    match options.sftp {
        Sftp::Internal => text.push_str("Subsystem sftp internal-sftp\n"),
        Sftp::Absent => {}
        Sftp::External => {
            let server = program(options.openssh.as_deref(), "sftp-server");
            text.push_str(&format!("Subsystem sftp {}\n", server.display()));
        }
    }
    if let Some(max) = options.max_sessions {
        text.push_str(&format!("MaxSessions {max}\n"));
    }
    for line in &options.extra {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Kills a process and all its descendants, children first listed while the parent still holds them.
fn kill_tree(pid: u32) {
    for child in children_of(pid) {
        kill_tree(child);
    }
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
}

fn children_of(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .map(|text| text.split_whitespace().filter_map(|word| word.parse().ok()).collect())
        .unwrap_or_default()
}
