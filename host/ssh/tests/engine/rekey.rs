//! Later exchanges of keys: the host's key stays what it was, and nothing else is noticed of them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};
use scout_machine::{Ending, ErrorKind, HostError};
use scout_ssh::config::Proxy;
use scout_ssh::{HostSpec, Part, Pool, PoolConfig};
use scout_tests::{Key, Sshd, SshdOptions, generate_key, login_name};
use tokio::io::AsyncReadExt as _;

use crate::world::{World, call, eventually, marker, me, remote, request, runs, spec};

/// A server of paramiko's that exchanges keys when it is told to; ends with this value.
struct Swapping {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
    keys: [Key; 2],
    user: Key,
    dir: tempfile::TempDir,
}

impl Swapping {
    fn start() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        let python = tests.join(".venv/bin/python");
        assert!(python.exists(), "{} is missing: tests/ci.sh makes it", python.display());
        let dir = tempfile::tempdir().unwrap();
        let keys = ["host", "other"].map(|name| generate_key(dir.path(), name));
        let user = generate_key(dir.path(), "user");
        let mut child = Command::new(python)
            .arg(tests.join("python/swapping_sshd.py"))
            .args(keys.each_ref().map(|key| &key.private))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut answers = BufReader::new(stdout);
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port ").expect("paramiko is installed: tests/ci.sh").parse().unwrap();
        Self { child, orders, answers, address: SocketAddr::from(([127, 0, 0, 1], port)), keys, user, dir }
    }

    /// Gives an order and waits until it is done; what came of it.
    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// A known_hosts that has the first keys.
    fn known(&self, keys: usize) -> PathBuf {
        let line = |key: &Key| format!("[{}]:{} {}\n", self.address.ip(), self.address.port(), key.public);
        let file = self.dir.path().join(format!("known_{keys}"));
        std::fs::write(&file, self.keys.iter().take(keys).map(line).collect::<String>()).unwrap();
        file
    }

    fn spec(&self, alias: &str, known: PathBuf) -> HostSpec {
        HostSpec {
            identity_files: vec![self.user.private.clone()],
            identities_only: true,
            user_known_hosts_files: vec![known],
            ..HostSpec::new(alias, "127.0.0.1", self.address.port(), login_name())
        }
    }

    /// What the error of a swap has to name.
    fn is_told(&self, error: &HostError, alias: &str) -> bool {
        let print = |key: &Key| PublicKey::from_openssh(&key.public).unwrap().fingerprint(HashAlg::Sha256).to_string();
        let names = self.keys.iter().all(|key| error.message().contains(&print(key)));
        let hint = format!("`scout trust {alias}`");
        error.kind() == ErrorKind::HostKeyRejected && names && error.hint().unwrap_or_default().contains(&hint)
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How `ssh` fares whose command is to end after the server has followed the order: its status and what it wrote.
fn ssh(server: &mut Swapping, known: &Path, order: &str) -> (Option<i32>, String) {
    let mut child = Command::new("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "GlobalKnownHostsFile=none"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(&server.user.private)
        .args(["-p", &server.address.port().to_string(), "me@127.0.0.1", "echo begun; read x; echo $x"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    server.order(order);
    // Its end is not always seen before this is written.
    let _ = writeln!(child.stdin.take().unwrap(), "ended");
    let output = child.wait_with_output().unwrap();
    let mut said = String::new();
    stdout.read_line(&mut said).unwrap();
    (output.status.code(), format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_that_changes_while_connected_ends_the_connection_as_ssh_does() {
    for known in [1, 2] {
        let mut server = Swapping::start();
        let known = server.known(known);
        let (status, said) = ssh(&mut server, &known, "again");
        assert_eq!((status, said.as_str()), (Some(0), "ended\n"));
        let (status, said) = ssh(&mut server, &known, "swap");
        assert!(status == Some(255) && said.contains("Host key verification failed"), "{status:?} {said}");

        let spec = Arc::new(server.spec("box", known));
        let pool = Pool::new(PoolConfig::default());
        let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
        let (one, other) = (marker(), marker());
        let (long, beside) = (request(&format!("sleep {one}")), request(&format!("sleep {other}")));
        let (first, second) = (call(), call());
        let swap = async {
            eventually("both run", || runs(&one) && runs(&other)).await;
            assert_eq!(tokio::task::block_in_place(|| server.order("again")), "done");
            assert!(runs(&one) && runs(&other));
            // Whether the server has noticed by now is no matter.
            tokio::task::block_in_place(|| server.order("swap"));
        };
        let (long, beside, ()) = tokio::join!(lease.exec(&long, &first), lease.exec(&beside, &second), swap);
        for outcome in [long, beside] {
            let error = outcome.unwrap_err();
            assert!(server.is_told(&error, "box"), "{error:?}");
            assert!(error.message().ends_with("connection ended; the command may have run"), "{error:?}");
        }
        assert_eq!(pool.snapshot().dials, 1, "nothing is tried again");
        // A new connection meets a key of its own.
        assert_eq!(lease.exec(&request("exit 6"), &call()).await.unwrap().ending, Ending::Exited(6));
        assert_eq!(pool.snapshot().dials, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_being_read_when_the_host_key_changes_is_not_read_on_elsewhere() {
    let mut server = Swapping::start();
    let file = server.dir.path().join("large");
    std::fs::write(&file, vec![b'x'; 32 << 20]).unwrap();
    let spec = Arc::new(server.spec("box", server.known(1)));
    let pool = Pool::new(PoolConfig::default());
    let lease = pool.lease(&me(), &spec, &call()).await.unwrap();
    let (mut sink, mut source) = tokio::io::duplex(1 << 16);
    let (path, call) = (remote(file.display().to_string()), call());
    let reading = async {
        let outcome = lease.read_to(&path, Part::Whole, &mut sink, &call).await;
        drop(sink);
        outcome
    };
    let swap = async {
        let begun = source.read_exact(&mut [0; 1 << 16]).await;
        tokio::task::block_in_place(|| server.order("swap"));
        let dials = pool.snapshot().dials;
        tokio::io::copy(&mut source, &mut tokio::io::sink()).await.unwrap();
        (begun, dials)
    };
    let (outcome, (begun, dials)) = tokio::join!(reading, swap);
    let error = outcome.unwrap_err();
    begun.unwrap_or_else(|_| panic!("{error:?}"));
    assert!(server.is_told(&error, "box"), "{error:?}");
    assert_eq!(pool.snapshot().dials, dials);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_host_whose_key_changes_ends_what_goes_through_it() {
    let (mut hop, target) = (Swapping::start(), Sshd::start());
    let mut spec = spec(&target, target.address());
    spec.proxy = Proxy::Jump(vec![Arc::new(hop.spec("hop", hop.known(1)))]);
    let pool = Pool::new(PoolConfig::default());
    let lease = pool.lease(&me(), &Arc::new(spec), &call()).await.unwrap();
    let (word, call) = (marker(), call());
    let long = request(&format!("sleep {word}"));
    let swap = async {
        eventually("it runs", || runs(&word)).await;
        assert_eq!(tokio::task::block_in_place(|| hop.order("again")), "done");
        assert!(runs(&word));
        tokio::task::block_in_place(|| hop.order("swap"));
    };
    let (outcome, ()) = tokio::join!(lease.exec(&long, &call), swap);
    let error = outcome.unwrap_err();
    assert!(hop.is_told(&error, "box"), "{error:?}");
    assert!(error.message().starts_with("box: jump host hop: the host's key changed"), "{error:?}");
    assert_eq!(pool.snapshot().dials, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn later_exchanges_with_the_same_key_interrupt_nothing() {
    let world = World::with(&SshdOptions {
        is_verbose: true,
        extra: vec!["RekeyLimit 256K".to_owned()],
        ..SshdOptions::default()
    });
    let content: Vec<u8> = (0..4_u32 << 20).map(|at| (at % 251) as u8).collect();
    let large = world.sshd.dir().join("large");
    std::fs::write(&large, &content).unwrap();
    let (large, lease, calls) = (large.display().to_string(), world.lease().await, call());
    let path = remote(&large);
    let mut whole = Vec::new();
    let reading = lease.read_to(&path, Part::Whole, &mut whole, &calls);
    let commands = futures_util::future::join_all((0..12).map(|n| {
        let (lease, large) = (&lease, &large);
        async move {
            let outcome = lease.exec(&request(&format!("head -c 300000 {large}; exit {n}")), &call()).await.unwrap();
            assert_eq!((outcome.ending, outcome.stdout.data.len()), (Ending::Exited(n), 300_000));
        }
    }));
    let short = async {
        for at in (0..content.len()).step_by(200_000) {
            let (_, part) = lease.read(&path, at as u64, 100_000, &call()).await.unwrap();
            assert!(part.data == content[at..content.len().min(at + 100_000)], "at {at}");
        }
    };
    let (transfer, _, ()) = tokio::join!(reading, commands, short);
    transfer.unwrap();
    assert!(whole == content, "the file is whole");
    let exchanges = || world.sshd.log().iter().filter(|line| line.contains("SSH2_MSG_NEWKEYS received")).count();
    eventually("keys were exchanged many times", || exchanges() > 20).await;
}
