//! Cursors: what was cut is read on, by whoever was told the cursor and asks the same.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use scout_server::config::{Config, Flags};
use scout_server::router::{Caller, Router};
use scout_server::target::Request;
use scout_server::tenant::Tenant;
use scout_ssh::{Pool, PoolConfig};
use scout_tests::{Scout, Sftp, Sshd, SshdOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::world::{binary, options};

const REFUSED: &str = "`cursor` belongs to another call";

#[tokio::test]
async fn a_file_that_was_cut_is_read_on_in_one_round_trip_a_page_and_a_change_is_told() {
    let sshd = Sshd::start();
    let (file, twin) = (sshd.dir().join("large"), sshd.dir().join("twin"));
    let text: String = (0..200_000).map(|n| format!("line {n} of many\n")).collect();
    for path in [&file, &twin] {
        fs::write(path, &text).unwrap();
    }
    let mut options = options(&sshd);
    options.ssh_config.push_str(&sshd.config_block("other", sshd.address()));
    let scout = Scout::start(&options).await;
    let target = format!("box:{}", file.display());
    let first = scout.call(&target).await.structured();
    let (mut read, mut cursor) = (first["content"].as_str().unwrap().to_owned(), first["cursor"].clone());
    let begun = cursor.clone();
    let mut pages = 1;
    while cursor.is_string() {
        let answer = scout.call_with(json!({"target": target, "cursor": cursor})).await;
        assert_eq!(answer.receipt()["round_trips"], 1, "{}", answer.receipt());
        let page = answer.structured();
        assert_eq!(page["offset"], json!(read.len()));
        assert_eq!(page["note"], Value::Null);
        read.push_str(page["content"].as_str().unwrap());
        cursor = page["cursor"].clone();
        pages += 1;
    }
    assert!(read == text && pages > 3, "{} of {} bytes in {pages} pages", read.len(), text.len());

    // By lines, too; a cursor goes with the same arguments.
    let lines = scout.call_with(json!({"target": target, "lines": 3})).await.structured();
    let next = json!({"target": target, "lines": 3, "cursor": lines["cursor"]});
    assert_eq!(
        scout.call_with(next.clone()).await.structured()["content"],
        "line 3 of many\nline 4 of many\nline 5 of many\n"
    );
    let forged = format!("A{}", &begun.as_str().unwrap()[1..]);
    for other in [
        json!({"target": target, "lines": 4, "cursor": lines["cursor"]}),
        json!({"target": target, "cursor": lines["cursor"]}),
        json!({"target": target, "lines": 3, "cursor": begun}),
        json!({"target": format!("box:{}", twin.display()), "cursor": begun}),
        json!({"target": format!("other:{}", file.display()), "cursor": begun}),
        json!({"target": target, "cursor": forged}),
        json!({"target": target, "cursor": "8-0123456789abcdef"}),
    ] {
        let answer = scout.call_with(other.clone()).await;
        assert!(answer.is_error() && answer.text().contains(REFUSED), "{other}: {}", answer.text());
        assert_eq!(answer.structured()["error"]["kind"], "invalid");
        assert!(answer.text().contains("leave `cursor` out to begin anew"), "{}", answer.text());
    }

    // It still goes on when the file has changed, and says so.
    fs::write(&file, format!("{text}one more\n")).unwrap();
    let page = scout.call_with(next).await.structured();
    assert!(page["content"].as_str().unwrap().starts_with("line 3 of many\n"), "{page}");
    let note = page["note"].as_str().unwrap();
    assert!(note.starts_with("the file changed since the part before was read: it was "), "{note}");
    assert!(note.contains(&format!("it is {} bytes", text.len() + 9)), "{note}");
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn a_file_that_changed_is_told_with_sftp_without_it_and_on_this_machine() {
    let sshd = Sshd::start();
    let bare = Sshd::start_with(&SshdOptions { sftp: Sftp::Absent, ..SshdOptions::default() });
    let file = sshd.dir().join("log");
    let mut options = options(&sshd).setting("[hosts.here]\ntransport = \"local\"\n");
    options.ssh_config.push_str(&bare.config_block("bare", bare.address()));
    options.known_hosts.push_str(&bare.known_hosts_line(bare.address()));
    let scout = Scout::start(&options).await;
    for host in ["box", "bare", "here"] {
        fs::write(&file, "one\ntwo\n").unwrap();
        let old = fs::metadata(&file).unwrap().modified().unwrap() - Duration::from_secs(100);
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        let ask = async |cursor: Value| {
            let arguments = json!({"target": format!("{host}:{}", file.display()), "lines": 1, "cursor": cursor});
            scout.call_with(arguments).await.structured()
        };
        let cursor = ask(Value::Null).await["cursor"].clone();
        let same = ask(cursor.clone()).await;
        assert_eq!((&same["content"], &same["note"]), (&json!("two\n"), &Value::Null), "{host}");
        // As large as before, and another all the same.
        fs::write(&file, "uno\ndos\n").unwrap();
        let changed = ask(cursor).await;
        let note = changed["note"].as_str().unwrap_or_else(|| panic!("{host}: {changed}"));
        assert!(changed["content"] == "dos\n" && note.contains("it was 8 bytes, changed last at "), "{host}: {note}");
    }
}

#[tokio::test]
async fn names_that_were_found_are_paged_by_a_cursor_that_is_of_its_host_and_order() {
    let sshd = Sshd::start();
    for n in 0..5 {
        fs::write(sshd.dir().join(format!("n{n}.txt")), "x".repeat(n)).unwrap();
    }
    let mut options = options(&sshd);
    options.ssh_config.push_str(&sshd.config_block("other", sshd.address()));
    let scout = Scout::start(&options).await;
    let ask = |more: Value| {
        let mut arguments =
            json!({"target": format!("box:{}", sshd.dir().display()), "find": "n*.txt", "sort": "-size", "limit": 2});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let scout = Arc::clone(&scout);
        async move { scout.call_with(arguments).await }
    };
    let names = |answer: &Value| -> Vec<String> {
        answer["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = ask(json!({})).await.structured();
    assert_eq!(names(&first), ["n4.txt", "n3.txt"]);
    let cursor = &first["cursor"];
    let rest = ask(json!({"cursor": cursor, "limit": 9})).await.structured();
    assert_eq!((names(&rest).join(" ").as_str(), &rest["cursor"]), ("n2.txt n1.txt n0.txt", &Value::Null));
    for other in [
        json!({"cursor": cursor, "sort": "size"}),
        json!({"cursor": cursor, "find": "*.txt"}),
        json!({"cursor": cursor, "target": format!("other:{}", sshd.dir().display())}),
    ] {
        let answer = ask(other.clone()).await;
        assert!(answer.is_error() && answer.text().contains(REFUSED), "{other}: {}", answer.text());
    }
}

/// A command line is a process each time.
#[tokio::test]
async fn the_next_process_of_the_same_account_opens_a_cursor_and_nobody_elses_does() {
    let sshd = Sshd::start();
    let file = sshd.dir().join("lines");
    fs::write(&file, "one\ntwo\nthree\n").unwrap();
    let (options, target) = (options(&sshd), format!("box:{}", file.display()));
    let own = tempfile::tempdir().unwrap();
    let ask = |dir: std::path::PathBuf, cursor: Option<String>| {
        let mut command = options.command(&dir);
        command.args(["call", &target, "--json", "--lines", "1"]);
        command.args(cursor.iter().flat_map(|cursor| ["--cursor", cursor]));
        async move { command.output().await.unwrap() }
    };
    let first = ask(own.path().to_owned(), None).await;
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    let cursor = first["cursor"].as_str().unwrap().to_owned();
    let second = ask(own.path().to_owned(), Some(cursor.clone())).await;
    let second: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(second["content"], "two\n");
    let other = tempfile::tempdir().unwrap();
    let refused = ask(other.path().to_owned(), Some(cursor)).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains(REFUSED), "{refused:?}");
}

/// Two tenants of one process, and two people of one of them, over one key.
#[tokio::test]
async fn a_cursor_is_of_its_tenant_and_its_principal() {
    let (sshd, dir, pool) = (Sshd::start(), tempfile::tempdir().unwrap(), Pool::new(PoolConfig::default()));
    let router = Router::default();
    let file = sshd.dir().join("lines");
    fs::write(&file, "one\ntwo\nthree\n").unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let text = format!(
        "ssh_config = {:?}\nknown_hosts = {:?}\naudit_log = {:?}\n[access.ann]\n[access.bob]\n",
        write("ssh_config", &sshd.config_block("box", sshd.address())),
        write("known_hosts", &sshd.known_hosts_line(sshd.address())),
        dir.path().join("audit.jsonl"),
    );
    let flags = Flags { config: Some(write("scout.toml", &text)), ..Flags::default() };
    let mut config = Config::load(&flags).unwrap();
    config.cache_dir = Some(binary().with_file_name("scout-test-cache").join("scout"));
    config.state_dir = dir.path().join("state");
    let [red, blue] = ["red", "blue"].map(|name| Tenant::open(name.into(), &config, &pool).unwrap());
    let ask = async |tenant: &Arc<Tenant>, principal: &str, cursor: Option<&Value>| {
        let mut arguments = json!({"lines": 1});
        arguments["cursor"] = cursor.cloned().unwrap_or_default();
        let Value::Object(arguments) = arguments else { panic!("an object") };
        let target = format!("box:{}", file.display());
        let request: Request = scout_server::arguments::request((Some(&target), None, None), arguments).unwrap();
        let reply = router.answer(request, Caller::alone(tenant, principal, CancellationToken::new())).await;
        (Value::Object(reply.structured.clone().unwrap().into_fields()), reply.joined())
    };
    let (first, _) = ask(&red, "ann", None).await;
    let cursor = &first["cursor"];
    assert_eq!(ask(&red, "ann", Some(cursor)).await.0["content"], "two\n");
    for (tenant, principal) in [(&red, "bob"), (&blue, "ann")] {
        let (_, text) = ask(tenant, principal, Some(cursor)).await;
        assert!(text.contains(REFUSED), "{text}");
    }
}

#[tokio::test]
async fn more_hosts_than_are_asked_at_once_are_asked_by_a_cursor() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    for n in 0..1_003 {
        // Nobody is there, which is told at once.
        options.ssh_config.push_str(&format!("Host h{n:04}\n  HostName 127.9.{}.{}\n  Port 9\n", n >> 8, n & 255));
    }
    let scout = Scout::start(&options).await;
    let targets = json!(["h*", "box"]);
    let first = scout.call_with(json!({"targets": targets, "query": "echo hello"})).await;
    let told = first.structured();
    assert_eq!((&told["asked"], &told["failed"]), (&json!(1_000), &json!(1_000)), "{}", first.text());
    assert!(first.text().contains("others were not asked yet: `cursor` "), "{}", first.text());
    let rest = scout.call_with(json!({"targets": targets, "query": "echo hello", "cursor": told["cursor"]})).await;
    let told = rest.structured();
    assert_eq!(
        (&told["asked"], &told["failed"], &told["cursor"]),
        (&json!(4), &json!(3), &Value::Null),
        "{}",
        rest.text()
    );
    assert_eq!(told["groups"][0]["stdout"], "hello\n");
    let other =
        scout.call_with(json!({"targets": targets, "query": "uname", "cursor": first.structured()["cursor"]})).await;
    assert!(other.is_error() && other.text().contains(REFUSED), "{}", other.text());
}

/// One that hangs is asked once more, and only that one.
#[tokio::test]
async fn who_did_not_answer_in_time_is_asked_once_more_by_a_cursor() {
    let sshd = Sshd::start();
    let mut options = options(&sshd);
    // Takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    options.ssh_config.push_str(&format!("Host silent\n  HostName 127.0.0.1\n  Port {port}\n  ConnectTimeout 1\n"));
    let scout = Scout::start(&options).await;
    let ask = |cursor: Option<Value>| {
        let mut arguments = json!({"targets": ["box", "silent"], "query": "uname"});
        if let Some(cursor) = cursor {
            arguments["cursor"] = cursor;
        }
        let scout = Arc::clone(&scout);
        async move { scout.call_with(arguments).await }
    };
    let first = ask(None).await;
    let told = first.structured();
    assert_eq!(
        (&told["failures"][0]["hosts"], &told["failures"][0]["kind"]),
        (&json!("silent"), &json!("timeout")),
        "{told}"
    );
    assert!(
        first.text().contains("1 target did not answer while there was time and room: `cursor` "),
        "{}",
        first.text()
    );
    let again = ask(Some(told["cursor"].clone())).await.structured();
    assert_eq!(
        (&again["asked"], &again["failures"][0]["hosts"], &again["cursor"]),
        (&json!(1), &json!("silent"), &Value::Null),
        "{again}"
    );
    drop(silent);
}
