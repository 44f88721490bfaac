//! From when until when: what a client says of it, and which files may hold it. Pure.

use scout_plugin::zone::days;

const DAY: u64 = 86_400;

/// A file is of one day of the host's clocks, which has 25 hours once a year, and its last record may be of the next one.
const FILE: u64 = 26 * 3600;

/// A point in time, absolute or before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// Seconds since 1970.
    At(u64),
    /// Seconds ago.
    Ago(u64),
}

impl Time {
    /// `15m`, `2h`, `7d`, `2026-12-01`, `2026-12-01T03:00`, `2026-12-01 03:00:00Z` or `2026-12-01T03:00:00+01:00`. Without a zone it is UTC.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let number = |digits: &str| -> Option<u64> {
            let is_number = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok())?
        };
        for (unit, seconds) in [('s', 1), ('m', 60), ('h', 3600), ('d', DAY), ('w', 7 * DAY)] {
            if let Some(count) = text.strip_suffix(unit).and_then(number) {
                return Some(Self::Ago(count * seconds));
            }
        }
        let part = |from: usize, to: usize| text.get(from..to).and_then(number);
        let is = |at: usize, known: &str| text.get(at..=at).is_some_and(|character| known.contains(character));
        let signed = |value: u64| i64::try_from(value).ok();
        let day = days(signed(part(0, 4)?)?, signed(part(5, 7)?)?, signed(part(8, 10)?)?)?;
        if !is(4, "-") || !is(7, "-") {
            return None;
        }
        let day = u64::try_from(day).ok()?.checked_mul(DAY)?;
        if text.len() == 10 {
            return Some(Self::At(day));
        }
        let (hour, minute) = (part(11, 13)?, part(14, 16)?);
        let (second, zone) = if is(16, ":") { (part(17, 19)?, text.get(19..)?) } else { (0, text.get(16..)?) };
        if !is(10, "T ") || !is(13, ":") || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let local = day + hour * 3600 + minute * 60 + second;
        let utc = match zone.as_bytes() {
            [] | b"Z" => local,
            [sign @ (b'+' | b'-'), offset @ ..] if offset.len() == 5 => {
                let offset = zone.get(1..)?.split_once(':')?;
                let offset = number(offset.0)? * 3600 + number(offset.1)? * 60;
                if *sign == b'+' { local.checked_sub(offset)? } else { local + offset }
            }
            _ => return None,
        };
        Some(Self::At(utc))
    }

    pub(crate) fn resolve(self, now: u64) -> u64 {
        match self {
            Self::At(seconds) => seconds,
            Self::Ago(seconds) => now.saturating_sub(seconds),
        }
    }
}

/// Seconds since 1970, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) since: u64,
    pub(crate) until: u64,
}

impl Span {
    /// The last day before a time, where nothing else was asked for.
    pub(crate) fn new(since: Option<u64>, until: Option<u64>, newest: u64) -> Self {
        let until = until.unwrap_or(newest.max(since.unwrap_or(0)));
        Self { since: since.unwrap_or(until.saturating_sub(DAY)), until }
    }

    pub(crate) fn holds(self, time: u64) -> bool {
        (self.since..=self.until).contains(&time)
    }

    /// Whether a file that was last written at this time may hold a record of it.
    pub(crate) fn may_be_in(self, written: u64) -> bool {
        written >= self.since && written.saturating_sub(FILE) <= self.until
    }
}

/// A file of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Seconds since 1970 at which it was last written.
    pub(crate) written: u64,
    pub(crate) path: String,
}

/// The files that `find` tells, the oldest first, and how many more are compressed.
pub(crate) fn files(output: &[u8]) -> (Vec<File>, usize) {
    let output = String::from_utf8_lossy(output);
    let (mut files, mut packed) = (Vec::new(), 0);
    for line in output.lines() {
        let Some((time, path)) = line.split_once(' ') else { continue };
        let seconds = time.split('.').next().and_then(|seconds| seconds.parse().ok());
        let Some((written, name)) = seconds.zip(path.rsplit('/').next().and_then(|name| name.strip_prefix("sa")))
        else {
            continue;
        };
        let name = name.strip_prefix('.').unwrap_or(name);
        let is_day = (name.len() == 2 || name.len() == 8) && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_day {
            files.push(File { written, path: path.to_owned() });
        } else if [".xz", ".gz", ".bz2"].iter().any(|suffix| name.ends_with(suffix)) {
            packed += 1;
        }
    }
    files.sort_by_key(|file| file.written);
    (files, packed)
}

#[cfg(test)]
mod tests {
    use super::{File, Span, Time, files};

    #[test]
    fn times_are_read_as_the_other_tools_read_them() {
        for (text, expected) in [
            ("15m", Some(Time::Ago(900))),
            ("7d", Some(Time::Ago(604_800))),
            ("2026-12-01", Some(Time::At(1_796_083_200))),
            ("2026-12-01T03:00", Some(Time::At(1_796_094_000))),
            ("2026-12-01 03:00:30Z", Some(Time::At(1_796_094_030))),
            ("2026-12-01T03:00:00+01:00", Some(Time::At(1_796_090_400))),
            ("2026-12-01T03:00:00-01:30", Some(Time::At(1_796_099_400))),
            ("", None),
            ("h", None),
            ("yesterday", None),
            ("2026-13-01", None),
            ("2026-12-01T25:00", None),
            ("2026-12-01T03:00:00+0100", None),
            ("2026-12-01X03:00", None),
            ("99999999999999999999d", None),
            ("1969-12-31", None),
            ("2026-12-0ü", None),
        ] {
            assert_eq!(Time::parse(text), expected, "{text}");
        }
        assert_eq!(Time::Ago(u64::MAX).resolve(5), 0);
    }

    #[test]
    fn only_files_that_may_hold_the_time_are_read() {
        let found = b"1796085000.5 /var/log/sysstat/sa01\n1795996800.0 /var/log/sysstat/sa30\n1793577600.1 /var/log/sysstat/sa01.xz\n\
                      1793577600.1 /var/log/sa/sa.20261102\nodd\n1 /var/log/sysstat/sar01\nx /var/log/sysstat/sa02\n";
        let (files, packed) = files(found);
        let named: Vec<_> = files.iter().map(|File { written, path }| (*written, path.as_str())).collect();
        assert_eq!(
            (named.as_slice(), packed),
            (
                &[
                    (1_793_577_600, "/var/log/sa/sa.20261102"),
                    (1_795_996_800, "/var/log/sysstat/sa30"),
                    (1_796_085_000, "/var/log/sysstat/sa01"),
                ][..],
                1
            )
        );
        let day = Span::new(None, None, 1_796_085_000);
        assert_eq!((day.since, day.until), (1_795_998_600, 1_796_085_000));
        assert!(day.may_be_in(1_796_085_000) && !day.may_be_in(1_795_996_800));
        let night = Span::new(Some(1_795_990_000), Some(1_795_993_600), 1_796_085_000);
        assert!(night.may_be_in(1_795_996_800) && night.may_be_in(1_796_085_000 - 20 * 3600));
        assert!(night.holds(1_795_993_600) && !night.holds(1_795_993_601));
        assert!(!night.may_be_in(1_796_093_600));
    }
}
