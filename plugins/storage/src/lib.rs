//! The tool `storage` and the resources `zfs://`: how well a host's pools, arrays, volumes and disks are, and what is in its pools, as ZFS, Linux, LVM, btrfs and SMART tell it.

mod btrfs;
mod lvm;
mod md;
mod part;
mod schema;
mod smart;
mod zfs;

use scout_plugin::exec::{self, Output, Ran};
use scout_plugin::json::{Object, Value};
use scout_plugin::rows::{self, Asked, Cell, Row, Shape};
use scout_plugin::{Answer, Effect, Error, ErrorKind, Resources, Template, Tool, Tools, register, text};

use crate::part::{Part, Told};

struct Storage;
register!(Storage: tools, resources);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Health,
    /// Of ZFS.
    Datasets,
    /// Of ZFS.
    Snapshots,
}

/// Disks, and file systems of btrfs, that are asked one by one.
const MAX_DISKS: usize = 32;

/// The most characters of what a program complained about.
const MAX_COMPLAINT: usize = 300;

/// The most characters of a name that there is not.
const MAX_NAME: usize = 255;

impl Tools for Storage {
    fn describe() -> Vec<Tool> {
        vec![
            Tool::new("storage", schema::DESCRIPTION, &schema::shape(What::Health).input(schema::INPUT))
                .title("Storage")
                .output_schema(&schema::all())
                .effect(Effect::Exec),
        ]
    }

    fn call(_name: &str, arguments: &str) -> Result<Answer, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the arguments of `storage` {what}"));
        let arguments = Value::parse(arguments).ok_or_else(|| invalid("are not JSON"))?;
        let what = match arguments.get("what").and_then(Value::as_text) {
            None | Some("health") => What::Health,
            Some("datasets") => What::Datasets,
            Some("snapshots") => What::Snapshots,
            Some(_) => return Err(invalid("have a `what` that is none of: health datasets snapshots")),
        };
        let asked = schema::shape(what).ask(&arguments)?;
        let (rows, notes) = match what {
            What::Health => health(asked.host())?.told(asked.host())?,
            What::Datasets | What::Snapshots => contents(asked.host(), what)?,
        };
        Ok(answer(asked, rows, notes))
    }
}

impl Resources for Storage {
    fn describe() -> Vec<Template> {
        let template =
            |name, uri, title, description| Template::new(name, uri, description).title(title).effect(Effect::Exec);
        vec![
            template("pools", "zfs://{host}", "Pools of ZFS", "Pools of ZFS and their health").each_host(),
            template("snapshots", "zfs://{host}/snapshots", "Snapshots of ZFS", "The newest 2000 snapshots"),
            template("pool", "zfs://{host}/{pool}", "Pool of ZFS", "One pool: size, health, why"),
            template("datasets", "zfs://{host}/{pool}/datasets", "Datasets of ZFS", "The datasets of one pool"),
        ]
    }

    fn read(template: &str, values: &[&str]) -> Result<Answer, Error> {
        match (template, values) {
            ("pools", [host]) => pools(host, None),
            ("pool", [host, pool]) => pools(host, Some(pool)),
            ("snapshots", [host]) => {
                let (rows, notes) = contents(host, What::Snapshots)?;
                all(host, What::Snapshots, rows, notes)
            }
            ("datasets", [host, pool]) => {
                let (mut rows, found) = contents_of(host, What::Datasets)?;
                rows.retain(|row| matches!(row.first(), Some(Cell::Text(name)) if is_of(name, pool)));
                if rows.is_empty() {
                    return Err(found.doubt.unwrap_or_else(|| no_pool(host, pool)));
                }
                all(host, What::Datasets, rows, found.notes)
            }
            _ => Err(Error::new(ErrorKind::NotFound, "there is no such resource")),
        }
    }
}

