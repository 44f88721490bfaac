//! The tool `containers`: containers, images and projects of docker and podman, what they use, and lines of their logs. It asks for fields one
//! by one, never for labels and environments. The same is read as the resources `docker://` and `compose://`.

mod amount;
mod engine;
mod lines;
mod moment;
mod schema;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{self, Asked, Cell, Page, Row, Shape};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Resources, Template, Tool, Tools, register, text};

use crate::engine::{Container, Engine, Item};
use crate::lines::Line;
use crate::moment::Moment;

struct Containers;
register!(Containers: tools, resources);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Containers,
    Images,
    /// Of compose, made of the labels of containers.
    Projects,
    Usage,
    /// Of one container.
    Logs,
}

/// Lines of a log that are looked at where rows are chosen, ordered or skipped.
const LOOKED_AT: usize = 5000;

/// The most bytes of the name of a container.
const MAX_NAME: usize = 255;

impl Tools for Containers {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("containers", schema::DESCRIPTION, &schema::shape(What::Containers).input(schema::INPUT))
                .title("Containers")
                .output_schema(&schema::all())
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the arguments of `containers` {what}"));
        let arguments = Value::parse(arguments).ok_or_else(|| invalid("are not JSON"))?;
        let text = |name: &str| arguments.get(name).and_then(Value::as_text);
        if let Some(container) = text("logs") {
            if text("what").is_some() {
                return Err(invalid("hold `what` and `logs`").hint("leave one of them out"));
            }
            if !is_name(container) {
                return Err(invalid("have a `logs` that is not the name or id of one container")
                    .hint("without `logs` the tool lists the names"));
            }
            let asked = schema::shape(What::Logs).ask(&arguments)?;
            let limit =
                arguments.get("limit").and_then(Value::as_integer).and_then(|limit| usize::try_from(limit).ok());
            return logs(asked, container, limit.unwrap_or(schema::shape(What::Logs).limit));
        }
        let what = match text("what") {
            None | Some("containers") => What::Containers,
            Some("images") => What::Images,
            Some("projects") => What::Projects,
            Some("usage") => What::Usage,
            Some(_) => return Err(invalid("have a `what` that is none of: containers images projects usage")),
        };
        let asked = schema::shape(what).ask(&arguments)?;
        let found = look(asked.host(), what)?;
        Ok(answer(asked, what, found))
    }
}

/// Lines of a log that a resource has, of a container or of a project.
const READ_LINES: usize = 100;

/// Containers of a project whose logs are read.
const MAX_CONTAINERS: usize = 20;

impl Resources for Containers {
    fn describe() -> Vec<Template> {
        let template =
            |name, uri, title, description| Template::new(name, uri, description).title(title).effect(Effect::Exec);
        vec![
            template("containers", "docker://{host}", "Containers", "Containers of docker and podman").each_host(),
            template("logs", "docker://{host}/{container}/logs", "Log of a container", "Its newest 100 lines"),
            template("projects", "compose://{host}", "Projects", "Projects of compose").each_host(),
            template("project", "compose://{host}/{project}", "Project", "Its containers, and where its files are"),
            template(
                "project-logs",
                "compose://{host}/{project}/logs",
                "Log of a project",
                "The newest 100 lines of all its containers",
            ),
        ]
    }

    fn read(template: &str, values: &[&str]) -> Result<Answer, Error> {
        match (template, values) {
            ("containers", [host]) => all_rows(host, What::Containers),
            ("projects", [host]) => all_rows(host, What::Projects),
            ("logs", [host, container]) if is_name(container) => {
                logs(schema::shape(What::Logs).of(host, READ_LINES)?, container, READ_LINES)
            }
            ("project", [host, project]) => self::project(host, project),
            ("project-logs", [host, project]) => project_logs(host, project),
            _ => Err(Error::new(ErrorKind::NotFound, "no container has such a name")),
        }
    }
}

/// All rows of a question.
fn all_rows(host: &str, what: What) -> Result<Answer, Error> {
    let asked = schema::shape(what).of(host, Shape::MAX_LIMIT)?;
    let found = look(host, what)?;
    Ok(answer(asked, what, found))
}

