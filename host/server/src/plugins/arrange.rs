//! What becomes of the plugins of one configuration while they are loaded, each by itself: one that is slow keeps nobody
//! waiting but who needs it.
//!
//! Owns the order in which plugins take the names of their tools (`names` owns the rule): those that serve already, as they
//! are; then what Scout brings along, then files, then what comes over a network; of each kind first those that serve another
//! version; then by name. So what is here never waits for a network.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use scout_runtime::{LoadError, Subject};
use tokio::sync::{Notify, watch};

use super::names::{Claim, Decision, Names, is_scheme};
use super::wanted::Origin;
use super::{Catalog, Loaded, Resources, Shown, Tool};

/// What becomes of a loading plugin; absent: it is not known yet.
pub(super) type Load = watch::Receiver<Option<Result<Arc<Loaded>, LoadError>>>;

/// What has become of all plugins so far. Immutable.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadState {
    /// In the order of the configuration.
    pub(super) outcomes: Vec<PluginOutcome>,
    pub(super) catalog: Arc<Catalog>,
    names: Names,
    /// Whether only what comes over a network, or was needed by nobody, is not loaded yet.
    pub(super) has_all_at_hand: bool,
}

/// What has become of a plugin.
#[derive(Clone, Debug, Default)]
pub(super) struct PluginOutcome {
    /// What serves: until it is decided, what served before.
    pub(super) serving: Option<ServedPlugin>,
    /// Why what was asked for does not serve; what serves then is what served before.
    pub(super) error: Option<LoadError>,
    /// Whether this is what it stays.
    pub(super) is_decided: bool,
}

/// A plugin at work.
#[derive(Clone, Debug)]
pub(super) struct ServedPlugin {
    pub(super) loaded: Arc<Loaded>,
    /// Under their names for clients. A handler has none.
    pub(super) tools: Vec<Arc<Tool>>,
    /// Those of a handler are not offered either.
    pub(super) resources: Option<Arc<Resources>>,
}

impl LoadState {
    /// The plugins that may still bring a tool of this name.
    pub(super) fn may_bring(&self, tool: &str) -> impl Iterator<Item = &str> {
        self.names.may_come(tool)
    }

    /// Why what was asked for does not serve.
    pub(super) fn errors(&self) -> Vec<LoadError> {
        self.outcomes.iter().filter_map(|outcome| outcome.error.clone()).collect()
    }

    pub(super) fn is_decided(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.is_decided)
    }
}

/// A plugin that the configuration asks for.
pub(super) struct Candidate {
    pub(super) name: String,
    /// What it answers, if it is a handler.
    pub(super) subject: Option<Subject>,
    pub(super) prefix: String,
    pub(super) origin: Origin,
    /// Its tools, as far as they are known before it is loaded.
    pub(super) locked_tools: Option<Vec<Arc<Shown>>>,
    /// The names of its schemes, where its tools are known.
    pub(super) locked_schemes: Vec<String>,
    /// What serves under its name.
    pub(super) before: Option<ServedPlugin>,
    /// Whether that may go on if nothing else can.
    pub(super) goes_on: bool,
    pub(super) loading: Loading,
}

pub(super) enum Loading {
    /// It serves already.
    There(Arc<Loaded>),
    /// It is at hand and being compiled.
    Here(Load),
    /// It is at hand, and compiled when somebody needs it.
    Unneeded(Load),
    /// It is being fetched.
    Fetched(Load),
}

/// The plugins of a configuration while they are loaded.
pub(super) struct Arrangement {
    /// As [`Names`] has them.
    plugins: Vec<Arranged>,
    names: Names,
    /// How many are being loaded that are at hand.
    at_hand: usize,
    loads: FuturesUnordered<BoxFuture<'static, Arrival>>,
}

/// What became of the loading of a plugin.
struct Arrival {
    place: usize,
    was_at_hand: bool,
    loaded: Result<Arc<Loaded>, LoadError>,
}

