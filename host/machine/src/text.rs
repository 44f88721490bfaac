//! Text of others (hosts, agents, local commands, files) on its way into messages and logs.
//!
//! A model reads what a person does not see, and a terminal obeys it. Owns which characters hide something and what is
//! shown in their place. Whoever takes text of others into a message passes it through [`line`]; every
//! [`crate::HostError`] passes [`visible`] besides.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The hidden characters of a text, each with its offset in bytes: control characters, all that Unicode says is ignorable
/// by default (zero-width and directional marks, variation selectors, tags, blank letters), separators of lines that are
/// none, annotations. Not hidden are line feed, tab, the carriage return before a line feed, and the selector that makes
/// an emoji of the symbol before it: "⚠\u{fe0f}" is how people write, and tells one bit at most beside a character that
/// is seen. Behind a letter, or behind another selector, it is hidden as all the others are: rows of them spell text.
pub fn hidden(text: &str) -> impl Iterator<Item = (usize, char)> {
    let bytes = text.as_bytes();
    Suspects::new(bytes).filter(|at| may_be_hidden(bytes.get(*at..).unwrap_or_default())).filter_map(|at| {
        let c = text.get(at..)?.chars().next()?;
        is_hidden_in(text, at, c).then_some((at, c))
    })
}

/// Whether the character at this place hides something there.
fn is_hidden_in(text: &str, at: usize, c: char) -> bool {
    let after = || text.get(at + c.len_utf8()..).unwrap_or_default();
    match c {
        '\r' => !after().starts_with('\n'),
        '\u{fe0f}' => match text.get(..at).and_then(|before| before.chars().next_back()) {
            Some('#' | '*' | '0'..='9') => !after().starts_with('\u{20e3}'),
            before => !before.is_some_and(is_symbol),
        },
        _ => is_hidden(c),
    }
}

/// The places of a text's bytes that may begin a hidden character, told by the byte alone. Most of a text has none: it is looked at
/// by runs, without a way out of them, which processors take in few steps.
struct Suspects<'a> {
    runs: std::slice::Chunks<'a, u8>,
    /// Where the next run begins.
    next: usize,
    /// Those of the run before that are left, a bit each.
    left: u64,
}

/// Bytes of a run: one for each bit.
const RUN: usize = u64::BITS as usize;

impl<'a> Suspects<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { runs: text.chunks(RUN), next: 0, left: 0 }
    }
}

impl Iterator for Suspects<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            let run = self.runs.next()?;
            self.next += RUN;
            if !run.iter().fold(true, |all, byte| all & is_plain(*byte))
                && run.iter().fold(false, |any, byte| any | is_suspect(*byte))
            {
                self.left = run.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(is_listed(*byte)));
            }
        }
        let at = self.next - RUN + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(at)
    }
}

/// Printable ASCII, a line feed or a tab.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t')
}

/// Whether a byte may be the first one of a hidden character.
const fn is_suspect(byte: u8) -> bool {
    matches!(byte, 0..=0x8 | 0xb..=0x1f | 0x7f | 0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf0 | 0xf3)
}

