//! What is asked, and the commands that ask a host for it. Pure.
//!
//! Every argument is a word of its own, which Scout quotes: no text of a client is a flag or a part of a script.

use scout_plugin::json::Value;
use scout_plugin::{Error, ErrorKind, text};

use crate::entry::{BEGINNING, PRIORITIES};
use crate::journal::FIELDS;
use crate::time::{self, SECOND, Written};

/// Entries of an answer, unless asked for fewer or more.
const DEFAULT_LINES: u64 = 100;

/// The most of them.
const MAX_LINES: u64 = 1000;

/// The most bytes of a unit's name, and of a pattern.
const MAX_UNIT: usize = 255;
const MAX_PATTERN: usize = 1000;

/// Lines of a file, or entries, that are looked at where a filter is left to the plugin.
const SCANNED: usize = 5000;

/// The most bytes of a file that are looked at, from its end: less than the smallest output limit that makes sense.
pub(crate) const SCANNED_BYTES: usize = 768 * 1024;

/// What begins the line with the host's clock.
pub(crate) const CLOCK: &str = "scout-clock ";

/// The file of the host's zone, whose last line tells when its clocks change.
pub(crate) const ZONE: &str = "/etc/localtime";

/// Where logs are without a journal: of Red Hat and Alpine, and of Debian, which prefers the last.
const FILES: [&str; 2] = ["/var/log/messages", "/var/log/syslog"];

/// How the names of compressed files end, and what unpacks them.
const PACKED: [(&str, &str); 4] = [(".gz", "zcat"), (".xz", "xzcat"), (".bz2", "bzcat"), (".zst", "zstdcat")];

/// The most bytes of a line that tells the beginning of a message: four for each byte where it is told as numbers, and room for its cursor.
const BEGINNING_LINE: usize = 4 * BEGINNING + 1024;

/// Types of units, without which a name is a service's.
const UNIT_TYPES: [&str; 11] = [
    ".service",
    ".socket",
    ".timer",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".slice",
    ".scope",
    ".device",
];

/// Words of the programs of a pipeline.
pub(crate) type Stages = Vec<Vec<String>>;

/// Where entries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The journal, and where there is none, files.
    Auto,
    Journal,
    Files,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) host: String,
    pub(crate) source: Source,
    pub(crate) path: Option<String>,
    pub(crate) unit: Option<String>,
    /// A unit of any user's manager.
    pub(crate) user_unit: Option<String>,
    pub(crate) since: Option<Written>,
    pub(crate) until: Option<Written>,
    pub(crate) grep: Option<String>,
    ignore_case: bool,
    /// The least urgent that is wanted.
    pub(crate) priority: Option<u8>,
    pub(crate) lines: usize,
    /// Whether rows are chosen or ordered of more entries than an answer holds.
    pub(crate) is_picky: bool,
    /// Whether messages are wanted whole.
    pub(crate) whole: bool,
}

/// What a journalctl can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journalctl {
    /// Leaves out fields and searches: systemd 237 and newer.
    Current,
    /// Neither, as systemd 219 of RHEL 7.
    Old,
}

