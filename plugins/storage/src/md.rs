//! What Linux tells of its arrays in `/proc/mdstat`. Pure.

use crate::part::{Health, Part, Told};

pub(crate) const WORDS: &[&str] = &["cat", "/proc/mdstat"];

/// Bytes of a block there.
const BLOCK: u64 = 1024;

/// The arrays.
pub(crate) fn arrays(output: &[u8]) -> Told {
    let output = String::from_utf8_lossy(output);
    let mut told = Told::default();
    for line in output.lines() {
        if line.starts_with(' ') || line.starts_with('\t') {
            if let Some(array) = told.parts.last_mut() {
                goes_on(array, line.trim());
            }
        } else if !line.trim().is_empty() && !line.starts_with("Personalities") && !line.starts_with("unused devices") {
            match array(line) {
                Some(array) => told.parts.push(array),
                None => told.unread += 1,
            }
        }
    }
    told
}

/// `md0 : active raid1 sdb1[1] sda1[0](F)`, or `md0 : inactive sda1[0](S)`; behind the state perhaps `(read-only)`.
fn array(line: &str) -> Option<Part> {
    let (name, rest) = line.split_once(" : ")?;
    let mut words = rest.split_ascii_whitespace().peekable();
    let state = words.next()?.to_owned();
    let mark = words.next_if(|word| word.starts_with('('));
    let is_member = |word: &&str| word.contains('[');
    let level = words.next_if(|word| !is_member(word));
    let mut array = Part {
        kind: "md",
        name: name.to_owned(),
        health: if state == "active" { Health::Ok } else { Health::Failed },
        state: Some([Some(state.as_str()), mark, level].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        ..Part::default()
    };
    let failed: Vec<&str> =
        words.filter(|member| member.ends_with("(F)")).filter_map(|member| member.split('[').next()).collect();
    if !failed.is_empty() {
        array.details.push(format!("failed: {}", failed.join(", ")));
        array.at_best(Health::Warning);
    }
    Some(array)
}

/// `1046528 blocks super 1.2 [2/1] [U_]`, or `[==>..]  recovery = 12.6% (…) finish=1.2min speed=…`.
fn goes_on(array: &mut Part, line: &str) {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if let [blocks, "blocks", ..] = words.as_slice() {
        array.size = blocks.parse::<u64>().ok().and_then(|blocks| blocks.checked_mul(BLOCK));
    }
    let count = words.iter().find_map(|word| {
        let (all, there) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
        Some((all.parse::<u64>().ok()?, there.parse::<u64>().ok()?))
    });
    if let Some((all, there)) = count
        && there < all
    {
        array.details.push(format!("{there} of {all} devices"));
        array.at_best(Health::Warning);
    }
    let doing = ["recovery", "resync", "reshape", "check", "repair"];
    if let Some(at) = words.iter().position(|word| doing.iter().any(|known| word.split('=').next() == Some(known))) {
        let said = words.get(at..).unwrap_or_default().iter().take(5).copied().collect::<Vec<_>>().join(" ");
        array.details.push(said);
    }
}

#[cfg(test)]
mod tests {
    use super::arrays;
    use crate::part::Health;

    const WRITTEN: &[u8] = include_bytes!("../tests/fixtures/mdstat-written.txt");

    #[test]
    fn arrays_are_as_well_as_their_devices() {
        let told = arrays(WRITTEN);
        assert_eq!(told.unread, 0);
        let shown: Vec<_> = told
            .parts
            .iter()
            .map(|part| {
                (part.name.as_str(), part.health, part.state.as_deref().unwrap_or_default(), part.details.join("; "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("md0", Health::Ok, "active raid1", String::new()),
                (
                    "md1",
                    Health::Warning,
                    "active raid5",
                    "failed: sdb2; 2 of 3 devices; recovery = 12.6% (37043392/292945152) finish=127.5min".to_owned()
                ),
                ("md127", Health::Failed, "inactive", String::new()),
                ("md2", Health::Ok, "active (auto-read-only) raid1", "resync=PENDING".to_owned()),
                ("md_imsm", Health::Ok, "active raid0", String::new()),
            ]
        );
        assert_eq!(told.parts.first().and_then(|part| part.size), Some(1_046_528 * 1024));
    }

    #[test]
    fn what_is_no_array_is_counted() {
        let told = arrays(b"  1 blocks [2/1]\nodd\nmd0 :\nmd1 : \nunused devices: <none>\n\x1b[2J\xff\n");
        assert_eq!((told.parts.len(), told.unread), (0, 4));
        for end in 0..WRITTEN.len() {
            let lines = WRITTEN.get(..end).unwrap_or_default();
            let told = arrays(lines);
            assert!(told.parts.len() + told.unread <= lines.split(|byte| *byte == b'\n').count());
        }
        let long =
            arrays(format!("md0 : active raid1 {}\n   9 blocks [9/1]\n", "sda[0](F) ".repeat(1 << 16)).as_bytes());
        assert_eq!(long.parts.len(), 1);
    }
}
