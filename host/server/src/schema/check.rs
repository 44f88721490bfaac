//! Holding a value against a schema, step by step.

use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::io::{self, Write};

use scout_runtime::{Meter, Stopped};
use serde_json::{Map, Value};

use crate::params::kind_of;

use super::compile::{Id, Keyword, Least, Limit, Of, Part, Schema};
use super::values::{compare, equal, hash, is_integer, is_multiple};

/// Mistakes that are told at once.
const MAX_MISTAKES: usize = 5;
/// The longest text that tells one, in characters.
const MAX_MISTAKE: usize = 300;
/// The most that is told of a value or a name, in characters.
const MAX_SHOWN: usize = 100;

impl Schema {
    /// The first things that are wrong with a value, each with its place; nothing: it fits.
    ///
    /// # Errors
    /// The work ended before that was known.
    pub(crate) fn mistakes(&self, value: &Value, meter: &mut Meter) -> Result<Option<String>, Stopped> {
        let mut run = Run::new(self, meter, MAX_MISTAKES);
        run.check(self.root(), value, true, None)?;
        Ok((!run.told.is_empty()).then(|| run.told.join("; ")))
    }

    /// How much is wrong with a value, counted up to `most`.
    ///
    /// # Errors
    /// The work ended before that was known.
    pub(crate) fn count_mistakes(&self, value: &Value, most: usize, meter: &mut Meter) -> Result<usize, Stopped> {
        let mut run = Run::new(self, meter, most);
        run.check(self.root(), value, true, None)?;
        Ok(run.told.len())
    }
}

impl Schema {
    /// The first field of an object that is of another kind than it may be, as far as that is said right where it is named.
    pub(crate) fn wrong_kind(&self, fields: &Map<String, Value>) -> Option<String> {
        let keywords = |id| match self.part(id) {
            Part::All { keywords, .. } => keywords.iter(),
            Part::Always(_) => [].iter(),
        };
        let named = keywords(self.root()).find_map(|keyword| match keyword {
            Keyword::Properties { named, .. } => Some(named),
            _ => None,
        })?;
        named.iter().find_map(|(name, id)| {
            let value = fields.get(&**name)?;
            let types = keywords(*id).find_map(|keyword| match keyword {
                Keyword::Type(types) => Some(types),
                _ => None,
            })?;
            let fits = types.names().iter().any(|kind| is_of(value, kind));
            (!fits).then(|| format!("`{}` is {}, not of type {}", shown_name(name), kind_of(value), types.told()))
        })
    }
}

/// A name that is told, as far as it is not too long.
fn shown_name(name: &str) -> String {
    name.chars().take(MAX_SHOWN).collect()
}

/// One check.
struct Run<'s, 'v, 'm> {
    schema: &'s Schema,
    meter: &'m mut Meter,
    /// Where in the value it is.
    place: Vec<Step<'v>>,
    told: Vec<String>,
    most: usize,
}

enum Step<'v> {
    Field(&'v str),
    Item(usize),
}

/// What of an object or an array has been looked at by a schema that it fits.
#[derive(Default)]
struct Seen<'v> {
    fields: HashSet<&'v str>,
    items: HashSet<usize>,
}

/// With how many others a name is compared when it is looked up, about.
const COMPARED: usize = 8;
/// What an entry of a set or a map takes, in bytes: its key, and as much again for the room that it grows by.
const ENTRY: usize = 64;

impl<'v> Seen<'v> {
    fn add(&mut self, other: Self, meter: &mut Meter) -> Result<(), Stopped> {
        let entries = other.fields.len() + other.items.len();
        meter.take(entries as u64)?;
        meter.take_memory(entries * ENTRY)?;
        self.fields.extend(other.fields);
        self.items.extend(other.items);
        Ok(())
    }
}

impl<'s, 'v, 'm> Run<'s, 'v, 'm> {
    fn new(schema: &'s Schema, meter: &'m mut Meter, most: usize) -> Self {
        Self { schema, meter, place: Vec::new(), told: Vec::new(), most }
    }

