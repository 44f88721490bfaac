//! Which keywords there are: those of the installed ssh, found in its own program.

use std::collections::BTreeSet;
use std::process::Command;

use crate::world::world_of;

/// Shorter than any keyword, and longer than all.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=40;

/// Keywords that the installed ssh may not know and that fail nowhere here, besides those that begin with GSSAPI.
const OTHERS: [&str; 6] =
    ["ChannelTimeout", "ObscureKeystrokeTiming", "Tag", "UseKeychain", "VersionAddendum", "WarnWeakCrypto"];
/// The same, and they mean something here.
const EVALUATED: [&str; 1] = ["RefuseConnection"];

/// All that may be a keyword of ssh, but those that begin a block: whatever ends a string of the program. Compilers let strings share their ends.
fn candidates() -> BTreeSet<String> {
    let output = Command::new("sh").args(["-c", "command -v ssh"]).output().unwrap();
    let program =
        std::fs::read(String::from_utf8(output.stdout).unwrap().trim()).expect("apt-get install openssh-client");
    let mut words = BTreeSet::new();
    for string in program.split(|byte| *byte == 0) {
        let length = string.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let end: String = string[string.len() - length..].iter().map(|byte| char::from(*byte)).collect();
        let ends = LENGTHS.filter(|length| *length <= end.len()).map(|length| &end[end.len() - length..]);
        words.extend(ends.map(str::to_ascii_lowercase));
    }
    words.retain(|word| word != "host" && word != "match");
    words
}

/// Those that ssh does not call bad.
fn known_to_ssh(words: &BTreeSet<String>) -> Vec<&String> {
    let mut left: Vec<&String> = words.iter().collect();
    let mut known = Vec::new();
    while !left.is_empty() {
        let lines: Vec<String> = left.iter().map(|word| format!("{word} x")).collect();
        let world = world_of(&lines.join("\n"));
        let output = world.ssh(&["-G", "any"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let numbered = |line: &str| -> Option<usize> {
            let (_, rest) = line.split_once("line ")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let bad: BTreeSet<usize> =
            said.lines().filter(|line| line.contains("Bad configuration option")).filter_map(numbered).collect();
        // At some values ssh gives up at once: all up to there is known about.
        let is_over = said.contains("terminating, ") || output.status.success();
        let last = if is_over { left.len() } else { said.lines().filter_map(numbered).max().unwrap_or(0) };
        assert!(last > 0, "ssh names no line: {said}");
        known.extend((1..=last).filter(|number| !bad.contains(number)).map(|number| left[number - 1]));
        left.drain(..last);
    }
    known
}

/// Those that Scout does not call unknown.
fn known_to_scout(words: &BTreeSet<String>) -> BTreeSet<&String> {
    let words: Vec<&String> = words.iter().collect();
    let mut known = BTreeSet::new();
    // Each stands in a block of its own.
    for some in words.chunks(200) {
        let blocks: Vec<String> = some.iter().map(|word| format!("Host of-{word}\n{word} x\n")).collect();
        let config = world_of(&blocks.concat()).scout();
        known.extend(some.iter().filter(|word| match config.resolve(&format!("of-{word}")) {
            Ok(_) => true,
            Err(error) => !error.message().contains("is not a known keyword"),
        }));
    }
    known
}

#[test]
fn every_keyword_of_ssh_is_known() {
    let words = candidates();
    let known = known_to_ssh(&words);
    assert!(known.len() > 100 && known.len() < 250, "{} keywords in {} words", known.len(), words.len());
    let ours = known_to_scout(&words);
    let unknown: Vec<_> = known.iter().filter(|keyword| !ours.contains(*keyword)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let is_of_others = |word: &str| {
        OTHERS.iter().chain(&EVALUATED).any(|other| other.eq_ignore_ascii_case(word)) || word.starts_with("gssapi")
    };
    let only_ours: Vec<_> = ours.iter().filter(|word| !known.contains(word) && !is_of_others(word)).collect();
    assert!(only_ours.is_empty(), "{only_ours:?}");
}

#[test]
fn keywords_of_other_systems_and_versions_do_not_fail() {
    for keyword in OTHERS.iter().chain(&["GSSAPIFutureThing", "GSSAPIKexAlgorithms"]) {
        assert!(world_of(&format!("{keyword} x\n")).scout().resolve("any").is_ok(), "{keyword}");
    }
}
