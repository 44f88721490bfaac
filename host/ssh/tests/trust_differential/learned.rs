//! What is learned can be read by everybody.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use russh::keys::PublicKey;
use scout_ssh::HostSpec;
use scout_ssh::config::{AddressFamily, Source};
use scout_ssh::trust::{self, KnownHosts, Verdict};
use scout_tests::{Sshd, SshdOptions};

use crate::servers::{make_key, patient};
use crate::verdicts::plain_spec;

/// Whether `ssh-keygen -F` finds exactly this key under a name.
fn keygen_finds(file: &Path, name: &str, key: &str) -> bool {
    let output = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let keys: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once(' ').unwrap().1).collect();
    keys == [key]
}

#[test]
fn learned_lines_are_read_alike_by_ssh_keygen_and_by_us() {
    let dir = tempfile::tempdir().unwrap();
    let key = make_key(dir.path(), "key", "ecdsa");
    let other = make_key(dir.path(), "other", "ed25519");
    let public = PublicKey::from_openssh(&key).unwrap();
    let hosts = [
        ("Web.Example.org", 22, None, "web.example.org"),
        ("web.example.org", 2222, None, "[web.example.org]:2222"),
        ("127.1", 22, None, "127.0.0.1"),
        ("FE80::0001", 2222, None, "[fe80::1]:2222"),
        ("10.0.0.1", 2222, Some("Alias"), "alias"),
        ("b\u{fc}cher.example", 22, None, "b\u{fc}cher.example"),
    ];
    let spec = |host, port, alias: Option<&str>| HostSpec {
        host_key_alias: alias.map(str::to_owned),
        address_family: AddressFamily::Any,
        ..plain_spec(host, port)
    };
    for hashed in [false, true] {
        let file = dir.path().join(format!("known_hosts_{hashed}"));
        fs::write(&file, format!("# kept\nsomebody {other}")).unwrap();
        for (host, port, alias, name) in hosts {
            let (known_as, port) = trust::known_as(&spec(host, port, alias));
            assert!(!keygen_finds(&file, name, &key), "{name}");
            trust::learn(&file, &known_as, port, &public, hashed).unwrap();
            assert!(keygen_finds(&file, name, &key), "{name}:\n{}", fs::read_to_string(&file).unwrap());
        }
        let known = KnownHosts::load(&[&file]).unwrap();
        assert!(known.warnings().is_empty(), "{:?}", known.warnings());
        for ((host, port, alias, _), line) in hosts.into_iter().zip(3..) {
            let (known_as, port) = trust::known_as(&spec(host, port, alias));
            let source = Source { file: file.clone(), line };
            assert_eq!(known.check(&known_as, port, &public), Verdict::Known(source), "{host}");
        }
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches("|1|").count(), if hashed { hosts.len() } else { 0 }, "{text}");
    }
}

#[test]
fn those_who_learn_at_once_and_ssh_among_them_write_whole_lines() {
    const THREADS: usize = 8;
    const HOSTS: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let key = make_key(dir.path(), "key", "rsa");
    let public = PublicKey::from_openssh(&key).unwrap();
    let sshd = Sshd::start_with(&SshdOptions { extra: patient(), ..SshdOptions::default() });
    fs::write(&file, "").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (file, public, sshd) = (&file, &public, &sshd);
            scope.spawn(move || {
                for host in 0..HOSTS {
                    trust::learn(file, &format!("h{host}"), 22, public, thread % 2 == 0).unwrap();
                }
            });
            scope.spawn(move || {
                let mut command = Command::new("ssh");
                command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"]);
                command.args(["-o", &format!("UserKnownHostsFile={}", file.display())]);
                command.args(["-o", "PubkeyAuthentication=no", "-o", &format!("HostKeyAlias=ssh{thread}")]);
                command.args(["-p", &sshd.address().port().to_string(), "nobody@127.0.0.1", "true"]);
                let output = command.stdin(Stdio::null()).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(text.contains("Permanently added") && text.contains("Permission denied"), "{text}");
            });
        }
    });
    let known = KnownHosts::load(&[&file]).unwrap();
    assert!(known.warnings().is_empty(), "{:?}", known.warnings());
    let shown = PublicKey::from_openssh(&sshd.host_key().public).unwrap();
    for (prefix, count, key) in [("h", HOSTS, &public), ("ssh", THREADS, &shown)] {
        for index in 0..count {
            let name = format!("{prefix}{index}");
            assert!(matches!(known.check(&name, 22, key), Verdict::Known(_)), "{name}");
        }
    }
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), HOSTS + THREADS, "each name has one line");
}