impl Query {
    /// # Errors
    /// Arguments that make no sense, or none together.
    pub(crate) fn read(arguments: &Value) -> Result<Self, Error> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_text).map(str::to_owned);
        let time = |name: &str| match text(name) {
            None => Ok(None),
            Some(written) => time::asked(&written).map(Some).ok_or_else(|| {
                let shown = text::clipped(&written, 50);
                invalid(
                    &format!("have a `{name}` that is not a time: {shown}"),
                    "write an age as 15m, 2h or 7d, a date, or RFC 3339",
                )
            }),
        };
        let lines = match arguments.get("lines") {
            None => DEFAULT_LINES,
            Some(lines) => lines.as_integer().filter(|lines| (1..=MAX_LINES).contains(lines)).ok_or_else(|| {
                invalid("have `lines` that are not a number", &format!("write one from 1 to {MAX_LINES}"))
            })?,
        };
        // A page is not longer than what is read for it.
        let lines = arguments.get("limit").and_then(Value::as_integer).unwrap_or(lines);
        for name in ["unit", "user_unit"] {
            let is_unit = |unit: &String| {
                (1..=MAX_UNIT).contains(&unit.len())
                    && unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_.@\\-".contains(&byte))
            };
            if text(name).is_some_and(|unit| !is_unit(&unit)) {
                return Err(invalid(
                    &format!("have a `{name}` that is no name of one"),
                    "write it as nginx or nginx.service",
                ));
            }
        }
        let is_pattern =
            |pattern: &String| (1..=MAX_PATTERN).contains(&pattern.len()) && !pattern.contains(char::is_control);
        if text("grep").is_some_and(|pattern| !is_pattern(&pattern)) {
            return Err(invalid("have a `grep` that is no pattern", "write a regular expression of one line"));
        }
        let is_path =
            |path: &String| (path.starts_with('/') || path.starts_with("~/")) && path.len() > 1 && !path.contains('\0');
        if text("path").is_some_and(|path| !is_path(&path)) {
            return Err(invalid("have a `path` that is no file", "write an absolute path, or ~/x"));
        }
        let priority = match text("priority") {
            None => None,
            Some(name) => Some(PRIORITIES.iter().position(|known| *known == name).ok_or_else(|| {
                invalid("have a `priority` that is none", &format!("write one of: {}", PRIORITIES.join(" ")))
            })?),
        };
        let query = Self {
            host: text("host").ok_or_else(|| {
                invalid("do not name a `host`", "the tool `scout` with the target `hosts` lists them")
            })?,
            source: match text("source").as_deref() {
                Some("journal") => Source::Journal,
                Some("files") => Source::Files,
                _ => Source::Auto,
            },
            path: text("path"),
            unit: text("unit"),
            user_unit: text("user_unit"),
            since: time("since")?,
            until: time("until")?,
            grep: text("grep"),
            ignore_case: arguments.get("ignore_case").and_then(Value::as_boolean).unwrap_or(false),
            priority: priority.and_then(|at| at.try_into().ok()),
            lines: usize::try_from(lines).unwrap_or(usize::MAX),
            is_picky: false,
            whole: arguments.get("whole").and_then(Value::as_boolean).unwrap_or(false),
        };
        if query.unit.is_some() && query.user_unit.is_some() {
            return Err(invalid(
                "name a `unit` and a `user_unit`",
                "ask twice: `unit` is for the system, `user_unit` for users",
            ));
        }
        match &query.path {
            Some(_) if query.source == Source::Journal => Err(invalid(
                "name a `path` and the source `journal`",
                "leave one of the two out: a path is always a file",
            )),
            _ => Ok(query),
        }
    }

    /// How many entries are read.
    pub(crate) fn wanted(&self) -> usize {
        if self.is_picky { SCANNED.max(self.lines) } else { self.lines }
    }

    /// Whether files are asked, and the journal is not.
    pub(crate) fn wants_files(&self) -> bool {
        self.path.is_some() || self.source == Source::Files
    }

    /// The newest entries of the journal, the newest first.
    ///
    /// `head` and not `-n`: beside `--since` and `--reverse`, `-n` means another thing in each of several versions. In front stands a
    /// journalctl that prints no entry and says whose entries the account does not see: with JSON it keeps that to itself.
    pub(crate) fn journal(&self, journalctl: Journalctl) -> Stages {
        let old_grep = self.grep.is_some() && journalctl == Journalctl::Old;
        let all = if self.whole { " --all" } else { "" };
        let mut words = match (journalctl, old_grep) {
            (Journalctl::Current, _) => split(&format!("journalctl --no-pager --reverse{all} -o json {FIELDS}")),
            (Journalctl::Old, false) => split(&format!("journalctl --no-pager --reverse{all} -o json")),
            // A search outside sees one line for an entry, as its reader does, and not JSON's escapes.
            (Journalctl::Old, true) => split("journalctl --no-pager --reverse -q -o short-iso"),
        };
        words.extend(self.since.map(|time| format!("--since={}", journal_time(time))));
        words.extend(self.until.map(|time| format!("--until={}", journal_time(time))));
        words.extend(self.matches(journalctl));
        let mut stages = vec![split("journalctl --no-pager -n 0 -o short-iso"), words];
        if let (Some(pattern), true) = (&self.grep, old_grep) {
            let mut grep = self.grep("-a");
            grep.extend(["-e".to_owned(), pattern.clone()]);
            stages.push(grep);
        }
        stages.push(split(&format!("head -n {}", self.wanted())));
        stages
    }

    /// The beginnings of the messages of so many entries, from the one of this cursor on, each line cut.
    pub(crate) fn beginnings(&self, journalctl: Journalctl, cursor: &str, entries: usize) -> Stages {
        let fields = match journalctl {
            Journalctl::Current => " --output-fields=MESSAGE",
            Journalctl::Old => "",
        };
        let mut words = split(&format!("journalctl --no-pager --reverse --all -o json{fields}"));
        // From there on all are older than `until`, and journalctl takes no `since` beside it.
        words.push(format!("--cursor={cursor}"));
        words.extend(self.matches(journalctl));
        vec![words, split(&format!("cut -b 1-{BEGINNING_LINE}")), split(&format!("head -n {entries}"))]
    }

    /// What journalctl filters by, but for times.
    fn matches(&self, journalctl: Journalctl) -> Vec<String> {
        let mut words: Vec<String> = self.unit.iter().map(|unit| format!("--unit={unit}")).collect();
        let priority = self.priority.and_then(|at| PRIORITIES.get(usize::from(at)));
        words.extend(priority.map(|name| format!("--priority={name}")));
        if let (Some(pattern), Journalctl::Current) = (&self.grep, journalctl) {
            words.extend([format!("--case-sensitive={}", !self.ignore_case), format!("--grep={pattern}")]);
        }
        if let Some(unit) = &self.user_unit {
            // Not `--user-unit`, which looks for units of the account's own manager only.
            let kind = if UNIT_TYPES.iter().any(|kind| unit.ends_with(kind)) { "" } else { ".service" };
            words.extend([
                format!("_SYSTEMD_USER_UNIT={unit}{kind}"),
                "+".to_owned(),
                format!("USER_UNIT={unit}{kind}"),
            ]);
        }
        words
    }

    /// Words of a `grep` with these flags, before its patterns.
    fn grep(&self, flags: &str) -> Vec<String> {
        split(&format!("grep -E {flags}{}", if self.ignore_case { " -i" } else { "" }))
    }

    /// The files that are asked, the preferred one last.
    pub(crate) fn files(&self) -> Vec<String> {
        match self.path.as_deref() {
            // Words are quoted, so that nobody else resolves `~`; commands run in the home directory.
            Some(path) => vec![path.strip_prefix("~/").map_or_else(|| path.to_owned(), |path| format!("./{path}"))],
            None => FILES.map(str::to_owned).to_vec(),
        }
    }

    /// The files, as people are told of them: a path as it was asked for.
    pub(crate) fn named(&self) -> String {
        self.path.clone().unwrap_or_else(|| FILES.join(" and "))
    }

    /// The program whose lines are wanted of a file, where units have no names.
    pub(crate) fn program(&self) -> Option<&str> {
        let unit = self.unit.as_deref().or(self.user_unit.as_deref())?;
        Some(unit.strip_suffix(".service").unwrap_or(unit))
    }

    /// How many lines of a file are looked at.
    pub(crate) fn scanned(&self) -> usize {
        let filters =
            self.since.is_some() || self.until.is_some() || self.program().is_some() || self.priority.is_some();
        if filters { SCANNED.max(self.lines) } else { self.wanted() }
    }

    /// The last lines of the files, and behind them the host's clock and zone: a command's only way to tell both in one go is that the
    /// clock is the standard input of what reads the files.
    pub(crate) fn tail(&self) -> Stages {
        let scanned = self.scanned();
        let mut stages = clock();
        let mut reader = match &self.grep {
            None => split(&format!("tail -n {scanned}")),
            Some(pattern) => {
                let mut grep = self.grep("-a -H");
                grep.extend(["-e".to_owned(), format!("^{CLOCK}"), "-e".to_owned(), pattern.clone()]);
                grep
            }
        };
        reader.push("--".to_owned());
        reader.extend(self.files());
        reader.push("-".to_owned());
        stages.push(reader);
        if self.grep.is_some() {
            stages.push(split(&format!("tail -n {}", scanned + 1)));
        }
        stages.push(split(&format!("tail -c {SCANNED_BYTES}")));
        stages
    }
}

