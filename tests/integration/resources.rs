//! Resources of plugins, as a client meets them: listed, read, refused, hostile; and those that Scout brings along.

use std::path::PathBuf;
use std::sync::Arc;

use scout_tests::{Guest, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::bundled_tools::{MISSING, World, cat};
use crate::cli::run;
use crate::world::options;

const GRANTS: &str = "grants = [\"files\", \"exec\"]";

/// A component in a directory, and the lines of scout.toml that make it the plugin `name`.
fn plugin(dir: &std::path::Path, name: &str, guest: Guest, more: &str) -> String {
    let path: PathBuf = dir.join(format!("{name}.wasm"));
    std::fs::write(&path, guest.bytes()).unwrap();
    format!("[plugins.{name}]\nsource = {:?}\n{more}", path.display().to_string())
}

/// A host with a file, and options with the plugin `mine` that brings resources.
fn notes(settings: &str) -> (Sshd, tempfile::TempDir, ScoutOptions) {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    std::fs::write(sshd.dir().join("three"), "1\n2\n3\n").unwrap();
    let table = plugin(dir.path(), "mine", Guest::BringsResources, GRANTS);
    let options = options(&sshd).setting(settings).setting(&table);
    (sshd, dir, options)
}

/// Exit code and what a command said, to whichever stream.
async fn said(options: &ScoutOptions, arguments: &[&str]) -> (i32, String) {
    let (output, stdout, stderr) = run(options, arguments).await;
    (output.status.code().unwrap(), format!("{stdout}{stderr}"))
}

async fn read(scout: &Scout, uri: &str) -> Value {
    scout.request("resources/read", json!({"uri": uri})).await
}

/// What is read as text.
async fn text(scout: &Scout, uri: &str) -> String {
    let read = read(scout, uri).await;
    read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{uri}: {read}")).to_owned()
}

/// All pages of a list, with how many there were.
async fn all(scout: &Scout, method: &str, field: &str) -> (Vec<Value>, usize) {
    let (mut found, mut pages, mut params) = (Vec::new(), 0, json!({}));
    loop {
        let page = scout.request(method, params).await;
        found.extend(page["result"][field].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        pages += 1;
        match page["result"].get("nextCursor") {
            Some(next) => params = json!({"cursor": next}),
            None => return (found, pages),
        }
    }
}

fn named<'a>(found: &'a [Value], field: &str) -> Vec<&'a str> {
    found.iter().map(|one| one[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn resources_of_a_plugin_are_listed_behind_scouts_own_by_pages() {
    let (sshd, _dir, mut options) = notes("");
    for n in 0..130 {
        options.ssh_config.push_str(&sshd.config_block(&format!("h{n:03}"), sshd.address()));
    }
    // A name that would be an account and a host, were it written as it is.
    options.ssh_config.push_str(&sshd.config_block("x+y@z", sshd.address()));
    let scout = Scout::start(&options).await;
    let (templates, _) = all(&scout, "resources/templates/list", "resourceTemplates").await;
    assert_eq!(
        named(&templates, "uriTemplate"),
        [
            "scout://{host}/{path*}",
            "notes://{host}/file/{+path}",
            "notes://{host}",
            "notes://note/{number}",
            "record://{name}",
            "notes://{host}/runs",
            "notes://{host}/counts/{+path}"
        ]
    );
    assert_eq!((&templates[1]["mimeType"], &templates[2]["title"]), (&json!("text/x-note"), &json!("Host")));
    let (listed, pages) = all(&scout, "resources/list", "resources").await;
    let uris = named(&listed, "uri");
    assert_eq!(uris[..3], ["hosts://list", "notes://all", "notes://note/0"]);
    assert_eq!(uris[6..8], ["notes://note/4", "notes://box"]);
    // Three pages of its own, the last with a hundred hosts, and the rest of the hosts.
    assert_eq!((uris.len(), uris.last(), pages), (7 + 132, Some(&"notes://x%2By%40z"), 4));
    assert_eq!(text(&scout, "notes://x%2By%40z").await, "it is called x+y@z");
    assert_eq!(listed[7], json!({"uri": "notes://box", "name": "host box", "mimeType": "text/plain"}));
    let is_sound = |one: &Value| one["uri"].is_string() && one["name"].is_string();
    assert!(listed.iter().all(is_sound), "{listed:?}");
    for odd in ["x", "mine.x", "mine~nobody", "mine.", "mine~", "mine.AAAAAAAAAAAAAAAAAAAAAAAA", "\u{1b}"] {
        let refused = scout.request("resources/list", json!({"cursor": odd})).await;
        assert_eq!(refused["error"]["code"], -32602, "{odd:?}: {refused}");
        let refused = scout.request("resources/templates/list", json!({"cursor": odd})).await;
        assert_eq!(refused["error"]["code"], -32602, "{odd:?}: {refused}");
    }
}

#[tokio::test]
async fn a_resource_is_read_as_text_as_bytes_or_as_json() {
    let (sshd, _dir, options) = notes("redact = true");
    let scout = Scout::start(&options).await;
    let file = format!("notes://box/file{}/three", sshd.dir().display());
    let contents = read(&scout, &file).await["result"]["contents"].clone();
    assert_eq!(contents, json!([{"uri": file, "mimeType": "text/x-note", "text": "1\n2\n3\n"}]));
    std::fs::write(sshd.dir().join("bytes"), b"\x00\xff").unwrap();
    let contents = read(&scout, &format!("notes://box/file{}/bytes", sshd.dir().display())).await;
    assert_eq!(contents["result"]["contents"][0]["blob"], "AP8=", "{contents}");
    assert_eq!(text(&scout, "notes://box").await, "it is called box");
    assert_eq!(text(&scout, "notes://note/3").await, "note 3");
    assert_eq!(text(&scout, "record://a%20b").await, r#"{"name":"a b"}"#);
    let counted = text(&scout, &format!("notes://box/counts{}/three", sshd.dir().display())).await;
    assert!(counted.starts_with("3 "), "{counted}");
    // What is hidden is shown, what is secret is not.
    assert_eq!(text(&scout, "notes://all").await, "five notes\u{241b}[2J <U+202E>[redacted: github-token]");
}

#[tokio::test]
async fn what_no_template_and_no_host_has_is_not_found_in_both_eras() {
    let (_sshd, _dir, options) = notes("");
    let scout = Scout::start(&options).await;
    let absent = [
        "notes://",
        "notes://note/7",
        "notes://note/3/x",
        "notes://nobody",
        "notes://me@box",
        "notes://box:22",
        "notes://box%00",
        "notes://box%0a",
        "notes://box%E2%80%AE",
        "notes://box%2f..%2fbox",
        "notes://box?x",
        "notes://box#x",
        "NOTES://box",
        "notes:box",
        "others://box",
        "box:///etc/../nothing-that-there-is",
        "file:///etc/passwd",
        "http://box/",
        "ui://box/x",
        "",
    ];
    for uri in absent {
        let answer = read(&scout, uri).await;
        assert_eq!(answer["error"]["code"], -32002, "{uri}: {answer}");
    }
    let answer = read(&scout, "notes://note/3/x").await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("`notes://note/{number}`"), "{answer}");
    let scout = Scout::spawn(&options);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for uri in absent {
        let answer = scout.request("resources/read", json!({"uri": uri, "_meta": meta})).await;
        assert_eq!(answer["error"]["code"], -32602, "{uri}: {answer}");
    }
    let answer = scout.request("resources/read", json!({"uri": "notes://note/1", "_meta": meta})).await;
    assert_eq!(answer["result"]["contents"][0]["text"], "note 1", "{answer}");
    let listed = scout.request("resources/list", json!({"_meta": meta})).await;
    assert_eq!(listed["result"]["resources"][1]["uri"], "notes://all", "{listed}");
    let listed = scout.request("resources/templates/list", json!({"_meta": meta})).await;
    assert_eq!(listed["result"]["resourceTemplates"].as_array().map(Vec::len), Some(7), "{listed}");
}

#[tokio::test]
async fn reading_has_the_rights_of_its_template_and_of_who_reads() {
    let (sshd, dir, options) = notes("");
    let scout = Scout::start(&options).await;
    let refused = read(&scout, "notes://box/runs").await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("the resource \"notes://{host}/runs\" says of itself that it only reads"), "{refused}");
    assert_eq!(refused["error"]["code"], -32603, "it is there: {refused}");
    drop(scout);
    // Somebody who may name one host is told of no other.
    let mut options = options.setting("[access.local]\nhosts = [\"box\"]");
    options.ssh_config.push_str(&sshd.config_block("other", sshd.address()));
    let scout = Scout::start(&options).await;
    let (listed, _) = all(&scout, "resources/list", "resources").await;
    assert_eq!(named(&listed, "uri").last(), Some(&"notes://box"));
    assert_eq!(read(&scout, "notes://other").await["error"]["code"], -32002);
    let cursor = scout.request("resources/list", json!({"cursor": "mine~other"})).await;
    assert_eq!(cursor["error"]["code"], -32602, "{cursor}");
    drop((scout, dir));
}

#[tokio::test]
async fn a_scheme_is_one_plugins() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let first = plugin(dir.path(), "first", Guest::BringsResources, GRANTS);
    let second = plugin(dir.path(), "second", Guest::PanicsInAResource, "");
    let scout = Scout::start(&options(&sshd).setting(&first).setting(&second)).await;
    assert_eq!(text(&scout, "notes://note/1").await, "note 1");
    scout.logs("it has resources `notes://`, and plugin `first` has `notes://`: leave one of the two out", 1).await;
}

#[tokio::test]
async fn a_plugin_that_panics_in_its_list_hides_nobody_elses_resources() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let tables =
        [plugin(dir.path(), "a", Guest::PanicsInAList, ""), "[plugins.storage]\nsource = \"bundled\"".to_owned()];
    let scout = Scout::start(&tables.iter().fold(options(&sshd), |options, table| options.setting(table))).await;
    let (listed, _) = all(&scout, "resources/list", "resources").await;
    assert_eq!(named(&listed, "uri"), ["hosts://list", "zfs://box"]);
    scout.logs("a plugin does not say which resources it has", 1).await;
    // What it reads, it reads.
    assert_eq!(text(&scout, "notes://x").await, "");
}

