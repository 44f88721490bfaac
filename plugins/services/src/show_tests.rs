//! Units as several versions of systemd show them.

#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use mutants::mutant;
use scout_plugin::exec::Output;

use super::{Properties, Shown, Unit, parse, unit_files};

const DEBIAN_13: &str = include_str!("../tests/fixtures/debian13-show.txt");
const DEBIAN_11: &str = include_str!("../tests/fixtures/debian11-show.txt");
const RHEL_7: &str = include_str!("../tests/fixtures/rhel7-show.txt");

fn units(output: &str) -> Vec<Unit> {
    let shown = parse(output);
    shown.units.iter().filter_map(|unit| unit.unit(shown.zone.as_ref())).collect()
}

fn named(units: &[Unit], name: &str) -> Unit {
    units.iter().find(|unit| unit.name == name).cloned().unwrap_or_else(|| panic!("no {name}"))
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn unit(name: &str, description: &str, states: [&str; 4]) -> Unit {
    let [load, active, sub, enabled] = states.map(text);
    Unit { name: name.to_owned(), description: text(description), load, active, sub, enabled, ..Unit::default() }
}

#[test]
fn units_of_systemd_257_are_read() {
    let units = units(DEBIAN_13);
    assert_eq!(units.len(), DEBIAN_13.matches("\nId=").count());
    let expected = unit("ssh.service", "OpenBSD Secure Shell server", ["loaded", "active", "running", "enabled"]);
    assert_eq!(
        named(&units, "ssh.service"),
        Unit { main_pid: Some(107), since: text("2026-11-21T11:20:14.576962Z"), ..expected }
    );
    let expected = unit(
        "broken.service",
        "A \"broken\" service = with signs, käse and tab\\there",
        ["loaded", "failed", "failed", "static"],
    );
    assert_eq!(named(&units, "broken.service"), Unit { since: text("2026-11-21T11:29:56.088983Z"), ..expected });
}

#[test]
fn units_of_systemd_247_are_read() {
    let units = units(DEBIAN_11);
    assert_eq!(units.len(), 56);
    let ssh = named(&units, "ssh.service");
    assert_eq!((ssh.main_pid, ssh.since), (Some(71), text("2026-11-21T11:30:26.112229Z")));
    assert_eq!(named(&units, "emergency.service").since, None);
}

#[test]
fn the_largest_number_of_systemd_219_is_none() {
    let units = units(RHEL_7);
    let expected = unit("NetworkManager.service", "Network Manager", ["loaded", "active", "running", "enabled"]);
    assert_eq!(
        named(&units, "NetworkManager.service"),
        Unit { main_pid: Some(675), since: text("2019-10-23T00:00:40Z"), ..expected }
    );
    assert_eq!(named(&units, "kdump.service").since, text("2019-10-23T00:00:48Z"));
    assert_eq!(named(&units, "rhel-dmesg.service").since, None);
}

#[test]
fn timers_and_sockets_have_no_process() {
    let units = units(include_str!("../tests/fixtures/debian13-timers.txt"));
    let timer = named(&units, "apt-daily.timer");
    assert_eq!((timer.sub.as_deref(), timer.main_pid, timer.memory), (Some("waiting"), None, None));
    assert_eq!(timer.since, text("2026-11-21T11:20:14.472274Z"));
}

#[test]
fn details_of_a_unit_are_read() {
    let shown = parse(include_str!("../tests/fixtures/debian13-units.txt"));
    let of = |name: &str| shown.units.iter().find(|unit| unit.text("Id") == Some(name)).expect("is there");
    assert_eq!(
        (of("broken.service").text("Result"), of("broken.service").number("ExecMainStatus")),
        (Some("exit-code"), Some(1))
    );
    assert_eq!(
        (of("worker@b.service").number("TasksCurrent"), of("worker@b.service").number("CPUUsageNSec")),
        (None, Some(6_665_000))
    );
    assert!(of("nope.service").text("LoadError").is_some_and(|error| error.contains("not found")));
    let shown = parse(include_str!("../tests/fixtures/debian11-ssh.txt"));
    let ssh = shown.units.first().expect("is there");
    assert_eq!(ssh.words("Names"), ["ssh.service", "sshd.service"]);
    assert_eq!(ssh.words("Documentation"), ["man:sshd(8)", "man:sshd_config(5)"]);
    assert_eq!(ssh.words("Triggers"), [""; 0]);
}

#[test]
fn unit_files_are_read_with_and_without_legend_presets_and_bullets() {
    let new = unit_files(include_str!("../tests/fixtures/debian13-unit-files.txt"));
    assert_eq!(new.len(), 127);
    assert!(new.contains(&("rsyslog.service", "masked")) && new.contains(&("getty@.service", "enabled")));
    let legend = unit_files(include_str!("../tests/fixtures/debian13-unit-files-legend.txt"));
    assert_eq!((legend.len(), legend.first()), (5, Some(&("cron.service", "enabled"))));
    assert_eq!(unit_files(include_str!("../tests/fixtures/debian11-unit-files.txt")).len(), 97);
    let old = unit_files(include_str!("../tests/fixtures/rhel7-unit-files.txt"));
    assert_eq!((old.len(), old.get(3)), (5, Some(&("broken-link.service", "bad"))));
}

#[test]
fn what_is_no_unit_is_passed_over() {
    for output in ["", "\n\n\n", "=\n", "Id=\n", "no equals\n\u{1b}[2J", "Description=x\n\nActiveState=active", "CET x"]
    {
        assert_eq!(parse(output), Shown::default(), "{output:?}");
    }
    assert!(parse("CET-1CEST,M3.5.0,M10.5.0/3\n").zone.is_some());
    assert_eq!(unit_files("0 unit files listed.\n\n\u{fffd} x\n.service\nfoo bar\n"), [(".service", "foo"); 0]);
}

#[test]
fn times_are_those_that_systemd_tells_and_absent_where_their_zone_is_not_known() {
    let since = |time: &str, zone: &str| {
        let shown = parse(&format!("Id=a\nActiveState=active\nActiveEnterTimestamp={time}\n{zone}\n"));
        shown.units.first().and_then(|unit| unit.unit(shown.zone.as_ref())).expect("is a unit").since
    };
    let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    for (time, zone, expected) in [
        ("Sat 2026-11-21 11:20:14.000001 UTC", "", "2026-11-21T11:20:14.000001Z"),
        ("Sat 2026-11-21 11:20:14 GMT", "", "2026-11-21T11:20:14Z"),
        ("Sat 2026-11-21 12:20:14 CET", berlin, "2026-11-21T11:20:14Z"),
        // The hour that is there twice is told by its name.
        ("Sun 2026-10-25 02:30:00 CEST", berlin, "2026-10-25T00:30:00Z"),
        ("Sun 2026-10-25 02:30:00 CET", berlin, "2026-10-25T01:30:00Z"),
        ("Sat 2026-11-21 08:20:14 -03", "<-03>3", "2026-11-21T11:20:14Z"),
    ] {
        assert_eq!(since(time, zone).as_deref(), Some(expected), "{time}");
    }
    for (time, zone) in [
        ("", ""),
        ("n/a", ""),
        ("Sat 2026-11-21 12:20:14 CET", ""),
        ("Sat 2026-11-21 12:20:14 EST", berlin),
        ("Sat 2026-13-21 12:20:14 UTC", ""),
        ("Sat 2026-11-21 99:20:14 UTC", ""),
        ("Sat 2026-11-21 12:20:14.x UTC", ""),
        ("Sat 2026-11-21 12:20 UTC", ""),
        ("Sat 1969-11-21 12:20:14 UTC", ""),
        ("Sat 2026-11-21 9223372036854775807:20:14 UTC", ""),
    ] {
        assert_eq!(since(time, zone), None, "{time}");
    }
}

#[test]
fn lists_are_read_as_systemctl_writes_them() {
    // What systemd 257.13 and 252.39 printed.
    let shown = parse(concat!(
        "Id=cron.service\nNames=\"worker@a\\\\x20b.service\"\nDocumentation=\"man:cron(8)\"\n",
        "DropInPaths=\"/etc/systemd/system/cron.service.d/a b \\\"q\\\" \\$x\\\\y.conf\"\n",
        "Triggers=\"a\\303\\050\\n\" plain dev-disk-by\\x2duuid.device \"open"
    ));
    let unit = shown.units.first().expect("is there");
    assert_eq!(unit.words("Names"), ["worker@a\\x20b.service"]);
    assert_eq!(unit.words("Documentation"), ["man:cron(8)"]);
    assert_eq!(unit.words("DropInPaths"), ["/etc/systemd/system/cron.service.d/a b \"q\" $x\\y.conf"]);
    assert_eq!(unit.words("Triggers"), ["a\u{fffd}(\n", "plain", "dev-disk-by\\x2duuid.device", "open"]);
}

/// As the tool reads an output that is only a beginning.
fn cut(output: &[u8]) -> Output {
    Output { exit: None, stdout: output.to_vec(), stderr: String::new(), truncated: true }
}

#[test]
fn an_output_that_was_cut_anywhere_gives_whole_units_only() {
    for output in [DEBIAN_13, DEBIAN_11, RHEL_7] {
        // Some units are as good as all.
        let output = &output[..output.floor_char_boundary(4000)];
        let all = parse(output).units;
        for end in 0..output.len() {
            let mut shown = parse(&String::from_utf8_lossy(cut(&output.as_bytes()[..end]).whole_lines()));
            shown.cut();
            assert_eq!(shown.units.as_slice(), &all[..shown.units.len()], "{end}");
            assert!(shown.units.len() + 3 > output[..output.floor_char_boundary(end)].matches("\nId=").count());
        }
    }
    for output in [
        include_str!("../tests/fixtures/debian13-unit-files.txt"),
        include_str!("../tests/fixtures/rhel7-unit-files.txt"),
    ] {
        let all = unit_files(output);
        for end in 0..output.len() {
            let part = cut(&output.as_bytes()[..end]);
            let text = String::from_utf8_lossy(part.whole_lines());
            let files = unit_files(&text);
            assert_eq!(files, all[..files.len()], "{end}");
        }
    }
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 16] = [
    b"18446744073709551616",
    b"-1",
    b"NaN",
    b"=",
    b"\nId=",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"\x1b[2J",
    b"\n\n",
    b"\nCET-1CEST,M3.5.0,M10.5.0/3\n",
    b"\nMainPID=-1\n",
    b"\nMemoryCurrent=18446744073709551615\n",
    b"\r\n",
    b"Id=a",
    b"e\xcc\x81",
];

#[test]
fn any_output_makes_units_of_what_it_holds() {
    for seed in 0..600 {
        for captured in [DEBIAN_13, RHEL_7] {
            let output = mutant(captured.as_bytes().get(..4000).unwrap_or(captured.as_bytes()), &PIECES, seed);
            let text = String::from_utf8_lossy(&output);
            for unit in units(&text) {
                assert!(text.contains(unit.name.trim_end_matches('…')), "seed {seed}: {}", unit.name);
                assert!(unit.main_pid != Some(0) && unit.memory != Some(u64::MAX), "seed {seed}");
            }
            unit_files(&text);
        }
    }
}

#[test]
fn a_huge_value_is_clipped() {
    let shown = parse(&format!("Id=a\nDescription={}\nNames={}\n", "ü".repeat(1 << 20), "b ".repeat(1 << 20)));
    let unit: &Properties = shown.units.first().expect("is a unit");
    assert_eq!(unit.bounded("Description").map(|text| text.chars().count()), Some(501));
    assert_eq!(unit.words("Names").len(), 50);
}
