//! What clients are told of the tool: its columns, and the two schemas.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "How full file systems are; `path`, `threshold` percent.";

/// The tool's own arguments. What they may hold is checked where they are read: a schema says it in more words.
pub(crate) const INPUT: &str =
    r#""path":{"type":"string"},"threshold":{"type":"integer"},"inodes":{"type":"boolean"},"all":{"type":"boolean"}"#;

/// The fields of the answer beside its rows.
pub(crate) const OUTPUT: &str = r#"
  "pseudo_left_out": {"type": "integer", "minimum": 0},
  "below_threshold": {"type": "integer", "minimum": 0},
  "truncated": {"type": "boolean", "description": "whether there are more file systems than these"},
  "unanswered": {
    "type": "array",
    "description": "file systems of other machines or programs that did not tell how full they are",
    "items": {
      "type": "object",
      "properties": {
        "filesystem": {"type": "string"},
        "filesystem_base64": {"type": "string"},
        "type": {"type": "string"},
        "mount_point": {"type": "string"},
        "mount_point_base64": {"type": "string"},
        "why": {"type": "string"}
      },
      "required": ["filesystem", "type", "mount_point", "why"],
      "additionalProperties": false
    }
  },
  "warnings": {"type": "array", "items": {"type": "string"}, "description": "what df complained about"}
"#;

/// The rows, of inodes too where they were asked for.
pub(crate) const fn shape(inodes: bool) -> Shape {
    const PLAIN: &[Column] = &columns(false);
    const WITH_INODES: &[Column] = &columns(true);
    Shape { tool: "disk", list: "filesystems", columns: if inodes { WITH_INODES } else { PLAIN }, limit: 500 }
}

const fn columns(inodes: bool) -> [Column; 13] {
    const fn of_inodes(name: &'static str, is_shown: bool) -> Column {
        let column = Column::new(name, Kind::Number);
        if is_shown { column } else { column.extra() }
    }
    [
        Column::new("filesystem", Kind::Text),
        Column::new("filesystem_base64", Kind::Text).beside("filesystem"),
        Column::new("type", Kind::Text),
        Column::new("size_bytes", Kind::Bytes),
        Column::new("used_bytes", Kind::Bytes),
        Column::new("available_bytes", Kind::Bytes),
        Column::new("used_percent", Kind::Number),
        of_inodes("inodes", inodes),
        of_inodes("inodes_used", inodes),
        of_inodes("inodes_free", inodes),
        of_inodes("inodes_used_percent", inodes),
        Column::new("mount_point", Kind::Text),
        Column::new("mount_point_base64", Kind::Text).beside("mount_point"),
    ]
}
