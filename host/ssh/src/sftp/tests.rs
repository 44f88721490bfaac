//! The client against OpenSSH's own sftp-server, and against servers that behave otherwise.

#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use scout_machine::{Call, ErrorKind, HostError, Opened, RemotePath};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, join};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::wire::{self, MAX_PACKET};
use super::{Change, Download, Part, SftpChannel, SftpError, Transfer, WriteError, WriteOptions, Written};

const STALL: Duration = Duration::from_secs(2);

fn call() -> Call {
    Call::until(Instant::now() + Duration::from_secs(60))
}

/// OpenSSH's server as a child; it ends with its pipes.
async fn openssh() -> (SftpChannel, Child) {
    let mut child = Command::new("/usr/lib/openssh/sftp-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("sftp-server is installed");
    let stream = join(child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
    (SftpChannel::start(stream, STALL, Arc::default()).await.expect("it greets"), child)
}

fn remote(path: impl AsRef<[u8]>) -> RemotePath {
    RemotePath::parse(path).expect("a path")
}

fn ssh(error: SftpError) -> HostError {
    match error {
        SftpError::Ssh(error) => error,
        other => panic!("{other:?}"),
    }
}

async fn open(channel: &SftpChannel, path: &Path, cap: usize, call: &Call) -> Result<Opened, SftpError> {
    channel.open(&remote(path.as_os_str().as_bytes()), 0, cap, 10_000, call).await.map(|(opened, _)| opened)
}

async fn content(channel: &SftpChannel, path: &Path, cap: usize) -> (Bytes, bool, Option<u64>) {
    match open(channel, path, cap, &call()).await {
        Ok(Opened::File { content, .. }) => (content.data, content.truncated, content.total),
        other => panic!("{other:?}"),
    }
}

async fn entries(channel: &SftpChannel, path: &Path, max: usize) -> (usize, bool) {
    match channel.open(&remote(path.as_os_str().as_bytes()), 0, 1024, max, &call()).await {
        Ok((Opened::Directory { entries, truncated, .. }, _)) => {
            let names: HashSet<_> = entries.iter().map(|entry| entry.name.clone()).collect();
            assert_eq!(names.len(), entries.len(), "a name came twice");
            (entries.len(), truncated)
        }
        other => panic!("{other:?}"),
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index / 1000 % 251).expect("small")).collect()
}

fn directory(of: usize) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for index in 0..of {
        fs::write(directory.path().join(format!("file {index}")), "").expect("written");
    }
    directory
}

fn fifo(directory: &TempDir) -> std::path::PathBuf {
    let path = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    path
}

#[tokio::test]
async fn a_small_file_is_one_round_trip() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join("a");
    fs::write(&path, "hello").expect("written");
    for _ in 0..2 {
        let call = call();
        let Ok(Opened::File { content, attributes }) = open(&channel, &path, 1024, &call).await else {
            panic!("not a file");
        };
        assert_eq!((&content.data[..], content.truncated, content.total), (&b"hello"[..], false, Some(5)));
        assert_eq!(attributes.size, Some(5));
        assert_eq!((call.cost.snapshot().round_trips, call.cost.snapshot().remote_bytes), (1, 5));
    }
}

#[tokio::test]
async fn a_mebibyte_arrives_whole() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join("a");
    let text = pattern(1024 * 1024 + 17);
    fs::write(&path, &text).expect("written");
    let call = call();
    let Ok(Opened::File { content, .. }) = open(&channel, &path, 1 << 21, &call).await else { panic!("not a file") };
    assert!(content.data == text, "other bytes");
    assert_eq!((content.truncated, content.total), (false, Some(text.len() as u64)));
    assert_eq!(call.cost.snapshot().round_trips, 1);
}

#[tokio::test]
async fn a_file_of_several_flights_arrives_whole() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join("a");
    let text = pattern(5 * 1024 * 1024 + 3);
    fs::write(&path, &text).expect("written");
    let (data, truncated, total) = content(&channel, &path, 8 << 20).await;
    assert!(data == text, "other bytes");
    assert_eq!((truncated, total), (false, Some(text.len() as u64)));
}

