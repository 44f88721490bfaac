//! Names below a directory that fit a pattern: the host's own `find` where it may run and can print what is asked, else a walk.

use scout_plugin::exec::{self, Output, Pipeline, Stage, StderrTo, Word};
use scout_plugin::files;
use scout_plugin::json::Object;
use scout_plugin::rows::{Asked, Cell, Column, Kind, Row, Shape};
use scout_plugin::{Answer, Arguments, Attributes, Error, FileKind, text};

use crate::tree::named;
use crate::walk::{Node, OnHost, Walk, walk};

/// Levels, where nothing else is asked for.
const DEPTH: u64 = 5;
/// Entries that a walk looks at.
const LOOKED_AT: usize = 20_000;
/// What `find` prints of each: kind, size, time, owner's number, path.
const FORMAT: &str = "%y %s %T@ %U %P\\0";

/// What clients ask of the names that were found.
const SHAPE: Shape = Shape {
    tool: "find",
    list: "entries",
    columns: &[
        Column::new("name", Kind::Text),
        Column::new("name_base64", Kind::Text).beside("name"),
        Column::new("kind", Kind::Text),
        Column::new("size", Kind::Bytes),
        Column::new("modified", Kind::Time),
        Column::new("uid", Kind::Number),
    ],
    limit: 500,
};

/// The types that can be asked for, as they are given, with the letter of `find`.
const TYPES: [(&str, &str, FileKind); 6] = [
    ("file", "f", FileKind::File),
    ("directory", "d", FileKind::Directory),
    ("symlink", "l", FileKind::Symlink),
    ("f", "f", FileKind::File),
    ("d", "d", FileKind::Directory),
    ("l", "l", FileKind::Symlink),
];

/// What is looked for.
struct Sought<'a> {
    pattern: &'a str,
    kind: Option<(&'static str, FileKind)>,
    depth: u64,
}

/// What lies below a path and fits.
///
/// # Errors
/// Why the directory cannot be looked at.
pub(crate) fn answer(host: &str, path: &[u8], arguments: &Arguments) -> Result<Answer, Error> {
    let asked = SHAPE.ask(&arguments.beside(&[("host", host), ("path", &text::name(path).0)]))?;
    let kind = arguments.text("type");
    let sought = Sought {
        pattern: arguments.text("find").unwrap_or("*"),
        kind: TYPES.iter().find(|(name, ..)| Some(*name) == kind).map(|(_, letter, kind)| (*letter, *kind)),
        depth: arguments.number("depth").unwrap_or(DEPTH),
    };
    // Whether that may be looked at, and where it truly lies, is judged as of a file; a command is judged by its words.
    files::stat(host, path)?;
    let found = match by_the_host(host, path, &sought) {
        Some(found) => found,
        None => sought.among(walk(&OnHost(host), path, sought.depth, LOOKED_AT)?),
    };
    Ok(found.answer(asked, path, &sought))
}

/// As the host's `find` sees it; absent where that cannot tell.
fn by_the_host(host: &str, path: &[u8], sought: &Sought<'_>) -> Option<Walk> {
    let depth = sought.depth.to_string();
    let mut words = vec!["find", ".", "-mindepth", "1", "-maxdepth", &depth];
    if let Some((letter, _)) = sought.kind {
        words.extend(["-type", letter]);
    }
    let pattern = escaped(sought.pattern);
    words.extend(["-name", &pattern, "-printf", FORMAT]);
    let words = words.into_iter().map(|word| Word::Literal(word.to_owned())).collect();
    let stage = Stage { words, stderr: StderrTo::Capture };
    let pipeline = Pipeline { stages: vec![stage], directory: Some(path.to_vec()) };
    read(&exec::output_of(host, &pipeline).ok()?)
}

