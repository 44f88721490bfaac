//! The list of tools while plugins are still being loaded: what `scout.lock` says of them is what they will say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::arrange::LoadState;
use super::names::alike;
use super::{Catalog, Plugins, Shown};

/// How long whoever asks for the list waits for what is fetched and was not vetted: a client that looks only once sees what
/// comes as fast as most does.
const SHORTLY: Duration = Duration::from_secs(2);

/// A tool as clients see it listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name for clients.
    pub name: String,
    /// What is shown of it.
    pub shown: Arc<Shown>,
}

/// Tells of each change of [`Plugins::listed`], and of some that are none.
pub(crate) struct ListChanges(watch::Receiver<Arc<LoadState>>);

impl ListChanges {
    /// Waits for the next change. Never ends if there can be none.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Plugins {
    /// All tools, as far as they are loaded or locked.
    pub fn listed(&self) -> Vec<Listed> {
        let state = self.state.borrow();
        // Under the name of their plugin: all lists have the order of the catalogue.
        let mut all: Vec<(&str, Listed)> = state
            .catalog
            .tools()
            .iter()
            .map(|tool| {
                (tool.plugin().id().as_str(), Listed { name: tool.name.clone(), shown: Arc::clone(&tool.shown) })
            })
            .collect();
        for (entry, outcome) in self.entries.iter().zip(&state.outcomes) {
            if outcome.is_decided || outcome.serving.is_some() {
                continue;
            }
            let locked = entry.locked_tools.iter().flatten();
            let tools: Vec<Listed> = locked
                .map(|shown| Listed { name: format!("{}{}", entry.prefix, shown.name), shown: Arc::clone(shown) })
                .collect();
            // All of a plugin's tools or none, as it will be.
            if tools.iter().all(|tool| all.iter().all(|(_, other)| !alike(&other.name, &tool.name))) {
                all.extend(tools.into_iter().map(|tool| (entry.name.as_str(), tool)));
            }
        }
        all.sort_by_key(|(plugin, _)| *plugin);
        all.into_iter().map(|(_, tool)| tool).collect()
    }

    /// Waits until it is known of all plugins which tools they have, for what must be fetched only shortly.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub(crate) async fn known(&self, deadline: Instant) {
        let shortly = deadline.min(Instant::now() + SHORTLY);
        let known = |state: &LoadState| {
            self.entries.iter().zip(&state.outcomes).all(|(entry, outcome)| {
                entry.subject.is_some()
                    || outcome.is_decided
                    || outcome.serving.is_some()
                    || entry.locked_tools.is_some()
            })
        };
        drop(timeout_at(deadline, self.once(|state| state.has_all_at_hand || known(state))).await);
        drop(timeout_at(shortly, self.once(known)).await);
    }

    /// The catalogue, once it is known of all plugins which resources they have, for what must be fetched only shortly.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting and nothing else.
    pub(crate) async fn with_resources(&self, deadline: Instant) -> Arc<Catalog> {
        let shortly = deadline.min(Instant::now() + SHORTLY);
        let known = |state: &LoadState| {
            let mut all = self.entries.iter().zip(&state.outcomes);
            all.all(|(entry, outcome)| entry.subject.is_some() || outcome.is_decided || outcome.serving.is_some())
        };
        drop(timeout_at(deadline, self.once(|state| state.has_all_at_hand || known(state))).await);
        drop(timeout_at(shortly, self.once(known)).await);
        self.catalog_now()
    }

    /// Whether the list of tools stays as it is.
    pub(crate) fn is_decided(&self) -> bool {
        // Handlers list nothing.
        let state = self.state.borrow();
        self.entries.iter().zip(&state.outcomes).all(|(entry, outcome)| entry.subject.is_some() || outcome.is_decided)
    }

    /// Changes of the list of tools from now on.
    pub(crate) fn changes(&self) -> ListChanges {
        let mut state = self.state.clone();
        state.mark_unchanged();
        ListChanges(state)
    }
}
