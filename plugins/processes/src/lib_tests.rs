//! What is asked, and both answers.

use scout_plugin::ErrorKind;
use scout_plugin::json::Value;

use super::{Processes, Tools as _, answer, ps, schema, supported};

const TABLE: &[u8] = b"PID PPID EUSER S %CPU RSS ELAPSED NLWP COMMAND\n\
    1 0 root S 0.0 12000 01:00:00 1 /sbin/init\n\
    20 1 www-data S 12.5 204800 10:00 4 nginx: worker\n\
    30 20 systemd-network R 0.0 300 00:05 1 sh -c a\x1b[2J\n\
    40 1 root R 100 5000 00:00 1 ps -A -o it\n";

fn answered(fields: &str, now: Option<u64>) -> (String, String) {
    let arguments = Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON");
    let asked = schema::SHAPE.ask(&arguments).expect("is asked");
    let tree = arguments.get("tree").and_then(Value::as_boolean).unwrap_or(false);
    let answer = answer(asked, tree, now, ps::parse(TABLE), "ps -A -o it", false);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

#[test]
fn the_busiest_stand_first_and_who_looks_is_not_shown() {
    let (text, json) = answered("", None);
    assert_eq!(
        text,
        "pid  ppid  user             state  cpu_percent  memory_bytes  elapsed_seconds  command\n \
         20     1  www-data         S             12.5     200.0 MiB            10m0s  nginx: worker\n  \
          1     0  root             S              0.0      11.7 MiB             1h0m  /sbin/init\n \
         30    20  systemd-network  R              0.0     300.0 KiB               5s  sh -c a\u{1b}[2J"
    );
    assert!(
        json.contains(concat!(
            r#"{"pid":20,"ppid":1,"user":"www-data","state":"S","cpu_percent":12.5,"memory_bytes":209715200,"#,
            r#""elapsed_seconds":600,"command":"nginx: worker"}"#
        )),
        "{json}"
    );
    assert!(json.ends_with(r#""total":3,"left_out":{},"notes":[]}"#), "{json}");
}

#[test]
fn a_tree_indents_what_a_process_started() {
    let (text, json) = answered(r#","tree":true,"columns":"pid,command""#, None);
    assert_eq!(text, "pid  command\n  1  /sbin/init\n 20    nginx: worker\n 30      sh -c a\u{1b}[2J");
    assert!(json.contains(r#"{"pid":30,"command":"sh -c a\u001b[2J","depth":2}"#), "{json}");
    let error = Processes::call("processes", r#"{"host":"box","tree":true,"sort":"pid"}"#).expect_err("contradicts");
    assert_eq!((error.kind, error.hint.as_deref()), (ErrorKind::Invalid, Some("leave `tree` or `sort` out")));
}

#[test]
fn a_start_is_the_hosts_clock_without_what_has_passed() {
    let (_, json) =
        answered(r#","columns":"started,threads","where":"started >= 2026-11-30T08:00:00Z""#, Some(1_796_027_405));
    assert!(
        json.contains(
            r#"[{"started":"2026-11-30T08:20:05Z","threads":4},{"started":"2026-11-30T08:30:00Z","threads":1}]"#
        ),
        "{json}"
    );
}

#[test]
fn what_is_not_seen_is_told() {
    let arguments = Value::parse(r#"{"host":"box"}"#).expect("is JSON");
    let asked = schema::SHAPE.ask(&arguments).expect("is asked");
    let table = ps::parse(b"PID USER COMMAND\n77 me -sh\nodd\n");
    let text = answer(asked, false, None, table, "ps", true).shown();
    for says in
        ["1 line of ps could not be read", "the last processes are missing", "does not tell the use of processors"]
    {
        assert!(text.contains(says), "{text}");
    }
    let asked = schema::SHAPE.ask(&arguments).expect("is asked");
    let text = answer(asked, false, None, ps::parse(b"PID USER COMMAND\n77 me -sh\n"), "ps", false).shown();
    assert!(text.contains("(process 1 is not among them: the host shows this account only a part"), "{text}");
}

#[test]
fn of_a_busybox_what_it_knows_is_asked() {
    assert_eq!(
        supported("user,group,comm,args,pid,ppid,pgid,nice,rgroup,ruser,tty,vsz,sid,stat,rss\n"),
        "pid,ppid,user,stat,rss,args"
    );
    assert_eq!(
        supported("user,group,comm,args,pid,ppid,pgid,etime,nice,rgroup,ruser,time,tty,vsz,stat,rss"),
        "pid,ppid,user,stat,rss,etime,args"
    );
}
