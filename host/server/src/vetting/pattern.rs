//! Texts that a regular expression of a schema matches. Deterministic, and bounded whatever the expression says.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Texts for one expression: each choice between two ways is taken both ways by some of them.
const VARIANTS: usize = 8;
/// The longest text, in bytes; the last piece may go beyond it.
const MAX_TEXT: usize = 4096;
/// Parts of the expression that are visited for one text.
const MAX_STEPS: usize = 100_000;

/// Texts that the expression `pattern` should match, the plainest first, no two the same. Repetitions come as short as they
/// may be, and longer by `more`. None if it is not understood.
pub(super) fn texts(pattern: &str, more: u32) -> Vec<String> {
    let Ok(hir) = regex_syntax::parse(pattern) else { return Vec::new() };
    let mut texts: Vec<String> = Vec::new();
    for variant in 0..VARIANTS {
        let mut writer = Writer { text: String::new(), variant, more, steps: MAX_STEPS };
        writer.write(&hir);
        if !texts.contains(&writer.text) {
            texts.push(writer.text);
        }
    }
    texts
}

struct Writer {
    text: String,
    /// Decides each choice.
    variant: usize,
    more: u32,
    /// What is left of [`MAX_STEPS`].
    steps: usize,
}

impl Writer {
    /// Appends what this part of the expression matches. As deep as the parser lets expressions be nested.
    fn write(&mut self, hir: &Hir) {
        let Some(steps) = self.steps.checked_sub(1) else { return };
        self.steps = steps;
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(class) => self.text.extend(self.choose(class)),
            HirKind::Repetition(repetition) => {
                let most = repetition.max.unwrap_or(u32::MAX);
                let more = if self.variant.is_multiple_of(2) { 0 } else { self.more };
                for _ in 0..repetition.min.saturating_add(more).min(most) {
                    if self.text.len() >= MAX_TEXT || self.steps == 0 {
                        return;
                    }
                    self.write(&repetition.sub);
                }
            }
            HirKind::Capture(capture) => self.write(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.write(part)),
            HirKind::Alternation(ways) => {
                if let Some(way) = ways.get((self.variant / 2) % ways.len()) {
                    self.write(way);
                }
            }
        }
    }

    /// A character of a class: a plain one, and in some variants its first and its last, which may be anything.
    fn choose(&self, class: &Class) -> Option<char> {
        let Class::Unicode(class) = class else { return None };
        let ranges = class.ranges();
        let plain =
            ['x', '0', 'X'].into_iter().find(|c| ranges.iter().any(|range| (range.start()..=range.end()).contains(c)));
        let (first, last) = (ranges.first()?.start(), ranges.last()?.end());
        Some(match self.variant {
            3 => first,
            7 => last,
            _ => plain.unwrap_or(first),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_pattern_and_each_way_is_gone() {
        for (pattern, least) in [
            ("^[/~][^\\u0000]*$", 4),
            ("^(/|~/)[^\\u0000]*$", 4),
            ("^[A-Za-z0-9:_.@\\\\-]+$", 3),
            ("^[^\\u0000-\\u001f]*$", 3),
            ("^[a-z-]{1,40}$", 3),
            ("^([0-9]{1,8}[smhdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?)?)$", 4),
            ("^\\d{3}$", 1),
            ("^(a|b|c)$", 2),
            ("^only$", 1),
        ] {
            let schema = serde_json::json!({"type": "string", "pattern": pattern});
            let (fit, other): (Vec<_>, Vec<_>) =
                texts(pattern, 1).into_iter().partition(|text| jsonschema::is_valid(&schema, &text.clone().into()));
            // In a schema `\d` is a digit of ASCII.
            assert!(
                fit.len() >= least && (other.is_empty() || pattern.contains("\\d")),
                "{pattern}: {fit:?} {other:?}"
            );
        }
    }

    #[test]
    fn a_pattern_that_repeats_without_end_or_is_none_ends() {
        let texts_of = |pattern: &str| texts(pattern, 1000);
        assert!(texts_of("^(((x{0,1000}){1000}){1000}){1000}$").iter().all(|text| text.len() <= 2 * MAX_TEXT));
        assert!(texts_of("^(((x?){1000}){1000}){1000}$").iter().all(|text| text.len() <= 2 * MAX_TEXT));
        assert!(texts_of("[").is_empty() && texts_of("(?=x)").is_empty());
    }
}
