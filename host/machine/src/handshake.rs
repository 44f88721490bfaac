//! What a connection to a machine was agreed on.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is known of the handshake that made a connection, by words, which the contract lists (`inventory.handshake`). A server chose
/// most of it: whoever makes one bounds each value and makes it harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Words, and what each says.
    pub facts: BTreeMap<Cow<'static, str>, String>,
}

impl Handshake {
    /// What a word says.
    pub fn fact(&self, word: &str) -> Option<&str> {
        self.facts.get(word).map(String::as_str)
    }
}
