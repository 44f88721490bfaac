//! One table of cases, two machines: a real sshd of this machine, and this machine itself without SSH. The answers are equal.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scout_tests::{Scout, ScoutOptions, Sshd};
use serde_json::{Map, Value, json};

use crate::world::options;

/// A Scout for which `box` is the server and `here` this machine, each as `commands` says.
fn both(sshd: &Sshd, commands: &str, more: &str) -> ScoutOptions {
    let table = |name: &str, transport: &str| format!("[hosts.{name}]\ncommands = \"{commands}\"\n{transport}");
    let tables = [table("box", ""), table("here", "transport = \"local\"\n")].concat();
    options(sshd).setting(&format!("{more}{tables}"))
}

/// Waits until it is so.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 30 s");
}

/// Files of every kind.
fn furnish(dir: &Path) {
    fs::create_dir_all(dir.join("sub/deep")).unwrap();
    fs::write(dir.join("plain"), "one\ntwo\n").unwrap();
    fs::write(dir.join("empty"), "").unwrap();
    fs::write(dir.join("binary"), [0, 159, 146, 150, 255, 0]).unwrap();
    fs::write(dir.join("large"), "x".repeat(3000)).unwrap();
    fs::write(dir.join(std::ffi::OsStr::from_bytes(b"na\xffme")), "odd").unwrap();
    fs::write(dir.join("key"), format!("-----BEGIN {}-----\nabc\n", "OPENSSH PRIVATE KEY")).unwrap();
    fs::create_dir(dir.join(".ssh")).unwrap();
    fs::write(dir.join(".ssh/id_ed25519"), "secret").unwrap();
    for (to, name) in [
        ("plain", "link"),
        ("sub", "door"),
        ("absent", "dangling"),
        ("loop", "loop"),
        (".ssh/id_ed25519", "to-secret"),
        ("/", "root"),
    ] {
        symlink(to, dir.join(name)).unwrap();
    }
    let status = std::process::Command::new("mkfifo").arg(dir.join("fifo")).status().unwrap();
    assert!(status.success());
    for number in 0..30 {
        fs::write(dir.join(format!("sub/{number:02}")), number.to_string()).unwrap();
    }
}

/// What is answered of one of the two machines, without what is another's by nature: names, times, and what SFTP does not tell.
async fn answer(scout: &Arc<Scout>, host: &str, path: &str, query: Option<&str>) -> String {
    let mut arguments = json!({"target": format!("{host}:{path}")});
    if let Some(query) = query {
        arguments["query"] = query.into();
    }
    let answer = scout.call_with(arguments).await;
    let mut fields = answer.structured();
    strip(&mut fields);
    let said = format!("{} {} {fields}", answer.is_error(), answer.text());
    let mut said = without_seconds(&said);
    // A cursor is of its host.
    if let Some(cursor) = fields["cursor"].as_str() {
        said = said.replace(cursor, "CURSOR");
    }
    said.replace(&format!("{host}:"), "HOST:")
        .replace(&format!("`{host}`"), "`HOST`")
        .replace(&format!("\"{host}\""), "HOST")
}

/// How long a command ran before it was ended is not the same twice.
fn without_seconds(text: &str) -> String {
    let mut parts = text.split("timed out after ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "timed out after" + part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
    })
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let kept: Map<String, Value> = std::mem::take(fields)
                .into_iter()
                .filter(|(name, _)| !matches!(name.as_str(), "duration_ms" | "links" | "atime"))
                .collect();
            *fields = kept;
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

#[tokio::test]
async fn both_machines_answer_alike() {
    let sshd = Sshd::start();
    let dir = sshd.dir().join("files");
    furnish(&dir);
    let scout = Scout::start(&both(&sshd, "read-only", "max_file_size = \"2000\"\nmax_output_size = \"2000\"\n")).await;
    let at = dir.display().to_string();
    let below = |name: &str| format!("{at}/{name}");
    let looks = [
        "plain",
        "empty",
        "binary",
        "large",
        "na%FFme",
        "link",
        "door",
        "door/00",
        "dangling",
        "loop",
        "absent",
        "absent/more",
        "plain/more",
        "plain/",
        "sub",
        "sub/",
        "sub/../plain",
        "door/../plain",
        "./plain",
        "key",
        ".ssh",
        ".ssh/id_ed25519",
        "to-secret",
        "root/etc/shadow",
        "root/dev/null",
    ]
    .map(below);
    let elsewhere = [
        "/etc/shadow",
        "/dev/null",
        "/proc/sys/kernel/ostype",
        "/proc/self/environ",
        "~",
        "~/absent-name",
        "",
        "~nobody-has-this/x",
    ];
    for path in looks.iter().map(String::as_str).chain(elsewhere) {
        let (there, here) = (answer(&scout, "box", path, None).await, answer(&scout, "here", path, None).await);
        // The home directory's own times change with what is done in it.
        if path.is_empty() || path == "~" {
            assert_eq!(there.starts_with("false"), here.starts_with("false"), "{path}");
            continue;
        }
        assert_eq!(here, there, "{path}");
    }
    // Over SFTP it is found out by hanging, and ended; here it is known before anything is opened.
    let fifo = answer(&scout, "here", &below("fifo"), None).await;
    assert!(fifo.contains("Scout does not open it"), "{fifo}");
    for (path, query) in [
        (&*at, "cat plain"),
        (&at, "ls sub | head -n 3"),
        (&at, "grep -c nothing plain"),
        (&at, "ls absent"),
        (&at, "cat large"),
        (&at, "head -c 1999 large"),
        (&at, "cat .ssh/id_ed25519"),
        (&at, "cat to-secret"),
        (&at, "rm plain"),
        (&at, "nothing-is-called-so"),
        (&at, "wc -c < plain"),
        (&below("absent"), "ls"),
        ("/", "ulimit -n"),
        ("", "pwd"),
    ] {
        let (there, here) =
            (answer(&scout, "box", path, Some(query)).await, answer(&scout, "here", path, Some(query)).await);
        assert_eq!(here, there, "{query}");
    }
}

