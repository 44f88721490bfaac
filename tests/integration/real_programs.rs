//! The tools that Scout brings along, against the programs of this machine: a journal that they read themselves, and a host that
//! speaks another language.

use std::path::{Path, PathBuf};
use std::process::Command;

use scout_tests::{German, Sftp, SshdOptions, login_name};
use serde_json::{Value, json};

use crate::bundled_tools::World;

/// The first entry of a journal of ours, in microseconds since 1970; each is a second and a microsecond behind the one in front.
const FIRST: u64 = 1_795_260_016_613_063;
const STEP: u64 = 1_000_001;

/// Entries of a journal: messages, and fields beside each.
type Entries<'a> = [(Vec<u8>, &'a [(&'a str, &'a str)])];

/// A directory of journals in the place of `/var/log`, which systemd's own program writes.
struct Journals {
    dir: tempfile::TempDir,
}

impl Journals {
    fn new() -> Self {
        let journals = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(journals.place()).unwrap();
        // Whoever logs in finds the way.
        for part in ["", "journal"] {
            set_mode(&journals.dir.path().join(part), 0o755);
        }
        set_mode(&journals.place(), 0o755);
        journals
    }

    fn place(&self) -> PathBuf {
        let machine = std::fs::read_to_string("/etc/machine-id").expect("systemd's package makes /etc/machine-id");
        self.dir.path().join("journal").join(machine.trim())
    }

    fn write(&self, name: &str, mode: u32, entries: &Entries<'_>) {
        let mut export = Vec::new();
        for (at, (message, fields)) in entries.iter().enumerate() {
            let time = FIRST + at as u64 * STEP;
            export.extend(
                format!("__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={}\n", time - FIRST + 1).into_bytes(),
            );
            export.extend(b"_BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=vm\nPRIORITY=6\n");
            fields.iter().for_each(|(name, value)| export.extend(format!("{name}={value}\n").into_bytes()));
            // As what is no text of one line is told.
            export.extend(b"MESSAGE\n");
            export.extend((message.len() as u64).to_le_bytes());
            export.extend(message);
            export.extend(b"\n\n");
        }
        let from = self.dir.path().join("export");
        std::fs::write(&from, export).unwrap();
        let path = self.place().join(name);
        let remote = Command::new("/lib/systemd/systemd-journal-remote").arg("-o").arg(&path).arg(&from).output();
        let out = remote.expect("systemd-journal-remote is missing: apt-get install systemd-journal-remote");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        set_mode(&path, mode);
    }

    fn host(&self) -> SshdOptions {
        SshdOptions { binds: vec![(self.dir.path().to_owned(), "/var/log".into())], ..SshdOptions::default() }
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["entries"].as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap()).collect()
}

fn notes(answer: &Value) -> String {
    answer["notes"].to_string()
}

#[tokio::test]
async fn messages_that_journalctl_leaves_out_are_begun_and_are_there_whole_when_asked_for() {
    let journals = Journals::new();
    let coloured = [b"\x1b[31mred\x1b[0m ".as_slice(), &[b'z'; 5000]].concat();
    journals.write(
        "system.journal",
        0o640,
        &[
            (b"short".to_vec(), &[("_SYSTEMD_UNIT", "nginx.service")]),
            (vec![b'x'; 4087], &[]),
            (vec![b'y'; 4088], &[]),
            (coloured, &[]),
            (b"\x1b[31mred\x1b[0m".to_vec(), &[]),
            ("ü".repeat(30_000).into_bytes(), &[("SYSLOG_IDENTIFIER", "long")]),
            (b"last".to_vec(), &[]),
        ],
    );
    let world = World::on(journals.host(), &[], "").await;
    let answer = world.answer("logs", json!({"host": "box"}), 2).await;
    let said = messages(&answer);
    assert_eq!((said.len(), said[0], said[6]), (7, "short", "last"));
    let visible = "␛[31mred␛[0m";
    assert!(said[3].starts_with(&format!("{visible} zzz")) && said[4] == visible, "{answer}");
    for (at, letter) in [(1, "x"), (2, "y"), (5, "ü")] {
        assert!(said[at].starts_with(&letter.repeat(900)) && said[at].ends_with(&format!("{letter}…")), "{answer}");
        assert_eq!(answer["entries"][at]["message_cut"], true);
    }
    assert_eq!(answer["entries"][4]["message_cut"], Value::Null);
    assert!(notes(&answer).contains("`whole` shows all of it"), "{answer}");
    // The time of an entry, to the microsecond, names it.
    let time = &answer["entries"][5]["time"];
    let whole = json!({"host": "box", "since": time, "until": time, "whole": true});
    let answer = world.answer("logs", whole, 1).await;
    assert_eq!(messages(&answer), ["ü".repeat(30_000)]);
    assert_eq!((&answer["entries"][0]["time"], &answer["entries"][0]["message_cut"]), (time, &Value::Null));
}