#[tokio::test]
async fn no_more_than_the_cap_crosses_the_wire() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join("a");
    fs::write(&path, pattern(1 << 20)).expect("written");
    for cap in [0, 1, 1000, 300_000] {
        let call = call();
        let Ok(Opened::File { content, .. }) = open(&channel, &path, cap, &call).await else { panic!("not a file") };
        assert_eq!((content.data.len(), content.truncated, content.total), (cap, true, Some(1 << 20)));
        assert!(call.cost.snapshot().remote_bytes <= cap.max(1) as u64);
    }
}

#[tokio::test]
async fn a_cap_of_just_the_size_is_not_truncated() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join("a");
    fs::write(&path, "hello").expect("written");
    assert_eq!(content(&channel, &path, 5).await, (Bytes::from_static(b"hello"), false, Some(5)));
    fs::write(&path, "").expect("written");
    assert_eq!(content(&channel, &path, 5).await, (Bytes::new(), false, Some(0)));
    assert_eq!(content(&channel, &path, 0).await, (Bytes::new(), false, Some(0)));
}

#[tokio::test]
async fn a_file_of_proc_is_read_to_its_end() {
    let (channel, _server) = openssh().await;
    let path = Path::new("/proc/version");
    let text = fs::read(path).expect("Linux");
    assert_eq!(content(&channel, path, 4096).await, (text.clone().into(), false, Some(text.len() as u64)));
    assert_eq!(content(&channel, path, text.len()).await, (text.clone().into(), false, Some(text.len() as u64)));
    assert_eq!(content(&channel, path, 10).await, (Bytes::copy_from_slice(&text[..10]), true, None));
}

#[tokio::test]
async fn a_file_of_proc_longer_than_a_page_arrives_whole() {
    let (channel, _server) = openssh().await;
    let path = Path::new("/proc/kallsyms");
    let call = call();
    let Ok(Opened::File { content, .. }) = open(&channel, path, 300_000, &call).await else { panic!("not a file") };
    let mut text = fs::read(path).expect("Linux");
    let truncated = text.len() > 300_000;
    text.truncate(300_000);
    assert_eq!(content.data.len(), text.len());
    assert_eq!(content.truncated, truncated);
    assert!(call.cost.snapshot().round_trips < 20, "{:?}", call.cost.snapshot());
}

#[tokio::test]
async fn a_directory_is_listed_whatever_its_size() {
    let (channel, _server) = openssh().await;
    for count in [0, 3, 99, 200, 201, 500] {
        assert_eq!(entries(&channel, directory(count).path(), 10_000).await, (count, false));
    }
}

#[tokio::test]
async fn a_short_listing_is_one_round_trip() {
    let (channel, _server) = openssh().await;
    let directory = directory(3);
    let call = call();
    open(&channel, directory.path(), 10, &call).await.expect("listed");
    assert_eq!(call.cost.snapshot().round_trips, 1);
}

#[tokio::test]
async fn a_listing_stops_at_its_limit() {
    let (channel, _server) = openssh().await;
    let directory = directory(500);
    assert_eq!(entries(&channel, directory.path(), 2).await, (2, true));
    assert_eq!(entries(&channel, directory.path(), 400).await, (400, true));
    assert_eq!(entries(&channel, directory.path(), 500).await, (500, false));
}

