//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

use crate::What;

pub(crate) const DESCRIPTION: &str = "Docker and podman; `logs`: of the one so named.";

/// The tool's own arguments.
pub(crate) const INPUT: &str = r#""what":{"enum":["containers","images","projects","usage"]},"logs":{"type":"string"}"#;

/// The fields of the answer beside its rows.
pub(crate) const OUTPUT: &str = r#"
  "engines": {"type": "array", "items": {"enum": ["docker", "podman"]}, "description": "which answered"}
"#;

const ENGINE: Column = Column::new("engine", Kind::Text);
const NAME: Column = Column::new("name", Kind::Text);
const CREATED: Column = Column::new("created", Kind::Time);
const ID: Column = Column::new("id", Kind::Text);
const SERVICES: Column = Column::new("services", Kind::List);
const MESSAGE: Column = Column::new("message", Kind::Text);

const CONTAINERS: &[Column] = &[
    ENGINE,
    NAME,
    Column::new("state", Kind::Text),
    Column::new("health", Kind::Text),
    Column::new("exit_code", Kind::Number),
    Column::new("status", Kind::Text),
    Column::new("image", Kind::Text),
    Column::new("project", Kind::Text),
    Column::new("service", Kind::Text),
    CREATED,
    Column::new("ports", Kind::Text),
    ID.extra(),
    Column::new("command", Kind::Text).extra(),
];
const IMAGES: &[Column] = &[
    ENGINE,
    Column::new("repository", Kind::Text),
    Column::new("tag", Kind::Text),
    Column::new("size_bytes", Kind::Bytes),
    CREATED,
    ID,
    Column::new("digest", Kind::Text).extra(),
];
const PROJECTS: &[Column] = &[
    ENGINE,
    Column::new("project", Kind::Text),
    Column::new("running", Kind::Number),
    Column::new("containers", Kind::Number),
    SERVICES,
    Column::new("directory", Kind::Text),
    Column::new("files", Kind::List),
];
const USAGE: &[Column] = &[
    ENGINE,
    NAME,
    Column::new("cpu_percent", Kind::Tenths),
    Column::new("memory_bytes", Kind::Bytes),
    Column::new("memory_limit_bytes", Kind::Bytes),
    Column::new("received_bytes", Kind::Bytes),
    Column::new("sent_bytes", Kind::Bytes),
    Column::new("read_bytes", Kind::Bytes),
    Column::new("written_bytes", Kind::Bytes),
    Column::new("processes", Kind::Number),
    ID.extra(),
];
const LINES: &[Column] = &[Column::new("time", Kind::Time), Column::new("stream", Kind::Text), MESSAGE];

/// The rows of one question.
pub(crate) const fn shape(what: What) -> Shape {
    let (columns, limit) = match what {
        What::Containers => (CONTAINERS, 100),
        What::Images => (IMAGES, 100),
        What::Projects => (PROJECTS, 100),
        What::Usage => (USAGE, 100),
        What::Logs => (LINES, 100),
    };
    Shape { tool: "containers", list: "rows", columns, limit }
}

/// The rows of any question, for the schema of the answer: each column once.
pub(crate) fn all() -> String {
    let mut all: Vec<Column> = Vec::new();
    for column in [CONTAINERS, IMAGES, PROJECTS, USAGE, LINES].concat() {
        if all.iter().all(|known| known.name != column.name) {
            all.push(column);
        }
    }
    // Once for each instance, which describes itself once.
    Shape { columns: all.leak(), ..shape(What::Containers) }.output(OUTPUT)
}
