//! What servers and agents say in bytes that are not UTF-8, and before they name themselves: it ends nothing, and is shown.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use scout_machine::{ErrorKind, HostError};
use scout_ssh::{DialConfig, HostSpec, Pool, PoolConfig};
use scout_tests::{Agent, Sshd, SshdOptions, generate_key, login_name};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fake::{FakeTcp, secret_command};
use crate::odd::OddSshd;
use crate::world::{call, dialling_with, me, request, spec};

/// As a Latin-1 text looks whose bytes are not UTF-8.
const WORDS: &str = "Zutritt f\u{fffd}r Unbefugte verboten: B\u{fffd}ro Z\u{fffd}rich";

async fn run(config: DialConfig, spec: HostSpec) -> Result<(), HostError> {
    let pool = dialling_with(config);
    let lease = pool.lease(&me(), &Arc::new(spec), &call()).await?;
    let outcome = lease.exec(&request("echo in"), &call()).await?;
    assert_eq!(&*outcome.stdout.data, b"in\n");
    Ok(())
}

#[tokio::test]
async fn a_banner_in_latin_1_ends_no_login_and_is_shown_if_nobody_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let banner = dir.path().join("banner");
    std::fs::write(&banner, b"Zutritt f\xfcr Unbefugte verboten: B\xfcro Z\xfcrich\r\n").unwrap();
    let options = SshdOptions { extra: vec![format!("Banner {}", banner.display())], ..SshdOptions::default() };
    let sshd = Sshd::start_with(&options);
    run(DialConfig::default(), spec(&sshd, sshd.address())).await.unwrap();
    let stranger = generate_key(dir.path(), "stranger").private;
    let stranger = HostSpec { identity_files: vec![stranger], ..spec(&sshd, sshd.address()) };
    let error = run(DialConfig::default(), stranger).await.unwrap_err();
    assert!(error.message().ends_with(&format!("; the server said \"{WORDS}\"")), "{error}");
    assert!(error.hint().unwrap().starts_with("see what the server said; "), "{error:?}");

    // One that says it before it is asked anything.
    run(DialConfig::default(), OddSshd::start("banner").spec()).await.unwrap();
    let error = run(DialConfig::default(), OddSshd::start("refuses").spec()).await.unwrap_err();
    assert!(error.message().ends_with(&format!("; the server said \"{WORDS} Fragen Sie 12345.\"")), "{error}");
}

#[tokio::test]
async fn prompts_and_farewells_and_refusals_in_latin_1_are_shown() {
    let server = OddSshd::start("prompts");
    let secrets = secret_command(server.dir.path(), "echo right");
    run(DialConfig { secret_command: Some(secrets), ..DialConfig::default() }, server.spec()).await.unwrap();
    let asked = std::fs::read_to_string(server.dir.path().join("asked")).unwrap();
    assert!(asked.ends_with("@127.0.0.1) Schl\u{fffd}ssel?\n"), "{asked}");
    // Without anybody to ask, the question is told.
    let error = run(DialConfig::default(), server.spec()).await.unwrap_err();
    let told = "keyboard-interactive (it asks \"Schl\u{fffd}ssel?\", and there is no secret command)";
    assert!(error.message().contains(told), "{error}");
    assert_eq!(
        error.hint(),
        Some("the server accepts no keys for this account: set a `secret_command`, which gives Scout the password")
    );

    let error = run(DialConfig::default(), OddSshd::start("ends").spec()).await.unwrap_err();
    assert!(error.message().contains(&format!("then the server closed the connection ({WORDS})")), "{error}");

    let error = run(DialConfig::default(), OddSshd::start("closed").spec()).await.unwrap_err();
    assert_eq!(error.message(), format!("box: the server opens no session channel; it said \"{WORDS}\""));
}

/// An agent in front of another one, which adds to its list what only other agents have.
fn odd_agent(socket: &Path, behind: &Path) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    let behind = behind.to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::UnixStream::connect(&behind).await.unwrap();
            tokio::spawn(async move {
                while let Ok(length) = near.read_u32().await {
                    let mut request = vec![0; length as usize];
                    near.read_exact(&mut request).await.unwrap();
                    far.write_u32(length).await.unwrap();
                    far.write_all(&request).await.unwrap();
                    let length = far.read_u32().await.unwrap();
                    let mut answer = vec![0; length as usize];
                    far.read_exact(&mut answer).await.unwrap();
                    if request == [11] {
                        let kind = crate::fake::string(b"ssh-mldsa44-ed25519");
                        let key = crate::fake::string(&[kind, crate::fake::string(&[7; 1344])].concat());
                        let more = [key, crate::fake::string(b"J\xfcrgens Schl\xfcssel")].concat();
                        answer[4] += 1;
                        answer.splice(5..5, more);
                    }
                    near.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
                    near.write_all(&answer).await.unwrap();
                }
            });
        }
    })
}

