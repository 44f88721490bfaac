//! A part of a file: from a byte on, so many lines, the last ones, or those that hold a text. What is asked for is read, never all of
//! a large file.

use scout_plugin::json::Object;
use scout_plugin::{Answer, Arguments, Error, ErrorKind, FileKind, first_bytes, text};
use scout_plugin::{cursors, files};

/// Bytes of one read. Scout gives no more than its own limit for a file.
const BLOCK: u64 = 1 << 20;
/// Bytes that are read first where the last lines are asked for.
const END: u64 = 64 << 10;
/// Bytes that are searched at once, and in which the last lines are looked for.
const SEARCHED: u64 = 8 << 20;
/// Lines that are found, where no number is asked for.
const FOUND: u64 = 200;
/// What is answered of a file as it is written: as text and as a field.
const WRITTEN: usize = 3_500_000;

/// Bytes that were read at once.
struct Piece {
    bytes: Vec<u8>,
    of: Version,
}

/// What tells whether a file is still what it was, as far as its host tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Bytes that it holds.
    pub(crate) size: Option<u64>,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) modified: Option<u64>,
}

/// Where a page ended, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    pub(crate) of: Version,
}

impl Mark {
    /// The cursor of what follows. Absent: Scout can seal none.
    pub(crate) fn cursor(self) -> Option<String> {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let Self { offset, of } = self;
        cursors::seal(&format!("{offset} {} {}", number(of.size), number(of.modified))).ok()
    }

    fn open(cursor: &str) -> Result<Self, Error> {
        let state = cursors::open(cursor)?;
        let mut words = state.split(' ');
        let mut number = || {
            let word = words.next()?;
            if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
        };
        let mut mark = || Some(Self { offset: number()??, of: Version { size: number()?, modified: number()? } });
        mark().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "`cursor` is of another version of Scout").hint("leave it out to begin anew")
        })
    }

    /// What has become of the file since, if it is known to be another.
    fn change(self, now: Version) -> Option<String> {
        let differ = |was: Option<u64>, is: Option<u64>| was.zip(is).is_some_and(|(was, is)| was != is);
        let was = self.of;
        if !differ(was.size, now.size) && !differ(was.modified, now.modified) {
            return None;
        }
        let told = |version: Version| {
            let size = version.size.map(|size| text::count(size, "byte", "bytes"));
            let time = version.modified.and_then(text::rfc3339).map(|time| format!("changed last at {time}"));
            size.into_iter().chain(time).collect::<Vec<_>>().join(", ")
        };
        let (was, now) = (told(was), told(now));
        Some(format!("the file changed since the part before was read: it was {was}; it is {now}"))
    }
}

/// A file's bytes, of which only some are read.
trait Bytes {
    /// So many bytes from this one on, fewer at the end, and what the file is.
    fn read(&self, offset: u64, length: u64) -> Result<Piece, Error>;

    /// How many bytes the file holds.
    fn size(&self) -> Result<u64, Error>;
}

struct OnHost<'a> {
    host: &'a str,
    path: &'a [u8],
}

impl Bytes for OnHost<'_> {
    fn read(&self, offset: u64, length: u64) -> Result<Piece, Error> {
        let blob = files::read(self.host, self.path, offset, length)?;
        Ok(Piece { bytes: first_bytes(&blob, u64::MAX), of: Version { size: blob.total(), modified: blob.modified() } })
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

/// The bytes from one on up to another, which takes several reads where Scout gives less at once; fewer where the file ends before.
fn stretch(file: &impl Bytes, from: u64, to: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        let at = from + bytes.len() as u64;
        if at >= to {
            return Ok(bytes);
        }
        let piece = file.read(at, (to - at).min(BLOCK))?.bytes;
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&piece);
    }
}

/// What was read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    content: Vec<u8>,
    /// Where it begins; of lines that were found: where the search began.
    offset: u64,
    /// Where what follows begins, if something does.
    next: Option<u64>,
    of: Version,
    /// How many lines it has, where lines were asked for.
    lines: Option<u64>,
    /// Whether lines that were asked for are not there.
    is_cut: bool,
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
    let mark = arguments.text("cursor").map(Mark::open).transpose()?;
    let offset = mark.map_or_else(|| arguments.number("offset").unwrap_or(0), |mark| mark.offset);
    let lines = arguments.number("lines");
    let mut part = match (arguments.number("tail"), arguments.text("grep"), lines) {
        (Some(lines), ..) => tail(file, lines)?,
        (None, Some(wanted), most) => grep(file, wanted.as_bytes(), offset, most.unwrap_or(FOUND))?,
        (None, None, lines) => head(file, offset, lines)?,
    };
    if let Some(change) = mark.and_then(|mark| mark.change(part.of)) {
        part.note = Some(part.note.take().map_or(change.clone(), |note| format!("{change}; {note}")));
    }
    Ok(part)
}

