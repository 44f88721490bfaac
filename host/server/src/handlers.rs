//! The plugins that answer queries: built in, or replaced from a directory. Compiled beside everything else, so that a
//! client that lists tools does not wait for it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use scout_runtime::{LoadError, Plugin, PluginId, Runtime, RuntimeConfig, Subject};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::config::{Config, ConfigError, did_you_mean, near};
use crate::default_plugins::{DEFAULT_PLUGINS, DefaultPlugin};

/// The largest component that is read from a directory, in bytes.
const MAX_COMPONENT: u64 = 32 << 20;
/// Calls of plugins at once, over all handlers.
const MAX_INSTANCES: u32 = 256;

/// The handlers, one for each subject.
pub struct Handlers {
    slots: Vec<(Subject, Slot)>,
}

type Slot = watch::Receiver<Option<Result<Plugin, LoadError>>>;

impl Handlers {
    /// Begins to load all handlers on threads for blocking work. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A plugin directory that cannot be read, or holds what is no handler.
    pub fn start(config: &Config) -> Result<Self, ConfigError> {
        let mut replaced = match &config.plugins_dir {
            Some(dir) => {
                read_dir(dir).map_err(|why| ConfigError::new(format!("plugins_dir {}: {why}", dir.display())))?
            }
            None => BTreeMap::new(),
        };
        let known: Vec<&str> = DEFAULT_PLUGINS.iter().map(|plugin| plugin.name).collect();
        for name in config.plugin_settings.keys() {
            if !known.contains(&name.as_str()) {
                let near = did_you_mean(&near(name, known.iter().copied()));
                return Err(ConfigError::new(format!("[plugins.{name}] names no plugin{near}")));
            }
        }
        let runtime = watch::channel(None);
        let runtime_config = RuntimeConfig { max_instances: MAX_INSTANCES, cache_dir: config.cache_dir.clone() };
        tokio::task::spawn_blocking(move || runtime.0.send_replace(Some(Runtime::new(runtime_config))));
        let slots = DEFAULT_PLUGINS.iter().map(|plugin| {
            let component = replaced.remove(plugin.name);
            let settings = config.plugin_settings.get(plugin.name).cloned().unwrap_or_default();
            let (sender, slot) = watch::channel(None);
            let mut engine = runtime.1.clone();
            tokio::spawn(async move {
                let ready = engine.wait_for(Option::is_some).await.ok().and_then(|ready| (*ready).clone());
                let loaded = match ready {
                    Some(Ok(runtime)) => {
                        tokio::task::spawn_blocking(move || load(&runtime, plugin, component.as_deref(), settings))
                            .await
                    }
                    Some(Err(error)) => Ok(Err(error)),
                    None => Ok(Err(lost(plugin.name))),
                };
                let loaded = loaded.unwrap_or_else(|_panicked| Err(lost(plugin.name)));
                if let Err(error) = &loaded {
                    tracing::error!(%error, "a handler cannot be used");
                }
                sender.send_replace(Some(loaded));
            });
            (plugin.subject, slot)
        });
        let slots = slots.collect();
        match replaced.keys().next() {
            None => Ok(Self { slots }),
            Some(stranger) => Err(ConfigError::new(format!(
                "plugins_dir: `{stranger}.wasm` is no handler; handlers are {}",
                known.iter().map(|name| format!("{name}.wasm")).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// The handler of a subject, once it is loaded.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn for_subject(&self, subject: Subject) -> Result<Plugin, LoadError> {
        let Some((_, slot)) = self.slots.iter().find(|(handled, _)| *handled == subject) else {
            return Err(lost("handler"));
        };
        let mut slot = slot.clone();
        let ready = slot.wait_for(Option::is_some).await;
        ready.ok().and_then(|ready| (*ready).clone()).unwrap_or_else(|| Err(lost("handler")))
    }
}

/// The error of a loading task that ended without a word; its panic is in the log.
fn lost(plugin: &str) -> LoadError {
    LoadError { plugin: plugin.to_owned(), message: "loading it failed; the log says why".to_owned() }
}

fn load(
    runtime: &Runtime,
    plugin: &DefaultPlugin,
    replacement: Option<&[u8]>,
    settings: Map<String, Value>,
) -> Result<Plugin, LoadError> {
    let refused = |message: &str| LoadError { plugin: plugin.name.to_owned(), message: message.to_owned() };
    let id = PluginId::new(plugin.name).ok_or_else(|| refused("its name is no plugin name"))?;
    let loaded = runtime.load(id, replacement.unwrap_or(plugin.component), plugin.grants, settings)?;
    match loaded.handler() {
        Some(handler) if handler.subjects.contains(&plugin.subject) => Ok(loaded),
        Some(_) => Err(refused("it does not answer the subject that its file name stands for")),
        None => Err(refused("it exports no `scout:plugin/handler`")),
    }
}

/// The components of a directory by their names without `.wasm`. Links out of the directory are not followed.
fn read_dir(path: &Path) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    let mut found = BTreeMap::new();
    for entry in dir.entries()? {
        let file_name = entry?.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".wasm")) else { continue };
        let mut bytes = Vec::new();
        dir.open(&file_name)?.take(MAX_COMPONENT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_COMPONENT {
            return Err(std::io::Error::other(format!("{name}.wasm is larger than {} MiB", MAX_COMPONENT >> 20)));
        }
        found.insert(name.to_owned(), bytes);
    }
    Ok(found)
}
