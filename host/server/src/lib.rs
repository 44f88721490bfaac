//! The server: command line, configuration, tenants, routing, rendering, audit and MCP.
//!
//! The only crate that names rmcp. Knows no SSH wire and no WebAssembly: it asks the runtime.

pub mod arguments;
pub mod audit;
mod baselines;
mod call_memory;
pub mod cli;
pub mod client_memory;
pub mod config;
mod conversation;
mod cursor_key;
pub mod demo;
#[cfg(test)]
mod documents;
pub mod exit;
mod files;
#[doc(hidden)]
pub mod fuzz;
mod handshake;
pub mod http;
mod json_text;
pub mod lines;
pub mod live;
pub mod mcp;
pub mod message;
mod metrics;
mod outgoing;
mod params;
pub mod plugins;
mod process;
pub mod quotas;
pub mod render;
pub mod revision;
pub mod router;
mod schema;
pub mod serve;
pub mod status_file;
pub mod tally;
pub mod target;
pub mod tenant;
mod transport;
pub mod vetting;
mod watch;
mod web;
