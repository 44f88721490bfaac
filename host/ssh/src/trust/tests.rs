//! What lines of known_hosts mean, by tables and by asking ssh-keygen.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::Mpint;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use scout_machine::ErrorKind;

use super::{KnownHosts, Verdict, certificate, learn};
use crate::config::{AlgorithmLists, Source};

// Made for these tests; nobody has their private halves.
const KEY_A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGKse3gVjY1LqE+OdqtdLyAXsxJKXCxP5X9j/cfn5BzN";
const KEY_B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBdBhsjcqEPuZIYxQ8Q2Ars78OMpQfbBFvtQ2CuFAo1b";
const KEY_E: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJopcbJspq2znVOnfB1J0ULvUn2LDkEMZmxadL7c+RwUU/i+N0Ar7EhzITHOQ/wopnA7CH/yh0oHGepfidxfF+8=";
const KEY_R: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCwec+S49peWnJQzI9EVySAHIbvqkaZtqPJJ4QnFKKv6dDLER8kl8yI6jrkQp\
     k5jQwCCrPhzy55yJxbhZ9C45U6vFyGsi9/Pq1KwU7AcJ+FRBQrNzw43pdy+BNSPb4hwkr2lCe6UFUpEwcuxaf9ZzcT\
     vdhzDFcEw19va/IbXs9lXnllaE2hs2KTLv8L6hkypl27FP2N4Jt9vOzkxgSQJvQpUktM5FbiZQNc1FWaNBPm5RpBh5\
     voZiqMgB431wfKoQPGb6hqunRQBjyY7hK3njsO60hrvZSFde5YGMqwz6bgR+M3naROEvMRNo0oC18cU4GOOmcJ6uxF\
     B79lyEWu3g/l";

/// Replaces the words `A`, `B`, `E` and `R`, by which the tables name the keys, and a lone `@` by the blob of `A`.
fn with_keys(text: &str) -> String {
    let replace = |word: &str| match word {
        "A" => KEY_A.to_owned(),
        "B" => KEY_B.to_owned(),
        "E" => KEY_E.to_owned(),
        "R" => KEY_R.to_owned(),
        "@" => KEY_A.split(' ').next_back().expect("a blob").to_owned(),
        other => other.to_owned(),
    };
    text.split_inclusive([' ', '\t', '\r', '\n'])
        .map(|word| {
            let bare = word.trim_end();
            format!("{}{}", replace(bare), word.strip_prefix(bare).expect("its own beginning"))
        })
        .collect()
}

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).expect("a key")
}

/// A directory with known_hosts files `1`, `2` and so on.
struct Files(tempfile::TempDir, Vec<PathBuf>);

impl Files {
    fn new(texts: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut paths = Vec::new();
        for (text, number) in texts.iter().zip(1..) {
            let path = directory.path().join(number.to_string());
            std::fs::write(&path, text).expect("a file");
            paths.push(path);
        }
        Self(directory, paths)
    }

    fn load(&self) -> KnownHosts {
        KnownHosts::load(&self.1).expect("known_hosts")
    }

    /// The verdict as `known 1:2`.
    fn check(&self, host: &str, port: u16, key_text: &str) -> String {
        let at = |source: Source| {
            let file = source.file.file_name().expect("a name").to_string_lossy().into_owned();
            format!("{file}:{}", source.line)
        };
        match self.load().check(host, port, &key(key_text)) {
            Verdict::Known(source) => format!("known {}", at(source)),
            Verdict::Unknown => "unknown".to_owned(),
            Verdict::Changed(source) => format!("changed {}", at(source)),
            Verdict::Revoked(source) => format!("revoked {}", at(source)),
        }
    }
}

