//! sshd 9.8 and newer locks an address out that comes too often without logging in: nothing that Scout does by itself, nor
//! whatever clients ask it for, brings a server to that.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use scout_machine::{Call, ErrorKind, HostError, Principal};
use scout_ssh::{HostSpec, Lease, Pool, PoolConfig};
use scout_tests::{Sshd, SshdOptions, generate_key, login_name, newer_openssh};
use tokio::time::Instant;

use crate::world::eventually;

/// A server that adds up, and says so.
fn server(extra: &[&str]) -> Sshd {
    let extra = extra.iter().map(|line| (*line).to_owned()).collect();
    let options = SshdOptions { counts_penalties: true, is_verbose: true, extra, ..SshdOptions::default() };
    Sshd::start_with(&SshdOptions { openssh: Some(newer_openssh()), ..options })
}

fn good(sshd: &Sshd, alias: &str) -> HostSpec {
    let known_hosts = sshd.dir().join("known_hosts");
    fs::write(&known_hosts, sshd.known_hosts_line(sshd.address())).unwrap();
    HostSpec {
        identity_files: vec![sshd.user_key().private.clone()],
        user_known_hosts_files: vec![known_hosts],
        ..HostSpec::new(alias, "127.0.0.1", sshd.address().port(), login_name())
    }
}

async fn lease(pool: &Pool, spec: &Arc<HostSpec>, limit: Duration) -> Result<Lease, HostError> {
    pool.lease(&Principal::new("test", "me"), spec, &Call::until(Instant::now() + limit)).await
}

/// How often the server has decided to turn an address away, and has done so.
fn locks(sshd: &Sshd) -> usize {
    // What MaxStartups turns away is at a busy moment asked again, and is no penalty.
    let is_drop = |line: &str| line.contains("drop connection #") && !line.to_lowercase().contains("maxstartups");
    let is_lock = |line: &&String| line.contains("activating") || is_drop(line);
    sshd.log().iter().filter(is_lock).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_hour_asks_of_a_machine_locks_nobody_out() {
    let sshd = server(&[]);
    let pool = Pool::new(PoolConfig::default());
    let minute = Duration::from_secs(60);
    let works = Arc::new(good(&sshd, "works"));
    drop(lease(&pool, &works, minute).await.unwrap());
    // The listing of a machine with eighteen names, called as often as an hour calls it.
    let aliases: Vec<_> = (0..18).map(|number| Arc::new(good(&sshd, &format!("alias{number}")))).collect();
    for _ in 0..120 {
        let me = Principal::new("test", "me");
        let probes = join_all(aliases.iter().map(|spec| pool.probe(&me, spec, minute))).await;
        assert!(probes.iter().all(|probe| probe.latency.is_ok()), "{probes:?}");
    }
    assert_eq!(pool.snapshot().probes, 1, "and one alone is asked about the address");
    assert!(pool.probe(&Principal::new("test", "me"), &works, minute).await.connected);
    assert_eq!(pool.snapshot().probes, 1, "and none where a connection is ready");
    // The same by the command line, each call a process.
    let seen = Some(sshd.dir().join("seen"));
    let processes: Vec<_> =
        (0..18).map(|_| Pool::new(PoolConfig { seen: seen.clone(), ..PoolConfig::default() })).collect();
    let me = Principal::new("test", "me");
    let probes = join_all(processes.iter().map(|pool| pool.probe(&me, &works, minute))).await;
    assert!(probes.iter().all(|probe| probe.latency.is_ok()), "{probes:?}");
    assert_eq!(processes.iter().map(|pool| pool.snapshot().probes).sum::<u64>(), 1);
    // Reads of a host whose key is not known.
    let empty = sshd.dir().join("empty");
    fs::write(&empty, "").unwrap();
    let unknown = Arc::new(HostSpec { user_known_hosts_files: vec![empty.clone()], ..good(&sshd, "unknown") });
    let dials = pool.snapshot().dials;
    for read in 0..200 {
        let error = lease(&pool, &unknown, minute).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownHostKey, "{error}");
        assert_eq!(error.message().contains("known_hosts has not changed"), read > 0, "{error}");
    }
    assert_eq!(pool.snapshot().dials, dials + 1);
    fs::copy(sshd.dir().join("known_hosts"), empty).unwrap();
    drop(lease(&pool, &unknown, minute).await.unwrap());
    // Logins that are refused: of one name again and again, and of many names of one machine at once.
    let stranger = generate_key(sshd.dir(), "stranger").private;
    let refused = |spec: &HostSpec| Arc::new(HostSpec { identity_files: vec![stranger.clone()], ..spec.clone() });
    let aliases: Vec<_> = aliases.iter().map(|spec| refused(spec)).collect();
    for _ in 0..5 {
        let errors = join_all(aliases.iter().map(|spec| lease(&pool, spec, Duration::from_millis(300)))).await;
        for error in errors.into_iter().map(|lease| lease.map(|_| ()).unwrap_err()) {
            assert!(matches!(error.kind(), ErrorKind::Auth | ErrorKind::Timeout), "{error}");
        }
    }
    // Another process: it knows nothing of all that, and is let in.
    let other = Pool::new(PoolConfig::default());
    drop(lease(&other, &works, minute).await.unwrap());
    assert_eq!(locks(&sshd), 0, "{:#?}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_locked_us_out_is_left_alone_and_the_first_reason_is_kept() {
    let sshd = server(&["PerSourcePenalties authfail:60"]);
    let pool = Pool::new(PoolConfig::default());
    let minute = Duration::from_secs(60);
    let stranger = generate_key(sshd.dir(), "stranger").private;
    let refused = Arc::new(HostSpec { identity_files: vec![stranger], ..good(&sshd, "refused") });
    let first = lease(&pool, &refused, minute).await.map(|_| ()).unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Auth, "{first}");
    // It adds up when it hears of the end.
    eventually("the penalty counts", || sshd.log().iter().any(|line| line.contains("penalty of 60 seconds"))).await;
    let works = Arc::new(good(&sshd, "works"));
    for _ in 0..50 {
        let error = lease(&pool, &works, minute).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        for told in ["Not allowed at this time", "16 s to 10 min", "what came before: refused: "] {
            assert!(error.message().contains(told), "{told}: {error}");
        }
        assert!(error.hint().is_some_and(|hint| hint.contains("PerSourcePenaltyExemptList")), "{error:?}");
    }
    let again = lease(&pool, &refused, minute).await.map(|_| ()).unwrap_err();
    assert!(again.kind() == ErrorKind::Auth && again.message().contains("tried a moment ago"), "{again}");
    // What the server has logged comes by another way, later.
    assert_eq!(pool.snapshot().dials, 2, "one for each name");
    let dropped = || sshd.log().iter().filter(|line| line.contains("drop connection #")).count();
    eventually("it is told", || dropped() > 0).await;
    assert_eq!(dropped(), 1, "{:#?}", sshd.log());
}
