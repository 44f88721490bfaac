//! What is negotiated with servers that were hardened, and with old ones; and what is said when nothing can be.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use scout_machine::{ErrorKind, HostError};
use scout_ssh::{Lease, Pool, PoolConfig, SshConfig};
use scout_tests::{Sshd, SshdOptions, login_name, newer_openssh};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};

use crate::fake::{FakeTcp, packet, string};
use crate::world::{call, me, request};

fn server(lines: &[&str]) -> Sshd {
    let extra = lines.iter().map(|line| (*line).to_owned()).collect();
    Sshd::start_with(&SshdOptions { extra, ..SshdOptions::default() })
}

/// Logs in as an ssh_config with this line has it, and runs a command.
async fn log_in(sshd: &Sshd, line: &str) -> Result<(), HostError> {
    let (address, known) = (sshd.address(), sshd.dir().join("known_hosts"));
    if !known.exists() {
        std::fs::write(&known, sshd.known_hosts_line(address)).unwrap();
    }
    let config = sshd.dir().join("config");
    let text = format!(
        "Host box\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentityAgent none\n  UserKnownHostsFile {}\n  {line}\n",
        address.ip(),
        address.port(),
        login_name(),
        sshd.user_key().private.display(),
        known.display()
    );
    std::fs::write(&config, text).unwrap();
    let spec = SshConfig::load(&config, None, sshd.dir()).unwrap().resolve("box").unwrap();
    let pool = Pool::new(PoolConfig::default());
    let lease: Lease = pool.lease(&me(), &Arc::new(spec), &call()).await?;
    let outcome = lease.exec(&request("echo in"), &call()).await?;
    assert_eq!(&*outcome.stdout.data, b"in\n");
    Ok(())
}

/// The groups of `bits` bits that the machine's sshd has, and no others.
fn moduli(dir: &Path, bits: u32) -> String {
    // The field counts one less.
    let field = (bits - 1).to_string();
    let all = std::fs::read_to_string("/etc/ssh/moduli").expect("apt-get install openssh-server");
    let is_meant = |line: &&str| line.split(' ').nth(4) == Some(&field);
    let some: Vec<&str> = all.lines().filter(is_meant).take(2).collect();
    assert!(!some.is_empty(), "no group of {bits} bits in /etc/ssh/moduli");
    let file = dir.join("moduli");
    std::fs::write(&file, some.join("\n") + "\n").unwrap();
    format!("ModuliFile {}", file.display())
}

#[tokio::test]
async fn a_hardened_server_is_logged_in_to_without_a_line_of_ssh_config() {
    let dir = tempfile::tempdir().unwrap();
    let groups = moduli(dir.path(), 2048);
    for lines in [
        // As CIS and STIG images have it.
        &["Ciphers aes256-ctr,aes192-ctr,aes128-ctr", "MACs hmac-sha2-512,hmac-sha2-256"][..],
        &["Ciphers aes128-ctr", "MACs hmac-sha2-256-etm@openssh.com"],
        &["Ciphers aes192-ctr", "MACs hmac-sha2-512-etm@openssh.com"],
        &["Ciphers aes256-ctr", "MACs hmac-sha1"],
        &["Ciphers aes256-gcm@openssh.com", "MACs hmac-sha1-etm@openssh.com"],
        &["KexAlgorithms ecdh-sha2-nistp256"],
        &["KexAlgorithms ecdh-sha2-nistp384"],
        &["KexAlgorithms ecdh-sha2-nistp521"],
        &["KexAlgorithms diffie-hellman-group-exchange-sha256", &groups],
        &["KexAlgorithms diffie-hellman-group14-sha256"],
    ] {
        log_in(&server(lines), "").await.unwrap_or_else(|error| panic!("{lines:?}: {error}"));
    }
}

/// A server with an RSA host key, that is in this directory.
fn rsa_server(dir: &Path, lines: &[&str]) -> Sshd {
    let key = dir.join("rsa");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("apt-get install openssh-client").success());
    let host_key = format!("HostKey {}", key.display());
    let sshd = server(&[&[host_key.as_str()][..], lines].concat());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let line = format!("[{}]:{} {public}", sshd.address().ip(), sshd.address().port());
    std::fs::write(sshd.dir().join("known_hosts"), line).unwrap();
    sshd
}

