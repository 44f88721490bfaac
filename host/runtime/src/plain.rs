//! JSON that can be passed on as it was written.
//!
//! Owns one pure check. What it lets through says the same as if it had been read, made visible and written anew, at a fraction of the
//! cost; what it does not is read.

use std::fmt;

use scout_machine::hidden;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Objects with more fields are read: each name is compared with those before it.
const MAX_NAMES: usize = 64;

/// The digits of a number with a fraction: so many stay as they are when it is read and written.
const MAX_DIGITS: usize = 15;

/// Whether a text is a JSON object on one line, without hidden characters, without a name that an object has twice, and of whose numbers
/// all are whole and fit 64 bits, or have a short fraction, as latencies do: others may be written in several ways.
pub(crate) fn is_plain(text: &str) -> bool {
    let is_one_line = text.bytes().fold(true, |all, byte| all & (byte >= b' '));
    if !is_one_line || !text.starts_with('{') || hidden(text).next().is_some() {
        return false;
    }
    let (mut reader, mut has_fractions) = (serde_json::Deserializer::from_str(text), false);
    let plain = Plain { names: &mut Vec::new(), has_fractions: &mut has_fractions };
    plain.deserialize(&mut reader).is_ok() && reader.end().is_ok() && (!has_fractions || has_plain_numbers(text))
}

/// Whether all numbers of a JSON text on one line are written as they would be anew.
fn has_plain_numbers(text: &str) -> bool {
    let mut text = text.as_bytes();
    while let Some((first, rest)) = text.split_first() {
        text = match first {
            b'"' => behind_string(rest),
            b'-' | b'0'..=b'9' => {
                let length = text.iter().position(|byte| b",]} ".contains(byte)).unwrap_or(text.len());
                let Some((number, behind)) = text.split_at_checked(length) else { return false };
                if !is_plain_number(number) {
                    return false;
                }
                behind
            }
            _ => rest,
        };
    }
    true
}

/// What follows a string of which this is all but its first quote.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            break;
        }
    }
    rest
}

fn is_plain_number(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let Some(point) = digits.iter().position(|byte| *byte == b'.') else {
        return number != b"-0" && digits.len() < 19 && digits.iter().all(u8::is_ascii_digit);
    };
    let (whole, fraction) = (digits.get(..point).unwrap_or_default(), digits.get(point + 1..).unwrap_or_default());
    // Nothing is left out behind it, and it is not so small that it has an exponent.
    let is_shortest = fraction.last() != Some(&b'0') && (whole != b"0" || fraction.first() != Some(&b'0'));
    whole.len() + fraction.len() <= MAX_DIGITS
        && whole.iter().chain(fraction).all(u8::is_ascii_digit)
        && (fraction == b"0" || is_shortest)
}

/// Reads a value and keeps nothing of it.
struct Plain<'n, 'de> {
    /// Of the objects that it is in, outermost first.
    names: &'n mut Vec<&'de str>,
    /// Set where a number was read that is not whole, or does not fit 64 bits.
    has_fractions: &'n mut bool,
}