/// What belongs to a project.
///
/// # Errors
/// There is no such project.
fn look_at_project(host: &str, project: &str) -> Result<Found, Error> {
    let mut found = look(host, What::Projects)?;
    found.items.retain(|(_, item)| match item {
        Item::Container(container) => container.project.as_deref() == Some(project),
        Item::Image(_) | Item::Usage(_) => false,
    });
    if found.items.is_empty() {
        // Who does not see all of them does not know that there is none.
        if let Some(doubt) = found.doubt {
            return Err(doubt);
        }
        let shown = text::clipped(&text::one_line(project), MAX_NAME);
        let message = format!("no container on {host} belongs to a project `{shown}` of compose");
        return Err(Error::new(ErrorKind::NotFound, message).hint(format!("`compose://{host}` has the projects")));
    }
    Ok(found)
}

/// The containers of a project, and where it is described. What stands there, environments too, is for who may read files.
fn project(host: &str, project: &str) -> Result<Answer, Error> {
    let found = look_at_project(host, project)?;
    let of_project = schema::shape(What::Projects).of(host, Shape::MAX_LIMIT)?;
    let places = of_project.page(projects(&found.items)).text();
    let asked = schema::shape(What::Containers).of(host, Shape::MAX_LIMIT)?;
    let containers = answer(asked, What::Containers, found);
    Ok(Answer::new()
        .text(format!("{}\n\n{}", places.trim_end(), containers.shown()))
        .structured_json(containers.json().unwrap_or("{}")))
}

/// The newest lines of all containers of a project, the oldest of them first.
fn project_logs(host: &str, project: &str) -> Result<Answer, Error> {
    let found = look_at_project(host, project)?;
    // A line without a time goes on with the one before it.
    let mut all: Vec<(Option<Moment>, String, Line)> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for (engine, item) in found.items.iter().take(MAX_CONTAINERS) {
        let Item::Container(container) = item else { continue };
        // Several names stand behind commas.
        let name = container.name.split(',').next().unwrap_or_default();
        if !is_name(name) {
            continue;
        }
        let tail = READ_LINES.to_string();
        let output = exec::output(host, &[&[engine.name(), "logs", "--timestamps", "--tail", &tail, name]])?;
        if output.exit != Some(0) || output.truncated {
            let why = if output.truncated {
                "its lines are too long".to_owned()
            } else {
                engine.failure(host, &output).message
            };
            notes.push(format!("{name} is left out: {why}"));
            continue;
        }
        let mut time = None;
        for line in lines::merged(&output) {
            time = line.time.or(time);
            all.push((time, name.to_owned(), line));
        }
    }
    if found.items.len() > MAX_CONTAINERS {
        notes.push(format!("of {} containers the first {MAX_CONTAINERS} were asked", found.items.len()));
    }
    let mut places: Vec<usize> = (0..all.len()).collect();
    rows::sort(&mut places, &|one, other| {
        let time = |at: usize| all.get(at).and_then(|(time, ..)| *time);
        time(one).cmp(&time(other))
    });
    let newest = places.split_off(places.len().saturating_sub(READ_LINES));
    let mut shown = String::new();
    for at in newest {
        if let Some((_, name, line)) = all.get_mut(at) {
            line.cut();
            shown.push_str(&format!("{name}: {}\n", line.text()));
        }
    }
    if shown.is_empty() {
        notes.push("the containers have written nothing that their engine keeps".to_owned());
    }
    notes.iter().for_each(|note| shown.push_str(&format!("({note})\n")));
    Ok(Answer::new().text(shown.trim_end()))
}

/// As engines allow it; an id is one too.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    /// By who told it.
    items: Vec<(Engine, Item)>,
    engines: Vec<Engine>,
    notes: Vec<String>,
    /// Why something may be there that is not among the items.
    doubt: Option<Error>,
}

impl Found {
    /// Notes what is not seen.
    fn miss(&mut self, note: String) {
        self.doubt.get_or_insert_with(|| Error::new(ErrorKind::Remote, note.clone()));
        self.notes.push(note);
    }
}

