//! Points in time as engines write them. Pure.

use scout_plugin::text;
use scout_plugin::zone::days;

/// A point in time: seconds since 1970, and billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    seconds: u64,
    nanoseconds: u32,
}

impl Moment {
    /// Of `2026-12-01T00:17:40.28955Z`, `2026-12-01T01:17:40+01:00`, `2026-12-01 00:17:05 +0000 UTC` or
    /// `2026-12-01 00:17:04.608033047 +0000 UTC`. Absent before 1970: what has not happened is in the year 1.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let is = |at: usize, known: char| text.get(at..).is_some_and(|rest| rest.starts_with(known));
        let is_divided = is(4, '-') && is(7, '-') && (is(10, 'T') || is(10, ' ')) && is(13, ':') && is(16, ':');
        let day = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if !is_divided || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let rest = text.get(19..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at_checked(rest.bytes().take_while(u8::is_ascii_digit).count())?,
            None => ("", rest),
        };
        let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        let seconds = (day * 24 + hour) * 3600 + minute * 60 + second - ahead(zone)?;
        Some(Self { seconds: u64::try_from(seconds).ok()?, nanoseconds })
    }

    /// RFC 3339 in UTC, without a fraction.
    pub(crate) fn seconds(self) -> Option<String> {
        text::rfc3339(self.seconds)
    }

    /// The same with its fraction, if it has one, in nine places.
    pub(crate) fn precise(self) -> Option<String> {
        let whole = self.seconds()?;
        match self.nanoseconds {
            0 => Some(whole),
            nanoseconds => Some(format!("{}.{nanoseconds:09}Z", whole.trim_end_matches('Z'))),
        }
    }
}

/// What a zone is ahead of UTC, in seconds: `Z`, `+01:00`, ` +0100 CET`.
fn ahead(zone: &str) -> Option<i64> {
    let zone = zone.trim_start();
    let zone = zone.split(' ').next().unwrap_or(zone);
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = zone.get(1..)?.chars().filter(|character| *character != ':').collect();
    let is_offset = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = |from: usize, to: usize| -> Option<i64> { digits.get(from..to)?.parse().ok() };
    is_offset.then(|| Some(sign * (number(0, 2)? * 3600 + number(2, 4)? * 60)))?
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn times_of_all_engines_are_read_in_utc() {
        for (text, expected) in [
            ("2026-12-01T00:17:40.289551320Z", Some("2026-12-01T00:17:40.289551320Z")),
            ("2026-12-01T00:17:40.5Z", Some("2026-12-01T00:17:40.500000000Z")),
            ("2026-12-01T01:17:40+01:00", Some("2026-12-01T00:17:40Z")),
            ("2026-11-30 19:17:05 -0500 EST", Some("2026-12-01T00:17:05Z")),
            ("2026-12-01 00:17:04.608033047 +0000 UTC", Some("2026-12-01T00:17:04.608033047Z")),
            ("0001-01-01 00:00:00 +0000 UTC", None),
            ("2026-13-01T00:17:40Z", None),
            ("2026-12-01T24:17:40Z", None),
            ("2026-12-01T00:17:40", None),
            ("2026-12-01T00:17:40+1", None),
            ("2026-12-01Tüü:17:40Z", None),
            ("2026-12-01T00:17:40.Z", Some("2026-12-01T00:17:40Z")),
            ("", None),
        ] {
            assert_eq!(Moment::parse(text).and_then(Moment::precise).as_deref(), expected, "{text}");
        }
        assert!(Moment::parse("2026-12-01T00:17:40.9Z") > Moment::parse("2026-12-01T00:17:40.10Z"));
    }
}