#[tokio::test]
async fn what_a_list_holds_that_is_secret_is_left_out_where_secrets_are_masked() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let table = plugin(dir.path(), "mine", Guest::ListsASecret, "");
    for (redact, uris) in [(true, 2), (false, 3)] {
        let options = options(&sshd).setting(&format!("redact = {redact}")).setting(&table);
        let scout = Scout::start(&options).await;
        let (listed, _) = all(&scout, "resources/list", "resources").await;
        assert_eq!((listed.len(), &listed[uris - 1]["uri"]), (uris, &json!("notes://plain")));
    }
}

#[tokio::test]
async fn a_list_for_ever_ends() {
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let table = plugin(dir.path(), "mine", Guest::ListsForEver, "");
    let scout = Scout::start(&options(&sshd).setting(&table)).await;
    let (listed, pages) = all(&scout, "resources/list", "resources").await;
    assert_eq!((listed.len(), pages), (1 + 100, 100));
}

#[tokio::test]
async fn a_client_is_told_of_other_resources_and_of_no_others() {
    const CHANGED: &str = "notifications/resources/list_changed";
    let (sshd, dir) = (Sshd::start(), tempfile::tempdir().unwrap());
    let table = plugin(dir.path(), "mine", Guest::BringsResources, GRANTS);
    let mut options = options(&sshd);
    options.env.push(("SCOUT_LOG".to_owned(), "warn,scout_server=info".to_owned()));
    let scout = Scout::start(&options).await;
    let hello = scout.request("resources/list", json!({})).await;
    assert_eq!(hello["result"]["resources"].as_array().map(Vec::len), Some(1), "{hello}");
    let config = scout.dir().join("scout.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    let set = |text: String| {
        let beside = scout.dir().join("next.toml");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &config).unwrap();
    };
    set(format!("{before}\n{table}"));
    scout.notifies(CHANGED, 1).await;
    let (listed, _) = all(&scout, "resources/list", "resources").await;
    assert!(named(&listed, "uri").contains(&"notes://box"), "{listed:?}");
    set(before);
    scout.notifies(CHANGED, 2).await;
    assert_eq!(read(&scout, "notes://note/1").await["error"]["code"], -32002);
    assert_eq!(scout.notified("notifications/tools/list_changed"), 0);
}