impl Query {
    /// What unpacks the file that is asked for, if it is a compressed one.
    pub(crate) fn unpacker(&self) -> Option<&'static str> {
        let path = self.path.as_deref()?;
        PACKED.iter().find(|(end, _)| path.ends_with(end)).map(|(_, program)| *program)
    }

    /// The last lines of a compressed file. The clock is asked for apart: there is no file that could be read beside it.
    pub(crate) fn unpacked(&self, unpacker: &str) -> Stages {
        let mut stages = vec![split(&format!("{unpacker} --"))];
        stages.iter_mut().for_each(|words| words.extend(self.files()));
        if let Some(pattern) = &self.grep {
            let mut grep = self.grep("-a");
            grep.extend(["-e".to_owned(), pattern.clone()]);
            stages.push(grep);
        }
        stages.push(split(&format!("tail -n {}", self.scanned())));
        stages.push(split(&format!("tail -c {SCANNED_BYTES}")));
        stages
    }
}

/// The row of `sudo` that lets the reading journalctl of such stages run as root, whatever is asked for in the values of its flags; absent
/// where no row can say them.
pub(crate) fn row(stages: &Stages) -> Option<Vec<String>> {
    let words = stages.get(1).filter(|words| words.first().is_some_and(|word| word == "journalctl"))?;
    let is_said =
        |value: &str| !value.is_empty() && !value.contains(['/', ' ']) && value.split('=').all(|name| name != "..");
    let word = |word: &String| match word.split_once('=') {
        Some((flag, value)) if ["--since", "--until", "--unit", "--priority", "--grep"].contains(&flag) => {
            is_said(value).then(|| format!("{flag}=*"))
        }
        _ => Some(word.clone()),
    };
    words.iter().map(word).collect()
}

/// Words that hold no blanks.
fn split(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The words of the command that tells the host's clock.
pub(crate) fn date() -> Vec<String> {
    vec!["date".to_owned(), format!("+{CLOCK}%s %z")]
}

/// Tells the host's clock and its zone in one line.
pub(crate) fn clock() -> Stages {
    let zone = split(&format!("tail -q -n 1 -- - {ZONE}"));
    vec![date(), zone, ["paste", "-s", "-d", " ", "-"].map(str::to_owned).to_vec()]
}

/// A time as journalctl reads it, to the microsecond. Every version knows these three forms, but fractions of local times.
fn journal_time(written: Written) -> String {
    match written {
        Written::Instant(instant) => match instant.rem_euclid(SECOND) {
            0 => format!("@{}", instant.div_euclid(SECOND)),
            fraction => format!("@{}.{fraction:06}", instant.div_euclid(SECOND)),
        },
        Written::Local(local) => time::local_text(local),
        Written::Ago(ago) => format!("-{}s", ago / SECOND),
    }
}

fn invalid(what: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the arguments of `logs` {what}")).hint(hint)
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
