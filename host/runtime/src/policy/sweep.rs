//! Every flag of every row, run under strace: what the table allows opens nothing to write, changes nothing, speaks to no other machine and
//! runs no program but its own. And values of every kind, that try to name a file: nothing is opened or asked after that was not held against
//! the secret paths, and no device. Debian's programs are swept, and those of busybox that have the same names.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::table::{FIND, Kind, MANY, Operands, Row, rows};
use super::{CommandPolicy, PathOperand, Pipeline, SecretPaths, Stage, StderrTo, Word, check, check_paths, render};

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
        Kind::Between(least, most) => vec![most.min(least.max(2)).to_string()],
        Kind::Buffer(_) => some(&["1M"]),
        Kind::Number(_) | Kind::Size(_) | Kind::Numbers | Kind::SortKey | Kind::Fields => some(&["1"]),
        Kind::Text | Kind::Word => some(&[NAME, "1", "LABEL=scout"]),
        Kind::Name | Kind::Package | Kind::NetWord => some(&[NAME, "1"]),
        Kind::Pattern | Kind::Separator | Kind::Glob | Kind::Set => some(&["b"]),
        Kind::Terminal => some(&["tty1", "pts/0"]),
        Kind::Path => some(&["a", "a.gz", "sub"]),
        Kind::OneOf(known) => some(known),
        Kind::ListOf(known) => vec![known.join(",")],
        Kind::MountPath => some(&["/", "/dev/sda"]),
        Kind::Names => some(&["MESSAGE", "Id,MainPID,Timezone"]),
        Kind::Columns => some(&["SIZE"]),
        Kind::FieldMatch => some(&["_PID=1"]),
        Kind::Time => some(&["yesterday", "2026-11-29 10:00:00"]),
        Kind::DateFormat => some(&["+%F"]),
        Kind::TimeStyle => some(&["long-iso", "+%F"]),
        Kind::Directives => some(&["%n"]),
        Kind::NumberingStyle => some(&["a", "pb"]),
        Kind::ByteFormat => some(&["x1z"]),
        Kind::FileParameter => some(&["bytes=64"]),
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
    if row.dash_number.is_some() {
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

/// How a value may name a file: `{T}` is a name that stands nowhere else, `{H}` the directory of the sweep.
const NAMING: &[&str] = &[
    "{T}",
    "./{T}",
    "../{T}",
    "{H}/{T}",
    "sub/{T}",
    "/dev/{T}",
    "@{H}/{T}",
    "@{T}",
    "={H}/{T}",
    "{T}={H}/{T}",
    "file://{H}/{T}",
    "~/{T}",
    "pts/{T}",
    "p{H}/{T}",
    "+{H}/{T}",
    "bytes={H}/{T}",
    "TZ=\"{H}/{T}\" now",
    "TZ=\":{T}\" 2026-11-29",
    "2026-11-29 10:00:00 {T}",
    "2026-11-29 10:00:00 {T}/{T}",
    "now {T}",
    "1,{H}/{T}",
    "{T}.service",
    "UUID={T}",
    "%{H}/{T}",
];

/// Where programs look for what a name alone tells: no part of the directory comes from the name.
const LOOKS_UP: &[(&str, &[&str])] = &[
    // In PATH.
    ("which", &["/"]),
    ("dpkg", &["/var/lib/dpkg"]),
    ("dpkg-query", &["/var/lib/dpkg"]),
    // Units, where no manager runs that could be asked.
    (
        "systemctl",
        &["/etc/systemd", "/etc/init.d", "/lib/systemd", "/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd"],
    ),
];

/// The name of the directories in which systemd's source of accounts looks for the name of one, whoever asks.
const ACCOUNTS: &str = "userdb";

/// Devices that programs open for themselves.
const OWN_DEVICES: &[&str] = &["/dev/null", "/dev/tty", "/dev/urandom", "/dev/random", "/dev/kmsg"];

/// Secret files that programs open for themselves, and show nothing of: procps 4 of every process that it tells the name of (that it shows none is a
/// test of its own), systemctl to find out whether it is in a container.
const OWN_SECRETS: &[&str] = &["ps", "systemctl"];

/// Every way to give a value: the words before it, and whether it is attached to the last of them.
fn slots(row: &Row) -> Vec<(Vec<String>, bool)> {
    let mut all = Vec::new();
    all.extend(row.short_values.iter().map(|(letter, _)| (vec![format!("-{letter}")], false)));
    all.extend(row.short_optional.iter().map(|(letter, _)| (vec![format!("-{letter}")], true)));
    let long = row.long_values.iter().chain(row.long_optional);
    all.extend(long.map(|(flag, _)| (vec![format!("--{flag}=")], true)));
    match row.operands {
        Operands::Find => {
            let primaries = FIND.iter().filter(|(_, kind)| kind.is_some());
            all.extend(primaries.map(|(primary, _)| (vec![".".to_owned(), (*primary).to_owned()], false)));
        }
        Operands::Subcommand(known) => all.extend(known.iter().map(|word| (vec![(*word).to_owned()], false))),
        Operands::Show(objects, verbs) => {
            let shown = objects.iter().flat_map(|object| {
                verbs.iter().flat_map(move |verb| {
                    let words =
                        |more: &[&str]| [&[*object, *verb], more].concat().into_iter().map(str::to_owned).collect();
                    [words(&[]), words(&["dev"]), words(&["type"]), words(&["table"])].map(|words| (words, false))
                })
            });
            all.extend(shown);
        }
        _ => {}
    }
    all.push((Vec::new(), false));
    all
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// A value of its own for each slot, way and set of operands, as a shell gets it, and what was held for it to be admitted.
fn naming(row: &Row, home: &Path) -> (Vec<String>, BTreeSet<PathBuf>) {
    let (secrets, held) = (SecretPaths::default(), RefCell::new(BTreeSet::new()));
    let holds = |operand: PathOperand<'_>| {
        let path = String::from_utf8_lossy(operand.path).into_owned();
        // A glob finds what is in its directory.
        let path =
            if operand.is_glob { Path::new(&path).parent().unwrap_or(Path::new(".")).to_owned() } else { path.into() };
        secrets.check_operand(operand)?;
        held.borrow_mut().insert(plain(&home.join(path)));
        Ok(())
    };
    let needed = row.needs.split_ascii_whitespace().next().map(str::to_owned);
    let short = SHORT.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, flags)| flags.iter().copied());
    let before: Vec<String> = [row.name].into_iter().chain(short).map(str::to_owned).chain(needed).collect();
    let (none, others) = (Vec::new(), operands(row));
    let mut cases = Vec::new();
    for (at, (words, is_attached)) in slots(row).into_iter().enumerate() {
        for (way, form) in NAMING.iter().enumerate() {
            let name = format!("zq{at}x{way}q");
            let value = form.replace("{T}", &name).replace("{H}", &home.display().to_string());
            let mut words = words.clone();
            match words.last_mut().filter(|_| is_attached) {
                Some(last) => last.push_str(&value),
                None => words.push(value),
            }
            let beside = [&none].into_iter().chain(others.iter().cycle().skip(at + way).take(others.len()));
            let admitted = beside.filter_map(|operands| {
                let words = before.iter().chain(&words).chain(operands).cloned().map(Word::Literal).collect();
                let pipeline = Pipeline { stages: vec![Stage { words, stderr: StderrTo::Capture }], directory: None };
                check_paths(&pipeline, &holds).ok()?;
                Some(String::from_utf8(render(&pipeline).expect("within bounds")).expect("UTF-8"))
            });
            cases.extend(admitted.take(1));
        }
    }
    (cases, held.into_inner())
}

