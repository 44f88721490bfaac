//! Words for people: times, modes, names of bytes. Pure.

use crate::{Attributes, FileKind};

/// A point in time as RFC 3339 in UTC, from seconds since 1970. Absent past the year 9999, which RFC 3339 cannot say.
#[must_use]
pub fn rfc3339(seconds: u64) -> Option<String> {
    const DAY: u64 = 86_400;
    // Days from 0000-03-01, so that a leap day ends its year, to 1970-01-01 (proleptic Gregorian calendar).
    const EPOCH: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let (days, second) = ((seconds / DAY).checked_add(EPOCH)?, seconds % DAY);
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year <= 9999).then(|| {
        let mut out = String::with_capacity(20);
        two_digits(&mut out, year / 100);
        for (mark, value) in [
            (None, year % 100),
            (Some('-'), month),
            (Some('-'), day_of_month),
            (Some('T'), second / 3600),
            (Some(':'), second / 60 % 60),
            (Some(':'), second % 60),
        ] {
            out.extend(mark);
            two_digits(&mut out, value);
        }
        out.push('Z');
        out
    })
}

/// Appends a number below 100 with a leading zero. The formatting of numbers is what takes a listing longest.
fn two_digits(out: &mut String, value: u64) {
    let digit = |value: u64| char::from(b'0' + (value % 10) as u8);
    out.push(digit(value / 10));
    out.push(digit(value));
}

/// Appends a number.
pub fn decimal(out: &mut String, mut value: u64) {
    // Those of u64::MAX.
    let mut digits = [b'0'; 20];
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        count += 1;
        if value == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(digits.len() - count).map(|digit| char::from(*digit)));
}

/// Permission bits as four octal digits, as `0644`.
#[must_use]
pub fn octal_mode(mode: u32) -> String {
    [9, 6, 3, 0].map(|place| char::from(b'0' + (mode >> place & 7) as u8)).iter().collect()
}

/// Kind and permission bits as `ls -l` shows them, as `drwxr-xr-x`; `?` where the remote host sent no bits.
#[must_use]
pub fn ls_mode(attributes: &Attributes) -> String {
    const SET_UID: u32 = 0o4000;
    const SET_GID: u32 = 0o2000;
    const STICKY: u32 = 0o1000;
    let mut out = String::with_capacity(10);
    out.push(match attributes.kind {
        FileKind::File => '-',
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        // Of `st_mode`: which of the others it is.
        FileKind::Other => match attributes.mode.unwrap_or(0) & 0o170_000 {
            0o010_000 => 'p',
            0o020_000 => 'c',
            0o060_000 => 'b',
            0o140_000 => 's',
            _ => '?',
        },
    });
    let Some(mode) = attributes.mode else {
        out.push_str("?????????");
        return out;
    };
    for (shift, special, mark) in [(6, SET_UID, 's'), (3, SET_GID, 's'), (0, STICKY, 't')] {
        let bits = mode >> shift;
        out.push(if bits & 4 == 0 { '-' } else { 'r' });
        out.push(if bits & 2 == 0 { '-' } else { 'w' });
        out.push(match (bits & 1 == 0, mode & special == 0) {
            (true, true) => '-',
            (false, true) => 'x',
            (true, false) => mark.to_ascii_uppercase(),
            (false, false) => mark,
        });
    }
    out
}

/// A kind's name in structured answers.
#[must_use]
pub fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Other => "other",
    }
}

/// Bytes of a path or a name as text, and as base64 if the text does not say all of them.
#[must_use]
pub fn name(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(base64(bytes))),
    }
}

