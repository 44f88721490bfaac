//! What a client that asks for progress hears of a call that waits for a host.

use std::path::{Path, PathBuf};

use scout_tests::Answer;
use serde_json::{Value, json};

use crate::world::world;

const PROGRESS: &str = "notifications/progress";

/// A pipe by name: `cat` of it ends when the test has written to it.
fn pipe(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("`mkfifo` runs: install coreutils");
    assert!(made.success());
    path
}

fn cat(pipe: &Path, token: Option<&str>) -> Value {
    let mut params =
        json!({"name": "scout", "arguments": {"target": "box:/", "query": format!("cat {}", pipe.display())}});
    if let Some(token) = token {
        params["_meta"] = json!({"progressToken": token});
    }
    params
}

#[tokio::test]
async fn a_client_hears_how_long_a_host_has_been_waited_for_and_nothing_after_the_answer() {
    let (sshd, scout) = world().await;
    let (told, untold) = (pipe(sshd.dir(), "told"), pipe(sshd.dir(), "untold"));
    let (id, mut answer) = scout.begin("tools/call", cat(&told, Some("mine"))).await;
    let (_, mut silent) = scout.begin("tools/call", cat(&untold, None)).await;
    scout.notifies(PROGRESS, 2).await;
    assert!(answer.try_recv().is_err() && silent.try_recv().is_err());
    for (path, text) in [(told, "one"), (untold, "two")] {
        tokio::task::spawn_blocking(move || std::fs::write(path, text)).await.unwrap().unwrap();
    }
    let (answer, silent) = (Answer { message: answer.await.unwrap() }, Answer { message: silent.await.unwrap() });
    assert_eq!((&answer.structured()["stdout"], &silent.structured()["stdout"]), (&json!("one"), &json!("two")));

    // An answer of its own, behind all that was written for the two.
    scout.call("hosts").await;
    let reports: Vec<Value> = scout.unasked().into_iter().filter(|message| message["method"] == PROGRESS).collect();
    assert_eq!(scout.unasked_before(id), Some(reports.len()), "{reports:?}");
    for report in &reports {
        assert_eq!(report["params"]["progressToken"], "mine", "{report}");
        assert!(report["params"]["message"].as_str().unwrap().ends_with(" s, waiting for box"), "{report}");
    }
    let numbers: Vec<f64> = reports.iter().map(|report| report["params"]["progress"].as_f64().unwrap()).collect();
    assert!(numbers[0] >= 1.0 && numbers.windows(2).all(|two| two[0] < two[1]), "{numbers:?}");
}
