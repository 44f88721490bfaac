//! What somebody gains who swaps links while a path is looked at: the swap comes right before a request of a flight, before each of
//! them in turn, at OpenSSH's own server. It stands behind a relay that passes on one request at a time and can make it behave as
//! others do.

#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use scout_machine::transfer::NewFile;
use scout_machine::{Call, ErrorKind, HostError, Opened, RemotePath, TruePath};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::channel::Reply;
use super::{Download, Part, SftpChannel, SftpError, wire};

const OPEN: u8 = 3;
const OPENDIR: u8 = 11;
const REALPATH: u8 = 16;
const READLINK: u8 = 19;
const HANDLE: u8 = 102;

/// How the server is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ways {
    /// It announces no extensions, and READLINK knows nothing: as in a chroot without /proc, or on another system.
    is_other: bool,
    /// REALPATH only tidies the text, as paramiko's does unless a server overrides it.
    is_textual: bool,
    /// Handles are not OpenSSH's.
    has_own_handles: bool,
    /// It never says whether one of our paths is a directory.
    is_mute_of_directories: bool,
}

/// What is to happen at which request.
#[derive(Default)]
struct Steps {
    count: usize,
    /// The kinds of the requests so far.
    kinds: Vec<u8>,
    at: Vec<(usize, Box<dyn Fn() + Send>)>,
}

struct Relay {
    ways: Ways,
    steps: Arc<Mutex<Steps>>,
}

async fn packet(from: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = from.read_u32().await.ok()?;
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await.ok()?;
    Some(body.into())
}

fn string(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).expect("short").to_be_bytes(), text].concat()
}

impl Relay {
    async fn serve(self, mut client: DuplexStream, mut server: Child) -> Option<()> {
        let (mut input, mut output) = (server.stdin.take()?, server.stdout.take()?);
        let mut init = [0; 9];
        client.read_exact(&mut init).await.ok()?;
        input.write_all(&init).await.ok()?;
        let greeting = packet(&mut output).await?;
        let greeting = if self.ways.is_other { greeting.slice(..5) } else { greeting };
        client.write_all(&string(&greeting)).await.ok()?;
        loop {
            let request = packet(&mut client).await?;
            if self.ways.is_mute_of_directories && request.starts_with(&[OPENDIR]) && !request.ends_with(b"/") {
                continue;
            }
            let reply = match self.answer(&request) {
                Some(reply) => reply,
                None => {
                    input.write_all(&string(&self.with_their_handle(&request))).await.ok()?;
                    self.with_our_handle(packet(&mut output).await?)
                }
            };
            client.write_all(&string(&reply)).await.ok()?;
        }
    }

    /// What is not asked of the server. Before that, what is due at this request happens.
    fn answer(&self, request: &Bytes) -> Option<Bytes> {
        let (kind, id, mut rest) = wire::head(request.clone()).expect("a request");
        let mut steps = self.steps.lock().expect("unpoisoned");
        let count = steps.count;
        steps.at.iter().filter(|(at, _)| *at == count).for_each(|(_, swap)| swap());
        steps.count += 1;
        steps.kinds.push(kind);
        let mut reply = BytesMut::new();
        match kind {
            READLINK if self.ways.is_other => {
                reply.put_u8(101);
                reply.put_u32(id);
                reply.put_u32(8);
            }
            REALPATH if self.ways.is_textual => {
                let length = rest.get_u32() as usize;
                let path = PathBuf::from(std::ffi::OsStr::from_bytes(&rest[..length]));
                let mut tidy = PathBuf::from("/");
                for part in path.components() {
                    match part {
                        std::path::Component::Normal(name) => tidy.push(name),
                        std::path::Component::ParentDir => drop(tidy.pop()),
                        _ => {}
                    }
                }
                let name = string(tidy.as_os_str().as_bytes());
                reply.put_u8(104);
                reply.put_u32(id);
                reply.put_u32(1);
                reply.put_slice(&[&name[..], &name, &[0; 4]].concat());
            }
            _ => return None,
        }
        Some(reply.freeze())
    }

