//! Copies from one machine to another, on real sshds: what arrives, what is refused, what stays as it was.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scout_tests::{Guest, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::world::options;

/// Two hosts of one sshd, and what is exchanged with this machine.
struct Exchange {
    sshd: Sshd,
    here: tempfile::TempDir,
}

impl Exchange {
    fn new() -> Self {
        let (sshd, here) = (Sshd::start(), tempfile::tempdir().unwrap());
        for dir in ["in", "out", "other"] {
            fs::create_dir(sshd.dir().join(dir)).unwrap();
        }
        Self { sshd, here }
    }

    /// `box` and `other` may be written below `in`, this machine below its directory.
    fn options(&self) -> ScoutOptions {
        let mut options = options(&self.sshd);
        options.ssh_config.push_str(&self.sshd.config_block("other", self.sshd.address()));
        options.ssh_config.push_str(&self.sshd.config_block("closed", self.sshd.address()));
        options.setting(&format!(
            "[hosts.box]\nwritable_paths = [\"{dir}/in\"]\n[hosts.other]\nwritable_paths = [\"{dir}/other\"]\n\
             [transfers]\ndirectories = [\"{here}\"]\n",
            dir = self.sshd.dir().display(),
            here = self.here.path().display()
        ))
    }

    fn there(&self, path: &str) -> PathBuf {
        self.sshd.dir().join(path)
    }

    fn here(&self, path: &str) -> PathBuf {
        self.here.path().join(path)
    }
}

struct Asked {
    is_error: bool,
    text: String,
    fields: Value,
}

async fn ask(scout: &Arc<Scout>, arguments: Value) -> Asked {
    let answer = scout.call_with(arguments).await;
    Asked { is_error: answer.is_error(), text: answer.text(), fields: answer.structured() }
}

fn on(host: &str, path: &Path) -> String {
    format!("{host}:{}", path.display())
}

fn leftovers(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".scout")).collect()
}

