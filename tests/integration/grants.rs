//! What plugins and principals may do, on a real host.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use scout_tests::{DelayLink, Scout, ScoutOptions, Sftp, Sshd, SshdOptions};

use crate::world::{options, options_at};

/// A server with a directory `inside`, from which links lead out, and files beside it.
fn server() -> Sshd {
    let sshd = Sshd::start();
    let inside = sshd.dir().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("file"), "text").unwrap();
    std::fs::write(sshd.dir().join("secret"), "secret").unwrap();
    symlink("../secret", inside.join("out")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("file", inside.join("in")).unwrap();
    symlink("inside", sshd.dir().join("door")).unwrap();
    sshd
}

/// Two names for the server: `box` and `kept`.
fn two_hosts(sshd: &Sshd) -> ScoutOptions {
    let mut options = options(sshd);
    options.ssh_config.push_str(&sshd.config_block("kept", sshd.address()));
    options
}

/// The lines that confine what reads to this directory.
fn readers(dir: &Path, more: &str) -> String {
    ["file", "dir"]
        .map(|name| format!("[plugins.{name}]\npaths = [{:?}]\n{more}\n", dir.display().to_string()))
        .concat()
}

/// What is answered to a look at a path of `box`: the text, and whether it is an error.
async fn look(scout: &Arc<Scout>, path: &Path) -> (String, bool) {
    let answer = scout.call(&format!("box:{}", path.display())).await;
    (answer.text(), answer.is_error())
}

#[tokio::test]
async fn what_lies_in_a_root_is_read_and_what_leads_out_is_refused() {
    let sshd = server();
    let inside = sshd.dir().join("inside");
    let scout = Scout::start(&options(&sshd).setting(&readers(&inside, ""))).await;
    for path in ["file", "in", "", "../inside/file"] {
        let (text, is_error) = look(&scout, &inside.join(path)).await;
        assert!(!is_error, "{path}: {text}");
    }
    for path in ["out", "up", "up/secret", "up/absent", "up/absent/more", "../secret", "..", "../door/../secret"] {
        let (text, is_error) = look(&scout, &inside.join(path)).await;
        assert!(is_error && text.contains("granted") && text.contains("inside"), "{path}: {text}");
        assert!(!text.contains("No such file"), "{path}: {text}");
    }
    let (text, is_error) = look(&scout, &inside.join("absent")).await;
    assert!(is_error && !text.contains("granted"), "what is missing inside is missing: {text}");
}

#[tokio::test]
async fn a_root_behind_a_link_holds_what_it_leads_to() {
    let sshd = server();
    let door = sshd.dir().join("door");
    let scout = Scout::start(&options(&sshd).setting(&readers(&door, ""))).await;
    assert_eq!(look(&scout, &door.join("file")).await, ("text".to_owned(), false));
    assert!(look(&scout, &door.join("out")).await.1);
}

#[tokio::test]
async fn links_out_are_followed_where_the_operator_says_so() {
    let sshd = server();
    let inside = sshd.dir().join("inside");
    let scout = Scout::start(&options(&sshd).setting(&readers(&inside, "follow_links_out = true"))).await;
    assert_eq!(look(&scout, &inside.join("out")).await, ("secret".to_owned(), false));
    assert!(look(&scout, &inside.join("../secret")).await.1);
}

#[tokio::test]
async fn a_confined_read_and_list_take_one_round_trip_each() {
    let sshd = server();
    let link = DelayLink::start(sshd.address(), Duration::from_millis(25)).await;
    let door = sshd.dir().join("door");
    let scout = Scout::start(&options_at(&sshd, link.address()).setting(&readers(&door, ""))).await;
    look(&scout, &door.join("file")).await;
    for path in ["file", ""] {
        link.settle().await;
        let mark = link.mark();
        let answer = scout.call(&format!("box:{}", door.join(path).display())).await;
        assert!(!answer.is_error(), "{}", answer.text());
        assert_eq!((link.round_trips_since(&mark), answer.receipt()["round_trips"].as_u64()), (1, Some(1)), "{path}");
    }
}

#[tokio::test]
async fn a_host_that_cannot_tell_where_a_file_lies_is_refused_it() {
    let sshd = Sshd::start_with(&SshdOptions { sftp: Sftp::Absent, ..SshdOptions::default() });
    std::fs::write(sshd.dir().join("file"), "text").unwrap();
    let free = Scout::start(&options(&sshd)).await;
    assert_eq!(look(&free, &sshd.dir().join("file")).await, ("text".to_owned(), false));
    let confined = Scout::start(&options(&sshd).setting(&readers(sshd.dir(), ""))).await;
    let (text, is_error) = look(&confined, &sshd.dir().join("file")).await;
    assert!(is_error && text.contains("SFTP"), "{text}");
}