struct Arranged {
    /// Its place in the configuration.
    entry: usize,
    name: String,
    subject: Option<Subject>,
    prefix: String,
    before: Option<ServedPlugin>,
    /// What it offers, once it is loaded.
    offered: Option<Result<ServedPlugin, LoadError>>,
    outcome: PluginOutcome,
}

impl Arrangement {
    /// Of these plugins, in the order of the configuration. Decides what can be decided without waiting.
    pub(super) fn new(candidates: Vec<Candidate>) -> Self {
        let mut candidates: Vec<(usize, Candidate)> = candidates.into_iter().enumerate().collect();
        candidates.sort_by_key(|(_, candidate)| candidate.rank());
        let names = Names::new(candidates.iter().map(|(_, candidate)| candidate.claim()).collect());
        let mut all = Self { plugins: Vec::new(), names, at_hand: 0, loads: FuturesUnordered::new() };
        let mut there = Vec::new();
        for (place, (entry, candidate)) in candidates.into_iter().enumerate() {
            let Candidate { name, subject, prefix, before, goes_on, loading, .. } = candidate;
            let before = before.filter(|_| goes_on);
            let outcome = PluginOutcome { serving: before.clone(), ..PluginOutcome::default() };
            all.plugins.push(Arranged { entry, name, subject, prefix, before, offered: None, outcome });
            match loading {
                Loading::There(loaded) => there.push((place, loaded)),
                Loading::Here(load) => all.wait_for(place, true, load),
                Loading::Unneeded(load) | Loading::Fetched(load) => all.wait_for(place, false, load),
            }
        }
        for (place, loaded) in there {
            all.take(place, Ok(loaded));
        }
        all.decide();
        all
    }

    fn wait_for(&mut self, place: usize, was_at_hand: bool, mut load: Load) {
        self.at_hand += usize::from(was_at_hand);
        self.loads.push(Box::pin(async move {
            let there = load.wait_for(Option::is_some).await.ok().and_then(|there| (*there).clone());
            match there {
                Some(loaded) => Arrival { place, was_at_hand, loaded },
                // Nothing but the end of the process ends a load without a word: that is no failure of a plugin.
                None => std::future::pending().await,
            }
        }));
    }

    /// Arranges what is loaded as it comes, until all is decided or nobody wants to know.
    pub(super) async fn run(mut self, state: watch::Sender<Arc<LoadState>>, changed: Arc<Notify>) {
        loop {
            let arrived = tokio::select! {
                arrived = self.loads.next() => arrived,
                () = state.closed() => return,
            };
            let Some(Arrival { place, was_at_hand, loaded }) = arrived else { return };
            self.at_hand -= usize::from(was_at_hand);
            self.take(place, loaded);
            self.decide();
            state.send_replace(self.state());
            changed.notify_one();
        }
    }

    /// What has become of all plugins so far.
    pub(super) fn state(&self) -> Arc<LoadState> {
        let mut plugins: Vec<&Arranged> = self.plugins.iter().collect();
        plugins.sort_by_key(|plugin| plugin.entry);
        let outcomes: Vec<PluginOutcome> = plugins.iter().map(|plugin| plugin.outcome.clone()).collect();
        let serving = || plugins.iter().filter_map(|plugin| plugin.outcome.serving.as_ref());
        let tools = serving().flat_map(|serving| serving.tools.clone());
        let resources = serving().filter_map(|serving| serving.resources.clone());
        let with_tools = plugins.iter().filter(|plugin| plugin.subject.is_none());
        let refused = with_tools.filter_map(|plugin| plugin.outcome.error.clone());
        let catalog = Arc::new(Catalog::new(tools.collect(), resources.collect(), refused.collect()));
        Arc::new(LoadState { outcomes, catalog, names: self.names.clone(), has_all_at_hand: self.at_hand == 0 })
    }

