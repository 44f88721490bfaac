//! Signatures of files, compared with the real `ssh-keygen -Y`: what it makes counts here, what is made here counts there,
//! and both say the same of every line of allowed_signers.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use scout_ssh::sshsig::{AllowedSigners, sign};
use scout_tests::{is_with_newer_openssh, with_newer_openssh};
use tokio::time::Instant;

const NAMESPACE: &str = "scout-plugin";
const MESSAGE: &[u8] = b"\0asm and more\n";

#[test]
fn a_newer_openssh_comes_to_the_same() {
    if !is_with_newer_openssh() {
        with_newer_openssh("a_newer_openssh_comes_to_the_same", &[]);
    }
}

/// Keys in a directory of their own, and a message.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(world.path("message"), MESSAGE).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self, name: &str, kind: &str, bits: &str) -> PathBuf {
        let path = self.path(name);
        let mut arguments = vec!["-q", "-t", kind, "-N", "", "-C", name, "-f", path.to_str().unwrap()];
        if !bits.is_empty() {
            arguments.extend(["-b", bits]);
        }
        assert!(keygen(&arguments, None), "ssh-keygen: sudo apt-get install openssh-client");
        path
    }

    /// Certifies `NAME.pub` and gives the path of the certificate.
    fn certify(&self, authority: &Path, name: &str, options: &[&str]) -> PathBuf {
        let public = self.path(&format!("{name}.pub"));
        let mut arguments = vec!["-q", "-s", authority.to_str().unwrap(), "-I", "id"];
        arguments.extend(options);
        arguments.push(public.to_str().unwrap());
        assert!(keygen(&arguments, None));
        self.path(&format!("{name}-cert.pub"))
    }

    /// ssh-keygen's own signature of the message.
    fn signature(&self, key: &Path, namespace: &str, hash: &str) -> Vec<u8> {
        let message = self.path("message");
        let made = self.path("message.sig");
        drop(std::fs::remove_file(&made));
        let option = format!("hashalg={hash}");
        let (key, message) = (key.to_str().unwrap(), message.to_str().unwrap());
        assert!(keygen(&["-Y", "sign", "-q", "-n", namespace, "-O", &option, "-f", key, message], None));
        std::fs::read(made).unwrap()
    }

    /// What both say, which must be the same.
    fn agrees(&self, signers: &str, principal: &str, signature: &[u8], message: &[u8], namespace: &str) -> bool {
        let file = self.path("allowed_signers");
        std::fs::write(&file, signers).unwrap();
        let sig = self.path("checked.sig");
        std::fs::write(&sig, signature).unwrap();
        let (path, sig) = (file.to_str().unwrap(), sig.to_str().unwrap());
        let theirs = keygen(&["-Y", "verify", "-f", path, "-I", principal, "-n", namespace, "-s", sig], Some(message));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ours = AllowedSigners::load(&file)
            .and_then(|signers| signers.verify(message, signature, namespace, &[principal.to_owned()], now));
        assert_eq!(ours.is_ok(), theirs, "{signers} as {principal}: {ours:?}");
        theirs
    }
}

fn keygen(arguments: &[&str], stdin: Option<&[u8]>) -> bool {
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).env_remove("SSH_AUTH_SOCK").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdin(Stdio::piped()).spawn().expect("ssh-keygen: sudo apt-get install openssh-client");
    // It may end before it has read all: it needs no message to refuse.
    drop(std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.unwrap_or_default()));
    child.wait().unwrap().success()
}

