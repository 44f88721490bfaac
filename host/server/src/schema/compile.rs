//! From a schema's JSON to what is checked: each part of it that can be reached, once.

use std::collections::HashMap;
use std::sync::Arc;

use scout_runtime::{Meter, Stopped};
use serde_json::{Map, Number, Value};

use super::pattern::Pattern;
use super::values::compare;

/// Schemas that a schema comes to when its references are followed, at most.
const MAX_SCHEMAS: usize = 10_000;
/// How deep schemas lie in each other when references are followed: as deep as a check goes into itself.
const MAX_DEPTH: usize = 64;
/// What all patterns that are compiled together may take, in bytes.
const MAX_PATTERNS: usize = 4 << 20;
/// What a schema of some parts takes for each, in bytes, at most; its constants come on top.
const PART: usize = 256;
/// Steps for each byte of a pattern that is compiled.
const PATTERN_STEPS: u64 = 50;
/// The most that is told of something that is named in a refusal, in characters.
const MAX_NAME: usize = 100;

/// The place of a part among the parts of its schema.
pub(super) type Id = usize;
/// Names of properties.
type Names = Box<[Box<str>]>;
/// Schemas by the names of properties.
type Named = Box<[(Box<str>, Id)]>;

/// A schema, ready to be used.
#[derive(Debug)]
pub(crate) struct Schema {
    parts: Vec<Part>,
    root: Id,
}

/// A schema or a schema within it.
#[derive(Debug)]
pub(super) enum Part {
    /// What is allowed whatever it is, or never.
    Always(bool),
    /// What fits all of these.
    All {
        keywords: Box<[Keyword]>,
        /// Whether it asks what its other keywords have looked at.
        asks: bool,
    },
}

/// What a schema asks of a value. Of one of another kind than it is about it asks nothing.
#[derive(Debug)]
pub(super) enum Keyword {
    Type(Types),
    Const(Value),
    Enum(Vec<Value>),
    Limit(Limit, Number),
    MultipleOf(Number),
    /// Lengths are those of texts in characters, of arrays and of objects.
    Length(Of, Least, u64),
    Pattern(Arc<Pattern>, Box<str>),
    UniqueItems,
    Items {
        prefix: Box<[Id]>,
        rest: Option<Id>,
    },
    Contains {
        schema: Id,
        least: u64,
        most: Option<u64>,
    },
    Required(Names),
    DependentRequired(Box<[(Box<str>, Names)]>),
    /// Sorted by name.
    Properties {
        named: Named,
        patterns: Box<[(Arc<Pattern>, Id)]>,
        rest: Option<Id>,
    },
    PropertyNames(Id),
    DependentSchemas(Named),
    AllOf(Box<[Id]>),
    AnyOf(Box<[Id]>),
    OneOf(Box<[Id]>),
    Not(Id),
    If {
        condition: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    Ref(Id),
    UnevaluatedItems(Id),
    UnevaluatedProperties(Id),
}

/// Which numbers are allowed, of a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    Maximum,
    ExclusiveMaximum,
    Minimum,
    ExclusiveMinimum,
}

/// What has a length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Of {
    Text,
    Array,
    Object,
}

/// Whether a bound is the least that is allowed, or the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Least {
    Least,
    Most,
}

/// Kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Types(Box<[&'static str]>);

/// The names of kinds.
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

impl Types {
    pub(super) fn names(&self) -> &[&'static str] {
        &self.0
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        self.0.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ")
    }
}

impl Schema {
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn part(&self, id: Id) -> &Part {
        // An id is a place in the list that made it.
        self.parts.get(id).unwrap_or(&Part::Always(false))
    }
}

/// Compiles the schemas of one plugin: what they take is bounded together, and a pattern that several have is there once.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    patterns: HashMap<Box<str>, Arc<Pattern>>,
    pattern_bytes: usize,
    parts: usize,
    /// Bytes of constants.
    constants: usize,
}

/// Why a schema was not compiled.
#[derive(Debug, PartialEq)]
pub(crate) enum Unusable {
    /// It cannot be, for this reason.
    Wrong(String),
    /// The work ended.
    Stopped(Stopped),
}

