//! The names on `Host` lines.

use super::parse::{Item, Statement};
use super::{pattern, value};

/// Why a block's names are no hosts here.
const FDPASS: &str = "ProxyUseFdpass: its program hands an open socket over, which Scout does not take";
const UNWRITABLE: &str = "no target can name it: it holds `/`, blanks or control characters";

fn is_literal(name: &str) -> bool {
    !name.contains(['*', '?']) && !name.starts_with('!')
}

fn matches(name: &str, patterns: &[String]) -> bool {
    pattern::matches_list(name, patterns.iter().map(String::as_str))
}

/// Visits the literal names in `items` that can match, each with why it is left out, if so: inside an `Include` in a `Host`
/// block, only those of that block.
pub(super) fn literal(items: &[Item], around: &[&[String]], visit: &mut impl FnMut(&str, Option<&'static str>)) {
    let mut block: Option<&[String]> = None;
    for (number, item) in items.iter().enumerate() {
        match item {
            Item::Host(patterns) => {
                block = Some(patterns);
                let takes_all = patterns.iter().all(|name| !name.starts_with('!'));
                let fdpass = items.get(number + 1..).is_some_and(uses_fdpass).then_some(FDPASS);
                for name in patterns.iter().filter(|name| is_literal(name)) {
                    if (takes_all || matches(name, patterns)) && around.iter().all(|patterns| matches(name, patterns)) {
                        let is_odd = name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
                        visit(name, fdpass.or(is_odd.then_some(UNWRITABLE)));
                    }
                }
            }
            Item::Include(included) => {
                let mut around = around.to_vec();
                around.extend(block);
                for file in included.files() {
                    literal(file.items(), &around, visit);
                }
            }
            Item::Match(..) | Item::BadBlock(..) => block = None,
            Item::Setting(..) | Item::Bad(..) => {}
        }
    }
}

/// Whether the lines up to the next block say so.
fn uses_fdpass(items: &[Item]) -> bool {
    let lines = items.iter().take_while(|item| !matches!(item, Item::Host(_) | Item::Match(..) | Item::BadBlock(..)));
    let says = |statement: &Statement| {
        let line = statement.line();
        line.keyword.eq_ignore_ascii_case("ProxyUseFdpass")
            && value::one(&line.arguments().unwrap_or_default()).and_then(value::flag).is_ok_and(|yes| yes)
    };
    lines.filter_map(|item| if let Item::Setting(statement) = item { Some(statement) } else { None }).any(says)
}

/// Whether it is a pattern that some names do not fall under.
fn says_something(pattern: &str) -> bool {
    !is_literal(pattern) && !pattern.starts_with('!') && pattern.contains(|c| c != '*' && c != '?')
}

/// Collects the patterns of all blocks.
pub(super) fn patterns(items: &[Item], into: &mut Vec<String>) {
    for item in items {
        match item {
            Item::Host(patterns) => into.extend(patterns.iter().filter(|pattern| says_something(pattern)).cloned()),
            Item::Include(included) => included.files().iter().for_each(|file| self::patterns(file.items(), into)),
            Item::Match(..) | Item::BadBlock(..) | Item::Setting(..) | Item::Bad(..) => {}
        }
    }
}

/// The pattern that `name` falls under; one that is nothing but `*` and `?` is none.
pub(super) fn pattern_of<'a>(items: &'a [Item], name: &str) -> Option<&'a str> {
    items.iter().find_map(|item| match item {
        Item::Host(patterns) if matches(name, patterns) => {
            let own = patterns
                .iter()
                .filter(|pattern| says_something(pattern))
                .find(|pattern| pattern::matches(name, pattern));
            own.map(String::as_str)
        }
        Item::Include(included) => included.files().iter().find_map(|file| pattern_of(file.items(), name)),
        _ => None,
    })
}
