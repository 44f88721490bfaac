//! What a value comes to, held against tables and against the `jsonschema` crate; and what it costs.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use jsonschema::Draft;
use scout_runtime::{Meter, Stopped};
use serde_json::{Map, Value, json};

use super::{Compiler, Schema};

const STEPS: u64 = 10_000_000;

fn compiled(schema: &Value) -> Schema {
    let compiled = Compiler::default().compile(schema.as_object().unwrap(), &mut Meter::new(STEPS));
    compiled.unwrap_or_else(|why| panic!("{why:?}: {schema}"))
}

fn mistakes(schema: &Value, value: &Value) -> Option<String> {
    compiled(schema).mistakes(value, &mut Meter::new(STEPS)).unwrap()
}

#[test]
fn a_value_that_does_not_fit_is_told_with_its_place() {
    let schema = json!({"type": "object", "required": ["lines"], "properties": {"lines": {"$ref": "#/$defs/lines"},
        "list": {"items": {"type": ["string", "null"]}}, "~a/b": {"const": 1}},
        "$defs": {"lines": {"type": "integer", "maximum": 9}}, "additionalProperties": false});
    assert_eq!(mistakes(&schema, &json!({"lines": 9, "list": [null, ""]})), None);
    let told = mistakes(&schema, &json!({"lines": 10, "lnes": 1, "list": ["", 2], "~a/b": {}})).unwrap();
    for says in [
        "`/lines`: 10 is greater than the maximum of 9",
        "(\"lnes\" was unexpected)",
        "`/list/1`: 2 is not of type \"string\" or \"null\"",
        "`/~0a~1b`: {} is not 1",
    ] {
        assert!(told.contains(says), "{told}");
    }
    assert_eq!(mistakes(&schema, &json!({})).unwrap(), "\"lines\" is a required property");
}

#[test]
fn what_is_told_of_a_large_value_is_short() {
    let long = "x".repeat(1 << 20);
    let schema = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    let mut fields: Map<String, Value> = (0..1000).map(|n| (format!("{n}{long}"), json!([long]))).take(4).collect();
    fields.insert("a".to_owned(), json!(vec![json!({"deep": [1]}); 10_000]));
    let told = mistakes(&schema, &Value::Object(fields)).unwrap();
    assert!(told.len() < 2500 && told.matches("is not of type").count() == 5, "{}", told.len());
}

#[test]
fn mistakes_are_counted_as_far_as_asked() {
    let schema = compiled(&json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}));
    let value: Value = (0..50).map(|n| (n.to_string(), json!("no"))).collect::<Map<_, _>>().into();
    let count = |most| schema.count_mistakes(&value, most, &mut Meter::new(STEPS)).unwrap();
    assert_eq!((count(7), count(100)), (7, 50));
}

