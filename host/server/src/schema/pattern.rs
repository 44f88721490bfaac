//! The regular expressions of schemas: those of ECMA-262 that need no backtracking.
//!
//! Each is one automaton, whose size is known and whose states are what a byte of text costs at most. The engines that are
//! faster keep caches of hundreds of kilobytes for each pattern, and do not tell.

use std::error::Error as _;
use std::iter::Peekable;
use std::str::Chars;

use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use scout_runtime::{Meter, Stopped};

/// The longest, in bytes: one of this length that names nothing but large classes takes some 5 MiB to be understood.
const MAX_TEXT: usize = 4 << 10;
/// What one may take when it is compiled, in bytes.
pub(super) const MAX_COMPILED: usize = 1 << 20;
/// States of an automaton that are looked at in one step.
const STATES: u64 = 4;
/// What `\d`, `\w` and `\s` stand for, as parts of a class.
const DIGITS: &str = "0-9";
const WORD: &str = "A-Za-z_0-9";
const SPACES: &str = r"\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";
/// Every character, as a part of a class.
const ALL: &str = r"\x00-\x{10ffff}";

/// A regular expression, ready to be used.
#[derive(Debug)]
pub(super) struct Pattern {
    automaton: PikeVM,
    states: u64,
}

impl Pattern {
    /// # Errors
    /// What cannot be used of it, and why.
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_TEXT {
            return Err(format!("it is longer than {MAX_TEXT} bytes"));
        }
        let automaton = PikeVM::builder()
            .syntax(syntax::Config::new().utf8(false))
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_COMPILED)),
            )
            .build(&translated(pattern)?)
            .map_err(|error| match (error.size_limit(), error.source()) {
                (Some(_), _) => format!("it takes more than {} KiB when it is compiled", MAX_COMPILED >> 10),
                // The last line says what; those before show where in the translation, which its author does not know.
                (None, Some(why)) => {
                    let why = why.to_string();
                    let why = why.lines().last().unwrap_or_default();
                    why.strip_prefix("error: ").unwrap_or(why).to_owned()
                }
                (None, None) => error.to_string(),
            })?;
        let states = automaton.get_nfa().states().len() as u64;
        Ok(Self { automaton, states })
    }

    /// What it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.automaton.get_nfa().memory_usage()
    }

    /// Whether it matches anywhere in a text.
    ///
    /// # Errors
    /// The steps that it would take at most are not left.
    pub(super) fn is_match(&self, text: &str, meter: &mut Meter) -> Result<bool, Stopped> {
        meter.take((text.len() as u64 + 1).saturating_mul(1 + self.states / STATES))?;
        // Small for most, and gone with the match: no pattern keeps anything between two of them.
        Ok(self.automaton.is_match(&mut self.automaton.create_cache(), text))
    }
}

/// The same expression as the regex crates write it.
fn translated(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '[' => class(&mut chars, &mut out)?,
            '\\' => escape(&mut chars, &mut out)?,
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// An escape outside of classes; the backslash is read.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let c = chars.next().ok_or("it ends with a backslash")?;
    match (c, set(c)) {
        (_, Some((set, true))) => out.push_str(&format!("[^{set}]")),
        (_, Some((set, false))) => out.push_str(&format!("[{set}]")),
        // Of ASCII's words, as in ECMA-262.
        ('b' | 'B', None) => out.push_str(&format!(r"(?-u:\{c})")),
        ('1'..='9' | 'k', None) => return Err("it refers back to a group, which needs backtracking".to_owned()),
        (_, None) => plain_escape(c, chars, out)?,
    }
    Ok(())
}

/// What `\d`, `\w` or `\s` stands for, and whether for everything else.
fn set(letter: char) -> Option<(&'static str, bool)> {
    let set = match letter.to_ascii_lowercase() {
        'd' => DIGITS,
        'w' => WORD,
        's' => SPACES,
        _ => return None,
    };
    Some((set, letter.is_ascii_uppercase()))
}

/// An escape that means the same inside and outside of classes.
fn plain_escape(c: char, chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    match c {
        'c' => {
            let letter = chars.next().filter(char::is_ascii_alphabetic);
            let letter = letter.ok_or(r"`\c` stands without a letter")?;
            out.push_str(&format!(r"\x{:02x}", u32::from(letter) % 32));
        }
        '0' if !chars.peek().is_some_and(char::is_ascii_digit) => out.push_str(r"\x00"),
        'n' | 'r' | 't' | 'v' | 'f' | 'x' | 'u' | 'p' | 'P' => out.extend(['\\', c]),
        _ if c.is_ascii_alphanumeric() => return Err(format!(r"`\{c}` is not an escape of ECMA-262")),
        // Escaped, these would be boundaries of words.
        '<' | '>' => out.push(c),
        _ if c.is_ascii_punctuation() => out.extend(['\\', c]),
        _ => out.push(c),
    }
    Ok(())
}

/// What stands before the next part of a class.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing that a range could begin with.
    Nothing,
    /// A character.
    Character,
    /// A character and a hyphen.
    Range,
}

