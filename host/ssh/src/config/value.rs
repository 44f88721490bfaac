//! Arguments into values.

use std::path::Path;
use std::time::Duration;

use super::matching::SessionType;
use super::read::Ownership;
use super::refusal::Refusal;
use super::{AddressFamily, StrictHostKeyChecking};

/// The port of SSH.
pub(super) const DEFAULT_PORT: u16 = 22;
/// OpenSSH's SSH_MAX_HOSTS_FILES.
const MAX_KNOWN_HOSTS_FILES: usize = 32;
const SERVICES: &str = "/etc/services";
/// Debian's has 13 KB, IANA's whole list 700.
const MAX_SERVICES_BYTES: u64 = 4 << 20;
/// What the C library takes for a blank before a number.
const C_BLANKS: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// The only argument.
pub(super) fn one(arguments: &[String]) -> Result<&str, Refusal> {
    match arguments {
        [only] if !only.is_empty() => Ok(only),
        [] | [_] => Err(Refusal::bad("needs an argument")),
        [first, ..] if first.is_empty() => Err(Refusal::bad("needs an argument")),
        _ => Err(Refusal::bad("has more than one argument")),
    }
}

/// Names of files; `none` stands alone.
pub(super) fn files(arguments: &[String]) -> Result<Vec<String>, Refusal> {
    if arguments.iter().any(String::is_empty) {
        return Err(Refusal::bad("has an empty argument"));
    }
    if arguments.len() > 1 && arguments.iter().any(|file| file.eq_ignore_ascii_case("none")) {
        return Err(Refusal::bad("has `none` beside other files"));
    }
    if arguments.len() > MAX_KNOWN_HOSTS_FILES {
        return Err(Refusal::bad(format!("has more than {MAX_KNOWN_HOSTS_FILES} files")));
    }
    Ok(arguments.to_vec())
}

/// `NAME=value`s, the first of each name.
pub(super) fn variables(arguments: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for argument in arguments {
        let Some((name, value)) = argument.split_once('=') else {
            return Err(Refusal::bad(format!("{argument} is not NAME=value")));
        };
        if variables.iter().all(|(known, _)| known != name) {
            variables.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(variables)
}

/// A port.
pub(super) fn port(text: &str) -> Result<u16, Refusal> {
    match text.trim_start_matches(C_BLANKS).parse() {
        Ok(0) => Err(Refusal::bad(format!("{text} is not a port from 1 to 65535"))),
        Ok(port) => Ok(port),
        Err(_) if text == "ssh" => Ok(DEFAULT_PORT),
        Err(_) => service(text)
            .ok_or_else(|| Refusal::bad(format!("{text} is not a port from 1 to 65535, nor a service of {SERVICES}"))),
    }
}

/// The port that this machine knows a service of TCP by.
fn service(name: &str) -> Option<u16> {
    let text = super::read::text(Path::new(SERVICES), MAX_SERVICES_BYTES, Ownership::Any).ok()??;
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (own, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        if own == name || words.any(|alias| alias == name) { port.parse().ok() } else { None }
    })
}

/// A number that fits OpenSSH's `int`.
pub(super) fn number(text: &str) -> Result<u32, Refusal> {
    let number = text.trim_start_matches(C_BLANKS).parse().ok().filter(|number| *number <= i32::MAX as u32);
    number.ok_or_else(|| Refusal::bad(format!("{text} is not a number")))
}

/// Yes or no.
pub(super) fn flag(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(Refusal::bad(format!("{text} is neither yes nor no"))),
    }
}

/// `PubkeyAuthentication`: which extension of the protocol it may use is left to the engine.
pub(super) fn public_key(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "unbound" | "host-bound" => Ok(true),
        _ => flag(text),
    }
}

/// `StrictHostKeyChecking`.
pub(super) fn strict(text: &str) -> Result<StrictHostKeyChecking, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        // Nobody is there to be asked.
        "yes" | "true" | "ask" => Ok(StrictHostKeyChecking::Yes),
        "accept-new" => Ok(StrictHostKeyChecking::AcceptNew),
        "no" | "false" | "off" => Ok(StrictHostKeyChecking::No),
        _ => Err(Refusal::bad(format!("{text} is not one of yes, ask, accept-new, no, off"))),
    }
}

/// `SessionType`.
pub(super) fn session_type(text: &str) -> Result<SessionType, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "default" => Ok(SessionType::Default),
        "subsystem" => Ok(SessionType::Subsystem),
        "none" => Ok(SessionType::None),
        _ => Err(Refusal::bad(format!("{text} is not one of default, subsystem, none"))),
    }
}

/// `AddressFamily`.
pub(super) fn address_family(text: &str) -> Result<AddressFamily, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "any" => Ok(AddressFamily::Any),
        "inet" => Ok(AddressFamily::Inet),
        "inet6" => Ok(AddressFamily::Inet6),
        _ => Err(Refusal::bad(format!("{text} is not one of any, inet, inet6"))),
    }
}

/// OpenSSH's time format: `90`, `1m30s`, `1h`; `None` is `none`.
pub(super) fn duration(text: &str) -> Result<Option<Duration>, Refusal> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const WEEK: u64 = 7 * DAY;
    let fail = || Refusal::bad(format!("{text} is not a time such as 30, 90s or 1m30s"));
    if text == "none" {
        return Ok(None);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        // Older versions passed over blanks and a sign too.
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let number: u64 = digits.parse().map_err(|_| fail())?;
        let mut after = after.chars();
        let unit = match after.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => MINUTE,
            Some('h' | 'H') => HOUR,
            Some('d' | 'D') => DAY,
            Some('w' | 'W') => WEEK,
            Some(_) => return Err(fail()),
        };
        total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(fail)?;
        rest = after.as_str();
    }
    // OpenSSH keeps seconds in an int.
    if text.is_empty() || total > i32::MAX as u64 {
        return Err(fail());
    }
    Ok(Some(Duration::from_secs(total)))
}