/// Whatever the pair, it ends, and in proportion to the steps it was given.
#[test]
fn what_takes_long_ends_with_its_steps() {
    let doubling = {
        let mut definitions = Map::new();
        for i in 0..8 {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            definitions.insert(format!("d{i}"), json!({"not": {"not": {"anyOf": [{"not": next}, next]}}}));
        }
        definitions.insert("d8".to_owned(), json!(false));
        json!({"type": "object", "properties": {"a": {"items": {"$ref": "#/$defs/d0"}}}, "$defs": definitions})
    };
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, n| json!({"x": inner, "y": n}));
    let of_items = |schema: Value| json!({"type": "object", "properties": {"a": schema}});
    let numbers: Vec<Value> = (0..50_000).map(Value::from).collect();
    for (what, schema, value) in [
        (
            "many schemas",
            of_items(json!({"items": {"allOf": vec![json!({"minimum": 0}); 4000]}})),
            json!({"a": numbers}),
        ),
        ("doubling references", doubling, json!({"a": numbers})),
        (
            "unique items",
            of_items(json!({"uniqueItems": true})),
            json!({"a": vec![nested(40); 20_000].into_iter().enumerate().map(|(n, v)| json!([n, v])).collect::<Vec<_>>()}),
        ),
        (
            "patterns and names",
            json!({"type": "object", "patternProperties": (0..200).map(|n| (format!("^(a?){{20}}{n}"), json!(true))).collect::<Map<_, _>>()}),
            (0..5000).map(|n| (format!("{}{n}", "a".repeat(20)), json!(n))).collect::<Map<_, _>>().into(),
        ),
        (
            "a pattern that backtracks elsewhere",
            of_items(json!({"pattern": "^(a+)+$"})),
            json!({"a": format!("{}b", "a".repeat(4 << 20))}),
        ),
        (
            "contains in contains",
            of_items(json!({"contains": {"contains": {"contains": {"const": -1}}}})),
            json!({"a": vec![vec![vec![1; 100]; 100]; 100]}),
        ),
        (
            "an enum of long texts",
            of_items(json!({"items": {"not": {"enum": vec!["x".repeat(1000); 50]}}})),
            json!({"a": vec![format!("{}y", "x".repeat(999)); 4000]}),
        ),
        (
            "what nobody looked at",
            json!({"type": "object", "unevaluatedProperties": false, "anyOf": vec![json!({"additionalProperties": true}); 3000]}),
            (0..30_000).map(|n| (n.to_string(), json!({}))).collect::<Map<_, _>>().into(),
        ),
        (
            "names of properties",
            json!({"type": "object", "propertyNames": {"allOf": vec![json!({"minLength": 1}); 1000]}}),
            (0..1000).map(|n| (n.to_string(), json!(n))).collect::<Map<_, _>>().into(),
        ),
    ] {
        let schema = compiled(&schema);
        for steps in [0, 1000, 100_000] {
            assert_eq!(schema.mistakes(&value, &mut Meter::new(steps)), Err(Stopped::Spent), "{what}");
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> T {
        from.get(self.roll(from.len())).unwrap().clone()
    }

    fn name(&mut self) -> String {
        self.of(&["a", "b", "ab", "c/d", "é"]).to_owned()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 7 } else { 11 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => json!(self.roll(5)),
            3 => json!(self.of(&[1.0, 1.5, -2.0, 0.3, 1e20, 2.5])),
            4 => json!(-i64::try_from(self.roll(4)).unwrap()),
            5 | 6 => json!(self.of(&["", "a", "ab", "aab", "ü", "12", "\u{1f980}\u{1f980}"])),
            7 | 8 => (0..self.roll(5)).map(|_| self.value(depth - 1)).collect::<Vec<_>>().into(),
            _ => (0..self.roll(5)).map(|_| (self.name(), self.value(depth - 1))).collect::<Map<_, _>>().into(),
        }
    }

    fn schemas(&mut self, depth: usize) -> Vec<Value> {
        (0..1 + self.roll(3)).map(|_| self.schema(depth)).collect()
    }

    fn named(&mut self, depth: usize) -> Value {
        (0..self.roll(4)).map(|_| (self.name(), self.schema(depth))).collect::<Map<_, _>>().into()
    }

    fn pattern(&mut self) -> String {
        self.of(&["a", "^a", "b$", r"^\d+$", r"^\w*$", "^[^a]", "^.$", "", "^(a|ab)+$", r"\S"]).to_owned()
    }

    fn schema(&mut self, depth: usize) -> Value {
        if depth == 0 || self.roll(12) == 0 {
            return self.of(&[
                json!(true),
                json!(false),
                json!({}),
                json!({"type": "string"}),
                json!({"$ref": "#/$defs/x"}),
            ]);
        }
        let mut schema = Map::new();
        for _ in 0..1 + self.roll(4) {
            let inner = depth - 1;
            let types = ["null", "boolean", "object", "array", "number", "integer", "string"];
            let (key, value) = match self.roll(36) {
                0 | 1 => ("type", json!(self.of(&types))),
                2 => ("type", json!([self.of(&types[..3]), self.of(&types[3..])])),
                3 => ("const", self.value(2)),
                4 => ("enum", (0..1 + self.roll(4)).map(|_| self.value(2)).collect::<Vec<_>>().into()),
                5 => ("maximum", json!(self.of(&[0.0, 1.0, 1.5]))),
                6 => ("exclusiveMaximum", json!(self.roll(3))),
                7 => ("minimum", json!(self.roll(3))),
                8 => ("exclusiveMinimum", json!(self.of(&[-1.0, 1.0, 0.3]))),
                9 => ("multipleOf", json!(self.of(&[1.0, 0.1, 2.0, 0.5]))),
                10 => ("maxLength", json!(self.roll(3))),
                11 => ("minLength", json!(self.roll(3))),
                12 => ("pattern", json!(self.pattern())),
                13 => ("maxItems", json!(self.roll(4))),
                14 => ("minItems", json!(self.roll(3))),
                15 => ("uniqueItems", json!(true)),
                16 | 17 => ("items", self.schema(inner)),
                18 => ("prefixItems", self.schemas(inner).into()),
                19 => ("contains", self.schema(inner)),
                20 => ("minContains", json!(self.roll(3))),
                21 => ("maxContains", json!(self.roll(3))),
                22 => ("required", json!([self.name()])),
                23 => ("dependentRequired", json!({self.name(): [self.name()]})),
                24 | 25 => ("properties", self.named(inner)),
                26 => ("patternProperties", json!({self.pattern(): self.schema(inner)})),
                27 => ("additionalProperties", self.schema(inner)),
                28 => ("propertyNames", self.schema(inner)),
                29 => ("dependentSchemas", self.named(inner)),
                30 => (self.of(&["allOf", "anyOf", "oneOf"]), self.schemas(inner).into()),
                31 => ("not", self.schema(inner)),
                32 => {
                    schema.insert("then".to_owned(), self.schema(inner));
                    schema.insert("else".to_owned(), self.schema(inner));
                    ("if", self.schema(inner))
                }
                33 => ("unevaluatedItems", self.schema(inner)),
                34 => ("unevaluatedProperties", self.schema(inner)),
                _ => ("minProperties", json!(self.roll(3))),
            };
            schema.insert(key.to_owned(), value);
        }
        schema.into()
    }
}

/// Another implementation, of other people, is asked the same.
#[test]
fn values_fit_where_they_fit_elsewhere() {
    let (mut dice, mut fitting, mut all) = (Dice(7), 0, 0);
    for _ in 0..1500 {
        let schema = json!({"type": "object", "properties": {"v": dice.schema(3)}, "$defs": {"x": {"minimum": 1, "maxLength": 1}}});
        let other = jsonschema::options().with_draft(Draft::Draft202012).build(&schema).unwrap();
        let own = compiled(&schema);
        for _ in 0..20 {
            let value = json!({"v": dice.value(3)});
            let fits = own.mistakes(&value, &mut Meter::new(STEPS)).unwrap();
            assert_eq!(fits.is_none(), other.is_valid(&value), "{schema}\n{value}\n{fits:?}");
            all += 1;
            fitting += usize::from(fits.is_none());
        }
    }
    // Else the one or the other would say nothing.
    assert!(fitting > all / 5 && fitting < all * 4 / 5, "{fitting} of {all}");
}
