//! How the parts are seen: one command each, and what is read of it.

use scout_plugin::exec::{self, Output};
use scout_plugin::{Error, ErrorKind, text};

use crate::manager::Manager;
use crate::state::{ABSENT, Kind, State, UNREAD};
use crate::{proc_net, ss};

/// Names, and what each is.
type Found = Vec<(String, String)>;

/// Ports of UDP from here on are given to whoever asks something: none of them stays.
const GIVEN: u64 = 32_768;

/// Looks at all parts. What is said of a part that is not seen says why.
///
/// # Errors
/// A host that does not answer, or that was not asked in time.
pub(crate) fn look(host: &str, files: &[String]) -> Result<State, Error> {
    let mut state = State::default();
    let mut put = |kind: Kind, part: Result<Found, Error>| match part {
        Err(error) if !is_of_part(&error) => Err(error),
        part => {
            state.put(kind, part.map_err(|error| error.message));
            Ok(())
        }
    };
    put(Kind::File, self::files(host, files))?;
    put(Kind::Package, packages(host))?;
    put(Kind::Unit, units(host))?;
    put(Kind::Account, accounts(host))?;
    put(Kind::Listener, listeners(host))?;
    match state.parts.values().all(Result::is_err) {
        true => Err(Error::new(
            ErrorKind::Unsupported,
            format!("nothing of {host} was seen: {}", state.unseen().join("; ")),
        )),
        false => Ok(state),
    }
}

/// Whether a failure is one of a part alone: another would fail otherwise, or not at all.
fn is_of_part(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Refused
            | ErrorKind::Permission
            | ErrorKind::Unsupported
            | ErrorKind::NotFound
            | ErrorKind::Remote
            | ErrorKind::Exhausted
            | ErrorKind::Invalid
    )
}

/// What a command told, all of it: what it did not tell would be taken for what is not there any more.
fn whole(host: &str, program: &str, output: Output) -> Result<Output, Error> {
    match output.exit {
        Some(0) => not_cut(host, program, output),
        _ => Err(output.failure(host, program)),
    }
}

fn not_cut(host: &str, program: &str, output: Output) -> Result<Output, Error> {
    if output.truncated {
        let message = format!("`{program}` on {host} says more than Scout accepts from a command");
        return Err(Error::new(ErrorKind::Exhausted, message));
    }
    Ok(output)
}

fn files(host: &str, files: &[String]) -> Result<Found, Error> {
    let words: Vec<&str> = ["sha256sum", "--"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = exec::output(host, &[&words])?;
    if output.is_missing() {
        return Err(output.failure(host, "sha256sum"));
    }
    Ok(digests(files, &not_cut(host, "sha256sum", output)?))
}

/// What `sha256sum` told of these files: a digest, that one is not there, or nothing of it.
pub(crate) fn digests(files: &[String], output: &Output) -> Found {
    let told = String::from_utf8_lossy(&output.stdout);
    let digest = |file: &String| {
        told.lines().find_map(|line| {
            // A name with odd characters has a backslash in front of the line, and is written otherwise.
            let (digest, name) = line.split_once("  ")?;
            let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_digest && name == file).then(|| format!("sha256:{digest}"))
        })
    };
    let is_absent = |file: &String| {
        output.stderr.lines().any(|line| {
            // Behind the program's name, and busybox's words; the whole name, for one may end as another does.
            let said = line.split_once(": ").map_or(line, |(_, said)| said);
            let said = said.strip_prefix("can't open ").unwrap_or(said);
            let name = said.strip_suffix(": No such file or directory").unwrap_or_default();
            name == file || name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) == Some(file)
        })
    };
    let value = |file: &String| match digest(file) {
        Some(digest) => digest,
        None if is_absent(file) => ABSENT.to_owned(),
        None => UNREAD.to_owned(),
    };
    files.iter().map(|file| (file.clone(), value(file))).collect()
}

fn packages(host: &str) -> Result<Found, Error> {
    let mut failure = None;
    for manager in Manager::ALL {
        let Some(words) = manager.words(false) else { continue };
        let output = exec::output(host, &[words])?;
        if output.is_missing() {
            continue;
        }
        let listing = manager.parse(false, output.whole_lines());
        if listing.packages.is_empty() {
            let error = output.failure(host, manager.name());
            // What another manager has is not what this one could not tell.
            if output.exit != Some(0) {
                return Err(error);
            }
            failure = Some(error);
            continue;
        }
        whole(host, manager.name(), output)?;
        let name =
            |name: String, arch: Option<String>| arch.map_or_else(|| name.clone(), |arch| format!("{name}:{arch}"));
        let packages = listing.packages.into_iter();
        return Ok(packages
            .map(|package| (name(package.name, package.arch), package.version.unwrap_or_default()))
            .collect());
    }
    let none = || Error::new(ErrorKind::Unsupported, format!("{host} has no package manager that can be asked"));
    Err(failure.unwrap_or_else(none))
}

