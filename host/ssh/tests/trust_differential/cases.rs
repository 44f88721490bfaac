//! Cases out of a seed: known_hosts files and settings for one server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::servers::{RSA_BITS, Server, World};

/// What the case's files hold; the first is the one that is learned into.
pub(crate) const FILES: [&str; 3] = ["user1", "user2", "global"];

/// How the host is called: what is dialled, `HostKeyAlias`, and the name that known_hosts has for it.
pub(crate) const CALLED: [(&str, Option<&str>, &str); 4] = [
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

const NEWER: &str = "* ssh-mldsa44-ed25519 AAAAE3NzaC1tbGRzYTQ0LWVkMjU1MTkAAAAIBwcHBwcHBwc=";
const NEWER_REVOKED: &str = "@revoked * ssh-mldsa44-ed25519 AAAAE3NzaC1tbGRzYTQ0LWVkMjU1MTkAAAAIBwcHBwcHBwc=";

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) server: usize,
    pub(crate) called: usize,
    /// The word of `StrictHostKeyChecking`.
    pub(crate) strict: &'static str,
    pub(crate) hashed: bool,
    /// `CASignatureAlgorithms`.
    pub(crate) signatures: Option<&'static str>,
    /// `RequiredRSASize`.
    pub(crate) required_bits: u32,
    /// `NoHostAuthenticationForLocalhost`: all servers are.
    pub(crate) trusts_localhost: bool,
    /// `RevokedHostKeys`: one of the world's files.
    pub(crate) revoked: Option<usize>,
    /// The lines of each file, newlines included; `None`: there is no such file.
    pub(crate) files: [Option<Vec<Vec<u8>>>; 3],
}

impl Case {
    pub(crate) fn generate(random: &mut Random, world: &World) -> Self {
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
        let trusts_localhost = random.one_in(12);
        let revoked = if random.one_in(6) { Some(random.below(world.revoked.len())) } else { None };
        Self { server, called, strict, hashed, signatures, required_bits, trusts_localhost, revoked, files }
    }

    pub(crate) fn describe(&self, world: &World) -> String {
        let (host, alias, _) = CALLED[self.called];
        let mut text = format!(
            "server {:?}, host {host}, alias {alias:?}, StrictHostKeyChecking {}, HashKnownHosts {}, \
             CASignatureAlgorithms {:?}, RequiredRSASize {}, NoHostAuthenticationForLocalhost {}, RevokedHostKeys {:?}\n",
            world.servers[self.server].what,
            self.strict,
            self.hashed,
            self.signatures,
            self.required_bits,
            self.trusts_localhost,
            self.revoked.map(|file| &world.revoked[file])
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
            // The last two are what newer versions write, of a kind of key that older ones do not have.
            let odd = [
                "",
                "#",
                "# a comment",
                "  \t",
                "\r",
                "name",
                "name ",
                "@",
                "@revoked",
                "* #",
                "* ssh-ed25519",
                "*",
                NEWER,
                NEWER_REVOKED,
            ];
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

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

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
