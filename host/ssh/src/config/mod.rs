//! `ssh_config` as OpenSSH reads it: the first value wins.
//!
//! Owns the parser and what the values mean. Knows no connection. What OpenSSH knows and this engine does not
//! evaluate is never guessed: the hosts that such a line touches do not resolve, all others do.

pub(crate) mod address;
pub(crate) mod algorithms;
mod body;
mod canonical;
mod command;
mod evaluate;
mod expand;
mod explain;
mod include;
mod jump;
mod keyword;
mod lex;
mod matching;
mod names;
pub(crate) mod network;
mod parse;
pub(crate) mod pattern;
pub(crate) mod read;
mod refusal;
mod resolve;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use scout_machine::HostError;
use sha1::{Digest as _, Sha1};

pub use explain::{Explained, Setting};
pub use names::HostNames;

use body::Body;
pub(crate) use command::user_shell;
use command::{Commands, Outcomes};
use parse::{Parser, Place};
use read::Ownership;

/// `StrictHostKeyChecking`. `ask` without a terminal is `Yes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StrictHostKeyChecking {
    /// Unknown keys are refused.
    Yes,
    /// Unknown keys are learned, changed ones refused.
    AcceptNew,
    /// As `AcceptNew`, and changed keys are accepted with password authentication off.
    No,
}

/// How a host is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Proxy {
    /// By TCP.
    #[default]
    Direct,
    /// Through these hosts, the first one dialled first; each with its own trust and identities.
    ///
    /// The list is complete: none of them jumps. Only the first may have a proxy of its own, and that is a command.
    Jump(Vec<Arc<HostSpec>>),
    /// Through the standard streams of this command, run by the user's shell. All tokens in it are replaced.
    Command(String),
}

/// Which addresses of a name are dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// All, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// Algorithm names in order of preference, as configured; absent: the engine's own. They are intersected with what the
/// engine has when it dials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AlgorithmLists {
    /// `KexAlgorithms`.
    pub kex: Option<Vec<String>>,
    /// `Ciphers`.
    pub ciphers: Option<Vec<String>>,
    /// `MACs`.
    pub macs: Option<Vec<String>>,
    /// `HostKeyAlgorithms`.
    pub host_keys: Option<Vec<String>>,
    /// Whether the order of `host_keys` is the user's own. Else, as in OpenSSH, the algorithms of those keys that
    /// known_hosts holds come before it.
    pub host_keys_are_ranked: bool,
    /// `PubkeyAcceptedAlgorithms`. RSA with SHA-1 counts only if it is named here.
    pub public_keys: Option<Vec<String>>,
    /// `CASignatureAlgorithms`: how the authority of a host's certificate may have signed it. Absent: as OpenSSH has it
    /// without that line.
    pub ca_signatures: Option<Vec<String>>,
}

impl AlgorithmLists {
    /// Whether a certificate that was signed with this algorithm counts.
    pub(crate) fn may_certify(&self, name: &str) -> bool {
        match &self.ca_signatures {
            Some(names) => names.iter().any(|one| one == name),
            None => algorithms::DEFAULT_CA_SIGNATURES.contains(&name),
        }
    }
}

/// Which methods of authentication may be used. In batch mode those that ask a person are not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Methods {
    /// `PubkeyAuthentication`.
    pub public_key: bool,
    /// `KbdInteractiveAuthentication`.
    pub keyboard_interactive: bool,
    /// `PasswordAuthentication`.
    pub password: bool,
    /// `PreferredAuthentications`, if configured.
    pub order: Option<Vec<String>>,
    /// `NumberOfPasswordPrompts`.
    pub password_prompts: u32,
}

impl Default for Methods {
    fn default() -> Self {
        Self { public_key: true, keyboard_interactive: true, password: true, order: None, password_prompts: 3 }
    }
}

/// A file and a line in it, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u32,
}

