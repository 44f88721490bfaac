//! Bad input: each has a clear error in the answer, and the server is alive after it.

use std::sync::Arc;

use scout_tests::{Scout, ScoutOptions, Sshd, SshdOptions, generate_key, login_name};
use serde_json::json;

use crate::world::{binary, options, world, world_with};

/// The server still answers after whatever came before.
async fn alive(scout: &Arc<Scout>) {
    let answer = scout.call("hosts").await;
    assert!(!answer.is_error(), "{}", answer.text());
}

#[tokio::test]
async fn an_unknown_host_is_told_with_near_names() {
    let (_sshd, scout) = world().await;
    let answer = scout.call("bix:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("bix") && answer.text().contains("box"), "{}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn a_host_that_refuses_connections_is_told() {
    let sshd = Sshd::start();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scout = Scout::start(&ScoutOptions::new(binary(), sshd.config_block("box", free), "")).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("box") && answer.text().contains(&free.port().to_string()), "{}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up_after_its_connect_timeout() {
    let sshd = Sshd::start();
    // Bound, never accepted: TCP connects, nobody says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let block = format!("{}  ConnectTimeout 1\n", sshd.config_block("box", address));
    let scout = Scout::start(&ScoutOptions::new(binary(), block, "")).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("1 s"), "{}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn an_unknown_host_key_is_answered_with_the_line_that_trusts_it() {
    let sshd = Sshd::start();
    let scout = Scout::start(&ScoutOptions::new(binary(), sshd.config_block("box", sshd.address()), "")).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("scout trust box"), "{}", answer.text());
    assert!(answer.text().contains("SHA256:"), "{}", answer.text());
    let log = sshd.log().join("\n");
    assert!(!log.contains("userauth") && !log.contains("Accepted"), "something was sent before trust:\n{log}");
    alive(&scout).await;
}

#[tokio::test]
async fn a_wrong_host_key_is_refused_with_the_line_that_holds_another() {
    let sshd = Sshd::start();
    let other = generate_key(sshd.dir(), "other");
    let known = format!("[127.0.0.1]:{} {}\n", sshd.address().port(), other.public);
    let scout = Scout::start(&ScoutOptions::new(binary(), sshd.config_block("box", sshd.address()), known)).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("known_hosts:1"), "{}", answer.text());
    assert!(!answer.text().contains("scout trust"), "a changed key is not trusted away: {}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn no_accepted_key_is_told_with_what_was_tried() {
    let sshd = Sshd::start();
    let stranger = generate_key(sshd.dir(), "stranger");
    let block = format!(
        "Host box\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n",
        sshd.address().port(),
        login_name(),
        stranger.private.display()
    );
    let scout = Scout::start(&ScoutOptions::new(binary(), block, sshd.known_hosts_line(sshd.address()))).await;
    let answer = scout.call("box:/etc/hostname").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("publickey"), "{}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn a_missing_path_is_told() {
    let (sshd, scout) = world().await;
    let answer = scout.call(&format!("box:{}/missing", sshd.dir().display())).await;
    assert!(answer.is_error());
    assert!(answer.text().contains("missing") && answer.text().contains("no such file"), "{}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn a_directory_without_permission_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sshd, scout) = world_with(&SshdOptions { permissions_bind_root: true, ..SshdOptions::default() }).await;
    let locked = sshd.dir().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    for path in [locked.clone(), locked.join("below")] {
        let answer = scout.call(&format!("box:{}", path.display())).await;
        assert!(answer.is_error(), "{}", answer.text());
        assert!(answer.text().contains("permission denied") && answer.text().contains("locked"), "{}", answer.text());
    }
    alive(&scout).await;
}

#[tokio::test]
async fn a_binary_file_is_described_not_dumped() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("bin"), [0x7f, b'E', b'L', b'F', 0, 0xff, 0x1b, b'[', b'2', b'J']).unwrap();
    let answer = scout.call(&format!("box:{}/bin", sshd.dir().display())).await;
    assert!(!answer.is_error(), "{}", answer.text());
    assert!(!answer.text().contains('\u{1b}'), "{:?}", answer.text());
    assert_eq!(answer.structured()["encoding"], "base64", "{}", answer.structured());
}

