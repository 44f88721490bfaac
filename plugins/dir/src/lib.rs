//! A directory, as a listing.

use scout_plugin::json::Object;
use scout_plugin::{
    Answer, Description, DirEntry, Error, ErrorKind, FileKind, Handler, Query, Subject, files, register, text,
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
        let host = query.host.ok_or_else(|| Error::new(ErrorKind::Invalid, "a directory needs a host"))?;
        let path = query.path.unwrap_or_else(|| HOME.to_vec());
        let entry = files::open(&host, &path)?;
        if entry.attributes().kind != FileKind::Directory {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("`{}` on {host} is not a directory", String::from_utf8_lossy(&path)),
            ));
        }
        let mut entries = entry.entries();
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let truncated = entry.truncated();
        Ok(Answer::new()
            .text(as_text(&path, &entries, truncated))
            .structured(as_json(&host, &path, &entries, truncated)))
    }
}

fn as_json(host: &str, path: &[u8], entries: &[DirEntry], truncated: bool) -> Object {
    let (path, path_base64) = text::name(path);
    let mut object = Object::new().text("host", host).text("path", path.as_str());
    if let Some(bytes) = &path_base64 {
        object = object.text("path_base64", bytes.as_str());
    }
    object.text("kind", "directory").boolean("truncated", truncated).objects("entries", entries.iter().map(entry_json))
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

/// As `ls -la` shows it, with the marks of `ls -F` for directories and links.
fn as_text(path: &[u8], entries: &[DirEntry], truncated: bool) -> String {
    let rows: Vec<[String; 4]> = entries
        .iter()
        .map(|entry| {
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
        })
        .collect();
    format!("{}\n{}", summary(path, entries, truncated), text::table(&rows, [false, true, false, false]))
}

/// A name without line ends of its own: each entry is one line, whatever it is called.
fn one_line(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace('\n', "\\n").replace('\r', "\\r")
}

fn summary(path: &[u8], entries: &[DirEntry], truncated: bool) -> String {
    let of = |kind: FileKind| entries.iter().filter(|entry| entry.attributes.kind == kind).count() as u64;
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
    let path = one_line(path);
    if parts.is_empty() && !truncated {
        return format!("{path}: empty");
    }
    let total = text::count(entries.len() as u64, "entry", "entries");
    let cut = if truncated { "the first " } else { "" };
    let more = if truncated { "; the directory holds more: name a path below it" } else { "" };
    format!("{path}: {cut}{total} ({}){more}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{as_json, as_text};
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
        let entries = [
            entry(b"a", FileKind::Directory, 0o040_755, 4096),
            entry(b"b\nc", FileKind::File, 0o100_644, 7),
            entry(b"l", FileKind::Symlink, 0o120_777, 1),
        ];
        assert_eq!(
            as_text(b"/srv", &entries, false),
            "/srv: 3 entries (1 directory, 1 file, 1 symbolic link)\n\
             drwxr-xr-x  4096  2023-11-14T22:13:20Z  a/\n\
             -rw-r--r--     7  2023-11-14T22:13:20Z  b\\nc\n\
             lrwxrwxrwx     1  2023-11-14T22:13:20Z  l@\n"
        );
    }

    #[test]
    fn an_empty_and_a_cut_directory_say_so() {
        assert_eq!(as_text(b"/srv", &[], false), "/srv: empty\n");
        let cut = as_text(b"/srv", &[entry(b"a", FileKind::File, 0o100_600, 0)], true);
        assert!(cut.starts_with("/srv: the first 1 entry (1 file); the directory holds more"), "{cut}");
    }

    #[test]
    fn a_name_that_is_not_utf8_keeps_its_bytes() {
        let json = as_json("box", b"/srv", &[entry(b"caf\xe9", FileKind::File, 0o100_644, 5)], false).finish();
        assert_eq!(
            json,
            "{\"host\":\"box\",\"path\":\"/srv\",\"kind\":\"directory\",\"truncated\":false,\"entries\":[{\"name\":\"caf\u{fffd}\",\
             \"name_base64\":\"Y2Fm6Q==\",\"kind\":\"file\",\"size\":5,\"mode\":\"0644\",\"modified\":\"2023-11-14T22:13:20Z\"}]}"
        );
    }
}
