//! What a plugin may ask of Scout.

/// Remote files and directories, over SFTP. Needs the grant `files`.
pub mod files {
    pub use crate::bindings::imports::scout::plugin::files::{Entry, open, read, stat};
}

/// Commands on remote hosts. Needs the grant `exec`.
pub mod exec {
    pub use crate::bindings::imports::scout::plugin::exec::{
        Ending, Outcome, Pipeline, RemoteState, Stage, StderrTo, Word, run, shell,
    };
    pub use crate::output::{Output, output};
}

/// The hosts that this call may name. Needs the grant `inventory`.
pub mod inventory {
    pub use crate::bindings::imports::scout::plugin::inventory::{Machine as Host, Reachability, hosts, probe};
}

/// The plugin's own configuration: `[plugins.NAME.settings]` in scout.toml.
pub mod settings {
    pub use crate::bindings::imports::scout::plugin::settings::get;
}

/// Progress of a long call, for clients that asked for it.
pub mod progress {
    pub use crate::bindings::imports::scout::plugin::progress::report;
}

/// Lines in Scout's log; they never reach the client.
pub mod log {
    use crate::bindings::imports::scout::plugin::log::{Level, write};

    /// What only a developer wants to know.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// What happened.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// What is odd.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// What failed.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }
}
