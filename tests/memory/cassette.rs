//! Cassettes of somebody else's, as long as one may be and as full of values as JSON can be.

use scout_runtime::cassette::{Cassette, Replay};
use scout_runtime::{Answer, Content, Receipt};

use super::{Case, MOST};

/// As long as the longest that was seen to cost much, in bytes.
const LONG: usize = 12 << 20;
/// What it may take to refuse one: its text is there already.
const REFUSED: usize = 16 << 20;

/// A cassette in which `part` stands `count` times where `place` is.
fn cassette(place: &str, part: &str, count: usize) -> Vec<u8> {
    let filled = vec![part; count].join(",");
    let fill = |name: &str, empty: &str| if name == place { filled.clone() } else { empty.to_owned() };
    format!(
        r#"{{"cassette": 1, "plugin": "mine", "tool": "look", "arguments": {{"a": [{}]}}, "settings": {{"a": [{}]}},
        "grants": ["files"], "secret_paths": [{}],
        "limits": {{"file_bytes": 1, "output_bytes": 1, "dir_entries": 1, "answer_bytes": 1}}, "clock": 1, "seed": 1, "hosts": [{}],
        "operations": [{{"host": "box", "asked": {{"open": "/"}}, "given": {{"directory": {{"attributes": {{}}, "entries": [{}]}}}}}} {}],
        "expect": {{"answer": {{"content": [{{"text": [{}]}}], "structured": {{"a": [{}]}}}}}}}}"#,
        fill("arguments", "1"),
        fill("settings", "1"),
        fill("secret_paths", ""),
        fill("hosts", ""),
        fill("entries", ""),
        if place == "operations" { format!(", {filled}") } else { String::new() },
        fill("lines", ""),
        fill("structured", "1"),
    )
    .into_bytes()
}

/// Where a cassette holds many of the same, the shortest of them, and how many of them are read.
const PARTS: [(&str, &str, usize); 9] = [
    ("arguments", r#"{"":0}"#, 24_000),
    ("settings", "[]", 49_000),
    ("structured", r#"{"":{"":{}}}"#, 16_000),
    ("structured", "0", 49_000),
    ("secret_paths", r#""""#, 499_000),
    ("entries", r#"{"name":"","attributes":{}}"#, 124_000),
    ("operations", r#"{"host":"","asked":{"stat":""},"given":{"attributes":{}}}"#, 9_990),
    ("hosts", r#"{"name":"","address":"","user":"","commands":"none"}"#, 9_990),
    ("lines", r#""""#, 499_000),
];

#[test]
fn a_cassette_that_is_full_of_values_is_refused_before_they_are_there() {
    let case = Case::alone();
    for (place, part, _) in PARTS {
        let bytes = cassette(place, part, LONG / (part.len() + 1));
        let (peak, read) = case.peak(|| Cassette::parse(&bytes).map(drop));
        let refusal = read.expect_err(place).to_string();
        assert!(
            refusal.contains("more than 500000 lines and values") || refusal.contains("more than 10000"),
            "{refusal}"
        );
        assert!(peak < REFUSED, "{place}: {} MiB", peak >> 20);
    }
}

#[test]
fn the_costliest_cassette_that_is_read_takes_what_a_case_may() {
    let case = Case::alone();
    for (place, part, count) in PARTS {
        let bytes = cassette(place, part, count);
        let (peak, read) = case.peak(|| {
            let cassette = Cassette::parse(&bytes).unwrap_or_else(|error| panic!("{place}: {error}"));
            let answer = Answer { content: vec![Content::Text("another".to_owned())], ..Answer::default() };
            let replay = Replay { answer: Ok((answer, Receipt::default())), faults: Vec::new() };
            cassette.difference(&replay)
        });
        assert!(read.is_some() && peak < MOST, "{place}: {} MiB", peak >> 20);
    }
}
