//! Configurations out of a seed.

use std::fmt::Write as _;

use crate::settings::oracle;
use crate::world::Case;

const NAMES: [&str; 9] = ["web", "db", "DB", "bastion", "jump1", "web1.example.org", "10.0.0.1", "fe80::1", "a-b_c"];
const PATTERNS: [&str; 9] = ["*", "web*", "?b", "*.example.org", "!db", "!*.org", "jump?", "10.*", "*1"];

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// The user's file and what it includes.
pub(crate) fn case(seed: u64, number: u64) -> Case {
    let mut random = random(seed, number);
    let mut files = vec![(".ssh/config".to_owned(), file(&mut random, 5, 6))];
    files.extend(parts(&mut random, ".ssh"));
    Case { name: format!("case {number} of seed {seed}"), files, hosts: hosts(&mut random) }
}

/// The user's file and the system's, each with what it includes.
pub(crate) fn case_with_system(seed: u64, number: u64) -> Case {
    let mut random = random(seed, number);
    let mut files = vec![
        (".ssh/config".to_owned(), file(&mut random, 4, 4)),
        ("/etc/ssh/ssh_config".to_owned(), file(&mut random, 4, 5)),
    ];
    files.extend(parts(&mut random, ".ssh"));
    files.extend(parts(&mut random, "/etc/ssh"));
    Case { name: format!("case {number} of seed {seed} with a system's file"), files, hosts: hosts(&mut random) }
}

fn random(seed: u64, number: u64) -> Random {
    Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (number + 1).wrapping_mul(0xD1B5_4A32_D192_ED03))
}

fn parts(random: &mut Random, directory: &str) -> Vec<(String, String)> {
    let names = ["part", "conf.d/10.conf", "conf.d/20.conf"];
    names.map(|name| (format!("{directory}/{name}"), file(random, 2, 3))).to_vec()
}

fn hosts(random: &mut Random) -> Vec<String> {
    let mut hosts: Vec<String> = (0..3).map(|_| random.of(&NAMES).to_owned()).collect();
    hosts.push("other".to_owned());
    hosts.sort();
    hosts.dedup();
    hosts
}

fn file(random: &mut Random, blocks: usize, lines: usize) -> String {
    let mut text = String::new();
    let mut first = true;
    for _ in 0..=random.below(blocks) {
        if !first || random.once_in(3) {
            let head = if random.once_in(3) { condition(random) } else { host(random) };
            writeln!(text, "{head}").unwrap();
        }
        first = false;
        for _ in 0..random.below(lines) + 1 {
            text.push_str(&line(random));
            text.push_str(random.of(&["\n", "\n", "\n", "\n", "\r\n", " \n", "\n\n# comment\n", "\x0c\n"]));
        }
    }
    text
}

fn host(random: &mut Random) -> String {
    let mut text = random.of(&["Host", "host", "HOST"]).to_owned();
    text.push_str(random.of(&[" ", "\t", "=", " = "]));
    for i in 0..random.below(3) + 1 {
        let name = if random.once_in(3) { random.of(&PATTERNS) } else { random.of(&NAMES) };
        let blank = if i == 0 { "" } else { " " };
        if random.once_in(8) { write!(text, "{blank}\"{name}\"") } else { write!(text, "{blank}{name}") }.unwrap();
    }
    text
}

fn condition(random: &mut Random) -> String {
    let mut text = "Match".to_owned();
    for _ in 0..random.below(2) + 1 {
        let negation = random.of(&["", "", "", "!"]);
        let list = [random.of(&NAMES), random.of(&PATTERNS), random.of(&["web,db", "*,!db", "real.example.org"])];
        let list = random.of(&list);
        let criterion = match random.below(12) {
            0..3 => format!("host {list}"),
            3 | 4 => format!("originalhost {list}"),
            5 => format!("user {}", random.of(&["root", "u1", "u*", "!u1,*", "U1"])),
            6 => format!("localuser {}", random.of(&["root", "*", "nobody"])),
            7 => format!(
                "exec {}",
                random.of(&["true", "false", "\"test %h = db\"", "\"test '%n%%' = web%% -a %p = 22\""])
            ),
            8 => format!("host=\"{list}\""),
            9 => random.of(&["final", "final", "canonical"]).to_owned(),
            10 if oracle().version >= SINCE => random.of(&NEWER_CRITERIA).to_owned(),
            _ => return format!("{text} {negation}all"),
        };
        // Before 10.1, `!final` alone makes ssh read the files again.
        let negation = if criterion == "final" && oracle().version < (10, 1) { "" } else { negation };
        write!(text, " {negation}{criterion}").unwrap();
    }
    if random.once_in(150) {
        text.push_str(random.of(&[" all x", " colour blue", " host"]));
    }
    text
}