/// Asks both engines: two commands.
fn look(host: &str, what: What) -> Result<Found, Error> {
    let (mut found, mut failures) = (Found::default(), Vec::new());
    for engine in Engine::ALL {
        let output = exec::output(host, &[&engine.words(what)])?;
        if output.is_missing() || engine.is_another(&output) {
            continue;
        }
        match take(&mut found, engine, what, host, &output) {
            Ok(()) => found.engines.push(engine),
            Err(failure) => failures.push(failure),
        }
    }
    match failures.first() {
        None if found.engines.is_empty() => Err(none(host)),
        // One tells, and the other does not: that is a part of the answer.
        Some(_) if !found.engines.is_empty() => {
            found.doubt = failures.first().cloned().or(found.doubt);
            found.notes.extend(failures.into_iter().map(|failure| failure.message));
            Ok(found)
        }
        Some(failure) => Err(failure.clone()),
        None => Ok(found),
    }
}

/// Takes what an engine told.
fn take(found: &mut Found, engine: Engine, what: What, host: &str, output: &Output) -> Result<(), Error> {
    let listing = engine.parse(what, output.whole_lines());
    if output.exit != Some(0) && !output.truncated && listing.items.is_empty() {
        return Err(engine.failure(host, output));
    }
    let name = engine.name();
    if listing.unread > 0 {
        let lines = text::count(listing.unread as u64, "line", "lines");
        found.miss(format!("{lines} of {name} could not be read"));
    }
    if output.truncated {
        found.miss(format!("{name} says more than Scout accepts from a command: the last rows are missing"));
    }
    if engine == Engine::Podman {
        found.notes.push("podman tells of this account's own: those of other accounts are not seen".to_owned());
    }
    found.items.extend(listing.items.into_iter().map(|item| (engine, item)));
    Ok(())
}

fn none(host: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{host} has neither the program `docker` nor `podman`"))
        .hint("the tools `services` and `processes` show what runs on the host itself")
}

fn answer(asked: Asked, what: What, found: Found) -> Answer {
    let Found { items, engines, mut notes, doubt: _ } = found;
    let rows: Vec<Row> = match what {
        What::Projects => projects(&items),
        _ => items.iter().map(|(engine, item)| row(*engine, item)).collect(),
    };
    if rows.is_empty() {
        let none = match what {
            What::Images => "there is no image",
            What::Projects => "no container belongs to a project of compose",
            What::Usage => "no container runs",
            What::Containers | What::Logs => "there is no container",
        };
        notes.insert(0, none.to_owned());
    }
    match what {
        What::Images if !rows.is_empty() => notes.push("sizes are rounded by the engine".to_owned()),
        What::Projects => notes.push("a project is known by its containers".to_owned()),
        _ => {}
    }
    let page = asked.page(rows).notes(notes);
    Answer::new().text(page.text().trim_end()).structured(as_json(&page, &engines))
}

fn as_json(page: &Page, engines: &[Engine]) -> Object {
    let object =
        Object::new().text("host", page.asked().host()).texts("engines", engines.iter().map(|engine| engine.name()));
    page.json(object)
}

/// A row in the columns of its question.
fn row(engine: Engine, item: &Item) -> Row {
    let some = |text: &str| Cell::text(Some(text).filter(|text| !text.is_empty()));
    let mut row = vec![Cell::text(engine.name())];
    match item {
        Item::Container(container) => row.extend([
            some(&container.name),
            some(&container.state),
            Cell::text(container.health()),
            Cell::number(container.exit_code()),
            some(&container.status),
            some(&container.image),
            Cell::text(container.project.as_deref()),
            Cell::text(container.service.as_deref()),
            Cell::text(container.created.as_deref()),
            some(&container.ports),
            some(&container.id),
            some(&container.command),
        ]),
        Item::Image(image) => row.extend([
            Cell::text(image.repository.as_deref()),
            Cell::text(image.tag.as_deref()),
            Cell::number(image.size),
            Cell::text(image.created.as_deref()),
            some(&image.id),
            Cell::text(image.digest.as_deref()),
        ]),
        Item::Usage(usage) => {
            let amounts = [usage.memory, usage.network, usage.disk].concat();
            row.extend([some(&usage.name), Cell::number(usage.cpu)]);
            row.extend(amounts.into_iter().map(Cell::number));
            row.extend([Cell::number(usage.processes), some(&usage.id)]);
        }
    }
    row
}