impl From<Stopped> for Unusable {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<String> for Unusable {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl From<&str> for Unusable {
    fn from(why: &str) -> Self {
        Self::Wrong(why.to_owned())
    }
}

impl Compiler {
    /// A schema of an object. Takes bounded memory and the steps of the meter at most, whatever the schema says.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn compile(&mut self, schema: &Map<String, Value>, meter: &mut Meter) -> Result<Schema, Unusable> {
        if schema.get("type") != Some(&Value::from("object")) {
            return Err("its `type` is not `object`".into());
        }
        let mut compiling =
            Compiling { whole: schema, compiler: self, meter, parts: Vec::new(), known: HashMap::new() };
        let (root, _) = compiling.object(schema, 0)?;
        Ok(Schema { parts: compiling.parts, root })
    }

    /// What all that was compiled takes, in bytes, at most.
    pub(crate) fn memory(&self) -> usize {
        self.pattern_bytes + self.parts * PART + self.constants
    }

    fn pattern(&mut self, text: &str, meter: &mut Meter) -> Result<Arc<Pattern>, Unusable> {
        if let Some(pattern) = self.patterns.get(text) {
            return Ok(Arc::clone(pattern));
        }
        meter.take((text.len() as u64 + 1).saturating_mul(PATTERN_STEPS))?;
        let pattern = Pattern::compile(text).map_err(|why| format!("the pattern {}: {why}", shown(text)))?;
        self.pattern_bytes += pattern.memory() + 2 * text.len();
        // The one that goes beyond is there, and is of bounded size; it is the last.
        if self.pattern_bytes > MAX_PATTERNS {
            return Err(format!(
                "the patterns of the plugin take more than {} MiB when they are compiled",
                MAX_PATTERNS >> 20
            )
            .into());
        }
        let pattern = Arc::new(pattern);
        self.patterns.insert(text.into(), Arc::clone(&pattern));
        Ok(pattern)
    }
}

/// One schema that is being compiled.
struct Compiling<'a> {
    whole: &'a Map<String, Value>,
    compiler: &'a mut Compiler,
    meter: &'a mut Meter,
    parts: Vec<Part>,
    /// What became of a schema in the text, by its address; nothing: it is being compiled, and leads to itself.
    known: HashMap<usize, Option<(Id, Size)>>,
}

/// What a part comes to when references are followed.
#[derive(Clone, Copy, Debug)]
struct Size {
    schemas: usize,
    depth: usize,
}

impl<'a> Compiling<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<(Id, Size), Unusable> {
        match schema {
            Value::Bool(allowed) => {
                self.parts.push(Part::Always(*allowed));
                self.compiler.parts += 1;
                Ok((self.parts.len() - 1, Size { schemas: 1, depth: 1 }))
            }
            Value::Object(fields) => self.object(fields, depth),
            other => Err(format!("{} is not a schema", shown(other)).into()),
        }
    }

    fn object(&mut self, fields: &'a Map<String, Value>, depth: usize) -> Result<(Id, Size), Unusable> {
        self.meter.take(1 + fields.len() as u64)?;
        let address = std::ptr::from_ref(fields).addr();
        let (id, size) = match self.known.get(&address) {
            Some(Some(known)) => *known,
            Some(None) => return Err("a `$ref` leads to itself".into()),
            None if depth >= MAX_DEPTH => return Err(too_deep()),
            None => {
                self.known.insert(address, None);
                let mut reading = Reading { all: self, fields, depth, size: Size { schemas: 1, depth: 0 } };
                let keywords = reading.keywords()?;
                let size = Size { depth: reading.size.depth + 1, ..reading.size };
                let asks = |keyword: &Keyword| {
                    matches!(keyword, Keyword::UnevaluatedItems(_) | Keyword::UnevaluatedProperties(_))
                };
                let asks = keywords.iter().any(asks);
                self.compiler.parts += 1 + keywords.len();
                self.parts.push(Part::All { keywords: keywords.into(), asks });
                let done = (self.parts.len() - 1, size);
                self.known.insert(address, Some(done));
                done
            }
        };
        if depth + size.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        if size.schemas > MAX_SCHEMAS {
            return Err(format!("it comes to more than {MAX_SCHEMAS} schemas when its references are followed").into());
        }
        Ok((id, size))
    }

    /// Where a reference leads: a schema, or what is to be one.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let mut steps = reference.strip_prefix("#/")?.splitn(2, '/');
        let first = steps.next()?.replace("~1", "/").replace("~0", "~");
        let value = self.whole.get(&first)?;
        steps.next().map_or(Some(value), |rest| value.pointer(&format!("/{rest}")))
    }
}

