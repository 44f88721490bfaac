//! `[plugins.NAME]`: where a plugin comes from, and what it may do here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_runtime::Grants;
use scout_runtime::grants::Rights;
use serde_json::{Map, Value};

use super::file::PluginTable;
use super::source::{Digest, Source};

/// One plugin as `scout.toml` has it.
#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    /// Where its component comes from. Absent: it is bundled, and only its settings are given.
    pub source: Option<Source>,
    /// Which bytes it must be.
    pub sha256: Option<Digest>,
    /// Of whom one must have signed it; of `allowed_signers`. Empty: nobody in particular.
    pub signed_by: Vec<String>,
    /// What it may import; absent: what a bundled plugin of this name may, else nothing.
    pub grants: Option<Grants>,
    /// Put before the names of its tools.
    pub prefix: String,
    /// What it may do with what it imports.
    pub rights: Arc<Rights>,
    /// What the plugin reads of itself.
    pub settings: Map<String, Value>,
}

/// What plugins are checked against before they are compiled.
#[derive(Clone, Debug)]
pub struct Vetting {
    /// `scout.lock`, beside `scout.toml` and named as it.
    pub lock_file: PathBuf,
    /// Who may sign, in the format of `ssh-keygen -Y verify -f`.
    pub allowed_signers: Option<PathBuf>,
    /// Whether every plugin that Scout does not bring along must be signed.
    pub require_signature: bool,
    /// Where docker keeps the credentials of registries.
    pub docker_config: PathBuf,
    /// The agent that may sign.
    pub agent: Option<PathBuf>,
}

/// The file of a component's detached signature.
pub fn signature_file(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(".sig");
    PathBuf::from(path)
}

impl PluginConfig {
    pub(super) fn new(table: PluginTable, rights: Rights, relative_to_file: impl Fn(&Path) -> PathBuf) -> Self {
        let grants = table.grants.map(toml::Spanned::into_inner);
        Self {
            source: table.source.map(|source| source.0.relative_to(relative_to_file)),
            sha256: table.sha256,
            signed_by: table.signed_by,
            grants,
            prefix: table.prefix.map(|prefix| prefix.0).unwrap_or_default(),
            rights: Arc::new(rights),
            settings: table.settings,
        }
    }
}
