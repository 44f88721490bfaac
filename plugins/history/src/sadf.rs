//! What `sadf -d -U` tells of a file of records: tables of values with semicolons between them, each under the names of its columns. Pure.
//!
//! Of its forms this is the smallest, a sixth of its JSON, and its beginning can be read where the end is cut off: a day of records each
//! minute fits into what Scout takes from a command. What a version does not record has no column.

use scout_plugin::rows::{Cell, Row};
use scout_plugin::text;

use crate::What;
use crate::span::Span;

const KIB: f64 = 1024.0;
/// Bytes of what sysstat calls a block and a sector.
const BLOCK: f64 = 512.0;

/// What is asked of a file.
pub(crate) fn words(what: What, file: &str) -> Vec<&str> {
    let mut words = vec!["sadf", "-d", "-U", file, "--"];
    words.extend_from_slice(match what {
        What::Machine => &["-u", "-r", "-S", "-q", "-b"],
        What::Disks => &["-d"],
        What::Network => &["-n", "DEV"],
    });
    words
}

/// What the machine did in one interval. Amounts are bytes, rates are of a second, shares are tenths of a percent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) time: u64,
    interval: Option<u64>,
    cpu: Option<u64>,
    user: Option<u64>,
    system: Option<u64>,
    iowait: Option<u64>,
    steal: Option<u64>,
    /// Tenths, over one, five and fifteen minutes.
    load: [Option<u64>; 3],
    memory: Option<u64>,
    available: Option<u64>,
    swap: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    runnable: Option<u64>,
    blocked: Option<u64>,
}

/// What was recorded.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) machine: Vec<Machine>,
    /// Of disks or interfaces, with their times.
    pub(crate) rows: Vec<(u64, Row)>,
    /// When the machine was started.
    pub(crate) restarts: Vec<u64>,
    /// Lines that could not be read.
    pub(crate) unread: usize,
}

/// A line under the names of its columns.
struct Line<'a> {
    names: &'a [&'a str],
    values: &'a [&'a str],
}

impl Line<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.names.iter().zip(self.values).find(|(known, _)| **known == name).map(|(_, value)| *value)
    }

    /// A value times something, as a whole number.
    fn times(&self, name: &str, factor: f64) -> Option<u64> {
        const MOST: f64 = 9.0e18;
        let number = (self.text(name)?.parse::<f64>().ok()? * factor).round();
        // In this range the conversion is exact.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is held to be in range")]
        (0.0..MOST).contains(&number).then_some(number as u64)
    }

    fn tenths(&self, name: &str) -> Option<u64> {
        self.times(name, 10.0)
    }
}

impl Records {
    /// Takes what one file tells of a time.
    pub(crate) fn add(&mut self, what: What, span: Span, output: &[u8]) {
        let output = String::from_utf8_lossy(output);
        let mut names: Vec<&str> = Vec::new();
        for line in output.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(heading) = line.strip_prefix("# ") {
                names = heading.split(';').collect();
                continue;
            }
            let values: Vec<&str> = line.split(';').collect();
            let time = values.get(2).and_then(|time| time.parse::<u64>().ok());
            match time {
                Some(time) if line.contains("LINUX-RESTART") => {
                    if span.holds(time) && !self.restarts.contains(&time) {
                        self.restarts.push(time);
                    }
                }
                Some(time) if values.len() == names.len() => {
                    if span.holds(time) {
                        self.line(what, time, &Line { names: &names, values: &values });
                    }
                }
                _ => self.unread += 1,
            }
        }
    }

    fn line(&mut self, what: What, time: u64, line: &Line<'_>) {
        match what {
            What::Machine => self.at(time).add(line),
            What::Disks => {
                let rate = |kib: &str, sectors: &str| line.times(kib, KIB).or_else(|| line.times(sectors, BLOCK));
                let row = vec![
                    Cell::text(text::rfc3339(time).as_deref()),
                    Cell::text(line.text("DEV")),
                    Cell::number(line.tenths("tps")),
                    Cell::number(rate("rkB/s", "rd_sec/s")),
                    Cell::number(rate("wkB/s", "wr_sec/s")),
                    Cell::number(line.tenths("await")),
                    Cell::number(line.tenths("%util")),
                    Cell::number(line.times("interval", 1.0)),
                ];
                self.rows.push((time, row));
            }
            What::Network => {
                let row = vec![
                    Cell::text(text::rfc3339(time).as_deref()),
                    Cell::text(line.text("IFACE")),
                    Cell::number(line.times("rxkB/s", KIB)),
                    Cell::number(line.times("txkB/s", KIB)),
                    Cell::number(line.tenths("rxpck/s")),
                    Cell::number(line.tenths("txpck/s")),
                    Cell::number(line.tenths("%ifutil")),
                    Cell::number(line.times("interval", 1.0)),
                ];
                self.rows.push((time, row));
            }
        }
    }

    /// The interval that ended at a time. Each table tells them in their order.
    fn at(&mut self, time: u64) -> &mut Machine {
        let at = self.machine.partition_point(|machine| machine.time < time);
        if self.machine.get(at).is_none_or(|machine| machine.time != time) {
            self.machine.insert(at, Machine { time, ..Machine::default() });
        }
        #[expect(clippy::indexing_slicing, reason = "it stands there now")]
        &mut self.machine[at]
    }

    /// The rows in the order of time.
    pub(crate) fn into_rows(mut self) -> Vec<Row> {
        if !self.machine.is_empty() {
            return self.machine.iter().map(Machine::row).collect();
        }
        self.rows.sort_by_key(|(time, _)| *time);
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

impl Machine {
    fn add(&mut self, line: &Line<'_>) {
        let take = |known: &mut Option<u64>, value: Option<u64>| *known = known.or(value);
        take(&mut self.interval, line.times("interval", 1.0));
        take(&mut self.cpu, line.tenths("%idle").and_then(|idle| 1000_u64.checked_sub(idle)));
        take(&mut self.user, line.tenths("%user"));
        take(&mut self.system, line.tenths("%system"));
        take(&mut self.iowait, line.tenths("%iowait"));
        take(&mut self.steal, line.tenths("%steal"));
        for (load, name) in self.load.iter_mut().zip(["ldavg-1", "ldavg-5", "ldavg-15"]) {
            take(load, line.tenths(name));
        }
        take(&mut self.memory, line.times("kbmemused", KIB));
        take(&mut self.available, line.times("kbavail", KIB));
        take(&mut self.swap, line.times("kbswpused", KIB));
        take(&mut self.read, line.times("bread/s", BLOCK));
        take(&mut self.written, line.times("bwrtn/s", BLOCK));
        take(&mut self.runnable, line.times("runq-sz", 1.0));
        take(&mut self.blocked, line.times("blocked", 1.0));
    }

    /// In the columns of [`crate::schema::shape`].
    fn row(&self) -> Row {
        let [load1, load5, load15] = self.load;
        let mut row = vec![Cell::text(text::rfc3339(self.time).as_deref())];
        let values = [
            self.cpu,
            self.user,
            self.system,
            self.iowait,
            self.steal,
            load1,
            load5,
            load15,
            self.memory,
            self.available,
            self.swap,
            self.read,
            self.written,
            self.runnable,
            self.blocked,
            self.interval,
        ];
        row.extend(values.into_iter().map(Cell::number));
        row
    }
}

#[cfg(test)]
#[path = "sadf_tests.rs"]
mod tests;
