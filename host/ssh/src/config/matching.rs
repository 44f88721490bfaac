//! `Match` lines: their criteria, and whether they hold.

use super::command;
use super::expand::{Known, Tokens};
use super::network::{self, Network};
use super::pattern;
use super::refusal::Refusal;

/// One criterion of a `Match` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Criterion {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    All,
    Final,
    Canonical,
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    Exec(String),
    LocalNetwork(Vec<Network>),
    Tagged(String),
    Command(String),
    SessionType(String),
    Version(String),
}

/// The criteria that may be written with `=` before their argument.
const WITH_EQUALS: [&str; 9] =
    ["host", "originalhost", "user", "localuser", "localnetwork", "version", "tagged", "command", "exec"];

/// What criteria are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// `host`, and the tokens of `exec`. `alias` is `originalhost`.
    pub(super) tokens: Tokens<'a>,
    /// `Tag`; empty if there is none.
    pub(super) tag: &'a str,
    pub(super) session_type: SessionType,
    /// Whether the files are read for the second time.
    pub(super) is_final: bool,
}

/// `SessionType`. Without one, what `ssh HOST` asks for counts, as for `ssh -G`: a shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionType {
    #[default]
    Default,
    Subsystem,
    None,
}

/// Reads what follows the keyword `Match`, split as the arguments of other lines are: so does OpenSSH since 9.9.
///
/// # Errors
/// For what OpenSSH refuses.
pub(super) fn parse(arguments: &[String]) -> Result<Vec<Criterion>, Refusal> {
    let mut words = arguments.iter().map(String::as_str);
    let mut criteria: Vec<Criterion> = Vec::new();
    while let Some(word) = words.next() {
        if word.starts_with('#') {
            break;
        }
        let (negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, word),
        };
        let (name, attached) = match name.split_once('=') {
            Some((name, argument)) if WITH_EQUALS.contains(&name.to_ascii_lowercase().as_str()) => {
                (name.to_ascii_lowercase(), Some(argument))
            }
            _ => (name.to_ascii_lowercase(), None),
        };
        let test = match name.as_str() {
            "all" => {
                let is_last = words.next().is_none_or(|next| next.is_empty() || next.starts_with('#'));
                if criteria.len() > 1 || !is_last {
                    return Err(Refusal::bad("has `all` beside other criteria"));
                }
                criteria.push(Criterion { negated, test: Test::All });
                break;
            }
            "final" => Test::Final,
            "canonical" => Test::Canonical,
            _ => with_argument(word, &name, attached.or_else(|| words.next()))?,
        };
        criteria.push(Criterion { negated, test });
    }
    if criteria.is_empty() {
        return Err(Refusal::bad("needs a criterion"));
    }
    Ok(criteria)
}

/// A criterion that has an argument. Only those of `tagged` and `command` may be empty.
fn with_argument(word: &str, name: &str, argument: Option<&str>) -> Result<Test, Refusal> {
    let may_be_empty = matches!(name, "tagged" | "command");
    let argument = argument
        .filter(|argument| !argument.starts_with('#') && (may_be_empty || !argument.is_empty()))
        .ok_or_else(|| Refusal::bad(format!("{word} needs an argument, or is not a criterion")))?;
    let owned = argument.to_owned();
    Ok(match name {
        "host" => Test::Host(owned),
        "originalhost" => Test::OriginalHost(owned),
        "user" => Test::User(owned),
        "localuser" => Test::LocalUser(owned),
        "exec" => Test::Exec(owned),
        "localnetwork" => {
            Test::LocalNetwork(network::parse(argument).map_err(|why| Refusal::bad(format!("localnetwork {why}")))?)
        }
        "tagged" => Test::Tagged(owned),
        "command" => Test::Command(owned),
        "sessiontype" => Test::SessionType(owned),
        "version" => Test::Version(owned),
        _ => return Err(Refusal::bad(format!("{word} is not a criterion"))),
    })
}

/// Whether the line makes OpenSSH read the files again: it names `final`, without a negation. That counts wherever the line
/// stands, and whatever else it says.
pub(super) fn wants_second_pass(criteria: &[Criterion]) -> bool {
    criteria.contains(&Criterion { negated: false, test: Test::Final })
}

/// Whether all criteria hold. `run` runs a command of the local shell and tells whether it succeeds.
///
/// A connection of Scout is what `ssh HOST` makes, without a command: so `command` matches the empty text alone, and
/// `sessiontype` is that of the file, else `shell`, as for `ssh -G`.
///
/// # Errors
/// For what is not evaluated and what cannot be found out.
pub(super) fn holds(
    criteria: &[Criterion],
    facts: &Facts<'_>,
    mut run: impl FnMut(&str) -> Result<bool, String>,
) -> Result<bool, Refusal> {
    let tokens = &facts.tokens;
    let mut holds = true;
    for Criterion { negated, test } in criteria {
        let is_so = match test {
            Test::All => true,
            Test::Final | Test::Canonical => facts.is_final,
            Test::Host(list) => named(tokens.host_name, list),
            Test::OriginalHost(list) => named(tokens.alias, list),
            Test::User(list) => pattern::matches_list(tokens.remote_user, list.split(',')),
            Test::LocalUser(list) => pattern::matches_list(tokens.local_user, list.split(',')),
            Test::Exec(command) => {
                // OpenSSH replaces tokens before it looks whether the command is needed.
                let command = tokens
                    .percent(command, Known::All)
                    .map_err(|why| Refusal::bad(format!("exec {command}: {why}")))?;
                if !holds {
                    continue;
                }
                run(&command).map_err(|why| {
                    Refusal::hinted(
                        format!("exec {command}: {why}"),
                        "which settings this host has depends on that command; run it by hand",
                    )
                })?
            }
            Test::LocalNetwork(networks) => network::is_local(networks)
                .map_err(|why| Refusal::hinted(format!("localnetwork: {why}"), "ask this machine's administrator"))?,
            Test::Tagged(list) if facts.tag.is_empty() => list.is_empty(),
            Test::Tagged(list) => pattern::matches_list(facts.tag, list.split(',')),
            Test::Command(list) => list.is_empty(),
            Test::SessionType(list) => {
                let session_type = match facts.session_type {
                    SessionType::Default => "shell",
                    SessionType::Subsystem => "subsystem",
                    SessionType::None => "none",
                };
                pattern::matches_list(session_type, list.split(','))
            }
            Test::Version(list) => pattern::matches_list(command::ssh_version(), list.split(',')),
        };
        holds &= is_so != *negated;
    }
    Ok(holds)
}

/// Names of hosts match in whatever case.
fn named(host: &str, list: &str) -> bool {
    let list = list.to_ascii_lowercase();
    pattern::matches_list(&host.to_ascii_lowercase(), list.split(','))
}
