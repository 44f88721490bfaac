//! The servers that ssh and the engine meet, and the keys of all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use scout_tests::{Sshd, SshdOptions};

/// What a server may present, and other keys that matter for it.
pub(crate) struct Server {
    pub(crate) what: &'static str,
    pub(crate) sshd: Sshd,
    /// Keys that it presents or certifies, as type and base64.
    pub(crate) keys: Vec<String>,
    /// The authority of its certificate.
    pub(crate) authority: Option<String>,
    /// The certificate, as type and base64.
    pub(crate) certificate: Option<String>,
}

impl Server {
    /// What `ssh -v` says it was shown.
    pub(crate) fn presented(&self, log: &str) -> PublicKeyOrCertificate {
        let shown = |what: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(what));
            line.map(|line| line.split([' ', ',']).nth(1).unwrap().to_owned())
        };
        if shown("debug1: Server host certificate: ").is_some() {
            return Certificate::from_openssh(self.certificate.as_ref().unwrap()).unwrap().into();
        }
        let print = shown("debug1: Server host key: ").unwrap_or_else(|| panic!("ssh met no key:\n{log}"));
        let keys = self.keys.iter().map(|text| PublicKey::from_openssh(text).unwrap());
        keys.into_iter().find(|key| key.fingerprint(HashAlg::Sha256).to_string() == print).unwrap().into()
    }
}

