//! Files that are sent from one machine to another, as far as a real sshd has a part in it.

use std::fs;
use std::future::ready;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_machine::transfer::{Digest, Done, End, Feed, Inlet, NewFile, Outlet, Received};
use scout_machine::{Errand, ErrorKind, HostError, Machine as _, Operation, Outcome, RemotePath, Within};
use scout_ssh::Host;
use scout_tests::{Sftp, SshdOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{World, call, me};

const MIB: usize = 1 << 20;

/// The world's host, as machines are asked.
fn host(world: &World) -> Host {
    Host { pool: world.pool.clone(), principal: me(), spec: Arc::clone(&world.spec), own_sessions: false }
}

fn remote(path: &Path) -> RemotePath {
    RemotePath::parse(
        fs::canonicalize(path.parent().unwrap()).unwrap().join(path.file_name().unwrap()).as_os_str().as_bytes(),
    )
    .unwrap()
}

async fn ask(host: &Host, errand: Errand) -> Result<Done, HostError> {
    match host.perform(&Operation::Transfer(errand), &Within::default(), &call(), ready(Ok(()))).await? {
        Outcome::Transfer(done) => Ok(done),
        other => panic!("{other:?}"),
    }
}

fn new(size: usize) -> NewFile {
    NewFile { size: size as u64, mode: Some(0o640), replace: false, partial: *b"one source's" }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Receives what `feed` gives.
async fn receive(host: &Host, path: &Path, file: NewFile, feed: impl AsyncFnOnce(Feed)) -> Result<Received, HostError> {
    let (fed, inlet) = Inlet::new();
    let (done, ()) = tokio::join!(ask(host, Errand::Receive { path: remote(path), file, inlet }), feed(fed));
    match done? {
        Done::Received(received) => Ok(received),
        other => panic!("{other:?}"),
    }
}

/// Gives the rest of `content`, then this digest.
async fn give(mut feed: Feed, content: &[u8], digest: Option<Digest>) {
    let Some(offset) = feed.wanted().await else { return };
    feed.writer().write_all(&content[offset as usize..]).await.unwrap();
    feed.finish(End::Whole(digest));
}

/// Gives so many bytes, and no end.
async fn break_off(mut feed: Feed, content: &[u8]) {
    let Some(offset) = feed.wanted().await else { return };
    let rest = content.get(offset as usize..).unwrap_or_default();
    feed.writer().write_all(rest).await.unwrap();
}

fn hidden(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().as_bytes().starts_with(b".scout-")).collect()
}

async fn sha256(host: &Host, path: &Path) -> Option<Digest> {
    match ask(host, Errand::Digest { path: remote(path) }).await.unwrap() {
        Done::Digest(digest) => digest,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_an_interrupted_transfer_has_left_is_gone_on_with() {
    let world = World::new();
    let host = host(&world);
    let (content, dir) = (pattern(5 * MIB), world.sshd.dir().join("in"));
    fs::create_dir(&dir).unwrap();
    let target = dir.join("a");
    fs::write(dir.join("whole"), &content).unwrap();
    let digest = sha256(&host, &dir.join("whole")).await;
    assert!(digest.is_some());
    let broken =
        receive(&host, &target, new(content.len()), async |feed| break_off(feed, &content[..3 * MIB]).await).await;
    let error = broken.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.message().contains("3145728 of 5242880 bytes are there"), "{error}");
    assert!(!target.exists() && hidden(&dir).len() == 1);
    assert_eq!(fs::metadata(&hidden(&dir)[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let received = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, digest).await).await;
    let received = received.unwrap();
    assert_eq!((received.resumed, received.verified), (3 * MIB as u64, true));
    assert_eq!(fs::read(&target).unwrap(), content);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(hidden(&dir).is_empty());
    // What the source does not give for good is not kept for a later try.
    let refused_target = dir.join("b");
    let refused = receive(&host, &refused_target, new(content.len()), async |mut feed| {
        feed.wanted().await;
        feed.writer().write_all(&content[..3 * MIB]).await.unwrap();
        feed.finish(End::Worthless);
    });
    let error = refused.await.unwrap_err();
    assert!(!error.message().contains("are there") && hidden(&dir).is_empty(), "{error}");
    // A little is not worth keeping.
    let little = receive(&host, &dir.join("b"), new(MIB), async |feed| break_off(feed, &content[..1000]).await).await;
    assert!(little.is_err() && hidden(&dir).is_empty());
}

#[tokio::test]
async fn what_is_not_what_was_sent_gets_no_name() {
    let world = World::new();
    let host = host(&world);
    let dir = world.sshd.dir().join("in");
    fs::create_dir(&dir).unwrap();
    let (content, target) = (pattern(2 * MIB), dir.join("a"));
    // A partial file that somebody has changed since.
    let half = &content[..MIB + 1];
    drop(receive(&host, &target, new(content.len()), async |feed| break_off(feed, half).await).await);
    let partial = hidden(&dir).pop().unwrap();
    let mut changed = half.to_vec();
    changed[7] ^= 1;
    fs::write(&partial, changed).unwrap();
    fs::write(dir.join("whole"), &content).unwrap();
    let digest = sha256(&host, &dir.join("whole")).await;
    let error = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, digest).await).await;
    assert!(error.unwrap_err().message().contains("not what was sent"));
    assert!(!target.exists() && hidden(&dir).is_empty());
    // What was there already, and nobody says the SHA-256 of the whole.
    drop(receive(&host, &target, new(content.len()), async |feed| break_off(feed, half).await).await);
    assert_eq!(hidden(&dir).len(), 1);
    let unproven = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, None).await).await;
    assert!(unproven.unwrap_err().message().contains("not proven"));
    assert!(!target.exists() && hidden(&dir).is_empty());
    // Less than was said.
    let less = receive(&host, &target, new(content.len()), async |feed| give(feed, half, None).await).await;
    assert!(less.is_err() && !target.exists() && hidden(&dir).is_empty());
    // What has the name by now stays.
    fs::write(&target, "old").unwrap();
    let there = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, digest).await).await;
    assert!(there.unwrap_err().message().contains("exists already"));
    assert_eq!(fs::read(&target).unwrap(), b"old");
    let replace = NewFile { replace: true, ..new(content.len()) };
    let replaced = receive(&host, &target, replace, async |feed| give(feed, &content, digest).await).await.unwrap();
    assert!(replaced.replaced && fs::read(&target).unwrap() == content);
}

