//! A plugin's tool as clients meet it: under its name here, its arguments and answers checked against its schemas.

use std::fmt;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, Validator};
use scout_runtime::{LoadError, Plugin, ToolDescription};
use serde_json::{Map, Value};

use super::Loaded;

/// Sub-schemas that a schema comes to when its references are followed. Beyond it, checking a value could take for ever.
const MAX_SCHEMAS: usize = 10_000;
/// What a regular expression of a schema may take when it is compiled, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// Mistakes that are told at once.
const MAX_MISTAKES: usize = 5;
/// The longest name of a tool with its prefix, in bytes: some clients take no more.
const MAX_NAME: usize = 64;
/// Names that no plugin's tool may have.
const RESERVED: [&str; 1] = ["scout"];
/// The longest text that tells one, in characters.
const MAX_MISTAKE: usize = 300;

/// A tool that is offered.
pub struct Tool {
    /// Its name for clients: the plugin's prefix and its own.
    pub name: String,
    /// What the plugin said of it.
    pub described: ToolDescription,
    plugin: Arc<Loaded>,
    arguments: Validator,
    answer: Option<Validator>,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tool {
    /// A tool of this plugin.
    ///
    /// # Errors
    /// A schema that cannot be used, with why.
    fn new(plugin: &Arc<Loaded>, prefix: &str, described: &ToolDescription) -> Result<Self, String> {
        let own = &described.name;
        let compiled = |what: &str, schema: &Map<String, Value>| {
            compile(schema).map_err(|why| format!("the {what} schema of its tool `{own}` cannot be used: {why}"))
        };
        Ok(Self {
            name: format!("{prefix}{own}"),
            arguments: compiled("input", &described.input_schema)?,
            answer: described.output_schema.as_ref().map(|schema| compiled("output", schema)).transpose()?,
            described: described.clone(),
            plugin: Arc::clone(plugin),
        })
    }

    /// All tools of a plugin, or none of them: half a plugin would be a riddle.
    ///
    /// # Errors
    /// Why they cannot be offered, whatever other plugins offer.
    pub(super) fn all_of(loaded: &Arc<Loaded>, prefix: &str) -> Result<Vec<Arc<Self>>, String> {
        let plugin = loaded.plugin();
        if plugin.tools().is_empty() {
            return Err("offers no tools; a handler takes the name of the one whose place it takes".to_owned());
        }
        let mut tools = Vec::new();
        for described in plugin.tools() {
            let tool = Self::new(loaded, prefix, described)?;
            let (name, id) = (&tool.name, plugin.id().as_str());
            if name.len() > MAX_NAME {
                return Err(format!("the name `{name}` is longer than {MAX_NAME} bytes: shorten the prefix"));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(format!(
                    "it has a tool `{name}`, and so has Scout itself; set `prefix` in [plugins.{id}], such as \"{id}_\""
                ));
            }
            tools.push(Arc::new(tool));
        }
        Ok(tools)
    }

    /// The plugin whose tool this is.
    pub fn plugin(&self) -> &Plugin {
        self.plugin.plugin()
    }

    /// The same, as it is called.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.plugin
    }

    /// Checks arguments against the input schema.
    ///
    /// # Errors
    /// What does not fit and where, for whoever called.
    pub fn check_arguments(&self, arguments: &Value) -> Result<(), String> {
        mistakes(&self.arguments, arguments)
            .map_or(Ok(()), |what| Err(format!("the arguments do not fit the tool `{}`: {what}", self.name)))
    }

    /// Checks a structured answer against the output schema, if the tool has one: a client may rely on it.
    ///
    /// # Errors
    /// What does not fit and where.
    pub fn check_answer(&self, structured: Option<&Map<String, Value>>) -> Result<(), String> {
        let Some(validator) = &self.answer else { return Ok(()) };
        let wrong = match structured {
            None => Some("it is missing".to_owned()),
            Some(fields) => mistakes(validator, &Value::Object(fields.clone())),
        };
        wrong.map_or(Ok(()), |what| {
            let plugin = self.plugin().id().as_str();
            Err(format!("plugin `{plugin}` broke its own output schema in `{}`: {what}", self.name))
        })
    }
}

/// A tool's schemas by themselves, for a plugin that is tried and not offered.
pub(crate) struct Schemas {
    arguments: Validator,
    answer: Option<Validator>,
}

impl Schemas {
    /// Those of this tool.
    ///
    /// # Errors
    /// A schema that cannot be used, with why.
    pub(crate) fn of(described: &ToolDescription) -> Result<Self, String> {
        let compiled = |what: &str, schema: &Map<String, Value>| {
            compile(schema).map_err(|why| format!("its {what} schema cannot be used: {why}"))
        };
        let answer = described.output_schema.as_ref().map(|schema| compiled("output", schema)).transpose()?;
        Ok(Self { arguments: compiled("input", &described.input_schema)?, answer })
    }

    /// How much is wrong with arguments, as far as that is counted; nothing: they fit.
    pub(crate) fn mistakes_in_arguments(&self, arguments: &Value) -> usize {
        /// More is not told apart.
        const COUNTED: usize = 100;
        self.arguments.iter_errors(arguments).take(COUNTED).count()
    }