/// How many of the last bytes begin a character that they do not end: whoever reads on begins with them.
pub(crate) fn unfinished(bytes: &[u8]) -> usize {
    /// Of a character, but for its last byte.
    const LONGEST: usize = 3;
    let end = bytes.get(bytes.len().saturating_sub(LONGEST)..).unwrap_or_default();
    // An error without a length is one of the end.
    let begun = |from: &usize| {
        let error = std::str::from_utf8(end.get(*from..).unwrap_or_default()).err();
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (0..end.len()).find(begun).map_or(0, |from| end.len() - from)
}

/// What one byte takes in an answer: of a text it is written twice, and what is no character or hidden in more bytes.
fn weight(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\t' => 3,
        b' '..=b'~' => 2,
        _ => 7,
    }
}

/// How many of the first bytes an answer holds.
fn fitting<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    let mut left = WRITTEN;
    bytes.take_while(|byte| left.checked_sub(weight(**byte)).inspect(|rest| left = *rest).is_some()).count()
}

/// What lies behind a byte: so many lines, or all that is read at once.
fn head(file: &impl Bytes, offset: u64, lines: Option<u64>) -> Result<Part, Error> {
    let Piece { bytes: mut content, of } = file.read(offset, BLOCK)?;
    let size = of.size;
    let is_end = content.is_empty() || size.is_some_and(|size| offset + content.len() as u64 >= size);
    let fits = fitting(content.iter());
    let is_whole = is_end && fits == content.len();
    // Of one that is cut all the same there is no other way on.
    let whole_characters = |end: usize| match end - unfinished(content.get(..end).unwrap_or_default()) {
        0 => end,
        whole => whole,
    };
    let Some(lines) = lines else {
        let fits = if is_whole { fits } else { whole_characters(fits) };
        content.truncate(fits);
        let next = (!is_whole).then_some(offset + fits as u64);
        return Ok(Part { content, offset, next, of, ..Part::default() });
    };
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    let mut ends = (0, 0);
    for (at, _) in content.iter().enumerate().take(fits).filter(|(_, byte)| **byte == b'\n').take(wanted) {
        ends = (ends.0 + 1, at + 1);
    }
    // Where what was read ends within a line, that line is left to what follows, unless it is all that there is.
    let end = match ends.0 > 0 && (ends.0 == wanted || !is_whole) {
        true => ends.1,
        false if is_whole => fits,
        false => whole_characters(fits),
    };
    let has = ends.0 as u64 + u64::from(end > ends.1);
    let next = (end < content.len() || !is_end).then_some(offset + end as u64);
    content.truncate(end);
    let note = (has < lines && next.is_some()).then(|| "no more is read at once".to_owned());
    Ok(Part { content, offset, next, of, lines: Some(has), note, ..Part::default() })
}

/// The last lines.
fn tail(file: &impl Bytes, lines: u64) -> Result<Part, Error> {
    let told = file.size()?;
    // A file of /proc tells no size and is read from its beginning.
    let size = if told == 0 { stretch(file, 0, SEARCHED)?.len() as u64 } else { told };
    let is_known = told > 0 || size < SEARCHED;
    let mut length = END.min(size);
    loop {
        let from = size - length;
        // What is written meanwhile is not a part of it.
        let content = stretch(file, from, size)?;
        let start = start_of_last(&content, lines);
        if start > 0 || from == 0 || length >= SEARCHED {
            // A line that begins before what was read is told only if there is no other.
            let start = if start == 0 && from > 0 { whole(&content) } else { start };
            let all = content.get(start..).unwrap_or_default();
            let kept = all.len() - fitting(all.iter().rev());
            let kept = if kept > 0 { kept + whole(all.get(kept..).unwrap_or_default()) } else { 0 };
            let is_piece = match start + kept {
                0 => from > 0,
                first => content.get(first - 1) != Some(&b'\n'),
            };
            let content = all.get(kept..).unwrap_or_default().to_vec();
            let (has, offset) = (count(&content), from + (start + kept) as u64);
            let is_cut = !is_known || is_piece || (has < lines && offset > 0);
            let note = match (is_known, is_cut) {
                (false, _) => Some(format!("the host tells no size: these are the last of the first {SEARCHED} bytes")),
                (true, true) => Some("what stands before is more than is read or answered at once".to_owned()),
                (true, false) => None,
            };
            let of = Version { size: Some(size), modified: None };
            return Ok(Part { content, offset, next: None, of, lines: Some(has), is_cut, note });
        }
        length = (length * 4).min(SEARCHED).min(size);
    }
}

