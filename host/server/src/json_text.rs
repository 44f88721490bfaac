//! Text as it stands in a JSON string.

use bytes::BufMut;
use memchr::memchr3_iter;

/// Bytes that are looked at together.
const BLOCK: usize = 4 << 10;
/// In a block with more to be escaped, one byte in so many, a search stops so often that it is no quicker.
const DENSE: usize = 32;

/// Writes a text as it stands between the quotes of a JSON string, escaped as `serde_json` does it (RFC 8259 §7): by `serde_json`, or
/// where only ends of lines, quotes and backslashes are escaped and these are few, by runs of what is between them.
///
/// # Errors
/// None: memory takes what is written.
pub(crate) fn escape(text: &str, into: &mut impl BufMut) -> serde_json::Result<()> {
    let (mut rest, mut written) = (text, Vec::new());
    while !rest.is_empty() {
        let (block, behind) = rest.split_at(rest.floor_char_boundary(BLOCK));
        rest = behind;
        let bytes = block.as_bytes();
        let (escaped, found) = (count(bytes, |byte| byte < b' ' || is_found(byte)), count(bytes, is_found));
        if escaped != found || usize::from(found) > bytes.len() / DENSE {
            written.clear();
            serde_json::to_writer(&mut written, block)?;
            into.put_slice(written.get(1..written.len() - 1).unwrap_or_default());
            continue;
        }
        let mut done = 0;
        for at in memchr3_iter(b'\n', b'"', b'\\', bytes) {
            into.put_slice(bytes.get(done..at).unwrap_or_default());
            into.put_slice(match bytes.get(at) {
                Some(b'\n') => b"\\n",
                Some(b'"') => b"\\\"",
                _ => b"\\\\",
            });
            done = at + 1;
        }
        into.put_slice(bytes.get(done..).unwrap_or_default());
    }
    Ok(())
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> u16 {
    bytes.iter().fold(0, |count, byte| count + u16::from(is(*byte)))
}

/// What a search for three bytes finds.
fn is_found(byte: u8) -> bool {
    matches!(byte, b'\n' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let mut escaped = vec![b'"'];
        assert!(escape(text, &mut escaped).is_ok());
        escaped.push(b'"');
        assert_eq!(Some(escaped), serde_json::to_vec(text).ok(), "{text:?}");
    }

    #[test]
    fn it_is_escaped_as_serde_json_does_it_whatever_is_in_it_and_wherever_a_block_ends() {
        let all: String = ('\0'..=char::MAX).collect();
        check(&all);
        for c in '\0'..='\u{ff}' {
            check(&format!("a{c}\n{c}{c}\"ä{c}"));
        }
        // Few of them in a block, and many.
        for between in [0, 1, DENSE - 1, DENSE, 100] {
            for c in ["\n", "\"", "\\", "\r"] {
                check(&format!("{}{c}", "x".repeat(between)).repeat(2 * BLOCK / (between + 1)));
            }
        }
        for c in ["\n", "\"", "\\", "\r", "\u{1}", "ä", "🦀", "\\\n\""] {
            for at in BLOCK - 5..=BLOCK + 1 {
                check(&format!("{}{c}x{c}", "x".repeat(at)));
                check(&format!("{}{c}x{c}", "日".repeat(at)));
            }
        }
        check("");
    }
}
