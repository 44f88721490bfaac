//! What lies below a directory, drawn as `tree` does.

use scout_plugin::json::Object;
use scout_plugin::{Answer, Arguments, Error, FileKind, text};

use crate::walk::{Node, OnHost, Walk, walk};

/// Levels, where nothing else is asked for.
const DEPTH: u64 = 5;
/// Entries of one tree: some 30,000 tokens; more helps nobody.
const MOST: usize = 2_000;
/// What their names may take as they are written, in bytes.
const WRITTEN: usize = 1 << 20;

/// The tree below a path.
///
/// # Errors
/// Why the directory cannot be listed.
pub(crate) fn answer(host: &str, path: &[u8], arguments: &Arguments) -> Result<Answer, Error> {
    let depth = arguments.number("depth").unwrap_or(DEPTH);
    let mut walk = walk(&OnHost(host), path, depth, MOST)?;
    walk.fit(WRITTEN);
    Ok(Answer::new().text(as_text(path, &walk)).structured(as_json(host, path, depth, &walk)))
}

fn as_text(path: &[u8], walk: &Walk) -> String {
    let mut out = shown(path);
    out.push('\n');
    for (at, node) in walk.nodes.iter().enumerate() {
        let rest = walk.nodes.get(at + 1..).unwrap_or_default();
        for level in 1..node.depth {
            out.push_str(if goes_on(rest, level) { "│   " } else { "    " });
        }
        out.push_str(if goes_on(rest, node.depth) { "├── " } else { "└── " });
        out.push_str(&shown(node.name()));
        out.push_str(mark(node.attributes.kind));
        out.push('\n');
    }
    let of = |kind| walk.nodes.iter().filter(|node| node.attributes.kind == kind).count() as u64;
    let directories = of(FileKind::Directory);
    let others = walk.nodes.len() as u64 - directories;
    let counted = [text::count(directories, "directory", "directories"), text::count(others, "file", "files")];
    out.push_str(&counted.join(", "));
    out.push('\n');
    for note in walk.notes() {
        out.push_str(&note);
        out.push('\n');
    }
    out
}

/// Whether something of this level follows before one of a level above does.
fn goes_on(rest: &[Node], level: u64) -> bool {
    rest.iter().find(|node| node.depth <= level).is_some_and(|node| node.depth == level)
}

/// As `ls -F` marks it.
fn mark(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Directory => "/",
        FileKind::Symlink => "@",
        FileKind::File | FileKind::Other => "",
    }
}

fn shown(name: &[u8]) -> String {
    text::one_line(&String::from_utf8_lossy(name))
}

fn as_json(host: &str, path: &[u8], depth: u64, walk: &Walk) -> Object {
    let notes = walk.notes();
    named(Object::new().text("host", host), "path", path)
        .integer("depth", depth)
        .boolean("truncated", !notes.is_empty())
        .text("note", (!notes.is_empty()).then(|| notes.join("; ")).as_deref())
        .each("entries", &walk.nodes, entry)
}

/// A path or a name, and its bytes where the text does not say all of them.
pub(crate) fn named(object: Object, field: &str, bytes: &[u8]) -> Object {
    let (name, base64) = text::name(bytes);
    let object = object.text(field, name.as_str());
    match base64 {
        Some(base64) => object.text(&format!("{field}_base64"), base64.as_str()),
        None => object,
    }
}

/// What is told of something below a directory.
pub(crate) fn entry(object: Object, node: &Node) -> Object {
    let attributes = &node.attributes;
    named(object, "name", &node.path)
        .text("kind", text::kind(attributes.kind))
        .integer("size", attributes.size)
        .text("modified", attributes.modified.and_then(text::rfc3339).as_deref())
}

#[cfg(test)]
mod tests {
    use super::{as_json, as_text};
    use crate::walk::tests::Faked;
    use crate::walk::walk;

    #[test]
    fn a_tree_is_drawn_with_what_was_not_seen() {
        let faked = Faked::new("/srv", &["a/", "a/b/", "a/b/c\nd", "a/e", "f@", "g"]);
        let seen = walk(&faked, b"/srv", 3, 99).expect("it is there");
        assert_eq!(
            as_text(b"/srv", &seen),
            "/srv\n├── a/\n│   ├── b/\n│   │   └── c\\nd\n│   └── e\n├── f@\n└── g\n2 directories, 4 files\n"
        );
        let seen = walk(&faked, b"/srv", 1, 99).expect("it is there");
        assert_eq!(
            as_text(b"/srv", &seen),
            "/srv\n├── a/\n├── f@\n└── g\n1 directory, 2 files\n1 directory below level 1 not looked into\n"
        );
    }

    #[test]
    fn fields_name_paths_below_the_directory() {
        let faked = Faked::new("/srv", &["a/", "a/x"]);
        let json = as_json("box", b"/srv", 3, &walk(&faked, b"/srv", 3, 99).expect("it is there")).finish();
        assert_eq!(
            json,
            "{\"host\":\"box\",\"path\":\"/srv\",\"depth\":3,\"truncated\":false,\"note\":null,\"entries\":[\
             {\"name\":\"a\",\"kind\":\"directory\",\"size\":1,\"modified\":\"2023-11-14T22:13:20Z\"},\
             {\"name\":\"a/x\",\"kind\":\"file\",\"size\":3,\"modified\":\"2023-11-14T22:13:20Z\"}]}"
        );
    }
}
