//! MCP as the wire has it, revision by revision.

use scout_tests::Scout;
use serde_json::{Value, json};

use crate::world::{options, world};
use scout_tests::Sshd;

async fn handshake(revision: &str) -> Value {
    let sshd = Sshd::start();
    let scout = Scout::spawn(&options(&sshd));
    let hello = scout
        .request(
            "initialize",
            json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}),
        )
        .await;
    scout.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
    let answer = scout.call("hosts").await;
    assert!(!answer.is_error(), "{}", answer.text());
    hello
}

#[tokio::test]
async fn revision_2024_11_05_is_spoken() {
    assert_eq!(handshake("2024-11-05").await["result"]["protocolVersion"], "2024-11-05");
}

#[tokio::test]
async fn revision_2025_03_26_is_spoken() {
    assert_eq!(handshake("2025-03-26").await["result"]["protocolVersion"], "2025-03-26");
}

#[tokio::test]
async fn revision_2025_06_18_is_spoken() {
    assert_eq!(handshake("2025-06-18").await["result"]["protocolVersion"], "2025-06-18");
}

#[tokio::test]
async fn revision_2025_11_25_is_spoken() {
    assert_eq!(handshake("2025-11-25").await["result"]["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn revision_2026_07_28_is_spoken_without_a_handshake() {
    let sshd = Sshd::start();
    let scout = Scout::spawn(&options(&sshd));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let discovered = scout.request("server/discover", json!({"_meta": meta})).await;
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap_or_else(|| panic!("{discovered}"));
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    let tools = scout.request("tools/list", json!({"_meta": meta})).await;
    assert_eq!(tools["result"]["tools"][0]["name"], "scout", "{tools}");
    let answer =
        scout.request("tools/call", json!({"name": "scout", "arguments": {"target": "hosts"}, "_meta": meta})).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert_eq!(answer["result"]["structuredContent"]["hosts"][0]["name"], "box", "{answer}");
}

#[tokio::test]
async fn the_tool_says_what_it_takes_and_gives() {
    let (_sshd, scout) = world().await;
    let tools = scout.request("tools/list", json!({})).await;
    let tool = tools["result"]["tools"][0].clone();
    assert_eq!(tool["name"], "scout");
    // `target` or `targets`.
    assert_eq!(tool["inputSchema"]["required"], json!(null));
    let properties = tool["inputSchema"]["properties"].as_object().unwrap();
    let said = format!("{} {}", tool["description"], tool["inputSchema"]);
    for argument in ["target", "targets", "query", "tree", "find", "depth", "diff", "offset", "tail", "grep", "base64"]
    {
        // What it means stands beside it or in the tool's own description.
        let is_said = properties.get(argument).is_some_and(|own| own["description"].is_string());
        let is_known = properties.contains_key(argument);
        assert!(is_known && (is_said || said.contains(&format!("`{argument}`"))), "{argument}: {said}");
    }
    assert_eq!(tool["outputSchema"]["type"], "object");
    assert_eq!(tool["annotations"]["destructiveHint"], false);
}

#[tokio::test]
async fn what_is_not_offered_is_method_not_found() {
    let (_sshd, scout) = world().await;
    for method in ["prompts/list", "logging/setLevel", "nonsense/list"] {
        let answer = scout.request(method, json!({"level": "debug"})).await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
    let params = json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}});
    let answer = scout.request("completion/complete", params).await;
    assert_eq!(answer["error"]["code"], -32602, "of prompts there are none: {answer}");
}

#[tokio::test]
async fn resources_are_listed_with_their_template() {
    let (_sshd, scout) = world().await;
    let resources = scout.request("resources/list", json!({})).await;
    assert_eq!(resources["result"]["resources"][0]["uri"], "hosts://list", "{resources}");
    let templates = scout.request("resources/templates/list", json!({})).await;
    assert_eq!(templates["result"]["resourceTemplates"][0]["uriTemplate"], "scout://{host}/{path*}", "{templates}");
}