impl<'de> DeserializeSeed<'de> for Plain<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        *self.has_fractions = true;
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, _: &'de str) -> Result<(), E> {
        Ok(())
    }

    /// One that is written with escapes, which may stand for anything.
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if hidden(text).next().is_some() { Err(E::custom("hidden")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Plain { names: self.names, has_fractions: self.has_fractions })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let begin = self.names.len();
        // A name with escapes is refused: it could be one that was there.
        while let Some(name) = fields.next_key::<&'de str>()? {
            let others = self.names.get(begin..).unwrap_or_default();
            if others.len() == MAX_NAMES || others.contains(&name) {
                return Err(A::Error::custom("a name twice"));
            }
            self.names.push(name);
            fields.next_value_seed(Plain { names: self.names, has_fractions: self.has_fractions })?;
        }
        self.names.truncate(begin);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_a_plugin_lists_is_plain() {
        for text in [
            "{}",
            r#"{"a":{"a":[{"a":1},{"a":-2}]},"b":null,"c":true,"wörld ⚠️":"日本 \"x\" \\ \n \t \/ é"}"#,
            &format!(r#"{{"n":[0,{},{}]}}"#, u64::MAX, i64::MIN),
            r#"{ "a" : [ ] , "b" : { } }"#,
            r#"{"a":[1.0,0.0,-0.0,0.1, 12.25 ,-3.5,123456789012.125],"1.10":"\\","b":"\"1.10\"0.10","c":7}"#,
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_or_hides_something_is_not() {
        let many = (0..=MAX_NAMES).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(",");
        for text in [
            "",
            "[]",
            "1",
            " {}",
            "{",
            "{}}",
            "{\"a\":01}",
            "{\"a\":}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":\"\\x\"}",
            "{\"a\":1.00}",
            "{\"a\":1.10}",
            "{\"a\":0.00001}",
            "{\"a\":0.1e1}",
            "{\"a\":1234567890.123456}",
            "{\"a\":[0.1,1.0E2]}",
            "{\"a\":0.1,\"b\":-0}",
            "{\"a\":0.1,\"b\":18446744073709551616}",
            "{\"a\":1e2}",
            "{\"a\":-0}",
            "{\"a\":18446744073709551616}",
            "{\"a\":1e999}",
            "{\"a\":1,\"a\":2}",
            "{\"b\":[{\"a\":1,\"a\":2}]}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\n}",
            "{\"a\":\n1}",
            "{\"a\":\r\n1}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\u{200b}\"}",
            "{\"a\u{200b}\":1}",
            "{\"a\":\"\\u200b\"}",
            "{\"a\":\"\\u001b\"}",
            "{\"a\":\"\\b\"}",
            "{\"a\":\"\\r\"}",
            "{\"a\":\"\u{fe0f}\"}",
            "{\"a\":\"\\n\u{fe0f}\"}",
            "{\"a\":\"\\u26a0\u{fe0f}\\ufe0f\"}",
            "{\"a\":\"\\ud800\"}",
            &format!("{{{many}}}"),
            &format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    /// Strings of a value, its names among them.
    fn strings<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
        match value {
            Value::String(text) => all.push(text),
            Value::Array(values) => values.iter().for_each(|value| strings(value, all)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                all.push(name);
                strings(value, all);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    #[test]
    fn whatever_is_let_through_is_what_it_would_be_if_it_was_read_and_written_anew() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\"",
            "\"\\u0061\"",
            "\"\\n\"",
            "\"\u{200b}\"",
            "\"\u{fe0f}\"",
            "\"1\u{fe0f}\u{20e3}\"",
            "1",
            "-1",
            "0",
            "1.0",
            "0.25",
            "1.50",
            "null",
            "true",
            " ",
            "\n",
            "\"",
            "\\",
        ];
        // A walk over the pieces that favours what can follow, the same in every run.
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut plain = 0;
        for _ in 0..200_000 {
            let mut text = String::from("{");
            for _ in 0..next(4) {
                let name = pieces.get(6 + next(7)).unwrap();
                let value = pieces.get(next(pieces.len())).unwrap();
                let nested = format!("{{{name}:{value}}}");
                let value = if next(3) == 0 { nested.as_str() } else { value };
                text.push_str(&format!("{}{name}:{value}", if text.len() > 1 { "," } else { "" }));
            }
            text.push_str(pieces.get(if next(5) > 0 { 1 } else { next(pieces.len()) }).unwrap());
            if !is_plain(&text) {
                continue;
            }
            plain += 1;
            let value: Value = serde_json::from_str(&text).unwrap();
            let mut all = Vec::new();
            strings(&value, &mut all);
            assert!(all.iter().all(|text| hidden(text).next().is_none()), "{text:?}");
            assert_eq!(all.len(), text.replace("\\\"", "").matches('"').count() / 2, "a name was lost of {text:?}");
            assert!(value.is_object() && !text.contains(['\n', '\r']));
            assert_eq!(value, serde_json::from_str::<Value>(&value.to_string()).unwrap());
        }
        assert!(plain > 10_000, "{plain}");
        plain = 0;
        for _ in 0..200_000 {
            let sign = if next(2) == 0 { "-" } else { "" };
            let (whole, fraction) = (next(1 << 31) >> next(31), next(1 << 31) >> next(31));
            let text = format!("{{\"a\":{sign}{whole}.{}{fraction}}}", "0".repeat(next(3)));
            if is_plain(&text) {
                plain += 1;
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap().to_string(), text);
            }
        }
        assert!(plain > 10_000, "{plain}");
    }
}
