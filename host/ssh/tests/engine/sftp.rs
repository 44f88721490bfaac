//! Files of a real sshd: streams, writing, cancelling, true paths, and hosts without SFTP.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use scout_machine::{Attributes, Call, ErrorKind, HostError, Opened, RemotePath};
use scout_ssh::{Change, Lease, Part, Pool, PoolConfig, Transfer, WriteOptions, Written};
use scout_tests::{DelayLink, Sftp, Sshd, SshdOptions, login_name};
use tokio::io::{AsyncWrite, ReadBuf};

use crate::world::{World, call, eventually, me, remote, spec};

/// Its files.
impl World {
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.sshd.dir().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The names in the server's directory that a write of ours could have left.
    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.sshd.dir()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with(".scout")).collect()
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Bytes without a period that a READ's length could hide.
fn pattern(length: usize) -> Vec<u8> {
    let mut random = Random(7);
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(length);
    out
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

async fn read_to(lease: &Lease, path: &Path, part: Part) -> (Vec<u8>, Transfer) {
    let mut sink = Vec::new();
    let transfer = lease.read_to(&remote(bytes(path)), part, &mut sink, &call()).await.unwrap();
    assert_eq!(transfer.bytes, sink.len() as u64);
    (sink, transfer)
}

async fn write(lease: &Lease, path: &Path, content: &[u8], options: &WriteOptions) -> Result<Written, HostError> {
    lease.write(&remote(bytes(path)), &mut &content[..], options, &call()).await
}

/// A receiver that does something after so many bytes, and goes on.
struct Sink<F> {
    content: Vec<u8>,
    after: usize,
    then: Option<F>,
}

impl<F: FnOnce() + Unpin> AsyncWrite for Sink<F> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        self.content.extend_from_slice(data);
        if self.content.len() >= self.after
            && let Some(then) = self.then.take()
        {
            then();
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The processes below sshd that are SFTP servers, and how many files each has open.
fn sftp_servers(sshd: &Sshd) -> BTreeMap<u32, usize> {
    let mut found = BTreeMap::new();
    let mut left = vec![sshd.pid()];
    while let Some(pid) = left.pop() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        left.extend(children.split_whitespace().map(|word| word.parse::<u32>().unwrap()));
        if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sftp-server")
            && let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd"))
        {
            found.insert(pid, open.count());
        }
    }
    found
}

#[tokio::test]
async fn a_large_file_streams_whole_and_in_order() {
    let world = World::new();
    let content = pattern(20 * 1024 * 1024 + 17);
    let path = world.file("large", &content);
    let (got, transfer) = read_to(&world.lease().await, &path, Part::Whole).await;
    assert!(got == content, "other bytes");
    assert_eq!((transfer.change(), transfer.is_short, transfer.offset), (Change::None, false, 0));
    assert_eq!(transfer.before.size, Some(content.len() as u64));
}

#[tokio::test]
async fn every_part_of_a_file_is_what_was_asked_for() {
    let world = World::new();
    let content = pattern(700_000);
    let path = world.file("f", &content);
    let lease = world.lease().await;
    for (part, from, to, is_short) in [
        (Part::Whole, 0, 700_000, false),
        (Part::Range { offset: 5, length: 300_000 }, 5, 300_005, false),
        (Part::Range { offset: 699_999, length: 50 }, 699_999, 700_000, false),
        (Part::Range { offset: 5, length: 0 }, 5, 5, false),
        (Part::Range { offset: 900_000, length: 10 }, 700_000, 700_000, false),
        (Part::Range { offset: u64::MAX, length: u64::MAX }, 700_000, 700_000, false),
        (Part::From(650_000), 650_000, 700_000, false),
        (Part::Last(1000), 699_000, 700_000, false),
        (Part::Last(u64::MAX), 0, 700_000, false),
        (Part::Last(0), 700_000, 700_000, false),
    ] {
        let (got, transfer) = read_to(&lease, &path, part).await;
        assert!(got == content[from..to], "{part:?}");
        assert_eq!((transfer.is_short, transfer.change()), (is_short, Change::None), "{part:?}");
    }
    let (empty, transfer) = read_to(&lease, &world.file("empty", ""), Part::Whole).await;
    assert_eq!((empty.len(), transfer.change()), (0, Change::None));
}

#[tokio::test]
async fn a_file_of_proc_streams_to_its_end() {
    let world = World::new();
    let (got, transfer) = read_to(&world.lease().await, Path::new("/proc/kallsyms"), Part::Whole).await;
    assert!(got == fs::read("/proc/kallsyms").unwrap(), "other bytes");
    assert_eq!((transfer.before.size, transfer.change()), (Some(0), Change::Unknown));
}

#[tokio::test]
async fn a_file_that_grows_or_shrinks_meanwhile_is_told() {
    let world = World::new();
    let lease = world.lease().await;
    let content = pattern(30 * 1024 * 1024);
    for (length, change, is_short) in [(40 << 20, Change::Grew, false), (10 << 20, Change::Shrank, true)] {
        let path = world.file("f", &content);
        let then = || fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let mut sink = Sink { content: Vec::new(), after: 1, then: Some(then) };
        let transfer = lease.read_to(&remote(bytes(&path)), Part::Whole, &mut sink, &call()).await.unwrap();
        assert_eq!((transfer.change(), transfer.is_short), (change, is_short));
        assert!(sink.content == content[..sink.content.len()], "other bytes");
        assert_eq!(sink.content.len(), if is_short { 10 << 20 } else { content.len() });
    }
}

#[tokio::test]
async fn a_slow_receiver_holds_the_server_back_and_no_neighbour() {
    let world = World::new();
    let path = world.file("large", pattern(64 << 20));
    let small = world.file("small", "text");
    let lease = world.lease().await;
    let link_free = tokio::sync::Notify::new();
    // A pipe of 64 KiB that is read only when the neighbour is through.
    let (mut sink, mut source) = tokio::io::duplex(64 * 1024);
    let mut whole = Vec::new();
    let transfer_call = call();
    let transfer = async {
        let transfer = lease.read_to(&remote(bytes(&path)), Part::Whole, &mut sink, &transfer_call).await.unwrap();
        drop(sink);
        transfer
    };
    let neighbour = async {
        for _ in 0..50 {
            lease.open(&remote(bytes(&small)), 100, 100, &call()).await.unwrap();
        }
        let received = transfer_call.cost.snapshot().remote_bytes;
        assert!(received <= 16 << 20, "{received} bytes came for nobody");
        link_free.notify_one();
    };
    let reader = async {
        link_free.notified().await;
        tokio::io::AsyncReadExt::read_to_end(&mut source, &mut whole).await.unwrap();
    };
    let (transfer, (), ()) = tokio::join!(transfer, neighbour, reader);
    assert_eq!((transfer.bytes, whole.len()), (64 << 20, 64 << 20));
}

#[tokio::test]
async fn a_transfer_goes_on_when_its_server_is_killed() {
    let world = World::new();
    let content = pattern(30 << 20);
    let path = world.file("large", &content);
    let lease = world.lease().await;
    let kill = || {
        for pid in sftp_servers(&world.sshd).into_keys() {
            std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        }
    };
    let mut sink = Sink { content: Vec::new(), after: 5 << 20, then: Some(kill) };
    let transfer = lease.read_to(&remote(bytes(&path)), Part::Whole, &mut sink, &call()).await.unwrap();
    assert!(sink.content == content, "other bytes");
    assert_eq!(transfer.change(), Change::None);
}

#[tokio::test]
async fn a_transfer_of_what_is_no_file_is_refused() {
    let world = World::new();
    let lease = world.lease().await;
    let fifo = world.sshd.dir().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, kind) in [
        (world.sshd.dir().to_owned(), ErrorKind::NotReadable),
        (fifo, ErrorKind::NotReadable),
        ("/dev/zero".into(), ErrorKind::NotReadable),
        (world.sshd.dir().join("absent"), ErrorKind::NotFound),
    ] {
        let error = lease.read_to(&remote(bytes(&path)), Part::Whole, &mut Vec::new(), &call()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(world.pool.snapshot().stalls, 0);
}

#[tokio::test]
async fn the_bulk_channel_ends_with_its_last_user() {
    let world = World::new();
    let path = world.file("f", "text");
    let lease = world.lease().await;
    lease.open(&remote(bytes(&path)), 100, 100, &call()).await.unwrap();
    read_to(&lease, &path, Part::Whole).await;
    eventually("one server is left", || sftp_servers(&world.sshd).len() == 1).await;
}

#[tokio::test]
async fn a_server_with_one_session_serves_transfers_and_the_rest_in_turn() {
    let world = World::with(&SshdOptions { max_sessions: Some(1), ..SshdOptions::default() });
    let path = world.file("f", "text");
    let lease = world.lease().await;
    for _ in 0..3 {
        lease.open(&remote(bytes(&path)), 100, 100, &call()).await.unwrap();
        read_to(&lease, &path, Part::Whole).await;
        write(&lease, &path, b"text", &WriteOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_new_file_is_written_whole_with_what_the_umask_leaves() {
    let world = World::new();
    let lease = world.lease().await;
    // The server has the umask of this process.
    let mode = fs::metadata(world.file("reference", "")).unwrap().mode();
    for length in [0, 1, 65_536, 65_537, 5 << 20] {
        let path = world.sshd.dir().join(format!("new {length}"));
        let content = pattern(length);
        let written = write(&lease, &path, &content, &WriteOptions::default()).await.unwrap();
        assert!(fs::read(&path).unwrap() == content, "other bytes");
        let true_path = fs::canonicalize(&path).unwrap().into_os_string().into_vec();
        let expected = Written { path: true_path, bytes: length as u64, replaced: false, synced: true };
        assert_eq!(written, expected);
        assert_eq!(fs::metadata(&path).unwrap().mode(), mode);
    }
    assert_eq!(world.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_replaced_file_keeps_its_mode_and_owner_and_its_readers_their_content() {
    let world = World::new();
    let lease = world.lease().await;
    let path = world.file("f", "old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    // Only root can give a file away; another account keeps its own.
    if login_name() == "root" {
        std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    let reader = fs::File::open(&path).unwrap();
    let written = write(&lease, &path, b"new", &WriteOptions::default()).await.unwrap();
    assert!(written.replaced);
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(std::io::read_to_string(reader).unwrap(), "old");
    let options = WriteOptions { mode: Some(0o600), ..WriteOptions::default() };
    write(&lease, &path, b"newer", &options).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(world.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_link_stays_and_what_it_leads_to_is_written() {
    let world = World::new();
    let lease = world.lease().await;
    let path = world.file("target", "old");
    let link = world.sshd.dir().join("link");
    symlink("target", &link).unwrap();
    write(&lease, &link, b"new", &WriteOptions::default()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    symlink("absent", world.sshd.dir().join("dangling")).unwrap();
    let error = write(&lease, &world.sshd.dir().join("dangling"), b"", &WriteOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_and_nothing_is_left() {
    let options = SshdOptions { permissions_bind_root: true, ..SshdOptions::default() };
    let world = World::with(&options);
    let lease = world.lease().await;
    let path = world.file("f", "old");
    let locked = world.sshd.dir().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    let keep = WriteOptions { replace: false, ..WriteOptions::default() };
    let replace = WriteOptions::default();
    for (path, options, kind) in [
        (path.clone(), &keep, ErrorKind::Invalid),
        (world.sshd.dir().to_owned(), &replace, ErrorKind::Invalid),
        (world.sshd.dir().join("absent/f"), &replace, ErrorKind::NotFound),
        (path.join("below"), &replace, ErrorKind::NotFound),
        (locked.join("f"), &replace, ErrorKind::Permission),
        ("/dev/null".into(), &replace, ErrorKind::NotReadable),
    ] {
        let error = write(&lease, &path, b"new", options).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}: {error}", path.display());
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(world.leftovers(), [""; 0]);
}

/// Gives so many bytes and then fails.
struct Failing(usize);

impl tokio::io::AsyncRead for Failing {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(std::io::Error::other("torn")));
        }
        let count = self.0.min(buf.remaining());
        buf.put_slice(&vec![b'x'; count]);
        self.0 -= count;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_source_that_fails_leaves_the_target_as_it_was() {
    let world = World::new();
    let lease = world.lease().await;
    let path = world.file("f", "old");
    let result = lease.write(&remote(bytes(&path)), &mut Failing(3 << 20), &WriteOptions::default(), &call()).await;
    assert!(result.unwrap_err().message().contains("torn"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(world.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_write_given_up_at_any_moment_leaves_old_or_new_content_and_no_other_file() {
    let world = World::new();
    let lease = world.lease().await;
    let (old, new) = (pattern(100_000), vec![b'n'; 3 << 20]);
    let path = world.file("f", &old);
    let mut random = Random(11);
    for _ in 0..60 {
        fs::write(&path, &old).unwrap();
        let polls = random.below(80);
        {
            let (target, call, options) = (remote(bytes(&path)), call(), WriteOptions::default());
            let mut source = &new[..];
            let mut writing = std::pin::pin!(lease.write(&target, &mut source, &options, &call));
            for _ in 0..polls {
                if futures_util::poll!(&mut writing).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        let content = fs::read(&path).unwrap();
        assert!(content == old || content == new, "{} bytes", content.len());
    }
    eventually("the temporary files are removed", || world.leftovers().is_empty()).await;
    eventually("the bulk server has ended", || sftp_servers(&world.sshd).len() <= 1).await;
}

#[tokio::test]
async fn cancelled_operations_leave_no_file_open_on_the_host() {
    let world = World::new();
    let lease = world.lease().await;
    let content = pattern(6 << 20);
    let path = world.file("large", &content);
    let small = world.file("small", "text");
    lease.open(&remote(bytes(&small)), 100, 100, &call()).await.unwrap();
    let servers = sftp_servers(&world.sshd);
    assert_eq!(servers.len(), 1);
    let mut random = Random(23);
    for number in 0..200 {
        let (call, options) = (call(), WriteOptions::default());
        let target = world.sshd.dir().join("written");
        let mut sink = Vec::new();
        let mut source = &content[..1 << 20];
        let work: Pin<Box<dyn Future<Output = bool>>> = match number % 5 {
            0 => Box::pin(async { lease.open(&remote(bytes(&path)), 8 << 20, 100, &call).await.is_ok() }),
            1 => Box::pin(async { lease.open(&remote(bytes(world.sshd.dir())), 100, 1000, &call).await.is_ok() }),
            2 => Box::pin(async { lease.read(&remote(bytes(&path)), 1000, 5 << 20, &call).await.is_ok() }),
            3 => Box::pin(async { lease.read_to(&remote(bytes(&path)), Part::Whole, &mut sink, &call).await.is_ok() }),
            _ => Box::pin(async { lease.write(&remote(bytes(&target)), &mut source, &options, &call).await.is_ok() }),
        };
        let mut work = work;
        for _ in 0..random.below(40) {
            if futures_util::poll!(&mut work).is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_micros(random.below(300))).await;
        }
    }
    eventually("every file is closed", || sftp_servers(&world.sshd) == servers).await;
    assert!(world.leftovers().is_empty());
    let Opened::File { content, .. } = lease.open(&remote(bytes(&small)), 100, 100, &call()).await.unwrap() else {
        panic!("not a file");
    };
    assert_eq!(&*content.data, b"text");
    // One for short answers, one for bulk; neither was lost.
    assert_eq!((world.pool.snapshot().dials, world.pool.snapshot().ready), (2, 2));
}

#[tokio::test]
async fn a_home_of_another_account_and_a_file_system_are_known_to_openssh() {
    let world = World::new();
    let lease = world.lease().await;
    assert_eq!(lease.real_path(&remote(b"~root/../"), &call()).await.unwrap(), b"/");
    let error = lease.stat(&remote(b"~no-such-account/x"), &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let file_system = lease.file_system(&remote(bytes(world.sshd.dir())), &call()).await.unwrap();
    let here = rustix::fs::statvfs(world.sshd.dir()).unwrap();
    assert_eq!((file_system.total, file_system.inodes), (here.f_blocks * here.f_frsize, here.f_files));
    assert!(file_system.available <= file_system.free && file_system.free <= file_system.total);
    assert!(!file_system.read_only);
}

#[tokio::test]
async fn what_was_opened_is_told_by_its_true_path_in_one_round_trip() {
    let sshd = Sshd::start();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(10)).await;
    let spec = Arc::new(spec(&sshd, link.address()));
    let lease = Pool::new(PoolConfig::default()).lease(&me(), &spec, &call()).await.unwrap();
    let dir = fs::canonicalize(sshd.dir()).unwrap();
    fs::create_dir(dir.join("inside")).unwrap();
    fs::write(dir.join("secret"), "secret").unwrap();
    symlink("../secret", dir.join("inside/link")).unwrap();
    symlink("inside", dir.join("also")).unwrap();
    fs::write(dir.join("inside/file"), "text").unwrap();
    lease.open(&remote(bytes(&dir)), 100, 100, &call()).await.unwrap();
    for (asked, told) in [("inside/link", "secret"), ("also/file", "inside/file"), ("also/../also", "inside")] {
        link.settle().await;
        let (mark, call) = (link.mark(), call());
        let (opened, path) = lease.open_placed(&remote(bytes(&dir.join(asked))), 100, 100, &call).await.unwrap();
        assert_eq!(path.path, bytes(&dir.join(told)), "{asked}");
        assert!(path.is_proven, "{asked}");
        assert_eq!((link.round_trips_since(&mark), call.cost.snapshot().round_trips), (1, 1), "{asked}");
        match opened {
            Opened::File { content, .. } => assert_eq!(&*content.data, fs::read(dir.join(told)).unwrap()),
            Opened::Directory { entries, truncated, .. } => assert_eq!((entries.len(), truncated), (2, false)),
            Opened::Other { .. } => panic!("{asked} is neither file nor directory"),
        }
    }
    let error = lease.open_placed(&remote(bytes(&dir.join("absent"))), 100, 100, &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let (opened, _) = lease.open_placed(&remote(b"/dev/zero"), 100, 100, &call()).await.unwrap();
    assert!(matches!(opened, Opened::Other { .. }));
}

#[tokio::test]
async fn nobody_who_swaps_a_link_gets_a_file_told_by_another_path() {
    let world = World::new();
    let lease = Arc::new(world.lease().await);
    let dir = fs::canonicalize(world.sshd.dir()).unwrap();
    for name in ["one", "two"] {
        fs::write(dir.join(name), name).unwrap();
    }
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let swapped = dir.clone();
    let swapper = std::thread::spawn(move || {
        for number in 0_u64.. {
            symlink(if number % 2 == 0 { "one" } else { "two" }, swapped.join("new")).unwrap();
            fs::rename(swapped.join("new"), swapped.join("link")).unwrap();
            if stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty) {
                return;
            }
        }
    });
    eventually("the link is there", || dir.join("link").exists()).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let (opened, path) = lease.open_placed(&remote(bytes(&dir.join("link"))), 100, 100, &call()).await.unwrap();
        let Opened::File { content, .. } = opened else { panic!("not a file") };
        assert!(path.is_proven);
        assert_eq!(path.path, [bytes(&dir), b"/", &content.data].concat());
        seen.insert(path.path);
    }
    drop(stop);
    swapper.join().unwrap();
    assert_eq!(seen.len(), 2, "both were seen");
}

/// Without the access time, which reading changes, and the number of links, which SFTP does not tell.
fn common(attributes: Attributes) -> Attributes {
    Attributes { atime: None, links: None, ..attributes }
}

/// What a host says of a path.
async fn described(lease: &Lease, path: &RemotePath) -> String {
    let opened = lease.open(path, 1000, 50, &call()).await.map(|opened| match opened {
        Opened::File { attributes, content } => format!("file {:?} {content:?}", common(attributes)),
        Opened::Directory { attributes, mut entries, truncated } => {
            // A directory's order is the file system's, and two readers may see two.
            entries.sort_by(|left, right| left.name.cmp(&right.name));
            entries.iter_mut().for_each(|entry| entry.attributes = common(entry.attributes));
            let entries = if truncated { Vec::new() } else { entries };
            format!("directory {:?} {entries:?} {truncated}", common(attributes))
        }
        Opened::Other { attributes } => format!("other {:?}", attributes.kind()),
    });
    let read = lease.read(path, 3, 4, &call()).await.map(|(_, content)| content);
    let kind = lease.stat(path, &call()).await.map(|attributes| (attributes.permissions, attributes.size));
    let told = |error: &HostError| format!("{:?} {}", error.kind(), error.message());
    format!(
        "open {:?}\nread {:?}\nstat {:?}",
        opened.map_err(|error| told(&error)),
        read.map_err(|error| told(&error)),
        kind.map_err(|error| told(&error))
    )
}

#[tokio::test]
async fn a_host_without_sftp_says_the_same_as_one_with_it() {
    let bound = SshdOptions { permissions_bind_root: true, ..SshdOptions::default() };
    let with = World::with(&bound);
    let absent = SshdOptions { sftp: Sftp::Absent, ..bound.clone() };
    let ends = SshdOptions { extra: vec!["Subsystem sftp /bin/false".into()], ..absent.clone() };
    let prints = SshdOptions { extra: vec!["Subsystem sftp /bin/echo hello".into()], ..absent.clone() };
    let dir = with.sshd.dir().to_owned();
    with.file("text", "0123456789");
    with.file("empty", "");
    with.file("long", pattern(5000));
    with.file(" -n a\\b'\"$(x)`y`*?!\t", "odd");
    let raw = dir.join(std::ffi::OsString::from_vec(b"raw\xff\xfe\n\n".to_vec()));
    fs::write(&raw, b"\0\xff\n").unwrap();
    for (name, mode) in [("locked", 0o000), ("locked dir", 0o000), ("unlisted", 0o311)] {
        let path = dir.join(name);
        if name == "locked" {
            fs::write(&path, "x").unwrap()
        } else {
            fs::create_dir(&path).unwrap()
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("text", dir.join("link")).unwrap();
    symlink("absent", dir.join("dangling")).unwrap();
    symlink("loop", dir.join("loop")).unwrap();
    fs::create_dir(dir.join("many")).unwrap();
    (0..60).for_each(|number| fs::write(dir.join("many").join(number.to_string()), "").unwrap());
    fs::create_dir(dir.join("odd names")).unwrap();
    for name in [&b"a\nb"[..], b"-x", b".hidden", b"\xff", b" ", b"..."] {
        fs::write(dir.join("odd names").join(std::ffi::OsString::from_vec(name.to_vec())), "1").unwrap();
    }
    let mut paths: Vec<Vec<u8>> =
        ["text", "empty", "long", "link", "dangling", "loop", "locked", "locked dir", "unlisted"]
            .iter()
            .chain(&[
                "many",
                "odd names",
                "absent",
                "text/below",
                "locked dir/x",
                " -n a\\b'\"$(x)`y`*?!\t",
                "text/",
                ".",
            ])
            .map(|name| bytes(&dir.join(name)).to_vec())
            .collect();
    paths.push(bytes(&raw).to_vec());
    paths.extend([&b"/dev/null"[..], b"/proc/version", b"~no-such-account/x"].map(Vec::from));
    let over_sftp = with.lease().await;
    for options in [absent, ends, prints] {
        let without = World::with(&options);
        let lease = without.lease().await;
        for path in &paths {
            let path = remote(path);
            let told = described(&over_sftp, &path).await;
            assert_eq!(described(&lease, &path).await, told, "{path:?} with {options:?}");
        }
        // What lies there may change at any moment.
        for path in [&b""[..], b"~", b"~/", b"~root/..", b"/"] {
            let kind = async |lease: &Lease| lease.stat(&remote(path), &call()).await.unwrap().permissions;
            assert_eq!(kind(&lease).await, kind(&over_sftp).await);
        }
        let (content, transfer) = read_to(&lease, &dir.join("long"), Part::Last(4000)).await;
        assert!(content == pattern(5000)[1000..]);
        assert_eq!(transfer.change(), Change::None);
        let error = write(&lease, &dir.join("text"), b"new", &WriteOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn a_host_without_sftp_is_read_in_one_round_trip_and_asked_for_sftp_once() {
    let sshd = Sshd::start_with(&SshdOptions { sftp: Sftp::Absent, ..SshdOptions::default() });
    let path = sshd.dir().join("f");
    fs::write(&path, "text").unwrap();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let spec = Arc::new(spec(&sshd, link.address()));
    let pool = Pool::new(PoolConfig::default());
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    lease.stat(&remote(bytes(&path)), &call()).await.unwrap();
    for _ in 0..3 {
        link.settle().await;
        let (mark, call) = (link.mark(), call());
        lease.open(&remote(bytes(&path)), 100, 100, &call).await.unwrap();
        assert_eq!((link.round_trips_since(&mark), call.cost.snapshot().round_trips), (1, 1));
    }
    let asked = sshd.log().iter().filter(|line| line.contains("subsystem request for sftp")).count();
    assert!(asked <= 1, "asked {asked} times");
}

#[tokio::test]
async fn a_host_with_neither_sftp_nor_commands_is_unsupported() {
    let extra = vec!["ForceCommand /bin/false".into()];
    let world = World::with(&SshdOptions { sftp: Sftp::Absent, extra, ..SshdOptions::default() });
    let error = world.lease().await.stat(&remote(b"/"), &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("SFTP"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_killed_when_all_who_asked_have_gone() {
    let world = World::new();
    let lease = world.lease().await;
    let fifo = world.sshd.dir().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    lease.open(&remote(b"."), 100, 100, &call()).await.unwrap();
    let before = sftp_servers(&world.sshd);
    let short = Call::until(tokio::time::Instant::now() + Duration::from_millis(200));
    let error = lease.open(&remote(bytes(&fifo)), 100, 100, &short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    eventually("the server is gone", || sftp_servers(&world.sshd).keys().ne(before.keys())).await;
    assert_eq!(world.pool.snapshot().stalls, 1);
    lease.open(&remote(b"."), 100, 100, &call()).await.unwrap();
    assert_eq!(world.pool.snapshot().dials, 1);
}

#[tokio::test]
async fn a_server_inside_sshd_does_all_the_same() {
    let world = World::with(&SshdOptions { sftp: Sftp::Internal, ..SshdOptions::default() });
    let lease = world.lease().await;
    let content = pattern(3 << 20);
    let path = fs::canonicalize(world.sshd.dir()).unwrap().join("f");
    write(&lease, &path, &content, &WriteOptions::default()).await.unwrap();
    assert!(read_to(&lease, &path, Part::Whole).await.0 == content, "other bytes");
    symlink("f", world.sshd.dir().join("link")).unwrap();
    let link = world.sshd.dir().join("link");
    let (_, told) = lease.open_placed(&remote(bytes(&link)), 100, 100, &call()).await.unwrap();
    assert_eq!(told.path, bytes(&path));
    assert!(told.is_proven);
}
