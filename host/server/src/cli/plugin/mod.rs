//! `scout plugin`: what there is to do with plugins.

mod list;
mod serving;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Config, ConfigError};

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the plugins of the configuration, and how they are in each `scout serve` that runs
    List {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: PluginCommand, config: &Config) -> Result<ExitCode, ConfigError> {
    match command {
        PluginCommand::List { json } => list::run(config, json).await,
    }
}