    /// Whether a value fits; if `tell`, what is wrong with it is noted. Goes as deep into itself as schemas lie in each other.
    fn check(&mut self, id: Id, value: &'v Value, tell: bool, seen: Option<&mut Seen<'v>>) -> Result<bool, Stopped> {
        self.meter.take(1)?;
        let schema = self.schema;
        match schema.part(id) {
            Part::Always(true) => Ok(true),
            Part::Always(false) => self.wrong(tell, || format!("{} is not allowed here", of(value))),
            Part::All { keywords, asks } if *asks || seen.is_some() => {
                // What does not fit has looked at nothing.
                let mut own = Seen::default();
                let fits = self.all(keywords, value, tell, Some(&mut own))?;
                if let (true, Some(seen)) = (fits, seen) {
                    seen.add(own, self.meter)?;
                }
                Ok(fits)
            }
            Part::All { keywords, .. } => self.all(keywords, value, tell, None),
        }
    }

    fn all(
        &mut self,
        keywords: &'s [Keyword],
        value: &'v Value,
        tell: bool,
        mut seen: Option<&mut Seen<'v>>,
    ) -> Result<bool, Stopped> {
        let mut fits = true;
        for keyword in keywords {
            self.meter.take(1)?;
            fits &= self.keyword(keyword, value, tell, seen.as_deref_mut())?;
            if !fits && (!tell || self.told.len() >= self.most) {
                return Ok(false);
            }
        }
        Ok(fits)
    }

    fn keyword(
        &mut self,
        keyword: &'s Keyword,
        value: &'v Value,
        tell: bool,
        seen: Option<&mut Seen<'v>>,
    ) -> Result<bool, Stopped> {
        match (keyword, value) {
            (Keyword::Type(types), _) => {
                let is = |name: &&str| is_of(value, name);
                if types.names().iter().any(is) {
                    return Ok(true);
                }
                self.wrong(tell, || format!("{} is not of type {}", of(value), types.told()))
            }
            (Keyword::Const(constant), _) => {
                let fits = equal(constant, value, self.meter)?;
                self.fits(fits, tell, || format!("{} is not {}", of(value), of(constant)))
            }
            (Keyword::Enum(values), _) => {
                for one in values {
                    if equal(one, value, self.meter)? {
                        return Ok(true);
                    }
                }
                self.wrong(tell, || format!("{} is not one of {}", of(value), of(values)))
            }
            (Keyword::Limit(limit, bound), Value::Number(number)) => {
                let order = compare(number, bound);
                let (fits, says) = match limit {
                    Limit::Maximum => (order.is_le(), "is greater than the maximum of"),
                    Limit::ExclusiveMaximum => (order.is_lt(), "is not less than the exclusive maximum of"),
                    Limit::Minimum => (order.is_ge(), "is less than the minimum of"),
                    Limit::ExclusiveMinimum => (order.is_gt(), "is not greater than the exclusive minimum of"),
                };
                self.fits(fits, tell, || format!("{number} {says} {bound}"))
            }
            (Keyword::MultipleOf(divisor), Value::Number(number)) => {
                /// Powers of ten that an exact division may go through.
                const DIVISION: u64 = 32;
                self.meter.take(DIVISION)?;
                self.fits(is_multiple(number, divisor), tell, || format!("{number} is not a multiple of {divisor}"))
            }
            (Keyword::Length(what, least, bound), _) => self.length(*what, *least, *bound, value, tell),
            (Keyword::Pattern(pattern, text), Value::String(given)) => {
                let fits = pattern.is_match(given, self.meter)?;
                self.fits(fits, tell, || format!("{} does not match {}", of(value), of(text)))
            }
            (
                Keyword::UniqueItems | Keyword::Items { .. } | Keyword::Contains { .. } | Keyword::UnevaluatedItems(_),
                Value::Array(items),
            ) => self.array(keyword, items, value, tell, seen),
            (
                Keyword::Required(_)
                | Keyword::DependentRequired(_)
                | Keyword::Properties { .. }
                | Keyword::PropertyNames(_)
                | Keyword::DependentSchemas(_)
                | Keyword::UnevaluatedProperties(_),
                Value::Object(fields),
            ) => self.object(keyword, fields, value, tell, seen),
            (
                Keyword::AllOf(_)
                | Keyword::AnyOf(_)
                | Keyword::OneOf(_)
                | Keyword::Not(_)
                | Keyword::If { .. }
                | Keyword::Ref(_),
                _,
            ) => self.applied(keyword, value, tell, seen),
            // About another kind of value.
            _ => Ok(true),
        }
    }

