//! Who may do what, as a cassette has it: the operator's rules without the places where they are written.

use std::sync::Arc;

use super::CassetteError;
use super::format;
use crate::grants::{Argv, HostPattern, Limit, Place, Rights, Root, Rule};

/// Where the rules of a cassette are written.
const PLACE: &str = "cassette";
/// Rules of one limit.
const MAX_RULES: usize = 256;

impl From<&Rights> for format::Rights {
    fn from(rights: &Rights) -> Self {
        let Rights { grants, hosts, paths, commands, follow_links_out, addresses } = rights;
        Self {
            grants: grants.as_ref().map(|(grants, _)| *grants),
            hosts: hosts.as_ref().map(texts),
            paths: paths.as_ref().map(texts),
            commands: commands.as_ref().map(words),
            follow_links_out: *follow_links_out,
            addresses: addresses.as_ref().map(|(sees, _)| *sees),
        }
    }
}

fn texts<T>(limit: &Limit<T>) -> Vec<String> {
    limit.rules.iter().map(|rule| rule.text.to_string()).collect()
}

/// Commands, each by its words.
pub(super) fn words(limit: &Limit<Argv>) -> Vec<Vec<String>> {
    limit.rules.iter().map(|rule| rule.value.words()).collect()
}

/// Commands that are written so.
pub(super) fn commands(written: Option<&[Vec<String>]>) -> Result<Option<Limit<Argv>>, CassetteError> {
    limit(written, |words| words.join(" "), |words| Argv::parse(words))
}

impl format::Rights {
    /// The rights that are written there.
    ///
    /// # Errors
    /// A rule that is none.
    pub(super) fn read(&self) -> Result<Arc<Rights>, CassetteError> {
        let Self { grants, hosts, paths, commands, follow_links_out, addresses } = self;
        let place = Place::new(PLACE);
        Ok(Arc::new(Rights {
            grants: grants.map(|grants| (grants, place.clone())),
            hosts: limit(hosts.as_deref(), String::clone, |text| HostPattern::parse(text))?,
            paths: limit(paths.as_deref(), String::clone, |text| Root::parse(text.as_bytes()))?,
            commands: self::commands(commands.as_deref())?,
            follow_links_out: *follow_links_out,
            addresses: addresses.map(|sees| (sees, place)),
        }))
    }
}

/// Directories that are open to transfers.
pub(super) fn roots(written: Option<&[String]>) -> Result<Option<Limit<Root>>, CassetteError> {
    limit(written, String::clone, |text| Root::parse(text.as_bytes()))
}

fn limit<W, T>(
    written: Option<&[W]>,
    text: impl Fn(&W) -> String,
    parse: impl Fn(&W) -> Result<T, String>,
) -> Result<Option<Limit<T>>, CassetteError> {
    let Some(written) = written else { return Ok(None) };
    if written.len() > MAX_RULES {
        return Err(CassetteError::new(format!("has {} rules of one kind; {MAX_RULES} are allowed", written.len())));
    }
    let place = Place::new(PLACE);
    let rules = written.iter().map(|rule| {
        let unfit = |why| CassetteError::new(format!("has a rule that is not valid: {why}"));
        Ok(Rule { value: parse(rule).map_err(unfit)?, text: text(rule).into(), place: place.clone() })
    });
    Ok(Some(Limit { rules: rules.collect::<Result<_, CassetteError>>()?, place }))
}