#[tokio::test]
async fn a_large_file_is_read_whole_in_a_root() {
    let sshd = server();
    let inside = sshd.dir().join("inside");
    let text = "0123456789abcdef".repeat(3 << 16);
    std::fs::write(inside.join("large"), &text).unwrap();
    let settings = format!("max_file_size = \"4 MiB\"\n{}", readers(&inside, ""));
    let scout = Scout::start(&options(&sshd).setting(&settings)).await;
    let (read, is_error) = look(&scout, &inside.join("large")).await;
    assert!(!is_error && read == text, "{} bytes", read.len());
}

#[tokio::test]
async fn a_plugin_meets_only_the_hosts_that_it_is_granted_by_name_or_tag() {
    let sshd = server();
    let settings = "[hosts.\"b*\"]\ntags = [\"prod\"]\n[plugins.hosts]\nhosts = [\"tag:prod\"]\n[plugins.file]\nhosts = [\"b?x\"]\n\
                    [plugins.dir]\nhosts = [\"box\"]\n[plugins.command]\nhosts = []\n";
    let scout = Scout::start(&two_hosts(&sshd).setting(settings)).await;
    let listed = scout.call("hosts").await.text();
    assert!(listed.contains("box") && !listed.contains("kept"), "{listed}");
    assert!(!scout.call("box:/etc/hostname").await.is_error());
    let refused = scout.call("kept:/etc/hostname").await;
    assert!(refused.is_error() && refused.text().contains("no host that may be used here is named `kept`"));
    assert_eq!(refused.receipt()["round_trips"], 0);
    assert!(scout.command("box", "df").await.text().contains("no host that may be used here is named `box`"));
}

