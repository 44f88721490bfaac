//! The tool `changes`: what of a host has changed since a baseline was taken, which Scout keeps.

#![cfg_attr(test, expect(clippy::duplicate_mod, reason = "the tests of each parser bring the same mutants"))]

mod look;
#[path = "../../packages/src/manager.rs"]
#[expect(dead_code, reason = "of `packages`, which asks for more")]
mod manager;
#[path = "../../listeners/src/proc_net.rs"]
mod proc_net;
mod schema;
#[path = "../../listeners/src/socket.rs"]
#[expect(dead_code, reason = "of `listeners`, which tells more")]
mod socket;
#[path = "../../listeners/src/ss.rs"]
mod ss;
mod state;

use scout_plugin::json::{Object, Value};
use scout_plugin::rows::Asked;
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, baselines, register, text};

use crate::state::{Change, State, changes};

struct Changes;
register!(Changes: tools);

/// Files that are compared where none are named: who may be there, where it looks for others, what starts.
const FILES: [&str; 12] = [
    "/etc/crontab",
    "/etc/fstab",
    "/etc/group",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/profile",
    "/etc/resolv.conf",
    "/etc/ssh/sshd_config",
    "/etc/sysctl.conf",
];

/// The most files, and the most bytes of their names together.
const MAX_FILES: usize = 200;
const MAX_NAMES: usize = 16 * 1024;

impl Tools for Changes {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("changes", schema::DESCRIPTION, &schema::SHAPE.input(schema::INPUT))
                .title("Changes")
                .output_schema(&schema::SHAPE.output(schema::OUTPUT))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let arguments = Value::parse(arguments).ok_or_else(|| invalid("are not JSON"))?;
        let takes = match arguments.get("baseline").and_then(Value::as_text) {
            None => false,
            Some("take") => true,
            Some(_) => return Err(invalid("have a `baseline` that is not `take`")),
        };
        let files = files(&arguments)?;
        let asked = schema::SHAPE.ask(&arguments)?;
        let (host, name) = (asked.host().to_owned(), baseline(&files));
        if takes {
            let state = look::look(&host, &files)?;
            let taken = baselines::store(&host, &name, state.print().as_bytes())?;
            let mut notes = vec![format!("the baseline is taken: {}", state.counted())];
            notes.extend(state.unseen());
            return Ok(answer(asked, taken, &[], notes));
        }
        // Without one the host is not asked.
        let kept = baselines::load(&host, &name)?.ok_or_else(|| none(&host))?;
        let before = State::parse(&kept.content).ok_or_else(|| {
            let message = format!("the baseline of {host} is of another version of this tool");
            Error::new(ErrorKind::Unsupported, message).hint(TAKE)
        })?;
        let (changes, notes) = changes(&before, &look::look(&host, &files)?);
        Ok(answer(asked, kept.taken, &changes, notes))
    }
}

const TAKE: &str = "take one with the argument `baseline`: \"take\", then ask without it";

fn none(host: &str) -> Error {
    let message = format!("there is no baseline of {host} for these files, and so nothing to compare with");
    Error::new(ErrorKind::NotFound, message).hint(TAKE)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the arguments of `changes` {what}"))
}

/// The files that are asked for, each once, in order.
fn files(arguments: &Value) -> Result<Vec<String>, Error> {
    let Some(Value::Array(named)) = arguments.get("files") else { return Ok(FILES.map(str::to_owned).to_vec()) };
    let mut files = Vec::new();
    for name in named {
        let is_path = |path: &&str| path.starts_with('/') && path.len() > 1 && !path.contains(char::is_control);
        let path = name.as_text().filter(is_path).ok_or_else(|| {
            invalid("name a file that is none").hint("write absolute paths, as /etc/hosts, without wildcards")
        })?;
        files.push(path.to_owned());
    }
    files.sort();
    files.dedup();
    let bytes: usize = files.iter().map(String::len).sum();
    match files.is_empty() || files.len() > MAX_FILES || bytes > MAX_NAMES {
        true => Err(invalid(&format!("name 1 to {MAX_FILES} files, of {} KiB together", MAX_NAMES >> 10))),
        false => Ok(files),
    }
}

/// The name of the baseline of these files: another set has another one.
fn baseline(files: &[String]) -> String {
    if files.iter().map(String::as_str).eq(FILES) {
        return "default".to_owned();
    }
    // FNV-1a of 128 bits: what collides would be told as files that were added and removed.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in files.iter().flat_map(|file| file.bytes().chain([0])) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    }
    format!("files-{hash:032x}")
}

fn answer(asked: Asked, taken: u64, changes: &[Change], notes: Vec<String>) -> Answer {
    let taken = text::rfc3339(taken);
    let since = taken.as_deref().map(|taken| format!("the baseline is of {taken}"));
    let page = asked.page(changes.iter().map(Change::row).collect()).notes(since.into_iter().chain(notes));
    let object = Object::new().text("host", page.asked().host());
    let json = page.json(object);
    let json = if let Some(taken) = &taken { json.text("taken", taken.as_str()) } else { json };
    Answer::new().text(page.text().trim_end()).structured(json)
}

#[cfg(test)]
#[path = "../../mutants.rs"]
mod mutants;

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
