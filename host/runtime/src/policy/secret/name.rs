//! One name of a path, held against one name of a pattern.
//!
//! Owns what a name could be on the host: letters of either case, what a wildcard of a shell matches, what a file system folds
//! or ignores, and what editors, packagers and people make of a name when they copy a file ([`COPIES`]). Whatever it is not
//! sure of, it takes for a match. Knows neither directories nor the list.

use std::ops::Range;

/// The longest name of a pattern, in bytes.
pub(super) const MAX_NAME: usize = 62;

/// How much of a name a glob must begin with to be aimed at it, in bytes: `s*` is half a directory.
const AIMED: usize = 3;

/// How often a name is taken for a copy of a copy (`shadow.bak.gz`).
const MAX_COPIES: usize = 3;

/// What copies put before and behind the name of what they copy. Digits at the end, as in `.1` and `.2026-11-29`, beside.
pub(super) const COPIES: &[(&[u8], &[u8])] = &[
    (b"", b"~"),
    (b"", b"-"),
    (b"", b".bak"),
    (b"", b"_bak"),
    (b"", b"-bak"),
    (b"", b".bkp"),
    (b"", b" (copy)"),
    (b"", b".txt"),
    (b"", b".b64"),
    (b"", b".backup"),
    (b"", b"_backup"),
    (b"", b"-backup"),
    (b"", b".old"),
    (b"", b"_old"),
    (b"", b"-old"),
    (b"", b".orig"),
    (b"", b".original"),
    (b"", b".save"),
    (b"", b".saved"),
    (b"", b".copy"),
    (b"", b".prev"),
    (b"", b".previous"),
    (b"", b".tmp"),
    (b"", b".temp"),
    (b"", b".new"),
    (b"", b".disabled"),
    (b"", b".dpkg-old"),
    (b"", b".dpkg-new"),
    (b"", b".dpkg-dist"),
    (b"", b".dpkg-bak"),
    (b"", b".dpkg-tmp"),
    (b"", b".ucf-old"),
    (b"", b".ucf-new"),
    (b"", b".ucf-dist"),
    (b"", b".rpmsave"),
    (b"", b".rpmnew"),
    (b"", b".rpmorig"),
    (b"", b".pacsave"),
    (b"", b".pacnew"),
    (b"", b".pacorig"),
    (b"", b".apk-new"),
    (b"", b".gz"),
    (b"", b".bz2"),
    (b"", b".xz"),
    (b"", b".zst"),
    (b"", b".lz4"),
    (b"", b".7z"),
    (b"", b".zip"),
    (b"", b".tar"),
    (b"", b".tgz"),
    // Editors: Vim of a name with and without a dot, Emacs.
    (b"", b".swp"),
    (b"", b".swo"),
    (b"", b".swn"),
    (b".", b".swp"),
    (b".", b".swo"),
    (b".", b".swn"),
    (b"#", b"#"),
    (b".#", b""),
    (b"copy of ", b""),
];

/// Each of [`COPIES`], and each number at the end, has one of these.
const MARKS: &[u8] = b"~-._# ";

/// A name of a path.
pub(crate) struct Name<'a> {
    text: &'a [u8],
    is_glob: bool,
    could_be: CouldBe,
}

/// What a name could be on the host.
enum CouldBe {
    /// These bytes, in lower case.
    Plain(Plain),
    /// What these match.
    Wild(Vec<Token>),
}

struct Plain {
    bytes: Vec<u8>,
    /// Of what it could be a copy: where in it that stands.
    originals: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This byte, in lower case.
    Byte(u8),
    /// One character.
    One,
    /// Any characters.
    Any,
    /// A character that some file system takes for a few letters.
    Folded,
}

/// Letters that one character is taken for at most: the ligature `ﬃ`.
const FOLDED: usize = 3;

