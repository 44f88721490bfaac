//! What a regular expression costs whoever compiles it, as far as its text tells.
//!
//! Owns a bound on length, depth, back-references and on what the repetitions write out. Many engines (glibc's and GNU grep's among them) copy what a count
//! or a `+` repeats as often as it says, copies within copies. Does not know which engine reads the pattern: an escaped and a plain operator are
//! held to be the same, and where brackets or mixed escapes leave in doubt what a group is, a repetition is taken to copy all that stands before it.

/// Bytes of a pattern.
const LONGEST: usize = 4096;
/// Characters that a pattern has when its repetitions are written out, if it has any.
const WRITTEN_OUT: usize = 1000;
/// Groups within groups.
const DEEPEST: usize = 32;
/// `\1` to `\9`: engines try all ways to fill the groups.
const BACK_REFERENCES: usize = 4;

/// Whether patterns that a program is given together are such that every engine compiles them without growing.
///
/// # Errors
/// What is expected instead.
pub(super) fn check(patterns: &[&str]) -> Result<(), String> {
    let mut all = 0_usize;
    for pattern in patterns {
        all = all.saturating_add(size(pattern)?);
    }
    if all > WRITTEN_OUT {
        return Err(format!(
            "repetitions that together, those in groups multiplied, write out at most {WRITTEN_OUT} characters"
        ));
    }
    Ok(())
}

/// Its size when every repetition is written out, if it has any.
fn size(pattern: &str) -> Result<usize, String> {
    if pattern.len() > LONGEST {
        return Err(format!("a pattern of at most {LONGEST} bytes"));
    }
    let tokens = tokens(pattern);
    if tokens.iter().filter(|token| matches!(token, Token::BackReference)).count() > BACK_REFERENCES {
        return Err(format!("at most {BACK_REFERENCES} back-references"));
    }
    if depth(&tokens) > DEEPEST {
        return Err(format!("at most {DEEPEST} groups within each other"));
    }
    let repeats = tokens.iter().any(|token| matches!(token, Token::Times(_)));
    Ok(match repeats {
        true if is_clear(pattern) => written_out(&tokens),
        true => all_written_out(&tokens),
        false => 0,
    })
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    /// Copies what is before it so many times.
    Times(usize),
    /// `*` and `?`: copies nothing.
    Any,
    BackReference,
    One,
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let plain = rest.strip_prefix('\\').filter(|rest| !rest.is_empty());
        let is_escaped = plain.is_some();
        let text = plain.unwrap_or(rest);
        let character = text.chars().next().unwrap_or(first);
        rest = text.get(character.len_utf8()..).unwrap_or_default();
        tokens.push(match character {
            '(' => Token::Open,
            ')' => Token::Close,
            '+' => Token::Times(2),
            '*' | '?' => Token::Any,
            '1'..='9' if is_escaped => Token::BackReference,
            '{' => match count(rest) {
                Some((count, behind)) => {
                    rest = behind;
                    Token::Times(count)
                }
                None => Token::One,
            },
            _ => Token::One,
        });
    }
    tokens
}

/// How many copies `n}`, `n,}`, `,m}` and `n,m}` make, and what follows; the brace perhaps escaped.
fn count(text: &str) -> Option<(usize, &str)> {
    let (inside, behind) = text.split_once('}')?;
    let inside = inside.strip_suffix('\\').unwrap_or(inside);
    let (least, most) = inside.split_once(',').map_or((inside, None), |(least, most)| (least, Some(most)));
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a number holds are more than is allowed.
        digits.then(|| if text.is_empty() { 0 } else { text.parse().unwrap_or(usize::MAX) })
    };
    let least = number(least.trim())?;
    let most = match most.map(str::trim) {
        None => least,
        Some("") => least.saturating_add(1),
        Some(most) => number(most)?,
    };
    Some((least.max(most).max(1), behind))
}

/// Whether all engines agree what its groups are: no group or count in or beside a bracket that could end elsewhere, and no mix of escaped
/// operators and plain ones.
fn is_clear(pattern: &str) -> bool {
    const OPERATORS: &[char] = &['(', ')', '{', '}'];
    let (mut escaped, mut plain) = (false, false);
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some(next) if OPERATORS.contains(&next) => escaped = true,
                Some('[' | ']') => return false,
                _ => {}
            },
            '[' => {
                let Some((inside, _)) = rest.as_str().split_once(']') else { return false };
                if inside.is_empty() || inside == "^" || inside.contains(['\\', '[']) || inside.contains(OPERATORS) {
                    return false;
                }
                rest = rest.as_str().get(inside.len() + 1..).unwrap_or_default().chars();
            }
            operator if OPERATORS.contains(&operator) => plain = true,
            _ => {}
        }
    }
    !(escaped && plain)
}

