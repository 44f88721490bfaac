//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "How safe a host's SSH server is.";

pub(crate) const SHAPE: Shape = Shape {
    tool: "posture",
    list: "findings",
    columns: &[
        Column::new("check", Kind::Text),
        Column::new("state", Kind::Text),
        Column::new("value", Kind::Text),
        Column::new("time", Kind::Time),
        Column::new("why", Kind::Text),
    ],
    limit: 100,
};
