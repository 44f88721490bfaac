//! A real sshd and the engine's way to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use scout_machine::{Call, CommandLimits, ExecOutcome, ExecRequest, HostError, Principal, RemotePath};
use scout_ssh::{DialConfig, HostSpec, Lease, Pool, PoolConfig};
use scout_tests::{Sshd, SshdOptions, login_name};

pub(crate) struct World {
    pub(crate) sshd: Sshd,
    pub(crate) pool: Pool,
    pub(crate) spec: Arc<HostSpec>,
}

impl World {
    /// A stock server.
    pub(crate) fn new() -> Self {
        Self::with(&SshdOptions::default())
    }

    pub(crate) fn with(options: &SshdOptions) -> Self {
        Self::pooled(options, PoolConfig::default())
    }

    pub(crate) fn pooled(options: &SshdOptions, config: PoolConfig) -> Self {
        let sshd = Sshd::start_with(options);
        let spec = spec(&sshd, sshd.address());
        Self { pool: Pool::new(config), spec: Arc::new(spec), sshd }
    }

    pub(crate) async fn lease(&self) -> Lease {
        self.try_lease().await.unwrap()
    }

    pub(crate) async fn try_lease(&self) -> Result<Lease, HostError> {
        self.pool.lease(&me(), &self.spec, &call()).await
    }

    pub(crate) async fn exec(&self, script: &str) -> ExecOutcome {
        self.lease().await.exec(&request(script), &call()).await.unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> Vec<u8> {
        self.sshd.dir().join(name).display().to_string().into_bytes()
    }
}

pub(crate) fn remote(path: impl AsRef<[u8]>) -> RemotePath {
    RemotePath::parse(path).unwrap()
}

pub(crate) fn spec(sshd: &Sshd, address: std::net::SocketAddr) -> HostSpec {
    let known = sshd.dir().join("known_hosts");
    std::fs::write(&known, sshd.known_hosts_line(address)).unwrap();
    HostSpec {
        identity_files: vec![sshd.user_key().private.clone()],
        identities_only: true,
        user_known_hosts_files: vec![known],
        ..HostSpec::new("box", address.ip().to_string(), address.port(), login_name())
    }
}

/// An empty pool that is dialled from with this.
pub(crate) fn dialling_with(dial: DialConfig) -> Pool {
    Pool::new(PoolConfig::default()).dialling_with(dial)
}

pub(crate) fn me() -> Principal {
    Principal::new("test", "me")
}

pub(crate) fn call() -> Call {
    Call::until(tokio::time::Instant::now() + Duration::from_secs(60))
}

pub(crate) fn request(script: &str) -> ExecRequest {
    let script = script.as_bytes().to_vec();
    let (timeout, limits) = (Duration::from_secs(40), CommandLimits::NONE);
    ExecRequest { script, stdout_cap: 1 << 20, stderr_cap: 1 << 20, timeout, limits, only_reads: false }
}

pub(crate) fn marker() -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("98{nanos}")
}

/// Whether a process that is no zombie has this word on its command line.
pub(crate) fn runs(word: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    })
}

/// Whether a process runs `sleep` itself with this word. What starts it, such as `setsid`, has the word
/// among its arguments before, while it is still in the group of the command.
pub(crate) fn sleeps(word: &str) -> bool {
    let line = format!("sleep\0{word}\0");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line.as_bytes()))
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
