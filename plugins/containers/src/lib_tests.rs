//! Both answers.

use scout_plugin::exec::Output;
use scout_plugin::json::Value;

use super::{Engine, Found, What, answer, is_name, lines, schema, take, told};

fn asked(what: What, fields: &str) -> scout_plugin::rows::Asked {
    let arguments = Value::parse(&format!(r#"{{"host":"box"{fields}}}"#)).expect("is JSON");
    schema::shape(what).ask(&arguments).expect("is asked")
}

fn output(stdout: &[u8], stderr: &str) -> Output {
    Output { exit: Some(0), stdout: stdout.to_vec(), stderr: stderr.to_owned(), truncated: false }
}

fn answered(what: What, fields: &str, told: &[(Engine, &[u8])]) -> (String, String) {
    let mut found = Found::default();
    for (engine, stdout) in told {
        take(&mut found, *engine, what, "box", &output(stdout, "")).expect("is told");
        found.engines.push(*engine);
    }
    let answer = answer(asked(what, fields), what, found);
    (answer.shown(), answer.json().unwrap_or_default().to_owned())
}

const DOCKER: &[u8] = include_bytes!("../tests/fixtures/docker28.2-ps.txt");
const PODMAN: &[u8] = include_bytes!("../tests/fixtures/podman5.4-ps.txt");

#[test]
fn containers_of_both_engines_are_rows_of_one_answer() {
    let both = [(Engine::Docker, DOCKER), (Engine::Podman, PODMAN)];
    let columns = r#","columns":"engine,name,state,health,exit_code,project""#;
    let (text, json) = answered(What::Containers, columns, &both);
    assert_eq!(
        text,
        "engine  name  state    health     exit_code  project\n\
         docker  sick  running  unhealthy          -  shop\n\
         docker  made  created  -                  -  -\n\
         docker  done  exited   -                  3  -\n\
         docker  web   running  -                  -  shop\n\
         podman  web   running  -                  -  shop\n\
         podman  done  exited   -                  3  -\n\
         podman  made  created  -                  -  -\n\
         (podman tells of this account's own: those of other accounts are not seen)"
    );
    assert!(
        json.starts_with(r#"{"host":"box","engines":["docker","podman"],"rows":[{"engine":"docker","name":"sick","#),
        "{json}"
    );
    let (_, json) = answered(What::Containers, "", &both);
    assert!(!json.contains("hunter2") && !json.contains("token") && !json.contains("\"command\""), "{json}");
    let (_, json) = answered(What::Containers, r#","where":"exit_code = 3 and engine = podman""#, &both);
    assert!(json.contains(r#""total":7,"left_out":{"where":6}"#), "{json}");
}

#[test]
fn projects_are_made_of_their_containers() {
    let (text, _) = answered(What::Projects, "", &[(Engine::Docker, DOCKER), (Engine::Podman, PODMAN)]);
    assert_eq!(
        text,
        "engine  project  running  containers  services  directory  files\n\
         docker  shop           2           2  db,web    /srv/shop  /srv/shop/compose.yaml\n\
         podman  shop           1           1  web       /srv/shop  /srv/shop/compose.yaml\n\
         (podman tells of this account's own: those of other accounts are not seen)\n\
         (a project is known by its containers)"
    );
}

#[test]
fn that_there_is_nothing_is_told() {
    for (what, says) in [
        (What::Containers, "there is no container"),
        (What::Images, "there is no image"),
        (What::Projects, "no container belongs to a project of compose"),
        (What::Usage, "no container runs"),
    ] {
        let (text, _) = answered(what, "", &[(Engine::Docker, b"")]);
        assert!(text.starts_with(&format!("(0 of 0 rows)\n({says})")), "{text}");
    }
}

#[test]
fn an_engine_that_could_not_be_read_is_no_empty_one() {
    let mut found = Found::default();
    let failed = Output {
        exit: Some(1),
        ..output(b"", "Cannot connect to the Docker daemon at x. Is the docker daemon running?")
    };
    assert!(take(&mut found, Engine::Docker, What::Containers, "box", &failed).is_err());
    let cut = Output { truncated: true, exit: None, ..output(b"[\"a\"]\n[\"", "") };
    take(&mut found, Engine::Docker, What::Containers, "box", &cut).expect("is told");
    assert!(found.notes.iter().any(|note| note.contains("more than Scout accepts")), "{:?}", found.notes);
    assert!(found.notes.iter().any(|note| note == "1 line of docker could not be read"), "{:?}", found.notes);
}

#[test]
fn lines_of_a_log_are_the_newest_and_the_oldest_of_them_stands_first() {
    let log =
        output(b"2026-12-01T00:00:01Z one\n2026-12-01T00:00:03Z \x1b[31mthree\n", "2026-12-01T01:00:02.5+01:00 two\n");
    let answer = told(asked(What::Logs, r#","limit":2"#), Engine::Docker, 3, lines::merged(&log));
    assert_eq!(
        answer.shown(),
        "2026-12-01T00:00:02.500000000Z (stderr) two\n\
         2026-12-01T00:00:03Z \u{1b}[31mthree\n\
         (2 of 3 rows; 1 to come, cursor: 2-50e6d06fb76d0b9f)\n\
         (the last 3 lines were looked at: there are older ones)"
            .replace("2-50e6d06fb76d0b9f", cursor(&answer.shown()))
    );
    let answer = told(asked(What::Logs, r#","where":"stream = stderr""#), Engine::Docker, 5000, lines::merged(&log));
    let json = answer.json().unwrap_or_default();
    assert!(
        json.contains(
            r#""rows":[{"time":"2026-12-01T00:00:02.500000000Z","stream":"stderr","message":"two"}],"total":3"#
        ),
        "{json}"
    );
    let none = told(asked(What::Logs, ""), Engine::Podman, 101, Vec::new());
    assert!(none.shown().contains("has written nothing that its engine keeps"), "{}", none.shown());
    let long = output(format!("2026-12-01T00:00:01Z {}\n", "x".repeat(1 << 20)).as_bytes(), "");
    let long = told(asked(What::Logs, ""), Engine::Podman, 101, lines::merged(&long));
    assert!(long.shown().len() < 5000 && long.shown().contains("1 message is cut; `podman logs --tail 1`"));
}

/// The cursor of a text.
fn cursor(text: &str) -> &str {
    text.split_once("cursor: ").and_then(|(_, rest)| rest.split_once(')')).map_or("", |(cursor, _)| cursor)
}

#[test]
fn a_name_is_no_flag_and_no_path() {
    for (name, expected) in [
        ("web", true),
        ("c_app-1.x", true),
        ("-f", false),
        ("", false),
        ("a/b", false),
        ("a b", false),
        ("--help", false),
    ] {
        assert_eq!(is_name(name), expected, "{name}");
    }
    assert!(!is_name(&"a".repeat(256)));
}

#[test]
fn a_name_that_no_container_can_have_is_not_found_and_nobody_is_asked() {
    for (template, values) in [
        ("logs", &["box", "-f"][..]),
        ("logs", &["box", "a b"]),
        ("logs", &["box", "a;id"]),
        ("logs", &["box"]),
        ("others", &["box"]),
    ] {
        let read = <super::Containers as scout_plugin::Resources>::read(template, values);
        assert_eq!(read.err().map(|error| error.kind), Some(scout_plugin::ErrorKind::NotFound), "{values:?}");
    }
}

#[test]
fn all_containers_are_shown_without_a_choice_of_rows() {
    let mut found = Found::default();
    take(&mut found, Engine::Docker, What::Containers, "box", &output(DOCKER, "")).expect("is told");
    let all = schema::shape(What::Containers).of("box", scout_plugin::rows::Shape::MAX_LIMIT).expect("is asked");
    let shown = answer(all, What::Containers, found).shown();
    assert!(shown.starts_with("engine") && shown.lines().count() >= 4, "{shown}");
}
