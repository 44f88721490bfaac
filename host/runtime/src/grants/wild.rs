//! Patterns with wildcards over bytes.

/// What a pattern's wildcards stand for.
#[derive(Clone, Copy)]
pub(crate) struct Wild {
    /// Whether `?` stands for one byte.
    pub(super) one: bool,
    /// What `*` never stands for.
    pub(super) never: Option<u8>,
}

impl Wild {
    /// Whether the pattern matches the whole text. Takes at most the product of their lengths in steps.
    pub(crate) fn matches(self, pattern: &[u8], text: &[u8]) -> bool {
        let (mut p, mut t) = (0, 0);
        // Behind the last star, and how much of the text it stands for so far.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() || p < pattern.len() {
            match (pattern.get(p), text.get(t)) {
                (Some(b'*'), _) => {
                    star = Some((p + 1, t));
                    p += 1;
                    continue;
                }
                (Some(b'?'), Some(_)) if self.one => {
                    (p, t) = (p + 1, t + 1);
                    continue;
                }
                (Some(wanted), Some(found)) if wanted == found => {
                    (p, t) = (p + 1, t + 1);
                    continue;
                }
                _ => {}
            }
            match star {
                Some((behind, taken)) if text.get(taken).is_some_and(|byte| Some(*byte) != self.never) => {
                    star = Some((behind, taken + 1));
                    (p, t) = (behind, taken + 1);
                }
                _ => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Wild;

    #[test]
    fn a_star_stands_for_any_number_of_bytes_but_one_kind() {
        let any = Wild { one: true, never: None };
        for (pattern, text, matches) in [
            ("", "", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abcabc", true),
            ("a*b*c", "aXbXbXc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a", "ab", false),
            ("ab", "a", false),
            ("*b", "abc", false),
        ] {
            assert_eq!(any.matches(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
        let name = Wild { one: false, never: Some(b'/') };
        assert!(name.matches(b"/var/*.log", b"/var/a.log"));
        assert!(!name.matches(b"/var/*.log", b"/var/a/b.log"));
        assert!(name.matches(b"/var/*/b*", b"/var/a/b.log"));
        assert!(!name.matches(b"a?", b"ab"));
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time_that_doubles() {
        let (pattern, text) = ("*a".repeat(500), "a".repeat(5000));
        assert!(!Wild { one: true, never: None }.matches(format!("{pattern}b").as_bytes(), text.as_bytes()));
    }
}
