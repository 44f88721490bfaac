//! Takes the table of `ss -tulpne` apart. Pure.
//!
//! The first six columns are single words; behind them stand who has the socket open, its account and its control group. Names of processes are
//! what these chose: they may hold blanks, quotes and brackets, but no more than 15 bytes, in which no second owner fits.

use crate::socket::{Found, Socket};

/// The most owners of one socket that are looked at.
const MAX_OWNERS: usize = 200;

/// The sockets of a table, and lines that are none.
pub(crate) fn parse(output: &[u8]) -> Found {
    let output = String::from_utf8_lossy(output);
    let mut found = Found::default();
    for line in output.lines().filter(|line| !line.starts_with("Netid") && !line.trim().is_empty()) {
        match socket(line) {
            Some(socket) => found.sockets.push(socket),
            None => found.unread += 1,
        }
    }
    found
}

fn socket(line: &str) -> Option<Socket> {
    let mut rest = line;
    let mut next = || {
        let text = rest.trim_start();
        let (word, behind) = text.split_at_checked(text.find(' ').unwrap_or(text.len()))?;
        rest = behind;
        Some(word).filter(|word| !word.is_empty())
    };
    let proto = next().filter(|proto| ["tcp", "udp"].contains(proto))?.to_owned();
    let _state = next()?;
    let (waiting, backlog) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (address, port) = place(next()?)?;
    let _peer = next()?;
    let (owners, details) = owners(rest);
    let uid = details.split(' ').find_map(|word| word.strip_prefix("uid:"));
    let group = details.split(' ').find_map(|word| word.strip_prefix("cgroup:"));
    Some(Socket {
        // A queue of TCP has a bound; one of UDP has none to tell.
        backlog: Some(backlog).filter(|_| proto == "tcp"),
        proto,
        address,
        port,
        owners,
        // Root is not written.
        uid: uid.map_or(Some(0), |uid| uid.parse().ok()),
        unit: group.and_then(unit),
        waiting: Some(waiting),
    })
}

/// An address without its brackets, and a port; `*` is any.
fn place(word: &str) -> Option<(String, Option<u64>)> {
    let (address, port) = word.rsplit_once(':')?;
    let address = address.replace(['[', ']'], "");
    let port = if port == "*" { None } else { Some(port.parse().ok()?) };
    Some((address, port))
}

/// Of `users:(("nginx",pid=812,fd=6),("nginx",pid=813,fd=6)) uid:33 …` each process once, by its id, and everything else.
fn owners(details: &str) -> (Vec<(String, u64)>, String) {
    const BEGIN: &str = "users:((";
    const END: &str = "))";
    let parts = details.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.rsplit_once(END)?)));
    let Some((before, (users, behind))) = parts else { return (Vec::new(), details.to_owned()) };
    let mut owners: Vec<(String, u64)> = Vec::new();
    for user in users.split("),(").take(MAX_OWNERS) {
        let owner = user.rsplit_once(",pid=").and_then(|(name, ids)| {
            let (pid, _fd) = ids.split_once(',')?;
            Some((name.trim_matches('"').to_owned(), pid.parse().ok()?))
        });
        if let Some(owner) = owner
            && !owners.iter().any(|(_, pid)| *pid == owner.1)
        {
            let at = owners.iter().position(|(_, pid)| *pid > owner.1).unwrap_or(owners.len());
            owners.insert(at, owner);
        }
    }
    (owners, format!("{before}{behind}"))
}

/// The unit that a control group is of, such as `/system.slice/ssh.service`.
fn unit(group: &str) -> Option<String> {
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    group.rsplit('/').find(is_unit).map(str::to_owned)
}

#[cfg(test)]
#[path = "ss_tests.rs"]
mod tests;