#[tokio::test]
async fn an_old_server_is_refused_with_the_line_that_lets_it_in() {
    let dir = tempfile::tempdir().unwrap();
    for (sshd, offers) in [
        (server(&["Ciphers 3des-cbc,aes128-cbc,aes256-cbc"]), "it offers 3des-cbc,aes128-cbc,aes256-cbc"),
        (server(&["Ciphers 3des-cbc"]), "it offers 3des-cbc"),
        (server(&["KexAlgorithms diffie-hellman-group14-sha1"]), "it offers diffie-hellman-group14-sha1"),
        (rsa_server(dir.path(), &["HostKeyAlgorithms ssh-rsa"]), "it offers ssh-rsa"),
    ] {
        let error = log_in(&sshd, "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.message().contains(" in common: Scout offers ") && error.message().ends_with(offers), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("under `Host box`"), "{hint}");
        let line = hint.rsplit('`').nth(1).unwrap();
        log_in(&sshd, line).await.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[tokio::test]
async fn a_server_that_no_line_lets_in_is_told_as_one() {
    let sshd = server(&["Ciphers aes256-ctr", "MACs umac-128@openssh.com"]);
    let error = log_in(&sshd, "").await.unwrap_err();
    assert!(error.message().ends_with("it offers umac-128@openssh.com"), "{error}");
    assert!(
        error.hint().unwrap().starts_with("no line of ssh_config can fix it: Scout has no MAC of these"),
        "{error:?}"
    );
    // What the user's own line rules out, no second line brings back.
    let sshd = server(&["Ciphers aes256-ctr"]);
    let error = log_in(&sshd, "Ciphers aes128-gcm@openssh.com").await.unwrap_err();
    let hint = "add aes256-ctr to the line Ciphers that counts for box; `scout explain box` shows which";
    assert_eq!(error.hint(), Some(hint));
    log_in(&sshd, "Ciphers aes128-gcm@openssh.com,aes256-ctr").await.unwrap();
}

#[tokio::test]
async fn a_group_of_fewer_than_2048_bits_is_refused() {
    let lists = ["diffie-hellman-group-exchange-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr"];
    let lists = [&lists[..], &["hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""]].concat();
    let lists: Vec<u8> = lists.into_iter().flat_map(|list| string(list.as_bytes())).collect();
    let offer = [&[20][..], &[7; 16], &lists, &[0; 5]].concat();
    for bits in [1024, 2047] {
        // Odd and of that length: whether it is a prime is nobody's question before.
        let mut prime = vec![0xff; 256];
        match bits {
            1024 => prime.truncate(128),
            _ => prime[0] = 0x7f,
        }
        if prime[0] & 0x80 != 0 {
            prime.insert(0, 0);
        }
        let group = packet(&[&[31][..], &string(&prime), &string(&[2])].concat());
        let says = [&b"SSH-2.0-x\r\n"[..], &packet(&offer), &group].concat();
        let server = FakeTcp::start(move |mut stream| {
            let says = says.clone();
            async move {
                stream.write_all(&says).await.unwrap();
                stream
            }
        })
        .await;
        let host = scout_ssh::HostSpec::new("box", "127.0.0.1", server.address.port(), login_name());
        let error =
            Pool::new(PoolConfig::default()).lease(&me(), &Arc::new(host), &call()).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{bits}: {error}");
        assert!(error.message().contains("the handshake with 127.0.0.1:"), "{bits}: {error}");
    }
}

/// The lists of the first packet that a client sends: all that it offers.
async fn offered<F: Future<Output = ()>>(client: impl FnOnce(u16) -> F) -> Vec<Vec<String>> {
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let hearing = Arc::clone(&heard);
    let server = FakeTcp::start(move |mut stream| {
        let hearing = Arc::clone(&hearing);
        async move {
            stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            let mut stream = tokio::io::BufReader::new(stream);
            let mut identification = String::new();
            stream.read_line(&mut identification).await.unwrap();
            let length = stream.read_u32().await.unwrap();
            let mut packet = vec![0; length as usize];
            stream.read_exact(&mut packet).await.unwrap();
            *hearing.lock().unwrap() = packet;
            stream.shutdown().await.unwrap();
            stream.into_inner()
        }
    })
    .await;
    client(server.address.port()).await;
    let packet = heard.lock().unwrap().clone();
    // Behind the length of the padding, the message's number and the cookie.
    let (mut rest, mut lists) = (&packet[18..], Vec::new());
    for _ in 0..8 {
        let (length, after) = rest.split_first_chunk::<4>().unwrap();
        let (list, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        let is_one = |name: &&str| !name.starts_with("ext-info-") && !name.starts_with("kex-strict-");
        lists.push(std::str::from_utf8(list).unwrap().split(',').filter(is_one).map(str::to_owned).collect());
        rest = after;
    }
    lists
}

async fn offered_by_ssh(program: &Path) -> Vec<Vec<String>> {
    let mut command = tokio::process::Command::new(program);
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"]);
    command.args(["-o", "GlobalKnownHostsFile=/dev/null"]).stdin(std::process::Stdio::null());
    offered(|port| async move {
        let ran = command.args(["-p", &port.to_string(), "127.0.0.1", "true"]).output().await;
        ran.expect("apt-get install openssh-client");
    })
    .await
}

/// What russh lacks of what ssh offers.
fn is_lacking(name: &str) -> bool {
    ["sntrup761x25519-", "umac-", "sk-", "webauthn-sk-", "ssh-mldsa44-"].iter().any(|prefix| name.starts_with(prefix))
}

#[tokio::test]
async fn what_is_offered_is_what_ssh_offers() {
    let ours = offered(|port| async move {
        let host = scout_ssh::HostSpec::new("box", "127.0.0.1", port, login_name());
        let refused = Pool::new(PoolConfig::default()).lease(&me(), &Arc::new(host), &call()).await;
        assert_eq!(refused.map(drop).unwrap_err().kind(), ErrorKind::Unreachable);
    })
    .await;
    let kept = |lists: &[Vec<String>], index: usize| -> Vec<String> {
        lists[index].iter().filter(|name| !is_lacking(name)).cloned().collect()
    };
    let newer = offered_by_ssh(&newer_openssh().join("ssh")).await;
    let machines = offered_by_ssh(Path::new("ssh")).await;
    for (what, index) in
        [("key exchanges", 0), ("host keys", 1), ("ciphers", 2), ("ciphers", 3), ("MACs", 4), ("MACs", 5)]
    {
        assert_eq!(ours[index], kept(&newer, index), "{what}");
        // Older versions lack some, and have others in another order.
        let older = kept(&machines, index);
        assert!(older.iter().all(|name| ours[index].contains(name)), "{what}: {older:?}");
    }
}
