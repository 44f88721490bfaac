//! `scout audit`: the log proven, signed, shown and handed on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use scout_machine::visible;
use scout_ssh::sshsig::{self, AllowedSigners};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{failed, print};
use crate::audit::{Found, GoesOn, LogFile, NAMESPACE, Proof, checkpoint, hex};
use crate::config::{Config, ConfigError};

/// An agent may ask a person before it signs.
const AGENT: Duration = Duration::from_secs(120);
/// A longer line is none of Scout's, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// What a command or a path takes of a shown line, in characters.
const SHOWN: usize = 200;
/// The columns of CSV.
const COLUMNS: [&str; 13] = [
    "time",
    "event",
    "tenant",
    "principal",
    "plugin",
    "host",
    "operation",
    "path",
    "command",
    "why",
    "ending",
    "duration_ms",
    "id",
];

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Prove that nothing in the log was changed, removed or added
    #[command(
        after_help = "Examples:\n  scout audit verify\n  scout audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl\n\nEnds with 1 if something is wrong. What was cut off at the end shows only against a checkpoint."
    )]
    Verify {
        /// The log's files, the oldest first [default: that of scout.toml]
        files: Vec<PathBuf>,
        /// Who may sign checkpoints, as in ssh-keygen's allowed_signers [default: `allowed_signers` of scout.toml]
        #[arg(long, value_name = "FILE")]
        allowed_signers: Option<PathBuf>,
    },
    /// Sign where the log ends now with an SSH key: what stands before can be proven from then on
    Checkpoint {
        /// A private key, a public key that the agent holds, or a certificate (…-cert.pub)
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Show what was asked, a line each
    Show {
        #[command(flatten)]
        which: Which,
        /// The last so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Write lines for other programs to standard output
    Export {
        #[command(flatten)]
        which: Which,
        /// The lines as they are, or a table
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Jsonl,
    Csv,
}

/// Which lines of which files.
#[derive(clap::Args, Debug)]
pub(super) struct Which {
    /// The log's files, the oldest first [default: that of scout.toml]
    files: Vec<PathBuf>,
    /// From this time on: `2026-12-01T12:00:00Z`, or as long ago as `2h`, `30m`, `7d`
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Until this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// On whose behalf
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// On which host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// What it is: begin, end, unsent, denied, read, omitted, checkpoint [default: all but begin, which end repeats]
    #[arg(long, value_name = "EVENT")]
    event: Vec<String>,
}

/// Runs a subcommand.
pub(super) async fn run(command: AuditCommand, config: &Config) -> Result<ExitCode, ConfigError> {
    let files = |given: &[PathBuf]| if given.is_empty() { vec![config.audit_log.clone()] } else { given.to_vec() };
    let done = match command {
        AuditCommand::Verify { files: given, allowed_signers } => {
            let signers = allowed_signers.as_deref().or(config.vetting.allowed_signers.as_deref());
            verify(&files(&given), signers)
        }
        AuditCommand::Checkpoint { key } => sign(config, &key).await,
        AuditCommand::Show { which, limit } => show(&files(&which.files), &which, limit),
        AuditCommand::Export { which, format } => export(&files(&which.files), &which, format),
    };
    Ok(done.unwrap_or_else(|why| failed(&why)))
}

fn open(path: &Path) -> Result<BufReader<File>, String> {
    File::open(path).map(BufReader::new).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

fn verify(files: &[PathBuf], signers: Option<&Path>) -> Result<ExitCode, String> {
    let signers = signers.map(AllowedSigners::load).transpose()?;
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let (mut proof, mut is_whole) = (Proof::default(), true);
    for (index, path) in files.iter().enumerate() {
        let found = proof.file(open(path)?, |checkpoint| match &signers {
            Some(signers) => {
                let (of, signature) = (checkpoint.of.as_bytes(), checkpoint.signature.as_bytes());
                signers.verify(of, signature, NAMESPACE, &[], now).map(drop)
            }
            None => Ok(()),
        });
        let found = found.map_err(|error| unreadable(path, &error))?;
        is_whole &= found.faulty == 0;
        print(&told(path, &found, (index > 0, signers.is_some())));
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was found out of a file, in words.
fn told(path: &Path, found: &Found, (is_later, signers): (bool, bool)) -> String {
    let name = path.display();
    let mut told: Vec<_> = found.faults.iter().map(|(line, why)| format!("{name}:{line}: {why}")).collect();
    let unsaid = found.faulty.saturating_sub(u64::try_from(found.faults.len()).unwrap_or_default());
    if unsaid > 0 {
        told.push(format!("{name}: {unsaid} more lines do not follow"));
    }
    let chained = match (found.first, found.goes_on) {
        (None, _) => {
            "none of them linked: they are of a Scout that did not do that yet, and nothing is proven".to_owned()
        }
        (Some(1), _) => format!("{} linked", found.chained),
        (Some(first), _) => {
            format!("{} linked; the first {} are of a Scout that did not do that yet", found.chained, first - 1)
        }
    };
    let begins = match found.goes_on {
        Some(GoesOn::FromBefore) => "; goes on where the file before ends",
        Some(GoesOn::FromAnother) => "; goes on from a file that was not named here",
        Some(GoesOn::Begins) if is_later => "; begins a chain of its own, so what stood between the files is not known",
        Some(GoesOn::Begins) | None => "",
    };
    let mut notes = String::new();
    if found.torn > 0 {
        notes += &format!("; {} torn, whose writers were killed", found.torn);
    }
    if found.unlinked > 0 {
        notes += &format!("; {} without a link between them, but covered by it", found.unlinked);
    }
    if found.checkpoints > 0 {
        notes += &match signers {
            true => format!("; {} of {} checkpoints signed well", found.signed, found.checkpoints),
            false => format!("; {} checkpoints, whose signatures need `--allowed-signers FILE`", found.checkpoints),
        };
    }
    let verdict = if found.faulty == 0 { "whole" } else { "NOT whole" };
    told.push(format!("{name}: {verdict}: {} lines, {chained}{begins}{notes}", found.lines));
    told.join("\n")
}

async fn sign(config: &Config, key: &Path) -> Result<ExitCode, String> {
    let mut log = LogFile::new(&config.audit_log);
    let unwritable = |error: io::Error| format!("{}: {error}", config.audit_log.display());
    let of = log.end().map_err(unwritable)?.ok_or("there is no line to sign yet")?;
    let (of, agent) = (hex(&of), config.vetting.agent.as_deref());
    // Others write meanwhile: what is signed is named in the line.
    let signature = sshsig::sign(key, agent, NAMESPACE, of.as_bytes(), Instant::now() + AGENT).await?;
    let line = checkpoint(&of, &signature).map_err(unwritable)?;
    log.append(&[line]).map_err(unwritable)?;
    print(&format!("signed: {of}\nKeep that digest elsewhere, too: a log that does not hold it any more was cut off."));
    Ok(ExitCode::SUCCESS)
}

impl Which {
    /// Calls `take` with each line that is meant, as it stands there and as it reads.
    fn each(
        &self,
        files: &[PathBuf],
        mut take: impl FnMut(&[u8], &Map<String, Value>) -> io::Result<()>,
    ) -> Result<(), String> {
        for path in files {
            let mut file = open(path)?;
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
                if read.map_err(|error| unreadable(path, &error))? == 0 {
                    break;
                }
                // What is torn, or longer than any line of ours, is no object.
                let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&line) else { continue };
                if self.is_meant(&fields) {
                    match take(line.trim_ascii_end(), &fields) {
                        Ok(()) => {}
                        // Whoever reads wants no more.
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                        Err(error) => return Err(format!("standard output cannot be written: {error}")),
                    }
                }
            }
        }
        Ok(())
    }

    fn is_meant(&self, fields: &Map<String, Value>) -> bool {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let is =
            |name: &str, wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| text(name) == Some(wanted));
        let time = text("time").and_then(|time| time.parse::<Timestamp>().ok());
        let event = text("event").unwrap_or_default();
        let is_event = match self.event.as_slice() {
            [] => event != "begin",
            events => events.iter().any(|wanted| wanted == event),
        };
        is_event
            && is("principal", &self.principal)
            && is("tenant", &self.tenant)
            && is("host", &self.host)
            && self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time.is_some_and(|time| time <= until))
    }
}

fn show(files: &[PathBuf], which: &Which, limit: usize) -> Result<ExitCode, String> {
    let mut last = VecDeque::new();
    which.each(files, |_, fields| {
        last.push_back(shown(fields));
        if last.len() > limit {
            last.pop_front();
        }
        Ok(())
    })?;
    print(&last.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// A line as a person reads it.
fn shown(fields: &Map<String, Value>) -> String {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let event = text("event");
    let what = match event {
        "omitted" => {
            let count = |name: &str| fields.get(name).and_then(Value::as_u64).unwrap_or_default();
            let [unsent, denied, unwritten] = ["unsent", "denied", "unwritten"].map(count);
            format!(
                "since {}: {unsent} not sent, {denied} denied, {unwritten} that could not be written",
                text("since")
            )
        }
        "checkpoint" => format!("of {}", text("of")),
        _ if fields.contains_key("path") => format!("{} {}", text("operation"), text("path")),
        _ => text("command").to_owned(),
    };
    // On one line, whatever is in it.
    let what = scout_machine::line(what.as_bytes(), SHOWN);
    let mut words = vec![text("time").get(..19).unwrap_or_else(|| text("time")).replace('T', " "), event.to_owned()];
    let who = [text("principal"), text("host")].map(visible);
    words.extend(who.into_iter().map(|word| word.into_owned()).filter(|word| !word.is_empty()));
    words.push(what);
    let how = if text("ending").is_empty() { text("why") } else { text("ending") };
    if !how.is_empty() {
        let took = fields.get("duration_ms").and_then(Value::as_u64);
        let took = took.map(|took| format!(", {took} ms")).unwrap_or_default();
        words.push(format!("[{}{took}]", scout_machine::line(how.as_bytes(), SHOWN)));
    }
    words.join("  ")
}

fn export(files: &[PathBuf], which: &Which, format: Format) -> Result<ExitCode, String> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Jsonl => which.each(files, |line, _| {
            stdout.write_all(line)?;
            stdout.write_all(b"\n")
        })?,
        Format::Csv => {
            let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut stdout);
            // Without lines there is a table, too.
            table.write_record(COLUMNS).map_err(|error| format!("standard output cannot be written: {error}"))?;
            which.each(files, |_, fields| {
                table.write_record(COLUMNS.map(|name| cell(fields.get(name)))).map_err(io::Error::from)
            })?;
        }
    }
    drop(stdout.flush());
    Ok(ExitCode::SUCCESS)
}