fn public(key: &Path) -> String {
    let path = key.with_file_name(format!("{}.pub", key.file_name().unwrap().to_str().unwrap()));
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

const KINDS: [(&str, &str); 6] =
    [("ed25519", ""), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048"), ("rsa", "3072")];

#[tokio::test]
async fn each_type_of_key_signs_here_and_counts_there_and_the_other_way_round() {
    let world = World::new();
    for (kind, bits) in KINDS {
        let key = world.key(&format!("{kind}{bits}"), kind, bits);
        let signers = format!("alice@example.org {}\n", public(&key));
        for hash in ["sha256", "sha512"] {
            let theirs = world.signature(&key, NAMESPACE, hash);
            assert!(world.agrees(&signers, "alice@example.org", &theirs, MESSAGE, NAMESPACE), "{kind} {hash}");
        }
        let ours = sign(&key, None, NAMESPACE, MESSAGE, soon()).await.unwrap();
        assert!(world.agrees(&signers, "alice@example.org", ours.as_bytes(), MESSAGE, NAMESPACE), "{kind}");
    }
}

#[tokio::test]
async fn an_agent_signs_for_a_public_key_and_for_a_certificate() {
    let world = World::new();
    let authority = world.key("ca", "ed25519", "");
    for (kind, bits) in [("ed25519", ""), ("ecdsa", "256"), ("rsa", "2048")] {
        let key = world.key(kind, kind, bits);
        let certificate = world.certify(&authority, kind, &["-n", "alice"]);
        let socket = world.path(&format!("{kind}.agent"));
        let mut agent =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(std::time::Instant::now() < deadline, "ssh-agent does not listen");
            std::thread::yield_now();
        }
        let added = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status().unwrap();
        assert!(added.success());
        let signers = format!("alice {}\nalice cert-authority {}\n", public(&key), public(&authority));
        std::fs::remove_file(&key).unwrap();
        for shown in [world.path(&format!("{kind}.pub")), certificate] {
            let signed = sign(&shown, Some(&socket), NAMESPACE, MESSAGE, soon()).await.unwrap();
            assert!(world.agrees(&signers, "alice", signed.as_bytes(), MESSAGE, NAMESPACE), "{kind}");
            let alone = sign(&shown, None, NAMESPACE, MESSAGE, soon()).await.unwrap_err();
            assert!(alone.contains("ssh-add"), "{alone}");
        }
        let stranger = world.key("stranger", "ed25519", "");
        std::fs::remove_file(&stranger).unwrap();
        let refused = sign(&world.path("stranger.pub"), Some(&socket), NAMESPACE, MESSAGE, soon()).await.unwrap_err();
        assert!(refused.contains("ssh-add -l"), "{refused}");
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

#[test]
fn every_form_of_a_line_means_what_it_means_to_ssh_keygen() {
    let world = World::new();
    let key = world.key("key", "ed25519", "");
    let other = public(&world.key("other", "ed25519", ""));
    let own = public(&key);
    let signature = world.signature(&key, NAMESPACE, "sha512");
    let table = [
        (format!("alice {own}"), true),
        (format!("alice {other}"), false),
        (format!("alice {other}\nalice {own}"), true),
        (format!("bob {own}"), false),
        (format!("bob,alice {own}"), true),
        (format!("*ice {own}"), true),
        (format!("a?ice {own}"), true),
        (format!("*,!alice {own}"), false),
        (format!("\"alice\" {own}"), true),
        (format!("  \talice   {own} a comment"), true),
        (format!("# a comment\n\nalice {own}"), true),
        (format!("alice namespaces=\"scout-plugin\" {own}"), true),
        (format!("alice namespaces=\"file,scout-*\" {own}"), true),
        (format!("alice namespaces=\"file\" {own}"), false),
        (format!("alice namespaces=\"*,!scout-plugin\" {own}"), false),
        (format!("alice NAMESPACES=\"scout-plugin\" {own}"), true),
        (format!("alice namespaces=\"file\" {own}\nalice {own}"), true),
        (format!("alice valid-after=\"20200101\" {own}"), true),
        (format!("alice valid-after=\"20200101Z\",valid-before=\"20800101120000Z\" {own}"), true),
        (format!("alice valid-after=\"20800101\" {own}"), false),
        (format!("alice valid-before=\"20200101\" {own}"), false),
        (format!("alice valid-before=\"202001011200\" {own}"), false),
        (format!("alice valid-after=\"20800101\",valid-before=\"20200101\" {own}"), false),
        (format!("alice valid-after=\"20201301\" {own}"), false),
        (format!("alice valid-after=20200101 {own}"), false),
        (format!("alice cert-authority {own}"), false),
        (format!("alice restrict {own}"), false),
        (format!("alice namespaces=\"scout-plugin {own}"), false),
        (format!("alice namespaces=\"a\",namespaces=\"scout-plugin\" {own}"), false),
        ("alice ssh-ed25519 AAAA".to_owned(), false),
        ("alice".to_owned(), false),
        (String::new(), false),
    ];
    for (signers, wanted) in table {
        assert_eq!(world.agrees(&signers, "alice", &signature, MESSAGE, NAMESPACE), wanted, "{signers}");
    }
}

#[test]
fn another_message_purpose_or_key_does_not_count() {
    let world = World::new();
    let key = world.key("key", "ed25519", "");
    let signers = format!("alice {}", public(&key));
    let good = world.signature(&key, NAMESPACE, "sha512");
    assert!(world.agrees(&signers, "alice", &good, MESSAGE, NAMESPACE));
    assert!(!world.agrees(&signers, "alice", &good, b"another", NAMESPACE));
    assert!(!world.agrees(&signers, "alice", &good, MESSAGE, "file"));
    let file = world.signature(&key, "file", "sha512");
    assert!(!world.agrees(&signers, "alice", &file, MESSAGE, NAMESPACE));
    for nonsense in [&b""[..], b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", b"\xff\xfe"] {
        assert!(!world.agrees(&signers, "alice", nonsense, MESSAGE, NAMESPACE));
    }
}

#[test]
fn no_flipped_bit_of_a_signature_counts() {
    let world = World::new();
    let key = world.key("key", "ed25519", "");
    let file = world.path("signers");
    std::fs::write(&file, format!("alice {}", public(&key))).unwrap();
    let signers = AllowedSigners::load(&file).unwrap();
    let good = String::from_utf8(world.signature(&key, NAMESPACE, "sha512")).unwrap();
    assert!(signers.verify(MESSAGE, good.as_bytes(), NAMESPACE, &[], 0).is_ok());
    let lines: Vec<&str> = good.lines().collect();
    let body = lines.get(1..lines.len() - 1).unwrap().concat();
    let blob = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body).unwrap();
    for at in 0..blob.len() {
        let mut flipped = blob.clone();
        *flipped.get_mut(at).unwrap() ^= 1 << (at % 8);
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &flipped);
        let text = format!("-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n");
        let said = signers.verify(MESSAGE, text.as_bytes(), NAMESPACE, &[], 0);
        assert!(said.is_err(), "byte {at}: {said:?}");
    }
}

#[test]
fn certificates_count_as_they_do_for_ssh_keygen() {
    let world = World::new();
    let authority = world.key("ca", "ecdsa", "256");
    let stranger = world.key("stranger", "ed25519", "");
    let trusted = public(&authority);
    let table: [(&[&str], String, bool); 9] = [
        (&["-n", "alice"], format!("alice cert-authority {trusted}"), true),
        (&["-n", "alice,bob"], format!("* cert-authority {trusted}"), true),
        (&["-n", "bob"], format!("* cert-authority {trusted}"), false),
        (&["-n", "alice"], format!("bob cert-authority {trusted}"), false),
        (&["-n", "alice"], format!("alice {trusted}"), false),
        (&["-n", "alice"], format!("alice cert-authority {}", public(&stranger)), false),
        (&["-n", "alice", "-V", "20200101:20200201"], format!("alice cert-authority {trusted}"), false),
        (&["-n", "alice", "-h"], format!("alice cert-authority {trusted}"), false),
        (&["-n", "alice"], format!("alice cert-authority,namespaces=\"file\" {trusted}"), false),
    ];
    for (index, (options, signers, wanted)) in table.into_iter().enumerate() {
        for (kind, bits) in [("ed25519", ""), ("rsa", "2048")] {
            let name = format!("{kind}{index}");
            world.key(&name, kind, bits);
            let certificate = world.certify(&authority, &name, options);
            let signature = world.signature(&certificate, NAMESPACE, "sha512");
            let said = world.agrees(&signers, "alice", &signature, MESSAGE, NAMESPACE);
            assert_eq!(said, wanted, "{kind} {options:?} {signers}");
        }
    }
}

#[test]
fn whoever_signed_is_named() {
    let world = World::new();
    let (key, authority) = (world.key("key", "ed25519", ""), world.key("ca", "ed25519", ""));
    let certificate = world.certify(&authority, "key", &["-n", "carol,alice"]);
    let file = world.path("signers");
    let text = format!("team,alice {}\n*@example.org,alice cert-authority {}", public(&key), public(&authority));
    std::fs::write(&file, text).unwrap();
    let signers = AllowedSigners::load(&file).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let plain = world.signature(&key, NAMESPACE, "sha512");
    let named = |signature: &[u8], among: &[&str]| {
        let among: Vec<String> = among.iter().map(|name| (*name).to_owned()).collect();
        signers.verify(MESSAGE, signature, NAMESPACE, &among, now).map(|signer| signer.principal)
    };
    assert_eq!(named(&plain, &[]).unwrap(), "team,alice");
    assert_eq!(named(&plain, &["bob", "alice"]).unwrap(), "alice");
    let refused = named(&plain, &["bob"]).unwrap_err();
    assert!(refused.contains("does not allow as bob: line 1 is for team,alice"), "{refused}");
    let certified = world.signature(&certificate, NAMESPACE, "sha512");
    assert_eq!(named(&certified, &[]).unwrap(), "alice");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_signers_or_a_key_is_refused_at_once() {
    let world = World::new();
    let fifo = world.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let refused = AllowedSigners::load(&fifo).unwrap_err();
    assert!(refused.ends_with("fifo cannot be read: it is a pipe, not a regular file"), "{refused}");
    let refused = sign(&fifo, None, NAMESPACE, MESSAGE, Instant::now()).await.unwrap_err();
    assert!(refused.ends_with("fifo: not a key file"), "{refused}");
}

#[test]
fn signers_that_others_may_write_are_refused() {
    let world = World::new();
    let file = world.path("signers");
    std::fs::write(&file, "").unwrap();
    assert!(AllowedSigners::load(&file).is_ok());
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let refused = AllowedSigners::load(&file).unwrap_err();
    assert!(refused.contains("other accounts may write") && refused.contains("run `chmod go-w "), "{refused}");
}
