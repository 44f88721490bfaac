//! The chain of an audit log: each line tells the digest of what stands before it.
//!
//! Owns what is digested, how a line is linked, how the end of a file is found, and the proof of whole files.
//!
//! `previous` of a line is the SHA-256, in hex, of the bytes from the beginning of the chained line before it up to itself: that line with
//! its line feed and, where somebody died in the middle of a line, what was left of that and the line feed that ended it. `null` begins a
//! chain. So whatever is changed, removed, inserted or swapped shows at the next line, and what is torn is told apart from what was
//! changed. What was cut off at the end shows only against a checkpoint: a line whose `of` is such a digest, and whose `signature` is that
//! digest signed as `ssh-keygen -Y sign -n scout-audit` does.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead};
use std::os::unix::fs::FileExt as _;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

/// What is signed of a log, and what for.
pub(crate) const NAMESPACE: &str = "scout-audit";
/// The longest line that can be one of ours, in bytes: a command of 64 KiB of which each byte is escaped, and the rest.
const MAX_LINE: usize = 1 << 20;
/// How much of a file's end is looked at for its last line, in bytes: most have it in the first of these.
const ENDS: [u64; 2] = [64 << 10, 4 << 20];
/// How many lines may stand between what a checkpoint signs and the checkpoint.
const RECENT: usize = 1 << 16;
/// Faults that are told one by one.
const TOLD: usize = 100;

pub(crate) type Digest = [u8; 32];

/// A line with its link. It is a JSON object and ends with a line feed.
pub(super) fn linked(previous: Option<&Digest>, line: &[u8]) -> Vec<u8> {
    let rest = line.strip_prefix(b"{").unwrap_or(line);
    let link = match previous {
        Some(previous) => format!("{{\"previous\":\"{}\",", hex(previous)),
        None => "{\"previous\":null,".to_owned(),
    };
    [link.as_bytes(), rest].concat()
}

/// The digest of a line that was linked.
pub(super) fn of_line(line: &[u8]) -> Digest {
    Sha256::digest(line).into()
}

/// What a line that is written to a file of this length now has as `previous`, and whether the file ends within a line.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn end_of(file: &File, length: u64) -> io::Result<(Option<Digest>, bool)> {
    let mut is_torn = false;
    for most in ENDS {
        let from = length.saturating_sub(most);
        let mut end = vec![0; usize::try_from(length - from).unwrap_or_default()];
        file.read_exact_at(&mut end, from)?;
        is_torn = end.last().is_some_and(|last| *last != b'\n');
        // Only its line feed is missing: it is a line.
        let tail = end.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1).or((from == 0).then_some(0));
        if let Some(tail) = tail.and_then(|at| end.get(at..)).filter(|_| is_torn)
            && let Link::Chained(_) = Link::of(tail)
        {
            return Ok((Some(Sha256::new_with_prefix(tail).chain_update(b"\n").finalize().into()), true));
        }
        let mut until = end.len();
        // Whole lines, the last first.
        while let Some(feed) = end.get(..until).and_then(|before| before.iter().rposition(|byte| *byte == b'\n')) {
            let begin = end.get(..feed).and_then(|before| before.iter().rposition(|byte| *byte == b'\n'));
            // Of the first one that is there perhaps only the end is.
            let Some(begin) = begin.map(|at| at + 1).or((from == 0).then_some(0)) else { break };
            if let Some(line) = end.get(begin..feed)
                && let Link::Chained(_) = Link::of(line)
            {
                let mut digest = Sha256::new_with_prefix(end.get(begin..).unwrap_or_default());
                if is_torn {
                    digest.update(b"\n");
                }
                return Ok((Some(digest.finalize().into()), is_torn));
            }
            until = feed;
        }
        if from == 0 {
            break;
        }
    }
    Ok((None, is_torn))
}

/// How a line is linked.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    /// To this; to nothing, where a chain begins.
    Chained(Option<Digest>),
    /// An object that is not: of a Scout of before, or of somebody else.
    Not,
    /// It is no object: what was left of one.
    Torn,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default, deserialize_with = "given")]
    previous: Option<Option<String>>,
    event: Option<String>,
    of: Option<String>,
    signature: Option<String>,
}

/// Tells `null` from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl Link {
    fn of(line: &[u8]) -> Self {
        serde_json::from_slice::<Head>(line).map_or(Self::Torn, |head| Self::of_head(&head))
    }

    fn of_head(head: &Head) -> Self {
        match &head.previous {
            None => Self::Not,
            Some(None) => Self::Chained(None),
            Some(Some(previous)) => unhex(previous).map_or(Self::Torn, |previous| Self::Chained(Some(previous))),
        }
    }
}