const DEFAULT_SERVER_ALIVE_COUNT_MAX: u32 = 3;
/// The engine's own keepalive, where `ServerAliveInterval` is not configured: a silent host is noticed after fifteen
/// seconds.
const KEEPALIVE: (Duration, u32) = (Duration::from_secs(5), 2);
/// OpenSSH takes no RSA key with fewer bits, wherever it meets one and whatever `RequiredRSASize` says.
pub(crate) const MIN_RSA_BITS: u32 = 1024;

/// One host's resolved settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// The name on the `Host` line.
    pub alias: String,
    /// What is dialled.
    pub host_name: String,
    /// 1 to 65535.
    pub port: u16,
    /// The remote account.
    pub user: String,
    /// In order; the defaults of OpenSSH if none is configured.
    pub identity_files: Vec<PathBuf>,
    /// Whether `identity_files` are the defaults (then a missing one is no trouble).
    pub identity_files_are_default: bool,
    /// Only configured identities are offered, though the agent may hold their keys.
    pub identities_only: bool,
    /// Where the agent listens: `IdentityAgent`, else `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// Certificates; if there are any, OpenSSH does not look for others next to the keys.
    pub certificate_files: Vec<PathBuf>,
    /// Which methods may be used.
    pub methods: Methods,
    /// How the host is reached.
    pub proxy: Proxy,
    /// Which of its addresses are dialled.
    pub address_family: AddressFamily,
    /// The local address that is dialled from.
    pub bind_address: Option<String>,
    /// The interface whose address is dialled from, if there is no `bind_address`.
    pub bind_interface: Option<String>,
    /// What may be negotiated.
    pub algorithms: AlgorithmLists,
    /// Environment variables that are asked for with each command.
    pub set_env: Vec<(String, String)>,
    /// The name under which known_hosts knows the host, instead of `host_name` and `port`.
    pub host_key_alias: Option<String>,
    /// Names are hashed in what is written to known_hosts.
    pub hash_known_hosts: bool,
    /// In order.
    pub user_known_hosts_files: Vec<PathBuf>,
    /// In order.
    pub global_known_hosts_files: Vec<PathBuf>,
    /// What happens to an unknown key.
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// `NoHostAuthenticationForLocalhost`: a host that is dialled directly at a loopback address, and has no
    /// `host_key_alias`, is accepted with any key, and none is learned.
    pub trusts_localhost: bool,
    /// `RevokedHostKeys`: keys in these files are never accepted. A file that cannot be read revokes all.
    pub revoked_host_keys: Vec<PathBuf>,
    /// `RequiredRSASize`: RSA keys with fewer bits are neither accepted from the host nor offered to it. Fewer than 1024
    /// bits never are.
    pub required_rsa_bits: u32,
    /// `ConnectTimeout`; absent if not configured, or zero. [`crate::DialConfig::connect_limit`] tells what counts.
    pub connect_timeout: Option<Duration>,
    /// `ServerAliveInterval`; absent if not configured (zero switches keepalive off).
    pub server_alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`; it counts only with a `ServerAliveInterval`.
    pub server_alive_count_max: u32,
}

/// By what hosts differ in: the pool looks one up with each request, and there are some forty settings.
impl Hash for HostSpec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { alias, host_name, port, user, .. } = self;
        (alias, host_name, port, user).hash(state);
    }
}

impl HostSpec {
    /// A host that is dialled directly, with OpenSSH's defaults where they take no file: there is no identity, no agent
    /// and no known_hosts, so that no key of it is trusted.
    pub fn new(alias: impl Into<String>, host_name: impl Into<String>, port: u16, user: impl Into<String>) -> Self {
        Self {
            alias: alias.into(),
            host_name: host_name.into(),
            port,
            user: user.into(),
            identity_files: Vec::new(),
            identity_files_are_default: false,
            identities_only: false,
            agent: None,
            certificate_files: Vec::new(),
            methods: Methods::default(),
            proxy: Proxy::default(),
            address_family: AddressFamily::default(),
            bind_address: None,
            bind_interface: None,
            algorithms: AlgorithmLists::default(),
            set_env: Vec::new(),
            host_key_alias: None,
            hash_known_hosts: false,
            user_known_hosts_files: Vec::new(),
            global_known_hosts_files: Vec::new(),
            strict_host_key_checking: StrictHostKeyChecking::Yes,
            trusts_localhost: false,
            revoked_host_keys: Vec::new(),
            required_rsa_bits: MIN_RSA_BITS,
            connect_timeout: None,
            server_alive_interval: None,
            server_alive_count_max: DEFAULT_SERVER_ALIVE_COUNT_MAX,
        }
    }

    /// After what silence the host is asked whether it is there, and how many such questions may stay without an answer;
    /// absent if it is never asked.
    pub fn keepalive(&self) -> Option<(Duration, u32)> {
        match self.server_alive_interval {
            None => Some(KEEPALIVE),
            Some(Duration::ZERO) => None,
            Some(interval) => Some((interval, self.server_alive_count_max)),
        }
    }

    /// The hosts that a dial meets, in order: the jump hosts, each with its user and port and reached through those
    /// before it, then the host itself.
    pub fn way(&self) -> Vec<Self> {
        let hops: &[Arc<Self>] = match &self.proxy {
            Proxy::Jump(hops) => hops,
            Proxy::Direct | Proxy::Command(_) => &[],
        };
        let mut way: Vec<Self> = Vec::with_capacity(hops.len() + 1);
        for (hop, before) in hops.iter().zip(0..) {
            // The first host's own configuration says how it is reached.
            let proxy =
                if before == 0 { hop.proxy.clone() } else { Proxy::Jump(hops.iter().take(before).cloned().collect()) };
            way.push(Self { proxy, ..Self::clone(hop) });
        }
        way.push(self.clone());
        way
    }
}

/// The user's and the system's `ssh_config`, parsed.
#[derive(Debug, Default)]
pub struct SshConfig {
    /// The user's, then the system's: a block at the end of the one does not reach into the other.
    files: Vec<ConfigFile>,
    home: PathBuf,
    included: Vec<PathBuf>,
    /// The name of the account that Scout runs as, once it was asked for: that may read files or ask a server.
    local_user: OnceLock<Option<String>>,
    outcomes: Outcomes,
    resolutions: AtomicU64,
    visited: AtomicU64,
}

#[derive(Debug)]
struct ConfigFile {
    body: Body,
    is_user: bool,
}

impl SshConfig {
    /// Reads the user's file and then the system's. A file that is absent is empty.
    ///
    /// Relative `Include`s are looked for in `.ssh` of `home`, those of the system's file in `/etc/ssh`.
    ///
    /// # Errors
    /// [`scout_machine::ErrorKind::Config`] when a file cannot be read or parsed at all.
    pub fn load(user: &Path, system: Option<&Path>, home: &Path) -> Result<Self, HostError> {
        let mut parser = Parser::default();
        let place = Place { include_directory: home.join(".ssh"), home, is_user: true };
        let body = parser.file(user, Ownership::Private, &place, 0)?;
        let mut files = vec![ConfigFile { body, is_user: true }];
        if let Some(system) = system {
            let place = Place { include_directory: PathBuf::from("/etc/ssh"), home, is_user: false };
            let body = parser.file(system, Ownership::Any, &place, 0)?;
            files.push(ConfigFile { body, is_user: false });
        }
        let included = parser.watched.into_iter().collect();
        Ok(Self { files, home: home.to_path_buf(), included, ..Self::default() })
    }

    /// These bytes as the user's file, for tests that choose all of them: lines that lead to other files or run commands
    /// are left out.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let leads_out = |line: &str| {
            let Some(lex::Line { keyword, rest, .. }) = lex::split(line) else { return false };
            let is_match = keyword.eq_ignore_ascii_case("match");
            keyword.eq_ignore_ascii_case("include") || (is_match && rest.to_ascii_lowercase().contains("exec"))
        };
        let text = String::from_utf8_lossy(bytes);
        let text: Vec<&str> = text.split('\n').filter(|line| !leads_out(line)).collect();
        let home = PathBuf::from("/nonexistent");
        let place = Place { include_directory: home.clone(), home: &home, is_user: true };
        let body = Parser::default().lines(Path::new("ssh_config"), text.join("\n"), &place, 0);
        Self { files: vec![ConfigFile { body, is_user: true }], home, ..Self::default() }
    }

    /// The paths that `Include` lines lead to, of files that are there and of those that are not: what changes at one of them
    /// may change the configuration. `DIRECTORY/*` is any name in that directory. At most some thousands.
    pub fn included(&self) -> &[PathBuf] {
        &self.included
    }

    /// A digest of all that was read, and from where: two configurations with the same one say the same.
    pub fn digest(&self) -> [u8; 20] {
        let mut digest = Sha1::new();
        for file in &self.files {
            file.body.digest(&mut digest);
        }
        digest.finalize().into()
    }

    /// The literal names on `Host` lines, in order, without patterns, each once; without [`Self::left_out`].
    pub fn hosts(&self) -> Vec<String> {
        self.names().iter().map(|name| name.to_string()).collect()
    }

    /// The same.
    pub fn names(&self) -> HostNames {
        let mut names = HostNames::default();
        let left_out = self.collect_names(&mut names);
        if left_out.is_empty() {
            return names;
        }
        let left_out: HashSet<String> = left_out.into_iter().map(|(name, _)| name).collect();
        let mut kept = HostNames::default();
        for name in names.iter().filter(|name| !left_out.contains(&***name)) {
            kept.add(name);
        }
        kept
    }

    /// The literal names on `Host` lines that are no hosts to anybody here, with why: those of blocks for a program that
    /// hands an open socket over, as distributions bring them (`ProxyUseFdpass`), and those that no target can name.
    pub fn left_out(&self) -> Vec<(String, &'static str)> {
        self.collect_names(&mut HostNames::default())
    }

    /// Collects all names, and gives those that are left out. What is said where a name comes first counts.
    fn collect_names(&self, names: &mut HostNames) -> Vec<(String, &'static str)> {
        let mut left_out = Vec::new();
        for file in &self.files {
            names::literal(&file.body, &[], &mut |name, reason| {
                if names.add(name) {
                    left_out.extend(reason.map(|reason| (name.to_owned(), reason)));
                }
            });
        }
        left_out
    }

    /// The patterns on `Host` lines, but those that every name falls under.
    pub fn patterns(&self) -> Vec<String> {
        let mut patterns = Vec::new();
        for file in &self.files {
            names::patterns(&file.body, &mut patterns);
        }
        patterns
    }

    /// The pattern on a `Host` line that a name falls under, if it is one that some names do not fall under.
    pub fn pattern_of(&self, name: &str) -> Option<&str> {
        self.files.iter().find_map(|file| names::pattern_of(&file.body, name))
    }

    /// One host's settings.
    ///
    /// Runs the commands of `Match exec` that could apply and waits for them: ten seconds at most. Each runs once for all
    /// hosts of a configuration.
    ///
    /// # Errors
    /// [`scout_machine::ErrorKind::Config`] with file:line for what is not evaluated for this host.
    pub fn resolve(&self, alias: &str) -> Result<HostSpec, HostError> {
        self.look_up(alias, false).map(|explained| explained.spec)
    }

    /// One host's settings with the lines that set them. Takes as long as [`Self::resolve`].
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn explain(&self, alias: &str) -> Result<Explained, HostError> {
        self.look_up(alias, true)
    }

    fn look_up(&self, alias: &str, explains: bool) -> Result<Explained, HostError> {
        self.resolutions.fetch_add(1, Ordering::Relaxed);
        resolve::resolve(self, alias, explains, &mut Commands::new(&self.outcomes))
    }

    /// How many hosts were looked up.
    pub fn resolutions(&self) -> u64 {
        self.resolutions.load(Ordering::Relaxed)
    }

    /// How many blocks were held against a name, by all look-ups together.
    pub fn visited_blocks(&self) -> u64 {
        self.visited.load(Ordering::Relaxed)
    }
}