/// Its size when every repetition is written out.
fn written_out(tokens: &[Token]) -> usize {
    // What is open: the size so far of each group, and of the last thing in it.
    let mut groups = vec![(0_usize, 0_usize)];
    for token in tokens {
        let inner = match token {
            Token::Open => {
                groups.push((0, 0));
                continue;
            }
            // One that closes nothing is a character.
            Token::Close if groups.len() > 1 => groups.pop().map_or(1, |(size, _)| size.saturating_add(1)),
            Token::Close | Token::One | Token::BackReference => 1,
            Token::Any => 0,
            Token::Times(times) => {
                if let Some((size, last)) = groups.last_mut() {
                    let copies = last.saturating_mul(times.saturating_sub(1));
                    *size = size.saturating_add(copies);
                    *last = last.saturating_add(copies);
                }
                continue;
            }
        };
        if let Some((size, last)) = groups.last_mut() {
            *size = size.saturating_add(inner);
            if *token != Token::Any {
                *last = inner;
            }
        }
    }
    groups.iter().fold(0, |sum, (size, _)| sum.saturating_add(*size))
}

/// No less than its size, whatever is a group: what is repeated behind anything but a character is all that stands before it.
fn all_written_out(tokens: &[Token]) -> usize {
    let (mut size, mut is_one) = (0_usize, true);
    for token in tokens {
        match token {
            Token::Times(times) if is_one => size = size.saturating_add(*times),
            Token::Times(times) => size = size.saturating_mul(*times),
            _ => size = size.saturating_add(1),
        }
        is_one = matches!(token, Token::One | Token::BackReference | Token::Open);
    }
    size
}

fn depth(tokens: &[Token]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for token in tokens {
        match token {
            Token::Open => open += 1,
            Token::Close => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_search_for_is_within_bounds() {
        for pattern in [
            "",
            "ERROR",
            "^(error|warn(ing)?|fatal|panic)+: .{0,200}$",
            r"[0-9]{1,3}(\.[0-9]{1,3}){3}",
            r"((25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)",
            r"[0-9a-f]\{8\}-\([0-9a-f]\{4\}-\)\{3\}[0-9a-f]\{12\}",
            r"\b[A-Fa-f0-9]{64}\b",
            r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}",
            "([0-9a-fA-F]{1,4}:){7,7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,7}:|([0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}",
            r"(\w+)\s+\1",
            "a{,3} {x} {\"key\": 10000} a{b,c}",
            "(?:[A-Za-z0-9+/]{4})*",
            r"[](){}[]+",
            r"\",
            "((((((((deep))))))))",
        ] {
            assert_eq!(check(&[pattern]), Ok(()), "{pattern}");
        }
        assert_eq!(check(&[&"long and plain+ ".repeat(50)]), Ok(()));
    }

    #[test]
    fn what_grows_beyond_the_bounds_is_refused() {
        for pattern in [
            "a{1001}",
            "a{1,}{1001}",
            "(ab{600}){2}",
            "((a{11}){11}){11}",
            r"\(\(a\{11\}\)\{11\}\)\{11\}",
            "(((((((((((a+)+)+)+)+)+)+)+)+)+)+)",
            "a+++++++++++",
            // The parenthesis in the bracket closes nothing, whoever reads it.
            "(a{100}[(]){100}",
            r"(a{100}\(){100}",
            r"[\](a{100}){100}",
            "a{99999999999999999999999}",
        ] {
            assert!(check(&[pattern]).is_err(), "{pattern}");
        }
        assert!(check(&["a{600}", "b{600}"]).is_err());
        assert_eq!(check(&["a{600}", "b{300}"]), Ok(()));
        assert!(check(&[&"a".repeat(LONGEST + 1)]).is_err());
        assert!(check(&[&"(".repeat(DEEPEST + 1)]).is_err());
        assert!(check(&[&r"(a)\1".repeat(BACK_REFERENCES + 1)]).is_err());
    }

    #[test]
    fn in_doubt_the_size_is_no_smaller() {
        for pattern in ["(ab){3}c+", "a{2}{3}", "((x|y){2}z){4}", "a*{5}", "(a)(b){9}"] {
            let tokens = tokens(pattern);
            assert!(written_out(&tokens) <= all_written_out(&tokens), "{pattern}");
        }
        assert_eq!(written_out(&tokens("(ab){3}")), 9);
        assert_eq!(written_out(&tokens("a{2}{3}b")), 7);
    }
}
