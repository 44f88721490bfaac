//! OpenSSH's client over one connection that stays open.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

/// A master connection to the host `box`; closed with this value.
#[derive(Debug)]
pub(crate) struct ControlMaster {
    config: PathBuf,
    _dir: TempDir,
}

impl ControlMaster {
    /// Connects with this ssh_config block and these trusted keys.
    pub(crate) async fn start(block: &str, known_hosts: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let known_hosts_file = dir.path().join("known_hosts");
        std::fs::write(&known_hosts_file, known_hosts)?;
        let config = dir.path().join("config");
        let text = format!(
            "{block}  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n  \
             ControlPath {}\n",
            known_hosts_file.display(),
            dir.path().join("control").display()
        );
        std::fs::write(&config, text)?;
        let master = Self { config, _dir: dir };
        // It goes into the background once it is logged in; it must not keep a pipe of ours.
        let status = ssh(&master.config)
            .args(["-M", "-N", "-f", "box"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .context("`ssh` cannot be started; install it: sudo apt-get install openssh-client")?;
        ensure!(status.success(), "the master connection failed: {status}");
        Ok(master)
    }

    /// Runs a command line on the host.
    pub(crate) async fn run(&self, line: &str) -> Result<Output> {
        Ok(ssh(&self.config).args(["box", line]).stdin(Stdio::null()).output().await?)
    }

    /// Runs a command line that must succeed.
    pub(crate) async fn succeed(&self, line: &str) -> Result<()> {
        let output = self.run(line).await?;
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for ControlMaster {
    fn drop(&mut self) {
        let mut exit = std::process::Command::new("ssh");
        exit.arg("-F").arg(&self.config).args(["-O", "exit", "box"]).stderr(Stdio::null());
        // If it does not listen, sshd's end closes the connection.
        drop(exit.status());
    }
}

fn ssh(config: &Path) -> Command {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(config);
    command
}