#[tokio::test]
async fn units_of_users_are_found_by_their_names() {
    let journals = Journals::new();
    let of_user = [("_SYSTEMD_UNIT", "user@1000.service"), ("_SYSTEMD_USER_UNIT", "app.service"), ("_UID", "1000")];
    let of_manager = [("_SYSTEMD_UNIT", "user@1000.service"), ("USER_UNIT", "app.service"), ("_UID", "1000")];
    journals.write(
        "system.journal",
        0o640,
        &[(b"started".to_vec(), &of_manager), (b"mine".to_vec(), &of_user), (b"other".to_vec(), &[])],
    );
    let world = World::on(journals.host(), &[], "").await;
    let answer = world.answer("logs", json!({"host": "box", "user_unit": "app"}), 1).await;
    assert_eq!((messages(&answer), &answer["entries"][0]["unit"]), (vec!["started", "mine"], &json!("app.service")));
    let answer = world.answer("logs", json!({"host": "box", "unit": "app"}), 1).await;
    assert!(messages(&answer).is_empty() && notes(&answer).contains("user_unit"), "{answer}");
}

/// A login that is neither root's nor in any group.
fn nobody() -> Vec<String> {
    let is_root = login_name() == "root";
    let become_nobody =
        "ForceCommand exec setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"";
    if is_root { vec![become_nobody.to_owned()] } else { Vec::new() }
}

#[tokio::test]
async fn entries_that_the_account_may_not_see_are_not_told_to_be_absent() {
    let journals = Journals::new();
    journals.write("system.journal", 0, &[(b"of the system".to_vec(), &[])]);
    let host = || SshdOptions { extra: nobody(), ..journals.host() };
    let failure = World::on(host(), &[], "").await.failure("logs", json!({"host": "box", "source": "journal"})).await;
    assert!(failure.contains("insufficient permissions") && failure.contains("systemd-journal or adm"), "{failure}");
    // Its own are seen.
    journals.write("user-65534.journal", 0o644, &[(b"mine".to_vec(), &[("_UID", "65534")])]);
    let world = World::on(host(), &[], "").await;
    let answer = world.answer("logs", json!({"host": "box"}), 1).await;
    assert_eq!(messages(&answer), ["mine"]);
    assert!(notes(&answer).contains("the account does not see the entries of other users and the system"), "{answer}");
    let text = world.call("logs", json!({"host": "box", "unit": "nginx"})).await.text();
    assert!(text.contains("no entry of the journal that the account may see fits"), "{text}");
}

#[tokio::test]
async fn a_file_that_journalctl_leaves_out_is_told() {
    let journals = Journals::new();
    journals.write("system.journal", 0o640, &[(b"good".to_vec(), &[])]);
    std::fs::write(journals.place().join("user-1.journal"), b"LPKSHHRH").unwrap();
    let world = World::on(journals.host(), &[], "").await;
    let answer = world.answer("logs", json!({"host": "box"}), 1).await;
    assert_eq!(messages(&answer), ["good"]);
    assert!(notes(&answer).contains("user-1.journal") && notes(&answer).contains("ignoring file"), "{answer}");
}

