//! Which connection serves whom, and when one is replaced.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use scout_machine::{Call, Ending, ErrorKind, Principal};
use scout_ssh::{DialConfig, HostSpec, Pool, PoolConfig};
use scout_tests::{DelayLink, Sftp, Sshd, SshdOptions, generate_key};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::fake::{FakeSshd, FakeTcp, Then, Wants};
use crate::world::{World, call, dialling_with, eventually, me, remote, request, spec};

/// Long after what is under way in a test has its end.
const LONG: Duration = Duration::from_secs(600);
/// How long an open may go unanswered: enough for a busy machine.
const ANSWER: Duration = Duration::from_secs(5);

fn seconds(seconds: u64) -> Call {
    Call::until(tokio::time::Instant::now() + Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_connection_that_answers_nothing_is_replaced_and_the_request_repeated() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::ZERO).await;
    let mut spec = spec(&sshd, link.address());
    spec.server_alive_interval = Some(LONG);
    let pool = Pool::new(PoolConfig { answer_timeout: ANSWER, ..PoolConfig::default() });
    let lease = pool.lease(&me(), &Arc::new(spec), &call()).await.unwrap();
    eventually("a channel is open ahead", || pool.snapshot().channels == 1).await;
    link.forget_connections();
    // The first takes the channel that is open ahead, and may have run. The second needs another one.
    let (status, patient) = (request("exit 6"), call());
    let (first, second) = tokio::join!(biased; lease.exec(&status, &patient), lease.exec(&status, &patient));
    assert_eq!(first.unwrap().ending, Ending::NoStatus);
    assert_eq!(second.unwrap().ending, Ending::Exited(6));
    assert_eq!(pool.snapshot().dials, 2);
}

#[tokio::test]
async fn a_connection_that_lives_and_opens_no_channel_is_left_to_those_who_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::PublicKey], Then::OpensNothing).await;
    let known = dir.path().join("known_hosts");
    std::fs::write(&known, server.known_hosts_line()).unwrap();
    let spec = Arc::new(HostSpec {
        user_known_hosts_files: vec![known],
        identity_files: vec![generate_key(dir.path(), "id").private],
        // Its answers show that it lives.
        server_alive_interval: Some(Duration::from_secs(1)),
        server_alive_count_max: 600,
        ..HostSpec::new("box", server.address.ip().to_string(), server.address.port(), "me")
    });
    let pool = Pool::new(PoolConfig { answer_timeout: ANSWER, ..PoolConfig::default() });
    let holds = pool.lease(&me(), &spec, &call()).await.unwrap();
    let asks = pool.lease(&me(), &spec, &call()).await.unwrap();
    let asking = tokio::spawn(async move { asks.exec(&request("exit 0"), &call()).await.map(drop) });
    eventually("another connection is made, and the first one is still in use", || server.open() == 2).await;
    drop(holds);
    eventually("it ends with its last user", || server.open() == 1 || pool.snapshot().dials == 3).await;
    asking.abort();
}

#[tokio::test]
async fn a_server_that_passes_over_a_second_channel_has_a_connection_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::PublicKey], Then::OpensOne).await;
    let known = dir.path().join("known_hosts");
    std::fs::write(&known, server.known_hosts_line()).unwrap();
    let spec = Arc::new(HostSpec {
        user_known_hosts_files: vec![known],
        identity_files: vec![generate_key(dir.path(), "id").private],
        ..HostSpec::new("box", server.address.ip().to_string(), server.address.port(), "me")
    });
    // Whoever waited for an answer would wait longer than the call.
    let pool = Pool::new(PoolConfig { answer_timeout: Duration::from_secs(600), ..PoolConfig::default() });
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    for dials in [2, 3] {
        // It was sent, and what does nothing in the other way; from then on in one.
        let error = lease.exec(&request("exit 0"), &call()).await.unwrap_err();
        assert_eq!((error.kind(), pool.snapshot().dials), (ErrorKind::Unsupported, dials), "{error}");
    }
}