    fn take(&mut self, place: usize, loaded: Result<Arc<Loaded>, LoadError>) {
        let Some(plugin) = self.plugins.get_mut(place) else { return };
        let offered = loaded.and_then(|loaded| plugin.offer(loaded));
        match &offered {
            Ok(serving) => self.names.wants(place, serving.names()),
            Err(_) => self.names.cannot_be_used(place),
        }
        plugin.offered = Some(offered);
    }

    fn decide(&mut self) {
        for (place, decision) in self.names.decide() {
            if let Some(plugin) = self.plugins.get_mut(place) {
                plugin.settle(decision);
            }
        }
    }
}

impl Candidate {
    fn rank(&self) -> (bool, bool, Origin, bool) {
        let is_there = matches!(self.loading, Loading::There(_));
        (self.subject.is_none(), !is_there, self.origin, self.before.is_none())
    }

    fn claim(&self) -> Claim {
        let foreseen = match self.subject {
            Some(_) => Some(Vec::new()),
            None => self.locked_tools.as_ref().map(|tools| {
                let named = |tool: &Arc<Shown>| format!("{}{}", self.prefix, tool.name);
                tools.iter().map(named).chain(self.locked_schemes.iter().cloned()).collect()
            }),
        };
        let has = self.before.as_ref().map(ServedPlugin::names).unwrap_or_default();
        Claim::new(&self.name, &self.prefix, foreseen).having(has, self.goes_on)
    }
}

impl ServedPlugin {
    fn names(&self) -> Vec<String> {
        let schemes = self.resources.iter().flat_map(|resources| resources.names());
        self.tools.iter().map(|tool| tool.name.clone()).chain(schemes).collect()
    }
}

impl Arranged {
    fn offer(&self, loaded: Arc<Loaded>) -> Result<ServedPlugin, LoadError> {
        let (tools, resources) = match self.subject {
            Some(_) => (Vec::new(), None),
            None => {
                let tools = Tool::all_of(&loaded, &self.prefix).map_err(|message| self.error(message))?;
                (tools, Resources::of(&loaded).map_err(|message| self.error(message))?)
            }
        };
        Ok(ServedPlugin { loaded, tools, resources })
    }

    fn settle(&mut self, decision: Decision) {
        let name = &self.name;
        let offered = match (decision, self.offered.take()) {
            (Decision::Gets | Decision::CannotBeUsed, Some(offered)) => offered,
            (Decision::Taken { name: scheme, by, theirs }, _) if is_scheme(&scheme) => {
                let why =
                    format!("it has resources `{scheme}`, and plugin `{by}` has `{theirs}`: leave one of the two out");
                Err(self.error(why))
            }
            (Decision::Taken { name: tool, by, theirs }, _) => {
                let how = if tool == theirs {
                    format!("and so has plugin `{by}`")
                } else {
                    format!("and plugin `{by}` has `{theirs}`, which is too much like it")
                };
                let instead = format!("set `prefix` in [plugins.{name}], such as \"{name}_\"");
                Err(self.error(format!("it has a tool `{tool}`, {how}; {instead}")))
            }
            (Decision::TooMany(most), _) => {
                Err(self.error(format!("it has too many tools: {most} can be offered in all")))
            }
            // Nothing is decided of what is not loaded.
            (Decision::Gets | Decision::CannotBeUsed, None) => return,
        };
        let (serving, error) = match offered {
            Ok(serving) => (Some(serving), None),
            Err(error) => {
                match &self.before {
                    Some(_) => tracing::error!(%error, "a changed plugin cannot be used, the one before goes on"),
                    None => tracing::error!(%error, "a plugin cannot be used"),
                }
                (self.before.take(), Some(error))
            }
        };
        self.outcome = PluginOutcome { serving, error, is_decided: true };
    }

    fn error(&self, message: String) -> LoadError {
        LoadError { plugin: self.name.clone(), message }
    }
}
