//! `scout key`: the keys with which clients ask over HTTP.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::{Config, ConfigError, is_principal};
use crate::http::{Key, Keys};
use crate::tenant::LOCAL;

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and print it: nobody can have it again
    Add {
        /// On whose behalf it asks: what that is allowed stands in [access.PRINCIPAL] of scout.toml
        #[arg(long, value_parser = principal)]
        principal: String,
        /// When it ends: a number of days, hours or minutes, such as 90d, 12h or 30m [default: never]
        #[arg(long, value_name = "TIME", value_parser = life)]
        expires: Option<Duration>,
    },
    /// List the keys that there are, without what makes them keys
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// End a key: it serves nobody from the next request on
    Revoke {
        /// Its name, as `list` shows it
        id: String,
    },
}

/// Runs a subcommand.
pub(super) fn run(command: KeyCommand, config: &Config) -> Result<ExitCode, ConfigError> {
    let keys = Keys::below(&config.state_dir);
    let failed =
        |error: std::io::Error| ConfigError::new(format!("the API keys in {}: {error}", config.state_dir.display()));
    match command {
        KeyCommand::Add { principal, expires } => {
            let key = keys.add(&principal, expires.map(|life| Timestamp::now() + life)).map_err(failed)?;
            let mut stdout = std::io::stdout().lock();
            if let Err(error) = writeln!(stdout, "{key}").and_then(|()| stdout.flush()) {
                // Nobody has it.
                keys.forget(&key).map_err(failed)?;
                return Err(ConfigError::new(format!("the key cannot be printed, and there is none: {error}")));
            }
            eprintln!("It is shown this once. A client sends it as `Authorization: Bearer KEY`.");
            if principal != LOCAL && !config.principals.contains_key(&principal) {
                eprintln!(
                    "scout.toml has no [access.{principal}] yet, and without one the key may do nothing. An empty table allows what \
                     plugins and policies do; `hosts = [\"web*\"]` in it limits that."
                );
            }
        }
        KeyCommand::List { json } => {
            let (keys, now) = (keys.all().map_err(failed)?, Timestamp::now());
            if json {
                let keys: Vec<_> = keys.iter().map(|key| as_json(key, now)).collect();
                print(&format!("{}\n", Value::from(keys)));
            } else if keys.is_empty() {
                print("There are no keys: `scout key add --principal NAME` makes one.\n");
            } else {
                print(&table(keys.iter().map(|key| row(key, now))));
            }
        }
        KeyCommand::Revoke { id } => {
            keys.revoke(&id).map_err(failed)?;
            print(&format!("{id} serves nobody any more.\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(key: &Key, now: Timestamp) -> Value {
    json!({
        "id": key.id,
        "principal": &*key.principal,
        "created": key.created.to_string(),
        "expires": key.expires.map(|time| time.to_string()),
        "expired": key.has_expired(now),
        "used": key.used().map(|time| time.to_string()),
    })
}

fn row(key: &Key, now: Timestamp) -> [String; 5] {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M").to_string();
    let expires = match key.expires {
        Some(time) if key.has_expired(now) => format!("{} (expired)", day(time)),
        Some(time) => day(time),
        None => "never".to_owned(),
    };
    let used = key.used().map_or_else(|| "never".to_owned(), day);
    [key.id.clone(), key.principal.to_string(), day(key.created), expires, used]
}

/// Rows under their names, in UTC.
fn table(rows: impl Iterator<Item = [String; 5]>) -> String {
    let names = ["KEY", "PRINCIPAL", "CREATED (UTC)", "EXPIRES", "USED"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(names).chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn print(text: &str) {
    // Whoever has closed it wants to hear no more.
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

fn principal(name: &str) -> Result<String, String> {
    is_principal(name).map(|()| name.to_owned())
}

pub(super) fn life(text: &str) -> Result<Duration, String> {
    /// Ten years, in minutes.
    const MAX: u64 = 10 * 366 * 24 * 60;
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let minutes = match unit {
        "d" => 24 * 60,
        "h" => 60,
        "m" => 1,
        _ => 0,
    };
    let life = number.parse::<u64>().ok().and_then(|number| number.checked_mul(minutes));
    life.filter(|minutes| (1..=MAX).contains(minutes))
        .map(|minutes| Duration::from_secs(60 * minutes))
        .ok_or_else(|| "not a time from 1m to ten years, such as 90d, 12h or 30m".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn lives_are_days_hours_and_minutes() {
        for (text, seconds) in [("90d", 90 * 86_400), ("12h", 43_200), ("30m", 1800)] {
            assert_eq!(life(text).unwrap(), Duration::from_secs(seconds));
        }
        for text in ["", "d", "0d", "-1d", "90", "1w", "1.5h", "99999d", "18446744073709551615d"] {
            assert!(life(text).unwrap_err().contains("90d"), "{text}");
        }
    }
}
