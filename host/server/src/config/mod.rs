//! What Scout is told: flags, variables, `scout.toml`, defaults, in this order of precedence.
//!
//! The only module that reads the environment. Knows nothing of MCP or plugins: it gives values.

mod askpass;
mod file;
mod former;
mod groups;
mod http;
mod limits;
mod oauth;
mod plugins;
mod rights;
mod source;
mod ssh_ca;
mod transfers;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scout_local::{Account, Local};
use scout_runtime::grants::{Access, HostRules, Place, Rights};
use scout_runtime::policy::{CommandPolicy, SecretPaths};
use scout_runtime::{Fleet, HostRecord, HostSource, Limits};
use scout_ssh::{DialConfig, HostNames, Pool, PoolConfig, SshConfig};

pub use groups::Groups;
pub use http::Http;
pub(crate) use http::is_principal;
pub use limits::HostLimit;
pub use oauth::{Algorithm, Issuer, OAuth};
pub use plugins::{PluginConfig, Vetting, signature_file};
pub use rights::{HostConfig, HostTables};
pub use source::{Digest, OciReference, Source};
pub(crate) use source::{check_url, is_loopback};
pub use transfers::Transfers;
pub use values::{ByteCount, FileSize, OutputSize, Seconds};

use crate::audit::AuditMode;
use crate::quotas::Quota;
use file::File;

/// The longest that a call may take beyond connecting and running its command: queues, SFTP, a slow link.
const CALL_SLACK: Duration = Duration::from_secs(30);

/// Variables that Scout reads, with the flag that overrides each.
const VARIABLES: [&str; 9] = [
    "SCOUT_MAX_FILE_SIZE",
    "SCOUT_MAX_OUTPUT_SIZE",
    "SCOUT_COMMAND_TIMEOUT",
    "SCOUT_CONNECTION_TIMEOUT",
    "SCOUT_IDLE_TIMEOUT",
    "SCOUT_MAX_POOL_SIZE",
    "SCOUT_KNOWN_HOSTS",
    "SCOUT_PLUGINS_DIR",
    "SCOUT_LOG",
];

/// Why the configuration cannot be used. The message names the file and line, the variable or the flag.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this sentence.
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

/// Settings of the command line. An absent one leaves the word to the next source.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings (each overrides its variable and scout.toml)")]
pub struct Flags {
    /// Configuration file [default: $XDG_CONFIG_HOME/scout/scout.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Hosts: a file as ~/.ssh/config [default: that one]
    #[arg(long, global = true, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Trusted host keys, instead of what ssh_config names (SCOUT_KNOWN_HOSTS)
    #[arg(long, global = true, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// First bytes of a file that are answered, up to 4MiB (SCOUT_MAX_FILE_SIZE, default 1MiB)
    #[arg(long, global = true, value_name = "BYTES")]
    pub max_file_size: Option<FileSize>,
    /// First bytes of each stream of a command that are answered, up to 2MiB (SCOUT_MAX_OUTPUT_SIZE, default 1MiB)
    #[arg(long, global = true, value_name = "BYTES")]
    pub max_output_size: Option<OutputSize>,
    /// How long a command may run (SCOUT_COMMAND_TIMEOUT, default 30s)
    #[arg(long, global = true, value_name = "TIME")]
    pub command_timeout: Option<Seconds>,
    /// How long connecting may take, authentication included (SCOUT_CONNECTION_TIMEOUT, default 10s)
    #[arg(long, global = true, value_name = "TIME")]
    pub connection_timeout: Option<Seconds>,
    /// When an unused connection is closed (SCOUT_IDLE_TIMEOUT, default 60s)
    #[arg(long, global = true, value_name = "TIME")]
    pub idle_timeout: Option<Seconds>,
    /// Connections at once (SCOUT_MAX_POOL_SIZE, default 100)
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_pool_size: Option<u32>,
    /// Components hosts.wasm, file.wasm, dir.wasm, command.wasm, walk.wasm, fleet.wasm, transfer.wasm that replace the built-in ones (SCOUT_PLUGINS_DIR)
    #[arg(long, global = true, value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,
    /// Whether others than whoever starts it are served: secrets are masked then, unless `scout.toml` says otherwise.
    #[arg(skip)]
    pub serves_http: bool,
    /// What is logged to stderr, as in `info` or `scout_ssh=debug` (SCOUT_LOG, default warn)
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

/// All settings, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `scout.toml` that was read, if any.
    pub file: Option<PathBuf>,
    /// Where it is, or would be.
    pub file_place: PathBuf,
    /// The user's ssh_config.
    pub ssh_config: PathBuf,
    /// The system's; absent if the user's was named explicitly, as with `ssh -F`.
    pub system_ssh_config: Option<PathBuf>,
    /// Where audit lines go.
    pub audit_log: PathBuf,
    /// What becomes of a command that cannot be recorded.
    pub audit: AuditMode,
    /// Whether they tell of what was read too.
    pub audit_reads: bool,
    /// Whether secrets are masked in what leaves for a client.
    pub redact: bool,
    /// What commands run where nothing else is said.
    pub commands: CommandPolicy,
    /// Where that is written, if it is.
    commands_place: Option<Place>,
    /// What processes of commands may take where nothing else is said.
    command_limits: Option<limits::LimitKeys>,
    /// Whether commands that only read share shells that stay where nothing else is said, and where that is written.
    persistent_shells: Option<(bool, Place)>,
    /// What nobody reads on any host.
    secrets: Arc<SecretPaths>,
    /// `[hosts.NAME]`.
    pub hosts: HostTables,
    /// `[groups.NAME]`: hosts under one name.
    pub groups: Groups,
    /// `[access.NAME]`: what principals may do.
    pub principals: BTreeMap<String, Arc<Rights>>,
    /// The same tables: how often and how much they may ask. Those without such keys are left out.
    pub quotas: BTreeMap<String, Quota>,
    /// Bounds of a call.
    pub limits: Limits,
    /// Bounds of the pool.
    pub pool: PoolConfig,
    /// What is dialled with beside ssh_config.
    pub dial: DialConfig,
    /// Memory of all calls of plugins together, in bytes.
    pub plugin_memory: usize,
    /// Components that replace built-in ones.
    pub plugins_dir: Option<PathBuf>,
    /// `[plugins.NAME]`.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// What plugins are checked against before they are compiled.
    pub vetting: Vetting,
    /// Where compiled plugins are kept, and those that were fetched.
    pub cache_dir: Option<PathBuf>,
    /// Where Scout keeps what it knows from one start to the next.
    pub state_dir: PathBuf,
    /// The log filter.
    pub log: String,
    /// Things that are odd but no errors.
    pub warnings: Vec<String>,
    home: PathBuf,
    /// `[transfers]`.
    pub transfers: Transfers,
    /// `[http]`.
    pub http: Http,
    /// The machine that Scout runs on, for transfers and for hosts whose `transport` is that.
    local: Local,
}