/// Where the last lines begin, so many of them.
fn start_of_last(content: &[u8], lines: u64) -> usize {
    let end = content.len() - usize::from(content.ends_with(b"\n"));
    let before = content.get(..end).unwrap_or_default();
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    memchr::memrchr_iter(b'\n', before).nth(wanted - 1).map_or(0, |at| at + 1)
}

/// Where the first line begins of which the beginning is there; of one line alone its first byte.
fn whole(content: &[u8]) -> usize {
    let end = content.len() - usize::from(content.ends_with(b"\n"));
    memchr::memchr(b'\n', content.get(..end).unwrap_or_default()).map_or(0, |at| at + 1)
}

fn count(content: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', content).count() as u64;
    ends + u64::from(!content.is_empty() && !content.ends_with(b"\n"))
}

/// Bytes of a line that are shown, where it is longer: around what was found.
const LINE: usize = 64 << 10;

/// The lines that hold a text, from a byte on, each with the number of its first byte before it.
fn grep(file: &impl Bytes, wanted: &[u8], offset: u64, most: u64) -> Result<Part, Error> {
    let finder = memchr::memmem::Finder::new(wanted);
    let mut part = Part { offset, lines: Some(0), ..Part::default() };
    let (mut at, mut found, mut rest, mut left) = (offset, 0, Vec::new(), WRITTEN);
    loop {
        let Piece { bytes: block, of } = file.read(at, BLOCK)?;
        let size = of.size;
        part.of = of;
        let is_end = block.is_empty() || size.is_some_and(|size| at + block.len() as u64 >= size);
        // Where in the file what is searched now begins.
        let begins = at - rest.len() as u64;
        at += block.len() as u64;
        rest.extend_from_slice(&block);
        // A line goes on in the next block, unless it is longer than is kept of one.
        let end = match memchr::memrchr(b'\n', &rest) {
            _ if is_end => rest.len(),
            Some(last) => last + 1,
            None if rest.len() as u64 >= 2 * BLOCK => rest.len(),
            None => 0,
        };
        let (searched, mut from) = (rest.get(..end).unwrap_or_default(), 0);
        while let Some(hit) = searched.get(from..).and_then(|rest| finder.find(rest)).map(|hit| hit + from) {
            let start = memchr::memrchr(b'\n', searched.get(..hit).unwrap_or_default()).map_or(0, |at| at + 1);
            let end = searched.get(hit..).and_then(|rest| memchr::memchr(b'\n', rest)).map_or(end, |at| hit + at);
            let (first, last) = (start.max(hit.saturating_sub(LINE / 2)), end.min(hit + LINE / 2));
            let line = searched.get(first..last).unwrap_or_default();
            let number = begins + first as u64;
            let written = 64 + line.iter().map(|byte| weight(*byte)).sum::<usize>();
            if found == most || written > left {
                part.next = Some(begins + start as u64);
                return Ok(part);
            }
            (found, left) = (found + 1, left - written);
            part.lines = Some(found);
            part.content.extend_from_slice(format!("{number}: ").as_bytes());
            part.content.extend_from_slice(line);
            part.content.push(b'\n');
            if last - first < end - start {
                part.note = Some("of long lines what stands around the text".to_owned());
            }
            from = end + 1;
        }
        if is_end {
            return Ok(part);
        }
        // Of a line that is searched in pieces the end may hold the beginning of the text.
        let keep = if searched.ends_with(b"\n") { 0 } else { end.min(wanted.len().saturating_sub(1)) };
        rest.drain(..end - keep);
        if at - offset >= SEARCHED {
            part.next = Some(at - rest.len() as u64);
            let searched = format!("{} were searched", text::count(at - offset, "byte", "bytes"));
            part.note = Some(part.note.take().map_or(searched.clone(), |note| format!("{searched}; {note}")));
            return Ok(part);
        }
    }
}

