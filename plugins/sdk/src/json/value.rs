//! Reads JSON (RFC 8259).
//!
//! Invariant: whatever the text is, reading ends, without a panic and without deep recursion.

/// Arrays and objects inside each other.
const MAX_DEPTH: usize = 64;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object: its fields in the order written.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The value that a text spells. Absent if it is no JSON, or nested deeper than 64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(MAX_DEPTH)?;
        reader.blanks();
        (reader.at == text.len()).then_some(value)
    }

    /// A field of an object; of several with the name, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is a whole one, not below zero, that fits. `5.0` is a whole one, as in JSON Schema.
    #[must_use]
    pub fn as_integer(&self) -> Option<u64> {
        let Self::Number(number) = self else { return None };
        let whole = match number.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
            Some(_) => return None,
            None => number,
        };
        whole.parse().ok()
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let found = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        found.then_some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.blanks();
        match self.peek()? {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Boolean(true)),
            b'f' => self.word("false", Value::Boolean(false)),
            b'"' => self.string().map(Value::Text),
            b'[' => {
                let mut items = Vec::new();
                self.list(b']', |reader| {
                    items.push(reader.value(depth)?);
                    Some(())
                })?;
                Some(Value::Array(items))
            }
            b'{' => {
                let mut fields = Vec::new();
                self.list(b'}', |reader| {
                    let name = reader.string()?;
                    reader.blanks();
                    if !reader.take(b':') {
                        return None;
                    }
                    fields.push((name, reader.value(depth)?));
                    Some(())
                })?;
                Some(Value::Object(fields))
            }
            _ => self.number(),
        }
    }

    /// What stands between brackets, separated by commas.
    fn list(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.take(end) {
            return Some(());
        }
        loop {
            self.blanks();
            item(self)?;
            self.blanks();
            if self.take(end) {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || digits > 1 && leading_zero {
            return None;
        }
        if self.take(b'.') && self.digits() == 0 {
            return None;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return None;
            }
        }
        Some(Value::Number(self.text.get(start..self.at)?.to_owned()))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Option<String> {
        if !self.take(b'"') {
            return None;
        }
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            // Control characters stand in no string.
            let plain = rest.find(|character| matches!(character, '"' | '\\' | '\0'..='\u{1f}'))?;
            out.push_str(rest.get(..plain)?);
            self.at += plain;
            if self.take(b'"') {
                return Some(out);
            }
            if !self.take(b'\\') {
                return None;
            }
            let escape = self.peek()?;
            self.at += 1;
            out.push(match escape {
                b'"' | b'\\' | b'/' => char::from(escape),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.code_point()?,
                _ => return None,
            });
        }
    }

    /// After `\u`: a character, or two halves of one. A half alone is U+FFFD.
    fn code_point(&mut self) -> Option<char> {
        const HALVES: u32 = 0xd800;
        const SECOND_HALVES: u32 = 0xdc00;
        const END: u32 = 0xe000;
        let first = self.hex()?;
        if (HALVES..SECOND_HALVES).contains(&first) {
            let after_first = self.at;
            if self.take(b'\\') && self.take(b'u') {
                let second = self.hex()?;
                if (SECOND_HALVES..END).contains(&second) {
                    return char::from_u32(0x1_0000 + ((first - HALVES) << 10) + (second - SECOND_HALVES));
                }
            }
            self.at = after_first;
        }
        Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Option<u32> {
        const DIGITS: usize = 4;
        let digits = self.text.get(self.at..self.at + DIGITS)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.at += DIGITS;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, Value};

    #[test]
    fn every_kind_of_value_is_read() {
        let value = Value::parse(" {\"a\": [1, -2.5e+3, true, false, null], \"b\" : {}, \"c\":\"x\", \"c\":\"y\"}\n");
        let value = value.expect("is JSON");
        let number = |digits: &str| Value::Number(digits.to_owned());
        let items = vec![number("1"), number("-2.5e+3"), Value::Boolean(true), Value::Boolean(false), Value::Null];
        assert_eq!(value.get("a"), Some(&Value::Array(items)));
        assert_eq!(value.get("b"), Some(&Value::Object(vec![])));
        assert_eq!(value.get("c").and_then(Value::as_text), Some("y"));
        assert_eq!(
            (value.get("d"), Value::Null.get("a"), Value::parse("[]")),
            (None, None, Some(Value::Array(vec![])))
        );
    }

    #[test]
    fn strings_are_unescaped() {
        let text = |json: &str| Value::parse(json).and_then(|value| value.as_text().map(str::to_owned));
        assert_eq!(text(r#""a\"\\\/\b\f\n\r\t\u00fc""#).as_deref(), Some("a\"\\/\u{8}\u{c}\n\r\tü"));
        assert_eq!(
            text(r#""\ud83d\ude00 \ud83d x \ude00 \ud83d\u0041 ü😀""#).as_deref(),
            Some("😀 \u{fffd} x \u{fffd} \u{fffd}A ü😀")
        );
    }

    #[test]
    fn whole_numbers_are_integers() {
        let integer = |text: &str| Value::parse(text).and_then(|value| value.as_integer());
        assert_eq!(integer("18446744073709551615"), Some(u64::MAX));
        assert_eq!((integer("0"), integer("5.0"), integer("5.5")), (Some(0), Some(5), None));
        assert_eq!((integer("-1"), integer("18446744073709551616"), integer("\"5\"")), (None, None, None));
    }

    #[test]
    fn what_is_no_json_is_none() {
        const BAD: &str = r#"nul tru [ [1 [1, [1,] [,] { {"a" {"a": {"a":1,} {a:1} 01 - 1. 1e .5 +1 " "\ "\u12 "\u+123" "\ud83d\u" "\x" 1;2 [1} "\u00ü""#;
        for bad in BAD.split(' ').chain(["", " ", "1 2", "\"a\nb\"", "\u{feff}1"]) {
            assert_eq!(Value::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_none() {
        let nested = |depth: usize| Value::parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(nested(MAX_DEPTH).is_some());
        assert_eq!(nested(MAX_DEPTH + 1), None);
        assert_eq!(nested(1_000_000), None);
    }
}
