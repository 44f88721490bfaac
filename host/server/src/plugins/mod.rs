//! The plugins of a server: the handlers that answer queries, and the tools that others bring. Loaded beside everything
//! else and each by itself, so that a client that connects does not wait for a compiler, nor a call for a plugin that is none
//! of its business.
//!
//! What is asked for never changes: a changed configuration makes new [`Plugins`] out of the old ones, of which those that did
//! not change are taken over. What is decided of a plugin once stays. Knows no protocol: `Router` calls what is found here.

mod arrange;
mod breaker;
mod bundled;
mod compiled;
mod loaded;
mod names;
pub(crate) mod one;
mod preview;
mod resource;
mod schemas;
mod shown;
mod status;
mod tool;
mod wanted;

use std::path::PathBuf;
use std::sync::Arc;

use scout_runtime::{Grants, LoadError, Plugin, PluginId, Runtime, RuntimeConfig, Subject, fault};
use tokio::sync::{Notify, watch};

use crate::config::Config;
use arrange::{Arrangement, Candidate, Load, LoadState, Loading, PluginOutcome, ServedPlugin};
use compiled::Compiled;
use loaded::Identity;
use wanted::{Fetch, Origin, Wanted};

pub use loaded::Loaded;
pub use preview::Listed;
pub(crate) use resource::digest as digest_of_templates;
pub use resource::{Resources, TemplateShown};
pub(crate) use schemas::Schemas;
pub use shown::Shown;
pub use status::{PluginStatus, QuarantineStatus};
pub use tool::{Catalog, Tool};
pub(crate) use wanted::{Reading, handlers};

/// Calls of plugins at once, over all of them.
const MAX_INSTANCES: u32 = 256;

/// All plugins of a server, as one configuration has them.
pub struct Plugins {
    engine: Engine,
    /// Whether somebody needs the engine, and what runs on it.
    needed: Arc<watch::Sender<bool>>,
    /// Told when something changes that [`Plugins::status`] shows.
    changed: Arc<Notify>,
    entries: Vec<Entry>,
    /// What has become of the entries, in their order.
    state: watch::Receiver<Arc<LoadState>>,
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
    /// What Scout brings along.
    brought_along: Option<Identity>,
    /// What `scout.lock` says of its tools, for those who do not want to wait until it is loaded.
    locked_tools: Option<Vec<Arc<Shown>>>,
    /// What is fetched for it.
    fetch: Option<(Fetch, Load)>,
}

