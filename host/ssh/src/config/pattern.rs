//! OpenSSH's patterns: `*`, `?` and, in lists, `!`.

/// Whether `text` matches a pattern of `*` (any run) and `?` (any one byte).
///
/// Time is bounded by the product of the lengths.
pub(crate) fn matches(text: &str, pattern: &str) -> bool {
    run(text.as_bytes(), pattern.as_bytes(), (&b'*', &b'?'))
}

fn run<T: PartialEq>(text: &[T], pattern: &[T], (any, one): (&T, &T)) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where to resume when the run that the last `*` took was too short.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some(wanted) if wanted == any => {
                p += 1;
                star = Some((p, t));
            }
            Some(wanted) if wanted == c || wanted == one => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    p = after;
                    t = taken + 1;
                    star = Some((after, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| c == any)
}

/// Whether some pattern matches and no pattern with a `!` does.
pub(crate) fn matches_list<'a>(text: &str, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    run_list(patterns, |pattern| matches(text, pattern))
}

/// The same for text and patterns that hold a character for each byte.
pub(crate) fn matches_bytewise_list<'a>(text: &str, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    let text: Vec<char> = text.chars().collect();
    run_list(patterns, |pattern| run(&text, &pattern.chars().collect::<Vec<_>>(), (&'*', &'?')))
}

fn run_list<'a>(patterns: impl IntoIterator<Item = &'a str>, matches: impl Fn(&str) -> bool) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated) => return false,
            Some(_) => {}
            None => found |= matches(pattern),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_list};

    #[test]
    fn stars_and_question_marks_match_as_in_openssh() {
        let table = [
            ("web1", "web1", true),
            ("web1", "web?", true),
            ("web", "web?", false),
            ("web", "web*", true),
            ("web.example.org", "*.example.org", true),
            ("example.org", "*.example.org", false),
            ("aXbXc", "a*b*c", true),
            ("aXbX", "a*b*c", false),
            ("", "*", true),
            ("", "", true),
            ("a", "", false),
            ("Web", "web", false),
            ("aaab", "*a?b", true),
            ("a[b", "a[b", true),
            ("\u{e9}", "?", false),
            ("\u{e9}", "??", true),
        ];
        for (text, pattern, wanted) in table {
            assert_eq!(matches(text, pattern), wanted, "{text} {pattern}");
        }
    }

    #[test]
    fn a_negated_match_wins_wherever_it_stands() {
        assert!(matches_list("a", ["*", "!b"]));
        assert!(!matches_list("b", ["*", "!b"]));
        assert!(!matches_list("b", ["!b", "*"]));
        assert!(!matches_list("a", ["!b"]), "a list of negations alone matches nothing");
    }

    #[test]
    fn many_stars_are_not_exponential() {
        assert!(!matches(&"a".repeat(2000), &format!("{}b", "*a".repeat(50))));
    }
}
