//! What is seen, how it is kept, and how two of it differ.

use scout_plugin::exec::Output;
use scout_plugin::json::Value;

use super::mutants::mutant;
use super::state::{Kind, State, changes};
use super::{FILES, answer, baseline, files, look, schema, ss};

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What was seen of a kind, or why nothing was.
type Seen<'a> = Result<&'a [(&'a str, &'a str)], &'a str>;

fn state(parts: &[(Kind, Seen<'_>)]) -> State {
    let mut state = State::default();
    for (kind, part) in parts {
        state.put(*kind, part.map(pairs).map_err(str::to_owned));
    }
    state
}

fn told(before: &State, after: &State) -> (Vec<String>, Vec<String>) {
    let (found, notes) = changes(before, after);
    let shown = |change: &super::state::Change| {
        let (before, after) = (change.before.as_deref().unwrap_or("-"), change.after.as_deref().unwrap_or("-"));
        format!("{} {} {before} {after}", change.kind.word(), change.name)
    };
    (found.iter().map(shown).collect(), notes)
}

#[test]
fn what_was_added_removed_and_changed_is_told_by_kind_and_name() {
    let before = state(&[
        (Kind::File, Ok(&[("/b", "sha256:1"), ("/a", "sha256:1"), ("/c", "absent"), ("/gone", "sha256:1")])),
        (Kind::Package, Ok(&[("zlib:amd64", "1.2"), ("old:all", "1")])),
        (Kind::Account, Ok(&[("root", "uid 0 gid 0")])),
    ]);
    let after = state(&[
        (Kind::File, Ok(&[("/b", "sha256:1"), ("/a", "sha256:2"), ("/c", "sha256:3"), ("/gone", "absent")])),
        (Kind::Package, Ok(&[("zlib:amd64", "1.3"), ("new:all", "1")])),
        (Kind::Account, Ok(&[("root", "uid 0 gid 0"), ("toor", "uid 0 gid 0")])),
    ]);
    assert_eq!(
        told(&before, &after).0,
        [
            "file /a sha256:1 sha256:2",
            "file /c - sha256:3",
            "file /gone sha256:1 -",
            "package new:all - 1",
            "package old:all 1 -",
            "package zlib:amd64 1.2 1.3",
            "account toor - uid 0 gid 0",
        ]
    );
    assert_eq!(told(&before, &before), (Vec::new(), Vec::new()));
}

#[test]
fn what_was_not_seen_is_told_and_never_as_removed() {
    let seen = state(&[
        (Kind::File, Ok(&[("/a", "sha256:1"), ("/b", "sha256:1")])),
        (Kind::Unit, Ok(&[("a.service", "enabled")])),
    ]);
    let unseen = state(&[(Kind::File, Ok(&[("/a", "unread"), ("/b", "sha256:1")])), (Kind::Unit, Err("no systemctl"))]);
    assert_eq!(
        told(&seen, &unseen),
        (
            Vec::new(),
            vec!["units were not seen: no systemctl".to_owned(), "not read, and so not compared: /a".to_owned()]
        )
    );
    assert_eq!(
        told(&unseen, &seen),
        (
            Vec::new(),
            vec![
                "units are not compared: they were not seen for the baseline (no systemctl)".to_owned(),
                "not read for the baseline, and so not compared: /a".to_owned()
            ]
        )
    );
    assert_eq!(seen.counted(), "2 files, 1 unit");
}

#[test]
fn a_state_is_the_same_when_it_was_kept() {
    let kept = state(&[
        (Kind::File, Ok(&[("/a\tb\nc", "sha256:1")])),
        (Kind::Package, Ok(&[("kernel:x86_64", "5"), ("kernel:x86_64", "6"), ("seen", "unseen")])),
        (Kind::Unit, Err("not\tpermitted\n")),
        (Kind::Listener, Ok(&[])),
    ]);
    let printed = kept.print();
    assert_eq!(State::parse(printed.as_bytes()).as_ref(), Some(&kept), "{printed}");
    assert!(printed.contains("package\tkernel:x86_64\t5, 6\n"), "{printed}");
    for odd in [
        &b""[..],
        b"changes 2\n",
        b"\xff",
        b"changes 1\nfile\n",
        b"changes 1\nfile\ta\tb\n",
        b"changes 1\nodd\tseen\t\n",
    ] {
        assert_eq!(State::parse(odd), None, "{odd:?}");
    }
    for seed in 0..2000 {
        let pieces = [&b"\t"[..], b"\n", b"seen", b"unseen", b"file", b"\xff", b"changes 1"];
        if let Some(state) = State::parse(&mutant(printed.as_bytes(), &pieces, seed)) {
            let (found, _) = changes(&kept, &state);
            assert!(found.len() < 20, "{seed}");
        }
    }
}

#[test]
fn a_file_has_a_digest_is_absent_or_was_not_read() {
    let digest = "a".repeat(64);
    let output = |stdout: String, stderr: &str| Output {
        exit: Some(1),
        stdout: stdout.into_bytes(),
        stderr: stderr.to_owned(),
        truncated: false,
    };
    // One name may end as another does.
    let named = ["/a", "/no", "/denied", "/no b", "/dir", "/etc/x", "/srv/etc/x"].map(str::to_owned);
    let told = look::digests(
        &named,
        &output(
            format!("{digest}  /a\nodd\n{digest} *x\nzz  /dir\n"),
            "sha256sum: /no: No such file or directory\nsha256sum: /denied: Permission denied\n\
             sha256sum: can't open '/no b': No such file or directory\nsha256sum: /dir: Is a directory\n\
             sha256sum: /srv/etc/x: No such file or directory\nsha256sum: /etc/x: Permission denied\n",
        ),
    );
    let values: Vec<&str> = told.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, [&format!("sha256:{digest}"), "absent", "unread", "absent", "unread", "unread", "absent"]);
}

#[test]
fn units_accounts_and_listeners_are_read_without_what_changes_by_itself() {
    let units = look::enabled(
        "ssh.service enabled enabled\ncron.service disabled enabled\ngetty@.service static -\nodd\nx.mount generated -\n",
    );
    assert_eq!(units, pairs(&[("ssh.service", "enabled"), ("cron.service", "disabled")]));
    let accounts = look::ids("root:0:0\nann:1000:100\nodd:x:0\n::\n");
    assert_eq!(accounts, pairs(&[("root", "uid 0 gid 0"), ("ann", "uid 1000 gid 100")]));
    let sockets = ss::parse(
        b"tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=9,fd=3)) cgroup:/system.slice/ssh.service\n\
          tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=8,fd=3)) cgroup:/system.slice/ssh.service\n\
          udp UNCONN 0 0 0.0.0.0:41234 0.0.0.0:* uid:102\nudp UNCONN 0 0 0.0.0.0:53 0.0.0.0:* uid:102\n",
    );
    assert_eq!(look::places(sockets), pairs(&[("tcp 0.0.0.0:22", "ssh.service"), ("udp 0.0.0.0:53", "uid 102")]));
}

#[test]
fn each_set_of_files_has_a_baseline_of_its_own() {
    let asked = |json: &str| files(&Value::parse(json).expect("is JSON")).map_err(|error| error.message);
    let own = asked(r#"{"files":["/b","/a","/b"]}"#).expect("are files");
    assert_eq!(own, ["/a", "/b"]);
    assert_eq!(baseline(&asked("{}").expect("are files")), "default");
    assert_eq!(FILES.to_vec(), {
        let mut sorted = FILES.to_vec();
        sorted.sort_unstable();
        sorted
    });
    let name = baseline(&own);
    assert!(name.len() <= 64 && name.starts_with("files-") && name != baseline(&["/ab".to_owned()]), "{name}");
    for odd in [
        r#"{"files":["relative"]}"#,
        r#"{"files":[]}"#,
        r#"{"files":["/"]}"#,
        r#"{"files":["/a\nb"]}"#,
        r#"{"files":[1]}"#,
    ] {
        assert!(asked(odd).is_err(), "{odd}");
    }
    let many: Vec<String> = (0..201).map(|at| format!(r#""/{at}""#)).collect();
    assert!(asked(&format!(r#"{{"files":[{}]}}"#, many.join(","))).is_err());
}

#[test]
fn both_answers_say_when_the_baseline_was_taken() {
    let arguments = Value::parse(r#"{"host":"box"}"#).expect("is JSON");
    let asked = schema::SHAPE.ask(&arguments).expect("is asked");
    let before = state(&[(Kind::File, Ok(&[("/a", "sha256:1")]))]);
    let after = state(&[(Kind::File, Ok(&[("/a", "sha256:2")]))]);
    let (found, notes) = changes(&before, &after);
    let answer = answer(asked, 1_796_083_200, &found, notes);
    assert_eq!(
        answer.shown(),
        "kind  name  change   before    after\n\
         file  /a    changed  sha256:1  sha256:2\n\
         (the baseline is of 2026-12-01T00:00:00Z)"
    );
    let json = answer.json().unwrap_or_default();
    assert!(json.contains(r#""taken":"2026-12-01T00:00:00Z""#), "{json}");
}

#[test]
fn tables_of_a_kernel_are_whole_only_if_grep_came_to_its_end() {
    let absent = "grep: /proc/net/tcp6: No such file or directory\n";
    for (exit, stderr, is_whole) in [
        (Some(0), "", true),
        (Some(2), absent, true),
        (Some(2), "", false),
        (None, "", false),
        (None, absent, false),
        (Some(137), "", false),
        (Some(2), "grep: /proc/net/tcp: Permission denied\n", false),
    ] {
        let output = Output { exit, stdout: b"x".to_vec(), stderr: stderr.to_owned(), truncated: false };
        assert_eq!(look::is_whole(&output), is_whole, "{exit:?} {stderr}");
    }
}
