//! One name of a path, held against one name of a pattern.
//!
//! Owns what a name could be on the host: letters of either case, what a wildcard of a shell matches, and what a file
//! system folds or ignores. Whatever it is not sure of, it takes for a match. Knows neither directories nor the list.

/// The longest name of a pattern, in bytes: [`Name::meets`] counts them in a word.
pub(super) const MAX_NAME: usize = 62;

/// A name of a path.
pub(crate) struct Name<'a> {
    text: &'a [u8],
    is_glob: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This byte, in lower case.
    Byte(u8),
    /// One character.
    One,
    /// Any characters.
    Any,
}

impl<'a> Name<'a> {
    /// A name whose wildcards, if it is a glob, the host's shell expands.
    pub(crate) fn new(text: &'a [u8], is_glob: bool) -> Self {
        Self { text, is_glob, tokens: tokens(text, is_glob) }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether it has wildcards.
    pub(crate) fn is_wild(&self) -> bool {
        self.is_glob && self.text.iter().any(|byte| b"*?[".contains(byte))
    }

    /// Whether some name on the host could match both; of `pattern` only `*` is special. A wildcard at the start does not
    /// match a dot, as in a shell.
    ///
    /// Bit n of a set: the first n characters of `pattern` are matched. That bounds it to [`MAX_NAME`].
    pub(crate) fn meets(&self, pattern: &[u8]) -> bool {
        if let (Some(Token::Byte(first)), Some(expected)) = (self.tokens.first(), pattern.first())
            && *expected != b'*'
            && !expected.eq_ignore_ascii_case(first)
        {
            return false;
        }
        let open = |mut set: u64| {
            for (at, byte) in pattern.iter().enumerate() {
                if *byte == b'*' && set & (1 << at) != 0 {
                    set |= 1 << (at + 1);
                }
            }
            set
        };
        let step = |set: u64, accepts: &dyn Fn(u8) -> bool| {
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
        for (at, token) in self.tokens.iter().enumerate() {
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
            }
            if set == 0 {
                return false;
            }
        }
        set & (1 << pattern.len()) != 0
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
        match pattern.iter().position(|byte| *byte == b'*').and_then(|star| pattern.split_at_checked(star)) {
            None => first.is_none() && self.text == pattern,
            Some((before, from_star)) => {
                let behind = from_star.get(1..).unwrap_or_default();
                self.text.len() >= before.len() + behind.len() && begin.starts_with(before) && end.ends_with(behind)
            }
        }
    }
}

/// Shells disagree on where a bracket expression ends, so everything from the first `[` to the last `]` may be anything. One
/// that does not end is a literal `[` to the shell, and anything here. Dots and spaces at the end are dropped, as Windows and
/// its file systems do.
fn tokens(text: &[u8], is_glob: bool) -> Vec<Token> {
    let end = text.iter().rposition(|byte| !b". ".contains(byte)).map_or(0, |last| last + 1);
    let text = text.get(..end).unwrap_or_default();
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
                character if may_be_ascii(character) => tokens.push(Token::Any),
                character => tokens.extend(character.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte)),
            }
        }
        tokens.extend(chunk.invalid().iter().copied().map(Token::Byte));
    }
}

/// Whether some file system takes it for ASCII (`ſ` for `s`, `ﬁ` for `fi`) or ignores it (zero-width characters, marks).
fn may_be_ascii(character: char) -> bool {
    let folds = character.to_lowercase().chain(character.to_uppercase()).any(|folded| folded.is_ascii());
    // The fillers of Hangul are letters, and ignored all the same.
    folds || !character.is_alphanumeric() || matches!(character, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}
