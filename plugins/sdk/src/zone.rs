//! A host's time zone as the last line of its `/etc/localtime` tells it: a rule of POSIX (RFC 9636 §3.3), for times of our days. Pure.
//!
//! What a zone once was stands in the rest of that file and is not read.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    standard: Period,
    /// Summer time, and when it begins and ends.
    summer: Option<(Period, Change, Change)>,
}

/// What clocks are called and what they are ahead of UTC, in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Period {
    name: String,
    offset: i64,
}

/// When clocks change, each year.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds behind the day's midnight, by the clocks before the change.
    time: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
    /// Day of the year from 1, without the 29th of February.
    Julian(i64),
    /// Day of the year from 0.
    Zero(i64),
    /// A month, which of its weeks (5 for the last) and a day of the week (0 for Sunday).
    Month(i64, i64, i64),
}

impl Zone {
    /// A rule such as `CET-1CEST,M3.5.0,M10.5.0/3` or `<-03>3`.
    #[must_use]
    pub fn parse(rule: &str) -> Option<Self> {
        let (name, rest) = name(rule)?;
        let (west, rest) = time(rest)?;
        let standard = Period { name: name.to_owned(), offset: -west };
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let (name, rest) = self::name(rest)?;
        let (offset, rest) = match time(rest) {
            Some((west, rest)) => (-west, rest),
            None => (standard.offset + 3600, rest),
        };
        let (begin, end) = rest.strip_prefix(',')?.split_once(',')?;
        let summer = Period { name: name.to_owned(), offset };
        Some(Self { standard, summer: Some((summer, Change::parse(begin)?, Change::parse(end)?)) })
    }

    /// What clocks are ahead of UTC, in seconds, when they say this name. Absent for a name of another zone or of other days.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<i64> {
        let summer = self.summer.as_ref().map(|(summer, ..)| summer);
        [Some(&self.standard), summer]
            .into_iter()
            .flatten()
            .find(|period| period.name == name)
            .map(|period| period.offset)
    }

    /// What clocks are ahead of UTC when they show a time, given as seconds since 1970 as if the zone were UTC. Of an hour that is there
    /// twice it is the first.
    #[must_use]
    pub fn offset_at(&self, local: i64) -> i64 {
        let Some((summer, begin, end)) = &self.summer else { return self.standard.offset };
        let (year, ..) = date(local.div_euclid(DAY));
        let (begin, end) = (begin.local(year), end.local(year));
        let is_summer = if begin <= end { (begin..end).contains(&local) } else { !(end..begin).contains(&local) };
        if is_summer { summer.offset } else { self.standard.offset }
    }
}

impl Change {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.split_once('/') {
            Some((day, time)) => (day, self::time(time).filter(|(_, rest)| rest.is_empty())?.0),
            None => (text, 2 * 3600),
        };
        let day = if let Some(day) = day.strip_prefix('J') {
            Day::Julian(within(day, 1, 365)?)
        } else if let Some(day) = day.strip_prefix('M') {
            let mut parts = day.split('.');
            let (month, week, weekday) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next().is_none().then_some(())?;
            Day::Month(within(month, 1, 12)?, within(week, 1, 5)?, within(weekday, 0, 6)?)
        } else {
            Day::Zero(within(day, 0, 365)?)
        };
        Some(Self { day, time })
    }

    /// In a year, as seconds since 1970 by the clocks before it.
    fn local(&self, year: i64) -> i64 {
        let first = |month| days(year, month, 1).unwrap_or(0);
        let day = match self.day {
            Day::Julian(day) => first(1) + day - 1 + i64::from(day >= 60 && days(year, 2, 29).is_some()),
            Day::Zero(day) => first(1) + day,
            Day::Month(month, week, weekday) => {
                let first = first(month);
                // 1970-01-01 was a Thursday.
                let found = first + (weekday - (first + 4)).rem_euclid(7) + 7 * (week - 1);
                let is_there = days(year, month, found - first + 1).is_some();
                if is_there { found } else { found - 7 }
            }
        };
        day * DAY + self.time
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Absent for a date that is none.
#[must_use]
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    // Years begin in March, so that a leap day ends one.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Year, month and day of days since 1970-01-01.
#[must_use]
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let (civil_month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, civil_month, day_of_year - (153 * month + 2) / 5 + 1)
}

/// A name of letters, or of anything in angle brackets, and the rest.
fn name(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('<') {
        Some(text) => text.split_once('>'),
        None => {
            let rest = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            let name = text.strip_suffix(rest).filter(|name| !name.is_empty())?;
            Some((name, rest))
        }
    }
}

/// `[+-]hh[:mm[:ss]]` in seconds, and the rest.
fn time(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == ':');
    let (mut seconds, mut unit) = (0, 3600);
    for part in text.strip_suffix(rest).filter(|time| !time.is_empty())?.split(':') {
        seconds += within(part, 0, 167)? * unit;
        unit /= 60;
    }
    Some((sign * seconds, rest))
}

fn within(text: &str, least: i64, most: i64) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
        .filter(|number| (least..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::{Zone, days};

    fn offset(rule: &str, year: i64, month: i64, day: i64, hour: i64) -> Option<i64> {
        let local = days(year, month, day)? * 86_400 + hour * 3600;
        Some(Zone::parse(rule)?.offset_at(local) / 60)
    }

    #[test]
    fn clocks_change_twice_a_year() {
        // Last lines of files of tzdata 2025b.
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        for (month, day, hour, expected) in
            [(1, 1, 0, 60), (3, 29, 1, 60), (3, 29, 3, 120), (10, 25, 2, 120), (10, 25, 3, 60), (12, 31, 23, 60)]
        {
            assert_eq!(offset(berlin, 2026, month, day, hour), Some(expected), "{month}-{day} {hour}");
        }
        let sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
        assert_eq!((offset(sydney, 2026, 1, 1, 0), offset(sydney, 2026, 7, 1, 0)), (Some(660), Some(600)));
        let (new_york, nuuk) = ("EST5EDT,M3.2.0,M11.1.0", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
        assert_eq!((offset(new_york, 2026, 3, 8, 1), offset(new_york, 2026, 3, 8, 3)), (Some(-300), Some(-240)));
        assert_eq!((offset(nuuk, 2026, 3, 28, 22), offset(nuuk, 2026, 3, 28, 23)), (Some(-120), Some(-60)));
        let dublin = "IST-1GMT0,M10.5.0,M3.5.0/1";
        assert_eq!((offset(dublin, 2026, 7, 1, 0), offset(dublin, 2026, 12, 1, 0)), (Some(60), Some(0)));
        assert_eq!(offset("<+0545>-5:45", 2026, 7, 1, 0), Some(345));
        assert_eq!(
            (offset("A0B,J60/0,300/0", 2024, 3, 1, 0), offset("A0B,J60/0,300/0", 2024, 2, 29, 0)),
            (Some(60), Some(0))
        );
    }

    #[test]
    fn names_of_clocks_are_those_of_the_zone() {
        let zone = Zone::parse("EST5EDT,M3.2.0,M11.1.0").expect("is a rule");
        assert_eq!((zone.named("EST"), zone.named("EDT"), zone.named("CET")), (Some(-18_000), Some(-14_400), None));
        assert_eq!(Zone::parse("<-03>3").and_then(|zone| zone.named("-03")), Some(-10_800));
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for bad in [
            "",
            "CET",
            "5",
            "<CET5",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M1.1.0",
            "A0B,J0,J1",
            "TZif2\0",
            "A99999",
        ] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
    }
}