#[tokio::test]
async fn nothing_is_gone_on_with_where_others_may_write() {
    let world = World::new();
    let host = host(&world);
    let dir = world.sshd.dir().join("open");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let (content, target) = (pattern(3 * MIB), dir.join("a"));
    let broken =
        receive(&host, &target, new(content.len()), async |feed| break_off(feed, &content[..2 * MIB]).await).await;
    assert!(!broken.unwrap_err().message().contains("are there"));
    assert!(hidden(&dir).is_empty());
    // A file that waits under the name is not written to.
    let waiting = dir.join(new(0).partial_name());
    fs::write(&waiting, &content[..MIB]).unwrap();
    let received = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, None).await).await;
    assert_eq!(received.unwrap().resumed, 0);
    assert_eq!((fs::read(&target).unwrap(), fs::read(&waiting).unwrap()), (content.clone(), content[..MIB].to_vec()));
    // Nor is a link followed, where nobody else may write either.
    let own = world.sshd.dir().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("victim"), "mine").unwrap();
    symlink("victim", own.join(new(0).partial_name())).unwrap();
    let received =
        receive(&host, &own.join("a"), new(content.len()), async |feed| give(feed, &content, None).await).await;
    assert_eq!(received.unwrap().resumed, 0);
    assert_eq!(fs::read(own.join("victim")).unwrap(), b"mine");
    symlink("victim", own.join("link")).unwrap();
    let replace = NewFile { replace: true, ..new(4) };
    let through = receive(&host, &own.join("link"), replace, async |feed| give(feed, b"evil", None).await).await;
    assert!(through.unwrap_err().message().contains("not written through"));
    assert_eq!(fs::read(own.join("victim")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_by_now_is_neither_read_nor_written() {
    let world = World::new();
    let host = host(&world);
    let dir = fs::canonicalize(world.sshd.dir()).unwrap();
    fs::create_dir(dir.join("real")).unwrap();
    fs::write(dir.join("real/secret"), "secret").unwrap();
    symlink("real", dir.join("in")).unwrap();
    let path = |name: &str| RemotePath::parse(dir.join("in").join(name).as_os_str().as_bytes()).unwrap();
    let (outlet, mut out) = Outlet::new();
    let sent = ask(&host, Errand::Send { path: path("secret"), offset: 0, outlet }).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Outside);
    let mut came = Vec::new();
    out.read_to_end(&mut came).await.unwrap();
    assert!(came.is_empty());
    let (_feed, inlet) = Inlet::new();
    let received = ask(&host, Errand::Receive { path: path("x"), file: new(1), inlet }).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::Outside);
    let made = ask(&host, Errand::MakeDirectory { path: path("d"), mode: 0o755 }).await;
    assert_eq!(made.unwrap_err().kind(), ErrorKind::Outside);
    let digest = ask(&host, Errand::Digest { path: path("secret") }).await;
    assert_eq!(digest.unwrap_err().kind(), ErrorKind::Outside);
    assert_eq!(fs::read_dir(dir.join("real")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_is_sent_also_by_a_host_without_sftp_and_none_is_written_there() {
    for sftp in [Sftp::Internal, Sftp::Absent] {
        let world = World::with(&SshdOptions { sftp, ..SshdOptions::default() });
        let host = host(&world);
        let (content, file) = (pattern(5 * MIB + 3), world.sshd.dir().join("a"));
        fs::write(&file, &content).unwrap();
        for offset in [0, 4 * MIB] {
            let (outlet, mut out) = Outlet::new();
            let mut came = Vec::new();
            let send = ask(&host, Errand::Send { path: remote(&file), offset: offset as u64, outlet });
            let (sent, read) = tokio::join!(send, out.read_to_end(&mut came));
            read.unwrap();
            let Done::Sent(sent, _) = sent.unwrap() else { panic!("not sent") };
            assert!(sent.is_whole(offset as u64));
            assert_eq!(came, content[offset..]);
        }
        assert!(sha256(&host, &file).await.is_some());
        let target = world.sshd.dir().join("b");
        let received = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, None).await).await;
        match sftp {
            Sftp::Absent => assert_eq!(received.unwrap_err().kind(), ErrorKind::Unsupported),
            _ => assert_eq!(received.unwrap().resumed, 0),
        }
    }
}

#[tokio::test]
async fn on_a_host_that_tells_no_digest_a_copy_begins_again() {
    let world =
        World::with(&SshdOptions { extra: vec!["ForceCommand internal-sftp".into()], ..SshdOptions::default() });
    let host = host(&world);
    let dir = world.sshd.dir().join("in");
    fs::create_dir(&dir).unwrap();
    let (content, target) = (pattern(2 * MIB), dir.join("a"));
    let half = &content[..MIB + 1];
    drop(receive(&host, &target, new(content.len()), async |feed| break_off(feed, half).await).await);
    assert_eq!(hidden(&dir).len(), 1);
    let received = receive(&host, &target, new(content.len()), async |feed| give(feed, &content, None).await).await;
    let received = received.unwrap();
    assert_eq!((received.resumed, received.verified), (0, false));
    assert!(fs::read(&target).unwrap() == content && hidden(&dir).is_empty());
}

#[tokio::test]
async fn a_directory_is_made_with_the_mode_that_is_asked_for() {
    let world = World::new();
    let host = host(&world);
    let path = world.sshd.dir().join("d");
    let made = ask(&host, Errand::MakeDirectory { path: remote(&path), mode: 0o700 }).await.unwrap();
    assert!(matches!(made, Done::Made(true)));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
}
