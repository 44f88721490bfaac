//! Text of others (hosts, agents, local commands, files) on its way into messages and logs.
//!
//! A model reads what a person does not see, and a terminal obeys it. Owns which characters hide something and what is
//! shown in their place. Whoever takes text of others into a message passes it through [`line`]; every
//! [`crate::HostError`] passes [`visible`] besides.

use std::borrow::Cow;

/// The hidden characters of a text, each with its offset in bytes: control characters, all that Unicode says is ignorable
/// by default (zero-width and directional marks, variation selectors, tags, blank letters), separators of lines that are
/// none, annotations. Not hidden are line feed, tab, the carriage return before a line feed, and the selector that makes
/// an emoji of the symbol before it: "⚠\u{fe0f}" is how people write, and tells one bit at most beside a character that
/// is seen. Behind a letter, or behind another selector, it is hidden as all the others are: rows of them spell text.
pub fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut before = None;
    text.char_indices().filter(move |(at, c)| {
        let before = before.replace(*c);
        let after = || text.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        match c {
            '\r' => after() != Some('\n'),
            '\u{fe0f}' => match before {
                Some('#' | '*' | '0'..='9') => after() != Some('\u{20e3}'),
                before => !before.is_some_and(is_symbol),
            },
            _ => is_hidden(*c),
        }
    })
}

/// Of the blocks whose symbols can be emoji.
fn is_symbol(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Line and paragraph separator; interlinear annotations.
        | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
        // Unicode's property Default_Ignorable_Code_Point, with what is reserved for it.
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text whose hidden characters can be seen: ESC is `␛`, U+202E is `<U+202E>`.
pub fn visible(text: &str) -> Cow<'_, str> {
    // Most text is: nothing in it needs to be looked at one by one.
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut done) = (String::new(), 0);
    for (at, c) in hidden(text) {
        shown.push_str(text.get(done..at).unwrap_or_default());
        match c {
            // The control pictures stand in the order of what they picture.
            '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            _ => shown.push_str(&format!("<U+{:04X}>", u32::from(c))),
        }
        done = at + c.len_utf8();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Whether all of it is printable ASCII, line feeds and tabs. By runs without a way out of them, which processors take in one step.
fn is_plain(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    bytes.chunks(64).all(|run| run.iter().fold(true, |all, byte| all & plain(byte)))
}

/// Text of others for a message: one line, at most so many bytes of it, everything in it visible. What is not UTF-8 is
/// replaced.
pub fn line(bytes: &[u8], most: usize) -> String {
    let bytes = bytes.trim_ascii();
    let text = String::from_utf8_lossy(bytes.get(..most).unwrap_or(bytes));
    let mut line = visible(&text).replace('\r', "␍").replace('\n', "␊").replace('\t', "␉");
    if bytes.len() > most {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_others_is_one_bounded_line_that_steers_nothing() {
        for (given, expected) in [
            (&b" a\x1b[2Jb\xe2\x80\xaec\r\n"[..], "a␛[2Jb<U+202E>c"),
            (b"one\r\ntwo\tx\ny", "one␍␊two␉x␊y"),
            (b"caf\xe9 0123456789", "caf\u{fffd} 012345…"),
        ] {
            assert_eq!(line(given, if given.len() > 14 { 11 } else { 99 }), expected);
        }
    }

    #[test]
    fn what_hides_is_shown() {
        for (given, expected) in [
            ("plain\n\ttext\r\n", "plain\n\ttext\r\n"),
            ("\u{1b}[2J", "␛[2J"),
            ("over\rwritten", "over␍written"),
            ("\u{9b}31m", "<U+009B>31m"),
            ("a\u{202e}b", "a<U+202E>b"),
            ("zero\u{200b}width", "zero<U+200B>width"),
            ("tag\u{e0041}", "tag<U+E0041>"),
            ("a\u{fe01}\u{e01ef}", "a<U+FE01><U+E01EF>"),
            ("\u{1b}", "␛"),
            ("\u{7f}", "␡"),
            ("wörld 🦀", "wörld 🦀"),
        ] {
            assert_eq!(visible(given), expected);
        }
    }

    fn of(text: &str) -> Vec<char> {
        hidden(text).map(|(_, c)| c).collect()
    }

    #[test]
    fn what_hides_is_found() {
        for c in "\0\u{1b}\u{7f}\u{9b}\u{ad}\u{180e}\u{200b}\u{202e}\u{2028}\u{2066}\u{3164}\u{fe00}\u{feff}\u{fffa}\u{e0041}\u{e0100}\u{e01ef}"
            .chars()
        {
            assert_eq!(hidden(&format!("aä{c}b")).collect::<Vec<_>>(), [(3, c)]);
        }
        assert_eq!(of("over\rwritten"), ['\r']);
    }

    #[test]
    fn what_is_seen_is_not() {
        assert!(of("plain\n\ttext\r\n wörld 🦀 नमस्ते 안녕 e\u{301}").is_empty());
    }

    #[test]
    fn a_symbol_may_be_an_emoji_and_more_is_hidden_text() {
        assert!(of("⚠\u{fe0f} ❤\u{fe0f} ⏱\u{fe0f} 1\u{fe0f}\u{20e3}").is_empty());
        for hides in ["a\u{fe0f}", "1\u{fe0f}", "\u{fe0f}⚠", "⚠\u{fe0e}"] {
            assert_eq!(of(hides).len(), 1, "{hides:?}");
        }
        assert_eq!(of("⚠\u{fe0f}\u{fe0f}\u{fe01}"), ['\u{fe0f}', '\u{fe01}']);
    }
}