    fn length(&mut self, what: Of, least: Least, bound: u64, value: &'v Value, tell: bool) -> Result<bool, Stopped> {
        let length = match (what, value) {
            (Of::Text, Value::String(text)) => {
                self.meter.take_bytes(text.len())?;
                text.chars().count()
            }
            (Of::Array, Value::Array(items)) => items.len(),
            (Of::Object, Value::Object(fields)) => fields.len(),
            _ => return Ok(true),
        };
        let length = length as u64;
        let (fits, says) = match least {
            Least::Least => (length >= bound, if what == Of::Text { "shorter" } else { "fewer" }),
            Least::Most => (length <= bound, if what == Of::Text { "longer" } else { "more" }),
        };
        self.fits(fits, tell, || match what {
            Of::Text => format!("{} is {says} than {bound} characters", of(value)),
            Of::Array => format!("{} has {says} than {bound} items", of(value)),
            Of::Object => format!("{} has {says} than {bound} properties", of(value)),
        })
    }

    fn array(
        &mut self,
        keyword: &'s Keyword,
        items: &'v [Value],
        value: &'v Value,
        tell: bool,
        seen: Option<&mut Seen<'v>>,
    ) -> Result<bool, Stopped> {
        match keyword {
            Keyword::UniqueItems => {
                let fits = self.is_unique(items)?;
                self.fits(fits, tell, || format!("{} has items that are the same", of(value)))
            }
            Keyword::Items { prefix, rest } => {
                let schemas = prefix.iter().copied().map(Some).chain(std::iter::repeat(*rest));
                let looked_at = items.iter().enumerate().zip(schemas).map_while(|(item, schema)| Some((item, schema?)));
                let mut count = 0;
                let mut fits = true;
                for ((index, item), schema) in looked_at {
                    count += 1;
                    fits &= self.within(Step::Item(index), schema, item, tell)?;
                    if !fits && (!tell || self.told.len() >= self.most) {
                        return Ok(false);
                    }
                }
                if let Some(seen) = seen {
                    self.meter.take(count as u64)?;
                    self.meter.take_memory(count * ENTRY)?;
                    seen.items.extend(0..count);
                }
                Ok(fits)
            }
            Keyword::Contains { schema, least, most } => {
                let (mut count, mut seen) = (0_u64, seen);
                for (index, item) in items.iter().enumerate() {
                    if self.check(*schema, item, false, None)? {
                        count += 1;
                        if let Some(seen) = seen.as_deref_mut() {
                            self.meter.take_memory(ENTRY)?;
                            seen.items.insert(index);
                        }
                    }
                }
                let fits = count >= *least && most.is_none_or(|most| count <= most);
                self.fits(fits, tell, || {
                    format!("{} contains {count} items that fit the schema under \"contains\"", of(value))
                })
            }
            Keyword::UnevaluatedItems(schema) => {
                let Some(seen) = seen else { return Ok(true) };
                self.meter.take(items.len() as u64)?;
                let mut fits = true;
                for (index, item) in items.iter().enumerate().filter(|(index, _)| !seen.items.contains(index)) {
                    fits &= self.check(*schema, item, false, None)?;
                    if !fits {
                        return self.wrong(tell, || format!("{} is an item that nothing allows", index));
                    }
                }
                self.meter.take_memory(items.len() * ENTRY)?;
                seen.items.extend(0..items.len());
                Ok(fits)
            }
            _ => Ok(true),
        }
    }

