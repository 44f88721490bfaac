//! Many names in few characters: `web[01-40,43], db1`.

/// What stands around the last number of a name.
type Frame<'a> = (&'a str, &'a str);

/// Names, of which those that differ only in their last number are written together. In order, each once.
pub(crate) fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut written: Vec<String> = Vec::new();
    let mut framed: Vec<(Frame<'_>, &str)> = Vec::new();
    for name in names {
        match split(name) {
            Some(split) => framed.push(split),
            None => written.push(name.to_owned()),
        }
    }
    framed.sort_unstable();
    for frame in framed.chunk_by(|(one, _), (other, _)| one == other) {
        let Some(((before, behind), _)) = frame.first() else { continue };
        // Where one number has zeros before it, others of its width belong to it.
        let is_padded = |digits: &str| frame.iter().any(|(_, one)| one.starts_with('0') && one.len() == digits.len());
        let width = |digits: &str| if is_padded(digits) { digits.len() } else { 0 };
        let mut numbers: Vec<(usize, u64)> =
            frame.iter().filter_map(|(_, digits)| Some((width(digits), digits.parse().ok()?))).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for of_width in numbers.chunk_by(|(one, _), (other, _)| one == other) {
            let number = |(width, number): &(usize, u64)| format!("{number:0width$}", width = *width);
            let runs = of_width.chunk_by(|(_, one), (_, next)| one + 1 == *next).filter_map(|run| match run {
                [one] => Some(number(one)),
                [from, .., to] => Some(format!("{}-{}", number(from), number(to))),
                [] => None,
            });
            let runs = runs.collect::<Vec<_>>().join(",");
            written.push(match of_width.len() {
                1 => format!("{before}{runs}{behind}"),
                _ => format!("{before}[{runs}]{behind}"),
            });
        }
    }
    written.sort_unstable();
    written.dedup();
    written.join(", ")
}

/// A name and the digits of its last number, if it has one that is not too long to be counted with.
fn split(name: &str) -> Option<(Frame<'_>, &str)> {
    let end = name.rfind(|character: char| character.is_ascii_digit())? + 1;
    let before = name.get(..end)?.trim_end_matches(|character: char| character.is_ascii_digit());
    let digits = name.get(before.len()..end).filter(|digits| digits.len() <= 9)?;
    Some(((before, name.get(end..)?), digits))
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn names_that_differ_in_their_last_number_are_written_together() {
        for (names, folded) in [
            (&["web1", "web2", "web3", "web5"][..], "web[1-3,5]"),
            (&["web1"], "web1"),
            (&["db", "web1.eu", "web2.eu", "web2.us"], "db, web2.us, web[1-2].eu"),
            (&["r1n01", "r1n02", "r2n01"], "r1n[01-02], r2n01"),
            (&["web9", "web10", "web9"], "web[9-10]"),
            (&["a-99999999999999999999", "\u{fc}1", "\u{fc}2"], "a-99999999999999999999, \u{fc}[1-2]"),
            (&["7", "8"], "[7-8]"),
            (&["x\u{b2}1", "x\u{b2}2"], "x\u{b2}[1-2]"),
            (&[], ""),
        ] {
            assert_eq!(fold(names.iter().copied()), folded);
        }
    }

    #[test]
    fn zeros_before_a_number_are_kept() {
        assert_eq!(fold(["web08", "web09", "web10", "web11"]), "web[08-11]");
        assert_eq!(fold(["web8", "web9", "web10"]), "web[8-10]");
        assert_eq!(fold(["web1", "web01"]), "web01, web1");
    }
}
