//! A client's input, cut into lines and held to bounds while it is read.
//!
//! Owns the framing: bytes go in, lines come out. What is over a bound is not kept: of such a line only its envelope is
//! looked at, until it ends. Knows neither streams nor what a line means (`message`).

use memchr::memchr;
use scout_runtime::json::Weight;

use crate::message::{Envelope, Refusal};

/// The longest line, in bytes. Arguments of a call are far shorter.
pub const MAX_LINE: usize = 4 << 20;
/// The most values in one line: objects, arrays and what is in them.
pub const MAX_NODES: usize = 20_000;
/// How deep arrays and objects may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// What has been read of a line.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    weight: Weight,
    /// Why the line is not kept, and what is told of it all the same.
    over: Option<(Bound, Envelope)>,
}

/// A line that has ended.
#[derive(Debug)]
pub enum Line {
    /// It is within the bounds.
    Whole {
        /// Without its end.
        text: Vec<u8>,
        /// Bytes that it takes with what it is parsed to, at most.
        memory: usize,
    },
    /// It was over a bound.
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Bytes,
    Nodes,
    Depth,
}

impl Lines {
    /// Goes on with the next piece of input. Gives how much of it was read, and the line that ended there. Lines without
    /// anything in them are passed over.
    pub fn read(&mut self, piece: &[u8]) -> (usize, Option<Line>) {
        let end = memchr(b'\n', piece);
        self.take(piece.get(..end.unwrap_or(piece.len())).unwrap_or_default());
        match end {
            Some(at) => (at + 1, self.end()),
            None => (piece.len(), None),
        }
    }

    /// Goes on with the next piece of an input that is one message, however many lines it is written in.
    pub(crate) fn whole(&mut self, piece: &[u8]) {
        self.take(piece);
    }

    /// Ends the line where the input ends: the last one needs no newline.
    pub fn end(&mut self) -> Option<Line> {
        let Self { line, weight, over } = std::mem::take(self);
        if let Some((bound, envelope)) = over {
            return Some(Line::Refused(envelope.refuse(bound.message())));
        }
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        let memory = line.len().saturating_add(weight.memory());
        (!is_blank).then_some(Line::Whole { text: line, memory })
    }

    fn take(&mut self, piece: &[u8]) {
        if let Some((_, envelope)) = &mut self.over {
            return envelope.read(piece);
        }
        let Some(bound) = self.weigh(piece) else { return self.line.extend_from_slice(piece) };
        let mut envelope = Envelope::default();
        envelope.read(&std::mem::take(&mut self.line));
        envelope.read(piece);
        self.over = Some((bound, envelope));
    }

    /// Which bound a line is over with this piece.
    fn weigh(&mut self, piece: &[u8]) -> Option<Bound> {
        if self.line.len() + piece.len() > MAX_LINE {
            return Some(Bound::Bytes);
        }
        self.weight.read(piece);
        let nodes = (self.weight.nodes() > MAX_NODES).then_some(Bound::Nodes);
        nodes.or((self.weight.depth() > MAX_DEPTH).then_some(Bound::Depth))
    }
}

impl Bound {
    fn message(self) -> String {
        match self {
            Self::Bytes => format!("the line is longer than {} MiB", MAX_LINE >> 20),
            Self::Nodes => format!("the line has more than {MAX_NODES} values"),
            Self::Depth => format!("the line is nested deeper than {MAX_DEPTH}"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// All lines of an input that comes in pieces of `size` bytes: the text, or what is answered.
    fn lines(input: &[u8], size: usize) -> Vec<Value> {
        let (mut reader, mut found) = (Lines::default(), Vec::new());
        let mut take = |line: Option<Line>| {
            found.extend(line.map(|line| match line {
                Line::Whole { text, memory } => {
                    assert!(memory > text.len());
                    json!(String::from_utf8(text).unwrap())
                }
                Line::Refused(refusal) => serde_json::to_value(refusal).unwrap(),
            }));
        };
        for mut piece in input.chunks(size) {
            while !piece.is_empty() {
                let (read, line) = reader.read(piece);
                piece = piece.get(read..).unwrap();
                take(line);
            }
        }
        take(reader.end());
        found
    }

    #[test]
    fn lines_end_with_newlines_and_the_last_one_with_the_input() {
        let input = b"{\"a\": 1}\r\n\n \t\r\nnot JSON\n{}";
        for size in [1, 2, 3, 1000] {
            assert_eq!(lines(input, size), [json!("{\"a\": 1}\r"), json!("not JSON"), json!("{}")], "{size}");
        }
    }

    #[test]
    fn a_line_over_a_bound_is_refused_with_its_id_and_the_next_one_is_read() {
        let call = |arguments: &str| {
            format!(
                r#"{{"method": "tools/call", "params": {{"arguments": {arguments}}}, "jsonrpc": "2.0", "id": "a\"7"}}"#
            )
        };
        for (over, says) in [
            (call(&format!("\"{}\"", "x".repeat(MAX_LINE))), "longer than 4 MiB"),
            (call(&format!("[{}0]", "0,".repeat(MAX_NODES))), "more than 20000 values"),
            (call(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))), "deeper than 64"),
        ] {
            for size in [1000, 64 << 10, usize::MAX] {
                let [refused, next] = lines(format!("{over}\n{{}}\n").as_bytes(), size).try_into().unwrap();
                assert_eq!(next, json!("{}"));
                assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("a\"7"), &json!(-32600)));
                assert!(refused["error"]["message"].as_str().unwrap().contains(says), "{refused}");
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_a_line_that_is_over_a_bound() {
        let mut reader = Lines::default();
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..1000 {
            assert!(reader.read(&piece).1.is_none());
            assert!(reader.line.capacity() <= 2 * MAX_LINE);
        }
        assert_eq!(reader.line.capacity(), 0);
    }

    #[test]
    fn what_is_within_the_bounds_is_kept_as_it_is() {
        let deepest = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let longest = format!("\"{}\"", "x".repeat(MAX_LINE - 2));
        let most = format!("[{}0]", "0,".repeat(MAX_NODES - 2));
        for line in [deepest, longest, most] {
            assert_eq!(lines(line.as_bytes(), 64 << 10), [json!(line)]);
        }
    }
}
