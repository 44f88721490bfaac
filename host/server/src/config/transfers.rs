//! `[transfers]`: what of the machine that Scout runs on is open to transfers, and their bounds.
//!
//! A directory that is open holds nothing but what is exchanged: one that holds what Scout is configured with, its logs or anybody's keys,
//! or lies among them, is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scout_machine::CommandLimits;
use scout_runtime::HostRecord;
use scout_runtime::grants::{HostRules, Limit, Root};
use scout_runtime::policy::CommandPolicy;

use super::file::TransfersTable;
use super::rights::{Lines, MAX_ROOTS, limit};
use super::{Config, ConfigError};

/// How long a transfer may take where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(3600);
/// What the machine that Scout runs on is called in logs: no host's name has a space.
const NAME: &str = "this machine";

/// `[transfers]`.
#[derive(Clone, Debug)]
pub struct Transfers {
    /// The directories that are open.
    directories: Option<Limit<Root>>,
    /// How long one may take.
    pub timeout: Duration,
    /// How many bytes one may copy, if that is said.
    pub(super) size: Option<u64>,
}

impl Transfers {
    pub(super) fn new(table: &TransfersTable, lines: &Lines) -> Result<Self, ConfigError> {
        let parse = |text: &String| Ok((Root::parse(text.as_bytes())?, text.clone()));
        Ok(Self {
            directories: limit(lines, table.directories.as_ref(), MAX_ROOTS, parse)?,
            timeout: table.timeout.map_or(TIMEOUT, |timeout| timeout.as_duration()),
            size: table.max_size.map(|size| size.0),
        })
    }
}

impl Config {
    /// The machine that Scout runs on, as transfers see it; absent: nothing of it is open to them.
    pub(super) fn exchange(&self) -> Option<HostRecord> {
        let writable = self.transfers.directories.clone()?;
        let rules = HostRules { writable: Some(writable), is_exchange: true, ..HostRules::default() };
        let record = HostRecord::local(&self.local, NAME, CommandPolicy::None, CommandLimits::NONE);
        Some(record.with_rules(Arc::new(rules)))
    }

    /// Whether transfers may write anywhere.
    pub fn transfers_are_open(&self) -> bool {
        let is_open = |limit: &Limit<Root>| !limit.rules.is_empty();
        self.transfers.directories.as_ref().is_some_and(is_open)
            || self.hosts.iter().any(|(_, table)| table.writable().is_some_and(is_open))
    }

    /// That no directory that is open to transfers has to do with what Scout keeps, or with keys.
    ///
    /// # Errors
    /// The one that has.
    pub(super) fn check_transfers(&self) -> Result<(), ConfigError> {
        let Some(directories) = &self.transfers.directories else { return Ok(()) };
        let parent = |path: &Path| path.parent().map(Path::to_owned);
        let kept = [
            ("the directory of scout.toml", parent(&self.file_place)),
            ("the directory of ssh_config", parent(&self.ssh_config)),
            ("a directory of keys", Some(self.home.join(".ssh"))),
            ("what Scout keeps", Some(self.state_dir.clone())),
            ("what Scout has compiled", self.cache_dir.clone()),
            ("plugins", self.plugins_dir.clone()),
            ("the signers of plugins", self.vetting.allowed_signers.as_deref().and_then(parent)),
        ];
        for rule in &directories.rules {
            let open = real(&self.absolute(rule.value.path().bytes()));
            let refuse = |why: String| {
                let (directory, place) = (&rule.text, &rule.place);
                Err(ConfigError(format!("{place}: `{directory}` {why}; give transfers a directory of their own")))
            };
            if open == Path::new("/") {
                return refuse("is everything".to_owned());
            }
            // A file among what is exchanged would be exchanged too.
            let (log, name) = (real(&self.audit_log), "the audit log");
            if log.starts_with(&open) {
                return refuse(format!("holds {name}, `{}`", log.display()));
            }
            for (what, path) in &kept {
                let Some(path) = path.as_deref().map(real) else { continue };
                if path.starts_with(&open) {
                    return refuse(format!("holds {what}, `{}`", path.display()));
                }
                if open.starts_with(&path) && path != Path::new("/") {
                    return refuse(format!("lies in {what}, `{}`", path.display()));
                }
            }
        }
        Ok(())
    }

    fn absolute(&self, path: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        match path.strip_prefix("~") {
            Ok(below) => self.home.join(below),
            Err(_) => path.to_owned(),
        }
    }
}

/// A path behind every link, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    for there in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(there) {
            return rest.into_iter().rev().fold(real, |path, name| path.join(name));
        }
        rest.extend(there.file_name());
    }
    path.to_owned()
}