impl Part {
    fn answer(mut self, host: &str, path: &[u8]) -> Answer {
        let (path, path_base64) = text::name(path);
        let mut object = Object::new().text("host", host).text("path", path.as_str());
        if let Some(bytes) = &path_base64 {
            object = object.text("path_base64", bytes.as_str());
        }
        let is_binary = self.content.contains(&0);
        let content = String::from_utf8_lossy(&self.content).into_owned();
        let more = match (is_binary, content.contains('\u{fffd}')) {
            (true, _) => Some("binary: its bytes are not shown; `base64` without these arguments has them"),
            (false, true) => Some("bytes that are no UTF-8 are shown as U+FFFD"),
            (false, false) => None,
        };
        let note = self.note.take().into_iter().chain(more.map(str::to_owned)).collect::<Vec<_>>().join("; ");
        self.note = (!note.is_empty()).then_some(note);
        let mark = self.next.map(|offset| Mark { offset, of: self.of });
        let cursor = mark.filter(|_| !is_binary).and_then(Mark::cursor);
        let says = self.says(cursor.as_deref());
        let object = object
            .text("kind", "file")
            .integer("size", self.of.size)
            .integer("offset", self.offset)
            .integer("next_offset", self.next)
            .integer("lines", self.lines)
            .boolean("truncated", self.next.is_some() || self.is_cut)
            .text("note", self.note.as_deref());
        let object = match &cursor {
            Some(cursor) => object.text("cursor", cursor.as_str()),
            None => object,
        };
        if is_binary {
            return Answer::new().text(says).structured(object);
        }
        let object = object.text("encoding", "utf-8").text("content", content.as_str());
        let answer = if content.is_empty() { Answer::new() } else { Answer::new().text(content) };
        answer.text(says).structured(object)
    }