impl<'a> Name<'a> {
    /// A name whose wildcards, if it is a glob, the host's shell expands.
    pub(crate) fn new(text: &'a [u8], is_glob: bool) -> Self {
        Self { text, is_glob, could_be: could_be(text, is_glob) }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether it has wildcards.
    pub(crate) fn is_wild(&self) -> bool {
        self.is_glob && self.text.iter().any(|byte| b"*?[".contains(byte))
    }

    /// What it is and of what it could be a copy, in lower case; none if it could be more than one name.
    pub(super) fn plain(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let CouldBe::Plain(Plain { bytes, originals }) = &self.could_be else { return None };
        let originals = originals.iter().filter_map(|range| bytes.get(range.clone()));
        Some(std::iter::once(&bytes[..]).chain(originals))
    }

    /// Whether some name on the host could match both; of `pattern` only `*` is special. A wildcard at the start does not
    /// match a dot, as in a shell.
    pub(crate) fn meets(&self, pattern: &[u8]) -> bool {
        match &self.could_be {
            CouldBe::Plain(Plain { bytes, .. }) => plain_meets(bytes, pattern),
            CouldBe::Wild(tokens) => wild_meets(tokens, pattern),
        }
    }

    /// Whether it could be a copy of what matches `pattern`.
    pub(super) fn copies(&self, pattern: &[u8]) -> bool {
        match &self.could_be {
            CouldBe::Plain(Plain { bytes, originals }) => {
                originals.iter().filter_map(|range| bytes.get(range.clone())).any(|name| plain_meets(name, pattern))
            }
            CouldBe::Wild(tokens) => {
                // `*` is not meant for `#.netrc#`, though it matches it: else no `*` would be left.
                let (is_hidden, behind) = (pattern.starts_with(b"."), wild_meets(tokens, &[pattern, b"*"].concat()));
                let could_be = |before: &[u8]| if before.is_empty() { behind } else { !is_hidden };
                COPIES
                    .iter()
                    .filter(|(before, _)| could_be(before))
                    .any(|(before, after)| wild_meets(tokens, &[before, pattern, after].concat()))
            }
        }
    }

    /// Whether it is no glob, or one that is meant for names like this: it begins as they do, or matches no others. All
    /// other globs stand for whatever is in a directory.
    pub(super) fn is_aimed_at(&self, pattern: &[u8]) -> bool {
        if !self.is_wild() {
            return true;
        }
        let literal = self.text.iter().position(|byte| b"*?[".contains(byte)).unwrap_or(self.text.len());
        literal >= AIMED && pattern.first().is_some_and(|byte| *byte != b'*') || self.lies_in(pattern)
    }

    /// Whether `pattern`, with one `*` at most, matches every name that this can be.
    pub(super) fn lies_in(&self, pattern: &[u8]) -> bool {
        let first = self.text.iter().position(|byte| self.is_glob && b"*?[".contains(byte));
        let last = self.text.iter().rposition(|byte| self.is_glob && b"*?[]".contains(byte));
        let (begin, end) = match (first, last) {
            (Some(first), Some(last)) => (self.text.get(..first), self.text.get(last + 1..)),
            _ => (Some(self.text), Some(self.text)),
        };
        let (begin, end) = (begin.unwrap_or_default(), end.unwrap_or_default());
        match at_star(pattern) {
            None => first.is_none() && self.text == pattern,
            Some((before, behind)) => {
                self.text.len() >= before.len() + behind.len() && begin.starts_with(before) && end.ends_with(behind)
            }
        }
    }
}

/// What stands before and behind the star of a pattern.
pub(super) fn at_star(pattern: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, from_star) = pattern.split_at_checked(pattern.iter().position(|byte| *byte == b'*')?)?;
    Some((before, from_star.get(1..).unwrap_or_default()))
}

/// Of a name in lower case and a pattern with one `*` at most.
fn plain_meets(name: &[u8], pattern: &[u8]) -> bool {
    let Some((before, behind)) = at_star(pattern) else { return name.eq_ignore_ascii_case(pattern) };
    let start = name.get(..before.len());
    let end = name.len().checked_sub(behind.len()).filter(|end| *end >= before.len()).and_then(|end| name.get(end..));
    start.is_some_and(|start| start.eq_ignore_ascii_case(before))
        && end.is_some_and(|end| end.eq_ignore_ascii_case(behind))
}

