//! `ProxyJump`: the hosts on the way.

use std::fmt;

use super::refusal::Refusal;
use super::value;

/// More hosts on one way than anybody has.
pub(super) const MAX_HOPS: usize = 16;

/// One host on the way, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        let is_numeric = self.host.contains(':') || self.host.chars().all(|c| c.is_ascii_digit() || c == '.');
        if is_numeric {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The hosts in the order in which they are dialled; none for `none`.
pub(super) fn parse(text: &str) -> Result<Vec<Hop>, Refusal> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let (text, comment) = match text.split_once('#') {
        Some((text, _)) => (text.trim_end(), true),
        None => (text, false),
    };
    if text.contains(|c: char| c.is_ascii_whitespace()) || (comment && text.eq_ignore_ascii_case("none")) {
        return Err(Refusal::hinted(
            "has blanks or a comment that versions of OpenSSH read differently",
            "write the hosts without blanks, and the comment on a line of its own",
        ));
    }
    let hops = text.split(',').map(hop).collect::<Result<Vec<_>, _>>()?;
    if hops.len() > MAX_HOPS {
        return Err(Refusal::unsupported(format!("has more than {MAX_HOPS} hosts")));
    }
    if hops.len() > 1 && hops.iter().any(|hop| hop.host.eq_ignore_ascii_case("none")) {
        return Err(Refusal::unsupported("has `none` among other hosts"));
    }
    Ok(hops)
}

fn hop(text: &str) -> Result<Hop, Refusal> {
    let hop = match text.strip_prefix("ssh://") {
        Some(uri) => of_uri(uri),
        None => of_text(text),
    };
    let hop = hop.ok_or_else(|| Refusal::bad(format!("{text:?} is not [user@]host[:port]")))?;
    if is_safe_host(&hop.host) && hop.user.as_deref().is_none_or(is_safe_hop_user) {
        Ok(hop)
    } else {
        // ssh gives them to a shell, which may or may not undo what they mean.
        Err(Refusal::hinted(
            format!("{text:?} has characters that a shell would read"),
            "write the names without quotes",
        ))
    }
}

fn of_text(text: &str) -> Option<Hop> {
    let (user, address) = match text.rsplit_once('@') {
        Some(("", _)) => return None,
        Some((user, address)) => (Some(user.to_owned()), address),
        None => (None, text),
    };
    let (host, rest) = host_of(address)?;
    let port = match rest {
        None | Some((':', "")) => None,
        Some((':', port)) => Some(value::port(port).ok()?),
        Some(_) => return None,
    };
    Some(Hop { user, host: host.to_owned(), port })
}

/// `[user[;parameters]@]host[:port][/]`
fn of_uri(text: &str) -> Option<Hop> {
    let (user, address) = match text.split_once('@') {
        Some((user, address)) => (Some(user.split(';').next().unwrap_or(user)), address),
        None => (None, text),
    };
    let user = match user {
        Some("") => return None,
        Some(user) => Some(url_decoded(user)?),
        None => None,
    };
    let (host, rest) = host_of(address)?;
    let (port, path) = match rest {
        None => (None, ""),
        Some((':', rest)) => {
            let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
            (if rest.is_empty() { None } else { Some(value::port(port).ok()?) }, path)
        }
        Some((_, path)) => (None, path),
    };
    (is_domain(host) && path.is_empty()).then(|| {
        let host = host.strip_suffix('.').unwrap_or(host).to_owned();
        Hop { user, host, port }
    })
}

/// The host, then the delimiter after it with what follows.
fn host_of(text: &str) -> Option<(&str, Option<(char, &str)>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => text.split_at(text.find([':', '/']).unwrap_or(text.len())),
    };
    let mut rest = rest.chars();
    let after = match rest.next() {
        None => None,
        Some(delimiter @ (':' | '/')) => Some((delimiter, rest.as_str())),
        Some(_) => return None,
    };
    (!host.is_empty()).then_some((host, after))
}

fn url_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// As OpenSSH's `valid_domain`.
fn is_domain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// As newer versions of OpenSSH demand of a host on the command line. A `%` would be a token on the way to the shell.
fn is_safe_host(text: &str) -> bool {
    !text.starts_with('-')
        && !text.contains(|c: char| "'`\"$\\;&<>|(){}%".contains(c) || c.is_whitespace() || c.is_control())
}

/// As newer versions of OpenSSH demand of a user on the command line; besides, nothing that a shell would read or replace.
fn is_safe_hop_user(text: &str) -> bool {
    is_safe_user(text) && !text.contains(|c: char| "$\\%".contains(c) || c.is_whitespace())
}

/// As OpenSSH's `ssh_valid_ruser`.
pub(super) fn is_safe_user(text: &str) -> bool {
    let after_blank = |pair: &[u8]| matches!(pair, [blank, b'-'] if blank.is_ascii_whitespace());
    !text.starts_with('-')
        && !text.contains(|c: char| "'`\";&<>|(){}".contains(c) || c.is_ascii_control())
        && !text.as_bytes().windows(2).any(after_blank)
        && !text.ends_with('\\')
}

#[cfg(test)]
mod tests {
    use super::{Hop, parse};

    fn written(hops: &[Hop]) -> String {
        let one = |hop: &Hop| {
            let user = hop.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            let port = hop.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{user}<{}>{port}", hop.host)
        };
        hops.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn hosts_users_and_ports_are_told_apart() {
        for (text, wanted) in [
            ("none", ""),
            ("NONE", ""),
            ("a", "<a>"),
            ("a,u@b:22,c:", "<a> u@<b>:22 <c>"),
            ("u@v@b", "u@v@<b>"),
            ("[::1]:4,u@[fe80::1]", "<::1>:4 u@<fe80::1>"),
            ("ssh://u%41;x=1@a:33,ssh://b/", "uA@<a>:33 <b>"),
            ("a,b # c, d", "<a> <b>"),
        ] {
            assert_eq!(written(&parse(text).expect(text)), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "a,,b",
            "a,",
            "::1",
            "fe80::1",
            "@a",
            "a:0",
            "a:99999",
            "a/b",
            "ssh://a/path",
            "ssh://@a",
            "ssh://[::1]",
            "a b",
            "a, b",
            "\"a\"",
            "a;b",
            "a%h",
            "-a",
            "a,none",
            "none # x",
            "u%q@a",
            "ssh://u%4@a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&vec!["a"; 17].join(",")).is_err());
    }
}
