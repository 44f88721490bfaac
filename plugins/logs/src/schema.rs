//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "The newest `lines` of a host's log that fit, times in UTC: the journal, else /var/log/syslog or messages, or \
the file `path`. Narrow by `unit` (or a user's `user_unit`), `since` and `until` (15m, 2h, 7d, RFC 3339), `priority` (err, warning, …), `grep` \
(regular expression). `whole`: long messages too. `where`: \"program=sshd and message~root\" (= != < <= > >= ~contains) on the last 5000. Columns: \
time host unit program pid priority message.";

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