/// Bit n of a set: the first n characters of `pattern` are matched. A pattern of [`MAX_NAME`] bytes and what a copy adds to it
/// are fewer than bits.
fn wild_meets(tokens: &[Token], pattern: &[u8]) -> bool {
    let starts = match (tokens.first(), pattern.first()) {
        (_, Some(b'*')) | (None, _) | (_, None) => true,
        (Some(Token::Byte(first)), Some(expected)) => expected.eq_ignore_ascii_case(first),
        (Some(Token::One), Some(expected)) => *expected != b'.',
        // Nothing at the start, and then the dot.
        (Some(Token::Any | Token::Folded), Some(b'.')) => {
            matches!(tokens.get(1), Some(Token::Byte(b'.') | Token::One | Token::Any | Token::Folded))
        }
        (Some(Token::Any | Token::Folded), Some(_)) => true,
    };
    if !starts || pattern.len() >= u128::BITS as usize {
        return false;
    }
    let open = |mut set: u128| {
        for (at, byte) in pattern.iter().enumerate() {
            if *byte == b'*' && set & (1 << at) != 0 {
                set |= 1 << (at + 1);
            }
        }
        set
    };
    let step = |set: u128, accepts: &dyn Fn(u8) -> bool| {
        let mut next = 0;
        for (at, byte) in pattern.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0) {
            match byte {
                b'*' => next |= 1 << at,
                byte if accepts(byte.to_ascii_lowercase()) => next |= 1 << (at + 1),
                _ => {}
            }
        }
        open(next)
    };
    let mut set = open(1);
    for (at, token) in tokens.iter().enumerate() {
        let wild = |byte: u8| at > 0 || byte != b'.';
        match token {
            Token::Byte(expected) => set = step(set, &|byte| byte == *expected),
            Token::One => set = step(set, &wild),
            Token::Any => {
                let mut reached = step(set, &wild);
                set |= reached;
                for _ in pattern {
                    reached = step(reached, &|_| true);
                    set |= reached;
                }
            }
            Token::Folded => {
                let mut reached = set;
                for _ in 0..FOLDED {
                    reached = step(reached, &|byte| byte.is_ascii_alphabetic());
                    set |= reached;
                }
            }
        }
        if set == 0 {
            return false;
        }
    }
    set & (1 << pattern.len()) != 0
}

fn could_be(text: &[u8], is_glob: bool) -> CouldBe {
    // Most names are one name as they stand.
    if text.is_ascii() && !(is_glob && text.iter().any(|byte| b"*?[".contains(byte))) {
        let bytes = text.get(..without_end(text)).unwrap_or_default().to_ascii_lowercase();
        return CouldBe::Plain(Plain { originals: originals(&bytes), bytes });
    }
    let tokens = tokens(text, is_glob);
    let byte = |token: &Token| if let Token::Byte(byte) = token { Some(*byte) } else { None };
    match tokens.iter().map(byte).collect::<Option<Vec<u8>>>() {
        Some(bytes) => CouldBe::Plain(Plain { originals: originals(&bytes), bytes }),
        None => CouldBe::Wild(tokens),
    }
}

