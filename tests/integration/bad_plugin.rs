//! Plugins that misbehave are stopped, said so, and hurt nobody.

use std::path::Path;

use scout_tests::{Scout, Sshd, fixture};

use crate::world::options;

/// A Scout whose `file` handler is this fixture.
async fn scout_with(fixture_name: &str, sshd: &Sshd, plugins: &Path) -> std::sync::Arc<Scout> {
    std::fs::copy(fixture(fixture_name), plugins.join("file.wasm")).unwrap();
    Scout::start(&options(sshd).setting(&format!("plugins_dir = {:?}", plugins.display().to_string()))).await
}

#[tokio::test]
async fn a_plugin_that_loops_is_stopped_and_the_next_call_answers() {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with("loops", &sshd, plugins.path()).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("`file`") && answer.text().contains("CPU"), "{}", answer.text());
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn a_plugin_that_eats_memory_is_stopped_and_the_next_call_answers() {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with("eats-memory", &sshd, plugins.path()).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("`file`") && answer.text().contains("memory"), "{}", answer.text());
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn a_wasip2_component_finds_an_empty_world() {
    let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with("wasi", &sshd, plugins.path()).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(!answer.is_error(), "{}", answer.text());
    assert!(answer.text().contains("env 0") && answer.text().contains("args 0"), "{}", answer.text());
    assert!(!scout.call("hosts").await.is_error());
}
