//! The tools `services` and `service`: systemd's units as `systemctl show` says, or OpenRC's services.

mod openrc;
mod schema;
mod show;

use std::collections::BTreeSet;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{self, Asked, Cell};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::show::{Properties, Unit};

struct Services;
register!(Services: tools);

/// Types of units that can be asked for.
const TYPES: &str = "service socket timer mount automount swap target path slice scope device all";

/// What names of units are made of, what patterns of them, and what states.
const UNIT_BYTES: &[u8] = b":_.@\\-";
const PATTERN_BYTES: &[u8] = b":_.@\\-*?";
const STATE_BYTES: &[u8] = b"-";

/// The most bytes of a name, a pattern or a state.
const MAX_NAME: usize = 255;

/// The most states of one question.
const MAX_STATES: usize = 8;

/// The most characters of what a program complained about.
const MAX_COMPLAINT: usize = 500;

/// What a row is made of.
const ROW: &str = "--property=Id,LoadState,ActiveState,SubState,Description,UnitFileState,MainPID,MemoryCurrent,\
ActiveEnterTimestamp,ActiveExitTimestamp,InactiveEnterTimestamp,InactiveExitTimestamp";

/// What tells aliases of a unit, where files of units are looked at besides.
const NAMES: &str = "--property=Names";

/// The state of a file that is an alias of another unit: systemd 246 and newer. Before, it has the state of that unit's.
const ALIAS: &str = "alias";

/// The most names that are asked after as aliases. A pattern that fits more of them mostly fits their units too.
const MAX_ALIASES: usize = 20;

/// Times to the microsecond, in UTC: systemd 247 and newer.
const TIMES: &str = "--timestamp=us+utc";

/// The file of the host's zone.
const ZONE: &str = "/etc/localtime";

/// A line that is the rule of a time zone, as the last of a zone's file is.
const ZONE_RULE: &str = "^[A-Za-z<][-+A-Za-z0-9<>:,./]*[0-9]$";

/// What is told of one unit besides. Never its environment or its command line: they hold secrets.
const DETAILS: &str = "--property=Names,Result,LoadError,FragmentPath,SourcePath,DropInPaths,Restart,NRestarts,ExecMainCode,\
ExecMainStatus,TasksCurrent,CPUUsageNSec,ControlGroup,Documentation,TriggeredBy,Triggers,NeedDaemonReload";

/// What is said where a manager does not answer: without systemd, and without its bus.
const NO_MANAGER: [&str; 5] = [
    "not found",
    "not been booted with systemd",
    "Failed to connect to bus",
    "Failed to connect to system scope bus",
    "Failed to get D-Bus connection",
];

impl Tools for Services {
    fn describe() -> Vec<Tool> {
        let services = Tool::new("services", schema::SERVICES, &schema::UNITS.input(schema::SERVICES_INPUT))
            .title("Services")
            .output_schema(&schema::UNITS.output(schema::SERVICES_OUTPUT));
        let service = Tool::new("service", schema::SERVICE, schema::SERVICE_INPUT)
            .title("Service")
            .output_schema(schema::SERVICE_OUTPUT);
        vec![services.effect(Effect::Exec), service.effect(Effect::Exec)]
    }

    fn call(name: &str, arguments: &str) -> Result<Answer, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the arguments of `{name}` {what}"));
        let arguments = Value::parse(arguments).ok_or_else(|| invalid("are not JSON"))?;
        let text = |name: &str| arguments.get(name).and_then(Value::as_text);
        let host = text("host").ok_or_else(|| invalid("do not name a `host`"))?;
        if name == "service" {
            let unit = text("unit").filter(|unit| is_named(unit, UNIT_BYTES));
            return one(host, unit.ok_or_else(|| invalid("name no `unit` of systemd, such as ssh.service"))?);
        }
        let asked = schema::UNITS.ask(&arguments)?;
        many(asked, &Filter::read(&arguments).map_err(|what| invalid(&what))?)
    }
}

