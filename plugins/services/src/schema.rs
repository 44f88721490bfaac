//! What clients are told of the tools.

use scout_plugin::rows::{Column, Kind, Shape};

pub(crate) const SERVICES: &str =
    "Services that run or failed; others by `state`, `enabled`, `pattern`, `type` (timer).";

/// The arguments of `services` beside those of rows. What they may hold is checked where they are read: a schema says it in more words.
pub(crate) const SERVICES_INPUT: &str = r#""pattern":{"type":"string"},"type":{"type":"string"},"state":{"type":"array","items":{"type":"string"}},"enabled":{"type":"array","items":{"type":"string"}},"all":{"type":"boolean"}"#;

/// The fields of its answer beside the rows.
pub(crate) const SERVICES_OUTPUT: &str = r#"
  "manager": {"enum": ["systemd", "openrc"]},
  "found": {"type": "integer", "minimum": 0, "description": "how many fit, with those that were cut"},
  "truncated": {"type": "boolean"}
"#;

/// The units.
pub(crate) const UNITS: Shape = Shape {
    tool: "services",
    list: "units",
    columns: &[
        Column::new("name", Kind::Text),
        Column::new("load", Kind::Text),
        Column::new("active", Kind::Text),
        Column::new("sub", Kind::Text),
        Column::new("enabled", Kind::Text),
        Column::new("main_pid", Kind::Number),
        Column::new("memory_bytes", Kind::Bytes),
        Column::new("since", Kind::Time),
        Column::new("description", Kind::Text),
    ],
    limit: 300,
};

pub(crate) const SERVICE: &str = "One unit in detail.";

pub(crate) const SERVICE_INPUT: &str = r#"{
  "type": "object",
  "properties": {"host": {"type": "string"}, "unit": {"type": "string"}},
  "required": ["host", "unit"],
  "additionalProperties": false
}"#;

pub(crate) const SERVICE_OUTPUT: &str = r#"{
  "type": "object",
  "properties": {
    "host": {"type": "string"},
    "manager": {"enum": ["systemd", "openrc"]},
    "name": {"type": "string"},
    "load": {"type": ["string", "null"]},
    "active": {"type": ["string", "null"]},
    "sub": {"type": ["string", "null"]},
    "enabled": {"type": ["string", "null"]},
    "main_pid": {"type": ["integer", "null"], "minimum": 1},
    "memory_bytes": {"type": ["integer", "null"], "minimum": 0},
    "since": {"type": ["string", "null"], "format": "date-time", "description": "when the clock of then said so"},
    "description": {"type": ["string", "null"]},
    "names": {"type": "array", "items": {"type": "string"}, "description": "with aliases"},
    "result": {"type": ["string", "null"], "description": "success, exit-code, signal, oom-kill, timeout, start-limit-hit"},
    "load_error": {"type": ["string", "null"]},
    "last_exit": {"enum": ["exited", "killed", "dumped", null], "description": "how the last main process ended, if one has"},
    "last_exit_status": {"type": ["integer", "null"], "description": "its status, or the number of the signal"},
    "restart": {"type": ["string", "null"], "description": "when it is restarted: no, always, on-failure"},
    "restarts": {"type": ["integer", "null"], "minimum": 0},
    "tasks": {"type": ["integer", "null"], "minimum": 0},
    "cpu_ns": {"type": ["integer", "null"], "minimum": 0},
    "control_group": {"type": ["string", "null"]},
    "file": {"type": ["string", "null"]},
    "drop_ins": {"type": "array", "items": {"type": "string"}},
    "documentation": {"type": "array", "items": {"type": "string"}},
    "triggers": {"type": "array", "items": {"type": "string"}},
    "triggered_by": {"type": "array", "items": {"type": "string"}},
    "needs_reload": {"type": "boolean", "description": "whether its files changed on disk since they were loaded"}
  },
  "required": ["host", "manager", "name", "load", "active", "sub", "enabled", "main_pid", "memory_bytes", "since", "description", "needs_reload"],
  "additionalProperties": false
}"#;
