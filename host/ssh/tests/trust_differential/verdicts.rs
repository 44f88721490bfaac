//! One case as ssh and the engine see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, PublicKeyOrCertificate};
use scout_machine::{Call, ErrorKind, Principal};
use scout_ssh::config::{AddressFamily, AlgorithmLists, Source, StrictHostKeyChecking};
use scout_ssh::trust::{self, Decision, KnownHosts, MayShow, Verdict};
use scout_ssh::{Ahead, DialConfig, HostSpec, Pool, PoolConfig, TrustAhead, trust_ahead};

use crate::cases::{CALLED, Case, FILES};
use crate::servers::{Server, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
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

fn run_ssh(case: &Case, world: &World, directory: &Path) -> String {
    let server = &world.servers[case.server];
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
    if case.trusts_localhost {
        command.args(["-o", "NoHostAuthenticationForLocalhost=yes"]);
    }
    if let Some(revoked) = case.revoked {
        command.args(["-o", &format!("RevokedHostKeys={}", world.revoked[revoked].display())]);
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

/// Whether a file of `RevokedHostKeys` decided, which revokes all if it cannot be read.
fn is_revoked_by_file(log: &str) -> bool {
    log.contains(" revoked by file ") || log.contains("Error checking host key ")
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
    } else if is_revoked_by_file(log) {
        Said::Revoked
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

fn spec(case: &Case, world: &World, directory: &Path) -> HostSpec {
    let server = &world.servers[case.server];
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
        trusts_localhost: case.trusts_localhost,
        revoked_host_keys: case.revoked.map(|file| world.revoked[file].clone()).into_iter().collect(),
        algorithms: AlgorithmLists {
            ca_signatures: case.signatures.map(|names| names.split(',').map(str::to_owned).collect()),
            ..AlgorithmLists::default()
        },
        ..plain_spec(host, server.sshd.address().port())
    }
}

/// A host that nobody can log in to: there is no key to try.
pub(crate) fn plain_spec(host: &str, port: u16) -> HostSpec {
    HostSpec { address_family: AddressFamily::Inet, ..HostSpec::new("box", host, port, "nobody") }
}

/// What the engine says when it really connects.
pub(crate) async fn dial(spec: HostSpec) -> Said {
    let pool = Pool::new(PoolConfig::default())
        .dialling_with(DialConfig { connect_timeout: Duration::from_secs(60), ..DialConfig::default() });
    let call = Call::until(tokio::time::Instant::now() + Duration::from_secs(60));
    let error = pool.lease(&Principal::new("test", "me"), &Arc::new(spec), &call).await.map(|_| ()).unwrap_err();
    match error.kind() {
        ErrorKind::Auth => Said::Accepted,
        ErrorKind::UnknownHostKey => Said::Unknown,
        ErrorKind::HostKeyRejected if error.message().contains("an RSA key of fewer than ") => Said::TooShort,
        ErrorKind::HostKeyRejected if error.message().contains(" is revoked by ") => Said::Revoked,
        ErrorKind::HostKeyRejected if error.message().contains(" is refused as every key is: ") => Said::Revoked,
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
const VALID: [&str; 7] = [
    "certified for a pattern",
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
pub(crate) fn run(
    case: &Case,
    world: &World,
    directory: &Path,
    runtime: &tokio::runtime::Handle,
) -> (&'static str, Option<String>) {
    let server = &world.servers[case.server];
    let (theirs, ours) = (directory.join("theirs"), directory.join("ours"));
    write_files(case, &theirs);
    write_files(case, &ours);
    let spec = spec(case, world, &ours);
    let (name, port) = trust::known_as(&spec);
    let name = if port == 22 || spec.host_key_alias.is_some() { name } else { format!("[{name}]:{port}") };

    let log = run_ssh(case, world, &theirs);
    let mut wanted = read_ssh(&log, &name);
    // `ssh` does not tell what was too short: nobody asks the files about it.
    let presented = (wanted.said != Said::TooShort).then(|| server.presented(&log));
    // Before anybody learns.
    let decision = presented.as_ref().map(|presented| decide(&spec, presented));
    let decision = match decision.unwrap_or(Decision::Refused(Verdict::Unknown)) {
        _ if is_revoked_by_file(&log) => Decision::Refused(Verdict::Unknown),
        _ if log.contains("Forcing accepting of host key for loopback/localhost.") => Decision::Localhost,
        decision => decision,
    };
    let ahead = runtime.block_on(trust_ahead(&spec, &DialConfig::default())).unwrap();
    let wrongly_foretold = match &presented {
        // These two are not foretold: they depend on more than the key.
        Some(_) if is_revoked_by_file(&log) || decision == Decision::Localhost => None,
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
        (Decision::Localhost, _) => "localhost",
        _ if is_revoked_by_file(&log) => "revoked by a file",
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
