//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const DESCRIPTION: &str = "Installed packages; `updates`: what can be updated.";

/// The tool's own argument.
pub(crate) const INPUT: &str = r#""updates":{"type":"boolean"}"#;

/// The field of the answer beside its rows.
pub(crate) const OUTPUT: &str = r#""manager":{"enum":["dpkg","rpm","apk","pacman"]}"#;

/// The rows of what is installed, or of what can be updated.
pub(crate) const fn shape(updates: bool) -> Shape {
    const INSTALLED: &[Column] = &columns(false);
    const UPDATES: &[Column] = &columns(true);
    Shape { tool: "packages", list: "packages", columns: if updates { UPDATES } else { INSTALLED }, limit: 100 }
}

const fn columns(updates: bool) -> [Column; 9] {
    const fn only(is_shown: bool, name: &'static str, kind: Kind) -> Column {
        let column = Column::new(name, kind);
        if is_shown { column } else { column.extra() }
    }
    [
        Column::new("name", Kind::Text),
        Column::new("version", Kind::Text),
        only(updates, "available", Kind::Text),
        only(updates, "security", Kind::Bool),
        only(!updates, "arch", Kind::Text),
        only(updates, "repository", Kind::Text),
        only(!updates, "size_bytes", Kind::Bytes),
        Column::new("state", Kind::Text).extra(),
        only(!updates, "summary", Kind::Text),
    ]
}
