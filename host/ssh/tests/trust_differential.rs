//! Trust in hosts' keys, case by case against the real `ssh` at real servers.
//!
//! A generator makes known_hosts files and settings; `ssh` and the engine then meet the same server with copies of the
//! same files, and must say the same: accepted, unknown, changed or revoked, by which line, with passwords or without,
//! and with what learned. The seed is printed; `SCOUT_TRUST_SEED` and `SCOUT_TRUST_CASES` repeat or prolong a run. A
//! case that differs is told with no line that it does not need.
//!
//! Besides: nothing leaves before the verdict, and what is learned can be read by everybody.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use scout_ssh::config::{AddressFamily, AlgorithmLists, Source, StrictHostKeyChecking};
use scout_ssh::trust::{self, Decision, KnownHosts, MayShow, Verdict};
use scout_ssh::{Ahead, Call, ErrorKind, HostSpec, Pool, PoolConfig, Principal, TrustAhead, trust_ahead};
use scout_tests::{Sshd, SshdOptions};

const CASES: usize = 600;
const SEED: u64 = 20_260_817;
/// Each case is an `ssh`, two children of sshd and the engine: more at once only wait for processors.
const WORKERS: usize = 4;

/// What the case's files hold; the first is the one that is learned into.
const FILES: [&str; 3] = ["user1", "user2", "global"];

// ---- Chance ---------------------------------------------------------------------------------------------------------

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

// ---- Servers --------------------------------------------------------------------------------------------------------

/// What a server may present, and other keys that matter for it.
struct Server {
    what: &'static str,
    sshd: Sshd,
    /// Keys that it presents or certifies, as type and base64.
    keys: Vec<String>,
    /// The authority of its certificate.
    authority: Option<String>,
    /// The certificate, as type and base64.
    certificate: Option<String>,
}

