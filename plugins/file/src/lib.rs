//! A file: its first bytes, and how to read on.

use scout_plugin::json::Object;
use scout_plugin::{
    Answer, Attributes, Blob, Description, Encoding, Error, ErrorKind, FileKind, Handler, Query, Subject, files,
    register, text,
};

struct File;
register!(File: handler);

impl Handler for File {
    fn describe() -> Description {
        Description::new("reads files", &[Subject::File])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let (Some(host), Some(path)) = (query.host, query.path) else {
            return Err(Error::new(ErrorKind::Invalid, "a file needs a host and a path"));
        };
        let entry = files::open(&host, &path)?;
        let attributes = entry.attributes();
        let content = match (attributes.kind, entry.content()) {
            (FileKind::File, Some(content)) => content,
            (kind, _) => return Err(no_file(&path, kind, attributes.mode)),
        };
        let seen = Seen {
            attributes,
            read: content.size(),
            total: content.total(),
            truncated: content.truncated(),
            is_text: content.is_text(),
        };
        Ok(answer(&host, &path, &seen, content))
    }
}

/// What is known of a file besides its bytes.
struct Seen {
    attributes: Attributes,
    /// Bytes that were read.
    read: u64,
    /// Bytes that the file holds, if that is known.
    total: Option<u64>,
    truncated: bool,
    is_text: bool,
}

impl Seen {
    /// How many names the file has, if it has others: what is said of one of them is said of all.
    fn links(&self) -> Option<u64> {
        self.attributes.links.filter(|links| *links > 1)
    }

    /// Bytes that the file holds. A file of /proc says zero and holds more: what was read in full is counted.
    fn size(&self) -> Option<u64> {
        if self.truncated {
            self.total.or(self.attributes.size).filter(|size| *size > self.read)
        } else {
            Some(self.read)
        }
    }
}

fn answer(host: &str, path: &[u8], seen: &Seen, content: Blob) -> Answer {
    let encoding = if seen.is_text { Encoding::Text } else { Encoding::Base64 };
    let mut answer = Answer::new().structured(as_json(host, path, seen));
    if seen.is_text && seen.read > 0 {
        answer = answer.blob(content.share());
    }
    if let Some(note) = note(path, seen) {
        answer = answer.text(note);
    }
    answer.attach("content", content, encoding)
}

fn as_json(host: &str, path: &[u8], seen: &Seen) -> Object {
    let attributes = &seen.attributes;
    let (path, path_base64) = text::name(path);
    let mut object = Object::new().text("host", host).text("path", path.as_str());
    if let Some(bytes) = &path_base64 {
        object = object.text("path_base64", bytes.as_str());
    }
    if let Some(links) = seen.links() {
        object = object.integer("links", Some(links));
    }
    object
        .text("kind", text::kind(attributes.kind))
        .integer("size", seen.size())
        .text("mode", attributes.mode.map(text::octal_mode).as_deref())
        .text("modified", attributes.modified.and_then(text::rfc3339).as_deref())
        .boolean("truncated", seen.truncated)
        .text("encoding", if seen.is_text { "utf-8" } else { "base64" })
}

/// What there is to say beside the bytes: nothing for a text that is shown in full.
fn note(path: &[u8], seen: &Seen) -> Option<String> {
    let size = |bytes| text::count(bytes, "byte", "bytes");
    let cut = seen.truncated.then(|| {
        let of = seen.size().map_or_else(String::new, |total| format!(" of {total}"));
        let on = match resume(path, seen.read) {
            Some(query) => format!("to read on: query `{query}`"),
            None => "its path cannot be written in a query that reads on".to_owned(),
        };
        format!("first {}{of} bytes; {on}", seen.read)
    });
    let content = match (seen.is_text, cut) {
        (true, None) if seen.read == 0 => Some("empty file".to_owned()),
        (true, cut) => cut,
        (false, cut) => {
            let what =
                seen.size().map_or_else(|| "binary file".to_owned(), |total| format!("binary file, {}", size(total)));
            let where_to = "the structured answer holds them in base64";
            Some(match cut {
                Some(cut) => format!("{what}; {where_to}: {cut}"),
                None => format!("{what}; {where_to}"),
            })
        }
    };
    let links = seen.links().map(|links| format!("the file has {links} names (hard links); this is one of them"));
    match (content, links) {
        (Some(content), Some(links)) => Some(format!("{content}; {links}")),
        (content, links) => content.or(links),
    }
}

/// The query that reads as many bytes again from where these end. None for a path that no query can name: bytes that
/// are not UTF-8, control characters, another account's home.
fn resume(path: &[u8], read: u64) -> Option<String> {
    let path = std::str::from_utf8(path).ok().filter(|path| !path.chars().any(char::is_control))?;
    // A command runs in the home directory: a path below it is relative there. Quotes would keep `~` from its meaning.
    let path = match path.strip_prefix("~/") {
        Some(below) => below.trim_start_matches('/'),
        None if path.starts_with('~') => return None,
        None => path,
    };
    // No option, and still no option to a program that looks for one after the first operand.
    let dash = if path.starts_with('-') { "./" } else { "" };
    Some(format!("tail -c +{} {} | head -c {read}", read + 1, text::shell_quoted(&format!("{dash}{path}"))))
}

