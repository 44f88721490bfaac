//! What the bytes of a host take when they are written to a client: as text in which nothing is hidden, in JSON.

use scout_machine::{Capture, hidden};

use crate::MAX_MESSAGE;

/// What a message takes beside the bytes of hosts, in bytes: a command and its directory, twice, and what is said of them.
const BESIDE: usize = 1 << 20;
/// An answer holds bytes twice, as text and as a field. What either may take.
const COPY: usize = (MAX_MESSAGE - BESIDE) / 2;
/// The most that a byte takes: U+0080 has two, and is shown as `<U+0080>`; one that is no character is U+FFFD.
const MOST: usize = 4;

/// As much of a file's first bytes as an answer takes. A guest that hands them on tells how to read on from where they end,
/// which it could not if they were cut later.
pub(crate) fn fitting(capture: Capture) -> Capture {
    let fits = fit(&capture.data, COPY);
    cut(capture, fits)
}

/// As much of a command's two streams as an answer takes: standard error gets half of it, and what standard output leaves.
pub(crate) fn fitting_both(stdout: Capture, stderr: Capture) -> (Capture, Capture) {
    if (stdout.data.len() + stderr.data.len()) * MOST <= COPY {
        return (stdout, stderr);
    }
    let whole = written(&stdout.data);
    let fits = fit(&stderr.data, COPY.saturating_sub(whole).max(COPY / 2));
    let stderr = cut(stderr, fits);
    let fits = fit(&stdout.data, COPY.saturating_sub(written(&stderr.data)));
    (cut(stdout, fits), stderr)
}

fn cut(capture: Capture, length: usize) -> Capture {
    let whole = capture.data.len();
    if length >= whole {
        return capture;
    }
    let total = capture.total.or((!capture.truncated).then_some(whole as u64));
    Capture { data: capture.data.slice(..length), truncated: true, total, ..capture }
}

/// How many of the first bytes take no more than `most` as they are written.
fn fit(bytes: &[u8], most: usize) -> usize {
    if bytes.len() * MOST <= most {
        return bytes.len();
    }
    let mut taken = 0;
    for (at, length) in pieces(bytes) {
        taken += length;
        if taken > most {
            return at;
        }
    }
    bytes.len()
}

fn written(bytes: &[u8]) -> usize {
    pieces(bytes).map(|(_, length)| length).sum()
}

/// The characters of what may be text, each with where it begins and what it takes.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut begin = 0;
    bytes.utf8_chunks().flat_map(move |chunk| {
        let (at, text, invalid) = (begin, chunk.valid(), chunk.invalid());
        begin += text.len() + invalid.len();
        let mut concealed = hidden(text).peekable();
        let valid = text.char_indices().map(move |(offset, c)| {
            let is_hidden = concealed.next_if(|(place, _)| *place == offset).is_some();
            (at + offset, if is_hidden { shown(c) } else { escaped(c) })
        });
        let replaced = (!invalid.is_empty()).then_some((at + text.len(), char::REPLACEMENT_CHARACTER.len_utf8()));
        valid.chain(replaced)
    })
}

/// A hidden character as it is shown: a picture, or its number in angle brackets.
fn shown(c: char) -> usize {
    match u32::from(c) {
        0..=0x1f | 0x7f => '␛'.len_utf8(),
        0x80..=0xffff => "<U+0080>".len(),
        0x1_0000..=0xf_ffff => "<U+E0000>".len(),
        _ => "<U+10FFFF>".len(),
    }
}

fn escaped(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use scout_machine::visible;

    #[test]
    fn what_is_counted_is_what_is_written() {
        for bytes in [
            &b"plain \"text\"\twith\\\r\nends\n"[..],
            b"\x00\x1b[2J\x7f over\rwritten",
            "wörld 🦀 \u{80}\u{9f}\u{202e}\u{200b}\u{e0041} ⚠\u{fe0f} a\u{fe0f} 1\u{fe0f}\u{20e3}".as_bytes(),
            b"caf\xe9 \xff\xfe \xe2\x82 end \xf0\x9f",
        ] {
            let text = String::from_utf8_lossy(bytes);
            let json = serde_json::to_string(&visible(&text)).map(|json| json.len() - 2).ok();
            assert_eq!(json, Some(written(bytes)), "{text:?}");
        }
    }

    #[test]
    fn as_much_is_kept_as_fits_and_no_character_is_split() {
        for bytes in [&b"\x01"[..], b"\xff", b"x", "\u{80}".as_bytes(), "🦀".as_bytes(), b"\n"] {
            let all = bytes.repeat((4 << 20) / bytes.len());
            let kept = fit(&all, COPY);
            let (taken, one) = (written(all.get(..kept).unwrap_or_default()), written(bytes));
            assert!(kept.is_multiple_of(bytes.len()) && taken <= COPY, "{bytes:?}");
            assert!(kept == all.len() || taken + one > COPY, "{bytes:?}");
        }
    }

    #[test]
    fn both_streams_get_what_the_other_leaves() {
        let of = |megabytes: usize| Capture { data: vec![1; megabytes << 20].into(), ..Capture::default() };
        for (stdout, stderr) in [(2, 2), (2, 0), (0, 2), (1, 2), (0, 0)] {
            let (output, error) = fitting_both(of(stdout), of(stderr));
            let taken = written(&output.data) + written(&error.data);
            assert!(taken <= COPY);
            let is_whole = output.data.len() == stdout << 20 && error.data.len() == stderr << 20;
            assert!(is_whole || taken + 3 > COPY, "{stdout} {stderr}");
            assert_eq!(is_whole, !output.truncated && !error.truncated);
            assert!(is_whole || [output.total, error.total].contains(&Some(2 << 20)));
        }
    }
}
