//! What a JSON text is said to take beforehand, beside what it takes.

use scout_runtime::json::Weight;
use serde_json::Value;

use crate::Case;

/// Of each shape about so many values.
const MANY: usize = 100_000;

fn array(element: &str) -> String {
    format!("[{}]", vec![element; MANY].join(","))
}

fn object(name: impl Fn(usize) -> usize) -> String {
    let fields: Vec<String> = (0..MANY).map(|field| format!("\"{:06}\":1", name(field))).collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn a_text_never_takes_more_than_its_weight() {
    let case = Case::alone();
    let shapes = [
        ("numbers", array("1")),
        ("short strings", array("\"a\"")),
        ("empty arrays", array("[]")),
        ("empty objects", array("{}")),
        ("arrays of one", array("[1]")),
        ("arrays of five", array("[1,2,3,4,5]")),
        ("objects of one field", array(r#"{"a":1}"#)),
        ("objects of one string", array(r#"{"a":"b"}"#)),
        (
            "objects of twelve fields",
            array(r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1}"#),
        ),
        ("objects in objects", array(r#"{"a":{"b":{}}}"#)),
        ("fields in order", object(|field| field)),
        ("fields against the order", object(|field| MANY - field)),
        ("fields in no order", object(|field| field * 7919 % 1_000_003)),
        ("strings of escapes", array(r#""\u00e9\n\n\n\n\n\n""#)),
        ("one long string", format!("[\"{}\"]", "x".repeat(10 * MANY))),
        ("one long string of escapes", format!("[\"{}\"]", "\\n".repeat(10 * MANY))),
        ("one long string with an escape", format!("[\"{}\\n\"]", "x".repeat(10 * MANY))),
    ];
    for (name, text) in shapes {
        let weight = Weight::of(text.as_bytes());
        let (peak, value) = case.peak(|| serde_json::from_str::<Value>(&text).expect("JSON"));
        assert!(peak <= weight.memory(), "{name}: {peak} bytes of {}", weight.memory());
        // A weight far above the truth would refuse what can be afforded.
        assert!(weight.memory() <= 4 * peak, "{name}: {peak} bytes of {}", weight.memory());
        drop(value);
    }
}
