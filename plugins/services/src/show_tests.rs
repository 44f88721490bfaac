//! Units as several versions of systemd show them.

use super::{Properties, Shown, Unit, parse, unit_files};

const DEBIAN_13: &str = include_str!("../tests/fixtures/debian13-show.txt");
const DEBIAN_11: &str = include_str!("../tests/fixtures/debian11-show.txt");
const RHEL_7: &str = include_str!("../tests/fixtures/rhel7-show.txt");

fn units(output: &str) -> Vec<Unit> {
    let shown = parse(output);
    shown.units.iter().filter_map(|unit| unit.unit(shown.booted)).collect()
}

fn named(units: &[Unit], name: &str) -> Unit {
    units.iter().find(|unit| unit.name == name).cloned().unwrap_or_else(|| panic!("no {name}"))
}

fn unit(name: &str, description: &str, states: [&str; 4]) -> Unit {
    let text = |text: &str| Some(text.to_owned());
    let [load, active, sub, enabled] = states.map(text);
    Unit { name: name.to_owned(), description: text(description), load, active, sub, enabled, ..Unit::default() }
}

#[test]
fn units_of_systemd_257_are_read() {
    let units = units(DEBIAN_13);
    assert_eq!(units.len(), DEBIAN_13.matches("\nId=").count());
    let expected = unit("ssh.service", "OpenBSD Secure Shell server", ["loaded", "active", "running", "enabled"]);
    // `systemctl show` itself said: Sat 2026-11-21 12:20:15 CET.
    assert_eq!(named(&units, "ssh.service"), Unit { main_pid: Some(107), since: Some(1_795_260_014), ..expected });
    let expected = unit(
        "broken.service",
        "A \"broken\" service = with signs, käse and tab\\there",
        ["loaded", "failed", "failed", "static"],
    );
    assert_eq!(named(&units, "broken.service"), Unit { since: Some(1_795_260_596), ..expected });
}

#[test]
fn units_of_systemd_247_are_read() {
    let units = units(DEBIAN_11);
    assert_eq!(units.len(), 56);
    let ssh = named(&units, "ssh.service");
    assert_eq!((ssh.main_pid, ssh.since), (Some(71), Some(1_795_260_626)));
    assert_eq!(named(&units, "emergency.service").since, None);
}

#[test]
fn the_largest_number_of_systemd_219_is_none() {
    let units = units(RHEL_7);
    let expected = unit("NetworkManager.service", "Network Manager", ["loaded", "active", "running", "enabled"]);
    assert_eq!(
        named(&units, "NetworkManager.service"),
        Unit { main_pid: Some(675), since: Some(1_571_788_840), ..expected }
    );
    assert_eq!(named(&units, "kdump.service").since, Some(1_571_788_848));
    assert_eq!(named(&units, "rhel-dmesg.service").since, None);
}

#[test]
fn timers_and_sockets_have_no_process() {
    let units = units(include_str!("../tests/fixtures/debian13-timers.txt"));
    let timer = named(&units, "apt-daily.timer");
    assert_eq!((timer.sub.as_deref(), timer.main_pid, timer.memory), (Some("waiting"), None, None));
    // Without the time of the boot nobody knows since when.
    assert_eq!(timer.since, None);
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
    for output in
        ["", "\n\n\n", "=\n", "Id=\n", "no equals\n\u{1b}[2J", "Description=x\n\nActiveState=active", "btime x"]
    {
        assert_eq!(parse(output), Shown::default(), "{output:?}");
    }
    assert_eq!(parse("btime 18446744073709551615\n").booted, Some(u64::MAX));
    assert_eq!(unit_files("0 unit files listed.\n\n\u{fffd} x\n.service\nfoo bar\n"), [(".service", "foo"); 0]);
}

#[test]
fn times_that_cannot_be_are_absent() {
    let unit = |monotonic: &str| {
        let shown = parse(&format!(
            "Id=a\nActiveState=active\nActiveEnterTimestampMonotonic={monotonic}\nbtime 18446744073709551615\n"
        ));
        shown.units.first().and_then(|unit| unit.unit(shown.booted)).expect("is a unit").since
    };
    for monotonic in ["", "0", "-1", "x", "18446744073709551615", "18446744073709551614"] {
        assert_eq!(unit(monotonic), None, "{monotonic}");
    }
}

#[test]
fn an_output_that_was_cut_gives_what_is_there() {
    for end in (0..DEBIAN_13.len()).filter(|end| DEBIAN_13.is_char_boundary(*end)) {
        assert!(units(&DEBIAN_13[..end]).len() <= 24);
    }
}

#[test]
fn a_huge_value_is_clipped() {
    let shown = parse(&format!("Id=a\nDescription={}\nNames={}\n", "ü".repeat(1 << 20), "b ".repeat(1 << 20)));
    let unit: &Properties = shown.units.first().expect("is a unit");
    assert_eq!(unit.bounded("Description").map(|text| text.chars().count()), Some(501));
    assert_eq!(unit.words("Names").len(), 50);
}
