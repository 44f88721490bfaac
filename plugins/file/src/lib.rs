//! A file: its first bytes, and how to read on; or a part of it.

mod part;

use part::{Mark, Version};
use scout_plugin::json::Object;
use scout_plugin::{
    Answer, Attributes, Blob, Description, Encoding, Error, ErrorKind, FileKind, Handler, Query, Subject, register,
    text,
};

struct File;
register!(File: handler);

impl Handler for File {
    fn describe() -> Description {
        Description::new("reads files", &[Subject::File, Subject::Part])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        if let (Subject::Part, Some(host), Some(path)) = (query.subject, &query.host, &query.path) {
            return part::answer(host, path, query.arguments());
        }
        let (Some(host), Some(path), Some(entry)) = (query.host, query.path, query.entry) else {
            return Err(Error::new(ErrorKind::Invalid, "a file needs a host, a path and what is there"));
        };
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
            picture: None,
            unfinished: 0,
        };
        let picture = picture(&seen, || content.read(0, MAGIC));
        let unfinished = match seen.truncated && seen.is_text {
            true => part::unfinished(&content.read(seen.read.saturating_sub(3), 3)) as u64,
            false => 0,
        };
        let seen = Seen { picture, unfinished, ..seen };
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
    /// The media type of a picture that clients can show, if it is one and all of it was read.
    picture: Option<&'static str>,
    /// Of what was read, the last bytes that begin a character and do not end it.
    unfinished: u64,
}

/// How many bytes tell the format of a picture.
const MAGIC: u32 = 12;

/// The media type of a picture, by how it begins.
fn picture(seen: &Seen, begins: impl FnOnce() -> Vec<u8>) -> Option<&'static str> {
    if seen.is_text || seen.truncated {
        return None;
    }
    match begins().as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
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
    let told = Told::of(path, seen);
    let mut answer = Answer::new().structured(as_json(host, path, seen, &told));
    if seen.is_text && seen.read > 0 {
        answer = answer.blob(content.share());
    }
    if let Some(text) = told.text() {
        answer = answer.text(text);
    }
    if let Some(media_type) = seen.picture {
        answer = answer.image(content.share(), media_type);
    }
    answer.attach("content", content, encoding)
}

fn as_json(host: &str, path: &[u8], seen: &Seen, told: &Told) -> Object {
    let attributes = &seen.attributes;
    let (path, path_base64) = text::name(path);
    let mut object = Object::new().text("host", host).text("path", path.as_str());
    if let Some(bytes) = &path_base64 {
        object = object.text("path_base64", bytes.as_str());
    }
    if let Some(links) = seen.links() {
        object = object.integer("links", Some(links));
    }
    let object = object
        .text("kind", text::kind(attributes.kind))
        .integer("size", seen.size())
        .text("mode", attributes.mode.map(text::octal_mode).as_deref())
        .text("modified", attributes.modified.and_then(text::rfc3339).as_deref())
        .boolean("truncated", seen.truncated)
        .text("encoding", if seen.is_text { "utf-8" } else { "base64" })
        .text("note", told.note.as_deref())
        .text("read_on", told.read_on.as_deref());
    match &told.cursor {
        Some(cursor) => object.text("cursor", cursor.as_str()),
        None => object,
    }
}

/// What there is to say beside the bytes: nothing for a text that is shown in full.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    note: Option<String>,
    /// The query that reads as many bytes again from where these end.
    read_on: Option<String>,
    /// The cursor of what follows, of a text.
    cursor: Option<String>,
}

impl Told {
    fn of(path: &[u8], seen: &Seen) -> Self {
        let told = Self::of_content(path, seen);
        let Some(links) = seen.links() else { return told };
        let links = format!("the file has {links} names (hard links); this is one of them");
        let note = told.note.map_or_else(|| links.clone(), |note| format!("{note}; {links}"));
        Self { note: Some(note), ..told }
    }

    fn of_content(path: &[u8], seen: &Seen) -> Self {
        let size = |bytes| text::count(bytes, "byte", "bytes");
        let what = match seen.is_text {
            true => (seen.read == 0).then(|| "empty file".to_owned()),
            false => {
                let what = match seen.picture {
                    Some(media_type) => format!("picture ({media_type})"),
                    None => "binary file".to_owned(),
                };
                let what = seen.size().map_or_else(|| what.clone(), |total| format!("{what}, {}", size(total)));
                Some(format!("{what}; with `base64` true its bytes are answered in base64"))
            }
        };
        if !seen.truncated {
            return Self { note: what, ..Self::default() };
        }
        let of = seen.size().map_or_else(String::new, |total| format!(" of {total}"));
        let mut note = format!("first {}{of} bytes", seen.read);
        let read_on =
            text::operand(path).map(|path| format!("tail -c +{} {path} | head -c {}", seen.read + 1, seen.read));
        if read_on.is_none() {
            note.push_str("; its path cannot be written in a query that reads on");
        }
        let of = Version { size: seen.size(), modified: seen.attributes.modified };
        let cursor =
            Some(Mark { offset: seen.read - seen.unfinished, of }).filter(|_| seen.is_text).and_then(Mark::cursor);
        Self { note: Some(what.map_or_else(|| note.clone(), |what| format!("{what}: {note}"))), read_on, cursor }
    }

