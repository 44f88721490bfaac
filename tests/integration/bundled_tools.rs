//! The tools that Scout brings along, against a real sshd under the policy `read-only`. Programs that this machine may not
//! have, or of which another version is meant, are scripts in front of the login's `PATH`: they print what the real ones printed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_tests::{Answer, Scout, Sshd, SshdOptions};
use serde_json::{Value, json};

use crate::world::options;

/// A host with programs of ours, and a Scout with all plugins that bring tools.
pub(crate) struct World {
    sshd: Sshd,
    pub(crate) scout: Arc<Scout>,
    dir: tempfile::TempDir,
}

impl World {
    /// Programs by name, each the rest of a script of `sh`.
    pub(crate) async fn with(programs: &[(&str, &str)]) -> Self {
        Self::on(SshdOptions::default(), programs, "").await
    }

    /// The same on such a host, with a Scout of further settings.
    pub(crate) async fn on(host: SshdOptions, programs: &[(&str, &str)], settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, script) in programs {
            let path = dir.path().join(name);
            let arguments = dir.path().join("arguments");
            // All at once: stages of a pipeline write beside each other.
            let log = format!("printf '%s\\n' {name} \"$@\" >> {}", arguments.display());
            std::fs::write(&path, format!("#!/bin/sh\n{log}\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let programs = Some(dir.path().to_owned());
        let sshd = Sshd::start_with(&SshdOptions { programs, ..host });
        let bundled = [
            "disk",
            "services",
            "logs",
            "processes",
            "listeners",
            "packages",
            "containers",
            "storage",
            "history",
            "posture",
            "changes",
        ];
        let bundled = bundled.map(|name| format!("[plugins.{name}]\nsource = \"bundled\""));
        // Tables stand behind what is in none.
        let scout = Scout::start(&options(&sshd).setting(settings).setting(&bundled.join("\n"))).await;
        Self { sshd, scout, dir }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        Answer { message: self.scout.request("tools/call", json!({"name": tool, "arguments": arguments})).await }
    }

    /// An answer that is none of an error, after so many commands, none of them refused.
    pub(crate) async fn answer(&self, tool: &str, arguments: Value, commands: u64) -> Value {
        let answer = self.call(tool, arguments).await;
        assert!(!answer.is_error(), "{}", answer.text());
        assert_eq!(answer.receipt()["execs"], commands, "{}", answer.text());
        answer.structured()
    }

    pub(crate) async fn failure(&self, tool: &str, arguments: Value) -> String {
        let answer = self.call(tool, arguments).await;
        assert!(answer.is_error(), "{}", answer.text());
        answer.text()
    }

    /// The words that programs of ours were given, since this was last asked.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = self.dir.path().join("arguments");
        let words = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        words.lines().map(str::to_owned).collect()
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

/// A file of real output beside a plugin.
fn fixture(plugin: &str, name: &str) -> String {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(plugin).join("tests/fixtures").join(name);
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display())).display().to_string()
}

pub(crate) fn cat(plugin: &str, name: &str) -> String {
    // One of ours may stand in its place.
    format!("exec /bin/cat {}", fixture(plugin, name))
}

#[tokio::test]
async fn bundled_tools_are_there_where_scout_toml_says_so() {
    let world = World::with(&[]).await;
    let listed = world.scout.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "scout",
            "changes",
            "containers",
            "disk",
            "history",
            "listeners",
            "logs",
            "packages",
            "posture",
            "processes",
            "services",
            "service",
            "storage"
        ]
    );
    for tool in &tools[1..] {
        assert!(tool["outputSchema"].is_object() && tool["title"].is_string(), "{tool}");
    }
    for (tool, arguments) in [
        ("disk", json!({"host": "box", "threshold": 101})),
        ("disk", json!({"host": "box", "path": "relative"})),
        ("disk", json!({"host": "box", "where": "used > 1"})),
        ("disk", json!({"host": "box", "limit": 0})),
        ("services", json!({"host": "box", "pattern": "a b"})),
        ("service", json!({"host": "box", "unit": "a*"})),
        ("logs", json!({"host": "box", "lines": 1001})),
        ("logs", json!({"host": "box", "since": "yesterday"})),
        ("logs", json!({"host": "box", "grep": "a\nb"})),
        ("logs", json!({"host": "box", "odd": 1})),
    ] {
        world.failure(tool, arguments).await;
    }
    let plain = Scout::start(&options(&Sshd::start())).await;
    let listed = plain.request("tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test]
async fn disk_reads_this_machines_own_df() {
    let world = World::with(&[]).await;
    let here = world.dir.path().display().to_string();
    // What is mounted, then its file systems.
    let one = world.answer("disk", json!({"host": "box", "path": here}), 2).await;
    let row = &one["filesystems"][0];
    assert_eq!(one["filesystems"].as_array().map(Vec::len), Some(1), "{one}");
    assert!(row["size_bytes"].as_u64() > Some(0) && row["type"].is_string(), "{one}");
    let all = world.answer("disk", json!({"host": "box", "all": true, "inodes": true}), 3).await;
    let root = all["filesystems"].as_array().unwrap().iter().find(|row| row["mount_point"] == "/");
    assert!(root.is_some_and(|row| row["inodes"].is_u64()), "{all}");
    let failure = world.failure("disk", json!({"host": "box", "path": "/no/such"})).await;
    assert!(
        failure.contains("`df` for `/no/such` on box said") && failure.contains("name a path that exists"),
        "{failure}"
    );
}

#[tokio::test]
async fn rows_are_chosen_ordered_narrowed_and_paged_before_anything_is_cut() {
    let df = "echo head; for at in 1 2 3 4 5; do echo \"/dev/$at ext4 100 $((at * 10)) 50 50% /$at\"; done";
    let world = World::with(&[("cat", NO_LINUX), ("df", df)]).await;
    let asked = json!({"host": "box", "where": "used_bytes > 10K", "sort": "-used_bytes", "columns": "mount_point", "limit": 3});
    let first = world.answer("disk", asked.clone(), 2).await;
    assert_eq!(first["filesystems"], json!([{"mount_point": "/5"}, {"mount_point": "/4"}, {"mount_point": "/3"}]));
    assert_eq!((&first["total"], &first["left_out"]), (&json!(5), &json!({"where": 1, "later": 1})));
    let mut next = asked;
    next["cursor"] = first["cursor"].clone();
    let last = world.answer("disk", next.clone(), 2).await;
    assert_eq!((&last["filesystems"], &last["cursor"]), (&json!([{"mount_point": "/2"}]), &Value::Null));
    assert_eq!(last["left_out"], json!({"where": 1, "earlier": 3}));
    next["sort"] = json!("used_bytes");
    let answer = world.call("disk", next).await;
    assert!(answer.is_error() && answer.text().contains("`cursor` belongs to another call"), "{}", answer.text());
    // A mistake costs the host nothing.
    assert_eq!(answer.receipt()["execs"], 0);
    let line =
        |at: u32| format!("2026-11-21T12:20:15Z web1 {}[7]: {at}\n", if at.is_multiple_of(3) { "a" } else { "b" });
    let path = world.file("app.log", (0..300).map(line).collect::<String>().as_bytes());
    let asked = json!({"host": "box", "path": path, "where": "program = a", "lines": 2});
    let entries = world.answer("logs", asked, 1).await;
    let messages: Vec<_> =
        entries["entries"].as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap()).collect();
    assert_eq!((messages, &entries["left_out"]), (vec!["294", "297"], &json!({"where": 200, "later": 98})));
    let failure = world.failure("disk", json!({"host": "box", "where": "used > 1"})).await;
    assert!(
        failure.contains("unknown column `used`") && failure.contains("columns: filesystem type size_bytes"),
        "{failure}"
    );
}