/// [`is_suspect`], looked up: quicker for one byte, as that is for a run of them.
fn is_listed(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a byte is within")]
    static LISTED: [bool; 256] = {
        let (mut listed, mut byte) = ([false; 256], 0_u8);
        while byte < u8::MAX {
            listed[byte as usize] = is_suspect(byte);
            byte += 1;
        }
        listed
    };
    LISTED.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The same of a byte with the one behind it, which leaves out most of what is written in the same blocks.
fn may_be_hidden(bytes: &[u8]) -> bool {
    match bytes {
        [0xc2, second, ..] => matches!(second, 0x80..=0x9f | 0xad),
        [0xcd, second, ..] => *second == 0x8f,
        [0xd8, second, ..] => *second == 0x9c,
        [0xe1, second, ..] => matches!(second, 0x85 | 0x9e | 0xa0),
        [0xe2, second, ..] => matches!(second, 0x80 | 0x81),
        [0xe3, second, ..] => *second == 0x85,
        [0xef, second, ..] => matches!(second, 0xb8 | 0xbb | 0xbe | 0xbf),
        [0xf0, second, ..] => matches!(second, 0x9b | 0x9d),
        [0xf3, second, ..] => *second == 0xa0,
        _ => true,
    }
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

/// What a hidden character takes as it is shown, in bytes, at most: `<U+10FFFF>`.
const SHOWN: usize = 10;

/// Text whose hidden characters can be seen: ESC is `␛`, U+202E is `<U+202E>`.
pub fn visible(text: &str) -> Cow<'_, str> {
    let (mut shown, mut done) = (String::new(), 0);
    for (at, c) in hidden(text) {
        if done == 0 {
            shown.reserve(text.len() + SHOWN);
        }
        shown.push_str(text.get(done..at).unwrap_or_default());
        match c {
            // The control pictures stand in the order of what they picture.
            '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            // Writing to a text cannot fail.
            _ => drop(write!(shown, "<U+{:04X}>", u32::from(c))),
        }
        done = at + c.len_utf8();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(shown)
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

    /// [`hidden`] as its rule reads: a character at a time.
    fn hidden_one_by_one(text: &str) -> Vec<(usize, char)> {
        let characters: Vec<(usize, char)> = text.char_indices().collect();
        let neighbour = |index: Option<usize>| index.and_then(|index| characters.get(index)).map(|(_, c)| *c);
        let hides = |(index, (_, c)): &(usize, &(usize, char))| {
            let (before, after) = (neighbour(index.checked_sub(1)), neighbour(Some(index + 1)));
            match c {
                '\r' => after != Some('\n'),
                '\u{fe0f}' => match before {
                    Some('#' | '*' | '0'..='9') => after != Some('\u{20e3}'),
                    before => !before.is_some_and(is_symbol),
                },
                c => is_hidden(*c),
            }
        };
        characters.iter().enumerate().filter(hides).map(|(_, found)| *found).collect()
    }

    #[test]
    fn by_bytes_the_same_is_found_as_by_characters_whichever_they_are_and_wherever_a_run_ends() {
        let all: String = ('\0'..=char::MAX).collect();
        assert_eq!(hidden(&all).collect::<Vec<_>>(), hidden_one_by_one(&all));
        // Each character between others of each length, and before and behind what it is judged by.
        let neighbours = ["", "a", "1", "\r", "\n", "ä", "⚠", "\u{20e3}", "\u{fe0f}", "🦀", "\u{200b}"];
        let judged =
            ('\0'..='\u{ff}').chain("\u{34f}\u{61c}\u{200b}\u{2028}⚠\u{fe0f}\u{20e3}\u{feff}日🦀\u{e0041}".chars());
        for c in judged {
            for (before, behind) in neighbours.iter().flat_map(|before| neighbours.map(|behind| (before, behind))) {
                let text = format!("{before}{c}{behind}");
                assert_eq!(hidden(&text).collect::<Vec<_>>(), hidden_one_by_one(&text), "{text:?}");
            }
        }
        for c in ['\u{1b}', '\r', '\u{ad}', '\u{202e}', '\u{fe0f}', '\u{e0041}', '日', '🦀'] {
            for at in 0..=2 * RUN + 1 {
                let text = format!("{}{c}{c}\n1{c}", "x".repeat(at));
                assert_eq!(hidden(&text).collect::<Vec<_>>(), hidden_one_by_one(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn what_cannot_begin_a_hidden_character_is_not_suspected() {
        let suspects = |text: &str| {
            let bytes = text.as_bytes();
            Suspects::new(bytes).filter(|at| may_be_hidden(bytes.get(*at..).unwrap_or_default())).count()
        };
        assert_eq!(suspects(&"plain\ttext, größer, кириллица, ひらがな, 漢字, 안녕, नमस्ते\n".repeat(10)), 0);
        assert_eq!(suspects("a\u{200b}\r\n\u{7f}"), 3);
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
