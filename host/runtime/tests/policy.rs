//! The command policy against real shells and real programs: what was checked is what runs, what is hostile does not, what is benign does.

#![expect(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")]

// The parser of the `command` plugin is compiled into these tests and names its types as the SDK does.
extern crate self as scout_plugin;

/// The types of the parser: the host's have the same shape.
pub mod exec {
    pub use scout_runtime::policy::{Stage, StderrTo, Word};
}

#[path = "policy/corpus.rs"]
mod corpus;
#[path = "policy/shell.rs"]
mod shell;
#[path = "policy/world.rs"]
mod world;
