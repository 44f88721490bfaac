//! Calls of tools that are recorded from a real host, and played when it is gone.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use scout_tests::{Guest, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::world::{binary, options};

/// A directory with a plugin `mine`, its cassettes, and the configuration.
struct Bench {
    dir: tempfile::TempDir,
    options: ScoutOptions,
    component: PathBuf,
}

impl Bench {
    fn new(sshd: &Sshd, guest: Guest) -> Self {
        Self::limited(sshd, guest, "")
    }

    /// With further lines of its table.
    fn limited(sshd: &Sshd, guest: Guest, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let component = dir.path().join("mine.wasm");
        std::fs::write(&component, guest.bytes()).unwrap();
        let source = component.display().to_string();
        let table = format!("[plugins.mine]\nsource = {source:?}\ngrants = [\"files\", \"exec\"]\n{more}");
        Self { options: options(sshd).setting(&table), dir, component }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Exit code and both streams of `scout plugin …`.
    async fn plugin(&self, arguments: &[&str]) -> (i32, String) {
        plugin(&self.options, self.dir.path(), arguments).await
    }

    /// Records a call of a tool under this name.
    async fn record(&self, name: &str, tool: &str, arguments: &Value, more: &[&str]) -> Value {
        let path = self.path(name).display().to_string();
        let arguments = arguments.to_string();
        let mut line = vec!["run", "mine", tool, &arguments, "--record", &path];
        line.extend(more);
        let (code, said) = self.plugin(&line).await;
        assert_eq!(code, 0, "{said}");
        self.cassette(name)
    }

    fn cassette(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Plays a cassette, where there is no host at all.
    async fn play(&self, name: &str, more: &[&str]) -> (i32, String) {
        let nowhere = ScoutOptions::new(binary(), "", "");
        let (component, cassette) = (self.component.display().to_string(), self.path(name).display().to_string());
        let mut line = vec!["test", &component, &cassette];
        line.extend(more);
        plugin(&nowhere, self.dir.path(), &line).await
    }

    /// Plays a cassette that was changed.
    async fn play_changed(&self, name: &str, change: impl FnOnce(&mut Value)) -> (i32, String) {
        let mut cassette = self.cassette(name);
        change(&mut cassette);
        std::fs::write(self.path("changed.json"), cassette.to_string()).unwrap();
        self.play("changed.json", &[]).await
    }
}

async fn plugin(options: &ScoutOptions, dir: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = options.command(dir);
    let output = command.arg("plugin").args(arguments).current_dir(dir).stdin(Stdio::null()).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), said)
}

/// A file on a server, with a secret in it.
fn file(sshd: &Sshd) -> PathBuf {
    let file = sshd.dir().join("app.conf");
    std::fs::write(&file, "name=app\nDB_PASSWORD=hunter2\nproject=Jupiter\n").unwrap();
    file
}

#[tokio::test]
async fn a_recorded_call_is_played_when_the_host_is_gone_and_holds_no_secret() {
    let sshd = Sshd::start();
    let bench = Bench::new(&sshd, Guest::BringsTools);
    let place = json!({"host": "box", "path": file(&sshd)});
    std::fs::create_dir(bench.path("cassettes")).unwrap();
    let read = bench.record("cassettes/read.json", "read_text", &place, &["--redact", "Jupiter"]).await;
    bench.record("cassettes/count.json", "count_lines", &place, &[]).await;
    let given = json!(["name=app\n", "DB_PASSWORD=redacted\n", "project=redacted-1\n"]);
    assert_eq!(read["operations"][0]["given"]["file"]["content"]["bytes"], given);
    assert_eq!(read["expect"]["answer"]["content"][0]["text"], given);
    let text = read.to_string();
    for private in
        ["hunter2", "Jupiter", &sshd.user_key().private.display().to_string(), &sshd.address().port().to_string()]
    {
        assert!(!text.contains(private), "{private} in {text}");
    }
    drop(sshd);
    let (code, said) = bench.play("cassettes", &[]).await;
    assert!(code == 0 && said.contains("2 passed, 0 failed"), "{said}");
    let (code, said) = bench.plugin(&["test", "mine"]).await;
    assert!(code == 0 && said.contains("ok      cassettes/count.json\n"), "{said}");
}

