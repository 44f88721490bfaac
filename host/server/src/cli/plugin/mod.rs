//! `scout plugin`: what there is to do with plugins, one file for each subcommand.

mod list;
mod new;
mod run;
mod serving;
mod template;
mod test;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Config, ConfigError};

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make a project: a tool that works, with a test and a cassette
    New(new::Arguments),
    /// Call one tool of a plugin against real hosts, with the grants that scout.toml gives it
    #[command(
        after_help = "Example:\n  scout plugin run disk disk_usage '{\"host\": \"web1\"}' --record cassettes/web1.json"
    )]
    Run(run::Arguments),
    /// Play recorded calls to a plugin, without any host, and compare its answers
    #[command(after_help = "Example:\n  scout plugin test target/wasm32-wasip2/release/plugin.wasm")]
    Test(test::Arguments),
    /// List the plugins of the configuration, and how they are in each `scout serve` that runs
    List {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: PluginCommand, config: &Config) -> Result<ExitCode, ConfigError> {
    match command {
        PluginCommand::New(arguments) => Ok(new::run(&arguments)),
        PluginCommand::Run(arguments) => run::run(config, arguments).await,
        PluginCommand::Test(arguments) => test::run(config, arguments).await,
        PluginCommand::List { json } => list::run(config, json).await,
    }
}

/// A temporary file in the directory of `path`, whose place it can take at once.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(parent)
}
