//! Every flag of every row, run under strace: what the table allows opens nothing to write, changes nothing, speaks to no other machine and
//! runs no program but its own. And values of every kind, that try to name a file: nothing is opened or asked after that was not held against
//! the secret paths, and no device. Debian's programs are swept, and those of busybox that have the same names; and where only the version of a
//! program may be asked, that question.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use scout_machine::RemotePath;

use super::absent::VERSIONS;
use super::table::{FIND, Kind, MANY, Operands, Row, rows};
use super::{
    CommandPolicy, PathOperand, PathPattern, Pipeline, SecretPaths, Stage, StderrTo, Word, check_paths, check_with,
    render, values,
};

#[path = "../../tests/policy/trace.rs"]
mod trace;

/// Programs that are a script or a front of another, and what they run.
const FRONTS: &[(&str, &[&str])] = &[
    ("zcat", &["gzip"]),
    ("gunzip", &["gzip"]),
    ("dpkg", &["dpkg-query"]),
    ("sar", &["sadc"]),
    // Which other architectures there are.
    ("apt list", &["dpkg"]),
    ("apt show", &["dpkg"]),
    ("apt-cache policy", &["dpkg"]),
    ("apt-cache show", &["dpkg"]),
    ("apt-cache madison", &["dpkg"]),
    // Debian's own macro for its place of the database.
    ("rpm", &["bash"]),
    // LVM is one program of many names.
    ("lvs", &["lvm"]),
    // Of ntpsec a Python program, which looks for its library in every way that Python knows before it takes the one beside it.
    ("ntpq", &["ldconfig", "gcc", "collect2", "ld"]),
    // See `TRIES_ON`.
    ("snap list", &["timeout"]),
];

/// Programs that Debian 12 has in no package that runs here, or not without a store of their own: their rows are held by what their manuals
/// say.
const UNSWEPT: &[(&str, &str)] = &[
    // Non-free, and without the driver of a card it says no more than that this is missing.
    ("nvidia-smi", "nvidia-smi 550 --help"),
    // Alpine's.
    ("apk info", "apk-info(8) of apk-tools 2.14"),
    ("apk list", "apk-list(8) of apk-tools 2.14"),
    ("apk version", "apk-version(8) of apk-tools 2.14"),
    // Debian's docker has no compose.
    // It begins with its own store of images, which is the machine's; it was traced by hand: its database, its locks, `conmon --version`.
    ("podman ps", "podman-ps(1) of podman 4.3 and 5.4"),
    ("podman images", "podman-images(1) of podman 4.3 and 5.4"),
    ("podman logs", "podman-logs(1) of podman 4.3 and 5.4"),
    ("podman stats", "podman-stats(1) of podman 4.3 and 5.4"),
    // In Debian's contrib, and without a module of the kernel they say no more than that it is missing.
    ("zpool list", "zpool-list(8) of OpenZFS 2.1 and 2.3"),
    ("zpool status", "zpool-status(8) of OpenZFS 2.1 and 2.3"),
    ("zfs list", "zfs-list(8) of OpenZFS 2.1 and 2.3"),
    ("zfs get", "zfs-get(8) of OpenZFS 2.1 and 2.3"),
];

/// Programs whose packages replace a service of the machine when they are installed: `tests/programs.sh` unpacks them. None of their daemons
/// runs, and they are seen to ask for it.
const UNPACKED: &[&str] = &["chronyc", "docker", "mdadm", "ntpq", "resolvectl", "snap"];

/// Programs that look for a daemon that does not run for longer than a sweep may last, and what ends them.
const TRIES_ON: &[(&str, &str)] = &[("snap list", "timeout --preserve-status 0.5 ")];

/// Programs that ask a server of the host itself; sshd asks nobody, and learns of the kernel which of the addresses that it may listen on stands first.
const ASKS_HERE: &[&str] = &["chronyc", "ntpq", "pg_isready", "sshd"];

/// The port of name servers, one of which may be on the host itself.
const NAME_SERVER: &str = "htons(53)";

