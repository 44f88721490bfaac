//! How a file or a directory differs from another, on the same host or another one, or from a text.

use std::cmp::Ordering;

use scout_plugin::exec::{self, Pipeline, Stage, StderrTo, Word};
use scout_plugin::files::{self, Place};
use scout_plugin::json::Object;
use scout_plugin::{Answer, Arguments, Blob, Entry, Error, ErrorKind, FileKind, first_bytes, text};

use crate::lines::{Difference, difference};
use crate::tree::named;
use crate::walk::{OnHost, Walk, order, walk};

/// Bytes of each file that are compared line by line.
const COMPARED: u64 = 1 << 20;
/// Bytes of a difference that are told: some 25,000 tokens.
const TOLD: usize = 100_000;
/// Levels below two directories.
const DEPTH: u64 = 10;
/// Entries of each of them.
const ENTRIES: usize = 20_000;
/// Names that are told.
const NAMED: usize = 500;
/// Files of equal size whose content is compared by the hosts, for which they read them.
const HASHED: usize = 500;
/// Names of one such command, and their bytes together: its text has a bound.
const AT_ONCE: (usize, usize) = (50, 3_000);
/// Such commands on each host: where one is refused for a name, its names are asked for in halves.
const COMMANDS: usize = 60;
/// What names may take as they are written, in bytes.
const WRITTEN: usize = 1 << 20;

/// A path on a host, as it is told.
struct Side {
    place: Place,
    shown: String,
}

impl Side {
    fn new(host: &str, path: &[u8]) -> Self {
        let shown = format!("{host}:{}", text::one_line(&String::from_utf8_lossy(path)));
        Self { place: Place { host: host.to_owned(), path: path.to_vec() }, shown }
    }

    /// What `diff` names: `host:/path`, or `/path` on this host.
    fn named(target: &str, host: &str) -> Result<Self, Error> {
        let (host, path) = match target.split_once(':') {
            Some((named, path)) if !named.contains('/') && !named.is_empty() => (named, path),
            Some(_) | None if target.starts_with(['/', '~']) => (host, target),
            _ => {
                let why = format!(
                    "`diff` is `{}`; write `host:/path`, or `/path` on the same host",
                    text::clipped(target, 100)
                );
                return Err(Error::new(ErrorKind::Invalid, why));
            }
        };
        Ok(Self::new(host, if path.is_empty() { b"~" } else { path.as_bytes() }))
    }
}

/// How a path differs from what the arguments name.
///
/// # Errors
/// Why one of them cannot be looked at, and that they are of different kinds.
pub(crate) fn answer(host: &str, path: &[u8], arguments: &Arguments) -> Result<Answer, Error> {
    let one = Side::new(host, path);
    if let Some(content) = arguments.text("diff_content") {
        let entry = files::open_each(std::slice::from_ref(&one.place), COMPARED)?.into_iter().next();
        let file = File::of(entry.unwrap_or_else(|| Err(nothing()))?, &one)?;
        return Ok(with_text(&one, &file, content));
    }
    let other = Side::named(arguments.text("diff").unwrap_or_default(), host)?;
    let mut opened = files::open_each(&[one.place.clone(), other.place.clone()], COMPARED)?.into_iter();
    let mut next = || opened.next().unwrap_or_else(|| Err(nothing()));
    let (first, second) = (next()?, next()?);
    match (first.attributes().kind, second.attributes().kind) {
        (FileKind::Directory, FileKind::Directory) => directories(&one, &other),
        (FileKind::File, FileKind::File) => files(&one, &File::of(first, &one)?, &other, &File::of(second, &other)?),
        (kind, of_other) => {
            let (kind, of_other) = (text::kind(kind), text::kind(of_other));
            let why = format!("`{}` is a {kind} and `{}` a {of_other}; compare two of a kind", one.shown, other.shown);
            Err(Error::new(ErrorKind::Invalid, why))
        }
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::Internal, "Scout answered for fewer paths than it was asked for")
}

/// A file's first bytes.
struct File {
    content: Blob,
    size: u64,
    is_whole: bool,
}

