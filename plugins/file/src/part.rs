//! A part of a file: from a byte on, so many lines, the last ones, or those that hold a text. What is asked for is read, never all of
//! a large file.

use scout_plugin::files;
use scout_plugin::json::Object;
use scout_plugin::{Answer, Arguments, Blob, Error, ErrorKind, FileKind, text};

/// Bytes of one read. Scout gives no more than its own limit for a file.
const BLOCK: u64 = 1 << 20;
/// Bytes that are read first where the last lines are asked for.
const END: u64 = 64 << 10;
/// Bytes that are searched at once.
const SEARCHED: u64 = 32 << 20;
/// Lines that are found, where no number is asked for.
const FOUND: u64 = 200;
/// Bytes of what is answered.
const ANSWERED: usize = 1 << 20;

/// A file's bytes, of which only some are read.
trait Bytes {
    /// So many bytes from this one on, fewer at the end; and how many the file holds, if that is known.
    fn read(&self, offset: u64, length: u64) -> Result<(Vec<u8>, Option<u64>), Error>;

    /// How many bytes the file holds.
    fn size(&self) -> Result<u64, Error>;
}

struct OnHost<'a> {
    host: &'a str,
    path: &'a [u8],
}

impl Bytes for OnHost<'_> {
    fn read(&self, offset: u64, length: u64) -> Result<(Vec<u8>, Option<u64>), Error> {
        let blob = files::read(self.host, self.path, offset, length)?;
        Ok((all(&blob), blob.total()))
    }

    fn size(&self) -> Result<u64, Error> {
        let attributes = files::stat(self.host, self.path)?;
        match attributes.kind {
            FileKind::File => Ok(attributes.size.unwrap_or(0)),
            _ => {
                let path = String::from_utf8_lossy(self.path);
                Err(Error::new(
                    ErrorKind::Invalid,
                    format!("`{path}` is not a regular file, of which a part could be read"),
                ))
            }
        }
    }
}

fn all(blob: &Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < blob.size() {
        let piece = blob.read(bytes.len() as u64, 1 << 20);
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// What was read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    content: Vec<u8>,
    /// Where it begins; of lines that were found: where the search began.
    offset: u64,
    /// Where what follows begins, if something does.
    next: Option<u64>,
    size: Option<u64>,
    /// How many lines it has, where lines were asked for.
    lines: Option<u64>,
    note: Option<String>,
}

/// The part of a file that the arguments ask for.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn answer(host: &str, path: &[u8], arguments: &Arguments) -> Result<Answer, Error> {
    let part = read(&OnHost { host, path }, arguments)?;
    Ok(part.answer(host, path))
}

fn read(file: &impl Bytes, arguments: &Arguments) -> Result<Part, Error> {
    let (offset, lines) = (arguments.number("offset").unwrap_or(0), arguments.number("lines"));
    match (arguments.number("tail"), arguments.text("grep"), lines) {
        (Some(lines), ..) => tail(file, lines),
        (None, Some(wanted), most) => grep(file, wanted.as_bytes(), offset, most.unwrap_or(FOUND)),
        (None, None, Some(lines)) => head(file, offset, lines),
        (None, None, None) => {
            let (content, size) = file.read(offset, BLOCK)?;
            let end = offset + content.len() as u64;
            let next = size.is_none_or(|size| end < size).then_some(end).filter(|_| !content.is_empty());
            Ok(Part { content, offset, next, size, ..Part::default() })
        }
    }
}

/// So many lines from a byte on.
fn head(file: &impl Bytes, offset: u64, lines: u64) -> Result<Part, Error> {
    let (mut content, size) = file.read(offset, BLOCK)?;
    let is_end = content.is_empty() || size.is_some_and(|size| offset + content.len() as u64 >= size);
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    let ends: Vec<usize> =
        content.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).take(wanted).collect();
    // Where the block ends within a line, that line is left to what follows, unless it is all that there is.
    let end = match ends.last() {
        Some(end) if ends.len() == wanted || !is_end => *end,
        _ => content.len(),
    };
    let has = ends.len() as u64
        + u64::from(content.get(..end).is_some_and(|text| !text.is_empty() && !text.ends_with(b"\n")));
    let next = (end < content.len() || !is_end).then_some(offset + end as u64);
    content.truncate(end);
    let note = (has < lines && next.is_some()).then(|| "no more is read at once".to_owned());
    Ok(Part { content, offset, next, size, lines: Some(has), note })
}

