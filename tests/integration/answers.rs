//! The four answers.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scout_tests::{Scout, Sftp, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::world::{options, world, world_with};

#[tokio::test]
async fn hosts_lists_the_configured_host_with_its_status() {
    let (sshd, scout) = world().await;
    let answer = scout.call("hosts").await;
    assert!(!answer.is_error(), "{}", answer.text());
    assert!(answer.text().contains("box"), "{}", answer.text());
    let host = answer.structured()["hosts"][0].clone();
    assert_eq!(host["name"], "box");
    assert_eq!(host["port"], sshd.address().port());
    assert!(host["latency_ms"].is_number(), "{host}");
}

#[tokio::test]
async fn a_file_is_answered_as_text_and_structured() {
    let (sshd, scout) = world().await;
    let path = sshd.dir().join("greeting.txt");
    std::fs::write(&path, "hello\nwörld\n").unwrap();
    let answer = scout.call(&format!("box:{}", path.display())).await;
    assert!(!answer.is_error(), "{}", answer.text());
    assert!(answer.text().contains("hello\nwörld\n"), "{}", answer.text());
    let structured = answer.structured();
    assert_eq!(structured["host"], "box");
    assert_eq!(structured["path"], path.display().to_string());
    assert_eq!(structured["size"], 13);
    assert_eq!(structured["truncated"], false);
    assert_eq!(structured["content"], "hello\nwörld\n");
}

#[tokio::test]
async fn a_picture_is_answered_as_one_and_what_only_begins_like_one_is_not() {
    let (sshd, scout) = world().await;
    let picture = sshd.dir().join("dot.png");
    // One pixel.
    let bytes = BASE64_STANDARD
        .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
        .unwrap();
    std::fs::write(&picture, &bytes).unwrap();
    let answer = scout.call(&format!("box:{}", picture.display())).await;
    let content = &answer.message["result"]["content"];
    assert_eq!(content[1], json!({"type": "image", "data": BASE64_STANDARD.encode(&bytes), "mimeType": "image/png"}));
    assert!(content[0]["text"].as_str().unwrap().starts_with("picture (image/png), 67 bytes"), "{content}");
    assert_eq!(
        (answer.receipt()["copied_bytes"].clone(), answer.structured().get("content").cloned()),
        (json!(12), None)
    );
    std::fs::write(&picture, b"\x89PNG and no more\xff").unwrap();
    let answer = scout.call(&format!("box:{}", picture.display())).await;
    assert_eq!(answer.message["result"]["content"].as_array().map(Vec::len), Some(1), "{}", answer.message);
    assert!(answer.text().starts_with("binary file"), "{}", answer.text());
}

#[tokio::test]
async fn a_directory_is_listed() {
    let (sshd, scout) = world().await;
    let dir = sshd.dir().join("listed");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("b.txt"), "12345").unwrap();
    std::fs::create_dir(dir.join("a")).unwrap();
    std::os::unix::fs::symlink("b.txt", dir.join("link")).unwrap();
    let answer = scout.call(&format!("box:{}", dir.display())).await;
    assert!(!answer.is_error(), "{}", answer.text());
    let structured = answer.structured();
    let mut kinds: Vec<(String, String)> = structured["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry["kind"].as_str().unwrap().to_owned()))
        .collect();
    kinds.sort();
    let expected = [("a", "directory"), ("b.txt", "file"), ("link", "symlink")];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    for name in ["a", "b.txt", "link"] {
        assert!(answer.text().contains(name), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_command_is_answered_with_its_streams_and_status() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("log"), "ok\nERROR one\nok\nERROR two\n").unwrap();
    let answer = scout.command(&format!("box:{}", sshd.dir().display()), "grep -c ERROR log").await;
    assert!(!answer.is_error(), "{}", answer.text());
    let structured = answer.structured();
    assert_eq!(structured["exit"], 0);
    assert_eq!(structured["stdout"], "2\n");
    assert_eq!(structured["stderr"], "");
}

#[tokio::test]
async fn a_pipeline_with_a_glob_runs_in_the_directory_of_the_target() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("one.log"), "b\na\n").unwrap();
    std::fs::write(sshd.dir().join("two.log"), "c\n").unwrap();
    let answer = scout.command(&format!("box:{}", sshd.dir().display()), "cat *.log | sort | head -n 2").await;
    assert_eq!(answer.structured()["stdout"], "a\nb\n", "{}", answer.text());
}

#[tokio::test]
async fn the_home_directory_is_a_tilde() {
    let (_sshd, scout) = world().await;
    let home = scout.call("box:~").await;
    assert!(!home.is_error(), "{}", home.text());
    let bare = scout.call("box").await;
    assert_eq!(bare.structured()["entries"], home.structured()["entries"]);
}

#[tokio::test]
async fn the_host_may_be_an_argument_of_its_own() {
    let (sshd, scout) = world().await;
    let path = sshd.dir().join("greeting.txt");
    std::fs::write(&path, "hello").unwrap();
    let path = path.display().to_string();
    let alone = scout.call_with(json!({"target": path, "host": "box"})).await;
    assert_eq!(alone.structured()["content"], "hello", "{}", alone.text());
    let both = scout.call_with(json!({"target": format!("box:{path}"), "host": "box"})).await;
    assert_eq!(both.structured()["content"], "hello", "{}", both.text());
    let at_odds = scout.call_with(json!({"target": format!("box:{path}"), "host": "other"})).await;
    assert!(at_odds.is_error(), "{}", at_odds.text());
}

