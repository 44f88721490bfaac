//! `[ssh_ca]`: certificates that Scout signs, so that hosts know who asks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use scout_machine::Principal;
use scout_ssh::{Authority, HostSpec};

use super::file::SshCaTable;
use super::rights::Lines;
use super::{ConfigError, Seconds};

/// How long a certificate serves where nothing else is said.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// The shortest: clocks differ.
const LEAST: Duration = Duration::from_secs(60);
/// The names of one certificate.
const MAX_NAMES: usize = 16;

impl SshCaTable {
    pub(super) fn authority(
        self,
        lines: &Lines,
        agent: Option<PathBuf>,
        relative_to_file: impl Fn(&Path) -> PathBuf,
    ) -> Result<Authority, ConfigError> {
        // What each word stands for is told later; which there are is told now.
        let (who, spec) = (Principal::new("t", "p"), HostSpec::new("h", "h", 22, "u"));
        if let Some(key) = self.principals.as_ref().filter(|names| !(1..=MAX_NAMES).contains(&names.get_ref().len())) {
            return Err(lines.refuse(key, &format!("a certificate has 1 to {MAX_NAMES} names")));
        }
        let names = self.principals.map(toml::Spanned::into_inner).unwrap_or_default();
        for template in names.iter().chain(self.critical_options.values()) {
            Authority::name(template.get_ref(), &who, &spec).map_err(|why| lines.refuse(template, &why))?;
        }
        for name in &names {
            if name.get_ref().is_empty() {
                return Err(lines.refuse(name, "an empty name is for everybody"));
            }
        }
        let life = self.life.map_or(LIFE, Seconds::as_duration);
        let principals = match names.is_empty() {
            true => vec!["{principal}".to_owned()],
            false => names.into_iter().map(toml::Spanned::into_inner).collect(),
        };
        let options = self.critical_options.into_iter().map(|(option, value)| (option, value.into_inner()));
        Ok(Authority {
            key: relative_to_file(&self.key),
            agent,
            principals,
            life: life.max(LEAST),
            critical_options: options.collect(),
        })
    }
}