/// Whether the path has a name that a value of the sweep has, apart from the sweep's directory: its name is random. busybox takes `--flag=value` for a file where it does not know the flag: there is none of
/// such a name.
fn is_named(path: &Path, home: &Path) -> bool {
    let path = path.strip_prefix(home).unwrap_or(path);
    let mut parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    path.components().all(|part| !part.as_os_str().as_encoded_bytes().starts_with(b"--"))
        && parts.any(|part| part.contains("zq"))
}

/// What a row's program opened or asked after, as `exec` runs it, that nobody held.
fn unheld(row: &Row, exec: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let home = directory.path();
    files(home);
    let (mut cases, mut held) = naming(row, home);
    cases.extend(self::cases(row));
    held.extend(samples(Kind::Path).iter().chain(&[".".to_owned()]).map(|path| plain(&home.join(path))));
    let trace = trace::trace(script(cases, exec).as_bytes(), home);
    // What is below a path that is held, and the way to it.
    let is_held = |path: &Path| {
        held.iter().any(|held| path.starts_with(held) && *held != home || held.starts_with(path)) || held.contains(path)
    };
    let looks_up = |path: &Path| {
        let is_own =
            |(name, places): &(&str, &[&str])| *name == row.name && places.iter().any(|place| path.starts_with(place));
        let parent = path.parent().filter(|parent| !is_named(parent, home));
        parent.is_some_and(|parent| parent.ends_with(ACCOUNTS) || LOOKS_UP.iter().any(is_own))
    };
    let named = trace.named.iter().filter(|(_, path)| is_named(path, home) && !looks_up(path));
    let secrets = SecretPaths::default();
    let opened = trace.opened.iter().filter(|(program, path)| {
        let is_device = path.starts_with("/dev")
            && path != Path::new("/dev")
            && !OWN_DEVICES.iter().any(|own| path == Path::new(own));
        let is_own = OWN_SECRETS.contains(&program.as_str()) && path.starts_with("/proc") && path.ends_with("environ");
        is_device || !is_own && secrets.check_path(path.as_os_str().as_encoded_bytes()).is_err()
    });
    let strangers = named.chain(opened).filter(|(_, path)| !is_held(&plain(path)));
    strangers.map(|(program, path)| format!("{exec}{} lets {program} at {}", row.name, path.display())).collect()
}

