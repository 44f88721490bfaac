//! What clients are told of the tool.

use scout_plugin::rows::{Column, Kind, Shape};

use crate::What;

pub(crate) const DESCRIPTION: &str = "What a host did `since` 2h or RFC 3339.";

/// The tool's own arguments.
pub(crate) const INPUT: &str =
    r#""what":{"enum":["machine","disks","network"]},"since":{"type":"string"},"until":{"type":"string"}"#;

/// The field of the answer beside its rows.
pub(crate) const OUTPUT: &str = r#""files":{"type":"array","items":{"type":"string"},"description":"which were read"}"#;

const TIME: Column = Column::new("time", Kind::Time);
const INTERVAL: Column = Column::new("interval_seconds", Kind::Seconds).extra();
const READ: Column = Column::new("read_bytes_per_s", Kind::Bytes);
const WRITTEN: Column = Column::new("written_bytes_per_s", Kind::Bytes);
const BUSY: Column = Column::new("busy_percent", Kind::Tenths);

const MACHINE: &[Column] = &[
    TIME,
    Column::new("cpu_percent", Kind::Tenths),
    Column::new("user_percent", Kind::Tenths).extra(),
    Column::new("system_percent", Kind::Tenths).extra(),
    Column::new("iowait_percent", Kind::Tenths),
    Column::new("steal_percent", Kind::Tenths).extra(),
    Column::new("load1", Kind::Tenths),
    Column::new("load5", Kind::Tenths).extra(),
    Column::new("load15", Kind::Tenths).extra(),
    Column::new("memory_used_bytes", Kind::Bytes),
    Column::new("memory_available_bytes", Kind::Bytes).extra(),
    Column::new("swap_used_bytes", Kind::Bytes),
    READ,
    WRITTEN,
    Column::new("runnable", Kind::Number).extra(),
    Column::new("blocked", Kind::Number).extra(),
    INTERVAL,
];
const DISKS: &[Column] = &[
    TIME,
    Column::new("device", Kind::Text),
    Column::new("requests_per_s", Kind::Tenths),
    READ,
    WRITTEN,
    Column::new("wait_ms", Kind::Tenths),
    BUSY,
    INTERVAL,
];
const NETWORK: &[Column] = &[
    TIME,
    Column::new("interface", Kind::Text),
    Column::new("received_bytes_per_s", Kind::Bytes),
    Column::new("sent_bytes_per_s", Kind::Bytes),
    Column::new("received_packets_per_s", Kind::Tenths),
    Column::new("sent_packets_per_s", Kind::Tenths),
    BUSY,
    INTERVAL,
];

/// The rows of one question.
pub(crate) const fn shape(what: What) -> Shape {
    let columns = match what {
        What::Machine => MACHINE,
        What::Disks => DISKS,
        What::Network => NETWORK,
    };
    Shape { tool: "history", list: "rows", columns, limit: 150 }
}

/// The rows of any question, for the schema of the answer: each column once.
pub(crate) fn all() -> String {
    let mut all: Vec<Column> = Vec::new();
    for column in [MACHINE, DISKS, NETWORK].concat() {
        if all.iter().all(|known| known.name != column.name) {
            all.push(column);
        }
    }
    // Once for each instance, which describes itself once.
    Shape { columns: all.leak(), ..shape(What::Machine) }.output(OUTPUT)
}
