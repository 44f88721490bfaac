//! One file in blocks, found by the name that is looked up.
//!
//! Most blocks of a large configuration are for one host each. Whoever looks a host up visits the blocks that any host may be
//! in, and those that name this one: what it takes does not grow with the number of the others. The lines of a block are kept
//! as they are written, and read when the block is visited.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest as _, Sha1};

use super::names::is_literal;
use super::parse::{Item, Line};
use super::refusal::At;
use super::{lex, matching, parse};

/// Numbers of things in order: those for all names, and those for each.
#[derive(Debug, Default)]
struct Index {
    always: Vec<u32>,
    /// Hashes of names with what they are in, in order. Two names may have the same.
    by_hash: Vec<(u32, u32)>,
}

fn hash(name: &str) -> u32 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name) as u32
}

impl Index {
    fn add(&mut self, number: u32, hashes: impl Iterator<Item = u32>) {
        self.by_hash.extend(hashes.map(|hash| (hash, number)));
    }

    /// To be called when all is added.
    fn finish(&mut self) {
        self.by_hash.sort_unstable();
        self.by_hash.dedup();
        self.by_hash.shrink_to_fit();
    }

    /// The numbers for a name, in order, and whether each is there because of it or of one with the same hash.
    fn of(&self, name: &str) -> impl Iterator<Item = (u32, bool)> {
        let hash = hash(name);
        let from = self.by_hash.partition_point(|(other, _)| *other < hash);
        let own = self.by_hash.get(from..).unwrap_or_default().iter().take_while(move |(other, _)| *other == hash);
        let (mut always, mut own) = (self.always.iter().copied().peekable(), own.map(|(_, number)| *number).peekable());
        std::iter::from_fn(move || match (always.peek(), own.peek()) {
            (Some(one), Some(other)) if one > other => own.next().map(|number| (number, true)),
            (Some(_), _) => always.next().map(|number| (number, false)),
            (None, _) => own.next().map(|number| (number, true)),
        })
    }
}

/// The lines from one `Host` or `Match` to the next, or before the first.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Where it is in the text, from its first line that is no comment to the end of the last.
    start: u32,
    end: u32,
    /// The number of its first line.
    line: u32,
    has_head: bool,
    /// Whether it says `ProxyUseFdpass yes`.
    uses_fdpass: bool,
}

impl Block {
    fn new(at: LineAt, has_head: bool) -> Self {
        let LineAt { number, start, end } = at;
        Self { start, end, line: number, has_head, uses_fdpass: false }
    }
}

/// A file: its text, and what is read of it ahead.
#[derive(Debug)]
pub(super) struct Body {
    file: Arc<Path>,
    text: Box<str>,
    blocks: Vec<Block>,
    /// `Match` and `Include` lines, and `Host` lines with patterns, each with the number of its line, in order.
    items: Vec<(u32, Item)>,
    index: Index,
    /// Whether a `Match` in it or below it makes OpenSSH read all files again, wherever it stands.
    names_final: bool,
}

impl Body {
    /// Adds all that was read, and from where.
    pub(super) fn digest(&self, digest: &mut Sha1) {
        for part in [self.file.as_os_str().as_bytes(), self.text.as_bytes()] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        for item in self.items() {
            if let Item::Include(included) = item {
                included.files.iter().for_each(|file| file.digest(digest));
            }
        }
    }

    /// All that is read ahead, in order.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().map(|(_, item)| item)
    }

    /// All blocks, in order.
    pub(super) fn blocks(&self) -> impl Iterator<Item = BlockRef<'_>> {
        (0..self.blocks.len()).filter_map(|number| self.block(number))
    }

    /// The blocks that may say something of this name, in order. Of those with `true`, the `Host` line is known to match.
    pub(super) fn blocks_for(&self, name: &str) -> impl Iterator<Item = (BlockRef<'_>, bool)> {
        self.index.of(name).filter_map(move |(number, is_own)| {
            let block = self.block(number as usize)?;
            let is_named = || block.patterns().is_some_and(|names| names.iter().any(|own| own == name));
            (!is_own || is_named()).then_some((block, is_own))
        })
    }

    fn block(&self, number: usize) -> Option<BlockRef<'_>> {
        let block = *self.blocks.get(number)?;
        let next = self.blocks.get(number + 1).map_or(u32::MAX, |next| next.line);
        Some(BlockRef { body: self, block, next })
    }
}

