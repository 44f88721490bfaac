//! A path or a command on many hosts: equal answers are told once, with the names of their hosts.

mod fold;
mod groups;
#[path = "../../command/src/lex.rs"]
mod lex;
#[path = "../../walk/src/lines.rs"]
mod lines;
mod targets;

use std::collections::BTreeSet;

use scout_plugin::exec::{self, Ending, Outcome, Pipeline};
use scout_plugin::files::{self, Place};
use scout_plugin::{
    Answer, Description, DirEntry, Entry, Error, ErrorKind, FileKind, Handler, Query, Subject, register, text,
};

use crate::groups::{Body, Reply, Said};
use crate::lex::{NotAPipeline, Tilde};
use crate::targets::{Asked, Target};

struct Fleet;
register!(Fleet: handler);

/// Bytes of all hosts together that are looked at.
const ALL: u64 = 16 << 20;
/// Bytes of one host's file or stream, at least and at most.
const EACH: (u64, u64) = (4 << 10, 256 << 10);
/// Entries of directories that are looked at, of all hosts together.
const ENTRIES: usize = 60_000;

impl Handler for Fleet {
    fn describe() -> Description {
        Description::new("asks many hosts at once", &[Subject::Targets])
    }

    fn handle(query: Query) -> Result<Answer, Error> {
        let arguments = query.arguments();
        let asked = Asked::of(arguments.texts("targets"), arguments.text("cursor"))?;
        let targets = asked.targets();
        let several = targets.windows(2).any(|two| matches!(two, [one, other] if one.path != other.path));
        let most = (ALL / (targets.len() as u64).max(1)).clamp(EACH.0, EACH.1);
        let replies = match query.command.as_deref() {
            Some(command) => run(targets, command, most)?,
            None => look(targets, most)?,
        };
        let unanswered: BTreeSet<(String, Option<String>)> = replies
            .iter()
            .filter(|reply| matches!(&reply.said, Err(error) if matches!(error.kind, ErrorKind::Timeout | ErrorKind::Exhausted)))
            .map(|reply| (reply.host.clone(), reply.path.clone()))
            .collect();
        let rest = asked.rest(|Target { host, path }| {
            // Where all have the same path, replies name none.
            unanswered.contains(&(host.clone(), path.clone().filter(|_| several)))
        })?;
        Ok(groups::answer(query.command.as_deref(), replies, rest.as_ref()))
    }
}

/// Runs a command on all of them.
fn run(targets: Vec<Target>, command: &str, most: u64) -> Result<Vec<Reply>, Error> {
    let mut by_path: Vec<(Option<String>, Vec<String>)> = Vec::new();
    for Target { host, path } in targets {
        match by_path.iter_mut().find(|(known, _)| *known == path) {
            Some((_, hosts)) => hosts.push(host),
            None => by_path.push((path, vec![host])),
        }
    }
    let several = by_path.len() > 1;
    let mut replies = Vec::new();
    for (path, hosts) in by_path {
        let directory = path.as_ref().map(|path| path.as_bytes().to_vec());
        let outcomes = match lex::pipeline(command, Tilde::of(directory.as_deref())) {
            Ok(stages) => exec::run_each(&hosts, &Pipeline { stages, directory }, most)?,
            Err(NotAPipeline::NeedsShell(_)) => exec::shell_each(&hosts, directory.as_deref(), command, most)?,
            Err(NotAPipeline::Malformed(why)) => {
                return Err(Error::new(ErrorKind::Invalid, format!("the query is not a command: {why}")));
            }
        };
        let of = path.filter(|_| several);
        replies.extend(hosts.into_iter().zip(outcomes).map(|(host, outcome)| {
            let said = outcome.map(ran);
            Reply { host, path: of.clone(), said }
        }));
    }
    Ok(replies)
}

