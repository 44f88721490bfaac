//! The tool `disk`: how full file systems are, as `df` says.
//!
//! Nothing is mounted by looking, and one file system that does not answer hides no other: what is mounted is read first, local file
//! systems are asked next, and those of each server in a command of their own, last.

mod mounts;
mod schema;
mod table;

use std::collections::BTreeMap;

use scout_plugin::exec::{self, Output};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{self, Cell, Page};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Tool, Tools, register, text};

use crate::mounts::Mount;
use crate::table::{Figures, Row, Table};

struct Disk;
register!(Disk: tools);

/// The most lines of standard error that an answer repeats.
const MAX_WARNINGS: usize = 5;

/// The most characters of one of them.
const MAX_WARNING: usize = 300;

/// The most characters of a name in a note.
const MAX_NAME: usize = 200;

/// The unit that `df -k` counts in, in bytes.
const BLOCK: u64 = 1024;

/// Types without storage of their own, and of images that are full by nature.
const PSEUDO: &str = "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devfs devpts devtmpfs efivarfs fdescfs fusectl hugetlbfs linprocfs \
                      linsysfs mqueue nsfs nullfs proc procfs pstore ramfs rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs fuse.lxcfs \
                      fuse.gvfsd-fuse fuse.portal \
                      cramfs erofs iso9660 romfs squashfs fuse.erofsfuse fuse.fuseiso fuse.snapfuse fuse.squashfuse fuse.squashfuse_ll";

/// The most operands of one `df`.
const MAX_POINTS: usize = 200;

/// The most servers whose file systems are asked after.
const MAX_SERVERS: usize = 32;

/// The most links on the way to a path.
const MAX_LINKS: usize = 40;

/// Directories of the system in which memory is mounted.
const SYSTEM: [&[u8]; 3] = [b"/dev", b"/run", b"/sys"];

/// What is asked.
struct Arguments {
    host: String,
    path: Option<String>,
    all: bool,
    threshold: u64,
    inodes: bool,
    rows: rows::Asked,
}

impl Tools for Disk {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("disk", schema::DESCRIPTION, &schema::shape(false).input(schema::INPUT))
                .title("Disk space")
                .output_schema(&schema::shape(false).output(schema::OUTPUT))
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let asked = Arguments::read(arguments)?;
        let seen = look(&asked)?;
        Ok(answer(asked, seen))
    }
}

