//! What is asked about a path beside its content: trees, names, differences, parts of files; and the same of many hosts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scout_tests::{DelayLink, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::world::{options, options_at};

/// A tree with all kinds of things in it.
fn furnish(dir: &Path) {
    fs::create_dir_all(dir.join("t/a/b/c")).unwrap();
    fs::create_dir_all(dir.join("u/a")).unwrap();
    for (name, text) in [
        ("t/a/x.log", "one\ntwo\n"),
        ("t/a/b/y.log", "y"),
        ("t/a/b/c/deep.log", "deep"),
        ("t/same", "equal"),
        ("t/text", "a\nb\nc\n"),
        ("u/a/x.log", "one\ntwo\n"),
        ("u/same", "EQUAL"),
        ("u/text", "a\nB\nc\n"),
        ("u/[x]", ""),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
    fs::write(dir.join("bin1"), [0, 1, 2]).unwrap();
    fs::write(dir.join("bin2"), [0, 1, 3]).unwrap();
    symlink("..", dir.join("t/a/loop")).unwrap();
    fs::create_dir_all(dir.join("keys/.gnupg")).unwrap();
    fs::write(dir.join("keys/.gnupg/snakeoil"), "secret").unwrap();
    symlink("../keys/.gnupg", dir.join("t/private")).unwrap();
    fs::create_dir(dir.join("t/.ssh")).unwrap();
    fs::write(dir.join("t/.ssh/id_ed25519"), "secret").unwrap();
    let lines: String = (0..50_000).map(|n| format!("line {n} of many\n")).collect();
    fs::write(dir.join("large"), lines).unwrap();
}

async fn ask(scout: &Arc<Scout>, target: &str, more: &[(&str, Value)]) -> (bool, String, Value) {
    let mut arguments = json!({"target": target});
    for (name, value) in more {
        arguments[*name] = value.clone();
    }
    let answer = scout.call_with(arguments).await;
    (answer.is_error(), answer.text(), answer.structured())
}

fn names(answer: &Value, field: &str) -> Vec<String> {
    let entries = answer[field].as_array().unwrap_or_else(|| panic!("no {field}: {answer}"));
    entries.iter().map(|entry| entry["name"].as_str().or(entry.as_str()).unwrap().to_owned()).collect()
}

/// The same of a real sshd, where commands may run and where none may, and of this machine.
fn three(sshd: &Sshd) -> ScoutOptions {
    let mut options = options(sshd);
    options.ssh_config.push_str(&sshd.config_block("mute", sshd.address()));
    options.setting("[hosts.mute]\ncommands = \"none\"\n[hosts.here]\ntransport = \"local\"\n")
}

#[tokio::test]
async fn trees_names_and_differences_are_the_same_however_a_host_is_reached() {
    let sshd = Sshd::start();
    furnish(sshd.dir());
    let scout = Scout::start(&three(&sshd)).await;
    let dir = sshd.dir().display();
    for host in ["box", "mute", "here"] {
        let (is_error, text, tree) =
            ask(&scout, &format!("{host}:{dir}/t"), &[("tree", json!(true)), ("depth", json!(2))]).await;
        assert!(!is_error, "{text}");
        assert_eq!(
            names(&tree, "entries"),
            [".ssh", ".ssh/id_ed25519", "a", "a/b", "a/loop", "a/x.log", "private", "same", "text"],
            "{host}"
        );
        assert!(
            text.contains("├── a/\n│   ├── b/\n│   ├── loop@\n│   └── x.log\n├── private@\n├── same\n└── text\n"),
            "{text}"
        );
        assert!(text.contains("1 directory below level 2 not looked into"), "{text}");
        // A link that leads up is not followed.
        let (_, text, tree) =
            ask(&scout, &format!("{host}:{dir}/t"), &[("tree", json!(true)), ("depth", json!(9))]).await;
        assert_eq!((&tree["truncated"], names(&tree, "entries").len()), (&json!(false), 12), "{host}: {text}");

        let found = |pattern: &'static str, more: Vec<(&'static str, Value)>| {
            let (scout, target) = (Arc::clone(&scout), format!("{host}:{dir}"));
            async move {
                let more = [vec![("find", json!(pattern))], more].concat();
                let (is_error, text, found) = ask(&scout, &target, &more).await;
                assert!(!is_error, "{text}");
                names(&found, "entries")
            }
        };
        assert_eq!(
            found("*.log", vec![]).await,
            ["t/a/b/c/deep.log", "t/a/b/y.log", "t/a/x.log", "u/a/x.log"],
            "{host}"
        );
        assert_eq!(found("*.log", vec![("depth", json!(3))]).await, ["t/a/x.log", "u/a/x.log"], "{host}");
        assert_eq!(found("a", vec![("type", json!("directory"))]).await, ["t/a", "u/a"], "{host}");
        assert_eq!(found("*", vec![("type", json!("l"))]).await, ["t/a/loop", "t/private"], "{host}");
        assert_eq!(found("[x]", vec![]).await, ["u/[x]"], "{host}");
        assert!(found("nothing*", vec![]).await.is_empty());
        let largest =
            vec![("where", json!("kind = file and size > 100")), ("sort", json!("-size")), ("limit", json!(1))];
        assert_eq!(found("*", largest).await, ["large"], "{host}");
        let (is_error, text, _) = ask(&scout, &format!("{host}:{dir}/none"), &[("find", json!("*"))]).await;
        assert!(is_error && text.contains("none"), "{host}: {text}");

        let (_, text, diff) =
            ask(&scout, &format!("{host}:{dir}/t/text"), &[("diff", json!(format!("box:{dir}/u/text")))]).await;
        assert_eq!(diff["diff"], "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n", "{host}: {text}");
        assert_eq!((&diff["equal"], &diff["added"], &diff["removed"]), (&json!(false), &json!(1), &json!(1)));
        let (.., diff) =
            ask(&scout, &format!("{host}:{dir}/t/a/x.log"), &[("diff", json!(format!("{dir}/u/a/x.log")))]).await;
        assert_eq!(diff["equal"], true, "{host}");
        let (.., diff) = ask(&scout, &format!("{host}:{dir}/bin1"), &[("diff", json!(format!("{dir}/bin2")))]).await;
        assert_eq!((&diff["equal"], &diff["note"]), (&json!(false), &json!("binary, 3 and 3 bytes")), "{host}");
        // What a link truly leads to is judged, also where the host's own program looks.
        let (is_error, text, _) = ask(&scout, &format!("{host}:{dir}/t/private"), &[("find", json!("*"))]).await;
        assert!(is_error && !text.contains("snakeoil") && text.contains("secret"), "{host}: {text}");
        let (.., diff) = ask(&scout, &format!("{host}:{dir}/t/text"), &[("diff_content", json!("a\nb\nc\n"))]).await;
        assert_eq!(diff["equal"], true, "{host}");
        let (_, text, diff) = ask(&scout, &format!("{host}:{dir}/t"), &[("diff", json!(format!("box:{dir}/u")))]).await;
        assert_eq!(names(&diff, "only_there"), ["[x]"], "{host}: {text}");
        assert!(names(&diff, "only_here").contains(&"a/b/y.log".to_owned()), "{host}: {text}");
        let notes = diff["note"].as_str().unwrap_or_default();
        if host == "mute" {
            assert!(notes.contains("3 files of equal size not compared by content"), "{notes}");
        } else {
            assert_eq!(names(&diff, "different"), ["same", "text"], "{host}: {text}");
        }
        let (is_error, text, _) =
            ask(&scout, &format!("{host}:{dir}/t"), &[("diff", json!(format!("{dir}/t/text")))]).await;
        assert!(is_error && text.contains("compare two of a kind"), "{text}");
        let secret = format!("{dir}/t/.ssh/id_ed25519");
        let (is_error, text, _) = ask(&scout, &format!("{host}:{dir}/t/text"), &[("diff", json!(secret))]).await;
        assert!(is_error && !text.contains("+secret"), "{host}: {text}");
    }
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn parts_of_a_file_are_read_and_nothing_besides() {
    let sshd = Sshd::start();
    furnish(sshd.dir());
    let scout = Scout::start(&three(&sshd)).await;
    let size = fs::metadata(sshd.dir().join("large")).unwrap().len();
    for host in ["box", "mute", "here"] {
        let target = format!("{host}:{}/large", sshd.dir().display());
        let part = |more: Vec<(&'static str, Value)>| {
            let (scout, target) = (Arc::clone(&scout), target.clone());
            async move {
                let answer = scout.call_with({
                    let mut arguments = json!({"target": target});
                    more.into_iter().for_each(|(name, value)| arguments[name] = value);
                    arguments
                });
                let answer = answer.await;
                assert!(!answer.is_error(), "{}", answer.text());
                (answer.structured(), answer.receipt()["remote_bytes"].as_u64().unwrap())
            }
        };
        let (lines, _) = part(vec![("lines", json!(2))]).await;
        assert_eq!(
            (&lines["content"], &lines["next_offset"]),
            (&json!("line 0 of many\nline 1 of many\n"), &json!(30))
        );
        let (next, _) = part(vec![("lines", json!(1)), ("offset", lines["next_offset"].clone())]).await;
        assert_eq!(next["content"], "line 2 of many\n", "{host}");
        let (tail, bytes) = part(vec![("tail", json!(2))]).await;
        assert_eq!(tail["content"], "line 49998 of many\nline 49999 of many\n", "{host}");
        assert!(bytes <= 128 << 10, "{host}: {bytes}");
        let (found, _) = part(vec![("grep", json!("line 4999")), ("lines", json!(2))]).await;
        let at = |line: u64| (0..line).map(|n| format!("line {n} of many\n").len() as u64).sum::<u64>();
        let wanted = format!("{}: line 4999 of many\n{}: line 49990 of many\n", at(4999), at(49_990));
        assert_eq!((&found["content"], &found["next_offset"]), (&json!(wanted), &json!(at(49_991))), "{host}");
        let (rest, _) = part(vec![("offset", json!(size - 5))]).await;
        assert_eq!(
            (&rest["content"], &rest["next_offset"], &rest["size"]),
            (&json!("many\n"), &Value::Null, &json!(size))
        );
    }
    let (is_error, text, _) = ask(&scout, &format!("box:{}/t", sshd.dir().display()), &[("tail", json!(1))]).await;
    assert!(is_error && text.contains("not a regular file"), "{text}");
    let (is_error, text, _) = ask(&scout, "box:/etc/shadow", &[("tail", json!(1))]).await;
    assert!(is_error && text.contains("secret"), "{text}");
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn a_level_of_a_tree_a_find_and_a_part_take_a_round_trip_each() {
    let sshd = Sshd::start();
    furnish(sshd.dir());
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let scout = Scout::start(&options_at(&sshd, link.address())).await;
    let base = format!("box:{}", sshd.dir().display());
    // Warm: connected, the SFTP channels probed, a shell that stays.
    for _ in 0..2 {
        ask(&scout, &base, &[("tree", json!(true)), ("depth", json!(4))]).await;
        scout.command(&base, "uname").await;
    }
    for (path, more, most) in [
        ("", vec![("tree", json!(true)), ("depth", json!(3))], 3),
        ("", vec![("find", json!("*.log"))], 2),
        ("/large", vec![("lines", json!(5))], 1),
        ("/large", vec![("tail", json!(5))], 2),
        ("/t/text", vec![("diff", json!(format!("{base}/u/text")))], 1),
    ] {
        link.settle().await;
        let mark = link.mark();
        let (is_error, text, _) = ask(&scout, &format!("{base}{path}"), &more).await;
        assert!(!is_error, "{text}");
        let counted = link.round_trips_since(&mark);
        assert!((1..=most).contains(&counted), "{path} {more:?}: {counted}");
    }
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn many_hosts_are_asked_at_once_and_equal_answers_told_once() {
    let (sshd, other) = (Sshd::start(), Sshd::start());
    for (sshd, text) in [(&sshd, "a\nb\n"), (&other, "a\nc\n")] {
        fs::write(sshd.dir().join("f"), text).unwrap();
    }
    let mut options = options(&sshd);
    for n in 1..=8 {
        options.ssh_config.push_str(&sshd.config_block(&format!("web0{n}"), sshd.address()));
    }
    options.ssh_config.push_str(&other.config_block("odd", other.address()));
    options.known_hosts.push_str(&other.known_hosts_line(other.address()));
    options
        .ssh_config
        .push_str("Host down1\n  HostName 127.0.0.1\n  Port 1\nHost down2\n  HostName 127.0.0.1\n  Port 1\n");
    let tables =
        "[hosts.web01]\ntags = [\"front\"]\n[hosts.web02]\ntags = [\"front\"]\n[hosts.web08]\ncommands = \"none\"\n";
    let scout = Scout::start(&options.setting(tables)).await;
    let many = |targets: Value, query: Option<&'static str>| {
        let scout = Arc::clone(&scout);
        async move {
            let mut arguments = json!({"targets": targets});
            if let Some(query) = query {
                arguments["query"] = query.into();
            }
            let answer = scout.call_with(arguments).await;
            (answer.is_error(), answer.text(), answer.structured())
        }
    };
    let (file, other) = (sshd.dir().join("f"), other.dir().join("f"));
    let (is_error, text, told) = many(json!([format!("web*:{}", file.display()), "down?:/f"]), None).await;
    assert!(!is_error, "{text}");
    assert_eq!((&told["asked"], &told["failed"]), (&json!(10), &json!(2)));
    assert_eq!(told["groups"][0]["hosts"], "web[01-08]");
    assert_eq!(told["groups"][0]["stdout"], "a\nb\n");
    assert_eq!(
        (&told["failures"][0]["hosts"], &told["failures"][0]["kind"]),
        (&json!("down[1-2]"), &json!("unreachable"))
    );
    assert!(text.find("down[1-2]").unwrap() < text.find("web[01-08]").unwrap(), "failures come first: {text}");

    let command = format!("cat {} {}", file.display(), other.display());
    let (_, text, told) = {
        let answer = scout.call_with(json!({"targets": ["web*", "odd"], "query": command})).await;
        (answer.is_error(), answer.text(), answer.structured())
    };
    assert_eq!(told["groups"][0]["stdout"], "a\nb\na\nc\n", "{text}");
    assert_eq!((&told["groups"][0]["exit"], told["groups"].as_array().unwrap().len()), (&json!(0), 1));
    assert_eq!(
        (&told["failures"][0]["hosts"], &told["failures"][0]["kind"]),
        (&json!("web08"), &json!("refused")),
        "{text}"
    );

    let (_, text, told) =
        many(json!([format!("web*:{}", file.display()), format!("odd:{}", file.display())]), None).await;
    assert_eq!(told["groups"].as_array().unwrap().len(), 1, "they are one machine: {text}");
    let (_, text, told) =
        many(json!([format!("web01:{}", file.display()), format!("web02:{}", other.display())]), None).await;
    assert_eq!(told["groups"][1]["path"], json!(other.display().to_string()), "{text}");

    let (.., told) = many(json!(["tag:front"]), Some("uname")).await;
    assert_eq!(told["groups"][0]["names"], json!(["web01", "web02"]));
    for (targets, says) in [
        (json!(["tag:none"]), "no host fits"),
        (json!(["db*"]), "no host fits"),
        (json!(["/etc/hosts"]), "names no host"),
    ] {
        let (is_error, text, _) = many(targets, Some("uname")).await;
        assert!(is_error && text.contains(says), "{text}");
    }
    let (is_error, text, told) = many(json!(["nobody"]), Some("uname")).await;
    assert!(is_error && told["failures"][0]["kind"] == "unknown-host", "{text}");
    let (is_error, text, _) = many(json!(["web01"]), Some("rm -rf /tmp/x; true")).await;
    assert!(is_error && text.contains("shell"), "{text}");
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn a_command_on_many_hosts_that_does_not_end_is_told_with_those_that_did() {
    let sshd = Sshd::start();
    let mut options = options(&sshd).setting("command_timeout = \"1s\"\ncommands = \"shell\"");
    options.ssh_config.push_str(&sshd.config_block("other", sshd.address()));
    let scout = Scout::start(&options).await;
    let flag = sshd.dir().join("flag");
    // The first that comes makes the flag, and stays.
    let query = format!("mkdir {} 2>/dev/null && exec sleep 100; echo done", flag.display());
    let answer = scout.call_with(json!({"targets": ["box", "other"], "query": query})).await;
    let told = answer.structured();
    assert_eq!((&told["asked"], &told["failed"]), (&json!(2), &json!(0)), "{told}");
    let mut statuses: Vec<&str> =
        told["groups"].as_array().unwrap().iter().map(|group| group["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["exit 0", "timed out"], "{told}");
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn what_is_large_or_odd_stays_within_the_budget_of_a_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    file("latin", [vec![0xe9; 99], vec![b'\n']].concat().repeat(10_000));
    file("control", vec![1; 1 << 20]);
    file("log", "emergence of an event\n".repeat(1 << 20).into_bytes());
    file("line", [vec![b'a'; 3 << 20], b"needle".to_vec(), vec![b'a'; 1 << 20]].concat());
    for side in ["one", "two"] {
        fs::create_dir(dir.path().join(side)).unwrap();
        (0..6_000).for_each(|n| file(&format!("{side}/{n}"), Vec::new()));
    }
    for n in 0..60 {
        file(&format!("all{n}"), format!("{}last {n}\n", "the same line on every host\n".repeat(2_000)).into_bytes());
    }
    let sshd = Sshd::start();
    let scout = Scout::start(&options(&sshd).setting("[hosts.here]\ntransport = \"local\"\n")).await;
    let here = |name: &str| format!("here:{}/{name}", dir.path().display());
    for (name, more) in [
        ("latin", ("lines", json!(100_000))),
        ("latin", ("tail", json!(100_000))),
        ("control", ("offset", json!(0))),
        ("control", ("tail", json!(1))),
        ("control", ("grep", json!("\u{1}"))),
        ("log", ("grep", json!("emergency"))),
        ("log", ("tail", json!(100_000))),
        ("line", ("tail", json!(1))),
        ("line", ("grep", json!("needle"))),
        ("one", ("tree", json!(true))),
        ("", ("find", json!("*9"))),
        ("one", ("diff", json!(here("two")))),
        ("log", ("diff", json!(here("line")))),
        ("all1", ("diff", json!(here("all2")))),
    ] {
        let (is_error, text, _) = ask(&scout, &here(name), std::slice::from_ref(&more)).await;
        assert!(!is_error, "{name} {more:?}: {}", text.chars().take(300).collect::<String>());
    }
    let (_, text, found) = ask(&scout, &here("line"), &[("grep", json!("needle"))]).await;
    assert!(text.contains("aneedlea") && found["lines"] == 1, "{}", found["note"]);
    let targets: Vec<String> = (0..60).map(|n| here(&format!("all{n}"))).collect();
    let answer = scout.call_with(json!({"targets": targets})).await;
    assert!(!answer.is_error(), "{}", answer.text());
    assert_eq!(answer.structured()["groups"].as_array().unwrap().len(), 60);
    assert!(scout.close().await.success());
}
