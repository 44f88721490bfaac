//! Scout as its users meet it: `scout serve` over stdio against a real sshd.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod answers;
mod arriving;
mod audit;
mod bad_input;
mod bad_plugin;
mod bounded_memory;
mod bundled_tools;
mod cassettes;
mod cli;
mod compiling;
mod corners;
mod corpus;
mod explain;
mod fleets;
mod grants;
mod lifecycle;
mod limits;
mod live;
mod load;
mod machines;
mod own_files;
mod plugin_projects;
mod progress;
mod protocol;
mod python;
mod real_programs;
mod secrets;
mod spans;
mod tenants;
mod tools;
mod trips;
mod typescript;
mod unread;
mod vetting;
mod world;