#[tokio::test]
async fn resources_are_read_recorded_played_vetted_and_explained_on_the_command_line() {
    let (sshd, dir, options) = notes("");
    let cassettes = dir.path().join("cassettes");
    let uri = format!("notes://box/file{}/three", sshd.dir().display());
    let component = dir.path().join("mine.wasm").display().to_string();
    let record = cassettes.join("three.json").display().to_string();
    let (code, told) = said(&options, &["read", &uri]).await;
    assert_eq!((code, told.as_str()), (0, "1\n2\n3\n"));
    let (code, told) = said(&options, &["read", "record://x", "--json"]).await;
    assert_eq!((code, told.as_str()), (0, "{\n  \"name\": \"x\"\n}\n"));
    let (code, told) = said(&options, &["read", "notes://note/9"]).await;
    assert!(code == 1 && told.contains("there is no such note"), "{told}");
    let (code, told) = said(&options, &["plugin", "run", "mine", &uri, "--record", &record]).await;
    assert_eq!((code, told.as_str()), (0, "1\n2\n3\n"));
    let recorded: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert_eq!((&recorded["uri"], recorded.get("tool")), (&json!(uri), None), "{recorded}");
    let (code, told) = said(&options, &["plugin", "run", "mine", "notes://"]).await;
    assert!(
        code == 2 && told.contains("has no resource `notes://`; its templates: notes://{host}/file/{+path}"),
        "{told}"
    );
    drop(sshd);
    let (code, told) = said(&options, &["plugin", "test", &component, &record]).await;
    assert!(code == 0 && told.contains("1 passed, 0 failed"), "{told}");
    let (code, told) = said(&options, &["plugin", "test", "storage", &record]).await;
    assert!(code == 1 && told.contains("which is no resource of the plugin"), "{told}");
    let (code, told) = said(&options, &["plugin", "vet", "mine"]).await;
    assert_eq!(code, 0, "{told}");
    for shown in [
        "resources `notes://{host}/file/{+path}` (read, `file`, text/x-note)",
        "tried `notes://note/{number}`",
        "tried `the list of resources` 1 times: 1 answers",
    ] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
    let (code, told) = said(&options, &["plugin", "list"]).await;
    assert!(code == 0 && told.contains("notes://{host}/runs"), "{told}");
    let (code, told) = said(&options, &["policy", "explain", "mine", "box", "--tool", "notes://{host}/runs"]).await;
    assert!(code == 0 && told.contains("mine, resource `notes://{host}/runs` (read)"), "{told}");
}

