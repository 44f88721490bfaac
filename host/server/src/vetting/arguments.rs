//! Arguments for a tool, made up of its input schema: plain ones, and hostile ones in the place of each of their strings.
//!
//! Deterministic, and bounded whatever the schema says. Knows no validator: what is made up is proposed to whoever has one.

use serde_json::{Map, Value, json};

use super::pattern;

/// Calls of one tool.
pub(super) const MAX_CALLS: usize = 400;
/// Properties that are looked at.
const MAX_PROPERTIES: usize = 100;
/// Values that are made up for one place.
const MAX_VALUES: usize = 16;
/// How deep a schema is followed.
const MAX_DEPTH: usize = 8;
/// The largest arguments that are made up before a nasty text is put in, in bytes of JSON.
const MAX_VALUE: usize = 64 << 10;
/// The longest text, one that fills a page or two. Where it does not fit, half of it, and so on.
pub(super) const LONG: usize = 64 << 10;
/// Names that are told of those that were not tried.
const TOLD: usize = 5;
/// What is told of one, in characters.
const MAX_NAME: usize = 100;

/// Text that plugins are not prepared for.
pub(super) const NASTY: [&str; 15] = [
    "",
    "nowhere",
    "..",
    "-rf",
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
    "*?[!a-z]\\",
];

/// What a tool is to be called with.
pub(super) struct Arguments {
    /// Each fits, and no two are the same.
    pub(super) calls: Vec<Value>,
    /// What should be tried and is not among them, if anything.
    pub(super) untried: Option<String>,
}

/// Makes arguments up. `mistakes` counts what is wrong with a value: what has none fits.
pub(super) fn make_up(schema: &Map<String, Value>, mistakes: impl Fn(&Value) -> usize) -> Arguments {
    let schema = Value::Object(schema.clone());
    let mut maker = Maker { whole: &schema, mistakes, properties: Vec::new() };
    maker.collect(&schema, MAX_DEPTH);
    maker.arguments()
}

struct Maker<'a, M> {
    whole: &'a Value,
    mistakes: M,
    /// The properties of the arguments, with values for each: the fullest and plainest first.
    properties: Vec<(&'a str, Vec<Value>)>,
}

impl<'a, M: Fn(&Value) -> usize> Maker<'a, M> {
    /// Notes the properties that a schema and its parts name.
    fn collect(&mut self, schema: &'a Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let values = values(property, self.whole, MAX_DEPTH);
            match self.properties.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => add_all(known, values),
                None => self.properties.push((name, values)),
            }
        }
        let parts = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
        let parts = parts.chain(["then", "else"].iter().filter_map(|key| schema.get(key)));
        for part in parts.chain(target(schema, self.whole)) {
            self.collect(part, depth);
        }
    }

    fn arguments(mut self) -> Arguments {
        let mut missing: Vec<&str> = self.properties.iter().skip(MAX_PROPERTIES).map(|(name, _)| *name).collect();
        self.properties.truncate(MAX_PROPERTIES);
        let is_required = |name: &&str| {
            let required = self.whole.get("required").and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|one| one == name))
        };
        let (required, optional): (Vec<_>, Vec<_>) = self.properties.iter().partition(|(name, _)| is_required(name));
        let least = self.filled(json!({}), &required);
        let mut bases = vec![self.filled(least.clone(), &optional), least.clone()];
        for property in &self.properties {
            let (name, fullest) = (property.0, property.1.first());
            let is_tried = |base: &Value| {
                self.fits(base)
                    && base.get(name).is_some_and(|value| Some(value) == fullest || !fullest.is_some_and(is_nested))
            };
            // What excludes another property may do without the rest.
            if !bases.iter().any(is_tried) {
                let alone = self.filled(least.clone(), &[property]);
                if !is_tried(&alone) {
                    missing.push(name);
                }
                bases.push(alone);
            }
        }
        bases.retain(|base| self.fits(base));
        let mut calls: Vec<Value> = Vec::new();
        add_all(&mut calls, bases);
        if calls.is_empty() {
            let untried = Some("no arguments that fit its schema could be made up".to_owned());
            return Arguments { calls, untried };
        }
        let bases = calls.clone();
        let left_out = self.vary(&bases, &mut calls);
        Arguments { calls, untried: untried(&missing, left_out) }
    }

    /// These arguments with more properties: each with the first value that mends a mistake or makes none.
    fn filled(&self, mut arguments: Value, properties: &[&(&str, Vec<Value>)]) -> Value {
        for (name, values) in properties {
            for value in values {
                let mut with = arguments.clone();
                if let Some(fields) = with.as_object_mut() {
                    fields.insert((*name).to_owned(), value.clone());
                }
                if with.to_string().len() > MAX_VALUE {
                    continue;
                }
                let mistakes = (self.mistakes)(&with);
                if mistakes == 0 || mistakes < (self.mistakes)(&arguments) {
                    arguments = with;
                    break;
                }
            }
        }
        arguments
    }

    /// Adds calls with one value changed, by turns in each place: a bound leaves out a part of each place, and no place.
    /// Says whether it did.
    fn vary(&self, bases: &[Value], calls: &mut Vec<Value>) -> bool {
        let mut places = Vec::new();
        for base in bases {
            let is_there = |(name, _): &&(&str, Vec<Value>)| base.get(*name).is_some();
            places.extend(self.properties.iter().filter(is_there).map(|(name, values)| Place {
                base,
                pointer: format!("/{}", escaped(name)),
                what: What::Property(values),
            }));
            let mut found = Vec::new();
            strings(base, String::new(), &mut found);
            places.extend(found.into_iter().map(|(pointer, text)| Place { base, pointer, what: What::Text(text) }));
        }
        let left_out = places.len() > MAX_CALLS;
        places.truncate(MAX_CALLS);
        let turns = places.iter().map(Place::turns).max().unwrap_or_default();
        for turn in 0..turns {
            for (place, index) in places.iter().zip(0..) {
                let Some(made) = place.changed(turn, index, |made| self.fits(made)) else { continue };
                if calls.contains(&made) {
                    continue;
                }
                if calls.len() >= MAX_CALLS {
                    return true;
                }
                calls.push(made);
            }
        }
        left_out
    }

    fn fits(&self, value: &Value) -> bool {
        (self.mistakes)(value) == 0
    }
}