impl Config {
    /// Reads everything.
    ///
    /// # Errors
    /// A file, variable or flag that cannot be understood, named in the message.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let home =
            std::env::home_dir().ok_or_else(|| ConfigError("the home directory is unknown: set HOME".to_owned()))?;
        Self::from_sources(flags, &environment, home)
    }

    fn from_sources(flags: &Flags, environment: &BTreeMap<String, String>, home: PathBuf) -> Result<Self, ConfigError> {
        let xdg = |variable: &str, default: &str| {
            // The XDG specification: a relative path is to be ignored.
            let set = environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            set.unwrap_or_else(|| home.join(default)).join("scout")
        };
        let state_dir = xdg("XDG_STATE_HOME", ".local/state");
        let default_file = xdg("XDG_CONFIG_HOME", ".config").join("scout.toml");
        let (path, file) = match &flags.config {
            Some(path) => (Some(path.clone()), File::read(path)?),
            None => match File::read_usual(&default_file)? {
                Some(file) => (Some(default_file.clone()), file),
                None => (None, File::default()),
            },
        };
        let lines = &file.lines;
        let variables = Variables(environment);
        let relative_to_file = |given: &Path| match (given.strip_prefix("~"), &path) {
            (Ok(below), _) => home.join(below),
            (Err(_), Some(file)) => file.parent().unwrap_or(Path::new("")).join(given),
            (Err(_), None) => given.to_owned(),
        };
        let named = flags.ssh_config.clone().or_else(|| file.ssh_config.as_deref().map(relative_to_file));
        let known_hosts = match (&flags.known_hosts, environment.get("SCOUT_KNOWN_HOSTS"), &file.known_hosts) {
            (Some(flag), ..) => Some(vec![flag.clone()]),
            (None, Some(variable), _) => Some(std::env::split_paths(variable).collect()),
            (None, None, Some(files)) => Some(files.paths().map(relative_to_file).collect()),
            (None, None, None) => None,
        };
        let defaults = Limits::default();
        let transfers = Transfers::new(&file.transfers, lines)?;
        let (pool, dial) = (PoolConfig::default(), DialConfig::default());
        let time = |flag: Option<Seconds>, variable, file: Option<Seconds>, default: Duration| {
            let value = variables.get::<Seconds>(variable)?;
            Ok::<_, ConfigError>(flag.or(value).or(file).map_or(default, Seconds::as_duration))
        };
        let limits = Limits {
            file_bytes: variables.size(
                flags.max_file_size,
                "SCOUT_MAX_FILE_SIZE",
                file.max_file_size,
                defaults.file_bytes,
            )?,
            output_bytes: variables.size(
                flags.max_output_size,
                "SCOUT_MAX_OUTPUT_SIZE",
                file.max_output_size,
                defaults.output_bytes,
            )?,
            command_timeout: time(
                flags.command_timeout,
                "SCOUT_COMMAND_TIMEOUT",
                file.command_timeout,
                defaults.command_timeout,
            )?,
            transfer_bytes: transfers.size.unwrap_or(defaults.transfer_bytes),
            ..defaults
        };
        let max_connections = flags.max_pool_size.or(variables.pool_size()?).or(file.max_pool_size.map(|n| n.0));
        let max_connections = max_connections.map_or(pool.max_connections, |n| n as usize);
        let pool = PoolConfig {
            idle_timeout: time(flags.idle_timeout, "SCOUT_IDLE_TIMEOUT", file.idle_timeout, pool.idle_timeout)?,
            max_connections,
            // Whoever is alone has all of them.
            max_connections_of_principal: match flags.serves_http {
                true => (max_connections * 3).div_ceil(4),
                false => max_connections,
            },
            seen: Some(state_dir.join("answers")),
            ..pool
        };
        let dial = DialConfig {
            connect_timeout: time(
                flags.connection_timeout,
                "SCOUT_CONNECTION_TIMEOUT",
                file.connection_timeout,
                dial.connect_timeout,
            )?,
            known_hosts,
            secret_command: match &file.secret_command {
                Some(command) => Some(relative_to_file(command)),
                None => askpass::program(|name| environment.get(name).map(String::as_str)),
            },
            authority: match file.ssh_ca {
                Some(table) => {
                    let agent = environment.get("SSH_AUTH_SOCK").map(PathBuf::from);
                    Some(table.authority(lines, agent, relative_to_file)?)
                }
                None => None,
            },
        };
        let plugins_dir = flags
            .plugins_dir
            .clone()
            .or_else(|| environment.get("SCOUT_PLUGINS_DIR").map(PathBuf::from))
            .or_else(|| file.plugins_dir.as_deref().map(relative_to_file));
        let named_signers = file.plugins.iter().find(|(_, plugin)| !plugin.signed_by.is_empty());
        let asked_by = match named_signers {
            Some((name, _)) => Some(format!("`signed_by` of [plugins.{name}]")),
            None => file.require_signature.then(|| "`require_signature`".to_owned()),
        };
        if let (Some(key), None, Some(path)) = (asked_by, &file.allowed_signers, &path) {
            return Err(ConfigError(format!(
                "{}: {key} needs `allowed_signers`, a file as ssh-keygen has it: `NAME KEYTYPE KEY` a line",
                path.display()
            )));
        }
        let config = Self {
            system_ssh_config: named.is_none().then(|| PathBuf::from("/etc/ssh/ssh_config")),
            ssh_config: named.unwrap_or_else(|| home.join(".ssh/config")),
            audit_log: file.audit_log.as_deref().map_or_else(|| state_dir.join("audit.jsonl"), relative_to_file),
            audit: file.audit,
            audit_reads: file.audit_reads,
            redact: file.redact.unwrap_or(flags.serves_http),
            state_dir,
            commands: file.commands.as_ref().map(|commands| (*commands.get_ref()).into()).unwrap_or_default(),
            commands_place: file.commands.as_ref().map(|commands| lines.place(commands)),
            command_limits: file.command_limits.as_ref().map(|keys| limits::LimitKeys::new(keys, lines)),
            persistent_shells: file.persistent_shells.as_ref().map(|shells| (*shells.get_ref(), lines.place(shells))),
            secrets: Arc::new(rights::secrets(&file.secret_paths, &file.readable_paths, lines)?),
            hosts: HostTables::new(
                file.hosts
                    .iter()
                    .map(|(name, table)| Ok((name.clone(), HostConfig::new(name, table, lines)?)))
                    .collect::<Result<_, ConfigError>>()?,
            ),
            groups: Groups::new(&file.groups, lines)?,
            principals: rights::principals(
                file.access
                    .iter()
                    .map(|(name, table)| Ok((name.clone(), table.limits().rights(lines)?)))
                    .collect::<Result<_, ConfigError>>()?,
                lines,
            )?,
            quotas: rights::quotas(&file.access),
            limits,
            pool,
            dial,
            plugin_memory: file.max_plugin_memory.unwrap_or_default().as_usize(),
            plugins_dir,
            plugins: file
                .plugins
                .into_iter()
                .map(|(name, table)| {
                    let rights = table.limits().rights(lines)?;
                    Ok((name, PluginConfig::new(table, rights, relative_to_file)))
                })
                .collect::<Result<_, ConfigError>>()?,
            vetting: Vetting {
                lock_file: path.as_ref().unwrap_or(&default_file).with_extension("lock"),
                allowed_signers: file.allowed_signers.as_deref().map(relative_to_file),
                require_signature: file.require_signature,
                docker_config: environment
                    .get("DOCKER_CONFIG")
                    .map_or_else(|| home.join(".docker"), PathBuf::from)
                    .join("config.json"),
                agent: environment.get("SSH_AUTH_SOCK").map(PathBuf::from),
            },
            cache_dir: Some(xdg("XDG_CACHE_HOME", ".cache")),
            log: flags
                .log
                .clone()
                .or_else(|| environment.get("SCOUT_LOG").cloned())
                .unwrap_or_else(|| "warn".to_owned()),
            warnings: variables.unknown(),
            file_place: path.clone().unwrap_or(default_file),
            file: path.clone(),
            local: Local::new(
                Account::current(home.clone(), |name| environment.get(name).map(Into::into)),
                flags.serves_http,
            ),
            http: Http::new(file.http, lines, relative_to_file)?,
            home,
            transfers,
        };
        config.check_transfers()?;
        Ok(config)
    }

    /// ssh_config, the user's and the system's.
    ///
    /// # Errors
    /// One that cannot be read at all.
    pub fn ssh(&self) -> Result<SshConfig, ConfigError> {
        SshConfig::load(&self.ssh_config, self.system_ssh_config.as_deref(), &self.home)
            .map_err(|error| ConfigError(with_hint(error.message(), error.hint())))
    }

    /// The hosts, as ssh_config and this configuration have them, over a new pool. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As [`Config::hosts`].
    pub fn fleet(&self) -> Result<Arc<Fleet>, ConfigError> {
        Ok(Arc::new(self.hosts()?.into_fleet(Pool::new(self.pool.clone()).dialling_with(self.dial.clone()))))
    }

    /// The hosts, as ssh_config and this configuration have them, and who may do what there. Blocks on the disk; no host's
    /// settings are looked up.
    ///
    /// # Errors
    /// An ssh_config that cannot be read at all, and a `[hosts.NAME]` that is no host.
    pub fn hosts(&self) -> Result<Hosts, ConfigError> {
        self.hosts_in(&Arc::new(self.ssh()?))
    }

    /// The same, of an ssh_config that was read.
    pub(crate) fn hosts_in(&self, ssh: &Arc<SshConfig>) -> Result<Hosts, ConfigError> {
        let mut names = ssh.names();
        for (name, _) in self.hosts.iter().filter(|(_, table)| table.local().is_some()) {
            names.add(name);
        }
        let access = self.access(&names, ssh)?;
        let (ssh, config) = (Arc::clone(ssh), Arc::new(self.clone()));
        Ok(Hosts { runs_anything: self.runs_anything(&names), names, access, ssh, config })
    }

    /// The paths that make a difference when something changes there, with those that ssh_config includes
    /// ([`SshConfig::included`]). `DIRECTORY/*` is any name in that directory.
    pub fn watched(&self, included: &[PathBuf]) -> Vec<PathBuf> {
        let sources = self.plugins.values().filter_map(|plugin| match &plugin.source {
            Some(Source::File(path)) => Some(path),
            Some(Source::Bundled | Source::Https(_) | Source::Oci(_)) | None => None,
        });
        let signatures: Vec<PathBuf> = sources.clone().map(|path| signature_file(path)).collect();
        let vetting = [&self.vetting.lock_file].into_iter().chain(&self.vetting.allowed_signers);
        let own = [&self.file_place, &self.ssh_config].into_iter().chain(&self.system_ssh_config);
        let files = own.chain(vetting).chain(sources);
        files.chain(included).cloned().chain(signatures).collect()
    }

    /// Where processes that serve tell of themselves.
    pub fn serving_dir(&self) -> PathBuf {
        self.state_dir.join("serving")
    }

    /// The keys whose change a running Scout cannot follow, of those that differ in `new`.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let (pool, new_pool, dial, new_dial) = (&self.pool, &new.pool, &self.dial, &new.dial);
        let (http, new_http) = (&self.http, &new.http);
        let keys = [
            ("audit_log", self.audit_log != new.audit_log),
            ("audit", self.audit != new.audit),
            ("secret_command", dial.secret_command != new_dial.secret_command),
            ("known_hosts", dial.known_hosts != new_dial.known_hosts),
            ("ssh_ca", dial.authority != new_dial.authority),
            ("connection_timeout", dial.connect_timeout != new_dial.connect_timeout),
            ("idle_timeout", pool.idle_timeout != new_pool.idle_timeout),
            ("max_plugin_memory", self.plugin_memory != new.plugin_memory),
            ("max_pool_size", pool.max_connections != new_pool.max_connections),
            ("certificate", http.certificate != new_http.certificate || http.private_key != new_http.private_key),
            ("client_ca", http.client_ca != new_http.client_ca || http.client_crl != new_http.client_crl),
            ("max_connections", http.max_connections != new_http.max_connections),
            ("socket_group", http.socket_group != new_http.socket_group),
        ];
        keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// The longest that one call may take. A layer below may end it sooner, none may stretch it.
    pub fn call_timeout(&self) -> Duration {
        self.limits.command_timeout + self.dial.connect_timeout + CALL_SLACK
    }
}

