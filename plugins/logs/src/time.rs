//! Times: of entries, and those that are asked for. Pure: what the time is now, and in which zone, the host said.
//!
//! A point in time is microseconds since 1970 UTC. A local time is the same count as if the host's zone were UTC.

use scout_plugin::zone::{Zone, date, days};

/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The host's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Now.
    pub(crate) now: i64,
    /// What local time is ahead of UTC now.
    pub(crate) offset: i64,
    /// What it is ahead at other times; absent where the host does not tell.
    pub(crate) zone: Option<Zone>,
}

/// A time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// With its zone.
    Instant(i64),
    /// In the host's zone.
    Local(i64),
    /// Before now.
    Ago(i64),
}

impl Clock {
    /// What `date +'%s %z'` prints, as `1700000000 +0100`, and behind it perhaps the rule of the zone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (seconds, zone) = text.trim().split_once(' ')?;
        let now = seconds.parse::<u32>().ok().map(|seconds| i64::from(seconds) * SECOND)?;
        let (offset, rest) = zone_offset(zone)?;
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        // A login may have a zone of its own, of which the file says nothing.
        let zone =
            Zone::parse(rest.trim_start()).filter(|zone| zone.offset_at((now + offset) / SECOND) * SECOND == offset);
        Some(Self { now, offset, zone })
    }

    /// The point in time that is meant.
    pub(crate) fn resolve(&self, written: Written) -> i64 {
        match written {
            Written::Instant(instant) => instant,
            Written::Local(local) => {
                let zone = self.zone.as_ref().map(|zone| zone.offset_at(local.div_euclid(SECOND)) * SECOND);
                local - zone.unwrap_or(self.offset)
            }
            Written::Ago(ago) => self.now - ago,
        }
    }

    /// The local time of the latest such day and time that is not in the future, but for a day: clocks differ. RFC 3164 writes no year.
    pub(crate) fn latest(&self, month: i64, day: i64, time: i64) -> Option<i64> {
        /// Between two 29ths of February there are at most eight years.
        const YEARS: i64 = 9;
        let now = self.now + self.offset;
        let (year, _, _) = date(now.div_euclid(DAY));
        // On New Year's Eve an entry may already be of the next year.
        let candidates = (0..YEARS + 1).map(|back| year + 1 - back);
        candidates
            .filter_map(|year| days(year, month, day))
            .map(|days| days * DAY + time)
            .find(|local| *local <= now + DAY)
    }
}

/// RFC 3339 in UTC, with as many places as say something. Absent before 1970 and after 9999.
pub(crate) fn rfc3339(instant: i64) -> Option<String> {
    let seconds = scout_plugin::text::rfc3339(u64::try_from(instant.div_euclid(SECOND)).ok()?)?;
    Some(match instant.rem_euclid(SECOND) {
        0 => seconds,
        fraction if fraction % 1000 == 0 => format!("{}.{:03}Z", seconds.trim_end_matches('Z'), fraction / 1000),
        fraction => format!("{}.{fraction:06}Z", seconds.trim_end_matches('Z')),
    })
}

/// A local time as journalctl reads it.
pub(crate) fn local_text(local: i64) -> String {
    let (year, month, day) = date(local.div_euclid(DAY));
    let second = local.rem_euclid(DAY) / SECOND;
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}");
    match local.rem_euclid(SECOND) {
        0 => text,
        fraction => format!("{text}.{fraction:06}"),
    }
}

/// What a tool is asked with: `15m`, `2026-11-21`, `2026-11-21 12:00[:05]`, or RFC 3339.
pub(crate) fn asked(text: &str) -> Option<Written> {
    if let Some((number, unit)) = text.split_at_checked(text.len().checked_sub(1)?)
        && let Ok(number) = number.parse::<u32>()
    {
        let unit = match unit {
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            _ => return None,
        };
        return Some(Written::Ago(i64::from(number).checked_mul(unit)?));
    }
    if let Some((days, "")) = iso_date(text) {
        return Some(Written::Local(days * DAY));
    }
    iso(text).and_then(|(written, rest)| rest.is_empty().then_some(written))
}

