//! What looks like a secret in a text, and what is put in its place.
//!
//! Owns one set of rules, as data (`rules`), for two uses: recorded calls, which take out more rather than less, and what leaves for a
//! model, where what is no secret stays as it is to the byte. Forms (`forms`) are known by themselves, other values by the name
//! in front of them (`names`), if they are likely to be secret (`likely`). Knows texts: neither cassettes, plugins nor clients.

#[cfg(test)]
mod document;
mod forms;
mod likely;
mod mask;
mod names;
mod rules;
mod text;

pub use mask::{Masked, mask, mask_named};
pub(crate) use names::{NUMBER, REDACTED, compiled, is_secret_name, replaced, without};
pub use rules::{RULES, Rule};
