//! Which commands may run: a pure function over typed pipelines.

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
    /// As in `files`: absolute, `~`, `~/x` or relative to the home directory. Absent: the home directory.
    pub directory: Option<Vec<u8>>,
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

/// Whether the policy allows every word of the pipeline.
///
/// # Errors
/// The first word that is refused, why, and what is allowed instead.
pub fn check(_policy: CommandPolicy, _pipeline: &Pipeline) -> Result<(), Refusal> {
    todo!()
}

/// Whether the policy's list of secret paths forbids reading this path (SFTP and commands alike).
///
/// # Errors
/// Why.
pub fn check_path(_path: &[u8]) -> Result<(), Refusal> {
    todo!()
}

/// The text that `/bin/sh` evaluates, with exactly the words that were checked.
///
/// # Errors
/// A word that cannot be rendered (NUL).
pub fn render(_pipeline: &Pipeline) -> Result<Vec<u8>, Refusal> {
    todo!()
}

/// A free script in a directory, for hosts whose policy is [`CommandPolicy::Shell`].
///
/// # Errors
/// A NUL byte.
pub fn render_script(_directory: Option<&[u8]>, _script: &str) -> Result<Vec<u8>, Refusal> {
    todo!()
}
