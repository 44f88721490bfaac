//! Tools that plugins bring, as a client meets them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_tests::{Answer, Guest, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::world::options;

/// A component in a directory, and the lines of scout.toml that make it the plugin `name`.
fn plugin(dir: &Path, name: &str, guest: Guest, more: &str) -> String {
    let path: PathBuf = dir.join(format!("{name}.wasm"));
    std::fs::write(&path, guest.bytes()).unwrap();
    format!("[plugins.{name}]\nsource = {:?}\n{more}", path.display().to_string())
}

const GRANTS: &str = "grants = [\"files\", \"exec\"]";

async fn scout_with(sshd: &Sshd, tables: &[String]) -> Arc<Scout> {
    Scout::start(&tables.iter().fold(options(sshd), |options: ScoutOptions, table| options.setting(table))).await
}

async fn call(scout: &Scout, tool: &str, arguments: Value) -> Answer {
    Answer { message: scout.request("tools/call", json!({"name": tool, "arguments": arguments})).await }
}

async fn names(scout: &Scout) -> Vec<String> {
    let listed = scout.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tools_of_a_plugin_are_listed_behind_scout_and_answer() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(&sshd, &[plugin(dir.path(), "mine", Guest::BringsTools, GRANTS)]).await;
    let file = sshd.dir().join("three");
    std::fs::write(&file, "1\n2\n3\n").unwrap();
    assert_eq!(names(&scout).await, ["scout", "read_text", "count_lines", "breaks_its_word"]);
    let listed = scout.request("tools/list", json!({})).await;
    let tools = &listed["result"]["tools"];
    assert_eq!(
        (&tools[1]["annotations"]["readOnlyHint"], &tools[2]["annotations"]["readOnlyHint"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(tools[1]["outputSchema"]["required"], json!(["text"]));
    let read = call(&scout, "read_text", json!({"host": "box", "path": file})).await;
    assert_eq!(
        (read.text().as_str(), read.structured()),
        ("1\n2\n3\n", json!({"text": "1\n2\n3\n"})),
        "{}",
        read.message
    );
    assert_eq!(read.receipt()["copied_bytes"], 6);
    let counted = call(&scout, "count_lines", json!({"host": "box", "path": file})).await;
    assert!(counted.text().starts_with("3 "), "{}", counted.text());
}

#[tokio::test]
async fn what_runs_commands_is_destructive_where_a_host_runs_any() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let table = plugin(dir.path(), "mine", Guest::BringsTools, GRANTS);
    for (policy, destructive) in [("read-only", [false; 4]), ("shell", [true, false, true, false])] {
        let scout = scout_with(&sshd, &[format!("commands = {policy:?}"), table.clone()]).await;
        let listed = scout.request("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap();
        let hints: Vec<_> = tools.iter().map(|tool| &tool["annotations"]["destructiveHint"]).collect();
        assert_eq!(hints, destructive.map(Value::from).iter().collect::<Vec<_>>(), "{policy}");
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_reach_no_plugin() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(&sshd, &[plugin(dir.path(), "mine", Guest::BringsTools, GRANTS)]).await;
    for (arguments, says) in [
        (json!({"host": "box"}), "\"path\" is a required property"),
        (json!({"host": "box", "path": 7}), "`/path`: 7 is not of type \"string\""),
        (json!({"host": "box", "path": "/x", "pth": "y"}), "pth"),
        (json!({"host": "", "path": "/x"}), "`/host`"),
    ] {
        let answer = call(&scout, "read_text", arguments).await;
        assert!(answer.is_error() && answer.text().contains(says), "{}", answer.text());
        assert_eq!(answer.receipt()["host_calls"], 0);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_the_tools_own_schema_is_an_error() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(&sshd, &[plugin(dir.path(), "mine", Guest::BringsTools, GRANTS)]).await;
    let answer = call(&scout, "breaks_its_word", json!({"host": "box", "path": "/"})).await;
    assert!(answer.is_error() && answer.text().contains("broke its own output schema"), "{}", answer.text());
}

#[tokio::test]
async fn a_failure_keeps_the_kind_that_its_plugin_gives_it() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(&sshd, &[plugin(dir.path(), "mine", Guest::AnswersAndBringsTools, GRANTS)]).await;
    let answer = call(&scout, "renew", json!({})).await;
    let why = json!({"kind": "license-expired", "message": "the license has expired", "hint": "renew it"});
    // The schema allows no field `since`: what is left is why it failed.
    assert_eq!((answer.is_error(), answer.structured()), (true, json!({"error": why})), "{}", answer.message);
    assert_eq!(answer.text(), "the license has expired\nrenew it");
}

#[tokio::test]
async fn one_plugin_answers_queries_in_the_place_of_a_handler_and_brings_tools_as_a_plugin() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let file = sshd.dir().join("file");
    std::fs::write(&file, "text").unwrap();
    let handlers = dir.path().join("handlers");
    std::fs::create_dir(&handlers).unwrap();
    std::fs::write(handlers.join("file.wasm"), Guest::AnswersAndBringsTools.bytes()).unwrap();
    let tools = plugin(dir.path(), "mine", Guest::AnswersAndBringsTools, GRANTS);
    let scout = scout_with(&sshd, &[format!("plugins_dir = {:?}", handlers.display().to_string()), tools]).await;
    assert_eq!(names(&scout).await, ["scout", "look", "renew"]);
    scout.call("box:/").await;
    let handled = scout.call(&format!("box:{}", file.display())).await;
    // Joined by the line that parts of an answer are on.
    assert_eq!(handled.text().replace('\n', ""), "handled: text", "{}", handled.message);
    assert_eq!(handled.receipt()["round_trips"], 1, "what lies there is handed over, and asked for once");
    let called = call(&scout, "look", json!({"host": "box", "path": file})).await;
    assert_eq!(called.text().replace('\n', ""), "called: text", "{}", called.message);
}

#[tokio::test]
async fn an_unknown_tool_is_told_with_a_near_name() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let scout = scout_with(&sshd, &[plugin(dir.path(), "mine", Guest::BringsTools, GRANTS)]).await;
    let answer = call(&scout, "read_txt", json!({})).await;
    assert_eq!(answer.message["error"]["code"], -32602);
    assert!(answer.message["error"]["message"].as_str().unwrap().contains("did you mean `read_text`"));
}

#[tokio::test]
async fn two_plugins_with_one_name_need_a_prefix_and_the_log_names_both() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let one = plugin(dir.path(), "one", Guest::BringsTools, GRANTS);
    let two = plugin(dir.path(), "two", Guest::BringsTools, GRANTS);
    let clash = scout_with(&sshd, &[one.clone(), two.clone()]).await;
    assert_eq!(names(&clash).await, ["scout", "read_text", "count_lines", "breaks_its_word"]);
    assert!(clash.close().await.success());
    let log = clash.stderr();
    assert!(log.contains("plugin `two`: it has a tool `read_text`, and so has plugin `one`; set `prefix`"), "{log}");
    let apart = scout_with(&sshd, &[one, format!("{two}\nprefix = \"two_\"")]).await;
    assert_eq!(names(&apart).await.len(), 7);
    let answer = call(&apart, "two_read_text", json!({"host": "box", "path": "/etc/hostname"})).await;
    assert!(!answer.is_error(), "{}", answer.text());
}

#[tokio::test]
async fn a_plugin_that_needs_what_is_not_granted_is_left_out_and_the_others_answer() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let poor = plugin(dir.path(), "poor", Guest::BringsTools, "grants = [\"files\"]");
    let rich = plugin(dir.path(), "rich", Guest::BringsTools, GRANTS);
    let scout = scout_with(&sshd, &[poor, rich]).await;
    let answer = call(&scout, "read_text", json!({"host": "box", "path": "/etc/hostname"})).await;
    assert!(!answer.is_error(), "{}", answer.text());
    assert!(scout.close().await.success());
    assert!(scout.stderr().contains("plugin `poor`: needs `exec`, which is not granted"), "{}", scout.stderr());
}

#[tokio::test]
async fn a_plugin_that_cannot_be_read_keeps_scout_from_starting_and_says_why() {
    let sshd = Sshd::start();
    for (table, says) in [
        ("[plugins.mine]\nsource = \"absent.wasm\"", "[plugins.mine] source"),
        ("[plugins.mine]\n", "one of your own has a `source`"),
        ("[plugins.Mine]\nsource = \"/etc/hostname\"", "1 to 64 of a-z 0-9 -"),
        ("[plugins.mine]\nsource = \"x\"\nprefix = \"a b\"", "not a prefix"),
        ("[plugins.mine]\nsurce = \"x\"", "`source`"),
    ] {
        let scout = Scout::spawn(&options(&sshd).setting(table));
        assert_eq!(scout.wait().await.code(), Some(2), "{table}");
        assert!(scout.stderr().contains(says), "{table}: {}", scout.stderr());
    }
}
