//! Whether a value that a secret's name stands in front of is likely to be a secret.
//!
//! Pure, and by the text alone: placeholders, variables, paths, words, dates, versions and calls of functions are none.

use std::sync::LazyLock;

/// What kind of secret a name speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What people choose: short.
    Password,
    /// What programs make: long, and by chance.
    Key,
}

/// The shortest password, in bytes.
const MIN_PASSWORD: usize = 6;
/// The longest.
const MAX_PASSWORD: usize = 256;
/// The shortest key or token.
const MIN_KEY: usize = 16;
/// Of a key, in bits for each character: of what is drawn by chance all have more, even hexadecimal digits.
const MIN_ENTROPY: f64 = 3.0;
/// Shorter pieces of a value tell nothing: they are of dates, versions and the like.
const MIN_PIECE: usize = 6;

/// Words that stand where a secret is to be put, alone.
const STANDING_IN: [&str; 28] = [
    "password", "passwd", "pass", "secret", "token", "apikey", "none", "null", "true", "false", "test", "default",
    "hidden", "md5", "sha1", "sha256", "sha512", "bcrypt", "scrypt", "argon2id", "pbkdf2", "base64", "utf-8", "utf8",
    "string", "redacted", "x11", "ipv4",
];
/// What a value has in it that is put there for a secret.
const MARKS: [&str; 18] = [
    "changeme",
    "change_me",
    "change-me",
    "example",
    "placeholder",
    "redacted",
    "dummy",
    "your-",
    "your_",
    "yourpass",
    "xxxx",
    "****",
    "....",
    "${",
    "$(",
    "{{",
    "%(",
    "<",
];
/// What names the way a digest was made, in front of it: a digest is none.
const DIGESTS: [&str; 6] = ["sha256:", "sha512:", "sha1:", "sha384:", "md5:", "sha256-"];

/// Whether a value could be a secret of a kind.
pub(super) fn is_likely(kind: Kind, value: &[u8]) -> bool {
    match kind {
        Kind::Password => is_likely_password(value),
        Kind::Key => is_likely_key(value),
    }
}

/// Whether it is a password: letters, and figures or signs among them.
fn is_likely_password(value: &[u8]) -> bool {
    if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&value.len()) {
        return false;
    }
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    let has_sign = has(|byte| byte.is_ascii_punctuation() && !b"-_.:,/".contains(byte) || !byte.is_ascii());
    let has_letter = has(u8::is_ascii_alphabetic);
    // As in `qWeRtY`, unlike in `passwordOfUser`.
    let turns =
        value.windows(2).filter(|two| matches!(two, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    has_letter && (has(u8::is_ascii_digit) || has_sign || turns.count() * 3 >= value.len()) && is_value(value)
}

/// Whether it is a key or a token: long, with figures, and neither words nor numbers.
pub(super) fn is_likely_key(value: &[u8]) -> bool {
    let is_made_of = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_.~:%!@#^*|".contains(byte);
    value.len() >= MIN_KEY
        && value.iter().all(is_made_of)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && value.split(|byte| !byte.is_ascii_alphanumeric()).any(|piece| !is_ordinary(piece))
        && is_value(value)
        && entropy(value) >= MIN_ENTROPY
}

/// Whether it is a value at all, and not where one is, what makes it or what stands for it.
fn is_value(value: &[u8]) -> bool {
    let begins = |with: &[&str]| with.iter().any(|with| value.starts_with(with.as_bytes()));
    let has = |what: &[u8]| value.windows(what.len()).any(|part| part == what);
    let is_path = begins(&["/", "./", "../", "~/"]) && value.last() != Some(&b'=');
    let has_blank = value.iter().any(u8::is_ascii_whitespace);
    !(has_blank || is_path || is_placeholder(value) || has(b"://") || has(b":\\"))
}

/// Whether it stands where a secret is to be put.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let begins = |at: usize, with: &str| {
        let there = value.get(at..at + with.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(with.as_bytes()))
    };
    let is_alone = |word: &&str| value.eq_ignore_ascii_case(word.as_bytes());
    let has_mark = || {
        let may_begin = |byte: &u8| MARK_BEGINS.get(usize::from(*byte)).is_some_and(|begins| *begins);
        let places = value.iter().enumerate().filter(|(_, byte)| may_begin(byte));
        places.into_iter().any(|(at, _)| MARKS.iter().any(|mark| begins(at, mark)))
    };
    // `$NAME`, `%NAME%`, `%s`, `:name`.
    let named = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_%".contains(byte));
    let is_variable = matches!(value, [b'$' | b'%' | b':', rest @ ..] if named(rest));
    is_variable
        || is_one_again(value)
        || STANDING_IN.iter().any(is_alone)
        || has_mark()
        || DIGESTS.iter().any(|digest| begins(0, digest))
}

