//! Files of `ssh_config` into items, `Include` followed.
//!
//! Owns the shape: which lines there are and which blocks they stand in. Does not know any host: whether a line
//! applies is decided when a host is resolved, so a bad line is an item and no error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Source;
use super::expand::tilde;
use super::lex;
use super::read::{self, Ownership};
use crate::SshError;

/// OpenSSH's READCONF_MAX_DEPTH.
const MAX_DEPTH: u32 = 16;
/// Far above any configuration that people keep; a file that includes itself twice would be read 2^16 times.
const MAX_FILES: u32 = 1024;
/// Far above any configuration that people keep.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// All files together.
const MAX_TOTAL_BYTES: usize = 16 << 20;

/// One thing that a file says.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// `Host`: its lines hold for these patterns.
    Host(Vec<String>),
    /// `Match all`.
    MatchAll,
    /// Any other `Match`: which hosts it means is not known.
    Match(At),
    /// A `Host` or `Match` line that makes no sense: which hosts it means is not known.
    BadBlock(At, String),
    /// `keyword arguments`.
    Setting(At, String, Vec<String>),
    /// A line that makes no sense: why.
    Bad(At, String, Option<String>),
    /// Files read in the place of an `Include` line.
    Include(Vec<Vec<Item>>),
}

/// A file and a line.
#[derive(Clone, Debug)]
pub(super) struct At {
    file: Arc<Path>,
    line: u32,
}

impl At {
    /// For messages.
    pub(super) fn source(&self) -> Source {
        Source { file: self.file.to_path_buf(), line: self.line }
    }
}

/// Where names in a file are looked for.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// Relative `Include`s start here.
    pub(super) include_directory: PathBuf,
    /// What `~` is.
    pub(super) home: &'a Path,
}

/// Reads files into items, with bounds over all files together.
#[derive(Debug, Default)]
pub(super) struct Parser {
    files: u32,
    bytes: usize,
}

impl Parser {
    /// Reads one file with all that it includes. An absent file is empty.
    pub(super) fn file(
        &mut self,
        path: &Path,
        ownership: Ownership,
        place: &Place<'_>,
        depth: u32,
    ) -> Result<Vec<Item>, SshError> {
        let Some(text) = read::text(path, MAX_FILE_BYTES, ownership)? else { return Ok(Vec::new()) };
        self.files += 1;
        self.bytes += text.len();
        let file: Arc<Path> = Arc::from(path);
        let mut items = Vec::new();
        for (line, number) in text.split('\n').zip(1..) {
            let Some(lex::Line { keyword, arguments }) = lex::split(line) else { continue };
            let at = At { file: Arc::clone(&file), line: number };
            let name = keyword.to_ascii_lowercase();
            items.push(match (name.as_str(), arguments) {
                ("host", Ok(patterns)) if patterns.is_empty() || patterns.iter().any(String::is_empty) => {
                    Item::BadBlock(at, format!("{keyword} needs names"))
                }
                ("host", Ok(patterns)) => Item::Host(patterns),
                ("match", Ok(conditions)) => match conditions.as_slice() {
                    [all] if all.eq_ignore_ascii_case("all") => Item::MatchAll,
                    _ => Item::Match(at),
                },
                ("host" | "match", Err(why)) => Item::BadBlock(at, format!("{keyword} {why}")),
                ("include", Ok(patterns)) => self.include(at, &keyword, &patterns, place, depth),
                (_, Ok(arguments)) => Item::Setting(at, keyword, arguments),
                (_, Err(why)) => Item::Bad(at, format!("{keyword} {why}"), None),
            });
        }
        Ok(items)
    }

    fn include(&mut self, at: At, keyword: &str, patterns: &[String], place: &Place<'_>, depth: u32) -> Item {
        let mut files = Vec::new();
        if patterns.is_empty() || patterns.iter().any(String::is_empty) {
            return Item::Bad(at, format!("{keyword} needs a file name"), None);
        }
        if depth >= MAX_DEPTH {
            return Item::Bad(at, format!("{keyword} is nested deeper than {MAX_DEPTH} files"), None);
        }
        for pattern in patterns {
            let Some(pattern) = tilde(pattern, place.home) else {
                return Item::Bad(at, format!("{keyword} {pattern}: there is no such account"), None);
            };
            let pattern = place.include_directory.join(pattern);
            let found = match expand_glob(&pattern.to_string_lossy()) {
                Ok(found) => found,
                Err(why) => return Item::Bad(at, format!("{keyword} {}: {why}", pattern.display()), None),
            };
            for path in found {
                if self.files >= MAX_FILES || self.bytes >= MAX_TOTAL_BYTES {
                    let why = format!("{keyword}: more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes are included");
                    return Item::Bad(at, why, None);
                }
                match self.file(&path, Ownership::Private, place, depth + 1) {
                    Ok(items) => files.push(items),
                    Err(e) => {
                        let hint = e.hint().map(str::to_owned);
                        return Item::Bad(at, format!("{keyword} {}: {}", path.display(), e.message()), hint);
                    }
                }
            }
        }
        Item::Include(files)
    }
}

/// The files that a pattern names, sorted. Neither hidden files nor directories match `*`.
fn expand_glob(pattern: &str) -> Result<Vec<PathBuf>, String> {
    // To the C library `**` is no more than `*`.
    let mut plain = pattern.to_owned();
    while plain.contains("**") {
        plain = plain.replace("**", "*");
    }
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let paths = glob::glob_with(&plain, options).map_err(|e| e.to_string())?;
    // A directory that cannot be listed has no match, as for the C library.
    Ok(paths.flatten().filter(|path| !path.is_dir()).take(MAX_FILES as usize + 1).collect())
}