fn units(host: &str) -> Result<Found, Error> {
    let output = exec::output(host, &[&["systemctl", "list-unit-files", "--no-pager", "--no-legend", "--full"]])?;
    let found = enabled(&String::from_utf8_lossy(output.whole_lines()));
    if found.is_empty() {
        return Err(output.failure(host, "systemctl"));
    }
    whole(host, "systemctl", output)?;
    Ok(found)
}

/// The units that somebody has enabled or masked; what is `static` or made anew says nothing of that.
pub(crate) fn enabled(output: &str) -> Found {
    let unit = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (name, state) = (words.next()?, words.next()?);
        let counts = ["enabled", "enabled-runtime", "disabled", "masked", "masked-runtime", "linked"].contains(&state);
        (counts && name.contains('.')).then(|| (name.to_owned(), state.to_owned()))
    };
    output.lines().filter_map(unit).collect()
}

fn accounts(host: &str) -> Result<Found, Error> {
    let output = exec::output(host, &[&["cut", "-d:", "-f1,3,4", "/etc/passwd"]])?;
    let found = ids(&String::from_utf8_lossy(output.whole_lines()));
    if found.is_empty() {
        return Err(output.failure(host, "cut"));
    }
    whole(host, "cut", output)?;
    Ok(found)
}

/// Accounts and their ids, of `NAME:UID:GID`.
pub(crate) fn ids(output: &str) -> Found {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let (name, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        let are_numbers = [uid, gid].iter().all(|id| id.parse::<u64>().is_ok());
        (are_numbers && !name.is_empty()).then(|| (name.to_owned(), format!("uid {uid} gid {gid}")))
    };
    output.lines().filter_map(account).collect()
}

fn listeners(host: &str) -> Result<Found, Error> {
    let output = exec::output(host, &[&["ss", "-tulpne"]])?;
    if !output.is_missing() {
        let found = ss::parse(output.whole_lines());
        if found.sockets.is_empty() && output.exit != Some(0) {
            return Err(output.failure(host, "ss"));
        }
        whole(host, "ss", output)?;
        return Ok(places(found));
    }
    // A kernel without IPv6 has not all of them.
    let words: Vec<&str> = ["grep", "-a", "-H", "-e", ":", "--"].into_iter().chain(proc_net::TABLES).collect();
    let output = exec::output(host, &[&words])?;
    if output.stdout.is_empty() {
        let message = format!("{host} has neither the program `ss` nor tables of a Linux kernel in /proc/net");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if !is_whole(&output) {
        return Err(output.failure(host, "grep"));
    }
    Ok(places(proc_net::parse(not_cut(host, "grep", output)?.whole_lines())))
}

/// Whether grep has read all tables that there are. It tells of one that is not there in words, and with the status of a failure; that
/// status without words, or none, is of a grep that did not come to its end.
pub(crate) fn is_whole(output: &Output) -> bool {
    let mut complaints = output.stderr.lines().peekable();
    let has_ended = matches!(output.exit, Some(0 | 1)) || output.exit == Some(2) && complaints.peek().is_some();
    has_ended && complaints.all(|line| line.contains("No such file"))
}

/// Where something listens, and of which unit or account: that everybody is told, and names of processes only root.
pub(crate) fn places(found: crate::socket::Found) -> Found {
    let stays = |socket: &crate::socket::Socket| socket.proto != "udp" || socket.port.is_some_and(|port| port < GIVEN);
    let place = |socket: crate::socket::Socket| {
        let port = socket.port.map_or_else(|| "*".to_owned(), |port| port.to_string());
        let name = format!("{} {}:{port}", socket.proto, socket.address);
        let whose = socket.unit.or_else(|| socket.uid.map(|uid| format!("uid {uid}")));
        (name, text::clipped(&whose.unwrap_or_default(), 200))
    };
    let mut places: Found = found.sockets.into_iter().filter(stays).map(place).collect();
    // Several sockets of one place, in an order of the host's own.
    places.sort();
    places.dedup();
    places
}
