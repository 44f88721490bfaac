//! The tool `posture`: how safe a host's SSH server is, by what its connection was agreed on, by what sshd is set to, and by a dated table of
//! versions.

mod finding;
mod known;
mod schema;
mod settings;

use scout_plugin::exec::{self, Output, Pipeline, Ran, RanAs, Stage, StderrTo, Word};
use scout_plugin::inventory::{self, Property};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{self, Asked};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register};

use crate::finding::{Finding, State, of_handshake};
use crate::settings::Settings;

struct Posture;
register!(Posture: tools);

/// What is asked of sshd.
const DUMP: &[&str] = &["sshd", "-T"];

impl Tools for Posture {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("posture", schema::DESCRIPTION, &schema::SHAPE.input(""))
                .title("SSH posture")
                .output_schema(&schema::SHAPE.output(""))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let arguments = Value::parse(arguments)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the arguments of `posture` are not JSON"))?;
        let asked = schema::SHAPE.ask(&arguments)?;
        let found = look(asked.host())?;
        Ok(answer(asked, found))
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    notes: Vec<String>,
}

/// The connection that is there, and two or three commands.
fn look(host: &str) -> Result<Found, Error> {
    let mut found = Found::default();
    let facts = match inventory::handshake(host) {
        Ok(facts) => facts,
        Err(error) if error.kind == ErrorKind::Unsupported => {
            found.notes.push(error.message);
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let now = if is_certified(&facts) { clock(host) } else { None };
    found.findings.extend(of_handshake(&facts, now));
    match settings(host, &mut found.notes) {
        Ok(settings) => {
            found.findings.extend(settings.findings());
            if settings.has_match {
                found.notes.push("what sshd_config has below `Match` was not looked at".to_owned());
            }
        }
        Err(error) => found.notes.push(format!("what sshd is set to is not known: {}", error.message)),
    }
    match exec::output_of(host, &keys()) {
        Ok(output) => found.findings.extend(settings::keys(&String::from_utf8_lossy(output.whole_lines()))),
        Err(error) => found.notes.push(format!("how old the host keys are is not known: {}", error.message)),
    }
    if found.findings.is_empty() {
        let why = found.notes.join("; ");
        return Err(Error::new(ErrorKind::Unsupported, format!("nothing of an SSH server is known of {host}: {why}")));
    }
    Ok(found)
}

fn is_certified(facts: &[Property]) -> bool {
    facts.iter().any(|fact| fact.name == "certificate-valid-before")
}

/// The host's clock, in seconds since 1970.
fn clock(host: &str) -> Option<u64> {
    let output = exec::output(host, &[&["date", "+%s"]]).ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// The files of host keys that anybody may read, with when they were written.
fn keys() -> Pipeline {
    let literal = |word: &&str| Word::Literal((*word).to_owned());
    let words =
        ["stat", "-c", "%Y %n", "--"].iter().map(literal).chain([Word::Glob("/etc/ssh/ssh_host_*_key.pub".to_owned())]);
    Pipeline { stages: vec![Stage { words: words.collect(), stderr: StderrTo::Capture }], directory: None }
}

/// What sshd says that it is set to, as root, else what its files say.
fn settings(host: &str, notes: &mut Vec<String>) -> Result<Settings, Error> {
    let Ran { output, by } = exec::output_as_root(host, &[DUMP], "sshd")?;
    if output.exit == Some(0) {
        notes.extend(by.note("sshd"));
        return Ok(Settings::of_dump(&String::from_utf8_lossy(output.whole_lines())));
    }
    if matches!(by, RanAs::Root) {
        notes.push(output.failure(host, "sshd").message);
    }
    let output = exec::output_of(host, &files())?;
    of_files(host, &output, &by, notes)
}

fn files() -> Pipeline {
    let literal = |word: &&str| Word::Literal((*word).to_owned());
    let words = ["grep", "-a", "-H", "-v", "-e", "^[[:space:]]*#", "--"].iter().map(literal);
    let words = words.chain([Word::Glob(settings::FILES.to_owned()), Word::Literal(settings::FILE.to_owned())]);
    Pipeline { stages: vec![Stage { words: words.collect(), stderr: StderrTo::Capture }], directory: None }
}

fn of_files(host: &str, output: &Output, by: &RanAs, notes: &mut Vec<String>) -> Result<Settings, Error> {
    if output.stdout.is_empty() {
        return Err(match output.stderr.contains("No such file") {
            true => {
                Error::new(ErrorKind::NotFound, format!("{host} has no {}, and `sshd -T` is root's", settings::FILE))
            }
            false => output.failure(host, "grep"),
        });
    }
    notes.push(format!(
        "`sshd -T` is root's: what {} and {} say is told, without what other files that they include say and without defaults",
        settings::FILE,
        settings::FILES
    ));
    notes.extend(by.note("sshd").or_else(|| by.advice(DUMP)));
    if output.truncated {
        notes.push("the files are longer than Scout accepts from a command".to_owned());
    }
    let mut settings = Settings::of_files(&String::from_utf8_lossy(output.whole_lines()));
    // Without such a directory its pattern is no file.
    for complaint in output.stderr.lines().filter(|line| !line.contains("No such file")).take(MAX_COMPLAINTS) {
        settings.is_partial = true;
        notes.push(scout_plugin::text::clipped(&scout_plugin::text::one_line(complaint), 200));
    }
    settings.is_partial |= output.truncated;
    Ok(settings)
}

/// Complaints about files that are told.
const MAX_COMPLAINTS: usize = 5;

fn answer(asked: Asked, found: Found) -> Answer {
    let Found { findings, notes } = found;
    let mut places: Vec<usize> = (0..findings.len()).collect();
    rows::sort(&mut places, &|one, other| {
        let state = |at: usize| findings.get(at).map_or(State::Ok, |finding| finding.state);
        state(one).cmp(&state(other))
    });
    let page = asked.page(places.iter().filter_map(|at| findings.get(*at)).map(Finding::row).collect()).notes(notes);
    let host = page.asked().host();
    Answer::new().text(page.text().trim_end()).structured(page.json(Object::new().text("host", host)))
}

#[cfg(test)]
#[path = "../../mutants.rs"]
mod mutants;

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