impl Arguments {
    fn read(json: &str) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the arguments of `disk` {what}"));
        let value = Value::parse(json).ok_or_else(|| invalid("are not JSON"))?;
        let text = |name: &str| value.get(name).and_then(Value::as_text).map(str::to_owned);
        let flag = |name: &str| value.get(name).and_then(Value::as_boolean).unwrap_or(false);
        let path = text("path");
        if path.as_ref().is_some_and(|path| !path.starts_with(['/', '~']) || path.contains('\0')) {
            return Err(invalid("have a `path` that is neither absolute nor below the home directory (~/x)"));
        }
        let threshold = match value.get("threshold") {
            None => 0,
            Some(percent) => percent
                .as_integer()
                .filter(|percent| *percent <= 100)
                .ok_or_else(|| invalid("have a `threshold` that is not a percentage"))?,
        };
        let rows = schema::shape(flag("inodes")).ask(&value)?;
        let needs = |column: &str| rows.needs(column);
        let inodes =
            flag("inodes") || ["inodes", "inodes_used", "inodes_free", "inodes_used_percent"].into_iter().any(needs);
        Ok(Self { host: rows.host().to_owned(), path, all: flag("all"), threshold, inodes, rows })
    }

    /// The operand of `df`. Words are quoted, so that nobody else resolves `~`; commands run in the home directory.
    fn operand(&self) -> Option<String> {
        match self.path.as_deref()? {
            "~" => Some(".".to_owned()),
            path => Some(path.strip_prefix("~/").map_or_else(|| path.to_owned(), |path| format!("./{path}"))),
        }
    }

    /// `df` with these flags over these operands.
    fn df(&self, flags: &[&str], operands: &[&str]) -> Result<Output, Error> {
        let mut words = vec!["df", "-P", "-k"];
        words.extend_from_slice(flags);
        if !operands.is_empty() {
            words.push("--");
            words.extend_from_slice(operands);
        }
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
#[derive(Default)]
struct Seen {
    table: Table,
    /// Rows of inodes, if they were asked for and did not come with the blocks.
    inodes: Vec<Row>,
    stderr: String,
    truncated: bool,
    /// Pseudo file systems that were not even asked.
    unasked: u64,
    /// File systems that did not answer, and why.
    unanswered: Vec<(Mount, String)>,
}

/// What is to be asked of `df`.
enum Asked<'a> {
    /// All but these types.
    Without(Vec<&'a str>),
    /// These mount points or this path.
    Of(Vec<String>),
}

fn look(asked: &Arguments) -> Result<Seen, Error> {
    let output = exec::output(&asked.host, &[&["cat", "/proc/self/mountinfo"]])?;
    let mounts = mounts::parse(output.whole_lines());
    let mut seen = Seen { truncated: output.truncated, ..Seen::default() };
    if let Some(operand) = asked.operand() {
        if output.truncated {
            // What is not known may be an automount point.
            let message = format!("what is mounted on {} is more than Scout accepts from a command", asked.host);
            return Err(Error::new(ErrorKind::Exhausted, message)
                .hint("leave `path` out for a part of the file systems; the operator may raise `max_output_size`"));
        }
        mounts_nothing(asked, &mounts)?;
        ask(asked, &mounts, &Asked::Of(vec![operand]), &mut seen)?;
        return Ok(seen);
    }
    // `df` of all looks up what is not known here, and what an automount point hides.
    let is_hidden = |mount: &Mount| mount.is_hidden && automount(&mounts, &mount.point).is_some();
    let first = if output.truncated || mounts.iter().any(is_hidden) {
        ask_local(asked, &mounts, &mut seen)
    } else {
        ask(asked, &mounts, &Asked::Without(mounts::left_out(&mounts)), &mut seen)
    };
    let mut silent = None;
    match first {
        // busybox leaves no types out, and asks every automount point.
        Err(error) if error.kind == ErrorKind::Remote && is_unknown_flag(&error.message) => {
            ask_local(asked, &mounts, &mut seen)?;
        }
        // GNU's df 8.21 to 8.27 leaves types out of its table, and asks them all the same.
        Err(error) if error.kind == ErrorKind::Timeout && mounts.iter().any(Mount::is_remote) => {
            ask_local(asked, &mounts, &mut seen)?;
            silent = Some("a `df` of all file systems".to_owned());
        }
        other => other?,
    }
    ask_servers(asked, &mounts, silent, &mut seen);
    Ok(seen)
}

/// Asks the file systems of this machine by their mount points.
fn ask_local(asked: &Arguments, mounts: &[Mount], seen: &mut Seen) -> Result<(), Error> {
    let local = mounts.iter().filter(|mount| !mount.is_remote() && !mount.is_automount() && !mount.is_hidden);
    let wanted = local.filter(|mount| asked.all || !is_pseudo(&mount.kind, &mount.point, &mount.source));
    let points: Vec<String> = mounts::once_each(wanted).into_iter().filter_map(operand).collect();
    for points in points.chunks(MAX_POINTS) {
        ask(asked, mounts, &Asked::Of(points.to_vec()), seen)?;
    }
    Ok(())
}

/// A mount point as an operand. Absent for one that no text is.
fn operand(mount: &Mount) -> Option<String> {
    String::from_utf8(mount.point.clone()).ok()
}

fn is_unknown_flag(said: &str) -> bool {
    ["unrecognized option", "invalid option", "illegal option", "unknown option"]
        .iter()
        .any(|known| said.contains(known))
}

/// Asks the file systems of each server in a command of its own, until one does not answer: it has taken all the time that there is.
/// `silent` is what has taken it already.
fn ask_servers(asked: &Arguments, mounts: &[Mount], mut silent: Option<String>, seen: &mut Seen) {
    let mut servers: Vec<(&[u8], Vec<&Mount>)> = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.is_remote() && !mount.is_hidden) {
        if !asked.all && is_pseudo(&mount.kind, &mount.point, &mount.source) {
            seen.unasked += 1;
        } else if let Some((_, theirs)) = servers.iter_mut().find(|(server, _)| *server == mount.server()) {
            theirs.push(mount);
        } else {
            servers.push((mount.server(), vec![mount]));
        }
    }
    for (at, (server, theirs)) in servers.into_iter().enumerate() {
        let server = String::from_utf8_lossy(server).into_owned();
        let why = if let Some(silent) = &silent {
            format!("not asked: {silent} took all the time")
        } else if at >= MAX_SERVERS {
            "not asked: there are too many servers".to_owned()
        } else {
            let points: Vec<String> = theirs.iter().copied().filter_map(operand).take(MAX_POINTS).collect();
            match ask(asked, mounts, &Asked::Of(points), seen) {
                Ok(()) => continue,
                Err(error) => {
                    if matches!(error.kind, ErrorKind::Timeout | ErrorKind::Cancelled) {
                        silent = Some(server);
                    }
                    error.message
                }
            }
        };
        seen.unanswered.extend(theirs.into_iter().map(|mount| (mount.clone(), why.clone())));
    }
}

