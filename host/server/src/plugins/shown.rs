//! A plugin's tool as clients see it: made once, when it is loaded, however often it is listed.

use std::sync::Arc;

use scout_runtime::{Effect, ToolDescription};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::client_memory::fields_size;
use scout_machine::visible;

/// What a tool takes in a list beside its texts and schemas, in bytes.
const TOOL: usize = 4 << 10;

/// What is listed of a tool, but for the prefix of its name and for what the configuration makes of its effect.
#[derive(Debug)]
pub struct Shown {
    /// Its name within its plugin.
    pub name: String,
    /// For people. What is hidden in it is made visible, as in all texts here.
    pub title: Option<String>,
    /// For the model.
    pub description: String,
    /// JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// JSON Schema of the structured answer.
    pub output_schema: Option<Arc<Map<String, Value>>>,
    /// The most that it does to a host.
    pub effect: Effect,
    /// Bytes that it takes in a list in memory, about.
    pub(crate) weight: usize,
    /// Bytes that it takes in a list as that is written, about.
    pub(crate) length: usize,
    /// Changes with everything that is shown.
    pub(crate) digest: [u8; 32],
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Shown {
    /// What is shown of what a plugin says of a tool.
    pub(crate) fn new(described: &ToolDescription) -> Arc<Self> {
        let input_schema = without_closing(widely_read(&described.input_schema));
        let output_schema = described.output_schema.as_ref().map(widely_read);
        let title = described.title.as_deref().map(|title| visible(title).into_owned());
        let description = visible(&described.description).into_owned();
        let effect = match described.effect {
            Effect::Read => "read",
            Effect::Exec => "exec",
            Effect::Write => "write",
        };
        let (input, output) = (&*input_schema, output_schema.as_deref());
        // All names in it are texts: it can be written.
        let all = serde_json::to_string(&(&described.name, &title, &description, input, output, effect));
        let text = all.unwrap_or_default();
        let schemas = [Some(&input_schema), output_schema.as_ref()].into_iter().flatten();
        Arc::new(Self {
            name: described.name.clone(),
            weight: TOOL + description.len() + schemas.map(|schema| fields_size(schema)).sum::<usize>(),
            length: TOOL + text.len(),
            digest: Sha256::digest(text.as_bytes()).into(),
            title,
            description,
            input_schema,
            output_schema,
            effect: described.effect,
        })
    }

    /// Bytes that are kept of it beside what its plugin said, about.
    pub(crate) fn kept(&self, described: &ToolDescription) -> usize {
        let own = |shown: &Arc<Map<String, Value>>, said: &Arc<Map<String, Value>>| {
            if Arc::ptr_eq(shown, said) { 0 } else { fields_size(shown) }
        };
        let output = match (&self.output_schema, &described.output_schema) {
            (Some(shown), Some(said)) => own(shown, said),
            (Some(_) | None, _) => 0,
        };
        self.description.len() + own(&self.input_schema, &described.input_schema) + output
    }
}

/// A schema that means the same and that more clients can read: several of them (what they make classes, or Gemini's
/// declarations of) know `type` as one name only, and several kinds as `anyOf`.
fn widely_read(schema: &Arc<Map<String, Value>>) -> Arc<Map<String, Value>> {
    let mut read = Map::clone(schema);
    match without_type_lists(&mut read) {
        true => Arc::new(read),
        // That of most: as it is.
        false => Arc::clone(schema),
    }
}

/// The schema of arguments without the word that there are no others: others are refused all the same, by the schema as the plugin
/// said it, and every model reads each word.
fn without_closing(mut schema: Arc<Map<String, Value>>) -> Arc<Map<String, Value>> {
    const CLOSES: &str = "additionalProperties";
    if schema.get(CLOSES) == Some(&Value::Bool(false)) {
        Arc::make_mut(&mut schema).remove(CLOSES);
    }
    schema
}

/// Keywords whose value is a schema.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Those whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Those whose value has schemas by name.
const NAMED: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Puts `anyOf` in the place of each `type` that is a list; whether there was one. A schema is as deep as its text, which
/// was read within bounds.
fn without_type_lists(schema: &mut Map<String, Value>) -> bool {
    let mut is_changed = false;
    if let Some(Value::Array(kinds)) = schema.get("type") {
        let kinds: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
        schema.remove("type");
        // Another one that is there asks something else.
        match schema.contains_key("anyOf") {
            false => drop(schema.insert("anyOf".to_owned(), Value::Array(kinds))),
            true => {
                let all = schema.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(all) = all {
                    all.push(json!({"anyOf": kinds}));
                }
            }
        }
        is_changed = true;
    }
    let mut into = |value: &mut Value| {
        if let Value::Object(schema) = value {
            is_changed |= without_type_lists(schema);
        }
    };
    for (keyword, value) in schema.iter_mut() {
        match value {
            Value::Array(schemas) if LIST.contains(&keyword.as_str()) => schemas.iter_mut().for_each(&mut into),
            Value::Object(schemas) if NAMED.contains(&keyword.as_str()) => schemas.values_mut().for_each(&mut into),
            value if ONE.contains(&keyword.as_str()) => into(value),
            _ => {}
        }
    }
    is_changed
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn several_kinds_are_written_as_clients_read_them_and_nothing_else_is_touched() {
        let schema = json!({"type": "object", "properties": {
            "type": {"type": ["string", "null"], "description": "x", "maxLength": 5},
            "rows": {"type": "array", "items": {"type": ["object", "null"], "additionalProperties": {"type": ["integer", "string"]}}},
            "both": {"type": ["integer", "null"], "anyOf": [{"minimum": 5}, {"type": ["null", "integer"]}]},
            "data": {"const": {"type": ["a", "b"]}, "enum": [{"type": ["a", "b"]}]},
        }});
        let shown = widely_read(&Arc::new(schema.as_object().cloned().unwrap()));
        assert_eq!(
            Value::Object(Map::clone(&shown)),
            json!({"type": "object", "properties": {
                "type": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "x", "maxLength": 5},
                "rows": {"type": "array", "items": {
                    "anyOf": [{"type": "object"}, {"type": "null"}],
                    "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                }},
                "both": {
                    "anyOf": [{"minimum": 5}, {"anyOf": [{"type": "null"}, {"type": "integer"}]}],
                    "allOf": [{"anyOf": [{"type": "integer"}, {"type": "null"}]}],
                },
                "data": {"const": {"type": ["a", "b"]}, "enum": [{"type": ["a", "b"]}]},
            }})
        );
        let plain = Arc::new(json!({"type": "object", "properties": {"type": {}}}).as_object().cloned().unwrap());
        assert!(Arc::ptr_eq(&plain, &widely_read(&plain)));
    }

    #[test]
    fn that_there_are_no_other_arguments_is_not_shown() {
        let shown = |schema: Value| {
            let schema = Arc::new(schema.as_object().cloned().unwrap());
            Value::Object(Map::clone(&without_closing(schema)))
        };
        let inside = json!({"properties": {"a": {"additionalProperties": false}}});
        let closed = json!({"properties": {"a": {"additionalProperties": false}}, "additionalProperties": false});
        assert_eq!(shown(closed), inside);
        let others = json!({"additionalProperties": {"type": "string"}});
        assert_eq!(shown(others.clone()), others);
    }

    #[test]
    fn the_digest_is_of_all_that_is_shown() {
        let tool = |change: fn(&mut ToolDescription)| {
            let mut described = ToolDescription {
                name: "a".to_owned(),
                title: None,
                description: String::new(),
                input_schema: Arc::default(),
                output_schema: None,
                effect: Effect::Read,
            };
            change(&mut described);
            Shown::new(&described).digest
        };
        let digests = [
            tool(|_| {}),
            tool(|it| it.name = "b".to_owned()),
            tool(|it| it.title = Some(String::new())),
            tool(|it| it.description = "b".to_owned()),
            tool(|it| it.effect = Effect::Exec),
            tool(|it| it.output_schema = Some(Arc::default())),
            tool(|it| Arc::make_mut(&mut it.input_schema).extend([("a".to_owned(), Value::Null)])),
        ];
        let unlike = digests.iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(unlike.len(), digests.len());
    }
}
