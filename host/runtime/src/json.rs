//! What a JSON text costs once it is parsed, told before it is.
//!
//! Owns one pure scan. Knows neither who wrote the text nor what they may spend: whoever parses a text that somebody else
//! wrote weighs it first, holds the weight against a bound of theirs, and only then takes the memory.

use memchr::memchr2;

/// Bytes of a `serde_json::Value`.
const VALUE: usize = size_of::<serde_json::Value>();
/// An allocation takes at least this many bytes, however few are asked for.
const ALLOCATION: usize = 32;
/// A value in an array: the array grows to twice its values and is copied meanwhile, so that there are three places for each.
const ELEMENT: usize = 3 * VALUE;
/// What the first element of an array allocates: room for four.
const ARRAY: usize = 4 * VALUE;
/// A node of the tree that holds an object's fields has room for eleven, and is there for the first one.
const OBJECT: usize = 11 * (size_of::<String>() + VALUE) + 16;
/// A field: a node is at least five elevenths full, and one of six has twelve pointers to others.
const FIELD: usize = OBJECT / 5 + 4 * size_of::<usize>();

/// What a JSON text costs as a `serde_json::Value`. Read piece by piece, it can be refused before it has arrived.
///
/// The text is not validated: of one that is not JSON the figures mean nothing, but the scan takes one pass and no memory
/// whatever it is given.
///
/// # Examples
/// ```
/// use scout_runtime::json::Weight;
///
/// let weight = Weight::of(br#"{"lines": [1, [2]]}"#);
/// assert_eq!((weight.nodes(), weight.depth()), (5, 3));
/// assert!(weight.memory() > 19);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Weight {
    bytes: usize,
    openings: usize,
    commas: usize,
    fields: usize,
    /// Objects with fields: others allocate nothing.
    objects: usize,
    quotes: usize,
    level: usize,
    depth: usize,
    in_string: bool,
    /// An object was opened, and none of its fields was seen yet.
    opened: bool,
    /// A string with an escape was seen.
    escapes: bool,
    /// The piece before ended with a backslash in a string.
    escaped: bool,
}

impl Weight {
    /// The weight of a whole text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut weight = Self::default();
        weight.read(text);
        weight
    }

    /// Goes on with the next piece of the text, wherever it was cut.
    pub fn read(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len());
        let mut rest = piece;
        loop {
            rest = if self.in_string { self.string(rest) } else { self.structure(rest) };
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Values in the text, at most: objects, arrays and what is in them.
    #[must_use]
    pub fn nodes(&self) -> usize {
        1 + self.openings + self.commas
    }

    /// How deep arrays and objects lie in each other. A text without any has 0.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes that the parsed value takes on the heap, at most; the text itself is not among them.
    #[must_use]
    pub fn memory(&self) -> usize {
        let arrays = self.openings - self.objects;
        let strings = self.quotes.div_ceil(2);
        // A string with escapes is put together in a buffer, which grows to twice its length and is copied meanwhile.
        let buffer = if self.escapes { self.bytes.saturating_mul(2) } else { 0 };
        [
            self.bytes,
            buffer,
            VALUE,
            strings.saturating_mul(ALLOCATION),
            arrays.saturating_mul(ARRAY),
            self.objects.saturating_mul(OBJECT),
            self.fields.saturating_mul(FIELD),
            self.commas.saturating_mul(ELEMENT),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Goes on within a string; gives what follows it.
    fn string<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut rest = piece;
        if std::mem::take(&mut self.escaped) {
            rest = rest.get(1..).unwrap_or_default();
        }
        while let Some(at) = memchr2(b'"', b'\\', rest) {
            let quote = rest.get(at) == Some(&b'"');
            rest = rest.get(at + 1..).unwrap_or_default();
            if quote {
                self.quotes += 1;
                self.in_string = false;
                return rest;
            }
            self.escapes = true;
            if rest.is_empty() {
                self.escaped = true;
                return rest;
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        &[]
    }

    /// Goes on outside of strings; gives what follows the next quote.
    fn structure<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                b'"' => {
                    self.quotes += 1;
                    self.in_string = true;
                    return piece.get(at + 1..).unwrap_or_default();
                }
                b'{' | b'[' => {
                    self.openings += 1;
                    self.opened = *byte == b'{';
                    self.level += 1;
                    self.depth = self.depth.max(self.level);
                }
                b'}' | b']' => {
                    self.opened = false;
                    self.level = self.level.saturating_sub(1);
                }
                b',' => self.commas += 1,
                b':' => {
                    self.fields += 1;
                    self.objects += usize::from(std::mem::take(&mut self.opened));
                }
                _ => {}
            }
        }
        &[]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Values in a parsed text.
    fn nodes(value: &Value) -> usize {
        1 + match value {
            Value::Array(values) => values.iter().map(nodes).sum(),
            Value::Object(fields) => fields.values().map(nodes).sum(),
            _ => 0,
        }
    }

    #[test]
    fn nodes_and_depth_are_those_of_the_parsed_value() {
        for (text, depth) in [
            ("1", 0),
            (r#""a,b:[{""#, 0),
            (r#""\"[,\\""#, 0),
            ("[1, 2, [3, {\"a\": [null]}]]", 4),
            (r#"{"a": {"b": "}"}, "c\"": [1.5e3, true]}"#, 2),
        ] {
            let weight = Weight::of(text.as_bytes());
            assert_eq!(weight.nodes(), nodes(&serde_json::from_str(text).unwrap()), "{text}");
            assert_eq!(weight.depth(), depth, "{text}");
        }
        // An empty one counts as if there were something in it.
        assert_eq!(Weight::of(b"[[], {}]").nodes(), 5);
    }

    #[test]
    fn it_does_not_matter_where_the_text_is_cut() {
        let text = br#"{"a\\": ["\"", {"b": "x\\\"y,"}, 1, 2], "c": "\\"}"#;
        let whole = Weight::of(text);
        for at in 0..=text.len() {
            let (first, second) = text.split_at(at);
            let mut pieces = Weight::of(first);
            pieces.read(second);
            assert_eq!(
                (pieces.nodes(), pieces.depth(), pieces.memory()),
                (whole.nodes(), whole.depth(), whole.memory())
            );
        }
    }

    #[test]
    fn closing_what_was_not_opened_is_survived() {
        let weight = Weight::of(b"]]]}}[");
        assert_eq!((weight.nodes(), weight.depth()), (2, 1));
    }
}
