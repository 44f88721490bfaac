//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "What changed since `baseline`: files, packages, units, accounts, listeners.";

/// The tool's own arguments. What they may hold is checked where they are read: a schema says it in more words.
pub(crate) const INPUT: &str = r#""baseline":{"enum":["take"]},"files":{"type":"array","items":{"type":"string"}}"#;

/// The field of the answer beside its rows.
pub(crate) const OUTPUT: &str =
    r#""taken":{"type":"string","format":"date-time","description":"when the baseline was taken"}"#;

pub(crate) const SHAPE: Shape = Shape {
    tool: "changes",
    list: "changes",
    columns: &[
        Column::new("kind", Kind::Text),
        Column::new("name", Kind::Text),
        Column::new("change", Kind::Text),
        Column::new("before", Kind::Text),
        Column::new("after", Kind::Text),
    ],
    limit: 200,
};