/// A value in some arguments that is to be changed.
struct Place<'a> {
    base: &'a Value,
    /// A JSON pointer.
    pointer: String,
    what: What<'a>,
}

enum What<'a> {
    /// Into another of these.
    Property(&'a [Value]),
    /// Into nasty texts; it is this one.
    Text(&'a str),
}

impl Place<'_> {
    /// How many changes there are.
    fn turns(&self) -> usize {
        match self.what {
            What::Property(values) => values.len(),
            What::Text(_) => NASTY.len() + 1,
        }
    }

    /// The arguments after the change of this turn, if there is one that fits. Places of another `index` begin with another text.
    fn changed(&self, turn: usize, index: usize, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        if turn >= self.turns() {
            return None;
        }
        let spellings = match self.what {
            What::Property(values) => vec![values.get(turn)?.clone()],
            What::Text(fitting) => spelled((turn + index) % self.turns(), fitting),
        };
        spellings.into_iter().find_map(|value| {
            let mut made = self.base.clone();
            *made.pointer_mut(&self.pointer)? = value;
            fits(&made).then_some(made)
        })
    }
}

/// A nasty text as it is and behind one that fits; after the last of them the long one, half of it, and so on.
fn spelled(which: usize, fitting: &str) -> Vec<Value> {
    match NASTY.get(which) {
        Some(nasty) => vec![Value::from(*nasty), Value::from(format!("{fitting}{nasty}"))],
        None => {
            let lengths =
                std::iter::successors(Some(LONG), |length| Some(length / 2)).take_while(|length| *length >= 64);
            lengths.map(|length| Value::from(format!("{fitting}{}", "A".repeat(length)))).collect()
        }
    }
}

/// What is told of properties that nothing was made up for, and of a bound that was reached.
fn untried(missing: &[&str], left_out: bool) -> Option<String> {
    let named: Vec<String> = missing
        .iter()
        .take(TOLD)
        .map(|name| format!("`{}`", name.chars().take(MAX_NAME).collect::<String>()))
        .collect();
    let more = missing.len().checked_sub(TOLD).filter(|more| *more > 0);
    let more = more.map_or(String::new(), |more| format!(" and {more} more"));
    let missing = (!missing.is_empty())
        .then(|| format!("no value of {}{more}, or not all of it, could be made up", named.join(", ")));
    let left_out = left_out.then(|| format!("there is more to try than {MAX_CALLS} calls"));
    let all: Vec<String> = missing.into_iter().chain(left_out).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Array(_))
}

fn add_all(known: &mut Vec<Value>, more: impl IntoIterator<Item = Value>) {
    for value in more {
        if !known.contains(&value) {
            known.push(value);
        }
    }
}

/// Where a schema's reference leads, if it has one.
fn target<'a>(schema: &Value, whole: &'a Value) -> Option<&'a Value> {
    whole.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// Values that should fit a schema: the fullest and plainest first, the smallest last, no two the same.
