//! Scout as its users meet it: `scout serve` over stdio against a real sshd.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod answers;
mod bad_input;
mod bad_plugin;
mod bundled_tools;
mod cassettes;
mod cli;
mod explain;
mod grants;
mod lifecycle;
mod limits;
mod live;
mod load;
mod plugin_projects;
mod protocol;
mod python;
mod tools;
mod trips;
mod vetting;
mod world;
