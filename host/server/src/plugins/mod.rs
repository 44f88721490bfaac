//! The plugins of a server: the handlers that answer queries, and the tools that others bring. Loaded beside everything
//! else, so that a client that connects does not wait for a compiler.
//!
//! Immutable once they are loaded: a changed configuration makes new [`Plugins`] out of the old ones, of which those that
//! did not change are taken over. Knows no protocol: `Router` calls what is found here.

mod breaker;
mod bundled;
mod loaded;
pub(crate) mod one;
mod preview;
mod status;
mod tool;
mod wanted;

use std::path::PathBuf;
use std::sync::Arc;

use scout_runtime::{Grants, LoadError, Plugin, PluginId, Runtime, RuntimeConfig, Subject, ToolDescription};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::config::Config;
use loaded::Identity;
use wanted::Wanted;

pub use loaded::Loaded;
pub use preview::Listed;
pub use status::{PluginStatus, QuarantineStatus};
pub(crate) use tool::Schemas;
pub use tool::{Catalog, Tool};
pub(crate) use wanted::{Reading, handlers};

/// Calls of plugins at once, over all of them.
const MAX_INSTANCES: u32 = 256;

/// All plugins of a server, as one configuration has them.
pub struct Plugins {
    engine: Engine,
    /// Told when something changes that [`Plugins::status`] shows.
    changed: Arc<Notify>,
    entries: Vec<Entry>,
    catalog: watch::Receiver<Option<Arc<Catalog>>>,
}

/// The engine that all plugins of a process run on, once it is there.
type Engine = watch::Receiver<Option<Result<Runtime, LoadError>>>;

/// One plugin that the configuration asks for.
struct Entry {
    name: String,
    /// What it answers, if it is a handler.
    subject: Option<Subject>,
    prefix: String,
    source: String,
    /// How far it is vetted.
    standing: &'static str,
    /// What `scout.lock` says of its tools, for those who do not want to wait until it is loaded.
    locked_tools: Option<Vec<ToolDescription>>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What became of a plugin.
#[derive(Clone, Default)]
struct Outcome {
    /// What serves. Absent: nothing does.
    serving: Option<Arc<Loaded>>,
    /// Why what was asked for does not serve; what serves then is what served before.
    error: Option<LoadError>,
}

/// What served before under a name, if it may go on in case its successor cannot be used.
struct Before {
    loaded: Arc<Loaded>,
    prefix: String,
}

/// A plugin with tools whose loading is under way.
struct Pending {
    prefix: String,
    loading: Loading,
    before: Option<Before>,
    outcome: watch::Sender<Option<Outcome>>,
}

enum Loading {
    /// It serves already.
    There(Arc<Loaded>),
    Under(JoinHandle<Result<Arc<Loaded>, LoadError>>),
}

impl Plugins {
    /// Begins to load all plugins on threads for blocking work. Must be called inside a tokio runtime.
    pub(crate) fn start(config: &Config, reading: Reading) -> Self {
        let (sender, engine) = watch::channel(None);
        let runtime = RuntimeConfig {
            max_instances: MAX_INSTANCES,
            memory: config.plugin_memory,
            cache_dir: config.cache_dir.clone(),
        };
        tokio::task::spawn_blocking(move || sender.send_replace(Some(Runtime::new(runtime))));
        Self::begin(engine, Arc::default(), reading, &[])
    }

    /// Begins to load what another configuration asks for. What did not change is taken over, breakers included; of what
    /// cannot be used, what is here goes on. Must be called inside a tokio runtime.
    pub(crate) fn follow(&self, reading: Reading) -> Self {
        Self::begin(self.engine.clone(), Arc::clone(&self.changed), reading, &self.entries)
    }

