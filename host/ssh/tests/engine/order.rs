//! What is offered to log in with, and in what order, beside what the real `ssh` offers the same server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use scout_machine::ErrorKind;
use scout_ssh::{DialConfig, SshConfig, offers};
use scout_tests::{Agent, Sshd, SshdOptions, is_with_newer_openssh, login_name, with_newer_openssh};

use crate::fake::secret_command;
use crate::world::{call, dialling_with, eventually, me};

/// Of generated sets of keys; each is an `ssh` and a dial.
const SETS: u64 = 24;
const PASSPHRASE: &str = "secret";

/// A server that takes nothing, is patient, and offers all methods.
fn server() -> Sshd {
    // Over what the harness says before.
    let mut extra = vec!["MaxAuthTries 100"];
    if is_with_newer_openssh() {
        // It would lock the address after the first refusals.
        extra.push("PerSourcePenalties no");
    }
    extra.extend(["Match all", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes"]);
    let extra = extra.into_iter().map(str::to_owned).collect();
    Sshd::start_with(&SshdOptions { is_verbose: true, extra, ..SshdOptions::default() })
}

/// The lines of ssh_config that lead to the server, and what is to be tried with it.
fn config(sshd: &Sshd, more: &str) -> String {
    let (address, known) = (sshd.address(), sshd.dir().join("known_hosts"));
    std::fs::write(&known, sshd.known_hosts_line(address)).unwrap();
    format!(
        "Host box\n  HostName {}\n  Port {}\n  User {}\n  UserKnownHostsFile {}\n  NumberOfPasswordPrompts 1\n{more}",
        address.ip(),
        address.port(),
        login_name(),
        known.display()
    )
}

/// What one client tried after another: methods, and for keys their kind and fingerprint, as sshd logs them.
async fn tried(sshd: &Sshd, seen: usize) -> Vec<String> {
    let is_over = |line: &String| {
        line.contains("[preauth]")
            && [" closed by ", " reset by ", "Disconnected from "].iter().any(|word| line.contains(word))
    };
    eventually("the connection is over", || sshd.log()[seen..].iter().any(is_over)).await;
    let attempt = |line: &String| match line.split_once(" service ssh-connection method ") {
        // `ssh` begins by asking what there is.
        Some((_, method)) => {
            method.split(' ').next().filter(|method| !["none", "publickey"].contains(method)).map(str::to_owned)
        }
        None => {
            let (_, key) = line.strip_prefix("Failed publickey for ")?.split_once(" ssh2: ")?;
            Some(key.split(' ').take(2).collect::<Vec<_>>().join(" "))
        }
    };
    sshd.log()[seen..].iter().filter_map(attempt).collect()
}

async fn tried_by_ssh(sshd: &Sshd, config: &Path, askpass: &Path) -> (Vec<String>, String) {
    let seen = sshd.log().len();
    let mut command = tokio::process::Command::new("ssh");
    command.args(["-v", "-F"]).arg(config).args(["-T", "box", "true"]).stdin(Stdio::null());
    command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
    let output = command.output().await.expect("apt-get install openssh-client");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Permission denied"), "{said}");
    (tried(sshd, seen).await, said)
}

async fn tried_by_us(sshd: &Sshd, config: &Path, secrets: &Path) -> Vec<String> {
    let seen = sshd.log().len();
    let spec = SshConfig::load(config, None, sshd.dir()).unwrap().resolve("box").unwrap();
    let pool = dialling_with(DialConfig { secret_command: Some(secrets.to_owned()), ..DialConfig::default() });
    let error = pool.lease(&me(), &Arc::new(spec), &call()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    tried(sshd, seen).await
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// Some of these, in any order.
    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let mut left = of.to_vec();
        let count = self.below(of.len() + 1);
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

fn keygen(arguments: &[&str], dir: &Path) {
    let output = Command::new("ssh-keygen").args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Keys `k0` to `k5` with their certificates, and the same locked as `locked-k0` to `locked-k5`.
fn make_keys(dir: &Path) -> Vec<String> {
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "authority"], dir);
    let kinds = ["ed25519", "ecdsa", "ed25519", "rsa", "ed25519", "ed25519"];
    let named = kinds.iter().enumerate().map(|(number, kind)| {
        let name = format!("k{number}");
        let bits = if *kind == "rsa" { "2048" } else { "256" };
        keygen(&["-q", "-t", kind, "-b", bits, "-N", "", "-f", &name], dir);
        keygen(&["-q", "-s", "authority", "-I", "id", "-n", "somebody", &format!("{name}.pub")], dir);
        let locked = format!("locked-{name}");
        std::fs::copy(dir.join(&name), dir.join(&locked)).unwrap();
        keygen(&["-q", "-p", "-a", "1", "-P", "", "-N", PASSPHRASE, "-f", &locked], dir);
        name
    });
    named.collect()
}

/// Copies a key into the directory of a set: whole, locked or only its public half; with its certificate or without.
fn put(keys: &Path, name: &str, private: Option<&str>, has_certificate: bool, into: &Path) -> PathBuf {
    std::fs::create_dir_all(into).unwrap();
    let copy = |from: &str, to: &str| assert!(std::fs::copy(keys.join(from), into.join(to)).unwrap() > 0);
    copy(&format!("{name}.pub"), &format!("{name}.pub"));
    if let Some(private) = private {
        copy(private, name);
    }
    if has_certificate {
        copy(&format!("{name}-cert.pub"), &format!("{name}-cert.pub"));
    }
    into.join(name)
}

/// A set of keys in files and in an agent, as lines of ssh_config. All of them have somebody who signs: what nobody can
/// sign for `ssh` offers and Scout leaves out.
fn set(random: &mut Random, keys: &Path, names: &[String], dir: &Path) -> (String, Agent) {
    let held = random.some(names);
    let held_files: Vec<PathBuf> =
        held.iter().map(|name| put(keys, name, Some(name), random.one_in(3), &dir.join("held"))).collect();
    let socket = dir.join("agent");
    let agent = Agent::start(&socket, &held_files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let mut lines = format!("  IdentityAgent {}\n", socket.display());
    let configured = random.some(names);
    let only_configured = random.one_in(3);
    for name in &configured {
        let locked = format!("locked-{name}");
        let private = match random.below(4) {
            0 => Some(locked.as_str()),
            // The agent signs.
            1 | 2 if held.contains(name) => None,
            _ => Some(name.as_str()),
        };
        let has_certificate = random.one_in(2);
        let file = put(keys, name, private, has_certificate, &dir.join("files"));
        let suffix = match private {
            None if random.one_in(3) => ".pub",
            // The agent signs for it with the key alone, unless only what is configured may sign.
            None if has_certificate && !only_configured => "-cert.pub",
            _ => "",
        };
        lines.push_str(&format!("  IdentityFile {}{suffix}\n", file.display()));
    }
    if configured.is_empty() {
        lines.push_str("  IdentityFile none\n");
    }
    if random.one_in(2) {
        let others: &[String] = if only_configured { &[] } else { &held };
        let signed: Vec<String> = configured.iter().chain(others).cloned().collect();
        for name in random.some(&signed) {
            lines.push_str(&format!("  CertificateFile {}\n", keys.join(format!("{name}-cert.pub")).display()));
        }
    }
    if only_configured {
        lines.push_str("  IdentitiesOnly yes\n");
    }
    (lines, agent)
}

#[tokio::test]
async fn keys_and_certificates_of_files_and_agents_are_offered_in_the_order_of_ssh() {
    let (sshd, mut random) = (server(), Random(0x5c07));
    let keys = tempfile::tempdir().unwrap();
    let names = make_keys(keys.path());
    let secrets = secret_command(keys.path(), &format!("echo {PASSPHRASE}"));
    let (mut lengths, mut certificates) = (Vec::new(), 0);
    for number in 0..SETS {
        let dir = tempfile::tempdir().unwrap();
        let (lines, _agent) = set(&mut random, keys.path(), &names, dir.path());
        let file = dir.path().join("config");
        let text = config(&sshd, &format!("{lines}  BatchMode yes\n"));
        std::fs::write(&file, &text).unwrap();
        certificates +=
            text.lines().filter(|line| line.contains("IdentityFile") && line.ends_with("-cert.pub")).count();
        let (theirs, said) = tried_by_ssh(&sshd, &file, &secrets).await;
        let ours = tried_by_us(&sshd, &file, &secrets).await;
        assert_eq!(ours, theirs, "set {number}:\n{text}{said}");

        // And that is what can be told before.
        let spec = SshConfig::load(&file, None, dir.path()).unwrap().resolve("box").unwrap();
        let config = DialConfig { secret_command: Some(secrets.clone()), ..DialConfig::default() };
        let soon = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        let foretold = offers(&spec, &config, soon).await.list.into_iter().filter(|offer| offer.hindrance.is_none());
        let foretold: Vec<_> = foretold.map(|offer| (offer.is_certificate, offer.fingerprint.unwrap())).collect();
        let of_log = |tried: &String| {
            let (kind, print) = tried.split_once(' ').unwrap();
            (kind.ends_with("-CERT"), print.to_owned())
        };
        assert_eq!(foretold, ours.iter().map(of_log).collect::<Vec<_>>(), "set {number}:\n{text}");
        lengths.push(ours.len());
    }
    assert!(certificates >= 3, "{certificates} certificates as identities");
    assert!(lengths.iter().filter(|length| **length >= 4).count() > lengths.len() / 2, "{lengths:?}");
}

#[tokio::test]
async fn methods_are_tried_in_the_order_of_ssh() {
    let sshd = server();
    let secrets = secret_command(sshd.dir(), "echo wrong");
    let key = format!("  IdentityAgent none\n  IdentityFile {}\n", sshd.host_key().private.display());
    for (lines, methods) in [
        ("", vec!["publickey", "keyboard-interactive", "password"]),
        (
            "  PreferredAuthentications password,keyboard-interactive,publickey\n",
            vec!["password", "keyboard-interactive", "publickey"],
        ),
        ("  PreferredAuthentications keyboard-interactive,password\n", vec!["keyboard-interactive", "password"]),
        ("  PreferredAuthentications hostbased,password,none\n", vec!["password"]),
        ("  KbdInteractiveAuthentication no\n", vec!["publickey", "password"]),
        ("  PubkeyAuthentication no\n", vec!["keyboard-interactive", "password"]),
        ("  BatchMode yes\n", vec!["publickey"]),
    ] {
        let file = sshd.dir().join("config");
        std::fs::write(&file, config(&sshd, &format!("{key}{lines}"))).unwrap();
        let (theirs, said) = tried_by_ssh(&sshd, &file, &secrets).await;
        let ours = tried_by_us(&sshd, &file, &secrets).await;
        assert_eq!(ours, theirs, "{lines}{said}");
        let named: Vec<_> = ours.iter().map(|tried| if tried.contains(' ') { "publickey" } else { tried }).collect();
        assert_eq!(named, methods, "{lines}{said}{:#?}", sshd.log());
    }
}

/// What OpenSSH 10 offers and lets in, its agent and its server among them.
#[test]
fn a_newer_openssh_comes_to_the_same() {
    if !is_with_newer_openssh() {
        with_newer_openssh("a_newer_openssh_comes_to_the_same", &["order::", "doors::", "bytes::"]);
    }
}