/// Base64 with padding (RFC 4648 §4).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4_usize {
            let digit = (bits >> (18 - 6 * place)) & 0x3f;
            let letter = ALPHABET.get(digit as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// A word for a POSIX shell, in single quotes.
#[must_use]
pub fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A path as the word of a query that names the same file: a command runs in the home directory, and a path below it is
/// relative there. None for a path that no query can name: bytes that are not UTF-8, control characters, another account's
/// home.
#[must_use]
pub fn operand(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok().filter(|path| !path.chars().any(char::is_control))?;
    // Quotes would keep `~` from its meaning.
    let path = match path.strip_prefix("~/").map(|below| below.trim_start_matches('/')) {
        Some("") => ".",
        Some(below) => below,
        None if path == "~" => ".",
        None if path.starts_with('~') => return None,
        None => path,
    };
    // No option, also to a program that looks for one after the first operand. `tail` takes `+5` for an old `-n +5`.
    let here = if path.starts_with(['-', '+']) { "./" } else { "" };
    Some(shell_quoted(&format!("{here}{path}")))
}

/// Whether a name fits a pattern, in which `*` is any run of bytes and `?` any one byte. Quick for any pattern: only the last
/// `*` is tried again, so that time is bounded by the product of the lengths.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Behind the last star, and where what it stands for ends so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, seen));
            }
            (Some(wanted), _) if *wanted == b'?' || wanted == byte => (at, seen) = (at + 1, seen + 1),
            (_, Some((after, end))) => {
                (at, seen) = (after, end + 1);
                star = Some((after, seen));
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

/// How many bytes a text or a name takes at most when it is written to a client, once: what is hidden in it is made
/// visible, and what JSON escapes is escaped.
#[must_use]
pub fn written(bytes: &[u8]) -> usize {
    // U+0080, two bytes, is shown as `<U+0080>`, and a byte that is no character as U+FFFD.
    bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\') { 1 } else { 4 }).sum()
}

/// `123` as `12.3`.
#[must_use]
pub fn tenths(value: u64) -> String {
    let mut out = String::with_capacity(8);
    decimal(&mut out, value / 10);
    out.push('.');
    decimal(&mut out, value % 10);
    out
}

/// A number with its noun: `1 file`, `2 files`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A size for people, in powers of 1024, as `512 B` or `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut tenths_of = u128::from(bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths_of < 10_240 {
            break;
        }
        tenths_of = (tenths_of + 512) / 1024;
        unit = next;
    }
    let tenths_of = u64::try_from(tenths_of).unwrap_or(u64::MAX);
    if unit == "B" { format!("{bytes} B") } else { format!("{} {unit}", tenths(tenths_of)) }
}

/// A length of time for people in its two largest units, as `42s`, `2h13m` or `400d1h`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str, u64, &str); 3] = [(86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")];
    match UNITS.into_iter().find(|(unit, ..)| seconds >= *unit) {
        Some((unit, name, smaller, its)) => format!("{}{name}{}{its}", seconds / unit, seconds % unit / smaller),
        None => format!("{seconds}s"),
    }
}