    fn begin(engine: Engine, changed: Arc<Notify>, reading: Reading, previous: &[Entry]) -> Self {
        let (mut entries, mut tools) = (Vec::new(), Vec::new());
        for wanted in reading.into_wanted() {
            let (sender, outcome) = watch::channel(None);
            let before = before(previous, &wanted);
            entries.push(Entry {
                name: wanted.name.clone(),
                subject: wanted.subject,
                prefix: wanted.prefix.clone(),
                source: wanted.source.clone(),
                standing: wanted.standing(),
                locked_tools: wanted.locked_tools(),
                outcome,
            });
            let (subject, prefix, grants) = (wanted.subject, wanted.prefix.clone(), wanted.grants());
            let is_same = |before: &Before| wanted.identity() == Some(&before.loaded.identity);
            // A right that is taken away is taken away at once, whatever becomes of the successor; and what may not be used
            // any more is no successor of itself.
            let before = before.filter(|before| {
                before.loaded.identity.grants.within(grants) && !(wanted.is_refused() && is_same(before))
            });
            let loading = match &before {
                Some(before) if is_same(before) => Loading::There(Arc::clone(&before.loaded)),
                Some(_) | None => Loading::Under(load(wanted, &engine, &changed)),
            };
            match subject {
                Some(_) => drop(tokio::spawn(async move {
                    sender.send_replace(Some(settle_handler(loading, before).await));
                })),
                None => tools.push(Pending { prefix, loading, before, outcome: sender }),
            }
        }
        let (sender, catalog) = watch::channel(None);
        tokio::spawn(async move {
            sender.send_replace(Some(Arc::new(settle_tools(tools).await)));
        });
        Self { engine, changed, entries, catalog }
    }

    /// The handler of a subject, once it is loaded.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn for_subject(&self, subject: Subject) -> Result<Arc<Loaded>, LoadError> {
        let entry = self.entries.iter().find(|entry| entry.subject == Some(subject));
        let outcome = match entry {
            Some(entry) => settled(entry.outcome.clone()).await,
            None => Outcome::default(),
        };
        outcome.serving.ok_or_else(|| outcome.error.unwrap_or_else(|| lost("handler")))
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

    /// Waits until every plugin serves or cannot. Gives why those cannot that cannot.
    pub(crate) async fn settled(&self) -> Vec<LoadError> {
        self.catalog().await;
        let mut errors = Vec::new();
        for entry in &self.entries {
            errors.extend(settled(entry.outcome.clone()).await.error);
        }
        errors
    }