/// A cell that no spreadsheet takes for a formula: what hosts and clients have written is in it.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => return other.to_string(),
    };
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text }
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    super::key::life(text)
        .ok()
        .and_then(|ago| Timestamp::now().checked_sub(ago).ok())
        .ok_or_else(|| "neither a time such as 2026-12-01T12:00:00Z nor one ago such as 2h, 30m, 7d".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_a_line_is_one_line() {
        for (value, expected) in [
            (json!("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")"),
            (json!("@SUM"), "'@SUM"),
            (json!("ls -l"), "ls -l"),
            (json!(12), "12"),
            (json!(null), ""),
        ] {
            assert_eq!(cell(Some(&value)), expected);
        }
        let line = json!({"time": "2026-12-01T12:00:00.5Z", "event": "end", "principal": "alice", "host": "web1",
            "command": "echo a\nb\u{1b}[2J", "ending": "exited 0", "duration_ms": 7});
        let shown = shown(line.as_object().unwrap());
        assert_eq!(shown.lines().count(), 1);
        assert!(shown.starts_with("2026-12-01 12:00:00  end  alice  web1  echo a"), "{shown}");
        assert!(shown.ends_with("[exited 0, 7 ms]") && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn times_are_those_of_the_clock_or_ago() {
        assert_eq!(time("2026-12-01T12:00:00Z").unwrap().as_second(), 1_796_126_400);
        assert!(time("2h").unwrap() < Timestamp::now());
        assert!(time("yesterday").unwrap_err().contains("30m"));
    }
}
