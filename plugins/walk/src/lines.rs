//! How two texts differ, line by line, as `diff -u` shows it. Also compiled into the plugin `fleet`.

use similar::algorithms::{Capture, Replace, myers};
use similar::{DiffOp, group_diff_ops};

/// Lines around a difference that are shown.
const CONTEXT: usize = 3;
/// Lines of both texts, without what they begin and end with alike, among which equal ones are looked for: the time grows with the
/// square of what differs.
const MOST_LINES: usize = 12_000;

/// How two texts differ.
pub(crate) struct Difference {
    /// As `diff -u` writes it, without its first two lines.
    pub(crate) unified: String,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    /// Whether there is more than `unified` has.
    pub(crate) is_cut: bool,
    /// Whether all between the first and the last difference is told as different, for it is too much to look for equal lines in.
    pub(crate) is_coarse: bool,
}

/// What the second text has instead of the first; of the difference as it is written the first `most` bytes, in whole lines.
pub(crate) fn difference(old: &str, new: &str, most: usize) -> Difference {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let (of_old, of_new) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = of_old.iter().rev().zip(of_new.iter().rev()).take_while(|(one, other)| one == other).count();
    let (of_old, of_new) = (of_old.len() - tail, of_new.len() - tail);
    let is_coarse = of_old + of_new > MOST_LINES;
    let operations = if is_coarse {
        let equal = |old_index, new_index, len| DiffOp::Equal { old_index, new_index, len };
        let between = DiffOp::Replace { old_index: head, old_len: of_old, new_index: head, new_len: of_new };
        vec![equal(0, 0, head), between, equal(head + of_old, head + of_new, tail)]
    } else {
        // Numbers are compared sooner than lines.
        let mut known: Vec<&str> = old.iter().chain(&new).copied().collect();
        known.sort_unstable();
        known.dedup();
        let number = |line: &&str| known.binary_search(line).unwrap_or(known.len());
        let (old, new): (Vec<usize>, Vec<usize>) = (old.iter().map(number).collect(), new.iter().map(number).collect());
        let mut operations = Replace::new(Capture::new());
        // It fails only if what captures does.
        let _ = myers::diff(&mut operations, &old, 0..old.len(), &new, 0..new.len());
        operations.into_inner().into_ops()
    };
    let mut difference = Difference { unified: String::new(), added: 0, removed: 0, is_cut: false, is_coarse };
    for group in group_diff_ops(operations, CONTEXT) {
        difference.hunk(&group, &old, &new, most);
    }
    difference
}

impl Difference {
    fn hunk(&mut self, group: &[DiffOp], old: &[&str], new: &[&str], most: usize) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
        let range = |from: usize, to: usize| match to - from {
            1 => format!("{}", from + 1),
            0 => format!("{from},0"),
            length => format!("{},{length}", from + 1),
        };
        let (of_old, of_new) = (
            range(first.old_range().start, last.old_range().end),
            range(first.new_range().start, last.new_range().end),
        );
        self.line(&format!("@@ -{of_old} +{of_new} @@\n"), "", most);
        for operation in group {
            let (of_old, of_new) = (
                old.get(operation.old_range()).unwrap_or_default(),
                new.get(operation.new_range()).unwrap_or_default(),
            );
            if let DiffOp::Equal { .. } = operation {
                of_old.iter().for_each(|line| self.line(line, " ", most));
                continue;
            }
            self.removed += of_old.len() as u64;
            self.added += of_new.len() as u64;
            of_old.iter().for_each(|line| self.line(line, "-", most));
            of_new.iter().for_each(|line| self.line(line, "+", most));
        }
    }

    fn line(&mut self, line: &str, mark: &str, most: usize) {
        const NO_END: &str = "\n\\ No newline at end of file\n";
        let end = if line.ends_with('\n') { "" } else { NO_END };
        if self.is_cut || self.unified.len() + mark.len() + line.len() + end.len() > most {
            self.is_cut = true;
            return;
        }
        [mark, line, end].into_iter().for_each(|part| self.unified.push_str(part));
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, difference};

    #[test]
    fn a_difference_is_written_as_diff_writes_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let told = difference(old, "a\nb\nc\nD\ne\nf\ng\nh\ni", 999);
        assert_eq!(
            told.unified,
            "@@ -1,8 +1,9 @@\n a\n b\n c\n-d\n+D\n e\n f\n g\n h\n+i\n\\ No newline at end of file\n"
        );
        assert_eq!((told.added, told.removed, told.is_cut, told.is_coarse), (2, 1, false, false));
        assert_eq!(difference("", "x\n", 99).unified, "@@ -0,0 +1 @@\n+x\n");
        assert_eq!(difference("x\n", "", 99).unified, "@@ -1 +0,0 @@\n-x\n");
        assert_eq!(difference(old, old, 99).unified, "");
    }

    #[test]
    fn what_is_too_much_is_cut_by_lines_and_counted() {
        let told = difference("", "aaaa\nbbbb\ncccc\n", 24);
        assert_eq!((told.unified.as_str(), told.is_cut, told.added), ("@@ -0,0 +1,3 @@\n+aaaa\n", true, 3));
    }

    #[test]
    fn texts_without_anything_alike_are_told_as_wholly_different() {
        let lines = |word: &str| (0..MOST_LINES).map(|n| format!("{word}{n}\n")).collect::<String>();
        let told = difference(&format!("same\n{}", lines("a")), &format!("same\n{}", lines("b")), 99);
        assert_eq!((told.added, told.removed, told.is_coarse), (MOST_LINES as u64, MOST_LINES as u64, true));
    }
}
