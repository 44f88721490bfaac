//! Whatever is checked, exactly that runs: pipelines are rendered, run by real shells, and the arguments that arrive are compared byte for byte.
//!
//! Cases are drawn from a seed that a failure prints with the smallest case that still fails; `POLICY_SEED` sets another.

use std::os::unix::ffi::OsStrExt as _;

use scout_machine::RemotePath;
use scout_runtime::policy::{CommandPolicy, Pipeline, Stage, StderrTo, Word, check, render};

use super::world::{self, HOSTILE, PROGRAMS, SHELLS, World, parse};

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn text(&mut self, alphabet: &[&str], longest: usize) -> String {
        (0..self.below(longest + 1)).map(|_| self.of(alphabet)).collect()
    }
}

fn seed() -> u64 {
    std::env::var("POLICY_SEED").map_or(0x5c07_0000_7e57, |seed| seed.parse().expect("POLICY_SEED is a number"))
}

/// What a word may be made of: everything that means something to some shell.
const CHARACTERS: &[&str] = &[
    "'",
    "\"",
    "\\",
    "$",
    "`",
    "\n",
    "\r",
    "\t",
    " ",
    "-",
    "--",
    "~",
    "=",
    "#",
    "!",
    "*",
    "?",
    "[",
    "]",
    "{a,b}",
    "{1..3}",
    "(",
    ")",
    "<",
    ">",
    "|",
    "||",
    "&",
    "&&",
    ";",
    "%",
    "^",
    "a",
    "B",
    "7",
    "$(id)",
    "${x}",
    "$((1))",
    "\u{1}",
    "\u{1b}",
    "\u{7f}",
    "\u{81}",
    "\u{a0}",
    "\u{2028}",
    "\u{3000}",
    "\u{e9}",
    "\u{20ac}",
    "\u{1f980}",
    "\\n",
    "'\\''",
    "$'x'",
    "<(id)",
    "/",
    ".",
    ":",
    "+",
    ",",
    "@",
    "2>&1",
    ">out",
    "A=1",
];

/// Globs whose meaning is the same in every shell.
const GLOBS: &[&str] = &[
    "*",
    "?",
    "??",
    "a*",
    "*b",
    "*b*",
    "[ab]",
    "[ab]*",
    "[!a]*",
    "[a-c]?*",
    "$*",
    "`*",
    "'*",
    "\"*",
    "\\**",
    "{*",
    "*}",
    "a b*",
    "a*$",
    "#*",
    "!*",
    "~*",
    "*=*",
    "[$`]*",
    "|*",
    "&*",
    "nothing*",
    "$(touch canary)*",
    "*;*",
    "*\n*",
    "\u{3000}*",
    "caf*",
    "*\u{e9}",
    ".h*",
    "a?b",
    "back*",
];

/// What a shell makes of a glob: the names that match, sorted as bytes, or the glob itself.
fn expanded(glob: &str) -> Vec<Vec<u8>> {
    let prefix: &[u8] = if glob.starts_with(['*', '?', '[']) { b"./" } else { b"" };
    let mut names: Vec<_> =
        HOSTILE.iter().filter(|name| matches(glob.as_bytes(), name, true)).map(|name| name.to_vec()).collect();
    names.sort();
    if names.is_empty() {
        names.push(glob.as_bytes().to_vec());
    }
    names.into_iter().map(|name| [prefix, &name].concat()).collect()
}

fn matches(glob: &[u8], name: &[u8], at_start: bool) -> bool {
    let visible = !(at_start && name.first() == Some(&b'.'));
    match glob {
        [] => name.is_empty(),
        [b'*', rest @ ..] => visible && (0..=name.len()).any(|skip| matches(rest, &name[skip..], false)),
        [b'?', rest @ ..] => visible && !name.is_empty() && matches(rest, &name[1..], false),
        [b'[', rest @ ..] if rest.contains(&b']') => {
            let end = rest.iter().position(|byte| *byte == b']').expect("just seen");
            let (inverted, set) = match &rest[..end] {
                [b'!', set @ ..] => (true, set),
                set => (false, set),
            };
            let Some((first, name)) = name.split_first() else { return false };
            let within = set.contains(first) && *first != b'-'
                || set.windows(3).any(|range| range[1] == b'-' && (range[0]..=range[2]).contains(first));
            visible && within != inverted && matches(&rest[end + 1..], name, false)
        }
        [byte, rest @ ..] => name.first() == Some(byte) && matches(rest, &name[1..], false),
    }
}

/// What the stand-ins tell when each was given these words.
fn expected(pipeline: &Pipeline) -> Vec<Option<Vec<u8>>> {
    let of_stage = |stage: &Stage| {
        let words: Vec<_> = stage
            .words
            .iter()
            .skip(1)
            .flat_map(|word| match word {
                Word::Literal(text) => vec![text.clone().into_bytes()],
                Word::Glob(glob) => expanded(glob),
            })
            .collect();
        let count = words.len().to_string().into_bytes();
        [count].into_iter().chain(words).flat_map(|word| [word, vec![0]].concat()).collect()
    };
    pipeline.stages.iter().map(|stage| Some(of_stage(stage))).collect()
}

