//! The table as a Markdown document for people, and the proofs that nothing is missing from either.

use std::fmt::Write as _;

use super::super::{CommandPolicy, Pipeline, Stage, StderrTo, Word, check};
use super::{Row, kind_in_full, label, lists};
use crate::policy::absent::{ABSENT, VERSIONS};
use crate::policy::table::{
    ALONE, FIND, INTERVAL, Kind, MANY, ONLY_TELLS, Operands, ROUNDS, SHOW_VALUES, SHOW_WORDS, SOCKET_STATES,
    SOCKET_WORDS, row, rows,
};
use crate::written_pages;

/// What each kind of value may be, and what a program makes of it.
fn kinds() -> String {
    let mut out =
        String::from("\n## Kinds of values\n\n| kind | what it may be | what it names or opens |\n|---|---|---|\n");
    for kind in KINDS {
        let (may_be, names) = described(*kind);
        let label = kind_in_full(*kind).replace('|', "\\|");
        let _ = writeln!(out, "| `{label}` | {} | {names} |", may_be.replace('|', "\\|"));
    }
    out
}

/// One of each.
const KINDS: &[Kind] = &[
    Kind::Path,
    Kind::MountPath,
    Kind::Terminal,
    Kind::Number(1_000_000_000),
    Kind::Between(0, 10_000),
    Kind::Size(1 << 50),
    Kind::Buffer(1 << 30),
    Kind::Numbers,
    Kind::Text,
    Kind::Word,
    Kind::Pattern,
    Kind::Separator,
    Kind::Glob,
    Kind::Name,
    Kind::Package,
    Kind::Names,
    Kind::Columns,
    Kind::FieldMatch,
    Kind::Time,
    Kind::DateFormat,
    Kind::TimeStyle,
    Kind::Directives,
    Kind::NumberingStyle,
    Kind::SortKey,
    Kind::Fields,
    Kind::Set,
    Kind::ByteFormat,
    Kind::FileParameter,
    Kind::NetWord,
    Kind::NetValue,
    Kind::PsWord,
    Kind::Mode,
    Kind::Format,
    Kind::SedPrint,
    Kind::AwkPrint,
    Kind::AwkFile,
    Kind::JqFilter,
    Kind::Interface,
    Kind::Address,
    Kind::InternetFiles,
    Kind::Plain,
    Kind::KernelSetting,
    Kind::CertificateFile,
    Kind::DiskName,
    Kind::Disk,
    Kind::Template,
    Kind::Clock,
    Kind::Pool,
];

