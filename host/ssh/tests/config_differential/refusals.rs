//! What Scout does not evaluate though ssh takes it.

use crate::compare::keyword_of;
use crate::world::World;

/// Keywords whose lines Scout may refuse though ssh takes them.
const NOT_EVALUATED: &[&str] = &[
    "canonicalizehostname",
    "checkhostip",
    "knownhostscommand",
    "nohostauthenticationforlocalhost",
    "revokedhostkeys",
    "bindinterface",
    "proxyusefdpass",
    // Names of services.
    "port",
    // Tokens.
    "user",
    // Blanks, comments, loops; a command after `ProxyJump none`.
    "proxyjump",
    "proxycommand",
    // `!final` without `final`.
    "match",
];

/// The refusal names a line, and its keyword is one that Scout does not always evaluate.
pub(crate) fn refused_for_a_reason(world: &World, message: &str) -> Result<(), String> {
    // `ssh -G` does not look into these; ssh itself would end.
    if ["%q", "SCOUT_IS_NOT_SET", "no-such-account-here", "leaves no algorithm"]
        .iter()
        .any(|text| message.contains(text))
    {
        return Ok(());
    }
    // For a host behind another, the last place named is the one in question.
    let directory = world.path().display().to_string();
    let (_, rest) = message.rsplit_once(&directory).ok_or("no file is named")?;
    let (file, rest) = rest.split_once(':').ok_or("no line is named")?;
    let (line, _) = rest.split_once(':').ok_or("no line is named")?;
    let line: usize = line.parse().map_err(|_| "no line is named")?;
    let text = std::fs::read_to_string(format!("{directory}{file}")).map_err(|error| error.to_string())?;
    let keyword = keyword_of(text.lines().nth(line - 1).ok_or("there is no such line")?);
    if NOT_EVALUATED.contains(&keyword.as_str()) { Ok(()) } else { Err(format!("{keyword} is evaluated")) }
}