#[test]
fn a_key_has_the_verdict_that_openssh_gives() {
    let table: &[(&str, &str, u16, &str, &str)] = &[
        ("", "h", 22, "A", "unknown"),
        ("h A", "h", 22, "A", "known 1:1"),
        ("h A", "h", 22, "B", "changed 1:1"),
        ("h A", "h", 22, "E", "changed 1:1"),
        ("h A", "other", 22, "A", "unknown"),
        ("h A a comment\r\n", "h", 22, "A", "known 1:1"),
        ("h A\r\n", "h", 22, "A", "known 1:1"),
        ("# h B\n\n  \t\n \th\t\tA", "h", 22, "A", "known 1:4"),
        ("h   A", "h", 22, "B", "changed 1:1"),
        ("#h A", "h", 22, "A", "unknown"),
        ("x,h,y A", "h", 22, "A", "known 1:1"),
        ("x,h,y A", "h,y", 22, "A", "unknown"),
        ("*.example.org A", "a.example.org", 22, "A", "known 1:1"),
        ("*.example.org A", "a.example.org", 22, "B", "changed 1:1"),
        ("web? A", "web1", 22, "A", "known 1:1"),
        ("*,!db A", "db", 22, "A", "unknown"),
        ("!db,* A", "db", 22, "A", "unknown"),
        ("!db,* A", "web", 22, "A", "known 1:1"),
        ("!db A", "web", 22, "A", "unknown"),
        ("HOST.Example.ORG A", "host.example.org", 22, "A", "known 1:1"),
        ("host A", "HOST", 22, "A", "known 1:1"),
        // Ports.
        ("[h]:2222 A", "h", 2222, "A", "known 1:1"),
        ("[h]:2222 A", "h", 22, "A", "unknown"),
        ("[h]:2222 A", "h", 2223, "A", "unknown"),
        ("[h]:2222 B", "h", 2222, "A", "changed 1:1"),
        // A bare name makes a key known at any port, and never changed or revoked there.
        ("h A", "h", 2222, "A", "known 1:1"),
        ("h B", "h", 2222, "A", "unknown"),
        ("@revoked h A", "h", 2222, "A", "unknown"),
        ("@revoked h A\nh A", "h", 2222, "A", "unknown"),
        ("@revoked * A\nh A", "h", 2222, "A", "revoked 1:1"),
        ("h A\n[h]:2222 B", "h", 2222, "A", "changed 1:2"),
        ("[h]:22 A", "h", 22, "A", "unknown"),
        ("[*]:2222 A", "h", 2222, "A", "known 1:1"),
        ("[::1]:2222 A", "::1", 2222, "A", "known 1:1"),
        ("fe80::1 A", "FE80::1", 22, "A", "known 1:1"),
        // Several keys.
        ("h A\nh B", "h", 22, "B", "known 1:2"),
        ("h E\nh A", "h", 22, "A", "known 1:2"),
        ("h E\nh R", "h", 22, "A", "changed 1:2"),
        ("h R", "h", 22, "R", "known 1:1"),
        // Revoked keys.
        ("@revoked h A", "h", 22, "A", "revoked 1:1"),
        ("@revoked * A\nh A", "h", 22, "A", "revoked 1:1"),
        ("h A\n@revoked \th\tA", "h", 22, "A", "revoked 1:2"),
        // OpenSSH takes "@revoked\th" for the marker, and the line for bad.
        ("h A\n@revoked\th A", "h", 22, "A", "known 1:1"),
        ("h B\n@revoked h A", "h", 22, "A", "revoked 1:2"),
        ("@revoked other A\nh A", "h", 22, "A", "known 1:2"),
        ("@revoked h B", "h", 22, "A", "unknown"),
        // Authorities are no hosts.
        ("@cert-authority h A", "h", 22, "A", "unknown"),
        ("@cert-authority h A\nh B", "h", 22, "A", "changed 1:2"),
        // Lines that cannot be read trust nobody.
        ("@unknown h A", "h", 22, "A", "unknown"),
        ("@revoked @revoked h A", "h", 22, "A", "unknown"),
        ("h ssh-ed25519 AAAA", "h", 22, "A", "unknown"),
        ("h ssh-ed25519", "h", 22, "A", "unknown"),
        ("h", "h", 22, "A", "unknown"),
        ("|1|x|y A", "h", 22, "A", "unknown"),
        // What is not text, and what C takes for an end.
        ("h\0 A", "h", 22, "A", "unknown"),
        ("h A \0more", "h", 22, "A", "known 1:1"),
        ("\u{fc}?? A", "\u{fc}\u{fc}", 22, "A", "known 1:1"),
    ];
    let long = ["x".repeat(1022), "x".repeat(1023)].map(|long| format!("!{long},h A"));
    let mut table = table.to_vec();
    table.push((&long[0], "h", 22, "A", "known 1:1"));
    table.push((&long[1], "h", 22, "A", "unknown"));
    for (text, host, port, key, wanted) in table {
        let files = Files::new(&[&with_keys(text)]);
        assert_eq!(files.check(host, port, &with_keys(key)), wanted, "{text:?} {host} {port} {key}");
    }
}