/// A time of ISO 8601 at the beginning of a text, and the rest: date and time with `T` or a blank between, perhaps a fraction after
/// `.` or `,`, perhaps a zone.
pub(crate) fn iso(text: &str) -> Option<(Written, &str)> {
    let (days, rest) = iso_date(text)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (mut local, mut rest) = hours_minutes(rest)?;
    if let Some(seconds) = rest.strip_prefix(':') {
        let (second, after) = number(seconds, 2)?;
        // A leap second is the last one of its minute.
        local += if second <= 60 { second.min(59) * SECOND } else { return None };
        let (fraction, after) = fraction(after);
        local += fraction;
        rest = after;
    }
    local += days * DAY;
    match zone_offset(rest) {
        Some((offset, rest)) => Some((Written::Instant(local - offset), rest)),
        None => Some((Written::Local(local), rest)),
    }
}

/// A time of RFC 3164 at the beginning of a text, as `Nov  1 12:00:05`, and the rest. The year is what the clock says.
pub(crate) fn rfc3164<'a>(text: &'a str, clock: &Clock) -> Option<(i64, &'a str)> {
    const MONTHS: [&str; 12] =
        ["Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ", "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec "];
    let month = MONTHS.iter().position(|name| text.starts_with(name))?;
    let rest = text.get(4..)?.trim_start_matches(' ');
    let (day, rest) = number(rest, 2).or_else(|| number(rest, 1))?;
    let (minutes, rest) = hours_minutes(rest.strip_prefix(' ')?)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    if second > 60 {
        return None;
    }
    let (fraction, rest) = fraction(rest);
    let time = minutes + second.min(59) * SECOND + fraction;
    let local = clock.latest(i64::try_from(month).ok()? + 1, day, time)?;
    Some((clock.resolve(Written::Local(local)), rest))
}

fn iso_date(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    Some((days(year, month, day)?, rest))
}

fn hours_minutes(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    (hour < 24 && minute < 60).then_some((hour * HOUR + minute * MINUTE, rest))
}

/// Behind the seconds: microseconds, of as many places as there are.
fn fraction(text: &str) -> (i64, &str) {
    let Some(places) = text.strip_prefix(['.', ',']) else { return (0, text) };
    let rest = places.trim_start_matches(|place: char| place.is_ascii_digit());
    let digits = places.get(..places.len() - rest.len()).unwrap_or_default();
    if digits.is_empty() {
        return (0, text);
    }
    let microseconds = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    (microseconds.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')), rest)
}

/// `Z`, `+01:00`, `+0100` or `+01`.
fn zone_offset(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, rest) = number(text.get(1..)?, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':').unwrap_or(rest), 2).unwrap_or((0, rest));
    (hours < 24 && minutes < 60).then_some((sign * (hours * HOUR + minutes * MINUTE), rest))
}

/// So many digits.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let plain = number.bytes().all(|digit| digit.is_ascii_digit());
    Some((plain.then(|| number.parse().ok())??, rest))
}

#[cfg(test)]
mod tests {
    use super::{Clock, Written, asked, iso, local_text, rfc3164, rfc3339};

    /// 2026-01-01 00:30 in a zone two hours ahead.
    const NEW_YEAR: Clock = Clock { now: 1_767_220_200_000_000, offset: 7_200_000_000, zone: None };

    fn said(clock: &Clock, text: &str) -> Option<String> {
        rfc3164(text, clock).and_then(|(instant, _)| rfc3339(instant))
    }

