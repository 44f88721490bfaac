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
        let entries = entry.entries();
        let listing = Listing::new(&path, &entries, entry.truncated());
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
    entries: Vec<&'a DirEntry>,
    /// When each of them was changed, in words.
    times: Vec<Option<String>>,
    /// How many were found.
    found: u64,
    /// Whether the directory holds more than was found.
    holds_more: bool,
}

impl<'a> Listing<'a> {
    /// As many of the entries as an answer takes.
    fn new(path: &'a [u8], entries: &'a [DirEntry], holds_more: bool) -> Self {
        let found = entries.len() as u64;
        let mut entries = by_name(entries);
        let mut written = 0;
        let fits = entries.iter().take_while(|entry| {
            // In the table and as a field, and in base64 besides if it is no text.
            let name = &entry.name;
            let base64 = if std::str::from_utf8(name).is_ok() { 0 } else { 4 * name.len().div_ceil(3) };
            written += ENTRY + 2 * text::written(name) + base64;
            written <= MAX_WRITTEN
        });
        entries.truncate(fits.count());
        let times = entries.iter().map(|entry| entry.attributes.modified.and_then(text::rfc3339)).collect();
        Self { path, entries, times, found, holds_more }
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
            .each("entries", self.entries.iter().zip(&self.times), |object, (entry, time)| {
                entry_json(object, entry, time)
            })
    }

    /// As `ls -la` shows it, with the marks of `ls -F` for directories and links.
    fn as_text(&self) -> String {
        let mut table = text::Table::new([false, true, false, false]);
        for (entry, time) in self.entries.iter().zip(&self.times) {
            row(&mut table, entry, time);
        }
        table.finish(self.summary() + "\n")
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

/// Entries in the order of their names. Most are told apart by eight bytes behind what all names begin with, which are compared as a number.
fn by_name(entries: &[DirEntry]) -> Vec<&DirEntry> {
    let first = entries.first().map_or(&[][..], |entry| &entry.name);
    let common = entries.iter().fold(first.len(), |common, entry| {
        first.iter().zip(&entry.name).take(common).take_while(|(one, other)| one == other).count()
    });
    let mut keyed: Vec<(u64, &DirEntry)> = entries.iter().map(|entry| (key(&entry.name, common), entry)).collect();
    keyed.sort_unstable_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.name.cmp(&b.name)));
    keyed.into_iter().map(|(_, entry)| entry).collect()
}

/// Eight bytes of a name from this one on, as many as there are.
fn key(name: &[u8], from: usize) -> u64 {
    let mut bytes = [0; 8];
    for (byte, of_name) in bytes.iter_mut().zip(name.iter().skip(from)) {
        *byte = *of_name;
    }
    u64::from_be_bytes(bytes)
}

fn entry_json(object: Object, entry: &DirEntry, time: &Option<String>) -> Object {
    let attributes = &entry.attributes;
    let object = match std::str::from_utf8(&entry.name) {
        Ok(name) => object.text("name", name),
        Err(_) => {
            let (name, name_base64) = text::name(&entry.name);
            object.text("name", name.as_str()).text("name_base64", name_base64.as_deref())
        }
    };
    object
        .text("kind", text::kind(attributes.kind))
        .integer("size", attributes.size)
        .text("mode", attributes.mode.map(text::octal_mode).as_deref())
        .text("modified", time.as_deref())
}

fn row(table: &mut text::Table, entry: &DirEntry, time: &Option<String>) {
    let attributes = &entry.attributes;
    table.cell(|out| out.push_str(&text::ls_mode(attributes)));
    table.cell(|out| match attributes.size {
        Some(size) => text::decimal(out, size),
        None => out.push('-'),
    });
    table.cell(|out| out.push_str(time.as_deref().unwrap_or("-")));
    table.cell(|out| {
        match std::str::from_utf8(&entry.name) {
            Ok(name) if !name.contains(['\n', '\r']) => out.push_str(name),
            Ok(_) | Err(_) => out.push_str(&one_line(&entry.name)),
        }
        out.push_str(match attributes.kind {
            FileKind::Directory => "/",
            FileKind::Symlink => "@",
            FileKind::File | FileKind::Other => "",
        });
    });
}

/// A name without line ends of its own: each entry is one line, whatever it is called.
fn one_line(name: &[u8]) -> String {
    text::one_line(&String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::{Listing, by_name};
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
            Listing::new(b"/srv", &entries, false).as_text(),
            "/srv: 3 entries (1 directory, 1 file, 1 symbolic link)\n\
             drwxr-xr-x  4096  2023-11-14T22:13:20Z  a/\n\
             -rw-r--r--     7  2023-11-14T22:13:20Z  b\\nc\n\
             lrwxrwxrwx     1  2023-11-14T22:13:20Z  l@\n"
        );
    }

    #[test]
    fn entries_are_in_the_order_of_their_names_whatever_these_begin_with() {
        let names: [&[&[u8]]; 5] = [
            &[b"log.10", b"log.1", b"log.", b"log.100", b"log.1\0", b"log.1\0\0", b"log.1\xff"],
            &[b"same-beginning-00000001x", b"same-beginning-00000001", b"same-beginning-00000000zz"],
            &[b"b", b"a", b"", b"\xff", b"B", b"\0"],
            &[b"one"],
            &[],
        ];
        for names in names {
            let entries: Vec<DirEntry> = names.iter().map(|name| entry(name, FileKind::File, 0, 0)).collect();
            let mut sorted = names.to_vec();
            sorted.sort_unstable();
            assert_eq!(by_name(&entries).iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(), sorted);
        }
    }

    #[test]
    fn an_empty_and_a_cut_directory_say_so() {
        let empty = Listing::new(b"/srv", &[], false);
        assert_eq!((empty.as_text().as_str(), empty.note().as_deref()), ("/srv: empty\n", Some("empty")));
        let entries = [entry(b"a", FileKind::File, 0o100_600, 0)];
        let cut = Listing::new(b"/srv", &entries, true);
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
            let listing = Listing::new(b"~/d", &entries, false);
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
        assert!(!Listing::new(b"/d", &short, false).is_cut());
    }

    #[test]
    fn a_name_that_is_not_utf8_keeps_its_bytes() {
        let entries = vec![entry(b"caf\xe9", FileKind::File, 0o100_644, 5)];
        let json = Listing::new(b"/srv", &entries, false).as_json("box").finish();
        assert_eq!(
            json,
            "{\"host\":\"box\",\"path\":\"/srv\",\"kind\":\"directory\",\"truncated\":false,\"total\":1,\"note\":null,\
             \"read_on\":null,\"entries\":[{\"name\":\"caf\u{fffd}\",\
             \"name_base64\":\"Y2Fm6Q==\",\"kind\":\"file\",\"size\":5,\"mode\":\"0644\",\"modified\":\"2023-11-14T22:13:20Z\"}]}"
        );
    }
}