/// Which units are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    pattern: Option<String>,
    /// `all` for every type.
    kind: String,
    states: Vec<String>,
    enabled: Vec<String>,
    all: bool,
}

impl Filter {
    /// # Errors
    /// What of the arguments is none.
    fn read(arguments: &Value) -> Result<Self, String> {
        let states = |name: &str| match arguments.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if (1..=MAX_STATES).contains(&items.len()) => {
                let state =
                    |item: &Value| item.as_text().filter(|state| is_named(state, STATE_BYTES)).map(str::to_owned);
                items.iter().map(state).collect::<Option<_>>().ok_or(())
            }
            Some(_) => Err(()),
        };
        let states = |name: &str| {
            states(name)
                .map_err(|()| format!("have a `{name}` that is not a list of 1 to {MAX_STATES} states such as failed"))
        };
        let text = |name: &str| arguments.get(name).and_then(Value::as_text);
        let pattern = text("pattern");
        if pattern.is_some_and(|pattern| !is_named(pattern, PATTERN_BYTES)) {
            return Err("have a `pattern` that fits no name of a unit; `*` and `?` are wildcards".to_owned());
        }
        let kind = text("type").unwrap_or("service");
        if !TYPES.split(' ').any(|known| known == kind) {
            return Err(format!("have a `type` that is none of: {TYPES}"));
        }
        Ok(Self {
            pattern: pattern.map(str::to_owned),
            kind: kind.to_owned(),
            states: states("state")?,
            enabled: states("enabled")?,
            all: arguments.get("all").and_then(Value::as_boolean).unwrap_or(false),
        })
    }

    /// Whether units that are not running are asked for.
    fn wants_idle(&self) -> bool {
        self.all || self.pattern.is_some() || !self.states.is_empty() || !self.enabled.is_empty()
    }

    /// Whether units that nothing has loaded may fit: they have no state, but a name and what their files say.
    fn wants_unloaded(&self) -> bool {
        self.states.is_empty() && (self.all || self.pattern.is_some() || !self.enabled.is_empty())
    }

    /// The words of `systemctl`. What it filters need not be sent.
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = ["systemctl", "show", "--no-pager", ROW].map(str::to_owned).to_vec();
        if self.wants_unloaded() {
            words.push(NAMES.to_owned());
        }
        if self.wants_idle() {
            words.push("--all".to_owned());
        }
        if self.kind != "all" {
            words.push(format!("--type={}", self.kind));
        }
        if !self.states.is_empty() {
            words.push(format!("--state={}", self.states.join(",")));
        }
        words.extend(["--".to_owned(), self.pattern.clone().unwrap_or_else(|| "*".to_owned())]);
        words
    }

    /// Whether a unit is asked for: of what systemctl was told too, because not every version heeds it.
    fn takes(&self, unit: &Unit) -> bool {
        let is = |value: &Option<String>, known: &str| value.as_deref() == Some(known);
        let has_state =
            |state: &String| [&unit.load, &unit.active, &unit.sub].into_iter().any(|value| is(value, state));
        let of_kind = self.kind == "all" || unit.name.rsplit_once('.').is_none_or(|(_, kind)| kind == self.kind);
        let idle = is(&unit.active, "inactive");
        let missing = is(&unit.load, "not-found");
        of_kind
            && (self.states.is_empty() || self.states.iter().any(has_state))
            && (self.enabled.is_empty() || self.enabled.iter().any(|state| is(&unit.enabled, state)))
            && (self.wants_idle() || !idle)
            && (self.all || !self.states.is_empty() || !missing)
    }
}

