//! Rows of engines of containers, beside those of [`super::table`].
//!
//! Owns data only, in the same way. What an engine tells of a container is a choice of fields, never all of it: labels and environments hold
//! passwords.

use super::table::{COUNT, ENDLESS, Kind, MANY, Operands, ROW, Row};
use Kind::{Name, Number, OneOf, Plain, Template, Time};

/// All of them.
pub(super) const ROWS: &[Row] = &[
    Row { name: "docker ps", ..DOCKER_PS },
    Row { name: "docker images", ..DOCKER_IMAGES },
    Row {
        name: "docker logs",
        environment: DOCKER,
        refused: &[("-f --follow", ENDLESS), ("--details", LABELS)],
        ..LOGS
    },
    Row { name: "docker stats", environment: DOCKER, short: "a", long: "all no-stream no-trunc", ..STATS },
    Row {
        name: "docker volume ls",
        short: "q",
        long: "quiet",
        short_values: &[],
        long_values: &[("format", Template)],
        unused: "-f --filter",
        ..DOCKER_PS
    },
    Row {
        name: "docker network ls",
        short: "q",
        long: "quiet no-trunc",
        short_values: &[],
        long_values: &[("format", Template)],
        unused: "-f --filter",
        ..DOCKER_PS
    },
    Row {
        name: "docker system df",
        short: "v",
        long: "verbose",
        short_values: &[],
        long_values: &[("format", Template)],
        note: "It counts all files of volumes, which may take long. Only the daemon of the system is asked, at /var/run/docker.sock.",
        ..DOCKER_PS
    },
    Row {
        name: "podman ps",
        short: "alqps",
        short_values: &[('n', COUNT), ('f', Name)],
        long: "all latest no-trunc noheading pod quiet size external",
        long_values: &[
            ("last", COUNT),
            ("filter", Name),
            ("format", Template),
            ("sort", OneOf(&["command", "created", "id", "image", "names", "runningfor", "size", "status"])),
        ],
        refused: &[("-w --watch", ENDLESS), ("--sync", "it writes what it finds into its database")],
        unused: "--ns",
        note: PODMAN,
        ..ROW
    },
    Row {
        name: "podman images",
        short: "aqn",
        short_values: &[('f', Name)],
        long: "all digests no-trunc noheading quiet history",
        long_values: &[
            ("filter", Name),
            ("format", Template),
            ("sort", OneOf(&["created", "id", "repository", "size", "tag"])),
        ],
        operands: Operands::Each(Plain, 0, 1),
        note: PODMAN,
        ..ROW
    },
    Row {
        name: "podman logs",
        refused: &[("-f --follow", ENDLESS)],
        // There -n is --names.
        short_values: &[],
        unused: "-l --latest -n --names --color",
        note: PODMAN,
        ..LOGS
    },
    Row {
        name: "podman stats",
        short: "a",
        long: "all no-stream no-trunc no-reset",
        unused: "-i --interval -l --latest",
        note: PODMAN,
        ..STATS
    },
];

/// The daemon of the system, and no configuration of the account: that could name a daemon of another machine, and programs to run. Without one
/// docker 20.10 looks for passwords of registries in the home directory. Nothing can be made below `/proc`.
const DOCKER: &[(&str, &str)] = &[
    ("DOCKER_HOST", "unix:///var/run/docker.sock"),
    ("DOCKER_CONFIG", "/proc/no-configuration"),
    ("HOME", "/proc/no-configuration"),
];
const LABELS: &str = "it shows labels and variables of the environment";
const SYSTEM: &str = "The tool `containers` tells it in rows. Only the daemon of the system is asked, at /var/run/docker.sock. A format has fields that are named one by one: `{{.Names}} {{.Status}}`.";
const PODMAN: &str = "The tool `containers` tells it in rows. It tells of the account's own containers. It keeps a database and locks, which it opens to write and makes where there are none, and asks \
                      `conmon` for its version. A format has fields that are named one by one: `{{.Names}} {{.Status}}`.";

const DOCKER_PS: Row = Row {
    short: "alqs",
    short_values: &[('n', COUNT), ('f', Name)],
    long: "all latest no-trunc quiet size",
    long_values: &[("last", COUNT), ("filter", Name), ("format", Template)],
    environment: DOCKER,
    note: SYSTEM,
    ..ROW
};
const DOCKER_IMAGES: Row = Row {
    short: "aq",
    short_values: &[('f', Name)],
    long: "all digests no-trunc quiet",
    long_values: &[("filter", Name), ("format", Template)],
    operands: Operands::Each(Plain, 0, 1),
    environment: DOCKER,
    unused: "--tree",
    note: SYSTEM,
    ..ROW
};
const LOGS: Row = Row {
    short: "t",
    short_values: &[('n', LINES)],
    long: "timestamps",
    long_values: &[("tail", LINES), ("since", Time), ("until", Time)],
    operands: Operands::Each(Plain, 1, 1),
    note: "`--tail 100` for the last lines: without it all that there is.",
    ..ROW
};
const STATS: Row = Row {
    long_values: &[("format", Template)],
    operands: Operands::Each(Plain, 0, MANY),
    needs: &["--no-stream"],
    note: "Only once: `--no-stream`. It measures for a second or two.",
    ..ROW
};
/// Lines of a log.
const LINES: Kind = Number(1_000_000);