#[tokio::test]
async fn an_odd_key_of_an_agent_hides_no_other_one() {
    let sshd = Sshd::start();
    let (behind, plain, odd) = (sshd.dir().join("behind"), sshd.user_key().private.clone(), sshd.dir().join("odd"));
    let _agent = Agent::start(&behind, &[&plain]);
    let task = odd_agent(&odd, &behind);
    let host = HostSpec {
        agent: Some(odd),
        identity_files: Vec::new(),
        identities_only: false,
        ..spec(&sshd, sshd.address())
    };
    run(DialConfig::default(), host.clone()).await.unwrap();
    std::fs::write(sshd.dir().join("authorized_keys"), "").unwrap();
    let error = run(DialConfig::default(), host).await.unwrap_err();
    let left_out = "agent key ssh-mldsa44-ed25519 (a kind of key that Scout does not have)";
    assert!(error.message().contains(left_out) && error.message().contains("tried agent key SHA256:"), "{error}");
    task.abort();
}

/// Whether the real `ssh` gets as far as keys with a server that says this before it says nothing more.
fn ssh_goes_on(port: u16) -> bool {
    let mut command = Command::new("ssh");
    command.args(["-v", "-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"]);
    let output = command.args(["-p", &port.to_string(), "127.0.0.1", "true"]).stdin(Stdio::null()).output();
    let said = output.expect("apt-get install openssh-client").stderr;
    String::from_utf8_lossy(&said).contains("Remote protocol version ")
}

#[tokio::test(flavor = "multi_thread")]
async fn as_much_as_ssh_takes_may_come_before_the_identification() {
    let name = |length: usize| format!("SSH-2.0-{}\r\n", "x".repeat(length - 8)).into_bytes();
    let lines = |count: usize, line: &[u8]| [line, b"\n"].concat().repeat(count);
    for (says, goes_on) in [
        ([lines(1023, b"welcome"), name(20)].concat(), true),
        ([lines(1024, b"welcome"), name(20)].concat(), false),
        ([lines(40, &[b'x'; 8192]), name(20)].concat(), true),
        ([lines(1, &[b'x'; 8193]), name(20)].concat(), false),
        ([lines(3, b""), name(20)].concat(), true),
        ([lines(1, b"B\xfcro"), b"SSH-2.0-B\xfcro\r\n".to_vec()].concat(), true),
        (name(8192), true),
        (name(8193), false),
        (b"SSH-2.0-x\n".to_vec(), true),
        (b"SSH-1.99-x\r\n".to_vec(), true),
    ] {
        let told = says.clone();
        let server = FakeTcp::start(move |mut stream| {
            let says = told.clone();
            async move {
                // Whoever has read enough is gone.
                let _ = stream.write_all(&says).await;
                let _ = stream.shutdown().await;
                stream
            }
        })
        .await;
        let port = server.address.port();
        let shown = String::from_utf8_lossy(&says[says.len().saturating_sub(60)..]).into_owned();
        let theirs = tokio::task::spawn_blocking(move || ssh_goes_on(port)).await.unwrap();
        assert_eq!(theirs, goes_on, "ssh: {} bytes … {shown:?}", says.len());
        let accepted = server.accepted();
        let host = HostSpec::new("box", "127.0.0.1", port, login_name());
        let error =
            Pool::new(PoolConfig::default()).lease(&me(), &Arc::new(host), &call()).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        let named = !error.message().contains("does not name itself");
        assert_eq!(named, goes_on, "{} bytes … {shown:?}: {error}", says.len());
        // A server that has named itself, and one that never does, is asked once.
        assert_eq!(server.accepted() - accepted, 1, "{error}");
    }
}

#[tokio::test]
async fn a_server_of_another_version_is_told_as_one() {
    let server = FakeTcp::start(async |mut stream| {
        stream.write_all(b"SSH-1.5-Cisco-1.25\n").await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    })
    .await;
    let host = HostSpec::new("box", "127.0.0.1", server.address.port(), login_name());
    let error = Pool::new(PoolConfig::default()).lease(&me(), &Arc::new(host), &call()).await.map(drop).unwrap_err();
    assert!(
        error.message().ends_with("it speaks another version of SSH: it names itself \"SSH-1.5-Cisco-1.25\""),
        "{error}"
    );
}