#[test]
fn a_revoked_key_is_revoked_in_whatever_file() {
    let files = Files::new(&[&with_keys("h A"), &with_keys("# none\n@revoked h A")]);
    assert_eq!(files.check("h", 22, &with_keys("A")), "revoked 2:2");
}

#[test]
fn later_files_count_and_absent_ones_are_empty() {
    let mut files = Files::new(&[&with_keys("h B"), &with_keys("h A")]);
    assert_eq!(files.check("h", 22, &with_keys("A")), "known 2:1");
    files.1.insert(0, files.0.path().join("absent"));
    files.1.push(PathBuf::from("/dev/null"));
    assert_eq!(files.check("h", 22, &with_keys("A")), "known 2:1");
}

#[test]
fn what_is_no_file_is_passed_over_with_a_warning() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("a FIFO");
    for (path, what) in [(directory.path(), "a directory"), (&fifo, "a pipe"), (Path::new("/dev/zero"), "a device")] {
        let known = KnownHosts::load(&[path]).expect("passed over");
        let says = format!("not read: it is {what}, not a regular file");
        assert!(matches!(known.warnings(), [one] if one.ends_with(&says)), "{:?}", known.warnings());
        let refused = learn(path, "h", 22, &key(KEY_A), false).expect_err("nothing to write into");
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    }
}

#[test]
fn a_line_of_a_kind_of_key_that_is_not_had_is_noted_and_no_trouble() {
    // As OpenSSH 10.6 writes them: its hosts have such keys, and it learns all that a host has.
    let other = |kind: &str| {
        let blob = [&u32::try_from(kind.len()).expect("short").to_be_bytes()[..], kind.as_bytes(), &[7; 40]].concat();
        format!("{kind} {}", STANDARD.encode(blob))
    };
    let (new, vendors) = (other("ssh-mldsa44-ed25519"), other("x509v3-sign-rsa@vendor.example"));
    let files = Files::new(&[&with_keys(&format!("h {new}\n@revoked * {vendors}\nh A\n[h]:2 {new} comment\n"))]);
    let known = files.load();
    assert_eq!(known.warnings(), [] as [&str; 0]);
    let kinds: Vec<_> = known.other_kinds().collect();
    assert_eq!(kinds, [("ssh-mldsa44-ed25519", 2), ("x509v3-sign-rsa@vendor.example", 1)]);
    // It says nothing of the host's other keys, and makes the host not known.
    assert_eq!(files.check("h", 22, &with_keys("A")), "known 1:3");
    assert_eq!(files.check("h", 22, &with_keys("B")), "changed 1:3");
    assert_eq!(files.check("elsewhere", 22, &with_keys("A")), "unknown");
    // What only looks like one is trouble.
    for line in ["h ssh-mldsa44-ed25519 AAAA", "h ssh-foo AAAAC3NzaC1lZDI1NTE5AAAAIG3", "h ssh-ed25519 !"] {
        assert_eq!(Files::new(&[line]).load().warnings().len(), 1, "{line}");
    }
}

#[test]
fn bad_lines_are_told_with_file_and_line() {
    let files =
        Files::new(&[&with_keys("h A\nh\nh ssh-ed25519 !!!\n@what h A\n|1|x|y A\nh ssh-foo AAAAB3Nz\nh ssh-rsa @\n")]);
    let warnings = files.load().warnings().to_vec();
    let wanted = [
        "/1:2: has no key",
        "/1:3: the key is not base64",
        "/1:4: unknown marker",
        "/1:5: the hashed name cannot be read",
        "/1:6: unknown key type",
        "/1:7: the key is not of the type that the line says",
    ];
    assert_eq!(warnings.len(), wanted.len(), "{warnings:?}");
    for (warning, wanted) in warnings.iter().zip(wanted) {
        assert!(warning.ends_with(wanted), "{warning}");
    }
}

#[test]
fn algorithms_of_known_keys_come_first_in_openssh_order_and_never_sha1() {
    let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
    let (r512, r256) = (rsa(HashAlg::Sha512), rsa(HashAlg::Sha256));
    let e = key(&with_keys("E")).algorithm();
    let known = [e.clone(), r512, r256];
    let asked = |text: &str| {
        let known = Files::new(&[&with_keys(text)]).load();
        (known.algorithms("h", 22), known.certificate_algorithms("h", 22))
    };
    let all = || super::HOST_KEY_ALGORITHMS.to_vec();
    // Nothing known, or the type that comes first anyway.
    assert_eq!(asked("other E"), (vec![], all()));
    assert_eq!(asked("h R\nh A"), (vec![], all()));
    assert_eq!(asked("h R\n@revoked x A\nh E\n@revoked h A\n@cert-authority x A"), (known.to_vec(), known.to_vec()));
    assert_eq!(asked("h R\nh E\n@cert-authority h A"), (known.to_vec(), all()));
    // A type whose first key is revoked is none.
    assert_eq!(asked("h A\nh B\nh E\n@revoked h A"), (vec![e.clone()], vec![e]));
}

