//! What clients send.

use scout_server::lines::{Line, Lines};
use scout_server::message::{self, Parsed};

/// Lines of a client, in one piece and in small ones: where the input is cut makes no difference.
pub(crate) fn request(bytes: &[u8]) {
    assert_eq!(read(bytes, bytes.len().max(1)), read(bytes, 7));
}

fn read(bytes: &[u8], size: usize) -> Vec<String> {
    let (mut lines, mut said) = (Lines::default(), Vec::new());
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            let (taken, line) = lines.read(piece);
            piece = piece.get(taken..).expect("no more than the piece is taken");
            said.extend(line.map(say));
        }
    }
    said.extend(lines.end().map(say));
    said
}

fn say(line: Line) -> String {
    let told = |refusal| serde_json::to_string(&refusal).expect("an answer can be written");
    let say = |parsed| match parsed {
        Parsed::Message(message) => format!("{message:?}"),
        Parsed::Ignored => String::new(),
        Parsed::Refused(refusal) => told(refusal),
    };
    match line {
        Line::Whole { text, .. } => {
            [false, true].into_iter().flat_map(|batches| message::parse(&text, batches)).map(say).collect()
        }
        // Which of two bounds it is over first is a matter of the cut.
        Line::Refused(refusal) => {
            told(refusal);
            "over a bound".to_owned()
        }
    }
}
