//! Scout at the SSH servers of others: what works there is a table in `docs/servers.md`, and it is what is seen.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

mod server;
mod surprises;
mod table;
