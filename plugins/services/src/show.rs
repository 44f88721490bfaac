//! Takes `systemctl show` apart: `NAME=value` lines, an empty line between units. Pure.
//!
//! `show` and not `list-units`: its form is the same since systemd 209, while the list has bullets, columns and a legend
//! that change from version to version, and no process, memory or times. Times are read as microseconds since the boot, because their
//! text names a time zone by an abbreviation that says nothing for certain; `btime` of /proc/stat, which the command adds, is when the boot was.

/// Properties of a unit, in the order of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties(Vec<(String, String)>);

/// What a command of ours said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) units: Vec<Properties>,
    /// When the host was started, in seconds since 1970.
    pub(crate) booted: Option<u64>,
}

impl Shown {
    /// The output was cut: whether the last unit is whole is not known.
    pub(crate) fn cut(&mut self) {
        self.units.pop();
    }
}

/// A unit's row. Of OpenRC, a service's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) load: Option<String>,
    pub(crate) active: Option<String>,
    pub(crate) sub: Option<String>,
    pub(crate) enabled: Option<String>,
    pub(crate) main_pid: Option<u64>,
    pub(crate) memory: Option<u64>,
    /// Since when it is in its state, in seconds since 1970.
    pub(crate) since: Option<u64>,
}

/// The most characters of a value that an answer repeats.
const MAX_VALUE: usize = 500;

impl Properties {
    /// A property's value; absent if it is empty or not told.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A number. Absent for `[not set]`, and for the largest there is, with which old versions say the same.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok().filter(|number| *number != u64::MAX)
    }

    /// A value for an answer: of bounded length.
    pub(crate) fn bounded(&self, name: &str) -> Option<String> {
        self.text(name).map(|value| scout_plugin::text::clipped(value, MAX_VALUE))
    }

    /// Words of a list.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        const MAX_WORDS: usize = 50;
        let words = self.text(name).unwrap_or_default().split_whitespace().map(|word| word.trim_matches('"'));
        words.take(MAX_WORDS).map(|word| scout_plugin::text::clipped(word, MAX_VALUE)).collect()
    }

    fn since(&self, booted: Option<u64>) -> Option<u64> {
        const MICROSECONDS: u64 = 1_000_000;
        let entered = match self.text("ActiveState")? {
            "inactive" | "failed" => "InactiveEnterTimestampMonotonic",
            "activating" => "InactiveExitTimestampMonotonic",
            "deactivating" => "ActiveExitTimestampMonotonic",
            _ => "ActiveEnterTimestampMonotonic",
        };
        let after_boot = self.number(entered).filter(|microseconds| *microseconds > 0)? / MICROSECONDS;
        booted?.checked_add(after_boot)
    }

    /// The row of a unit. Absent if the properties name none.
    pub(crate) fn unit(&self, booted: Option<u64>) -> Option<Unit> {
        Some(Unit {
            name: self.bounded("Id")?,
            // A unit without a description is described by its name.
            description: self.bounded("Description").filter(|text| Some(text.as_str()) != self.text("Id")),
            load: self.bounded("LoadState"),
            active: self.bounded("ActiveState"),
            sub: self.bounded("SubState"),
            enabled: self.bounded("UnitFileState"),
            main_pid: self.number("MainPID").filter(|pid| *pid > 0),
            memory: self.number("MemoryCurrent"),
            since: self.since(booted),
        })
    }
}

/// Units of `systemctl show`. Any text makes some; what is no property is passed over.
pub(crate) fn parse(output: &str) -> Shown {
    let mut shown = Shown::default();
    let mut unit = Properties::default();
    for line in output.lines() {
        if let Some((name, value)) = line.split_once('=')
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            unit.0.push((name.to_owned(), value.to_owned()));
        } else if let Some(time) = line.strip_prefix("btime ") {
            shown.booted = time.trim().parse().ok();
        } else if line.is_empty() {
            shown.units.push(std::mem::take(&mut unit));
        }
    }
    shown.units.push(unit);
    shown.units.retain(|unit| unit.text("Id").is_some());
    shown
}

/// Names and states of `systemctl list-unit-files`, with or without its legend. A third column of newer versions, the preset, is left.
pub(crate) fn unit_files(output: &str) -> Vec<(&str, &str)> {
    fn row(line: &str) -> Option<(&str, &str)> {
        let mut words = line.split_whitespace();
        // Some versions mark lines with a bullet.
        let name = words.find(|word| word.starts_with(|first: char| first.is_ascii()) && *word != "*")?;
        let state = words.next()?;
        let is_unit = name.rsplit_once('.').is_some_and(|(_, kind)| kind.bytes().all(|byte| byte.is_ascii_lowercase()));
        is_unit.then_some((name, state))
    }
    output.lines().filter_map(row).collect()
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
