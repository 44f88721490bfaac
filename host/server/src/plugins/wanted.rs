//! What a configuration asks for, read but not yet compiled: a handler for each subject, then the plugins with tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use scout_runtime::{Grants, Plugin, PluginId, Subject};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::bundled::{BUNDLED, Bundled, bundled};
use super::loaded::Identity;
use super::resource::names_of;
use super::shown::Shown;
use crate::config::{Config, ConfigError, PluginConfig, Source, did_you_mean, near};
use crate::files;
use crate::vetting::{Admission, Lock};

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

/// A component that was read, or whose place is known.
pub(super) struct Component {
    bytes: Bytes,
    pub(super) identity: Identity,
    /// What it must be; absent for what Scout brings along.
    admission: Option<Box<Admission>>,
}

enum Bytes {
    There(Cow<'static, [u8]>),
    /// To be fetched when it is loaded: whoever reads a configuration does not wait for a network.
    Elsewhere,
    /// May not be used, and why.
    Refused(String),
}

impl Component {
    fn bundled(plugin: &Bundled, grants: Grants, settings: Map<String, Value>) -> Self {
        let identity = Identity { digest: plugin.digest, grants, settings };
        Self { bytes: Bytes::There(Cow::Borrowed(plugin.component)), identity, admission: None }
    }

    /// One that was read from a file.
    fn read(admission: Admission, bytes: Vec<u8>, grants: Grants, settings: Map<String, Value>) -> Self {
        let identity = Identity::new(&bytes, grants, settings);
        let bytes = match admission.admit_read(bytes) {
            Ok(admitted) => Bytes::There(admitted.bytes.into()),
            Err(why) => Bytes::Refused(why),
        };
        Self { bytes, identity, admission: Some(Box::new(admission)) }
    }

    /// One that comes over a network, unless it was kept.
    fn remote(admission: Admission, grants: Grants, settings: Map<String, Value>) -> Self {
        let digest = admission.pinned().map(crate::config::Digest::bytes).unwrap_or_default();
        let bytes = match admission.admit_kept() {
            Ok(Some(admitted)) => Bytes::There(admitted.bytes.into()),
            Ok(None) => Bytes::Elsewhere,
            Err(why) => Bytes::Refused(why),
        };
        Self { bytes, identity: Identity { digest, grants, settings }, admission: Some(Box::new(admission)) }
    }

    fn is_refused(&self) -> bool {
        matches!(self.bytes, Bytes::Refused(_))
    }

    /// Whether Scout brings it along.
    pub(super) fn is_own(&self) -> bool {
        self.admission.is_none()
    }

    /// Whether its bytes must be fetched.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self.bytes, Bytes::Elsewhere)
    }

    /// The bytes that may be compiled. Blocks for a network if there is no other way.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) fn take_bytes(&mut self) -> Result<Cow<'static, [u8]>, String> {
        match (std::mem::replace(&mut self.bytes, Bytes::Elsewhere), &self.admission) {
            (Bytes::There(bytes), _) => Ok(bytes),
            (Bytes::Refused(why), _) => Err(why),
            (Bytes::Elsewhere, Some(admission)) => admission.admit().map(|admitted| admitted.bytes.into()),
            (Bytes::Elsewhere, None) => Err("it is nowhere".to_owned()),
        }
    }

    /// Whether the loaded plugin describes itself as it did when it was vetted.
    ///
    /// # Errors
    /// That it does not.
    pub(super) fn check_described(&self, plugin: &Plugin) -> Result<(), String> {
        self.admission.as_ref().map_or(Ok(()), |admission| admission.check_described(plugin))
    }

    /// Changes with everything that decides whether and how this is loaded.
    fn stamp(&self) -> [u8; 32] {
        let refusal = match &self.bytes {
            Bytes::Refused(why) => why.as_str(),
            Bytes::There(_) | Bytes::Elsewhere => "",
        };
        let locked = self.admission.as_ref().and_then(|admission| admission.locked());
        let locked = locked.map(|entry| entry.fingerprint.as_str()).unwrap_or_default();
        Sha256::new().chain_update(self.identity.digest).chain_update(locked).chain_update(refusal).finalize().into()
    }
}

/// What kind of source a plugin comes from. In the order in which they take the names of their tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// Scout brings it along.
    Bundled,
    /// A file.
    File,
    /// An address.
    Network,
}