fn ran(outcome: Outcome) -> Said {
    let (status, is_well) = match &outcome.ending {
        Ending::Exited(0) => ("exit 0".to_owned(), true),
        Ending::Exited(status) => (format!("exit {status}"), false),
        Ending::Signaled(signal) => (format!("ended by signal {signal}"), false),
        Ending::TimedOut(_) => ("timed out".to_owned(), false),
        Ending::OutputLimit(_) => ("stopped at the output limit".to_owned(), false),
        Ending::NoStatus => ("the connection ended before its status came".to_owned(), false),
    };
    let is_cut = outcome.stdout.truncated() || outcome.stderr.truncated();
    let exit = match outcome.ending {
        Ending::Exited(status) => Some(u64::from(status)),
        _ => None,
    };
    let (output, complaint) = (Body::held(outcome.stdout), Body::held(outcome.stderr));
    Said { status, is_well, exit, is_text: true, output, complaint, is_cut }
}

/// Looks at a path on all of them.
fn look(targets: Vec<Target>, most: u64) -> Result<Vec<Reply>, Error> {
    let first = targets.first().and_then(|target| target.path.clone());
    let several = targets.iter().any(|target| target.path != first);
    let place = |target: &Target| {
        let path = target.path.as_deref().unwrap_or("~").as_bytes().to_vec();
        Place { host: target.host.clone(), path }
    };
    let places: Vec<Place> = targets.iter().map(place).collect();
    let opened = files::open_each(&places, most)?;
    let mut left = ENTRIES;
    Ok(targets
        .into_iter()
        .zip(opened)
        .map(|(target, entry)| {
            let path = target.path.filter(|_| several);
            Reply { host: target.host, path, said: entry.and_then(|entry| seen(&entry, &mut left)) }
        })
        .collect())
}

fn seen(entry: &Entry, left: &mut usize) -> Result<Said, Error> {
    let attributes = entry.attributes();
    let said = |status: String, output, is_text, is_cut| Said {
        status,
        is_well: true,
        exit: None,
        is_text,
        output,
        complaint: Body::Text(String::new()),
        is_cut,
    };
    match (attributes.kind, entry.content()) {
        (FileKind::File, Some(content)) => {
            let (size, is_cut) = (content.total().unwrap_or_else(|| content.size()), content.truncated());
            let bytes = |bytes| text::count(bytes, "byte", "bytes");
            if content.is_text() {
                return Ok(said(bytes(size), Body::held(content), true, is_cut));
            }
            let digest: String = content.digest().iter().map(|byte| format!("{byte:02x}")).collect();
            let of = if is_cut { format!(" of its first {}", bytes(content.size())) } else { String::new() };
            let what = format!("binary file, {}, sha256{of}: {digest}", bytes(size));
            Ok(said(what, Body::Text(String::new()), false, is_cut))
        }
        (FileKind::Directory, _) if *left == 0 => {
            Err(Error::new(ErrorKind::Exhausted, "its entries are more than are looked at of all hosts together")
                .hint("ask fewer hosts at once, or `query` with `ls`"))
        }
        (FileKind::Directory, _) => {
            let mut entries = entry.entries();
            *left = left.saturating_sub(entries.len());
            entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            let lines: String = entries.iter().map(line).collect();
            let status = format!("directory, {}", text::count(entries.len() as u64, "entry", "entries"));
            Ok(said(status, Body::Text(lines), true, entry.truncated()))
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "it is neither a regular file nor a directory")),
    }
}

/// A directory's entry: what hosts that are set up alike have alike.
fn line(entry: &DirEntry) -> String {
    let name = text::one_line(&String::from_utf8_lossy(&entry.name));
    match (entry.attributes.kind, entry.attributes.size) {
        (FileKind::Directory, _) => format!("{name}/\n"),
        (FileKind::Symlink, _) => format!("{name}@\n"),
        (FileKind::File, Some(size)) => format!("{name} {size}\n"),
        (FileKind::File | FileKind::Other, _) => format!("{name}\n"),
    }
}
