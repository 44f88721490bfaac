//! A text with its secrets masked, for whoever is to see it.
//!
//! Invariant: what has no secret stays as it is, byte for byte, and a text takes time by its length, whatever is in it.

use std::ops::Range;

use super::forms::{self, Strictness};
use super::likely::is_likely;
use super::names::{self, kind_of};
use super::rules::NAMED;
use super::text::Text;

/// A text in which something was masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// What is to be seen: `[redacted: NAME-OF-THE-RULE]` where a secret was.
    pub bytes: Vec<u8>,
    /// How many secrets were masked.
    pub count: usize,
}

/// The secrets of a text masked, if it has any.
pub fn mask(bytes: &[u8]) -> Option<Masked> {
    mask_text(&Text::new(bytes))
}

fn mask_text(text: &Text<'_>) -> Option<Masked> {
    let mut found: Vec<(Range<usize>, &str)> = Vec::new();
    let mut of_forms = Vec::new();
    forms::find(text, Strictness::Exact, &mut of_forms);
    found.extend(of_forms.into_iter().map(|(range, rule)| (range, rule.name)));
    names::find(text, &mut found);
    if found.is_empty() {
        return None;
    }
    // Where two overlap the one with a form counts: it says what it is.
    found.sort_by_key(|(range, name)| (range.start, *name == NAMED, usize::MAX - range.end));
    let (mut masked, mut done) = (Masked { bytes: Vec::with_capacity(text.bytes.len()), count: 0 }, 0);
    for (range, name) in found {
        if range.start < done {
            // The rest of one that begins in another goes with it.
            done = done.max(range.end);
            continue;
        }
        masked.bytes.extend_from_slice(text.span(done..range.start));
        masked.bytes.extend_from_slice(marker(name).as_bytes());
        masked.count += 1;
        done = range.end;
    }
    masked.bytes.extend_from_slice(text.span(done..text.bytes.len()));
    Some(masked)
}

/// What is put in the place of a whole value that has this name, if that makes it a secret: a field of an object.
pub fn mask_named(name: &str, value: &str) -> Option<String> {
    let is_secret = |kind| is_likely(kind, value.trim().as_bytes());
    (value.len() <= names::MAX_VALUE && kind_of(name.as_bytes()).is_some_and(is_secret)).then(|| marker(NAMED))
}

fn marker(name: &str) -> String {
    format!("[redacted: {name}]")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