/// A class; its bracket is read. Brackets and doubled signs inside are characters here, operators there.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let negated = chars.next_if_eq(&'^').is_some();
    if chars.next_if_eq(&']').is_some() {
        // Nothing, or everything.
        out.push_str(&format!("[{}{ALL}]", if negated { "" } else { "^" }));
        return Ok(());
    }
    out.push_str(if negated { "[^" } else { "[" });
    let mut before = Before::Nothing;
    loop {
        let c = chars.next().ok_or("a class is not closed")?;
        match c {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '-' if before == Before::Character && chars.peek().is_some_and(|next| *next != ']') => {
                out.push('-');
                before = Before::Range;
                continue;
            }
            '\\' => {
                let c = chars.next().ok_or("it ends with a backslash")?;
                match (c, set(c)) {
                    (_, Some(_)) if before == Before::Range => {
                        return Err(format!(r"a range of a class cannot end with `\{c}`"));
                    }
                    (_, Some((set, negated))) => {
                        out.push_str(&if negated { format!("[^{set}]") } else { format!("[{set}]") });
                        before = Before::Nothing;
                        continue;
                    }
                    ('b', None) => out.push_str(r"\x08"),
                    ('p' | 'P', None) => {
                        out.extend(['\\', c]);
                        property(chars, out);
                        before = Before::Nothing;
                        continue;
                    }
                    ('u' | 'x', None) => {
                        out.extend(['\\', c]);
                        digits(c, chars, out);
                    }
                    (_, None) => plain_escape(c, chars, out)?,
                }
            }
            '[' | '&' | '~' | '-' | '^' => out.extend(['\\', c]),
            _ => out.push(c),
        }
        before =
            if before == Before::Character || before == Before::Nothing { Before::Character } else { Before::Nothing };
    }
}

/// The name of a property of Unicode, with its braces.
fn property(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next_if(|c| *c != ']') {
        out.push(c);
        if c == '}' {
            return;
        }
    }
}

/// The number of a character behind `\u` or `\x`.
fn digits(kind: char, chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    if chars.peek() == Some(&'{') {
        return property(chars, out);
    }
    for _ in 0..if kind == 'u' { 4 } else { 2 } {
        out.extend(chars.next_if(char::is_ascii_hexdigit));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let compiled = Pattern::compile(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
        compiled.is_match(text, &mut Meter::new(u64::MAX)).unwrap()
    }

    #[test]
    fn expressions_mean_what_ecma_262_says() {
        for (pattern, matched, other) in [
            ("b", "abc", "ac"),
            ("^a$", "a", "a\n"),
            (r"^\d+$", "012", "\u{664}"),
            (r"^\w$", "_", "ö"),
            (r"^\W$", "ö", "a"),
            (r"^\s$", "\u{feff}", "\u{85}"),
            (r"^\S$", "\u{85}", "\u{3000}"),
            (r"^[\d-x]+$", "1-x", "2y"),
            (r"^[\w-.]+$", "a-.", "a,"),
            (r"^[\D]$", "a", "1"),
            (r"^[^\s]$", "a", " "),
            (r"^[a-z--b]$", "0", "{"),
            (r"^[+--]+$", "+,-", "."),
            (r"^[[a]$", "[", "b"),
            (r"^[a&&b]+$", "&", "c"),
            (r"^[~~]$", "~", "a"),
            (r"^[a^]+$", "^", "b"),
            (r"^[\]\\]+$", r"]\", "["),
            (r"^[]$|a", "a", ""),
            (r"^[^]$", "\n", ""),
            (r"^\cJ$", "\n", "J"),
            (r"^\0$", "\u{0}", "0"),
            (r"^[\b]$", "\u{8}", "b"),
            (r"\bfoo\b", "a foo b", "afoo"),
            (r"^\u{1f980}$", "🦀", "a"),
            (r"^[\u0041-\x5a]$", "B", "b"),
            (r"^\p{Lu}$", "Ö", "ö"),
            (r"^[\p{Lu}-]+$", "Ö-", "ö"),
            (r"^\/\-\<\>\_$", "/-<>_", "/"),
            (r"^(?<year>\d{4})$", "2026", "26"),
            (r"^.$", "\u{10ffff}", "ab"),
        ] {
            assert!(matches(pattern, matched) && !matches(pattern, other), "{pattern}");
        }
    }

    #[test]
    fn what_needs_backtracking_or_is_no_expression_is_refused() {
        for pattern in
            ["(?=a)", "(?<!a)", r"(a)\1", r"\k<a>", r"\A", r"a\", "[a", "(", "a{2,1}", r"[a-\d]", r"\c1", "*"]
        {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn an_expression_that_is_long_or_grows_is_refused() {
        assert!(Pattern::compile("((x{100}){100}){100}").unwrap_err().contains("KiB when it is compiled"));
        assert!(Pattern::compile(&"a".repeat(MAX_TEXT + 1)).unwrap_err().contains("longer than"));
    }

    #[test]
    fn a_match_costs_what_its_states_and_its_text_are() {
        let pattern = Pattern::compile("^(a?){50}a{50}$").unwrap();
        let text = "a".repeat(1000);
        assert_eq!(pattern.is_match(&text, &mut Meter::new(20_000)), Err(Stopped::Spent));
        assert_eq!(pattern.is_match(&text, &mut Meter::new(1_000_000)), Ok(false));
        assert!(pattern.memory() < 16 << 10, "{}", pattern.memory());
    }
}