/// The hosts of a configuration and of its ssh_config.
pub struct Hosts {
    /// The names that are spelt out, in order.
    pub names: HostNames,
    /// Whether one of them runs whatever it is asked for.
    pub runs_anything: bool,
    access: Access,
    ssh: Arc<SshConfig>,
    config: Arc<Config>,
}

impl Hosts {
    /// The ssh_config that they are of.
    pub(crate) fn ssh(&self) -> &Arc<SshConfig> {
        &self.ssh
    }

    /// The hosts, over this pool. Names that only patterns of ssh_config cover are there as far as `hosts` of an
    /// `[access.NAME]` names them too.
    pub fn into_fleet(self, pool: Pool) -> Fleet {
        let Self { names, access, ssh, config, .. } = self;
        let exchange = config.exchange();
        Fleet::of_names(names, Box::new(Configured { config, ssh }), pool).with_access(access).with_exchange(exchange)
    }
}

/// What makes hosts of the names in a configuration.
struct Configured {
    config: Arc<Config>,
    ssh: Arc<SshConfig>,
}

impl HostSource for Configured {
    fn host(&self, name: &Arc<str>, is_listed: bool) -> Option<HostRecord> {
        let Self { config, ssh } = self;
        let is_open = || rights::is_plain(name) && config.opens(name) && ssh.pattern_of(name).is_some();
        if !is_listed && !is_open() {
            return None;
        }
        let (commands, rules) = self.rules(name);
        let limits = limits::as_limits(&config.command_limits(name));
        let record = match config.hosts.get(name).and_then(HostConfig::local) {
            Some(_) => HostRecord::local(&config.local, Arc::clone(name), commands, limits),
            None => HostRecord::over_ssh(ssh, Arc::clone(name), commands, limits),
        };
        Some(record.with_rules(rules))
    }