#[tokio::test]
async fn all_four_work_with_internal_sftp_and_two_sessions() {
    let options = SshdOptions { sftp: Sftp::Internal, max_sessions: Some(2), ..SshdOptions::default() };
    let (sshd, scout) = world_with(&options).await;
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    let target = format!("box:{}", sshd.dir().display());
    assert!(!scout.call("hosts").await.is_error());
    assert_eq!(scout.call(&format!("{target}/f")).await.structured()["content"], "text");
    assert!(!scout.call(&target).await.is_error());
    assert_eq!(scout.command(&target, "cat f").await.structured()["stdout"], "text");
}

#[tokio::test]
async fn resources_give_the_hosts_a_file_and_a_directory() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("a b.txt"), "spaced").unwrap();
    let read = async |uri: String| scout.request("resources/read", json!({"uri": uri})).await;
    let hosts = read("hosts://list".to_owned()).await;
    assert!(hosts["result"]["contents"][0]["text"].as_str().unwrap().contains("box"), "{hosts}");
    let file = read(format!("scout://box{}/a%20b.txt", sshd.dir().display())).await;
    assert_eq!(file["result"]["contents"][0]["text"], "spaced", "{file}");
    let dir = read(format!("scout://box{}", sshd.dir().display())).await;
    assert!(dir["result"]["contents"][0]["text"].as_str().unwrap().contains("a b.txt"), "{dir}");
    let missing = read(format!("scout://box{}/missing", sshd.dir().display())).await;
    assert!(missing.get("error").is_some(), "{missing}");
}

#[tokio::test]
async fn only_a_resource_that_is_not_there_is_not_found() {
    let sshd = Sshd::start();
    // A port that nobody listens to.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = options(&sshd);
    options.ssh_config.push_str(&sshd.config_block("dead", closed));
    let scout = Scout::start(&options).await;
    let read = async |uri: String| scout.request("resources/read", json!({"uri": uri})).await;
    let base = format!("scout://box{}", sshd.dir().display());
    std::os::unix::net::UnixListener::bind(sshd.dir().join("socket")).unwrap();
    let (not_found, internal) = (-32002, -32603);
    for (uri, code, says) in [
        (format!("{base}/absent"), not_found, "absent"),
        ("scout://bx/etc".to_owned(), not_found, "no host is named `bx`"),
        ("scout://dead/etc".to_owned(), internal, "refused"),
        (format!("{base}/socket"), internal, "socket"),
    ] {
        let answer = read(uri.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
        assert_eq!(answer["error"]["data"]["uri"], uri, "{answer}");
    }
}

#[tokio::test]
async fn a_resource_that_is_not_text_is_base64() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("bin"), [0xff, 0x00, 0xfe]).unwrap();
    let uri = format!("scout://box{}/bin", sshd.dir().display());
    let file = scout.request("resources/read", json!({"uri": uri})).await;
    assert_eq!(file["result"]["contents"][0]["blob"], "/wD+", "{file}");
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_listed_and_can_be_read() {
    use std::os::unix::ffi::OsStrExt as _;
    let (sshd, scout) = world().await;
    let dir = sshd.dir().join("names");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").unwrap();
    let listing = scout.call(&format!("box:{}", dir.display())).await;
    assert!(!listing.is_error(), "{}", listing.text());
    assert_eq!(listing.structured()["entries"][0]["name_base64"], "Y2Fm6Q==", "{}", listing.structured());
    let uri = format!("scout://box{}/caf%E9", dir.display());
    let file = scout.request("resources/read", json!({"uri": uri})).await;
    assert_eq!(file["result"]["contents"][0]["text"], "latin", "{file}");
}

#[tokio::test]
async fn each_command_leaves_an_audit_line_before_its_answer() {
    let (sshd, scout) = world().await;
    std::fs::write(sshd.dir().join("f"), "text").unwrap();
    scout.command(&format!("box:{}", sshd.dir().display()), "cat f").await;
    scout.command("box", "rm -rf /").await;
    let audit = std::fs::read_to_string(scout.dir().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["begin", "end", "unsent"], "{audit}");
    assert_eq!((&lines[0]["host"], &lines[0]["id"]), (&"box".into(), &lines[1]["id"]));
    assert!(lines[1]["command"].as_str().unwrap().contains("cat"), "{audit}");
    assert_eq!(lines[0]["command"], lines[1]["command"]);
    assert!(lines[1]["ending"].as_str().unwrap().contains("exited 0"), "{audit}");
    assert!(lines[2]["ending"].as_str().unwrap().contains("refused"), "{audit}");
    for line in &lines[1..] {
        assert!(line["duration_ms"].is_number() && line["time"].is_string(), "{line}");
        assert_eq!((&line["tenant"], &line["principal"]), (&"local".into(), &"local".into()), "{line}");
    }
}