/// The error of a path that is no regular file.
fn no_file(path: &[u8], kind: FileKind, mode: Option<u32>) -> Error {
    let path = String::from_utf8_lossy(path);
    if kind == FileKind::Directory {
        return Error::new(ErrorKind::Invalid, format!("`{path}` became a directory just now")).hint("ask again");
    }
    let what = match mode.unwrap_or(0) & 0o170_000 {
        0o010_000 => "a FIFO",
        0o020_000 => "a character device",
        0o060_000 => "a block device",
        0o140_000 => "a socket",
        _ => "a FIFO, socket or device",
    };
    Error::new(ErrorKind::Unsupported, format!("`{path}` is not a regular file or directory ({what})"))
        .hint("Scout does not open it: reading it may never end")
}

#[cfg(test)]
mod tests {
    use super::{Seen, as_json, no_file, note, resume};
    use scout_plugin::{Attributes, FileKind};

    fn seen(read: u64, size: u64, truncated: bool, is_text: bool) -> Seen {
        let attributes = Attributes {
            kind: FileKind::File,
            size: Some(size),
            mode: Some(0o100_640),
            uid: None,
            gid: None,
            links: None,
            modified: Some(0),
        };
        Seen { attributes, read, total: Some(size), truncated, is_text }
    }

    #[test]
    fn a_text_in_full_needs_no_note() {
        assert_eq!(note(b"/f", &seen(5, 5, false, true)), None);
        assert_eq!(note(b"/f", &seen(0, 0, false, true)).as_deref(), Some("empty file"));
    }

    #[test]
    fn a_cut_text_says_how_to_read_on() {
        assert_eq!(
            note(b"/var/log/a b", &seen(100, 250, true, true)).as_deref(),
            Some("first 100 of 250 bytes; to read on: query `tail -c +101 '/var/log/a b' | head -c 100`")
        );
        let endless = Seen { total: None, ..seen(100, 0, true, true) };
        assert!(note(b"/proc/x", &endless).is_some_and(|note| note.starts_with("first 100 bytes; to read on")));
    }

    #[test]
    fn a_query_that_reads_on_names_the_same_file() {
        for (path, expected) in [
            ("~/a", Some("'a'")),
            ("~//a", Some("'a'")),
            ("~/~", Some("'~'")),
            ("~/-a", Some("'./-a'")),
            ("-a", Some("'./-a'")),
            ("it's", Some("'it'\\''s'")),
            ("~ann/a", None),
            ("a\nb", None),
        ] {
            let query = expected.map(|word| format!("tail -c +4 {word} | head -c 3"));
            assert_eq!(resume(path.as_bytes(), 3), query, "{path:?}");
        }
        assert_eq!(resume(b"caf\xe9", 3), None);
    }

    #[test]
    fn a_binary_file_is_described() {
        assert_eq!(
            note(b"/f", &seen(9, 9, false, false)).as_deref(),
            Some("binary file, 9 bytes; the structured answer holds them in base64")
        );
        assert!(note(b"/f", &seen(9, 20, true, false)).is_some_and(|note| note.contains("first 9 of 20 bytes")));
    }

    #[test]
    fn the_size_of_a_file_of_proc_is_what_was_read() {
        let proc = Seen { total: None, ..seen(30, 0, false, true) };
        assert_eq!(proc.size(), Some(30));
    }

    #[test]
    fn other_names_of_a_file_are_told_where_they_are_known() {
        for (links, told) in [(None, false), (Some(1), false), (Some(3), true)] {
            let mut seen = seen(5, 5, false, true);
            seen.attributes.links = links;
            let says = "the file has 3 names (hard links); this is one of them";
            assert_eq!(note(b"/f", &seen).as_deref(), told.then_some(says));
            assert_eq!(as_json("box", b"/f", &seen).finish().contains("\"links\":3"), told);
        }
    }

    #[test]
    fn fields_are_those_of_the_file() {
        assert_eq!(
            as_json("box", b"/f", &seen(5, 9, true, true)).finish(),
            "{\"host\":\"box\",\"path\":\"/f\",\"kind\":\"file\",\"size\":9,\"mode\":\"0640\",\
             \"modified\":\"1970-01-01T00:00:00Z\",\"truncated\":true,\"encoding\":\"utf-8\"}"
        );
    }

    #[test]
    fn what_is_no_file_is_named() {
        let error = no_file(b"/run/fifo", FileKind::Other, Some(0o010_600));
        assert_eq!(error.message, "`/run/fifo` is not a regular file or directory (a FIFO)");
    }
}
