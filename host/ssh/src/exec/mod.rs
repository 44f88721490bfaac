//! Commands over session channels: each on its own, or one after another in a shell that stays.

pub(crate) mod command;
pub(crate) mod shell;
pub(crate) mod turns;
