//! What Scout can do at each server, seen.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt as _};
use scout_machine::{Ending, ErrorKind, ExecRequest, FileKind, HostError, Opened, RemoteState};
use scout_ssh::{Lease, Part};

use crate::server::{Kind, Server, call, remote, repository, request, text};

/// Servers at once.
const AT_ONCE: usize = 3;

const KINDS: [Kind; 12] = [
    Kind::NewerOpenSsh,
    Kind::OpenSsh,
    Kind::Dropbear,
    Kind::AsyncSsh,
    Kind::BareAsyncSsh,
    Kind::Paramiko,
    Kind::Conch,
    Kind::Ssh2,
    Kind::SilentSsh2,
    Kind::ProFtpd,
    Kind::Gesftpserver,
    Kind::TinySsh,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_works_at_each_server_is_what_the_documentation_says() {
    let mut seen = String::from(
        "| server | version | read | large | list | 3,000 names | stat | missing | directory read as file | link | \
         command | shells stay | cancel | left open |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut rows = stream::iter(KINDS).map(|kind| tokio::spawn(row(kind))).buffered(AT_ONCE);
    while let Some(row) = rows.next().await {
        writeln!(seen, "{}", row.unwrap()).unwrap();
    }
    let path = repository().join("docs/servers.md");
    let document = fs::read_to_string(&path).unwrap_or_default();
    let told: String = document
        .lines()
        .skip_while(|line| !line.starts_with("| server |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        without_versions(&told) == without_versions(&seen),
        "docs/servers.md says\n{told}\nand this is seen:\n{seen}"
    );
}

/// What a distribution patches changes no behaviour that is told here; what is pinned is compared whole.
fn without_versions(table: &str) -> Vec<String> {
    let distributions = ["OpenSSH", "Dropbear", "ProFTPD", "gesftpserver", "tinyssh"];
    table
        .lines()
        .map(|line| {
            let mut cells: Vec<_> = line.split('|').map(str::trim).collect();
            if cells.get(1).is_some_and(|name| distributions.iter().any(|known| name.starts_with(known))) {
                cells[2] = "";
            }
            cells.join("|")
        })
        .collect()
}

async fn row(kind: Kind) -> String {
    let started = move || {
        let server = Server::start(kind);
        let files = Files::make(server.dir());
        (server, files, kind.version())
    };
    let (server, files, version) = tokio::task::spawn_blocking(started).await.unwrap();
    let lease = server.lease().await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    let mut cells = vec![kind.name().to_owned(), version];
    cells.push(read(&lease, &files.small).await);
    cells.push(large(&lease, &files).await);
    cells.push(list(&lease, &files.few, 60).await);
    cells.push(list(&lease, &files.many, 3000).await);
    cells.push(stat(&lease, &files).await);
    let missing = lease.open(&remote(bytes(&files.dir.join("absent"))), 100, 100, &call()).await.err();
    cells.push(missing.map_or("found".into(), |error| told(&error, ErrorKind::NotFound)));
    let directory = lease.read(&remote(bytes(&files.few)), 0, 100, &call()).await.err();
    cells.push(directory.map_or("read".into(), |error| told(&error, ErrorKind::NotReadable)));
    let link = lease.open(&remote(bytes(&files.link)), 100, 100, &call()).await;
    cells.push(match link {
        Ok(Opened::File { content, .. }) if text(&content) == "small" => "yes".into(),
        Ok(_) => "wrong".into(),
        Err(error) => told(&error, ErrorKind::Unsupported).replace("said", "refused"),
    });
    cells.push(command(&lease).await);
    cells.push(shells_stay(&lease).await);
    // On a connection of its own: at some servers the end of a command may have ended the first one.
    cells.push(cancel(&server.lease().await.unwrap_or_else(|error| panic!("{kind:?}: {error}"))).await);
    cells.push(left_open(&files.dir).await);
    format!("| {} |", cells.join(" | "))
}

struct Files {
    dir: PathBuf,
    small: PathBuf,
    large: PathBuf,
    few: PathBuf,
    many: PathBuf,
    link: PathBuf,
}

impl Files {
    fn make(dir: &Path) -> Self {
        let dir = fs::canonicalize(dir).unwrap().join("files");
        let at = |name: &str| dir.join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(at("small"), "small").unwrap();
        fs::write(at("large"), pattern()).unwrap();
        for (name, count) in [("few", 60), ("many", 3000)] {
            fs::create_dir(at(name)).unwrap();
            (0..count).for_each(|number| fs::write(at(name).join(format!("{number:04}")), "").unwrap());
        }
        std::os::unix::fs::symlink("small", at("link")).unwrap();
        Self { small: at("small"), large: at("large"), few: at("few"), many: at("many"), link: at("link"), dir }
    }
}

fn pattern() -> Vec<u8> {
    (0..5_000_000_u32).map(|index| (index / 999 % 251) as u8).collect()
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// What went wrong, in a word where it was to be expected.
fn told(error: &HostError, expected: ErrorKind) -> String {
    if error.kind() == expected { "said".into() } else { format!("{:?}: {}", error.kind(), error.message()) }
}

fn trips(count: u64) -> String {
    if count == 1 { "1 trip".into() } else { format!("{count} trips") }
}

/// The first and the second time.
async fn read(lease: &Lease, path: &Path) -> String {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let call = call();
        answers.push(match lease.open(&remote(bytes(path)), 100, 100, &call).await {
            Ok(Opened::File { content, .. }) if text(&content) == "small" => trips(call.cost.snapshot().round_trips),
            Ok(other) => format!("wrong: {other:?}"),
            Err(error) => format!("{error}"),
        });
    }
    answers.pop().unwrap()
}

async fn large(lease: &Lease, files: &Files) -> String {
    let (path, whole) = (remote(bytes(&files.large)), pattern());
    let opened = match lease.open(&path, 8 << 20, 100, &call()).await {
        Ok(Opened::File { content, .. }) => content.data == whole,
        _ => false,
    };
    let mut sink = Vec::new();
    let streamed = lease.read_to(&path, Part::Whole, &mut sink, &call()).await.is_ok() && sink == whole;
    let part = lease.read(&path, 4_999_990, 100, &call()).await;
    let part = part.is_ok_and(|(_, content)| content.data == whole[4_999_990..]);
    if opened && streamed && part { "yes".into() } else { format!("open {opened} stream {streamed} part {part}") }
}

async fn list(lease: &Lease, path: &Path, count: usize) -> String {
    let call = call();
    match lease.open(&remote(bytes(path)), 100, 5000, &call).await {
        Ok(Opened::Directory { mut entries, truncated: false, .. }) => {
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            let whole = entries.iter().enumerate().all(|(at, entry)| entry.name == format!("{at:04}").as_bytes());
            if whole && entries.len() == count { trips(call.cost.snapshot().round_trips) } else { "wrong".into() }
        }
        Ok(_) => "wrong".into(),
        Err(error) => format!("{error}"),
    }
}

async fn stat(lease: &Lease, files: &Files) -> String {
    let mut answers = Vec::new();
    for (path, kind) in [(&files.small, FileKind::File), (&files.few, FileKind::Directory)] {
        answers.push(match lease.stat(&remote(bytes(path)), &call()).await {
            Ok(attributes) if attributes.kind() == kind => {
                let size = attributes.size.is_some_and(|size| kind != FileKind::File || size == 5);
                if size { "yes" } else { "kind alone" }.to_owned()
            }
            Ok(attributes) => format!("{attributes:?}"),
            Err(error) => format!("{error}"),
        });
    }
    answers.dedup();
    answers.join(", ")
}

async fn command(lease: &Lease) -> String {
    let outcome = match lease.exec(&request("echo out; echo err >&2; exit 3"), &call()).await {
        Ok(outcome) => outcome,
        Err(error) => return told(&error, ErrorKind::Unsupported).replace("said", "no"),
    };
    let streams = (&*text(&outcome.stdout), &*text(&outcome.stderr)) == ("out\n", "err\n");
    if !streams || outcome.ending != Ending::Exited(3) {
        return format!("{outcome:?}");
    }
    let ending = lease.exec(&request("kill -TERM $$"), &call()).await.unwrap().ending;
    let signal = match ending {
        Ending::Signaled(name) if name == "TERM" => "yes",
        Ending::Exited(143 | 241) => "yes, a signal is told as a status",
        Ending::NoStatus => "yes, a signal is not told",
        other => return format!("{other:?}"),
    };
    signal.to_owned()
}

/// Whether what only reads runs in a shell that stays, once that is known.
async fn shells_stay(lease: &Lease) -> String {
    let mut stays = "no";
    for number in 0..4 {
        let (call, script) = (call(), format!("echo out {number}; echo err >&2; exit {number}"));
        let reading = ExecRequest { only_reads: true, ..request(&script) };
        let outcome = match lease.exec(&reading, &call).await {
            Ok(outcome) => outcome,
            Err(error) => return told(&error, ErrorKind::Unsupported).replace("said", "-"),
        };
        let streams = (&*text(&outcome.stdout), &*text(&outcome.stderr)) == (&*format!("out {number}\n"), "err\n");
        if !streams || outcome.ending != Ending::Exited(number) {
            return format!("{outcome:?}");
        }
        stays = if call.cost.snapshot().shell_execs > 0 { "yes" } else { "no" };
    }
    stays.to_owned()
}

async fn cancel(lease: &Lease) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let word = format!("97{nanos}");
    let (call, request) = (call(), request(&format!("sleep {word} | cat; :")));
    let cancel = async {
        let begun = std::time::Instant::now();
        while !runs(&word) && begun.elapsed().as_secs() < 10 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        call.cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(lease.exec(&request, &call), cancel);
    for _ in 0..300 {
        if !runs(&word) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let left = runs(&word);
    if left {
        let _ = std::process::Command::new("pkill").args(["-KILL", "-f", &format!("^sleep {word}$")]).status();
    }
    match outcome.map(|outcome| outcome.ending) {
        Ok(Ending::Cancelled(RemoteState::Stopped)) if !left => "stopped".into(),
        Ok(Ending::Cancelled(state)) => format!("{state:?}, {}", if left { "runs on" } else { "gone" }).to_lowercase(),
        Ok(other) => format!("{other:?}"),
        Err(error) => told(&error, ErrorKind::Unsupported).replace("said", "-"),
    }
}

/// Whether a process that is no zombie has this word on its command line.
fn runs(word: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    })
}

/// How many of the files any process still has open, once all that was sent is answered.
async fn left_open(dir: &Path) -> String {
    let mut open = 0;
    for _ in 0..200 {
        open = open_below(dir);
        if open == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    if open == 0 { "nothing".into() } else { format!("{open}") }
}

fn open_below(dir: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let descriptors = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    descriptors.flatten().flatten().filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(dir))).count()
}