    fn rules(&self, name: &str) -> (CommandPolicy, Arc<HostRules>) {
        let (commands, rules) = self.config.rules(name);
        (commands, Arc::new(rules))
    }

    fn pattern_of(&self, name: &str) -> Option<&str> {
        self.ssh.pattern_of(name)
    }
}

/// Names like `given`, the nearest first, at most three.
pub fn near<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    /// Below this two names have little in common (Jaro-Winkler similarity, 0 to 1).
    const ALIKE: f64 = 0.7;
    /// More of a name than any has, in characters: what is given may be megabytes, and is held against each name.
    const LONG: usize = 256;
    let given: String = given.chars().take(LONG).flat_map(char::to_lowercase).collect();
    let mut scored: Vec<(f64, &str)> =
        names.map(|name| (strsim::jaro_winkler(&given, &name.to_lowercase()), name)).collect();
    scored.retain(|(score, _)| *score >= ALIKE);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// `; did you mean …?`, or nothing.
pub fn did_you_mean(near: &[String]) -> String {
    let quoted: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { String::new() } else { format!("; did you mean {}?", quoted.join(" or ")) }
}

/// A message and what to do about it, on one line.
pub fn with_hint(message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    }
}

struct Variables<'a>(&'a BTreeMap<String, String>);

