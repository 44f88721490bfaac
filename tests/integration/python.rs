//! The official Python client. `tests/ci.sh` makes its environment.

use std::path::PathBuf;

use crate::world::options;
use scout_tests::Sshd;

#[tokio::test]
async fn the_official_python_client_lists_and_calls_in_both_eras() {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let python = tests.join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: tests/ci.sh makes it", python.display());
    let sshd = Sshd::start();
    std::fs::write(sshd.dir().join("greeting.txt"), "hello").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = options(&sshd);
    // Writes the configuration; the client starts the process itself.
    drop(options.command(dir.path()));
    let output = tokio::process::Command::new(python)
        .env("XDG_CACHE_HOME", options.binary.with_file_name("scout-test-cache"))
        .arg(tests.join("python/official_client.py"))
        .arg(options.binary)
        .arg(dir.path().join("scout.toml"))
        .arg(sshd.dir())
        .output()
        .await
        .unwrap();
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
}
