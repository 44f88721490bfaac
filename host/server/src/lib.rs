//! placeholder

mod default_plugins;
