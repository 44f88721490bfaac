//! Where a page ended, as a text that the client brings back.
//!
//! It is bound to the tool, the host, every argument but `limit` and `cursor`, and the place: brought back with other arguments, or changed, it
//! is refused. It is not sealed: whoever knows how may write one, and gains nothing, because a page is what the same call without a cursor
//! would show, asked of the host anew under the same rights. It is not bound to who asks, nor to what the host said: rows may have come and
//! gone since.

use crate::json::Value;

/// A hash (FNV-1a, 64 bits), which finds mistakes and no attacks.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Where one text ends and the next begins is a part of it.
        self.0 = (self.0 ^ 0xff).wrapping_mul(0x0100_0000_01b3);
        self
    }

    fn value(self, value: &Value) -> Self {
        match value {
            Value::Null => self.bytes(b"n"),
            Value::Boolean(value) => self.bytes(if *value { b"t" } else { b"f" }),
            Value::Number(digits) => self.bytes(b"0").bytes(digits.as_bytes()),
            Value::Text(text) => self.bytes(b"s").bytes(text.as_bytes()),
            Value::Array(items) => items.iter().fold(self.bytes(b"["), |hash, item| hash.value(item)),
            Value::Object(fields) => {
                fields.iter().fold(self.bytes(b"{"), |hash, (name, value)| hash.bytes(name.as_bytes()).value(value))
            }
        }
    }
}

/// What a cursor is bound to: the tool and its arguments, in whatever order they were written.
pub(super) fn binding(tool: &str, arguments: &Value) -> u64 {
    let Value::Object(fields) = arguments else { return 0 };
    let bound = fields.iter().filter(|(name, _)| name != "cursor" && name != "limit");
    let arguments =
        bound.fold(0u64, |sum, (name, value)| sum.wrapping_add(Hash::new().bytes(name.as_bytes()).value(value).0));
    Hash::new().bytes(tool.as_bytes()).bytes(&arguments.to_le_bytes()).0
}

/// The cursor of the rows behind so many.
pub(super) fn write(binding: u64, offset: usize) -> String {
    let check = Hash::new().bytes(&binding.to_le_bytes()).bytes(&(offset as u64).to_le_bytes()).0;
    format!("{offset:x}-{check:016x}")
}

/// How many rows stand before those that a cursor asks for. Absent if it is not one of this binding.
pub(super) fn read(binding: u64, cursor: &str) -> Option<usize> {
    let (offset, _) = cursor.split_once('-')?;
    let offset = usize::from_str_radix(offset, 16).ok()?;
    (write(binding, offset) == cursor).then_some(offset)
}
