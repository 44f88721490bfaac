//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "What listens, and whose it is.";

pub(crate) const SHAPE: Shape = Shape {
    tool: "listeners",
    list: "listeners",
    columns: &[
        Column::new("proto", Kind::Text),
        Column::new("address", Kind::Text),
        Column::new("port", Kind::Number),
        Column::new("process", Kind::Text),
        Column::new("pid", Kind::Number),
        Column::new("uid", Kind::Number),
        Column::new("unit", Kind::Text),
        Column::new("owners", Kind::List).extra(),
        Column::new("waiting", Kind::Number).extra(),
        Column::new("backlog", Kind::Number).extra(),
    ],
    limit: 200,
};