    /// What part it is, and how to read on.
    fn says(&self, cursor: Option<&str>) -> String {
        let of = self.of.size.filter(|size| *size > 0).map_or_else(String::new, |size| format!(" of {size}"));
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
        if let Some(cursor) = cursor {
            says.push_str(&format!(", or `cursor` {cursor}"));
        }
        says
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use scout_plugin::{Arguments, Error};

    use super::{BLOCK, Bytes, END, Mark, Part, Piece, SEARCHED, Version, read, unfinished};

    struct Held {
        bytes: Vec<u8>,
        /// Whether the file tells no size, as those of /proc.
        is_of_proc: bool,
        modified: Option<u64>,
        taken: Cell<u64>,
        reads: Cell<u64>,
    }

    impl Bytes for Held {
        fn read(&self, offset: u64, length: u64) -> Result<Piece, Error> {
            let rest = self.bytes.get(offset as usize..).unwrap_or_default();
            let bytes = rest.get(..(length as usize).min(rest.len())).unwrap_or_default().to_vec();
            self.taken.set(self.taken.get() + bytes.len() as u64);
            self.reads.set(self.reads.get() + 1);
            let size = (!self.is_of_proc).then_some(self.bytes.len() as u64);
            Ok(Piece { bytes, of: Version { size, modified: self.modified } })
        }

        fn size(&self) -> Result<u64, Error> {
            Ok(if self.is_of_proc { 0 } else { self.bytes.len() as u64 })
        }
    }

    fn held(bytes: impl Into<Vec<u8>>) -> Held {
        Held { bytes: bytes.into(), is_of_proc: false, modified: Some(7), taken: Cell::new(0), reads: Cell::new(0) }
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
    fn a_cursor_goes_on_where_the_part_ended_in_one_read_and_tells_of_a_file_that_changed() {
        let file = held("one\ntwo\nthree\nfour");
        let part = asked(&file, r#"{"lines":2}"#);
        let cursor = Mark { offset: 8, of: part.of }.cursor().expect("it can be sealed");
        let says = part.says(Some(&cursor));
        assert!(says.ends_with(&format!("; to read on: `offset` 8, or `cursor` {cursor}")), "{says}");
        let arguments = format!(r#"{{"lines":2,"cursor":"{cursor}"}}"#);
        let reads = file.reads.get();
        let part = asked(&file, &arguments);
        assert_eq!((text(&part).as_str(), part.offset, part.note.clone()), ("three\nfour", 8, None));
        assert_eq!(file.reads.get() - reads, 1);
        for (bytes, modified, content, is_told) in [
            ("one\ntwo\nthree\nfour", None, "three\nfour", false),
            ("one\ntwo\nthree\nfour", Some(8), "three\nfour", true),
            ("one\ntwo\nthree\nfour\n", Some(7), "three\nfour\n", true),
            ("one", Some(9), "", true),
        ] {
            let part = asked(&Held { modified, ..held(bytes) }, &arguments);
            let told = part.note.clone().is_some_and(|note| note.starts_with("the file changed since the part before"));
            assert_eq!((text(&part).as_str(), told), (content, is_told), "{:?}", part.note);
        }
        let changed = asked(&Held { modified: Some(9), ..held("one") }, &arguments).note.expect("it is told");
        assert!(
            changed.ends_with("it was 18 bytes, changed last at 1970-01-01T00:00:07Z; it is 3 bytes, changed last at 1970-01-01T00:00:09Z"),
            "{changed}"
        );
        for cursor in ["8", "x-unsealed", "8 1-unsealed", "-unsealed"] {
            let arguments = Arguments::new(&format!(r#"{{"cursor":"{cursor}"}}"#));
            assert!(read(&file, &arguments).is_err(), "{cursor}");
        }
    }

    #[test]
    fn a_part_ends_with_a_whole_character() {
        for (bytes, rest) in [
            (&b""[..], 0),
            (b"abc", 0),
            (b"ab\xc3", 1),
            (b"ab\xc3\xbc", 0),
            (b"\xe2\x82", 2),
            (b"x\xf0\x9f\x98", 3),
            (b"x\xf0\x9f\x98\x80", 0),
            (b"x\xff", 0),
            (b"\x82\x82\x82", 0),
            (b"\xe9\xe2\x82", 2),
        ] {
            assert_eq!(unfinished(bytes), rest, "{bytes:?}");
        }
        let block = BLOCK as usize;
        let file = held(format!("x{}", "\u{fc}".repeat(block)));
        let (mut read, mut offset) = (String::new(), Some(0));
        while let Some(from) = offset {
            let part = asked(&file, &format!(r#"{{"offset":{from}}}"#));
            read.push_str(std::str::from_utf8(&part.content).expect("whole characters"));
            offset = part.next;
        }
        assert!(read.as_bytes() == file.bytes);
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
        assert_eq!((part.lines, part.is_cut), (Some(100_000), false));
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

    #[test]
    fn a_text_is_found_in_a_long_line_wherever_a_block_ends_and_told_with_what_stands_around_it() {
        for at in [BLOCK - 3, BLOCK, 2 * BLOCK - 3, 3 * BLOCK - 2] {
            let mut bytes = vec![b'x'; at as usize];
            bytes.extend_from_slice(b"needle");
            bytes.extend_from_slice(&vec![b'y'; BLOCK as usize]);
            let part = asked(&held([b"short\n".to_vec(), bytes].concat()), r#"{"grep":"needle"}"#);
            assert_eq!((part.lines, part.next), (Some(1), None), "{at}");
            assert!(text(&part).contains("xneedley") && part.content.len() < 70_000 && part.note.is_some());
        }
    }

    #[test]
    fn what_takes_more_to_write_than_an_answer_holds_is_cut_with_a_way_on() {
        for byte in [1_u8, 0xff, 0xe9] {
            let file = held([vec![byte; 99], vec![b'\n']].concat().repeat(10_000));
            for arguments in [r#"{"lines":100000}"#, r#"{"offset":0}"#, r#"{"tail":100000}"#] {
                let part = asked(&file, arguments);
                assert!(part.content.len() < 600_000 && (part.next.is_some() || part.is_cut), "{arguments}");
            }
        }
    }

    #[test]
    fn the_end_is_read_however_little_is_given_at_once() {
        struct Sparing(Held);
        impl Bytes for Sparing {
            fn read(&self, offset: u64, length: u64) -> Result<Piece, Error> {
                self.0.read(offset, length.min(10_000))
            }
            fn size(&self) -> Result<u64, Error> {
                self.0.size()
            }
        }
        let lines: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        let file = Sparing(held(format!("{}\nneedle\n{lines}", "x".repeat(200_000))));
        let part = read(&file, &Arguments::new(r#"{"tail":20001}"#)).expect("it can be read");
        assert!(text(&part).starts_with("needle\nline 0\n") && text(&part).ends_with("line 19999\n"));
        let proc = Held { is_of_proc: true, ..held(lines) };
        assert_eq!(text(&asked(&proc, r#"{"tail":1}"#)), "line 19999\n");
        let one = asked(&held("x".repeat(3 << 20)), r#"{"tail":1}"#);
        assert!(!one.content.is_empty() && one.is_cut && one.note.is_some());
    }
}
