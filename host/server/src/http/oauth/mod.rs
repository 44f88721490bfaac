//! Access tokens: Scout as a resource server of OAuth 2.1.
//!
//! Owns what a token is held against. `token` reads one and looks at its claims, `key_set` has the public keys of an issuer and verifies
//! with them, `issuer` fetches those and keeps them new, `resource` puts all together and remembers what was verified. Whose a request is
//! and what is answered is `identity`'s. Nothing here blocks a thread of the runtime, and nothing that is fetched is waited for by a request
//! for long.
//!
//! Invariants: how a token may be signed stands in the configuration, and the key says it too; a token never chooses. Nothing that a token
//! says is used before its signature is good, but for which issuer and which key are to be asked.

mod issuer;
mod key_set;
mod resource;
mod token;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests;

pub(super) use resource::{OAuth, Resource};
pub(super) use token::{BadToken, MAX_TOKEN};
