//! A client, which chooses its request lines.

use scout_server::lines::{Line, Lines, MAX_DEPTH, MAX_LINE, MAX_NODES};
use scout_server::message::{Parsed, parse};

use crate::{Case, HEAP, MOST};

/// What a client writes at once, in bytes.
const PIECE: usize = 64 << 10;

/// A call with these arguments.
fn call(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"scout","arguments":{{"a":{arguments}}}}}}}"#
    )
}

/// The line that ends in the input.
fn line(input: &[u8]) -> Option<Line> {
    let mut lines = Lines::default();
    for piece in input.chunks(PIECE) {
        if let (_, Some(line)) = lines.read(piece) {
            return Some(line);
        }
    }
    lines.end()
}

#[test]
fn a_line_over_a_bound_is_refused_before_it_is_kept() {
    let case = Case::alone();
    for arguments in
        ["[".repeat(14 << 20), format!("[{}0]", "0,".repeat(7 << 20)), format!("[{}0]", "[],".repeat(5 << 20))]
    {
        let input = call(&arguments);
        let (peak, line) = case.peak(|| line(input.as_bytes()));
        assert!(matches!(line, Some(Line::Refused(_))));
        assert!(peak < 4 * PIECE, "{peak}");
    }
    let input = call(&format!("\"{}\"", "x".repeat(14 << 20)));
    let (peak, line) = case.peak(|| line(input.as_bytes()));
    assert!(matches!(line, Some(Line::Refused(_))));
    assert!(peak <= 4 * MAX_LINE, "{peak}");
}

#[test]
fn no_line_within_the_bounds_takes_much_to_parse_and_no_message_more_than_its_line_is_said_to() {
    let case = Case::alone();
    let many = |element: &str, nodes: usize| format!("[{}0]", format!("{element},").repeat(MAX_NODES / nodes - 10));
    let long = MAX_LINE - 1000;
    let (mut worst, mut shape) = (0, "");
    for (name, arguments) in [
        ("numbers", many("1", 1)),
        ("empty arrays", many("[]", 2)),
        ("empty objects", many("{}", 2)),
        ("arrays of one", many("[1]", 2)),
        ("objects of one field", many(r#"{"a":1}"#, 2)),
        ("objects in objects", many(r#"{"a":{"b":{"c":{"d":1}}}}"#, 5)),
        ("short strings", many("\"a\"", 1)),
        ("long names", many(&format!("{{\"{}\":1}}", "x".repeat(2 * long / MAX_NODES - 20)), 2)),
        ("nested", format!("{}{}", "[".repeat(MAX_DEPTH - 3), "]".repeat(MAX_DEPTH - 3))),
        ("one long string", format!("\"{}\"", "x".repeat(long))),
        ("one long string of escapes", format!("\"{}\"", "\\n".repeat(long / 2))),
        ("one long string with an escape", format!("\"{}\\n\"", "x".repeat(long))),
    ] {
        for input in [
            call(&arguments),
            // What is not known keeps all of it, what is no message is parsed again.
            call(&arguments).replace("tools/call", "tools/odd"),
            call(&arguments).replace("2.0", "1.0"),
            call(&arguments).replace("\"id\":1,", ""),
        ] {
            let (peak, (parsed, memory, kept)) = case.peak(|| {
                let before = HEAP.current_usage();
                let Some(Line::Whole { text, memory }) = line(input.as_bytes()) else { panic!("{name}: refused") };
                let parsed = parse(&text, true);
                drop(text);
                (parsed, memory, HEAP.current_usage() - before)
            });
            if matches!(parsed.as_slice(), [Parsed::Message(_)]) {
                assert!(kept <= memory, "{name}: {kept} bytes of {memory}");
            }
            if peak > worst {
                (worst, shape) = (peak, name);
            }
        }
    }
    assert!(worst < MOST / 2, "{shape}: {worst}");
    eprintln!("{shape}: {worst} bytes");
}
