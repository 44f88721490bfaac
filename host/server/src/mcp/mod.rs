//! MCP on top of the router: the tool `scout`, the tools of plugins, the resources.
//!
//! The only module that translates between rmcp's types and ours; rmcp speaks every revision from 2024-11-05 to
//! 2026-07-28 for it. What is the protocol's is in `protocol`, what one client has and was told in `session`.

mod changes;
mod progress;
mod protocol;
mod resource_list;
mod scout_tool;
mod session;
pub(crate) mod streamable;
mod tool_list;

pub use protocol::McpServer;