impl File {
    fn of(entry: Entry, side: &Side) -> Result<Self, Error> {
        let content = entry
            .content()
            .filter(|_| entry.attributes().kind == FileKind::File)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, format!("`{}` is not a regular file", side.shown)))?;
        let is_whole = !content.truncated();
        let size = if is_whole {
            content.size()
        } else {
            content.total().or(entry.attributes().size).unwrap_or(content.size())
        };
        Ok(Self { content, size, is_whole })
    }

    /// Its first bytes, if they are text. With a NUL byte they are none, as for `diff`.
    fn text(&self) -> Option<String> {
        if !self.content.is_text() {
            return None;
        }
        let mut bytes = first_bytes(&self.content, u64::MAX);
        if !self.is_whole {
            // The line in which it was cut would differ by that alone.
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            bytes.truncate(end);
        }
        String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
    }
}

/// What is told of two files, or of a file and a text.
struct Compared {
    /// Whether they are equal, if that is known.
    is_equal: Option<bool>,
    difference: Option<Difference>,
    /// Whether only a part was compared line by line.
    is_cut: bool,
    note: Option<String>,
}

impl Compared {
    fn equal(note: Option<&str>) -> Self {
        Self { is_equal: Some(true), difference: None, is_cut: false, note: note.map(str::to_owned) }
    }

    fn of_texts(old: &str, new: &str) -> Self {
        let difference = difference(old, new, TOLD);
        let mut notes = Vec::new();
        if difference.is_cut {
            notes.push(format!("the first {TOLD} bytes of the difference"));
        }
        if difference.is_coarse {
            notes.push("all between the first and the last difference is told as different".to_owned());
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Self { is_equal: Some(false), is_cut: difference.is_cut, difference: Some(difference), note }
    }

    /// With this before what else is to be said.
    fn beginning_with(self, note: String) -> Self {
        Self { note: Some(self.note.map_or_else(|| note.clone(), |own| format!("{note}; {own}"))), ..self }
    }

    fn answer(self, one: &str, other: &str, object: Object) -> Answer {
        // Of what is told as wholly different nobody knows how much is.
        let counted = |of: fn(&Difference) -> u64| self.difference.as_ref().filter(|told| !told.is_coarse).map(of);
        let mut out = match (self.is_equal, &self.difference) {
            (Some(true), _) => format!("{one} and {other} are equal"),
            (_, Some(told)) if told.is_coarse => format!("{one} and {other} differ"),
            (_, Some(told)) => format!("{one} and {other} differ: {} removed, {} added", told.removed, told.added),
            (Some(false), None) => format!("{one} and {other} differ"),
            (None, None) => format!("whether {one} and {other} are equal is not known"),
        };
        if let Some(note) = &self.note {
            out.push_str(&format!(" ({note})"));
        }
        out.push('\n');
        if let Some(difference) = &self.difference {
            out.push_str(&format!("--- {one}\n+++ {other}\n{}", difference.unified));
        }
        let object = match self.is_equal {
            Some(is_equal) => object.boolean("equal", is_equal),
            None => object.text("equal", None),
        };
        let object = object
            .integer("added", counted(|told| told.added))
            .integer("removed", counted(|told| told.removed))
            .boolean("truncated", self.is_cut)
            .text("diff", self.difference.as_ref().map(|told| told.unified.as_str()))
            .text("note", self.note.as_deref());
        Answer::new().text(out).structured(object)
    }
}

fn head(one: &Side) -> Object {
    named(Object::new().text("host", one.place.host.as_str()), "path", &one.place.path)
}

fn with_text(one: &Side, file: &File, content: &str) -> Answer {
    let compared = match (file.is_whole, file.text()) {
        (_, None) => Compared {
            is_equal: Some(false),
            difference: None,
            is_cut: false,
            note: Some("the file is binary".to_owned()),
        },
        (true, Some(text)) if text == content => Compared::equal(None),
        (true, Some(text)) => Compared::of_texts(&text, content),
        (false, Some(text)) => {
            let note =
                format!("only the first {} of {} bytes of the file are compared", file.content.size(), file.size);
            Compared { is_cut: true, ..Compared::of_texts(&text, content).beginning_with(note) }
        }
    };
    compared.answer(&one.shown, "the text", head(one))
}

fn files(one: &Side, file: &File, other: &Side, with: &File) -> Result<Answer, Error> {
    let object = head(one).text("with", other.shown.as_str());
    let first_are_equal = file.content.digest() == with.content.digest();
    let sizes = || format!("{} and {} bytes", file.size, with.size);
    let compared = match (file.is_whole && with.is_whole, first_are_equal) {
        (true, true) => Compared::equal(None),
        (false, true) if file.size == with.size => match hosts_say(one, other) {
            Some(true) => Compared::equal(Some("by their sha256, which the hosts made")),
            Some(false) => Compared {
                is_equal: Some(false),
                difference: None,
                is_cut: false,
                note: Some(format!("beyond the first {COMPARED} bytes, {}", sizes())),
            },
            None => Compared {
                is_equal: None,
                difference: None,
                is_cut: true,
                note: Some(format!(
                    "the first {COMPARED} bytes are, of {}; `sha256sum` was not there or not allowed",
                    file.size
                )),
            },
        },
        (false, true) => Compared { is_equal: Some(false), difference: None, is_cut: false, note: Some(sizes()) },
        (is_whole, false) => match (file.text(), with.text()) {
            (Some(old), Some(new)) if is_whole => Compared::of_texts(&old, &new),
            (Some(old), Some(new)) => {
                let note = format!("of their first bytes, of {}", sizes());
                Compared { is_cut: true, ..Compared::of_texts(&old, &new).beginning_with(note) }
            }
            _ => Compared {
                is_equal: Some(false),
                difference: None,
                is_cut: false,
                note: Some(format!("binary, {}", sizes())),
            },
        },
    };
    Ok(compared.answer(&one.shown, &other.shown, object))
}

/// Whether two files have the same sum, if both hosts make one.
fn hosts_say(one: &Side, other: &Side) -> Option<bool> {
    let sum = |side: &Side| {
        let (directory, name) = parted(&side.place.path);
        let sums = sums(&side.place.host, &directory, &[name])?;
        sums.into_iter().next().map(|(_, sum)| sum)
    };
    Some(sum(one)? == sum(other)?)
}

/// A path's directory and its name there.
fn parted(path: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (b"/".to_vec(), path.get(1..).unwrap_or_default().to_vec()),
        Some(at) => (path.get(..at).unwrap_or_default().to_vec(), path.get(at + 1..).unwrap_or_default().to_vec()),
        None => (b"~".to_vec(), path.to_vec()),
    }
}