fn arrives(world: &World, shell: &[&str], pipeline: &Pipeline) -> bool {
    let script = render(pipeline).expect("within bounds");
    world.told(shell, &script, &PROGRAMS[..pipeline.stages.len()]) == expected(pipeline)
}

/// The smallest pipeline that still does not arrive: words are dropped, then their characters.
fn shrunk(world: &World, shell: &[&str], mut pipeline: Pipeline) -> Pipeline {
    let smaller = |pipeline: &Pipeline| {
        let mut all = Vec::new();
        for (at, stage) in pipeline.stages.iter().enumerate() {
            for (word_at, word) in stage.words.iter().enumerate().skip(1) {
                let mut without = pipeline.clone();
                without.stages[at].words.remove(word_at);
                all.push(without);
                if let Word::Literal(text) = word {
                    for (from, character) in text.char_indices() {
                        let mut shorter = pipeline.clone();
                        let kept = [&text[..from], &text[from + character.len_utf8()..]].concat();
                        shorter.stages[at].words[word_at] = Word::Literal(kept);
                        all.push(shorter);
                    }
                }
            }
        }
        all
    };
    while let Some(next) = smaller(&pipeline).into_iter().find(|candidate| !arrives(world, shell, candidate)) {
        pipeline = next;
    }
    pipeline
}

#[test]
fn exactly_the_checked_words_arrive_in_every_shell() {
    let world = World::new();
    let seed = seed();
    let mut random = Random(seed);
    for _ in 0..60 {
        let stages = PROGRAMS[..=random.below(PROGRAMS.len())].iter().map(|program| {
            let mut words = vec![Word::Literal((*program).to_owned())];
            words.extend((0..random.below(24)).map(|_| match random.below(4) {
                0 => Word::Glob(random.of(GLOBS).to_owned()),
                _ => Word::Literal(random.text(CHARACTERS, 8)),
            }));
            Stage { words, stderr: [StderrTo::Capture, StderrTo::Discard, StderrTo::Stdout][random.below(3)] }
        });
        let pipeline = Pipeline { stages: stages.collect(), directory: None };
        assert_eq!(check(CommandPolicy::Shell, &pipeline), Ok(()), "within bounds");
        for shell in SHELLS {
            if !arrives(&world, shell, &pipeline) {
                panic!("POLICY_SEED={seed}: {shell:?} changes {:?}", shrunk(&world, shell, pipeline));
            }
        }
    }
}

#[test]
fn a_lone_builtin_runs_in_every_shell() {
    for (line, status) in [
        ("ulimit -n", 0),
        ("command -v ls", 0),
        ("exit 3", 3),
        ("cd /", 0),
        ("cd /absent", 2),
        ("type ls", 0),
        ("umask", 0),
        ("set", 0),
        ("export", 0),
        ("readonly", 0),
        ("times", 0),
        ("trap", 0),
        ("alias", 0),
        ("jobs", 0),
        ("hash", 0),
        (":", 0),
        ("shift 0", 0),
        ("unset nothing", 0),
        ("eval 'exit 4'", 4),
        ("exec ls", 0),
        ("kill -0 1", 0),
        ("kill -l", 0),
        ("unalias nothing", 1),
        ("getopts a option", 1),
        ("wait", 0),
        ("read line", 1),
        (". /dev/null", 0),
    ] {
        let text = render(&parse(line).expect(line)).expect(line);
        for shell in SHELLS {
            let mut command = std::process::Command::new(shell[0]);
            command
                .args(&shell[1..])
                .arg("-c")
                .arg(std::ffi::OsStr::from_bytes(&text))
                .stdin(std::process::Stdio::null());
            let output = command.output().expect("the shell runs");
            // Shells disagree on how a failure of theirs is told, never on whether it is one.
            let told = output.status.code();
            assert!(
                told == Some(status) || status == 2 && matches!(told, Some(1 | 2)),
                "{shell:?}: {line}: {output:?}"
            );
        }
    }
}

