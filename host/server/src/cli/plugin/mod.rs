//! `scout plugin`: what there is to do with plugins, one file for each subcommand.

mod inspect;
mod list;
mod new;
mod processes;
mod report;
mod run;
mod sign;
mod template;
mod test;
mod vet;

use std::process::ExitCode;

use clap::Subcommand;

use super::{failed, print};
use crate::config::{Config, ConfigError};
use crate::vetting::examine;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make a project: a tool that works, with a test and a cassette
    New(new::Arguments),
    /// Call one tool of a plugin against real hosts, with the grants that scout.toml gives it
    #[command(
        after_help = "Example:\n  scout plugin run disk disk '{\"host\": \"web1\"}' --record cassettes/web1.json"
    )]
    Run(run::Arguments),
    /// Play recorded calls to a plugin, without any host, and compare its answers
    #[command(after_help = "Example:\n  scout plugin test target/wasm32-wasip2/release/plugin.wasm")]
    Test(test::Arguments),
    /// List the plugins of the configuration, whether they are vetted, and how they are in each `scout serve` that runs
    List {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a plugin imports, exports and says of itself; nothing of it runs outside a bounded process
    Inspect(inspect::Arguments),
    /// Look at a plugin, try it with hostile input, and lock what it is into scout.lock
    #[command(
        after_help = "Examples:\n  scout plugin vet backups\n  scout plugin vet ./backups.wasm\n  scout plugin vet oci://ghcr.io/team/backups:1.2 --json"
    )]
    Vet(vet::Arguments),
    /// Sign a plugin with an SSH key: writes FILE.sig, as `ssh-keygen -Y sign -n scout-plugin` does
    #[command(after_help = "Example:\n  scout plugin sign backups.wasm --key ~/.ssh/id_ed25519")]
    Sign(sign::Arguments),
    /// The process that looks into a component, for `vet` and `inspect`
    #[command(hide = true)]
    Examine,
}

pub(super) async fn run(command: PluginCommand, config: &Config) -> Result<ExitCode, ConfigError> {
    match command {
        PluginCommand::New(arguments) => Ok(new::run(&arguments)),
        PluginCommand::Run(arguments) => run::run(config, arguments).await,
        PluginCommand::Test(arguments) => test::run(config, arguments).await,
        PluginCommand::List { json } => list::run(config, json).await,
        PluginCommand::Inspect(arguments) => inspect::run(config, arguments).await,
        PluginCommand::Vet(arguments) => vet::run(config, arguments).await,
        PluginCommand::Sign(arguments) => sign::run(config, arguments).await,
        PluginCommand::Examine => Ok(examine().await),
    }
}

/// The child's side of `vet` and `inspect`. Reads no configuration: it is not to know where anything is.
pub(super) async fn examine() -> ExitCode {
    match examine::child().await {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}
