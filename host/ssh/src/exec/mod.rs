//! Commands over a session channel.

pub(crate) mod command;