/// An engine whose containers are those of a fixture, and that keeps these lines.
fn engine(version: &str, lines: &str) -> String {
    let ps = cat("containers", &format!("{version}-ps.txt"));
    format!("case $1 in ps) {ps};; logs) {lines};; esac")
}

#[tokio::test]
async fn containers_and_projects_are_read_by_the_uris_of_scout_mcp() {
    let lines = r"printf '2026-12-01T00:00:02Z out\033[2J\342\200\256 of %s\n' $5; echo '2026-12-01T00:00:01Z err' >&2";
    let world = World::with(&[("docker", &engine("docker28.2", lines)), ("podman", MISSING)]).await;
    let scout = &world.scout;
    for uri in ["docker://box", "box://docker"] {
        let listed = text(scout, uri).await;
        assert!(listed.starts_with("engine") && listed.contains("unhealthy"), "{listed}");
    }
    let project = text(scout, "compose://box/shop").await;
    assert!(project.contains("shop") && project.contains("docker") && !project.contains("environment"), "{project}");
    assert!(text(scout, "compose://box").await.contains("shop"));
    let asked = world.arguments().join(" ");
    assert!(!asked.contains("inspect") && !asked.contains("{{json .}}"), "{asked}");
    for uri in ["docker://box/web/logs", "box://docker/web/logs"] {
        let log = text(scout, uri).await;
        assert_eq!(
            log, "2026-12-01T00:00:01Z (stderr) err\n2026-12-01T00:00:02Z out\u{241b}[2J<U+202E> of web",
            "{uri}"
        );
        assert_eq!(world.arguments(), ["docker", "logs", "--timestamps", "--tail", "101", "web"]);
    }
    let log = text(scout, "compose://box/shop/logs").await;
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() >= 4 && lines[0].contains(": 2026-12-01T00:00:01Z (stderr) err"), "{log}");
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log}");
    for absent in
        ["docker://box/-f/logs", "docker://box/a%20b/logs", "compose://box/%24(id)", "compose://box/none/logs"]
    {
        let answer = read(scout, absent).await;
        assert_eq!(answer["error"]["code"], -32002, "{absent}: {answer}");
    }
    assert!(!world.arguments().iter().any(|word| word == "-f" || word.contains("$(id)")));
}

