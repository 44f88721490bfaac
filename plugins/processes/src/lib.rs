//! The tool `processes`: what runs on a host, as its `ps` says. Never environments: no flag that shows them is sent.

mod ps;
mod schema;
mod tree;

use std::cmp::Reverse;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{Asked, Cell, Row};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::ps::{Process, Table};

struct Processes;
register!(Processes: tools);

/// What is asked of procps: names of accounts of up to 32 characters, and the command last, which alone may hold blanks.
const PROCPS: &str = "pid,ppid,euser:32,state,pcpu,rss,etime,nlwp,args";

/// The same of the BSDs.
const BSD: &str = "pid,ppid,user,state,pcpu,rss,etime,args";

/// The same of busybox, as far as it is built in.
const BUSYBOX: [&str; 7] = ["pid", "ppid", "user", "stat", "rss", "etime", "args"];

/// Before the columns that busybox knows, in its complaint of one that it does not.
const SUPPORTED: &str = "supported arguments: ";

impl Tools for Processes {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("processes", schema::DESCRIPTION, &schema::SHAPE.input(schema::INPUT))
                .title("Processes")
                .output_schema(&schema::SHAPE.output(""))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let arguments = Value::parse(arguments)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the arguments of `processes` are not JSON"))?;
        let asked = schema::SHAPE.ask(&arguments)?;
        let tree = arguments.get("tree").and_then(Value::as_boolean).unwrap_or(false);
        if tree && arguments.get("sort").is_some() {
            return Err(
                Error::new(ErrorKind::Invalid, "a tree has an order of its own").hint("leave `tree` or `sort` out")
            );
        }
        let now = if asked.needs("started") { Some(clock(asked.host())?) } else { None };
        let (output, words) = look(asked.host())?;
        let table = ps::parse(output.whole_lines());
        if table.processes.is_empty() {
            return Err(output.failure(asked.host(), "ps"));
        }
        Ok(answer(asked, tree, now, table, &words, output.truncated))
    }
}

/// What `ps` of the host says, and the words with which it was asked. Twice where it is not procps.
fn look(host: &str) -> Result<(Output, String), Error> {
    let ask = |words: &[&str]| exec::output(host, &[words]).map(|output| (output, words.join(" ")));
    let first = ask(&["ps", "-A", "-o", PROCPS])?;
    let (output, _) = &first;
    // A BSD leaves out what it does not know, and says so.
    if output.stderr.contains("keyword") {
        return ask(&["ps", "-A", "-ww", "-o", BSD]);
    }
    if !output.stdout.is_empty() || output.is_missing() {
        return Ok(first);
    }
    if let Some((_, known)) = output.stderr.split_once(SUPPORTED) {
        return ask(&["ps", "-A", "-o", &supported(known)]);
    }
    // A busybox that is built small knows no flags.
    ask(&["ps"])
}

/// Of the columns that a busybox knows those that are wanted.
fn supported(known: &str) -> String {
    let known: Vec<&str> = known.trim().split(',').collect();
    let wanted: Vec<&str> = BUSYBOX.into_iter().filter(|column| known.contains(column)).collect();
    wanted.join(",")
}

/// Seconds since 1970 by the host's clock.
fn clock(host: &str) -> Result<u64, Error> {
    let output = exec::output(host, &[&["date", "+%s"]])?;
    let now = std::str::from_utf8(&output.stdout).ok().and_then(|seconds| seconds.trim().parse().ok());
    now.ok_or_else(|| output.failure(host, "date"))
}

fn answer(asked: Asked, tree: bool, now: Option<u64>, table: Table, asked_by: &str, is_cut: bool) -> Answer {
    let Table { mut processes, unread } = table;
    // Whoever looks is not what is looked for.
    processes.retain(|process| process.command != asked_by);
    let host = asked.host().to_owned();
    let mut notes = Vec::new();
    if unread > 0 {
        notes.push(format!("{} of ps could not be read", text::count(unread as u64, "line", "lines")));
    }
    if is_cut {
        notes.push(format!("ps on {host} says more than Scout accepts from a command: the last processes are missing"));
    } else if processes.iter().all(|process| process.pid != 1) {
        notes.push("process 1 is not among them: the host shows this account only a part of its processes".to_owned());
    }
    if processes.iter().all(|process| process.cpu.is_none()) {
        notes.push("this ps does not tell the use of processors".to_owned());
    }
    let ordered: Vec<(Option<u64>, Process)> = if tree {
        tree::ordered(processes).into_iter().map(|(depth, process)| (Some(depth), process)).collect()
    } else {
        let busiest = |process: &Process| Reverse((process.cpu, process.memory));
        ps::sorted(processes, busiest).into_iter().map(|process| (None, process)).collect()
    };
    let rows = ordered.into_iter().map(|(depth, process)| row(depth, now, process)).collect();
    let page = asked.page(rows).notes(notes);
    Answer::new().text(page.text().trim_end()).structured(page.json(Object::new().text("host", host.as_str())))
}

/// A process, in the columns of [`schema::SHAPE`].
fn row(depth: Option<u64>, now: Option<u64>, process: Process) -> Row {
    let started = now.zip(process.elapsed).and_then(|(now, elapsed)| text::rfc3339(now.saturating_sub(elapsed)));
    vec![
        Cell::Number(process.pid),
        Cell::number(process.parent),
        Cell::text(process.user.as_deref()),
        Cell::text(process.state.as_deref()),
        Cell::number(process.cpu),
        Cell::number(process.memory),
        Cell::number(process.elapsed),
        Cell::text(started.as_deref()),
        Cell::number(process.threads),
        Cell::Text(process.command),
        Cell::number(depth),
    ]
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