    /// Whether a structured answer fits.
    ///
    /// # Errors
    /// What does not.
    pub(crate) fn check_answer(&self, structured: Option<&Map<String, Value>>) -> Result<(), String> {
        let wrong = match (&self.answer, structured) {
            (None, _) => None,
            (Some(_), None) => Some("it is missing".to_owned()),
            (Some(validator), Some(fields)) => mistakes(validator, &Value::Object(fields.clone())),
        };
        wrong.map_or(Ok(()), |what| Err(format!("broke its own output schema: {what}")))
    }
}

/// A plugin's schema, ready to be used. Fetches nothing and takes bounded time, whatever the schema says.
fn compile(schema: &Map<String, Value>) -> Result<Validator, String> {
    if schema.get("type") != Some(&Value::from("object")) {
        return Err("its `type` is not `object`".to_owned());
    }
    let schema = Value::Object(schema.clone());
    let mut left = MAX_SCHEMAS;
    follow(&schema, &schema, &mut Vec::new(), &mut left)?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN))
        .build(&schema)
        .map_err(|error| bounded(&error.to_string()))
}

/// Counts what a schema comes to when its references are followed, which must lie in the schema itself and never lead back.
fn follow<'a>(value: &'a Value, whole: &'a Value, within: &mut Vec<&'a str>, left: &mut usize) -> Result<(), String> {
    *left = left.checked_sub(1).ok_or("it is too large when its references are followed")?;
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        let target = reference
                            .strip_prefix('#')
                            .and_then(|pointer| whole.pointer(pointer))
                            .ok_or_else(|| format!("`$ref` {} is not in it", bounded(&format!("{reference:?}"))))?;
                        if within.contains(&reference.as_str()) {
                            return Err(format!("`$ref` {} leads to itself", bounded(&format!("{reference:?}"))));
                        }
                        within.push(reference);
                        follow(target, whole, within, left)?;
                        within.pop();
                    }
                    ("$dynamicRef" | "$recursiveRef" | "$id" | "$anchor" | "$dynamicAnchor", Value::String(_)) => {
                        return Err(format!("`{key}` is not supported; use `$ref` with `#/$defs/…`"));
                    }
                    // Definitions count where they are used.
                    ("$defs" | "definitions", Value::Object(_)) => {}
                    _ => follow(value, whole, within, left)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| follow(value, whole, within, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The first things that are wrong with a value, or nothing.
fn mistakes(validator: &Validator, value: &Value) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for error in validator.iter_errors(value).take(MAX_MISTAKES) {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { String::new() } else { format!("`{}`: ", bounded(&place)) };
        told.push(format!("{place}{}", bounded(&error.to_string())));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_MISTAKE).collect()
}

/// The tools of several plugins, under names that are each one's alone.
#[derive(Debug, Default)]
pub struct Catalog {
    tools: Vec<Arc<Tool>>,
    refused: Vec<LoadError>,
}

impl Catalog {
    /// With these tools, and the plugins that do not bring theirs.
    pub(super) fn new(mut tools: Vec<Arc<Tool>>, refused: Vec<LoadError>) -> Self {
        tools.sort_by(|a, b| a.plugin().id().as_str().cmp(b.plugin().id().as_str()));
        Self { tools, refused }
    }

    /// The plugins that do not bring the tools they should, with why.
    pub fn refused(&self) -> &[LoadError] {
        &self.refused
    }

    /// All tools in the order of their plugins' names, then in that of the plugin.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// The tool of this name.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(schema: Value) -> Result<Validator, String> {
        compile(schema.as_object().unwrap())
    }

    fn refusal(schema: Value) -> String {
        compiled(schema).err().unwrap()
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_with_its_place() {
        let schema = json!({"type": "object", "properties": {"lines": {"$ref": "#/$defs/lines"}},
            "$defs": {"lines": {"type": "integer", "maximum": 9}}, "additionalProperties": false});
        let validator = compiled(schema).unwrap();
        assert_eq!(mistakes(&validator, &json!({"lines": 9})), None);
        let told = mistakes(&validator, &json!({"lines": 10, "lnes": 1})).unwrap();
        assert!(told.contains("`/lines`: 10 is greater than the maximum of 9") && told.contains("lnes"), "{told}");
    }

    #[test]
    fn a_schema_that_leads_elsewhere_or_to_itself_is_refused() {
        let with = |reference: &str| json!({"type": "object", "properties": {"a": {"$ref": reference}}});
        assert!(refusal(with("https://example.org/schema")).contains("is not in it"));
        assert!(refusal(with("#/$defs/absent")).contains("is not in it"));
        assert!(refusal(with("#/properties/a")).contains("leads to itself"));
        assert!(refusal(json!({"type": "object", "$dynamicRef": "#a"})).contains("not supported"));
    }

    #[test]
    fn a_schema_whose_references_double_is_refused() {
        let mut definitions = Map::new();
        for i in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            definitions.insert(format!("d{i}"), json!({"allOf": [next, next]}));
        }
        definitions.insert("d40".to_owned(), json!({"type": "string"}));
        let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions});
        assert!(refusal(schema).contains("too large"));
    }

    #[test]
    fn what_is_no_schema_of_an_object_is_refused() {
        assert!(refusal(json!({})).contains("`type`"));
        assert!(compiled(json!({"type": "object", "properties": {"a": {"type": "strnig"}}})).is_err());
        assert!(compiled(json!({"type": "object", "properties": {"a": {"pattern": "(x{1000}){1000}"}}})).is_err());
    }
}
