//! What surprised at these servers, and is found out once.

use std::os::unix::ffi::OsStrExt as _;

use scout_machine::{Ending, ErrorKind, Opened, Principal, RemotePath};
use scout_ssh::Lease;

use crate::server::{Kind, Server, call, remote, request, text};

/// A server with a small file, and the file's path.
async fn with_file(kind: Kind) -> (Server, RemotePath) {
    let server = tokio::task::spawn_blocking(move || Server::start(kind)).await.unwrap();
    let path = std::fs::canonicalize(server.dir()).unwrap().join("file");
    std::fs::write(&path, "small").unwrap();
    (server, remote(path.as_os_str().as_bytes()))
}

/// Reads the file; the round trips that this took.
async fn read(lease: &Lease, path: &RemotePath) -> u64 {
    let call = call();
    match lease.open(path, 100, 100, &call).await {
        Ok(Opened::File { content, .. }) if text(&content) == "small" => call.cost.snapshot().round_trips,
        other => panic!("{other:?}"),
    }
}

/// So many channels, the one ahead of need among them, whose opening nobody has to wait for then.
async fn are_open(server: &Server, channels: u64) {
    for _ in 0..1000 {
        if server.pool.snapshot().channels >= channels {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", server.pool);
}

#[tokio::test]
async fn a_guess_that_comes_too_early_is_made_once_on_a_host() {
    for kind in [Kind::Ssh2, Kind::SilentSsh2] {
        let (server, path) = with_file(kind).await;
        let lease = server.lease().await.unwrap();
        are_open(&server, 1).await;
        let first = read(&lease, &path).await;
        let second = read(&lease, &path).await;
        let seen = server.pool.snapshot();
        assert_eq!((seen.dials, seen.stalls), (1, 0), "{kind:?}");
        are_open(&server, 2).await;
        let other = server.pool.lease(&Principal::new("test", "other"), &server.spec, &call()).await.unwrap();
        are_open(&server, 3).await;
        // SFTP has to be started in the first two; the guess was the third, and is not made again on another connection.
        assert_eq!((first, second, read(&other, &path).await), (5, 2, 4), "{kind:?}");
    }
}

#[tokio::test]
async fn a_server_with_one_channel_for_a_connection_reads_and_runs_in_turn() {
    let (server, path) = with_file(Kind::TinySsh).await;
    let lease = server.lease().await.unwrap();
    for _ in 0..2 {
        read(&lease, &path).await;
        read(&lease, &path).await;
        let outcome = lease.exec(&request("echo ok"), &call()).await.unwrap();
        assert_eq!((outcome.ending, text(&outcome.stdout)), (Ending::Exited(0), "ok\n".to_owned()));
    }
    assert!(server.pool.snapshot().dials <= 5, "{:?}", server.pool.snapshot());
}

#[tokio::test]
async fn conch_as_it_is_fails_every_path_and_runs_commands() {
    let (server, path) = with_file(Kind::ConchAsItIs).await;
    let lease = server.lease().await.unwrap();
    let error = lease.open(&path, 100, 100, &call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
    let outcome = lease.exec(&request("echo ok; exit 5"), &call()).await.unwrap();
    assert_eq!((outcome.ending, text(&outcome.stdout)), (Ending::Exited(5), "ok\n".to_owned()));
}
