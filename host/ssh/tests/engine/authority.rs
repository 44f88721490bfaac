//! Certificates that Scout signs, by a real sshd that trusts their authority.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Ending, ErrorKind, Principal};
use scout_ssh::config::Proxy;
use scout_ssh::{Authority, DialConfig, HostSpec, Pool, PoolConfig};
use scout_tests::{Agent, Sshd, SshdOptions, generate_key, login_name};

use crate::world::{call, eventually, request, spec};

/// A server that takes certificates of an authority for this name, in its directory, and a pool with that authority.
struct World {
    sshd: Sshd,
    dir: tempfile::TempDir,
    authority: Authority,
}

impl World {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = generate_key(dir.path(), "ca");
        std::fs::write(dir.path().join("names"), format!("{name}\n")).unwrap();
        let sshd = Sshd::start_with(&SshdOptions { extra: extra(dir.path()), ..SshdOptions::default() });
        let authority = Authority {
            key: ca.private,
            agent: None,
            principals: vec!["scout:{principal}".to_owned()],
            life: Duration::from_secs(300),
            critical_options: Vec::new(),
        };
        Self { sshd, dir, authority }
    }

    /// What has a server trust the authority.
    fn extra(&self) -> Vec<String> {
        extra(self.dir.path())
    }

    fn pool(&self, authority: &Authority) -> Pool {
        let dial = DialConfig { authority: Some(authority.clone()), ..DialConfig::default() };
        Pool::new(PoolConfig::default()).dialling_with(dial)
    }

    fn spec(&self) -> Arc<HostSpec> {
        Arc::new(spec(&self.sshd, self.sshd.address()))
    }
}

fn extra(dir: &Path) -> Vec<String> {
    let line = |key: &str, name: &str| format!("{key} {}", dir.join(name).display());
    vec![line("TrustedUserCAKeys", "ca.pub"), line("AuthorizedPrincipalsFile", "names"), "LogLevel VERBOSE".to_owned()]
}

fn who(name: &str) -> Principal {
    Principal::new("red", name)
}

#[tokio::test]
async fn the_hosts_own_log_names_who_asks_and_nobody_else_gets_in() {
    let world = World::new("scout:alice");
    let pool = world.pool(&world.authority);
    let lease = pool.lease(&who("alice"), &world.spec(), &call()).await.unwrap();
    assert_eq!(lease.exec(&request("exit 3"), &call()).await.unwrap().ending, Ending::Exited(3));
    let accepted = format!("Accepted publickey for {}", login_name());
    let is_named = |line: &String| {
        line.contains(&accepted) && line.contains("ED25519-CERT") && line.contains("ID red/alice (serial ")
    };
    eventually("it is in the log", || world.sshd.log().iter().any(is_named)).await;
    // The key that ssh_config names, which the server takes, is not offered: it would say nobody's name.
    let error = pool.lease(&who("bob"), &world.spec(), &call()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(error.message().contains("Scout's certificate"), "{error}");
}

#[tokio::test]
async fn what_a_certificate_demands_is_enforced_by_the_host() {
    let world = World::new("scout:alice");
    let with = |option: &str, value: &str| Authority {
        critical_options: vec![(option.to_owned(), value.to_owned())],
        ..world.authority.clone()
    };
    let elsewhere = world.pool(&with("source-address", "192.0.2.0/24"));
    let error = elsewhere.lease(&who("alice"), &world.spec(), &call()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    let forced = world.pool(&with("force-command", "echo for {principal} at {host}"));
    let lease = forced.lease(&who("alice"), &world.spec(), &call()).await.unwrap();
    let error = lease.exec(&request("exit 3"), &call()).await.unwrap_err();
    assert!(error.message().ends_with(&format!("it said: for alice at {}", world.spec().alias)), "{error}");
}

#[tokio::test]
async fn a_hop_is_told_too_and_lets_the_next_one_be_reached() {
    let world = World::new("scout:alice");
    let target = Sshd::start_with(&SshdOptions { extra: world.extra(), ..SshdOptions::default() });
    let behind = HostSpec {
        alias: "behind".to_owned(),
        proxy: Proxy::Jump(vec![Arc::new(HostSpec { alias: "hop".to_owned(), ..HostSpec::clone(&world.spec()) })]),
        ..spec(&target, target.address())
    };
    let pool = world.pool(&world.authority);
    let lease = pool.lease(&who("alice"), &Arc::new(behind), &call()).await.unwrap();
    assert_eq!(lease.exec(&request("exit 3"), &call()).await.unwrap().ending, Ending::Exited(3));
    for sshd in [&world.sshd, &target] {
        let is_named = |line: &String| line.contains("Accepted publickey") && line.contains("ID red/alice ");
        eventually("it is in the log", || sshd.log().iter().any(is_named)).await;
    }
}

#[tokio::test]
async fn an_authority_may_be_an_agents_and_one_that_cannot_be_had_is_told() {
    let world = World::new("scout:alice");
    let socket = world.dir.path().join("agent");
    let _agent = Agent::start(&socket, &[&world.authority.key]);
    let of_agent =
        Authority { key: world.authority.key.with_extension("pub"), agent: Some(socket), ..world.authority.clone() };
    // The private half is the agent's alone.
    std::fs::rename(&world.authority.key, world.authority.key.with_extension("away")).unwrap();
    assert!(world.pool(&of_agent).lease(&who("alice"), &world.spec(), &call()).await.is_ok());
    for (authority, why) in [
        (Authority { agent: None, ..of_agent.clone() }, "there is no agent"),
        (world.authority.clone(), "`ssh_ca`"),
        (Authority { principals: vec!["{nobody}".to_owned()], ..of_agent.clone() }, "none of {principal}"),
    ] {
        let error = world.pool(&authority).lease(&who("alice"), &world.spec(), &call()).await.map(drop).unwrap_err();
        assert!(error.kind() == ErrorKind::Auth && error.message().contains(why), "{error}");
    }
}