/// A file's name and its sum.
type NamedSum = (Vec<u8>, Vec<u8>);

/// The sums of files by their names, as the host makes them; absent where it does not, or a name cannot be said.
fn sums(host: &str, directory: &[u8], names: &[Vec<u8>]) -> Option<Vec<NamedSum>> {
    let mut words = vec![Word::Literal("sha256sum".to_owned()), Word::Literal("--".to_owned())];
    for name in names {
        // With such a name the line is written in another way.
        let name = std::str::from_utf8(name).ok().filter(|name| !name.contains(['\\', '\n', '\r']))?;
        words.push(Word::Literal(name.to_owned()));
    }
    let stage = Stage { words, stderr: StderrTo::Discard };
    let output = exec::output_of(host, &Pipeline { stages: vec![stage], directory: Some(directory.to_vec()) }).ok()?;
    let sums: Vec<NamedSum> = output.whole_lines().split(|byte| *byte == b'\n').filter_map(sum).collect();
    (!sums.is_empty()).then_some(sums)
}

/// A name with its sum, of a line of `sha256sum`.
fn sum(line: &[u8]) -> Option<NamedSum> {
    let (sum, name) = (line.get(..64)?, line.get(66..)?);
    sum.iter().all(u8::is_ascii_hexdigit).then(|| (name.to_vec(), sum.to_vec()))
}

