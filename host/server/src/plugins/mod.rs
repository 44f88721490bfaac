//! The plugins of a server: the handlers that answer queries, and the tools that others bring. Loaded beside everything
//! else, so that a client that connects does not wait for a compiler.
//!
//! Knows no protocol: `Router` calls what is found here.

mod bundled;
mod source;
mod tool;

use std::collections::BTreeMap;
use std::sync::Arc;

use scout_runtime::{Grants, LoadError, Plugin, PluginId, Runtime, RuntimeConfig, Subject};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::config::{Config, ConfigError, Source, did_you_mean, near};
use bundled::{BUNDLED, bundled};

pub use tool::{Catalog, Tool};

/// Calls of plugins at once, over all of them.
const MAX_INSTANCES: u32 = 256;

/// All plugins of a server.
pub struct Plugins {
    handlers: Vec<(Subject, Slot)>,
    catalog: watch::Receiver<Option<Arc<Catalog>>>,
}

/// A plugin, once it is loaded.
type Slot = watch::Receiver<Option<Result<Plugin, LoadError>>>;

/// A plugin to be loaded.
struct Wanted {
    name: String,
    /// What it must answer as a handler. Absent: it brings tools.
    subject: Option<Subject>,
    /// Put before the names of its tools.
    prefix: String,
    component: Component,
    grants: Grants,
    settings: Map<String, Value>,
}

enum Component {
    Bundled(&'static [u8]),
    Read(Vec<u8>),
}

impl Plugins {
    /// Begins to load all plugins on threads for blocking work. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A plugin that is named but cannot be read.
    pub fn start(config: &Config) -> Result<Self, ConfigError> {
        let wanted = wanted(config)?;
        let runtime = watch::channel(None);
        let runtime_config = RuntimeConfig { max_instances: MAX_INSTANCES, cache_dir: config.cache_dir.clone() };
        tokio::task::spawn_blocking(move || runtime.0.send_replace(Some(Runtime::new(runtime_config))));
        let (mut handlers, mut tools) = (Vec::new(), Vec::new());
        for plugin in wanted {
            let (subject, prefix) = (plugin.subject, plugin.prefix.clone());
            let slot = load(plugin, &runtime.1);
            match subject {
                Some(subject) => handlers.push((subject, slot)),
                None => tools.push((prefix, slot)),
            }
        }
        let (sender, catalog) = watch::channel(None);
        tokio::spawn(async move {
            let mut catalog = Catalog::default();
            for (prefix, slot) in tools {
                catalog.add(&prefix, ready(slot).await);
            }
            sender.send_replace(Some(Arc::new(catalog)));
        });
        Ok(Self { handlers, catalog })
    }

    /// The handler of a subject, once it is loaded.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn for_subject(&self, subject: Subject) -> Result<Plugin, LoadError> {
        let Some((_, slot)) = self.handlers.iter().find(|(handled, _)| *handled == subject) else {
            return Err(lost("handler"));
        };
        ready(slot.clone()).await
    }

    /// All tools, once all their plugins are loaded.
    pub async fn catalog(&self) -> Arc<Catalog> {
        let mut catalog = self.catalog.clone();
        let ready = catalog.wait_for(Option::is_some).await.ok().and_then(|ready| (*ready).clone());
        ready.unwrap_or_default()
    }

    /// All tools, if all their plugins are loaded by now.
    pub fn catalog_now(&self) -> Option<Arc<Catalog>> {
        self.catalog.borrow().clone()
    }
}

/// What the configuration asks for: a handler for each subject, then the plugins with tools by name.
fn wanted(config: &Config) -> Result<Vec<Wanted>, ConfigError> {
    let mut replaced = replacements(config)?;
    let mut wanted = Vec::new();
    for plugin in BUNDLED {
        let Some(subject) = plugin.subject else { continue };
        let configured = config.plugins.get(plugin.name).cloned().unwrap_or_default();
        let component = match (configured.source, replaced.remove(plugin.name)) {
            (Some(Source::File(path)), _) => read(plugin.name, &path)?,
            (None, Some(bytes)) => Component::Read(bytes),
            (Some(Source::Bundled), _) | (None, None) => Component::Bundled(plugin.component),
        };
        let grants = configured.grants.unwrap_or(plugin.grants);
        wanted.push(Wanted {
            name: plugin.name.to_owned(),
            subject: Some(subject),
            prefix: String::new(),
            component,
            grants,
            settings: configured.settings,
        });
    }
    for (name, configured) in &config.plugins {
        let known = bundled(name);
        if known.is_some_and(|plugin| plugin.subject.is_some()) {
            continue;
        }
        let component = match (&configured.source, known) {
            (Some(Source::File(path)), _) => read(name, path)?,
            (Some(Source::Bundled), Some(plugin)) => Component::Bundled(plugin.component),
            (Some(Source::Bundled), None) | (None, _) => {
                let near = did_you_mean(&near(name, BUNDLED.iter().map(|plugin| plugin.name)));
                return Err(ConfigError::new(format!(
                    "[plugins.{name}] names no bundled plugin{near}; one of your own has a `source`"
                )));
            }
        };
        if PluginId::new(name).is_none() {
            return Err(ConfigError::new(format!("[plugins.{name}]: a plugin's name is 1 to 64 of a-z 0-9 -")));
        }
        let grants = configured.grants.or_else(|| known.map(|plugin| plugin.grants)).unwrap_or_default();
        wanted.push(Wanted {
            name: name.clone(),
            subject: None,
            prefix: configured.prefix.clone(),
            component,
            grants,
            settings: configured.settings.clone(),
        });
    }
    Ok(wanted)
}

