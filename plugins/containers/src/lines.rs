//! Lines of a container's log: what docker and podman print of it with `--timestamps`. Pure.

use scout_plugin::exec::Output;
use scout_plugin::rows::{Cell, Row};
use scout_plugin::text;

use crate::moment::Moment;

/// The most bytes of one message in an answer.
const MAX_MESSAGE: usize = 4096;

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Absent where the engine did not begin it: podman 4.3 joins lines whose end is missing.
    pub(crate) time: Option<Moment>,
    pub(crate) is_error: bool,
    pub(crate) message: String,
}

/// The lines of both streams in their order, the oldest first. What a container writes to one is printed to the same.
pub(crate) fn merged(output: &Output) -> Vec<Line> {
    let out = stream(&String::from_utf8_lossy(&output.stdout), false);
    let err = stream(&output.stderr, true);
    // Each is in its order already; of two at the same time the one of standard output stands first.
    let mut all = Vec::with_capacity(out.len() + err.len());
    let (mut out, mut err) = (out.into_iter().peekable(), err.into_iter().peekable());
    while let (Some(one), Some(other)) = (out.peek(), err.peek()) {
        // What has no time goes on with the line before it.
        let is_next = one.time.is_none() || other.time.is_some() && one.time <= other.time;
        all.extend(if is_next { out.next() } else { err.next() });
    }
    all.extend(out);
    all.extend(err);
    all
}

fn stream(text: &str, is_error: bool) -> Vec<Line> {
    let lines = text.lines().filter_map(|line| {
        let timed = line.split_once(' ').and_then(|(time, message)| Some((Moment::parse(time)?, message)));
        // A time alone is an empty line.
        let timed = timed.or_else(|| Some((Moment::parse(line)?, "")));
        match timed {
            Some((time, message)) => Some(Line { time: Some(time), is_error, message: message.to_owned() }),
            // What podman says for itself.
            None if is_error && line.starts_with("time=\"") && line.contains(" level=") => None,
            None => Some(Line { time: None, is_error, message: line.to_owned() }),
        }
    });
    lines.collect()
}

impl Line {
    /// The line in the columns of [`crate::schema::shape`].
    pub(crate) fn row(&self) -> Row {
        let stream = if self.is_error { "stderr" } else { "stdout" };
        vec![
            Cell::text(self.time.and_then(Moment::precise).as_deref()),
            Cell::text(stream),
            Cell::text(self.message.as_str()),
        ]
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        let time = self.time.and_then(Moment::precise);
        let mark = if self.is_error { " (stderr)" } else { "" };
        format!("{}{mark} {}", time.as_deref().unwrap_or("-"), text::one_line(&self.message))
    }

    /// Leaves the beginning of a long message. Whether it was one.
    pub(crate) fn cut(&mut self) -> bool {
        let is_long = self.message.len() > MAX_MESSAGE;
        if is_long {
            let end = (0..=MAX_MESSAGE).rev().find(|end| self.message.is_char_boundary(*end)).unwrap_or(0);
            self.message.truncate(end);
            self.message.push('…');
        }
        is_long
    }
}

#[cfg(test)]
mod tests {
    use super::merged;
    use scout_plugin::exec::Output;

    fn output(stdout: &str, stderr: &str) -> Output {
        Output { exit: Some(0), stdout: stdout.as_bytes().to_vec(), stderr: stderr.to_owned(), truncated: false }
    }

    #[test]
    fn both_streams_stand_in_the_order_of_time() {
        let lines = merged(&output(
            "2026-12-01T00:00:01.5Z one\n2026-12-01T00:00:03Z \n2026-12-01T00:00:03Z",
            "time=\"2026-12-01T00:00:00Z\" level=warning msg=\"cgroups\"\n2026-12-01T00:00:01.10Z zero\n2026-12-01T00:00:02Z two\n",
        ));
        let told: Vec<_> = lines.iter().map(|line| (line.is_error, line.message.as_str())).collect();
        assert_eq!(told, [(true, "zero"), (false, "one"), (true, "two"), (false, ""), (false, "")]);
    }

    #[test]
    fn lines_that_were_made_to_mislead_stay_lines() {
        let lines = merged(&output(
            "2026-12-01T00:00:01Z \u{1b}[2J\rx\nno time here\n2026-99-01T00:00:01Z y\n",
            "time=\"x\" level=\n",
        ));
        assert_eq!(lines.len(), 3);
        assert_eq!(lines.first().map(|line| line.message.as_str()), Some("\u{1b}[2J\rx"));
        assert!(lines.iter().skip(1).all(|line| line.time.is_none()));
        assert!(lines.first().is_some_and(|line| line.text() == "2026-12-01T00:00:01Z \u{1b}[2J\\rx"));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let mut lines = merged(&output(&format!("2026-12-01T00:00:01Z {}\n", "ü".repeat(1 << 20)), ""));
        let line = lines.first_mut().expect("a line");
        assert!(line.cut() && line.message.len() <= super::MAX_MESSAGE + 3 && line.message.ends_with("ü…"));
        assert!(line.message.len() > super::MAX_MESSAGE - 3);
    }
}