/// What is fetched. Of two that are equal one is enough.
#[derive(PartialEq)]
pub(super) struct Fetch {
    identity: Identity,
    admission: Box<Admission>,
}

impl Wanted {
    fn new(
        name: &str,
        subject: Option<Subject>,
        prefix: String,
        source: String,
        grants: Grants,
        component: Result<Component, ConfigError>,
    ) -> Self {
        Self { name: name.to_owned(), subject, prefix, source, grants, component }
    }

    /// What must be fetched before it can be compiled, if so.
    pub(super) fn fetch(&self) -> Option<Fetch> {
        let component = self.component.as_ref().ok()?;
        match (&component.bytes, &component.admission) {
            (Bytes::Elsewhere, Some(admission)) => {
                Some(Fetch { identity: component.identity.clone(), admission: admission.clone() })
            }
            (Bytes::Elsewhere | Bytes::There(_) | Bytes::Refused(_), _) => None,
        }
    }

    pub(super) fn origin(&self) -> Origin {
        let admission = self.component.as_ref().ok().and_then(|component| component.admission.as_ref());
        match admission {
            Some(admission) if admission.source().is_remote() => Origin::Network,
            Some(_) => Origin::File,
            // What cannot be read is a file.
            None if self.component.is_err() => Origin::File,
            None => Origin::Bundled,
        }
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.component.as_ref().ok().map(|component| &component.identity)
    }

    /// Whether it was read and may not be used, as it is or as it is configured.
    pub(super) fn is_refused(&self) -> bool {
        self.component.as_ref().is_ok_and(Component::is_refused)
    }

    /// How far it is vetted: `bundled`, `vetted`, `pinned` or `unvetted`.
    pub(super) fn standing(&self) -> &'static str {
        let admission = self.component.as_ref().ok().and_then(|component| component.admission.as_ref());
        match admission {
            Some(admission) => admission.standing(),
            None if self.component.is_ok() => "bundled",
            None => "unread",
        }
    }

    /// The tools that `scout.lock` says it has: none, if it may not be used.
    pub(super) fn locked_tools(&self) -> Option<Vec<Arc<Shown>>> {
        let component = self.component.as_ref().ok()?;
        match component.is_refused() {
            true => Some(Vec::new()),
            false => {
                let described = component.admission.as_ref()?.locked()?.surface.described_tools().ok()?;
                Some(described.iter().map(Shown::new).collect())
            }
        }
    }

    /// The names of the schemes that `scout.lock` says it has.
    pub(super) fn locked_schemes(&self) -> Vec<String> {
        let locked = self.component.as_ref().ok().and_then(|component| component.admission.as_ref()?.locked());
        let described = locked.and_then(|entry| entry.surface.described_templates().ok());
        described.as_deref().map(names_of).unwrap_or_default()
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
        let lock = Lock::read(&config.vetting.lock_file).map_err(ConfigError::new)?;
        let mut replaced = replacements(config)?;
        let mut wanted = Vec::new();
        for plugin in BUNDLED {
            let Some(subject) = plugin.subject else { continue };
            let configured = config.plugins.get(plugin.name).cloned().unwrap_or_default();
            let grants = configured.grants.unwrap_or(plugin.grants);
            let seek = Seek { config, lock: &lock, name: plugin.name, grants, settings: configured.settings.clone() };
            let (source, component) = match (configured.source.clone(), replaced.remove(plugin.name)) {
                (None, Some(bytes)) => {
                    let dir = config.plugins_dir.as_deref().unwrap_or(Path::new(""));
                    let source = Source::File(dir.join(format!("{}.wasm", plugin.name)));
                    (source.to_string(), Ok(Component::read(seek.admission(source), bytes, grants, seek.settings)))
                }
                (Some(Source::Bundled), _) | (None, None) => brought_along(plugin, &configured, seek)?,
                (Some(source), _) => seek.component(source),
            };
            wanted.push(Wanted::new(plugin.name, Some(subject), String::new(), source, grants, component));
        }
        for (name, configured) in &config.plugins {
            let known = bundled(name);
            if known.is_some_and(|plugin| plugin.subject.is_some()) {
                continue;
            }
            if PluginId::new(name).is_none() {
                return Err(ConfigError::new(format!("[plugins.{name}]: a plugin's name is 1 to 64 of a-z 0-9 -")));
            }
            let grants = configured.grants.or_else(|| known.map(|plugin| plugin.grants)).unwrap_or_default();
            let seek = Seek { config, lock: &lock, name, grants, settings: configured.settings.clone() };
            let (source, component) = match (&configured.source, known) {
                (Some(Source::Bundled), Some(plugin)) => brought_along(plugin, configured, seek)?,
                (Some(source @ (Source::File(_) | Source::Https(_) | Source::Oci(_))), _) => {
                    seek.component(source.clone())
                }
                (Some(Source::Bundled), None) | (None, _) => {
                    let near = did_you_mean(&near(name, BUNDLED.iter().map(|plugin| plugin.name)));
                    return Err(ConfigError::new(format!(
                        "[plugins.{name}] names no bundled plugin{near}; one of your own has a `source`"
                    )));
                }
            };
            wanted.push(Wanted::new(name, None, configured.prefix.clone(), source, grants, component));
        }
        Ok(Self(wanted))
    }

    pub(super) fn into_wanted(self) -> Vec<Wanted> {
        self.0
    }

    /// Whether there are only handlers, and Scout brings all of them along.
    pub(super) fn is_brought_along(&self) -> bool {
        self.0.iter().all(|wanted| wanted.subject.is_some() && wanted.origin() == Origin::Bundled)
    }

    /// A digest of each component and of what is known of it; of one that cannot be read, why.
    pub(crate) fn digests(&self) -> impl Iterator<Item = Result<[u8; 32], &ConfigError>> {
        self.0.iter().map(|wanted| wanted.component.as_ref().map(Component::stamp))
    }
}

