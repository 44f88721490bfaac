//! Amounts as engines write them for people. Pure.

/// Units of bytes, in powers of 1000 and of 1024.
const UNITS: [(&str, f64); 13] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("PB", 1e15),
    ("KiB", 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
    ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
    ("PiB", 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0),
    ("b", 1.0),
];

/// Bytes of `1.98MB`, `1.99 MB`, `728KiB` or `1e+03kB`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, factor) = UNITS.iter().rev().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?.trim_end();
        number.ends_with(|last: char| last.is_ascii_digit()).then_some((number, factor))
    })?;
    whole(number.parse::<f64>().ok()? * factor)
}

/// Both of `728KiB / 23.54GiB`; absent what is not told (`--`).
pub(crate) fn amounts(text: &str) -> [Option<u64>; 2] {
    let (one, other) = text.split_once('/').unwrap_or((text, ""));
    [bytes(one), bytes(other)]
}

/// Tenths of `11.06%`.
pub(crate) fn tenths(text: &str) -> Option<u64> {
    whole(text.trim().strip_suffix('%')?.parse::<f64>().ok()? * 10.0)
}

/// The nearest whole number, if there is one that fits.
fn whole(number: f64) -> Option<u64> {
    const MOST: f64 = 9.0e18;
    let number = number.round();
    // In this range the conversion is exact.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is held to be in range")]
    (0.0..MOST).contains(&number).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::{amounts, bytes, tenths};

    #[test]
    fn amounts_are_read_in_all_their_units() {
        for (text, expected) in [
            ("0B", Some(0)),
            ("1.98MB", Some(1_980_000)),
            ("1.99 MB", Some(1_990_000)),
            ("1e+03kB", Some(1_000_000)),
            ("728KiB", Some(745_472)),
            ("23.54GiB", Some(25_275_882_537)),
            ("688.1kB", Some(688_100)),
            ("2TB", Some(2_000_000_000_000)),
            ("", None),
            ("MB", None),
            ("--", None),
            ("-1MB", None),
            ("nanB", None),
            ("infB", None),
            ("1e300TB", None),
            ("1.5XB", None),
            ("5", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        assert_eq!(amounts("728KiB / 1GiB"), [Some(745_472), Some(1 << 30)]);
        assert_eq!(amounts("-- / --"), [None, None]);
        assert_eq!(amounts(""), [None, None]);
        assert_eq!((tenths("11.06%"), tenths("0.00%"), tenths("250.0%")), (Some(111), Some(0), Some(2500)));
        assert_eq!((tenths("--"), tenths("NaN%"), tenths("x%")), (None, None, None));
    }
}