/// A text as one line: line ends are written as `\n` and `\r`.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// The beginning of a text, of at most so many characters, and `…` if there was more.
#[must_use]
pub fn clipped(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Lines of a table: columns are padded to their widest cell, numbers of `right` to the right, the last not at all.
#[must_use]
pub fn table<const N: usize>(rows: &[[String; N]], right: [bool; N]) -> String {
    let mut table = Table::new(right);
    for cell in rows.iter().flatten() {
        table.cell(|out| out.push_str(cell));
    }
    table.finish(String::new())
}

/// A [`table`] that is written cell by cell, row by row, without a text of its own for each.
#[derive(Clone, Debug)]
pub struct Table {
    right: Vec<bool>,
    widths: Vec<usize>,
    cells: String,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Table {
    /// One without rows, of as many columns as `right` has.
    #[must_use]
    pub fn new(right: impl Into<Vec<bool>>) -> Self {
        let right = right.into();
        Self { widths: vec![0; right.len()], right, cells: String::new(), ends: Vec::new() }
    }

    /// The next cell: what `write` appends.
    pub fn cell(&mut self, write: impl FnOnce(&mut String)) {
        let begin = self.cells.len();
        write(&mut self.cells);
        let width = width_of(self.cells.get(begin..).unwrap_or_default());
        let columns = self.widths.len().max(1);
        if let Some(widest) = self.widths.get_mut(self.ends.len() % columns) {
            *widest = width.max(*widest);
        }
        self.ends.push(self.cells.len());
    }

    /// Its lines, behind what is there.
    #[must_use]
    pub fn finish(self, mut out: String) -> String {
        let last = self.widths.len();
        let columns = self.widths.into_iter().zip(self.right).enumerate().cycle();
        out.reserve(self.cells.len());
        let mut begin = 0;
        for (end, (index, (width, right))) in self.ends.into_iter().zip(columns) {
            let cell = self.cells.get(begin..end).unwrap_or_default();
            begin = end;
            let is_last = index + 1 == last;
            let padding = if is_last && !right { 0 } else { width - width_of(cell) };
            if right {
                out.extend(std::iter::repeat_n(' ', padding));
            }
            out.push_str(cell);
            if is_last {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
            } else {
                out.extend(std::iter::repeat_n(' ', if right { 2 } else { padding + 2 }));
            }
        }
        out
    }
}

/// In characters.
fn width_of(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.chars().count() }
}

#[cfg(test)]
mod tests {
    use super::{
        base64, clipped, decimal, duration, ls_mode, matches, name, octal_mode, one_line, operand, rfc3339,
        shell_quoted, size, table, written,
    };
    use crate::{Attributes, FileKind};

    #[test]
    fn an_operand_names_the_same_file_from_the_home_directory() {
        for (path, expected) in [
            ("/a b", Some("'/a b'")),
            ("~", Some("'.'")),
            ("~/", Some("'.'")),
            ("~/a", Some("'a'")),
            ("~//a", Some("'a'")),
            ("~/~", Some("'~'")),
            ("~/-a", Some("'./-a'")),
            ("-a", Some("'./-a'")),
            ("~/+x", Some("'./+x'")),
            ("~/a+", Some("'a+'")),
            ("it's", Some("'it'\\''s'")),
            ("~ann/a", None),
            ("a\nb", None),
        ] {
            assert_eq!(operand(path.as_bytes()).as_deref(), expected, "{path:?}");
        }
        assert_eq!(operand(b"caf\xe9"), None);
    }

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*ssh*", "openssh.service", true),
            ("?sh", "ssh", true),
            ("?sh", "sh", false),
            ("a**b*", "ab", true),
            ("a*b", "abab", true),
            ("web?", "web-3.corp", false),
            ("worker@*.service", "worker@a.service", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(100), &"a".repeat(10_000).replace("aaaaa", "aaaab")));
    }

    #[test]
    fn what_is_written_is_counted_as_it_is_shown() {
        assert_eq!((written(b"plain"), written(b"a\"b"), written("\u{80}".as_bytes()), written(b"\xff")), (5, 6, 8, 4));
    }

    #[test]
    fn times_are_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds).as_deref(), Some(expected));
        }
        assert_eq!(rfc3339(253_402_300_800), None);
        assert_eq!(rfc3339(u64::MAX), None);
    }

    #[test]
    fn modes_read_as_in_ls() {
        let shown = |kind, mode| {
            ls_mode(&Attributes { kind, size: None, mode, uid: None, gid: None, links: None, modified: None })
        };
        assert_eq!(shown(FileKind::File, Some(0o100_644)), "-rw-r--r--");
        assert_eq!(shown(FileKind::Directory, Some(0o041_777)), "drwxrwxrwt");
        assert_eq!(shown(FileKind::File, Some(0o106_711)), "-rws--s--x");
        assert_eq!(shown(FileKind::File, Some(0o107_600)), "-rwS--S--T");
        assert_eq!(shown(FileKind::Other, Some(0o010_600)), "prw-------");
        assert_eq!(shown(FileKind::Symlink, None), "l?????????");
        assert_eq!(octal_mode(0o100_644), "0644");
        assert_eq!(octal_mode(0o106_711), "6711");
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
        assert_eq!(base64(b"\xff\x00\xfe"), "/wD+");
    }

    #[test]
    fn a_name_that_is_not_utf8_has_its_bytes_beside_it() {
        assert_eq!(name("ü".as_bytes()), ("ü".to_owned(), None));
        assert_eq!(name(b"caf\xe9"), ("caf\u{fffd}".to_owned(), Some("Y2Fm6Q==".to_owned())));
    }

    #[test]
    fn a_quote_in_a_shell_word_is_escaped() {
        assert_eq!(shell_quoted("it's $x"), "'it'\\''s $x'");
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (270_553_174_016, "252.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_length_of_time_is_told_in_two_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (7_999, "2h13m"),
            (86_399, "23h59m"),
            (34_563_600, "400d1h"),
            (u64::MAX, "213503982334601d7h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn a_text_is_made_one_line_and_clipped_between_characters() {
        assert_eq!(one_line("a\nb\r"), "a\\nb\\r");
        assert_eq!(clipped("üäö", 3), "üäö");
        assert_eq!(clipped("üäö", 2), "üä…");
    }

    #[test]
    fn numbers_are_written_with_all_their_digits() {
        for number in [0, 7, 10, 99, 1_000_000, u64::MAX] {
            let mut out = String::from("-");
            decimal(&mut out, number);
            assert_eq!(out, format!("-{number}"));
        }
    }

    #[test]
    fn columns_of_a_table_are_aligned() {
        let rows = [["a", "1", "x"], ["ccc", "200", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows, [false, true, false]), "a      1  x\nccc  200\n");
        let rows = [["ä", "x"], ["日本", "xyz"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows, [false, true]), "ä     x\n日本  xyz\n");
        assert_eq!(table::<2>(&[], [false, false]), "");
    }
}