/// Runs `systemctl show`; again without what older ones do not know, and with the host's zone. `is_old` is whether that is known already.
fn show(host: &str, words: &[String], is_old: &mut bool) -> Result<Output, Error> {
    if !*is_old {
        let mut timed = words.to_vec();
        timed.insert(3, TIMES.to_owned());
        let output = exec::output(host, &[&timed])?;
        *is_old = output.stdout.is_empty()
            && ["unrecognized option", "invalid option", "Invalid value"]
                .iter()
                .any(|known| output.stderr.contains(known));
        if !*is_old {
            return Ok(output);
        }
    }
    let filter = ["grep", "-a", "-h", "-e", "=", "-e", "^$", "-e", ZONE_RULE, "--", "-", ZONE];
    let mut output = exec::output(host, &[words, &filter.map(str::to_owned)])?;
    output.stderr = without_zone(&output.stderr);
    Ok(output)
}

/// What was complained about, but for the file of the zone: a host whose clock is in UTC may have none.
fn without_zone(stderr: &str) -> String {
    stderr.split_inclusive('\n').filter(|line| !line.contains(ZONE)).collect()
}

/// Whether this is a name of letters, digits and these.
fn is_named(name: &str, others: &[u8]) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_of_name)
}

fn many(asked: Asked, filter: &Filter) -> Result<Answer, Error> {
    let host = asked.host();
    let mut is_old = false;
    let output = show(host, &filter.words(), &mut is_old)?;
    let mut units = units(&output);
    let mut truncated = output.truncated;
    let mut manager = "systemd";
    let mut notes = Vec::new();
    if units.is_empty() && !output.stderr.trim().is_empty() {
        units = without_systemd(host, &output.stderr)?;
        manager = "openrc";
        if let Some(pattern) = &filter.pattern {
            units.retain(|unit| {
                text::matches(pattern, &unit.name) || text::matches(pattern, &format!("{}.service", unit.name))
            });
        }
    } else {
        notes.extend(said(&output.stderr).map(|said| format!("systemctl said: {said}")));
        if output.truncated {
            // A unit that was cut off would be told as one that is not loaded.
            let unloaded = if filter.wants_unloaded() { ", and those that are not loaded" } else { "" };
            notes.push(format!(
                "systemctl said more than Scout accepts from a command: further units are left out{unloaded}"
            ));
        } else if filter.wants_unloaded() {
            // Units that nothing has loaded are known by their files only.
            truncated |= add_unloaded(host, filter, is_old, &mut units, &mut notes)?;
        }
    }
    units.retain(|unit| filter.takes(unit));
    Ok(listed(asked, manager, &units, truncated, notes))
}

/// What was complained about, in one line, if anything was.
fn said(stderr: &str) -> Option<String> {
    let said = stderr.trim();
    (!said.is_empty()).then(|| text::clipped(&said.replace('\n', "; "), MAX_COMPLAINT))
}

/// The units of an answer, as far as they are whole.
fn units(output: &Output) -> Vec<Unit> {
    let mut shown = show::parse(&String::from_utf8_lossy(output.whole_lines()));
    if output.truncated {
        shown.cut();
    }
    shown.units.iter().filter_map(|unit| unit.unit(shown.zone.as_ref())).collect()
}

/// Adds the units of which there is only a file; whether there are more than were told. A file may be an alias of a unit, which has its
/// row under its own name.
fn add_unloaded(
    host: &str,
    filter: &Filter,
    mut is_old: bool,
    units: &mut Vec<Unit>,
    notes: &mut Vec<String>,
) -> Result<bool, Error> {
    let mut words: Vec<String> =
        ["systemctl", "list-unit-files", "--no-pager", "--no-legend", "--full"].map(str::to_owned).to_vec();
    if filter.kind != "all" {
        words.push(format!("--type={}", filter.kind));
    }
    let output = exec::output(host, &[&words])?;
    notes.extend(said(&output.stderr).map(|said| format!("systemctl list-unit-files said: {said}")));
    let listed = String::from_utf8_lossy(output.whole_lines());
    let (mut unloaded, mut aliases) = only_files(filter, units, show::unit_files(&listed));
    if is_old {
        aliases.extend(unloaded.iter().map(|unit| unit.name.clone()));
    }
    // Whoever asks for a name means the unit that has it, and systemctl matches patterns with units' own names.
    aliases.retain(|name| is_askable(name));
    if filter.pattern.is_some() && (1..=MAX_ALIASES).contains(&aliases.len()) {
        let mut words = ["systemctl", "show", "--no-pager", ROW, NAMES, "--"].map(str::to_owned).to_vec();
        words.extend(aliases.iter().cloned());
        match show(host, &words, &mut is_old) {
            Ok(output) => {
                notes.extend(said(&output.stderr).map(|said| format!("systemctl said: {said}")));
                add_meant(&aliases, self::units(&output), units, &mut unloaded, notes);
            }
            Err(error) => notes.push(format!(
                "whether {} are other names of units is not known: {}",
                aliases.join(", "),
                error.message
            )),
        }
    }
    units.append(&mut unloaded);
    Ok(output.truncated)
}