/// What programs write all the same, by the beginning of its path: their own bookkeeping, without which they cannot be asked at all.
const OWN_FILES: &[(&str, &str)] = &[
    // An administrator's question opens the log and the index of SQLite, and makes a database where there is none: on Debian there is none.
    ("rpm", ".rpmdb"),
    // The same, on Debian.
    ("pacman", "/var/lib/pacman/local"),
    // Which parts of its own memory a crash would write down.
    ("java", "/proc/self/coredump_filter"),
];

/// Flags that keep a program short on a machine that has much to tell.
const SHORT: &[(&str, &[&str])] =
    &[("journalctl", &["-n", "1"]), ("apt list", &["scout"]), ("sysctl", &["-r", "^kernel.hostname$"])];

/// A name that is looked up if anything is: no server knows it (RFC 6761).
const NAME: &str = "scout.invalid";

/// Sets of operands that each flag is tried with.
const BESIDE: usize = 2;

/// Values and operands of a kind. Free text is a name to look up, a number and a tag.
fn samples(kind: Kind) -> Vec<String> {
    let some = |samples: &[&str]| samples.iter().map(|sample| (*sample).to_owned()).collect();
    match kind {
        Kind::Between(least, most) => vec![most.min(least.max(1)).to_string()],
        Kind::Buffer(_) => some(&["1M"]),
        Kind::Number(_) | Kind::Size(_) | Kind::Numbers | Kind::SortKey | Kind::Fields => some(&["1"]),
        Kind::Text | Kind::Word => some(&[NAME, "1", "LABEL=scout"]),
        Kind::Name | Kind::Package | Kind::NetValue => some(&[NAME, "1"]),
        Kind::NetWord => some(&["lo", "192.0.2.1"]),
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
        Kind::SedPrint => some(&["1p", "/b/,/a/p"]),
        Kind::AwkPrint => some(&["{print $1}", "/b/ {print $2, \"x\"}"]),
        Kind::AwkFile => some(&["a", "sub"]),
        Kind::JqFilter => some(&[".a[0]", ".[] | {x, y: .z} | keys"]),
        Kind::Interface => some(&["lo", "eth100"]),
        Kind::Address => some(&["192.0.2.1"]),
        Kind::InternetFiles => some(&["4tcp@192.0.2.1:22,ssh", ":22"]),
        Kind::Plain => some(&["scout", "1"]),
        Kind::KernelSetting => some(&["kernel.hostname"]),
        Kind::CertificateFile => some(&["a"]),
        Kind::DiskName => some(&["sda"]),
        Kind::Disk => some(&["/dev/sda"]),
        Kind::Template => some(&["{{.ID}}"]),
        Kind::Clock => some(&["08:15:00"]),
        Kind::Pool => some(&["tank/data"]),
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
    for (flag, kind) in row.whole_values {
        all.extend(samples(*kind).into_iter().map(|value| vec![(*flag).to_owned(), value]));
    }
    for (letter, kind) in row.short_next {
        all.push(vec![format!("-{letter}")]);
        all.extend(samples(*kind).into_iter().take(1).map(|value| vec![format!("-{letter}"), value]));
        all.extend(samples(*kind).into_iter().map(|value| vec![format!("-{letter}{value}")]));
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
        Operands::FirstThen(first, kind) => samples(first)
            .into_iter()
            .flat_map(|first| [vec![first.clone()], [vec![first], samples(kind)].concat()])
            .collect(),
        // One that takes a second for it, and the others at once.
        Operands::Rounds(kind) => {
            let named = kind.and_then(|kind| samples(kind).into_iter().next()).into_iter().collect();
            [Vec::new(), Vec::new(), Vec::new(), named, words(&["1", "1"]), Vec::new()].to_vec()
        }
        Operands::Subcommand(known) => {
            let each = known.iter().flat_map(|word| [words(&[word]), words(&[word, NAME])]);
            [Vec::new()].into_iter().chain(each).collect()
        }
        Operands::SocketFilter => vec![
            Vec::new(),
            words(&["state", "established"]),
            words(&["dst", "192.0.2.1"]),
            words(&["dst 192.0.2.0/24:443 or src [::1]"]),
            words(&["(", "sport", "=", ":22", "or", "dport", "!=", ":443", ")"]),
        ],
        Operands::Show(objects, verbs) => {
            let each = objects.iter().flat_map(|object| {
                let shown = verbs.iter().map(move |verb| words(&[object, verb, "eth100"]));
                let others = [&["to", "192.0.2.1"], &["type", NAME]];
                let others = others.map(|[keyword, value]| words(&[object, "show", keyword, value]));
                [words(&[object])].into_iter().chain(others).chain(shown)
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

/// A flag, with a value if it takes one.
fn with_value(row: &Row, flag: &str) -> Vec<String> {
    let letter = flag.strip_prefix('-').and_then(|rest| rest.parse::<char>().ok());
    let has_value = letter.is_some_and(|letter| row.short_values.iter().any(|(known, _)| *known == letter));
    [Some(flag), has_value.then_some("1")].into_iter().flatten().map(str::to_owned).collect()
}

/// One flag of each group of which the row needs one.
fn needed(row: &Row) -> Vec<String> {
    let flags = row.needs.iter().filter_map(|flags| flags.split_ascii_whitespace().next());
    flags.flat_map(|flag| with_value(row, flag)).collect()
}

/// What the table lets the program be given of these words, as a shell gets it; perhaps with a flag that the program needs.
fn admitted(row: &Row, words: &[String]) -> Option<String> {
    let asked = row.asks.iter().filter_map(|(_, flags)| flags.split_ascii_whitespace().next());
    let asked = asked.map(|flag| with_value(row, flag));
    [Vec::new(), needed(row)].into_iter().chain(asked).find_map(|needed| {
        let short = SHORT.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, flags)| flags.iter().copied());
        let words = row.words().chain(short).map(str::to_owned).chain(needed).chain(words.iter().cloned());
        let words = words.map(Word::Literal).collect();
        let pipeline = Pipeline { stages: vec![Stage { words, stderr: StderrTo::Capture }], directory: None };
        check_with(&secrets(), CommandPolicy::ReadOnly, &pipeline).ok()?;
        Some(String::from_utf8(render(&pipeline).expect("within bounds")).expect("UTF-8"))
    })
}

/// The list, without what no row could open at all otherwise: the account's own table of jobs.
fn secrets() -> SecretPaths {
    let readable = ["/var/spool/cron/**", "/var/cron/tabs/**"];
    let readable = readable.map(|pattern| PathPattern::parse(pattern).expect("a pattern"));
    SecretPaths::new(Vec::new(), readable.to_vec())
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
    ("command", &["/"]),
    ("type", &["/"]),
    // In their lists of packages.
    ("rpm", &["/var/lib/rpm"]),
    ("pacman", &["/var/lib/pacman"]),
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

/// Devices that any program opens for itself.
const ANYBODYS_DEVICES: &[&str] = &["/dev/null", "/dev/tty", "/dev/urandom", "/dev/random"];

/// Devices, and directories of them, that one program opens for itself.
const OWN_DEVICES: &[(&str, &str)] =
    &[("dmesg", "/dev/kmsg"), ("lsusb", "/dev/bus/usb"), ("smartctl", "/dev/disk/by-id"), ("sadc", "/dev/disk/by-id")];

/// Programs that read of disks what these say of themselves.
const READ_DISKS: &[&str] = &["lvs", "vgs", "pvs", "lvdisplay", "vgdisplay", "pvdisplay"];

/// Secret files that programs open for themselves, and show nothing of: procps 4 of every process that it tells the name of (that `ps` shows none is a
/// test of its own), those of systemd to find out whether they are in a container; the account's own table of jobs, which the row of `crontab` names; and
/// where pg_isready is Debian's Perl script, perl looks an account up (5.36: with its password, if it may).
const OWN_SECRETS: &[(&str, &str)] = &[
    ("ps", "environ"),
    ("top", "environ"),
    ("systemctl", "environ"),
    ("systemd-cgls", "environ"),
    ("systemd-cgtop", "environ"),
    ("systemd-analyze", "environ"),
    // The host's keys.
    ("sshd", "ssh_host_rsa_key"),
    ("sshd", "ssh_host_ecdsa_key"),
    ("sshd", "ssh_host_ed25519_key"),
    ("crontab", "root"),
    ("pg_isready", "shadow"),
    // Below a home directory that is not there: docker 20.10 looks for an old configuration.
    ("docker", "/proc/no-configuration/.dockercfg"),
];

/// Every way to give a value: the words before it, and whether it is attached to the last of them.
fn slots(row: &Row) -> Vec<(Vec<String>, bool)> {
    let mut all = Vec::new();
    all.extend(row.short_values.iter().map(|(letter, _)| (vec![format!("-{letter}")], false)));
    all.extend(row.short_optional.iter().map(|(letter, _)| (vec![format!("-{letter}")], true)));
    all.extend(
        row.short_next
            .iter()
            .flat_map(|(letter, _)| [true, false].map(|is_attached| (vec![format!("-{letter}")], is_attached))),
    );
    all.extend(row.whole_values.iter().map(|(flag, _)| (vec![(*flag).to_owned()], false)));
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
    let (secrets, held) = (secrets(), RefCell::new(BTreeSet::new()));
    let holds = |operand: PathOperand<'_>| {
        let path = String::from_utf8_lossy(operand.path).into_owned();
        // A glob finds what is in its directory.
        let path =
            if operand.is_glob { Path::new(&path).parent().unwrap_or(Path::new(".")).to_owned() } else { path.into() };
        secrets.check_operand(operand)?;
        held.borrow_mut().insert(plain(&home.join(path)));
        Ok(())
    };
    let needed = needed(row);
    let short = SHORT.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, flags)| flags.iter().copied());
    let before: Vec<String> = row.words().chain(short).map(str::to_owned).chain(needed).collect();
    let (none, others) = (Vec::new(), operands(row));
    let mut cases = Vec::new();
    for (at, (words, is_attached)) in slots(row).into_iter().enumerate() {
        for (way, form) in NAMING.iter().enumerate() {
            let name = format!("zqzq{at}x{way}q");
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
        && parts.any(|part| part.contains("zqzq"))
}

/// What a row's program opened or asked after, as `exec` runs it, that nobody held.
fn unheld(row: &Row, exec: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let home = directory.path();
    files(home);
    let (mut cases, mut held) = naming(row, home);
    cases.extend(self::cases(row));
    let operands = [Kind::Path, Kind::Disk, Kind::DiskName].into_iter().flat_map(samples);
    held.extend(operands.chain([".".to_owned()]).map(|path| plain(&home.join(path))));
    let trace = trace::trace(script(row, cases, exec).as_bytes(), home);
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
            && !READ_DISKS.contains(&row.name)
            && path != Path::new("/dev")
            && !path.starts_with("/dev/null/no-configuration")
            && !ANYBODYS_DEVICES.iter().any(|device| path == Path::new(device))
            && !OWN_DEVICES.iter().any(|(own, device)| program == own && path == Path::new(device));
        let is_own = OWN_SECRETS.iter().any(|(own, name)| program == own && path.ends_with(name));
        is_device
            || !is_own
                && secrets.check_path(&RemotePath::parse(path.as_os_str().as_encoded_bytes()).expect("a path")).is_err()
    });
    // What is there for a program to look at in any case, whatever it is given.
    let strangers = named.chain(opened).filter(|(_, path)| !is_held(&plain(path)));
    let strangers = strangers.map(|(program, path)| format!("{exec}{} lets {program} at {}", row.name, path.display()));
    // Of one that is not there Linux may load a module of its name.
    let asked = trace.interfaces.iter().filter(|(_, name)| {
        !Path::new("/sys/class/net").join(name).exists() && values::named(Kind::Interface, name).is_err()
    });
    let asked = asked.map(|(program, name)| format!("{exec}{} lets {program} ask for the interface {name}", row.name));
    strangers.chain(asked).collect()
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

/// Where `tests/programs.sh` has unpacked programs.
fn unpacked() -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/.programs/bin");
    for program in UNPACKED {
        assert!(directory.join(program).exists(), "{program} is missing: run tests/programs.sh");
    }
    directory
}

/// Commands of a row as a script, each in a shell of its own, run as `exec` says.
fn script(row: &Row, cases: Vec<String>, exec: &str) -> String {
    let place = if exec.is_empty() && UNPACKED.contains(&row.program()) {
        format!("PATH='{}':$PATH\n", unpacked().display())
    } else {
        String::new()
    };
    let ends = TRIES_ON.iter().filter(|(name, _)| *name == row.name && exec.is_empty());
    let exec = ends.map(|(_, ends)| *ends).next().unwrap_or(exec);
    let line = |case: String| {
        // What stands before is what the program finds in its environment.
        let (before, program) = case.split_once("exec ").unwrap_or(("", &case));
        format!("( {before}exec {exec}{program} )\n")
    };
    place + &cases.into_iter().map(line).collect::<String>()
}

/// What is amiss with a row's program, run as `exec` says.
fn swept(row: &Row, exec: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    files(directory.path());
    let trace = trace::trace(script(row, cases(row), exec).as_bytes(), directory.path());
    let fronts = FRONTS.iter().filter(|(name, _)| *name == row.name).flat_map(|(_, programs)| *programs);
    let own: Vec<&str> = ["sh", row.program(), row.runs, "busybox"].into_iter().chain(fronts.copied()).collect();
    let strangers = trace.programs.iter().filter(|program| !own.contains(&program.as_str()));
    let strangers = strangers.map(|program| format!("{exec}{} runs {program}", row.name));
    // Its own file is what has to be run at all.
    let name = match (exec, row.runs) {
        ("", "") => row.program(),
        ("", runs) => runs,
        _ => "busybox",
    };
    let idle = (!row.is_builtin && !trace.programs.contains(name))
        .then(|| format!("{name} is missing: tests/ci.sh installs it"));
    let is_own = |deed: &String| {
        let here = ["inet_addr(\"127.0.0.1\")", "\"::1\"", "inet_addr(\"0.0.0.0\")", "\"::\""];
        let is_here = here.iter().any(|address| deed.contains(address));
        OWN_FILES.iter().any(|(name, path)| *name == row.name && deed.contains(path))
            || is_here && !deed.contains(NAME_SERVER) && ASKS_HERE.contains(&row.name)
    };
    strangers.chain(trace.deeds.into_iter().filter(|deed| !is_own(deed))).chain(idle).collect()
}

/// What a sweep finds of every row, and of every one that busybox has.
fn everywhere(sweep: fn(&Row, &str) -> Vec<String>) -> Vec<String> {
    let applets = applets();
    let is_swept = |row: &&Row| !UNSWEPT.iter().any(|(name, _)| *name == row.name);
    let mut runs: Vec<(&Row, &str)> = rows().filter(is_swept).map(|row| (row, "")).collect();
    runs.extend(rows().filter(|row| !row.is_builtin && applets.contains(row.program())).map(|row| (row, "busybox ")));
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

/// Programs of which only the version may be asked, as far as they are where the tests run.
const TELL_VERSIONS: &[&str] =
    &["python3", "perl", "node", "bash", "zsh", "fish", "cc", "ld", "ssh", "psql", "pg_dump", "tar"];

#[test]
fn a_question_for_a_version_does_nothing_else() {
    let mut amiss = Vec::new();
    for name in TELL_VERSIONS {
        let flags = VERSIONS.iter().find(|(names, _)| names.split(' ').any(|known| known == *name));
        let (_, flags) = flags.expect("a program of which the version may be asked");
        let questions: String = flags.split(' ').map(|flag| format!("( exec {name} {flag} )\n")).collect();
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Debian's comes first, whatever else the account has.
        let trace = trace::trace(format!("PATH=/usr/bin:/bin:$PATH\n{questions}").as_bytes(), directory.path());
        let strangers = trace.programs.iter().filter(|program| !["sh", *name].contains(&program.as_str()));
        amiss.extend(strangers.map(|program| format!("{name} runs {program}")));
        if !trace.programs.contains(*name) {
            amiss.push(format!("{name} is missing: tests/ci.sh installs it"));
        }
        amiss.extend(trace.deeds);
    }
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
    // And an interface of which the kernel is asked.
    let interfaces = trace::trace(b"ip addr show dev zqc\n", directory.path()).interfaces;
    assert!(interfaces.contains(&("ip".to_owned(), "zqc".to_owned())), "{interfaces:?}");
    for innocent in ["/dev/null\"", "tac"] {
        assert!(!trace.deeds.iter().any(|seen| seen.contains(innocent)), "{innocent}: {trace:?}");
    }
}
