//! Lines as several programs write them.

use super::parse;
use crate::entry::Entry;
use crate::files::lines;
use crate::time::{Clock, rfc3339};

/// 2026-11-21 11:48:15 UTC, in Berlin.
const CLOCK: Clock = Clock { now: 1_795_261_695_000_000, offset: 3_600_000_000, zone: None };

fn entries(output: &[u8]) -> Vec<Entry> {
    parse(lines(output), &CLOCK)
}

/// Time, host, program, process, priority and message of each.
fn told(entries: &[Entry]) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    entries
        .iter()
        .map(|entry| {
            let time = entry.time.and_then(rfc3339).unwrap_or_else(|| "-".to_owned());
            let pid = entry.pid.map_or("-".to_owned(), |pid| pid.to_string());
            let (host, program, priority) =
                (text(&entry.host), text(&entry.program), entry.priority_name().unwrap_or("-"));
            format!("{time} {host} {program} {pid} {priority}|{}", entry.message.escape_ascii())
        })
        .collect()
}

#[test]
fn the_traditional_format_has_the_hosts_year_and_zone() {
    assert_eq!(
        told(&entries(include_bytes!("../tests/fixtures/rsyslog-traditional.txt"))),
        [
            "2026-11-21T11:48:10Z web1 sshd 4242 -|Failed password for root from 192.0.2.1 port 22 ssh2",
            "2026-11-21T11:48:10Z web1 postfix/smtpd - -|connect from unknown[192.0.2.7]",
            "2026-11-21T11:48:10Z web1 app - -|two#012lines: k\\xc3\\xa4se",
            "2026-11-21T11:48:10Z web1 root - -|no tag given",
            "2026-11-21T11:48:10Z web1 CRON 9 -|(root) CMD (test -x /bin/true)",
            "2026-11-21T11:48:11Z web1 bin - -|caf\\xe9 #001 #033[31mred",
        ]
    );
}

#[test]
fn iso_times_and_rfc_5424_have_their_own_zone() {
    let iso = told(&entries(include_bytes!("../tests/fixtures/rsyslog-syslog.txt")));
    assert_eq!(
        iso.first().map(String::as_str),
        Some("2026-11-21T11:48:10.724143Z web1 sshd 4242 -|Failed password for root from 192.0.2.1 port 22 ssh2")
    );
    assert_eq!(
        iso.last().map(String::as_str),
        Some("2026-11-21T11:48:11.008882Z web1 bin - -|caf\\xe9 #001 #033[31mred")
    );
    let rfc5424 = told(&entries(include_bytes!("../tests/fixtures/rsyslog-rfc5424.txt")));
    assert_eq!(
        rfc5424,
        [
            "2026-11-21T11:48:10.724143Z web1 sshd 4242 err|Failed password for root from 192.0.2.1 port 22 ssh2",
            "2026-11-21T11:48:10.726496Z web1 postfix - info|connect from unknown[192.0.2.7]",
            "2026-11-21T11:48:10.728669Z web1 app - notice|two#012lines: k\\xc3\\xa4se",
            "2026-11-21T11:48:10.730783Z web1 root - warning|no tag given",
            "2026-11-21T11:48:10.732749Z web1 CRON 9 info|(root) CMD (test -x /bin/true)",
            "2026-11-21T11:48:11.008882Z web1 bin - notice|caf\\xe9 #001 #033[31mred",
        ]
    );
}

#[test]
fn busybox_writes_the_priority_too() {
    assert_eq!(
        told(&entries(include_bytes!("../tests/fixtures/busybox-syslogd.txt"))),
        [
            "2026-11-21T11:48:13Z web1 - - info|syslogd started: BusyBox v1.30.1",
            "2026-11-21T11:48:14Z web1 sshd 77 err|Failed password",
            "2026-11-21T11:48:14Z web1 crond - info|hello: world",
            "2026-11-21T11:48:14Z web1 root - warning|no tag",
            "2026-11-21T11:48:15Z web1 - - info|syslogd exiting",
        ]
    );
}