/// The names of all handlers.
pub(crate) fn handlers() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().filter(|plugin| plugin.subject.is_some()).map(|plugin| plugin.name)
}

/// The handlers of `plugins_dir`, by name.
fn replacements(config: &Config) -> Result<BTreeMap<String, Vec<u8>>, ConfigError> {
    let Some(dir) = &config.plugins_dir else { return Ok(BTreeMap::new()) };
    let found =
        files::read_components(dir).map_err(|why| ConfigError::new(format!("plugins_dir {}: {why}", dir.display())))?;
    match found.iter().find(|(name, _)| !handlers().any(|handler| handler == name)) {
        None => Ok(found.into_iter().collect()),
        Some((stranger, _)) => Err(ConfigError::new(format!(
            "plugins_dir: `{stranger}.wasm` is not a handler; handlers are {}; a plugin with tools has a [plugins.NAME] of its own",
            handlers().map(|name| format!("{name}.wasm")).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// What a component is sought for.
struct Seek<'a> {
    config: &'a Config,
    lock: &'a Lock,
    name: &'a str,
    grants: Grants,
    settings: Map<String, Value>,
}

impl Seek<'_> {
    fn admission(&self, source: Source) -> Admission {
        Admission::new(self.config, self.lock, self.name, source, self.grants)
    }

    /// The component of a source, and the source for people: a file is read now, what comes over a network when it is loaded.
    fn component(self, source: Source) -> (String, Result<Component, ConfigError>) {
        let (shown, admission) = (source.to_string(), self.admission(source.clone()));
        let component = match source {
            Source::File(path) => files::read_serving_component(&path)
                .map(|bytes| Component::read(admission, bytes, self.grants, self.settings))
                .map_err(|why| ConfigError::new(format!("[plugins.{}] source {}: {why}", self.name, path.display()))),
            Source::Bundled | Source::Https(_) | Source::Oci(_) => {
                Ok(Component::remote(admission, self.grants, self.settings))
            }
        };
        (shown, component)
    }
}

fn brought_along(
    plugin: &Bundled,
    configured: &PluginConfig,
    seek: Seek<'_>,
) -> Result<(String, Result<Component, ConfigError>), ConfigError> {
    if configured.sha256.is_some() || !configured.signed_by.is_empty() {
        let name = plugin.name;
        return Err(ConfigError::new(format!(
            "[plugins.{name}]: `sha256` and `signed_by` are for plugins with a `source`; Scout brings `{name}` along"
        )));
    }
    Ok(("bundled".to_owned(), Ok(Component::bundled(plugin, seek.grants, seek.settings))))
}
