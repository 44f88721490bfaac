//! Which OpenSSH a test runs: the machine's, or the one of a newer Debian that
//! `tests/newer_debian.sh` has unpacked.
//!
//! Tests find its programs by `PATH`. A test binary that compares with them has one test more,
//! which runs all others again with the newer programs first in `PATH`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set in the process that [`with_newer_openssh`] starts.
const INSIDE: &str = "SCOUT_NEWER_OPENSSH";
/// The Debian that is unpacked; another one may be made by hand and named in `SCOUT_DEBIAN_SUITE`.
const SUITE: &str = "trixie";
/// Where programs are that are mostly not in `PATH`.
const ELSEWHERE: [&str; 5] = ["/usr/sbin", "/usr/local/sbin", "/usr/lib/openssh", "/usr/libexec", "/usr/lib/ssh"];

/// The directory with the programs of an OpenSSH 10.
///
/// # Panics
/// When it is missing, with what makes it.
pub fn newer_openssh() -> PathBuf {
    let (tree, suite) = newer_debian();
    let directory = tree.join("bin");
    assert!(directory.join("sshd").exists(), "{} is missing: run tests/newer_debian.sh {suite}", directory.display());
    directory
}

/// The program of fish 4, which finds its functions beside itself: a copy of it alone does not.
///
/// # Panics
/// When it is missing, with what makes it.
pub fn newer_fish() -> PathBuf {
    let (tree, suite) = newer_debian();
    let program = tree.join("usr/bin/fish");
    assert!(program.exists(), "{} is missing: run tests/newer_debian.sh {suite}", program.display());
    program
}

/// Where a newer Debian is unpacked, and its name.
fn newer_debian() -> (PathBuf, String) {
    let suite = std::env::var("SCOUT_DEBIAN_SUITE").unwrap_or_else(|_| SUITE.to_owned());
    (Path::new(env!("CARGO_MANIFEST_DIR")).join(".debian").join(&suite), suite)
}

/// Whether this process is one that [`with_newer_openssh`] has started.
pub fn is_with_newer_openssh() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the tests of this binary again, those of the arguments only, with the programs of
/// [`newer_openssh`] first in `PATH`; the caller, whose name is `caller`, is left out.
///
/// # Panics
/// When one of them fails, with what they wrote.
pub fn with_newer_openssh(caller: &str, arguments: &[&str]) {
    let machines = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(newer_openssh()).chain(std::env::split_paths(&machines));
    let path: OsString = std::env::join_paths(directories).expect("the tree's directory has no colon");
    let mut command = Command::new(std::env::current_exe().expect("the path of the running test"));
    command
        .args(["--nocapture", "--skip", caller])
        .args(arguments)
        .env("PATH", path)
        .env(INSIDE, "1")
        .stdin(Stdio::null());
    let output = command.output().expect("the tests run again");
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !told.contains(" 0 passed"), "with {}:\n{told}", newer_openssh().display());
    eprintln!("{told}");
}

/// A program of OpenSSH: in this directory, or the first in `PATH`, or where Debian and others keep it.
///
/// # Panics
/// When there is none, with what installs it.
pub(crate) fn program(directory: Option<&Path>, name: &str) -> PathBuf {
    let machines = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = match directory {
        Some(directory) => vec![directory.to_path_buf()],
        None => std::env::split_paths(&machines).chain(ELSEWHERE.map(PathBuf::from)).collect(),
    };
    let found = directories.into_iter().map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: sudo apt-get install openssh-server openssh-sftp-server"))
}
