//! A directory, as a listing.

use scout_plugin::json::Object;
use scout_plugin::{
    Answer, Description, DirEntry, Error, ErrorKind, FileKind, Handler, Query, Subject, register, text,
};

struct Dir;
register!(Dir: handler);

/// The home directory, where a query names no path.
const HOME: &[u8] = b"~";

impl Handler for Dir {
    fn describe() -> Description {
        Description::new("lists directories", &[Subject::Directory])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let (Some(host), Some(entry)) = (query.host, query.entry) else {
            return Err(Error::new(ErrorKind::Invalid, "a directory needs a host and what is there"));
        };
        let path = query.path.unwrap_or_else(|| HOME.to_vec());
        if entry.attributes().kind != FileKind::Directory {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("`{}` on {host} is not a directory", String::from_utf8_lossy(&path)),
            ));
        }
        let mut entries = entry.entries();
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let listing = Listing::new(&path, entries, entry.truncated());
        Ok(Answer::new().text(listing.as_text()).structured(listing.as_json(&host)))
    }
}

/// What all entries may take in an answer as it is written, in bytes: text and fields, with names as they are shown.
/// Scout takes 4 MiB of a plugin's own text.
const MAX_WRITTEN: usize = 7 << 19;
/// What an entry takes beside its name, in bytes, at most: as a row of the table, and as an object.
const ENTRY: usize = 180;
/// Names that a query lists at once.
const LISTED: u64 = 2000;

/// What is shown of a directory.
struct Listing<'a> {
    path: &'a [u8],
    /// Those that are shown, by name.
    entries: Vec<DirEntry>,
    /// How many were found.
    found: u64,
    /// Whether the directory holds more than was found.
    holds_more: bool,
}

impl<'a> Listing<'a> {
    /// As many of the entries, which are in order, as an answer takes.
    fn new(path: &'a [u8], mut entries: Vec<DirEntry>, holds_more: bool) -> Self {
        let found = entries.len() as u64;
        let mut written = 0;
        let fits = entries.iter().take_while(|entry| {
            // In the table and as a field, and in base64 besides if it is no text.
            let name = &entry.name;
            let base64 = if std::str::from_utf8(name).is_ok() { 0 } else { 4 * name.len().div_ceil(3) };
            written += ENTRY + 2 * text::written(name) + base64;
            written <= MAX_WRITTEN
        });
        entries.truncate(fits.count());
        Self { path, entries, found, holds_more }
    }

    fn shown(&self) -> u64 {
        self.entries.len() as u64
    }

    fn is_cut(&self) -> bool {
        self.holds_more || self.shown() < self.found
    }

    /// The query that lists the names behind those that are shown. Where not all were found, those that were are not the
    /// first by name, and it begins with the first.
    fn read_on(&self) -> Option<String> {
        if !self.is_cut() {
            return None;
        }
        let from = if self.holds_more { 1 } else { self.shown() + 1 };
        Some(format!("ls -A {} | tail -n +{from} | head -n {LISTED}", text::operand(self.path)?))
    }

    /// What there is to say beside the entries.
    fn note(&self) -> Option<String> {
        if self.found == 0 && !self.holds_more {
            return Some("empty".to_owned());
        }
        if !self.is_cut() {
            return None;
        }
        let of = if self.shown() < self.found { format!(" of {} that were found", self.found) } else { String::new() };
        let more = if self.holds_more { ", and the directory holds more than were asked for" } else { "" };
        let on = if self.read_on().is_none() { "; its path cannot be written in a query that reads on" } else { "" };
        Some(format!(
            "the first {}{of}{more}{on}; a path below it can be named",
            text::count(self.shown(), "entry", "entries")
        ))
    }

    fn as_json(&self, host: &str) -> Object {
        let (path, path_base64) = text::name(self.path);
        let mut object = Object::new().text("host", host).text("path", path.as_str());
        if let Some(bytes) = &path_base64 {
            object = object.text("path_base64", bytes.as_str());
        }
        object
            .text("kind", "directory")
            .boolean("truncated", self.is_cut())
            .integer("total", (!self.holds_more).then_some(self.found))
            .text("note", self.note().as_deref())
            .text("read_on", self.read_on().as_deref())
            .objects("entries", self.entries.iter().map(entry_json))
    }

    /// As `ls -la` shows it, with the marks of `ls -F` for directories and links.
    fn as_text(&self) -> String {
        let rows: Vec<[String; 4]> = self.entries.iter().map(row).collect();
        format!("{}\n{}", self.summary(), text::table(&rows, [false, true, false, false]))
    }

    fn summary(&self) -> String {
        let of = |kind: FileKind| self.entries.iter().filter(|entry| entry.attributes.kind == kind).count() as u64;
        let parts: Vec<String> = [
            (of(FileKind::Directory), "directory", "directories"),
            (of(FileKind::File), "file", "files"),
            (of(FileKind::Symlink), "symbolic link", "symbolic links"),
            (of(FileKind::Other), "other", "others"),
        ]
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| text::count(number, one, many))
        .collect();
        let path = one_line(self.path);
        let of_kinds = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        let on = self.read_on().map(|query| format!("; to read on: query `{query}`")).unwrap_or_default();
        match self.note() {
            Some(note) => format!("{path}: {note}{of_kinds}{on}"),
            None => format!("{path}: {}{of_kinds}", text::count(self.found, "entry", "entries")),
        }
    }
}

