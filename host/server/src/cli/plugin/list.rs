//! `scout plugin list`: the plugins as the configuration has them, loaded here to see whether they can be, and how they are
//! in the processes that serve.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::print;
use crate::config::{Config, ConfigError};
use crate::plugins::{PluginStatus, Plugins, Reading};
use crate::status_file::{ProcessStatus, serving};
use scout_machine::visible;

pub(super) async fn run(config: &Config, json: bool) -> Result<ExitCode, ConfigError> {
    let plugins = Plugins::start(config, Reading::strict(config)?);
    let errors = plugins.settled().await;
    let status = plugins.status();
    let dir = config.serving_dir();
    let processes = serving(&dir).map_err(|error| ConfigError::new(format!("{}: {error}", dir.display())))?;
    if json {
        print(&format!("{:#}", json!({"plugins": status, "serving": processes})));
    } else {
        print(&text(&status, &processes));
    }
    let well =
        errors.is_empty() && processes.iter().all(|process| super::processes::is_well(process, jiff::Timestamp::now()));
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(plugins: &[PluginStatus], processes: &[ProcessStatus]) -> String {
    let header = ["plugin", "source", "grants", "tools, resources", "state"].map(str::to_owned);
    let rows = plugins.iter().map(|plugin| {
        let joined = |words: &[String]| if words.is_empty() { "-".to_owned() } else { words.join(",") };
        let state = match (&plugin.error, &plugin.digest) {
            (Some(error), _) => error.clone(),
            (None, Some(digest)) => {
                format!("good, {}, sha256:{}", plugin.standing, digest.get(..12).unwrap_or(digest))
            }
            (None, None) => "not loaded".to_owned(),
        };
        let offers = [plugin.tools.as_slice(), plugin.resources.as_slice()].concat();
        [plugin.name.clone(), plugin.source.clone(), joined(&plugin.grants), joined(&offers), state]
    });
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(rows).collect();
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, &rows)).collect();
    lines.extend(super::processes::lines(processes, jiff::Timestamp::now()));
    // Names of tools and what plugins say of their end are theirs.
    lines.iter().map(|line| format!("{}\n", visible(line))).collect()
}

/// One row, its columns as wide as the widest of all rows.
fn line(row: &[String; 5], rows: &[[String; 5]]) -> String {
    let mut line = String::new();
    for (n, cell) in row.iter().enumerate() {
        let width = rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        line.push_str(&format!("{cell:width$}  "));
    }
    line.trim_end().to_owned()
}
