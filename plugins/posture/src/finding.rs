//! One finding, and those of a handshake. Pure.

use scout_plugin::inventory::Property;
use scout_plugin::rows::{Cell, Row};
use scout_plugin::text;

use crate::known::{MADE, Server};

/// The most characters of a value that a server or a file chose.
const MAX_VALUE: usize = 300;

/// How good something is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Weak,
    Unknown,
    Ok,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: String,
    pub(crate) state: State,
    pub(crate) value: String,
    /// When a key was written, or until when a certificate holds, in seconds since 1970.
    pub(crate) time: Option<u64>,
    pub(crate) why: String,
}

impl Finding {
    pub(crate) fn new(check: &str, state: State, value: &str, why: impl Into<String>) -> Self {
        let value = text::clipped(&text::one_line(value), MAX_VALUE);
        Self { check: check.to_owned(), state, value, time: None, why: why.into() }
    }

    /// In the columns of [`SHAPE`](crate::schema::SHAPE).
    pub(crate) fn row(&self) -> Row {
        vec![
            Cell::text(self.check.as_str()),
            Cell::text(self.state.word()),
            Cell::text(self.value.as_str()),
            Cell::text(self.time.and_then(text::rfc3339).as_deref()),
            Cell::text(Some(self.why.as_str()).filter(|why| !why.is_empty())),
        ]
    }
}

/// The findings of what a connection was agreed on. `now`: seconds since 1970 by the host's clock, where it was asked.
pub(crate) fn of_handshake(facts: &[Property], now: Option<u64>) -> Vec<Finding> {
    let fact = |word: &str| facts.iter().find(|fact| fact.name == word).map(|fact| fact.value.as_str());
    let server = fact("identification").and_then(Server::read);
    let mut findings = Vec::new();
    if let Some(identification) = fact("identification") {
        of_version(identification, server.as_ref(), &mut findings);
    }
    if let Some(name) = fact("key-exchange") {
        findings.push(of_exchange(name, fact("post-quantum") == Some("yes"), server.as_ref()));
    }
    match fact("strict-key-exchange") {
        Some("yes") => findings.push(Finding::new("strict_key_exchange", State::Ok, "yes", "")),
        Some(value) => {
            let (cipher, mac) = (fact("cipher").unwrap_or_default(), fact("mac").unwrap_or_default());
            let is_attacked = cipher.starts_with("chacha20") || cipher.ends_with("-cbc") && mac.contains("-etm");
            let state = if is_attacked { State::Weak } else { State::Unknown };
            let why = "whoever is in between can take messages out of the beginning (Terrapin, CVE-2023-48795) where \
                       ChaCha20, or CBC with an EtM MAC, is agreed on";
            findings.push(Finding::new("strict_key_exchange", state, value, why));
        }
        None => {}
    }
    if let Some(name) = fact("host-key") {
        findings.push(of_key(name, fact("host-key-bits"), fact("host-key-fingerprint").unwrap_or_default()));
    }
    // Who may not see addresses is not told the id, which says whose it is.
    if let Some(authority) = fact("certificate-authority") {
        findings.push(of_certificate(
            fact("certificate-id").unwrap_or(authority),
            fact("certificate-valid-before"),
            now,
        ));
    }
    for (check, word, algorithms) in [("cipher", "cipher", &CIPHERS[..]), ("mac", "mac", &MACS)] {
        if let Some(name) = fact(word) {
            let weak = algorithms.iter().find(|(weak, _)| name.contains(weak));
            let (state, why) = weak.map_or((State::Ok, ""), |(_, why)| (State::Weak, *why));
            findings.push(Finding::new(check, state, name, why));
        }
    }
    findings
}

/// Parts of the names of ciphers that are weak, and why.
pub(crate) const CIPHERS: [(&str, &str); 5] = [
    ("-cbc", "CBC tells of the plain text by how a server answers"),
    ("arcfour", "RC4 is broken"),
    ("3des", "its blocks of 64 bits repeat"),
    ("blowfish", "its blocks of 64 bits repeat"),
    ("cast128", "its blocks of 64 bits repeat"),
];
/// The same of MACs.
pub(crate) const MACS: [(&str, &str); 4] = [
    ("md5", "MD5 is broken"),
    ("hmac-sha1", "SHA-1 is broken for signatures and on its way out of MACs"),
    ("umac-64", "tags of 64 bits are short"),
    ("ripemd", "it is out of use"),
];
/// The same of exchanges of keys.
pub(crate) const EXCHANGES: [(&str, &str); 1] = [("sha1", "SHA-1 is broken, and some of its groups are small")];
/// Names of keys and signatures that are weak.
pub(crate) const KEYS: [(&str, &str); 4] = [
    ("ssh-dss", "DSA has 1024 bits, and is in no current OpenSSH"),
    ("ssh-rsa", "its signatures are of SHA-1, which is broken"),
    ("ssh-rsa-cert-v01@openssh.com", "its signatures are of SHA-1, which is broken"),
    ("ssh-dss-cert-v01@openssh.com", "DSA has 1024 bits, and is in no current OpenSSH"),
];