/// The projects of compose that containers belong to, by the first of each.
fn projects(items: &[(Engine, Item)]) -> Vec<Row> {
    let mut all: Vec<(Engine, &str, Vec<&Container>)> = Vec::new();
    for (engine, item) in items {
        let Item::Container(container) = item else { continue };
        let Some(project) = container.project.as_deref() else { continue };
        match all.iter_mut().find(|(known, name, _)| known == engine && *name == project) {
            Some((.., containers)) => containers.push(container),
            None => all.push((*engine, project, vec![container])),
        }
    }
    let rows = all.iter().map(|(engine, project, containers)| {
        let running = containers.iter().filter(|container| container.state == "running").count();
        let mut services: Vec<String> = containers.iter().filter_map(|container| container.service.clone()).collect();
        services.sort();
        services.dedup();
        let directory = containers.iter().find_map(|container| container.directory.as_deref());
        let files = containers.iter().map(|container| &container.files).find(|files| !files.is_empty());
        vec![
            Cell::text(engine.name()),
            Cell::text(*project),
            Cell::Number(running as u64),
            Cell::Number(containers.len() as u64),
            Cell::List(services),
            Cell::text(directory),
            files.map_or(Cell::None, |files| Cell::List(files.clone())),
        ]
    });
    rows.collect()
}

/// The newest lines of a container, of the first engine that has it.
fn logs(asked: Asked, container: &str, limit: usize) -> Result<Answer, Error> {
    let host = asked.host().to_owned();
    let mut failure: Option<Error> = None;
    for engine in Engine::ALL {
        // One more than are shown tells whether there are more.
        let mut wanted = if asked.is_picky() { LOOKED_AT } else { limit.saturating_add(1) };
        loop {
            let tail = wanted.to_string();
            let output = exec::output(&host, &[&[engine.name(), "logs", "--timestamps", "--tail", &tail, container]])?;
            if output.is_missing() || engine.is_another(&output) {
                break;
            }
            // What is missing is the newest: fewer lines are asked for.
            if output.truncated && wanted > 1 {
                wanted /= 4;
                wanted = wanted.max(1);
                continue;
            }
            if output.truncated {
                let message =
                    format!("the newest line of {container} on {host} is more than Scout accepts from a command");
                return Err(Error::new(ErrorKind::Exhausted, message));
            }
            if output.exit == Some(0) {
                return Ok(told(asked, engine, wanted, lines::merged(&output)));
            }
            // That one engine does not have it matters only if no other said more.
            let other = engine.failure(&host, &output);
            if failure.as_ref().is_none_or(|known| known.kind == ErrorKind::NotFound) {
                failure = Some(other);
            }
            break;
        }
    }
    Err(failure.unwrap_or_else(|| none(&host)))
}

/// The page of these lines: the newest that fit, the oldest of them first.
fn told(asked: Asked, engine: Engine, wanted: usize, mut lines: Vec<Line>) -> Answer {
    let mut notes = Vec::new();
    let cut = lines.iter_mut().map(Line::cut).filter(|is_cut| *is_cut).count();
    if cut > 0 {
        let messages = text::count(cut as u64, "message is", "messages are");
        notes
            .push(format!("{messages} cut; `{} logs --tail 1` with the tool `scout` shows a whole one", engine.name()));
    }
    if lines.is_empty() {
        notes.push("the container has written nothing that its engine keeps".to_owned());
    }
    if lines.len() >= wanted {
        let looked_at = text::count(wanted as u64, "line was", "lines were");
        notes.push(format!("the last {looked_at} looked at: there are older ones"));
    }
    let is_sorted = asked.is_sorted();
    if !is_sorted {
        lines.reverse();
    }
    let page = asked.page(lines.iter().map(Line::row).collect());
    let page = if is_sorted { page } else { page.reversed() }.notes(notes);
    let shown = if page.asked().is_narrowed() || page.places().is_empty() {
        page.text()
    } else {
        let lines = page.places().iter().filter_map(|at| lines.get(*at));
        let mut shown: String = lines.map(|line| line.text() + "\n").collect();
        shown.push_str(&page.remarks());
        shown
    };
    Answer::new().text(shown.trim_end()).structured(as_json(&page, &[engine]))
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