#[test]
fn words_that_the_table_allows_arrive_in_every_shell() {
    let world = World::new();
    let seed = seed();
    let mut random = Random(seed);
    let mut allowed = 0;
    for _ in 0..400 {
        let mut words = vec![Word::Literal("grep".into())];
        words.extend(
            (0..random.below(5))
                .map(|_| Word::Literal(random.of(&["-n", "-i", "-e", "--", "-A", "3", "x", "-rn"]).to_owned())),
        );
        words.extend((0..random.below(4)).map(|_| match random.below(2) {
            0 => Word::Glob(random.of(GLOBS).to_owned()),
            _ => Word::Literal(random.text(CHARACTERS, 5)),
        }));
        let first =
            Stage { words: vec![Word::Literal("cat".into()), Word::Glob("a*".into())], stderr: StderrTo::Capture };
        let second =
            Stage { words: vec![Word::Literal("cut".into()), Word::Literal("-f1".into())], stderr: StderrTo::Capture };
        let stages = vec![first, second, Stage { words, stderr: StderrTo::Capture }];
        let pipeline = Pipeline { stages, directory: None };
        if check(CommandPolicy::ReadOnly, &pipeline).is_ok() {
            allowed += 1;
            let shell = SHELLS[allowed % SHELLS.len()];
            if !arrives(&world, shell, &pipeline) {
                panic!("POLICY_SEED={seed}: {shell:?} changes {:?}", shrunk(&world, shell, pipeline));
            }
        }
    }
    assert!(allowed > 60, "too few of the cases drawn are allowed: {allowed}");
}

#[test]
fn a_line_that_parses_means_to_the_shell_what_was_parsed() {
    // No carriage return: the plugin takes those after a command away, as no shell does.
    const PARTS: &[&str] = &[
        "'",
        "\"",
        "\\",
        "$",
        "`",
        "\n",
        "\t",
        " ",
        " ",
        " ",
        "-",
        "=",
        "#",
        "!",
        "{",
        "}",
        "(",
        ">",
        "|",
        "| sort ",
        "&",
        ";",
        "%",
        "^",
        "a",
        "b",
        "$x",
        "'a b'",
        "\"c d\"",
        "\"$\"",
        "\\\n",
        "\\ ",
        "'\\'",
        "\\\\",
        "''",
        "$'x'",
        "\u{a0}",
        "\u{e9}",
        "*",
        "?",
        "[a]",
        "'*'",
        "~",
        "/",
        ".",
        " 2>&1",
        " 2>/dev/null",
        "2",
        "if",
        "A=1",
        " -- ",
        "@",
        "+",
        ",",
        ":",
    ];
    let world = World::new();
    let seed = seed();
    let mut random = Random(seed);
    let mut understood = 0;
    for _ in 0..3000 {
        let line = format!("cat {}", random.text(PARTS, 9));
        let Some(pipeline) = parse(&line) else { continue };
        let named =
            |(stage, program): (&Stage, &&str)| stage.words.first() == Some(&Word::Literal((*program).to_owned()));
        let known = pipeline.stages.len() <= 2 && pipeline.stages.iter().zip(&PROGRAMS).all(named);
        // `~` is told as `.` (the home directory is where commands run), and some globs mean different things in different shells.
        if !known
            || line.contains('~')
            || pipeline.stages.iter().flat_map(|stage| &stage.words).any(|word| matches!(word, Word::Glob(_)))
        {
            continue;
        }
        understood += 1;
        let programs = &PROGRAMS[..pipeline.stages.len()];
        let shell = SHELLS[understood % SHELLS.len()];
        let plain = world.told(shell, line.as_bytes(), programs);
        assert_eq!(
            plain,
            expected(&pipeline),
            "POLICY_SEED={seed}: {shell:?} reads {line:?} otherwise than {pipeline:?}"
        );
        assert!(arrives(&world, shell, &pipeline), "POLICY_SEED={seed}: {line:?} in {shell:?}");
    }
    assert!(understood > 300, "too few of the lines drawn are pipelines: {understood}");
}

#[test]
fn a_directory_of_any_bytes_is_entered() {
    let hostile = HOSTILE.iter().filter(|name| !matches!(**name, b"~" | b"-")).map(|name| [b"d", *name].concat());
    for name in hostile.chain([
        b"-".to_vec(),
        b"~".to_vec(),
        b"./~root".to_vec(),
        b"--help".to_vec(),
        b"\xff\xfe'\n$(id)".to_vec(),
    ]) {
        let inside = tempfile::tempdir().expect("a directory");
        let path = inside.path().join(std::ffi::OsStr::from_bytes(&name));
        std::fs::create_dir(&path).expect("a directory");
        std::fs::write(path.join("found"), b"").expect("a file");
        for shell in SHELLS {
            let directory = if name == b"~" { path.as_os_str().as_bytes() } else { &name };
            let listing =
                Stage { words: vec![Word::Literal("ls".into()), Word::Glob("f*".into())], stderr: StderrTo::Capture };
            let pipeline = Pipeline { stages: vec![listing], directory: RemotePath::parse(directory).ok() };
            assert_eq!(check(CommandPolicy::ReadOnly, &pipeline), Ok(()));
            let out = world::run(shell, &render(&pipeline).expect("no NUL"), inside.path(), &[]);
            assert_eq!(out.stdout, b"found\n", "{shell:?} {:?}: {out:?}", String::from_utf8_lossy(&name));
        }
    }
}
