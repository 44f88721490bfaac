//! The tool `disk`: how full file systems are, as `df` says.

mod schema;
mod table;

use std::collections::BTreeMap;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::table::{Figures, Row, Table};

struct Disk;
register!(Disk: tools);

/// The most rows of an answer.
const MAX_ROWS: usize = 500;

/// The most lines of standard error that an answer repeats.
const MAX_WARNINGS: usize = 5;

/// The most characters of one of them.
const MAX_WARNING: usize = 300;

/// The most characters of a name in the text, whose columns are as wide as their widest name.
const MAX_NAME: usize = 200;

/// The unit that `df -k` counts in, in bytes.
const BLOCK: u64 = 1024;

/// Types without storage of their own, and of images that are full by nature.
const PSEUDO: [&str; 29] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fdescfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "linprocfs",
    "linsysfs",
    "mqueue",
    "nsfs",
    "nullfs",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// Directories of the system in which memory is mounted.
const SYSTEM: [&[u8]; 3] = [b"/dev", b"/run", b"/sys"];

/// What is asked.
struct Arguments {
    host: String,
    path: Option<String>,
    all: bool,
    threshold: u64,
    inodes: bool,
}

impl Tools for Disk {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("disk", schema::DESCRIPTION, schema::INPUT)
                .title("Disk space")
                .output_schema(schema::OUTPUT)
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let asked = Arguments::read(arguments)?;
        let seen = look(&asked)?;
        Ok(answer(&asked, seen))
    }
}

impl Arguments {
    fn read(json: &str) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the arguments of `disk` {what}"));
        let value = Value::parse(json).ok_or_else(|| invalid("are no JSON"))?;
        let text = |name: &str| value.get(name).and_then(Value::as_text).map(str::to_owned);
        let flag = |name: &str| value.get(name).and_then(Value::as_boolean).unwrap_or(false);
        Ok(Self {
            host: text("host").ok_or_else(|| invalid("name no `host`"))?,
            path: text("path"),
            all: flag("all"),
            threshold: value.get("threshold").and_then(Value::as_integer).unwrap_or(0),
            inodes: flag("inodes"),
        })
    }

    /// The operand of `df`. Words are quoted, so that nobody else resolves `~`; commands run in the home directory.
    fn operand(&self) -> Option<String> {
        match self.path.as_deref()? {
            "~" => Some(".".to_owned()),
            path => Some(path.strip_prefix("~/").map_or_else(|| path.to_owned(), |path| format!("./{path}"))),
        }
    }

    fn df(&self, flags: &[&'static str]) -> Result<Output, Error> {
        let operand = self.operand();
        let mut words = vec!["df"];
        words.extend_from_slice(flags);
        words.extend(operand.iter().flat_map(|operand| ["--", operand.as_str()]));
        exec::output(&self.host, &[&words])
    }

    /// Why `df` shows nothing.
    fn silent(&self, output: &Output) -> Error {
        let said = text::clipped(&text::one_line(output.stderr.trim()), MAX_WARNING);
        let at = self.path.as_deref().map(|path| format!(" for `{path}`")).unwrap_or_default();
        let host = &self.host;
        let says = |what: &str| said.contains(what);
        let (kind, hint) = if says("No such file") || says("can't find mount point") {
            (ErrorKind::NotFound, "name a path that exists, or none for all file systems")
        } else if says("ermission denied") {
            (ErrorKind::Permission, "name a directory above it that the account may see")
        } else {
            (ErrorKind::Remote, "run `df` with the tool `scout` to see what this host's df prints")
        };
        let said = if said.is_empty() { "nothing that is a table of file systems" } else { said.as_str() };
        Error::new(kind, format!("`df`{at} on {host} said: {said}")).hint(hint)
    }
}

/// What the host said.
struct Seen {
    table: Table,
    /// Rows of inodes, if they were asked for and did not come with the blocks.
    inodes: Vec<Row>,
    stderr: String,
    truncated: bool,
}

