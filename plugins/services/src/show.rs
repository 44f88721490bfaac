//! Takes `systemctl show` apart: `NAME=value` lines, an empty line between units. Pure.
//!
//! `show` and not `list-units`: its form is the same since systemd 209, while the list has bullets, columns and a legend
//! that change from version to version, and no process, memory or times. Times are those of the clock when they happened: those since the boot
//! do not count suspends, and the time of the boot moves with the clock. From systemd 247 on they are asked for in UTC and microseconds; older
//! ones name a zone by an abbreviation, which the rule of the host's zone tells, the last line of its file that the command adds.

use scout_plugin::zone::{Zone, days};

/// Properties of a unit, in the order of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties(Vec<(String, String)>);

/// What a command of ours said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) units: Vec<Properties>,
    /// The host's zone, where it was asked for.
    pub(crate) zone: Option<Zone>,
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
    /// All its names, with aliases, where they were asked for.
    pub(crate) names: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) load: Option<String>,
    pub(crate) active: Option<String>,
    pub(crate) sub: Option<String>,
    pub(crate) enabled: Option<String>,
    pub(crate) main_pid: Option<u64>,
    pub(crate) memory: Option<u64>,
    /// Since when it is in its state, as RFC 3339.
    pub(crate) since: Option<String>,
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
        let words = unquoted(self.text(name).unwrap_or_default());
        words.into_iter().take(MAX_WORDS).map(|word| scout_plugin::text::clipped(&word, MAX_VALUE)).collect()
    }

    fn since(&self, zone: Option<&Zone>) -> Option<String> {
        let entered = match self.text("ActiveState")? {
            "inactive" | "failed" => "InactiveEnterTimestamp",
            "activating" => "InactiveExitTimestamp",
            "deactivating" => "ActiveExitTimestamp",
            _ => "ActiveEnterTimestamp",
        };
        time(self.text(entered)?, zone)
    }

    /// The row of a unit. Absent if the properties name none.
    pub(crate) fn unit(&self, zone: Option<&Zone>) -> Option<Unit> {
        Some(Unit {
            name: self.bounded("Id")?,
            names: self.words("Names"),
            // A unit without a description is described by its name.
            description: self.bounded("Description").filter(|text| Some(text.as_str()) != self.text("Id")),
            load: self.bounded("LoadState"),
            active: self.bounded("ActiveState"),
            sub: self.bounded("SubState"),
            enabled: self.bounded("UnitFileState"),
            main_pid: self.number("MainPID").filter(|pid| *pid > 0),
            memory: self.number("MemoryCurrent"),
            since: self.since(zone),
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
        } else if line.is_empty() {
            shown.units.push(std::mem::take(&mut unit));
        } else if let Some(zone) = Zone::parse(line) {
            shown.zone = Some(zone);
        }
    }
    shown.units.push(unit);
    shown.units.retain(|unit| unit.text("Id").is_some());
    shown
}

/// A time as `Sat 2026-11-21 11:20:15.136629 UTC`, as RFC 3339. Absent for one whose zone is not known.
fn time(text: &str, zone: Option<&Zone>) -> Option<String> {
    const DAY: i64 = 86_400;
    let mut words =
        text.split_ascii_whitespace().skip_while(|word| !word.starts_with(|first: char| first.is_ascii_digit()));
    let (date, time, name) = (words.next()?, words.next()?, words.next()?);
    let offset = match name {
        "UTC" | "GMT" => 0,
        name => zone?.named(name)?,
    };
    let mut date = date.split('-').map(|part| part.parse::<u16>().ok().map(i64::from));
    let days = days(date.next()??, date.next()??, date.next()??)?;
    let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    let mut time = time.split(':').map(|part| part.parse::<u16>().ok().map(i64::from));
    let seconds = time.next()?? * 3600 + time.next()?? * 60 + time.next()??;
    let known = (0..=DAY).contains(&seconds)
        && fraction.is_none_or(|fraction| fraction.bytes().all(|digit| digit.is_ascii_digit()));
    let text = scout_plugin::text::rfc3339(u64::try_from(days * DAY + seconds - offset).ok().filter(|_| known)?)?;
    Some(match fraction {
        Some(fraction) => format!("{}.{fraction}Z", text.trim_end_matches('Z')),
        None => text,
    })
}

/// Words of a list as systemctl writes them. One with anything special in it stands in double quotes, with backslashes as in C
/// (`shell_maybe_quote`); in any other a backslash is one.
fn unquoted(list: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = list.trim_start_matches(' ').as_bytes();
    while let Some(first) = rest.first() {
        let is_quoted = *first == b'"';
        if is_quoted {
            rest = rest.get(1..).unwrap_or_default();
        }
        let mut word = Vec::new();
        loop {
            match rest {
                [] => break,
                [b'"', after @ ..] if is_quoted => {
                    rest = after;
                    break;
                }
                [b' ', ..] if !is_quoted => break,
                [b'\\', after @ ..] if is_quoted => {
                    let (byte, after) = escaped(after);
                    word.push(byte);
                    rest = after;
                }
                [byte, after @ ..] => {
                    word.push(*byte);
                    rest = after;
                }
            }
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
    }
    words
}

/// What stands behind a backslash, and the rest. A backslash that begins nothing known is one.
fn escaped(rest: &[u8]) -> (u8, &[u8]) {
    let digits = |from: usize, count: usize, radix| {
        let digits = std::str::from_utf8(rest.get(from..from + count)?).ok()?;
        let is_plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        Some((u8::from_str_radix(digits, radix).ok().filter(|_| is_plain)?, rest.get(from + count..)?))
    };
    let found = match rest.first() {
        Some(b'x') => digits(1, 2, 16),
        Some(b'0'..=b'7') => digits(0, 3, 8),
        Some(letter) => {
            let byte = match letter {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'a' => 7,
                b'b' => 8,
                b'v' => 11,
                b'f' => 12,
                letter => *letter,
            };
            rest.get(1..).map(|after| (byte, after))
        }
        None => None,
    };
    found.unwrap_or((b'\\', rest))
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