/// One block of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRef<'a> {
    body: &'a Body,
    block: Block,
    /// The first line of the next one.
    next: u32,
}

impl<'a> BlockRef<'a> {
    /// Whether it says `ProxyUseFdpass yes`.
    pub(super) fn uses_fdpass(&self) -> bool {
        self.block.uses_fdpass
    }

    /// What it begins with, if that was read ahead.
    pub(super) fn head(&self) -> Option<&'a Item> {
        self.ahead().next().filter(|(line, _)| self.block.has_head && *line == self.block.line).map(|(_, item)| item)
    }

    /// The names and patterns of its `Host` line, if it begins with one.
    pub(super) fn patterns(&self) -> Option<Cow<'a, [String]>> {
        match self.head() {
            Some(Item::Host(patterns)) => Some(patterns.into()),
            Some(Item::Match(..) | Item::BadBlock(..) | Item::Bad(..) | Item::Include(_)) => None,
            None => lex::split(self.head_line()?)?.arguments().ok().map(Cow::Owned),
        }
    }

    /// The names of its `Host` line, if they are known to be no patterns without splitting it.
    pub(super) fn plain_names(&self) -> Option<impl Iterator<Item = &'a str>> {
        parse::plain_names(self.head_line()?)
    }

    fn head_line(&self) -> Option<&'a str> {
        self.text().split('\n').next().filter(|_| self.block.has_head)
    }

    /// What it includes.
    pub(super) fn includes(&self) -> impl Iterator<Item = &'a Included> {
        self.ahead().filter_map(|(_, item)| if let Item::Include(included) = item { Some(included) } else { None })
    }

    /// Its lines behind what it begins with.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'a>> {
        let (body, mut ahead) = (self.body, self.ahead().peekable());
        let first = self.block.line + u32::from(self.block.has_head);
        ahead.next_if(|(number, _)| *number < first);
        let lines = self.text().split('\n').skip(usize::from(self.block.has_head)).zip(first..);
        lines.filter_map(move |(text, line)| match ahead.next_if(|(number, _)| *number == line) {
            Some((_, item)) => parse::line_of(item),
            None => Some(parse::setting(At { file: Arc::clone(&body.file), line }, lex::split(text)?)),
        })
    }

    fn text(&self) -> &'a str {
        self.body.text.get(self.block.start as usize..self.block.end as usize).unwrap_or_default()
    }

    /// Its lines that are read ahead.
    fn ahead(&self) -> impl Iterator<Item = &'a (u32, Item)> {
        let (items, next) = (&self.body.items, self.next);
        let first = items.partition_point(|(line, _)| *line < self.block.line);
        items.iter().skip(first).take_while(move |(line, _)| *line < next)
    }
}

/// Where a line is: its number, and its bytes in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineAt {
    pub(super) number: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A [`Body`] that is being read, line by line.
#[derive(Debug)]
pub(super) struct Builder {
    body: Body,
    /// Whether the last block is found by its names, and where those begin in the index.
    by_name: bool,
    names_from: usize,
}

impl Builder {
    pub(super) fn new(file: Arc<Path>) -> Self {
        let (text, index) = (Box::default(), Index::default());
        let body = Body { file, text, blocks: Vec::new(), items: Vec::new(), index, names_final: false };
        Self { body, by_name: false, names_from: 0 }
    }

    /// A line that is read when its block is visited.
    pub(super) fn setting(&mut self, at: LineAt, uses_fdpass: bool) {
        match self.body.blocks.last_mut() {
            Some(block) => {
                block.end = at.end;
                block.uses_fdpass |= uses_fdpass;
            }
            None => self.body.blocks.push(Block::new(at, false)),
        }
    }