#[tokio::test]
async fn an_endless_file_is_not_read() {
    let (_sshd, scout) = world().await;
    let answer = scout.call("box:/dev/zero").await;
    assert!(answer.is_error());
    assert!(answer.text().contains("/dev/zero"), "{}", answer.text());
    alive(&scout).await;
}

#[tokio::test]
async fn a_fifo_without_a_writer_hurts_nobody_else_and_leaves_no_server_process() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    let fifo = sshd.dir().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let target = format!("box:{}", sshd.dir().display());
    scout.call(&format!("{target}/f")).await;
    let mut waits = vec![
        scout.begin("tools/call", json!({"name": "scout", "arguments": {"target": format!("{target}/fifo")}})).await,
    ];
    for _ in 0..50 {
        waits.push(
            scout.begin("tools/call", json!({"name": "scout", "arguments": {"target": format!("{target}/f")}})).await,
        );
    }
    for (index, (_, wait)) in waits.into_iter().enumerate() {
        let answer = scout_tests::Answer { message: wait.await.unwrap() };
        if index == 0 {
            assert!(answer.is_error(), "{}", answer.text());
            assert!(answer.text().contains("fifo"), "{}", answer.text());
        } else {
            assert_eq!(answer.structured()["content"], "text", "{}", answer.text());
        }
    }
    // Whoever hangs in open(2) of the FIFO would still be there.
    let stuck = processes_with(&fifo.display().to_string(), "sftp-server");
    assert!(stuck.is_empty(), "left: {stuck:?}");
    alive(&scout).await;
}

/// Processes called `name` below the harness whose open files or blocked call name `path`: as a FIFO that is being
/// opened shows in neither, all of that name that sleep in `wait_for_partner`.
fn processes_with(_path: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let dir = entry.path();
        let comm = std::fs::read_to_string(dir.join("comm")).unwrap_or_default();
        let wchan = std::fs::read_to_string(dir.join("wchan")).unwrap_or_default();
        if comm.trim() == name && wchan.contains("wait_for_partner") {
            found.push(dir.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn odd_names_are_read_as_they_are() {
    let (sshd, scout) = world().await;
    for name in ["two words", "quote'\"s", "new\nline", "-dash", "$(id)", "`id`", "a;b", "tab\there", "ünïcode", "*"]
    {
        std::fs::write(sshd.dir().join(name), name).unwrap();
        let answer = scout.call(&format!("box:{}/{name}", sshd.dir().display())).await;
        assert_eq!(answer.structured()["content"], name, "{name:?}: {}", answer.text());
        let command =
            scout.command(&format!("box:{}", sshd.dir().display()), &format!("cat -- {}", quoted(name))).await;
        assert_eq!(command.structured()["stdout"], name, "{name:?}: {}", command.text());
    }
    let up = scout
        .call(&format!("box:{}/../{}/two words", sshd.dir().display(), sshd.dir().file_name().unwrap().display()))
        .await;
    assert_eq!(up.structured()["content"], "two words", "{}", up.text());
}

fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "'\\''"))
}

#[tokio::test]
async fn a_command_that_exits_3_is_an_answer() {
    let (sshd, scout) = world().await;
    let answer = scout.command(&format!("box:{}", sshd.dir().display()), "grep x missing-file").await;
    assert_eq!(answer.structured()["exit"], 2, "{}", answer.text());
    assert!(answer.structured()["stderr"].as_str().unwrap().contains("missing-file"));
    let shell = Scout::start(&options(&sshd).setting("commands = \"shell\"")).await;
    let three = shell.command("box", "echo out; echo err >&2; exit 3").await;
    let structured = three.structured();
    assert_eq!(
        (&structured["exit"], &structured["stdout"], &structured["stderr"]),
        (&json!(3), &json!("out\n"), &json!("err\n"))
    );
    assert!(!three.is_error(), "{}", three.text());
}

#[tokio::test]
async fn a_command_that_dies_of_a_signal_is_no_success() {
    let (sshd, _) = world().await;
    let shell = Scout::start(&options(&sshd).setting("commands = \"shell\"")).await;
    let answer = shell.command("box", "kill -TERM $$").await;
    assert_eq!(answer.structured()["signal"], "TERM", "{}", answer.text());
    assert_eq!(answer.structured()["exit"], json!(null));
    assert!(answer.text().contains("TERM"), "{}", answer.text());
}

