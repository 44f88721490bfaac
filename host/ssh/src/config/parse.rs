//! Files of `ssh_config` into items, `Include` followed.
//!
//! Owns the shape: which lines there are and which blocks they stand in. Does not know any host: whether a line
//! applies is decided when a host is resolved, so a bad line is no error. Of most lines not more is read ahead than that they
//! begin no block.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_machine::HostError;

use super::body::{Body, Builder, Included, LineAt};
use super::expand::{self, Unexpanded, tilde};
use super::matching::{self, Criterion};
use super::read::{self, Ownership};
use super::refusal::{At, Refusal};
use super::{include, lex, value};

/// OpenSSH's READCONF_MAX_DEPTH.
const MAX_DEPTH: u32 = 16;
/// A file for each host of a large fleet; a file that includes itself twice would be read 2^16 times.
const MAX_FILES: u32 = 20_000;
/// One file, and all together: some 500,000 hosts. What is read takes about a fifth more in memory.
const MAX_BYTES: usize = 64 << 20;
/// Paths of which it is kept that they make a difference.
const MAX_WATCHED: usize = 2 * MAX_FILES as usize;

/// What of a file is read ahead.
#[derive(Debug)]
pub(super) enum Item {
    /// `Host`: its lines hold for these patterns.
    Host(Vec<String>),
    /// `Match`: its lines hold if all of these do.
    Match(At, Vec<Criterion>),
    /// A `Host` or `Match` line that makes no sense: which hosts it means is not known.
    BadBlock(At, Refusal),
    /// An `Include` line that makes no sense.
    Bad(At, Refusal),
    /// Files read in the place of an `Include` line.
    Include(Included),
}

/// A line of a block that is visited.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// Any keyword but these.
    Setting(At, lex::Line<'a>),
    /// It makes no sense.
    Bad(At, Refusal),
    /// Files in its place.
    Include(&'a Included),
}

/// Whose file it is, and where names in it are looked for.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// Relative `Include`s start here.
    pub(super) include_directory: PathBuf,
    /// What `~` is.
    pub(super) home: &'a Path,
    /// Whether it is the user's and not the system's.
    pub(super) is_user: bool,
}

/// Reads files into items, with bounds over all files together.
#[derive(Debug, Default)]
pub(super) struct Parser {
    files: u32,
    bytes: usize,
    /// Paths of included files that are there or may come, as [`include::watched`] has them.
    pub(super) watched: BTreeSet<PathBuf>,
}

impl Parser {
    /// Reads one file with all that it includes. An absent file is empty.
    pub(super) fn file(
        &mut self,
        path: &Path,
        ownership: Ownership,
        place: &Place<'_>,
        depth: u32,
    ) -> Result<Body, HostError> {
        let Some(text) = read::text(path, MAX_BYTES as u64, ownership)? else {
            return Ok(Builder::new(Arc::from(path)).finish(String::new()));
        };
        self.files += 1;
        self.bytes += text.len();
        Ok(self.lines(path, text, place, depth))
    }

    /// One file's text.
    pub(super) fn lines(&mut self, path: &Path, text: String, place: &Place<'_>, depth: u32) -> Body {
        let file: Arc<Path> = Arc::from(path);
        let mut body = Builder::new(Arc::clone(&file));
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
        let mut start = 0;
        for (end, number) in ends.zip(1..) {
            let offset = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
            let at = LineAt { number, start: offset(start), end: offset(end) };
            let line = text.get(start..end).unwrap_or_default();
            start = end + 1;
            match first_look(line) {
                Look::Nothing => {}
                Look::Setting => body.setting(at, false),
                Look::Names(names) => body.names(at, words(names)),
                Look::Unclear => {
                    let Some(found) = lex::split(line) else { continue };
                    match self.item(At { file: Arc::clone(&file), line: number }, &found, place, depth) {
                        Some(item) => body.item(at, item),
                        None => body.setting(at, uses_fdpass(&found)),
                    }
                }
            }
        }
        body.finish(text)
    }

    /// What is read ahead of a line, if anything is.
    fn item(&mut self, at: At, line: &lex::Line<'_>, place: &Place<'_>, depth: u32) -> Option<Item> {
        let is = |keyword| line.keyword.eq_ignore_ascii_case(keyword);
        let is_block = is("host") || is("match");
        if !is_block && !is("include") {
            return None;
        }
        let refused = |at, refusal: Refusal| {
            let refusal = refusal.of(&line.keyword);
            Some(if is_block { Item::BadBlock(at, refusal) } else { Item::Bad(at, refusal) })
        };
        let arguments = match check(line).and_then(|()| line.arguments().map_err(Refusal::bad)) {
            Ok(arguments) => arguments,
            Err(refusal) => return refused(at, refusal),
        };
        let item = if is("include") {
            self.include(&arguments, place, depth).map(|files| Item::Include(Included::new(files)))
        } else if is("match") {
            matching::parse(&arguments).map(|criteria| Item::Match(at.clone(), criteria))
        } else if arguments.iter().any(String::is_empty) {
            Err(Refusal::bad("has an empty argument"))
        } else {
            Ok(Item::Host(arguments))
        };
        item.map_or_else(|refusal| refused(at, refusal), Some)
    }