impl Plugins {
    /// Begins to load all plugins on threads for blocking work. Where there are only the handlers that Scout brings along, and
    /// they were compiled here before, this begins when somebody needs them: it takes milliseconds then, and many a process
    /// is started that nobody asks anything. Must be called inside a tokio runtime.
    pub(crate) fn start(config: &Config, reading: Reading) -> Self {
        let (sender, engine) = watch::channel(None);
        let (runtime, compiled) = (runtime_config(config), Compiled::new(config, &reading));
        let is_compiled = compiled.as_ref().is_some_and(Compiled::is_known);
        let needed = Arc::new(watch::Sender::new(!is_compiled));
        let mut is_needed = needed.subscribe();
        tokio::spawn(async move {
            if is_needed.wait_for(|needed| *needed).await.is_err() {
                // Nobody has needed it, and nobody can any more.
                return;
            }
            match tokio::task::spawn_blocking(move || Runtime::new(runtime)).await {
                Ok(runtime) => drop(sender.send_replace(Some(runtime))),
                // The process ends.
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    let error = refused("runtime", &fault("the engine of plugins was being set up", error));
                    sender.send_replace(Some(Err(error)));
                }
            }
        });
        let plugins = Self::begin(engine, needed, Arc::default(), reading, None);
        if let Some(compiled) = compiled.filter(|_| !is_compiled) {
            tokio::spawn(compiled.remember(plugins.engine.clone(), plugins.state.clone()));
        }
        plugins
    }

    /// Begins to load what another configuration asks for. What did not change is taken over, breakers included; until
    /// something else is there, and if it cannot be used, what is here goes on. Must be called inside a tokio runtime.
    pub(crate) fn follow(&self, reading: Reading) -> Self {
        let (engine, needed) = (self.engine.clone(), Arc::clone(&self.needed));
        Self::begin(engine, needed, Arc::clone(&self.changed), reading, Some(self))
    }

    fn begin(
        engine: Engine,
        needed: Arc<watch::Sender<bool>>,
        changed: Arc<Notify>,
        reading: Reading,
        previous: Option<&Self>,
    ) -> Self {
        let (mut entries, mut candidates) = (Vec::new(), Vec::new());
        if !reading.is_brought_along() {
            needed.send_replace(true);
        }
        let is_needed = *needed.borrow();
        for wanted in reading.into_wanted() {
            let former = previous.and_then(|previous| previous.former(&wanted));
            let (under_way, before) = former.map_or((None, None), |(entry, serving)| (entry.fetch.as_ref(), serving));
            let is_same = before.as_ref().map(|before| &before.loaded.identity) == wanted.identity();
            // A right that is taken away is taken away at once, whatever becomes of the successor; and what may not be used
            // any more is no successor of itself.
            let goes_on = before.as_ref().is_some_and(|before| before.loaded.identity.grants.within(wanted.grants()))
                && !(wanted.is_refused() && is_same);
            let there = before.as_ref().filter(|_| is_same && goes_on).map(|before| Arc::clone(&before.loaded));
            let mut entry = Entry {
                name: wanted.name.clone(),
                subject: wanted.subject,
                prefix: wanted.prefix.clone(),
                source: wanted.source.clone(),
                standing: wanted.standing(),
                brought_along: wanted.identity().filter(|_| wanted.origin() == Origin::Bundled).cloned(),
                locked_tools: wanted.locked_tools(),
                fetch: None,
            };
            let (origin, locked_schemes) = (wanted.origin(), wanted.locked_schemes());
            let loading = match (there, wanted.fetch()) {
                (Some(loaded), _) => Loading::There(loaded),
                (None, None) if is_needed => Loading::Here(load(wanted, &engine, &changed)),
                (None, None) => Loading::Unneeded(load(wanted, &engine, &changed)),
                (None, Some(fetch)) => {
                    let under_way = under_way.filter(|(other, load)| *other == fetch && load.borrow().is_none());
                    let load = under_way.map(|(_, load)| load.clone());
                    let load = load.unwrap_or_else(|| self::load(wanted, &engine, &changed));
                    entry.fetch = Some((fetch, load.clone()));
                    Loading::Fetched(load)
                }
            };
            candidates.push(Candidate {
                name: entry.name.clone(),
                subject: entry.subject,
                prefix: entry.prefix.clone(),
                locked_tools: entry.locked_tools.clone(),
                locked_schemes,
                origin,
                before,
                goes_on,
                loading,
            });
            entries.push(entry);
        }
        let arrangement = Arrangement::new(candidates);
        let (sender, state) = watch::channel(arrangement.state());
        tokio::spawn(arrangement.run(sender, Arc::clone(&changed)));
        Self { engine, needed, changed, entries, state }
    }

    /// Begins to load what was needed by nobody yet: whoever will need a handler later says so at once.
    pub(crate) fn need(&self) {
        if !*self.needed.borrow() {
            self.needed.send_replace(true);
        }
    }

    /// What was asked for under the name of what is wanted now, and what serves.
    fn former(&self, wanted: &Wanted) -> Option<(&Entry, Option<ServedPlugin>)> {
        let state = self.state.borrow();
        let mut former = self.entries.iter().zip(&state.outcomes);
        let (entry, outcome) =
            former.find(|(entry, _)| entry.name == wanted.name && entry.subject == wanted.subject)?;
        Some((entry, outcome.serving.clone()))
    }

    /// The handler of a subject, once it is loaded.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn for_subject(&self, subject: Subject) -> Result<Arc<Loaded>, LoadError> {
        self.need();
        let place = self.entries.iter().position(|entry| entry.subject == Some(subject.main()));
        let has_come = |state: &LoadState| {
            let outcome = place.and_then(|place| state.outcomes.get(place));
            outcome.is_none_or(|outcome| outcome.serving.is_some() || outcome.is_decided)
        };
        let state = self.once(has_come).await;
        let outcome = place.and_then(|place| state.outcomes.get(place).cloned());
        let PluginOutcome { serving, error, .. } = outcome.unwrap_or_default();
        let loaded = serving
            .map(|serving| serving.loaded)
            .ok_or_else(|| error.unwrap_or_else(|| refused("handler", "there is none")))?;
        // One that takes the place of Scout's own may answer less.
        check_handler(loaded.plugin(), subject)?;
        Ok(loaded)
    }

    /// The tool of this name, as soon as it is there; `None` as soon as no plugin can bring it any more.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub async fn tool(&self, name: &str) -> Option<Arc<Tool>> {
        let may_come = |state: &LoadState| state.may_bring(name).next().is_some();
        let state = self.once(|state| state.catalog.tool(name).is_some() || !may_come(state)).await;
        state.catalog.tool(name).cloned()
    }

    /// Whether a plugin has this scheme now, or may have it.
    pub(crate) fn has_scheme(&self, scheme: &str) -> bool {
        let state = self.state.borrow();
        state.catalog.scheme(scheme).is_some() || state.may_bring(&names::as_name(scheme)).next().is_some()
    }

    /// The resources of the plugin that has this scheme, as soon as it is there; `None` as soon as no plugin can have it any more.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub async fn scheme(&self, scheme: &str) -> Option<Arc<Resources>> {
        let name = names::as_name(scheme);
        let may_come = |state: &LoadState| state.may_bring(&name).next().is_some();
        let state = self.once(|state| state.catalog.scheme(scheme).is_some() || !may_come(state)).await;
        state.catalog.scheme(scheme).cloned()
    }

    /// The names of the plugins that are still being loaded and may bring a tool of this name.
    pub(crate) fn may_bring(&self, tool: &str) -> Vec<String> {
        self.state.borrow().may_bring(tool).map(str::to_owned).collect()
    }

    /// All tools, once all their plugins are loaded.
    pub async fn catalog(&self) -> Arc<Catalog> {
        self.need();
        Arc::clone(&self.once(LoadState::is_decided).await.catalog)
    }

    /// The tools that are there now.
    pub fn catalog_now(&self) -> Arc<Catalog> {
        Arc::clone(&self.state.borrow().catalog)
    }

    /// Waits until every plugin serves or cannot. Gives why those cannot that cannot.
    pub(crate) async fn settled(&self) -> Vec<LoadError> {
        self.need();
        self.once(LoadState::is_decided).await.errors()
    }

    /// The same, but for what comes over a network, which takes as long as others make it, and for what was needed by nobody.
    pub(crate) async fn at_hand(&self) -> Vec<LoadError> {
        self.once(|state| state.has_all_at_hand).await.errors()
    }

    /// What has become of all plugins, once this is true of it, or if it never will be.
    async fn once(&self, is_so: impl Fn(&LoadState) -> bool) -> Arc<LoadState> {
        let mut state = self.state.clone();
        let there = state.wait_for(|state| is_so(state)).await.ok().map(|state| Arc::clone(&state));
        there.unwrap_or_else(|| Arc::clone(&self.state.borrow()))
    }

    /// Told, once for any number of times, when something changes that [`Plugins::status`] shows.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

