//! The list of tools as a client is given it.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{ListToolsResult, Tool, ToolAnnotations};
use scout_runtime::{Effect, MAX_MESSAGE};
use sha2::{Digest as _, Sha256};

use super::scout_tool;
use crate::plugins::{Listed, Shown};
use crate::revision::Revision;

/// What `scout` takes in a list, in bytes, at most.
const SCOUT: usize = 8 << 10;
/// Bytes of tools in one page of the list, as they are written. All that most servers have.
const PAGE: usize = MAX_MESSAGE - (64 << 10);

/// What tells two lists of tools apart.
pub(super) type Fingerprint = [u8; 32];

/// All tools, as far as they are known now.
pub(super) struct ToolList {
    scout: Tool,
    plugins: Vec<Listed>,
    /// Whether some host runs whatever it is asked for.
    runs_anything: bool,
    /// Whether something may be copied somewhere.
    copies: bool,
}

impl ToolList {
    pub(super) fn of(revision: &Revision) -> Self {
        let (runs_anything, copies) = (revision.runs_anything(), revision.copies());
        let mut scout = Tool::clone(scout_tool::tool(copies));
        scout.annotations = Some(hints(if copies { Effect::Write } else { Effect::Exec }, runs_anything));
        Self { scout, plugins: revision.plugins.listed(), runs_anything, copies }
    }

    /// What it takes in memory, in bytes, about.
    pub(super) fn weight(&self) -> usize {
        SCOUT + self.plugins.iter().map(|tool| tool.shown.weight).sum::<usize>()
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let all = Sha256::new().chain_update([u8::from(self.runs_anything), u8::from(self.copies)]);
        let all = self.plugins.iter().fold(all, |all, tool| {
            let length = u64::try_from(tool.name.len()).unwrap_or(u64::MAX);
            all.chain_update(length.to_be_bytes()).chain_update(&tool.name).chain_update(tool.shown.digest)
        });
        all.finalize().into()
    }

    pub(super) fn tool(&self, name: &str) -> Option<Tool> {
        if name == self.scout.name {
            return Some(self.scout.clone());
        }
        self.plugins.iter().find(|tool| tool.name == name).map(|tool| self.plugin_tool(&tool.name, &tool.shown))
    }

    /// The tools from the one that the cursor names, or all, as far as they fit into one message.
    ///
    /// # Errors
    /// A cursor that was never given.
    pub(super) fn page(&self, cursor: Option<&str>) -> Result<ListToolsResult, ErrorData> {
        let from = match cursor {
            None => 0,
            Some(cursor) => self.plugins.iter().position(|tool| tool.name == cursor).ok_or_else(|| {
                ErrorData::invalid_params(
                    "`cursor` is not one of this list: it may have changed; ask without one",
                    None,
                )
            })?,
        };
        let (mut tools, mut length, mut next) = (Vec::new(), 0, None);
        if cursor.is_none() {
            tools.push(self.scout.clone());
            length += SCOUT;
        }
        for tool in self.plugins.iter().skip(from) {
            length += tool.shown.length;
            if length > PAGE && !tools.is_empty() {
                next = Some(tool.name.clone());
                break;
            }
            tools.push(self.plugin_tool(&tool.name, &tool.shown));
        }
        let mut page = ListToolsResult::with_all_items(tools);
        page.next_cursor = next;
        Ok(page)
    }

    fn plugin_tool(&self, name: &str, shown: &Shown) -> Tool {
        let schema = Arc::clone(&shown.input_schema);
        let mut tool = Tool::new(name.to_owned(), shown.description.clone(), schema);
        tool.title.clone_from(&shown.title);
        tool.output_schema.clone_from(&shown.output_schema);
        tool.annotations = Some(hints(shown.effect, self.runs_anything));
        tool
    }
}

/// What a tool of this effect can do at worst, as the operator has configured the hosts.
fn hints(effect: Effect, runs_anything: bool) -> ToolAnnotations {
    let destructive = match effect {
        Effect::Read => false,
        Effect::Exec => runs_anything,
        Effect::Write => true,
    };
    ToolAnnotations::default().read_only(effect == Effect::Read).destructive(destructive).open_world(true)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use scout_runtime::ToolDescription;
    use serde_json::{Value, json};

    use super::*;

    fn listed(name: &str, description: usize) -> Listed {
        let described = ToolDescription {
            name: name.to_owned(),
            title: None,
            description: "\"".repeat(description),
            input_schema: Arc::new(json!({"type": "object"}).as_object().cloned().unwrap()),
            output_schema: None,
            effect: Effect::Read,
        };
        Listed { name: name.to_owned(), shown: Shown::new(&described) }
    }

    #[test]
    fn a_list_that_is_longer_than_a_message_comes_in_pages_that_are_not() {
        let plugins: Vec<Listed> = (0..9).map(|n| listed(&format!("t{n}"), 1 << 20)).collect();
        let list = ToolList { scout: scout_tool::tool(true).clone(), plugins, runs_anything: false, copies: true };
        let (mut names, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = serde_json::to_value(list.page(cursor.as_deref()).unwrap()).unwrap();
            assert!(page.to_string().len() <= MAX_MESSAGE);
            names
                .extend(page["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
            pages += 1;
            match page.get("nextCursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(names, ["scout", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"]);
        assert_eq!(pages, 3);
        assert!(list.page(Some("t10")).is_err());
    }

    #[test]
    fn scout_itself_takes_no_more_than_is_counted_for_it() {
        assert!(serde_json::to_string(scout_tool::tool(true)).unwrap().len() <= SCOUT);
    }
}