impl Variables<'_> {
    /// A size from whatever says it first.
    fn size<const MIB: u64>(
        &self,
        flag: Option<ByteCount<MIB>>,
        variable: &str,
        file: Option<ByteCount<MIB>>,
        default: usize,
    ) -> Result<usize, ConfigError> {
        let variable = self.get(variable)?;
        Ok(flag.or(variable).or(file).map_or(default, ByteCount::as_usize))
    }

    fn get<T: std::str::FromStr<Err = String>>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        let former = || former::name_of(name).and_then(|former| self.0.get_key_value(former));
        let Some((name, text)) = self.0.get_key_value(name).or_else(former) else { return Ok(None) };
        text.parse().map(Some).map_err(|why| ConfigError(format!("{name}={text:?}: {why}")))
    }

    fn pool_size(&self) -> Result<Option<u32>, ConfigError> {
        const NAME: &str = "SCOUT_MAX_POOL_SIZE";
        let Some(text) = self.0.get(NAME) else { return Ok(None) };
        match text.parse() {
            Ok(size @ 1..=10_000) => Ok(Some(size)),
            _ => Err(ConfigError(format!("{NAME}={text:?}: not a number from 1 to 10000"))),
        }
    }

    /// Variables that begin as ours do and are none.
    fn unknown(&self) -> Vec<String> {
        let strangers = self.0.keys().filter(|name| name.starts_with("SCOUT_") && !VARIABLES.contains(&name.as_str()));
        strangers
            .map(|name| match former::instead_of(name) {
                Some(instead) => format!("{name} is a variable of scout_mcp and none of Scout: {instead}"),
                None => {
                    format!("{name} is not a variable of Scout{}", did_you_mean(&near(name, VARIABLES.into_iter())))
                }
            })
            .collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;
    use crate::documents::{self, Block};

    fn config(flags: &Flags, variables: &[(&str, &str)], toml: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scout.toml");
        std::fs::write(&path, toml).unwrap();
        let flags = Flags { config: Some(path), ..flags.clone() };
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::from_sources(&flags, &variables, PathBuf::from("/home/someone"))
    }

    fn refusal(variables: &[(&str, &str)], toml: &str) -> String {
        config(&Flags::default(), variables, toml).unwrap_err().to_string()
    }

    #[test]
    fn whoever_comes_over_http_is_named_as_it_is_meant() {
        let load = |toml: &str| config(&Flags::default(), &[], toml).map_err(|error| error.to_string());
        let http = load(
            "[access.\"ann@example.org\"]\n[http]\nallowed_hosts = [\"scout.example.org\"]\nprivate_key = \"tls/key.pem\"\n\
             allowed_origins = [\"https://app.example.org\", \"http://[::1]:8080\"]\naccounts = { deploy = \"ann@example.org\" }",
        )
        .unwrap()
        .http;
        assert_eq!(http.accounts.get("deploy").map(|name| &**name), Some("ann@example.org"));
        assert!(http.private_key.is_some_and(|key| key.is_absolute() && key.ends_with("tls/key.pem")));
        for (toml, says) in [
            ("[access.locall]", "did you mean that?"),
            ("[access.\"a b\"]", "no name of a principal"),
            ("[http]\naccounts = { deploy = \"\" }", ":2: `` is no name of a principal"),
            (
                "[http]\nallowed_hosts = [\"https://scout.example.org\"]",
                ":2: `https://scout.example.org` is no name of a host",
            ),
            ("[http]\nallowed_hosts = [\"scout:80\"]", "without scheme, port"),
            (
                "[http]\nallowed_origins = [\"https://app.example.org/\"]",
                ":2: `https://app.example.org/` is not as browsers",
            ),
            ("[http]\nallowed_origins = [\"https://app.example.org:443\"]", "as browsers write a site"),
            ("[http]\nallowed_origins = [\"*\"]", "as browsers write a site"),
            ("[http]\nmax_connections = 1", "16 to 100000"),
            ("[http.certificates]\n\"DNS:agent\" = \"alice\"", ":2: [http.certificates] needs `client_ca`"),
            ("[http]\nclient_crl = \"crl.pem\"", ":2: `client_crl` needs `client_ca`"),
            ("[http]\nclient_ca = \"ca.pem\"", "says of none whose it is"),
            (
                "[http]\nclient_ca = \"ca.pem\"\ncertificates = { agent = \"alice\" }",
                ":3: `agent` is not a name of a certificate",
            ),
            (
                "[http]\nclient_ca = \"ca.pem\"\ncertificates = { \"DNS:agent\" = \"\" }",
                ":3: `` is no name of a principal",
            ),
            ("[http.issuers.corp]\nissuer = \"https://login.example.org\"", ":2: [http.issuers.corp] needs `resource`"),
            ("[http]\nresource = \"https://scout.example.org/mcp\"", ":2: `resource` is for tokens"),
            ("[http]\nresource = \"http://scout.example.org/mcp\"", "is not https"),
            ("[http]\nresource = \"https://scout.example.org/mcp?a\"", "has a `?` or `#`"),
            ("[http]\nresource = \"https://Scout.example.org:443/mcp\"", "write it as `https://scout.example.org/mcp`"),
            ("[http]\nport = 80", "unknown key `port`"),
        ] {
            let why = load(toml).unwrap_err();
            assert!(why.contains(says), "{toml}: {why}");
        }
    }

    #[test]
    fn an_issuer_is_taken_to_the_letter_and_signs_with_keys_that_nobody_else_has() {
        let load = |keys: &str| {
            let toml = format!("[http]\nresource = \"https://scout.example.org/mcp\"\n[http.issuers.corp]\n{keys}");
            config(&Flags::default(), &[], &toml).map_err(|error| error.to_string())
        };
        let oauth =
            load("issuer = \"https://login.example.org/\"\nprincipals = { \"00u1\" = \"local\" }").unwrap().http.oauth;
        let oauth = oauth.unwrap();
        assert_eq!(load("issuer = \"https://login.example.org/\"").unwrap().http.allowed_hosts, ["scout.example.org"]);
        let issuer = oauth.issuers.first().unwrap();
        assert_eq!((&*issuer.name, &*issuer.issuer, &*issuer.claim), ("corp", "https://login.example.org/", "sub"));
        assert_eq!(issuer.algorithms, [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA]);
        assert!(!issuer.any_type && issuer.scopes.is_empty() && issuer.jwks_uri.is_none());
        let good = "issuer = \"https://login.example.org\"";
        for (keys, says) in [
            ("issuer = \"http://login.example.org\"", ":4: http://login.example.org/ is not https"),
            ("issuer = \"login.example.org\"", "is not a URL"),
            ("scopes = []", "missing field `issuer`"),
            (&format!("{good}\nalgorithms = [\"HS256\"]"), "unknown variant `HS256`"),
            (&format!("{good}\nalgorithms = [\"none\"]"), "unknown variant `none`"),
            (&format!("{good}\nalgorithms = []"), "no token could be signed"),
            (&format!("{good}\njwks_uri = \"http://192.0.2.1/keys\""), ":5: http://192.0.2.1/keys is not https"),
            (&format!("{good}\nprincipals = {{ \"1\" = \"a b\" }}"), "no name of a principal"),
            (&format!("{good}\nscopes = [\"a b\"]"), "`a b` is not a scope"),
            (&format!("{good}\nalgorithm = [\"ES256\"]"), "unknown key `algorithm`; did you mean `algorithms`?"),
            (&format!("{good}\n[http.issuers.same]\n{good}"), "[http.issuers.corp] is the same issuer"),
        ] {
            let why = load(keys).unwrap_err();
            assert!(why.contains(says), "{keys}: {why}");
        }
    }

    #[test]
    fn secrets_are_masked_for_those_who_come_over_http() {
        for (serves_http, toml, is_masked) in
            [(false, "", false), (true, "", true), (true, "redact = false", false), (false, "redact = true", true)]
        {
            let flags = Flags { serves_http, ..Flags::default() };
            assert_eq!(config(&flags, &[], toml).unwrap().redact, is_masked, "{serves_http} {toml}");
        }
    }

    #[test]
    fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
        let flags = Flags { max_file_size: Some("1".parse().unwrap()), ..Flags::default() };
        let variables = [("SCOUT_MAX_FILE_SIZE", "2"), ("SCOUT_MAX_OUTPUT_SIZE", "2 KiB")];
        let toml = "max_file_size = 3\nmax_output_size = 3\ncommand_timeout = \"3s\"\n";
        let config = config(&flags, &variables, toml).unwrap();
        assert_eq!(config.limits.file_bytes, 1);
        assert_eq!(config.limits.output_bytes, 2048);
        assert_eq!(config.limits.command_timeout, Duration::from_secs(3));
        assert_eq!(config.pool.idle_timeout, Duration::from_secs(60));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_a_near_name() {
        let refusal = refusal(&[], "\nmax_file_sise = 3\n");
        assert!(refusal.contains("scout.toml:2:") && refusal.contains("`max_file_size`"), "{refusal}");
    }

    #[test]
    fn an_unknown_key_in_a_table_is_refused() {
        let refusal = refusal(&[], "[hosts.web]\ncomands = \"none\"\n");
        assert!(refusal.contains("scout.toml:2:") && refusal.contains("`commands`"), "{refusal}");
    }

    #[test]
    fn whether_shells_stay_is_said_by_the_hosts_own_table_else_by_one_that_says_no_else_for_all() {
        let toml = "persistent_shells = true\n[hosts.web1]\npersistent_shells = true\n[hosts.\"web*\"]\npersistent_shells = false\n\
                    [hosts.\"*1\"]\npersistent_shells = true\n";
        let config = config(&Flags::default(), &[], toml).unwrap();
        for (host, wanted, line) in [
            ("web1", true, Some(3)),
            ("web2", false, Some(5)),
            ("web21", false, Some(5)),
            ("db1", true, Some(7)),
            ("other", true, Some(1)),
        ] {
            let (shells, place) = config.persistent_shells(host);
            assert_eq!(
                (shells, place.map(ToString::to_string)),
                (wanted, line.map(|line| format!("scout.toml:{line}"))),
                "{host}"
            );
            assert_eq!(config.rules(host).1.own_sessions, !wanted, "{host}");
        }
        let none = self::config(&Flags::default(), &[], "").unwrap();
        assert_eq!(none.persistent_shells("web1"), (true, None));
        let refusal = refusal(&[], "persistent_shells = \"no\"\n");
        assert!(refusal.contains("scout.toml:1:") && refusal.contains("expected a boolean"), "{refusal}");
    }

    #[test]
    fn limits_of_commands_are_the_hosts_own_else_the_strictest_else_everybodys_else_defaults() {
        let toml = "command_limits = { memory = \"1 GiB\" }\n[hosts.web1]\ncommand_limits = { cpu = \"none\", processes = 99 }\n\
                    [hosts.\"web*\"]\ncommand_limits = { cpu = \"60s\", memory = \"512 MiB\" }\n\
                    [hosts.\"*1\"]\ncommand_limits = { memory = \"none\", cpu = 30 }\n";
        let config = config(&Flags::default(), &[], toml).unwrap();
        for (host, memory, cpu, processes) in [
            ("web1", Some((512 << 20, 5)), Some((0, 3)), Some((99, 3))),
            ("web2", Some((512 << 20, 5)), Some((60, 5)), None),
            ("db1", Some((0, 7)), Some((30, 7)), None),
            ("other", Some((1 << 30, 1)), None, None),
        ] {
            let limits = config.command_limits(host);
            let of = |key: &str| limits.iter().find(|limit| limit.key == key).unwrap().clone();
            for (key, expected, default) in [
                ("memory", memory, 3 << 30),
                ("cpu", cpu, 480),
                ("processes", processes, 4096),
                ("file_size", None, 1 << 30),
            ] {
                // None is written 0 here.
                let (bound, line) = expected.map_or((default, None), |(bound, line)| (bound, Some(line)));
                let place = line.map(|line| format!("scout.toml:{line}"));
                let got = (of(key).bound.unwrap_or(0), of(key).place.map(|place| place.to_string()));
                assert_eq!(got, (bound, place), "{host} {key}");
            }
        }
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_with_its_place() {
        for (toml, says) in [
            ("command_limits = { memory = \"1 MiB\" }\n", ":1: not a size from 16 MiB"),
            ("[hosts.a]\ncommand_limits = { cpus = 1 }\n", ":2: unknown key `cpus`; did you mean `cpu`"),
            ("command_limits = \"none\"\n", "expected a table of memory, cpu, file_size and processes"),
        ] {
            let refusal = refusal(&[], toml);
            assert!(refusal.contains(says), "{toml}: {refusal}");
        }
    }

    #[test]
    fn a_size_of_which_no_answer_could_hold_two_is_refused_with_its_place() {
        assert!(refusal(&[], "max_file_size = \"5 MiB\"\n").contains("scout.toml:1: not a size from 1 to 4 MiB"));
        assert!(refusal(&[], "\nmax_output_size = \"3 MiB\"\n").contains("scout.toml:2: not a size from 1 to 2 MiB"));
        let refusal = refusal(&[("SCOUT_MAX_OUTPUT_SIZE", "4MiB")], "");
        assert!(refusal.contains("SCOUT_MAX_OUTPUT_SIZE=\"4MiB\"") && refusal.contains("10 MiB"), "{refusal}");
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_with_its_place() {
        assert!(refusal(&[], "commands = \"everything\"\n").contains("scout.toml:1:"));
        assert!(refusal(&[], "max_pool_size = 0\n").contains("scout.toml:1:"));
        assert!(refusal(&[("SCOUT_COMMAND_TIMEOUT", "soon")], "").contains("SCOUT_COMMAND_TIMEOUT=\"soon\""));
    }

    #[test]
    fn an_unknown_variable_is_a_warning_with_a_near_name() {
        let config = config(&Flags::default(), &[("SCOUT_COMAND_TIMEOUT", "5"), ("SCOUTING", "")], "").unwrap();
        let expected = "SCOUT_COMAND_TIMEOUT is not a variable of Scout; did you mean `SCOUT_COMMAND_TIMEOUT`";
        assert_eq!(config.warnings.len(), 1);
        assert!(config.warnings.iter().all(|warning| warning.starts_with(expected)), "{:?}", config.warnings);
    }

    #[test]
    fn variables_of_scout_mcp_are_read_or_answered_with_what_there_is_instead() {
        let former =
            [("MCP_CAT_MAX_FILE_SIZE", "1000"), ("MCP_CAT_COMMAND_TIMEOUT", "7"), ("SCOUT_COMMAND_TIMEOUT", "9")];
        let read = config(&Flags::default(), &former, "max_file_size = 5\n").unwrap();
        assert_eq!((read.limits.file_bytes, read.limits.command_timeout), (1000, Duration::from_secs(9)));
        assert!(refusal(&[("MCP_CAT_IDLE_TIMEOUT", "soon")], "").contains("MCP_CAT_IDLE_TIMEOUT=\"soon\""));
        let replaced =
            [("SCOUT_TRANSPORT", "http"), ("SCOUT_LOG_LEVEL", "INFO"), ("SCOUT_STRICT_HOST_KEY_CHECKING", "true")];
        let warnings = config(&Flags::default(), &replaced, "").unwrap().warnings;
        assert_eq!(warnings.len(), 3);
        assert!(warnings.iter().all(|warning| warning.contains("is a variable of scout_mcp and none of Scout: ")));
        let guide = documents::manual().into_iter().find(|page| page.path.ends_with("migrating.md")).unwrap().text;
        for name in former::all() {
            assert!(guide.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn paths_of_the_file_are_relative_to_it_or_to_the_home_directory() {
        let config = config(
            &Flags::default(),
            &[],
            "ssh_config = \"hosts\"\naudit_log = \"~/audit\"\nsecret_command = \"askpass\"\n",
        )
        .unwrap();
        assert_eq!(config.ssh_config, config.file.unwrap().with_file_name("hosts"));
        assert_eq!(config.audit_log, Path::new("/home/someone/audit"));
        assert_eq!(config.dial.secret_command, config.ssh_config.parent().map(|dir| dir.join("askpass")));
        assert_eq!(config.system_ssh_config, None);
    }

    /// Loads a `scout.toml` as a user has it, with the files beside it that the documentation speaks of.
    fn loaded(toml: &str) -> Result<(Vec<HostRecord>, usize), ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let (home, place) = (dir.path(), dir.path().join(".config/scout"));
        for (path, text) in [
            (home.join(".ssh/config"), "Host web1 db1\n"),
            (home.join("fleet/ssh_config"), "Host web1 db1\n"),
            (place.join("scout.toml"), toml),
            (place.join("plugins/mine.wasm"), ""),
            (place.join("handlers/dir.wasm"), ""),
            (place.join("allowed_signers"), ""),
        ] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let config = Config::from_sources(&Flags::default(), &BTreeMap::new(), home.to_owned())?;
        let Hosts { names, ssh, config, .. } = config.hosts()?;
        let source = Configured { config: Arc::clone(&config), ssh };
        let hosts = names.iter().filter_map(|name| source.host(name, true)).collect();
        Ok((hosts, crate::plugins::Reading::strict(&config)?.digests().count()))
    }

    #[tokio::test]
    async fn a_start_looks_nobody_up_and_a_host_that_is_asked_for_is_looked_up_once_by_its_own_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let ssh: String = (0..10_000).map(|n| format!("Host h{n}\n  User u{n}\n")).collect();
        std::fs::create_dir(dir.path().join(".ssh")).unwrap();
        std::fs::write(dir.path().join(".ssh/config"), format!("{ssh}Host *\n  Port 2222\n")).unwrap();
        let tables: String = (0..10_000).map(|n| format!("[hosts.h{n}]\ntags = [\"t{}\"]\n", n % 10)).collect();
        let local: String = (0..10_000).map(|n| format!("[hosts.l{n}]\ntransport = \"local\"\n")).collect();
        let toml = dir.path().join(".config/scout/scout.toml");
        std::fs::create_dir_all(toml.parent().unwrap()).unwrap();
        let access = "[access.local]\nhosts = [\"tag:t7\", \"l1*\"]\n[hosts.\"h*7\"]\ncommands = \"none\"\n";
        std::fs::write(toml, format!("{tables}{local}{access}")).unwrap();
        let flags = Flags { ssh_config: Some(dir.path().join(".ssh/config")), ..Flags::default() };
        let config = Config::from_sources(&flags, &BTreeMap::new(), dir.path().to_owned()).unwrap();
        let hosts = config.hosts().unwrap();
        let ssh = Arc::clone(hosts.ssh());
        let fleet = hosts.into_fleet(Pool::new(PoolConfig::default()));
        assert_eq!((fleet.names().len(), ssh.resolutions(), ssh.visited_blocks()), (20_000, 0, 0));
        let principal = scout_machine::Principal::new("local", "local");
        assert_eq!(fleet.names().iter().filter(|name| fleet.shows(&principal, name)).count(), 1000 + 1111);
        assert_eq!((ssh.resolutions(), ssh.visited_blocks()), (0, 0), "rights are judged without settings");
        for _ in 0..2 {
            let host = fleet.get("h4217").unwrap();
            let spec = host.looked_up().await.unwrap().unwrap();
            assert_eq!((spec.user.as_str(), spec.port, host.commands), ("u4217", 2222, CommandPolicy::None));
            assert_eq!(host.target(fleet.access()).rules.tags, ["t7".into()]);
        }
        assert_eq!((ssh.resolutions(), ssh.visited_blocks()), (1, 2));
        assert!(fleet.get("l9999").unwrap().spec().is_none() && fleet.get("l10000").is_none());
    }

    #[test]
    fn whether_some_host_runs_anything_is_known_without_making_hosts() {
        for (toml, runs) in [
            ("", false),
            ("commands = \"shell\"", true),
            ("commands = \"shell\"\n[hosts.\"*\"]\ncommands = \"none\"", false),
            ("commands = \"shell\"\n[hosts.\"web*\"]\ncommands = \"none\"", true),
            ("[hosts.web1]\ncommands = \"shell\"", true),
            ("[hosts.\"web*\"]\ncommands = \"shell\"\n[hosts.web1]\ncommands = \"none\"", false),
            ("[hosts.\"d*\"]\ncommands = \"shell\"\n[hosts.\"*1\"]\ncommands = \"read-only\"", false),
            ("[hosts.\"d*\"]\ncommands = \"shell\"", true),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in [(".ssh/config", "Host web1 db1\n"), (".config/scout/scout.toml", toml)] {
                std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
                std::fs::write(dir.path().join(path), text).unwrap();
            }
            let config = Config::from_sources(&Flags::default(), &BTreeMap::new(), dir.path().to_owned()).unwrap();
            assert_eq!(config.hosts().unwrap().runs_anything, runs, "{toml}");
        }
    }

    #[test]
    fn each_configuration_in_the_documentation_is_taken_as_it_stands() {
        let pages = documents::manual();
        let blocks: Vec<_> = pages.iter().flat_map(documents::Page::blocks).filter(Block::is_toml).collect();
        // Cases of `scout policy test` are no scout.toml; its tests read them.
        let mut taken = 0;
        for block in blocks.iter().filter(|block| !block.text.contains("[[case]]")) {
            taken += 1;
            if let Err(error) = loaded(&block.text) {
                panic!("{}: {error}\n{}", block.place, block.text);
            }
        }
        assert!(taken >= 5, "{taken}");
    }

    #[test]
    fn the_configuration_that_shows_most_keys_means_what_it_says() {
        let pages = documents::manual();
        let mut blocks = pages.iter().flat_map(documents::Page::blocks);
        let shown = blocks.find(|block| block.is_toml() && block.text.contains("[plugins.mine]")).unwrap();
        // Seven handlers and two plugins with tools.
        let (hosts, read) = loaded(&shown.text).unwrap();
        let db1 = hosts.iter().find(|host| &*host.name == "db1").unwrap();
        assert_eq!((db1.commands, read), (CommandPolicy::None, 9));
    }

    #[test]
    fn the_documentation_has_every_key_and_every_variable() {
        let pages = documents::manual();
        let text = |name: &str| pages.iter().find(|page| page.path.ends_with(name)).unwrap().text.as_str();
        let all = ["configuration.md", "rights.md", "vetting.md"].map(text).concat();
        for name in file::KEYS.iter().chain(&VARIABLES) {
            let forms = [format!("`{name}`"), format!("\n{name} = "), format!("\n[{name}."), format!(".{name}]")];
            assert!(forms.iter().any(|form| all.contains(form)), "{name}");
        }
    }

    #[test]
    fn without_a_file_the_users_own_ssh_config_is_read_and_then_the_systems() {
        let config = Config::from_sources(&Flags::default(), &BTreeMap::new(), PathBuf::from("/home/someone")).unwrap();
        assert_eq!(config.ssh_config, Path::new("/home/someone/.ssh/config"));
        assert_eq!(config.system_ssh_config.as_deref(), Some(Path::new("/etc/ssh/ssh_config")));
        assert_eq!(config.commands, CommandPolicy::ReadOnly);
    }
}