/// What two directories have between them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Between {
    only_here: Vec<Vec<u8>>,
    only_there: Vec<Vec<u8>>,
    different: Vec<(Vec<u8>, String)>,
    /// Files of equal size, whose content is not known, and links and others of equal size.
    alike: Vec<Vec<u8>>,
    unlike_files: Vec<Vec<u8>>,
    /// What is equal without a look at it: directories, empty files.
    equal: u64,
}

impl Between {
    fn of(from: &Walk, to: &Walk) -> Self {
        let mut between = Self::default();
        let (mut here, mut there) = (from.nodes.iter().peekable(), to.nodes.iter().peekable());
        loop {
            let first = match (here.peek(), there.peek()) {
                (None, None) => return between,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(node), Some(other)) => order(&node.path, &other.path),
            };
            let node = here.next_if(|_| first.is_le());
            let other = there.next_if(|_| first.is_ge());
            let (node, other) = match (node, other) {
                (Some(node), Some(other)) => (node, other),
                (node, other) => {
                    // What could not be seen on the other side may be there.
                    let is_seen = |walk: &Walk, path: &[u8]| {
                        !walk.unseen.iter().any(|(directory, _)| {
                            path.strip_prefix(&**directory).is_some_and(|rest| rest.starts_with(b"/"))
                        })
                    };
                    let only_here = node.map(|node| node.path.clone()).filter(|path| is_seen(to, path));
                    let only_there = other.map(|other| other.path.clone()).filter(|path| is_seen(from, path));
                    between.only_here.extend(only_here);
                    between.only_there.extend(only_there);
                    continue;
                }
            };
            let path = node.path.clone();
            let (one, other) = (&node.attributes, &other.attributes);
            if one.kind != other.kind {
                between.different.push((path, format!("{} and {}", text::kind(one.kind), text::kind(other.kind))));
            } else if one.kind == FileKind::Directory {
                between.equal += 1;
            } else if one.kind != FileKind::File && one.size == other.size {
                // Where a link leads is not known.
                between.unlike_files.push(path);
            } else if one.size != other.size {
                let size = |size: Option<u64>| size.map_or_else(|| "?".to_owned(), |size| size.to_string());
                between.different.push((path, format!("{} and {} bytes", size(one.size), size(other.size))));
            } else if one.size == Some(0) {
                between.equal += 1;
            } else {
                between.alike.push(path);
            }
        }
    }

    /// Has the hosts compare what is alike, as far as they do.
    fn settle(&mut self, one: &Side, other: &Side) {
        let alike = std::mem::take(&mut self.alike);
        let (asked, rest) = alike.split_at(alike.len().min(HASHED));
        let is_sayable =
            |name: &&Vec<u8>| std::str::from_utf8(name).is_ok_and(|name| !name.contains(['\\', '\n', '\r']));
        let mut unknown: Vec<Vec<u8>> = asked.iter().filter(|name| !is_sayable(name)).cloned().collect();
        let (mut chunk, mut bytes, mut chunks) = (Vec::new(), 0, Vec::new());
        for name in asked.iter().filter(is_sayable).cloned() {
            if chunk.len() == AT_ONCE.0 || bytes + name.len() > AT_ONCE.1 {
                chunks.push(std::mem::take(&mut chunk));
                bytes = 0;
            }
            bytes += name.len() + 3;
            chunk.push(name);
        }
        chunks.push(chunk);
        let mut left = COMMANDS;
        while let Some(names) = chunks.pop() {
            if names.is_empty() || left == 0 {
                unknown.extend(names);
                continue;
            }
            left -= 1;
            let pair = sums(&one.place.host, &one.place.path, &names)
                .and_then(|here| Some((here, sums(&other.place.host, &other.place.path, &names)?)));
            match pair {
                // One of them may not be read, and the others with it.
                None if names.len() > 1 => {
                    let (first, second) = names.split_at(names.len() / 2);
                    chunks.extend([first.to_vec(), second.to_vec()]);
                }
                None => unknown.extend(names),
                Some((here, there)) => self.settle_by(names, &here, &there, &mut unknown),
            }
        }
        unknown.extend_from_slice(rest);
        self.alike = unknown;
        self.different.sort_unstable_by(|(one, _), (other, _)| order(one, other));
    }
}

