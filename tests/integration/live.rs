//! A configuration that changes while Scout serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_tests::{Answer, Guest, Scout, Sshd};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::limits::until;
use crate::world::{binary, options};

const CHANGED: &str = "notifications/tools/list_changed";
const SERVES: &str = "a changed configuration serves";

/// A Scout with the plugin `mine`, whose files can be changed.
struct World {
    sshd: Sshd,
    scout: Arc<Scout>,
    plugin: PathBuf,
    _plugins: tempfile::TempDir,
}

impl World {
    /// With the plugin as these settings have it.
    async fn start(settings: Value) -> Self {
        let world = Self::spawn(&settings);
        world.greet("2025-11-25").await;
        world
    }

    /// The same, without a handshake.
    fn spawn(settings: &Value) -> Self {
        let (sshd, plugins) = (Sshd::start(), tempfile::tempdir().unwrap());
        let plugin = plugins.path().join("mine.wasm");
        std::fs::write(&plugin, Guest::DoesAsSet.bytes()).unwrap();
        let mut options = options(&sshd).setting("commands = \"shell\"").setting(&table(&plugin, settings));
        options.env.push(("SCOUT_LOG".to_owned(), "warn,scout_server=info".to_owned()));
        Self { sshd, scout: Scout::spawn(&options), plugin, _plugins: plugins }
    }

    async fn greet(&self, revision: &str) {
        let client = json!({"name": "t", "version": "0"});
        let hello = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
        self.scout.request("initialize", hello).await;
        self.scout.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
    }

    fn config(&self) -> PathBuf {
        self.scout.dir().join("scout.toml")
    }

    /// scout.toml with other settings of the plugin.
    fn config_with(&self, settings: &Value) -> String {
        let text = std::fs::read_to_string(self.config()).unwrap();
        let (before, _) = text.split_once("[plugins.mine]").unwrap();
        format!("{before}{}", table(&self.plugin, settings))
    }

    /// Replaces scout.toml as editors do: beside it, then in its place.
    fn set(&self, settings: &Value) {
        rename_into_place(&self.config(), self.config_with(settings).as_bytes());
    }

    async fn call(&self, tool: &str) -> Answer {
        Answer { message: self.begin(tool).await.await.unwrap() }
    }

    async fn begin(&self, tool: &str) -> oneshot::Receiver<Value> {
        self.scout.begin("tools/call", json!({"name": tool, "arguments": {"host": "box"}})).await.1
    }