/// What a name could be a copy of, where it stands in it; what that could be a copy of behind it.
fn originals(name: &[u8]) -> Vec<Range<usize>> {
    // Most names have none of them.
    if !name.iter().any(|byte| MARKS.contains(byte)) {
        return Vec::new();
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut whole = 0..name.len();
    while found.len() < MAX_COPIES {
        let text = name.get(whole.clone()).unwrap_or_default();
        let copied =
            COPIES.iter().filter(|(before, after)| may_end(text, before, after)).filter_map(|(before, after)| {
                let of = before.len()..text.len().checked_sub(after.len())?;
                (!of.is_empty() && text.starts_with(before) && text.ends_with(after)).then_some(of)
            });
        // `.x.swp` is a copy of `.x` and of `x`: both are looked at, and only the shorter one is taken for a copy again.
        let mut all: Vec<Range<usize>> = copied.chain(numbered(text)).collect();
        all.sort_by_key(|of| std::cmp::Reverse(of.len()));
        found.extend(all.iter().map(|of| whole.start + of.start..whole.start + of.end));
        match all.last() {
            Some(of) => whole = whole.start + of.start..whole.start + of.end,
            None => break,
        }
    }
    found
}

/// Whether the first and the last byte are as what a copy puts there: most of [`COPIES`] end otherwise, and are not compared.
fn may_end(text: &[u8], before: &[u8], after: &[u8]) -> bool {
    (after.is_empty() || after.last() == text.last()) && (before.is_empty() || before.first() == text.first())
}

/// Without digits and what joins them at the end, as logs are rotated and dates are written: `.1`, `-20261129`, `.~1~`.
fn numbered(text: &[u8]) -> Option<Range<usize>> {
    let digits = |byte: &u8| byte.is_ascii_digit() || b"-_.~:t".contains(byte);
    let kept = text.iter().rposition(|byte| !digits(byte))? + 1;
    let rest = text.get(kept..)?;
    let is_number = rest.iter().any(u8::is_ascii_digit) && rest.first().is_some_and(|byte| b"-_.~".contains(byte));
    is_number.then_some(0..kept)
}

/// Where a name ends without the dots and spaces at its end, which Windows and its file systems drop.
fn without_end(text: &[u8]) -> usize {
    text.iter().rposition(|byte| !b". ".contains(byte)).map_or(0, |last| last + 1)
}

/// Shells disagree on where a bracket expression ends, so everything from the first `[` to the last `]` may be anything. One
/// that does not end is a literal `[` to the shell, and anything here.
fn tokens(text: &[u8], is_glob: bool) -> Vec<Token> {
    let text = text.get(..without_end(text)).unwrap_or_default();
    let mut tokens = Vec::with_capacity(text.len());
    let bracket = text.iter().position(|byte| is_glob && *byte == b'[');
    let (before, behind) = match bracket {
        None => (text, None),
        Some(open) => {
            let close = text.iter().rposition(|byte| *byte == b']').filter(|close| *close > open);
            let behind = close.and_then(|close| text.get(close + 1..)).unwrap_or_default();
            (text.get(..open).unwrap_or_default(), Some(behind))
        }
    };
    plain_tokens(&mut tokens, before, is_glob);
    if let Some(behind) = behind {
        tokens.push(Token::Any);
        plain_tokens(&mut tokens, behind, is_glob);
    }
    tokens.dedup_by(|next, last| *next == Token::Any && *last == Token::Any);
    tokens
}

fn plain_tokens(tokens: &mut Vec<Token>, text: &[u8], is_glob: bool) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '*' if is_glob => tokens.push(Token::Any),
                '?' if is_glob => tokens.push(Token::One),
                character if character.is_ascii() => tokens.push(Token::Byte(character.to_ascii_lowercase() as u8)),
                character if folds(character) => tokens.push(Token::Folded),
                character if is_ignored(character) => {}
                character => tokens.extend(character.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte)),
            }
        }
        tokens.extend(chunk.invalid().iter().copied().map(Token::Byte));
    }
}

/// Whether some file system takes it for ASCII: `ſ` for `s`, `ﬁ` for `fi`.
fn folds(character: char) -> bool {
    character.to_lowercase().chain(character.to_uppercase()).any(|folded| folded.is_ascii())
}

/// Whether some file system ignores it: zero-width characters and marks do so, and whatever else is no letter is taken for one of them.
fn is_ignored(character: char) -> bool {
    // The fillers of Hangul are letters, and ignored all the same.
    !character.is_alphanumeric() || matches!(character, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use super::{COPIES, MARKS};

    #[test]
    fn what_is_put_to_a_copys_name_has_a_mark() {
        for (before, after) in COPIES {
            assert!([*before, *after].concat().iter().any(|byte| MARKS.contains(byte)), "{after:?}");
        }
    }
}
