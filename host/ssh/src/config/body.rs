//! One file's items in blocks, found by the name that is looked up.
//!
//! Most blocks of a large configuration are for one host each. Whoever looks a host up visits the blocks that any host may be
//! in, and those that name this one: what it takes does not grow with the number of the others.

use std::collections::HashMap;
use std::ops::Range;

use super::parse::Item;

/// Numbers of things in order: those for all names, and those for each.
#[derive(Debug, Default)]
struct Selection {
    always: Vec<usize>,
    by_name: HashMap<Box<str>, Vec<usize>>,
}

impl Selection {
    fn add(&mut self, number: usize, names: Option<&[String]>) {
        let Some(names) = names else { return self.always.push(number) };
        for name in names {
            let numbers = self.by_name.entry(name.as_str().into()).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
    }

    /// The numbers for a name, in order, and whether each is there because of it.
    fn of(&self, name: &str) -> impl Iterator<Item = (usize, bool)> {
        let mut always = self.always.iter().copied().peekable();
        let mut own = self.by_name.get(name).into_iter().flatten().copied().peekable();
        std::iter::from_fn(move || match (always.peek(), own.peek()) {
            (Some(one), Some(other)) if one > other => own.next().map(|number| (number, true)),
            (Some(_), _) => always.next().map(|number| (number, false)),
            (None, _) => own.next().map(|number| (number, true)),
        })
    }
}

/// A file's items.
#[derive(Debug, Default)]
pub(super) struct Body {
    items: Vec<Item>,
    /// Each begins with its `Host` or `Match`, but the first.
    blocks: Vec<Range<usize>>,
    selection: Selection,
}

impl Body {
    pub(super) fn new(items: Vec<Item>) -> Self {
        let heads = items.iter().enumerate().filter(|(_, item)| is_head(item)).map(|(number, _)| number);
        let mut starts: Vec<usize> = std::iter::once(0).chain(heads).collect();
        starts.dedup();
        let ends = starts.iter().skip(1).copied().chain([items.len()]);
        let blocks: Vec<_> = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
        let mut selection = Selection::default();
        for (number, block) in blocks.iter().enumerate() {
            let block = items.get(block.clone()).unwrap_or_default();
            if !block.is_empty() {
                selection.add(number, names(block));
            }
        }
        Self { items, blocks, selection }
    }

    /// All items.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The blocks that may say something of this name, in order. Of those with `true`, the patterns match.
    pub(super) fn blocks(&self, name: &str) -> impl Iterator<Item = (&[Item], bool)> {
        let block = |number: usize| self.blocks.get(number).and_then(|range| self.items.get(range.clone()));
        self.selection.of(name).map(move |(number, is_own)| (block(number).unwrap_or_default(), is_own))
    }
}

/// The files of an `Include`.
#[derive(Debug, Default)]
pub(super) struct Included {
    files: Vec<Body>,
    selection: Selection,
}

impl Included {
    pub(super) fn new(files: Vec<Body>) -> Self {
        let mut selection = Selection::default();
        for (number, file) in files.iter().enumerate() {
            if file.selection.always.is_empty() {
                let names: Vec<String> = file.selection.by_name.keys().map(|name| name.to_string()).collect();
                selection.add(number, Some(&names));
            } else {
                selection.add(number, None);
            }
        }
        Self { files, selection }
    }

    /// All files.
    pub(super) fn files(&self) -> &[Body] {
        &self.files
    }

    /// The files that may say something of this name, in order.
    pub(super) fn files_for(&self, name: &str) -> impl Iterator<Item = &Body> {
        self.selection.of(name).filter_map(|(number, _)| self.files.get(number))
    }
}

fn is_head(item: &Item) -> bool {
    matches!(item, Item::Host(_) | Item::Match(..) | Item::BadBlock(..))
}

/// The only names that a block can matter for; `None`: any. What is included may say things that count wherever they stand.
fn names(block: &[Item]) -> Option<&[String]> {
    let (Item::Host(patterns), rest) = block.split_first()? else { return None };
    let is_literal = |name: &String| !name.contains(['*', '?']) && !name.starts_with('!');
    let includes = rest.iter().any(|item| matches!(item, Item::Include(_)));
    (patterns.iter().all(is_literal) && !includes).then_some(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(names: &[&str]) -> Item {
        Item::Host(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn only_blocks_for_the_name_or_for_any_are_visited_in_order() {
        let body = Body::new(vec![
            host(&["a", "b"]),
            host(&["*"]),
            host(&["b"]),
            host(&["c", "!d"]),
            Item::Include(Included::default()),
            host(&["a", "a"]),
        ]);
        let visited = |name: &str| -> Vec<(usize, bool)> {
            body.blocks(name).map(|(block, is_own)| (block.len(), is_own)).collect()
        };
        assert_eq!(visited("a"), [(1, true), (1, false), (2, false), (1, true)]);
        assert_eq!(visited("b"), [(1, true), (1, false), (1, true), (2, false)]);
        assert_eq!(visited("other"), [(1, false), (2, false)]);
        let files = Included::new(vec![Body::new(vec![host(&["x"])]), Body::new(vec![host(&["y", "*"])])]);
        assert_eq!(files.files_for("x").count(), 2);
        assert_eq!(files.files_for("y").count(), 1);
    }
}
