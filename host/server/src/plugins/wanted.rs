//! What a configuration asks for, read but not yet compiled: a handler for each subject, then the plugins with tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use scout_runtime::{Grants, PluginId, Subject};
use serde_json::{Map, Value};

use super::bundled::{BUNDLED, Bundled, bundled};
use super::loaded::Identity;
use super::source;
use crate::config::{Config, ConfigError, Source, did_you_mean, near};

/// A plugin to be loaded.
pub(super) struct Wanted {
    pub(super) name: String,
    /// What it must answer as a handler. Absent: it brings tools.
    pub(super) subject: Option<Subject>,
    /// Put before the names of its tools.
    pub(super) prefix: String,
    /// Where it comes from, for people.
    pub(super) source: String,
    grants: Grants,
    /// Its bytes, or why they cannot be read.
    pub(super) component: Result<Component, ConfigError>,
}

/// A component that was read.
pub(super) struct Component {
    pub(super) bytes: Cow<'static, [u8]>,
    pub(super) identity: Identity,
}

impl Wanted {
    fn new(
        name: &str,
        subject: Option<Subject>,
        prefix: String,
        (source, bytes): (String, Result<Cow<'static, [u8]>, ConfigError>),
        grants: Grants,
        settings: Map<String, Value>,
    ) -> Self {
        let component = bytes.map(|bytes| Component { identity: Identity::new(&bytes, grants, settings), bytes });
        Self { name: name.to_owned(), subject, prefix, source, grants, component }
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.component.as_ref().ok().map(|component| &component.identity)
    }

    pub(super) fn grants(&self) -> Grants {
        self.grants
    }
}

/// All plugins that a configuration asks for.
pub(crate) struct Reading(Vec<Wanted>);

impl Reading {
    /// Reads all components, where nothing serves that could go on. Blocks.
    ///
    /// # Errors
    /// A configuration that makes no sense, and a component that cannot be read.
    pub(crate) fn strict(config: &Config) -> Result<Self, ConfigError> {
        let reading = Self::new(config)?;
        match reading.0.iter().find_map(|wanted| wanted.component.as_ref().err()) {
            Some(error) => Err(error.clone()),
            None => Ok(reading),
        }
    }

    /// Reads all components. Blocks.
    ///
    /// # Errors
    /// A configuration that makes no sense. A component that cannot be read is none: what served before can go on.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut replaced = replacements(config)?;
        let mut wanted = Vec::new();
        for plugin in BUNDLED {
            let Some(subject) = plugin.subject else { continue };
            let configured = config.plugins.get(plugin.name).cloned().unwrap_or_default();
            let component = match (configured.source, replaced.remove(plugin.name)) {
                (Some(Source::File(path)), _) => read(plugin.name, &path),
                (None, Some(bytes)) => {
                    let dir = config.plugins_dir.as_deref().unwrap_or(Path::new(""));
                    (dir.join(format!("{}.wasm", plugin.name)).display().to_string(), Ok(bytes.into()))
                }
                (Some(Source::Bundled), _) | (None, None) => brought_along(plugin),
            };
            let grants = configured.grants.unwrap_or(plugin.grants);
            wanted.push(Wanted::new(plugin.name, Some(subject), String::new(), component, grants, configured.settings));
        }
        for (name, configured) in &config.plugins {
            let known = bundled(name);
            if known.is_some_and(|plugin| plugin.subject.is_some()) {
                continue;
            }
            if PluginId::new(name).is_none() {
                return Err(ConfigError::new(format!("[plugins.{name}]: a plugin's name is 1 to 64 of a-z 0-9 -")));
            }
            let component = match (&configured.source, known) {
                (Some(Source::File(path)), _) => read(name, path),
                (Some(Source::Bundled), Some(plugin)) => brought_along(plugin),
                (Some(Source::Bundled), None) | (None, _) => {
                    let near = did_you_mean(&near(name, BUNDLED.iter().map(|plugin| plugin.name)));
                    return Err(ConfigError::new(format!(
                        "[plugins.{name}] names no bundled plugin{near}; one of your own has a `source`"
                    )));
                }
            };
            let grants = configured.grants.or_else(|| known.map(|plugin| plugin.grants)).unwrap_or_default();
            let (prefix, settings) = (configured.prefix.clone(), configured.settings.clone());
            wanted.push(Wanted::new(name, None, prefix, component, grants, settings));
        }
        Ok(Self(wanted))
    }

    pub(super) fn into_wanted(self) -> Vec<Wanted> {
        self.0
    }

    /// The digests of all components; of one that cannot be read, why.
    pub(crate) fn digests(&self) -> impl Iterator<Item = Result<[u8; 32], &ConfigError>> {
        self.0.iter().map(|wanted| wanted.component.as_ref().map(|component| component.identity.digest))
    }
}

/// The names of all handlers.
pub(super) fn handlers() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().filter(|plugin| plugin.subject.is_some()).map(|plugin| plugin.name)
}

/// The handlers of `plugins_dir`, by name.
fn replacements(config: &Config) -> Result<BTreeMap<String, Vec<u8>>, ConfigError> {
    let Some(dir) = &config.plugins_dir else { return Ok(BTreeMap::new()) };
    let found =
        source::read_dir(dir).map_err(|why| ConfigError::new(format!("plugins_dir {}: {why}", dir.display())))?;
    match found.iter().find(|(name, _)| !handlers().any(|handler| handler == name)) {
        None => Ok(found.into_iter().collect()),
        Some((stranger, _)) => Err(ConfigError::new(format!(
            "plugins_dir: `{stranger}.wasm` is no handler; handlers are {}; a plugin with tools has a [plugins.NAME] of its own",
            handlers().map(|name| format!("{name}.wasm")).collect::<Vec<_>>().join(", ")
        ))),
    }
}

fn brought_along(plugin: &Bundled) -> (String, Result<Cow<'static, [u8]>, ConfigError>) {
    ("bundled".to_owned(), Ok(Cow::Borrowed(plugin.component)))
}

fn read(name: &str, path: &Path) -> (String, Result<Cow<'static, [u8]>, ConfigError>) {
    let read = source::read_file(path)
        .map(Cow::Owned)
        .map_err(|why| ConfigError::new(format!("[plugins.{name}] source {}: {why}", path.display())));
    (path.display().to_string(), read)
}