/// One command where `df` knows types: Linux and FreeBSD. Others are asked without, and `mount` beside it.
fn look(asked: &Arguments) -> Result<Seen, Error> {
    let mut output = asked.df(&["-P", "-k", "-T"])?;
    let mut table = table::parse(&output.stdout, true);
    if table.rows.is_empty() {
        let error = asked.silent(&output);
        if error.kind != ErrorKind::Remote {
            return Err(error);
        }
        let flags: &[&str] = if asked.inodes { &["-P", "-k", "-i"] } else { &["-P", "-k"] };
        output = asked.df(flags)?;
        table = table::parse(&output.stdout, false);
        if table.rows.is_empty() {
            return Err(asked.silent(&output));
        }
        // Of several on one mount point the first, as `df` names them.
        let mut kinds = table::mounted(exec::output(&asked.host, &[&["mount"]])?.whole_lines());
        kinds.reverse();
        let kinds: BTreeMap<Vec<u8>, String> = kinds.into_iter().collect();
        for row in &mut table.rows {
            row.kind = kinds.get(&row.mount_point).cloned();
        }
    }
    let mut truncated = output.truncated;
    if truncated {
        table.cut();
    }
    let mut inodes = Vec::new();
    if asked.inodes && table.rows.iter().all(|row| row.inodes.is_none()) {
        let output = asked.df(&["-P", "-k", "-i"])?;
        let mut beside = table::parse(&output.stdout, false);
        if output.truncated {
            beside.cut();
            truncated = true;
        }
        inodes = beside.rows;
    }
    Ok(Seen { table, inodes, stderr: output.stderr, truncated })
}

/// A file system as it is answered.
struct Entry {
    row: Row,
    inodes: Figures,
}

/// What is left after the filters, and what was left out.
struct Chosen {
    entries: Vec<Entry>,
    pseudo: u64,
    below: u64,
    truncated: bool,
}

fn choose(asked: &Arguments, table: Table, inodes: &[Row], truncated: bool) -> Chosen {
    let mut chosen = Chosen { entries: Vec::new(), pseudo: 0, below: 0, truncated };
    // Of several on one mount point the first.
    let beside: BTreeMap<&[u8], Figures> =
        inodes.iter().rev().map(|row| (row.mount_point.as_slice(), row.figures)).collect();
    for row in table.rows {
        // A path was named: its file system is the answer, whatever it is.
        if !asked.all && asked.path.is_none() && is_pseudo(&row) {
            chosen.pseudo += 1;
            continue;
        }
        let inodes = row.inodes.or_else(|| beside.get(row.mount_point.as_slice()).copied()).unwrap_or_default();
        let fullest = row.figures.percent.max(if asked.inodes { inodes.percent } else { None });
        if fullest.unwrap_or(0) < asked.threshold {
            chosen.below += 1;
            continue;
        }
        if chosen.entries.len() == MAX_ROWS {
            chosen.truncated = true;
            break;
        }
        chosen.entries.push(Entry { row, inodes });
    }
    chosen
}