/// One command where `df` knows types: Linux and FreeBSD. Others are asked without, and where Linux does not tell them `mount` beside it.
fn ask(asked: &Arguments, mounts: &[Mount], of: &Asked<'_>, seen: &mut Seen) -> Result<(), Error> {
    let (left_out, operands): (Vec<&str>, Vec<&str>) = match of {
        Asked::Without(kinds) => (kinds.iter().flat_map(|kind| ["-x", kind]).collect(), Vec::new()),
        Asked::Of(operands) => (Vec::new(), operands.iter().map(String::as_str).collect()),
    };
    let df = |flags: &[&str]| asked.df(&[flags, &left_out].concat(), &operands);
    let mut output = df(&["-T"])?;
    let mut table = table::parse(&output.stdout, true);
    if table.rows.is_empty() {
        if !left_out.is_empty() && output.stderr.contains("no file systems processed") {
            return Ok(());
        }
        let error = asked.silent(&output);
        if error.kind != ErrorKind::Remote || !left_out.is_empty() {
            return Err(error);
        }
        output = df(if asked.inodes { &["-i"] } else { &[] })?;
        table = table::parse(&output.stdout, false);
        if table.rows.is_empty() {
            return Err(asked.silent(&output));
        }
        let mut kinds = BTreeMap::new();
        // Inserted one by one: a map that is collected sorts first, which is 4 KB more of code.
        if mounts.is_empty() {
            // Of several on one mount point the first, as `df` names them.
            let mounted = table::mounted(exec::output(&asked.host, &[&["mount"]])?.whole_lines());
            kinds.extend(mounted.into_iter().rev());
        } else {
            kinds.extend(mounts.iter().map(|mount| (mount.point.clone(), mount.kind.clone())));
        }
        for row in &mut table.rows {
            row.kind = kinds.get(&row.mount_point).cloned();
        }
    }
    if output.truncated {
        table.cut();
        seen.truncated = true;
    }
    if asked.inodes && table.rows.iter().all(|row| row.inodes.is_none()) {
        let output = df(&["-i"])?;
        let mut beside = table::parse(&output.stdout, false);
        if output.truncated {
            beside.cut();
            seen.truncated = true;
        }
        seen.inodes.extend(beside.rows);
    }
    seen.table.rows.extend(table.rows);
    seen.table.unread += table.unread;
    seen.stderr.push_str(&output.stderr);
    Ok(())
}

/// Says no to a path whose look-up would mount something. The text of a path may lead elsewhere: where there are automount points
/// that it could lead to, each part of it is asked whether it is a link before anything behind it is.
fn mounts_nothing(asked: &Arguments, mounts: &[Mount]) -> Result<(), Error> {
    let (Some(path), Some(operand)) = (asked.path.as_deref(), asked.operand()) else { return Ok(()) };
    let may_lead = mounts.iter().any(|mount| mount.is_automount() && !mount.point.starts_with(b"/proc/"));
    let mut way = String::new();
    let mut parts: Vec<String> = parts(&operand);
    if !operand.starts_with('/') {
        // Commands run in the home directory, so that it is mounted.
        if !may_lead || parts.is_empty() {
            return Ok(());
        }
        way = home(asked)?;
    }
    let mut links = 0;
    while !parts.is_empty() {
        match parts.remove(0).as_str() {
            ".." => way.truncate(way.rfind('/').unwrap_or(0)),
            part => {
                let before = way.len();
                way = format!("{way}/{part}");
                let asks = |on| mounts::mounts_something(mounts, on, way.as_bytes());
                if automount(mounts, way.as_bytes()).is_some_and(asks) {
                    return Err(unmounted(asked, path, &way));
                }
                let target = if may_lead { link(asked, &way)? } else { None };
                if let Some(target) = target {
                    links += 1;
                    if links > MAX_LINKS {
                        break;
                    }
                    way.truncate(if target.starts_with('/') { 0 } else { before });
                    parts.splice(..0, self::parts(&target));
                }
            }
        }
    }
    match automount(mounts, way.as_bytes()) {
        None => Ok(()),
        Some(on) if mounts::mounts_something(mounts, on, way.as_bytes()) => Err(unmounted(asked, path, &way)),
        Some(_) => Err(empty(asked, path)),
    }
}

