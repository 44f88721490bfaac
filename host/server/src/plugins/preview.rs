//! The list of tools while plugins are still being compiled: what `scout.lock` says of them is what they will say.

use scout_runtime::ToolDescription;

use super::tool::{MAX_NAME, MAX_TOOLS, RESERVED};
use super::{Catalog, Outcome, Plugins};

/// A tool as clients see it listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name for clients.
    pub name: String,
    /// What its plugin says of it.
    pub described: ToolDescription,
}

impl Plugins {
    /// All tools. Waits only if there is a plugin that is still being loaded and was not vetted.
    pub async fn listed(&self) -> Vec<Listed> {
        if let Some(catalog) = self.catalog_now() {
            return of(&catalog);
        }
        match self.preview() {
            Some(listed) => listed,
            None => of(&*self.catalog().await),
        }
    }

    /// All tools, as far as they are loaded or locked; `None` if nothing is known of one plugin's.
    fn preview(&self) -> Option<Vec<Listed>> {
        let mut all: Vec<Listed> = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.subject.is_none()) {
            let outcome = entry.outcome.borrow();
            let described = match (&*outcome, &entry.locked_tools) {
                (Some(Outcome { serving, .. }), _) => {
                    serving.as_ref().map_or(&[][..], |loaded| loaded.plugin().tools())
                }
                (None, Some(tools)) => tools,
                (None, None) => return None,
            };
            let named = |described: &ToolDescription| Listed {
                name: format!("{}{}", entry.prefix, described.name),
                described: described.clone(),
            };
            let tools: Vec<Listed> = described.iter().map(named).collect();
            // All of a plugin's tools or none, by the rules of the catalogue.
            let is_free = |name: &str| {
                name.len() <= MAX_NAME && !RESERVED.contains(&name) && all.iter().all(|other| other.name != name)
            };
            if all.len() + tools.len() <= MAX_TOOLS && tools.iter().all(|tool| is_free(&tool.name)) {
                all.extend(tools);
            }
        }
        Some(all)
    }
}

fn of(catalog: &Catalog) -> Vec<Listed> {
    let listed =
        |tool: &std::sync::Arc<super::Tool>| Listed { name: tool.name.clone(), described: tool.described.clone() };
    catalog.tools().iter().map(listed).collect()
}