#[tokio::test]
async fn disk_asks_mount_where_df_knows_no_types() {
    // As on macOS: -T takes a value there.
    let df = format!(
        "case \" $* \" in *' -T '*) echo 'df: option requires an argument -- T' >&2; exit 64;; esac\n{}",
        cat("disk", "macos-inodes.txt")
    );
    let programs = [("cat", NO_LINUX), ("df", &*df), ("mount", &*cat("disk", "macos-mount.txt"))];
    let world = World::with(&programs).await;
    let answer = world.answer("disk", json!({"host": "box", "inodes": true}), 4).await;
    let rows = answer["filesystems"].as_array().unwrap();
    let kinds: Vec<_> =
        rows.iter().map(|row| (row["mount_point"].as_str().unwrap(), row["type"].as_str().unwrap())).collect();
    assert_eq!(kinds[..2], [("/", "apfs"), ("/Volumes/ann home", "afpfs")]);
    assert_eq!((&rows[0]["inodes_used"], &answer["pseudo_left_out"]), (&json!(1_507_695), &json!(2)));
    let words = ["cat", "/proc/self/mountinfo", "df", "-P", "-k", "-T", "df", "-P", "-k", "-i", "mount"];
    assert_eq!(world.arguments(), words);
}

/// A `cat` of another system than Linux.
const NO_LINUX: &str = "echo \"cat: $1: No such file or directory\" >&2; exit 1";

/// A `cat` of a Linux where these lines are mounted beside the root.
fn mounted(lines: &str) -> String {
    format!("printf '%s\\n' '27 1 254:0 / / rw - ext4 /dev/vda rw' {lines}")
}

/// A `df` that tells of the root, and of each operand.
const DF: &str = "echo head; case \" $* \" in *' -- '*) while [ \"$1\" != -- ]; do shift; done; shift; \
                  for point; do echo \"x nfs4 100 50 50 50% $point\"; done;; *) echo '/dev/vda ext4 100 50 50 50% /';; esac";

