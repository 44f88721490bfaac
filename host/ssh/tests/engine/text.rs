//! What a server says cannot steer a terminal, add a line to a message or hide from whoever reads it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use scout_machine::{ErrorKind, HostError};
use scout_ssh::{DialConfig, HostSpec, Pool, PoolConfig};
use scout_tests::{generate_key, login_name};
use tokio::io::AsyncWriteExt as _;

use crate::fake::{FakeSshd, FakeTcp, MARK, Then, Wants, packet, secret_command, shows_mark, string};
use crate::world::{call, dialling_with, me, remote, request};

fn spec(address: SocketAddr, dir: &Path, known: &str) -> Arc<HostSpec> {
    let known_hosts = dir.join("known_hosts");
    std::fs::write(&known_hosts, known).unwrap();
    Arc::new(HostSpec {
        identity_files: vec![generate_key(dir, "id").private],
        identities_only: true,
        user_known_hosts_files: vec![known_hosts],
        ..HostSpec::new("box", "127.0.0.1", address.port(), login_name())
    })
}

fn is_shown(error: &HostError) -> bool {
    let text = format!("{error}{}", error.hint().unwrap_or_default());
    assert!(text.len() < 4096, "{text}");
    shows_mark(&text)
}

#[tokio::test]
async fn what_a_server_says_before_it_is_known_is_shown_and_obeyed_by_nobody() {
    let identification = b"SSH-2.0-x\r\n";
    // russh takes no other names than ASCII.
    let name: String = MARK.chars().filter(char::is_ascii).collect();
    let offer = [&[20][..], &[7; 16], &string(vec![name; 400].join(",").as_bytes()).repeat(10), &[0; 5]].concat();
    let goodbye = [&[1, 0, 0, 0, 2][..], &string(MARK.as_bytes()), &string(MARK.as_bytes())].concat();
    // Without the line feed in it: the first line is what is told.
    let greeting = [MARK.replace('\n', "").as_bytes(), b"\r\n"].concat();
    for (says, kind) in [
        (greeting.clone(), ErrorKind::Unreachable),
        ([&identification[..], &packet(&offer)].concat(), ErrorKind::Unreachable),
        ([&identification[..], &packet(&goodbye)].concat(), ErrorKind::Unreachable),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let said = says.clone();
        let server = FakeTcp::start(move |mut stream| {
            let said = said.clone();
            async move {
                stream.write_all(&said).await.unwrap();
                stream.shutdown().await.unwrap();
                stream
            }
        })
        .await;
        let spec = spec(server.address, dir.path(), "");
        let error = Pool::new(PoolConfig::default()).lease(&me(), &spec, &call()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(is_shown(&error), "{error:?} for {:?}", String::from_utf8_lossy(&says));
    }
}

#[tokio::test]
async fn what_a_server_says_to_requests_is_shown_and_obeyed_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::PublicKey], Then::Complains).await;
    let spec = spec(server.address, dir.path(), &server.known_hosts_line());
    let lease = Pool::new(PoolConfig::default()).lease(&me(), &spec, &call()).await.unwrap();
    let error = lease.exec(&request("exit 3"), &call()).await.unwrap_err();
    assert!(is_shown(&error), "{error:?}");
    for error in [
        lease.stat(&remote(b"/x"), &call()).await.unwrap_err(),
        lease.read(&remote(b"/x"), 0, 10, &call()).await.unwrap_err(),
        lease.open(&remote(b"/x"), 10, 10, &call()).await.unwrap_err(),
        lease.real_path(&remote(b"/x"), &call()).await.unwrap_err(),
        lease.stat(&remote(MARK.as_bytes()), &call()).await.unwrap_err(),
    ] {
        assert!(is_shown(&error), "{error:?}");
    }
}

#[tokio::test]
async fn what_a_server_asks_is_shown_to_the_secret_command_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let server = FakeSshd::start(&[Wants::Answers(vec![vec![(MARK, "right")]])], Then::ClosesWithMark).await;
    let spec = spec(server.address, dir.path(), &server.known_hosts_line());
    let secrets = secret_command(dir.path(), "echo right");
    let pool = dialling_with(DialConfig { secret_command: Some(secrets), ..DialConfig::default() });
    if let Err(error) = pool.lease(&me(), &spec, &call()).await {
        // The goodbye came before the yes.
        assert!(is_shown(&error), "{error:?}");
    }
    let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap();
    let lines: Vec<&str> = asked.lines().collect();
    assert!(lines.len() == 1 && shows_mark(lines[0]), "{asked:?}");
}