fn values(schema: &Value, whole: &Value, depth: usize) -> Vec<Value> {
    let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
    let mut made = Vec::new();
    let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    let named = [schema.get("const"), schema.get("default")].into_iter().flatten();
    add_all(&mut made, named.chain(list("enum")).chain(list("examples")).take(MAX_VALUES).cloned());
    if schema.get("const").or_else(|| schema.get("enum")).is_some() {
        return made;
    }
    if let Some(target) = target(schema, whole) {
        add_all(&mut made, values(target, whole, depth));
    }
    for part in ["anyOf", "oneOf", "allOf"].into_iter().flat_map(list) {
        add_all(&mut made, values(part, whole, depth));
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(kind) => kind.as_str().into_iter().collect(),
        None if schema.get("properties").is_some() => vec!["object"],
        None if schema.get("items").is_some() => vec!["array"],
        None if made.is_empty() => vec!["string"],
        None => Vec::new(),
    };
    for kind in kinds {
        add_all(&mut made, of_kind(kind, schema, whole, depth));
    }
    made.retain(|value| value.to_string().len() <= MAX_VALUE);
    if made.len() > MAX_VALUES {
        // The smallest stays the last.
        let last = made.pop();
        made.truncate(MAX_VALUES - 1);
        made.extend(last);
    }
    made
}

fn of_kind(kind: &str, schema: &Value, whole: &Value, depth: usize) -> Vec<Value> {
    let least = |key: &str| schema.get(key).and_then(Value::as_u64).unwrap_or(0);
    match kind {
        "object" => {
            let required: Vec<&str> = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let (mut full, mut small) = (Map::new(), Map::new());
            for (name, property) in
                schema.get("properties").and_then(Value::as_object).into_iter().flatten().take(MAX_PROPERTIES)
            {
                let values = values(property, whole, depth);
                full.extend(values.first().map(|value| (name.clone(), value.clone())));
                small.extend(
                    values
                        .last()
                        .filter(|_| required.contains(&name.as_str()))
                        .map(|value| (name.clone(), value.clone())),
                );
            }
            vec![Value::Object(full), Value::Object(small)]
        }
        "array" => {
            let items = schema.get("items").map(|items| values(items, whole, depth)).unwrap_or_default();
            let count = usize::try_from(least("minItems").clamp(1, 16)).unwrap_or(1);
            let size = items.iter().map(|item| item.to_string().len()).max().unwrap_or_default();
            if size * count > MAX_VALUE {
                return Vec::new();
            }
            let filled: Vec<Value> = items.iter().cycle().take(count).cloned().collect();
            let same = items.last().map(|item| Value::Array(vec![item.clone(); count]));
            [Some(Value::Array(filled)), Some(Value::Array(Vec::new())), same].into_iter().flatten().collect()
        }
        "integer" | "number" => {
            let bound = |key: &str, by: i64| {
                let open = format!("exclusive{}", key.replacen('m', "M", 1));
                let open = schema.get(&open).and_then(Value::as_i64).map(|bound| bound.saturating_add(by));
                schema.get(key).and_then(Value::as_i64).or(open)
            };
            let (smallest, largest) = (bound("minimum", 1), bound("maximum", -1));
            let step = schema.get("multipleOf").cloned();
            let ends = [Value::from(smallest.unwrap_or(i64::MIN)), Value::from(largest.unwrap_or(i64::MAX))];
            let plain = [Value::from(smallest.unwrap_or(1)), Value::from(largest.unwrap_or(1))];
            plain.into_iter().chain(step).chain(ends).collect()
        }
        "boolean" => vec![Value::Bool(true), Value::Bool(false)],
        "null" => vec![Value::Null],
        _ => {
            let length = least("minLength").min(1024);
            match schema.get("pattern").and_then(Value::as_str) {
                Some(expression) => {
                    let more = u32::try_from(length.max(1)).unwrap_or(1);
                    pattern::texts(expression, more).into_iter().map(Value::from).collect()
                }
                None => vec![Value::from("x".repeat(usize::try_from(length.max(1)).unwrap_or(1)))],
            }
        }
    }
}