/// Whether a dataset is a pool's.
fn is_of(dataset: &str, pool: &str) -> bool {
    dataset.strip_prefix(pool).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn no_pool(host: &str, pool: &str) -> Error {
    let shown = text::clipped(&text::one_line(pool), MAX_NAME);
    Error::new(ErrorKind::NotFound, format!("{host} has no pool `{shown}` of ZFS"))
        .hint(format!("`zfs://{host}` has the pools"))
}

/// The pools of ZFS, or one of them.
fn pools(host: &str, pool: Option<&str>) -> Result<Answer, Error> {
    let mut found = Found::default();
    if !zfs_pools(host, &mut found)? {
        found.look_aside(host)?;
        if let Some(hidden) = found.failures.pop() {
            return Err(hidden);
        }
        let message = format!("{host} has no program `zpool`");
        return Err(Error::new(ErrorKind::Unsupported, message).hint("the tool `storage` tells of all that it has"));
    }
    if let Some(failure) = found.failures.pop() {
        return Err(failure);
    }
    if let Some(pool) = pool {
        found.parts.retain(|part| part.name == pool);
        if found.parts.is_empty() {
            return Err(found.doubt.unwrap_or_else(|| no_pool(host, pool)));
        }
    } else if found.parts.is_empty() {
        found.notes.push("there is no pool".to_owned());
    }
    all(host, What::Health, found.parts.iter().map(Part::row).collect(), found.notes)
}

/// An answer of all these rows.
fn all(host: &str, what: What, rows: Vec<Row>, notes: Vec<String>) -> Result<Answer, Error> {
    Ok(answer(schema::shape(what).of(host, Shape::MAX_LIMIT)?, rows, notes))
}

/// What the sources told.
#[derive(Debug, Default)]
struct Found {
    parts: Vec<Part>,
    /// Programs that the host does not have.
    missing: Vec<&'static str>,
    /// Why a source that is there told nothing.
    failures: Vec<Error>,
    notes: Vec<String>,
    /// Rows that would let the account see what it does not.
    advice: Vec<String>,
    /// Why something may be there that is not told.
    doubt: Option<Error>,
}

/// One command for each source that a host has, one more for pools, and one for each disk.
fn health(host: &str) -> Result<Found, Error> {
    let mut found = Found::default();
    zfs_pools(host, &mut found)?;
    let output = exec::output(host, &[md::WORDS])?;
    match output.exit {
        // A kernel without arrays has no such file.
        _ if output.stdout.is_empty() && output.stderr.contains("o such file") => {}
        Some(0) => found.take("/proc/mdstat", md::arrays(output.whole_lines()), &output),
        _ => found.fail(output.failure(host, "cat")),
    }
    for words in [lvm::GROUPS, lvm::VOLUMES] {
        let output = found.ask(host, words)?;
        let program = words.first().copied().unwrap_or_default();
        if !found.is_there(program, &output) {
            break;
        }
        if output.stderr.contains(lvm::NOT_ROOT) {
            let message = format!("LVM on {host} tells only an administrator of its volumes");
            found.deny(message, &[lvm::GROUPS, lvm::VOLUMES]);
            break;
        }
        match lvm::parts(&output.stdout) {
            Some(told) => found.take(program, told, &output),
            None => found.fail(output.failure(host, program)),
        }
    }
    file_systems(host, &mut found)?;
    disks(host, &mut found)?;
    if !found.missing.is_empty() {
        found.look_aside(host)?;
    }
    Ok(found)
}

/// The pools of ZFS. Whether the host has its program.
fn zfs_pools(host: &str, found: &mut Found) -> Result<bool, Error> {
    let output = found.ask(host, zfs::LIST)?;
    let is_there = found.is_there("zpool", &output);
    if is_there {
        if let Some(failure) = zfs_failure(host, "zpool", &output) {
            found.fail(failure);
        } else {
            let mut told = zfs::pools(output.whole_lines());
            if !told.parts.is_empty() {
                zfs::add_status(&found.ask(host, zfs::STATUS)?.stdout, &mut told.parts);
            }
            found.take("zpool", told, &output);
        }
    }
    Ok(is_there)
}

/// Where such programs lie. Many systems let only administrators look for programs there.
const SBIN: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The file systems of btrfs that are mounted.
fn file_systems(host: &str, found: &mut Found) -> Result<(), Error> {
    // A host without `findmnt` is none of Linux, and has none.
    let (targets, odd) = btrfs::mounted(exec::output(host, &[btrfs::MOUNTED])?.whole_lines());
    let left = odd + targets.len().saturating_sub(MAX_DISKS);
    if left > 0 {
        let systems = text::count(left as u64, "file system of btrfs was", "file systems of btrfs were");
        found.notes.push(format!("{systems} not asked for errors"));
    }
    for target in targets.iter().take(MAX_DISKS) {
        let words: Vec<&str> = btrfs::ASK.iter().copied().chain([target.as_str()]).collect();
        let output = found.ask(host, &words)?;
        if !found.is_there("btrfs", &output) {
            break;
        }
        match btrfs::file_system(target, &output.stdout) {
            Some(part) => found.parts.push(part),
            None if output.stderr.contains("not permitted") => {
                let message = format!("btrfs on {host} tells only an administrator of errors of its devices");
                found.deny(message, &[&[btrfs::ASK, &["*"]].concat()]);
                break;
            }
            None => found.fail(output.failure(host, "btrfs")),
        }
    }
    Ok(())
}

/// The disks that smartctl finds.
fn disks(host: &str, found: &mut Found) -> Result<(), Error> {
    let output = found.ask(host, smart::SCAN)?;
    if !found.is_there("smartctl", &output) {
        return Ok(());
    }
    let Some((disks, behind)) = smart::disks(&output.stdout) else {
        found.fail(output.failure(host, "smartctl"));
        return Ok(());
    };
    if behind > 0 {
        let disks = text::count(behind as u64, "disk", "disks");
        found.notes.push(format!("{disks} behind a controller were not asked for their health"));
    }
    if disks.len() > MAX_DISKS {
        found.notes.push(format!("of {} disks the first {MAX_DISKS} were asked for their health", disks.len()));
    }
    for name in disks.iter().take(MAX_DISKS) {
        let words: Vec<&str> = smart::ASK.iter().copied().chain([name.as_str()]).collect();
        let output = found.ask(host, &words)?;
        match smart::disk(name, &output.stdout) {
            Ok(disk) => found.parts.push(disk),
            Err(said) if said.contains("ermission denied") => {
                let message = format!("SMART on {host} tells only an administrator of its disks");
                found.deny(message, &[smart::SCAN, &[smart::ASK, &["*"]].concat()]);
                break;
            }
            Err(said) => {
                let said = text::clipped(&text::one_line(&said), MAX_COMPLAINT);
                found.parts.push(Part {
                    kind: "disk",
                    name: name.clone(),
                    details: vec![format!("smartctl said: {said}")],
                    ..Part::default()
                });
            }
        }
    }
    Ok(())
}

/// Why ZFS told nothing.
fn zfs_failure(host: &str, program: &str, output: &Output) -> Option<Error> {
    if zfs::NO_MODULE.iter().any(|known| output.stderr.contains(known)) {
        let message = format!("ZFS is installed on {host}, and its module of the kernel is not loaded");
        return Some(Error::new(ErrorKind::Unsupported, message));
    }
    let is_told = output.exit == Some(0) || output.truncated || !output.stdout.is_empty();
    (!is_told).then(|| output.failure(host, program))
}

/// The datasets or snapshots of ZFS.
fn contents(host: &str, what: What) -> Result<(Vec<Row>, Vec<String>), Error> {
    contents_of(host, what).map(|(rows, found)| (rows, found.notes))
}

fn contents_of(host: &str, what: What) -> Result<(Vec<Row>, Found), Error> {
    let words = if what == What::Datasets { zfs::DATASETS } else { zfs::SNAPSHOTS };
    let output = exec::output(host, &[words])?;
    if output.is_missing() {
        let message = format!("{host} has no program `zfs`; only datasets and snapshots of ZFS are told");
        return Err(Error::new(ErrorKind::Unsupported, message)
            .hint("without `what` the tool tells of arrays, LVM and disks; the tool `disk` of file systems"));
    }
    if let Some(failure) = zfs_failure(host, "zfs", &output) {
        return Err(failure);
    }
    let (rows, unread) =
        if what == What::Datasets { zfs::datasets(output.whole_lines()) } else { zfs::snapshots(output.whole_lines()) };
    let mut found = Found::default();
    let told = Told { parts: Vec::new(), unread };
    found.take("zfs", told, &output);
    if rows.is_empty() {
        found
            .notes
            .push(if what == What::Datasets { "there is no dataset" } else { "there is no snapshot" }.to_owned());
    }
    Ok((rows, found))
}

impl Found {
    /// Runs a program, as root where the operator lets it.
    fn ask(&mut self, host: &str, words: &[&str]) -> Result<Output, Error> {
        let program = words.first().copied().unwrap_or_default();
        let Ran { output, by } = exec::output_as_root(host, &[words], program)?;
        self.note(by.note(program));
        Ok(output)
    }

    fn note(&mut self, note: Option<String>) {
        self.notes.extend(note.filter(|note| !self.notes.contains(note)));
    }

    /// A source that tells only root, and the rows by which it would tell.
    fn deny(&mut self, message: String, rows: &[&[&str]]) {
        self.fail(Error::new(ErrorKind::Permission, message));
        let row = |words: &&[&str]| {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("[{}]", words.join(", "))
        };
        self.advice.extend(rows.iter().map(row));
    }

    fn is_there(&mut self, program: &'static str, output: &Output) -> bool {
        if output.is_missing() {
            self.missing.push(program);
        }
        !output.is_missing()
    }

    /// Programs that are there, where the account does not look for any: not installed they are not.
    /// Whether what is missing lies where the account does not look.
    fn look_aside(&mut self, host: &str) -> Result<(), Error> {
        let places: Vec<String> =
            self.missing.iter().flat_map(|program| SBIN.map(|place| format!("{place}/{program}"))).collect();
        let words: Vec<&str> = ["ls", "-d", "--"].into_iter().chain(places.iter().map(String::as_str)).collect();
        self.hidden(host, &String::from_utf8_lossy(&exec::output(host, &[&words])?.stdout));
        Ok(())
    }

    fn hidden(&mut self, host: &str, listed: &str) {
        let is_listed = |program: &&'static str| {
            listed.lines().any(|path| SBIN.iter().any(|place| path == format!("{place}/{program}")))
        };
        let (hidden, missing): (Vec<_>, Vec<_>) = self.missing.iter().copied().partition(is_listed);
        self.missing = missing;
        if !hidden.is_empty() {
            let names = hidden.join(", ");
            let message = format!("{names} of {host} lie in /usr/sbin, which is not on the account's PATH");
            self.fail(Error::new(ErrorKind::Permission, message));
        }
    }

    fn take(&mut self, program: &str, told: Told, output: &Output) {
        if told.unread > 0 {
            let lines = text::count(told.unread as u64, "line", "lines");
            self.miss(format!("{lines} of {program} could not be read"));
        }
        if output.truncated {
            self.miss(format!("{program} says more than Scout accepts from a command: the last rows are missing"));
        }
        self.parts.extend(told.parts);
    }

    /// Notes what is not seen.
    fn miss(&mut self, note: String) {
        self.doubt.get_or_insert_with(|| Error::new(ErrorKind::Remote, note.clone()));
        self.notes.push(note);
    }

    fn fail(&mut self, failure: Error) {
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// The rows, the worst first, and what was not seen; a failure if nothing was told and something failed.
    fn told(self, host: &str) -> Result<(Vec<Row>, Vec<String>), Error> {
        let Self { parts, missing, failures, mut notes, advice, doubt: _ } = self;
        let advice = (!advice.is_empty()).then(|| {
            format!("`sudo = [{}]` below [hosts.NAME] in scout.toml lets them be asked as root", advice.join(", "))
        });
        let of_kind = |kind: ErrorKind| failures.iter().find(|failure| failure.kind == kind).cloned();
        if parts.is_empty() {
            if let Some(failure) = of_kind(ErrorKind::Permission) {
                let advice = advice.as_deref().unwrap_or("the operator reads them as an administrator");
                return Err(failure.hint(format!("{advice}; the tool `disk` tells of file systems")));
            }
            if let Some(failure) = failures.iter().find(|failure| failure.kind != ErrorKind::Unsupported) {
                return Err(failure.clone());
            }
            notes.insert(0, format!("neither pools, arrays, volumes of LVM, file systems of btrfs nor disks with SMART were found on {host}"));
        }
        notes.extend(failures.into_iter().map(|failure| failure.message));
        notes.extend(advice);
        if !missing.is_empty() {
            notes.push(format!("not asked, for they are not installed: {}", missing.join(", ")));
        }
        let mut places: Vec<usize> = (0..parts.len()).collect();
        rows::sort(&mut places, &|one, other| {
            let health = |at: usize| parts.get(at).map(|part| part.health);
            health(one).cmp(&health(other))
        });
        Ok((places.iter().filter_map(|at| parts.get(*at)).map(Part::row).collect(), notes))
    }
}

fn answer(asked: Asked, rows: Vec<Row>, notes: Vec<String>) -> Answer {
    let page = asked.page(rows).notes(notes);
    let host = page.asked().host();
    Answer::new().text(page.text().trim_end()).structured(page.json(Object::new().text("host", host)))
}

#[cfg(test)]
#[path = "../../mutants.rs"]
mod mutants;

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;