#[test]
fn names_that_ssh_keygen_hashed_are_found() {
    let files = Files::new(&[&with_keys("Web.example.org,10.0.0.1 A\n[h]:2222 B\n@revoked old E\n")]);
    let path = files.0.path().join("1");
    let output = Command::new("ssh-keygen").arg("-H").arg("-f").arg(&path).output().expect("ssh-keygen is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(path).expect("the hashed file");
    assert!(text.contains("|1|") && !text.contains("10.0.0.1"), "{text}");
    for (host, port, key, wanted) in [
        ("web.example.org", 22, "A", "known 1:1"),
        ("WEB.example.org", 22, "B", "changed 1:1"),
        ("10.0.0.1", 22, "A", "known 1:2"),
        ("h", 2222, "B", "known 1:3"),
        ("h", 22, "B", "unknown"),
        ("x", 22, "A", "unknown"),
    ] {
        assert_eq!(files.check(host, port, &with_keys(key)), wanted, "{host} in\n{text}");
    }
}

#[test]
fn a_learned_key_is_known_to_us_and_to_ssh_keygen() {
    for hashed in [false, true] {
        for (host, port, name) in [("Web1", 22, "web1"), ("::1", 2222, "[::1]:2222")] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let file = directory.path().join("new/.ssh/known_hosts");
            learn(&file, host, port, &key(&with_keys("A")), hashed).expect("learned");
            let known = KnownHosts::load(&[&file]).expect("known_hosts");
            assert!(matches!(known.check(host, port, &key(&with_keys("A"))), Verdict::Known(_)));
            let text = std::fs::read_to_string(&file).expect("known_hosts");
            assert_eq!(text.starts_with("|1|"), hashed, "{text}");
            let output = Command::new("ssh-keygen")
                .args(["-F", name, "-f"])
                .arg(&file)
                .output()
                .expect("ssh-keygen is installed");
            assert!(output.status.success(), "{name} in {text}");
            let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
            assert_eq!(mode(&file), 0o600);
            assert_eq!(mode(file.parent().expect("a parent")), 0o700);
        }
    }
}

#[test]
fn learning_keeps_what_is_there_and_begins_a_new_line() {
    let files = Files::new(&[&with_keys("# mine\nother B")]);
    let path = files.0.path().join("1");
    learn(&path, "h", 22, &key(&format!("{} a comment", with_keys("A"))), false).expect("learned");
    learn(&path, "h", 22, &key(&with_keys("A")), false).expect("known already");
    assert_eq!(std::fs::read_to_string(path).expect("known_hosts"), with_keys("# mine\nother B\nh A\n"));
}

#[test]
fn a_host_with_another_key_or_a_revoked_one_learns_nothing() {
    for text in ["h B", "* E", "@revoked * A"] {
        let text = with_keys(text);
        let files = Files::new(&[&text]);
        let path = files.0.path().join("1");
        let error = learn(&path, "h", 22, &key(&with_keys("A")), false).expect_err("not learned");
        assert_eq!(error.kind(), ErrorKind::HostKeyRejected);
        assert_eq!(std::fs::read_to_string(path).expect("known_hosts"), text);
    }
}

#[test]
fn names_that_would_mean_something_else_are_refused() {
    let files = Files::new(&[""]);
    let path = files.0.path().join("1");
    for host in ["", "a b", "a\nb", "a\u{0}", "*", "a?", "!a", "a,b", "|1|x|y", "@revoked", "#a", "[a]:2", "a\u{85}b"] {
        let error = learn(&path, host, 22, &key(&with_keys("A")), false).expect_err(host);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{host:?}");
    }
    assert_eq!(std::fs::read_to_string(path).expect("known_hosts"), "");
}

#[test]
fn many_who_learn_at_once_write_whole_lines() {
    let files = Files::new(&[""]);
    let path = files.0.path().join("1");
    std::thread::scope(|scope| {
        for i in 0..16 {
            let path = &path;
            // Each of eight names twice.
            scope
                .spawn(move || learn(path, &format!("h{}", i % 8), 22, &key(&with_keys("A")), false).expect("learned"));
        }
    });
    let known = files.load();
    assert_eq!((known.lines.len(), known.warnings()), (8, [].as_slice()));
}

