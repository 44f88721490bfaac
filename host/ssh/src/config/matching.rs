//! `Match` lines: their criteria, and whether they hold.

use super::expand::{Known, Tokens};
use super::lex::Words;
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
    /// Newer versions of OpenSSH know it.
    Other(String),
}

/// What criteria are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// `host`, and the tokens of `exec`. `alias` is `originalhost`.
    pub(super) tokens: Tokens<'a>,
    /// Whether the files are read for the second time.
    pub(super) is_final: bool,
}

/// What a `Match` line says of reading the files again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wants {
    /// It names `final`.
    pub(super) second_pass: bool,
    /// It names `!final`, for which only older versions of OpenSSH read again.
    pub(super) second_pass_if_old: bool,
}

/// Reads what follows the keyword `Match`.
///
/// `arguments` are the same text as other lines are split.
///
/// # Errors
/// For what OpenSSH refuses, and for quotes that its versions read differently.
pub(super) fn parse(text: &str, arguments: &[String]) -> Result<Vec<Criterion>, Refusal> {
    let mut words = Words::new(text);
    let mut criteria: Vec<Criterion> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut next = |words: &mut Words<'_>| match words.next() {
        Some(word) if word.starts_with('#') => Ok(None),
        Some(word) if word.is_empty() && !words.rest().is_empty() => Err(Refusal::bad("has an empty argument")),
        Some(word) if word.is_empty() => Ok(None),
        Some(word) => {
            seen.push(word.clone());
            Ok(Some(word))
        }
        None => Ok(None),
    };
    while let Some(word) = next(&mut words)? {
        let (negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name.to_ascii_lowercase()),
            None => (false, word.to_ascii_lowercase()),
        };
        if name == "all" {
            if criteria.len() > 1 || next(&mut words)?.is_some() {
                return Err(Refusal::bad("has `all` beside other criteria"));
            }
            criteria.push(Criterion { negated, test: Test::All });
            break;
        }
        let test = match name.as_str() {
            "final" => Test::Final,
            "canonical" => Test::Canonical,
            _ => {
                let argument = next(&mut words)?
                    .ok_or_else(|| Refusal::bad(format!("{word} needs an argument, or is no criterion")))?;
                match name.as_str() {
                    "host" => Test::Host(argument),
                    "originalhost" => Test::OriginalHost(argument),
                    "user" => Test::User(argument),
                    "localuser" => Test::LocalUser(argument),
                    "exec" => Test::Exec(argument),
                    "localnetwork" | "tagged" | "command" | "sessiontype" | "version" => Test::Other(word),
                    _ => return Err(Refusal::bad(format!("{word} is not a criterion"))),
                }
            }
        };
        criteria.push(Criterion { negated, test });
    }
    if criteria.is_empty() {
        return Err(Refusal::bad("needs a criterion"));
    }
    if seen != arguments && text.contains(['\'', '\\']) {
        return Err(Refusal::hinted(
            "has quotes that versions of OpenSSH read differently",
            "quote with double quotes only, and without backslashes",
        ));
    }
    Ok(criteria)
}

/// What a line says of reading the files again. It counts wherever the line stands, and whatever else it says.
pub(super) fn wants(criteria: &[Criterion]) -> Wants {
    let names = |negated| criteria.contains(&Criterion { negated, test: Test::Final });
    Wants { second_pass: names(false), second_pass_if_old: names(true) }
}

/// Whether all criteria hold. `run` runs a command of the local shell and tells whether it succeeds.
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
            Test::Other(_) if !holds => continue,
            Test::Other(name) => return Err(Refusal::unsupported(format!("{name} is not evaluated"))),
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