/// The last lines.
fn tail(file: &impl Bytes, lines: u64) -> Result<Part, Error> {
    let size = file.size()?;
    let mut length = END.min(size);
    loop {
        let from = size - length;
        // What was written meanwhile is read as well. A file of /proc tells no size and is read from its beginning.
        let (content, _) = file.read(from, if size == 0 { BLOCK } else { length.max(1) })?;
        let start = start_of_last(&content, lines);
        if (start > 0 || from == 0) || length >= BLOCK {
            // The first line of a part may have begun before it.
            let start = if start == 0 && from > 0 { whole(&content) } else { start };
            let content = content.get(start..).unwrap_or_default().to_vec();
            let has = count(&content);
            let is_all = has >= lines || from + (start as u64) == 0;
            let note = (!is_all).then(|| {
                format!("the last {} that end in the last {} bytes", text::count(has, "line", "lines"), BLOCK)
            });
            return Ok(Part {
                content,
                offset: from + start as u64,
                next: None,
                size: Some(size),
                lines: Some(has),
                note,
            });
        }
        length = (length * 4).min(BLOCK).min(size);
    }
}

/// Where the last lines begin, so many of them.
fn start_of_last(content: &[u8], lines: u64) -> usize {
    let end = content.len() - usize::from(content.ends_with(b"\n"));
    let before = content.get(..end).unwrap_or_default();
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    before.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').nth(wanted - 1).map_or(0, |(at, _)| at + 1)
}

/// Where the first line begins of which the beginning is there.
fn whole(content: &[u8]) -> usize {
    content.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

fn count(content: &[u8]) -> u64 {
    let ends = content.iter().filter(|byte| **byte == b'\n').count() as u64;
    ends + u64::from(!content.is_empty() && !content.ends_with(b"\n"))
}

/// The lines that hold a text, from a byte on, each with the number of its first byte before it.
fn grep(file: &impl Bytes, wanted: &[u8], offset: u64, most: u64) -> Result<Part, Error> {
    let mut part = Part { offset, ..Part::default() };
    let (mut at, mut found, mut rest) = (offset, 0, Vec::new());
    loop {
        let (block, size) = file.read(at, BLOCK)?;
        part.size = size;
        let is_end = block.is_empty() || size.is_some_and(|size| at + block.len() as u64 >= size);
        // Where in the file what is searched now begins.
        let begins = at - rest.len() as u64;
        at += block.len() as u64;
        rest.extend_from_slice(&block);
        let end = match rest.iter().rposition(|byte| *byte == b'\n') {
            Some(last) if !is_end => last + 1,
            // A line without an end is searched as far as it was read.
            _ if is_end || rest.len() as u64 >= BLOCK => rest.len(),
            _ => 0,
        };
        let searched: Vec<u8> = rest.drain(..end).collect();
        let mut line_at = begins;
        for line in searched.split_inclusive(|byte| *byte == b'\n') {
            let is_full = found == most || part.content.len() + line.len() > ANSWERED;
            if holds(line, wanted) {
                if is_full {
                    part.next = Some(line_at);
                    part.lines = Some(found);
                    return Ok(part);
                }
                found += 1;
                part.content.extend_from_slice(format!("{line_at}: ").as_bytes());
                part.content.extend_from_slice(line);
                if !line.ends_with(b"\n") {
                    part.content.push(b'\n');
                }
            }
            line_at += line.len() as u64;
        }
        part.lines = Some(found);
        if is_end {
            return Ok(part);
        }
        if at - offset >= SEARCHED {
            part.next = Some(line_at);
            part.note = Some(format!("{} bytes were searched", at - offset));
            return Ok(part);
        }
    }
}

/// Whether a line holds a text: its first byte is looked for, which is quick.
fn holds(line: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return true };
    let mut from = 0;
    while let Some(at) = line.get(from..).and_then(|rest| rest.iter().position(|byte| byte == first)) {
        if line.get(from + at..).is_some_and(|rest| rest.starts_with(wanted)) {
            return true;
        }
        from += at + 1;
    }
    false
}

