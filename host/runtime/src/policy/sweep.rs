//! Every flag of every row, run under strace: what the table allows opens nothing to write, changes nothing, speaks to no other machine and
//! runs no program but its own. Debian's programs are swept, and those of busybox that have the same names.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::table::{FIND, Kind, MANY, Operands, Row, rows};
use super::{CommandPolicy, Pipeline, Stage, StderrTo, Word, check, render};

#[path = "../../tests/policy/trace.rs"]
mod trace;

/// Programs that are a script or a front of another, and what they run.
const FRONTS: &[(&str, &[&str])] = &[("zcat", &["gzip"]), ("dpkg", &["dpkg-query"])];

/// Flags that keep a program short on a machine that has much to tell.
const SHORT: &[(&str, &[&str])] = &[("journalctl", &["-n", "1"])];

/// A name that is looked up if anything is: no server knows it (RFC 6761).
const NAME: &str = "scout.invalid";

/// Sets of operands that each flag is tried with.
const BESIDE: usize = 2;

/// Values and operands of a kind. Free text is a name to look up, a number and a tag.
fn samples(kind: Kind) -> Vec<String> {
    let some = |samples: &[&str]| samples.iter().map(|sample| (*sample).to_owned()).collect();
    match kind {
        Kind::Number | Kind::Size | Kind::Numbers => some(&["1"]),
        Kind::Text => some(&[NAME, "1", "LABEL=scout"]),
        Kind::Pattern => some(&["b"]),
        Kind::Path => some(&["a", "a.gz", "sub"]),
        Kind::OneOf(known) => some(known),
        Kind::ListOf(known) => vec![known.join(",")],
        Kind::MountPath => some(&["/", "/dev/sda"]),
        Kind::Names => some(&["MESSAGE", "Id,MainPID,Timezone"]),
        Kind::FieldMatch => some(&["_PID=1"]),
        Kind::DateFormat => some(&["+%F"]),
        Kind::PsWord => some(&["1", "aux"]),
        Kind::Mode => some(&["644"]),
        Kind::Format => some(&["%s"]),
        Kind::SedPrint => some(&["1p"]),
        Kind::AwkPrint => some(&["{print $1}"]),
    }
}

/// Each flag in each way that it can be given, as words.
fn flags(row: &Row) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    all.extend(row.short.chars().map(|letter| vec![format!("-{letter}")]));
    all.extend(row.whole.split_ascii_whitespace().map(|flag| vec![flag.to_owned()]));
    all.extend(row.long.split_ascii_whitespace().map(|flag| vec![format!("--{flag}")]));
    for (letter, kind) in row.short_values {
        all.extend(samples(*kind).into_iter().map(|value| vec![format!("-{letter}"), value]));
    }
    for (letter, kind) in row.short_optional {
        all.push(vec![format!("-{letter}")]);
        all.extend(samples(*kind).into_iter().map(|value| vec![format!("-{letter}{value}")]));
    }
    for (flag, kind) in row.long_values {
        all.extend(samples(*kind).into_iter().map(|value| vec![format!("--{flag}={value}")]));
    }
    for (flag, kind) in row.long_optional {
        all.push(vec![format!("--{flag}")]);
        all.extend(samples(*kind).into_iter().map(|value| vec![format!("--{flag}={value}")]));
    }
    if row.dash_number {
        all.push(vec!["-1".to_owned()]);
    }
    all
}

/// Operands as people give them.
fn operands(row: &Row) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match row.operands {
        Operands::Each(kind, min, max) => {
            let mut all = Vec::new();
            if min == 0 {
                all.push(Vec::new());
            }
            match (kind, max) {
                (_, 0) => {}
                (Kind::Path, MANY) => all.push(samples(kind)),
                _ => all.extend(samples(kind).into_iter().map(|sample| vec![sample; min.max(1)])),
            }
            all
        }
        Operands::FirstThenPaths(kind, _) => samples(kind)
            .into_iter()
            .map(|first| [vec![first], samples(Kind::Path)].concat())
            .chain([samples(Kind::Path)])
            .collect(),
        Operands::Subcommand(known) => {
            let each = known.iter().flat_map(|word| [words(&[word]), words(&[word, NAME])]);
            [Vec::new()].into_iter().chain(each).collect()
        }
        Operands::SocketFilter => vec![
            Vec::new(),
            words(&["state", "established"]),
            words(&["dst", "192.0.2.1"]),
            words(&["dst 192.0.2.0/24:443 or src [::1]"]),
            words(&["(", "sport", "=", ":22", "or", "dport", "!=", ":https", ")"]),
        ],
        Operands::Show(objects, verbs) => {
            let each = objects.iter().flat_map(|object| {
                let shown = verbs.iter().map(move |verb| words(&[object, verb, NAME]));
                [words(&[object]), words(&[object, "show", "to", NAME])].into_iter().chain(shown)
            });
            each.collect()
        }
        Operands::Words(_) => vec![words(&["%s", NAME])],
        Operands::Find => FIND
            .iter()
            .flat_map(|(primary, kind)| match kind {
                Some(kind) => samples(*kind).into_iter().map(|value| words(&[".", primary, &value])).collect(),
                None => vec![words(&[".", primary]), words(&[".", primary, "-print"])],
            })
            .collect(),
    }
}

