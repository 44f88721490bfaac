//! JSON Schema, 2020-12, for schemas and values that nobody trusts.
//!
//! Owns what a schema means and what that costs: each step of compiling and of checking is taken from a
//! [`Meter`](scout_runtime::Meter) before it is done, so whatever a schema and a value are together, the work ends. Patterns
//! are matched without backtracking. Fetches nothing, knows no plugin.
//!
//! What it does not have: references out of the schema or back into themselves, `$dynamicRef`, `$id`, `$anchor`. A schema
//! that uses them is refused, never half understood. `format` and what else 2020-12 calls an annotation is not checked.

mod check;
mod compile;
mod pattern;
mod values;

pub(crate) use compile::{Compiler, Schema, Unusable};

#[cfg(test)]
mod tests;