#[tokio::test]
async fn what_is_missing_is_not_found_and_named() {
    let (channel, _server) = openssh().await;
    let error = ssh(open(&channel, Path::new("/no/such\u{1b}[2J"), 10, &call()).await.expect_err("missing"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "no such file or directory: `/no/such\\u{1b}[2J`");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_named_too() {
    // As root nothing is forbidden, so the status comes from a fake server.
    let fake = Fake { status: Some(3), ..Fake::default() };
    let channel = fake.start().await;
    let error = ssh(open(&channel, Path::new("/secret"), 10, &call()).await.expect_err("forbidden"));
    assert_eq!((error.kind(), error.message()), (ErrorKind::Permission, "permission denied: `/secret`"));
}

#[tokio::test]
async fn a_device_is_not_opened() {
    let (channel, _server) = openssh().await;
    for path in ["/dev/zero", "/tmp/..//dev/./zero"] {
        let call = call();
        assert!(matches!(open(&channel, Path::new(path), 1 << 20, &call).await, Ok(Opened::Other { .. })));
        assert_eq!(call.cost.snapshot().remote_bytes, 0);
    }
}

#[tokio::test]
async fn names_need_not_be_text() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join(std::ffi::OsString::from_vec(b"\xff\xfe".to_vec()));
    fs::write(&path, "x").expect("written");
    assert_eq!(content(&channel, &path, 10).await.0, "x");
    let Ok(Opened::Directory { entries, .. }) = open(&channel, directory.path(), 10, &call()).await else {
        panic!("not a directory");
    };
    assert_eq!(entries[0].name, b"\xff\xfe");
}

#[tokio::test]
async fn fifty_at_once_get_each_their_own_answer() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    for index in (0..50).filter(|index| index % 6 != 0) {
        fs::write(directory.path().join(index.to_string()), format!("content {index}")).expect("written");
    }
    let opens = (0..50).map(|index| {
        let (channel, path) = (channel.clone(), directory.path().join(index.to_string()));
        async move {
            let call = call();
            let result = open(&channel, &path, 1024, &call).await;
            assert_eq!(call.cost.snapshot().round_trips, 1);
            match result {
                Ok(Opened::File { content, .. }) => assert_eq!(content.data, format!("content {index}")),
                Err(SftpError::Ssh(error)) if index % 6 == 0 => assert_eq!(error.kind(), ErrorKind::NotFound),
                other => panic!("{other:?}"),
            }
        }
    });
    futures_util::future::join_all(opens).await;
}

#[tokio::test]
async fn a_fifo_stalls_its_channel_and_only_its_reader_is_to_blame() {
    let (channel, _server) = openssh().await;
    let directory = directory(1);
    let fifo = fifo(&directory);
    open(&channel, directory.path(), 10, &call()).await.expect("the probe");
    let (first, second) = (call(), call());
    let neighbour = directory.path().join("file 0");
    let (culprit, innocent) =
        tokio::join!(biased; open(&channel, &fifo, 10, &first), open(&channel, &neighbour, 10, &second));
    assert!(matches!(culprit, Err(SftpError::Stalled { culprit: true })), "{culprit:?}");
    assert!(matches!(innocent, Err(SftpError::Stalled { culprit: false })), "{innocent:?}");
    assert!(channel.is_closed());
    assert!(matches!(channel.stat(&remote(b"/"), &call()).await, Err(SftpError::Closed)));
}

#[tokio::test]
async fn a_part_is_read_from_its_offset() {
    let (channel, _server) = openssh().await;
    let directory = directory(0);
    let path = directory.path().join("a");
    fs::write(&path, "0123456789").expect("written");
    let path = remote(path.as_os_str().as_bytes());
    for (offset, length, data, truncated) in [(3, 4, "3456", true), (8, 4, "89", false), (20, 4, "", false)] {
        let (attributes, part, _) = channel.read(&path, offset, length, &call()).await.expect("read");
        assert_eq!(attributes.size, Some(10));
        assert_eq!((&part.data[..], part.truncated, part.total), (data.as_bytes(), truncated, Some(10)));
    }
    let error = ssh(channel.read(&remote(b"/tmp"), 0, 1, &call()).await.expect_err("a directory"));
    assert_eq!(error.kind(), ErrorKind::NotReadable);
}

