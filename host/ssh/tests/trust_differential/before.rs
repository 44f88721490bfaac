//! Nothing of authentication leaves before the verdict.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use scout_machine::Call;
use scout_ssh::config::StrictHostKeyChecking;
use scout_ssh::trust::{Decision, Verdict};
use scout_ssh::{HostSpec, Pool, PoolConfig};
use scout_tests::{Sshd, SshdOptions};

use crate::servers::{keygen, make_key};
use crate::verdicts::{Said, dial, plain_spec};

/// A relay that keeps what clients send, connection by connection.
struct Recorder {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<JoinHandle<Vec<u8>>>>>,
}

impl Recorder {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&connections);
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).unwrap();
                kept.lock().unwrap().push(std::thread::spawn(move || record(client, server)));
            }
        });
        Self { address, connections }
    }

    /// What each connection carried to the server until it was closed.
    fn take(&self) -> Vec<Vec<u8>> {
        let connections: Vec<_> = self.connections.lock().unwrap().drain(..).collect();
        connections.into_iter().map(|connection| connection.join().unwrap()).collect()
    }
}

fn record(mut client: TcpStream, mut server: TcpStream) -> Vec<u8> {
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut sent, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        sent.extend_from_slice(&buffer[..read]);
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    back.join().unwrap();
    sent
}

/// What a client sent after it had switched to its first keys: all of that is encrypted, and authentication.
fn after_new_keys(sent: &[u8]) -> &[u8] {
    const NEWKEYS: u8 = 21;
    let banner = sent.windows(2).position(|bytes| bytes == b"\r\n").expect("an identification") + 2;
    let mut rest = &sent[banner..];
    while rest.len() > 5 {
        let length = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
        let message = rest[5];
        rest = &rest[4 + length..];
        if message == NEWKEYS {
            return rest;
        }
    }
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_host_that_is_not_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let [authority, other, ecdsa] =
        [("ca", "ed25519"), ("other", "ed25519"), ("ecdsa", "ecdsa")].map(|(name, kind)| make_key(at, name, kind));
    let own = make_key(at, "host", "ed25519");
    keygen(&["-q", "-s", "ca", "-I", "id", "-h", "-n", "127.0.0.1", "host.pub"], at);
    let path = |name: &str| at.join(name).display().to_string();
    let certified = ["HostKey", "HostCertificate"].iter().zip(["host", "host-cert.pub"]);
    let certified = certified.map(|(word, file)| format!("{word} {}", path(file))).collect();
    let sshd = Sshd::start_with(&SshdOptions { extra: certified, ..SshdOptions::default() });
    let plain = Sshd::start();
    let shown = plain.host_key().public.clone();
    for (server, strict, lines, said, connections) in [
        (&plain, StrictHostKeyChecking::Yes, format!("* {shown}"), Said::Accepted, 1),
        (&sshd, StrictHostKeyChecking::Yes, format!("@cert-authority * {authority}"), Said::Accepted, 1),
        (&plain, StrictHostKeyChecking::Yes, String::new(), Said::Unknown, 1),
        (&plain, StrictHostKeyChecking::Yes, format!("@cert-authority * {authority}"), Said::Unknown, 1),
        (&plain, StrictHostKeyChecking::AcceptNew, format!("* {other}"), Said::Changed, 1),
        // Asked a second time, for a certificate.
        (&plain, StrictHostKeyChecking::AcceptNew, format!("* {ecdsa}"), Said::Changed, 2),
        (&plain, StrictHostKeyChecking::AcceptNew, format!("* {shown}\n@revoked * {shown}"), Said::Revoked, 1),
        (&sshd, StrictHostKeyChecking::Yes, format!("@cert-authority * {other}"), Said::Unknown, 1),
        (&sshd, StrictHostKeyChecking::AcceptNew, format!("@revoked * {authority}\n* {own}"), Said::Revoked, 1),
        (
            &sshd,
            StrictHostKeyChecking::AcceptNew,
            format!("@cert-authority * {authority}\n@revoked * {own}"),
            Said::Revoked,
            1,
        ),
    ] {
        let recorder = Recorder::start(server.address());
        let file = at.join("known_hosts");
        fs::write(&file, format!("{lines}\n")).unwrap();
        let spec = HostSpec {
            user_known_hosts_files: vec![file],
            strict_host_key_checking: strict,
            // Would be offered, and is never accepted.
            identity_files: vec![at.join("other")],
            ..plain_spec("127.0.0.1", recorder.address.port())
        };
        assert_eq!(dial(spec.clone()).await, said, "{lines}");
        let sent = recorder.take();
        // Asked for the key alone, the engine decides the same.
        let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
        let decision = Pool::new(PoolConfig::default()).host_key(&spec, &call).await.unwrap().decision;
        let told = match decision {
            Decision::Trusted(_) => Said::Accepted,
            Decision::Refused(Verdict::Unknown) => Said::Unknown,
            Decision::Refused(Verdict::Changed(_)) => Said::Changed,
            Decision::Refused(Verdict::Revoked(_)) => Said::Revoked,
            other => panic!("{other:?}: {lines}"),
        };
        assert_eq!(told, said, "{lines}");
        assert_eq!(sent.len(), connections, "{lines}");
        for sent in sent {
            let rest = after_new_keys(&sent);
            assert_eq!(rest.is_empty(), said != Said::Accepted, "{} bytes after the keys: {lines}", rest.len());
        }
    }
}
