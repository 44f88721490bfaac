//! Entries out of lines of log files: RFC 3164, RFC 5424, ISO times, what busybox writes, and `journalctl -o short-iso`. Pure.
//!
//! A line that begins with no time goes on with the entry in front of it: a program's trace of several lines.

use crate::entry::{Entry, PRIORITIES};
use crate::time::{self, Clock};

/// The most bytes of an entry of several lines.
const MAX_ENTRY: usize = 64 * 1024;

/// Words of priorities in other programs' own logs, which stand where a host's name would.
const LEVELS: [&str; 12] =
    ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "ERR", "CRITICAL", "FATAL", "PANIC", "ALERT"];

/// Entries of these lines, in their order. Any bytes make some.
pub(crate) fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>, clock: &Clock) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(entry) = entry(line, clock) {
            entries.push(entry);
        } else if let Some(last) = entries.last_mut() {
            if last.message.len() + line.len() < MAX_ENTRY {
                last.message.push(b'\n');
                last.message.extend_from_slice(line);
            }
        } else if !line.is_empty() {
            entries.push(Entry { message: line.to_vec(), ..Entry::default() });
        }
    }
    entries
}

/// The entry that a line begins, if it begins with a time.
fn entry(line: &[u8], clock: &Clock) -> Option<Entry> {
    /// More than a priority, a time, a host and a program take.
    const HEAD: usize = 1024;
    // Only the head must be text: the message may be anything.
    let head = line.get(..HEAD.min(line.len())).unwrap_or_default();
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
    };
    let (priority, rest) = pri(text);
    let mut entry = Entry { priority, ..Entry::default() };
    let rest = if let Some(version) = rest.strip_prefix("1 ").filter(|_| priority.is_some()) {
        rfc5424(version, clock, &mut entry)?
    } else if let Some((instant, rest)) = time::rfc3164(rest, clock) {
        entry.time = Some(instant);
        tagged(rest, &mut entry)
    } else {
        let (written, rest) = time::iso(rest)?;
        entry.time = Some(clock.resolve(written));
        // Times without a zone are of programs' own logs: what follows is theirs.
        if matches!(written, time::Written::Instant(_)) { tagged(rest, &mut entry) } else { rest.trim_start() }
    };
    entry.message = line.get(text.len() - rest.len()..).unwrap_or_default().to_vec();
    Some(entry)
}

/// `<34>`: facility and priority in one number.
fn pri(text: &str) -> (Option<u8>, &str) {
    let number = text.strip_prefix('<').and_then(|text| text.split_once('>'));
    match number.and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest))) {
        Some((number, rest)) => (Some(number % 8), rest),
        None => (None, text),
    }
}

/// Behind version 1: TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG; `-` for what is not told.
fn rfc5424<'a>(text: &'a str, clock: &Clock, entry: &mut Entry) -> Option<&'a str> {
    let rest = match text.strip_prefix("- ") {
        Some(rest) => rest,
        None => {
            let (written, rest) = time::iso(text)?;
            entry.time = Some(clock.resolve(written));
            rest.strip_prefix(' ')?
        }
    };
    let told = |word: &str| (word != "-").then(|| word.to_owned());
    let (host, rest) = rest.split_once(' ')?;
    let (program, rest) = rest.split_once(' ')?;
    let (pid, rest) = rest.split_once(' ')?;
    let (_message_id, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    (entry.host, entry.program, entry.pid) = (told(host), told(program), pid.parse().ok());
    let rest = structured_data(rest).trim_start_matches(' ');
    Some(rest.strip_prefix('\u{feff}').unwrap_or(rest))
}

/// What follows the structured data: elements in brackets, with values in quotes.
fn structured_data(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('-') {
        return rest.strip_prefix(' ').unwrap_or(rest);
    }
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' => inside = true,
            ']' => inside = false,
            ' ' if !inside => return text.get(at + 1..).unwrap_or_default(),
            _ if !inside => return text,
            _ => {}
        }
    }
    text
}

/// Behind the time: `HOST TAG[PID]: MESSAGE`. busybox writes `FACILITY.PRIORITY` between host and tag. Gives what of it is the message.
fn tagged<'a>(text: &'a str, entry: &mut Entry) -> &'a str {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let Some((host, mut rest)) = text.split_once(' ') else { return text };
    // `--- last message repeated 3 times ---` has neither, and a program's own log has its level here.
    if host.ends_with(':') || !host.contains(|c: char| c.is_ascii_alphanumeric()) || LEVELS.contains(&host) {
        return text;
    }
    entry.host = Some(host.to_owned());
    if let Some((word, after)) = rest.split_once(' ')
        && let Some((facility, priority)) = word.split_once('.')
        && facility.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && let Some(priority) = priority_of(priority)
    {
        entry.priority = Some(priority);
        rest = after;
    }
    // A tag has no blanks but in brackets of its own, as `rsyslogd` and `systemd[1]` and `postfix/smtpd[7]`.
    let colon = rest.as_bytes().windows(2).position(|two| two == b": ");
    let colon = colon.or_else(|| rest.ends_with(':').then_some(rest.len().saturating_sub(1)));
    let (Some(tag), Some(message)) = (colon.and_then(|at| rest.get(..at)), colon.and_then(|at| rest.get(at + 1..)))
    else {
        return rest;
    };
    let message = message.strip_prefix(' ').unwrap_or(message);
    if tag.is_empty() || tag.contains([' ', '\t']) {
        return rest;
    }
    match tag.strip_suffix(']').and_then(|tag| tag.rsplit_once('[')) {
        Some((program, pid)) if pid.parse::<u64>().is_ok() => {
            (entry.program, entry.pid) = (Some(program.to_owned()), pid.parse().ok());
        }
        _ => entry.program = Some(tag.to_owned()),
    }
    message
}

/// The number of a priority by its name, as busybox and others write it.
fn priority_of(name: &str) -> Option<u8> {
    let name = match name {
        "warn" => "warning",
        "error" => "err",
        "panic" => "emerg",
        name => name,
    };
    PRIORITIES.iter().position(|known| *known == name).and_then(|at| at.try_into().ok())
}

#[cfg(test)]
#[path = "syslog_tests.rs"]
mod tests;
