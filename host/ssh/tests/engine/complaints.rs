//! What a login shell says instead of running the SFTP server.

use std::sync::Arc;

use scout_machine::{ErrorKind, HostError};
use scout_ssh::{Pool, PoolConfig};
use scout_tests::{Sftp, SshdOptions};

use crate::odd::OddSshd;
use crate::world::{World, call, me, remote};

/// What is said of a host whose sshd has these lines.
async fn told(sftp: Sftp, lines: &[&str]) -> HostError {
    let extra = lines.iter().map(|line| (*line).to_owned()).collect();
    let world = World::with(&SshdOptions { sftp, extra, ..SshdOptions::default() });
    world.lease().await.stat(&remote(b"/etc"), &call()).await.unwrap_err()
}

#[tokio::test]
async fn a_restricted_shell_that_runs_nothing_is_told_in_its_words() {
    let error = told(Sftp::External, &["ForceCommand exec bash -r -c \"$SSH_ORIGINAL_COMMAND\""]).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    // sshd throws away what is said to a subsystem, and not what is said to a command.
    let ended = "box: the server ended the SFTP channel; its program ended with exit status ";
    assert!(error.message().starts_with(ended), "{error}");
    let said =
        "; the login shell did not run the command, or hides what it prints; it said: bash: line 1: exec: restricted";
    assert!(error.message().contains(said), "{error}");
    assert!(error.hint().unwrap().contains("`Subsystem sftp internal-sftp`"), "{error:?}");
}

#[tokio::test]
async fn what_is_said_on_the_channel_of_sftp_is_told() {
    for way in ["complains", "early"] {
        let server = OddSshd::start(way);
        let lease = Pool::new(PoolConfig::default()).lease(&me(), &Arc::new(server.spec()), &call()).await.unwrap();
        let error = lease.stat(&remote(b"/etc"), &call()).await.unwrap_err();
        let told = "box: the server ended the SFTP channel; it said \"rbash: eingeschr\u{fffd}nkt\"; its program ended with exit status 126";
        assert!(error.message().starts_with(told), "{way}: {error}");
    }
}

#[tokio::test]
async fn an_sftp_server_that_is_missing_is_told() {
    // Commands are refused, too: else they do what the server would.
    let forced =
        "ForceCommand case $SSH_ORIGINAL_COMMAND in */sftp-server) exec $SSH_ORIGINAL_COMMAND;; *) exit 1;; esac";
    let lines = ["Subsystem sftp /nonexistent/sftp-server", forced];
    let error = told(Sftp::Absent, &lines).await;
    let told = "box: the server ended the SFTP channel; its program ended with exit status 127";
    assert!(error.message().starts_with(told), "{error}");
}

#[tokio::test]
async fn what_a_shell_says_beside_a_server_that_works_disturbs_nothing() {
    let forced = "ForceCommand yes complaint | head -c 300000 >&2; exec $SSH_ORIGINAL_COMMAND";
    let extra = vec![forced.to_owned()];
    let world = World::with(&SshdOptions { extra, ..SshdOptions::default() });
    assert!(world.lease().await.stat(&remote(b"/etc"), &call()).await.is_ok());
    // What is said on the output is told as ever.
    let error = told(Sftp::External, &["ForceCommand echo This account is currently not available."]).await;
    assert!(error.message().contains("it printed `This account is currently not available."), "{error}");
}
