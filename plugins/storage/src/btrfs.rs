//! What btrfs counts of the errors of its devices. Pure.

use crate::part::{Health, Part};

/// Which are mounted, and where.
pub(crate) const MOUNTED: &[&str] = &["findmnt", "-n", "-r", "-t", "btrfs", "-o", "SOURCE,TARGET"];

/// What is asked of one, in front of the place where it is mounted.
pub(crate) const ASK: &[&str] = &["btrfs", "device", "stats"];

/// Counts, and their names for people (btrfs-device(8)).
const COUNTS: [(&str, &str); 5] = [
    ("write_io_errs", "write"),
    ("read_io_errs", "read"),
    ("flush_io_errs", "flush"),
    ("corruption_errs", "corruption"),
    ("generation_errs", "generation"),
];

/// Where each file system is mounted, once for each device, and how many have places whose names cannot be told in a word.
pub(crate) fn mounted(output: &[u8]) -> (Vec<String>, usize) {
    let output = String::from_utf8_lossy(output);
    let (mut sources, mut targets, mut odd) = (Vec::new(), Vec::new(), 0);
    for line in output.lines() {
        let Some((source, target)) = line.split_once(' ') else { continue };
        // A part of one has its name behind it: `/dev/sda2[/@home]`.
        let source = source.split('[').next().unwrap_or(source);
        if sources.contains(&source) {
            continue;
        }
        // Blanks are written as `\x20`.
        if !target.starts_with('/') || target.contains(['\\', ' ']) {
            odd += 1;
            continue;
        }
        sources.push(source);
        targets.push(target.to_owned());
    }
    (targets, odd)
}

/// The file system that is mounted there, if its counts were told: lines such as `[/dev/sda2].write_io_errs    0`.
pub(crate) fn file_system(target: &str, output: &[u8]) -> Option<Part> {
    let output = String::from_utf8_lossy(output);
    let mut part = Part { kind: "btrfs", name: target.to_owned(), health: Health::Ok, ..Part::default() };
    let (mut known, mut wrong) = (0, Vec::new());
    for line in output.lines() {
        let count = line.strip_prefix('[').and_then(|line| {
            let (device, rest) = line.rsplit_once("].")?;
            let (name, count) = rest.split_once(' ')?;
            let (_, what) = COUNTS.iter().find(|(known, _)| *known == name)?;
            Some((device, what, count.trim().parse::<u64>().ok()?))
        });
        let Some((device, what, count)) = count else { continue };
        known += 1;
        if count > 0 {
            wrong.push(format!("{device} has {count} {what} errors"));
        }
    }
    if !wrong.is_empty() {
        part.at_best(Health::Warning);
    }
    part.details = wrong;
    (known > 0).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::{file_system, mounted};
    use crate::part::Health;

    const WRITTEN: &[u8] = include_bytes!("../tests/fixtures/btrfs-stats-written.txt");

    #[test]
    fn each_file_system_is_asked_once() {
        let output = b"/dev/sda2[/@] /\n/dev/sda2[/@home] /home\n/dev/sdb /srv/a\\x20b\n/dev/sdc /data\nodd\n/dev/sdd relative\n";
        assert_eq!(mounted(output), (vec!["/".to_owned(), "/data".to_owned()], 2));
        assert_eq!(mounted(b""), (Vec::new(), 0));
    }

    #[test]
    fn a_file_system_is_as_well_as_its_counts_say() {
        for output in [
            &include_bytes!("../tests/fixtures/btrfs6.2-stats.txt")[..],
            include_bytes!("../tests/fixtures/btrfs6.14-stats.txt"),
        ] {
            let part = file_system("/data", output).expect("it is told");
            assert_eq!((part.health, part.details.len(), part.name.as_str()), (Health::Ok, 0, "/data"));
        }
        let part = file_system("/data", WRITTEN).expect("it is told");
        assert_eq!(part.health, Health::Warning);
        assert_eq!(part.details.join("; "), "/dev/sdc has 12 read errors; /dev/sdc has 3 corruption errors");
        for odd in [
            "",
            "ERROR: not a btrfs filesystem: /data\n",
            "[x].write_io_errs\n[x].other 5\n[x].read_io_errs -1\n\u{1b}[2J",
        ] {
            assert_eq!(file_system("/data", odd.as_bytes()), None, "{odd}");
        }
        for end in 0..WRITTEN.len() {
            let part = file_system("/data", WRITTEN.get(..end).unwrap_or_default());
            assert!(part.is_none_or(|part| part.details.len() <= 3));
        }
    }
}
