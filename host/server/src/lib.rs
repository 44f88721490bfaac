//! The `scout` program: an MCP server over the fleet.

pub mod demo;
