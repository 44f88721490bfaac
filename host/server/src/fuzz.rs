//! The judgement of what plugins and clients say, on bytes alone, for tests that choose all of these.
//!
//! No interface: it changes as the judgement does.

use scout_runtime::Meter;

use crate::schema::Compiler;

/// Steps for compiling and for checking, each: far more than a schema of a few kilobytes takes that is not made to take long.
const STEPS: u64 = 1_000_000;

/// Compiles the schema in the first line, and holds the value in the rest against it. Gives whether it was a schema.
pub fn schema(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let Ok(schema) = serde_json::from_slice(parts.next().unwrap_or_default()) else { return false };
    let Ok(schema) = Compiler::default().compile(&schema, &mut Meter::new(STEPS)) else { return false };
    let value = serde_json::from_slice(parts.next().unwrap_or_default()).unwrap_or_default();
    // Out of steps is an answer too.
    let _ = schema.mistakes(&value, &mut Meter::new(STEPS));
    let _ = schema.count_mistakes(&value, 10, &mut Meter::new(STEPS));
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_schema_and_a_value_are_taken() {
        assert!(super::schema(b"{\"type\": \"object\", \"required\": [\"a\"]}\n{\"a\": 1}"));
        assert!(!super::schema(b"{\"type\": \"array\"}\n[]"));
        assert!(!super::schema(b"\xff"));
    }
}
