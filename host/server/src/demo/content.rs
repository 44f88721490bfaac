//! What lies on the demo host: a small web application's configuration, log and notes.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// Lines of the application's log.
const LOG_LINES: u32 = 400;
/// Every so many lines an error is logged.
const ERROR_EVERY: u32 = 57;
/// Every so many lines a warning is logged.
const WARNING_EVERY: u32 = 23;
/// The log begins at this second of the day (06:00), so that it ends before noon.
const LOG_BEGINS: u32 = 6 * 3600;

const APP_CONF: &str = "\
# orders: takes orders and sends them to the warehouse
[server]
listen = 127.0.0.1:8080
workers = 4
request_timeout = 30s

[database]
url = postgres://orders@db.internal/orders
pool_size = 10

[log]
file = log/app.log
level = info
";

const DEPLOY_ENV: &str = "RELEASE=2026.03.2\nREGION=eu-central\nFEATURE_FAST_CHECKOUT=on\n";

const README: &str = "\
# orders

Takes orders over HTTP and hands them to the warehouse.

| what | where |
|------|-------|
| configuration | `etc/app.conf` |
| log | `log/app.log` |

## When orders hang

1. `grep ERROR log/app.log`: does the database refuse connections?
2. Compare `pool_size` with the number of workers.
3. See [the runbook](runbook.md).
";

const RUNBOOK: &str = "\
# Runbook

- *Pool timeouts*: raise `pool_size` in `etc/app.conf`, then restart one replica at a time.
- *Slow checkout*: switch `FEATURE_FAST_CHECKOUT` off in `etc/deploy.env`.
";

/// Writes the content into an empty directory.
pub(super) fn write(home: &Path) -> io::Result<()> {
    let log = log();
    let files: [(&str, &str, &str); 6] = [
        ("etc", "app.conf", APP_CONF),
        ("etc", "deploy.env", DEPLOY_ENV),
        ("log", "app.log", &log),
        ("log", "app.log.1", "2026-03-13T05:59:58Z INFO  log rotated\n"),
        ("notes", "README.md", README),
        ("notes", "runbook.md", RUNBOOK),
    ];
    for (directory, name, text) in files {
        let directory = home.join(directory);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// The same text on each run, so that answers can be compared.
fn log() -> String {
    let mut log = String::new();
    for line in 1..=LOG_LINES {
        let second = LOG_BEGINS + line * 41;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let order = 48_000 + line * 7;
        let message = if line % ERROR_EVERY == 0 {
            format!("ERROR order {order}: no database connection within 30s (pool of 10 is exhausted)")
        } else if line % WARNING_EVERY == 0 {
            format!("WARN  order {order}: warehouse answered after {} ms", 900 + line % 400)
        } else {
            format!("INFO  order {order}: accepted in {} ms", 12 + line * 31 % 70)
        };
        // Writing to a String cannot fail.
        writeln!(log, "2026-03-14T{hour:02}:{minute:02}:{second:02}Z {message}").ok();
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_few_errors_among_hundreds_of_lines() {
        let log = log();
        assert_eq!(log.lines().count(), 400);
        assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), 7);
    }
}