    async fn tools(&self) -> Vec<String> {
        let listed = self.scout.request("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// `scout plugin list`, as another process.
    fn list(&self) -> String {
        self.plugin(&["list"])
    }

    /// A subcommand of `scout plugin`.
    fn plugin(&self, arguments: &[&str]) -> String {
        let output = std::process::Command::new(binary())
            .env("XDG_STATE_HOME", self.scout.dir().join("state"))
            .env("XDG_CACHE_HOME", binary().with_file_name("scout-test-cache"))
            .arg("--config")
            .arg(self.config())
            .arg("plugin")
            .args(arguments)
            .output()
            .unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

fn table(plugin: &Path, settings: &Value) -> String {
    let settings: Vec<String> =
        settings.as_object().unwrap().iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!(
        "[plugins.mine]\nsource = {:?}\ngrants = [\"files\", \"exec\", \"shell\"]\n[plugins.mine.settings]\n{}",
        plugin.display().to_string(),
        settings.concat()
    )
}

fn rename_into_place(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A component of other bytes that does the same: with an empty section of its own at its end.
fn other_bytes(guest: Guest) -> Vec<u8> {
    let mut bytes = guest.bytes();
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    bytes
}

#[tokio::test]
async fn a_vetted_plugin_that_changes_goes_on_as_it_was_until_the_new_one_is_vetted() {
    let world = World::start(json!({"answer": "one"})).await;
    let vetted = world.plugin(&["vet", "mine"]);
    assert!(vetted.contains("locked in"), "{vetted}");
    world.scout.logs(SERVES, 1).await;
    rename_into_place(&world.plugin, &other_bytes(Guest::DoesAsSet));
    world.scout.logs(SERVES, 2).await;
    assert_eq!(world.call("do").await.text(), "one");
    assert!(world.scout.stderr().contains("has changed since it was vetted"), "{}", world.scout.stderr());
    let listed = world.list();
    assert!(listed.contains("`scout plugin vet mine` shows what is new"), "{listed}");
    let vetted = world.plugin(&["vet", "mine"]);
    assert!(vetted.contains("~  has other bytes") && vetted.contains("locked in"), "{vetted}");
    world.scout.logs(SERVES, 3).await;
    assert_eq!(world.call("do").await.text(), "one");
    let listed = world.list();
    assert!(listed.contains("good, vetted") && !listed.contains("has changed"), "{listed}");
}

#[tokio::test]
async fn a_plugin_that_may_not_be_used_any_more_does_not_go_on() {
    let world = World::start(json!({"answer": "one"})).await;
    world.plugin(&["vet", "mine"]);
    world.scout.logs(SERVES, 1).await;
    let lock = world.config().with_extension("lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let digest = text.lines().find(|line| line.starts_with("sha256 = ")).unwrap();
    rename_into_place(&lock, text.replace(digest, &format!("sha256 = \"{}\"", "0".repeat(64))).as_bytes());
    world.scout.logs(SERVES, 2).await;
    let answer = world.call("do").await;
    assert!(answer.is_error(), "{}", answer.message);
    assert_eq!(world.tools().await, ["scout"]);
}

#[tokio::test]
async fn calls_under_way_keep_their_revision_and_later_ones_get_the_next() {
    /// Fewer than a client has room for at one host: those beyond wait.
    const CALLS: usize = 12;
    let sshd = Sshd::start();
    let go = sshd.dir().join("go");
    let world = World::start(json!({"answer": "one", "until": go})).await;
    let begun = || std::fs::read_dir(sshd.dir()).unwrap().count();
    let before = begun();
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(world.begin("do").await);
    }
    // Requests are taken in their order: one that comes later is answered when all have begun.
    world.tools().await;
    until(|| begun() >= before + 10).await;
    world.set(&json!({"answer": "two"}));
    world.scout.logs(SERVES, 1).await;
    let later = world.call("do").await;
    assert_eq!(later.text(), "two", "{}", later.message);
    assert!(calls.iter_mut().all(|call| call.try_recv().is_err()), "a call has ended too early");
    std::fs::write(&go, "").unwrap();
    for call in calls {
        let answer = Answer { message: call.await.unwrap() };
        assert_eq!(answer.text(), "one", "{}", answer.message);
    }
    assert_eq!(world.scout.notified(CHANGED), 0);
}

#[tokio::test]
async fn a_changed_plugin_file_serves_however_it_is_changed() {
    let world = World::start(json!({"answer": "mine"})).await;
    assert_eq!(world.call("do").await.text(), "mine");
    // Renamed into its place.
    rename_into_place(&world.plugin, &Guest::BringsTools.bytes());
    world.scout.notifies(CHANGED, 1).await;
    assert_eq!(world.tools().await, ["scout", "read_text", "count_lines", "breaks_its_word"]);
    // Overwritten.
    std::fs::write(&world.plugin, Guest::DoesAsSet.bytes()).unwrap();
    world.scout.notifies(CHANGED, 2).await;
    assert_eq!(world.call("do").await.text(), "mine");
    // Other bytes, the same tools: nothing for clients to know.
    rename_into_place(&world.plugin, &other_bytes(Guest::DoesAsSet));
    world.scout.logs("revision=4", 1).await;
    assert_eq!(world.call("do").await.text(), "mine");
    assert_eq!(world.scout.notified(CHANGED), 2);
}

#[tokio::test]
async fn a_bad_plugin_leaves_the_one_before_and_says_why_and_the_next_good_one_serves() {
    let world = World::start(json!({"answer": "mine"})).await;
    assert_eq!(world.call("do").await.text(), "mine");
    let good = Guest::DoesAsSet.bytes();
    std::fs::write(&world.plugin, &good[..good.len() / 2]).unwrap();
    world.scout.logs("the one before goes on error=plugin `mine`: is not a component", 1).await;
    assert_eq!(world.call("do").await.text(), "mine");
    world.scout.logs("revision=2", 1).await;
    let listed = world.list();
    assert!(listed.contains("mine: cannot be used, the one before goes on: is not a component"), "{listed}");
    std::fs::remove_file(&world.plugin).unwrap();
    world.scout.logs("No such file", 1).await;
    assert_eq!(world.call("do").await.text(), "mine");
    rename_into_place(&world.plugin, &other_bytes(Guest::DoesAsSet));
    world.scout.logs("revision=4", 1).await;
    assert_eq!(world.call("do").await.text(), "mine");
    assert_eq!(world.scout.notified(CHANGED), 0);
}

#[tokio::test]
async fn a_bad_configuration_leaves_the_one_before_and_says_why_once() {
    let world = World::start(json!({"answer": "one"})).await;
    let good = world.config_with(&json!({"answer": "two"}));
    rename_into_place(&world.config(), b"comands = \"none\"\n");
    world.scout.logs("scout.toml:1: unknown key `comands`; did you mean `commands`", 1).await;
    assert_eq!(world.call("do").await.text(), "one");
    // The same again is not told again, but to who asks.
    rename_into_place(&world.config(), b"comands = \"none\"\n");
    world.scout.signal("HUP");
    world.scout.logs("unknown key", 2).await;
    std::fs::remove_file(world.config()).unwrap();
    world.scout.logs("cannot be read", 1).await;
    assert_eq!(world.call("do").await.text(), "one");
    rename_into_place(&world.config(), good.as_bytes());
    world.scout.logs(SERVES, 1).await;
    assert_eq!(world.call("do").await.text(), "two");
    assert_eq!(world.scout.stderr().matches("unknown key").count(), 2, "{}", world.scout.stderr());
}

#[tokio::test]
async fn sighup_looks_again() {
    let world = World::start(json!({"answer": "one"})).await;
    assert_eq!(world.call("do").await.text(), "one");
    world.scout.signal("HUP");
    world.scout.logs("tools_changed=false", 1).await;
    assert_eq!(world.call("do").await.text(), "one");
    assert!(world.scout.close().await.success());
}

#[tokio::test]
async fn a_plugin_that_did_not_change_is_not_loaded_again() {
    let world = World::start(json!({"trap": "yes"})).await;
    for _ in 0..5 {
        assert!(world.call("do").await.text().contains("crashed"));
    }
    // The breaker goes with what is loaded: it stays open.
    world.scout.signal("HUP");
    world.scout.logs(SERVES, 1).await;
    assert!(world.call("do").await.text().contains("in quarantine"));
}

#[tokio::test]
async fn what_another_policy_forbids_is_forbidden_at_once() {
    let world = World::start(json!({"answer": "one"})).await;
    let allowed = world.scout.command("box", "true; true").await;
    assert!(!allowed.is_error(), "{}", allowed.text());
    world.scout.call("box:/etc/hostname").await;
    let text = std::fs::read_to_string(world.config()).unwrap();
    rename_into_place(&world.config(), text.replace("\"shell\"\n", "\"none\"\nmax_pool_size = 7\n").as_bytes());
    world.scout.logs(SERVES, 1).await;
    let refused = world.scout.command("box", "true").await;
    assert!(refused.is_error(), "{}", refused.text());
    // The connection is the same one.
    assert_eq!(world.scout.call("box:/etc/hostname").await.receipt()["round_trips"], 1);
    world.scout.logs("these need a restart keys=\"max_pool_size\"", 1).await;
}

#[tokio::test]
async fn a_grant_that_is_taken_away_is_taken_away_at_once() {
    let world = World::start(json!({"answer": "one"})).await;
    assert_eq!(world.call("do").await.text(), "one");
    let text = std::fs::read_to_string(world.config()).unwrap();
    rename_into_place(&world.config(), text.replace("[\"files\", \"exec\", \"shell\"]", "[\"files\"]").as_bytes());
    world.scout.logs("needs `exec`, which is not granted", 1).await;
    world.scout.notifies(CHANGED, 1).await;
    assert_eq!(world.tools().await, ["scout"]);
}

#[tokio::test]
async fn a_host_that_is_added_to_ssh_config_is_there() {
    let world = World::start(json!({})).await;
    assert!(world.scout.call("other:/etc/hostname").await.text().contains("no host is named `other`"));
    let path = world.scout.dir().join("ssh_config");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&world.sshd.config_block("other", world.sshd.address()));
    rename_into_place(&path, text.as_bytes());
    world.scout.logs(SERVES, 1).await;
    let answer = world.scout.call("other:/etc/hostname").await;
    assert!(!answer.is_error(), "{}", answer.text());
}

#[tokio::test]
async fn a_host_that_is_added_to_a_file_that_ssh_config_includes_is_there() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::start(json!({})).await;
    let at = |name: &str| world.scout.dir().join(name);
    let write = |name: &str, text: &str| {
        std::fs::write(at("new"), text).unwrap();
        // As ssh demands it, whatever the umask.
        std::fs::set_permissions(at("new"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(at("new"), at(name)).unwrap();
    };
    let host = |name: &str| world.sshd.config_block(name, world.sshd.address());
    std::fs::create_dir(at("conf.d")).unwrap();
    let before = std::fs::read_to_string(at("ssh_config")).unwrap();
    let (one, any) = (at("one").display().to_string(), at("conf.d/*.conf").display().to_string());
    write("ssh_config", &format!("Include {one} {any}\n{before}{}", host("zero")));
    for (name, file, serves) in [("first", "one", 2), ("second", "conf.d/new.conf", 3), ("third", "one", 4)] {
        world.scout.logs(SERVES, serves - 1).await;
        assert!(world.scout.call(&format!("{name}:/etc/hostname")).await.is_error());
        write(file, &host(name));
        world.scout.logs(SERVES, serves).await;
        let answer = world.scout.call(&format!("{name}:/etc/hostname")).await;
        assert!(!answer.is_error(), "{}", answer.text());
    }
}

/// As the kubelet does it: `scout.toml` leads through `..data`, which is exchanged for another.
#[tokio::test]
async fn a_directory_exchanged_behind_a_link_is_seen() {
    use std::os::unix::fs::symlink;

    let (sshd, volume) = (Sshd::start(), tempfile::tempdir().unwrap());
    let at = |name: &str| volume.path().join(name);
    let options = options(&sshd);
    // Writes what scout.toml names.
    drop(options.command(volume.path()));
    let text = std::fs::read_to_string(at("scout.toml")).unwrap();
    std::fs::remove_file(at("scout.toml")).unwrap();
    let version = |name: &str, answer: &str| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("mine.wasm"), Guest::DoesAsSet.bytes()).unwrap();
        let table = table(&at("mine.wasm"), &json!({"answer": answer}));
        std::fs::write(at(name).join("scout.toml"), format!("{text}{table}")).unwrap();
    };
    version("..2026_01", "one");
    symlink("..2026_01", at("..data")).unwrap();
    symlink("..data/scout.toml", at("scout.toml")).unwrap();
    symlink("..data/mine.wasm", at("mine.wasm")).unwrap();
    let mut flags = options.clone();
    flags.env.push(("SCOUT_LOG".to_owned(), "warn,scout_server=info".to_owned()));
    let scout = Scout::spawn_at(&flags, &at("scout.toml"));
    let client = json!({"name": "t", "version": "0"});
    scout
        .request("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}))
        .await;
    let call = async || Answer { message: scout.request("tools/call", json!({"name": "do", "arguments": {}})).await };
    assert_eq!(call().await.text(), "one");
    for (revision, name, answer) in [(2, "..2026_02", "two"), (3, "..2026_03", "three")] {
        version(name, answer);
        symlink(name, at("..data_tmp")).unwrap();
        let old = std::fs::read_link(at("..data")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        std::fs::remove_dir_all(volume.path().join(old)).unwrap();
        scout.logs(&format!("revision={revision}"), 1).await;
        assert_eq!(call().await.text(), answer);
    }
}

#[tokio::test]
async fn a_client_of_2026_07_28_is_told_what_it_subscribes_to_and_nothing_else() {
    let world = World::spawn(&json!({"tool": "one"}));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let discovered = world.scout.request("server/discover", json!({"_meta": meta})).await;
    assert_eq!(discovered["result"]["capabilities"]["tools"]["listChanged"], true, "{discovered}");
    let listed = world.scout.request("tools/list", json!({"_meta": meta})).await;
    assert_eq!(listed["result"]["tools"][1]["name"], "one", "{listed}");
    // Not subscribed: not told.
    world.set(&json!({"tool": "two"}));
    world.scout.logs(SERVES, 1).await;
    let filter = json!({"toolsListChanged": true, "promptsListChanged": true});
    let (id, ended) = world.scout.begin("subscriptions/listen", json!({"_meta": meta, "notifications": filter})).await;
    world.scout.notifies("notifications/subscriptions/acknowledged", 1).await;
    // It was told of a list that is an old one by now.
    world.scout.notifies(CHANGED, 1).await;
    world.scout.request("tools/list", json!({"_meta": meta})).await;
    world.set(&json!({"tool": "three"}));
    world.scout.notifies(CHANGED, 2).await;
    let told = world.scout.unasked();
    let acknowledged = &told[0]["params"]["notifications"];
    assert_eq!(acknowledged, &json!({"toolsListChanged": true}), "{told:?}");
    assert!(
        told.iter().all(|message| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id),
        "{told:?}"
    );
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "_meta": meta}});
    world.scout.send_line(&cancelled.to_string()).await;
    world.set(&json!({"tool": "four"}));
    world.scout.logs(SERVES, 3).await;
    let listed = world.scout.request("tools/list", json!({"_meta": meta})).await;
    assert_eq!(listed["result"]["tools"][1]["name"], "four", "{listed}");
    assert_eq!(world.scout.notified(CHANGED), 2);
    drop(ended);
    assert!(world.scout.close().await.success());
}

#[tokio::test]
async fn subscriptions_of_one_client_are_bounded_and_do_not_keep_scout_from_ending() {
    let world = World::spawn(&json!({}));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let listen = json!({"_meta": meta, "notifications": {"toolsListChanged": true}});
    let mut asked = Vec::new();
    for _ in 0..17 {
        asked.push(world.scout.begin("subscriptions/listen", listen.clone()).await.1);
    }
    // They run beside each other: any of them can be the one too many, and only that one is answered.
    let (refused, _, kept) = futures_util::future::select_all(asked).await;
    let refused = refused.unwrap();
    assert!(refused["error"]["message"].as_str().unwrap().contains("at most 16 subscriptions"), "{refused}");
    world.scout.signal("TERM");
    assert_eq!(world.scout.wait().await.code(), Some(0));
    drop(kept);
}

#[tokio::test]
async fn a_plugin_that_keeps_crashing_is_quarantined_and_listed_until_another_version_serves() {
    let world = World::start(json!({"trap": "yes"})).await;
    for _ in 0..5 {
        assert!(world.call("do").await.text().contains("crashed"));
    }
    let refused = world.call("do").await;
    assert!(refused.is_error(), "{}", refused.message);
    let text = refused.text();
    assert!(
        text.contains("plugin `mine` is in quarantine for you, it is tried again in ") && text.contains("crashed"),
        "{text}"
    );
    assert_eq!(refused.receipt()["cpu_ms"], 0.0);
    // Other plugins answer.
    assert!(!world.scout.call("box:/etc/hostname").await.is_error());
    until(|| world.list().contains("mine: in quarantine for `local` until ")).await;
    world.set(&json!({"answer": "well"}));
    world.scout.logs(SERVES, 1).await;
    assert_eq!(world.call("do").await.text(), "well");
    until(|| !world.list().contains("quarantine")).await;
    assert!(world.scout.close().await.success());
    assert!(world.list().contains("no `scout serve` runs"));
}