impl Between {
    /// Of files of equal size, by their sums.
    fn settle_by(&mut self, names: Vec<Vec<u8>>, here: &[NamedSum], there: &[NamedSum], unknown: &mut Vec<Vec<u8>>) {
        let of =
            |sums: &[NamedSum], name: &[u8]| sums.iter().find(|(named, _)| named == name).map(|(_, sum)| sum.clone());
        for name in names {
            match (of(here, &name), of(there, &name)) {
                (Some(here), Some(there)) if here == there => self.equal += 1,
                (Some(_), Some(_)) => self.different.push((name, "same size, other content".to_owned())),
                _ => unknown.push(name),
            }
        }
    }
}

fn directories(one: &Side, other: &Side) -> Result<Answer, Error> {
    let here = walk(&OnHost(&one.place.host), &one.place.path, DEPTH, ENTRIES)?;
    let there = walk(&OnHost(&other.place.host), &other.place.path, DEPTH, ENTRIES)?;
    for (side, walk) in [(one, &here), (other, &there)] {
        if walk.is_cut {
            let why = format!("{} holds more than can be compared: {}", side.shown, walk.left_out.join("; "));
            return Err(Error::new(ErrorKind::Exhausted, why).hint("compare directories below it"));
        }
    }
    let mut between = Between::of(&here, &there);
    between.settle(one, other);
    let notes: Vec<String> = [(one, here), (other, there)]
        .into_iter()
        .flat_map(|(side, walk)| {
            walk.notes().into_iter().map(|note| format!("{}: {note}", side.shown)).collect::<Vec<_>>()
        })
        .collect();
    Ok(told(one, other, &between, notes))
}

fn told(one: &Side, other: &Side, between: &Between, mut notes: Vec<String>) -> Answer {
    let count = between.only_here.len() + between.only_there.len() + between.different.len();
    if !between.alike.is_empty() {
        let files = text::count(between.alike.len() as u64, "file", "files");
        notes.push(format!("{files} of equal size not compared by content"));
    }
    if !between.unlike_files.is_empty() {
        let others = between.unlike_files.len() as u64;
        notes.push(format!(
            "{}, not compared by where they lead",
            text::count(others, "link or special file", "links or special files")
        ));
    }
    let shown = |path: &[u8]| text::one_line(&String::from_utf8_lossy(path));
    let (mut left, mut room) = (NAMED, WRITTEN);
    let mut some = |paths: &mut dyn Iterator<Item = &Vec<u8>>| {
        let fits = paths.take(left).take_while(|path| {
            let written = 2 * text::written(path);
            written <= room && {
                room -= written;
                true
            }
        });
        let fits = fits.count();
        left -= fits;
        fits
    };
    let here = some(&mut between.only_here.iter());
    let there = some(&mut between.only_there.iter());
    let differ = some(&mut between.different.iter().map(|(path, _)| path));
    if here + there + differ < count {
        notes.push(format!("the first {} of {count} differences", here + there + differ));
    }
    let (only_here, only_there) =
        (between.only_here.get(..here).unwrap_or_default(), between.only_there.get(..there).unwrap_or_default());
    let different = between.different.get(..differ).unwrap_or_default();
    let is_equal = count == 0 && notes.is_empty();
    let mut out = match count {
        0 => format!("{} and {}: no difference, {} equal\n", one.shown, other.shown, between.equal),
        _ => format!("{} and {}: {count} differ, {} equal\n", one.shown, other.shown, between.equal),
    };
    for (mark, paths) in [("-", only_here), ("+", only_there)] {
        for path in paths {
            out.push_str(&format!("{mark} {}\n", shown(path)));
        }
    }
    for (path, why) in different {
        out.push_str(&format!("! {} ({why})\n", shown(path)));
    }
    for note in &notes {
        out.push_str(&format!("{note}\n"));
    }
    let object = head(one)
        .text("with", other.shown.as_str())
        .boolean("equal", is_equal)
        .integer("same", between.equal)
        .texts("only_here", only_here.iter().map(|path| shown(path)))
        .texts("only_there", only_there.iter().map(|path| shown(path)))
        .each("different", different, |object, (path, why)| named(object, "name", path).text("why", why.as_str()))
        .boolean("truncated", !notes.is_empty())
        .text("note", (!notes.is_empty()).then(|| notes.join("; ")).as_deref());
    Answer::new().text(out).structured(object)
}

