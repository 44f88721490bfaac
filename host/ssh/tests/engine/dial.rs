//! Dialling and authentication: against real sshds alone and in chains, and against servers that misbehave.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use scout_machine::{Ending, ErrorKind, ExecRequest, HostError, Principal};
use scout_ssh::config::{AddressFamily, AlgorithmLists, Methods, Proxy, StrictHostKeyChecking};
use scout_ssh::trust::Decision;
use scout_ssh::{DialConfig, HostKey, HostSpec, Lease, Pool, PoolConfig};
use scout_tests::{Key, Sshd, SshdOptions, generate_key, login_name};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fake::{FakeSshd, FakeTcp, Then, Wants, public_blob, secret_command};
use crate::world::{call, dialling_with, eventually, marker, me, request, runs};

fn base(alias: &str, address: SocketAddr, known_hosts: PathBuf) -> HostSpec {
    HostSpec {
        user_known_hosts_files: vec![known_hosts],
        ..HostSpec::new(alias, address.ip().to_string(), address.port(), login_name())
    }
}

/// A host that an sshd serves, with its key known and its identity configured.
fn spec(alias: &str, sshd: &Sshd) -> HostSpec {
    let known = sshd.dir().join("known_hosts");
    std::fs::write(&known, sshd.known_hosts_line(sshd.address())).unwrap();
    HostSpec { identity_files: vec![sshd.user_key().private.clone()], ..base(alias, sshd.address(), known) }
}

/// A host that a fake server serves; its known_hosts is in `dir`.
fn fake_spec(server: &FakeSshd, dir: &Path) -> HostSpec {
    let known = dir.join("known_hosts");
    std::fs::write(&known, server.known_hosts_line()).unwrap();
    base("box", server.address, known)
}

/// A host at an address where no SSH is spoken.
fn wrong_spec(address: SocketAddr, limit: Duration) -> HostSpec {
    HostSpec { connect_timeout: Some(limit), ..base("box", address, "/dev/null".into()) }
}

fn through(spec: HostSpec, hops: &[&HostSpec]) -> HostSpec {
    HostSpec { proxy: Proxy::Jump(hops.iter().map(|hop| Arc::new((*hop).clone())).collect()), ..spec }
}

async fn lease_from(pool: &Pool, spec: &HostSpec) -> Result<Lease, HostError> {
    pool.lease(&me(), &Arc::new(spec.clone()), &call()).await
}

/// Dials with a pool of its own, which is gone afterwards.
async fn refused_with(config: DialConfig, spec: &HostSpec) -> HostError {
    lease_from(&dialling_with(config), spec).await.unwrap_err()
}

async fn refused(spec: &HostSpec) -> HostError {
    refused_with(DialConfig::default(), spec).await
}

/// Dials and runs a command; the pool is gone afterwards.
async fn works_with(config: DialConfig, spec: &HostSpec) {
    let pool = dialling_with(config);
    runs_echo(&lease_from(&pool, spec).await.unwrap()).await;
}

async fn works(spec: &HostSpec) {
    works_with(DialConfig::default(), spec).await;
}

async fn runs_echo(lease: &Lease) {
    let request = ExecRequest { stdout_cap: 100, timeout: Duration::from_secs(30), ..request("echo out") };
    let outcome = lease.exec(&request, &call()).await.unwrap();
    assert_eq!((outcome.ending, &*outcome.stdout.data), (Ending::Exited(0), &b"out\n"[..]));
}

fn with_secrets(command: PathBuf) -> DialConfig {
    DialConfig { secret_command: Some(command), ..DialConfig::default() }
}