/// How the engine of a process that serves is set up.
fn runtime_config(config: &Config) -> RuntimeConfig {
    RuntimeConfig { max_instances: MAX_INSTANCES, memory: config.plugin_memory, cache_dir: config.cache_dir.clone() }
}

/// Compiles a component that may be used, so that whoever serves it finds it in the cache.
///
/// # Errors
/// Why it cannot be compiled.
pub(crate) async fn warm(config: &Config, name: &str, component: Vec<u8>) -> Result<(), LoadError> {
    let id = PluginId::new(name).ok_or_else(|| refused(name, "its name is not a plugin's name"))?;
    Runtime::new(runtime_config(config))?.warm(&id, component).await
}

/// The files of handlers that a configuration would read.
pub(crate) fn replacement_files(config: &Config) -> Vec<PathBuf> {
    let dir = config.plugins_dir.as_ref();
    dir.map(|dir| wanted::handlers().map(|name| dir.join(format!("{name}.wasm"))).collect()).unwrap_or_default()
}

/// Loads one plugin as soon as the engine is there; as the handler of a subject, it must be that.
fn load(wanted: Wanted, engine: &Engine, changed: &Arc<Notify>) -> Load {
    let (sender, load) = watch::channel(None);
    let (mut engine, changed) = (engine.clone(), Arc::clone(changed));
    tokio::spawn(async move {
        let there = tokio::select! {
            there = engine.wait_for(Option::is_some) => there.ok().and_then(|there| (*there).clone()),
            // Another configuration has come before anybody needed it.
            () = sender.closed() => return,
        };
        let loaded = match there {
            Some(Ok(runtime)) => compile(&runtime, wanted, changed).await,
            Some(Err(error)) => Err(error),
            None => return,
        };
        sender.send_replace(Some(loaded));
    });
    load
}

