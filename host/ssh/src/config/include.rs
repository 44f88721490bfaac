//! What an `Include` names: patterns, as the C library's `glob` has them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const OPTIONS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files that a pattern names, at most so many, in the order of their bytes. Neither hidden files nor directories match `*`.
pub(super) fn files(pattern: &str, most: usize) -> Result<Vec<PathBuf>, String> {
    let paths = glob::glob_with(&in_rust(pattern), OPTIONS).map_err(|e| e.to_string())?;
    // A directory that cannot be listed has no match, as for the C library.
    let mut paths: Vec<PathBuf> = paths.flatten().filter(|path| !path.is_dir()).take(most).collect();
    // Of whole names: `a-b/c` comes before `a/c`.
    paths.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(paths)
}

/// The paths of which each makes a difference when something is made, changed or removed there, at most so many: the files
/// that a pattern names, and those that it would. `DIRECTORY/*` is any name in that directory.
pub(super) fn watched(pattern: &Path, most: usize) -> Vec<PathBuf> {
    let (mut watched, mut at) = (Vec::new(), vec![PathBuf::new()]);
    for component in pattern.components() {
        let text = in_rust(&component.as_os_str().to_string_lossy());
        if !text.contains(['*', '?', '[']) {
            at.iter_mut().for_each(|path| path.push(&text));
            continue;
        }
        watched.extend(at.iter().map(|directory| directory.join("*")));
        let Ok(name) = glob::Pattern::new(&text) else { break };
        let entries = at.iter().filter_map(|directory| directory.read_dir().ok()).flatten().flatten();
        let named = entries.filter(|entry| name.matches_with(&entry.file_name().to_string_lossy(), OPTIONS));
        at = named.map(|entry| entry.path()).take(most).collect();
    }
    watched.extend(at);
    watched.truncate(most);
    watched
}

/// A pattern of the C library's `glob` as the crate `glob` writes it: `**` is no more than `*`, a backslash takes the
/// meaning from what follows, `[^` is `[!`.
fn in_rust(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if out.ends_with('*') => {}
            '[' if rest.next_if_eq(&'^').is_some() => out.push_str("[!"),
            '\\' => match rest.next() {
                Some(escaped @ ('*' | '?' | '[')) => out.extend(['[', escaped, ']']),
                Some(escaped) => out.push(escaped),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}
