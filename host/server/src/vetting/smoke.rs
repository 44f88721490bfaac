//! A plugin tried with hostile input, where no host is in reach: what it does with text that nobody expects.
//!
//! Every tool is called with arguments that fit its schema, once as they are and once with each nasty text in the place of
//! each string; a handler with paths and commands of that kind. Deterministic: the same plugin is asked the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use scout_runtime::{CallContext, CallError, CallErrorKind, Fleet, Limits, Plugin, Query, Subject};
use scout_ssh::{Call, Pool, PoolConfig, Principal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::plugins::Schemas;
use crate::render::render;

/// Calls of one tool or subject.
const MAX_CALLS: usize = 40;
/// One call.
const CALL: Duration = Duration::from_secs(10);
/// All of them together; what is not tried by then is told.
const ALL: Duration = Duration::from_secs(30);
/// How deep a schema is followed.
const MAX_DEPTH: usize = 8;

/// Text that plugins are not prepared for.
const NASTY: [&str; 12] = [
    "",
    "nowhere",
    "../../../../etc/shadow",
    "a\u{0}b",
    "'; rm -rf / #",
    "$(id)`id`",
    "--help\n-rf",
    "%s%n%x {{7*7}} ${jndi:x}",
    "\u{202e}\u{feff}\u{200b}",
    "\u{1f980}\u{301}\u{10ffff}",
    "\u{1b}[2J\u{7}\r",
    "[[[[[[[[{\"a\":",
];
/// A text that fills a page or two.
const LONG: usize = 64 << 10;

/// What came of trying one tool or subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tried {
    /// Its name.
    pub name: String,
    /// How often it was called.
    pub calls: usize,
    /// How often it answered.
    pub answers: usize,
    /// How often it said that it cannot: the normal case without hosts.
    pub refusals: usize,
    /// What it should not have done: crashed, used up a budget, broke its own schema.
    pub faults: Vec<String>,
    /// Why it was not tried as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
}

/// Tries all tools of a plugin, or all subjects of a handler. Takes at most 30 s and one call more.
pub(super) async fn run(plugin: &Plugin) -> Vec<Tried> {
    let bench = Bench {
        fleet: Arc::new(Fleet::new(Vec::new(), Pool::new(PoolConfig::default()))),
        limits: Arc::new(Limits::default()),
        until: Instant::now() + ALL,
    };
    let mut all = Vec::new();
    for described in plugin.tools() {
        let mut tried = Tried { name: described.name.clone(), ..Tried::default() };
        match Schemas::of(described) {
            Err(why) => tried.faults.push(why),
            Ok(schemas) => bench.tool(plugin, &described.input_schema, &schemas, &mut tried).await,
        }
        all.push(tried);
    }
    for subject in plugin.handler().map(|handler| handler.subjects.clone()).unwrap_or_default() {
        let mut tried = Tried { name: format!("{subject:?}").to_lowercase(), ..Tried::default() };
        bench.subject(plugin, subject, &mut tried).await;
        all.push(tried);
    }
    bench.fleet.pool().shutdown().await;
    all
}

struct Bench {
    fleet: Arc<Fleet>,
    limits: Arc<Limits>,
    until: Instant,
}

impl Bench {
    async fn tool(&self, plugin: &Plugin, schema: &Map<String, Value>, schemas: &Schemas, tried: &mut Tried) {
        let whole = Value::Object(schema.clone());
        let base = fitting(&whole, &whole, MAX_DEPTH);
        if schemas.check_arguments(&base).is_err() {
            tried.untried = Some("no arguments that fit its schema could be made up".to_owned());
            return;
        }
        let mut given = vec![base.clone()];
        let mut places = Vec::new();
        strings(&base, String::new(), &mut places);
        let long = "A".repeat(LONG);
        for nasty in NASTY.into_iter().chain([long.as_str()]) {
            for place in &places {
                let mut arguments = base.clone();
                if let Some(value) = arguments.pointer_mut(place) {
                    *value = Value::from(nasty);
                }
                // Others reach no plugin.
                if schemas.check_arguments(&arguments).is_ok() && !given.contains(&arguments) {
                    given.push(arguments);
                }
            }
        }
        for arguments in given.into_iter().take(MAX_CALLS) {
            if self.is_over(tried) {
                return;
            }
            let called = plugin.call_tool(self.context(), &tried.name, &arguments.to_string()).await;
            let replied = called.map(|(answer, receipt)| render(answer, receipt));
            let broken = match &replied {
                Ok(reply) if !reply.is_error => schemas.check_answer(reply.structured.as_ref()).err(),
                Ok(_) | Err(_) => None,
            };
            note(tried, replied.map(|reply| reply.is_error), broken, &arguments);
        }
    }

    async fn subject(&self, plugin: &Plugin, subject: Subject, tried: &mut Tried) {
        let long = "A".repeat(LONG);
        for nasty in NASTY.into_iter().chain([long.as_str()]) {
            if self.is_over(tried) {
                return;
            }
            let query = Query {
                subject,
                host: (subject != Subject::Hosts).then(|| "nowhere".to_owned()),
                path: (subject != Subject::Hosts).then(|| nasty.as_bytes().to_vec()),
                command: (subject == Subject::Command).then(|| nasty.to_owned()),
            };
            let shown = json!({"path": nasty});
            let called = plugin.handle(self.context(), query).await;
            note(tried, called.map(|(answer, _)| answer.is_error), None, &shown);
        }
    }