/// From when on ssh knows what is listed as newer here.
const SINCE: (u32, u32) = (10, 0);

const NEWER_CRITERIA: [&str; 15] = [
    "tagged work",
    "tagged=work,home",
    "tagged \"\"",
    "tagged w*,!home",
    "command \"\"",
    "command ls*",
    "sessiontype shell",
    "sessiontype exec,subsystem",
    "sessiontype none",
    "version OpenSSH_1*",
    "version OpenSSH_9.*",
    "localnetwork 127.0.0.0/8",
    "localnetwork 203.0.113.0/24,2001:db8::/32",
    "exec 'true x'",
    "\"host=web\"",
];

/// The same as [`LINES`], of newer versions.
const NEWER_LINES: &[(&str, &[&str], &[&str])] = &[
    ("Tag", &["work", "home", "workshop"], &["a b", "\"\""]),
    ("User", &["%u", "%n.%h", "${CARGO_PKG_NAME}-%p", "100%%"], &["%q", "%r", "${SCOUT_IS_NOT_SET}", "%"]),
    ("SetEnv", &["A=%h:%p", "A=1 B=${CARGO_PKG_NAME}%%"], &["A=%q"]),
    ("IdentityFile", &["/k/%j", "/k/%r-%j"], &[]),
];

/// Keywords with arguments: good ones, and after `|` those that are refused or not evaluated.
const LINES: &[(&str, &[&str], &[&str])] = &[
    ("HostName", &["%h.Example.ORG", "real.example.org", "10.0.0.2", "127.1", "FE80::0:1", "%%x", "web"], &["%q", "%"]),
    ("User", &["u1", "\"two words\"", "U1", "o\\ ne", "x#y", "root"], &["a b", "\"\""]),
    (
        "Port",
        &["22", "2202", "022", "+24", "ssh", "65535", "http"],
        &["0", "70000", "0x16", "no-such-service", "22 23"],
    ),
    (
        "IdentityFile",
        &[
            "~/.ssh/k1",
            "/k/%h/%n",
            "\"/with space/%r\"",
            "none",
            "/k/%%%p",
            "${CARGO_PKG_NAME}/x",
            "'%d/q'",
            "/k/%k",
            "/u/%u",
        ],
        &["/k/%q", "${SCOUT_IS_NOT_SET}/x", "~no-such-account-here/x"],
    ),
    ("CertificateFile", &["~/.ssh/c1-cert.pub", "/c/%n", "/c/%n", "none"], &["\"open"]),
    ("IdentitiesOnly", &["yes", "no", "TRUE", "False"], &["maybe"]),
    (
        "IdentityAgent",
        &["none", "SSH_AUTH_SOCK", "$PATH", "~/agent.%n", "/run/a\\ b", "/run/${CARGO_PKG_NAME}"],
        &["$A-B", "/${SCOUT_IS_NOT_SET}"],
    ),
    (
        "ProxyJump",
        &[
            "bastion",
            "none",
            "u9@jump1:2222",
            "bastion,jump1",
            "ssh://u8@jump1:99",
            "[::1]:5,u@far",
            "far:",
            "NONE",
            "jump1 # why",
            "u7@web1.example.org,ssh://far",
        ],
        &["a,,b", "a:0", "::1", "none # x", "a,none"],
    ),
    (
        "ProxyCommand",
        &["nc %h %p", "ssh -W [%h]:%p \"b c\" # raw", "none", "NONE", "= x %r %n %k %%", "'q' %h"],
        &["nc \"%h", "nc %q"],
    ),
    ("ProxyUseFdpass", &["no", "no", "yes"], &["perhaps"]),
    ("AddressFamily", &["any", "inet", "INET6"], &["ipv4"]),
    ("BindAddress", &["10.0.0.9", "::1"], &["a b"]),
    (
        "UserKnownHostsFile",
        &["~/kh", "/dev/null", "none", "~/kh1 /kh2", "\"/k/%h\" ~/x", "/k/%k # c", "# none"],
        &["a none", "\"\"", "/%q"],
    ),
    ("GlobalKnownHostsFile", &["/etc/kh", "none", "~/g1 /g2", "/g/%h"], &["none a"]),
    ("StrictHostKeyChecking", &["yes", "no", "ask", "accept-new", "OFF", "true"], &["perhaps"]),
    ("HostKeyAlias", &["Alias.One", "two"], &["a b"]),
    ("HashKnownHosts", &["yes", "no"], &["1"]),
    (
        "KexAlgorithms",
        &[
            "curve25519-sha256",
            "+diffie-hellman-group14-sha1",
            "-ecdh*",
            "^ecdh-sha2-nistp521",
            "ecdh-sha2-nistp256,curve25519-sha256,ecdh-sha2-nistp256",
        ],
        &["nonsense", "curve*", "-*"],
    ),
    (
        "Ciphers",
        &[
            "aes256-ctr",
            "+aes128-cbc,3des-cbc",
            "-*gcm*,chacha20*",
            "^aes256-gcm@openssh.com",
            "aes128-ctr,aes128-ctr,aes192-ctr",
        ],
        &["aes", "+", "aes128-*"],
    ),
    ("MACs", &["hmac-sha2-256", "-*-etm@*", "+hmac-md5", "^hmac-sha2-512,hmac-sha1"], &["hmac"]),
    (
        "HostKeyAlgorithms",
        &["+ssh-rsa", "ssh-ed25519,rsa-sha2-512", "^rsa-sha2-256", "-ecdsa*,sk-*", "ssh-ed25519*", "+ssh-*"],
        &["foo*", "+!ssh-rsa"],
    ),
    ("PubkeyAcceptedAlgorithms", &["+ssh-rsa", "ssh-ed25519*", "-*cert*"], &["nonsense"]),
    ("PubkeyAcceptedKeyTypes", &["+ssh-rsa-cert-v01@openssh.com", "ecdsa-*"], &["nonsense"]),
    (
        "CASignatureAlgorithms",
        &["+ssh-rsa", "-rsa*", "ssh-ed25519", "^rsa-sha2-256", "ecdsa-*,rsa-sha2-512", "-*nistp*"],
        &["nonsense", "+!ssh-rsa", "-*", "ssh-ed25519-cert-v01@openssh.com"],
    ),
    ("PubkeyAuthentication", &["yes", "no", "unbound", "Host-Bound"], &["maybe"]),
    ("PasswordAuthentication", &["yes", "no"], &["maybe"]),
    ("KbdInteractiveAuthentication", &["yes", "no"], &["maybe"]),
    ("ChallengeResponseAuthentication", &["yes", "no"], &["maybe"]),
    ("PreferredAuthentications", &["publickey", "password,publickey"], &["a b"]),
    ("NumberOfPasswordPrompts", &["1", "0", "7"], &["-1", "x"]),
    ("BatchMode", &["yes", "no"], &["maybe"]),
    ("SetEnv", &["A=1", "A=1 B=\"x y\" A=2", "LANG=C.UTF-8 X="], &["A", "A=1 B", "# nothing"]),
    ("ConnectTimeout", &["5", "1m30s", "none", "0", "2H"], &["\"1m 5\"", "5x", "-1", "9999999999", ""]),
    ("ServerAliveInterval", &["15", "1m", "none", "0"], &["soon"]),
    ("ServerAliveCountMax", &["0", "5"], &["1m", "2147483648"]),
    ("IgnoreUnknown", &["Foo*,bar", "*", "!bar,*"], &["a b"]),
    (
        "Include",
        &["part", "conf.d/*.conf", "~/.ssh/part absent", "conf.d/[12]0.conf", "\"conf.d/2?.conf\" part", "# nothing"],
        &["\"\""],
    ),
    ("ForwardAgent", &["yes", "no", "/run/agent"], &[]),
    ("ControlMaster", &["auto", "no"], &[]),
    ("ControlPath", &["~/.ssh/cm-%C", "none"], &[]),
    ("ControlPersist", &["10m", "yes"], &[]),
    ("LocalForward", &["8080 localhost:80", "9090 [::1]:90"], &[]),
    ("RemoteCommand", &["tmux attach \"x\""], &[]),
    ("RequestTTY", &["force"], &[]),
    ("GSSAPIAuthentication", &["yes"], &[]),
    ("LogLevel", &["ERROR"], &[]),
    ("TCPKeepAlive", &["no"], &[]),
    ("VisualHostKey", &["no"], &[]),
    ("Compression", &["yes"], &[]),
    ("UpdateHostKeys", &["no"], &[]),
    ("VerifyHostKeyDNS", &["ask"], &[]),
    ("UseRoaming", &["no"], &[]),
    ("RSAAuthentication", &["yes"], &[]),
    ("FooThing", &[], &["x"]),
    ("Bar", &[], &["x y"]),
    // Domains would be looked up.
    ("CanonicalizeHostname", &["no", "no", "yes", "always", "TRUE"], &["perhaps"]),
    ("CanonicalizeMaxDots", &["0", "1", "3"], &["x"]),
    ("CanonicalizeFallbackLocal", &["yes", "yes", "no"], &["perhaps"]),
    ("CanonicalDomains", &["none"], &["none a.org", "-a.org", "a..org"]),
    ("CanonicalizePermittedCNAMEs", &["none"], &["none *:*", "a"]),
    ("SessionType", &["default", "subsystem", "none"], &["shell"]),
    ("NoHostAuthenticationForLocalhost", &["yes", "no"], &["perhaps"]),
    ("BindInterface", &["lo", "wlan0"], &["a b"]),
    ("PKCS11Provider", &["none", "/usr/lib/x.so"], &["a b"]),
    ("CheckHostIP", &["no", "yes"], &["perhaps"]),
    ("KnownHostsCommand", &["none"], &["/bin/x %H"]),
    ("RequiredRSASize", &["1024", "2048", "3072", "0", "16384"], &["x", "-1", "2147483648", "2048 3072"]),
    ("RevokedHostKeys", &["none", "/keys", "~/keys"], &["\"\""]),
];