#[tokio::test]
async fn a_refused_command_is_told_why_and_what_is_allowed() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("precious"), "text").unwrap();
    for query in [
        "rm precious",
        "cat precious; rm precious",
        "cat $(rm precious)",
        "sort -o precious precious",
        "cat precious > precious",
        "find . -delete",
    ] {
        let answer = scout.command(&format!("box:{}", sshd.dir().display()), query).await;
        assert!(answer.is_error(), "{query}: {}", answer.text());
        assert!(answer.text().len() > 40, "{query}: {}", answer.text());
    }
    assert_eq!(std::fs::read_to_string(sshd.dir().join("precious")).unwrap(), "text");
    alive(&scout).await;
}

#[tokio::test]
async fn an_empty_target_is_told_with_an_example() {
    let (_sshd, scout) = world().await;
    for target in ["", "   ", ":", ":/etc"] {
        let answer = scout.call(target).await;
        assert!(answer.is_error(), "{target:?}: {}", answer.text());
        assert!(answer.text().contains("hosts") || answer.text().contains("host:"), "{target:?}: {}", answer.text());
    }
    alive(&scout).await;
}

#[tokio::test]
async fn a_target_of_100_kilobytes_is_refused_shortly() {
    let (_sshd, scout) = world().await;
    let answer = scout.call(&format!("box:/{}", "a".repeat(100 * 1024))).await;
    assert!(answer.is_error());
    assert!(answer.text().len() < 4096, "{} bytes of error", answer.text().len());
    alive(&scout).await;
}

#[tokio::test]
async fn a_nul_in_a_path_or_command_is_refused() {
    let (_sshd, scout) = world().await;
    assert!(scout.call("box:/etc\0/hostname").await.is_error());
    assert!(scout.command("box", "cat '/etc\0/hostname'").await.is_error());
    alive(&scout).await;
}

#[tokio::test]
async fn what_is_no_message_is_answered_as_json_rpc_has_it_and_the_next_line_serves() {
    let (_sshd, scout) = world().await;
    let no_json = ["{", "not json at all", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} {}"];
    let no_message = [
        "null",
        "[]",
        "{\"jsonrpc\": \"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":7}",
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
    ];
    for (line, code) in no_json.map(|line| (line, -32700)).into_iter().chain(no_message.map(|line| (line, -32600))) {
        let before = scout.unasked().len();
        scout.send_line(line).await;
        alive(&scout).await;
        scout.answers_unasked(before + 1).await;
        let answer = scout.unasked().pop().unwrap();
        assert_eq!(
            (answer.get("id"), &answer["error"]["code"]),
            (Some(&json!(null)), &json!(code)),
            "{line}: {answer}"
        );
    }
}

#[tokio::test]
async fn blank_lines_and_notifications_that_nobody_knows_are_passed_over() {
    let (_sshd, scout) = world().await;
    for line in ["", " \t", "\r", "{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didOpen\",\"params\":7}"] {
        scout.send_line(line).await;
        alive(&scout).await;
    }
    assert_eq!(scout.unasked(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_request_that_is_large_deep_or_has_many_values_is_refused_with_its_id_and_the_next_one_serves() {
    let (_sshd, scout) = world().await;
    let deep: serde_json::Value = (0..100).fold(json!(0), |inner, _| json!([inner]));
    for (arguments, says) in [
        (json!({"target": "x".repeat(5 << 20)}), "longer than 4 MiB"),
        (json!({"target": vec![json!([]); 15_000]}), "more than 20000 values"),
        (json!({"target": deep}), "nested deeper than 64"),
    ] {
        let answer = scout.request("tools/call", json!({"name": "scout", "arguments": arguments})).await;
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
        alive(&scout).await;
    }
}

#[tokio::test]
async fn wrong_arguments_are_told() {
    let (_sshd, scout) = world().await;
    for arguments in [json!({}), json!({"target": 7}), json!({"target": "hosts", "nonsense": true})] {
        let answer = scout.call_with(arguments.clone()).await;
        assert!(answer.is_error(), "{arguments}: {}", answer.text());
        assert!(
            answer.text().contains("target") || answer.text().contains("nonsense"),
            "{arguments}: {}",
            answer.text()
        );
    }
    let unknown = scout.request("tools/call", json!({"name": "scoot", "arguments": {}})).await;
    assert!(unknown.get("error").is_some(), "{unknown}");
    alive(&scout).await;
}
