//! What a plugin shows of itself: what it imports and exports, what it answers, its tools. Compared between two versions.

use std::sync::Arc;

use scout_runtime::{
    Effect, Externs, HandlerDescription, Plugin, Subject, TemplateDescription, ToolDescription, UriTemplate,
};
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
    /// Its templates of resources, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Template>,
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

/// The description of a template of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its own name.
    pub name: String,
    /// Which URIs it stands for.
    pub uri: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// One line.
    pub description: String,
    /// Of what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whether it is listed for each host.
    #[serde(default, skip_serializing_if = "is_false")]
    pub each_host: bool,
    /// `read`, `exec`.
    pub effect: String,
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
            templates: plugin.templates().iter().map(Template::of).collect(),
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
            && self.templates == plugin.templates().iter().map(Template::of).collect::<Vec<_>>()
    }

    /// The templates of resources as the runtime has them.
    ///
    /// # Errors
    /// A description that no plugin can have given.
    pub fn described_templates(&self) -> Result<Vec<TemplateDescription>, String> {
        self.templates.iter().map(Template::described).collect()
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

fn effect_name(effect: Effect) -> String {
    EFFECTS.iter().find(|(_, known)| *known == effect).map_or("write", |(name, _)| name).to_owned()
}

/// How much an effect does; `None` for what is none.
fn rank(effect: &str) -> Option<usize> {
    EFFECTS.iter().position(|(name, _)| *name == effect)
}

fn effect_named(effect: &str) -> Option<Effect> {
    rank(effect).and_then(|rank| EFFECTS.get(rank)).map(|(_, effect)| *effect)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Template {
    fn of(described: &TemplateDescription) -> Self {
        Self {
            name: described.name.clone(),
            uri: described.uri.text().to_owned(),
            title: described.title.clone(),
            description: described.description.clone(),
            media_type: described.media_type.clone(),
            each_host: described.is_of_each_host,
            effect: effect_name(described.effect),
        }
    }

    fn described(&self) -> Result<TemplateDescription, String> {
        let wrong = |what: &str| format!("the {what} of the template `{}` cannot be read", self.name);
        Ok(TemplateDescription {
            name: self.name.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            uri: Arc::new(UriTemplate::parse(&self.uri).map_err(|_| wrong("URI"))?),
            media_type: self.media_type.clone(),
            is_of_each_host: self.each_host,
            effect: effect_named(&self.effect).ok_or_else(|| wrong("effect"))?,
        })
    }
}

impl Tool {
    fn of(described: &ToolDescription) -> Self {
        let schema =
            |schema: &serde_json::Map<String, serde_json::Value>| serde_json::to_string(schema).unwrap_or_default();
        Self {
            name: described.name.clone(),
            title: described.title.clone(),
            description: described.description.clone(),
            effect: effect_name(described.effect),
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
            effect: effect_named(&self.effect).ok_or_else(|| wrong("effect"))?,
        })
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
        for template in &new.templates {
            match old.templates.iter().find(|other| other.name == template.name) {
                None => changes.wider.push(format!("has new resources `{}` ({})", template.uri, template.effect)),
                Some(before) => changes.template(before, template),
            }
        }
        let is_gone = |template: &&Template| !new.templates.iter().any(|other| other.name == template.name);
        for template in old.templates.iter().filter(is_gone) {
            changes.other.push(format!("the resources `{}` are gone", template.uri));
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
        self.effect(&format!("the tool `{name}`"), &old.effect, &new.effect);
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

    fn template(&mut self, old: &Template, new: &Template) {
        let name = &new.name;
        self.effect(&format!("reading `{}`", new.uri), &old.effect, &new.effect);
        let texts = [
            ("URI", old.uri.as_str(), new.uri.as_str()),
            ("title", old.title.as_deref().unwrap_or_default(), new.title.as_deref().unwrap_or_default()),
            ("description", &old.description, &new.description),
            (
                "media type",
                old.media_type.as_deref().unwrap_or_default(),
                new.media_type.as_deref().unwrap_or_default(),
            ),
        ];
        for (what, old, new) in texts.into_iter().filter(|(_, old, new)| old != new) {
            self.wider.push(reworded(&format!("{what} of the template `{name}`"), old, new));
        }
        if old.each_host != new.each_host {
            let how = if new.each_host { "now" } else { "no longer" };
            self.other.push(format!("`{}` is {how} listed for each host", new.uri));
        }
    }

    fn effect(&mut self, what: &str, old: &str, new: &str) {
        let (before, after) = (rank(old), rank(new));
        if after > before {
            self.wider.push(format!("{what} now does more: {new} instead of {old}"));
        } else if after < before {
            self.other.push(format!("{what} now does less: {new} instead of {old}"));
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
        Surface {
            imports,
            exports: vec!["tools".to_owned()],
            handler: None,
            tools: tools.to_vec(),
            templates: Vec::new(),
        }
    }

    fn template(name: &str, uri: &str, effect: &str) -> Template {
        let (name, uri, effect) = (name.to_owned(), uri.to_owned(), effect.to_owned());
        Template { name, uri, title: None, description: "x".to_owned(), media_type: None, each_host: false, effect }
    }

    #[test]
    fn each_resource_that_is_more_and_each_word_that_is_new_is_wider() {
        let of = |templates: &[Template]| Surface { templates: templates.to_vec(), ..surface(&[], &[]) };
        let (list, logs) =
            (template("list", "docker://{host}", "read"), template("logs", "docker://{host}/logs", "exec"));
        let old = of(&[list.clone(), logs.clone()]);
        for (change, wider, other) in [
            ((|t| t.uri = "podman://{host}".to_owned()) as fn(&mut Template), 1, 0),
            (|t| t.title = Some("y".to_owned()), 1, 0),
            (|t| t.description = "y".to_owned(), 1, 0),
            (|t| t.media_type = Some("text/html".to_owned()), 1, 0),
            (|t| t.effect = "exec".to_owned(), 1, 0),
            (|t| t.each_host = true, 0, 1),
            (|t| t.name = "other".to_owned(), 1, 1),
        ] {
            let mut new = old.clone();
            new.templates.iter_mut().take(1).for_each(change);
            let changes = Changes::between(&old, &new);
            assert_eq!((changes.wider.len(), changes.other.len()), (wider, other), "{changes:?}");
            assert_ne!(old.fingerprint(), new.fingerprint());
        }
        let fewer = Changes::between(&old, &of(&[list]));
        assert_eq!(fewer.other, ["the resources `docker://{host}/logs` are gone"]);
        let described = old.described_templates().unwrap_or_default();
        assert_eq!(described.iter().map(Template::of).collect::<Vec<_>>(), old.templates);
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