/// The servers, and keys that none of them has.
pub(crate) struct World {
    pub(crate) servers: Vec<Server>,
    pub(crate) strangers: Vec<String>,
    pub(crate) authorities: Vec<String>,
    /// Files for `RevokedHostKeys`: lists of keys, lists that ssh-keygen makes, and what is none.
    pub(crate) revoked: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

/// Runs ssh-keygen, which must succeed.
pub(crate) fn keygen(arguments: &[&str], directory: &Path) {
    let output = Command::new("ssh-keygen").args(arguments).current_dir(directory).output();
    let output = output.expect("ssh-keygen is missing: sudo apt-get install openssh-client");
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Type and base64 of a public key or certificate.
fn public(file: &Path) -> String {
    fs::read_to_string(file).unwrap().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Of every RSA key here, those of authorities too.
pub(crate) const RSA_BITS: u32 = 2048;

/// Makes a key and gives its public half.
pub(crate) fn make_key(directory: &Path, name: &str, kind: &str) -> String {
    let bits = if kind == "rsa" { RSA_BITS } else { 256 }.to_string();
    keygen(&["-q", "-t", kind, "-b", &bits, "-N", "", "-C", "", "-f", name], directory);
    public(&directory.join(format!("{name}.pub")))
}

/// Major and minor version of the installed `ssh`.
fn version() -> (u32, u32) {
    let output = Command::new("ssh").arg("-V").output().expect("ssh is missing: sudo apt-get install openssh-client");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let number = text.strip_prefix("OpenSSH_").and_then(|rest| rest.split(['p', ' ', ',']).next()).unwrap();
    let (major, minor) = number.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

/// sshd as it must be for many connections of one client that all fail.
pub(crate) fn patient() -> Vec<String> {
    let mut lines = vec!["MaxStartups 1000:30:2000".to_owned()];
    if version() >= (9, 8) {
        lines.push("PerSourcePenalties no".to_owned());
    }
    lines
}

const HOSTS: &str = "localhost,127.0.0.1,web-1.example.org";

/// Name, key, authority, how ssh-keygen signs, and the only algorithms of the server, if not all.
type Kind = (&'static str, &'static str, &'static str, &'static [&'static str], Option<&'static str>);

const CERTIFIED: &[Kind] = &[
    ("certified", "ed25519", "ca_ed25519", &["-h", "-n", HOSTS], None),
    ("certified by RSA", "ed25519", "ca_rsa", &["-h", "-n", HOSTS], None),
    ("expired", "ed25519", "ca_ed25519", &["-h", "-n", HOSTS, "-V", "-3d:-1d"], None),
    ("not yet valid", "ed25519", "ca_ed25519", &["-h", "-n", HOSTS, "-V", "+3d:+9d"], None),
    ("for another host", "ed25519", "ca_ed25519", &["-h", "-n", "elsewhere,Web-1.Example.org"], None),
    ("with a critical option", "ed25519", "ca_ed25519", &["-h", "-n", HOSTS, "-O", "critical:a@b=c"], None),
    ("with an extension", "ed25519", "ca_ed25519", &["-h", "-n", HOSTS, "-O", "extension:a@b=c"], None),
    ("certified with SHA-1", "ed25519", "ca_rsa", &["-t", "ssh-rsa", "-h", "-n", HOSTS], None),
    ("certified as a user", "ed25519", "ca_ed25519", &["-n", HOSTS], None),
    (
        "certified ECDSA only",
        "ecdsa",
        "ca_ecdsa",
        &["-h", "-n", HOSTS],
        Some("ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp256"),
    ),
    (
        "certified RSA only",
        "rsa",
        "ca_rsa",
        &["-h", "-n", HOSTS],
        Some("rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-256"),
    ),
    ("certified RSA, plain ECDSA", "rsa", "ca_ed25519", &["-h", "-n", HOSTS], None),
];

/// Before 10.3 OpenSSH reads principals otherwise: no pattern counts, and none is all.
const CERTIFIED_SINCE_10_3: &[Kind] = &[
    ("certified for a pattern", "ed25519", "ca_ed25519", &["-h", "-n", "*,*.example.org"], None),
    ("certified for nobody", "ed25519", "ca_ed25519", &["-h"], None),
];

/// Files for `RevokedHostKeys`.
fn revoked(at: &Path, hosts: &[String], strangers: &[String]) -> Vec<PathBuf> {
    let write = |name: &str, text: String| {
        fs::write(at.join(name), text).unwrap();
        at.join(name)
    };
    // Keys of the servers' own, an authority, what it has certified, and nobody's.
    let specifications = [
        ("all_of_an_authority", "ca_ed25519.pub", "id: id\n".to_owned()),
        ("serials", "ca_ed25519.pub", "serial: 3\nserial: 5-90\nserial: 100\nserial: 102\n".to_owned()),
        ("key", "", format!("key: {}\n", hosts[0])),
        ("sha1", "", format!("sha1: {}\n", hosts[1])),
        ("sha256", "", format!("sha256: {}\n", hosts[0])),
        ("stranger", "", format!("key: {}\nsha256: {}\n", strangers[0], strangers[1])),
        ("authority", "", format!("key: {}\n", public(&at.join("ca_ed25519.pub")))),
    ];
    let lists = specifications.into_iter().map(|(name, authority, text)| {
        let (list, specification) = (at.join(format!("{name}.krl")), write(&format!("{name}.spec"), text));
        let (list_name, specification) = (list.display().to_string(), specification.display().to_string());
        let authority = if authority.is_empty() { Vec::new() } else { vec!["-s", authority] };
        keygen(&[&["-q", "-k", "-f", &list_name][..], &authority, &[&specification]].concat(), at);
        list
    });
    let mut files: Vec<PathBuf> = lists.collect();
    files.push(write("keys", format!("# of nobody\n\n{} a comment\n{}\n", strangers[0], hosts[1])));
    files.push(write("authorities", format!("{}\n", public(&at.join("ca_rsa.pub")))));
    files.push(write("nothing", String::new()));
    files.push(write("nonsense", "no key\n".to_owned()));
    files.push(at.join("absent"));
    files
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let authorities = ["ed25519", "ecdsa", "rsa"].map(|kind| make_key(at, &format!("ca_{kind}"), kind)).to_vec();
        let strangers =
            ["ed25519", "ecdsa", "rsa"].map(|kind| make_key(at, &format!("stranger_{kind}"), kind)).to_vec();
        let hosts = ["ecdsa", "rsa"].map(|kind| make_key(at, &format!("host_{kind}"), kind));
        let host_key = |kind: &str| format!("HostKey {}", at.join(format!("host_{kind}")).display());
        let start = |what, extra: Vec<String>, keys: Vec<String>, authority, certificate| {
            let sshd = Sshd::start_with(&SshdOptions { extra: [patient(), extra].concat(), ..SshdOptions::default() });
            let keys = [keys, vec![sshd.host_key().public.clone()]].concat();
            Server { what, sshd, keys, authority, certificate }
        };
        let mut servers = vec![
            start("three keys", vec![host_key("ecdsa"), host_key("rsa")], hosts.to_vec(), None, None),
            start("one key", Vec::new(), Vec::new(), None, None),
            start(
                "RSA only",
                vec![host_key("rsa"), "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256".to_owned()],
                vec![hosts[1].clone()],
                None,
                None,
            ),
        ];
        let kinds = CERTIFIED.iter().chain(if version() >= (10, 3) { CERTIFIED_SINCE_10_3 } else { &[] });
        for (index, (what, kind, authority, sign, only)) in kinds.enumerate() {
            let name = format!("certified_{index}");
            let mut keys = vec![make_key(at, &name, kind)];
            // Every second one of an authority has the id that a list revokes, and some the serial.
            let (own_id, serial) = (if index % 2 == 0 { "id" } else { "other" }, index.to_string());
            let id = ["-q", "-s", authority, "-I", own_id, "-z", &serial];
            keygen(&[&id[..], sign, &[&format!("{name}.pub")]].concat(), at);
            let certificate = at.join(format!("{name}-cert.pub"));
            let mut extra = vec![
                format!("HostKey {}", at.join(&name).display()),
                format!("HostCertificate {}", certificate.display()),
            ];
            if let Some(only) = only {
                extra.push(format!("HostKeyAlgorithms {only}"));
            } else {
                extra.push(host_key("ecdsa"));
                keys.push(hosts[0].clone());
            }
            let authority = public(&at.join(format!("{authority}.pub")));
            servers.push(start(what, extra, keys, Some(authority), Some(public(&certificate))));
        }
        let revoked = revoked(at, &hosts, &strangers);
        Self { servers, strangers, authorities, revoked, _dir: dir }
    }
}