#[tokio::test]
async fn a_host_of_another_language_is_understood() {
    let german = German::new();
    let dir = tempfile::tempdir().unwrap();
    let (log, secret) = (dir.path().join("app.log"), dir.path().join("closed.log"));
    std::fs::write(&log, "2026-11-21T12:20:15Z web1 app[7]: käse\n").unwrap();
    std::fs::write(&secret, "2026-11-21T12:20:15Z web1 app[7]: closed\n").unwrap();
    set_mode(&secret, 0);
    let host = || SshdOptions { extra: vec![german.login()], permissions_bind_root: true, ..SshdOptions::default() };
    let world = World::on(host(), &[], "").await;
    let answer = world.answer("logs", json!({"host": "box", "path": log}), 1).await;
    assert_eq!((messages(&answer), &answer["entries"][0]["pid"]), (vec!["käse"], &json!(7)));
    for (path, grep, says) in [
        (secret.display().to_string(), "app", "name a file that the account may read"),
        (secret.display().to_string(), ".", "name a file that the account may read"),
        ("/no/such.log".to_owned(), ".", "name a file that exists"),
        (dir.path().display().to_string(), ".", "name a file in it"),
        (log.display().to_string(), "(", "extended regular expression"),
    ] {
        let failure = world.failure("logs", json!({"host": "box", "path": path, "grep": grep})).await;
        assert!(failure.contains(says), "{failure}");
    }
    let failure = world.failure("disk", json!({"host": "box", "path": "/no/such"})).await;
    assert!(failure.contains("name a path that exists"), "{failure}");
    let disk = world.answer("disk", json!({"host": "box", "path": dir.path()}), 2).await;
    assert!(disk["filesystems"][0]["size_bytes"].as_u64() > Some(0), "{disk}");
    // Where there is no SFTP, a script looks at files.
    let world = World::on(SshdOptions { sftp: Sftp::Absent, ..host() }, &[], "").await;
    for (path, says) in [("/no/such".to_owned(), "no such file"), (secret.display().to_string(), "denied")] {
        let failure = world.scout.call(&format!("box:{path}")).await;
        assert!(failure.is_error() && failure.text().contains(says), "{}", failure.text());
    }
    let listing = world.scout.call(&format!("box:{}", dir.path().display())).await;
    assert!(listing.text().contains("app.log"), "{}", listing.text());
    let read = world.scout.call(&format!("box:{}", log.display())).await;
    assert!(read.text().contains("käse"), "{}", read.text());
    world.scout.close().await;
}

#[tokio::test]
async fn a_service_manager_of_another_language_is_understood() {
    let german = German::new();
    let world = World::on(SshdOptions { extra: vec![german.login()], ..SshdOptions::default() }, &[], "").await;
    // This machine may have systemd or not; its words are those of the C library where it has not.
    let answer = world.call("services", json!({"host": "box"})).await;
    let text = answer.text();
    assert!(!answer.is_error() || text.contains("runs neither systemd nor OpenRC") || text.contains("bus"), "{text}");
    assert!(!text.contains("Rechner"), "{text}");
    // The process that is told is told in English.
    let uptime = world.scout.command("box", "ps -o lstart= -p 1").await;
    assert!(!uptime.is_error(), "{}", uptime.text());
    let decimals = world.scout.command("box", "printf '%s' x | awk '{print $1}'").await;
    assert!(decimals.text().contains('x'), "{}", decimals.text());
    // The machine's own words are checked to be German before.
    let failure = world.scout.command("box", "cat /no/such").await;
    assert!(failure.text().contains("No such file or directory"), "{}", failure.text());
}
