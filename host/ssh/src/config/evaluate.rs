//! Items into one host's settings: the first value wins.
//!
//! Owns what the values mean. A line that cannot be evaluated is an error only where it applies.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::expand::{self, Tokens};
use super::keyword::{Class, Keyword, classify};
use super::parse::{At, Item};
use super::{AddressFamily, AlgorithmLists, HostSpec, Methods, Proxy, StrictHostKeyChecking, pattern};
use crate::{ErrorKind, SshError};

const DEFAULT_PORT: u16 = 22;
const DEFAULT_SERVER_ALIVE_COUNT_MAX: u32 = 3;
/// In OpenSSH's order; DSA and XMSS are not spoken here.
const DEFAULT_IDENTITIES: [&str; 5] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"];

/// A value and the line that set it.
type Set<T> = Option<(T, At)>;

/// What lines have said so far.
#[derive(Debug, Default)]
pub(super) struct Settings {
    host_name: Set<String>,
    user: Option<String>,
    port: Option<u16>,
    identity_files: Vec<(String, At)>,
    identities_only: Option<bool>,
    agent: Set<String>,
    user_known_hosts: Set<Vec<String>>,
    global_known_hosts: Set<Vec<String>>,
    strict: Option<StrictHostKeyChecking>,
    connect_timeout: Option<Duration>,
    server_alive_interval: Option<Duration>,
    server_alive_count_max: Option<u32>,
    ignore_unknown: Option<String>,
}

fn refuse(at: &At, message: &str) -> SshError {
    let source = at.source();
    SshError::new(ErrorKind::Config, format!("{}:{}: {message}", source.file.display(), source.line))
}

fn bad(at: &At, message: &str) -> SshError {
    refuse(at, message).with_hint("correct this line; ssh refuses it too")
}

fn unsupported(at: &At, message: &str) -> SshError {
    refuse(at, message).with_hint(
        "ignoring it could reach another machine or trust another key than ssh would; remove it, or move it into a \
         Host block that does not match this host",
    )
}

