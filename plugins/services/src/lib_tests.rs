//! What is asked of systemctl, what is left of its answer, and both answers.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

use scout_plugin::ErrorKind;
use scout_plugin::json::Value;

use super::{
    Filter, Services, Tools as _, add_meant, details, is_askable, listed, no_bus, no_manager, no_unit, only_files,
    schema, show, without_zone,
};
use crate::show::Unit;

const DEBIAN_11: &str = include_str!("../tests/fixtures/debian11-show.txt");

fn filter(json: &str) -> Filter {
    Filter::read(&Value::parse(json).expect("is JSON")).expect("are arguments")
}

fn taken(json: &str) -> Vec<String> {
    let shown = show::parse(DEBIAN_11);
    let units = shown.units.iter().filter_map(|unit| unit.unit(shown.zone.as_ref()));
    let filter = filter(json);
    units.filter(|unit| filter.takes(unit)).map(|unit| unit.name).collect()
}

#[test]
fn the_schemas_are_json() {
    let units = schema::UNITS;
    for schema in [
        &*units.input(schema::SERVICES_INPUT),
        &units.output(schema::SERVICES_OUTPUT),
        schema::SERVICE_INPUT,
        schema::SERVICE_OUTPUT,
    ] {
        assert!(Value::parse(schema).is_some());
    }
}

