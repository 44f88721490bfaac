//! `scout.toml`. A key that is not here is an error: a misspelt limit must not silently be no limit.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use scout_runtime::Grants;
use scout_runtime::policy::CommandPolicy;
use serde::Deserialize;
use toml::Spanned;

use super::oauth::Algorithm;
use super::rights::{Keys, Lines};
use super::source::{Digest, Source};
use super::values::{
    CommandCpu, CommandFileSize, CommandMemory, CommandProcesses, ConnectionCount, MemorySize, PoolSize, Prefix,
    TransferSize,
};
use super::{ConfigError, FileSize, OutputSize, Seconds, did_you_mean, near};
use crate::audit::AuditMode;
use crate::files;
use crate::quotas::Quota;

/// The largest file, in bytes: some 300,000 hosts. Parsed, it takes some ten times as much for a moment.
const MAX_FILE: u64 = 32 << 20;

/// Every key at every level, for near names.
pub(super) const KEYS: [&str; 76] = [
    "ssh_config",
    "known_hosts",
    "audit_log",
    "audit",
    "audit_reads",
    "redact",
    "secret_command",
    "commands",
    "command_limits",
    "persistent_shells",
    "sudo",
    "memory",
    "cpu",
    "file_size",
    "processes",
    "secret_paths",
    "readable_paths",
    "max_file_size",
    "max_output_size",
    "command_timeout",
    "connection_timeout",
    "idle_timeout",
    "max_pool_size",
    "max_plugin_memory",
    "plugins_dir",
    "allowed_signers",
    "require_signature",
    "hosts",
    "plugins",
    "source",
    "sha256",
    "signed_by",
    "grants",
    "prefix",
    "settings",
    "paths",
    "follow_links_out",
    "addresses",
    "tags",
    "transport",
    "writable_paths",
    "access",
    "groups",
    "transfers",
    "directories",
    "timeout",
    "max_size",
    "http",
    "allowed_hosts",
    "allowed_origins",
    "certificate",
    "private_key",
    "accounts",
    "socket_group",
    "max_connections",
    "calls_per_minute",
    "tool_calls_per_minute",
    "concurrent_calls",
    "calls_per_day",
    "bytes_per_day",
    "ssh_ca",
    "key",
    "principals",
    "life",
    "critical_options",
    "resource",
    "issuers",
    "issuer",
    "jwks_uri",
    "algorithms",
    "principal",
    "scopes",
    "any_type",
    "client_ca",
    "client_crl",
    "certificates",
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) ssh_config: Option<PathBuf>,
    pub(super) known_hosts: Option<OneOrMore>,
    pub(super) audit_log: Option<PathBuf>,
    pub(super) audit: AuditMode,
    pub(super) audit_reads: bool,
    pub(super) redact: Option<bool>,
    pub(super) secret_command: Option<PathBuf>,
    pub(super) commands: Option<Spanned<Commands>>,
    pub(super) command_limits: Option<Spanned<LimitsTable>>,
    pub(super) persistent_shells: Option<Spanned<bool>>,
    pub(super) secret_paths: Vec<Spanned<String>>,
    pub(super) readable_paths: Vec<Spanned<String>>,
    pub(super) max_file_size: Option<FileSize>,
    pub(super) max_output_size: Option<OutputSize>,
    pub(super) command_timeout: Option<Seconds>,
    pub(super) connection_timeout: Option<Seconds>,
    pub(super) idle_timeout: Option<Seconds>,
    pub(super) max_pool_size: Option<PoolSize>,
    pub(super) max_plugin_memory: Option<MemorySize>,
    pub(super) plugins_dir: Option<PathBuf>,
    pub(super) allowed_signers: Option<PathBuf>,
    pub(super) require_signature: bool,
    pub(super) hosts: BTreeMap<String, HostTable>,
    pub(super) plugins: BTreeMap<String, PluginTable>,
    pub(super) access: BTreeMap<String, AccessTable>,
    pub(super) groups: BTreeMap<String, GroupTable>,
    pub(super) transfers: TransfersTable,
    pub(super) http: HttpTable,
    pub(super) ssh_ca: Option<SshCaTable>,
    #[serde(skip)]
    pub(super) lines: Lines,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a path or a list of paths")]
pub(super) enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

impl OneOrMore {
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::More(paths) => paths,
        }
        .iter()
        .map(PathBuf::as_path)
    }
}

/// How a host is reached.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TransportName {
    Ssh,
    Local,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Commands {
    None,
    ReadOnly,
    Shell,
}

impl From<Commands> for CommandPolicy {
    fn from(commands: Commands) -> Self {
        match commands {
            Commands::None => Self::None,
            Commands::ReadOnly => Self::ReadOnly,
            Commands::Shell => Self::Shell,
        }
    }
}

/// What processes of commands may take of a host.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table of memory, cpu, file_size and processes")]
pub(super) struct LimitsTable {
    pub(super) memory: Option<CommandMemory>,
    pub(super) cpu: Option<CommandCpu>,
    pub(super) file_size: Option<CommandFileSize>,
    pub(super) processes: Option<CommandProcesses>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostTable {
    pub(super) transport: Option<Spanned<TransportName>>,
    pub(super) commands: Option<Spanned<Commands>>,
    pub(super) command_limits: Option<Spanned<LimitsTable>>,
    pub(super) persistent_shells: Option<Spanned<bool>>,
    pub(super) writable_paths: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) sudo: Option<Spanned<Vec<Spanned<Vec<String>>>>>,
    #[serde(default)]
    pub(super) tags: Vec<Spanned<String>>,
}

/// Copies from one machine to another.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table of directories, timeout and max_size")]
pub(super) struct TransfersTable {
    pub(super) directories: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) timeout: Option<Seconds>,
    pub(super) max_size: Option<TransferSize>,
}