impl Settings {
    /// Applies one file's items. `reachable` is false inside an `Include` of a block that does not match: then no
    /// block in it can.
    pub(super) fn apply(&mut self, items: &[Item], alias: &str, reachable: bool) -> Result<(), SshError> {
        let mut active = reachable;
        for item in items {
            match item {
                Item::Host(patterns) => {
                    active = reachable && pattern::matches_list(alias, patterns.iter().map(String::as_str));
                }
                Item::MatchAll => active = reachable,
                Item::Match(at) if reachable => {
                    return Err(refuse(at, "Match is not evaluated, and it could apply to any host")
                        .with_hint("write a Host block instead, or give Scout a configuration of its own without it"));
                }
                Item::BadBlock(at, why) if reachable => return Err(bad(at, why)),
                Item::Match(_) | Item::BadBlock(..) => active = false,
                Item::Setting(at, keyword, arguments) => {
                    if active {
                        self.set(at, keyword, arguments)?;
                    }
                }
                Item::Bad(at, why, hint) => {
                    if active {
                        return Err(match hint {
                            Some(hint) => refuse(at, why).with_hint(hint.clone()),
                            None => bad(at, why),
                        });
                    }
                }
                Item::Include(files) => {
                    for file in files {
                        self.apply(file, alias, active)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, at: &At, keyword: &str, arguments: &[String]) -> Result<(), SshError> {
        let evaluated = match classify(keyword) {
            Class::Evaluated(evaluated) => evaluated,
            Class::Irrelevant => return Ok(()),
            Class::UnsupportedUnless(harmless) => {
                let is_harmless =
                    matches!(arguments, [only] if harmless.iter().any(|value| value.eq_ignore_ascii_case(only)));
                return if is_harmless { Ok(()) } else { Err(not_evaluated(at, keyword, arguments)) };
            }
            Class::UnsupportedUnlessPrefix(prefix) => {
                let is_harmless = arguments.iter().all(|value| value.starts_with(prefix));
                return if is_harmless { Ok(()) } else { Err(not_evaluated(at, keyword, arguments)) };
            }
            Class::Unsupported => return Err(not_evaluated(at, keyword, arguments)),
            Class::Unknown => {
                let lowercase = keyword.to_ascii_lowercase();
                let ignored = self.ignore_unknown.as_deref().is_some_and(|list| {
                    let list = list.to_ascii_lowercase();
                    pattern::matches_list(&lowercase, list.split(','))
                });
                return if ignored {
                    Ok(())
                } else {
                    Err(refuse(at, &format!("{keyword} is not a known keyword"))
                        .with_hint("correct this line, or name the keyword in an IgnoreUnknown line above it"))
                };
            }
        };
        self.evaluate(at, evaluated, arguments).map_err(|why| match why {
            Refusal::Bad(why) => bad(at, &format!("{keyword} {why}")),
            Refusal::Unsupported(why) => unsupported(at, &format!("{keyword} {why}")),
        })
    }

    fn evaluate(&mut self, at: &At, keyword: Keyword, arguments: &[String]) -> Result<(), Refusal> {
        match keyword {
            Keyword::HostName => {
                let value = (one(arguments)?.to_owned(), at.clone());
                self.host_name.get_or_insert(value);
            }
            Keyword::User => {
                let value = one(arguments)?;
                if value.contains('%') || value.contains("${") {
                    // OpenSSH 10 expands them, older ones do not.
                    return Err(Refusal::Unsupported(format!("{value}: tokens are not evaluated here")));
                }
                self.user.get_or_insert(value.to_owned());
            }
            Keyword::Port => {
                let value = port(one(arguments)?)?;
                self.port.get_or_insert(value);
            }
            Keyword::IdentityFile => {
                let value = one(arguments)?;
                if !self.identity_files.iter().any(|(known, _)| known == value) {
                    self.identity_files.push((value.to_owned(), at.clone()));
                }
            }
            Keyword::IdentitiesOnly => {
                let value = flag(one(arguments)?)?;
                self.identities_only.get_or_insert(value);
            }
            Keyword::IdentityAgent => {
                let value = (one(arguments)?.to_owned(), at.clone());
                self.agent.get_or_insert(value);
            }
            Keyword::UserKnownHostsFile => {
                let value = (many(arguments)?, at.clone());
                self.user_known_hosts.get_or_insert(value);
            }
            Keyword::GlobalKnownHostsFile => {
                let value = (many(arguments)?, at.clone());
                self.global_known_hosts.get_or_insert(value);
            }
            Keyword::StrictHostKeyChecking => {
                let value = strict(one(arguments)?)?;
                self.strict.get_or_insert(value);
            }
            // `none` sets nothing: a later line may still.
            Keyword::ConnectTimeout => {
                self.connect_timeout = self.connect_timeout.or(duration(one(arguments)?)?);
            }
            Keyword::ServerAliveInterval => {
                self.server_alive_interval = self.server_alive_interval.or(duration(one(arguments)?)?);
            }
            Keyword::ServerAliveCountMax => {
                let text = one(arguments)?;
                let value = text.parse().map_err(|_| Refusal::Bad(format!("{text} is not a number")))?;
                self.server_alive_count_max.get_or_insert(value);
            }
            Keyword::IgnoreUnknown => {
                let value = one(arguments)?.to_owned();
                self.ignore_unknown.get_or_insert(value);
            }
        }
        Ok(())
    }

    /// The settings with the defaults filled in and the names expanded.
    pub(super) fn finish(self, alias: &str, home: &Path) -> Result<HostSpec, SshError> {
        let local_user = uzers::get_current_username()
            .and_then(|name| name.into_string().ok())
            .or_else(|| std::env::var("USER").ok())
            .ok_or_else(|| SshError::new(ErrorKind::Config, "the current account has no name"))?;
        let user = self.user.unwrap_or_else(|| local_user.clone());
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let mut host_name = match &self.host_name {
            Some((name, at)) => dialled(name, alias).map_err(|why| bad(at, &format!("HostName {name}: {why}")))?,
            None => alias.to_owned(),
        };
        // An address may name its interface, in any case: `fe80::1%Eth0`.
        let address = host_name.split_once('%').map_or(host_name.as_str(), |(address, _)| address);
        if address.parse::<IpAddr>().is_err() {
            host_name.make_ascii_lowercase();
        }

        let tokens = Tokens { home, host_name: &host_name, alias, port, remote_user: &user, local_user: &local_user };
        let expand = |keyword: &str, text: &str, at: &At| {
            expand::file_name(text, &tokens).map_err(|why| bad(at, &format!("{keyword} {text}: {why}")))
        };
        let ssh = home.join(".ssh");

        let identity_files_are_default = self.identity_files.is_empty();
        let mut identity_files = Vec::new();
        for (text, at) in &self.identity_files {
            // `none` on its own switches the defaults off.
            if !text.eq_ignore_ascii_case("none") {
                identity_files.push(expand("IdentityFile", text, at)?);
            }
        }
        if identity_files_are_default {
            identity_files = DEFAULT_IDENTITIES.iter().map(|name| ssh.join(name)).collect();
        }

        let agent = match &self.agent {
            Some((text, _)) if text == "none" => None,
            None => environment_agent(),
            Some((text, _)) if text == "SSH_AUTH_SOCK" => environment_agent(),
            Some((text, at)) => Some(match text.strip_prefix('$') {
                Some(name) if !name.starts_with('{') => {
                    expand::variable(name).map_err(|why| bad(at, &format!("IdentityAgent {text}: {why}")))?.into()
                }
                _ => expand("IdentityAgent", text, at)?,
            }),
        };

        let user_known_hosts_files = match &self.user_known_hosts {
            None => vec![ssh.join("known_hosts"), ssh.join("known_hosts2")],
            Some((files, at)) => {
                files.iter().map(|text| expand("UserKnownHostsFile", text, at)).collect::<Result<_, _>>()?
            }
        };
        let global_known_hosts_files = match &self.global_known_hosts {
            None => vec![PathBuf::from("/etc/ssh/ssh_known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts2")],
            Some((files, at)) => files
                .iter()
                .map(|text| {
                    expand::tilde(text, home)
                        .ok_or_else(|| bad(at, &format!("GlobalKnownHostsFile {text}: there is no such account")))
                })
                .collect::<Result<_, _>>()?,
        };

        Ok(HostSpec {
            alias: alias.to_owned(),
            port,
            identity_files,
            identity_files_are_default,
            identities_only: self.identities_only.unwrap_or(false),
            agent,
            certificate_files: Vec::new(),
            methods: Methods::default(),
            proxy: Proxy::default(),
            address_family: AddressFamily::default(),
            bind_address: None,
            algorithms: AlgorithmLists::default(),
            set_env: Vec::new(),
            host_key_alias: None,
            hash_known_hosts: false,
            user_known_hosts_files,
            global_known_hosts_files,
            strict_host_key_checking: self.strict.unwrap_or(StrictHostKeyChecking::Yes),
            // Zero is no limit to OpenSSH too.
            connect_timeout: self.connect_timeout.filter(|limit| !limit.is_zero()),
            server_alive_interval: self.server_alive_interval,
            server_alive_count_max: self.server_alive_count_max.unwrap_or(DEFAULT_SERVER_ALIVE_COUNT_MAX),
            host_name,
            user,
        })
    }
}

/// Why a known keyword's line is refused.
#[derive(Debug)]
enum Refusal {
    /// OpenSSH refuses it too.
    Bad(String),
    /// OpenSSH knows what it means.
    Unsupported(String),
}

fn not_evaluated(at: &At, keyword: &str, arguments: &[String]) -> SshError {
    match arguments.first() {
        None => bad(at, &format!("{keyword} needs an argument")),
        Some(_) => unsupported(at, &format!("{keyword} {} is not evaluated yet", arguments.join(" "))),
    }
}

/// Where the environment says that the agent listens.
fn environment_agent() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn one(arguments: &[String]) -> Result<&str, Refusal> {
    match arguments {
        [] => Err(Refusal::Bad("needs an argument".to_owned())),
        [only] if only.is_empty() => Err(Refusal::Bad("needs an argument".to_owned())),
        [only] => Ok(only),
        _ => Err(Refusal::Bad("has more than one argument".to_owned())),
    }
}

/// File names; `none` alone is no file.
fn many(arguments: &[String]) -> Result<Vec<String>, Refusal> {
    match arguments {
        [] => Err(Refusal::Bad("needs an argument".to_owned())),
        _ if arguments.iter().any(String::is_empty) => Err(Refusal::Bad("has an empty argument".to_owned())),
        [only] if only.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        _ => Ok(arguments.to_vec()),
    }
}

fn port(text: &str) -> Result<u16, Refusal> {
    match text.parse() {
        Ok(0) | Err(_) if text != "ssh" => Err(Refusal::Bad(format!("{text} is not a port from 1 to 65535"))),
        Ok(port) => Ok(port),
        // The one name of a service that makes sense here.
        Err(_) => Ok(DEFAULT_PORT),
    }
}

fn flag(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(Refusal::Bad(format!("{text} is neither yes nor no"))),
    }
}

fn strict(text: &str) -> Result<StrictHostKeyChecking, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        // Nobody is there to be asked.
        "yes" | "true" | "ask" => Ok(StrictHostKeyChecking::Yes),
        "accept-new" => Ok(StrictHostKeyChecking::AcceptNew),
        "no" | "false" | "off" => Ok(StrictHostKeyChecking::No),
        _ => Err(Refusal::Bad(format!("{text} is none of yes, ask, accept-new, no, off"))),
    }
}

/// OpenSSH's time format: `90`, `1m30s`, `1h`; `None` is `none`.
fn duration(text: &str) -> Result<Option<Duration>, Refusal> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const WEEK: u64 = 7 * DAY;
    let fail = || Refusal::Bad(format!("{text} is not a time such as 30, 90s or 1m30s"));
    if text == "none" {
        return Ok(None);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let number: u64 = digits.parse().map_err(|_| fail())?;
        let mut after = after.chars();
        let unit = match after.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => MINUTE,
            Some('h' | 'H') => HOUR,
            Some('d' | 'D') => DAY,
            Some('w' | 'W') => WEEK,
            Some(_) => return Err(fail()),
        };
        total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(fail)?;
        rest = after.as_str();
    }
    // OpenSSH keeps seconds in an int.
    if text.is_empty() || total > i32::MAX as u64 {
        return Err(fail());
    }
    Ok(Some(Duration::from_secs(total)))
}

/// `HostName` with `%h` and `%%` replaced.
fn dialled(text: &str, alias: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('h') => out.push_str(alias),
            Some('%') => out.push('%'),
            Some(other) => return Err(format!("%{other} means nothing here; %% is a percent sign")),
            None => return Err("ends with %; %% is a percent sign".to_owned()),
        }
    }
    Ok(out)
}