    fn with_our_handle(&self, reply: Bytes) -> Bytes {
        match (self.ways.has_own_handles, reply.split_at_checked(5)) {
            (true, Some((head @ [HANDLE, ..], rest))) => [head, &string(&[b"h", &rest[4..]].concat())].concat().into(),
            _ => reply,
        }
    }

    /// Of the requests that hold one: CLOSE, READ, FSTAT, READDIR.
    fn with_their_handle(&self, request: &Bytes) -> Bytes {
        match (self.ways.has_own_handles, request.split_at_checked(5)) {
            (true, Some((head @ [4 | 5 | 8 | 12, ..], rest))) => {
                let length = u32::from_be_bytes(rest[..4].try_into().expect("four")) as usize;
                [head, &string(&rest[5..4 + length]), &rest[4 + length..]].concat().into()
            }
            _ => request.clone(),
        }
    }
}

/// A directory with a plain file and a secret one, links to the one and to the other, and the server.
struct World {
    directory: TempDir,
    root: PathBuf,
    channel: SftpChannel,
    steps: Arc<Mutex<Steps>>,
    /// Whether each look is at a path that was never looked at.
    forgets: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Open,
    /// A part.
    Read,
    Stat,
    List,
}

fn remote(path: impl AsRef<[u8]>) -> RemotePath {
    RemotePath::parse(path).expect("a path")
}

