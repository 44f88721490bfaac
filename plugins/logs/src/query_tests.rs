//! What is sent: every argument a word of its own.

use scout_plugin::json::Value;
use scout_plugin::{Error, ErrorKind};

use super::{Journalctl, Query, Source, Stages};

fn read(json: &str) -> Result<Query, Error> {
    Query::read(&Value::parse(json).expect("is JSON"))
}

fn query(json: &str) -> Query {
    read(json).unwrap_or_else(|error| panic!("{}", error.message))
}

/// Words joined by `_`, stages by ` | `.
fn shown(stages: &Stages) -> String {
    stages.iter().map(|words| words.join("_")).collect::<Vec<_>>().join(" | ")
}

/// Says whose entries the account does not see.
const PROBE: &str = "journalctl_--no-pager_-n_0_-o_short-iso";

#[test]
fn times_are_told_to_the_microsecond() {
    let asked =
        query(r#"{"host":"box","since":"2026-11-21T12:00:00.000001Z","until":"2026-11-21 12:00:00.5","whole":true}"#);
    let shown = shown(&asked.journal(Journalctl::Current));
    assert!(
        shown.contains("_--since=@1795262400.000001_--until=2026-11-21 12:00:00.500000 ") && shown.contains("_--all_"),
        "{shown}"
    );
}

#[test]
fn units_of_users_are_asked_for_by_fields() {
    let matched = |unit: &str| {
        let asked = query(&format!(r#"{{"host":"box","user_unit":"{unit}"}}"#));
        let stages = shown(&asked.journal(Journalctl::Current));
        stages.split("_SYSTEMD_USER_UNIT=").last().unwrap_or_default().to_owned()
    };
    assert_eq!(matched("app"), "app.service_+_USER_UNIT=app.service | head_-n_100");
    assert_eq!(matched("app.timer"), "app.timer_+_USER_UNIT=app.timer | head_-n_100");
    assert!(read(r#"{"host":"box","unit":"a","user_unit":"b"}"#).is_err());
}

#[test]
fn beginnings_are_asked_for_from_the_first_that_was_left_out() {
    let asked = query(r#"{"host":"box","unit":"nginx","since":"1h","until":"1m","grep":"x"}"#);
    assert_eq!(
        shown(&asked.beginnings(Journalctl::Current, "s=1;i=2", 7)),
        "journalctl_--no-pager_--reverse_--all_-o_json_--output-fields=MESSAGE_--cursor=s=1;i=2_--unit=nginx_--case-sensitive=true_--grep=x \
         | cut_-b_1-9024 | head_-n_7"
    );
}

#[test]
fn a_current_journal_filters_by_itself() {
    let plain = query(r#"{"host":"box"}"#);
    let fields = super::FIELDS;
    assert_eq!(
        shown(&plain.journal(Journalctl::Current)),
        format!("{PROBE} | journalctl_--no-pager_--reverse_-o_json_{fields} | head_-n_100")
    );
    let all = query(
        r#"{"host":"box","unit":"nginx","since":"90m","until":"2026-11-21T12:00:00+01:00","grep":"-x $(id)'","priority":"err","lines":5}"#,
    );
    assert_eq!(
        shown(&all.journal(Journalctl::Current)),
        format!(
            "{PROBE} | journalctl_--no-pager_--reverse_-o_json_{fields}_--since=-5400s_--until=@1795258800_--unit=nginx_--priority=err_\
             --case-sensitive=true_--grep=-x $(id)' | head_-n_5"
        )
    );
    let local = query(r#"{"host":"box","since":"2026-11-21 07:05","grep":"x","ignore_case":true}"#);
    assert!(
        shown(&local.journal(Journalctl::Current))
            .contains("_--since=2026-11-21 07:05:00_--case-sensitive=false_--grep=x ")
    );
}

#[test]
fn an_old_journal_is_searched_outside() {
    let plain = query(r#"{"host":"box","unit":"sshd"}"#);
    assert_eq!(
        shown(&plain.journal(Journalctl::Old)),
        format!("{PROBE} | journalctl_--no-pager_--reverse_-o_json_--unit=sshd | head_-n_100")
    );
    let grep = query(r#"{"host":"box","grep":"-e /etc/shadow","ignore_case":true}"#);
    assert_eq!(
        shown(&grep.journal(Journalctl::Old)),
        format!(
            "{PROBE} | journalctl_--no-pager_--reverse_-q_-o_short-iso | grep_-E_-a_-i_-e_-e /etc/shadow | head_-n_100"
        )
    );
}

#[test]
fn files_are_read_with_the_clock_behind_them() {
    assert_eq!(
        shown(&query(r#"{"host":"box","source":"files","lines":3}"#).tail()),
        "date_+scout-clock %s %z | tail_-q_-n_1_--_-_/etc/localtime | paste_-s_-d_ _- | tail_-n_3_--_/var/log/messages_/var/log/syslog_- | tail_-c_786432"
    );
    assert_eq!(
        shown(&query(r#"{"host":"box","path":"~/-","grep":"a|b","since":"1h"}"#).tail()),
        "date_+scout-clock %s %z | tail_-q_-n_1_--_-_/etc/localtime | paste_-s_-d_ _- | grep_-E_-a_-H_-e_^scout-clock _-e_a|b_--_./-_- | tail_-n_5001 | tail_-c_786432"
    );
}

#[test]
fn a_filter_of_the_plugin_looks_at_more_lines() {
    for (more, scanned) in [
        ("", 100),
        (r#","grep":"x""#, 100),
        (r#","unit":"a""#, 5000),
        (r#","until":"1h""#, 5000),
        (r#","priority":"err""#, 5000),
    ] {
        assert_eq!(query(&format!(r#"{{"host":"box","path":"/x"{more}}}"#)).scanned(), scanned, "{more}");
    }
}

#[test]
fn a_path_is_a_file() {
    assert!(query(r#"{"host":"box","path":"/x"}"#).wants_files());
    assert!(query(r#"{"host":"box","source":"files"}"#).wants_files());
    assert_eq!((query(r#"{"host":"box"}"#).source, query(r#"{"host":"box"}"#).wants_files()), (Source::Auto, false));
}

#[test]
fn arguments_that_make_no_sense_say_what_to_write() {
    for (json, says) in [
        ("[]", "`host`"),
        ("{}", "`host`"),
        (r#"{"host":"box","lines":0}"#, "`lines`"),
        (r#"{"host":"box","lines":1001}"#, "`lines`"),
        (r#"{"host":"box","unit":"a b"}"#, "`unit`"),
        (r#"{"host":"box","user_unit":""}"#, "`user_unit`"),
        (r#"{"host":"box","grep":"a\nb"}"#, "`grep`"),
        (r#"{"host":"box","grep":""}"#, "`grep`"),
        (r#"{"host":"box","priority":"odd"}"#, "`priority`"),
        (r#"{"host":"box","path":"~"}"#, "`path`"),
        (r#"{"host":"box","path":"var/log"}"#, "`path`"),
        (r#"{"host":"box","path":"/\u0000"}"#, "`path`"),
        (r#"{"host":"box","since":"yesterday"}"#, "a `since` that is not a time: yesterday"),
        (r#"{"host":"box","until":"2026-02-30"}"#, "`until`"),
        (r#"{"host":"box","path":"/x","source":"journal"}"#, "a `path` and the source `journal`"),
    ] {
        let error = read(json).expect_err(json);
        assert!(
            error.kind == ErrorKind::Invalid && error.message.contains(says) && error.hint.is_some(),
            "{}",
            error.message
        );
    }
}

#[test]
fn a_compressed_file_is_unpacked_before_it_is_searched() {
    for (path, unpacker) in [
        ("/var/log/syslog.2.gz", Some("zcat")),
        ("/var/log/a.xz", Some("xzcat")),
        ("~/a.bz2", Some("bzcat")),
        ("/var/log/-x.zst", Some("zstdcat")),
        ("/var/log/syslog.1", None),
        ("/var/log/gz", None),
    ] {
        assert_eq!(query(&format!(r#"{{"host":"box","path":"{path}"}}"#)).unpacker(), unpacker, "{path}");
    }
    let asked = query(r#"{"host":"box","path":"~/a.gz","grep":"x y","ignore_case":true,"lines":5}"#);
    let stages: Vec<String> = asked.unpacked("zcat").iter().map(|words| words.join(" ")).collect();
    assert_eq!(stages, ["zcat -- ./a.gz", "grep -E -a -i -e x y", "tail -n 5", "tail -c 786432"]);
}

#[test]
fn the_row_that_lets_it_run_as_root_has_the_flags_and_any_values() {
    let row = |fields: &str| {
        let asked = query(&format!(r#"{{"host":"box"{fields}}}"#));
        super::row(&asked.journal(Journalctl::Current)).map(|words| words.join(" "))
    };
    let plain = format!("journalctl --no-pager --reverse -o json {}", super::FIELDS);
    assert_eq!(row("").as_deref(), Some(&*plain));
    let asked = row(r#","unit":"nginx","since":"2h","priority":"err""#);
    assert_eq!(asked, Some(format!("{plain} --since=* --unit=* --priority=*")));
    // Words that no row of sudoers holds.
    assert_eq!((row(r#","grep":"a b""#), row(r#","grep":"/x""#)), (None, None));
}
