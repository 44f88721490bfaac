//! Answers of several engines, and lines that were made to mislead.
#![expect(clippy::indexing_slicing, reason = "a failed test is a panic")]

#[path = "../../mutants.rs"]
mod mutants;

use super::{Container, Engine, Image, Item, Listing, Usage};
use crate::What;
use mutants::mutant;
use scout_plugin::exec::Output;
use scout_plugin::{Error, ErrorKind};

const DOCKER: [[&[u8]; 3]; 3] = [
    [
        include_bytes!("../tests/fixtures/docker20.10-ps.txt"),
        include_bytes!("../tests/fixtures/docker20.10-images.txt"),
        include_bytes!("../tests/fixtures/docker20.10-stats.txt"),
    ],
    [
        include_bytes!("../tests/fixtures/docker26.1-ps.txt"),
        include_bytes!("../tests/fixtures/docker26.1-images.txt"),
        include_bytes!("../tests/fixtures/docker26.1-stats.txt"),
    ],
    [
        include_bytes!("../tests/fixtures/docker28.2-ps.txt"),
        include_bytes!("../tests/fixtures/docker28.2-images.txt"),
        include_bytes!("../tests/fixtures/docker28.2-stats.txt"),
    ],
];
const PODMAN: [[&[u8]; 3]; 2] = [
    [
        include_bytes!("../tests/fixtures/podman4.3-ps.txt"),
        include_bytes!("../tests/fixtures/podman4.3-images.txt"),
        include_bytes!("../tests/fixtures/podman4.3-stats.txt"),
    ],
    [
        include_bytes!("../tests/fixtures/podman5.4-ps.txt"),
        include_bytes!("../tests/fixtures/podman5.4-images.txt"),
        include_bytes!("../tests/fixtures/podman5.4-stats.txt"),
    ],
];

fn read(engine: Engine, what: What, output: &[u8]) -> Vec<Item> {
    let listing = engine.parse(what, output);
    assert_eq!(listing.unread, 0);
    listing.items
}

fn containers(engine: Engine, output: &[u8]) -> Vec<Container> {
    let items = read(engine, What::Containers, output).into_iter();
    items.map(|item| if let Item::Container(container) = item { container } else { panic!("{item:?}") }).collect()
}

fn images(engine: Engine, output: &[u8]) -> Vec<Image> {
    let items = read(engine, What::Images, output).into_iter();
    items.map(|item| if let Item::Image(image) = item { image } else { panic!("{item:?}") }).collect()
}

fn usage(engine: Engine, output: &[u8]) -> Vec<Usage> {
    let items = read(engine, What::Usage, output).into_iter();
    items.map(|item| if let Item::Usage(usage) = item { usage } else { panic!("{item:?}") }).collect()
}

#[test]
fn every_engine_tells_its_containers() {
    for [ps, ..] in DOCKER {
        let all = containers(Engine::Docker, ps);
        let told: Vec<_> =
            all.iter().map(|one| (one.name.as_str(), one.state.as_str(), one.exit_code(), one.health())).collect();
        assert_eq!(
            told,
            [
                ("sick", "running", None, Some("unhealthy")),
                ("made", "created", None, None),
                ("done", "exited", Some(3), None),
                ("web", "running", None, None),
            ]
        );
        assert_eq!(all[3].created.as_deref(), Some("2026-12-01T00:17:05Z"));
        assert_eq!((all[1].command.as_str(), all[0].command.as_str()), ("/bin/sh", "/bin/busybox sleep 100000"));
    }
    for [ps, ..] in PODMAN {
        let all = containers(Engine::Podman, ps);
        let told: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.state.as_str(), one.exit_code())).collect();
        assert_eq!(told, [("web", "running", None), ("done", "exited", Some(3)), ("made", "created", None)]);
        assert!(all[0].command.starts_with("/bin/sh -c i=0;") && all[0].image == "localhost/scout/tiny:1");
    }
    for (engine, ps) in [(Engine::Docker, DOCKER[0][0]), (Engine::Podman, PODMAN[1][0])] {
        let all = containers(engine, ps);
        let web = all.iter().find(|one| one.name == "web").expect("it is there");
        assert_eq!((web.project.as_deref(), web.service.as_deref()), (Some("shop"), Some("web")));
        assert_eq!(
            (web.directory.as_deref(), web.files.as_slice()),
            (Some("/srv/shop"), &["/srv/shop/compose.yaml".to_owned()][..])
        );
    }
}

#[test]
fn every_engine_tells_its_images_and_what_is_used() {
    for [_, list, stats] in DOCKER {
        let all = images(Engine::Docker, list);
        assert_eq!((all[0].repository.as_deref(), all[0].tag.as_deref()), (Some("scout/tiny"), Some("1")));
        assert_eq!(all[1].repository.as_deref(), Some("registry.example:5000/team/app"));
        assert_eq!((all[0].size, all[0].digest.as_deref()), (Some(1_980_000), None));
        let web = usage(Engine::Docker, stats).into_iter().find(|one| one.name == "web").expect("it runs");
        assert!(
            web.memory[0] > Some(100 << 10) && web.memory[1] > Some(1 << 30) && web.processes == Some(2),
            "{web:?}"
        );
        assert!(web.cpu.is_some() && web.network == [Some(0); 2], "{web:?}");
    }
    for [_, list, stats] in PODMAN {
        let all = images(Engine::Podman, list);
        assert_eq!((all[0].size, all[0].digest.is_some()), (Some(1_990_000), true));
        assert!(all[0].created.as_deref().is_some_and(|time| time.starts_with("2026-12-01T00:")));
        let web = usage(Engine::Podman, stats).into_iter().find(|one| one.name == "web").expect("it runs");
        assert!(web.memory[0] > Some(100_000) && web.processes == Some(2), "{web:?}");
    }
}

