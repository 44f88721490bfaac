//! The official Python client. `tests/ci.sh` makes its environment.

use std::path::{Path, PathBuf};

use scout_tests::{Guest, ScoutOptions, Sshd};
use tokio::process::Command;

use crate::http::serving;
use crate::world::options;

/// The interpreter with the client, and the folder of the scripts.
pub(crate) fn python() -> (PathBuf, PathBuf) {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let python = tests.join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: tests/ci.sh makes it", python.display());
    (python, tests.join("python"))
}

/// Runs to the end of a script, which must be a good one.
async fn succeeds(script: &mut Command, scout: &ScoutOptions, dir: &Path) {
    script.env("XDG_CACHE_HOME", scout.binary.with_file_name("scout-test-cache"));
    script.env("XDG_STATE_HOME", dir.join("state"));
    let output = script.output().await.unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
}

#[tokio::test]
async fn the_official_python_client_is_told_of_changed_tools_in_both_eras() {
    let ((python, scripts), sshd, dir) = (python(), Sshd::start(), tempfile::tempdir().unwrap());
    let plugin = dir.path().join("mine.wasm");
    std::fs::write(&plugin, Guest::DoesAsSet.bytes()).unwrap();
    let plugin = format!("[plugins.mine]\nsource = {:?}\ngrants = [\"exec\", \"shell\"]", plugin.display().to_string());
    let options = options(&sshd).setting(&plugin).setting("[plugins.mine.settings]\ntool = \"one\"");
    drop(options.command(dir.path()));
    let mut script = Command::new(python);
    script.arg(scripts.join("list_changed.py")).arg(&options.binary).arg(dir.path().join("scout.toml"));
    succeeds(&mut script, &options, dir.path()).await;
}

#[tokio::test]
async fn the_official_python_client_lists_and_calls_in_both_eras() {
    let ((python, scripts), sshd) = (python(), Sshd::start());
    std::fs::write(sshd.dir().join("greeting.txt"), "hello").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = options(&sshd);
    // Writes the configuration; the client starts the process itself.
    drop(options.command(dir.path()));
    let mut script = Command::new(python);
    script
        .arg(scripts.join("official_client.py"))
        .arg(&options.binary)
        .arg(dir.path().join("scout.toml"))
        .arg(sshd.dir());
    succeeds(&mut script, &options, dir.path()).await;
}

#[tokio::test]
async fn the_official_python_client_lists_and_calls_over_http_in_both_eras() {
    let ((python, scripts), sshd) = (python(), Sshd::start());
    std::fs::write(sshd.dir().join("greeting.txt"), "hello").unwrap();
    let (scout, key) = serving(&options(&sshd)).await;
    let mut script = Command::new(python);
    script.arg(scripts.join("official_client.py")).arg("-").arg(format!("http://{}/mcp", scout.address()));
    script.arg(sshd.dir()).env("SCOUT_KEY", key);
    let output = script.output().await.unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}{}", scout.stderr());
}
