//! The audit trail: one JSON line for each command, written before its outcome is answered.
//!
//! Invariant: a line is one `write` to a file opened for appending, so lines of several Scouts never mix.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use scout_runtime::CommandRecord;
use scout_ssh::Principal;
use serde::Serialize;

/// The longest command that a line holds in full, in bytes; a longer one is cut and its length told.
const MAX_COMMAND: usize = 64 * 1024;

/// Where audit lines go.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    // A line is written at a blocking write's length: microseconds on any local file system.
    file: Mutex<File>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    principal: &'a str,
    plugin: &'a str,
    host: &'a str,
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_bytes: Option<usize>,
    ending: &'a str,
    duration_ms: u64,
}

impl Audit {
    /// Opens the file for appending, creating it (0600) and its directory (0700).
    ///
    /// # Errors
    /// Without an audit trail Scout does not start: the message names the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let made = parent.map_or(Ok(()), |parent| DirBuilder::new().recursive(true).mode(0o700).create(parent));
        let file = made.and_then(|()| OpenOptions::new().append(true).create(true).mode(0o600).open(path));
        match file {
            Ok(file) => Ok(Self { path: path.to_owned(), file: Mutex::new(file) }),
            Err(error) => Err(format!(
                "the audit log {} cannot be written: {error}; set `audit_log` in scout.toml to another file",
                path.display()
            )),
        }
    }

    /// Writes one line. A disk that is full is logged: the command has already run.
    pub fn record(&self, principal: &Principal, record: &CommandRecord) {
        let end = record.command.floor_char_boundary(MAX_COMMAND);
        let line = Line {
            time: jiff::Timestamp::now().to_string(),
            principal: principal.as_str(),
            plugin: &record.plugin,
            host: &record.host,
            command: record.command.get(..end).unwrap_or_default(),
            command_bytes: (end < record.command.len()).then_some(record.command.len()),
            ending: &record.ending,
            duration_ms: u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX),
        };
        let written = serde_json::to_vec(&line).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.file.lock().write_all(&line)
        });
        if let Err(error) = written {
            tracing::error!(path = %self.path.display(), %error, "an audit line is lost");
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_command_is_one_line_of_json_in_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/audit.jsonl");
        let audit = Audit::open(&path).unwrap();
        let record = CommandRecord {
            plugin: "command".to_owned(),
            host: "box".to_owned(),
            command: "printf 'a\nb'".to_owned(),
            ending: "exited 0".to_owned(),
            duration: Duration::from_millis(12),
        };
        audit.record(&Principal::new("local"), &record);
        Audit::open(&path).unwrap().record(&Principal::new("local"), &record);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line["command"], "printf 'a\nb'");
        assert_eq!((&line["host"], &line["principal"]), (&"box".into(), &"local".into()));
        assert_eq!(line["duration_ms"], 12);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let refusal = Audit::open(Path::new("/proc/nowhere/audit.jsonl")).unwrap_err();
        assert!(refusal.contains("/proc/nowhere/audit.jsonl") && refusal.contains("audit_log"), "{refusal}");
    }
}