impl Server {
    /// What `ssh -v` says it was shown.
    fn presented(&self, log: &str) -> PublicKeyOrCertificate {
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
struct World {
    servers: Vec<Server>,
    strangers: Vec<String>,
    authorities: Vec<String>,
    _dir: tempfile::TempDir,
}

/// Runs ssh-keygen, which must succeed.
fn keygen(arguments: &[&str], directory: &Path) {
    let output = Command::new("ssh-keygen").args(arguments).current_dir(directory).output();
    let output = output.expect("ssh-keygen is missing: sudo apt-get install openssh-client");
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Type and base64 of a public key or certificate.
fn public(file: &Path) -> String {
    fs::read_to_string(file).unwrap().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Of every RSA key here, those of authorities too.
const RSA_BITS: u32 = 2048;

/// Makes a key and gives its public half.
fn make_key(directory: &Path, name: &str, kind: &str) -> String {
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
fn patient() -> Vec<String> {
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

/// From 10.3 on OpenSSH reads principals otherwise: patterns count, and none is none.
const CERTIFIED_BEFORE_10_3: &[Kind] = &[
    ("certified for a pattern", "ed25519", "ca_ed25519", &["-h", "-n", "*,*.example.org"], None),
    ("certified for all", "ed25519", "ca_ed25519", &["-h"], None),
];

impl World {
    fn new() -> Self {
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
        let kinds = CERTIFIED.iter().chain(if version() < (10, 3) { CERTIFIED_BEFORE_10_3 } else { &[] });
        for (index, (what, kind, authority, sign, only)) in kinds.enumerate() {
            let name = format!("certified_{index}");
            let mut keys = vec![make_key(at, &name, kind)];
            let id = ["-q", "-s", authority, "-I", "id"];
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
        Self { servers, strangers, authorities, _dir: dir }
    }
}

// ---- Cases ----------------------------------------------------------------------------------------------------------

/// How the host is called: what is dialled, `HostKeyAlias`, and the name that known_hosts has for it.
const CALLED: [(&str, Option<&str>, &str); 4] = [
    ("127.0.0.1", None, "127.0.0.1"),
    ("127.1", None, "127.0.0.1"),
    ("LocalHost", None, "localhost"),
    ("127.0.0.1", Some("Web-1.Example.org"), "web-1.example.org"),
];

/// Those of the authorities that sign with them count.
const SIGNATURES: [&str; 4] = [
    "ssh-ed25519,ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256,rsa-sha2-256,rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-ed25519,ssh-rsa",
];

#[derive(Clone)]
struct Case {
    server: usize,
    called: usize,
    /// The word of `StrictHostKeyChecking`.
    strict: &'static str,
    hashed: bool,
    /// `CASignatureAlgorithms`.
    signatures: Option<&'static str>,
    /// `RequiredRSASize`.
    required_bits: u32,
    /// The lines of each file, newlines included; `None`: there is no such file.
    files: [Option<Vec<Vec<u8>>>; 3],
}

impl Case {
    fn generate(random: &mut Random, world: &World) -> Self {
        let server = random.below(world.servers.len());
        let called = random.below(CALLED.len());
        let strict = *random.pick(&["yes", "accept-new", "accept-new", "no", "off", "ask"]);
        let mut lines = LineMaker { world, server: &world.servers[server], host: CALLED[called].2, random };
        let mut files = [lines.file(4), lines.file(3), lines.file(2)];
        // A bug of OpenSSH before 10: a last line that ends behind the name is read on into older memory.
        for file in files.iter_mut().flatten() {
            if lines.random.one_in(6)
                && let Some(last) = file.last_mut()
                && last.iter().filter(|byte| **byte == b' ').count() > 1
            {
                last.pop();
            }
        }
        let hashed = random.one_in(3);
        let signatures = if random.one_in(3) { Some(*random.pick(&SIGNATURES)) } else { None };
        let required_bits = if random.one_in(4) { RSA_BITS + 1 } else { RSA_BITS };
        Self { server, called, strict, hashed, signatures, required_bits, files }
    }

    fn describe(&self, world: &World) -> String {
        let (host, alias, _) = CALLED[self.called];
        let mut text = format!(
            "server {:?}, host {host}, alias {alias:?}, StrictHostKeyChecking {}, HashKnownHosts {}, \
             CASignatureAlgorithms {:?}, RequiredRSASize {}\n",
            world.servers[self.server].what, self.strict, self.hashed, self.signatures, self.required_bits
        );
        for (name, file) in FILES.iter().zip(&self.files) {
            let lines = file.as_ref().map(|lines| String::from_utf8_lossy(&lines.concat()).escape_debug().to_string());
            text.push_str(&format!(
                "{name}: {}\n",
                lines.unwrap_or_else(|| "absent".to_owned()).replace("\\n", "\n    ")
            ));
        }
        for key in &world.servers[self.server].keys {
            text.push_str(&format!("the server's: {key}\n"));
        }
        text
    }
}

struct LineMaker<'a> {
    world: &'a World,
    server: &'a Server,
    host: &'a str,
    random: &'a mut Random,
}

impl LineMaker<'_> {
    fn file(&mut self, most: usize) -> Option<Vec<Vec<u8>>> {
        if self.random.one_in(8) {
            return None;
        }
        Some((0..self.random.below(most + 1)).map(|_| self.line()).collect())
    }

    fn line(&mut self) -> Vec<u8> {
        if self.random.one_in(12) {
            let odd =
                ["", "#", "# a comment", "  \t", "\r", "name", "name ", "@", "@revoked", "* #", "* ssh-ed25519", "*"];
            return format!("{}\n", self.random.pick(&odd)).into_bytes();
        }
        let (marker, key) = self.marker_and_key();
        let lead = self.random.pick(&["", "", "", "", " ", "\t "]).to_string();
        let gaps: Vec<&str> = (0..2).map(|_| *self.random.pick(&[" ", " ", " ", "\t", "  ", " \t"])).collect();
        let tail = *self.random.pick(&["", "", "", " a comment", "\r", " #x", "\t", " \0x", "\x0b"]);
        let names = self.names();
        let key = key.replacen(' ', gaps[1], 1);
        format!("{lead}{marker}{names}{}{key}{tail}\n", gaps[0]).chars().map(|c| u8::try_from(c).unwrap()).collect()
    }

    fn marker_and_key(&mut self) -> (String, String) {
        let own = self.random.pick(&self.server.keys).clone();
        let stranger = self.random.pick(&self.world.strangers).clone();
        let authority = match &self.server.authority {
            Some(authority) if !self.random.one_in(4) => authority.clone(),
            _ => self.random.pick(&self.world.authorities).clone(),
        };
        let authority_weight = if self.server.authority.is_some() { 7 } else { 2 };
        let (marker, key) = match self.random.below(14 + authority_weight) {
            0..=6 => ("", own),
            7..=8 => ("", stranger),
            9 => ("@revoked", own),
            10 => ("@revoked", self.random.pick(&[authority, stranger]).clone()),
            11 => ("@cert-authority", own),
            12 => {
                (*self.random.pick(&["@what", "@", "@REVOKED", "@revoked @revoked", "@cert-authority @revoked"]), own)
            }
            13 => ("", authority),
            _ => ("@cert-authority", authority),
        };
        let key = if self.random.one_in(9) { self.odd_key(&key) } else { key };
        let gap = *self.random.pick(&[" ", " ", " ", "  ", " \t", "\t"]);
        (if marker.is_empty() { String::new() } else { format!("{marker}{gap}") }, key)
    }

    /// The key as something else.
    fn odd_key(&mut self, key: &str) -> String {
        let (kind, blob) = key.split_once(' ').unwrap();
        let certificate = self.server.certificate.clone().unwrap_or_else(|| key.to_owned());
        match self.random.below(12) {
            0 => format!("{kind} {}", &blob[..blob.len() - 4]),
            1 => format!("{kind} {}!", &blob[..blob.len() - 1]),
            2 => format!("{kind} {blob}AAAA"),
            3 => format!("{kind} {blob}="),
            4 => format!("ssh-foo {blob}"),
            5 => format!("ecdsa-sha2-nistp384 {blob}"),
            6 => format!("{} {blob}", kind.to_ascii_uppercase()),
            7 => format!("rsa-sha2-512 {blob}"),
            8 => format!("{kind} {}\x0c{}", &blob[..8], &blob[8..]),
            9 => format!("{kind}-cert-v01@openssh.com {blob}"),
            10 => format!("{kind} #{blob}"),
            _ => certificate,
        }
    }

    fn names(&mut self) -> String {
        let port = self.server.sshd.address().port();
        let (host, full) = (self.host, format!("[{}]:{port}", self.host));
        if self.random.one_in(4) {
            let name = match self.random.below(8) {
                0..=3 => full,
                4..=5 => host.to_owned(),
                6 => full.to_ascii_uppercase(),
                _ => "elsewhere".to_owned(),
            };
            return self.hashed(&name);
        }
        let count = *self.random.pick(&[1, 1, 1, 2, 3]);
        let names: Vec<String> = (0..count).map(|_| self.name(host, &full)).collect();
        names.join(",")
    }

    fn name(&mut self, host: &str, full: &str) -> String {
        let place = self.random.below(full.len());
        let name = match self.random.below(20) {
            0..=5 => full.to_owned(),
            6..=9 => host.to_owned(),
            10 => full.to_ascii_uppercase(),
            11 => host.to_ascii_uppercase(),
            12 => format!("[{host}]:9"),
            13 => "*".to_owned(),
            14 => format!("{}?{}", &full[..place], &full[place + 1..]),
            15 => format!("{}*", &full[..place]),
            16 => format!("*{}", &full[place..]),
            17 => format!("{}*", &host[..place.min(host.len())]),
            18 => self.random.pick(&["", "!", "elsewhere", "[*]:*", "?", "\u{fc}", "|1|", "x|", "\r"]).to_string(),
            _ => "x".repeat(1020 + place),
        };
        if self.random.one_in(9) { format!("!{name}") } else { name }
    }

    fn hashed(&mut self, name: &str) -> String {
        let salt: Vec<u8> = (0..20).map(|_| u8::try_from(self.random.below(256)).unwrap()).collect();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&salt).unwrap();
        mac.update(name.as_bytes());
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        let salt = STANDARD.encode(salt);
        match self.random.below(16) {
            0 => format!("|1|{salt}|{hash},{name}"),
            1 => format!("|2|{salt}|{hash}"),
            2 => format!("|1|{}|{hash}", &salt[4..]),
            3 => format!("|1|{salt}"),
            _ => format!("|1|{salt}|{hash}"),
        }
    }
}

// ---- Verdicts -------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Accepted,
    /// An RSA key with fewer bits than are required.
    TooShort,
    Unknown,
    Changed,
    Revoked,
}

/// What one of the two made of a case.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: Said,
    /// The line that decided, as `user1:2`; absent if none did, or `ssh` does not tell.
    line: Option<String>,
    /// Passwords are off.
    is_unsafe: bool,
    /// What the first file holds then, if that can be compared.
    learned: Option<String>,
}

/// Writes the case's files; they are `FILES` of this directory.
fn write_files(case: &Case, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for (name, lines) in FILES.iter().zip(&case.files) {
        let path = directory.join(name);
        let _ = fs::remove_file(&path);
        if let Some(lines) = lines {
            fs::write(path, lines.concat()).unwrap();
        }
    }
}

fn run_ssh(case: &Case, server: &Server, directory: &Path) -> String {
    let (host, alias, _) = CALLED[case.called];
    let file = |index: usize| directory.join(FILES[index]).display().to_string();
    let mut command = Command::new("ssh");
    command.args(["-v", "-F", "none", "-T", "-p", &server.sshd.address().port().to_string(), "-l", "nobody"]);
    let hashed = if case.hashed { "yes" } else { "no" };
    for option in [
        "BatchMode=yes".to_owned(),
        "ConnectTimeout=60".to_owned(),
        "IdentityAgent=none".to_owned(),
        "PubkeyAuthentication=no".to_owned(),
        "UpdateHostKeys=no".to_owned(),
        "AddressFamily=inet".to_owned(),
        "KexAlgorithms=curve25519-sha256".to_owned(),
        format!("UserKnownHostsFile={} {}", file(0), file(1)),
        format!("GlobalKnownHostsFile={}", file(2)),
        format!("StrictHostKeyChecking={}", case.strict),
        format!("HashKnownHosts={hashed}"),
        format!("RequiredRSASize={}", case.required_bits),
    ] {
        command.args(["-o", &option]);
    }
    if let Some(alias) = alias {
        command.args(["-o", &format!("HostKeyAlias={alias}")]);
    }
    if let Some(signatures) = case.signatures {
        command.args(["-o", &format!("CASignatureAlgorithms={signatures}")]);
    }
    let output = command.args([host, "true"]).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stderr).replace('\r', "")
}

/// What `ssh` printed since it gave a certificate up: what it had found until then decided nothing.
fn after_retry(log: &str) -> &str {
    log.rsplit("Retry with plain key").next().unwrap()
}

/// The verdict in what `ssh -v` printed.
fn read_ssh(log: &str, name: &str) -> Outcome {
    let place = |text: &str| text.rsplit('/').next().unwrap().to_owned();
    let last = |starts: &str, before: &str| {
        let line = after_retry(log).lines().rev().find(|line| line.starts_with(starts) && line.contains(before));
        line.map(|line| place(&line[line.find(before).unwrap() + before.len()..]))
    };
    let said = if log.contains("Permission denied") {
        Said::Accepted
    } else if log.contains("Bad server host key: Invalid key length") {
        Said::TooShort
    } else if !log.contains("Host key verification failed.") {
        panic!("ssh came to no verdict:\n{log}")
    } else if log.contains(&format!("host key for {name} was revoked and you have requested")) {
        Said::Revoked
    } else if log.contains(&format!("Host key for {name} has changed and you have requested")) {
        Said::Changed
    } else {
        Said::Unknown
    };
    let is_unsafe = log.contains("Password authentication is disabled to avoid");
    let line = match said {
        Said::Accepted if !is_unsafe => last("debug1: Found ", " in "),
        Said::Changed => last("Offending ", " in "),
        Said::Accepted | Said::TooShort | Said::Unknown | Said::Revoked => None,
    };
    Outcome { said, line, is_unsafe, learned: None }
}

fn spec(case: &Case, server: &Server, directory: &Path) -> HostSpec {
    let (host, alias, _) = CALLED[case.called];
    let file = |index: usize| directory.join(FILES[index]);
    let strict = match case.strict {
        "accept-new" => StrictHostKeyChecking::AcceptNew,
        "no" | "off" => StrictHostKeyChecking::No,
        _ => StrictHostKeyChecking::Yes,
    };
    HostSpec {
        host_key_alias: alias.map(str::to_owned),
        hash_known_hosts: case.hashed,
        user_known_hosts_files: vec![file(0), file(1)],
        global_known_hosts_files: vec![file(2)],
        strict_host_key_checking: strict,
        required_rsa_bits: case.required_bits,
        algorithms: AlgorithmLists {
            ca_signatures: case.signatures.map(|names| names.split(',').map(str::to_owned).collect()),
            ..AlgorithmLists::default()
        },
        ..plain_spec(host, server.sshd.address().port())
    }
}

/// A host that nobody can log in to: there is no key to try.
fn plain_spec(host: &str, port: u16) -> HostSpec {
    HostSpec { address_family: AddressFamily::Inet, ..HostSpec::new("box", host, port, "nobody") }
}

/// What the engine says when it really connects.
async fn dial(spec: HostSpec) -> Said {
    let pool = Pool::new(PoolConfig { connect_timeout: Duration::from_secs(60), ..PoolConfig::default() });
    let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
    let error = pool.lease(&Principal::new("me"), &Arc::new(spec), &call).await.map(|_| ()).unwrap_err();
    match error.kind() {
        ErrorKind::Auth => Said::Accepted,
        ErrorKind::UnknownHostKey => Said::Unknown,
        ErrorKind::HostKeyRejected if error.message().contains("an RSA key of fewer than ") => Said::TooShort,
        ErrorKind::HostKeyRejected if error.message().contains(" is revoked by ") => Said::Revoked,
        ErrorKind::HostKeyRejected if error.message().contains(" is not the one known from ") => Said::Changed,
        kind => panic!("the engine came to no verdict: {kind:?} {error}"),
    }
}

/// What the files decide, before anybody learns.
fn decide(spec: &HostSpec, presented: &PublicKeyOrCertificate) -> Decision {
    let files: Vec<PathBuf> =
        spec.user_known_hosts_files.iter().chain(&spec.global_known_hosts_files).cloned().collect();
    KnownHosts::load(&files).unwrap().decide(spec, presented)
}

/// Valid for every host here, by any way to sign.
const VALID: [&str; 6] = [
    "certified",
    "certified by RSA",
    "with an extension",
    "certified ECDSA only",
    "certified RSA only",
    "certified RSA, plain ECDSA",
];

/// What is foretold of what the host then presented; absent if no such thing is: a certificate that is not valid, or of a
/// key that a line has.
fn foretold<'a>(
    case: &Case,
    server: &Server,
    ahead: &'a TrustAhead,
    presented: &PublicKeyOrCertificate,
) -> Option<&'a Ahead> {
    let key = presented.public_key();
    let of = |shown: MayShow| ahead.decisions.iter().find(|(one, _)| *one == shown).map(|(_, ahead)| ahead);
    let listed = of(MayShow::Key(key.key_data().clone().into()));
    match presented.certificate() {
        Some(_) if listed.is_some() || case.signatures.is_some() || !VALID.contains(&server.what) => None,
        Some(certificate) => {
            of(MayShow::CertifiedBy(certificate.signature_key().clone().into())).or_else(|| of(MayShow::OtherKey))
        }
        None => listed.or_else(|| of(MayShow::OtherKey)),
    }
}

