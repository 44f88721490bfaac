//! A command's output, read into the plugin: for plugins that take it apart.

use crate::exec::{Ending, Outcome, Pipeline, RemoteState, Stage, StderrTo, Word, run};
use crate::{Blob, Error, ErrorKind};

/// The most bytes of one stream that are read into a plugin: its memory is bounded, and the host's limit is the operator's to raise.
const MAX_STREAM: u64 = 4 << 20;

/// The most bytes of one `read` of a blob.
const MAX_READ: u32 = 1 << 20;

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
    let size = blob.size();
    let wanted = size.min(MAX_STREAM);
    let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
    while (bytes.len() as u64) < wanted {
        let left = u32::try_from(wanted - bytes.len() as u64).unwrap_or(MAX_READ).min(MAX_READ);
        let piece = blob.read(bytes.len() as u64, left);
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    (bytes, blob.truncated() || wanted < size)
}