impl World {
    async fn new(ways: Ways) -> Self {
        let directory = TempDir::new().expect("a directory");
        let root = fs::canonicalize(directory.path()).expect("it is there");
        for name in ["plain", "secret"] {
            fs::create_dir(root.join(name)).expect("made");
            fs::write(root.join(name).join("file"), name).expect("written");
            fs::write(root.join(name).join(format!("only-{name}")), "").expect("written");
        }
        fs::create_dir(root.join("plain/below")).expect("made");
        fs::write(root.join("file"), "secret").expect("written");
        for (target, link) in [
            ("plain", "door"),
            ("plain/file", "link"),
            ("door/../link", "round"),
            ("file", "plain/near"),
            ("plain/below", "deep"),
        ] {
            symlink(target, root.join(link)).expect("a link");
        }
        let server = Command::new("/usr/lib/openssh/sftp-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir(&root)
            .kill_on_drop(true)
            .spawn()
            .expect("sftp-server is installed");
        let (client, relayed) = duplex(1 << 20);
        let steps = Arc::<Mutex<Steps>>::default();
        tokio::spawn(Relay { ways, steps: Arc::clone(&steps) }.serve(relayed, server));
        let channel = SftpChannel::start(client, Duration::from_secs(30), Arc::default()).await.expect("it greets");
        let world = Self { directory, root, channel, steps, forgets: true };
        // What a first flight finds out is known from now on.
        world.look(Ask::Open, "plain/file").await.expect("there is no link");
        world
    }

    /// What is told of a path: a word of the content, and where it lies.
    async fn look(&self, ask: Ask, path: &str) -> Result<(String, TruePath), HostError> {
        let call = Call::until(Instant::now() + Duration::from_secs(60));
        let path = self.root.join(path);
        let path = &remote(path.as_os_str().as_bytes());
        if self.forgets {
            self.channel.shared.kinds.note(path.bytes(), None);
        }
        {
            let mut steps = self.steps.lock().expect("unpoisoned");
            (steps.count, steps.kinds) = (0, Vec::new());
        }
        let sized = |size: Option<u64>| if size == Some(5) { "plain" } else { "secret" }.to_owned();
        let told = match ask {
            Ask::Open | Ask::List => {
                self.channel.open(path, 0, 100, 100, &call).await.map(|(opened, place)| match opened {
                    Opened::File { content, attributes } => {
                        assert_eq!(attributes.size, Some(content.data.len() as u64), "of one file");
                        (String::from_utf8_lossy(&content.data).into_owned(), place)
                    }
                    Opened::Directory { entries, .. } => {
                        // The server asks for each entry by name again, and leaves out what is not there by now.
                        let has = |name: &str| entries.iter().any(|entry| entry.name == name.as_bytes());
                        let words: Vec<_> =
                            ["plain", "secret"].into_iter().filter(|word| has(&format!("only-{word}"))).collect();
                        (words.concat(), place)
                    }
                    Opened::Other { .. } => panic!("neither file nor directory"),
                })
            }
            Ask::Read => self.channel.read(path, 0, 100, &call).await.map(|(attributes, content, place)| {
                assert_eq!(attributes.size, Some(content.data.len() as u64), "of one file");
                (String::from_utf8_lossy(&content.data).into_owned(), place)
            }),
            Ask::Stat => {
                self.channel.stat(path, &call).await.map(|(attributes, place)| (sized(attributes.size), place))
            }
        };
        // A file is told before all of its flight is answered.
        self.channel.real_path(&remote(b"/"), &call).await.expect("it is there");
        let mut steps = self.steps.lock().expect("unpoisoned");
        let ours = steps.kinds.len() - 2;
        steps.kinds.truncate(ours);
        told.map_err(|error| match error {
            SftpError::Ssh(error) => error,
            other => panic!("{other:?}"),
        })
    }

    /// Makes this name a link, in one step.
    fn swap(&self, name: &'static str, target: &'static str) -> Box<dyn Fn() + Send> {
        let root = self.root.clone();
        Box::new(move || {
            let (new, old) = (root.join("new"), root.join(name));
            symlink(target, &new).expect("a link");
            if old.is_dir() && !old.is_symlink() {
                fs::rename(&old, root.join("moved")).expect("moved away");
            }
            fs::rename(&new, &old).expect("swapped");
        })
    }

    fn at(&self, at: Vec<(usize, Box<dyn Fn() + Send>)>) {
        self.steps.lock().expect("unpoisoned").at = at;
    }

    fn place(&self, told: &TruePath) -> String {
        let place = Path::new(std::ffi::OsStr::from_bytes(&told.path));
        place.strip_prefix(&self.root).expect("below the root").display().to_string()
    }

    /// The kinds of the requests of the last look.
    fn kinds(&self) -> Vec<u8> {
        self.steps.lock().expect("unpoisoned").kinds.clone()
    }
}

const LOOKS: [(Ask, &str, &str); 6] = [
    (Ask::Open, "link", "plain/file"),
    (Ask::Read, "link", "plain/file"),
    (Ask::Stat, "link", "plain/file"),
    (Ask::Open, "door/file", "plain/file"),
    (Ask::Stat, "door/file", "plain/file"),
    (Ask::List, "door", "plain"),
];

#[tokio::test]
async fn whenever_a_link_is_swapped_and_back_what_is_read_lies_where_it_is_said_to() {
    let mut world = World::new(Ways::default()).await;
    let mut seen = std::collections::BTreeSet::new();
    for ((ask, path, place), forgets) in LOOKS.into_iter().flat_map(|look| [(look, true), (look, false)]) {
        world.forgets = forgets;
        let (name, target, back) = match path {
            "link" => ("link", "secret/file", "plain/file"),
            _ => ("door", "secret", "plain"),
        };
        world.swap(name, back)();
        world.at(Vec::new());
        let (word, told) = world.look(ask, path).await.expect("nothing is swapped");
        assert_eq!((&*word, &*world.place(&told), told.is_proven), ("plain", place, true), "{ask:?} {path}");
        let count = world.kinds().len();
        for first in 0..count {
            for second in first + 1..=count {
                world.swap(name, back)();
                world.at(vec![(first, world.swap(name, target)), (second, world.swap(name, back))]);
                match world.look(ask, path).await {
                    Ok((word, told)) => {
                        assert!(told.is_proven, "{ask:?} {path} {first} {second}");
                        let there = if word.is_empty() { world.place(&told) } else { place.replace("plain", &word) };
                        assert_eq!(world.place(&told), there, "{ask:?} {path} {first} {second}");
                        seen.insert(there);
                    }
                    Err(error) => assert!(error.message().contains("took its place"), "{error}"),
                }
            }
        }
    }
    assert_eq!(seen.len(), 4, "both were seen, files and directories");
}

#[tokio::test]
async fn a_path_costs_two_requests_more_than_a_look_that_proves_nothing() {
    let world = World::new(Ways::default()).await;
    world.look(Ask::Open, "plain/file").await.expect("read");
    // What is read: is the descriptor free, OPEN, what is it, FSTAT, READ, CLOSE; and if it is a directory the same.
    let (readlink, close, read, readdir) = (READLINK, 4, 5, 12);
    let file = [readlink, OPEN, readlink, 8, read, close];
    assert_eq!(world.kinds(), [&file[..], &[OPENDIR, readlink, readdir, readdir, readdir, close]].concat());
    world.look(Ask::Read, "plain/file").await.expect("read");
    assert_eq!(world.kinds(), file);
    world.look(Ask::Stat, "plain/file").await.expect("there");
    assert_eq!(world.kinds(), [readlink, OPENDIR, readlink, 7, close, REALPATH]);
}

#[tokio::test]
async fn of_a_path_that_was_seen_only_that_is_asked_for_until_it_is_something_else() {
    let mut world = World::new(Ways::default()).await;
    world.forgets = false;
    let (readlink, close, read, readdir) = (READLINK, 4, 5, 12);
    let file = [readlink, OPEN, readlink, 8, read, close];
    let directory = [readlink, OPEN, readlink, 8, close, OPENDIR, readlink, readdir, readdir, readdir, close];
    let both = [&file[..], &[OPENDIR, readlink, readdir, readdir, readdir, close]].concat();
    world.look(Ask::List, "plain").await.expect("listed");
    assert_eq!(world.kinds(), both);
    world.look(Ask::List, "plain").await.expect("listed");
    assert_eq!(world.kinds(), directory);
    // Its listing told what this is.
    world.look(Ask::Open, "plain/file").await.expect("read");
    assert_eq!(world.kinds(), file);
    for (path, make, flights, word) in [
        ("plain/file", "rm file; mkdir file; touch file/only-secret", [&file[..], &both].concat(), "secret"),
        ("plain/file", "rm -r file; printf secret > file", [&directory[..], &both].concat(), "secret"),
        ("plain/file", "printf plain > file", file.to_vec(), "plain"),
    ] {
        let made = Command::new("sh").args(["-c", make]).current_dir(world.root.join("plain")).status().await;
        assert!(made.expect("sh").success());
        let (found, told) = world.look(Ask::Open, path).await.expect("it is there");
        assert_eq!((&*found, &*world.place(&told)), (word, path), "{make}");
        assert_eq!(world.kinds(), flights, "{make}");
    }
}

#[tokio::test]
async fn a_file_that_has_grown_since_it_was_seen_is_read_to_its_end() {
    let world = World::new(Ways::default()).await;
    let path = world.root.join("grows");
    let mut reads = Vec::new();
    for length in [1, 300_000, 900_000, 900_000, 0, 900_000, 5] {
        fs::write(&path, vec![b'x'; length]).expect("written");
        world.steps.lock().expect("unpoisoned").kinds.clear();
        let call = Call::until(Instant::now() + Duration::from_secs(60));
        let opened = world.channel.open(&remote(path.as_os_str().as_bytes()), 0, 1 << 20, 10, &call).await;
        let Ok((Opened::File { content, .. }, _)) = opened else { panic!("{opened:?}") };
        assert_eq!((content.data.len(), content.truncated), (length, false));
        let round_trips = call.cost.snapshot().round_trips;
        world.channel.real_path(&remote(b"/"), &call).await.expect("it is there");
        reads.push((world.kinds().into_iter().filter(|kind| *kind == 5).count(), round_trips));
    }
    // Of a new path all is asked for at once, then what it had and one more, and what is left then.
    assert_eq!(reads, [(5, 1), (2, 1), (3 + 2, 2), (5, 1), (5, 1), (5, 1), (5, 1)]);
}

#[tokio::test]
async fn a_file_is_told_before_it_is_known_to_be_no_directory() {
    let world = World::new(Ways { is_mute_of_directories: true, ..Ways::default() }).await;
    for _ in 0..3 {
        let (word, told) = world.look(Ask::Open, "plain/file").await.expect("read");
        assert_eq!((&*word, &*world.place(&told), told.is_proven), ("plain", "plain/file", true));
    }
}

#[tokio::test]
async fn where_nothing_is_proven_a_name_that_becomes_a_link_is_not_followed() {
    for has_own_handles in [false, true] {
        let ways = Ways { is_other: true, has_own_handles, ..Ways::default() };
        let count = {
            let world = World::new(ways).await;
            world.look(Ask::Open, "plain/file").await.expect("there is no link");
            world.kinds().len()
        };
        for step in 0..count {
            for (ask, path, place) in
                [(Ask::Open, "plain/file", "file"), (Ask::Stat, "plain/file", "file"), (Ask::List, "plain", "")]
            {
                let world = World::new(ways).await;
                world.at(vec![(step, world.swap("plain", "secret"))]);
                match world.look(ask, path).await {
                    Ok((word, told)) => {
                        assert!(!told.is_proven);
                        let told = world.place(&told);
                        let word = if word.is_empty() { told.clone() } else { word };
                        assert_eq!(
                            told,
                            Path::new(&word).join(place).display().to_string().trim_end_matches('/'),
                            "{ask:?} {step}"
                        );
                    }
                    Err(error) => assert_ne!(error.kind(), ErrorKind::Remote, "{ask:?} {step}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_link_is_resolved_where_the_server_can_and_refused_where_it_only_tidies_the_text() {
    for has_own_handles in [false, true] {
        let ways = Ways { is_other: true, has_own_handles, ..Ways::default() };
        let (resolves, tidies) = (World::new(ways).await, World::new(Ways { is_textual: true, ..ways }).await);
        for (ask, path, place) in
            LOOKS.into_iter().chain([(Ask::Open, "round", "plain/file"), (Ask::Open, "plain/near", "plain/file")])
        {
            let (word, told) = resolves.look(ask, path).await.expect("it says where links lead");
            assert_eq!((&*word, &*resolves.place(&told), told.is_proven), ("plain", place, false), "{ask:?} {path}");
            let error = tidies.look(ask, path).await.expect_err("a link");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{ask:?} {path}: {error}");
            assert!(error.message().starts_with("leads through a link") && error.hint().is_some(), "{error}");
        }
        // What the tidied text leads to is another file, or none, than the path names.
        for path in ["deep/../file", "deep/../absent"] {
            let error = tidies.look(Ask::Open, path).await.expect_err("a link");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{path}: {error}");
        }
        let (word, told) = resolves.look(Ask::Open, "deep/../file").await.expect("it says where links lead");
        assert_eq!((&*word, &*resolves.place(&told)), ("plain", "plain/file"));
        // What is not there behind a link is not told from what is.
        let error = tidies.look(Ask::Open, "door/absent").await.expect_err("a link");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        for (ask, path) in [
            (Ask::Open, "plain/file"),
            (Ask::Read, "plain/../plain/./file"),
            (Ask::Stat, "plain/file"),
            (Ask::List, "plain/"),
        ] {
            let (word, told) = tidies.look(ask, path).await.expect("there is no link");
            assert_eq!(word, "plain");
            assert_eq!(tidies.place(&told), if ask == Ask::List { "plain" } else { "plain/file" });
        }
        assert_eq!(tidies.look(Ask::Open, "plain/absent").await.expect_err("missing").kind(), ErrorKind::NotFound);
        drop(tidies.directory);
    }
}

#[tokio::test]
async fn a_file_that_is_removed_while_it_is_opened_is_not_told_by_a_name_that_it_had() {
    let world = World::new(Ways::default()).await;
    symlink("gone", world.root.join("to")).expect("a link");
    let gone = world.root.join("gone");
    for step in 0..12 {
        fs::write(&gone, "plain").expect("written");
        let gone = gone.clone();
        world.at(vec![(step, Box::new(move || fs::remove_file(&gone).expect("it was there")))]);
        match world.look(Ask::Open, "to").await {
            Ok((_, told)) => assert_eq!(world.place(&told), "gone", "{step}"),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Remote), "{step}: {error}"),
        }
    }
}

/// Puts the plain file, which was kept, or a link to the secret one at `plain/file`.
fn put(world: &World, is_plain: bool) -> Box<dyn Fn() + Send> {
    let root = world.root.clone();
    Box::new(move || {
        let new = root.join("new");
        match is_plain {
            true => fs::hard_link(root.join("kept"), &new).expect("a name"),
            false => symlink("../secret/file", &new).expect("a link"),
        }
        fs::rename(&new, root.join("plain/file")).expect("swapped");
        // Two names of one file stay two.
        fs::remove_file(&new).ok();
    })
}

/// What is sent of `plain/file`.
async fn send(world: &World) -> Result<String, HostError> {
    let call = Call::until(Instant::now() + Duration::from_secs(60));
    let path = remote(world.root.join("plain/file").as_os_str().as_bytes());
    {
        let mut steps = world.steps.lock().expect("unpoisoned");
        (steps.count, steps.kinds) = (0, Vec::new());
    }
    let mut sink = Vec::new();
    let seen = world.channel.stat_remote(path.bytes(), &call).await.expect("it is there");
    let sent = Download::new(&path, Part::Whole, &mut sink).of(Some(seen)).run(&world.channel, &call).await;
    match sent {
        Ok(_) => Ok(String::from_utf8(sink).expect("text")),
        Err(SftpError::Ssh(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_sent_is_the_file_that_truly_lies_there_beside_others_that_are_open() {
    let (own, other) = (Ways { has_own_handles: true, ..Ways::default() }, Ways { is_other: true, ..Ways::default() });
    for (ways, others) in [(Ways::default(), 0), (Ways::default(), 12), (own, 3), (other, 0)] {
        let world = World::new(ways).await;
        let call = Call::until(Instant::now() + Duration::from_secs(60));
        fs::hard_link(world.root.join("plain/file"), world.root.join("kept")).expect("a name");
        let name = world.root.join("secret/file");
        let mut held = Vec::new();
        for _ in 0..others {
            let open = wire::Request::Open(name.as_os_str().as_bytes());
            held.extend(world.channel.ask(&[open], 0, &call).await.expect("it opens"));
        }
        assert!(held.iter().all(|reply| matches!(reply, Reply::Handle(_))));
        assert_eq!(send(&world).await.expect("nothing is swapped"), "plain");
        let count = world.kinds().len();
        let (mut refused, mut sent) = (0, 0);
        for first in 1..count {
            // Where only names are asked about, a link that comes and goes between two of them is not noticed.
            let last = if ways.is_other { first + 1 } else { count };
            for second in first + 1..=last {
                put(&world, true)();
                let back = if ways.is_other { usize::MAX } else { second };
                world.at(vec![(first, put(&world, false)), (back, put(&world, true))]);
                match send(&world).await {
                    Ok(text) => {
                        assert_eq!(text, "plain", "{ways:?} {others} {first} {second}");
                        sent += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(sent > 0 && refused > 0, "{ways:?}: both were seen");
        world.at(Vec::new());
        put(&world, true)();
        drop(held);
    }
}

#[tokio::test]
async fn a_partial_file_that_somebody_else_has_made_meanwhile_is_not_this_ones() {
    let world = World::new(Ways::default()).await;
    let call = Call::until(Instant::now() + Duration::from_secs(60));
    let new = NewFile { size: 4, mode: None, replace: false, partial: *b"one partial!" };
    let (root, target) = (world.root.as_os_str().as_bytes(), world.root.join("target"));
    let target = remote(target.as_os_str().as_bytes());
    let theirs = world.root.join(new.partial_name());
    for is_theirs in [true, false] {
        let parent = world.channel.stat_remote(root, &call).await.expect("it is there");
        let plan = world.channel.plan_receive(&target, (root, parent), &new, &call).await.expect("a plan");
        assert!(!plan.is_open().load(Ordering::Relaxed) && plan.is_resumable());
        let path = theirs.clone();
        let count = world.steps.lock().expect("unpoisoned").count;
        let make: Box<dyn Fn() + Send> = Box::new(move || fs::write(&path, "theirs").expect("written"));
        world.at(if is_theirs { vec![(count, make)] } else { Vec::new() });
        let filled = world.channel.fill(&plan, &mut &b"text"[..], &call).await;
        assert_eq!((filled.is_err(), plan.is_open().load(Ordering::Relaxed)), (is_theirs, !is_theirs));
        assert_eq!(fs::read(&theirs).expect("it is there"), if is_theirs { &b"theirs"[..] } else { b"text" });
        fs::remove_file(&theirs).expect("removed");
    }
}
