//! With what a host is logged in to.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use scout_machine::{ErrorKind, HostError};
use scout_ssh::{HostSpec, Lease, Pool, PoolConfig, SshConfig};
use scout_tests::{Sshd, SshdOptions};

use crate::world::{call, me};

/// A server that accepts an RSA key, as `extra` says, and its user's `IdentityFile`.
fn rsa_server(extra: &str) -> (Sshd, std::path::PathBuf) {
    let sshd = Sshd::start_with(&SshdOptions { extra: vec![extra.into()], ..SshdOptions::default() });
    let key = sshd.dir().join("id_rsa");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("apt-get install openssh-client").success());
    std::fs::copy(key.with_extension("pub"), sshd.dir().join("authorized_keys")).unwrap();
    (sshd, key)
}

/// The host as an ssh_config with these lines has it.
fn spec(sshd: &Sshd, key: &Path, lines: &str) -> HostSpec {
    let (known, config) = (sshd.dir().join("known_hosts"), sshd.dir().join("config"));
    std::fs::write(&known, sshd.known_hosts_line(sshd.address())).unwrap();
    let address = sshd.address();
    let text = format!(
        "Host box\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n{lines}\n",
        address.ip(),
        address.port(),
        scout_tests::login_name(),
        key.display(),
        known.display()
    );
    std::fs::write(&config, text).unwrap();
    SshConfig::load(&config, None, sshd.dir()).unwrap().resolve("box").unwrap()
}

async fn log_in(spec: HostSpec) -> Result<Lease, HostError> {
    Pool::new(PoolConfig::default()).lease(&me(), &Arc::new(spec), &call()).await
}

#[tokio::test]
async fn rsa_with_sha1_is_used_if_it_alone_is_named_and_else_not() {
    // Each server refuses a signature that it does not name.
    let (old, key) = rsa_server("PubkeyAcceptedAlgorithms ssh-rsa");
    let error = log_in(spec(&old, &key, "")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    log_in(spec(&old, &key, "  PubkeyAcceptedAlgorithms ssh-rsa")).await.unwrap();

    let (new, key) = rsa_server("PubkeyAcceptedAlgorithms rsa-sha2-512");
    log_in(spec(&new, &key, "  PubkeyAcceptedAlgorithms +ssh-rsa")).await.unwrap();
}