#[test]
fn no_value_makes_a_program_look_at_what_was_not_held() {
    let amiss = everywhere(unheld);
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
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

/// Commands as a script, each in a shell of its own, run as `exec` says.
fn script(cases: Vec<String>, exec: &str) -> String {
    let line = |case: String| {
        // What stands before is what the program finds in its environment.
        let (before, program) = case.split_once("exec ").unwrap_or(("", &case));
        format!("( {before}exec {exec}{program} )\n")
    };
    cases.into_iter().map(line).collect()
}

/// What is amiss with a row's program, run as `exec` says.
fn swept(row: &Row, exec: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    files(directory.path());
    let trace = trace::trace(script(cases(row), exec).as_bytes(), directory.path());
    let fronts = FRONTS.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, programs)| *programs);
    let own: Vec<&str> = ["sh", row.name, "busybox"].into_iter().chain(fronts.copied()).collect();
    let strangers = trace.programs.iter().filter(|program| !own.contains(&program.as_str()));
    let strangers = strangers.map(|program| format!("{exec}{} runs {program}", row.name));
    // Its own file is what has to be run at all.
    let name = if exec.is_empty() { row.name } else { "busybox" };
    let idle = (!trace.programs.contains(name)).then(|| format!("{name} is missing: tests/ci.sh installs it"));
    strangers.chain(trace.deeds).chain(idle).collect()
}

/// What a sweep finds of every row, and of every one that busybox has.
fn everywhere(sweep: fn(&Row, &str) -> Vec<String>) -> Vec<String> {
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
                    let found = sweep(row, exec);
                    amiss.lock().expect("no thread panicked").extend(found);
                }
            });
        }
    });
    amiss.into_inner().expect("no thread panicked")
}

#[test]
fn no_flag_writes_connects_or_runs_another_program() {
    let amiss = everywhere(swept);
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
    // And what only values name: a zone, by the time that it is in.
    let script = "date '--date=TZ=\"zq/x\" now'\ncat zqa\nfind . -newer zqb\n";
    let named = trace::trace(script.as_bytes(), directory.path()).named;
    for (program, name) in [("date", "zq/x"), ("cat", "zqa"), ("find", "zqb")] {
        assert!(named.iter().any(|(seen, path)| seen == program && path.ends_with(name)), "{name}: {named:?}");
    }
    for innocent in ["/dev/null\"", "tac"] {
        assert!(!trace.deeds.iter().any(|seen| seen.contains(innocent)), "{innocent}: {trace:?}");
    }
}
