//! What the SFTP server answers, packet by packet.

use std::fs;
use std::os::unix::fs::symlink;

use cap_std::ambient_authority;
use tempfile::TempDir;

use super::*;

/// A server over a temporary directory that lies beside a secret.
struct Bench {
    server: SftpServer,
    base: TempDir,
}

impl Bench {
    fn new() -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let root = base.path().canonicalize().expect("it exists").join("root");
        fs::create_dir_all(root.join("sub")).expect("created");
        fs::write(root.join("hello"), "hello, world").expect("written");
        fs::write(base.path().join("secret"), "secret").expect("written");
        let dir = Dir::open_ambient_dir(&root, ambient_authority()).expect("opened");
        let mut bench = Self { server: SftpServer::new(dir, root), base };
        let version = bench.send(FXP_INIT, &VERSION.to_be_bytes());
        assert_eq!(version.first(), Some(&FXP_VERSION));
        bench
    }

    /// One packet there and one back, without its length field.
    fn send(&mut self, kind: u8, body: &[u8]) -> Bytes {
        let mut packet = BytesMut::new();
        reply(&mut packet, kind, |packet| packet.put_slice(body));
        self.server.feed(&packet);
        let mut answer = self.server.turn().expect("a packet that can be taken apart");
        let length = answer.get_u32() as usize;
        assert_eq!(length, answer.len(), "one packet");
        answer
    }

    /// The answer's kind and what follows its id.
    fn ask(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) -> (u8, Bytes) {
        let mut request = BytesMut::new();
        request.put_u32(7);
        body(&mut request);
        let mut answer = self.send(kind, &request);
        let kind = answer.get_u8();
        assert_eq!(answer.get_u32(), 7, "the request's id");
        (kind, answer)
    }

    fn path(&mut self, kind: u8, path: &str) -> (u8, Bytes) {
        self.ask(kind, |body| put_string(body, path.as_bytes()))
    }

    fn open(&mut self, path: &str, flags: u32) -> (u8, Bytes) {
        self.ask(FXP_OPEN, |body| {
            put_string(body, path.as_bytes());
            body.put_u32(flags);
            body.put_u32(0);
        })
    }

    fn handle(&mut self, path: &str) -> u32 {
        let (kind, mut answer) = self.open(path, OPEN_READ);
        assert_eq!(kind, FXP_HANDLE);
        assert_eq!(answer.get_u32(), 4, "four bytes");
        answer.get_u32()
    }

    fn with_handle(&mut self, kind: u8, handle: u32, more: &[u8]) -> (u8, Bytes) {
        self.ask(kind, |body| {
            put_string(body, &handle.to_be_bytes());
            body.put_slice(more);
        })
    }
}

fn code((kind, mut answer): (u8, Bytes)) -> u32 {
    assert_eq!(kind, FXP_STATUS);
    answer.get_u32()
}

fn first_name((kind, mut answer): (u8, Bytes)) -> String {
    assert_eq!(kind, FXP_NAME);
    assert_eq!(answer.get_u32(), 1, "one name");
    let name = get_string(&mut answer).expect("a name");
    String::from_utf8(name.to_vec()).expect("UTF-8")
}

#[test]
fn the_lowest_free_handle_is_given() {
    let mut bench = Bench::new();
    assert_eq!([bench.handle("hello"), bench.handle("hello"), bench.handle("hello")], [0, 1, 2]);
    assert_eq!(code(bench.with_handle(FXP_CLOSE, 1, b"")), 0);
    assert_eq!([bench.handle("hello"), bench.handle("hello")], [1, 3]);
}

#[test]
fn a_closed_handle_is_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.handle("hello"), 0);
    assert_eq!(code(bench.with_handle(FXP_CLOSE, 0, b"")), 0);
    assert_eq!(code(bench.with_handle(FXP_CLOSE, 0, b"")), Code::Failure as u32);
    assert_eq!(code(bench.with_handle(FXP_FSTAT, 0, b"")), Code::Failure as u32);
}

#[test]
fn handles_are_bounded() {
    let mut bench = Bench::new();
    for _ in 0..MAX_HANDLES {
        bench.handle("hello");
    }
    assert_eq!(code(bench.open("hello", OPEN_READ)), Code::Failure as u32);
}

#[test]
fn a_read_gives_what_lies_at_the_offset_and_then_the_end() {
    let mut bench = Bench::new();
    bench.handle("/hello");
    let at = |offset: u64| [&offset.to_be_bytes()[..], &100_u32.to_be_bytes()].concat();
    let (kind, mut data) = bench.with_handle(FXP_READ, 0, &at(7));
    assert_eq!((kind, get_string(&mut data)), (FXP_DATA, Ok(Bytes::from_static(b"world"))));
    assert_eq!(code(bench.with_handle(FXP_READ, 0, &at(12))), Code::Eof as u32);
}

#[test]
fn a_path_is_the_same_relative_below_the_root_and_in_full() {
    let mut bench = Bench::new();
    let full = bench.server.location.join("hello");
    let full = full.to_str().expect("UTF-8").to_owned();
    for path in ["hello", "/hello", "sub/../hello", &full] {
        assert_eq!(first_name(bench.path(FXP_REALPATH, path)), full, "{path}");
        assert_eq!(bench.path(FXP_STAT, path).0, FXP_ATTRS, "{path}");
    }
}

#[test]
fn home_is_where_the_root_lies() {
    let mut bench = Bench::new();
    let location = bench.server.location.to_str().expect("UTF-8").to_owned();
    for path in ["", ".", "/"] {
        assert_eq!(first_name(bench.path(FXP_REALPATH, path)), location, "{path:?}");
    }
}

