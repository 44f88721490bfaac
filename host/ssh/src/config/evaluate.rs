//! Items into one host's settings: the first value wins.
//!
//! Owns what the values mean. A line that cannot be evaluated is an error only where it applies. Does not know how a
//! host's `ProxyJump` is followed: that is [`super::resolve`]'s.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scout_machine::HostError;

use super::algorithms::{self, Kind};
use super::body::{BlockRef, Body};
use super::canonical::{AllowedCname, Canonicalize, Rules};
use super::command::Commands;
use super::expand::{self, Known, Tokens};
use super::explain::{Report, seconds};
use super::jump::{self, Hop, is_safe_user};
use super::keyword::{Class, Keyword, classify};
use super::lex::{self, BLANKS};
use super::matching::{self, Facts, SessionType};
use super::parse::{Item, Line};
use super::refusal::{At, Refusal};
use super::value::{self, DEFAULT_PORT, one};
use super::{
    AddressFamily, AlgorithmLists, DEFAULT_SERVER_ALIVE_COUNT_MAX, HostSpec, MIN_RSA_BITS, Methods, Proxy,
    StrictHostKeyChecking, address, canonical, pattern,
};

/// In OpenSSH's order; DSA and XMSS are not spoken here.
const DEFAULT_IDENTITIES: [&str; 5] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"];
/// OpenSSH's SSH_MAX_IDENTITY_FILES and SSH_MAX_CERTIFICATE_FILES.
const MAX_FILES: usize = 100;

/// A value and the line that set it.
type Set<T> = Option<(T, At)>;

/// What lines have said so far.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) user: Set<String>,
    pub(super) port: Set<u16>,
    /// No host: `none`.
    pub(super) jump: Set<Vec<Hop>>,
    host_name: Set<String>,
    identity_files: Files,
    certificate_files: Files,
    identities_only: Set<bool>,
    agent: Set<String>,
    proxy_command: Set<String>,
    proxy_use_fdpass: Set<bool>,
    address_family: Set<AddressFamily>,
    bind_address: Set<String>,
    user_known_hosts: Set<Vec<String>>,
    global_known_hosts: Set<Vec<String>>,
    strict: Set<StrictHostKeyChecking>,
    host_key_alias: Set<String>,
    hash_known_hosts: Set<bool>,
    required_rsa_bits: Set<u32>,
    kex: Set<Vec<String>>,
    ciphers: Set<Vec<String>>,
    macs: Set<Vec<String>>,
    /// The names, and whether their order is the user's own.
    host_keys: Set<(Vec<String>, bool)>,
    public_keys: Set<Vec<String>>,
    ca_signatures: Set<Vec<String>>,
    public_key: Set<bool>,
    password: Set<bool>,
    keyboard_interactive: Set<bool>,
    method_order: Set<Vec<String>>,
    password_prompts: Set<u32>,
    batch: Set<bool>,
    set_env: Set<Vec<(String, String)>>,
    connect_timeout: Set<Duration>,
    server_alive_interval: Set<Duration>,
    server_alive_count_max: Set<u32>,
    ignore_unknown: Set<String>,
    tag: Set<String>,
    session_type: Set<SessionType>,
    canonicalize: Set<Canonicalize>,
    canonical_domains: Set<Vec<String>>,
    canonical_max_dots: Set<u32>,
    canonical_fallback: Set<bool>,
    canonical_cnames: Set<Vec<AllowedCname>>,
    no_localhost_check: Set<bool>,
    check_host_ip: Set<bool>,
    pkcs11_provider: Set<String>,
    bind_interface: Set<String>,
    revoked_host_keys: Set<Vec<String>>,
    /// Keywords whose first value is `none`.
    none: HashSet<&'static str>,
    /// Whether a line names `final`.
    names_final: bool,
    /// Blocks that were held against the name.
    pub(super) visited: u64,
}

/// Names of files that accumulate.
#[derive(Debug, Default)]
struct Files(Vec<(String, bool, At)>);

impl Files {
    /// A name counts once in the user's files and once in the system's.
    fn add(&mut self, name: &str, is_user: bool, at: &At) -> Result<(), Refusal> {
        if self.0.len() >= MAX_FILES {
            return Err(Refusal::bad(format!("is more than the {MAX_FILES} that OpenSSH takes")));
        }
        if !self.0.iter().any(|(known, of_user, _)| known == name && *of_user == is_user) {
            self.0.push((name.to_owned(), is_user, at.clone()));
        }
        Ok(())
    }
}

