//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str =
    "Newest `lines` of the journal or the file `path`. Times: 2h, RFC 3339. `whole`: long messages.";

/// The tool's own arguments. What they may hold is checked where they are read: a schema says it in more words.
pub(crate) const INPUT: &str = r#""unit":{"type":"string"},"user_unit":{"type":"string"},"since":{"type":"string"},"until":{"type":"string"},"grep":{"type":"string"},"ignore_case":{"type":"boolean"},"priority":{"type":"string"},"lines":{"type":"integer"},"whole":{"type":"boolean"},"path":{"type":"string"},"source":{"enum":["auto","journal","files"]}"#;

/// The fields of the answer beside its rows.
pub(crate) const OUTPUT: &str = r#"
  "source": {"enum": ["journal", "file"]},
  "path": {"type": ["string", "null"], "description": "the file"},
  "truncated": {"type": "boolean", "description": "whether older entries may fit as well"}
"#;

/// The entries, so many of a page.
pub(crate) const fn shape(limit: usize) -> Shape {
    const COLUMNS: &[Column] = &[
        Column::new("time", Kind::Time),
        Column::new("host", Kind::Text),
        Column::new("unit", Kind::Text),
        Column::new("program", Kind::Text),
        Column::new("pid", Kind::Number),
        Column::new("priority", Kind::Text),
        Column::new("message", Kind::Text),
        Column::new("message_base64", Kind::Text).beside("message"),
        Column::new("message_cut", Kind::Bool).beside("message"),
    ];
    Shape { tool: "logs", list: "entries", columns: COLUMNS, limit }
}
