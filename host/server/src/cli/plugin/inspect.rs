//! `scout plugin inspect`: what a plugin is, without trying or locking it.

use std::process::ExitCode;

use super::super::{failed, print};
use super::report::{Report, Subject};
use crate::config::{Config, ConfigError};
use crate::vetting::Lock;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// A plugin of scout.toml, or a file, https:// or oci://
    plugin: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, ConfigError> {
    let lock = Lock::read(&config.vetting.lock_file).map_err(ConfigError::new)?;
    let subject = Subject::find(config, &arguments.plugin)?;
    let report = match Report::make(config, &lock, &subject, false).await {
        Ok(report) => report,
        Err(why) => return Ok(failed(&why)),
    };
    print(&if arguments.json { format!("{:#}", report.json()) } else { report.text() });
    Ok(ExitCode::SUCCESS)
}