/// One reading of the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass<'a> {
    /// The name that is looked up.
    pub(super) alias: &'a str,
    /// In the second reading, the name that the first one has found to be dialled.
    pub(super) dialled: Option<&'a str>,
    pub(super) home: &'a Path,
    pub(super) local_user: &'a str,
    /// Whether the file is the user's and not the system's.
    pub(super) is_user: bool,
}

impl Pass<'_> {
    /// What `Host` patterns are compared with.
    fn host(&self) -> &str {
        self.dialled.unwrap_or(self.alias)
    }
}

/// What the lines have come to.
#[derive(Debug)]
pub(super) struct Finished {
    /// `proxy` is the command, if there is one.
    pub(super) spec: HostSpec,
    pub(super) report: Report,
    /// `ProxyJump`, if it names a host.
    pub(super) jump: Set<Vec<Hop>>,
}

/// Sets what no earlier line has set.
fn settle<T>(slot: &mut Set<T>, value: T, at: &At) -> Result<(), Refusal> {
    slot.get_or_insert_with(|| (value, at.clone()));
    Ok(())
}

fn value_of<T: Clone>(slot: &Set<T>) -> Option<T> {
    slot.as_ref().map(|(value, _)| value.clone())
}

fn at_of<T>(slot: &Set<T>) -> Option<&At> {
    slot.as_ref().map(|(_, at)| at)
}

impl Settings {
    /// Applies one file's blocks. `reachable` is false inside an `Include` of a block that does not match: then no
    /// block in it can.
    pub(super) fn apply(
        &mut self,
        body: &Body,
        pass: &Pass<'_>,
        reachable: bool,
        commands: &mut Commands<'_>,
    ) -> Result<(), HostError> {
        for (block, is_own) in body.blocks_for(pass.host()) {
            self.visited += 1;
            let active = match block.head() {
                Some(Item::Match(at, criteria)) => {
                    self.names_final |= matching::wants_second_pass(criteria);
                    reachable
                        && self.holds(criteria, pass, commands).map_err(|refusal| at.refuse(refusal.of("Match")))?
                }
                Some(Item::BadBlock(at, refusal)) if reachable => return Err(at.refuse(refusal.clone())),
                Some(Item::BadBlock(..)) => false,
                _ => {
                    let matches =
                        |names: &[String]| pattern::matches_list(pass.host(), names.iter().map(String::as_str));
                    reachable && (is_own || block.patterns().is_none_or(|patterns| matches(&patterns)))
                }
            };
            if active {
                self.apply_lines(block, pass, commands)?;
            } else {
                // Of blocks that do not hold, a `Match` in what they include may still make the files be read again.
                for file in block.includes().flat_map(|included| included.files_for(pass.host())) {
                    self.apply(file, pass, false, commands)?;
                }
            }
        }
        Ok(())
    }