fn is_pseudo(row: &Row) -> bool {
    let below_system = SYSTEM.iter().any(|directory| {
        row.mount_point.strip_prefix(*directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    });
    match row.kind.as_deref() {
        _ if row.figures.total == Some(0) => true,
        Some("tmpfs") => below_system,
        Some(kind) => PSEUDO.contains(&kind),
        None => PSEUDO.iter().any(|kind| kind.as_bytes() == row.filesystem.as_slice()),
    }
}

fn answer(asked: &Arguments, seen: Seen) -> Answer {
    let unread = seen.table.unread;
    let mut warnings: Vec<String> = seen
        .stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(MAX_WARNINGS)
        .map(|line| text::clipped(line, MAX_WARNING))
        .collect();
    if unread > 0 {
        warnings.push(format!("{} of df could not be read", text::count(unread, "line", "lines")));
    }
    let chosen = choose(asked, seen.table, &seen.inodes, seen.truncated);
    Answer::new().text(as_text(asked, &chosen, &warnings)).structured(as_json(asked, &chosen, &warnings))
}

fn as_json(asked: &Arguments, chosen: &Chosen, warnings: &[String]) -> Object {
    Object::new()
        .text("host", asked.host.as_str())
        .objects("filesystems", chosen.entries.iter().map(|entry| entry_json(asked, entry)))
        .integer("pseudo_left_out", chosen.pseudo)
        .integer("below_threshold", chosen.below)
        .boolean("truncated", chosen.truncated)
        .texts("warnings", warnings)
}

fn entry_json(asked: &Arguments, entry: &Entry) -> Object {
    let Entry { row, inodes } = entry;
    let bytes = |blocks: Option<u64>| blocks.map(|blocks| blocks.saturating_mul(BLOCK));
    let mut object = named(Object::new(), "filesystem", "filesystem_base64", &row.filesystem)
        .text("type", row.kind.as_deref())
        .integer("size_bytes", bytes(row.figures.total))
        .integer("used_bytes", bytes(row.figures.used))
        .integer("available_bytes", bytes(row.figures.available))
        .integer("used_percent", row.figures.percent);
    if asked.inodes {
        object = object
            .integer("inodes", inodes.total)
            .integer("inodes_used", inodes.used)
            .integer("inodes_free", inodes.available)
            .integer("inodes_used_percent", inodes.percent);
    }
    named(object, "mount_point", "mount_point_base64", &row.mount_point)
}

/// With a name, and its bytes beside it if it is not UTF-8.
fn named(object: Object, field: &str, field_base64: &str, bytes: &[u8]) -> Object {
    let (name, base64) = text::name(bytes);
    let object = object.text(field, name.as_str());
    match base64 {
        Some(base64) => object.text(field_base64, base64.as_str()),
        None => object,
    }
}

fn as_text(asked: &Arguments, chosen: &Chosen, warnings: &[String]) -> String {
    let mut lines = Vec::new();
    if !chosen.entries.is_empty() {
        lines.push(rows_text(asked, &chosen.entries).trim_end().to_owned());
    }
    if chosen.below > 0 {
        let number = text::count(chosen.below, "file system is", "file systems are");
        lines.push(format!("{number} less than {} % full", asked.threshold));
    }
    if chosen.pseudo > 0 {
        let number = text::count(chosen.pseudo, "pseudo file system is", "pseudo file systems are");
        lines.push(format!("{number} left out; `all` shows them"));
    }
    if chosen.truncated {
        lines.push("there are more file systems: name a `path` or a `threshold`".to_owned());
    }
    lines.extend(warnings.iter().map(|warning| format!("warning: {warning}")));
    if lines.is_empty() {
        lines.push(format!("{} has no file systems with storage", asked.host));
    }
    lines.join("\n")
}

fn rows_text(asked: &Arguments, entries: &[Entry]) -> String {
    let size = |blocks: Option<u64>| blocks.map_or("-".to_owned(), |blocks| text::size(blocks.saturating_mul(BLOCK)));
    let percent = |percent: Option<u64>| percent.map_or("-".to_owned(), |percent| format!("{percent}%"));
    let shown = |bytes: &[u8]| text::one_line(&text::clipped(&String::from_utf8_lossy(bytes), MAX_NAME));
    let head = ["FILESYSTEM", "TYPE", "SIZE", "USED", "AVAILABLE", "USE", "MOUNTED ON"].map(str::to_owned);
    let body = entries.iter().map(|Entry { row, inodes }| {
        let used = percent(row.figures.percent);
        [
            shown(&row.filesystem),
            row.kind.as_deref().map_or("-".to_owned(), |kind| shown(kind.as_bytes())),
            size(row.figures.total),
            size(row.figures.used),
            size(row.figures.available),
            if asked.inodes { format!("{used}, inodes {}", percent(inodes.percent)) } else { used },
            shown(&row.mount_point),
        ]
    });
    let table: Vec<_> = std::iter::once(head).chain(body).collect();
    text::table(&table, [false, false, true, true, true, true, false])
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