/// Bytes that no piece repeats.
fn content(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 11).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[tokio::test]
async fn a_file_goes_to_a_host_from_it_and_between_two_as_it_is() {
    let world = Exchange::new();
    let scout = Scout::start(&world.options()).await;
    let sent = content(3_000_001);
    fs::write(world.here("a"), &sent).unwrap();
    fs::set_permissions(world.here("a"), fs::Permissions::from_mode(0o777)).unwrap();
    // What is there is sent.
    let target = on("box", &world.there("in/a"));
    let up = ask(&scout, json!({"target": target, "beam": world.here("a")})).await;
    assert!(!up.is_error, "{}", up.text);
    assert_eq!(fs::read(world.there("in/a")).unwrap(), sent);
    assert_eq!(fs::metadata(world.there("in/a")).unwrap().mode() & 0o7777, 0o755, "nobody else may write it");
    let told = |asked: &Asked, names: &[&str]| names.iter().map(|name| asked.fields[*name].clone()).collect::<Vec<_>>();
    let fields = ["files", "bytes", "verified", "resumed", "failed"];
    assert_eq!(told(&up, &fields), [1, 3_000_001, 1, 0, 0].map(Value::from), "{}", up.text);
    assert!(up.text.contains("its SHA-256: "), "{}", up.text);
    // The same again sends nothing.
    let again = ask(&scout, json!({"target": target, "beam": world.here("a")})).await;
    assert_eq!(told(&again, &["files", "unchanged", "bytes"]), [0, 1, 0].map(Value::from), "{}", again.text);
    // What is not there is fetched.
    let down = ask(&scout, json!({"target": target, "beam": world.here("b")})).await;
    assert!(!down.is_error, "{}", down.text);
    assert_eq!(fs::read(world.here("b")).unwrap(), sent);
    assert_eq!(down.fields["verified"], 1, "{}", down.text);
    // Between two hosts, into a directory that is there.
    let across = ask(&scout, json!({"beam_source": target, "beam_target": on("other", &world.there("other"))})).await;
    assert!(!across.is_error, "{}", across.text);
    assert_eq!(across.fields["target"], on("other", &world.there("other/a")));
    assert_eq!(fs::read(world.there("other/a")).unwrap(), sent);
    assert_eq!(across.fields["sha256"], up.fields["sha256"]);
    // An empty file, and names as bytes.
    fs::write(world.here("it's \u{fc}"), "").unwrap();
    let empty =
        ask(&scout, json!({"beam_source": world.here("it's \u{fc}"), "beam_target": on("box", &world.there("in"))}));
    assert!(!empty.await.is_error);
    assert_eq!(fs::read(world.there("in/it's \u{fc}")).unwrap(), b"");
    for dir in [world.here.path(), &world.there("in"), &world.there("other")] {
        assert!(leftovers(dir).is_empty(), "{:?}", leftovers(dir));
    }
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_replaced_only_if_that_is_asked_for() {
    let world = Exchange::new();
    let scout = Scout::start(&world.options()).await;
    fs::write(world.here("a"), "new").unwrap();
    fs::write(world.there("in/a"), "old").unwrap();
    fs::set_permissions(world.there("in/a"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink(world.there("in/a"), world.there("in/link")).unwrap();
    let copy = |name: &str, more: Value| {
        let mut arguments = json!({"beam_source": world.here("a"), "beam_target": on("box", &world.there(name))});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&scout, arguments)
    };
    let refused = copy("in/a", json!({})).await;
    assert!(refused.is_error && refused.text.contains("exists, and holds something else"), "{}", refused.text);
    assert_eq!(fs::read(world.there("in/a")).unwrap(), b"old");
    // A link stays, and what it leads to is replaced.
    let replaced = copy("in/link", json!({"replace": true})).await;
    assert!(!replaced.is_error, "{}", replaced.text);
    assert_eq!(fs::read(world.there("in/a")).unwrap(), b"new");
    assert_eq!(fs::metadata(world.there("in/a")).unwrap().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(world.there("in/link")).unwrap().is_symlink());
    // The other way.
    fs::write(world.there("in/a"), "newer").unwrap();
    let (source, target) = (on("box", &world.there("in/a")), world.here("a"));
    let refused = ask(&scout, json!({"beam_source": source, "beam_target": target})).await;
    assert!(refused.is_error && fs::read(&target).unwrap() == b"new", "{}", refused.text);
    let replaced = ask(&scout, json!({"beam_source": source, "beam_target": target, "replace": true})).await;
    assert!(!replaced.is_error && fs::read(&target).unwrap() == b"newer", "{}", replaced.text);
    // A file is no directory, and a directory no file.
    let onto =
        ask(&scout, json!({"beam_source": world.here("a"), "beam_target": on("box", &world.there("in/no/"))})).await;
    assert!(onto.is_error && onto.text.contains("no such directory"), "{}", onto.text);
    let over =
        ask(&scout, json!({"beam_source": world.here.path(), "beam_target": on("box", &world.there("in/a"))})).await;
    assert!(over.is_error && over.text.contains("is no directory"), "{}", over.text);
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn a_directory_goes_with_what_is_below_it_and_what_is_left_out_is_told() {
    let world = Exchange::new();
    let scout = Scout::start(&world.options()).await;
    for (path, text) in
        [("t/a/x", "x"), ("t/a/b/y", "yy"), ("t/z", "zzz"), ("t/.ssh/config", ""), ("t/k/id_ed25519", "secret")]
    {
        fs::create_dir_all(world.here(path).parent().unwrap()).unwrap();
        fs::write(world.here(path), text).unwrap();
    }
    fs::create_dir(world.here("t/empty")).unwrap();
    fs::set_permissions(world.here("t/a"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("z", world.here("t/link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, world.here("t/fifo"), rustix::fs::Mode::RUSR).unwrap();
    let copy = json!({"beam_source": world.here("t"), "beam_target": on("box", &world.there("in/t"))});
    let copied = ask(&scout, copy.clone()).await;
    // The key is a failure; links and special files are only told.
    assert!(copied.is_error && copied.fields["files"] == 3 && copied.fields["failed"] == 4, "{}", copied.text);
    for (path, text) in [("in/t/a/x", "x"), ("in/t/a/b/y", "yy"), ("in/t/z", "zzz")] {
        assert_eq!(fs::read(world.there(path)).unwrap(), text.as_bytes(), "{}", copied.text);
    }
    assert!(world.there("in/t/empty").is_dir());
    // What others may not see here they may not see there.
    for (path, mode) in [("in/t", 0o755), ("in/t/a", 0o700), ("in/t/a/b", 0o755)] {
        assert_eq!(fs::metadata(world.there(path)).unwrap().mode() & 0o7777, mode, "{path}");
    }
    assert!(
        !world.there("in/t/link").exists()
            && !world.there("in/t/.ssh").exists()
            && !world.there("in/t/k/id_ed25519").exists()
    );
    for told in ["link: is a symbolic link", "fifo: is neither", ".ssh: ", "k/id_ed25519: "] {
        assert!(copied.text.contains(told), "{told}: {}", copied.text);
    }
    // What is there already is not sent again, and what is new is.
    fs::remove_dir_all(world.here("t/.ssh")).unwrap();
    fs::remove_dir_all(world.here("t/k")).unwrap();
    fs::write(world.here("t/new"), "n").unwrap();
    let again = ask(&scout, copy).await;
    assert!(!again.is_error, "{}", again.text);
    assert_eq!((&again.fields["files"], &again.fields["unchanged"]), (&json!(1), &json!(3)), "{}", again.text);
    // Back, and into itself.
    let back = ask(&scout, json!({"target": on("box", &world.there("in/t")), "beam": world.here("back")})).await;
    assert!(!back.is_error && fs::read(world.here("back/a/b/y")).unwrap() == b"yy", "{}", back.text);
    let within =
        json!({"beam_source": on("box", &world.there("in/t")), "beam_target": on("box", &world.there("in/t/a/t"))});
    let within = ask(&scout, within).await;
    assert!(within.is_error && within.text.contains("lies below what is copied"), "{}", within.text);
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn nothing_is_read_or_written_that_the_operator_has_not_opened() {
    let world = Exchange::new();
    let scout = Scout::start(&world.options()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("mine"), "mine").unwrap();
    fs::write(world.here("a"), "a").unwrap();
    symlink(elsewhere.path(), world.here("out")).unwrap();
    symlink(world.there("out"), world.there("in/out")).unwrap();
    fs::create_dir(world.there("in/.ssh")).unwrap();
    fs::write(world.there("out/key"), "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n")
        .unwrap();
    // In the middle of a large file too, of which more has gone than is kept of an interrupted copy.
    let mut large = content(1_200_000);
    large.extend_from_slice(&fs::read(world.there("out/key")).unwrap());
    large.extend_from_slice(&content(600_000));
    fs::write(world.there("out/large"), large).unwrap();
    let a = world.here("a");
    for (source, target, says) in [
        // Hosts where nothing is open, and paths outside of what is.
        (a.display().to_string(), on("closed", &world.there("in/x")), "nothing may be written on `closed`"),
        (a.display().to_string(), on("box", &world.there("out/x")), "open to transfers"),
        (a.display().to_string(), on("box", &world.there("in/../out/x")), "open to transfers"),
        (a.display().to_string(), on("box", &world.there("in/out/x")), "leads out"),
        (a.display().to_string(), on("nowhere", &world.there("in/x")), "nowhere"),
        // Keys, by name and by what they hold.
        (a.display().to_string(), on("box", &world.there("in/.ssh/authorized_keys")), "is never written"),
        (a.display().to_string(), on("box", &world.there("in/.bashrc")), "is never written"),
        (on("box", &world.there("out/key")), on("other", &world.there("other/x")), "private key"),
        (on("box", &world.there("out/large")), on("other", &world.there("other/x")), "private key"),
        (on("box", &world.there("out/large")), world.here("x").display().to_string(), "private key"),
        ("box:/etc/shadow".to_owned(), on("other", &world.there("other/x")), "secret"),
        // This machine.
        ("/etc/hostname".to_owned(), on("box", &world.there("in/x")), "open to transfers"),
        (world.here("out/mine").display().to_string(), on("box", &world.there("in/x")), "leads out"),
        (on("box", &world.there("out/large")), elsewhere.path().join("x").display().to_string(), "open to transfers"),
        (on("box", &world.there("out/large")), world.here("out/x").display().to_string(), "leads out"),
        // What is not there.
        (on("box", &world.there("out/none")), on("other", &world.there("other/x")), "no such file"),
        (a.display().to_string(), on("box", &world.there("in/no/such")), "no such file"),
        (a.display().to_string(), a.display().to_string(), "the same file"),
    ] {
        let refused = ask(&scout, json!({"beam_source": source, "beam_target": target, "replace": true})).await;
        assert!(refused.is_error && refused.text.contains(says), "{source} -> {target}: {says}: {}", refused.text);
    }
    for path in ["in/x", "out/x", "other/x", "in/.ssh/authorized_keys"] {
        assert!(!world.there(path).exists(), "{path}");
    }
    assert!(!elsewhere.path().join("x").exists());
    for dir in [world.there("in"), world.there("out"), world.there("other"), world.here.path().to_owned()] {
        assert!(leftovers(&dir).is_empty(), "{}", dir.display());
    }
    assert!(scout.close().await.success());
    // Without anything that is open models are told of no copies, and there are none.
    let scout = Scout::start(&options(&world.sshd)).await;
    let refused = ask(&scout, json!({"target": on("box", &world.there("in/x")), "beam": a})).await;
    assert!(refused.is_error && refused.text.contains("[transfers]"), "{}", refused.text);
    let listed = scout.request("tools/list", json!({})).await.to_string();
    assert!(!listed.contains("beam"), "{listed}");
    assert!(scout.close().await.success());
    let scout = Scout::start(&world.options()).await;
    let listed = scout.request("tools/list", json!({})).await.to_string();
    assert!(listed.contains("beam_source") && listed.contains("\"destructiveHint\":true"), "{listed}");
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn a_plugin_copies_if_it_is_granted_that_and_its_tool_says_that_it_writes() {
    let world = Exchange::new();
    fs::write(world.here("a"), "text").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let component = dir.path().join("mine.wasm");
    fs::write(&component, Guest::CopiesAsAsked.bytes()).unwrap();
    let plugin =
        |grants: &str| format!("[plugins.mine]\nsource = {:?}\ngrants = [{grants}]\n", component.display().to_string());
    let arguments = json!({"from": [null, world.here("a")], "to": ["box", world.there("in")]}).to_string();
    let run = async |options: &ScoutOptions, line: &[&str]| {
        let mut command = options.command(dir.path());
        let output = command.arg("plugin").args(line).current_dir(dir.path()).output().await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), said)
    };
    let cassette = dir.path().join("copy.json").display().to_string();
    let granted = world.options().setting(&plugin("\"transfer\""));
    let (code, said) = run(&granted, &["run", "mine", "copy_aside", &arguments]).await;
    assert!(code == 1 && said.contains("says of itself that it does not write"), "{said}");
    let (code, said) = run(&granted, &["run", "mine", "copy", &arguments, "--record", &cassette]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("true {} [1, 4, 1, 0, 0] Some(32)", world.there("in/a").display())), "{said}");
    assert_eq!(fs::read(world.there("in/a")).unwrap(), b"text");
    // Played, nothing is read and nothing written.
    fs::remove_file(world.there("in/a")).unwrap();
    fs::remove_file(world.here("a")).unwrap();
    let nowhere = ScoutOptions::new(crate::world::binary(), "", "");
    let (code, said) = run(&nowhere, &["test", &component.display().to_string(), &cassette]).await;
    assert_eq!(code, 0, "{said}");
    assert!(!world.there("in/a").exists());
    let ungranted = world.options().setting(&plugin("\"files\""));
    let (code, said) = run(&ungranted, &["run", "mine", "copy", &arguments]).await;
    assert!(code != 0 && said.contains("transfer"), "{said}");
}

#[tokio::test]
async fn the_same_copy_asked_for_twice_at_once_is_made_once_and_whole() {
    let world = Exchange::new();
    let scout = Scout::start(&world.options()).await;
    let sent = content(20_000_000);
    fs::write(world.here("a"), &sent).unwrap();
    for (source, target, written) in [
        (world.here("a").display().to_string(), on("box", &world.there("in/a")), world.there("in/a")),
        (on("box", &world.there("in/a")), world.here("b").display().to_string(), world.here("b")),
    ] {
        let copy = || ask(&scout, json!({"beam_source": source, "beam_target": target}));
        let (one, other) = tokio::join!(copy(), copy());
        // Who comes second waits, is refused, or finds it there.
        for asked in [&one, &other] {
            let is_refused = asked.text.contains("the same copy is under way") || asked.text.contains("exists");
            assert!(!asked.is_error || is_refused, "{}", asked.text);
        }
        assert!(!one.is_error || !other.is_error, "{} {}", one.text, other.text);
        assert!(fs::read(&written).unwrap() == sent);
        assert!(leftovers(written.parent().unwrap()).is_empty());
    }
    assert!(scout.close().await.success());
}

#[tokio::test]
async fn each_file_that_is_sent_or_written_is_in_the_audit_log() {
    let world = Exchange::new();
    let scout = Scout::start(&world.options()).await;
    fs::write(world.here("a"), "text").unwrap();
    let copied = ask(&scout, json!({"target": on("box", &world.there("in/a")), "beam": world.here("a")})).await;
    assert!(!copied.is_error, "{}", copied.text);
    let log = fs::read_to_string(scout.dir().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |host: &str, what: &str| {
        lines.iter().filter(|line| line["host"] == host && line.to_string().contains(what)).count()
    };
    let written = format!("(transfer) write {}, 4 bytes", world.there("in/a").display());
    assert_eq!((said("box", &written), said("this machine", "(transfer) send ")), (2, 2), "{lines:?}");
    assert_eq!(said("box", "written, sha256 "), 1, "{lines:?}");
    assert!(scout.close().await.success());
}