#[test]
fn dev_null_learns_nothing_and_is_no_error() {
    learn(Path::new("/dev/null"), "h", 22, &key(&with_keys("A")), false).expect("written to nowhere");
}

#[test]
fn only_a_file_that_is_absent_or_forbidden_is_passed_over() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("file"), "").expect("a file");
    for absent in [path("absent"), path("file").join("below")] {
        assert_eq!(KnownHosts::load(&[absent]).expect("passed over").warnings(), [] as [&str; 0]);
    }
    // Neither says that the host is new: as with a disk that fails, nobody knows.
    std::os::unix::fs::symlink(path("loop"), path("loop")).expect("a link");
    for unread in [path("loop"), path(&"x".repeat(300))] {
        let error = KnownHosts::load(&[&unread]).expect_err("not passed over");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().starts_with(&format!("cannot read {}: ", unread.display())), "{error}");
        assert!(learn(&unread, "h", 22, &key(&with_keys("A")), false).is_err());
    }
}

#[test]
fn nothing_is_learned_into_what_cannot_be_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let error = learn(&pipe, "h", 22, &key(&with_keys("A")), false).expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[test]
fn an_rsa_key_that_openssh_finds_too_short_is_no_key() {
    for (bytes, wanted) in [(127, "unknown"), (128, "known 1:1")] {
        let numbers = [vec![1, 0, 1], vec![0xff; bytes]].map(|number| Mpint::from_positive_bytes(&number));
        let [e, n] = numbers;
        let rsa = PublicKey::from(KeyData::Rsa(RsaPublicKey::new(e, n).expect("an RSA key")));
        let text = rsa.to_openssh().expect("a line");
        let files = Files::new(&[&format!("h {text}\n")]);
        assert_eq!(files.check("h", 22, &text), wanted);
        assert_eq!(files.load().warnings().len(), usize::from(wanted == "unknown"));
    }
}

/// A certificate for `h`, valid for a day.
fn host_certificate() -> Certificate {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keygen = |arguments: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        let output = command.args(arguments).current_dir(directory.path()).output().expect("ssh-keygen is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "host"]);
    keygen(&["-q", "-s", "ca", "-I", "marker", "-h", "-n", "h", "-V", "+0d:+1d", "host.pub"]);
    let text = std::fs::read_to_string(directory.path().join("host-cert.pub")).expect("a certificate");
    Certificate::from_openssh(&text).expect("a certificate")
}

#[test]
fn a_certificate_is_valid_from_its_first_second_and_before_its_last() {
    let certificate = host_certificate();
    let at = |second| {
        certificate::flaw(&certificate, "h", &AlgorithmLists::default(), UNIX_EPOCH + Duration::from_secs(second))
    };
    assert_eq!(at(certificate.valid_after() - 1), Some("it is not valid yet"));
    assert_eq!(at(certificate.valid_after()), None);
    assert_eq!(at(certificate.valid_before() - 1), None);
    assert_eq!(at(certificate.valid_before()), Some("it has expired"));
    let now = UNIX_EPOCH + Duration::from_secs(certificate.valid_after());
    let elsewhere = certificate::flaw(&certificate, "H", &AlgorithmLists::default(), now);
    assert_eq!(elsewhere, Some("it is for another host"));
    for (name, wanted) in
        [("ssh-ed25519", None), ("rsa-sha2-512", Some("CASignatureAlgorithms does not name how it is signed"))]
    {
        let lists = AlgorithmLists { ca_signatures: Some(vec![name.to_owned()]), ..AlgorithmLists::default() };
        assert_eq!(certificate::flaw(&certificate, "h", &lists, now), wanted, "{name}");
    }
}

#[test]
fn a_certificate_that_was_tampered_with_is_none() {
    let certificate = host_certificate();
    assert_eq!(certificate::intact(&certificate), Ok(()));
    let mut bytes = certificate.to_bytes().expect("its bytes");
    let at = bytes.windows(6).position(|bytes| bytes == b"marker").expect("its identifier");
    *bytes.get_mut(at).expect("its first byte") = b'M';
    let forged = Certificate::from_bytes(&bytes).expect("still a certificate");
    assert_eq!(certificate::intact(&forged), Err("the certificate's signature is wrong"));
}