#[test]
fn short_iso_of_old_and_new_journalctl_is_read_with_messages_of_several_lines() {
    let new = entries(include_bytes!("../tests/fixtures/debian13-short-iso.txt"));
    let app = new.iter().find(|entry| entry.program.as_deref() == Some("app")).expect("is there");
    assert_eq!(app.message.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert_eq!(
        told(&entries(include_bytes!("../tests/fixtures/rhel7-short-iso.txt"))),
        [
            "2015-02-16T09:01:01Z db1 CROND 2144 -|(root) CMD (run-parts /etc/cron.hourly)",
            "2015-02-16T09:00:59Z db1 kernel - -|device eth0 entered promiscuous mode",
            "2015-02-16T09:00:12Z db1 sshd 2101 -|Accepted publickey for ann from 192.0.2.9 port 51934 ssh2",
        ]
    );
}

#[test]
fn programs_own_logs_have_times_and_what_follows_a_line_goes_with_it() {
    assert_eq!(
        told(&entries(include_bytes!("../tests/fixtures/applications.txt"))),
        [
            "2026-11-21T11:00:00.123Z - - - -|INFO app.worker: started",
            "2026-11-21T11:00:01.456Z - - - -|ERROR app.worker: failed\\nTraceback (most recent call last):\\n  File \\\"app.py\\\", line 1, in <module>\\nValueError: no",
            "2026-11-21T12:00:02Z - - - -|WARN  pool: slow\\n[Sat Nov 21 12:00:03.5 2026] [core:notice] [pid 1] AH00094: Command line: \\'apache2\\'",
        ]
    );
}

#[test]
fn macos_repeats_no_line() {
    assert_eq!(
        told(&entries(include_bytes!("../tests/fixtures/macos-system.txt"))),
        [
            "2026-11-21T11:00:00Z mac syslogd 91 -|ASL Sender Statistics",
            "2026-11-21T11:00:05Z mac - - -|com.apple.xpc.launchd[1] (com.apple.mdworker.shared[2171]): Service exited due to SIGKILL",
            "2026-11-21T11:00:06Z - - - -|--- last message repeated 2 times ---",
        ]
    );
}

#[test]
fn structured_data_may_hold_brackets_and_blanks() {
    let line = br#"<165>1 2003-10-11T22:14:15.003Z mymachine evntslog - ID47 [exampleSDID@32473 iut="3" v="a] b\] \"c\""][x@1] An application event"#;
    assert_eq!(told(&entries(line)), ["2003-10-11T22:14:15.003Z mymachine evntslog - notice|An application event"]);
    assert_eq!(told(&entries(b"<34>1 - - - - - -")), ["- - - - crit|"]);
}

#[test]
fn lines_that_are_no_entries_make_entries_without_a_time() {
    assert_eq!(told(&entries(b"just text\nmore\n")), ["- - - - -|just text\\nmore"]);
    assert_eq!(told(&entries(b"")), [""; 0]);
    assert_eq!(told(&entries(b"\n\n")), [""; 0]);
    for line in [
        &b"<999>1 x"[..],
        b"<34>",
        b"<34>1 2003-10-11T22:14:15.003Z",
        b"\xff\xff",
        b"Nov 21",
        b"2026-11-21",
        b"<",
        b"\x1b[31m",
    ] {
        let entries = entries(line);
        assert_eq!(
            entries.iter().map(|entry| (entry.time, entry.message.as_slice())).collect::<Vec<_>>(),
            [(None, line)]
        );
    }
    assert_eq!(told(&entries(b"Nov 21 12:00:00 \n")), ["2026-11-21T11:00:00Z - - - -|"]);
    assert_eq!(told(&entries(b"Nov 21 12:00:00 web1 app:\r\n")), ["2026-11-21T11:00:00Z web1 app - -|"]);
}

#[test]
fn a_huge_line_and_a_huge_trace_are_bounded() {
    let mut output = b"Nov 21 12:00:00 web1 app: ".to_vec();
    output.extend(std::iter::repeat_n(b'x', 1 << 20));
    assert_eq!(entries(&output).first().map(|entry| entry.message.len()), Some(1 << 20));
    let mut output = b"Nov 21 12:00:00 web1 app: x\n".to_vec();
    output.extend(b" at somewhere\n".repeat(1 << 16));
    assert!(entries(&output).first().is_some_and(|entry| entry.message.len() <= super::MAX_ENTRY));
}