    #[test]
    fn the_clock_is_what_date_prints() {
        assert_eq!(Clock::parse("1767220200 +0200\n"), Some(NEW_YEAR));
        assert_eq!(Clock::parse("1 -0330"), Some(Clock { now: 1_000_000, offset: -12_600_000_000, zone: None }));
        for bad in ["", "1", "%s %z", "x +0000", "1 CET", "1 +01000", "-1 +0000", "99999999999 +0000"] {
            assert_eq!(Clock::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn local_times_are_of_the_zone_as_it_was_then() {
        let november = |text: &str| Clock::parse(text).expect("is a clock");
        let summer = || Written::Local(1_785_585_600_000_000);
        let berlin = november("1795260015 +0100 CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(rfc3339(berlin.resolve(summer())).as_deref(), Some("2026-08-01T10:00:00Z"));
        // Without a rule, with one that does not fit, and with what is none, in the present offset.
        for clock in ["1795260015 +0100", "1795260015 +0100 EST5EDT,M3.2.0,M11.1.0", "1795260015 +0100 TZif2"] {
            assert_eq!(rfc3339(november(clock).resolve(summer())).as_deref(), Some("2026-08-01T11:00:00Z"), "{clock}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_the_latest_that_is_not_in_the_future() {
        assert_eq!(said(&NEW_YEAR, "Jan  1 00:29:59 box"), Some("2025-12-31T22:29:59Z".to_owned()));
        assert_eq!(said(&NEW_YEAR, "Dec 31 23:59:59 box"), Some("2025-12-31T21:59:59Z".to_owned()));
        assert_eq!(said(&NEW_YEAR, "Mar  3 12:00:00.25"), Some("2025-03-03T10:00:00.250Z".to_owned()));
        // The clock of who wrote it may be ahead by less than a day.
        assert_eq!(said(&NEW_YEAR, "Jan  1 23:00:00"), Some("2026-01-01T21:00:00Z".to_owned()));
        assert_eq!(said(&NEW_YEAR, "Jan  3 00:00:00"), Some("2025-01-02T22:00:00Z".to_owned()));
        assert_eq!(said(&NEW_YEAR, "Feb 29 00:00:00"), Some("2024-02-28T22:00:00Z".to_owned()));
        let eve = Clock { now: NEW_YEAR.now - 3_600_000_000, ..NEW_YEAR };
        assert_eq!(said(&eve, "Jan  1 00:10:00"), Some("2025-12-31T22:10:00Z".to_owned()));
    }

    #[test]
    fn what_is_no_time_of_rfc_3164_is_none() {
        for bad in [
            "",
            "Jan",
            "Jan 32 00:00:00",
            "Feb 30 00:00:00",
            "jan  1 00:00:00",
            "Jan  1 24:00:00",
            "Jan  1 00:00:61",
            "Jan 1 0:00:00",
            "Jän 1 00:00:00",
        ] {
            assert_eq!(rfc3164(bad, &NEW_YEAR), None, "{bad}");
        }
    }

    #[test]
    fn iso_times_are_read_with_and_without_zone() {
        for (text, expected, rest) in [
            ("2026-11-21T12:20:15.613062+01:00 x", Written::Instant(1_795_260_015_613_062), " x"),
            ("2026-11-21T12:20:15+0100", Written::Instant(1_795_260_015_000_000), ""),
            ("2026-11-21T11:20:15Z", Written::Instant(1_795_260_015_000_000), ""),
            ("2026-11-21 11:20:15,25 INFO", Written::Local(1_795_260_015_250_000), " INFO"),
            ("2026-11-21 11:20 -", Written::Local(1_795_260_000_000_000), " -"),
            ("2016-12-31T23:59:60.5Z", Written::Instant(1_483_228_799_500_000), ""),
            ("2026-11-21T11:20:15.1234567890123Z", Written::Instant(1_795_260_015_123_456), ""),
        ] {
            assert_eq!(iso(text), Some((expected, rest)), "{text}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-13-01T00:00:00Z",
            "2026-11-21T25:00:00",
            "20261121T000000",
            "2026-11-21X00:00",
            "２026-11-21T00:00",
        ] {
            assert_eq!(iso(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_is_an_age_a_date_or_a_time() {
        assert_eq!(asked("90m"), Some(Written::Ago(5_400_000_000)));
        assert_eq!(asked("2w"), Some(Written::Ago(1_209_600_000_000)));
        assert_eq!(asked("2026-11-21"), Some(Written::Local(1_795_219_200_000_000)));
        assert_eq!(asked("2026-11-21T00:00:00+01:00"), Some(Written::Instant(1_795_215_600_000_000)));
        for bad in ["", "m", "5y", "-5m", "yesterday", "99999999999s", "2026-11-21 x", "2026-11-21T00:00:00Zx", "ü"] {
            assert_eq!(asked(bad), None, "{bad}");
        }
        assert_eq!(local_text(1_795_219_205_000_000), "2026-11-21 00:00:05");
        assert_eq!(local_text(1_795_219_205_000_020), "2026-11-21 00:00:05.000020");
    }
}
