//! Which commands may run: a pure function over typed pipelines.
//!
//! Owns the closed table of read-only commands, the parser of each kind of value, the list of secret paths, and the quoting: what was checked is what is sent. Does no
//! I/O, and so does not know what a name on the host really is: it guards against what a model writes, not against the remote account, and
//! recursive programs (`grep -r`, `rg`, `diff -r`) over a directory are not bound by the list of secret paths.

mod absent;
mod containers;
mod everyday;
mod grammar;
mod regex;
mod render;
pub(crate) mod resolve;
mod scripts;
mod secret;
pub mod sudo;
mod table;
pub(crate) mod unwritable;
mod values;

use scout_machine::RemotePath;

pub(crate) use render::quote;
pub(crate) use secret::LEAD;
pub use secret::{PathPattern, SecretPaths};

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Exactly these characters.
    Literal(String),
    /// `*`, `?` and `[…]` match file names; everything else is literal.
    Glob(String),
}

/// Where a stage's standard error goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StderrTo {
    /// Captured apart.
    #[default]
    Capture,
    /// `2>/dev/null`.
    Discard,
    /// `2>&1`.
    Stdout,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The first is the program's name.
    pub words: Vec<Word>,
    /// Where its standard error goes.
    pub stderr: StderrTo,
}

/// Programs connected by pipes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// At least one.
    pub stages: Vec<Stage>,
    /// Absent: the home directory.
    pub directory: Option<RemotePath>,
}

/// What commands a host runs for clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommandPolicy {
    /// None.
    None,
    /// Pipelines of the closed table.
    #[default]
    ReadOnly,
    /// Anything.
    Shell,
}

/// Why a pipeline is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Refusal {
    /// The word or command that is refused, quoted.
    pub what: String,
    /// Why.
    pub why: String,
    /// The narrower thing that is allowed.
    pub instead: Option<String>,
}

/// Stages of one pipeline.
const MAX_STAGES: usize = 16;

/// Words of one stage.
const MAX_WORDS: usize = 256;

/// Bytes of one word.
const MAX_WORD: usize = 32 * 1024;

/// Bytes of all words together, or of a script: Linux passes at most 128 KiB to a shell in one argument.
const MAX_TEXT: usize = 96 * 1024;

/// Characters of a refused word that its refusal repeats.
const MAX_QUOTED: usize = 80;

/// A path that a command names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathOperand<'a> {
    /// The pipeline's directory.
    pub(crate) directory: Option<&'a RemotePath>,
    /// As it is written; `.` for the directory itself.
    pub(crate) path: &'a [u8],
    /// Whether wildcards in it are active.
    pub(crate) is_glob: bool,
    /// What the program does there.
    pub(crate) look: PathUse,
}

/// What a program does with a path that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathUse {
    /// It tells that it is there, what it is and where it leads.
    Tells,
    /// It opens it.
    Opens,
    /// It opens it, and what it finds in it if it is a directory.
    Searches,
}

/// Judges a path that a command names.
pub(crate) type PathCheck<'a> = dyn Fn(PathOperand<'_>) -> Result<(), Refusal> + 'a;

impl Word {
    /// As it is written.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Glob(text) => text,
        }
    }
}

pub(crate) fn quoted(word: &str) -> String {
    let mut shown: String = word.chars().take(MAX_QUOTED).collect();
    if shown.len() < word.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Whether the policy allows every word of the pipeline, with Scout's own list of secret paths.
///
/// # Errors
/// As [`check_with`].
pub fn check(policy: CommandPolicy, pipeline: &Pipeline) -> Result<(), Refusal> {
    check_with(&SecretPaths::default(), policy, pipeline)
}

/// Whether the policy allows every word of the pipeline, and the list of secret paths every path of it.
///
/// # Errors
/// The first word that is refused, why, and what is allowed instead.
pub fn check_with(secrets: &SecretPaths, policy: CommandPolicy, pipeline: &Pipeline) -> Result<(), Refusal> {
    if policy == CommandPolicy::None {
        let program = pipeline.stages.first().and_then(|stage| stage.words.first());
        return Err(Refusal {
            what: quoted(program.map(Word::text).unwrap_or_default()),
            why: "this host runs no commands".into(),
            instead: Some("reading and listing files".into()),
        });
    }
    check_bounds(pipeline)?;
    if policy == CommandPolicy::Shell {
        return Ok(());
    }
    let directory = pipeline.directory.as_ref();
    if let Some(directory) = directory {
        secrets.check_directory(directory)?;
    }
    let held = |operand: PathOperand<'_>| secrets.check_operand(operand);
    pipeline.stages.iter().try_for_each(|stage| grammar::check(&stage.words, directory, &held))
}

/// Holds every path that the pipeline names, or looks at without naming it, against a judgement. Only the closed table
/// knows which words are paths: what is not in it is refused, whatever the host's policy.
///
/// # Errors
/// The first path that is judged badly, or what is not in the table.
pub(crate) fn check_paths(pipeline: &Pipeline, held: &PathCheck<'_>) -> Result<(), Refusal> {
    check_bounds(pipeline)?;
    let directory = pipeline.directory.as_ref();
    pipeline.stages.iter().try_for_each(|stage| grammar::check(&stage.words, directory, held))
}

fn check_bounds(pipeline: &Pipeline) -> Result<(), Refusal> {
    let refuse =
        |what: &str, why: String, instead: &str| Refusal { what: quoted(what), why, instead: Some(instead.into()) };
    let stages = pipeline.stages.len();
    if stages == 0 || stages > MAX_STAGES {
        return Err(refuse("|", format!("a pipeline has 1 to {MAX_STAGES} stages, not {stages}"), "fewer stages"));
    }
    let mut total = 0;
    for stage in &pipeline.stages {
        let program = stage.words.first().map(Word::text).unwrap_or_default();
        let words = stage.words.len();
        if words == 0 || words > MAX_WORDS {
            let why = format!("a stage has 1 to {MAX_WORDS} words, not {words}");
            return Err(refuse(program, why, "fewer words, or a glob"));
        }
        for word in &stage.words {
            let text = word.text();
            if text.len() > MAX_WORD {
                return Err(refuse(text, format!("a word has at most {MAX_WORD} bytes"), "a shorter word"));
            }
            if text.contains('\0') {
                return Err(refuse(text, "a command cannot hold a NUL byte".into(), "the word without it"));
            }
            total += text.len();
        }
    }
    if total > MAX_TEXT {
        let why = format!("a pipeline has at most {MAX_TEXT} bytes, not {total}");
        return Err(refuse("|", why, "fewer or shorter words"));
    }
    Ok(())
}

/// The text that `/bin/sh` evaluates, with exactly the words that were checked.
///
/// # Errors
/// A word that cannot be rendered (NUL), or a text that no shell can be given.
pub fn render(pipeline: &Pipeline) -> Result<Vec<u8>, Refusal> {
    render::pipeline(pipeline)
}

/// A free script in a directory, for hosts whose policy is [`CommandPolicy::Shell`].
///
/// # Errors
/// A NUL byte, or a script that no shell can be given.
pub fn render_script(directory: Option<&RemotePath>, script: &str) -> Result<Vec<u8>, Refusal> {
    render::script(directory, script)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod sweep;