fn too_deep() -> Unusable {
    format!("its schemas lie more than {MAX_DEPTH} deep in each other when references are followed").into()
}

/// A schema whose keywords are being read.
struct Reading<'r, 'a> {
    all: &'r mut Compiling<'a>,
    fields: &'a Map<String, Value>,
    depth: usize,
    size: Size,
}

impl<'a> Reading<'_, 'a> {
    /// The cheap ones first; those that ask what the others have looked at last.
    fn keywords(&mut self) -> Result<Vec<Keyword>, Unusable> {
        for key in ["$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor"] {
            if self.fields.get(key).is_some_and(Value::is_string) {
                return Err(format!("`{key}` is not supported; use `$ref` with `#/$defs/…`").into());
            }
        }
        let mut keywords = Vec::new();
        self.of_values(&mut keywords)?;
        self.of_arrays(&mut keywords)?;
        self.of_objects(&mut keywords)?;
        self.of_schemas(&mut keywords)?;
        let unevaluated = [
            self.one("unevaluatedItems")?.map(Keyword::UnevaluatedItems),
            self.one("unevaluatedProperties")?.map(Keyword::UnevaluatedProperties),
        ];
        keywords.extend(unevaluated.into_iter().flatten());
        Ok(keywords)
    }

    fn of_values(&mut self, keywords: &mut Vec<Keyword>) -> Result<(), Unusable> {
        keywords.extend(self.types()?.map(Keyword::Type));
        for (key, limit) in [
            ("maximum", Limit::Maximum),
            ("exclusiveMaximum", Limit::ExclusiveMaximum),
            ("minimum", Limit::Minimum),
            ("exclusiveMinimum", Limit::ExclusiveMinimum),
        ] {
            keywords.extend(self.number(key)?.map(|bound| Keyword::Limit(limit, bound.clone())));
        }
        if let Some(number) = self.number("multipleOf")? {
            if compare(number, &Number::from(0)).is_le() {
                return Err("`multipleOf` is not greater than 0".into());
            }
            keywords.push(Keyword::MultipleOf(number.clone()));
        }
        for (key, of, least) in [
            ("maxLength", Of::Text, Least::Most),
            ("minLength", Of::Text, Least::Least),
            ("maxItems", Of::Array, Least::Most),
            ("minItems", Of::Array, Least::Least),
            ("maxProperties", Of::Object, Least::Most),
            ("minProperties", Of::Object, Least::Least),
        ] {
            keywords.extend(self.count(key)?.map(|bound| Keyword::Length(of, least, bound)));
        }
        if let Some(constant) = self.fields.get("const") {
            keywords.push(Keyword::Const(self.constant(constant)?));
        }
        if let Some(values) = self.list("enum")? {
            keywords.push(Keyword::Enum(values.iter().map(|value| self.constant(value)).collect::<Result<_, _>>()?));
        }
        match self.fields.get("pattern") {
            None => {}
            Some(Value::String(text)) => {
                keywords.push(Keyword::Pattern(self.pattern(text)?, text.as_str().into()));
            }
            Some(_) => return Err("`pattern` is not a string".into()),
        }
        Ok(())
    }

    fn of_arrays(&mut self, keywords: &mut Vec<Keyword>) -> Result<(), Unusable> {
        let prefix = self.several("prefixItems")?.unwrap_or_default();
        let rest = self.one("items")?;
        if !prefix.is_empty() || rest.is_some() {
            keywords.push(Keyword::Items { prefix, rest });
        }
        if let Some(schema) = self.one("contains")? {
            let (least, most) = (self.count("minContains")?.unwrap_or(1), self.count("maxContains")?);
            keywords.push(Keyword::Contains { schema, least, most });
        }
        match self.fields.get("uniqueItems") {
            Some(Value::Bool(true)) => keywords.push(Keyword::UniqueItems),
            Some(Value::Bool(false)) | None => {}
            Some(_) => return Err("`uniqueItems` is neither true nor false".into()),
        }
        Ok(())
    }

    fn of_objects(&mut self, keywords: &mut Vec<Keyword>) -> Result<(), Unusable> {
        if let Some(required) = self.list("required")? {
            keywords.push(Keyword::Required(names("required", required)?));
        }
        if let Some(fields) = self.object("dependentRequired")? {
            let of = |(name, value): (&String, &Value)| {
                let listed = value.as_array().ok_or("`dependentRequired` holds what is not a list of names")?;
                Ok::<_, Unusable>((name.as_str().into(), names("dependentRequired", listed)?))
            };
            keywords.push(Keyword::DependentRequired(fields.iter().map(of).collect::<Result<_, _>>()?));
        }
        let named = self.named("properties")?.unwrap_or_default();
        let mut patterns = Vec::new();
        for (text, schema) in self.object("patternProperties")?.into_iter().flatten() {
            patterns.push((self.pattern(text)?, self.part(schema)?));
        }
        let rest = self.one("additionalProperties")?;
        if !named.is_empty() || !patterns.is_empty() || rest.is_some() {
            keywords.push(Keyword::Properties { named, patterns: patterns.into(), rest });
        }
        keywords.extend(self.one("propertyNames")?.map(Keyword::PropertyNames));
        keywords.extend(self.named("dependentSchemas")?.map(Keyword::DependentSchemas));
        Ok(())
    }

    fn of_schemas(&mut self, keywords: &mut Vec<Keyword>) -> Result<(), Unusable> {
        match self.fields.get("$ref") {
            None => {}
            Some(Value::String(reference)) => {
                if reference == "#" {
                    return Err("`$ref` \"#\" leads to itself".into());
                }
                let target =
                    self.all.target(reference).ok_or_else(|| format!("`$ref` {} is not in it", shown(reference)))?;
                keywords.push(Keyword::Ref(self.part(target)?));
            }
            Some(_) => return Err("`$ref` is not a string".into()),
        }
        keywords.extend(self.several("allOf")?.map(Keyword::AllOf));
        keywords.extend(self.several("anyOf")?.map(Keyword::AnyOf));
        keywords.extend(self.several("oneOf")?.map(Keyword::OneOf));
        keywords.extend(self.one("not")?.map(Keyword::Not));
        if let Some(condition) = self.one("if")? {
            let (then, otherwise) = (self.one("then")?, self.one("else")?);
            keywords.push(Keyword::If { condition, then, otherwise });
        }
        Ok(())
    }

    fn part(&mut self, schema: &'a Value) -> Result<Id, Unusable> {
        let (id, size) = self.all.schema(schema, self.depth + 1)?;
        self.size.schemas = self.size.schemas.saturating_add(size.schemas);
        self.size.depth = self.size.depth.max(size.depth);
        Ok(id)
    }

    fn pattern(&mut self, text: &str) -> Result<Arc<Pattern>, Unusable> {
        self.all.compiler.pattern(text, self.all.meter)
    }

    fn constant(&mut self, value: &Value) -> Result<Value, Unusable> {
        let bytes = weight(value, self.all.meter)?;
        self.all.compiler.constants += bytes;
        Ok(value.clone())
    }

    fn one(&mut self, key: &'static str) -> Result<Option<Id>, Unusable> {
        match self.fields.get(key) {
            None => Ok(None),
            Some(Value::Array(_)) if key == "items" => {
                Err("`items` is a list; since 2020-12 that is `prefixItems`".into())
            }
            Some(schema) => Ok(Some(self.part(schema).map_err(|why| within(key, why))?)),
        }
    }

    fn several(&mut self, key: &'static str) -> Result<Option<Box<[Id]>>, Unusable> {
        let Some(schemas) = self.list(key)? else { return Ok(None) };
        if schemas.is_empty() {
            return Err(format!("`{key}` is empty").into());
        }
        let parts = schemas.iter().map(|schema| self.part(schema)).collect::<Result<_, _>>();
        Ok(Some(parts.map_err(|why| within(key, why))?))
    }

    /// Sorted by name: so is the map.
    fn named(&mut self, key: &'static str) -> Result<Option<Named>, Unusable> {
        let Some(fields) = self.object(key)? else { return Ok(None) };
        let mut named: Vec<(Box<str>, Id)> = Vec::with_capacity(fields.len());
        for (name, schema) in fields {
            let part = self.part(schema).map_err(|why| within(&format!("{key}/{name}"), why))?;
            named.push((name.as_str().into(), part));
        }
        named.sort();
        Ok(Some(named.into()))
    }

    fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, Unusable> {
        let given = self.fields.get(key);
        given.map(|value| value.as_array().ok_or_else(|| format!("`{key}` is not a list").into())).transpose()
    }

    fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, Unusable> {
        let given = self.fields.get(key);
        given.map(|value| value.as_object().ok_or_else(|| format!("`{key}` is not an object").into())).transpose()
    }

    fn number(&self, key: &str) -> Result<Option<&'a Number>, Unusable> {
        let given = self.fields.get(key);
        given.map(|value| value.as_number().ok_or_else(|| format!("`{key}` is not a number").into())).transpose()
    }

    fn count(&self, key: &str) -> Result<Option<u64>, Unusable> {
        let given = self.fields.get(key);
        let count = |value: &Value| match value.as_number().and_then(Number::as_f64) {
            Some(count) if count >= 0.0 && count.fract() == 0.0 => Ok(count as u64),
            Some(_) | None => Err(format!("`{key}` is not a count").into()),
        };
        given.map(count).transpose()
    }

    fn types(&self) -> Result<Option<Types>, Unusable> {
        let known = |value: &Value| {
            let name = value.as_str().and_then(|name| TYPES.into_iter().find(|known| *known == name));
            name.ok_or_else(|| {
                Unusable::from(format!("`type` {} is unknown; types are {}", shown(value), TYPES.join(", ")))
            })
        };
        Ok(match self.fields.get("type") {
            None => None,
            Some(Value::Array(types)) if types.len() <= TYPES.len() => {
                Some(Types(types.iter().map(known).collect::<Result<_, _>>()?))
            }
            Some(Value::Array(_)) => return Err("`type` names more types than there are".into()),
            Some(one) => Some(Types([known(one)?].into())),
        })
    }
}