fn asked(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("asked")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn logged(sshd: &Sshd, what: &str) -> usize {
    sshd.log().iter().filter(|line| line.contains(what)).count()
}

/// Whether anything of authentication has reached this server.
fn heard_authentication(sshd: &Sshd) -> bool {
    ["publickey", "password", "none for", "authenticating user", "Accepted", "Postponed", "Failed"]
        .iter()
        .any(|word| logged(sshd, word) > 0)
}

/// Connections that a server is serving: one process or more for each.
fn has_connections(sshd: &Sshd) -> bool {
    let children = format!("/proc/{0}/task/{0}/children", sshd.pid());
    !std::fs::read_to_string(children).unwrap_or_default().trim().is_empty()
}

/// Children of this process that have ended and were not waited for.
fn zombies() -> usize {
    let me = std::process::id();
    let stat = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
    let is_ours = |stat: &String| {
        let rest: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        rest.first() == Some(&"Z") && rest.get(1) == Some(&me.to_string().as_str())
    };
    std::fs::read_dir("/proc").unwrap().flatten().map(stat).filter(is_ours).count()
}

fn keygen(arguments: &[&str]) {
    let output = Command::new("ssh-keygen").args(arguments).output().expect("apt-get install openssh-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Locks a key file with the passphrase `secret`, cheaply.
fn lock_key(key: &Path) {
    keygen(&["-q", "-p", "-a", "1", "-P", "", "-N", "secret", "-f", path(key)]);
}

// Jump hosts.

#[tokio::test]
async fn a_chain_of_two_and_of_three_servers_runs_a_command() {
    let (one, two, three) = (Sshd::start(), Sshd::start(), Sshd::start());
    let (first, second, target) = (spec("one", &one), spec("two", &two), spec("box", &three));
    works(&through(target.clone(), &[&first])).await;
    assert!(!has_connections(&two));
    works(&through(target.clone(), &[&first, &second])).await;
    // A first hop that has a way of its own is reached by that.
    works(&through(target, &[&through(second, &[&first])])).await;
}

#[tokio::test]
async fn no_host_hears_of_authentication_before_its_own_key_was_accepted() {
    for distrusted in 0..3 {
        let servers = [Sshd::start(), Sshd::start(), Sshd::start()];
        let specs: Vec<_> = ["one", "two", "box"].iter().zip(&servers).map(|(name, sshd)| spec(name, sshd)).collect();
        std::fs::write(servers[distrusted].dir().join("known_hosts"), "").unwrap();
        let called = |index: usize| logged(&servers[index], "Connection from");
        let error = refused(&through(specs[2].clone(), &[&specs[0], &specs[1]])).await;
        assert_eq!(error.kind(), ErrorKind::UnknownHostKey, "{error}");
        assert!(error.message().contains(&format!("{}: the host's key", specs[distrusted].alias)), "{error:?}");
        assert!(error.hint().unwrap().contains("`scout trust box`"), "{error:?}");
        for (index, sshd) in servers.iter().enumerate() {
            eventually("the connection is gone", || !has_connections(sshd)).await;
            assert_eq!(heard_authentication(sshd), index < distrusted, "{index} of {distrusted}: {:?}", sshd.log());
            assert_eq!(called(index) > 0, index <= distrusted, "{index} of {distrusted}");
        }
    }
}

#[tokio::test]
async fn a_jump_host_that_fails_is_named() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let (first, target) = (spec("edge", &one), spec("box", &two));

    let stranger = HostSpec { user: "nobody-here".into(), ..first.clone() };
    let error = refused(&through(target.clone(), &[&stranger])).await;
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.message().starts_with("box: jump host edge: no identity was accepted for nobody-here"), "{error}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&through(target.clone(), &[&HostSpec { port, ..first.clone() }])).await;
    assert!(error.message().starts_with("box: jump host edge: no connection to 127.0.0.1:"), "{error}");

    let error = refused(&through(HostSpec { port, ..target.clone() }, &[&first])).await;
    let told = format!("box: the jump host edge cannot connect to 127.0.0.1:{port} (Connection refused)");
    assert_eq!(error.message(), told);

    let closed =
        Sshd::start_with(&SshdOptions { extra: vec!["AllowTcpForwarding no".into()], ..SshdOptions::default() });
    let error = refused(&through(target, &[&spec("edge", &closed)])).await;
    assert!(error.message().starts_with("box: the jump host edge does not forward to 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn jump_hosts_are_left_with_the_target_and_not_before() {
    let (one, two, mut three) = (Sshd::start(), Sshd::start(), Sshd::start());
    let chain = through(spec("box", &three), &[&spec("one", &one), &spec("two", &two)]);
    let pool = Pool::new(PoolConfig::default());
    let lease = lease_from(&pool, &chain).await.unwrap();
    runs_echo(&lease).await;
    assert!(has_connections(&one) && has_connections(&two));
    three.kill();
    eventually("no jump host is held without the target", || !has_connections(&one) && !has_connections(&two)).await;
    drop(lease);

    let target = Sshd::start();
    let chain = through(spec("box", &target), &[&spec("one", &one), &spec("two", &two)]);
    runs_echo(&lease_from(&pool, &chain).await.unwrap()).await;
    pool.shutdown().await;
    drop(pool);
    eventually("nothing is left", || [&one, &two, &target].iter().all(|sshd| !has_connections(sshd))).await;
}

#[tokio::test]
async fn a_dial_that_fails_behind_a_jump_host_leaves_nothing_there() {
    let one = Sshd::start();
    // It names itself: from there on the dial's session is a task of russh's own.
    let silent = FakeTcp::start(async |mut stream| {
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        stream
    })
    .await;
    let limit = Duration::from_secs(2);
    let target = through(wrong_spec(silent.address, limit), &[&spec("edge", &one)]);
    let error = refused(&target).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.message(), "box: not connected within 2 s, still in the handshake");
    eventually("the jump host is left", || !has_connections(&one) && silent.all_ended()).await;

    // The limit holds at a jump host too, and tells where it struck.
    let edge = HostSpec { alias: "edge".into(), ..wrong_spec(silent.address, limit) };
    let error = refused(&through(HostSpec { connect_timeout: Some(limit), ..spec("far", &one) }, &[&edge])).await;
    assert_eq!(error.message(), "far: not connected within 2 s, still at the jump host edge: in the handshake");

    // A dial that is given up.
    let pool = Pool::new(PoolConfig::default());
    let dialling = {
        let (pool, target) = (pool.clone(), HostSpec { connect_timeout: None, ..target });
        tokio::spawn(async move { lease_from(&pool, &target).await.map(drop) })
    };
    let before = silent.accepted();
    eventually("the target is called", || silent.accepted() > before).await;
    pool.shutdown().await;
    assert_eq!(dialling.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    eventually("the jump host is left", || !has_connections(&one) && silent.all_ended()).await;
}

#[tokio::test]
async fn a_key_is_shown_through_a_jump_host_without_logging_in_to_the_target() {
    let (one, two) = (Sshd::start(), Sshd::start());
    let HostKey { key, decision } = Pool::new(PoolConfig::default())
        .host_key(&through(spec("box", &two), &[&spec("edge", &one)]), &call())
        .await
        .unwrap();
    assert!(matches!(decision, Decision::Trusted(_)), "{decision:?}");
    assert!(two.host_key().public.ends_with(key.to_openssh().unwrap().split(' ').nth(1).unwrap()));
    eventually("nothing is left", || !has_connections(&one) && !has_connections(&two)).await;
    assert!(heard_authentication(&one) && !heard_authentication(&two));
}

#[tokio::test]
async fn what_ssh_config_says_of_the_way_is_how_the_host_is_reached() {
    let (one, two, three) = (Sshd::start(), Sshd::start(), Sshd::start());
    let dir = tempfile::tempdir().unwrap();
    let known = dir.path().join("known");
    let mut text = String::new();
    let mut keys = String::new();
    for (sshd, alias, more) in [
        (&one, "one", "ProxyCommand busybox nc %h %p".to_owned()),
        (&two, "two", "ProxyJump one".to_owned()),
        (&three, "box", "ProxyJump two".to_owned()),
    ] {
        text.push_str(&sshd.config_block(alias, sshd.address()));
        text.push_str(&format!("  {more}\n  UserKnownHostsFile {}\n", known.display()));
        keys.push_str(&sshd.known_hosts_line(sshd.address()));
    }
    std::fs::write(&known, keys).unwrap();
    let file = dir.path().join("config");
    std::fs::write(&file, text).unwrap();
    let config = scout_ssh::SshConfig::load(&file, None, dir.path()).unwrap();
    works(&config.resolve("box").unwrap()).await;
    assert!([&one, &two, &three].iter().all(|sshd| heard_authentication(sshd)));
}

// Proxy commands.

#[tokio::test]
async fn a_proxy_command_carries_the_connection_and_ends_with_it() {
    let (sshd, word) = (Sshd::start(), marker());
    let (ip, port) = (sshd.address().ip(), sshd.address().port());
    // A helper of the command's own belongs to its group.
    let command = format!("sh -c 'sleep {word} & exec busybox nc {ip} {port}' {word}");
    let spec = HostSpec { proxy: Proxy::Command(command), ..spec("box", &sshd) };
    let pool = Pool::new(PoolConfig::default());
    let lease = lease_from(&pool, &spec).await.unwrap();
    runs_echo(&lease).await;
    assert!(runs(&word));
    drop(lease);
    pool.shutdown().await;
    drop(pool);
    eventually("its group is gone", || !runs(&word) && !has_connections(&sshd)).await;
    eventually("it is reaped", || zombies() == 0).await;
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_told_with_its_words_and_status() {
    let host = |command: &str| HostSpec {
        proxy: Proxy::Command(command.into()),
        ..base("box", SocketAddr::from(([127, 0, 0, 1], 1)), "/dev/null".into())
    };
    let error = refused(&host("sh -c 'echo no \x1b[31mroute >&2; exit 7'")).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let told = "the server closed the connection; the proxy command ended with exit status: 7: no ␛[31mroute";
    assert!(error.message().ends_with(told), "{error}");

    let error = refused(&host("/nonexistent/command")).await;
    // The words are those of the user's shell.
    assert!(error.message().contains("exit status: 127: ") && error.message().contains("/nonexistent/"), "{error}");

    // What it writes has a bound.
    let error = refused(&host("sh -c 'yes complaint | head -c 9000000 >&2; exit 1'")).await;
    assert!(error.message().contains("complaint; complaint") && error.message().len() < 4096, "{error}");
}

#[tokio::test]
async fn a_proxy_command_that_hangs_is_killed_with_its_group() {
    let word = marker();
    let command = format!("sh -c 'echo waiting for godot >&2; trap \"\" TERM HUP; sleep {word}; :' {word}");
    let host = HostSpec {
        proxy: Proxy::Command(command),
        ..wrong_spec(SocketAddr::from(([127, 0, 0, 1], 1)), Duration::from_secs(3))
    };
    let error = refused(&host).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().ends_with("the proxy command said: waiting for godot"), "{error}");
    eventually("its group is gone", || !runs(&word)).await;

    // The same when nobody wants it any more.
    let pool = Pool::new(PoolConfig::default());
    let (dialler, host) = (pool.clone(), HostSpec { connect_timeout: None, ..host });
    let dialling = tokio::spawn(async move { lease_from(&dialler, &host).await.map(drop) });
    eventually("it runs", || runs(&word)).await;
    pool.shutdown().await;
    assert_eq!(dialling.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    eventually("its group is gone", || !runs(&word)).await;
}

// Addresses.

#[tokio::test]
async fn a_connection_comes_from_the_configured_address() {
    let sshd = Sshd::start();
    works(&HostSpec { bind_address: Some("127.0.0.9".into()), ..spec("box", &sshd) }).await;
    eventually("the address is logged", || logged(&sshd, "Connection from 127.0.0.9") > 0).await;
    let error = refused(&HostSpec { bind_address: Some("192.0.2.1".into()), ..spec("box", &sshd) }).await;
    assert!(error.message().contains("BindAddress 192.0.2.1"), "{error}");
    let error = refused(&HostSpec { bind_address: Some("::1".into()), ..spec("box", &sshd) }).await;
    assert!(error.message().contains("BindAddress is of another family"), "{error}");
    let error = refused(&HostSpec { address_family: AddressFamily::Inet6, ..spec("box", &sshd) }).await;
    assert!(error.message().contains("has no IPv6 address"), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told() {
    let host = base("box", SocketAddr::from(([127, 0, 0, 1], 22)), "/dev/null".into());
    let error = refused(&HostSpec { host_name: "no-such-host.invalid".into(), ..host }).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().starts_with("box: the name no-such-host.invalid was not resolved: "), "{error}");
}

// Algorithms.

fn names(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn configured_algorithms_are_negotiated() {
    let sshd = Sshd::start_with(&SshdOptions {
        extra: vec![
            "Ciphers aes256-ctr".into(),
            "MACs hmac-sha2-256".into(),
            "KexAlgorithms ecdh-sha2-nistp384".into(),
        ],
        ..SshdOptions::default()
    });
    let lists = AlgorithmLists {
        ciphers: names(&["3des-cbc", "aes256-ctr"]),
        macs: names(&["umac-64@openssh.com", "hmac-sha2-256"]),
        kex: names(&["ecdh-sha2-nistp384"]),
        public_keys: names(&["ssh-ed25519"]),
        ..AlgorithmLists::default()
    };
    works(&HostSpec { algorithms: lists, ..spec("box", &sshd) }).await;

    let nothing = AlgorithmLists { ciphers: names(&["arcfour"]), ..AlgorithmLists::default() };
    let error = refused(&HostSpec { algorithms: nothing, ..spec("box", &sshd) }).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("ssh_config names arcfour; Scout has chacha20-poly1305@openssh.com,"), "{error}");
}

// Authentication.

#[tokio::test]
async fn a_locked_key_is_unlocked_by_the_secret_command_and_only_when_the_server_takes_it() {
    let sshd = Sshd::start();
    let unwanted = generate_key(sshd.dir(), "unwanted");
    let key = sshd.user_key().private.clone();
    lock_key(&key);
    lock_key(&unwanted.private);
    let secrets = with_secrets(secret_command(sshd.dir(), "echo secret"));
    let spec = HostSpec { identity_files: vec![unwanted.private, key.clone()], ..spec("box", &sshd) };
    works_with(secrets, &spec).await;
    let prompt = format!("passphrase box {}: Enter passphrase for key '{}'", login_name(), key.display());
    assert_eq!(asked(sshd.dir()), [prompt]);
}

#[tokio::test]
async fn a_key_whose_public_half_is_locked_too_is_unlocked_first() {
    let sshd = Sshd::start();
    let key = sshd.user_key().private.clone();
    std::fs::remove_file(key.with_extension("pub")).unwrap();
    let pem = sshd.dir().join("pem");
    keygen(&["-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "secret", "-f", path(&pem)]);
    std::fs::copy(pem.with_extension("pub"), sshd.dir().join("authorized_keys")).unwrap();
    std::fs::remove_file(pem.with_extension("pub")).unwrap();
    let secrets = with_secrets(secret_command(sshd.dir(), "echo secret"));
    works_with(secrets, &HostSpec { identity_files: vec![pem], ..spec("box", &sshd) }).await;
}

#[tokio::test]
async fn without_the_right_secret_a_locked_key_is_left_out_and_told() {
    let sshd = Sshd::start();
    lock_key(&sshd.user_key().private);
    let spec = spec("box", &sshd);
    for (body, why) in [
        ("echo wrong", "the passphrase is wrong"),
        ("echo secret; exit 1", "the secret command has none"),
        ("true", "the secret command has none"),
        ("head -c 5000 /dev/zero | tr '\\0' x", "the secret command's answer is too long"),
    ] {
        let error = refused_with(with_secrets(secret_command(sshd.dir(), body)), &spec).await;
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.message().contains(why) && !error.message().contains("secret;"), "{error}");
    }
    let error = refused_with(with_secrets("/nonexistent".into()), &spec).await;
    assert!(error.message().contains("the secret command cannot be started"), "{error}");
    let error = refused(&spec).await;
    assert!(error.message().contains("left out") && error.message().contains("encrypted"), "{error}");
}

#[tokio::test]
async fn a_secret_command_that_hangs_ends_with_the_dial() {
    let (sshd, word) = (Sshd::start(), marker());
    lock_key(&sshd.user_key().private);
    let secrets = with_secrets(secret_command(sshd.dir(), &format!("sleep {word}; echo secret")));
    let limit = Some(Duration::from_secs(2));
    let error = refused_with(secrets, &HostSpec { connect_timeout: limit, ..spec("box", &sshd) }).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    eventually("it is gone", || !runs(&word)).await;
}

#[tokio::test]
async fn a_key_that_others_may_read_is_left_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let sshd = Sshd::start();
    std::fs::set_permissions(&sshd.user_key().private, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&spec("box", &sshd)).await;
    assert!(error.message().contains("other accounts may read it"), "{error}");
}

/// An authority and a key that it has certified for the login; the certificate lies beside the key.
fn certified(sshd: &Sshd) -> Key {
    let authority = generate_key(sshd.dir(), "authority");
    let key = generate_key(sshd.dir(), "certified");
    let public = key.private.with_extension("pub");
    keygen(&["-q", "-s", path(&authority.private), "-I", "id", "-n", &login_name(), path(&public)]);
    std::fs::write(sshd.dir().join("authorized_keys"), format!("cert-authority {}\n", authority.public)).unwrap();
    key
}

#[tokio::test]
async fn a_certificate_beside_its_key_or_configured_logs_in() {
    let sshd = Sshd::start();
    let key = certified(&sshd);
    let host = HostSpec { identity_files: vec![key.private.clone()], ..spec("box", &sshd) };
    works(&host).await;

    let (beside, elsewhere) = (sshd.dir().join("certified-cert.pub"), sshd.dir().join("elsewhere.pub"));
    std::fs::rename(&beside, &elsewhere).unwrap();
    assert_eq!(refused(&host).await.kind(), ErrorKind::Auth);
    works(&HostSpec { certificate_files: vec![elsewhere.clone()], ..host.clone() }).await;

    // The agent holds the key, the file the certificate.
    let socket = sshd.dir().join("agent");
    let _agent = Agent::start(&socket, &[&key.private]).await;
    lock_key(&key.private);
    std::fs::copy(&elsewhere, &beside).unwrap();
    works(&HostSpec { agent: Some(socket.clone()), ..host.clone() }).await;
    std::fs::remove_file(&beside).unwrap();
    std::fs::remove_file(&key.private).unwrap();
    let agent = HostSpec { agent: Some(socket), certificate_files: vec![elsewhere.clone()], ..host.clone() };
    works(&HostSpec { identities_only: true, ..agent }).await;
    let error = refused(&HostSpec { certificate_files: vec![elsewhere], ..host }).await;
    assert!(error.message().contains("elsewhere.pub (its private key is not at hand)"), "{error}");
}

#[tokio::test]
async fn a_certificate_in_the_agent_logs_in() {
    let sshd = Sshd::start();
    let key = certified(&sshd);
    let socket = sshd.dir().join("agent");
    // ssh-add takes the certificate along.
    let _agent = Agent::start(&socket, &[&key.private]).await;
    works(&HostSpec { agent: Some(socket), identity_files: Vec::new(), ..spec("box", &sshd) }).await;
}

#[tokio::test]
async fn only_configured_identities_of_the_agent_are_offered_if_so_configured() {
    let sshd = Sshd::start();
    let stranger = generate_key(sshd.dir(), "stranger");
    let socket = sshd.dir().join("agent");
    let key = sshd.user_key().private.clone();
    let _agent = Agent::start(&socket, &[&key]).await;
    std::fs::remove_file(&key).unwrap();
    let host = HostSpec { agent: Some(socket), identities_only: true, ..spec("box", &sshd) };
    works(&host).await;
    let error = refused(&HostSpec { identity_files: vec![stranger.private], ..host }).await;
    assert!(!error.message().contains("agent key"), "{error}");
}

#[tokio::test]
async fn a_kind_of_key_that_is_not_accepted_is_not_offered() {
    let sshd = Sshd::start();
    let lists = AlgorithmLists { public_keys: names(&["ecdsa-*", "rsa-sha2-256"]), ..AlgorithmLists::default() };
    let host = HostSpec { algorithms: lists, ..spec("box", &sshd) };
    let error = refused(&host).await;
    assert!(error.message().contains("PubkeyAcceptedAlgorithms does not name its kind"), "{error}");
    assert_eq!(logged(&sshd, "publickey"), 0, "{:?}", sshd.log());

    let rsa = sshd.dir().join("id_rsa");
    keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path(&rsa)]);
    std::fs::copy(rsa.with_extension("pub"), sshd.dir().join("authorized_keys")).unwrap();
    works(&HostSpec { identity_files: vec![rsa], ..host }).await;
}

/// Whether the real `ssh` logs in with this key, asking for RSA of so many bits.
fn ssh_works(sshd: &Sshd, key: &Path, required_bits: u32) -> bool {
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-n", "-i", path(key), "-p", &sshd.address().port().to_string()]);
    for option in ["BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=yes"] {
        command.args(["-o", option]);
    }
    command.args(["-o", &format!("UserKnownHostsFile={}", path(&sshd.dir().join("known_hosts")))]);
    command.args(["-o", &format!("RequiredRSASize={required_bits}"), "127.0.0.1", "true"]);
    command.stderr(Stdio::null()).status().expect("apt-get install openssh-client").success()
}

#[tokio::test]
async fn an_rsa_key_shorter_than_required_is_left_out_from_wherever_it_comes() {
    let sshd = Sshd::start();
    let key = sshd.dir().join("id_rsa");
    keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", path(&key)]);
    let authority = generate_key(sshd.dir(), "authority");
    keygen(&["-q", "-s", path(&authority.private), "-I", "id", "-n", &login_name(), path(&key.with_extension("pub"))]);
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let accepted = format!("{public}cert-authority {}\n", authority.public);
    std::fs::write(sshd.dir().join("authorized_keys"), accepted).unwrap();
    let with = |files: &[&Path], agent: Option<&Path>, required_rsa_bits| HostSpec {
        identity_files: files.iter().map(|file| file.to_path_buf()).collect(),
        agent: agent.map(Path::to_path_buf),
        required_rsa_bits,
        ..spec("box", &sshd)
    };
    let socket = sshd.dir().join("agent");
    let _agent = Agent::start(&socket, &[&key]).await;
    let locked = sshd.dir().join("id_locked");
    std::fs::copy(&key, &locked).unwrap();
    lock_key(&locked);

    let what = "RSA of fewer bits than RequiredRSASize";
    let (file, held, by_file) =
        (with(&[&key], None, 3072), with(&[], Some(&socket), 3072), with(&[&locked], None, 3072));
    for (host, left_out) in [
        (file, vec!["id_rsa", "id_rsa with its certificate"]),
        (held, vec!["agent key SHA256:", "agent certificate SHA256:"]),
        (by_file, vec!["id_locked"]),
    ] {
        let error = refused(&host).await;
        assert!(error.message().contains("there is no identity to try; left out"), "{error}");
        assert_eq!(error.message().matches(what).count(), left_out.len(), "{error}");
        assert!(left_out.iter().all(|name| error.message().contains(name)), "{left_out:?} in {error}");
    }
    assert_eq!(logged(&sshd, "publickey"), 0, "{:?}", sshd.log());
    assert!(!ssh_works(&sshd, &key, 3072) && ssh_works(&sshd, &key, 2048));
    works(&with(&[&key], None, 2048)).await;
    works(&with(&[], Some(&socket), 2048)).await;
}

#[tokio::test]
async fn a_refusal_lists_what_was_tried_and_what_the_server_accepts() {
    let sshd = Sshd::start_with(&SshdOptions { extra: vec!["MaxAuthTries 3".into()], ..SshdOptions::default() });
    let keys: Vec<_> = (0..2).map(|index| generate_key(sshd.dir(), &format!("key{index}")).private).collect();
    let error = refused(&HostSpec { identity_files: keys, ..spec("box", &sshd) }).await;
    for word in ["key0", "key1", "the server accepts publickey"] {
        assert!(error.message().contains(word), "{word}: {error}");
    }
    let keys = (2..8).map(|index| generate_key(sshd.dir(), &format!("key{index}")).private).collect();
    let error = refused(&HostSpec { identity_files: keys, ..spec("box", &sshd) }).await;
    let farewell = "then the server closed the connection (Too many authentication failures)";
    assert!(error.message().contains(farewell), "{error}");
    assert!(error.hint().unwrap().contains("set `IdentitiesOnly yes` beside it"), "{error:?}");

    let off = Methods { public_key: false, ..Methods::default() };
    let error = refused(&HostSpec { methods: off, ..spec("box", &sshd) }).await;
    assert!(error.message().contains("there is no identity to try"), "{error}");
    assert!(error.message().contains("publickey (PubkeyAuthentication is off)"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_two_keys_gets_them() {
    let sshd = Sshd::start_with(&SshdOptions {
        extra: vec!["AuthenticationMethods publickey,publickey".into()],
        ..SshdOptions::default()
    });
    let second = generate_key(sshd.dir(), "second");
    let both = format!("{}\n{}\n", sshd.user_key().public, second.public);
    std::fs::write(sshd.dir().join("authorized_keys"), both).unwrap();
    let host = spec("box", &sshd);
    let error = refused(&host).await;
    assert!(error.message().contains("(accepted, and more is wanted)"), "{error}");
    let files = vec![sshd.user_key().private.clone(), second.private];
    works(&HostSpec { identity_files: files, ..host }).await;
}

#[tokio::test]
async fn a_key_then_a_password_then_questions_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let questions = Wants::Answers(vec![vec![("Colour? ", "blue"), ("Number?", "7")], vec![], vec![("Code:", "99")]]);
    let server = FakeSshd::start(&[Wants::PublicKey, Wants::Password("pass word"), questions], Then::Serves).await;
    let key = generate_key(dir.path(), "id");
    let body =
        "case \"$1\" in *password:) echo 'pass word';; *Colour*) echo blue;; *Number*) echo 7;; *) echo 99;; esac";
    let secrets = with_secrets(secret_command(dir.path(), body));
    let host = HostSpec { identity_files: vec![key.private], ..fake_spec(&server, dir.path()) };
    let pool = dialling_with(secrets);
    let _lease = lease_from(&pool, &host).await.unwrap();
    assert_eq!(
        server.heard(),
        ["publickey", "password pass word", "keyboard-interactive", "answers blue,7", "answers ", "answers 99"]
    );
    let user = login_name();
    assert_eq!(
        asked(dir.path()),
        [
            format!("password box {user}: {user}@127.0.0.1's password:"),
            format!("prompt box {user}: ({user}@127.0.0.1) Colour?"),
            format!("prompt box {user}: ({user}@127.0.0.1) Number?"),
            format!("prompt box {user}: ({user}@127.0.0.1) Code:"),
        ]
    );
}

#[tokio::test]
async fn a_wrong_password_is_not_sent_twice_and_no_password_is_never_sent() {
    let dir = tempfile::tempdir().unwrap();
    for (body, heard) in [("echo wrong", vec!["password wrong"]), ("exit 1", vec![])] {
        let server = FakeSshd::start(&[Wants::Password("right")], Then::Serves).await;
        let methods = Methods { keyboard_interactive: false, ..Methods::default() };
        let host = HostSpec { methods, ..fake_spec(&server, dir.path()) };
        let error = refused_with(with_secrets(secret_command(dir.path(), body)), &host).await;
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(!error.message().contains("wrong"), "{error}");
        assert_eq!(server.heard(), heard);
    }
    // The same wrong answer is not given twice, though what was right before it is.
    let rounds = vec![vec![("Password:", "right")], vec![("Code:", "1")]];
    let server = FakeSshd::start(&[Wants::Answers(rounds)], Then::Serves).await;
    let body = "case \"$1\" in *Password*) echo right;; *) echo wrong;; esac";
    let secrets = with_secrets(secret_command(dir.path(), body));
    assert_eq!(refused_with(secrets, &fake_spec(&server, dir.path())).await.kind(), ErrorKind::Auth);
    let first = ["keyboard-interactive", "answers right", "answers wrong"];
    assert_eq!(server.heard(), [&first[..], &first[..2]].concat());
    // Without an answer a question is not answered with an empty one.
    let server = FakeSshd::start(&[Wants::Answers(vec![vec![("Code:", "")]])], Then::Serves).await;
    let host = fake_spec(&server, dir.path());
    let error = refused_with(with_secrets(secret_command(dir.path(), "exit 1")), &host).await;
    assert!(
        error.message().contains("keyboard-interactive (it asks \"Code:\", and the secret command has none)"),
        "{error}"
    );
    assert_eq!(server.heard(), ["keyboard-interactive"]);
    // Without a secret command, nothing is.
    let error = refused(&host).await;
    assert!(error.message().contains("there is no secret command"), "{error}");
}

#[tokio::test]
async fn the_configured_order_of_methods_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::Password("right"), Wants::PublicKey], Then::Serves).await;
    let key = generate_key(dir.path(), "id");
    let order = names(&["gssapi-with-mic", "password", "publickey"]);
    let methods = Methods { order, ..Methods::default() };
    let host = HostSpec { methods, identity_files: vec![key.private], ..fake_spec(&server, dir.path()) };
    let pool = dialling_with(with_secrets(secret_command(dir.path(), "echo right")));
    let _lease = lease_from(&pool, &host).await.unwrap();
    assert_eq!(server.heard(), ["password right", "publickey"]);
}

#[tokio::test]
async fn a_host_whose_changed_key_was_accepted_gets_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::Password("right")], Then::Serves).await;
    let mut host = fake_spec(&server, dir.path());
    let other = generate_key(dir.path(), "other");
    let line = server.known_hosts_line().replace(&server.host_key.public, &other.public);
    std::fs::write(dir.path().join("known_hosts"), line).unwrap();
    host.strict_host_key_checking = StrictHostKeyChecking::No;
    let error = refused_with(with_secrets(secret_command(dir.path(), "echo right")), &host).await;
    assert!(error.message().contains("password (the host's key has changed)"), "{error}");
    assert!(server.heard().is_empty() && asked(dir.path()).is_empty());
}

