//! `scout demo`: a host of its own to look at, so that Scout can be tried on a machine that has nothing.
//!
//! Owns the embedded SSH host, its content and the conversation that shows it. Knows no more of Scout than a client
//! does: it starts the program and speaks MCP to it.
//! Invariants: the host listens on loopback only and takes one key, generated for it; SFTP reads nothing outside its
//! directory; nothing outlives the demo, neither a process nor a file. Its commands run as the user who started the
//! demo, as over any SSH: that they cannot do harm is Scout's policy, which is what the demo shows.

mod backlog;
mod content;
mod exec;
mod host;
mod run;
mod session;
mod sftp_server;

use std::io;

pub use host::DemoHost;
pub use run::{run, serve};

/// Why the demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The system refused something.
    #[error("the demo failed to {what}: {source}")]
    System {
        /// What was attempted, as a verb phrase.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No key could be generated or written.
    #[error("the demo failed to generate its SSH keys: {0}")]
    Key(String),
    /// The child did not speak MCP as expected.
    #[error("the demo failed to {what} over MCP: {message}{}", quoted(.stderr))]
    Conversation {
        /// What was attempted, as a verb phrase.
        what: &'static str,
        /// What the client said.
        message: String,
        /// The end of what the child logged.
        stderr: String,
    },
    /// Some answers were not what the demo wanted to show.
    #[error("{failed} of {asked} demo questions were answered unexpectedly{}", quoted(.stderr))]
    Answers {
        /// How many.
        failed: usize,
        /// Of how many.
        asked: usize,
        /// The end of what the child logged.
        stderr: String,
    },
    /// The person or the system ended it by a signal.
    #[error("the demo was interrupted")]
    Interrupted,
}

impl DemoError {
    /// For `map_err`: names what was attempted.
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

fn quoted(stderr: &str) -> String {
    if stderr.trim().is_empty() { String::new() } else { format!("\nthe server logged:\n{}", stderr.trim_end()) }
}
