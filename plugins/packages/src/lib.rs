//! The tool `packages`: what is installed on a host, or what could be updated, as its package manager says. Nothing is fetched and nothing
//! written: what can be updated is what the host's own lists say, as old as they are.

mod manager;
mod schema;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{Asked, Cell, Row};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::manager::{Listing, Manager, Package};

struct Packages;
register!(Packages: tools);

/// What apt has fetched lists into.
const APT_LISTS: &str = "/var/lib/apt/lists";

/// The most characters of what a program complained about.
const MAX_COMPLAINT: usize = 300;

impl Tools for Packages {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("packages", schema::DESCRIPTION, &schema::shape(false).input(schema::INPUT))
                .title("Packages")
                .output_schema(&schema::shape(false).output(schema::OUTPUT))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let arguments = Value::parse(arguments)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the arguments of `packages` are not JSON"))?;
        let updates = arguments.get("updates").and_then(Value::as_boolean).unwrap_or(false);
        let asked = schema::shape(updates).ask(&arguments)?;
        let (manager, listing) = look(asked.host(), updates)?;
        Ok(answer(asked, manager, updates, listing))
    }
}

/// Asks one manager after the other, until one has packages: one command on Debian, one more for each that a host does not have.
fn look(host: &str, updates: bool) -> Result<(Manager, Listing), Error> {
    let mut empty = None;
    let mut failure = None;
    for manager in Manager::ALL {
        let Some(words) = manager.words(updates) else { continue };
        let output = exec::output(host, &[words])?;
        if output.is_missing() {
            continue;
        }
        let mut listing = manager.parse(updates, output.whole_lines());
        if output.truncated {
            listing
                .notes
                .push("the host says more than Scout accepts from a command: the last packages are missing".to_owned());
        }
        if updates && manager.knows(&output) {
            listing.notes.extend(freshness(host, manager, &output)?);
            return Ok((manager, listing));
        }
        if !listing.packages.is_empty() {
            return Ok((manager, listing));
        }
        // A program that is there beside the host's own manager has nothing to tell.
        match output.exit {
            Some(0) if !updates => empty = Some((manager, listing)),
            _ => failure = Some(output.failure(host, words.first().unwrap_or(&manager.name()))),
        }
    }
    match (empty, failure) {
        (Some(found), _) => Ok(found),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(none(host, updates)?),
    }
}

/// Why there is no answer on a host that has no manager which could be asked.
fn none(host: &str, updates: bool) -> Result<Error, Error> {
    if updates && !exec::output(host, &[&["rpm", "--version"]])?.is_missing() {
        let message = format!(
            "what can be updated on {host} is not known: its manager fetches lists and writes caches when it is asked"
        );
        return Ok(Error::new(ErrorKind::Unsupported, message)
            .hint("leave `updates` out for what is installed; the operator may run `dnf check-update` or `zypper list-updates`"));
    }
    let message = format!("{host} has none of the programs dpkg-query, rpm, apk and pacman");
    Ok(Error::new(ErrorKind::Unsupported, message)
        .hint("see what kind of host it is: `cat /etc/os-release` with the tool `scout`"))
}

/// How old what is known of updates is, and what the manager said beside it.
fn freshness(host: &str, manager: Manager, output: &Output) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    let fetched = match manager {
        Manager::Dpkg => {
            let output = exec::output(host, &[&["stat", "-c", "%Y", "--", APT_LISTS]])?;
            let seconds = std::str::from_utf8(&output.stdout).ok().and_then(|seconds| seconds.trim().parse().ok());
            seconds.and_then(text::rfc3339)
        }
        _ => None,
    };
    notes.push(match fetched {
        Some(time) => format!("by the lists that the host last fetched at {time}"),
        None => "by the lists that the host last fetched; when that was is not known".to_owned(),
    });
    if manager != Manager::Dpkg {
        notes.push("this manager does not tell which updates mend security".to_owned());
    }
    let complaints =
        output.stderr.lines().filter(|line| !line.trim().is_empty() && !line.contains("stable CLI interface"));
    notes.extend(complaints.take(3).map(|line| format!("the host said: {}", text::clipped(line, MAX_COMPLAINT))));
    Ok(notes)
}

fn answer(asked: Asked, manager: Manager, updates: bool, listing: Listing) -> Answer {
    let Listing { packages, unread, removed, mut notes } = listing;
    if unread > 0 {
        notes.push(format!("{} could not be read", text::count(unread as u64, "line", "lines")));
    }
    if removed > 0 {
        notes.push(format!(
            "of {} that was removed there is still configuration",
            text::count(removed as u64, "package", "packages")
        ));
    }
    if packages.is_empty() {
        notes.push(if updates { "nothing to update" } else { "no package is installed" }.to_owned());
    }
    let page = asked.page(packages.iter().map(row).collect()).notes(notes);
    let object = Object::new().text("host", page.asked().host()).text("manager", manager.name());
    Answer::new().text(page.text().trim_end()).structured(page.json(object))
}

/// A package, in the columns of [`schema::shape`].
fn row(package: &Package) -> Row {
    vec![
        Cell::text(package.name.as_str()),
        Cell::text(package.version.as_deref()),
        Cell::text(package.available.as_deref()),
        package.security.map_or(Cell::None, Cell::Bool),
        Cell::text(package.arch.as_deref()),
        Cell::text(package.repository.as_deref()),
        Cell::number(package.size),
        Cell::text(package.state.as_deref()),
        Cell::text(package.summary.as_deref()),
    ]
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
