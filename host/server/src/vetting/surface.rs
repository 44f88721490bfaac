//! What a plugin shows of itself: what it imports and exports, what it answers, its tools. Compared between two versions.

use std::sync::Arc;

use scout_runtime::{Effect, Externs, HandlerDescription, Plugin, Subject, ToolDescription};
use serde::{Deserialize, Serialize};

use crate::config::Digest;

/// All that is known of a plugin from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surface {
    /// Interfaces that it imports, sorted.
    pub imports: Vec<String>,
    /// Interfaces that it exports, sorted.
    pub exports: Vec<String>,
    /// If it is a handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<Handler>,
    /// Its tools, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
}

/// A handler's description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handler {
    /// One line.
    pub summary: String,
    /// `hosts`, `file`, `directory`, `command`.
    pub subjects: Vec<String>,
}

/// A tool's description. Schemas are JSON as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its own name, without a prefix.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For the model.
    pub description: String,
    /// `read`, `exec`, `write`.
    pub effect: String,
    /// Of its arguments.
    pub input_schema: String,
    /// Of its structured answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<String>,
}

impl Surface {
    /// That of a loaded plugin.
    pub fn of(externs: &Externs, plugin: &Plugin) -> Self {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        Self {
            imports: sorted(&externs.imports),
            exports: sorted(&externs.exports),
            handler: plugin.handler().map(Handler::of),
            tools: plugin.tools().iter().map(Tool::of).collect(),
        }
    }

    /// A digest of all of it.
    pub fn fingerprint(&self) -> Digest {
        // The order of the fields is that of the types. Strings and lists always become JSON.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether a plugin describes itself as this does.
    pub fn describes(&self, plugin: &Plugin) -> bool {
        self.handler == plugin.handler().map(Handler::of)
            && self.tools == plugin.tools().iter().map(Tool::of).collect::<Vec<_>>()
    }

    /// The tools as the runtime has them: for `tools/list`, before anything is compiled.
    ///
    /// # Errors
    /// A description that no plugin can have given.
    pub fn described_tools(&self) -> Result<Vec<ToolDescription>, String> {
        self.tools.iter().map(Tool::described).collect()
    }
}

impl Handler {
    fn of(described: &HandlerDescription) -> Self {
        let name = |subject: &Subject| subject.name().to_owned();
        Self { summary: described.summary.clone(), subjects: described.subjects.iter().map(name).collect() }
    }
}

/// Effects, the least first.
const EFFECTS: [(&str, Effect); 3] = [("read", Effect::Read), ("exec", Effect::Exec), ("write", Effect::Write)];

impl Tool {
    fn of(described: &ToolDescription) -> Self {
        let schema =
            |schema: &serde_json::Map<String, serde_json::Value>| serde_json::to_string(schema).unwrap_or_default();
        let effect = EFFECTS.iter().find(|(_, effect)| *effect == described.effect).map_or("write", |(name, _)| name);
        Self {
            name: described.name.clone(),
            title: described.title.clone(),
            description: described.description.clone(),
            effect: effect.to_owned(),
            input_schema: schema(&described.input_schema),
            output_schema: described.output_schema.as_deref().map(schema),
        }
    }

    fn described(&self) -> Result<ToolDescription, String> {
        let wrong = |what: &str| format!("the {what} of the tool `{}` cannot be read", self.name);
        let schema = |text: &str| serde_json::from_str(text).map(Arc::new).map_err(|_| wrong("schema"));
        Ok(ToolDescription {
            name: self.name.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            input_schema: schema(&self.input_schema)?,
            output_schema: self.output_schema.as_deref().map(schema).transpose()?,
            effect: self
                .rank()
                .and_then(|rank| EFFECTS.get(rank))
                .map(|(_, effect)| *effect)
                .ok_or_else(|| wrong("effect"))?,
        })
    }

    /// How much it does; `None` for what is no effect.
    fn rank(&self) -> Option<usize> {
        EFFECTS.iter().position(|(name, _)| *name == self.effect)
    }
}

/// What differs between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What the new one may or asks for beyond the old one, and what it tells models in other words: to be agreed to.
    pub wider: Vec<String>,
    /// What else is new or gone.
    pub other: Vec<String>,
}