#[tokio::test]
async fn disk_asks_other_machines_last_and_names_the_one_that_does_not_answer() {
    let cat = mounted(
        "'1 27 0:1 / /a rw - nfs4 one:/a rw' '2 27 0:2 / /b rw - nfs4 two:/b rw' '3 27 0:3 / /c rw - nfs4 one:/c rw'",
    );
    let world = World::with(&[("cat", &cat), ("df", DF)]).await;
    let answer = world.answer("disk", json!({"host": "box"}), 4).await;
    let points = |answer: &Value| {
        let rows = answer["filesystems"].as_array().unwrap();
        rows.iter().map(|row| row["mount_point"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(points(&answer), ["/", "/a", "/c", "/b"]);
    let local = ["df", "-P", "-k", "-T", "-x", "nfs4"];
    assert_eq!(world.arguments()[2..8], local);
    let dead = format!("case \" $* \" in *' /b '*) exec sleep 60;; esac; {DF}");
    let world = World::on(SshdOptions::default(), &[("cat", &cat), ("df", &dead)], "command_timeout = \"2s\"").await;
    let answer = world.answer("disk", json!({"host": "box"}), 4).await;
    assert_eq!(points(&answer), ["/", "/a", "/c"]);
    assert_eq!(answer["unanswered"][0]["mount_point"], "/b");
    assert!(answer["unanswered"][0]["why"].as_str().is_some_and(|why| why.contains("did not end in time")), "{answer}");
    // GNU's df 8.21 to 8.27 also asks the types that it leaves out.
    let old = format!("case \" $* \" in *' -x '*) exec sleep 60;; esac; {DF}");
    let world = World::on(SshdOptions::default(), &[("cat", &cat), ("df", &old)], "command_timeout = \"2s\"").await;
    let answer = world.answer("disk", json!({"host": "box"}), 3).await;
    assert_eq!(points(&answer), ["/"]);
    let unanswered: Vec<_> = answer["unanswered"].as_array().unwrap().iter().map(|one| &one["mount_point"]).collect();
    assert_eq!(unanswered, ["/a", "/c", "/b"]);
    let why = answer["unanswered"][0]["why"].as_str().unwrap();
    assert_eq!(why, "not asked: a `df` of all file systems took all the time");
}

#[tokio::test]
async fn disk_mounts_nothing() {
    let cat = mounted("'1 27 0:1 / /net rw - autofs /etc/auto.net rw' '2 27 0:2 / /data rw - autofs direct rw'");
    let links = "case \"$3\" in /link) printf %s net/server;; *) exit 1;; esac";
    let world = World::with(&[("cat", &cat), ("df", DF), ("readlink", links)]).await;
    world.answer("disk", json!({"host": "box"}), 2).await;
    assert_eq!(world.arguments()[2..], ["df", "-P", "-k", "-T", "-x", "autofs"]);
    for path in ["/net/x", "/data", "/srv/../net/./y", "/link/z"] {
        let failure = world.failure("disk", json!({"host": "box", "path": path})).await;
        assert!(failure.contains("lies on an automount point"), "{failure}");
        let words = world.arguments();
        assert!(!words.contains(&"df".to_owned()) && !words.iter().any(|word| word.ends_with("/z")), "{words:?}");
    }
    world.answer("disk", json!({"host": "box", "path": "/srv"}), 3).await;
    // busybox knows no `-x`, and would ask all.
    let busybox = format!("case \" $* \" in *' -x '*) echo 'df: unrecognized option: x' >&2; exit 1;; esac; {DF}");
    let world = World::with(&[("cat", &cat), ("df", &busybox)]).await;
    let answer = world.answer("disk", json!({"host": "box"}), 3).await;
    assert_eq!((&answer["filesystems"][0]["mount_point"], &answer["unanswered"]), (&json!("/"), &json!([])));
    assert_eq!(world.arguments().last().map(String::as_str), Some("/"));
}

#[tokio::test]
async fn disk_asks_no_file_system_that_it_knows_nothing_of() {
    // An automount point that hides a mount, which `df` of all would look up.
    let cat =
        mounted("'31 27 0:1 / /home/bob rw - ext4 /dev/vdb rw' '32 27 0:2 / /home rw - autofs /etc/auto.home rw'");
    let world = World::with(&[("cat", &cat), ("df", DF)]).await;
    world.answer("disk", json!({"host": "box"}), 2).await;
    assert_eq!(world.arguments()[2..], ["df", "-P", "-k", "-T", "--", "/"]);
    // What is mounted is not told in full.
    let many = mounted("; for n in 1 2 3 4 5 6 7 8 9; do echo \"4$n 27 1:$n / /srv/$n rw - ext4 /dev/vd$n rw\"; done");
    let world = World::on(SshdOptions::default(), &[("cat", &many), ("df", DF)], "max_output_size = 300").await;
    let answer = world.answer("disk", json!({"host": "box"}), 2).await;
    let words = world.arguments();
    assert!(answer["truncated"] == true && words[6..8] == ["--", "/"] && words.len() > 9, "{answer} {words:?}");
    let failure = world.failure("disk", json!({"host": "box", "path": "/srv/9"})).await;
    assert!(failure.contains("what is mounted on box is more than Scout accepts"), "{failure}");
    assert!(!world.arguments().contains(&"df".to_owned()));
}

#[tokio::test]
async fn disk_mounts_nothing_below_the_home_directory() {
    let cat = mounted(
        "'31 27 0:1 / /home rw - autofs /etc/auto.home rw' '32 31 0:2 / /home/ann rw - nfs4 srv:/ann rw' \
         '33 32 0:3 / /home/ann/data rw - autofs direct rw'",
    );
    let links = "case \"$3\" in /home/ann/link) printf %s ../eve;; *) exit 1;; esac";
    // As df does, it tells where the file system is mounted, and not what it was asked.
    let df = "echo head; echo 'srv:/ann nfs4 100 50 50 50% /home/ann'";
    let programs = |pwd| [("cat", cat.as_str()), ("df", df), ("readlink", links), ("pwd", pwd)];
    let world = World::with(&programs("echo /home/ann")).await;
    for path in ["~/data", "~/data/x", "~/link", "~/link/z", "~/../eve", "~/x/../../eve"] {
        world.arguments();
        let failure = world.failure("disk", json!({"host": "box", "path": path})).await;
        assert!(failure.contains(&format!("`{path}` on box lies on an automount point")), "{failure}");
        let words = world.arguments();
        assert!(!words.contains(&"df".to_owned()) && !words.iter().any(|word| word.ends_with("/z")), "{words:?}");
    }
    // What is mounted, where the home directory is, whether each part is a link, and df.
    let answer = world.answer("disk", json!({"host": "box", "path": "~/x/y"}), 5).await;
    assert_eq!(answer["filesystems"][0]["mount_point"], "/home/ann");
    world.answer("disk", json!({"host": "box", "path": "~"}), 2).await;
    let odd = World::with(&programs("exit 1")).await;
    let failure = odd.failure("disk", json!({"host": "box", "path": "~/x"})).await;
    assert!(failure.contains("where the home directory on box lies is not known"), "{failure}");
    assert!(!odd.arguments().contains(&"df".to_owned()));
    // Nothing more is asked where there is no automount point.
    let plain = World::with(&[("cat", &*mounted("")), ("df", df)]).await;
    plain.answer("disk", json!({"host": "box", "path": "~/x"}), 2).await;
}

#[tokio::test]
async fn disk_tells_of_what_an_automounter_has_mounted() {
    let cat = mounted(
        "'31 27 0:1 / /home rw - autofs /etc/auto.home rw,indirect' '32 31 0:2 / /home/ann rw - nfs4 srv:/ann rw' \
         '33 31 0:3 / /home/all/one rw - nfs4 srv:/one rw' '34 27 0:4 / /home/bob rw - nfs4 srv:/hidden rw'",
    );
    let links = "case \"$3\" in /ann) printf %s /home/ann;; *) exit 1;; esac";
    let world = World::with(&[("cat", &cat), ("df", DF), ("readlink", links)]).await;
    // What is mounted, whether each part is a link, and df.
    for (path, commands) in [("/home/ann", 4), ("/home/ann/x/y", 6), ("/home/all/one", 5), ("/ann/x", 6)] {
        let answer = world.answer("disk", json!({"host": "box", "path": path}), commands).await;
        assert_eq!(answer["filesystems"][0]["mount_point"], path, "{answer}");
    }
    for path in ["/home", "/home/bob", "/home/eve/x", "/home/all", "/home/all/two", "/home/ann/..", "/ann/../eve"] {
        world.arguments();
        let failure = world.failure("disk", json!({"host": "box", "path": path})).await;
        // With mounts below it it can be asked, and would answer zeros.
        let mounts_something = !["/home", "/home/all", "/home/ann/.."].contains(&path);
        let why =
            if mounts_something { "is not mounted, and asking would mount it" } else { "has no storage of its own" };
        assert!(failure.contains("lies on an automount point") && failure.contains(why), "{failure}");
        assert!(!world.arguments().contains(&"df".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn services_are_one_command() {
    let world = World::with(&[("systemctl", &cat("services", "debian13-show.txt"))]).await;
    let answer = world.answer("services", json!({"host": "box"}), 1).await;
    let units = answer["units"].as_array().unwrap();
    let named =
        |name: &str| units.iter().find(|unit| unit["name"] == name).unwrap_or_else(|| panic!("no {name}: {answer}"));
    assert_eq!((&named("ssh.service")["main_pid"], &named("ssh.service")["enabled"]), (&json!(107), &json!("enabled")));
    assert_eq!(named("broken.service")["description"], "A \"broken\" service = with signs, käse and tab\\there");
    assert_eq!(named("ssh.service")["since"], "2026-11-21T11:20:14.576962Z");
    assert_eq!(world.arguments()[..4], ["systemctl", "show", "--no-pager", "--timestamp=us+utc"]);
    world.answer("services", json!({"host": "box", "pattern": "-M*", "state": ["failed"]}), 1).await;
    assert_eq!(world.arguments()[5..], ["--all", "--type=service", "--state=failed", "--", "-M*"]);
}

/// A `systemctl` before systemd 247, which knows no `--timestamp`.
const OLD_SYSTEMCTL: &str =
    "case \" $* \" in *--timestamp*) echo \"systemctl: unrecognized option '--timestamp=us+utc'\" >&2; exit 1;; esac";

#[tokio::test]
async fn services_that_are_not_loaded_are_known_by_their_files() {
    let script = format!(
        "case $1 in list-unit-files) {};; esac\n{OLD_SYSTEMCTL}\n{}",
        cat("services", "rhel7-unit-files.txt"),
        cat("services", "rhel7-show.txt")
    );
    let world = World::with(&[("systemctl", &script)]).await;
    // One more: no state of a file tells that it is an alias.
    let pattern = world.answer("services", json!({"host": "box", "pattern": "blk-*"}), 4).await;
    let mut units = pattern["units"].as_array().unwrap().iter();
    assert!(units.any(|unit| unit["name"] == "blk-availability.service" && unit["active"].is_null()), "{pattern}");
    // An old one is asked again.
    let answer = world.answer("services", json!({"host": "box", "enabled": ["disabled", "bad"]}), 3).await;
    let rows: Vec<_> =
        answer["units"].as_array().unwrap().iter().map(|unit| (&unit["name"], &unit["active"])).collect();
    let expected = ["blk-availability.service", "broken-link.service"].map(Value::from);
    assert_eq!(rows, expected.iter().map(|name| (name, &Value::Null)).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_name_of_a_unit_is_no_unit_that_is_not_loaded() {
    let script = format!(
        "case $1 in list-unit-files) {};; esac\ncase \" $* \" in *' sshd.* '*) ;; *) {};; esac",
        cat("services", "debian13-unit-files.txt"),
        cat("services", "debian11-ssh.txt"),
    );
    let world = World::with(&[("systemctl", &script)]).await;
    let rows = |answer: &Value| {
        let units = answer["units"].as_array().unwrap().iter();
        units.map(|unit| format!("{} {}", unit["name"].as_str().unwrap(), unit["active"])).collect::<Vec<_>>()
    };
    let answer = world.answer("services", json!({"host": "box", "pattern": "*ssh*"}), 2).await;
    assert_eq!(rows(&answer), ["ssh.service \"active\"", "sshd-keygen.service null", "sshd@.service null"]);
    // systemctl itself finds a pattern in units' own names only.
    let answer = world.answer("services", json!({"host": "box", "pattern": "sshd.*"}), 3).await;
    assert_eq!(rows(&answer), ["ssh.service \"active\""]);
    assert_eq!(answer["notes"], json!(["`sshd.service` is another name of `ssh.service`"]));
    let old = format!(
        "case $1 in list-unit-files) {};; esac\n{OLD_SYSTEMCTL}\ncase \" $* \" in *NetworkManager*) {NETWORK_MANAGER};; esac",
        cat("services", "rhel7-unit-files.txt"),
    );
    let world = World::with(&[("systemctl", &old)]).await;
    let answer = world.answer("services", json!({"host": "box", "pattern": "dbus-org.*"}), 4).await;
    assert_eq!(rows(&answer), ["NetworkManager.service \"active\""]);
}

/// A unit with an alias.
const NETWORK_MANAGER: &str = "printf 'Id=NetworkManager.service\\nNames=NetworkManager.service dbus-org.freedesktop.NetworkManager.service\\n\
                               LoadState=loaded\\nActiveState=active\\n'";

#[tokio::test]
async fn a_unit_whose_row_was_cut_is_not_told_as_one_that_is_not_loaded() {
    let script = format!(
        "case $1 in list-unit-files) {};; esac\n{}",
        cat("services", "debian13-unit-files.txt"),
        cat("services", "debian13-show.txt")
    );
    let world = World::on(SshdOptions::default(), &[("systemctl", &script)], "max_output_size = \"4 KiB\"").await;
    let answer = world.answer("services", json!({"host": "box", "all": true}), 1).await;
    let units = answer["units"].as_array().unwrap();
    assert!(!units.is_empty() && units.iter().all(|unit| unit["active"].is_string()), "{answer}");
    assert!(
        answer["truncated"] == true && answer["notes"].to_string().contains("and those that are not loaded"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_old_systemd_on_a_host_without_a_file_of_its_zone_answers() {
    let grep = "exec /bin/grep -a -h -e = -e '^$' - /no/such/etc/localtime";
    let world = World::with(&[("systemctl", OLD_SYSTEMCTL), ("grep", grep)]).await;
    let answer = world.answer("services", json!({"host": "box"}), 2).await;
    assert_eq!((&answer["units"], &answer["notes"]), (&json!([]), &json!([])));
    let show = format!("{OLD_SYSTEMCTL}\n{}", cat("services", "rhel7-show.txt"));
    let world = World::with(&[("systemctl", &show), ("grep", grep)]).await;
    let answer = world.answer("services", json!({"host": "box"}), 2).await;
    assert!(answer["units"].as_array().is_some_and(|units| !units.is_empty()), "{answer}");
    assert_eq!(answer["notes"], json!([]));
}

#[tokio::test]
async fn a_service_is_told_in_detail() {
    let world = World::with(&[("systemctl", &cat("services", "debian11-ssh.txt"))]).await;
    let answer = world.answer("service", json!({"host": "box", "unit": "ssh"}), 1).await;
    assert_eq!((&answer["name"], &answer["file"]), (&json!("ssh.service"), &json!("/lib/systemd/system/ssh.service")));
    assert_eq!(answer["names"], json!(["ssh.service", "sshd.service"]));
    assert_eq!(world.arguments().last().map(String::as_str), Some("ssh"));
    let missing =
        World::with(&[("systemctl", "printf 'Id=x.service\\nLoadState=not-found\\nActiveState=inactive\\n'")]).await;
    let failure = missing.failure("service", json!({"host": "box", "unit": "x"})).await;
    assert!(failure.contains("there is no unit `x` on box") && failure.contains("`services`"), "{failure}");
}

/// What systemctl says in a container without systemd.
const NOT_BOOTED: &str = "echo 'System has not been booted with systemd as init system (PID 1). Can'\\''t operate.' >&2\n\
                          echo 'Failed to connect to bus: Host is down' >&2\nexit 1";

#[tokio::test]
async fn services_of_openrc_are_told_where_there_is_no_systemd() {
    let world = World::with(&[("systemctl", NOT_BOOTED), ("ls", &cat("services", "openrc-busybox-ls.txt"))]).await;
    let answer = world.answer("services", json!({"host": "box"}), 2).await;
    assert_eq!(answer["manager"], "openrc");
    let names: Vec<_> = answer["units"].as_array().unwrap().iter().map(|unit| unit["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["fragile", "plain", "steady"]);
    let one = world.answer("service", json!({"host": "box", "unit": "bad.service"}), 2).await;
    assert_eq!((&one["active"], &one["enabled"]), (&json!("inactive"), &json!("enabled")));
    let neither = World::with(&[("systemctl", NOT_BOOTED), ("ls", "exit 2")]).await;
    let failure = neither.failure("services", json!({"host": "box"})).await;
    assert!(failure.contains("box runs neither systemd nor OpenRC") && failure.contains("ps aux"), "{failure}");
}

#[tokio::test]
async fn a_systemd_whose_bus_does_not_answer_is_one() {
    let no_bus = "echo 'Failed to connect to bus: No such file or directory' >&2; exit 1";
    let ls = "printf '/etc/init.d:\\ncron\\n\\n/run/systemd/system:\\n'";
    let world = World::with(&[("systemctl", no_bus), ("ls", ls)]).await;
    for (tool, arguments) in [("services", json!({"host": "box"})), ("service", json!({"host": "box", "unit": "cron"}))]
    {
        let failure = world.failure(tool, arguments).await;
        assert!(failure.contains("box runs systemd, but its bus does not answer"), "{failure}");
    }
    // What nobody knows is no host without units.
    let odd = World::with(&[("systemctl", "echo 'the moon is full' >&2; exit 1")]).await;
    let failure = odd.failure("services", json!({"host": "box"})).await;
    assert!(failure.contains("`systemctl` on box said: the moon is full"), "{failure}");
}

#[tokio::test]
async fn logs_are_the_newest_of_the_journal_in_one_command() {
    let huge = "{\"MESSAGE\":\"hhhh";
    let journal = format!(
        "case \" $* \" in *--cursor=*) printf '%s' '{huge}'; exit;; *--reverse*) ;; *) exit;; esac\n{}",
        cat("logs", "debian13-journal.txt")
    );
    let world = World::with(&[("journalctl", &journal)]).await;
    let marker = world.dir.path().join("injected");
    let grep = format!("-e x'; touch {} $(touch {0}) `touch {0}`", marker.display());
    let arguments = json!({"host": "box", "lines": 8, "unit": "-x", "since": "2h", "grep": grep, "priority": "debug"});
    // One more for the message that the first leaves out.
    let answer = world.answer("logs", arguments, 2).await;
    let entries = answer["entries"].as_array().unwrap();
    assert_eq!((&entries[2]["message"], &entries[2]["message_cut"]), (&json!("hhhh…"), &json!(true)));
    assert_eq!((entries.len(), &answer["source"], &answer["truncated"]), (8, &json!("journal"), &json!(true)));
    assert_eq!(
        entries[0]["message"],
        "Traceback (most recent call last):\n  File \"app.py\", line 1, in <module>\nValueError: käse"
    );
    assert_eq!(
        (&entries[1]["program"], &entries[1]["message_base64"]),
        (&json!("bin"), &json!("Y2Fm6SABAiBiaW5hcnk="))
    );
    assert_eq!(entries[7]["time"], "2026-11-21T11:39:17.613062Z");
    let words = world.arguments();
    let journalctl = words.split(|word| word == "journalctl");
    let asked: Vec<_> = journalctl.filter(|words| words.contains(&"--reverse".to_owned())).collect();
    assert_eq!(
        asked[0][5..],
        ["--since=-7200s", "--unit=-x", "--priority=debug", "--case-sensitive=true", &format!("--grep={grep}")]
    );
    assert!(!marker.exists());
}

#[tokio::test]
async fn an_old_journalctl_is_asked_again_for_what_it_knows() {
    let script = format!(
        "for word; do case $word in --output-fields=*|--grep=*) echo \"journalctl: unrecognized option '$word'\" >&2; exit 1;; short-iso) {};; esac; done\n{}",
        cat("logs", "rhel7-short-iso.txt"),
        cat("logs", "debian13-journal-all-fields.txt")
    );
    let world = World::with(&[("journalctl", &script)]).await;
    let plain = world.answer("logs", json!({"host": "box"}), 2).await;
    assert_eq!(plain["entries"].as_array().map(Vec::len), Some(3));
    let searched =
        world.answer("logs", json!({"host": "box", "grep": "accepted|promiscuous", "ignore_case": true}), 2).await;
    let messages: Vec<_> =
        searched["entries"].as_array().unwrap().iter().map(|entry| entry["program"].as_str().unwrap()).collect();
    assert_eq!(messages, ["sshd", "kernel"]);
    assert_eq!(searched["entries"][0]["time"], "2015-02-16T09:00:12Z");
}

#[tokio::test]
async fn logs_of_a_file_are_searched_and_their_year_is_the_hosts() {
    let world = World::with(&[]).await;
    let path = world.file("app log", &std::fs::read(Path::new(&fixture("logs", "rsyslog-traditional.txt"))).unwrap());
    let all = world.answer("logs", json!({"host": "box", "path": path, "lines": 2}), 1).await;
    let entries = all["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["program"], &all["truncated"]), (2, &json!("CRON"), &json!(true)));
    assert_eq!(entries[1]["message_base64"], "Y2Fm6SAjMDAxICMwMzNbMzFtcmVk");
    let found = world
        .answer("logs", json!({"host": "box", "path": path, "grep": "failed (password|x)", "ignore_case": true}), 1)
        .await;
    assert_eq!(found["entries"].as_array().map(Vec::len), Some(1));
    assert_eq!((&found["entries"][0]["pid"], &found["path"]), (&json!(4242), &json!(path)));
    let recent = world.answer("logs", json!({"host": "box", "path": path, "unit": "sshd", "since": "400d"}), 1).await;
    assert_eq!(recent["entries"].as_array().map(Vec::len), Some(1), "{recent}");
    for (arguments, says) in [
        (json!({"host": "box", "path": "/no/such"}), "No such file"),
        (json!({"host": "box", "path": path, "grep": "("}), "extended regular expression"),
        (json!({"host": "box", "path": world.dir.path().display().to_string()}), "name a file in it"),
        (json!({"host": "box", "path": "/var/log/syslog.2.gz"}), "No such file"),
        (json!({"host": "box", "path": "/etc/shadow"}), "secret"),
    ] {
        let failure = world.failure("logs", arguments).await;
        assert!(failure.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn logs_come_from_files_where_there_is_no_journal() {
    let tail = format!("cat >/dev/null; {}", cat("logs", "tail-busybox.txt"));
    let programs = [("journalctl", "echo 'No journal files were found.' >&2; exit 1"), ("tail", &*tail)];
    let world = World::with(&programs).await;
    let answer = world.answer("logs", json!({"host": "box"}), 2).await;
    assert_eq!((&answer["source"], &answer["path"]), (&json!("file"), &json!("/var/log/syslog")));
    assert!(answer["notes"][0].as_str().is_some_and(|note| note.contains("No journal files were found")), "{answer}");
    assert_eq!(answer["entries"][1]["program"], "CRON");
    let failure = world.failure("logs", json!({"host": "box", "source": "journal"})).await;
    assert!(failure.contains("no journal on box"), "{failure}");
    // As systemd 252: with `-o json` it is quiet, whether nothing fits or there is no journal.
    let quiet = "case \" $* \" in *' json '*) ;; *) echo 'No journal files were found.' >&2;; esac";
    let world = World::with(&[("journalctl", quiet), ("tail", &*tail)]).await;
    let answer = world.answer("logs", json!({"host": "box"}), 2).await;
    assert_eq!((&answer["source"], &answer["path"]), (&json!("file"), &json!("/var/log/syslog")));
    let world = World::with(&[("journalctl", "true"), ("tail", &*tail)]).await;
    let answer = world.answer("logs", json!({"host": "box", "since": "1m"}), 1).await;
    assert_eq!((&answer["source"], &answer["entries"]), (&json!("journal"), &json!([])));
    // What nobody knows is no empty journal, and beside entries it is told.
    let odd = "echo 'the moon is full' >&2";
    let world = World::with(&[("journalctl", odd), ("tail", &*tail)]).await;
    let failure = world.failure("logs", json!({"host": "box"})).await;
    assert!(failure.contains("journalctl on box said: the moon is full"), "{failure}");
    let world = World::with(&[("tail", &*format!("{odd}; {tail}"))]).await;
    let answer = world.answer("logs", json!({"host": "box", "source": "files"}), 1).await;
    assert!(answer["notes"].to_string().contains("the moon is full"), "{answer}");
}

#[tokio::test]
async fn logs_that_were_rotated_and_compressed_are_read() {
    let world = World::with(&[]).await;
    let line = |at: u32| format!("2026-11-21T12:20:{:02}Z web1 app[7]: entry {at}\n", at % 60);
    let path = world.file("app.log.2", (0..300).map(line).collect::<String>().as_bytes());
    let packed = std::process::Command::new("gzip").arg("-k").arg(&path).status().unwrap();
    assert!(packed.success());
    let packed = format!("{path}.gz");
    let plain = world.answer("logs", json!({"host": "box", "path": path, "lines": 2}), 1).await;
    let answer = world.answer("logs", json!({"host": "box", "path": packed, "lines": 2}), 2).await;
    assert_eq!((&answer["entries"], &answer["path"]), (&plain["entries"], &json!(packed)));
    let asked = json!({"host": "box", "path": packed, "grep": "entry 2[0-4]$", "where": "message ~ 3"});
    let answer = world.answer("logs", asked, 2).await;
    assert_eq!((&answer["total"], &answer["entries"][0]["message"]), (&json!(5), &json!("entry 23")));
    let failure = world.call("logs", json!({"host": "box", "path": "/no/such.gz"})).await;
    assert_eq!(failure.structured()["error"]["kind"], "not-found", "{}", failure.text());
    let world = World::with(&[("zstdcat", "echo 'sh: 1: zstdcat: not found' >&2; exit 127")]).await;
    let failure = world.call("logs", json!({"host": "box", "path": "/var/log/a.zst"})).await;
    assert_eq!(failure.structured()["error"]["kind"], "unsupported", "{}", failure.text());
    let path = world.file("not.gz", b"plain\n");
    world.failure("logs", json!({"host": "box", "path": path})).await;
}

/// A program that a host does not have: what its shell says and ends with.
pub(crate) const MISSING: &str = "echo 'sh: 1: it: not found' >&2; exit 127";

#[tokio::test]
async fn processes_are_those_of_the_host_and_never_who_looks() {
    let world = World::with(&[]).await;
    let asked = json!({"host": "box", "where": "command ~ sshd and user != nobody", "columns": "pid,command,started"});
    let answer = world.answer("processes", asked, 2).await;
    let rows = answer["processes"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["started"].as_str().is_some_and(|time| time.ends_with('Z'))), "{answer}");
    assert!(!rows.is_empty() && answer["total"].as_u64() > Some(rows.len() as u64), "{answer}");
    let own = world.answer("processes", json!({"host": "box", "where": "command ~ euser:32"}), 1).await;
    assert_eq!(own["processes"], json!([]), "{own}");
    let tree = world.answer("processes", json!({"host": "box", "tree": true, "where": "command ~ sshd"}), 1).await;
    assert!(tree["processes"][0]["depth"].is_u64(), "{tree}");
    let failure = world.failure("processes", json!({"host": "box", "tree": true, "sort": "pid"})).await;
    assert!(failure.contains("leave `tree` or `sort` out"), "{failure}");
}

#[tokio::test]
async fn a_ps_of_another_kind_is_asked_for_what_it_knows() {
    let busybox = format!(
        "case $3 in *euser*) echo \"ps: bad -o argument 'euser:32', supported arguments: user,comm,args,pid,ppid,stat,rss\" >&2; exit 1;; esac; {}",
        cat("processes", "busybox1.35.txt")
    );
    let world = World::with(&[("ps", &busybox)]).await;
    let answer = world.answer("processes", json!({"host": "box", "where": "command ~ 4711"}), 2).await;
    assert_eq!(answer["processes"][0]["user"], "an-accou", "{answer}");
    assert_eq!(world.arguments()[4..], ["ps", "-A", "-o", "pid,ppid,user,stat,rss,args"]);
    let bsd = format!(
        "case \" $* \" in *euser*) echo 'ps: euser:32: keyword not found' >&2; echo '  PID COMMAND'; echo '    1 init'; exit 1;; esac; {}",
        cat("processes", "freebsd-written.txt")
    );
    let world = World::with(&[("ps", &bsd)]).await;
    let answer = world.answer("processes", json!({"host": "box", "where": "user = www"}), 2).await;
    assert_eq!(answer["processes"][0]["cpu_percent"], 1.3, "{answer}");
    for (ps, says) in [
        (MISSING, "box has no program `ps`"),
        ("echo 'Error, do this: mount -t proc proc /proc' >&2; exit 1", "`ps` on box said: Error, do this: mount"),
    ] {
        let failure = World::with(&[("ps", ps)]).await.failure("processes", json!({"host": "box"})).await;
        assert!(failure.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn listeners_are_known_with_and_without_ss() {
    let world = World::with(&[]).await;
    let port = world.sshd.address().port();
    let asked = json!({"host": "box", "where": format!("port = {port} and proto = tcp")});
    let answer = world.answer("listeners", asked.clone(), 1).await;
    assert_eq!(
        (&answer["listeners"][0]["address"], &answer["listeners"][0]["process"]),
        (&json!("127.0.0.1"), &json!("sshd"))
    );
    let world = World::with(&[("ss", MISSING)]).await;
    let port = world.sshd.address().port();
    let answer = world.answer("listeners", json!({"host": "box", "where": format!("port = {port}")}), 2).await;
    assert_eq!(
        (&answer["listeners"][0]["address"], &answer["listeners"][0]["pid"]),
        (&json!("127.0.0.1"), &Value::Null)
    );
    assert!(answer["notes"].to_string().contains("there is no `ss`"), "{answer}");
    let denied = "echo 'Cannot open netlink socket: Permission denied' >&2; exit 1";
    let failure = World::with(&[("ss", denied)]).await.call("listeners", json!({"host": "box"})).await;
    assert_eq!(failure.structured()["error"]["kind"], "permission", "{}", failure.text());
    let none = World::with(&[("ss", "echo Netid State")]).await.answer("listeners", json!({"host": "box"}), 1).await;
    assert_eq!((&none["total"], &none["notes"]), (&json!(0), &json!(["nothing listens on TCP or UDP"])));
    let no_linux = "for table; do case $table in /proc*) echo \"grep: $table: No such file or directory\" >&2;; esac; done; exit 2";
    let failure =
        World::with(&[("ss", MISSING), ("grep", no_linux)]).await.failure("listeners", json!({"host": "box"})).await;
    assert!(failure.contains("box has neither the program `ss` nor tables"), "{failure}");
}

#[tokio::test]
async fn packages_are_those_of_the_manager_that_a_host_has() {
    let world = World::with(&[]).await;
    let answer = world.answer("packages", json!({"host": "box", "where": "name = dpkg"}), 1).await;
    assert_eq!((&answer["manager"], &answer["packages"][0]["name"]), (&json!("dpkg"), &json!("dpkg")));
    assert!(answer["packages"][0]["size_bytes"].as_u64() > Some(1 << 20), "{answer}");
    let none = [("dpkg-query", MISSING), ("apt", MISSING), ("apk", MISSING), ("pacman", MISSING), ("rpm", MISSING)];
    let with = |program: &'static str, script: &'static str| {
        none.map(|(name, missing)| (name, if name == program { script } else { missing }))
    };
    let alpine = format!(
        "case \" $* \" in *' -u '*) {};; esac; {}",
        cat("packages", "alpine-updates-written.txt"),
        cat("packages", "alpine-written.txt")
    );
    let world = World::with(&with("apk", alpine.leak())).await;
    let answer = world.answer("packages", json!({"host": "box"}), 2).await;
    assert_eq!((&answer["manager"], &answer["total"]), (&json!("apk"), &json!(6)));
    let answer = world.answer("packages", json!({"host": "box", "updates": true}), 2).await;
    assert_eq!(answer["packages"][0]["available"], "1.37.0-r19", "{answer}");
    assert!(answer["notes"].to_string().contains("does not tell which updates mend security"), "{answer}");
    let world = World::with(&with("pacman", "exit 1")).await;
    let answer = world.answer("packages", json!({"host": "box", "updates": true}), 3).await;
    assert_eq!((&answer["total"], &answer["manager"]), (&json!(0), &json!("pacman")));
    let rhel = cat("packages", "rhel9-written.txt");
    let world = World::with(&with("rpm", rhel.leak())).await;
    let answer = world.answer("packages", json!({"host": "box", "where": "name = openssl"}), 4).await;
    assert_eq!(answer["packages"][0]["version"], "1:3.2.2-6.el9_5", "{answer}");
    let failure = world.failure("packages", json!({"host": "box", "updates": true})).await;
    assert!(failure.contains("fetches lists and writes caches"), "{failure}");
    let world =
        World::with(&with("rpm", "echo 'error: cannot open Packages index: Permission denied' >&2; exit 1")).await;
    let failure = world.call("packages", json!({"host": "box"})).await;
    assert_eq!(failure.structured()["error"]["kind"], "permission", "{}", failure.text());
    let failure = World::with(&none).await.failure("packages", json!({"host": "box"})).await;
    assert!(failure.contains("none of the programs dpkg-query, rpm, apk and pacman"), "{failure}");
}

#[tokio::test]
async fn containers_are_those_of_both_engines_and_never_their_labels() {
    let engine = |version: &str| {
        let file = |what: &str| cat("containers", &format!("{version}-{what}.txt"));
        format!(
            "case $1 in ps) {};; images) {};; stats) {};; logs) echo '2026-12-01T00:00:02Z out'; echo '2026-12-01T00:00:01Z err' >&2;; esac",
            file("ps"),
            file("images"),
            file("stats")
        )
    };
    let (docker, podman) = (engine("docker28.2"), engine("podman5.4"));
    let world = World::with(&[("docker", &docker), ("podman", &podman)]).await;
    let answer = world.answer("containers", json!({"host": "box", "where": "state = running"}), 2).await;
    assert_eq!((&answer["engines"], &answer["total"]), (&json!(["docker", "podman"]), &json!(7)));
    assert_eq!((&answer["rows"][0]["health"], &answer["rows"][2]["engine"]), (&json!("unhealthy"), &json!("podman")));
    let asked = world.arguments().join(" ");
    assert!(asked.contains("com.docker.compose.project") && !asked.contains("{{json .}}"), "{asked}");
    let answer = world.answer("containers", json!({"host": "box", "what": "projects"}), 2).await;
    assert_eq!((&answer["rows"][0]["project"], &answer["rows"][0]["running"]), (&json!("shop"), &json!(2)));
    let answer = world.answer("containers", json!({"host": "box", "what": "images"}), 2).await;
    assert_eq!((&answer["rows"][0]["size_bytes"], &answer["total"]), (&json!(1_980_000), &json!(3)));
    let answer = world.answer("containers", json!({"host": "box", "what": "usage", "sort": "-memory_bytes"}), 2).await;
    assert!(answer["rows"][0]["memory_limit_bytes"].as_u64() > Some(1 << 30), "{answer}");
    world.arguments();
    let answer = world.answer("containers", json!({"host": "box", "logs": "web", "limit": 5}), 1).await;
    assert_eq!(
        answer["rows"],
        json!([
            {"time": "2026-12-01T00:00:01Z", "stream": "stderr", "message": "err"},
            {"time": "2026-12-01T00:00:02Z", "stream": "stdout", "message": "out"},
        ])
    );
    assert_eq!(world.arguments(), ["docker", "logs", "--timestamps", "--tail", "6", "web"]);
    for odd in [json!({"host": "box", "logs": "-f"}), json!({"host": "box", "logs": "a", "what": "images"})] {
        world.failure("containers", odd).await;
    }
    // The daemon of the system is asked, whatever the account's configuration says.
    let told = "echo \"$DOCKER_HOST $DOCKER_CONFIG $HOME\" >&2; exit 1";
    let failure =
        World::with(&[("docker", told), ("podman", MISSING)]).await.failure("containers", json!({"host": "box"})).await;
    assert!(failure.contains("unix:///var/run/docker.sock /proc/no-configuration /proc/no-configuration"), "{failure}");
}

#[tokio::test]
async fn engines_that_are_absent_forbidden_or_silent_are_told_apart() {
    let denied = "echo 'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock' >&2; exit 1";
    let silent = "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2; exit 1";
    let absent = "echo 'Error response from daemon: No such container: web' >&2; exit 1";
    for (docker, arguments, kind, says) in [
        (MISSING, json!({"host": "box"}), "unsupported", "box has neither the program `docker` nor `podman`"),
        (denied, json!({"host": "box"}), "permission", "the account may not ask docker's daemon on box"),
        (silent, json!({"host": "box"}), "remote", "its daemon does not answer"),
        (absent, json!({"host": "box", "logs": "web"}), "not-found", "docker on box has no such container"),
    ] {
        let world = World::with(&[("docker", docker), ("podman", MISSING)]).await;
        let failure = world.call("containers", arguments).await;
        assert_eq!(failure.structured()["error"]["kind"], kind, "{}", failure.text());
        assert!(failure.text().contains(says), "{}", failure.text());
    }
    let world = World::with(&[("docker", "true"), ("podman", MISSING)]).await;
    let none = world.answer("containers", json!({"host": "box"}), 2).await;
    assert_eq!((&none["total"], &none["notes"]), (&json!(0), &json!(["there is no container"])));
    // One that answers beside one that does not.
    let podman = cat("containers", "podman4.3-ps.txt");
    let world = World::with(&[("docker", silent), ("podman", &podman)]).await;
    let answer = world.answer("containers", json!({"host": "box"}), 2).await;
    assert_eq!(answer["engines"], json!(["podman"]));
    assert!(answer["notes"].to_string().contains("its daemon does not answer"), "{answer}");
}

#[tokio::test]
async fn storage_is_told_by_what_a_host_has() {
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
    let smartctl = format!(
        "case \" $* \" in *scan*) {};; *sda*) {};; *) {};; esac",
        cat("storage", "smart-scan-written.txt"),
        cat("storage", "smart-standby-written.txt"),
        cat("storage", "smart-ata-written.txt")
    );
    let (mdstat, vgs, lvs) =
        (cat("storage", "mdstat-written.txt"), cat("storage", "lvm2.03.16-vgs.txt"), cat("storage", "lvs-written.txt"));
    let btrfs = cat("storage", "btrfs-stats-written.txt");
    let programs = [
        ("zpool", &*zpool),
        ("zfs", &*zfs),
        ("smartctl", &*smartctl),
        ("cat", &*mdstat),
        ("vgs", &*vgs),
        ("lvs", &*lvs),
        ("findmnt", "echo '/dev/sdc /data'"),
        ("btrfs", &*btrfs),
    ];
    let world = World::with(&programs).await;
    let answer = world.answer("storage", json!({"host": "box", "where": "health = failed"}), 11).await;
    let kinds: Vec<_> = answer["rows"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["zpool", "zpool", "md", "lv", "lv"], "{answer}");
    let words = world.arguments();
    // A disk that sleeps is not woken, and LVM writes no file of what it has found.
    assert!(words.windows(2).any(|words| words == ["-n", "standby"]), "{words:?}");
    assert!(words.contains(&"devices/hints=none".to_owned()), "{words:?}");
    let datasets = world.answer("storage", json!({"host": "box", "what": "datasets", "sort": "-used_bytes"}), 1).await;
    assert_eq!((&datasets["rows"][0]["mount_point"], &datasets["total"]), (&json!("/tank"), &json!(3)));
    let snapshots = world.answer("storage", json!({"host": "box", "what": "snapshots", "limit": 1}), 1).await;
    assert_eq!(snapshots["rows"][0]["created"], "2026-12-01T00:00:00Z", "{snapshots}");
    let none = [
        ("zpool", MISSING),
        ("zfs", MISSING),
        ("smartctl", MISSING),
        ("cat", NO_LINUX),
        ("vgs", MISSING),
        ("findmnt", MISSING),
        ("ls", "exit 2"),
    ];
    let world = World::with(&none).await;
    let answer = world.answer("storage", json!({"host": "box"}), 6).await;
    assert_eq!(answer["total"], json!(0));
    assert!(answer["notes"].to_string().contains("not installed: zpool, vgs, smartctl"), "{answer}");
    let failure = world.call("storage", json!({"host": "box", "what": "snapshots"})).await;
    assert_eq!(failure.structured()["error"]["kind"], "unsupported", "{}", failure.text());
    // What is there, where only administrators look for programs.
    let hidden = none.map(|(name, script)| if name == "ls" { (name, "echo /usr/sbin/vgs") } else { (name, script) });
    let failure = World::with(&hidden).await.call("storage", json!({"host": "box"})).await;
    assert_eq!(failure.structured()["error"]["kind"], "permission", "{}", failure.text());
}

#[tokio::test]
async fn history_is_read_of_the_days_that_hold_the_time() {
    let find = "echo '1796096000.5 /var/log/sysstat/sa01'; echo '1795960000.0 /var/log/sysstat/sa29'";
    let sadf = format!(
        "case \" $* \" in *' -u '*) {};; *DEV*) {};; *) {};; esac",
        cat("history", "sysstat12.6-machine.txt"),
        cat("history", "sysstat12.6-network.txt"),
        cat("history", "sysstat12.6-disks.txt")
    );
    let world = World::with(&[("find", find), ("sadf", &sadf)]).await;
    let answer = world.answer("history", json!({"host": "box", "sort": "-cpu_percent", "limit": 1}), 2).await;
    assert_eq!(answer["files"], json!(["/var/log/sysstat/sa01"]));
    assert_eq!((&answer["total"], &answer["rows"][0]["time"]), (&json!(8), &json!("2026-12-01T00:32:00Z")));
    let words = world.arguments();
    assert_eq!(words[words.len() - 10..][..6], ["sadf", "-d", "-U", "/var/log/sysstat/sa01", "--", "-u"]);
    let asked = json!({"host": "box", "since": "2026-12-01T00:28", "until": "2026-12-01T00:29:00Z", "what": "network", "where": "interface = eth0"});
    let answer = world.answer("history", asked, 2).await;
    assert_eq!((&answer["total"], &answer["rows"][0]["received_bytes_per_s"]), (&json!(4), &json!(0)));
    let answer = world
        .answer("history", json!({"host": "box", "what": "disks", "since": "2026-11-29", "until": "2026-11-30"}), 2)
        .await;
    assert_eq!((&answer["total"], &answer["files"]), (&json!(0), &json!(["/var/log/sysstat/sa29"])));
    // The host's clock is asked where a time is told from now.
    let answer = world.answer("history", json!({"host": "box", "since": "52w"}), 4).await;
    assert_eq!(answer["files"].as_array().map(Vec::len), Some(2), "{answer}");
    for odd in ["yesterday", "25h61", "2026-02-31"] {
        world.failure("history", json!({"host": "box", "since": odd})).await;
    }
    let absent = "echo \"find: '/var/log/sysstat': No such file or directory\" >&2; echo \"find: '/var/log/sa': No such file or directory\" >&2; exit 1";
    let denied = "echo 'Cannot open /var/log/sysstat/sa01: Permission denied' >&2; exit 2";
    for (find, sadf, kind) in [
        (absent, MISSING, "unsupported"),
        (find, MISSING, "unsupported"),
        (find, denied, "permission"),
        ("true", MISSING, "not-found"),
    ] {
        let failure =
            World::with(&[("find", find), ("sadf", sadf)]).await.call("history", json!({"host": "box"})).await;
        assert_eq!(failure.structured()["error"]["kind"], kind, "{}", failure.text());
    }
}

#[tokio::test]
async fn changes_compares_with_the_baseline_that_was_taken_and_with_nothing_else() {
    // What the programs say lies beside them, and changes.
    let from = |name: &str| format!("exec /bin/cat \"$(dirname \"$0\")/{name}.txt\"");
    let (dpkg, systemctl, ss) = (from("dpkg"), from("units"), from("sockets"));
    let programs = [("dpkg-query", &*dpkg), ("systemctl", &*systemctl), ("ss", &*ss)];
    let world = World::with(&programs).await;
    let watched = world.file("watched", b"one");
    world.file("dpkg.txt", b"zlib1g\t1.2\tamd64\t10\tinstall ok installed\tx\n");
    world.file("units.txt", b"ssh.service enabled enabled\n");
    world.file("sockets.txt", b"tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* uid:0 cgroup:/system.slice/ssh.service\n");
    let files = json!([watched, format!("{watched}.new")]);
    let asked = json!({"host": "box", "files": files});
    let none = world.failure("changes", asked.clone()).await;
    assert!(none.contains("there is no baseline of box") && none.contains("\"take\""), "{none}");
    let taken = world.answer("changes", json!({"host": "box", "files": files, "baseline": "take"}), 5).await;
    assert!(taken["notes"].to_string().contains("2 files, 1 package, 1 unit"), "{taken}");
    assert!(taken["taken"].is_string() && taken["total"] == 0, "{taken}");
    let same = world.answer("changes", asked.clone(), 5).await;
    assert_eq!((&same["total"], &same["taken"]), (&json!(0), &taken["taken"]), "{same}");
    // Another set of files has none.
    world.failure("changes", json!({"host": "box"})).await;

    world.file("watched", b"two");
    world.file("watched.new", b"new");
    world.file("dpkg.txt", b"zlib1g\t1.3\tamd64\t10\tinstall ok installed\tx\n");
    world.file("sockets.txt", b"");
    std::fs::remove_file(world.dir.path().join("units.txt")).unwrap();
    let drift = world.answer("changes", asked.clone(), 5).await;
    let rows: Vec<_> = drift["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["kind"], row["change"], row["after"]).replace('"', ""))
        .collect();
    let digest = |text: &str| {
        let output = std::process::Command::new("sh").args(["-c", &format!("printf {text} | sha256sum")]).output();
        String::from_utf8_lossy(&output.expect("coreutils").stdout)[..64].to_owned()
    };
    assert_eq!(
        rows,
        [
            format!("file changed sha256:{}", digest("two")),
            format!("file added sha256:{}", digest("new")),
            "package changed 1.3".to_owned(),
            "listener removed null".to_owned(),
        ],
        "{drift}"
    );
    // What could not be read is no change.
    assert!(drift["notes"].to_string().contains("units were not seen: `systemctl` on box said"), "{drift}");
    let only = world.answer("changes", json!({"host": "box", "files": files, "where": "kind = package"}), 5).await;
    assert_eq!(only["left_out"], json!({"where": 3}), "{only}");
    let refused =
        world.answer("changes", json!({"host": "box", "files": ["/etc/shadow"], "baseline": "take"}), 4).await;
    assert!(refused["notes"].to_string().contains("files were not seen: "), "{refused}");
}

#[tokio::test]
async fn posture_tells_what_was_agreed_on_and_what_sshd_is_set_to() {
    let dump = cat("posture", "openssh10.0-dump.txt");
    let world = World::with(&[("sshd", &dump)]).await;
    let answer = world.answer("posture", json!({"host": "box"}), 2).await;
    let state = |answer: &Value, check: &str| {
        let row = answer["findings"].as_array().unwrap().iter().find(|row| row["check"] == check).cloned();
        row.map(|row| row["state"].as_str().unwrap().to_owned())
    };
    for (check, expected) in
        [("strict_key_exchange", "ok"), ("host_key", "ok"), ("macs", "weak"), ("permitemptypasswords", "ok")]
    {
        assert_eq!(state(&answer, check).as_deref(), Some(expected), "{check}: {answer}");
    }
    assert!(state(&answer, "key_exchange").is_some() && state(&answer, "server_version").is_some(), "{answer}");
    assert_eq!(answer["findings"][0]["state"], "weak", "{answer}");

    // As an account that may not ask sshd.
    let denied = "echo 'sshd: no hostkeys available -- exiting.' >&2; exit 1";
    let world = World::with(&[("sshd", denied)]).await;
    let answer = world.answer("posture", json!({"host": "box", "limit": 500}), 3).await;
    assert!(state(&answer, "permitemptypasswords").is_none() && state(&answer, "cipher").is_some(), "{answer}");
    assert!(answer["notes"].to_string().contains(r#"sudo = [[\"sshd\", \"-T\"]]"#), "{answer}");
    // Where no command runs, the connection is told all the same.
    let world = World::on(SshdOptions::default(), &[], "[hosts.box]\ncommands = \"none\"\n").await;
    let answer = world.call("posture", json!({"host": "box"})).await.structured();
    assert_eq!(state(&answer, "strict_key_exchange").as_deref(), Some("ok"), "{answer}");
    assert!(answer["notes"].to_string().contains("what sshd is set to is not known"), "{answer}");
}

#[tokio::test]
async fn all_tools_together_cost_a_model_little() {
    let world = World::with(&[]).await;
    let listed = world.scout.request("tools/list", json!({})).await;
    // What a client hands to its model: output schemas and annotations are for the client.
    let seen = listed["result"]["tools"].as_array().unwrap().iter().map(|tool| {
        let seen =
            json!({"name": tool["name"], "description": tool["description"], "inputSchema": tool["inputSchema"]});
        seen.to_string().len()
    });
    let bytes: usize = seen.sum();
    // Some four bytes are a token.
    assert!(bytes / 4 < 1500, "{bytes} bytes");
}
