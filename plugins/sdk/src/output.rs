//! A command's output, read into the plugin: for plugins that take it apart.

use crate::exec::{Ending, Outcome, Pipeline, RemoteState, Stage, StderrTo, Word, run};
use crate::{Blob, Error, ErrorKind, text};

/// The most bytes of one stream that are read into a plugin: its memory is bounded, and the host's limit is the operator's to raise.
const MAX_STREAM: u64 = 4 << 20;

/// The most bytes of one `read` of a blob.
const MAX_READ: u32 = 1 << 20;

/// The exit status of a shell that finds no such program (POSIX, 2.8.2).
const NOT_FOUND: u32 = 127;

/// The most characters that are repeated of what a program complained about.
const MAX_COMPLAINT: usize = 300;

/// What a command that ended left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit status of the last stage. Absent if Scout stopped the command at the output limit.
    pub exit: Option<u32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error of all stages, as text.
    pub stderr: String,
    /// Whether standard output is only the beginning of what the command wrote.
    pub truncated: bool,
}

impl Output {
    /// Standard output without what follows its last line end, if it is only the beginning: a line that was cut may look whole.
    #[must_use]
    pub fn whole_lines(&self) -> &[u8] {
        let end = match self.stdout.iter().rposition(|byte| *byte == b'\n') {
            _ if !self.truncated => self.stdout.len(),
            Some(last) => last + 1,
            None => 0,
        };
        self.stdout.get(..end).unwrap_or_default()
    }

    /// Whether the host has no such program: what a shell then ends with, and nothing was told.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.exit == Some(NOT_FOUND) && self.stdout.is_empty()
    }

    /// Why `program` on this host told nothing that can be read: it is not installed, the account may not, or what it said itself.
    #[must_use]
    pub fn failure(&self, host: &str, program: &str) -> Error {
        if self.is_missing() {
            return Error::new(ErrorKind::Unsupported, format!("{host} has no program `{program}`"));
        }
        let said = text::clipped(&text::one_line(self.stderr.trim()), MAX_COMPLAINT);
        let is_denied = ["ermission denied", "not permitted", "ccess denied"].iter().any(|known| said.contains(known));
        let kind = if is_denied { ErrorKind::Permission } else { ErrorKind::Remote };
        let said = if said.is_empty() { "nothing that can be read" } else { &said };
        Error::new(kind, format!("`{program}` on {host} said: {said}"))
    }
}

/// Runs programs connected by pipes in the home directory, each given by its words, every word literal. Standard error of
/// all of them is kept apart.
///
/// # Errors
/// As `exec.run`, and a command that was stopped by the deadline or a signal, or whose status is not known.
pub fn output<W: AsRef<str>>(host: &str, stages: &[&[W]]) -> Result<Output, Error> {
    let stages = stages.iter().map(|words| Stage {
        words: words.iter().map(|word| Word::Literal(word.as_ref().to_owned())).collect(),
        stderr: StderrTo::Capture,
    });
    output_of(host, &Pipeline { stages: stages.collect(), directory: None })
}

/// As [`output`], of any pipeline.
///
/// # Errors
/// As [`output`].
pub fn output_of(host: &str, pipeline: &Pipeline) -> Result<Output, Error> {
    let names = pipeline.stages.iter().filter_map(|stage| match stage.words.first() {
        Some(Word::Literal(name)) => Some(name.as_str()),
        _ => None,
    });
    let shown = names.collect::<Vec<_>>().join(" | ");
    let outcome = run(host, pipeline)?;
    let (exit, stopped) = ended(host, &shown, &outcome)?;
    let (stdout, cut) = all(&outcome.stdout);
    let (stderr, _) = all(&outcome.stderr);
    Ok(Output { exit, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned(), truncated: cut || stopped })
}

/// The exit status, and whether the output limit ended the command.
fn ended(host: &str, shown: &str, outcome: &Outcome) -> Result<(Option<u32>, bool), Error> {
    let fail = |kind, what: String| Err(Error::new(kind, format!("`{shown}` on {host} {what}")));
    match &outcome.ending {
        Ending::Exited(status) => Ok((Some(*status), false)),
        Ending::OutputLimit(_) => Ok((None, true)),
        Ending::Signaled(signal) => fail(ErrorKind::Remote, format!("was ended by the signal {signal}")),
        Ending::TimedOut(state) => {
            let now = match state {
                RemoteState::Stopped => "it was stopped",
                RemoteState::Running => "it still runs there",
                RemoteState::Unknown => "whether it still runs there is unknown",
            };
            fail(ErrorKind::Timeout, format!("did not end in time; {now}"))
        }
        Ending::NoStatus => fail(ErrorKind::Unreachable, "lost its connection before its status came".to_owned()),
    }
}

/// The bytes of a blob as far as a plugin takes them, and whether there are more.
fn all(blob: &Blob) -> (Vec<u8>, bool) {
    (first_bytes(blob, MAX_STREAM), blob.truncated() || MAX_STREAM < blob.size())
}

/// The first bytes of a blob, at most so many, read into the plugin.
#[must_use]
pub fn first_bytes(blob: &Blob, most: u64) -> Vec<u8> {
    let wanted = blob.size().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
    while (bytes.len() as u64) < wanted {
        let left = u32::try_from(wanted - bytes.len() as u64).unwrap_or(MAX_READ).min(MAX_READ);
        let piece = blob.read(bytes.len() as u64, left);
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::Output;
    use crate::ErrorKind;

    #[test]
    fn not_installed_and_not_permitted_are_two_answers() {
        let output = |exit: u32, stdout: &str, stderr: &str| Output {
            exit: Some(exit),
            stdout: stdout.as_bytes().to_vec(),
            stderr: stderr.to_owned(),
            truncated: false,
        };
        for (output, kind, message) in [
            (output(127, "", "sh: 1: ss: not found\n"), ErrorKind::Unsupported, "box has no program `ss`"),
            (
                output(1, "", "Cannot open netlink socket: Permission denied\n"),
                ErrorKind::Permission,
                "`ss` on box said: Cannot open netlink socket: Permission denied",
            ),
            (output(1, "", "a\nb"), ErrorKind::Remote, "`ss` on box said: a\\nb"),
            (output(0, "?", ""), ErrorKind::Remote, "`ss` on box said: nothing that can be read"),
        ] {
            let error = output.failure("box", "ss");
            assert_eq!((error.kind, error.message.as_str()), (kind, message));
        }
        assert!(output(1, "", &"x".repeat(1 << 20)).failure("box", "ss").message.len() < 400);
    }
}
