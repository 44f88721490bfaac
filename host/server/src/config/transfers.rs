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

    /// That no directory of this machine that is open to transfers has to do with what Scout keeps, or with keys.
    ///
    /// # Errors
    /// The one that has.
    pub(super) fn check_transfers(&self) -> Result<(), ConfigError> {
        let named = self.hosts.iter().filter(|(_, table)| table.local().is_some());
        let here = named.filter_map(|(name, _)| self.rules(name).1.writable);
        let open: Vec<Limit<Root>> = self.transfers.directories.iter().cloned().chain(here).collect();
        if open.is_empty() {
            return Ok(());
        }
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
        for rule in open.iter().flat_map(|limit| &limit.rules) {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::fs;

    use super::super::Flags;
    use super::*;

    #[test]
    fn what_is_open_to_transfers_here_has_nothing_to_do_with_what_scout_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        for name in ["conf", "exchange", ".ssh", "logs"] {
            fs::create_dir(home.join(name)).unwrap();
        }
        let config = |open: &str| {
            let path = home.join("conf/scout.toml");
            let toml = format!("audit_log = \"{}/logs/audit.jsonl\"\n{open}", home.display());
            fs::write(&path, toml).unwrap();
            let flags = Flags { config: Some(path), ..Flags::default() };
            Config::from_sources(&flags, &std::collections::BTreeMap::new(), home.clone())
                .map_err(|error| error.to_string())
        };
        std::os::unix::fs::symlink(home.join(".ssh"), home.join("link")).unwrap();
        let ways: [&dyn Fn(&str) -> String; 2] =
            [&|path| format!("[transfers]\ndirectories = [\"{path}\"]\n"), &|path| {
                format!("[hosts.here]\ntransport = \"local\"\nwritable_paths = [\"{path}\"]\n")
            }];
        for open in ways {
            for (path, why) in [
                ("/", "is everything"),
                ("~", "holds"),
                ("~/logs", "holds the audit log"),
                ("~/conf", "holds the directory of scout.toml"),
                ("~/.ssh", "holds"),
                ("~/link", "holds"),
                ("~/.ssh/below", "lies in"),
            ] {
                let refusal = config(&open(path)).unwrap_err();
                assert!(refusal.contains(why) && refusal.contains("scout.toml:"), "{path}: {refusal}");
            }
            assert!(config(&open("~/exchange")).is_ok());
        }
        // Of another machine's paths nothing is known here.
        assert!(config("[hosts.web1]\nwritable_paths = [\"~/logs\"]\n").is_ok());
    }
}