/// Whatever names nothing has a reason why not.
fn described(kind: Kind) -> (String, &'static str) {
    const NUMBERS: &str = "nothing: it holds numbers alone";
    const CLOSED: &str = "nothing: its grammar has no path";
    const COMPARED: &str = "nothing: it is compared or printed";
    let text = |text: &str| text.to_owned();
    match kind {
        Kind::Path => (
            text("any path, where the row says so a glob with at most 16 `*`"),
            "that file, and where the row has suffixes those names too; held against the secret paths, `paths` and devices",
        ),
        Kind::MountPath => (text("a path without `=`"), "that file, held in the same way"),
        Kind::Terminal => (
            text("letters and digits, `pts/N`, `?`, `-`"),
            "`/dev/X`, `/dev/ttyX`, `/dev/ptyX`, `/dev/pts/X` and `/dev/Xnsole`, which are asked after and not opened; held in the same way",
        ),
        Kind::Number(_) => (text("digits up to a bound, perhaps with a sign"), NUMBERS),
        Kind::Between(..) => (text("digits between two bounds"), NUMBERS),
        Kind::Size(_) => {
            (text("digits and a unit (`c w b k M G T P`, `KiB`) up to a bound, perhaps with a sign"), NUMBERS)
        }
        Kind::Buffer(_) => (text("the same; without a unit in KiB"), NUMBERS),
        Kind::Numbers => (text("numbers up to 4294967295, separated by commas"), NUMBERS),
        Kind::Text => (text("up to 4096 bytes; as a word of its own not beginning with `-`"), COMPARED),
        Kind::Word => (text("anything"), "nothing: it is printed"),
        Kind::Pattern => (
            text(
                "a regular expression of up to 4096 bytes, at most 32 groups within each other and 4 back-references. Where it has counts or `+`, all expressions of a command have at most 1000 characters when their repetitions are written out; where brackets or mixed escapes leave in doubt what a group is, a repetition counts for all that stands before it. With `grep -F` and `rg -F` only the length counts",
            ),
            COMPARED,
        ),
        Kind::Separator => (text("the same, or plain text"), COMPARED),
        Kind::Glob => {
            (text("up to 1024 bytes with at most 16 `*`"), "nothing: names that were found are held against it")
        }
        Kind::Name => (
            text("up to 1024 bytes without `/` and `..`"),
            "nothing by a path: the system looks for it among its own, accounts in its data of accounts and `which` in `PATH`",
        ),
        Kind::Package => (
            text("up to 1024 bytes without `..`"),
            "nothing but the package's own list; a path is looked for in the lists",
        ),
        Kind::Names => (text("letters, digits and `_`, none of an environment"), CLOSED),
        Kind::Columns => (text("letters, digits and `_ : % - + , .`"), CLOSED),
        Kind::FieldMatch => (text("`FIELD=anything`, of no environment, and `+`"), COMPARED),
        Kind::Time => (
            text(
                "numbers of up to 14 digits with `- + : . , @`, `/` between digits, and English words of time (`yesterday`, `2 hours ago`, `Mon`, `Nov`, `UTC`). No quotes, no `=`, no other word",
            ),
            "nothing: the name of a time zone would be a file's, and is refused",
        ),
        Kind::DateFormat => (text("`+` and anything, widths of up to 3 digits"), COMPARED),
        Kind::TimeStyle => (text("`full-iso`, `long-iso`, `iso`, `locale` or the same"), COMPARED),
        Kind::Directives => (text("anything, widths and precisions of up to 3 digits"), COMPARED),
        Kind::NumberingStyle => (text("`a`, `t`, `n` or `p` and a regular expression"), COMPARED),
        Kind::SortKey => (text("`F[.C][bdfgiMhnRrV]`, perhaps `,` and another, numbers up to 100000"), CLOSED),
        Kind::Fields => (text("`N`, `N-M`, `N-`, `-M` separated by commas, numbers up to 100000"), NUMBERS),
        Kind::Set => (text("up to 1024 bytes, `[x*N]` with N up to 1000"), COMPARED),
        Kind::ByteFormat => (text("letters of `acdfoux`, each perhaps with a size and `z`"), CLOSED),
        Kind::FileParameter => (text("one of its names, `=` and a number up to 1048576"), NUMBERS),
        Kind::NetWord => (
            text("an address of IPv4 or IPv6, perhaps with `/N`, or of hardware; `default`; the same as `INTERFACE`"),
            "nothing: no word has a path",
        ),
        Kind::NetValue => (text("letters, digits and `_ . : @ % -` without `..`"), "nothing: no word has a path"),
        Kind::PsWord => (text("letters of `auxwfjlrT`, or process ids"), CLOSED),
        Kind::Mode => (text("octal or symbolic"), CLOSED),
        Kind::Format => (text("text with `%s`, `%b` and `%%`"), "nothing: it is printed"),
        Kind::SedPrint => (
            text(
                "`Np`, `N,Mp`, `$p`, `/PATTERN/p`, `/PATTERN/,/PATTERN/p`, `Nq` joined by `;`, numbers up to 1000000000; brackets of a pattern hold no slash, no backslash and no `[` but that of a class such as `[:space:]`",
            ),
            CLOSED,
        ),
        Kind::AwkPrint => (
            text(
                "`{print …}` of `$N`, `$NF`, `$(NF-N)`, `NR`, `NF` and `\"text\"`, behind nothing or a pattern of `/PATTERN/`, `$N ~ /PATTERN/`, `NR > N`, `$N == \"text\"` joined by `&&` and `||`; fields up to 100000",
            ),
            CLOSED,
        ),
        Kind::AwkFile => (
            text(
                "any path that does not begin with `/inet`, `name=` or `space::name=`; a glob with at most 16 `*` that begins with a wildcard or holds more than letters, digits, `_` and `:` before the first",
            ),
            "that file, held in the same way",
        ),
        Kind::JqFilter => (
            text(
                "up to 1024 bytes: paths, `|`, `,`, `[ ]`, `{ }`, comparisons, `//`, text without `\\(`, `select`, `map`, `sort_by` and the like, `keys`, `length`, `to_entries`, `@tsv` and the like. What it makes weighs at most 256 times what it is given, counted by the text that each function may make of any; of two lists (`.x[]`) no values are combined, and none stands within `select` or beside other members of `{ }`: `[.x[]]` does",
            ),
            CLOSED,
        ),
        Kind::Interface => (
            text(
                "a name as the kernel, systemd or what makes networks of containers gives it, of up to 15 bytes: `lo`, `eth0`, `eth0:1`, `bond0.20`, `enp3s0f1np0`, `enx` and a hardware address, `p1p1`, `wlan0`, `br0`, `br-` and 12 hexadecimal digits, `veth1a2b3c`, `docker0`, `wg0` and the like",
            ),
            "nothing: no word has a path. Of a name that no interface has Linux loads the module of that name, if an administrator asks",
        ),
        Kind::Address => (text("an address of IPv4 or IPv6"), NUMBERS),
        Kind::InternetFiles => (
            text(
                "`4` or `6`, `tcp` or `udp`, `@` and an address (IPv6 in brackets), `:` and ports by number or name, each of which may be absent",
            ),
            "nothing: no word has a path",
        ),
        Kind::Plain => (
            text(
                "letters, digits and `. _ : + @ ~ * , % -` without `..`; bounded as a regular expression, which it is to apt where it holds `+`",
            ),
            "nothing: no word has a path",
        ),
        Kind::KernelSetting => (
            text("letters, digits and `. _ - : * /`, beginning with a letter or a digit, without `..`"),
            "the file of that name below `/proc/sys`, and all below it if it is a directory; held in the same way",
        ),
        Kind::CertificateFile => (text("any path without `:`"), "that file, held in the same way"),
        Kind::DiskName => (
            text("a letter, then letters, digits and `_ - . !`"),
            "that name in the directory, in `/dev` and in `/sys/block`, which are asked after and not opened; held in the same way",
        ),
        Kind::Disk => (
            text("`/dev/` and the name of a disk: `sd…`, `nvme…`, `md…`, `mapper/…`, `disk/by-…` and the like"),
            "that device, of which it reads what it says of itself; held in the same way, though it is a device",
        ),
        Kind::Template => (
            text(
                "text with fields in it, each named: `{{.Names}}`, `{{json .Status}}`, `{{.Label \"com.docker.compose.project\"}}`; no labels of other names, no `json` of all",
            ),
            "nothing: it is printed",
        ),
        Kind::Clock => (text("a time of day in two digits each: `08:15:00`"), NUMBERS),
        Kind::Pool => (
            text("a letter, then letters, digits and `_ - . : / @`; not what is a number to C, as `inf`"),
            "nothing by a path: the kernel looks for it among its pools",
        ),
        Kind::OneOf(_) | Kind::ListOf(_) => (text("the words that stand there"), CLOSED),
    }
}