    /// A `Host` line of names that are no patterns.
    pub(super) fn names<'a>(&mut self, at: LineAt, names: impl Iterator<Item = &'a str>) {
        self.begin(at);
        self.by_name = true;
        self.body.index.add(number(self.body.blocks.len() - 1), names.map(hash));
    }

    /// Another line that is read ahead.
    pub(super) fn item(&mut self, at: LineAt, item: Item) {
        match &item {
            Item::Host(patterns) if patterns.iter().all(|name| is_literal(name)) => {
                return self.names(at, patterns.iter().map(String::as_str));
            }
            Item::Host(_) | Item::BadBlock(..) => self.begin(at),
            Item::Match(_, criteria) => {
                self.begin(at);
                self.body.names_final |= matching::wants_second_pass(criteria);
            }
            Item::Include(included) => {
                self.setting(at, false);
                if included.files.iter().any(|file| file.names_final) {
                    // It counts for others than those who are named, too.
                    self.body.names_final = true;
                    self.by_name = false;
                    self.body.index.by_hash.truncate(self.names_from);
                }
            }
            Item::Bad(..) => self.setting(at, false),
        }
        self.body.items.push((at.number, item));
    }

    /// The file, whose text this is.
    pub(super) fn finish(mut self, text: String) -> Body {
        self.end();
        self.body.text = text.into();
        self.body.blocks.shrink_to_fit();
        self.body.index.finish();
        self.body
    }

    fn begin(&mut self, at: LineAt) {
        self.end();
        self.body.blocks.push(Block::new(at, true));
        self.by_name = false;
        self.names_from = self.body.index.by_hash.len();
    }

    fn end(&mut self) {
        if let (false, Some(last)) = (self.by_name, self.body.blocks.len().checked_sub(1)) {
            self.body.index.always.push(number(last));
        }
    }
}

/// A place in a list that is shorter than its file.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The files of an `Include`.
#[derive(Debug)]
pub(super) struct Included {
    files: Vec<Body>,
    index: Index,
}

impl Included {
    pub(super) fn new(files: Vec<Body>) -> Self {
        let mut index = Index::default();
        for (number, file) in (0..).zip(&files) {
            if file.index.always.is_empty() {
                index.add(number, file.index.by_hash.iter().map(|(hash, _)| *hash));
            } else {
                index.always.push(number);
            }
        }
        index.finish();
        Self { files, index }
    }

    /// All files.
    pub(super) fn files(&self) -> &[Body] {
        &self.files
    }

    /// The files that may say something of this name, in order.
    pub(super) fn files_for(&self, name: &str) -> impl Iterator<Item = &Body> {
        self.index.of(name).filter_map(|(number, _)| self.files.get(number as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse::{Parser, Place};

    fn body(text: &str) -> Body {
        let place = Place { include_directory: "/nonexistent".into(), home: Path::new("/nonexistent"), is_user: true };
        Parser::default().lines(Path::new("config"), text.to_owned(), &place, 0)
    }

    #[test]
    fn only_blocks_for_the_name_or_for_any_are_visited_in_order() {
        let text = "Host a b\n User x\nHost *\n#\nHost b\nHost c !d\n Port 1\nPort 2\nHost a a\n";
        let body = body(text);
        let visited = |name: &str| -> Vec<(u32, bool)> {
            body.blocks_for(name).map(|(block, is_own)| (block.block.line, is_own)).collect()
        };
        assert_eq!(visited("a"), [(1, true), (3, false), (6, false), (9, true)]);
        assert_eq!(visited("b"), [(1, true), (3, false), (5, true), (6, false)]);
        assert_eq!(visited("other"), [(3, false), (6, false)]);
        let files =
            Included::new(vec![self::body("# of x\nHost x\n"), self::body("Host y *\n"), self::body("\nPort 1\n")]);
        assert_eq!((files.files_for("x").count(), files.files_for("y").count()), (3, 2));
    }

    #[test]
    fn names_with_one_hash_do_not_share_blocks() {
        let mut body = body("Host a\nHost b\n");
        let hash = hash("a");
        body.index.by_hash = vec![(hash, 0), (hash, 1)];
        assert_eq!(body.blocks_for("a").map(|(block, _)| block.block.line).collect::<Vec<_>>(), [1]);
    }
}