#[tokio::test]
async fn pools_and_logs_are_read_by_the_uris_of_scout_mcp() {
    let zpool = format!(
        "case $1 in list) {};; *) {};; esac",
        cat("storage", "zpool-list-written.txt"),
        cat("storage", "zpool-status-written.txt")
    );
    let zfs = format!(
        "case \" $* \" in *snapshot*) {};; *) {};; esac",
        cat("storage", "zfs-snapshots-written.txt"),
        cat("storage", "zfs-list-written.txt")
    );
    let entry = r#"{"__REALTIME_TIMESTAMP":"1764547200000000","SYSLOG_IDENTIFIER":"app","MESSAGE":"a\u001b[2Jb"}"#;
    let journal = format!("case \" $* \" in *' -n 0 '*) exit 0;; esac; echo '{entry}'");
    let world = World::with(&[("zpool", &zpool), ("zfs", &zfs), ("journalctl", &journal)]).await;
    let scout = &world.scout;
    let pools = text(scout, "zfs://box").await;
    assert!(pools.contains("tank") && pools.contains("failed"), "{pools}");
    let tank = text(scout, "zfs://box/tank").await;
    assert!(tank.contains("tank") && tank.lines().count() < pools.lines().count(), "{tank}");
    let datasets = text(scout, "zfs://box/tank/datasets").await;
    assert!(datasets.contains("/tank"), "{datasets}");
    assert!(text(scout, "zfs://box/snapshots").await.contains("2026-12-01T00:00:00Z"));
    assert_eq!(text(scout, "box://zfs/tank").await, tank);
    for absent in ["zfs://box/none", "zfs://box/none/datasets", "zfs://box/tan/datasets", "zfs://nobody"] {
        let answer = read(scout, absent).await;
        assert_eq!(answer["error"]["code"], -32002, "{absent}: {answer}");
    }
    for uri in ["syslog://box", "box://syslog"] {
        let log = text(scout, uri).await;
        assert!(log.contains("app") && log.contains("a\u{241b}[2Jb"), "{log}");
    }
    let (listed, _) = all(scout, "resources/list", "resources").await;
    assert_eq!(named(&listed, "uri"), ["hosts://list", "docker://box", "compose://box", "syslog://box", "zfs://box"]);
    let (templates, _) = all(scout, "resources/templates/list", "resourceTemplates").await;
    let bytes: usize = templates.iter().map(|template| template.to_string().len()).sum();
    assert!(templates.len() == 11 && bytes < 2600, "{bytes} bytes of {}", templates.len());
}

#[tokio::test]
async fn a_host_without_the_program_is_there_and_has_no_such_resource_now() {
    let world = World::with(&[("docker", MISSING), ("podman", MISSING), ("zpool", MISSING)]).await;
    for (uri, says) in [
        ("docker://box", "box has neither the program `docker` nor `podman`"),
        ("compose://box/shop/logs", "box has neither the program `docker` nor `podman`"),
        ("zfs://box", "box has no program `zpool`"),
    ] {
        let answer = read(&world.scout, uri).await;
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
    }
}

#[tokio::test]
async fn a_file_is_read_by_a_uri_of_scout_mcp_too() {
    let sshd = Sshd::start();
    std::fs::write(sshd.dir().join("a file"), "text\n").unwrap();
    let scout: Arc<Scout> = Scout::start(&options(&sshd)).await;
    let path = sshd.dir().display();
    assert_eq!(text(&scout, &format!("box://{}/a%20file", path.to_string().trim_start_matches('/'))).await, "text\n");
    assert_eq!(read(&scout, "nobody://etc/fstab").await["error"]["code"], -32002);
}
