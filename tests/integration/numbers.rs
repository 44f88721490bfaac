//! What other processes are told of what a Scout has done.

use serde_json::Value;

use crate::limits::until;
use crate::world::{binary, world};

#[tokio::test]
async fn a_list_of_plugins_tells_what_each_process_that_serves_has_done() {
    let (_sshd, scout) = world().await;
    let read = scout.call("box:/etc/hostname").await;
    let ran = scout.command("box", "uname").await;
    assert!(!read.is_error() && !ran.is_error(), "{} {}", read.text(), ran.text());
    assert!(scout.command("box", "rm -rf /").await.is_error());
    assert!(scout.call("nobody:/etc/hostname").await.is_error());
    let list = |json: &[&str]| {
        let mut command = std::process::Command::new(binary());
        command.env("XDG_STATE_HOME", scout.dir().join("state"));
        command.env("XDG_CACHE_HOME", binary().with_file_name("scout-test-cache"));
        command.arg("--config").arg(scout.dir().join("scout.toml")).args(["plugin", "list"]).args(json);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    until(|| list(&[]).contains("  calls: 4 (2 answered, 1 failed, 1 refused), half within ")).await;
    let text = list(&[]);
    assert!(text.contains("connections: 1 now, 0 being made, 1 begun since the start; requests waiting: 0"), "{text}");
    let listed: Value = serde_json::from_str(&list(&["--json"])).unwrap();
    let numbers = &listed["serving"][0]["numbers"];
    let told: Vec<_> = numbers["calls"].as_array().unwrap().iter().map(|of| (&of["plugin"], &of["outcomes"])).collect();
    let (file, command) = (serde_json::json!({"answered": 1}), serde_json::json!({"answered": 1, "refused": 1}));
    let none = serde_json::json!({"failed": 1});
    assert_eq!(told, [(&"file".into(), &file), (&"command".into(), &command), (&Value::Null, &none)], "{numbers}");
    assert_eq!(numbers["calls"][0]["round_trips"], read.receipt()["round_trips"]);
    assert_eq!((&numbers["calls"][1]["execs"], &numbers["connections"]), (&1.into(), &1.into()));
    assert!(scout.close().await.success());
}