impl Changes {
    /// From `old` to `new`.
    pub fn between(old: &Surface, new: &Surface) -> Self {
        let mut changes = Self::default();
        changes.names("imports", &old.imports, &new.imports);
        changes.names("exports", &old.exports, &new.exports);
        let subjects =
            |surface: &Surface| surface.handler.as_ref().map(|handler| handler.subjects.clone()).unwrap_or_default();
        changes.names("answers", &subjects(old), &subjects(new));
        if let (Some(before), Some(after)) = (&old.handler, &new.handler)
            && before.summary != after.summary
        {
            changes.other.push(reworded("summary of the handler", &before.summary, &after.summary));
        }
        for tool in &new.tools {
            match old.tools.iter().find(|other| other.name == tool.name) {
                None => changes.wider.push(format!("has a new tool `{}` ({})", tool.name, tool.effect)),
                Some(before) => changes.tool(before, tool),
            }
        }
        for tool in old.tools.iter().filter(|tool| !new.tools.iter().any(|other| other.name == tool.name)) {
            changes.other.push(format!("the tool `{}` is gone", tool.name));
        }
        changes
    }

    /// Compares lists of names.
    pub fn names(&mut self, verb: &str, old: &[String], new: &[String]) {
        self.wider.extend(new.iter().filter(|name| !old.contains(name)).map(|name| format!("now {verb} {name}")));
        self.other.extend(old.iter().filter(|name| !new.contains(name)).map(|name| format!("no longer {verb} {name}")));
    }

    fn tool(&mut self, old: &Tool, new: &Tool) {
        let name = &new.name;
        if new.rank() > old.rank() {
            self.wider.push(format!("the tool `{name}` now does more: {} instead of {}", new.effect, old.effect));
        } else if new.rank() < old.rank() {
            self.other.push(format!("the tool `{name}` now does less: {} instead of {}", new.effect, old.effect));
        }
        let texts = [
            ("title", old.title.as_deref().unwrap_or_default(), new.title.as_deref().unwrap_or_default()),
            ("description", &old.description, &new.description),
            ("input schema", &old.input_schema, &new.input_schema),
            (
                "output schema",
                old.output_schema.as_deref().unwrap_or_default(),
                new.output_schema.as_deref().unwrap_or_default(),
            ),
        ];
        // A model reads them as instructions.
        for (what, old, new) in texts.into_iter().filter(|(_, old, new)| old != new) {
            self.wider.push(reworded(&format!("{what} of `{name}`"), old, new));
        }
    }
}

/// A text that changed, old and new, escaped. Of a long one the part that differs, with what stands round it.
fn reworded(what: &str, old: &str, new: &str) -> String {
    /// What is shown of the same text before and after the difference, in characters.
    const AROUND: usize = 60;
    /// The most that is shown of a difference; the report has all of the new text.
    const SHOWN: usize = 1000;
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let before = alike(old.iter().zip(&new));
    let after = alike(old.iter().rev().zip(new.iter().rev())).min(old.len().min(new.len()) - before);
    let part = |text: &[char]| {
        let (from, to) = (before.saturating_sub(AROUND), (text.len() - after + AROUND).min(text.len()));
        let shown: String = text.iter().take(to).skip(from).take(SHOWN).collect();
        let left_out = |there: bool| if there { "…" } else { "" };
        format!("{}{shown:?}{}", left_out(from > 0), left_out(from + SHOWN.min(to - from) < text.len()))
    };
    format!("the {what} was {} and is {}", part(&old), part(&new))
}

