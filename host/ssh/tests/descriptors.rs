//! When the system gives no more file descriptors. Alone in its process: the limit is the process's.

#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scout_machine::{Call, Principal, RemotePath};
use scout_ssh::trust::KnownHosts;
use scout_ssh::{Pool, PoolConfig, SshConfig};
use scout_tests::Sshd;

#[tokio::test]
async fn without_a_free_descriptor_a_dial_fails_and_the_next_one_succeeds() {
    let sshd = Sshd::start();
    let (known, config) = (sshd.dir().join("known_hosts"), sshd.dir().join("config"));
    std::fs::write(&known, sshd.known_hosts_line(sshd.address())).unwrap();
    let block = sshd.config_block("box", sshd.address());
    std::fs::write(&config, format!("{block}  UserKnownHostsFile {}\n", known.display())).unwrap();
    let spec = Arc::new(SshConfig::load(&config, None, sshd.dir()).unwrap().resolve("box").unwrap());
    let pool = Pool::new(PoolConfig::default());
    let me = Principal::new("test", "me");
    let call = || Call::until(tokio::time::Instant::now() + Duration::from_secs(60));

    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: before.maximum }).unwrap();
    let mut held = Vec::new();
    while let Ok(file) = File::open(Path::new("/dev/null")) {
        held.push(file);
    }
    let error = pool.lease(&me, &spec, &call()).await.unwrap_err();
    // As an empty file it would make a changed key a new one.
    let unread = KnownHosts::load(&[&known]).map(drop);
    drop(held);
    setrlimit(Resource::Nofile, before).unwrap();
    let unread = unread.unwrap_err();
    assert!(unread.message().starts_with("cannot read ") && unread.message().contains("os error 24"), "{unread}");
    assert!(error.message().starts_with("box: ") || error.message().contains("box"), "{error}");
    assert!(error.message().contains("open files") || error.message().contains("os error 24"), "{error}");

    let lease = loop {
        match pool.lease(&me, &spec, &call()).await {
            Ok(lease) => break lease,
            Err(error) => assert!(error.message().contains("again in"), "{error}"),
        }
        tokio::task::yield_now().await;
    };
    lease.stat(&RemotePath::parse("/").unwrap(), &call()).await.unwrap();
}