/// A pattern for `find`, in which brackets stand for themselves.
fn escaped(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        if matches!(character, '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// What `find` printed. Absent where it could not print it, or could not look at all.
fn read(output: &Output) -> Option<Walk> {
    if output.exit.is_some_and(|status| status != 0) && output.stdout.is_empty() {
        return None;
    }
    let mut walk = Walk::default();
    let mut lines: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    // Behind the last NUL nothing is whole.
    lines.pop();
    for line in lines {
        walk.nodes.push(node(line)?);
    }
    if output.truncated {
        walk.left_out
            .push("`find` printed more than the output limit: the directory was not seen to its end".to_owned());
    }
    let complaints: Vec<&str> = output.stderr.lines().collect();
    const TOLD: usize = 5;
    walk.left_out.extend(complaints.iter().take(TOLD).map(|line| text::clipped(line, 200)));
    if complaints.len() > TOLD {
        walk.left_out.push(format!("and {} more complaints of `find`", complaints.len() - TOLD));
    }
    walk.sort();
    Some(walk)
}

fn node(line: &[u8]) -> Option<Node> {
    let mut parts = line.splitn(5, |byte| *byte == b' ');
    let mut next = || parts.next();
    let kind = match next()? {
        b"f" => FileKind::File,
        b"d" => FileKind::Directory,
        b"l" => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let number = |part: &[u8]| std::str::from_utf8(part).ok()?.split('.').next()?.parse::<u64>().ok();
    let (size, modified, uid) = (number(next()?), number(next()?), number(next()?));
    let path = next().filter(|path| !path.is_empty())?.to_vec();
    let uid = uid.and_then(|uid| u32::try_from(uid).ok());
    let attributes = Attributes { kind, size, mode: None, uid, gid: None, links: None, modified };
    let depth = 1 + path.iter().filter(|byte| **byte == b'/').count() as u64;
    Some(Node { path, depth, attributes })
}

impl Sought<'_> {
    /// What of a walk fits.
    fn among(&self, mut walk: Walk) -> Walk {
        walk.nodes.retain(|node| {
            let is_kind = self.kind.is_none_or(|(_, kind)| node.attributes.kind == kind);
            is_kind && text::matches(self.pattern, &String::from_utf8_lossy(node.name()))
        });
        walk
    }
}

impl Walk {
    fn answer(self, asked: Asked, path: &[u8], sought: &Sought<'_>) -> Answer {
        let notes = self.notes();
        let object = named(Object::new().text("host", asked.host()), "path", path)
            .text("find", sought.pattern)
            .integer("depth", sought.depth)
            .boolean("truncated", !notes.is_empty())
            .text("note", (!notes.is_empty()).then(|| notes.join("; ")).as_deref());
        let page = asked.page(self.nodes.into_iter().map(row).collect()).notes(notes);
        Answer::new().text(page.text().trim_end()).structured(page.json(object))
    }
}

/// What was found, in the columns of [`SHAPE`].
fn row(node: Node) -> Row {
    let (name, name_base64) = text::name(&node.path);
    let attributes = node.attributes;
    vec![
        Cell::Text(name),
        Cell::text(name_base64.as_deref()),
        Cell::text(text::kind(attributes.kind)),
        Cell::number(attributes.size),
        Cell::text(attributes.modified.and_then(text::rfc3339).as_deref()),
        Cell::number(attributes.uid.map(u64::from)),
    ]
}

#[cfg(test)]
mod tests {
    use scout_plugin::FileKind;
    use scout_plugin::exec::Output;

    use super::{Sought, escaped, read};
    use crate::walk::tests::Faked;
    use crate::walk::walk;

    fn output(stdout: &[u8], exit: Option<u32>, stderr: &str) -> Output {
        Output { exit, stdout: stdout.to_vec(), stderr: stderr.to_owned(), truncated: exit.is_none() }
    }

    #[test]
    fn what_find_prints_is_read_to_the_last_whole_name() {
        let printed = b"f 12 1700000000.5 0 a b\nc\0d 4096 -1.0 1000 x/y\0s 0 1.0 0 sock\0f 1 1.0 0 cut";
        let walk = read(&output(printed, None, "find: './z': Permission denied\n")).expect("it is whole");
        let nodes: Vec<_> = walk.nodes.iter().map(|node| (node.path.as_slice(), node.depth, node.attributes)).collect();
        assert_eq!(
            nodes.iter().map(|(path, depth, _)| (*path, *depth)).collect::<Vec<_>>(),
            [(&b"a b\nc"[..], 1), (b"sock", 1), (b"x/y", 2)]
        );
        assert_eq!(
            nodes.iter().map(|(.., it)| it.kind).collect::<Vec<_>>(),
            [FileKind::File, FileKind::Other, FileKind::Directory]
        );
        assert_eq!(
            nodes.first().map(|(.., it)| (it.size, it.modified, it.uid)),
            Some((Some(12), Some(1_700_000_000), Some(0)))
        );
        assert_eq!(nodes.last().and_then(|(.., it)| it.modified), None, "before 1970");
        assert!(walk.notes().iter().any(|note| note.contains("output limit")));
        assert!(walk.notes().iter().any(|note| note.contains("Permission denied")));
    }

    #[test]
    fn a_find_that_cannot_print_it_is_not_believed() {
        assert!(read(&output(b"", Some(1), "find: unrecognized: -printf\n")).is_none());
        assert!(read(&output(b"", Some(0), "")).is_some_and(|walk| walk.nodes.is_empty()));
        assert!(read(&output(b"./a\0./b\0", Some(0), "")).is_none());
    }

    #[test]
    fn a_pattern_means_the_same_to_find_and_to_a_walk() {
        assert_eq!(escaped("a*[b]?\\"), "a*\\[b\\]?\\\\");
        let faked = Faked::new("/srv", &["x/", "x/a.log", "x/b.txt", "l.log@", "[b].log"]);
        let names = |pattern: &str, kind| {
            let sought = Sought { pattern, kind, depth: 9 };
            let found = sought.among(walk(&faked, b"/srv", 9, 99).expect("it is there"));
            found.nodes.iter().map(|node| String::from_utf8_lossy(&node.path).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("*.log", None), ["[b].log", "l.log", "x/a.log"]);
        assert_eq!(names("*.log", Some(("l", FileKind::Symlink))), ["l.log"]);
        assert_eq!(names("[b]*", None), ["[b].log"]);
    }
}