#[tokio::test]
async fn both_machines_are_confined_alike() {
    let sshd = Sshd::start();
    let dir = sshd.dir().join("files");
    furnish(&dir);
    let rights = format!("[access.local]\npaths = [{:?}]\n", dir.join("sub").display().to_string());
    let scout = Scout::start(&both(&sshd, "read-only", "").setting(&rights)).await;
    symlink("../plain", dir.join("sub/out")).unwrap();
    symlink("00", dir.join("sub/in")).unwrap();
    let at = dir.display();
    for path in ["sub/00", "sub/in", "sub/out", "sub/absent", "sub/out/more", "sub/../plain", "door/00", "plain", "sub"]
    {
        let path = format!("{at}/{path}");
        let (there, here) = (answer(&scout, "box", &path, None).await, answer(&scout, "here", &path, None).await);
        assert_eq!(here, there, "{path}");
    }
}

#[tokio::test]
async fn both_machines_run_scripts_alike_and_end_them() {
    let sshd = Sshd::start();
    let scout = Scout::start(&both(&sshd, "shell", "command_timeout = \"1s\"\n")).await;
    for query in [
        "echo out; echo err >&2; exit 3",
        "kill -TERM $$",
        "ulimit -n >/dev/null; command -v sh",
        "cd /; pwd; echo $HOME $USER $LOGNAME",
        "echo begun; sleep 60 | cat; :",
        "trap '' TERM; echo deaf; while :; do sleep 1; done",
        "cat",
        "yes | head -c 3000000",
        "(sleep 60 &) ; echo left",
        "exec 2>&1; ls -d /absent",
    ] {
        let (there, here) =
            (answer(&scout, "box", "/", Some(query)).await, answer(&scout, "here", "/", Some(query)).await);
        assert_eq!(here, there, "{query}");
    }
}

#[tokio::test]
async fn nothing_of_scouts_own_environment_reaches_a_command_of_this_machine() {
    let sshd = Sshd::start();
    let mut launcher = std::process::Command::new("env");
    launcher.arg("SCOUT_TEST_TOKEN=hidden");
    let scout = Scout::start(&both(&sshd, "shell", "").launched_by(&launcher)).await;
    let told = scout.command("here:/", "env; tr '\\0' '\\n' </proc/$PPID/environ | grep -c TEST_TOKEN").await;
    assert!(!told.text().contains("hidden"), "{}", told.text());
}

#[tokio::test]
async fn a_command_of_this_machine_ends_when_it_is_cancelled_and_when_scout_goes() {
    let sshd = Sshd::start();
    let scout = Scout::start(&both(&sshd, "shell", "")).await;
    let word = |name: &str| format!("9{}{name}", std::process::id());
    let runs = |word: &str| {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
        })
    };
    let sleeps = |word: &str| json!({"name": "scout", "arguments": {"target": "here:/", "query": format!("sleep {word} | cat; :")}});
    let (first, second) = (word("1"), word("2"));
    let (id, answer) = scout.begin("tools/call", sleeps(&first)).await;
    eventually("it runs", || runs(&first)).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    scout.send_line(&cancel.to_string()).await;
    eventually("it is ended", || !runs(&first)).await;
    drop(answer);
    let (_, _answer) = scout.begin("tools/call", sleeps(&second)).await;
    eventually("the other runs", || runs(&second)).await;
    scout.signal("KILL");
    eventually("nothing is left of it", || !runs(&second)).await;
}

#[tokio::test]
async fn this_machine_is_listed_and_told_apart() {
    let sshd = Sshd::start();
    let scout = Scout::start(&both(&sshd, "none", "")).await;
    let hosts = scout.call("hosts").await.structured();
    let here = hosts["hosts"].as_array().unwrap().iter().find(|host| host["name"] == "here").unwrap().clone();
    assert_eq!((&here["address"], &here["port"], &here["status"]), (&json!("local"), &json!(0), &json!("connected")));
    let refused = scout.command("here:/", "ls").await;
    assert!(refused.is_error(), "{}", refused.text());
}
