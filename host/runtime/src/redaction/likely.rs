//! Whether a value that a secret's name stands in front of is likely to be a secret.
//!
//! Pure, and by the text alone: placeholders, variables, paths, words, dates, versions and calls of functions are none.

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
    if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&value.len()) || !is_value(value) {
        return false;
    }
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    let has_sign = has(|byte| byte.is_ascii_punctuation() && !b"-_.:,/".contains(byte) || !byte.is_ascii());
    let has_letter = has(u8::is_ascii_alphabetic);
    // As in `qWeRtY`, unlike in `passwordOfUser`.
    let turns =
        value.windows(2).filter(|two| matches!(two, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    has_letter && (has(u8::is_ascii_digit) || has_sign || turns.count() * 3 >= value.len())
}

/// Whether it is a key or a token: long, with figures, and neither words nor numbers.
pub(super) fn is_likely_key(value: &[u8]) -> bool {
    let is_made_of = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_.~:%!@#^*|".contains(byte);
    value.len() >= MIN_KEY
        && value.iter().all(is_made_of)
        && is_value(value)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && value.split(|byte| !byte.is_ascii_alphanumeric()).any(|piece| !is_ordinary(piece))
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
    let lower = value.to_ascii_lowercase();
    let alone = |word: &&str| lower == word.as_bytes();
    let has = |mark: &&str| lower.windows(mark.len()).any(|part| part == mark.as_bytes());
    // `$NAME`, `%NAME%`, `%s`, `:name`.
    let named = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_%".contains(byte));
    let is_variable = matches!(value, [b'$' | b'%' | b':', rest @ ..] if named(rest));
    let mut distinct = [false; 256];
    value.iter().for_each(|byte| distinct.get_mut(usize::from(*byte)).into_iter().for_each(|seen| *seen = true));
    let is_one_again = value.len() >= 3 && distinct.iter().filter(|seen| **seen).count() <= 2;
    is_variable
        || is_one_again
        || STANDING_IN.iter().any(alone)
        || MARKS.iter().any(has)
        || DIGESTS.iter().any(|digest| lower.starts_with(digest.as_bytes()))
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
