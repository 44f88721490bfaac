//! What Scout refuses though `ssh -G` takes it, or refuses without naming a line: value by value.

use crate::compare::keyword_of;
use crate::world::World;

/// Keywords with the values of theirs that Scout refuses, as they stand on the line. Any other value of the same keyword
/// that only Scout refuses is a difference.
const NOT_EVALUATED: &[(&str, &[&str])] = &[
    // Ignored, they could reach another machine or trust another key.
    ("knownhostscommand", &["/bin/x %H", "=/bin/x %H", "=none"]),
    ("proxyusefdpass", &["yes"]),
    // ssh says that it finds no such host, and names no line.
    ("canonicalizehostname", &["yes", "always", "TRUE", "=yes", "=always", "=TRUE"]),
    // Newer versions refuse them.
    ("setenv", &["# nothing", "=# nothing"]),
    ("connecttimeout", &["\"1m 5\"", "=\"1m 5\""]),
    // Versions of OpenSSH read them differently.
    ("proxyjump", &["none # x", "a,none", "=a,none"]),
    // `ssh -G` does not look into these; ssh itself would end.
    ("hostname", &["%q", "%", "=%q", "=%"]),
    ("user", &["%q", "%r", "%", "${SCOUT_IS_NOT_SET}", "=%q", "=%r", "=%", "=${SCOUT_IS_NOT_SET}"]),
    ("setenv", &["A=%q", "=A=%q"]),
    ("identityfile", &["/k/%q", "${SCOUT_IS_NOT_SET}/x", "~no-such-account-here/x"]),
    ("identityfile", &["=/k/%q", "=${SCOUT_IS_NOT_SET}/x"]),
    ("identityagent", &["/${SCOUT_IS_NOT_SET}"]),
    ("userknownhostsfile", &["/%q", "=/%q"]),
    ("proxycommand", &["nc %q", "=nc %q"]),
    ("kexalgorithms", &["-*"]),
    ("casignaturealgorithms", &["-*", "+!ssh-rsa", "ssh-ed25519-cert-v01@openssh.com"]),
    ("hostkeyalgorithms", &["+!ssh-rsa"]),
];

/// Whether this refusal of Scout's is one of those above.
///
/// # Errors
/// What it is instead.
pub(crate) fn is_expected(world: &World, message: &str) -> Result<(), String> {
    let line = refused_line(world, message)?;
    let (keyword, value) = (keyword_of(&line), value_of(&line));
    if is_listed(&keyword, &value) {
        return Ok(());
    }
    // A condition may need what another line says.
    let needed = message.split_once("Match needs HostName ").and_then(|(_, rest)| rest.split_once(": "));
    if needed.is_some_and(|(name, _)| is_listed("hostname", name) && world.has_line("hostname", name)) {
        return Ok(());
    }
    // It depends on another line whether the command counts.
    let is_after_none = message.contains("ProxyCommand after `ProxyJump none` counts only for some versions");
    if keyword == "proxycommand" && is_after_none && world.has_line("proxyjump", "none") {
        return Ok(());
    }
    Err(format!("{keyword} {value} is evaluated"))
}

fn is_listed(keyword: &str, value: &str) -> bool {
    let mut values = NOT_EVALUATED.iter().filter(|(known, _)| *known == keyword).flat_map(|(_, values)| *values);
    match keyword {
        // Among other criteria.
        "match" => values.any(|criterion| value.contains(criterion)),
        _ => values.any(|known| *known == value),
    }
}

/// The line that the refusal names; for a host behind another, the last place named is the one in question.
fn refused_line(world: &World, message: &str) -> Result<String, String> {
    let mut places = message.match_indices('/').filter_map(|(start, _)| {
        let (file, rest) = message[start..].split_once(':')?;
        let line: usize = rest.split_once(": ")?.0.parse().ok()?;
        let text = world.text_of(file)?;
        text.lines().nth(line.checked_sub(1)?).map(str::to_owned)
    });
    places.next_back().ok_or_else(|| "no line is named".to_owned())
}

/// What stands behind the keyword and its separator, without a comment.
pub(crate) fn value_of(line: &str) -> String {
    let line = line.trim().replace("# it's a comment", "");
    let rest = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap().1,
        None => &line[keyword_of(&line).len()..],
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    rest.strip_prefix('=').unwrap_or(rest).trim_matches([' ', '\t', '\x0c']).to_owned()
}