#[tokio::test]
async fn hosts_that_wait_for_their_turn_at_an_address_take_no_other_hosts_place() {
    let silent = FakeTcp::start(async |stream| stream).await;
    let sshd = Sshd::start();
    // Room for ten handshakes and one more.
    let config = PoolConfig { max_connections: 11, ..PoolConfig::default() };
    let pool = Pool::new(config).dialling_with(DialConfig { connect_timeout: LONG, ..DialConfig::default() });
    let [ip, port] = [silent.address.ip().to_string(), silent.address.port().to_string()];
    let hung = Arc::new(HostSpec::new("hung", ip, port.parse().unwrap(), "me"));
    let mut waiting = JoinSet::new();
    for number in 0..30 {
        let (pool, hung) = (pool.clone(), Arc::clone(&hung));
        waiting.spawn(async move {
            pool.lease(&Principal::new("test", &format!("p{number}")), &hung, &call()).await.map(drop)
        });
    }
    eventually("all are waiting", || silent.accepted() == 10 && pool.snapshot().dialing == 30).await;
    let spec = Arc::new(spec(&sshd, sshd.address()));
    let lease = pool.lease(&me(), &spec, &seconds(30)).await.unwrap();
    assert_eq!(lease.exec(&request("exit 4"), &call()).await.unwrap().ending, Ending::Exited(4));
    assert_eq!(silent.accepted(), 10);
    waiting.abort_all();
    eventually("nobody waits", || pool.snapshot().waiters == 0).await;
}

#[tokio::test]
async fn an_address_has_at_most_ten_handshakes_at_once() {
    let (now, most, go) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
    let server = FakeTcp::start({
        let (now, most, go) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&go));
        move |mut stream| {
            let (now, most, go) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&go));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                go.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                // It has named itself: it is not asked again.
                let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
                let _ = stream.shutdown().await;
                stream
            }
        }
    })
    .await;
    let pool = dialling_with(DialConfig { connect_timeout: LONG, ..DialConfig::default() });
    let spec = HostSpec::new("box", server.address.ip().to_string(), server.address.port(), "me");
    let mut dials = JoinSet::new();
    for number in 0..25 {
        // One address, whatever the host is called and whoever asks.
        let spec = Arc::new(HostSpec { alias: format!("box{number}"), ..spec.clone() });
        let pool = pool.clone();
        dials.spawn(async move {
            pool.lease(&Principal::new("test", &format!("p{number}")), &spec, &call()).await.map(drop)
        });
    }
    eventually("the first ten are there", || now.load(Ordering::SeqCst) == 10).await;
    go.add_permits(25);
    while let Some(dial) = dials.join_next().await {
        assert_eq!(dial.unwrap().unwrap_err().kind(), ErrorKind::Unreachable);
    }
    assert_eq!((server.accepted(), most.load(Ordering::SeqCst)), (25, 10));
}

#[tokio::test]
async fn who_dials_with_other_known_hosts_uses_no_connection_of_the_same_pool() {
    let world = World::new();
    let _held = world.lease().await;
    let trusts_nobody = DialConfig { known_hosts: Some(Vec::new()), ..DialConfig::default() };
    let other = world.pool.dialling_with(trusts_nobody);
    let error = other.lease(&me(), &world.spec, &call()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownHostKey, "{error}");
    // What one was refused is nobody else's failure, and all count as one pool.
    assert!(world.try_lease().await.is_ok());
    assert_eq!((other.snapshot().dials, other.snapshot()), (2, world.pool.snapshot()));
    other.shutdown().await;
    assert!(world.try_lease().await.is_err(), "its connections are all closed");
}