fn line(random: &mut Random) -> String {
    let is_newer = oracle().version >= SINCE && random.once_in(12);
    let (keyword, good, bad) = random.of(if is_newer { NEWER_LINES } else { LINES });
    let value =
        if good.is_empty() || (!bad.is_empty() && random.once_in(60)) { random.of(bad) } else { random.of(good) };
    // Of those that are nothing but bad, few.
    if good.is_empty() && !random.once_in(6) {
        return "# nothing".to_owned();
    }
    let keyword = match random.below(8) {
        0 => keyword.to_ascii_lowercase(),
        1 => keyword.to_ascii_uppercase(),
        2 if random.once_in(4) => format!("\"{keyword}\""),
        _ => keyword.to_owned(),
    };
    let quoted = keyword.starts_with('"');
    // Of the second `=` a value is made that Scout looks at only where it looks at values.
    let separator = match quoted {
        true => " ",
        false if !bad.is_empty() && random.once_in(40) => random.of(&["==", "= ="]),
        false => random.of(&[" ", " ", " ", "\t", "=", " = ", "  "]),
    };
    let indent = random.of(&["", " ", "    ", "\t"]);
    let takes_command = ["proxycommand", "proxyjump", "remotecommand", "knownhostscommand"]
        .contains(&keyword.to_ascii_lowercase().as_str());
    let comment = if !takes_command && random.once_in(12) { " # it's a comment" } else { "" };
    format!("{indent}{keyword}{separator}{value}{comment}")
}