impl Part {
    fn answer(self, host: &str, path: &[u8]) -> Answer {
        let is_text = !self.content.contains(&0);
        let content = String::from_utf8_lossy(&self.content);
        let (path, path_base64) = text::name(path);
        let mut object = Object::new().text("host", host).text("path", path.as_str());
        if let Some(bytes) = &path_base64 {
            object = object.text("path_base64", bytes.as_str());
        }
        let says = self.says();
        let object = object
            .text("kind", "file")
            .integer("size", self.size)
            .integer("offset", self.offset)
            .integer("next_offset", self.next)
            .integer("lines", self.lines)
            .boolean("truncated", self.next.is_some())
            .text("encoding", if is_text { "utf-8" } else { "base64" })
            .text("note", self.note.as_deref());
        if !is_text {
            let object = object.text("content", text::base64(&self.content).as_str());
            return Answer::new()
                .text(format!("binary, {}", text::count(self.content.len() as u64, "byte", "bytes")))
                .text(says)
                .structured(object);
        }
        let object = object.text("content", &*content);
        let answer = if content.is_empty() { Answer::new() } else { Answer::new().text(content) };
        answer.text(says).structured(object)
    }

    /// What part it is, and how to read on.
    fn says(&self) -> String {
        let of = self.size.filter(|size| *size > 0).map_or_else(String::new, |size| format!(" of {size}"));
        let mut says = match self.lines {
            Some(lines) => format!("{}, from byte {}{of}", text::count(lines, "line", "lines"), self.offset),
            None => {
                format!("{}, from byte {}{of}", text::count(self.content.len() as u64, "byte", "bytes"), self.offset)
            }
        };
        if let Some(note) = &self.note {
            says.push_str(&format!("; {note}"));
        }
        if let Some(next) = self.next {
            says.push_str(&format!("; to read on: `offset` {next}"));
        }
        says
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use scout_plugin::{Arguments, Error};

    use super::{BLOCK, Bytes, END, Part, SEARCHED, read};

    struct Held {
        bytes: Vec<u8>,
        /// Whether the file tells no size, as those of /proc.
        is_of_proc: bool,
        taken: Cell<u64>,
        reads: Cell<u64>,
    }

    impl Bytes for Held {
        fn read(&self, offset: u64, length: u64) -> Result<(Vec<u8>, Option<u64>), Error> {
            let rest = self.bytes.get(offset as usize..).unwrap_or_default();
            let bytes = rest.get(..(length as usize).min(rest.len())).unwrap_or_default().to_vec();
            self.taken.set(self.taken.get() + bytes.len() as u64);
            self.reads.set(self.reads.get() + 1);
            Ok((bytes, (!self.is_of_proc).then_some(self.bytes.len() as u64)))
        }

        fn size(&self) -> Result<u64, Error> {
            Ok(if self.is_of_proc { 0 } else { self.bytes.len() as u64 })
        }
    }

    fn held(bytes: impl Into<Vec<u8>>) -> Held {
        Held { bytes: bytes.into(), is_of_proc: false, taken: Cell::new(0), reads: Cell::new(0) }
    }

    fn asked(file: &Held, arguments: &str) -> Part {
        read(file, &Arguments::new(arguments)).expect("it can be read")
    }

    fn text(part: &Part) -> String {
        String::from_utf8_lossy(&part.content).into_owned()
    }

    #[test]
    fn lines_are_read_from_a_byte_on_and_what_follows_is_named() {
        let file = held("one\ntwo\nthree\nfour");
        for (arguments, content, next, lines) in [
            (r#"{"lines":2}"#, "one\ntwo\n", Some(8), Some(2)),
            (r#"{"lines":2,"offset":8}"#, "three\nfour", None, Some(2)),
            (r#"{"lines":9}"#, "one\ntwo\nthree\nfour", None, Some(4)),
            (r#"{"offset":14}"#, "four", None, None),
            (r#"{"offset":99}"#, "", None, None),
            (r#"{"lines":1,"offset":99}"#, "", None, Some(0)),
        ] {
            let part = asked(&file, arguments);
            assert_eq!((text(&part).as_str(), part.next, part.lines), (content, next, lines), "{arguments}");
        }
        let proc = Held { is_of_proc: true, ..held("a\nb\n") };
        assert_eq!(text(&asked(&proc, r#"{"tail":1}"#)), "b\n");
    }

    #[test]
    fn a_block_ends_with_a_whole_line() {
        let line = format!("{}\n", "x".repeat(999));
        let file = held(line.repeat(2_000));
        let part = asked(&file, r#"{"lines":1500}"#);
        let whole = BLOCK / 1000;
        assert_eq!((part.lines, part.next), (Some(whole), Some(whole * 1000)));
        assert!(part.note.is_some());
        let endless = held("x".repeat(2 * BLOCK as usize));
        let part = asked(&endless, r#"{"lines":1}"#);
        assert_eq!((part.content.len() as u64, part.next), (BLOCK, Some(BLOCK)));
    }

    #[test]
    fn the_last_lines_are_read_from_the_end() {
        let file = held((0..100_000).map(|n| format!("line {n}\n")).collect::<String>());
        let part = asked(&file, r#"{"tail":2}"#);
        assert_eq!((text(&part).as_str(), file.taken.get(), file.reads.get()), ("line 99998\nline 99999\n", END, 1));
        let part = asked(&file, r#"{"tail":20000}"#);
        assert_eq!((part.lines, part.note), (Some(20_000), None));
        let part = asked(&file, r#"{"tail":100000}"#);
        assert!(part.lines.is_some_and(|lines| lines < 100_000) && part.note.is_some());
        assert!(text(&part).starts_with("line "));
        assert_eq!(text(&asked(&held("a\nb"), r#"{"tail":1}"#)), "b");
        assert_eq!(text(&asked(&held("a\nb\n"), r#"{"tail":9}"#)), "a\nb\n");
        assert_eq!(text(&asked(&held(""), r#"{"tail":9}"#)), "");
    }

    #[test]
    fn lines_with_a_text_are_found_across_blocks_and_the_search_goes_on_where_it_stopped() {
        let mut bytes = "x\n".repeat(BLOCK as usize / 2 - 4).into_bytes();
        bytes.extend_from_slice(b"a needle here\nneedle\nlast needle");
        let file = held(bytes);
        let part = asked(&file, r#"{"grep":"needle","lines":2}"#);
        let at = BLOCK - 8;
        assert_eq!(text(&part), format!("{at}: a needle here\n{}: needle\n", at + 14));
        let next = part.next.expect("there is one more");
        let part = asked(&file, &format!("{{\"grep\":\"needle\",\"offset\":{next}}}"));
        assert_eq!((text(&part), part.next), (format!("{next}: last needle\n"), None));
        assert_eq!(text(&asked(&file, r#"{"grep":"nothing"}"#)), "");
    }

    #[test]
    fn a_search_has_a_bound() {
        let file = held("x\n".repeat(SEARCHED as usize));
        let part = asked(&file, r#"{"grep":"y"}"#);
        assert_eq!((part.lines, part.next, file.taken.get()), (Some(0), Some(SEARCHED), SEARCHED));
        assert!(part.note.is_some_and(|note| note.contains("searched")));
    }
}
