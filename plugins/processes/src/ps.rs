//! Takes the table of `ps` apart. Pure.
//!
//! Which columns it has is told by its heading, which is the same in every language. Every column but the last is one word; the last is the
//! command, which may hold anything. A line without the id of a process is counted and left out.

use scout_plugin::rows;

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) user: Option<String>,
    pub(crate) state: Option<String>,
    /// Tenths of a percent of one processor, since it began; of a BSD of the last minute.
    pub(crate) cpu: Option<u64>,
    /// Bytes that are in memory.
    pub(crate) memory: Option<u64>,
    /// Seconds since it began.
    pub(crate) elapsed: Option<u64>,
    pub(crate) threads: Option<u64>,
    /// With its arguments.
    pub(crate) command: String,
}

/// Processes in the order of such a key.
pub(crate) fn sorted<K: Ord>(mut processes: Vec<Process>, key: impl Fn(&Process) -> K) -> Vec<Process> {
    let mut places: Vec<usize> = (0..processes.len()).collect();
    let key_at = |at: usize| processes.get(at).map(&key);
    rows::sort(&mut places, &|one, other| key_at(one).cmp(&key_at(other)));
    places.into_iter().filter_map(|at| processes.get_mut(at).map(std::mem::take)).collect()
}

/// What a table holds.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) processes: Vec<Process>,
    /// Lines that are none of a process.
    pub(crate) unread: usize,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Pid,
    Parent,
    User,
    State,
    Cpu,
    Memory,
    Elapsed,
    Threads,
    /// What is not shown.
    Other,
}

/// Headings of procps, busybox and the BSDs.
const HEADINGS: [(&str, Field); 13] = [
    ("PID", Field::Pid),
    ("PPID", Field::Parent),
    ("EUSER", Field::User),
    ("USER", Field::User),
    ("UID", Field::User),
    ("S", Field::State),
    ("STAT", Field::State),
    ("STATE", Field::State),
    ("%CPU", Field::Cpu),
    ("RSS", Field::Memory),
    ("ELAPSED", Field::Elapsed),
    ("ETIME", Field::Elapsed),
    ("NLWP", Field::Threads),
];

/// Headings of the last column.
const COMMANDS: [&str; 3] = ["COMMAND", "CMD", "ARGS"];

/// The processes of a table. Without a heading there are none.
pub(crate) fn parse(output: &[u8]) -> Table {
    let output = String::from_utf8_lossy(output);
    let mut lines = output.lines();
    let heading: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let mut table = Table::default();
    let Some((last, named)) = heading.split_last() else { return table };
    let fields: Vec<Field> = named
        .iter()
        .map(|name| HEADINGS.iter().find(|(known, _)| known == name).map_or(Field::Other, |(_, field)| *field))
        .collect();
    if !COMMANDS.contains(last) || !fields.contains(&Field::Pid) {
        return table;
    }
    for line in lines {
        match process(&fields, line) {
            Some(process) => table.processes.push(process),
            None => table.unread += 1,
        }
    }
    table
}

fn process(fields: &[Field], line: &str) -> Option<Process> {
    let mut process = Process::default();
    let mut pid = None;
    let mut rest = line;
    for field in fields {
        let (word, behind) = word(rest)?;
        rest = behind;
        let number = || word.parse().ok();
        match field {
            Field::Pid => pid = Some(number()?),
            Field::Parent => process.parent = number(),
            Field::User => process.user = Some(word.to_owned()),
            Field::State => {
                let mut state = word.to_owned();
                // Busybox leaves a blank in it where a process with memory is nice, or the opposite.
                if let Some((mark @ ("<" | "N"), behind)) = self::word(rest) {
                    state.push_str(mark);
                    rest = behind;
                }
                process.state = Some(state);
            }
            Field::Cpu => process.cpu = tenths(word),
            Field::Memory => process.memory = memory(word),
            Field::Elapsed => process.elapsed = elapsed(word),
            Field::Threads => process.threads = number(),
            Field::Other => {}
        }
    }
    process.pid = pid?;
    process.command = rest.trim().to_owned();
    Some(process)
}

/// The next word, and what stands behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(word, _)| !word.is_empty())
}

/// `12.5` or `100`, in tenths.
fn tenths(word: &str) -> Option<u64> {
    let (whole, tenth) = word.split_once('.').unwrap_or((word, "0"));
    let tenth: u64 = tenth.get(..1)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth)
}

/// KiB, of busybox perhaps `97m` or `1.2g`, in bytes.
fn memory(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match word.strip_prefix(digits)? {
        "" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    tenths(digits)?.checked_mul(unit).map(|tenths| tenths / 10)
}

/// `[[days-]hours:]minutes:seconds`, or busybox's `5h07`, `3d04` and `120d`, in seconds.
fn elapsed(word: &str) -> Option<u64> {
    for (mark, unit, smaller) in [('h', 3600, 60), ('d', 86_400, 3600)] {
        if let Some((whole, part)) = word.split_once(mark) {
            let part = if part.is_empty() { 0 } else { number(part)? };
            return number(whole)?.checked_mul(unit)?.checked_add(part.checked_mul(smaller)?);
        }
    }
    let (days, clock) = word.split_once('-').unwrap_or(("0", word));
    let mut seconds = 0_u64;
    for part in clock.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(number(part)?)?;
    }
    let is_clock = (2..=3).contains(&clock.split(':').count());
    number(days)?.checked_mul(86_400)?.checked_add(seconds).filter(|_| is_clock)
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
#[path = "ps_tests.rs"]
mod tests;
