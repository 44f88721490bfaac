//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

use crate::What;

pub(crate) const DESCRIPTION: &str = "Health of ZFS, RAID, LVM, btrfs, disks; or what is in ZFS.";

/// The tool's own argument.
pub(crate) const INPUT: &str = r#""what":{"enum":["health","datasets","snapshots"]}"#;

const NAME: Column = Column::new("name", Kind::Text);
const USED: Column = Column::new("used_bytes", Kind::Bytes);

const HEALTH: &[Column] = &[
    Column::new("kind", Kind::Text),
    NAME,
    Column::new("health", Kind::Text),
    Column::new("state", Kind::Text),
    Column::new("size_bytes", Kind::Bytes),
    USED,
    Column::new("free_bytes", Kind::Bytes),
    Column::new("detail", Kind::Text),
];
const DATASETS: &[Column] = &[
    NAME,
    Column::new("type", Kind::Text),
    USED,
    Column::new("available_bytes", Kind::Bytes),
    Column::new("referenced_bytes", Kind::Bytes),
    Column::new("mount_point", Kind::Text),
];
const SNAPSHOTS: &[Column] =
    &[NAME, USED, Column::new("referenced_bytes", Kind::Bytes), Column::new("created", Kind::Time)];

/// The rows of one question.
pub(crate) const fn shape(what: What) -> Shape {
    let columns = match what {
        What::Health => HEALTH,
        What::Datasets => DATASETS,
        What::Snapshots => SNAPSHOTS,
    };
    Shape { tool: "storage", list: "rows", columns, limit: 200 }
}

/// The rows of any question, for the schema of the answer: each column once.
pub(crate) fn all() -> String {
    let mut all: Vec<Column> = Vec::new();
    for column in [HEALTH, DATASETS, SNAPSHOTS].concat() {
        if all.iter().all(|known| known.name != column.name) {
            all.push(column);
        }
    }
    // Once for each instance, which describes itself once.
    Shape { columns: all.leak(), ..shape(What::Health) }.output("")
}