    fn include(&mut self, patterns: &[String], place: &Place<'_>, depth: u32) -> Result<Vec<Body>, Refusal> {
        let mut files = Vec::new();
        for text in patterns {
            if text.is_empty() {
                return Err(Refusal::bad("has an empty argument"));
            }
            if text.starts_with('~') && !place.is_user {
                return Err(Refusal::bad(format!("{text}: the system's file cannot include from a home directory")));
            }
            let text = match expand::include(text, place.home) {
                Ok(text) => text,
                Err(Unexpanded::OfHosts(token)) => {
                    return Err(Refusal::hinted(
                        format!("{text}: %{token} makes it another file for each host"),
                        "name the files themselves, each in the Host block that it is for",
                    ));
                }
                Err(Unexpanded::Bad(why)) => return Err(Refusal::bad(format!("{text}: {why}"))),
                // OpenSSH tells so, and goes on.
                Err(Unexpanded::NotSet) => continue,
            };
            let text = text.as_str();
            let pattern = tilde(text, place.home)
                .ok_or_else(|| Refusal::bad(format!("{text}: there is no such account")))
                .map(|pattern| place.include_directory.join(pattern))?;
            let left = MAX_WATCHED.saturating_sub(self.watched.len());
            self.watched.extend(include::watched(&pattern, left));
            let found = include::files(&pattern.to_string_lossy(), MAX_FILES as usize + 1)
                .map_err(|why| Refusal::bad(format!("{}: {why}", pattern.display())))?;
            for path in found {
                if depth >= MAX_DEPTH {
                    return Err(Refusal::bad(format!("is nested deeper than {MAX_DEPTH} files")));
                }
                if self.files >= MAX_FILES || self.bytes >= MAX_BYTES {
                    let why = format!("reaches more than {MAX_FILES} files or {MAX_BYTES} bytes");
                    return Err(Refusal::hinted(why, "split the configuration"));
                }
                files.push(self.file(&path, Ownership::Private, place, depth + 1).map_err(|error| {
                    let hint = error.hint().unwrap_or("correct this line; ssh refuses it too").to_owned();
                    Refusal::hinted(format!("{}: {}", path.display(), error.message()), hint)
                })?);
            }
        }
        Ok(files)
    }
}

const BLANK_OR_TAB: [char; 2] = [' ', '\t'];

/// What a line is, as far as a look at its first letters tells.
enum Look<'a> {
    /// Empty, or a comment.
    Nothing,
    /// It begins no block, includes nothing and does not say whether a program hands a socket over; nothing else is known.
    Setting,
    /// A `Host` line with these names, which are no patterns.
    Names(&'a str),
    /// All of it is to be read.
    Unclear,
}

/// Looks at a line without splitting it: most lines of a large configuration are about hosts that nobody looks up.
fn first_look(line: &str) -> Look<'_> {
    let line = line.trim_start_matches(BLANK_OR_TAB);
    let keyword_end = line.bytes().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(line.len());
    let (keyword, rest) = line.split_at_checked(keyword_end).unwrap_or((line, ""));
    match (keyword, rest.bytes().next()) {
        ("", None | Some(b'#')) => return Look::Nothing,
        // A quote may go on with the keyword.
        ("", _) | (_, Some(b'"')) => return Look::Unclear,
        _ => {}
    }
    let is = |other: &str| keyword.eq_ignore_ascii_case(other);
    if !["host", "match", "include", FDPASS].into_iter().any(is) {
        return Look::Setting;
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b' ' | b'\t');
    let names = rest.trim_end_matches('\r');
    if is("host") && names.starts_with(BLANK_OR_TAB) && names.bytes().all(is_plain) && !names.trim().is_empty() {
        Look::Names(names)
    } else {
        Look::Unclear
    }
}

/// The names of a `Host` line of which a look tells that they are no patterns.
pub(super) fn plain_names(line: &str) -> Option<impl Iterator<Item = &str>> {
    if let Look::Names(names) = first_look(line) { Some(words(names)) } else { None }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(BLANK_OR_TAB).filter(|word| !word.is_empty())
}

const FDPASS: &str = "proxyusefdpass";

/// Whether a line says that a program hands an open socket over.
fn uses_fdpass(line: &lex::Line<'_>) -> bool {
    line.keyword.eq_ignore_ascii_case(FDPASS)
        && check(line).is_ok()
        && value::one(&line.arguments().unwrap_or_default()).and_then(value::flag).is_ok_and(|yes| yes)
}

/// What can be said against any line.
fn check(line: &lex::Line<'_>) -> Result<(), Refusal> {
    line.check().map_err(Refusal::bad)?;
    match line.rest.contains(char::REPLACEMENT_CHARACTER) {
        true => Err(Refusal::hinted("is not UTF-8", "write the file in UTF-8")),
        false => Ok(()),
    }
}

/// A line that was not read ahead.
pub(super) fn setting(at: At, line: lex::Line<'_>) -> Line<'_> {
    match check(&line) {
        Ok(()) => Line::Setting(at, line),
        Err(refusal) => Line::Bad(at, refusal.of(&line.keyword)),
    }
}

/// A line that was, if it begins no block.
pub(super) fn line_of(item: &Item) -> Option<Line<'_>> {
    match item {
        Item::Include(included) => Some(Line::Include(included)),
        Item::Bad(at, refusal) => Some(Line::Bad(at.clone(), refusal.clone())),
        Item::Host(_) | Item::Match(..) | Item::BadBlock(..) => None,
    }
}