    fn is_unique(&mut self, items: &[Value]) -> Result<bool, Stopped> {
        let key = RandomState::new();
        let mut known: HashMap<u64, &Value> = HashMap::new();
        for item in items {
            self.meter.take_memory(ENTRY)?;
            let hash = hash(item, &key, self.meter)?;
            if let Some(other) = known.insert(hash, item)
                // Of two that only have the same hash the first is forgotten: that nobody can bring about.
                && equal(other, item, self.meter)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn object(
        &mut self,
        keyword: &'s Keyword,
        fields: &'v Map<String, Value>,
        value: &'v Value,
        tell: bool,
        seen: Option<&mut Seen<'v>>,
    ) -> Result<bool, Stopped> {
        match keyword {
            Keyword::Required(names) => self.has_all(names, fields, tell),
            Keyword::DependentRequired(dependent) => {
                let mut fits = true;
                for (name, names) in dependent {
                    self.meter.take(1)?;
                    self.meter.take_bytes(COMPARED * name.len())?;
                    fits &= !fields.contains_key(&**name) || self.has_all(names, fields, tell)?;
                }
                Ok(fits)
            }
            Keyword::DependentSchemas(dependent) => {
                let (mut fits, mut seen) = (true, seen);
                for (name, schema) in dependent {
                    self.meter.take(1)?;
                    self.meter.take_bytes(COMPARED * name.len())?;
                    fits &= !fields.contains_key(&**name) || self.check(*schema, value, tell, seen.as_deref_mut())?;
                }
                Ok(fits)
            }
            Keyword::Properties { .. } => self.properties(keyword, fields, tell, seen),
            Keyword::PropertyNames(schema) => {
                for name in fields.keys() {
                    self.meter.take_bytes(name.len())?;
                    let name = Value::String(name.clone());
                    let mut run = Run::new(self.schema, self.meter, 1);
                    if !run.check(*schema, &name, true, None)? {
                        let why = run.told.pop().unwrap_or_default();
                        return self.wrong(tell, || format!("the name of a property: {why}"));
                    }
                }
                Ok(true)
            }
            Keyword::UnevaluatedProperties(schema) => {
                let Some(seen) = seen else { return Ok(true) };
                self.meter.take(fields.len() as u64)?;
                for (name, value) in fields.iter().filter(|(name, _)| !seen.fields.contains(name.as_str())) {
                    if !self.check(*schema, value, false, None)? {
                        return self.wrong(tell, || {
                            format!("unevaluated properties are not allowed ({} was unexpected)", of(name))
                        });
                    }
                }
                self.meter.take_memory(fields.len() * ENTRY)?;
                seen.fields.extend(fields.keys().map(String::as_str));
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    fn has_all(&mut self, names: &[Box<str>], fields: &Map<String, Value>, tell: bool) -> Result<bool, Stopped> {
        self.meter.take(names.len() as u64)?;
        // A name is compared with several others that may begin alike.
        self.meter.take_bytes(COMPARED * names.iter().map(|name| name.len()).sum::<usize>())?;
        let mut fits = true;
        for name in names.iter().filter(|name| !fields.contains_key(&***name)) {
            fits = self.wrong(tell, || format!("{} is a required property", of(name)))?;
            if !tell || self.told.len() >= self.most {
                return Ok(false);
            }
        }
        Ok(fits)
    }

    fn properties(
        &mut self,
        keyword: &'s Keyword,
        fields: &'v Map<String, Value>,
        tell: bool,
        mut seen: Option<&mut Seen<'v>>,
    ) -> Result<bool, Stopped> {
        let Keyword::Properties { named, patterns, rest } = keyword else { return Ok(true) };
        let mut fits = true;
        for (name, value) in fields {
            self.meter.take(1)?;
            self.meter.take_bytes(COMPARED * name.len())?;
            let mut is_known = false;
            if let Ok(place) = named.binary_search_by(|(known, _)| (**known).cmp(name))
                && let Some((_, schema)) = named.get(place)
            {
                is_known = true;
                fits &= self.within(Step::Field(name), *schema, value, tell)?;
            }
            for (pattern, schema) in patterns {
                if pattern.is_match(name, self.meter)? {
                    is_known = true;
                    fits &= self.within(Step::Field(name), *schema, value, tell)?;
                }
            }
            if let (false, Some(schema)) = (is_known, rest) {
                is_known = true;
                fits &= match self.schema.part(*schema) {
                    Part::Always(false) => self.wrong(tell, || {
                        format!("additional properties are not allowed ({} was unexpected)", of(name))
                    })?,
                    _ => self.within(Step::Field(name), *schema, value, tell)?,
                };
            }
            if !fits && (!tell || self.told.len() >= self.most) {
                return Ok(false);
            }
            if let (true, Some(seen)) = (is_known, seen.as_deref_mut()) {
                self.meter.take_memory(ENTRY)?;
                seen.fields.insert(name);
            }
        }
        Ok(fits)
    }

    /// Schemas that are held against the same value.
    fn applied(
        &mut self,
        keyword: &'s Keyword,
        value: &'v Value,
        tell: bool,
        mut seen: Option<&mut Seen<'v>>,
    ) -> Result<bool, Stopped> {
        match keyword {
            Keyword::Ref(schema) => self.check(*schema, value, tell, seen),
            Keyword::AllOf(schemas) => {
                let mut fits = true;
                for schema in schemas {
                    fits &= self.check(*schema, value, tell, seen.as_deref_mut())?;
                    if !fits && (!tell || self.told.len() >= self.most) {
                        return Ok(false);
                    }
                }
                Ok(fits)
            }
            Keyword::AnyOf(schemas) => {
                let mut fits = false;
                for schema in schemas {
                    fits |= self.check(*schema, value, false, seen.as_deref_mut())?;
                    // Each that fits tells what it has looked at.
                    if fits && seen.is_none() {
                        return Ok(true);
                    }
                }
                self.fits(fits, tell, || {
                    format!("{} is not valid under any of the schemas listed in the 'anyOf' keyword", of(value))
                })
            }
            Keyword::OneOf(schemas) => {
                let mut count = 0;
                for schema in schemas {
                    count += usize::from(self.check(*schema, value, false, seen.as_deref_mut())?);
                    if count > 1 {
                        break;
                    }
                }
                self.fits(count == 1, tell, || {
                    let many = if count == 0 { "not valid under any" } else { "valid under more than one" };
                    format!("{} is {many} of the schemas listed in the 'oneOf' keyword", of(value))
                })
            }
            Keyword::Not(schema) => {
                let fits = !self.check(*schema, value, false, None)?;
                self.fits(fits, tell, || format!("{} is what the schema under \"not\" describes", of(value)))
            }
            Keyword::If { condition, then, otherwise } => {
                let branch = if self.check(*condition, value, false, seen.as_deref_mut())? { then } else { otherwise };
                branch.map_or(Ok(true), |schema| self.check(schema, value, tell, seen))
            }
            _ => Ok(true),
        }
    }

    /// Whether a value within the value fits.
    fn within(&mut self, step: Step<'v>, schema: Id, value: &'v Value, tell: bool) -> Result<bool, Stopped> {
        self.place.push(step);
        let fits = self.check(schema, value, tell, None);
        self.place.pop();
        fits
    }

    fn fits(&mut self, fits: bool, tell: bool, why: impl FnOnce() -> String) -> Result<bool, Stopped> {
        if fits { Ok(true) } else { self.wrong(tell, why) }
    }

    fn wrong(&mut self, tell: bool, why: impl FnOnce() -> String) -> Result<bool, Stopped> {
        if tell && self.told.len() < self.most {
            /// What showing a mistake costs.
            const TOLD: u64 = 100;
            self.meter.take(TOLD)?;
            let place = self.shown_place();
            let place = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
            self.told.push(format!("{place}{}", bounded(&why())));
        }
        Ok(false)
    }

    /// As a JSON pointer, as far as it is told.
    fn shown_place(&self) -> String {
        let mut shown = String::new();
        for step in &self.place {
            match step {
                Step::Field(name) => {
                    let name: String = name.chars().take(MAX_SHOWN).collect();
                    shown.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                }
                Step::Item(index) => shown.push_str(&format!("/{index}")),
            }
            if shown.len() > MAX_MISTAKE {
                break;
            }
        }
        bounded(&shown)
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Object(_) => kind == "object",
        Value::Array(_) => kind == "array",
        Value::String(_) => kind == "string",
        Value::Number(number) => kind == "number" || (kind == "integer" && is_integer(number)),
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_MISTAKE).collect()
}

fn of(value: &(impl serde::Serialize + ?Sized)) -> String {
    shown(value, MAX_SHOWN)
}

/// The beginning of something as JSON; the rest is not even written.
pub(super) fn shown(value: &(impl serde::Serialize + ?Sized), characters: usize) -> String {
    /// Takes so many bytes and no more.
    struct Beginning(Vec<u8>, usize);
    impl Write for Beginning {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len()).min(bytes.len());
            self.0.extend_from_slice(bytes.get(..room).unwrap_or_default());
            if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(room) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // A character takes four bytes at most.
    let mut beginning = Beginning(Vec::new(), 4 * characters);
    let is_whole = serde_json::to_writer(&mut beginning, value).is_ok();
    let text = String::from_utf8_lossy(&beginning.0);
    let mut shown: String = text.chars().take(characters).collect();
    if !is_whole || shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
