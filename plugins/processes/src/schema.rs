//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "Processes, the busiest first, or as a `tree`.";

/// The tool's own argument.
pub(crate) const INPUT: &str = r#""tree":{"type":"boolean"}"#;

pub(crate) const SHAPE: Shape = Shape {
    tool: "processes",
    list: "processes",
    columns: &[
        Column::new("pid", Kind::Number),
        Column::new("ppid", Kind::Number),
        Column::new("user", Kind::Text),
        Column::new("state", Kind::Text),
        Column::new("cpu_percent", Kind::Tenths),
        Column::new("memory_bytes", Kind::Bytes),
        Column::new("elapsed_seconds", Kind::Seconds),
        Column::new("started", Kind::Time).extra(),
        Column::new("threads", Kind::Number).extra(),
        Column::new("command", Kind::Text),
        Column::new("depth", Kind::Number).beside("command"),
    ],
    limit: 50,
};
