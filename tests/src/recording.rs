//! A recording of `scout demo` as a picture: the lines that it printed, as SVG.
//!
//! The picture shows what one run printed, with its own times and ports. Two recordings are compared by what is the same in
//! every run ([`steady`]).

use std::fmt::Write as _;

/// Where the picture stands, seen from the repository.
pub const PICTURE: &str = "docs/demo.svg";
/// What a person has typed.
const PROMPT: &str = "$ scout demo";
/// Behind this the demo prints configurations for clients, with the program's own path.
const CLIENTS: &str = "To ask such a demo host";
/// Pixels: the width of a character at 14 of a monospace font, the height of a line, and what is left free round them.
const COLUMN: usize = 9;
const LINE: usize = 20;
const MARGIN: usize = 20;
/// The height of what stands above the lines: a window's bar.
const BAR: usize = 36;

const STYLE: &str = "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#d8dee9}\
.asked{fill:#88c0d0;font-weight:bold}.given{fill:#a3be8c}.took{fill:#9aa5bd}.refused{fill:#ebcb8b}";

/// The lines of a run of the demo that are shown, of all that it printed.
#[must_use]
pub fn recorded(printed: &str) -> Vec<String> {
    let lines = printed.lines().take_while(|line| !line.starts_with(CLIENTS));
    let mut lines: Vec<_> = std::iter::once(PROMPT).chain(lines).map(str::to_owned).collect();
    while lines.pop_if(|line| line.is_empty()).is_some() {}
    lines
}

/// The picture of these lines.
#[must_use]
pub fn picture(lines: &[String]) -> String {
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let (width, height) = (columns * COLUMN + 2 * MARGIN, lines.len() * LINE + BAR + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>A recording of scout demo</title>\n<style>{STYLE}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#2e3440\"/>\n"
    );
    for (at, color) in ["#bf616a", "#ebcb8b", "#a3be8c"].iter().enumerate() {
        let _ = writeln!(svg, "<circle cx=\"{}\" cy=\"18\" r=\"6\" fill=\"{color}\"/>", MARGIN + at * MARGIN);
    }
    for (at, line) in lines.iter().enumerate() {
        let (class, y) = (class(line), BAR + (at + 1) * LINE - LINE / 4);
        let _ = writeln!(svg, "<text{class} x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{}</text>", escaped(line));
    }
    svg.push_str("</svg>\n");
    svg
}

fn class(line: &str) -> &'static str {
    match line.trim_start() {
        text if text.starts_with('$') || text.starts_with("──") => " class=\"asked\"",
        text if text.starts_with("scout {") => " class=\"given\"",
        text if text.starts_with('(') && text.contains("refused") => " class=\"refused\"",
        text if text.starts_with('(') => " class=\"took\"",
        _ => "",
    }
}

/// In this order: what an escape begins with is escaped first and read last.
const ESCAPES: [(&str, &str); 3] = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")];

fn escaped(text: &str) -> String {
    ESCAPES.iter().fold(text.to_owned(), |text, (plain, escape)| text.replace(plain, escape))
}

/// The lines that a picture shows.
#[must_use]
pub fn shown(picture: &str) -> Vec<String> {
    let texts = picture.lines().filter_map(|line| line.strip_prefix("<text")?.strip_suffix("</text>")?.split_once('>'));
    let plain =
        |text: &str| ESCAPES.iter().rev().fold(text.to_owned(), |text, (plain, escape)| text.replace(escape, plain));
    texts.map(|(_, text)| plain(text)).collect()
}

/// A line without what differs from one run to another, or from one machine to another: times, ports, the temporary directory,
/// the round trips of a login, and of a listing permissions and sizes; and how columns are filled up because of them.
#[must_use]
pub fn steady(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_entry =
        words.iter().any(|word| word.len() == 10 && word.bytes().skip(1).all(|byte| b"rwxsStT-".contains(&byte)));
    let mut steady = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let (before, behind) = (at.checked_sub(1).and_then(|at| words.get(at)), words.get(at + 1));
        let is_number = word.trim_start_matches('(').bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        steady.push(if is_number && behind.is_some_and(|unit| unit.starts_with("ms")) {
            "TIME"
        } else if is_number && behind.is_some_and(|unit| unit.starts_with("round")) && !["0", "1"].contains(word) {
            "TRIPS"
        } else if before == Some(&"showing") {
            "DIRECTORY"
        } else if word.starts_with("127.0.0.1:") {
            "ADDRESS"
        } else if is_entry && at > 0 && behind.is_some() {
            "ATTRIBUTE"
        } else {
            word
        });
    }
    steady.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_shows_the_lines_that_it_was_made_of() {
        let lines = recorded("a <b> & \"c\"\n\n── d\n   (1 ms, 1 round trip)\n\nTo ask such a demo host\n/home/x\n");
        assert_eq!(lines, ["$ scout demo", "a <b> & \"c\"", "", "── d", "   (1 ms, 1 round trip)"]);
        assert_eq!(shown(&picture(&lines)), lines);
    }

    #[test]
    fn what_differs_between_runs_is_not_compared() {
        for (line, text) in [
            ("on 127.0.0.1:4, showing /tmp/x", "on ADDRESS showing DIRECTORY"),
            ("   (12 ms, 1 round trip)", "TIME ms, 1 round trip)"),
            ("   (12 ms, 12 round trips)", "TIME ms, TRIPS round trips)"),
            ("  │ drwxr-xr-x  4096  2026-11-30T00:00:00Z  etc/", "│ ATTRIBUTE ATTRIBUTE ATTRIBUTE etc/"),
            ("  │ demo  0.4 ms  7", "│ demo TIME ms 7"),
        ] {
            assert_eq!(steady(line), text);
        }
    }
}