/// Where the document stands, seen from the crate.
const DOCUMENT: &str = "../../docs/commands.md";

const HEAD: &str = "# Commands that `read-only` allows

Made from the [table](../host/runtime/src/policy/table.rs); a test holds the two equal and says how to write this file anew.

A command is a pipeline of the programs below. Nothing runs that is not listed: flags in exactly this spelling (no abbreviations), one-letter flags
singly or bundled, a value in the next word, behind `=`, or attached to its letter unless said otherwise; `--` ends the flags. Every program may be
given `--help` or `--version` and nothing else. A glob stands only where files stand, never for a flag, a value or a pattern, and one that begins with `*`, `?` or
`[` is sent with `./` before it, so that no file name becomes a flag. Scout quotes every word itself.

Every value has a kind, and each kind a bound and one parser that says what the value names: [below](#kinds-of-values). `FILE` is held against the list of
[secret paths](secret-paths.md) as it is written. Links are not followed, so a `..` with a name behind it is refused (it leads to where
the directory before it truly is), and so is what lies below `/proc/PID/cwd` and `/proc/PID/fd`. A program that searches (`grep -r`, `rg`, `diff` of
directories) is not let into `/proc`, `/proc/PID`, `/sys`, `.ssh` and the like; in a directory above a secret file it meets that file.

What a file holds decides only where the host sees it before it is answered: for files, not for commands. To a command a key is what is called like one:
`*.key`, `*key.pem`, `privkey*`, `*.ovpn` and `.git/config` are not opened. Of names that are secret in any directory (`id_rsa*`, `*.p12`, `wp-config*.php`) a
glob is refused that begins like one or matches nothing else (`id_*`, `*.key`); every `*` could match one, and is not.

No program is given a device (`/dev`) to open, or what a process has open (`/proc/PID/fd`): reading can block, never end, or take away what others wait for.
Those that tell of disks and arrays are given disks alone. ONLY_TELLS only tell of what is there and may be given any; every other
program may be given `/dev/null`, `/dev/stdin` and what lies below `/dev/shm` and `/dev/mqueue`. By themselves `dmesg` opens `/dev/kmsg`, where reading takes
nothing away, and `nvidia-smi` the devices of its cards.

\"Never ends\", \"runs a program\" and the like say why a flag is left out. What stands under \"not needed so far\" was looked at and is left out only because nobody
has asked for it.
";

fn flags(row: &Row) -> String {
    let plain = row.short.chars().map(|letter| format!("`-{letter}`"));
    let whole = row.whole.split_ascii_whitespace().map(|flag| format!("`{flag}`"));
    let long = row.long.split_ascii_whitespace().map(|flag| format!("`--{flag}`"));
    let short_values = row.short_values.iter().map(|(flag, kind)| format!("`-{flag} {}`", kind_in_full(*kind)));
    let short_optional = row.short_optional.iter().map(|(flag, kind)| format!("`-{flag}[{}]`", kind_in_full(*kind)));
    let long_values = row.long_values.iter().map(|(flag, kind)| format!("`--{flag}={}`", kind_in_full(*kind)));
    let long_optional = row.long_optional.iter().map(|(flag, kind)| format!("`--{flag}[={}]`", kind_in_full(*kind)));
    let numbers = row.dash_number.map(|kind| format!("`-{}`", label(kind)));
    let short_next = row.short_next.iter().map(|(flag, kind)| format!("`-{flag} [{}]`", kind_in_full(*kind)));
    let whole_values = row.whole_values.iter().map(|(flag, kind)| format!("`{flag} {}`", kind_in_full(*kind)));
    let all: Vec<_> = plain
        .chain(short_next)
        .chain(whole)
        .chain(whole_values)
        .chain(short_values)
        .chain(short_optional)
        .chain(numbers)
        .chain(long)
        .chain(long_values)
        .chain(long_optional)
        .collect();
    if all.is_empty() { "none".into() } else { all.join(" ") }
}

fn operands(operands: Operands) -> String {
    match operands {
        Operands::Each(_, _, 0) => "none".into(),
        Operands::Each(kind, 0, MANY) => format!("any number of {}", kind_in_full(kind)),
        Operands::Each(kind, min, MANY) => format!("{min} or more of {}", kind_in_full(kind)),
        Operands::Each(kind, min, max) if min == max => format!("{min} of {}", kind_in_full(kind)),
        Operands::Each(kind, min, max) => format!("{min} to {max} of {}", kind_in_full(kind)),
        Operands::FirstThenPaths(kind, []) => format!("{}, then FILEs", kind_in_full(kind)),
        Operands::FirstThenPaths(kind, given_by) => {
            format!("{} (not with {}), then FILEs", kind_in_full(kind), given_by.join(", "))
        }
        Operands::FirstThen(first, kind) => format!("{}, then {}s", kind_in_full(first), kind_in_full(kind)),
        Operands::Rounds(kind) => {
            let names = kind.map_or_else(String::new, |kind| format!("any number of {}; then ", kind_in_full(kind)));
            format!("{names}none, or an interval of {} seconds and a count of {}", label(INTERVAL), label(ROUNDS))
        }
        Operands::Subcommand(known) => format!("one of {}; then NAMEs", known.join(", ")),
        Operands::SocketFilter => {
            let words = SOCKET_WORDS.replace(' ', "` `");
            format!(
                "`state` or `exclude` with one of {}; then `{words}`, addresses and ports",
                SOCKET_STATES.join(", ")
            )
        }
        Operands::Show(objects, verbs) => {
            format!(
                "one of {}; then one of {}; then `{}`, INTERFACE|ADDRESSes, and NAMEs behind `{}`",
                objects.join(", "),
                verbs.join(", "),
                SHOW_WORDS.replace(' ', "` `"),
                SHOW_VALUES.replace(' ', "` `")
            )
        }
        Operands::Words(None) => "any literal words".into(),
        Operands::Words(Some(kind)) => format!("{}, then any literal words", kind_in_full(kind)),
        Operands::Find => {
            let primaries = FIND.iter().map(|(primary, kind)| match kind {
                Some(kind) => format!("`{primary} {}`", kind_in_full(*kind)),
                None => format!("`{primary}`"),
            });
            format!("`-H` `-L` `-P`; FILEs to start from; then `(` `)` {}", primaries.collect::<Vec<_>>().join(" "))
        }
    }
}

fn document() -> String {
    let only_tell: Vec<_> = ONLY_TELLS.split(' ').map(|name| format!("`{name}`")).collect();
    let mut out = HEAD.replace("ONLY_TELLS", &only_tell.join(", "));
    out.push_str(&kinds());
    let mut sorted: Vec<_> = rows().collect();
    sorted.sort_by_key(|row| row.name);
    for row in sorted {
        let _ = write!(out, "\n## {}\n\n- Flags: {}\n- Operands: {}\n", row.name, flags(row), operands(row.operands));
        let mut rule = |text: String| {
            let _ = writeln!(out, "- {text}");
        };
        if !row.attached {
            rule("A value stands in a word of its own.".into());
        }
        if row.flags_first {
            rule("Flags stand before the operands.".into());
        }
        if row.plus_flags {
            rule("An operand that begins with `+` stands behind `--` or with `./` before it: it may be an old spelling of flags.".into());
        }
        if !row.same_word.is_empty() {
            let flags = row.same_word.replace(' ', "` and `");
            rule(format!(
                "With the value of `{flags}` in the next word the pattern is held to be a file, as it is on some systems."
            ));
        }
        if !row.suffixes.is_empty() {
            let suffixes = row.suffixes.join("`, `");
            rule(format!(
                "Of a file that is not there it opens the one with `{suffixes}` behind its name: all are held."
            ));
        }
        for (given_by, paths) in row.reads {
            let begins = if given_by.is_empty() {
                String::new()
            } else {
                format!("Beside `{}`: ", given_by.replace(' ', "` or `"))
            };
            rule(format!("{begins}It opens `{}` without being told so: all are held.", paths.join("`, `")));
        }
        if !row.begins.is_empty() {
            rule(format!("It always gets `{}`.", row.begins));
        }
        for (name, value) in row.environment {
            rule(format!("It runs with `{name}={value}`."));
        }
        for (subcommand, flags) in row.asks {
            rule(format!("Beside `{subcommand}` one of these must be given: `{}`", flags.replace(' ', "` `")));
        }
        for flags in row.needs {
            rule(format!("One of these must be given: `{}`", flags.replace(' ', "` `")));
        }
        if !row.runs.is_empty() {
            rule(format!("It is run as `{}`.", row.runs));
        }
        if row.is_builtin {
            rule("It is a part of the shell.".into());
        }
        if let Some((flag, others)) = row.beside {
            rule(format!("Beside `{flag}` no operands, and only `{}`", others.replace(' ', "` `")));
        }
        for (flags, reason) in row.refused {
            rule(format!("Left out: `{}`: {reason}", flags.replace(' ', "` `")));
        }
        if !row.unused.is_empty() {
            rule(format!("Not needed so far: `{}`", row.unused.replace(' ', "` `")));
        }
        if !row.note.is_empty() {
            rule(row.note.into());
        }
    }
    out.push_str("\n## Programs that may be asked for their version\n\nNothing else of them is allowed, but what has a row above.\n\n| program | how |\n|---|---|\n");
    for (names, flags) in VERSIONS {
        let _ = writeln!(out, "| {names} | `{}` |", flags.replace(' ', "` `"));
    }
    out.push_str("\n## Programs that are left out\n\n| program, perhaps with its first argument | why | instead |\n|---|---|---|\n");
    for (names, why, instead) in ABSENT {
        let _ = writeln!(out, "| {names} | {} | {} |", why.replace('|', "\\|"), instead.replace('|', "\\|"));
    }
    out
}

#[test]
fn every_kind_of_value_is_described() {
    let kind_of = |kind: Kind| std::mem::discriminant(&kind);
    let described: Vec<_> = KINDS.iter().map(|kind| kind_of(*kind)).collect();
    for row in rows() {
        let short = row.short_values.iter().chain(row.short_optional).chain(row.short_next).map(|(_, kind)| *kind);
        let long = row.long_values.iter().chain(row.long_optional).chain(row.whole_values).map(|(_, kind)| *kind);
        let operands = match row.operands {
            Operands::Each(kind, ..)
            | Operands::FirstThenPaths(kind, _)
            | Operands::Words(Some(kind))
            | Operands::Rounds(Some(kind)) => Some(kind),
            Operands::FirstThen(first, kind) => {
                assert!(described.contains(&kind_of(first)), "{} {first:?}", row.name);
                Some(kind)
            }
            _ => None,
        };
        let primaries = FIND.iter().filter_map(|(_, kind)| *kind);
        for kind in short.chain(long).chain(operands).chain(row.dash_number).chain(primaries) {
            let stands_there = matches!(kind, Kind::OneOf(_) | Kind::ListOf(_));
            assert!(stands_there || described.contains(&kind_of(kind)), "{} {kind:?}", row.name);
        }
    }
}

#[test]
fn the_document_is_the_table() {
    written_pages::hold(DOCUMENT, &document(), "table.rs", "the_document_is_the_table");
}

#[test]
fn every_option_of_the_real_programs_is_allowed_or_left_out_knowingly() {
    let (mut seen, mut amiss) = (Vec::new(), Vec::new());
    for line in include_str!("options.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, options) = line.split_once(": ").expect("name: options");
        let row = row(name).expect(name);
        seen.push(name);
        for option in options.split(' ') {
            let long = option.strip_prefix("--");
            let letter = option.strip_prefix('-').and_then(|rest| rest.parse::<char>().ok());
            let allowed = lists(row.whole, option)
                || row.whole_values.iter().any(|(known, _)| *known == option)
                || long.is_some_and(|long| {
                    lists(row.long, long)
                        || ALONE.contains(&option)
                        || row.long_values.iter().chain(row.long_optional).any(|(known, _)| *known == long)
                })
                || letter.is_some_and(|letter| {
                    row.short.contains(letter)
                        || row
                            .short_values
                            .iter()
                            .chain(row.short_optional)
                            .chain(row.short_next)
                            .any(|(known, _)| *known == letter)
                })
                || name == "find" && FIND.iter().any(|(known, _)| *known == option);
            let left_out = lists(row.unused, option) || row.refused.iter().any(|(flags, _)| lists(flags, option));
            if allowed == left_out {
                amiss.push(format!("{name} {option}: allowed is {allowed}, left out is {left_out}"));
            }
        }
    }
    for row in rows().filter(|row| !matches!(row.operands, Operands::Words(_))) {
        assert!(seen.contains(&row.name), "options.txt has no line for {}", row.name);
    }
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
}

#[test]
fn no_long_flag_may_be_abbreviated() {
    for row in rows().filter(|row| !matches!(row.operands, Operands::Words(_))) {
        let values = row.long_values.iter().chain(row.long_optional).map(|(flag, _)| *flag);
        let known: Vec<_> = row.long.split_ascii_whitespace().chain(values).chain(["help", "version"]).collect();
        let prefixes = known.iter().flat_map(|flag| (1..flag.len()).filter_map(|end| flag.get(..end)));
        for prefix in prefixes.filter(|prefix| !known.contains(prefix)) {
            for word in [format!("--{prefix}"), format!("--{prefix}=1")] {
                let words = [row.name.to_owned(), word.clone()].map(Word::Literal).to_vec();
                let stages = vec![Stage { words, stderr: StderrTo::Capture }];
                let verdict = check(CommandPolicy::ReadOnly, &Pipeline { stages, directory: None });
                assert!(verdict.is_err(), "{} {word}", row.name);
            }
        }
    }
}

#[test]
fn a_kind_is_shown_in_full_or_by_its_label() {
    assert_eq!(kind_in_full(Kind::OneOf(&["a", "b"])), "a|b");
    assert_eq!(kind_in_full(Kind::Number(5)), "NUMBER(up to 5)");
}