#[test]
fn why_an_engine_told_nothing_is_told_apart() {
    let failure = |engine: Engine, exit: u32, stderr: &str| -> Error {
        let output = Output { exit: Some(exit), stdout: Vec::new(), stderr: stderr.to_owned(), truncated: false };
        engine.failure("box", &output)
    };
    for (engine, exit, stderr, kind, says) in [
        (
            Engine::Docker,
            1,
            "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get x: dial unix /var/run/docker.sock: connect: permission denied\n",
            ErrorKind::Permission,
            "the account may not ask docker's daemon on box",
        ),
        (
            Engine::Docker,
            1,
            "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock\n",
            ErrorKind::Permission,
            "the account may not ask",
        ),
        (
            Engine::Docker,
            1,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
            ErrorKind::Remote,
            "docker is installed on box, and its daemon does not answer",
        ),
        (Engine::Docker, 1, "Error: No such container: x\n", ErrorKind::NotFound, "has no such container"),
        (Engine::Docker, 1, "Error response from daemon: No such container: x\n", ErrorKind::NotFound, "no such"),
        (
            Engine::Podman,
            125,
            "Error: no container with name or ID \"x\" found: no such container\n",
            ErrorKind::NotFound,
            "podman on box has no such container",
        ),
        (
            Engine::Docker,
            1,
            "Error response from daemon: configured logging driver does not support reading\n",
            ErrorKind::Unsupported,
            "does not keep this log",
        ),
        (
            Engine::Podman,
            125,
            "cannot resolve /nonexistent: lstat /nonexistent\n",
            ErrorKind::Remote,
            "`podman` on box said",
        ),
        (Engine::Podman, 127, "sh: podman: not found\n", ErrorKind::Unsupported, "box has no program `podman`"),
    ] {
        let error = failure(engine, exit, stderr);
        assert_eq!(error.kind, kind, "{stderr}");
        assert!(error.message.contains(says), "{}", error.message);
    }
    let long =
        failure(Engine::Docker, 1, &format!("Cannot connect to the Docker daemon {}", "\u{1b}[2J\n".repeat(1 << 18)));
    assert!(long.message.chars().count() < 500 && !long.message.contains('\n'));
}

#[test]
fn a_docker_that_is_podman_is_not_asked_twice() {
    let output =
        |stderr: &str| Output { exit: Some(0), stdout: Vec::new(), stderr: stderr.to_owned(), truncated: false };
    let emulated = output("Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.\n");
    assert!(Engine::Docker.is_another(&emulated) && !Engine::Podman.is_another(&emulated));
    let quiet = output(
        "Error: template: ps:1:152: executing \"ps\" at <.Label>: can't evaluate field Label in type containers.psReporter\n",
    );
    assert!(Engine::Docker.is_another(&quiet) && !Engine::Docker.is_another(&output("")));
}

#[test]
fn what_is_no_row_is_counted() {
    let odd: &[u8] =
        b"json\n{}\n[]\n[1,2,3]\n[\"\",\"n\",\"i\",\"s\",\"s\",\"t\",\"p\",\"c\"]\n[\"a\",\"b\n\x1b[2J\xff\n\n[[[[[[[[";
    for what in [What::Containers, What::Images, What::Usage] {
        let Listing { items, unread } = Engine::Docker.parse(what, odd);
        assert!(items.is_empty() && unread == 8, "{what:?} {items:?} {unread}");
    }
    // Names with line ends are escaped in JSON, and stay one name.
    let line = br#"["a","x\ny\u001b[2J","i","RUNNING","Up (unhealthy)","never","","\"sh\"","p\n","","",",a,,b"]"#;
    let all = containers(Engine::Docker, line);
    assert_eq!((all[0].name.as_str(), all[0].state.as_str()), ("x\ny\u{1b}[2J", "running"));
    assert_eq!((all[0].created.as_deref(), all[0].health()), (None, Some("unhealthy")));
    assert_eq!(
        (all[0].project.as_deref(), all[0].files.as_slice()),
        (Some("p"), &["a".to_owned(), "b".to_owned()][..])
    );
    for (status, code, health) in [
        ("Exited (137) 2 hours ago", Some(137), None),
        ("Exited (-1) 2 hours ago", None, None),
        ("Exited (", None, None),
        ("Up 2 hours (healthy)", None, Some("healthy")),
        ("Up 2 seconds (health: starting)", None, Some("starting")),
        ("Up 2 hours (Paused)", None, None),
    ] {
        let container = Container { status: status.to_owned(), ..Container::default() };
        assert_eq!((container.exit_code(), container.health()), (code, health), "{status}");
    }
}

/// What this output is made of, and what no reader expects in it.
const PIECES: [&[u8]; 12] =
    [b"\"", b",", b"[", b"]", b"\\", b"\n", b"\\u000a", b"<none>", b"\0", b"\xff", b"\x1b[2J", b"99999999999999999999"];

#[test]
fn any_answer_makes_rows_of_what_it_holds() {
    for seed in 0..500 {
        for (at, what) in [What::Containers, What::Images, What::Usage].into_iter().enumerate() {
            for (engine, captured) in [(Engine::Docker, DOCKER[2][at]), (Engine::Podman, PODMAN[0][at])] {
                let output = mutant(captured, &PIECES, seed);
                let listing = engine.parse(what, &output);
                let lines = output.split(|byte| *byte == b'\n').count();
                assert!(listing.items.len() + listing.unread <= lines, "seed {seed}");
            }
        }
    }
    let long = format!(r#"["a","{}","i","s","s","t","p","c"]"#, "x".repeat(4 << 20));
    assert_eq!(containers(Engine::Docker, long.as_bytes()).len(), 1);
}
