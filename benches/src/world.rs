//! One sshd with files to look at, and the engine's way to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use scout_machine::{Call, ExecRequest, Opened, Principal, RemotePath};
use scout_ssh::{HostSpec, Pool, PoolConfig, SshConfig};
use scout_tests::{Sshd, SshdOptions};

/// What the link adds in each direction: two of them are a distant region's round trip.
pub(crate) const ONE_WAY: Duration = Duration::from_millis(25);
/// The small file.
pub(crate) const KIBIBYTE: usize = 1024;
/// The large one: the most that Scout answers by default.
pub(crate) const MEBIBYTE: usize = 1024 * 1024;
/// Files in the directory that is listed.
pub(crate) const ENTRIES: usize = 100;
/// More than any single operation takes here.
const LIMIT: Duration = Duration::from_secs(120);

/// A stock sshd; a small file, a large one and a directory on it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sshd: Sshd,
    pub(crate) small: PathBuf,
    pub(crate) large: PathBuf,
    pub(crate) many: PathBuf,
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        Self::with(&SshdOptions::default())
    }

    pub(crate) fn with(options: &SshdOptions) -> Result<Self> {
        let sshd = Sshd::start_with(options);
        let dir = sshd.dir();
        let (small, large, many) = (dir.join("small.txt"), dir.join("large.txt"), dir.join("many"));
        std::fs::write(&small, text(KIBIBYTE))?;
        std::fs::write(&large, text(MEBIBYTE))?;
        std::fs::create_dir(&many)?;
        for number in 0..ENTRIES {
            std::fs::write(many.join(format!("file-{number:03}.log")), "x")?;
        }
        Ok(Self { sshd, small, large, many })
    }

    /// The engine's settings for this server, at this address.
    pub(crate) fn spec(&self, address: SocketAddr) -> Result<Arc<HostSpec>> {
        let dir = self.sshd.dir();
        let known_hosts = dir.join(format!("known_hosts.{}", address.port()));
        std::fs::write(&known_hosts, self.sshd.known_hosts_line(address))?;
        let config = dir.join(format!("config.{}", address.port()));
        let block = self.sshd.config_block("box", address);
        std::fs::write(&config, format!("{block}  UserKnownHostsFile {}\n", known_hosts.display()))?;
        resolve(&config, dir, "box")
    }

    /// The engine's way to this server, at this address.
    pub(crate) fn client(&self, address: SocketAddr) -> Result<Client> {
        Ok(Client { pool: Pool::new(PoolConfig::default()), spec: self.spec(address)? })
    }
}

/// A host's settings, from a configuration file.
pub(crate) fn resolve(config: &Path, home: &Path, alias: &str) -> Result<Arc<HostSpec>> {
    Ok(Arc::new(SshConfig::load(config, None, home)?.resolve(alias)?))
}

/// Lines of text, `bytes` long in all.
fn text(bytes: usize) -> String {
    "2026-01-01T00:00:00Z web1 nginx[812]: GET /health 200 1.2ms\n".chars().cycle().take(bytes).collect()
}

/// A pool and the one host that is asked through it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) pool: Pool,
    pub(crate) spec: Arc<HostSpec>,
}

impl Client {
    async fn lease(&self, call: &Call) -> Result<scout_ssh::Lease> {
        self.pool.lease(&principal(), &self.spec, call).await.context("lease")
    }

    /// Reads a file of this size.
    pub(crate) async fn read(&self, path: &Path, size: usize) -> Result<()> {
        let call = call();
        let opened = self.lease(&call).await?.open(&remote(path)?, size, 0, &call).await?;
        let Opened::File { content, .. } = opened else { anyhow::bail!("{} is no file", path.display()) };
        ensure!(content.data.len() == size, "{} bytes came", content.data.len());
        Ok(())
    }

    /// Lists a directory of [`ENTRIES`] files.
    pub(crate) async fn list(&self, path: &Path) -> Result<()> {
        let call = call();
        let opened = self.lease(&call).await?.open(&remote(path)?, 0, 10 * ENTRIES, &call).await?;
        let Opened::Directory { entries, .. } = opened else { anyhow::bail!("{} is no directory", path.display()) };
        ensure!(entries.len() == ENTRIES, "{} entries came", entries.len());
        Ok(())
    }

    pub(crate) async fn stat(&self, path: &Path) -> Result<()> {
        let call = call();
        self.lease(&call).await?.stat(&remote(path)?, &call).await?;
        Ok(())
    }

    /// Runs a command that exits with 0, in a shell that stays.
    pub(crate) async fn exec(&self, script: &str) -> Result<()> {
        self.run(script, true).await
    }

    /// The same on a channel of its own, unless it only reads.
    pub(crate) async fn run(&self, script: &str, only_reads: bool) -> Result<()> {
        let call = call();
        let request = ExecRequest {
            script: script.as_bytes().to_vec(),
            stdout_cap: MEBIBYTE,
            stderr_cap: KIBIBYTE,
            timeout: LIMIT,
            limits: scout_machine::CommandLimits::NONE,
            only_reads,
        };
        let outcome = self.lease(&call).await?.exec(&request, &call).await?;
        ensure!(outcome.ending == scout_machine::Ending::Exited(0), "{script}: {:?}", outcome.ending);
        Ok(())
    }
}

pub(crate) fn principal() -> Principal {
    Principal::new("bench", "bench")
}

pub(crate) fn call() -> Call {
    Call::until(tokio::time::Instant::now() + LIMIT)
}

pub(crate) fn remote(path: &Path) -> Result<RemotePath> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(RemotePath::parse(path.as_os_str().as_bytes())?)
}
