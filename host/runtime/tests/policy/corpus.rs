//! Two lists run against real programs: attempts to get round the policy, and commands that must simply work.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use scout_runtime::policy::{CommandPolicy, check, render};

use super::home::{SECRET, cases, home, snapshot};
use super::trace::trace;
use super::world::{World, parse, run, which};

/// How long the sleeping process of an attempt would live, in seconds; found again by it.
const SLEEPER: &str = "86399.25";

fn sleepers() -> usize {
    let processes = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .filter(|line| line.split(|byte| *byte == 0).any(|word| word == SLEEPER.as_bytes()))
        .count()
}

#[test]
fn no_attempt_changes_a_file_starts_a_process_or_shows_a_secret() {
    let attempts = cases(include_str!("bypasses.txt"));
    assert!(attempts.len() >= 150, "{}", attempts.len());
    for program in ["tree", "rg", "busybox", "file", "ss", "journalctl"] {
        which(program);
    }
    let (mut unparsed, mut refused, mut ran) = (0, 0, 0);
    for attempt in &attempts {
        let Some(pipeline) = parse(attempt) else {
            unparsed += 1;
            continue;
        };
        if check(CommandPolicy::ReadOnly, &pipeline).is_err() {
            refused += 1;
            continue;
        }
        let script = render(&pipeline).expect("within bounds");
        for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
            let home = home();
            let before = snapshot(home.path());
            let environment = [("SCOUT_SECRET", OsStr::new(SECRET))];
            let out = run(shell, &script, home.path(), &environment);
            assert_eq!(snapshot(home.path()), before, "{shell:?} {attempt:?} changed a file");
            let shown = [out.stdout, out.stderr].concat();
            assert!(!String::from_utf8_lossy(&shown).contains(SECRET), "{shell:?} {attempt:?} shows a secret");
            assert_ne!(out.status.code(), Some(124), "{shell:?} {attempt:?} did not end");
        }
        // What no snapshot shows: files elsewhere, other machines, other programs.
        let trace = trace(&script, home().path());
        assert_eq!(trace.deeds, [""; 0], "{attempt:?}");
        let secret = [".netrc", ".pgpass", "id_rsa", "shadow"];
        let is_secret = |(_, path): &&(String, PathBuf)| {
            path.file_name().is_some_and(|name| secret.iter().any(|secret| name == *secret))
        };
        assert_eq!(trace.opened.iter().find(is_secret), None, "{attempt:?}");
        let devices: Vec<_> = trace.named.iter().filter(|(_, path)| path.starts_with("/dev/pts")).collect();
        assert!(devices.is_empty(), "{attempt:?} asks after {devices:?}");
        let stages = pipeline.stages.iter().map(|stage| program(&stage.words));
        let own: Vec<String> = ["sh".to_owned(), "gzip".to_owned()].into_iter().chain(stages).collect();
        assert!(trace.programs.iter().all(|program| own.contains(program)), "{attempt:?} runs {:?}", trace.programs);
        ran += 1;
    }
    assert_eq!(sleepers(), 0, "an attempt left a process");
    assert_eq!(unparsed + refused + ran, attempts.len());
    assert!(ran >= 20, "the list has attempts that run as nothing but text: {unparsed} {refused} {ran}");
}

/// Without the `./` that Scout writes before globs.
fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("./", "")
}

#[test]
fn benign_commands_are_allowed_and_answer_as_in_a_shell() {
    let commands = cases(include_str!("benign.txt"));
    assert!(commands.len() >= 100, "{}", commands.len());
    for command in &commands {
        // What changes from moment to moment, and what a machine may lack: its words are compared, by stand-ins.
        let (command, volatile) = command.strip_prefix('~').map_or((command.as_str(), false), |rest| (rest, true));
        let pipeline = parse(command).unwrap_or_else(|| panic!("{command} needs a shell"));
        if let Err(refusal) = check(CommandPolicy::ReadOnly, &pipeline) {
            panic!("{command} is refused: {refusal}");
        }
        let script = render(&pipeline).expect("within bounds");
        if volatile {
            let world = World::new();
            let programs: Vec<String> = pipeline.stages.iter().map(|stage| program(&stage.words)).collect();
            programs.iter().for_each(|program| world.stand_in(program));
            // Two of one name would tell their words in any order.
            let twice = programs
                .iter()
                .enumerate()
                .any(|(at, program)| programs.iter().skip(at + 1).any(|next| next == program));
            assert!(!twice, "{command} runs a program twice");
            let programs: Vec<_> = programs.iter().map(String::as_str).collect();
            let (sent, typed) =
                (world.told(&["dash"], &script, &programs), world.told(&["dash"], command.as_bytes(), &programs));
            assert!(sent.iter().all(Option::is_some), "{command} ran nothing");
            assert_eq!(sent, typed, "{command}");
            continue;
        }
        let home = home();
        // A plain shell would take it for a flag.
        std::fs::remove_file(home.path().join("-oout")).expect("it is there");
        let outcome = |script: &[u8], home: &Path| {
            let out = run(&["dash"], script, home, &[]);
            (out.status.code(), plain(&out.stdout), plain(&out.stderr))
        };
        assert_eq!(outcome(&script, home.path()), outcome(command.as_bytes(), home.path()), "{command}");
    }
}

fn program(words: &[scout_runtime::policy::Word]) -> String {
    match words.first() {
        Some(scout_runtime::policy::Word::Literal(name)) => name.clone(),
        other => panic!("no program: {other:?}"),
    }
}

#[test]
fn ps_shows_no_environment_whatever_flags_stand_together() {
    const FLAGS: &[&str] = &[
        "-f",
        "-F",
        "-l",
        "-L",
        "-w",
        "-y",
        "-H",
        "--forest",
        "-o args",
        "--format=pid,args",
        "--sort=-%mem",
        "-a",
        "-d",
        "-T",
        "-j",
        "-p 1",
        "-p 99999999999",
        "--user nosuch",
        "a",
        "x",
        "u",
        "f",
        "T",
        "1",
        "--cols 300",
    ];
    which("ps");
    let home = home();
    // A process of the same account whose environment would be shown.
    let environment = [("SCOUT_SECRET", OsStr::new(SECRET))];
    let mut lines = Vec::new();
    for (at, first) in FLAGS.iter().enumerate() {
        for (next, second) in FLAGS.iter().enumerate().skip(at) {
            let third = FLAGS[(at * 7 + next * 3) % FLAGS.len()];
            lines.push(format!("ps -e {first} {second} {third}"));
            lines.push(format!("ps -A {first} {second} {third}"));
            lines.push(format!("ps {first} -e {second}"));
        }
    }
    let allowed: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let pipeline = parse(line).expect(line);
            check(CommandPolicy::ReadOnly, &pipeline).is_ok().then(|| render(&pipeline).expect("within bounds"))
        })
        .collect();
    assert!(allowed.len() > 100, "{} of {}", allowed.len(), lines.len());
    for scripts in allowed.chunks(40) {
        // Without `exec`, many in one shell.
        let script =
            scripts.iter().flat_map(|script| [script.strip_prefix(b"exec ").unwrap_or(script), b"\n"].concat());
        let out = run(&["dash"], &script.collect::<Vec<_>>(), home.path(), &environment);
        let shown = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(shown.contains("PID") || shown.contains("COMMAND"), "ps printed nothing: {out:?}");
        let culprit = shown.lines().find(|line| line.contains(SECRET));
        assert_eq!(culprit, None, "one of {scripts:?}");
    }
}
