//! What programs do to the machine they run on, as strace tells it.
//!
//! Owns the list of what a look never does: open a file to write it, change the tree of files or the machine, speak to another machine.
//! An attempt counts, whatever came of it: an account with more rights would have succeeded. Does not know the table.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Calls that change something, whatever their arguments. Not every architecture has each: `?` before a name says so to strace.
const CHANGES: &str = "creat rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir mknod mknodat \
                       truncate ftruncate chmod fchmod fchmodat chown fchown lchown fchownat utime utimes futimesat utimensat \
                       setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr mount umount umount2 pivot_root swapon \
                       swapoff settimeofday clock_settime sethostname setdomainname reboot init_module finit_module";

/// Calls that change something if they are told to.
const OPENS: &str = "open openat openat2";

/// Calls that tell whether a path is there, what it is and where it leads.
const TELLS: &str =
    "stat lstat stat64 lstat64 newfstatat fstatat64 statx access faccessat faccessat2 readlink readlinkat statfs";

/// Calls that may speak to another machine.
const SPEAKS: &str = "connect bind sendto sendmsg sendmmsg";

/// Calls that may ask for a network interface by its name.
const ASKS: &str = "ioctl";

/// Calls that run a program.
const RUNS: &str = "execve execveat";

/// Files that anything may write.
const SINKS: [&str; 2] = ["/dev/null", "/dev/tty"];

/// How long all of a script may take, in seconds. Each of its programs ends at once.
const LONGEST: &str = "240";

/// What a script did.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The programs it ran, without their directories.
    pub(crate) programs: BTreeSet<String>,
    /// What it did that a look never does: the program and the call.
    pub(crate) deeds: Vec<String>,
    /// Every path that a program opened, or tried to.
    pub(crate) opened: BTreeSet<(String, PathBuf)>,
    /// Every path that it opened, or asked after.
    pub(crate) named: BTreeSet<(String, PathBuf)>,
    /// Every network interface that it asked the kernel for by its name.
    pub(crate) interfaces: BTreeSet<(String, String)>,
}

/// Runs a script by `sh` in a directory, with nothing to read and nobody to tell.
///
/// # Panics
/// When strace is missing or may not trace, and when the script does not end.
pub(crate) fn trace(script: &[u8], home: &Path) -> Trace {
    let (file, log) = [(); 2].map(|()| tempfile::NamedTempFile::new().expect("a temporary file")).into();
    let spool = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(file.path(), script).expect("the script");
    let calls: Vec<String> = [CHANGES, OPENS, TELLS, SPEAKS, ASKS, RUNS]
        .iter()
        .flat_map(|calls| calls.split_ascii_whitespace())
        .map(|call| format!("?{call}"))
        .collect();
    let out = Command::new("timeout")
        .args(["--kill-after=1", LONGEST, "strace", "--follow-forks", "--seccomp-bpf", "-qqq", "-y", "-s", "4096"])
        .args(["-e", "signal=none", "-e"])
        .arg(format!("trace={}", calls.join(",")))
        .arg("-o")
        .arg(log.path())
        .arg("sh")
        .arg(file.path())
        .current_dir(home)
        // As over SSH: nothing of whoever runs the tests.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("LC_ALL", "C")
        .env("TMPDIR", spool.path())
        .stdin(Stdio::null())
        // Not the file that is read: `sort -m` copies what it would write over.
        .stdout(std::fs::File::options().write(true).open("/dev/zero").expect("/dev/zero"))
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("timeout of coreutils runs");
    let text = std::fs::read(log.path()).expect("what strace wrote");
    let text = String::from_utf8_lossy(&text);
    let complaint = String::from_utf8_lossy(&out.stderr);
    assert!(
        text.contains("execve("),
        "strace traces nothing. It may be missing: apt-get install strace (tests/ci.sh does). Or tracing is forbidden here: a container \
         needs --cap-add=SYS_PTRACE, and with an old kernel or runtime --security-opt seccomp=unconfined. It said: {complaint}"
    );
    let last = text.lines().rfind(|line| line.contains(" execve("));
    assert!(out.status.code() != Some(124), "does not end: {last:?}");
    let mut trace = judged(&text, &spool.path().display().to_string(), home);
    let left = std::fs::read_dir(spool.path()).expect("the spool").flatten();
    trace.deeds.extend(left.map(|file| format!("somebody has left {}", file.path().display())));
    trace
}

fn judged(log: &str, spool: &str, home: &Path) -> Trace {
    let mut trace = Trace::default();
    // What each process runs; a process that has not begun a program yet is a copy of the shell.
    let mut running: HashMap<&str, &str> = HashMap::new();
    for line in log.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let Some((name, arguments)) = call.split_once('(') else { continue };
        let is = |calls: &str| calls.split_ascii_whitespace().any(|known| known == name);
        let path = arguments.split('"').nth(1).unwrap_or_default();
        let program = running.get(process).copied().unwrap_or_default();
        if is(RUNS) {
            trace.programs.insert(path.rsplit('/').next().unwrap_or_default().to_owned());
            running.insert(process, call);
            continue;
        }
        let name_of = |program: &str| {
            program.split('"').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned()
        };
        if is(ASKS) {
            let interface = arguments.split("ifr_name=\"").nth(1).and_then(|rest| rest.split('"').next());
            trace.interfaces.extend(interface.map(|interface| (name_of(program), interface.to_owned())));
            continue;
        }
        // What the shell does before it is the program is not the program's.
        if (is(OPENS) || is(TELLS)) && !program.is_empty() && !path.is_empty() {
            // `openat(5</a/directory>, "name"`; a path that stands alone begins where the script does.
            let directory = arguments.split('"').next().and_then(|text| text.split_once('<'));
            let directory =
                directory.and_then(|(_, text)| text.rsplit_once('>')).map_or(home, |(text, _)| Path::new(text));
            let seen = (name_of(program), directory.join(path));
            if is(OPENS) {
                trace.opened.insert(seen.clone());
            }
            trace.named.insert(seen);
        }
        let writes =
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"].iter().any(|flag| arguments.contains(flag));
        // Temporary files of `sort` and `tac`.
        let mut paths = arguments.split('"').skip(1).step_by(2).peekable();
        let is_spooled = paths.peek().is_some() && paths.all(|path| path.starts_with(spool));
        // Below what is no directory nothing can be made, whoever tries.
        let is_nowhere = path.starts_with("/dev/null/");
        let is_deed = is(CHANGES) && !is_nowhere
            || is(OPENS) && writes && !SINKS.contains(&path)
            || is(SPEAKS) && arguments.contains("sa_family=AF_INET");
        if is_deed && !is_spooled {
            trace.deeds.push(format!("{program}\n    {call}"));
        }
    }
    trace
}
