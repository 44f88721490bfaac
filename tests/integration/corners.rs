//! What clients write at the edge of the protocol, and how they go away.

use std::process::Stdio;

use scout_tests::{Scout, Sshd};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::audit::tells_of_a_client_that_left;
use crate::limits::{running, until};
use crate::world::{options, world};

fn stateless(fields: Value) -> Value {
    let mut fields = fields.as_object().cloned().unwrap();
    fields.insert(
        "_meta".to_owned(),
        json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }),
    );
    Value::Object(fields)
}

fn hello(revision: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}
    }})
}

#[tokio::test]
async fn a_parameter_of_a_wrong_kind_is_named() {
    let (_sshd, scout) = world().await;
    for (params, name) in [
        (json!({"name": 5}), "`name`"),
        (json!({"name": "scout", "arguments": "hosts"}), "`arguments`"),
        (json!({"name": "scout", "arguments": ["hosts"]}), "`arguments`"),
        (json!({"name": "scout", "arguments": {"target": 5}}), "`target`"),
        (json!({"name": "scout", "arguments": {"target": "hosts", "query": {}}}), "`query`"),
        (json!({"name": "scout", "arguments": {"target": "box", "host": true}}), "`host`"),
        (json!({"name": "scout", "arguments": {"target": "box:/etc", "base64": "yes"}}), "`base64`"),
    ] {
        let answer = scout.request("tools/call", params.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(name), "{params}: {answer}");
    }
    for method in ["resources/read", "tools/list", "ping"] {
        let answer = scout.request(method, json!({"uri": 7, "cursor": 7, "_meta": 7})).await;
        assert_eq!(answer["error"]["code"], -32602, "{method}: {answer}");
    }
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn a_token_of_progress_is_bounded() {
    let (_sshd, scout) = world().await;
    let call = |token: usize| {
        let meta = json!({"progressToken": "t".repeat(token)});
        scout.request("tools/call", json!({"name": "scout", "arguments": {"target": "hosts"}, "_meta": meta}))
    };
    assert_eq!(call(1025).await["error"]["code"], -32602);
    assert!(call(1024).await["result"].is_object());
}

#[tokio::test]
async fn ping_is_gone_under_2026_07_28_and_answered_before() {
    let sshd = Sshd::start();
    let scout = Scout::spawn(&options(&sshd));
    assert_eq!(scout.request("ping", stateless(json!({}))).await["error"]["code"], -32601);
    // Nothing is agreed yet: a client of an earlier revision may ask before it shakes hands.
    assert!(scout.request("ping", json!({})).await["result"].is_object());
    assert!(scout.request("tools/list", stateless(json!({}))).await["result"].is_object());
    for params in [stateless(json!({})), json!({})] {
        assert_eq!(scout.request("ping", params).await["error"]["code"], -32601);
    }
    let (_sshd, scout) = world().await;
    assert!(scout.request("ping", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn what_comes_before_the_handshake_and_needs_no_answer_is_ignored() {
    let sshd = Sshd::start();
    let scout = Scout::spawn(&options(&sshd));
    scout.send_line(r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#).await;
    scout.send_line(r#"{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}"#).await;
    scout.send_line(r#"{"jsonrpc": "2.0", "id": 3, "result": {}}"#).await;
    scout.send_line("no JSON").await;
    scout.send_line(r#"{"jsonrpc": "1.0", "\u0069d": 9, "method": "tools/list"}"#).await;
    scout.initialize().await;
    scout.answers_unasked(2).await;
    let codes: Vec<_> =
        scout.unasked().iter().map(|told| (told["id"].clone(), told["error"]["code"].clone())).collect();
    // One that is answered under its id was asked for by nobody here.
    assert_eq!(codes, [(json!(null), json!(-32700)), (json!(9), json!(-32600))]);
    assert!(!scout.call("hosts").await.is_error());
}

#[tokio::test]
async fn each_member_of_a_batch_is_answered_under_the_revision_that_has_them() {
    let sshd = Sshd::start();
    let members = json!([
        {"jsonrpc": "2.0", "id": "one", "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "two", "method": "tools/call", "params": {"name": "scout", "arguments": {"target": "hosts"}}},
        {"jsonrpc": "2.0", "id": "three", "method": "nonsense/list"},
        7,
    ]);
    let scout = Scout::spawn(&options(&sshd));
    scout.send_line(&hello("2025-03-26").to_string()).await;
    scout.answers_unasked(1).await;
    scout.send_line(&members.to_string()).await;
    scout.answers_unasked(5).await;
    let told = scout.unasked();
    let of = |id: Value| told.iter().find(|told| told.get("id") == Some(&id)).unwrap();
    assert!(of(json!("one"))["result"].is_object() && of(json!("two"))["result"]["structuredContent"].is_object());
    assert_eq!(of(json!("three"))["error"]["code"], -32601);
    assert_eq!(of(json!(null))["error"]["code"], -32600);
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let scout = Scout::spawn(&options(&sshd));
        scout.send_line(&hello(revision).to_string()).await;
        scout.answers_unasked(1).await;
        scout.send_line(&members.to_string()).await;
        scout.answers_unasked(2).await;
        assert_eq!(scout.unasked()[1]["error"]["code"], -32600, "{revision}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_nothing_to_log() {
    let (_sshd, scout) = world().await;
    let answer = scout.request("tools/call", json!({"name": "nonsense", "arguments": {}})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    for uri in ["scout://box/no/such/file", "scout://nowhere/etc", "nonsense://"] {
        assert!(scout.request("resources/read", json!({"uri": uri})).await["error"].is_object(), "{uri}");
    }
    assert!(scout.request("nonsense/list", json!({})).await["error"].is_object());
    assert!(scout.close().await.success());
    assert_eq!(scout.stderr(), "");
}

/// All that a script gets for what it writes at once.
async fn script(sshd: &Sshd, settings: &str, lines: &[Value]) -> (Vec<Value>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = options(sshd)
        .setting(settings)
        .command(dir.path())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        let line = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (answers, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_script_that_writes_all_at_once_gets_all_its_answers_however_long_they_take() {
    let sshd = Sshd::start();
    let call = |id: usize, target: &str, query: Option<&str>| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "scout", "arguments": {"target": target, "query": query}
        }})
    };
    let lines = [
        hello("2025-06-18"),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        call(1, "hosts", None),
        call(2, "box:", Some("sleep 7; echo late")),
        json!("no JSON"),
    ];
    let (answers, log) = script(&sshd, "commands = \"shell\"", &lines).await;
    let of = |id: usize| answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{id}: {log}"));
    assert_eq!(answers.len(), 4);
    assert!(of(1)["result"]["structuredContent"]["hosts"].is_array(), "{}", of(1));
    // Longer than the five seconds that rmcp has for what is under way.
    assert_eq!(of(2)["result"]["structuredContent"]["stdout"], "late\n");
    assert_eq!(log, "");
    let (answers, _) = script(&sshd, "", &[json!("no JSON")]).await;
    assert_eq!(answers.first().map(|answer| answer["error"]["code"].clone()), Some(json!(-32700)));
}

#[tokio::test]
async fn a_client_that_closes_its_end_in_a_dialogue_leaves_nothing_behind() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting("commands = \"shell\"").setting("command_timeout = \"600s\"");
    let scout = Scout::start(&options).await;
    assert!(!scout.call("hosts").await.is_error());
    let marker = format!("scout-left-{}", sshd.address().port());
    let mut waits = Vec::new();
    for number in 0..3 {
        let begun = sshd.dir().join(format!("begun{number}"));
        // The last does not listen to TERM.
        let trap = if number == 2 { "trap '' TERM; " } else { "" };
        let query = format!("{trap}touch {}; while :; do sleep 1000; : {marker}; done", begun.display());
        let arguments = json!({"target": "box", "query": query});
        waits.push(scout.begin("tools/call", json!({"name": "scout", "arguments": arguments})).await);
        until(|| begun.exists()).await;
    }
    // As client libraries do it; that no signal has to follow is the point.
    assert!(scout.close().await.success());
    until(|| running(&marker).is_empty()).await;
    let log = std::fs::read_to_string(scout.dir().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!((of("begin").len(), of("end").len()), (3, 3), "{log}");
    assert!(of("end").into_iter().all(tells_of_a_client_that_left), "{log}");
    assert_eq!(scout.stderr(), "");
}

#[tokio::test]
async fn a_client_that_is_gone_at_once_alarms_nobody() {
    let sshd = Sshd::start();
    for lines in [0, 1, 3] {
        let scout = Scout::spawn(&options(&sshd));
        let all = [
            hello("2025-06-18"),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
        ];
        for line in all.iter().take(lines) {
            scout.send_line(&line.to_string()).await;
        }
        scout.hang_up();
        assert!(scout.close().await.success(), "{}", scout.stderr());
        assert_eq!(scout.stderr(), "", "{lines}");
    }
}