#[test]
fn dots_do_not_lead_out() {
    let mut bench = Bench::new();
    let beside = bench.server.location.join("../secret");
    for path in ["../secret", "/../secret", "sub/../../secret", beside.to_str().expect("UTF-8")] {
        for kind in [FXP_STAT, FXP_LSTAT, FXP_REALPATH, FXP_OPENDIR] {
            assert_ne!(code(bench.path(kind, path)), 0, "{kind} {path}");
        }
        assert_ne!(code(bench.open(path, OPEN_READ)), 0, "{path}");
    }
    assert_ne!(code(bench.path(FXP_OPENDIR, "..")), 0);
}

#[test]
fn symbolic_links_do_not_lead_out() {
    let mut bench = Bench::new();
    let root = bench.server.location.clone();
    symlink("../secret", root.join("relative")).expect("linked");
    symlink(bench.base.path().join("secret"), root.join("absolute")).expect("linked");
    symlink("..", root.join("above")).expect("linked");
    for path in ["relative", "absolute", "above/secret"] {
        assert_ne!(code(bench.open(path, OPEN_READ)), 0, "{path}");
        assert_ne!(code(bench.path(FXP_STAT, path)), 0, "{path}");
    }
    assert_ne!(code(bench.path(FXP_OPENDIR, "above")), 0);
    assert_eq!(bench.path(FXP_LSTAT, "relative").0, FXP_ATTRS, "the link itself lies inside");
}

#[test]
fn a_symbolic_link_inside_is_followed() {
    let mut bench = Bench::new();
    symlink("../hello", bench.server.location.join("sub/link")).expect("linked");
    assert_eq!(bench.handle("sub/link"), 0);
}

#[test]
fn nothing_can_be_written() {
    let mut bench = Bench::new();
    let (write, create) = (2, 8);
    assert_eq!(code(bench.open("hello", OPEN_READ | write)), Code::PermissionDenied as u32);
    assert_eq!(code(bench.open("new", write | create)), Code::PermissionDenied as u32);
    for kind in [FXP_REMOVE, FXP_MKDIR, FXP_RMDIR, FXP_RENAME, FXP_SETSTAT, FXP_SYMLINK, FXP_WRITE, FXP_FSETSTAT] {
        assert_eq!(code(bench.path(kind, "hello")), Code::PermissionDenied as u32, "{kind}");
    }
}

#[test]
fn a_fifo_is_refused_and_does_not_block() {
    let mut bench = Bench::new();
    let fifo = bench.server.location.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().expect("mkfifo starts").success());
    assert_eq!(code(bench.open("fifo", OPEN_READ)), Code::Failure as u32);
}

#[test]
fn a_directory_of_many_entries_comes_in_parts_and_ends() {
    let mut bench = Bench::new();
    for index in 0..250 {
        fs::write(bench.server.location.join(format!("sub/{index}")), "").expect("written");
    }
    let (kind, _) = bench.path(FXP_OPENDIR, "sub");
    assert_eq!(kind, FXP_HANDLE);
    let mut counts = Vec::new();
    loop {
        match bench.with_handle(FXP_READDIR, 0, b"") {
            (FXP_NAME, mut names) => counts.push(names.get_u32()),
            end => {
                assert_eq!(code(end), Code::Eof as u32);
                break;
            }
        }
    }
    assert_eq!(counts, [100, 100, 52], "with the two dots");
}

#[test]
fn a_packet_may_come_in_pieces() {
    let mut bench = Bench::new();
    let mut packet = BytesMut::new();
    reply(&mut packet, FXP_STAT, |body| {
        body.put_u32(1);
        put_string(body, b"hello");
    });
    let (last, first) = packet.split_last().expect("not empty");
    bench.server.feed(first);
    assert_eq!(bench.server.turn(), Ok(Bytes::new()));
    bench.server.feed(&[*last]);
    assert!(!bench.server.turn().expect("answered").is_empty());
}

#[test]
fn an_oversized_packet_is_a_violation() {
    let mut bench = Bench::new();
    bench.server.feed(&(MAX_PACKET + 1).to_be_bytes());
    assert_eq!(bench.server.turn(), Err(Violation::Length(MAX_PACKET + 1)));
}

#[test]
fn a_request_before_init_is_a_violation() {
    let mut server = Bench::new().server;
    server.initialized = false;
    server.feed(&[0, 0, 0, 5, FXP_STAT, 0, 0, 0, 1]);
    assert_eq!(server.turn(), Err(Violation::Init));
}

#[test]
fn a_truncated_request_is_answered_as_a_bad_message() {
    let mut bench = Bench::new();
    assert_eq!(code(bench.ask(FXP_STAT, |body| body.put_u32(100))), Code::BadMessage as u32);
}

#[test]
fn one_turn_is_bounded() {
    let mut bench = Bench::new();
    fs::write(bench.server.location.join("big"), vec![0; MAX_READ as usize]).expect("written");
    bench.handle("big");
    let mut packets = BytesMut::new();
    for id in 0..8 {
        reply(&mut packets, FXP_READ, |body| {
            body.put_u32(id);
            put_string(body, &0_u32.to_be_bytes());
            body.put_u64(0);
            body.put_u32(MAX_READ);
        });
    }
    bench.server.feed(&packets);
    let first = bench.server.turn().expect("answered");
    assert!(first.len() < TURN_BYTES + MAX_PACKET as usize + 4, "{} bytes", first.len());
    assert!(!bench.server.turn().expect("answered").is_empty(), "the rest comes in the next turn");
}