/// Runs one case: what kind of case it was, and the difference, if there is one.
fn run(
    case: &Case,
    world: &World,
    directory: &Path,
    runtime: &tokio::runtime::Handle,
) -> (&'static str, Option<String>) {
    let server = &world.servers[case.server];
    let (theirs, ours) = (directory.join("theirs"), directory.join("ours"));
    write_files(case, &theirs);
    write_files(case, &ours);
    let spec = spec(case, server, &ours);
    let (name, port) = trust::known_as(&spec);
    let name = if port == 22 || spec.host_key_alias.is_some() { name } else { format!("[{name}]:{port}") };

    let log = run_ssh(case, server, &theirs);
    let mut wanted = read_ssh(&log, &name);
    // `ssh` does not tell what was too short: nobody asks the files about it.
    let presented = (wanted.said != Said::TooShort).then(|| server.presented(&log));
    // Before anybody learns.
    let decision = presented.as_ref().map(|presented| decide(&spec, presented));
    let decision = decision.unwrap_or(Decision::Refused(Verdict::Unknown));
    let ahead = runtime.block_on(trust_ahead(&spec, &PoolConfig::default())).unwrap();
    let wrongly_foretold = match &presented {
        Some(presented) => {
            let foretold = foretold(case, server, &ahead, presented);
            foretold.filter(|foretold| **foretold != Ahead::Decided(decision.clone())).cloned()
        }
        // Which of its keys it was is not told; those that lines have are too short for all hosts.
        None => {
            let mut rsa = ahead.decisions.iter().filter(|(shown, _)| match shown {
                MayShow::Key(key) => matches!(key.algorithm(), Algorithm::Rsa { .. }),
                MayShow::CertifiedBy(_) | MayShow::OtherKey => false,
            });
            rsa.find(|(_, ahead)| *ahead != Ahead::TooShort).map(|(_, ahead)| ahead.clone())
        }
    };
    let said = runtime.block_on(dial(spec.clone()));
    let place = |source: &Source| format!("{}:{}", source.file.file_name().unwrap().to_string_lossy(), source.line);
    let line = match &decision {
        Decision::Trusted(at) | Decision::Refused(Verdict::Changed(at)) => Some(place(at)),
        _ => None,
    };
    let mut got = Outcome { said, line, is_unsafe: matches!(decision, Decision::Unsafe(_)), learned: None };

    let read = |side: &Path| String::from_utf8_lossy(&fs::read(side.join(FILES[0])).unwrap_or_default()).into_owned();
    let before = case.files[0].as_ref().map(|lines| lines.concat()).unwrap_or_default();
    if let (Decision::Learn, Some(presented)) = (&decision, presented) {
        // Both files must vouch for the key to both of us; OpenSSH before 9.9 adds to an unfinished line.
        let whole = before.last().is_none_or(|last| *last == b'\n');
        let presented = PublicKeyOrCertificate::from(presented.public_key());
        for side in [&theirs, &ours] {
            if whole || side == &ours {
                let spec = HostSpec { user_known_hosts_files: vec![side.join(FILES[0])], ..spec.clone() };
                assert!(matches!(decide(&spec, &presented), Decision::Trusted(_)), "not learned in {}", side.display());
            }
        }
        if whole && !case.hashed {
            (wanted.learned, got.learned) = (Some(read(&theirs)), Some(read(&ours)));
        }
    } else {
        (wanted.learned, got.learned) = (Some(read(&theirs)), Some(read(&ours)));
    }
    let kind = match (&decision, wanted.said) {
        (Decision::Trusted(_), _) if after_retry(&log).contains("Found CA key in") => "trusted by an authority",
        (Decision::Trusted(_), _) if log.contains("found matching key w/out port") => "trusted without the port",
        (Decision::Trusted(_), _) => "trusted",
        (Decision::Learn, _) => "learned",
        (Decision::Unsafe(_), _) => "unsafe",
        (Decision::Refused(_), Said::TooShort) => "too short",
        (Decision::Refused(_), Said::Revoked) => "revoked",
        (Decision::Refused(_), Said::Changed) => "changed",
        (Decision::Refused(_), _) => "unknown",
    };
    let told = || {
        let wrongly = format!("wrongly foretold: {wrongly_foretold:?}");
        format!("ssh:  {wanted:?}\nours: {got:?}\ndecision: {decision:?}\n{wrongly}\n{}\n{log}", case.describe(world))
    };
    (kind, (wanted != got || wrongly_foretold.is_some()).then(told))
}

