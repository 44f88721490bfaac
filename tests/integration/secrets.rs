//! The list of secret paths on a real host: what links lead to, what commands are given, what the operator says of it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use scout_tests::{DelayLink, Scout, Sftp, Sshd, SshdOptions};

use crate::world::{options, options_at};

/// What no answer may hold.
const SECRET: &str = "the-secret-marker";

/// A server with secrets in its directory and links that lead to them, none of which is called like one.
fn server(options: &SshdOptions) -> Sshd {
    let sshd = Sshd::start_with(options);
    let dir = sshd.dir();
    for name in ["real/deep", ".gnupg"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    for name in [".netrc", "real/.npmrc", ".gnupg/key", "plain"] {
        std::fs::write(dir.join(name), SECRET).unwrap();
    }
    // As /var/run is one to /run: `run/..` is `real`.
    for (target, link) in [
        (".netrc", "link"),
        ("link", "again"),
        ("real/deep", "run"),
        (".npmrc", "real/rc"),
        (".gnupg", "keys"),
        ("plain", "fine"),
    ] {
        symlink(target, dir.join(link)).unwrap();
    }
    sshd
}

/// Paths to secrets, of which the text tells nothing.
const LEADING: [&str; 6] = ["link", "again", "run/../rc", "keys", "keys/key", "run/./.././rc"];

async fn leads_to_no_secret(scout: &Arc<Scout>, sshd: &Sshd) {
    for path in LEADING {
        let answer = scout.call(&format!("box:{}", sshd.dir().join(path).display())).await;
        let text = answer.text();
        assert!(answer.is_error() && text.contains("leads to what is on the list of secret paths"), "{path}: {text}");
        assert!(!text.contains(SECRET), "{path}: {text}");
    }
    let answer = scout.call(&format!("box:{}", sshd.dir().join("fine").display())).await;
    assert_eq!((answer.text(), answer.is_error()), (SECRET.to_owned(), false));
}

#[tokio::test]
async fn a_link_leads_to_no_secret() {
    let sshd = server(&SshdOptions::default());
    let scout = Scout::start(&options(&sshd)).await;
    leads_to_no_secret(&scout, &sshd).await;
    let dir = std::fs::canonicalize(sshd.dir()).unwrap();
    let confined = ["file", "dir"].map(|name| format!("[plugins.{name}]\npaths = [{:?}]\n", dir.display().to_string()));
    leads_to_no_secret(&Scout::start(&options(&sshd).setting(&confined.concat())).await, &sshd).await;
}

#[tokio::test]
async fn a_link_leads_to_no_secret_where_there_is_no_sftp() {
    let sshd = server(&SshdOptions { sftp: Sftp::Absent, ..SshdOptions::default() });
    leads_to_no_secret(&Scout::start(&options(&sshd)).await, &sshd).await;
}

/// Looks so often while somebody makes `link` lead to a secret file and to a plain one, in turn, as fast as they can.
async fn swapped_leads_to_no_secret(options: &SshdOptions, looks: usize) {
    let sshd = server(options);
    let dir = sshd.dir().to_owned();
    std::fs::write(dir.join("plain"), "plain").unwrap();
    let scout = Scout::start(&crate::world::options(&sshd)).await;
    let target = format!("box:{}", dir.join("link").display());
    let (stop, stopped) = channel::<()>();
    let swapper = std::thread::spawn(move || {
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            for name in ["plain", ".netrc"] {
                symlink(name, dir.join("new")).unwrap();
                std::fs::rename(dir.join("new"), dir.join("link")).unwrap();
            }
        }
    });
    let mut read = 0;
    for _ in 0..looks {
        let answer = scout.call(&target).await;
        assert!(!answer.text().contains(SECRET), "{}", answer.text());
        read += usize::from(answer.text() == "plain");
    }
    drop(stop);
    swapper.join().unwrap();
    assert!(read > 0, "nothing was read");
}

#[tokio::test]
async fn a_link_that_is_swapped_while_it_is_read_leads_to_no_secret() {
    swapped_leads_to_no_secret(&SshdOptions::default(), 500).await;
}

#[tokio::test]
async fn a_link_that_is_swapped_while_it_is_read_leads_to_no_secret_where_there_is_no_sftp() {
    swapped_leads_to_no_secret(&SshdOptions { sftp: Sftp::Absent, ..SshdOptions::default() }, 100).await;
}

