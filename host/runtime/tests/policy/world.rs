//! What the tests of the command policy share: the parser of command lines as the `command` plugin has it, directories full of hostile
//! names, and programs that only tell what arguments they were given.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use scout_runtime::policy::{self as exec, Pipeline};

// The parser of the `command` plugin. Its types are the host's here: they have the same shape.
#[path = "../../../../plugins/command/src/lex.rs"]
mod lex;

/// The pipeline of a command line that runs in the home directory; none when only a shell could run it.
pub(crate) fn parse(line: &str) -> Option<Pipeline> {
    let stages = lex::pipeline(line, lex::Tilde::IsHere).ok()?;
    Some(Pipeline { stages, directory: None })
}

/// The shells that a host may have as `/bin/sh`.
pub(crate) const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

/// Programs of the table that no shell builds in: one for each stage of a pipeline that is tried.
pub(crate) const PROGRAMS: [&str; 4] = ["cat", "cut", "grep", "wc"];

/// Names that a hostile neighbour gives files.
pub(crate) const HOSTILE: &[&[u8]] = &[
    b"-rf",
    b"--output=x",
    b"-oout",
    b"a",
    b"a b",
    b"ab",
    b"b\nc",
    b"$(touch canary)",
    b"`touch canary`",
    b"';id;'",
    b"\"q\"",
    b"*",
    b"?",
    b"[a]",
    b"back\\slash",
    b"caf\xe9",
    "caf\u{e9}".as_bytes(),
    "\u{3000}wide".as_bytes(),
    "\u{1f980}".as_bytes(),
    b".hidden",
    b"~",
    b"#c",
    b"a=b",
    b"{a,b}",
    b"|",
    b"&",
    b"!x",
    b"tab\t",
    b"\x01\x1b[31m",
    b"-",
    b"--",
];

/// A directory of its own with [`HOSTILE`] files, below it a directory of stand-ins and one for what they tell.
pub(crate) struct World {
    root: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { root: tempfile::tempdir().expect("a temporary directory") };
        for name in ["files", "bin", "told"] {
            std::fs::create_dir(world.root.path().join(name)).expect("a directory");
        }
        for name in HOSTILE {
            std::fs::write(world.files().join(OsStr::from_bytes(name)), b"x\n").expect("a file");
        }
        for program in PROGRAMS {
            world.stand_in(program);
        }
        world
    }

    /// Lets a program of this name tell its arguments, each followed by NUL.
    pub(crate) fn stand_in(&self, program: &str) {
        let path = self.root.path().join("bin").join(program);
        let told = self.root.path().join("told").join(program);
        let script = format!("#!/bin/sh\n[ $# = 0 ] && set --\nprintf '%s\\0' \"$#\" \"$@\" >>{}\n", told.display());
        std::fs::write(&path, script).expect("a stand-in");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("may be run");
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.root.path().join("files")
    }

    /// Runs a script and gives what the stand-ins of these programs were given, and whether the files are as they were.
    pub(crate) fn told(&self, shell: &[&str], script: &[u8], programs: &[&str]) -> Vec<Option<Vec<u8>>> {
        let told = self.root.path().join("told");
        for program in programs {
            // Absent unless the last run made it.
            let _absent = std::fs::remove_file(told.join(program));
        }
        run(shell, script, &self.files(), &[("PATH", self.root.path().join("bin").as_os_str())]);
        programs.iter().map(|program| std::fs::read(told.join(program)).ok()).collect()
    }
}

/// Runs a script as a server would: in a directory that is the home, with nothing to read. Ends it after ten seconds.
pub(crate) fn run(shell: &[&str], script: &[u8], home: &Path, environment: &[(&str, &OsStr)]) -> Output {
    // By their paths: PATH may hold nothing but stand-ins.
    Command::new(which("timeout"))
        .args(["--kill-after=1", "10"])
        .arg(which(shell.first().expect("a shell")))
        .args(shell.iter().skip(1))
        .arg("-c")
        .arg(OsStr::from_bytes(script))
        .current_dir(home)
        .env("HOME", home)
        .env("LC_ALL", "C")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("timeout of coreutils runs")
}

/// Where a program is; the test fails where it is missing.
pub(crate) fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("{program} is missing: install it (Debian: apt-get install {program}), tests/ci.sh does")
        })
}
