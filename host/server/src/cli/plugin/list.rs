//! `scout plugin list`: the plugins as the configuration has them, loaded here to see whether they can be, and how they are
//! in the processes that serve.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::print;
use crate::config::{Config, ConfigError};
use crate::plugins::{PluginStatus, Plugins, Reading};
use crate::render::visible;
use crate::serving::{Serving, serving};

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
    let trouble = |process: &Serving| process.refused.is_some() || process.plugins.iter().any(is_in_trouble);
    Ok(if errors.is_empty() && !processes.iter().any(trouble) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_in_trouble(plugin: &PluginStatus) -> bool {
    plugin.error.is_some() || !plugin.quarantines.is_empty()
}

fn text(plugins: &[PluginStatus], processes: &[Serving]) -> String {
    let header = ["plugin", "source", "grants", "tools", "state"].map(str::to_owned);
    let rows = plugins.iter().map(|plugin| {
        let joined = |words: &[String]| if words.is_empty() { "-".to_owned() } else { words.join(",") };
        let state = match (&plugin.error, &plugin.digest) {
            (Some(error), _) => error.clone(),
            (None, Some(digest)) => format!("good, sha256:{}", digest.get(..12).unwrap_or(digest)),
            (None, None) => "not loaded".to_owned(),
        };
        [plugin.name.clone(), plugin.source.clone(), joined(&plugin.grants), joined(&plugin.tools), state]
    });
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(rows).collect();
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, &rows)).collect();
    if processes.is_empty() {
        lines.push("no `scout serve` runs".to_owned());
    }
    for process in processes {
        let config = process.config.as_ref().map_or("defaults".to_owned(), |config| config.display().to_string());
        let (pid, revision, since) = (process.pid, process.revision, &process.since);
        lines.push(format!("serving since {since}: process {pid}, revision {revision} of {config}"));
        lines.extend(process.refused.iter().map(|why| format!("  the configuration on disk does not serve: {why}")));
        for plugin in &process.plugins {
            let name = &plugin.name;
            if let Some(why) = &plugin.error {
                let meanwhile = plugin.digest.as_ref().map_or("nothing serves", |_| "the one before goes on");
                lines.push(format!("  {name}: cannot be used, {meanwhile}: {why}"));
            }
            for quarantine in &plugin.quarantines {
                let (principal, until, why) = (&quarantine.principal, &quarantine.until, &quarantine.why);
                lines.push(format!("  {name}: in quarantine for `{principal}` until {until}: {why}"));
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::QuarantineStatus;

    #[test]
    fn a_quarantine_a_broken_plugin_and_a_refused_configuration_are_told_with_why() {
        let good = PluginStatus {
            name: "mine".to_owned(),
            source: "/x/mine.wasm".to_owned(),
            digest: Some("0123456789abcdef".to_owned()),
            grants: vec!["files".to_owned(), "exec".to_owned()],
            tools: vec!["read".to_owned()],
            loading: false,
            error: None,
            quarantines: Vec::new(),
        };
        let quarantine = QuarantineStatus {
            principal: "local".to_owned(),
            until: "2026-11-21T12:00:00Z".to_owned(),
            why: "it \u{1b}[31mcrashed".to_owned(),
        };
        let running =
            PluginStatus { error: Some("is no component".to_owned()), quarantines: vec![quarantine], ..good.clone() };
        let process = Serving {
            pid: 7,
            since: "2026-11-21T11:00:00Z".to_owned(),
            config: None,
            revision: 3,
            refused: Some("scout.toml:2: unknown key".to_owned()),
            plugins: vec![running],
        };
        let text = text(&[good], &[process]);
        for says in [
            "mine    /x/mine.wasm  files,exec  read   good, sha256:0123456789ab\n",
            "process 7, revision 3 of defaults\n",
            "does not serve: scout.toml:2: unknown key\n",
            "mine: cannot be used, the one before goes on: is no component\n",
            "mine: in quarantine for `local` until 2026-11-21T12:00:00Z: it ",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