/// The automount point on which a path lies, if nothing is mounted there.
fn automount<'a>(mounts: &'a [Mount], path: &[u8]) -> Option<&'a Mount> {
    mounts::holding(mounts, path).filter(|mount| mount.is_automount())
}

/// Where the home directory lies, behind every link; nothing for the root.
fn home(asked: &Arguments) -> Result<String, Error> {
    let output = exec::output(&asked.host, &[&["pwd", "-P"]])?;
    let home = std::str::from_utf8(&output.stdout).unwrap_or_default().trim_end_matches('\n');
    if output.exit == Some(0) && home.starts_with('/') {
        return Ok(home.trim_end_matches('/').to_owned());
    }
    let message = format!(
        "where the home directory on {} lies is not known, and there are automount points that a path below it may lead to",
        asked.host
    );
    Err(Error::new(ErrorKind::Remote, message).hint("name the path from the root on"))
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

/// Where a link leads; of what is none, nothing.
fn link(asked: &Arguments, path: &str) -> Result<Option<String>, Error> {
    let output = exec::output(&asked.host, &[&["readlink", "-n", "--", path]])?;
    let target = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Some(target).filter(|target| output.exit == Some(0) && !target.is_empty()))
}

fn unmounted(asked: &Arguments, path: &str, at: &str) -> Error {
    let message = format!(
        "`{path}` on {} lies on an automount point, `{at}`, that is not mounted, and asking would mount it",
        asked.host
    );
    Error::new(ErrorKind::NotFound, message)
        .hint("leave `path` out: what is mounted is shown, and nothing is mounted by it")
}