/// Where the strings of a value are, as JSON pointers, and what they are.
fn strings<'a>(value: &'a Value, at: String, places: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => places.push((at, text)),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| strings(value, format!("{at}/{index}"), places));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                strings(value, format!("{at}/{}", escaped(name)), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name as JSON pointers have it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(schema: &Value) -> Arguments {
        let validator = jsonschema::validator_for(schema).unwrap_or_else(|error| panic!("{error}"));
        let Value::Object(fields) = schema else { panic!("{schema}") };
        make_up(fields, |value| validator.iter_errors(value).count())
    }

    #[test]
    fn usual_schemas_are_tried_with_all_their_properties() {
        for schema in [
            json!({"type": "object", "required": ["host", "n"], "additionalProperties": false, "properties": {
                "host": {"type": "string", "minLength": 3}, "n": {"type": "integer", "minimum": 5, "maximum": 9}}}),
            json!({"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "f": {"type": ["number", "null"], "exclusiveMinimum": 0}}}),
            json!({"type": "object", "required": ["list"], "properties": {"list": {"type": "array", "minItems": 2,
                "uniqueItems": true, "items": {"$ref": "#/$defs/item"}}}, "$defs": {"item": {"type": "object", "required": ["on"],
                "properties": {"on": {"type": "boolean"}}}}}),
            json!({"type": "object", "required": ["x"], "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 7, "minimum": 6}}}),
            json!({"type": "object", "required": ["x"], "properties": {"x": {"type": "object", "required": ["p"],
                "properties": {"p": {"type": "string", "pattern": "^/[^/]+$"}}}}}),
        ] {
            let Arguments { calls, untried } = made(&schema);
            assert_eq!(untried, None, "{schema}");
            for name in schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                assert!(calls.iter().any(|call| call.get(name).is_some()), "{name} of {schema}: {calls:?}");
            }
            for call in calls {
                assert!(jsonschema::is_valid(&schema, &call), "{schema}: {call}");
            }
        }
    }

    #[test]
    fn hostile_texts_get_past_a_pattern_where_it_lets_them() {
        let schema = json!({"type": "object", "required": ["path"], "properties": {
            "path": {"type": "string", "maxLength": 4096, "pattern": "^[/~][^\\u0000]*$"}}});
        let calls = made(&schema).calls;
        let paths: Vec<&str> = calls.iter().filter_map(|call| call.get("path")?.as_str()).collect();
        assert!(paths.iter().any(|path| path.ends_with("'; rm -rf / #")), "{paths:?}");
        assert!(paths.iter().any(|path| path.len() > 2000), "{paths:?}");
    }

    #[test]
    fn what_cannot_be_made_up_is_told_and_the_rest_is_tried() {
        let odd = json!({"type": "string", "pattern": "^a", "not": {"pattern": "^a"}});
        let schema = json!({"type": "object", "properties": {"good": {"type": "string"}, "odd": odd}});
        let Arguments { calls, untried } = made(&schema);
        assert!(calls.len() > NASTY.len() && untried.is_some_and(|why| why.contains("`odd`")), "{calls:?}");
        let nested = json!({"type": "object", "properties": {"in": {"type": "object", "properties": {"odd": odd}}}});
        assert!(made(&nested).untried.is_some_and(|why| why.contains("`in`")));
        let unread = json!({"type": "object", "properties": {"odd": {"type": "string", "pattern": "(?=a)"}}});
        assert!(made(&unread).untried.is_some_and(|why| why.contains("`odd`")));
        let needed = json!({"type": "object", "required": ["odd"], "properties": {"odd": odd}});
        let Arguments { calls, untried } = made(&needed);
        assert!(calls.is_empty() && untried.is_some(), "{calls:?}");
    }

    #[test]
    fn a_bound_leaves_out_no_place_and_is_told() {
        let properties: Map<String, Value> = (0..60).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
        let Arguments { calls, untried } = made(&json!({"type": "object", "properties": properties}));
        assert_eq!(calls.len(), MAX_CALLS);
        assert!(untried.is_some_and(|why| why.contains(&format!("more to try than {MAX_CALLS} calls"))));
        let plain = calls.first().cloned().unwrap_or_default();
        for name in properties.keys() {
            assert!(calls.iter().any(|call| call.get(name) != plain.get(name)), "{name}");
        }
    }

    #[test]
    fn a_schema_that_grows_without_end_is_tried_within_bounds_or_not_at_all() {
        let mut nested = json!({"type": "string", "minLength": 1000});
        for _ in 0..7 {
            nested = json!({"type": "array", "minItems": 16, "items": nested});
        }
        let Arguments { calls, untried } = made(&json!({"type": "object", "properties": {"a": nested}}));
        assert!(calls.iter().all(|call| call.to_string().len() <= MAX_VALUE) && untried.is_some());
    }

    #[test]
    fn each_string_is_found_where_it_is() {
        let value = json!({"a/b": ["x", {"~": "y"}], "c": 1, "d": "z"});
        let mut places = Vec::new();
        strings(&value, String::new(), &mut places);
        let found: Vec<_> = places.iter().filter_map(|(place, _)| value.pointer(place)?.as_str()).collect();
        assert_eq!(found, ["x", "y", "z"]);
        assert!(places.iter().all(|(place, text)| value.pointer(place).and_then(Value::as_str) == Some(*text)));
    }
}
