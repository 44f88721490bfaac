//! `[plugins.NAME]`: where a plugin comes from, and what it may do here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_runtime::Grants;
use scout_runtime::grants::Rights;
use serde_json::{Map, Value};

use super::file::{Grant, PluginTable};

/// One plugin as `scout.toml` has it.
#[derive(Clone, Debug, Default)]
pub struct PluginConfig {
    /// Where its component comes from. Absent: it is bundled, and only its settings are given.
    pub source: Option<Source>,
    /// What it may import; absent: what a bundled plugin of this name may, else nothing.
    pub grants: Option<Grants>,
    /// Put before the names of its tools.
    pub prefix: String,
    /// What it may do with what it imports.
    pub rights: Arc<Rights>,
    /// What the plugin reads of itself.
    pub settings: Map<String, Value>,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Scout brings it along.
    Bundled,
    /// A file.
    File(PathBuf),
}

impl PluginConfig {
    pub(super) fn new(table: PluginTable, rights: Rights, relative_to_file: impl Fn(&Path) -> PathBuf) -> Self {
        let grants = table.grants.map(|given| Grant::all(given.get_ref()));
        let source = table.source.map(|source| match source.as_str() {
            "bundled" => Source::Bundled,
            path => Source::File(relative_to_file(Path::new(path))),
        });
        Self {
            source,
            grants,
            prefix: table.prefix.map(|prefix| prefix.0).unwrap_or_default(),
            rights: Arc::new(rights),
            settings: table.settings,
        }
    }
}
