//! Takes the table of `df -P` apart, and the list of `mount`. Pure.
//!
//! Knows the output of GNU coreutils, busybox and the BSDs. Words of the heading are not looked at: the remote account may
//! have any language. Columns are not looked at either: each is as wide as it needs to be, and names may hold blanks. A row is
//! known by its four figures in a row, the last with `%`, and a mount point behind them.

/// One line of `df`, figures in the units of the command: blocks or inodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) filesystem: Vec<u8>,
    /// Its type, if the command was asked for it and knows.
    pub(crate) kind: Option<String>,
    pub(crate) figures: Figures,
    /// The inodes of a BSD, which prints them in the same line.
    pub(crate) inodes: Option<Figures>,
    pub(crate) mount_point: Vec<u8>,
}

/// What there is, in use and free. A figure that `df` prints as `-` is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) total: Option<u64>,
    pub(crate) used: Option<u64>,
    /// What an ordinary account may still use; zero where even more than that is gone.
    pub(crate) available: Option<u64>,
}

impl Figures {
    /// How much of what an ordinary account may use is in use, rounded up: programs round in several ways.
    pub(crate) fn percent(self) -> Option<u64> {
        let (used, available) = (u128::from(self.used?), u128::from(self.available?));
        let all = used + available;
        u64::try_from((used * 100).div_ceil(if all == 0 { return None } else { all })).ok()
    }
}

/// What a table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// Lines that are no rows and belong to none.
    pub(crate) unread: u64,
}

impl Table {
    /// The output was cut behind these rows: whether the last is whole is not known.
    pub(crate) fn cut(&mut self) {
        self.rows.pop();
    }
}

/// Rows of `df -P`, or of `df -P -T` if `typed`. Any bytes make a table.
///
/// busybox writes a line end inside a name as it is: what follows a row and is none is the rest of its mount point. A line that is
/// no row, in front of one that begins with blanks, is a long name that was given a line of its own.
pub(crate) fn parse(output: &[u8], typed: bool) -> Table {
    let mut table = Table::default();
    // The line in front, as long as it may still be the first half of a row.
    let mut half: Option<&[u8]> = None;
    let mut lines = output.strip_suffix(b"\n").unwrap_or(output).split(|byte| *byte == b'\n');
    let heading = lines.next().unwrap_or_default();
    for line in lines.filter(|line| line.is_empty() || *line != heading) {
        let joined = half.filter(|_| line.starts_with(b" ")).map(|half| [half, line].concat());
        if let Some(row) = joined.as_deref().and_then(|joined| row(joined, typed)) {
            // Until now the first half was the rest of the row in front.
            match table.rows.last_mut() {
                Some(last) => last.mount_point.truncate(last.mount_point.len() - half.map_or(0, <[u8]>::len) - 1),
                None => table.unread -= 1,
            }
            table.rows.push(row);
            half = None;
        } else if let Some(row) = row(line, typed) {
            table.rows.push(row);
            half = None;
        } else {
            match table.rows.last_mut() {
                Some(last) => {
                    last.mount_point.push(b'\n');
                    last.mount_point.extend_from_slice(line);
                }
                None => table.unread += 1,
            }
            half = (!line.is_empty()).then_some(line);
        }
    }
    table
}

/// A word of a line: where it begins and ends.
type Word = (usize, usize);

fn row(line: &[u8], typed: bool) -> Option<Row> {
    let words = words(line);
    let text = |word: &Word| line.get(word.0..word.1).unwrap_or_default();
    let named = if typed { 2 } else { 1 };
    for at in named..words.len() {
        let Some(figures) = figures(words.get(at..at + 4)?, text) else { continue };
        let mut rest = at + 4;
        let inodes = words.get(rest..rest + 3).and_then(|three| inodes(three, text));
        if inodes.is_some() {
            rest += 3;
        }
        let mount_point = line.get(words.get(rest)?.0..)?;
        // Where `df` does not know it, it prints a dash.
        if !mount_point.starts_with(b"/") && mount_point != b"-" {
            continue;
        }
        let kind = if typed { words.get(at - 1) } else { None };
        let name_end = words.get(at - named)?.1;
        return Some(Row {
            filesystem: line.get(words.first()?.0..name_end)?.to_vec(),
            kind: kind.map(|word| String::from_utf8_lossy(text(word)).into_owned()).filter(|kind| kind != "-"),
            figures,
            inodes,
            mount_point: mount_point.to_vec(),
        });
    }
    None
}

fn words(line: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in line.iter().enumerate() {
        match (byte, start) {
            (b' ' | b'\t', Some(begun)) => {
                words.push((begun, at));
                start = None;
            }
            (b' ' | b'\t', None) | (_, Some(_)) => {}
            (_, None) => start = Some(at),
        }
    }
    words.extend(start.map(|begun| (begun, line.len())));
    words
}

/// Total, used, available, percent.
fn figures<'a>(words: &[Word], text: impl Fn(&Word) -> &'a [u8]) -> Option<Figures> {
    let [total, used, available, percent] = words else { return None };
    Some(Figures { total: figure(text(total))?, used: figure(text(used))?, available: figure(text(available))? })
        .filter(|_| share(text(percent)).is_some())
}

/// Used, free, percent, as the BSDs print them behind the blocks.
fn inodes<'a>(words: &[Word], text: impl Fn(&Word) -> &'a [u8]) -> Option<Figures> {
    let [used, free, percent] = words else { return None };
    let (used, free) = (figure(text(used))?, figure(text(free))?);
    let total = used.zip(free).map(|(used, free)| used.saturating_add(free));
    share(text(percent)).map(|_| Figures { total, used, available: free })
}

/// A number, or a dash. One below zero is zero: the blocks kept for root are used as well. One that is too large is not known.
fn figure(word: &[u8]) -> Option<Option<u64>> {
    if word == b"-" {
        return Some(None);
    }
    let (below_zero, digits) = match word.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    Some(if below_zero { Some(0) } else { number })
}

/// A number with `%`, or a dash.
fn share(word: &[u8]) -> Option<Option<u64>> {
    if word == b"-" { Some(None) } else { figure(word.strip_suffix(b"%")?) }
}

/// The types of what is mounted, by mount point, out of what a BSD's `mount` prints: `/dev/disk1s1 on / (apfs, local)`, or
/// `/dev/wd0a on / type ffs (local)`.
pub(crate) fn mounted(output: &[u8]) -> Vec<(Vec<u8>, String)> {
    let lines = output.split(|byte| *byte == b'\n');
    lines.filter_map(|line| mount(line).map(|(point, kind)| (point.to_vec(), kind))).collect()
}

fn mount(line: &[u8]) -> Option<(&[u8], String)> {
    const ON: &[u8] = b" on /";
    const TYPE: &[u8] = b" type ";
    let start = line.windows(ON.len()).position(|window| window == ON)? + ON.len() - 1;
    let options = line.iter().rposition(|byte| *byte == b'(')?;
    let point = line.get(start..options)?;
    let point = point.strip_suffix(b" ").unwrap_or(point);
    let (point, kind) = match point.windows(TYPE.len()).rposition(|window| window == TYPE) {
        Some(end) => (point.get(..end)?, point.get(end + TYPE.len()..)?),
        None => (point, line.get(options + 1..)?.split(|byte| matches!(byte, b',' | b')')).next()?),
    };
    Some((point, String::from_utf8_lossy(kind).into_owned()))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