fn entry_json(entry: &DirEntry) -> Object {
    let attributes = &entry.attributes;
    let (name, name_base64) = text::name(&entry.name);
    let mut object = Object::new().text("name", name.as_str());
    if let Some(bytes) = &name_base64 {
        object = object.text("name_base64", bytes.as_str());
    }
    object
        .text("kind", text::kind(attributes.kind))
        .integer("size", attributes.size)
        .text("mode", attributes.mode.map(text::octal_mode).as_deref())
        .text("modified", attributes.modified.and_then(text::rfc3339).as_deref())
}

fn row(entry: &DirEntry) -> [String; 4] {
    let attributes = &entry.attributes;
    let mark = match attributes.kind {
        FileKind::Directory => "/",
        FileKind::Symlink => "@",
        FileKind::File | FileKind::Other => "",
    };
    [
        text::ls_mode(attributes),
        attributes.size.map_or_else(|| "-".to_owned(), |size| size.to_string()),
        attributes.modified.and_then(text::rfc3339).unwrap_or_else(|| "-".to_owned()),
        format!("{}{mark}", one_line(&entry.name)),
    ]
}

/// A name without line ends of its own: each entry is one line, whatever it is called.
fn one_line(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::Listing;
    use scout_plugin::{Attributes, DirEntry, FileKind};

    fn entry(name: &[u8], kind: FileKind, mode: u32, size: u64) -> DirEntry {
        let attributes = Attributes {
            kind,
            size: Some(size),
            mode: Some(mode),
            uid: None,
            gid: None,
            links: None,
            modified: Some(1_700_000_000),
        };
        DirEntry { name: name.to_vec(), attributes }
    }

    #[test]
    fn a_listing_is_aligned_marked_and_counted() {
        let entries = vec![
            entry(b"a", FileKind::Directory, 0o040_755, 4096),
            entry(b"b\nc", FileKind::File, 0o100_644, 7),
            entry(b"l", FileKind::Symlink, 0o120_777, 1),
        ];
        assert_eq!(
            Listing::new(b"/srv", entries, false).as_text(),
            "/srv: 3 entries (1 directory, 1 file, 1 symbolic link)\n\
             drwxr-xr-x  4096  2023-11-14T22:13:20Z  a/\n\
             -rw-r--r--     7  2023-11-14T22:13:20Z  b\\nc\n\
             lrwxrwxrwx     1  2023-11-14T22:13:20Z  l@\n"
        );
    }

    #[test]
    fn an_empty_and_a_cut_directory_say_so() {
        let empty = Listing::new(b"/srv", Vec::new(), false);
        assert_eq!((empty.as_text().as_str(), empty.note().as_deref()), ("/srv: empty\n", Some("empty")));
        let cut = Listing::new(b"/srv", vec![entry(b"a", FileKind::File, 0o100_600, 0)], true);
        let text = cut.as_text();
        assert!(text.starts_with("/srv: the first 1 entry, and the directory holds more"), "{text}");
        assert!(text.contains("to read on: query `ls -A '/srv' | tail -n +1 | head -n 2000`\n"), "{text}");
    }

    #[test]
    fn names_that_are_too_long_for_an_answer_are_cut_with_a_way_on() {
        for name in [&b"x"[..], b"\xff", b"\x01", "\u{80}".as_bytes(), "\u{10ffff}".as_bytes(), b"\""] {
            let long = |n: usize| [format!("{n:05}").as_bytes(), &name.repeat(250 / name.len())].concat();
            let entries: Vec<DirEntry> =
                (0..10_000).map(|n| entry(&long(n), FileKind::File, 0o100_644, 1 << 40)).collect();
            let listing = Listing::new(b"~/d", entries, false);
            let (text, json) = (listing.as_text(), listing.as_json("box").finish());
            assert!(text.len() + json.len() <= 4 << 20, "{} {}", text.len(), json.len());
            let shown = listing.shown();
            assert!((400..10_000).contains(&shown), "{shown}");
            assert!(json.contains(&format!(
                "\"truncated\":true,\"total\":10000,\"note\":\"the first {shown} entries of 10000 that were found; \
                 a path below it can be named\",\"read_on\":\"ls -A 'd' | tail -n +{} | head -n 2000\"",
                shown + 1
            )));
        }
        let short: Vec<DirEntry> =
            (0..10_000).map(|n| entry(format!("{n:020}").as_bytes(), FileKind::File, 0o100_644, 1)).collect();
        assert!(!Listing::new(b"/d", short, false).is_cut());
    }

    #[test]
    fn a_name_that_is_not_utf8_keeps_its_bytes() {
        let entries = vec![entry(b"caf\xe9", FileKind::File, 0o100_644, 5)];
        let json = Listing::new(b"/srv", entries, false).as_json("box").finish();
        assert_eq!(
            json,
            "{\"host\":\"box\",\"path\":\"/srv\",\"kind\":\"directory\",\"truncated\":false,\"total\":1,\"note\":null,\
             \"read_on\":null,\"entries\":[{\"name\":\"caf\u{fffd}\",\
             \"name_base64\":\"Y2Fm6Q==\",\"kind\":\"file\",\"size\":5,\"mode\":\"0644\",\"modified\":\"2023-11-14T22:13:20Z\"}]}"
        );
    }
}
