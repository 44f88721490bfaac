//! Turns checked words into the text that `/bin/sh` evaluates.
//!
//! Invariant: a literal word reaches its program byte for byte, and of a glob only `* ? [ ]` (and `!` after `[`) are active.

use scout_machine::{RemotePath, Start};

use super::resolve::unknown_home;
use super::{MAX_TEXT, Pipeline, Refusal, Stage, StderrTo, Word, quoted, sudo, table};

/// Linux passes at most 128 KiB in one argument, and the login shell gets the text as one; the rest is room for what runs it.
const MAX_RENDERED: usize = 120 * 1024;

/// See [`super::render`].
pub(super) fn pipeline(pipeline: &Pipeline) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    change_directory(&mut out, pipeline.directory.as_ref())?;
    if let [only] = pipeline.stages.as_slice() {
        for (name, value) in environment(only) {
            out.extend_from_slice(format!("export {name}={value}; ").as_bytes());
        }
        // In place of the shell, so that a signal that ends the program is what the server reports. A part of the shell itself
        // has no program to be replaced by.
        if !is_builtin(only) {
            out.extend_from_slice(b"exec ");
        }
        stage(&mut out, only)?;
    } else {
        for (at, each) in pipeline.stages.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b" | ");
            }
            for (name, value) in environment(each) {
                out.extend_from_slice(format!("{name}={value} ").as_bytes());
            }
            stage(&mut out, each)?;
        }
    }
    bounded(out)
}

/// What shells do themselves: POSIX's special built-ins (2.14), those that are no programs though it lists them as utilities, and
/// what bash and others add. What is a program everywhere as well (`echo`, `test`) is run as one.
const BUILTINS: &[&str] = &[
    ".",
    ":",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "print",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "times",
    "trap",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
    "whence",
];

/// Whether the shell itself does it. Of what the table allows, only where its row says so: the others are programs.
fn is_builtin(stage: &Stage) -> bool {
    let program = stage.words.first().map(Word::text).unwrap_or_default();
    table::row_of(&stage.words).map_or_else(|| BUILTINS.contains(&program), |(row, _)| row.is_builtin)
}

/// What the table lets a stage's program find in its environment: names and values that need no quotes.
fn environment(stage: &Stage) -> &'static [(&'static str, &'static str)] {
    table::row_of(&stage.words).map_or(&[], |(row, _)| row.environment)
}

/// See [`super::render_script`].
pub(super) fn script(directory: Option<&RemotePath>, script: &str) -> Result<Vec<u8>, Refusal> {
    if script.len() > MAX_TEXT {
        return Err(Refusal {
            what: quoted(script),
            why: format!("the script has more than {MAX_TEXT} bytes"),
            instead: Some("a shorter script".into()),
        });
    }
    let mut out = Vec::new();
    change_directory(&mut out, directory)?;
    no_nul(script.as_bytes())?;
    out.extend_from_slice(script.as_bytes());
    bounded(out)
}

fn bounded(out: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    if out.len() > MAX_RENDERED {
        return Err(Refusal {
            what: quoted(&String::from_utf8_lossy(&out)),
            why: format!("quoted for the shell, the command has more than {MAX_RENDERED} bytes"),
            instead: Some("fewer or shorter words".into()),
        });
    }
    Ok(out)
}

fn no_nul(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.contains(&0) {
        return Err(Refusal {
            what: quoted(&String::from_utf8_lossy(bytes)),
            why: "a command cannot hold a NUL byte".into(),
            instead: None,
        });
    }
    Ok(())
}

/// The home directory is where the server starts every command, so `~` needs no word of the shell. A relative path gets `./`: with it `cd`
/// looks neither at `CDPATH` nor at the meaning of `-`.
fn change_directory(out: &mut Vec<u8>, directory: Option<&RemotePath>) -> Result<(), Refusal> {
    let Some(directory) = directory else { return Ok(()) };
    let path = match directory.start() {
        Start::Root => directory.bytes().to_vec(),
        Start::Home if directory.plain() == b"." => return Ok(()),
        Start::Home => [b"./", directory.plain()].concat(),
        Start::OtherHome => return Err(unknown_home(directory.bytes())),
    };
    out.extend_from_slice(b"cd -- ");
    quote(out, &path);
    // Not `&&`: shells differ in what a failed cd exits with.
    out.extend_from_slice(b" || exit 1; ");
    Ok(())
}

fn stage(out: &mut Vec<u8>, given: &Stage) -> Result<(), Refusal> {
    let as_root = sudo::command(given);
    if as_root.is_some() {
        out.extend_from_slice(sudo::SENT);
    }
    let stage = as_root.as_ref().unwrap_or(given);
    let row = table::row_of(&stage.words).map(|(row, _)| row);
    let (runs, begins) = row.map_or(("", ""), |row| (row.runs, row.begins));
    // Behind the words that the row is named by.
    let begins_at = row.map_or(0, |row| row.words().count() - 1);
    for (at, word) in stage.words.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        match word {
            Word::Literal(text) => {
                no_nul(text.as_bytes())?;
                if at == 0 && !runs.is_empty() {
                    out.extend_from_slice(runs.as_bytes());
                } else if at == 0 && row.is_none() {
                    // Quoted, a free program name is no reserved word and no assignment.
                    quote_always(out, text.as_bytes());
                } else {
                    quote(out, text.as_bytes());
                }
            }
            Word::Glob(text) => {
                no_nul(text.as_bytes())?;
                glob(out, text);
            }
        }
        if at == begins_at && !begins.is_empty() {
            out.push(b' ');
            out.extend_from_slice(begins.as_bytes());
        }
    }
    match stage.stderr {
        StderrTo::Capture => {}
        StderrTo::Discard => out.extend_from_slice(b" 2>/dev/null"),
        StderrTo::Stdout => out.extend_from_slice(b" 2>&1"),
    }
    Ok(())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./:,+@%".contains(&byte)
}

/// A word that is literal for any POSIX shell.
pub(crate) fn quote(out: &mut Vec<u8>, word: &[u8]) {
    let plain = word.iter().enumerate().all(|(at, byte)| is_plain(*byte) || *byte == b'=' && at > 0);
    if plain && !word.is_empty() {
        out.extend_from_slice(word);
    } else {
        quote_always(out, word);
    }
}

fn quote_always(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => out.extend_from_slice(br"'\''"),
            byte => out.push(*byte),
        }
    }
    out.push(b'\'');
}

fn glob(out: &mut Vec<u8>, text: &str) {
    if text.starts_with(['*', '?', '[']) {
        // A file whose name begins with - would otherwise expand to a flag.
        out.extend_from_slice(b"./");
    }
    let mut literal = Vec::new();
    let mut last = 0;
    for byte in text.bytes() {
        let active = b"*?[]".contains(&byte) || is_plain(byte) || last == b'[' && b"!^".contains(&byte);
        if active {
            flush(out, &mut literal);
            out.push(byte);
        } else {
            literal.push(byte);
        }
        last = byte;
    }
    flush(out, &mut literal);
    if text.is_empty() {
        quote_always(out, b"");
    }
}

fn flush(out: &mut Vec<u8>, literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        quote_always(out, literal);
        literal.clear();
    }
}
