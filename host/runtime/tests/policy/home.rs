//! The home directory that attempts on the policy run in, and their lists. Shared with Scout's integration tests, which send the same attempts
//! through SSH; knows no policy.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A line each; one that begins with `"` is a JSON string; `#` begins a comment.
pub(crate) fn cases(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| if line.starts_with('"') { serde_json::from_str(line).expect(line) } else { line.to_owned() })
        .collect()
}

/// What is in the files and in the environment that no attempt may show.
pub(crate) const SECRET: &str = "the-secret-marker";

/// A home in a directory that nobody else changes: `ls ..` shows that one.
pub(crate) struct Home {
    path: PathBuf,
    _parent: tempfile::TempDir,
}

impl Home {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A home with files of every kind that an attempt needs, hostile names among them.
pub(crate) fn home() -> Home {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let home = Home { path: parent.path().join("home"), _parent: parent };
    std::fs::create_dir(home.path()).expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).expect("a file");
    for directory in ["sub", ".ssh", "g"] {
        std::fs::create_dir(home.path().join(directory)).expect("a directory");
    }
    write("a", "b\na\nb\n");
    write("b", "one two\nthree four\n");
    write("log", "ERROR one\nok\nERROR two\n");
    write("names", "a\0b\0");
    write("magic", "0 string x y\n");
    // What `sort *out` writes through when a shell expands it to a flag.
    write("-oout", "x\n");
    write("script", "#!/bin/sh\ntouch canary\n");
    std::fs::set_permissions(home.path().join("script"), std::fs::Permissions::from_mode(0o755)).expect("may be run");
    for name in [
        "-oout",
        "-delete",
        "--output=out",
        "-exec",
        "-f",
        "--pre=script",
        "-C",
        "$(touch canary)",
        "`touch canary`",
        ";touch canary",
        "x\ny",
    ] {
        write(&format!("g/{name}"), "x\n");
    }
    for secret in [".netrc", ".ssh/id_rsa", ".pgpass"] {
        write(secret, SECRET);
    }
    home
}

/// Everything below a directory: names, kinds, modes, times of the last change, contents.
pub(crate) fn snapshot(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let data = path.symlink_metadata().expect("an entry");
        let contents = if data.is_file() { std::fs::read(&path).expect("readable") } else { Vec::new() };
        found.push(format!("{path:?} {:o} {}.{} {contents:?}", data.mode(), data.mtime(), data.mtime_nsec()));
        if data.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        }
    }
    found.sort();
    found
}