#[cfg(test)]
mod tests {
    use scout_plugin::FileKind;

    use super::{Between, Side, parted, sum, told};
    use crate::walk::tests::{Faked, entry};
    use crate::walk::walk;

    #[test]
    fn what_is_compared_is_a_path_of_a_host_or_of_this_one() {
        for (target, host, path) in [
            ("other:/etc/hosts", "other", "/etc/hosts"),
            ("other:", "other", "~"),
            ("/etc/a:b", "box", "/etc/a:b"),
            ("~/x", "box", "~/x"),
            ("other:a:b", "other", "a:b"),
        ] {
            let side = Side::named(target, "box").expect(target);
            assert_eq!((side.place.host.as_str(), side.place.path.as_slice()), (host, path.as_bytes()), "{target}");
        }
        for target in ["", "etc", ":/etc", "a/b:c"] {
            assert!(Side::named(target, "box").is_err_and(|error| error.message.contains("host:/path")), "{target}");
        }
    }

    #[test]
    fn two_directories_are_compared_by_names_kinds_and_sizes() {
        let mut here = Faked::new("/a", &["both", "one", "dir/", "dir/x", "kind/", "link@", "link2@"]);
        let there = Faked::new("/b", &["both", "two", "dir/", "dir/x", "kind", "link@", "closed/", "closed/x"]);
        if let Some(listed) = here.directories.get_mut(&b"/a/dir"[..]) {
            listed.entries = vec![entry(b"x", FileKind::File, 99)];
        }
        let mut here = walk(&here, b"/a", 9, 99).expect("it is there");
        // What lies in a directory that was not seen may be there.
        here.unseen
            .push((b"closed".to_vec(), scout_plugin::Error::new(scout_plugin::ErrorKind::Permission, "not yours")));
        let there = walk(&there, b"/b", 9, 99).expect("it is there");
        let between = Between::of(&here, &there);
        assert_eq!(
            (between.only_here.as_slice(), between.only_there.as_slice()),
            (&[b"link2".to_vec(), b"one".to_vec()][..], &[b"closed".to_vec(), b"two".to_vec()][..])
        );
        let different: Vec<_> = between.different.iter().map(|(path, why)| (path.as_slice(), why.as_str())).collect();
        assert_eq!(different, [(&b"dir/x"[..], "99 and 5 bytes"), (b"kind", "directory and file")]);
        assert_eq!((between.alike.as_slice(), between.equal), (&[b"both".to_vec()][..], 1));
        assert_eq!(between.unlike_files, [b"link".to_vec()]);
        let (one, other) = (Side::new("box", b"/a"), Side::new("other", b"/b"));
        let answer = told(&one, &other, &between, Vec::new());
        let json = answer.json().unwrap_or_default();
        assert!(
            json.contains(
                "\"equal\":false,\"same\":1,\"only_here\":[\"link2\",\"one\"],\"only_there\":[\"closed\",\"two\"]"
            ),
            "{json}"
        );
        assert!(json.contains("1 file of equal size not compared by content"), "{json}");
    }

    #[test]
    fn a_sum_is_read_from_its_line_and_a_path_is_parted() {
        let line = format!("{}  a b", "0a".repeat(32));
        assert_eq!(sum(line.as_bytes()), Some((b"a b".to_vec(), "0a".repeat(32).into_bytes())));
        assert_eq!(sum(b"sha256sum: x: No such file or directory"), None);
        for (path, directory, name) in
            [("/etc/hosts", "/etc", "hosts"), ("/x", "/", "x"), ("x", "~", "x"), ("~/d/x", "~/d", "x")]
        {
            assert_eq!(parted(path.as_bytes()), (directory.as_bytes().to_vec(), name.as_bytes().to_vec()));
        }
    }
}