#[tokio::test]
async fn home_is_where_the_server_starts() {
    let (channel, _server) = openssh().await;
    for path in [&b""[..], b"~", b"~/", b"~//Cargo.toml", b"Cargo.toml"] {
        assert!(channel.stat(&remote(path), &call()).await.is_ok(), "{path:?}");
    }
    assert!(channel.stat(&remote(b"~root/.."), &call()).await.is_ok());
    let bare = Fake::default().start().await;
    let error = ssh(bare.stat(&remote(b"~root/x"), &call()).await.expect_err("another's home"));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// A server in memory with one file `/f`, one directory `/d` of `names` entries and its own ways.
#[derive(Clone, Default)]
struct Fake {
    /// Printed before the greeting.
    noise: Vec<u8>,
    /// Handles are `h1`, `h2`, … and never used again.
    own_handles: bool,
    /// The first ones are as guessed all the same.
    guessed_at_first: usize,
    /// What `/f` holds.
    file: Bytes,
    names: usize,
    /// A READ answers no more than that; 0 is no limit.
    read_limit: usize,
    /// Answers everything with this status.
    status: Option<u32>,
    /// Sends this instead of the answer number `.0`, and ends.
    instead: Option<(usize, Vec<u8>)>,
    /// Answers nothing.
    mute: bool,
    /// Answers no CLOSE.
    never_closes: bool,
    /// From this seed on, answers are changed at random; 0 is never.
    mutations: u64,
    /// Refuses the WRITE of this number with this status and text.
    full_at: Option<(usize, u32, &'static str)>,
    /// What the greeting announces, as names and versions.
    extensions: Vec<(&'static str, &'static str)>,
    /// What `limits@openssh.com` answers to: a READ, a WRITE.
    limits: (u64, u64),
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    bursts: usize,
    open: HashSet<Vec<u8>>,
    opened: usize,
    /// The longest READ and WRITE.
    longest: (usize, usize),
    writes: usize,
    /// What the file that is being written holds.
    written: Vec<u8>,
    /// Names given and taken, in order.
    renamed: Vec<String>,
}

impl Fake {
    async fn start(&self) -> SftpChannel {
        self.try_start().await.expect("it greets")
    }

    async fn try_start(&self) -> Result<SftpChannel, SftpError> {
        let (client, server) = duplex(1 << 20);
        tokio::spawn(self.clone().serve(server));
        SftpChannel::start(client, STALL, Arc::default()).await
    }

    async fn serve(self, mut stream: DuplexStream) {
        let mut init = [0; 9];
        stream.read_exact(&mut init).await.expect("INIT");
        stream.write_all(&self.noise).await.expect("written");
        let mut greeting = BytesMut::from(&b"\x02\0\0\0\x03"[..]);
        for text in self.extensions.iter().flat_map(|(name, version)| [name, version]) {
            greeting.put_u32(u32::try_from(text.len()).expect("short"));
            greeting.put_slice(text.as_bytes());
        }
        stream.write_u32(u32::try_from(greeting.len()).expect("short")).await.expect("written");
        stream.write_all(&greeting).await.expect("written");
        let mut buffer = BytesMut::new();
        let mut answered = 0;
        let mut at = 0;
        let mut random = Random(self.mutations);
        loop {
            // Room for a whole flight, so that one read is one write of the client.
            buffer.reserve(1 << 16);
            let Ok(1..) = stream.read_buf(&mut buffer).await else { return };
            self.log.lock().expect("unpoisoned").bursts += 1;
            while let Ok(Some(packet)) = wire::take_packet(&mut buffer) {
                if self.mute || self.never_closes && packet.first() == Some(&4) {
                    continue;
                }
                let reply = match &self.instead {
                    Some((number, bytes)) if *number == answered => {
                        stream.write_all(bytes).await.ok();
                        return;
                    }
                    _ => self.answer(packet, &mut at),
                };
                let mut reply = reply.to_vec();
                if self.mutations > 0 && random.below(8) == 0 {
                    random.mutate(&mut reply);
                }
                answered += 1;
                if stream.write_all(&reply).await.is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, packet: Bytes, at: &mut usize) -> Bytes {
        let (kind, id, mut rest) = wire::head(packet).expect("a request");
        let length = rest.get_u32() as usize;
        let text = rest.split_to(length);
        let mut log = self.log.lock().expect("unpoisoned");
        let status = |code: u32| (101, code.to_be_bytes().to_vec());
        let (kind, body) = match (kind, &text[..]) {
            _ if self.status.is_some() => status(self.status.unwrap_or_default()),
            (17 | 7, b"/f") => file_attributes(self.file.len()),
            (8, b"w") => file_attributes(log.written.len()),
            (8, handle) if log.open.contains(handle) => file_attributes(self.file.len()),
            (16, b"/f" | b"/new") => {
                let mut body = BytesMut::from(&b"\0\0\0\x01"[..]);
                for _ in 0..2 {
                    body.put_u32(u32::try_from(text.len()).expect("short"));
                    body.put_slice(&text);
                }
                body.put_u32(0);
                (104, body.to_vec())
            }
            (3, name) if name.starts_with(b"/.scout-") => {
                log.open.insert(b"w".to_vec());
                log.written.clear();
                (102, b"\0\0\0\x01w".to_vec())
            }
            (6, b"w") => {
                let offset = usize::try_from(rest.get_u64()).expect("small");
                let data = rest.split_off(4);
                log.longest.1 = log.longest.1.max(data.len());
                log.writes += 1;
                match self.full_at {
                    Some((at, code, text)) if log.writes > at => {
                        let mut body = BytesMut::new();
                        body.put_u32(code);
                        for text in [text, "en"] {
                            body.put_u32(u32::try_from(text.len()).expect("short"));
                            body.put_slice(text.as_bytes());
                        }
                        (101, body.to_vec())
                    }
                    _ => {
                        assert_eq!(offset, log.written.len(), "in order");
                        log.written.extend_from_slice(&data);
                        status(0)
                    }
                }
            }
            (10, b"w") => status(0),
            (13, name) => {
                log.renamed.push(format!("remove {}", String::from_utf8_lossy(name).get(..8).unwrap_or_default()));
                status(0)
            }
            (18, _) => {
                log.renamed.push("rename".to_owned());
                status(0)
            }
            (200, b"posix-rename@openssh.com") => {
                log.renamed.push("posix-rename".to_owned());
                status(0)
            }
            (200, b"limits@openssh.com") => {
                let (read, write) = self.limits;
                (201, [1 << 18, read, write, 100].map(u64::to_be_bytes).concat())
            }
            (17 | 7, b"/d") => (105, [4_u32.to_be_bytes(), 0o040_755_u32.to_be_bytes()].concat()),
            (3, b"/f") | (11, b"/d") => {
                log.opened += 1;
                *at = 0;
                let own = self.own_handles && log.opened > self.guessed_at_first;
                let handle = if own { format!("h{}", log.opened).into_bytes() } else { vec![0; 4] };
                log.open.insert(handle.clone());
                let mut body = u32::try_from(handle.len()).expect("short").to_be_bytes().to_vec();
                body.extend(handle);
                (102, body)
            }
            (4, handle) => status(if log.open.remove(handle) { 0 } else { 4 }),
            (5, handle) if log.open.contains(handle) => {
                let from = usize::try_from(rest.get_u64()).expect("small");
                let limit = if self.read_limit == 0 { usize::MAX } else { self.read_limit };
                let asked = rest.get_u32() as usize;
                log.longest.0 = log.longest.0.max(asked);
                let length = asked.min(limit);
                match self.file.get(from..(from + length).min(self.file.len())) {
                    None | Some([]) => status(1),
                    Some(data) => {
                        let mut body = u32::try_from(data.len()).expect("short").to_be_bytes().to_vec();
                        body.extend(data);
                        (103, body)
                    }
                }
            }
            (12, handle) if log.open.contains(handle) => {
                let count = (self.names - *at).min(7);
                let mut body = BytesMut::new();
                body.put_u32(u32::try_from(count).expect("small"));
                for index in *at..*at + count {
                    body.put_u32(4);
                    body.put_slice(format!("{index:04}").as_bytes());
                    body.put_u32(0);
                    body.put_u32(0);
                }
                *at += count;
                if count == 0 { status(1) } else { (104, body.to_vec()) }
            }
            (17 | 7 | 3 | 11, _) => status(2),
            _ => status(4),
        };
        let mut out = BytesMut::new();
        out.put_u32(u32::try_from(body.len()).expect("short") + 5);
        out.put_u8(kind);
        out.put_u32(id);
        out.put_slice(&body);
        out.freeze()
    }

    /// Waits until every handle is closed; the CLOSE of a real one goes out behind the answer.
    async fn is_tidy(&self, channel: &SftpChannel) -> bool {
        for _ in 0..10 {
            channel.stat(&remote(b"/f"), &call()).await.expect("answered");
            if self.log.lock().expect("unpoisoned").open.is_empty() {
                return true;
            }
        }
        false
    }
}

fn file_attributes(size: usize) -> (u8, Vec<u8>) {
    let mut body = BytesMut::new();
    body.put_u32(5);
    body.put_u64(size as u64);
    body.put_u32(0o100_644);
    (105, body.to_vec())
}

async fn download(channel: &SftpChannel, path: &[u8], call: &Call) -> (Result<Transfer, SftpError>, Vec<u8>) {
    let mut sink = Vec::new();
    let result = Download::new(&remote(path), Part::Whole, &mut sink).run(channel, call).await;
    (result, sink)
}

async fn upload(channel: &SftpChannel, path: &[u8], content: &[u8]) -> Result<Written, SftpError> {
    let call = call();
    let plan = channel.plan_write(&remote(path), &WriteOptions::default(), &call).await?;
    match channel.write_planned(&plan, &mut &content[..], &call).await {
        Ok(written) => Ok(written),
        Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
            channel.remove(plan.temporary(), &call).await?;
            Err(error)
        }
    }
}

#[tokio::test]
async fn a_stream_from_a_server_with_short_answers_is_whole() {
    for (own_handles, read_limit) in [(false, 999), (true, 4000), (true, 0)] {
        let fake = Fake { own_handles, read_limit, file: pattern(300_000).into(), ..Fake::default() };
        let channel = fake.start().await;
        let (result, content) = download(&channel, b"/f", &call()).await;
        assert!(content == fake.file, "other bytes");
        assert_eq!(result.expect("read").change(), Change::Unknown, "this server tells no times");
        assert!(fake.is_tidy(&channel).await, "a handle stays open");
    }
}

#[tokio::test]
async fn a_servers_limits_are_kept() {
    let extensions = vec![("limits@openssh.com", "1"), ("posix-rename@openssh.com", "1")];
    let fake = Fake { extensions, limits: (5000, 700), file: pattern(100_000).into(), ..Fake::default() };
    let channel = fake.start().await;
    channel.stat(&remote(b"/f"), &call()).await.expect("answered behind the limits");
    let (result, content) = download(&channel, b"/f", &call()).await;
    assert!(result.is_ok() && content == fake.file);
    upload(&channel, b"/f", &pattern(10_000)).await.expect("written");
    assert_eq!(fake.log.lock().expect("unpoisoned").longest, (5000, 700));
}

#[tokio::test]
async fn a_file_is_renamed_only_when_it_is_whole() {
    let extensions = vec![("posix-rename@openssh.com", "1")];
    for (path, how) in [(&b"/f"[..], "posix-rename"), (b"/new", "rename")] {
        let fake = Fake { extensions: extensions.clone(), ..Fake::default() };
        let written = upload(&fake.start().await, path, &pattern(200_000)).await.expect("written");
        assert_eq!((written.bytes, written.synced, written.replaced), (200_000, false, path == b"/f"));
        let log = fake.log.lock().expect("unpoisoned");
        assert!(log.written == pattern(200_000) && log.open.is_empty());
        assert_eq!(log.renamed, [how]);
    }
    let full = Some((3, 4, "No space left on device"));
    let fake = Fake { extensions, full_at: full, ..Fake::default() };
    let error = ssh(upload(&fake.start().await, b"/f", &pattern(9 << 20)).await.expect_err("full"));
    assert_eq!(error.message(), "the SFTP server says `No space left on device`: `/f`");
    let log = fake.log.lock().expect("unpoisoned");
    assert_eq!(log.renamed, ["remove /.scout-"]);
    assert!(log.writes < 100, "{} writes behind the one that failed", log.writes);
}

#[tokio::test]
async fn a_server_that_cannot_replace_a_file_is_not_asked_to() {
    let fake = Fake::default();
    let channel = fake.start().await;
    let error = ssh(upload(&channel, b"/f", b"new").await.expect_err("exists"));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    upload(&channel, b"/new", b"new").await.expect("does not exist");
    let log = fake.log.lock().expect("unpoisoned");
    assert_eq!((log.writes, &log.renamed[..]), (1, &["rename".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_never_answered_ends_the_channel() {
    for own_handles in [false, true] {
        let fake = Fake { own_handles, never_closes: true, file: Bytes::from_static(b"hi"), ..Fake::default() };
        let channel = fake.start().await;
        let begun = Instant::now();
        // The CLOSE of a guessed handle is passed over, which is no guess to go on with; that of a real one is behind the content.
        open(&channel, Path::new("/f"), 10, &call()).await.expect("read");
        while !channel.is_closed() {
            tokio::time::sleep(STALL / 10).await;
        }
        assert!(begun.elapsed() < STALL * 3);
    }
}

/// xorshift64: the same numbers in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    /// Changes, inserts, doubles or cuts off bytes.
    pub(super) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, u8::try_from(self.below(256)).expect("a byte")),
                2 => bytes.splice(at..at, [0xff; 4]).for_each(drop),
                3 => bytes.extend_from_within(at..),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_server_answers_every_operation_ends() {
    let extensions = vec![("limits@openssh.com", "1"), ("posix-rename@openssh.com", "1")];
    let plain = Fake { extensions, limits: (3000, 3000), file: pattern(9000).into(), names: 20, ..Fake::default() };
    for seed in 1..400 {
        let fake = Fake { mutations: seed, own_handles: seed % 2 == 0, log: Arc::default(), ..plain.clone() };
        let channel = fake.start().await;
        let limit = Call::until(Instant::now() + Duration::from_secs(60));
        let work = async {
            open(&channel, Path::new("/f"), 5000, &limit).await.ok();
            open(&channel, Path::new("/d"), 5000, &limit).await.ok();
            let (result, content) = download(&channel, b"/f", &limit).await;
            if let Ok(transfer) = result {
                assert_eq!(transfer.bytes, content.len() as u64);
            }
            channel.stat(&remote(b"/d"), &limit).await.ok();
            upload(&channel, b"/f", &pattern(5000)).await.ok();
        };
        tokio::time::timeout(Duration::from_secs(600), work).await.unwrap_or_else(|_| panic!("seed {seed} hangs"));
    }
}

#[tokio::test]
async fn what_an_rc_file_prints_is_skipped() {
    for noise in [&b"Welcome\n"[..], b"\0\0\0\x05\x01", &[b'x'; 60_000]] {
        let fake = Fake { noise: noise.to_vec(), file: Bytes::from_static(b"hi"), ..Fake::default() };
        assert_eq!(content(&fake.start().await, Path::new("/f"), 10).await.0, "hi");
    }
}

#[tokio::test]
async fn a_host_that_only_prints_speaks_no_sftp() {
    let fake = Fake { noise: vec![b'x'; 200_000], ..Fake::default() };
    let error = ssh(fake.try_start().await.err().expect("no greeting"));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().len() < 400);
}

#[tokio::test]
async fn each_open_is_one_burst() {
    let fake = Fake { file: Bytes::from_static(b"hi"), ..Fake::default() };
    let channel = fake.start().await;
    for _ in 0..5 {
        assert_eq!(content(&channel, Path::new("/f"), 10).await.0, "hi");
    }
    assert_eq!(fake.log.lock().expect("unpoisoned").bursts, 5);
}

#[tokio::test]
async fn a_server_with_handles_of_its_own_is_read_with_them() {
    let fake = Fake { own_handles: true, file: pattern(100_000).into(), names: 100, ..Fake::default() };
    let channel = fake.start().await;
    let opens = (0..10).map(|_| content(&channel, Path::new("/f"), 1 << 20));
    for (data, truncated, total) in futures_util::future::join_all(opens).await {
        assert!(data == fake.file, "other bytes");
        assert_eq!((truncated, total), (false, Some(100_000)));
    }
    assert_eq!(entries(&channel, Path::new("/d"), 1000).await, (100, false));
    assert_eq!(entries(&channel, Path::new("/d"), 10).await, (10, true));
    assert!(fake.is_tidy(&channel).await, "a handle stays open");
}

#[tokio::test]
async fn a_guess_that_is_wrong_later_harms_nobody() {
    let fake = Fake { own_handles: true, guessed_at_first: 3, file: pattern(100_000).into(), ..Fake::default() };
    let channel = fake.start().await;
    content(&channel, Path::new("/f"), 1 << 20).await;
    let opens = (0..10).map(|_| content(&channel, Path::new("/f"), 1 << 20));
    for (data, ..) in futures_util::future::join_all(opens).await {
        assert!(data == fake.file, "other bytes");
    }
    assert!(fake.is_tidy(&channel).await, "a handle stays open");
}

#[tokio::test]
async fn an_abandoned_operation_closes_its_handle() {
    let fake = Fake { own_handles: true, file: pattern(100_000).into(), ..Fake::default() };
    let channel = fake.start().await;
    content(&channel, Path::new("/f"), 1 << 20).await;
    for polls in 1..12 {
        let mut open = std::pin::pin!(content(&channel, Path::new("/f"), 1 << 20));
        for _ in 0..polls {
            if futures_util::poll!(&mut open).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    assert!(fake.is_tidy(&channel).await, "a handle stays open");
}

#[tokio::test]
async fn a_server_that_answers_reads_short_is_asked_again() {
    for own_handles in [false, true] {
        let fake = Fake { own_handles, file: pattern(50_000).into(), read_limit: 999, ..Fake::default() };
        let (data, truncated, _) = content(&fake.start().await, Path::new("/f"), 1 << 20).await;
        assert!(data == fake.file && !truncated);
    }
}

#[tokio::test]
async fn small_answers_make_a_long_listing_all_the_same() {
    let fake = Fake { names: 1000, ..Fake::default() };
    assert_eq!(entries(&fake.start().await, Path::new("/d"), 5000).await, (1000, false));
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_left() {
    let too_long = u32::try_from(MAX_PACKET + 1).expect("short").to_be_bytes().to_vec();
    for (number, bytes) in [
        (0, too_long),
        (0, b"\0\0\0\x01\x69".to_vec()),
        (0, b"\0\0\0\x09\x65\xff\xff\xff\xff\0\0\0\0".to_vec()),
        (0, b"\0\0\0\x09\x69\0\0\0\0\x80\0\0\0".to_vec()),
        (1, b"\0\0\0\x09\x69\0\0\0\0\0\0\0\0".to_vec()),
        (2, b"\0\0\0\x0c\x67\0\0\0\x02\0\0\xff\xffabc".to_vec()),
    ] {
        let fake = Fake { instead: Some((number, bytes)), file: Bytes::from_static(b"hi"), ..Fake::default() };
        let channel = fake.start().await;
        let error = ssh(open(&channel, Path::new("/f"), 10, &call()).await.expect_err("broken"));
        assert_eq!(error.kind(), ErrorKind::Remote);
        assert!(channel.is_closed());
    }
}

#[tokio::test]
async fn an_end_in_the_middle_of_an_answer_is_closed() {
    let fake = Fake { instead: Some((2, b"\0\0\0\x0c\x67\0\0".to_vec())), ..Fake::default() };
    let channel = fake.start().await;
    assert!(matches!(open(&channel, Path::new("/f"), 10, &call()).await, Err(SftpError::Closed)));
    assert!(channel.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_mute_server_stalls_after_the_watchdogs_time() {
    let channel = Fake { mute: true, ..Fake::default() }.start().await;
    let start = Instant::now();
    let result = channel.stat(&remote(b"/f"), &call()).await;
    assert!(matches!(result, Err(SftpError::Stalled { culprit: true })), "{result:?}");
    assert!(start.elapsed() >= STALL && start.elapsed() < STALL * 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_channel_does_not_stall() {
    let fake = Fake { file: Bytes::from_static(b"hi"), ..Fake::default() };
    let channel = fake.start().await;
    tokio::time::advance(STALL * 10).await;
    assert_eq!(content(&channel, Path::new("/f"), 10).await.0, "hi");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_and_the_cancellation_are_kept() {
    let channel = Fake { mute: true, ..Fake::default() }.start().await;
    let late = Call::until(Instant::now() + Duration::from_millis(10));
    let error = ssh(channel.open(&remote(b"/f"), 0, 10, 10, &late).await.expect_err("late"));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let cancelled = call();
    cancelled.cancel.cancel();
    let error = ssh(channel.open(&remote(b"/f"), 0, 10, 10, &cancelled).await.expect_err("cancelled"));
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(!channel.is_closed());
}

#[tokio::test]
async fn closing_drops_the_stream_and_fails_who_waits() {
    let (client, mut server) = duplex(1024);
    let greeting = async {
        server.read_exact(&mut [0; 9]).await.expect("INIT");
        server.write_all(b"\0\0\0\x05\x02\0\0\0\x03").await.expect("written");
    };
    let (channel, ()) = tokio::join!(SftpChannel::start(client, STALL, Arc::default()), greeting);
    let channel = channel.expect("greeted");
    let (path, waiting) = (remote(b"/f"), call());
    let (result, ()) = tokio::join!(biased; channel.stat(&path, &waiting), async { channel.close() });
    assert!(matches!(result, Err(SftpError::Closed)), "{result:?}");
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.expect("the stream is dropped");
}