#[tokio::test]
async fn an_error_of_a_host_is_recorded_and_played() {
    let sshd = Sshd::start();
    let bench = Bench::new(&sshd, Guest::BringsTools);
    let absent = json!({"host": "box", "path": "/absent"}).to_string();
    let path = bench.path("absent.json").display().to_string();
    let (code, said) = bench.plugin(&["run", "mine", "read_text", &absent, "--record", &path]).await;
    assert_eq!(code, 1, "{said}");
    assert_eq!(bench.cassette("absent.json")["operations"][0]["given"]["error"]["kind"], "not-found");
    assert_eq!(bench.cassette("absent.json")["expect"]["error"]["kind"], "failed");
    drop(sshd);
    let (code, said) = bench.play("absent.json", &[]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
async fn a_wasi_guest_finds_the_clock_and_the_randomness_that_were_recorded() {
    let bench = Bench::new(&Sshd::start(), Guest::AsksTheClock);
    let cassette = bench.record("now.json", "now", &json!({}), &[]).await;
    let said = cassette["expect"]["answer"]["content"][0]["text"].as_str().unwrap();
    assert!(said.starts_with(&cassette["clock"].to_string()), "{said}");
    let (code, played) = bench.play("now.json", &[]).await;
    assert_eq!(code, 0, "{played}");
    for key in ["clock", "seed"] {
        let (code, played) = bench.play_changed("now.json", |cassette| cassette[key] = json!(7)).await;
        assert!(code == 1 && played.contains("the answer differs"), "{key}: {played}");
    }
}

#[tokio::test]
async fn what_the_operator_limits_is_recorded_and_binds_the_replay() {
    let sshd = Sshd::start();
    let directory = sshd.dir().display().to_string();
    let limits = format!("hosts = [\"tag:prod\"]\npaths = [{directory:?}]\n[hosts.box]\ntags = [\"prod\"]");
    let bench = Bench::limited(&sshd, Guest::BringsTools, &limits);
    let cassette = bench.record("read.json", "read_text", &json!({"host": "box", "path": file(&sshd)}), &[]).await;
    assert_eq!(cassette["plugin_rights"], json!({"hosts": ["tag:prod"], "paths": [directory]}));
    assert_eq!(cassette["hosts"][0]["tags"], json!(["prod"]));
    drop(sshd);
    let (code, said) = bench.play("read.json", &[]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = bench.play_changed("read.json", |cassette| cassette["hosts"][0]["tags"] = json!([])).await;
    assert!(code == 1 && said.contains("the call ended with: no host that may be used here is named `box`"), "{said}");
}

#[tokio::test]
async fn a_replay_that_is_no_longer_what_was_recorded_fails_and_says_how() {
    let sshd = Sshd::start();
    let bench = Bench::new(&sshd, Guest::BringsTools);
    bench.record("read.json", "read_text", &json!({"host": "box", "path": file(&sshd)}), &[]).await;
    bench.record("count.json", "count_lines", &json!({"host": "box", "path": file(&sshd)}), &[]).await;
    drop(sshd);
    let operations = |cassette: &Value| cassette["operations"].as_array().unwrap().clone();

    let elsewhere = |cassette: &mut Value| cassette["operations"][0]["asked"]["open"] = json!("/srv/app.conf");
    let (code, said) = bench.play_changed("read.json", elsewhere).await;
    assert_eq!(code, 1, "{said}");
    for part in [
        "was not recorded; the nearest that was:",
        "open box:/srv/app.conf",
        "recorded, but not asked for: open box:/srv/app.conf",
        "the call ended with: not in the cassette: open box:",
        "record the call anew",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }

    let twice =
        |cassette: &mut Value| cassette["operations"] = [operations(cassette), operations(cassette)].concat().into();
    let (code, said) = bench.play_changed("read.json", twice).await;
    assert!(code == 1 && said.contains("recorded, but not asked for: open box:"), "{said}");

    let another = |cassette: &mut Value| cassette["expect"]["answer"]["structured"]["text"] = json!("name=app\n");
    let (code, said) = bench.play_changed("read.json", another).await;
    assert!(code == 1 && said.contains("-      \"text\": \"name=app\\n\""), "{said}");
    let (code, said) = bench.play("changed.json", &["--update"]).await;
    assert!(code == 0 && said.contains("changed.json (updated)"), "{said}");
    assert_eq!(bench.cassette("changed.json"), bench.cassette("read.json"));

    // Grants and the command policy bind a replay as they bind a call.
    let (code, said) = bench.play_changed("count.json", |cassette| cassette["grants"] = json!(["files"])).await;
    assert!(code == 1 && said.contains("needs `exec`, which is not granted"), "{said}");
    let forbidden = |cassette: &mut Value| cassette["hosts"][0]["commands"] = json!("none");
    let (code, said) = bench.play_changed("count.json", forbidden).await;
    assert!(code == 1 && said.contains("recorded, but not asked for: exec on box: "), "{said}");

    let confined = |cassette: &mut Value| cassette["plugin_rights"] = json!({"paths": ["/srv"]});
    let (code, said) = bench.play_changed("read.json", confined).await;
    assert!(code == 1 && said.contains("in the directories granted to this plugin (cassette)"), "{said}");

    let (code, said) = bench.play_changed("read.json", |cassette| cassette["arguments"] = json!({"host": 7})).await;
    assert!(code == 1 && said.contains("the arguments do not fit"), "{said}");
    let (code, said) = bench.play_changed("read.json", |cassette| cassette["tool"] = json!("red_text")).await;
    assert!(code == 1 && said.contains("has no tool `red_text`"), "{said}");
    let (code, said) = bench.play_changed("read.json", |cassette| cassette["cassette"] = json!(2)).await;
    assert!(code == 1 && said.contains("it has version 2"), "{said}");
    std::fs::write(bench.path("broken.json"), "{\"cassette\": 1,\n\"plugin\"").unwrap();
    let (code, said) = bench.play("broken.json", &[]).await;
    assert!(code == 1 && said.contains("is not a cassette that can be used: ") && said.contains("line 2"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_run_or_tested_is_told_as_wrong_usage() {
    let bench = Bench::new(&Sshd::start(), Guest::BringsTools);
    std::fs::write(bench.path("there.json"), "").unwrap();
    std::fs::create_dir(bench.path("empty")).unwrap();
    let place = r#"{"host": "box", "path": "/etc/hostname"}"#;
    for (line, says) in [
        (&["run", "mien", "read_text"][..], "did you mean `mine`"),
        (&["run", "mine", "read_txt", place], "did you mean `read_text`"),
        (&["run", "mine", "read_text", "{"], "not a JSON object"),
        (&["run", "mine", "read_text", r#"{"host": "box"}"#], "\"path\" is a required property"),
        (&["run", "mine", "read_text", place, "--record", "there.json"], "is there already"),
        (&["run", "mine", "read_text", place, "--redact", "abc"], "--record"),
        (&["run", "mine", "read_text", place, "--record", "x.json", "--redact", "ab"], "shorter than 3 characters"),
        (&["test", "mine", "empty"], "there are no cassettes"),
        (&["test", "mine"], "cassettes: No such file"),
        (&["test", "absent.wasm", "empty"], "absent.wasm: No such file"),
        (&["new", "Mine"], "cannot be a plugin's name"),
        (&["new", "scout-plugin"], "cannot be a plugin's name"),
    ] {
        let (code, said) = bench.plugin(line).await;
        assert!(code == 2 && said.contains(says), "{line:?}: {said}");
    }
}

/// Where each was recorded says `tests/fixtures/README.md` beside them.
#[tokio::test]
async fn the_bundled_tools_answer_to_what_several_systems_said() {
    let (nowhere, dir) = (ScoutOptions::new(binary(), "", ""), tempfile::tempdir().unwrap());
    let counts = [
        ("disk", 3),
        ("services", 4),
        ("logs", 14),
        ("processes", 5),
        ("listeners", 4),
        ("packages", 5),
        ("containers", 18),
        ("storage", 11),
        ("history", 7),
        ("posture", 3),
        ("changes", 4),
    ];
    for (name, count) in counts {
        let cassettes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(name).join("cassettes");
        let (code, said) = plugin(&nowhere, dir.path(), &["test", name, &cassettes.display().to_string()]).await;
        assert!(code == 0 && said.contains(&format!("{count} passed, 0 failed")), "{name}: {said}");
    }
}