/// The bytes with which [`MARKS`] begin, in letters of any size.
static MARK_BEGINS: LazyLock<[bool; 256]> = LazyLock::new(|| {
    let begins = |byte: u8| MARKS.iter().any(|mark| mark.as_bytes().first() == Some(&byte.to_ascii_lowercase()));
    std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(begins))
});

/// Whether it is a byte or two, again and again.
fn is_one_again(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else { return false };
    let second = rest.iter().find(|byte| *byte != first).unwrap_or(first);
    value.len() >= 3 && rest.iter().all(|byte| byte == first || byte == second)
}

/// Whether a piece of a value is a word, with figures behind it at most, or a number.
fn is_ordinary(piece: &[u8]) -> bool {
    let word = piece.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(piece.len());
    let figures = piece.get(word..).unwrap_or_default();
    piece.len() < MIN_PIECE || figures.iter().all(u8::is_ascii_digit) && (figures.len() <= 4 || word == 0)
}

/// Shannon's, in bits for each character.
fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    value.iter().for_each(|byte| counts.get_mut(usize::from(*byte)).into_iter().for_each(|count| *count += 1));
    let length = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let of = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each question asked of the whole value in small letters.
    fn stands_in_by_whole_values(value: &[u8]) -> bool {
        let lower = value.to_ascii_lowercase();
        let has = |mark: &&str| lower.windows(mark.len()).any(|part| part == mark.as_bytes());
        let named = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_%".contains(byte));
        let distinct: std::collections::HashSet<u8> = value.iter().copied().collect();
        matches!(value, [b'$' | b'%' | b':', rest @ ..] if named(rest))
            || value.len() >= 3 && distinct.len() <= 2
            || STANDING_IN.iter().any(|word| lower == word.as_bytes())
            || MARKS.iter().any(has)
            || DIGESTS.iter().any(|digest| lower.starts_with(digest.as_bytes()))
    }

    #[test]
    fn what_stands_in_is_found_as_by_asking_each_of_the_whole_value() {
        const PIECES: [&str; 30] = [
            "change",
            "me",
            "ChangeMe",
            "_",
            "-",
            "exam",
            "ple",
            "EXAMPLE",
            "x",
            "xx",
            "X",
            "*",
            "..",
            "$",
            "{",
            "{{",
            "(",
            "%",
            ":",
            "<",
            "your",
            "pass",
            "sha256",
            "md5",
            "dum",
            "my",
            "a",
            "q8",
            "\u{f6}",
            "placeholder",
        ];
        let mut state = 0x5eed_u64;
        let mut draw = |count: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or_default() % count
        };
        let mut counts = [0_usize; 2];
        for _ in 0..40_000 {
            let length = draw(7);
            let value: String = (0..length).filter_map(|_| PIECES.get(draw(PIECES.len())).copied()).collect();
            let stands_in = is_placeholder(value.as_bytes());
            assert_eq!(stands_in, stands_in_by_whole_values(value.as_bytes()), "{value}");
            counts.get_mut(usize::from(stands_in)).into_iter().for_each(|count| *count += 1);
        }
        assert!(counts.iter().all(|count| *count > 1000), "{counts:?}");
    }
}