/// Units of which there is only one of these files, and names of files that are aliases of units which are not there.
fn only_files(filter: &Filter, units: &[Unit], files: Vec<(&str, &str)>) -> (Vec<Unit>, Vec<String>) {
    let names = units.iter().flat_map(|unit| unit.names.iter().chain([&unit.name]));
    let loaded: BTreeSet<&str> = names.map(String::as_str).collect();
    let is_meant = |name: &str| filter.pattern.as_deref().is_none_or(|pattern| text::matches(pattern, name));
    let (mut unloaded, mut aliases) = (Vec::new(), Vec::new());
    for (name, state) in files {
        if loaded.contains(name) || !is_meant(name) {
            continue;
        }
        if state == ALIAS {
            aliases.push(name.to_owned());
        } else {
            unloaded.push(Unit { name: name.to_owned(), enabled: Some(state.to_owned()), ..Unit::default() });
        }
    }
    (unloaded, aliases)
}

/// Whether systemctl can be asked for a unit of this name: not for a template, and not for what Scout takes for no name.
fn is_askable(name: &str) -> bool {
    !name.contains("@.") && is_named(name, UNIT_BYTES)
}

/// Puts the units that were found under these names in the place of the names that are aliases.
fn add_meant(
    names: &[String],
    found: Vec<Unit>,
    units: &mut Vec<Unit>,
    unloaded: &mut Vec<Unit>,
    notes: &mut Vec<String>,
) {
    for unit in found {
        let aliases: Vec<&String> =
            names.iter().filter(|name| **name != unit.name && unit.names.contains(name)).collect();
        unloaded.retain(|file| !aliases.contains(&&file.name));
        let is_there = units.iter().chain(unloaded.iter()).any(|known| known.name == unit.name);
        if !aliases.is_empty() && !is_there {
            notes.extend(aliases.iter().map(|alias| format!("`{alias}` is another name of `{}`", unit.name)));
            units.push(unit);
        }
    }
}