#[tokio::test]
async fn a_principal_does_what_it_may_whatever_the_plugins_may() {
    let sshd = server();
    let inside = sshd.dir().join("inside");
    let settings = format!(
        "[access.local]\nhosts = [\"box\"]\npaths = [{:?}]\ncommands = [[\"cat\", \"*\"]]\n",
        inside.display().to_string()
    );
    let scout = Scout::start(&two_hosts(&sshd).setting(&settings)).await;
    assert_eq!(look(&scout, &inside.join("file")).await, ("text".to_owned(), false));
    assert!(look(&scout, &sshd.dir().join("secret")).await.1);
    let unknown = scout.call("kept:/etc/hostname").await.text();
    assert_eq!(unknown.replace("kept", "X"), scout.call("kepd:/etc/hostname").await.text().replace("kepd", "X"));
    let at = format!("box:{}", inside.display());
    assert!(!scout.command(&at, "cat file").await.is_error());
    for (command, says) in
        [("cat ../secret", "only the text is seen"), ("wc file", "is not among the commands"), ("cat", "not among")]
    {
        let answer = scout.command(&at, command).await;
        assert!(answer.is_error() && answer.text().contains(says), "{command}: {}", answer.text());
    }
    let nothing = Scout::start(&two_hosts(&sshd).setting("[access.local]\ngrants = [\"inventory\"]\n")).await;
    let answer = nothing.call("box:/etc/hostname").await;
    assert!(
        answer.is_error() && answer.text().contains("`files`: is not granted to whoever asks"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn only_the_commands_of_the_rules_run_whatever_the_host_runs() {
    let sshd = server();
    for policy in ["read-only", "shell"] {
        let settings = format!(
            "commands = {policy:?}\n[plugins.command]\ncommands = [[\"df\", \"-h\"], [\"head\", \"-n\", \"*\"]]\n"
        );
        let scout = Scout::start(&options(&sshd).setting(&settings)).await;
        let ran = scout.command("box", "df -h | head -n 2").await;
        assert!(!ran.is_error(), "{policy}: {}", ran.text());
        for command in ["df", "df -h /", "df -h | sort", "head -n -1 /etc/passwd", "touch pwned; df -h"] {
            let answer = scout.command("box", command).await;
            assert!(answer.is_error(), "{policy} {command}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_mean_anything_keeps_scout_from_starting_and_is_told_with_its_line() {
    let sshd = server();
    for (table, says) in [
        ("[plugins.file]\npathes = []", "scout.toml:5: unknown key `pathes`; did you mean `paths`"),
        ("[access.local]\nhost = []", "did you mean `hosts`"),
        ("[access.locl]\n", "[access.locl] is nearly [access.local]"),
        ("[access.\"a b\"]\n", "`a b` is no name of a principal"),
        ("[plugins.file]\npaths = [\n\"var\"]", "scout.toml:6: not a directory"),
        ("[plugins.file]\npaths = [\"/a/../b\"]", "scout.toml:5: a root cannot contain `..`"),
        ("[plugins.file]\nhosts = [\"bx\"]", "scout.toml:5: \"bx\" names no host"),
        ("[plugins.file]\nhosts = [\"tag:prod\"]", "no host has the tag \"prod\""),
        ("[hosts.box]\ntags = [\"prod\"]\n[plugins.file]\nhosts = [\"tag:prd\"]", "did you mean `prod`"),
        ("[hosts.box]\ntags = [\"a b\"]", "scout.toml:5: not a tag"),
        ("[hosts.\"z*\"]\ntags = [\"prod\"]", "names no host of"),
        ("[plugins.command]\ncommands = [[\"df -h\"]]", "scout.toml:5: \"df -h\" is not a program"),
        ("[plugins.command]\ncommands = [\"df -h\"]", "scout.toml:5:"),
        ("[plugins.file]\nfollow_links_out = true", "scout.toml:5: `follow_links_out` limits nothing"),
    ] {
        let scout = Scout::spawn(&options(&sshd).setting(table));
        assert_eq!(scout.wait().await.code(), Some(2), "{table}");
        assert!(scout.stderr().contains(says), "{table}: {}", scout.stderr());
    }
}

#[tokio::test]
async fn of_several_tables_the_hosts_own_decides_and_else_the_strictest() {
    let sshd = server();
    let settings = "[hosts.\"*\"]\ncommands = \"none\"\n[hosts.\"b*\"]\ncommands = \"read-only\"\n[hosts.kept]\ncommands = \"read-only\"\n";
    let scout = Scout::start(&two_hosts(&sshd).setting(settings)).await;
    assert!(scout.command("box", "df").await.text().contains("runs no commands"));
    assert!(!scout.command("kept", "df").await.is_error());
}

async fn policy(options: &ScoutOptions, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = options.command(dir.path());
    let output = command.arg("policy").args(arguments).stdin(Stdio::null()).output().await.unwrap();
    let all = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(all).unwrap())
}

const SETTINGS: &str = "[hosts.box]\ntags = [\"prod\"]\ncommands = \"none\"\n\
[plugins.file]\nhosts = [\n  \"tag:prod\",\n]\npaths = [\"/var/log\", \"~/app\"]\n[plugins.command]\ncommands = [[\"df\", \"-h\"]]\n";

#[tokio::test]
async fn explain_names_the_line_that_decides_and_what_is_allowed_instead() {
    // Nobody listens: policy is explained without any host.
    let options =
        ScoutOptions::new(crate::world::binary(), "Host box kept\n  HostName 192.0.2.1\n", "").setting(SETTINGS);
    for (arguments, says) in [
        (
            &["explain", "file", "box", "read:/var/log/x"][..],
            &[
                "file: read /var/log/x on box: allowed",
                "scout.toml:9: tag:prod",
                "scout.toml:11: /var/log",
                "truly lies",
            ][..],
        ),
        (
            &["explain", "file", "box", "read:/etc/passwd"],
            &["denied", "scout.toml:11", "allowed: paths below /var/log, ~/app"],
        ),
        (
            &["explain", "file", "kept", "read:/var/log/x"],
            &["denied", "decided by the grants of the plugin, scout.toml:8"],
        ),
        (&["explain", "dir", "kept", "read:/etc/shadow"], &["denied", "the list of secret paths"]),
        (&["explain", "file", "box", "run:df"], &["denied", "the plugin does not import it"]),
        (&["explain", "command", "box", "run:df -h"], &["denied", "the command policy of the host, scout.toml:6"]),
        (&["explain", "command", "kept", "run:df -h"], &["allowed", "scout.toml:13: df -h"]),
        (&["explain", "command", "kept", "run:df"], &["denied", "scout.toml:13", "allowed: df -h"]),
        (&["explain", "file", "box"], &["name box: allowed", "use `files`: allowed", "use `exec`: denied"]),
        (&["explain", "file"], &["scout.toml:11: paths of the plugin: /var/log, ~/app"]),
    ] {
        let (code, text) = policy(&options, arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        for part in says {
            assert!(text.contains(part), "{arguments:?}: {part} in {text}");
        }
    }
    let (_, json) = policy(&options, &["explain", "file", "box", "read:/var/log", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["verdicts"][0]["allowed"], &json[0]["plugin"]), (&true.into(), &"file".into()), "{json}");
    for (arguments, says) in [
        (&["explain", "fle"][..], "did you mean `file`"),
        (&["explain", "file", "boxx"], "did you mean `box`"),
        (&["explain", "file", "box", "look"], "`look` is not an operation"),
        (&["explain", "file", "box", "list", "--tool", "x"], "has no tool `x`"),
    ] {
        let (code, text) = policy(&options, arguments).await;
        assert!(code == Some(2) && text.contains(says), "{arguments:?}: {code:?} {text}");
    }
}

#[tokio::test]
async fn explain_judges_the_words_that_a_call_runs() {
    let settings = "[plugins.command]\npaths = [\"~/app\"]\n";
    let sshd = server();
    let options = options(&sshd).setting(settings);
    let scout = Scout::start(&options).await;
    for (command, allowed) in [
        ("cat ~/app/x", true),
        ("cat app/x 2>&1", true),
        ("cat ~/app/x 2>/dev/null | wc", true),
        ("cat app\\/x", true),
        ("cat 'app/a[bc'", true),
        ("cat app/a[bc", true),
        ("cat ~/other", false),
        ("cat \"$HOME\"/app/x", false),
        ("cat app/x; cat app/x", false),
    ] {
        let (code, text) = policy(&options, &["explain", "command", "box", &format!("run:{command}")]).await;
        assert_eq!((code, text.contains(": allowed")), (Some(0), allowed), "{command}: {text}");
        let answer = scout.command("box", command).await;
        // There is no such file: what may run fails with the program's own words.
        let ran = answer.structured().get("exit").is_some_and(|exit| exit.is_i64());
        assert_eq!(ran, allowed, "{command}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_teams_table_tells_what_is_decided_otherwise() {
    let options =
        ScoutOptions::new(crate::world::binary(), "Host box kept\n  HostName 192.0.2.1\n", "").setting(SETTINGS);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cases.toml");
    let test = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        policy(&options, &["test", file.to_str().unwrap()]).await
    };
    let good = "[[case]]\nplugin = \"file\"\nhost = \"box\"\noperation = \"read:/var/log/x\"\nexpect = \"allow\"\n\
                [[case]]\nplugin = \"command\"\nhost = \"kept\"\noperation = \"run:df\"\nexpect = \"deny\"\nbecause = \"scout.toml:13\"\n";
    assert_eq!(test(good).await, (Some(0), "2 cases, 0 decided otherwise than expected\n".to_owned()));
    let (code, text) = test(&good.replace("\"allow\"", "\"deny\"").replace("toml:13", "toml:1\"\n#")).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cases.toml:1: expected deny; it is\nfile: read /var/log/x on box: allowed"), "{text}");
    let (code, text) = test(&good.replace("toml:13", "toml:7")).await;
    assert!(code == Some(1) && text.contains("cases.toml:6: expected deny, because \"scout.toml:7\""), "{text}");
    for (from, to, says) in [
        ("because", "becaus", "cases.toml:11: unknown field `becaus`"),
        ("\"run:df\"", "\"walk\"", "cases.toml:6: `walk` is not an operation"),
        ("\"kept\"", "\"kep\"", "cases.toml:6: "),
        ("[[case]]", "[[cases]]", "cases.toml:1: unknown field"),
    ] {
        let (code, text) = test(&good.replace(from, to)).await;
        assert!(code == Some(2) && text.contains(says), "{to}: {text}");
    }
}

#[tokio::test]
async fn the_table_of_the_documentation_is_decided_as_it_says() {
    let page = std::fs::read_to_string(crate::plugin_projects::repository().join("docs/rights.md")).unwrap();
    let (_, rest) = page.split_once("```toml\n[[case]]").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cases.toml");
    std::fs::write(&file, format!("[[case]]{}", rest.split("```").next().unwrap())).unwrap();
    let hosts = "Host web1\n  HostName 192.0.2.1\n";
    let options = ScoutOptions::new(crate::world::binary(), hosts, "").setting("[plugins.logs]\nsource = \"bundled\"");
    let said = policy(&options, &["test", file.to_str().unwrap()]).await;
    assert_eq!(said, (Some(0), "2 cases, 0 decided otherwise than expected\n".to_owned()));
}