#[tokio::test]
async fn a_server_whose_true_paths_are_only_tidied_text_leads_through_no_link() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let python = tests.join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: tests/ci.sh makes it", python.display());
    let subsystem =
        format!("Subsystem sftp {} {}", python.display(), tests.join("python/textual_sftp_server.py").display());
    let sshd = server(&SshdOptions { sftp: Sftp::Absent, extra: vec![subsystem], ..SshdOptions::default() });
    let dir = std::fs::canonicalize(sshd.dir()).unwrap();
    symlink("/etc", dir.join("real/out")).unwrap();
    // Nothing but what lies in `real`, and everything.
    let confined = ["file", "dir"]
        .map(|name| format!("[plugins.{name}]\npaths = [{:?}]\n", dir.join("real").display().to_string()));
    for settings in [String::new(), confined.concat()] {
        let scout = Scout::start(&options(&sshd).setting(&settings)).await;
        for path in LEADING.into_iter().chain(["fine", "real/rc", "real/out", "real/out/hostname", "real/out/absent"]) {
            let answer = scout.call(&format!("box:{}", dir.join(path).display())).await;
            let text = answer.text();
            assert!(answer.is_error() && !text.contains(SECRET), "{path}: {text}");
            let is_told =
                text.contains("leads through a link") || text.contains("granted to") || text.contains("secret paths");
            assert!(is_told, "{path}: {text}");
        }
        for (path, says) in [("real", "deep"), ("real/deep", "")] {
            let answer = scout.call(&format!("box:{}", dir.join(path).display())).await;
            assert!(!answer.is_error() && answer.text().contains(says), "{path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn to_ask_where_a_path_leads_costs_no_round_trip() {
    let sshd = server(&SshdOptions::default());
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let scout = Scout::start(&options_at(&sshd, link.address())).await;
    let asked = |path: &str| format!("box:{}", sshd.dir().join(path).display());
    scout.call(&asked("fine")).await;
    for path in ["fine", "real"] {
        link.settle().await;
        let mark = link.mark();
        let answer = scout.call(&asked(path)).await;
        assert!(!answer.is_error(), "{}", answer.text());
        assert_eq!((link.round_trips_since(&mark), answer.receipt()["round_trips"].as_u64()), (1, Some(1)), "{path}");
    }
}

#[tokio::test]
async fn no_command_reads_a_secret_or_opens_a_device_by_another_spelling() {
    let sshd = server(&SshdOptions::default());
    let scout = Scout::start(&options(&sshd)).await;
    let dir = sshd.dir().display();
    for (at, command) in [
        (format!("{dir}"), "cat /proc/self/cwd/.netrc"),
        (format!("{dir}/.gnupg"), "cat /proc/self/cwd/key"),
        (format!("{dir}"), "cat run/../.npmrc"),
        (format!("{dir}"), "cat run/../rc"),
        (format!("{dir}/run"), "cat ../.npmrc"),
        (format!("{dir}/run"), "cat ../rc"),
        ("/proc/self".to_owned(), "cat cwd/environ"),
        ("/proc/net".to_owned(), "cat ../environ"),
        ("/".to_owned(), "head proc/net/../environ"),
        ("/dev".to_owned(), "head -c 1 zero"),
        ("/dev/fd".to_owned(), "head -c 1 ../../../dev/zero"),
        (format!("{dir}"), "diff -N . real/deep"),
        (format!("{dir}"), "diff . real/deep/.netrc"),
    ] {
        let answer = scout.command(&format!("box:{at}"), command).await;
        let text = answer.text();
        assert!(answer.is_error() && !text.contains(SECRET), "{at}: {command}: {text}");
        assert_eq!(answer.receipt()["execs"], 0, "{at}: {command}: {text}");
    }
}

#[tokio::test]
async fn a_host_that_runs_anything_gives_secrets_to_no_plugin_that_may_not() {
    let sshd = server(&SshdOptions::default());
    let scout = Scout::start(&options(&sshd).setting("commands = \"shell\"\n")).await;
    for path in [".netrc", "link"] {
        let answer = scout.call(&format!("box:{}", sshd.dir().join(path).display())).await;
        assert!(answer.is_error() && !answer.text().contains(SECRET), "{path}: {}", answer.text());
    }
    let at = format!("box:{}", sshd.dir().display());
    assert!(scout.command(&at, "cat .netrc").await.text().contains(SECRET), "the host runs anything");
}

#[tokio::test]
async fn the_operator_adds_to_the_list_and_takes_away() {
    let sshd = server(&SshdOptions::default());
    let settings = "secret_paths = [\"**/plain\"]\nreadable_paths = [\"**/.netrc\"]\n";
    let scout = Scout::start(&options(&sshd).setting(settings)).await;
    let at = format!("box:{}", sshd.dir().display());
    for (path, readable) in
        [("plain", false), ("fine", false), (".netrc", true), ("link", true), ("real/.npmrc", false)]
    {
        let read = scout.call(&format!("{at}/{path}")).await;
        assert_eq!((read.is_error(), read.text().contains(SECRET)), (!readable, readable), "{path}: {}", read.text());
    }
    for (command, readable) in
        [("cat plain", false), ("cat .netrc", true), ("cat .n*", false), ("cat real/.npmrc", false)]
    {
        let ran = scout.command(&at, command).await;
        assert_eq!((ran.is_error(), ran.text().contains(SECRET)), (!readable, readable), "{command}: {}", ran.text());
    }
    let refused = scout.call(&format!("{at}/plain")).await.text();
    assert!(refused.contains("**/plain stands in scout.toml:"), "{refused}");
}

/// Files whose names tell nothing, with a key in them, and such as only look like it.
fn server_with_keys(options: &SshdOptions) -> Sshd {
    let sshd = Sshd::start_with(options);
    let block = |label: &str, body: &str| {
        let line = body.repeat(4);
        format!("-----BEGIN {label}-----\n{line}\n{line}\n-----END {label}-----\n")
    };
    let (certificate, key) = (block("CERTIFICATE", "TUlJQg=="), block("EC PRIVATE KEY", "U2VjcmV0"));
    std::fs::create_dir(sshd.dir().join("tls")).unwrap();
    for (name, text) in [
        ("site.pem", &key),
        ("combined.pem", &[certificate.clone(), key.clone()].concat()),
        ("notes.txt", &format!("for the build:\n{key}")),
        ("tls/a.key", &key),
        ("chain.pem", &certificate),
        ("site.key", &certificate),
        ("manual.txt", &"a key begins with -----BEGIN PRIVATE KEY----- and its name".to_owned()),
    ] {
        std::fs::write(sshd.dir().join(name), text).unwrap();
    }
    symlink("site.pem", sshd.dir().join("link")).unwrap();
    sshd
}

async fn keys_are_held_by_what_files_hold(options: &SshdOptions) {
    let sshd = server_with_keys(options);
    let scout = Scout::start(&crate::world::options(&sshd).setting("readable_paths = [\"**/tls/**\"]\n")).await;
    let at = format!("box:{}", sshd.dir().display());
    for path in ["site.pem", "combined.pem", "notes.txt", "link"] {
        let answer = scout.call(&format!("{at}/{path}")).await;
        let text = answer.text();
        assert!(answer.is_error() && text.contains("holds a private key"), "{path}: {text}");
        assert!(text.contains("readable_paths") && !text.contains("U2VjcmV0"), "{path}: {text}");
    }
    for path in ["tls/a.key", "chain.pem", "site.key", "manual.txt"] {
        let answer = scout.call(&format!("{at}/{path}")).await;
        assert!(!answer.is_error(), "{path}: {}", answer.text());
    }
    // Of commands only the text is seen.
    for (command, is_refused) in
        [("cat site.key", true), ("cat *.key", true), ("cat tls/a.key", false), ("cat chain.pem", false)]
    {
        let answer = scout.command(&at, command).await;
        assert_eq!(answer.is_error(), is_refused, "{command}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_key_is_held_by_what_its_file_holds_whatever_its_name() {
    keys_are_held_by_what_files_hold(&SshdOptions::default()).await;
}

#[tokio::test]
async fn a_key_is_held_by_what_its_file_holds_where_there_is_no_sftp() {
    keys_are_held_by_what_files_hold(&SshdOptions { sftp: Sftp::Absent, ..SshdOptions::default() }).await;
}