fn of_version(identification: &str, server: Option<&Server<'_>>, findings: &mut Vec<Finding>) {
    let Some(server) = server else {
        let why = "no table here knows vulnerabilities of this server by its version";
        findings.push(Finding::new("server_version", State::Unknown, identification, why));
        return;
    };
    let known: Vec<_> = server.known().collect();
    let open = known.iter().filter(|(_, is_mended)| !is_mended).count();
    let (state, why) = match open {
        0 => (
            State::Unknown,
            format!("the short table of {MADE} lists no vulnerability of this version, which proves nothing"),
        ),
        _ => {
            let listed = text::count(open as u64, "vulnerability that is listed", "vulnerabilities that are listed");
            (State::Unknown, format!("may have {listed} for this version; the distribution may have mended it"))
        }
    };
    findings.push(Finding::new("server_version", state, identification, why));
    for (known, is_mended) in known {
        let (state, says) = match is_mended {
            true => (State::Ok, "the distribution has mended it in this revision"),
            false => (State::Unknown, "may be affected; the distribution may have mended it"),
        };
        let ranges: Vec<String> = known
            .affected
            .iter()
            .map(|range| match range.from {
                "0" => format!("before {}", range.before),
                from => format!("{from} to before {}", range.before),
            })
            .collect();
        let why = format!("{says}: {}. Versions {}. {}", known.what, ranges.join(", "), known.source);
        findings.push(Finding::new(known.id, state, server.version, why));
    }
}

fn of_exchange(name: &str, is_post_quantum: bool, server: Option<&Server<'_>>) -> Finding {
    let (state, why) = match EXCHANGES.iter().find(|(weak, _)| name.contains(weak)) {
        Some((_, why)) => (State::Weak, *why),
        None if is_post_quantum => (State::Ok, "withstands a quantum computer, as far as is known"),
        None if server.is_some_and(|server| server.is_openssh_since("9.0")) => (
            State::Unknown,
            "not agreed on with Scout, which has no sntrup761: such a server offers that, if its settings let it",
        ),
        None => (State::Weak, "what is recorded today can be read by whoever has a quantum computer later"),
    };
    Finding::new("key_exchange", state, name, why)
}

fn of_key(name: &str, bits: Option<&str>, fingerprint: &str) -> Finding {
    let bits_number = bits.and_then(|bits| bits.parse::<u64>().ok()).filter(|_| name.contains("rsa"));
    let (state, why) = match (KEYS.iter().find(|(weak, _)| *weak == name), bits_number) {
        (Some((_, why)), _) => (State::Weak, *why),
        (None, Some(bits)) if bits < 2048 => (State::Weak, "RSA below 2048 bits can be computed"),
        (None, Some(bits)) if bits < 3072 => (State::Ok, "RSA of 3072 bits and more is asked for beyond 2030"),
        (None, _) => (State::Ok, ""),
    };
    let bits = bits.map_or_else(String::new, |bits| format!(" {bits} bits"));
    Finding::new("host_key", state, &format!("{name}{bits} {fingerprint}"), why)
}

/// A certificate that ends within this is told, in seconds: 30 days.
const SOON: u64 = 30 * 86_400;

fn of_certificate(id: &str, before: Option<&str>, now: Option<u64>) -> Finding {
    let before = before.and_then(|before| before.parse::<u64>().ok());
    let (state, why) = match (before, now) {
        (None, _) => (State::Weak, "it has no end: one that is stolen is good for ever"),
        (Some(_), None) => (State::Unknown, "the host's clock was not asked"),
        (Some(before), Some(now)) if before <= now => (State::Weak, "it has ended"),
        (Some(before), Some(now)) if before - now < SOON => (State::Weak, "it ends within 30 days"),
        (Some(_), Some(_)) => (State::Ok, ""),
    };
    Finding { time: before, ..Finding::new("host_certificate", state, id, why) }
}