#[tokio::test]
async fn a_connection_that_comes_back_goes_to_who_has_fewest_however_many_wait_before() {
    let config =
        PoolConfig { max_connections: 2, max_connections_of_principal: 2, idle_timeout: LONG, ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let hosts: Vec<_> = (0..20)
        .map(|number| Arc::new(HostSpec { alias: format!("h{number}"), ..HostSpec::clone(&world.spec) }))
        .collect();
    let [mallory, alice] = ["mallory", "alice"].map(|name| Principal::new("test", name));
    let mut held = Vec::new();
    for host in &hosts[..2] {
        held.push(world.pool.lease(&mallory, host, &seconds(60)).await.unwrap());
    }
    let mut waiting = JoinSet::new();
    for host in &hosts[2..] {
        let (pool, mallory, host) = (world.pool.clone(), mallory.clone(), Arc::clone(host));
        waiting.spawn(async move { pool.lease(&mallory, &host, &seconds(60)).await });
    }
    eventually("they all wait", || world.pool.snapshot().dialing == 18).await;
    let (pool, spec) = (world.pool.clone(), Arc::clone(&world.spec));
    let alices = tokio::spawn(async move { pool.lease(&alice, &spec, &seconds(60)).await });
    eventually("she waits", || world.pool.snapshot().dialing == 19).await;
    assert_eq!(world.pool.snapshot().dials, 2);
    drop(held.pop());
    let lease = alices.await.unwrap().unwrap();
    assert_eq!(world.pool.snapshot().dials, 3, "hers was the first that was dialled");
    drop(lease);
    // Hers went when nobody used it: somebody waits for its place.
    let next = waiting.join_next().await.unwrap().unwrap();
    assert!(next.is_ok());
    waiting.abort_all();
}

#[tokio::test]
async fn a_principal_at_its_share_makes_room_among_its_own_connections_only() {
    let config =
        PoolConfig { max_connections: 4, max_connections_of_principal: 3, idle_timeout: LONG, ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let hosts: Vec<_> = (0..5)
        .map(|number| Arc::new(HostSpec { alias: format!("h{number}"), ..HostSpec::clone(&world.spec) }))
        .collect();
    let [mallory, alice] = ["mallory", "alice"].map(|name| Principal::new("test", name));
    // The one that nobody has used for longest is hers.
    drop(world.pool.lease(&alice, &world.spec, &call()).await.unwrap());
    for host in &hosts[..3] {
        drop(world.pool.lease(&mallory, host, &call()).await.unwrap());
    }
    let is_connected = async |who, host| world.pool.probe(who, host, LONG).await.connected;
    let kept = world.pool.lease(&mallory, &hosts[3], &call()).await.unwrap();
    assert!(is_connected(&alice, &world.spec).await && !is_connected(&mallory, &hosts[0]).await);
    // All three in use, a fourth waits, and what she uses meanwhile stays.
    let _busy = [
        world.pool.lease(&mallory, &hosts[1], &call()).await.unwrap(),
        world.pool.lease(&mallory, &hosts[2], &call()).await.unwrap(),
    ];
    let (pool, host, who) = (world.pool.clone(), Arc::clone(&hosts[4]), mallory.clone());
    let fourth = tokio::spawn(async move { pool.lease(&who, &host, &seconds(60)).await });
    eventually("it waits", || world.pool.snapshot().dialing == 1).await;
    drop(world.pool.lease(&alice, &world.spec, &call()).await.unwrap());
    assert!(is_connected(&alice, &world.spec).await);
    assert_eq!(world.pool.snapshot().dialing, 1);
    drop(kept);
    assert!(fourth.await.unwrap().is_ok());
    assert!(is_connected(&alice, &world.spec).await);
}

#[tokio::test]
async fn the_connection_that_was_used_least_recently_goes_first() {
    let config = PoolConfig { max_connections: 3, idle_timeout: LONG, ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| Principal::new("test", name));
    for who in [&a, &b, &c, &a] {
        drop(world.pool.lease(who, &world.spec, &call()).await.unwrap());
    }
    let connected = async || {
        let mut connected = Vec::new();
        for who in [&a, &b, &c, &d] {
            connected.push(world.pool.probe(who, &world.spec, LONG).await.connected);
        }
        connected
    };
    assert_eq!(connected().await, [true, true, true, false]);
    drop(world.pool.lease(&d, &world.spec, &call()).await.unwrap());
    assert_eq!(connected().await, [true, false, true, true]);
    drop(world.pool.lease(&b, &world.spec, &call()).await.unwrap());
    assert_eq!(connected().await, [true, true, false, true]);
    assert_eq!(world.pool.snapshot().evictions, 2);
}

#[tokio::test]
async fn a_connection_is_replaced_after_its_number_of_channels_and_nobody_notices() {
    let config = PoolConfig { channels_per_connection: 5, ..PoolConfig::default() };
    let world = World::pooled(&SshdOptions::default(), config);
    let lease = world.lease().await;
    let long = request("read x; exit 7");
    let patient = Call::until(tokio::time::Instant::now() + LONG);
    let mut held = Box::pin(lease.exec(&long, &patient));
    assert!(futures_util::poll!(&mut held).is_pending());
    for _ in 0..12 {
        assert_eq!(world.exec("exit 3").await.ending, Ending::Exited(3));
    }
    let dials = world.pool.snapshot().dials;
    assert!((3..=4).contains(&dials), "five channels each for thirteen commands and those ahead: {dials}");
    assert_eq!(held.await.unwrap().ending, Ending::Exited(7), "the first connection went on for those on it");
}

#[tokio::test]
async fn a_host_that_allows_fewer_channels_is_counted() {
    let world = World::with(&SshdOptions { max_sessions: Some(2), ..SshdOptions::default() });
    let lease = world.lease().await;
    assert_eq!(world.pool.snapshot().limited, 0);
    let (script, call) = (request("exit 0"), call());
    futures_util::future::join_all((0..6).map(|_| lease.exec(&script, &call))).await;
    let seen = world.pool.snapshot();
    assert!(seen.limited >= 1 && seen.limited <= seen.ready, "{seen:?}");
}

#[tokio::test]
async fn channels_that_the_server_closes_for_idleness_are_replaced_silently() {
    let extra = vec!["ChannelTimeout session:subsystem:sftp=1s".into(), "UnusedConnectionTimeout 1s".into()];
    let world = World::with(&SshdOptions { extra, ..SshdOptions::default() });
    let lease = world.lease().await;
    for round in 0..2 {
        lease.stat(&remote(b"/"), &call()).await.unwrap();
        assert_eq!(lease.exec(&request("exit 3"), &call()).await.unwrap().ending, Ending::Exited(3));
        eventually("one for SFTP and one ahead", || world.pool.snapshot().channels == 2).await;
        eventually("the server closes the one for SFTP", || world.pool.snapshot().channels == 1).await;
        assert_eq!(world.pool.snapshot().stalls, 0, "{round}");
    }
    assert_eq!(world.pool.snapshot().dials, 1);
}

/// An `sftp-server` that leaves a line for each start.
fn counted_sftp(dir: &Path) -> SshdOptions {
    use std::os::unix::fs::PermissionsExt as _;
    let script = dir.join("sftp");
    let text = format!("#!/bin/sh\necho >> {}\nexec /usr/lib/openssh/sftp-server\n", dir.join("starts").display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let extra = vec![format!("Subsystem sftp {}", script.display())];
    SshdOptions { sftp: Sftp::Absent, max_sessions: Some(1), extra, ..SshdOptions::default() }
}

#[tokio::test]
async fn reads_that_are_cancelled_while_they_wait_for_a_place_start_no_sftp_server() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(&counted_sftp(dir.path()));
    let (lease, begun, go) = (world.lease().await, dir.path().join("begun"), dir.path().join("go"));
    let busy = request(&format!("touch '{}'; until [ -e '{}' ]; do sleep 0.05; done", begun.display(), go.display()));
    let busy = {
        let lease = world.lease().await;
        tokio::spawn(async move { lease.exec(&busy, &call()).await })
    };
    eventually("the only channel is taken", || begun.exists()).await;
    for _ in 0..40 {
        let _ = tokio::time::timeout(Duration::from_millis(20), lease.stat(&remote(b"/"), &call())).await;
    }
    std::fs::write(go, "").unwrap();
    assert_eq!(busy.await.unwrap().unwrap().ending, Ending::Exited(0));
    lease.stat(&remote(b"/"), &call()).await.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("starts")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_start_of_sftp_outlives_whoever_asked_first() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(&SshdOptions { max_sessions: None, ..counted_sftp(dir.path()) });
    let lease = world.lease().await;
    let started = || dir.path().join("starts").exists();
    let (root, call) = (remote(b"/"), call());
    tokio::select! {
        biased;
        () = eventually("it starts", started) => {}
        _ = lease.stat(&root, &call) => {}
    }
    lease.stat(&root, &call).await.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("starts")).unwrap().lines().count(), 1);
}