    fn context(&self) -> CallContext {
        let call = Call::until(tokio::time::Instant::now() + CALL);
        CallContext::new(Principal::new("vetting"), Arc::clone(&self.fleet), Arc::clone(&self.limits), call)
    }

    fn is_over(&self, tried: &mut Tried) -> bool {
        let is_over = Instant::now() >= self.until;
        if is_over {
            tried.untried = Some(format!("not all of it within {} s", ALL.as_secs()));
        }
        is_over
    }
}

fn note(tried: &mut Tried, called: Result<bool, CallError>, broken: Option<String>, arguments: &Value) {
    /// Faults that are told; each more says nothing new.
    const TOLD: usize = 5;
    tried.calls += 1;
    let fault = match called {
        Ok(true) => {
            tried.refusals += 1;
            None
        }
        Ok(false) => {
            tried.answers += 1;
            broken
        }
        Err(error) => match error.kind {
            CallErrorKind::Failed => {
                tried.refusals += 1;
                None
            }
            CallErrorKind::Plugin
            | CallErrorKind::Timeout
            | CallErrorKind::Cancelled
            | CallErrorKind::Busy
            | CallErrorKind::Internal => Some(error.message),
        },
    };
    if let Some(fault) = fault
        && tried.faults.len() < TOLD
    {
        let arguments: String = arguments.to_string().chars().take(200).collect();
        tried.faults.push(format!("{fault}; with {arguments}"));
    }
}

/// A value that fits a schema, as far as that is easily said; whoever uses it checks it.
fn fitting(schema: &Value, whole: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| whole.pointer(pointer));
        return target.map_or(Value::Null, |target| fitting(target, whole, depth));
    }
    let first = |key: &str| schema.get(key)?.as_array()?.first();
    if let Some(value) =
        schema.get("const").or_else(|| first("enum")).or_else(|| schema.get("default")).or_else(|| first("examples"))
    {
        return value.clone();
    }
    if let Some(one) = first("anyOf").or_else(|| first("oneOf")).or_else(|| first("allOf"))
        && schema.get("type").is_none()
    {
        return fitting(one, whole, depth);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first(),
        other => other,
    };
    let least = |key: &str| schema.get(key).and_then(Value::as_u64).unwrap_or(0);
    match kind.and_then(Value::as_str) {
        Some("object") => {
            let mut fields = Map::new();
            let properties = schema.get("properties").and_then(Value::as_object);
            // All of them, also those that may be absent: what is not given is not tried.
            for (name, property) in properties.into_iter().flatten() {
                fields.insert(name.clone(), fitting(property, whole, depth));
            }
            Value::Object(fields)
        }
        Some("array") => {
            let item = schema.get("items").map_or(Value::Null, |items| fitting(items, whole, depth));
            let count = usize::try_from(least("minItems").clamp(1, 16)).unwrap_or(1);
            Value::Array(vec![item; count])
        }
        Some("integer" | "number") => {
            let above = schema.get("exclusiveMinimum").and_then(Value::as_i64).map(|bound| bound.saturating_add(1));
            let smallest = schema.get("minimum").and_then(Value::as_i64).or(above);
            let largest = schema.get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
            Value::from(smallest.unwrap_or(1).min(largest))
        }
        Some("boolean") => Value::Bool(true),
        Some("null") => Value::Null,
        _ => Value::from("x".repeat(usize::try_from(least("minLength").clamp(1, 1024)).unwrap_or(1))),
    }
}

/// Where the strings of a value are, as JSON pointers.
fn strings(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::String(_) => places.push(at),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| strings(value, format!("{at}/{index}"), places));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                strings(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_arguments_fit_usual_schemas() {
        for schema in [
            json!({"type": "object"}),
            json!({"type": "object", "required": ["host", "n"], "additionalProperties": false, "properties": {
                "host": {"type": "string", "minLength": 3}, "n": {"type": "integer", "minimum": 5, "maximum": 9}}}),
            json!({"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "f": {"type": ["number", "null"], "exclusiveMinimum": 0}}}),
            json!({"type": "object", "required": ["list"], "properties": {"list": {"type": "array", "minItems": 2,
                "items": {"$ref": "#/$defs/item"}}}, "$defs": {"item": {"type": "object", "required": ["on"],
                "properties": {"on": {"type": "boolean"}}}}}),
            json!({"type": "object", "required": ["x"], "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}),
        ] {
            let made = fitting(&schema, &schema, MAX_DEPTH);
            assert!(jsonschema::is_valid(&schema, &made), "{schema}: {made}");
        }
    }

    #[test]
    fn each_string_is_found_where_it_is() {
        let value = json!({"a/b": ["x", {"~": "y"}], "c": 1, "d": "z"});
        let mut places = Vec::new();
        strings(&value, String::new(), &mut places);
        let found: Vec<_> = places.iter().filter_map(|place| value.pointer(place)).collect();
        assert_eq!(found, [&json!("x"), &json!("y"), &json!("z")]);
    }
}