/// The error of a directory between an automount point and what is mounted below it.
fn empty(asked: &Arguments, path: &str) -> Error {
    let message = format!("`{path}` on {} lies on an automount point, which has no storage of its own", asked.host);
    Error::new(ErrorKind::NotFound, message)
        .hint("name what is mounted below it, or leave `path` out: what is mounted is shown")
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

fn choose(asked: &Arguments, table: Table, inodes: &[Row], truncated: bool, unasked: u64) -> Chosen {
    let mut chosen = Chosen { entries: Vec::new(), pseudo: unasked, below: 0, truncated };
    // Of several on one mount point the first.
    let mut beside = BTreeMap::new();
    beside.extend(inodes.iter().rev().map(|row| (row.mount_point.as_slice(), row.figures)));
    for row in table.rows {
        // A path was named: its file system is the answer, whatever it is.
        if !asked.all && asked.path.is_none() && is_pseudo_row(&row) {
            chosen.pseudo += 1;
            continue;
        }
        let inodes = row.inodes.or_else(|| beside.get(row.mount_point.as_slice()).copied()).unwrap_or_default();
        let fullest = row.figures.percent().max(if asked.inodes { inodes.percent() } else { None });
        if fullest.unwrap_or(0) < asked.threshold {
            chosen.below += 1;
            continue;
        }
        chosen.entries.push(Entry { row, inodes });
    }
    chosen
}

fn is_pseudo_row(row: &Row) -> bool {
    match row.kind.as_deref() {
        _ if row.figures.total == Some(0) => true,
        // A disc that is written once, and not one that is written to.
        Some("udf") => row.figures.available == Some(0),
        Some(kind) => is_pseudo(kind, &row.mount_point, &row.filesystem),
        None => PSEUDO.split_ascii_whitespace().any(|kind| kind.as_bytes() == row.filesystem.as_slice()),
    }
}

/// Whether such a file system has no storage of its own, or is an image.
fn is_pseudo(kind: &str, mount_point: &[u8], source: &[u8]) -> bool {
    match kind {
        "tmpfs" => SYSTEM.iter().any(|directory| {
            mount_point.strip_prefix(*directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        }),
        // An image of a whole system (bootc, ostree), and a snapshot.
        "overlay" => source == b"composefs",
        "zfs" => source.contains(&b'@'),
        kind => PSEUDO.split_ascii_whitespace().any(|known| known == kind),
    }
}

fn answer(asked: Arguments, seen: Seen) -> Answer {
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
    let chosen = choose(&asked, seen.table, &seen.inodes, seen.truncated, seen.unasked);
    let notes = notes(&asked, &chosen, &seen.unanswered);
    let page = asked.rows.page(chosen.entries.iter().map(row).collect()).notes(notes);
    Answer::new().text(as_text(&page, &warnings)).structured(as_json(&page, &chosen, &seen.unanswered, &warnings))
}

fn as_json(page: &Page, chosen: &Chosen, unanswered: &[(Mount, String)], warnings: &[String]) -> Object {
    page.json(Object::new().text("host", page.asked().host()))
        .integer("pseudo_left_out", chosen.pseudo)
        .integer("below_threshold", chosen.below)
        .boolean("truncated", chosen.truncated || page.is_cut())
        .objects("unanswered", unanswered.iter().map(unanswered_json))
        .texts("warnings", warnings)
}

fn unanswered_json((mount, why): &(Mount, String)) -> Object {
    let object =
        named(Object::new(), "filesystem", "filesystem_base64", &mount.source).text("type", mount.kind.as_str());
    named(object, "mount_point", "mount_point_base64", &mount.point)
        .text("why", text::clipped(why, MAX_WARNING).as_str())
}

/// A file system, in the columns of [`schema::shape`].
fn row(Entry { row, inodes }: &Entry) -> Vec<Cell> {
    let bytes = |blocks: Option<u64>| Cell::number(blocks.map(|blocks| blocks.saturating_mul(BLOCK)));
    let name = |bytes: &[u8]| {
        let (name, base64) = text::name(bytes);
        [Cell::Text(name), Cell::text(base64.as_deref())]
    };
    let mut cells: Vec<Cell> = name(&row.filesystem).into();
    cells.extend([
        Cell::text(row.kind.as_deref()),
        bytes(row.figures.total),
        bytes(row.figures.used),
        bytes(row.figures.available),
        Cell::number(row.figures.percent()),
        Cell::number(inodes.total),
        Cell::number(inodes.used),
        Cell::number(inodes.available),
        Cell::number(inodes.percent()),
    ]);
    cells.extend(name(&row.mount_point));
    cells
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

/// What else is there, and was not shown.
fn notes(asked: &Arguments, chosen: &Chosen, unanswered: &[(Mount, String)]) -> Vec<String> {
    let mut notes = Vec::new();
    if chosen.below > 0 {
        let number = text::count(chosen.below, "file system is", "file systems are");
        notes.push(format!("{number} less than {} % full", asked.threshold));
    }
    if chosen.pseudo > 0 {
        let number = text::count(chosen.pseudo, "pseudo file system is", "pseudo file systems are");
        notes.push(format!("{number} left out; `all` shows them"));
    }
    if chosen.truncated {
        notes.push("there are more file systems: name a `path`".to_owned());
    }
    notes.extend(unanswered.iter().map(|(mount, why)| {
        let shown = |bytes: &[u8]| text::one_line(&text::clipped(&String::from_utf8_lossy(bytes), MAX_NAME));
        let why = text::clipped(why, MAX_WARNING);
        format!("{} ({}, {}) did not answer: {why}", shown(&mount.point), shown(&mount.source), mount.kind)
    }));
    if notes.is_empty() && chosen.entries.is_empty() {
        notes.push(format!("{} has no file systems with storage", asked.host));
    }
    notes
}

fn as_text(page: &Page, warnings: &[String]) -> String {
    let mut text = page.text();
    text.extend(warnings.iter().map(|warning| format!("warning: {warning}\n")));
    text.trim_end().to_owned()
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