    /// Applies the lines of a block that holds.
    fn apply_lines(
        &mut self,
        block: BlockRef<'_>,
        pass: &Pass<'_>,
        commands: &mut Commands<'_>,
    ) -> Result<(), HostError> {
        for line in block.lines() {
            match line {
                Line::Setting(at, line) => {
                    self.set(&at, &line, pass).map_err(|refusal| at.refuse(refusal.of(&line.keyword)))?;
                }
                Line::Bad(at, refusal) => return Err(at.refuse(refusal)),
                Line::Include(included) => {
                    for file in included.files_for(pass.host()) {
                        self.apply(file, pass, true, commands)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn holds(
        &self,
        criteria: &[matching::Criterion],
        pass: &Pass<'_>,
        commands: &mut Commands<'_>,
    ) -> Result<bool, Refusal> {
        let expanded;
        let host_name = match (pass.dialled, &self.host_name) {
            (Some(dialled), _) => dialled,
            (None, Some((name, _))) => {
                expanded = expand::host_name(name, pass.alias)
                    .map_err(|why| Refusal::bad(format!("needs HostName {name}: {why}")))?;
                &expanded
            }
            (None, None) => pass.alias,
        };
        let tokens = Tokens {
            home: pass.home,
            host_name,
            alias: pass.alias,
            key_alias: self.host_key_alias.as_ref().map_or(host_name, |(alias, _)| alias),
            port: value_of(&self.port).unwrap_or(DEFAULT_PORT),
            remote_user: self.user.as_ref().map_or(pass.local_user, |(user, _)| user),
            local_user: pass.local_user,
            jump: last_jump(&self.jump),
        };
        let facts = Facts {
            tokens,
            tag: self.tag.as_ref().map_or("", |(tag, _)| tag),
            session_type: value_of(&self.session_type).unwrap_or_default(),
            is_final: pass.dialled.is_some(),
        };
        matching::holds(criteria, &facts, |command| commands.succeeds(command))
    }

    /// Whether the files are to be read again: for the sake of `Match final`, or because names are made canonical.
    pub(super) fn wants_second_pass(&self) -> bool {
        self.names_final || value_of(&self.canonicalize).is_some_and(|how| how != Canonicalize::No)
    }

    /// Looks whether OpenSSH might dial another name than `dialled` after looking it up in domains or following aliases.
    ///
    /// # Errors
    /// If so, and if it would refuse to go on: what is dialled then is not known here.
    pub(super) fn check_canonical(&self, dialled: &str) -> Result<(), HostError> {
        let Some((how, at)) = &self.canonicalize else { return Ok(()) };
        let family = value_of(&self.address_family).unwrap_or_default();
        let is_command = self.proxy_command.as_ref().is_some_and(|(command, _)| !command.eq_ignore_ascii_case("none"));
        let rules = Rules {
            how: *how,
            is_direct: !is_command && last_jump(&self.jump).is_empty(),
            domains: self.canonical_domains.as_ref().map_or(&[], |(domains, _)| domains),
            max_dots: value_of(&self.canonical_max_dots).unwrap_or(1),
            falls_back: value_of(&self.canonical_fallback).unwrap_or(true),
            cnames: self.canonical_cnames.as_ref().map_or(&[], |(cnames, _)| cnames),
        };
        let checked = if address::is_numeric(dialled, family) { Ok(()) } else { rules.check(dialled) };
        checked.map_err(|refusal| at.refuse(refusal.of("CanonicalizeHostname")))
    }

    /// The name that is dialled.
    pub(super) fn dialled(&self, alias: &str) -> Result<String, HostError> {
        let family = value_of(&self.address_family).unwrap_or_default();
        let name = match &self.host_name {
            Some((name, at)) => expand::host_name(name, alias)
                .map_err(|why| at.refuse(Refusal::bad(format!("HostName {name}: {why}"))))?,
            None => alias.to_owned(),
        };
        Ok(address::canonical(&name, family))
    }

    fn set(&mut self, at: &At, line: &lex::Line<'_>, pass: &Pass<'_>) -> Result<(), Refusal> {
        let arguments = &line.arguments().map_err(Refusal::bad)?;
        match classify(&line.keyword) {
            Class::Evaluated(keyword) => self.evaluate(keyword, at, arguments, line.rest, pass),
            Class::Irrelevant => Ok(()),
            Class::Unsupported(name) => {
                if arguments.is_empty() {
                    return Err(Refusal::bad("needs an argument"));
                }
                if is_none(arguments) {
                    self.none.insert(name);
                }
                if self.none.contains(name) {
                    return Ok(());
                }
                Err(Refusal::unsupported(format!("{} is not evaluated", arguments.join(" "))))
            }
            Class::Unknown => {
                let lowercase = line.keyword.to_ascii_lowercase();
                let ignored = self.ignore_unknown.as_ref().is_some_and(|(list, _)| {
                    let list = list.to_ascii_lowercase();
                    pattern::matches_list(&lowercase, list.split(','))
                });
                if ignored {
                    return Ok(());
                }
                Err(Refusal::hinted(
                    "is not a known keyword",
                    "correct this line, or name the keyword in an IgnoreUnknown line above it",
                ))
            }
        }
    }

    /// `rest`: the arguments as they are written, for the keywords that take a command.
    fn evaluate(
        &mut self,
        keyword: Keyword,
        at: &At,
        arguments: &[String],
        rest: &str,
        pass: &Pass<'_>,
    ) -> Result<(), Refusal> {
        match keyword {
            Keyword::HostName => settle(&mut self.host_name, one(arguments)?.to_owned(), at),
            Keyword::User => settle(&mut self.user, one(arguments)?.to_owned(), at),
            Keyword::Port => settle(&mut self.port, value::port(one(arguments)?)?, at),
            Keyword::IdentityFile => self.identity_files.add(one(arguments)?, pass.is_user, at),
            Keyword::CertificateFile => self.certificate_files.add(one(arguments)?, pass.is_user, at),
            Keyword::IdentitiesOnly => settle(&mut self.identities_only, value::flag(one(arguments)?)?, at),
            Keyword::IdentityAgent => {
                let text = one(arguments)?;
                expand::check_variables(text).map_err(|why| Refusal::bad(format!("{text}: {why}")))?;
                settle(&mut self.agent, text.to_owned(), at)
            }
            Keyword::ProxyJump => self.proxy_jump(rest, at),
            Keyword::ProxyCommand => self.proxy_command(rest, at),
            Keyword::ProxyUseFdpass => settle(&mut self.proxy_use_fdpass, value::flag(one(arguments)?)?, at),
            Keyword::AddressFamily => settle(&mut self.address_family, value::address_family(one(arguments)?)?, at),
            Keyword::BindAddress => settle(&mut self.bind_address, one(arguments)?.to_owned(), at),
            Keyword::UserKnownHostsFile => known_hosts(&mut self.user_known_hosts, arguments, at),
            Keyword::GlobalKnownHostsFile => known_hosts(&mut self.global_known_hosts, arguments, at),
            Keyword::StrictHostKeyChecking => settle(&mut self.strict, value::strict(one(arguments)?)?, at),
            Keyword::HostKeyAlias => settle(&mut self.host_key_alias, one(arguments)?.to_owned(), at),
            Keyword::HashKnownHosts => settle(&mut self.hash_known_hosts, value::flag(one(arguments)?)?, at),
            Keyword::RequiredRsaSize => settle(&mut self.required_rsa_bits, value::number(one(arguments)?)?, at),
            Keyword::Algorithms(kind) => {
                let slot = match kind {
                    Kind::Kex => &mut self.kex,
                    Kind::Cipher => &mut self.ciphers,
                    Kind::Mac => &mut self.macs,
                    Kind::Key => &mut self.public_keys,
                    Kind::CaSignature => &mut self.ca_signatures,
                };
                let text = one(arguments)?;
                if slot.is_some() {
                    return algorithms::check(kind, text);
                }
                settle(slot, algorithms::assemble(kind, text)?, at)
            }
            Keyword::HostKeyAlgorithms => {
                let text = one(arguments)?;
                if self.host_keys.is_some() {
                    return algorithms::check(Kind::Key, text);
                }
                let is_ranked = !text.starts_with(['+', '-']);
                settle(&mut self.host_keys, (algorithms::assemble(Kind::Key, text)?, is_ranked), at)
            }
            Keyword::PubkeyAuthentication => settle(&mut self.public_key, value::public_key(one(arguments)?)?, at),
            Keyword::PasswordAuthentication => settle(&mut self.password, value::flag(one(arguments)?)?, at),
            Keyword::KbdInteractiveAuthentication => {
                settle(&mut self.keyboard_interactive, value::flag(one(arguments)?)?, at)
            }
            Keyword::PreferredAuthentications => {
                let names = one(arguments)?.split(',').take_while(|name| !name.is_empty());
                settle(&mut self.method_order, names.map(str::to_owned).collect(), at)
            }
            Keyword::NumberOfPasswordPrompts => settle(&mut self.password_prompts, value::number(one(arguments)?)?, at),
            Keyword::BatchMode => settle(&mut self.batch, value::flag(one(arguments)?)?, at),
            Keyword::SetEnv => {
                let variables = value::variables(arguments)?;
                // Since OpenSSH 9.4; before, such a line set nothing.
                if variables.is_empty() {
                    return Err(Refusal::bad("needs an argument"));
                }
                settle(&mut self.set_env, variables, at)
            }
            // `none` sets nothing: a later line may still.
            Keyword::ConnectTimeout => match value::duration(one(arguments)?)? {
                Some(limit) => settle(&mut self.connect_timeout, limit, at),
                None => Ok(()),
            },
            Keyword::ServerAliveInterval => match value::duration(one(arguments)?)? {
                Some(interval) => settle(&mut self.server_alive_interval, interval, at),
                None => Ok(()),
            },
            Keyword::ServerAliveCountMax => {
                settle(&mut self.server_alive_count_max, value::number(one(arguments)?)?, at)
            }
            Keyword::Tag => settle(&mut self.tag, one(arguments)?.to_owned(), at),
            Keyword::SessionType => settle(&mut self.session_type, value::session_type(one(arguments)?)?, at),
            Keyword::CanonicalizeHostname => settle(&mut self.canonicalize, Canonicalize::parse(one(arguments)?)?, at),
            Keyword::CanonicalDomains => settle(&mut self.canonical_domains, canonical::domains(arguments)?, at),
            Keyword::CanonicalizeMaxDots => settle(&mut self.canonical_max_dots, value::number(one(arguments)?)?, at),
            Keyword::CanonicalizeFallbackLocal => {
                settle(&mut self.canonical_fallback, value::flag(one(arguments)?)?, at)
            }
            Keyword::CanonicalizePermittedCnames => {
                settle(&mut self.canonical_cnames, canonical::cnames(arguments)?, at)
            }
            Keyword::NoHostAuthenticationForLocalhost => {
                settle(&mut self.no_localhost_check, value::flag(one(arguments)?)?, at)
            }
            Keyword::CheckHostIp => settle(&mut self.check_host_ip, value::flag(one(arguments)?)?, at),
            Keyword::Pkcs11Provider => settle(&mut self.pkcs11_provider, one(arguments)?.to_owned(), at),
            Keyword::BindInterface => settle(&mut self.bind_interface, one(arguments)?.to_owned(), at),
            Keyword::RevokedHostKeys => known_hosts(&mut self.revoked_host_keys, arguments, at),
            Keyword::RefuseConnection => Err(Refusal::hinted(
                one(arguments)?,
                "ssh_config says that this host is not to be connected to; ask whoever wrote that line",
            )),
            Keyword::IgnoreUnknown => settle(&mut self.ignore_unknown, one(arguments)?.to_owned(), at),
        }
    }

    /// Whichever of `ProxyJump` and `ProxyCommand` comes first wins.
    fn proxy_jump(&mut self, rest: &str, at: &At) -> Result<(), Refusal> {
        let hops = jump::parse(command_text(rest))?;
        if self.proxy_command.is_some() { Ok(()) } else { settle(&mut self.jump, hops, at) }
    }

    fn proxy_command(&mut self, rest: &str, at: &At) -> Result<(), Refusal> {
        let command = command_text(rest);
        match &self.jump {
            Some((hops, _)) if hops.is_empty() && !command.eq_ignore_ascii_case("none") => Err(Refusal::hinted(
                "after `ProxyJump none` counts only for some versions of OpenSSH",
                "write `ProxyCommand none` instead of `ProxyJump none`; it switches both off",
            )),
            Some(_) => Ok(()),
            None => settle(&mut self.proxy_command, command.to_owned(), at),
        }
    }

    /// The settings with the defaults filled in and the names expanded. `host_name` is the name that is dialled.
    pub(super) fn finish(
        mut self,
        pass: &Pass<'_>,
        host_name: String,
        mut report: Report,
    ) -> Result<Finished, HostError> {
        let Pass { alias, home, local_user, .. } = *pass;
        let port = value_of(&self.port).unwrap_or(DEFAULT_PORT);
        let host_key_alias = self.host_key_alias.as_ref().map(|(alias, _)| alias.to_ascii_lowercase());
        let jump = self.jump.take().filter(|(hops, _)| !hops.is_empty());
        let last_hop = last_jump(&jump).to_owned();
        let tokens = Tokens {
            home,
            host_name: &host_name,
            alias,
            key_alias: host_key_alias.as_deref().unwrap_or(alias),
            port,
            remote_user: "",
            local_user,
            jump: &last_hop,
        };
        let user = match &self.user {
            None => local_user.to_owned(),
            Some((text, at)) => {
                tokens.value_of(text, Known::User).ok().filter(|user| user == text || is_safe_user(user)).ok_or_else(
                    || at.refuse(Refusal::bad(format!("User {text} does not come to a name of an account"))),
                )?
            }
        };
        let tokens = Tokens { remote_user: &user, ..tokens };
        report.add("HostName", &host_name, at_of(&self.host_name));
        report.add("User", &user, at_of(&self.user));
        report.add("Port", port, at_of(&self.port));

        let proxy = match &self.proxy_command {
            Some((command, _)) if command.eq_ignore_ascii_case("none") => Proxy::Direct,
            Some((command, at)) => {
                let (command, fdpass) = proxy_command(command, at, &self.proxy_use_fdpass, &tokens)?;
                report.add("ProxyCommand", &command, Some(at));
                report.flag("ProxyUseFdpass", false, fdpass);
                Proxy::Command(command)
            }
            None => Proxy::Direct,
        };
        report.add_set("ProxyJump", jump.as_ref(), |hops| {
            hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        });
        report.add_set("AddressFamily", self.address_family.as_ref(), |family| {
            match family {
                AddressFamily::Any => "any",
                AddressFamily::Inet => "inet",
                AddressFamily::Inet6 => "inet6",
            }
            .to_owned()
        });
        report.add_set("BindAddress", self.bind_address.as_ref(), String::clone);
        report.add_set("BindInterface", self.bind_interface.as_ref(), String::clone);
        report.add_set("Tag", self.tag.as_ref(), String::clone);

        let identity_files_are_default = self.identity_files.0.is_empty();
        let mut identity_files = Vec::new();
        for (text, _, at) in &self.identity_files.0 {
            // `none` on its own switches the defaults off.
            if !text.eq_ignore_ascii_case("none") {
                let file = expanded("IdentityFile", text, at, &tokens)?;
                report.add("IdentityFile", file.display(), Some(at));
                identity_files.push(file);
            }
        }
        if identity_files_are_default {
            identity_files = DEFAULT_IDENTITIES.iter().map(|name| home.join(".ssh").join(name)).collect();
            for file in &identity_files {
                report.add("IdentityFile", file.display(), None);
            }
        }
        let mut certificate_files = Vec::new();
        for (text, _, at) in &self.certificate_files.0 {
            let file = expanded("CertificateFile", text, at, &tokens)?;
            report.add("CertificateFile", file.display(), Some(at));
            certificate_files.push(file);
        }
        let identities_only = value_of(&self.identities_only).unwrap_or(false);
        report.flag("IdentitiesOnly", identities_only, at_of(&self.identities_only));
        let agent = agent(&self.agent, &tokens)?;
        let agent_name = agent.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        report.add("IdentityAgent", agent_name, at_of(&self.agent));
        let provider = self.pkcs11_provider.as_ref().filter(|(provider, _)| !provider.eq_ignore_ascii_case("none"));
        report.add_set("PKCS11Provider", provider, |provider| {
            format!("{provider} (not loaded here: `ssh-add -s {provider}` gives its keys to the agent)")
        });
        let methods = methods(&self, &mut report);

        let strict_host_key_checking = value_of(&self.strict).unwrap_or(StrictHostKeyChecking::Yes);
        let strict = match strict_host_key_checking {
            StrictHostKeyChecking::Yes => "yes",
            StrictHostKeyChecking::AcceptNew => "accept-new",
            StrictHostKeyChecking::No => "no",
        };
        report.add("StrictHostKeyChecking", strict, at_of(&self.strict));
        let user_known_hosts_files = match &self.user_known_hosts {
            None => ["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name)).to_vec(),
            Some((files, _)) if is_none(files) => Vec::new(),
            Some((files, at)) => {
                files.iter().map(|text| expanded("UserKnownHostsFile", text, at, &tokens)).collect::<Result<_, _>>()?
            }
        };
        report.files("UserKnownHostsFile", &user_known_hosts_files, at_of(&self.user_known_hosts));
        let global_known_hosts_files = match &self.global_known_hosts {
            None => ["ssh_known_hosts", "ssh_known_hosts2"].map(|name| Path::new("/etc/ssh").join(name)).to_vec(),
            Some((files, _)) if is_none(files) => Vec::new(),
            Some((files, at)) => files
                .iter()
                .map(|text| {
                    expand::tilde(text, home).ok_or_else(|| {
                        at.refuse(Refusal::bad(format!("GlobalKnownHostsFile {text}: there is no such account")))
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        report.files("GlobalKnownHostsFile", &global_known_hosts_files, at_of(&self.global_known_hosts));
        let revoked_host_keys = match &self.revoked_host_keys {
            None => Vec::new(),
            Some((files, _)) if is_none(files) => Vec::new(),
            Some((files, at)) => {
                files.iter().map(|text| expanded("RevokedHostKeys", text, at, &tokens)).collect::<Result<_, _>>()?
            }
        };
        if !revoked_host_keys.is_empty() {
            report.files("RevokedHostKeys", &revoked_host_keys, at_of(&self.revoked_host_keys));
        }
        report.add_set("NoHostAuthenticationForLocalhost", self.no_localhost_check.as_ref(), yes_or_no);
        // It only adds a check: ignoring it makes nothing trusted that is not trusted by name.
        report.add_set("CheckHostIP", self.check_host_ip.as_ref(), |yes| match yes {
            true => "yes (not evaluated: the host's key is looked up by its name alone)".to_owned(),
            false => "no".to_owned(),
        });
        if let Some(alias) = &host_key_alias {
            report.add("HostKeyAlias", alias, at_of(&self.host_key_alias));
        }
        let hash_known_hosts = value_of(&self.hash_known_hosts).unwrap_or(false);
        report.flag("HashKnownHosts", hash_known_hosts, at_of(&self.hash_known_hosts));
        let required_rsa_bits = value_of(&self.required_rsa_bits).unwrap_or(MIN_RSA_BITS);
        report.add("RequiredRSASize", required_rsa_bits, at_of(&self.required_rsa_bits));

        for (keyword, list) in [
            ("KexAlgorithms", &self.kex),
            ("Ciphers", &self.ciphers),
            ("MACs", &self.macs),
            ("PubkeyAcceptedAlgorithms", &self.public_keys),
            ("CASignatureAlgorithms", &self.ca_signatures),
        ] {
            report.add_set(keyword, list.as_ref(), |names| names.join(","));
        }
        report.add_set("HostKeyAlgorithms", self.host_keys.as_ref(), |(names, _)| names.join(","));
        let set_env = match &self.set_env {
            None => Vec::new(),
            Some((variables, at)) => set_env(variables, at, &tokens)?,
        };
        report.add_set("SetEnv", self.set_env.as_ref(), |_| {
            set_env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        });
        report.add_set("ConnectTimeout", self.connect_timeout.as_ref(), seconds);
        report.add_set("ServerAliveInterval", self.server_alive_interval.as_ref(), seconds);
        let server_alive_count_max = value_of(&self.server_alive_count_max).unwrap_or(DEFAULT_SERVER_ALIVE_COUNT_MAX);
        report.add("ServerAliveCountMax", server_alive_count_max, at_of(&self.server_alive_count_max));

        let (host_keys, host_keys_are_ranked) = value_of(&self.host_keys).unzip();
        let spec = HostSpec {
            alias: alias.to_owned(),
            port,
            identity_files,
            identity_files_are_default,
            identities_only,
            agent,
            certificate_files,
            methods,
            proxy,
            address_family: value_of(&self.address_family).unwrap_or_default(),
            bind_address: value_of(&self.bind_address),
            bind_interface: value_of(&self.bind_interface),
            algorithms: AlgorithmLists {
                kex: value_of(&self.kex),
                ciphers: value_of(&self.ciphers),
                macs: value_of(&self.macs),
                host_keys,
                host_keys_are_ranked: host_keys_are_ranked.unwrap_or(false),
                public_keys: value_of(&self.public_keys),
                ca_signatures: value_of(&self.ca_signatures),
            },
            set_env,
            host_key_alias,
            hash_known_hosts,
            user_known_hosts_files,
            global_known_hosts_files,
            strict_host_key_checking,
            trusts_localhost: value_of(&self.no_localhost_check).unwrap_or(false),
            revoked_host_keys,
            required_rsa_bits,
            // Zero is no limit to OpenSSH too.
            connect_timeout: value_of(&self.connect_timeout).filter(|limit| !limit.is_zero()),
            server_alive_interval: value_of(&self.server_alive_interval),
            server_alive_count_max,
            host_name,
            user,
        };
        Ok(Finished { spec, report, jump })
    }
}

/// The last host of `ProxyJump`, as it is written; empty if there is none.
fn last_jump(jump: &Set<Vec<Hop>>) -> &str {
    jump.as_ref().and_then(|(hops, _)| hops.last()).map_or("", |hop| &hop.host)
}

fn yes_or_no(yes: &bool) -> String {
    if *yes { "yes" } else { "no" }.to_owned()
}

/// The variables with the tokens in their values replaced, as OpenSSH does since 9.4.
fn set_env(variables: &[(String, String)], at: &At, tokens: &Tokens<'_>) -> Result<Vec<(String, String)>, HostError> {
    let expanded = |(name, value): &(String, String)| {
        let value = tokens
            .value_of(value, Known::All)
            .map_err(|why| at.refuse(Refusal::bad(format!("SetEnv {name}={value}: {why}"))))?;
        Ok((name.clone(), value))
    };
    variables.iter().map(expanded).collect()
}

/// What a keyword takes that is followed by a command: all of the line.
fn command_text(rest: &str) -> &str {
    rest.trim_start_matches(|c| BLANKS.contains(&c) || c == '=')
}

fn known_hosts(slot: &mut Set<Vec<String>>, arguments: &[String], at: &At) -> Result<(), Refusal> {
    let files = value::files(arguments)?;
    // Nothing but a comment sets nothing.
    if files.is_empty() { Ok(()) } else { settle(slot, files, at) }
}

fn is_none(files: &[String]) -> bool {
    matches!(files, [only] if only.eq_ignore_ascii_case("none"))
}

fn expanded(keyword: &str, text: &str, at: &At, tokens: &Tokens<'_>) -> Result<PathBuf, HostError> {
    tokens.file_name(text).map_err(|why| at.refuse(Refusal::bad(format!("{keyword} {text}: {why}"))))
}

/// The command, and the line that says that it copies bytes.
fn proxy_command<'a>(
    command: &str,
    at: &At,
    fdpass: &'a Set<bool>,
    tokens: &Tokens<'_>,
) -> Result<(String, Option<&'a At>), HostError> {
    let fail = |refusal: Refusal| at.refuse(refusal.of("ProxyCommand"));
    if let Some((true, at)) = fdpass {
        return Err(at.refuse(Refusal::unsupported("ProxyUseFdpass yes is not evaluated")));
    }
    if command == "-" {
        return Err(fail(Refusal::unsupported("- is not evaluated")));
    }
    let command =
        tokens.percent(command, Known::Proxy).map_err(|why| fail(Refusal::bad(format!("{command}: {why}"))))?;
    Ok((command, at_of(fdpass)))
}

fn agent(set: &Set<String>, tokens: &Tokens<'_>) -> Result<Option<PathBuf>, HostError> {
    let Some((text, at)) = set else { return Ok(environment_agent()) };
    let file = expanded("IdentityAgent", text, at, tokens)?;
    Ok(match file.to_str() {
        Some("none") => None,
        Some("SSH_AUTH_SOCK") => environment_agent(),
        // The older way to name a variable; one that is not set means no agent.
        Some(name) if name.starts_with('$') && !name.starts_with("${") => {
            let name = name.trim_start_matches('$');
            expand::variable(name).ok().filter(|path| !path.is_empty()).map(PathBuf::from)
        }
        _ => Some(file),
    })
}

/// Where the environment says that the agent listens.
fn environment_agent() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn methods(settings: &Settings, report: &mut Report) -> Methods {
    let defaults = Methods::default();
    // Nothing is asked for in batch mode, so neither of these is tried.
    let batch = value_of(&settings.batch).unwrap_or(false);
    let asks = |set: &Set<bool>, default: bool| value_of(set).unwrap_or(default) && !batch;
    let asks_at = |set: &Set<bool>| (if batch { at_of(&settings.batch) } else { at_of(set) }).cloned();
    let methods = Methods {
        public_key: value_of(&settings.public_key).unwrap_or(defaults.public_key),
        keyboard_interactive: asks(&settings.keyboard_interactive, defaults.keyboard_interactive),
        password: asks(&settings.password, defaults.password),
        order: value_of(&settings.method_order),
        password_prompts: value_of(&settings.password_prompts).unwrap_or(defaults.password_prompts),
    };
    report.flag("PubkeyAuthentication", methods.public_key, at_of(&settings.public_key));
    let at = asks_at(&settings.keyboard_interactive);
    report.flag("KbdInteractiveAuthentication", methods.keyboard_interactive, at.as_ref());
    report.flag("PasswordAuthentication", methods.password, asks_at(&settings.password).as_ref());
    report.add_set("PreferredAuthentications", settings.method_order.as_ref(), |names| names.join(","));
    report.add("NumberOfPasswordPrompts", methods.password_prompts, at_of(&settings.password_prompts));
    methods
}