async fn compile(runtime: &Runtime, wanted: Wanted, changed: Arc<Notify>) -> Result<Arc<Loaded>, LoadError> {
    let id = PluginId::new(&wanted.name).ok_or_else(|| refused(&wanted.name, "its name is not a plugin's name"))?;
    let mut component = wanted.component.map_err(|error| refused(&wanted.name, &error.to_string()))?;
    let is_elsewhere = component.is_elsewhere();
    let take = move || (component.take_bytes(), component);
    let (bytes, component) = match is_elsewhere {
        false => take(),
        true => match tokio::task::spawn_blocking(take).await {
            Ok(taken) => taken,
            // The process ends, and with it whoever waits here: that is no failure of the plugin.
            Err(error) if error.is_cancelled() => std::future::pending().await,
            Err(error) => return Err(refused(&wanted.name, &fault("a plugin was fetched", error))),
        },
    };
    let bytes = bytes.map_err(|why| refused(&wanted.name, &why))?;
    let Identity { grants, settings, .. } = &component.identity;
    let plugin = match component.is_own() {
        true => runtime.load_own(id, bytes, *grants, settings.clone()).await?,
        false => runtime.load(id, bytes, *grants, settings.clone()).await?,
    };
    component.check_described(&plugin).map_err(|why| refused(&wanted.name, &why))?;
    if let Some(subject) = wanted.subject {
        check_handler(&plugin, subject)?;
    }
    Ok(Arc::new(Loaded::new(plugin, component.identity, changed).await?))
}

fn check_handler(plugin: &Plugin, subject: Subject) -> Result<(), LoadError> {
    let why = match plugin.handler() {
        Some(handler) if handler.subjects.contains(&subject) => return Ok(()),
        Some(_) => {
            format!("it does not answer the subject `{}`, which is asked of a plugin of its name", subject.name())
        }
        None => "it exports no `scout:plugin/handler`".to_owned(),
    };
    Err(refused(plugin.id().as_str(), &why))
}

fn refused(plugin: &str, message: &str) -> LoadError {
    LoadError { plugin: plugin.to_owned(), message: message.to_owned() }
}

/// The component of a plugin that Scout brings along, and what it may import.
pub(crate) fn bundled_plugin(name: &str) -> Option<(&'static [u8], Grants)> {
    bundled::bundled(name).map(|plugin| (plugin.component, plugin.grants))
}