/// The smallest case that still differs, found by leaving out lines.
fn shrink(case: &Case, world: &World, directory: &Path, runtime: &tokio::runtime::Handle) -> String {
    let mut case = case.clone();
    let mut told = run(&case, world, directory, runtime).1.expect("a difference that happens once more");
    let mut shrunk = true;
    while shrunk {
        shrunk = false;
        for file in 0..case.files.len() {
            for line in (0..case.files[file].as_ref().map_or(0, Vec::len)).rev() {
                let mut smaller = case.clone();
                smaller.files[file].as_mut().unwrap().remove(line);
                if let Some(text) = run(&smaller, world, directory, runtime).1 {
                    (case, told, shrunk) = (smaller, text, true);
                }
            }
        }
    }
    told
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn every_verdict_is_that_of_ssh() {
    let seed = number("SCOUT_TRUST_SEED", SEED);
    let count = usize::try_from(number("SCOUT_TRUST_CASES", CASES as u64)).unwrap();
    eprintln!("SCOUT_TRUST_SEED={seed} SCOUT_TRUST_CASES={count}");
    let world = World::new();
    let mut random = Random(seed);
    let cases: Vec<Case> = (0..count).map(|_| Case::generate(&mut random, &world)).collect();
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let next = AtomicUsize::new(0);
    let kinds = Mutex::new(BTreeMap::<&str, usize>::new());
    let differing = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let directory = directory.path().join(worker.to_string());
            let (world, cases, next, runtime) = (&world, &cases, &next, runtime.handle());
            let (kinds, differing) = (&kinds, &differing);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (kind, told) = run(case, world, &directory, runtime);
                    *kinds.lock().unwrap().entry(kind).or_default() += 1;
                    if told.is_some() {
                        differing.lock().unwrap().push(case.clone());
                    }
                }
            });
        }
    });
    let (kinds, differing) = (kinds.into_inner().unwrap(), differing.into_inner().unwrap());
    eprintln!("{kinds:?}");
    if let Some(case) = differing.first() {
        let told = shrink(case, &world, directory.path(), runtime.handle());
        panic!("{} of {count} cases differ (SCOUT_TRUST_SEED={seed}); the first, shrunk:\n{told}", differing.len());
    }
    if count >= CASES {
        assert!(kinds.len() == 9 && kinds.values().all(|n| *n >= 8), "the generator misses a kind of case: {kinds:?}");
    }
}