/// What the table lets the program be given of these words, as a shell gets it; perhaps with a flag that the program needs.
fn admitted(row: &Row, words: &[String]) -> Option<String> {
    [None, row.needs.split_ascii_whitespace().next()].into_iter().find_map(|needed| {
        let short = SHORT.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, flags)| flags.iter().copied());
        let words = [row.name].into_iter().chain(short).chain(needed).chain(words.iter().map(String::as_str));
        let words = words.map(|word| Word::Literal(word.to_owned())).collect();
        let pipeline = Pipeline { stages: vec![Stage { words, stderr: StderrTo::Capture }], directory: None };
        check(CommandPolicy::ReadOnly, &pipeline).ok()?;
        Some(String::from_utf8(render(&pipeline).expect("within bounds")).expect("UTF-8"))
    })
}

/// Every set of operands, and every flag beside some of them: not all of them, so that a sweep stays short.
fn cases(row: &Row) -> Vec<String> {
    let operands = operands(row);
    let mut cases: Vec<String> = operands.iter().filter_map(|operands| admitted(row, operands)).collect();
    for (at, flag) in flags(row).into_iter().enumerate() {
        let from_another = operands.iter().cycle().skip(at).take(operands.len());
        let with = from_another.filter_map(|operands| admitted(row, &[flag.as_slice(), operands].concat()));
        let before = cases.len();
        cases.extend(with.take(BESIDE));
        assert!(cases.len() > before, "{} {flag:?} is admitted with no operands of the sweep", row.name);
    }
    cases
}

fn files(directory: &Path) {
    std::fs::create_dir(directory.join("sub")).expect("a directory");
    for file in ["a", "b", "sub/c"] {
        std::fs::write(directory.join(file), "b a\na b\n").expect("a file");
    }
    // An empty gzip member (RFC 1952).
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    std::fs::write(directory.join("a.gz"), gzip).expect("a file");
}

fn applets() -> BTreeSet<String> {
    let out = Command::new("busybox").arg("--list").output().expect("busybox is missing: apt-get install busybox");
    String::from_utf8(out.stdout).expect("names").lines().map(str::to_owned).collect()
}

/// What is amiss with a row's program, run as `exec` says.
fn swept(row: &Row, exec: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    files(directory.path());
    let line = |case: String| {
        let case = case.strip_prefix("exec ").unwrap_or(&case).to_owned();
        format!("( exec {exec}{case} )\n")
    };
    let script: String = cases(row).into_iter().map(line).collect();
    let trace = trace::trace(script.as_bytes(), directory.path());
    let fronts = FRONTS.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, programs)| *programs);
    let own: Vec<&str> = ["sh", row.name, "busybox"].into_iter().chain(fronts.copied()).collect();
    let strangers = trace.programs.iter().filter(|program| !own.contains(&program.as_str()));
    let strangers = strangers.map(|program| format!("{exec}{} runs {program}", row.name));
    // Its own file is what has to be run at all.
    let name = if exec.is_empty() { row.name } else { "busybox" };
    let idle = (!trace.programs.contains(name)).then(|| format!("{name} is missing: tests/ci.sh installs it"));
    strangers.chain(trace.deeds).chain(idle).collect()
}

#[test]
fn no_flag_writes_connects_or_runs_another_program() {
    let applets = applets();
    let mut runs: Vec<(&Row, &str)> = rows().map(|row| (row, "")).collect();
    runs.extend(rows().filter(|row| applets.contains(row.name)).map(|row| (row, "busybox ")));
    let (open, amiss) = (Mutex::new(runs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = open.lock().expect("no thread panicked").pop();
                    let Some((row, exec)) = next else { return };
                    let found = swept(row, exec);
                    amiss.lock().expect("no thread panicked").extend(found);
                }
            });
        }
    });
    let amiss = amiss.into_inner().expect("no thread panicked");
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
}

#[test]
fn what_is_no_look_is_seen() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = "cat /dev/null >/dev/null\necho text | tac\n: >made\nmv made moved\nmkdir made\nbash -c ': >/dev/udp/192.0.2.1/9'\n";
    let trace = trace::trace(script.as_bytes(), directory.path());
    for program in ["sh", "cat", "tac", "mv", "mkdir", "bash"] {
        assert!(trace.programs.contains(program), "{program}: {trace:?}");
    }
    for deed in ["\"made\", O_WRONLY|O_CREAT", "rename", "mkdir", "sin_addr=inet_addr(\"192.0.2.1\")"] {
        assert!(trace.deeds.iter().any(|seen| seen.contains(deed)), "{deed}: {trace:?}");
    }
    for innocent in ["/dev/null\"", "tac"] {
        assert!(!trace.deeds.iter().any(|seen| seen.contains(innocent)), "{innocent}: {trace:?}");
    }
}
