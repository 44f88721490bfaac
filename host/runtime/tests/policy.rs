//! The command policy against real shells and real programs: what was checked is what runs, what is hostile does not, what is benign does.

#![expect(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")]

#[path = "policy/corpus.rs"]
mod corpus;
#[path = "policy/home.rs"]
mod home;
#[path = "policy/shell.rs"]
mod shell;
#[path = "policy/trace.rs"]
mod trace;
#[path = "policy/world.rs"]
mod world;