// ---- Before the verdict ---------------------------------------------------------------------------------------------

/// A relay that keeps what clients send, connection by connection.
struct Recorder {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<JoinHandle<Vec<u8>>>>>,
}

impl Recorder {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&connections);
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).unwrap();
                kept.lock().unwrap().push(std::thread::spawn(move || record(client, server)));
            }
        });
        Self { address, connections }
    }

    /// What each connection carried to the server until it was closed.
    fn take(&self) -> Vec<Vec<u8>> {
        let connections: Vec<_> = self.connections.lock().unwrap().drain(..).collect();
        connections.into_iter().map(|connection| connection.join().unwrap()).collect()
    }
}

fn record(mut client: TcpStream, mut server: TcpStream) -> Vec<u8> {
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut sent, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        sent.extend_from_slice(&buffer[..read]);
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    back.join().unwrap();
    sent
}

/// What a client sent after it had switched to its first keys: all of that is encrypted, and authentication.
fn after_new_keys(sent: &[u8]) -> &[u8] {
    const NEWKEYS: u8 = 21;
    let banner = sent.windows(2).position(|bytes| bytes == b"\r\n").expect("an identification") + 2;
    let mut rest = &sent[banner..];
    while rest.len() > 5 {
        let length = usize::try_from(u32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
        let message = rest[5];
        rest = &rest[4 + length..];
        if message == NEWKEYS {
            return rest;
        }
    }
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_host_that_is_not_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let [authority, other, ecdsa] =
        [("ca", "ed25519"), ("other", "ed25519"), ("ecdsa", "ecdsa")].map(|(name, kind)| make_key(at, name, kind));
    let own = make_key(at, "host", "ed25519");
    keygen(&["-q", "-s", "ca", "-I", "id", "-h", "-n", "127.0.0.1", "host.pub"], at);
    let path = |name: &str| at.join(name).display().to_string();
    let certified = ["HostKey", "HostCertificate"].iter().zip(["host", "host-cert.pub"]);
    let certified = certified.map(|(word, file)| format!("{word} {}", path(file))).collect();
    let sshd = Sshd::start_with(&SshdOptions { extra: certified, ..SshdOptions::default() });
    let plain = Sshd::start();
    let shown = plain.host_key().public.clone();
    for (server, strict, lines, said, connections) in [
        (&plain, StrictHostKeyChecking::Yes, format!("* {shown}"), Said::Accepted, 1),
        (&sshd, StrictHostKeyChecking::Yes, format!("@cert-authority * {authority}"), Said::Accepted, 1),
        (&plain, StrictHostKeyChecking::Yes, String::new(), Said::Unknown, 1),
        (&plain, StrictHostKeyChecking::Yes, format!("@cert-authority * {authority}"), Said::Unknown, 1),
        (&plain, StrictHostKeyChecking::AcceptNew, format!("* {other}"), Said::Changed, 1),
        // Asked a second time, for a certificate.
        (&plain, StrictHostKeyChecking::AcceptNew, format!("* {ecdsa}"), Said::Changed, 2),
        (&plain, StrictHostKeyChecking::AcceptNew, format!("* {shown}\n@revoked * {shown}"), Said::Revoked, 1),
        (&sshd, StrictHostKeyChecking::Yes, format!("@cert-authority * {other}"), Said::Unknown, 1),
        (&sshd, StrictHostKeyChecking::AcceptNew, format!("@revoked * {authority}\n* {own}"), Said::Revoked, 1),
        (
            &sshd,
            StrictHostKeyChecking::AcceptNew,
            format!("@cert-authority * {authority}\n@revoked * {own}"),
            Said::Revoked,
            1,
        ),
    ] {
        let recorder = Recorder::start(server.address());
        let file = at.join("known_hosts");
        fs::write(&file, format!("{lines}\n")).unwrap();
        let spec = HostSpec {
            user_known_hosts_files: vec![file],
            strict_host_key_checking: strict,
            // Would be offered, and is never accepted.
            identity_files: vec![at.join("other")],
            ..plain_spec("127.0.0.1", recorder.address.port())
        };
        assert_eq!(dial(spec.clone()).await, said, "{lines}");
        let sent = recorder.take();
        // Asked for the key alone, the engine decides the same.
        let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
        let decision = Pool::new(PoolConfig::default()).host_key(&spec, &call).await.unwrap().decision;
        let told = match decision {
            Decision::Trusted(_) => Said::Accepted,
            Decision::Refused(Verdict::Unknown) => Said::Unknown,
            Decision::Refused(Verdict::Changed(_)) => Said::Changed,
            Decision::Refused(Verdict::Revoked(_)) => Said::Revoked,
            other => panic!("{other:?}: {lines}"),
        };
        assert_eq!(told, said, "{lines}");
        assert_eq!(sent.len(), connections, "{lines}");
        for sent in sent {
            let rest = after_new_keys(&sent);
            assert_eq!(rest.is_empty(), said != Said::Accepted, "{} bytes after the keys: {lines}", rest.len());
        }
    }
}

// ---- What is learned ------------------------------------------------------------------------------------------------

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