/// The handlers of `plugins_dir`, by name.
fn replacements(config: &Config) -> Result<BTreeMap<String, Vec<u8>>, ConfigError> {
    let Some(dir) = &config.plugins_dir else { return Ok(BTreeMap::new()) };
    let found =
        source::read_dir(dir).map_err(|why| ConfigError::new(format!("plugins_dir {}: {why}", dir.display())))?;
    let handlers: Vec<&str> =
        BUNDLED.iter().filter(|plugin| plugin.subject.is_some()).map(|plugin| plugin.name).collect();
    match found.iter().find(|(name, _)| !handlers.contains(&name.as_str())) {
        None => Ok(found.into_iter().collect()),
        Some((stranger, _)) => Err(ConfigError::new(format!(
            "plugins_dir: `{stranger}.wasm` is no handler; handlers are {}; a plugin with tools has a [plugins.NAME] of its own",
            handlers.iter().map(|name| format!("{name}.wasm")).collect::<Vec<_>>().join(", ")
        ))),
    }
}

fn read(name: &str, path: &std::path::Path) -> Result<Component, ConfigError> {
    source::read_file(path)
        .map(Component::Read)
        .map_err(|why| ConfigError::new(format!("[plugins.{name}] source {}: {why}", path.display())))
}

/// Loads one plugin as soon as the engine is there; as the handler of a subject, it must be that.
fn load(plugin: Wanted, engine: &watch::Receiver<Option<Result<Runtime, LoadError>>>) -> Slot {
    let (sender, slot) = watch::channel(None);
    let mut engine = engine.clone();
    tokio::spawn(async move {
        let (name, subject) = (plugin.name.clone(), plugin.subject);
        let there = engine.wait_for(Option::is_some).await.ok().and_then(|there| (*there).clone());
        let loaded = match there {
            Some(Ok(runtime)) => tokio::task::spawn_blocking(move || compile(&runtime, plugin))
                .await
                .unwrap_or_else(|_panicked| Err(lost(&name))),
            Some(Err(error)) => Err(error),
            None => Err(lost(&name)),
        };
        let loaded = match subject {
            Some(subject) => loaded
                .and_then(|plugin| check_handler(plugin, subject))
                .inspect_err(|error| tracing::error!(%error, "a handler cannot be used")),
            // Of a plugin with tools the catalogue has the last word.
            None => loaded,
        };
        sender.send_replace(Some(loaded));
    });
    slot
}

fn compile(runtime: &Runtime, plugin: Wanted) -> Result<Plugin, LoadError> {
    let id = PluginId::new(&plugin.name).ok_or_else(|| refused(&plugin.name, "its name is no plugin name"))?;
    let bytes = match &plugin.component {
        Component::Bundled(bytes) => bytes,
        Component::Read(bytes) => bytes.as_slice(),
    };
    runtime.load(id, bytes, plugin.grants, plugin.settings)
}

fn check_handler(plugin: Plugin, subject: Subject) -> Result<Plugin, LoadError> {
    let why = match plugin.handler() {
        Some(handler) if handler.subjects.contains(&subject) => return Ok(plugin),
        Some(_) => "it does not answer the subject that its name stands for",
        None => "it exports no `scout:plugin/handler`",
    };
    Err(refused(plugin.id().as_str(), why))
}

async fn ready(mut slot: Slot) -> Result<Plugin, LoadError> {
    let loaded = slot.wait_for(Option::is_some).await;
    loaded.ok().and_then(|loaded| (*loaded).clone()).unwrap_or_else(|| Err(lost("plugin")))
}

/// The error of a loading task that ended without a word; its panic is in the log.
fn lost(plugin: &str) -> LoadError {
    refused(plugin, "loading it failed; the log says why")
}

fn refused(plugin: &str, message: &str) -> LoadError {
    LoadError { plugin: plugin.to_owned(), message: message.to_owned() }
}