/// An ssh-agent of its own with these keys; ends with this value.
struct Agent(std::process::Child);

impl Agent {
    async fn start(socket: &Path, keys: &[&Path]) -> Self {
        let mut command = Command::new("ssh-agent");
        let agent = Self(command.arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn().unwrap());
        eventually("the agent listens", || socket.exists()).await;
        for key in keys {
            let added = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", socket).output().unwrap();
            assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An agent that answers the first `answers` requests like one that holds `key`, and hangs then.
fn hanging_agent(socket: &Path, answers: usize, key: &Key) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    let blob = public_blob(key);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let blob = blob.clone();
            tokio::spawn(async move {
                let mut left = answers;
                while let Ok(length) = stream.read_u32().await {
                    let mut request = vec![0; length as usize];
                    stream.read_exact(&mut request).await.unwrap();
                    if left == 0 {
                        continue;
                    }
                    left -= 1;
                    // SSH_AGENTC_REQUEST_IDENTITIES gets its one key, all else SSH_AGENT_FAILURE.
                    let answer = if request == [11] {
                        let mut answer = vec![12, 0, 0, 0, 1];
                        answer.extend_from_slice(&u32::try_from(blob.len()).unwrap().to_be_bytes());
                        answer.extend_from_slice(&blob);
                        answer.extend_from_slice(&[0; 4]);
                        answer
                    } else {
                        vec![5]
                    };
                    stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    })
}

#[tokio::test]
async fn an_agent_that_hangs_is_given_up_and_the_files_are_tried() {
    let sshd = Sshd::start();
    let second = generate_key(sshd.dir(), "second");
    let both = format!("{}\n{}\n", sshd.user_key().public, second.public);
    std::fs::write(sshd.dir().join("authorized_keys"), both).unwrap();
    // It hangs at once; and it hangs when it should sign with a key that the server takes.
    for (name, answers) in [("hangs", 0), ("does-not-sign", 2)] {
        let socket = sshd.dir().join(name);
        let agent = hanging_agent(&socket, answers, &second);
        let limit = Some(Duration::from_secs(10));
        works(&HostSpec { agent: Some(socket), connect_timeout: limit, ..spec("box", &sshd) }).await;
        agent.abort();
    }
    let missing = Some(sshd.dir().join("missing"));
    works(&HostSpec { agent: missing.clone(), ..spec("box", &sshd) }).await;
    let error = refused(&HostSpec { agent: missing, identity_files: Vec::new(), ..spec("box", &sshd) }).await;
    assert!(error.message().contains("missing (does not answer (No such file"), "{error}");
}

// Servers that misbehave. Each ends in an error within the limit, and sees the end of every connection.

/// For those that would never end by themselves.
const SOON: Duration = Duration::from_millis(1500);
/// For all others: a busy machine is slow, too.
const LATE: Duration = Duration::from_secs(60);

async fn misbehaving<F: Future<Output = tokio::net::TcpStream> + Send + 'static>(
    kind: ErrorKind,
    says: &str,
    treat: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
) -> usize {
    let server = FakeTcp::start(treat).await;
    let pool = dialling_with(DialConfig { connect_timeout: LATE, ..DialConfig::default() });
    let limit = if kind == ErrorKind::Timeout { SOON } else { LATE };
    let error = lease_from(&pool, &wrong_spec(server.address, limit)).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(says), "{error}");
    assert_eq!(pool.snapshot().dialing, 0);
    // While the pool lives: it is the dial that lets go.
    eventually("the server sees the end", || server.all_ended()).await;
    server.accepted()
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_asked_again_and_told() {
    let asked = misbehaving(ErrorKind::Unreachable, "the server closed the connection", async |mut stream| {
        stream.shutdown().await.unwrap();
        stream
    })
    .await;
    assert!(asked > 1);
}

#[tokio::test]
async fn a_server_that_closes_after_naming_itself_is_not_asked_again() {
    let asked = misbehaving(ErrorKind::Unreachable, "the server closed the connection", async |mut stream| {
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    })
    .await;
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_with_its_words() {
    misbehaving(ErrorKind::Unreachable, r#"it said "HTTP/1.1 400 Bad Request""#, async |mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    })
    .await;
    misbehaving(ErrorKind::Unreachable, "it does not name itself as an SSH server", async |mut stream| {
        stream.write_all(&[0xfe; 9000]).await.unwrap();
        stream
    })
    .await;
    // It says something, and waits for something else.
    misbehaving(
        ErrorKind::Timeout,
        r#"still in the handshake; it said "220 mail.example ESMTP""#,
        async |mut stream| {
            stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
            stream
        },
    )
    .await;
}

#[tokio::test]
async fn garbage_after_the_identification_is_an_error() {
    misbehaving(ErrorKind::Unreachable, "the handshake with 127.0.0.1:", async |mut stream| {
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        stream.write_all(&[0xfe; 5000]).await.unwrap();
        stream
    })
    .await;
}

#[tokio::test]
async fn a_banner_without_end_and_one_of_a_mebibyte_are_given_up() {
    let says = "it does not name itself as an SSH server";
    misbehaving(ErrorKind::Unreachable, says, async |mut stream| {
        while stream.write_all(b"more\r\n").await.is_ok() {}
        stream
    })
    .await;
    misbehaving(ErrorKind::Unreachable, says, async |mut stream| {
        let _ = stream.write_all(&vec![b'x'; 1 << 20]).await;
        stream
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_key_exchange_is_given_up() {
    misbehaving(ErrorKind::Timeout, "box: not connected within 1.5 s, still in the handshake", async |mut stream| {
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        stream
    })
    .await;
}

#[tokio::test]
async fn a_server_that_answers_a_byte_at_a_time_is_given_up() {
    misbehaving(ErrorKind::Timeout, "still in the handshake", async |mut stream| {
        for byte in b"SSH-2.0-slow-and-slow-and-slow\r\n" {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stream
    })
    .await;
}

#[tokio::test]
async fn a_server_that_closes_after_the_login_fails_the_request_and_not_the_next_dial() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::PublicKey], Then::Closes).await;
    let key = generate_key(dir.path(), "id");
    let host = HostSpec { identity_files: vec![key.private], ..fake_spec(&server, dir.path()) };
    let pool = Pool::new(PoolConfig::default());
    let request = ExecRequest { timeout: Duration::from_secs(5), ..request("echo") };
    match lease_from(&pool, &host).await {
        Ok(lease) => {
            let error = lease.exec(&request, &call()).await.unwrap_err();
            assert!(error.message().contains("the connection was lost"), "{error}");
        }
        // The end came before the server's yes.
        Err(error) => assert!(error.message().contains("closing time"), "{error}"),
    }
    eventually("the server sees the end", || server.open() == 0).await;
}

#[tokio::test]
async fn what_a_server_opens_by_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::PublicKey], Then::Forwards).await;
    let key = generate_key(dir.path(), "id");
    let host = HostSpec { identity_files: vec![key.private], ..fake_spec(&server, dir.path()) };
    let pool = Pool::new(PoolConfig::default());
    let _lease = lease_from(&pool, &host).await.unwrap();
    let kinds = ["tcpip", "streamlocal", "x11", "agent", "session", "direct"];
    eventually("all were answered", || server.heard().len() > kinds.len()).await;
    let refused: Vec<_> = kinds.iter().map(|kind| format!("{kind} refused")).collect();
    assert_eq!(server.heard()[1..], refused);
}

#[tokio::test]
async fn dials_beyond_max_startups_wait_for_their_turn() {
    let options = SshdOptions { extra: vec!["MaxStartups 1:100:1".into()], ..SshdOptions::default() };
    let sshd = Sshd::start_with(&options);
    let host = HostSpec { connect_timeout: None, ..spec("box", &sshd) };
    let pool = dialling_with(DialConfig { connect_timeout: Duration::from_secs(40), ..DialConfig::default() });
    let dials = (0..6).map(|index| {
        let (pool, host) = (pool.clone(), Arc::new(host.clone()));
        tokio::spawn(async move { pool.lease(&Principal::new("test", &format!("p{index}")), &host, &call()).await })
    });
    for dial in dials.collect::<Vec<_>>() {
        dial.await.unwrap().unwrap_or_else(|error| panic!("{error}: {:#?}", sshd.log()));
    }
    // In the words of 9.2 and of 10.0.
    assert!(
        logged(&sshd, "past MaxStartups") + logged(&sshd, " Maxstartups") > 0,
        "nothing was turned away: {:?}",
        sshd.log()
    );
}

#[tokio::test]
async fn a_server_that_says_it_is_busy_is_asked_again_behind_a_proxy_command_too() {
    let sshd = Sshd::start();
    let calls = sshd.dir().join("calls");
    let (ip, port) = (sshd.address().ip(), sshd.address().port());
    let command = format!(
        // It has heard the client before it ends: a pipe that is closed before would be what is told.
        "sh -c 'echo >> {0}; [ $(wc -l < {0}) -gt 6 ] && exec busybox nc {ip} {port}; echo Exceeded MaxStartups; head -c 1 >/dev/null'",
        calls.display()
    );
    works(&HostSpec { proxy: Proxy::Command(command), ..spec("box", &sshd) }).await;
    assert_eq!(std::fs::read_to_string(calls).unwrap().len(), 7);
}

#[tokio::test]
async fn a_dial_tells_the_round_trips_that_the_link_counts() {
    let sshd = Sshd::start();
    let unwanted = generate_key(sshd.dir(), "unwanted");
    let link = scout_tests::DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let known = sshd.dir().join("known_hosts");
    std::fs::write(&known, sshd.known_hosts_line(link.address())).unwrap();
    for files in [vec![sshd.user_key().private.clone()], vec![unwanted.private, sshd.user_key().private.clone()]] {
        let spec = HostSpec { identity_files: files, ..base("box", link.address(), known.clone()) };
        let (pool, call, mark) = (Pool::new(PoolConfig::default()), call(), link.mark());
        let _lease = pool.lease(&me(), &Arc::new(spec), &call).await.unwrap();
        let told = call.cost.snapshot().round_trips;
        // The link does not see TCP's own, and it sees the channel that is opened ahead.
        eventually("the link counts as many", || link.round_trips_since(&mark) == told).await;
    }
}