/// A checkpoint: what it signs, as it stands there, and the signature.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) of: String,
    pub(crate) signature: String,
}

/// What was found out of one file.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// All lines.
    pub(crate) lines: u64,
    /// Lines of the chain.
    pub(crate) chained: u64,
    /// The first of them.
    pub(crate) first: Option<u64>,
    /// Whether it goes on from the file before; absent: it has no chain.
    pub(crate) goes_on: Option<GoesOn>,
    /// What was left of lines whose writers died.
    pub(crate) torn: u64,
    /// Lines without a link between those with one.
    pub(crate) unlinked: u64,
    /// Checkpoints, and how many of them signed what stands above them.
    pub(crate) checkpoints: u64,
    pub(crate) signed: u64,
    /// Faults: the line, and what is wrong. So many at most.
    pub(crate) faults: Vec<(u64, String)>,
    /// All of them.
    pub(crate) faulty: u64,
}

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GoesOn {
    /// With a chain of its own.
    Begins,
    /// Where the file before ends.
    FromBefore,
    /// Where another file ends that was not looked at.
    FromAnother,
}

impl Found {
    fn fault(&mut self, why: String) {
        self.faulty += 1;
        if self.faults.len() < TOLD {
            self.faults.push((self.lines, why));
        }
    }
}

/// Proves files, one after the other.
#[derive(Default)]
pub(crate) struct Proof {
    /// What stands from the last line of the chain on; absent: there was none.
    since: Option<Sha256>,
    /// The digests of places that a checkpoint may sign, the oldest first.
    recent: VecDeque<Digest>,
    known: HashSet<Digest>,
}

