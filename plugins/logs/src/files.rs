//! Takes apart what `tail` or `grep` said of several files and the clock behind them. Pure.

use scout_plugin::exec::Output;
use scout_plugin::text;

use crate::entry::Entry;
use crate::query::{CLOCK, Query, SCANNED_BYTES};
use crate::time::Clock;

/// Lines of files, and the host's clock.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail<'a> {
    pub(crate) clock: Option<Clock>,
    /// Whether bytes were left out in front.
    pub(crate) cut: bool,
    sections: Vec<(String, Vec<&'a [u8]>)>,
}

/// Lines without their ends. The last may be cut.
pub(crate) fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = output.strip_suffix(b"\n").unwrap_or(output);
    whole.split(|byte| *byte == b'\n').filter(move |_| !output.is_empty())
}

/// The clock in what `date` printed, a whole line.
pub(crate) fn clock(line: &[u8]) -> Option<Clock> {
    let line = line.strip_suffix(b"\n")?.strip_prefix(CLOCK.as_bytes())?;
    // Of a zone's file without a rule the last line may be anything.
    Clock::parse(&String::from_utf8_lossy(line))
}

/// The lines of a compressed file, and behind them the host's clock, as `tail` would tell both.
pub(crate) fn with_clock(lines: Output, clock: Output) -> Output {
    const HEADING: &[u8] = b"\n==> standard input <==\n";
    Output {
        stdout: [lines.stdout.as_slice(), HEADING, clock.stdout.as_slice()].concat(),
        stderr: lines.stderr + &clock.stderr,
        ..lines
    }
}

impl<'a> Tail<'a> {
    /// What the command of `Query::tail` printed. The clock is its last line: a file that holds such a line as well sets no clock.
    pub(crate) fn parse(query: &Query, output: &'a [u8]) -> Self {
        let mut tail = Self { cut: output.len() >= SCANNED_BYTES, ..Self::default() };
        let mut found: Vec<&[u8]> = lines(output).collect();
        if tail.cut && !found.is_empty() {
            // The first line is not whole.
            found.remove(0);
        }
        // With its line end: half a zone is another zone.
        let whole = output.strip_suffix(b"\n").unwrap_or_default();
        let last =
            output.get(whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)..).unwrap_or_default();
        tail.clock = clock(last.strip_prefix(b"(standard input):").unwrap_or(last));
        if tail.clock.is_some() {
            found.pop();
        }
        if query.grep.is_some() && query.unpacker().is_none() {
            tail.prefixed(&query.files(), &found);
        } else {
            if tail.clock.is_some() {
                // Its heading: GNU's tail calls it `standard input`, busybox's `-`.
                found.pop();
            }
            tail.headed(&query.files(), &found);
        }
        tail
    }

    /// `tail` writes `==> NAME <==` before each file, and an empty line before each but the first.
    fn headed(&mut self, files: &[String], found: &[&'a [u8]]) {
        // What was cut began in the first of them.
        let (mut at, mut section) = (0, Vec::new());
        for line in found {
            let name = line.strip_prefix(b"==> ").and_then(|line| line.strip_suffix(b" <=="));
            // Files come in their order; a line that looks like the heading of an earlier one is a line.
            let next = name.and_then(|name| files.iter().position(|file| file.as_bytes() == name));
            match next {
                Some(next) if next > at || section.is_empty() => {
                    self.close(files, at, std::mem::take(&mut section));
                    at = next;
                }
                _ => section.push(*line),
            }
        }
        self.close(files, at, section);
    }

    fn close(&mut self, files: &[String], at: usize, mut section: Vec<&'a [u8]>) {
        if section.last().is_some_and(|last| last.is_empty()) {
            section.pop();
        }
        if let (Some(file), false) = (files.get(at), section.is_empty()) {
            self.sections.push((file.clone(), section));
        }
    }

    /// `grep -H` writes the name of its file before each line.
    fn prefixed(&mut self, files: &[String], found: &[&'a [u8]]) {
        for line in found {
            let rest = |file: &String| line.strip_prefix(file.as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
            let Some((file, rest)) = files.iter().find_map(|file| Some((file, rest(file)?))) else { continue };
            // The pattern that finds the clock was not asked for.
            if rest.starts_with(CLOCK.as_bytes()) {
                continue;
            }
            match self.sections.last_mut() {
                Some((last, lines)) if last == file => lines.push(rest),
                _ => self.sections.push((file.clone(), vec![rest])),
            }
        }
    }

    /// The file that counts and its lines: the last that has any.
    pub(crate) fn preferred(&mut self) -> Option<(String, Vec<&'a [u8]>)> {
        self.sections.pop()
    }
}

/// Leaves what was asked for and no command could choose.
pub(crate) fn keep_wanted(query: &Query, clock: &Clock, entries: &mut Vec<Entry>, notes: &mut Vec<String>) {
    let (since, until) = (query.since.map(|time| clock.resolve(time)), query.until.map(|time| clock.resolve(time)));
    let program = query.program();
    let (mut timeless, mut unranked) = (0, 0);
    entries.retain(|entry| {
        let in_time = match entry.time {
            Some(time) => since.is_none_or(|since| time >= since) && until.is_none_or(|until| time <= until),
            None => {
                let asked = since.is_some() || until.is_some();
                timeless += u64::from(asked);
                !asked
            }
        };
        let of_program = program.is_none_or(|program| entry.program.as_deref() == Some(program));
        let urgent = query.priority.is_none_or(|least| entry.priority.is_none_or(|priority| priority <= least));
        let wanted = in_time && of_program && urgent;
        unranked += u64::from(wanted && query.priority.is_some() && entry.priority.is_none());
        wanted
    });
    if timeless > 0 {
        notes.push(format!("{} without a time left out", text::count(timeless, "line", "lines")));
    }
    if unranked > 0 {
        notes.push(format!(
            "the priority of {} is not known: most files do not tell it",
            text::count(unranked, "entry", "entries")
        ));
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