fn names(key: &str, listed: &[Value]) -> Result<Names, Unusable> {
    let name = |value: &Value| Some(value.as_str()?.into());
    let names: Option<_> = listed.iter().map(name).collect();
    names.ok_or_else(|| format!("`{key}` lists what is not a name").into())
}

/// A reason with the place before it, while it is short.
fn within(place: &str, why: Unusable) -> Unusable {
    /// Beyond it the outer places are left out, in bytes.
    const LONG: usize = 400;
    match why {
        Unusable::Wrong(why) if why.len() < LONG => {
            let place: String = place.chars().take(MAX_NAME).collect();
            Unusable::Wrong(format!("`{place}`: {why}"))
        }
        other => other,
    }
}

/// What a copy of a value takes, in bytes, about.
fn weight(value: &Value, meter: &mut Meter) -> Result<usize, Stopped> {
    /// A node of the tree of an object's fields.
    const NODE: usize = 640;
    meter.take(1)?;
    let mut bytes = size_of::<Value>();
    match value {
        Value::String(text) => bytes += text.len(),
        Value::Array(values) => {
            for value in values {
                bytes += weight(value, meter)?;
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                bytes += NODE / 5 + name.len() + weight(value, meter)?;
            }
            bytes += NODE;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(bytes)
}

/// Something of a schema as a refusal shows it.
fn shown(value: impl serde::Serialize) -> String {
    super::check::shown(&value, MAX_NAME)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(schema: &Value) -> Result<Schema, Unusable> {
        Compiler::default().compile(schema.as_object().unwrap(), &mut Meter::new(10_000_000))
    }

    fn refusal(schema: &Value) -> String {
        match compiled(schema) {
            Err(Unusable::Wrong(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_schema_that_leads_elsewhere_or_to_itself_is_refused() {
        let with = |reference: &str| json!({"type": "object", "properties": {"a": {"$ref": reference}}});
        assert!(refusal(&with("https://example.org/schema")).contains("is not in it"));
        assert!(refusal(&with("#/$defs/absent")).contains("is not in it"));
        assert!(refusal(&with("#/properties/a")).contains("leads to itself"));
        assert!(refusal(&with("#")).contains("leads to itself"));
        assert!(refusal(&json!({"type": "object", "$dynamicRef": "#a"})).contains("not supported"));
        assert!(compiled(&json!({"type": "object", "properties": {"$id": {}, "$ref": {"type": "string"}}})).is_ok());
    }

    #[test]
    fn a_schema_whose_references_double_or_follow_each_other_without_end_is_refused() {
        let chain = |length: usize, times: usize| {
            let mut definitions = Map::new();
            for i in 0..length {
                let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
                definitions.insert(format!("d{i}"), json!({"allOf": vec![next; times]}));
            }
            definitions.insert(format!("d{length}"), json!({"type": "string"}));
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions})
        };
        assert!(refusal(&chain(15, 2)).contains("more than 10000 schemas"));
        assert!(refusal(&chain(1000, 1)).contains("more than 64 deep"));
        assert!(compiled(&chain(10, 2)).is_ok());
    }

    #[test]
    fn what_is_no_schema_of_an_object_is_refused_with_its_place() {
        assert!(refusal(&json!({})).contains("`type`"));
        for (property, says) in [
            (json!({"type": "strnig"}), "`properties/a`: `type` \"strnig\" is unknown"),
            (json!({"pattern": "(x{1000}){1000}"}), "KiB when it is compiled"),
            (json!({"pattern": "(?=a)"}), "look-around"),
            (json!({"items": [{}]}), "`prefixItems`"),
            (json!({"minLength": -1}), "`minLength` is not a count"),
            (json!({"anyOf": []}), "`anyOf` is empty"),
            (json!({"exclusiveMinimum": true}), "is not a number"),
            (json!({"multipleOf": 0}), "greater than 0"),
            (json!({"required": "a"}), "is not a list"),
            (json!({"not": 1}), "1 is not a schema"),
        ] {
            let told = refusal(&json!({"type": "object", "properties": {"a": property}}));
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn patterns_are_bounded_together_and_the_same_is_compiled_once() {
        let mut compiler = Compiler::default();
        let mut schema = |n: usize| {
            let pattern = format!("^[^\\u0000]{{{}}}$", 100 + n);
            compiler.compile(
                json!({"type": "object", "propertyNames": {"pattern": pattern}}).as_object().unwrap(),
                &mut Meter::new(u64::MAX),
            )
        };
        for _ in 0..1000 {
            schema(0).unwrap();
        }
        let refused = (1..10_000).find_map(|n| schema(n).err()).unwrap();
        assert!(
            matches!(refused, Unusable::Wrong(why) if why.contains("the patterns of the plugin take more than 4 MiB"))
        );
        assert!(compiler.memory() < MAX_PATTERNS + (2 << 20));
    }

    #[test]
    fn compiling_takes_steps() {
        let schemas = vec![json!({"type": "string"}); 4000];
        let schema = json!({"type": "object", "allOf": schemas});
        let of = |steps| Compiler::default().compile(schema.as_object().unwrap(), &mut Meter::new(steps));
        assert_eq!(of(1000).err(), Some(Unusable::Stopped(Stopped::Spent)));
        assert!(of(100_000).is_ok());
    }
}
