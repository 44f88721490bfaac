//! MCP over HTTP: who asks, how much of it is taken, and how it ends.
//!
//! Owns the door to many clients. `address` listens, `server` takes connections and ends them, `tls` encrypts them; `door` looks at each
//! request, `identity` says whose it is, by `keys`, by tokens (`oauth`), by certificates
//! (`client_certificate`) or by the account of this machine; `clients` has what the requests of one principal hold
//! together, `label` what a session is; `health` tells a supervisor how it is. What a message means is `mcp`'s.

mod address;
mod answers;
mod client_certificate;
mod clients;
mod door;
mod health;
mod identity;
mod keys;
mod label;
mod oauth;
mod server;
mod shares;
mod throttle;
mod tls;

pub use address::Address;
pub(crate) use answers::Answer;
pub use keys::{Key, Keys};
pub use server::{Options, serve};