/// Services of a host whose `systemctl` complained and told none.
fn without_systemd(host: &str, complaint: &str) -> Result<Vec<Unit>, Error> {
    let said = said(complaint).unwrap_or_default();
    if !NO_MANAGER.iter().any(|known| complaint.contains(known)) {
        let kind = if complaint.contains("denied") { ErrorKind::Permission } else { ErrorKind::Remote };
        return Err(Error::new(kind, format!("`systemctl` on {host} said: {said}")));
    }
    let output = exec::output(host, &[&openrc::LIST])?;
    if output.truncated || output.stdout.len() > openrc::MAX_BYTES {
        return Err(too_much(host, "ls"));
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    if openrc::runs_systemd(&listed) {
        return Err(no_bus(host, &said));
    }
    openrc::parse(&listed).ok_or_else(|| no_manager(host, &said))
}

/// Where a part would mislead: what is missing may say something else of the same service.
fn too_much(host: &str, program: &str) -> Error {
    Error::new(ErrorKind::Exhausted, format!("`{program}` on {host} says more than Scout accepts from a command"))
        .hint("the operator may raise the output limit; ask less with the tool `scout`")
}

fn no_manager(host: &str, said: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{host} runs neither systemd nor OpenRC; `systemctl` said: {said}"))
        .hint("see what runs with the command `ps aux`, and init scripts with `ls /etc/init.d`, by the tool `scout`")
}

fn no_bus(host: &str, said: &str) -> Error {
    let message = format!("{host} runs systemd, but its bus does not answer this account; `systemctl` said: {said}");
    Error::new(ErrorKind::Unreachable, message).hint(
        "the operator can start dbus there, or connect as root; until then: `ps aux`, `ls /etc/systemd/system` and \
         `journalctl -u UNIT` by the tool `scout`",
    )
}

fn one(host: &str, name: &str) -> Result<Answer, Error> {
    let words = ["systemctl", "show", "--no-pager", ROW, DETAILS, "--", name].map(str::to_owned);
    let output = show(host, &words, &mut false)?;
    if output.truncated {
        return Err(too_much(host, "systemctl"));
    }
    let shown = show::parse(&String::from_utf8_lossy(&output.stdout));
    let found = shown.units.first().and_then(|unit| Some((unit, unit.unit(shown.zone.as_ref())?)));
    if let Some((properties, unit)) = found {
        if unit.load.as_deref() == Some("not-found") {
            return Err(no_unit(host, name));
        }
        return Ok(details(host, "systemd", &unit, properties));
    }
    let services = without_systemd(host, &output.stderr)?;
    let bare = name.strip_suffix(".service").unwrap_or(name);
    let unit = services.iter().find(|unit| unit.name == bare).ok_or_else(|| no_unit(host, name))?;
    Ok(details(host, "openrc", unit, &Properties::default()))
}

fn no_unit(host: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no unit `{name}` on {host}"))
        .hint("list units with the tool `services`; its `pattern` finds parts of names, as `*ssh*`")
}

/// Both answers of many units, in the order of their names.
fn listed(asked: Asked, manager: &str, units: &[Unit], truncated: bool, notes: Vec<String>) -> Answer {
    let mut places: Vec<usize> = (0..units.len()).collect();
    let name = |at: usize| units.get(at).map(|unit| unit.name.as_str());
    rows::sort(&mut places, &|one, other| name(one).cmp(&name(other)));
    let page = asked.page(places.iter().filter_map(|at| units.get(*at)).map(cells).collect()).notes(notes);
    let object = page.json(Object::new().text("host", page.asked().host()).text("manager", manager));
    let object = object.integer("found", page.fitting() as u64).boolean("truncated", truncated || page.is_cut());
    let mut text = page.text();
    if units.is_empty() {
        text.insert_str(0, "no unit fits; `all` shows those that are not running too\n");
    }
    Answer::new().text(text.trim_end()).structured(object)
}

/// A unit, in the columns of [`schema::UNITS`].
fn cells(unit: &Unit) -> Vec<Cell> {
    vec![
        Cell::text(unit.name.as_str()),
        Cell::text(unit.load.as_deref()),
        Cell::text(unit.active.as_deref()),
        Cell::text(unit.sub.as_deref()),
        Cell::text(unit.enabled.as_deref()),
        Cell::number(unit.main_pid),
        Cell::number(unit.memory),
        Cell::text(unit.since.as_deref()),
        Cell::text(unit.description.as_deref()),
    ]
}

/// As `active (running)`; a load state that is not the usual one stands behind it.
fn state(unit: &Unit) -> String {
    let Some(active) = &unit.active else { return "not loaded".to_owned() };
    let mut state = format!("{active} ({})", unit.sub.as_deref().unwrap_or("-"));
    if let Some(load) = unit.load.as_deref().filter(|load| *load != "loaded") {
        state.push_str(&format!(", {load}"));
    }
    state
}

fn row(object: Object, unit: &Unit) -> Object {
    object
        .text("name", unit.name.as_str())
        .text("load", unit.load.as_deref())
        .text("active", unit.active.as_deref())
        .text("sub", unit.sub.as_deref())
        .text("enabled", unit.enabled.as_deref())
        .integer("main_pid", unit.main_pid)
        .integer("memory_bytes", unit.memory)
        .text("since", unit.since.as_deref())
        .text("description", unit.description.as_deref())
}

fn details(host: &str, manager: &str, unit: &Unit, properties: &Properties) -> Answer {
    let bounded = |name: &str| properties.bounded(name);
    let code = properties.number("ExecMainCode").unwrap_or(0);
    // Codes of waitid(2): how the last main process ended, if one has.
    let ended = match code {
        1 => Some("exited"),
        2 => Some("killed"),
        3 => Some("dumped"),
        _ => None,
    };
    let status = properties.number("ExecMainStatus").filter(|_| ended.is_some());
    let object = row(Object::new().text("host", host).text("manager", manager), unit)
        .texts("names", properties.words("Names"))
        .text("result", bounded("Result").as_deref())
        .text("load_error", bounded("LoadError").as_deref())
        .text("last_exit", ended)
        .integer("last_exit_status", status)
        .text("restart", bounded("Restart").as_deref())
        .integer("restarts", properties.number("NRestarts"))
        .integer("tasks", properties.number("TasksCurrent"))
        .integer("cpu_ns", properties.number("CPUUsageNSec"))
        .text("control_group", bounded("ControlGroup").as_deref())
        .text("file", bounded("FragmentPath").or_else(|| bounded("SourcePath")).as_deref())
        .texts("drop_ins", properties.words("DropInPaths"))
        .texts("documentation", properties.words("Documentation"))
        .texts("triggers", properties.words("Triggers"))
        .texts("triggered_by", properties.words("TriggeredBy"))
        .boolean("needs_reload", properties.text("NeedDaemonReload") == Some("yes"));
    Answer::new().text(details_text(unit, properties, ended.zip(status))).structured(object)
}

/// A line for each thing that is known.
fn details_text(unit: &Unit, properties: &Properties, ended: Option<(&str, u64)>) -> String {
    let cpu =
        properties.number("CPUUsageNSec").map(|nanoseconds| format!("{} s", text::tenths(nanoseconds / 100_000_000)));
    let state = match &unit.since {
        Some(since) => format!("{} since {since}", state(unit)),
        None => state(unit),
    };
    let lines = [
        ("state", Some(state)),
        ("result", properties.bounded("Result").filter(|result| result != "success")),
        ("load error", properties.bounded("LoadError")),
        ("last exit", ended.map(|(how, status)| format!("{how}, status {status}"))),
        ("enabled", unit.enabled.clone()),
        ("main pid", unit.main_pid.map(|pid| pid.to_string())),
        ("memory", unit.memory.map(text::size)),
        ("tasks", properties.number("TasksCurrent").map(|tasks| tasks.to_string())),
        ("cpu", cpu),
        ("restart", properties.bounded("Restart")),
        ("restarts", properties.number("NRestarts").map(|restarts| restarts.to_string())),
        ("file", properties.bounded("FragmentPath").or_else(|| properties.bounded("SourcePath"))),
        ("drop-ins", joined(properties.words("DropInPaths"))),
        ("triggers", joined(properties.words("Triggers"))),
        ("triggered by", joined(properties.words("TriggeredBy"))),
        ("documentation", joined(properties.words("Documentation"))),
        (
            "warning",
            (properties.text("NeedDaemonReload") == Some("yes")).then(|| "its files changed on disk".to_owned()),
        ),
    ];
    let title = match &unit.description {
        Some(description) => format!("{}: {description}", unit.name),
        None => unit.name.clone(),
    };
    let rows: Vec<_> = lines
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| [format!("{name}:"), text::one_line(&value)]))
        .collect();
    format!("{}\n{}", text::one_line(&title), text::table(&rows, [false, false]))
}

fn joined(words: Vec<String>) -> Option<String> {
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