/// How many pairs of the same come first.
fn alike<'a>(pairs: impl Iterator<Item = (&'a char, &'a char)>) -> usize {
    pairs.take_while(|(old, new)| old == new).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, effect: &str, description: &str) -> Tool {
        Tool {
            name: name.to_owned(),
            title: None,
            description: description.to_owned(),
            effect: effect.to_owned(),
            input_schema: "{}".to_owned(),
            output_schema: None,
        }
    }

    fn surface(imports: &[&str], tools: &[Tool]) -> Surface {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        Surface { imports, exports: vec!["tools".to_owned()], handler: None, tools: tools.to_vec() }
    }

    #[test]
    fn each_thing_that_is_more_is_wider_and_nothing_else_is() {
        let old = surface(&["files"], &[tool("a", "read", "x"), tool("b", "exec", "x")]);
        let table = [
            (surface(&["files", "exec"], &old.tools), 1, 0),
            (surface(&[], &old.tools), 0, 1),
            (surface(&["files"], &[tool("a", "exec", "x"), tool("b", "exec", "x")]), 1, 0),
            (surface(&["files"], &[tool("a", "read", "x"), tool("b", "read", "x")]), 0, 1),
            (surface(&["files"], &[tool("a", "read", "y"), tool("b", "exec", "x")]), 1, 0),
            (surface(&["files"], &[tool("a", "read", "x"), tool("c", "read", "x")]), 1, 1),
            (old.clone(), 0, 0),
        ];
        for (new, wider, other) in table {
            let changes = Changes::between(&old, &new);
            assert_eq!((changes.wider.len(), changes.other.len()), (wider, other), "{changes:?}");
            assert_eq!(new == old, new.fingerprint() == old.fingerprint());
        }
    }

    #[test]
    fn whatever_a_model_reads_in_other_words_is_wider() {
        let old = surface(&[], &[tool("a", "read", "x")]);
        for change in [
            (|t: &mut Tool| t.title = Some("Read this first".to_owned())) as fn(&mut Tool),
            |t| t.description = "y".to_owned(),
            |t| t.input_schema = "{\"description\":\"y\"}".to_owned(),
            |t| t.output_schema = Some("{\"description\":\"y\"}".to_owned()),
        ] {
            let mut new = old.clone();
            new.tools.iter_mut().for_each(change);
            let changes = Changes::between(&old, &new);
            assert_eq!((changes.wider.len(), changes.other.len()), (1, 0), "{changes:?}");
        }
    }

    #[test]
    fn a_changed_text_is_shown_escaped_where_it_differs() {
        assert_eq!(reworded("title of `a`", "", "x\u{202e}\n"), "the title of `a` was \"\" and is \"x\\u{202e}\\n\"");
        assert_eq!(reworded("it", "aaa", "aa"), "the it was \"aaa\" and is \"aa\"");
        let (head, tail) = ("h".repeat(500), "t".repeat(500));
        let (old, new) = (format!("{head}old{tail}"), format!("{head}and send it to mallory{tail}"));
        let told = reworded("description of `a`", &old, &new);
        assert!(told.contains("hold") && told.contains("…\"hhh") && told.contains("and send it to mallory"), "{told}");
        assert!(told.len() < 600, "{told}");
        let long = reworded("it", "", &"z".repeat(64 << 10));
        assert!(long.len() < 1200 && long.ends_with("z\"…"), "{long}");
    }

    #[test]
    fn the_fingerprint_is_of_every_field() {
        let one = surface(&["files"], &[tool("a", "read", "x")]);
        let mut prints = vec![one.fingerprint()];
        let mut changed = |change: &dyn Fn(&mut Surface)| {
            let mut other = one.clone();
            change(&mut other);
            prints.push(other.fingerprint());
        };
        changed(&|s| s.imports.clear());
        changed(&|s| s.exports.clear());
        changed(&|s| s.handler = Some(Handler { summary: String::new(), subjects: Vec::new() }));
        changed(&|s| s.tools.clear());
        for change in [
            (|t: &mut Tool| t.name = "z".to_owned()) as fn(&mut Tool),
            |t| t.title = Some(String::new()),
            |t| t.description = "z".to_owned(),
            |t| t.effect = "write".to_owned(),
            |t| t.input_schema = "{\"a\":1}".to_owned(),
            |t| t.output_schema = Some("{}".to_owned()),
        ] {
            changed(&|s| s.tools.iter_mut().for_each(change));
        }
        let count = prints.len();
        prints.sort();
        prints.dedup();
        assert_eq!(prints.len(), count);
    }
}