    /// Told, once for any number of times, when something changes that [`Plugins::status`] shows.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

/// The files of handlers that a configuration would read.
pub(crate) fn replacement_files(config: &Config) -> Vec<PathBuf> {
    let dir = config.plugins_dir.as_ref();
    dir.map(|dir| wanted::handlers().map(|name| dir.join(format!("{name}.wasm"))).collect()).unwrap_or_default()
}

fn before(previous: &[Entry], wanted: &Wanted) -> Option<Before> {
    let entry = previous.iter().find(|entry| entry.name == wanted.name && entry.subject == wanted.subject)?;
    let loaded = entry.outcome.borrow().as_ref()?.serving.clone()?;
    Some(Before { loaded, prefix: entry.prefix.clone() })
}

/// Loads one plugin as soon as the engine is there; as the handler of a subject, it must be that.
fn load(wanted: Wanted, engine: &Engine, changed: &Arc<Notify>) -> JoinHandle<Result<Arc<Loaded>, LoadError>> {
    let (mut engine, changed) = (engine.clone(), Arc::clone(changed));
    tokio::spawn(async move {
        let name = wanted.name.clone();
        let there = engine.wait_for(Option::is_some).await.ok().and_then(|there| (*there).clone());
        match there {
            Some(Ok(runtime)) => {
                let compiled = tokio::task::spawn_blocking(move || compile(&runtime, wanted, changed));
                ended(compiled).await.unwrap_or_else(|_panicked| Err(lost(&name)))
            }
            Some(Err(error)) => Err(error),
            None => Err(lost(&name)),
        }
    })
}

fn compile(runtime: &Runtime, wanted: Wanted, changed: Arc<Notify>) -> Result<Arc<Loaded>, LoadError> {
    let id = PluginId::new(&wanted.name).ok_or_else(|| refused(&wanted.name, "its name is no plugin name"))?;
    let mut component = wanted.component.map_err(|error| refused(&wanted.name, &error.to_string()))?;
    let bytes = component.take_bytes().map_err(|why| refused(&wanted.name, &why))?;
    let Identity { grants, settings, .. } = &component.identity;
    let plugin = runtime.load(id, &bytes, *grants, settings.clone())?;
    component.check_described(&plugin).map_err(|why| refused(&wanted.name, &why))?;
    if let Some(subject) = wanted.subject {
        check_handler(&plugin, subject)?;
    }
    Ok(Arc::new(Loaded::new(plugin, component.identity, changed)))
}

fn check_handler(plugin: &Plugin, subject: Subject) -> Result<(), LoadError> {
    let why = match plugin.handler() {
        Some(handler) if handler.subjects.contains(&subject) => return Ok(()),
        Some(_) => "it does not answer the subject that its name stands for",
        None => "it exports no `scout:plugin/handler`",
    };
    Err(refused(plugin.id().as_str(), why))
}

async fn settle_handler(loading: Loading, before: Option<Before>) -> Outcome {
    match loading.ended().await {
        Ok(loaded) => Outcome { serving: Some(loaded), error: None },
        Err(error) => fall_back(error, before),
    }
}

/// Decides which plugins bring their tools: all of a plugin's, or none.
async fn settle_tools(mut pending: Vec<Pending>) -> Catalog {
    let mut catalog = Catalog::default();
    // Those that serve keep the names they have, whoever else wants them.
    pending.sort_by_key(|plugin| matches!(plugin.loading, Loading::Under(_)));
    for plugin in pending {
        let loaded = plugin.loading.ended().await;
        let added = loaded.and_then(|loaded| catalog.add(&plugin.prefix, &loaded).map(|()| loaded));
        let outcome = match added {
            Ok(loaded) => Outcome { serving: Some(loaded), error: None },
            Err(error) => {
                catalog.refuse(error.clone());
                let before = plugin.before.filter(|before| catalog.add(&before.prefix, &before.loaded).is_ok());
                fall_back(error, before)
            }
        };
        plugin.outcome.send_replace(Some(outcome));
    }
    catalog.sort();
    catalog
}

/// A plugin cannot be used: what served before goes on.
fn fall_back(error: LoadError, before: Option<Before>) -> Outcome {
    match &before {
        Some(_) => tracing::error!(%error, "a changed plugin cannot be used, the one before goes on"),
        None => tracing::error!(%error, "a plugin cannot be used"),
    }
    Outcome { serving: before.map(|before| before.loaded), error: Some(error) }
}

impl Loading {
    async fn ended(self) -> Result<Arc<Loaded>, LoadError> {
        match self {
            Self::There(loaded) => Ok(loaded),
            Self::Under(task) => ended(task).await.unwrap_or_else(|_panicked| Err(lost("plugin"))),
        }
    }
}

/// What became of a task. Nothing but the end of the process cancels one, and then whoever waits ends as well: that is no
/// failure of a plugin.
async fn ended<T>(task: JoinHandle<T>) -> Result<T, JoinError> {
    match task.await {
        Err(error) if error.is_cancelled() => std::future::pending().await,
        ended => ended,
    }
}

async fn settled(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    let settled = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| (*outcome).clone());
    settled.unwrap_or_else(|| Outcome { serving: None, error: Some(lost("plugin")) })
}

/// The error of a loading task that ended without a word; its panic is in the log.
fn lost(plugin: &str) -> LoadError {
    refused(plugin, "loading it failed; the log says why")
}

fn refused(plugin: &str, message: &str) -> LoadError {
    LoadError { plugin: plugin.to_owned(), message: message.to_owned() }
}

/// The component of a plugin that Scout brings along, and what it may import.
pub(crate) fn bundled_plugin(name: &str) -> Option<(&'static [u8], Grants)> {
    bundled::bundled(name).map(|plugin| (plugin.component, plugin.grants))
}