/// What certifies whoever asks for hosts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of key, principals, life and critical_options")]
pub(super) struct SshCaTable {
    pub(super) key: PathBuf,
    pub(super) principals: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) life: Option<Seconds>,
    #[serde(default)]
    pub(super) critical_options: BTreeMap<String, Spanned<String>>,
}

/// Who may come in over HTTP.
#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a table of allowed_hosts, allowed_origins, certificate, private_key, accounts, socket_group, max_connections, resource, issuers, client_ca, client_crl and certificates"
)]
pub(super) struct HttpTable {
    pub(super) allowed_hosts: Vec<Spanned<String>>,
    pub(super) allowed_origins: Vec<Spanned<String>>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) private_key: Option<PathBuf>,
    pub(super) accounts: BTreeMap<String, Spanned<String>>,
    pub(super) socket_group: Option<String>,
    pub(super) max_connections: Option<ConnectionCount>,
    pub(super) resource: Option<Spanned<String>>,
    pub(super) issuers: BTreeMap<String, IssuerTable>,
    pub(super) client_ca: Option<Spanned<PathBuf>>,
    pub(super) client_crl: Option<Spanned<PathBuf>>,
    pub(super) certificates: BTreeMap<String, Spanned<String>>,
}

/// Who issues access tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerTable {
    pub(super) issuer: Spanned<String>,
    pub(super) jwks_uri: Option<Spanned<String>>,
    pub(super) algorithms: Option<Spanned<Vec<Algorithm>>>,
    pub(super) principal: Option<String>,
    pub(super) principals: Option<BTreeMap<String, Spanned<String>>>,
    #[serde(default)]
    pub(super) scopes: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) any_type: bool,
}

/// Hosts under one name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupTable {
    pub(super) hosts: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PluginTable {
    pub(super) source: Option<SourceText>,
    pub(super) sha256: Option<Digest>,
    pub(super) signed_by: Vec<String>,
    pub(super) grants: Option<Spanned<Grants>>,
    pub(super) prefix: Option<Prefix>,
    pub(super) settings: serde_json::Map<String, serde_json::Value>,
    pub(super) hosts: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) paths: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) commands: Option<Spanned<Vec<Spanned<Vec<String>>>>>,
    pub(super) follow_links_out: Option<Spanned<bool>>,
    pub(super) addresses: Option<Spanned<bool>>,
}

/// What a principal may do, whatever the plugin that does it. The keys are those of a plugin: flattened into both, they
/// would lose their lines.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AccessTable {
    pub(super) grants: Option<Spanned<Grants>>,
    pub(super) hosts: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) paths: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) commands: Option<Spanned<Vec<Spanned<Vec<String>>>>>,
    pub(super) follow_links_out: Option<Spanned<bool>>,
    pub(super) addresses: Option<Spanned<bool>>,
    pub(super) calls_per_minute: Option<NonZeroU32>,
    pub(super) tool_calls_per_minute: BTreeMap<String, NonZeroU32>,
    pub(super) concurrent_calls: Option<NonZeroU32>,
    pub(super) calls_per_day: Option<NonZeroU32>,
    pub(super) bytes_per_day: Option<TransferSize>,
}

impl PluginTable {
    pub(super) fn limits(&self) -> Keys<'_> {
        Keys {
            grants: self.grants.as_ref(),
            hosts: self.hosts.as_ref(),
            paths: self.paths.as_ref(),
            commands: self.commands.as_ref(),
            follow_links_out: self.follow_links_out.as_ref(),
            addresses: self.addresses.as_ref(),
        }
    }
}

impl AccessTable {
    pub(super) fn quota(&self) -> Quota {
        Quota {
            calls_per_minute: self.calls_per_minute,
            tool_calls_per_minute: self.tool_calls_per_minute.clone(),
            concurrent_calls: self.concurrent_calls,
            calls_per_day: self.calls_per_day,
            bytes_per_day: self.bytes_per_day.map(|size| size.0),
        }
    }

    pub(super) fn limits(&self) -> Keys<'_> {
        Keys {
            grants: self.grants.as_ref(),
            hosts: self.hosts.as_ref(),
            paths: self.paths.as_ref(),
            commands: self.commands.as_ref(),
            follow_links_out: self.follow_links_out.as_ref(),
            addresses: self.addresses.as_ref(),
        }
    }
}

/// A source as it is written.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct SourceText(pub(super) Source);

impl TryFrom<String> for SourceText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

impl File {
    /// Reads the file at its usual place, if there is one. One that cannot be reached may say anything.
    pub(super) fn read_usual(path: &Path) -> Result<Option<Self>, ConfigError> {
        match path.symlink_metadata() {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Ok(_) | Err(_) => Self::read(path).map(Some),
        }
    }

    /// Reads a file that nobody but root and this account can change: it names programs and says who may do what.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let refused = |why: &str| ConfigError(format!("{} cannot be read: {why}", path.display()));
        let bytes = files::read_trusted(path, MAX_FILE).map_err(|error| refused(&error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8"))?;
        let parsed: Result<Self, toml::de::Error> = toml::from_str(&text);
        let mut file = parsed.map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message = error.message();
            // serde's own list of what was expected is long; the nearest key says more.
            match message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
                Some((key, _)) => ConfigError(format!(
                    "{}:{line}: unknown key `{key}`{}",
                    path.display(),
                    did_you_mean(&near(key, KEYS.into_iter()))
                )),
                None => ConfigError(format!("{}:{line}: {message}", path.display())),
            }
        })?;
        file.lines = Lines::new(path.to_owned(), &text);
        Ok(file)
    }
}
