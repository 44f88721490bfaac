//! The tool `listeners`: what listens on a host and whose it is, as its `ss` says, else its kernel's tables.

mod proc_net;
mod schema;
mod socket;
mod ss;

use std::cmp::Ordering;

use scout_plugin::exec::{self, Ran, RanAs};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{self, Asked, Cell, Row};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::socket::{Found, Socket};

struct Listeners;
register!(Listeners: tools);

impl Tools for Listeners {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("listeners", schema::DESCRIPTION, &schema::SHAPE.input(""))
                .title("Listening sockets")
                .output_schema(&schema::SHAPE.output(""))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let arguments = Value::parse(arguments)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the arguments of `listeners` are not JSON"))?;
        let asked = schema::SHAPE.ask(&arguments)?;
        let found = look(asked.host())?;
        Ok(answer(asked, found))
    }
}

/// What is asked.
const SS: &[&str] = &["ss", "-tulpne"];

/// One command, and one more on a host without `ss`.
fn look(host: &str) -> Result<Found, Error> {
    let Ran { output, by } = exec::output_as_root(host, &[SS], "ss")?;
    let mut found = ss::parse(output.whole_lines());
    let is_table = found.unread == 0 && output.exit == Some(0) || !found.sockets.is_empty();
    if !is_table && !output.is_missing() {
        return Err(output.failure(host, "ss"));
    }
    if output.is_missing() {
        let tables = proc_net::TABLES;
        let mut words = vec!["grep", "-a", "-H", "-e", ":", "--"];
        words.extend(tables);
        let output = exec::output(host, &[&words])?;
        if output.stdout.is_empty() && tables.iter().all(|table| output.stderr.contains(table)) {
            let message = format!("{host} has neither the program `ss` nor tables of a Linux kernel in /proc/net");
            return Err(Error::new(ErrorKind::Unsupported, message)
                .hint("on a BSD: `netstat -an` or `lsof -i` with the tool `scout`"));
        }
        found = proc_net::parse(output.whole_lines());
        found.notes.push("there is no `ss`: /proc/net tells accounts, and no processes".to_owned());
        found.notes.extend(cut(output.truncated));
        return Ok(found);
    }
    let unowned = found.sockets.iter().filter(|socket| socket.owners.is_empty()).count();
    if unowned > 0 {
        let sockets = text::count(
            unowned as u64,
            "socket is shown without its process",
            "sockets are shown without their processes",
        );
        let why = match by {
            RanAs::Root => "the kernel's own",
            _ => "this account may not see those of other accounts, or it is the kernel's own",
        };
        found.notes.push(format!("{sockets}: {why}"));
        found.notes.extend(by.advice(SS));
    }
    found.notes.extend(by.note("ss"));
    found.notes.extend(cut(output.truncated));
    Ok(found)
}

fn cut(truncated: bool) -> Option<String> {
    truncated.then(|| "the host says more than Scout accepts from a command: the last sockets are missing".to_owned())
}

fn answer(asked: Asked, found: Found) -> Answer {
    let Found { sockets, unread, mut notes } = found;
    if unread > 0 {
        notes.push(format!("{} could not be read", text::count(unread as u64, "line", "lines")));
    }
    if sockets.is_empty() {
        notes.push("nothing listens on TCP or UDP".to_owned());
    }
    let mut places: Vec<usize> = (0..sockets.len()).collect();
    rows::sort(&mut places, &|one, other| {
        let key = |at: usize| sockets.get(at).map(|socket| (socket.port, &socket.proto, &socket.address));
        key(one).partial_cmp(&key(other)).unwrap_or(Ordering::Equal)
    });
    let page = asked.page(places.iter().filter_map(|at| sockets.get(*at)).map(row).collect()).notes(notes);
    let host = page.asked().host();
    Answer::new().text(page.text().trim_end()).structured(page.json(Object::new().text("host", host)))
}

/// A socket, in the columns of [`schema::SHAPE`].
fn row(socket: &Socket) -> Row {
    let first = socket.owners.first();
    let owners = socket.owners.iter().map(|(name, pid)| format!("{name}/{pid}"));
    vec![
        Cell::text(socket.proto.as_str()),
        Cell::text(socket.address.as_str()),
        Cell::number(socket.port),
        Cell::text(first.map(|(name, _)| name.as_str())),
        Cell::number(first.map(|(_, pid)| *pid)),
        Cell::number(socket.uid),
        Cell::text(socket.unit.as_deref()),
        Cell::List(owners.collect()),
        Cell::number(socket.waiting),
        Cell::number(socket.backlog),
    ]
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
