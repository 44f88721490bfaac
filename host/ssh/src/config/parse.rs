//! Files of `ssh_config` into items, `Include` followed.
//!
//! Owns the shape: which lines there are and which blocks they stand in. Does not know any host: whether a line
//! applies is decided when a host is resolved, so a bad line is an item and no error.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_machine::HostError;
use sha1::{Digest as _, Sha1};

use super::body::{Body, Included};
use super::expand::{self, Unexpanded, tilde};
use super::matching::{self, Criterion};
use super::read::{self, Ownership};
use super::refusal::{At, Refusal};
use super::{include, lex};

/// OpenSSH's READCONF_MAX_DEPTH.
const MAX_DEPTH: u32 = 16;
/// A file for each host of a large fleet; a file that includes itself twice would be read 2^16 times.
const MAX_FILES: u32 = 20_000;
/// One file, and all together: some 300,000 hosts. What is read takes about ten times as much memory.
const MAX_BYTES: usize = 64 << 20;
/// Paths of which it is kept that they make a difference.
const MAX_WATCHED: usize = 2 * MAX_FILES as usize;

/// One thing that a file says.
#[derive(Debug)]
pub(super) enum Item {
    /// `Host`: its lines hold for these patterns.
    Host(Vec<String>),
    /// `Match`: its lines hold if all of these do.
    Match(At, Vec<Criterion>),
    /// A `Host` or `Match` line that makes no sense: which hosts it means is not known.
    BadBlock(At, Refusal),
    /// Any other keyword.
    Setting(Statement),
    /// A line that makes no sense.
    Bad(At, Refusal),
    /// Files read in the place of an `Include` line.
    Include(Included),
}

/// A keyword and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) at: At,
    /// Split when it is asked for: most lines of a large configuration are about hosts that nobody looks up.
    text: Box<str>,
}

impl Statement {
    /// The line that it is.
    pub(super) fn line(&self) -> lex::Line<'_> {
        lex::split(&self.text).unwrap_or_default()
    }
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
    /// Of what was read, and from where.
    pub(super) digest: Sha1,
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
        let Some(text) = read::text(path, MAX_BYTES as u64, ownership)? else { return Ok(Body::default()) };
        self.files += 1;
        self.bytes += text.len();
        for part in [path.as_os_str().as_bytes(), text.as_bytes()] {
            self.digest.update(part.len().to_be_bytes());
            self.digest.update(part);
        }
        Ok(self.lines(path, &text, place, depth))
    }

    /// The items of one file's text.
    pub(super) fn lines(&mut self, path: &Path, text: &str, place: &Place<'_>, depth: u32) -> Body {
        let file: Arc<Path> = Arc::from(path);
        let lines = text.split('\n').zip(1..);
        let items = lines.filter_map(|(text, line)| {
            let found = lex::split(text)?;
            Some(self.item(At { file: Arc::clone(&file), line }, found, place, depth))
        });
        Body::new(items.collect())
    }

    fn item(&mut self, at: At, line: lex::Line<'_>, place: &Place<'_>, depth: u32) -> Item {
        let is = |keyword| line.keyword.eq_ignore_ascii_case(keyword);
        let is_block = is("host") || is("match");
        let refused = |at, refusal: Refusal| {
            let refusal = refusal.of(&line.keyword);
            if is_block { Item::BadBlock(at, refusal) } else { Item::Bad(at, refusal) }
        };
        if let Err(why) = line.check() {
            return refused(at, Refusal::bad(why));
        }
        if line.rest.contains(char::REPLACEMENT_CHARACTER) {
            return refused(at, Refusal::hinted("is not UTF-8", "write the file in UTF-8"));
        }
        if !is_block && !is("include") {
            return Item::Setting(Statement { at, text: line.text.into() });
        }
        let arguments = match line.arguments() {
            Ok(arguments) => arguments,
            Err(why) => return refused(at, Refusal::bad(why)),
        };
        if is("include") {
            return match self.include(&arguments, place, depth) {
                Ok(files) => Item::Include(Included::new(files)),
                Err(refusal) => refused(at, refusal),
            };
        }
        if is("match") {
            return match matching::parse(&arguments) {
                Ok(criteria) => Item::Match(at, criteria),
                Err(refusal) => refused(at, refusal),
            };
        }
        match arguments.iter().any(String::is_empty) {
            true => refused(at, Refusal::bad("has an empty argument")),
            false => Item::Host(arguments),
        }
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