#[test]
fn systemctl_is_asked_for_no_more_than_is_wanted() {
    let words = |json: &str| filter(json).words().split_off(4);
    assert_eq!(words("{}"), ["--type=service", "--", "*"]);
    assert_eq!(words(r#"{"type":"all","all":true}"#), ["--property=Names", "--all", "--", "*"]);
    assert_eq!(
        words(r#"{"type":"timer","state":["failed","dead"],"pattern":"-a*"}"#),
        ["--all", "--type=timer", "--state=failed,dead", "--", "-a*"]
    );
}

#[test]
fn idle_units_are_left_out_unless_asked_for() {
    assert!(taken("{}").contains(&"ssh.service".to_owned()));
    assert!(!taken("{}").contains(&"emergency.service".to_owned()));
    assert!(taken(r#"{"all":true}"#).contains(&"auditd.service".to_owned()));
    let by_pattern = taken(r#"{"pattern":"*"}"#);
    assert!(by_pattern.contains(&"emergency.service".to_owned()) && !by_pattern.contains(&"auditd.service".to_owned()));
}

#[test]
fn states_are_load_active_or_sub_and_any_of_them_is_enough() {
    assert_eq!(taken(r#"{"state":["failed"]}"#), ["broken.service"]);
    assert!(taken(r#"{"state":["running","masked"]}"#).len() > 3);
    assert!(taken(r#"{"state":["not-found"]}"#).contains(&"auditd.service".to_owned()));
    assert_eq!(taken(r#"{"state":["nosuch"]}"#), [""; 0]);
    assert_eq!(taken(r#"{"type":"timer","all":true}"#), [""; 0]);
    assert!(taken(r#"{"enabled":["enabled"]}"#).contains(&"cron.service".to_owned()));
}

#[test]
fn a_host_without_a_file_of_its_zone_complains_about_nothing() {
    let gnu = "grep: /etc/localtime: No such file or directory\n";
    assert_eq!(without_zone(gnu), "");
    assert_eq!(without_zone(&format!("Failed to connect to bus\n{gnu}the moon")), "Failed to connect to bus\nthe moon");
}

fn rows() -> Vec<Unit> {
    let shown = show::parse(include_str!("../tests/fixtures/debian13-units.txt"));
    shown.units.iter().filter_map(|unit| unit.unit(None)).collect()
}

/// Both answers to such arguments.
fn answered(fields: &str, units: &[Unit], truncated: bool, notes: &[&str]) -> (String, String) {
    let asked = schema::UNITS.ask(&Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON"));
    let notes = notes.iter().map(|note| (*note).to_owned()).collect();
    let answer = listed(asked.expect("is asked"), "systemd", units, truncated, notes);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

#[test]
fn both_answers_have_a_row_for_each_unit() {
    let mut units = rows();
    units[1].memory = Some(1_572_864);
    let (text, json) = answered(r#","limit":2"#, &units, false, &["a note"]);
    let cursor = text.split("cursor: ").nth(1).and_then(|rest| rest.split(')').next()).expect("there is more");
    assert_eq!(
        text,
        format!(
            "name            load       active    sub     enabled  main_pid  memory_bytes  since                        description\n\
             broken.service  loaded     failed    failed  static          -             -  2026-11-21T11:29:56.088983Z  A \"broken\" service = with signs, käse and tab\\there\n\
             nope.service    not-found  inactive  dead    -               -             -  -                            -\n\
             (2 of 3 rows; 1 to come, cursor: {cursor})\n(a note)"
        )
    );
    assert!(json.contains(r#""found":3,"truncated":true"#) && json.contains(r#""left_out":{"later":1}"#), "{json}");
    let (_, json) = answered("", &units, true, &["a note"]);
    assert!(
        json.contains(concat!(
            r#"{"name":"worker@b.service","load":"loaded","active":"active","sub":"running","enabled":"enabled","main_pid":157,"#,
            r#""memory_bytes":1572864,"since":"2026-11-21T11:29:56.113816Z","description":"Worker b"}"#
        )),
        "{json}"
    );
    assert!(json.ends_with(r#"],"total":3,"left_out":{},"notes":["a note"],"found":3,"truncated":true}"#), "{json}");
    let (text, json) = answered(r#","where":"since > 2026-11-21T11:29:56.1Z","columns":"name""#, &units, false, &[]);
    assert_eq!(text, "name\nworker@b.service\n(1 of 3 rows; 2 not in `where`)");
    assert!(json.contains(r#""found":1,"truncated":false"#), "{json}");
}

#[test]
fn nothing_that_fits_is_told() {
    let (text, _) = answered("", &[], false, &["a note"]);
    assert_eq!(text, "no unit fits; `all` shows those that are not running too\n(0 of 0 rows)\n(a note)");
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_the_host_is_asked() {
    for (tool, fields, says) in [
        ("services", r#""pattern":"a b""#, "`pattern`"),
        ("services", r#""pattern":"""#, "`pattern`"),
        ("services", r#""type":"services""#, "none of: service socket timer"),
        ("services", r#""state":[]"#, "`state`"),
        ("services", r#""state":["a b"]"#, "`state`"),
        ("services", r#""state":"failed""#, "`state`"),
        ("services", r#""enabled":["a","a","a","a","a","a","a","a","a"]"#, "`enabled`"),
        ("services", r#""where":"memory>1""#, "unknown column `memory`"),
        ("service", r#""unit":"a*""#, "`unit`"),
        ("service", r#""unit":"""#, "`unit`"),
        ("service", r#""all":true"#, "`unit`"),
    ] {
        let error = Services::call(tool, &format!(r#"{{"host":"box",{fields}}}"#)).expect_err(fields);
        assert!(error.kind == ErrorKind::Invalid && error.message.contains(says), "{fields}: {error}");
    }
}

#[test]
fn details_tell_how_a_unit_ended() {
    let shown = show::parse(include_str!("../tests/fixtures/debian13-units.txt"));
    let properties = &shown.units[0];
    let answer = details("box", "systemd", &rows()[0], properties);
    let json = answer.json().expect("is structured");
    assert!(
        json.contains(
            r#""result":"exit-code","load_error":null,"last_exit":"exited","last_exit_status":1,"restart":"no","#
        ),
        "{json}"
    );
    assert!(json.ends_with(r#""triggers":[],"triggered_by":[],"needs_reload":false}"#), "{json}");
    assert_eq!(
        super::details_text(&rows()[0], properties, Some(("exited", 1))),
        "broken.service: A \"broken\" service = with signs, käse and tab\\there\n\
         state:      failed (failed) since 2026-11-21T11:29:56.088983Z\n\
         result:     exit-code\n\
         last exit:  exited, status 1\n\
         enabled:    static\n\
         cpu:        0.0 s\n\
         restart:    no\n\
         restarts:   0\n\
         file:       /etc/systemd/system/broken.service\n"
    );
}

#[test]
fn units_that_nothing_has_loaded_are_wanted_where_they_may_fit() {
    for (json, wanted) in [
        ("{}", false),
        (r#"{"all":true}"#, true),
        (r#"{"pattern":"*x*"}"#, true),
        (r#"{"enabled":["static"]}"#, true),
        (r#"{"pattern":"*x*","state":["failed"]}"#, false),
    ] {
        assert_eq!(filter(json).wants_unloaded(), wanted, "{json}");
    }
}

fn unit(name: &str, names: &[&str]) -> Unit {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Unit { name: name.to_owned(), names, active: Some("active".to_owned()), ..Unit::default() }
}

#[test]
fn a_file_that_is_another_name_of_a_unit_is_not_one_that_is_not_loaded() {
    let files = show::unit_files(include_str!("../tests/fixtures/debian13-unit-files.txt"));
    let names = |units: &[Unit]| units.iter().map(|unit| unit.name.clone()).collect::<Vec<_>>();
    let ssh = unit("ssh.service", &["ssh.service", "sshd.service"]);
    let (unloaded, aliases) = only_files(&filter(r#"{"pattern":"*ssh*"}"#), &[ssh], files.clone());
    assert_eq!(names(&unloaded), ["sshd-keygen.service", "sshd@.service"]);
    assert_eq!(aliases, ["sshd-unix-local@.service"]);
    assert!(!is_askable("sshd-unix-local@.service") && is_askable("worker@a.service") && !is_askable("a b.service"));
    let (unloaded, aliases) = only_files(&filter(r#"{"pattern":"sshd.*"}"#), &[], files);
    assert_eq!((names(&unloaded), aliases), (Vec::new(), vec!["sshd.service".to_owned()]));
    // Before systemd 246 nothing but the names of the unit tells it.
    let files = show::unit_files(include_str!("../tests/fixtures/rhel7-unit-files.txt"));
    let network = unit("NetworkManager.service", &["dbus-org.freedesktop.NetworkManager.service"]);
    let (unloaded, _) = only_files(&filter(r#"{"all":true}"#), &[network], files);
    assert!(unloaded.iter().all(|unit| !unit.name.contains("NetworkManager")), "{:?}", names(&unloaded));
}

#[test]
fn who_asks_for_another_name_is_told_of_the_unit() {
    let asked = ["sshd.service", "kmod.service", "x.service"].map(str::to_owned);
    let found = vec![
        unit("ssh.service", &["ssh.service", "sshd.service"]),
        unit("systemd-modules-load.service", &["systemd-modules-load.service", "kmod.service"]),
        // One of its own.
        unit("x.service", &["x.service"]),
    ];
    let mut units = vec![unit("systemd-modules-load.service", &[])];
    let mut unloaded =
        ["sshd.service", "x.service"].map(|name| Unit { name: name.to_owned(), ..Unit::default() }).to_vec();
    let mut notes = Vec::new();
    add_meant(&asked, found, &mut units, &mut unloaded, &mut notes);
    units.append(&mut unloaded);
    let rows: Vec<_> = units.iter().map(|unit| (unit.name.as_str(), unit.active.is_some())).collect();
    assert_eq!(rows, [("systemd-modules-load.service", true), ("ssh.service", true), ("x.service", false)]);
    assert_eq!(notes, ["`sshd.service` is another name of `ssh.service`"]);
}

#[test]
fn errors_say_what_where_and_what_instead() {
    let error = no_manager("box", "sh: 1: systemctl: not found");
    assert_eq!((error.kind, error.hint.is_some()), (ErrorKind::Unsupported, true));
    assert_eq!(error.message, "box runs neither systemd nor OpenRC; `systemctl` said: sh: 1: systemctl: not found");
    let error = no_bus("box", "Failed to connect to bus: No such file or directory");
    assert_eq!((error.kind, error.hint.is_some()), (ErrorKind::Unreachable, true));
    assert!(error.message.starts_with("box runs systemd, but its bus does not answer"), "{}", error.message);
    let error = no_unit("box", "ngnix");
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::NotFound, "there is no unit `ngnix` on box"));
}