impl Proof {
    /// Proves one more file. What a checkpoint's signature says is told by `signed`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn file(
        &mut self,
        mut file: impl BufRead,
        mut signed: impl FnMut(&Checkpoint) -> Result<(), String>,
    ) -> io::Result<Found> {
        let mut found = Found::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let is_whole = self.line(&mut file, &mut line)?;
            if line.is_empty() && !is_whole {
                return Ok(found);
            }
            found.lines += 1;
            let head = if is_whole { serde_json::from_slice::<Head>(&line).ok() } else { None };
            match head.as_ref().map_or(Link::Torn, Link::of_head) {
                Link::Chained(previous) => {
                    self.chained(previous, &mut found);
                    self.since = Some(Sha256::new_with_prefix(&line).chain_update(b"\n"));
                    if let Some(Head { event: Some(event), of: Some(of), signature: Some(signature), .. }) = head
                        && event == "checkpoint"
                    {
                        self.checkpoint(&Checkpoint { of, signature }, &mut found, &mut signed);
                    }
                }
                link => {
                    if found.first.is_some() {
                        let count = if link == Link::Not { &mut found.unlinked } else { &mut found.torn };
                        *count += 1;
                    }
                    // What is longer than a line has been digested already; a writer ends what is torn.
                    if let Some(since) = &mut self.since {
                        since.update(&line);
                        since.update(b"\n");
                    }
                }
            }
        }
    }

    fn chained(&mut self, previous: Option<Digest>, found: &mut Found) {
        let expected: Option<Digest> = self.since.clone().map(|since| since.finalize().into());
        found.chained += 1;
        let is_first = found.first.is_none();
        found.first.get_or_insert(found.lines);
        match (previous, expected) {
            (Some(previous), Some(expected)) if previous == expected => {
                if is_first {
                    found.goes_on = Some(GoesOn::FromBefore);
                }
            }
            (None, _) if is_first => found.goes_on = Some(GoesOn::Begins),
            (Some(_), None) => {
                found.goes_on = Some(GoesOn::FromAnother);
                // Lines of before the chain stand before its beginning.
                if found.lines > 1 {
                    found.fault("goes on from something else than the lines above it, which have no links".to_owned());
                }
            }
            (Some(_), Some(_)) if is_first => found.fault(
                "does not follow from the file before: lines at its end, or files between, are missing or were changed"
                    .to_owned(),
            ),
            (None, _) => found.fault("begins a chain in the middle of the file: what stood before it is gone".to_owned()),
            (Some(_), Some(_)) => found.fault(
                "does not follow from what stands above it: that was changed, or lines between are missing or were added"
                    .to_owned(),
            ),
        }
        if let Some(digest) = expected
            && self.known.insert(digest)
        {
            self.recent.push_back(digest);
            if self.recent.len() > RECENT
                && let Some(oldest) = self.recent.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    fn checkpoint(
        &self,
        checkpoint: &Checkpoint,
        found: &mut Found,
        signed: &mut impl FnMut(&Checkpoint) -> Result<(), String>,
    ) {
        found.checkpoints += 1;
        let is_above = unhex(&checkpoint.of).is_some_and(|of| self.known.contains(&of));
        if !is_above {
            return found.fault("is a checkpoint of something that does not stand above it".to_owned());
        }
        match signed(checkpoint) {
            Ok(()) => found.signed += 1,
            Err(why) => found.fault(format!("is a checkpoint that {why}")),
        }
    }

    /// The next line, without its line feed. False: it has none, or is longer than any of ours; then only its end is given, and the rest
    /// is digested.
    fn line(&mut self, file: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
        let mut is_short = true;
        loop {
            let piece = match file.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if piece.is_empty() {
                return Ok(false);
            }
            let feed = memchr::memchr(b'\n', piece);
            line.extend_from_slice(piece.get(..feed.unwrap_or(piece.len())).unwrap_or_default());
            let used = feed.map_or(piece.len(), |at| at + 1);
            file.consume(used);
            if feed.is_some() {
                return Ok(is_short);
            }
            if line.len() > MAX_LINE {
                is_short = false;
                if let Some(since) = &mut self.since {
                    since.update(&line);
                }
                line.clear();
            }
        }
    }
}

pub(crate) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Digest> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let bytes: Option<Vec<u8>> = is_hex
        .then(|| text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()))?
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    use super::super::log_file::LogFile;
    use super::*;

    struct World {
        dir: tempfile::TempDir,
        log: LogFile,
    }

    impl World {
        /// A log of so many lines.
        fn of(lines: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut world = Self { log: LogFile::new(&dir.path().join("log")), dir };
            for number in 0..lines {
                world.append(number);
            }
            world
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("log")
        }

        fn append(&mut self, number: usize) {
            self.log.append(&[format!("{{\"event\":\"end\",\"n\":{number}}}\n").into_bytes()]).unwrap();
        }

        fn lines(&self) -> Vec<String> {
            std::fs::read_to_string(self.path()).unwrap().lines().map(str::to_owned).collect()
        }

        fn found(&self) -> Found {
            found(&mut Proof::default(), &self.path())
        }
    }

    fn found(proof: &mut Proof, path: &Path) -> Found {
        proof.file(std::fs::read(path).unwrap().as_slice(), |_| Ok(())).unwrap()
    }

    /// What is found of these lines instead.
    fn faults(lines: &[String]) -> Vec<u64> {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let found = Proof::default().file(text.as_bytes(), |_| Ok(())).unwrap();
        assert_eq!(found.faulty, found.faults.len() as u64);
        found.faults.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn whatever_is_done_to_a_line_shows_at_the_next_one() {
        let lines = World::of(5).lines();
        assert!(lines[0].starts_with("{\"previous\":null,\"event\""), "{}", lines[0]);
        let of_first = hex(&of_line(format!("{}\n", lines[0]).as_bytes()));
        assert!(lines[1].starts_with(&format!("{{\"previous\":\"{of_first}\",")), "{}", lines[1]);
        assert!(faults(&lines).is_empty());
        let with = |change: fn(&mut Vec<String>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            faults(&lines)
        };
        assert_eq!(with(|lines| lines[2] = lines[2].replace("\"n\":2", "\"n\":7")), [4], "changed");
        assert_eq!(with(|lines| lines[0].push(' ')), [2], "a blank is a change");
        assert_eq!(with(|lines| drop(lines.remove(2))), [3], "removed");
        assert_eq!(with(|lines| lines.insert(2, lines[1].clone())), [3], "inserted");
        assert_eq!(with(|lines| lines.insert(2, "{\"event\":\"end\"}".to_owned())), [4], "without a link");
        assert_eq!(with(|lines| lines.insert(2, "{\"ev".to_owned())), [4], "as if torn");
        assert_eq!(with(|lines| lines.swap(1, 2)), [2, 3, 4], "swapped");
        assert_eq!(with(|lines| lines[3] = lines[3].replacen(|c: char| c.is_ascii_digit(), "x", 1)), [5], "its link");
        let links_gone = |lines: &mut Vec<String>| {
            for line in &mut lines[..2] {
                *line = format!("{{{}", line.split_once(',').unwrap().1);
            }
        };
        assert_eq!(with(links_gone), [3], "links gone");
        assert!(with(|lines| *lines = lines.split_off(1)).is_empty(), "that it goes on from another file is told");
    }

    #[test]
    fn what_is_torn_is_told_apart_from_what_was_changed() {
        let mut world = World::of(2);
        let torn = |text: &[u8]| {
            std::fs::OpenOptions::new().append(true).open(world.path()).unwrap().write_all(text).unwrap();
        };
        torn(b"{\"previous\":\"00\",\"eve");
        let mut other = LogFile::new(&world.path());
        other.append(&[b"{\"event\":\"end\"}\n".to_vec()]).unwrap();
        torn(&vec![b'x'; 3 << 20]);
        world.append(9);
        let found = world.found();
        assert_eq!((found.lines, found.chained, found.torn, found.faulty), (6, 4, 2, 0), "{found:?}");
        // One whose line feed alone is missing is a line.
        let whole = std::fs::read(world.path()).unwrap();
        std::fs::write(world.path(), whole.strip_suffix(b"\n").unwrap()).unwrap();
        LogFile::new(&world.path()).append(&[b"{\"event\":\"end\"}\n".to_vec()]).unwrap();
        let found = world.found();
        assert_eq!((found.chained, found.torn, found.faulty), (5, 2, 0), "{found:?}");
        // And what was left of a line is proven, too.
        let text = std::fs::read_to_string(world.path()).unwrap().replacen("\"eve\n", "\"evi\n", 1);
        std::fs::write(world.path(), text).unwrap();
        assert_eq!(world.found().faults[0].0, 4);
    }

    #[test]
    fn a_chain_goes_on_in_the_next_file_and_after_lines_of_before() {
        let mut world = World::of(3);
        let old = world.dir.path().join("log.1");
        std::fs::rename(world.path(), &old).unwrap();
        world.append(3);
        world.append(4);
        let mut proof = Proof::default();
        assert_eq!(found(&mut proof, &old).goes_on, Some(GoesOn::Begins));
        let next = found(&mut proof, &world.path());
        assert_eq!((next.goes_on, next.faulty, next.chained), (Some(GoesOn::FromBefore), 0, 2));
        assert_eq!(world.found().goes_on, Some(GoesOn::FromAnother));
        // The last line of the old one is gone.
        let text = std::fs::read_to_string(&old).unwrap();
        std::fs::write(&old, text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let mut proof = Proof::default();
        found(&mut proof, &old);
        assert_eq!(found(&mut proof, &world.path()).faults[0].0, 1);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "{\"event\":\"begin\"}\n{\"event\":\"end\"}\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut log = LogFile::new(&path);
        log.append(&[b"{\"event\":\"end\"}\n".to_vec(), b"{\"event\":\"end\"}\n".to_vec()]).unwrap();
        let found = found(&mut Proof::default(), &path);
        assert_eq!((found.lines, found.chained, found.first, found.faulty), (4, 2, Some(3), 0), "{found:?}");
    }

    #[test]
    fn a_checkpoint_is_of_what_stands_above_it() {
        let mut world = World::of(2);
        let of = hex(&world.log.end().unwrap().unwrap());
        // Others write before it is there.
        world.append(2);
        let line =
            |of: &str| format!("{{\"event\":\"checkpoint\",\"of\":\"{of}\",\"signature\":\"s\"}}\n").into_bytes();
        world.log.append(&[line(&of)]).unwrap();
        let found = world.found();
        assert_eq!((found.checkpoints, found.signed, found.faulty), (1, 1, 0), "{found:?}");
        let refused = Proof::default()
            .file(std::fs::read(world.path()).unwrap().as_slice(), |_| Err("is forged".to_owned()))
            .unwrap();
        assert_eq!(refused.faults, [(4, "is a checkpoint that is forged".to_owned())]);
        world.log.append(&[line(&"0".repeat(64))]).unwrap();
        assert!(world.found().faults[0].1.contains("does not stand above it"));
    }

    #[test]
    fn many_who_write_at_once_leave_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut log = LogFile::new(&path);
                scope.spawn(move || {
                    for number in 0..100 {
                        log.append(&[format!("{{\"event\":\"end\",\"n\":{number}}}\n").into_bytes()]).unwrap();
                    }
                });
            }
        });
        let found = found(&mut Proof::default(), &path);
        assert_eq!((found.chained, found.faulty), (400, 0), "{found:?}");
    }
}