    /// For people.
    fn text(&self) -> Option<String> {
        let on = match (&self.read_on, &self.cursor) {
            (Some(query), Some(cursor)) => Some(format!("to read on: query `{query}`, or `cursor` {cursor}")),
            (Some(query), None) => Some(format!("to read on: query `{query}`")),
            (None, Some(cursor)) => Some(format!("to read on: `cursor` {cursor}")),
            (None, None) => None,
        };
        let parts: Vec<String> = self.note.iter().cloned().chain(on).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
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
    use super::{Seen, Told, as_json, no_file, picture};
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
        Seen { attributes, read, total: Some(size), truncated, is_text, picture: None, unfinished: 0 }
    }

    fn said(path: &[u8], seen: &Seen) -> Option<String> {
        Told::of(path, seen).text()
    }

    #[test]
    fn a_text_in_full_needs_no_note() {
        assert_eq!(said(b"/f", &seen(5, 5, false, true)), None);
        assert_eq!(said(b"/f", &seen(0, 0, false, true)).as_deref(), Some("empty file"));
    }

    #[test]
    fn a_cut_text_says_how_to_read_on() {
        assert_eq!(
            said(b"/var/log/a b", &seen(100, 250, true, true)).as_deref(),
            Some(
                "first 100 of 250 bytes; to read on: query `tail -c +101 '/var/log/a b' | head -c 100`, or `cursor` 100 250 0-unsealed"
            )
        );
        let told = Told::of(b"/f", &seen(100, 250, true, true));
        assert_eq!(told.note.as_deref(), Some("first 100 of 250 bytes"));
        assert_eq!(told.read_on.as_deref(), Some("tail -c +101 '/f' | head -c 100"));
        let endless = Seen { total: None, ..seen(100, 0, true, true) };
        assert!(said(b"/proc/x", &endless).is_some_and(|note| note.starts_with("first 100 bytes; to read on")));
        let nameless = Told::of(b"caf\xe9", &seen(3, 9, true, true));
        assert!(nameless.read_on.is_none() && nameless.note.is_some_and(|note| note.contains("cannot be written")));
    }

    #[test]
    fn a_binary_file_is_described() {
        assert_eq!(
            said(b"/f", &seen(9, 9, false, false)).as_deref(),
            Some("binary file, 9 bytes; with `base64` true its bytes are answered in base64")
        );
        assert!(
            said(b"/f", &seen(9, 20, true, false))
                .is_some_and(|note| note.contains(": first 9 of 20 bytes; to read on"))
        );
    }

    #[test]
    fn a_picture_that_was_read_in_full_is_one() {
        let of = |bytes: &[u8], truncated| picture(&seen(20, 20, truncated, false), || bytes.to_vec());
        for (bytes, media_type) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\r"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\x10\0\0\0WEBP", Some("image/webp")),
            (b"RIFF\x10\0\0\0WAVE", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!((of(bytes, false), of(bytes, true)), (media_type, None), "{bytes:?}");
        }
        let shown = Seen { picture: Some("image/png"), ..seen(9, 9, false, false) };
        let says = "picture (image/png), 9 bytes; with `base64` true its bytes are answered in base64";
        assert_eq!(said(b"/f", &shown).as_deref(), Some(says));
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
            let said = Told::of(b"/f", &seen);
            assert_eq!(said.note.as_deref(), told.then_some(says));
            assert_eq!(as_json("box", b"/f", &seen, &said).finish().contains("\"links\":3"), told);
        }
    }

    #[test]
    fn fields_are_those_of_the_file() {
        let told = Told { note: Some("first".to_owned()), ..Told::default() };
        assert_eq!(
            as_json("box", b"/f", &seen(5, 9, true, true), &told).finish(),
            "{\"host\":\"box\",\"path\":\"/f\",\"kind\":\"file\",\"size\":9,\"mode\":\"0640\",\
             \"modified\":\"1970-01-01T00:00:00Z\",\"truncated\":true,\"encoding\":\"utf-8\",\"note\":\"first\",\"read_on\":null}"
        );
    }

    #[test]
    fn what_is_no_file_is_named() {
        let error = no_file(b"/run/fifo", FileKind::Other, Some(0o010_600));
        assert_eq!(error.message, "`/run/fifo` is not a regular file or directory (a FIFO)");
    }
}
